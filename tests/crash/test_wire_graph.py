"""Kill the real command on the wire where it speaks Graph: the same promise, and another protocol looks at it."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product

import pytest

from connector.simulator import Exchange
from tests.crash import test_wire
from tests.crash.wire_observer import broken, stored, through_exchangelib, unfinished
from tests.crash.wire_world import Struck, World, letter, world
from tests.servers import DavServer

exchange = test_wire.exchange

MESSAGES, WAVE, KILLS = 240, 10, 16
#: After so many kills everything is looked at.
LOOK = 8
#: What each start asks for its three mailboxes, before the work on messages begins.
START = 14
WORKING = ("GET messages", "GET attachments/$value", "PATCH messages", "DELETE attachments")
EVERY = frozenset(map(Struck._make, product(WORKING, ("before", "after"))))


@pytest.fixture
def besieged(exchange: Exchange, apache: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All mailboxes are worked on at the same time: a kill at one request hits the others anywhere."""
    with world(tmp_path_factory.mktemp("wire"), exchange, apache, protocol="graph") as built:
        yield built


@pytest.mark.long
@pytest.mark.timeout(600)
def test_graph_survives_kills_on_the_wire(besieged: World) -> None:
    """However often it is killed, every original is in its message or behind its link, and the next run goes on."""
    struck = kill_everywhere(besieged)
    assert struck.total() >= KILLS, besieged.said[-2000:]
    assert EVERY - struck.keys() == set(), besieged.said[-2000:]

    assert besieged.run() == 0, besieged.said[-2000:]

    sight = through_exchangelib(besieged)
    assert broken(besieged, sight) == []
    assert unfinished(besieged, sight) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)


def kill_everywhere(world: World) -> Counter[Struck]:
    """Kill so often, and until every kind of request was struck on both sides; or until nothing is left to do."""
    dice = random.Random(1)
    mail = map(letter, range(MESSAGES))
    struck: Counter[Struck] = Counter()
    world.deliver(islice(mail, WAVE))
    while struck.total() < KILLS or EVERY - struck.keys():
        when = dice.choice(sorted(EVERY - struck.keys() or EVERY)).when
        hit = world.run_killed_by_exchange(START + dice.randint(1, 40), when)
        if hit:
            struck[hit] += 1
        elif not world.deliver(islice(mail, WAVE)):
            break
        if struck.total() % LOOK == 0:
            assert broken(world, through_exchangelib(world)) == [], f"after {struck.total()} kills"
    return struck
