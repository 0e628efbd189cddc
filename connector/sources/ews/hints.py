"""Streaming notifications: Exchange tells at once in which mailboxes of a group something happened.

All subscriptions of a group live on one server, and one request is answered with their events for up to half an hour:
https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-maintain-affinity-between-group-of-subscriptions-and-mailbox-server
"""

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from connector.errors import ConnectorError, Unavailable
from connector.sources.ews import words
from connector.sources.ews.connection import Connection, parsed, response_messages
from connector.sources.ews.failures import Answered, Garbled
from connector.sources.ews.words import Element, text

#: Subscriptions of one group, and minutes until the server ends its answer: the most that Exchange allows.
GROUP, MINUTES = 200, 30
#: Bytes. What goes on for longer has no end.
LONGEST = 16 * 1024 * 1024
_END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?Envelope\s*>")
#: More than the end tag of an envelope has, which may come in two pieces.
_TAG = 100
#: Answers about subscriptions that have to be made anew: they ended, or their mailbox is on another server now.
_LOST = frozenset(
    {
        "ErrorExpiredSubscription",
        "ErrorInvalidSubscription",
        "ErrorMissedNotificationEvents",
        "ErrorProxyRequestNotAllowed",
        "ErrorReadEventsFailed",
        "ErrorSubscriptionNotFound",
        "ErrorSubscriptionUnsubscribed",
    }
)


class EwsHints:
    """See `Hints`: for one group of mailboxes, over a session of its own."""

    prompt = False

    def __init__(self, addresses: Sequence[str], connect: Callable[[str], Connection]) -> None:
        """`connect` makes the group's connection, to the server of the mailbox that it is told."""
        self.addresses = tuple(addresses)
        self._connect = connect
        self._connection: Connection | None = None
        #: By address, the ids of the subscriptions that the server should know.
        self._subscribed: dict[str, str] = {}
        #: Where something may have happened that nobody was told.
        self._missed: set[str] = set()

    @property
    def hears(self) -> frozenset[str]:
        """See `Hints.hears`."""
        return frozenset(self._subscribed)

    def listen(self, addresses: Collection[str]) -> Generator[frozenset[str], None, None]:
        """See `Hints.listen`. A request for each mailbox that has no subscription yet, and one that lasts."""
        connection = self._anchored(sorted(addresses, key=str.lower))
        self._subscribe(addresses, connection)
        subscribed = {self._subscribed[address]: address for address in addresses if address in self._subscribed}
        # The connection counts against the first mailbox that it is for, as Microsoft advises: a few are allowed each.
        first = _of(connection, next(iter(subscribed.values())))
        with first.told(), first.stream(words.get_streaming_events(subscribed, MINUTES)) as reply:
            yield from self._told(envelopes(reply), subscribed)

    def _anchored(self, addresses: Sequence[str]) -> Connection:
        """The group's connection; another one where the mailbox whose server it leads to is not asked for any more."""
        if self._connection is None or self._connection.party.mailbox not in addresses:
            self._subscribed.clear()
            self._connection = self._connect(addresses[0])
        return self._connection

    def _subscribe(self, addresses: Collection[str], connection: Connection) -> None:
        """Subscribe to what is not subscribed to yet. A mailbox in trouble is left out, and does not stop the others.

        Raises what the last one met where none could be subscribed to, and Unavailable where the server names a time.
        """
        trouble: ConnectorError | None = None
        for address in addresses:
            if address in self._subscribed:
                continue
            try:
                (answer,) = _of(connection, address).ask(words.subscribe())
            except ConnectorError as error:
                before, trouble = trouble, error
                if isinstance(error, Unavailable) and error.retry_after:
                    raise
                if _alike(error, before):
                    # It is the server, or the account: more wrong passwords would lock that.
                    break
            else:
                trouble = None
                self._subscribed[address] = text(answer, "m:SubscriptionId")
                self._missed.add(address)
        if trouble and self._subscribed.keys().isdisjoint(addresses):
            raise trouble

    def _told(self, reply: Iterable[bytes], subscribed: Mapping[str, str]) -> Iterator[frozenset[str]]:
        group = frozenset(subscribed.values())
        missed = group & self._missed
        for envelope in reply:
            # Until the answer ends in order: what is told over a connection that breaks is not told again.
            self._missed |= group
            for message in response_messages(parsed(envelope)):
                if isinstance(message, Answered):
                    if message.code not in _LOST:
                        raise message
                    self._forget(message.subscriptions or subscribed, subscribed)
                    return
                yield missed | _happened(message, subscribed)
                missed = frozenset()
                if text(message, "m:ConnectionStatus") == "Closed":
                    self._missed -= group
                    return

    def _forget(self, ids: Iterable[str], subscribed: Mapping[str, str]) -> None:
        self._missed -= frozenset(subscribed.values())
        for each in ids:
            self._subscribed.pop(subscribed.get(each, ""), None)


def envelopes(reply: Iterable[bytes]) -> Iterator[bytes]:
    """The envelopes of a reply that has one after the other, each as soon as it is there. Raises Garbled."""
    waiting = bytearray()
    for chunk in reply:
        start = max(0, len(waiting) - _TAG)
        waiting += chunk
        while end := _END.search(waiting, start):
            yield bytes(waiting[: end.end()]).lstrip()
            del waiting[: end.end()]
            start = 0
        if len(waiting) > LONGEST:
            raise Garbled
    if waiting.strip():
        raise Garbled


def _happened(message: Element, subscribed: Mapping[str, str]) -> frozenset[str]:
    """The mailboxes of which a response message tells an event. What is said of unknown subscriptions is ignored."""
    return frozenset(
        subscribed[subscription]
        for notification in message.iterfind("{*}Notifications/{*}Notification")
        if (subscription := text(notification, "t:SubscriptionId")) in subscribed and _tells(notification)
    )


def _tells(notification: Element) -> bool:
    return any(each.tag.endswith("Event") and not each.tag.endswith("}StatusEvent") for each in notification)


def _of(connection: Connection, address: str) -> Connection:
    return connection.on_behalf(replace(connection.party, mailbox=address))


def _alike(error: ConnectorError, before: ConnectorError | None) -> bool:
    """Whether two mailboxes in a row fail for what is no matter of a mailbox."""
    both_down = isinstance(error, Unavailable) and isinstance(before, Unavailable)
    return both_down or str(error) == str(before)
