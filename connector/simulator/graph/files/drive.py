"""A drive: its items with their versions, its recycle bin, and the log of what changed.

Whoever reads or writes a drive holds its `lock`; the methods for people (`upload`, `edit`, ...) take it themselves.
"""

import base64
import secrets
import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Never

from connector.simulator.content import Content
from connector.simulator.graph.files.names import LONGEST_PATH, is_allowed
from connector.simulator.graph.files.quickxor import quick_xor
from connector.simulator.graph.message import Refused
from connector.simulator.mailbox import now


@dataclass(kw_only=True, slots=True, eq=False)
class Version:
    """What a file held once, or holds now."""

    label: str
    content: Content
    modified: datetime
    #: The address of whoever wrote it; "" is the app.
    by: str
    #: The moment (time.monotonic) it was written.
    written: float = field(default_factory=time.monotonic)
    _hash: str = ""

    @property
    def hash(self) -> str:
        """Its quickXorHash."""
        self._hash = self._hash or quick_xor(self.content.chunks())
        return self._hash


@dataclass(kw_only=True, slots=True, eq=False)
class Permission:
    """That somebody may read or write an item and all that is below it."""

    roles: tuple[str, ...]
    #: The addresses of those who may; a link for everybody in the organisation has none.
    people: tuple[str, ...] = ()
    #: `view` or `edit`, where it is a link.
    link: str = ""
    #: The name of a group of the site.
    group: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass(kw_only=True, slots=True, eq=False)
class DriveItem:
    """A file (with `versions`, the newest last) or a folder (with `children`)."""

    id: str
    guid: str
    name: str
    parent: "DriveItem | None"
    created: datetime
    modified: datetime
    created_by: str
    modified_by: str
    #: The moment of the drive's clock at which it last changed.
    changed: int = 0
    #: What eTag and cTag count.
    revision: int = 1
    content_revision: int = 1
    versions: list[Version] = field(default_factory=list)
    #: By their names in lower case: SharePoint knows no case.
    children: dict[str, "DriveItem"] | None = None
    permissions: list[Permission] = field(default_factory=list)
    #: Whether the permissions of its folder count too.
    inherits: bool = True
    #: Who has checked it out: None is nobody, "" is the app.
    checked_out_by: str | None = None
    #: Somebody has it open in a program that locks it.
    locked: bool = False
    #: The retention label, and whether it forbids to change and to delete it.
    label: str = ""
    retained: bool = False
    #: What was found in it.
    malware: str = ""
    #: Its downloads give a page of SharePoint in its place.
    stub: bool = False

    @property
    def etag(self) -> str:
        """Differs after every change (facts, B4)."""
        return f'"{{{self.guid.upper()}}},{self.revision}"'

    @property
    def ctag(self) -> str:
        """Differs after every change of the content (facts, B4)."""
        return f'"c:{{{self.guid.upper()}}},{self.content_revision}"'

    @property
    def is_folder(self) -> bool:
        """Whether it holds other items."""
        return self.children is not None

    @property
    def version(self) -> Version:
        """The present version of a file."""
        return self.versions[-1]

    @property
    def size(self) -> int:
        """The bytes of a file; those of all files in a folder."""
        if self.children is None:
            return self.version.content.size
        return sum(child.size for child in self.children.values())

    @property
    def path(self) -> str:
        """The path below the root of the drive."""
        if self.parent is None:
            return ""
        above = self.parent.path
        return f"{above}/{self.name}" if above else self.name

    def is_below(self, folder: "DriveItem") -> bool:
        """Whether it is this folder, or in it at any depth."""
        return self is folder or (self.parent is not None and self.parent.is_below(folder))

    def below(self) -> Iterator["DriveItem"]:
        """All items in it, at any depth, folders before what is in them."""
        for child in [*(self.children or {}).values()]:
            yield child
            yield from child.below()


def refuse(status: HTTPStatus, code: str, says: str) -> Never:
    """Tell what is wrong, as Graph does."""
    raise Refused(status, code, says)


class Drive:
    """A document library, or somebody's OneDrive."""

    def __init__(self, name: str, *, kind: str = "documentLibrary", owner: str = "", url: str = "") -> None:
        self.name, self.kind, self.owner, self.url = name, kind, owner, url
        ids = [uuid.uuid4() for _ in range(3)]
        #: Those of the site, the web and the list.
        self.site_guid, self.web_guid, self.list_guid = (str(each) for each in ids)
        self.id = "b!" + base64.urlsafe_b64encode(b"".join(each.bytes_le for each in ids)).decode("ascii")
        self.lock = threading.RLock()
        self.clock = 0
        self.created = now()
        self.items: dict[str, DriveItem] = {}
        self.recycled: dict[str, DriveItem] = {}
        #: Moment and id of each change, in their order. Only the last one of an item counts.
        self.log: list[tuple[int, str]] = []
        #: What left the drive.
        self.gone: dict[str, DriveItem] = {}
        self.root = self._new("root", None, owner, folder=True)

    # --- for the protocol --------------------------------------------------------------------------------------------

    def since(self, moment: int) -> Iterator[DriveItem]:
        """What changed after a moment, in the order of its last change; `gone` knows whether it left."""
        for changed, identifier in self.log[bisect_right(self.log, (moment, "\uffff")) :]:
            item = self.items.get(identifier) or self.gone.get(identifier)
            if item is not None and item.changed == changed:
                yield item

    def find(self, identifier: str) -> DriveItem:
        """The item with this id. Ids are told in upper case, and have no case."""
        item = self.root if identifier.lower() == "root" else self.items.get(identifier.upper())
        if item is None:
            refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "The resource could not be found.")
        return item

    def put(
        self, folder: DriveItem, name: str, content: Content, by: str, *, conflict: str = "replace"
    ) -> tuple[DriveItem, bool]:
        """Write a file into a folder; whether it is new. `conflict`: fail, replace or rename."""
        there = self._children(folder).get(name.casefold())
        if there is not None and conflict == "replace":
            self.write(there, content, by)
            return there, False
        item = self._new(self.free_name(folder, name, conflict), folder, by)
        item.versions = [Version(label="1.0", content=content, modified=item.modified, by=by)]
        return item, True

    def make_folder(self, folder: DriveItem, name: str, by: str, *, conflict: str = "fail") -> DriveItem:
        """Make a folder in a folder."""
        return self._new(self.free_name(folder, name, conflict), folder, by, folder=True)

    def write(self, item: DriveItem, content: Content, by: str) -> None:
        """New content for a file; the old one stays as a version (facts, B4)."""
        if item.is_folder:
            refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "A folder has no content.")
        self.guard(item, by)
        number = int(item.version.label.partition(".")[0]) + 1
        item.versions.append(Version(label=f"{number}.0", content=content, modified=now(), by=by))
        item.content_revision += 1
        self.touch(item, by)

    def place(self, item: DriveItem, folder: DriveItem, name: str, by: str, *, conflict: str = "fail") -> None:
        """Move or rename an item. Its id stays."""
        self.guard(item, by)
        if item.parent is None or folder.is_below(item):
            refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "The item cannot be moved there.")
        if self._children(folder).get(name.casefold()) is not item:
            name = self.free_name(folder, name, conflict)
        del self._children(item.parent)[item.name.casefold()]
        item.parent, item.name = folder, name
        self._children(folder)[name.casefold()] = item
        self.touch(item, by)

    def recycle(self, item: DriveItem, by: str = "") -> None:
        """Into the recycle bin, with all that is in it."""
        self._leave(item, by)
        self.recycled[item.id] = item

    def purge(self, item: DriveItem, by: str = "") -> None:
        """Delete for good, past the recycle bin."""
        self._leave(item, by)

    def restore(self, item: DriveItem, folder: DriveItem | None, name: str) -> None:
        """Out of the recycle bin, under the same id. Raises Refused where its folder is gone."""
        target = folder or item.parent
        if target is None or target.id not in self.items:
            refuse(HTTPStatus.CONFLICT, "invalidRequest", "The folder of the item is not there any more.")
        item.name = self.free_name(target, name or item.name, "fail")
        item.parent = target
        del self.recycled[item.id]
        self._children(target)[item.name.casefold()] = item
        for each in (item, *item.below()):
            del self.gone[each.id]
            self.items[each.id] = each
            self.touch(each, each.modified_by)

    def guard(self, item: DriveItem, by: str) -> None:
        """Refuse a change of what is locked, checked out by somebody else, or retained (facts, B4)."""
        if item.locked or item.checked_out_by not in (None, by):
            refuse(HTTPStatus.LOCKED, "resourceLocked", "The resource you are attempting to access is locked")
        if item.retained:
            refuse(HTTPStatus.LOCKED, "resourceLocked", "The item has a retention label that does not allow this.")

    def touch(self, item: DriveItem, by: str) -> None:
        """An item has changed."""
        item.revision += 1
        item.modified, item.modified_by = now(), by
        self._log(item)

    def free_name(self, folder: DriveItem, name: str, conflict: str) -> str:
        """The name that something new gets in a folder. Raises Refused where there is none for it."""
        if not is_allowed(name):
            refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "The provided name cannot contain these characters.")
        if len(f"{folder.path}/{name}") > LONGEST_PATH:
            refuse(HTTPStatus.BAD_REQUEST, "pathIsTooLong", "The path is too long.")
        taken = self._children(folder)
        if name.casefold() not in taken:
            return name
        if conflict != "rename":
            refuse(HTTPStatus.CONFLICT, "nameAlreadyExists", "An item with the same name already exists.")
        stem, dot, ending = name.rpartition(".")
        number = 1
        while (free := f"{stem} {number}{dot}{ending}" if stem else f"{name} {number}").casefold() in taken:
            number += 1
        return free

    # --- what people do ----------------------------------------------------------------------------------------------

    def at(self, path: str) -> DriveItem:
        """The item at a path below the root. Raises KeyError where nothing is."""
        item = self.root
        for name in filter(None, path.split("/")):
            item = self._children(item)[name.casefold()]
        return item

    def folder(self, path: str, by: str = "") -> DriveItem:
        """The folder at a path; it is made where it does not exist."""
        item = self.root
        with self.lock:
            for name in filter(None, path.split("/")):
                item = self._children(item).get(name.casefold()) or self.make_folder(item, name, by)
        return item

    def upload(self, path: str, content: bytes | Content, by: str = "") -> str:
        """A file at a path, in place of the one that is there. Answers its id."""
        folder, _, name = path.rpartition("/")
        kept = content if isinstance(content, Content) else Content(content)
        with self.lock:
            return self.put(self.folder(folder, by), name, kept, by)[0].id

    def edit(self, identifier: str, content: bytes | Content, by: str = "") -> None:
        """Open, change, save."""
        with self.lock:
            self.write(self.find(identifier), content if isinstance(content, Content) else Content(content), by)

    def rename(self, identifier: str, name: str, by: str = "") -> None:
        """Under the same id."""
        with self.lock:
            item = self.find(identifier)
            self.place(item, item.parent or self.root, name, by)

    def move(self, identifier: str, folder: str, by: str = "") -> None:
        """To another folder of this drive, under the same id."""
        with self.lock:
            item = self.find(identifier)
            self.place(item, self.folder(folder, by), item.name, by)

    def copy(self, identifier: str, folder: str, by: str = "") -> str:
        """A file with the content of another one, in this folder. Answers its id."""
        with self.lock:
            item = self.find(identifier)
            return self.put(self.folder(folder, by), item.name, item.version.content, by, conflict="rename")[0].id

    def delete(self, identifier: str, by: str = "") -> None:
        """Into the recycle bin."""
        with self.lock:
            self.recycle(self.find(identifier), by)

    def undelete(self, identifier: str) -> None:
        """Out of the recycle bin, to where it was, under the same id."""
        with self.lock:
            self.restore(self.recycled[identifier], None, "")

    def hold(self, identifier: str, **state: Any) -> None:
        """Change what keeps an item from being changed or read: locked, checked_out_by, retained, malware, stub."""
        with self.lock:
            item = self.find(identifier)
            for name, value in state.items():
                setattr(item, name, value)
            self.touch(item, item.modified_by)

    def share(self, identifier: str, *people: str, roles: Iterable[str] = ("write",)) -> str:
        """Let these people, by address, read or write an item. Answers the permission's id."""
        with self.lock:
            item = self.find(identifier)
            permission = Permission(roles=tuple(roles), people=tuple(each.lower() for each in people))
            item.permissions.append(permission)
            self.touch(item, item.modified_by)
            return permission.id

    def _new(self, name: str, parent: DriveItem | None, by: str, *, folder: bool = False) -> DriveItem:
        guid = uuid.uuid4()
        item = DriveItem(
            id="01" + base64.b32encode(uuid.UUID(self.list_guid).bytes[:4] + guid.bytes).decode("ascii"),
            guid=str(guid),
            name=name,
            parent=parent,
            created=now(),
            modified=now(),
            created_by=by,
            modified_by=by,
            children={} if folder else None,
        )
        self.items[item.id] = item
        if parent is not None:
            self._children(parent)[name.casefold()] = item
        self._log(item)
        return item

    def _leave(self, item: DriveItem, by: str) -> None:
        if item.parent is None:
            refuse(HTTPStatus.FORBIDDEN, "accessDenied", "The root cannot be deleted.")
        leaving = [item, *item.below()]
        for each in leaving:
            self.guard(each, by)
        del self._children(item.parent)[item.name.casefold()]
        for each in reversed(leaving):
            del self.items[each.id]
            self.gone[each.id] = each
            self._log(each)

    def _children(self, folder: DriveItem) -> dict[str, DriveItem]:
        if folder.children is None:
            refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "The item is no folder.")
        return folder.children

    def _log(self, item: DriveItem) -> None:
        self.clock += 1
        item.changed = self.clock
        self.log.append((self.clock, item.id))
