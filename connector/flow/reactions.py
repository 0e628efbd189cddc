"""What happens when a step does not go through: the reactions that `connector.errors` names, and going back a step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import ParamSpec, TypeVar

from connector.errors import Denied, Exhausted, Unavailable
from connector.flow.discover import adopt, genuine
from connector.flow.turn import LONGEST_BACKOFF, Turn, backoff, outage
from connector.log import Event, log
from connector.model import RETURNING, Redirect, State
from connector.pauses import TenantPause

P = ParamSpec("P")
T = TypeVar("T")

#: After so many failures, a human decides. An outage is not a failure of the redirect: it ends.
MOST_ATTEMPTS = 8
#: How long one redirect waits after an outage, so that the others come first.
OUTAGE_PAUSE = timedelta(minutes=10)
#: How much longer stored files live than the last copy of their message: it may come back from Deleted Items.
AFTERLIFE = timedelta(days=30)
#: How long a redirect waits for the full pass that tells whether its item is gone or was moved.
MISSED_PAUSE = timedelta(minutes=1)
#: Why nothing is done to an item whose links may lead to all there is of a file.
UNKNOWN = (
    "the item shows links, but a file is neither in it nor known to be in the store; after a backup of the ledger was"
    " put back, `connector ledger reconcile` finds it there"
)


class StoreFailed(Exception):
    """The store, not the source, is busy or refuses: all sources of the tenant wait for it."""

    def __init__(self, error: Unavailable | Denied) -> None:
        super().__init__(str(error))
        self.error = error


def in_store(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the store, so that its trouble is not taken for the source's. Raises Exhausted as it comes."""
    try:
        return call(*args, **kwargs)
    except Exhausted:
        raise
    except (Unavailable, Denied) as error:
        raise StoreFailed(error) from error


def sharing(turn: Turn, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the store for what may take a new share, unless it is known to allow no more for now. Raises Exhausted.

    That is known in the ledger, for all sources of the tenant: attempts count, also those that fail.
    """
    name, now, tenant = TenantPause.SHARES.of(turn.watch.tenant), turn.clock(), turn.watch.tenant
    if standing := turn.ledger.paused(name, now):
        raise Exhausted(standing.reason, standing.until - now)
    try:
        return in_store(call, *args, **kwargs)
    except Exhausted as error:
        until = now + outage(error, LONGEST_BACKOFF)
        log.info(Event.SHARES_EXHAUSTED, tenant=tenant, until=until.isoformat(), reason=str(error))
        turn.ledger.pause(name, until=until, reason=str(error), error="Exhausted", now=now, tenant=tenant)
        raise


def missed(redirect: Redirect, turn: Turn) -> Redirect:
    """The item does not answer under its id: it was moved, it is gone, or the server is behind.

    Gone is only suspected until a full pass over all folders has followed.
    """
    for item in turn.watch.source.find(redirect.id):
        found = genuine(item, turn)
        if found and found.redirect_id == redirect.id:
            return adopt(redirect, item, turn)
    if redirect.missed is not None and turn.passes > redirect.missed:
        return _lost(redirect, turn)
    waiting = replace(
        redirect,
        missed=turn.passes if redirect.missed is None else redirect.missed,
        due=turn.clock() + MISSED_PAUSE,
        reason="the item was not found; it is looked for in all folders",
    )
    return turn.write(waiting, Event.REDIRECT_DEFERRED)


def _lost(redirect: Redirect, turn: Turn) -> Redirect:
    """A full pass over all folders has not found the item either."""
    if redirect.state is State.EXPIRED:
        due = turn.clock() + AFTERLIFE
        untold = replace(redirect, state=State.TOLD, due=due, missed=None, reason="the item is gone")
        return turn.write(untold, Event.REDIRECT_TOLD)
    if redirect.state not in RETURNING:
        return drop(redirect, "the item is gone", turn)
    # A human asked for it, and is told why it is held. Where the message comes back, it goes on by itself.
    reason = (
        "the item is not there any more, so nothing can go back into it; its files stay in the store, in"
        f" the folder that is named after the redirect {redirect.id}"
    )
    return _held(replace(redirect, reason=reason), turn)


def hold(redirect: Redirect, reason: str, turn: Turn) -> Redirect:
    """A human decides; it goes on where it stood, or never. `reason` names no file and repeats nothing from mail."""
    return _held(replace(redirect, missed=None, reason=reason), turn)


def _held(redirect: Redirect, turn: Turn) -> Redirect:
    held = replace(redirect, state=State.HELD, held_in=redirect.state, told=None)
    return turn.write(held, Event.REDIRECT_HELD, stood=redirect.state, reason=redirect.reason)


def drop(redirect: Redirect, reason: str, turn: Turn) -> Redirect:
    """Nothing is needed any more. Deletes nothing: that is the sweep's, after a grace time.

    Links that were seen in the message stay open: a copy of it that is recovered shows them.
    """
    if not redirect.was_shown:
        in_store(turn.watch.links.revoke, redirect.folder)
    dropped = replace(redirect, state=State.DROPPED, held_in=redirect.state, reason=reason)
    return turn.write(dropped, Event.REDIRECT_DROPPED, stood=redirect.state, reason=reason)


def back(redirect: Redirect, state: State, reason: str, turn: Turn) -> Redirect:
    """An earlier step is due again. It counts as a failure, so that no one can send us in a circle."""
    return _again(replace(redirect, state=state), reason, Event.REDIRECT_RETURNED, turn)


def defer(redirect: Redirect, reason: str, turn: Turn) -> Redirect:
    """The same step is tried again: at once the first time, then ever later, and in the end a human decides."""
    return _again(redirect, reason, Event.REDIRECT_DEFERRED, turn)


def defer_for_a_while(redirect: Redirect, reason: str, turn: Turn) -> Redirect:
    """As `defer`, but never at once: where reads are stale, the same would hit other files, or be done twice."""
    return defer(replace(redirect, attempts=max(redirect.attempts, 1)), reason, turn)


def _again(redirect: Redirect, reason: str, event: Event, turn: Turn) -> Redirect:
    attempts = redirect.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        return hold(replace(redirect, attempts=attempts), f"{reason}; tried {attempts} times", turn)
    due = turn.clock() + backoff(attempts)
    return turn.write(replace(redirect, attempts=attempts, due=due, reason=reason), event, attempts=attempts)


def wait(redirect: Redirect, error: Unavailable | Denied, turn: Turn) -> Redirect:
    """An outage is not this redirect's failure, but the others come before it is tried again."""
    due = turn.clock() + outage(error, OUTAGE_PAUSE)
    return turn.write(replace(redirect, due=due, reason=str(error)), Event.REDIRECT_DEFERRED)
