"""Who is on the other side of a connection: Basic, and NTLM where pyspnego is installed."""

import base64
import binascii
import importlib.util
import os
import tempfile
import threading
from typing import Any

from connector.simulator.organisation import Organisation, domain_name

_REALM = 'Basic realm="127.0.0.1"'
#: pyspnego finds its accounts through the environment, which all threads share.
_ENVIRONMENT = threading.Lock()


def has_ntlm() -> bool:
    """Whether NTLM can be offered."""
    return importlib.util.find_spec("spnego") is not None


class Login:
    """The login of one connection. NTLM proves a connection, not a request, so it lasts as long as that."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._user: str | None = None
        self._context: Any = None

    def check(self, authorization: str | None) -> tuple[str | None, list[str]]:
        """The user, or what to say in WWW-Authenticate."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            user = self._basic(token)
            return user, self._offers()
        if scheme.lower() == "ntlm" and has_ntlm():
            return self._ntlm(token)
        return self._user, self._offers()

    def _offers(self) -> list[str]:
        return ["NTLM", _REALM] if has_ntlm() else [_REALM]

    def _basic(self, token: str) -> str | None:
        try:
            name, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._organisation.may(name, password)

    def _ntlm(self, token: str) -> tuple[str | None, list[str]]:
        import spnego  # noqa: PLC0415 - of the demo extra; Basic works without it

        try:
            reply = self._step(spnego, token)
        except (spnego.exceptions.SpnegoError, binascii.Error, ValueError):
            self._context = None
            return None, self._offers()
        if not self._context.complete:
            return None, [f"NTLM {base64.b64encode(reply or b'').decode('ascii')}"]
        self._user = self._organisation.user(self._context.client_principal)
        self._context = None
        return self._user, self._offers()

    def _step(self, spnego: Any, token: str) -> bytes | None:
        with _ENVIRONMENT, _accounts(self._organisation) as file:
            os.environ["NTLM_USER_FILE"] = file.name
            if self._context is None:
                self._context = spnego.server(hostname="127.0.0.1", service="http", protocol="ntlm")
            reply: bytes | None = self._context.step(base64.b64decode(token, validate=True))
            return reply


def _accounts(organisation: Organisation) -> Any:
    """A file in Heimdal's form, `DOMAIN:USER:PASSWORD`, with each account under both of its names."""
    file = tempfile.NamedTemporaryFile("w")  # noqa: SIM115 - the caller closes it
    for user, password in organisation.passwords.items():
        domain, name = domain_name(user)
        file.write(f":{user}:{password}\n{domain.upper()}:{name}:{password}\n")
    file.flush()
    return file
