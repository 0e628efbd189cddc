"""Header text of real mail: undeclared bytes, broken encoded words, dates that are none. Nothing here raises."""

import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message as Part
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime

from connector.simulator.content import clean
from connector.simulator.mailbox import Address


def raw(part: Part) -> list[tuple[str, str]]:
    """All headers in their order, unfolded; bytes that no charset was declared for are guessed."""
    return [(name, clean(_unfold(_guess(value)))) for name, value in part.raw_items()]


def text(part: Part, name: str) -> str:
    """A header with its encoded words decoded; "" where it is absent."""
    value = first(part, name)
    return clean(_words(value)) if value else ""


def first(part: Part, name: str) -> str:
    """A header as it is written, unfolded; "" where it is absent."""
    for key, value in part.raw_items():
        if key.lower() == name.lower():
            return _unfold(_guess(value))
    return ""


def addresses(part: Part, name: str) -> list[Address]:
    """The people whom a header names."""
    pairs = getaddresses([_unfold(_guess(value)) for key, value in part.raw_items() if key.lower() == name.lower()])
    people = (Address(clean(_words(display)).strip(), clean(address).strip()) for display, address in pairs)
    return [each for each in people if each.name or each.address]


def date(value: str) -> datetime | None:
    """An RFC 5322 date in UTC, whole seconds; None where it is none, or before MAPI's time began (1601)."""
    try:
        moment = parsedate_to_datetime(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment.replace(microsecond=0) if moment.year > 1600 else None  # noqa: PLR2004 - the year is the point


def parameter(part: Part, name: str, header: str = "content-type") -> str:
    """A parameter in any of its forms: plain, RFC 2231, or with encoded words, which RFC 2047 forbids there."""
    try:
        value = part.get_param(name, "", header=header)
    except (LookupError, TypeError, ValueError):
        return ""
    if isinstance(value, tuple):
        return clean(_charset_safe(value))
    return clean(_words(_guess(value)))


def file_name(part: Part) -> str:
    """The name that a part gives itself; "" where it gives none."""
    return parameter(part, "filename", "content-disposition") or parameter(part, "name")


def decode(data: bytes, charset: str) -> str:
    """Text in its declared charset; UTF-8, then Windows-1252, where that is absent, unknown or a lie."""
    for candidate in (charset, "utf-8"):
        try:
            return clean(data.decode(candidate or "utf-8"))
        except (LookupError, ValueError):
            continue
    return clean(data.decode("cp1252", "replace"))


def _charset_safe(value: tuple[str | None, str | None, str]) -> str:
    charset, language, encoded = value
    try:
        return collapse_rfc2231_value((charset, language, encoded))
    except (LookupError, ValueError):
        return encoded


def _unfold(value: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])|[\r\n]+", "", value).strip()


def _guess(value: str) -> str:
    data = value.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _words(value: str) -> str:
    try:
        chunks = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(chunk if isinstance(chunk, str) else _word(chunk, charset) for chunk, charset in chunks)


def _word(chunk: bytes, charset: str | None) -> str:
    # decode_header hands the text between encoded words out in raw-unicode-escape, without a charset.
    return chunk.decode("raw-unicode-escape", "replace") if charset is None else decode(chunk, charset)
