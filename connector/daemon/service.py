"""The daemon: which mailbox has its turn, and when. Nothing but it and its parts knows threads or time.

One job per tenant plans its mailboxes again and again, and the tenant's threads give each its tick. A mailbox never has
two ticks at a time, and one that fails never stops another. All that must outlast a restart is in the ledger.
Where servers tell what happens, a tick comes sooner; no tick is left out because they are silent.
"""

import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler

from connector.audit.anchor import anchor
from connector.config.loading import Config
from connector.config.settings import Settings
from connector.config.yamlfile import ConfigError
from connector.daemon.listener import Listener
from connector.daemon.process import NEVER, clock, notify
from connector.daemon.rota import Rota
from connector.daemon.sample import differences, places
from connector.daemon.tenants import Mailbox, Ready, Tenant, those_ready
from connector.daemon.turns import Turns, guarded
from connector.errors import ConnectorError
from connector.flow.manifest import Reconciled, claim, reconcile
from connector.flow.redirect import tick
from connector.flow.sweep import sweep, trim
from connector.flow.turn import BUDGET, account_name, leave_alone, stopped, store_name
from connector.ledger import LeaseLost, Ledger, LedgerError, Pause
from connector.links.book import Access, Book
from connector.log import Event, log
from connector.upkeep import show_anew
from connector.watching.certificates import ends_of_credentials, ends_of_hosts
from connector.watching.counters import TICKS
from connector.watching.health import Health
from connector.watching.metrics import Standing
from connector.watching.status import BEAT

#: How long a claim on the store is good for, until we look whether another ledger came along.
CLAIM = timedelta(hours=1)
#: How long what a directory said of its mailboxes is good for.
LOOK_UP = timedelta(days=1)
#: How often a mailbox is swept.
SWEEPING = timedelta(days=1)
#: How often it is written down outside of the ledger where the audit trails end.
ANCHORING = timedelta(days=1)
#: How long a hint waits for others: one delivery makes several events, and they shall make one tick.
QUIET = timedelta(seconds=1)
#: The hour of the machine's day in which a sample is held against store and mailboxes.
NIGHT = 3
#: How long all others wait at the most while one request tries whether a store answers again.
TRIAL = timedelta(minutes=5)
#: How often it is looked whose time it is.
PLANNING = timedelta(seconds=1)
#: How often it is looked when the certificates of servers end.
CERTIFICATES = timedelta(hours=6)
#: Files of a configuration that are the same for so long are not being written.
WRITING = timedelta(seconds=1)
#: Reads the configuration anew; it is given something that waits a moment. Raises ConfigError.
Reload = Callable[[Callable[[], object]], Config]
_ENDING = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_ENDING, signal.SIGHUP}


class Daemon:
    """All tenants and their one ledger."""

    def __init__(self, config: Config, ledger: Ledger, owner: str) -> None:
        """Work under the name that `alone` gave. A tenant whose secrets are not to be had stops no other one."""
        self._ready = those_ready(config)
        self._place = (config.settings.state, config.settings.ledger_url)
        self._ledger = ledger
        self._owner = owner
        self._stopping = threading.Event()
        self._since = clock()
        self._desks: list[_Desk] = []
        #: When each mailbox last had a turn that went well.
        self._ticked: dict[str, datetime] = {}
        #: When the certificates of each tenant's hosts end, as they were seen last, and its own credentials.
        self._certificates: dict[str, Mapping[str, datetime]] = {}
        self._credentials: dict[str, Mapping[str, datetime]] = {}
        #: When each tenant's store was last claimed for our ledger.
        self._claimed: dict[str, datetime] = {}
        #: When it was last looked who came to each tenant's links.
        self._collected: dict[str, datetime] = {}
        #: When each tenant's directory was last asked for its mailboxes.
        self._looked_up: dict[str, datetime] = {}
        #: The day of each tenant's last sample.
        self._compared: dict[str, date] = {}
        #: The tenants for which nothing is done, because somebody wants it so.
        self._stopped: set[str] = set()
        #: When each mailbox was last swept, and of how many redirects.
        self._swept: dict[str, tuple[datetime, int]] = {}
        #: When each tenant's audit trail was last looked at for what is too old.
        self._trimmed: dict[str, datetime] = {}
        #: When it was last written down outside of the ledger where the audit trails end.
        self._anchored = NEVER

    def once(self) -> None:
        """Give every mailbox its turn until nothing is due now. Raises the first bug, after all others had theirs.

        Raises ConfigError where a secret is not to be had, as all do that somebody waits for.
        """
        self._ready.require(*self._ready.aside)
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
        self._tell_aside()
        self._anchor()
        while other := self._work(reload):
            self._take(other)
            self._stopping.clear()
            log.info(
                Event.CONFIG_LOADED, policies={each.name: each.config.policy.fingerprint for each in self._tenants}
            )
        self._anchor()
        log.info(Event.SERVICE_STOPPED)

    def _take(self, ready: Ready) -> None:
        """Another configuration is in force from now on."""
        for name in {each.name for each in self._tenants} - {each.tenant for each in ready.config.tenants}:
            log.warning(Event.TENANT_REMOVED, tenant=name)
        before, self._ready = self._ready, ready
        self._tell_aside(before.aside)
        self._claimed, self._looked_up = {}, {}

    def _tell_aside(self, before: Collection[str] = ()) -> None:
        for name, error in self._ready.aside.items():
            if name not in before:
                log.error(Event.TENANT_ASIDE, tenant=name, problems=error.problems)

    def _work(self, reload: Reload) -> Ready | None:
        """Turn after turn, until the process is to end, or there is another configuration: that is given back."""
        desks: list[_Desk] = []
        self._desks = desks
        health = Health(self._ledger, self._settings, self.standing, clock, since=self._since)
        scheduler = self._scheduler(health)
        for tenant in self._tenants:
            self._open(tenant, scheduler, desks)
        if self._ready.aside:
            every = self._settings.interval
            scheduler.add_job(guarded, "interval", (self._look_aside, scheduler, desks), seconds=every, name="aside")
        scheduler.start()
        notify("READY=1")
        other = self._other(reload)
        self._stopping.set()
        notify("STOPPING=1" if other is None else "WATCHDOG=1")
        if other is None:
            log.info(Event.SERVICE_STOPPING)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        # Told to end while it is at a job, it would not find that one any more, and leave a traceback.
        scheduler.pause()
        scheduler.remove_all_jobs()
        scheduler.shutdown()
        listeners = [each for desk in desks for each in desk.listeners]
        for listener in listeners:
            listener.stop()
        for wait in (False, True):  # Nobody's next turn begins while another one's last is waited for.
            for desk in desks:
                desk.pool.shutdown(wait, cancel_futures=True)
        for listener in listeners:
            listener.wait()
        health.close()
        return other

    def _other(self, reload: Reload) -> Ready | None:
        """The next configuration that can be used, as soon as somebody wants it; None: the process is to end."""
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            try:
                config = reload(lambda: self._stopping.wait(WRITING.total_seconds()))
                self._require_same_place(config.settings)
                ready = those_ready(config, self._tenants)
                # Who is served now has his secrets in memory, and goes on with them.
                ready.require(*(each.name for each in self._tenants))
                return ready
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

        Brakes are in `connector.flow.sweep`.
        """
        self._ready.require(*self._ready.aside)
        swept = sum(self._sweep(mailbox) for mailbox in self._mailboxes() if not mailbox.tenant.monitor)
        for tenant in self._tenants:
            self._trim(tenant)
        return swept

    def _sweep(self, mailbox: Mailbox) -> int:
        """Sweep one mailbox; what all of them had in one day counts for the brake."""
        now, brakes = clock(), self._settings.sweep
        begun = [count for at, count in self._swept.values() if now - at < SWEEPING]
        left = brakes.at_most - sum(begun)
        swept = sweep(mailbox.watch(), self._ledger, clock, self._owner, grace=brakes.grace, at_most=left)
        self._swept[mailbox.name] = (now, swept)
        return swept

    def _sweep_daily(self, mailbox: Mailbox) -> None:
        last, _ = self._swept.get(mailbox.name, (NEVER, 0))
        if not (mailbox.tenant.monitor or clock() - last < SWEEPING or self._left_alone(mailbox)):
            with self._in_trouble_alone(mailbox):
                self._sweep(mailbox)

    def reconcile(self) -> Reconciled:
        """Take over what the stores tell and the ledger does not."""
        self._ready.require(*self._ready.aside)
        told = Reconciled()
        for tenant in self._tenants:
            told += reconcile(tenant.name, tenant.store(), self._ledger, clock(), tenant.marker_key)
        return told

    def _trim(self, tenant: Tenant) -> None:
        """Let go what the tenant's audit trail has had for as long as its policy says."""
        if (kept := tenant.config.policy.audit) is None or self._ledger.paused(store_name(tenant.name), clock()):
            return
        watched = (each for each in self._ledger.watched() if each.tenant == tenant.name)
        held = [each.name for each in watched if tenant.config.on_hold(each.address)]
        try:
            trim(tenant.name, tenant.store(), self._ledger, clock(), kept=kept, held=held)
        except ConnectorError as error:
            leave_alone(store_name(tenant.name), error, self._ledger, clock(), tenant.name)

    def _anchor(self) -> None:
        """Write down outside of the ledger where each audit trail ends, where somebody wants that."""
        settings, now = self._settings.audit.anchor, clock()
        if settings.file is None and settings.syslog is None:
            return
        try:
            log.info(Event.AUDIT_ANCHORED, trails=anchor(self._ledger, settings, now))
        except (OSError, LedgerError) as error:
            log.error(Event.AUDIT_NOT_ANCHORED, reason=str(error))
        else:
            self._anchored = now

    def _anchor_daily(self) -> None:
        if clock() - self._anchored >= ANCHORING:
            self._anchor()

    @property
    def _tenants(self) -> tuple[Tenant, ...]:
        return self._ready.tenants

    @property
    def _settings(self) -> Settings:
        return self._ready.config.settings

    # --- one turn -------------------------------------------------------------------------------------------------

    def _turn(self, mailbox: Mailbox) -> bool:
        """One tick of one mailbox. False where it is paused, out of reach, or another process has it."""
        if self._left_alone(mailbox):
            return False
        with self._in_trouble_alone(mailbox):
            watch = replace(mailbox.watch(), store_is_tried=True)
            went = tick(watch, self._ledger, clock, self._owner, self._stopping.is_set)
            if went and not self._ledger.paused(watch.name, clock()):
                self._ticked[mailbox.name] = clock()
                TICKS.labels(mailbox.tenant.name).inc()
            return went
        return False

    @contextmanager
    def _in_trouble_alone(self, mailbox: Mailbox) -> Iterator[None]:
        """What goes wrong with one mailbox pauses it, and stops no other."""
        try:
            yield
        except LeaseLost:
            log.warning(Event.LEASE_LOST, source=mailbox.name)
        except ConnectorError as error:
            leave_alone(mailbox.name, error, self._ledger, clock(), mailbox.tenant.name, account=mailbox.account)

    def _left_alone(self, mailbox: Mailbox) -> bool:
        """Whether it is paused, or all that are reached as it is."""
        return any(each.name in (mailbox.name, mailbox.account) for each in self._ledger.pauses(clock()))

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

    def _claim(self, tenant: Tenant, trial: Pause | None = None) -> bool:
        """Make sure, once in a while, that this ledger is the one the store knows. False where nobody knows.

        At the end of a pause of the store (`trial`) too: one request finds out whether it answers by now, while all
        mailboxes go on waiting for it. The store of a tenant that only monitors is not even asked.
        """
        if tenant.monitor:
            return True
        now = clock()
        store = store_name(tenant.name)
        known = now - self._claimed.get(tenant.name, NEVER) < CLAIM
        if (known and not trial) or self._ledger.paused(store, now):
            return known
        if trial:
            until, reason = now + TRIAL, trial.reason
            self._ledger.pause(store, until=until, reason=reason, error=trial.error, now=now, tenant=tenant.name)
        try:
            claim(tenant.name, tenant.store(), self._ledger, now)
        except ConnectorError as error:
            leave_alone(store, error, self._ledger, now, tenant.name)
            return known
        self._claimed[tenant.name] = now
        if trial:
            self._ledger.resume(store)
            log.info(Event.STORE_ANSWERS, paused=store)
        return True

    def _look_up(self, tenant: Tenant) -> tuple[Mailbox, ...]:
        """The mailboxes of a tenant, as its directory told within a day; where it does not answer, as known before."""
        now = clock()
        directory = f"{tenant.name}/directory"
        if now - self._looked_up.get(tenant.name, NEVER) >= LOOK_UP and not self._ledger.paused(directory, now):
            try:
                tenant.look_up()
            except ConnectorError as error:
                leave_alone(directory, error, self._ledger, now, tenant.name)
            else:
                self._looked_up[tenant.name] = now
        return tenant.mailboxes

    def _collect(self, tenant: Tenant) -> None:
        """Take over into the audit trail who came to the tenant's links; who came to none is told in the log.

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
                    if each.what == "extend" and (redirect := self._ledger.redirect(of)):
                        show_anew(redirect, self._ledger, now)
                book.forget([*seen, *_guessed(book)])
        except ConnectorError as error:
            leave_alone(links, error, self._ledger, now, tenant.name)

    def compare(self, tenant: Tenant) -> None:
        """Hold a sample of what is done against store and mailboxes; who does not answer now is left out."""
        now = clock()
        mailboxes = {each.source.address: each for each in tenant.mailboxes}
        found = {each.name: mailboxes.get(each.address) for each in self._ledger.watched()}
        seen = different = 0
        for redirect in self._ledger.sample(tenant.name, places(tenant.name, now.date())):
            mailbox = found[redirect.source]
            if mailbox is None or self._stopping.is_set():
                continue
            with suppress(ConnectorError):
                told = differences(redirect, mailbox.watch())
                seen, different = seen + 1, different + bool(told)
                for each in told:
                    log.error(Event.SAMPLE_DIFFERS, redirect=redirect.id, source=redirect.source, difference=each)
                    of = {"source": redirect.source, "redirect_id": redirect.id}
                    self._ledger.note(tenant.name, Event.SAMPLE_DIFFERS, now, **of, difference=each)
        log.info(Event.SAMPLE_COMPARED, tenant=tenant.name, redirects=seen, different=different)

    # --- how it is ---------------------------------------------------------------------------------------------------

    def standing(self) -> tuple[Standing, ...]:
        """How each tenant is, as far as no ledger knows it."""
        aside = (
            Standing(tenant=name, mailboxes=0, claimed=False, aside=" ".join(error.problems))
            for name, error in self._ready.aside.items()
        )
        return (*map(self._standing, self._tenants), *aside)

    def _standing(self, tenant: Tenant) -> Standing:
        listeners = [each for desk in self._desks if desk.tenant is tenant for each in desk.listeners]
        swept = () if tenant.monitor else tenant.mailboxes
        return Standing(
            tenant=tenant.name,
            mailboxes=len(tenant.mailboxes),
            claimed=tenant.monitor or tenant.name in self._claimed,
            ticked=[self._ticked.get(each.name, self._since) for each in tenant.mailboxes],
            swept=[self._swept.get(each.name, (self._since, 0))[0] for each in swept],
            heard=len({address for each in listeners for address in each.heard}),
            hinted=sum(len(each.addresses) for each in tenant.hints),
            certificates=self._certificates.get(tenant.name, {}),
            credentials=self._credentials.get(tenant.name, {}),
        )

    def _see_certificates(self) -> None:
        for tenant in self._tenants:
            self._credentials[tenant.name] = ends_of_credentials(tenant.config)
            self._certificates[tenant.name] = ends_of_hosts(tenant.config, self._stopping.is_set)

    # --- many turns -----------------------------------------------------------------------------------------------

    def _mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes whose store is within reach, and whose tenant nobody has stopped."""
        now = clock()
        ended = {each.name: each for each in self._ledger.ended_pauses(now)}
        wanted = [each for each in self._tenants if not self._ledger.paused(stopped(each.name), now)]
        claimed = [each for each in wanted if self._claim(each, ended.get(store_name(each.name)))]
        return tuple(mailbox for tenant in claimed for mailbox in self._look_up(tenant))

    def _desk(self, tenant: Tenant) -> "_Desk":
        pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix=tenant.name)
        interval, safety = (timedelta(seconds=each) for each in (self._settings.interval, self._settings.safety))
        return _Desk(tenant, pool, Turns(pool, self._planned_turn), Rota(interval, safety))

    def _open(self, tenant: Tenant, scheduler: BackgroundScheduler, desks: "list[_Desk]") -> None:
        """Work for a tenant from now on."""
        desk = self._desk(tenant)
        desks.append(desk)
        desk.listeners.extend(self._listeners(scheduler, desk))
        every = PLANNING.total_seconds()
        scheduler.add_job(
            guarded, "interval", (self._plan, desk), seconds=every, next_run_time=clock(), name=tenant.name
        )

    def _look_aside(self, scheduler: BackgroundScheduler, desks: "list[_Desk]") -> None:
        """Whether the secrets of those who could not be served are to be had by now."""
        config = self._ready.config
        waiting = tuple(each for each in config.tenants if each.tenant in self._ready.aside)
        found = those_ready(replace(config, tenants=waiting))
        self._ready = Ready(config, (*self._tenants, *found.tenants), found.aside)
        for tenant in found.tenants:
            log.info(Event.TENANT_SERVED, tenant=tenant.name)
            self._open(tenant, scheduler, desks)

    def _scheduler(self, health: Health) -> BackgroundScheduler:
        """A job for each tenant. Planning may wait for a store, and none waits for another's: a thread for each."""
        # One each for the watchdog, the anchor, health, and certificates, whose hosts may not answer.
        threads = {"type": "threadpool", "max_workers": len(self._ready.config.tenants) + 4}
        late = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        # That a planning still waits for a store is told by what it waits for, and not once a second.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": threads}, job_defaults=late)
        scheduler.add_job(guarded, "interval", (self._anchor_daily,), hours=1, name="anchor")
        for work, rhythm in ((health.beat, BEAT), (self._see_certificates, CERTIFICATES)):
            seconds, name = rhythm.total_seconds(), work.__name__
            scheduler.add_job(guarded, "interval", (work,), seconds=seconds, next_run_time=clock(), name=name)
        if usec := os.environ.get("WATCHDOG_USEC"):
            # By the scheduler: where it stands still, the watchdog barks. Half the time, see sd_notify(3).
            scheduler.add_job(notify, "interval", ("WATCHDOG=1",), seconds=int(usec) / 2_000_000)
        return scheduler

    def _plan(self, desk: "_Desk") -> None:
        """Ask for the turns whose time it is."""
        tenant, now = desk.tenant, clock()
        standing = {each.name: each for each in self._ledger.pauses(now)}
        if self._is_stopped(tenant, standing.get(stopped(tenant.name))):
            return
        ended = {each.name: each for each in self._ledger.ended_pauses(now)}
        if not self._claim(tenant, ended.get(store_name(tenant.name))):
            return
        if now - self._collected.get(tenant.name, NEVER) >= timedelta(seconds=self._settings.interval):
            self._collect(tenant)
            self._collected[tenant.name] = now
        if now - self._trimmed.get(tenant.name, NEVER) >= SWEEPING:
            self._trim(tenant)
            self._trimmed[tenant.name] = now
        local = now.astimezone()
        if local.hour == NIGHT and self._compared.get(tenant.name) != local.date():
            self._compared[tenant.name] = local.date()
            desk.pool.submit(guarded, self.compare, tenant)
        due = self._ledger.agenda(tenant.name, now)
        heard = frozenset(address for each in desk.listeners for address in each.heard)
        wanted = _worth_a_try(tenant, self._look_up(tenant), {*standing}, {*ended}, now)
        desk.rota.plan(wanted, now, due=due, heard=heard, ask=desk.turns.ask)

    def _is_stopped(self, tenant: Tenant, pause: Pause | None) -> bool:
        """Whether somebody wants nothing to be done for it; each change is told once."""
        if pause and tenant.name not in self._stopped:
            log.warning(Event.TENANT_STOPPED, tenant=tenant.name, reason=pause.reason)
            self._stopped.add(tenant.name)
        if not pause and tenant.name in self._stopped:
            log.info(Event.TENANT_RESUMED, tenant=tenant.name)
            self._stopped.discard(tenant.name)
        return pause is not None

    def _planned_turn(self, mailbox: Mailbox) -> bool:
        """A tick, and once a day a sweep. True where its time was up, so that something may be left."""
        begun = clock()
        self._turn(mailbox)
        cut = clock() - begun > BUDGET
        self._sweep_daily(mailbox)
        return cut

    def _listeners(self, scheduler: BackgroundScheduler, desk: "_Desk") -> tuple[Listener, ...]:
        """One for each connection over which servers tell what happens."""

        def hinted(mailbox: Mailbox) -> None:
            """Ask for a turn as soon as it is quiet; one that is asked for already will do."""
            with suppress(ConflictingIdError):
                asking = (desk.turns.ask_once_more, mailbox)
                scheduler.add_job(guarded, "date", asking, run_date=clock() + QUIET, id=mailbox.name)

        return tuple(
            Listener(hints, desk.tenant, left_alone=self._left_alone, hinted=hinted) for hints in desk.tenant.hints
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


def _worth_a_try(
    tenant: Tenant, mailboxes: tuple[Mailbox, ...], standing: Collection[str], ended: Collection[str], now: datetime
) -> Iterable[Mailbox]:
    """Those whose servers are not left alone; where that has ended, one mailbox tries for all, each minute another."""
    accounts = {account_name(tenant.name, number) for number, _ in enumerate(tenant.config.sources, 1)}
    if accounts.isdisjoint(standing) and accounts.isdisjoint(ended):
        return mailboxes
    left = [each for each in mailboxes if each.account not in standing]
    minute = int(now.timestamp()) // 60
    on_trial = [[each for each in left if each.account == account] for account in sorted(accounts & {*ended})]
    trials = [each[minute % len(each)] for each in on_trial if each]
    return [*trials, *(each for each in left if each.account not in ended)]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where one tenant is worked for. It has threads of its own: whatever hangs there takes none from another."""

    tenant: Tenant
    pool: ThreadPoolExecutor
    turns: Turns
    rota: Rota
    listeners: list[Listener] = field(default_factory=list)
