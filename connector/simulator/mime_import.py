"""A message in MIME becomes what Exchange keeps of it: properties, one body, attachments. Never raises."""

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message as Part

from connector.simulator import headers
from connector.simulator.content import Content, clean
from connector.simulator.mailbox import Attachment, Message, now

_SENSITIVITY = {"personal": "Personal", "private": "Private", "company-confidential": "Confidential"}
_IMPORTANCE = {"high": "High", "urgent": "High", "1": "High", "2": "High", "low": "Low", "4": "Low", "5": "Low"}
#: Microsoft: MS-OXOCAL 2.2 (message classes of meeting objects).
_MEETING = {
    "REQUEST": "IPM.Schedule.Meeting.Request",
    "CANCEL": "IPM.Schedule.Meeting.Canceled",
    "COUNTER": "IPM.Schedule.Meeting.Resp.Tent",
}
_REPLY = {"ACCEPTED": "Pos", "DECLINED": "Neg", "TENTATIVE": "Tent"}
_PKCS7 = ("application/pkcs7-mime", "application/x-pkcs7-mime")
#: How deep attached messages may nest; deeper ones stay files. Recursion must not be in the sender's hand.
_DEPTH = 20


#: Headers of parts come out as they came in, not folded anew.
_VERBATIM = policy.compat32.clone(max_line_length=0)


def message_of(eml: bytes) -> Message:
    """Import a message like Exchange would."""
    try:
        return _message(message_from_bytes(eml), eml, depth=0)
    except Exception:  # noqa: BLE001 - Python's parser raises RecursionError, TypeError and more on hostile mail
        # What cannot be taken apart stays the text that it is.
        return Message(body=headers.decode(eml, ""), received=now())


def _message(part: Part, eml: bytes, depth: int) -> Message:
    message = Message(
        subject=headers.text(part, "Subject"),
        sensitivity=_SENSITIVITY.get(headers.first(part, "Sensitivity").lower(), "Normal"),
        importance=_importance(part),
        headers=headers.raw(part),
        to=headers.addresses(part, "To"),
        cc=headers.addresses(part, "Cc"),
        bcc=headers.addresses(part, "Bcc"),
        reply_to=headers.addresses(part, "Reply-To"),
        sent=headers.date(headers.first(part, "Date")),
        received=_received(part),
        internet_message_id=clean(headers.first(part, "Message-ID")),
        in_reply_to=clean(headers.first(part, "In-Reply-To")),
        references=clean(headers.first(part, "References")),
        read_receipt_requested=bool(headers.first(part, "Disposition-Notification-To")),
    )
    message.author = next(iter(headers.addresses(part, "From")), None)
    message.sender = next(iter(headers.addresses(part, "Sender")), message.author)
    _Contents(message, eml, depth).take(part)
    return message


def _importance(part: Part) -> str:
    said = headers.first(part, "Importance") or headers.first(part, "X-Priority")[:1]
    return _IMPORTANCE.get(said.lower(), "Normal")


def _received(part: Part) -> datetime:
    """When the newest Received header says it came, else when it was sent, else now."""
    newest = headers.first(part, "Received").rpartition(";")[2]
    return headers.date(newest) or headers.date(headers.first(part, "Date")) or now()


class _Contents:
    """Sorts the parts of one message into its body, its attachments and what gives it its class."""

    def __init__(self, message: Message, eml: bytes, depth: int) -> None:
        self.message = message
        self.eml = eml
        self.depth = depth
        self.has_body = False

    def take(self, root: Part) -> None:
        """Fill the message."""
        kind = root.get_content_type()
        if kind in _PKCS7:
            self._opaque(root)
            return
        if kind == "multipart/signed" and "pkcs7-signature" in headers.parameter(root, "protocol").lower():
            self._clear_signed(root)
            return
        if kind == "multipart/report":
            self.message.item_class = _report_class(root)
        self._part(root, related=False, alternative=True)
        self._mark_inline()

    def _opaque(self, root: Part) -> None:
        """Opaque or encrypted: one attachment (Microsoft: MS-OXOSMIME 2.1)."""
        self.message.item_class = "IPM.Note.SMIME"
        self._attach_file(root, headers.file_name(root) or "smime.p7m")

    def _clear_signed(self, root: Part) -> None:
        """Clear-signed: one attachment that holds the whole entity, byte for byte (Microsoft: MS-OXOSMIME 2.1)."""
        self._part(root, related=False, alternative=False)
        self.message.attachments.clear()
        self.message.item_class = "IPM.Note.SMIME.MultipartSigned"
        content_type = headers.first(root, "Content-Type")
        entity = f"Content-Type: {content_type}\r\n\r\n".encode() + _after_headers(self.eml)
        self.message.attachments.append(
            Attachment(name="smime.p7m", content_type="multipart/signed", content=Content(entity))
        )

    def _part(self, part: Part, *, related: bool, alternative: bool) -> None:
        """Take one part. `alternative`: a calendar part here is the message itself, no attached file."""
        kind = part.get_content_type()
        if kind == "multipart/alternative" and part.is_multipart():
            self._alternative(part)
        elif kind.startswith("multipart/") and part.is_multipart():
            self._multipart(part, related=related or kind == "multipart/related")
        elif alternative and self._is_meeting(part):
            self._meeting(part)
        elif self._is_body(part):
            self._body(part)
        else:
            self._attach(part, related=related)

    def _multipart(self, part: Part, *, related: bool) -> None:
        for child in _children(part):
            self._part(child, related=related, alternative=False)

    def _alternative(self, part: Part) -> None:
        """Of several bodies the richest one counts; what is no body becomes an attachment."""
        choices = list(_children(part))
        best = max(choices, key=_richness, default=None)
        for child in choices:
            if child is best or _richness(child) == 0:
                self._part(child, related=False, alternative=True)

    def _is_body(self, part: Part) -> bool:
        if self.has_body or part.get_content_disposition() == "attachment":
            return False
        kind = part.get_content_type()
        # A multipart that Python could not take apart (no boundary) is the text that it is.
        broken = kind.startswith("multipart/")
        return broken or (kind in ("text/plain", "text/html", "text/enriched") and not headers.file_name(part))

    def _body(self, part: Part) -> None:
        self.has_body = True
        self.message.body = headers.decode(_payload(part), headers.parameter(part, "charset"))
        self.message.html = part.get_content_type() == "text/html"

    def _is_meeting(self, part: Part) -> bool:
        if part.get_content_type() != "text/calendar" or part.get_content_disposition() == "attachment":
            return False
        return _meeting_class(part, _payload(part)) is not None

    def _meeting(self, part: Part) -> None:
        self.message.calendar = _payload(part)
        self.message.item_class = _meeting_class(part, self.message.calendar) or self.message.item_class

    def _attach(self, part: Part, *, related: bool) -> None:
        if part.get_content_type() == "message/rfc822" and self.depth < _DEPTH:
            self._attach_message(part)
        else:
            self._attach_file(part, headers.file_name(part) or self._made_up_name(part), related=related)

    def _attach_message(self, part: Part) -> None:
        inner = _embedded(part)
        embedded = _message(inner, _bytes(inner), self.depth + 1)
        # Exchange names an attached message by its subject.
        name = embedded.subject or headers.file_name(part) or "Untitled"
        self.message.attachments.append(Attachment(name=name, content_type="message/rfc822", message=embedded))

    def _attach_file(self, part: Part, name: str, *, related: bool = False) -> None:
        attachment = Attachment(
            name=name,
            content_type=part.get_content_type(),
            content_id=clean(headers.first(part, "Content-ID")).strip("<> "),
            content_location=clean(headers.first(part, "Content-Location")),
            content=Content(_payload(part)),
        )
        shown = bool(attachment.content_id or attachment.content_location)
        attachment.inline = related and shown and part.get_content_disposition() != "attachment"
        self.message.attachments.append(attachment)

    def _made_up_name(self, part: Part) -> str:
        endings = {"text/plain": "txt", "text/html": "htm", "message/delivery-status": "txt", "text/calendar": "ics"}
        ending = endings.get(part.get_content_type(), "bin")
        return f"ATT{len(self.message.attachments) + 1:05}.{ending}"

    def _mark_inline(self) -> None:
        """What the HTML shows is inline wherever it stands in the MIME tree: Apple Mail puts it beside the text."""
        if self.message.html:
            shown = {found.lower() for found in re.findall(r"cid:([^\s\"'<>)]+)", self.message.body, re.IGNORECASE)}
            for attachment in self.message.attachments:
                attachment.inline |= attachment.content_id.lower() in shown


def _children(part: Part) -> Iterator[Part]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Part))


def _richness(part: Part) -> int:
    """How well a part serves as the body: 0 where it does not."""
    kind = part.get_content_type()
    if kind.startswith("multipart/"):
        return max((_richness(child) for child in _children(part)), default=0)
    if part.get_content_disposition() == "attachment":
        return 0
    return {"text/html": 3, "text/plain": 2, "text/enriched": 1}.get(kind, 0)


def _payload(part: Part) -> bytes:
    if part.is_multipart():
        # message/delivery-status, message/partial and their like: Python has parsed them; we want their bytes.
        return b"".join(_bytes(child) for child in _children(part))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _bytes(part: Part) -> bytes:
    """A part as it was, headers and all."""
    try:
        return part.as_bytes(policy=_VERBATIM)
    except (LookupError, UnicodeError):
        # A boundary or charset that Python could read and cannot write: what the leaves say has to do.
        leaves = (leaf.get_payload() for leaf in part.walk() if not leaf.is_multipart())
        return "\n".join(str(leaf) for leaf in leaves).encode("utf-8", "surrogateescape")


def _embedded(part: Part) -> Part:
    """The message inside a message/rfc822 part; also one in base64 or quoted-printable, which RFC 2046 forbids."""
    inner = next(_children(part), None)
    encoding = headers.first(part, "Content-Transfer-Encoding").lower()
    if inner is not None and encoding in ("base64", "quoted-printable"):
        encoded = _bytes(inner).lstrip(b"\r\n")
        wrapped = message_from_bytes(f"Content-Transfer-Encoding: {encoding}\n\n".encode() + encoded)
        return message_from_bytes(_payload(wrapped))
    return inner if inner is not None else message_from_bytes(_payload(part))


def _after_headers(eml: bytes) -> bytes:
    """All that follows the headers. Signatures cover bytes: lines end in CR LF, as on the wire."""
    return re.sub(rb"\r?\n", b"\r\n", eml).partition(b"\r\n\r\n")[2]


def _report_class(root: Part) -> str:
    """Microsoft: MS-OXCMAIL 2.1.3.2.2 and 2.1.3.2.3. Other reports, feedback for one, are ordinary messages."""
    kind = headers.parameter(root, "report-type").lower()
    said = b"".join(_payload(part) for part in root.walk() if part.get_content_type() == f"message/{kind}").lower()
    if kind == "disposition-notification":
        return "REPORT.IPM.Note.IPNNRN" if b"deleted" in said else "REPORT.IPM.Note.IPNRN"
    if kind != "delivery-status":
        return "IPM.Note"
    action = re.search(rb"^action:\s*(\w+)", said, re.MULTILINE)
    endings = {b"delivered": "DR", b"delayed": "Delayed.DR", b"relayed": "Relayed.DR", b"expanded": "Expanded.DR"}
    return f"REPORT.IPM.Note.{endings.get(action.group(1) if action else b'', 'NDR')}"


def _meeting_class(part: Part, calendar: bytes) -> str | None:
    """The class of a meeting message; None where the calendar part only publishes something."""
    found = re.search(rb"^METHOD:\s*(\w+)", calendar, re.MULTILINE | re.IGNORECASE)
    method = (found.group(1).decode() if found else headers.parameter(part, "method")).upper()
    if method == "REPLY":
        answer = re.search(rb"PARTSTAT=(\w+)", calendar, re.IGNORECASE)
        return f"IPM.Schedule.Meeting.Resp.{_REPLY.get(answer.group(1).decode().upper() if answer else '', 'Pos')}"
    return _MEETING.get(method)
