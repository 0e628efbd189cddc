"""The files of a channel, with the people who share them, as the laws know them; and the app that may open them."""

from datetime import timedelta
from typing import Any

from connector.rewrite import pointer
from connector.simulator import Exchange
from connector.sources.graph import AppLogin
from connector.sources.teams import GraphDrive, TeamsShares

ANNA = "anna@example.org"


class Users:
    """The people of a channel at its files."""

    def __init__(self, exchange: Exchange) -> None:
        """A team of two, with its channel General."""
        self.exchange = exchange
        for person in (ANNA, "bert@example.org", "dora@example.org"):
            exchange.add_mailbox(person)
        self.team = exchange.add_team("Project", {ANNA: "owner", "bert@example.org": ""})
        self.drive = self.team.drive

    def upload(self, name: str, content: bytes, folder: str = "General") -> str:
        """Drop a file into the channel."""
        self.drive.folder(folder, ANNA)
        return self.drive.upload(f"{folder}/{name}", content, ANNA)

    def edit(self, item_id: str, content: bytes) -> None:
        """Open, change, save."""
        self.drive.edit(item_id, content, ANNA)

    def move(self, item_id: str, folder: str) -> None:
        """Into another folder of the drive."""
        self.drive.folder(folder, ANNA)
        self.drive.move(item_id, folder, ANNA)

    def rename(self, item_id: str, name: str) -> None:
        """Another name."""
        self.drive.rename(item_id, name, ANNA)

    def copy(self, item_id: str, folder: str) -> str:
        """Copy to."""
        self.drive.folder(folder, ANNA)
        return self.drive.copy(item_id, folder, ANNA)

    def delete(self, item_id: str) -> None:
        """Into the recycle bin."""
        self.drive.delete(item_id, ANNA)

    def recycled(self) -> list[bytes]:
        """What was deleted, but for pointers and folders."""
        items = (item for item in self.drive.recycled.values() if not item.is_folder)
        contents = (b"".join(item.version.content.chunks()) for item in items)
        return [content for content in contents if pointer.read(content) is None]

    def throttle(self, wait: timedelta | None) -> None:
        """The server is busy, for everyone."""
        if wait is None:
            self.exchange.order(reset=True)
        else:
            self.exchange.order(throttle={"requests": 10**6, "back_off": int(wait.total_seconds() * 1000)})

    def lose_cursors(self) -> None:
        """Every change token becomes invalid."""
        self.exchange.order(forget_drive_tokens="resyncChangesApplyDifferences")


def login(exchange: Exchange) -> AppLogin:
    """The app of the tenant; its secret is in the environment."""
    host = exchange.graph.removesuffix("/v1.0")
    told = {"graph": host, "login": host, "directory": exchange.tenant, "client": exchange.client["id"]}
    return AppLogin.model_validate({**told, "secret": {"env": "GRAPH_SECRET"}})


def settings(exchange: Exchange, **more: Any) -> TeamsShares:
    """The app, and one team."""
    told = {"type": "teams", "app": login(exchange), "teams": ["Project"]}
    return TeamsShares.model_validate({**told, **more})


def channel(exchange: Exchange, *, page_size: int = 200, **more: Any) -> GraphDrive:
    """The adapter over the first drive that there is."""
    entry = settings(exchange, **more)
    drive = entry.source(entry.addresses()[0])
    drive._page_size = page_size
    return drive
