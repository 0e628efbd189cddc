"""Messages, made from the elements of a reply. Everything in them is hostile, and may be missing."""

import json
from collections.abc import Iterable, Mapping

from connector.model import Body, File, FileKind, Message
from connector.sources.ews.folders import Folder
from connector.sources.ews.properties import key
from connector.sources.ews.words import (
    LABELS,
    LAST_VERB,
    MARKER,
    NS,
    POLICY_TAG,
    TOUCHED,
    TRUE,
    TYPES,
    Element,
    identifier,
    text,
    when,
)
from connector.sources.exchange import FORWARDED, direction, label, retention_tag

_KINDS = {
    f"{{{TYPES}}}FileAttachment": FileKind.FILE,
    f"{{{TYPES}}}ItemAttachment": FileKind.ITEM,
    f"{{{TYPES}}}ReferenceAttachment": FileKind.REFERENCE,
}
_EXTENDED = f"{{{TYPES}}}ExtendedProperty"
_TOUCHED = [name.partition(":")[2] for name in TOUCHED]


#: By the local names of elements.
_Told = dict[str, Element]
#: By what they name.
_Extended = Mapping[tuple[object, ...], Element]


def message(element: Element, folder: Folder | None, mailbox: str) -> Message:
    """What an item element tells; of an item in a folder outside the tree the path is ""."""
    told = _told(element)
    sender = text(element, "t:From/t:Mailbox/t:EmailAddress")
    headers = _headers(told)
    extended = {_key(each): each for each in element.iterchildren(_EXTENDED)}
    return Message(
        id=told["ItemId"].get("Id"),
        version=told["ItemId"].get("ChangeKey", ""),
        internet_message_id=_text(told, "InternetMessageId"),
        folder=folder.path if folder else "",
        in_scope=bool(folder and folder.in_scope),
        subject=_text(told, "Subject"),
        sender=sender,
        recipients=_recipients(told),
        received=when(_text(told, "DateTimeReceived")),
        direction=direction(
            headers, in_sent=bool(folder and folder.sent), from_owner=sender.lower() == mailbox.lower()
        ),
        message_class=_text(told, "ItemClass") or "IPM.Note",
        sensitivity=_text(told, "Sensitivity").lower() or "normal",
        draft=_text(told, "IsDraft") in TRUE,
        read=_text(told, "IsRead") in TRUE if "IsRead" in told else None,
        categories=tuple(each.text or "" for each in _below(told, "Categories")),
        label=label(headers.get("msip_labels") or _value(extended, LABELS)),
        retention_tag=retention_tag(_value(extended, POLICY_TAG)),
        size=_number(told, "Size"),
        headers=headers,
        marker=_value(extended, MARKER),
        files=tuple(_file(each) for each in _below(told, "Attachments") if each.tag in _KINDS),
        touched=_touched(told, extended),
        forwarded=_value(extended, LAST_VERB) == FORWARDED if "Body" in told else None,
        body=_body(told),
    )


def _told(element: Element) -> _Told:
    """What stands directly in an element, of several of one name the first: looking each up would take longer."""
    return {each.tag.rpartition("}")[2]: each for each in element.iterchildren("{*}*", reversed=True)}


def _text(told: _Told, name: str) -> str:
    return told[name].text or "" if name in told else ""


def _number(told: _Told, name: str) -> int:
    digits = _text(told, name)
    return int(digits) if digits.isdecimal() else 0


def _below(told: _Told, name: str) -> Iterable[Element]:
    return told[name].iterchildren("{*}*") if name in told else ()


def _recipients(told: _Told) -> tuple[str, ...]:
    mailboxes = (each for name in ("ToRecipients", "CcRecipients", "BccRecipients") for each in _below(told, name))
    addresses = (text(each, "t:EmailAddress") for each in mailboxes)
    return tuple(address for address in addresses if address)


def _headers(told: _Told) -> dict[str, str]:
    """Of headers that stand there more than once, the first: it is the one that was added last."""
    headers: dict[str, str] = {}
    for header in _below(told, "InternetMessageHeaders"):
        headers.setdefault(header.get("HeaderName", "").lower(), header.text or "")
    return headers


def _file(element: Element) -> File:
    told = _told(element)
    return File(
        id=identifier(element, "t:AttachmentId"),
        name=_text(told, "Name"),
        size=_number(told, "Size"),
        content_type=_text(told, "ContentType"),
        kind=_KINDS[element.tag],
        inline=_text(told, "IsInline") in TRUE,
        content_id=_text(told, "ContentId").strip("<> "),
        content_location=_text(told, "ContentLocation"),
        version=_text(told, "LastModifiedTime"),
    )


def _touched(told: _Told, extended: _Extended) -> str:
    """What these fields hold, whatever it is; "" in a listing."""
    if "Body" not in told:
        return ""
    fields = [told[name] for name in _TOUCHED if name in told]
    fields += [extended[each] for each in (key(LAST_VERB),) if each in extended]
    return json.dumps([(each.tag, *_texts(each)) for each in fields])


def _texts(element: Element) -> Iterable[str]:
    # Most hold one text or none; to walk through them takes longer.
    return element.itertext() if len(element) else filter(None, [element.text])


def _key(extended: Element) -> tuple[object, ...]:
    return key(extended.find("t:ExtendedFieldURI", NS).attrib)


def _value(extended: _Extended, wanted: Mapping[str, str]) -> str:
    """Of an extended property; "" where the item has none."""
    found = extended.get(key(wanted))
    return "" if found is None else text(found, "t:Value")


def _body(told: _Told) -> Body | None:
    body = told.get("Body")
    return None if body is None else Body(body.text or "", html=body.get("BodyType") == "HTML")
