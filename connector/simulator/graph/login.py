"""Entra: tokens for apps, and what is wrong with those that are not valid."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
import uuid
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.x509 import load_pem_x509_certificate

from connector.simulator.graph.call import App, Call
from connector.simulator.graph.message import Refused, Reply, Request
from connector.simulator.graph.routes import Route
from connector.simulator.graph.tenant import Tenant
from connector.simulator.organisation import Organisation

_GRAPH = "https://graph.microsoft.com"
_OWNED = re.compile(r"/v1\.0/(me(/.*)?|\$batch)", re.IGNORECASE)
#: What somebody may do in his own mailbox.
_OF_OWNERS = frozenset({"User.Read.All", "Mail.ReadWrite"})
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_UNAUTHORIZED = HTTPStatus.UNAUTHORIZED


def token(call: Call) -> Reply:
    """OAuth 2.0 client credentials (RFC 6749, 4.4); errors in the words of Entra (Microsoft: AADSTS codes)."""
    form = dict(parse_qsl(call.request.body().decode("utf-8", "replace")))
    tenant = call.tenant
    if not _is_tenant(call):
        return _error(90002, "invalid_request", f"Tenant '{call.path['tenant']}' not found.")
    if form.get("grant_type") != "client_credentials":
        return _error(70003, "unsupported_grant_type", "The app requested an unsupported grant type.")
    if form.get("client_id") != tenant.client["id"]:
        says = f"Application with identifier '{form.get('client_id', '')}' was not found in the directory."
        return _error(700016, "unauthorized_client", says)
    scope = form.get("scope", "")
    if scope not in (f"{_GRAPH}/.default", f"{call.request.host}/.default"):
        says = f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
        return _error(1002012, "invalid_scope", f"{says}with /.default suffixed to the resource identifier.")
    if (wrong := _wrong_credential(call, form)) is not None:
        return _error(*wrong, status=HTTPStatus.UNAUTHORIZED)
    told = {
        "token_type": "Bearer",
        "expires_in": int(tenant.lifetime),
        "ext_expires_in": int(tenant.lifetime),
        "access_token": issue(tenant, audience=scope.removesuffix("/.default")),
    }
    return Reply(json=told, content_type="application/json; charset=utf-8")


def _wrong_credential(call: Call, form: dict[str, str]) -> tuple[int, str, str] | None:
    """What is wrong with the app's secret, or with its assertion (RFC 7523, 2.2); None where it is right."""
    tenant = call.tenant
    if "client_assertion" in form and form.get("client_assertion_type") == _JWT_BEARER:
        return _wrong_assertion(call, form["client_assertion"])
    if "client_secret" not in form:
        says = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        return 7000218, "invalid_client", says
    if not hmac.compare_digest(form["client_secret"].encode(), tenant.client["secret"].encode()):
        return 7000215, "invalid_client", "Invalid client secret provided."
    return None


def _wrong_assertion(call: Call, assertion: str) -> tuple[int, str, str] | None:
    """It is signed with the key of the app's certificate, for this very endpoint, and not too old."""
    client = call.tenant.client["id"]
    if not call.tenant.certificate:
        return 700027, "invalid_client", "The certificate with which the assertion was signed is not registered."
    key: Any = load_pem_x509_certificate(call.tenant.certificate.encode()).public_key()
    audience = f"{call.request.host}{call.request.path}"
    try:
        claims = jwt.decode(assertion, key, algorithms=["RS256", "PS256"], audience=audience, issuer=client)
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        return 700024, "invalid_client", "Client assertion is not within its valid time range."
    except jwt.InvalidAudienceError:
        return 700023, "invalid_client", "Client assertion audience claim does not match Realm issuer."
    except jwt.InvalidTokenError:
        return 700027, "invalid_client", "Client assertion failed signature validation."
    return None if claims.get("sub") == client else (700021, "invalid_client", "Client assertion is not the app's.")


def configuration(call: Call) -> Reply:
    """OpenID Connect Discovery 1.0; msal reads it before its first token."""
    if not _is_tenant(call):
        return _error(90002, "invalid_tenant", f"Tenant '{call.path['tenant']}' not found.")
    login = f"{call.request.host}/{call.tenant.id}"
    told = {
        "token_endpoint": f"{login}/oauth2/v2.0/token",
        "authorization_endpoint": f"{login}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{login}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{login}/discovery/v2.0/keys",
        "issuer": f"{login}/v2.0",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }
    return Reply(json=told, content_type="application/json; charset=utf-8")


def issue(tenant: Tenant, *, audience: str = _GRAPH) -> str:
    """A token for the app. Roles stand in it as they are now (facts, E)."""
    moment = time.time()
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{tenant.id}/",
        "iat": int(moment),
        "nbf": int(moment),
        "exp": moment + tenant.lifetime,
        "appid": tenant.client["id"],
        "idtyp": "app",
        "rev": tenant.revocations,
        "oid": str(uuid.uuid5(uuid.UUID(tenant.client["id"]), "service principal")),
        "roles": sorted(tenant.roles),
        "tid": tenant.id,
        "ver": "1.0",
    }
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    return f"{signed}.{_encoded(_signature(tenant, signed))}"


def owner(organisation: Organisation, request: Request) -> str | None:
    """Whose own mailbox a request to `/me` means; None where nobody logs in with a password.

    Graph takes no passwords. Thunderbird sends one in its Graph mode (facts, ews.md 2), and its sight of a mailbox is
    worth the exception.
    """
    scheme, _, token = request.header("Authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(token, validate=True).decode().partition(":")
    except ValueError:
        return None
    return organisation.may(name, password)


def admit(organisation: Organisation, request: Request) -> App:
    """The app that asks. Raises Refused with 401 where its token is not valid."""
    tenant = organisation.tenant
    if _OWNED.fullmatch(request.path) and (user := owner(organisation, request)) is not None:
        return App(user, _OF_OWNERS)
    scheme, _, token = request.header("Authorization").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized(tenant, "Access token is empty.")
    claims = _claims(tenant, token)
    if claims is None:
        raise _unauthorized(tenant, "IDX14100: JWT is not well formed, or its signature does not match.")
    if claims["aud"] not in (_GRAPH, request.host, "00000003-0000-0000-c000-000000000000"):
        raise _unauthorized(tenant, "Access token validation failure. Invalid audience.")
    if claims["exp"] < time.time():
        raise _unauthorized(tenant, "Lifetime validation failed, the token is expired.")
    if claims["rev"] != tenant.revocations:
        raise _revoked()
    return App(claims["appid"], frozenset(claims["roles"]))


def _claims(tenant: Tenant, token: str) -> dict[str, Any] | None:
    signed, _, signature = token.rpartition(".")
    try:
        if not hmac.compare_digest(_decoded(signature), _signature(tenant, signed)):
            return None
        return dict(json.loads(_decoded(signed.partition(".")[2])))
    except (binascii.Error, ValueError):
        return None


def _unauthorized(tenant: Tenant, says: str) -> Refused:
    challenge = f'Bearer realm="", authorization_uri="https://login.microsoftonline.com/{tenant.id}/oauth2/authorize"'
    return Refused(_UNAUTHORIZED, "InvalidAuthenticationToken", says, ("WWW-Authenticate", challenge))


def _revoked() -> Refused:
    """Continuous access evaluation: the next token is asked for with these claims (Microsoft: claims-challenge)."""
    claims = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
    told = base64.b64encode(json.dumps(claims).encode()).decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{told}"'
    says = "Continuous access evaluation resulted in challenge with result: InteractionRequired"
    return Refused(_UNAUTHORIZED, "InvalidAuthenticationToken", says, ("WWW-Authenticate", challenge))


def _is_tenant(call: Call) -> bool:
    return call.path["tenant"].lower() == call.tenant.id


def _error(number: int, error: str, says: str, status: int = HTTPStatus.BAD_REQUEST) -> Reply:
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    told = {
        "error": error,
        "error_description": (
            f"AADSTS{number}: {says} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}"
        ),
        "error_codes": [number],
        "timestamp": moment,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return Reply(status, told, content_type="application/json; charset=utf-8")


def _signature(tenant: Tenant, signed: str) -> bytes:
    return hmac.digest(tenant.key, signed.encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


ROUTES = (
    Route("POST", "/{tenant}/oauth2/v2.0/token", token),
    Route("GET", "/{tenant}/v2.0/.well-known/openid-configuration", configuration),
)
