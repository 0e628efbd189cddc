"""Microsoft's metadata of Graph (CSDL, OData 4) as a judge: which types there are, and what a path leads to."""

import functools
import gzip
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_COLLECTION = re.compile(r"Collection\((.+)\)")
_JSON_OF: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("Edm.String", "Edm.Guid", "Edm.Binary", "Edm.Duration", "Edm.TimeOfDay"), (str,)),
    **dict.fromkeys(("Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Byte"), (int,)),
    **dict.fromkeys(("Edm.Double", "Edm.Single", "Edm.Decimal"), (int, float)),
    "Edm.Boolean": (bool,),
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass
class Type:
    """A structured type."""

    base: str = ""
    is_open: bool = False
    #: By name, their types; those that lead to other entities too.
    properties: dict[str, str] = field(default_factory=dict)


class Metadata:
    """What Microsoft says that there is."""

    def __init__(self, document: bytes) -> None:
        self._types: dict[str, Type] = {}
        self._members: dict[str, set[str]] = {}
        self._roots: dict[str, str] = {}
        #: What functions and actions give back, by their names and by what they are bound to.
        self._bound: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for schema in etree.fromstring(document).iter(f"{_EDM}Schema"):
            self._read(schema, str(schema.get("Namespace")))

    def leads_to(self, path: str) -> str | None:
        """The type of what is at a path below the version; "" where it is no JSON, None where nothing can be there."""
        first, *rest = _without_names(path.strip("/").split("/"))
        found = self._roots.get(first)
        for part in rest:
            found = self._step(found, part) if found else found
        return found

    def unknown(self, kind: str, names: Iterable[str]) -> Iterator[str]:
        """Those of the names in a `$select` that things of this type do not have. Annotations have no type."""
        for name in names:
            cast, _, own = name.rpartition("/")
            if "." not in own and own not in self._all(cast or kind)[0]:
                yield name

    def complaints(self, kind: str, value: Any, where: str) -> Iterator[str]:
        """What is wrong with a value of this type."""
        many = _COLLECTION.fullmatch(kind)
        if value is None:
            return
        if many:
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for at, each in enumerate(value):
                yield from self.complaints(many[1], each, f"{where}[{at}]")
        elif kind in self._members:
            yield from (
                f"{where} is none of its values: {each}"
                for each in str(value).split(",")
                if each not in self._members[kind]
            )
        elif kind in self._types:
            yield from self._of_structure(kind, value, where)
        elif kind == "Edm.DateTimeOffset":
            if not (isinstance(value, str) and _MOMENT.fullmatch(value)):
                yield f"{where} is no moment: {value}"
        elif kind in _JSON_OF and (
            not isinstance(value, _JSON_OF[kind]) or isinstance(value, bool) != (kind == "Edm.Boolean")
        ):
            yield f"{where} is {type(value).__name__}, not {kind}"

    def _of_structure(self, kind: str, value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        told = str(value.get("@odata.type", "")).removeprefix("#")
        if told and not self._is(told, kind):
            yield f"{where} is of {told}, which is no {kind}"
            return
        properties, is_open = self._all(told or kind)
        for name, each in value.items():
            if name in properties:
                yield from self.complaints(properties[name], each, f"{where}.{name}")
            elif "@" not in name and not is_open:
                yield f"{where} has an unknown {name}"

    # --- the document --------------------------------------------------------------------------------------------

    def _read(self, schema: etree._Element, namespace: str) -> None:
        for each in schema:
            name = f"{namespace}.{each.get('Name')}"
            match etree.QName(each).localname if isinstance(each.tag, str) else "":
                case "EntityType" | "ComplexType":
                    base, is_open = _full(each.get("BaseType", "")), each.get("OpenType") == "true"
                    self._types[name] = Type(base, is_open, dict(_properties(each)))
                case "EnumType":
                    self._members[name] = {str(member.get("Name")) for member in each.iter(f"{_EDM}Member")}
                case "Function" | "Action" if each.get("IsBound") == "true":
                    returned = each.find(f"{_EDM}ReturnType")
                    told = "" if returned is None else _full(returned.get("Type", ""))
                    binding = each.find(f"{_EDM}Parameter")
                    assert binding is not None
                    self._bound[str(each.get("Name"))][_full(binding.get("Type", ""))] = told
                case "EntityContainer":
                    for entry in each:
                        if entry.get("EntityType"):
                            self._roots[str(entry.get("Name"))] = f"Collection({_full(entry.get('EntityType', ''))})"
                        elif entry.get("Type"):
                            self._roots[str(entry.get("Name"))] = _full(entry.get("Type", ""))

    def _step(self, kind: str, part: str) -> str | None:
        """Where a part of a path leads from something of this type."""
        many = _COLLECTION.fullmatch(kind)
        name = part.partition("(")[0].removeprefix("microsoft.graph.")
        if part in ("$value", "$ref", "$count"):
            return ""
        if f"microsoft.graph.{name}" in self._types and part.startswith("microsoft.graph."):
            cast = f"microsoft.graph.{name}"
            return f"Collection({cast})" if many else cast
        for ancestor in self._line(many[1] if many else kind):
            bound = f"Collection({ancestor})" if many else ancestor
            if bound in self._bound.get(name, {}):
                return self._bound[name][bound]
        if many:
            return many[1]
        properties, _ = self._all(kind)
        found = properties.get(part)
        return "" if found == "Edm.Stream" else found

    def _line(self, kind: str) -> Iterator[str]:
        """A type, and those that it inherits from."""
        while kind:
            yield kind
            kind = self._types[kind].base if kind in self._types else ""

    def _is(self, kind: str, other: str) -> bool:
        return other in self._line(kind)

    @functools.cache  # noqa: B019 - there is one of these
    def _all(self, kind: str) -> tuple[dict[str, str], bool]:
        """All properties of a type with those that it inherits, and whether there may be others."""
        types = [self._types[each] for each in self._line(kind) if each in self._types]
        merged = {name: told for each in reversed(types) for name, told in each.properties.items()}
        return merged, any(each.is_open for each in types)


def _full(name: str) -> str:
    return re.sub(r"\bgraph\.(?!.*\bmicrosoft\b)", "microsoft.graph.", name) if "microsoft.graph" not in name else name


def _properties(element: etree._Element) -> Iterator[tuple[str, str]]:
    for each in element:
        if each.tag in (f"{_EDM}Property", f"{_EDM}NavigationProperty"):
            yield str(each.get("Name")), _full(each.get("Type", ""))


def _without_names(parts: list[str]) -> Iterator[str]:
    """The parts of a path, without the names in `root:/General/a.pdf:/content` and `items/ID:/a.pdf`."""
    naming = False
    for part in parts:
        if not naming:
            yield part.removesuffix(":")
        naming = naming != part.endswith(":")


def read(path: Any) -> Metadata:
    """From the file as Microsoft's metadata is kept."""
    return Metadata(gzip.decompress(path.read_bytes()))
