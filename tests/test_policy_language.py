"""What may be written in a policy, and what is said about what may not."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from connector.model import Action, Direction
from connector.policy import Conditions, Policy, Rule, all_reached
from connector.policy.values import Domain
from tests.test_policy import policy, redirects_when


def problems(**values: Any) -> list[tuple[str, str]]:
    """Where a policy is wrong, and what is said about it."""
    with pytest.raises(ValidationError) as caught:
        Policy.model_validate(values)
    return [
        (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in caught.value.errors()
    ]


def rule_problem(**rule: Any) -> tuple[str, str]:
    """The one problem of a policy with this one rule."""
    (problem,) = problems(rules=[{"name": "it", "action": "keep", **rule}])
    return problem[0].removeprefix("rules.0."), problem[1]


def test_an_administrators_first_policy_is_understood() -> None:
    """Units, lists, single values and defaults mean what they say."""
    rules = policy(
        {
            "name": "large-mail",
            "when": {"direction": ["incoming external", "internal"], "size_over": "10 MB"},
            "unless": {"sender": ["example.com", "anna@example.org"], "folder": ["Privat"]},
            "action": "redirect",
            "link": {"audience": "staff", "expires": "never"},
        },
        {"name": "rest", "action": "keep", "settle": "15 min"},
        defaults={"settle": "24h"},
    )
    large, rest = rules.rules
    assert large.when.direction == (Direction.INCOMING, Direction.INTERNAL)
    assert large.when.size_over == 10_485_760
    assert large.link.expires is None
    assert rules.defaults.settle == timedelta(hours=24)
    assert (rest.settle, rest.action) == (timedelta(minutes=15), Action.KEEP)


@pytest.mark.parametrize("action", ["redirect", "hold"])
def test_a_rule_for_attached_messages_says_that_they_do_not_return(action: str) -> None:
    """Exchange cannot attach them again as what they were: nobody is to learn that from a restore."""
    told = "an attached message cannot be attached again as what it was: add `irreversible: true`, or copy it"
    rule = {"when": {"kind": ["file", "message"]}, "action": action}
    assert rule_problem(**rule) == ("rules.0", told)
    assert policy({"name": "it", **rule, "irreversible": True}).rules
    assert policy({"name": "it", **rule, "action": "copy"}).rules


def test_a_policy_without_rules_is_a_policy() -> None:
    """It keeps everything."""
    assert Policy().rules == ()


SIZE = "a size is a number with its unit, such as 10 MB; units are B, kB, MB, GB"
DURATION = (
    "a duration is 0 or a number with its unit, such as 24h or 30d; units are s, min, h, d, months, y, the most is 100y"
)


@pytest.mark.parametrize(
    "value",
    [10, "10", "10 M", "10 000 kB", "-1 B", "1e3 B", "", True, False, 1.5, "1,5 MB", "9999999999999 B", [1], "٣ MB"],
)
def test_a_size_needs_its_unit(value: object) -> None:
    """10 of what? A guess could redirect every file."""
    assert rule_problem(when={"size_over": value}) == ("when.size_over", SIZE)


@pytest.mark.parametrize("value", [30, "30", "3 mo", "5m", "-1d", "d", True, {"days": 1}, "36501d", "99999999d"])
def test_a_duration_needs_its_unit(value: object) -> None:
    """`5m` may be minutes or months; it is not guessed."""
    assert rule_problem(when={"older_than": value}) == ("when.older_than", DURATION)
    assert rule_problem(settle=value) == ("settle", DURATION)


def test_a_link_does_not_end_at_once() -> None:
    """A link that nobody could open is refused."""
    sentence = "a link that ends at once opens nothing: give a duration such as 30d, or never"
    assert rule_problem(link={"expires": 0}) == ("link.expires", sentence)
    assert rule_problem(link={"expires": "soon"}) == ("link.expires", DURATION)


def test_how_long_things_are_kept_is_said_with_its_unit() -> None:
    """For ever, so long behind the message, or so long; and never for no time at all."""
    kept = {
        said: Rule.model_validate({"name": "it", "action": "copy", "retain": {"file": said}}).retain.file
        for said in ("for ever", "message + 30d", "message+12h", "2y")
    }
    assert [(each.span, each.after_message) for each in kept.values() if each] == [
        (None, False),
        (timedelta(days=30), True),
        (timedelta(hours=12), True),
        (timedelta(days=730), False),
    ]
    for wrong in ("soon", 30, "never", "message + 30", "messages + 30d"):
        place, told = rule_problem(retain={"file": wrong})
        assert place == "retain.file"
        assert told.startswith("say `for ever`, `message + 30d`, or a time such as 2y")
    for nothing in (0, "message", "message + 0d"):
        assert "that leaves no time" in rule_problem(retain={"file": nothing})[1]
    assert "an audit trail that is not kept proves nothing" in rule_problem(retain={"audit": 0})[1]


@pytest.mark.parametrize(
    "value", ["@example.org", "*.example.org", "anna", "anna@", "a b@example.org", "", "a@b@c.org"]
)
def test_people_are_named_by_address_or_domain(value: str) -> None:
    """A domain written as an address, or a pattern, matches nobody; it is refused."""
    where, said = rule_problem(when={"sender": ["example.org", value]})
    assert where == "when.sender.1"
    assert said == (
        f"{value!r} is neither an address, such as anna@example.org, nor a domain, such as example.org "
        "(which covers its subdomains; without @ or * before it)"
    )


@pytest.mark.parametrize("value", [".", "*.p?f", "a b", "p/f"])
def test_an_extension_is_no_pattern(value: str) -> None:
    """What belongs into `name` is sent there."""
    where, said = rule_problem(when={"extension": value})
    assert where == "when.extension.0"
    assert said == f"{value!r} is not an extension, such as pdf; use the condition `name` for patterns"


@pytest.mark.parametrize("value", ["/", " ", "//"])
def test_a_folder_has_a_name(value: str) -> None:
    """The root of a mailbox is no folder to be told from others."""
    assert rule_problem(when={"folder": value}) == ("when.folder.0", "name a folder, such as Inbox/Projects")


@pytest.mark.parametrize("value", [None, []])
@pytest.mark.parametrize("condition", ["size_over", "sender", "true_type", "older_than"])
def test_a_condition_with_nothing_behind_it_is_refused(condition: str, value: object) -> None:
    """It would ask nothing, and its rule would match every file."""
    said = "says nothing: give a value, or leave the condition out"
    assert rule_problem(when={condition: value}) == (f"when.{condition}", said)


@pytest.mark.parametrize(
    ("rule", "where", "word"),
    [
        ({"action": "delete"}, "action", "'redirect', 'copy', 'keep' or 'hold'"),
        ({"when": {"direction": "inbound"}}, "when.direction.0", "'incoming external', 'internal' or 'sent'"),
        ({"when": {"true_type": "exe"}}, "when.true_type.0", "'executable'"),
        ({"when": {"sizeover": "1 MB"}}, "when.sizeover", "not permitted"),
        ({"when": {"sender": 7}}, "when.sender.0", "string"),
        ({"when": {"name": ""}}, "when.name.0", "at least 1 character"),
        ({"name": ""}, "name", "at least 1 character"),
        ({"name": "guard:signed"}, "name", "taken by what no rule overrides"),
        ({"link": {"audience": "all"}}, "link.audience", "'store', 'owner', 'group', 'staff' or 'anyone'"),
        ({"link": {"audience": "anyone", "downloads": 0}}, "link.downloads", "greater than or equal to 1"),
        ({"link": {"expires": "30d"}}, "link", "only links for anyone end"),
        ({"tags": ["no-ai", " "]}, "tags.1", "is not the name of a tag, such as no-ai"),
        ({"tags": "no\nai"}, "tags.0", "is not the name of a tag, such as no-ai"),
        ({"link": {"audience": "staff", "password": True}}, "link", "only links for anyone end"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(rule: dict[str, Any], where: str, word: str) -> None:
    """The sentence names what would be right."""
    place, said = rule_problem(**rule)
    assert place == where
    assert word in said


#: Rules that make no sense, where that is told, and the words that tell it.
NONSENSE: tuple[tuple[dict[str, Any], str, str], ...] = (
    (
        {"when": {"size_over": "10 MB", "size_under": "1 MB"}},
        "rules.0",
        "`size_over` and `size_under` exclude each other",
    ),
    (
        {"when": {"size_over": "1 MB", "size_under": "1 MB"}},
        "rules.0",
        "`size_over` and `size_under` exclude each other",
    ),
    ({"when": {"message_over": "2 MB", "message_under": "1 MB"}}, "rules.0", "exclude each other"),
    (
        {"when": {"older_than": "30d", "younger_than": "30d"}},
        "rules.0",
        "`older_than` and `younger_than` exclude each other",
    ),
    ({"when": {"size_over": "10 MB", "all": [{"size_under": "1 MB"}]}}, "rules.0", "exclude each other"),
    ({"when": {"any": [{"size_over": "2 MB", "size_under": "1 MB"}, {"name": "a"}]}}, "rules.0", "exclude each other"),
    ({"unless": {"any": [{"size_over": "2 MB", "size_under": "1 MB"}]}}, "rules.0", "exclude each other"),
    ({"when": {"read": True, "all": [{"read": False}]}}, "rules.0", "`read` is said to be true and to be false"),
    ({"when": {"team": "*", "chat": "*"}}, "rules.0", "a file lies in one of them"),
    (
        {"when": {"team": "*", "direction": "internal"}},
        "rules.0",
        "`team` is asked of shared files, and `direction` of messages",
    ),
    (
        {"when": {"extension": "pdf"}, "unless": {"extension": ["zip", "pdf"]}},
        "rules.0",
        "its exception `extension` holds",
    ),
    (
        {"when": {"sender": "a@x.example.org"}, "unless": {"sender": "example.org"}},
        "rules.0",
        "its exception `sender` holds",
    ),
    ({"when": {"size_over": "9 MB"}, "unless": {"size_over": "1 MB"}}, "rules.0", "its exception `size_over` holds"),
    ({"unless": {"any": [{"extension": "pdf"}]}, "when": {"extension": "pdf"}}, "rules.0", "its exception `any` holds"),
    ({"when": {"any": []}}, "when.any", "says nothing"),
    ({"when": {"any": [{}]}}, "when.any", "an empty group holds always"),
    ({"when": {"any": [{"size_over": 5}]}}, "when.any.0.size_over", "a size is a number with its unit"),
    ({"when": {"direction": "outgoing external"}}, "when.direction.0", "only a hop in the mail flow could change it"),
    ({"when": {"subject": "(a"}}, "when.subject.0", "is no pattern that RE2 knows"),
    ({"when": {"subject": r"(a)\1"}}, "when.subject.0", "no backreferences"),
    ({"when": {"body": "(?=a)b"}}, "when.body.0", "no looking ahead"),
    ({"when": {"body": "((a{1000}){1000}){1000}"}}, "when.body.0", "is no pattern that RE2 knows"),
    ({"when": {"subject": "x" * 501}}, "when.subject.0", "a pattern has 1 to 500 characters"),
    ({"when": {"header": "X-Spam"}}, "when.header.0", "give the name of a header and a pattern"),
    ({"when": {"header": "X Spam: yes"}}, "when.header.0", "give the name of a header and a pattern"),
    ({"when": {"header": 7}}, "when.header.0", "give the name of a header and a pattern"),
    ({"when": {"recipients_over": 0}}, "when.recipients_over", "greater than or equal to 1"),
    ({"when": {"infected": "perhaps"}}, "when.infected", "boolean"),
    ({"action": "keep", "link": {"audience": "staff"}}, "rules.0", "`keep` shows no link, so nobody could open one"),
    ({"action": "copy", "link": {"audience": "anyone"}}, "rules.0", "`copy` shows no link, so nobody could open one"),
    (
        {"link": {"audience": "anyone", "expires": "90d"}, "retain": {"file": "30d"}},
        "rules.0",
        "the file would be deleted before its link ends",
    ),
    ({"name": "exclude:me"}, "name", "taken by what no rule overrides"),
    ({"mode": "dry"}, "mode", "'monitor' or 'enforce'"),
)


@pytest.mark.parametrize(("rule", "where", "word"), NONSENSE)
def test_what_makes_no_sense_is_refused(rule: dict[str, Any], where: str, word: str) -> None:
    """The sentence says what is wrong, and what would be right."""
    place, said = rule_problem(**rule)
    assert place == where
    assert word in said


@pytest.mark.parametrize("value", ["a@example.org", "@example.org", "*.example.org", "example"])
def test_the_domains_of_a_house_are_domains(value: str) -> None:
    """An address among them would make all of its house external."""
    with pytest.raises(ValidationError, match="is no domain, such as example"):
        TypeAdapter(Domain).validate_python(value)
    assert TypeAdapter(Domain).validate_python("Example.ORG") == "example.org"


def test_to_fail_closed_is_refused() -> None:
    """Mail was delivered before anybody here sees it."""
    assert Policy.model_validate({"defaults": {"fail": "open"}}).defaults.fail == "open"
    ((where, said),) = problems(defaults={"fail": "closed"})
    assert where == "defaults.fail"
    assert "mail has been delivered" in said


@pytest.mark.parametrize("value", ["group:", "group: ", "anna", "@example.org"])
def test_an_exclusion_names_somebody(value: str) -> None:
    """One that names nobody would exclude nobody, and nobody would notice."""
    ((where, said),) = problems(exclude={"mailboxes": [value]})
    assert where == "exclude.mailboxes.0"
    assert "name the group" in said or "neither an address" in said


#: A rule, one below it, and whether that one is ever reached.
X, Y = {"folder": "X"}, {"sender": "y.org"}
PAIRS: tuple[tuple[dict[str, Any], dict[str, Any], bool], ...] = (
    ({}, {}, False),
    ({}, {"when": {"extension": "pdf"}}, False),
    ({"when": {"extension": "pdf"}}, {}, True),
    ({"mode": "monitor"}, {}, True),
    ({}, {"mode": "monitor"}, False),
    ({"when": {"extension": ["pdf", "zip"]}}, {"when": {"extension": "zip"}}, False),
    ({"when": {"extension": "zip"}}, {"when": {"extension": ["pdf", "zip"]}}, True),
    ({"when": {"extension": "gz"}}, {"when": {"extension": "tar.gz"}}, False),
    ({"when": {"size_over": "1 MB"}}, {"when": {"size_over": "2 MB"}}, False),
    ({"when": {"size_over": "2 MB"}}, {"when": {"size_over": "1 MB"}}, True),
    ({"when": {"size_under": "2 MB"}}, {"when": {"size_under": "1 MB"}}, False),
    ({"when": {"older_than": "1d"}}, {"when": {"older_than": "2d"}}, False),
    ({"when": {"younger_than": "1d"}}, {"when": {"younger_than": "2d"}}, True),
    ({"when": {"sender": "example.org"}}, {"when": {"sender": "a@sub.example.org"}}, False),
    ({"when": {"sender": "example.org"}}, {"when": {"sender": "sub.example.org"}}, False),
    ({"when": {"sender": "example.org"}}, {"when": {"sender": "notexample.org"}}, True),
    ({"when": {"sender": "a@example.org"}}, {"when": {"sender": "example.org"}}, True),
    ({"when": {"folder": "Inbox"}}, {"when": {"folder": "Inbox/Projects"}}, False),
    ({"when": {"folder": "Inbox/Projects"}}, {"when": {"folder": "Inbox"}}, True),
    ({"when": {"name": "*"}}, {"when": {"name": "a*"}}, False),
    ({"when": {"name": "a*"}}, {"when": {"name": "ab*"}}, True),
    ({"when": {"size_over": "1 MB"}}, {"when": {"all": [{"size_over": "2 MB"}, {"name": "a"}]}}, False),
    ({"when": {"all": [{"name": "a"}]}}, {"when": {"name": "a"}}, False),
    ({"when": {"any": [{"name": "a"}, {"name": "b"}]}}, {"when": {"name": "b"}}, False),
    ({"when": {"any": [{"name": "a"}, {"name": "b"}]}}, {"when": {"any": [{"name": "b"}, {"name": "a"}]}}, False),
    ({"when": {"any": [{"name": "a"}, {"name": "b"}]}}, {"when": {"any": [{"name": "b"}, {"name": "c"}]}}, True),
    ({"unless": {"name": "a"}}, {}, True),
    ({"unless": {"name": "a"}}, {"unless": {"name": ["a", "b"]}}, False),
    ({"unless": {"name": ["a", "b"]}}, {"unless": {"name": "a"}}, True),
    ({"unless": {"any": [{"name": "a"}]}}, {"unless": {"any": [{"name": "a"}]}}, False),
    ({"unless": {"all": [X]}}, {"unless": {"all": [X, Y]}}, True),
    ({"unless": {"all": [X, Y]}}, {"unless": {"all": [Y]}}, False),
    ({"unless": {"all": [X]}}, {}, True),
    ({}, {"when": {"kind": "message"}, "action": "copy"}, True),
    ({"when": {"kind": ["file", "message"]}, "action": "copy"}, {"when": {"kind": "message"}, "action": "copy"}, False),
)


@pytest.mark.parametrize(("above", "below", "reached"), PAIRS)
def test_a_rule_that_is_never_reached_is_told(above: dict[str, Any], below: dict[str, Any], *, reached: bool) -> None:
    """Only where it is sure: that every file which the one below matches is matched above."""
    rules = policy({"name": "above", "action": "redirect", **above}, {"name": "below", "action": "copy", **below}).rules
    assert rules[0].hides(rules[1]) is not reached
    if reached:
        assert all_reached(rules) == rules
        return
    with pytest.raises(ValidationError) as error:
        all_reached(rules)
    ((where, said),) = [(each["loc"], each["msg"]) for each in error.value.errors()]
    assert where == (1,)
    assert "is never reached: the rule 'above' above matches whatever this one does" in said


def test_two_rules_of_one_name_are_refused() -> None:
    """A verdict names its rule; two of one name could not be told apart."""
    rule = {"name": "it", "action": "keep"}
    said = "two rules are named 'it'; a verdict names its rule, so names must differ"
    assert problems(rules=[rule, rule]) == [("rules", said)]


def test_all_problems_are_told_at_once() -> None:
    """Nobody has to run it once for each mistake."""
    wrong = {"name": "a", "when": {"size_over": 1, "folder": None}, "action": "x"}
    found = problems(rules=[wrong, {"action": "keep"}], defaults={"settle": 5}, mode="x")
    assert {where for where, _ in found} == {
        "rules.0.when.size_over",
        "rules.0.when.folder",
        "rules.0.action",
        "rules.1.name",
        "defaults.settle",
        "mode",
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("size_over", [{"type": "string"}, {"const": 0, "type": "integer"}, {"type": "null"}]),
        ("older_than", [{"type": "string"}, {"const": 0, "type": "integer"}, {"type": "null"}]),
        ("sender", [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]),
    ],
)
def test_an_editor_accepts_what_may_be_written(condition: str, expected: list[dict[str, Any]]) -> None:
    """The JSON schema knows units and single values, so that no editor underlines a right policy."""
    assert Conditions.model_json_schema()["$defs"]["Conditions"]["properties"][condition]["anyOf"] == expected


def test_a_policy_cannot_be_changed_behind_the_back() -> None:
    """Frozen, so that one policy may serve all threads."""
    rules = redirects_when(extension="pdf")
    with pytest.raises(ValidationError):
        rules.rules = ()
