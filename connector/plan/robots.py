"""Mailboxes that look as if a program read them: taking files out of their messages would break it. Pure.

Nothing is excluded by this: it drafts what an administrator may paste.
"""

import re
from dataclasses import dataclass

from connector.model import Direction, Item, Message

#: Words of addresses of which programs read the mailbox, or write from it.
_WORDS = re.compile(
    r"(?:^|[._+-])(?:(?:e-?)?(?:invoices?|rechnung(?:en)?|facturen?|factures?|billing)|scan(?:s|ner)?|fax|print(?:er)?"
    r"|drucker|journal|archive?|archiv|import|no-?reply|do-?not-?reply|noreply|bounces?|daemon|system|robot|bot|edi"
    r"|zugferd|xrechnung|monitoring|alerts?|backup|postmaster)(?:[._+\d-]|$)",
    re.IGNORECASE,
)
#: Senders that no person writes as.
_AUTOMATED = re.compile(
    r"^(?:.*[._+-])?(?:no-?reply|do-?not-?reply|donotreply|mailer-daemon|postmaster|bounces?|scan(?:ner)?|fax|notifications?"
    r"|alerts?|system|robot|automat\w*)(?:[._+\d-].*)?@",
    re.IGNORECASE,
)
#: Of fewer messages nothing can be told.
_ENOUGH = 20
_NEARLY_ALL = 0.9


@dataclass(slots=True)
class Habits:
    """What was seen of one mailbox."""

    address: str
    received: int = 0
    sent: int = 0
    automated: int = 0
    unread: int = 0

    def see(self, item: Item) -> None:
        """One more message with attachments."""
        if not isinstance(item, Message):
            return
        if item.direction is Direction.SENT:
            self.sent += 1
            return
        self.received += 1
        self.unread += item.read is not True
        self.automated += bool(_AUTOMATED.match(item.sender))

    @property
    def signs(self) -> tuple[str, ...]:
        """Why a program may be reading it; empty where a person does, as far as can be told."""
        named = ("its name is that of a program's mailbox",) if self.is_named_so else ()
        if self.received < _ENOUGH or self.sent:
            return named if not self.sent else ()
        if self.automated >= _NEARLY_ALL * self.received:
            return (*named, "nearly all who write to it are programs, and it has sent no files")
        if not self.unread and 2 * self.automated >= self.received:
            return (*named, "nothing in it is unread, half of it comes from programs, and it has sent no files")
        return named

    @property
    def is_named_so(self) -> bool:
        """Whether its address says so already."""
        return _WORDS.search(self.address.partition("@")[0]) is not None
