"""One mailbox on Exchange Online, as a `Source`."""

import base64
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import cached_property
from typing import BinaryIO, TypeVar, cast

from connector import marker as markers
from connector import rewrite as bodies
from connector.errors import Conflict, Denied, FileGone, Gone, PartUnread, Rejected, Unavailable
from connector.model import Body, File, FileKind, Item, Letter, Message, Notice, Page, Room
from connector.sources.exchange import ROOT, WELL_KNOWN, Readable, mailbox_guid
from connector.sources.graph import Connection
from connector.sources.graph.connection import BATCH, path
from connector.sources.graph.failures import Grief, LostState, TooBig, TooSmall
from connector.sources.graph_mail import words
from connector.sources.graph_mail.cursor import Cursor, read
from connector.sources.graph_mail.folders import Folder, Told, tree
from connector.sources.graph_mail.reading import message
from connector.sources.graph_mail.shelves import Shelves
from connector.sources.graph_mail.words import JSON
from connector.sources.onward import Onward
from connector.spool import Spool

T = TypeVar("T")

#: Changes asked for at once.
PAGE = 100
#: The root of the whole mailbox has no name of its own in Graph.
TOP = "above msgfolderroot"
#: What ids begin with, of items in no folder that people see.
_HIDDEN = "hidden:"
#: What goes into a message with one request; beyond, an upload session takes it, up to the most. Where exactly one ends
#: and the other begins is told in several ways: what is refused the one way goes the other.
_SMALL, MOST = 3_000_000, 150_000_000
#: RecoverableItemsQuota of Exchange Online where nobody set it. Graph does not tell it.
QUOTA = 30 * 1024**3


class GraphMailbox:
    """See `Source`. Nothing is asked of the server before the first verb, or before `key`.

    Exchange Online keeps the id of a message that is moved. But one that is put on a shelf has to be gone from where it
    was, and back again when it leaves the shelf: so ids of what lies in no folder that people see begin with a sign of
    ours, and each of the two is only good there.
    """

    #: Its address says whose it is.
    members = None
    #: See `Source.returnable`.
    returnable: int | None = MOST

    def __init__(
        self,
        address: str,
        connect: Callable[[], Connection],
        skip_folders: Collection[str] = (),
        *,
        page_size: int = PAGE,
        recoverable_items_quota: int = QUOTA,
    ) -> None:
        """`connect` is called once. Folders to skip are paths, and stand for all folders below them too."""
        self.address = address
        self._connect = connect
        self._skip = skip_folders
        self._page_size = page_size
        self._quota = recoverable_items_quota
        #: As the feed of folders told last. It only gives items their path; those elsewhere have none.
        self._tree: dict[str, Folder] = {}
        self._elsewhere: set[str] = set()

    @cached_property
    def key(self) -> str:
        """The GUID of the mailbox: it stays when the mailbox is renamed or moved.

        The same as over EWS, so that a mailbox that moves to the cloud keeps its redirects.
        """
        return mailbox_guid(self._well_known[ROOT])

    @property
    def server(self) -> str:
        """See `Source.server`: the host. Exchange Online tells no build; what stands for it is the version of Graph."""
        return f"{self._connection.party.host} v1.0"

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`. In a mailbox where nothing happened: a request for its folders, and one for each 20."""
        place = read(cursor)
        # What was too many once need not be so for ever.
        self._connection.together = min(BATCH, self._connection.together + 1)
        folders = self._folders(place)
        scope = [folder for folder in folders if folder.in_scope]
        place.feeds = {folder.id: place.feeds.get(folder.id, "") for folder in scope}
        broken: list[Grief] = []
        for batch in _batches(scope, BATCH):
            answers = self._connection.batch([self._feed(folder, place) for folder in batch], prefer=self._paging)
            for folder, answer in zip(batch, answers, strict=True):
                try:
                    yield from self._changes_in(folder, answer, place)
                except Grief as grief:
                    # Its place in the feed is as it was, and no other folder has to wait for it.
                    broken.append(grief)
        if broken and len(broken) == len(scope):
            raise broken[0]
        yield Page((), str(place))
        if broken:
            raise PartUnread(f"{len(broken)} of {len(scope)} folders of the mailbox {self.address}: {broken[0]}")

    def recent(self, since: datetime) -> Iterator[Page]:
        """See `Source.recent`. A request for a thousand of them, and one for each 20."""
        scope = {folder.id for folder in self._folders(Cursor()) if folder.in_scope}
        for page in self._connection.pages(self._at("messages") + words.recent(since)):
            items = self._read(str(each["id"]) for each in page["value"] if each.get("parentFolderId") in scope)
            for item in items.values():
                if isinstance(item, Unavailable | Denied) and not isinstance(item, Grief):
                    raise item
            unread = tuple(item_id for item_id, item in items.items() if isinstance(item, Grief))
            yield Page(tuple(item for item in items.values() if isinstance(item, Message)), "", unread)

    def fetch(self, item_id: str) -> Message:
        """See `Source.fetch`. One request, unless there are very many files."""
        return self._one(item_id, body=True)

    @contextmanager
    def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:
        """See `Source.open`. Of an attached message, its MIME. One request."""
        with ExitStack() as opened:
            try:
                content = opened.enter_context(self._content(self._of(item_id, "attachments", file_id, "$value")))
            except Gone:
                # Graph has the same answer for a file that is gone and for one whose item is.
                self._one(item_id)
                raise FileGone(f"an item of the mailbox {self.address} has no such attachment") from None
            yield content

    def original(self, item_id: str) -> AbstractContextManager[BinaryIO]:
        """See `Source.original`. One request."""
        return self._content(self._of(item_id, "$value"))

    def rewrite(self, item: Item, notice: Notice) -> None:
        """See `Source.rewrite`. Two requests, and none where the item already is as it should be."""
        self._update(item, bodies.insert(item.body, notice), notice.marker)

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
        """See `Source.retract`. Two requests, and none where there is nothing to take out."""
        body = item.body and bodies.remove(item.body, redirect_id)
        ours = markers.names(item.marker) == redirect_id and not keep_marker
        self._update(item, body, "" if ours else item.marker)

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """See `Source.prune`. A request for a fresh listing, and one for each file that it still has.

        One after the other: Exchange Online refuses some of those that overlap. Raises Conflict also where an id now
        names another file than in `item`.
        """
        known = {file.id: file for file in item.files}
        fresh = self._one(item.id)
        here = [file for file in fresh.files if file.id in file_ids]
        if here and (fresh.version != item.version or any(file != known.get(file.id, file) for file in here)):
            raise Conflict(f"an item of the mailbox {self.address} changed since it was read")
        # Last things first: where ids are positions, what is still to be removed keeps its own.
        for file in reversed(here):
            try:
                self._connection.ask("DELETE", self._of(item.id, "attachments", file.id))
            except Gone:
                self._one(item.id)

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """See `Source.put_back`. One request, or two and one for each 4 MB. Graph has no Content-Location."""
        if file.kind is not FileKind.FILE:
            raise Rejected(f"an attached message of the mailbox {self.address} cannot be attached again as what it was")
        if content.size > MOST:
            raise Rejected(f"the mailbox {self.address} takes no file of more than {MOST // 1_000_000} MB")
        if content.size <= _SMALL:
            try:
                return self._attach_at_once(item, file, content)
            except TooBig:
                pass
        try:
            self._attach_in_parts(item, file, content)
        except TooSmall:
            self._attach_at_once(item, file, content)

    def room(self) -> Room | None:
        """See `Source.room`: the folders of Recoverable Items. One request. That Graph tells their size is inferred."""
        where = self._at("mailFolders", "recoverableitemsroot", "childFolders")
        try:
            found = self._connection.pages(f"{where}?$expand={words.extended(words.SIZE)}&includeHiddenFolders=true")
            sizes = [words.told(each, words.SIZE) for page in found for each in page["value"]]
        except (Gone, Rejected):
            return None
        told = [int(each) for each in sizes if each.isdecimal()]
        return Room(sum(told), self._quota) if told else None

    def find(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.find`. Looks in all folders of mail, Deleted Items too, but not in Recoverable Items."""
        folders = {folder.id for folder in self._folders(Cursor()) if folder.mail}
        pages = self._connection.pages(self._at("messages") + words.marked(redirect_id))
        found = [each for page in pages for each in page["value"]]
        ids = [str(each["id"]) for each in found if each.get("parentFolderId") in folders]
        items = (self._still_there(item) for item in self._read(ids).values())
        return tuple(item for item in items if markers.names(item.marker) == redirect_id)

    def tell(self, letter: Letter) -> None:
        """See `Source.tell`. One request."""
        self._connection.ask("POST", self._at("mailFolders", "inbox", "messages"), words.letter(letter, self.address))

    def shelf(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.shelf`. Two requests to find it; two more if something lies on it."""
        ids = [_HIDDEN + item_id for item_id in self._shelves.item_ids(redirect_id)]
        return tuple(self._still_there(item) for item in self._read(ids, body=True).values())

    def stage(self, item_id: str, redirect_id: str) -> str:
        """See `Source.stage`. Two requests: one makes the shelf."""
        return _HIDDEN + self._shelves.copy(_plain(item_id), redirect_id)

    def shelve(self, item_id: str, redirect_id: str) -> str:
        """See `Source.shelve`. Four requests: two make and find the shelf."""
        self._place(item_id)
        return _HIDDEN + self._shelves.move(_plain(item_id), redirect_id)

    def unshelve(self, item_id: str, beside: str) -> str:
        """See `Source.unshelve`. Three requests."""
        self._place(item_id)
        return self._shelves.move_to(_plain(item_id), self._place(beside))

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """See `Source.purge`. One request for each item, and up to four."""
        self._shelves.purge([_plain(item_id) for item_id in item_ids], redirect_id)

    @contextmanager
    def _content(self, where: str) -> Iterator[BinaryIO]:
        """The bytes at this place, as they come in."""
        with self._connection.stream(where) as incoming:
            readable = Readable(b"", incoming.chunks, self._connection.told)
            yield cast("BinaryIO", io.BufferedReader(readable, buffer_size=256 * 1024))

    # --- the change feed ---------------------------------------------------------------------------------------------

    def _changes_in(self, folder: Folder, answer: JSON | Exception, place: Cursor) -> Iterator[Page]:
        """What is new in a folder; `answer` is the first page of it."""
        onward = Onward(place.feeds[folder.id], f"the change feed of the mailbox {self.address} does not get on")
        while True:
            if isinstance(answer, LostState) and place.feeds[folder.id]:
                place.feeds[folder.id] = ""
                answer = self._page(folder, place)
            if isinstance(answer, Gone):
                # The folder was deleted after it was listed.
                return
            if isinstance(answer, Exception):
                raise answer
            # First of all: where Graph fails at it, it is told again.
            items, unread = self._changed(answer)
            more = answer.get("@odata.nextLink")
            place.feeds[folder.id] = onward.to(more or answer.get("@odata.deltaLink"), last=not more)
            if items or unread or more:
                yield Page(items, str(place), unread)
            if not more:
                return
            answer = self._page(folder, place)

    def _page(self, folder: Folder, place: Cursor) -> JSON | Exception:
        (answer,) = self._connection.batch([self._feed(folder, place)], prefer=self._paging)
        return answer

    def _feed(self, folder: Folder, place: Cursor) -> str:
        """Where the feed of this folder goes on, as a path. What leads to another Graph counts as unknown."""
        link = place.feeds[folder.id]
        if self._connection.knows(link):
            return link.removeprefix(self._connection.base)
        place.feeds[folder.id] = ""
        return self._at("mailFolders", folder.id, "messages", "delta") + "?$select=id"

    def _changed(self, answer: JSON) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """The items that were created or updated, and the ids of those at which Graph failed.

        Each is read afresh: only so its files are told, inline ones too.
        """
        told = [each for each in self._connection.listed(answer) if "@removed" not in each]
        items, unread = [], []
        for item_id, item in self._read([str(each["id"]) for each in told]).items():
            if isinstance(item, Message):
                if item.in_scope:  # Else it was moved out of scope meanwhile.
                    items.append(item)
            elif isinstance(item, Unavailable | Denied) and not isinstance(item, Grief):
                raise item
            else:
                # All that came after it must not wait for one that is broken. One that was deleted meanwhile will be
                # gone then, too; but a server that is behind says the same of new mail.
                unread.append(item_id)
        return tuple(items), tuple(unread)

    @property
    def _paging(self) -> tuple[str]:
        return (f"odata.maxpagesize={self._page_size}",)

    # --- items -------------------------------------------------------------------------------------------------------

    def _one(self, item_id: str, *, body: bool = False) -> Message:
        where = self._of(item_id) + words.item(body=body)
        return self._message(item_id, self._connection.ask("GET", where, prefer=_preferred(body=body)).body)

    def _place(self, item_id: str) -> str:
        """The folder where an item is. Raises Gone."""
        where = self._of(item_id) + "?$select=parentFolderId"
        told = self._connection.ask("GET", where).body
        self._looked_for(item_id, told)
        return str(told["parentFolderId"])

    def _read(self, ids: Iterable[str], *, body: bool = False) -> dict[str, Message | Exception]:
        """Each item afresh, or why it cannot be read."""
        read: dict[str, Message | Exception] = {}
        for batch in _batches(list(dict.fromkeys(ids)), BATCH):
            paths = [self._of(item_id) + words.item(body=body) for item_id in batch]
            asked = self._connection.batch(paths, prefer=_preferred(body=body))
            answers = (_unreadable(each) if isinstance(each, Rejected) else each for each in asked)
            for item_id, answer in zip(batch, answers, strict=True):
                try:
                    read[item_id] = answer if isinstance(answer, Exception) else self._message(item_id, answer)
                except (Gone, Grief) as error:
                    read[item_id] = error
        return read

    def _attach_at_once(self, item: Item, file: File, content: Spool) -> None:
        content.content.seek(0)
        encoded = base64.b64encode(content.content.read()).decode("ascii")
        told = {**words.attachment(file), "@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": encoded}
        self._connection.ask("POST", self._of(item.id, "attachments"), told)

    def _attach_in_parts(self, item: Item, file: File, content: Spool) -> None:
        told = {**words.attachment(file), "attachmentType": "file", "size": content.size}
        where = self._of(item.id, "attachments", "createUploadSession")
        session = self._connection.ask("POST", where, {"AttachmentItem": told})
        self._connection.upload(str(session.body.get("uploadUrl") or ""), content)

    def _looked_for(self, item_id: str, told: JSON) -> Folder | None:
        """The folder that an answer names, if people see that one. Raises Gone where this id is not good there.

        Raises Grief where it names none: that is no message, and must not pass for one without files and mark.
        """
        folder_id = told.get("parentFolderId")
        if not isinstance(folder_id, str):
            raise Grief(f"the answer for an item of the mailbox {self.address} does not tell its folder")
        if folder_id not in self._tree and folder_id not in self._elsewhere:
            self._folders(Cursor())
            self._elsewhere |= {folder_id} - self._tree.keys()
        folder = self._tree.get(folder_id)
        if item_id.startswith(_HIDDEN) == (folder is not None):
            raise Gone(f"an item of the mailbox {self.address} was put on a shelf, or taken from it")
        return folder

    def _message(self, item_id: str, told: JSON) -> Message:
        attachments = [*(told.get("attachments") or ())]
        if link := told.get("attachments@odata.nextLink"):
            attachments += [each for page in self._connection.pages(str(link)) for each in page["value"]]
        folder = self._looked_for(item_id, told)
        return message({**told, "id": item_id, "attachments": attachments}, folder, self.address)

    def _update(self, item: Item, body: Body | None, marker: str) -> None:
        if (body, marker) == (item.body, item.marker):
            return
        # That Graph heeds If-Match for messages is written nowhere.
        where = self._of(item.id) + "?$select=changeKey,parentFolderId"
        now = self._connection.ask("GET", where).body
        self._looked_for(item.id, now)
        if now.get("changeKey") != item.version:
            raise Conflict(f"an item of the mailbox {self.address} changed since it was read")
        changed = words.change(None if body == item.body else body, marker)
        headers = {"If-Match": f'W/"{item.version}"'}
        self._connection.ask("PATCH", self._of(item.id), changed, headers=headers, prefer=_preferred())

    def _still_there(self, found: Message | Exception) -> Message:
        match found:
            case Message():
                return found
            case Gone():
                # Where nothing is found, files may be deleted: what has just been moved must not pass for that.
                raise Unavailable(f"an item of the mailbox {self.address} was moved while it was searched for")
            case _:
                raise found

    # --- folders -----------------------------------------------------------------------------------------------------

    def _folders(self, place: Cursor) -> tuple[Folder, ...]:
        """All folders, by what their feed tells since `place`, which moves on with it."""
        try:
            self._follow(place)
        except LostState:
            place.hierarchy, place.folders = "", {}
            self._follow(place)
        if not place.folders:
            raise Unavailable(f"the mailbox {self.address} is told to have no folders at all")
        self._tree = tree(place.folders, self._well_known, self._skip)
        self._elsewhere -= self._tree.keys()
        return tuple(self._tree.values())

    def _follow(self, place: Cursor) -> None:
        link = place.hierarchy
        if not self._connection.knows(link):
            place.folders = {}
            link = self._at("mailFolders", "delta") + "?$select=id,displayName,parentFolderId"
        told: dict[str, JSON] = {}
        page: JSON = {}
        for page in self._connection.pages(link):
            # A folder may come several times; the last word counts.
            told |= {str(each["id"]): each for each in page["value"]}
        new = [folder_id for folder_id, each in told.items() if "@removed" not in each]
        for folder_id in told.keys() - set(new):
            place.folders.pop(folder_id, None)
        broken = False
        for batch in _batches(new, BATCH):
            paths = [self._at("mailFolders", each) + words.folder() for each in batch]
            for folder_id, answer in zip(batch, self._connection.batch(paths), strict=True):
                match answer:
                    case Unavailable() | Denied() if not isinstance(answer, Grief):
                        raise answer
                    case Gone():
                        place.folders.pop(folder_id, None)
                    case Exception():
                        # Forgotten, its mail would never be looked at. Where Graph only fails, it is asked again.
                        place.folders[folder_id] = _as_listed(told[folder_id], place.folders.get(folder_id))
                        broken = broken or isinstance(answer, Grief)
                    case _:
                        place.folders[folder_id] = _told(answer)
        if not broken:
            place.hierarchy = str(page.get("@odata.deltaLink") or "")

    @cached_property
    def _well_known(self) -> dict[str, str]:
        """The ids of the folders that are known by what they are for. A mailbox need not have all of them."""
        paths = [self._at("mailFolders", name) + "?$select=id,parentFolderId" for name in WELL_KNOWN]
        ids = {}
        for name, answer in zip(WELL_KNOWN, self._connection.batch(paths), strict=True):
            if isinstance(answer, Unavailable | Denied):
                raise answer
            if not isinstance(answer, Exception):
                ids[name] = str(answer["id"])
                if name == ROOT:
                    ids[TOP] = str(answer.get("parentFolderId") or "")
        if ROOT not in ids:
            raise Denied(f"the mailbox {self.address} has no folder of messages that may be opened")
        return ids

    @cached_property
    def _shelves(self) -> Shelves:
        return Shelves(self._connection, self.address, self._well_known[TOP])

    @cached_property
    def _connection(self) -> Connection:
        return self._connect()

    def _at(self, *parts: str) -> str:
        return path("users", self.address, *parts)

    def _of(self, item_id: str, *parts: str) -> str:
        return self._at("messages", _plain(item_id), *parts)


def _plain(item_id: str) -> str:
    """The id by which Graph knows it."""
    return item_id.removeprefix(_HIDDEN)


def _unreadable(refused: Rejected) -> Grief:
    """A message that Graph refuses to show, as one at which it fails: that is told, and tried again.

    Such as ErrorRestrictionTooComplex, of some mailboxes (davmail: issues 501 and 509). Passed over, its mail would
    stay as it is without a word.
    """
    grief = Grief(str(refused))
    grief.request = refused.request
    return grief


def _told(folder: JSON) -> Told:
    return Told(
        str(folder.get("displayName") or ""),
        str(folder.get("parentFolderId") or ""),
        words.told(folder, words.FOLDER_CLASS),
    )


def _as_listed(listed: JSON, known: Told | None) -> Told:
    """A folder as its feed tells of it, which may leave out what has not changed, and never tells its class."""
    name, parent, folder_class = known or ("", "", "")
    return Told(str(listed.get("displayName") or name), str(listed.get("parentFolderId") or parent), folder_class)


def _preferred(*, body: bool = True) -> tuple[str, ...]:
    return (words.UNSAFE_HTML,) if body else ()


def _batches(ids: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
