"""SOAP as Exchange speaks it: names, envelopes, errors, and replies that are sent while they are read."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import NoReturn, TypeAlias, cast

from lxml import etree
from lxml.etree import _Element

Element: TypeAlias = _Element

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
_NAMES = {"s": SOAP, "m": MESSAGES, "t": TYPES}


@dataclass(frozen=True, slots=True)
class Namespace:
    """Makes elements: `T.ItemId(Id="x")`, `T.Items(first, second)`, `T.Subject("text")`. None adds nothing."""

    uri: str
    prefixes: Mapping[str, str]

    def __getattr__(self, name: str) -> "Callable[..., Element]":
        return partial(self, name)

    def __call__(self, name: str, *content: "Element | str | None", **attributes: str) -> Element:
        """An element of this name."""
        element = etree.Element(f"{{{self.uri}}}{name}", attributes, self.prefixes)
        for each in content:
            if isinstance(each, str):
                element.text = each
            elif each is not None:
                element.append(each)
        return element


S = Namespace(SOAP, {"s": SOAP, "m": MESSAGES, "t": TYPES})
M = Namespace(MESSAGES, S.prefixes)
T = Namespace(TYPES, S.prefixes)
#: Without a prefix for SOAP: the form of a stream of events.
_BARE = Namespace(SOAP, {cast("str", None): SOAP, "m": MESSAGES, "t": TYPES})

#: Exactly this: DavMail compares the string.
CONTENT_TYPE = "text/xml; charset=utf-8"
#: ews-javascript-api and others look for the declaration with double quotes.
DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>'

#: Exchange 2016 CU23. Clients choose from it what they ask (EWSD: serverversioninfo).
VERSION = {"MajorVersion": "15", "MinorVersion": "1", "MajorBuildNumber": "2507", "MinorBuildNumber": "6"}
SCHEMA_VERSION = "V2017_07_11"


@dataclass
class Refused(Exception):
    """An answer that is an error: in the place of one result, or as a fault of the whole request."""

    code: str
    text: str = ""
    fault: bool = False
    back_off: int | None = None


def invalid(what: str) -> NoReturn:
    """Refuse a request that the schema does not allow (Microsoft: responsecode, ErrorSchemaValidation)."""
    raise Refused("ErrorSchemaValidation", f"The request failed schema validation: {what}", fault=True)


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    return etree.QName(element).localname


def find(parent: Element, path: str) -> Element | None:
    """The first element at this path of `m:` and `t:` names."""
    return parent.find(path, _NAMES)


def need(parent: Element, path: str) -> Element:
    """The first element at this path; without it the request is invalid."""
    found = parent.find(path, _NAMES)
    return found if found is not None else invalid(f"{local(parent)} lacks {path}")


def children(parent: Element) -> list[Element]:
    """The child elements, without comments."""
    return [child for child in parent if isinstance(child.tag, str)]


def is_true(parent: Element, path: str) -> bool:
    """An xs:boolean element that may be absent."""
    found = parent.find(path, _NAMES)
    return found is not None and (found.text or "").strip() in ("true", "1")


def integer(text: str | None, what: str) -> int:
    """An xs:int; anything else makes the request invalid."""
    if text is None or not re.fullmatch(r"\s*-?\d{1,10}\s*", text):
        invalid(f"{what} is no integer")
    return int(text)


def flag(value: bool) -> str:  # noqa: FBT001 - it is what is written
    """An xs:boolean."""
    return "true" if value else "false"


def read(envelope: bytes) -> tuple[Element, Element]:
    """The header (empty where there is none) and the request of an envelope."""
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(envelope, parser)
    except etree.XMLSyntaxError as error:
        raise Refused("ErrorSchemaValidation", "The request is not well-formed XML.", fault=True) from error
    body = root.find("s:Body", _NAMES)
    if body is None or len(body) != 1:
        invalid("the envelope needs a body with one element")
    header = root.find("s:Header", _NAMES)
    return header if header is not None else S.Header(), body[0]


class Blobs:
    """Base64 that is too big for a tree: a mark stands in the tree, the bytes join in when the reply is sent."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._sources: list[Callable[[], Iterable[bytes]]] = []

    def later(self, source: Callable[[], Iterable[bytes]]) -> str:
        """The text to put where the bytes of `source` shall stand."""
        self._sources.append(source)
        return f"{self._mark}{len(self._sources) - 1:06}"

    def fill(self, document: bytes) -> Iterator[bytes]:
        """The document, with the bytes in the place of their marks."""
        parts = re.split(self._mark.encode() + rb"(\d{6})", document)
        for at, part in zip(count(), parts, strict=False):
            if at % 2:
                yield from self._sources[int(part)]()
            else:
                yield part


def envelope(reply: Element) -> bytes:
    """A reply in its envelope."""
    document = S.Envelope(S.Header(_version()), S.Body(reply))
    return DECLARATION + etree.tostring(document, encoding="utf-8")


def event_envelope(reply: Element) -> bytes:
    """A part of a stream of events: no declaration, no prefix, or ews-javascript-api does not find its ends."""
    return etree.tostring(_BARE.Envelope(_BARE.Header(_version()), _BARE.Body(reply)), encoding="utf-8")


def fault(refused: Refused) -> bytes:
    """The fault of a request that was refused as a whole (Microsoft: soap-fault, backoffmilliseconds)."""
    text = refused.text or refused.code
    detail = etree.Element("detail")
    etree.SubElement(detail, f"{{{ERRORS}}}ResponseCode", nsmap={"e": ERRORS}).text = refused.code
    etree.SubElement(detail, f"{{{ERRORS}}}Message", nsmap={"e": ERRORS}).text = text
    if refused.back_off is not None:
        detail.append(_back_off(T.MessageXml, refused.back_off))
    told = S.Fault()
    code = etree.SubElement(told, "faultcode", nsmap={"a": TYPES})
    code.text = f"a:{refused.code}"
    etree.SubElement(told, "faultstring").text = text
    told.append(detail)
    return DECLARATION + etree.tostring(S.Envelope(S.Body(told)), encoding="utf-8")


def success(name: str, *content: Element, **attributes: str) -> Element:
    """One result that went well."""
    return M(f"{name}ResponseMessage", M.ResponseCode("NoError"), *content, ResponseClass="Success", **attributes)


def failure(name: str, refused: Refused, *content: Element) -> Element:
    """One result that is an error; its type may need (empty) content all the same."""
    message = M(
        f"{name}ResponseMessage",
        M.MessageText(refused.text or refused.code),
        M.ResponseCode(refused.code),
        M.DescriptiveLinkKey("0"),
        ResponseClass="Error",
    )
    if refused.back_off is not None:
        message.append(_back_off(M.MessageXml, refused.back_off))
    message.extend(content)
    return message


def response(name: str, messages: Iterable[Element]) -> Element:
    """The reply of an operation, with a message for each thing that was asked."""
    return M(f"{name}Response", M.ResponseMessages(*messages))


def _back_off(maker: Callable[..., Element], milliseconds: int) -> Element:
    return maker(T.Value(str(milliseconds), Name="BackOffMilliseconds"))


def _version() -> Element:
    return T.ServerVersionInfo(Version=SCHEMA_VERSION, **VERSION)


def as_message(operation: str, refused: Refused) -> bytes:
    """A refusal of the whole request that comes as a result, not as a fault."""
    return envelope(response(operation, [failure(operation, refused, *_EMPTY.get(operation, tuple)())]))


#: What the type of a result must contain, be it an error.
_EMPTY: dict[str, Callable[[], tuple[Element, ...]]] = {
    **dict.fromkeys(("GetItem", "CreateItem", "UpdateItem", "MoveItem", "CopyItem"), lambda: (M.Items(),)),
    **dict.fromkeys(("GetAttachment", "CreateAttachment"), lambda: (M.Attachments(),)),
}
