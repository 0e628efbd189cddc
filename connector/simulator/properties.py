"""MAPI properties beyond the fields of the schemas, and the tags that follow from other fields."""

import base64
import re
from collections.abc import Callable
from datetime import datetime

from connector.simulator.mailbox import RTF, TAGGED, Address, Folder, Item, Message, Property

#: Microsoft: distinguishedpropertysetid, MS-OXPROPS 1.3.2.
SETS = {
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
HEADERS = SETS["InternetHeaders"]

Date = Callable[[datetime | None], str | None]


def tag(number: int) -> Property:
    """The property with this tag."""
    return Property(TAGGED, number)


FLAG_STATUS = tag(0x1090)
FLAG_COMPLETED = tag(0x1091)
TASK_START = Property(SETS["Task"], 0x8104)
TASK_DUE = Property(SETS["Task"], 0x8105)
REMINDER_MINUTES = Property(SETS["Common"], 0x8501)
REMINDER_DUE = Property(SETS["Common"], 0x8502)
REMINDER_SET = Property(SETS["Common"], 0x8503)
MESSAGE_FLAGS = tag(0x0E07)
#: PidTagLocalCommitTimeMax: when anything in a folder last changed.
COMMIT_TIME = tag(0x670A)
_READ, _UNSENT, _HAS_ATTACHMENTS = 0x01, 0x08, 0x10


def value(message: Message, item: Item, prop: Property, date: Date) -> str | list[str] | None:
    """The value of a property; None where the item has none."""
    if prop in message.extended:
        return message.extended[prop]
    if prop.set == HEADERS:
        return next((text for name, text in message.headers if name.lower() == prop.key), None)
    computed = _COMPUTED.get(prop.key) if prop.set == TAGGED and isinstance(prop.key, int) else None
    return computed(message, item, date) if computed else None


def folder_value(folder: Folder, prop: Property, date: Date) -> str | None:
    """The value of a folder's property; None where it has none."""
    read = _OF_FOLDERS.get(prop.key) if prop.set == TAGGED and isinstance(prop.key, int) else None
    return read(folder, date) if read else None


def store(message: Message, prop: Property, told: str | list[str]) -> None:
    """Set an extended property. PidTagMessageFlags also tells whether a new message is a draft, and read.

    Raises ValueError where that is no number.
    """
    if prop == MESSAGE_FLAGS:
        if not isinstance(told, str) or not re.fullmatch(r"\d+", told, re.ASCII):
            raise ValueError("PidTagMessageFlags is no number")
        flags = int(told)
        message.draft, message.read = bool(flags & _UNSENT), bool(flags & _READ)
    else:
        message.extended[prop] = told


def topic(subject: str) -> str:
    """The subject without RE: and FW: (PidTagConversationTopic)."""
    return re.sub(r"^(?:\s*(?:re|fwd?|aw|wg)\s*:\s*)+", "", subject, flags=re.IGNORECASE)


def conversation_index(message: Message) -> str | None:
    """What Outlook puts into the header Thread-Index (PidTagConversationIndex); None where there is none."""
    told = next((value for name, value in message.headers if name.lower() == "thread-index"), "")
    return told if told and re.fullmatch(r"(?:[\w+/]{4})*+(?:[\w+/]{2}==|[\w+/]{3}=)?", told, re.ASCII) else None


def _flags(message: Message) -> str:
    flags = _READ * message.read | _UNSENT * message.draft | _HAS_ATTACHMENTS * bool(message.attachments)
    return str(flags)


def _headers(message: Message) -> str:
    return "".join(f"{name}: {text}\r\n" for name, text in message.headers)


def _native_body(message: Message) -> str:
    """MS-OXPROPS, PidTagNativeBody: plain text, RTF or HTML."""
    return "2" if RTF in message.extended else "3" if message.html else "1"


def _change_key(item: Item) -> bytes:
    """The last change as an XID (MS-OXCFXICS 2.2.2.2): replica, and counter in six bytes."""
    replica, counter = max(item.predecessors.items(), key=lambda change: change[1])
    return replica + counter.to_bytes(6, "big")


def _predecessors(item: Item) -> bytes:
    """All last changes, each as an XID after its size, sorted by replica (MS-OXCFXICS 2.2.2.3)."""
    changes = sorted(item.predecessors.items())
    return b"".join(bytes([len(replica) + 6]) + replica + counter.to_bytes(6, "big") for replica, counter in changes)


def _binary(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _names(people: list[Address]) -> str:
    return "; ".join(each.name or each.address for each in people)


#: MS-OXPROPS, by property tag.
_COMPUTED: dict[int, Callable[[Message, Item, Date], str | None]] = {
    0x0017: lambda message, *_: {"Low": "0", "Normal": "1", "High": "2"}[message.importance],
    0x001A: lambda message, *_: message.item_class,
    0x0036: lambda message, *_: str(["Normal", "Personal", "Private", "Confidential"].index(message.sensitivity)),
    0x0037: lambda message, *_: message.subject,
    0x0039: lambda message, _, date: date(message.sent),
    0x0070: lambda message, *_: topic(message.subject),
    0x0071: lambda message, *_: conversation_index(message),
    0x007D: lambda message, *_: _headers(message) or None,
    0x0C1A: lambda message, *_: message.sender.name if message.sender else None,
    0x0C1F: lambda message, *_: message.sender.address if message.sender else None,
    0x0E03: lambda message, *_: _names(message.cc),
    0x0E04: lambda message, *_: _names(message.to),
    0x0E06: lambda message, _, date: date(message.received),
    0x0E07: lambda message, *_: _flags(message),
    0x0E08: lambda message, *_: str(message.size),
    0x0E1B: lambda message, *_: "true" if message.has_attachments else "false",
    0x0E1D: lambda message, *_: topic(message.subject),
    0x0E23: lambda _, item, __: str(item.number),
    0x1000: lambda message, *_: None if message.html else message.body,
    0x1013: lambda message, *_: base64.b64encode(message.body.encode()).decode() if message.html else None,
    0x1016: lambda message, *_: _native_body(message),
    0x1035: lambda message, *_: message.internet_message_id or None,
    0x1039: lambda message, *_: message.references or None,
    0x1042: lambda message, *_: message.in_reply_to or None,
    0x3007: lambda _, item, date: date(item.created),
    0x3008: lambda _, item, date: date(item.modified),
    0x3FDE: lambda *_: "65001",
    0x65E2: lambda _, item, __: _binary(_change_key(item)),
    0x65E3: lambda _, item, __: _binary(_predecessors(item)),
}
_OF_FOLDERS: dict[int, Callable[[Folder, Date], str | None]] = {
    0x0E08: lambda folder, _: str(sum(item.message.size for item in folder.items.values())),
    0x10F4: lambda *_: "false",
    0x3001: lambda folder, _: folder.name,
    0x3602: lambda folder, _: str(len(folder.items)),
    0x3603: lambda folder, _: str(sum(not item.message.read for item in folder.items.values())),
    0x3613: lambda folder, _: folder.folder_class,
    0x670A: lambda folder, date: date(folder.committed),
    0x6751: lambda folder, _: str(max((item.number for item in folder.items.values()), default=0) + 1),
}
