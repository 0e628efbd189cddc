"""The ledger can be wrong: lost, restored from yesterday, cloned, or somebody else's. Nothing is lost by it."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import Corrupt
from connector.ledger import Ledger
from connector.manifest import brake, claim, manifests, reconcile
from connector.model import Redirect, State
from connector.redirect import tick
from connector.sources.memory import Attached
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.test_redirect import acting, before, done, only, redirects, step
from tests.world import TENANT, World

FILE = Attached("a.bin", b"aaaa")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once."""
    return World(tmp_path / "ledger.db", policy())


def with_ledger(world: World, act: Any) -> Any:
    """Do something with the ledger, and close it."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    try:
        return act(ledger)
    finally:
        ledger.close()


def start(world: World) -> bool:
    """What a process does first: claim the store for its ledger."""
    return bool(with_ledger(world, lambda ledger: claim(TENANT, world.store, ledger, world.clock())))


def reconciled(world: World) -> int:
    """What `connector ledger reconcile` does."""
    return int(with_ledger(world, lambda ledger: reconcile(TENANT, world.store, ledger, world.clock())))


def backed_up(world: World) -> Path:
    """Copy the ledger as it is now."""
    copy = world.ledger_file.with_suffix(".backup")
    with closing(sqlite3.connect(world.ledger_file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restored(world: World, backup: Path) -> None:
    """Yesterday's ledger is today's."""
    for suffix in ("-wal", "-shm"):
        Path(f"{world.ledger_file}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, world.ledger_file)


def test_every_start_claims_a_generation(world: World) -> None:
    """Each start goes one further, and the store keeps the newest two only."""
    assert all(start(world) for _ in range(5))
    assert len(world.store.names(".connector/generations")) == 2


def test_restored_backup_is_braked(world: World) -> None:
    """Yesterday's ledger copies, but shares, shows and prunes nothing, until somebody has looked."""
    start(world)
    backup = backed_up(world)
    start(world)
    restored(world, backup)
    assert not start(world)
    world.deliver(FILE)
    world.run(ticks=3)
    assert only(world).state is State.STORED
    assert not world.store.shares
    assert world.mailbox.items()[0].files


def test_foreign_ledger_is_braked(world: World, tmp_path: Path) -> None:
    """A second daemon with a ledger of its own on the same store."""
    start(world)
    other = replace(world, ledger_file=tmp_path / "other.db")
    assert not start(other)
    assert start(world)


def test_clones_cannot_both_claim_one_generation(world: World) -> None:
    """A machine copied while it stood still: whoever comes first works, the other stops."""
    start(world)
    clone = replace(world, ledger_file=backed_up(world))
    assert start(world)
    assert not start(clone)


def test_clones_that_claim_at_the_same_moment(world: World) -> None:
    """Both look before either writes: the store lets one of them create the claim."""
    start(world)
    clone = replace(world, ledger_file=backed_up(world))
    seen = [world.store.names(".connector/generations")]
    assert start(world)

    class Behind:
        """The store, which the clone saw a moment too early."""

        def names(self, folder: str) -> tuple[str, ...]:
            return seen.pop() if seen else world.store.names(folder)

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

    clone.store = Behind()  # type: ignore[assignment]
    assert not start(clone)


def test_store_that_garbles_the_claim_is_not_taken_for_another_ledgers(world: World) -> None:
    """The operator is told what is wrong, and not to look for a second daemon."""

    class Garbling(MemoryStore):
        def put(self, path: str, content: Any) -> Any:
            raise Corrupt("read back differs")

    world.store = Garbling()
    with pytest.raises(Corrupt):
        start(world)
    with world.process() as (_, ledger):
        assert not ledger.paused(brake(TENANT), world.now)


@pytest.mark.parametrize("verb", ["discover", "copy", "share", "rewrite", "prune"])
def test_ledger_of_yesterday(world: World, verb: str) -> None:
    """Backed up at any moment, restored when all was done: after reconcile nothing is lost, deleted or shown twice."""
    backups: list[Path] = []
    start(world)
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    if verb == "discover":
        backups.append(backed_up(world))
        world.run()
    elif verb == "copy":
        world.run(before("put", 1, lambda: backups.append(backed_up(world))))
    elif verb == "share":
        world.policy = policy(settle="1h")
        step(world)
        backups.append(backed_up(world))
        world.run()
    else:
        world.run(source=acting(verb, lambda: backups.append(backed_up(world))))
    done(world)
    seen = world.view()
    start(world)
    restored(world, backups[0])
    assert not start(world)
    reconciled(world)
    world.run()
    assert not world.lost()
    assert world.view() == seen
    assert str(world.mailbox.items()[0].body).count("data-redirect") == 1
    assert {each.state for each in redirects(world)} == {State.DONE}


@pytest.mark.parametrize("settled", [True, False])
def test_lost_ledger_is_rebuilt_from_the_manifests(world: World, settled: bool) -> None:  # noqa: FBT001 - a parameter
    """What was done is known again; what was under way goes on."""
    world.policy = policy(settle=0 if settled else "1h")
    start(world)
    world.deliver(FILE)
    step(world, 2)
    world.ledger_file = world.ledger_file.with_name("new.db")
    assert not start(world)
    assert reconciled(world) == 1
    assert reconciled(world) == 0
    world.run()
    done(world)
    assert not world.mailbox.items()[0].files


def test_restored_ledger_without_reconcile_holds_what_it_cannot_explain(world: World) -> None:
    """Even where no generation tells: a file that is gone from a message that shows links is not taken for dropped."""
    world.deliver(FILE)
    with world.process() as (watch, ledger):
        ledger.watch(watch.name, tenant=TENANT, address="x", now=world.now, since=watch.since)
    backups: list[Path] = []

    class Backing(type(world.store)):  # type: ignore[misc]
        def put(self, path: str, content: Any) -> Any:
            if not backups:
                backups.append(backed_up(world))
            return super().put(path, content)

    world.store = Backing(files=world.store.files)
    world.run()
    done(world)
    restored(world, backups[0])
    world.run()
    assert only(world).state is State.HELD
    assert not world.lost()


def test_damaged_manifests_are_left_alone(world: World) -> None:
    """Whoever may write into the store could have changed one: it is told, and the others are read."""
    world.deliver(FILE)
    world.deliver(Attached("b.bin", b"bbbb"))
    world.run()
    (first, second) = world.store.names(".connector/manifests")
    world.store.files[f".connector/manifests/{first}"] = b"{"
    assert [each.redirect.id for each in manifests(world.store)] == [second.partition(".")[0]]
    told = json.loads(world.store.files[f".connector/manifests/{second}"])
    assert told["mailbox"] == world.mailbox.address
    del world.store.files[f".connector/manifests/{second}"]
    vanished = replace(world, store=world.store)
    listed = world.store.names
    vanished.store.names = lambda folder: (*listed(folder), "ffff.000001.json")  # type: ignore[method-assign]
    assert list(manifests(vanished.store)) == []


def test_reconcile_leaves_other_tenants_and_finished_work_alone(world: World) -> None:
    """One store may serve two tenants; and what this ledger knows better stays as it is."""
    start(world)
    world.deliver(FILE)
    world.run()
    count = with_ledger(world, lambda ledger: reconcile("other", world.store, ledger, world.clock()))
    assert count == 0
    assert reconciled(world) == 0
    done(world)


def test_reconcile_of_a_held_redirect_keeps_it_held(world: World) -> None:
    """A human was to decide, and still is; but it goes on from the stored files."""
    start(world)
    world.deliver(FILE)
    world.run()
    finished = only(world)

    def back(ledger: Ledger) -> Redirect:
        held = replace(finished, state=State.HELD, held_in=State.PLANNED, reason="x")
        return ledger.write(held, "redirect.held", world.clock())

    with_ledger(world, back)
    assert reconciled(world) == 1
    assert (only(world).state, only(world).held_in) == (State.HELD, State.STORED)


def test_brake_is_told(world: World) -> None:
    """The reason says what to do."""
    start(world)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    pause = with_ledger(world, lambda ledger: ledger.paused(brake(TENANT), world.now + timedelta(days=3650)))
    assert "ledger reconcile" in pause.reason
    with world.process() as (watch, ledger):
        assert tick(watch, ledger, world.clock, "one")
