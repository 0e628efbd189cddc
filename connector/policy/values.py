"""What stands behind the words of a policy: addresses, extensions, folders, durations, as people write them."""

import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from connector.amounts import duration

T = TypeVar("T")

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_DOMAIN = re.compile(r"[^@\s.*]+(\.[^@\s.*]+)+")


def fold(text: str) -> str:
    """Equal for names that people take for equal: any case, accents composed or not."""
    return unicodedata.normalize("NFC", text).casefold()


def _expiry(value: object) -> timedelta | None:
    if value == "never" or value is None:
        return None
    life = duration(value)
    if not life:
        raise ValueError("a link that ends at once opens nothing: give a duration such as 30d, or never")
    return life


def listed(value: object) -> tuple[Any, ...]:
    """One value is a list of one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _who(value: str) -> str:
    if not (_ADDRESS.fullmatch(value) or _DOMAIN.fullmatch(value)):
        raise ValueError(
            f"{value!r} is neither an address, such as anna@example.org, nor a domain, such as example.org "
            "(which covers its subdomains; without @ or * before it)"
        )
    return fold(value)


def _extension(value: str) -> str:
    extension = fold(value.removeprefix("*").removeprefix("."))
    if not extension or set(extension) & set("*?/\\ "):
        raise ValueError(f"{value!r} is not an extension, such as pdf; use the condition `name` for patterns")
    return extension


def _folder(value: str) -> str:
    parts = [part for part in fold(value).split("/") if part.strip()]
    if not parts:
        raise ValueError("name a folder, such as Inbox/Projects")
    return "/".join(parts)


def _tag(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} is not the name of a tag, such as no-ai")
    return value


class _OneOrMany:
    """Lets an editor accept one value without the brackets of a list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


Expiry = Annotated[timedelta | None, BeforeValidator(_expiry, json_schema_input_type=str)]
Name = Annotated[str, Field(min_length=1)]
Glob = Annotated[Name, AfterValidator(fold)]
Extension = Annotated[str, AfterValidator(_extension)]
Who = Annotated[str, AfterValidator(_who)]
Folder = Annotated[str, AfterValidator(_folder)]
Tag = Annotated[str, AfterValidator(_tag)]
#: One value, or a list of which any will do.
Some = Annotated[tuple[T, ...], BeforeValidator(listed), _OneOrMany()]
