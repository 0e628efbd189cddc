"""What goes over the wire, as the client's libraries hand it to `requests`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole, and the status of its reply."""

    #: Of EWS, or the method of WebDAV.
    operation: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def path(self) -> str:
        """Where it goes on its server."""
        return unquote(urlsplit(self.url).path)

    def about(self, others: Mapping[str, str]) -> "Request":
        """The same request about something else: wherever a key stands, its value."""
        url, headers, body = self.url, self.headers, self.body
        for old, new in others.items():
            url, body = url.replace(old, new), body.replace(old.encode(), new.encode())
            headers = {name: value.replace(old, new) for name, value in headers.items()}
        return replace(self, url=url, headers=headers, body=body)


@contextmanager
def recorded() -> Iterator[list[Request]]:
    """All requests of this process, in their order. The list is complete when the context ends."""
    requests: list[Request] = []
    send = HTTPAdapter.send

    def remembered(adapter: HTTPAdapter, request: PreparedRequest, **how: Any) -> Response:
        response = send(adapter, request, **how)
        requests.append(_request(request, response))
        return response

    HTTPAdapter.send = remembered  # type: ignore[assignment,method-assign]  # it passes on whatever it is given
    try:
        yield requests
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


def _request(request: PreparedRequest, response: Response) -> Request:
    content: Any = request.body or b""
    # Uploads can be read twice: Digest and NTLM may need it.
    body = content.encode() if isinstance(content, str) else b"".join([content] if type(content) is bytes else content)
    assert request.method
    assert request.url
    headers = {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}
    # The length may be another one when it is sent again.
    headers.pop("Content-Length", None)
    return Request(_operation(request.method, headers, body), request.method, request.url, headers, body, response.status_code)


def _operation(method: str, headers: Mapping[str, str], body: bytes) -> str:
    if "X-AnchorMailbox" in headers:
        return str(etree.QName(etree.fromstring(body)[-1][0]).localname)
    return method
