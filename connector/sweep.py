"""The only place that deletes what was stored: copies that nothing shows, after a grace time, and with brakes.

What is left on a shelf (`connector.replace`) goes with them: its message was deleted by its owner that long ago.
"""

from dataclasses import replace
from datetime import timedelta

from connector.ledger import Ledger
from connector.log import Event, log
from connector.manifest import delete_manifests
from connector.model import Redirect
from connector.replace import empty_shelf
from connector.timekeeping import ClockInDoubt, look
from connector.turn import Clock, Turn, Watch, take_turn


def sweep(watch: Watch, ledger: Ledger, clock: Clock, owner: str, *, grace: timedelta, at_most: int) -> int:
    """Delete what redirects dropped before `grace` have left: stored files never shown, and copies on shelves.

    Returns of how many redirects.

    Deletes nothing where the ledger or the clock is in doubt, nor where it would be more than `at_most`: a human looks
    first. Nothing is deleted that a message of the source names by its marker.
    """
    with take_turn(watch, ledger, clock, owner) as turn:
        if turn is None:
            return 0
        doomed = [each for each in ledger.droppable(clock() - grace) if _leaves_something(each, watch)]
        doubt = _doubt(turn, len(doomed), at_most) if doomed else ""
        if doubt:
            log.error(Event.SWEEP_STOPPED, source=watch.name, reason=doubt)
            ledger.note(watch.tenant, Event.SWEEP_STOPPED, clock(), source=watch.name, reason=doubt)
            return 0
        return sum(_sweep_one(each, turn) for each in doomed)


def _leaves_something(redirect: Redirect, watch: Watch) -> bool:
    """Stored files that were never shown, or a message on a shelf whose place nothing takes any more."""
    on_shelf = redirect.copy is not None or redirect.replaced is not None
    return redirect.source == watch.name and (on_shelf or not redirect.was_shown)


def _doubt(turn: Turn, count: int, at_most: int) -> str:
    """Why nothing may be deleted now; "" where nothing speaks against it."""
    now = turn.clock()
    if turn.braked():
        return "the ledger is in doubt; see `connector status`"
    if count > at_most:
        return f"{count} redirects would be swept at once, more than {at_most}; look at them, then raise sweep.at_most"
    try:
        look(turn.watch.tenant, turn.watch.store, turn.ledger, now)
    except ClockInDoubt as doubt:
        return str(doubt)
    return ""


def _sweep_one(redirect: Redirect, turn: Turn) -> bool:
    turn.keep_lease()
    if turn.watch.source.find(redirect.id):
        return False
    if turn.watch.replace or redirect.copy or redirect.replaced:
        empty_shelf(redirect, turn)
    if redirect.was_shown:
        # Its files stay: a message that is recovered may show the links.
        turn.write(replace(redirect, copy=None, replaced=None), Event.SHELF_CLEARED)
        return True
    store = turn.watch.store
    turn.watch.links.revoke(redirect.folder)
    for each in redirect.files:
        store.delete(each.path)
    store.delete(redirect.folder)
    delete_manifests(store, redirect.id, keep_original=redirect.keep_original)
    turn.ledger.swept(redirect, turn.clock(), lease=turn.lease)
    log.info(Event.SWEEP_DELETED, redirect=redirect.id, source=redirect.source, files=len(redirect.files))
    return True
