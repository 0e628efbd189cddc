"""How much one client, one link and all of them together get. Kept in memory: one process serves the pages."""

import ipaddress
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: More than these at once are not told apart: the oldest are forgotten, and begin anew.
_REMEMBERED = 20_000


class Pace:
    """At most so many for each key in a span of time. Threads may count at a time."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Spans begin with the first that is counted in them."""
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._spans: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, key: str) -> bool:
        """Whether one more would be within the limit."""
        return self._span(key)[1] < self._most

    def count(self, key: str) -> bool:
        """Count one more. False where that is over the limit."""
        with self._lock:
            began, counted = self._span(key)
            self._spans[key] = (began, counted + 1)
            self._spans.move_to_end(key)
            if len(self._spans) > _REMEMBERED:
                self._spans.popitem(last=False)
        return counted < self._most

    def forget(self, key: str) -> None:
        """Begin anew."""
        self._spans.pop(key, None)

    def _span(self, key: str) -> tuple[float, int]:
        now = self._clock()
        began, counted = self._spans.get(key, (now, 0))
        return (began, counted) if now - began < self._seconds else (now, 0)


class Full(Exception):
    """As many downloads as may be are under way."""


class Lanes:
    """Downloads at the same time, by client and in all. For the one thread of the event loop."""

    def __init__(self, of_a_client: int, in_all: int) -> None:
        self._of_a_client = of_a_client
        self._in_all = in_all
        self.taken: Counter[str] = Counter()

    @contextmanager
    def lane(self, client: str) -> Iterator[None]:
        """Hold one. Raises Full."""
        if self.taken[client] >= self._of_a_client or self.taken.total() >= self._in_all:
            raise Full
        self.taken[client] += 1
        try:
            yield
        finally:
            self.taken[client] -= 1
            if not self.taken[client]:
                del self.taken[client]


def network(address: str, ipv4: int, ipv6: int) -> str:
    """The first bits of an address, so many for each kind: it names a network, and no longer a person."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    bits = ipv4 if parsed.version == 4 else ipv6  # noqa: PLR2004
    return str(ipaddress.ip_network(f"{parsed}/{bits}", strict=False).network_address)
