"""How requests say who asks: by an app password, or by the secret of an app that acts as anybody (AppAPI)."""

import base64
from collections.abc import Mapping
from typing import Any

from requests.auth import AuthBase

#: The version of AppAPI's protocol that we speak.
_PROTOCOL = "2.2.0"


class Login(AuthBase):
    """Headers of every request, be it one of `requests` or of httpx."""

    def __init__(self, headers: Mapping[str, str], refused: str) -> None:
        """`refused` tells an operator what it means that a server does not accept them."""
        self._headers = headers
        self.refused = refused

    def __call__(self, request: Any) -> Any:
        """Put them in."""
        request.headers.update(self._headers)
        return request


def by_password(user: str, password: str) -> Login:
    """A login by name and password, in UTF-8 (RFC 7617 section 2.1)."""
    headers = {"Authorization": f"Basic {_told(user, password)}"}
    return Login(headers, "it does not accept the user name and password")


def by_app(app: str, version: str, secret: str, user: str) -> Login:
    """An app that acts as an account. A higher version than was registered is taken for an update of the app."""
    headers = {
        "EX-APP-ID": app,
        "EX-APP-VERSION": version,
        "AA-VERSION": _PROTOCOL,
        "AUTHORIZATION-APP-API": _told(user, secret),
    }
    there_is = "there is no such account, or `appapi` has a wrong id or secret"
    return Login(headers, f"it does not accept that the app acts as {user}: {there_is}")


def _told(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode("ascii")
