"""Subscriptions to the messages of a mailbox, and what is sent to the address that they name (facts, A6).

Only mail, and no rich notifications. What could not be delivered is sent again; Microsoft gives up after four hours.
"""

import http.client
import json
import re
import secrets
import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Never
from urllib.parse import quote, urlsplit

from connector.simulator.faults import Mishap
from connector.simulator.graph.call import Call
from connector.simulator.graph.directory import user_id
from connector.simulator.graph.identity import item_id
from connector.simulator.graph.mail import READ, access_denied, open_mailbox
from connector.simulator.graph.message import NO_CONTENT, Refused, Reply, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.graph.shapes import date
from connector.simulator.mailbox import Event, Mailbox
from connector.simulator.organisation import Organisation

#: Facts, A6: how long a subscription to messages lasts at most, how long a handshake may take, and a notification.
_LONGEST, _HANDSHAKE, _PATIENCE = timedelta(minutes=4230), 10.0, 3.0
_STATE = 128
#: Seconds between two looks for news, and until what was not taken is sent again.
_LOOK, _AGAIN = 0.1, 1.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_RESOURCE = re.compile(r"/?users/(?P<user>[^/?]+)/messages", re.IGNORECASE)
_KINDS = {"CreatedEvent": "created", "CopiedEvent": "created", "ModifiedEvent": "updated", "MovedEvent": "updated"}
_KINDS["DeletedEvent"] = "deleted"
_LIFECYCLE = {"reauthorizationRequired", "subscriptionRemoved", "missed"}


@dataclass
class Subscription:
    """What an app wants to hear of, and up to where it has heard it."""

    id: str
    #: The request that made it: its ids are the ones that it prefers.
    call: Call
    mailbox: Mailbox
    asked: dict[str, str]
    expires: datetime
    heard: int
    #: False from `reauthorizationRequired` until it is renewed: meanwhile nothing is sent.
    authorized: bool = True

    def entity(self) -> dict[str, Any]:
        """It in JSON."""
        app = self.call.app.id
        return {
            "id": self.id,
            **self.asked,
            "applicationId": app,
            "creatorId": app,
            "expirationDateTime": date(self.expires),
        }


def create_subscription(call: Call) -> Reply:
    """Microsoft: subscription-post-subscriptions."""
    asked = _asked(call.request.json())
    expires = _expires(call.request.json())
    call.path["user"] = _RESOURCE.fullmatch(asked["resource"])["user"]  # type: ignore[index]  # `_asked` looked
    mailbox = open_mailbox(call)
    same = ("resource", "changeType")
    if any(all(each.asked[name] == asked[name] for name in same) for each in _of(call)):
        says = "Subscription already exists for the requested combination."
        raise Refused(HTTPStatus.CONFLICT, "Conflict", says)
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        if name in asked:
            _shake_hands(asked[name])
    subscription = Subscription(str(uuid.uuid4()), call, mailbox, asked, expires, mailbox.clock)
    call.tenant.subscriptions[subscription.id] = subscription
    threading.Thread(target=_send_changes, args=(call.organisation, subscription), daemon=True).start()
    return _told(call, subscription, HTTPStatus.CREATED)


def list_subscriptions(call: Call) -> Reply:
    """Microsoft: subscription-list: those of this app."""
    return call.listed("subscriptions", _of(call), Subscription.entity, size=100)


def get_subscription(call: Call) -> Reply:
    """Microsoft: subscription-get."""
    return _told(call, _find(call))


def renew_subscription(call: Call) -> Reply:
    """Microsoft: subscription-update: it lasts longer, and is authorized again (facts, A6)."""
    found = _find(call)
    told = call.request.json()
    if told.keys() != {"expirationDateTime"}:
        invalid("Only expirationDateTime can be updated here.")
    found.expires, found.authorized = _expires(told), True
    return _told(call, found)


def reauthorize(call: Call) -> Reply:
    """Microsoft: subscription-reauthorize."""
    _find(call).authorized = True
    return NO_CONTENT


def delete_subscription(call: Call) -> Reply:
    """Microsoft: subscription-delete."""
    del call.tenant.subscriptions[_find(call).id]
    return NO_CONTENT


def send_lifecycle(organisation: Organisation, mailbox: str, event: str) -> None:
    """Tell everybody who subscribed to this mailbox what becomes of that. Raises ValueError where there is no such."""
    if event not in _LIFECYCLE:
        raise ValueError(f"event is one of {', '.join(sorted(_LIFECYCLE))}")
    subscriptions = organisation.tenant.subscriptions
    for each in [each for each in subscriptions.values() if each.mailbox.address == mailbox]:
        if event == "subscriptionRemoved":
            del subscriptions[each.id]
        each.authorized = each.authorized and event != "reauthorizationRequired"
        if url := each.asked.get("lifecycleNotificationUrl"):
            _post(url, [{**_common(each), "lifecycleEvent": event}])


def _asked(told: dict[str, Any]) -> dict[str, str]:
    named = ("changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "clientState")
    asked = {name: told[name] for name in named if told.get(name) is not None}
    if unknown := told.keys() - {*named, "expirationDateTime"}:
        invalid(f"The simulator knows no {min(unknown)}.")
    if not all(isinstance(each, str) for each in asked.values()) or not {*named[:2], "resource"} <= asked.keys():
        invalid("A subscription needs changeType, notificationUrl and resource.")
    if not {each.strip() for each in asked["changeType"].split(",")} <= {"created", "updated", "deleted"}:
        invalid("Invalid 'changeType' attribute.")
    if not _RESOURCE.fullmatch(asked["resource"]):
        invalid("The simulator has subscriptions to users/{user}/messages only.")
    if len(asked.get("clientState", "")) > _STATE:
        invalid("Client state exceeds its maximum length.")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        parts = urlsplit(asked.get(name, "https://localhost"))
        # Microsoft takes https alone; nobody but this machine is here to be reached.
        if parts.scheme not in ("http", "https") or parts.hostname not in _LOCAL:
            invalid(f"The {name} is not reachable: it must be https, or http on this very machine.")
    return asked


def _expires(told: dict[str, Any]) -> datetime:
    try:
        expires = datetime.fromisoformat(told["expirationDateTime"])
    except (KeyError, TypeError, ValueError):
        invalid("expirationDateTime is no moment.")
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    if not timedelta(0) < expires - datetime.now(UTC) <= _LONGEST:
        says = "Subscription expiration can only be 4230 minutes in the future."
        raise Refused(HTTPStatus.BAD_REQUEST, "ExtensionError", says)
    return expires


def _of(call: Call) -> list[Subscription]:
    """The app's subscriptions that have not ended."""
    known = list(call.tenant.subscriptions.values())
    return [each for each in known if each.call.app.id == call.app.id and each.expires > datetime.now(UTC)]


def _find(call: Call) -> Subscription:
    found = next((each for each in _of(call) if each.id == call.path["subscription"]), None)
    if found is None:
        raise Refused(HTTPStatus.NOT_FOUND, "ResourceNotFound", "The object was not found.")
    if not call.may(*READ):
        raise access_denied()
    return found


def _told(call: Call, subscription: Subscription, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return Reply(status, {"@odata.context": call.context("subscriptions/$entity"), **subscription.entity()})


def _shake_hands(url: str) -> None:
    """Raise Refused where the address does not say the token again, decoded, as plain text (facts, A6)."""
    token = f"Validation: Testing client application reachability: {secrets.token_hex(8)} + 100% ä"
    try:
        status, kind, body = _sent(f"{url}{'&' if '?' in url else '?'}validationToken={quote(token)}", b"", _HANDSHAKE)
    except (OSError, http.client.HTTPException):
        _unreachable("The connection failed.")
    if status != HTTPStatus.OK or kind.partition(";")[0].strip().lower() != "text/plain" or body != token.encode():
        _unreachable("Notification endpoint must respond with 200 OK to validation request.")


def _unreachable(says: str) -> Never:
    raise Refused(HTTPStatus.BAD_REQUEST, "ValidationError", f"Subscription validation request failed. {says}")


def _send_changes(organisation: Organisation, subscription: Subscription) -> None:
    """Send what happens, until nobody is subscribed any more."""
    known = organisation.tenant.subscriptions
    while not organisation.stopping.wait(_LOOK) and subscription.id in known:
        if subscription.expires <= datetime.now(UTC):
            known.pop(subscription.id, None)
            return
        with subscription.mailbox.lock:
            events = subscription.mailbox.events
            fresh = events[bisect_right(events, subscription.heard, key=lambda event: event.number) :]
        wanted = [event for event in fresh if _KINDS.get(event.kind, "none") in subscription.asked["changeType"]]
        told = [each for event in wanted for each in _mishap(organisation, subscription, event)]
        if not told or not subscription.authorized or _post(subscription.asked["notificationUrl"], told):
            subscription.heard = fresh[-1].number if fresh else subscription.heard
        else:
            time.sleep(_AGAIN)


def _mishap(organisation: Organisation, subscription: Subscription, event: Event) -> Iterator[dict[str, Any]]:
    """The event as it is told: once, unless something is to go wrong with it."""
    mishap = organisation.streams.next_event()
    if mishap not in (Mishap.SUPPRESS, Mishap.CUT):
        yield from [_change(subscription, event)] * (2 if mishap == Mishap.DUPLICATE else 1)


def _change(subscription: Subscription, event: Event) -> dict[str, Any]:
    identifier = item_id(subscription.call, subscription.mailbox, event.item_id)
    where = f"Users/{user_id(subscription.mailbox)}/Messages/{identifier}"
    data = {
        "@odata.type": "#Microsoft.Graph.Message",
        "@odata.id": where,
        "@odata.etag": f'W/"{event.change_key}"',
        "id": identifier,
    }
    return {
        **_common(subscription),
        "changeType": _KINDS[event.kind],
        "resource": where,
        "resourceData": data,
    }


def _common(subscription: Subscription) -> dict[str, Any]:
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": date(subscription.expires),
        "clientState": subscription.asked.get("clientState"),
        "resource": subscription.asked["resource"],
        "tenantId": subscription.call.tenant.id,
    }


def _post(url: str, told: list[dict[str, Any]]) -> bool:
    """Send a notification; whether it was taken."""
    try:
        status, _, _ = _sent(url, json.dumps({"value": told}).encode(), _PATIENCE)
    except (OSError, http.client.HTTPException):
        return False
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _sent(url: str, body: bytes, patience: float) -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname or "", parts.port, timeout=patience)) as connection:
        where = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        content_type = "application/json; charset=utf-8" if body else "text/plain; charset=utf-8"
        connection.request("POST", where, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()


_ONE = "/subscriptions/{subscription}"
ROUTES = (
    Route("POST", "/subscriptions", create_subscription, READ),
    Route("GET", "/subscriptions", list_subscriptions),
    Route("GET", _ONE, get_subscription),
    Route("PATCH", _ONE, renew_subscription),
    Route("DELETE", _ONE, delete_subscription),
    Route("POST", f"{_ONE}/reauthorize", reauthorize),
)
