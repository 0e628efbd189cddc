"""What is to be deleted, with brakes: copies that nothing shows, after a grace time, and files whose retention is over.

The latter only begin to end here; the rest are steps (`connector.flow.retention`).

What is left on a shelf (`connector.flow.replace`) goes with them: its message was deleted by its owner that long ago.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

from connector.errors import ConnectorError
from connector.flow.discover import bear
from connector.flow.erasure import finish
from connector.flow.manifest import day, delete_manifests
from connector.flow.reactions import in_store
from connector.flow.replace import empty_shelf
from connector.flow.retention import delete_stored, expire, outlived
from connector.flow.timekeeping import ClockInDoubt, look
from connector.flow.turn import Clock, Turn, Watch, take_turn
from connector.ledger import Ledger, Stale
from connector.log import Event, log
from connector.model import Redirect
from connector.stores import Store


def sweep(watch: Watch, ledger: Ledger, clock: Clock, owner: str, *, grace: timedelta, at_most: int) -> int | None:
    """Delete what redirects dropped before `grace` have left: stored files never shown, and copies on shelves.

    Those whose retention has ended expire, and the next ticks do the rest. Returns how many redirects both are; None
    where it was not looked: the source or the store is paused, or another process has it.

    Deletes nothing where the ledger or the clock is in doubt, nor where it would be more than `at_most`: a human looks
    first. Nothing is deleted that a message of the source names by its marker; nor where it is only monitored, since
    no tick goes on there with what has ended.

    Raises Unavailable and Denied where the source fails, and StoreFailed where the store does.
    """
    if watch.monitor:
        return 0
    with take_turn(watch, ledger, clock, owner) as turn:
        if turn is None or turn.store_paused():
            return None
        finish(turn)
        return _swept(turn, grace, at_most)


def trim(tenant: str, store: Store, ledger: Ledger, now: datetime, *, kept: timedelta, held: Collection[str]) -> int:
    """Forget the events of a tenant that are older than `kept`, and redirects of which nothing else is left.

    Nothing while the clock is in doubt, and nothing of a source on hold (`held`). Returns how many events.
    """
    try:
        look(tenant, store, ledger, now)
    except ClockInDoubt as doubt:
        log.error(Event.SWEEP_STOPPED, tenant=tenant, reason=str(doubt))
        return 0
    ledger.let_go(tenant, now - kept, held)
    return ledger.trim_audit(tenant, now - kept, now, held)


def _swept(turn: Turn, grace: timedelta, at_most: int) -> int:
    watch, ledger, now = turn.watch, turn.ledger, turn.clock()
    doomed = [each for each in ledger.droppable(watch.name, now - grace) if _leaves_something(each)]
    over = () if watch.on_hold else (*ledger.over(watch.name, now), *outlived(turn))
    if not (doomed or over):
        return 0
    if doubt := _doubt(turn, len(doomed) + len(over), at_most):
        log.error(Event.SWEEP_STOPPED, source=watch.name, reason=doubt)
        ledger.note(watch.tenant, Event.SWEEP_STOPPED, now, source=watch.name, reason=doubt)
        return 0
    ended = sum(_ended(expire, each, turn) for each in over)
    return ended + sum(_ended(_sweep_one, each, turn) for each in doomed)


def _ended(end: Callable[[Redirect, Turn], object], redirect: Redirect, turn: Turn) -> bool:
    """Whether it came to that. What cannot be looked at, or is being decided about, waits, and stops no other."""
    turn.keep_lease()
    try:
        return bool(end(redirect, turn))
    except (ConnectorError, Stale) as error:
        bear(error, turn)
        log.warning(Event.SWEEP_PUT_OFF, redirect=redirect.id, source=redirect.source, reason=str(error))
        return False


def _leaves_something(redirect: Redirect) -> bool:
    """Stored files that were never shown, or a message on a shelf whose place nothing takes any more."""
    return not redirect.was_shown or redirect.copy is not None or redirect.replaced is not None


def _doubt(turn: Turn, count: int, at_most: int) -> str:
    """Why nothing may be deleted now; "" where nothing speaks against it."""
    now = turn.clock()
    if turn.braked():
        return "the ledger is in doubt; see `connector status`"
    if count > at_most:
        return f"{count} redirects would be swept at once, more than {at_most}; look at them, then raise sweep.at_most"
    try:
        in_store(look, turn.watch.tenant, turn.watch.store, turn.ledger, now)
    except ClockInDoubt as doubt:
        return str(doubt)
    return ""


def _sweep_one(redirect: Redirect, turn: Turn) -> bool:
    if turn.watch.source.find(redirect.id):
        return False
    if turn.watch.replace or redirect.copy or redirect.replaced:
        empty_shelf(redirect, turn)
    if redirect.was_shown:
        # Its files stay: a message that is recovered may show the links.
        turn.write(replace(redirect, copy=None, replaced=None), Event.SHELF_CLEARED)
        return True
    delete_stored(redirect, turn)
    in_store(delete_manifests, turn.watch.store, redirect.id, day(redirect.created))
    turn.ledger.swept(redirect, turn.clock(), lease=turn.lease)
    log.info(Event.SWEEP_DELETED, redirect=redirect.id, source=redirect.source, files=len(redirect.files))
    return True
