"""DavMail, as an IMAP gateway, takes the simulated Exchange for a real one."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from connector.simulator import Exchange
from connector.simulator.mime_import import message_of
from tests.exchange import Login
from tests.test_kinds import KEPT, ODD


def _eml(subject: str = "Drawings", *, attachment: bytes = b"\x00\x01\xff" * 1000) -> bytes:
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "Ben Beispiel <ben@example.org>"
    message["To"] = "anna@example.org"
    message["Subject"] = subject
    message["Message-ID"] = "<1@example.org>"
    message["Date"] = "Mon, 23 Nov 2026 10:00:00 +0100"
    message.set_content("Grüße")
    message.add_alternative("<html><body><p>Gr\u00fc\u00dfe</p></body></html>", subtype="html")
    message.add_attachment(attachment, maintype="application", subtype="pdf", filename="Zeichnung Ä.pdf")
    return message.as_bytes()


def test_reads_a_message_as_it_was_delivered(exchange: Exchange, davmail: Login) -> None:
    """FETCH gives the subject, the body and the attachment's bytes."""
    account = exchange.add_mailbox("anna@example.org")
    exchange.deliver("anna@example.org", _eml())
    client = davmail(account)
    assert client.select("INBOX") == ("OK", [b"1"])

    _, found = client.fetch("1", "(BODY.PEEK[])")

    assert isinstance(found[0], tuple)
    message = message_from_bytes(found[0][1], policy=policy.default)
    assert message["Subject"] == "Drawings"
    html = message.get_body(("html",))
    assert html is not None
    assert "<p>Grüße</p>" in html.get_content()
    attachment = next(iter(message.iter_attachments()))
    assert attachment.get_filename() == "Zeichnung Ä.pdf"
    assert attachment.get_content() == b"\x00\x01\xff" * 1000


def test_reads_odd_mail(exchange: Exchange, davmail: Login) -> None:
    """Whatever is odd about a message, its client gets the bytes of its files."""
    account = exchange.add_mailbox("anna@example.org")
    odd = {name: eml for name, (eml, _) in (KEPT | ODD).items() if len(eml) < 1_000_000}
    for eml in odd.values():
        exchange.deliver("anna@example.org", eml)
    client = davmail(account)
    assert client.select("INBOX") == ("OK", [str(len(odd)).encode()])

    _, found = client.fetch(f"1:{len(odd)}", "(BODY.PEEK[])")

    fetched = {
        message["Message-ID"]: [part.get_payload(decode=True) for part in message.walk()]
        for message in (message_from_bytes(each[1]) for each in found if isinstance(each, tuple))
    }
    for name, eml in odd.items():
        assert all(
            b"".join(file.content.chunks()) in fetched[message_from_bytes(eml)["Message-ID"]]
            for file in message_of(eml).attachments
            if file.content and file.content_type != "multipart/signed"
        ), name


def test_lists_a_large_folder(exchange: Exchange, davmail: Login) -> None:
    """It goes on from page to page by the last number that it saw: in the order of numbers, no message is skipped."""
    account = exchange.add_mailbox("anna@example.org")
    for _ in range(600):
        exchange.deliver("anna@example.org", b"Subject: x\r\n\r\nx\r\n")
    assert davmail(account).select("INBOX") == ("OK", [b"600"])


def test_lists_searches_flags_appends_copies_and_expunges(exchange: Exchange, davmail: Login) -> None:
    """A mail client's day: LIST, SEARCH, STORE, CREATE, COPY, APPEND and EXPUNGE do what they say."""
    account = exchange.add_mailbox("anna@example.org")
    exchange.deliver("anna@example.org", _eml())
    client = davmail(account)
    _, folders = client.list()
    assert any(b"INBOX" in folder for folder in folders if isinstance(folder, bytes))
    client.select("INBOX")
    assert client.search(None, "UNSEEN") == ("OK", [b"1"])
    assert client.store("1", "+FLAGS", "(\\Seen)")[0] == "OK"
    assert client.search(None, "UNSEEN") == ("OK", [b""])
    assert client.search(None, "SUBJECT", "Drawings") == ("OK", [b"1"])
    assert client.create("Projects")[0] == "OK"
    assert client.copy("1", "Projects")[0] == "OK"
    assert client.append("Projects", "(\\Seen)", "", _eml("Appended"))[0] == "OK"
    assert client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert client.expunge()[0] == "OK"

    assert client.select("INBOX") == ("OK", [b"0"])
    assert client.select("Projects") == ("OK", [b"2"])
    _, found = client.fetch("1:2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    subjects = {part[1].split()[-1] for part in found if isinstance(part, tuple)}
    assert subjects == {b"Drawings", b"Appended"}
