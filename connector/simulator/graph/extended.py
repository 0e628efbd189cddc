"""Extended properties as Graph names them: `String {GUID} Name x`, `Integer {GUID} Id 0x8501`, `String 0x001A`."""

import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from connector.simulator import properties
from connector.simulator.graph.message import Refused, invalid
from connector.simulator.mailbox import TAGGED, Folder, Item, Message, Property

_TYPES = "Boolean|Binary|Double|Float|Integer|Long|Short|String|SystemTime|CLSID|Currency|ApplicationTime|Guid"
_NAMED = re.compile(
    rf"(?:{_TYPES})(?:Array)?\s+(?:(?P<tag>0x[0-9a-f]+)|\{{?(?P<set>[0-9a-f-]{{36}})\}}?\s+"
    r"(?:Name\s+(?P<name>.+)|Id\s+(?P<id>(?:0x)?[0-9a-f]+)))",
    re.IGNORECASE,
)
_CLASS = Property(TAGGED, 0x001A)
#: Microsoft: extended-properties-overview; only such a filter makes the service tell them.
_ID = re.compile(r"id\s+eq\s+'((?:[^']|'')*)'")


def named(identifier: str) -> Property:
    """The property that an id names."""
    found = _NAMED.fullmatch(identifier)
    if found is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidProperty", "The property's id is invalid.")
    if found["tag"]:
        return properties.tag(int(found["tag"], 16))
    if found["name"]:
        lower = found["set"].lower() == properties.HEADERS
        return Property(found["set"].lower(), found["name"].lower() if lower else found["name"])
    return Property(found["set"].lower(), int(found["id"], 16 if found["id"].lower().startswith("0x") else 10))


def told(message: Message, item: Item, nested: str) -> list[dict[str, Any]]:
    """The properties that `$expand=singleValueExtendedProperties($filter=...)` asks for, those that there are."""
    return _told(nested, lambda identifier: value(message, item, identifier))


def told_of_folder(folder: Folder, nested: str) -> list[dict[str, Any]]:
    """The same of a folder."""
    return _told(nested, lambda identifier: properties.folder_value(folder, named(identifier), _date))


def _told(nested: str, read: Callable[[str], str | None]) -> list[dict[str, Any]]:
    asked = _ID.findall(nested) or invalid("Expanding extended properties needs a $filter by id.")
    found = ((each.replace("''", "'"), read(each.replace("''", "'"))) for each in asked)
    return [{"id": identifier, "value": known} for identifier, known in found if known is not None]


def value(message: Message, item: Item, identifier: str) -> str | None:
    """The value of a property; None where the message has none."""
    found = properties.value(message, item, named(identifier), _date)
    return found if isinstance(found, str) else None


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def store(message: Message, told: Any) -> None:
    """Set the properties in a request; null removes one."""
    for each in told if isinstance(told, list) else ():
        prop = named(str(each.get("id", "")))
        if each.get("value") is None:
            message.extended.pop(prop, None)
        elif prop == _CLASS:
            message.item_class = str(each["value"])
        else:
            _store(message, prop, str(each["value"]))


def _store(message: Message, prop: Property, value: str) -> None:
    try:
        properties.store(message, prop, value)
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidPropertySet", str(error)) from None
