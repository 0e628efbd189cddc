"""What operators do to links that messages show: nothing is passed over without a word, and nothing stays open."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import FileGone
from connector.flow.decisions import Wanted
from connector.ledger import Ledger
from connector.links.book import Book
from connector.links.publishing import Publisher
from connector.log import Event
from connector.model import Redirect, State
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
