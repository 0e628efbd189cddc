"""The mailbox of a user on the simulated Exchange, as the laws know one, and what else the tests of EWS need."""

from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from exchangelib import FileAttachment, Folder, HTMLBody
from exchangelib.items import Message as UserMessage
from exchangelib.properties import ItemId
from exchangelib.services import DeleteAttachment
from lxml import etree

from connector.simulator import Exchange
from connector.sources.ews import EwsMailbox, EwsMailboxes
from connector.sources.memory import Attached
from tests.exchange import outlook

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
            headers=[f"Content-Location: {file.content_location}"] if file.content_location else None,
        )
    return message.as_bytes()


class User:
    """Anna at her mailbox, as the laws know a user."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        exchange.add_mailbox(ANNA)
        self.account = outlook(exchange, ANNA)

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

    def mark_read(self, item_id: str) -> None:
        """Open message."""
        item = self.item(item_id)
        item.is_read = True
        item.save(update_fields=["is_read"])

    def rest(self, item_id: str) -> object:
        """All that must survive a rewrite."""
        item = self.item(item_id)
        told = (item.subject, item.sender, item.to_recipients, item.cc_recipients, item.is_read, item.categories)
        dates = (item.datetime_received, item.datetime_sent, item.message_id, item.importance, item.headers)
        files = [
            (each.name, each.content, each.is_inline, each.content_id, each.content_type) for each in item.attachments
        ]
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


def faulty(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, item_id: str, fault: Exception) -> EwsMailbox:
    """A source that gets this fault in place of one item."""
    connection = settings(exchange).connect(ANNA)
    answers = connection.answers

    def with_fault(request: Any, filling: Any = None, **more: int) -> list[Any]:
        told = etree.fromstring(request) if isinstance(request, bytes) else request
        asked = [each.get("Id") for each in told.iterfind("{*}ItemIds/{*}ItemId")]
        faults = {asked.index(item_id): fault} if item_id in asked else {}
        return [faults.get(place, answer) for place, answer in enumerate(answers(request, filling, **more))]

    monkeypatch.setattr(connection, "answers", with_fault)
    return EwsMailbox(ANNA, lambda: connection)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"
