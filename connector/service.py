"""The daemon: which mailbox has its turn, when, and in which thread. Nothing else here knows threads or time.

One job per tenant plans its mailboxes again and again; a pool of threads gives each its tick. A mailbox never has two
ticks at a time, and one that fails never stops another. All that must outlast a restart is in the ledger.
Where servers tell what happens, a tick comes sooner; no tick is left out because they are silent.
"""

import fcntl
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler

from connector.config import Config, Settings, ShareConfig, SourceConfig, TenantConfig
from connector.errors import ConnectorError, Unavailable
from connector.ledger import LeaseLost, Ledger, LedgerError
from connector.links.book import Book
from connector.links.publishing import Publisher
from connector.log import Event, log
from connector.manifest import Reconciled, claim, reconcile
from connector.model import Proof
from connector.policy import Mode
from connector.policy.values import fold
from connector.readers import ReadersList
from connector.redirect import tick
from connector.sources import Hints, Source
from connector.stores import Links, Store
from connector.sweep import sweep
from connector.turn import DENIED_PAUSE, UNAVAILABLE_PAUSE, Watch, leave_alone, outage, store_name
from connector.yamlfile import ConfigError

P = ParamSpec("P")
T = TypeVar("T")

#: How long a claim on the store is good for, until we look whether another ledger came along.
CLAIM = timedelta(hours=1)
#: How long what a directory said of its mailboxes is good for.
LOOK_UP = timedelta(days=1)
#: How often a mailbox is swept.
SWEEPING = timedelta(days=1)
#: How long a hint waits for others: one delivery makes several events, and they shall make one tick.
QUIET = timedelta(seconds=1)
#: A connection for hints that broke is made anew after the first, then ever later, up to the last.
SOONEST, LATEST = timedelta(seconds=1), timedelta(minutes=5)
#: A connection that ended sooner than this did not go well, whatever the server says.
STEADY = timedelta(minutes=1)
#: Files of a configuration that are the same for so long are not being written.
WRITING = timedelta(seconds=1)
#: Reads the configuration anew; it is given something that waits a moment. Raises ConfigError.
Reload = Callable[[Callable[[], object]], Config]
_NEVER = datetime.fromtimestamp(0, UTC)
_ENDING = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_ENDING, signal.SIGHUP}


def clock() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


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
            self.store()
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
        self.mailboxes = mailboxes
        #: The addresses of all of them by the collection that their names make: two names may be one to a store.
        self._by_home: dict[str, list[str]] = {}
        for address in (each.source.address for each in mailboxes):
            self._by_home.setdefault(self.config.home(address).casefold(), []).append(address)

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
        """This thread's client of the store."""
        if not hasattr(self._thread, "store"):
            self._thread.store = self.config.store.connect(self.marker_key)
        store: Store = self._thread.store
        return store

    def book(self) -> Book | None:
        """The book of its links; None where its store gives them itself. Raises Unavailable."""
        with self._opening:
            if self._book is None and self.config.links:
                self._book = Book(self.config.links.database)
        return self._book

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
    """One mailbox of a tenant."""

    tenant: Tenant
    source: Source
    #: What its administrator wrote about it.
    entry: SourceConfig

    @property
    def name(self) -> str:
        """For people, and for the ledger as long as the mailbox has not told its key."""
        return f"{self.tenant.name}/{self.source.address}"

    def watch(self) -> Watch:
        """What a tick needs, in this thread."""
        entry, config = self.entry, self.tenant.config
        owner = fold(self.source.address).partition("/")[0]
        watch = Watch(
            tenant=self.tenant.name,
            source=self.source,
            store=self.tenant.store(),
            publisher=self.tenant.publisher(),
            policy=config.policy,
            wording=config.notice,
            notices=config.notices,
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
            monitor=self.tenant.monitor,
            on_hold=bool(config.holds.get(owner)) or owner in {each.lower() for each in config.retention_holds},
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
        return _NEVER
    return datetime.combine(since, time(), UTC) if since else None


@contextmanager
def alone(state: Path) -> Iterator[str]:
    """Be the only process that works for this state folder; the system frees it whatever becomes of us.

    Yields the name under which leases are taken: the same after every restart, so that what a killed process had under
    lease is taken up at once. Where a machine was cloned, the lease's epoch lets only one of the two write.
    Raises Unavailable where another process is at work, ConfigError where the folder cannot be written.
    """
    try:
        lock = (state / "connector.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{state}: the folder that `state` names cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another connector is at work in {state}; stop it first, or wait for it") from None
        lock.seek(0)
        owner = lock.read()
        if not owner:
            owner = secrets.token_hex(8)
            lock.write(owner)
            lock.flush()
        yield owner


def tenants(config: Config, before: Iterable[Tenant] = ()) -> tuple[Tenant, ...]:
    """All tenants, with their secrets read. Raises ConfigError where one is not to be had.

    Until directories are asked, which may be down, they know the mailboxes that they had `before`.
    """
    key = config.settings.read_marker_key()
    made = tuple(Tenant(each, key) for each in config.tenants)
    former = {each.name: each for each in before}
    for tenant in made:
        if tenant.name in former:
            tenant.go_on(former[tenant.name])
    return made


def side_by_side(feeds: Sequence[Iterable[T]], take: Callable[[int, T], None], threads: int) -> None:
    """Hand on what each of these tells, with its number, as it comes from so many threads; `take` has one at a time.

    Raises the first error, and looks no further.
    """
    one_at_a_time, ended = threading.Lock(), threading.Event()

    def exhaust(number: int) -> None:
        for each in feeds[number]:
            if ended.is_set():
                return
            with one_at_a_time:
                take(number, each)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for _ in pool.map(exhaust, range(len(feeds))):
                pass
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Daemon:
    """All tenants and their one ledger."""

    def __init__(self, config: Config, ledger: Ledger, owner: str) -> None:
        """Work under the name that `alone` gave. Raises ConfigError where a secret is not to be had."""
        self._tenants = tenants(config)
        self._settings = config.settings
        self._place = (config.settings.state, config.settings.ledger_url)
        self._ledger = ledger
        self._owner = owner
        self._stopping = threading.Event()
        #: When each tenant's store was last claimed for our ledger.
        self._claimed: dict[str, datetime] = {}
        #: When each tenant's directory was last asked for its mailboxes.
        self._looked_up: dict[str, datetime] = {}
        #: When each mailbox was last swept, and of how many redirects.
        self._swept: dict[str, tuple[datetime, int]] = {}

    def once(self) -> None:
        """Give every mailbox its turn until nothing is due now. Raises the first bug, after all others had theirs."""
        with ThreadPoolExecutor(self._settings.threads) as pool:
            given = [pool.submit(self._exhaust, mailbox) for mailbox in self._mailboxes()]
        for turn in given:
            turn.result()
        for tenant in self._tenants:
            self._collect(tenant)

    def run(self, reload: Reload) -> None:
        """Give every mailbox its turn again and again, until SIGTERM or SIGINT. A second one ends it at once.

        SIGHUP has the configuration read anew, by `reload`, which raises ConfigError where it cannot be used: then the
        one in force stays. Between the two no turn runs; what was queued is due at once.
        """
        # Blocked before there are threads, so that all of them inherit it, and `sigwait` gets the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        log.info(Event.SERVICE_STARTED, tenants=len(self._tenants))
        while other := self._work(reload):
            self._settings, self._tenants = other
            self._claimed, self._looked_up = {}, {}
            self._stopping.clear()
            log.info(
                Event.CONFIG_LOADED, policies={each.name: each.config.policy.fingerprint for each in self._tenants}
            )
        log.info(Event.SERVICE_STOPPED)

    def _work(self, reload: Reload) -> "tuple[Settings, tuple[Tenant, ...]] | None":
        """Turn after turn, until the process is to end, or there is another configuration: that is given back."""
        with ThreadPoolExecutor(self._settings.threads) as pool:
            turns = Turns(pool, self._planned_turn)
            scheduler = self._scheduler(turns)
            scheduler.start()
            listeners = self._listeners(scheduler, turns)
            notify("READY=1")
            other = self._other(reload)
            self._stopping.set()
            notify("STOPPING=1" if other is None else "WATCHDOG=1")
            if other is None:
                log.info(Event.SERVICE_STOPPING)
            for listener in listeners:
                listener.stop()
            if other is None:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            # Told to end while it is at a job, it would not find that one any more, and leave a traceback.
            scheduler.pause()
            scheduler.remove_all_jobs()
            scheduler.shutdown()
            pool.shutdown(cancel_futures=True)
        return other

    def _other(self, reload: Reload) -> "tuple[Settings, tuple[Tenant, ...]] | None":
        """The next configuration that can be used, as soon as somebody wants it; None: the process is to end."""
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            try:
                config = reload(lambda: self._stopping.wait(WRITING.total_seconds()))
                self._require_same_place(config.settings)
                return config.settings, tenants(config, self._tenants)
            except ConfigError as error:
                log.error(Event.CONFIG_REFUSED, problems=error.problems)
            except Exception:  # noqa: BLE001 - whatever is wrong with the new one, the old one goes on
                log.exception(Event.BUG)
        return None

    def _require_same_place(self, settings: Settings) -> None:
        if (settings.state, settings.ledger_url) != self._place:
            raise ConfigError("connector.yaml: another `state` or `ledger` needs a restart")

    def sweep(self) -> int:
        """Delete what was dropped long ago and never shown, and let end what has ended; of how many redirects.

        Brakes are in `connector.sweep`.
        """
        return sum(self._sweep(mailbox) for mailbox in self._mailboxes() if not mailbox.tenant.monitor)

    def _sweep(self, mailbox: Mailbox) -> int:
        """Sweep one mailbox; what all of them had in one day counts for the brake."""
        now, brakes = clock(), self._settings.sweep
        begun = [count for at, count in self._swept.values() if now - at < SWEEPING]
        left = brakes.at_most - sum(begun)
        swept = sweep(mailbox.watch(), self._ledger, clock, self._owner, grace=brakes.grace, at_most=left)
        self._swept[mailbox.name] = (now, swept)
        return swept

    def _sweep_daily(self, mailbox: Mailbox) -> None:
        last, _ = self._swept.get(mailbox.name, (_NEVER, 0))
        if not (mailbox.tenant.monitor or clock() - last < SWEEPING or self._left_alone(mailbox)):
            with self._in_trouble_alone(mailbox):
                self._sweep(mailbox)

    def reconcile(self) -> Reconciled:
        """Take over what the stores tell and the ledger does not."""
        told = Reconciled()
        for tenant in self._tenants:
            told += reconcile(tenant.name, tenant.store(), self._ledger, clock(), tenant.marker_key)
        return told

    # --- one turn -------------------------------------------------------------------------------------------------

    def _turn(self, mailbox: Mailbox) -> bool:
        """One tick of one mailbox. False where it is paused, out of reach, or another process has it."""
        if self._left_alone(mailbox):
            return False
        with self._in_trouble_alone(mailbox):
            return tick(mailbox.watch(), self._ledger, clock, self._owner, self._stopping.is_set)
        return False

    @contextmanager
    def _in_trouble_alone(self, mailbox: Mailbox) -> Iterator[None]:
        """What goes wrong with one mailbox pauses it, and stops no other."""
        try:
            yield
        except LeaseLost:
            log.warning(Event.LEASE_LOST, source=mailbox.name)
        except ConnectorError as error:
            leave_alone(mailbox.name, error, self._ledger, clock(), mailbox.tenant.name)

    def _left_alone(self, mailbox: Mailbox) -> bool:
        """Whether it is paused, or its whole tenant is.

        Two mailboxes that are refused in the same words do not speak of a mailbox, but of the account: to try it with
        a thousand more would lock it.
        """
        pauses = self._ledger.pauses(clock())
        refused = [
            each.reason for each in pauses if each.error == "Denied" and each.name.startswith(mailbox.tenant.name + "/")
        ]
        return len(refused) > len(set(refused)) or any(each.name == mailbox.name for each in pauses)

    def _exhaust(self, mailbox: Mailbox) -> None:
        """Ticks of one mailbox until it was read to its end and nothing of it is due now, or nothing moves any more."""
        moved: object = None
        filled: object = None
        while self._turn(mailbox):
            name = mailbox.watch().name
            complete = any(each.passes for each in self._ledger.watched() if each.name == name)
            due = frozenset((each.id, each.revision) for each in self._ledger.due(name, clock()))
            before, filled = filled, self._ledger.backfill(name)
            if complete and due in (frozenset(), moved) and filled == before:
                return
            moved = due

    def _claim(self, tenant: Tenant) -> bool:
        """Make sure, once in a while, that this ledger is the one the store knows. False where it is out of reach.

        The store of a tenant that only monitors is not even asked.
        """
        if tenant.monitor:
            return True
        now = clock()
        store = store_name(tenant.name)
        if now - self._claimed.get(tenant.name, _NEVER) < CLAIM:
            return True
        if self._ledger.paused(store, now):
            return False
        try:
            claim(tenant.name, tenant.store(), self._ledger, now)
        except ConnectorError as error:
            leave_alone(store, error, self._ledger, now, tenant.name)
            return False
        self._claimed[tenant.name] = now
        return True

    def _look_up(self, tenant: Tenant) -> tuple[Mailbox, ...]:
        """The mailboxes of a tenant, as its directory told within a day; where it does not answer, as known before."""
        now = clock()
        directory = f"{tenant.name}/directory"
        if now - self._looked_up.get(tenant.name, _NEVER) >= LOOK_UP and not self._ledger.paused(directory, now):
            try:
                tenant.look_up()
            except ConnectorError as error:
                leave_alone(directory, error, self._ledger, now, tenant.name)
            else:
                self._looked_up[tenant.name] = now
        return tenant.mailboxes

    def _collect(self, tenant: Tenant) -> None:
        """Take over into the audit trail who came to the tenant's links.

        Noted first and forgotten then: after a crash in between, some stand there twice, with the same `seen`.
        """
        now, links = clock(), f"{tenant.name}/links"
        if self._ledger.paused(links, now):
            return
        try:
            if book := tenant.book():
                seen = book.accesses(tenant.name)
                for each in seen:
                    told = {name: value for name, value in asdict(each).items() if name != "publication"}
                    of = each.publication.partition("-")[0]
                    self._ledger.note(tenant.name, Event.LINK_OPENED, now, redirect_id=of, **told)
                book.forget(seen)
        except ConnectorError as error:
            leave_alone(links, error, self._ledger, now, tenant.name)

    # --- many turns -----------------------------------------------------------------------------------------------

    def _mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes whose store is within reach."""
        return tuple(mailbox for tenant in self._tenants if self._claim(tenant) for mailbox in self._look_up(tenant))

    def _scheduler(self, turns: "Turns") -> BackgroundScheduler:
        """A job for each tenant. Planning may wait for a store, and none waits for another's: a thread for each."""
        threads = {"type": "threadpool", "max_workers": len(self._tenants) + 1}
        late = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": threads}, job_defaults=late)
        for tenant in self._tenants:
            planning = (self._plan, tenant, turns)
            scheduler.add_job(
                _guarded, "interval", planning, seconds=self._settings.interval, next_run_time=clock(), name=tenant.name
            )
        if usec := os.environ.get("WATCHDOG_USEC"):
            # By the scheduler: where it stands still, the watchdog barks. Half the time, see sd_notify(3).
            scheduler.add_job(notify, "interval", ("WATCHDOG=1",), seconds=int(usec) / 2_000_000)
        return scheduler

    def _plan(self, tenant: Tenant, turns: "Turns") -> None:
        if self._claim(tenant):
            self._collect(tenant)
            for mailbox in self._look_up(tenant):
                turns.ask(mailbox)

    def _planned_turn(self, mailbox: Mailbox) -> None:
        if self._claim(mailbox.tenant):
            self._turn(mailbox)
            self._sweep_daily(mailbox)

    def _listeners(self, scheduler: BackgroundScheduler, turns: "Turns") -> "tuple[Listener, ...]":
        """One for each connection over which servers tell what happens."""

        def hinted(mailbox: Mailbox) -> None:
            """Ask for a turn as soon as it is quiet; one that is asked for already will do."""
            with suppress(ConflictingIdError):
                asking = (turns.ask_once_more, mailbox)
                scheduler.add_job(_guarded, "date", asking, run_date=clock() + QUIET, id=mailbox.name)

        return tuple(
            Listener(hints, tenant, left_alone=self._left_alone, hinted=hinted)
            for tenant in self._tenants
            for hints in tenant.hints
        )


class Turns:
    """Which mailboxes have their turn now, or are next: no mailbox has two at a time."""

    def __init__(self, pool: ThreadPoolExecutor, give: Callable[[Mailbox], None]) -> None:
        """`give` is a mailbox's turn."""
        self._pool = pool
        self._give = give
        self._lock = threading.Lock()
        self._next: set[str] = set()
        self._now: set[str] = set()
        self._again: set[str] = set()

    def ask(self, mailbox: Mailbox) -> None:
        """Give this mailbox a turn, unless it is next, or has it now."""
        with self._lock:
            if mailbox.name not in self._next | self._now:
                self._submit(mailbox)

    def ask_once_more(self, mailbox: Mailbox) -> None:
        """Give this mailbox a turn that begins from now on: the one that it has now may have looked already."""
        with self._lock:
            if mailbox.name in self._now:
                self._again.add(mailbox.name)
            elif mailbox.name not in self._next:
                self._submit(mailbox)

    def _submit(self, mailbox: Mailbox) -> None:
        # The pool takes nothing any more when the process is to end.
        with suppress(RuntimeError):
            self._pool.submit(_guarded, self._turn, mailbox)
            self._next.add(mailbox.name)

    def _turn(self, mailbox: Mailbox) -> None:
        with self._lock:
            self._next.discard(mailbox.name)
            self._now.add(mailbox.name)
        try:
            self._give(mailbox)
        finally:
            with self._lock:
                self._now.discard(mailbox.name)
                if mailbox.name in self._again:
                    self._again.discard(mailbox.name)
                    self._submit(mailbox)


class Listener:
    """A thread that passes the hints of one connection on, and connects again for ever."""

    def __init__(
        self,
        hints: Hints,
        tenant: Tenant,
        *,
        left_alone: Callable[[Mailbox], bool],
        hinted: Callable[[Mailbox], None],
    ) -> None:
        """Begins at once. A mailbox that is `left_alone` is not subscribed to either."""
        self._hints = hints
        self._tenant = tenant
        self._mailboxes = {mailbox.source.address: mailbox for mailbox in tenant.mailboxes}
        self._left_alone = left_alone
        self._hinted = hinted
        self._stopping = threading.Event()
        #: Whether the connection stands; None before it was tried.
        self._stands: bool | None = None
        #: Since when it has stood.
        self._began: datetime | None = None
        #: How often in a row it did not go well.
        self._failures = 0
        # As a daemon, which the end of the process does not wait for: a read blocks until the server speaks.
        threading.Thread(target=self._run, name="hints", daemon=True).start()

    def stop(self) -> None:
        """Hear no more. Returns at once; the thread may wait for the server until the process ends."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._listen()

    def _listen(self) -> None:
        """One connection to its end, and the wait until the next."""
        self._began = None
        reason, wait = "the server ended the connection", timedelta(0)
        try:
            self._pass_on()
        except ConnectorError as error:
            reason = str(error)
            wait = outage(error, timedelta(0)) if isinstance(error, Unavailable) else DENIED_PAUSE
        except LedgerError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs no more than the hints
            if not self._stopping.is_set():
                log.exception(Event.BUG)
            reason = f"a bug in connector: {type(error).__name__}"
        steady = self._began is not None and clock() - self._began > STEADY
        self._failures = 0 if steady else min(self._failures + 1, 10)
        if self._failures:
            wait = max(wait, min(SOONEST * 2 ** (self._failures - 1), LATEST))
        if wait and not self._stopping.is_set():
            self._lost(reason)
        self._stopping.wait(wait.total_seconds())

    def _pass_on(self) -> None:
        wanted = [each for each in self._hints.addresses if not self._left_alone(self._mailboxes[each])]
        if not wanted:
            raise Unavailable("its mailboxes are left alone for now", UNAVAILABLE_PAUSE)
        for told in self._hints.listen(wanted):
            if self._stopping.is_set():
                return
            self._began = self._began or clock()
            self._connected()
            for address in told:
                self._hinted(self._mailboxes[address])

    def _connected(self) -> None:
        if not self._stands:
            hears = len(self._hints.hears)
            log.info(Event.HINTS_CONNECTED, tenant=self._tenant.name, hears=hears, of=len(self._hints.addresses))
        self._stands = True

    def _lost(self, reason: str) -> None:
        if self._stands is not False:
            log.warning(Event.HINTS_LOST, tenant=self._tenant.name, of=len(self._hints.addresses), reason=reason)
        self._stands = False


def _guarded(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Whatever happens in one turn, the others go on, and the next one comes."""
    try:
        work(*args, **kwargs)
    except LedgerError as error:
        log.error(Event.LEDGER_FAILED, reason=str(error))
    except Exception:  # noqa: BLE001 - a bug in one turn must not stop the daemon
        log.exception(Event.BUG)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it did not ask."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
