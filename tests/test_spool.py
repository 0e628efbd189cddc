"""Bytes on their way: counted and hashed, and refused where there never will be room for them."""

import hashlib
import io
import shutil
import tempfile
from typing import NamedTuple

import pytest

from connector.errors import ConnectorError, Rejected, Unavailable
from connector.spool import spooled


class Disk(NamedTuple):
    """As `shutil.disk_usage` tells."""

    total: int
    used: int
    free: int


GB = 1024**3


def test_counts_and_hashes() -> None:
    """What was announced is not what counts."""
    with spooled(io.BytesIO(b"abc"), announced=5) as spool:
        assert (spool.size, spool.sha256, spool.content.read()) == (3, hashlib.sha256(b"abc").hexdigest(), b"abc")


@pytest.mark.parametrize(
    ("announced", "disk", "error"),
    [
        (250 * GB, Disk(100 * GB, 0, 100 * GB), Rejected),
        (50 * GB, Disk(100 * GB, 80 * GB, 20 * GB), Unavailable),
    ],
)
def test_no_room(monkeypatch: pytest.MonkeyPatch, announced: int, disk: Disk, error: type[ConnectorError]) -> None:
    """Not a byte is read, and the sentence says where to make room."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    stream = io.BytesIO(b"abc")
    with pytest.raises(error, match=tempfile.gettempdir()), spooled(stream, announced):
        pass
    assert stream.read() == b"abc"


def test_room_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file fits."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(100 * GB, 80 * GB, 20 * GB))
    with spooled(io.BytesIO(b"abc"), 10 * GB) as spool:
        assert spool.size == 3
