"""The tenants of a configuration at work: their mailboxes, their stores, and what a tick of one needs."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Literal

from connector.config.loading import Config, ShareConfig, SourceConfig, TenantConfig, claims
from connector.config.readers import ReadersList
from connector.config.yamlfile import ConfigError
from connector.daemon.process import NEVER
from connector.errors import Unavailable
from connector.flow.turn import Watch
from connector.links.book import Book
from connector.links.publishing import Publisher
from connector.model import Proof
from connector.pauses import TenantPause
from connector.policy import Mode
from connector.policy.values import owner_of
from connector.sources import Source
from connector.stores import Links, Store


class Tenant:
    """One tenant at work: its mailboxes, and a client of its store for each thread."""

    def __init__(self, config: TenantConfig, marker_key: bytes) -> None:
        """Nothing is sent yet. Raises ConfigError where a secret is not to be had."""
        self.config = config
        self.name = config.tenant
        self.marker_key = marker_key
        self._thread = threading.local()
        self._opening = threading.Lock()
        self._book: Book | None = None
        self._readers = tuple(map(ReadersList, config.reader_lists))
        #: Nothing of it lasts from one question to the next, so all threads have the same.
        self.scanner = config.scanner.connect() if config.scanner else None
        try:
            self._thread.store = self.config.store.connect(self.marker_key)
            self._links_key = config.links.read_key() if config.links else b""
            self._know(self._found(each for each in config.sources if not each.asks))
            self.hints = tuple(hints for each in config.sources for hints in each.hints())
        except LookupError as error:
            raise ConfigError(f"tenant {self.name}: {error.args[0]}") from None

    def look_up(self) -> None:
        """Ask which mailboxes there are by now, where a directory tells; those that stay are the same as before.

        Raises Unavailable, Denied: then nothing has changed.
        """
        if any(each.asks for each in self.config.sources):
            self._know(self._found(self.config.sources, self.mailboxes))

    def go_on(self, before: "Tenant") -> None:
        """Know those mailboxes that only a directory tells of, until it is asked again."""
        told = [each for each in before.mailboxes if each.entry.asks and each.entry in self.config.sources]
        self._know((*self.mailboxes, *(replace(each, tenant=self) for each in told)))

    def _know(self, mailboxes: "tuple[Mailbox, ...]") -> None:
        by_home: dict[str, list[str]] = {}
        for address in (each.source.address for each in mailboxes):
            by_home.setdefault(self.config.home(address).casefold(), []).append(address)
        #: The addresses of all of them by the collection that their names make: two names may be one to a store.
        #: Whole before anybody sees it: a turn that found no housemate would open the folder to the people of both.
        self._by_home = by_home
        self.mailboxes = mailboxes

    def _found(self, entries: Iterable[SourceConfig], known: Iterable["Mailbox"] = ()) -> "tuple[Mailbox, ...]":
        """The mailboxes of these entries; one that several name belongs to the first."""
        found = {mailbox.source.address.lower(): mailbox for mailbox in known}
        mailboxes: dict[str, Mailbox] = {}
        asked = self.config.policy.asks
        for entry in entries:
            for address in entry.addresses():
                before = found.get(address.lower())
                mailbox = (
                    before if before and before.entry is entry else Mailbox(self, entry.source(address, asked), entry)
                )
                mailboxes.setdefault(address.lower(), mailbox)
        return tuple(mailboxes.values())

    def unmapped(self, address: str) -> bool:
        """Whether lists say whose mailboxes are, and none says it of this one. Raises Denied where one is no list."""
        return bool(self._readers) and all(each.of(address) is None for each in self._readers)

    def housemate(self, address: str) -> str:
        """Another source whose name makes the same collection; "" where there is none, or it does not matter."""
        home = self.config.home(address).casefold()
        others = self._by_home.get(home, ()) if home else ()
        return next((other for other in others if other.lower() != address.lower()), "")

    @property
    def monitor(self) -> bool:
        """Whether it only wants to know what its rules would do."""
        return self.config.mode == Mode.MONITOR

    def pilots(self, watch: Watch) -> bool:
        """Whether rules are enforced in this source of its, where it enforces them at all."""
        pilot = self.config.pilot
        return pilot is None or pilot.covers(lambda: watch.name, watch.groups)

    @property
    def replaces(self) -> bool:
        """Whether messages are replaced by a copy, and not edited in place."""
        return self.config.rewrite == "replace"

    @property
    def certificate(self) -> Proof:
        """What `connector certify` has to prove for the way in which messages are edited."""
        return Proof.CERTIFY_REPLACE if self.replaces else Proof.CERTIFY

    def store(self) -> Store:
        """This thread's client of the store. Raises Unavailable where its secret is not to be had any more."""
        if not hasattr(self._thread, "store"):
            try:
                self._thread.store = self.config.store.connect(self.marker_key)
            except LookupError as error:
                raise Unavailable(str(error.args[0])) from None
        store: Store = self._thread.store
        return store

    def book(self) -> Book | None:
        """The book of its links; None where its store gives them itself. Raises Unavailable."""
        with self._opening:
            if self._book is None and self.config.links:
                self._book = Book(self.config.links.database)
        return self._book

    def close(self) -> None:
        """After its last turn: end what the book has open. Clients end with the threads that have them."""
        with self._opening:
            if self._book is not None:
                self._book.close()

    def links(self) -> Links:
        """What gives its links, for this thread. Raises Unavailable."""
        return self.publisher() or self.store()

    def publisher(self) -> Publisher | None:
        """What gives its links, for this thread; None where its store does. Raises Unavailable."""
        book = self.book()
        if book is None or self.config.links is None:
            return None
        return Publisher(self.config.links, self._links_key, book, self.name, self.store())


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One source of a tenant: a mailbox, or, by the same word here, a share of files."""

    tenant: Tenant
    source: Source
    #: What its administrator wrote about it.
    entry: SourceConfig

    @property
    def name(self) -> str:
        """For people, and for the ledger as long as the mailbox has not told its key."""
        return f"{self.tenant.name}/{self.source.address}"

    @property
    def account(self) -> str:
        """The name under which it pauses together with all that are reached by the same server and account."""
        return TenantPause.ACCOUNT.of(self.tenant.name, self.tenant.config.sources.index(self.entry) + 1)

    def watch(self) -> Watch:
        """What a tick needs, in this thread."""
        entry, config = self.entry, self.tenant.config
        owner = owner_of(self.source.address)
        watch = Watch(
            tenant=self.tenant.name,
            source=self.source,
            account=self.account,
            store=self.tenant.store(),
            publisher=self.tenant.publisher(),
            policy=config.policy,
            wording=config.wording,
            notices=config.wordings,
            path=config.path,
            home=config.home(self.source.address),
            housemate=self.tenant.housemate(self.source.address),
            marker_key=self.tenant.marker_key,
            scanner=self.tenant.scanner,
            since=_time(entry.since),
            groups=config.groups.get(owner, frozenset()),
            holds=config.holds.get(owner, frozenset()),
            domains=config.domains,
            unmapped=config.exclude.identity is not None and self.tenant.unmapped(owner),
            file_names=config.log_file_names,
            monitor=self.tenant.monitor,
            on_hold=config.on_hold(self.source.address),
        )
        if not self.tenant.pilots(watch):
            watch = replace(watch, monitor=True)
        if isinstance(entry, ShareConfig):
            # Where nothing is shown or removed, nothing has to be proved.
            needs = frozenset({Proof.PUT_BACK} if entry.redirect else ())
            return replace(watch, quiet=entry.quiet, pointers=entry.redirect, needs=needs)
        needs = frozenset({Proof.PUT_BACK, self.tenant.certificate})
        return replace(watch, replace=self.tenant.replaces, needs=needs, waived_by=entry.waive_certify or "")


def _time(since: date | Literal["everything"] | None) -> datetime | None:
    if since == "everything":
        return NEVER
    return datetime.combine(since, time(), UTC) if since else None


def tenants(config: Config) -> tuple[Tenant, ...]:
    """All tenants, with their secrets read. Raises ConfigError where one is not to be had."""
    ready = those_ready(config)
    ready.require(*ready.aside)
    return ready.tenants


@dataclass(frozen=True, slots=True)
class Ready:
    """A configuration, and which of its tenants can be served."""

    config: Config
    tenants: tuple[Tenant, ...]
    #: What is wrong with the others, by their files: whose a broken one is, need not be known.
    aside: Mapping[str, ConfigError]

    def name_of(self, file: str) -> str:
        """Whose file it is, where that was ever known; else its own name."""
        return next((name for name, of in self.config.files.items() if of == file), file)

    def waiting(self, fresh: Config) -> Config:
        """Of another reading of the same files: those that could not be served, and perhaps can be by now.

        A file that is not there at that moment is still set aside: until SIGHUP, nobody is forgotten.
        """
        taken = frozenset[str]().union(*(claims(each.config) for each in self.tenants))
        waiting, broken = [], {file: fresh.broken.get(file, error) for file, error in self.aside.items()}
        for each in fresh.tenants:
            if (file := fresh.files[each.tenant]) not in self.aside:
                continue
            if twice := claims(each) & taken:
                said = f"{', '.join(sorted(twice))}: another tenant is served with that until SIGHUP"
                broken[file] = ConfigError(f"tenant {each.tenant}: {said}")
            else:
                waiting.append(each)
                del broken[file]
        return replace(self.config, tenants=tuple(waiting), files=fresh.files, broken=broken)

    def joined_by(self, found: "Ready") -> "Ready":
        """The same, with those of them who can be served by now."""
        config = replace(self.config, files={**found.config.files, **self.config.files})
        return Ready(config, (*self.tenants, *found.tenants), found.aside)

    def require(self, *files: str) -> None:
        """Raises ConfigError where who has one of these files cannot be served."""
        if problems := [problem for file in files if file in self.aside for problem in self.aside[file].problems]:
            raise ConfigError(*problems)


def those_ready(config: Config, before: Iterable[Tenant] = ()) -> Ready:
    """The tenants that can be served: one whose file is broken, or that lacks a secret, stops no other.

    Until directories are asked, which may be down, they know the mailboxes that they had `before`.
    """
    key = config.settings.read_marker_key()
    former = {each.name: each for each in before}
    made, aside = [], dict(config.broken)
    for each in config.tenants:
        try:
            tenant = Tenant(each, key)
        except ConfigError as error:
            aside[config.files[each.tenant]] = error
            continue
        if each.tenant in former:
            tenant.go_on(former[each.tenant])
        made.append(tenant)
    return Ready(config, tuple(made), aside)
