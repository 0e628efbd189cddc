"""When each mailbox is looked at next: when its time has come, or when the ledger has something due for it. Pure.

An idle mailbox costs two divisions in each planning: nothing is asked of it, of its server, or of the ledger.
"""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connector.daemon.tenants import Mailbox
from connector.ledger import Due

_BEGIN = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A turn that was asked for."""

    at: float
    #: What the ledger had due then.
    due: Due | None


class Rota:
    """The mailboxes of one tenant."""

    def __init__(self, interval: timedelta, safety: timedelta) -> None:
        """Each is looked at every `interval`; where its server tells what happens there, every `safety`."""
        self._interval = interval.total_seconds()
        self._safety = max(interval, safety).total_seconds()
        #: By name, the last turn of each.
        self._asked: dict[str, _Asked] = {}

    def plan(
        self,
        mailboxes: Iterable[Mailbox],
        now: datetime,
        *,
        due: Mapping[str, Due],
        heard: Collection[str],
        ask: Callable[[Mailbox], bool],
    ) -> None:
        """Ask for a turn for each mailbox whose time it is; `ask` says False where it has one already.

        `due` is by address, and `heard` are the addresses of those whose server tells what happens.
        """
        seconds = (now - _BEGIN).total_seconds()
        asked = {}
        for mailbox in mailboxes:
            name, address = mailbox.name, mailbox.source.address
            last, waits = self._asked.get(name), due.get(address)
            if self._is_time(name, seconds, last, waits, heard=address in heard) and ask(mailbox):
                last = _Asked(seconds, waits)
            if last:
                asked[name] = last
        self._asked = asked

    def _is_time(self, name: str, now: float, last: _Asked | None, due: Due | None, *, heard: bool) -> bool:
        # The clock may have been put back.
        if last is None or now < last.at:
            return True
        # What was due before the last turn, and still is, could not be done: it waits like a mailbox that polls.
        if due and due != last.due:
            return True
        period = self._safety if heard and not due else self._interval
        # Evenly over the period, and each at a place of its own that stays the same: no two looks are further apart.
        shift = zlib.crc32(name.encode()) / 2**32 * period
        return (now - shift) // period != (last.at - shift) // period
