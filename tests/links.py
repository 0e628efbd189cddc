"""The pages of links before a real WebDAV server, on a port of their own: what is published, and how it is asked."""

import hashlib
import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from ruamel.yaml import YAML

from connector.links import settings as link_settings
from connector.links.book import Access, Book, Offered, Publication, Token
from connector.links.refusals import Refusals
from connector.links.server import listening, server
from connector.links.site import Site
from connector.links.tokens import hashed, sealed
from connector.model import Audience
from tests.servers import PASSWORD, USER, DavServer

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
PROXY = {"addresses": ["127.0.0.1"], "user": "X-Remote-User", "email": "X-Remote-Email", "groups": "X-Remote-Groups"}
ANNA = {"X-Remote-User": "anna", "X-Remote-Email": "Anna@Example.org", "X-Remote-Groups": "staff, finance"}
BERT = {"X-Remote-User": "bert", "X-Remote-Email": "bert@example.org"}
#: Of what one test asks in a minute, all of it is answered.
PLENTY = {"requests_of_a_client": 1_000_000, "requests_of_a_link": 1_000_000}
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">
<rect width="48" height="48" rx="6" fill="#1d4f91"/>
<path d="M24 8 8 18v4h32v-4zM12 24v10h4V24zm10 0v10h4V24zm10 0v10h4V24zM8 36v4h32v-4z" fill="#fff"/></svg>"""


@dataclass
class Answer:
    """What the pages said."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class World:
    """A house, its store, its book and its pages."""

    folder: Path
    store: DavServer
    settings: link_settings.LinkSettings
    book: Book
    refusals: Refusals
    site: Site
    port: int
    clock: "Clock"
    server: uvicorn.Server
    published: int = 0
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """Where its files are in the store."""
        return f"acme-{self.port}"

    @property
    def url(self) -> str:
        """The address of the pages."""
        return f"http://127.0.0.1:{self.port}"

    def publish(
        self, files: Mapping[str, bytes], *, token: Mapping[str, Any] | None = None, **terms: Any
    ) -> tuple[Publication, str]:
        """Publish files of these names and bytes; returns the publication, and a token that opens it."""
        self.published += 1
        return publish(self.book, self.store, f"{self.root}/R{self.published}", files, token=token, **terms)

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Answer:
        """One request, on a connection of its own, with the cookies that are kept here."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)) as connection:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            said = response.read()
            cookies = response.headers.get_all("Set-Cookie") or []
            return Answer(response.status, dict(response.headers), said, cookies)

    def keep(self, answer: Answer) -> None:
        """Keep its cookies, as a browser would."""
        for each in answer.cookies:
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value

    def accesses(self) -> list[tuple[str, int, str]]:
        """What was written down: what, number, result."""
        return [(each.what, each.number, each.result) for each in self.noted()]

    def noted(self) -> tuple[Access, ...]:
        """All that was written down, and what the clock would write next."""
        self.refusals.write()
        return self.book.accesses("acme")


def publish(
    book: Book,
    store: DavServer,
    folder: str,
    files: Mapping[str, bytes],
    *,
    token: Mapping[str, Any] | None = None,
    **terms: Any,
) -> tuple[Publication, str]:
    """Put files into a folder of a store, and publish them; returns the publication, and a token that opens it."""
    (store.folder / folder).mkdir(parents=True)
    offered = []
    for number, (name, content) in enumerate(files.items(), 1):
        path = f"{folder}/{number}.bin"
        (store.folder / path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        offered.append(Offered(number=number, name=name, size=len(content), path=path, sha256=digest))
    redirect = folder.rpartition("/")[2]
    facts: dict[str, Any] = {
        "id": f"{redirect}-{'a' * 8}",
        "redirect": redirect,
        "tenant": "acme",
        "folder": folder,
        "audience": Audience.ANYONE,
        "mailbox": "anna@example.org",
        "readers": ("anna@example.org",),
        "sender": "Bört Müller <bert@example.com>",
        "received": NOW - timedelta(days=1),
        "files": tuple(offered),
    }
    publication = book.publish(Publication(**{**facts, **terms}))
    name = f"token-{redirect}-{'x' * 30}"
    given = dict(token or {})
    if "password" in given:
        given["password"] = sealed(given["password"])
    book.admit(Token(hash=hashed(name), publication=publication.id, **given))
    return publication, name


@dataclass
class Clock:
    """Tells the time that a test wants."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def settings_of(folder: Path, store: DavServer, **more: Any) -> dict[str, Any]:
    """What `links.yaml` says in a test."""
    (folder / "logo.svg").write_text(_LOGO)
    (folder / "password").write_text(PASSWORD)
    house = {
        "name": "Ministry of Examples",
        "logo": str(folder / "logo.svg"),
        "contact": {
            "en": "The service desk of the ministry answers every day until 6 pm: +49 30 555 0123.",
            "de": "Die Servicestelle des Ministeriums antwortet täglich bis 18 Uhr: +49 30 555 0123.",
            "fr": "Le service d\u2019assistance répond chaque jour jusqu\u2019à 18 heures : +49 30 555 0123.",
            "nl": "De servicedesk antwoordt elke dag tot 18 uur: +49 30 555 0123.",
        },
        "footer": {
            "en": "Ministry of Examples, 1 Sample Street, 10115 Berlin",
            "de": "Ministerium für Beispiele, Musterstraße 1, 10115 Berlin",
        },
        "privacy": "https://ministry.example/privacy",
        "imprint": "https://ministry.example/imprint",
    }
    return {
        "url": "http://127.0.0.1",
        "listen": {"port": 0},
        "book": f"sqlite:///{folder}/links.db",
        "house": house,
        "tenants": {
            "acme": {
                "store": {"url": store.url, "user": USER, "password": {"file": str(folder / "password")}},
                "releases": {"longest": "30d"},
            }
        },
        "proxy": PROXY,
        "limits": PLENTY,
    } | more


def written(folder: Path, values: Mapping[str, Any]) -> Path:
    """The folder, with these values in its `links.yaml`."""
    with (folder / link_settings.FILE).open("w") as file:
        YAML().dump(dict(values), file)
    return folder


@contextmanager
def opened(folder: Path, store: DavServer, **more: Any) -> Iterator[World]:
    """A world whose pages are up; `more` goes into `links.yaml`."""
    settings = link_settings.load(written(folder, settings_of(folder, store, **more)))
    clock = Clock()
    with ExitStack() as stack:
        book = stack.enter_context(closing(Book(settings.book)))
        heard = stack.enter_context(closing(listening(settings)))
        port = heard.getsockname()[1]
        if "url" not in more:
            settings = settings.model_copy(update={"url": f"http://127.0.0.1:{port}"})
        refusals = Refusals(book)
        site = Site(settings, book, refusals, clock)
        pages = server(settings, site)
        thread = threading.Thread(target=pages.run, kwargs={"sockets": [heard]}, daemon=True)
        thread.start()
        until(lambda: pages.started)
        world = World(folder, store, settings, book, refusals, site, port, clock, pages)
        try:
            yield world
        finally:
            pages.should_exit = True
            thread.join(20)
            shutil.rmtree(store.folder / world.root, ignore_errors=True)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, apache: DavServer) -> Iterator[World]:
    """A house whose pages are up."""
    with opened(tmp_path_factory.mktemp("links"), apache) as made:
        yield made


@pytest.fixture
def world(house: World) -> World:
    """The same, with nothing written down, and without a cookie."""
    house.book.forget(house.noted())
    house.cookies = {}
    return house
