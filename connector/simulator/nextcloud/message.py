"""Requests, replies, and errors as Nextcloud words them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

SABRE = "Sabre\\DAV\\Exception\\"
OCA = "OCA\\DAV\\Connector\\Sabre\\Exception\\"


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    #: Decoded.
    path: str
    query: Mapping[str, str]
    #: By their names in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: The body ended before the length that was announced.
    torn: bool
    client: str
    #: While its body came, another PUT to the same name had begun before.
    contested: bool = False

    @classmethod
    def of(
        cls,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        torn: bool,
        client: str,
        contested: bool = False,
    ) -> "Request":
        """From what came over the wire."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = {name.lower(): value for name, value in headers}
        return cls(method, decoded(parts.path), query, known, body, torn, client, contested)

    def __contains__(self, header: str) -> bool:
        return header.lower() in self.headers

    def header(self, name: str) -> str:
        """Empty where it did not come."""
        return self.headers.get(name.lower(), "")


@dataclass
class Reply:
    """What is answered."""

    status: int
    body: bytes = b""
    content_type: str = "application/xml; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    #: Several of one name.
    cookies: tuple[str, ...] = ()


class Refused(Exception):
    """An error of WebDAV."""

    def __init__(self, status: int, exception: str, message: str = "", more: str = "") -> None:
        super().__init__(f"{status} {exception}: {message}")
        self.status, self.exception, self.message, self.more = status, exception, message, more

    def reply(self) -> Reply:
        """As XML."""
        told = (
            '<?xml version="1.0" encoding="utf-8"?>\n<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
            f"<s:exception>{escape(self.exception)}</s:exception><s:message>{escape(self.message)}</s:message>"
            f"{self.more}</d:error>"
        )
        headers = {}
        if self.status == 401:  # noqa: PLR2004
            headers["WWW-Authenticate"] = 'Basic realm="Nextcloud", charset="UTF-8"'
        return Reply(self.status, told.encode(), headers=headers)


class OcsRefused(Exception):
    """An error of the API: facts, 3, version 2 has the same number in HTTP."""

    def __init__(self, status: int, message: str, code: int | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code or status
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}


def decoded(path: str) -> str:
    """Facts, 2.5: what is no UTF-8 is taken for Latin-1."""
    told = unquote_to_bytes(path)
    try:
        return told.decode()
    except UnicodeDecodeError:
        return told.decode("latin-1")


def not_found(path: str) -> Refused:
    """Nothing is there."""
    return Refused(404, f"{SABRE}NotFound", f"File with name /{path} could not be located")


def forbidden(message: str = "") -> Refused:
    """It is there, and not for everybody."""
    return Refused(403, f"{SABRE}Forbidden", message)


def ocs(data: Any, *, version: int, status: int = 200, message: str = "OK", code: int | None = None) -> Any:
    """The envelope of the API."""
    good = 100 if version == 1 else 200
    meta = {"status": "ok" if status == 200 else "failure", "statuscode": code or good, "message": message}  # noqa: PLR2004
    return {"ocs": {"meta": meta, "data": data}}
