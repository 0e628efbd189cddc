"""Whether our clock can be believed: a wrong one ends every wait early, and what follows is not to be undone.

While it cannot, a brake stands over the tenant: nothing new is planned, shown, taken out or swept.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from connector.ledger import FOR_EVER, Ledger, Stale
from connector.log import Event, log
from connector.pauses import TenantPause
from connector.stores import Store

#: Clocks that differ by more are in doubt.
_DOUBT = timedelta(minutes=10)


class ClockInDoubt(Exception):
    """Nothing may be done that rests on what time it is. One sentence for the operator."""


def compare(store: Store, now: datetime) -> None:
    """Hold our clock against what the store's last answer, which has just come, said. Raises ClockInDoubt."""
    told = store.now()
    if told and abs(told - now) > _DOUBT:
        raise ClockInDoubt(
            f"this machine's clock and the store's differ by {_round(abs(told - now))}, and a wrong clock ends waits"
            " early: set them right; it then goes on by itself"
        )


def look(tenant: str, store: Store, ledger: Ledger, now: datetime) -> None:
    """Ask the store for its time; where it tells none, the ledger's last event counts. Raises ClockInDoubt."""
    store.names("")  # Any answer tells the server's time.
    compare(store, now)
    last = ledger.last_event_at(tenant)
    if store.now() is None and last and last - now > _DOUBT:
        raise ClockInDoubt(
            f"this machine's clock stands {_round(last - now)} before the ledger's last event: set it right; it then"
            " goes on by itself"
        )


def believed(tenant: str, store: Store, ledger: Ledger, now: datetime, *, doubted: bool) -> bool:
    """Whether the clock may be gone by. Asks the store only where there is a doubt already: its brake stands."""
    last = ledger.last_event_at(tenant)
    if not doubted and not (last and last - now > _DOUBT):
        return True
    try:
        look(tenant, store, ledger, now)
    except ClockInDoubt as doubt:
        put_brake_on(tenant, str(doubt), ledger, now)
        return False
    _set_right(tenant, ledger, now)
    return True


def put_brake_on(tenant: str, reason: str, ledger: Ledger, now: datetime) -> None:
    """Put the brake on."""
    log.error(Event.CLOCK_IN_DOUBT, tenant=tenant, reason=reason)
    ledger.pause(TenantPause.CLOCK.of(tenant), until=FOR_EVER, reason=reason, error="Clock", now=now, tenant=tenant)


def _set_right(tenant: str, ledger: Ledger, now: datetime) -> None:
    """Let the brake go, and what a clock that was ahead has put off: it would wait until that time has really come."""
    for each, written in ledger.written_after(now + _DOUBT, tenant):
        # What it waits for is told by how long: it may be the end of a retention.
        waiting = max(each.due - written, timedelta(0))
        proved = each.proved and min(each.proved, now)
        with suppress(Stale):  # A human decided about it meanwhile.
            ledger.write(replace(each, due=now + waiting, proved=proved), Event.REDIRECT_DEFERRED, now)
    ledger.resume(TenantPause.CLOCK.of(tenant))


def _round(difference: timedelta) -> timedelta:
    return timedelta(minutes=difference // timedelta(minutes=1))
