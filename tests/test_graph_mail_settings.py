"""What an administrator writes about mailboxes in Exchange Online, and which mailboxes come of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from connector.errors import Denied
from connector.simulator import Exchange
from connector.sources.graph_mail import GraphMailboxes
from connector.sources.graph_mail.cursor import Cursor, read
from connector.sources.graph_mail.folders import Told
from tests.graph_mail import settings

APP = {"directory": "example.org", "client": "11111111-2222-3333-4444-555555555555", "managed_identity": True}
GROUP = "00000000-1111-2222-3333-444444444444"


def entry(**more: Any) -> GraphMailboxes:
    """An entry of a configuration."""
    return GraphMailboxes.model_validate({"type": "graph", "app": APP, **more})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "give mailboxes, groups or everyone"),
        ({"mailboxes": ["a@b.c"], "everyone": True}, "everyone leaves nobody"),
        ({"groups": [GROUP], "everyone": True}, "everyone leaves nobody"),
        ({"groups": ["staff"]}, "should match pattern"),
        ({"mailboxes": ["a@b.c", "A@B.C"]}, "named more than once"),
        ({"mailboxes": ["a@b.c"], "probe": "A@b.c"}, "probe must not be one"),
        ({"mailboxes": ["a@b.c"], "outside": "A@b.c"}, "outside must not be one"),
        ({"mailboxes": ["a@b.c"], "outside": "p@b.c", "probe": "p@b.c"}, "outside must not be one"),
        ({"mailboxes": ["a@b.c"], "exclude": ["A@b.c"]}, "both in mailboxes and in exclude"),
        ({"mailboxes": ["a@b.c"], "url": "https://x"}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], says: str) -> None:
    """Each in a sentence."""
    with pytest.raises(ValidationError, match=says):
        entry(**more)


@pytest.fixture(autouse=True)
def _secret(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds the secret of the app."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])


def test_groups_and_everyone(exchange: Exchange) -> None:
    """Groups in groups count; who is excluded, for trials or not to be opened, never comes of it."""
    people = ["anna@example.org", "ben@example.org", "carla@example.org", "dora@example.org"]
    for person in people:
        exchange.add_mailbox(person)
    staff = exchange.add_group("Staff", *people[:2], exchange.add_group("Board", *people[1:3]))
    assert settings(exchange, mailboxes=[], groups=[staff]).addresses() == tuple(people[:3])
    assert settings(exchange, mailboxes=[people[3]], groups=[staff]).addresses() == (people[3], *people[:3])
    without = settings(exchange, mailboxes=[], groups=[staff], exclude=["Anna@Example.org"], outside=people[2])
    assert without.addresses() == (people[1],)
    everyone = settings(exchange, mailboxes=[], everyone=True, exclude=[people[0]], probe=people[1]).addresses()
    assert {*everyone} >= {*people[2:]}
    assert {*everyone}.isdisjoint(people[:2])


def test_a_group_that_is_not_there(exchange: Exchange) -> None:
    """It is named, and so is what the app lacks."""
    with pytest.raises(Denied, match=f"does not have the group {GROUP}"):
        settings(exchange, mailboxes=[], groups=[GROUP]).addresses()
    exchange._organisation.tenant.roles.discard("GroupMember.Read.All")
    with pytest.raises(Denied, match=r"grant it GroupMember\.Read\.All"):
        settings(exchange, mailboxes=[], groups=[GROUP]).addresses()


def test_named_mailboxes_ask_nobody(exchange: Exchange) -> None:
    """A list is a list."""
    assert settings(exchange).addresses() == ("anna@example.org",)
    assert exchange.seen == []


def test_the_lines_that_grant() -> None:
    """They name the app and the mailboxes, both roles, and one to try it on."""
    lines = entry(mailboxes=["a@b.c"], probe="p@b.c", outside="o@b.c").grant()
    assert all(line.startswith(("New-", "Test-")) for line in lines)
    assert "PrimarySmtpAddress -eq 'a@b.c' -or PrimarySmtpAddress -eq 'p@b.c'" in lines[1]
    assert [role in "".join(lines) for role in ('"Application Mail.ReadWrite"', "Mail-Advanced.ReadWrite.All")] == [
        True
    ] * 2
    assert lines[-1].endswith("-Resource o@b.c")
    assert "CustomAttribute1" in entry(everyone=True).grant()[1]


def test_the_lines_that_mend_a_scope() -> None:
    """One shows what the app may do with a mailbox, the other narrows it to what `grant` made."""
    made = entry(mailboxes=["a@b.c"])
    assert made.letting_in("a@b.c").endswith("-Resource a@b.c")
    assert made.keeping_out("o@b.c").endswith("-CustomResourceScope connector")
    assert [each.host for each in made.servers()] == ["login.microsoftonline.com", "graph.microsoft.com"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no cursor",
        "[]",
        "3",
        '{"AAMkAD=": ["H4sIAAA=", "2026-11-28 3"]}',
        '{"graph": 2, "hierarchy": "x", "folders": {}, "feeds": {}}',
        '{"graph": 1, "hierarchy": "x"}',
        '{"graph": 1, "hierarchy": "x", "folders": {"a": ["b"]}, "feeds": {}}',
        '{"graph": 1, "hierarchy": "x", "folders": [], "feeds": {}}',
    ],
)
def test_a_cursor_of_another_kind_counts_as_none(text: str | None) -> None:
    """Also the one of EWS, which a mailbox has that has just moved to the cloud."""
    assert read(text) == Cursor()


def test_a_cursor_is_what_it_was() -> None:
    """Through its text."""
    cursor = Cursor("https://g/x", {"a": Told("Inbox", "root", "IPF.Note")}, {"a": "https://g/y"})
    assert read(str(cursor)) == cursor
