"""A share in memory: the world (`MemoryShare`) and the adapter that looks at it (`MemoryShareSource`).

It behaves as a drive of SharePoint does: the id of a file stays when it is moved or renamed; every change gives a new
version, and one of the content a new content version; a deleted file goes to the recycle bin; no two files of one
folder have one name; and each of our own writes comes back through the change feed.
"""

import io
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from connector import marker as markers
from connector.errors import Conflict, Gone, Rejected, Unavailable
from connector.model import Body, File, Item, Notice, Page, SharedFile
from connector.rewrite import pointer as pointers
from connector.sources.shelfless import Shelfless
from connector.spool import Spool

_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """One file as the share keeps it."""

    id: str
    name: str
    folder: str
    content: bytes
    sender: str
    #: The place in the change feed when anything of it changed last, and when its bytes did.
    changed: int
    written: int
    busy: bool = False


@dataclass
class MemoryShare:
    """One share, with the acts of its users as methods. Raises Gone where an act names a file that is not there."""

    address: str = "Projects/General"
    key: str = "b!c1a7e0"
    #: Who shares it, by address; None: that is not told.
    members: frozenset[str] | None = None
    #: While set, every call of an adapter fails with it: the server throttles.
    busy: timedelta | None = None
    entries: dict[str, SharedEntry] = field(default_factory=dict)
    #: What was deleted, by id.
    bin: dict[str, SharedEntry] = field(default_factory=dict)
    _serial: int = 0
    _feed: int = 0

    def upload(
        self, name: str, content: bytes, folder: str = "General", *, sender: str = "anna@example.org", id_: str = ""
    ) -> str:
        """A file of this name, new or with new content. Returns its id."""
        there = self.named(name, folder)
        serial = self._next()
        if there:
            self.entries[there.id] = replace(there, content=content, sender=sender, changed=serial, written=serial)
            return there.id
        entry = SharedEntry(id_ or f"drive-item-{serial}", name, folder, content, sender, serial, serial)
        self.entries[entry.id] = entry
        return entry.id

    def edit(self, item_id: str, content: bytes) -> None:
        """Open, change, save."""
        entry = self.entry(item_id)
        self.upload(entry.name, content, entry.folder, sender=entry.sender)

    def move(self, item_id: str, folder: str) -> None:
        """Into another folder, under the same id."""
        self.change(item_id, lambda entry: replace(entry, folder=folder))

    def rename(self, item_id: str, name: str) -> None:
        """Under the same id."""
        self.change(item_id, lambda entry: replace(entry, name=name))

    def open_in_office(self, item_id: str, *, busy: bool = True) -> None:
        """Somebody works on it, or no longer does."""
        self.change(item_id, lambda entry: replace(entry, busy=busy))

    def copy(self, item_id: str, folder: str) -> str:
        """Returns the id of the copy."""
        entry = self.entry(item_id)
        return self.upload(entry.name, entry.content, folder)

    def delete(self, item_id: str) -> None:
        """Into the recycle bin."""
        self.bin[item_id] = self.entry(item_id)
        del self.entries[item_id]

    def change(self, item_id: str, how: Callable[[SharedEntry], SharedEntry]) -> None:
        """Anything but the bytes."""
        self.entries[item_id] = replace(how(self.entry(item_id)), changed=self._next())

    def lose_cursors(self) -> None:
        """The server forgets every cursor that it gave out."""
        self._feed += 1

    def entry(self, item_id: str) -> SharedEntry:
        """What is kept under this id. Raises Gone."""
        try:
            return self.entries[item_id]
        except KeyError:
            raise Gone(f"the share {self.address} has no file with the id {item_id}") from None

    def named(self, name: str, folder: str) -> SharedEntry | None:
        """The file of this name in a folder, in any case."""
        known = (each for each in self.entries.values() if each.folder == folder)
        return next((each for each in known if each.name.casefold() == name.casefold()), None)

    def cursor(self, changed: int = 0) -> str:
        """The cursor that stands behind this place in the change feed."""
        return f"{self._feed}:{changed}"

    def since(self, cursor: str | None) -> int:
        """The place in the change feed that a cursor names; the beginning where it is None or unknown."""
        feed, _, changed = (cursor or "").partition(":")
        return int(changed) if feed == str(self._feed) and changed.isdecimal() else 0

    def _next(self) -> int:
        self._serial += 1
        return self._serial


class MemoryShareSource(Shelfless):
    """The adapter: the port over a `MemoryShare`. It keeps nothing itself."""

    returnable = None
    server = "memory"

    def __init__(self, share: MemoryShare, page_size: int = 3) -> None:
        """Pages are small, so that few files already make several."""
        self._share = share
        self._page_size = page_size
        self.key = share.key
        self.members = share.members
        self.address = share.address

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`."""
        since = self._reached().since(cursor)
        while True:
            entries = sorted(self._reached().entries.values(), key=lambda entry: entry.changed)
            new = [entry for entry in entries if entry.changed > since]
            page = new[: self._page_size]
            since = page[-1].changed if page else since
            yield Page(tuple(_listed(entry) for entry in page), self._share.cursor(since))
            if len(new) <= self._page_size:
                return

    def recent(self, since: datetime) -> Iterator[Page]:  # noqa: ARG002 - a drive cannot be asked so
        """See `Source.recent`."""
        return self.changes(None)

    def fetch(self, item_id: str) -> SharedFile:
        """See `Source.fetch`. By its own id, or by that of its pointer."""
        entry = self._reached().entry(item_id)
        told = pointers.read(entry.content)
        if told is None:
            beside = self._pointer_of(entry)
            return _item(entry, *beside) if beside else _item(entry)
        original = self._share.entries.get(told.original) or self._share.named(told.name, entry.folder)
        return _item(original, entry, told)

    @contextmanager
    def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:  # noqa: ARG002 - the item is the file
        """See `Source.open`."""
        yield io.BytesIO(self._reached().entry(file_id).content)

    def rewrite(self, item: Item, notice: Notice) -> None:
        """See `Source.rewrite`: a pointer stands beside the file; or it says by its name what became of that."""
        if notice.ended:
            entry = self._reached().entry(item.pointer)
            told = pointers.read(entry.content)
            assert told
            names = pointers.names(told.name, notice.ended)
            renamed = next(name for name in names if self._share.named(name, item.folder) in (None, entry))
            self._share.change(item.pointer, lambda each: replace(each, name=renamed))
            return
        self._unchanged(item)
        (file,), (url,) = item.files, notice.urls
        pointer = pointers.Pointer(url=url, marker=notice.marker, original=file.id, name=file.name)
        if item.pointer:
            self._share.edit(item.pointer, pointers.written(pointer))
            return
        free = (name for name in pointers.names(file.name) if not self._share.named(name, item.folder))
        self._share.upload(next(free), pointers.written(pointer), item.folder)

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:  # noqa: ARG002 - both go
        """See `Source.retract`: the pointer goes."""
        self._unchanged(item)
        if item.pointer and markers.names(item.marker) == redirect_id:
            with suppress(Gone):
                self._share.delete(item.pointer)

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """See `Source.prune`: the file goes to the recycle bin."""
        for file_id in file_ids:
            with suppress(Gone):
                entry = self._reached().entry(file_id)
                if str(entry.changed) != item.version:
                    raise Conflict("the file changed since it was read")
                self._share.delete(file_id)

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """See `Source.put_back`: beside its pointer."""
        folder = self._reached().entry(item.pointer or item.id).folder
        if self._share.named(file.name, folder):
            raise Rejected(f"the share {self.address} has another file of that name by now")
        content.content.seek(0)
        self._share.upload(file.name, content.content.read(), folder)

    def find(self, redirect_id: str) -> tuple[SharedFile, ...]:
        """See `Source.find`."""
        ids = [entry.id for entry in self._reached().entries.values() if pointers.read(entry.content)]
        items = (self.fetch(item_id) for item_id in ids)
        return tuple(replace(item, body=None) for item in items if markers.names(item.marker) == redirect_id)

    def _pointer_of(self, entry: SharedEntry) -> tuple[SharedEntry, pointers.Pointer] | None:
        """The pointer that stands beside a file. The names that it may have are tried until one is not there."""
        for name in pointers.names(entry.name):
            beside = self._share.named(name, entry.folder)
            if beside is None:
                return None
            told = pointers.read(beside.content)
            if told and told.original == entry.id:
                return beside, told
        return None

    def _unchanged(self, item: Item) -> None:
        now = self.fetch(item.pointer or item.id)
        if now.version != item.version:
            raise Conflict(f"a file of the share {self.address} changed since it was read")

    def _reached(self) -> MemoryShare:
        if self._share.busy is not None:
            raise Unavailable(f"the share {self.address} is busy", self._share.busy)
        return self._share


def _listed(entry: SharedEntry) -> SharedFile:
    told = pointers.read(entry.content)
    return replace(_item(None, entry, told), body=None) if told else _item(entry)


def _item(
    entry: SharedEntry | None, pointer: SharedEntry | None = None, told: pointers.Pointer | None = None
) -> SharedFile:
    """A file and its pointer, of which one at least is there."""
    seen = entry or pointer
    assert seen
    return SharedFile(
        id=entry.id if entry else told.original if told else seen.id,
        version=str(seen.changed),
        folder=seen.folder,
        sender=seen.sender,
        received=_START + timedelta(minutes=seen.changed),
        busy=seen.busy,
        files=(_file(entry),) if entry else (),
        pointer=pointer.id if pointer else "",
        marker=told.marker if told else "",
        body=Body(f"{pointer.name}\n{told.url}", html=False) if pointer and told else None,
    )


def _file(entry: SharedEntry) -> File:
    return File(id=entry.id, name=entry.name, size=len(entry.content), version=str(entry.written))
