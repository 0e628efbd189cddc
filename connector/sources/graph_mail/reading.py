"""Messages, made from the JSON of a reply. Everything in it is hostile, and may be missing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from connector.model import Body, File, FileKind, Message
from connector.sources.exchange import FORWARDED, direction, label, retention_tag
from connector.sources.graph_mail import words
from connector.sources.graph_mail.folders import Folder
from connector.sources.graph_mail.words import JSON

_KINDS = {f"#microsoft.graph.{kind}": kind for kind in FileKind}
#: PidTagSensitivity [MS-OXCMSG 2.2.1.13].
_SENSITIVITIES = {"1": "personal", "2": "private", "3": "confidential"}
_TOUCHED = ("isRead", "categories", "flag", "importance")


def message(told: JSON, folder: Folder | None, mailbox: str) -> Message:
    """What a message tells; of one in a folder outside the tree the path is ""."""
    sender = next(_addresses(told.get("from")), "")
    headers = _headers(told)
    return Message(
        id=str(told["id"]),
        version=str(told.get("changeKey") or ""),
        internet_message_id=_text(told, "internetMessageId"),
        folder=folder.path if folder else "",
        in_scope=bool(folder and folder.in_scope),
        subject=_text(told, "subject"),
        sender=sender,
        recipients=tuple(
            address
            for field in ("toRecipients", "ccRecipients", "bccRecipients")
            for each in told.get(field) or ()
            for address in _addresses(each)
        ),
        received=_when(_text(told, "receivedDateTime")),
        direction=direction(
            headers, in_sent=bool(folder and folder.sent), from_owner=sender.lower() == mailbox.lower()
        ),
        message_class=words.told(told, words.MESSAGE_CLASS) or "IPM.Note",
        sensitivity=_SENSITIVITIES.get(words.told(told, words.SENSITIVITY), "normal"),
        draft=told.get("isDraft") is True,
        read=told["isRead"] if isinstance(told.get("isRead"), bool) else None,
        categories=tuple(map(str, told.get("categories") or ())),
        label=label(headers.get("msip_labels") or words.told(told, words.LABELS)),
        retention_tag=retention_tag(words.told(told, words.POLICY_TAG)),
        size=_number(words.told(told, words.MESSAGE_SIZE)),
        headers=headers,
        marker=words.told(told, words.MARKER),
        files=tuple(_file(each) for each in told.get("attachments") or () if each.get("@odata.type") in _KINDS),
        touched=_touched(told),
        forwarded=words.told(told, words.LAST_VERB) == FORWARDED if "body" in told else None,
        body=_body(told),
    )


def _text(told: JSON, name: str) -> str:
    return str(told.get(name) or "")


def _number(digits: str) -> int:
    return int(digits) if digits.isdecimal() else 0


def _addresses(person: JSON | None) -> Iterator[str]:
    address = ((person or {}).get("emailAddress") or {}).get("address")
    if address:
        yield str(address)


def _headers(told: JSON) -> dict[str, str]:
    """Of headers that stand there more than once, the first: it is the one that was added last."""
    headers: dict[str, str] = {}
    for header in told.get("internetMessageHeaders") or ():
        headers.setdefault(_text(header, "name").lower(), _text(header, "value"))
    return headers


def _file(told: JSON) -> File:
    size = told.get("size")
    return File(
        id=str(told["id"]),
        name=_text(told, "name"),
        size=size if isinstance(size, int) else 0,
        content_type=_text(told, "contentType"),
        kind=_KINDS[told["@odata.type"]],
        inline=told.get("isInline") is True,
        content_id=_text(told, "contentId").strip("<> "),
        version=_text(told, "lastModifiedDateTime"),
    )


def _touched(told: JSON) -> str:
    """What these fields hold, whatever it is; "" in a listing."""
    if "body" not in told:
        return ""
    return json.dumps([*(told.get(name) for name in _TOUCHED), words.told(told, words.LAST_VERB)], sort_keys=True)


def _body(told: JSON) -> Body | None:
    body = told.get("body")
    return Body(_text(body, "content"), html=body.get("contentType") == "html") if isinstance(body, dict) else None


def _when(moment: str) -> datetime | None:
    """The time in UTC; None where it is none, or does not say in which zone."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else None
