"""What stands behind the words of a policy: addresses, extensions, folders, durations, as people write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, PlainValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from connector.amounts import duration
from connector.model import Direction
from connector.names import composed
from connector.policy.patterns import compiled

T = TypeVar("T")

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST_DOMAIN = 255
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_DOMAIN = re.compile(r"[^@\s.*]+(\.[^@\s.*]+)+")


def fold(text: str) -> str:
    """Equal for names that people take for equal: any case, accents composed or not."""
    return composed(text).casefold()


def owner_of(address: str) -> str:
    """The mailbox of a source, folded: the address of somebody's share goes on behind it."""
    return fold(address).partition("/")[0]


def _expiry(value: object) -> timedelta | None:
    if value == "never" or value is None:
        return None
    life = duration(value)
    if not life:
        raise ValueError("a link that ends at once opens nothing: give a duration such as 30d, or never")
    return life


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long the store keeps a file."""

    #: None: for ever.
    span: timedelta | None = None
    #: It counts from when its message is gone, and not from when that shows the link.
    after_message: bool = False


_MESSAGE = re.compile(r"message(?:\s*\+\s*(.*))?", re.DOTALL)


def _lifetime(value: object) -> Lifetime:
    if value == "for ever":
        return Lifetime()
    bound = _MESSAGE.fullmatch(value) if isinstance(value, str) else None
    try:
        span = duration(bound[1] or 0 if bound else value)
    except ValueError as error:
        raise ValueError(f"say `for ever`, `message + 30d`, or a time such as 2y; {error}") from None
    if not span:
        raise ValueError(
            "that leaves no time to find out that it was needed: `message + 30d` outlives what is in Deleted Items"
        )
    return Lifetime(span, after_message=bound is not None)


def _audited(value: object) -> timedelta:
    kept = duration(value)
    if not kept:
        raise ValueError(
            "an audit trail that is not kept proves nothing: give a time such as 18 months, or leave it out"
        )
    return kept


def listed(value: object) -> tuple[Any, ...]:
    """One value is a list of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def who(value: str) -> str:
    """An address or a domain, folded. Raises ValueError where it is neither."""
    if not (_ADDRESS.fullmatch(value) or _DOMAIN.fullmatch(value)):
        raise ValueError(
            f"{value!r} is neither an address, such as anna@example.org, nor a domain, such as example.org "
            "(which covers its subdomains; without @ or * before it)"
        )
    return fold(value)


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value):
        raise ValueError(f"{value!r} is no domain, such as example.org (without @ or * before it)")
    return fold(value)


def _extension(value: str) -> str:
    extension = fold(value.removeprefix("*").removeprefix("."))
    if not extension or set(extension) & set("*?/\\ "):
        raise ValueError(f"{value!r} is not an extension, such as pdf; use the condition `name` for patterns")
    return extension


def _folder(value: str) -> str:
    return fold(_written(value))


def _written(value: str) -> str:
    parts = [part for part in value.split("/") if part.strip()]
    if not parts:
        raise ValueError("name a folder, such as Inbox/Projects")
    return "/".join(parts)


def _tag(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} is not the name of a tag, such as no-ai")
    return value


def is_who(who: str, address: str) -> bool:
    """Whether the folded address is this one, or one in this domain or below it."""
    if "@" in who:
        return address == who
    domain = address.rpartition("@")[2]
    return domain == who or domain.endswith(f".{who}")


def names_of(address: str) -> Iterator[str]:
    """Whatever `is_who` knows the address by, folded: itself, its domain, and all domains above that."""
    address = fold(address)
    yield address
    domain = address.rpartition("@")[2][-_LONGEST_DOMAIN:]
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _direction(value: object) -> object:
    if value in ("outgoing external", "outgoing", "outbound"):
        raise ValueError(
            "what is sent to others has left with its attachments when connector sees it in the mailbox: only a hop in"
            " the mail flow could change it. `sent` names the sender's own copy"
        )
    return value


def _pattern(value: str) -> str:
    compiled(value)
    return value


@dataclass(frozen=True, slots=True)
class Header:
    """A pattern for one header of a message."""

    name: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.name}: {self.pattern}"


def _header(value: object) -> Header:
    name, colon, pattern = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not _FIELD_NAME.fullmatch(name) or not pattern.strip():
        raise ValueError("give the name of a header and a pattern, such as `X-Spam-Flag: ^yes`, in quotes")
    return Header(name.lower(), _pattern(pattern.strip()))


class _OneOrMany:
    """Lets an editor accept one value without the brackets of a list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


Expiry = Annotated[timedelta | None, BeforeValidator(_expiry, json_schema_input_type=str)]
KeptFor = Annotated[Lifetime, BeforeValidator(_lifetime, json_schema_input_type=str)]
Audited = Annotated[timedelta, BeforeValidator(_audited, json_schema_input_type=str)]
Name = Annotated[str, Field(min_length=1)]
Folded = Annotated[Name, AfterValidator(fold)]
Glob = Folded
Extension = Annotated[str, AfterValidator(_extension)]
Domain = Annotated[str, AfterValidator(_domain)]
Who = Annotated[str, AfterValidator(who)]
From = Annotated[Direction, BeforeValidator(_direction)]
Pattern = Annotated[str, AfterValidator(_pattern)]
HeaderPattern = Annotated[Header, PlainValidator(_header, json_schema_input_type=str)]
Folder = Annotated[str, AfterValidator(_folder)]
#: The same, as people wrote it: for what they are to read.
WrittenFolder = Annotated[str, AfterValidator(_written)]
Tag = Annotated[str, AfterValidator(_tag)]
#: One value, or a list of which any will do.
Some = Annotated[tuple[T, ...], BeforeValidator(listed), _OneOrMany()]
