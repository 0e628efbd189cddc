"""Messages, made from the elements of a reply. Everything in them is hostile, and may be missing."""

import json

from connector.model import Body, File, FileKind, Message
from connector.sources.ews.folders import Folder
from connector.sources.ews.words import (
    LAST_VERB,
    MARKER,
    NS,
    TOUCHED,
    TYPES,
    Element,
    every,
    flag,
    identifier,
    number,
    text,
    when,
)
from connector.sources.exchange import direction

_KINDS = {
    f"{{{TYPES}}}FileAttachment": FileKind.FILE,
    f"{{{TYPES}}}ItemAttachment": FileKind.ITEM,
    f"{{{TYPES}}}ReferenceAttachment": FileKind.REFERENCE,
}


def message(element: Element, folder: Folder | None, mailbox: str) -> Message:
    """What an item element tells; of an item in a folder outside the tree the path is ""."""
    item_id = element.find("t:ItemId", NS)
    sender = text(element, "t:From/t:Mailbox/t:EmailAddress")
    headers = _headers(element)
    return Message(
        id=item_id.get("Id"),
        version=item_id.get("ChangeKey", ""),
        internet_message_id=text(element, "t:InternetMessageId"),
        folder=folder.path if folder else "",
        subject=text(element, "t:Subject"),
        sender=sender,
        recipients=_recipients(element),
        received=when(text(element, "t:DateTimeReceived")),
        direction=direction(
            headers, in_sent=bool(folder and folder.sent), from_owner=sender.lower() == mailbox.lower()
        ),
        message_class=text(element, "t:ItemClass") or "IPM.Note",
        sensitivity=text(element, "t:Sensitivity").lower() or "normal",
        draft=flag(element, "t:IsDraft"),
        headers=headers,
        marker=_marker(element),
        files=tuple(_file(each) for each in every(element, "t:Attachments/*") if each.tag in _KINDS),
        touched=_touched(element),
        body=_body(element),
    )


def _recipients(element: Element) -> tuple[str, ...]:
    lists = ("t:ToRecipients", "t:CcRecipients", "t:BccRecipients")
    addresses = (text(each, "t:EmailAddress") for path in lists for each in every(element, f"{path}/t:Mailbox"))
    return tuple(address for address in addresses if address)


def _headers(element: Element) -> dict[str, str]:
    """Of headers that stand there more than once, the first: it is the one that was added last."""
    headers: dict[str, str] = {}
    for header in every(element, "t:InternetMessageHeaders/t:InternetMessageHeader"):
        headers.setdefault(header.get("HeaderName", "").lower(), header.text or "")
    return headers


def _file(element: Element) -> File:
    return File(
        id=identifier(element, "t:AttachmentId"),
        name=text(element, "t:Name"),
        size=number(element, "t:Size"),
        content_type=text(element, "t:ContentType"),
        kind=_KINDS[element.tag],
        inline=flag(element, "t:IsInline"),
        content_id=text(element, "t:ContentId").strip("<> "),
        content_location=text(element, "t:ContentLocation"),
        version=text(element, "t:LastModifiedTime"),
    )


def _touched(element: Element) -> str:
    """What these fields hold, whatever it is; "" where they were not asked for."""
    fields = [each for name in TOUCHED for each in every(element, f"t:{name.partition(':')[2]}")]
    fields += [each for each in every(element, "t:ExtendedProperty") if _is_last_verb(each)]
    return json.dumps([(each.tag, *each.itertext()) for each in fields]) if fields else ""


def _is_last_verb(extended: Element) -> bool:
    tag = extended.find("t:ExtendedFieldURI", NS).get("PropertyTag", "")
    return bool(tag.lower() == LAST_VERB["PropertyTag"])


def _marker(element: Element) -> str:
    for extended in every(element, "t:ExtendedProperty"):
        field = extended.find("t:ExtendedFieldURI", NS)
        ours = field.get("PropertySetId", "").lower() == MARKER["PropertySetId"]
        if ours and field.get("PropertyName") == MARKER["PropertyName"]:
            return text(extended, "t:Value")
    return ""


def _body(element: Element) -> Body | None:
    body = element.find("t:Body", NS)
    return None if body is None else Body(body.text or "", html=body.get("BodyType") == "HTML")
