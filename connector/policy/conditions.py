"""What may be asked about a file and its message, and when it holds."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connector.amounts import Duration, Size, said
from connector.filetype import TrueType
from connector.model import Direction
from connector.policy.case import Case
from connector.policy.values import Extension, Folder, Glob, Some, Who, fold, listed


class Kind(StrEnum):
    """What a file may be. A rule reaches attached messages only where its `when` names them."""

    FILE = "file"
    MESSAGE = "message"


class Model(BaseModel):
    """A part of a policy: what it does not know it refuses, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Conditions(Model):
    """What may be asked about a file and its message. A condition that is left out asks nothing.

    Sizes are those that the source announces, which are not the byte counts. A time of a message counts from when the
    server received it; where the server does not say when that was, no condition on age holds.
    """

    size_over: Size | None = Field(default=None, description="the file is larger, as its source announces it")
    size_under: Size | None = Field(default=None, description="the file is smaller, as its source announces it")
    name: Some[Glob] = Field(default=(), description="pattern of the file name, such as scan_????.*; any case")
    extension: Some[Extension] = Field(default=(), description="end of the file name, such as pdf or tar.gz")
    true_type: Some[TrueType] = Field(default=(), description="what the content of the file says that it is")
    kind: Some[Kind] = Field(default=(), description="file, or message: only a rule that says so reaches attached ones")
    sender: Some[Who] = Field(default=(), description="an address, or a domain with its subdomains")
    recipient: Some[Who] = Field(default=(), description="the same, for any one of the recipients")
    direction: Some[Direction] = Field(default=(), description="where the message came from")
    folder: Some[Folder] = Field(default=(), description="a folder anywhere in the mailbox, with what is below it")
    younger_than: Duration | None = Field(default=None, description="age of the message")
    older_than: Duration | None = Field(default=None, description="age of the message")

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        # `sender:` with nothing behind it would otherwise ask nothing, and the rule would match every file.
        if value is None or value in ([], ()):
            raise ValueError("says nothing: give a value, or leave the condition out")
        return value

    @cached_property
    def asked(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Each condition that asks something, with its values."""
        values = {name: listed(getattr(self, name)) for name in type(self).model_fields}
        return tuple((name, each) for name, each in values.items() if each not in ((), (None,)))


def answers(conditions: Conditions, case: Case) -> Iterator[bool | None]:
    """For each condition whether it holds; None where the content is needed to tell."""
    for name, values in conditions.asked:
        if case.content is None and (name == "true_type" or (name == "kind" and case.nested)):
            yield None
        else:
            yield any(_HOLDS[name](value, case) for value in values)


def reasons(conditions: Conditions, case: Case) -> Iterator[str]:
    """For each condition the first value that holds, in the words of the policy."""
    for name, values in conditions.asked:
        value = next(each for each in values if _HOLDS[name](each, case))
        yield f"{name.replace('_', ' ')} {_told(value)}"


def _told(value: object) -> str:
    return said(value) if isinstance(value, int | timedelta) else str(value)


def _is(who: str, address: str) -> bool:
    """Whether it is this address, or an address in this domain or one below it."""
    folded = fold(address)
    domain = folded.rpartition("@")[2]
    return folded == who if "@" in who else domain == who or domain.endswith(f".{who}")


def _in_folder(wanted: str, folder: str) -> bool:
    return f"/{wanted}/" in f"/{fold(folder)}/"


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # The expression that fnmatch makes never goes back over a star, so no name makes it slow.
    return re.compile(translate(glob))


#: Whether one value of a condition holds. A new condition is a field above and a line here.
_HOLDS: Mapping[str, Callable[[Any, Case], bool]] = {
    "size_over": lambda size, case: case.file.size > size,
    "size_under": lambda size, case: case.file.size < size,
    "name": lambda glob, case: _pattern(glob).match(fold(case.file.name)) is not None,
    "extension": lambda extension, case: fold(case.file.name).rstrip(". ").endswith(f".{extension}"),
    "true_type": lambda kind, case: case.true_type is kind,
    "kind": lambda kind, case: case.nested is (kind is Kind.MESSAGE),
    "sender": lambda who, case: _is(who, case.item.sender),
    "recipient": lambda who, case: any(_is(who, each) for each in case.item.recipients),
    "direction": lambda direction, case: case.item.direction is direction,
    "folder": lambda folder, case: _in_folder(folder, case.item.folder),
    "younger_than": lambda age, case: case.age is not None and case.age < age,
    "older_than": lambda age, case: case.age is not None and case.age >= age,
}
