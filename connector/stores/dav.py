"""One WebDAV request at a time (RFC 4918): the library, bent to be strict, and what servers answer.

webdavclient3 as it comes follows redirects, which turns a PUT into the GET of a login page and calls that success. It
also keeps cookies, which some servers believe more than the password; obeys proxies and .netrc files of the
environment; leaves bodies unread, so that every request opens a connection; and drops headers and bodies of errors.
`DavClient` does none of that and uses none of its calls above `execute_request`.
"""

import ssl
from collections.abc import Container, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

import requests
from lxml import etree
from requests.auth import AuthBase
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from webdav3.client import Client

from connector.errors import Conflict, ConnectorError, Denied, FileGone, Rejected, Unavailable
from connector.session import Session
from connector.spool import CHUNK, Spool


class WrongPassword(Denied):
    """Nothing more may be sent: servers lock accounts and addresses that go on."""


#: No answer but a download is longer than this; a listing has some 500 bytes for each name.
_LONGEST_ANSWER = 64 * 1024 * 1024
#: What an error says of itself.
_LONGEST_REASON = 64 * 1024
#: Digits; Python refuses to read numbers of thousands of them.
_LONGEST_SIZE = 20
_CONNECT_SECONDS = 10.0
_PROPERTIES = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getetag/></prop></propfind>"""
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_QUOTA = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><quota-available-bytes/></prop></propfind>"""
#: What a server sends is not trusted: no entities, no files, no network, and no help for broken markup.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_REACTIONS: Mapping[int, tuple[type[ConnectorError], str]] = {
    HTTPStatus.UNAUTHORIZED: (WrongPassword, "it does not accept the user name and password"),
    HTTPStatus.FORBIDDEN: (Denied, "the account has no right to do that"),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: (Denied, "a proxy before it wants a login"),
    # A collection that we made may be deleted by others; the next attempt makes it again.
    HTTPStatus.NOT_FOUND: (Unavailable, "a collection on the way is missing"),
    HTTPStatus.GONE: (Unavailable, "a collection on the way is missing"),
    HTTPStatus.CONFLICT: (Unavailable, "a collection on the way is missing"),
    HTTPStatus.METHOD_NOT_ALLOWED: (Rejected, "there is no WebDAV collection, or it is read-only or full"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Rejected, "the file is larger than it, or a proxy before it, takes"),
    # It is that of one file; all others are to go on.
    HTTPStatus.LOCKED: (Conflict, "somebody has locked it"),
    HTTPStatus.NOT_IMPLEMENTED: (Rejected, "it does not know that method"),
    HTTPStatus.INSUFFICIENT_STORAGE: (Unavailable, "the store is full"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource in a PROPFIND answer."""

    #: On the server, decoded, without slashes at its ends.
    path: str
    collection: bool
    #: In bytes; None where the server does not say.
    size: int | None
    #: With its quotes, and with W/ before them where it is weak; "" where it is missing or not quoted as RFC 9110 wants
    #: it, and so proves nothing: WsgiDAV's unquoted ones stay the same when a file is overwritten within a second.
    etag: str
    #: Stays when the file is moved or renamed; "" where the server has none, or was not asked.
    file_id: str = ""


class DavClient(Client):  # type: ignore[misc]  # the library has no types
    """One account at one server, for one thread. Paths are relative to the root and unquoted."""

    #: What PROPFIND asks for.
    properties = _PROPERTIES

    def __init__(self, url: str, *, auth: AuthBase | None, ca: Path | None, timeout: float) -> None:
        """`url` is that of the root collection; `timeout` counts seconds for each read of the network."""
        parts = urlsplit(url)
        super().__init__(
            {
                "webdav_hostname": f"{parts.scheme}://{parts.netloc}",
                "webdav_root": unquote(parts.path),
            }
        )
        self.timeout = Timeout(connect=min(timeout, _CONNECT_SECONDS), read=timeout)
        self.host = parts.netloc
        self.verify = str(ca) if ca else True
        # What is compared are bytes; a compressed answer would only hide their length.
        self.session = Session(url, {"Accept-Encoding": "identity"})
        self.session.auth = auth
        self.session.verify = self.verify
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.requests["search"] = "SEARCH"
        self._root = str(self.get_url(""))
        self._date = ""

    def ask(
        self,
        action: str,
        path: str,
        *,
        success: Container[int],
        data: "bytes | Upload | None" = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read the whole answer, so that the connection can be used again.

        Raises Unavailable, Denied or Rejected for every status that is not in `success`.
        """
        with self._translated(), closing(self.execute_request(action, path, data, headers)) as response:
            body = response.raw.read(_LONGEST_ANSWER + 1, decode_content=True)
        answer = Answer(response.status_code, response.headers, body)
        if len(body) > _LONGEST_ANSWER:
            raise Rejected(f"{self.host} answers {self.requests[action]} without end")
        if answer.status not in success:
            raise self.refused(self.requests[action], answer)
        return answer

    @contextmanager
    def download(self, path: str) -> Iterator[BinaryIO]:
        """Stream a file. Raises FileGone; reading raises Unavailable where the connection breaks off."""
        with self._translated():
            response = self.execute_request("download", path)
        with closing(response):
            if response.status_code in _ABSENT:
                raise FileGone(f"the file is not on {self.host}")
            if response.status_code != HTTPStatus.OK:
                with self._translated():
                    told = response.raw.read(_LONGEST_REASON, decode_content=True)
                raise self.refused("GET", Answer(response.status_code, response.headers, told))
            yield cast("BinaryIO", _Download(response, self.host))

    def look(self, path: str, *, depth: int) -> tuple[Entry, ...]:
        """The resource at `path`, and with depth 1 those directly inside; nothing where it does not exist."""
        answer = self.ask(
            "list",
            path,
            success=(207, 301, 308, *_ABSENT),
            data=self.properties,
            headers=asking(depth),
        )
        if answer.status in _ABSENT:
            return ()
        if answer.status != HTTPStatus.MULTI_STATUS:
            # Apache sends whoever leaves out the slash of a collection to the address that has it.
            if path.endswith("/") or not self._only_adds_slash(answer, path):
                raise self.refused("PROPFIND", answer)
            return self.look(path + "/", depth=depth)
        return tuple(_entries(self.host, answer.body))

    def search(self, query: bytes) -> tuple[Entry, ...]:
        """What a server finds that knows SEARCH at the root collection (RFC 5323)."""
        answer = self.ask("search", "", success=(HTTPStatus.MULTI_STATUS,), data=query, headers=_XML)
        return tuple(map(_entry, _multistatus(self.host, answer.body).iterchildren("{DAV:}response")))

    def free(self) -> int | None:
        """How many bytes the root collection takes yet; None where the server tells none (RFC 4331), or no end."""
        answer = self.ask("list", "", success=(HTTPStatus.MULTI_STATUS,), data=_QUOTA, headers=asking(0))
        told = _multistatus(self.host, answer.body).findtext(".//{DAV:}quota-available-bytes") or ""
        # Nextcloud says -3 where there is no limit.
        return int(told) if told.strip().isdecimal() and len(told) < _LONGEST_SIZE else None

    def refuse_failures(self, method: str, answer: Answer) -> None:
        """Raise for the first failure that a 207 carries inside, as the answer to something else than PROPFIND."""
        for line in _multistatus(self.host, answer.body).iter("{DAV:}status"):
            status = _status(line.text)
            if status >= HTTPStatus.BAD_REQUEST and status not in _ABSENT:
                raise self.refused(method, Answer(status, answer.headers, b""))

    def refused(self, method: str, answer: Answer) -> ConnectorError:
        """An answer that is no success, as an error of ours."""
        return refusal(self.host, method, answer)

    def url(self, path: str) -> str:
        """The address of `path`, quoted."""
        return f"{self._root}/{_quoted(path)}"

    def location(self, path: str) -> str:
        """`path` as `Entry.path` has it."""
        return _decoded(self.url(path))

    def now(self) -> datetime | None:
        """The `Date` of the last answer."""
        return _http_date(self._date)

    def execute_request(
        self,
        action: str,
        path: str,
        data: "bytes | Upload | None" = None,
        headers_ext: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and hand out what comes back, whatever its status, with its body unread."""
        response = self.session.request(
            self.requests[action],
            self.url(path),
            data=data,
            headers=headers_ext,
            timeout=self.timeout,
        )
        self._date = response.headers.get("Date", "")
        return response

    def _only_adds_slash(self, answer: Answer, path: str) -> bool:
        location = answer.headers.get("Location", "")
        return location.endswith("/") and _decoded(location) == self.location(path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        # What requests raises is an OSError too.
        try:
            yield
        except (OSError, HTTPError) as error:
            raise unreachable(self.host, error) from error


#: Each path is asked for some times, one after the other.
_quoted = lru_cache(maxsize=100)(quote)


def asking(depth: int) -> dict[str, str]:
    """The headers of a PROPFIND, which brings along what it asks for (RFC 4918 section 9.1)."""
    return {"Depth": str(depth), **_XML}


class Upload:
    """A spool on its way out, or a piece of it, with its true length.

    Each pass begins at the start: Digest may need a second one.
    """

    def __init__(self, content: Spool, start: int = 0, end: int | None = None) -> None:
        """The spool must stay open until the request is answered."""
        self._content = content
        self._start = start
        self._end = content.size if end is None else end

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        self._content.content.seek(self._start)
        left = len(self)
        while left and (chunk := self._content.content.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


class _Download(BufferedIOBase):
    """The body of an answer. urllib3 raises where it ends before its Content-Length."""

    def __init__(self, response: requests.Response, host: str) -> None:
        self._response = response
        self._host = host

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        most = None if size is None or size < 0 else size
        try:
            return bytes(self._response.raw.read(most, decode_content=True))
        except HTTPError as error:
            raise unreachable(self._host, error) from error


def unreachable(host: str, error: Exception) -> ConnectorError:
    """A failure of the network, as an error of ours."""
    if told := distrust(host, error):
        return told
    if isinstance(error, requests.Timeout):
        return Unavailable(f"{host} does not answer in time")
    if isinstance(error, requests.ConnectionError):
        return Unavailable(f"{host} cannot be reached, or broke the connection off")
    return Unavailable(f"the answer of {host} broke off ({type(error).__name__})")


def distrust(host: str, error: BaseException) -> Unavailable | None:
    """A failure of TLS; None for any other."""
    reason = _tls_reason(error)
    return None if reason is None else Unavailable(f"no trusted TLS connection to {host}: {reason}")


def refusal(host: str, method: str, answer: Answer) -> ConnectorError:
    """An answer that is no success, as an error of ours."""
    said = f"{host} answers {method} with {answer.status}"
    if answer.status in _REACTIONS:
        reaction, why = _REACTIONS[answer.status]
        return reaction(f"{said}: {why}")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _BUSY:
        return Unavailable(f"{said}: it is busy, down or full", _retry_after(answer))
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return Rejected(f"{said}: it will not take that")
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        return Denied(f"{said}, a redirect to {_host_of(answer)}: that is a login page, or not its final address")
    if "html" in answer.headers.get("Content-Type", ""):
        return Denied(f"{said} and a web page: that is a login page or a web site, not a WebDAV store")
    return Rejected(f"{said}, which no WebDAV store answers to that")


def _host_of(answer: Answer) -> str:
    try:
        # Never the whole address: the query of a login page carries tokens.
        return urlsplit(answer.headers.get("Location", "")).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def _retry_after(answer: Answer) -> timedelta | None:
    """RFC 9110 section 10.2.3: seconds, or a date, which is read against the server's own clock."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return timedelta(seconds=int(value[:9]))
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(answer.headers.get("Date", "")) or datetime.now(UTC)
    return max(until - now, timedelta(0))


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _tls_reason(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"{error.verify_message}; renew the server's certificate, or name as `ca` who vouches for it"
        if isinstance(error, ssl.SSLError):
            return error.reason or "handshake failed"
        error = error.__cause__ or error.__context__
    return None


def _entries(host: str, body: bytes) -> Iterator[Entry]:
    responses = _multistatus(host, body).findall("{DAV:}response")
    if not responses:
        raise Rejected(f"{host} answers PROPFIND with a list of nothing")
    return (_entry(each) for each in responses if _status(each.findtext("{DAV:}status")) not in _ABSENT)


def _entry(response: etree._Element) -> Entry:
    told: dict[str, etree._Element] = {}
    for each in response.iterchildren("{DAV:}propstat"):
        if _status(each.findtext("{DAV:}status")) == HTTPStatus.OK:
            properties = (said for prop in each.iterchildren("{DAV:}prop") for said in prop.iterchildren("*"))
            told |= {said.tag: said for said in properties if said.tag not in told}
    size = _text(told, "{DAV:}getcontentlength")
    etag = _text(told, "{DAV:}getetag")
    kind = told.get("{DAV:}resourcetype")
    return Entry(
        path=_decoded(response.findtext("{DAV:}href", "")),
        collection=kind is not None and kind.find("{DAV:}collection") is not None,
        size=int(size) if size.isdecimal() and len(size) < _LONGEST_SIZE else None,
        etag=etag if etag.removeprefix("W/").startswith('"') else "",
        file_id=_text(told, "{http://owncloud.org/ns}fileid"),
    )


def parsed(body: bytes) -> etree._Element | None:
    """The root of XML; None where it is none."""
    try:
        return etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError:
        return None


def _multistatus(host: str, body: bytes) -> etree._Element:
    root = parsed(body)
    if root is None or root.tag != "{DAV:}multistatus":
        raise Rejected(f"{host} answers with 207, but not with the XML of WebDAV")
    return root


def _text(told: Mapping[str, etree._Element], tag: str) -> str:
    return (told[tag].text or "").strip() if tag in told else ""


def _status(line: str | None) -> int:
    words = (line or "").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _decoded(address: str) -> str:
    try:
        return unquote(urlsplit(address.strip()).path).strip("/")
    except ValueError:
        return ""
