"""What all of the simulated Graph stands on: tokens, errors, users and groups, throttling, faults on the wire."""

import base64
import http.client
import json
import re
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import jwt
import pytest

from connector.simulator import Exchange
from connector.simulator.graph.message import Reply, Request
from tests.exchange import Owner
from tests.graph import Answer, App, GraphJudge
from tests.test_graph_edge import self_signed_rsa

ANNA = "anna@example.org"


@pytest.mark.parametrize(
    ("form", "number", "status"),
    [
        ({"client_secret": "wrong"}, 7000215, 401),
        ({"client_secret": ""}, 7000218, 401),
        ({"client_id": "nobody"}, 700016, 400),
        ({"scope": "https://graph.microsoft.com/Mail.Read"}, 1002012, 400),
        ({"scope": "https://graph.microsoft.us/.default"}, 1002012, 400),
        ({"grant_type": "password"}, 70003, 400),
    ],
)
def test_a_login_that_entra_refuses(app: App, form: dict[str, str], number: int, status: int) -> None:
    """Each in its own number."""
    answer = app.login(**form)

    assert answer.status == status
    assert answer.json["error_codes"] == [number]
    assert answer.json["error_description"].startswith(f"AADSTS{number}: ")


def test_a_tenant_that_is_none(app: App, exchange: Exchange) -> None:
    """Its token endpoint is there, and says so."""
    url = exchange.token.replace(exchange.tenant, "11111111-2222-3333-4444-555555555555")

    assert app.send("POST", url, b"", {}).json["error_codes"] == [90002]


def test_the_discovery_leads_to_the_token(app: App, exchange: Exchange) -> None:
    """As msal asks for it."""
    url = exchange.token.replace("/oauth2/v2.0/token", "/v2.0/.well-known/openid-configuration")

    assert app.send("GET", url, b"", {}).json["token_endpoint"] == exchange.token


def test_a_token_is_checked(app: App, exchange: Exchange) -> None:
    """None, one that was changed, one that is over, and one for another service."""
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}):
        assert app.send("GET", f"{exchange.graph}/users", b"", headers).code == "InvalidAuthenticationToken"
    good = app.login().json["access_token"]
    app.token = good[:-4] + "AAAA"
    assert app.ask("GET", "/users").status == 401
    exchange.order(token_lifetime=-1)
    app.token = ""
    assert "expired" in app.ask("GET", "/users").json["error"]["message"]


def test_a_role_that_is_missing(app: App, exchange: Exchange) -> None:
    """The directory and mail say it differently; a new role shows in new tokens only."""
    exchange.order(roles=["Mail.ReadWrite"])
    assert app.ask("GET", "/users").code == "Authorization_RequestDenied"
    exchange.order(roles=["User.Read.All"])
    assert app.ask("GET", "/users").status == 403
    app.token = ""
    assert app.ask("GET", "/users").status == 200


def test_users_come_in_pages(app: App, exchange: Exchange) -> None:
    """The link carries what the first request asked for."""
    for name in ("anna", "bert", "cleo"):
        exchange.add_mailbox(f"{name}@example.org")

    first = app.get("/users?$top=2&$select=userPrincipalName")
    second = app.get(first["@odata.nextLink"])

    assert [set(each) for each in first["value"]] == [{"id", "userPrincipalName"}] * 2
    assert "@odata.nextLink" not in second
    names = [each["userPrincipalName"] for page in (first, second) for each in page["value"]]
    assert names[1:] == [ANNA, "bert@example.org", "cleo@example.org"]


def test_a_user_is_found_by_either_name(app: App, anna: Owner) -> None:
    """By the principal name, in any case, and by the id."""
    found = app.get("/users/Anna@Example.org")

    assert app.get(f"/users/{found['id']}")["mail"] == ANNA
    assert app.ask("GET", "/users/nobody@example.org").code == "Request_ResourceNotFound"
    assert app.get("/users?$filter=mail eq 'anna@example.org'")["value"] == [
        {key: value for key, value in found.items() if key != "@odata.context"}
    ]


def test_members_of_groups_within_groups(app: App, exchange: Exchange, anna: Owner) -> None:
    """Each once, also where groups go round in a circle."""
    exchange.add_mailbox("bert@example.org")
    inner = exchange.add_group("inner", ANNA)
    outer = exchange.add_group("outer", inner, "bert@example.org", ANNA)

    assert [each["displayName"] for each in app.get("/groups")["value"]] == ["inner", "outer"]
    assert len(app.get(f"/groups/{outer}/members")["value"]) == 3
    people = app.get(f"/groups/{outer}/transitiveMembers/microsoft.graph.user?$select=mail")["value"]
    assert sorted(each["mail"] for each in people) == [ANNA, "bert@example.org"]
    assert app.ask("GET", f"/groups/{exchange.tenant}").status == 404


def test_an_error_has_graphs_form(app: App, anna: Owner) -> None:
    """With the ids by which Microsoft's support finds it."""
    error = app.ask("GET", "/nothing", client_request_id="abc").json["error"]

    assert set(error) == {"code", "message", "innerError"}
    assert error["innerError"]["client-request-id"] == "abc"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date", "absent"])
def test_throttling(app: App, exchange: Exchange, form: str, status: int) -> None:
    """Retry-After comes in seconds, as a date, or not at all; who comes too early is recorded."""
    exchange.order(throttle={"requests": 1, "status": status, "back_off": 60_000, "retry_after": form})
    began = int(time.time())

    answer = app.ask("GET", "/users")

    assert answer.status == status
    told = answer.headers["Retry-After"]
    if form == "date":
        assert began + 60 <= parsedate_to_datetime(told).timestamp() <= time.time() + 60
    else:
        assert told == ("60" if form == "seconds" else None)
    time.sleep(0.25)
    assert app.ask("GET", "/users").status == 200
    assert exchange.early == ([] if form == "absent" else ["GET users"])


def test_a_share_is_throttled(app: App, exchange: Exchange) -> None:
    """The same requests each time, for the same seed."""
    runs = []
    for _ in range(2):
        exchange.order(reset=True, throttle={"share": 0.3, "seed": 7, "status": 429, "back_off": 0})
        runs.append([app.ask("GET", "/users").status for _ in range(30)])

    assert runs[0] == runs[1]
    assert 3 < runs[0].count(429) < 20


def test_a_connection_breaks_at_a_request(app: App, exchange: Exchange) -> None:
    """As in EWS: requests of both protocols are counted together."""
    app.get("/users")
    exchange.order(reset=True, drop={"request": 2}, truncate={"request": 3})

    app.get("/users")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        app.ask("GET", "/users")
    with pytest.raises(http.client.IncompleteRead):
        app.ask("GET", "/users")
    assert exchange.seen == ["GET users"] * 3


@pytest.mark.parametrize(
    ("path", "told", "complaints"),
    [
        (
            "users",
            {"value": [{"id": 7}]},
            ["value[0].id is int, not Edm.String", "reply.value[0].id is integer, not string"],
        ),
        (
            "users",
            {"value": [{"id": "7", "surprise": 1}]},
            ["reply.value[0] has an unknown surprise"],  # By its metadata, a user may have others.
        ),
        ("users", {}, ["reply has no value", "reply lacks value"]),
        ("groups/1/owners", {"value": [{"id": 7}]}, ["value[0].id is int, not Edm.String"]),
        ("users/1/surprises", {"value": []}, ["leads nowhere by Microsoft's metadata"]),
    ],
)
def test_the_judge_sees_what_is_wrong(
    path: str, told: dict[str, object], complaints: list[str], graph_judge: GraphJudge
) -> None:
    """A reply that Microsoft's metadata, or its description of this path, does not know."""
    if not graph_judge.has_description:
        pytest.skip("Microsoft's OpenAPI description is not at hand (CONNECTOR_TEST_DATA)")

    graph_judge.witness(Request.to("GET", f"/v1.0/{path}", (), ""), Reply(json=told))

    found = [each.partition(": ")[2] for each in graph_judge.complaints]
    assert found[: len(complaints)] == complaints
    graph_judge.complaints.clear()


def test_an_app_logs_in_with_its_certificate(app: App, exchange: Exchange, tmp_path: Path) -> None:
    """It signs an assertion for this endpoint; each thing that is wrong with one has its number."""
    certificate, key = self_signed_rsa(tmp_path)
    client, moment = exchange.client["id"], int(time.time())
    good = {"aud": exchange.token, "iss": client, "sub": client, "nbf": moment, "exp": moment + 600}

    def log_in(**claims: object) -> Answer:
        assertion = jwt.encode({**good, **claims}, key.decode(), algorithm="PS256")
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return app.login(client_secret="", client_assertion=assertion, client_assertion_type=kind)

    assert log_in().json["error_codes"] == [700027], "nothing is registered"
    exchange.order(certificate=certificate.decode())
    app.token = log_in().json["access_token"]
    assert app.ask("GET", "/users").status == 200
    assert log_in(exp=moment - 600).json["error_codes"] == [700024]
    assert log_in(aud="https://example.org").json["error_codes"] == [700023]
    assert log_in(sub="somebody").json["error_codes"] == [700021]
    exchange.order(certificate=self_signed_rsa(tmp_path)[0].decode())
    assert log_in().json["error_codes"] == [700027], "another key"


def test_a_token_is_revoked(app: App, exchange: Exchange) -> None:
    """The challenge tells the claims that the next token is to be asked for with."""
    app.get("/users")
    exchange.order(revoke=True)

    refused = app.ask("GET", "/users")

    assert refused.status == 401
    (claims,) = re.findall(r'error="insufficient_claims", claims="([^"]+)"', refused.headers["WWW-Authenticate"])
    assert "nbf" in json.loads(base64.b64decode(claims))["access_token"]
    app.token = app.login(claims=base64.b64decode(claims).decode()).json["access_token"]
    assert app.ask("GET", "/users").status == 200
