"""Any scanner that speaks ICAP (RFC 3507): a file is shown to it as what a web server would answer (RESPMOD).

204 says that it would let it pass; so does 200 with the very same bytes. Whatever else it would put in its place, it
has found something.
"""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from connector.errors import Unavailable
from connector.scanners.wire import MOST, connection
from connector.spool import CHUNK, Spool

_PORT = 1344
_PASSES, _INSTEAD, _TOO_LARGE = 204, 200, 413
#: Servers that find something say so in one of these, whatever they put in its place.
_FOUND = (b"x-infection-found", b"x-virus-id", b"x-violations-found")


@dataclass(frozen=True, slots=True)
class Service:
    """Where a scanner is: icap://HOST:PORT/PATH."""

    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"icap://{self.host}:{self.port}/{self.path}"


class Icap:
    """Asks an ICAP server."""

    def __init__(self, host: str, port: int | None, path: str) -> None:
        """Nothing is sent yet."""
        self._service = Service(host, port or _PORT, path)

    def infected(self, content: Spool) -> bool | None:
        """Whether it finds anything in these bytes; None where it says that they are too many."""
        with connection(str(self._service), (self._service.host, self._service.port)) as server:
            # Where it has seen enough, it answers and hangs up before it has all.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send(server, content)
            with server.makefile("rb") as answer:
                return self._understood(answer, content)

    def _send(self, server: socket.socket, content: Spool) -> None:
        asked = b"GET /file HTTP/1.1\r\nHost: connector\r\n\r\n"
        told = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % content.size
        parts = f"req-hdr=0, res-hdr={len(asked)}, res-body={len(asked) + len(told)}"
        head = (
            f"RESPMOD {self._service} ICAP/1.0\r\nHost: {self._service.host}\r\nUser-Agent: connector\r\n"
            f"Allow: 204\r\nConnection: close\r\nEncapsulated: {parts}\r\n\r\n"
        )
        server.sendall(head.encode() + asked + told)
        content.content.seek(0)
        while chunk := content.content.read(CHUNK):
            server.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        server.sendall(b"0\r\n\r\n")

    def _understood(self, answer: BinaryIO, content: Spool) -> bool | None:
        status, headers = self._head(answer, b"ICAP/")
        if status == _PASSES:
            return False
        if status == _TOO_LARGE:
            return None
        if status != _INSTEAD:
            raise Unavailable(f"the scanner {self._service} answers {status}: look at its log, and at the path")
        return any(name in headers for name in _FOUND) or not self._is_the_same(answer, headers, content)

    def _is_the_same(self, answer: BinaryIO, headers: dict[bytes, bytes], content: Spool) -> bool:
        """Whether what it would let pass are the bytes that it was shown."""
        encapsulated = headers.get(b"encapsulated", b"").replace(b" ", b"").lower()
        if b"res-body=" not in encapsulated or b"req-" in encapsulated:
            return False
        if self._head(answer, b"HTTP/")[0] != _INSTEAD:
            return False
        digest = hashlib.sha256()
        for chunk in self._chunks(answer):
            digest.update(chunk)
        return digest.hexdigest() == content.sha256

    def _head(self, answer: BinaryIO, protocol: bytes) -> tuple[int, dict[bytes, bytes]]:
        """The status, and the headers by their names in small letters. A web server passes nothing for a scanner."""
        lines: list[bytes] = []
        while (line := answer.readline(MOST).rstrip(b"\r\n")) or not lines:
            lines.append(line)
            if sum(map(len, lines)) > MOST or not line:
                raise self._broken()
        words = lines[0].split()
        if len(words) < 2 or not words[0].startswith(protocol) or not words[1].isdigit():  # noqa: PLR2004 - version and status
            raise self._broken()
        pairs = (line.partition(b":") for line in lines[1:])
        return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _chunks(self, answer: BinaryIO) -> Iterator[bytes]:
        while size := self._size(answer):
            while size:
                chunk = answer.read(min(size, CHUNK))
                if not chunk:
                    raise self._broken()
                size -= len(chunk)
                yield chunk
            answer.readline(MOST)

    def _size(self, answer: BinaryIO) -> int:
        try:
            return int(answer.readline(MOST).partition(b";")[0], 16)
        except ValueError:
            raise self._broken() from None

    def _broken(self) -> Unavailable:
        return Unavailable(f"the scanner {self._service} gives an answer that is not ICAP, or only a part of one")
