"""What is so of every mailbox on Exchange, by whatever protocol it is asked: on premises and in the cloud."""

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import TYPE_CHECKING
from uuid import UUID

from connector.model import Direction, Letter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Our named property: set and name. The set is ours alone, so that no sender can reach it by an X- header.
MARKER_SET, MARKER_NAME = "0f6d0a5e-3d2f-4c6b-9a57-6f0a4e1c7b92", "ConnectorMarker"

#: Folders that are known by what they are for, whatever they are called in the user's language. Recoverable Items and
#: search folders are not below the root of messages.
ROOT, SENT = "msgfolderroot", "sentitems"
OUT_OF_SCOPE = ("deleteditems", "drafts", "junkemail", "outbox", "syncissues", "conversationhistory")
WELL_KNOWN = (ROOT, SENT, *OUT_OF_SCOPE)
_LABEL = re.compile(r"MSIP_Label_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_Enabled\s*=\s*true", re.IGNORECASE)
#: The folder that holds all shelves. It lies below the root of the whole mailbox, beside the root of messages.
SHELVES = "Connector"
#: Classes below IPF.Note whose folders hold something else: RSS feeds and social networks.
_NO_MAIL = ("IPF.Note.OutlookHomepage", "IPF.Note.SocialConnector")


def mime(letter: Letter, address: str) -> bytes:
    """A letter as RFC 5322 has it: from the mailbox to itself."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(letter.sender, addr_spec=address)
    message["To"] = address
    message["Subject"] = letter.subject
    message["Message-ID"] = letter.internet_message_id
    message.set_content(letter.text, cte="base64")
    return message.as_bytes()


def mailbox_guid(folder_id: str) -> str:
    """The GUID of the mailbox, which every id of Exchange begins with; a hash of the id where it is made otherwise.

    An id is base64; Graph writes it with other signs for two of the 64. Its first byte says whether runs of bytes are
    shortened, the second that a mailbox GUID follows; then comes the length of the GUID's text and the text
    [MS-OXWSCDATA, and ids as Exchange writes them]. That Graph's ids of folders have this form too, and name the same
    GUID after a mailbox has moved to the cloud, was not tried on a real tenant.
    """
    folder_id = folder_id.replace("-", "/").replace("_", "+")
    try:
        data = base64.b64decode(folder_id, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    text_of_id = (_expanded(data[1:]) if data[:1] == b"\x01" else data[1:])[:39]
    guid = text_of_id[3:].decode("ascii", "replace").lower()
    if text_of_id[:3] == b"\x03\x24\x00" and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", guid):
        return guid
    return hashlib.sha256(folder_id.encode()).hexdigest()


def _expanded(data: bytes) -> bytes:
    """Undo the shortening: after two equal bytes stands how many more of them follow."""
    out = bytearray()
    position = 0
    while position < len(data):
        out.append(data[position])
        position += 1
        if len(out) > 1 and out[-1] == out[-2] and position < len(data):
            out += bytes([out[-1]]) * data[position]
            position += 1
    return bytes(out)


def holds_mail(folder_class: str) -> bool:
    """Whether a folder of this class holds messages. Those that IMAP clients make have none."""
    is_mail = folder_class in {"", "IPF.Note"} or folder_class.startswith("IPF.Note.")
    return is_mail and not folder_class.startswith(_NO_MAIL)


def line(folder_id: str, parents: Mapping[str, str]) -> list[str]:
    """The ids from the topmost folder that is among these down to this one."""
    found: list[str] = []
    while folder_id in parents and folder_id not in found:
        found.insert(0, folder_id)
        folder_id = parents[folder_id]
    return found


def label(header: str) -> str:
    """The id of the sensitivity label in force, as Office writes labels into the header `msip_labels`; "" for none.

    There may be some of other houses, and some that were taken off again: the first that is on counts.
    """
    found = _LABEL.search(header)
    return found[1].lower() if found else ""


#: PidTagLastVerbExecuted: forward [MS-OXOMSG 2.2.1.6].
FORWARDED = "104"


def retention_tag(binary: str) -> str:
    """The id of a retention tag from PidTagPolicyTag in base64 [MS-OXPROPS 2.851]; "" where it is none."""
    if not binary:
        return ""
    try:
        return str(UUID(bytes_le=base64.b64decode(binary, validate=True)))
    except (binascii.Error, ValueError):
        return ""


def direction(headers: Mapping[str, str], *, in_sent: bool, from_owner: bool) -> Direction:
    """Anyone can write a From: it counts only where no server has stamped the message on its way in."""
    if in_sent or (from_owner and "received" not in headers):
        return Direction.SENT
    internal = headers.get("x-ms-exchange-organization-authas", "").lower() == "internal"
    return Direction.INTERNAL if internal else Direction.INCOMING


class Readable(io.RawIOBase):
    """A file to read from: the first chunk and those after it. What goes wrong on the way is translated by `told`."""

    def __init__(self, first: bytes, chunks: Iterator[bytes], told: Callable[[], AbstractContextManager[None]]) -> None:
        self._chunks = chunks
        self._told = told
        self._left = memoryview(first)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As the standard library asks for it: at most one chunk, and 0 at the end."""
        with self._told():
            self._left = self._left or memoryview(next(self._chunks, b""))
        view = memoryview(buffer).cast("B")
        part, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(part)] = part
        return len(part)
