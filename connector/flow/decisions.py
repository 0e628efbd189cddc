"""What people decide about redirects. Asks the ledger only: it works while every server is down."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connector.ledger import FOR_EVER, Ledger, Stale
from connector.log import Event
from connector.model import SWAPPING, Redirect, State
from connector.pauses import TenantPause
from connector.watching.account import give_account

#: Whatever has begun, is not on its way back already, and of which the store has deleted nothing.
_RECALLABLE = frozenset(State) - {
    *(State.DROPPED, State.RECALLED, State.RETURNED, State.RESTORED, State.TOLD, State.ERASED),
}
#: A copy is about to take the place of the message: it does, and goes back then.
_ABOUT_TO = SWAPPING - {State.REPLACED}


def release(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """Let a held redirect go on where it stood, or a restored one begin again.

    Raises ValueError where it is neither.
    """
    # From the start, although the files are stored: that writes the manifest which outdoes the one of the restored.
    state = State.PLANNED if redirect.state is State.RESTORED else redirect.held_in
    if redirect.state not in (State.HELD, State.RESTORED) or state is None:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    released = replace(redirect, state=state, held_in=None, reason="", attempts=0, due=now, missed=None)
    if redirect.state is State.RESTORED:
        released = replace(released, ended_by="", revoke=False, ends=None)
    return ledger.write(released, Event.REDIRECT_RELEASED, now, by=by)


def tenants_meant(name: str | None, known: Collection[str]) -> tuple[str, ...]:
    """This tenant, or all that are known. Raises ValueError where it is none of them, or there is none."""
    if not known:
        raise ValueError("no tenant is configured, and none was ever served")
    if name is not None and name not in known:
        raise ValueError(f"there is no tenant {name}; there are: {', '.join(sorted(known))}")
    return tuple(sorted(known)) if name is None else (name,)


def stop(tenants: Collection[str], ledger: Ledger, now: datetime, by: str, *, reason: str) -> None:
    """Do nothing for these tenants until somebody lets them `go_on`, also after a restart: no new step begins."""
    for tenant in tenants:
        name, said = TenantPause.STOP.of(tenant), f"{by}: {reason}"
        ledger.pause(name, until=FOR_EVER, reason=said, error="Stopped", now=now, tenant=tenant)
        ledger.note(tenant, Event.TENANT_STOPPED, now, by=by, reason=reason)


def go_on(tenants: Collection[str], ledger: Ledger, now: datetime, by: str) -> tuple[str, ...]:
    """Go on for those of these tenants that were stopped; which."""
    resumed = tuple(each for each in tenants if ledger.resume(TenantPause.STOP.of(each)))
    for tenant in resumed:
        ledger.note(tenant, Event.TENANT_RESUMED, now, by=by)
    return resumed


def recall(
    redirect: Redirect,
    ledger: Ledger,
    now: datetime,
    by: str,
    *,
    due: datetime | None = None,
    revoke: bool = False,
) -> Redirect:
    """Want the files of a message back in it, however far its redirect has come; `connector.flow.restore` does it.

    From `due` on, or at once. `revoke`: its links are to open nothing afterwards.
    Raises ValueError where nothing of it can go back, or already has.
    """
    if not is_recallable(redirect):
        raise ValueError(f"redirect {redirect.id} is {redirect.state}: there is nothing to put back")
    stood = redirect.held_in or redirect.state
    recalled = replace(
        redirect,
        state=stood if stood in _ABOUT_TO else State.RECALLED,
        held_in=None,
        reason="",
        attempts=0,
        due=due or now,
        missed=None,
        ended_by=by,
        revoke=revoke,
    )
    return ledger.write(recalled, Event.REDIRECT_RECALLED, now, stood=redirect.state, by=by)


def is_recallable(redirect: Redirect) -> bool:
    """Whether anything of it can go back, and is not on its way already."""
    is_on_its_way = redirect.ended_by and redirect.state in SWAPPING
    return redirect.state in _RECALLABLE and not is_on_its_way


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


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast many messages go back into one mailbox. New mail must not wait behind all of them."""

    at_once: int = 100
    per_hour: int = 1200

    def due(self, place: int, now: datetime) -> datetime:
        """When the turn of a message comes that so many others of its mailbox go before."""
        return now + max(0, place - self.at_once + 1) * (timedelta(hours=1) / self.per_hour)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What goes back, and when the turn of the last message comes, at the earliest."""

    messages: int
    files: int
    bytes: int
    ready: datetime


def meant(wanted: Wanted, ledger: Ledger) -> list[Redirect]:
    """The redirects that are wanted. Raises ValueError where something is named and there is nothing of the kind."""
    addresses = {each.name: each.address for each in ledger.watched()}
    found = [each for each in ledger.redirects() if _is_wanted(each, wanted, addresses[each.source])]
    if not found and wanted != Wanted():
        raise ValueError(
            "the ledger knows no redirect for which all that holds; `connector status` names its mailboxes"
        )
    return found


def restore(
    wanted: Wanted, ledger: Ledger, now: datetime, by: str, *, pace: Pace = Pace(), revoke: bool = False
) -> Recalled:
    """Recall all redirects that are wanted. Repeated: none, whatever has become of them.

    Raises ValueError where something is named and the ledger has nothing of the kind.
    """
    places: Counter[str] = Counter()
    recalled = Recalled(0, 0, 0, now)
    for redirect in meant(wanted, ledger):
        if is_recallable(redirect):
            due = pace.due(places[redirect.source], now)
            with suppress(Stale):  # A daemon was faster; the next call finds it.
                recall(redirect, ledger, now, by, due=due, revoke=revoke)
                places[redirect.source] += 1
                recalled = _and(recalled, redirect, due)
    return recalled


def _and(recalled: Recalled, redirect: Redirect, due: datetime) -> Recalled:
    stored = [each.stored for each in redirect.leaving if each.stored]
    return Recalled(
        messages=recalled.messages + 1,
        files=recalled.files + len(stored),
        bytes=recalled.bytes + sum(each.size for each in stored),
        ready=max(recalled.ready, due),
    )


def _is_wanted(redirect: Redirect, wanted: Wanted, mailbox: str) -> bool:
    return (
        wanted.message in (None, redirect.id, redirect.internet_message_id)
        and (wanted.mailbox is None or wanted.mailbox.lower() == mailbox.lower())
        and (wanted.rule is None or wanted.rule in {each.rule for each in redirect.files})
        and (wanted.since is None or wanted.since <= redirect.created)
        and (wanted.until is None or redirect.created <= wanted.until)
    )


def drop(redirect: Redirect, ledger: Ledger, now: datetime, by: str) -> Redirect:
    """End a held redirect: the message stays as it is, for ever. Raises ValueError where it is not held."""
    if redirect.state is not State.HELD:
        raise ValueError(f"redirect {redirect.id} is {redirect.state}, not held")
    dropped = replace(redirect, state=State.DROPPED, reason="dropped by an operator", missed=None, ended_by=by)
    written = ledger.write(dropped, Event.REDIRECT_DROPPED, now, by=by)
    tenant = next(each.tenant for each in ledger.watched() if each.name == redirect.source)
    give_account(written, Event.REDIRECT_DROPPED, ledger, now, tenant, named=False)
    return written


def backed_up(ledger: Ledger, begun: datetime, now: datetime, by: str, tenant: str | None = None) -> int:
    """A backup of the store has ended well that began at `begun`: what was proved before need not settle any longer.

    Returns for how many redirects. Repeated: for none. Raises ValueError where no tenant is named and there are more.
    """
    watched = ledger.watched()
    served = {each.tenant for each in watched}
    if tenant is None and len(served) > 1:
        raise ValueError(f"each tenant has a store of its own: name one of {', '.join(sorted(served))} behind the time")
    of = {each.name for each in watched if tenant in (None, each.tenant)}
    settled = 0
    for waiting in ledger.redirects(state=State.STORED):
        if waiting.source in of and waiting.proved and waiting.proved < begun and waiting.due > now:
            with suppress(Stale):  # A daemon was faster.
                ledger.write(replace(waiting, due=now), Event.REDIRECT_SETTLED, now, by=by)
                settled += 1
    return settled
