"""What shall go wrong, and when: counted in requests, so that a test can hit every step of a client."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class When(StrEnum):
    """On which side of its effect a request is struck."""

    BEFORE = "before"
    AFTER = "after"


class Dropped(Exception):
    """The connection ends here, without another byte."""


class Busy(Exception):
    """The server turns everybody away; 503 comes from the web server in front of it."""

    def __init__(self, status: int = 503, back_off: int = 0, retry_after: str = "seconds") -> None:
        """`back_off` is in milliseconds; `retry_after` is how HTTP tells it: in seconds, as a date, or absent."""
        self.status, self.back_off, self.retry_after = status, back_off, retry_after


@dataclass(frozen=True)
class Strike:
    """At this request, before or after its effect, the connection ends; with `pid`, that process is killed first."""

    request: int
    when: When
    pid: int | None = None


class Mishap(StrEnum):
    """What can happen to an event on its way over a stream."""

    SUPPRESS = "suppress"
    DUPLICATE = "duplicate"
    #: The connection ends before the event is told, and the event is lost (EWSD: it may be).
    CUT = "cut"


@dataclass
class Streams:
    """The streams of events that are open, and what is to go wrong with them."""

    #: What happens to events, by their number since the last reset; under None, to all others.
    mishaps: dict[int | None, Mishap] = field(default_factory=dict)
    #: How many events were to be told since the last reset.
    events: int = 0
    #: How often all streams were cut.
    cuts: int = 0
    #: How many streams are open, by the mailbox that they are charged to.
    open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_event(self) -> Mishap | None:
        """What happens to the next event."""
        with self._lock:
            self.events += 1
            return self.mishaps.get(self.events, self.mishaps.get(None))

    def reset(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self.mishaps, self.events = {}, 0

    @contextmanager
    def one_more(self, mailbox: str) -> Iterator[int]:
        """Count a stream while it lasts; how many this mailbox has with it."""
        with self._lock:
            self.open[mailbox] += 1
            now_open = self.open[mailbox]
        try:
            yield now_open
        finally:
            with self._lock:
                self.open[mailbox] -= 1


@dataclass
class Faults:
    """Counts the requests (those that were let in) and strikes at the ones that it was told."""

    #: Operation and mailbox of each request since the last reset, in their order.
    seen: list[dict[str, str]] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    #: Requests whose reply breaks off in the middle.
    truncated: set[int] = field(default_factory=set)
    #: How many requests are still turned away, with which HTTP status and which back-off in milliseconds.
    turned_away: int = 0
    status: int = 500
    back_off: int = 0
    retry_after: str = "seconds"
    #: The share of all others that is turned away too, and its chance.
    share: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, operation: str, anchor: str) -> int:
        """The number of this request."""
        with self._lock:
            self.seen.append({"operation": operation, "anchor": anchor})
            return len(self.seen)

    def strike(self, request: int, when: When) -> None:
        """Raise Dropped where this request is to be struck now."""
        for each in self.strikes:
            if (each.request, each.when) == (request, when):
                if each.pid is not None:
                    os.kill(each.pid, signal.SIGKILL)
                raise Dropped

    def turn_away(self) -> None:
        """Raise Busy where it was ordered to be so."""
        with self._lock:
            if self.turned_away:
                self.turned_away -= 1
            elif self.chance.random() >= self.share:
                return
        raise Busy(self.status, self.back_off, self.retry_after)
