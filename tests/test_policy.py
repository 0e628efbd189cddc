"""What a policy means, as a table: a rule, a message, the verdict. Each condition with a hit and a near miss."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.config.yamlfile import read
from connector.filetype import TrueType
from connector.model import Action, Audience, Content, Direction, File, LinkTerms, Message, Need, SharedFile
from connector.policy import Conditions, Facts, Policy, decide
from connector.policy.sketch import Sketch

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
MB = 1024 * 1024
FILE = File(id="f1", name="Plan.pdf", size=5 * MB, content_type="application/pdf")
MESSAGE = Message(
    id="m1",
    version="v1",
    internet_message_id="<m1@example.org>",
    folder="Inbox/Projects",
    subject="Plan",
    sender="Anna@Example.org",
    recipients=("bob@mail.example.org", "carol@example.net"),
    received=NOW - timedelta(days=10),
    direction=Direction.INCOMING,
    files=(FILE,),
)
FACTS = Facts(now=NOW, since=None, ours=False)

PDF = b"%PDF-1.7\n"
PROGRAM = b"MZ\x90\0\x03\0\0\0" + bytes(120)


def policy(*rules: Mapping[str, Any], **more: Any) -> Policy:
    """A policy as a tenant writes it."""
    return Policy.model_validate({"rules": rules, **more})


def redirects_when(**conditions: Any) -> Policy:
    """One rule that redirects under these conditions."""
    return policy({"name": "it", "when": conditions, "action": "redirect"})


HIT, MISS = Action.REDIRECT, Action.KEEP

_WRITTEN = read(Path(__file__).parent / "policy_examples.yaml").values["examples"]
#: The conditions, a message in a few words, and what becomes of its file.
EXAMPLES = [(each["when"], Sketch.model_validate(each["message"]), Action(each["verdict"])) for each in _WRITTEN]
DOMAINS = ("example.org",)


@pytest.mark.parametrize(("when", "sketch", "expected"), EXAMPLES, ids=[str(each["when"]) for each in _WRITTEN])
def test_each_condition_means_what_it_says(when: dict[str, Any], sketch: Sketch, expected: Action) -> None:
    """A condition holds for its hit, and not for what only looks like one."""
    rule = {"name": "it", "when": when, "action": "redirect", "irreversible": True}
    (verdict,) = decide(policy(rule), sketch.item, sketch.facts(DOMAINS))
    assert verdict.action is expected
    assert not verdict.needs


#: Of these nobody can tell whether they hold, so neither they nor their opposites do.
UNKNOWN = [row for row in EXAMPLES if None in (row[1].encrypted, row[1].infected)]
KNOWN = [row for row in EXAMPLES if row not in UNKNOWN]


@pytest.mark.parametrize(("when", "sketch", "expected"), KNOWN)
def test_an_exception_is_the_opposite_of_its_condition(when: dict[str, Any], sketch: Sketch, expected: Action) -> None:
    """`unless` skips the rule exactly where the same words in `when` would let it match."""
    rule = {"name": "it", "unless": {"all": [when]}, "action": "redirect", "irreversible": True}
    (verdict,) = decide(policy(rule), sketch.item, sketch.facts(DOMAINS))
    assert (verdict.action is MISS) == (expected is not MISS)


def test_every_condition_has_a_hit_and_a_near_miss() -> None:
    """The examples and the language name the same conditions."""
    for name in Conditions.model_fields:
        verdicts = {expected is not MISS for when, _, expected in EXAMPLES if name in when}
        assert verdicts == {True, False}, name


#: Rules by their words, and the rule that decides about the file of MESSAGE.
ORDERS: tuple[tuple[str, tuple[dict[str, Any], ...], str, Action], ...] = (
    ("no rules", (), "", Action.KEEP),
    ("a rule without conditions", ({"name": "all", "action": "copy"},), "all", Action.COPY),
    (
        "the first match wins",
        ({"name": "first", "action": "hold"}, {"name": "second", "action": "redirect"}),
        "first",
        Action.HOLD,
    ),
    (
        "what does not match is passed over",
        ({"name": "zips", "when": {"extension": "zip"}, "action": "hold"}, {"name": "rest", "action": "redirect"}),
        "rest",
        Action.REDIRECT,
    ),
    (
        "a keep rule shields from those below",
        ({"name": "pdf", "when": {"extension": "pdf"}, "action": "keep"}, {"name": "rest", "action": "redirect"}),
        "pdf",
        Action.KEEP,
    ),
    (
        "all conditions of when must hold",
        ({"name": "both", "when": {"extension": "pdf", "size_over": "9 MB"}, "action": "redirect"},),
        "",
        Action.KEEP,
    ),
    (
        "all conditions of when do hold",
        ({"name": "both", "when": {"extension": "pdf", "size_over": "4 MB"}, "action": "redirect"},),
        "both",
        Action.REDIRECT,
    ),
    (
        "one exception of several is enough",
        ({"name": "it", "unless": {"sender": "example.org", "folder": "Privat"}, "action": "redirect"},),
        "",
        Action.KEEP,
    ),
    (
        "no exception holds",
        ({"name": "it", "unless": {"sender": "example.com", "folder": "Privat"}, "action": "redirect"},),
        "it",
        Action.REDIRECT,
    ),
    (
        "an exception beats its when",
        ({"name": "it", "when": {"extension": "pdf"}, "unless": {"name": "plan*"}, "action": "redirect"},),
        "",
        Action.KEEP,
    ),
    ("empty groups ask nothing", ({"name": "it", "when": {}, "unless": {}, "action": "copy"},), "it", Action.COPY),
)


@pytest.mark.parametrize(("rules", "rule", "action"), [row[1:] for row in ORDERS], ids=[row[0] for row in ORDERS])
def test_rules_are_asked_from_the_top(rules: tuple[dict[str, Any], ...], rule: str, action: Action) -> None:
    """The verdict names the first rule that matches, and does what that rule says."""
    (verdict,) = decide(policy(*rules), MESSAGE, FACTS)
    assert (verdict.rule, verdict.action) == (rule, action)


def test_each_file_has_its_own_verdict() -> None:
    """Files of one message are judged one by one, and answered in their order."""
    files = (replace(FILE, id="small", size=1), FILE, replace(FILE, id="zip", name="a.zip"))
    rules = policy(
        {"name": "zips", "when": {"extension": "zip"}, "action": "hold"},
        {"name": "large", "when": {"size_over": "1 MB"}, "action": "redirect"},
    )
    verdicts = decide(rules, replace(MESSAGE, files=files), FACTS)
    assert [(each.file.id, each.rule) for each in verdicts] == [("small", ""), ("f1", "large"), ("zip", "zips")]


def test_a_verdict_says_why_in_the_words_of_the_policy() -> None:
    """Each condition is named with the one value that held; nothing of the message is told."""
    rules = redirects_when(
        size_over="1 MB", size_under="1536 kB", name=["*.doc", "*"], sender=["example.com", "example.org"],
        direction="incoming external", older_than="36h",
    )  # fmt: skip
    (verdict,) = decide(rules, replace(MESSAGE, files=(replace(FILE, size=MB + 1),)), FACTS)
    assert verdict.because == (
        "size over 1 MB, size under 1536 kB, name *, sender example.org, direction incoming external, older than 36 h"
    )
    assert (
        decide(redirects_when(size_over=0, older_than=0), MESSAGE, FACTS)[0].because == "size over 0 B, older than 0 s"
    )
    assert decide(policy({"name": "all", "action": "copy"}), MESSAGE, FACTS)[0].because == "the rule has no conditions"
    assert decide(policy(), MESSAGE, FACTS)[0].because == "no rule matches"


def test_a_rule_brings_its_own_settle_and_terms() -> None:
    """What a rule leaves out comes from the defaults; 0 is an answer, not an omission."""
    rules = policy(
        {"name": "pdf", "when": {"extension": "pdf"}, "action": "redirect"},
        {
            "name": "rest",
            "action": "redirect",
            "settle": 0,
            "link": {"audience": "anyone", "expires": "30d", "password": True, "downloads": 3},
            "tags": "no-ai",
        },
        defaults={"settle": "2d"},
    )
    files = (FILE, replace(FILE, id="zip", name="a.zip"))
    pdf, rest = decide(rules, replace(MESSAGE, files=files), FACTS)
    assert (pdf.settle, pdf.terms) == (timedelta(days=2), LinkTerms())
    assert (pdf.tags, rest.tags) == ((), ("no-ai",))
    assert (rest.settle, rest.terms) == (
        timedelta(0),
        LinkTerms(Audience.ANYONE, timedelta(days=30), password=True, downloads=3),
    )


def test_settle_is_a_day_where_nobody_says_otherwise() -> None:
    """Originals stay a day after the copy, so that the backup of the store has the file too."""
    assert decide(redirects_when(), MESSAGE, FACTS)[0].settle == timedelta(hours=24)


def test_a_true_type_asks_for_content_and_then_decides() -> None:
    """Without the first bytes the file is kept and the verdict asks for them; with them it is final."""
    rules = redirects_when(true_type="executable")
    (verdict,) = decide(rules, MESSAGE, FACTS)
    assert (verdict.action, verdict.rule, verdict.needs) == (Action.KEEP, "", frozenset({Need.HEAD}))
    for head, expected in ((PROGRAM, Action.REDIRECT), (PDF, Action.KEEP)):
        (verdict,) = decide(rules, MESSAGE, replace(FACTS, contents={"f1": Content(head=head)}))
        assert (verdict.action, verdict.needs) == (expected, frozenset())
    assert decide(rules, MESSAGE, replace(FACTS, contents={"other": Content(head=PDF)}))[0].needs


#: Rules of which one asks for the true type of a PDF; whether the answer can be given without its content.
WITHOUT_CONTENT: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("another condition says no", {"when": {"true_type": "pdf", "extension": "zip"}}, True),
    ("an exception says no", {"when": {"true_type": "pdf"}, "unless": {"extension": "pdf"}}, True),
    ("the others say yes", {"when": {"true_type": "pdf", "extension": "pdf"}}, False),
    ("the exception asks", {"when": {"extension": "pdf"}, "unless": {"true_type": ["pdf", "image"]}}, False),
    ("the exception need not be asked", {"when": {"extension": "zip"}, "unless": {"true_type": "pdf"}}, True),
)


@pytest.mark.parametrize(
    ("rule", "known"), [row[1:] for row in WITHOUT_CONTENT], ids=[row[0] for row in WITHOUT_CONTENT]
)
def test_content_is_asked_for_only_where_it_decides(rule: dict[str, Any], *, known: bool) -> None:
    """Nothing is fetched for a rule that cannot match anyway."""
    rules = policy({"name": "it", "action": "redirect", **rule})
    assert bool(decide(rules, MESSAGE, FACTS)[0].needs) is not known


def test_an_exception_by_content_is_honoured() -> None:
    """A rule that spares programs spares one that is called a PDF."""
    rules = policy({"name": "it", "unless": {"true_type": TrueType.EXECUTABLE}, "action": "redirect"})
    kept, redirected = (
        decide(rules, MESSAGE, replace(FACTS, contents={"f1": Content(head=head)}))[0] for head in (PROGRAM, PDF)
    )
    assert (kept.action, redirected.action) == (Action.KEEP, Action.REDIRECT)


def test_a_rule_above_that_matches_spares_the_content() -> None:
    """A file that a rule higher up decides about is not opened for one below."""
    rules = policy(
        {"name": "pdf", "when": {"extension": "pdf"}, "action": "keep"},
        {"name": "bad", "when": {"true_type": "executable"}, "action": "hold"},
    )
    assert not decide(rules, MESSAGE, FACTS)[0].needs


RECEIVED = NOW - timedelta(days=10)

#: Rules, and after how many days of the message's life the verdict is another one; None: never.
TURNS: tuple[tuple[str, tuple[dict[str, Any], ...], int | None], ...] = (
    ("grows old", ({"name": "old", "when": {"older_than": "30d"}, "action": "redirect"},), 30),
    ("already old", ({"name": "old", "when": {"older_than": "10d"}, "action": "redirect"},), None),
    ("kept while young", ({"name": "it", "unless": {"younger_than": "20d"}, "action": "redirect"},), 20),
    ("redirected is for ever", ({"name": "young", "when": {"younger_than": "30d"}, "action": "redirect"},), None),
    (
        "copied first, redirected later",
        (
            {"name": "young", "when": {"younger_than": "30d"}, "action": "copy"},
            {"name": "old", "action": "redirect"},
        ),
        30,
    ),
    (
        "another condition never holds",
        ({"name": "old", "when": {"older_than": "30d", "extension": "zip"}, "action": "redirect"},),
        None,
    ),
    (
        "the nearest of several",
        (
            {"name": "very old", "when": {"older_than": "90d"}, "action": "hold"},
            {"name": "old", "when": {"older_than": "60d"}, "action": "redirect"},
            {"name": "zip", "when": {"older_than": "30d", "extension": "zip"}, "action": "redirect"},
        ),
        60,
    ),
    (
        "will need its content",
        ({"name": "old", "when": {"older_than": "30d", "true_type": "pdf"}, "action": "redirect"},),
        30,
    ),
    ("needs its content now", ({"name": "now", "when": {"true_type": "pdf"}, "action": "redirect"},), None),
)


@pytest.mark.parametrize(("rules", "days"), [row[1:] for row in TURNS], ids=[row[0] for row in TURNS])
def test_a_verdict_tells_when_it_will_be_another(rules: tuple[dict[str, Any], ...], days: int | None) -> None:
    """Just before that time the answer stands, at that time it is another; never later, never earlier."""
    (verdict,) = decide(policy(*rules), MESSAGE, FACTS)
    assert verdict.look_again == (None if days is None else RECEIVED + timedelta(days=days))
    if verdict.look_again:
        just_before = replace(FACTS, now=verdict.look_again - timedelta(microseconds=1))
        (before,), (then,) = (
            decide(policy(*rules), MESSAGE, facts) for facts in (just_before, replace(FACTS, now=verdict.look_again))
        )
        assert (before.action, before.rule) == (verdict.action, verdict.rule)
        assert (then.action, then.rule, then.needs) != (verdict.action, verdict.rule, verdict.needs)


def test_a_message_of_unknown_age_is_not_looked_at_again() -> None:
    """Without a received time no age condition will ever hold."""
    rules = redirects_when(older_than="30d")
    assert decide(rules, replace(MESSAGE, received=None), FACTS)[0].look_again is None


def test_a_time_that_the_calendar_does_not_have_is_not_reached() -> None:
    """A received time at the end of all calendars breaks nothing."""
    rules = redirects_when(older_than="30d")
    for received in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        for asked in (received, received.replace(tzinfo=None)):
            (verdict,) = decide(rules, replace(MESSAGE, received=asked), FACTS)
            assert verdict.look_again is None


@pytest.mark.parametrize(
    ("told", "true", "rule", "verdict"),
    [
        (5 * MB + 1, None, {}, Action.KEEP),
        (5 * MB, None, {}, Action.REDIRECT),
        (5 * MB + 1, None, {"irreversible": True}, Action.REDIRECT),
        (5 * MB + 1, None, {"action": "copy"}, Action.COPY),
        (5 * MB + 1, None, {"action": "hold"}, Action.HOLD),
        (5 * MB - 1, 5 * MB + 1, {}, Action.KEEP),
        (5 * MB + 1, 5 * MB - 1, {}, Action.REDIRECT),
    ],
)
def test_what_cannot_be_put_back_is_kept(told: int, true: int | None, rule: dict[str, Any], verdict: Action) -> None:
    """Unless the rule says that it may go for ever. The true size counts, as soon as it is known."""
    message = replace(MESSAGE, files=(replace(FILE, size=told),))
    facts = replace(FACTS, returnable=5 * MB, sizes={} if true is None else {FILE.id: true})
    (found,) = decide(policy({"name": "it", "action": "redirect"} | rule), message, facts)
    assert (found.action, found.rule) == (verdict, "it")
    assert ("too large to be put back" in found.because) == (verdict is Action.KEEP)


def test_a_shared_file_has_no_text_to_look_through() -> None:
    """A condition on a body never holds for it, and nothing is fetched."""
    rules = [
        {"name": "in it", "when": {"body": "x"}, "action": "copy"},
        {"name": "not in it", "unless": {"body": "x"}, "action": "copy"},
    ]
    day = datetime(2026, 1, 1, tzinfo=UTC)
    file = File(id="1", name="a.pdf", size=3)
    item = SharedFile(id="1", version="1", folder="General", sender="", received=day, files=(file,))
    facts = Facts(now=day + timedelta(days=9), since=None, ours=False, pointers=False)
    (verdict,) = decide(Policy.model_validate({"rules": rules}), item, facts)
    assert (verdict.rule, verdict.needs) == ("not in it", frozenset())
