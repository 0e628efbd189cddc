"""What requests ask for, read from their XML: shapes and paths."""

from connector.simulator.ews.extended import named_property
from connector.simulator.ews.shapes import Shape
from connector.simulator.ews.soap import Element, children, find, invalid, is_true, local, need

_BASES = ("IdOnly", "Default", "AllProperties")
_BODY_TYPES = ("Best", "HTML", "Text")


def item_shape(asked: Element, *, listing: bool = False) -> Shape:
    """The shape in an m:ItemShape."""
    base = need(asked, "t:BaseShape").text or ""
    if base not in _BASES:
        invalid("BaseShape is none of its values")
    return _shape(asked, Shape(base=base, listing=listing))


def attachment_shape(asked: Element | None) -> Shape:
    """The shape in an m:AttachmentShape, which may be absent: attached items come with all they have."""
    shape = Shape(base="AllProperties")
    return shape if asked is None else _shape(asked, shape)


def paths(parent: Element, where: str = "t:AdditionalProperties") -> list[Element]:
    """The paths that are asked for in addition."""
    holder = find(parent, where)
    return [] if holder is None else children(holder)


def field_uri(path: Element) -> str:
    """The name in a t:FieldURI or t:IndexedFieldURI."""
    return path.get("FieldURI") or invalid(f"{local(path)} lacks FieldURI")


def _shape(asked: Element, shape: Shape) -> Shape:
    shape.mime = is_true(asked, "t:IncludeMimeContent")
    body_type = find(asked, "t:BodyType")
    if body_type is not None:
        shape.body_type = body_type.text or ""
        if shape.body_type not in _BODY_TYPES:
            invalid("BodyType is none of its values")
    for path in paths(asked):
        if local(path) == "ExtendedFieldURI":
            shape.extended.append((named_property(path), path))
        elif local(path) == "FieldURI":
            shape.fields.add(field_uri(path))
        elif field_uri(path) == "item:InternetMessageHeader":
            shape.headers.add((path.get("FieldIndex") or "").lower())
    return shape
