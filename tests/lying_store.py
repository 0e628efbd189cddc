"""What stands between us and a good store, and does harm: an HTTP proxy that lies, and a wire that is cut."""

import hashlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGIN_PAGE = b"<!doctype html><title>Sign in</title><form>...</form>"


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Ask = Callable[[Request], Reply]
Lie = Callable[[Request, Ask], Reply]


def honest(request: Request, ask: Ask) -> Reply:
    """No lie."""
    return ask(request)


def flips_a_byte(request: Request, ask: Ask) -> Reply:
    """Stores something of the same length."""
    if request.method == "PUT":
        return ask(replace(request, body=bytes([request.body[0] ^ 1]) + request.body[1:]))
    return ask(request)


def truncates(request: Request, ask: Ask) -> Reply:
    """Stores half of it, and says Created."""
    if request.method == "PUT":
        return ask(replace(request, body=request.body[: len(request.body) // 2]))
    return ask(request)


def echoes_the_checksum(request: Request, ask: Ask) -> Reply:
    """Stores other bytes, and answers with every checksum of the right ones."""
    reply = flips_a_byte(request, ask)
    if request.method == "PUT":
        digest = hashlib.sha256(request.body).hexdigest()
        said = {"ETag": f'"{digest}"', "X-Hash-SHA256": digest, "OC-Checksum": f"SHA256:{digest}"}
        return replace(reply, headers=reply.headers | said)
    return reply


def stores_nothing(request: Request, ask: Ask) -> Reply:
    """Says Created, and forgets."""
    return Reply(201) if request.method == "PUT" else ask(request)


def moves_nothing(request: Request, ask: Ask) -> Reply:
    """Says that it moved."""
    return Reply(201) if request.method == "MOVE" else ask(request)


def moves_half(request: Request, ask: Ask) -> Reply:
    """Loses bytes on the way from the temporary name to the right one."""
    if request.method == "MOVE":
        whole = ask(Request("GET", request.path, request.headers))
        ask(Request("PUT", request.path, request.headers, whole.body[:-1]))
    return ask(request)


def gives_back_less(request: Request, ask: Ask) -> Reply:
    """Breaks off in the middle of a download, its length announced."""
    reply = ask(request)
    return replace(reply, body=reply.body[:-1]) if request.method == "GET" else reply


def answers(status: int, *methods: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Lie:
    """One answer to these methods, or to all."""

    def lie(request: Request, ask: Ask) -> Reply:
        if not methods or request.method in methods:
            return Reply(status, headers or {}, body)
        return ask(request)

    return lie


def login_page(*methods: str) -> Lie:
    """A sign-in form, with 200, as some proxies answer whatever they are asked."""
    return answers(200, *methods, headers={"Content-Type": "text/html"}, body=LOGIN_PAGE)


def redirect_to_login(*methods: str) -> Lie:
    """302 to a page that answers 200."""

    def lie(request: Request, ask: Ask) -> Reply:
        if request.path.startswith("/login"):
            return Reply(200, {"Content-Type": "text/html"}, LOGIN_PAGE)
        return answers(302, *methods, headers={"Location": "/login?ticket=confidential"})(request, ask)

    return lie


def keeps_half_and_answers(status: int) -> Lie:
    """A full disk: half the upload stays."""

    def lie(request: Request, ask: Ask) -> Reply:
        reply = truncates(request, ask)
        return Reply(status) if request.method == "PUT" else reply

    return lie


@dataclass
class LyingStore:
    """A proxy on loopback before a good server; it remembers what it was asked."""

    upstream: int
    lie: Lie = honest
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def url(self, path: str, scheme: str = "http") -> str:
        """The address of `path` here."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def answer(self, request: Request) -> Reply:
        """Note it down, and lie."""
        self.requests.append(request)
        return self.lie(request, self._ask)

    def _ask(self, request: Request) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=20)
        with suppress(ConnectionError):
            headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
            connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        reply = Reply(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return reply


@contextmanager
def lying_store(upstream: int = 0, lie: Lie = honest, tls: ssl.SSLContext | None = None) -> Iterator[LyingStore]:
    """Start one before the server at this port; none is needed where the lie never asks."""
    store = LyingStore(upstream, lie)
    server = _Server(("127.0.0.1", 0), _handler(store))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    store.port = server.server_address[1]
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield store
        server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _handler(store: LyingStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or every reply waits 40 ms for a delayed ACK

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply = store.answer(Request(self.command, self.path, dict(self.headers), body))
            said = {name.lower() for name in reply.headers}
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            if "content-length" not in said and reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            announced = next((int(v) for k, v in reply.headers.items() if k.lower() == "content-length"), 0)
            self.close_connection = self.close_connection or announced > len(reply.body)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@dataclass
class Wire:
    """A TCP connection away from a server: counts connections, and may be cut."""

    upstream: int
    #: Bytes from us to the server, over one connection, after which that breaks; None for never.
    cut_after: int | None = None
    connections: int = 0
    port: int = 0

    def carry(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        self.connections += 1
        with client, socket.create_connection(("127.0.0.1", self.upstream)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pump, args=(server, client, None), daemon=True)
            back.start()
            _pump(client, server, self.cut_after)
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()


@contextmanager
def wire(upstream: int, cut_after: int | None = None) -> Iterator[Wire]:
    """Start one before the server at this port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carried = Wire(upstream, cut_after, port=listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, carried), daemon=True).start()
        yield carried
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, carried: Wire) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=carried.carry, args=(client,), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    left = limit
    with suppress(OSError):
        while data := source.recv(65536 if left is None else min(65536, left)):
            target.sendall(data)
            if left is not None:
                left -= len(data)
                if not left:
                    return
