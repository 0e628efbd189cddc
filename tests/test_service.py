"""Which mailbox has its turn, and what one in trouble does to the others."""

import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine, event

from connector.cli import work
from connector.config.addresses import Server
from connector.config.credentials import Secret
from connector.config.loading import Config, NoticeSettings, TenantConfig
from connector.config.settings import MOST_THREADS, Settings
from connector.config.yamlfile import ConfigError
from connector.daemon.process import NEVER, alone, clock, notify
from connector.daemon.service import Daemon
from connector.errors import Denied, PartUnread, Unavailable
from connector.flow.manifest import put_bytes
from connector.flow.reactions import StoreFailed
from connector.flow.turn import LONGEST_BACKOFF, Watch
from connector.ledger import FOR_EVER, Ledger, Proved
from connector.links.book import Book
from connector.log import Event
from connector.model import Action, Page, Proof, State, Stored
from connector.pauses import SourcePause, TenantPause
from connector.policy import Defaults, Mode, Policy, Rule
from connector.sources import Hints
from connector.sources.memory import Attached, MemoryMailbox, MemorySource
from connector.spool import Spool
from connector.stores.memory import MemoryStore

FILE = Attached("plan.pdf", b"bytes of a plan")


class Troubled(MemorySource):
    """A mailbox that does not even tell its key."""

    def __init__(self, mailbox: MemoryMailbox, trouble: Exception) -> None:
        """Every question ends in `trouble`."""
        super().__init__(mailbox)
        del self.key
        self._trouble = trouble
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        """Reached only for what is not there: the key."""
        if name == "key":
            self.asked += 1
            raise self._trouble
        raise AttributeError(name)


class RefusingStore(MemoryStore):
    """A store that lets nobody in, and counts who tries."""

    asked = 0

    def names(self, folder: str) -> tuple[str, ...]:
        """Refused."""
        self.asked += 1
        raise Denied("store.example.org does not accept the user name and password (401)")


class HangingStore(MemoryStore):
    """A store that answers no upload until it is told to, and counts who waits."""

    def __init__(self) -> None:
        """Hanging."""
        super().__init__()
        self.answers = threading.Event()
        self.waiting = 0

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """In the end."""
        if path.startswith("waits"):
            self.waiting += 1
            self.answers.wait()
        return super().put(path, content, tags)


@dataclass
class World:
    """What a configuration of memory adapters gives: the shape that `config` expects of every adapter."""

    ledger: Ledger
    store: MemoryStore = field(default_factory=MemoryStore)
    boxes: list[MemorySource] = field(default_factory=list)
    since: str = "everything"
    telling: list[Hints] = field(default_factory=list)
    waive_certify: str | None = "Ada Admin"
    asks: bool = False
    opens_folders: bool = False
    #: What `addresses` raises.
    directory: Exception | None = None

    def connect(self, _key: bytes) -> MemoryStore:
        """One store for all threads."""
        return self.store

    def addresses(self) -> list[str]:
        """Whose mailboxes they are."""
        if self.directory:
            raise self.directory
        return [box.address for box in self.boxes]

    def source(self, address: str, asked: frozenset[str] = frozenset()) -> MemorySource:
        """One of the mailboxes."""
        return next(box for box in self.boxes if box.address == address)

    def hints(self) -> list[Hints]:
        """Whoever tells of them."""
        return self.telling

    def add(self, name: str, trouble: Exception | None = None) -> MemorySource:
        """A mailbox with one message that is to be redirected."""
        mailbox = MemoryMailbox(address=f"{name}@example.org", key=name)
        mailbox.deliver(FILE)
        self.boxes.append(Troubled(mailbox, trouble) if trouble else MemorySource(mailbox))
        return self.boxes[-1]

    def tenant(self, name: str = "acme") -> TenantConfig:
        """One with these mailboxes and this store."""
        proved = Proved(
            tenant=name, server="memory", proof=Proof.PUT_BACK, passed=True, at=clock(), by="a test of its own"
        )
        self.ledger.prove(proved, Event.PROOF_RECORDED)
        return TenantConfig.model_construct(
            tenant=name,
            sources=(self,),
            mode="enforce",
            store=self,
            path="{mailbox}/{id}",
            notice=NoticeSettings(product="Files", organisation="Example"),
            defaults=Defaults(settle=timedelta(0)),
            rules=(Rule(name="all", action=Action.REDIRECT),),
        )

    def daemon(self, threads: int = 1, others: Sequence["World"] = ()) -> Daemon:
        """A process that starts afresh; each of the others is a tenant too, named by its number."""
        tenants = (self.tenant(), *(each.tenant(f"tenant-{number}") for number, each in enumerate(others)))
        settings = Settings(marker_key=Secret.model_validate({"env": "MARKER"}), threads=threads)
        return Daemon(Config(settings, tenants), self.ledger, "one")

    def done(self) -> set[str]:
        """The mailboxes whose message was redirected."""
        return {source for (source, state), _ in self.ledger.counts().items() if state is State.DONE}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger on disk, a store in memory, no mailboxes yet."""
    monkeypatch.setenv("MARKER", "k" * 32)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield World(ledger)
    ledger.close()
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_mailbox_in_trouble_never_stops_another(world: World, threads: int) -> None:
    """Out of reach, refused, or tripping a bug: the others have their turn, and only then the bug is told."""
    world.add("anna")
    world.add("ben", Unavailable("mail.example.org does not answer"))
    world.add("carla", ZeroDivisionError())
    world.add("dora", Denied("dora@example.org may not be opened"))
    world.add("emil")
    with pytest.raises(ZeroDivisionError):
        world.daemon(threads).once()
    assert world.done() == {"acme/anna", "acme/emil"}
    paused = {each.name: each.error for each in world.ledger.pauses(_now(world))}
    assert paused == {"acme/ben@example.org": "Unavailable", "acme/dora@example.org": "Denied"}


def test_mailboxes_of_a_directory_come_and_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for at the start, and again after a day; those that stay keep what was learnt of them."""
    world.asks = True
    first = world.add("first")
    daemon = world.daemon()
    daemon.once()
    assert "acme/first" in world.done()
    (before,) = daemon.desks[0].tenant.mailboxes
    second = world.add("second")
    daemon.once()
    assert "acme/second" not in world.done()
    later = clock() + timedelta(days=1, hours=1)
    monkeypatch.setattr("connector.daemon.desk.clock", lambda: later)
    daemon.once()
    assert "acme/second" in world.done()
    assert daemon.desks[0].tenant.mailboxes[0] is before
    world.boxes.remove(first)
    later += timedelta(days=2)
    daemon.once()
    assert [each.source for each in daemon.desks[0].tenant.mailboxes] == [second]


def test_a_housemate_stays_known_while_a_directory_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns go on meanwhile: one that saw no housemate would open a folder to the people of both."""
    world.asks = world.opens_folders = True
    for name in ("an.na", "an_na"):
        world.add(name)
    (desk,) = world.daemon().desks
    tenant, seen = desk.tenant, []

    def home(_: TenantConfig, address: str) -> str:
        if tenant.mailboxes and address == "an_na@example.org" and not looking:
            looking.append(True)
            seen.append(tenant.housemate("an.na@example.org"))
            looking.pop()
        return "one folder"

    looking: list[bool] = []
    monkeypatch.setattr(TenantConfig, "home", home)
    tenant.look_up()
    assert tenant.housemate("an.na@example.org") == "an_na@example.org"
    tenant.look_up()
    assert seen == ["an_na@example.org"]


def test_a_directory_that_does_not_answer_stops_nothing(world: World) -> None:
    """The mailboxes that are known go on, and it is not asked again at once."""
    world.asks = True
    world.add("first")
    world.directory = Unavailable("the directory is down", timedelta(hours=1))
    daemon = world.daemon()
    daemon.once()
    assert "acme/first" not in world.done()
    assert [each.name for each in world.ledger.pauses(clock())] == ["acme/directory"]
    world.directory = None
    daemon.once()
    assert "acme/first" not in world.done()
    world.ledger.resume("acme/directory")
    daemon.once()
    assert "acme/first" in world.done()


def test_a_clone_that_starts_later_is_noticed_within_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two daemons that plan the same new mail, the one that claimed the store last goes on alone."""
    world.add("anna")
    daemon = world.daemon()
    daemon.once()
    claimed = f".connector/generations/{world.ledger.generation + 1:08}.{world.ledger.id}"
    put_bytes(world.store, claimed, b"by a machine that was cloned after our start")
    later = clock() + timedelta(minutes=1)
    monkeypatch.setattr("connector.daemon.desk.clock", lambda: later)
    daemon.once()
    assert [each.error for each in world.ledger.pauses(later) if each.name == TenantPause.LEDGER.of("acme")] == [
        "Foreign"
    ]


def test_the_claims_of_two_tenants_leave_each_other_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look each minute only reads: one ledger has one generation, and the other tenant has raised it."""
    daemon = world.daemon(others=[other := World(world.ledger)])
    daemon.once()

    def claims() -> list[tuple[str, ...]]:
        return [each.store.names(".connector/generations") for each in (world, other)]

    before = claims()
    later = clock() + timedelta(minutes=1)
    monkeypatch.setattr("connector.daemon.desk.clock", lambda: later)
    daemon.once()
    assert claims() == before
    assert world.ledger.pauses(later) == ()


def test_of_thirty_tenants_one_whose_store_never_answers_keeps_its_own_threads(world: World) -> None:
    """All its mailboxes wait for it, and nobody else; and of all together there is a bound."""
    world.store = hanging = HangingStore()
    for number in range(20):
        world.add(f"waits-{number}")
    others = [World(world.ledger) for _ in range(29)]
    for each in others:
        each.add("anna")
    daemon = world.daemon(threads=10, others=others)
    for desk in daemon.desks:
        desk.plan()
    theirs = {f"tenant-{number}/anna" for number in range(29)}
    begun = time.monotonic()
    while not (theirs <= world.done() and hanging.waiting == MOST_THREADS // 30):
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    assert world.done() == theirs
    hanging.answers.set()
    for desk in daemon.desks:
        desk.stop()
    for desk in daemon.desks:
        desk.wait()


def test_one_mailbox_is_swept_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that count what the brake leaves at the same time would all delete so much."""
    world.add("anna")
    world.add("ben")
    (desk,) = world.daemon(threads=2).desks
    anna, ben = desk.mailboxes()
    swept: list[tuple[str, int]] = []

    def sweep(watch: Watch, *_: object, at_most: int, **__: object) -> int:
        swept.append((watch.name, at_most))
        if len(swept) == 1:
            other = threading.Thread(target=desk._sweep_daily, args=(ben,))
            other.start()
            other.join()
        return 60

    monkeypatch.setattr("connector.daemon.desk.sweep", sweep)
    desk._sweep_daily(anna)
    assert swept == [("acme/anna", 1000)]
    desk._sweep_daily(ben)
    assert swept == [("acme/anna", 1000), ("acme/ben", 940)]
    desk._sweep_daily(anna)
    assert len(swept) == 2


@pytest.mark.parametrize(("tenants", "each"), [(0, 100), (1, 100), (3, 85), (30, 8), (1000, 1)])
def test_threads_are_parted_evenly_and_every_tenant_has_one(tenants: int, each: int) -> None:
    """However many there are."""
    settings = Settings(marker_key=Secret.model_validate({"env": "MARKER"}), threads=100)
    assert settings.threads_of_each(tenants) == each


def test_a_wrong_password_is_not_tried_for_a_thousand_mailboxes(world: World) -> None:
    """Two refusals in the same words speak of the account; more would lock it. Also after a restart."""
    boxes = [world.add(name, Denied("mail.example.org does not accept the password")) for name in "abcdef"]
    world.daemon().once()
    world.daemon().once()
    assert [box.asked for box in boxes if isinstance(box, Troubled)] == [1, 1, 0, 0, 0, 0]


def test_mailboxes_that_are_refused_for_reasons_of_their_own_do_not_stop_the_rest(world: World) -> None:
    """Each sentence names its mailbox, so the account itself is fine."""
    for name in "abc":
        world.add(name, Denied(f"{name}@example.org may not be opened"))
    world.add("anna")
    world.daemon().once()
    assert world.done() == {"acme/anna"}


@pytest.mark.parametrize("secret", [True, False])
def test_the_trouble_of_a_store_pauses_no_mailbox_and_no_account(world: World, *, secret: bool) -> None:
    """While it sweeps, or where its secret is not to be had any more: nobody looks for that in the mailboxes."""
    world.add("anna")
    world.add("ben")
    (desk,) = world.daemon().desks
    anna, ben = desk.mailboxes()
    trouble = Denied("store.example.org does not accept the user name and password (401)")

    def fail(watch: Watch, *_: object, **__: object) -> int:
        raise StoreFailed(trouble)

    def refuse() -> MemoryStore:
        raise trouble

    with pytest.MonkeyPatch.context() as patch:
        if secret:
            patch.setattr(desk.tenant, "store", refuse)
        else:
            patch.setattr("connector.daemon.desk.sweep", fail)
        for each in (anna, ben):
            desk._sweep_daily(each)
            if secret:
                desk.turn(each)
    assert [each.name for each in world.ledger.pauses(clock())] == ["acme/store"]


@pytest.mark.parametrize(
    ("paused", "left_alone"),
    [
        ("acme/anna", {"anna"}),
        ("acme/ben@example.org", {"ben"}),
        ("acme/account-1", {"anna", "ben"}),
        ("x/anna", set()),
    ],
)
def test_whoever_is_paused_is_not_listened_for(world: World, paused: str, left_alone: set[str]) -> None:
    """By the key that it has told, by the name that it has until then, or with all that are reached as it is."""
    for name in ("anna", "ben"):
        world.add(name)
    daemon = world.daemon()
    daemon.once()
    until = clock() + timedelta(minutes=1)
    world.ledger.pause(paused, until=until, reason="x", error="Denied", now=clock(), tenant="acme")
    assert daemon.desks[0]._left_alone() == {f"{name}@example.org" for name in left_alone}


def test_what_was_not_swept_is_swept_at_the_next_turn(world: World) -> None:
    """Another process had it, or it was paused under the key that the ledger has for it."""
    world.add("anna")
    (desk,) = world.daemon().desks
    (anna,) = desk.mailboxes()
    world.ledger.watch("acme/anna", tenant="acme", address=anna.source.address, now=clock())
    other = world.ledger.lease("acme/anna", "two", clock(), timedelta(minutes=15))
    assert other
    desk._sweep_daily(anna)
    assert world.daemon().sweep() == 0
    assert desk._common.sweeps.last(anna.name) == NEVER
    world.ledger.release(other)
    desk._sweep_daily(anna)
    assert desk._common.sweeps.last(anna.name) > NEVER


def test_a_store_that_refuses_is_not_asked_again_after_a_restart(world: World) -> None:
    """The breaker is in the ledger: a restart loop locks no account."""
    world.add("anna")
    world.store = store = RefusingStore()
    world.daemon().once()
    world.daemon().once()
    assert store.asked == 1
    assert world.done() == set()


def test_a_server_that_asks_for_a_month_is_asked_again_within_the_hour(world: World) -> None:
    """No failure is put off longer than the longest back-off, also before a mailbox has told its key."""
    world.add("anna", Unavailable("mail.example.org is busy", timedelta(days=30)))
    world.daemon().once()
    (pause,) = world.ledger.pauses(clock())
    assert pause.until - clock() <= LONGEST_BACKOFF


def test_one_process_for_a_state_folder(tmp_path: Path) -> None:
    """A second one is refused in a sentence; a killed one leaves nothing behind that keeps the next one out."""
    with alone(tmp_path), pytest.raises(Unavailable, match="another connector is at work"), alone(tmp_path):
        pass
    with alone(tmp_path) as first:
        pass
    with alone(tmp_path) as second:
        assert first == second != ""
    with pytest.raises(ConfigError, match="cannot be written"), alone(tmp_path / "missing"):
        pass


def test_what_a_killed_process_had_under_lease_is_taken_up_at_once(world: World) -> None:
    """It did not get to give its lease back."""
    world.add("anna")
    name = "acme/anna"
    world.ledger.watch(name, tenant="acme", address="anna@example.org", now=clock())
    assert world.ledger.lease(name, "one", clock(), timedelta(minutes=15))
    world.daemon().once()
    assert world.done() == {name}


def test_once_ends_although_something_stays_due(world: World, tmp_path: Path) -> None:
    """Where the ledger is in doubt, redirects are copied and wait for a human; that is no reason to turn for ever."""
    other = World(Ledger(f"sqlite:///{tmp_path}/other.db"), world.store)
    other.daemon().once()
    world.add("anna")
    world.daemon().once()
    assert set(world.ledger.counts()) == {("acme/anna", State.STORED)}
    other.ledger.close()


def test_once_ends_although_nothing_was_ever_read(world: World) -> None:
    """Where the clock is in doubt at first contact, each turn asks the store for its time; it is not for ever."""
    world.add("anna")
    asked: list[datetime] = []

    def time() -> datetime:
        assert len(asked) < 10
        asked.append(clock())
        return clock() + timedelta(days=1)

    world.store.clock = time
    now = clock()
    world.ledger.pause(TenantPause.CLOCK.of("acme"), until=FOR_EVER, reason="x", error="Clock", now=now, tenant="acme")
    world.daemon().once()
    assert asked
    assert not world.ledger.counts()


class Restless(MemorySource):
    """Gives another cursor each time, as Graph does; and may fail at a folder each time."""

    asked, broken = 0, False

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`."""
        for page in super().changes(cursor and cursor.partition("#")[0]):
            self.asked += 1
            assert self.asked < 50
            yield replace(page, cursor=f"{page.cursor}#{self.asked}")
        if self.broken:
            raise PartUnread("1 of 2 folders")


@pytest.mark.parametrize("broken", [True, False])
@pytest.mark.parametrize("stuck", [True, False])
def test_once_ends_whatever_cursors_a_server_gives(world: World, *, broken: bool, stuck: bool) -> None:
    """Neither that it gives another one each time, nor that no pass is ever whole, moves anything that is due."""
    box = MemoryMailbox(address="anna@example.org", key="anna")
    box.deliver(FILE)
    source = Restless(box)
    source.broken = broken
    world.boxes.append(source)
    if stuck:
        until, name = clock() + timedelta(hours=1), SourcePause.EDITS.of("acme/anna")
        world.ledger.pause(name, until=until, reason="x", error="Full", now=clock(), tenant="acme")
    world.daemon().once()
    assert world.ledger.counts() == {("acme/anna", State.STORED if stuck else State.DONE): 1}
    paused = {each.error for each in world.ledger.pauses(clock())}
    assert paused == {*(["PartUnread"] if broken else []), *(["Full"] if stuck else [])}
    assert paused <= work._NOT_OF_A_SWEEP


def test_once_takes_what_comes_up_while_it_works(world: World) -> None:
    """A backlog larger than what the ledger hands out at once is worked off to its end."""
    box = MemoryMailbox(address="anna@example.org", key="anna")
    for _ in range(105):
        box.deliver(FILE)
    world.boxes.append(MemorySource(box, page_size=50))
    world.daemon().once()
    assert world.ledger.counts() == {("acme/anna", State.DONE): 105}


def test_a_turn_that_finds_nothing_writes_nothing(world: World) -> None:
    """No fsync for a thousand idle mailboxes each minute; and what is left alone is asked once."""
    world.add("anna")
    said: list[str] = []

    def listen(connection: Any, *_: object) -> None:
        connection.set_trace_callback(said.append)

    event.listen(Engine, "connect", listen)
    try:
        (desk,) = world.daemon().desks
        world.ledger.close()  # Its connections are opened anew.
        (mailbox,) = desk.mailboxes()
        desk.exhaust(mailbox)
        assert desk.turn(mailbox)  # What we wrote comes back through the feed.
        assert "BEGIN IMMEDIATE" in said
        said.clear()
        assert desk.turn(mailbox)
    finally:
        event.remove(Engine, "connect", listen)
    assert {each.split()[0] for each in said} == {"BEGIN", "SELECT", "COMMIT"}
    assert "BEGIN IMMEDIATE" not in said
    assert sum("FROM pauses" in each for each in said) == 1
    assert said.count("BEGIN") <= 12


def test_a_configuration_that_is_over_leaves_no_connection(world: World, tmp_path: Path) -> None:
    """Each SIGHUP makes a new book; a database has so many connections and no more."""
    (desk,) = world.daemon().desks
    desk.tenant._book = book = Book(f"sqlite:///{tmp_path}/links.db")
    closed: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "close", lambda: closed.append(desk.pool._shutdown))
        desk.stop()
        assert not closed
        desk.wait()
    assert closed == [True]
    book.close()


def test_whom_old_links_open_for_is_looked_at_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is not understood costs no day: it is looked at again after the pause, until all is done."""
    (desk,) = world.daemon().desks
    wrong: list[Exception] = [Denied("readers.csv, line 2: give a mailbox, and user:ID or group:ID")]
    asked: list[datetime] = []

    class Pages:
        def readmit(self) -> bool:
            if wrong:
                raise wrong.pop()
            asked.append(clock())
            return len(asked) == 2

    monkeypatch.setattr(desk.tenant, "config", desk.tenant.config.model_copy(update={"links": True}))
    monkeypatch.setattr(desk.tenant, "book", lambda: None)
    monkeypatch.setattr(desk.tenant, "publisher", Pages)
    desk.collect()
    desk.collect()
    assert "line 2" in world.ledger.pauses(clock())[0].reason
    assert not asked
    world.ledger.resume("acme/links")
    for _ in range(3):
        desk.collect()
    assert len(asked) == 2


@pytest.mark.parametrize("how", ["served", "stopped", "monitored"])
def test_what_is_stopped_forgets_nothing_and_lets_nobody_in(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """By `once` and `sweep` too; and the store of a tenant that only monitors is not asked what time it is."""
    if how == "stopped":
        world.ledger.pause("acme/stop", until=FOR_EVER, reason="not yet", error="Stopped", now=clock(), tenant="acme")
    daemon = world.daemon()
    (desk,) = daemon.desks
    mode = Mode.MONITOR if how == "monitored" else Mode.ENFORCE
    policy = Policy(defaults=Defaults.model_validate({"retain": {"audit": "30d"}}))
    kept = {"policy": policy, "links": True, "mode": mode}
    monkeypatch.setattr(desk.tenant, "config", desk.tenant.config.model_copy(update=kept))
    done: list[str] = []
    monkeypatch.setattr("connector.daemon.desk.trim", lambda *_, **__: done.append("trim"))
    monkeypatch.setattr(desk.tenant, "book", lambda: done.append("collect"))
    monkeypatch.setattr(desk.tenant, "publisher", lambda: done.append("readmit"))
    daemon.once()
    daemon.sweep()
    expected = {"served": ["collect", "readmit", "trim"], "stopped": [], "monitored": ["collect", "readmit"]}
    assert done == expected[how]


def test_one_that_cannot_look_ahead_keeps_no_other_from_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only servers of a tenant are called, and whatever one trips over is told."""
    daemon = world.daemon(others=[World(world.ledger), World(world.ledger)])
    looked: list[str] = []

    def servers(tenant: TenantConfig) -> Iterator[tuple[str, Server]]:
        looked.append(tenant.tenant)
        if tenant.tenant == "acme":
            raise ValueError
        yield "store", Server("http://127.0.0.1/")

    monkeypatch.setattr("connector.daemon.desk.ends_of_credentials", lambda _: {})
    monkeypatch.setattr("connector.daemon.desk.servers", servers)
    daemon._look_ahead()
    assert looked == ["acme", "tenant-0", "tenant-1"]


def test_who_is_set_aside_is_never_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it, in whatever order, under whatever name its file has: it is listed, and then served."""
    beta, settings = world.tenant("beta"), Settings(marker_key=Secret.model_validate({"env": "MARKER"}))
    connect = World.connect
    locked = World(world.ledger)
    beta.__dict__.update(store=locked, sources=(locked,))
    usable = Config(settings, (world.tenant(), beta), {"acme": "01-acme", "beta": "02-beta"})
    broken = replace(usable, tenants=(usable.tenants[0],), broken={"02-beta": ConfigError("it is cut off")})
    gone = replace(broken, broken={})

    def refuse(store: World, key: bytes) -> MemoryStore:
        if store is locked:
            raise LookupError("no secret")
        return connect(store, key)

    monkeypatch.setattr(World, "connect", refuse)
    monkeypatch.setattr("connector.daemon.tenants.claims", lambda each: frozenset({each.tenant}))
    daemon = Daemon(usable, world.ledger, "one")
    scheduler = BackgroundScheduler()
    read: list[Config] = []
    told: list[tuple[str, str]] = []
    for files in (usable, broken, gone, usable):
        read.append(files)
        daemon._look_aside(scheduler, lambda _: read[-1])
        (aside,) = [each for each in daemon.standing() if each.aside]
        told.append((aside.tenant, aside.aside))
    missing, cut = ("beta", "tenant beta: no secret"), ("beta", "it is cut off")
    assert told == [missing, cut, cut, missing]
    monkeypatch.setattr(World, "connect", connect)
    daemon._look_aside(scheduler, lambda _: usable)
    assert [each.name for each in daemon.desks] == ["acme", "beta"]
    assert not any(each.aside for each in daemon.standing())


def test_whoever_watches_is_told_also_while_the_last_turns_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """At SIGHUP a large file may take longer than systemd, or who asks /healthz, has patience."""
    told, beaten = threading.Semaphore(0), threading.Semaphore(0)

    def listen(said: str) -> None:
        if said == "WATCHDOG=1":
            told.release()

    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setattr("connector.daemon.service.notify", listen)
    daemon = world.daemon()
    (desk,) = daemon.desks
    heard = desk.pool.submit(lambda: [each.acquire(timeout=60) for _ in range(3) for each in (told, beaten)])
    scheduler = BackgroundScheduler()
    scheduler.start()
    daemon._drain(scheduler, beaten.release)
    assert heard.result() == [True] * 6


@pytest.mark.parametrize("name", ["notify", "@connector-test-notify"])
def test_systemd_is_told_over_either_kind_of_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A path, or an abstract address; without either, nothing happens."""
    notify("READY=1")
    address = name if name.startswith("@") else str(tmp_path / name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


def _now(world: World) -> Any:
    last = world.ledger.last_event_at("acme")
    assert last
    return last
