"""Subscriptions, and the two ways in which their events are fetched: by asking, and over a stream."""

import base64
import secrets
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from connector.simulator.deviations import Deviation
from connector.simulator.ews.call import Call
from connector.simulator.ews.soap import (
    Element,
    M,
    Refused,
    T,
    children,
    event_envelope,
    failure,
    find,
    integer,
    invalid,
    local,
    need,
    response,
    success,
)
from connector.simulator.faults import Dropped, Mishap
from connector.simulator.mailbox import Event, Folder, Mailbox
from connector.simulator.organisation import Organisation

#: Seconds between signs of life in a stream (Microsoft: statusevent).
_HEARTBEAT = 30.0
#: Seconds between two looks for news.
_LOOK = 0.1
#: EWSD: connectiontimeout, in minutes.
_TIMEOUT = range(1, 31)
#: EWSD: how-to-maintain-affinity...: subscriptions in one request, and streams that are charged to one mailbox.
_SUBSCRIPTIONS, _STREAMS = 200, 10


@dataclass
class Subscription:
    """What one subscriber wants to hear about, and up to where he has heard it."""

    id: str
    mailbox: Mailbox
    #: None: all folders.
    folders: frozenset[str] | None
    kinds: frozenset[str]
    heard: int
    #: The server that made it.
    server: str

    def news(self, organisation: Organisation, since: int) -> list[Event]:
        """The events after this one that he wants."""
        silent = ("DeletedEvent", "MovedEvent") if Deviation.NO_REMOVAL_EVENTS in organisation.deviations else ()
        fresh = self.mailbox.events[bisect_right(self.mailbox.events, since, key=lambda event: event.number) :]
        wanted = self.kinds.difference(silent)
        return [event for event in fresh if event.kind in wanted and self._covers(event)]

    def _covers(self, event: Event) -> bool:
        old = event.old_folder
        return self.folders is None or event.folder.id in self.folders or (old is not None and old.id in self.folders)


def subscribe(call: Call) -> Element:
    """Microsoft: subscribe-operation. Streaming and pull; a push needs a server on the other side."""
    asked = children(call.request)[0]
    streaming = local(asked) == "StreamingSubscriptionRequest"
    if not streaming and local(asked) != "PullSubscriptionRequest":
        raise Refused("ErrorInvalidOperation", "The simulator has no push subscriptions.", fault=True)

    def one(_: Element) -> Iterator[Element]:
        subscription = Subscription(
            id=_opaque(f"subscription {secrets.token_hex(16)}"),
            mailbox=call.mailbox,
            folders=_folders(call, asked),
            kinds=frozenset(kind.text or "" for kind in children(need(asked, "t:EventTypes"))),
            heard=call.mailbox.clock,
            server=call.server,
        )
        call.organisation.subscriptions[subscription.id] = subscription
        yield M.SubscriptionId(subscription.id)
        if not streaming:
            yield M.Watermark(_watermark(subscription.heard))

    return call.answer("Subscribe", [asked], one)


def unsubscribe(call: Call) -> Element:
    """Microsoft: unsubscribe-operation."""

    def one(_: Element) -> list[Element]:
        del call.organisation.subscriptions[_subscription(call, need(call.request, "m:SubscriptionId")).id]
        return []

    return call.answer("Unsubscribe", [call.request], one)


def get_events(call: Call) -> Element:
    """Microsoft: getevents-operation."""

    def one(_: Element) -> Iterator[Element]:
        subscription = _subscription(call, need(call.request, "m:SubscriptionId"))
        since = _moment(need(call.request, "m:Watermark").text or "")
        news = subscription.news(call.organisation, since)
        yield M.Notification(*_notification(call, subscription, news, since=since))

    return call.answer("GetEvents", [call.request], one)


def get_streaming_events(call: Call) -> Iterator[bytes]:
    """Microsoft: getstreamingevents-operation. Envelope after envelope, until the time is over or the caller goes."""
    minutes = integer(need(call.request, "m:ConnectionTimeout").text, "ConnectionTimeout")
    if minutes not in _TIMEOUT:
        invalid("ConnectionTimeout is not within 1 and 30")
    named = [each.text or "" for each in children(need(call.request, "m:SubscriptionIds"))]
    if len(named) > _SUBSCRIPTIONS:
        # Which error it is stands nowhere.
        raise Refused("ErrorInvalidRequest", "A request takes 200 subscriptions at most.", fault=True)
    return _stream(call, named, time.monotonic() + call.organisation.minute * minutes)


def _stream(call: Call, named: list[str], end: float) -> Iterator[bytes]:
    with call.organisation.streams.one_more(call.mailbox.address) as streams:
        if streams > _STREAMS:
            yield _envelope(failure("GetStreamingEvents", Refused("ErrorExceededConnectionCount")))
        elif lost := _unknown(call, named):
            yield _lost(lost)
        else:
            yield from _events(call, [call.organisation.subscriptions[each] for each in named], end)


def _unknown(call: Call, named: list[str]) -> list[str]:
    """The subscriptions that are not known, or not on this server."""
    known = call.organisation.subscriptions
    elsewhere = call.deviates(Deviation.MANY_SERVERS)
    return [each for each in named if each not in known or (elsewhere and known[each].server != call.server)]


def _lost(subscriptions: list[str]) -> bytes:
    """Nothing is told about the others (facts, and exchangelib: get_streaming_events)."""
    ids = M.ErrorSubscriptionIds(*(T.SubscriptionId(each) for each in subscriptions))
    return _envelope(failure("GetStreamingEvents", Refused("ErrorSubscriptionNotFound"), ids))


def _events(call: Call, subscriptions: list[Subscription], end: float) -> Iterator[bytes]:
    last_sign = time.monotonic()
    cuts = call.organisation.streams.cuts
    yield _envelope(success("GetStreamingEvents", M.ConnectionStatus("OK")))
    while time.monotonic() < end and not call.organisation.stopping.wait(_LOOK):
        if call.organisation.streams.cuts != cuts:
            raise Dropped
        if lost := [each.id for each in subscriptions if each.id not in call.organisation.subscriptions]:
            yield _lost(lost)
            return
        told = [_fresh(call, each) for each in subscriptions]
        if not any(each is not None for each in told) and time.monotonic() - last_sign > _HEARTBEAT:
            told = [T.Notification(*_notification(call, each, [])) for each in subscriptions]
        notifications = [each for each in told if each is not None]
        if notifications:
            last_sign = time.monotonic()
            yield _envelope(success("GetStreamingEvents", M.Notifications(*notifications)))
    yield _envelope(success("GetStreamingEvents", M.ConnectionStatus("Closed")))


def _fresh(call: Call, subscription: Subscription) -> Element | None:
    """What has not been told over a stream yet. Told once: what a broken stream swallows is lost (EWSD)."""
    with subscription.mailbox.lock:
        news = subscription.news(call.organisation, subscription.heard)
    if not news:
        return None
    subscription.heard = news[-1].number
    told = [twin for event in news for twin in _mishap(call, event)]
    return T.Notification(*_notification(call, subscription, told)) if told else None


def _mishap(call: Call, event: Event) -> list[Event]:
    """The event as it is told: once, unless something is to go wrong with it."""
    match call.organisation.streams.next_event():
        case Mishap.CUT:
            raise Dropped
        case Mishap.SUPPRESS:
            return []
        case Mishap.DUPLICATE:
            return [event, event]
    return [event]


def _notification(
    call: Call, subscription: Subscription, news: list[Event], *, since: int | None = None
) -> Iterator[Element]:
    """The content of a notification; with `since` that of a pull subscription, which has watermarks."""
    pull = since is not None
    yield T.SubscriptionId(subscription.id)
    if since is not None:
        yield T.PreviousWatermark(_watermark(since))
        yield T.MoreEvents("false")
    for event in news:
        yield _event(call, event, pull=pull)
    if not news:
        # With a watermark in streams too: clients stumble over elements that are empty (facts, section 1).
        yield T.StatusEvent(T.Watermark(_watermark(subscription.heard if since is None else since)))


def _event(call: Call, event: Event, *, pull: bool) -> Element:
    element: Element = T(
        event.kind,
        T.Watermark(_watermark(event.number)) if pull else None,
        T.TimeStamp(call.view().date(event.time)),
        T.ItemId(Id=event.item_id, ChangeKey=event.change_key),
        _folder("ParentFolderId", event.folder),
    )
    if event.old_folder is not None:
        element.append(T.OldItemId(Id=event.old_item_id))
        element.append(_folder("OldParentFolderId", event.old_folder))
    return element


def _folder(name: str, folder: Folder) -> Element:
    return T(name, Id=folder.id, ChangeKey=folder.change_key)


def _folders(call: Call, asked: Element) -> frozenset[str] | None:
    named = find(asked, "t:FolderIds")
    if asked.get("SubscribeToAllFolders") in ("true", "1"):
        return None
    if named is None:
        raise Refused("ErrorInvalidSubscriptionRequest", "A subscription needs folders.")
    return frozenset(call.folder(each).id for each in children(named))


def _subscription(call: Call, named: Element) -> Subscription:
    found = call.organisation.subscriptions.get(named.text or "")
    if found is None or found.mailbox is not call.mailbox:
        raise Refused("ErrorSubscriptionNotFound", "The subscription was not found.")
    return found


def _envelope(message: Element) -> bytes:
    return event_envelope(response("GetStreamingEvents", [message]))


def _watermark(moment: int) -> str:
    return _opaque(f"watermark {moment}")


def _moment(watermark: str) -> int:
    try:
        word, number = base64.b64decode(watermark, validate=True).decode("ascii").split()
        return int(number) if word == "watermark" else 0
    except ValueError:
        raise Refused("ErrorInvalidWatermark", "The watermark is invalid.") from None


def _opaque(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
