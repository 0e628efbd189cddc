"""Bytes on their way from a source to a store: counted and hashed as they pass, never whole in memory."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from connector.amounts import about
from connector.errors import Conflict, ConnectorError, Rejected, Unavailable

#: Up to here a spool lives in memory; beyond, in a temporary file that has no name.
IN_MEMORY = 8 * 1024 * 1024
#: Read, hashed and sent at once. A processor's cache holds so much; and quickXorHash takes it without a rest.
CHUNK = 25 * 160 * 128
#: What others on this machine are left with.
_RESERVE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spool:
    """The bytes of one file, with their true count and hash; read from their beginning as often as it takes."""

    content: BinaryIO
    size: int
    #: Tells the hash.
    hashed: Callable[[], str]
    #: It comes straight from its source: what its hash is takes reading all of it.
    passing: bool = False

    @property
    def sha256(self) -> str:
        """The hash of all of it. Before a large file has come by once, this takes reading it."""
        return self.hashed()


@contextmanager
def spooled(stream: BinaryIO, announced: int = 0, *, most: int | None = None) -> Iterator[Spool]:
    """All of `stream`. It is counted: the size that a source announces is not the byte count.

    What has more bytes than `most` is not read to its end, which may never come.

    A large file whose source reads it again from its beginning, which is what a `seekable` stream says, is not kept on
    the way: it comes from there as it is asked for. Then what the stream raises comes out of this context, whatever
    it passes in between: no store is to blame for it.

    Raises Unavailable where this machine has no room for what has to be kept; and Rejected, before it reads anything,
    where it never will have room for so many bytes as were announced.
    """
    size = stream.seek(0, io.SEEK_END) if stream.seekable() else 0
    with _passing(stream, size) if size > IN_MEMORY else _kept(stream, announced, most) as spool:
        yield spool


@contextmanager
def _kept(stream: BinaryIO, announced: int, most: int | None) -> Iterator[Spool]:
    if stream.seekable():
        stream.seek(0)
    _has_room(announced)
    digest = hashlib.sha256()
    size = 0
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as content:
        while (most is None or size <= most) and (chunk := stream.read(CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            _keep(content.write, chunk)
        _keep(content.seek, 0)  # This writes what a buffer still has.
        yield Spool(cast("BinaryIO", content), size, digest.hexdigest)


def _keep(call: Callable[[Any], object], argument: bytes | int) -> None:
    try:
        call(argument)
    except OSError as error:
        folder = tempfile.gettempdir()
        raise Unavailable(f"a file cannot be kept in {folder} on its way: {error.strerror}") from None


@contextmanager
def _passing(stream: BinaryIO, size: int) -> Iterator[Spool]:
    try:
        passing = _Passing(stream, size)
        yield Spool(cast("BinaryIO", passing), size, passing.sha256, passing=True)
    except _BrokeOff as broken:
        raise broken.error from None


class _BrokeOff(Exception):
    """What a source tells of a file, on its way out through the store that reads it. No store takes it for its own."""

    def __init__(self, error: ConnectorError) -> None:
        super().__init__(str(error))
        self.error = error


class _Passing(io.BufferedIOBase):
    """A file as its source gives it, and gives it again where somebody goes back in it.

    The last bytes are not handed out before the source has told that they are the last, and all of them right: until
    then whoever takes them in has a torn upload, and no file.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._sha256 = ""
        self._begin()

    def sha256(self) -> str:
        """Of all of it."""
        if not self._sha256:
            self.seek(0)
            self.seek(self._size)
        return self._sha256

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """What lies in between is read all the same, for its hash."""
        assert whence == io.SEEK_SET
        if place < self._at:
            self._begin()
        while self._at < place:
            self.read(min(CHUNK, place - self._at))
        return place

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._size - self._at
        wanted = left if size is None or size < 0 else min(size, left)
        with _told_apart():
            chunk = self._stream.read(wanted)
            if (wanted and not chunk) or (len(chunk) == left and self._stream.read(1)):
                raise Conflict("a file has another size than its source told when it was opened")
            self._at += len(chunk)
            self._digest.update(chunk)
            if self._at == self._size:
                self._end()
        return chunk

    def _begin(self) -> None:
        with _told_apart():
            self._stream.seek(0)
        self._at = 0
        self._digest = hashlib.sha256()

    def _end(self) -> None:
        before, self._sha256 = self._sha256, self._digest.hexdigest()
        if before not in ("", self._sha256):
            raise Conflict("a file changed while it was read")


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except ConnectorError as error:
        raise _BrokeOff(error) from None


def _has_room(announced: int) -> None:
    if announced <= IN_MEMORY:
        return
    folder = tempfile.gettempdir()
    disk = shutil.disk_usage(folder)
    if announced > disk.total - _RESERVE:
        raise Rejected(
            f"a file of {about(announced)} has no room in {folder} on its way: name a disk of more than"
            f" {about(announced + _RESERVE)} in TMPDIR, then release it"
        )
    if announced > disk.free - _RESERVE:
        short = announced + _RESERVE - disk.free
        raise Unavailable(f"{folder} has no room for a file on its way: free {about(short)} there")
