"""Restrictions, orders and pages of FindItem."""

import pytest

from connector.simulator import Exchange
from tests.exchange import Owner, code, said
from tests.test_simulator import ANNA, eml

_SUBJECT = '<t:FieldURI FieldURI="item:Subject"/>'
_ATTACHED = '<t:FieldURI FieldURI="item:HasAttachments"/>'
_FLAG = '<t:ExtendedFieldURI PropertyTag="0x1090" PropertyType="Integer"/>'
_HEADER = (
    '<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="Message-Id" PropertyType="String"/>'
)


def _is(comparison: str, path: str, value: str) -> str:
    constant = f'<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
    return f"<t:{comparison}>{path}{constant}</t:{comparison}>"


def _contains(mode: str, comparison: str, path: str, value: str) -> str:
    how = f'ContainmentMode="{mode}" ContainmentComparison="{comparison}"'
    return f'<t:Contains {how}>{path}<t:Constant Value="{value}"/></t:Contains>'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (_is("IsEqualTo", _SUBJECT, "B"), "b"),
        (_is("IsNotEqualTo", _SUBJECT, "b"), "ac"),
        (_is("IsGreaterThan", _SUBJECT, "a"), "bc"),
        (_is("IsGreaterThan", '<t:FieldURI FieldURI="item:Size"/>', "100000"), ""),
        (_is("IsLessThan", '<t:FieldURI FieldURI="item:DateTimeReceived"/>', "2100-01-01T00:00:00+01:00"), "abc"),
        (_is("IsEqualTo", _ATTACHED, "1"), "c"),
        (f"<t:Exists>{_SUBJECT}</t:Exists>", "abc"),
        (f"<t:Exists>{_FLAG}</t:Exists>", ""),
        (f"<t:Not>{_is('IsEqualTo', _SUBJECT, 'a')}</t:Not>", "bc"),
        (f"<t:Or>{_is('IsEqualTo', _SUBJECT, 'a')}{_is('IsEqualTo', _ATTACHED, 'true')}</t:Or>", "ac"),
        (f"<t:And>{_is('IsGreaterThan', _SUBJECT, 'a')}{_is('IsEqualTo', _ATTACHED, 'false')}</t:And>", "b"),
        (_contains("Prefixed", "IgnoreCase", _HEADER, "&lt;A@"), "a"),
        (_contains("FullString", "Exact", _SUBJECT, "C"), ""),
    ],
)
def test_restrictions(exchange: Exchange, anna: Owner, expression: str, expected: str) -> None:
    """Fields, MAPI properties and headers can be compared; a field that an item has not satisfies nothing."""
    items = {exchange.deliver(ANNA, eml(name, *(["a.pdf"] if name == "c" else []))): name for name in "abc"}

    found = anna.find("inbox", restriction=f"<m:Restriction>{expression}</m:Restriction>")

    assert "".join(sorted(items[item] for item in found)) == expected


def _find(view: str, order: str = "") -> str:
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        f"{_SUBJECT}</t:AdditionalProperties></m:ItemShape>{view}{order}<m:ParentFolderIds>"
        '<t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
    )


@pytest.mark.parametrize(
    ("view", "expected", "last"),
    [
        ('<m:IndexedPageItemView MaxEntriesReturned="2" Offset="0" BasePoint="Beginning"/>', "ed", "false"),
        ('<m:IndexedPageItemView MaxEntriesReturned="2" Offset="4" BasePoint="Beginning"/>', "a", "true"),
        ('<m:IndexedPageItemView MaxEntriesReturned="2" Offset="9" BasePoint="Beginning"/>', "", "true"),
        ('<m:IndexedPageItemView MaxEntriesReturned="2" Offset="1" BasePoint="End"/>', "cb", "false"),
        ('<m:FractionalPageItemView MaxEntriesReturned="2" Numerator="1" Denominator="2"/>', "cb", "false"),
        ("", "edcba", "true"),
    ],
)
def test_pages(exchange: Exchange, anna: Owner, view: str, expected: str, last: str) -> None:
    """Newest first, page by page; every page says whether it is the last, an empty one too."""
    for name in "abcde":
        exchange.deliver(ANNA, eml(name))

    found = anna.ask(_find(view))

    assert "".join(said(found, "t:Subject")) == expected
    root = found.find(".//{*}RootFolder")
    assert root is not None
    assert (root.get("IncludesLastItemInRange"), root.get("TotalItemsInView")) == (last, "5")


def test_orders(exchange: Exchange, anna: Owner) -> None:
    """What SortOrder names first decides first."""
    for name in ("b", "a", "c"):
        exchange.deliver(ANNA, eml(name, *(["a.pdf"] if name == "a" else [])))
    order = (
        f'<m:SortOrder><t:FieldOrder Order="Ascending">{_ATTACHED}</t:FieldOrder>'
        f'<t:FieldOrder Order="Descending">{_SUBJECT}</t:FieldOrder></m:SortOrder>'
    )

    assert said(anna.ask(_find("", order)), "t:Subject") == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (
            '<m:IndexedPageItemView MaxEntriesReturned="0" Offset="0" BasePoint="Beginning"/>',
            "ErrorInvalidPagingMaxRows",
        ),
        ('<m:IndexedPageItemView Offset="-1" BasePoint="Beginning"/>', "ErrorInvalidIndexedPagingParameters"),
        ('<m:FractionalPageItemView Numerator="2" Denominator="1"/>', "ErrorInvalidFractionalPagingParameters"),
    ],
)
def test_pages_that_cannot_be(anna: Owner, view: str, expected: str) -> None:
    """A page without entries, before the beginning or behind the end is refused by its own error."""
    assert code(anna.ask(_find(view))) == expected
