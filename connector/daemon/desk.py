"""Where one tenant is worked for: what is to be done for it now, and the turns of its mailboxes.

A desk has threads of its own: whatever hangs there takes none from another tenant. A mailbox never has two turns at a
time, and one that fails never stops another.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler

from connector.checks.reach import servers
from connector.config.settings import Settings
from connector.daemon.listener import Listener
from connector.daemon.process import NEVER, clock
from connector.daemon.rota import Rota
from connector.daemon.sample import MOST, differences, place
from connector.daemon.tenants import Mailbox, Tenant
from connector.daemon.turns import Turns, guarded
from connector.errors import ConnectorError, Denied, Unavailable
from connector.flow.manifest import Reconciled, claim, look_after_claim, reconcile
from connector.flow.reactions import StoreFailed, in_store
from connector.flow.redirect import tick
from connector.flow.sweep import sweep, trim
from connector.flow.turn import BUDGET, Watch, leave_alone
from connector.ledger import LeaseLost, Ledger, Pauses
from connector.links.book import Access, Book
from connector.log import Event, log
from connector.model import Redirect
from connector.pauses import SourcePause, TenantPause
from connector.upkeep import show_anew
from connector.watching.certificates import ends_of_credentials, ends_of_hosts
from connector.watching.counters import TICKS
from connector.watching.metrics import Standing

#: How long a claim on the store is good for, and how often it is looked whether a later one stands there: a clone that
#: was started meanwhile plans the same messages, and with a short `settle` would show its links beside ours.
CLAIM, LOOK = timedelta(hours=1), timedelta(minutes=1)
#: How long what a directory said of its mailboxes is good for.
LOOK_UP = timedelta(days=1)
#: How often a mailbox is swept, and an audit trail looked at for what is too old.
SWEEPING = timedelta(days=1)
#: How long a hint waits for others: one delivery makes several events, and they shall make one tick.
QUIET = timedelta(seconds=1)
#: The hour of the machine's day in which a sample is held against store and mailboxes; and never twice within so long.
NIGHT, NIGHTLY = 3, timedelta(hours=12)
#: How long all others wait at the most while one request tries whether a store answers again.
TRIAL = timedelta(minutes=5)
#: How often it is looked whose time it is.
PLANNING = timedelta(seconds=1)


class Sweeps:
    """When each mailbox was last swept, and of how many redirects: the brake counts what all had in one day."""

    def __init__(self) -> None:
        self._swept: dict[str, tuple[datetime, int]] = {}
        self._sweeping = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else is sweeping: two at once would each delete as much as the brake allows one."""
        alone = self._sweeping.acquire(blocking=False)
        try:
            yield alone
        finally:
            if alone:
                self._sweeping.release()

    def last(self, mailbox: str, otherwise: datetime = NEVER) -> datetime:
        """When it was."""
        return self._swept.get(mailbox, (otherwise, 0))[0]

    def within_a_day(self, now: datetime) -> int:
        """Of how many redirects, of all mailboxes."""
        return sum(count for at, count in self._swept.values() if now - at < SWEEPING)

    def note(self, mailbox: str, now: datetime, count: int) -> None:
        """It is swept now."""
        self._swept[mailbox] = (now, count)


@dataclass
class Notes:
    """What is known of a tenant as long as the process lives, whatever configuration is in force."""

    #: When each mailbox last had a turn that went well.
    ticked: dict[str, datetime] = field(default_factory=dict)
    #: When what is to be done once in a while was done last, by its name.
    done: dict[str, datetime] = field(default_factory=dict)
    #: Nothing is done for it, because somebody wants it so.
    stopped: bool = False
    #: When the certificates of its hosts end, as they were seen last, and its own credentials.
    certificates: dict[str, datetime] = field(default_factory=dict)
    credentials: dict[str, datetime] = field(default_factory=dict)
    #: How much its store takes yet, and when the ledger was last copied, or else began.
    free: int | None = None
    copied: datetime | None = None

    def is_time(self, chore: str, every: timedelta, now: datetime) -> bool:
        """Whether it was last time for it so long ago; then it is done now."""
        if now - self.done.get(chore, NEVER) < every:
            return False
        self.done[chore] = now
        return True


@dataclass(frozen=True, slots=True)
class Common:
    """What all desks have in common."""

    ledger: Ledger
    #: The name under which leases are taken.
    owner: str
    settings: Settings
    #: The process is to end, or another configuration is to be in force.
    stopping: threading.Event
    #: When the process began.
    since: datetime
    sweeps: Sweeps = field(default_factory=Sweeps)


class Desk:
    """One tenant, as long as one configuration is in force."""

    def __init__(self, tenant: Tenant, common: Common, notes: Notes, threads: int) -> None:
        """Nothing is done yet: see `open`, or what somebody asks for."""
        self.tenant, self.name, self.notes = tenant, tenant.name, notes
        self._common, self._ledger, self._settings = common, common.ledger, common.settings
        #: Its threads begin when they are needed.
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix=tenant.name)
        self._turns = Turns(self.pool, self._planned_turn)
        interval, safety = (timedelta(seconds=each) for each in (self._settings.interval, self._settings.safety))
        self._rota = Rota(interval, safety)
        self._listeners: tuple[Listener, ...] = ()
        #: When its store was last claimed for our ledger, when that claim was last seen there, and when its directory
        #: told its mailboxes.
        self._claimed = self._looked = self._looked_up = NEVER
        #: The generation that was claimed then.
        self._generation = 0

    # --- its life -------------------------------------------------------------------------------------------------

    def open(self, scheduler: BackgroundScheduler) -> None:
        """Work from now on: a planning each second, and a turn for whomever something happens to."""
        self._listeners = tuple(
            Listener(hints, self.tenant, left_alone=self._left_alone, hinted=self._hinted(scheduler))
            for hints in self.tenant.hints
        )
        every = PLANNING.total_seconds()
        scheduler.add_job(guarded, "interval", (self.plan,), seconds=every, next_run_time=clock(), name=self.name)

    def stop(self) -> None:
        """No turn begins any more, and nothing is heard. Returns at once."""
        for listener in self._listeners:
            listener.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def wait(self) -> None:
        """After `stop`: until the last turn has finished the effect that it was at."""
        self.pool.shutdown()
        for listener in self._listeners:
            listener.wait()
        self.tenant.close()

    def _hinted(self, scheduler: BackgroundScheduler) -> Callable[[Mailbox], None]:
        def hinted(mailbox: Mailbox) -> None:
            """Ask for a turn as soon as it is quiet; one that is asked for already will do."""
            with suppress(ConflictingIdError):
                asking = (self._turns.ask_once_more, mailbox)
                scheduler.add_job(guarded, "date", asking, run_date=clock() + QUIET, id=mailbox.name)

        return hinted

    # --- what is to be done now -----------------------------------------------------------------------------------

    def plan(self) -> None:
        """What is to be done once in a while, and a turn for each mailbox whose time it is."""
        now = clock()
        pauses = self._ledger.all_pauses(now)
        if self._is_stopped(pauses) or not self._claim(pauses):
            return
        self._do_chores(now)
        mailboxes = _worth_a_try(self.tenant, self._look_up(pauses), pauses, now)
        due = self._ledger.agenda(self.name, now)
        self._rota.plan(mailboxes, now, due=due, heard=self._heard(), ask=self._turns.ask)

    def mailboxes(self) -> tuple[Mailbox, ...]:
        """All of them, if the store is within reach and nobody has stopped the tenant."""
        pauses = self._ledger.all_pauses(clock())
        if TenantPause.STOP.of(self.name) in pauses.standing or not self._claim(pauses):
            return ()
        return self._look_up(pauses)

    def _is_stopped(self, pauses: Pauses) -> bool:
        """Whether somebody wants nothing to be done for it; each change is told once."""
        pause = pauses.standing.get(TenantPause.STOP.of(self.name))
        if pause and not self.notes.stopped:
            log.warning(Event.TENANT_STOPPED, tenant=self.name, reason=pause.reason)
        if not pause and self.notes.stopped:
            log.info(Event.TENANT_RESUMED, tenant=self.name)
        self.notes.stopped = pause is not None
        return self.notes.stopped

    def _claim(self, pauses: Pauses) -> bool:
        """Make sure, once in a while, that this ledger is the one the store knows. False where nobody knows.

        At the end of a pause of the store too: one request finds out whether it answers by now, while all mailboxes go
        on waiting for it. The store of a tenant that only monitors is not even asked.
        """
        if self.tenant.monitor:
            return True
        now, store = clock(), TenantPause.STORE.of(self.name)
        known, trial = now - self._claimed < CLAIM, pauses.ended.get(store)
        if (known and not trial and now - self._looked < LOOK) or store in pauses.standing:
            return known
        if trial:
            until = now + TRIAL
            self._ledger.pause(store, until=until, reason=trial.reason, error=trial.error, now=now, tenant=self.name)
        try:
            if not known:
                self._generation = claim(self.name, self.tenant.store(), self._ledger, now)
                self._claimed = now
            elif TenantPause.LEDGER.of(self.name) not in pauses.standing:  # Else it was told.
                look_after_claim(self._generation, self.name, self.tenant.store(), self._ledger, now)
        except ConnectorError as error:
            leave_alone(store, error, self._ledger, now, self.name)
            return known
        self._looked = now
        if trial:
            self._ledger.resume(store)
            log.info(Event.STORE_ANSWERS, paused=store)
        return True

    def _look_up(self, pauses: Pauses) -> tuple[Mailbox, ...]:
        """The mailboxes, as its directory told within a day; where it does not answer, as known before."""
        now, directory = clock(), TenantPause.DIRECTORY.of(self.name)
        if now - self._looked_up >= LOOK_UP and directory not in pauses.standing:
            try:
                self.tenant.look_up()
            except ConnectorError as error:
                leave_alone(directory, error, self._ledger, now, self.name)
            else:
                self._looked_up = now
        return self.tenant.mailboxes

    def _heard(self) -> frozenset[str]:
        return frozenset(address for each in self._listeners for address in each.heard)

    # --- the turns of its mailboxes -------------------------------------------------------------------------------

    def _planned_turn(self, mailbox: Mailbox) -> bool:
        """A tick, and once a day a sweep. True where its time was up, so that something may be left."""
        begun = clock()
        self.turn(mailbox)
        cut = clock() - begun > BUDGET
        self._sweep_daily(mailbox)
        return cut

    def turn(self, mailbox: Mailbox) -> bool:
        """One tick of one mailbox. False where it is paused, out of reach, or another process has it."""
        with self._in_trouble_alone(mailbox):
            went = tick(self._watch(mailbox), self._ledger, clock, self._common.owner, self._common.stopping.is_set)
            if went:
                self.notes.ticked[mailbox.name] = clock()
                TICKS.labels(self.name).inc()
            return went
        return False  # What it raised has paused it.

    def exhaust(self, mailbox: Mailbox) -> None:
        """Ticks of one mailbox until it was read to its end and nothing of it is due now, or nothing moves any more."""
        before: object = None
        begun = clock()
        while self.turn(mailbox):
            name = mailbox.watch().name
            watched = next(each for each in self._ledger.watched() if each.name == name)
            due = frozenset((each.id, each.revision) for each in self._ledger.due(name, clock()))
            filled = self._ledger.backfill(name)
            # Where its server fails at a folder, no pass is ever counted: a turn that had time has read all the others.
            partly = self._ledger.paused(SourcePause.FOLDERS.of(name), clock()) and clock() - begun <= BUDGET
            ended = bool(watched.passes or partly)
            # A server may give another cursor each time; only until its first end is reached does that move anything.
            now = (ended or watched.cursor, due, filled)
            if now == before or (ended and not due and not filled):
                return
            before, begun = now, clock()

    def _left_alone(self) -> frozenset[str]:
        """The addresses of the mailboxes that are paused: by a name, by the key it stands for, or by account."""
        paused = self._ledger.all_pauses(clock()).standing.keys()
        known = {each.address for each in self._ledger.watched() if each.tenant == self.name and each.name in paused}
        named = {each.source.address for each in self.tenant.mailboxes if {each.name, each.account} & paused}
        return frozenset(known | named)

    def _watch(self, mailbox: Mailbox) -> Watch:
        """What a turn of it needs. Raises StoreFailed where what all mailboxes have in common cannot be opened."""
        in_store(self.tenant.store)
        in_store(self.tenant.book)
        return replace(mailbox.watch(), store_is_tried=True, left_alone_as=(mailbox.name, mailbox.account))

    @contextmanager
    def _in_trouble_alone(self, mailbox: Mailbox) -> Iterator[None]:
        """What goes wrong with one mailbox pauses it, and stops no other; what does with the store, pauses that."""
        try:
            yield
        except LeaseLost:
            log.warning(Event.LEASE_LOST, source=mailbox.name)
        except StoreFailed as failed:
            leave_alone(TenantPause.STORE.of(self.name), failed.error, self._ledger, clock(), self.name)
        except ConnectorError as error:
            leave_alone(mailbox.name, error, self._ledger, clock(), self.name, account=mailbox.account)

    def _sweep_daily(self, mailbox: Mailbox) -> None:
        last = self._common.sweeps.last(mailbox.name)
        if self.tenant.monitor or clock() - last < SWEEPING:
            return
        with self._common.sweeps.alone() as alone:
            if alone:  # Or it is swept at its next turn.
                self.sweep(mailbox)

    def sweep(self, mailbox: Mailbox) -> int:
        """Delete what was dropped long ago and never shown, and let end what has ended; of how many redirects.

        Its brakes are in `connector.flow.sweep`. What it does not get to look at is due again.
        """
        now, brakes, sweeps = clock(), self._settings.sweep, self._common.sweeps
        left = brakes.at_most - sweeps.within_a_day(now)
        with self._in_trouble_alone(mailbox):
            watch, owner = self._watch(mailbox), self._common.owner
            swept = sweep(watch, self._ledger, clock, owner, grace=brakes.grace, at_most=left)
            if swept is not None:
                sweeps.note(mailbox.name, now, swept)
                return swept
        return 0

    # --- once in a while ------------------------------------------------------------------------------------------

    def _do_chores(self, now: datetime) -> None:
        if self.notes.is_time("collect", timedelta(seconds=self._settings.interval), now):
            self.collect()
        if self.notes.is_time("trim", SWEEPING, now):
            self.trim()
        if now.astimezone().hour == NIGHT and self.notes.is_time("compare", NIGHTLY, now):
            self.pool.submit(guarded, self.compare)

    def collect(self) -> None:
        """Take over into the audit trail who came to the tenant's links; who came to none is told in the log.

        Then, once a day, let the people of today come to old ones.
        Noted first and forgotten then: after a crash in between, some stand there twice, with the same `seen`.
        """
        now = clock()
        if self.tenant.config.links is None or self._rests(TenantPause.LINKS, now):
            return
        try:
            if book := self.tenant.book():
                seen = book.accesses(self.name)
                for each in seen:
                    told = {name: value for name, value in asdict(each).items() if name != "publication"}
                    of = each.publication.partition("-")[0]
                    self._ledger.note(self.name, Event.LINK_OPENED, now, redirect_id=of, **told)
                    if each.what == "extend" and (redirect := self._ledger.redirect(of)):
                        show_anew(redirect, self._ledger, now)
                book.forget([*seen, *_guessed(book)])
            self._readmit(now)
        except ConnectorError as error:
            leave_alone(TenantPause.LINKS.of(self.name), error, self._ledger, now, self.name)

    def _readmit(self, now: datetime) -> None:
        """Once a day, have old links open to whom the list of readers names by now.

        Soon again, where that fails, or is not done yet.
        """
        publisher = self.tenant.publisher() if now - self.notes.done.get("readmit", NEVER) >= SWEEPING else None
        if publisher and publisher.readmit():
            self.notes.done["readmit"] = now

    def trim(self) -> None:
        """Let go what the tenant's audit trail has had for as long as its policy says, by the clock of its store."""
        config, now = self.tenant.config, clock()
        if (kept := config.policy.audit) is None or self.tenant.monitor or self._rests(TenantPause.STORE, now):
            return
        watched = (each for each in self._ledger.watched() if each.tenant == self.name)
        held = [each.name for each in watched if config.on_hold(each.address)]
        try:
            trim(self.name, self.tenant.store(), self._ledger, now, kept=kept, held=held)
        except ConnectorError as error:
            leave_alone(TenantPause.STORE.of(self.name), error, self._ledger, now, self.name)

    def _rests(self, what: TenantPause, now: datetime) -> bool:
        """Whether this is left alone, or somebody wants nothing to be done: a command does not `plan`."""
        standing = self._ledger.all_pauses(now).standing
        return any(each.of(self.name) in standing for each in (TenantPause.STOP, what))

    def compare(self) -> None:
        """Hold a sample of what is done against store and mailboxes; what is left alone, or does not answer, is not."""
        now = clock()
        mailboxes = {each.source.address: each for each in self.tenant.mailboxes}
        found = {each.name: mailboxes.get(each.address) for each in self._ledger.watched()}
        seen = different = 0
        for redirect in self._ledger.sample(self.name, place(self.name, now.date()), MOST):
            mailbox = found[redirect.source]
            told = self._differences(redirect, mailbox, now) if mailbox else None
            if told is None:
                continue
            seen, different = seen + 1, different + bool(told)
            for each in told:
                log.error(Event.SAMPLE_DIFFERS, redirect=redirect.id, source=redirect.source, difference=each)
                of = {"source": redirect.source, "redirect_id": redirect.id}
                self._ledger.note(self.name, Event.SAMPLE_DIFFERS, now, **of, difference=each)
        log.info(Event.SAMPLE_COMPARED, tenant=self.name, redirects=seen, different=different)

    def _differences(self, redirect: Redirect, mailbox: Mailbox, now: datetime) -> tuple[str, ...] | None:
        """None where nobody tells. Whoever is left alone is not asked: fifty refused logins lock an account out."""
        names = {TenantPause.STORE.of(self.name), redirect.source, mailbox.name, mailbox.account}
        if self._common.stopping.is_set() or names & self._ledger.all_pauses(now).standing.keys():
            return None
        with self._in_trouble_alone(mailbox):
            try:
                return differences(redirect, mailbox.watch(), now)
            except (Unavailable, Denied, StoreFailed):
                raise
            except ConnectorError:
                return None
            except Exception:  # noqa: BLE001 - what one message trips over must not end the night's sample
                log.exception(Event.BUG, redirect=redirect.id, source=redirect.source)
        return None

    def reconcile(self) -> Reconciled:
        """Take over what the store tells and the ledger does not."""
        return reconcile(self.name, self.tenant.store(), self._ledger, clock(), self.tenant.marker_key)

    def look_ahead(self) -> None:
        """When its credentials end, and the certificates of its hosts; how full its store is. None may answer."""
        self.notes.copied = self._ledger.last_noted(Event.LEDGER_BACKED_UP) or self._ledger.began()
        self.notes.credentials = dict(ends_of_credentials(self.tenant.config))
        asked = (server for _, server in servers(self.tenant.config))
        self.notes.certificates = dict(ends_of_hosts(asked, self._common.stopping.is_set))
        self.notes.free = None
        if not (self.tenant.monitor or self._ledger.paused(TenantPause.STORE.of(self.name), clock())):
            with suppress(ConnectorError):
                self.notes.free = self.tenant.store().free()

    # --- how it is ------------------------------------------------------------------------------------------------

    def standing(self) -> Standing:
        """How the tenant is, as far as no ledger knows it."""
        mailboxes, since = self.tenant.mailboxes, self._common.since
        swept = () if self.tenant.monitor else mailboxes
        return Standing(
            tenant=self.name,
            mailboxes=len(mailboxes),
            claimed=self.tenant.monitor or self._claimed > NEVER,
            ticked=[self.notes.ticked.get(each.name, since) for each in mailboxes],
            swept=[self._common.sweeps.last(each.name, since) for each in swept],
            heard=len(self._heard()),
            hinted=sum(len(each.addresses) for each in self.tenant.hints),
            certificates=self.notes.certificates,
            credentials=self.notes.credentials,
            free=self.notes.free,
            copied=self.notes.copied,
        )


def _guessed(book: Book) -> tuple[Access, ...]:
    """Who asked for links that never were, which no tenant has in its trail: told in the log, by network."""
    guesses = book.guesses()
    times: Counter[str] = Counter()
    for each in guesses:
        times[each.client] += each.times
    for client, so_many in times.items():
        log.warning(Event.LINK_GUESSED, client=client, times=so_many)
    return guesses


def _worth_a_try(tenant: Tenant, mailboxes: tuple[Mailbox, ...], pauses: Pauses, now: datetime) -> tuple[Mailbox, ...]:
    """Those whose servers are not left alone; where that has ended, one mailbox tries for all, each minute another."""
    accounts = {TenantPause.ACCOUNT.of(tenant.name, number) for number, _ in enumerate(tenant.config.sources, 1)}
    if accounts.isdisjoint(pauses.standing) and accounts.isdisjoint(pauses.ended):
        return mailboxes
    left = [each for each in mailboxes if each.account not in pauses.standing]
    minute = int(now.timestamp()) // 60
    on_trial = [[each for each in left if each.account == account] for account in sorted(accounts & {*pauses.ended})]
    trials = [each[minute % len(each)] for each in on_trial if each]
    return (*trials, *(each for each in left if each.account not in pauses.ended))
