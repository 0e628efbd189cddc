"""Kill the real command on the wire, before and after what every kind of request does: nothing is lost, and it ends."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from connector.simulator import Exchange
from tests.crash.wire_observer import broken, litter, stored, through_exchangelib, unfinished
from tests.crash.wire_world import Struck, World, world
from tests.servers import DavServer

WHEN = ("before", "after")
TO_EXCHANGE = (
    *("GetFolder", "FindFolder", "SyncFolderItems"),
    *("GetItem", "GetAttachment", "UpdateItem", "DeleteAttachment"),
)
TO_STORE = (
    *("MKCOL file", "PUT file", "GET file", "MOVE file", "PROPFIND file"),
    *("MKCOL manifest", "PUT manifest", "GET manifest", "MOVE manifest", "PROPFIND manifest"),
    *("MKCOL generation", "PUT generation", "GET generation", "MOVE generation", "PROPFIND generation"),
    "DELETE generation",
)
EVERY = frozenset(Struck(*each) for each in product(TO_EXCHANGE + TO_STORE, WHEN))
#: Kills between two looks at everything.
LOOK = 25


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Without a judge: what is said here is judged elsewhere, and the schema would take most of the time."""
    with Exchange() as exchange:
        yield exchange


def kill(world: World, target: Struck, dice: random.Random) -> Struck | None:
    """One run, killed as near to this target as can be told beforehand."""
    if target.operation in TO_STORE:
        # A generation is claimed once for each start.
        request = 1 if "generation" in target.operation else dice.randint(1, 3)
        return world.run_killed_by_store(target.operation, request, target.when)
    return world.run_killed_by_exchange(dice.randint(1, 30), target.when)


def kill_everywhere(world: World, kills: int) -> Counter[Struck]:
    """Kill so often, and until every kind of request was struck on both sides; or until there is nothing left to do."""
    done=0
    dice = random.Random(1)
    struck: Counter[Struck] = Counter()
    while struck.total() < kills or EVERY - struck.keys():
        target = dice.choice(sorted(EVERY - struck.keys() or EVERY))
        hit = kill(world, target, dice)
        if hit is None:
            return struck
        struck[hit] += 1
        if not EVERY-struck.keys() and not done: done=1; print("covered", struck.total())
        if struck.total() % LOOK == 0:
            assert broken(world, through_exchangelib(world)) == [], f"after kill {struck.total()}, {hit}"
    return struck


def test_try(exchange: Exchange, apache: DavServer, tmp_path: Path) -> None:
    n, kills, th = int(os.environ.get("N", "20")), int(os.environ.get("K", "20")), int(os.environ.get("TH", "1"))
    import time
    with world(tmp_path, exchange, apache, n, th) as w:
        t=time.time()
        struck = kill_everywhere(w, kills)
        print(time.time()-t, struck.total())
        print(EVERY-struck.keys())
        sight=through_exchangelib(w)
        print(broken(w, sight))
        print(len(unfinished(w, sight)))
        t=time.time()
        print(w.run(), time.time()-t)
        print(len(w.said))
        sight = through_exchangelib(w)
        print(broken(w, sight), unfinished(w, sight))
        print(len(stored(w)), sum(len(l.redirectable) for l in w.letters), len(litter(w)))
