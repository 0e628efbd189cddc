"""The mailbox of a user in the simulated Microsoft 365, for the tests of Graph."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from connector.simulator import Exchange
from connector.sources.graph_mail import GraphMailboxes
from connector.sources.memory import Attached
from tests.ews import ANNA, eml
from tests.graph import App


def settings(exchange: Exchange, *, app: dict[str, Any] | None = None, **more: Any) -> GraphMailboxes:
    """The app of the tenant, as an administrator writes it."""
    client = exchange.client
    told = {
        "graph": exchange.graph,
        "login": exchange.graph.removesuffix("/v1.0"),
        "directory": exchange.tenant,
        "client": client["id"],
        "secret": {"env": "GRAPH_SECRET"},
    }
    return GraphMailboxes.model_validate({"type": "graph", "app": {**told, **(app or {})}, "mailboxes": [ANNA], **more})


class GraphUser:
    """Anna at her mailbox in the cloud, as the laws know a user: in plain HTTP, with no client in between."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        exchange.add_mailbox(ANNA)
        self.app = App(exchange, headers={"Prefer": 'IdType="ImmutableId", outlook.allow-unsafe-html'})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request that has to succeed."""
        answer = self.app.ask(method, f"/users/{ANNA}{path}", body, **headers)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def deliver(
        self, *files: Attached, html: str = "<p>Hello</p>", text: str = "", folder: str = "Inbox", read: bool = False
    ) -> str:
        """A message arrives; the user may have opened it."""
        before = self.ids()
        self.exchange.deliver(ANNA, eml(*files, html=html, text=text), folder)
        (item_id,) = self.ids() - before
        if read:
            self.ask("PATCH", f"/messages/{_quoted(item_id)}", {"isRead": True, "categories": ["Blue"]})
        return item_id

    def ids(self) -> set[str]:
        """The ids of all messages."""
        found: set[str] = set()
        link = f"/users/{ANNA}/messages?$select=id&$top=500"
        while link:
            page = self.app.get(link)
            found |= {each["id"] for each in page["value"]}
            link = page.get("@odata.nextLink", "")
        return found

    def folder(self, path: str) -> str:
        """The id of a folder by its path, made where it is not there."""
        folder = "msgfolderroot"
        for name in path.split("/"):
            children = self.ask("GET", f"/mailFolders/{_quoted(folder)}/childFolders?$top=200")["value"]
            there = [child["id"] for child in children if child["displayName"] == name]
            made = {"displayName": name}
            folder = there[0] if there else self.ask("POST", f"/mailFolders/{_quoted(folder)}/childFolders", made)["id"]
        return folder

    def move(self, item_id: str, folder: str) -> str:
        """Drag the message."""
        moved = {"destinationId": self.folder(folder)}
        return str(self.ask("POST", f"/messages/{_quoted(item_id)}/move", moved)["id"])

    def copy(self, item_id: str, folder: str) -> str:
        """Drag the message with Ctrl."""
        copied = {"destinationId": self.folder(folder)}
        return str(self.ask("POST", f"/messages/{_quoted(item_id)}/copy", copied)["id"])

    def delete(self, item_id: str) -> None:
        """Shift and Delete."""
        self.ask("POST", f"/messages/{_quoted(item_id)}/permanentDelete")

    def edit_body(self, item_id: str, content: str) -> None:
        """Edit message, save."""
        self.ask("PATCH", f"/messages/{_quoted(item_id)}", {"body": {"contentType": "html", "content": content}})

    def attach(self, item_id: str, file: Attached) -> None:
        """Insert a file."""
        told = {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": file.name,
            "contentBytes": base64.b64encode(file.content).decode(),
        }
        self.ask("POST", f"/messages/{_quoted(item_id)}/attachments", told)

    def detach(self, item_id: str, file_id: str) -> None:
        """Remove a file."""
        self.ask("DELETE", f"/messages/{_quoted(item_id)}/attachments/{_quoted(file_id)}")

    def mark_read(self, item_id: str) -> None:
        """Open message."""
        self.ask("PATCH", f"/messages/{_quoted(item_id)}", {"isRead": True})

    def rest(self, item_id: str) -> object:
        """All that must survive a rewrite."""
        fields = (
            "subject,sender,from,toRecipients,ccRecipients,isRead,categories,receivedDateTime,sentDateTime,"
            "internetMessageId,importance,internetMessageHeaders,flag,conversationId"
        )
        told = self.ask("GET", f"/messages/{_quoted(item_id)}?$select={fields}")
        files = self.ask("GET", f"/messages/{_quoted(item_id)}/attachments?$top=500")["value"]
        kept = ("name", "contentBytes", "isInline", "contentId", "contentType", "@odata.type")
        return (
            [told.get(field) for field in fields.split(",")],
            [[each.get(field) for field in kept] for each in files],
        )

    def throttle(self, wait: timedelta | None) -> None:
        """The server is busy, for everyone."""
        if wait is None:
            self.exchange.order(reset=True)
        else:
            self.exchange.order(throttle={"requests": 10**6, "back_off": int(wait.total_seconds() * 1000)})

    def lose_cursors(self) -> None:
        """Every link of a feed becomes invalid."""
        self.exchange.order(forget_sync_states=True)


def _quoted(an_id: str) -> str:
    return quote(an_id, safe="")
