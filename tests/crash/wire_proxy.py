"""What stands between the daemon and a server: passes requests on, and does something bad at the one it was told."""

import http.client
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Literal

When = Literal["before", "after"]
#: Status, headers and content.
Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass
class Plug:
    """SIGKILL for whoever sends the n-th request of a kind, before or after its effect."""

    pid: int
    kind: str
    request: int
    when: When
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def strikes(self, kind: str) -> bool:
        """Whether this request is the one. To be asked once for each."""
        return kind == self.kind and next(self._numbers) == self.request

    def pull(self) -> Answer | None:
        """Kill. Nobody is left to hear a reply."""
        os.kill(self.pid, signal.SIGKILL)
        raise ConnectionAbortedError


#: There is no such kind of request.
NOBODY = Plug(pid=0, kind="", request=0, when="before")
#: What each of two connections says for itself.
_OWN = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class Proxy(ThreadingHTTPServer):
    """On loopback, before the server at this port."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port: int = self.server_address[1]
        self.upstream = upstream
        self.plug = NOBODY

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is dead is no news."""


@contextmanager
def proxy(upstream: int) -> Iterator[Proxy]:
    """Start one."""
    with Proxy(upstream) as started:
        threading.Thread(target=started.serve_forever, args=(0.05,), daemon=True).start()
        yield started
        started.shutdown()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written apart: with Nagle's algorithm every reply would wait for an acknowledgement.
    disable_nagle_algorithm = True
    server: Proxy

    def __getattr__(self, name: str) -> Any:
        """Every method of WebDAV is handled alike."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        announced = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(announced)
        if len(body) < announced:
            raise ConnectionAbortedError
        plug = self.server.plug
        struck = plug.strikes(_kind(self.command, self.path, body))
        answer = plug.pull() if struck and plug.when == "before" else None
        answer = answer or self._asked(body)
        if struck and plug.when == "after":
            answer = plug.pull() or answer
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _asked(self, body: bytes) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=20)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers))
            reply = connection.getresponse()
            headers = [(name, value) for name, value in reply.getheaders() if name.lower() not in _OWN]
            return reply.status, headers, reply.read()


def _kind(method: str, path: str, body: bytes) -> str:
    """Of Exchange the operation; else the method, and what it is about.

    That is of the store a file for people, its manifest, or the generation of the ledger; of Graph the last words of
    the path that are not an id.
    """
    if found := _SOAP.search(body[:4000]):
        return found[1].decode()
    if path.startswith("/v1.0/"):
        return f"{method} {next(word for word in reversed(path.partition('?')[0].split('/')) if len(word) < _LONG)}"
    about = (name for name, folder in (("manifest", "/redirects"), ("generation", "/generations")) if folder in path)
    return f"{method} {next(about, 'file')}"


_SOAP = re.compile(rb"Body>\s*<(?:\w+:)?(\w+)")
#: Ids are longer.
_LONG = 30
