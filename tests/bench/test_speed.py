"""How much processor time connector needs, next to the same work done bare (`floor`) and done naively (`naive`).

Only the clients' own time counts, and only what was measured in one and the same run is compared: the least of three.
`CONNECTOR_BENCH=3` has three times as many messages.
"""

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.absent import absent
from tests.bench.conftest import figure
from tests.bench.floor import CALLS
from tests.bench.world import World, instructions, used, world

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

ROUNDS = range(3)
#: Of small files, whose times differ most from one moment to the next.
PAIRS = range(4)
SIDES = ("floor", "product")
_TIMES = int(os.environ.get("CONNECTOR_BENCH", "1"))
_BIG, _SMALL, _MANY, _FOLDERS = 4 * _TIMES, 40 * _TIMES, 1000 * _TIMES, 60
_FEW, _MORE = 5, 25
_MB = 1_000_000
#: Processor seconds for a GB, as they were found when the libraries were chosen: urllib3 and pybase64 down, sha256,
#: urllib3 up, and sha256 again; and for a request of urllib3. A floor that is slower by half is no floor.
_BIG_FACT, _CALL_FACT, _SLOWER = 2.1 + 0.64 + 0.61 + 0.64, 0.98e-3, 1.5


@pytest.fixture(scope="module")
def at() -> Iterator[Path]:
    """The servers, with all mail that is needed."""
    mail = {
        "copied": (1, _BIG, 25 * _MB, 0),
        "big": (len(ROUNDS), _BIG, 25 * _MB, 0),
        "bare": (len(PAIRS), _SMALL, 20_000, 0),
        "small": (len(PAIRS), _SMALL, 20_000, 0),
        "few": (len(SIDES), _FEW, 20_000, 0),
        "more": (len(SIDES), _MORE, 20_000, 0),
        "ten": (1, 1, 10 * _MB, 0),
        "huge": (1, 1, 150 * _MB, 0),
        "plain": (1, _MANY, 0, 0),
        "attached": (1, _MANY // 2, 100, 0),
        "idle": (1, _FOLDERS, 0, _FOLDERS),
    }
    with world(mail) as at:
        yield at


def least(*ran: dict[str, Any], per: str) -> float:
    """Seconds for each byte, message or tick, of the fastest."""
    return min(float(each["seconds"] / each[per]) for each in ran)


def test_big_files(at: Path) -> None:
    """25 MB each: against the floor, and against the naive composition, which proves nothing."""
    floors, naives, copies, wholes = [], [], [], []
    for each in ROUNDS:
        floors.append(used("floor", "big", "copied0@example.org", at=at))
        copies.append(used("product", "copy", f"big{each}@example.org", at=at))
        naives.append(used("naive", "copied0@example.org", at=at))
        wholes.append(used("product", "redirect", f"big{each}@example.org", at=at))
    size = floors[0]["bytes"]
    floor, naive, copy = (least(*each, per="bytes") * 1e9 for each in (floors, naives, copies))
    whole = min(each["seconds"] for each in wholes) / size * 1e9
    figure("25 MB: floor", f"{floor:.2f} s/GB", f"{floors[0]['calls']}")
    figure("25 MB: copy and proof", f"{copy:.2f} s/GB", f"{copy / floor:.2f} x floor, {copy / naive:.2f} x naive")
    figure("25 MB: whole redirect", f"{whole:.2f} s/GB", f"{whole / floor:.2f} x floor, {whole / naive:.2f} x naive")
    figure("25 MB: naive, unproved", f"{naive:.2f} s/GB", f"{naive / floor:.2f} x floor")
    assert floor <= _SLOWER * _BIG_FACT
    assert copy <= 1.5 * floor
    assert copy <= 0.4 * naive
    # With all that a message needs beside its bytes: rewrite, prune, manifest, ledger. 1.7 and 0.46 were measured.
    assert whole <= 2.4 * floor
    assert whole <= 0.65 * naive


def test_small_files(at: Path) -> None:
    """20 kB each: a whole redirect, with policy, ledger and all, against its bare calls."""
    floors, wholes = [], []
    for each in PAIRS:
        floors.append(used("floor", "small", f"bare{each}@example.org", at=at))
        wholes.append(used("product", "redirect", f"small{each}@example.org", at=at))
    floor, whole = (least(*each, per="messages") * 1e3 for each in (floors, wholes))
    # Pair by pair: a moment in which the machine is faster, or busy, would be in one of the two alone.
    ratios = sorted(least(a, per="messages") / least(b, per="messages") for a, b in zip(wholes, floors, strict=True))
    best, middle = ratios[0], median(ratios)
    calls = sum(map(len, CALLS.values()))
    figure("20 kB: floor", f"{floor:.1f} ms/message", f"{calls} calls: {floors[0]['calls']}")
    figure("20 kB: whole redirect", f"{whole:.1f} ms/message", f"{middle:.2f} x floor, {best:.2f} x at best")
    assert sum(floors[0]["calls"].values()) == calls * floors[0]["messages"]
    assert floor <= _SLOWER * _CALL_FACT * calls * 1e3
    # What is wanted is judged by `test_small_files_by_instructions`. Seconds depend on how much of a larger program the
    # servers, and whatever else the machine does, displace from its caches: the middle ones are at 1.9 to 2.8.
    assert best <= 3


def test_small_files_by_instructions(at: Path) -> None:
    """The same, as no other work on the machine can change it: what one message more takes."""
    if not shutil.which("valgrind"):
        absent("valgrind counts the instructions: apt-get install valgrind")
    asked = [
        (script, work, f"{mail}{number}@example.org")
        for number, (script, work) in enumerate((("floor", "small"), ("product", "redirect")))
        for mail in ("few", "more")
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        few_bare, more_bare, few, more = pool.map(lambda each: instructions(*each, at=at), asked)
    floor, whole = (number / (_MORE - _FEW) / 1e6 for number in (more_bare - few_bare, more - few))
    figure("20 kB: instructions", f"{whole:.1f} million", f"for a message: {whole / floor:.2f} x floor ({floor:.1f})")
    assert whole <= 2 * floor


def test_memory(at: Path) -> None:
    """It does not grow with the file."""
    ten, huge = (used("product", "redirect", f"{name}0@example.org", at=at)["memory"] / _MB for name in ("ten", "huge"))
    figure("memory at most", f"{huge:.0f} MB", f"with 150 MB in one file; {ten:.0f} MB with 10 MB")
    assert huge < 150
    assert abs(huge - ten) < 10


def test_listing(at: Path) -> None:
    """What a message costs that is only looked at."""
    for name, what in (("plain", "without attachments"), ("attached", "with an attachment")):
        floors, ours = ([used(script, "list", f"{name}0@example.org", at=at) for _ in ROUNDS] for script in SIDES)
        floor, cost = (least(*each, per="messages") * 1e6 for each in (floors, ours))
        figure("listing", f"{cost:.0f} us/message", f"{what}; {cost / floor:.1f} x floor")
        assert cost <= 5 * floor


def test_idle_mailbox(at: Path) -> None:
    """60 folders in which nothing happens: one request a tick."""
    before = _requests(at)
    warm = used("product", "poll", "idle0@example.org", at=at)
    ticks = warm["ticks"]
    after = _requests(at)
    figure("idle tick", f"{least(warm, per='ticks') * 1e3:.1f} ms", f"{_FOLDERS} folders")
    assert after[-ticks:] == ["FindFolder"] * ticks
    assert len(after) > len(before) + ticks


def _requests(at: Path) -> list[str]:
    with urllib.request.urlopen(World.read(str(at)).ews["control"]) as answer:
        return [each["operation"] for each in json.load(answer)["seen"]]
