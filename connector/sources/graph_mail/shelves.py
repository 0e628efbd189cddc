"""The shelves of a mailbox: a folder of ours for each redirect, in the part of the mailbox that no mail client shows.

They lie below the root of the whole mailbox, where a mailbox that was on premises has them already.
"""

from collections.abc import Collection
from contextlib import suppress

from connector.errors import Gone, Rejected
from connector.sources.exchange import SHELVES
from connector.sources.graph import Connection
from connector.sources.graph.connection import path
from connector.sources.graph.failures import Exists
from connector.sources.graph_mail import words


class Shelves:
    """All shelves of one mailbox. Each is named by the id of its redirect."""

    def __init__(self, connection: Connection, address: str, root: str) -> None:
        """`root` is the folder above all that mail clients show."""
        self._connection = connection
        self._address = address
        self._root = root
        self._home = ""

    def item_ids(self, redirect_id: str) -> list[str]:
        """All that lies on this shelf."""
        shelf = self._find(redirect_id)
        return self._on(shelf) if shelf else []

    def copy(self, item_id: str, redirect_id: str) -> str:
        """Onto the shelf. The id of the copy."""
        return self._done(item_id, "copy", self._made(redirect_id))

    def move(self, item_id: str, redirect_id: str) -> str:
        """Onto the shelf. The id of the item, which need not be a new one."""
        return self._done(item_id, "move", self._made(redirect_id))

    def move_to(self, item_id: str, folder: str) -> str:
        """Off the shelf, into this folder."""
        return self._done(item_id, "move", folder)

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """Delete these items, then the shelf if it is empty."""
        for item_id in item_ids:
            delete(self._connection, path("users", self._address, "messages", item_id))
        shelf = self._find(redirect_id)
        if shelf and not self._on(shelf):
            delete(self._connection, path("users", self._address, "mailFolders", shelf))

    def _done(self, item_id: str, verb: str, folder: str) -> str:
        where = path("users", self._address, "messages", item_id, verb)
        return str(self._connection.ask("POST", where, {"destinationId": folder}).body["id"])

    def _on(self, shelf: str) -> list[str]:
        where = path("users", self._address, "mailFolders", shelf, "messages") + "?$select=id&$top=100"
        return [str(each["id"]) for page in self._connection.pages(where) for each in page["value"]]

    def _find(self, redirect_id: str) -> str:
        self._home = self._home or self._child(self._root, SHELVES)
        try:
            return self._child(self._home, redirect_id) if self._home else ""
        except Gone:
            # Somebody removed the folder of all shelves.
            self._home = ""
            return ""

    def _made(self, redirect_id: str) -> str:
        self._home = self._home or self._created(self._root, SHELVES)
        return self._created(self._home, redirect_id)

    def _created(self, parent: str, name: str) -> str:
        where = path("users", self._address, "mailFolders", parent, "childFolders")
        try:
            return str(self._connection.ask("POST", where, {"displayName": name, "isHidden": True}).body["id"])
        except Exists:
            return self._child(parent, name)

    def _child(self, parent: str, name: str) -> str:
        where = path("users", self._address, "mailFolders", parent, "childFolders") + words.named(name)
        for page in self._connection.pages(where):
            for each in page["value"]:
                if each.get("displayName") == name:
                    return str(each["id"])
        return ""


def delete(connection: Connection, where: str) -> None:
    """For good where the cloud can do that; else as a user does, who can still recover it. Absent counts as deleted.

    `where` is the path of a message, or of a folder, which then lies among Deleted Items.
    """
    try:
        connection.ask("POST", f"{where}/permanentDelete")
    except Gone:
        return
    except Rejected:
        with suppress(Gone):
            connection.ask("DELETE", where)
