"""Before anything of a source is linked: its people, and nobody else, can read what the store has of it.

A mailbox of which the store knows nobody is left alone, and named: to whom it belongs is never guessed.
"""

from connector.errors import Denied, Exhausted, Rejected, Unavailable
from connector.log import Event, log
from connector.reactions import StoreFailed, in_store
from connector.turn import LONGEST_BACKOFF, Turn, Watch, outage, shares, unread


def require_admission(turn: Turn) -> bool:
    """Brake the source while its people cannot read its files. False where nobody is known who could.

    Where the store only lets nobody in for now, files go on being copied; its links come later.
    """
    watch = turn.watch
    if watch.home and watch.housemate:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is redirected: {_shared_with(watch)}", "Unread")
        return False
    if not watch.home or in_store(watch.store.admits, watch.home, watch.source.address):
        turn.free(unread(watch.name))
        return True
    try:
        reason = _admit(turn)
    except Rejected as error:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is redirected: {error}", "Unread")
        return False
    if reason:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is linked yet: {reason}", "Exhausted")
    else:
        turn.free(unread(watch.name))
    return True


def _shared_with(watch: Watch) -> str:
    return (
        f"the files of {watch.source.address} would lie in one folder with those of {watch.housemate}, and be open to"
        " its people: exclude one of them, or give it another name"
    )


def _admit(turn: Turn) -> str:
    """Why its people cannot be let in for now; "" where they are. Raises Rejected."""
    watch, now = turn.watch, turn.clock()
    if standing := turn.ledger.paused(shares(watch.tenant), now):
        return standing.reason
    try:
        watch.store.admit(watch.home, watch.source.address)
    except Exhausted as error:
        # In the ledger, for all mailboxes of the tenant: attempts count, also those that fail.
        until = now + outage(error, LONGEST_BACKOFF)
        log.info(Event.SHARES_EXHAUSTED, tenant=watch.tenant, until=until.isoformat(), reason=str(error))
        turn.ledger.pause(
            shares(watch.tenant), until=until, reason=str(error), error="Exhausted", now=now, tenant=watch.tenant
        )
        return str(error)
    except (Unavailable, Denied) as error:
        raise StoreFailed(error) from error
    return ""
