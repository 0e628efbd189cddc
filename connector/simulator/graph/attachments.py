"""Attachments: listed, read, removed, and added in one piece or in an upload session."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from connector.simulator.content import Content, clean
from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call, not_found, streamed
from connector.simulator.graph.identity import attachment_id, find_attachment, find_item
from connector.simulator.graph.mail import READ, WRITE, opened, refuse_attachments, refuse_conflict
from connector.simulator.graph.message import NO_CONTENT, Refused, Reply, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.graph.shapes import attachment_json, date
from connector.simulator.mailbox import Attachment, Item, Mailbox, Message
from connector.simulator.mime_export import mime_of, stream

#: Facts, A3: in one piece up to 3 MB, in a session from there to 150 MB, in chunks of up to 4 MB.
_AT_ONCE = 3 * 1024 * 1024
#: As measured: in one request of up to 4 MB, which holds 3,145,611 bytes in base64; in a session from 2 MB.
_REQUEST, _SESSION = 4 * 1024 * 1024, 2 * 1024 * 1024
_MOST = 150 * 1024 * 1024
_CHUNK = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def list_attachments(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-list-attachments."""
    item = find_item(mailbox, call.path["message"])
    return call.listed(
        "attachments",
        item.message.attachments,
        lambda each: attachment_json(call, mailbox, item, each, call.options),
        size=1000,
    )


def get_attachment(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: attachment-get."""
    item, attachment = _meant(call, mailbox)
    return _one(call, mailbox, item, attachment)


def get_bytes(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: attachment-get, $value: bytes of a file, MIME of an item, 405 for a reference (facts, A3)."""
    _, attachment = _meant(call, mailbox)
    if attachment.reference:
        says = "The OData request is not supported for reference attachments."
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "ErrorInvalidRequest", says)
    if attachment.message is not None:
        return streamed(stream(mime_of(attachment.message)), "message/rfc822")
    content = attachment.content or Content(b"")
    return streamed(content.chunks(), attachment.content_type or "application/octet-stream", content.size)


def delete_attachment(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: attachment-delete."""
    item, attachment = _meant(call, mailbox)
    refuse_attachments(call, item)
    refuse_conflict(call, item)
    mailbox.keep_version(item)
    attachments = _changing(call, mailbox, item).attachments
    attachments[:] = [each for each in attachments if each is not attachment]
    return NO_CONTENT


def add_attachment(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-post-attachments."""
    item = find_item(mailbox, call.path["message"])
    attachment = told_attachment(call.request.json())
    size, most = attachment.content.size if attachment.content else 0, _AT_ONCE
    if call.deviates(Deviation.OVERLAPPING_UPLOADS):
        size, most = len(call.request.body()), _REQUEST
    if size > most:
        says = "The request is too big: use an upload session."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "ErrorMessageSizeExceeded", says)
    _add(call, mailbox, item, attachment)
    return _one(call, mailbox, item, attachment, HTTPStatus.CREATED)


def create_session(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: attachment-createuploadsession."""
    item = find_item(mailbox, call.path["message"])
    refuse_attachments(call, item)
    asked = call.request.json().get("AttachmentItem") or invalid("AttachmentItem is missing.")
    size = asked.get("size")
    if not isinstance(size, int) or not asked.get("name") or str(asked.get("attachmentType")).lower() != "file":
        invalid("AttachmentItem needs attachmentType, name and size.")
    if size < (_SESSION if call.deviates(Deviation.OVERLAPPING_UPLOADS) else _AT_ONCE):
        says = "The size of the attachment is less than the minimum of an upload session."
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", says)
    if size > _MOST:
        says = "The size of the attachment exceeds the limit."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "ErrorAttachmentSizeLimitExceeded", says)
    attachment = Attachment(
        name=clean(asked["name"]),
        content_type=clean(asked.get("contentType") or ""),
        content_id=clean(asked.get("contentId") or ""),
        inline=bool(asked.get("isInline")),
    )
    session = Session(mailbox, item, attachment, size)
    token = secrets.token_urlsafe(24)
    call.tenant.preauthenticated[token] = session
    url = f"{call.request.host}/preauthenticated/attachments/{token}"
    return Reply(
        HTTPStatus.CREATED, {"@odata.context": call.context("uploadSession"), "uploadUrl": url, **session.told()}
    )


@dataclass
class Session:
    """A file on its way."""

    mailbox: Mailbox
    item: Item
    attachment: Attachment
    size: int
    parts: list[bytes] = field(default_factory=list)

    @property
    def come(self) -> int:
        """How many bytes there are."""
        return sum(len(each) for each in self.parts)

    def told(self) -> dict[str, Any]:
        """Until when it lasts, and what it waits for (Microsoft: outlook-large-attachments: `0-`, then `2097152`)."""
        expires = datetime.now(UTC) + timedelta(hours=1)
        return {"expirationDateTime": date(expires), "nextExpectedRanges": [str(self.come or "0-")]}


def upload(call: Call) -> Reply:
    """A chunk, in its order; the last one makes the attachment. The URL is the permission (facts, A3)."""
    session = _session(call)
    found = _RANGE.fullmatch(call.request.header("Content-Range")) or invalid("Content-Range is missing.")
    first, last, size = (int(each) for each in found.groups())
    data = call.request.body()
    if len(data) != last - first + 1 or size != session.size or len(data) > _CHUNK:
        invalid("The chunk does not fit: its length, the size of the file, or more than 4 MB.")
    if first != session.come:
        says = "The chunk is not the next one."
        raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "invalidRange", says)
    session.parts.append(data)
    if session.come < session.size:
        return Reply(json=session.told())
    del call.tenant.preauthenticated[call.path["token"]]
    session.attachment.content = Content(b"".join(session.parts))
    mailbox, item = session.mailbox, session.item
    with mailbox.lock:
        _add(call, mailbox, item, session.attachment)
        where = f"/Messages('{item.id}')/Attachments('{attachment_id(call, mailbox, item, session.attachment)}')"
    location = f"https://outlook.office.com/api/v2.0/Users('{mailbox.address}'){where}"
    return Reply(HTTPStatus.CREATED, headers=(("Location", location),))


def cancel(call: Call) -> Reply:
    """End an upload session without an attachment."""
    _session(call)
    del call.tenant.preauthenticated[call.path["token"]]
    return NO_CONTENT


def told_attachment(told: dict[str, Any]) -> Attachment:
    """The attachment in a request."""
    kind = str(told.get("@odata.type", "")).removeprefix("#").lower()
    attachment = Attachment(
        name=clean(str(told.get("name") or "")),
        content_type=clean(told.get("contentType") or ""),
        content_id=clean(told.get("contentId") or "").strip("<>"),
        inline=bool(told.get("isInline")),
    )
    if kind == "microsoft.graph.itemattachment":
        item = told.get("item") or invalid("An itemAttachment needs its item.")
        body = item.get("body") or {}
        attachment.message = Message(subject=clean(item.get("subject") or ""))
        attachment.message.set_body(clean(body.get("content") or ""), html=body.get("contentType") == "html")
        attachment.content_type = "message/rfc822"
    elif kind == "microsoft.graph.fileattachment":
        attachment.content = Content(_decoded(told.get("contentBytes")))
    else:
        # Facts, A3: in v1.0, reference attachments cannot be made.
        invalid("An attachment needs the @odata.type of a file or of an item.")
    return attachment


def _meant(call: Call, mailbox: Mailbox) -> tuple[Item, Attachment]:
    item = find_item(mailbox, call.path["message"])
    return item, find_attachment(mailbox, item, call.path["attachment"])


def _one(call: Call, mailbox: Mailbox, item: Item, attachment: Attachment, status: int = HTTPStatus.OK) -> Reply:
    told = attachment_json(call, mailbox, item, attachment, call.options)
    return Reply(status, {"@odata.context": call.context("attachments/$entity"), **told})


def _add(call: Call, mailbox: Mailbox, item: Item, attachment: Attachment) -> None:
    refuse_attachments(call, item)
    refuse_conflict(call, item)
    mailbox.keep_version(item)
    _changing(call, mailbox, item).attachments.append(attachment)


def _changing(call: Call, mailbox: Mailbox, item: Item) -> Message:
    """The message, for its attachments to change. Inferred: that its change key does too (facts, A3)."""
    key = item.change_key
    message = mailbox.changing(item)
    if call.deviates(Deviation.ATTACHMENTS_KEEP_CHANGE_KEY):
        item.change_key = key
    return message


def _session(call: Call) -> Session:
    if call.request.header("Authorization"):
        says = "The URL is preauthenticated: a token is an error."
        raise Refused(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", says)
    session = call.tenant.preauthenticated.get(call.path["token"])
    if not isinstance(session, Session):
        raise not_found("ErrorUploadSessionNotFound")
    return session


def _decoded(told: Any) -> bytes:
    try:
        return base64.b64decode(str(told or ""), validate=True)
    except (binascii.Error, ValueError):
        return invalid("contentBytes is no base64.")


_ALL = "/users/{user}/messages/{message}/attachments"
ROUTES = (
    Route("GET", _ALL, opened(list_attachments), READ),
    Route("POST", _ALL, opened(add_attachment), WRITE),
    Route("POST", f"{_ALL}/createUploadSession", opened(create_session), WRITE),
    Route("GET", f"{_ALL}/{{attachment}}", opened(get_attachment), READ),
    Route("DELETE", f"{_ALL}/{{attachment}}", opened(delete_attachment), WRITE),
    Route("GET", f"{_ALL}/{{attachment}}/$value", opened(get_bytes), READ),
)
PREAUTHENTICATED = (
    Route("PUT", "/preauthenticated/attachments/{token}", upload),
    Route("DELETE", "/preauthenticated/attachments/{token}", cancel),
)
