"""What Prometheus is told: what stands in the ledger, what the daemon knows, and what it has counted.

The ledger is asked at most once in `FRESH`, by statements that read what waits, not what ever was. No label names a
mailbox: there would be thousands of series, and some would tell who got mail when.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connector import __version__
from connector.flow.turn import Clock
from connector.ledger import Ledger, LedgerError, Pause
from connector.model import State
from connector.pauses import SourcePause, TenantPause

#: How long what the ledger said is good for.
FRESH = timedelta(seconds=10)
#: What a pause is about, by how its name ends; a mailbox that is left alone altogether has another.
_ABOUT = {*SourcePause, *TenantPause}


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What the daemon knows of one tenant, and no ledger."""

    tenant: str
    mailboxes: int
    #: The store is known to be ours (`connector.flow.manifest.claim`), or nothing is done to it.
    claimed: bool
    #: Why nothing is done for it: its file is broken, or a secret is not to be had; "" otherwise.
    aside: str = ""
    #: When each mailbox had its last turn that went well; those that had none yet count from the start of the daemon.
    ticked: Collection[datetime] = ()
    #: When each mailbox was last swept.
    swept: Collection[datetime] = ()
    #: Mailboxes of which servers tell by themselves; and of how many they could.
    heard: int = 0
    hinted: int = 0
    #: When the certificates of the hosts that it speaks to end.
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    #: When its own credentials end, as far as that is known.
    credentials: Mapping[str, datetime] = field(default_factory=dict)
    #: How many bytes its store takes yet; None where that is not known, or has no end.
    free: int | None = None
    #: When the ledger was last copied; where it never was, when it began; None where it has not.
    copied: datetime | None = None


def about(pause: Pause, tenant: str) -> str:
    """What is left alone: one of a few words."""
    word = pause.name.removeprefix(f"{tenant}/").rpartition("/")[2].partition("-")[0]
    return word if word in _ABOUT else "mailbox"


class Metrics(Collector):
    """All of it, in the words of Prometheus."""

    def __init__(
        self, ledger: Ledger, place: Path | None, standing: Callable[[], Sequence[Standing]], clock: Clock
    ) -> None:
        """`place` is the file of the ledger; None where it is a database server's."""
        self._ledger, self._place, self._standing, self._clock = ledger, place, standing, clock
        self._lock = threading.Lock()
        self._asked: datetime | None = None
        self._told: tuple[Metric, ...] = ()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition format: what this process has counted, and what stands now."""
        return generate_latest(REGISTRY) + generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing is asked when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Whoever asks at the same time waits for one answer."""
        now = self._clock()
        with self._lock:
            if self._asked is None or not timedelta(0) <= now - self._asked < FRESH:
                self._asked, self._told = now, (*self._of_ledger(now), *self._of_daemon(now))
            yield from self._told

    def _of_ledger(self, now: datetime) -> Iterator[Metric]:
        up = GaugeMetricFamily("connector_ledger_up", "Whether the ledger can be read.")
        try:
            told = [*self._asked_of_ledger(now)]
        except LedgerError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from told

    def _asked_of_ledger(self, now: datetime) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("connector_backlog", "Redirects under way or held.", labels=["tenant", "state"])
        overdue = GaugeMetricFamily(
            "connector_overdue_seconds", "How late the step is that is due the longest.", labels=["tenant"]
        )
        late: dict[str, float] = {}
        for work in self._ledger.work():
            backlog.add_metric([work.tenant, work.state], work.count)
            if work.state is not State.HELD:
                late[work.tenant] = max(late.get(work.tenant, 0.0), (now - work.due).total_seconds())
        for each in self._standing():
            overdue.add_metric([each.tenant], late.get(each.tenant, 0.0))
        paused = GaugeMetricFamily("connector_paused", "What is left alone.", labels=["tenant", "what", "error"])
        pauses = self._ledger.pauses(now)
        for each in self._standing():
            ours = [pause for pause in pauses if pause.name.startswith(f"{each.tenant}/")]
            for (what, error), count in Counter((about(pause, each.tenant), pause.error) for pause in ours).items():
                paused.add_metric([each.tenant, what, error], count)
        events = CounterMetricFamily("connector_audit_events", "Events of the audit trail.", labels=["tenant"])
        for chain in self._ledger.chains():
            events.add_metric([chain.tenant], chain.length)
        yield from (backlog, overdue, paused, events)
        if self._place:
            yield GaugeMetricFamily("connector_ledger_bytes", "Size of the ledger.", value=_size(self._place))

    def _of_daemon(self, now: datetime) -> Iterator[Metric]:
        about = GaugeMetricFamily("connector_build_info", "Which version it is.", labels=["version"])
        about.add_metric([__version__], 1)
        yield about
        gauges = {
            name: GaugeMetricFamily(f"connector_{name}", told, labels=["tenant"])
            for name, told in (
                ("served", "Whether it is served: its files can be used, and its secrets are there."),
                ("mailboxes", "Mailboxes that are looked after."),
                ("store_claimed", "Whether the store answers and is known to be ours."),
                ("tick_age_seconds", "Since when the mailbox that waits the longest had no turn that went well."),
                ("sweep_age_seconds", "Since when the mailbox that waits the longest was not swept."),
                ("hints_connected", "Mailboxes of which servers tell by themselves."),
                ("hints_wanted", "Mailboxes of which servers could tell by themselves."),
            )
        }
        ends = GaugeMetricFamily(
            "connector_certificate_seconds", "How long the certificate of a host lasts.", labels=["tenant", "host"]
        )
        own = GaugeMetricFamily(
            "connector_credential_seconds", "How long a credential of ours lasts.", labels=["tenant", "credential"]
        )
        free = GaugeMetricFamily("connector_store_free_bytes", "How much the store takes yet.", labels=["tenant"])
        copied = GaugeMetricFamily(
            "connector_ledger_backup_age_seconds", "Since when the ledger was not copied.", labels=["tenant"]
        )
        for each in self._standing():
            told = {
                "served": not each.aside,
                "mailboxes": each.mailboxes,
                "store_claimed": each.claimed,
                "tick_age_seconds": _age(each.ticked, now),
                "sweep_age_seconds": _age(each.swept, now),
                "hints_connected": each.heard,
                "hints_wanted": each.hinted,
            }
            for name, value in told.items():
                gauges[name].add_metric([each.tenant], float(value))
            for host, end in each.certificates.items():
                ends.add_metric([each.tenant, host], (end - now).total_seconds())
            for credential, end in each.credentials.items():
                own.add_metric([each.tenant, credential], (end - now).total_seconds())
            if each.free is not None:
                free.add_metric([each.tenant], each.free)
            # A database server's is copied by its own tools.
            if each.copied and self._place:
                copied.add_metric([each.tenant], (now - each.copied).total_seconds())
        yield from (*gauges.values(), ends, own, free, copied)


def _age(times: Collection[datetime], now: datetime) -> float:
    return max(((now - at).total_seconds() for at in times), default=0.0)


def _size(place: Path) -> int:
    """The file, and what is written and not yet in it."""
    return sum(each.stat().st_size for each in (place, place.with_name(f"{place.name}-wal")) if each.exists())
