"""One server over HTTP: `requests`, without what that does anew for every request.

For each request `requests` merges settings with the environment's, parses the address five times, and fills two cookie
jars. That costs more than the request itself, and nothing of it is wanted here. What stays the library's is what it
serves for: authentication (Basic, Digest, NTLM and Kerberos are hooks, and work as they do there), TLS, the pool of
connections, and its errors.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.hooks import dispatch_hook

from connector.wire import POOLS

Untyped = Any  # the stubs of requests know too little of what the library shows
#: Seconds that a stranger waits for an answer.
_PATIENCE = 30
#: What asks for something and brings nothing along; all else says how much it brings, be it nothing.
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class Body(Sized, Iterable[bytes], Protocol):
    """Bytes on their way out: with their true length, and from the beginning as often as they are asked for."""


class Session(requests.Session):
    """Asks the server of one address. It follows no redirects, and heeds nothing from the environment.

    Addresses must be quoted already. Nothing of a reply is read before it is asked for, whatever `stream` says.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """`url` begins with the scheme, host and port of every request; `headers` go with each of them."""
        super().__init__()
        self.trust_env = False
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self._always = {"Host": host, "User-Agent": "connector", "Accept-Encoding": "identity", **headers}
        self._server = f"{parts.scheme}://{parts.netloc}"
        self._adapter = _Adapter(self._server)
        self.mount(self._server, self._adapter)

    def request(  # type: ignore[override]  # what else the library takes makes no sense with one server
        self,
        method: str,
        url: str,
        *,
        data: bytes | Body | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | urllib3.Timeout | None = None,
        **_: object,
    ) -> requests.Response:
        """Send one request, and what authentication makes of it; see `requests.Session.request`."""
        request: Untyped = requests.PreparedRequest()
        request.method, request.url, request.body, request.hooks = method, url, data, {"response": []}
        request.headers = {**self._always, **(headers or {})}
        if data is not None or method not in _BODILESS:
            request.headers["Content-Length"] = str(len(data or b""))
        request._cookies = self.cookies  # noqa: SLF001 - where `prepare_cookies` would put them, were there any
        if len(self.cookies):
            request.prepare_cookies(self.cookies)
        log_in: Untyped = self.auth
        if log_in:
            request = log_in(request)
        sending: Untyped = {"timeout": timeout, "verify": self.verify, "cert": self.cert, "stream": True}
        response: requests.Response = self._adapter.send(request, **sending)
        if request.hooks["response"]:
            response = dispatch_hook("response", request.hooks, response, **sending)  # type: ignore[no-untyped-call]
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(self.cookies, request, response.raw)  # type: ignore[no-untyped-call]
        return response


class Basic(AuthBase):
    """A login by name and password, whose header is made once."""

    def __init__(self, user: str, password: str) -> None:
        # Left as text, requests would take them for Latin-1; servers read UTF-8 (RFC 7617 section 2.1).
        self._header = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The hook of requests."""
        request.headers["Authorization"] = self._header
        return request


class _Adapter(HTTPAdapter):
    """The way to one server: what the library finds out for every request is found out once."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = server
        self._pool: Untyped = None

    def init_poolmanager(self, *args: Untyped, **kwargs: Untyped) -> None:
        """What makes pools, and so connections."""
        super().init_poolmanager(*args, **kwargs)
        manager: Untyped = self.poolmanager
        manager.pool_classes_by_scheme = POOLS

    def get_connection_with_tls_context(self, *args: Untyped, **kwargs: Untyped) -> Untyped:
        """The pool of connections to the server."""
        self._pool = self._pool or super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, _proxies: object) -> str:
        """What stands in the first line of a request: the address without the server."""
        return str(request.url).removeprefix(self._server) or "/"

    def build_response(self, request: requests.PreparedRequest, answer: Untyped) -> requests.Response:
        """What came, in the library's terms; its cookies are for `Session`."""
        response = _Response()
        response.status_code, response.reason, response.url = answer.status, answer.reason or "", str(request.url)
        response.headers = answer.headers  # as heedless of case
        response.raw, response.request, response.connection = answer, request, self
        return response


class _Response(requests.Response):
    """An answer. The library makes a jar of cookies and a table of headers for each, and then others come in."""

    def __init__(self) -> None:
        self._content: Untyped = False
        self._content_consumed = False
        self.history = []
        self.encoding = None


def as_a_stranger(url: str, verify: bool | str) -> int | None:  # noqa: FBT001 - as requests has it
    """The HTTP status with which somebody ends who follows this link and has no login; None where nobody answers."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.head(url, verify=verify, timeout=_PATIENCE, allow_redirects=True).status_code
        except requests.RequestException:
            return None
