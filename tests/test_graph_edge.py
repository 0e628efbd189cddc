"""The edge to Microsoft Graph: what goes over the wire, and what is made of odd answers.

Answers are written by hand here, on a wire that respx holds: clouds that are far away, and servers that misbehave in
ways that the simulator does not.
"""

import base64
import gzip
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import httpx
import jwt
import pytest
import respx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from connector.errors import Conflict, ConnectorError, Denied, Gone, Rejected, Unavailable, kind
from connector.sources.graph import CLOUDS, AppLogin, Connection, Edge
from connector.sources.graph.connection import PART, path
from connector.sources.graph.failures import Grief, LostState
from connector.spool import CHUNK, spooled

GRAPH, LOGIN = "https://graph.microsoft.com", "https://login.microsoftonline.com"
DIRECTORY, CLIENT, SECRET = "example.org", "11111111-2222-3333-4444-555555555555", "s3cret~Value"
TOKEN = "eyTOKEN1"
THING = f"{GRAPH}/v1.0/thing"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_SECRET", SECRET)


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    """Every host of the world; what no test has written an answer for cannot be reached."""
    with respx.mock(assert_all_called=False) as wire:
        logs_in(wire)
        yield wire


def logs_in(wire: respx.MockRouter, login: str = LOGIN, token: str = TOKEN) -> respx.Route:
    """A directory that gives out tokens."""
    here = f"{login}/{DIRECTORY}"
    config = {
        "issuer": f"{here}/v2.0",
        "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
        "token_endpoint": f"{here}/oauth2/v2.0/token",
    }
    wire.get(f"{here}/v2.0/.well-known/openid-configuration").respond(json=config)
    given = {"token_type": "Bearer", "expires_in": 3599, "access_token": token}
    return wire.post(f"{here}/oauth2/v2.0/token").respond(json=given)


def login(**more: Any) -> AppLogin:
    """How the app logs in."""
    told = {"directory": DIRECTORY, "client": CLIENT, "secret": {"env": "GRAPH_SECRET"}, **more}
    return AppLogin.model_validate({key: value for key, value in told.items() if value is not None})


def connection(**more: Any) -> Connection:
    """To a mailbox."""
    return Edge(login(**more)).connection("the mailbox anna@example.org", "Mail.ReadWrite")


def failing(wire: respx.MockRouter, status: int, code: str = "", **headers: str) -> ConnectorError:
    """What an error is told as."""
    wire.get(THING).respond(status, json={"error": {"code": code, "message": "about Bert's salary"}}, headers=headers)
    with pytest.raises(ConnectorError) as raised:
        connection().ask("GET", "/thing")
    assert "salary" not in str(raised.value)
    return raised.value


# --- what an administrator writes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"secret": None}, "exactly one of"),
        ({"assertion": "/a"}, "exactly one of"),
        ({"secret": "s3cret~Value"}, "never written here"),
        ({"directory": None}, "directory and client are needed"),
        ({"client": None}, "directory and client are needed"),
        ({"directory": "example.org/evil"}, "should match pattern"),
        ({"key": "/k"}, "belong to a certificate"),
        ({"graph": "https://graph.example"}, "both graph and login"),
        ({"cloud": "china", "graph": "https://g.example", "login": "https://l.example"}, "either cloud, or both"),
        ({"graph": "http://graph.example", "login": "https://l.example"}, "https address"),
        ({"graph": "https://g.example/beta", "login": "https://l.example"}, "without a path"),
        ({"cloud": "mars"}, "Input should be"),
        ({"at_once": 1}, "greater than or equal to 2"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], says: str) -> None:
    """Each in a sentence, and the secret itself is in none."""
    with pytest.raises(ValidationError, match=says) as refused:
        login(**more)
    assert all(SECRET not in str(each["msg"]) for each in refused.value.errors())


def test_a_version_in_the_address_is_tolerated() -> None:
    """People copy addresses from the documentation."""
    cloud = login(graph="http://127.0.0.1:8080/v1.0/", login="http://127.0.0.1:8080/").where
    assert (cloud.graph, cloud.login) == ("http://127.0.0.1:8080", "http://127.0.0.1:8080")


@pytest.mark.parametrize("name", sorted(CLOUDS))
def test_each_cloud_has_its_own_login_and_scope(name: str) -> None:
    """A token for one is asked for at its own login, and with the scope of its own Graph."""
    cloud = CLOUDS[name]
    with respx.mock() as wire:
        gives = logs_in(wire, cloud.login)
        wire.get(f"{cloud.graph}/v1.0/thing").respond(json={"id": "1"})
        assert connection(cloud=name).ask("GET", "/thing").body == {"id": "1"}
        assert f"scope={cloud.graph}/.default" in unquote(text(gives.calls.last))


def text(call: Any) -> str:
    """What was sent."""
    return str(call.request.content.decode())


# --- how the app proves itself ---------------------------------------------------------------------------------------


def test_a_secret(wire: respx.MockRouter) -> None:
    """It goes to the login, and only the token to Graph; one token serves for many requests."""
    thing = wire.get(THING).respond(json={})
    mailbox = connection()
    mailbox.ask("GET", "/thing")
    mailbox.ask("GET", "/thing")
    sent = [text(call) for call in wire.calls if call.request.url.host == "login.microsoftonline.com"]
    assert [body.count("client_secret=s3cret~Value") for body in sent] == [0, 1]
    assert [call.request.headers["Authorization"] for call in thing.calls] == [f"Bearer {TOKEN}"] * 2


def test_a_secret_that_is_not_there(wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told where it was looked for, and nobody is asked."""
    monkeypatch.delenv("GRAPH_SECRET")
    with pytest.raises(Denied, match="GRAPH_SECRET is not set"):
        connection().ask("GET", "/thing")
    assert not wire.calls


@pytest.mark.parametrize("form", ["one file", "two files", "encrypted", "pfx"])
def test_a_certificate(wire: respx.MockRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """What it signs is for this login, and no key leaves the machine."""
    certificate, key = self_signed_rsa(tmp_path)
    monkeypatch.setenv("PASSPHRASE", "open sesame")
    more: dict[str, Any] = {"certificate": written(form, tmp_path, certificate, key)}
    if form == "two files":
        more["key"] = tmp_path / "key.pem"
    if form in {"encrypted", "pfx"}:
        more["passphrase"] = {"env": "PASSPHRASE"}
    wire.get(THING).respond(json={})
    connection(secret=None, **more).ask("GET", "/thing")
    sent = next(text(call) for call in wire.calls if call.request.method == "POST")
    (assertion,) = re.findall(r"client_assertion=([^&]+)", unquote(sent))
    public: Any = load_pem_x509_certificate(certificate).public_key()
    claims = jwt.decode(assertion, public, algorithms=["PS256"], audience=f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token")
    assert claims["iss"] == CLIENT
    assert "PRIVATE" not in sent


def self_signed_rsa(folder: Path) -> tuple[bytes, bytes]:
    """A certificate as Entra wants it, and its key; both lie in the folder too."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "connector")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    public = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "cert.pem").write_bytes(public)
    (folder / "key.pem").write_bytes(private)
    return public, private


def written(form: str, folder: Path, certificate: bytes, key: bytes) -> Path:
    """The file that the configuration names."""
    private: Any = load_pem_private_key(key, None)
    locked = BestAvailableEncryption(b"open sesame")
    file = folder / "app"
    file.write_bytes(
        {
            "one file": certificate + key,
            "two files": certificate,
            "encrypted": certificate + private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked),
            "pfx": pkcs12.serialize_key_and_certificates(
                b"app", private, load_pem_x509_certificate(certificate), None, locked
            ),
        }[form]
    )
    return file


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x82"]
)
def test_a_certificate_that_is_none(wire: respx.MockRouter, tmp_path: Path, content: bytes) -> None:
    """The sentence names the file."""
    (tmp_path / "app").write_bytes(content)
    with pytest.raises(Denied, match=r"app and its key cannot be read"):
        connection(secret=None, certificate=tmp_path / "app").ask("GET", "/thing")
    with pytest.raises(Denied, match=r"nowhere is needed to log in"):
        connection(secret=None, certificate=tmp_path / "nowhere").ask("GET", "/thing")


def test_an_assertion_is_read_each_time(wire: respx.MockRouter, tmp_path: Path) -> None:
    """Whoever renews the file need not tell us."""
    file = tmp_path / "token"
    file.write_text("first\n", encoding="ascii")
    gives = logs_in(wire)
    wire.get(THING).mock(side_effect=[challenge(), httpx.Response(200, json={})])
    mailbox = connection(secret=None, assertion=file)
    tokens = mailbox._edge.tokens
    tokens.token()
    file.write_text("second\n", encoding="ascii")
    mailbox.ask("GET", "/thing")
    assert [re.findall("client_assertion=([a-z]+)", text(call)) for call in gives.calls] == [["first"], ["second"]]


@pytest.mark.parametrize("which", [True, "aaaa-bbbb"])
def test_a_managed_identity(wire: respx.MockRouter, *, which: bool | str) -> None:
    """The machine itself vouches, at an address that only it can reach."""
    given = {"access_token": TOKEN, "expires_in": "3599", "resource": GRAPH, "token_type": "Bearer"}
    asked = wire.get(url__startswith="http://169.254.169.254/metadata/identity/oauth2/token").respond(json=given)
    thing = wire.get(THING).respond(json={})
    connection(secret=None, directory=None, client=None, managed_identity=which).ask("GET", "/thing")
    assert asked.calls.last.request.url.params["resource"] == GRAPH
    assert asked.calls.last.request.url.params.get("client_id") == (None if which is True else which)
    assert thing.calls.last.request.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (7000222, "has expired: make a new one"),
        (7000215, "give its value, not its id"),
        (700016, "has no app 11111111"),
        (90002, "has no directory example.org"),
        (700027, "upload it in Entra"),
        (700213, "federated credential"),
        (500011, "a token is good in one cloud only"),
        (53003, "Conditional Access"),
        (999999, "look the number up"),
    ],
)
def test_no_token(wire: respx.MockRouter, number: int, says: str) -> None:
    """What is wrong with the login is told by its number, and what the login wrote is not repeated."""
    told = {"error": "invalid_client", "error_description": f"AADSTS{number}: {SECRET}", "error_codes": [number]}
    wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token").respond(401, json=told)
    with pytest.raises(Denied, match=says) as denied:
        connection().ask("GET", "/thing")
    assert f"AADSTS{number}" in str(denied.value)
    assert SECRET not in str(denied.value)


def test_a_directory_that_is_not_there(wire: respx.MockRouter) -> None:
    """It has not even a page that says where its login is."""
    wire.get(f"{LOGIN}/{DIRECTORY}/v2.0/.well-known/openid-configuration").respond(
        400, json={"error": "invalid_tenant"}
    )
    with pytest.raises(Denied, match=r"has no directory example\.org"):
        connection().ask("GET", "/thing")


@pytest.mark.parametrize(
    ("status", "content"),
    [(429, b""), (403, b"<html>"), (302, b""), (200, b"<html>"), (200, b"{}"), (200, b"[]"), (200, b"null")],
)
def test_whoever_answers_for_the_login_says_nothing_of_the_directory(
    wire: respx.MockRouter, status: int, content: bytes
) -> None:
    """A throttled login, or the page of a proxy: it is asked again soon, and nobody looks for a wrong name."""
    wire.get(f"{LOGIN}/{DIRECTORY}/v2.0/.well-known/openid-configuration").respond(status, content=content)
    with pytest.raises(Unavailable, match=r"has no token for the app .* now"):
        connection().ask("GET", "/thing")


@pytest.mark.parametrize("answer", [503, 500])
def test_a_login_that_is_down(wire: respx.MockRouter, answer: int) -> None:
    """It is tried again later; so it is where nothing answers at all."""
    wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token").respond(answer)
    with pytest.raises(Unavailable, match="login cannot be used"):
        connection().ask("GET", "/thing")
    wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token").mock(side_effect=httpx.ConnectError)
    with pytest.raises(Unavailable):
        connection().ask("GET", "/thing")
    told = {"error": "temporarily_unavailable", "error_codes": [90033]}
    wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token").respond(400, json=told)
    with pytest.raises(Unavailable, match="AADSTS90033"):
        connection().ask("GET", "/thing")


# --- tokens that Graph wants renewed ---------------------------------------------------------------------------------


def challenge(claims: str = '{"access_token":{"nbf":{"essential":true}}}') -> httpx.Response:
    """What Graph says to a token from before something happened."""
    encoded = base64.b64encode(claims.encode()).decode()
    told = f'Bearer realm="", authorization_uri="x", error="insufficient_claims", claims="{encoded}"'
    return httpx.Response(
        401, json={"error": {"code": "InvalidAuthenticationToken"}}, headers={"WWW-Authenticate": told}
    )


def test_a_claims_challenge_is_answered_once(wire: respx.MockRouter) -> None:
    """With a token that was asked for with the claims; never a third time."""
    gives = wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token")
    gives.mock(
        side_effect=[
            httpx.Response(200, json={"access_token": f"ey{number}", "token_type": "Bearer", "expires_in": 3599})
            for number in range(9)
        ]
    )
    thing = wire.get(THING).mock(side_effect=[challenge(), httpx.Response(200, json={"id": "1"})])
    mailbox = connection()
    assert mailbox.ask("GET", "/thing").body == {"id": "1"}
    assert [call.request.headers["Authorization"] for call in thing.calls] == ["Bearer ey0", "Bearer ey1"]
    assert "nbf" in text(gives.calls.last)
    thing.mock(side_effect=[challenge(), challenge(), httpx.Response(200, json={})])
    with pytest.raises(Denied, match="refuses the token"):
        mailbox.ask("GET", "/thing")


def test_a_token_that_is_about_to_end_is_renewed_before_it_is_used(wire: respx.MockRouter) -> None:
    """A daemon runs for months, and a token lives for an hour: one that is good for longer is used again."""
    lives = [1, 3599, 3599]
    wire.post(f"{LOGIN}/{DIRECTORY}/oauth2/v2.0/token").mock(
        side_effect=[
            httpx.Response(200, json={"access_token": f"ey{number}", "token_type": "Bearer", "expires_in": seconds})
            for number, seconds in enumerate(lives)
        ]
    )
    thing = wire.get(THING).respond(200, json={})
    mailbox = connection()
    for _ in range(3):
        mailbox.ask("GET", "/thing")
    assert [call.request.headers["Authorization"] for call in thing.calls] == ["Bearer ey0", "Bearer ey1", "Bearer ey1"]


@pytest.mark.parametrize("header", ["", "Bearer", 'Bearer claims="%%%"', 'Bearer claims="gA=="'])
def test_a_refused_token_is_not_renewed(wire: respx.MockRouter, header: str) -> None:
    """One for another cloud stays one for another cloud."""
    thing = wire.get(THING).respond(401, headers={"WWW-Authenticate": header})
    with pytest.raises(Denied, match="another cloud"):
        connection().ask("GET", "/thing")
    assert thing.call_count == 1


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_each_request_says_who_asks_and_wants_ids_that_stay(wire: respx.MockRouter) -> None:
    """Also those in a batch, and what follows a link."""
    answers = [{"@odata.nextLink": f"{THING}?next", "value": []}, {"value": []}]
    wire.get(THING).mock(side_effect=[httpx.Response(200, json=answer) for answer in answers])
    batch = wire.post(f"{GRAPH}/v1.0/$batch").respond(json={"responses": [{"id": "0", "status": 200, "body": {}}]})
    mailbox = connection()
    list(mailbox.pages("/thing", prefer=["odata.maxpagesize=2"]))
    mailbox.batch(["/thing"])
    asked = [call.request for call in wire.calls if call.request.url.host == "graph.microsoft.com"]
    assert len(asked) == 3
    for request in asked:
        assert request.headers["User-Agent"].startswith("NONISV|connector|connector/")
        assert 'IdType="ImmutableId"' in request.headers["Prefer"]
    (part,) = json.loads(batch.calls.last.request.content)["requests"]
    assert 'IdType="ImmutableId"' in part["headers"]["Prefer"]


def test_nothing_is_taken_from_the_environment(wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy that a variable names, and no password that lies about."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    edge = Edge(login())
    assert edge.client.trust_env is False
    assert edge.client._mounts == {}
    assert edge.bare.proxy is None


def test_ids_are_quoted() -> None:
    """They hold all that base64 does."""
    assert path("users", "a@b.c", "messages", "A/B+c=", "$value") == "/users/a%40b.c/messages/A%2FB%2Bc%3D/$value"


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (404, "ErrorItemNotFound", Gone),
        (404, "itemNotFound", Gone),
        (400, "ErrorInvalidIdMalformed", Gone),
        (404, "ErrorInvalidUser", Denied),
        (404, "Request_ResourceNotFound", Denied),
        (404, "MailboxNotEnabledForRESTAPI", Denied),
        (403, "ErrorAccessDenied", Denied),
        (400, "ErrorInvalidPropertySet", Denied),
        (412, "ErrorIrresolvableConflict", Conflict),
        (412, "", Conflict),
        (409, "ErrorIrresolvableConflict", Conflict),
        (409, "nameAlreadyExists", Conflict),
        (405, "ErrorUnsupported", Rejected),
        (413, "", Rejected),
        (423, "resourceLocked", Conflict),
        (400, "ErrorSomethingElse", Rejected),
        (410, "", LostState),
        (400, "SyncStateInvalid", LostState),
        (404, "syncStateNotFound", LostState),
        (429, "TooManyRequests", Unavailable),
        (503, "", Unavailable),
        (504, "", Unavailable),
        (507, "", Unavailable),
        (403, "MailboxConcurrency", Unavailable),
    ],
)
def test_errors_are_told_by_what_we_do_next(wire: respx.MockRouter, status: int, code: str, told: type) -> None:
    """By Graph's word for it, or else by the status."""
    assert type(failing(wire, status, code)) in {told, *told.__subclasses__()}


def test_the_permission_is_named(wire: respx.MockRouter) -> None:
    """And who has to get it, and for what."""
    said = str(failing(wire, 403, "ErrorAccessDenied"))
    assert all(word in said for word in (CLIENT, "anna@example.org", "Mail.ReadWrite", "graph.microsoft.com"))


@pytest.mark.parametrize(("status", "code", "named"), [(500, "", "Unavailable"), (404, "ErrorInvalidUser", "Denied")])
def test_kinds_of_our_own_count_as_those_that_all_know(
    wire: respx.MockRouter, status: int, code: str, named: str
) -> None:
    """Pauses, exit codes and counters know the tree of errors, and nothing that stands below it."""
    assert kind(failing(wire, status, code)) == named


def test_a_lost_feed_may_say_where_to_begin(wire: respx.MockRouter) -> None:
    """Drives do."""
    lost = failing(wire, 410, "resyncChangesApplyDifferences", Location=f"{THING}?token=new")
    assert isinstance(lost, LostState)
    assert lost.location == f"{THING}?token=new"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "17", "RateLimit-Reset": "40"}, 40),
        ({"Retry-After": "50", "RateLimit-Reset": "40"}, 50),
        ({"RateLimit-Reset": "40"}, 40),
        ({"Retry-After": "Sat, 28 Nov 2026 03:00:30 GMT", "Date": "Sat, 28 Nov 2026 03:00:00 GMT"}, 30),
        ({"Retry-After": "Sat, 28 Nov 2026 02:00:30 GMT", "Date": "Sat, 28 Nov 2026 03:00:00 GMT"}, 0),
        ({"Retry-After": "Sat, 28 Nov 2099 03:00:30 GMT", "Date": "Sat, 28 Nov 2026 03:00:00 GMT"}, 24 * 60 * 60),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9" * 11}, 24 * 60 * 60),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait(wire: respx.MockRouter, headers: dict[str, str], seconds: float | None, status: int) -> None:
    """In seconds or as a date by the server's clock; the longer of two; nobody tries again by himself."""
    error = failing(wire, status, "", **headers)
    assert isinstance(error, Unavailable)
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert wire.calls.call_count == 3


def test_a_date_without_a_clock_beside_it(wire: respx.MockRouter) -> None:
    """Our own has to do."""
    error = failing(wire, 429, "", **{"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=2))})
    assert isinstance(error, Unavailable)
    assert error.retry_after is not None
    assert timedelta(minutes=1) < error.retry_after <= timedelta(minutes=2)


@pytest.mark.parametrize("content", [b"<html>Sign in</html>", b"[]", b'{"value": [', b'"x"', b"\xff", b"[" * 10**5])
def test_answers_that_are_none(wire: respx.MockRouter, content: bytes) -> None:
    """A proxy, or a connection that broke, is no mailbox without messages."""
    wire.get(THING).respond(200, content=content)
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().ask("GET", "/thing")
    wire.get(THING).respond(502, content=content)
    with pytest.raises(Unavailable, match="HTTP status 502"):
        connection().ask("GET", "/thing")


@pytest.mark.parametrize(
    "content",
    [
        {"id": 7},
        {"size": "7"},
        {"from": 7},
        {"from": {"emailAddress": "anna@example.org"}},
        {"attachments": {}},
        {"toRecipients": [None]},
        {"categories": [7]},
        {"@odata.nextLink": 7},
        {"parentReference": {"driveId": []}},
    ],
)
def test_names_that_stand_for_something_else(wire: respx.MockRouter, content: dict[str, Any]) -> None:
    """It is told where it comes in, also in a batch: nobody who reads it has to expect it."""
    wire.get(THING).respond(json=content)
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().ask("GET", "/thing")
    wire.post(f"{GRAPH}/v1.0/$batch").respond(json={"responses": [{"id": "0", "status": 200, "body": content}]})
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().batch(["/a"])


def test_names_that_stand_for_nothing(wire: respx.MockRouter) -> None:
    """Graph writes null for much that it does not know: that is as if it was not there."""
    told = {"from": None, "attachments": None, "size": None, "value": [{"id": "1", "toRecipients": []}]}
    wire.get(THING).respond(json=told)
    assert connection().ask("GET", "/thing").body == {"value": [{"id": "1", "toRecipients": []}]}


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, {"value": []}])
def test_one_thing_without_an_id(wire: respx.MockRouter, body: dict[str, Any]) -> None:
    """Something else came in its place: a thing that is gone is told in another way."""
    wire.get(THING).respond(json=body)
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().one("/thing")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"id": null, "parentReference": {}}'])
def test_what_an_answer_lacks(wire: respx.MockRouter, content: bytes) -> None:
    """That is no bug of ours, and no other thing has to wait for it."""
    wire.get(THING).respond(content=content)
    told = connection().ask("GET", "/thing").body
    for each in (told, told.get("parentReference", told)):
        with pytest.raises(Grief, match="not a whole reply"):
            each["id"]


@pytest.mark.parametrize("status", [200, 302, 401])
def test_an_answer_that_does_not_end(wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """It is left as soon as it is longer than any reply, whatever it claims to be; other things are asked on."""
    monkeypatch.setattr("connector.sources.graph.connection._LONGEST_ANSWER", 1_000_000)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += CHUNK
            assert sent <= 1_000_000 + 2 * CHUNK
            yield bytes(CHUNK)

    headers = {"WWW-Authenticate": challenge().headers["WWW-Authenticate"]} if status == 401 else {}
    wire.get(THING).mock(return_value=httpx.Response(status, headers=headers, stream=Bytes(endless())))
    ended = connection()
    with pytest.raises(Grief, match="does not end"), ended.stream("/thing") if status == 302 else nullcontext():
        ended.ask("GET", "/thing")


def test_an_error_that_does_not_end(wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status says enough."""
    monkeypatch.setattr("connector.sources.graph.connection._LONGEST_ANSWER", 1_000_000)
    wire.get(THING).mock(return_value=httpx.Response(503, content=bytes(1_000_001)))
    with pytest.raises(Unavailable, match="HTTP status 503"):
        connection().ask("GET", "/thing")


def test_an_answer_that_unfolds(wire: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb is told like an answer without end; one within another is not unfolded at all."""
    monkeypatch.setattr("connector.sources.graph.connection._LONGEST_ANSWER", 1_000_000)
    bomb = gzip.compress(bytes(1_000_001))
    wire.get(THING).mock(return_value=packed(bomb, "gzip"))
    with pytest.raises(Unavailable, match="does not end"):
        connection().ask("GET", "/thing")
    wire.get(THING).mock(return_value=packed(gzip.compress(bomb), "gzip, gzip"))
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().ask("GET", "/thing")
    wire.get(THING).mock(return_value=packed(gzip.compress(b'{"id": "1"}'), "gzip"))
    assert connection().ask("GET", "/thing").body == {"id": "1"}


class Bytes(httpx.SyncByteStream):
    """Bytes of an answer that nobody has read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


def packed(content: bytes, how: str) -> httpx.Response:
    """An answer as it comes in."""
    return httpx.Response(200, headers={"Content-Encoding": how}, stream=Bytes(iter([content])))


def test_bytes_that_are_not_of_graph(wire: respx.MockRouter) -> None:
    """Any bytes may be a file: what a proxy says in Graph's place must never be kept as one."""
    asking = connection()

    def streamed(**answer: Any) -> bytes:
        wire.get(THING).respond(**answer)
        with asking.stream("/thing") as incoming:
            return b"".join(incoming.chunks)

    with pytest.raises(Unavailable):
        streamed(content=b"We will be back soon", content_type="text/html")
    # Something before Graph may take the ids away: then nobody can tell.
    assert streamed(content=b"bytes") == b"bytes"
    assert streamed(content=b"bytes", headers={"request-id": "1"}) == b"bytes"
    with pytest.raises(Unavailable):
        streamed(content=b"[]", content_type="application/json")


@pytest.mark.parametrize("error", [httpx.ReadTimeout("x"), httpx.ConnectError("x"), httpx.RemoteProtocolError("x")])
def test_networks_fail(wire: respx.MockRouter, error: Exception) -> None:
    """And nothing of the request is in what is told, nor behind it."""
    wire.get(THING).mock(side_effect=error)
    with pytest.raises(Unavailable) as raised:
        connection().ask("GET", "/thing")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_links_lead_nowhere_else(wire: respx.MockRouter) -> None:
    """A token goes to Graph and to nobody else."""
    for link in ("https://graph.microsoft.com.evil.example/v1.0/thing", "http://graph.microsoft.com/v1.0/thing"):
        evil = wire.get(link).respond(json={"value": []})
        wire.get(THING).respond(json={"@odata.nextLink": link, "value": []})
        with pytest.raises(Denied, match="where we do not go"):
            list(connection().pages("/thing"))
        assert not evil.called


@pytest.mark.parametrize(
    "page", [{}, {"value": None}, {"value": [None]}, {"value": {}}, {"@odata.deltaLink": THING}, {"value": [{}]}]
)
def test_pages_without_a_list(wire: respx.MockRouter, page: dict[str, Any]) -> None:
    """Something else came in their place: where nothing is found, files may be deleted."""
    wire.get(THING).respond(json=page)
    with pytest.raises(Unavailable, match="not a whole reply"):
        list(connection().pages("/thing"))


@pytest.mark.parametrize("length", [1, 2])
def test_pages_that_lead_round(wire: respx.MockRouter, length: int) -> None:
    """That is told, and nobody follows them for ever."""
    links = [f"{THING}?{number}" for number in range(length)]
    for link, following in zip(links, [*links[1:], links[0]], strict=True):
        wire.get(link).respond(json={"@odata.nextLink": following, "value": []})
    pages = connection().pages("/thing?0")
    with pytest.raises(Unavailable, match="goes round"):
        assert len(list(islice(pages, 9))) < 9


def test_redirects_are_not_followed(wire: respx.MockRouter) -> None:
    """But where bytes are asked for."""
    wire.get(THING).respond(302, headers={"Location": "https://evil.example/"})
    with pytest.raises(Denied, match=r"points to evil\.example"):
        connection().ask("GET", "/thing")


def test_a_batch(wire: respx.MockRouter) -> None:
    """Answers come in any order, each with an error of its own; one that is missing is no answer at all."""
    busy = {"id": "1", "status": 429, "headers": {"retry-after": "9"}, "body": {"error": {"code": "x"}}}
    answers = [busy, {"id": "0", "status": 200, "body": {"id": "first"}}, {"id": "2", "status": 404}]
    wire.post(f"{GRAPH}/v1.0/$batch").respond(json={"responses": answers})
    first, second, third = connection().batch(["/a", "/b", "/c"])
    assert first == {"id": "first"}
    assert isinstance(second, Unavailable)
    assert second.retry_after == timedelta(seconds=9)
    assert isinstance(third, Gone)
    with pytest.raises(Unavailable, match="not a whole reply"):
        connection().batch(["/a", "/b", "/c", "/d"])


def test_a_step_that_a_gateway_answers(wire: respx.MockRouter) -> None:
    """What is no JSON comes as text: its status counts, and no step that succeeds is made of it."""
    page = base64.b64encode(b"<html>Bad Gateway</html>").decode()
    wire.post(f"{GRAPH}/v1.0/$batch").respond(json={"responses": [{"id": "0", "status": 502, "body": page}]})
    (failed,) = connection().batch(["/a"])
    assert isinstance(failed, Unavailable)
    assert "HTTP status 502" in str(failed)
    none: tuple[Any, ...] = (
        {"id": "0", "status": 200, "body": page},
        {"id": "0"},
        {"id": "0", "status": None},
        {},
        None,
    )
    for each in none:
        wire.post(f"{GRAPH}/v1.0/$batch").respond(json={"responses": [each]})
        with pytest.raises(Unavailable, match="not a whole reply"):
            connection().batch(["/a"])


# --- addresses that open by themselves -------------------------------------------------------------------------------


class Files(BaseHTTPRequestHandler):
    """A host that files lie on: it answers in turn, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, bytes]]]
    asked: ClassVar[list[tuple[Message, bytes]]]

    def do_GET(self) -> None:
        """The next answer."""
        self.asked.append((self.headers, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        status, content = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_GET  # noqa: N815 - as the server wants it

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


@pytest.fixture
def files() -> type[Files]:
    """What such a host is to answer, and was asked."""
    return type("Files", (Files,), {"answers": [], "asked": []})


@pytest.fixture
def here(wire: respx.MockRouter, files: type[Files]) -> Iterator[str]:
    """A Graph that is also that host: its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        logs_in(wire, url)
        wire.get(f"{url}/v1.0/thing").respond(302, headers={"Location": f"{url}/download?tempauth=S3CRET"})
        yield url
        server.shutdown()


def test_a_download_goes_on_without_our_token(here: str, files: type[Files]) -> None:
    """It asks for a part there, where that is wanted, and not at Graph; or at once, where the address is known."""
    for where in ("/thing", f"{here}/download?tempauth=S3CRET"):
        files.answers.append((206, b"world"))
        with connection(graph=here, login=here).stream(where, {"Range": "bytes=6-"}) as incoming:
            assert (incoming.status, b"".join(incoming.chunks)) == (206, b"world")
        sent, _ = files.asked.pop()
        assert ("Authorization" in sent, sent["Range"], sent["User-Agent"][:6]) == (False, "bytes=6-", "NONISV")


@pytest.mark.parametrize(
    ("more", "url", "goes"),
    [
        ({}, "https://contoso.sharepoint.com/x", True),
        ({}, "https://contoso-my.sharepoint.com/x", True),
        ({}, "http://contoso.sharepoint.com/x", False),
        ({}, "https://sharepoint.com.evil.example/x", False),
        ({}, "https://evilsharepoint.com/x", False),
        ({}, "https://contoso.sharepoint.us/x", False),
        ({}, "https://contoso.sharepoint.com@evil.example/x", False),
        ({}, "https://outlook.office.com/api/upload", True),
        ({}, "", False),
        ({"cloud": "usgov"}, "https://contoso.sharepoint.us/x", True),
        ({"cloud": "china"}, "https://contoso.sharepoint.cn/x", True),
        ({"cloud": "bleu"}, "https://contoso.sharepoint.sovcloud.fr/x", True),
        ({"graph": "http://127.0.0.1:80", "login": "http://127.0.0.1:80"}, "http://127.0.0.1:80/x", True),
        ({"graph": "http://127.0.0.1:80", "login": "http://127.0.0.1:80"}, "http://127.0.0.1:81/x", False),
        ({"graph": "https://g.example", "login": "https://l.example"}, "https://g.example/x", True),
        ({"graph": "https://g.example", "login": "https://l.example"}, "https://contoso.sharepoint.com/x", False),
    ],
)
def test_where_files_may_lie(more: dict[str, str], url: str, *, goes: bool) -> None:
    """On the hosts of this very cloud, and nowhere else."""
    assert login(**more).where.hands_out(url) is goes


def test_a_download_from_elsewhere(wire: respx.MockRouter) -> None:
    """The host is named, and nothing else of the address."""
    wire.get(THING).respond(302, headers={"Location": "https://evil.example/x?tempauth=S3CRET"})
    with pytest.raises(Denied, match=r"points to evil\.example") as denied, connection().stream("/thing"):
        pass
    assert "S3CRET" not in str(denied.value)


@pytest.mark.parametrize("status", [302, 403, 404, 503])
def test_an_address_that_opens_no_longer(here: str, files: type[Files], status: int) -> None:
    """The error says nothing of it."""
    files.answers.append((status, b""))
    with pytest.raises(ConnectorError) as raised, connection(graph=here, login=here).stream("/thing"):
        pass
    assert "S3CRET" not in str(raised.value)


def test_a_host_of_files_that_is_not_there() -> None:
    """It is down for now; and nothing is said of the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unavailable) as raised, connection(graph=nobody, login=nobody).stream(f"{nobody}/x?S3CRET"):
        pass
    assert "S3CRET" not in str(raised.value)


def test_an_upload_in_parts(here: str, files: type[Files]) -> None:
    """In order, each with its place, without our token, all bytes, and no more than 4 MB at once."""
    files.answers += [(202, b"{}"), (202, b"{}"), (201, b'{"id": "new"}')]
    content = bytes(range(256)) * (PART // 128) + b"end"
    with spooled(io.BytesIO(content)) as spool:
        told = connection(graph=here, login=here).upload(f"{here}/upload?token=S3CRET", spool)
    assert told.body == {"id": "new"}
    assert b"".join(body for _, body in files.asked) == content
    last = len(content)
    assert [headers["Content-Range"] for headers, _ in files.asked] == [
        f"bytes 0-{PART - 1}/{last}",
        f"bytes {PART}-{2 * PART - 1}/{last}",
        f"bytes {2 * PART}-{last - 1}/{last}",
    ]
    assert all("Authorization" not in headers for headers, _ in files.asked)
    assert PART < 4_000_000
    assert PART % (320 * 1024) == 0


def test_a_bundle_of_cas_that_is_not_there(tmp_path: Path) -> None:
    """It is told by its name; so is one that is none."""
    with pytest.raises(Denied, match="nowhere is needed"):
        connection(ca=tmp_path / "nowhere").ask("GET", "/thing")
    (tmp_path / "empty").touch()
    with pytest.raises(Denied, match=r"empty is needed .* holds no certificates"):
        connection(ca=tmp_path / "empty").ask("GET", "/thing")
