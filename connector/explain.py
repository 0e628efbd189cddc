"""Why an attachment is still in its message, or gone: the verdict as it is now, and what the ledger knows."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from pathlib import Path

from connector import amounts
from connector.audit.links import ended
from connector.errors import ConnectorError, Gone, Rejected
from connector.flow.ask import ask, begins, facts, our_marker
from connector.flow.turn import Watch
from connector.guards import Kept, guards_of_item
from connector.ledger import FOR_EVER, Ledger
from connector.model import Action, Audience, Ending, Item, LinkTerms, Origin, Redirect, State, Verdict
from connector.pauses import STOPS, SourcePause, TenantPause
from connector.policy import Explained, Facts, explained


@dataclass(frozen=True, slots=True)
class Found:
    """A message in a mailbox, and what the policy says about each of its files now."""

    watch: Watch
    message: Item
    verdicts: tuple[Verdict, ...]
    #: What each rule says about each file.
    explained: tuple[Explained, ...] = ()
    #: Each guard of the message, and whether it holds; one that does keeps all files, whatever rules say.
    guards: tuple[tuple[Kept, bool], ...] = ()


def message_id(said: str) -> str:
    """The Message-ID of an `.eml` file; anything else is taken for an id. Raises ValueError where the file has none."""
    path = Path(said)
    if path.suffix.lower() != ".eml":
        return said
    try:
        with path.open("rb") as file:
            found = BytesHeaderParser().parse(file)["Message-ID"]
    except OSError as error:
        raise ValueError(f"{said} cannot be read: {error.strerror}") from None
    if not found:
        raise ValueError(f"{said} has no Message-ID; name the message by its id in the mailbox")
    return str(found).strip()


def known(said: str, ledger: Ledger) -> tuple[Redirect, ...]:
    """The redirects of this message: by its Message-ID, their id, a link that it shows, or a path in the store."""
    one = ledger.redirect(said)
    found = (one,) if one else ledger.redirects(internet_message_id=said)
    # An address without its scheme is none, so what begins with a slash is a path.
    return found or (ledger.leading_to(said.lstrip("/")) if "/" in said else ())


def mailboxes_of(redirects: Iterable[Redirect], ledger: Ledger) -> set[str]:
    """The addresses of the mailboxes that these redirects are of. Asks the ledger only."""
    sources = {each.source for each in redirects}
    return {each.address for each in ledger.watched() if each.name in sources}


def find(said: str, redirects: Sequence[Redirect], watch: Watch, ledger: Ledger, now: datetime) -> Iterator[Found]:
    """The message, wherever it is in this mailbox, judged afresh; nothing is changed. Raises what its source raises.

    One that the ledger does not know, or that was moved, is looked for through the whole mailbox.
    """
    internet_message_id = next((each.internet_message_id for each in redirects), said)
    ids = {each.item_id for each in redirects if each.source == watch.name} or {said}
    for message in _found(internet_message_id, ids, watch):
        answer = ask(message, watch, _facts(message, watch, ledger, now))
        yield Found(
            watch,
            message,
            answer.verdicts,
            explained(watch.policy, message, answer.facts),
            tuple(guards_of_item(message, ours=answer.facts.ours, since=answer.facts.since)),
        )


def why(redirects: Sequence[Redirect], found: Sequence[Found], ledger: Ledger, now: datetime) -> tuple[str, ...]:
    """Why attachments are still in the message, or are not: what each redirect waits for, and what keeps the rest."""
    told = [sentence for each in redirects for sentence in _waiting(each, ledger, now)]
    for each in found:
        told += _not_begun(each, redirects, ledger)
    return tuple(dict.fromkeys(told))


#: For whom links open.
_WHO = {
    Audience.STORE: "whoever may log in at the store and has a right to the file there",
    Audience.OWNER: "those to whom the mailbox belongs",
    Audience.GROUP: "the group to which the mailbox belongs",
    Audience.STAFF: "everybody with a login of the house",
    Audience.ANYONE: "whoever has them",
}


def opened(redirects: Sequence[Redirect], watches: Iterable[Watch], ledger: Ledger, now: datetime) -> Iterator[str]:
    """Who can open the links of each redirect today, until when, and what ends them."""
    # By address: to ask each mailbox for its key would take a request each, and some may be out of reach.
    by_address = {(each.tenant, each.source.address.lower()): each for each in watches}
    sources = {each.name: by_address.get((each.tenant, each.address.lower())) for each in ledger.watched()}
    for redirect in redirects:
        for terms in dict.fromkeys(each.terms for each in redirect.shown if each.link):
            yield _opened(redirect, terms, sources[redirect.source], ledger, now)


def _opened(redirect: Redirect, terms: LinkTerms, watch: Watch | None, ledger: Ledger, now: datetime) -> str:
    of = f"the links of redirect {redirect.id}"
    revocable = watch is None or watch.links.can_revoke(terms)
    ending = _ending(redirect, terms, watch, ledger, revocable=revocable)
    if ending is None or (ending.at and ending.at <= now):
        return f"{of} open nothing any more"
    password = ", with their password" if terms.password else ""
    counted = f", {terms.downloads} times each" if terms.downloads else ""
    until = f"until {_at(ending.at)}" if ending.at else "without an end by time"
    ended_by = _ended_by(redirect, watch, revocable=revocable)
    return f"{of} open for {_WHO[terms.audience]}{password}{counted}, {until}; {ended_by}"


def _ending(
    redirect: Redirect, terms: LinkTerms, watch: Watch | None, ledger: Ledger, *, revocable: bool
) -> Ending | None:
    """As our own pages have it now; of a store's links, or where nobody answers, as it was noted. None: taken back."""
    if watch and watch.publisher:
        address = watch.source.address
        origin = Origin(
            redirect=redirect.id, folder=redirect.folder, mailbox=address, sender="", received=redirect.received
        )
        with suppress(ConnectorError):
            ending = watch.publisher.ending(terms, origin)
            # They have an address for all that opens.
            return ending if ending.page else None
    if revocable and (_ends_them(redirect) or ended(ledger.history(redirect.id))):
        return None
    links = [each.link for each in redirect.shown if each.link and each.terms == terms]
    return Ending(max((each.expires for each in links if each.expires), default=None))


def _ends_them(redirect: Redirect) -> bool:
    """Whether it ended its links with itself: as somebody wanted, or since no message ever showed them."""
    return (redirect.state is State.RESTORED and redirect.revoke) or (
        redirect.state is State.DROPPED and not redirect.was_shown
    )


def _ended_by(redirect: Redirect, watch: Watch | None, *, revocable: bool) -> str:
    by_hand = ", or by `connector links revoke`" if revocable else ""
    if watch and watch.on_hold:
        stay = "they and their files stay" if watch.publisher else "their files stay"
        revoke = "; `connector links revoke` ends the links" if revocable else ""
        return f"{stay} as long as the mailbox is on hold{revoke}"
    if redirect.outlives and redirect.gone:
        over = max(redirect.gone + redirect.outlives, redirect.ends or redirect.gone)
        return f"their message is gone since {_at(redirect.gone)}, and they end with their files on {_at(over)}"
    if redirect.outlives:
        then = f"{amounts.said(redirect.outlives)} after the last copy of the message has left the mailbox"
        return f"they end with their files, {then}{by_hand}"
    if redirect.ends:
        return f"they end with their files on {_at(redirect.ends)}{by_hand}"
    return "only `connector links revoke` ends them" if revocable else "they end with that right alone"


def _waiting(redirect: Redirect, ledger: Ledger, now: datetime) -> Iterator[str]:
    of = f"redirect {redirect.id}"
    reason = f": {redirect.reason}" if redirect.reason else ""
    match redirect.state:
        case State.DONE:
            copied = not redirect.shown
            yield f"{of} is done: its files {'were to be copied only, and stay' if copied else 'have left the message'}"
        case State.RESTORED:
            yield f"{of} was undone by {redirect.ended_by}: its files are back, and stay"
        case State.DROPPED:
            yield f"{of} was dropped{f' by {redirect.ended_by}' if redirect.ended_by else ''}{reason}"
        case State.HELD:
            yield f"{of} is held{reason}; `connector release {redirect.id}` lets it go on"
        case _:
            yield f"{of} is {redirect.state}{reason}"
            yield from _paused(redirect, ledger, now)
            if redirect.attempts and redirect.reason:
                yield f"{of} did not go through {redirect.attempts} times, and is tried again at {_at(redirect.due)}"
            elif redirect.due > now:
                proved = f"its copy was proved at {_at(redirect.proved)}, and " if redirect.proved else ""
                yield f"{proved}the original stays until {_at(redirect.due)} (settle)"


def _paused(redirect: Redirect, ledger: Ledger, now: datetime) -> Iterator[str]:
    """What stands between a redirect and its next step: of its source, of its tenant, or of its server."""
    tenant = next(each.tenant for each in ledger.watched() if each.name == redirect.source)
    names = {
        redirect.source,
        *(each.of(redirect.source) for each in (SourcePause.PROOF, SourcePause.READERS, SourcePause.EDITS)),
        *(each.of(tenant) for each in (*STOPS, TenantPause.SHARES)),
    }
    for pause in ledger.pauses(now):
        if pause.name in names:
            end = "somebody acts" if pause.until == FOR_EVER else _at(pause.until)
            yield f"nothing goes on until {end}: {pause.reason}"


def _not_begun(found: Found, redirects: Sequence[Redirect], ledger: Ledger) -> Iterator[str]:
    wanted = [each for each in found.verdicts if each.action is not Action.KEEP]
    begun = {file.file.id for each in redirects for file in each.files}
    if found.watch.monitor and wanted:
        yield f"rules are only monitored in {found.watch.source.address}: nothing is done to any message there"
    elif any(each.file.id not in begun for each in wanted) and not any(each.ended_by for each in redirects):
        yield "what the policy wants now was not begun yet: the next turn of the mailbox does"
    if any(each.rule == "guard:first-contact" for each in found.verdicts):
        wait = ledger.backfill(found.watch.name)
        yield f"mail that old goes {'in its turn, as a backfill is wanted' if wait else 'only by `connector backfill`'}"
    for each in found.verdicts:
        if each.look_again:
            yield f"a file stays for now, and is looked at again at {_at(each.look_again)}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def _found(internet_message_id: str, ids: Iterable[str], watch: Watch) -> Iterator[Item]:
    missed = False
    for item_id in ids:
        try:
            yield watch.source.fetch(item_id)
        except (Gone, Rejected):
            missed = True
    if missed and "@" in internet_message_id:
        for page in watch.source.changes(None):
            wanted = [item.id for item in page.items if item.internet_message_id == internet_message_id]
            yield from map(watch.source.fetch, wanted)  # Some guards read the body.


def _facts(message: Item, watch: Watch, ledger: Ledger, now: datetime) -> Facts:
    known = next((each for each in ledger.watched() if each.name == watch.name), None)
    since = begins(watch, known, now, monitor=watch.monitor)
    return facts(watch, now=now, since=since, ours=our_marker(message, watch) is not None)
