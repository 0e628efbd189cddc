"""Who is at the pages: logged in by a proxy that is believed, or at the house's own issuer, or nobody knows."""

import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError, HTTPStatusError
from itsdangerous import BadData, URLSafeTimedSerializer
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from connector.config.yamlfile import ConfigError
from connector.errors import Unavailable, cause
from connector.links.settings import Oidc, Proxy, secret

#: Seconds; then the issuer is asked again, which most do without a word.
SESSION = 8 * 3600
_REMEMBERED = 20_000
#: `/r/` and the id of a publication.
_LONGEST_PAGE = 83
#: Where the issuer does not answer; or, by what authlib makes of whatever JSON came, something else does in its place.
_NO_ISSUER = (HTTPError, RuntimeError, TypeError)
#: What whoever made up a way back can do, or an issuer whose word does not count.
_FAILURES = (AuthlibBaseError, JoseError, ValueError, KeyError)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a login of the house."""

    #: For those who look after the house.
    name: str
    #: What opens something: an address, `user:ID`, `group:NAME`.
    words: frozenset[str]

    def among(self, readers: Iterable[str]) -> bool:
        """Whether one of these words is the visitor's."""
        return not self.words.isdisjoint(readers)


def visitor(user: str, email: str, groups: Iterable[str]) -> Visitor | None:
    """A visitor from what a login says; None where it names nobody."""
    user, email = user.strip(), email.strip().lower()
    if not user and not email:
        return None
    words = {f"group:{each.strip()}" for each in groups if each.strip()}
    words |= {email} if email else set()
    words |= {f"user:{user}"} if user else set()
    return Visitor(user or email, frozenset(words))


def behind_proxy(request: Request, proxy: Proxy | None) -> Visitor | None:
    """Whom the proxy has logged in. What others send in its headers is never looked at."""
    if proxy is None or not request.scope.get("connector.trusted"):
        return None

    def said(name: str | None) -> str:
        values = request.headers.getlist(name) if name else []
        # Two of one name: the proxy added its own, and let the client's through.
        return _text(values[0]) if len(values) == 1 else ""

    return visitor(said(proxy.user), said(proxy.email), said(proxy.groups).split(","))


def _text(value: str) -> str:
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


class Issuer:
    """The house's own login, and who came back from it. Names and groups stay here: a cookie holds a number only."""

    def __init__(self, settings: Oidc, url: str) -> None:
        """`url` is the address of the pages. Raises ConfigError."""
        self._settings = settings
        self._back = f"{url}/login/back"
        client: dict[str, Any] = {
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "trust_env": False,
            "timeout": 10,
        }
        if settings.ca:
            try:
                client["verify"] = ssl.create_default_context(cafile=str(settings.ca))
            except OSError:
                raise ConfigError(f"oidc.ca: {settings.ca} holds no certificates (PEM)") from None
        self._client: Any = OAuth().register(
            "house",
            client_id=settings.client_id,
            client_secret=secret(settings.client_secret, "oidc.client_secret"),
            server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
            client_kwargs=client,
        )
        self._sessions: OrderedDict[str, tuple[float, Visitor]] = OrderedDict()
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="back")

    def known(self, request: Request) -> Visitor | None:
        """Who came back from the login in this browser, not too long ago."""
        until, found = self._sessions.get(request.session.get("number", ""), (0.0, None))
        return found if until > time.monotonic() else None

    async def ask(self, request: Request, back_to: str) -> Response:
        """Send the browser to the issuer. Raises Unavailable where that does not answer."""
        request.session.clear()
        try:
            # For `wanted`. Short: it stands in a cookie, and browsers keep none that is long.
            page = "/".join(back_to.split("/")[:3])[:_LONGEST_PAGE]
            state = self._signer.dumps([secrets.token_urlsafe(32), page])
            answer: Response = await self._client.authorize_redirect(request, self._back, state=state)
        except (*_NO_ISSUER, *_FAILURES) as error:
            raise self._unavailable(error) from None
        request.session["back_to"] = back_to
        return answer

    def wanted(self, request: Request) -> str:
        """The page that whoever comes back from the issuer wanted; "" where that is not what we told the issuer.

        A browser remembers one login that is under way. Where two tabs ask at a time, the way back of one of them does
        not count, and this is all that is known of it.
        """
        try:
            _, page = self._signer.loads(request.query_params.get("state", ""), max_age=SESSION)
        except BadData:
            return ""
        return str(page)

    async def welcome(self, request: Request) -> str | None:
        """Take who comes back from the issuer; returns where to go on, or None where the login does not count.

        Raises Unavailable where the issuer does not answer.
        """
        back_to = request.session.get("back_to")
        try:
            token = await self._client.authorize_access_token(request)
        except _NO_ISSUER as error:
            raise self._unavailable(error) from None
        except _FAILURES:
            return None
        found = self._visitor(token.get("userinfo") or {})
        if found is None or not isinstance(back_to, str):
            return None
        request.session.clear()
        number = secrets.token_urlsafe(32)
        request.session["number"] = number
        self._sessions[number] = (time.monotonic() + SESSION, found)
        if len(self._sessions) > _REMEMBERED:
            self._sessions.popitem(last=False)
        return back_to

    def _unavailable(self, error: Exception) -> Unavailable:
        match error:
            case HTTPStatusError():
                told = f"it answers with the HTTP status {error.response.status_code}"
            case HTTPError():
                told = cause(error)
            case _:
                told = "what answers there is no issuer of OpenID Connect"
        return Unavailable(f"nobody can log in at {self._settings.issuer}: {told}")

    def _visitor(self, claims: Mapping[str, Any]) -> Visitor | None:
        groups = claims.get(self._settings.groups_claim) or ()
        # An address that the issuer has not verified is whatever somebody typed.
        email = str(claims.get("email") or "") if claims.get("email_verified", True) is True else ""
        listed = groups if isinstance(groups, list) else str(groups).split(",")
        return visitor(str(claims.get(self._settings.user_claim) or ""), email, map(str, listed))
