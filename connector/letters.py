"""Messages of ours to owners: found again by their marker, so that nobody is told twice."""

import hashlib

from connector.log import Event
from connector.model import Item, Letter, Message, Redirect
from connector.reactions import in_store
from connector.rewrite import password_letter
from connector.turn import Turn

_DOMAIN = "connector.invalid"


def tell_passwords(redirect: Redirect, item: Item, turn: Turn) -> None:
    """The owner of a message knows what its links ask for, before the originals leave it.

    The password is in no message that shows the links. A share has no owner with a mailbox: the service desk tells it.
    """
    if not isinstance(item, Message):
        return
    origin = turn.origin(redirect, item)
    terms = dict.fromkeys(each.terms for each in redirect.shown if each.terms.password)
    if passwords := [in_store(turn.watch.links.password, each, origin) for each in terms]:
        _tell(redirect, item, passwords, turn)


def _tell(redirect: Redirect, item: Message, passwords: list[str], turn: Turn) -> None:
    watch = turn.watch
    # Others are another letter's.
    name = f"{redirect.id}-{hashlib.sha256(' '.join(passwords).encode()).hexdigest()[:8]}"
    if watch.source.find(name):
        return
    message_id = f"<{name}@{_DOMAIN}>"
    subject, text = password_letter(item.subject, passwords, watch.wording)
    turn.keep_lease()
    letter = Letter(
        marker=turn.marker(name, message_id),
        internet_message_id=message_id,
        sender=watch.wording.product,
        subject=subject,
        text=text,
    )
    watch.source.tell(letter)
    turn.ledger.note(watch.tenant, Event.LETTER_LEFT, turn.clock(), source=watch.name, redirect_id=redirect.id)
