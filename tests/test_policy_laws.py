"""What holds for every policy and every message, however odd."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.filetype import TrueType
from connector.model import Action, Content, Direction, File, FileKind, Message
from connector.policy import Facts, Policy, decide

TEXT = st.text(max_size=12)
NAMES = st.sampled_from(["a.pdf", "a.PDF", "winmail.dat", "smime.p7m", "x.exe", "", ".", "a\0b", "\ud800"]) | TEXT
TYPES = st.sampled_from(["", "application/pdf", "image/png", "text/calendar", "multipart/signed", ";"]) | TEXT
CLASSES = st.sampled_from(["IPM.Note", "IPM.Note.SMIME", "REPORT.IPM.Note.NDR", "IPM.Schedule.Meeting.Request", ""])
ADDRESSES = st.sampled_from(["anna@example.org", "b@sub.example.org", "@", ""]) | TEXT
MOMENTS = st.datetimes() | st.datetimes(timezones=st.just(UTC))
AGES = st.sampled_from([0, "1h", "30d", "3000d", "36500d"])

FILES = st.builds(
    File,
    id=TEXT,
    name=NAMES,
    size=st.integers(),
    content_type=TYPES,
    kind=st.sampled_from(FileKind),
    inline=st.booleans(),
    content_id=TEXT,
)
MESSAGES = st.builds(
    Message,
    id=TEXT,
    version=TEXT,
    internet_message_id=TEXT,
    folder=TEXT,
    subject=TEXT,
    sender=ADDRESSES,
    recipients=st.lists(ADDRESSES, max_size=3).map(tuple),
    received=st.none() | MOMENTS,
    direction=st.sampled_from(Direction),
    message_class=st.just("IPM.Note") | CLASSES | TEXT,
    sensitivity=st.just("normal") | TEXT,
    draft=st.booleans(),
    headers=st.dictionaries(st.sampled_from(["content-type", "content-class", "x-ms-journal-report"]), TYPES),
    files=st.lists(FILES, max_size=3).map(tuple),
)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "size_over": st.sampled_from([0, "1 kB"]),
        "name": st.sampled_from(["*", "*.pdf", "[", "[!", "**?*a*"]) | st.text(min_size=1, max_size=8),
        "extension": st.just("pdf"),
        "true_type": st.sampled_from(TrueType).map(str),
        "sender": st.sampled_from(["example.org", ["anna@example.org", "example.com"]]),
        "recipient": st.just("example.org"),
        "direction": st.sampled_from(Direction).map(str),
        "folder": st.just("Inbox"),
        "younger_than": AGES,
        "older_than": AGES,
    },
)
RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(Action).map(str)}, optional={"when": CONDITIONS, "unless": CONDITIONS}
)
FACTS = st.builds(
    Facts,
    now=st.datetimes(timezones=st.just(UTC)),
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
    ours=st.booleans(),
    contents=st.dictionaries(TEXT, st.builds(Content, head=st.binary(max_size=40))),
)


def named(rules: list[dict[str, Any]]) -> Policy:
    """A policy of these rules, each with a name of its own."""
    return Policy.model_validate({"rules": [{"name": f"rule {n}", **rule} for n, rule in enumerate(rules)]})


SOME_RULES = st.lists(RULES, max_size=4)
POLICIES = SOME_RULES.map(named)


@given(POLICIES, MESSAGES, FACTS)
def test_decide_is_total(policy: Policy, message: Message, facts: Facts) -> None:
    """Every message gets one verdict for each of its files, in their order, whatever it says."""
    verdicts = decide(policy, message, facts)
    assert tuple(each.file for each in verdicts) == message.files
    assert all(each.because for each in verdicts)


@given(SOME_RULES, MESSAGES, FACTS)
def test_the_same_input_gives_the_same_verdict(rules: list[dict[str, Any]], message: Message, facts: Facts) -> None:
    """Nothing is remembered from one question to the next, and nobody looks at a clock."""
    policy = named(rules)
    first = decide(policy, message, facts)
    decide(policy, replace(message, draft=not message.draft), facts)
    assert first == decide(policy, message, facts) == decide(named(rules), replace(message), replace(facts))


@given(SOME_RULES, RULES, MESSAGES, FACTS)
def test_a_rule_added_below_changes_no_file_that_matched_above(
    rules: list[dict[str, Any]], added: dict[str, Any], message: Message, facts: Facts
) -> None:
    """First match wins; only what no rule matched may become another verdict."""
    before, after = (decide(named(each), message, facts) for each in (rules, [*rules, added]))
    for old, new in zip(before, after, strict=True):
        assert old.rule == "" or replace(old, look_again=None) == replace(new, look_again=None)


@given(POLICIES, POLICIES, MESSAGES, FACTS)
def test_guards_always_win(policy: Policy, other: Policy, message: Message, facts: Facts) -> None:
    """What a guard keeps is kept under every policy, and what none keeps is in the hands of the rules."""
    for one, two in zip(decide(policy, message, facts), decide(other, message, facts), strict=True):
        assert one.rule.startswith("guard:") == two.rule.startswith("guard:")
        if one.rule.startswith("guard:"):
            assert (one.action, one) == (Action.KEEP, two)


@given(POLICIES, MESSAGES, FACTS)
def test_content_given_is_content_decided(policy: Policy, message: Message, facts: Facts) -> None:
    """Asked again with the first bytes, no verdict asks for them a second time."""
    contents = {file.id: Content(head=b"%PDF-1.7") for file in message.files}
    assert not any(each.needs for each in decide(policy, message, replace(facts, contents=contents)))


@given(POLICIES, MESSAGES, FACTS)
@settings(max_examples=200)
def test_until_it_is_looked_at_again_the_verdict_stands(policy: Policy, message: Message, facts: Facts) -> None:
    """Nothing is missed between now and `look_again`, and nothing is asked for in vain."""
    for number, verdict in enumerate(decide(policy, message, facts)):
        if verdict.look_again:
            moments = (verdict.look_again - timedelta(microseconds=1), verdict.look_again)
            before, then = (decide(policy, message, replace(facts, now=each))[number] for each in moments)
            assert (before.action, before.rule) == (verdict.action, verdict.rule)
            assert (then.action, then.rule) != (verdict.action, verdict.rule)


def test_no_name_is_slow() -> None:
    """A long name against a pattern full of stars ends at once, where a naive matcher would take for ever."""
    rules = named([{"action": "redirect", "when": {"name": "*a*a*a*a*a*a*a*a*a*a*b"}}])
    message = Message(
        id="m", version="v", internet_message_id="", folder="", subject="", sender="", recipients=(),
        received=None, direction=Direction.INTERNAL, files=(File(id="f", name="a" * 20_000, size=1),),
    )  # fmt: skip
    facts = Facts(now=datetime(2026, 1, 1, tzinfo=UTC), since=None, ours=False)
    assert decide(rules, message, facts)[0].action is Action.KEEP
