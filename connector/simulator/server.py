"""The web server: HTTP/1.1 with kept connections and chunked replies, the login, and the faults on the wire."""

import contextlib
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any

from connector.simulator.control import Control
from connector.simulator.ews.auth import Login
from connector.simulator.ews.call import Malformed
from connector.simulator.ews.service import Caller, perform
from connector.simulator.ews.soap import CONTENT_TYPE, Element, Refused, as_message, fault, local, read
from connector.simulator.faults import Busy, Dropped, When

_log = logging.getLogger(__name__)

EWS_PATH = "/EWS/Exchange.asmx"
CONTROL_PATH = "/control"
#: Pieces of a reply are gathered up to this many bytes before they are sent.
_GATHERED = 64 * 1024
_AFFINITY = "X-BackEndOverrideCookie"

#: Told the raw request and the raw reply; of a stream of events, each envelope.
Witness = Callable[[bytes, bytes], None]


class Server(ThreadingHTTPServer):
    """Listens on loopback. Its threads end with the process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, control: Control, *, witness: Witness | None, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), partial(_Connection, control=control, witness=witness))
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


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    # Head and body are written apart: with Nagle's algorithm every reply would wait for an acknowledgement.
    disable_nagle_algorithm = True

    def __init__(self, *arguments: Any, control: Control, witness: Witness | None) -> None:
        self._control = control
        self._witness = witness
        self._login = Login(control.organisation)
        self._set_cookie = ""
        super().__init__(*arguments)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing: the standard error output belongs to the program that we are in."""

    def do_GET(self) -> None:
        """The control page; or what Exchange answers to a browser (405 would be fatal to DavMail)."""
        if self.path == CONTROL_PATH:
            self._reply_json(self._control.report())
        elif self._user() is not None:
            self._reply(HTTPStatus.OK, "text/html", b"<html><body>Service</body></html>")

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_POST(self) -> None:
        """A request in SOAP, or an order to the control page."""
        body = self._body()
        try:
            if self.path == CONTROL_PATH:
                self._reply_json(self._control.obey_json(body))
            elif self.path.lower() != EWS_PATH.lower():
                self._reply(HTTPStatus.NOT_FOUND, "text/plain", b"")
            elif (user := self._user()) is not None:
                self._serve(self._caller(user), body)
        except Dropped:
            self._drop()

    def _caller(self, user: str) -> Caller:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(_AFFINITY)
        return Caller(
            user=user,
            anchor=self.headers.get("X-AnchorMailbox", ""),
            affinity=self.headers.get("X-PreferServerAffinity", "").lower() == "true",
            cookie=cookie.value if cookie else "",
        )

    def _serve(self, caller: Caller, body: bytes) -> None:
        try:
            header, request = read(body)
        except Refused as refused:
            self._reply_fault(body, refused)
            return
        faults = self._control.faults
        if caller.affinity and not caller.cookie:
            self._set_cookie = f"{_AFFINITY}={caller.server}; path=/; HttpOnly"
        number = faults.count(local(request), caller.anchor)
        faults.strike(number, When.BEFORE)
        answer = partial(self._answer, caller, header, request)
        status, reply = answer()
        faults.strike(number, When.AFTER)
        if local(request) == "GetStreamingEvents" and status is HTTPStatus.OK:
            self._reply_chunked(self._witnessed_each(body, reply))
        elif number in faults.truncated:
            self._reply_half(status, b"".join(reply))
        else:
            self._reply_chunked(self._witnessed(body, reply, status), status)

    def _answer(self, caller: Caller, header: Element, request: Element) -> tuple[HTTPStatus, Iterable[bytes]]:
        """Do what is asked; status and reply."""
        try:
            self._control.faults.turn_away()
            return HTTPStatus.OK, perform(self._control.organisation, caller, header, request)
        except Refused as refused:
            if refused.fault:
                return HTTPStatus.INTERNAL_SERVER_ERROR, [fault(refused)]
            return HTTPStatus.OK, [as_message(local(request), refused)]
        except Busy as busy:
            return _turned_away(busy, local(request))
        except Malformed:
            return HTTPStatus.OK, [b"<?xml version="]
        except Exception:  # noqa: BLE001 - whatever it is, the client gets the answer that Exchange would give
            _log.exception("a bug of the simulator in %s", local(request))
            return HTTPStatus.INTERNAL_SERVER_ERROR, [fault(Refused("ErrorInternalServerError", fault=True))]

    def _user(self) -> str | None:
        """Who asks; where that is nobody, 401 has been answered."""
        user, offers = self._login.check(self.headers.get("Authorization"))
        if user is None:
            self._reply(HTTPStatus.UNAUTHORIZED, "text/plain", b"", *(("WWW-Authenticate", each) for each in offers))
        return user

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _witnessed(self, request: bytes, reply: Iterable[bytes], status: HTTPStatus) -> Iterable[bytes]:
        if self._witness is None or status is HTTPStatus.SERVICE_UNAVAILABLE:
            return reply
        whole = b"".join(reply)
        self._witness(request, whole)
        return [whole]

    def _witnessed_each(self, request: bytes, stream: Iterable[bytes]) -> Iterator[bytes]:
        for envelope in stream:
            if self._witness is not None:
                self._witness(request, envelope)
            yield envelope
            yield b""  # each envelope leaves at once

    def _reply_fault(self, request: bytes, refused: Refused) -> None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        self._reply_chunked(self._witnessed(request, [fault(refused)], status), status)

    def _reply_json(self, told: dict[str, Any]) -> None:
        status = HTTPStatus.BAD_REQUEST if "error" in told else HTTPStatus.OK
        self._reply(status, "application/json", json.dumps(told).encode())

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reply_chunked(self, pieces: Iterable[bytes], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._begin_chunked(status)
        gathered = b""
        for piece in chain(pieces, [b""]):
            gathered += piece
            if gathered and (not piece or len(gathered) >= _GATHERED):
                self.wfile.write(f"{len(gathered):x}\r\n".encode() + gathered + b"\r\n")
                gathered = b""
        self.wfile.write(b"0\r\n\r\n")

    def _reply_half(self, status: HTTPStatus, whole: bytes) -> None:
        self._begin_chunked(status)
        self.wfile.write(f"{len(whole):x}\r\n".encode() + whole[: len(whole) // 2])
        self._drop()

    def _begin_chunked(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Transfer-Encoding", "chunked")
        if self._set_cookie:
            self.send_header("Set-Cookie", self._set_cookie)
            self._set_cookie = ""
        self.end_headers()

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _turned_away(busy: Busy, operation: str) -> tuple[HTTPStatus, Iterable[bytes]]:
    """EWSD: ews-throttling-in-exchange: as a fault (500) or as a result (200); 503 is the queue of IIS."""
    status = HTTPStatus(busy.status)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return status, [b""]
    says = "The server cannot service this request right now. Try again later."
    refused = Refused("ErrorServerBusy", says, fault=status is not HTTPStatus.OK, back_off=busy.back_off)
    return status, [fault(refused) if refused.fault else as_message(operation, refused)]
