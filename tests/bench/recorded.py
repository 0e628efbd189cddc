"""What goes over the wire, as the clients hand it to `requests`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole, and the status of its reply."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def name(self) -> str:
        """What it asks for: the operation of EWS, or the method of WebDAV and the last part of its path."""
        if b"Envelope" in self.body[:200]:
            return str(etree.QName(etree.fromstring(self.body)[-1][0]).localname)
        return f"{self.method} {unquote(urlsplit(self.url).path)}"


@contextmanager
def recorded() -> Iterator[list[Request]]:
    """All requests of this process, in their order."""
    requests: list[Request] = []
    send = HTTPAdapter.send

    def remembered(self: HTTPAdapter, request: PreparedRequest, **how: Any) -> Response:
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
        response = send(self, request, **how)
        requests.append(Request(request.method, request.url, dict(request.headers), body, response.status_code))
        return response

    HTTPAdapter.send = remembered
    try:
        yield requests
    finally:
        HTTPAdapter.send = send
