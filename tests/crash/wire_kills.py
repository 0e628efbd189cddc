"""Where the plug is pulled on the wire: at every kind of request, before and after what it does."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product

from tests.crash.wire_world import Struck, World

#: What each start asks of Exchange for its three mailboxes: that many requests, before the work on messages begins.
STARTING = ("GetFolder", "FindFolder", "SyncFolderItems")
START = 12
#: What is asked of the store for the ledger's generation, once for each start.
CLAIMING = tuple(f"{method} generation" for method in ("PROPFIND", "MKCOL", "PUT", "GET", "MOVE", "DELETE"))


def both_sides(operations: Iterable[str]) -> frozenset[Struck]:
    """Before and after each of them."""
    return frozenset(map(Struck._make, product(operations, ("before", "after"))))


def kill_everywhere(
    every: frozenset[Struck],
    kills: int,
    kill: Callable[[Struck, random.Random], Struck | None],
    more: Callable[[], bool],
    look: Callable[[int], None],
) -> Counter[Struck]:
    """Kill so often, and until each of `every` was struck; or until a run ends by itself and there is no `more` to do.

    `look` is told after each kill how many there were.
    """
    dice = random.Random(1)
    struck: Counter[Struck] = Counter()
    while struck.total() < kills or every - struck.keys():
        target = dice.choice(sorted(every - struck.keys() or every))
        if hit := kill(target, dice):
            struck[hit] += 1
            look(struck.total())
        elif not more():
            break
    return struck


def kill_at(world: World, target: Struck, dice: random.Random, *, work: int, files: int) -> Struck | None:
    """One run, killed as near to the target as can be told beforehand; None where it ended by itself.

    After its start, a run asks Exchange for about so much `work`; of the store it asks the same for so many `files`.
    """
    if target.operation in STARTING:
        return world.run_killed_by_exchange(dice.randint(1, START), target.when)
    if target.operation in CLAIMING:
        return world.run_killed_by_store(target.operation, 1, target.when)
    if " " in target.operation:  # A method, and what it is about.
        return world.run_killed_by_store(target.operation, dice.randint(1, files), target.when)
    return world.run_killed_by_exchange(START + dice.randint(1, work), target.when)


def ends_by_itself(world: World, struck: Counter[Struck], every: frozenset[Struck], kills: int) -> None:
    """Everything was struck, and often enough; and the next run comes to its end."""
    assert struck.total() >= kills, world.said[-2000:]
    assert every - struck.keys() == set(), world.said[-2000:]
    assert world.run() == 0, world.said[-2000:]
