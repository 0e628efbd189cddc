"""Our own sample mail: one message for each thing that mail can be, in two mailboxes. Nobody in it is real."""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from pathlib import Path

from connector.names import safe_name

ANNA, BERND = "anna@example.org", "bernd@example.org"

_CARLA, _DMITRI, _SCANNER = "carla@example.net", "dmitri@example.net", "scanner@example.org"
_FIRST = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
_ON_THE_WIRE = policy.compat32.clone(linesep="\r\n")
_TRICKS = (
    "../../etc/passwd",
    r"C:\Windows\System32\drivers\etc\hosts",
    "two\nlines.pdf",
    "invoice\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe",
    "CON.txt",
)


def write_samples(folder: Path) -> None:
    """Write every sample to `folder`, as `MAILBOX/FOLDER/NUMBER SUBJECT.eml`. Its attachments are always the same."""
    for number, (where, sender, subject, message) in enumerate(_samples(), 1):
        mailbox = where.partition("/")[0]
        message["From"], message["To"], message["Subject"] = sender, _recipient(mailbox, sender), subject
        _stamp(message, number)
        (folder / where).mkdir(parents=True, exist_ok=True)
        (folder / where / safe_name(f"{number:02} {subject}.eml")).write_bytes(message.as_bytes(policy=_ON_THE_WIRE))


def team_files() -> Iterator[tuple[str, bytes]]:
    """What people keep in a channel: paths and contents."""
    yield "Drawings/north pier.dwg", _bytes("north pier.dwg", 3 << 20)
    yield "Drawings/Maße für Q3.xlsx", _bytes("Maße für Q3.xlsx", 60_000)
    yield "contract.pdf", _bytes("contract.pdf", 200_000)
    yield "site manager.vcf", _bytes("site manager.vcf", 400)


def chat_files() -> Iterator[tuple[str, bytes]]:
    """What somebody sent to a chat: names and contents."""
    yield "crack in the pier.jpg", _bytes("crack in the pier.jpg", 700_000)
    yield "call me.vcf", _bytes("call me.vcf", 400)


def _recipient(mailbox: str, sender: str) -> str:
    return _CARLA if sender == mailbox else mailbox


def _stamp(message: Message, number: int) -> None:
    """What mail servers add; without `Received` where the message was written in the mailbox itself."""
    date = format_datetime(_FIRST + timedelta(hours=number))
    message["Date"] = date
    message["Message-ID"] = f"<sample-{number}@example.net>"
    if message["From"] not in (ANNA, BERND):
        message["Received"] = f"from mx.example.net by mail.example.org; {date}"


def _samples() -> Iterator[tuple[str, str, str, Message]]:
    """Where each lies, who sent it, its subject and its content."""
    inbox = f"{ANNA}/Inbox"
    yield inbox, _CARLA, "Quarterly figures", _outlook()
    yield inbox, _DMITRI, "Minutes of Monday, text only", _mixed(_text("The minutes."), _file("minutes.pdf", 90_000))
    yield inbox, _CARLA, "Contract, signed with S-MIME", _signed()
    yield inbox, _CARLA, "Invitation: review on Friday", _invitation()
    yield inbox, _SCANNER, "Two scans of one name", _two_scans()
    yield inbox, _DMITRI, "Отчёт и تقرير", _foreign_names()
    yield (
        inbox,
        _CARLA,
        "Names that play tricks",
        _mixed(_text("Five files."), *(_file(name, 3000) for name in _TRICKS)),
    )
    yield f"{ANNA}/Projects/Bridge", _CARLA, "Site survey, 10 MB", _mixed(_text("Big."), _file("survey.mp4", 10 << 20))
    yield inbox, _CARLA, "Re: drawings, with a quoted notice", _reply()
    inbox = f"{BERND}/Inbox"
    yield inbox, _CARLA, "Marked as private", _private()
    yield inbox, _CARLA, "Encrypted with S-MIME", _encrypted()
    yield inbox, "postmaster@example.net", "Undeliverable: offer", _report()
    yield inbox, _DMITRI, "Fwd: a message within a message", _nested()
    yield inbox, _SCANNER, "A large table in HTML", _mixed(_html(_large_table()), _file("table.csv", 400_000))
    yield inbox, _DMITRI, "Calling card", _mixed(_text("My card."), _file("dmitri.vcf", 400))
    yield inbox, _CARLA, "No attachment at all", _text("Just this.")
    yield (
        f"{BERND}/Sent Items",
        BERND,
        "Offer, as it was sent",
        _mixed(_html(_page("Our offer.")), _file("offer.pdf", 1 << 20)),
    )
    yield f"{BERND}/Drafts", BERND, "A draft", _mixed(_text("Not yet."), _file("draft.docx", 20_000))


# --- the messages -------------------------------------------------------------------------------------------------


def _outlook() -> Message:
    related = MIMEMultipart("related")
    related.attach(_html(_OUTLOOK, "windows-1252"))
    related.attach(_picture("image001.png", (0x2B, 0x6C, 0xB0)))
    related.attach(_picture("image002.png", (0xC0, 0x50, 0x4D)))
    return _mixed(related, _file("Zahlen für Q3.xlsx", 60_000))


def _signed() -> Message:
    signed = MIMEMultipart("signed", protocol="application/pkcs7-signature", micalg="sha-256")
    signed.attach(_mixed(_text("Please find the contract."), _file("contract.pdf", 80_000)))
    signed.attach(_file("smime.p7s", 2000, "pkcs7-signature"))
    return signed


def _encrypted() -> Message:
    message = _file("smime.p7m", 70_000, "pkcs7-mime")
    message.set_param("smime-type", "enveloped-data")
    return message


def _invitation() -> Message:
    calendar = MIMEText(_CALENDAR.replace("\n", "\r\n"), "calendar", "utf-8")
    calendar.set_param("method", "REQUEST")
    either = MIMEMultipart("alternative")
    either.attach(_text("When: Friday, 14:00."))
    either.attach(calendar)
    return _mixed(either, _file("agenda.pdf", 30_000))


def _two_scans() -> Message:
    return _mixed(_text("Sent by the scanner."), _file("scan.pdf", 50_000), _file("scan.pdf", 60_000))


def _foreign_names() -> Message:
    names = "Отчёт за октябрь.docx", "تقرير الميزانية.pdf"
    return _mixed(_html(_page("Добрый день! مرحبا")), *(_file(name, 40_000) for name in names))


def _reply() -> Message:
    return _mixed(_html(_page(_QUOTED)), _file("drawing, second version.pdf", 120_000))


def _private() -> Message:
    message = _mixed(_text("For you only."), _file("payslip.pdf", 40_000))
    message["Sensitivity"] = "Private"
    return message


def _report() -> Message:
    """What a mail server answers when it could not deliver."""
    status = MIMEBase("message", "delivery-status")
    said = Message()
    said["Final-Recipient"], said["Action"], said["Status"] = "rfc822; eva@example.net", "failed", "5.1.1"
    status.set_payload([said])
    report = MIMEMultipart("report", report_type="delivery-status")
    report.attach(_text("Your message could not be delivered."))
    report.attach(status)
    report.attach(MIMEMessage(_inner()))
    return report


def _nested() -> Message:
    return _mixed(_text("See below."), MIMEMessage(_inner()), _file("photo.tar", 200_000))


def _inner() -> Message:
    inner = _mixed(_text("Our offer."), _file("offer.pdf", 50_000))
    inner["From"], inner["To"], inner["Subject"] = BERND, "eva@example.net", "Offer"
    inner["Message-ID"], inner["Date"] = "<sample-inner@example.org>", format_datetime(_FIRST)
    return inner


# --- what they are made of ----------------------------------------------------------------------------------------


def _mixed(*parts: Message) -> Message:
    message = MIMEMultipart("mixed")
    for part in parts:
        message.attach(part)
    return message


def _text(text: str) -> Message:
    return MIMEText(f"Hello,\r\n\r\n{text}\r\n", "plain", "utf-8")


def _html(html: str, charset: str = "utf-8") -> Message:
    return MIMEText(html, "html", charset)


def _page(content: str) -> str:
    return f"<html><head><title>Mail</title></head><body>\r\n<p>Hello,</p>\r\n{content}\r\n</body></html>"


def _large_table() -> str:
    rows = (f"<tr><td>{row}</td><td>{row * 7919 % 10007}&nbsp;EUR</td></tr>\r\n" for row in range(10_000))
    return _page(f"<table>{''.join(rows)}</table>")


def _file(name: str, size: int, subtype: str = "octet-stream") -> Message:
    """An attachment."""
    part = MIMEApplication(_bytes(name, size), subtype)
    # RFC 2231: in this form any character can stand in a name.
    part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
    return part


def _bytes(name: str, size: int) -> bytes:
    """They are random to look at, and follow from name and size."""
    return hashlib.shake_256(f"{name} {size}".encode()).digest(size)


def _picture(name: str, colour: tuple[int, int, int]) -> Message:
    part = MIMEImage(_png(colour), "png", name=name)
    part.add_header("Content-ID", f"<{name}@01DC4B3A.5F1E2D30>")
    part.add_header("Content-Disposition", "inline", filename=name)
    return part


def _png(colour: tuple[int, int, int]) -> bytes:
    """A picture of 120 x 40 pixels (PNG specification, 5)."""
    width, height = 120, 40
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(colour) * width) * height)
    chunks = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_OUTLOOK = """\
<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" \
xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">\r
<head>\r
<meta http-equiv=Content-Type content="text/html; charset=windows-1252">\r
<meta name=Generator content="Microsoft Word 15 (filtered medium)">\r
<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}\r
o\\:* {behavior:url(#default#VML);}\r
</style><![endif]--><style><!--\r
@font-face {font-family:Calibri;}\r
p.MsoNormal {margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;}\r
--></style><!--[if gte mso 9]><xml>\r
<o:shapedefaults v:ext="edit" spidmax="1026" />\r
</xml><![endif]-->\r
</head>\r
<body lang=DE link="#0563C1" vlink="#954F72" style='word-wrap:break-word'>\r
<div class=WordSection1>\r
<p class=MsoNormal>Schöne Grüße,<o:p></o:p></p>\r
<p class=MsoNormal><o:p>&nbsp;</o:p></p>\r
<p class=MsoNormal><!--[if gte vml 1]><v:shape id="s1" style='width:90pt;height:30pt'>\r
<v:imagedata src="cid:image001.png@01DC4B3A.5F1E2D30" o:title="logo"/></v:shape><![endif]-->\
<![if !vml]><img width=120 height=40 src="cid:image001.png@01DC4B3A.5F1E2D30"><![endif]>\r
<img width=120 height=40 src="cid:image002.png@01DC4B3A.5F1E2D30"><o:p></o:p></p>\r
</div>\r
</body>\r
</html>\r
"""

#: A notice in the words of an older release, in the text that somebody replied to.
_QUOTED = """\
<p>The second version is attached.</p>\r
<blockquote type="cite"><div data-redirect="5a1f0c9be4d27763a8e0">\
<p>1 attachment is kept unchanged in Files.</p>\
<table><tr><td><a href="https://files.example.org/5a1f0c9be4d27763a8e0/drawing.pdf">drawing.pdf</a></td></tr></table>\
</div><p>The first version is attached.</p></blockquote>"""

_CALENDAR = f"""\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Sample//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:sample-review@example.net
DTSTAMP:20261102T080000Z
DTSTART:20261106T140000Z
DTEND:20261106T150000Z
SUMMARY:Review
ORGANIZER:mailto:{_CARLA}
ATTENDEE;RSVP=TRUE:mailto:{ANNA}
END:VEVENT
END:VCALENDAR
"""
