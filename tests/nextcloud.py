"""A Nextcloud to hold against its laws: the simulated one, and a live one where CONNECTOR_NEXTCLOUD_URL names it.

A live one takes CONNECTOR_NEXTCLOUD_USER and _PASSWORD, an app password, and for some laws a second account, by
CONNECTOR_NEXTCLOUD_OTHER_USER and _OTHER_PASSWORD; CONNECTOR_NEXTCLOUD_CA names the file of its authorities. It keeps
its rate limits: what they leave no room for is skipped. Wrong logins, of which eleven lock everybody at this address
out, are tried only with CONNECTOR_NEXTCLOUD_WRONG_LOGINS.
Run it with `-n 0`, so that one process counts the shares that it makes.
"""

import contextlib
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import quote, urlsplit

import httpx
import pytest
from lxml import etree

from connector.simulator.nextcloud import Nextcloud

DAV, OC, NC = "{DAV:}", "{http://owncloud.org/ns}", "{http://nextcloud.org/ns}"
SHARES = "apps/files_sharing/api/v1/shares"
LAW = "law of Nextcloud"
_ERROR = "{http://sabredav.org/ns}"
_VARIABLE = "CONNECTOR_NEXTCLOUD_"
#: An account may make 20 within ten minutes; some are left for whoever else works with it.
_SHARES_LIVE = 18


@dataclass(frozen=True)
class Account:
    """Who asks."""

    user: str
    password: str


@dataclass
class Place:
    """A server with accounts on it."""

    url: str
    one: Account
    other: Account | None
    #: None where it is a live one.
    server: Nextcloud | None
    client: httpx.Client
    shares_left: int = _SHARES_LIVE

    def ask(self, method: str, path: str, *, who: Account | None, **more: Any) -> httpx.Response:
        """One request, by nobody where `who` is None. Cookies are never kept (1.5)."""
        auth = httpx.BasicAuth(who.user.encode(), who.password.encode()) if who else None
        answer = self.client.request(method, self.url + path, auth=auth, **more)
        self.client.cookies.clear()
        return answer


class Need(Enum):
    """What a law asks for beside one account."""

    CONTROL = "only the simulated one can be told to do this"
    OTHER = "there is no second account"
    WRONG_LOGIN = "wrong logins are not asked for"


@dataclass
class At:
    """A new folder of an account, with the file `old.bin` and the folder `sub` in it, for one law."""

    place: Place
    folder: str = field(default_factory=lambda: f"laws-{secrets.token_hex(6)}")

    def __enter__(self) -> Self:
        assert self.dav("MKCOL", "").status_code == 201
        assert self.dav("MKCOL", "sub").status_code == 201
        assert self.put("old.bin", b"old").status_code == 201
        return self

    def __exit__(self, *_: object) -> None:
        self.dav("DELETE", "")

    @property
    def server(self) -> Nextcloud:
        """The simulated one."""
        assert self.place.server
        return self.place.server

    @property
    def one(self) -> Account:
        """Whose folder it is."""
        return self.place.one

    @property
    def other(self) -> Account:
        """Somebody else."""
        assert self.place.other
        return self.place.other

    def path(self, name: str = "") -> str:
        """As the API names it."""
        return f"/{self.folder}/{name}".rstrip("/")

    def where(self, name: str = "") -> str:
        """The path of a file in WebDAV. What is percent-encoded already stays."""
        return f"/remote.php/dav/files/{quote(self.one.user)}/{self.folder}/{quote(name, safe='/%')}"

    def upload(self, name: str = "") -> str:
        """The path of an unfinished upload."""
        return f"/remote.php/dav/uploads/{quote(self.one.user)}/{self.folder}{f'/{name}' if name else ''}"

    def to(self, name: str) -> dict[str, str]:
        """The header that names a target."""
        return {"Destination": self.place.url + self.where(name)}

    def ask(self, method: str, path: str, *headers: Mapping[str, str], **more: Any) -> httpx.Response:
        """One request of the account that the folder belongs to."""
        joined = {name: value for each in headers for name, value in each.items()}
        more.setdefault("who", self.one)
        return self.place.ask(method, path, headers=joined, **more)

    def dav(self, method: str, name: str, *headers: Mapping[str, str], **more: Any) -> httpx.Response:
        """One request for a file in the folder."""
        return self.ask(method, self.where(name), *headers, **more)

    def put(
        self, name: str, content: bytes | Iterator[bytes], *headers: Mapping[str, str], **more: Any
    ) -> httpx.Response:
        """Write a file."""
        return self.dav("PUT", name, *headers, content=content, **more)

    def holds(self, name: str) -> bytes | None:
        """What a file has in it; None where there is none."""
        answer = self.dav("GET", name)
        return answer.content if answer.status_code == 200 else None

    def ocs(self, method: str, path: str, *, version: int = 2, **more: Any) -> httpx.Response:
        """One request of the API. Where a live server leaves no room for a share, the law is skipped."""
        headers = {"OCS-APIRequest": "true", "Accept": "application/json"}
        url = f"/ocs/v{version}.php/{path}"
        if (method, path) != ("POST", SHARES) or self.place.server:
            return self.ask(method, url, headers, **more)
        self.place.shares_left -= 1
        answer = self.ask(method, url, headers, **more) if self.place.shares_left >= 0 else None
        if answer is None or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            pytest.skip("the rate limit of shares leaves no room; run this law by itself, ten minutes later")
        return answer

    def share(self, name: str = "old.bin", kind: int = 3, **values: Any) -> httpx.Response:
        """Ask for a share."""
        return self.ocs("POST", SHARES, json={"path": self.path(name), "shareType": kind} | values)

    def properties(self, name: str, *asked: str, who: Account | None = None, url: str = "") -> dict[str, Any]:
        """Some properties of a file: text, or a list of texts; None for those that it does not have."""
        prop = "".join(f'<x:{each.partition("}")[2]} xmlns:x="{each[1:].partition("}")[0]}"/>' for each in asked)
        body = f'<d:propfind xmlns:d="DAV:"><d:prop>{prop}</d:prop></d:propfind>'.encode()
        more = {"who": who} if who else {}
        answer = self.ask("PROPFIND", url or self.where(name), {"Depth": "0"}, content=body, **more)
        assert answer.status_code == 207, answer.text
        found = {}
        for stat in etree.fromstring(answer.content).iter(f"{DAV}propstat"):
            there = "200" in (stat.findtext(f"{DAV}status") or "")
            for each in stat.iterfind(f"{DAV}prop/*"):
                found[str(each.tag)] = "".join(map(str, each.itertext())) if there else None
        return found

    def listed(self, url: str, depth: str = "1", who: Account | None = None) -> dict[str, int | None]:
        """The hrefs in a collection, and the sizes of files."""
        answer = self.ask("PROPFIND", url, {"Depth": depth}, **({"who": who} if who else {}))
        assert answer.status_code == 207, answer.text
        found = {}
        for each in etree.fromstring(answer.content).iter(f"{DAV}response"):
            size = each.find(f".//{DAV}getcontentlength")
            found[each.findtext(f"{DAV}href") or ""] = int(size.text or 0) if size is not None else None
        return found

    def line(self, path: str, length: str) -> socket.socket:
        """A connection with a PUT that has begun: its body is still to come."""
        parts = urlsplit(self.place.url)
        auth = httpx.BasicAuth(self.one.user.encode(), self.one.password.encode())._auth_header
        secure = parts.scheme == "https"
        line = socket.create_connection((str(parts.hostname), parts.port or (443 if secure else 80)), 20)
        if secure:
            line = _authorities().wrap_socket(line, server_hostname=parts.hostname)
        head = f"PUT {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {auth}\r\n{length}\r\n\r\n"
        line.sendall(head.encode())
        return line

    def torn(self, path: str, announced: int | None, sent: bytes) -> tuple[int | None, bytes]:
        """A PUT whose body ends too early: status and body of the answer. Without a length: in chunks, unended.

        None where a server says nothing to a line that breaks off within TLS.
        """
        length = "Transfer-Encoding: chunked" if announced is None else f"Content-Length: {announced}"
        with closing(self.line(path, length)) as line:
            line.sendall(sent)
            # That of a line in TLS would forget the keys, and with them the answer.
            socket.socket.shutdown(line, socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(OSError):
                while piece := line.recv(65536):
                    answer += piece
        if not answer:
            time.sleep(1)  # Until the server has noticed.
            return None, b""
        head_of_answer, _, body = answer.partition(b"\r\n\r\n")
        return int(head_of_answer.split()[1]), body


def exception(answer: httpx.Response | bytes) -> str:
    """The last word of the exception in an answer of WebDAV."""
    content = answer if isinstance(answer, bytes) else answer.content
    start = content.find(b"<?xml")
    if start < 0:
        return ""
    root = etree.fromstring(content[start : content.rfind(b">") + 1])
    return str(root.findtext(f"{_ERROR}exception") or "").rpartition("\\")[2]


def message(answer: httpx.Response) -> str:
    """The message in an answer of WebDAV or of the API."""
    if "json" in answer.headers.get("Content-Type", ""):
        return str(answer.json()["ocs"]["meta"]["message"])
    return str(etree.fromstring(answer.content).findtext(f"{_ERROR}message") or "")


def data(answer: httpx.Response) -> Any:
    """The data of a good answer of the API."""
    assert answer.status_code == 200, answer.text
    return answer.json()["ocs"]["data"]


@dataclass(frozen=True)
class Law:
    """Something that Nextcloud does: where it was seen, and how it is looked for."""

    section: str
    says: str
    check: Callable[[At], None]
    needs: frozenset[Need] = frozenset()

    def __str__(self) -> str:
        return f"{self.section}: {self.says}"

    def skip_unless_it_can_run(self, place: Place) -> None:
        """A live server is asked for what it has, and for what was agreed to."""
        if place.server is not None:
            return
        lacking = {
            Need.CONTROL: True,
            Need.OTHER: place.other is None,
            Need.WRONG_LOGIN: f"{_VARIABLE}WRONG_LOGINS" not in os.environ,
        }
        for need in self.needs:
            if lacking[need]:
                pytest.skip(need.value)


def _client() -> httpx.Client:
    return httpx.Client(timeout=60, trust_env=False, verify=_authorities())


def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get(f"{_VARIABLE}CA"))


@pytest.fixture(scope="session")
def simulated_nextcloud() -> Iterator[Place]:
    """For all laws that leave nothing behind; none counts their shares and wrong logins."""
    yield from _simulated(lenient=True)


@pytest.fixture
def new_nextcloud() -> Iterator[Place]:
    """For one law that turns something over."""
    yield from _simulated(lenient=False)


def _simulated(*, lenient: bool) -> Iterator[Place]:
    with Nextcloud() as server, _client() as client:
        one, other = server.cloud.add_user("connector"), server.cloud.add_user("anna")
        server.cloud.add_group("sales", "anna", "connector")
        server.cloud.add_group("others", "anna")
        if lenient:
            server.cloud.settings.rate_limits = False
            server.cloud.settings.allowed = {"127.0.0.1"}
        first, second = (Account(each.id, each.app_password()) for each in (one, other))
        yield Place(server.url, first, second, server, client)


@pytest.fixture(scope="session")
def live_nextcloud() -> Iterator[Place]:
    """The one that the environment names."""
    told = {name: os.environ.get(_VARIABLE + name, "") for name in ("USER", "PASSWORD", "OTHER_USER", "OTHER_PASSWORD")}
    one, other = Account(told["USER"], told["PASSWORD"]), Account(told["OTHER_USER"], told["OTHER_PASSWORD"])
    with _client() as client:
        yield Place(os.environ[f"{_VARIABLE}URL"].rstrip("/"), one, other if other.user else None, None, client)


def places() -> list[str]:
    """Where laws are held against a server."""
    return ["simulated", *(["live"] if f"{_VARIABLE}URL" in os.environ else [])]


def hold(law: Law, where: str, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Hold a law against a server."""
    record_property(LAW, (where, str(law)))
    changes = where == "simulated" and Need.CONTROL in law.needs
    place: Place = request.getfixturevalue("new_nextcloud" if changes else f"{where}_nextcloud")
    law.skip_unless_it_can_run(place)
    with At(place) as at:
        law.check(at)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not seen on a real one."""
    told = [
        (*cast("tuple[str, str]", dict(report.user_properties)[LAW]), report.outcome)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call" and LAW in dict(report.user_properties)
    ]
    laws = {law for _, law, _ in told}
    live = {law for place, law, outcome in told if place == "live" and outcome != "skipped"}
    if laws:
        terminalreporter.write_line(f"{len(laws - live)} laws of Nextcloud did not run against a live server")
