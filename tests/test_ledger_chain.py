"""The audit trail: whoever changes, removes or swaps events is found out, and the first is named. On both databases."""

import hashlib
import json
from datetime import timedelta
from enum import StrEnum

import pytest

from connector.ledger import Ledger
from tests.test_ledger import MINUTE, NOW, a_redirect, recorded, taken

pytest_plugins = ["tests.postgres"]


def tampered(ledger: Ledger, *statements: str) -> int | None:
    """What the ledger says about the chain of five events after somebody wrote into the database by hand."""
    for number in range(1, 6):
        ledger.note("acme", f"event.{number}", NOW + number * MINUTE, source="acme/anna", redirect_id="r1", n=number)
    ledger.note("other", "event.1", NOW)
    with ledger._engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    assert ledger.broken_link("other") is None
    return ledger.broken_link("acme")


def test_an_untouched_chain_holds(ledger: Ledger) -> None:
    """Nothing is found where nothing was done, and in a chain that has not begun."""
    assert tampered(ledger) is None
    assert ledger.broken_link("nobody") is None


@pytest.mark.parametrize(
    "change",
    [
        "name = 'other'",
        "detail = '{\"n\":4}'",
        "detail = 'no json'",
        "at = '2026-03-01T12:03:00.000001Z'",
        "at = 'yesterday'",
        "source = 'acme/bert'",
        "redirect_id = ''",
        "hash = 'ab'",
        "previous = ''",
    ],
)
def test_a_changed_event_is_found(ledger: Ledger, change: str) -> None:
    """Whatever member of an event is changed, that event is named."""
    assert tampered(ledger, f"UPDATE events SET {change} WHERE tenant = 'acme' AND number = 3") == 3


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_missing_event_is_found(ledger: Ledger, number: int) -> None:
    """An event that was removed is named, the last one too."""
    assert tampered(ledger, f"DELETE FROM events WHERE tenant = 'acme' AND number = {number}") == number


def test_missing_events_are_found_though_numbers_close_up(ledger: Ledger) -> None:
    """Renumbering what is left hides no gap."""
    gone = "DELETE FROM events WHERE tenant = 'acme' AND number = 3"
    assert tampered(ledger, gone, "UPDATE events SET number = number - 1 WHERE tenant = 'acme' AND number = 4") == 3


def test_reordered_events_are_found(ledger: Ledger) -> None:
    """Two events that changed places are named at the first of them."""
    swap = [
        f"UPDATE events SET number = {new} WHERE tenant = 'acme' AND number = {old}"
        for old, new in ((2, 99), (3, 2), (99, 3))
    ]
    assert tampered(ledger, *swap) == 2


def test_events_beyond_the_end_are_found(ledger: Ledger) -> None:
    """Events that the chain's end does not vouch for are named."""
    assert tampered(ledger, "UPDATE chains SET length = 3 WHERE tenant = 'acme'") == 4


def test_a_chain_without_its_end_is_found(ledger: Ledger) -> None:
    """Removing the record of where a chain ends hides nothing."""
    assert tampered(ledger, "DELETE FROM chains WHERE tenant = 'acme'") == 1


def test_an_end_that_was_written_anew_is_found(ledger: Ledger) -> None:
    """The last event cannot be replaced by another one that is right in itself."""
    chain_end = "UPDATE chains SET head = 'ab' WHERE tenant = 'acme'"
    assert tampered(ledger, chain_end) == 5


def test_a_second_verifier_can_follow(ledger: Ledger) -> None:
    """The form that the module's docstring tells is the form that is hashed."""
    recorded(ledger, taken(ledger), a_redirect())
    rule = 'Größe > "10"\n\x7f\x1f😀'
    ledger.note("acme", "rule.hit", NOW + MINUTE, rule=rule, seen=[1, None, True, 2.5], until=NOW)
    first, second = ledger.events(tenant="acme")
    said = (
        '{"at":"2026-03-01T12:00:00.000000Z","detail":{"files":1,"rules":["big"]},"name":"redirect.planned",'
        f'"number":1,"redirect_id":"r1","source":"{ledger.pseudonym("acme", "acme/anna")}","tenant":"acme"}}'
    )
    assert first.previous == ""
    assert first.hash == hashlib.sha256(said.encode()).hexdigest()
    said = (
        '{"at":"2026-03-01T12:01:00.000000Z","detail":{"rule":"Größe > \\"10\\"\\n\x7f\\u001f😀",'
        '"seen":[1,null,true,2.5],"until":"2026-03-01T12:00:00.000000Z"},"name":"rule.hit","number":2,'
        '"redirect_id":"","source":"","tenant":"acme"}'
    )
    assert second.previous == first.hash
    assert second.hash == hashlib.sha256(first.hash.encode() + said.encode()).hexdigest()
    assert json.loads(said)["detail"] == second.detail


def test_events_hold_any_text_and_words_as_text(ledger: Ledger) -> None:
    """What comes from outside breaks no chain: NUL, lone surrogates, and words of an enumeration are kept as text."""

    class Word(StrEnum):
        HELD = "held"

    ledger.note("acme", Word.HELD, NOW, source="a\0\ud800\\", stood=Word.HELD, item="\0\udc80")
    (event,) = ledger.events()
    assert (event.name, event.detail) == ("held", {"stood": "held", "item": "\0\udc80"})
    assert event.source == ledger.pseudonym("acme", "a\0\ud800\\")
    assert ledger.broken_link("acme") is None


def test_a_detail_is_plain(ledger: Ledger) -> None:
    """What JSON has no form for is refused before anything is written."""
    with pytest.raises(TypeError, match="cannot hold timedelta"):
        ledger.note("acme", "rule.hit", NOW, wait=timedelta(1))
    assert list(ledger.events()) == []


def test_each_tenant_has_a_chain_of_its_own(ledger: Ledger) -> None:
    """Numbers count for each tenant; events are read by tenant, by redirect or all, each chain in its order."""
    for tenant, redirect_id in (("b", "r1"), ("a", "r2"), ("b", "r2")):
        ledger.note(tenant, "seen", NOW, redirect_id=redirect_id)
    assert [(each.tenant, each.number) for each in ledger.events()] == [("a", 1), ("b", 1), ("b", 2)]
    assert [each.number for each in ledger.events(tenant="b")] == [1, 2]
    assert [(each.tenant, each.number) for each in ledger.history("r2")] == [("a", 1), ("b", 2)]
    assert ledger.history("r3") == ()


def test_the_last_event_tells_the_time(ledger: Ledger) -> None:
    """A clock that stands before the tenant's last event is known to be wrong."""
    assert ledger.last_event_at("acme") is None
    ledger.note("acme", "seen", NOW + MINUTE)
    ledger.note("acme", "seen", NOW)
    ledger.note("other", "seen", NOW + 2 * MINUTE)
    assert ledger.last_event_at("acme") == NOW


def test_events_may_be_read_while_others_are_written(ledger: Ledger) -> None:
    """A reader of a long trail keeps no writer waiting."""
    ledger.note("acme", "first", NOW)
    ledger.note("acme", "second", NOW)
    for event in ledger.events():
        ledger.note("acme", f"after {event.name}", NOW)
    assert [each.name for each in ledger.events()][2:4] == ["after first", "after second"]
