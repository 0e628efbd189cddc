"""Kill the real command on the wire while it puts attachments back: nothing is lost, and nothing comes back twice."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any

import pytest

from tests.crash import test_wire
from tests.crash.test_wire import CLAIMING, START, STARTING
from tests.crash.wire_observer import broken, stored, through_exchangelib
from tests.crash.wire_world import MAILBOXES, Letter, Struck, World, letter
from tests.exchange import outlook

exchange, besieged = test_wire.exchange, test_wire.besieged

#: So many are redirected first; more come where a run ends by itself, until the last of them has been put back.
MESSAGES, MOST, WAVE = 60, 200, 20
KILLS = 60
#: After so many kills everything is looked at.
LOOK = 6
WORKING = ("GetItem", "GetAttachment", "CreateAttachment", "UpdateItem")
STORING = ("GET file", "MKCOL file", *(f"{method} manifest" for method in ("MKCOL", "PUT", "GET", "MOVE", "PROPFIND")))
EVERY = frozenset(map(Struck._make, product(STARTING + WORKING + CLAIMING + STORING, ("before", "after"))))

#: Name, content type, content id, whether it is inline, and the bytes.
Attached = tuple[str, str, str, bool, bytes]


@pytest.mark.timeout(600)
def test_restore_survives_kills_on_the_wire(besieged: World) -> None:
    """However often it is killed, a file is in its message once or behind its link; in the end all is as delivered."""
    struck = kill_everywhere(besieged)
    assert struck.total() >= KILLS, besieged.said[-2000:]
    assert EVERY - struck.keys() == set(), besieged.said[-2000:]

    assert besieged.run() == 0, besieged.said[-2000:]
    for _ in range(2):  # The links that are left leave; then nothing is redirected again.
        assert besieged.run() == 0, besieged.said[-2000:]
        assert changed(besieged) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)


def kill_everywhere(world: World) -> Counter[Struck]:
    """Kill so often, and until every kind of request was struck on both sides; or until nothing is left to do."""
    dice = random.Random(1)
    mail = map(letter, range(MOST))
    struck: Counter[Struck] = Counter()
    redirect_and_recall(world, islice(mail, MESSAGES))
    while struck.total() < KILLS or EVERY - struck.keys():
        target = dice.choice(sorted(EVERY - struck.keys() or EVERY))
        # Where the first run ends by itself, the links are still to leave.
        if hit := kill(world, target, dice) or kill(world, target, dice):
            struck[hit] += 1
        elif not redirect_and_recall(world, islice(mail, WAVE)):
            break
        if struck.total() % LOOK == 0:
            assert wrong(world) == [], f"after {struck.total()} kills"
    return struck


def redirect_and_recall(world: World, letters: Iterable[Letter]) -> bool:
    """Mail comes in, if there is any, and is redirected undisturbed; then all of it is wanted back."""
    if not world.deliver(letters):
        return False
    assert world.run() == 0, world.said[-2000:]
    restore = world.command("restore", "--everything")
    restore.join()
    assert restore.exitcode == 0, world.said[-2000:]
    return True


def kill(world: World, target: Struck, dice: random.Random) -> Struck | None:
    """One run, killed as near to the target as can be told beforehand; None where it ended by itself."""
    if target.operation in STARTING:
        return world.run_killed_by_exchange(dice.randint(1, START), target.when)
    if target.operation in WORKING:
        return world.run_killed_by_exchange(START + dice.randint(1, 16), target.when)
    request = 1 if target.operation in CLAIMING else dice.randint(1, 2)
    return world.run_killed_by_store(target.operation, request, target.when)


# --- what an outsider sees ----------------------------------------------------------------------------------------


def wrong(world: World) -> list[str]:
    """Where the promise does not hold. Has to be empty at any moment."""
    numbers = {letter.id: len(letter.files) for letter in world.letters}
    listed = _listed(world, "message_id", "attachments")
    twice = [item.message_id for item in listed if len(item.attachments) > numbers[item.message_id]]
    return broken(world, through_exchangelib(world)) + [f"{each}: a file is in it twice" for each in twice]


def changed(world: World) -> list[str]:
    """The messages that are not what they were when they were delivered. Has to be empty in the end."""
    delivered = {letter.id: (letter.body, sorted(_delivered(letter))) for letter in world.letters}
    return [
        item.message_id
        for item in _listed(world, "message_id", "body", "attachments")
        if (item.body, sorted(_attached(item))) != delivered[item.message_id]
    ]


def _listed(world: World, *fields: str) -> Iterator[Any]:
    """All messages, as their owners see them in Outlook."""
    return (item for mailbox in MAILBOXES for item in outlook(world.exchange, mailbox).inbox.all().only(*fields))


def _delivered(letter: Letter) -> Iterator[Attached]:
    for file in letter.files:
        kind = "image/png" if file.inline else "application/octet-stream"
        yield file.name, kind, file.content_id, file.inline, file.content


def _attached(item: Any) -> Iterator[Attached]:
    for each in item.attachments:
        yield each.name, each.content_type, each.content_id or "", each.is_inline, each.content
