"""An OpenID Connect issuer on loopback, as a house has one: it knows one person, and can be told to lie."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "connector-links"
SECRET = "an issuer's secret"


@dataclass
class Issuer:
    """What it knows, and what it has handed out."""

    url: str = ""
    #: What it says of the person who logs in.
    claims: dict[str, Any] = field(default_factory=dict)
    #: What it says otherwise than it should: claims of a token, `key` for one that is not its own, or `discovery`.
    lies: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}))
    asked: list[str] = field(default_factory=list)

    def token(self, asked: dict[str, str]) -> str:
        """An id token for whoever asked like this."""
        now = int(time.time())
        said = {"iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        lies = dict(self.lies)
        key = lies.pop("key", self.key)
        return jwt.encode({"alg": "RS256", "kid": "1"}, said | self.claims | lies, key)


class _Handler(BaseHTTPRequestHandler):
    """One request to it."""

    @property
    def issuer(self) -> Issuer:
        """The issuer it is asked of."""
        return cast("Any", self.server).issuer  # type: ignore[no-any-return]

    def do_GET(self) -> None:
        """Discovery, keys, and the login of a person who has nothing to type."""
        issuer, parts = self.issuer, urlsplit(self.path)
        issuer.asked.append(parts.path)
        if parts.path == "/.well-known/openid-configuration":
            told = {
                "issuer": issuer.url,
                "authorization_endpoint": f"{issuer.url}/authorize",
                "token_endpoint": f"{issuer.url}/token",
                "jwks_uri": f"{issuer.url}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
            self._say(issuer.lies.get("discovery", told))
        elif parts.path == "/keys":
            self._say({"keys": [issuer.key.as_dict(private=False)]})
        else:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            code = secrets.token_urlsafe(16)
            issuer.codes[code] = query
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()

    def do_POST(self) -> None:
        """A code for a token: once, for the client that knows the secret and has asked for it."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        asked = self.issuer.codes.pop(form["code"][0], None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        made = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        known = self.headers.get("Authorization") == f"Basic {basic}"
        if asked is None or not known or asked["code_challenge"] != made:
            self._say({"error": "invalid_grant"}, 400)
            return
        token = self.issuer.token(asked)
        self._say({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _say(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def started() -> Iterator[Issuer]:
    """An issuer that is up."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    issuer = Issuer(url=f"http://127.0.0.1:{server.server_port}")
    cast("Any", server).issuer = issuer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
