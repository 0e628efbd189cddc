"""A link is shown only where the people of the mailbox can open it, and nobody else's folder is opened for it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connector.errors import Exhausted, Unavailable
from connector.flow.admission import of_nobody
from connector.flow.decisions import recall
from connector.flow.redirect import tick
from connector.log import Event
from connector.model import Link, LinkTerms, Origin, State, Stored
from connector.pauses import SourcePause, TenantPause
from connector.policy import Policy
from connector.sources.memory import Attached, MemoryMailbox
from connector.sources.memory_share import MemoryShare
from connector.stores.memory import MemoryStore
from tests import test_proofs
from tests.crash.test_every_effect import policy
from tests.share_world import ShareWorld
from tests.world import HOME, TENANT, Killed, Saboteur, World

FILE = Attached("a.bin", b"aaaa")
POLICY = {
    "defaults": {"settle": 0},
    "rules": [
        {"name": "texts", "when": {"name": "*.txt"}, "action": "redirect"},
        {"name": "all", "action": "redirect", "link": {"audience": "anyone"}},
    ],
}
told = test_proofs.told


class Sparing(MemoryStore):
    """It lets nobody else in for now; how often it was asked is counted."""

    asked = 0

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Not now."""
        self.asked += 1
        raise Exhausted("no more shares for now", timedelta(minutes=10))


class Brief(MemoryStore):
    """It has links for anyone, and makes none for now; how often it was asked is counted."""

    asked = 0
    exhausted = True

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """Not now."""
        if terms == LinkTerms():
            return super().share(stored, terms, origin)
        self.asked += 1
        if self.exhausted:
            raise Exhausted("no more shares for now", timedelta(minutes=10))
        return super().share(stored, LinkTerms(), origin)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once, before a store that asks who may read."""
    return World(tmp_path / "ledger.db", policy(), store=MemoryStore(admitted={}))


def turns(world: World, number: int = 1) -> None:
    """So many ticks, half a minute apart."""
    for _ in range(number):
        with world.process() as (watch, ledger):
            tick(watch, ledger, world.clock, "one")
        world.now += timedelta(seconds=30)


def paused(world: World, name: str) -> str:
    """Why this stands still; "" where it does not."""
    with world.ledger() as ledger:
        standing = ledger.paused(name, world.now)
        return standing.reason if standing else ""


def name(world: World) -> str:
    """The ledger's name of the mailbox."""
    with world.process() as (watch, _):
        return watch.name


def states(world: World) -> list[State]:
    """Of all redirects."""
    with world.ledger() as ledger:
        return [state for (_, state), number in ledger.counts().items() for _ in range(number)]


def test_its_people_are_let_in_before_a_link_is_shown(world: World) -> None:
    """Once, and by themselves."""
    world.deliver(FILE)
    world.run()
    assert world.store.admitted == {HOME: frozenset({"anna@example.org"})}
    assert states(world) == [State.DONE]
    assert not world.lost()


def test_a_mailbox_of_nobody_is_left_alone_and_named(world: World, told: test_proofs.Told) -> None:
    """Nothing is planned, and told once; when it belongs to somebody, all that came meanwhile is redirected."""
    world.store.unknown.add("anna@example.org")
    world.deliver(FILE)
    turns(world, 3)
    assert states(world) == []
    assert world.manifest_free() == {}
    assert "anna@example.org" in paused(world, SourcePause.READERS.of(name(world)))
    assert [each["event"] for each in told].count(Event.SOURCE_UNREAD) == 1
    world.store.unknown.clear()
    world.run()
    assert states(world) == [State.DONE]
    assert not paused(world, SourcePause.READERS.of(name(world)))
    assert not world.lost()


def test_members_whom_the_store_does_not_know_are_named(tmp_path: Path, told: test_proofs.Told) -> None:
    """Once; work goes on for the others, and whoever leaves is let in no more."""
    share = MemoryShare(members=frozenset({"anna@example.org", "bert@example.org", "guest@example.net"}))
    world = ShareWorld(tmp_path / "ledger.db", policy(), store=MemoryStore(admitted={}), share=share)
    world.store.unknown = {"bert@example.org", "guest@example.net"}
    world.upload("report.pdf", b"report")
    world.run()
    assert (states(world), world.lost()) == ([State.DONE], [])
    assert world.store.admitted == {HOME: frozenset({"anna@example.org"})}
    standing = paused(world, SourcePause.STRANGERS.of(name(world)))
    assert standing.startswith("of the 3 people who share Projects/General, the store does not know these, who open")
    assert standing.endswith(": bert@example.org, guest@example.net")
    turns(world, 3)
    assert [each["event"] for each in told].count(Event.MEMBERS_UNKNOWN) == 1
    world.store.unknown = {"guest@example.net"}
    share.members = frozenset({"bert@example.org"})
    turns(world)
    assert world.store.admitted == {HOME: frozenset({"bert@example.org"})}
    assert not paused(world, SourcePause.STRANGERS.of(name(world)))


def test_where_nobody_else_is_let_in_for_now_files_are_copied(world: World) -> None:
    """And nothing is linked; another mailbox of the tenant does not ask again before the time has come."""
    world.store = Sparing(admitted={})
    world.deliver(FILE)
    turns(world, 3)
    assert states(world) == [State.STORED]
    assert "no more shares" in paused(world, TenantPause.SHARES.of(TENANT))
    assert world.store.asked == 1
    world.now += timedelta(minutes=10)
    turns(world)
    assert world.store.asked == 2
    world.store = MemoryStore(files=world.store.files, admitted={})
    world.now += timedelta(minutes=10)
    world.run()
    assert states(world) == [State.DONE]
    assert not world.lost()


def test_links_for_anyone_wait_while_no_more_shares_may_be_made(tmp_path: Path) -> None:
    """Only they do: the store is not left alone, and is asked for one of them each time, not for all."""
    policy = Policy.model_validate(POLICY)
    store = Brief()
    world = World(tmp_path / "ledger.db", policy, store=store)
    world.deliver(FILE)
    world.deliver(FILE)
    world.deliver(Attached("b.txt", b"bbbb"))
    turns(world, 3)
    assert sorted(states(world)) == [State.DONE, State.STORED, State.STORED]
    assert "no more shares" in paused(world, TenantPause.SHARES.of(TENANT))
    assert not paused(world, f"{TENANT}/store")
    assert store.asked == 1
    world.now += timedelta(minutes=10)
    turns(world)
    assert store.asked == 2
    store.exhausted = False
    world.now += timedelta(minutes=10)
    world.run()
    assert states(world) == [State.DONE] * 3
    assert not world.lost()


def test_who_loses_access_sees_no_new_link_and_gets_files_back(world: World) -> None:
    """The mailbox belongs to nobody any more: what is under way stops, and what is asked back still returns."""
    world.deliver(FILE)
    world.run()
    world.deliver(Attached("b.bin", b"bbbb"))
    world.store.admitted = {}
    world.store.unknown.add("anna@example.org")
    turns(world, 2)
    assert states(world) == [State.DONE]
    with world.ledger() as ledger:
        (done,) = ledger.redirects()
        recall(done, ledger, world.now, "an operator")
    turns(world, 3)
    assert states(world) == [State.RESTORED]
    assert not world.lost()


def test_two_mailboxes_whose_files_would_lie_together(world: World) -> None:
    """Neither is redirected: each would be open to the people of the other."""
    world.deliver(FILE)
    with world.process() as (watch, ledger):
        assert not tick(replace(watch, housemate="an_na@example.org"), ledger, world.clock, "one")
        told = ledger.paused(SourcePause.READERS.of(watch.name), world.now)
    assert told
    assert "one folder with those of an_na@example.org" in told.reason
    assert world.store.admitted == {}
    world.run()
    assert states(world) == [State.DONE]


def test_a_store_that_is_down_is_no_stranger(world: World) -> None:
    """It is asked again when its pause is over, and nobody is told that a mailbox belongs to nobody.

    What is new is planned meanwhile.
    """

    class Down(MemoryStore):
        asked = 0

        def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
            """Not within reach."""
            self.asked += 1
            raise Unavailable("down", timedelta(minutes=10))

    world.store = down = Down(admitted={})
    world.deliver(FILE)
    turns(world, 5)
    assert paused(world, f"{TENANT}/store") == "down"
    assert not paused(world, SourcePause.READERS.of(name(world)))
    assert down.asked == 1
    assert states(world) == [State.PLANNED]
    world.now += timedelta(minutes=10)
    turns(world)
    assert down.asked == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_its_people_are_let_in(world: World, when: str) -> None:
    """Before or after it took effect: nothing is shown that they cannot open, and it goes on."""
    world.deliver(FILE)
    trial = Saboteur()
    world.copy(world.ledger_file.with_name("trial.db")).run(trial)
    with pytest.raises(Killed):
        world.run(Saboteur(kill_at=trial.seen.index("admit") + 1, when=when))
    assert not world.lost()
    world.run()
    assert states(world) == [State.DONE]
    assert not world.lost()


@pytest.mark.parametrize(
    ("unknown", "members", "nobody"),
    [
        ((), None, False),
        (("anna@example.org",), None, True),
        (("b",), {"a", "b"}, False),
        (("a", "b"), {"a", "b"}, True),
        ((), frozenset(), True),
        (("anna@example.org",), {"a", "b"}, True),
    ],
)
def test_whether_anybody_is_known(unknown: tuple[str, ...], members: set[str] | None, *, nobody: bool) -> None:
    """A list that names somebody whom the store does not know speaks for all."""
    assert of_nobody(unknown, "anna@example.org", members) == nobody


def another(world: World, address: str = "anna@example.org") -> str:
    """The mailbox is deleted, and there is a new one of this name; what stands in its way."""
    world.mailbox = MemoryMailbox(key="another", address=address)
    world.deliver(FILE)
    turns(world, 3)
    return paused(world, SourcePause.READERS.of(name(world)))


def test_whoever_gets_the_name_of_another_does_not_get_its_files(world: World, told: test_proofs.Told) -> None:
    """Nobody is let in as long as there are any; then the name is free."""
    world.deliver(FILE)
    world.run()
    before = world.store.admitted = {HOME: frozenset({"old@example.org"})}
    assert "has files of another source, anna@example.org, which had this name before" in another(world)
    assert world.store.admitted == before
    assert [each["event"] for each in told].count(Event.SOURCE_UNREAD) == 1
    with world.ledger() as ledger:
        (old,) = ledger.redirects()
        ledger.swept(old, world.now)
    turns(world)
    assert not paused(world, SourcePause.READERS.of(name(world)))
    assert world.store.admitted == {HOME: frozenset({"anna@example.org"})}


def test_what_is_new_under_a_name_does_not_go_to_whoever_took_over_the_old(world: World) -> None:
    """Somebody has left, and another one has the address now; an operator says where it is only made anew."""
    world.deliver(FILE)
    world.run()
    with world.ledger() as ledger:
        ledger.succeed(TENANT, "anna@example.org", "bert@example.org", world.now, by="ada")
    world.store.admitted = {HOME: frozenset({"bert@example.org"})}
    assert "connector leaver anna@example.org --successor anna@example.org" in another(world)
    with world.ledger() as ledger:
        ledger.succeed(TENANT, "anna@example.org", "anna@example.org", world.now, by="ada")
    world.store.admit(HOME, "anna@example.org")
    world.run()
    assert not paused(world, SourcePause.READERS.of(name(world)))
    assert State.DONE in states(world)


def test_a_mailbox_that_was_taken_over_goes_on(world: World) -> None:
    """It is the one that had the name all along."""
    world.deliver(FILE)
    world.run()
    with world.ledger() as ledger:
        ledger.succeed(TENANT, "anna@example.org", "bert@example.org", world.now, by="ada")
    world.deliver(FILE)
    world.run()
    assert states(world) == [State.DONE, State.DONE]
    assert world.store.admitted == {HOME: frozenset({"bert@example.org"})}


def test_whoever_left_during_a_turn_is_let_in_no_more(world: World) -> None:
    """The turn had looked to whom the files belong before `connector leaver` was called: it looks once more."""
    world.deliver(FILE)
    left = _leaves_at(world, "admit")
    world.run(left)
    assert left.seen.count("admit") == 2
    assert world.store.admitted == {HOME: frozenset({"bert@example.org"})}
    assert states(world) == [State.DONE]


def test_a_link_that_is_made_while_somebody_leaves_is_the_successors(tmp_path: Path) -> None:
    """Handed over before there was anything, it would open for nobody but her, and for ever."""
    world = World(tmp_path / "ledger.db", policy(link={"audience": "owner"}), publishes=True)
    world.deliver(FILE)
    world.run(_leaves_at(world, "publish"))
    assert states(world) == [State.DONE]
    (published,) = world.book.of_tenant(TENANT)
    assert (published.mailbox, published.readers) == ("bert@example.org", ("bert@example.org",))
    assert not world.lost()


def _leaves_at(world: World, effect: str) -> Saboteur:
    """Somebody leaves when this is about to happen for the first time."""

    def entering(name: str) -> None:
        if name == effect and name not in left.seen:
            with world.ledger() as ledger:
                ledger.succeed(TENANT, "anna@example.org", "bert@example.org", world.now, by="ada")

    left = Saboteur(entering=entering)
    return left
