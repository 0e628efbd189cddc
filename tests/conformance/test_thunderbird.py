"""Whoever reads mail in Thunderbird sees links where attachments were, and after a restore what was there before."""

from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy

import pytest

from connector.simulator import Exchange
from connector.sources.memory import Attached
from tests.conformance.thunderbird import Shown, thunderbird
from tests.ews import eml
from tests.exchange import test_data
from tests.pipeline import ANNA, Pipeline, letter
from tests.servers import DavServer

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf50000003010180cf6f3b3a0000000049454e44ae426082"
)
LOGO = Attached("logo.png", PNG, "image/png", inline=True, content_id="logo@example.net")
#: A broken structure, and names that are not ASCII; and pictures in the text, one of them attached as well.
REAL = {"broken": "SpamScope__mail-parser/mail_test_1.eml", "pictures": "nodemailer__mailparser/nodemailer.eml"}


@dataclass(frozen=True)
class Sights:
    """The messages by their names, as Thunderbird showed them in the three states."""

    delivered: Mapping[str, Shown]
    redirected: Mapping[str, Shown]
    restored: Mapping[str, Shown]
    #: What each link of ours gave to somebody who followed it.
    download: Mapping[str, bytes]


def messages() -> dict[str, bytes]:
    """What is delivered."""
    files = {"report.pdf": b"%PDF-1.7 report", "plan \u00e4\u00f6.dwg": b"AC1032\x00\xff" * 1000}
    made = {
        "html": letter(files, "<p>Hello <b>Anna</b></p>", subject="In HTML"),
        "plain": letter(files, "Hello Anna,\r\n\r\nsee the files.\r\n", kind="plain", subject="In plain text"),
        "inline": eml(
            LOGO, Attached("offer.docx", b"PK\x03\x04 offer"), html='<p><img src="cid:logo@example.net"></p>'
        ),
    }
    found = {name: test_data("mail", sample) for name, sample in REAL.items()}
    # One of them has no Message-ID. A header more at the top, and everything else as it was found.
    head = "Message-ID: <{}@example.net>\r\n"
    return made | {name: head.format(name).encode() + path.read_bytes() for name, path in found.items() if path}


@pytest.fixture
def sights(tmp_path_factory: pytest.TempPathFactory, wsgidav: DavServer) -> Sights:
    """One Thunderbird, which stays open while the messages are redirected and restored."""
    folder, profile = tmp_path_factory.mktemp("thunderbird"), tmp_path_factory.mktemp("profile")
    # Without the judge of EWS: Thunderbird asks for a folder that the schema does not know.
    with thunderbird(profile) as reader, Exchange() as exchange:
        account = exchange.add_mailbox(ANNA)
        pipeline = Pipeline(folder, exchange, wsgidav)
        delivered = messages()
        ids = {name: _message_id(eml) for name, eml in delivered.items()}
        for each in delivered.values():
            pipeline.deliver(each)
        reader.add_account(exchange.ews, account)

        def look(when: str) -> dict[str, Shown]:
            shown = {}
            for name, message_id in ids.items():
                shown[name] = reader.open(message_id)
                # For a human who wants to see it.
                (folder / f"{name}-{when}.png").write_bytes(reader.screenshot())
            return shown

        before = look("1-delivered")
        pipeline.run("once", code=0)
        redirected = look("2-redirected")
        links = {link for each in redirected.values() for link in each.links if link.startswith(pipeline.url)}
        download = {link: pipeline.download(link) for link in links}
        pipeline.run("restore", "--everything", code=0)
        pipeline.run("once", code=0)
        pipeline.run("once", code=0, hours=1)
        return Sights(before, redirected, look("3-restored"), download)


def _message_id(eml: bytes) -> str:
    return str(message_from_bytes(eml, policy=policy.default)["Message-ID"]).strip("<>")


@pytest.mark.timeout(600)
def test_thunderbird(sights: Sights) -> None:
    """One test, so that Thunderbird starts once, and not once for each process that runs tests."""
    links_stand_where_attachments_were(sights)
    the_notice_is_in_sight(sights)
    restored_messages_are_shown_as_before(sights)


def links_stand_where_attachments_were(sights: Sights) -> None:
    """Each attachment is a link that can be seen and leads to its bytes; subject, text and pictures are as before."""
    for name, before in sights.delivered.items():
        now = sights.redirected[name]
        assert before.files, name
        assert now.files == (), name
        links = [link for link in now.links if link in sights.download]
        assert [sights.download[link] for link in links] == [content for *_, content in before.files], name
        assert [link for link in now.links if link not in links] == list(before.links), name
        assert now.text.endswith(before.text), name
        assert (now.subject, now.images) == (before.subject, before.images), name
        assert all(now.images), f"{name}: a picture does not load"


def the_notice_is_in_sight(sights: Sights) -> None:
    """Nobody has to scroll: in HTML it is as a whole within the pane, in plain text it is what begins it."""
    for name, now in sights.redirected.items():
        if name == "plain":
            assert now.text.startswith("=====")
        else:
            assert now.notice, name
            left, top, beyond_right, beyond_bottom = now.notice
            assert min(left, top) >= 0, name
            assert max(beyond_right, beyond_bottom) <= 0, name


def restored_messages_are_shown_as_before(sights: Sights) -> None:
    """Subject, text, links, pictures; name, type, bytes and order of the attachments; and no notice."""
    assert sights.restored == sights.delivered
    assert [each.notice for each in sights.restored.values()] == [None] * len(sights.delivered)
