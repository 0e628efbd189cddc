"""A whole world in memory: a mailbox, a store, a ledger on disk, a clock; and the promise, checked from outside.

The checker reads only the mailbox, the store and its links, never the ledger.
"""

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connector.errors import FileGone
from connector.flow.redirect import tick
from connector.flow.turn import Watch
from connector.ledger import LeaseLost, Ledger
from connector.links.book import Book
from connector.links.publishing import LinksConfig, Publisher
from connector.links.tokens import hashed
from connector.model import Body, Message
from connector.policy import Policy
from connector.rewrite import Wording
from connector.scanners import Scanner
from connector.sources.memory import Attached, MemoryMailbox, MemorySource
from connector.stores.memory import MemoryStore

TENANT = "acme"
HOME = "acme/home"
KEY = b"a key that only the tests know, 32 bytes"
START = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
WORDING = Wording(product="the store", organisation="Example")
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
_PAGES = "https://files.example.org/"
_LINKS = LinksConfig.model_validate({"url": _PAGES, "database": "sqlite:///unused", "key": {"env": "UNUSED"}})
_HREF = re.compile(r'href="([^"]+)"')
_URL = re.compile(r"https?://[^\s<>]+")

#: Ports whose every verb is an effect that a power cut may come before or after.
Effects = Callable[[str], None]


class Killed(BaseException):
    """The power went. Not an Exception: nothing may catch it."""


@dataclass
class Saboteur:
    """Counts what crosses a boundary, and pulls the plug before or after the n-th."""

    kill_at: int = 0
    when: str = "before"
    count: int = 0
    #: Users act here: between two effects, and knowing which one comes.
    between: Callable[[], None] = lambda: None
    entering: Callable[[str], None] = lambda _: None
    seen: list[str] = field(default_factory=list)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with a plug on both sides."""

        def plugged(*args: Any, **kwargs: Any) -> Any:
            self.between()
            self.entering(name)
            self.count += 1
            self.seen.append(name)
            dies = self.count == self.kill_at
            if dies and self.when == "before":
                raise Killed
            try:
                return call(*args, **kwargs)
            finally:
                # What fails has come to its end too.
                if dies:
                    raise Killed

        return plugged


class Plugged:
    """An adapter, or the ledger, whose effects go through the saboteur."""

    def __init__(self, inner: Any, saboteur: Saboteur, verbs: tuple[str, ...]) -> None:
        self._inner, self._saboteur, self._verbs = inner, saboteur, verbs

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._saboteur.around(name, found) if name in self._verbs else found


SHELF_VERBS = ("shelf", "stage", "shelve", "unshelve", "purge")
SOURCE_VERBS = (
    *("room", "fetch", "open", "original", "rewrite", "retract", "prune", "put_back", "find", "tell"),
    *SHELF_VERBS,
)
STORE_VERBS = ("put", "verify", "open", "original", "admit", "share", "revoke", "delete", "erase", "names")
BOOK_VERBS = ("publish", "admit", "end", "outlast")
LEDGER_VERBS = ("write", "record", "watch", "lease", "release", "list_backlog", "record_backfilled")


@dataclass
class World:
    """All that outlives a process, and what was in the mailbox at the beginning."""

    ledger_file: Path
    policy: Policy
    mailbox: MemoryMailbox = field(default_factory=MemoryMailbox)
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = START
    wording: Wording = WORDING
    notices: dict[str, Wording] = field(default_factory=dict)
    scanner: Scanner | None = None
    #: What `since` of the configuration says; None: first contact.
    since: datetime | None = EVERYTHING
    #: `rewrite: replace`, and not `in_place`.
    replace: bool = False
    #: Links are those of our own service.
    publishes: bool = False
    #: No retention ends.
    on_hold: bool = False
    #: Only told, nothing done.
    monitor: bool = False
    #: By Message-ID: every file's bytes, and the body, as they were delivered.
    files: dict[str, list[bytes]] = field(default_factory=dict)
    bodies: dict[str, Body] = field(default_factory=dict)
    _book: Book | None = field(default=None, init=False)

    def deliver(self, *files: Attached, **message: Any) -> str:
        """A message arrives, and is remembered."""
        item_id = self.mailbox.deliver(*files, **message)
        arrived = self.mailbox.entry(item_id).message
        self.files[arrived.internet_message_id] = [file.content for file in files]
        assert arrived.body is not None
        self.bodies[arrived.internet_message_id] = arrived.body
        return item_id

    def lose_cursors(self) -> None:
        """The server forgets the change feed."""
        self.mailbox.lose_cursors()

    def clock(self) -> datetime:
        """Never stands quite still."""
        self.now += timedelta(milliseconds=1)
        return self.now

    @contextmanager
    def process(self, saboteur: Saboteur | None = None, **mutants: Any) -> Iterator[tuple[Watch, Ledger]]:
        """A process starts: adapters and ledger are built anew over what is there. It may be killed."""
        saboteur = saboteur or Saboteur()
        source = mutants.get("source", MemorySource)(self.mailbox)
        store: Any = Plugged(self.store, saboteur, STORE_VERBS)
        watch = Watch(
            tenant=TENANT,
            source=Plugged(source, saboteur, SOURCE_VERBS),
            store=store,
            publisher=self._publisher(store, saboteur) if self.publishes else None,
            policy=self.policy,
            wording=self.wording,
            notices=self.notices,
            path="{tenant}/home/{year}/{id}",
            home=HOME,
            marker_key=KEY,
            scanner=self.scanner,
            replace=self.replace,
            since=self.since,
            on_hold=self.on_hold,
            monitor=self.monitor,
        )
        with self.ledger() as ledger:
            yield watch, Plugged(ledger, saboteur, LEDGER_VERBS)  # type: ignore[misc]

    def _publisher(self, store: Any, saboteur: Saboteur) -> Publisher:
        book: Any = Plugged(self.book, saboteur, BOOK_VERBS)
        return Publisher(_LINKS, KEY, book, TENANT, store)

    @property
    def book(self) -> Book:
        """The book of links."""
        if self._book is None:
            self._book = Book(f"sqlite:///{self.ledger_file.with_name('links.db')}")
        return self._book

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """What the ledger's file holds."""
        if not self.ledger_file.exists():
            _lay(self.ledger_file)
        with closing(Ledger(f"sqlite:///{self.ledger_file}")) as ledger:
            yield ledger

    def run(self, saboteur: Saboteur | None = None, *, owner: str = "one", ticks: int = 60, **mutants: Any) -> None:
        """Tick until nothing is left to do; time passes between ticks, so that waits come to their end."""
        with self.process(saboteur, **mutants) as (watch, ledger):
            for _ in range(ticks):
                try:
                    tick(watch, ledger, self.clock, owner)
                except LeaseLost:
                    continue
                finally:
                    self.now += timedelta(minutes=2)
                if ledger.next_due() is None:
                    return
                self.now = max(self.now, ledger.next_due() or self.now)

    def copy(self, ledger_file: Path) -> "World":
        """The same world once more, with a ledger that has to be copied by the caller."""
        twin = deepcopy(self)
        twin.ledger_file = ledger_file
        return twin

    # --- the promise ---

    def shown(self, message: Message) -> dict[str, bytes]:
        """What a person gets who follows each link in the message, by link."""
        assert message.body is not None
        found = _HREF.findall(message.body.content) if message.body.html else _URL.findall(message.body.content)
        links = {}
        for url in map(unescape, found):
            try:
                links[url] = self.download(url)
            except FileGone:
                continue
        return links

    def download(self, url: str) -> bytes:
        """What a person gets who follows the link. Raises FileGone."""
        if not url.startswith(_PAGES):
            return self.store.download(url)
        # As the pages do it: the book knows hashes of tokens, and which number is which file.
        kind, name, number = url.removeprefix(_PAGES).split("/")
        book = self.book
        token = book.token(hashed(name)) if kind == "a" else None
        published = book.publication(token.publication if token else name)
        if published is None or not published.open(datetime.now(UTC)) or (kind == "a") != (token is not None):
            raise FileGone("the link opens nothing")
        (file,) = (each for each in published.files if each.number == int(number))
        if file.target:
            return self.store.download(file.target)
        if file.path not in self.store.files:
            raise FileGone("the link opens nothing")
        return self.store.files[file.path]

    def lost(self) -> list[str]:
        """Every original of every message that is neither in it nor behind a link that it shows. Must be empty."""
        missing = []
        for entry in self.mailbox.entries():
            reachable = {_hash(content) for content in entry.contents.values()}
            reachable |= {_hash(content) for content in self.shown(entry.message).values()}
            missing += [
                f"{entry.message.id} in {entry.message.folder} lost {content[:20]!r}"
                for content in self.files.get(entry.message.internet_message_id, ())
                if _hash(content) not in reachable
            ]
        return missing

    def given(self) -> list[tuple[str, int]]:
        """For whom our own links are, and how many files each of them opens."""
        if not self.publishes:
            return []
        return sorted((each.audience.value, len(each.files)) for each in self.book.of_tenant(TENANT))

    def hidden(self) -> set[str]:
        """The messages that were delivered, and that no user sees any more. Must be empty where nobody deletes."""
        return set(self.files) - {each.message.internet_message_id for each in self.mailbox.entries() if not each.shelf}

    def manifest_free(self) -> dict[str, bytes]:
        """The stored files that are for people."""
        return {path: data for path, data in self.store.files.items() if not path.startswith(".connector/")}

    def view(self) -> list[tuple[Any, ...]]:
        """The end world as people see it, without random ids: for comparison between runs."""
        seen: list[tuple[Any, ...]] = []
        for entry in self.mailbox.entries():
            message = entry.message
            if message.internet_message_id.endswith("@connector.invalid>"):
                # A letter of ours: its id is a random one's.
                seen.append((message.subject, message.folder, [], [], entry.read))
                continue
            attached = sorted(_hash(content) for content in entry.contents.values())
            linked = sorted(_hash(content) for content in self.shown(message).values())
            seen.append((message.internet_message_id, message.folder, attached, linked, entry.read))
        return sorted(seen, key=repr)


def _lay(file: Path) -> None:
    """A new ledger, without its migrations: they take far longer than what most worlds are there for."""
    file.write_bytes(_empty())
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("UPDATE ledger SET id = ?", (secrets.token_hex(16),))
        ledger.commit()


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        Ledger(f"sqlite:///{file}").close()
        return file.read_bytes()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
