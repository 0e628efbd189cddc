"""Bytes on their way from a source to a store: counted and hashed once, never whole in memory."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from connector.errors import Rejected, Unavailable

#: Up to here a spool lives in memory; beyond, in a temporary file that has no name.
IN_MEMORY = 8 * 1024 * 1024
CHUNK = 1024 * 1024
#: What others on this machine are left with.
_RESERVE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spool:
    """The bytes of one file, complete, with their true count and hash."""

    content: BinaryIO
    size: int
    sha256: str


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many, and none at the end."""
        ...


@contextmanager
def spooled(stream: Readable, announced: int = 0) -> Iterator[Spool]:
    """Read `stream` to its end and count: the size that a source announces is not the byte count.

    Raises Unavailable where this machine has no room for it; and Rejected, before it reads anything, where it never
    will have room for so many bytes as were announced.
    """
    _has_room(announced)
    digest = hashlib.sha256()
    size = 0
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as content:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            try:
                content.write(chunk)
            except OSError as error:
                folder = tempfile.gettempdir()
                raise Unavailable(f"a file cannot be kept in {folder} on its way: {error.strerror}") from None
        content.seek(0)
        yield Spool(cast("BinaryIO", content), size, digest.hexdigest())


def _has_room(announced: int) -> None:
    if announced <= IN_MEMORY:
        return
    folder = tempfile.gettempdir()
    disk = shutil.disk_usage(folder)
    if announced > disk.total - _RESERVE:
        size = f"{announced / 1024**3:.1f} GB"
        raise Rejected(
            f"a file of {size} has no room in {folder} on its way: name a larger disk in TMPDIR, then release it"
        )
    if announced > disk.free - _RESERVE:
        raise Unavailable(f"{folder} has no room for a file on its way: free {announced / 1024**3:.1f} GB there")
