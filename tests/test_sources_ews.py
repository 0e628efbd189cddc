"""The EWS source keeps the laws over real HTTP, against the simulated Exchange.

The user is played by exchangelib's own high-level client, logged in as the owner of the mailbox. The source logs in as
the service account and impersonates.
"""

from collections.abc import Iterator
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest
from exchangelib import BASIC, DELEGATE, UTC, Account, Configuration, Credentials, FileAttachment, Folder, HTMLBody
from exchangelib.items import Message as UserMessage
from exchangelib.properties import ItemId
from exchangelib.services import DeleteAttachment

from connector.errors import Denied
from connector.simulator import Exchange
from connector.sources.ews import EwsMailbox, EwsMailboxes
from connector.sources.memory import Attached
from tests.laws.sources import HTML, LOGO, REPORT, SourceLaws, notice, reported

ANNA = "anna@example.org"


def eml(*files: Attached, html: str = "<p>Hello</p>", text: str = "", received: str = "") -> bytes:
    """A message as it arrives from outside."""
    message = EmailMessage(policy=policy.SMTP)
    if received:
        message["Received"] = received
    message["From"] = "Bert <bert@example.net>"
    message["To"] = "Anna <anna@example.org>, carl@example.org"
    message["Cc"] = "dora@example.org"
    message["Subject"] = "Gr\u00fc\u00dfe"
    message["Date"] = "Mon, 05 Jan 2026 08:00:00 +0000"
    message["Message-ID"] = f"<{id(message)}@example.net>"
    content, kind = (text, "plain") if text else (html, "html")
    message.set_content(content.encode(), "text", kind, cte="base64", params={"charset": "utf-8"})
    for file in sorted(files, key=lambda file: not file.inline):
        maintype, subtype = file.content_type.split("/")
        attach = message.add_related if file.inline else message.add_attachment
        attach(
            file.content,
            maintype,
            subtype,
            filename=file.name,
            disposition="inline" if file.inline else "attachment",
            cid=f"<{file.content_id}>" if file.content_id else None,
        )
    return message.as_bytes()


class User:
    """Anna at her mailbox, as the laws know a user."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        account = exchange.add_mailbox(ANNA)
        self.account = Account(
            ANNA,
            config=Configuration(
                service_endpoint=exchange.ews,
                credentials=Credentials(account["user"], account["password"]),
                auth_type=BASIC,
            ),
            access_type=DELEGATE,
            default_timezone=UTC,
        )

    def deliver(
        self, *files: Attached, html: str = "<p>Hello</p>", text: str = "", folder: str = "Inbox", read: bool = False
    ) -> str:
        """A message arrives; the user may have opened it."""
        item_id = self.exchange.deliver(ANNA, eml(*files, html=html, text=text), folder)
        if read:
            item = self.item(item_id)
            item.is_read = True
            item.categories = ["Blue"]
            item.save(update_fields=["is_read", "categories"])
        return item_id

    def item(self, item_id: str) -> Any:
        """The message, with all that exchangelib knows of it."""
        (item,) = self.account.fetch([ItemId(id=item_id)])
        assert isinstance(item, UserMessage), item
        return item

    def folder(self, path: str) -> Any:
        """A folder by its path, made where it is not there."""
        folder = self.account.msg_folder_root
        for name in path.split("/"):
            there = [child for child in folder.children if child.name == name]
            folder = there[0] if there else Folder(parent=folder, name=name).save()
        return folder

    def move(self, item_id: str, folder: str) -> str:
        """Drag the message."""
        item = self.item(item_id)
        item.move(self.folder(folder))
        return str(item.id)

    def copy(self, item_id: str, folder: str) -> str:
        """Drag the message with Ctrl."""
        copied, _ = self.item(item_id).copy(self.folder(folder))
        return str(copied)

    def delete(self, item_id: str) -> None:
        """Shift and Delete."""
        self.item(item_id).delete()

    def edit_body(self, item_id: str, content: str) -> None:
        """Edit message, save."""
        item = self.item(item_id)
        item.body = HTMLBody(content)
        item.save(update_fields=["body"])

    def attach(self, item_id: str, file: Attached) -> None:
        """Insert a file."""
        self.item(item_id).attach(FileAttachment(name=file.name, content=file.content))

    def detach(self, item_id: str, file_id: str) -> None:
        """Remove a file."""
        (file,) = (each for each in self.item(item_id).attachments if each.attachment_id.id == file_id)
        list(DeleteAttachment(account=self.account).call([file.attachment_id]))

    def rest(self, item_id: str) -> object:
        """All that must survive a rewrite."""
        item = self.item(item_id)
        told = (item.subject, item.sender, item.to_recipients, item.cc_recipients, item.is_read, item.categories)
        dates = (item.datetime_received, item.datetime_sent, item.message_id, item.importance, item.headers)
        files = [(each.name, each.content, each.is_inline, each.content_id, each.content_type) for each in item.attachments]
        return told, dates, files

    def throttle(self, wait: timedelta | None) -> None:
        """The server is busy, for everyone."""
        if wait is None:
            self.exchange.order(reset=True)
        else:
            self.exchange.order(throttle={"requests": 10**6, "back_off": int(wait.total_seconds() * 1000)})

    def lose_cursors(self) -> None:
        """Every sync state becomes invalid."""
        self.exchange.order(forget_sync_states=True)


def settings(exchange: Exchange, **more: Any) -> EwsMailboxes:
    """The service account, that may impersonate."""
    told = {"type": "ews", "url": exchange.ews, "auth": "basic", "user": exchange.impersonator["user"]}
    return EwsMailboxes.model_validate({**told, "password": {"env": "EWS_PASSWORD"}, "mailboxes": [ANNA], **more})


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """A fresh Exchange; the environment holds the password of its service account."""
    with Exchange() as exchange:
        monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
        yield exchange


@pytest.fixture
def world(exchange: Exchange) -> User:
    """The mailbox and its owner."""
    return User(exchange)


@pytest.fixture
def source(exchange: Exchange, world: User) -> EwsMailbox:
    """The adapter, with two items a page."""
    assert world.exchange is exchange
    return EwsMailbox(ANNA, partial(settings(exchange).connect, ANNA), page_size=2)


class TestEwsMailbox(SourceLaws):
    """The laws."""
