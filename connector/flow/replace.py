"""The second way to edit a message (`rewrite: replace`): never in place; a copy is edited, and takes its place.

Outlook in cached mode may never show what was edited in place through EWS. So here the steps of `redirect`
and `restore` edit a copy on a *shelf*, a folder of ours that nobody sees. Two more steps swap it in:

    STAGED     place    the copy moves to where the message is
    PLACED     shelve   the message moves onto the shelf
    REPLACED            after `settle`, `prune` deletes what lies on the shelf (or undo does, at once)

A power cut between the two moves shows the message twice, never not at all. Until its end the message itself is whole:
whatever happens before, the copy is thrown away, and the steps begin again with the message as it is then.

What a user does to the message meanwhile is never lost: the journal holds what message and copy looked like, and a
message that looks otherwise takes its place back. A copy that somebody touched once it was visible is never deleted.
After a crash, or an answer that was lost, each is found again: a copy by the shelf or by its marker, the message by
the shelf.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from connector.errors import Conflict, Corrupt, Edited, FileGone, Gone, Rejected
from connector.flow.reactions import back, defer, in_store
from connector.flow.turn import Turn
from connector.log import Event
from connector.model import Copy, File, Item, Redirect, RedirectedFile, State
from connector.sight import alike, likeness, unaccounted, untouched
from connector.spool import CHUNK


def fetch_item(redirect: Redirect, turn: Turn) -> Item:
    """What the steps edit, read afresh: the copy where there is one, or else the item itself.

    Of a shared file only its pointer may be left, and a user may have taken that away too.
    """
    source = turn.watch.source
    if redirect.pointer:
        with suppress(Gone):
            return source.fetch(redirect.pointer)
    return source.fetch(redirect.copy.id if redirect.copy else redirect.item_id)


def begin_copy(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """Copy the item as it is; from here on the steps edit the copy. Raises Gone, Conflict."""
    source = turn.watch.source
    turn.keep_lease()
    # A process that was killed made these, or one that never heard the answer. The item itself is no less.
    if made := [each.id for each in source.shelf(redirect.id) if likeness(each) == likeness(item)]:
        source.purge(made, redirect.id)
    copy = source.fetch(source.stage(item.id, redirect.id))
    if likeness(copy) != likeness(item) or source.fetch(item.id).version != item.version:
        source.purge([copy.id], redirect.id)
        raise Conflict("a copy of the message is not like the message")
    begun = Copy(id=copy.id, version=item.version, original=likeness(item))
    files = tuple(_as_copied(redirect, item, copy, turn))
    return turn.write(replace(redirect, copy=begun, files=files, missed=None, reason=""), Event.REDIRECT_COPY_MADE)


def _as_copied(redirect: Redirect, item: Item, copy: Item, turn: Turn) -> Iterator[RedirectedFile]:
    """The files as the copy has them. Of several that look alike, it is the one with the right bytes.

    Where the original has left the item, what looks like it there is another file, that somebody attached since.
    """
    taken: set[str] = set()
    for each in redirect.files:
        there = untouched(item, each) and not each.inside and not each.gone
        twins = [file for file in alike(copy, each) if file.id not in taken] if there else []
        if len(twins) > 1 and each.stored:
            twins = [file for file in twins if each.stored and sha256_of(copy, file, turn) == each.stored.sha256]
        taken |= {file.id for file in twins[:1]}
        yield replace(each, file=twins[0]) if twins else each


def sha256_of(item: Item, file: File, turn: Turn) -> str:
    """What the bytes of a file are by now; "" where it is not in the item any more."""
    digest = hashlib.sha256()
    try:
        with turn.watch.source.open(item.id, file.id) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except FileGone:
        return ""
    return digest.hexdigest()


def end_copy(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """To STAGED: the copy, as just read, is what the message is to be."""
    assert redirect.copy
    copy = replace(redirect.copy, finished=likeness(item))
    # Before it is seen: the answer to the move may be lost.
    staged = replace(redirect, copy=copy, state=State.STAGED, was_shown=True, missed=None, reason="")
    return turn.write(staged, Event.REDIRECT_STAGED)


def begin_again(redirect: Redirect, state: State, reason: str, turn: Turn) -> Redirect:
    """Back to an earlier step. A copy is thrown away: then it is the one that makes a new one, from the message."""
    if redirect.copy:
        turn.watch.source.purge([redirect.copy.id], redirect.id)
        redirect, state = replace(redirect, copy=None), State.RECALLED if redirect.ended_by else State.LINKED
    return back(redirect, state, reason, turn)


def missed_one(redirect: Redirect, turn: Turn) -> Redirect:
    """The message does not answer under its id, or its copy does not; the next look tells which."""
    if redirect.state in (State.STAGED, State.PLACED):
        return defer(redirect, "the message or its copy was moved at this moment", turn)
    return begin_again(redirect, redirect.state, "the message or its copy is not where it was", turn)


# --- the swap -----------------------------------------------------------------------------------------------------


def place(redirect: Redirect, turn: Turn) -> Redirect:
    """STAGED -> PLACED: the copy moves to where the message is, if nobody has touched the one or the other."""
    assert redirect.copy
    item, copy = _looked_for(redirect.item_id, turn), _looked_for(redirect.copy.id, turn)
    if copy is None and (placed := _placed(redirect, turn)):
        return _end_placing(redirect, placed.id, turn)  # By us: the answer was lost.
    as_they_were = item and copy and _is_untouched(item, redirect) and _is_as_finished(copy, redirect)
    if item is None or copy is None or not (as_they_were and _is_stored(redirect, turn)):
        return begin_again(redirect, redirect.state, "the message, or a stored file, changed after it was copied", turn)
    turn.keep_lease()
    return _end_placing(redirect, turn.watch.source.unshelve(copy.id, item.id), turn)


def shelve(redirect: Redirect, turn: Turn) -> Redirect:
    """PLACED -> REPLACED: the message moves onto the shelf, if nobody has touched it, nor what its links lead to."""
    assert redirect.copy
    source = turn.watch.source
    copy = _looked_for(redirect.copy.id, turn) or _placed(redirect, turn)
    item = _looked_for(redirect.item_id, turn)
    if item is None:
        return _end_shelving(redirect, copy, source.shelf(redirect.id), turn)
    if copy is None:
        return begin_again(redirect, redirect.state, "the copy was deleted as soon as it was visible", turn)
    if _is_untouched(item, redirect) and _is_stored(redirect, turn):
        turn.keep_lease()
        return _end_shelving(redirect, copy, [source.fetch(source.shelve(item.id, redirect.id))], turn)
    if _is_as_finished(copy, redirect):
        copy = _hidden(redirect, copy, item, turn)
    if copy is None:
        changed = "the message, or a stored file, changed while its copy took its place"
        return begin_again(redirect, redirect.state, changed, turn)
    # Somebody touched both: each of them stays, as a message of its own.
    return _takes_place(redirect, copy, None, turn)


def _hidden(redirect: Redirect, copy: Item, item: Item, turn: Turn) -> Item | None:
    """Take the copy out of sight and throw it away; it stays where somebody touches it at this very moment."""
    source = turn.watch.source
    turn.keep_lease()
    hidden = source.fetch(source.shelve(copy.id, redirect.id))
    if not _is_as_finished(hidden, redirect):
        return source.fetch(source.unshelve(hidden.id, item.id))
    source.purge([hidden.id], redirect.id)
    return None


def _end_placing(redirect: Redirect, copy_id: str, turn: Turn) -> Redirect:
    assert redirect.copy
    placed = replace(redirect, copy=replace(redirect.copy, id=copy_id), state=State.PLACED, reason="")
    return turn.write(placed, Event.REDIRECT_PLACED)


def _end_shelving(redirect: Redirect, copy: Item | None, shelf: Sequence[Item], turn: Turn) -> Redirect:
    """The message is not in its place: this is what the shelf has of it."""
    shelf = [each for each in shelf if each.id != redirect.replaced]
    original = next((each for each in shelf if _is_as_copied(each, redirect)), None)
    if original or not shelf or copy is None:
        # Not on the shelf: a user moved or deleted it. The copy stays; what was moved is planned anew.
        return _takes_place(redirect, copy, original, turn)
    # Somebody changed it in the very moment: back to where it was, and the next look decides.
    turn.keep_lease()
    again = turn.watch.source.unshelve(shelf[-1].id, copy.id)
    return defer(replace(redirect, item_id=again), "the message changed while its copy took its place", turn)


def _takes_place(redirect: Redirect, copy: Item | None, shelved: Item | None, turn: Turn) -> Redirect:
    assert redirect.copy
    item_id = copy.id if copy else redirect.copy.id
    taken = replace(redirect, item_id=item_id, copy=None, replaced=shelved.id if shelved else None)
    return end_swap(taken, turn)


def end_swap(redirect: Redirect, turn: Turn) -> Redirect:
    """To REPLACED: the item is the edited one. What it took the place of stays on the shelf for `settle`."""
    wait = timedelta(0) if redirect.ended_by else redirect.settle
    replaced = replace(redirect, state=State.REPLACED, due=turn.clock() + wait, missed=None, reason="")
    return turn.write(replaced, Event.REDIRECT_REPLACED)


def clear_shelf(redirect: Redirect, item: Item, turn: Turn) -> None:
    """Delete what the message took the place of. What the journal does not know goes only if no file goes with it.

    Raises Rejected where one would, and Conflict where the shelf still lists what was deleted.
    """
    shelf = _shelf(redirect, item.internet_message_id, turn)
    if any(unaccounted(each, item, redirect) for each in shelf if each.id != redirect.replaced):
        raise Rejected(
            "a file on the shelf of the message is neither in the message nor in the store; nothing was deleted"
        )
    turn.keep_lease()
    # Also where nothing lies on it: a process that was killed may have left the shelf itself.
    turn.watch.source.purge([each.id for each in shelf], redirect.id)
    if shelf and _shelf(redirect, item.internet_message_id, turn):
        raise Conflict("the mailbox still lists what was deleted from a shelf")


def empty_shelf(redirect: Redirect, turn: Turn) -> None:
    """Delete what lies on the shelf of a redirect that came to nothing, and whose message nobody has any more."""
    shelf = _shelf(redirect, redirect.internet_message_id, turn)
    turn.watch.source.purge([each.id for each in shelf], redirect.id)


def _shelf(redirect: Redirect, internet_message_id: str, turn: Turn) -> tuple[Item, ...]:
    """What lies on the shelf of this very message; whatever else somebody put there is not ours."""
    shelf = turn.watch.source.shelf(redirect.id)
    return tuple(each for each in shelf if each.internet_message_id == internet_message_id)


# --- what is so ---------------------------------------------------------------------------------------------------


def _looked_for(item_id: str, turn: Turn) -> Item | None:
    try:
        return turn.watch.source.fetch(item_id)
    except Gone:
        return None


def _placed(redirect: Redirect, turn: Turn) -> Item | None:
    """The finished copy, where it is now: we, or a user, moved it, and it has another id. It bears our marker."""
    source = turn.watch.source
    others = (each.id for each in source.find(redirect.id) if each.id != redirect.item_id)
    found = (item for item in (_looked_for(item_id, turn) for item_id in others) if item)
    return next((item for item in found if _is_as_finished(item, redirect)), None)


def _is_untouched(item: Item, redirect: Redirect) -> bool:
    """Before it moves; a server may keep the version where only a flag was set."""
    return redirect.copy is not None and item.version == redirect.copy.version and _is_as_copied(item, redirect)


def _is_stored(redirect: Redirect, turn: Turn) -> bool:
    """Whether the store has what the copy shows links to: much time may have passed since the copy was finished."""
    try:
        linked = () if redirect.ended_by else redirect.shown
        return all(each.stored and in_store(turn.watch.store.verify, each.stored) for each in linked)
    except (Corrupt, Edited):
        return False  # The steps that come again tell of it.


def _is_as_copied(item: Item, redirect: Redirect) -> bool:
    return redirect.copy is not None and likeness(item) == redirect.copy.original


def _is_as_finished(item: Item, redirect: Redirect) -> bool:
    return redirect.copy is not None and likeness(item) == redirect.copy.finished
