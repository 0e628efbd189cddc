"""HTTP/1.1 on one connection: kept open, with chunked replies, and broken off where a fault says so."""

import contextlib
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any

_log = logging.getLogger(__name__)

#: Pieces of a reply are gathered up to this many bytes before they are sent.
_GATHERED = 64 * 1024
#: Bodies are read in pieces of at most this many bytes.
_PIECE = 1024 * 1024

Header = tuple[str, str]


class Wire(BaseHTTPRequestHandler):
    """What every protocol needs of a connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    # Head and body are written apart: with Nagle's algorithm every reply would wait for an acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing: the standard error output belongs to the program that we are in."""

    def body(self) -> Iterator[bytes]:
        """The request's body, piece by piece."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece

    def reply(self, status: int, content_type: str, body: bytes, *headers: Header) -> None:
        """Answer with a body of known length."""
        self._begin(status, content_type, ("Content-Length", str(len(body))), *headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, told: Any, status: int = HTTPStatus.OK) -> None:
        """Answer with JSON."""
        self.reply(status, "application/json", json.dumps(told).encode())

    def reply_stream(
        self, status: int, content_type: str, pieces: Iterable[bytes], length: int, *headers: Header
    ) -> None:
        """Answer piece by piece with a body of known length."""
        self._begin(status, content_type, ("Content-Length", str(length)), *headers)
        for piece in pieces:
            self.wfile.write(piece)

    def reply_chunked(self, status: int, content_type: str, pieces: Iterable[bytes], *headers: Header) -> None:
        """Answer piece by piece; an empty piece sends what has been gathered."""
        self._begin(status, content_type, ("Transfer-Encoding", "chunked"), *headers)
        gathered = b""
        for piece in chain(pieces, [b""]):
            gathered += piece
            if gathered and (not piece or len(gathered) >= _GATHERED):
                self.wfile.write(f"{len(gathered):x}\r\n".encode() + gathered + b"\r\n")
                gathered = b""
        self.wfile.write(b"0\r\n\r\n")

    def reply_half(self, status: int, content_type: str, whole: bytes, *headers: Header) -> None:
        """Answer, and break off in the middle."""
        self._begin(status, content_type, ("Transfer-Encoding", "chunked"), *headers)
        self.wfile.write(f"{len(whole):x}\r\n".encode() + whole[: len(whole) // 2])
        self.drop()

    def drop(self) -> None:
        """End the connection without another byte."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _begin(self, status: int, content_type: str, *headers: Header) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()


class Listening(ThreadingHTTPServer):
    """Listens on loopback, over TLS where that is wanted. Its threads end with the process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, connection: Callable[..., Wire], tls: ssl.SSLContext | None) -> None:
        """`connection` is made for each client; port 0 takes a free one."""
        super().__init__(("127.0.0.1", port), connection)
        self._connections: set[socket.socket] = set()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, and serve it in a thread."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and end the connections that clients keep: they shall see that nobody is there."""
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the parent's signature
        """Say nothing of clients that go away."""
        _log.debug("connection from %s ended", client_address, exc_info=True)
