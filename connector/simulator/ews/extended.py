"""How a request names extended properties."""

import copy

from connector.simulator.ews.soap import Element, integer, invalid
from connector.simulator.mailbox import Property
from connector.simulator.properties import HEADERS, SETS, tag


def named_property(path: Element) -> Property:
    """The property that a t:ExtendedFieldURI names (Microsoft: extendedfielduri)."""
    if path.get("PropertyType") is None:
        invalid("ExtendedFieldURI lacks PropertyType")
    if (number := path.get("PropertyTag")) is not None:
        return tag(int(number, 16) if number.lower().startswith("0x") else integer(number, "PropertyTag"))
    distinguished = path.get("DistinguishedPropertySetId")
    group = SETS.get(distinguished, "") if distinguished else (path.get("PropertySetId") or "").lower()
    name, number = path.get("PropertyName"), path.get("PropertyId")
    if not group or (name is None) == (number is None):
        invalid("ExtendedFieldURI names no property")
    if name is None:
        return Property(group, integer(number, "PropertyId"))
    # Names of headers have no case (RFC 5322); other names do.
    return Property(group, name.lower() if group == HEADERS else name)


def path_copy(path: Element) -> Element:
    """A path of a request, to stand in a reply."""
    twin = copy.copy(path)
    twin.tail = None
    return twin
