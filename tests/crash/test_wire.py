"""Kill the real command on the wire, before and after what every kind of request does: nothing is lost, and it ends."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product

import pytest

from connector.simulator import Exchange
from tests.crash.wire_observer import broken, stored, through_exchangelib, through_imap, unfinished
from tests.crash.wire_world import Struck, World, letter, world
from tests.exchange import Login
from tests.servers import DavServer

#: One message for each kill.
KILLS = 200
#: New mail comes in so often that what a kill left half done is taken up, and killed again, before the next.
WAVE = 20
#: What each start asks of Exchange for its three mailboxes: that many requests, before the work on messages begins.
STARTING = ("GetFolder", "FindFolder", "SyncFolderItems")
START = 12
WORKING = ("GetItem", "GetAttachment", "UpdateItem", "DeleteAttachment")
#: What is asked of the store: for the ledger's generation, once for each start, and for every message.
CLAIMING = tuple(f"{method} generation" for method in ("PROPFIND", "MKCOL", "PUT", "GET", "MOVE", "DELETE"))
STORING = tuple(map(" ".join, product(("MKCOL", "PUT", "GET", "MOVE", "PROPFIND"), ("file", "manifest"))))
EVERY = frozenset(map(Struck._make, product(STARTING + WORKING + CLAIMING + STORING, ("before", "after"))))


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
    struck = kill_everywhere(besieged, kills)
    assert len(besieged.letters) == kills
    assert struck.total() >= kills, besieged.said[-2000:]
    assert EVERY - struck.keys() == set(), besieged.said[-2000:]

    assert besieged.run() == 0, besieged.said[-2000:]

    for sight in (through_exchangelib(besieged), through_imap(besieged, davmail)):
        assert broken(besieged, sight) == []
        assert unfinished(besieged, sight) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)
    return struck


def kill_everywhere(world: World, kills: int) -> Counter[Struck]:
    """Kill so often, and until every kind of request was struck on both sides; or until nothing is left to do."""
    dice = random.Random(1)
    mail = map(letter, range(kills))
    struck: Counter[Struck] = Counter()
    while struck.total() < kills or EVERY - struck.keys():
        if struck.total() % WAVE == 0:
            assert broken(world, through_exchangelib(world)) == [], f"after {struck.total()} kills"
            world.deliver(islice(mail, WAVE))
        hit = kill(world, dice.choice(sorted(EVERY - struck.keys() or EVERY)), dice)
        if hit:
            struck[hit] += 1
        elif not world.deliver(islice(mail, WAVE)):
            break
    return struck


def kill(world: World, target: Struck, dice: random.Random) -> Struck | None:
    """One run, killed as near to the target as can be told beforehand; None where it ended by itself."""
    if target.operation in STARTING:
        return world.run_killed_by_exchange(dice.randint(1, START), target.when)
    if target.operation in WORKING:
        return world.run_killed_by_exchange(START + dice.randint(1, 28), target.when)
    request = 1 if target.operation in CLAIMING else dice.randint(1, 3)
    return world.run_killed_by_store(target.operation, request, target.when)
