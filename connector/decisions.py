"""What people decide about redirects. Asks the ledger only: it works while every server is down."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from connector.ledger import Ledger, Stale
from connector.log import Event
from connector.model import Redirect, State

#: Whatever has begun and is not on its way back already.
_RECALLABLE = frozenset(State) - {State.DROPPED, State.RECALLED, State.RETURNED, State.RESTORED}


def release(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """Let a held redirect go on where it stood, or a restored one begin again.

    Raises ValueError where it is neither.
    """
    state = State.STORED if redirect.state is State.RESTORED else redirect.held_in
    if redirect.state not in (State.HELD, State.RESTORED) or state is None:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    released = replace(redirect, state=state, held_in=None, reason="", attempts=0, due=now, ended_by="")
    return ledger.write(released, Event.REDIRECT_RELEASED, now, by=by)


def recall(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """Want the files of a message back in it, however far its redirect has come; `connector.restore` does it.

    Raises ValueError where nothing of it can go back, or already has.
    """
    if redirect.state not in _RECALLABLE:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}: there is nothing to put back")
    recalled = replace(
        redirect, state=State.RECALLED, held_in=None, reason="", attempts=0, due=now, missed=None, ended_by=by
    )
    return ledger.write(recalled, Event.REDIRECT_RECALLED, now, stood=redirect.state, by=by)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which redirects somebody means: those for which all holds that is said."""

    #: A Message-ID, or the id of a redirect.
    message: str | None = None
    #: The address of the mailbox.
    mailbox: str | None = None
    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def restore(wanted: Wanted, ledger: Ledger, now: datetime, by: str) -> tuple[int, int]:
    """Recall all redirects that are wanted. Returns how many files go back, and their bytes. Repeated: none."""
    files = size = 0
    addresses = {each.name: each.address for each in ledger.watched()}
    for redirect in ledger.redirects():
        if _is_wanted(redirect, wanted, addresses[redirect.source]) and redirect.state in _RECALLABLE:
            with suppress(Stale):  # A daemon was faster; the next call finds it.
                recall(redirect, ledger, now, by)
                stored = [each.stored for each in redirect.shown if each.stored]
                files += len(stored)
                size += sum(each.size for each in stored)
    return files, size


def _is_wanted(redirect: Redirect, wanted: Wanted, mailbox: str) -> bool:
    return (
        wanted.message in (None, redirect.id, redirect.internet_message_id)
        and wanted.mailbox in (None, mailbox)
        and (wanted.rule is None or wanted.rule in {each.rule for each in redirect.files})
        and (wanted.since is None or wanted.since <= redirect.created)
        and (wanted.until is None or redirect.created <= wanted.until)
    )


def drop(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """End a held redirect: the message stays as it is, for ever. Raises ValueError where it is not held."""
    if redirect.state is not State.HELD:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    dropped = replace(redirect, state=State.DROPPED, reason="dropped by an operator", ended_by=by)
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
