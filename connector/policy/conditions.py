"""What may be asked about a file and its message, and when it holds.

An answer is True, False, or None: unknown, because it was not fetched yet, or because nobody can tell.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import translate
from functools import cached_property, lru_cache, partial
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.amounts import Duration, Size, said
from connector.filetype import TrueType, disguised
from connector.model import Need
from connector.policy.case import Case
from connector.policy.values import (
    Extension,
    Folded,
    Folder,
    From,
    Glob,
    HeaderPattern,
    Name,
    Pattern,
    Some,
    Who,
    fold,
    listed,
)

Answer = bool | None
Asking = Callable[[Case], Answer]


class Kind(StrEnum):
    """What a file may be. A rule reaches attached messages only where its `when` names them."""

    FILE = "file"
    MESSAGE = "message"


class Recipients(StrEnum):
    """Who of the recipients is of another house than the tenant's (`domains`)."""

    ANY = "any external"
    ALL = "all external"
    NONE = "none external"


class Model(BaseModel):
    """A part of a policy: what it does not know it refuses, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Conditions(Model):
    """What may be asked about a file and its message. A condition that is left out asks nothing.

    Sizes are those that the source announces, which are not the byte counts. A time of a message counts from when the
    server received it; where the server does not say when that was, no condition on age holds.
    A shared file has no mailbox, direction, subject, body, headers, label, read flag or categories, and no size but its
    own: conditions on those do not hold for it.
    """

    any: tuple["Conditions", ...] = Field(default=(), description="one of these groups holds; in a group all must")
    all: tuple["Conditions", ...] = Field(default=(), description="all of these groups hold")
    size_over: Size | None = Field(default=None, description="the file is larger, as its source announces it")
    size_under: Size | None = Field(default=None, description="the file is smaller, as its source announces it")
    name: Some[Glob] = Field(default=(), description="pattern of the file name, such as scan_????.*; any case")
    extension: Some[Extension] = Field(default=(), description="end of the file name, such as pdf or tar.gz")
    true_type: Some[TrueType] = Field(default=(), description="what the content of the file says that it is")
    disguised: bool | None = Field(default=None, description="its name promises another type, as of a program as .pdf")
    encrypted: bool | None = Field(default=None, description="an archive or a document that asks for a password")
    macros: bool | None = Field(default=None, description="an Office file that carries macros, also in an archive")
    infected: bool | None = Field(default=None, description="what the virus scanner says")
    kind: Some[Kind] = Field(default=(), description="file, or message: only a rule that says so reaches attached ones")
    mailbox: Some[Who] = Field(default=(), description="the mailbox that it is in: its address, or its domain")
    group: Some[Folded] = Field(default=(), description="a group that the mailbox is in, by `groups`")
    sender: Some[Who] = Field(
        default=(), description="an address, or a domain with its subdomains; of a shared file, who uploaded it"
    )
    recipient: Some[Who] = Field(default=(), description="the same, for any one of the recipients")
    recipients: Some[Recipients] = Field(default=(), description="who of them is outside of `domains`")
    recipients_over: int | None = Field(default=None, ge=1, description="there are more recipients")
    direction: Some[From] = Field(default=(), description="where the message came from, as the server stamped on it")
    message_over: Size | None = Field(default=None, description="the message with all its files is larger")
    message_under: Size | None = Field(default=None, description="the message with all its files is smaller")
    label: Some[Name] = Field(default=(), description="the id of its sensitivity label")
    header: Some[HeaderPattern] = Field(default=(), description="NAME: PATTERN, such as `X-Spam-Flag: ^yes`")
    subject: Some[Pattern] = Field(default=(), description="pattern (RE2) that its subject matches somewhere; any case")
    body: Some[Pattern] = Field(default=(), description="pattern (RE2) that its text matches somewhere; any case")
    folder: Some[Folder] = Field(default=(), description="a folder anywhere in the mailbox, with what is below it")
    younger_than: Duration | None = Field(default=None, description="age of the message")
    older_than: Duration | None = Field(default=None, description="age of the message")
    read: bool | None = Field(default=None, description="its owner has read it")
    category: Some[Folded] = Field(default=(), description="a category that it bears in Outlook")
    team: Some[Glob] = Field(default=(), description="pattern of the team of a shared file; * for any")
    channel: Some[Glob] = Field(default=(), description="pattern of the channel of a shared file")
    chat: Some[Glob] = Field(default=(), description="pattern of whose chats a shared file is in; * for any")

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        # `sender:` with nothing behind it would otherwise ask nothing, and the rule would match every file.
        if value is None or value in ([], (), {}):
            raise ValueError("says nothing: give a value, or leave the condition out")
        return value

    @field_validator("any", "all")
    @classmethod
    def _groups_ask(cls, groups: tuple["Conditions", ...]) -> tuple["Conditions", ...]:
        if any(not group.asked for group in groups):
            raise ValueError("an empty group holds always: give it a condition, or leave it out")
        return groups

    @cached_property
    def asked(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Each condition that asks something, with its values."""
        values = {name: listed(getattr(self, name)) for name in type(self).model_fields}
        return tuple((name, each) for name, each in values.items() if each not in ((), (None,)))

    @cached_property
    def questions(self) -> tuple["Question", ...]:
        """The same, ready to be asked."""
        return tuple(Question(name, values, _asking(name, values)) for name, values in self.asked)

    @cached_property
    def asking(self) -> tuple[Asking, ...]:
        """The same again: first what costs least to answer."""
        ordered = sorted(self.questions, key=lambda question: _COSTS.get(question.name, 0))
        return tuple(question.holds for question in ordered)

    @cached_property
    def named(self) -> tuple[str, tuple[str, ...]] | None:
        """A condition that only some names meet, and these; None where it has none."""
        return next((each for each in self.asked if each[0] in NAMES), None)

    @cached_property
    def every(self) -> Asking:
        """Whether all of it holds."""
        # Most groups ask one thing only.
        return self.asking[0] if len(self.asking) == 1 else partial(_all, self.asking)

    def some(self, case: Case) -> Answer:
        """Whether one of its conditions holds."""
        return _one(self.asking, case)

    def everywhere(self) -> Iterator["Conditions"]:
        """Itself, and all groups in it."""
        yield self
        yield from self.inner()

    def inner(self) -> Iterator["Conditions"]:
        """All groups in it, and in those."""
        for group in (*self.any, *self.all):
            yield from group.everywhere()

    def needs(self, case: Case) -> Iterator[Need]:
        """What to fetch for those questions that cannot be answered without."""
        for question in self.questions:
            if question.holds(case) is None:
                if question.name in _GROUPS:
                    for group in question.values:
                        yield from group.needs(case)
                elif case.lacks(need := _NEEDS[question.name]):
                    yield need

    def reasons(self, case: Case) -> Iterator[str]:
        """For each condition the first value that holds, in the words of the policy."""
        for question in self.questions:
            yield from question.reasons(case)


@dataclass(frozen=True, slots=True)
class Question:
    """One condition with its values, of which any will do (of `all`, all must)."""

    name: str
    values: tuple[Any, ...]
    holds: Asking

    def __str__(self) -> str:
        """As the policy says it."""
        if self.name in _GROUPS:
            return f"{self.name} of ({') ('.join(', '.join(map(str, each.questions)) for each in self.values)})"
        return f"{_words(self.name)} {' or '.join(_told(each) for each in self.values)}"

    def reasons(self, case: Case) -> Iterator[str]:
        """What holds, where it does."""
        if self.name in _GROUPS:
            holding = [group for group in self.values if group.every(case)]
            for group in holding if self.name == "all" else holding[:1]:
                yield from group.reasons(case)
        else:
            holds = _CONDITIONS[self.name]
            value = next(each for each in self.values if holds(each, case))
            yield f"{_words(self.name)} {_told(value)}"


def _asking(name: str, values: tuple[Any, ...]) -> Asking:
    if name == "any":
        return partial(_one, tuple(group.every for group in values))
    if name == "all":
        return partial(_all, tuple(group.every for group in values))
    if name in NAMES:
        names, wanted = NAMES[name], frozenset(values)
        return lambda case: not wanted.isdisjoint(names(case))
    asking = tuple(_is_like(value) if name == "name" else partial(_CONDITIONS[name], value) for value in values)
    return asking[0] if len(asking) == 1 else partial(_one, asking)


def _one(asking: Iterable[Asking], case: Case) -> Answer:
    """Yes, as soon as one says yes; otherwise unknown, if one does not know."""
    unknown = False
    for holds in asking:
        answer = holds(case)
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def _all(asking: Iterable[Asking], case: Case) -> Answer:
    """No, as soon as one says no; otherwise unknown, if one does not know."""
    unknown = False
    for holds in asking:
        answer = holds(case)
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def _words(name: str) -> str:
    return name.replace("_", " ")


def _told(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return said(value) if isinstance(value, int | timedelta) else str(value)


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # The expression that fnmatch makes never goes back over a star, so no name makes it slow.
    return re.compile(translate(glob))


def _is_like(glob: str) -> Asking:
    # Its expression is looked up once, and not for each file.
    match = _pattern(glob).match
    return lambda case: match(case.name) is not None


def _globbed(glob: str, text: str) -> bool:
    return text != "" and _pattern(glob).match(text) is not None


def _is_named(names: Callable[[Case], AbstractSet[str]], name: str, case: Case) -> bool:
    return name in names(case)


def _told_is(wanted: bool, told: bool | None) -> Answer:  # noqa: FBT001 - both are what a file is said to be
    return None if told is None else told is wanted


def _of_content(what: str, wanted: bool, case: Case) -> Answer:  # noqa: FBT001 - the value of the condition
    return None if case.content is None else _told_is(wanted, getattr(case.content, what))


def _is_kind(kind: Kind, case: Case) -> Answer:
    # Only its content tells whether it is a message at all, and one that is not sealed.
    if case.nested and case.content is None:
        return None
    return case.nested is (kind is Kind.MESSAGE)


def _is_type(kind: TrueType, case: Case) -> Answer:
    return None if case.true_type is None else case.true_type is kind


def _is_disguised(wanted: bool, case: Case) -> Answer:  # noqa: FBT001 - the value of the condition
    return None if case.true_type is None else disguised(case.true_type, case.file.name) is wanted


def _is_read(wanted: bool, case: Case) -> bool:  # noqa: FBT001 - the value of the condition
    return case.matter.message is not None and case.matter.message.read is wanted


def _has_external(which: Recipients, case: Case) -> bool:
    matter = case.matter
    outside = matter.external
    if which is Recipients.ANY:
        return outside > 0
    return outside == 0 if which is Recipients.NONE else 0 < outside == len(matter.item.recipients)


def _is_message_size(holds: Callable[[int], bool], case: Case) -> bool:
    message = case.matter.message
    return message is not None and message.size > 0 and holds(message.size)


def _is_labelled(label: str, case: Case) -> bool:
    return case.matter.message is not None and fold(case.matter.message.label) == fold(label)


#: All the names that a condition may call something by.
NAMES: Mapping[str, Callable[[Case], AbstractSet[str]]] = {
    "extension": attrgetter("extensions"),
    "mailbox": attrgetter("matter.mailbox"),
    "group": attrgetter("matter.facts.groups"),
    "sender": attrgetter("matter.sender"),
    "recipient": attrgetter("matter.recipients"),
    "category": attrgetter("matter.categories"),
}
#: Whether one value of a condition holds. A new condition is a field above and a line here, or above.
_CONDITIONS: Mapping[str, Callable[[Any, Case], Answer]] = {
    **{name: partial(_is_named, names) for name, names in NAMES.items()},
    "size_over": lambda size, case: case.file.size > size,
    "size_under": lambda size, case: case.file.size < size,
    "name": lambda glob, case: _is_like(glob)(case),
    "true_type": _is_type,
    "disguised": _is_disguised,
    "encrypted": partial(_of_content, "encrypted"),
    "macros": partial(_of_content, "macros"),
    "infected": partial(_of_content, "infected"),
    "kind": _is_kind,
    "recipients": _has_external,
    "recipients_over": lambda number, case: len(case.matter.item.recipients) > number,
    "direction": lambda direction, case: case.matter.item.direction is direction,
    "message_over": lambda size, case: _is_message_size(lambda found: found > size, case),
    "message_under": lambda size, case: _is_message_size(lambda found: found < size, case),
    "label": _is_labelled,
    "header": lambda header, case: case.matter.finds(header.pattern, f"header {header.name}"),
    "subject": lambda pattern, case: case.matter.finds(pattern, "subject"),
    "body": lambda pattern, case: case.matter.finds(pattern, "body"),
    "folder": lambda folder, case: f"/{folder}/" in case.matter.folder,
    "younger_than": lambda age, case: case.age is not None and case.age < age,
    "older_than": lambda age, case: case.age is not None and case.age >= age,
    "read": _is_read,
    "team": lambda glob, case: _globbed(glob, case.matter.place[0]),
    "channel": lambda glob, case: _globbed(glob, case.matter.place[1]),
    "chat": lambda glob, case: _globbed(glob, case.matter.place[2]),
}
_GROUPS = frozenset({"any", "all"})
#: What has to be fetched before an answer.
_NEEDS = {
    "kind": Need.HEAD,
    "true_type": Need.HEAD,
    "disguised": Need.HEAD,
    "encrypted": Need.WHOLE,
    "macros": Need.WHOLE,
    "infected": Need.SCAN,
    "body": Need.BODY,
}
#: To look up a name costs least, and says no most often. Text is looked through last, and what may have to be fetched.
_COSTS = {
    **dict.fromkeys(NAMES, -1),
    "any": 1,
    "all": 1,
    "subject": 2,
    "header": 2,
    **dict.fromkeys(_NEEDS, 3),
    "kind": 0,
}
