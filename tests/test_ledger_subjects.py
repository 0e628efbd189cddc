"""People are in the audit trail by pseudonyms alone, which one table explains. On both databases."""

import json
import re
from contextlib import closing

import pytest

from connector.ledger import LeaseLost, Ledger, subjects
from tests.test_ledger import MINUTE, NOW, a_redirect, recorded, taken

pytest_plugins = ["tests.postgres"]

ANNA = "anna@example.org"


def all_said(ledger: Ledger) -> str:
    """Everything that stands in the table of events."""
    with ledger._engine.connect() as connection:
        return json.dumps([list(row) for row in connection.exec_driver_sql("SELECT * FROM events")])


def test_a_pseudonym_is_made_once_and_kept(ledger: Ledger, ledger_url: str) -> None:
    """For each tenant another one, whatever case a name is written in; another process knows the same."""
    made = ledger.pseudonym("acme", ANNA)
    assert re.fullmatch("[a-z2-9]{10}", made)
    assert made == ledger.pseudonym("acme", ANNA) == ledger.pseudonym("acme", "Anna@Example.org")
    assert ledger.pseudonym("other", ANNA) != made
    assert ledger.pseudonym("acme", "bert@example.org") != made
    with closing(Ledger(ledger_url)) as second:
        assert second.pseudonym("acme", ANNA) == made


def test_events_name_nobody(ledger: Ledger) -> None:
    """Neither as their source, nor in a reason, a pause, an access or a list; who acted is told."""
    recorded(ledger, taken(ledger), a_redirect())
    for name in ("acme/anna", "acme/anna/edits", "acme/store"):
        ledger.pause(name, until=NOW + MINUTE, reason="r", error="Full", now=NOW, tenant="acme")
    reason = f"the mailbox of <{ANNA}>, acme/anna, is full"
    ledger.note("acme", "sweep.stopped", NOW, source="acme/anna", reason=reason, all=[{"to": ANNA}, 1])
    ledger.note("acme", "link.opened", NOW, who="anna.login", seen=1)
    ledger.note("acme", "link.opened", NOW, who="0123456789abcdef")
    ledger.note("acme", "redirect.held", NOW, by="operator@example.org")
    ledger.succeed("acme", ANNA, "bert@example.org", NOW, by="root")

    said = all_said(ledger)
    assert not any(name in said for name in ("anna", "bert"))
    events = list(ledger.events())
    anna, source = ledger.pseudonym("acme", ANNA), ledger.pseudonym("acme", "acme/anna")
    assert [each.detail["paused"] for each in events[1:4]] == [source, f"{source}/edits", "acme/store"]
    assert [each.source for each in events[:5]] == [source, source, source, "", source]
    assert events[4].detail == {"reason": f"the mailbox of <{anna}>, {source}, is full", "all": [{"to": anna}, 1]}
    assert events[5].detail == {"who": ledger.pseudonym("acme", "anna.login"), "seen": 1}
    assert events[6].detail == {"who": "0123456789abcdef"}
    assert events[7].detail == {"by": "operator@example.org"}
    assert events[8].detail["mailbox"] == anna
    assert ledger.broken_link("acme") is None


def test_who_was_forgotten_is_somebody_new(ledger: Ledger, ledger_url: str) -> None:
    """What was said stays and holds; what is said from then on has another pseudonym, also in a process at work."""
    ledger.note("acme", "seen", NOW, source="acme/anna")
    before = ledger.pseudonym("acme", "acme/anna")
    with closing(Ledger(ledger_url)) as other, other._writing() as connection:
        subjects.forget(connection, "acme", ["acme/anna"])
    ledger.note("acme", "seen", NOW, source="acme/anna")
    first, second = ledger.events()
    assert first.source == before != second.source == ledger.pseudonym("acme", "acme/anna")
    assert ledger.broken_link("acme") is None


def test_a_source_is_forgotten_whole(ledger: Ledger) -> None:
    """Its redirects, what waits, and to whom its pseudonyms belong; what others have stays, and so does the trail."""
    lease = taken(ledger)
    recorded(ledger, lease, a_redirect())
    ledger.watch("acme/bert", tenant="acme", address="bert@example.org", now=NOW)
    ledger.note("acme", "seen", NOW, source="acme/bert", reason=f"of {ANNA}")
    ledger.note("acme", "redirect.held", NOW, source="acme/bert", by="ada")
    ledger.succeed("acme", ANNA, "bert@example.org", NOW, by="ada")
    before = ledger.pseudonym("acme", "acme/anna"), ledger.pseudonym("acme", ANNA)

    named = [each.name for each in ledger.spoken_of("acme", [ANNA], ["acme/anna"])]
    assert named == ["redirect.planned", "seen", "mailbox.left"]
    assert [each.name for each in ledger.spoken_of("acme", ["ada"], [])] == ["redirect.held", "mailbox.left"]

    ledger.want_erasure("acme/anna", NOW)
    ledger.want_erasure("acme/anna", NOW + MINUTE)
    assert ledger.erasures() == {"acme/anna": NOW}
    ledger.forget(lease, ANNA, NOW + MINUTE)
    assert (ledger.erasures(), ledger.redirects(), ledger.owner("acme", ANNA)) == ({}, (), ANNA)
    assert [each.name for each in ledger.events()][-1] == "person.erased"
    assert not {ledger.pseudonym("acme", "acme/anna"), ledger.pseudonym("acme", ANNA)} & {*before}
    assert ledger.broken_link("acme") is None

    bert = ledger.pseudonym("acme", "acme/bert")
    ledger.forget_name("acme", "acme/bert")
    assert ledger.pseudonym("acme", "acme/bert") != bert


def test_who_lost_the_lease_forgets_nothing(ledger: Ledger) -> None:
    """Another process has the source by now, and may have begun something."""
    lease = taken(ledger)
    recorded(ledger, lease, a_redirect())
    assert ledger.lease("acme/anna", "another", NOW + 2 * MINUTE, MINUTE)
    with pytest.raises(LeaseLost):
        ledger.forget(lease, ANNA, NOW)
    assert len(ledger.redirects()) == 1
