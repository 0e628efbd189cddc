"""Restrictions, sorting and paging of FindItem and FindFolder (EWSD: restriction, indexedpageitemview)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from connector.simulator.ews.soap import Element, Refused, children, find, flag, integer, invalid, local, need

#: What stands at a path: nothing, one value, several.
Values = Callable[[Element], list[str]]
#: EWSD: ews-throttling-in-exchange (EWSFindCountLimit); and where there is a restriction.
_FIND_COUNT_LIMIT, _RESTRICTED, _SHORT = 1000, 250, 2
_NUMERIC = {"Short", "Integer", "Long"}
_T = TypeVar("_T")


def matches(expression: Element, values: Values) -> bool:
    """Whether something with these values satisfies a search expression."""
    name, parts = local(expression), children(expression)
    if name in ("And", "Restriction"):
        return all(matches(part, values) for part in parts)
    if name == "Or":
        return any(matches(part, values) for part in parts)
    if name == "Not":
        return not matches(parts[0], values)
    if name == "Exists":
        return bool(values(parts[0]))
    if name == "Contains":
        return _contains(expression, values(parts[0]))
    if name in _COMPARISONS:
        wanted = _operand(need(expression, "t:FieldURIOrConstant"), values)
        return any(_compare(name, value, other) for value in values(parts[0]) for other in wanted)
    raise Refused("ErrorUnsupportedPathForQuery", f"The simulator has no search expression {name}.")


@dataclass(frozen=True)
class Page:
    """A part of a result, and how its m:RootFolder says where it stands."""

    start: int
    size: int
    fractional: bool = False

    def attributes(self, total: int) -> dict[str, str]:
        """The paging attributes, always complete: DavMail asks for ever without them."""
        end = min(self.start + self.size, total)
        where = {"NumeratorOffset": str(end), "AbsoluteDenominator": str(max(total, 1))}
        paging = where if self.fractional else {"IndexedPagingOffset": str(end)}
        return {**paging, "TotalItemsInView": str(total), "IncludesLastItemInRange": flag(end >= total)}

    def of(self, found: Sequence[_T]) -> Sequence[_T]:
        """The part of what was found."""
        return found[self.start : self.start + self.size]


def page(request: Element, kind: str, total: int, *, short: bool) -> Page:
    """The page that a request asks for, or a `short` one; `kind` is Item or Folder."""
    limit = _FIND_COUNT_LIMIT if find(request, "m:Restriction") is None else _RESTRICTED
    limit = _SHORT if short else limit
    indexed = find(request, f"m:IndexedPage{kind}View")
    fractional = find(request, f"m:FractionalPage{kind}View")
    asked = indexed if indexed is not None else fractional
    if asked is None:
        return Page(0, limit)
    told = asked.get("MaxEntriesReturned")
    size = limit if told is None else integer(told, "MaxEntriesReturned")
    if size < 1:
        raise Refused("ErrorInvalidPagingMaxRows", "MaxEntriesReturned must be positive.")
    if indexed is None:
        part, whole = (integer(asked.get(name), name) for name in ("Numerator", "Denominator"))
        if whole < 1 or not 0 <= part <= whole:
            raise Refused("ErrorInvalidFractionalPagingParameters", "The fraction is none.")
        return Page(total * part // whole, min(size, limit), fractional=True)
    start = integer(asked.get("Offset"), "Offset")
    if start < 0:
        raise Refused("ErrorInvalidIndexedPagingParameters", "Offset must not be negative.")
    if asked.get("BasePoint") == "End":
        start = max(total - start - size, 0)
    return Page(start, min(size, limit))


def ordered(found: list[_T], order: Element | None, values: Callable[[_T, Element], list[str]]) -> list[_T]:
    """What was found, in a t:SortOrder; the last named field decides last."""
    for each in reversed(children(order) if order is not None else []):
        path = children(each)[0] if len(each) else invalid("FieldOrder lacks a field")
        found = sorted(found, key=lambda one: _rank(values(one, path), path), reverse=each.get("Order") == "Descending")
    return found


def _rank(values: list[str], path: Element) -> list[int] | list[str]:
    """Numbers by their size and not by their digits, or DavMail, which pages by the last number, skips messages."""
    numeric = path.get("PropertyType") in _NUMERIC or path.get("FieldURI") == "item:Size"
    return [int(value) for value in values] if numeric else values


def _operand(operand: Element, values: Values) -> list[str]:
    told = children(operand)[0]
    return [told.get("Value") or ""] if local(told) == "Constant" else values(told)


def _contains(expression: Element, values: list[str]) -> bool:
    wanted = need(expression, "t:Constant").get("Value") or ""
    mode = expression.get("ContainmentMode", "FullString")
    if expression.get("ContainmentComparison", "Exact") != "Exact":
        wanted, values = wanted.casefold(), [value.casefold() for value in values]
    return any(_MODES[mode](value, wanted) for value in values)


#: EWSD: contains (ContainmentMode).
_MODES: dict[str, Callable[[str, str], bool]] = {
    "FullString": lambda value, wanted: value == wanted,
    "Prefixed": lambda value, wanted: value.startswith(wanted),
    "Substring": lambda value, wanted: wanted in value,
    "PrefixOnWords": lambda value, wanted: any(word.startswith(wanted) for word in value.split()),
    "ExactPhrase": lambda value, wanted: wanted in value,
}


def _compare(name: str, value: str, other: str) -> bool:
    for kind in (_number, _moment, str.casefold):
        try:
            return _COMPARISONS[name](kind(value), kind(other))
        except ValueError:
            continue
    return False


def _number(value: str) -> int:
    return {"true": 1, "false": 0}[value] if value in ("true", "false") else int(value)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


_COMPARISONS: dict[str, Callable[..., bool]] = {
    "IsEqualTo": lambda value, other: value == other,
    "IsNotEqualTo": lambda value, other: value != other,
    "IsGreaterThan": lambda value, other: value > other,
    "IsGreaterThanOrEqualTo": lambda value, other: value >= other,
    "IsLessThan": lambda value, other: value < other,
    "IsLessThanOrEqualTo": lambda value, other: value <= other,
}
