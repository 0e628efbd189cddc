"""What people decide about redirects. Asks the ledger only: it works while every server is down."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from connector.ledger import Ledger, Stale
from connector.log import Event
from connector.model import Redirect, State


def release(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """Let a held redirect go on where it stood. Raises ValueError where it is not held."""
    if redirect.state is not State.HELD or redirect.held_in is None:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    released = replace(redirect, state=redirect.held_in, held_in=None, reason="", attempts=0, due=now)
    return ledger.write(released, Event.REDIRECT_RELEASED, now, by=by)


def drop(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """End a held redirect: the message stays as it is, for ever. Raises ValueError where it is not held."""
    if redirect.state is not State.HELD:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    dropped = replace(redirect, state=State.DROPPED, reason="dropped by an operator", dropped_by=by)
    return ledger.write(dropped, Event.REDIRECT_DROPPED, now, by=by)


def backed_up(ledger: Ledger, begun: datetime, now: datetime, by: str) -> int:
    """A backup of the store has ended well that began at `begun`: what was proved before need not settle any longer.

    Returns for how many redirects. Repeated: for none.
    """
    settled = 0
    for waiting in ledger.redirects(state=State.STORED):
        if waiting.proved and waiting.proved < begun and waiting.due > now:
            with suppress(Stale):  # A daemon was faster.
                ledger.write(replace(waiting, due=now), Event.REDIRECT_SETTLED, now, by=by)
                settled += 1
    return settled
