"""How the app logs in: what an administrator writes about it, and the tokens that come of it, kept in memory only."""

import logging
import re
import ssl
from collections.abc import Mapping
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx
import msal
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connector.config.addresses import Server, encrypted
from connector.config.credentials import Secret
from connector.config.regular import regular
from connector.errors import Denied
from connector.sources.graph.clouds import CLOUDS, Cloud
from connector.sources.graph.failures import NoToken

#: Seconds without a byte, until a server counts as silent.
TIMEOUT = 60
#: Of one tenant, over all its mailboxes and drives. Exchange Online bears four for each mailbox, which has one thread.
AT_ONCE = 16

# They say at each request, or each token, for what it was.
for _library in ("httpx", "httpcore", "msal", "urllib3"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

#: What the login says where there is no such directory, as msal quotes it.
_NO_DIRECTORY = re.compile(r"HTTP status: 40[04],")


class AppLogin(BaseModel):
    """An app that is registered in Entra, and what it proves itself with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cloud: Literal["global", "usgov", "dod", "china", "bleu", "delos", "govsg"] | None = Field(
        None, description="whose Microsoft 365 it is; global where neither this nor graph is given"
    )
    graph: str | None = Field(None, description="address of Graph in a cloud that has no name here")
    login: str | None = Field(None, description="address of the login that goes with it")
    directory: str | None = Field(None, description="Entra tenant: its id or one of its domains", pattern=r"^[\w.-]+$")
    client: str | None = Field(None, description="application (client) id", pattern=r"^[\w.-]+$")
    secret: Secret | None = Field(None, description="client secret: its value")
    secret_ends: date | None = Field(None, description="the day on which Entra lets it end, for metrics and alerts")
    certificate: Path | None = Field(None, description="certificate instead of a secret (PEM or PFX)")
    key: Path | None = Field(None, description="its key (PEM), where it is not in the same file")
    passphrase: Secret | None = Field(None, description="opens the key")
    assertion: Path | None = Field(None, description="file with a federated token instead, which is read each time")
    managed_identity: bool | str = Field(
        False, description="the identity of an Azure or Arc machine instead: true, or the client id of one of several"
    )
    at_once: int = Field(AT_ONCE, ge=2, le=256, description="requests of all mailboxes and drives at the same time")
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the system's")

    @field_validator("graph", "login")
    @classmethod
    def _base(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = encrypted(url)
        if parts.path.rstrip("/") not in {"", "/v1.0"} or parts.query or parts.username:
            raise ValueError("write the address without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.graph is None) != (self.login is None) or (self.graph and self.cloud):
            raise ValueError("give either cloud, or both graph and login")
        ways = [self.secret, self.certificate, self.assertion, self.managed_identity or None]
        if sum(each is not None for each in ways) != 1:
            raise ValueError("give exactly one of secret, certificate, assertion and managed_identity")
        if (self.key or self.passphrase) and not self.certificate:
            raise ValueError("key and passphrase belong to a certificate")
        if self.secret_ends and not self.secret:
            raise ValueError("secret_ends belongs to a secret")
        if not self.managed_identity and not (self.directory and self.client):
            raise ValueError("directory and client are needed, unless managed_identity is given")
        return self

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to."""
        return tuple(Server(each, self.ca, system=True) for each in (self.where.login, self.where.graph))

    @property
    def where(self) -> Cloud:
        """The cloud that is meant."""
        if self.graph is None or self.login is None:
            return CLOUDS[self.cloud or "global"]
        return Cloud(self.login, self.graph, (urlsplit(self.graph).hostname or "",))

    @property
    def app(self) -> str:
        """For people: who asks."""
        return self.client or "of this machine"

    def trusted(self) -> ssl.SSLContext:
        """Whose certificates count. Raises Denied where the bundle is not there, or none."""
        if self.ca is not None and not self.ca.is_file():
            raise Denied(f"the file {self.ca} is needed to log in, and is not there")
        try:
            return _trusting(self.ca)
        except OSError:
            raise Denied(f"the file {self.ca} is needed to log in, and holds no certificates (PEM)") from None


@cache
def _trusting(ca: Path | None) -> ssl.SSLContext:
    """Made once: it reads all CAs of the system."""
    return ssl.create_default_context(cafile=ca)


class Tokens:
    """The tokens of one app for Graph. Nothing is asked before the first; threads may share it."""

    def __init__(self, login: AppLogin) -> None:
        self._login = login
        self._cloud = login.where

    def token(self, claims: str | None = None) -> str:
        """One that is good now; with `claims`, a new one that answers what Graph asked for.

        Raises NoToken, and what the network raises.
        """
        told = self._managed(claims) if self._login.managed_identity else self._of_app(claims)
        if "access_token" not in told:
            raise NoToken(
                urlsplit(self._cloud.login).hostname or "",
                self._login.directory or "",
                str(told.get("error", "no reason given")),
                tuple(each for each in told.get("error_codes") or () if isinstance(each, int)),
            )
        return str(told["access_token"])

    def _of_app(self, claims: str | None) -> Mapping[str, Any]:
        try:
            app = self._app
        except (AttributeError, KeyError):
            # msal takes whatever JSON came for the page of the directory.
            return {"error": "temporarily_unavailable"}
        except (ValueError, RuntimeError) as error:
            # What msal raises where the directory has no page of its own, or something else came in its place.
            if not str(error).startswith(
                ("Unable to get authority configuration", "Unable to complete OIDC Discovery")
            ):
                raise
            if _NO_DIRECTORY.search(str(error.__context__)):
                return {"error": "invalid_tenant", "error_codes": [90002]}
            # A login that is throttled, or somebody's in between: that ends.
            return {"error": "temporarily_unavailable"}
        told: Mapping[str, Any] = app.acquire_token_for_client([f"{self._cloud.graph}/.default"], claims)
        return told

    def _managed(self, claims: str | None) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._identity.acquire_token_for_client(
            resource=self._cloud.graph, claims_challenge=claims
        )
        return told

    @cached_property
    def _app(self) -> msal.ConfidentialClientApplication:
        credential = _credential(self._login)
        # msal takes https only; `_MsalHttp` knows better for this very machine.
        authority = f"https://{urlsplit(self._cloud.login).netloc}/{self._login.directory}"
        return msal.ConfidentialClientApplication(
            self._login.client,
            client_credential=credential,
            authority=authority,
            # It would ask the login of another cloud whether ours is one.
            instance_discovery=False,
            http_client=self._http,
        )

    @cached_property
    def _identity(self) -> msal.ManagedIdentityClient:
        name = self._login.managed_identity
        which = (
            msal.UserAssignedManagedIdentity(client_id=name)
            if isinstance(name, str)
            else msal.SystemAssignedManagedIdentity()
        )
        return msal.ManagedIdentityClient(which, http_client=self._http)

    @cached_property
    def _http(self) -> "_MsalHttp":
        return _MsalHttp(self._cloud.login, self._login.trusted())


class _MsalHttp:
    """What msal asks of an HTTP client: its own would heed the environment, and wait for ever."""

    def __init__(self, login: str, trusted: ssl.SSLContext) -> None:
        self._client = httpx.Client(verify=trusted, timeout=TIMEOUT, trust_env=False)
        parts = urlsplit(login)
        #: An authority on this machine that speaks http, as msal believes it to be, and as it is.
        self._believed, self._plain = f"https://{parts.netloc}/", f"{parts.scheme}://{parts.netloc}/"

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        # An assertion comes as bytes, which httpx would write as Python shows them.
        form = {key: value.decode() if isinstance(value, bytes) else value for key, value in (data or {}).items()}
        return self._client.post(self._meant(url), params=params, data=form, headers=headers)

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        response = self._client.get(self._meant(url), params=params, headers=headers)
        if self._plain == self._believed:
            return response
        # It tells its own addresses, which msal would refuse.
        text = response.text.replace(self._plain, self._believed)
        return httpx.Response(response.status_code, headers={"Content-Type": "application/json"}, text=text)

    def close(self) -> None:
        self._client.close()

    def _meant(self, url: str) -> str:
        return self._plain + url.removeprefix(self._believed) if url.startswith(self._believed) else url


def _credential(login: AppLogin) -> Any:
    """In msal's terms. Raises Denied where something is not to be had."""
    if login.secret is not None:
        return _secret(login.secret, f"the secret of the app {login.client}")
    if login.assertion is not None:
        path = login.assertion
        _text(path)
        return {"client_assertion": lambda: _text(path)}
    assert login.certificate is not None
    passphrase = None
    if login.passphrase is not None:
        passphrase = _secret(login.passphrase, f"the passphrase of {login.key or login.certificate}").encode()
    try:
        key, certificate = _pair(login.certificate, login.key, passphrase)
    except (ValueError, TypeError):
        raise Denied(
            f"{login.certificate} and its key cannot be read: check the files, and whether they need a passphrase"
        ) from None
    return {"private_key": key, "public_certificate": certificate}


def _pair(certificate: Path, key: Path | None, passphrase: bytes | None) -> tuple[str, str]:
    """Key and certificate, as PEM. Raises ValueError or TypeError where they cannot be opened."""
    content = _bytes(certificate)
    if b"-----BEGIN" in content:
        private: Any = load_pem_private_key(_bytes(key) if key else content, passphrase)
        public: Any = load_pem_x509_certificate(content)
    else:
        private, public, _ = pkcs12.load_key_and_certificates(content, passphrase)
    if private is None or public is None:
        raise ValueError
    unlocked = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return unlocked.decode("ascii"), public.public_bytes(Encoding.PEM).decode("ascii")


def _secret(secret: Secret, what: str) -> str:
    try:
        return secret.read()
    except LookupError as error:
        raise Denied(f"{what} is not to be had: {error.args[0]}") from None


def _text(path: Path) -> str:
    return _bytes(path).decode("ascii", "replace").strip()


def _bytes(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise Denied(f"the file {path} is needed to log in, and cannot be read: {error.strerror}") from None
