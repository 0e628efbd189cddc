"""Every kind of message through the whole pipeline: what may not be touched is not, all else goes and comes back."""

import re
from base64 import encodebytes
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from connector.simulator import Exchange
from tests.exchange import code, setting, setting_extended
from tests.pipeline import ANNA, Attachment, Pipeline, Seen, notice_in
from tests.servers import DavServer

PLAN = bytes(range(256)) * 40
_SERIAL = count()


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """Anna's mailbox, a store, and the policy "redirect everything"."""
    exchange.add_mailbox(ANNA)
    return Pipeline(tmp_path, exchange, wsgidav)


# --- mail, written by hand: libraries refuse to write what others have written ------------------------------------


def mail(content_type: str, body: bytes, *more: bytes, encoding: str = "", subject: bytes = b"About the plan") -> bytes:
    """A message whose content is this; `more` are lines of its header."""
    head = [
        b"Received: from mail.example.net by mx.example.org; Mon, 05 Jan 2026 08:00:02 +0000",
        b"From: Bert <bert@example.net>",
        b"To: Anna <anna@example.org>",
        b"Subject: " + subject,
        b"Date: Mon, 05 Jan 2026 08:00:00 +0000",
        b"Message-ID: <%d@kinds.example.net>" % next(_SERIAL),
        b"MIME-Version: 1.0",
        *more,
    ]
    return b"\r\n".join([*head, part(content_type, body, encoding=encoding)])


def part(content_type: str, body: bytes, *more: bytes, encoding: str = "") -> bytes:
    """A part of a message, its header and all."""
    head = [f"Content-Type: {content_type}".encode(), *more]
    if encoding:
        head.append(f"Content-Transfer-Encoding: {encoding}".encode())
    return b"\r\n".join([*head, b"", body])


def file(name: str = "plan.pdf", content_type: str = "application/pdf", content: bytes = PLAN) -> bytes:
    """A part that is an attached file."""
    disposition = f'Content-Disposition: attachment; filename="{name}"'.encode()
    return part(content_type, encodebytes(content), disposition, encoding="base64")


def html(text: str = "<html><body><p>See the plan.</p></body></html>") -> bytes:
    """A part that is HTML."""
    return part("text/html; charset=utf-8", text.encode(), encoding="8bit")


def plain(text: str = "See the plan.\r\n") -> bytes:
    """A part that is plain text."""
    return part("text/plain; charset=utf-8", text.encode(), encoding="8bit")


def several(*parts: bytes, kind: str = "mixed", more: str = "", boundary: str = "=-=") -> tuple[str, bytes]:
    """A type and a body of several parts."""
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + each + b"\r\n" for each in parts) + mark + b"--\r\n"
    return f'multipart/{kind}; boundary="{boundary}"{more}', body


def signed(protocol: str) -> tuple[str, bytes]:
    """A type and a body that are signed by this protocol."""
    inner = part(*several(html(), file(), boundary="inner"))
    return several(inner, file("signature", protocol, b"signed"), kind="signed", more=f'; protocol="{protocol}"')


# --- what must not be touched -------------------------------------------------------------------------------------

_ARMORED = "-----BEGIN PGP {0}-----\r\n\r\nhQEMA5vJ\r\n=njUN\r\n-----END PGP {0}-----\r\n"

#: Mail that has files, and the guard that keeps all of them.
KEPT = {
    "one part of a message": (
        mail('message/partial; id="whole@example.net"; number=2; total=3', b"Subject: whole\r\n\r\nhalf of a file"),
        "partial",
    ),
    "PGP inline, encrypted, text": (mail(*several(plain(_ARMORED.format("MESSAGE")), file("plan"))), "pgp"),
    "PGP inline, signed, HTML": (
        mail(*several(html(f"<p>{_ARMORED.format('SIGNED MESSAGE')}</p>"), file("plan.pdf"))),
        "pgp",
    ),
    "PGP inline, files by their names": (
        mail(*several(plain(), file("plan.pdf.asc"), file("plan.pdf.gpg"), file("a.pgp"), file("b.pdf"))),
        "pgp",
    ),
    "PGP with MIME, signed": (mail(*signed("application/pgp-signature")), "signed"),
    "PGP with MIME, encrypted": (
        mail(
            *several(
                part("application/pgp-encrypted", b"Version: 1\r\n"),
                file("encrypted.asc", "application/octet-stream"),
                kind="encrypted",
                more='; protocol="application/pgp-encrypted"',
            )
        ),
        "encrypted",
    ),
    "S/MIME, detached": (mail(*signed("application/pkcs7-signature")), "signed"),
    "S/MIME, opaque": (
        mail('application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"', encodebytes(PLAN), encoding="base64"),
        "encrypted",
    ),
    "S/MIME, enveloped": (
        mail("application/x-pkcs7-mime; smime-type=enveloped-data", encodebytes(PLAN), encoding="base64"),
        "encrypted",
    ),
    "S/MIME below the footer of a list": (
        mail(*several(part(*signed("application/x-pkcs7-signature")), plain("A list.\r\n"), file(), boundary="list")),
        "signed",
    ),
    "S/MIME, forwarded as a part": (
        mail(*several(plain(), file("smime.p7m", "application/pkcs7-mime"), file())),
        "encrypted",
    ),
    "signed by an unknown protocol": (mail(*signed("application/x-moon-signature")), "signed"),
    "signed by an unknown protocol, in a list": (
        mail(*several(part(*signed("application/x-moon-signature")), plain("A list.\r\n"), boundary="list")),
        "signed",
    ),
    "TNEF": (mail(*several(plain(), file("winmail.dat", "application/ms-tnef"))), "tnef"),
}


def test_what_must_not_be_touched_is_not_touched(pipeline: Pipeline) -> None:
    """Not a byte of it, also after it was read by its owner; the verdict names the guard, and the store has nothing."""
    items = {name: pipeline.deliver(eml) for name, (eml, _) in KEPT.items()}
    before = {name: pipeline.see(item) for name, item in items.items()}
    assert all(seen.files for seen in before.values())
    pipeline.run("once", code=0)
    assert {name for name, item in items.items() if pipeline.see(item) != before[name]} == set()
    assert pipeline.stored() == []
    for name, (_, guard) in KEPT.items():
        verdicts = pipeline.run("explain", items[name], "--json", code=0).json["verdicts"]
        assert {each["rule"] for each in verdicts} == {f"guard:{guard}"}, name
        assert {each["action"] for each in verdicts} == {"keep"}, name

    for item in items.values():
        assert code(pipeline.owner().update(item, _READ)) == "NoError"
    read = {name: pipeline.see(item) for name, item in items.items()}
    pipeline.run("once", code=0)
    assert {name: pipeline.see(item) for name, item in items.items()} == read
    assert pipeline.stored() == []


# --- what is odd, and goes and comes back all the same ------------------------------------------------------------

_READ = setting("message:IsRead", "<t:IsRead>true</t:IsRead>")
#: A user has worked with the message: it is read, sorted, flagged, answered, and reminds of something.
_USED = (
    setting("item:Categories", "<t:Categories><t:String>Blue</t:String><t:String>Grün</t:String></t:Categories>"),
    setting("item:Importance", "<t:Importance>High</t:Importance>"),
    setting(
        "item:Flag",
        "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:StartDate>2026-01-06T00:00:00Z</t:StartDate>"
        "<t:DueDate>2026-01-09T00:00:00Z</t:DueDate></t:Flag>",
    ),
    setting("item:ReminderDueBy", "<t:ReminderDueBy>2026-01-09T07:45:00Z</t:ReminderDueBy>"),
    setting("item:ReminderIsSet", "<t:ReminderIsSet>true</t:ReminderIsSet>"),
    setting("item:ReminderMinutesBeforeStart", "<t:ReminderMinutesBeforeStart>15</t:ReminderMinutesBeforeStart>"),
    *(
        setting_extended(path, value)
        for path, value in {
            # PidTagReplyTime, PidTagIconIndex (forwarded), PidTagLastVerbExecuted (forward) and its time,
            # PidTagFollowupIcon, PidTagToDoItemFlags, PidLidFlagRequest.
            'PropertyTag="0x0030" PropertyType="SystemTime"': "2026-01-08T12:00:00Z",
            'PropertyTag="0x1080" PropertyType="Integer"': "262",
            'PropertyTag="0x1081" PropertyType="Integer"': "104",
            'PropertyTag="0x1082" PropertyType="SystemTime"': "2026-01-05T09:30:00Z",
            'PropertyTag="0x1095" PropertyType="Integer"': "6",
            'PropertyTag="0x0E2B" PropertyType="Integer"': "1",
            'DistinguishedPropertySetId="Common" PropertyId="34096" PropertyType="String"': "Follow up",
        }.items()
    ),
)

#: What a look at such a message must tell, or nothing would be proved about it.
_TOLD = {
    *("Blue", "Grün", "High", "Flagged", "2026-01-06T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-09T07:45:00Z", "15"),
    *("2026-01-08T12:00:00Z", "262", "104", "2026-01-05T09:30:00Z", "6", "1", "Follow up"),
}

_LATIN = "Grüße aus Köln"
_TWO_ROOTS = "<html><body><p>One</p></body></html>\r\n<html><head></head><body bgcolor=red><p>Two</p></body></html>"

#: Mail of which every file is to go, and how many those are.
ODD = {
    "ordinary": (mail(*several(html(), file())), 1),
    "a charset that nobody knows": (
        mail(*several(part("text/html; charset=x-klingon", f"<p>{_LATIN}</p>".encode("latin-1")), file())),
        1,
    ),
    "a charset that Python knows and that is none": (
        mail(*several(part("text/plain; charset=hex", _LATIN.encode()), file())),
        1,
    ),
    "a charset with a NUL": (mail(*several(part('text/plain; charset="utf\0-8"', _LATIN.encode()), file())), 1),
    "a charset that lies": (mail(*several(part("text/plain; charset=us-ascii", _LATIN.encode("cp1252")), file())), 1),
    "base64 that is none": (
        mail(
            *several(
                part("text/html", b"PHA+SGVsbG8!!8L3A+\r\n=", encoding="base64"),
                part("application/pdf; name=bad.pdf", b"%%%AAAA===B", encoding="base64"),
                file(),
            )
        ),
        2,
    ),
    "quoted-printable that is none": (
        mail(
            *several(
                part("text/plain", b"50 =% =XY=\r\n=", encoding="quoted-printable"),
                part("application/pdf; name=bad.pdf", b"=GG=\r\n=0", encoding="quoted-printable"),
            )
        ),
        1,
    ),
    "an encoding that nobody knows": (mail(*several(part("text/plain", b"Hello", encoding="x-uue9"), file())), 1),
    "8-bit headers": (
        mail(
            *several(html(), file().replace(b"plan.pdf", "Pläne.pdf".encode("latin-1"))),
            "X-Mailer: Köln".encode("latin-1"),
            subject="Pläne für Köln".encode("cp1252"),
        ),
        1,
    ),
    "two HTML roots": (mail(*several(html(_TWO_ROOTS), file())), 1),
    "two HTML parts": (mail(*several(html(), html("<p>Two</p>"), file())), 2),
    "HTML without any tag": (mail(*several(html("just words"), file())), 1),
    "an empty HTML body": (mail(*several(html(""), file())), 1),
    "an empty text": (mail(*several(plain(""), file())), 1),
    "nothing but blanks, HTML": (mail(*several(html(" \r\n\t\r\n"), file())), 1),
    "nothing but blanks, text": (mail(*several(plain(" \r\n\t\r\n"), file())), 1),
    "no body part": (mail(*several(file(), file("other.pdf"))), 2),
    "nothing but a file": (mail('application/pdf; name="plan.pdf"', encodebytes(PLAN), encoding="base64"), 1),
    "no part at all": (mail(*several()), 0),
    "many megabytes of HTML": (mail(*several(html("<p>" + "Words, words. <br>\r\n" * 550_000 + "</p>"), file())), 1),
    "one line of many megabytes": (mail(*several(plain("-" * 10_000_000), file())), 1),
    "a conversation": (
        mail(
            *several(html(), file()),
            b"Thread-Index: AdV1jGZkz8m0kq2YQ3u3m0m0kq2YQwABAgME",
            b"Thread-Topic: About the plan",
            b"References: <a@example.net> <b@example.net>",
            b"In-Reply-To: <b@example.net>",
            b"X-Priority: 1",
            b"Disposition-Notification-To: bert@example.net",
        ),
        1,
    ),
}


def test_what_is_odd_goes_and_comes_back(pipeline: Pipeline) -> None:
    """Also what its owner has done with it: flags, categories, reminders and the like, dates and conversation.

    Links give the bytes that left, nothing else of the message changes; restored, it is what it was.
    """
    items = {name: pipeline.deliver(eml) for name, (eml, _) in ODD.items()}
    for item in items.values():
        assert code(pipeline.owner().update(item, _READ)) == "NoError"
        assert code(pipeline.owner().update(item, *_USED)) == "NoError"
    before = {name: pipeline.see(item) for name, item in items.items()}
    assert {name: len(seen.files) for name, seen in before.items()} == {name: files for name, (_, files) in ODD.items()}
    assert all(set(_values(seen)) >= _TOLD for seen in before.values())

    pipeline.run("once", code=0)
    for name, item in items.items():
        redirected(pipeline, before[name], pipeline.see(item))

    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0)
    pipeline.run("once", code=0, hours=1)
    assert [name for name, item in items.items() if not same(before[name], pipeline.see(item))] == []


def redirected(pipeline: Pipeline, before: Seen, after: Seen, *, stays: int = 0) -> str:
    """The notice, after its links were followed. All files but the last of them, `stays`, have left the message."""
    gone = before.files[: len(before.files) - stays]
    notice = notice_in(before, after)
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice)
    assert [pipeline.download(link) for link in links] == [file.content for file in gone]
    assert after.files == before.files[len(gone) :]
    assert after.rest == before.rest
    return notice


def same(before: Seen, after: Seen) -> bool:
    """Whether a restored message is what it was. Its files may have another order, and have other ids."""
    alike = (before.body, before.html, before.rest) == (after.body, after.html, after.rest)
    return alike and Counter(map(_what, before.files)) == Counter(map(_what, after.files))


def _values(seen: Seen) -> Iterator[str]:
    return (str(text) for each in seen.rest for text in etree.fromstring(each).itertext())


def _what(file: Attachment) -> tuple[bytes, ...]:
    told = (each for each in etree.fromstring(file.listed) if etree.QName(each).localname not in _OWN)
    return file.content, *(etree.tostring(each, method="c14n", exclusive=True) for each in told)


#: What Exchange gives each attachment anew.
_OWN = {"AttachmentId", "LastModifiedTime"}
