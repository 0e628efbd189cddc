"""What a policy looks at: one file of an item, at one time, and what has to be known beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property

from connector.filetype import TrueType, true_type
from connector.guards import is_tnef
from connector.model import Body, Content, File, FileKind, Item, Message, Need
from connector.names import plain
from connector.policy.patterns import as_text, found, shown
from connector.policy.values import fold, names_of

#: How many first bytes of a file `Content.head` should carry.
HEAD = 64 * 1024
#: No extension has more dots than this has ends; a name may be made of them.
_MOST_ENDS = 8


class Hold(StrEnum):
    """Why Exchange keeps what is in a mailbox, or in a message."""

    #: LitigationHoldEnabled or InPlaceHolds of the mailbox.
    LITIGATION = "litigation"
    #: RetentionHoldEnabled of the mailbox.
    RETENTION = "retention"
    #: The message bears a retention tag (PolicyTag).
    RECORD = "record"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a policy has to know beside the message."""

    now: datetime
    #: First contact with the source: older messages stay as they are, whatever the policy says. None: no limit.
    since: datetime | None
    #: A genuine marker was found in the message.
    ours: bool
    #: The largest file, in bytes, that can be put back into the message later; None: any.
    returnable: int | None = None
    #: The address of the mailbox, or of the share.
    mailbox: str = ""
    #: The groups that it is in, folded.
    groups: frozenset[str] = frozenset()
    #: The house's own domains, folded.
    domains: tuple[str, ...] = ()
    #: Why Exchange keeps what is in the mailbox.
    holds: frozenset[Hold] = frozenset()
    #: Nobody knows whose mailbox it is.
    unmapped: bool = False
    #: What was found in files, by their ids, once all of it was fetched that their verdicts need.
    contents: Mapping[str, Content] = field(default_factory=dict)
    #: The body of the message, once it was fetched because a verdict needs it.
    body: Body | None = None
    #: The true sizes by file id, once known: what a source announces is not the byte count.
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: How long a shared file must not have changed before it is touched.
    quiet: timedelta = timedelta(0)
    #: Shared files may give way to pointers. False: they are only copied, whatever a rule says.
    pointers: bool = True


@dataclass(frozen=True)
class Matter:
    """An item and the facts beside it: all that its files have in common. Answers are worked out once."""

    item: Item
    facts: Facts
    _found: dict[tuple[str, str], bool] = field(default_factory=dict, compare=False)

    @cached_property
    def message(self) -> Message | None:
        """The item, unless it is a shared file."""
        return self.item if isinstance(self.item, Message) else None

    @cached_property
    def received(self) -> datetime | None:
        """When the server received it; a time without a zone is taken for UTC."""
        received = self.item.received
        return received.replace(tzinfo=UTC) if received and received.tzinfo is None else received

    @cached_property
    def mailbox(self) -> frozenset[str]:
        """All that its mailbox may be called by; nothing for a shared file."""
        return frozenset(names_of(self.facts.mailbox)) if self.message else frozenset()

    @cached_property
    def sender(self) -> frozenset[str]:
        """All that its sender may be called by: of a shared file, whoever changed it last."""
        return frozenset(names_of(self.item.sender))

    @cached_property
    def recipients(self) -> frozenset[str]:
        """All that any of its recipients may be called by: of a shared file, whoever may open it where it is."""
        return frozenset(name for each in self.item.recipients for name in names_of(each))

    @cached_property
    def external(self) -> int:
        """How many of the recipients are outside of the house's own domains."""
        own = frozenset(self.facts.domains)
        return sum(own.isdisjoint(names_of(each)) for each in self.item.recipients)

    @cached_property
    def folder(self) -> str:
        """Its path, folded, with a slash before and behind each name."""
        return f"/{fold(self.item.folder)}/"

    @cached_property
    def categories(self) -> frozenset[str]:
        """Folded."""
        return frozenset(fold(each) for each in self.message.categories) if self.message else frozenset()

    @cached_property
    def place(self) -> tuple[str, str, str]:
        """Team, channel and chat of a shared file, folded; "" for what it is not in.

        The share is named TEAM, TEAM/CHANNEL or PERSON/chats; in that of a whole team, channels are its first folders.
        """
        if self.message:
            return "", "", ""
        first, _, second = fold(self.facts.mailbox).partition("/")
        if "@" in first and second == "chats":
            return "", "", first
        return first, second or self.folder.split("/")[1], ""

    @cached_property
    def body(self) -> bytes | None:
        """The text that it shows; None while nobody read it. A shared file has none."""
        if self.message is None:
            return b""
        body = self.facts.body or self.message.body
        return None if body is None else shown(body)

    @cached_property
    def _subject(self) -> bytes:
        return as_text(self.message.subject) if self.message else b""

    @cached_property
    def _headers(self) -> Mapping[str, bytes]:
        headers = self.message.headers if self.message else {}
        return {name.lower(): as_text(value) for name, value in headers.items()}

    def finds(self, pattern: str, where: str) -> bool | None:
        """Whether a pattern matches `subject`, `body` or the header of that name; None while nobody read it."""
        known = self._found.get((pattern, where))
        if known is None:
            text = self._text(where)
            if text is None:
                return None
            known = self._found[pattern, where] = found(pattern, text)
        return known

    def _text(self, where: str) -> bytes | None:
        if where == "subject":
            return self._subject
        return self.body if where == "body" else self._headers.get(where.removeprefix("header "), b"")


@dataclass(frozen=True)
class Case:
    """What conditions look at: one file, at one time."""

    matter: Matter
    file: File
    now: datetime
    content: Content | None
    #: It can be put back into the message later.
    returns: bool
    #: It stays where it is, whatever a rule says.
    copied: bool

    @cached_property
    def nested(self) -> bool:
        """It is an attached message, or another item of Exchange."""
        return self.file.kind is FileKind.ITEM

    @property
    def packed(self) -> bool:
        """It is winmail.dat."""
        return is_tnef(self.file)

    @cached_property
    def name(self) -> str:
        """Folded, without what cannot be seen: it would not be stored either."""
        return fold(plain(self.file.name))

    @cached_property
    def extensions(self) -> frozenset[str]:
        """All ends of its name behind a dot. Windows ignores dots and blanks behind them."""
        parts = self.name.rstrip(". ").rsplit(".", _MOST_ENDS)
        return frozenset(".".join(parts[at:]) for at in range(1, len(parts)))

    @cached_property
    def true_type(self) -> TrueType | None:
        """What its content says that it is; None while nobody read it."""
        return None if self.content is None else true_type(self.content.head, self.file.name)

    @cached_property
    def age(self) -> timedelta | None:
        """How old its message is; None where nobody knows."""
        received = self.matter.received
        return self.now - received if received else None

    def lacks(self, need: Need) -> bool:
        """Whether it was not fetched yet."""
        return self.matter.body is None if need is Need.BODY else self.content is None
