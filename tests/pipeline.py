"""The whole pipeline as its users have it: a simulated Exchange, a WebDAV store, and `connector` as a process.

What is looked at is what they see: exit codes and sentences, messages in plain SOAP, and the files of the store. Every
run is held against the secrets of this world and the words of its mail: none of them gets into a log.
"""

import json
from base64 import b64decode, encodebytes
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from os.path import commonprefix
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import requests
from lxml import etree
from requests.auth import HTTPBasicAuth

from connector.simulator import Exchange
from tests import command
from tests.exchange import Element, Owner
from tests.servers import DavServer

ANNA = "anna@example.org"
#: The mailbox for trials.
PROBE = "probe@example.org"
EVERYTHING = "defaults: {settle: 0}\nrules: [{name: all, action: redirect}]"
#: What a rewrite and a prune may change, and what tells that they did.
_CHANGING = {
    *("ItemId", "Body", "Attachments", "HasAttachments", "Size"),
    *("LastModifiedTime", "LastModifiedName", "IsUnmodified"),
}

#: MAPI properties that neither changes, beside those of the schema: by tag, or by the number in a property set. Not in
#: here: those of body, size, flags and attachments, which say what was written; the time of the last modification,
#: the change key and its predecessors, which say that something was.
_TAGS = {
    "Integer": "0017 0026 0036 0E17 0E2B 1080 1081 1090 1095 3FDE 3FF1 3FFD 4076 5909",
    "Boolean": "0023 0029 0057 0058 10F4",
    "SystemTime": "000F 0015 0030 0032 0039 0048 0060 0061 0E06 1082 1091 3007",
    "String": "001A 0037 003D 0042 0065 0070 0075 0076 007D 0C1A 0C1F 0E02 0E03 0E04 0E1D 1035 1039 1042 5D01 5D02",
    "Binary": "003B 003F 0041 0071 0C19 0C1D 300B 3013",
}
_NUMBERED = {
    ("Common", "Integer"): "8501",
    ("Common", "Boolean"): "8503 8506",
    ("Common", "SystemTime"): "8502 8516 8517 8560 85A0",
    ("Common", "String"): "8530 85A4",
    ("Task", "Integer"): "8101",
    ("Task", "Boolean"): "811C",
    ("Task", "SystemTime"): "8104 8105 810F",
}


def _asked() -> str:
    tags = ((f'PropertyTag="0x{tag}"', kind) for kind, several in _TAGS.items() for tag in several.split())
    numbered = (
        (f'DistinguishedPropertySetId="{group}" PropertyId="{int(number, 16)}"', kind)
        for (group, kind), several in _NUMBERED.items()
        for number in several.split()
    )
    return "".join(f'<t:ExtendedFieldURI {name} PropertyType="{kind}"/>' for name, kind in (*tags, *numbered))


_ALL = f"<t:BodyType>Best</t:BodyType><t:AdditionalProperties>{_asked()}</t:AdditionalProperties>"


@dataclass(frozen=True)
class Attachment:
    """An attachment: all that a listing tells of it, and its bytes (of an attached message, the whole of it)."""

    id: str
    listed: bytes
    content: bytes


@dataclass(frozen=True)
class Seen:
    """A message, as its owner's client gets it."""

    #: Differs after every write, whatever it wrote.
    version: str
    body: str
    html: bool
    files: tuple[Attachment, ...]
    #: All its other properties: those that Exchange's schema has fields for, and many more of MAPI's.
    rest: tuple[bytes, ...]

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The bytes of its attachments."""
        return tuple(each.content for each in self.files)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int | None
    answer: str
    #: What it said on standard error, to its user and to the log.
    told: str
    #: Bytes: the most that it had at a time.
    memory: int
    #: Seconds that it kept a processor busy; the same on a machine that has much else to do.
    processor: float

    @property
    def json(self) -> Any:
        """What a command with --json answers."""
        return json.loads(self.answer)


@dataclass
class Pipeline:
    """A configuration that is right, and the servers that it names. A test may spoil any of it."""

    folder: Path
    exchange: Exchange
    store: DavServer
    #: Secrets, subjects, bodies: what is neither logged nor written into the ledger.
    hushed: list[str] = field(default_factory=list)
    #: Names of files: what is not logged.
    named: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "tenants").mkdir()
        self.root.mkdir()
        self.root.chmod(0o777)
        self.secret("marker-key", "k" * 40)
        self.secret("ews-password", self.exchange.impersonator["password"])
        self.secret("store-password", self.store.password)
        self.configure()
        for mailbox in (ANNA, PROBE):
            self.exchange.add_mailbox(mailbox)
        # As an administrator does first: nothing is redirected before it is proved that it can be put back.
        self.run("check", code=0)
        self.exchange.order(reset=True)

    @property
    def root(self) -> Path:
        """The store's collection, as a folder on this machine."""
        return self.store.folder / self.folder.name

    @property
    def url(self) -> str:
        """The address of the store's collection."""
        return f"{self.store.url}{self.folder.name}/"

    def configure(
        self, policy: str = EVERYTHING, *, mailboxes: tuple[str, ...] = (ANNA,), user: str = "", **addresses: str
    ) -> None:
        """Write the configuration; another `ews` or `store` than those that run here, where they are given."""
        values = {
            "folder": self.folder,
            "ews": addresses.get("ews", self.exchange.ews),
            "user": user or self.exchange.impersonator["user"],
            "mailboxes": mailboxes,
            "probe": PROBE,
            "store": addresses.get("store", self.url),
            "link_url": self.url,
            "store_user": self.store.user,
        }
        # JSON is YAML, and quotes whatever a path holds.
        quoted = {name: json.dumps(value, default=str) for name, value in values.items()}
        (self.folder / "connector.yaml").write_text(SETTINGS.format(folder=self.folder))
        (self.folder / "tenants" / "acme.yaml").write_text(_TENANT.format_map(quoted | {"at": self.folder}) + policy)

    def secret(self, name: str, value: str) -> None:
        """Write a secret where the configuration says that it is."""
        (self.folder / name).write_text(value)
        self.hushed.append(value)

    def run(self, *arguments: str, code: int | None, hours: float = 0, ahead: float = 0) -> Ended:
        """Run a command to its end, so many hours later than it is; its exit code must be this one.

        Our clock may be `ahead`, by so many hours, of everybody else's.
        """
        ended = self._run(arguments, hours, ahead)
        assert code in (None, ended.code), f"{arguments} ended with {ended.code}: {ended.answer}{ended.told}"
        assert "Traceback" not in ended.answer + ended.told
        ledger = b"".join(path.read_bytes() for path in self.folder.glob("ledger.db*"))
        assert _found(self.hushed + self.named, ended.told.encode()) == []
        assert _found(self.hushed, ledger) == []
        return ended

    def deliver(self, eml: bytes, mailbox: str = ANNA) -> str:
        """A message arrives; the id of its item."""
        return self.exchange.deliver(mailbox, eml)

    def owner(self, mailbox: str = ANNA) -> Owner:
        """The owner of a mailbox, at a client."""
        return Owner(self.exchange, next(each for each in self.exchange.accounts if each["mailbox"] == mailbox))

    def see(self, item: str, mailbox: str = ANNA) -> Seen:
        """What the owner of the mailbox sees of a message."""
        owner = self.owner(mailbox)
        (found,) = owner.item(item, more=_ALL).iterfind(".//{*}Items/*")
        listed = found.findall("{*}Attachments/*")
        contents = _contents(owner, [_id(each) for each in listed])
        body, key = found.find("{*}Body"), found.find("{*}ItemId")
        assert body is not None
        assert key is not None
        return Seen(
            version=str(key.get("ChangeKey")),
            body=body.text or "",
            html=body.get("BodyType") == "HTML",
            files=tuple(Attachment(_id(each), _canonical(each), contents[_id(each)]) for each in listed),
            rest=tuple(_canonical(each) for each in found if etree.QName(each).localname not in _CHANGING),
        )

    def download(self, url: str) -> bytes:
        """What somebody gets who follows a link and logs in."""
        login = HTTPBasicAuth(self.store.user.encode(), self.store.password.encode())
        response = requests.get(url, auth=login, timeout=30)
        response.raise_for_status()
        return response.content

    def stored(self) -> list[Path]:
        """The files of messages in the store, torn uploads too."""
        return sorted(path for path in (self.root / "acme").rglob("*") if path.is_file())

    def _run(self, arguments: tuple[str, ...], hours: float, ahead: float) -> Ended:
        answer, told = (self.folder / name for name in ("answer", "told"))
        for said in (answer, told):
            said.unlink(missing_ok=True)
        process = command.start(self.folder, *arguments, later=timedelta(hours=hours), ahead=timedelta(hours=ahead))
        process.join()
        return Ended(process.exitcode, answer.read_text(), told.read_text(), *command.used(self.folder))


SETTINGS = """\
state: {folder}
marker_key: {{file: {folder}/marker-key}}
log: {{format: json, level: debug}}
"""
_TENANT = """\
tenant: acme
sources:
  - type: ews
    url: {ews}
    auth: basic
    user: {user}
    password: {{file: {at}/ews-password}}
    mailboxes: {mailboxes}
    probe: {probe}
    waive_certify: Ada Admin
    since: everything
store:
  type: webdav
  url: {store}
  link_url: {link_url}
  user: {store_user}
  password: {{file: {at}/store-password}}
notice: {{product: Example Files, organisation: Example Ltd}}
"""


def _found(words: list[str], where: bytes) -> list[str]:
    """Which of these words stand there: as they are, as JSON writes them, or as addresses do."""
    return [word for word in words if any(f.encode() in where for f in (word, json.dumps(word)[1:-1], quote(word)))]


def notice_in(before: Seen, after: Seen) -> str:
    """The one stretch that the body has now and had not before; "" where it is the same. There is no other change."""
    start = len(commonprefix([before.body, after.body]))  # noqa: RUF071 - characters are meant, not paths
    end = start + len(after.body) - len(before.body)
    assert end >= start
    assert after.body[:start] + after.body[end:] == before.body
    assert after.html == before.html
    return after.body[start:end]


def letter(
    files: Mapping[str, bytes] | None = None,
    *texts: str,
    kind: str = "html",
    subject: str = "An ordinary subject",
) -> bytes:
    """A message from outside, with these texts and files: MIME by hand, since libraries refuse what attackers write."""
    head = (
        "From: Bert <bert@example.net>",
        f"To: Anna <{ANNA}>",
        f"Subject: {subject}",
        "Date: Mon, 05 Jan 2026 08:00:00 +0000",
        f"Message-ID: <{uuid4()}@example.net>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="=-="',
        "",
    )
    parts = [_part(f"text/{kind}; charset=utf-8", "inline", text.encode()) for text in texts or ("<p>Hello</p>",)]
    for name, content in (files or {}).items():
        parts.append(_part("application/octet-stream", f"attachment; filename*=utf-8''{quote(name)}", content))
    return "\r\n".join((*head, *parts, "--=-=--", "")).encode()


def _part(content_type: str, disposition: str, content: bytes) -> str:
    lines = ("--=-=", f"Content-Type: {content_type}", f"Content-Disposition: {disposition}")
    return "\r\n".join((*lines, "Content-Transfer-Encoding: base64", "", encodebytes(content).decode()))


def _contents(owner: Owner, ids: list[str]) -> dict[str, bytes]:
    if not ids:
        return {}
    answers = owner.attachments(*ids).iterfind(".//{*}Attachments/*")
    return {_id(each): _content(each) for each in answers}


def _content(attachment: Element) -> bytes:
    content = attachment.find("{*}Content")
    if content is not None:
        return b64decode(content.text or "")
    for told in attachment.findall("*/{*}LastModifiedTime") + attachment.findall("*/{*}IsUnmodified"):
        # The simulator tells of an attached message what is so of the one around it.
        told.text = ""
    return _canonical(attachment)


def _id(attachment: Element) -> str:
    found = attachment.find("{*}AttachmentId")
    assert found is not None
    return str(found.get("Id"))


def _canonical(element: Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_tail=False)
