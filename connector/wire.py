"""Requests and answers as they lie on the wire: connections of urllib3 that write and read a head in one go.

http.client, which urllib3 builds on, writes a head line by line, and has the parser of e-mail read one: that takes as
long as all the rest of a small request. Only that is left out. Pools, connecting, TLS, time-outs and how a body is
read (by its length, in chunks, to the end) stay what they are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, CannotSendRequest, HTTPException, HTTPResponse, LineTooLong, RemoteDisconnected
from queue import Empty, Full, LifoQueue
from select import POLLIN, poll
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

Untyped = Any  # what typeshed and urllib3 do not tell of themselves

#: RFC 9112 section 3: a method, a target, and nothing that could begin another line.
_REQUEST = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1")
#: RFC 9112 section 4.
_STATUS = re.compile(r"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r]*))?\r?")
#: RFC 9112 section 5.2: a line that begins with a blank belongs to the one before.
_FOLD = re.compile(r"\r?\n[ \t]+")
#: The end of a head.
_EMPTY_LINE = re.compile(rb"\n\r?\n")
#: No honest server sends longer lines, more of them, or a length of so many digits.
_LONGEST_LINE, _MOST_LINES, _LONGEST_LENGTH = 65536, 200, 20
#: Nor so many heads before an answer: with each of them the server's time begins anew.
_MOST_HEADS = 1000
#: As http.client counts.
_HTTP_1_1 = 11
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class _Answer(HTTPResponse):
    """An answer, whose head is read without the parser of e-mail."""

    def begin(self) -> None:
        """Read the head: http.client's hook."""
        for _ in range(_MOST_HEADS):
            self._read_head()
            if self.status >= HTTPStatus.OK:  # Otherwise it only says that there is more to come.
                break
        else:
            raise HTTPException("the server only says that there is more to come")
        answer: Untyped = self
        told = self.headers
        # RFC 9112 section 6.3: where the body ends.
        answer.chunked, answer.chunk_left = told.get("transfer-encoding", "").lower() == "chunked", None
        self.length = None if answer.chunked or "content-length" not in told else _length(told["content-length"])
        if self.status in _BODILESS or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        # RFC 9112 section 9.3.
        options = told.get("connection", "").lower()
        ends = "close" in options if self.version == _HTTP_1_1 else "keep-alive" not in options
        self.will_close = ends or (self.length is None and not answer.chunked)

    def _read_head(self) -> None:
        first, _, lines = self._head().decode("latin-1").partition("\n")
        status = _STATUS.fullmatch(first)
        if not status:
            raise BadStatusLine(first)
        answer: Untyped = self
        self.version = min(10 + int(status[1]), _HTTP_1_1)
        self.status = answer.code = int(status[2])
        self.reason = (status[3] or "").strip()
        answer.headers = answer.msg = _Headers(lines)

    def _head(self) -> bytes:
        """All of it, with the empty line at its end."""
        whole = _EMPTY_LINE.search(self.fp.peek())  # Most have come at once.
        head = self.fp.read(whole.end()) if whole else b"".join(self._lines())
        if head.count(b"\n") > _MOST_LINES:
            raise LineTooLong("head")
        return head

    def _lines(self) -> Iterator[bytes]:
        for _ in range(_MOST_LINES + 1):
            line: bytes = self.fp.readline(_LONGEST_LINE)
            yield line
            if line in (b"\r\n", b"\n"):
                return
            if not line.endswith(b"\n"):
                if len(line) == _LONGEST_LINE:
                    raise LineTooLong("head")
                raise RemoteDisconnected("the answer broke off in its head, or before it")


class _Headers(urllib3.HTTPHeaderDict):
    """The fields of a head, found by their names faster than by its parent, which takes names of any kind."""

    def __init__(self, lines: str) -> None:
        super().__init__()
        if "\n " in lines or "\n\t" in lines:
            lines = _FOLD.sub(" ", lines)
        for line in lines.split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip()
                self._container.setdefault(name.lower(), [name]).append(value.strip())

    def get(self, name: str, otherwise: Untyped = None) -> Untyped:
        """What stands under this name, of all that have it."""
        found = self._container.get(name.lower())
        return otherwise if found is None else ", ".join(found[1:])


def _length(told: str) -> int:
    first = told.partition(",")[0]  # Whether all of them are alike is seen by urllib3.
    if not first.isdecimal() or len(first) > _LONGEST_LENGTH:
        raise HTTPException("the length of the answer is no number")
    return int(first)


class _Reply(urllib3.HTTPResponse):
    """An answer as urllib3 hands it out, which puts each piece into a buffer first, in case it was compressed."""

    def read(self, amt: int | None = None, decode_content: bool | None = None, cache_content: bool = False) -> bytes:  # noqa: FBT001, FBT002 - urllib3's
        """So many bytes, or those that are left; all of them, where nothing is said."""
        if "content-encoding" in self.headers:
            return super().read(amt, decode_content, cache_content)
        data = self._raw_read(amt)
        if amt is not None and len(data) < amt and self.length_remaining:
            self._raw_read(amt)  # This tells that the rest is missing.
        return data


class _Wire(HTTPConnection):
    """A connection of a pool of urllib3, which calls these two for each request."""

    _asked: tuple[str, str] = ("", "")
    _answer: _Answer | None = None

    def request(  # type: ignore[override]  # what else urllib3 hands over is the same for all of ours
        self,
        method: str,
        url: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> None:
        """Send the head with the first bytes of the body, then the others."""
        if self._answer and not self._answer.isclosed():
            raise CannotSendRequest("the answer before was not read")
        self._asked = method, url
        if self.sock:
            self._be_patient()
        rest = head(method, url, headers or {})
        for piece in [body] if isinstance(body, bytes) else body or ():
            self.send(rest + piece)
            rest = b""
        if rest:
            self.send(rest)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        """The answer, its body unread."""
        method, url = self._asked
        self._be_patient()
        sock: Untyped = self.sock
        answer = _Answer(sock, method=method)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        self._answer = answer
        if answer.will_close:
            # The answer has the socket as long as it is read.
            self.close()
        headers: Untyped = answer.headers
        return _Reply(
            body=answer,
            headers=headers,
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method=method,
            request_url=url,
        )

    @property
    def is_connected(self) -> bool:
        """Whether it stands, and nothing came that nobody asked for: before each request, in a poll of few words."""
        if self.sock is None:
            return False
        waiting = poll()
        waiting.register(self.sock, POLLIN)
        return not waiting.poll(0)

    def _be_patient(self) -> None:
        # A new one has had what it may take to connect.
        sock: Untyped = self.sock
        if sock.gettimeout() != self.timeout:
            sock.settimeout(self.timeout)


class _SecureWire(_Wire, HTTPSConnection):
    """The same over TLS."""


class _Idle(LifoQueue[Untyped]):
    """Connections at rest. Nobody waits here for one to come back, so there is nobody to wake."""

    def get(self, *_: object, **__: object) -> Untyped:
        """The last that was put in."""
        try:
            return self.queue.pop()
        except IndexError:
            raise Empty from None

    def put(self, item: Untyped, *_: object, **__: object) -> None:
        """For the next request."""
        if len(self.queue) >= self.maxsize:
            raise Full
        self.queue.append(item)


class _Pool(HTTPConnectionPool):
    """The connections to one server."""

    ConnectionCls: Untyped = _Wire
    QueueCls = _Idle

    def urlopen(  # type: ignore[override]  # what else urllib3 takes makes no sense with one attempt at one server
        self,
        method: str,
        url: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: urllib3.Timeout,
        **_: object,
    ) -> urllib3.BaseHTTPResponse:
        """One attempt. What fails is told as urllib3 tells it; most of what that does here is for further ones."""
        connection = self._get_conn()
        try:
            if connection.is_closed:
                # To connect, and all that can go wrong in it, is the library's.
                return self._make_request(
                    connection, method, url, body=body, headers=headers, timeout=timeout, response_conn=connection
                )
            return self._ask(connection, timeout, method, url, body, headers)
        except BaseException as error:
            connection.close()
            self._put_conn(connection)
            if isinstance(error, (ConnectTimeoutError, NewConnectionError)):
                raise MaxRetryError(self, url, error) from error
            if isinstance(error, (OSError, HTTPException)):
                raise ProtocolError("Connection aborted.", error) from error
            raise

    def _ask(self, connection: Untyped, timeout: urllib3.Timeout, *request: Untyped) -> urllib3.BaseHTTPResponse:
        """What `_make_request` comes to where the connection stands."""
        connection.timeout = timeout.read_timeout
        # A server may have answered already, and have closed before it was sent everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(*request)
        try:
            answer: urllib3.HTTPResponse = connection.getresponse()
        except TimeoutError as error:
            raise ReadTimeoutError(self, request[1], "the answer does not come in time") from error
        answer._connection, answer._pool = connection, self  # noqa: SLF001 - it gives the connection back
        return answer


class _SecurePool(_Pool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls: Untyped = _SecureWire


#: For the pool manager of an adapter.
POOLS = {"http": _Pool, "https": _SecurePool}


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request. Raises ValueError where a line of it could pass for two."""
    first = f"{method} {target} HTTP/1.1"
    text = "\r\n".join([first] + [f"{name}: {value}" for name, value in headers.items()])
    if not _REQUEST.fullmatch(first) or text.count("\r") != len(headers) or text.count("\n") != len(headers):
        raise ValueError("a head of a request holds what may not stand in it")
    return f"{text}\r\n\r\n".encode("latin-1")
