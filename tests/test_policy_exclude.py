"""What no rule overrides, what is on trial, and what has to be fetched: each with a hit and a near miss."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connector.config.exports import EXPORT, holds, memberships
from connector.model import Action, Body, Content, File, FileKind, Need
from connector.policy import Hold, Pilot, decide
from connector.policy.sketch import BEGINNINGS, PolicyTest, Sketch
from tests.test_policy import FACTS, FILE, MESSAGE, policy

#: What is excluded, a message, and whether it stays.
EXCLUSIONS: tuple[tuple[dict[str, Any], dict[str, Any], bool], ...] = (
    ({"mailboxes": "rechnung@example.org"}, {"mailbox": "Rechnung@example.org"}, True),
    ({"mailboxes": "rechnung@example.org"}, {"mailbox": "berechnung@example.org"}, False),
    ({"mailboxes": "example.org"}, {"mailbox": "a@sub.example.org"}, True),
    ({"mailboxes": "rechnung@example.org"}, {"recipients": ["rechnung@example.org"]}, False),
    ({"mailboxes": "group:Personalvertretung"}, {"groups": ["PERSONALVERTRETUNG"]}, True),
    ({"mailboxes": "group:Personalvertretung"}, {"groups": ["Personal"]}, False),
    ({"mailboxes": ["group:DSB", "group:Betriebsarzt"]}, {"groups": ["IT", "betriebsarzt"]}, True),
    ({"mailboxes": "anna@example.org"}, {"chat": "anna@example.org"}, True),
    ({"mailboxes": "anna@example.org"}, {"team": "anna", "channel": "General"}, False),
    ({"hold": "litigation"}, {"hold": "litigation"}, True),
    ({"hold": "litigation"}, {"hold": "retention"}, False),
    ({"hold": "retention"}, {"hold": "retention"}, True),
    ({"hold": ["litigation", "retention"]}, {}, False),
    ({"hold": "record"}, {"retention_tag": "c4d4e0c1-0000-0000-0000-000000000000"}, True),
    ({"hold": "record"}, {"hold": "litigation"}, False),
    ({"hold": "record"}, {"team": "Planning"}, False),
    ({"identity": "unmapped"}, {"unmapped": True}, True),
    ({"identity": "unmapped"}, {}, False),
    ({}, {"unmapped": True, "hold": "litigation"}, False),
    ({"folders": ["Privat", "Nicht auslagern"]}, {"folder": "Posteingang/nicht auslagern/2026"}, True),
    ({"folders": ["Privat", "Nicht auslagern"]}, {"folder": "Privates"}, False),
    ({"sensitivity": ["private", "personal", "confidential"]}, {"sensitivity": "normal"}, False),
)


@pytest.mark.parametrize(("exclude", "message", "stays"), EXCLUSIONS)
def test_an_exclusion_means_what_it_says(exclude: dict[str, Any], message: dict[str, Any], *, stays: bool) -> None:
    """It keeps its hit whatever the rules say, and not what only looks like one."""
    sketch = Sketch.model_validate(message)
    rules = policy({"name": "all", "action": "copy"}, exclude=exclude)
    (verdict,) = decide(rules, sketch.item, sketch.facts())
    assert verdict.action is (Action.KEEP if stays else Action.COPY)
    assert verdict.rule == (f"exclude:{next(iter(exclude))}" if stays else "all")


@pytest.mark.parametrize("sensitivity", ["private", "personal", "confidential"])
def test_what_is_private_stays_whatever_is_excluded(sensitivity: str) -> None:
    """A policy that leaves the words out cannot reach it."""
    sketch = Sketch.model_validate({"sensitivity": sensitivity})
    assert decide(policy({"name": "all", "action": "copy"}), sketch.item, sketch.facts())[0].rule == "guard:sensitivity"


def test_a_rule_on_trial_only_tells() -> None:
    """Those below decide as if it were not there; each tells what it would have done."""
    rules = policy(
        {"name": "first", "mode": "monitor", "when": {"extension": "pdf"}, "action": "hold"},
        {"name": "second", "mode": "monitor", "when": {"extension": "zip"}, "action": "hold"},
        {"name": "third", "mode": "monitor", "action": "redirect"},
        {"name": "real", "action": "copy"},
        {"name": "below", "mode": "monitor", "action": "redirect"},
    )
    (verdict,) = decide(rules, MESSAGE, FACTS)
    assert (verdict.rule, verdict.action) == ("real", Action.COPY)
    assert verdict.would == (("first", Action.HOLD), ("third", Action.REDIRECT))


def test_a_pilot_is_by_group_and_by_share() -> None:
    """Who is in a group of the pilot is in; of all others so many as it says, always the same ones."""
    pilot = Pilot.model_validate({"groups": ["IT"], "percent": 10})
    assert pilot.covers(lambda: pytest.fail("its key is not asked for"), {"it"})
    drawn = [key for key in map(str, range(2000)) if pilot.covers(lambda key=key: key, {"planning"})]  # type: ignore[misc]
    assert 140 < len(drawn) < 260
    assert not Pilot.model_validate({"groups": ["IT"]}).covers(lambda: pytest.fail("nor here"), {"planning"})


# --- what has to be fetched ---------------------------------------------------------------------------------------

BODYLESS = replace(MESSAGE, body=None)
#: Rules, and all that has to be fetched before the first verdict.
NEEDS: tuple[tuple[tuple[dict[str, Any], ...], set[Need]], ...] = (
    (({"when": {"true_type": "pdf"}},), {Need.HEAD}),
    (({"when": {"disguised": True}},), {Need.HEAD}),
    (({"when": {"encrypted": True}},), {Need.WHOLE}),
    (({"when": {"macros": False}},), {Need.WHOLE}),
    (({"when": {"infected": True}},), {Need.SCAN}),
    (({"when": {"body": "x"}},), {Need.BODY}),
    (({"when": {"subject": "x", "body": "x"}},), set()),
    (({"when": {"body": "x", "infected": True, "true_type": "pdf"}},), {Need.BODY, Need.SCAN, Need.HEAD}),
    (({"unless": {"macros": True}},), {Need.WHOLE}),
    (({"when": {"any": [{"infected": True}, {"true_type": "executable"}]}},), {Need.SCAN, Need.HEAD}),
    (({"when": {"any": [{"infected": True}, {"extension": "pdf"}]}},), set()),
    (({"when": {"all": [{"infected": True}, {"extension": "zip"}]}},), set()),
    (({"when": {"infected": True}}, {"when": {"body": "x"}}), {Need.SCAN, Need.BODY}),
    (({"when": {"infected": True}}, {"when": {"extension": "pdf"}}, {"when": {"body": "x"}}), {Need.SCAN}),
    (({"when": {"extension": "pdf"}}, {"when": {"infected": True}}), set()),
    (({"mode": "monitor", "when": {"infected": True}}, {}), {Need.SCAN}),
)


@pytest.mark.parametrize(("rules", "needs"), NEEDS)
def test_all_that_may_decide_is_asked_for_at_once(rules: tuple[dict[str, Any], ...], needs: set[Need]) -> None:
    """So that nothing is fetched twice; and nothing is fetched that cannot decide."""
    asked = policy(*({"name": str(number), "action": "copy", **rule} for number, rule in enumerate(rules)))
    (verdict,) = decide(asked, BODYLESS, FACTS)
    assert verdict.needs == needs
    assert (verdict.action is Action.KEEP) or not needs
    content = Content(head=b"%PDF-1.7", encrypted=False, macros=False, infected=False)
    (final,) = decide(asked, BODYLESS, replace(FACTS, contents={"f1": content}, body=Body("", html=False)))
    assert not final.needs


def test_where_nobody_can_tell_the_file_stays() -> None:
    """An archive that is too large to look into is not moved by a rule below."""
    asked = policy(
        {"name": "locked", "when": {"encrypted": True}, "action": "hold"}, {"name": "rest", "action": "redirect"}
    )
    content = Content(head=b"PK")
    (verdict,) = decide(asked, MESSAGE, replace(FACTS, contents={"f1": content}))
    assert (verdict.action, verdict.rule) == (Action.KEEP, "locked")
    assert verdict.because == "nobody can tell whether the rule matches, so the file stays"


def test_a_pattern_that_would_hang_others_does_not() -> None:
    """RE2 takes time in proportion to the text, also where it matches nowhere."""
    hostile = replace(MESSAGE, subject="a" * 100_000 + "!", headers={"x-a": "a" * 100_000 + "!"})
    asked = policy(
        {"name": "it", "when": {"subject": "^(a+)+$", "header": "X-A: (a|aa)+$", "body": "(x*)*y"}, "action": "copy"}
    )
    body = Body("<p>" + "x" * 2_000_000, html=True)
    assert decide(asked, hostile, replace(FACTS, body=body))[0].rule == ""


def test_a_policy_tells_which_headers_it_wants() -> None:
    """So that a source tells them; all others stay on the server."""
    asked = policy(
        {"name": "a", "when": {"any": [{"header": ["X-A: 1", "x-b: 2"]}]}, "unless": {"header": "X-C: ."},
         "action": "copy"},
    )  # fmt: skip
    assert asked.headers == {"x-a", "x-b", "x-c"}


# --- sketches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_a_sketched_file_is_what_it_is_said_to_be(kind: str) -> None:
    """Whatever its name is."""
    sketch = Sketch.model_validate({"file": "a.bin", "true_type": kind})
    asked = policy({"name": "it", "when": {"true_type": kind}, "action": "copy"})
    assert decide(asked, sketch.item, sketch.facts())[0].action is Action.COPY


def test_a_test_that_fails_says_what_the_policy_says_instead() -> None:
    """In one sentence, with the rule and why."""
    rules = policy({"name": "pdf", "when": {"extension": "pdf"}, "action": "copy"})
    said = {"name": "plans go", "message": {"file": "Plan.pdf"}, "verdict": "redirect"}
    assert PolicyTest.model_validate(said).failure(rules) == (
        "plans go: expected redirect, but the policy says copy by rule pdf (extension pdf)"
    )
    named = {**said, "verdict": "keep", "message": {"file": "a.txt"}, "rule": "pdf"}
    assert PolicyTest.model_validate(named).failure(rules) == (
        "plans go: expected keep by rule pdf, but the policy says keep by rule (none) (no rule matches)"
    )
    assert PolicyTest.model_validate({**said, "verdict": "copy", "rule": "pdf"}).failure(rules) is None


def test_a_shared_file_is_redirected_where_a_share_wants_that() -> None:
    """Elsewhere it is only copied, whatever a rule says."""
    rules = policy({"name": "all", "action": "redirect"})
    test = PolicyTest.model_validate({"name": "plans go", "message": {"team": "Planning"}, "verdict": "redirect"})
    assert test.failure(rules, pointers=True) is None
    assert "the policy says copy by rule all" in (test.failure(rules) or "")


def test_an_attached_message_can_be_sketched() -> None:
    """As one that can be read."""
    sketch = Sketch.model_validate({"kind": "message", "file": "Offer"})
    asked = policy({"name": "it", "when": {"kind": "message"}, "action": "copy"})
    assert decide(asked, sketch.item, sketch.facts())[0].action is Action.COPY
    assert sketch.item.files[0].kind is FileKind.ITEM
    assert File(id="f1", name="a", size=1).kind is FILE.kind


# --- lists from Exchange ------------------------------------------------------------------------------------------


def test_groups_are_read_from_a_list(tmp_path: Path) -> None:
    """One line for each membership, in any case and order of columns."""
    path = tmp_path / "groups.csv"
    path.write_text("group,Mailbox\nIT,Anna@example.org\n\nPlanning,anna@example.org\nIT,ben@example.org\n")
    assert memberships(str(path)) == {"anna@example.org": {"it", "planning"}, "ben@example.org": {"it"}}
    with pytest.raises(ValueError, match="name a CSV file"):
        memberships({"Anna@example.org": ["IT"]})


def test_holds_are_read_as_exchange_exports_them(tmp_path: Path) -> None:
    """With quotes, more columns than are needed, and the semicolons of a German Windows."""
    path = tmp_path / "holds.csv"
    path.write_text(
        '\ufeff"PrimarySmtpAddress";"LitigationHoldEnabled";"RetentionHoldEnabled";"InPlaceHolds";"Alias"\r\n'
        '"Anna@example.org";"True";"False";"";"anna"\r\n"ben@example.org";"False";"True";"";"ben"\r\n'
        '"carl@example.org";"False";"False";"mbx1 mbx2";"carl"\r\n"dora@example.org";"False";"False";"{}";"dora"\r\n',
        encoding="utf-8",
    )
    assert holds(str(path)) == {
        "anna@example.org": {Hold.LITIGATION},
        "ben@example.org": {Hold.RETENTION},
        "carl@example.org": {Hold.LITIGATION},
        "dora@example.org": set(),
    }
    with pytest.raises(ValueError, match="name a CSV file"):
        holds({"Anna@example.org": ["retention"]})


HOLD_COLUMNS = "PrimarySmtpAddress,LitigationHoldEnabled,RetentionHoldEnabled,InPlaceHolds\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b"mailbox\n",
            "primarysmtpaddress, litigationholdenabled, inplaceholds, retentionholdenabled are missing",
        ),
        (HOLD_COLUMNS.encode() + b"a@x.org,yes,False,\n", "line 2: a hold is enabled, True, or not, False"),
        (HOLD_COLUMNS.encode() + b"a@x.org,True\n", "line 2: has 2 columns instead of 4"),
        (HOLD_COLUMNS.encode() + b"a@x.org,True,False,System.Collections.ArrayList\n", EXPORT),
        (HOLD_COLUMNS.encode("utf-16"), "is not UTF-8 text"),
        (HOLD_COLUMNS.encode() + b'a@x.org,"' + b"x" * 200_000, "is no CSV"),
        (b"", "line 1: the columns"),
    ],
)
def test_a_list_that_is_not_understood_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    """A guess could move what must not be moved."""
    path = tmp_path / "holds.csv"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"holds\.csv") as error:
        holds(str(path))
    assert said in str(error.value)


def test_a_membership_names_both(tmp_path: Path) -> None:
    """Half a line is none."""
    path = tmp_path / "groups.csv"
    for line in ("anna,IT", "anna@example.org,"):
        path.write_text(f"mailbox,group\n{line}\n")
        with pytest.raises(ValueError, match="line 2: give the address of a mailbox, and the name of a group"):
            memberships(str(path))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        memberships(str(tmp_path / "nobody.csv"))
