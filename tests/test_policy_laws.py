"""What holds for every policy and every message, however odd."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.filetype import TrueType
from connector.model import Action, Body, Content, Direction, File, FileKind, Message, SharedFile, Verdict
from connector.policy import Facts, Hold, Pilot, Policy, Rule, decide
from connector.policy.patterns import shown

#: A policy with all that may be asked takes its time to be made up, the more so on a machine with much else to do.
LAW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
TEXT = st.text(max_size=12)
NAMES = st.sampled_from(["a.pdf", "a.PDF", "winmail.dat", "smime.p7m", "x.exe", "", ".", "a\0b", "\ud800"]) | TEXT
TYPES = st.sampled_from(["", "application/pdf", "image/png", "text/calendar", "multipart/signed", ";"]) | TEXT
CLASSES = st.sampled_from(["IPM.Note", "IPM.Note.SMIME", "REPORT.IPM.Note.NDR", "IPM.Schedule.Meeting.Request", ""])
ADDRESSES = st.sampled_from(["anna@example.org", "b@sub.example.org", "@", ""]) | TEXT
MOMENTS = st.datetimes() | st.datetimes(timezones=st.just(UTC))
AGES = st.sampled_from([0, "1h", "30d", "3000d", "36500d"])

BODIES = st.builds(Body, TEXT | st.sampled_from(["<p>a<b>secret</b>", "<!-- "]), html=st.booleans())
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
ORDINARY = {
    "id": TEXT,
    "version": TEXT,
    "folder": TEXT | st.sampled_from(["Inbox", "General/x"]),
    "sender": ADDRESSES,
    "recipients": st.lists(ADDRESSES, max_size=3).map(tuple),
    "received": st.none() | MOMENTS,
}
MESSAGES = st.builds(
    Message,
    internet_message_id=TEXT,
    subject=TEXT | st.just("Plan"),
    direction=st.sampled_from(Direction),
    message_class=st.just("IPM.Note") | CLASSES | TEXT,
    sensitivity=st.just("normal") | TEXT,
    draft=st.booleans(),
    read=st.none() | st.booleans(),
    categories=st.lists(TEXT | st.just("Red"), max_size=2).map(tuple),
    label=TEXT,
    retention_tag=st.just("") | TEXT,
    size=st.integers(),
    headers=st.dictionaries(st.sampled_from(["content-type", "content-class", "x-ms-journal-report", "X-Spam"]), TYPES),
    files=st.lists(FILES, max_size=3).map(tuple),
    body=st.none() | BODIES,
    **ORDINARY,
)
SHARED = st.builds(SharedFile, files=st.lists(FILES, max_size=1).map(tuple), busy=st.booleans(), **ORDINARY)
ITEMS = MESSAGES | SHARED
LEAVES = {
    "size_over": st.sampled_from([0, "1 kB"]),
    "size_under": st.sampled_from(["1 MB"]),
    "name": st.sampled_from(["*", "*.pdf", "[", "[!", "**?*a*"]) | st.text(min_size=1, max_size=8),
    "extension": st.just("pdf"),
    "true_type": st.sampled_from(TrueType).map(str),
    "disguised": st.booleans(),
    "encrypted": st.booleans(),
    "macros": st.booleans(),
    "infected": st.booleans(),
    "kind": st.sampled_from(["file", "message"]),
    "mailbox": st.just("example.org"),
    "group": st.just("it"),
    "sender": st.sampled_from(["example.org", ["anna@example.org", "example.com"]]),
    "recipient": st.just("example.org"),
    "recipients": st.sampled_from(["any external", "all external", "none external"]),
    "recipients_over": st.just(1),
    "direction": st.sampled_from(Direction).map(str),
    "message_over": st.just("1 kB"),
    "message_under": st.just("1 MB"),
    "label": st.just("a"),
    "header": st.sampled_from(["X-Spam: .", "content-type: (a|b)*c"]),
    "subject": st.sampled_from(["(a+)+$", "plan", "\\pL"]),
    "body": st.sampled_from(["(a*)*b", "secret"]),
    "folder": st.just("Inbox"),
    "younger_than": AGES,
    "older_than": AGES,
    "read": st.booleans(),
    "category": st.just("Red"),
    "team": st.just("*"),
    "channel": st.just("G*"),
    "chat": st.just("*"),
}
#: Each with a few of all that may be asked, so that some hold.
SOME_LEAVES = st.lists(st.sampled_from(sorted(LEAVES)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: LEAVES[name] for name in names})
)
GROUPS = st.lists(SOME_LEAVES.filter(bool), min_size=1, max_size=2)
CONDITIONS = st.builds(
    lambda leaves, groups: leaves | groups,
    SOME_LEAVES,
    st.fixed_dictionaries({}, optional={"any": GROUPS, "all": GROUPS}),
)


def makes_sense(rule: dict[str, Any]) -> bool:
    """Whether it is a rule that could be written."""
    try:
        Rule.model_validate({"name": "it", **rule})
    except ValidationError:
        return False
    return True


RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(Action).map(str), "irreversible": st.just(True)},
    optional={"when": CONDITIONS, "unless": CONDITIONS, "mode": st.sampled_from(["monitor", "enforce"])},
).filter(makes_sense)
CONTENTS = st.builds(
    Content,
    head=st.binary(max_size=40),
    encrypted=st.none() | st.booleans(),
    macros=st.none() | st.booleans(),
    infected=st.none() | st.booleans(),
)
FACTS = st.builds(
    Facts,
    now=st.datetimes(max_value=datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants it so
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
    ours=st.booleans(),
    mailbox=ADDRESSES | st.sampled_from(["Planning", "Planning/Secret", "anna@example.org/chats", "/"]),
    groups=st.frozensets(st.sampled_from(["it", "planning"])),
    domains=st.just(()) | st.just(("example.org",)),
    holds=st.frozensets(st.sampled_from(Hold)),
    unmapped=st.booleans(),
    contents=st.dictionaries(TEXT, CONTENTS),
    body=st.none() | BODIES,
)
EXCLUDED = {
    "mailboxes": ["example.org", "group:IT"],
    "hold": ["litigation", "retention", "record"],
    "identity": "unmapped",
    "folders": "Inbox",
}
EXCLUSIONS = st.sets(st.sampled_from(sorted(EXCLUDED))).map(lambda names: {name: EXCLUDED[name] for name in names})


def named(rules: list[dict[str, Any]], **more: Any) -> Policy:
    """A policy of these rules, each with a name of its own."""
    return Policy.model_validate({"rules": [{"name": f"rule {n}", **rule} for n, rule in enumerate(rules)], **more})


def known(item: Message | SharedFile, facts: Facts) -> Facts:
    """The facts once all was fetched that a policy can need."""
    contents = {file.id: Content(head=b"%PDF-1.7") for file in item.files}
    return replace(facts, contents=contents | dict(facts.contents), body=facts.body or Body("secret", html=False))


SOME_RULES = st.lists(RULES, max_size=4)
POLICIES = st.builds(lambda rules, exclude: named(rules, exclude=exclude), SOME_RULES, EXCLUSIONS)


@LAW
@given(POLICIES, ITEMS, FACTS)
def test_decide_is_total(policy: Policy, message: Message | SharedFile, facts: Facts) -> None:
    """Every message gets one verdict for each of its files, in their order, whatever it says."""
    verdicts = decide(policy, message, facts)
    assert tuple(each.file for each in verdicts) == message.files
    assert all(each.because for each in verdicts)


@LAW
@given(SOME_RULES, ITEMS, FACTS)
def test_the_same_input_gives_the_same_verdict(
    rules: list[dict[str, Any]], message: Message | SharedFile, facts: Facts
) -> None:
    """Nothing is remembered from one question to the next, and nobody looks at a clock."""
    policy = named(rules)
    first = decide(policy, message, facts)
    decide(policy, replace(message, sender=f"x{message.sender}"), facts)
    assert first == decide(policy, message, facts) == decide(named(rules), replace(message), replace(facts))


@LAW
@given(SOME_RULES, RULES, ITEMS, FACTS)
def test_a_rule_added_below_changes_no_file_that_matched_above(
    rules: list[dict[str, Any]], added: dict[str, Any], message: Message, facts: Facts
) -> None:
    """First match wins; only what no rule matched may become another verdict."""
    before, after = (decide(named(each), message, facts) for each in (rules, [*rules, added]))
    for old, new in zip(before, after, strict=True):
        assert old.rule == "" or replace(old, look_again=None) == replace(new, look_again=None)


@LAW
@given(SOME_RULES.map(named), SOME_RULES.map(named), ITEMS, FACTS)
def test_guards_always_win(policy: Policy, other: Policy, message: Message | SharedFile, facts: Facts) -> None:
    """What a guard keeps is kept under every policy, and what none keeps is in the hands of the rules."""
    for one, two in zip(decide(policy, message, facts), decide(other, message, facts), strict=True):
        assert _guarded(one) == _guarded(two)
        if _guarded(one):
            assert (one.action, one) == (Action.KEEP, two)


def _guarded(verdict: Verdict) -> bool:
    """By a guard that is asked before everything else: those of files that no rule names come last."""
    return verdict.rule.startswith("guard:") and verdict.rule not in {"guard:nested", "guard:tnef"}


@LAW
@given(SOME_RULES, EXCLUSIONS, ITEMS, FACTS)
def test_exclusions_always_win(
    rules: list[dict[str, Any]], exclude: dict[str, Any], message: Message | SharedFile, facts: Facts
) -> None:
    """What is excluded is kept whatever the rules say, and what is not is judged as if nothing were."""
    everything = [{"action": "redirect", "irreversible": True}]
    with_rules, without = decide(named(rules, exclude=exclude), message, facts), decide(named(rules), message, facts)
    other = decide(named(everything, exclude=exclude), message, facts)
    for one, two, free in zip(with_rules, other, without, strict=True):
        if one.rule.startswith("exclude:"):
            assert (one.action, one) == (Action.KEEP, two)
        else:
            assert one == free


@LAW
@given(SOME_RULES, ITEMS, FACTS)
def test_monitor_never_acts(rules: list[dict[str, Any]], message: Message | SharedFile, facts: Facts) -> None:
    """What becomes of a file is what becomes of it without the rules on trial; they only tell."""
    facts = known(message, facts)
    enforced = [{**rule, "when": rule.get("when", {})} for rule in rules if rule.get("mode") != "monitor"]
    for with_trials, without in zip(
        decide(named(rules), message, facts), decide(named(enforced), message, facts), strict=True
    ):
        assert (with_trials.action, with_trials.because) == (without.action, without.because)
        assert not without.would


@LAW
@given(st.lists(RULES, min_size=1, max_size=4), ITEMS, FACTS)
def test_all_rules_on_trial_do_nothing(
    rules: list[dict[str, Any]], message: Message | SharedFile, facts: Facts
) -> None:
    """A policy that only monitors keeps every file."""
    on_trial = named([{**rule, "mode": "monitor"} for rule in rules])
    assert all(each.action is Action.KEEP for each in decide(on_trial, message, facts))


@LAW
@given(st.text(max_size=30), st.floats(0, 100), st.floats(0, 100))
def test_whoever_is_in_the_pilot_stays_in_as_it_grows(key: str, some: float, more: float) -> None:
    """By the key of the mailbox: it is the same today and tomorrow."""
    few, many = (Pilot(percent=each) for each in sorted((some, more)))
    assert not few.covers(lambda: key, ()) or many.covers(lambda: key, ())
    assert Pilot(percent=100).covers(lambda: key, ())
    assert not Pilot(percent=0).covers(lambda: key, ())


@LAW
@given(st.lists(RULES, max_size=4), ITEMS, FACTS)
def test_what_hides_a_rule_leaves_it_nothing(
    rules: list[dict[str, Any]], message: Message | SharedFile, facts: Facts
) -> None:
    """A rule that is said to be never reached decides about no file, whatever the file is."""
    policy = named(rules)
    hidden = {
        below.name
        for number, below in enumerate(policy.rules)
        if any(above.hides(below) for above in policy.rules[:number])
    }
    assert not hidden & {each.rule for each in decide(policy, message, known(message, facts))}


@LAW
@given(POLICIES, ITEMS, FACTS)
def test_content_given_is_content_decided(policy: Policy, message: Message | SharedFile, facts: Facts) -> None:
    """Asked again with the first bytes, no verdict asks for them a second time."""
    assert not any(each.needs for each in decide(policy, message, known(message, facts)))


@LAW
@given(POLICIES, ITEMS, FACTS)
def test_until_it_is_looked_at_again_the_verdict_stands(
    policy: Policy, message: Message | SharedFile, facts: Facts
) -> None:
    """Nothing is missed between now and `look_again`, and nothing is asked for in vain."""
    for number, verdict in enumerate(decide(policy, message, facts)):
        if verdict.look_again and verdict.rule != "guard:in-use":  # Somebody may go on working on it.
            moments = (verdict.look_again - timedelta(microseconds=1), verdict.look_again)
            before, then = (decide(policy, message, replace(facts, now=each))[number] for each in moments)
            assert (before.action, before.rule) == (verdict.action, verdict.rule)
            assert (then.action, then.rule, then.needs) != (verdict.action, verdict.rule, verdict.needs)


def test_no_name_is_slow() -> None:
    """A long name against a pattern full of stars ends at once, where a naive matcher would take for ever."""
    rules = named([{"action": "redirect", "when": {"name": "*a*a*a*a*a*a*a*a*a*a*b"}}])
    message = Message(
        id="m", version="v", internet_message_id="", folder="", subject="", sender="", recipients=(),
        received=None, direction=Direction.INTERNAL, files=(File(id="f", name="a" * 20_000, size=1),),
    )  # fmt: skip
    facts = Facts(now=datetime(2026, 1, 1, tzinfo=UTC), since=None, ours=False)
    assert decide(rules, message, facts)[0].action is Action.KEEP


def test_no_number_is_too_long() -> None:
    """Python reads none of more than 4300 digits; who writes one in a text hides nothing from a rule."""
    assert b"\xef\xbf\xbd secret" in shown(Body(f"<p>&#{'1' * 5000}; secret", html=True))
