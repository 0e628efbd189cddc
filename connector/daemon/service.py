"""The daemon: which tenants are served, and since when, until when, and by which configuration.

What is done for a tenant stands in `desk`: one job of the scheduler for each plans its mailboxes again and
again, and the tenant's threads give each its tick. All that must outlast a restart is in the ledger. Where servers tell
what happens, a tick comes sooner; no tick is left out because they are silent.
"""

import logging
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from connector.audit.anchor import ANCHORING, anchor
from connector.config.loading import Config
from connector.config.settings import Settings
from connector.config.yamlfile import ConfigError
from connector.daemon.desk import Common, Desk, Notes
from connector.daemon.process import NEVER, clock, notify
from connector.daemon.tenants import Ready, Tenant, those_ready
from connector.daemon.turns import guarded
from connector.errors import ConnectorError
from connector.flow.manifest import Reconciled
from connector.ledger import Ledger, LedgerError
from connector.log import Event, log
from connector.watching.health import Health
from connector.watching.metrics import Standing
from connector.watching.status import BEAT

#: How often it is looked when certificates end, how full stores are, and when the ledger was last copied.
OUTLOOK = timedelta(hours=1)
#: Files of a configuration that are the same for so long are not being written.
WRITING = timedelta(seconds=1)
#: Reads the configuration anew; it is given something that waits a moment. Raises ConfigError.
Reload = Callable[[Callable[[], object]], Config]
_ENDING = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_ENDING, signal.SIGHUP}


class Daemon:
    """All tenants and their one ledger."""

    def __init__(self, config: Config, ledger: Ledger, owner: str) -> None:
        """Work under the name that `alone` gave. A tenant that cannot be served stops no other one."""
        self._ready = those_ready(config)
        self._ledger = ledger
        self._stopping = threading.Event()
        self._common = Common(ledger, owner, config.settings, self._stopping, clock())
        self._notes: dict[str, Notes] = defaultdict(Notes)
        #: When it was last written down outside of the ledger where the audit trails end.
        self._anchored = NEVER
        #: One for each tenant that is served.
        self.desks = [self._desk(each) for each in self._ready.tenants]

    def _desk(self, tenant: Tenant) -> Desk:
        threads = self._settings.threads_of_each(len(self._ready.tenants) + len(self._ready.aside))
        return Desk(tenant, self._common, self._notes[tenant.name], threads)

    @property
    def _settings(self) -> Settings:
        return self._ready.config.settings

    # --- what somebody waits for ----------------------------------------------------------------------------------
    # Each of these raises ConfigError where a tenant cannot be served.

    def once(self) -> None:
        """Give every mailbox its turn until nothing is due now. Raises the first bug, after all others had theirs."""
        self._ready.require(*self._ready.aside)
        with ThreadPoolExecutor(self._settings.threads) as pool:
            given = [pool.submit(desk.exhaust, each) for desk in self.desks for each in desk.mailboxes()]
        for turn in given:
            turn.result()
        for desk in self.desks:
            desk.collect()

    def sweep(self) -> int:
        """Delete what was dropped long ago and never shown, and let end what has ended; of how many redirects.

        A mailbox or a store that is out of reach is paused, and stops no other.
        """
        self._ready.require(*self._ready.aside)
        sweeping = [desk for desk in self.desks if not desk.tenant.monitor]
        swept = sum(desk.sweep(mailbox) for desk in sweeping for mailbox in desk.mailboxes())
        for desk in self.desks:
            desk.trim()
        return swept

    def reconcile(self) -> tuple[Reconciled, Mapping[str, ConnectorError]]:
        """Take over what the stores tell and the ledger does not; and why those of some tenants told nothing."""
        self._ready.require(*self._ready.aside)
        told, missing = Reconciled(), {}
        for desk in self.desks:
            try:
                told += desk.reconcile()
            except ConnectorError as error:
                missing[desk.name] = error
        return told, missing

    # --- its life -------------------------------------------------------------------------------------------------

    def run(self, reload: Reload) -> None:
        """Give every mailbox its turn again and again, until SIGTERM or SIGINT. A second one ends it at once.

        SIGHUP has the configuration read anew, by `reload`, which raises ConfigError where it cannot be used: then the
        one in force stays. Between the two no turn runs; what was queued is due at once.
        """
        # Blocked before there are threads, so that all of them inherit it, and `sigwait` gets the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        log.info(Event.SERVICE_STARTED, tenants=len(self.desks))
        self._tell_aside({})
        self._anchor()
        while other := self._serve(reload):
            self._take(other)
        self._anchor()
        log.info(Event.SERVICE_STOPPED)

    def _serve(self, reload: Reload) -> Ready | None:
        """Turn after turn, until the process is to end, or there is another configuration: that is given back."""
        health = Health(self._ledger, self._settings, self.standing, clock, since=self._common.since)
        scheduler = self._scheduler(health, reload)
        for desk in self.desks:
            desk.open(scheduler)
        scheduler.start()
        notify("READY=1")
        other = self._other(reload)
        self._stopping.set()
        notify("STOPPING=1" if other is None else "WATCHDOG=1")
        if other is None:
            log.info(Event.SERVICE_STOPPING)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        self._drain(scheduler, health.beat)
        health.close()
        return other

    def _scheduler(self, health: Health, reload: Reload) -> BackgroundScheduler:
        """A job for each tenant. Planning may wait for a store, and none waits for another's: a thread for each."""
        # One each for the watchdog, the anchor, health, who is set aside, and the outlook, whose hosts may not answer.
        threads = {"type": "threadpool", "max_workers": len(self._ready.tenants) + len(self._ready.aside) + 5}
        late = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        # That a planning still waits for a store is told by what it waits for, and not once a second.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": threads}, job_defaults=late)
        scheduler.add_job(guarded, "interval", (self._anchor_daily,), hours=1, name="anchor")
        for work, rhythm in ((health.beat, BEAT), (self._look_ahead, OUTLOOK)):
            seconds, name = rhythm.total_seconds(), work.__name__
            scheduler.add_job(guarded, "interval", (work,), seconds=seconds, next_run_time=clock(), name=name)
        if self._ready.aside:
            every = self._settings.interval
            look = (self._look_aside, scheduler, reload)
            scheduler.add_job(guarded, "interval", look, seconds=every, name="aside")
        if wanted := _heartbeat():
            # By the scheduler: where it stands still, the watchdog barks.
            scheduler.add_job(notify, "interval", ("WATCHDOG=1",), seconds=wanted)
        return scheduler

    def _drain(self, scheduler: BackgroundScheduler, beat: Callable[[], None]) -> None:
        """No turn begins any more; those that run finish the effect that they are at, however long that takes."""
        with _alive(beat):
            # Told to end while it is at a job, it would not find that one any more, and leave a traceback.
            scheduler.pause()
            scheduler.remove_all_jobs()
            scheduler.shutdown()
            for desk in self.desks:  # Nobody's next turn begins while another one's last is waited for.
                desk.stop()
            for desk in self.desks:
                desk.wait()

    # --- another configuration ------------------------------------------------------------------------------------

    def _other(self, reload: Reload) -> Ready | None:
        """The next configuration that can be used, as soon as somebody wants it; None: the process is to end."""
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            try:
                config = reload(self._wait_a_moment)
                self._require_same_process(config.settings)
                ready = those_ready(config, self._ready.tenants)
                # Who is served now is known and has his secrets in memory, and goes on with them.
                served = {each.name for each in self._ready.tenants}
                known = (self._ready.config.files, config.files)
                ready.require(*{files[name] for files in known for name in served & files.keys()})
                return ready
            except ConfigError as error:
                log.error(Event.CONFIG_REFUSED, problems=error.problems)
            except Exception:  # noqa: BLE001 - whatever is wrong with the new one, the old one goes on
                log.exception(Event.BUG)
        return None

    def _wait_a_moment(self) -> None:
        self._stopping.wait(WRITING.total_seconds())

    def _require_same_process(self, settings: Settings) -> None:
        for name in ("state", "ledger", "log"):
            if getattr(settings, name) != getattr(self._settings, name):
                raise ConfigError(f"connector.yaml: another `{name}` needs a restart")

    def _take(self, ready: Ready) -> None:
        """Another configuration is in force from now on."""
        before, self._ready = self._ready, ready
        self._stopping.clear()
        self._common = replace(self._common, settings=ready.config.settings)
        for name in {each.name for each in before.tenants} - {each.tenant for each in ready.config.tenants}:
            log.warning(Event.TENANT_REMOVED, tenant=name)
        self.desks = [self._desk(each) for each in ready.tenants]
        self._tell_aside(before.aside)
        policies = {each.name: each.tenant.config.policy.fingerprint for each in self.desks}
        log.info(Event.CONFIG_LOADED, policies=policies)

    def _tell_aside(self, before: Mapping[str, ConfigError]) -> None:
        """Once, and again where it is something else by now."""
        for file, error in self._ready.aside.items():
            if file not in before or before[file].problems != error.problems:
                log.error(Event.TENANT_ASIDE, tenant=self._ready.name_of(file), problems=error.problems)

    def _look_aside(self, scheduler: BackgroundScheduler, reload: Reload) -> None:
        """Whether those who could not be served can be by now: nobody has to say that something was mended.

        Whatever else was changed in the files waits for SIGHUP, as ever.
        """
        before = self._ready
        try:
            fresh = reload(self._wait_a_moment)
        except ConfigError:  # Of all of it: whoever wants it read anew is told.
            return
        found = those_ready(before.waiting(fresh))
        self._ready = before.joined_by(found)
        self._tell_aside(before.aside)
        for tenant in found.tenants:
            log.info(Event.TENANT_SERVED, tenant=tenant.name)
            self.desks.append(self._desk(tenant))
            self.desks[-1].open(scheduler)

    # --- how it is ------------------------------------------------------------------------------------------------

    def standing(self) -> tuple[Standing, ...]:
        """How each tenant is, as far as no ledger knows it."""
        aside = (
            Standing(tenant=self._ready.name_of(file), mailboxes=0, claimed=False, aside=" ".join(error.problems))
            for file, error in self._ready.aside.items()
        )
        return (*(each.standing() for each in self.desks), *aside)

    def _look_ahead(self) -> None:
        for desk in self.desks:
            guarded(desk.look_ahead)

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


def _heartbeat() -> float | None:
    """How often systemd wants to hear that we are alive, in seconds: half its time, see sd_notify(3)."""
    usec = os.environ.get("WATCHDOG_USEC")
    return int(usec) / 2_000_000 if usec else None


@contextmanager
def _alive(beat: Callable[[], None]) -> Iterator[None]:
    """Tell so while no scheduler does: else the daemon is killed where a large file goes up at SIGHUP."""
    seconds, over = min(BEAT.total_seconds(), _heartbeat() or BEAT.total_seconds()), threading.Event()

    def tell() -> None:
        while not over.wait(seconds):
            notify("WATCHDOG=1")
            guarded(beat)

    telling = threading.Thread(target=tell, name="watchdog")
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()
