"""Kill the real command on the wire, before and after what every kind of request does: nothing is lost, and it ends."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice, product

import pytest

from connector.simulator import Exchange
from tests.crash.wire_kills import CLAIMING, STARTING, both_sides, ends_by_itself, kill_at, kill_everywhere
from tests.crash.wire_observer import broken, stored, through_exchangelib, through_imap, unfinished
from tests.crash.wire_world import Struck, World, letter, world
from tests.exchange import Login
from tests.servers import DavServer

#: One message for each kill.
KILLS = 200
#: New mail comes in so often that what a kill left half done is taken up, and killed again, before the next.
WAVE = 20
WORKING = ("GetItem", "GetAttachment", "UpdateItem", "DeleteAttachment")
STORING = tuple(map(" ".join, product(("MKCOL", "PUT", "GET", "MOVE", "PROPFIND"), ("file", "manifest"))))
EVERY = both_sides(STARTING + WORKING + CLAIMING + STORING)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Without the judge: what is said here is judged elsewhere, and the schema would take most of the time."""
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def besieged(exchange: Exchange, apache: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All mailboxes are worked on at the same time: a kill at one request hits the others anywhere."""
    with world(tmp_path_factory.mktemp("wire"), exchange, apache) as built:
        yield built


@pytest.mark.long
@pytest.mark.timeout(900)
def test_survives_kills_on_the_wire(besieged: World, davmail: Login) -> None:
    """However often it is killed, every original is in its message or behind its link, and the next run goes on."""
    ends_well(besieged, davmail, KILLS)


@pytest.mark.by_hand
@pytest.mark.timeout(0)
def test_survives_thousands_of_kills_on_the_wire(
    besieged: World, davmail: Login, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many as `CONNECTOR_KILLS` says."""
    struck = ends_well(besieged, davmail, int(os.environ.get("CONNECTOR_KILLS", "2000")))
    with capsys.disabled():
        print(f"\n{struck.total()} kills, {len(struck)} kinds")  # noqa: T201 - the proof of the run


def ends_well(besieged: World, davmail: Login, kills: int) -> Counter[Struck]:
    """So many kills, and the world that an outsider finds when all is done."""
    struck = besiege(besieged, kills)
    assert len(besieged.letters) == kills
    ends_by_itself(besieged, struck, EVERY, kills)

    for sight in (through_exchangelib(besieged), through_imap(besieged, davmail)):
        assert broken(besieged, sight) == []
        assert unfinished(besieged, sight) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)
    return struck


def besiege(world: World, kills: int) -> Counter[Struck]:
    """Kill it, while mail comes in."""
    mail = map(letter, range(kills))

    def more() -> bool:
        return world.deliver(islice(mail, WAVE))

    def look(killed: int) -> None:
        if killed % WAVE == 0:
            assert broken(world, through_exchangelib(world)) == [], f"after {killed} kills"
            more()

    more()
    return kill_everywhere(EVERY, kills, partial(kill_at, world, work=28, files=3), more, look)
