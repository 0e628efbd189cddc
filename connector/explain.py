"""Why an attachment is still in its message, or gone: the verdict as it is now, and what the ledger knows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from pathlib import Path

from connector.ask import ask, begins, facts, is_ours
from connector.errors import Gone, Rejected
from connector.ledger import Ledger
from connector.model import Item, Redirect, Verdict
from connector.policy import Facts
from connector.turn import Watch


@dataclass(frozen=True, slots=True)
class Found:
    """A message in a mailbox, and what the policy says about each of its files now."""

    watch: Watch
    message: Item
    verdicts: tuple[Verdict, ...]


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
    """The redirects of this message, by its Message-ID, or the one with this id."""
    one = ledger.redirect(said)
    return (one,) if one else ledger.redirects(internet_message_id=said)


def mailboxes_of(redirects: Iterable[Redirect], ledger: Ledger) -> set[str]:
    """The addresses of the mailboxes that these redirects are of. Asks the ledger only."""
    sources = {each.source for each in redirects}
    return {each.address for each in ledger.watched() if each.name in sources}


def find(
    said: str, redirects: Sequence[Redirect], watches: Iterable[Watch], ledger: Ledger, now: datetime
) -> Iterator[Found]:
    """The message, wherever it is in these mailboxes, judged afresh; nothing is changed.

    One that the ledger does not know, or that was moved, is looked for through the whole mailbox.
    """
    internet_message_id = next((each.internet_message_id for each in redirects), said)
    for watch in watches:
        ids = {each.item_id for each in redirects if each.source == watch.name} or {said}
        for message in _found(internet_message_id, ids, watch):
            yield Found(watch, message, ask(message, watch, _facts(message, watch, ledger, now)).verdicts)


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
    return facts(watch, now=now, since=since, ours=is_ours(message, watch))
