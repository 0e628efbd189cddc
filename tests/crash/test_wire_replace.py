"""Kill the real command on the wire where no message is edited in place: each is there, whole, and in the end once."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice

import pytest

from connector.simulator import Exchange
from tests.crash import test_wire
from tests.crash.wire_kills import both_sides, ends_by_itself, kill_at, kill_everywhere
from tests.crash.wire_observer import Seen, Sight, broken, stored, unfinished
from tests.crash.wire_world import MAILBOXES, Struck, World, letter, world
from tests.exchange import outlook
from tests.servers import DavServer

exchange = test_wire.exchange

MESSAGES, WAVE, KILLS = 200, 6, 20
#: After so many kills everything is looked at.
LOOK = 20
#: What the second way does and the first does not.
SWAPPING = ("CopyItem", "MoveItem", "DeleteItem")
EVERY = both_sides(SWAPPING)


@pytest.fixture
def besieged(exchange: Exchange, apache: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All mailboxes are worked on at the same time: a kill at one request hits the others anywhere."""
    with world(tmp_path_factory.mktemp("wire"), exchange, apache, rewrite="replace") as built:
        yield built


@pytest.mark.long
@pytest.mark.timeout(900)
def test_replacing_survives_kills_on_the_wire(besieged: World) -> None:
    """A message may be seen twice for a while, never not at all, and each that is seen gives all that was in it."""
    ends_by_itself(besieged, besiege(besieged), EVERY, KILLS)

    first, last = sights(besieged)
    assert first == last
    assert broken(besieged, last) == []
    assert unfinished(besieged, last) == []
    assert left_on_shelves(besieged) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)


def besiege(world: World) -> Counter[Struck]:
    """Kill it, while mail comes in."""
    mail = map(letter, range(MESSAGES))

    def more() -> bool:
        return world.deliver(islice(mail, WAVE))

    def look(killed: int) -> None:
        if killed % LOOK == 0:
            for sight in sights(world):
                assert broken(world, sight) == [], f"after {killed} kills"

    more()
    return kill_everywhere(EVERY, KILLS, partial(kill_at, world, work=40, files=0), more, look)


def sights(world: World) -> tuple[Sight, Sight]:
    """The messages of all inboxes: of those that are there twice, in the one sight the first, in the other the last."""
    fields = ("message_id", "body", "attachments")
    items = [item for mailbox in MAILBOXES for item in outlook(world.exchange, mailbox).inbox.all().only(*fields)]
    seen = [(each.message_id, Seen(each.body, frozenset(file.content for file in each.attachments))) for each in items]
    return dict(reversed(seen)), dict(seen)


def left_on_shelves(world: World) -> list[str]:
    """The shelves that were not cleared."""
    roots = (outlook(world.exchange, mailbox).root for mailbox in MAILBOXES)
    return [shelf.name for root in roots for home in root.glob("Connector") for shelf in home.children]
