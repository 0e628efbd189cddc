"""Messages, attachments and folders as JSON."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from connector.simulator import properties, text
from connector.simulator.deviations import Deviation
from connector.simulator.graph import extended
from connector.simulator.graph.call import Call
from connector.simulator.graph.identity import attachment_id, folder_id, item_id
from connector.simulator.graph.mail import etag
from connector.simulator.graph.message import Options, Refused
from connector.simulator.mailbox import Address, Attachment, Folder, Item, Mailbox, Message

_PREVIEW = 255
#: Scripts, comments, handlers of events and `data-` attributes do not come through (facts, A2: sanitised).
_UNSAFE = re.compile(
    r"<!--.*?-->|<(script|object|iframe)\b.*?</\1\s*>|\s(?:on\w+|data-[\w-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Shown:
    """A message on its way into a reply; `item` is the one that it is attached to, or the message itself."""

    call: Call
    mailbox: Mailbox
    item: Item
    message: Message

    def body(self) -> dict[str, str]:
        """The body in the form that the request prefers."""
        message = self.message
        if (self.call.request.prefers("outlook.body-content-type") or "").lower() == "text":
            return {"contentType": "text", "content": text.plain(message.body) if message.html else message.body}
        if not message.html:
            return {"contentType": "text", "content": message.body}
        unsafe = self.call.request.prefers("outlook.allow-unsafe-html") is not None
        return {"contentType": "html", "content": message.body if unsafe else _UNSAFE.sub("", message.body)}


def date(moment: datetime | None) -> str | None:
    """A date as Graph writes it."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def message_json(call: Call, mailbox: Mailbox, item: Item) -> dict[str, Any]:
    """A message as the request selects and expands it."""
    shown, options = Shown(call, mailbox, item, item.message), call.options
    told: dict[str, Any] = {**_type(item.message), "@odata.etag": etag(item)}
    told |= _fields(shown, options)
    for name, nested in options.expand.items():
        if name.lower() == "attachments":
            inner = Options.of(dict(each.split("=", 1) for each in re.split(r"[;&]", nested) if "=" in each))
            told["attachments"] = [
                attachment_json(call, mailbox, item, each, inner) for each in item.message.attachments
            ]
        elif name.lower() == "singlevalueextendedproperties":
            if call.deviates(Deviation.TOO_COMPLEX):
                says = "The restriction or sort order is too complex for this operation., Cannot query rows in a table."
                raise Refused(HTTPStatus.BAD_REQUEST, "ErrorRestrictionTooComplex", says)
            if known := extended.told(item.message, item, nested):
                told["singleValueExtendedProperties"] = known
        else:
            raise _unknown(name, "message")
    return told


def attachment_json(
    call: Call, mailbox: Mailbox, item: Item, attachment: Attachment, options: Options
) -> dict[str, Any]:
    """An attachment; its bytes are read only where they are selected."""
    _refuse_unknown(options, "attachment", _OF_ATTACHMENTS)
    kind = _kind(attachment)
    told: dict[str, Any] = {
        "@odata.type": f"#microsoft.graph.{kind}",
        "@odata.mediaContentType": attachment.content_type or None,
        "id": attachment_id(call, mailbox, item, attachment),
        "lastModifiedDateTime": date(attachment.modified),
        "name": attachment.name,
        "contentType": attachment.content_type or None,
        "size": attachment.size,
        "isInline": attachment.inline,
    }
    if kind == "fileAttachment":
        # Microsoft: fileattachment: "Don't use this property as it isn't supported".
        told |= {"contentId": attachment.content_id or None, "contentLocation": None}
        if options.select is None or any(each.lower().endswith("/contentbytes") for each in options.select):
            data = b"".join(attachment.content.chunks()) if attachment.content else b""
            told["contentBytes"] = base64.b64encode(data).decode()
    if attachment.message and any(each.lower().endswith("itemattachment/item") for each in options.expand):
        inner = Shown(call, mailbox, item, attachment.message)
        told["item"] = {"@odata.type": "#microsoft.graph.message", **_type(attachment.message)}
        told["item"] |= {key: value for key, value in _fields(inner, Options()).items() if key not in _OF_ITEMS}
    return options.selected(told, "item")


def folder_json(call: Call, mailbox: Mailbox, folder: Folder) -> dict[str, Any]:
    """A folder as the request selects and expands it."""
    _refuse_unknown(call.options, "mailFolder", _OF_FOLDERS)
    told = call.options.selected(_folder(mailbox, folder))
    for name, nested in call.options.expand.items():
        if name.lower() != "singlevalueextendedproperties":
            raise _unknown(name, "mailFolder")
        if known := extended.told_of_folder(folder, nested):
            told["singleValueExtendedProperties"] = known
    return told


def _folder(mailbox: Mailbox, folder: Folder) -> dict[str, Any]:
    return {
        "id": folder_id(folder),
        "displayName": folder.name,
        "parentFolderId": folder_id(folder.parent) if folder.parent else None,
        "childFolderCount": sum(not each.hidden for each in mailbox.children(folder)),
        "unreadItemCount": sum(not each.message.read for each in folder.items.values()),
        "totalItemCount": len(folder.items),
        "isHidden": folder.hidden,
    }


def _fields(shown: Shown, options: Options) -> dict[str, Any]:
    if options.select is None:
        return {name: read(shown) for name, read in _FIELDS.items() if name not in _ONLY_SELECTED}
    by_name = {name.lower(): name for name in _FIELDS}
    asked = {each.lower() for each in options.select if "/" not in each}
    if unknown := asked - by_name.keys() - {"attachments", "singlevalueextendedproperties"}:
        raise _unknown(min(unknown), "message")
    names = [name for lower, name in by_name.items() if lower in asked or name == "id"]
    return {name: _FIELDS[name](shown) for name in names}


def _kind(attachment: Attachment) -> str:
    if attachment.message is not None:
        return "itemAttachment"
    return "referenceAttachment" if attachment.reference else "fileAttachment"


def _refuse_unknown(options: Options, kind: str, known: frozenset[str]) -> None:
    """Raise where `$select` has a name that no such thing has (seen: microsoft-graph-explorer-v4: issue 3916)."""
    for name in options.select or ():
        if name.lower() not in known:
            raise _unknown(name, kind)


def _unknown(name: str, kind: str) -> Refused:
    says = f"Could not find a property named '{name}' on type 'microsoft.graph.{kind}'."
    return Refused(HTTPStatus.BAD_REQUEST, "RequestBroker--ParseUri", says)


def _type(message: Message) -> dict[str, str]:
    """Messages of a meeting have types of their own (facts, A2)."""
    if not message.item_class.lower().startswith("ipm.schedule.meeting"):
        return {}
    kind = message.item_class.split(".")[3:4]
    name = {"Request": "Request", "Resp": "Response"}.get("".join(kind), "")
    return {"@odata.type": f"#microsoft.graph.eventMessage{name}"}


def _person(address: Address | None) -> dict[str, Any] | None:
    if address is None:
        return None
    return {"emailAddress": {"name": address.name or address.address, "address": address.address}}


def _people(addresses: list[Address]) -> list[dict[str, Any] | None]:
    return [_person(each) for each in addresses]


def _conversation(shown: Shown) -> str:
    topic = properties.topic(shown.message.subject).lower().encode()
    return base64.urlsafe_b64encode(b"\x00\x14\x00\x10" + hashlib.sha256(topic).digest()[:26]).decode()


def _flag(message: Message) -> dict[str, Any]:
    status = {"1": "complete", "2": "flagged"}.get(str(message.extended.get(properties.FLAG_STATUS)), "notFlagged")
    return {"flagStatus": status}


def _preview(message: Message) -> str:
    return (text.plain(message.body) if message.html else message.body)[:_PREVIEW]


def _web_link(shown: Shown) -> str:
    return f"https://outlook.office365.com/owa/?ItemID={_id(shown)}&exvsurl=1&viewmodel=ReadMessageItem"


def _id(shown: Shown) -> str:
    return item_id(shown.call, shown.mailbox, shown.item.id)


def _headers(message: Message) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in message.headers]


#: In the order of Microsoft's message resource.
_FIELDS: dict[str, Callable[[Shown], Any]] = {
    "id": _id,
    "createdDateTime": lambda shown: date(shown.item.created),
    "lastModifiedDateTime": lambda shown: date(shown.item.modified),
    "changeKey": lambda shown: shown.item.change_key,
    "categories": lambda shown: list(shown.message.categories),
    "receivedDateTime": lambda shown: date(shown.message.received or shown.item.created),
    "sentDateTime": lambda shown: date(shown.message.sent or shown.item.created),
    "hasAttachments": lambda shown: shown.message.has_attachments,
    "internetMessageId": lambda shown: shown.message.internet_message_id or None,
    "internetMessageHeaders": lambda shown: _headers(shown.message),
    "subject": lambda shown: shown.message.subject,
    "bodyPreview": lambda shown: _preview(shown.message),
    "importance": lambda shown: shown.message.importance.lower(),
    "parentFolderId": lambda shown: folder_id(shown.item.folder),
    "conversationId": _conversation,
    "conversationIndex": lambda shown: properties.conversation_index(shown.message),
    "isDeliveryReceiptRequested": lambda shown: shown.message.delivery_receipt_requested,
    "isReadReceiptRequested": lambda shown: shown.message.read_receipt_requested,
    "isRead": lambda shown: shown.message.read,
    "isDraft": lambda shown: shown.message.draft,
    "webLink": _web_link,
    "inferenceClassification": lambda _: "focused",
    "body": Shown.body,
    "uniqueBody": Shown.body,
    "sender": lambda shown: _person(shown.message.sender),
    "from": lambda shown: _person(shown.message.author),
    "toRecipients": lambda shown: _people(shown.message.to),
    "ccRecipients": lambda shown: _people(shown.message.cc),
    "bccRecipients": lambda shown: _people(shown.message.bcc),
    "replyTo": lambda shown: _people(shown.message.reply_to),
    "flag": lambda shown: _flag(shown.message),
}
#: Facts, A2.
_ONLY_SELECTED = ("internetMessageHeaders", "uniqueBody")
#: In lower case, what an attachment and a folder have. A property of a derived type stands behind the name of that.
_OF_ATTACHMENTS = frozenset({
    "id", "name", "contenttype", "size", "isinline", "lastmodifieddatetime", "microsoft.graph.itemattachment/item",
    *(f"microsoft.graph.fileattachment/{name}" for name in ("contentid", "contentlocation", "contentbytes")),
})  # fmt: skip
_OF_FOLDERS = frozenset({
    "id", "displayname", "parentfolderid", "childfoldercount", "unreaditemcount", "totalitemcount", "ishidden",
})  # fmt: skip
#: What a message has by lying in a folder, and an attached one lacks.
_OF_ITEMS = ("changeKey", "parentFolderId")
