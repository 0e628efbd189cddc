"""Items from before first contact, where somebody wants them too (`connector backfill`): by the same policy.

First the feed is listed once more, from its beginning and with a cursor of its own; then the policy is asked about one
item after the other, the newest or the biggest first, at a pace and at given hours. All of it is in the ledger, so that
a crash costs nothing, and none of it happens while anything new is due.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connector.errors import Gone, PartUnread
from connector.flow.discover import bear, plan, tell_if_held
from connector.flow.turn import LONGEST_BACKOFF, Turn
from connector.guards import received_after
from connector.ledger import Backfill, Ledger, Waiting
from connector.log import Event, log, tell
from connector.model import Item

#: Of one source in one turn: new mail waits for no more.
AT_ONCE = 20
#: After a break, so much of the pace that was missed is made up for at the most.
CATCH_UP = timedelta(minutes=5)
#: So long after a server failed at some folders, they are listed again: once the others are done.
LIST_AGAIN = timedelta(hours=1)
#: Stands in the backlog for what lies in those folders. No item has this id.
_UNLISTED = Waiting(item_id="", received=None, size=0)


def backfill(turn: Turn) -> bool:
    """Go on with what is wanted of the source, if its time is now. Whether anything was planned."""
    wanted = turn.ledger.backfill(turn.watch.name)
    if wanted is None or not _may_go_on(wanted, turn):
        return False
    if not wanted.listed:
        wanted = _list(wanted, turn)
    return wanted.listed and _plan_some(wanted, turn)


def _may_go_on(wanted: Backfill, turn: Turn) -> bool:
    now = turn.clock()
    if wanted.paused or not wanted.is_open(now.astimezone().hour) or turn.store_paused() or turn.spent():
        return False
    # Where new mail may not go all the way, old mail does not even begin.
    return turn.unhindered() and not turn.ledger.due(turn.watch.name, now, limit=1)


def _list(wanted: Backfill, turn: Turn) -> Backfill:
    """All items that are older than first contact, page by page; the cursor moves with what its page has of them."""
    unlisted: tuple[Waiting, ...] = ()
    try:
        for page in turn.watch.source.changes(wanted.cursor):
            turn.keep_lease()
            wanted = replace(wanted, cursor=page.cursor)
            found = [_waiting(item) for item in page.items if _is_meant(item, wanted, turn)]
            found += [Waiting(item_id=item_id, received=None, size=0) for item_id in page.unread]
            turn.ledger.list_backlog(turn.lease, wanted, found, turn.clock())
            if turn.spent():
                return wanted
    except PartUnread as error:
        tell(Event.FOLDERS_UNREAD, source=turn.watch.name, reason=str(error))
        unlisted = (_UNLISTED,)
    wanted = replace(wanted, listed=True)
    turn.ledger.list_backlog(turn.lease, wanted, unlisted, turn.clock() + LIST_AGAIN)
    items, size = turn.ledger.left_in_backlog(turn.watch.name)
    log.info(Event.BACKFILL_LISTED, source=turn.watch.name, items=items, bytes=size)
    return wanted


def _is_meant(item: Item, wanted: Backfill, turn: Turn) -> bool:
    if not item.files or received_after(item, turn.since):
        return False
    return wanted.since is None or received_after(item, wanted.since)


def _waiting(item: Item) -> Waiting:
    return Waiting(item_id=item.id, received=item.received, size=sum(file.size for file in item.files))


def _plan_some(wanted: Backfill, turn: Turn) -> bool:
    """Ask the policy about as many items as the pace allows by now."""
    planned = False
    step = timedelta(hours=1) / wanted.per_hour
    next_at = max(wanted.next, turn.clock() - CATCH_UP)
    for _ in range(AT_ONCE):
        now = turn.clock()
        waiting = turn.ledger.next_in_backlog(wanted, now)
        if waiting is None or next_at > now or turn.spent() or turn.full():
            break
        turn.keep_lease()
        next_at += step
        item, trouble = _read(waiting, wanted, turn)
        redirect, again = plan(item, turn, wanted.since) if item else (None, None)
        if trouble:
            # Where its server fails at it every time, all the others still have their turn.
            again = turn.clock() + LONGEST_BACKOFF
        recorded = turn.ledger.record_backfilled(
            turn.lease,
            waiting,
            redirect,
            again=again,
            next_at=next_at,
            now=turn.clock(),
            policy=turn.watch.policy.fingerprint,
        )
        if recorded:
            tell_if_held(recorded, turn)
        planned = planned or redirect is not None
        if trouble:
            bear(trouble, turn)
    return planned


def _read(waiting: Waiting, wanted: Backfill, turn: Turn) -> tuple[Item | None, Exception | None]:
    """The item, or why it cannot be read; neither where it has to be listed once more."""
    try:
        if waiting != _UNLISTED:
            return turn.watch.source.fetch(waiting.item_id), None
    except Gone:
        pass  # Moved or deleted: where it was moved, the feed tells of it under another id.
    except Exception as error:  # noqa: BLE001 - `bear` raises what is not the item's
        return None, error
    turn.ledger.list_backlog(turn.lease, replace(wanted, listed=False), (), turn.clock())
    return None, None


# --- what operators want ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hours:
    """From this hour to that one, by the clock of the machine; the same twice: at any."""

    begin: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How somebody wants it."""

    biggest: bool = False
    since: datetime | None = None
    hours: Hours = Hours(0, 0)
    per_hour: int = 1200


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far it is with one source."""

    source: str
    state: str
    done: int
    done_bytes: int
    left: int
    left_bytes: int
    #: When nothing will be left, at the earliest; None where nobody knows.
    ready: datetime | None


def want(wish: Wish, address: str | None, ledger: Ledger, now: datetime, by: str) -> None:
    """Want what is older than first contact: of this source, or of all. Wanted again, it goes on in the new way.

    Then what the feed tells since it was listed is listed too.

    Raises ValueError where the ledger knows no such source.
    """
    for name in _sources(address, ledger):
        new = Backfill(
            source=name,
            biggest=wish.biggest,
            since=wish.since,
            from_hour=wish.hours.begin,
            to_hour=wish.hours.end,
            per_hour=wish.per_hour,
            next=now - CATCH_UP,
        )
        known = ledger.backfill(name)
        if known and not _reaches_back(new, known):
            new = replace(new, cursor=known.cursor, done=known.done, done_bytes=known.done_bytes)
        ledger.want_backfill(new, Event.BACKFILL_WANTED, now, by=by)


def _reaches_back(new: Backfill, known: Backfill) -> bool:
    """Whether it goes further back than what was listed until now."""
    return known.since is not None and (new.since is None or new.since < known.since)


def leave(address: str | None, ledger: Ledger, now: datetime, by: str, *, paused: bool) -> None:
    """Leave it for now, or go on with it. Raises ValueError where nothing is wanted."""
    wanted = [each for each in map(ledger.backfill, _sources(address, ledger)) if each]
    if not wanted:
        raise ValueError("no backfill is wanted there: call `connector backfill` first")
    event = Event.BACKFILL_PAUSED if paused else Event.BACKFILL_RESUMED
    for each in wanted:
        ledger.want_backfill(replace(each, paused=paused), event, now, by=by)


def progress(address: str | None, ledger: Ledger, now: datetime) -> Iterator[Progress]:
    """How far it is, with each source of which it is wanted; or with this one. Raises ValueError: see `want`."""
    meant = _sources(address, ledger) if address else None
    addresses = {each.name: each.address for each in ledger.watched()}
    for each in (one for one in ledger.backfills() if meant is None or one.source in meant):
        items, size = ledger.left_in_backlog(each.source)
        yield Progress(
            source=addresses[each.source],
            state=_state(each, items),
            done=each.done,
            done_bytes=each.done_bytes,
            left=items,
            left_bytes=size,
            ready=_ready(each, items, now),
        )


def _state(of: Backfill, items: int) -> str:
    if of.paused:
        return "paused"
    if not of.listed:
        return "being listed"
    return "under way" if items else "done"


def _ready(of: Backfill, items: int, now: datetime) -> datetime | None:
    if of.paused or not of.listed:
        return None
    return now + timedelta(hours=items / of.per_hour) * (24 / of.hours)


def _sources(address: str | None, ledger: Ledger) -> tuple[str, ...]:
    found = tuple(each.name for each in ledger.watched() if address is None or each.address.lower() == address.lower())
    if not found:
        raise ValueError("the ledger knows no such source; `connector status` names those that were looked at")
    return found
