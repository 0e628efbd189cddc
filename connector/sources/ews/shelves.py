"""The shelves of a mailbox: a folder of ours for each redirect, in the part of the mailbox that no mail client shows.

They lie below the root of the whole mailbox, beside and not within the root of messages: so neither Outlook nor a phone
sees them or loads them down, and the folders that the change feed and searches go through do not hold them.
"""

from collections.abc import Collection

from connector.errors import FileGone, Gone, Unavailable
from connector.sources.ews import words
from connector.sources.ews.connection import Connection
from connector.sources.ews.failures import Exists
from connector.sources.ews.pages import FOUND, listed
from connector.sources.ews.words import Element, identifier
from connector.sources.exchange import SHELVES


class Shelves:
    """All shelves of one mailbox. Each is named by the id of its redirect."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._root = words.root(None if connection.party.impersonation else connection.party.mailbox)
        self._home = ""

    def item_ids(self, redirect_id: str) -> list[str]:
        """All that lies on this shelf."""
        shelf = self._find(redirect_id)
        return self._on(shelf) if shelf else []

    def copy(self, item_id: str, redirect_id: str) -> str:
        """Onto the shelf. The id of the copy."""
        return self._done(words.copy_item(item_id, self._made(redirect_id)))

    def move(self, item_id: str, redirect_id: str) -> str:
        """Onto the shelf. The new id of the item."""
        return self._done(words.move_item(item_id, self._made(redirect_id)))

    def move_beside(self, item_id: str, other: str) -> str:
        """To the folder where the other item is. The new id of the item."""
        (answer,) = self._connection.ask(words.get_parent(other))
        return self._done(words.move_item(item_id, identifier(answer, "m:Items/*/t:ParentFolderId")))

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """Delete these items, then the shelf if it is empty."""
        request = words.delete_items(item_ids)
        for answer in self._connection.answers(request, number=len(item_ids)) if item_ids else ():
            if isinstance(answer, Exception) and not isinstance(answer, Gone | FileGone):
                raise answer
        shelf = self._find(redirect_id)
        if shelf and not self._on(shelf):
            self._connection.ask(words.delete_folder(shelf))

    def _done(self, request: Element) -> str:
        (answer,) = self._connection.ask(request)
        new = identifier(answer, "m:Items/*/t:ItemId")
        if not new:
            raise Unavailable(f"the answer for the mailbox {self._connection.party.mailbox} lacks the id of an item")
        return new

    def _on(self, shelf: str) -> list[str]:
        def request(offset: int) -> Element:
            return words.find_all_items(shelf, offset, FOUND)

        (answer,) = self._connection.ask(request(0))
        return [identifier(item, "t:ItemId") for item in listed("Items", answer, request, self._connection)]

    def _find(self, redirect_id: str) -> str:
        self._home = self._home or self._child(self._root, SHELVES)
        try:
            return self._child(words.folder(self._home), redirect_id) if self._home else ""
        except Gone:
            # Somebody removed the folder of all shelves.
            self._home = ""
            return ""

    def _made(self, redirect_id: str) -> str:
        self._home = self._home or self._created(self._root, SHELVES)
        return self._created(words.folder(self._home), redirect_id)

    def _created(self, parent: Element, name: str) -> str:
        try:
            (answer,) = self._connection.ask(words.create_folder(parent, name))
        except Exists:
            return self._child(parent, name)
        return identifier(answer, "m:Folders/*/t:FolderId")

    def _child(self, parent: Element, name: str) -> str:
        (answer,) = self._connection.ask(words.find_child(parent, name))
        return identifier(answer, "m:RootFolder/t:Folders/*/t:FolderId")
