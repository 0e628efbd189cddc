"""Requests and answers as they lie on the wire: connections of urllib3 that write and read a head in one go.

http.client, which urllib3 builds on, writes a head line by line, and has the parser of e-mail read one: that takes as
long as all the rest of a small request. Only that is left out. Pools, connecting, TLS, time-outs and how a body is
read (by its length, in chunks, to the end) stay what they are.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, CannotSendRequest, HTTPException, HTTPResponse, LineTooLong, RemoteDisconnected
from typing import Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

Untyped = Any  # what typeshed and urllib3 do not tell of themselves

#: RFC 9112 section 3: a method, a target, and nothing that could begin another line.
_REQUEST = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1")
#: RFC 9112 section 4.
_STATUS = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
#: RFC 9112 section 5.2: a line that begins with a blank belongs to the one before.
_FOLD = re.compile(r"\r?\n[ \t]+")
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
        told, answer = self.headers, cast("Untyped", self)
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
        first = self._line()
        status = _STATUS.fullmatch(first)
        if not status:
            raise BadStatusLine(first.decode("latin-1"))
        lines: list[bytes] = []
        while (line := self._line()) not in (b"\r\n", b"\n"):
            lines.append(line)
            if len(lines) > _MOST_LINES:
                raise LineTooLong("head")
        answer: Untyped = self
        self.version = min(10 + int(status[1]), _HTTP_1_1)
        self.status = answer.code = int(status[2])
        self.reason = (status[3] or b"").decode("latin-1").strip()
        answer.headers = answer.msg = _headers(b"".join(lines).decode("latin-1"))

    def _line(self) -> bytes:
        line: bytes = self.fp.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            if len(line) == _LONGEST_LINE:
                raise LineTooLong("head")
            raise RemoteDisconnected("the answer broke off in its head, or before it")
        return line


def _headers(lines: str) -> urllib3.HTTPHeaderDict:
    headers = urllib3.HTTPHeaderDict()
    for line in _FOLD.sub(" ", lines).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.add(name.strip(), value.strip())
    return headers


def _length(told: str) -> int:
    first = told.partition(",")[0]  # Whether all of them are alike is seen by urllib3.
    if not first.isdecimal() or len(first) > _LONGEST_LENGTH:
        raise HTTPException("the length of the answer is no number")
    return int(first)


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
        if self.sock:  # A new one has its time-out already.
            self.sock.settimeout(self.timeout)
        rest = head(method, url, headers or {})
        for piece in [body] if isinstance(body, bytes) else body or ():
            self.send(rest + piece)
            rest = b""
        if rest:
            self.send(rest)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        """The answer, its body unread."""
        method, url = self._asked
        sock: Untyped = self.sock
        sock.settimeout(self.timeout)
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
        return urllib3.HTTPResponse(
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


class _SecureWire(_Wire, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    """The connections to one server."""

    ConnectionCls: Untyped = _Wire

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
            answer = connection.getresponse()
        except TimeoutError as error:
            raise ReadTimeoutError(self, request[1], "the answer does not come in time") from error
        answer._connection, answer._pool = connection, self  # noqa: SLF001 - it gives the connection back
        return cast("urllib3.BaseHTTPResponse", answer)


class _SecurePool(_Pool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls: Untyped = _SecureWire


#: For the pool manager of an adapter.
POOLS = {"http": _Pool, "https": _SecurePool}


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request. Raises ValueError where a line of it could pass for two."""
    first = f"{method} {target} HTTP/1.1"
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    text = "\r\n".join(lines)
    if not _REQUEST.fullmatch(first) or text.count("\r") != len(headers) or text.count("\n") != len(headers):
        raise ValueError("a head of a request holds what may not stand in it")
    return f"{text}\r\n\r\n".encode("latin-1")
