"""connector against rclone: the same files of the same drive, into the same store, in one run, each byte proved.

rclone copies, and then `check --download` reads both sides again and compares them. connector reads the drive once, by
its quickXorHash, and holds what the store gives back against the sha256 of that. Both speak TLS to the drive; rclone
through a proxy, as it knows only Microsoft's own hosts. What counts is the clients' processor time, the lesser of two.
`CONNECTOR_BENCH=3` has three times as many files.
"""

import json
import os
import resource
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.bench.conftest import figure
from tests.bench.world import drive_world, used
from tests.rclone import Rclone, need_rclone
from tests.servers import DavServer
from tests.tunnel import Authority, tunnel

pytestmark = [pytest.mark.bench, pytest.mark.by_hand, pytest.mark.timeout(600)]

_ROUNDS = range(2)
_TIMES = int(os.environ.get("CONNECTOR_BENCH", "1"))


#: Wanted is 1 for both, and most runs have it; what else the machine does moves it up and down.
@pytest.mark.parametrize(
    ("what", "files", "size", "least"), [("25 MB", 4 * _TIMES, 25_000_000, 0.85), ("20 kB", 150 * _TIMES, 20_000, 0.9)]
)
def test_against_rclone(what: str, files: int, size: int, least: float) -> None:
    """How many bytes, or files, for each second of the processor."""
    need_rclone()
    ours, theirs = [], []
    with drive_world(files, size, tls=True) as at:
        for number in _ROUNDS:
            theirs.append(_rclone(at, f"rclone-{number}"))
            ours.append(used("drive", "copy", f"connector-{number}", at=at))
        whole = used("drive", "tick", "whole", at=at)["seconds"]
    assert {(each["files"], each["bytes"]) for each in ours} == {(files, files * size)}
    told = {
        "copy and proof": min(each["seconds"] for each in ours),
        "with a ledger": whole,
        "rclone": min(theirs),
    }
    for name, seconds in told.items():
        cost = f"{seconds / files * 1e3:.1f} ms/file, {seconds / files / size * 1e9:.1f} s/GB"
        figure(f"{what}: {name}", cost, f"{told['rclone'] / seconds:.2f} x as much as rclone for each second")
    assert told["rclone"] / told["copy and proof"] >= least


def _rclone(at: Path, folder: str) -> float:
    """Processor seconds of both its processes, without their start: of ours, that does not count either."""
    world = json.loads(at.read_text())
    store = DavServer("apache", folder=at.parent / "files", **world["dav"])
    with tunnel(urlsplit(world["graph"]).port or 0) as proxy:
        authority = Authority.read(at.parent)
        rclone = Rclone(at.parent, proxy, authority, drive=world["drive"], token=world["token"], store=store)
        started, copied = _spent(rclone, "version"), _spent(rclone, "copy", "drive:", f"store:{folder}")
        checked = _spent(rclone, "check", "--download", "drive:", f"store:{folder}")
    return copied + checked - 2 * started


def _spent(rclone: Rclone, *arguments: str) -> float:
    """Of one process. The servers go on, and do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    rclone.run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
