"""Requests and replies of Graph, its errors, and its query options."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Never
from urllib.parse import parse_qsl, unquote, urlsplit

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


class Refused(Exception):
    """An error as Graph tells it."""

    def __init__(self, status: int, code: str, says: str = "", *headers: tuple[str, str]) -> None:
        super().__init__(code)
        self.status, self.code, self.says, self.headers = status, code, says or code, headers


def invalid(says: str) -> Never:
    """Raise what Graph answers to a request that makes no sense."""
    raise Refused(HTTPStatus.BAD_REQUEST, "invalidRequest", says)


@dataclass
class Request:
    """A request; its body is read when somebody asks for it."""

    method: str
    #: As it was sent, but for the query.
    path: str
    query: dict[str, str]
    #: By their names in lower case.
    headers: Mapping[str, str]
    #: Scheme, host and port by which the client came here.
    host: str
    _pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))
    _whole: bytes | None = None

    @classmethod
    def to(
        cls, method: str, target: str, headers: Iterable[tuple[str, str]], host: str, pieces: Iterable[bytes] = ()
    ) -> "Request":
        """A request to a path with its query. Names of headers have no case, and one may come several times."""
        known: dict[str, str] = {}
        for name, value in headers:
            known[name.lower()] = f"{known[name.lower()]}, {value}" if name.lower() in known else value
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return cls(method, parts.path, query, known, host, iter(pieces))

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece, once."""
        return self._pieces if self._whole is None else iter([self._whole])

    def body(self) -> bytes:
        """The whole body."""
        if self._whole is None:
            self._whole = b"".join(self._pieces)
        return self._whole

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            told = json.loads(self.body())
        except ValueError:
            invalid("Unable to read JSON request payload.")
        return told if isinstance(told, dict) else invalid("The request payload is no object.")

    def header(self, name: str, default: str = "") -> str:
        """The value of a header."""
        return self.headers.get(name.lower(), default)

    def prefers(self, name: str) -> str | None:
        """The value of a preference; None where it was not told."""
        for each in self.header("Prefer").split(","):
            key, _, value = each.strip().partition("=")
            if key.strip().lower() == name.lower():
                return value.strip().strip('"')
        return None


@dataclass
class Reply:
    """An answer: JSON, or bytes piece by piece, or nothing."""

    status: int = HTTPStatus.OK
    json: Any = None
    pieces: Iterable[bytes] | None = None
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    #: How many bytes `pieces` have, where that is known.
    length: int | None = None

    @classmethod
    def of(cls, refused: Refused, inner: dict[str, str]) -> "Reply":
        """The reply that tells an error."""
        error = {"code": refused.code, "message": refused.says, "innerError": inner}
        return cls(refused.status, {"error": error}, headers=refused.headers)


NO_CONTENT = Reply(HTTPStatus.NO_CONTENT)


@dataclass(frozen=True)
class Options:
    """Query options. Graph takes them with and without `$`."""

    select: frozenset[str] | None = None
    #: What to expand, and the text in its parentheses.
    expand: dict[str, str] = field(default_factory=dict)
    top: int | None = None
    skip: int = 0
    filter: str = ""
    orderby: str = ""
    count: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Options":
        """The options in a query."""
        told = {key.removeprefix("$").lower(): value for key, value in query.items()}
        names = frozenset(each.strip() for each in told.get("select", "").split(",") if each.strip())
        return cls(
            select=names or None,
            expand=_expanded(told.get("expand", "")),
            top=_number(told["top"]) if "top" in told else None,
            skip=_number(told.get("skip", "0")),
            filter=told.get("filter", ""),
            orderby=told.get("orderby", ""),
            count=told.get("count", "").lower() == "true",
        )

    def selected(self, entity: dict[str, Any], *always: str) -> dict[str, Any]:
        """What `$select` leaves of an entity: the id and annotations always stay."""
        if self.select is None:
            return entity
        # A property of a derived type stands behind the name of that type.
        kept = {each.rpartition("/")[2].lower() for each in self.select} | {"id", *always}
        return {key: value for key, value in entity.items() if "@" in key or key.lower() in kept}


def split(text: str, separator: str = ",") -> list[str]:
    """Split at a separator that stands outside of parentheses and quotes."""
    found, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if not depth and not quoted and text.startswith(separator, at):
            found.append(text[start:at].strip())
            start = at + len(separator)
    return [*found, text[start:].strip()]


def parameters(path: str) -> str:
    """A part of a path as it is meant."""
    return unquote(path)


def _expanded(text: str) -> dict[str, str]:
    parts = (re.fullmatch(r"([\w./]+)(?:\((.*)\))?", each, re.DOTALL) for each in split(text) if each)
    return {each[1]: each[2] or "" for each in (found or invalid("$expand makes no sense.") for found in parts)}


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,6}", text) else invalid("An option is no number.")
