"""One drive of SharePoint or OneDrive, with the files of Teams in it, as a `Source`.

An item is one file; its links stand in a pointer beside it (`connector.rewrite.pointer`). Ids of a drive stay when a
file is moved or renamed within it. Of a file that somebody works on, or that has to be kept, nothing is taken.

https://learn.microsoft.com/graph/api/resources/driveitem
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from connector import marker as markers
from connector.errors import Conflict, Denied, Gone, Rejected
from connector.model import Body, File, Item, Notice, Page, SharedFile
from connector.rewrite import pointer as pointers
from connector.sources.graph.connection import JSON, Connection, path
from connector.sources.graph.failures import Barred, Exists, Grief, LostState, Missing
from connector.sources.onward import Onward
from connector.sources.shelfless import Shelfless
from connector.sources.teams.download import Download
from connector.spool import Spool

#: Changes asked for at once.
PAGE = 200
#: What is larger goes up in parts. A PUT takes up to 250 MB, but a part that breaks off costs less.
_WHOLE = 4 * 1024**2
#: Names that the pointer of a file may have, the first of them free.
_NAMES = 20
_FIELDS = (
    *("id", "name", "size", "eTag", "cTag", "file", "folder", "package", "deleted", "root", "remoteItem"),
    *("parentReference", "publication", "lastModifiedBy", "lastModifiedDateTime"),
)
_SELECT = f"$select={','.join(_FIELDS)}"


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of the drive whose files are looked at, with all below it."""

    id: str
    #: Who may open what is in it: addresses.
    members: tuple[str, ...] = ()


class GraphDrive(Shelfless):
    """See `Source`. Nothing is asked of Graph before the first verb."""

    #: An upload session takes 250 GB.
    returnable = None

    def __init__(
        self,
        drive_id: str,
        address: str,
        connection: Connection,
        roots: Callable[[], Collection[Root]],
        *,
        page_size: int = PAGE,
        shares_by_item: bool = False,
    ) -> None:
        """`roots` tells what is looked at by now; nothing at all makes it the whole drive.

        `shares_by_item`: who may open a file is said for each file, as with those of chats, and not by its folder.
        """
        self.key = drive_id
        self.address = address
        #: Not what proves anything about mailboxes there.
        self.server = f"{connection.party.host} (files)"
        self._connection = connection
        self._drive = f"/drives/{quote(drive_id, safe='')}"
        self._find_roots = roots
        self._roots: dict[str, Root] = {}
        self._page_size = page_size
        self._shares_by_item = shares_by_item
        #: Of each folder that was told of: the one above, "" of the topmost, and its name.
        self._folders: dict[str, tuple[str, str]] = {}
        #: The addresses of people who changed files, by their ids.
        self._people: dict[str, str] = {}

    @property
    def members(self) -> Collection[str] | None:
        """See `Source.members`: who may open all of it. Files of chats are shared each with others."""
        roots = self._find_roots()
        if self._shares_by_item or not roots:
            return None
        return frozenset.intersection(*(frozenset(root.members) for root in roots))

    # --- the change feed ---------------------------------------------------------------------------------------------

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`. A cursor is JSON that holds the link that Graph gave. One request a page.

        It begins anew where there is another root: what lies there was told before it was one, and passed over.
        """
        self._look_for_roots()
        link: str = self._known(cursor) or self._beginning
        last = False
        onward = Onward(link, f"the change feed of {self._connection.party.whose} does not get on")
        while not last:
            page = self._page(link)
            items, unread = self._changed(self._connection.listed(page))
            last = "@odata.deltaLink" in page
            link = onward.to(page.get("@odata.deltaLink") or page.get("@odata.nextLink"), last=last)
            yield Page(items, json.dumps({"drive": self.key, "roots": sorted(self._roots), "link": link}), unread)

    @property
    def _beginning(self) -> str:
        return f"{self._drive}/root/delta?{_SELECT}&$top={self._page_size}"

    def _look_for_roots(self) -> None:
        self._roots = {root.id: root for root in self._find_roots()}

    def _page(self, link: str) -> JSON:
        """A page of the feed; where the server has forgotten the place, the first page of a new one."""
        try:
            return self._connection.ask("GET", link).body
        except LostState as lost:
            again = lost.location if self._connection.knows(lost.location) else self._beginning
            return self._connection.ask("GET", again).body
        except Gone:
            # Never a thousand times Gone: a drive that cannot be found may be one that we may not see any more.
            party = self._connection.party
            raise Denied(f"{party.host} does not have {party.whose}: was its team deleted?") from None

    def _known(self, cursor: str | None) -> str | None:
        """The link of a cursor that this adapter made for this drive at this Graph."""
        try:
            told = json.loads(cursor or "")
            ours = told["drive"] == self.key and set(told["roots"]) >= self._roots.keys()
            link = told["link"] if ours else None
        except (ValueError, LookupError, TypeError):
            return None
        return link if isinstance(link, str) and self._connection.knows(link) else None

    def _changed(self, changed: Sequence[JSON]) -> tuple[tuple[SharedFile, ...], tuple[str, ...]]:
        """The files within the roots, and the ids of those that cannot be read now.

        The last word about each counts: a page may tell of one twice.
        """
        last = {each["id"]: each for each in changed}.values()
        for told in last:
            if "folder" in told:
                self._folders.pop(told["id"], None)
                if "deleted" not in told:
                    with suppress(Grief):  # Where it does not tell its place, it is asked for that.
                        self._folders[told["id"]] = _place(told)
        items: list[SharedFile] = []
        unread: list[str] = []
        for told in filter(_is_file, last):
            try:
                items += self._listed(told)
            except (Conflict, Grief):
                # All that came after it must not wait for what somebody has locked, or the server fails at.
                unread.append(str(told["id"]))
            except (Gone, Rejected):
                pass  # It, or its folder, was deleted meanwhile; or it is barred for malware.
        return tuple(items), tuple(unread)

    def _listed(self, told: JSON) -> Iterator[SharedFile]:
        folder, root = self._folder(told["parentReference"]["id"])
        if root is None and self._roots:
            return
        if _may_be_pointer(told) and (pointer := pointers.read(self._content(told))):
            yield replace(self._item(None, told, pointer), body=None)
        else:
            yield self._shared(told, folder, root)

    def _folder(self, folder_id: str) -> tuple[str, Root | None]:
        """Its path below the drive's root, and which of the roots it is or is below."""
        if not self._roots:
            self._look_for_roots()
        names: dict[str, str] = {}
        root, at = None, folder_id
        while at:
            if at in names:
                # What was told of two folders at two times: somebody moved each below the other meanwhile.
                self._folders.clear()
                return self._folder(folder_id)
            root = root or self._roots.get(at)
            above, names[at] = self._above(at)
            at = above
        return "/".join([*names.values()][-2::-1]), root

    def _above(self, folder_id: str) -> tuple[str, str]:
        """The folder above, and the name of this one."""
        if folder_id not in self._folders:
            asked = f"{self._at(folder_id)}?$select=id,name,root,parentReference"
            self._folders[folder_id] = _place(self._connection.one(asked))
        return self._folders[folder_id]

    # --- reading -----------------------------------------------------------------------------------------------------

    def recent(self, since: datetime) -> Iterator[Page]:  # noqa: ARG002 - a drive cannot be asked so
        """See `Source.recent`."""
        return self.changes(None)

    def fetch(self, item_id: str) -> SharedFile:
        """See `Source.fetch`. By its own id, or by that of its pointer. Two requests or more."""
        told = self._told(item_id)
        if not _is_file(told):
            raise Gone(f"{self._connection.party.whose} has no file under this id")
        if _may_be_pointer(told) and (pointer := pointers.read(self._content(told))):
            return self._item(self._original(told, pointer), told, pointer)
        return self._item(told, *self._pointer_of(told))

    @contextmanager
    def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:  # noqa: ARG002 - the item is the file
        """See `Source.open`. Held against the size and hash that Graph tells; goes on where a connection broke off.

        Raises Gone, Conflict where the file changes meanwhile, and Rejected where it is barred for malware or something
        else came in its place.
        """
        told = self._connection.one(self._at(file_id))
        if "malware" in told:
            raise Rejected(f"a file of {self._connection.party.whose} is barred for malware")
        with Download(self._connection, self._at(file_id), told) as download:
            yield cast("BinaryIO", download)

    def find(self, redirect_id: str) -> tuple[SharedFile, ...]:
        """See `Source.find`. Reads every pointer of the drive: seldom, for links that nobody finds otherwise."""
        found = []
        for page in self._connection.pages(self._beginning):
            for told in page["value"]:
                if _is_file(told) and _may_be_pointer(told):
                    with suppress(Gone):
                        pointer = pointers.read(self._content(told))
                        if pointer and markers.names(pointer.marker) == redirect_id:
                            found.append(replace(self._item(None, told, pointer), body=None))
        return tuple({item.pointer: item for item in found}.values())

    # --- writing -----------------------------------------------------------------------------------------------------

    def rewrite(self, item: Item, notice: Notice) -> None:
        """See `Source.rewrite`: a pointer beside the file, for whoever may open that; or its name tells an end."""
        if notice.ended:
            self._renamed(item.pointer, notice.ended)
            return
        now = self._unchanged(item)
        (file,), (url,) = item.files, notice.urls
        given = self._given(file.id)
        if self._opens_to_more(given):
            raise Rejected(
                f"a file of {self._connection.party.whose} is shared with others than those who can be let in to a"
                " pointer, and stays: take back that link or share, and release it, or drop it"
            )
        pointer = pointers.Pointer(url=url, marker=notice.marker, original=file.id, name=file.name)
        try:
            content = pointers.written(pointer)
        except ValueError:
            raise Rejected(f"a file of {self._connection.party.whose} has a name that no pointer can bear") from None
        if item.pointer:
            self._put(f"{self._at(item.pointer)}/content", content)
            pointer_id = item.pointer
        else:
            pointer_id = self._created(now["parentReference"]["id"], file.name, content)
        if self._shares_by_item:
            self._let_in(pointer_id, _people(given) - _people(self._given(pointer_id)))

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:  # noqa: ARG002 - both go
        """See `Source.retract`: the pointer goes to the recycle bin."""
        if item.pointer and markers.names(item.marker) == redirect_id:
            if item.files:
                self._unchanged(item)
            with suppress(Gone):
                self._connection.ask("DELETE", self._at(item.pointer))

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """See `Source.prune`: the file goes to the recycle bin, if it is the very version that was read."""
        for file_id in file_ids:
            with suppress(Gone):
                self._connection.ask("DELETE", self._at(file_id), headers={"If-Match": item.version})

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """See `Source.put_back`: beside its pointer. Raises Rejected where another file has its name by now."""
        folder = self._told(item.pointer or item.id)["parentReference"]["id"]
        try:
            self._upload(folder, file.name, content)
        except Exists:
            raise Rejected(f"{self._connection.party.whose} has another file of that name by now") from None

    # --- pointers ----------------------------------------------------------------------------------------------------

    def _pointer_of(self, told: JSON) -> tuple[JSON, pointers.Pointer] | tuple[None, None]:
        """The pointer that stands beside a file. The names that it may have are tried until one is not there."""
        for name in islice(pointers.names(told["name"]), _NAMES):
            try:
                beside = self._beside(told["parentReference"]["id"], name)
                pointer = pointers.read(self._content(beside)) if _may_be_pointer(beside) else None
            except Gone:
                break
            if pointer and pointer.original == told["id"]:
                return beside, pointer
        return None, None

    def _original(self, told: JSON, pointer: pointers.Pointer) -> JSON | None:
        """The file whose place a pointer takes; or what stands beside it under that file's name, as after an undo."""
        with suppress(Gone):
            return self._told(pointer.original)
        with suppress(Gone):
            return self._beside(told["parentReference"]["id"], pointer.name)
        return None

    def _created(self, folder: str, name: str, content: bytes) -> str:
        """The id of a new pointer for a file of this name. What has a name already is somebody else's."""
        for free in islice(pointers.names(name), _NAMES):
            with suppress(Exists):
                return str(self._put(f"{self._in(folder, free)}/content{_ONLY_NEW}", content)["id"])
        raise Rejected(f"{self._connection.party.whose} has too many files beside one that are called like its pointer")

    def _renamed(self, pointer_id: str, ended: str) -> None:
        """Let a pointer say by its name what became of the file."""
        pointer = pointers.read(self._content(self._told(pointer_id)))
        if pointer is None:
            raise Gone(f"{self._connection.party.whose} has no pointer of ours there any more")
        for name in islice(pointers.names(pointer.name, ended), _NAMES):
            with suppress(Exists):
                self._connection.ask("PATCH", self._at(pointer_id), {"name": name})
                return
        raise Rejected(f"{self._connection.party.whose} has too many files beside one that are called like its pointer")

    def _item(self, told: JSON | None, beside: JSON | None, pointer: pointers.Pointer | None) -> SharedFile:
        """A file and its pointer, of which one at least is there."""
        seen = told or beside
        assert seen
        item = self._shared(seen, *self._folder(seen["parentReference"]["id"]))
        if beside is None or pointer is None:
            return item
        left_out = told and self._leaves_out(told["id"], beside["id"])
        return replace(
            item,
            id=told["id"] if told else pointer.original,
            files=item.files if told else (),
            pointer=beside["id"],
            marker=pointer.marker,
            body=None if left_out else Body(f"{beside['name']}\n{pointer.url}", html=False),
        )

    def _shared(self, told: JSON, folder: str, root: Root | None) -> SharedFile:
        file = File(
            id=told["id"],
            name=str(told.get("name", "")),
            size=int(told.get("size") or 0),
            content_type=str(told["file"].get("mimeType") or ""),
            version=str(told.get("cTag", "")),
        )
        return SharedFile(
            id=file.id,
            version=str(told.get("eTag", "")),
            folder=folder,
            in_scope=root is not None or not self._roots,
            sender=self._sender(told),
            recipients=root.members if root else (),
            received=_time(told.get("lastModifiedDateTime")),
            busy=(told.get("publication") or {}).get("level") == "checkout",
            files=(file,),
        )

    # --- people ---------------------------------------------------------------------------------------------

    def _sender(self, told: JSON) -> str:
        """The address of whoever changed it last; "" where that was an app, or where we may not read who it was."""
        user = (told.get("lastModifiedBy") or {}).get("user") or {}
        if user.get("email") or not user.get("id"):
            return str(user.get("email") or "")
        if user["id"] not in self._people:
            address = ""
            with suppress(Barred, Gone, Missing, Rejected):
                found = self._connection.ask("GET", f"{path('users', user['id'])}?$select=mail").body
                address = str(found.get("mail") or "")
            self._people[user["id"]] = address
        return self._people[user["id"]]

    def _given(self, item_id: str) -> list[JSON]:
        """The permissions that a file has by itself, and not by its folder. Five resource units."""
        pages = self._connection.pages(f"{self._at(item_id)}/permissions")
        return [each for page in pages for each in page["value"] if not each.get("inheritedFrom")]

    def _opens_to_more(self, given: Sequence[JSON]) -> bool:
        """Whether a file with these opens to others than those who can be let in to its pointer.

        In a channel, whoever may open the folder; of a chat, people who are named, which links for all do not. Groups
        of the site are its channel's own, also where a server does not say that they are inherited.
        """
        if not self._shares_by_item:
            return any(each.get("link") or any(_grantees(each)) for each in given)
        return any((each.get("link") or {}).get("scope") in ("organization", "anonymous") for each in given)

    def _leaves_out(self, file_id: str, pointer_id: str) -> bool:
        """Whether somebody may open the file by now, but not its pointer."""
        given = self._given(file_id)
        if self._opens_to_more(given):
            return True
        return self._shares_by_item and not _people(given) <= _people(self._given(pointer_id))

    def _let_in(self, item_id: str, people: Collection[str]) -> None:
        """Let them open the pointer; nobody gets mail about it."""
        if people:
            asked = {
                "recipients": [{"objectId": person} for person in sorted(people)],
                "roles": ["read"],
                "requireSignIn": True,
                "sendInvitation": False,
            }
            self._connection.ask("POST", f"{self._at(item_id)}/invite", asked)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _unchanged(self, item: Item) -> JSON:
        """What Graph tells of the file now. Raises Conflict where that is not the version that was read, Gone."""
        told = self._told(item.files[0].id if item.files else item.id)
        if told.get("eTag") != item.version:
            raise Conflict(f"a file of {self._connection.party.whose} changed since it was read")
        return told

    def _told(self, item_id: str) -> JSON:
        return self._connection.one(f"{self._at(item_id)}?{_SELECT}")

    def _beside(self, folder: str, name: str) -> JSON:
        return self._connection.one(f"{self._in(folder, name).removesuffix(':')}?{_SELECT}")

    def _content(self, told: JSON) -> bytes:
        """The first bytes of a small file."""
        with self._connection.stream(f"{self._at(told['id'])}/content") as incoming:
            content = b""
            with self._connection.told():
                for chunk in incoming.chunks:
                    content += chunk
                    if len(content) > pointers.LONGEST:
                        break
            return content

    def _put(self, where: str, content: bytes) -> JSON:
        headers = {"Content-Type": "application/octet-stream"}
        return self._connection.ask("PUT", where, content=content, headers=headers).body

    def _upload(self, folder: str, name: str, content: Spool) -> None:
        if content.size <= _WHOLE:
            content.content.seek(0)
            self._put(f"{self._in(folder, name)}/content{_ONLY_NEW}", content.content.read())
            return
        asked: dict[str, Any] = {"item": {"@microsoft.graph.conflictBehavior": "fail"}}
        session = self._connection.ask("POST", f"{self._in(folder, name)}/createUploadSession", asked).body
        self._connection.upload(str(session["uploadUrl"]), content)

    def _at(self, item_id: str) -> str:
        return f"{self._drive}/items/{quote(item_id, safe='')}"

    def _in(self, folder: str, name: str) -> str:
        """By its name in a folder."""
        return f"{self._at(folder)}:/{quote(name, safe='')}:"


_ONLY_NEW = "?@microsoft.graph.conflictBehavior=fail"


def _is_file(told: JSON) -> bool:
    """Neither a folder, nor a notebook (`package`), nor a file of another drive; and not what has been deleted."""
    return "file" in told and not any(key in told for key in ("deleted", "folder", "package", "remoteItem"))


def _place(told: JSON) -> tuple[str, str]:
    """The folder that a folder is in, "" for the topmost one, and its name."""
    return ("", "") if "root" in told else (told["parentReference"]["id"], told["name"])


def _may_be_pointer(told: JSON) -> bool:
    name, size = str(told.get("name", "")), int(told.get("size") or 0)
    return _is_file(told) and name.casefold().endswith(pointers.EXTENSION) and 0 < size <= pointers.LONGEST


def _time(told: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _people(given: Sequence[JSON]) -> frozenset[str]:
    """Whom these let in: ids of people."""
    return frozenset(person for each in given for person in _grantees(each))


def _grantees(permission: JSON) -> Iterator[str]:
    """The ids of the people whom a permission lets in; a link that anybody may follow has none."""
    single, several = permission.get("grantedToV2"), permission.get("grantedToIdentitiesV2")
    for identity in [single] if single else several or ():
        person = ((identity or {}).get("user") or {}).get("id")
        if person:
            yield str(person)
