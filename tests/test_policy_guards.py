"""What no rule overrides. Everything here is judged under the greediest policy: redirect every file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.model import Action, Body, Content, File, FileKind, Need
from connector.policy import decide
from tests.test_policy import FACTS, FILE, MESSAGE, NOW, policy

EVERYTHING = policy({"name": "everything", "action": "redirect"})

SEALED = File(id="p7m", name="smime.p7m", size=9000, content_type="application/pkcs7-mime")

PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"


def html(content: str) -> Body:
    """A text in HTML."""
    return Body(content, html=True)


#: What is different about the message, and the guard that keeps all of its files; None: none does.
MESSAGES: tuple[tuple[str, dict[str, Any], str | None], ...] = (
    ("ordinary mail", {}, None),
    ("ordinary mail, class in other letters", {"message_class": "ipm.NOTE"}, None),
    ("ordinary mail by its content type", {"headers": {"content-type": "multipart/mixed; boundary=x"}}, None),
    ("a draft", {"draft": True}, "draft"),
    ("marked personal", {"sensitivity": "personal"}, "sensitivity"),
    ("marked private", {"sensitivity": "Private"}, "sensitivity"),
    ("marked confidential", {"sensitivity": "confidential"}, "sensitivity"),
    ("marked normal", {"sensitivity": "Normal"}, None),
    ("marked in a way that nobody knows", {"sensitivity": ""}, "sensitivity"),
    ("clear-signed in Exchange", {"message_class": "IPM.Note.SMIME.MultipartSigned"}, "signed"),
    (
        "clear-signed, one file",
        {
            "message_class": "IPM.Note.SMIME.MultipartSigned",
            "files": (replace(SEALED, content_type="multipart/signed"),),
        },
        "signed",
    ),
    ("signed by its header", {"headers": {"content-type": 'Multipart/Signed; protocol="x"'}}, "signed"),
    ("signed with PGP", {"files": (FILE, replace(FILE, content_type="application/pgp-signature"))}, "signed"),
    ("signed, by the signature's name", {"files": (FILE, replace(FILE, name="SMIME.p7s"))}, "signed"),
    (
        "signed in a way that nobody knows",
        {"files": (FILE, replace(FILE, content_type="application/x-moon-signature"))},
        "signed",
    ),
    ("a file that only looks signed", {"files": (replace(FILE, name="contract.pdf.p7s"),)}, None),
    ("encrypted in Exchange", {"message_class": "IPM.Note.SMIME"}, "encrypted"),
    ("encrypted, an odd class", {"message_class": "IPM.Note.Vendor.SMIME"}, "encrypted"),
    ("encrypted, a class of old", {"message_class": "IPM.Note.Secure"}, "encrypted"),
    ("a class that only looks encrypted", {"message_class": "IPM.Note.SMIMEnot"}, "class"),
    ("encrypted by its header", {"headers": {"content-type": "application/x-pkcs7-mime; x=y"}}, "encrypted"),
    ("encrypted with PGP", {"headers": {"content-type": "multipart/encrypted"}}, "encrypted"),
    ("encrypted with PGP, sent", {"files": (replace(FILE, content_type="application/pgp-encrypted"),)}, "encrypted"),
    ("encrypted by its file", {"files": (SEALED,)}, "encrypted"),
    ("encrypted by its file's name", {"files": (replace(SEALED, content_type=""),)}, "encrypted"),
    (
        "a text that is hidden",
        {"body": html('<html><BODY bgcolor=white style="margin:0; Display : None">Hi')},
        "hidden",
    ),
    ("a text that nobody sees", {"body": html("<html style='visibility:hidden'><body>Hi")}, "hidden"),
    ("a text hidden in Outlook", {"body": html("<body><p>Hi</p><body style=mso-hide:all>")}, "hidden"),
    ("a text hidden as HTML 5 does", {"body": html("<body hidden>Hi")}, "hidden"),
    ("hidden behind an attribute", {"body": html('<body title=">" style="display:none">Hi')}, "hidden"),
    ("hidden by numbers", {"body": html("<body style='d&#105;splay&#58;none'>Hi")}, "hidden"),
    ("hidden around a comment", {"body": html("<body style='display:/**/none'>Hi")}, "hidden"),
    ("hidden by escapes", {"body": html("<body style='display:n&bsol;6f ne'>Hi")}, "hidden"),
    ("hidden where two read differently", {"body": html("<!--><body style=display:none>-->Hi")}, "hidden"),
    ("read differently", {"body": html('<body lang=de style="display:block"><!--> none -->Hi')}, None),
    ("hidden in a comment", {"body": html("<!-- <body style=display:none> --><body class=hidden>Hi")}, None),
    ("hidden in plain text", {"body": Body("<body hidden>Hi", html=False)}, None),
    ("a part of the text is hidden", {"body": html('<body class="hidden-s"><div style="display:none">Hi</div>')}, None),
    ("moved to where nobody looks", {"in_scope": False}, "scope"),
    ("a part of a message", {"headers": {"content-type": 'message/partial; id="a"; number=2'}}, "partial"),
    ("a part of a message as its file", {"files": (replace(FILE, content_type="message/partial"),)}, "partial"),
    ("encrypted with PGP, no MIME", {"body": Body("Hi\r\n-----BEGIN PGP MESSAGE-----", html=False)}, "pgp"),
    ("signed with PGP, no MIME, HTML", {"body": Body(f"<p>{PGP_SIGNED}<br>", html=True)}, "pgp"),
    ("PGP quoted in an answer", {"body": Body(f"Hi\r\n> {PGP_SIGNED}", html=False)}, None),
    ("PGP in a sentence", {"body": Body(f"<p>What is {PGP_SIGNED}?</p>", html=True)}, None),
    ("PGP in a sentence of a text", {"body": Body(f"<{PGP_SIGNED}>", html=False)}, None),
    ("a file encrypted with PGP", {"files": (FILE, replace(FILE, name="Plan.pdf.PGP"))}, "pgp"),
    ("a file encrypted with GnuPG", {"files": (FILE, replace(FILE, name="plan.pdf.gpg"))}, "pgp"),
    ("a signature or a key of PGP", {"files": (FILE, replace(FILE, name="0x1234.asc"))}, "pgp"),
    ("PGP before MIME", {"headers": {"content-type": "application/pgp; format=mime"}}, "pgp"),
    ("rights-managed by its class", {"message_class": "IPM.Note.rpmsg.Microsoft.Voicemail.UM"}, "rights-managed"),
    ("rights-managed by its header", {"headers": {"content-class": "rpmsg.message"}}, "rights-managed"),
    ("rights-managed by its file", {"files": (replace(FILE, name="message.rpmsg"),)}, "rights-managed"),
    (
        "rights-managed by its file's type",
        {"files": (replace(FILE, content_type="application/x-microsoft-rpmsg-message"),)},
        "rights-managed",
    ),
    ("a header of another class", {"headers": {"content-class": "urn:content-classes:message"}}, None),
    ("a meeting request", {"message_class": "IPM.Schedule.Meeting.Request"}, "calendar"),
    ("an appointment", {"message_class": "IPM.Appointment"}, "calendar"),
    ("a calendar part", {"files": (FILE, replace(FILE, content_type="text/calendar; method=REQUEST"))}, "calendar"),
    ("nothing but a calendar part", {"headers": {"content-type": "text/calendar"}}, "calendar"),
    ("a delivery report", {"message_class": "REPORT.IPM.Note.NDR"}, "report"),
    ("a report about signed mail", {"message_class": "REPORT.IPM.Note.SMIME.NDR"}, "report"),
    ("a report by its header", {"headers": {"content-type": "multipart/report; report-type=x"}}, "report"),
    ("a journal report", {"headers": {"x-ms-journal-report": ""}}, "journal"),
    ("voice mail", {"message_class": "IPM.Note.Microsoft.Voicemail.UM.CA"}, "class"),
    ("a shortcut of an archive", {"message_class": "IPM.Note.EnterpriseVault.Shortcut"}, "class"),
    ("a recall", {"message_class": "IPM.Outlook.Recall"}, "class"),
    ("a contact", {"message_class": "IPM.Contact"}, "class"),
    ("no class at all", {"message_class": ""}, "class"),
)


@pytest.mark.parametrize(("message", "expected"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES])
def test_a_message_is_kept_whole_by_the_guard_that_fits(message: dict[str, Any], expected: str | None) -> None:
    """All files of such a message stay, the innocent ones too, and the verdict names the guard."""
    verdicts = decide(EVERYTHING, replace(MESSAGE, **message), FACTS)
    rule, action = ("everything", Action.REDIRECT) if expected is None else (f"guard:{expected}", Action.KEEP)
    assert {(each.rule, each.action) for each in verdicts} == {(rule, action)}
    assert all(each.because for each in verdicts)


PHOTO = File(id="i", name="photo.JPG", size=9000, content_type="image/jpeg")

#: What is different about the file, and the guard that keeps it; None: none does.
FILES: tuple[tuple[str, File, str | None], ...] = (
    ("an ordinary file", FILE, None),
    ("an attached image", PHOTO, None),
    ("inline", replace(PHOTO, inline=True), "inline"),
    ("inline, not an image", replace(FILE, inline=True), "inline"),
    ("an image with a content id", replace(PHOTO, content_id="a@b"), "inline"),
    ("an image by its name, with a content id", replace(PHOTO, content_type="", content_id="a@b"), "inline"),
    (
        "an image by its name, octets, with a content id",
        replace(PHOTO, content_type="application/octet-stream", content_id="a@b"),
        "inline",
    ),
    ("a PDF with a content id", replace(FILE, content_id="a@b"), None),
    ("a PDF called an image, with a content id", replace(FILE, name="a.png", content_id="a@b"), None),
    ("a nested message", replace(FILE, kind=FileKind.ITEM), "nested"),
    ("a link", replace(FILE, kind=FileKind.REFERENCE), "reference"),
    ("winmail.dat by its name", replace(FILE, name="WINMAIL.DAT"), "tnef"),
    ("winmail.dat by its type", replace(FILE, content_type="application/ms-tnef; x=y"), "tnef"),
    ("winmail.dat by its other type", replace(FILE, content_type="application/vnd.ms-tnef"), "tnef"),
    ("another .dat", replace(FILE, name="mail.dat"), None),
)


@pytest.mark.parametrize(("file", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_a_file_is_kept_alone_by_the_guard_that_fits(file: File, expected: str | None) -> None:
    """Such a file stays, and the others of its message go."""
    other = replace(FILE, id="other")
    kept, redirected = decide(EVERYTHING, replace(MESSAGE, files=(file, other)), FACTS)
    assert kept.rule == ("everything" if expected is None else f"guard:{expected}")
    assert kept.action is (Action.REDIRECT if expected is None else Action.KEEP)
    assert redirected.action is Action.REDIRECT


NESTED = replace(FILE, kind=FileKind.ITEM, name="Re: the plan", content_type="message/rfc822")
MESSAGES_TOO = policy({"name": "messages", "when": {"kind": "message"}, "action": "redirect", "irreversible": True})

#: What the MIME of an attached item begins with, and the guard that keeps it from a rule that names messages.
HEADS: tuple[tuple[str, bytes, str | None], ...] = (
    ("a message", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", None),
    ("a message about signatures", b"Subject: Content-Type: multipart/signed\r\n\r\nmultipart/signed", None),
    ("signed", b"Subject: x\r\nContent-Type: multipart/signed; protocol=x\r\n", "nested-sealed"),
    ("encrypted", b"Subject: x\ncontent-type:application/PKCS7-mime\n", "nested-sealed"),
    (
        "signed, within a list",
        b"Subject: x\r\n\r\n--a\r\nContent-Type:\r\n application/x-pkcs7-signature",
        "nested-sealed",
    ),
    ("PGP", b"Subject: x\r\nContent-Type: multipart/encrypted\r\n", "nested-sealed"),
    ("PGP inline", b"Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----", "nested-sealed"),
    ("a part of a message", b"Subject: x\r\nContent-Type: message/partial\r\n", "nested-sealed"),
    ("an appointment", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "nested"),
    ("a contact", b"BEGIN:VCARD\r\n", "nested"),
    ("nothing", b"", "nested"),
)


@pytest.mark.parametrize(("head", "expected"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_an_attached_message_goes_only_where_its_beginning_lets_it(head: bytes, expected: str | None) -> None:
    """It is read first; what is sealed, or is no message, stays whatever the rule says."""
    message = replace(MESSAGE, files=(NESTED, FILE))
    unread, _ = decide(MESSAGES_TOO, message, FACTS)
    assert (unread.needs, unread.action) == (frozenset({Need.HEAD}), Action.KEEP)
    nested, ordinary = decide(MESSAGES_TOO, message, replace(FACTS, contents={NESTED.id: Content(head=head)}))
    assert nested.rule == ("messages" if expected is None else f"guard:{expected}")
    assert nested.action is (Action.REDIRECT if expected is None else Action.KEEP)
    assert (ordinary.action, ordinary.rule) == (Action.KEEP, "")


def test_what_is_ours_is_kept() -> None:
    """A message with a genuine marker is not redirected a second time."""
    (verdict,) = decide(EVERYTHING, MESSAGE, replace(FACTS, ours=True))
    assert (verdict.action, verdict.rule) == (Action.KEEP, "guard:ours")


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (NOW - timedelta(seconds=1), Action.KEEP),
        (NOW, Action.REDIRECT),
        (NOW.replace(tzinfo=None), Action.REDIRECT),
        (datetime(1970, 1, 1, tzinfo=UTC), Action.KEEP),
        (None, Action.KEEP),
    ],
)
def test_what_is_older_than_first_contact_is_kept(received: datetime | None, expected: Action) -> None:
    """Older messages come only through backfill; one that may be old counts as old."""
    (verdict,) = decide(EVERYTHING, replace(MESSAGE, received=received), replace(FACTS, since=NOW))
    assert verdict.action is expected
    assert verdict.rule == ("everything" if expected is Action.REDIRECT else "guard:first-contact")


def test_what_a_guard_keeps_is_never_fetched_or_looked_at_again() -> None:
    """A guard speaks before any rule may ask for content or for another time."""
    rules = policy(
        {"name": "type", "when": {"true_type": "pdf"}, "action": "redirect"},
        {"name": "old", "when": {"older_than": "30d"}, "action": "redirect"},
    )
    (verdict,) = decide(rules, replace(MESSAGE, draft=True), FACTS)
    assert (verdict.needs, verdict.look_again) == (frozenset(), None)
