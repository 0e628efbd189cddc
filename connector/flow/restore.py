"""Undo: the table of `connector.flow.redirect` backwards. Every file is in the message again before its notice goes.

RECALLED   put_back   the files go back into the message, and are proved there
RETURNED   withdraw   after `LASTING`: the notice leaves; the body is what it was
RESTORED   such a message is not redirected again

Where a tenant wants no message edited in place, all this happens to a copy, which then takes the place of the message
(`connector.flow.replace`); `swapped` is the last step there.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

from connector.errors import Conflict, Corrupt, Denied, FileGone, Rejected, Unavailable
from connector.flow.manifest import write_manifest
from connector.flow.reactions import UNKNOWN, StoreFailed, defer_for_a_while, hold, in_store
from connector.flow.replace import begin_again, begin_copy, clear_shelf, end_copy, fetch_item, sha256_of
from connector.flow.turn import Turn
from connector.log import Event
from connector.model import File, Item, Redirect, RedirectedFile, State, Stored
from connector.rewrite import standing
from connector.sight import bears_mark, originals, seen_in, untouched, was_shown_in, with_file
from connector.spool import Spool, spooled

#: How long a message must have had its files again before its notice leaves. A server is known that shows for 30 s what
#: it then loses, and whose reads are as much as 30 s late: only after both is a look sure. Where a rule lets originals
#: settle for less, it trusts the servers, and the notice leaves as much sooner.
LASTING = timedelta(minutes=1)


def put_back(redirect: Redirect, turn: Turn) -> Redirect:
    """RECALLED -> RETURNED: every file that is not in the message any more goes back, in its old order.

    One that the message does not take back does not keep the others away from it; a human decides about that one.
    """
    item = fetch_item(redirect, turn)
    if redirect.copy and bears_mark(item, redirect) and not bears_mark(_message(redirect, turn), redirect):
        return begin_again(redirect, State.RECALLED, "nobody has seen the notice yet", turn)
    redirect = seen_in(item, redirect, attempted=True)
    _require_known(item, redirect)
    if turn.watch.replace and not redirect.copy and (bears_mark(item, redirect) or not _are_all_in(item, redirect)):
        return begin_copy(redirect, item, turn)
    refused: list[str] = []
    for each in redirect.leaving:
        if not each.stored or untouched(item, each):
            continue
        turn.keep_lease()
        try:
            item, found = _returned(each, each.stored, item, originals(item, redirect), turn)
        except Rejected as error:
            refused.append(str(error))
            continue
        if found is None:
            return defer_for_a_while(redirect, "the item does not list yet what was put back into it", turn)
        redirect = with_file(redirect, each, replace(each, file=found))
    if refused:
        back = len(redirect.leaving) - len(refused) if not redirect.copy else 0
        told = f"{back} of {len(redirect.leaving)} files are back"
        return hold(redirect, f"{refused[0]}; {told}, and the links go on working", turn)
    due = turn.clock() + min(redirect.settle, LASTING)
    # What came back into a share is another item than the one that had left it.
    item_id = item.id if item.pointer else redirect.item_id
    returned = replace(redirect, state=State.RETURNED, item_id=item_id, due=due, missed=None, reason="")
    # No server puts an attachment in between others: what comes back stands behind what had stayed.
    stayed = len(item.files) - len(redirect.leaving)
    return turn.write(returned, Event.REDIRECT_FILES_RETURNED, files=len(redirect.leaving), behind=max(stayed, 0))


def withdraw(redirect: Redirect, turn: Turn) -> Redirect:
    """RETURNED -> RESTORED: only where a fresh look shows every file in the message."""
    item = fetch_item(redirect, turn)
    if not _are_all_in(item, redirect):
        return begin_again(redirect, State.RECALLED, "a file that was put back is not in the item any more", turn)
    # The marker stays in a copy until the end: it is what the copy is found by, should the power go while it is moved.
    turn.watch.source.retract(item, redirect.id, keep_marker=redirect.copy is not None)
    item = fetch_item(redirect, turn)
    if standing(item.body, redirect.id):
        raise Conflict("the item still shows the notice that was taken out")
    if redirect.copy:
        return end_copy(redirect, item, turn)
    if turn.watch.replace:
        # Nothing had been shown, so nothing was edited; but a process that was killed may have made a copy.
        clear_shelf(redirect, item, turn)
    return _end(redirect, item, turn)


def swapped(redirect: Redirect, turn: Turn) -> Redirect:
    """REPLACED -> RESTORED: what the message took the place of goes, and last the marker, which nobody sees."""
    item = fetch_item(redirect, turn)
    if standing(item.body, redirect.id):
        # It was recalled while its links were on the way in.
        return turn.write(replace(redirect, state=State.RECALLED), Event.REDIRECT_RECALLED)
    clear_shelf(redirect, item, turn)
    turn.watch.source.retract(item, redirect.id)
    return _end(redirect, fetch_item(redirect, turn), turn)


def _end(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    if bears_mark(item, redirect):
        raise Conflict("the item still bears the marker that was taken out")
    if redirect.revoke:
        # Only now: until the files were seen in the message, the links may have been the only way to them.
        in_store(turn.watch.links.revoke, redirect.folder)
    restored = replace(redirect, state=State.RESTORED, pointer="", replaced=None, missed=None, reason="")
    write_manifest(restored, turn)
    return turn.write(restored, Event.REDIRECT_RESTORED)


def _message(redirect: Redirect, turn: Turn) -> Item:
    return turn.watch.source.fetch(redirect.item_id)


def _require_known(item: Item, redirect: Redirect) -> None:
    """Raise Corrupt where the item links to a file of which the ledger does not know the copy: it was taken back."""
    unknown = [each for each in redirect.leaving if each.stored is None and not untouched(item, each)]
    if unknown and was_shown_in(item, redirect):
        raise Corrupt(UNKNOWN)


def _are_all_in(item: Item, redirect: Redirect) -> bool:
    """Whether the item has all that its notice links to: nothing else may lead to it, once that leaves."""
    there, shown = set(originals(item, redirect)), was_shown_in(item, redirect)
    return all(each.file.id in there for each in redirect.leaving if each.stored or shown)


def _returned(
    each: RedirectedFile, stored: Stored, item: Item, there: Collection[str], turn: Turn
) -> tuple[Item, File | None]:
    """Put one file back, unless it is; the item as it is now, and the file in it, found by its bytes.

    Its other properties are as the server keeps them. Raises Rejected where the item does not take it.
    """
    if twin := _twin(each, stored, item, there, turn):
        return item, twin
    with _proved(stored, turn) as content:
        turn.watch.source.put_back(item, each.file, content)
    known = {file.id for file in item.files}
    item = turn.watch.source.fetch(item.pointer or item.id)
    new = (file for file in item.files if file.id not in known)
    return item, next((file for file in new if sha256_of(item, file, turn) == stored.sha256), None)


@contextmanager
def _proved(stored: Stored, turn: Turn) -> Iterator[Spool]:
    """The bytes that were taken out of the message. Raises Corrupt, or Edited, where the store has them no more."""
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(turn.watch.store.original(stored))
            content = opened.enter_context(spooled(stream, most=stored.size))
        except FileGone:
            raise Corrupt("the store does not have a file any more that is to go back into its item") from None
        except (Unavailable, Denied) as error:
            raise StoreFailed(error) from error
        if (content.size, content.sha256) != (stored.size, stored.sha256):
            raise Corrupt("the store has other bytes than those that were taken out of the item")
        yield content


def _twin(each: RedirectedFile, stored: Stored, item: Item, there: Collection[str], turn: Turn) -> File | None:
    """The file in the message that has these bytes under this name: also one that a killed process had put back.

    Not one of those that are `there` for another file: a message may hold the same file twice. One without a content id
    counts too: some servers drop it.
    """
    named = [file for file in item.files if file.name == each.file.name and file.id not in there]
    for content_id in dict.fromkeys((each.file.content_id, "")):
        for file in named:
            if file.content_id == content_id and sha256_of(item, file, turn) == stored.sha256:
                return file
    return None
