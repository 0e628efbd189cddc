"""Bytes on their way: counted and hashed, kept only where they cannot be read again, and never called the store's."""

import errno
import hashlib
import io
import os
import shutil
import tempfile
from typing import BinaryIO, NamedTuple, cast

import pytest

from connector.errors import Conflict, ConnectorError, Rejected, Unavailable
from connector.spool import CHUNK, IN_MEMORY, spooled


class Disk(NamedTuple):
    """As `shutil.disk_usage` tells."""

    total: int
    used: int
    free: int


GB = 1024**3
#: Too large to be kept in memory.
LARGE = os.urandom(IN_MEMORY + CHUNK + 7)


class Changing(io.BytesIO):
    """A file of which each pass gives other bytes, as many as were told at first."""

    def __init__(self, *passes: bytes) -> None:
        super().__init__(passes[0])
        self._passes = iter(passes)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """The next pass begins."""
        if whence == io.SEEK_SET:
            super().__init__(next(self._passes))
        return super().seek(place, whence)


class Endless(io.RawIOBase):
    """A file whose end never comes."""

    given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Never nothing."""
        self.given += size
        return bytes(size)


class BreaksOff(io.BytesIO):
    """A file that cannot be read beyond a place."""

    def __init__(self, data: bytes, place: int, error: Exception) -> None:
        super().__init__(data)
        self._place, self._error = place, error

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to there."""
        if self.tell() >= self._place:
            raise self._error
        return super().read(size)


def read_through(content: BinaryIO, given: list[int], times: int = 1) -> None:
    """As a store does it, which takes the errors that it knows for its own. The last pass is remembered."""
    try:
        for _ in range(times):
            given.clear()
            content.seek(0)
            while piece := content.read(CHUNK):
                given.append(len(piece))
    except ConnectorError:
        pytest.fail("it was taken for an error of the store")


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be kept."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, 0))
    monkeypatch.delattr(tempfile, "SpooledTemporaryFile")


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


# --- what its source reads again ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_disk")
def test_a_large_file_that_can_be_read_again_is_not_kept() -> None:
    """It comes from its source as often as it takes, in order or not; its hash, too."""
    hashed = hashlib.sha256(LARGE).hexdigest()
    with spooled(io.BytesIO(LARGE), announced=250 * GB) as spool:
        assert spool.size == len(LARGE)
        assert spool.content.read() == LARGE
        assert (spool.content.read(), spool.content.read(5), spool.sha256) == (b"", b"", hashed)
        for start in (0, 1000, 5_000_000, 4_000_000, len(LARGE)):
            spool.content.seek(start)
            assert spool.content.read(3_000_000) == LARGE[start : start + 3_000_000]
    with spooled(io.BytesIO(LARGE)) as spool:
        spool.content.read(10)
        assert spool.sha256 == hashed


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY])
def test_a_small_file_is_read_once(size: int) -> None:
    """Whether it can be read again or not."""
    stream = io.BytesIO(LARGE[:size])
    with spooled(stream) as spool:
        stream.close()
        assert spool.content.read() == LARGE[:size]


@pytest.mark.usefixtures("no_disk")
@pytest.mark.parametrize("second", [LARGE + b"!", LARGE[:-1], LARGE[1:] + b"!"])
def test_a_file_that_changes_between_two_readings(second: bytes) -> None:
    """Conflict, and nobody ever has all the bytes that were told."""
    given: list[int] = []
    with pytest.raises(Conflict), spooled(Changing(LARGE, second)) as spool:
        read_through(spool.content, given, times=2)
    assert sum(given) < len(LARGE)


@pytest.mark.usefixtures("no_disk")
@pytest.mark.parametrize("place", [0, CHUNK, len(LARGE)])
def test_what_a_source_tells_is_nobody_elses(place: int) -> None:
    """Whoever reads it in between does not take it for a failure of his own; and the last bytes wait for the source."""
    told = Unavailable("the connection was cut")
    given: list[int] = []
    with pytest.raises(Unavailable) as raised, spooled(BreaksOff(LARGE, place, told)) as spool:
        read_through(spool.content, given)
    assert raised.value is told
    assert sum(given) < len(LARGE)


@pytest.mark.usefixtures("no_disk")
def test_what_is_no_error_of_a_source_stays_what_it_is() -> None:
    """A bug in an adapter, and what a store tells."""
    with pytest.raises(ZeroDivisionError), spooled(BreaksOff(LARGE, 0, ZeroDivisionError())) as spool:
        spool.content.read()
    with pytest.raises(Unavailable, match="store"), spooled(io.BytesIO(LARGE)):
        raise Unavailable("the store is full")


def test_what_never_ends_is_not_read_to_its_end() -> None:
    """Whoever knows how many bytes there should be sees that they are others, and no disk is filled."""
    endless = Endless()
    with spooled(cast("BinaryIO", endless), most=10) as spool:
        assert spool.size > 10
    assert endless.given == CHUNK


def test_a_disk_that_is_full_at_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer writes it when the file is rewound: that is the disk's fault too."""

    class Full(tempfile.SpooledTemporaryFile[bytes]):
        def seek(self, *_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(Unavailable, match="No space left"), spooled(io.BytesIO(b"x")):
        pass
