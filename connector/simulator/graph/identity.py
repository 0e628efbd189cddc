"""Ids in Graph: those of EWS in the alphabet of URLs, and immutable ones.

An immutable id stays when a message moves within its mailbox, where the other one changes (facts, A1). Folders have
only one kind. Both kinds are understood in every request.
"""

import base64
import binascii
import uuid
from http import HTTPStatus

from connector.simulator import ids
from connector.simulator.graph.call import Call, not_found
from connector.simulator.graph.message import Refused
from connector.simulator.mailbox import Attachment, Folder, Item, Mailbox

_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")
_IMMUTABLE = b"\x00\x09\x00\x2e"
_ITEM_LENGTH = 42


def url_safe(ews_id: str) -> str:
    """An id of EWS as Graph writes it."""
    return ews_id.translate(_TO_URL)


def folder_id(folder: Folder) -> str:
    """The id of a folder."""
    return url_safe(folder.id)


def item_id(call: Call, mailbox: Mailbox, ews_id: str) -> str:
    """The id of an item in the kind that the request prefers; also of one that is gone."""
    if not prefers_immutable(call):
        return url_safe(ews_id)
    return _text(_immutable(mailbox, mailbox.births[ews_id]))


def attachment_id(call: Call, mailbox: Mailbox, item: Item, attachment: Attachment) -> str:
    """The id of an attachment in the kind that the request prefers."""
    return _attachment_ids(mailbox, item, attachment)[prefers_immutable(call)]


def find_item(mailbox: Mailbox, identifier: str) -> Item:
    """The item with this id. Raises Refused where there is none."""
    raw = _raw(identifier)
    if raw.startswith(_IMMUTABLE) and len(raw) == _ITEM_LENGTH:
        is_here = raw[4:20] == uuid.UUID(mailbox.guid).bytes
        found = mailbox.alive.get(int.from_bytes(raw[20:26], "big")) if is_here else None
    else:
        found = mailbox.items.get(identifier.translate(_FROM_URL))
        if found is None:
            _refuse_malformed(identifier)
    if found is None:
        raise not_found()
    return found


def find_attachment(mailbox: Mailbox, item: Item, identifier: str) -> Attachment:
    """The attachment with this id. Raises Refused where there is none."""
    for each in item.message.attachments:
        if identifier in _attachment_ids(mailbox, item, each):
            return each
    raise not_found()


def find_folder(mailbox: Mailbox, identifier: str) -> Folder:
    """The folder with this id or well-known name. Raises Refused where there is none."""
    if identifier.lower() == "archive":
        return _archive(mailbox)
    found = mailbox.distinguished.get(identifier.lower()) or mailbox.folders.get(identifier.translate(_FROM_URL))
    if found is None:
        if not identifier.isalpha():
            _refuse_malformed(identifier)
        raise not_found()
    return found


def _archive(mailbox: Mailbox) -> Folder:
    """The folder of Outlook's "Archive" button, which every mailbox in the cloud has; here, since somebody asked."""
    root = mailbox.distinguished["msgfolderroot"]
    known = (each for each in mailbox.children(root) if each.name == "Archive")
    return next(known, None) or mailbox.create_folder("Archive", root)


def prefers_immutable(call: Call) -> bool:
    """Whether the request says `Prefer: IdType="ImmutableId"`."""
    return (call.request.prefers("IdType") or "").lower() == "immutableid"


def _attachment_ids(mailbox: Mailbox, item: Item, attachment: Attachment) -> tuple[str, str]:
    default = ids.attachment_id(item.id, [attachment.token]).translate(_TO_URL)
    return default, _text(_immutable(mailbox, item.born) + attachment.token)


def _immutable(mailbox: Mailbox, born: int) -> bytes:
    raw = _IMMUTABLE + uuid.UUID(mailbox.guid).bytes + born.to_bytes(6, "big")
    return raw.ljust(_ITEM_LENGTH, b"\x00")


def _refuse_malformed(identifier: str) -> None:
    """Raise Refused where this is no id at all."""
    try:
        ids.mailbox_of(identifier.translate(_FROM_URL))
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidIdMalformed", "Id is malformed.") from None


def _raw(identifier: str) -> bytes:
    try:
        return base64.b64decode(identifier, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidIdMalformed", "Id is malformed.") from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii")
