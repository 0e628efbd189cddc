"""A simulated Exchange and a real Apache, each in a process of its own, and the mail that lies there."""

import base64
import hashlib
import json
import multiprocessing
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from multiprocessing.connection import Connection
from pathlib import Path

from connector.simulator import Exchange
from connector.simulator.content import Content
from tests.servers import start_apache

_processes = multiprocessing.get_context("forkserver")
_BLOCK = 57 * 16 * 1024
#: What Outlook writes for a message of a few lines.
_BODY = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p.MsoNormal {margin:0cm} --></style>'
    f"</head><body lang=EN-GB>{'<p class=MsoNormal>A line of some length, as people write them.<o:p></o:p></p>' * 30}"
    "</body></html>"
)


@dataclass(frozen=True, slots=True)
class Mail:
    """Messages, all alike, in folders of a mailbox."""

    mailbox: str
    #: In each folder.
    count: int
    #: Bytes of the one attachment of each; 0 for none.
    size: int
    folders: tuple[str, ...] = ("Inbox",)


@dataclass(frozen=True, slots=True)
class World:
    """Where the servers are, and how to log in. Goes to the processes whose work is measured."""

    ews: str
    control: str
    ews_user: str
    ews_password: str
    store: str
    store_user: str
    store_password: str

    def deliver(self, mailbox: str, eml: bytes) -> str:
        """A message arrives; the id of its item."""
        order = {"deliver": {"mailbox": mailbox, "eml": base64.b64encode(eml).decode()}}
        with urllib.request.urlopen(self.control, json.dumps(order).encode(), timeout=60) as reply:
            return str(json.load(reply)["item"])


class Servers:
    """The running world, as whoever measures sees it."""

    def __init__(self, pipe: Connection, world: World) -> None:
        self.world = world
        self._pipe = pipe

    def deliver(self, mail: Mail) -> None:
        """Make the mailbox, and put the mail there."""
        self._pipe.send(mail)
        self._pipe.recv()


@contextmanager
def servers() -> Iterator[Servers]:
    """Both servers, until the context ends. Raises NotInstalledError where there is no Apache."""
    here, there = _processes.Pipe()
    exchange = _processes.Process(target=_serve, args=(there,), daemon=True)
    with tempfile.TemporaryDirectory(prefix="connector-bench-") as folder:
        Path(folder).chmod(0o755)
        apache = start_apache(Path(folder))
        exchange.start()
        try:
            ews, control, account = here.recv()
            login = (apache.url, apache.user, apache.password)
            yield Servers(here, World(ews, control, account["user"], account["password"], *login))
        finally:
            here.close()
            exchange.terminate()
            exchange.join()
            apache.stop()


def letter(number: int, size: int) -> bytes:
    """The n-th message, with one attachment of so many bytes, or none where that is 0."""
    message = EmailMessage(policy=policy.SMTP)
    message["Received"] = "from mail.example.net by mail.example.org; Mon, 05 Jan 2026 08:00:00 +0000"
    message["From"], message["To"] = "Bert <bert@example.net>", "Anna <anna@example.org>, carl@example.org"
    message["Subject"], message["Message-ID"] = "Minutes", f"<{number}.{size}@example.net>"
    message.set_content(_BODY, "html")
    if size:
        content = hashlib.shake_256(str(number).encode()).digest(size)
        message.add_attachment(content, "application", "pdf", filename="minutes.pdf")
    return message.as_bytes()


class _Large(Content):
    """So many bytes, and never all of them in memory."""

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        block = hashlib.shake_256(str(self.size).encode()).digest(_BLOCK)
        for offset in range(0, self.size, _BLOCK):
            yield block[: self.size - offset]


def _serve(pipe: Connection) -> None:
    with Exchange() as exchange:
        pipe.send((exchange.ews, exchange.control, exchange.impersonator))
        while True:
            try:
                mail = pipe.recv()
            except EOFError:
                return
            _put(exchange, mail)
            pipe.send(None)


def _put(exchange: Exchange, mail: Mail) -> None:
    exchange.add_mailbox(mail.mailbox)
    for folder in mail.folders:
        for number in range(mail.count):
            # As MIME a large one would be in memory several times.
            item = exchange.deliver(mail.mailbox, letter(number, min(mail.size, _BLOCK)), folder)
            for attachment in exchange._organisation.mailboxes[mail.mailbox].items[item].message.attachments:
                if mail.size > _BLOCK:
                    attachment.content = _Large(mail.size)
