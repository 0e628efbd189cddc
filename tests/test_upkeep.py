"""What operators do to links that messages show: nothing is passed over without a word, and nothing stays open."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from connector.errors import FileGone, Unavailable
from connector.flow.decisions import Wanted
from connector.ledger import Ledger
from connector.links.book import Book
from connector.links.publishing import Publisher
from connector.log import Event
from connector.model import LinkTerms, Redirect, State
from connector.policy import Policy
from connector.sources.memory import Attached
from connector.stores.memory import MemoryStore
from connector.upkeep import Done, Upkeep
from tests.crash.test_every_effect import policy
from tests.world import TENANT, Saboteur, World

WORKING = {"a step is about to look at their links: call again when it has": 1}


@dataclass
class House:
    """The one tenant of a world."""

    world: World
    name: str = TENANT

    def book(self) -> Book | None:
        """That of its links."""
        return self.world.book if self.world.publishes else None

    def store(self) -> MemoryStore:
        """Its store."""
        return self.world.store

    def publisher(self) -> Publisher | None:
        """What gives its links."""
        return self.world._publisher(self.world.store, Saboteur()) if self.world.publishes else None

    def links(self) -> Any:
        """The same, or its store."""
        return self.publisher() or self.store()


def delivered(tmp_path: Path, *, publishes: bool = True, **link: object) -> World:
    """A world with a message whose file has given way to a link."""
    world = World(tmp_path / "ledger.db", policy(link=link), publishes=publishes)
    world.deliver(Attached("a.bin", b"aaaa"))
    world.run()
    return world


def does(world: World, what: str, *more: Any) -> Any:
    """What comes of an operator's call, for all messages."""
    with world.ledger() as ledger:
        tenant: Any = House(world)
        answer = getattr(Upkeep((tenant,), ledger, world.now, "ada"), what)(Wanted(), *more)
        return answer if isinstance(answer, Done | dict) else list(answer)


def stands(world: World, state: State) -> None:
    """A turn is cut off where the redirect is in this state."""
    with world.ledger() as ledger:
        ledger.write(replace(_only(ledger), state=state, due=world.now), Event.REDIRECT_LINKED, world.now)


def state(world: World) -> State:
    """Of the one redirect."""
    with world.ledger() as ledger:
        return _only(ledger).state


def _only(ledger: Ledger) -> Redirect:
    (redirect,) = ledger.redirects()
    return redirect


def test_links_of_a_message_that_is_gone_can_be_ended(tmp_path: Path) -> None:
    """To extend them makes the next step find that it is gone: then nothing else would end what copies of it show."""
    world = delivered(tmp_path, audience="anyone", expires="30d")
    (shown,) = does(world, "shown")
    world.mailbox.delete(world.mailbox.entries()[0].message.id)
    assert does(world, "extend", datetime.now(UTC) + timedelta(days=90)) == Done(1)
    world.run()
    assert state(world) is State.DROPPED
    assert world.download(shown.url) == b"aaaa"
    left_alone = {"dropped, so their messages are left alone": 1}
    assert [does(world, *each).passed for each in (("extend", None), ("relink",))] == [left_alone] * 2
    assert does(world, "revoke") == Done(1)
    with pytest.raises(FileGone):
        world.download(shown.url)


@pytest.mark.parametrize("at", [State.LINKED, State.REWRITTEN])
def test_what_is_being_worked_on_is_ended_or_counted(tmp_path: Path, at: State) -> None:
    """Links of ours end at any time, and the message keeps its originals; a store's own are told of."""
    world = delivered(tmp_path, audience="anyone", password=True)
    (shown,) = does(world, "shown")
    stands(world, at)
    assert [does(world, *each).passed for each in (("extend", None), ("relink",))] == [WORKING] * 2
    assert [*does(world, "passwords")] == [shown.url.rpartition("/")[0]]
    assert does(world, "revoke") == Done(1)
    world.run()
    assert state(world) is State.HELD
    with pytest.raises(FileGone):
        world.download(shown.url)


def test_a_stores_own_links_are_not_ended_under_a_step(tmp_path: Path) -> None:
    """It would find another link than it gave."""
    world = delivered(tmp_path, publishes=False)
    stands(world, State.LINKED)
    done = does(world, "revoke")
    assert (done.messages, done.passed) == (0, WORKING)
    world.run()
    assert does(world, "revoke") == Done(1)


@pytest.mark.parametrize("what", ["revoke", "relink"])
def test_what_a_store_lets_people_read_is_not_told_as_ended(what: str, tmp_path: Path) -> None:
    """A link that is the file's own address opens on: no event says otherwise, and no message is to show it anew."""

    class Plain(MemoryStore):
        def can_revoke(self, terms: LinkTerms) -> bool:
            return False

    world = delivered(tmp_path, publishes=False)
    world.store = Plain(files=world.store.files, shares=world.store.shares)
    done = does(world, what)
    why = "they open for whoever may read their files in the store, which has to end that right"
    assert (done.messages, done.passed, state(world)) == (0, {why: 1}, State.DONE)
    with world.ledger() as ledger:
        assert {each.name for each in ledger.events()}.isdisjoint({Event.LINK_REVOKED, Event.LINK_RENEWED})


def test_other_links_than_those_that_have_ended_open(tmp_path: Path) -> None:
    """As long as links of the rule do; what would have lasted longer ends as it was to."""
    world = delivered(tmp_path, audience="anyone", expires="30d")
    (old,) = world.book.of_tenant(TENANT)
    world.now = datetime.now(UTC)
    for end, becomes in ((-1, 30), (90, 90)):
        world.book.extend(old.id, world.now + timedelta(days=end))
        assert does(world, "relink") == Done(1)
        world.run()
        assert (state(world), world.lost()) == (State.DONE, [])
        (new,) = world.book.of_tenant(TENANT)
        assert new.expires
        assert abs(new.expires - world.now - timedelta(days=becomes)) < timedelta(hours=1)


@dataclass
class Reached:
    """A tenant: its store, its book and its links, as far as they are asked."""

    name: str
    down: bool
    asked: list[str] = field(default_factory=list)

    def revoke(self, folder: str) -> None:
        """Counted, and refused where it is down."""
        self.asked.append(folder)
        if self.down:
            raise Unavailable(f"the store of {self.name} is down")

    def can_revoke(self, terms: LinkTerms) -> bool:
        """All of them."""
        return True

    def links(self) -> "Reached":
        """Itself."""
        return self

    store = links

    def book(self) -> None:
        """The links are the store's own."""


def test_a_tenant_whose_links_are_its_stores_keeps_nobodys_from_lasting(tmp_path: Path) -> None:
    """It is passed over; only where there is nothing else is the call refused."""
    world = delivered(tmp_path, audience="anyone", expires="30d")
    plain: Any = Reached("plain", down=False)
    with world.ledger() as ledger:
        ledger.watch("plain/ben", tenant=plain.name, address="ben@example.org", now=world.now)
        other = replace(_only(ledger), id="0" * len(_only(ledger).id), source="plain/ben", revision=0)
        assert ledger.rebuild(other, "redirect.rebuilt", world.now)
        tenant: Any = House(world)
        upkeep = Upkeep((plain, tenant), ledger, world.now, "ada")
        assert upkeep.extend(Wanted(), None) == Done(
            1, Counter({"the store's own: let them last there, or `relink`": 1})
        )
        with pytest.raises(ValueError, match=r"the links are the store's own: let them last there, or `relink`"):
            upkeep.extend(Wanted(other.id), None)


@pytest.mark.parametrize("end", [Upkeep.revoke, Upkeep.relink])
def test_a_store_that_is_down_keeps_no_other_links_open(end: Callable[[Upkeep, Wanted], Done], tmp_path: Path) -> None:
    """It is asked once, and named; the same call ends the rest when it is back."""
    rules: Any = {"rules": [{"name": "all", "action": "redirect", "settle": 0}]}
    world = World(tmp_path / "ledger.db", Policy.model_validate(rules))
    world.deliver(Attached("a.pdf", b"%PDF-1.7 a"))
    world.deliver(Attached("b.pdf", b"%PDF-1.7 b"))
    world.run()
    down, up = Reached(TENANT, down=True), Reached("beta", down=False)
    with world.ledger() as ledger:
        ledger.watch("beta/ben", tenant="beta", address="ben@example.org", now=world.now)
        done = ledger.redirects(state=State.DONE)
        other = replace(done[0], id="f" * len(done[0].id), source="beta/ben", revision=0)
        assert ledger.rebuild(other, "redirect.rebuilt", world.now)
        upkeep = Upkeep(cast("Any", (down, up)), ledger, world.now, "ada")
        assert end(upkeep, Wanted()) == Done(1)
        assert (len(down.asked), up.asked) == (1, [other.folder])
        assert {name: str(error) for name, error in upkeep.missing.items()} == {TENANT: "the store of acme is down"}
