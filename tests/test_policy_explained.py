"""Every condition of every rule, told with the answer that decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from connector.model import Action, Body, Content, Direction, File, FileKind, Item, Message, SharedFile
from connector.policy import Facts, Policy, explained
from connector.policy.conditions import Conditions
from tests.test_policy_laws import FACTS, ITEMS, LAW, POLICIES, known

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FILE = File(id="f", name="Plan.PDF", size=2048)
MESSAGE = Message(
    id="m",
    version="v",
    internet_message_id="<m@example.org>",
    folder="Inbox/Projects",
    subject="a secret subject",
    sender="bert@example.net",
    recipients=("anna@example.org", "eve@example.com"),
    received=NOW - timedelta(hours=36),
    direction=Direction.INCOMING,
    read=True,
    categories=("Red",),
    label="label-1",
    size=4096,
    headers={"x-spam": "a secret header"},
    files=(FILE,),
)
CONTENT = Content(head=b"%PDF-1.7", encrypted=False, macros=None, infected=False)
KNOWN = Facts(
    now=NOW,
    since=None,
    ours=False,
    mailbox="anna@example.org",
    groups=frozenset({"it"}),
    domains=("example.org",),
    contents={"f": CONTENT},
    body=Body("a secret text", html=False),
)


@pytest.mark.no_cover
@LAW
@given(POLICIES, ITEMS, FACTS)
def test_the_rule_that_is_told_to_decide_is_the_one_that_does(policy: Policy, item: Item, facts: Facts) -> None:
    """Whatever is known or not: by the same questions, so that the two cannot disagree."""
    for given_facts in (facts, known(item, facts)):
        for each in explained(policy, item, given_facts):
            deciding = [rule.rule for rule in each.rules if rule.decides]
            if each.verdict.rule.startswith(("guard:", "exclude:")):
                continue
            assert deciding == ([each.verdict.rule] if each.verdict.rule else [])
            assert [rule.rule for rule in each.rules] == [rule.name for rule in policy.rules]


CONDITIONS: dict[str, tuple[Any, str, bool | None]] = {
    "size_over": ("1 kB", "2 kB", True),
    "size_under": ("1 kB", "2 kB", False),
    "name": ("*.pdf", "Plan.PDF", True),
    "extension": ("docx", "Plan.PDF", False),
    "true_type": ("pdf", "pdf", True),
    "disguised": (True, "pdf", False),
    "encrypted": (True, "false", False),
    "macros": (True, "unknown", None),
    "infected": (False, "false", True),
    "kind": ("file", "file", True),
    "mailbox": ("anna@example.org", "anna@example.org", True),
    "group": ("Works council", "it", False),
    "sender": ("example.net", "bert@example.net", True),
    "recipient": ("eve@example.com", "anna@example.org, eve@example.com", True),
    "recipients": ("any external", "1 of 2 external", True),
    "recipients_over": (2, "2", False),
    "direction": ("sent", "incoming external", False),
    "message_over": ("1 kB", "4 kB", True),
    "message_under": ("1 kB", "4 kB", False),
    "label": ("label-1", "label-1", True),
    "header": ("X-Spam: secret", "", True),
    "subject": ("secret", "", True),
    "body": ("nothing of it", "", False),
    "folder": ("Projects", "Inbox/Projects", True),
    "younger_than": ("1d", "1.5 d", False),
    "older_than": ("1d", "1.5 d", True),
    "read": (False, "true", False),
    "category": ("red", "Red", True),
    "team": ("*", "none", False),
    "channel": ("*", "none", False),
    "chat": ("*", "none", False),
}


def test_each_condition_is_here() -> None:
    """A new one has to be told too."""
    assert set(CONDITIONS) == set(Conditions.model_fields) - {"any", "all"}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_told_with_what_was_found(name: str) -> None:
    """As the policy says it, beside what the file or its message has; of texts only whether the pattern matches."""
    value, found, holds = CONDITIONS[name]
    policy = Policy.model_validate({"rules": [{"name": "one", "when": {name: value}, "action": "copy"}]})
    ((one,),) = (each.rules for each in explained(policy, MESSAGE, KNOWN))
    (asked,) = one.asked
    assert (asked.where, asked.found, asked.holds, one.matches) == ("when", found, holds, holds)
    assert asked.condition.startswith(name.replace("_", " "))
    assert "a secret" not in repr(one)


def test_what_nobody_knows_is_told_as_that() -> None:
    """Of a file that was not looked into, of a message without size or age, of a shared file or an attached message."""
    asks = {
        "any": [
            {"true_type": "pdf"},
            {"encrypted": True},
            {"message_over": "1 kB"},
            {"older_than": "1d"},
            {"label": "x"},
            {"category": "x"},
            {"read": True},
            {"team": "*"},
            {"kind": "message"},
            {"direction": "sent"},
        ]
    }
    policy = Policy.model_validate({"rules": [{"name": "one", "when": asks, "action": "copy"}]})
    bare = replace(
        MESSAGE, received=None, size=0, label="", categories=(), read=None, files=(replace(FILE, kind=FileKind.ITEM),)
    )
    shared = SharedFile(id="s", version="v", folder="General", sender="", received=NOW, files=(FILE,), recipients=())
    facts = replace(KNOWN, contents={}, body=None, mailbox="Planning")
    found = {}
    for item in (bare, shared):
        (each,) = explained(policy, item, facts)
        (rule,) = each.rules
        found[type(item)] = [asked.found for asked in rule.asked]
        assert rule.asked[0].where == "when"
        assert rule.asked[1].where == "when any 1"
    assert found[Message] == [
        *(
            "",
            "unknown",
            "unknown",
            "unknown",
            "unknown",
            "none",
            "none",
            "none",
            "none",
            "message",
            "incoming external",
        )
    ]
    assert found[SharedFile] == [
        *("", "unknown", "unknown", "unknown", "0.0 d", "none", "none", "none", "planning", "file", "none")
    ]


def test_exceptions_and_rules_below_are_told_too() -> None:
    """An exception that holds, the rule that decides, one on trial, and one that is not asked any more."""
    rules = [
        {"name": "one", "when": {"size_over": "1 kB"}, "unless": {"folder": "Projects"}, "action": "hold"},
        {"name": "two", "mode": "monitor", "action": "hold"},
        {"name": "three", "when": {"extension": "pdf"}, "action": "redirect"},
        {"name": "four", "action": "keep"},
    ]
    (each,) = explained(Policy.model_validate({"rules": rules}), MESSAGE, KNOWN)
    assert [(rule.rule, rule.matches, rule.decides) for rule in each.rules] == [
        ("one", False, False),
        ("two", True, False),
        ("three", True, True),
        ("four", True, False),
    ]
    assert [(asked.where, asked.holds) for asked in each.rules[0].asked] == [("when", True), ("unless", True)]
    assert (each.verdict.rule, each.verdict.action) == ("three", Action.REDIRECT)
