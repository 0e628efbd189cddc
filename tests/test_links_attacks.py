"""What people try with links: to guess them, to hold the pages up, to lead them elsewhere."""

import asyncio
import http.client
import io
import itertools
import random
import socket
import threading
import time
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from connector.links import server as link_server
from connector.links import settings as link_settings
from connector.links import site as link_site
from connector.links.book import Access, Book, Publication, Token
from connector.links.refusals import Refusals
from connector.links.server import application
from connector.links.site import Site
from connector.links.tokens import hashed
from connector.model import Audience
from tests.links import NOW, Clock, World, opened, settings_of, until, written
from tests.logged import Lines
from tests.servers import DavServer

NOWHERE = DavServer("none", "http://127.0.0.1:9/", Path("/nowhere"))
#: As many at once as leave the machine time for each, and no multiple of the kinds: each comes in every place.
_AT_ONCE = 7
#: How many samples, what of them is chance at the most (`told_apart`), and how long the pages wait meanwhile.
_SHORT = (300, 0.3, 0.02)
_LONG = (10_000, 0.15, link_site.PAUSE)


@contextmanager
def pages(folder: Path) -> Iterator[tuple[ASGIApp, dict[str, list[str]]]]:
    """The pages without a socket, and tokens of each kind that opens nothing."""
    settings = link_settings.load(written(folder, settings_of(folder, NOWHERE)))
    # The clock writes far more often than in earnest: should it tell anything, it tells it here.
    with closing(Book(settings.book)) as book, Refusals(book).written(every=0.05) as refusals:
        kinds: dict[str, list[str]] = {"unknown": [f"unknown-{number}" for number in range(50)]}
        for kind in ("expired", "revoked"):
            kinds[kind] = [f"{kind}-{number}" for number in range(50)]
            for name in kinds[kind]:
                expires = NOW - timedelta(days=1) if kind == "expired" else None
                book.publish(_publication(name, expires))
                book.admit(Token(hash=hashed(name), publication=name))
                if kind == "revoked":
                    book.end("acme", f"acme/{name}", NOW)
        yield application(settings, Site(settings, book, refusals, Clock())), kinds


def _publication(name: str, expires: object) -> Publication:
    return Publication(
        id=name,
        redirect=name,
        tenant="acme",
        folder=f"acme/{name}",
        audience=Audience.ANYONE,
        mailbox="anna@example.org",
        readers=("anna@example.org",),
        sender="bert@example.com",
        received=NOW,
        files=(),
        expires=expires,  # type: ignore[arg-type]
    )


async def _asked(app: ASGIApp, path: str) -> tuple[float, bytes]:
    """How long an answer takes, and what it is."""
    said = []
    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "client": ("192.0.2.1", 1), "server": ("x", 80), "scheme": "http", "root_path": "", "http_version": "1.1",
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(repr(sorted(message.get("headers", []))).encode() + message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            took.append(time.perf_counter() - began)

    took: list[float] = []
    began = time.perf_counter()
    await app(scope, receive, send)
    return took[0], b"".join(said)


#: How long answers took, by what was asked for.
Times = dict[str, list[float]]


async def _sampled(
    app: ASGIApp, kinds: dict[str, list[str]], count: int, *, shuffled: bool, at_once: int = _AT_ONCE
) -> Times:
    """So many answers, of all kinds in turn or as chance has it, several at once."""
    chance = random.Random(4)
    order = [kind for kind, _ in zip(itertools.cycle(kinds), range(count), strict=False)]
    if shuffled:
        chance.shuffle(order)
    wanted = iter([(kind, chance.choice(kinds[kind])) for kind in order])
    took: Times = {kind: [] for kind in kinds}
    bodies = set()

    async def ask() -> None:
        for kind, name in wanted:
            seconds, body = await _asked(app, f"/a/{name}")
            took[kind].append(seconds)
            bodies.add(body)

    await asyncio.gather(*(ask() for _ in range(at_once)))
    assert len(bodies) == 1
    return took


async def _paired(app: ASGIApp, kinds: dict[str, list[str]], count: int) -> Times:
    """So many, in pairs that are sent together: what the second took, always unknown, by the kind of the first."""
    chance = random.Random(4)
    took: Times = {kind: [] for kind in kinds}
    for _ in range(count // 2):
        kind = chance.choice(list(kinds))
        asked = (chance.choice(kinds[each]) for each in (kind, "unknown"))
        _, (seconds, _) = await asyncio.gather(*(_asked(app, f"/a/{name}") for name in asked))
        took[kind].append(seconds)
    return took


def told_apart(some: Sequence[float], others: Sequence[float]) -> float:
    """How well one sample tells its kind: 0 is by chance, 1 is always (twice the distance of Mann and Whitney's U)."""
    ordered = sorted(others)
    behind = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in some) / 2
    return abs(2 * behind / (len(some) * len(others)) - 1)


def apart(took: Times) -> float:
    """The same for the two kinds that are told apart best."""
    return max(told_apart(took[one], took[other]) for one, other in itertools.combinations(took, 2))


#: By their names, what an attacker may do with the order of his requests.
ATTACKS: dict[str, Callable[[ASGIApp, dict[str, list[str]], int], Coroutine[Any, Any, Times]]] = {
    "in turn": partial(_sampled, shuffled=False),
    "by chance": partial(_sampled, shuffled=True),
    "in pairs": _paired,
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("form", [_SHORT, pytest.param(_LONG, marks=pytest.mark.by_hand)], ids=["short", "long"])
def test_nobody_learns_by_the_clock_whether_a_link_ever_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: tuple[int, float, float], attack: str
) -> None:
    """Unknown, expired and revoked take the same time, interleaved; and so does what is sent together with them."""
    count, chance, pause = form
    monkeypatch.setattr(link_site, "PAUSE", pause)
    with pages(tmp_path) as (app, kinds):
        # What a busy machine tells once by chance, a site that tells it tells every time.
        assert any(apart(asyncio.run(ATTACKS[attack](app, kinds, count))) < chance for _ in range(3))


def slowly_written(book: Book, refused: Access) -> None:
    """What mutants of the pages do where there was something; on a slow disk, so that a few samples are enough."""
    if refused.publication:
        book.note(refused)
        time.sleep(0.05)


def test_a_site_that_answers_as_soon_as_it_knows_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same measure, on pages that do not wait, and write down what they refuse first."""
    _, chance, _ = _SHORT
    monkeypatch.setattr(link_site, "PAUSE", 0.0)
    monkeypatch.setattr(Refusals, "add", lambda refusals, refused: slowly_written(refusals._book, refused))
    with pages(tmp_path) as (app, kinds):
        assert all(apart(asyncio.run(_sampled(app, kinds, 40, shuffled=True, at_once=1))) > chance for _ in range(3))


def test_a_site_that_writes_by_request_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has answered: that is told by what was sent together with it."""
    after: dict[str, Access] = {}

    async def by_token(site: Site, request: Request) -> Response:
        answer = copy(await site._answered(request, site._by_token))
        answer.background = BackgroundTask(write, site._book, after.pop(hashed(request.path_params["name"])[:16]))
        return answer

    async def write(book: Book, refused: Access) -> None:
        slowly_written(book, refused)

    _, chance, _ = _SHORT
    # Longer than what a busy machine needs for both: so they are answered in their order.
    monkeypatch.setattr(link_site, "PAUSE", 0.1)
    monkeypatch.setattr(Refusals, "add", lambda _, refused: after.setdefault(refused.who, refused))
    monkeypatch.setattr(Site, "by_token", by_token)
    with pages(tmp_path) as (app, kinds):
        assert all(apart(asyncio.run(_paired(app, kinds, 40))) > chance for _ in range(3))


def test_requests_of_a_client_and_of_a_link_are_limited(tmp_path: Path, apache: DavServer) -> None:
    """Whoever guesses is told to wait; others are not."""
    limits = {"requests_of_a_client": 10, "requests_of_a_link": 15}
    with opened(tmp_path, apache, limits=limits) as world:
        _, token = world.publish({"a.txt": b"a"})

        def ask(path: str, client: str) -> int:
            return world.ask(path, headers={"X-Forwarded-For": client}).status

        assert [ask(f"/a/guess{number}", "192.0.2.1") for number in range(12)] == [404] * 10 + [429] * 2
        assert ask("/r/R1-aaaaaaaa", "192.0.2.1") == 429
        # An IPv6 client has a whole network to come from.
        assert [ask("/a/x", f"2001:db8::{number:x}") for number in range(1, 12)] == [404] * 10 + [429]
        assert [ask(f"/a/{token}", f"198.51.100.{number}") for number in range(16)] == [200] * 15 + [429]
        assert world.ask("/robots.txt").status == 200


def test_500_readers_that_take_nothing_hold_nobody_up(
    tmp_path: Path, apache: DavServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are lanes begin; the others are told; pages answer meanwhile; and then they are shown out."""
    monkeypatch.setattr(link_server, "_IDLE", 1)
    limits = {"downloads": 100, "downloads_of_a_client": 60, "write_timeout": 2, "requests_of_a_link": 5000}
    with opened(tmp_path, apache, limits=limits) as world, ExitStack() as stack:
        _, token = world.publish({"big.bin": bytes(20_000_000), "small.txt": b"small"})
        readers = []
        for number in range(500):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", world.port)))
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client = f"10.0.{number % 250}.1" if number < 250 else "10.1.0.1"
            head = f"GET /a/{token}/1/big.bin HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n"
            reader.sendall(head.encode())
            readers.append(reader)
        statuses = [reader.recv(12)[9:12] for reader in readers]
        assert statuses.count(b"200") == 100
        assert statuses.count(b"503") == 400
        assert world.ask(f"/a/{token}").status == 200
        until(lambda: world.site.lanes.taken.total() == 0, 20)
        assert world.ask(f"/a/{token}/2/small.txt").body == b"small"
        until(lambda: not world.server.server_state.connections)


def _over(reader: socket.socket) -> bool:
    """Whether the other side ends it."""
    reader.settimeout(20)
    with suppress(ConnectionResetError):
        while reader.recv(1 << 20):
            pass
    return True


def test_one_client_takes_no_more_lanes_than_its_own(tmp_path: Path, apache: DavServer) -> None:
    """The next one still gets in."""
    with opened(tmp_path, apache, limits={"downloads_of_a_client": 3}) as world, ExitStack() as stack:
        _, token = world.publish({"big.bin": bytes(20_000_000)})

        def status(client: str) -> bytes:
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", world.port)))
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"GET /a/{token}/1/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n"
            reader.sendall(head.encode())
            return reader.recv(12)[9:12]

        assert [status("192.0.2.1") for _ in range(5)] == [b"200"] * 3 + [b"503"] * 2
        assert status("192.0.2.2") == b"200"


@pytest.mark.parametrize(
    "said", [b"", b"GET /a/x HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /a/x HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_whoever_asks_for_nothing_is_shown_out(
    tmp_path: Path, apache: DavServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Before the first request, in the middle of one, and after the last."""
    monkeypatch.setattr(link_server, "_IDLE", 0.5)
    with opened(tmp_path, apache) as world, closing(socket.create_connection(("127.0.0.1", world.port))) as reader:
        reader.sendall(said)
        assert _over(reader)


def test_a_form_that_has_no_end_is_not_read(world: World) -> None:
    """Nor is one without a beginning kept waiting for."""
    _, token = world.publish({"a.txt": b"a"}, token={"password": "right"})
    body = "password=" + "x" * 1_000_000
    try:
        status = world.ask(f"/a/{token}", "POST", body=body).status
    except (BrokenPipeError, ConnectionResetError):
        status = 404
    assert status == 404
    assert world.ask(f"/a/{token}").status == 200


@pytest.mark.parametrize(
    ("method", "target", "body"), [("POST", "/a/x", "&".join(f"{each}=1" for each in range(11))), ("GET", "/r/%00", "")]
)
def test_what_is_no_form_and_no_name_is_no_bug(world: World, lines: Lines, method: str, target: str, body: str) -> None:
    """Anybody may send it, as often as he likes."""
    answer = world.ask(target, method, body=body or None)
    assert answer.status in {403, 404}
    assert not [each for each in lines() if each["event"] == "bug"]


def test_a_zip_of_5000_files(world: World) -> None:
    """Its length is known before it begins, and each file is in it; the page names them all."""
    files = {f"Anlage {number:04}.txt": str(number).encode() for number in range(5000)}
    publication, token = world.publish(files)
    got = world.ask(f"/a/{token}/all.zip")
    assert int(got.headers["content-length"]) == len(got.body)
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    assert len(world.book.proved(publication.id)) == 5000
    assert world.ask(f"/a/{token}").text.count("<li>") >= 5000


SECRET = b"a secret of another host"
#: What a store says in place of the five bytes that it should have: status, headers, body.
LIES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "elsewhere": (302, {"Location": "/elsewhere"}, b""),
    "login": (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "short": (200, {"Content-Length": "5"}, b"12"),
    "long": (200, {}, b"1234567"),
    "part": (206, {"Content-Range": "bytes 7-11/12"}, b"12345"),
    "compressed": (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00\x00"),
    "endless": (200, {"Content-Length": "99999999999"}, b"12345"),
}


class _Liar(BaseHTTPRequestHandler):
    """A store that says what its server's `lie` is."""

    lie: tuple[int, dict[str, str], bytes]
    asked: list[str]

    def do_GET(self) -> None:
        """Lie."""
        self.asked.append(self.path)
        status, headers, body = self.lie if self.path != "/elsewhere" else (200, {}, SECRET)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[tuple[DavServer, type[_Liar]]]:
    """A store that lies."""
    handler = type("Liar", (_Liar,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        (tmp_path / "files").mkdir()
        yield DavServer("liar", f"http://127.0.0.1:{server.server_port}/", tmp_path / "files"), handler
        server.shutdown()
        thread.join()


def test_a_store_that_leads_elsewhere_or_lies_is_refused(tmp_path: Path, liar: tuple[DavServer, type[_Liar]]) -> None:
    """Nothing of what another host has, and no login page, ever comes out of a link."""
    store, handler = liar
    with opened(tmp_path, store) as world:
        _, token = world.publish({"a.txt": b"right"})
        for handler.lie in LIES.values():
            for headers in ({}, {"Range": "bytes=1-3"}):
                assert _refused(world, f"/a/{token}/1/a.txt", headers)
    assert "/elsewhere" not in handler.asked


def _refused(world: World, path: str, headers: dict[str, str]) -> bool:
    """Whether a page says so, or what begins never ends."""
    try:
        got = world.ask(path, headers=headers)
    except http.client.IncompleteRead as cut:
        return len(cut.partial) < len(b"right")
    return got.status == 502 and SECRET not in got.body
