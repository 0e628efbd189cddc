"""The MAPI properties of a message that a trial compares, as EWS is asked for them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connector.sources import mapi
from connector.sources.ews.words import NS, Element, M, T


@dataclass(frozen=True, slots=True)
class Property:
    """One of them: its name, and how EWS is asked for it."""

    name: str
    field: tuple[tuple[str, str], ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from others; servers write numbers in another form than they were asked in."""
        return key(dict(self.field))


def key(field: Mapping[str, str]) -> tuple[object, ...]:
    """What an ExtendedFieldURI names, whatever form it has."""
    if "PropertyTag" in field:
        return (int(field["PropertyTag"], 0),)
    group = field.get("DistinguishedPropertySetId") or field.get("PropertySetId", "").lower()
    return (group, field.get("PropertyName") or int(field.get("PropertyId", "0"), 0))


def _properties() -> Iterator[Property]:
    for tag, kind, name in mapi.tagged():
        yield Property(name, (("PropertyTag", f"0x{tag}"), ("PropertyType", kind)))
    for number, kind, name in mapi.common():
        group = ("DistinguishedPropertySetId", "Common")
        yield Property(name, (group, ("PropertyId", str(int(number, 16))), ("PropertyType", kind)))


_KEYWORDS = (
    ("DistinguishedPropertySetId", "PublicStrings"),
    ("PropertyName", "Keywords"),
    ("PropertyType", "StringArray"),
)
PROPERTIES = (*_properties(), Property("Keywords", _KEYWORDS))


def get_properties(item_id: str, wanted: tuple[Property, ...]) -> Element:
    """GetItem: these properties of an item."""
    fields = (T.ExtendedFieldURI(dict(each.field)) for each in wanted)
    return M.GetItem(
        M.ItemShape(T.BaseShape("IdOnly"), T.AdditionalProperties(*fields)), M.ItemIds(T.ItemId(Id=item_id))
    )


def told(item: Element, wanted: tuple[Property, ...]) -> dict[str, str]:
    """What an item tells of them, by name; several values are told in one line."""
    names = {each.key: each.name for each in wanted}
    values = {}
    for extended in item.iterfind("t:ExtendedProperty", NS):
        name = names.get(key(extended.find("t:ExtendedFieldURI", NS).attrib))
        found = [value.text or "" for value in extended.iterfind(".//t:Value", NS)]
        if name:
            values[name] = "; ".join(found)
    return values
