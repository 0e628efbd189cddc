"""Where a server outside tells us something: HTTP on an address of this machine, behind the reverse proxy of the house.

Whoever reaches it is a stranger until what he says proves otherwise.
"""

import errno
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from connector.errors import Unavailable
from connector.log import Event, log

#: Bytes of what is told at once.
LARGEST = 1024 * 1024
#: A number that is longer than this is not even read.
_DIGITS = 12
#: Whoever speaks has so many seconds for all of it, and so many may speak at a time: a stranger who says one letter a
#: second keeps neither threads nor connections for long.
_PATIENCE = timedelta(seconds=10)
_AT_A_TIME = 32


class Forged(Exception):
    """It was not said by whom we listen to."""


class InUse(Unavailable):
    """Somebody listens there already."""


#: Given the query and the body of a POST: what to answer, as plain text. Threads call it at a time. Raises Forged.
Hear = Callable[[Mapping[str, str], bytes], tuple[HTTPStatus, str]]


class Endpoint:
    """Listens as long as its `with` block lasts."""

    def __init__(self, host: str, port: int, hear: Hear) -> None:
        """Raises InUse, and Unavailable where the address is not ours."""
        try:
            self._server = _Server(host, port, hear)
        except OSError as error:
            place = f"[{host}]" if ":" in host else host
            kind = InUse if error.errno == errno.EADDRINUSE else Unavailable
            raise kind(f"{place}:{port} cannot be listened on: {error.strerror}") from None

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="endpoint", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Listening(ThreadingHTTPServer):
    """Has a thread for each who asks; what goes wrong with one of them is told by our log, or not at all."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Who hangs up is no bug of ours; all else is one."""
        if not isinstance(sys.exception(), OSError):
            log.exception(Event.BUG)


class Guarded(Listening):
    """Where strangers may ask: so many at a time, each for so long; on an address of either family."""

    def __init__(self, host: str, port: int, asked: type[BaseHTTPRequestHandler]) -> None:
        """Raises OSError where it cannot listen there."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        #: Who speaks now, and until when he may.
        self._speaking: dict[socket.socket, datetime] = {}
        super().__init__((host, port), asked)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, unless too many speak already."""
        if len(self._speaking) >= _AT_A_TIME:
            self.shutdown_request(request)
            return
        self._speaking[request] = datetime.now(UTC) + _PATIENCE
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Some times a second: whose time is over hears no more, and his thread finds that he has said all."""
        now = datetime.now(UTC)
        for request in [each for each, until in self._speaking.copy().items() if until <= now]:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """He has been answered."""
        self._speaking.pop(request, None)
        super().shutdown_request(request)


class _Server(Guarded):
    def __init__(self, host: str, port: int, hear: Hear) -> None:
        self.hear = hear
        super().__init__(host, port, _Told)


class Answering(BaseHTTPRequestHandler):
    """Answers in one piece; who asked, and for what, has no place in a log."""

    timeout = _PATIENCE.total_seconds()

    def answer(self, status: int, kind: str, body: bytes) -> None:
        """The whole answer; `kind` is its Content-Type, whatever a browser thinks of it."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """What we are, and not what we are made of."""
        return "connector"

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Told(Answering):
    server: _Server

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdecimal()):
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        elif len(size) > _DIGITS or int(size) > LARGEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._hear(self.rfile.read(int(size)), int(size))

    def _hear(self, body: bytes, size: int) -> None:
        if len(body) < size:
            return  # He hung up, or his time was over.
        query = dict(parse_qsl(urlsplit(self.path).query))
        try:
            self._answer(*self.server.hear(query, body))
        except Forged:
            host, port = self.server.server_address[:2]
            log.warning(Event.HINTS_FORGED, host=host, port=port)
            # As to all others: nobody learns here what is right.
            self._answer(HTTPStatus.ACCEPTED)

    def _answer(self, status: HTTPStatus, text: str = "") -> None:
        self.answer(status, "text/plain; charset=utf-8", text.encode())
