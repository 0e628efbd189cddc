"""A mailbox in memory: the world (`MemoryMailbox`) and the adapter that looks at it (`MemorySource`).

The world can be copied, pickled and kept while the adapter is thrown away and built again, which is what a restart is.
It behaves as Exchange does where that is unpleasant: an item has a new id, and new file ids, after a move; every change
gives a new version; what is announced as a file's size is not its byte count; each of our own writes comes back through
the change feed; and ids are never used twice.
"""

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, BinaryIO

from connector import marker as markers
from connector import rewrite as bodies
from connector.errors import Conflict, FileGone, Gone, Rejected, Unavailable
from connector.model import Body, Direction, File, FileKind, Item, Letter, Message, Notice, Page, Room
from connector.spool import Spool

#: Their items are not in the change feed, as with every mail source.
OUT_OF_SCOPE = ("Deleted Items", "Drafts", "Junk Email", "Outbox", "Recoverable Items")
#: What a server adds to the byte count when it announces a size.
OVERHEAD = 300
_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that a user attaches to a message."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    kind: FileKind = FileKind.FILE
    inline: bool = False
    content_id: str = ""
    content_location: str = ""


@dataclass(slots=True)
class Entry:
    """One message as the mailbox keeps it: the message with its body, the bytes of its files, what only users see."""

    message: Message
    contents: dict[str, bytes]
    #: The place in the change feed; grows with every change.
    changed: int
    read: bool = False
    categories: tuple[str, ...] = ()
    #: The redirect on whose shelf it lies, where no user sees it; "" for all others.
    shelf: str = ""


@dataclass
class MemoryMailbox:
    """One mailbox, with the acts of its user as methods. Raises Gone where an act names an item that is not there."""

    address: str = "anna@example.org"
    key: str = "6f1b1a52-8d0c-4f0e-9f5e-0d6a3c1e7b11"
    #: While set, every call of an adapter fails with it: the server throttles.
    busy: timedelta | None = None
    #: What the server keeps of deleted messages, and of messages before an edit of ours.
    recoverable: int = field(default=0, compare=False)
    quota: int = 30 * 1024**3
    #: The largest file that it takes back.
    returnable: int | None = None
    _entries: dict[str, Entry] = field(default_factory=dict)
    _serial: int = 0
    #: Names the change feed; a cursor of another feed is unknown.
    _feed: int = 0

    def deliver(self, *files: Attached, read: bool = False, categories: tuple[str, ...] = (), **message: Any) -> str:
        """A message arrives; `message` overrides fields of `Message`. Returns its id."""
        serial = self._next()
        contents = {f"file-{self._next()}": file for file in files}
        arrived: dict[str, Any] = {
            "id": f"item-{serial}",
            "version": "",
            "internet_message_id": f"<{serial}@example.org>",
            "folder": "Inbox",
            "subject": f"Message {serial}",
            "sender": "bert@example.net",
            "recipients": (self.address,),
            "received": _START + timedelta(minutes=serial),
            "direction": Direction.INCOMING,
            "files": tuple(_listed(id_, file) for id_, file in contents.items()),
            "body": Body("<html><body><p>Hello</p></body></html>", html=True),
        }
        entry = Entry(
            Message(**(arrived | message)), {id_: file.content for id_, file in contents.items()}, 0, read, categories
        )
        self._entries[entry.message.id] = entry
        self._changed(entry.message.id)
        return entry.message.id

    def move(self, item_id: str, folder: str) -> str:
        """Returns the new id; the old one is gone."""
        moved = self.copy(item_id, folder)
        del self._entries[item_id]
        return moved

    def copy(self, item_id: str, folder: str = "Inbox") -> str:
        """The copy carries the marker too; it lies on no shelf. Returns its id."""
        old = self.entry(item_id)
        files = {file.id: replace(file, id=f"file-{self._next()}") for file in old.message.files}
        message = replace(old.message, id=f"item-{self._next()}", folder=folder, files=tuple(files.values()))
        contents = {files[id_].id: content for id_, content in old.contents.items()}
        self._entries[message.id] = replace(old, message=message, contents=contents, shelf="")
        self._changed(message.id)
        return message.id

    def delete(self, item_id: str) -> None:
        """For good; `move` to Deleted Items is what the Delete key does."""
        self.keep_version(item_id)
        del self._entries[item_id]

    def keep_version(self, item_id: str) -> None:
        """The server keeps, for a while, what the message is now."""
        self.recoverable += sum(len(content) for content in self.entry(item_id).contents.values())

    def edit_body(self, item_id: str, content: str) -> None:
        """The user opens the message, edits it and saves it."""
        body = self.entry(item_id).message.body
        assert body is not None
        self.change(item_id, body=replace(body, content=content))

    def attach(self, item_id: str, file: Attached) -> str:
        """Returns the id of the new file."""
        entry = self.entry(item_id)
        listed = _listed(f"file-{self._next()}", file)
        entry.contents[listed.id] = file.content
        self.change(item_id, files=(*entry.message.files, listed))
        return listed.id

    def detach(self, item_id: str, file_id: str) -> None:
        """Absent counts as removed."""
        entry = self.entry(item_id)
        if entry.contents.pop(file_id, None) is not None:
            self.change(item_id, files=tuple(file for file in entry.message.files if file.id != file_id))

    def mark_read(self, item_id: str, *, read: bool = True) -> None:
        """The user opens the message, or marks it unread again."""
        self.entry(item_id).read = read
        self._changed(item_id)

    def categorise(self, item_id: str, *categories: str) -> None:
        """The user gives the message these categories, and no others."""
        self.entry(item_id).categories = categories
        self._changed(item_id)

    def change(self, item_id: str, **message: Any) -> None:
        """Replace fields of the message: one save, one new version."""
        entry = self.entry(item_id)
        entry.message = replace(entry.message, **message)
        self._changed(item_id)

    def lose_cursors(self) -> None:
        """The server forgets every cursor that it gave out."""
        self._feed += 1

    def items(self) -> tuple[Message, ...]:
        """Every message of every folder, with its body, in the order of their last change."""
        return tuple(entry.message for entry in self.entries())

    def entries(self) -> tuple[Entry, ...]:
        """The same, with all that the mailbox keeps."""
        return tuple(sorted(self._entries.values(), key=lambda entry: entry.changed))

    def entry(self, item_id: str) -> Entry:
        """What is kept under this id. Raises Gone."""
        try:
            return self._entries[item_id]
        except KeyError:
            raise Gone(f"mailbox {self.address} has no item with the id {item_id}") from None

    def cursor(self, changed: int = 0) -> str:
        """The cursor that stands behind this place in the change feed."""
        return f"{self._feed}:{changed}"

    def since(self, cursor: str | None) -> int:
        """The place in the change feed that a cursor names; the beginning where it is None or unknown."""
        feed, _, changed = (cursor or "").partition(":")
        return int(changed) if feed == str(self._feed) and changed.isdecimal() else 0

    def _changed(self, item_id: str) -> None:
        entry = self._entries[item_id]
        entry.changed = self._next()
        entry.message = replace(entry.message, version=f"version-{entry.changed}")

    def _next(self) -> int:
        self._serial += 1
        return self._serial


class MemorySource:
    """The adapter: the port over a `MemoryMailbox`. It keeps nothing itself."""

    #: Its address says whose it is.
    members = None

    def __init__(self, mailbox: MemoryMailbox, page_size: int = 3) -> None:
        """Pages are small, so that few messages already make several."""
        self._mailbox = mailbox
        self._page_size = page_size
        self.key = mailbox.key
        self.address = mailbox.address
        self.returnable = mailbox.returnable
        self.server = "memory"

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`. There is always a last page, so that also an empty mailbox has a cursor."""
        since = self._reached().since(cursor)
        while True:
            new = [entry for entry in self._reached().entries() if entry.changed > since and _in_scope(entry)]
            page = new[: self._page_size]
            since = page[-1].changed if page else since
            yield Page(tuple(_without_body(_told(entry)) for entry in page), self._mailbox.cursor(since))
            if len(new) <= self._page_size:
                return

    def recent(self, since: datetime) -> Iterator[Page]:
        """See `Source.recent`."""
        for page in self.changes(None):
            yield Page(
                tuple(each for each in page.items if each.files and each.received and each.received >= since), ""
            )

    def fetch(self, item_id: str) -> Message:
        """See `Source.fetch`."""
        return _read(self._reached().entry(item_id))

    @contextmanager
    def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:
        """See `Source.open`."""
        contents = self._reached().entry(item_id).contents
        if file_id not in contents:
            raise FileGone(f"an item of mailbox {self.address} has no file with the id {file_id}")
        yield io.BytesIO(contents[file_id])

    @contextmanager
    def original(self, item_id: str) -> Iterator[BinaryIO]:
        """See `Source.original`."""
        entry = self._reached().entry(item_id)
        written = EmailMessage()
        written["Message-ID"], written["Subject"] = entry.message.internet_message_id, entry.message.subject
        if entry.message.body:
            written.set_content(entry.message.body.content, subtype="html" if entry.message.body.html else "plain")
        for file in entry.message.files:
            written.add_attachment(entry.contents[file.id], "application", "octet-stream", filename=file.name)
        yield io.BytesIO(written.as_bytes())

    def rewrite(self, item: Item, notice: Notice) -> None:
        """See `Source.rewrite`."""
        self._write(item, bodies.insert(item.body, notice), notice.marker)

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
        """See `Source.retract`."""
        body = item.body and bodies.remove(item.body, redirect_id)
        ours = markers.names(item.marker) == redirect_id and not keep_marker
        self._write(item, body, "" if ours else item.marker)

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """See `Source.prune`."""
        entry = self._reached().entry(item.id)
        kept = {id_: content for id_, content in entry.contents.items() if id_ not in file_ids}
        if len(kept) < len(entry.contents):
            self._require_unchanged(item)
            self._mailbox.keep_version(item.id)
            entry.contents = kept
            self._mailbox.change(item.id, files=tuple(file for file in entry.message.files if file.id in kept))

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """See `Source.put_back`."""
        self._reached().entry(item.id)
        if file.kind is not FileKind.FILE:
            raise Rejected(f"an attached message of mailbox {self.address} cannot be attached again as what it was")
        if self.returnable is not None and content.size > self.returnable:
            raise Rejected(f"mailbox {self.address} takes no file of this size")
        content.content.seek(0)
        back = Attached(
            file.name,
            content.content.read(),
            file.content_type,
            file.kind,
            inline=file.inline,
            content_id=file.content_id,
            content_location=file.content_location,
        )
        self._mailbox.attach(item.id, back)

    def room(self) -> Room:
        """See `Source.room`."""
        mailbox = self._reached()
        return Room(mailbox.recoverable, mailbox.quota)

    def find(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.find`."""
        items = [_told(entry) for entry in self._reached().entries() if not entry.shelf]
        return tuple(_without_body(item) for item in items if markers.names(item.marker) == redirect_id)

    def tell(self, letter: Letter) -> None:
        """See `Source.tell`."""
        self._reached().deliver(
            marker=letter.marker,
            internet_message_id=letter.internet_message_id,
            subject=letter.subject,
            sender=self.address,
            body=Body(letter.text, html=False),
        )

    def shelf(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.shelf`."""
        return tuple(_read(entry) for entry in self._reached().entries() if entry.shelf == redirect_id)

    def stage(self, item_id: str, redirect_id: str) -> str:
        """See `Source.stage`."""
        return self._put_on_shelf(self._reached().copy(item_id, ""), redirect_id)

    def shelve(self, item_id: str, redirect_id: str) -> str:
        """See `Source.shelve`."""
        return self._put_on_shelf(self._reached().move(item_id, ""), redirect_id)

    def unshelve(self, item_id: str, beside: str) -> str:
        """See `Source.unshelve`."""
        return self._reached().move(item_id, self._mailbox.entry(beside).message.folder)

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:  # noqa: ARG002 - an empty shelf is nothing
        """See `Source.purge`."""
        mailbox = self._reached()
        for item_id in item_ids:
            with suppress(Gone):
                mailbox.delete(item_id)

    def _put_on_shelf(self, item_id: str, redirect_id: str) -> str:
        self._mailbox.entry(item_id).shelf = redirect_id
        return item_id

    def _write(self, item: Item, body: Body | None, marker: str) -> None:
        now = self._require_unchanged(item)
        if (body, marker) != (now.body, now.marker):
            self._mailbox.keep_version(item.id)
            self._mailbox.change(item.id, body=body, marker=marker)

    def _require_unchanged(self, item: Item) -> Message:
        now = self._reached().entry(item.id).message
        if now.version != item.version:
            raise Conflict(f"an item of mailbox {self.address} changed since it was read")
        return now

    def _reached(self) -> MemoryMailbox:
        if self._mailbox.busy is not None:
            raise Unavailable(f"mailbox {self.address} is busy", self._mailbox.busy)
        return self._mailbox


def _listed(id_: str, file: Attached) -> File:
    return File(
        id=id_,
        name=file.name,
        size=len(file.content) + OVERHEAD,
        content_type=file.content_type,
        kind=file.kind,
        inline=file.inline,
        content_id=file.content_id,
        content_location=file.content_location,
        version=f"{id_}-written",
    )


def _read(entry: Entry) -> Message:
    return replace(_told(entry), touched=repr((entry.read, entry.categories)))


def _told(entry: Entry) -> Message:
    size = entry.message.size or sum(map(len, entry.contents.values()))
    return replace(entry.message, read=entry.read, categories=entry.categories, size=size, in_scope=_in_scope(entry))


def _in_scope(entry: Entry) -> bool:
    return not entry.shelf and entry.message.folder.split("/")[0] not in OUT_OF_SCOPE


def _without_body(message: Message) -> Message:
    return replace(message, body=None)
