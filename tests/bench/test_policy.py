"""How many messages a policy judges in a second of the processor: 200 rules, of which the last one matches.

Against a floor that is measured in the same run: what any program that judges by 200 rules has to do at the least. That
is to compare two things for each rule and file, and to search each text for each pattern, with nothing around it.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import re2

from connector.model import Action, Body, Direction, File, Message
from connector.policy import Facts, Policy, decide
from tests.bench.conftest import figure

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

RULES, TEXTS, FILES, MESSAGES = 200, 20, 2, 400
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TEXT = "Dear all,\nthe minutes of our meeting are attached, and so is the plan for the coming weeks.\n" * 20
FACTS = Facts(now=NOW, since=None, ours=False, mailbox="anna@example.org")


def rule(number: int) -> dict[str, Any]:
    """One of many: some look at people, some at the file, some at the message, every tenth at a text."""
    kinds: tuple[dict[str, Any], ...] = (
        {"sender": [f"s{number}@example.net", f"d{number}.example"], "size_over": "10 MB"},
        {"extension": [f"x{number}", "zip"], "direction": "incoming external"},
        {"folder": f"Projects/{number}", "younger_than": "30d"},
        {"recipient": f"r{number}@example.net", "size_over": "1 MB"},
        {"any": [{"name": f"scan-{number}-*"}, {"category": f"c{number}"}]},
    )
    when = kinds[number % len(kinds)]
    if number % (RULES // TEXTS) == 0:
        when = {"body" if number % 20 else "subject": rf"\b(contract|order) no\. {number}\b", "size_over": "1 kB"}
    return {"name": f"rule {number}", "when": when, "action": "redirect"}


def message(number: int) -> Message:
    """With two files, of which none matches before the last rule."""
    return Message(
        id=str(number),
        version="v",
        internet_message_id=f"<{number}@example.org>",
        folder="Inbox/Projects",
        subject=f"Minutes of meeting {number}",
        sender=f"sender{number}@mail.example.com",
        recipients=("anna@example.org", "ben@example.org", "carol@example.org"),
        received=NOW - timedelta(days=1),
        direction=Direction.INCOMING,
        files=tuple(File(id=str(each), name=f"Plan {each}.pdf", size=12 * 1024 * 1024) for each in range(FILES)),
        body=Body(f"{TEXT}{number}", html=False),
    )


def test_a_policy_of_two_hundred_rules() -> None:
    """Reasons included; no more than a few times the floor."""
    last = {"name": "last", "when": {"extension": "pdf", "direction": "incoming external"}, "action": "redirect"}
    policy = Policy.model_validate({"rules": [*(rule(number) for number in range(1, RULES)), last]})
    messages = [message(number) for number in range(MESSAGES)]
    decide(policy, messages[0], FACTS)
    took, bare = least(policy, messages)
    figure("policy", f"{MESSAGES / took:,.0f} messages/s", f"{took / bare:.1f} x floor ({MESSAGES / bare:,.0f}/s)")
    assert took < MOST * bare


#: Times the floor. Measured: see the table of the run.
MOST = 5


def least(policy: Policy, messages: list[Message]) -> tuple[float, float]:
    """Processor seconds for all messages, and for the floor: of each the fastest of five, in turns."""
    judged, bare = zip(
        *((timed(judge, policy, messages), timed(floor, policy, messages)) for _ in range(5)), strict=True
    )
    return min(judged), min(bare)


def timed(work: Any, policy: Policy, messages: list[Message]) -> float:
    """Processor seconds."""
    begun = time.process_time()
    work(policy, messages)
    return time.process_time() - begun


def judge(policy: Policy, messages: list[Message]) -> None:
    """What the product does."""
    for each in messages:
        verdicts = decide(policy, each, FACTS)
        assert [(verdict.action, verdict.rule) for verdict in verdicts] == [(Action.REDIRECT, "last")] * FILES
        assert verdicts[0].because == "extension pdf, direction incoming external"


def floor(policy: Policy, messages: list[Message]) -> None:
    """Two comparisons for each rule and file, and a search for each pattern."""
    patterns = [re2.compile(rf"(?i)\b(contract|order) no\. {number}\b") for number in range(TEXTS)]
    for each in messages:
        text = each.body.content.encode() if each.body else b""
        for pattern in patterns:
            assert pattern.search(text) is None
        for file in each.files:
            for number in range(RULES):
                if file.size == number or each.sender == file.name:
                    raise AssertionError
