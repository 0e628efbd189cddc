"""What a drive costs, at first and when idle: ten times as many files take no more memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connector.sources.teams.drive import PAGE
from tests.bench.conftest import figure

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
_BY_HAND = pytest.param(5_000, 50_000, marks=pytest.mark.by_hand)


def _passes(items: int, folder: Path) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """How many folders there are at most; what a first pass took, and then an idle delta."""
    command = [sys.executable, "-m", "tests.bench.share", str(items)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as share:
        assert share.stdin
        assert share.stdout
        world = folder / f"{items}.json"
        world.write_bytes(share.stdout.readline())
        client = [sys.executable, "-m", "tests.bench.drive", str(world)]
        ran = subprocess.run(client, stdout=subprocess.PIPE, check=True, cwd=_ROOT)
        share.stdin.close()
    first, idle = map(json.loads, ran.stdout.splitlines())
    return json.loads(world.read_bytes())["folders"], first, idle


@pytest.mark.parametrize(("few", "many"), [(500, 5_000), _BY_HAND])
def test_large_drive(few: int, many: int, tmp_path: Path) -> None:
    """Memory is that of a page and of the folders; nothing new takes one request."""
    memory = []
    for items in (few, many):
        folders, first, idle = _passes(items, tmp_path)
        memory.append(idle["memory"] / 1e6)
        told = f"{first['requests']} requests; idle: {idle['requests']}, {idle['seconds'] * 1e3:.1f} ms"
        figure(f"drive of {items}", f"{first['seconds']:.2f} s, {memory[-1]:.0f} MB", told)
        assert first["items"] == items
        assert idle["items"] == 0
        assert idle["requests"] == 1
        assert first["requests"] <= (items + folders) / PAGE + folders + 5
    assert memory[1] - memory[0] < 10
