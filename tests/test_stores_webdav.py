"""The WebDAV store on Apache, nginx, rclone and WsgiDAV, before servers that lie, and over wires that break."""

import ipaddress
import os
import socket
import ssl
import time
import tracemalloc
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from connector.errors import Conflict, ConnectorError, Corrupt, Denied, FileGone, Rejected, Unavailable
from connector.model import LinkTerms, Stored
from connector.names import safe_name
from connector.spool import CHUNK, spooled
from connector.stores import Store
from connector.stores.dav import DavClient
from connector.stores.webdav import WebdavConfig, WebdavStore
from tests import lying_store as lies
from tests.laws.stores import ORIGIN, StoreLaws, contents, spool
from tests.lying_store import Lie, LyingStore, Reply, Request, lying_store, wire
from tests.servers import PASSWORD, DavServer, free_port
from tests.test_spool import Endless

DATA = b"bytes of an attachment, " * 1000
PATH = "box/R1/report.pdf"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAV_PASSWORD", PASSWORD)


@dataclass
class WebdavWorld:
    """A collection of its own on a real server, which may be reached over another port."""

    server: DavServer
    root: str = field(default_factory=lambda: f"root of {uuid4().hex}")

    def __post_init__(self) -> None:
        self.request("MKCOL", "").raise_for_status()

    def connect(self, port: int | None = None, **changes: Any) -> WebdavStore:
        """A client of its own."""
        values = {
            "type": "webdav",
            "url": self.url(port=port),
            "auth": self.server.auth,
            "user": self.server.user,
            "password": {"env": "DAV_PASSWORD"},
            "timeout": 20,
        }
        return WebdavConfig.model_validate(values | changes).connect(b"")

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file."""
        self.request("PUT", path, data).raise_for_status()

    def url(self, path: str = "", port: int | None = None) -> str:
        """The address of `path`."""
        url = f"{self.server.url}{quote(self.root)}/{quote(path)}"
        return url.replace(f":{self.server.port}/", f":{port}/") if port else url

    def request(self, method: str, path: str, data: bytes | None = None) -> requests.Response:
        """Act as somebody else with the same account."""
        auth: AuthBase = HTTPBasicAuth(self.server.user.encode(), self.server.password.encode())
        if self.server.auth == "digest":
            auth = HTTPDigestAuth(self.server.user, self.server.password)
        return requests.request(method, self.url(path), data=data, auth=auth, timeout=20)

    def on_disk(self) -> set[str]:
        """Every file of this world as it lies in the server's folder."""
        root = self.server.folder / self.root
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def world(dav_server: DavServer) -> WebdavWorld:
    """A fresh collection on each server in turn."""
    return WebdavWorld(dav_server)


@pytest.fixture
def plain_world(wsgidav: DavServer) -> WebdavWorld:
    """A fresh collection on the server that is always there."""
    return WebdavWorld(wsgidav)


class TestWebdavStore(StoreLaws):
    """The laws, on every server."""

    @pytest.fixture
    def world(self, dav_server: DavServer) -> WebdavWorld:
        """A fresh collection."""
        return WebdavWorld(dav_server)

    def test_nothing_but_the_file_is_left(self, store: Store, world: WebdavWorld) -> None:
        """No temporary name stays behind, after success, repetition and refusal alike."""
        store.put(PATH, spool(DATA))
        store.put(PATH, spool(DATA))
        with pytest.raises(Corrupt):
            store.put(PATH, spool(b"other"))
        assert world.on_disk() == {PATH}

    def test_20_megabytes_in_constant_memory(self, store: Store) -> None:
        """Neither putting nor verifying nor reading holds a file in memory."""
        with spooled(BytesIO(os.urandom(20_000_000))) as content:
            tracemalloc.start()
            stored = store.put("box/R1/big.bin", content)
            store.verify(replace(stored, etag=""))
            with store.open(stored.path) as stream:
                assert sum(len(chunk) for chunk in iter(lambda: stream.read(65536), b"")) == 20_000_000
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 6_000_000

    def test_an_upload_that_is_cut_leaves_nothing(self, world: WebdavWorld) -> None:
        """The connection dies in the middle: Unavailable, nothing at the path, and the next attempt succeeds."""
        with wire(world.server.port, cut_after=200_000) as cut:
            with pytest.raises(Unavailable):
                world.connect(cut.port).put(PATH, spool(os.urandom(1_000_000)))
            assert cut.connections
        assert PATH not in world.on_disk()
        store = world.connect()
        assert store.names("box/R1") == ()
        assert store.verify(store.put(PATH, spool(DATA)))
        assert contents(store, PATH) == DATA

    def test_30_files_over_few_connections(self, world: WebdavWorld) -> None:
        """Connections are used again: with TLS each new one is a handshake."""
        with wire(world.server.port) as counted:
            store = world.connect(counted.port)
            for number in range(30):
                store.verify(store.put(f"box/R{number % 3}/{number}", spool(DATA)))
            assert counted.connections <= 3

    def test_a_collection_that_others_deleted_is_made_again(self, store: Store, world: WebdavWorld) -> None:
        """A client may remember a collection that is gone: Unavailable at worst, and then it is made again."""
        store.put(PATH, spool(DATA))
        world.request("DELETE", "box/").raise_for_status()
        with suppress(Unavailable):
            store.put("box/R1/next.pdf", spool(DATA))
        assert store.verify(store.put("box/R1/next.pdf", spool(DATA)))

    def test_what_a_dead_process_left_goes_with_its_collection(self, store: Store, world: WebdavWorld) -> None:
        """A temporary file is no name, and does not keep a collection."""
        stored = store.put(PATH, spool(DATA))
        world.overwrite(f"box/R1/upload-{'0a' * 16}.tmp", b"half")
        assert store.names("box/R1") == ("report.pdf",)
        store.delete(stored.path)
        store.delete("box/R1")
        assert world.on_disk() == set()

    def test_a_link_opens_for_whoever_may_log_in(self, store: Store, world: WebdavWorld) -> None:
        """The store's own address, quoted, gives the bytes."""
        name = "box/R 1/50% Übergröße #1 & more.pdf"
        (link,) = store.share([store.put(name, spool(DATA))], LinkTerms(), ORIGIN)
        assert link.url == world.url(name)
        assert world.request("GET", name).content == DATA

    def test_a_missing_root_is_named_and_never_made(self, world: WebdavWorld) -> None:
        """A wrong address must not look like an empty store."""
        world.request("DELETE", "").raise_for_status()
        store = world.connect()
        with pytest.raises(Unavailable, match="create it"):
            store.put(PATH, spool(DATA))
        assert not (world.server.folder / world.root).exists()

    def test_what_dead_uploads_left_is_gone_once_there_are_links(self, store: WebdavStore, world: WebdavWorld) -> None:
        """People may look into the collection from then on; what else lies there stays."""
        stored = store.put("box/R 1/a.bin", spool(DATA))
        world.request("PUT", f"box/R 1/upload-{'0' * 32}.tmp", b"torn").raise_for_status()
        world.request("PUT", "box/R 1/b.bin", b"whole").raise_for_status()
        store.share([stored], LinkTerms(), ORIGIN)
        assert {path.rpartition("/")[2] for path in world.on_disk()} == {"a.bin", "b.bin"}

    def test_a_file_that_never_ends_is_another(self, store: WebdavStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is read as far as it takes to see that."""
        stored = store.put(PATH, spool(DATA))
        endless = Endless()
        monkeypatch.setattr(DavClient, "download", lambda *_: nullcontext(endless))
        with pytest.raises(Corrupt):
            store.verify(replace(stored, etag=""))
        assert endless.given == CHUNK

    def test_no_file_is_taken_for_a_dead_upload(self, store: WebdavStore) -> None:
        """A sender may give a file the very name of one of ours: sharing must not remove it."""
        stored = store.put("box/R1/" + safe_name(f"upload-{'0' * 32}.tmp"), spool(DATA))
        store.share([stored], LinkTerms(), ORIGIN)
        assert store.verify(stored)
        assert store.names("box/R1") == (stored.path.rpartition("/")[2],)

    def test_a_wrong_password_is_denied_once(self, world: WebdavWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        """Denied, and not asked again: servers lock addresses that go on."""
        monkeypatch.setenv("DAV_PASSWORD", "wrong")
        with lying_store(world.server.port) as proxy:
            store = world.connect(proxy.port)
            with pytest.raises(Denied, match="password"):
                store.put(PATH, spool(DATA))
            assert len(proxy.requests) == (2 if world.server.auth == "digest" else 1)


@pytest.mark.parametrize("name", ["what? why.txt", "so;1,2.txt"])
def test_names_that_one_server_misunderstands(world: WebdavWorld, name: str) -> None:
    """WsgiDAV cuts the Destination of a MOVE at ? and ; although they are quoted: that is seen, and told."""
    store = world.connect()
    if world.server.name == "wsgidav":
        with pytest.raises(Corrupt):
            store.put(f"box/{name}", spool(DATA))
    else:
        assert store.verify(store.put(f"box/{name}", spool(DATA)))
        assert store.names("box") == (name,)


LIES: dict[str, tuple[Lie, type[ConnectorError]]] = {
    "flips a byte": (lies.flips_a_byte, Corrupt),
    "truncates with 201": (lies.truncates, Corrupt),
    "echoes the checksum": (lies.echoes_the_checksum, Corrupt),
    "stores nothing": (lies.stores_nothing, Corrupt),
    "moves nothing": (lies.moves_nothing, Corrupt),
    "breaks off a download": (lies.gives_back_less, Unavailable),
    "login page": (lies.login_page(), Denied),
    "login page on MKCOL": (lies.login_page("MKCOL"), Denied),
    "login page on PUT": (lies.login_page("PUT"), Denied),
    "login page on GET": (lies.login_page("GET"), Corrupt),
    "login page on MOVE": (lies.login_page("MOVE"), Denied),
    "login page on PROPFIND": (lies.login_page("PROPFIND"), Denied),
    "redirect": (lies.redirect_to_login(), Denied),
    "redirect on PUT": (lies.redirect_to_login("PUT"), Denied),
    "redirect on GET": (lies.redirect_to_login("GET"), Denied),
    "redirect on MOVE": (lies.redirect_to_login("MOVE"), Denied),
    "full with 507": (lies.keeps_half_and_answers(507), Unavailable),
    "full with 500": (lies.keeps_half_and_answers(500), Unavailable),
    "full with 405": (lies.keeps_half_and_answers(405), Rejected),
}


@pytest.mark.parametrize("name", LIES)
def test_a_store_that_lies_is_not_believed(plain_world: WebdavWorld, name: str) -> None:
    """No lie ends in success, and nothing wrong is left anywhere."""
    lie, reaction = LIES[name]
    with lying_store(plain_world.server.port, lie) as proxy, pytest.raises(reaction, match=r"127\.0\.0\.1"):
        plain_world.connect(proxy.port).put(PATH, spool(DATA))
    assert plain_world.on_disk() <= {PATH}
    if plain_world.on_disk():
        assert contents(plain_world.connect(), PATH) == DATA


@pytest.mark.parametrize(("status", "reaction"), [(403, Denied), (409, Unavailable), (500, Unavailable)])
def test_a_collection_that_cannot_be_made_is_told(
    plain_world: WebdavWorld, status: int, reaction: type[ConnectorError]
) -> None:
    """What may only mean that somebody else made it is looked at, and told where nobody did."""
    with (
        lying_store(plain_world.server.port, lies.answers(status, "MKCOL")) as proxy,
        pytest.raises(reaction, match=f"MKCOL with {status}"),
    ):
        plain_world.connect(proxy.port).put(PATH, spool(DATA))


@pytest.mark.parametrize(
    ("status", "reaction"), [(400, Rejected), (403, Denied), (500, Unavailable), (502, Unavailable)]
)
def test_a_proxy_that_hides_where_a_move_leads(
    plain_world: WebdavWorld, status: int, reaction: type[ConnectorError]
) -> None:
    """Uploads work and moves do not, and the answer alone says nothing of the reason."""
    with (
        lying_store(plain_world.server.port, lies.answers(status, "MOVE")) as proxy,
        pytest.raises(reaction, match=rf"MOVE with {status}: .*; or a proxy .* Destination"),
    ):
        plain_world.connect(proxy.port).put(PATH, spool(DATA))
    assert not plain_world.on_disk()


def test_bytes_lost_by_the_move_are_seen(plain_world: WebdavWorld) -> None:
    """The last look is at the right name, not at the temporary one; and half a file is in nobody's way."""
    with lying_store(plain_world.server.port, lies.moves_half) as proxy, pytest.raises(Corrupt):
        plain_world.connect(proxy.port).put(PATH, spool(DATA))
    assert not plain_world.on_disk()


@pytest.mark.parametrize(
    "lie",
    [
        lies.login_page(),
        lies.redirect_to_login(),
        lies.answers(301, headers={"Location": "/login/?ticket=confidential"}),
    ],
    ids=["login page", "redirect", "permanent redirect"],
)
def test_a_login_page_says_nothing_about_a_file(plain_world: WebdavWorld, lie: Lie) -> None:
    """Neither there nor gone nor corrupt: every verb is Denied."""
    stored = plain_world.connect().put(PATH, spool(DATA))
    with lying_store(plain_world.server.port, lie) as proxy:
        store = plain_world.connect(proxy.port)
        for verb in (lambda: store.verify(stored), lambda: store.names("box"), lambda: store.delete(PATH)):
            with pytest.raises(Denied, match="login page") as denied:
                verb()
            assert "confidential" not in str(denied.value)
    assert plain_world.connect().verify(stored)


def test_redirects_are_not_followed(plain_world: WebdavWorld) -> None:
    """A PUT that becomes the GET of a login page would be called a success."""
    with lying_store(plain_world.server.port, lies.redirect_to_login("PUT")) as proxy:
        with pytest.raises(Denied):
            plain_world.connect(proxy.port).put("report.pdf", spool(DATA))
        assert not [each for each in proxy.requests if each.path.startswith("/login")]


def test_cookies_are_not_kept(plain_world: WebdavWorld) -> None:
    """Some servers believe a cookie more than the password, and would act as somebody else."""

    def sets_a_cookie(request: Request, ask: lies.Ask) -> Reply:
        reply = ask(request)
        return replace(reply, headers=reply.headers | {"Set-Cookie": "session=alice; Path=/"})

    with lying_store(plain_world.server.port, sets_a_cookie) as proxy:
        store = plain_world.connect(proxy.port)
        store.verify(store.put(PATH, spool(DATA)))
        assert len(proxy.requests) > 4
        assert not [each for each in proxy.requests if "Cookie" in each.headers]


def test_the_environment_is_ignored(plain_world: WebdavWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no .netrc and no CA bundle of whoever started the daemon."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password wonderland\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with lying_store(plain_world.server.port) as proxy:
        nobody = plain_world.connect(proxy.port, user=None, password=None)
        with pytest.raises(Denied):
            nobody.names("")
        assert "Authorization" not in proxy.requests[0].headers
        store = plain_world.connect(proxy.port)
        assert store.verify(store.put(PATH, spool(DATA)))


def _http_date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


_NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANSWERS: list[tuple[int, dict[str, str], type[ConnectorError], timedelta | None]] = [
    (400, {}, Rejected, None),
    (401, {}, Denied, None),
    (403, {}, Denied, None),
    (404, {}, Unavailable, None),
    (405, {}, Rejected, None),
    (407, {}, Denied, None),
    (409, {}, Unavailable, None),
    (413, {}, Rejected, None),
    (423, {}, Conflict, None),
    (429, {"Retry-After": "120"}, Unavailable, timedelta(seconds=120)),
    (429, {"Retry-After": "soon"}, Unavailable, None),
    (429, {"Retry-After": "9" * 40}, Unavailable, timedelta(seconds=999_999_999)),
    (500, {}, Unavailable, None),
    (501, {}, Rejected, None),
    (502, {}, Unavailable, None),
    (
        503,
        {"Retry-After": _http_date(_NOON + timedelta(minutes=5)), "Date": _http_date(_NOON)},
        Unavailable,
        timedelta(minutes=5),
    ),
    (
        503,
        {"Retry-After": _http_date(_NOON), "Date": _http_date(_NOON + timedelta(hours=1))},
        Unavailable,
        timedelta(0),
    ),
    (507, {}, Unavailable, None),
    (206, {}, Rejected, None),
    (302, {"Location": "http://[broken"}, Denied, None),
]


@pytest.mark.parametrize(("status", "headers", "reaction", "retry_after"), ANSWERS)
def test_every_refusal_ends_in_its_reaction(
    status: int, headers: dict[str, str], reaction: type[ConnectorError], retry_after: timedelta | None
) -> None:
    """One clear sentence that names the server and the status, and how long to wait where the server said so."""
    with lying_store(lie=lies.answers(status, headers=headers)) as proxy:
        with pytest.raises(reaction) as refused:
            _connect(proxy).put("report.pdf", spool(DATA))
        assert f"127.0.0.1:{proxy.port}" in str(refused.value)
        assert str(status) in str(refused.value)
        assert getattr(refused.value, "retry_after", None) == retry_after


def _connect(proxy: LyingStore, scheme: str = "http", **values: Any) -> WebdavStore:
    return WebdavConfig.model_validate({"type": "webdav", "url": proxy.url("/dav/", scheme), **values}).connect(b"")


def test_an_unreachable_host_is_unavailable() -> None:
    """Nobody listens: the sentence names the host."""
    port = free_port()
    store = WebdavConfig.model_validate({"type": "webdav", "url": f"http://127.0.0.1:{port}/"}).connect(b"")
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        store.names("")


def test_a_silent_host_is_unavailable() -> None:
    """Nothing is waited for without end."""

    def says_nothing(request: Request, ask: lies.Ask) -> Reply:
        raise ConnectionError

    with lying_store(lie=says_nothing) as proxy, pytest.raises(Unavailable):
        _connect(proxy).names("")


def test_it_has_no_tags(plain_world: WebdavWorld) -> None:
    """What cannot bear them is not stored."""
    store = plain_world.connect()
    with pytest.raises(Rejected, match="leave `tags` out of the rule"):
        store.put("box/R1/a.txt", spool(b"a"), ("no-ai",))
    assert store.names("box") == ()


def test_a_slow_host_is_unavailable(plain_world: WebdavWorld) -> None:
    """The timeout of the configuration counts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = plain_world.connect(listener.getsockname()[1], timeout=0.2)
        with pytest.raises(Unavailable, match="in time"):
            store.names("")


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that vouches for itself."""

    file: Path

    @classmethod
    def made(cls, file: Path, days: int = 1) -> Self:
        """A new one, good for so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store.example.org")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            name, name, key.public_key(), 1, now - timedelta(days=9), now + timedelta(days=days)
        )
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
        signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        return cls(file)

    def server(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Made afresh."""
    return Certificate.made(tmp_path / "store.pem")


def test_tls_is_checked_against_the_given_authorities(certificate: Certificate) -> None:
    """A certificate that nobody vouches for is Unavailable, host and reason named; with its authority it is fine."""
    with lying_store(lie=lies.answers(404), tls=certificate.server()) as proxy:
        with pytest.raises(Unavailable, match=f"TLS connection to 127.0.0.1:{proxy.port}: self.signed certificate"):
            _connect(proxy, "https").names("")
        assert _connect(proxy, "https", ca=certificate.file).names("") == ()


def test_tls_to_a_server_without_is_told(plain_world: WebdavWorld) -> None:
    """An https address of an http server ends in a sentence."""
    url = plain_world.url().replace("http:", "https:")
    store = WebdavConfig.model_validate({"type": "webdav", "url": url}).connect(b"")
    with pytest.raises(Unavailable, match=f"TLS connection to 127.0.0.1:{plain_world.server.port}"):
        store.names("")


def _listing(*responses: str, prefix: str = "D:", head: str = "") -> Lie:
    colon = f":{prefix[:-1]}" if prefix else ""
    root = f"{prefix}multistatus"
    text = f'<?xml version="1.0"?>{head}<{root} xmlns{colon}="DAV:">{"".join(responses)}</{root}>'
    return lies.answers(207, "PROPFIND", headers={"Content-Type": "application/xml"}, body=text.encode())


def _response(href: str, properties: str = "", prefix: str = "D:", status: str = "HTTP/1.1 200 OK") -> str:
    inside = f"<{prefix}prop>{properties}</{prefix}prop><{prefix}status>{status}</{prefix}status>"
    inside = f"<{prefix}href>{href}</{prefix}href><{prefix}propstat>{inside}</{prefix}propstat>"
    return f"<{prefix}response>{inside}</{prefix}response>"


@pytest.mark.parametrize("prefix", ["", "D:", "lp1:"])
@pytest.mark.parametrize(
    "hrefs",
    [
        ("/dav/box/", "/dav/box/a%20b.txt", "/dav/box/Pr%c3%bcfung/"),
        ("http://127.0.0.1/dav/box/", "http://127.0.0.1/dav/box/a%20b.txt", "http://127.0.0.1/dav/box/Pr%C3%BCfung"),
        ("/dav/box", "/dav/box/a b.txt", "/dav/box/Prüfung/"),
    ],
)
def test_listings_of_every_dialect_are_read(prefix: str, hrefs: tuple[str, ...]) -> None:
    """Any prefix, and addresses absolute or not, quoted in either case or not at all."""
    lie = _listing(*(_response(href, prefix=prefix) for href in hrefs), prefix=prefix)
    with lying_store(lie=lie) as proxy:
        assert _connect(proxy).names("box") == ("a b.txt", "Prüfung")


def test_an_address_that_is_none_names_nothing() -> None:
    """A listing with a broken address in it is read without it."""
    lie = _listing(_response("/dav/box/"), _response("http://[broken/x"), _response("/dav/box/a.txt"))
    with lying_store(lie=lie) as proxy:
        assert _connect(proxy).names("box") == ("a.txt",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b"<D:multistatus xmlns:D='DAV:'>",
        b"<D:multistatus xmlns:D='DAV:'/>",
        b"<D:multistatus xmlns:D='DAV:'><D:response>&undefined;</D:response></D:multistatus>",
    ],
)
def test_a_listing_that_is_none_is_rejected(body: bytes) -> None:
    """Markup that cannot be read is never taken for an empty collection, or for a missing file."""
    with lying_store(lie=lies.answers(207, body=body)) as proxy:
        with pytest.raises(Rejected):
            _connect(proxy).names("box")
        with pytest.raises(Rejected):
            _connect(proxy).verify(Stored(path="box/a.txt", size=1, sha256="0" * 64))


def test_a_listing_opens_no_files_and_expands_nothing(tmp_path: Path) -> None:
    """Entities of a hostile server stay what they are."""
    (tmp_path / "secret").write_text("confidential")
    head = f'<!DOCTYPE D [<!ENTITY file SYSTEM "{(tmp_path / "secret").as_uri()}"><!ENTITY a "{"a" * 1000}">]>'
    lie = _listing(_response("/dav/box/"), _response("/dav/box/x&file;"), _response("/dav/box/y&a;"), head=head)
    with lying_store(lie=lie) as proxy:
        names = _connect(proxy).names("box")
    assert "confidential" not in str(names)
    assert "a" not in str(names)


@pytest.mark.parametrize("etag", ['W/"weak"', "unquoted", ""])
def test_an_etag_that_proves_nothing_is_not_believed(plain_world: WebdavWorld, etag: str) -> None:
    """Weak, unquoted and missing ETags: every byte is read again."""
    size = f"<D:getcontentlength>{len(DATA)}</D:getcontentlength><D:getetag>{etag}</D:getetag>"
    lie = _listing(_response("/anything", size))
    with lying_store(plain_world.server.port, lie) as proxy:
        store = plain_world.connect(proxy.port)
        stored = store.put(PATH, spool(DATA))
        plain_world.overwrite(PATH, DATA[::-1])
        with pytest.raises(Corrupt):
            store.verify(stored)


def test_a_strong_etag_spares_reading_again(plain_world: WebdavWorld) -> None:
    """The same size and the same strong ETag: no GET."""
    size = f'<D:getcontentlength>{len(DATA)}</D:getcontentlength><D:getetag>"strong"</D:getetag>'
    with lying_store(plain_world.server.port, _listing(_response("/anything", size))) as proxy:
        store = plain_world.connect(proxy.port)
        stored = store.put(PATH, spool(DATA))
        proxy.requests.clear()
        assert store.verify(stored)
        assert [each.method for each in proxy.requests] == ["PROPFIND"]


def test_an_etag_that_was_weak_is_believed_once_it_is_strong(plain_world: WebdavWorld) -> None:
    """Strong by now with the same words: no GET. With other words every byte is read, and other bytes are Corrupt."""
    tag = ['W/"tag"']

    def lie(request: Request, ask: lies.Ask) -> Reply:
        size = f"<D:getcontentlength>{len(DATA)}</D:getcontentlength><D:getetag>{tag[0]}</D:getetag>"
        return _listing(_response("/anything", size))(request, ask)

    with lying_store(plain_world.server.port, lie) as proxy:
        store = plain_world.connect(proxy.port)
        stored = store.put(PATH, spool(DATA))
        for tag[0], methods in (
            ('"tag"', ["PROPFIND"]),
            ('"other"', ["PROPFIND", "GET"]),
            ('W/"tag"', ["PROPFIND", "GET"]),
        ):
            proxy.requests.clear()
            assert store.verify(stored)
            assert [each.method for each in proxy.requests] == methods
        plain_world.overwrite(PATH, DATA[::-1])
        with pytest.raises(Corrupt):
            store.verify(stored)


def test_apache_spares_reading_again_after_a_second(apache: DavServer) -> None:
    """Its ETags are weak at first. Bytes that somebody changed have another one, whatever their length."""
    world = WebdavWorld(apache)
    with lying_store(apache.port) as proxy:
        store = world.connect(proxy.port)
        stored = store.put(PATH, spool(DATA))
        time.sleep(2)
        proxy.requests.clear()
        assert store.verify(stored)
        assert [each.method for each in proxy.requests] == ["PROPFIND"]
        world.overwrite(PATH, DATA[::-1])
        time.sleep(2)
        with pytest.raises(Corrupt):
            store.verify(stored)


@pytest.mark.parametrize("size", ["", "many", "9" * 5000])
def test_a_size_that_is_none_is_made_up_for(plain_world: WebdavWorld, size: str) -> None:
    """Where a server does not say how long a file is, its bytes do."""
    lie = _listing(_response("/anything", f"<D:getcontentlength>{size}</D:getcontentlength>"))
    with lying_store(plain_world.server.port, lie) as proxy:
        store = plain_world.connect(proxy.port)
        assert store.verify(store.put(PATH, spool(DATA)))


def test_a_file_that_cannot_be_read_back_is_corrupt(plain_world: WebdavWorld) -> None:
    """Never FileGone, which would say that the attachment is gone from the message."""
    with lying_store(plain_world.server.port, lies.answers(404, "GET")) as proxy, pytest.raises(Corrupt):
        plain_world.connect(proxy.port).put(PATH, spool(DATA))


def test_a_file_that_vanishes_while_it_is_looked_at_is_gone(plain_world: WebdavWorld) -> None:
    """Listed, and no longer there when it is read: verify says False."""
    stored = plain_world.connect().put(PATH, spool(DATA))
    with lying_store(plain_world.server.port, lies.answers(404, "GET")) as proxy:
        assert not plain_world.connect(proxy.port).verify(replace(stored, etag=""))
        with pytest.raises(FileGone), plain_world.connect(proxy.port).open(PATH):
            pass


@pytest.mark.parametrize(("inside", "reaction"), [(403, Denied), (423, Conflict), (404, None)])
def test_a_deletion_that_failed_inside_is_an_error(
    plain_world: WebdavWorld, inside: int, reaction: type[ConnectorError] | None
) -> None:
    """A 207 to DELETE names what stayed; that something was not there is fine."""
    stayed = f"<D:response><D:href>/x</D:href><D:status>HTTP/1.1 {inside} Stayed</D:status></D:response>"
    body = f'<D:multistatus xmlns:D="DAV:">{stayed}</D:multistatus>'.encode()
    store = plain_world.connect()
    store.put(PATH, spool(DATA))
    with lying_store(plain_world.server.port, lies.answers(207, "DELETE", body=body)) as proxy:
        store = plain_world.connect(proxy.port)
        if reaction is None:
            store.delete(PATH)
        else:
            with pytest.raises(reaction, match=str(inside)):
                store.delete(PATH)


def test_a_deletion_is_not_believed_to_a_web_page(plain_world: WebdavWorld) -> None:
    """A 207 without the XML of WebDAV says nothing about what was deleted."""
    plain_world.connect().put(PATH, spool(DATA))
    with (
        lying_store(plain_world.server.port, lies.answers(207, "DELETE", body=b"<html/>")) as proxy,
        pytest.raises(Rejected),
    ):
        plain_world.connect(proxy.port).delete(PATH)


@pytest.mark.parametrize("data", [DATA, b""])
def test_an_upload_announces_its_length(plain_world: WebdavWorld, data: bytes) -> None:
    """Without a Content-Length no server could tell that an upload broke off, not even an empty one."""
    with lying_store(plain_world.server.port) as proxy:
        plain_world.connect(proxy.port).put(PATH, spool(data))
        (upload,) = [each for each in proxy.requests if each.method == "PUT"]
    assert upload.headers["Content-Length"] == str(len(data))
    assert "Transfer-Encoding" not in upload.headers
    assert upload.headers["If-None-Match"] == "*"


def test_an_answer_without_end_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile server does not fill our memory."""
    monkeypatch.setattr("connector.stores.dav._LONGEST_ANSWER", 1000)
    with (
        lying_store(lie=lies.answers(207, body=b"x" * 5000)) as proxy,
        pytest.raises(Rejected, match="without end"),
    ):
        _connect(proxy).names("")


def test_now_is_the_date_of_the_last_answer() -> None:
    """The store's clock, not ours; None before the first answer and after one that cannot be read."""
    with lying_store(lie=lies.answers(404, headers={"Date": _http_date(_NOON)})) as proxy:
        store = _connect(proxy)
        assert store.now() is None
        store.names("")
        assert store.now() == _NOON
        proxy.lie = lies.answers(404, headers={"Date": "yesterday"})
        store.names("")
        assert store.now() is None


def test_links_are_for_people() -> None:
    """They begin with the address that people use, where that is another one."""
    with lying_store(lie=lies.answers(404)) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/root/"
        config = WebdavConfig(type="webdav", url=url, link_url="https://files.example.org/ü")
        (link,) = config.connect(b"").share([Stored(path="box/a b.txt", size=1, sha256="0" * 64)], LinkTerms(), ORIGIN)
    assert link.url == "https://files.example.org/%C3%BC/box/a%20b.txt"
    assert link.expires is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"url": "dav.example.org/files"}, "whole address"),
        ({"url": "ftp://dav.example.org/"}, "whole address"),
        ({"url": "https://anna:pw@dav.example.org/"}, "fields of their own"),
        ({"url": "https://dav.example.org/?a=b"}, "no \\? and no #"),
        ({"user": "anna"}, "go together"),
        ({"password": {"env": "DAV_PASSWORD"}}, "go together"),
        ({"user": "anna", "password": "literal"}, "never written here"),
        ({"ca": "/no/such/file.pem"}, "file"),
        ({"timeout": 0}, "greater than 0"),
        ({"verify": False}, "not permitted"),
    ],
)
def test_a_wrong_configuration_is_told_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    """Each mistake dies where the configuration is read, and no password is repeated."""
    with pytest.raises(ValidationError, match=sentence) as wrong:
        WebdavConfig.model_validate({"type": "webdav", "url": "https://dav.example.org/"} | values)
    assert "literal" not in "".join(each["msg"] for each in wrong.value.errors())


def test_every_field_of_the_configuration_is_described() -> None:
    """The JSON schema helps whoever writes the file."""
    fields = WebdavConfig.model_json_schema()["properties"]
    assert [name for name, field in fields.items() if name != "type" and not field.get("description")] == []
