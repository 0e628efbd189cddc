"""rclone takes a simulated drive for one of SharePoint's: it copies it down and up, and checks every hash."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.simulator import Deviation, Exchange
from connector.simulator.content import Seeded
from connector.simulator.graph.files.drive import Drive
from connector.simulator.graph.login import issue
from tests.graph import GraphJudge
from tests.rclone import Rclone, need_rclone
from tests.tunnel import Authority, tunnel

_FILES = {
    "General/empty.txt": b"",
    "General/Q1 & Q2/né #1 100%.pdf": b"%PDF-1.7 numbers",
    "General/a/b/c/d/e/f/deep.bin": b"\x00\x01" * 700,
}


@pytest.fixture
def exchange(tmp_path: Path, graph_judge: GraphJudge) -> Iterator[Exchange]:
    """The simulator as rclone reaches it."""
    with Exchange(tls=Authority.of(tmp_path).tls, graph_witness=graph_judge.witness) as exchange:
        exchange.order(deviate={Deviation.TOLERANT_URLS: True})
        yield exchange


@pytest.fixture
def drive(exchange: Exchange) -> Drive:
    """A drive with files."""
    drive = exchange.add_team("Plans", {"anna@example.org": "owner"}).drive
    for path, content in _FILES.items():
        drive.upload(path, content, "anna@example.org")
    drive.upload("General/big.bin", Seeded(11 * 1024**2 + 17, seed=4))
    return drive


@pytest.fixture
def rclone(exchange: Exchange, drive: Drive, tmp_path: Path) -> Iterator[Rclone]:
    """Rclone with that drive."""
    need_rclone()
    with tunnel(int(exchange.graph.split(":")[2].partition("/")[0])) as proxy:
        token = issue(exchange._organisation.tenant)
        yield Rclone(tmp_path, proxy, Authority.read(tmp_path), drive=drive.id, token=token)


def stored(drive: Drive) -> dict[str, bytes]:
    """All files of a drive."""
    files = (item for item in drive.root.below() if not item.is_folder)
    return {item.path: b"".join(item.version.content.chunks()) for item in files}


def test_a_drive_comes_down(rclone: Rclone, drive: Drive, tmp_path: Path) -> None:
    """All files with all bytes, and rclone finds every quickXorHash right."""
    rclone.run("copy", "drive:", str(tmp_path / "down"))
    checked = rclone.run("check", "drive:", str(tmp_path / "down"), "-v")

    down = {each: (tmp_path / "down" / each).read_bytes() for each in stored(drive)}
    assert down == stored(drive)
    assert "4 matching files" in checked


def test_files_go_up(rclone: Rclone, drive: Drive, tmp_path: Path) -> None:
    """Small ones at once, bigger ones by an upload session; what is moved and deleted is so."""
    up = tmp_path / "up"
    up.mkdir()
    (up / "small.txt").write_bytes(b"small")
    (up / "big.bin").write_bytes(b"".join(Seeded(6 * 1024**2 + 3, seed=5).chunks()))

    rclone.run("copy", str(up), "drive:General/Up", "--onedrive-chunk-size", "1280k")
    rclone.run("moveto", "drive:General/Up/small.txt", "drive:General/moved.txt")
    rclone.run("deletefile", "drive:General/empty.txt")

    found = stored(drive)
    assert found["General/Up/big.bin"] == (up / "big.bin").read_bytes()
    assert found["General/moved.txt"] == b"small"
    assert "General/empty.txt" not in found
    assert len(drive.recycled) == 1
