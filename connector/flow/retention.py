"""The end of retention: the item says it, then its links end, and then the bytes go, with their trash and versions.

DONE       the sweep finds that the time is over (`expire`), under its brakes
EXPIRED    tell     every copy of the item in its source says what became of the files, in place of their links
TOLD       erase    a fresh look shows no link of ours in any of them; the links end, then the files go
ERASED

Where somebody finds the item again that nobody could tell, or wants files kept on a hold, no further step is taken.

Files may also outlive their message by a time (`retain: {file: message + 30d}`): `outlived` finds those. Nothing is
left to be told then: -> TOLD; and where the message comes back in spite of all, so does the redirect: -> DONE.

A hold on the source stops all of that, and the time of links as well: `let_last`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from connector.errors import Conflict, Gone
from connector.flow.discover import adopt, bear, genuine
from connector.flow.manifest import day, delete_manifests, write_manifest
from connector.flow.reactions import in_store
from connector.flow.replace import fetch_item
from connector.flow.turn import Turn
from connector.ledger import Stale
from connector.log import Event
from connector.model import Item, Message, Notice, Origin, Redirect, State
from connector.rewrite import says_no_more, standing, tombstone
from connector.sight import with_links_until
from connector.stores import Pages

#: A server is known whose reads are 30 s late: only later is a look at what was told sure.
_SURE = timedelta(minutes=1)
#: How often a message that files outlive is looked for: they may end so much later.
_LOOKED_FOR = timedelta(days=7)
#: How long a hold is not asked about again.
_HELD_BACK = timedelta(days=1)
#: On a hold, links that would end so soon last for some weeks from now.
_SOON = timedelta(days=7)
_WEEKS = timedelta(days=30)


def with_end(redirect: Redirect, now: datetime) -> Redirect:
    """The redirect whose time in the store counts from now, unless it does already."""
    if redirect.ends or redirect.retention is None:
        return redirect
    return replace(redirect, ends=now + redirect.retention)


def outlived(turn: Turn) -> tuple[Redirect, ...]:
    """The redirects whose files have outlived their message, and all copies in the source, by as long as they should.

    Of the others, it looks for the message now and then. Gone is only suspected until a full pass over all folders has
    followed: a message that comes in by the feed takes its redirect up again (`connector.flow.discover`).
    """
    ledger, now = turn.ledger, turn.clock()
    over: list[Redirect] = []
    found: list[str] = []
    for each in ledger.outliving(turn.watch.name, now - _LOOKED_FOR):
        if turn.spent():
            break
        if each.gone and now < max(each.gone + (each.outlives or timedelta(0)), each.ends or each.gone):
            continue
        turn.keep_lease()
        with suppress(Stale):  # Somebody decided about it at this moment.
            if there := _sought(each, turn):
                found.append(each.id)
                if there.gone:
                    turn.write(replace(there, gone=None, missed=None), Event.REDIRECT_MESSAGE_BACK)
            elif each.gone is None:
                turn.write(replace(each, gone=now, missed=turn.passes), Event.REDIRECT_MESSAGE_GONE)
            elif each.missed is None or turn.passes > each.missed:
                over.append(each)
    if found:
        ledger.looked_for(turn.lease, found, now)
    return tuple(over)


def _sought(redirect: Redirect, turn: Turn) -> Redirect | None:
    """The redirect, where its item is there, or another with our mark, which it follows; None where none is left.

    What was only copied has no mark. Where it was moved, and has another id by that, the feed told of it as new.
    """
    try:
        fetch_item(redirect, turn)
    except Gone:
        pass
    except Exception as error:  # noqa: BLE001 - `bear` raises what is not the item's
        bear(error, turn)  # It is there, and nobody can read it.
        return redirect
    else:
        return redirect
    copies = (each for each in turn.watch.source.find(redirect.id) if genuine(each, turn))
    copy = next(copies, None)
    return adopt(redirect, copy, turn) if copy else None


def let_last(turn: Turn) -> None:
    """While the source is on hold, none of our links in its messages ends by its time; what is over stays over.

    They last for some weeks, again and again, so that they end by themselves when the hold is lifted.
    First the book and the ledger, of all: where whoever is on hold has left, nobody may get into the mailbox any more.
    """
    watch, now = turn.watch, turn.clock()
    if watch.publisher is None or not watch.on_hold:
        return
    lasting: list[Redirect] = []
    for each in turn.ledger.lapsing(watch.name, now, now + _SOON):
        if turn.spent():
            break
        turn.keep_lease()
        with suppress(Stale):  # Somebody decided about it at this moment; the next turn finds it.
            lasting += _longer(each, watch.publisher, now, turn)
    for each in lasting:
        with suppress(Stale):
            _show_anew(each, now, turn)


def _longer(redirect: Redirect, pages: Pages, now: datetime, turn: Turn) -> tuple[Redirect, ...]:
    """The redirect as it is written down, with links that last longer; none where they do not."""
    origin = Origin(
        redirect=redirect.id, folder=redirect.folder, mailbox=turn.owner, sender="", received=redirect.received
    )
    lasting, until = redirect, now
    for terms, end in {each.terms: each.link.expires for each in redirect.files if each.link}.items():
        if end and now < end <= now + _SOON:
            ending = in_store(pages.outlast, terms, origin, now + _WEEKS)
            if ending.at and ending.at > end:
                lasting, until = with_links_until(lasting, terms, ending.at), ending.at
    return (turn.write(lasting, Event.LINK_EXTENDED, until=until, on_hold=True),) if lasting != redirect else ()


def _show_anew(redirect: Redirect, now: datetime, turn: Turn) -> None:
    """Its message is to tell how long its links last, if it rests, and may be written to now.

    Else it goes on telling an earlier day, as it does where it is gone: a step would drop the redirect then. Nor must
    one begin where other links of it have ended: these are not given out again.
    """
    ends = [each.link.expires for each in redirect.shown if each.link and each.link.expires]
    resting = redirect.state is State.DONE and min(ends, default=now) > now
    closed = turn.watch.monitor or turn.spent() or not turn.unhindered()
    if not resting or closed or turn.full():
        return
    turn.keep_lease()
    if there := _sought(redirect, turn):
        again = replace(there, state=State.STORED, missed=None, attempts=0, due=turn.clock(), reason="")
        turn.write(again, Event.LINK_LASTS)


def expire(redirect: Redirect, turn: Turn) -> Redirect:
    """DONE -> EXPIRED; what no item shows has nobody to be told: -> TOLD.

    A manifest says so first: a ledger that is lost now must not begin to look for these files.
    """
    state = State.EXPIRED if redirect.was_shown and not redirect.outlives else State.TOLD
    expired = replace(redirect, state=state, held_in=None, missed=None, attempts=0, reason="")
    write_manifest(expired, turn)
    return turn.write(replace(expired, due=turn.clock()), Event.REDIRECT_EXPIRED)


def _lives_on(redirect: Redirect, turn: Turn) -> Redirect:
    """Back to where it rested: its message is there again. A newer manifest takes back what one said of the end."""
    state = State.RESTORED if redirect.ended_by else State.DONE
    again = replace(redirect, state=state, gone=None, missed=None, attempts=0, reason="")
    write_manifest(again, turn)
    return turn.write(again, Event.REDIRECT_MESSAGE_BACK)


def tell(redirect: Redirect, turn: Turn) -> Redirect:
    """EXPIRED -> TOLD: the item and all copies of it in its source show a tombstone, seen in freshly read bodies."""
    if turn.watch.on_hold:
        return _held_back(redirect, turn)
    item = fetch_item(redirect, turn)
    if redirect.outlives:
        return _lives_on(redirect, turn)  # Another ledger had found it gone.
    for each in _copies(item, redirect, turn):
        _bury(each, redirect, turn)
    told = replace(redirect, state=State.TOLD, due=turn.clock() + _SURE, missed=None, attempts=0, reason="")
    return turn.write(told, Event.REDIRECT_TOLD)


def erase(redirect: Redirect, turn: Turn) -> Redirect:
    """TOLD -> ERASED: only where no copy of the item shows a link any more. Repeated after a crash, it goes on."""
    if turn.watch.on_hold:
        return _held_back(redirect, turn)
    if redirect.outlives and (there := _sought(redirect, turn)):
        return _lives_on(there, turn)
    if redirect.was_shown and not all(_is_told(each, redirect, turn) for each in _copies(None, redirect, turn)):
        # One came back, out of a recycle bin say, that could not be told.
        return turn.write(replace(redirect, state=State.EXPIRED, due=turn.clock()), Event.REDIRECT_RETURNED)
    delete_stored(redirect, turn)
    if not redirect.ended_by:
        # Those of what a human ended stay: it must not be redirected again, also by a ledger that knows nothing else.
        in_store(delete_manifests, turn.watch.store, redirect.id, day(redirect.created))
    return turn.write(replace(redirect.without_copies(), state=State.ERASED), Event.REDIRECT_ERASED)


def delete_stored(redirect: Redirect, turn: Turn) -> None:
    """End the links of a redirect, then delete the files that the store has of it; absent counts as deleted.

    Its manifests are the caller's, and go last: until then they tell a ledger that was lost what is left to do.
    """
    watch = turn.watch
    in_store(watch.links.revoke, redirect.folder)
    original = (redirect.original.path,) if redirect.original else ()
    for path in (*(each.path for each in redirect.files), *original):
        turn.keep_lease()
        in_store(watch.store.erase, path)
    in_store(watch.store.erase, redirect.folder)


def _held_back(redirect: Redirect, turn: Turn) -> Redirect:
    waiting = replace(redirect, due=turn.clock() + _HELD_BACK, reason="its source is on hold, which stops retention")
    return turn.write(waiting, Event.REDIRECT_DEFERRED)


def _copies(item: Item | None, redirect: Redirect, turn: Turn) -> Iterator[Item]:
    """The item, where it shows a notice or bears our mark, and all others of the source that bear it, read afresh.

    Others are those that people copied. A message that was restored shows nothing any more.
    """
    known = set()
    if item:
        known.add(item.pointer or item.id)
        if genuine(item, turn) or standing(item.body, redirect.id):
            yield item
    for found in turn.watch.source.find(redirect.id):
        if (found.pointer or found.id) not in known and genuine(found, turn):
            with suppress(Gone):
                yield turn.watch.source.fetch(found.pointer or found.id)


def _bury(item: Item, redirect: Redirect, turn: Turn) -> None:
    if _is_told(item, redirect, turn):
        return
    turn.keep_lease()
    turn.watch.source.rewrite(item, _tombstone(item, redirect, turn))
    if not _is_told(turn.watch.source.fetch(item.pointer or item.id), redirect, turn):
        raise Conflict("the item does not say yet what became of its files")


def _is_told(item: Item, redirect: Redirect, turn: Turn) -> bool:
    wanted = _tombstone(item, redirect, turn)
    if isinstance(item, Message):
        return says_no_more(item.body, wanted)
    # A pointer says it by its name.
    return item.body is not None and wanted.ended in item.body.content


def _tombstone(item: Item, redirect: Redirect, turn: Turn) -> Notice:
    marked = turn.marker(redirect.id, item.internet_message_id)
    return tombstone(redirect, turn.watch.wording_of(redirect), marker=marked)
