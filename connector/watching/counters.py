"""What this process has counted since it began, for whoever watches it (`connector.watching.metrics`).

No label names a mailbox, a rule or a message: there would be thousands, and some would say who got what.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram

from connector.errors import kind

_HOUR = 3600.0
_DAY = 24 * _HOUR
#: From seconds, where nothing settles, to the days that a tenant may want.
_LAGS = (1, 2, 5, 10, 30, 60, 300, 900, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 1.5 * _DAY, 2 * _DAY, 7 * _DAY)

ENDED = Counter("connector_redirects_ended", "Redirects that came to an end, or to a human.", ["tenant", "result"])
FILES = Counter("connector_files", "Files of redirects that are done.", ["tenant"])
BYTES = Counter("connector_bytes", "Bytes of the files of redirects that are done.", ["tenant"])
LAG = Histogram(
    "connector_lag_seconds",
    "From the arrival of a message until it shows its links; what the tenant lets it settle is part of it.",
    ["tenant"],
    buckets=_LAGS,
)
FAILURES = Counter(
    "connector_failures", "Steps of redirects that did not go through, by the class of the error.", ["tenant", "kind"]
)
PAUSES = Counter(
    "connector_pauses", "How often a mailbox, a store or a directory was left alone for a while.", ["tenant", "error"]
)
TICKS = Counter("connector_ticks", "Turns of mailboxes that went well.", ["tenant"])
ALARMS = Counter("connector_alarms", "Warnings and errors, also those that the log only counts.", ["event", "level"])


@contextmanager
def failures(tenant: str) -> Iterator[None]:
    """Count what fails inside, by its kind."""
    try:
        yield
    except Exception as error:
        # The store's trouble wraps that which the store had.
        FAILURES.labels(tenant, kind(getattr(error, "error", error))).inc()
        raise
