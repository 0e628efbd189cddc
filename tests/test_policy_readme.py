"""The README's chapter on rules says what the code does: all words are in it, and what it shows loads."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from connector.model import Action
from connector.policy import Conditions, Exclude, Policy, Rule, all_reached
from connector.policy.sketch import PolicyTests

README = (Path(__file__).parent.parent / "README.md").read_text()
CHAPTER = README[README.index("### Rules\n") : README.index("### Plan first\n")]


def shown() -> Iterator[dict[str, Any]]:
    """Each piece of YAML in the chapter."""
    for block in re.findall(r"```yaml\n(.*?)```", CHAPTER, flags=re.DOTALL):
        yield YAML(typ="safe").load(block)


POLICY, TESTS, PEOPLE = shown()


def test_what_it_shows_is_a_policy_and_passes_its_tests() -> None:
    """Who copies it has one that works, and means what is said about it."""
    policy = Policy.model_validate(POLICY)
    assert all_reached(policy.rules) == policy.rules
    for test in PolicyTests.model_validate(TESTS).tests:
        assert test.failure(policy) is None


@pytest.mark.parametrize(
    "word",
    [*Conditions.model_fields, *Exclude.model_fields, *Action, *sorted(set(Rule.model_fields) - {"name", "action"})],
)
def test_each_word_of_the_language_is_in_it(word: str) -> None:
    """In the words of the code, so that nobody has to read that."""
    assert re.search(rf"`{word}[`:]", CHAPTER), word


def test_it_names_no_condition_that_does_not_exist() -> None:
    """The lists of conditions name those of the language, their values, and settings of a tenant."""
    lists = re.findall(
        r"^- (?:The file|The message|People|Files in Teams): (.*?)(?=^- )", CHAPTER, re.DOTALL | re.MULTILINE
    )
    named = set(re.findall(r"`([a-z_]+)`", " ".join(lists)))
    assert named - {"file", "message", "groups", "domains", "scanner"} == set(Conditions.model_fields) - {"any", "all"}
