"""What is packed in winmail.dat, as files: `connector.content.tnef` takes them out, and is never believed.

It runs as a process of its own (`connector.content.confined`). The same bytes give the same files.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO, cast

from pydantic import BaseModel, NonNegativeInt, ValidationError

from connector.content.confined import Limits, run
from connector.content.tnef import Refusal
from connector.errors import Unavailable
from connector.guards import guard_of_item
from connector.model import Direction, File, Message
from connector.spool import Spool, spooled

#: Nothing in winmail.dat is compressed: more than went in never comes out.
LIMITS = Limits(size=48 * 1024 * 1024)
MOST_FILES = 1000
COMMAND = (sys.executable, "-I", "-m", "connector.content.tnef")

#: Room for the index.
_INDEX = 1024 * 1024
_LENGTH = 8
_REASONS: Mapping[int, str] = {
    Refusal.NOT_UNDERSTOOD: "winmail.dat is cut off, damaged, or something else",
    Refusal.NO_FILE: "winmail.dat holds a message or an object, which is no file",
    Refusal.PATH: "winmail.dat holds a file that is named like a path",
    Refusal.TOO_MUCH: "winmail.dat holds too much",
}
_EMPTY = "winmail.dat holds no file"
_NOT_READ = "winmail.dat could not be read, or only with more time or memory than it may take"
#: [MS-OXTNEF] has another name for the class of ordinary mail.
_ORDINARY = {"": "IPM.Note", "ipm.microsoft mail.note": "IPM.Note"}


class NotUnpacked(Exception):
    """It is to stay as it is. Says why in one sentence, and nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file in winmail.dat. Its name is as hostile as any other in mail."""

    name: str
    size: int
    _output: int
    _at: int

    @contextmanager
    def spooled(self) -> Iterator[Spool]:
        """Its bytes."""
        with spooled(cast("BinaryIO", _Part(self._output, self._at, self.size))) as content:
            yield content


@contextmanager
def unpacked(content: Spool) -> Iterator[tuple[Found, ...]]:
    """The files in winmail.dat, one at least. Raises NotUnpacked; Unavailable where it is this machine's fault."""
    if content.size > LIMITS.size:
        raise NotUnpacked(_REASONS[Refusal.TOO_MUCH])
    with tempfile.TemporaryFile() as output:
        _run(content, output)
        yield _checked(output.fileno(), content)


def _run(content: Spool, output: BinaryIO) -> None:
    code = run(COMMAND, content, output, LIMITS, most=content.size + _INDEX)
    if code == Refusal.NO_ROOM:
        raise Unavailable(f"a file cannot be kept in {tempfile.gettempdir()} on its way: no room")
    if code:
        raise NotUnpacked(_REASONS.get(code, _NOT_READ))


class _Index(BaseModel):
    """What the process says that it has written."""

    message_class: str
    files: tuple[tuple[str, NonNegativeInt], ...]


def _checked(output: int, packed: Spool) -> tuple[Found, ...]:
    length = int.from_bytes(os.pread(output, _LENGTH, 0), "big")
    try:
        index = _Index.model_validate_json(os.pread(output, min(length, _INDEX), _LENGTH), strict=True)
    except ValidationError:
        raise NotUnpacked(_NOT_READ) from None
    start = _LENGTH + length
    sizes = [size for _, size in index.files]
    if sum(sizes) > packed.size or start + sum(sizes) != os.fstat(output).st_size:
        raise NotUnpacked(_NOT_READ)
    if len(sizes) > MOST_FILES:
        raise NotUnpacked(_REASONS[Refusal.TOO_MUCH])
    if not sizes:
        raise NotUnpacked(_EMPTY)
    if kept := guard_of_item(_message(index), ours=False, since=None):
        raise NotUnpacked(f"winmail.dat: {kept.because}")
    places = accumulate(sizes, initial=start)
    return tuple(Found(name, size, output, at) for (name, size), at in zip(index.files, places, strict=False))


def _message(index: _Index) -> Message:
    """As far as guards look at it: what must not be touched must not be unpacked."""
    return Message(
        id="",
        version="",
        internet_message_id="",
        folder="",
        subject="",
        sender="",
        recipients=(),
        received=None,
        direction=Direction.INCOMING,
        message_class=_ORDINARY.get(index.message_class.casefold(), index.message_class),
        files=tuple(File(id="", name=name, size=size) for name, size in index.files),
    )


class _Part(io.BufferedIOBase):
    """So many bytes of a file from a place on, whoever else reads in it."""

    def __init__(self, file: int, at: int, size: int) -> None:
        self._file, self._at, self._left = file, at, size

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        chunk = os.pread(self._file, wanted, self._at)
        self._at += len(chunk)
        self._left -= len(chunk)
        return chunk
