"""Kill the real command on the wire while it puts attachments back: nothing is lost, and nothing comes back twice."""

import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.crash import test_wire
from tests.crash.wire_kills import CLAIMING, STARTING, both_sides, ends_by_itself, kill_at, kill_everywhere
from tests.crash.wire_observer import broken, stored, through_exchangelib
from tests.crash.wire_world import MAILBOXES, Letter, Struck, World, letter
from tests.exchange import outlook

exchange, besieged = test_wire.exchange, test_wire.besieged

#: So many are redirected first; more come where a run ends by itself, at most so many for each kill.
MESSAGES, MOST_FOR_EACH, WAVE = 60, 3, 20
KILLS = 60
#: After so many kills everything is looked at.
LOOK = 6
WORKING = ("GetItem", "GetAttachment", "CreateAttachment", "UpdateItem")
STORING = ("GET file", "MKCOL file", *(f"{method} manifest" for method in ("MKCOL", "PUT", "GET", "MOVE", "PROPFIND")))
EVERY = both_sides(STARTING + WORKING + CLAIMING + STORING)

#: Name, content type, content id, whether it is inline, and the bytes.
Attached = tuple[str, str, str, bool, bytes]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_restore_survives_kills_on_the_wire(besieged: World) -> None:
    """However often it is killed, a file is in its message once or behind its link; in the end all is as delivered."""
    ends_well(besieged, KILLS)


@pytest.mark.by_hand
@pytest.mark.timeout(0)
def test_restore_survives_thousands_of_kills_on_the_wire(besieged: World, capsys: pytest.CaptureFixture[str]) -> None:
    """As many as `CONNECTOR_KILLS` says."""
    struck = ends_well(besieged, int(os.environ.get("CONNECTOR_KILLS", "2000")))
    with capsys.disabled():
        print(f"\n{struck.total()} kills, {len(struck)} kinds")  # noqa: T201 - the proof of the run


def ends_well(besieged: World, kills: int) -> Counter[Struck]:
    """So many kills, and the world that an outsider finds when all is done."""
    struck = besiege(besieged, kills)
    ends_by_itself(besieged, struck, EVERY, kills)
    for _ in range(2):  # The links that are left leave; then nothing is redirected again.
        assert besieged.run() == 0, besieged.said[-2000:]
        assert changed(besieged) == []
    assert stored(besieged) == sorted(content for letter in besieged.letters for content in letter.redirectable)
    return struck


def besiege(world: World, kills: int) -> Counter[Struck]:
    """Kill it, while mail is redirected and wanted back."""
    mail = map(letter, range(MESSAGES + MOST_FOR_EACH * kills))

    def kill(target: Struck, dice: random.Random) -> Struck | None:
        # Where the first run ends by itself, the links are still to leave.
        runs = (kill_at(world, target, dice, work=16, files=2) for _ in range(2))
        return next(filter(None, runs), None)

    def look(killed: int) -> None:
        if killed % LOOK == 0:
            assert wrong(world) == [], f"after {killed} kills"

    redirect_and_recall(world, islice(mail, MESSAGES))
    return kill_everywhere(EVERY, kills, kill, lambda: redirect_and_recall(world, islice(mail, WAVE)), look)


def redirect_and_recall(world: World, letters: Iterable[Letter]) -> bool:
    """Mail comes in, if there is any, and is redirected undisturbed; then all of it is wanted back."""
    if not world.deliver(letters):
        return False
    assert world.run() == 0, world.said[-2000:]
    restore = world.command("restore", "--everything")
    restore.join()
    assert restore.exitcode == 0, world.said[-2000:]
    return True


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
