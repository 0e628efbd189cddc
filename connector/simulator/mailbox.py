"""What a mailbox holds: folders, items and their messages, and the log of what happened to them."""

import copy
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from connector.simulator import ids
from connector.simulator.content import Content


def now() -> datetime:
    """The present, in whole seconds: EWS shows no smaller ones."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody, as a header names him."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Property:
    """A MAPI property beyond the fields of the schema: a tag, or a name or number within a property set."""

    set: str
    key: str | int


#: The property set that MAPI tags are filed under here.
TAGGED = "tag"
#: PidTagRtfCompressed.
RTF = Property(TAGGED, 0x1009)


@dataclass(kw_only=True, slots=True)
class Attachment:
    """A file (with `content`) or another message (with `message`) that a message carries."""

    name: str
    content_type: str = ""
    content_id: str = ""
    content_location: str = ""
    inline: bool = False
    content: Content | None = None
    message: "Message | None" = None
    #: Where a reference attachment leads to; it has no bytes.
    reference: str = ""
    modified: datetime = field(default_factory=now)
    #: The moment (time.monotonic) from which it cannot be seen any more; None for all but deviating servers.
    vanishes: float | None = None
    token: bytes = field(default_factory=lambda: secrets.token_bytes(ids.TOKEN_LENGTH))

    @property
    def size(self) -> int:
        """What Exchange announces. It counts the attachment's properties too, so it is never the byte count."""
        if self.message is not None:
            return self.message.size
        return (self.content.size if self.content else 0) + 254 + 2 * len(self.name)


@dataclass(kw_only=True, slots=True)
class Message:
    """A message apart from the place where it lies."""

    item_class: str = "IPM.Note"
    subject: str = ""
    sensitivity: str = "Normal"
    importance: str = "Normal"
    body: str = ""
    html: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    #: In their order, unfolded; what `mime_export` begins with.
    headers: list[tuple[str, str]] = field(default_factory=list)
    sender: Address | None = None
    author: Address | None = None
    to: list[Address] = field(default_factory=list)
    cc: list[Address] = field(default_factory=list)
    bcc: list[Address] = field(default_factory=list)
    reply_to: list[Address] = field(default_factory=list)
    sent: datetime | None = None
    received: datetime | None = None
    internet_message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    categories: list[str] = field(default_factory=list)
    read: bool = False
    draft: bool = False
    read_receipt_requested: bool = False
    delivery_receipt_requested: bool = False
    extended: dict[Property, str | list[str]] = field(default_factory=dict)
    #: The text/calendar part that made this a meeting message.
    calendar: bytes = b""

    def set_subject(self, subject: str) -> None:
        """Give it another subject. MIME begins with the headers as they came, so it changes there too."""
        self.subject = subject
        self.headers = [(name, subject if name.lower() == "subject" else value) for name, value in self.headers]

    def set_body(self, body: str, *, html: bool) -> None:
        """Give it another body. There is one native body: what was RTF is HTML or text from now on (MS-OXBBODY)."""
        self.body, self.html = body, html
        self.extended.pop(RTF, None)

    @property
    def size(self) -> int:
        """About what the store needs for it."""
        return 1024 + 2 * len(self.body) + sum(attachment.size for attachment in self.attachments)

    @property
    def has_attachments(self) -> bool:
        """Inline attachments do not count, S/MIME always does (Microsoft: hasattachments; MS-OXOSMIME)."""
        return "SMIME" in self.item_class or any(not attachment.inline for attachment in self.attachments)


@dataclass(kw_only=True, slots=True)
class Item:
    """A message in a folder, under an id that lasts until it is moved."""

    id: str
    number: int
    folder: "Folder"
    message: Message
    created: datetime
    modified: datetime
    #: Moments of the mailbox's clock: when it came into this folder, changed, changed its read flag.
    entered: int
    changed: int
    read_changed: int
    change_key: str
    #: The number that it had first: it stays when the item moves.
    born: int
    #: The last change that each replica made: replica and counter (MS-OXCFXICS 2.2.2.3). Here is only one replica.
    predecessors: dict[bytes, int]
    #: Message and change key before the last change, and the moment of that change (for stale reads).
    before: tuple[Message, str, float] | None = None


@dataclass(kw_only=True, slots=True)
class Folder:
    """A folder. Removed items leave a trace, so that a client can be told."""

    id: str
    number: int
    name: str
    parent: "Folder | None"
    #: Microsoft's name for it, such as `inbox`; "" for folders that people made.
    distinguished: str = ""
    folder_class: str = "IPF.Note"
    #: Clients do not show it.
    hidden: bool = False
    entered: int = 0
    changed: int = 0
    change_key: str = ""
    items: dict[str, Item] = field(default_factory=dict)
    #: Id, when it had come, when it left.
    removed: list[tuple[str, int, int]] = field(default_factory=list)
    #: When anything in it last changed (PidTagLocalCommitTimeMax).
    committed: datetime = field(default_factory=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that subscribers may want to hear about."""

    number: int
    kind: str
    time: datetime
    folder: Folder
    item_id: str
    change_key: str
    old_item_id: str = ""
    old_folder: Folder | None = None


#: Microsoft: distinguishedfolderid. Name, parent, what people see, class.
_DISTINGUISHED = (
    ("root", "", "", ""),
    ("msgfolderroot", "root", "Top of Information Store", "IPF.Note"),
    ("inbox", "msgfolderroot", "Inbox", "IPF.Note"),
    ("drafts", "msgfolderroot", "Drafts", "IPF.Note"),
    ("sentitems", "msgfolderroot", "Sent Items", "IPF.Note"),
    ("deleteditems", "msgfolderroot", "Deleted Items", "IPF.Note"),
    ("junkemail", "msgfolderroot", "Junk Email", "IPF.Note"),
    ("outbox", "msgfolderroot", "Outbox", "IPF.Note"),
    ("calendar", "msgfolderroot", "Calendar", "IPF.Appointment"),
    ("contacts", "msgfolderroot", "Contacts", "IPF.Contact"),
    ("tasks", "msgfolderroot", "Tasks", "IPF.Task"),
    ("notes", "msgfolderroot", "Notes", "IPF.StickyNote"),
    ("journal", "msgfolderroot", "Journal", "IPF.Journal"),
    ("searchfolders", "root", "Finder", "IPF.Note"),
    ("recoverableitemsroot", "root", "Recoverable Items", "IPF.Note"),
    ("recoverableitemsdeletions", "recoverableitemsroot", "Deletions", "IPF.Note"),
    ("recoverableitemsversions", "recoverableitemsroot", "Versions", "IPF.Note"),
    ("recoverableitemspurges", "recoverableitemsroot", "Purges", "IPF.Note"),
)


class Mailbox:
    """One mailbox. Whoever reads or writes it holds `lock`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.guid = str(uuid.uuid4())
        #: By which changes that this mailbox made are known.
        self.replica = uuid.uuid4().bytes_le
        self.lock = threading.RLock()
        self.folders: dict[str, Folder] = {}
        self.removed_folders: list[tuple[str, int, int]] = []
        self.items: dict[str, Item] = {}
        #: Items by their first number, and the first number by each id that there ever was.
        self.alive: dict[int, Item] = {}
        self.births: dict[str, int] = {}
        self.events: list[Event] = []
        self.clock = 0
        self.distinguished: dict[str, Folder] = {}
        #: Single item recovery: what is changed or purged stays in Recoverable Items until `forget_recoverable`.
        self.recovers = False
        #: "on premises", where only EWS reaches it, or "cloud", where only Graph does; "" for both.
        self.place = ""
        for name, parent, display_name, folder_class in _DISTINGUISHED:
            self.distinguished[name] = self.create_folder(
                display_name, self.distinguished.get(parent), folder_class=folder_class, distinguished=name
            )

    def create_folder(
        self, name: str, parent: Folder | None, *, folder_class: str = "IPF.Note", distinguished: str = ""
    ) -> Folder:
        """Make a folder."""
        moment = self._tick()
        folder = Folder(
            id=ids.folder_id(self.guid, moment),
            number=moment,
            name=name,
            parent=parent,
            distinguished=distinguished,
            folder_class=folder_class,
            entered=moment,
            changed=moment,
            change_key=ids.change_key(self.guid, moment, folder=True),
        )
        self.folders[folder.id] = folder
        return folder

    def children(self, folder: Folder) -> list[Folder]:
        """The folders directly below this one."""
        return [each for each in self.folders.values() if each.parent is folder]

    def below(self, folder: Folder) -> Iterator[Folder]:
        """All folders below this one, at any depth."""
        for child in self.children(folder):
            yield child
            yield from self.below(child)

    def rename_folder(self, folder: Folder, name: str, parent: Folder | None) -> None:
        """Give a folder another name, or another parent."""
        folder.name, folder.parent = name, parent
        folder.changed = self._tick()
        folder.change_key = ids.change_key(self.guid, folder.changed, folder=True)

    def remove_folder(self, folder: Folder) -> None:
        """Remove a folder with all that is in it."""
        for child in self.children(folder):
            self.remove_folder(child)
        for item in list(folder.items.values()):
            self.remove(item)
        del self.folders[folder.id]
        self.removed_folders.append((folder.id, folder.entered, self._tick()))

    def add(self, message: Message, folder: Folder, *, event: str = "CreatedEvent") -> Item:
        """Put a message into a folder. Without an `event`, nobody hears of it."""
        moment = self._tick()
        item = Item(
            id=ids.item_id(self.guid, folder.number, moment),
            number=moment,
            folder=folder,
            message=message,
            created=now(),
            modified=now(),
            entered=moment,
            changed=moment,
            read_changed=moment,
            change_key=ids.change_key(self.guid, moment),
            born=moment,
            predecessors={self.replica: moment},
        )
        folder.items[item.id] = self.items[item.id] = self.alive[moment] = item
        self.births[item.id] = moment
        if event:
            self._tell(event, item)
        return item

    def deliver(self, message: Message, folder: Folder) -> Item:
        """Put a new message into a folder, as transport does: those who listen hear of it twice."""
        item = self.add(message, folder)
        self._tell("NewMailEvent", item)
        return item

    def copy(self, item: Item, folder: Folder) -> Item:
        """Put a second, equal item into a folder; its attachments get ids of their own."""
        copied = self.add(duplicate(item.message), folder, event="CopiedEvent")
        copied.created = item.created
        return copied

    def move(self, item: Item, folder: Folder) -> Item:
        """Move an item. It gets a new id, and so do its attachments (Microsoft: moveitem-operation)."""
        self._take_out(item)
        moment = self._tick()
        old_id, old_folder = item.id, item.folder
        item.id, item.number, item.folder = ids.item_id(self.guid, folder.number, moment), moment, folder
        item.entered = item.changed = item.read_changed = moment
        item.change_key = ids.change_key(self.guid, moment)
        item.predecessors[self.replica] = moment
        item.before = None
        folder.items[item.id] = self.items[item.id] = self.alive[item.born] = item
        self.births[item.id] = item.born
        self._tell("MovedEvent", item, old_id=old_id, old_folder=old_folder)
        return item

    def remove(self, item: Item) -> None:
        """Remove an item for good."""
        self._take_out(item)
        self._tell("DeletedEvent", item)

    def purge(self, item: Item) -> None:
        """Remove an item as HardDelete does: with single item recovery, it is out of its owner's reach and no more."""
        purges = self.distinguished["recoverableitemspurges"]
        if self.recovers and item.folder is not purges:
            self.move(item, purges)
        else:
            self.remove(item)

    def keep_version(self, item: Item) -> None:
        """Copy-on-write: with single item recovery, a message stays in Versions as it was before a change.

        Of drafts nothing is kept, nor of what lies in Recoverable Items already.
        """
        root = self.distinguished["recoverableitemsroot"]
        if self.recovers and not item.message.draft and item.folder.parent is not root:
            self.add(duplicate(item.message), self.distinguished["recoverableitemsversions"], event="")

    def forget_recoverable(self) -> None:
        """What the Managed Folder Assistant does when the retention of deleted items is over."""
        for folder in self.below(self.distinguished["recoverableitemsroot"]):
            for item in list(folder.items.values()):
                self.remove(item)

    def changing(self, item: Item) -> Message:
        """The item's message, for the caller to change at once; the item has a new change key afterwards."""
        item.before = (duplicate(item.message), item.change_key, time.monotonic())
        self._stamp(item)
        item.changed = self.clock
        item.modified = now()
        self._tell("ModifiedEvent", item)
        return item.message

    def set_read(self, item: Item, *, read: bool, keep_change_key: bool = False) -> None:
        """Mark an item as read or unread: a change of its own kind (Microsoft: readflagchange)."""
        item.message.read = read
        change_key = item.change_key
        self._stamp(item)
        item.read_changed = self.clock
        if keep_change_key:
            item.change_key = change_key
        self._tell("ModifiedEvent", item)

    def _take_out(self, item: Item) -> None:
        del item.folder.items[item.id], self.items[item.id], self.alive[item.born]
        item.folder.removed.append((item.id, item.entered, self._tick()))
        item.folder.committed = now()

    def _stamp(self, item: Item) -> None:
        item.change_key = ids.change_key(self.guid, self._tick())
        item.predecessors[self.replica] = self.clock

    def _tick(self) -> int:
        self.clock += 1
        return self.clock

    def _tell(self, kind: str, item: Item, *, old_id: str = "", old_folder: Folder | None = None) -> None:
        item.folder.committed = now()
        self.events.append(
            Event(
                number=self._tick(),
                kind=kind,
                time=now(),
                folder=item.folder,
                item_id=item.id,
                change_key=item.change_key,
                old_item_id=old_id,
                old_folder=old_folder,
            )
        )


def duplicate(message: Message) -> Message:
    """An equal message that shares only what never changes."""
    twin = copy.copy(message)
    twin.attachments = [
        replace(each, message=duplicate(each.message)) if each.message else each for each in message.attachments
    ]
    for name in ("headers", "to", "cc", "bcc", "reply_to", "categories", "extended"):
        setattr(twin, name, copy.copy(getattr(message, name)))
    return twin
