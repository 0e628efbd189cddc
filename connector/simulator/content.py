"""Bytes of attachments, and the ways in which they leave: as they are, as base64, as base64 in lines."""

import base64
import os
import tempfile
from collections.abc import Iterable, Iterator

#: Content up to here stays in memory; bigger content goes to a temporary file that has no name.
IN_MEMORY = 256 * 1024
#: Divisible by 3 and by 57, so that neither base64 nor its lines of 76 characters need padding inside.
CHUNK = 57 * 16 * 1024


class Content:
    """The bytes of one attachment. They never change, so copies of a message share them."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data if self.size <= IN_MEMORY else b""
        if self.size > IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the content does
            self._file.write(data)
            self._file.flush()

    def chunks(self) -> Iterator[bytes]:
        """The bytes, piece by piece. Several threads may read at once."""
        if self.size <= IN_MEMORY:
            yield self._data
            return
        for offset in range(0, self.size, CHUNK):
            yield os.pread(self._file.fileno(), CHUNK, offset)


def as_base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Base64 without line ends, for XML."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield base64.b64encode(data[:whole])
    yield base64.b64encode(rest)


def as_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Base64 in lines of 76 characters that end in CR LF (RFC 2045, 6.8). Chunks come from `Content.chunks`."""
    for chunk in chunks:
        yield base64.encodebytes(chunk).replace(b"\n", b"\r\n")


def clean(text: str) -> str:
    """Replace what XML 1.0 (2.2 Char) cannot carry: control characters, lone surrogates, U+FFFE and U+FFFF."""
    return text.translate(_UNSPEAKABLE)


_UNSPEAKABLE = dict.fromkeys(
    [*(code for code in range(0x20) if chr(code) not in "\t\n\r"), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF],
    "\N{REPLACEMENT CHARACTER}",
)
