"""What a policy looks at: one file of an item, at one time, and what has to be known beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from connector.filetype import TrueType, true_type
from connector.guards import is_tnef
from connector.model import Body, Content, File, FileKind, Item

#: How many first bytes of a file `Content.head` should carry.
HEAD = 64 * 1024


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
class Case:
    """What conditions look at: one file, at one time."""

    item: Item
    file: File
    now: datetime
    content: Content | None
    #: It can be put back into the message later.
    returns: bool
    #: It stays where it is, whatever a rule says.
    copied: bool

    @property
    def nested(self) -> bool:
        """It is an attached message, or another item of Exchange."""
        return self.file.kind is FileKind.ITEM

    @property
    def packed(self) -> bool:
        """It is winmail.dat."""
        return is_tnef(self.file)

    @cached_property
    def true_type(self) -> TrueType | None:
        """What its content says that it is; None while nobody read it."""
        return None if self.content is None else true_type(self.content.head, self.file.name)

    @cached_property
    def received(self) -> datetime | None:
        """When the server received its message; a time without a zone is taken for UTC."""
        received = self.item.received
        return received.replace(tzinfo=UTC) if received and received.tzinfo is None else received

    @property
    def age(self) -> timedelta | None:
        """How old its message is; None where nobody knows."""
        return self.now - self.received if self.received else None
