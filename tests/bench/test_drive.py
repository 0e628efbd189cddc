"""What a drive costs, at first and when idle: ten times as many files, or one huge file, take no more memory."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from connector.simulator.content import Seeded
from connector.sources.teams.drive import PAGE
from tests.bench.conftest import figure
from tests.bench.world import drive_world, told_by, used

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_BY_HAND = pytest.param(5_000, 50_000, marks=pytest.mark.by_hand)
_ALONE = [pytest.mark.by_hand, pytest.mark.timeout(3600)]
_GB = 1_000_000_000


def _passes(items: int) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """How many folders there are at most; what a first pass took, and then an idle delta."""
    with drive_world(items) as at:
        first, idle = told_by("drive", "pass", "-", at=at)
        return json.loads(at.read_bytes())["folders"], first, idle


@pytest.mark.parametrize(("few", "many"), [(500, 5_000), _BY_HAND])
def test_large_drive(few: int, many: int) -> None:
    """A request for each page, and the memory of a page and of the folders; nothing new takes one request."""
    memory = []
    for items in (few, many):
        folders, first, idle = _passes(items)
        memory.append(idle["memory"] / 1e6)
        told = f"{first['requests']} requests; idle: {idle['requests']}, {idle['seconds'] * 1e3:.1f} ms"
        figure(f"drive of {items}", f"{first['seconds']:.2f} s, {memory[-1]:.0f} MB", told)
        assert first["items"] == items
        assert idle["items"] == 0
        assert idle["requests"] == 1
        assert first["requests"] <= (items + folders) / PAGE + 5
    assert memory[1] - memory[0] < 10


@pytest.mark.parametrize(
    "size", [_GB // 4, *(pytest.param(size, marks=_ALONE) for size in (_GB, 10 * _GB))], ids=["short", "1 GB", "10 GB"]
)
def test_huge_file(size: int) -> None:
    """One file of bytes that nothing compresses, by a real tick into a real store: no more memory than a small one."""
    with drive_world(1, size) as at:
        told = used("drive", "tick", "huge", at=at)
        (stored,) = (at.parent / "files").rglob("*.bin")
        assert _sha256(stored) == _sha256(Seeded(size, seed=0))
    memory = told["memory"] / 1e6
    figure(f"file of {size / _GB:.2f} GB", f"{memory:.0f} MB at most", f"{told['seconds'] / size * _GB:.2f} s/GB")
    assert memory < 150


def _sha256(content: Path | Seeded) -> str:
    digest = hashlib.sha256()
    if isinstance(content, Seeded):
        for chunk in content.chunks():
            digest.update(chunk)
        return digest.hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
