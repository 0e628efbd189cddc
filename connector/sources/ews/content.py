"""The bytes of one attachment, taken out of a reply while it comes in, with constant memory."""

import binascii
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from xml.parsers import expat

import pybase64

from connector.sources.ews.connection import response_messages
from connector.sources.ews.failures import Answered, Garbled, NoContent
from connector.sources.ews.words import TYPES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Of a file its Content, of an attached item its MimeContent; the first one is taken.
_CONTENT = (f"{TYPES} Content", f"{TYPES} MimeContent")


def decoded(reply: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes, in parts that are not empty.

    Raises Answered where the reply tells of an error instead, NoContent where it has none, Garbled where it breaks off.
    """
    content = _Content()
    head = bytearray()
    for chunk in reply:
        if not content.found:
            head += chunk
        if part := content.feed(chunk):
            yield part
    content.feed(b"", last=True)
    if not content.found:
        told = next((message for message in response_messages(bytes(head)) if isinstance(message, Answered)), None)
        raise told or NoContent


class Readable(io.RawIOBase):
    """A file to read from: the first chunk and those after it. What goes wrong on the way is translated by `told`."""

    def __init__(self, first: bytes, chunks: Iterator[bytes], told: Callable[[], AbstractContextManager[None]]) -> None:
        self._chunks = chunks
        self._told = told
        self._left = first

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As the standard library asks for it: at most one chunk, and 0 at the end."""
        with self._told():
            self._left = self._left or next(self._chunks, b"")
        view = memoryview(buffer).cast("B")
        part, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(part)] = part
        return len(part)


class _Content:
    """A reply as far as it has come."""

    def __init__(self) -> None:
        self.found = False
        self._inside = False
        self._base64 = ""
        self._padded = False
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = 256 * 1024
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, chunk: bytes, *, last: bool = False) -> bytes:
        """What can be decoded by now. At the end nothing may be left."""
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError:
            raise Garbled from None
        cut = len(self._base64) // 4 * 4
        whole, self._base64 = self._base64[:cut], self._base64[cut:]
        if (whole and self._padded) or (last and self._base64):
            raise Garbled
        self._padded = self._padded or whole.endswith("=")
        try:
            return pybase64.b64decode(whole, validate=True)
        except binascii.Error:
            raise Garbled from None

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._inside = name in _CONTENT and not self.found
        self.found = self.found or self._inside

    def _end(self, _name: str) -> None:
        self._inside = False

    def _characters(self, data: str) -> None:
        if self._inside:
            # Some servers wrap lines.
            self._base64 += "".join(data.split())

    def _doctype(self, *_declared: object) -> None:
        # SOAP forbids it, and its entities could grow without end.
        raise Garbled
