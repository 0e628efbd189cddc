"""Nothing is shown or removed on a server of which it is not known that it can be undone and does no harm."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from connector.flow.decisions import recall
from connector.flow.redirect import tick
from connector.ledger import Proved
from connector.log import Event, configure
from connector.model import Proof, State
from connector.pauses import SourcePause, TenantPause
from connector.sources.memory import Attached, MemorySource
from tests.crash.test_every_effect import policy
from tests.world import TENANT, World

FILE = Attached("a.bin", b"aaaa")
BOTH = frozenset({Proof.PUT_BACK, Proof.CERTIFY})
Told = list[Any]


class Updated(MemorySource):
    """A server after its update: it tells another build."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.server = "memory 2"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once."""
    return World(tmp_path / "ledger.db", policy())


@pytest.fixture
def told() -> Iterator[Told]:
    """What was logged."""
    configure("json", "info")
    with capture_logs() as lines:
        yield lines
    configure("json", "error")


def turns(world: World, number: int = 1, source: type = MemorySource, **watched: Any) -> None:
    """So many ticks of a source that needs both proofs, unless something else is said about it."""
    with world.process(source=source) as (watch, ledger):
        for _ in range(number):
            tick(replace(watch, **{"needs": BOTH, **watched}), ledger, world.clock, "one")
            world.now += timedelta(minutes=2)


def prove(world: World, *proofs: Proof, passed: bool = True, server: str = "memory") -> None:
    """It was tried."""
    with world.process() as (_, ledger):
        for proof in proofs:
            proved = Proved(tenant=TENANT, server=server, proof=proof, passed=passed, at=world.clock(), by="ada")
            ledger.prove(proved, Event.PROOF_RECORDED)


def states(world: World) -> list[State]:
    """Of all redirects."""
    with world.process() as (_, ledger):
        return [each.state for each in ledger.redirects()]


def reason(world: World) -> str:
    """Why the source is braked; "" where it is not."""
    with world.process() as (watch, ledger):
        pause = ledger.paused(SourcePause.PROOF.of(watch.name), world.now + timedelta(days=3650))
        return pause.reason if pause else ""


def events(world: World, name: str) -> list[Any]:
    """What the chain has under this name."""
    with world.process() as (_, ledger):
        assert ledger.broken_link(TENANT) is None
        return [dict(each.detail) for each in ledger.events() if each.name == name]


def test_without_a_proof_files_are_copied_and_nothing_else_happens(world: World, told: Told) -> None:
    """The copy harms nobody. The message stays as it is, and the operator reads once why, and what to do."""
    item = world.deliver(FILE)
    before = world.mailbox.entry(item)
    turns(world, 3)
    assert states(world) == [State.STORED]
    assert world.manifest_free()
    assert world.mailbox.entry(item) == before
    assert "connector check" in reason(world)
    assert "connector certify" in reason(world)
    assert [line["event"] for line in told].count(Event.SOURCE_UNPROVED) == 1
    assert [each["error"] for each in events(world, Event.PAUSED)] == ["Unproved"]


@pytest.mark.parametrize("proof", sorted(BOTH))
def test_one_of_two_proofs_is_not_enough(world: World, proof: Proof) -> None:
    """Either speaks of something else."""
    world.deliver(FILE)
    prove(world, proof)
    turns(world)
    assert states(world) == [State.STORED]


def test_what_was_braked_goes_on_as_soon_as_it_is_proved(world: World) -> None:
    """Nothing has to be said twice."""
    world.deliver(FILE)
    turns(world)
    prove(world, *BOTH)
    turns(world)
    assert states(world) == [State.DONE]
    assert reason(world) == ""
    assert not world.lost()


def test_a_proof_holds_for_the_build_that_it_was_made_on(world: World) -> None:
    """A server that was updated has to prove itself anew; what is under way waits where it stands."""
    prove(world, *BOTH)
    world.deliver(FILE)
    turns(world, source=Updated)
    assert states(world) == [State.STORED]
    assert "memory 2" in reason(world)
    prove(world, *BOTH, server="memory 2")
    turns(world, source=Updated)
    assert states(world) == [State.DONE]


@pytest.mark.parametrize("proof", sorted(BOTH))
def test_what_was_disproved_brakes_again(world: World, proof: Proof) -> None:
    """The last trial counts, not the best."""
    prove(world, *BOTH)
    prove(world, proof, passed=False)
    world.deliver(FILE)
    turns(world)
    assert states(world) == [State.STORED]
    assert "was disproved" in reason(world)


def test_somebody_may_answer_by_name_for_doing_without_a_certificate(world: World) -> None:
    """It is in the chain once, with the name; another name is another act."""
    prove(world, Proof.PUT_BACK)
    world.deliver(FILE)
    turns(world, 3, waived_by="Ada Admin")
    assert states(world) == [State.DONE]
    turns(world, waived_by="Bert Boss")
    waived = [(each["by"], each["server"]) for each in events(world, Event.PROOF_WAIVED)]
    assert waived == [("Ada Admin", "memory"), ("Bert Boss", "memory")]


def test_nobody_can_answer_for_what_cannot_be_put_back(world: World) -> None:
    """Undo is the safety net under prune."""
    prove(world, Proof.CERTIFY)
    world.deliver(FILE)
    turns(world, waived_by="Ada Admin")
    assert states(world) == [State.STORED]
    assert events(world, Event.PROOF_WAIVED) == []


def test_two_mailboxes_that_begin_at_once_waive_once(world: World) -> None:
    """Neither has seen the other's when it writes its own."""
    waiver = Proved(tenant=TENANT, server="memory", proof=Proof.WAIVER, passed=True, at=world.now, by="Ada Admin")
    with world.ledger() as ledger:
        for _ in range(2):
            ledger.prove(waiver, Event.PROOF_WAIVED)
    assert [each["by"] for each in events(world, Event.PROOF_WAIVED)] == ["Ada Admin"]


def test_a_waiver_that_is_taken_out_of_the_configuration_holds_no_longer(world: World) -> None:
    """It is the configuration that counts; the ledger only remembers."""
    prove(world, Proof.PUT_BACK)
    turns(world, waived_by="Ada Admin")
    world.deliver(FILE)
    turns(world)
    assert states(world) == [State.STORED]


def test_files_return_although_the_server_is_not_proved_any_more(world: World) -> None:
    """Each is proved on its own before its link leaves, and a human asked for it: only what takes out needs a proof."""
    item = world.deliver(FILE)
    body = world.mailbox.entry(item).message.body
    prove(world, *BOTH)
    turns(world)
    with world.process() as (_, ledger):
        recall(ledger.redirects()[0], ledger, world.clock(), "ada")
    turns(world, 2, source=Updated)
    assert states(world) == [State.RESTORED]
    assert world.mailbox.entry(item).message.body == body
    assert list(world.mailbox.entry(item).contents.values()) == [FILE.content]


def test_what_waits_for_a_proof_keeps_nothing_else_waiting(world: World) -> None:
    """More than the ledger hands out at once stand before the brake: the next message is copied all the same."""
    for _ in range(101):
        world.deliver(FILE)
    turns(world, 2)
    world.deliver(FILE)
    turns(world)
    assert states(world) == [State.STORED] * 102


def test_one_brake_does_not_loosen_another(world: World) -> None:
    """Where the ledger is in doubt, nothing returns either, whatever is proved."""
    world.deliver(FILE)
    prove(world, *BOTH)
    turns(world)
    with world.process() as (watch, ledger):
        recall(ledger.redirects()[0], ledger, world.clock(), "ada")
        until = world.now + timedelta(days=1)
        ledger.pause(
            TenantPause.LEDGER.of(TENANT), until=until, reason="", error="Foreign", now=world.now, tenant=watch.tenant
        )
    turns(world)
    assert states(world) == [State.RECALLED]


# --- monitoring ---------------------------------------------------------------------------------------------------


def test_monitoring_writes_nothing_anywhere(world: World, told: Told) -> None:
    """The message, the store and the list of redirects stay as they are; what would happen is told in numbers."""
    item = world.deliver(FILE, Attached("b.bin", b"bb"), subject="hush")
    world.deliver()
    before = deepcopy(world.mailbox)
    turns(world, 2, monitor=True)
    assert world.mailbox == before
    assert world.store.files == {}
    assert states(world) == []
    (line,) = (line for line in told if line["event"] == Event.MESSAGE_MONITORED)
    assert line["files"] == {"redirect": 2}
    assert line["rules"] == ["all"]
    assert line["bytes"] == {"redirect": sum(file.size for file in world.mailbox.entry(item).message.files)}
    assert "hush" not in str(told)
    assert "a.bin" not in str(told)


def test_a_rule_on_trial_is_told_beside_those_that_act(world: World, told: Told) -> None:
    """In numbers; and what the others want happens."""
    trial = policy(name="trial", mode="monitor")
    world.policy = trial.model_copy(update={"rules": (*trial.rules, *policy(action="copy").rules)})
    world.deliver(FILE, Attached("b.bin", b"bb"), subject="hush")
    turns(world, 2)
    lines = [line for line in told if line["event"] == Event.RULE_MONITORED]
    assert lines[0]["files"] == {"trial: redirect": 2}
    assert states(world) == [State.DONE]
    assert len(world.manifest_free()) == 2
    assert "hush" not in str(told)


@pytest.mark.parametrize("lost", [False, True])
def test_after_monitoring_only_new_mail_is_redirected(world: World, lost: bool) -> None:  # noqa: FBT001 - a case
    """Also where the server forgets the change feed, and the feed begins again from its beginning."""
    world.deliver(FILE, received=world.now - timedelta(days=1))
    turns(world, monitor=True)
    new = world.deliver(FILE, received=world.now + timedelta(minutes=1))
    if lost:
        world.mailbox.lose_cursors()
    world.now += timedelta(minutes=2)
    prove(world, *BOTH)
    turns(world, 2)
    with world.process() as (_, ledger):
        assert [each.item_id for each in ledger.redirects()] == [new]


def test_what_was_under_way_waits_while_its_tenant_monitors(world: World) -> None:
    """Back to monitoring: nothing is written, whatever was begun; afterwards it goes on."""
    prove(world, *BOTH)
    world.deliver(FILE)
    turns(world)
    with world.process() as (_, ledger):
        recall(ledger.redirects()[0], ledger, world.clock(), "ada")
    before = deepcopy(world.mailbox)
    turns(world, monitor=True)
    assert states(world) == [State.RECALLED]
    assert world.mailbox == before
    turns(world, 2)
    assert states(world) == [State.RESTORED]
