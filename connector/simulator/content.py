"""Bytes of attachments, and the ways in which they leave: as they are, as base64, as base64 in lines."""

import base64
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import IO

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

#: Content up to here stays in memory; bigger content goes to a temporary file.
IN_MEMORY = 256 * 1024
#: Divisible by 3 and by 57, so that neither base64 nor its lines of 76 characters need padding inside.
CHUNK = 57 * 16 * 1024


class _Overflow:
    """One temporary file for all big contents: a file each would run into the limit of open files."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0
        self._lock = threading.Lock()

    def append(self, data: bytes) -> int:
        """Where the data begins."""
        with self._lock:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process does
            start, self._end = self._end, self._end + len(data)
            self._file.seek(start)
            self._file.write(data)
            self._file.flush()
        return start

    def read(self, start: int, length: int) -> bytes:
        """The bytes from there on. Several threads may read at once."""
        assert self._file is not None
        return os.pread(self._file.fileno(), length, start)


_OVERFLOW = _Overflow()


class Content:
    """The bytes of one attachment. They never change, so copies of a message share them."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data if self.size <= IN_MEMORY else b""
        self._start = _OVERFLOW.append(data) if self.size > IN_MEMORY else 0

    def chunks(self) -> Iterator[bytes]:
        """The bytes, piece by piece."""
        return self.span(0, self.size)

    def span(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece."""
        if self.size <= IN_MEMORY:
            yield self._data[start:stop]
            return
        for offset in range(start, stop, CHUNK):
            yield _OVERFLOW.read(self._start + offset, min(CHUNK, stop - offset))


class Joined(Content):
    """Bytes that came in pieces."""

    def __init__(self, pieces: Iterable[bytes | Content]) -> None:
        self._pieces = [piece if isinstance(piece, Content) else Content(piece) for piece in pieces]
        self.size = sum(piece.size for piece in self._pieces)

    def span(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece."""
        begin = 0
        for piece in self._pieces:
            if start < begin + piece.size and begin < stop:
                yield from piece.span(max(start - begin, 0), min(stop - begin, piece.size))
            begin += piece.size


class Seeded(Content):
    """Bytes that nothing compresses and that take no room: always the same for a seed."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._key = seed.to_bytes(16, "big")

    def span(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, piece by piece."""
        block, skipped = divmod(start, 16)
        stream = Cipher(algorithms.AES128(self._key), modes.CTR(block.to_bytes(16, "big"))).encryptor()
        stream.update(bytes(skipped))
        for offset in range(start, stop, CHUNK):
            yield stream.update(bytes(min(CHUNK, stop - offset)))


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
