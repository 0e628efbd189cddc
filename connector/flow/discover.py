"""What is new in a source becomes plans: what the policy wants elsewhere, and what to look at again later."""

import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from connector import names
from connector.errors import ConnectorError, Denied, Gone, PartUnread, Unavailable
from connector.flow.ask import ask, facts, our_marker
from connector.flow.decisions import is_recallable, recall
from connector.flow.turn import LONGEST_BACKOFF, UNAVAILABLE_PAUSE, Turn, Watch, outage
from connector.ledger import LeaseLost, LedgerError, Stale, Taken
from connector.log import Event, log
from connector.marker import Marker
from connector.model import (
    RETURNING,
    SWAPPING,
    Action,
    File,
    FileKind,
    Item,
    PathWord,
    Redirect,
    RedirectedFile,
    SharedFile,
    State,
    Verdict,
)
from connector.pauses import SourcePause
from connector.sight import followed


def discover(turn: Turn) -> None:
    """Plan what is new, page by page; the cursor moves with the plans of its page, in one transaction."""
    _look_again(turn)
    if turn.spent():
        return
    recorded = turn.cursor
    try:
        for page in turn.watch.source.changes(turn.cursor):
            turn.cursor = page.cursor
            if page.items or page.unread:
                turn.keep_lease()
                _record(turn, page.items, unread=page.unread)
                recorded = turn.cursor
            if turn.spent():
                _keep_place(turn, recorded)
                return
    except PartUnread as error:
        # No pass is counted: what is missed elsewhere may lie where nobody could look.
        _keep_place(turn, recorded)
        turn.brake(SourcePause.FOLDERS, Event.FOLDERS_UNREAD, str(error), "PartUnread")
        return
    turn.free(SourcePause.FOLDERS)
    # A turn that finds nothing writes nothing: a pass is counted where something came, or something waits for one.
    if not turn.passes or turn.cursor != recorded or turn.ledger.awaits_pass(turn.watch.name, turn.passes):
        _record(turn, (), complete=True)
        turn.passes += 1


def _keep_place(turn: Turn, recorded: str | None) -> None:
    """Behind pages that held nothing: else the next turn would go through all of them again."""
    if turn.cursor != recorded:
        turn.keep_lease()
        _record(turn, ())


def _look_again(turn: Turn) -> None:
    """Ask the policy once more about items whose time has come."""
    for item_id in turn.ledger.look_again(turn.watch.name, turn.clock()):
        if turn.spent():
            return
        turn.keep_lease()
        try:
            items: tuple[Item, ...] = (turn.watch.source.fetch(item_id),)
        except Gone:
            items = ()
        except Exception as error:  # noqa: BLE001 - `bear` raises what is not the item's
            # First of all it is put off: where its server fails at it every time, all the others still have their turn.
            _record(turn, (), looked=(item_id,), unread=(item_id,), again=LONGEST_BACKOFF)
            if isinstance(error, ConnectorError):  # What else may stand in an error, nobody knows.
                log.warning(Event.MESSAGE_PUT_OFF, source=turn.watch.name, reason=str(error))
            bear(error, turn)
            continue
        _record(turn, items, looked=(item_id,))


def bear(error: Exception, turn: Turn) -> None:
    """An item cannot be read: raise what speaks of its server, and leave it at that where it is the item itself.

    Or where somebody decides about it at this moment, or it is another redirect's.
    """
    if isinstance(error, Unavailable | Denied):
        raise error
    if not isinstance(error, ConnectorError | Stale | Taken):
        log.error(Event.BUG, source=turn.watch.name, exc_info=error)


def _record(
    turn: Turn,
    items: tuple[Item, ...],
    *,
    complete: bool = False,
    looked: tuple[str, ...] = (),
    unread: tuple[str, ...] = (),
    again: timedelta = UNAVAILABLE_PAUSE,
) -> None:
    """`again` says when what could not be read is looked at: soon where it is new, most trouble is over in a minute."""
    new: list[Redirect] = []
    later = dict.fromkeys(unread, turn.clock() + again)
    for item in items:
        redirect, look_again = plan(item, turn, turn.since)
        if redirect:
            new.append(redirect)
        if look_again:
            later[item.id] = look_again
    recorded = turn.ledger.record(
        turn.lease,
        new,
        later,
        cursor=turn.cursor,
        complete=complete,
        looked=looked,
        now=turn.clock(),
        monitored=turn.watch.monitor,
        policy=turn.watch.policy.fingerprint,
    )
    for redirect in recorded:
        tell_if_held(redirect, turn)


def tell_if_held(recorded: Redirect, turn: Turn) -> None:
    """Tell in the log of a redirect that waits for a human from the beginning."""
    if recorded.state is State.HELD:
        # What the rule has found may quote the message.
        turn.tell_end(replace(recorded, reason="a rule wants a human to decide"), Event.REDIRECT_HELD)


def plan(item: Item, turn: Turn, since: datetime | None) -> tuple[Redirect | None, datetime | None]:
    """What is to become of one item, and when to ask again. Nothing, where it was received before `since`."""
    try:
        if not item.marker and turn.watch.policy.restore_when.of(item):
            # A feed may leave out the marker of what has no attachments any more.
            item = turn.watch.source.fetch(item.id)
        ours = genuine(item, turn)
        if ours:
            _recognise(item, ours, turn)
            _give_back(item, ours, turn)
        answer = ask(item, turn.watch, facts(turn.watch, now=turn.clock(), since=since, ours=ours is not None))
    except Gone:
        return None, None
    except Unavailable as error:
        # One attachment that cannot be read must not block the feed: its page is recorded, and it is looked at again.
        log.warning(Event.MESSAGE_PUT_OFF, source=turn.watch.name, reason=str(error))
        return None, turn.clock() + outage(error, UNAVAILABLE_PAUSE)
    except (Denied, LeaseLost, LedgerError):
        raise
    except Exception as error:  # noqa: BLE001 - a message that trips a bug of ours must not keep us from all that came after it
        bear(error, turn)
        return None, turn.clock() + LONGEST_BACKOFF
    if turn.watch.monitor:
        _tell(answer.verdicts, turn)
        return None, None
    _tell_trials(answer.verdicts, turn)
    if kept := sum(verdict.by_owner for verdict in answer.verdicts):
        log.info(Event.PEOPLE_KEPT, source=turn.watch.name, files=kept)
    if answer.wanted and isinstance(item, SharedFile) and turn.ledger.comes_back(turn.watch.name, item.subject):
        # Undo put it there, and a power cut kept it from saying so: it is known for ours a moment later.
        return None, turn.clock() + UNAVAILABLE_PAUSE
    redirect = planned(item, answer.wanted, turn.watch, turn.clock()) if answer.wanted else None
    return redirect, answer.look_again


def _tell(told: tuple[Verdict, ...], turn: Turn) -> None:
    """What enforcing would do with one message, without a word of it."""
    if not told:
        return
    sizes: Counter[str] = Counter()
    for verdict in told:
        sizes[verdict.action] += verdict.file.size
    log.info(
        Event.MESSAGE_MONITORED,
        source=turn.watch.name,
        files=Counter(str(verdict.action) for verdict in told),
        bytes=sizes,
        rules=sorted({verdict.rule for verdict in told}),
    )


def _tell_trials(told: tuple[Verdict, ...], turn: Turn) -> None:
    """What rules on trial would have done with one message."""
    would = Counter(f"{rule}: {action}" for verdict in told for rule, action in verdict.would)
    if would:
        log.info(Event.RULE_MONITORED, source=turn.watch.name, files=would)


def planned(item: Item, wanted: tuple[Verdict, ...], watch: Watch, now: datetime) -> Redirect:
    """The plan for an item. All that the effects will bear is decided here: the random id, and each file's path."""
    redirect_id = _new_id()
    template = next((verdict.destination for verdict in wanted if verdict.destination), watch.path)
    folder = names.folder(template, _words(item, redirect_id, watch))
    paths = names.distinct(_stored_name(verdict.file) for verdict in wanted)
    held = [verdict for verdict in wanted if verdict.action is Action.HOLD]
    retention, outlives = _longest(wanted)
    return Redirect(
        id=redirect_id,
        source=watch.name,
        item_id=item.id,
        internet_message_id=item.internet_message_id,
        folder=folder,
        files=tuple(
            RedirectedFile(
                file=verdict.file,
                path=f"{folder}/{path}",
                # A released hold is redirected: that is what the human decided.
                action=Action.COPY if verdict.action is Action.COPY else Action.REDIRECT,
                rule=verdict.rule,
                terms=verdict.terms,
                tags=verdict.tags,
            )
            for verdict, path in zip(wanted, paths, strict=True)
        ),
        settle=max(verdict.settle for verdict in wanted),
        keep_original=any(verdict.keep_original for verdict in wanted),
        retention=retention,
        outlives=outlives,
        received=item.received,
        created=now,
        due=now,
        state=State.HELD if held else State.PLANNED,
        held_in=State.PLANNED if held else None,
        reason=f"rule {held[0].rule}: {held[0].because}" if held else "",
    )


def _longest(wanted: Sequence[Verdict]) -> tuple[timedelta | None, timedelta | None]:
    """How long the store keeps the files, in both ways to say it: a message says one end for all, the last.

    One that stays for ever keeps the others too.
    """
    if any(each.retention is None and each.outlives is None for each in wanted):
        return None, None
    fixed = max((each.retention for each in wanted if each.retention), default=None)
    return fixed, max((each.outlives for each in wanted if each.outlives), default=None)


def _stored_name(file: File) -> str:
    """Exchange names an attached message by its subject; stored, it is a file that mail programs open."""
    return f"{names.safe_name(file.name)}.eml" if file.kind is FileKind.ITEM else file.name


def _words(item: Item, redirect_id: str, watch: Watch) -> dict[PathWord, str]:
    received = item.received
    return {
        "tenant": watch.tenant,
        "mailbox": watch.source.address,
        "year": f"{received:%Y}" if received else "undated",
        "month": f"{received:%m}" if received else "undated",
        "date": f"{received:%Y-%m-%d}" if received else "undated",
        "sender": item.sender,
        "subject": item.subject,
        "id": redirect_id,
    }


def _new_id() -> str:
    return secrets.token_hex(10)


# --- whose item is it ---------------------------------------------------------------------------------------------


def genuine(item: Item, turn: Turn) -> Marker | None:
    """The marker of an item, if it is ours (`our_marker`). One that somebody forged is told."""
    watch = turn.watch
    found = our_marker(item, watch)
    if item.marker and found is None:
        log.warning(Event.MARKER_FORGED, source=watch.name)
        turn.ledger.note(watch.tenant, Event.MARKER_FORGED, turn.clock(), source=watch.name)
    return found


def _recognise(item: Item, found: Marker, turn: Turn) -> None:
    """An item of ours turns up under an id that we do not know: take up again a redirect that missed it.

    Only one that missed it: as long as the old id answers, this is a copy, and a copy is not a move. Nor is a copy in
    another mailbox, where that id never answers.
    """
    redirect = turn.ledger.redirect(found.redirect_id)
    if redirect is None or redirect.source != turn.watch.name:
        return
    if redirect.item_id == item.id or redirect.missed is None:
        return
    if redirect.ended_by and {redirect.state, redirect.held_in}.isdisjoint(RETURNING | SWAPPING):
        return
    # One that is held and still missed is held for just that: nobody has to let it go on.
    adopt(_revived(redirect) if redirect.state in (State.DROPPED, State.HELD) else redirect, item, turn)


def _give_back(item: Item, found: Marker, turn: Turn) -> None:
    """Whoever it belongs to asks, by a category or a folder, for what was taken out of this very item.

    A copy asks for nothing: as long as the old id answers, the item itself has not moved. The feed may tell of it only
    once, however far the redirect has come by then. What was asked for already, and is held, is a human's.
    """
    policy = turn.watch.policy
    redirect = turn.ledger.redirect(found.redirect_id)
    if turn.watch.monitor or redirect is None or not policy.restore_when.of(item):
        return
    too_late = redirect.ended_by or not (redirect.was_shown and is_recallable(redirect))
    if too_late or not policy.lets_go_back({each.rule for each in redirect.shown}):
        return
    if redirect.source != turn.watch.name:
        log.info(Event.PEOPLE_ELSEWHERE, redirect=redirect.id, source=turn.watch.name)
        return
    if redirect.item_id != item.id:
        with suppress(Gone):
            turn.watch.source.fetch(redirect.item_id)
            return
        redirect = adopt(redirect, item, turn)
    recall(redirect, turn.ledger, turn.clock(), "its owner")
    log.info(Event.PEOPLE_RECALLED, redirect=redirect.id, source=redirect.source)


def _revived(redirect: Redirect) -> Redirect:
    """Take a redirect that was given up again, where it stood."""
    redirect = replace(redirect, state=redirect.held_in or State.PLANNED, held_in=None, reason="", attempts=0)
    if redirect.was_shown:
        return redirect  # The store may have the only copy by now, and it is never swept.
    # Its files may be swept, but nothing was pruned: the originals are in the item.
    return replace(redirect.without_copies(), state=State.PLANNED)


def adopt(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """Follow the item to its new id, with files that have new ids too: by name, size and content id."""
    found = replace(followed(redirect, item), item_id=item.id, pointer=item.pointer)
    adopted = replace(found, missed=None, gone=None, due=turn.clock())
    return turn.write(adopted, Event.REDIRECT_ADOPTED)
