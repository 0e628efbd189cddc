"""Subscriptions of the simulated Graph, over plain HTTP, with an endpoint that does what a test wants."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connector.simulator import Exchange
from tests.exchange import Owner
from tests.graph import Answer, App
from tests.test_simulator import ANNA, eml

_PATIENCE = 20
Handshake = Callable[[str], tuple[int, str, str]]


def echo(token: str) -> tuple[int, str, str]:
    """What an endpoint has to answer."""
    return 200, "text/plain", token


class Endpoint:
    """Whom Graph tells."""

    def __init__(self) -> None:
        """Listens at once; `told` has what came."""
        self.handshake: Handshake = echo
        self.status = 202
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        endpoint = self

        class Asked(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = parse_qs(urlsplit(self.path).query)
                status, kind, answer = endpoint.status, "text/plain", ""
                if "validationToken" in query:
                    status, kind, answer = endpoint.handshake(query["validationToken"][0])
                else:
                    for each in json.loads(body)["value"]:
                        endpoint.told.put(each)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server.server_port}/here"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def next(self) -> dict[str, Any]:
        """What is told next."""
        return self.told.get(timeout=_PATIENCE)

    def silent(self) -> bool:
        """Whether nothing comes, for longer than the simulator waits."""
        time.sleep(0.5)
        return self.told.empty()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Somewhere on this machine."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


def wanted(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    """A subscription to Anna's messages."""
    return {
        "changeType": "created,updated",
        "notificationUrl": endpoint.url,
        "lifecycleNotificationUrl": endpoint.url,
        "resource": f"users/{ANNA}/messages",
        "expirationDateTime": in_minutes(60),
        "clientState": "secret",
        **more,
    }


def in_minutes(minutes: float) -> str:
    """A moment, as Graph writes it."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def subscribe(app: App, endpoint: Endpoint, **more: Any) -> Answer:
    """Ask for one."""
    return app.ask("POST", "/subscriptions", wanted(endpoint, **more))


def test_what_happens_is_told_with_the_secret_and_no_content(
    exchange: Exchange, anna: Owner, app: App, endpoint: Endpoint
) -> None:
    """Created once, updated once; removals nobody asked for. What is not taken is sent again."""
    app.headers["Prefer"] = 'IdType="ImmutableId"'
    made = subscribe(app, endpoint)
    assert made.status == 201
    exchange.deliver(ANNA, eml())
    (message,) = app.get(f"/users/{ANNA}/messages?$select=id")["value"]
    told = endpoint.next()
    assert (told["subscriptionId"], told["clientState"]) == (made.json["id"], "secret")
    assert (told["changeType"], told["resourceData"]["id"]) == ("created", message["id"])
    assert told["resourceData"].keys() == {"@odata.type", "@odata.id", "@odata.etag", "id"}

    endpoint.status = 503
    app.ask("PATCH", f"/users/{ANNA}/messages/{message['id']}", {"isRead": True})
    assert endpoint.next()["changeType"] == "updated"
    endpoint.status = 202
    assert endpoint.next()["changeType"] == "updated"

    app.ask("DELETE", f"/users/{ANNA}/messages/{message['id']}")
    while not endpoint.silent():  # To delete is to move to Deleted Items.
        assert endpoint.next()["changeType"] == "updated"


@pytest.mark.parametrize(
    "handshake",
    [
        lambda token: (202, "text/plain", token),
        lambda token: (200, "application/json", token),
        lambda token: (200, "text/plain", token.replace("+", "%2B")),
        lambda _: (200, "text/plain", ""),
    ],
)
@pytest.mark.usefixtures("anna")
def test_no_subscription_without_a_handshake(app: App, endpoint: Endpoint, handshake: Handshake) -> None:
    """The token, decoded, as plain text, with 200."""
    endpoint.handshake = handshake
    assert subscribe(app, endpoint).code == "ValidationError"
    assert app.get("/subscriptions")["value"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"notificationUrl": "http://house.example.org/"},
        {"resource": "users/anna@example.org/events"},
        {"changeType": "moved"},
        {"clientState": "x" * 129},
        {"expirationDateTime": in_minutes(4300)},
        {"expirationDateTime": in_minutes(-1)},
        {"expirationDateTime": "soon"},
        {"includeResourceData": True},
    ],
)
@pytest.mark.usefixtures("anna")
def test_what_makes_no_sense_is_refused(app: App, endpoint: Endpoint, wrong: dict[str, Any]) -> None:
    """Before anybody is asked for a handshake."""
    assert subscribe(app, endpoint, **wrong).status == 400


def test_only_whom_the_app_may_open(exchange: Exchange, anna: Owner, app: App, endpoint: Endpoint) -> None:
    """As everywhere else; the same twice is refused too."""
    exchange.order(scope=[])
    assert subscribe(app, endpoint).code == "ErrorAccessDenied"
    exchange.order(scope=None)
    assert subscribe(app, endpoint).status == 201
    assert subscribe(app, endpoint).status == 409
    assert subscribe(app, endpoint, resource="users/nobody@example.org/messages").code == "ErrorInvalidUser"
    exchange.order(roles=["User.Read.All"])
    app.token = ""
    assert subscribe(app, endpoint).status == 403


def test_one_is_listed_renewed_and_deleted(exchange: Exchange, anna: Owner, app: App, endpoint: Endpoint) -> None:
    """It ends by itself where nobody renews it."""
    (brief,) = [subscribe(app, endpoint, expirationDateTime=in_minutes(0.03)).json]
    time.sleep(2.5)
    exchange.deliver(ANNA, eml())
    assert endpoint.silent()
    assert app.ask("GET", f"/subscriptions/{brief['id']}").status == 404

    made = subscribe(app, endpoint).json
    where = f"/subscriptions/{made['id']}"
    later = in_minutes(4000)
    assert app.ask("PATCH", where, {"expirationDateTime": later}).json["expirationDateTime"] == later
    assert app.ask("PATCH", where, {"clientState": "other"}).status == 400
    assert [each["id"] for each in app.get("/subscriptions")["value"]] == [made["id"]]
    assert app.get(where)["notificationUrl"] == endpoint.url
    assert app.ask("DELETE", where).status == 204
    assert app.ask("DELETE", where).status == 404
    exchange.deliver(ANNA, eml())
    assert endpoint.silent()


def test_what_becomes_of_a_subscription_is_told(exchange: Exchange, anna: Owner, app: App, endpoint: Endpoint) -> None:
    """On order: until it is authorized again nothing is sent; one that is removed is gone."""
    made = subscribe(app, endpoint).json
    where = f"/subscriptions/{made['id']}"
    for renew in (("POST", f"{where}/reauthorize"), ("PATCH", where, {"expirationDateTime": in_minutes(60)})):
        exchange.order(lifecycle={"mailbox": ANNA, "event": "reauthorizationRequired"})
        told = endpoint.next()
        assert (told["lifecycleEvent"], told["clientState"]) == ("reauthorizationRequired", "secret")
        exchange.deliver(ANNA, eml())
        assert endpoint.silent()
        assert app.ask(*renew).status in (200, 204)
        exchange.deliver(ANNA, eml())
        assert endpoint.next()["changeType"] == "created"
    exchange.order(lifecycle={"mailbox": ANNA, "event": "missed"})
    assert endpoint.next()["lifecycleEvent"] == "missed"
    exchange.order(lifecycle={"mailbox": ANNA, "event": "subscriptionRemoved"})
    assert endpoint.next()["lifecycleEvent"] == "subscriptionRemoved"
    assert app.ask("GET", where).status == 404
    with pytest.raises(ValueError, match="event is one of"):
        exchange.order(lifecycle={"mailbox": ANNA, "event": "nonsense"})


def test_what_is_sent_may_be_lost_or_doubled(exchange: Exchange, anna: Owner, app: App, endpoint: Endpoint) -> None:
    """By the orders that streams of EWS have; a subscription may be forgotten without a word."""
    subscribe(app, endpoint)
    exchange.order(stream={"mishap": "suppress"})
    exchange.deliver(ANNA, eml())
    assert endpoint.silent()
    exchange.order(reset=True, stream={"mishap": "duplicate"})
    exchange.deliver(ANNA, eml())
    assert endpoint.next() == endpoint.next()
    exchange.order(expire_subscriptions=ANNA)
    assert app.get("/subscriptions")["value"] == []
