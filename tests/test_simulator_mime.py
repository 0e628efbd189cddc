"""What Exchange makes of a message in MIME, and what it gives back."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from connector.simulator.mailbox import Attachment, Message
from connector.simulator.mime_export import mime_of, stream
from connector.simulator.mime_import import message_of

_HEAD = b"From: ben@example.org\r\nSubject: S\r\nMIME-Version: 1.0\r\n"


def _mime(message: Message) -> bytes:
    return b"".join(stream(mime_of(message)))


def _content(attachment: Attachment) -> bytes:
    assert attachment.content is not None
    return b"".join(attachment.content.chunks())


def test_html_wins_over_text_and_keeps_its_line_ends() -> None:
    """Of two alternatives the HTML is the body; CR LF in it stay what they are."""
    eml = _HEAD + (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n"
        b"--b\r\nContent-Type: text/html; charset=iso-8859-15\r\n\r\n<p>\xa4\r\n</p>\r\n--b--\r\n"
    )

    message = message_of(eml)

    assert (message.body, message.html) == ("<p>€\r\n</p>", True)
    assert message.attachments == []


@pytest.mark.parametrize(("charset", "expected"), [("x-unknown", "Grüße"), ("utf-16-nonsense", "Grüße"), ("", "Grüße")])
def test_an_unknown_charset_is_read_as_utf8(charset: str, expected: str) -> None:
    """A charset that nobody knows does not lose the text."""
    declared = f"; charset={charset}" if charset else ""

    message = message_of(_HEAD + f"Content-Type: text/plain{declared}\r\n\r\nGrüße".encode())

    assert message.body == expected


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ('filename="a.pdf"', "a.pdf"),
        ("filename*=utf-8''%D0%90.pdf", "А.pdf"),  # noqa: RUF001 - Cyrillic is the point
        ("filename*0*=utf-8''%C3%84; filename*1=b.pdf", "Äb.pdf"),
        ('filename="=?utf-8?b?w4QucGRm?="', "Ä.pdf"),
        ('filename="../../etc/passwd"', "../../etc/passwd"),
        ("filename*=utf-8''a%0D%0Ab%00.pdf", "a\r\nb\ufffd.pdf"),
    ],
)
def test_names_of_attachments(parameter: str, expected: str) -> None:
    """A name is read in every form in which it is written; what XML cannot carry is replaced."""
    eml = _HEAD + f"Content-Type: application/pdf\r\nContent-Disposition: attachment; {parameter}\r\n\r\nx".encode()

    assert [attachment.name for attachment in message_of(eml).attachments] == [expected]


def test_inline_is_what_the_html_shows() -> None:
    """An image that the HTML refers to is inline wherever it stands; one that nobody refers to is a file."""
    message = EmailMessage(policy=policy.SMTP)
    message.set_content("<img src='cid:logo@example.org'>", subtype="html")
    message.add_attachment(b"logo", maintype="image", subtype="png", filename="logo.png", cid="<logo@example.org>")
    message.add_attachment(b"plan", maintype="image", subtype="png", filename="plan.png", cid="<plan@example.org>")

    imported = message_of(message.as_bytes())

    assert [(each.name, each.inline) for each in imported.attachments] == [("logo.png", True), ("plan.png", False)]
    assert imported.has_attachments


def test_only_inline_attachments_are_no_attachments() -> None:
    """HasAttachments is false where all attachments are inline."""
    message = EmailMessage(policy=policy.SMTP)
    message.set_content("<img src='cid:logo@example.org'>", subtype="html")
    message.add_related(b"logo", maintype="image", subtype="png", cid="<logo@example.org>")

    assert not message_of(message.as_bytes()).has_attachments


def test_an_attached_message_is_an_item() -> None:
    """message/rfc822 becomes an item with attachments of its own, named by its subject."""
    inner = EmailMessage(policy=policy.SMTP)
    inner["Subject"] = "Inner"
    inner.set_content("inside")
    inner.add_attachment(b"bytes", maintype="application", subtype="zip", filename="in.zip")
    outer = EmailMessage(policy=policy.SMTP)
    outer.set_content("outside")
    outer.add_attachment(inner)

    (attachment,) = message_of(outer.as_bytes()).attachments

    assert attachment.name == "Inner"
    assert attachment.message is not None
    assert [each.name for each in attachment.message.attachments] == ["in.zip"]


def test_clear_signed_mail_has_one_attachment_that_is_the_signed_entity() -> None:
    """Class and single attachment are MS-OXOSMIME's, and MIME gives the signed bytes back untouched."""
    entity = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nsigned  \r\n"
        b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nsig\r\n--b--\r\n"
    )
    content_type = b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n'

    message = message_of(_HEAD + content_type + b"\r\n" + entity)

    assert message.item_class == "IPM.Note.SMIME.MultipartSigned"
    assert message.body.startswith("signed")
    (attachment,) = message.attachments
    assert (attachment.name, _content(attachment)) == ("smime.p7m", content_type + b"\r\n" + entity)
    assert _mime(message).endswith(b"\r\n\r\n" + entity)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/pkcs7-mime; smime-type=enveloped-data", "x", "IPM.Note.SMIME"),
        ("text/calendar; method=REQUEST", "BEGIN:VCALENDAR", "IPM.Schedule.Meeting.Request"),
        ("text/calendar", "BEGIN:VCALENDAR\r\nMETHOD:CANCEL", "IPM.Schedule.Meeting.Canceled"),
        ("text/calendar", "METHOD:REPLY\r\nATTENDEE;PARTSTAT=DECLINED:x", "IPM.Schedule.Meeting.Resp.Neg"),
        ("text/calendar", "METHOD:PUBLISH", "IPM.Note"),
        ("multipart/report; report-type=delivery-status; boundary=b", "--b\r\n\r\nno\r\n--b--", "REPORT.IPM.Note.NDR"),
        (
            "multipart/report; report-type=disposition-notification; boundary=b",
            "--b\r\n\r\nread\r\n--b--",
            "REPORT.IPM.Note.IPNRN",
        ),
        ("multipart/report; report-type=feedback-report; boundary=b", "--b\r\n\r\nspam\r\n--b--", "IPM.Note"),
    ],
)
def test_message_classes(content_type: str, body: str, expected: str) -> None:
    """S/MIME, meetings and reports get the class that Exchange gives them."""
    assert message_of(_HEAD + f"Content-Type: {content_type}\r\n\r\n{body}\r\n".encode()).item_class == expected


def test_received_is_the_newest_received_header() -> None:
    """The first Received header tells the time; without one the Date does."""
    dated = b"Date: Sat, 21 Nov 2026 9:00:00 GMT\r\n" + _HEAD
    older = b"Received: from x by y; Sun, 22 Nov 2026 1:00:00 +0000\r\n"
    newest = b"Received: from a by b;\r\n Mon, 23 Nov 2026 12:00:00 +0100\r\n"

    assert message_of(newest + older + dated).received == datetime(2026, 11, 23, 11, tzinfo=UTC)
    assert message_of(dated).received == datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_mime_shows_what_the_message_is_now() -> None:
    """After a change MIME has the new state, exact bytes, and the headers as they came."""
    message = EmailMessage(policy=policy.SMTP)
    message["Received"] = "from a by b; Mon, 23 Nov 2026 12:00:00 +0100"
    message["Subject"] = "Zeichnung"
    message["X-Own"] = "kept"
    message.set_content("<p>alt</p>", subtype="html")
    message.add_attachment(b"gone", maintype="application", subtype="pdf", filename="gone.pdf")
    message.add_attachment(bytes(range(256)), maintype="text", subtype="plain", filename='nasty "na\u202eme".txt')
    imported = message_of(message.as_bytes())
    imported.body = "<p>neu\r\n\rÜ</p>"
    del imported.attachments[0]

    exported = message_from_bytes(_mime(imported), policy=policy.default)

    html = exported.get_body(("html",))
    assert html is not None
    assert html.get_payload(decode=True) == "<p>neu\r\n\rÜ</p>".encode()
    (attachment,) = exported.iter_attachments()
    assert attachment.get_payload(decode=True) == bytes(range(256))
    assert attachment.get_filename() == 'nasty "na\u202eme".txt'
    assert [(name, exported[name]) for name in ("Received", "Subject", "X-Own")] == [
        (name, message[name]) for name in ("Received", "Subject", "X-Own")
    ]


@pytest.mark.parametrize(
    "eml",
    [
        b"",
        b"\x00\xff",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: text/plain; charset*0=a; charset*x=b\r\n\r\ntext",
        b"Subject: =?utf-8?b?//?=\r\nDate: never\r\n\r\n",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (depth, depth) for depth in range(3000)
        ),
        b"Content-Type: message/rfc822\r\n\r\n" * 3000,
    ],
)
def test_hostile_mail_is_imported_all_the_same(eml: bytes) -> None:
    """Whatever comes is a message afterwards, and can be given back."""
    assert _mime(message_of(eml))
