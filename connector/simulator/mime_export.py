"""A message becomes MIME again, from what it is now: nothing of what was received is kept but its headers.

Bodies and attachments travel in base64 and are byte-exact.
Big attachments are not read before their bytes are asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from email.header import Header
from email.utils import encode_rfc2231, format_datetime, formataddr

from connector.simulator.content import as_lines
from connector.simulator.mailbox import Address, Attachment, Message
from connector.simulator.text import plain

#: Bytes, or something that yields them when asked.
Piece = bytes | Callable[[], Iterable[bytes]]


def mime_of(message: Message) -> list[Piece]:
    """The message in MIME, as pieces to be joined; the caller may use them after the message has changed."""
    return [_headers(message), *_entity(message, "0")]


def stream(pieces: list[Piece]) -> Iterator[bytes]:
    """The bytes of the pieces."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from piece()


def _headers(message: Message) -> bytes:
    kept = [
        (name, value)
        for name, value in message.headers or _made_up_headers(message)
        if not name.lower().startswith("content-") and name.lower() != "mime-version"
    ]
    # A subject that was changed is no longer in encoded words.
    lines = (_line(name, _encoded(value) if name.lower() == "subject" else value) for name, value in kept)
    return b"".join([*lines, _line("MIME-Version", "1.0")])


def _made_up_headers(message: Message) -> list[tuple[str, str]]:
    """The headers of a message that was made from properties."""
    said = [
        ("From", _people([message.author] if message.author else [])),
        ("To", _people(message.to)),
        ("Cc", _people(message.cc)),
        ("Subject", message.subject),
        ("Date", format_datetime(message.sent) if message.sent else ""),
        ("Message-ID", message.internet_message_id),
        ("In-Reply-To", message.in_reply_to),
        ("References", message.references),
    ]
    return [(name, value) for name, value in said if value]


def _people(people: list[Address]) -> str:
    return ", ".join(formataddr((_one_line(each.name), _one_line(each.address))) for each in people)


def _entity(message: Message, boundary: str) -> list[Piece]:
    """Content headers, a blank line and the content. `boundary` keeps those of attached messages apart."""
    if message.item_class == "IPM.Note.SMIME.MultipartSigned" and message.attachments:
        # The attachment is the entity, its Content-Type included (Microsoft: MS-OXOSMIME 2.1).
        signed = message.attachments[0].content
        return [signed.chunks] if signed else []
    if message.item_class == "IPM.Note.SMIME" and message.attachments:
        return _file(message.attachments[0], "attachment")
    inline = [attachment for attachment in message.attachments if attachment.inline]
    others = [attachment for attachment in message.attachments if not attachment.inline]
    entity = _bodies(message, boundary)
    if inline:
        entity = _multipart("related", boundary, [entity, *(_attached(each, boundary, "inline") for each in inline)])
    if others:
        entity = _multipart("mixed", boundary, [entity, *(_attached(each, boundary, "attachment") for each in others)])
    return entity


def _bodies(message: Message, boundary: str) -> list[Piece]:
    """The body; beside HTML its text, as Exchange sends it (Microsoft: MS-OXCMAIL 2.1.3.3)."""
    bodies = [_text("html", message.body)] if message.html else []
    if bodies or message.calendar:
        bodies.insert(0, _text("plain", plain(message.body) if message.html else message.body))
    if message.calendar:
        bodies.append(_calendar(message))
    return _multipart("alternative", boundary, bodies) if bodies else _text("plain", message.body)


def _text(kind: str, text: str) -> list[Piece]:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return [head.encode(), *as_lines([text.encode()])]


def _calendar(message: Message) -> list[Piece]:
    methods = {"Request": "REQUEST", "Canceled": "CANCEL"}
    method = methods.get(message.item_class.rpartition(".")[2], "REPLY")
    head = f"Content-Type: text/calendar; charset=utf-8; method={method}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return [head.encode(), *as_lines([message.calendar])]


def _multipart(kind: str, boundary: str, entities: list[list[Piece]]) -> list[Piece]:
    # Content is base64, whose lines never begin with "--": a boundary needs no randomness.
    mark = f"--={kind}-{boundary}="
    pieces: list[Piece] = [f'Content-Type: multipart/{kind}; boundary="{mark[2:]}"\r\n\r\n'.encode()]
    for entity in entities:
        pieces += [f"{mark}\r\n".encode(), *entity, b"\r\n"]
    return [*pieces, f"{mark}--\r\n".encode()]


def _attached(attachment: Attachment, boundary: str, disposition: str) -> list[Piece]:
    if attachment.message is None:
        return _file(attachment, disposition)
    head = _line("Content-Type", "message/rfc822") + _disposition(attachment, disposition) + b"\r\n"
    return [head, _headers(attachment.message), *_entity(attachment.message, f"{boundary}.{attachment.token.hex()}")]


def _file(attachment: Attachment, disposition: str) -> list[Piece]:
    content_type = _one_line(attachment.content_type) or "application/octet-stream"
    if content_type.startswith(("multipart/", "message/")):
        content_type = "application/octet-stream"  # these may not be in base64 (RFC 2045, 6.4)
    head = _line("Content-Type", content_type) + _disposition(attachment, disposition)
    if attachment.content_id:
        head += _line("Content-ID", f"<{_one_line(attachment.content_id)}>")
    content = attachment.content
    lines: list[Piece] = [lambda: as_lines(content.chunks())] if content else []
    return [head + b"Content-Transfer-Encoding: base64\r\n\r\n", *lines]


def _disposition(attachment: Attachment, disposition: str) -> bytes:
    # RFC 2231 percent-encodes all that could end the line or the parameter.
    return _line("Content-Disposition", f"{disposition};\r\n filename*={encode_rfc2231(attachment.name, 'utf-8')}")


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _encoded(value: str) -> str:
    return value if value.isascii() else Header(value, "utf-8").encode()
