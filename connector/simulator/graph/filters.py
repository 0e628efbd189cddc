"""`$filter` and `$orderby` over messages, as far as clients need them."""

import operator
import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from connector.simulator.graph import extended
from connector.simulator.graph.message import Refused, split
from connector.simulator.mailbox import Item

_COMPARISON = re.compile(r"([\w/]+)\s+(eq|ne|ge|gt|le|lt)\s+(.+)", re.DOTALL)
_BEGINS = re.compile(r"startswith\(\s*([\w/]+)\s*,\s*('.*')\s*\)", re.DOTALL)
_ANY = re.compile(r"singleValueExtendedProperties/any\(\s*(\w+)\s*:\s*(.*)\)", re.DOTALL | re.IGNORECASE)
_VERBS: dict[str, Callable[[Any, Any], bool]] = {
    name: getattr(operator, name) for name in ("eq", "ne", "ge", "gt", "le", "lt")
}
_FIELDS: dict[str, Callable[[Item], Any]] = {
    "internetmessageid": lambda item: item.message.internet_message_id,
    "subject": lambda item: item.message.subject,
    "isread": lambda item: item.message.read,
    "isdraft": lambda item: item.message.draft,
    "hasattachments": lambda item: item.message.has_attachments,
    "receiveddatetime": lambda item: item.message.received or item.created,
    "sentdatetime": lambda item: item.message.sent or item.created,
    "lastmodifieddatetime": lambda item: item.modified,
    "from/emailaddress/address": lambda item: item.message.author.address if item.message.author else "",
}


def matches(condition: str, item: Item) -> bool:
    """Whether a message meets all of a condition's terms, which `and` joins."""
    return all(_term(term, item) for term in split(condition, " and ")) if condition else True


def ordered(found: list[Item], orderby: str) -> list[Item]:
    """Newest first unless `$orderby` says otherwise."""
    name, _, direction = (orderby or "receivedDateTime desc").partition(" ")
    if name.lower() not in _FIELDS:
        raise _invalid()
    key = _FIELDS[name.lower()]
    return sorted(found, key=lambda item: (key(item), item.number), reverse=direction.strip().lower() == "desc")


def _term(term: str, item: Item) -> bool:
    if any_of := _ANY.fullmatch(term):
        return _any(any_of[1], any_of[2], item)
    if (begins := _BEGINS.fullmatch(term)) and begins[1].lower() in _FIELDS:
        return str(_FIELDS[begins[1].lower()](item)).startswith(_literal(begins[2], ""))
    compared = _COMPARISON.fullmatch(term)
    if compared is None or compared[1].lower() not in _FIELDS:
        raise _invalid()
    is_now = _FIELDS[compared[1].lower()](item)
    told = _literal(compared[3].strip(), is_now)
    return bool(_VERBS[compared[2]](is_now, told))


def _any(variable: str, condition: str, item: Item) -> bool:
    """`Any(ep: ep/id eq 'ID' and ep/value eq 'VALUE')` (facts, A4); without a value: whether there is one.

    Inferred: that `startswith` may stand for `eq`.
    """
    told: dict[str, str] = {}
    for term in split(condition, " and "):
        plain = _BEGINS.sub(r"\1 begins \2", term.strip())
        found = re.fullmatch(rf"{variable}/(id|value)\s+(eq|ne|begins)\s+('.*'|null)", plain, re.DOTALL)
        if found is None:
            raise _invalid()
        told[f"{found[1]} {found[2]}"] = found[3].removeprefix("'").removesuffix("'").replace("''", "'")
    if "id eq" not in told:
        raise _invalid()
    value = extended.value(item.message, item, told["id eq"])
    if "value eq" in told:
        return value == told["value eq"]
    return value is not None and value != told.get("value ne") and value.startswith(told.get("value begins", ""))


def _literal(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        return text.lower() == "true"
    if isinstance(like, datetime):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise _invalid() from None
    return text.removeprefix("'").removesuffix("'").replace("''", "'")


def _invalid() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidUrlQueryFilter", "The query filter contains an invalid term.")
