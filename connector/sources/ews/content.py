"""The bytes of one attachment, taken out of a reply while it comes in, with constant memory."""

import binascii
from collections.abc import Iterator
from xml.parsers import expat

import pybase64

from connector.sources.ews.connection import parsed, response_messages
from connector.sources.ews.failures import Answered, Garbled, NoContent
from connector.sources.ews.words import TYPES

#: Of a file its Content, of an attached item its MimeContent; the first one is taken.
_CONTENT = (f"{TYPES} Content", f"{TYPES} MimeContent")
#: What XML calls white space.
_SPACE = b" \t\r\n"


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
        messages = response_messages(parsed(bytes(head)))
        told = next((message for message in messages if isinstance(message, Answered)), None)
        raise told or NoContent


class _Content:
    """A reply as far as it has come.

    A parser reads it, but for the base64: that goes straight into the decoder, which is as strict and five times as
    fast. The parser never hears of it, and goes on behind it: with the end tag, or with a reference, a comment or a
    CDATA section. What it reads inside of the element counts too, so the bytes do not depend on who read what.
    """

    def __init__(self) -> None:
        self.found = False
        self._inside = False
        #: Whether what comes next is base64, and not for the parser.
        self._aside = False
        #: How many bytes the parser has been given, and at which of them the element began.
        self._given = self._began = 0
        #: The beginning of a tag, which is given to the parser when the rest of it is there.
        self._held = b""
        self._base64 = _Base64()
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = 256 * 1024
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, chunk: bytes, *, last: bool = False) -> bytes:
        """What can be decoded by now. At the end nothing may be left."""
        if not self.found:
            chunk = self._up_to_content(chunk)
        if self._aside:
            chunk = self._up_to_markup(chunk)
        if not self._aside:
            self._parse(chunk, last=last)
        elif last:
            raise Garbled
        return self._base64.decoded(last=last)

    def _up_to_content(self, chunk: bytes) -> bytes:
        """Give the parser one tag after the other, until one begins the element; what comes behind that one."""
        *tags, self._held = (self._held + chunk).split(b">")
        for number, tag in enumerate(tags, 1):
            before = self._given
            self._parse(tag + b">")
            if self.found:
                # This piece ends with the start tag only if that began in it, too. Where an attribute holds a `>`, it
                # did not, and newer parsers (expat 2.6) tell of such a tag when something else has come behind it.
                # NUL: in UTF-16 base64 is not what the decoder takes.
                self._aside = self._inside and self._began >= before and 0 not in tag
                return b">".join((*tags[number:], self._held))
        return b""

    def _up_to_markup(self, chunk: bytes) -> bytes:
        """Take what is base64; what comes behind it."""
        ends = [at for at in (chunk.find(b"<"), chunk.find(b"&")) if at >= 0]
        end = min(ends, default=len(chunk))
        self._aside = not ends
        self._base64.add(memoryview(chunk)[:end])
        return chunk[end:]

    def _parse(self, data: bytes, *, last: bool = False) -> None:
        self._given += len(data)
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError:
            raise Garbled from None

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if self._inside:
            # What stands behind it would be left out.
            raise Garbled
        self._inside = name in _CONTENT and not self.found
        if self._inside:
            self.found = True
            self._began = self._parser.CurrentByteIndex

    def _end(self, _name: str) -> None:
        self._inside = False

    def _characters(self, data: str) -> None:
        if self._inside:
            self._base64.add(data.encode())

    def _doctype(self, *_declared: object) -> None:
        # SOAP forbids it, and its entities could grow without end.
        raise Garbled


class _Base64:
    """Base64 that comes in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._padded = False

    def add(self, piece: bytes | memoryview) -> None:
        """It is kept until it is decoded."""
        self._pieces.append(piece)

    def decoded(self, *, last: bool) -> bytes:
        """What the pieces come to; up to three characters wait for those that follow. Raises Garbled."""
        text = b"".join(self._pieces)
        try:
            return self._decoded(text, last=last)
        except binascii.Error:
            # Some servers wrap lines.
            text = text.translate(None, _SPACE)
        try:
            return self._decoded(text, last=last)
        except binascii.Error:
            raise Garbled from None

    def _decoded(self, text: bytes, *, last: bool) -> bytes:
        cut = len(text) // 4 * 4
        content: bytes = pybase64.b64decode(memoryview(text)[:cut], validate=True)
        rest = text[cut:].translate(None, _SPACE)
        if (cut and self._padded) or (last and rest):
            raise Garbled
        self._pieces = [rest]
        self._padded = self._padded or text[:cut].endswith(b"=")
        return content
