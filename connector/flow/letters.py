"""Messages of ours to owners: found again by their marker, so that nobody is told twice."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from connector.errors import Gone
from connector.flow.discover import bear, genuine
from connector.flow.reactions import in_store
from connector.flow.turn import Turn
from connector.ledger import FOR_EVER, Stale
from connector.log import Event
from connector.model import Ending, Item, Letter, LinkTerms, Message, Redirect
from connector.rewrite import Mentioned, held_letter, password_letter, reminder_letter
from connector.sight import with_links_until

_DOMAIN = "connector.invalid"
#: How long before links end their owner is told, but never before three quarters of their time are over.
_SOON = timedelta(days=7)
#: What somebody decides within this time needs no word.
_UNDECIDED = timedelta(hours=12)
#: How often an owner is told at the most what is held.
_DIGEST = timedelta(days=1)
#: So many at once: nobody reads a longer letter, and the rest comes with the next.
_MOST = 50


def tell_passwords(redirect: Redirect, item: Item, turn: Turn) -> None:
    """The owner of a message knows what its links ask for, before the originals leave it.

    The password is in no message that shows the links. A share has no owner with a mailbox, and a house may want none
    of these letters: then the service desk tells it.
    """
    if not isinstance(item, Message) or not turn.watch.policy.people.passwords:
        return
    if terms := dict.fromkeys(each.terms for each in redirect.shown if each.terms.password):
        origin = turn.origin(redirect, item)
        _tell(redirect, item, [in_store(turn.watch.links.password, each, origin) for each in terms], turn)


def tell_people(turn: Turn) -> None:
    """What the owner of a mailbox has to know by now, by letters; none while a brake stands, or the store pauses.

    What was told is in the ledger, so that nothing is told twice.
    """
    ledger, now, name = turn.ledger, turn.clock(), turn.watch.name
    # On a hold, links of ours do not end (`connector.flow.retention.let_last`).
    lasting = turn.watch.on_hold and turn.watch.publisher is not None
    soon = not lasting and any(_is_soon(each, now) for each in ledger.unreminded(name, now, now + _SOON))
    held = ledger.untold(name, now - _UNDECIDED)[:_MOST] if turn.watch.policy.people.digest else ()
    if not (soon or held) or turn.spent() or turn.store_paused() or not turn.unhindered():
        return
    if soon:
        _remind(turn)
    if held:
        _tell_held(held, turn)


def _remind(turn: Turn) -> None:
    """Before links end: which, until when, and where their owner can let them last.

    One letter for all that ends within two weeks, as soon as something ends within one: nobody gets one every day. What
    was told is not told again, unless somebody let it last and it comes to its end once more.
    """
    now, name = turn.clock(), turn.watch.name
    told: list[tuple[Redirect, Mentioned]] = []
    ending = [each for each in turn.ledger.unreminded(name, now, now + 2 * _SOON) if any(_ends(each, now))]
    for redirect in sorted(ending, key=lambda each: _end(each, now))[:_MOST]:
        turn.keep_lease()
        item = _message(redirect, turn)
        lasting, last = _as_it_ends(redirect, item, now, turn) if item else (redirect, Ending(None))
        if item is None or last.at is None:
            _write(replace(redirect, reminded=_end(redirect, now)), Event.LINK_REMINDED, turn, told=False)
        elif last.at > now + 2 * _SOON:
            _write(lasting, Event.LINK_LASTS, turn, until=last.at)
        else:
            told.append((lasting, Mentioned(item.subject, item.sender, item.received, last)))
    if told:
        which = " ".join(f"{redirect.id} {_end(redirect, now)}" for redirect, _ in told)
        _leave(f"ending-{_short(which)}", *reminder_letter([each for _, each in told], turn.watch.wording), turn)
    for redirect, _ in told:
        _write(replace(redirect, reminded=_end(redirect, now)), Event.LINK_REMINDED, turn, told=True)


def _tell_held(held: Sequence[Redirect], turn: Turn) -> None:
    """Once a day: of which messages the attachments wait for somebody's decision."""
    now, last = turn.clock(), turn.ledger.last_told(turn.watch.name)
    if last and now - last < _DIGEST:
        return
    found = [(redirect, item) for redirect in held if (item := _message(redirect, turn))]
    if found:
        mentioned = [Mentioned(item.subject, item.sender, item.received) for _, item in found]
        which = " ".join(f"{redirect.id} {redirect.revision}" for redirect, _ in found)
        _leave(f"held-{_short(which)}", *held_letter(mentioned, turn.watch.wording), turn)
    for redirect in held:
        _write(replace(redirect, told=now), Event.HELD_TOLD, turn)


def _write(redirect: Redirect, event: Event, turn: Turn, **detail: object) -> None:
    with suppress(Stale):  # Somebody decided about it at this moment, and the others have to be written down yet.
        turn.write(redirect, event, **detail)


def _message(redirect: Redirect, turn: Turn) -> Message | None:
    """The message that shows the links, wherever it is by now; none of a share, and none where nobody can read it."""
    source = turn.watch.source
    try:
        item = source.fetch(redirect.pointer or redirect.item_id)
    except Gone:
        pass
    except Exception as error:  # noqa: BLE001 - `bear` raises what is not the item's
        bear(error, turn)
        return None
    else:
        return item if isinstance(item, Message) else None
    return next((each for each in source.find(redirect.id) if isinstance(each, Message) and genuine(each, turn)), None)


def _as_it_ends(redirect: Redirect, item: Item, now: datetime, turn: Turn) -> tuple[Redirect, Ending]:
    """The redirect with the ends that its links have by now, and the first of these; with its owner's page."""
    pages, origin, first = turn.watch.publisher, turn.origin(redirect, item), Ending(None)
    for terms, end in dict(_ends(redirect, now)).items():
        ending = in_store(pages.ending, terms, origin) if pages else Ending(end)
        if ending.at:
            first = min(first, ending, key=lambda each: each.at or FOR_EVER)
            redirect = with_links_until(redirect, terms, ending.at)
    return redirect, first


def _ends(redirect: Redirect, now: datetime) -> Iterator[tuple[LinkTerms, datetime]]:
    """The ends that are to come."""
    for each in redirect.shown:
        if each.link and each.link.expires and each.link.expires > now:
            yield each.terms, each.link.expires


def _end(redirect: Redirect, now: datetime) -> datetime:
    return min(end for _, end in _ends(redirect, now))


def _is_soon(redirect: Redirect, now: datetime) -> bool:
    return any(end - now <= min(_SOON, (terms.expires or _SOON) / 4) for terms, end in _ends(redirect, now))


def _tell(redirect: Redirect, item: Message, passwords: list[str], turn: Turn) -> None:
    # Other passwords make another letter.
    name = f"{redirect.id}-{_short(' '.join(passwords))}"
    _leave(name, *password_letter(item.subject, passwords, turn.watch.wording), turn, redirect.id)


def _leave(name: str, subject: str, text: str, turn: Turn, redirect_id: str = "") -> None:
    """A letter of this name, unless it is there."""
    watch = turn.watch
    if watch.source.find(name):
        return
    message_id = f"<{name}@{_DOMAIN}>"
    turn.keep_lease()
    letter = Letter(
        marker=turn.marker(name, message_id),
        internet_message_id=message_id,
        sender=watch.wording.product,
        subject=subject,
        text=text,
    )
    watch.source.tell(letter)
    turn.ledger.note(watch.tenant, Event.LETTER_LEFT, turn.clock(), source=watch.name, redirect_id=redirect_id)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
