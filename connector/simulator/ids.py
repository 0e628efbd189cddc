"""Ids as Exchange forms them: base64 of a short header, the mailbox's GUID and the entry id in the mailbox.

An attachment's id is that of its item plus a token for each level of attachment, which is why moving an item, which
gives it a new id, gives its attachments new ids too. Clients may read the GUID out of an id; nothing else in it.
"""

import base64
import binascii
import struct
import uuid
from collections.abc import Sequence

_VERSIONED = b"\x00\x03"
_GUID_LENGTH = 36
_HEADER = len(_VERSIONED) + 2 + _GUID_LENGTH + 1
_PROVIDER = uuid.UUID("c04617e1-66b5-4d8a-8d6e-1dd06a1bf0f4").bytes
_FOLDER_LENGTH, _ITEM_LENGTH = 46, 70
TOKEN_LENGTH = 16


def folder_id(mailbox_guid: str, number: int) -> str:
    """The id of the folder with this number."""
    return _encode(mailbox_guid, _place(mailbox_guid, 1, number), ())


def item_id(mailbox_guid: str, folder_number: int, number: int) -> str:
    """The id of the item with this number, as long as it is in this folder."""
    message = uuid.UUID(mailbox_guid).bytes + number.to_bytes(6, "big")
    return _encode(mailbox_guid, _place(mailbox_guid, 7, folder_number) + message + bytes(2), ())


def attachment_id(of_item: str, path: Sequence[bytes]) -> str:
    """The id of an attachment of this item; a path of more than one token leads into attached items."""
    guid, entry, _ = _decode(of_item)
    return _encode(guid, entry, path)


def item_of(attachment: str) -> tuple[str, tuple[bytes, ...]]:
    """The item's id and the path of tokens in an attachment's id. Raises ValueError where it is malformed."""
    guid, entry, path = _decode(attachment)
    if not path:
        raise ValueError("the id names no attachment")
    return _encode(guid, entry, ()), path


def mailbox_of(identifier: str) -> str:
    """The GUID of the mailbox that an id belongs to. Raises ValueError where it is malformed."""
    return _decode(identifier)[0]


def change_key(mailbox_guid: str, number: int, *, folder: bool = False) -> str:
    """The change key of the state that this number stands for."""
    kind = b"\x01\x00\x00\x00" if folder else b"\x09\x00\x00\x00"
    return _text(kind + struct.pack("<I", 22) + uuid.UUID(mailbox_guid).bytes + number.to_bytes(6, "big") + bytes(4))


def _place(mailbox_guid: str, kind: int, folder_number: int) -> bytes:
    folder = uuid.UUID(mailbox_guid).bytes + folder_number.to_bytes(6, "big")
    return bytes(4) + _PROVIDER + struct.pack("<H", kind) + folder + bytes(2)


def _encode(guid: str, entry: bytes, path: Sequence[bytes]) -> str:
    header = _VERSIONED + struct.pack("<H", _GUID_LENGTH) + guid.encode("ascii") + b"\x00"
    tail = bytes([len(path)]) + b"".join(struct.pack("<H", len(token)) + token for token in path)
    return _text(header + struct.pack("<H", len(entry)) + entry + b"\x00" + tail)


def _decode(identifier: str) -> tuple[str, bytes, tuple[bytes, ...]]:
    try:
        raw = base64.b64decode(identifier, validate=True)
        guid = str(uuid.UUID(raw[4 : 4 + _GUID_LENGTH].decode("ascii")))
    except (binascii.Error, ValueError) as error:
        raise ValueError("the id is malformed") from error
    length = int.from_bytes(raw[_HEADER : _HEADER + 2], "little")
    entry = raw[_HEADER + 2 : _HEADER + 2 + length]
    tail = raw[_HEADER + 2 + length + 1 :]
    step = 2 + TOKEN_LENGTH
    if length not in (_FOLDER_LENGTH, _ITEM_LENGTH) or not tail or len(tail) != 1 + tail[0] * step:
        raise ValueError("the id is malformed")
    return guid, entry, tuple(tail[1 + at * step + 2 : 1 + (at + 1) * step] for at in range(tail[0]))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
