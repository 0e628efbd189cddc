"""One mailbox on Exchange, as a `Source`."""

import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from datetime import datetime
from functools import cached_property, partial
from typing import BinaryIO, cast

from connector import marker as markers
from connector import rewrite as bodies
from connector.errors import Conflict, Denied, FileGone, Gone, PartUnread, Rejected, Unavailable
from connector.model import Body, File, FileKind, Item, Letter, Message, Notice, Page, Room
from connector.sources.ews import words
from connector.sources.ews.connection import Connection
from connector.sources.ews.content import decoded
from connector.sources.ews.failures import Grief, LostState
from connector.sources.ews.filled import FILLING
from connector.sources.ews.folders import Folder, tree
from connector.sources.ews.pages import FOUND, listed
from connector.sources.ews.reading import message
from connector.sources.ews.shelves import Shelves
from connector.sources.ews.words import NS, Element, first, flag, identifier, number, text
from connector.sources.exchange import ROOT, WELL_KNOWN, Readable, mailbox_guid, mime
from connector.sources.onward import Onward
from connector.spool import Spool

#: Changes asked for at once.
PAGE = 100
#: RecoverableItemsQuota of Exchange where nobody set it. EWS does not tell it.
QUOTA = 30 * 1024**3
#: Items and folders asked for at once.
ITEMS, FOLDERS = 25, 100


class EwsMailbox:
    """See `Source`. Nothing is asked of the server before the first verb, or before `key`."""

    #: Its address says whose it is.
    members = None

    def __init__(
        self,
        address: str,
        connect: Callable[[], Connection],
        skip_folders: Collection[str] = (),
        *,
        page_size: int = PAGE,
        returnable: int | None = None,
        recoverable_items_quota: int = QUOTA,
        heeds_reading: bool = False,
    ) -> None:
        """`connect` is called once. Folders to skip are paths, and stand for all folders below them too.

        Where it does not heed that somebody read a message, the feed leaves such changes out, and nothing is asked.
        """
        self.address = address
        #: See `Source.returnable`.
        self.returnable = returnable
        self._connect = connect
        self._skip = skip_folders
        self._page_size = page_size
        self._quota = recoverable_items_quota
        self._heeds_reading = heeds_reading
        #: As FindFolder told last. It only gives items their path; those elsewhere have none.
        self._tree: dict[str, Folder] = {}
        self._elsewhere: set[str] = set()

    @cached_property
    def key(self) -> str:
        """The GUID of the mailbox: it stays when the mailbox is renamed or moved."""
        return mailbox_guid(self._well_known[ROOT])

    @property
    def server(self) -> str:
        """See `Source.server`: the host, and the build that answered last."""
        _ = self._well_known
        return f"{self._connection.party.host} {self._connection.build}".rstrip()

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """See `Source.changes`. A cursor is JSON: for each folder its sync state, and the mark that it had then."""
        known = _states(cursor)
        folders = [folder for folder in self._folders() if folder.in_scope]
        states = {folder.id: known.get(folder.id, ("", "")) for folder in folders}
        asked = [folder for folder in folders if not folder.mark or folder.mark != states[folder.id][1]]
        broken: list[Grief] = []
        for folder in asked:
            try:
                yield from self._changes_in(folder, states)
            except Grief as grief:
                # Its state is as it was, and no other folder has to wait for it.
                broken.append(grief)
                if len(broken) == len(asked) > 1:
                    raise
        yield Page((), json.dumps(states))
        if broken:
            raise PartUnread(f"{len(broken)} of {len(folders)} folders of the mailbox {self.address}: {broken[0]}")

    def recent(self, since: datetime) -> Iterator[Page]:
        """See `Source.recent`. A request for a hundred folders, and one for each 25 items."""
        folders = [folder.id for folder in self._folders() if folder.in_scope]
        wanted = words.recent(since)
        ids = [item_id for batch in _batches(folders, FOLDERS) for item_id in self._found(batch, wanted)]
        for batch in _batches(ids, ITEMS):
            yield Page(tuple(self._readable(batch)), "")

    def _readable(self, ids: Sequence[str]) -> Iterator[Message]:
        """Those that can be read; the others are gone meanwhile, or are at fault themselves."""
        for item in self._read(ids).values():
            if isinstance(item, Unavailable | Denied):
                raise item
            if isinstance(item, Message):
                yield item

    def fetch(self, item_id: str) -> Message:
        """See `Source.fetch`. One request."""
        return self._one(item_id, body=True)

    @contextmanager
    def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:
        """See `Source.open`. Of an attached item, its MIME. One request."""
        with ExitStack() as opened:
            try:
                content = opened.enter_context(self._content(words.get_attachment(file_id)))
            except (Gone, FileGone):
                # Exchange has the same answer for a file that is gone and for one whose item is.
                self._one(item_id)
                raise FileGone(f"an item of the mailbox {self.address} has no such attachment") from None
            yield content

    def original(self, item_id: str) -> AbstractContextManager[BinaryIO]:
        """See `Source.original`. One request."""
        return self._content(words.get_original(item_id))

    def rewrite(self, item: Item, notice: Notice) -> None:
        """See `Source.rewrite`. One request, and none where the item already is as it should be."""
        self._update(item, bodies.insert(item.body, notice), notice.marker)

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
        """See `Source.retract`. One request, and none where there is nothing to take out."""
        body = item.body and bodies.remove(item.body, redirect_id)
        ours = markers.names(item.marker) == redirect_id and not keep_marker
        self._update(item, body, "" if ours else item.marker)

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """See `Source.prune`. Two requests: a fresh listing, and one for all files that it still has.

        Raises Conflict also where an id now names another file than in `item`: some servers number attachments anew.
        """
        known = {file.id: file for file in item.files}
        fresh = self._one(item.id)
        here = [file for file in fresh.files if file.id in file_ids]
        if not here:
            return
        if fresh.version != item.version or any(file != known.get(file.id, file) for file in here):
            raise Conflict(f"an item of the mailbox {self.address} changed since it was read")
        # Last things first: where ids are positions, what is still to be removed keeps its own.
        wanted = words.delete_attachments(file.id for file in reversed(here))
        for answer in self._connection.answers(wanted, number=len(here)):
            if isinstance(answer, Exception) and not isinstance(answer, Gone | FileGone):
                raise answer

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """See `Source.put_back`. One request."""
        if file.kind is not FileKind.FILE:
            raise Rejected(f"an attached message of the mailbox {self.address} cannot be attached again as what it was")
        try:
            request = words.create_attachment(item.id, file, FILLING)
        except ValueError:
            raise Rejected(f"a file name of the mailbox {self.address} holds characters that XML cannot") from None
        self._connection.ask(request, content)

    def room(self) -> Room | None:
        """See `Source.room`: all folders of Recoverable Items. One request."""

        def request(offset: int) -> Element:
            return words.find_sizes("recoverableitemsroot", self._owner, offset, FOUND)

        try:
            (answer,) = self._connection.ask(request(0))
        except Gone:
            return None
        folders = listed("Folders", answer, request, self._connection)
        told = [size for each in folders for size in each.findall("t:ExtendedProperty", NS)]
        return Room(sum(number(each, "t:Value") for each in told), self._quota) if told else None

    def find(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.find`. Looks in all folders of mail, Deleted Items too, but not in Recoverable Items."""
        folders = [folder.id for folder in self._folders() if folder.mail]
        wanted = words.marked(f"1.{redirect_id}.")
        ids = [item_id for batch in _batches(folders, FOLDERS) for item_id in self._found(batch, wanted)]
        items = (self._still_there(item) for item in self._read(ids).values())
        return tuple(item for item in items if markers.names(item.marker) == redirect_id)

    def tell(self, letter: Letter) -> None:
        """See `Source.tell`. One request."""
        parts = (words.extended_property(words.FLAGS, "0"), words.extended_property(words.MARKER, letter.marker))
        self._connection.ask(words.create_item(mime(letter, self.address), self._owner, *parts))

    def shelf(self, redirect_id: str) -> tuple[Message, ...]:
        """See `Source.shelf`. One request to find it; two more if something lies on it."""
        items = self._read(self._shelves.item_ids(redirect_id), body=True)
        return tuple(self._still_there(item) for item in items.values())

    def stage(self, item_id: str, redirect_id: str) -> str:
        """See `Source.stage`. Two requests: one makes the shelf."""
        return self._shelves.copy(item_id, redirect_id)

    def shelve(self, item_id: str, redirect_id: str) -> str:
        """See `Source.shelve`. Three requests: two make and find the shelf."""
        return self._shelves.move(item_id, redirect_id)

    def unshelve(self, item_id: str, beside: str) -> str:
        """See `Source.unshelve`. Two requests."""
        return self._shelves.move_beside(item_id, beside)

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """See `Source.purge`. Up to five requests."""
        self._shelves.purge(item_ids, redirect_id)

    @contextmanager
    def _content(self, request: Element) -> Iterator[BinaryIO]:
        """The bytes that the reply holds, as they come in."""
        with self._connection.stream(request) as reply:
            chunks = decoded(reply)
            with self._connection.told():
                head = next(chunks, b"")
            readable = Readable(head, chunks, self._connection.told)
            yield cast("BinaryIO", io.BufferedReader(readable, buffer_size=256 * 1024))

    # --- the change feed ---------------------------------------------------------------------------------------------

    def _changes_in(self, folder: Folder, states: dict[str, tuple[str, str]]) -> Iterator[Page]:
        last = False
        onward = Onward(states[folder.id][0], f"the change feed of the mailbox {self.address} does not get on")
        while not last:
            try:
                answer = self._synced(folder, states[folder.id][0])
            except Gone:
                # The folder was deleted after it was listed.
                return
            # First of all: where Exchange fails at it, it is told again.
            items, unread = self._changed(answer, folder)
            last = flag(answer, "m:IncludesLastItemInRange")
            state = text(answer, "m:SyncState")
            states[folder.id] = (state, folder.mark) if last else (onward.to(state), "")
            if items or unread or not last:
                yield Page(items, json.dumps(states), unread)

    def _synced(self, folder: Folder, state: str) -> Element:
        """What changed in a folder since this state, or since ever where the server has forgotten the state."""
        try:
            (answer,) = self._connection.ask(words.sync_items(folder.id, state, self._page_size))
        except LostState:
            (answer,) = self._connection.ask(words.sync_items(folder.id, "", self._page_size))
        return answer

    def _changed(self, answer: Element, folder: Folder) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """The items that were created or updated, and the ids of those at which Exchange failed.

        Only of those that may have attachments more is asked.
        """
        changes = answer.findall("m:Changes/*", NS)
        elements = [change[0] for change in changes if change.tag.endswith(("}Create", "}Update"))]
        listed = {item.id: item for item in (message(element, folder, self.address) for element in elements)}
        # False also where all of them are hidden, being shown within the text: those are kept in any case.
        asked = [
            identifier(element, "t:ItemId")
            for element in elements
            if text(element, "t:HasAttachments") not in {"false", "0"}
        ]
        if self._heeds_reading:
            asked += [identifier(change, "t:ItemId") for change in changes if change.tag.endswith("}ReadFlagChange")]
        unread = []
        for item_id, item in self._read(asked).items():
            match item:
                case Message():
                    listed[item_id] = item
                case Unavailable() | Denied() if not isinstance(item, Grief):
                    raise item
                case Rejected():
                    pass  # Its own fault. It stays as the feed lists it, without files.
                case _:
                    # Also where it was moved or deleted meanwhile: a server that is behind says the same of new mail.
                    listed.pop(item_id, None)
                    unread.append(item_id)
        return tuple(listed.values()), tuple(unread)

    # --- items -------------------------------------------------------------------------------------------------------

    def _one(self, item_id: str, *, body: bool = False) -> Message:
        item = self._read([item_id], body=body)[item_id]
        if isinstance(item, Exception):
            raise item
        return item

    def _read(self, ids: Sequence[str], *, body: bool = False) -> dict[str, Message | Exception]:
        """Each item afresh, or why it cannot be read."""
        read: dict[str, Message | Exception] = {}
        for batch in _batches(ids, ITEMS):
            answers = self._connection.answers(words.get_items(batch, body=body), number=len(batch))
            for item_id, answer in zip(batch, answers, strict=True):
                read[item_id] = answer if isinstance(answer, Exception) else self._message(answer)
        return read

    def _message(self, answer: Element) -> Message:
        element = first(answer, "m:Items/*")
        folder_id = identifier(element, "t:ParentFolderId")
        if folder_id not in self._tree and folder_id not in self._elsewhere:
            self._folders()
            self._elsewhere |= {folder_id} - self._tree.keys()
        return message(element, self._tree.get(folder_id), self.address)

    def _update(self, item: Item, body: Body | None, marker: str) -> None:
        if (body, marker) == (item.body, item.marker):
            return
        try:
            request = words.update_item(item.id, item.version, body, marker)
        except ValueError:
            raise Rejected(f"a body of the mailbox {self.address} holds characters that XML cannot") from None
        self._connection.ask(request)

    def _found(self, folders: Sequence[str], wanted: Element) -> Iterator[str]:
        """The ids of all items in these folders that a restriction lets through; one request, unless they are many."""

        def request(of: Sequence[str], offset: int) -> Element:
            return words.find_items(of, deepcopy(wanted), offset, FOUND)

        answers = self._connection.ask(request(folders, 0), number=len(folders))
        for folder, answer in zip(folders, answers, strict=True):
            for item in listed("Items", answer, partial(request, [folder]), self._connection):
                yield identifier(item, "t:ItemId")

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

    def _folders(self) -> tuple[Folder, ...]:
        """All folders afresh: one request, unless there are very many."""

        def request(offset: int) -> Element:
            return words.find_folders(self._well_known[ROOT], offset, FOUND)

        (answer,) = self._connection.ask(request(0))
        found = [*listed("Folders", answer, request, self._connection)]
        if not found:
            raise Unavailable(f"the mailbox {self.address} is told to have no folders at all")
        self._tree = tree(found, self._well_known, self._skip, self._connection.date)
        return tuple(self._tree.values())

    @property
    def _owner(self) -> str | None:
        """Whose well-known folders are meant, where it has to be said."""
        return None if self._connection.party.impersonation else self.address

    @cached_property
    def _well_known(self) -> dict[str, str]:
        """The ids of the folders that are known by what they are for. A server need not have all of them."""
        request = words.get_distinguished_folders(WELL_KNOWN, self._owner)
        answers = self._connection.answers(request, number=len(WELL_KNOWN))
        for answer in answers:
            if isinstance(answer, Unavailable | Denied):
                raise answer
        ids = {
            name: identifier(answer, "m:Folders/*/t:FolderId")
            for name, answer in zip(WELL_KNOWN, answers, strict=True)
            if not isinstance(answer, Exception)
        }
        if ROOT not in ids:
            raise Denied(f"the mailbox {self.address} has no folder of messages that may be opened")
        return ids

    @cached_property
    def _shelves(self) -> Shelves:
        return Shelves(self._connection)

    @cached_property
    def _connection(self) -> Connection:
        return self._connect()


def _states(cursor: str | None) -> dict[str, tuple[str, str]]:
    try:
        told = json.loads(cursor or "{}")
        return {folder: (str(state), str(mark)) for folder, (state, mark) in told.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
