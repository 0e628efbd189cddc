"""What makes no sense in a policy, told before it is used: what can never hold, and what is never reached.

All that is told is so. Not all that is so is told: two patterns are only the same where they are written the same.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connector.policy.conditions import Conditions
from connector.policy.values import is_who

#: What the first wants more of than the second allows, nothing has.
_BOUNDS = (
    ("size_over", "size_under", "size"),
    ("message_over", "message_under", "size of a message"),
    ("older_than", "younger_than", "age"),
)
_OF_MESSAGES = frozenset(
    "mailbox direction message_over message_under label header subject body read category".split()  # noqa: SIM905
)
_OF_SHARES = frozenset({"team", "channel", "chat"})
_Asked = tuple[str, tuple[Any, ...]]


def contradiction(conditions: Conditions) -> str | None:
    """Why these conditions never hold at the same time; None where they may."""
    asked = tuple(_leaves(conditions))
    names = {name for name, _ in asked}
    for over, under, what in _BOUNDS:
        if over in names and under in names and max(_all(over, asked)) >= min(_all(under, asked)):
            return f"`{over}` and `{under}` exclude each other: no {what} is both; exchange the two, or leave one out"
    for name in sorted(names):
        if {True, False} <= set(_all(name, asked)) and isinstance(_all(name, asked)[0], bool):
            return f"`{name}` is said to be true and to be false: leave one out"
    if {"team", "chat"} <= names:
        return "`team` and `chat` exclude each other: a file lies in one of them; put both into `any`"
    if (shared := names & _OF_SHARES) and (mail := names & _OF_MESSAGES):
        return f"`{min(shared)}` is asked of shared files, and `{min(mail)}` of messages: make two rules"
    return None


def never_matches(when: Conditions, unless: Conditions) -> str | None:
    """Which exception holds wherever the rule does; None where it may match."""
    return next((name for name, values in unless.asked if _holds_in(name, values, when)), None)


def covers(general: Conditions, special: Conditions) -> bool:
    """Whether the first holds wherever the second does."""
    return all(_holds_in(name, values, special) for name, values in general.asked)


def excepts_no_more(general: Conditions, special: Conditions) -> bool:
    """Whether wherever an exception of the first holds, one of the second does too."""
    own = dict(special.asked)
    return all(_excepts_no_more(name, values, own.get(name, ())) for name, values in general.asked)


def _excepts_no_more(name: str, values: tuple[Any, ...], own: tuple[Any, ...]) -> bool:
    if name == "all":  # Its groups hold together; of all other exceptions one is enough.
        return bool(own) and all(group in values for group in own)
    return all(any(_implies(name, value, other) for other in own) for value in values)


def _holds_in(name: str, values: tuple[Any, ...], special: Conditions) -> bool:
    """Whether one condition holds wherever these do."""
    if name == "any":
        each_in_one = bool(special.any) and all(any(covers(own, each) for own in values) for each in special.any)
        return each_in_one or any(covers(own, special) for own in values)
    if name == "all":
        return all(covers(own, special) for own in values)
    return any(
        all(any(_implies(name, each, own) for own in values) for each in theirs)
        for other, theirs in _leaves(special)
        if other == name
    )


def _leaves(conditions: Conditions) -> Iterator[_Asked]:
    """All that holds together, without what is only one of several."""
    for name, values in conditions.asked:
        if name == "all":
            for group in values:
                yield from _leaves(group)
        elif name != "any":
            yield name, values


def _all(name: str, asked: tuple[_Asked, ...]) -> list[Any]:
    return [value for other, values in asked if other == name for value in values]


def _implies(name: str, special: Any, general: Any) -> bool:
    """Whether whatever has the first value of a condition has the second one too."""
    return special == general or _WIDER.get(name, _never)(special, general)


def _never(special: Any, general: Any) -> bool:  # noqa: ARG001 - the signature of its neighbours
    return False


def _is_within(special: str, general: str) -> bool:
    return is_who(general, special if "@" in special else f"@{special}")


def _is_any(special: str, general: str) -> bool:  # noqa: ARG001 - the signature of its neighbours
    return general == "*"


_WIDER: Mapping[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(
        ("size_over", "message_over", "older_than", "recipients_over"), lambda special, general: special > general
    ),
    **dict.fromkeys(("size_under", "message_under", "younger_than"), lambda special, general: special < general),
    **dict.fromkeys(("mailbox", "sender", "recipient"), _is_within),
    **dict.fromkeys(("name", "team", "channel", "chat"), _is_any),
    "extension": lambda special, general: special.endswith(f".{general}"),
    "folder": lambda special, general: f"/{general}/" in f"/{special}/",
}
