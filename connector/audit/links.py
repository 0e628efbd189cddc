"""What events tell of links that messages show."""

from collections.abc import Iterable
from datetime import datetime

from connector.ledger import Event
from connector.log.events import Event as Known

_END = {Known.LINK_REVOKED, Known.LINK_RENEWED, Known.REDIRECT_ERASED}
#: They open again, or the message shows others.
_OPEN = {Known.LINK_EXTENDED, Known.REDIRECT_REWRITTEN}


def ended(events: Iterable[Event]) -> datetime | None:
    """Since when somebody, or the end of its files, keeps all links of a redirect shut; None where nobody does."""
    since = None
    for event in events:
        if event.name in _OPEN:
            since = None
        elif event.name in _END:
            since = since or event.at
    return since
