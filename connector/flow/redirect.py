"""The main flow: what is new becomes a plan, and every plan is taken step by step until its item shows links.

    PLANNED    copy      bytes into the store, under a new path, proved there
    STORED     share     after `settle`: a link for each file
    LINKED     rewrite   the item shows the links
    REWRITTEN  prune     the originals go, as far as a fresh look at the item and the store allows
    DONE | DROPPED (nothing needed any more; deletes nothing) | HELD (a human decides)

Undo is the same table backwards, and stands in `restore`; what follows on the end of a retention stands in `retention`.
Where a tenant wants no message edited in place, the last two steps edit a copy, which then takes the place of the
message: `replace`.

Bytes are proved in the store before a link exists; a link exists before the item shows it; the item shows it before the
original goes. Any prefix of that sequence is safe, so any crash is. Recovery is not a mode: it is the next tick.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from connector.content.unpack import Found, NotUnpacked, unpacked
from connector.errors import Conflict, Corrupt, Denied, Edited, Exhausted, FileGone, Gone, Rejected, Unavailable
from connector.flow.admission import require_admission
from connector.flow.ask import ask, facts, our_marker
from connector.flow.backfill import backfill
from connector.flow.discover import discover
from connector.flow.letters import tell_passwords, tell_people
from connector.flow.manifest import original_path, write_manifest
from connector.flow.proofs import require_proofs
from connector.flow.reactions import (
    UNKNOWN,
    StoreFailed,
    back,
    defer,
    defer_for_a_while,
    drop,
    hold,
    in_store,
    missed,
    sharing,
    wait,
)
from connector.flow.replace import (
    begin_again,
    begin_copy,
    clear_shelf,
    end_copy,
    end_swap,
    fetch_item,
    missed_one,
    place,
    shelve,
)
from connector.flow.restore import put_back, swapped, withdraw
from connector.flow.retention import erase, let_last, tell, with_end
from connector.flow.timekeeping import ClockInDoubt, believed, compare, put_brake_on
from connector.flow.turn import Clock, Turn, Watch, take_turn
from connector.guards import is_tnef
from connector.ledger import LeaseLost, Ledger, LedgerError, Stale, Taken
from connector.log import Event, about, blaming, log
from connector.model import (
    Action,
    Audience,
    File,
    FileKind,
    Item,
    Link,
    LinkTerms,
    Notice,
    Origin,
    Redirect,
    RedirectedFile,
    State,
    Stored,
    Verdict,
)
from connector.names import distinct
from connector.pauses import TenantPause
from connector.rewrite import notice, shows, tells_other_days
from connector.sight import bears_mark, needless, originals, read_anew, seen_in, untouched, was_shown_in, with_file
from connector.spool import Spool, spooled
from connector.watching import counters


def tick(watch: Watch, ledger: Ledger, clock: Clock, owner: str, stopping: Callable[[], bool] = bool) -> bool:
    """One turn for one source. False where it came to nothing.

    That is where the source is paused by now, another process has it, nobody could read its files, or the clock is in
    doubt.

    Where `stopping` turns true, the current effect finishes and no new step begins.

    May be killed at any moment: the next tick goes on from what the ledger, the item and the store say.
    A turn that finds nothing writes nothing: where nobody had something to do, nobody needs to know after a crash.
    Raises Unavailable or Denied where the source does not even tell its key, and LeaseLost where it took too long, or
    another process was faster.
    """
    with take_turn(watch, ledger, clock, owner, stopping) as ours:
        if ours is None:
            return False
        admitted = True
        try:
            doubted = TenantPause.CLOCK.of(watch.tenant) in ours.pauses.standing
            if not in_store(believed, watch.tenant, watch.store, ledger, clock(), doubted=doubted):
                return False
            let_last(ours)
            admitted = watch.monitor or require_admission(ours)
            if admitted:
                discover(ours)
                ours.answered()
            if not watch.monitor:
                _advance_all(ours)
                # New mail goes first: only when nothing of it is due.
                if admitted and backfill(ours):
                    _advance_all(ours)
                tell_people(ours)
        except (Unavailable, Denied) as error:
            ours.pause(watch.name, error)
            return False
        except StoreFailed as failed:
            ours.pause(watch.store_name, failed.error)
        except ClockInDoubt as doubt:
            put_brake_on(watch.tenant, str(doubt), ledger, clock())
        return admitted


def _advance_all(turn: Turn) -> None:
    if turn.store_paused():
        return
    turn.started = turn.clock()  # A long discovery must not use up the time of what is due already.
    require_proofs(turn)
    for redirect in turn.ledger.due(turn.watch.name, turn.clock(), states=turn.may(going_back=True)):
        if turn.spent():
            return
        advance(redirect, turn)


def advance(redirect: Redirect, turn: Turn) -> None:
    """Take a redirect as far as it goes now: to an end, to a time that has not come, or into trouble."""
    with about(redirect=redirect.id):
        while redirect.state in STEPS and redirect.due <= turn.clock() and not turn.stopping():
            if not _may_go_on(redirect, turn):
                return
            turn.keep_lease()
            try:
                redirect = _step(redirect, turn)
            except Stale:
                # A human decided about it meanwhile. The next tick reads it anew.
                return


def _may_go_on(redirect: Redirect, turn: Turn) -> bool:
    """Whether nothing stands in the way of its next step; a full mailbox is in the way of all but the copy."""
    allowed = turn.allowed(going_back=bool(redirect.ended_by))
    if redirect.state not in allowed or turn.store_paused():
        return False
    return redirect.state is State.PLANNED or not turn.full()


def _step(redirect: Redirect, turn: Turn) -> Redirect:
    """One step, and for each way in which it fails the one reaction that `connector.errors` names."""
    try:
        with counters.failures(turn.watch.tenant):
            return _taken(redirect, turn)
    except (Rejected, Corrupt) as error:
        with blaming(error):
            return hold(redirect, str(error), turn)
    except (Conflict, Gone, FileGone) as error:
        return defer(redirect, str(error), turn)
    except Exhausted as error:
        return wait(redirect, error, turn)
    except (Unavailable, Denied) as error:
        wait(redirect, error, turn)
        raise
    except StoreFailed as failed:
        wait(redirect, failed.error, turn)
        raise
    except Taken:
        return drop(redirect, "its file is another redirect's by now", turn)
    except (LeaseLost, Stale, LedgerError, ClockInDoubt):
        raise
    except Exception as error:  # noqa: BLE001 - a bug must not stop the others: it is told, and held in the end
        log.exception(Event.BUG, redirect=redirect.id, state=redirect.state)
        return defer(redirect, f"a bug in connector: {type(error).__name__}", turn)


def _taken(redirect: Redirect, turn: Turn) -> Redirect:
    """After its step; or after a search where its item does not answer, which may fail as a step does."""
    try:
        return STEPS[redirect.state](redirect, turn)
    except Gone:
        return missed_one(redirect, turn) if redirect.copy else missed(redirect, turn)


# --- the four steps -----------------------------------------------------------------------------------------------


def copy(redirect: Redirect, turn: Turn) -> Redirect:
    """PLANNED -> STORED: every file into the store, proved there, and a manifest beside them."""
    if redirect.keep_original and redirect.original is None:
        redirect = _keep_original(redirect, turn)
    for each in redirect.attached:
        if _unproved(redirect, each):
            turn.keep_lease()
            redirect = _copy_file(redirect, each, turn)
    if not redirect.live:
        return drop(redirect, "every file was taken out of the item, or stays in it as it is", turn)
    now = turn.clock()
    redirect = replace(redirect, proved=now, due=now + redirect.settle, missed=None, reason="")
    write_manifest(redirect, turn)
    if not redirect.shown:
        return _only_copied(redirect, turn)
    return turn.write(replace(redirect, state=State.STORED), Event.REDIRECT_STORED)


def _only_copied(redirect: Redirect, turn: Turn) -> Redirect:
    done = replace(with_end(redirect, turn.clock()), state=State.DONE, missed=None, reason="")
    return turn.write(done, Event.REDIRECT_DONE, copied=len(redirect.live))


def share(redirect: Redirect, turn: Turn) -> Redirect:
    """STORED -> LINKED: a link for each file that is still in the item, and that the policy still wants elsewhere."""
    item = fetch_item(redirect, turn)
    redirect = read_anew(redirect, _looked_at(redirect, item))
    shown = was_shown_in(item, redirect)
    if not shown and (other := our_marker(item, turn.watch)):
        return _give_way(redirect, other.redirect_id, turn)
    redirect, held = _without_kept(redirect, item, turn, shown=shown)
    if held:
        return hold(redirect, held, turn)
    for stored in needless(redirect, item):
        # A link may open the whole folder: what the message will not show goes.
        in_store(turn.watch.store.delete, stored.path)
    if not redirect.live:
        return drop(redirect, "no file of the item is to be redirected any more", turn)
    if _unproved(redirect):
        return back(redirect, State.PLANNED, "a file of the item changed", turn)
    if not redirect.shown:
        # The policy wants no more than copies by now. A link that nobody saw is not to open any.
        if not redirect.was_shown:
            in_store(turn.watch.links.revoke, redirect.folder)
        return _only_copied(redirect, turn)
    linked = replace(_linked(redirect, item, turn), state=State.LINKED, missed=None, reason="")
    linked = with_end(linked, turn.clock())
    return turn.write(linked, Event.REDIRECT_LINKED)


def _give_way(redirect: Redirect, other_id: str, turn: Turn) -> Redirect:
    """Each was planned while another ledger was here. What the item has now only looks like what was planned.

    The files are the other's: without a hold on them, this one does not keep `reconcile` from taking that one over.
    """
    without = replace(redirect, files=tuple(replace(each, gone=True) for each in redirect.files))
    reason = f"the item shows the links of redirect {other_id}; if that is not known, run `connector ledger reconcile`"
    return drop(without, reason, turn)


def rewrite(redirect: Redirect, turn: Turn) -> Redirect:
    """LINKED -> REWRITTEN: the links are seen in a freshly read body. The marker is only an index to it."""
    item = fetch_item(redirect, turn)
    redirect = _looked_at(redirect, item)
    if not redirect.shown:
        return drop(redirect, "every file was taken out of the item", turn)
    if not (item.in_scope or redirect.copy or redirect.was_shown or was_shown_in(item, redirect)):
        return drop(redirect, "the item was moved to where nothing is touched", turn)
    if _unproved(redirect):
        return begin_again(redirect, State.PLANNED, "a file of the item changed", turn)
    notice = _notice(redirect, item, turn)
    shown = bears_mark(item, redirect) and shows(item.body, notice.urls)
    finished = shown and not tells_other_days(item.body, notice)
    if turn.watch.replace and not redirect.copy and not (finished and not originals(item, redirect)):
        return begin_copy(redirect, item, turn)
    if not finished:
        turn.keep_lease()
        turn.watch.source.rewrite(item, notice)
        item = fetch_item(redirect, turn)
        if not (bears_mark(item, redirect) and shows(item.body, notice.urls)):
            raise Conflict("the item does not show yet what was written into it")
    was_shown = redirect.was_shown or not redirect.copy
    written = replace(
        redirect, state=State.REWRITTEN, was_shown=was_shown, pointer=item.pointer, missed=None, reason=""
    )
    return turn.write(written, Event.REDIRECT_REWRITTEN)


def prune(redirect: Redirect, turn: Turn) -> Redirect:
    """REWRITTEN -> DONE: only what a fresh look at both sides allows, and only a fresh listing proves it."""
    item = fetch_item(redirect, turn)
    try:
        redirect, refused = _looked_at_both(redirect, item, turn)
    except Edited as error:
        return _leave(redirect, item, error, turn)
    if refused:
        return begin_again(redirect, *refused, turn)
    tell_passwords(redirect, item, turn)
    if doomed := originals(item, redirect):
        turn.keep_lease()
        turn.watch.source.prune(item, doomed)
        item = fetch_item(redirect, turn)
    if originals(item, redirect):
        return defer_for_a_while(redirect, "the item still lists the originals that were removed", turn)
    if not _shown_by(item, redirect):
        return begin_again(redirect, State.LINKED, "the item does not show the links any more", turn)
    return _end(redirect, item, turn)


def settled(redirect: Redirect, turn: Turn) -> Redirect:
    """REPLACED -> DONE or RESTORED: a copy has taken the place of the message, and time has passed."""
    return swapped(redirect, turn) if redirect.ended_by else prune(redirect, turn)


#: The order is the safety argument, so it stands in one place and no setting changes it.
STEPS: dict[State, Callable[[Redirect, Turn], Redirect]] = {
    State.PLANNED: copy,
    State.STORED: share,
    State.LINKED: rewrite,
    State.REWRITTEN: prune,
    State.RECALLED: put_back,
    State.RETURNED: withdraw,
    State.STAGED: place,
    State.PLACED: shelve,
    State.REPLACED: settled,
    State.EXPIRED: tell,
    State.TOLD: erase,
}


# --- what the steps are made of -----------------------------------------------------------------------------------

#: What a listing may count beside the content of a file, in bytes.
_PROPERTIES = 8 * 1024
#: Why an original must not go, and the step that is due again.
Refused = tuple[State, str] | None


def _looked_at_both(redirect: Redirect, item: Item, turn: Turn) -> tuple[Redirect, Refused]:
    """What a fresh look at the item and at the store says. Raises Corrupt where the store has other bytes."""
    if not _shown_by(item, redirect):
        return redirect, (State.LINKED, "the item does not show the links any more")
    redirect = _looked_at(redirect, item)
    if not _unproved(redirect):
        redirect = _verified(redirect, item, turn)
    if _unproved(redirect):
        return redirect, (State.PLANNED, "a file is not what was stored any more")
    linked = _linked(redirect, item, turn)
    if _urls(linked) != _urls(redirect):
        return linked, (State.LINKED, "the store gave the files other links")
    if turn.watch.replace and not redirect.copy and originals(item, redirect):
        return redirect, (State.LINKED, "the originals are to leave a copy, not the message itself")
    return redirect, None


def _leave(redirect: Redirect, item: Item, error: Edited, turn: Turn) -> Redirect:
    """The item keeps its originals: whoever it belongs to works with the copies. Raises Edited where some have left."""
    if redirect.copy or not all(untouched(item, each) for each in redirect.leaving):
        raise error
    turn.keep_lease()
    turn.watch.source.retract(item, redirect.id)
    reason = "its owner has edited a file in the store: the item keeps the original"
    return drop(replace(redirect, ended_by="its owner"), reason, turn)


def _end(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """The item shows the links, and the originals have left it: all is done, or it takes the place of another."""
    if redirect.copy:
        return end_copy(redirect, item, turn)
    if turn.watch.replace and redirect.state is State.REWRITTEN:
        # It was replaced when another ledger was here; the shelf may still hold what it took the place of.
        return end_swap(redirect, turn)
    if redirect.state is State.REPLACED:
        clear_shelf(redirect, item, turn)
    done = replace(redirect, state=State.DONE, replaced=None, missed=None, reason="")
    return turn.write(done, Event.REDIRECT_DONE)


def _copy_file(redirect: Redirect, each: RedirectedFile, turn: Turn) -> Redirect:
    try:
        opened = turn.watch.source.open(redirect.item_id, each.file.id)
        with opened as stream, spooled(stream, each.file.size) as content:
            _require_enough(each.file, content)
            put = _put_packed if is_tnef(each.file) else _put
            return put(redirect, each, content, turn)
    except FileGone:
        if was_shown_in(turn.watch.source.fetch(redirect.item_id), redirect):
            raise Corrupt(UNKNOWN) from None
        return turn.write(with_file(redirect, each, replace(each, gone=True)), Event.FILE_GONE, rule=each.rule)


def _require_enough(file: File, content: Spool) -> None:
    """Raise Conflict where so much less came than the item announces that something else must have answered.

    An empty answer from a proxy looks like an empty file, and once it was stored nobody would miss the rest. A listing
    counts properties too, and some servers count base64, a third more; of attached messages it tells nothing.
    """
    if file.kind is FileKind.FILE and file.size > content.size * 7 // 5 + _PROPERTIES:
        raise Conflict(f"only {content.size} bytes came of a file that is announced with {file.size}")


def _put(redirect: Redirect, each: RedirectedFile, content: Spool, turn: Turn) -> Redirect:
    if each.stored:
        return redirect  # It is read again for the sake of what is inside.
    stored = in_store(turn.watch.store.put, each.path, content, each.tags)
    if (stored.size, stored.sha256) != (content.size, content.sha256):
        raise Corrupt("the store has other bytes than were sent to it")
    proved = with_file(redirect, each, replace(each, stored=stored))
    return turn.write(proved, Event.REDIRECT_COPIED, rule=each.rule, size=stored.size, sha256=stored.sha256)


def _put_packed(redirect: Redirect, each: RedirectedFile, content: Spool, turn: Turn) -> Redirect:
    """A file with others inside: they go into the store beside it. Where they cannot be told, it stays as it is."""
    try:
        with unpacked(content) as found:
            redirect = _with_found(redirect, each, found, turn)
            redirect = _put(redirect, each, content, turn)
            for one, inside in zip(found, _inside(redirect, each), strict=True):
                turn.keep_lease()
                with one.spooled() as its_content:
                    redirect = _put(redirect, inside, its_content, turn)
            return redirect
    except NotUnpacked as why:
        log.warning(Event.FILE_KEPT, redirect=redirect.id, source=redirect.source, reason=str(why))
        kept = with_file(redirect, each, replace(each, gone=True))
        return turn.write(kept, Event.FILE_KEPT, rule=each.rule, reason=str(why))


def _with_found(redirect: Redirect, each: RedirectedFile, found: Sequence[Found], turn: Turn) -> Redirect:
    """The redirect, with what was found inside this file: every path is committed before a byte is written."""
    files = [File(id="", name=one.name, size=one.size) for one in found]
    known = _inside(redirect, each)
    if [one.file for one in known] == files:
        return redirect
    for one in known:  # Another version of connector found them, and was killed.
        redirect = with_file(redirect, one, replace(one, gone=True))
    taken = [one.path.rpartition("/")[2] for one in redirect.files]
    names = distinct([*taken, *(one.name for one in files)])[len(taken) :]
    new = [
        replace(each, file=file, path=f"{redirect.folder}/{name}", stored=None, link=None, inside=each.path)
        for file, name in zip(files, names, strict=True)
    ]
    return turn.write(replace(redirect, files=(*redirect.files, *new)), Event.FILE_UNPACKED, files=len(new))


def _inside(redirect: Redirect, each: RedirectedFile) -> tuple[RedirectedFile, ...]:
    return tuple(one for one in redirect.live if one.inside == each.path)


def _keep_original(redirect: Redirect, turn: Turn) -> Redirect:
    """The whole message into the store, beside what is shared, as long as nothing in it has changed."""
    turn.keep_lease()
    tags = tuple(dict.fromkeys(tag for each in redirect.live for tag in each.tags))  # All files are in it.
    with turn.watch.source.original(redirect.item_id) as stream, spooled(stream) as content:
        stored = in_store(turn.watch.store.put, original_path(redirect, content.sha256), content, tags)
    kept = replace(redirect, original=stored)
    return turn.write(kept, Event.REDIRECT_ORIGINAL_KEPT, size=stored.size, sha256=stored.sha256)


def _looked_at(redirect: Redirect, item: Item) -> Redirect:
    return seen_in(item, redirect, attempted=was_shown_in(item, redirect))


def _without_kept(redirect: Redirect, item: Item, turn: Turn, *, shown: bool) -> tuple[Redirect, str]:
    """Ask the policy once more about what does not show yet, and why a human has to decide by now; "" where none has.

    The item may be a private one by now, the policy another, and a file may have other bytes: all is read anew.
    """
    asked = [each for each in redirect.attached if not (shown and each.link)]
    if not asked:
        return redirect, ""
    sizes = {each.file.id: each.stored.size for each in redirect.live if each.stored}
    # What was planned although it is older than first contact was asked for: by a backfill.
    since = None if redirect.created >= turn.since else turn.since
    known = facts(turn.watch, now=turn.clock(), since=since, ours=False)
    said = ask(item, turn.watch, replace(known, sizes=sizes, quiet=timedelta(0))).verdicts
    wanted = {verdict.file.id: verdict for verdict in said}
    held = ""
    for each in asked:
        match wanted.get(each.file.id):
            case Verdict(action=Action.KEEP):
                redirect = with_file(redirect, each, replace(each, gone=True))
            case Verdict(action=Action.COPY):
                redirect = with_file(redirect, each, replace(each, action=Action.COPY))
            case Verdict(action=Action.HOLD, rule=rule) if not _is_released(redirect, each, rule, turn):
                redirect = with_file(redirect, each, replace(each, rule=rule))
                held = f"the rule {rule} wants a human to decide by now"
            case _:
                pass
    return redirect, held


def _is_released(redirect: Redirect, each: RedirectedFile, rule: str, turn: Turn) -> bool:
    """Whether a human has seen that this rule holds the file, and has let it go on."""
    events = turn.ledger.history(redirect.id) if rule == each.rule else ()
    return any(event.name == Event.REDIRECT_RELEASED for event in events)


def _unproved(redirect: Redirect, of: RedirectedFile | None = None) -> bool:
    """Whether the store is not known to have every file; or, of one, that file and what was found inside it."""
    return any(each.stored is None for each in redirect.live if of is None or of.path in (each.path, each.inside))


def _linked(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """The redirect with the links that the store gives now; sharing again gives the same ones."""
    origin = turn.origin(redirect, item)
    for terms in dict.fromkeys(each.terms for each in redirect.shown):
        alike = [each for each in redirect.shown if each.terms == terms]
        links = _shared([each.stored for each in alike if each.stored], terms, origin, turn)
        for each, link in zip(alike, links, strict=True):
            if link != each.link:
                redirect = with_file(redirect, each, replace(each, link=link))
    if turn.owner != origin.mailbox:
        # `connector leaver` was called meanwhile, and may have handed over before this was there to be handed over.
        return _linked(redirect, item, turn)
    # The store has just answered. A clock that is ahead ends every settle at once: nothing is shown or removed by it.
    compare(turn.watch.store, turn.clock())
    return redirect


def _shared(stored: Sequence[Stored], terms: LinkTerms, origin: Origin, turn: Turn) -> tuple[Link, ...]:
    share = turn.watch.links.share
    # Only links for people without a login need a share for each message: the others have that of the mailbox.
    if terms.audience is Audience.ANYONE:
        return sharing(turn, share, stored, terms, origin)
    return in_store(share, stored, terms, origin)


def _urls(redirect: Redirect) -> tuple[str, ...]:
    return tuple(each.link.url for each in redirect.shown if each.link)


def _shown_by(item: Item, redirect: Redirect) -> bool:
    return bears_mark(item, redirect) and shows(item.body, _urls(redirect))


def _notice(redirect: Redirect, item: Item, turn: Turn) -> Notice:
    marked = turn.marker(redirect.id, item.internet_message_id)
    return notice(redirect, turn.watch.wording_of(redirect), marker=marked)


def _verified(redirect: Redirect, item: Item, turn: Turn) -> Redirect:
    """The redirect, without the proof of files that the store has lost. Raises Corrupt where it has other bytes."""
    there = {each.path for each in redirect.leaving if untouched(item, each)}
    for each in redirect.shown:
        assert each.stored
        try:
            present = in_store(turn.watch.store.verify, each.stored)
        except Corrupt:
            if len(there) == len(redirect.leaving):
                # The message must not go on showing links to bytes that are wrong, while it has the right ones.
                turn.watch.source.retract(item, redirect.id)
            raise
        if not present and (each.inside or each.path) not in there:
            raise Corrupt("a file is neither in the store nor in the item any more")
        if not present:
            redirect = with_file(redirect, each, replace(each, stored=None))
    return redirect
