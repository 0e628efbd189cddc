"""Every kind of message through the whole pipeline: what may not be touched is not, all else goes and comes back."""

import re
from base64 import b64decode, encodebytes
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from connector.simulator import Exchange
from tests.exchange import code, said, setting, setting_extended
from tests.pipeline import ANNA, Attachment, Pipeline, Seen, notice_in
from tests.servers import DavServer
from tests.tnef import winmail

PLAN = bytes(range(256)) * 40
_SERIAL = count()

Kind = Callable[[str], bytes]


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
        verdicts = pipeline.run("explain", items[name], "--reason", "a test", "--json", code=0).json["verdicts"]
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


@pytest.mark.long
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

    restore(pipeline, "--everything")
    assert [name for name, item in items.items() if not same(before[name], pipeline.see(item))] == []


def test_winmail_goes_with_the_files_in_it(pipeline: Pipeline) -> None:
    """Links give them first, then winmail.dat; restored, the message is what it was. A damaged one never left."""
    inside = [("Grüße.pdf", b"%PDF-1.7 one"), ("Grüße.pdf", b"%PDF-1.7 two")]
    packed = winmail(inside)
    pipeline.configure("defaults: {settle: 0}\nrules: [{name: all, action: redirect, unpack: true}]")
    item, damaged = (
        pipeline.deliver(mail(*several(plain(), file("winmail.dat", "application/ms-tnef", content))))
        for content in (packed, packed[:-1])
    )
    before, kept = pipeline.see(item), pipeline.see(damaged)
    pipeline.run("once", code=0)
    (verdict,) = pipeline.run("explain", damaged, "--reason", "a test", "--json", code=0).json["verdicts"]
    assert verdict["because"] == "winmail.dat is cut off, damaged, or something else, so it stays"
    assert pipeline.see(damaged) == kept
    after = pipeline.see(item)
    assert not after.files
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice_in(before, after))
    assert [pipeline.download(link) for link in links] == [*(content for _, content in inside), packed]

    restore(pipeline, "--everything")
    assert same(before, pipeline.see(item))
    pipeline.configure()


def redirected(pipeline: Pipeline, before: Seen, after: Seen, *, stays: int = 0) -> None:
    """Links give the files that have left the message: all but the last of them, `stays`. Nothing else is changed."""
    gone = before.files[: len(before.files) - stays]
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice_in(before, after))
    assert [pipeline.download(link) for link in links] == [file.content for file in gone]
    assert after.files == before.files[len(gone) :]
    assert after.rest == before.rest


def restore(pipeline: Pipeline, what: str) -> None:
    """Put files back, to the end."""
    pipeline.run("restore", what, code=0)
    pipeline.run("once", code=0)


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


# --- chains that are full of our own notices ----------------------------------------------------------------------


def outlook_answer(text: str, quoted: Seen) -> bytes:
    """The HTML that Outlook makes of an answer: what it answers stands in it as it was, notices and all."""
    inner = re.sub(r"(?is)^.*?<body[^>]*>|</body>.*$", "", quoted.body)
    return html(
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p.MsoNormal {margin:0cm} --></style>'
        "<!--[if gte mso 9]><xml><o:shapedefaults/></xml><![endif]--></head><body lang=EN-GB link=blue>\r\n"
        f"<div class=WordSection1><p class=MsoNormal>{text}<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>\r\n"
        "<div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>From:</b> Anna &lt;"
        "anna@example.org&gt; <br><b>Sent:</b> Monday, January 5, 2026 9:00<br><b>Subject:</b> RE: Plan</p></div>\r\n"
        f"{inner}</div></body></html>"
    )


def outlook_answer_in_text(text: str, quoted: Seen) -> bytes:
    """The same in plain text: Outlook puts nothing before the lines that it quotes."""
    return plain(
        f"{text}\r\n\r\n-----Original Message-----\r\nFrom: Anna\r\nSubject: RE: The plan\r\n\r\n{quoted.body}"
    )


def test_chains_full_of_our_notices(pipeline: Pipeline) -> None:
    """Each answer has a file of its own, and all notices before it: those stay, count for nothing, and are not hit."""
    answers: Mapping[Kind, Callable[[str, Seen], bytes]] = {html: outlook_answer, plain: outlook_answer_in_text}
    chains: dict[Kind, list[tuple[str, Seen, Seen]]] = {kind: [] for kind in answers}
    for depth in range(10):
        content = bytes([depth]) * 3000
        items = {}
        for kind, chain in chains.items():
            text = answers[kind](f"Answer {depth}", chain[-1][2]) if chain else kind(f"Question {depth}\r\n")
            items[kind] = pipeline.deliver(mail(*several(text, file(content=content)), subject=b"RE: The plan"))
        before = {kind: pipeline.see(item) for kind, item in items.items()}
        pipeline.run("once", code=0)
        for kind, chain in chains.items():
            after = pipeline.see(items[kind])
            assert len(re.findall("data-redirect=|^===== / ", before[kind].body, re.MULTILINE)) == depth
            redirected(pipeline, before[kind], after)
            chain.append((items[kind], before[kind], after))

    for chain in chains.values():
        item, before_it, _ = chain[5]
        restore(pipeline, _message_id(pipeline, item))
        assert same(before_it, pipeline.see(item))
        assert all(pipeline.see(each) == after for each, _, after in chain if each != item)
    restore(pipeline, "--everything")
    assert all(same(seen, pipeline.see(item)) for chain in chains.values() for item, seen, _ in chain)


def test_a_redirected_message_forwarded_as_an_attachment(pipeline: Pipeline) -> None:
    """The new message's own file goes and comes back; the attached one, with the notice in it, stays what it is."""
    first = pipeline.deliver(mail(*several(html(), file(content=b"first"))))
    pipeline.run("once", code=0)
    (mime,) = (
        pipeline.owner().item(first, more="<t:IncludeMimeContent>true</t:IncludeMimeContent>").iter("{*}MimeContent")
    )
    forwarded = part("message/rfc822", b64decode(mime.text or ""))
    second = pipeline.deliver(mail(*several(html(), file(content=b"second"), forwarded, boundary="outer")))
    before, untouched = pipeline.see(second), pipeline.see(first)
    assert [b"data-redirect" in file.content for file in before.files] == [False, True]

    pipeline.run("once", code=0)
    redirected(pipeline, before, pipeline.see(second), stays=1)
    restore(pipeline, _message_id(pipeline, second))
    assert same(before, pipeline.see(second))
    assert pipeline.see(first) == untouched


def _message_id(pipeline: Pipeline, item: str) -> str:
    return said(pipeline.owner().item(item), "t:InternetMessageId")[0]


# --- attached messages --------------------------------------------------------------------------------------------

MESSAGES_TOO = """\
defaults: {settle: 0}
rules:
  - {name: messages, when: {kind: message}, action: redirect, irreversible: true}
  - {name: all, action: redirect}
"""


def attached(subject: str, content_type: str, body: bytes) -> bytes:
    """A part that is an attached message."""
    return part("message/rfc822", mail(content_type, body, subject=subject.encode()))


def test_attached_messages_are_stored_where_a_rule_names_them(pipeline: Pipeline) -> None:
    """As `.eml`, whole; a sealed one stays untouched. Restored, the other files are back, and its link goes on working.

    Without such a rule all of them stay.
    """
    parts = (
        attached("Re: the plan: part 1/2", *several(html("<p>Inner</p>"), file(content=b"within"))),
        file(),
        attached("Signed", *signed("application/pkcs7-signature")),
        attached("Encrypted", "application/pkcs7-mime; smime-type=enveloped-data", b"sealed"),
    )
    item = pipeline.deliver(mail(*several(html(), *parts, boundary="outer")))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    kept = pipeline.see(item)
    assert kept.files == (before.files[0], *before.files[2:])

    second = pipeline.deliver(mail(*several(html(), *parts, boundary="outer")))
    before = pipeline.see(second)
    pipeline.configure(MESSAGES_TOO)
    pipeline.run("once", code=0)
    after = pipeline.see(second)
    assert pipeline.see(item) == kept
    assert after.files == before.files[2:]
    assert after.rest == before.rest
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice_in(before, after))
    stored, plan = map(pipeline.download, links)
    assert links[0].endswith("/Re_%20the%20plan_%20part%201_2.eml")
    inner = message_from_bytes(stored)
    assert inner["Subject"] == "Re: the plan: part 1/2"
    assert [each.get_payload(decode=True) for each in inner.walk() if each.get_filename()] == [b"within"]
    assert plan == PLAN

    pipeline.run("restore", _message_id(pipeline, second), code=0)
    pipeline.run("once", code=1)
    (held,) = pipeline.run("held", "--json", code=1).json
    assert "cannot be attached again as what it was; 1 of 2 files are back, and the links go on" in held["reason"]
    restored = pipeline.see(second)
    assert sorted(map(_what, restored.files)) == sorted(map(_what, before.files[1:]))
    assert restored.body == after.body
    assert [pipeline.download(link) for link in links] == [stored, PLAN]


# --- very many files ----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(900)
def test_three_hundred_files_in_one_message(pipeline: Pipeline) -> None:
    """Each costs one request, and three on its way back; the message is written once, and memory stays flat."""
    files = [file(f"{number}.bin", "application/x-thing", bytes([number % 256]) * 500) for number in range(300)]
    item = pipeline.deliver(mail(*several(html(), *files)))
    before = pipeline.see(item)
    pipeline.exchange.order(reset=True)
    assert pipeline.run("once", code=0).memory < 160_000_000
    seen = Counter(pipeline.exchange.seen)
    assert (seen["GetAttachment"], seen["UpdateItem"], seen["DeleteAttachment"]) == (300, 1, 1)
    assert seen["GetItem"] < 10
    redirected(pipeline, before, pipeline.see(item))

    pipeline.exchange.order(reset=True)
    restore(pipeline, "--everything")
    seen = Counter(pipeline.exchange.seen)
    assert (seen["CreateAttachment"], seen["GetAttachment"], seen["UpdateItem"]) == (300, 300, 1)
    assert seen["GetItem"] < 310
    assert same(before, pipeline.see(item))
