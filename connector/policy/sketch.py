"""A message in a few words, and what a policy is expected to say of its file: the tests that stand beside a policy.

What a sketch leaves out is ordinary: a message of yesterday from outside, with one file of 1 MB that is what its name
says and does no harm.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from connector.amounts import Duration, Size
from connector.filetype import TrueType, promised
from connector.model import Action, Body, Content, Direction, File, FileKind, Item, Message, SharedFile, Verdict
from connector.policy.case import Facts, Hold
from connector.policy.conditions import Kind, Model
from connector.policy.rules import Policy
from connector.policy.values import Folded, Name, Some
from connector.policy.verdicts import decide

_NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
_FILE = "f"


def _zip(name: bytes) -> bytes:
    return b"PK\x03\x04" + bytes(22) + len(name).to_bytes(2, "little") + b"\0\0" + name


def _ole(name: str) -> bytes:
    header = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + b"\x09\0").ljust(512, b"\0")
    return header + name.encode("utf-16-le").ljust(64, b"\0") + (2 * len(name) + 2).to_bytes(2, "little") + bytes(62)


#: How a file of each type begins, whatever its name is.
BEGINNINGS: Mapping[TrueType, bytes] = {
    TrueType.EXECUTABLE: b"\x7fELF",
    TrueType.OFFICE: _zip(b"word/document.xml"),
    TrueType.MACRO: _zip(b"word/vbaProject.bin"),
    TrueType.PDF: b"%PDF-1.7\n",
    TrueType.ARCHIVE: _zip(b"a.txt"),
    TrueType.IMAGE: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    TrueType.AUDIO: b"RIFF\0\0\0\0WAVEfmt ",
    TrueType.VIDEO: b"\0\0\0\x18ftypmp42\0\0\0\0",
    TrueType.MESSAGE: _ole("__nameid_version1.0"),
    TrueType.CALENDAR: b"BEGIN:VCALENDAR\n",
    TrueType.TNEF: b"\x78\x9f\x3e\x22",
    TrueType.HTML: b"<!doctype html>",
    TrueType.TEXT: b"text\n",
    TrueType.OTHER: b"\0\1\2\3",
}


def _unknown(value: object) -> object:
    return None if value == "unknown" else value


_Told = Annotated[bool | None, BeforeValidator(_unknown, json_schema_input_type=bool | Literal["unknown"])]
_Age = Annotated[Duration | None, BeforeValidator(_unknown, json_schema_input_type=str | Literal[0])]


class Sketch(Model):
    """One file of one message, or in a share. In the words of the conditions, as far as they ask for the same."""

    file: Name = Field(default="file.bin", description="its name")
    size: Size = Field(default=1024**2, description="of the file")
    kind: Kind = Field(default=Kind.FILE, description="message: an attached one")
    true_type: TrueType | None = Field(default=None, description="left out: what the name promises")
    inline: bool = Field(default=False, description="an image that the text shows")
    encrypted: _Told = False
    macros: _Told = False
    infected: _Told = False
    mailbox: str = Field(default="anna@example.org", description="the address of the mailbox that it is in")
    groups: Some[Folded] = Field(default=(), description="the groups that the mailbox is in")
    hold: Some[Literal[Hold.LITIGATION, Hold.RETENTION]] = Field(default=(), description="the holds on the mailbox")
    unmapped: bool = Field(default=False, description="nobody knows whose mailbox it is")
    direction: Direction = Direction.INCOMING
    sender: str = "bob@example.net"
    recipients: int | Some[str] = Field(default=("anna@example.org",), description="their addresses, or how many")
    subject: str = ""
    body: str = Field(default="", description="its text")
    html: str = Field(default="", description="its text as HTML, in place of `body`")
    headers: Mapping[str, str] = {}
    folder: str = "Inbox/Projects"
    age: _Age = timedelta(days=1)
    read: _Told = True
    categories: Some[str] = ()
    label: str = ""
    sensitivity: Literal["normal", "personal", "private", "confidential"] = "normal"
    message_class: str = "IPM.Note"
    message_size: Size = 2 * 1024**2
    retention_tag: str = ""
    team: str = Field(default="", description="a shared file lies in this team, and is no message")
    channel: str = "General"
    chat: str = Field(default="", description="a shared file lies in the chats of this person")

    @property
    def _recipients(self) -> tuple[str, ...]:
        if isinstance(self.recipients, int):
            return tuple(f"{number}@example.org" for number in range(self.recipients))
        return self.recipients

    @property
    def item(self) -> Item:
        """What it sketches."""
        received = None if self.age is None else _NOW - self.age
        file = File(
            id=_FILE,
            name=self.file,
            size=self.size,
            inline=self.inline,
            kind=FileKind.ITEM if self.kind is Kind.MESSAGE else FileKind.FILE,
        )
        if self.team or self.chat:
            return SharedFile(
                id="s",
                version="",
                folder=self.channel if self.team else "Microsoft Teams Chat Files",
                sender=self.sender,
                recipients=self._recipients,
                received=received,
                files=(file,),
            )
        return Message(
            id="m",
            version="",
            internet_message_id="<m@example.org>",
            folder=self.folder,
            subject=self.subject,
            sender=self.sender,
            recipients=self._recipients,
            received=received,
            direction=self.direction,
            message_class=self.message_class,
            sensitivity=self.sensitivity,
            read=self.read,
            categories=self.categories,
            label=self.label,
            retention_tag=self.retention_tag,
            size=self.message_size,
            headers={name.lower(): value for name, value in self.headers.items()},
            files=(file,),
            body=Body(self.html, html=True) if self.html else Body(self.body, html=False),
        )

    def facts(self, domains: tuple[str, ...] = (), *, pointers: bool = False) -> Facts:
        """What is known beside it: all that could be fetched. `pointers`: shared files may give way to links."""
        of_message = b"Subject: x\n" if self.kind is Kind.MESSAGE else BEGINNINGS[self.true_type or promised(self.file)]
        content = Content(
            head=of_message, encrypted=self.encrypted, macros=self.macros, infected=self.infected, packed=()
        )
        return Facts(
            now=_NOW,
            since=None,
            ours=False,
            mailbox=f"{self.chat}/chats" if self.chat else self.team or self.mailbox,
            groups=frozenset(self.groups),
            domains=domains,
            holds=frozenset(self.hold),
            unmapped=self.unmapped,
            contents={_FILE: content},
            pointers=pointers,
        )


class PolicyTest(Model):
    """A message, and what is to become of its file."""

    name: Name = Field(description="what it is about, for whoever reads that it failed")
    message: Sketch
    verdict: Action
    rule: str | None = Field(default=None, description="the rule that says so; guard:NAME and exclude:NAME too")

    def failure(self, policy: Policy, domains: tuple[str, ...] = (), *, pointers: bool = False) -> str | None:
        """What the policy says instead; None where it says what is expected."""
        (verdict,) = decide(policy, self.message.item, self.message.facts(domains, pointers=pointers))
        if verdict.action is self.verdict and self.rule in (None, verdict.rule):
            return None
        by = f" by rule {self.rule}" if self.rule is not None else ""
        return f"{self.name}: expected {self.verdict}{by}, but the policy says {_said(verdict)}"


def _said(verdict: Verdict) -> str:
    return f"{verdict.action} by rule {verdict.rule or '(none)'} ({verdict.because})"


class PolicyTests(Model):
    """All tests of a policy: tenants/NAME.tests.yaml, beside tenants/NAME.yaml."""

    tests: tuple[PolicyTest, ...]
