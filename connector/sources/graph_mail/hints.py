"""Change notifications: Graph tells an address of the house at once in which mailboxes something happened.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import hmac
import html
import json
import queue
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from connector.endpoint import Endpoint, Forged
from connector.errors import ConnectorError, Denied, Gone, Rejected, Unavailable
from connector.sources.graph.connection import Connection, path
from connector.sources.graph.failures import Missing

#: How long a subscription lasts: Graph allows 4,230 minutes. It is renewed when half of it is over.
LIFE = timedelta(days=2)
#: A mailbox that cannot be subscribed to is tried again after this.
LATER = timedelta(hours=1)
#: How long it is listened for the same mailboxes.
LASTING = timedelta(minutes=30)
#: How long is spent on giving subscriptions back: what is left then, the next process finds.
GIVING_BACK = timedelta(seconds=3)
#: Seconds without a word from Graph, until we say that nothing happened.
_SILENCE = 1.0
_LONGEST_TOKEN = 2048
_NEVER = datetime.min.replace(tzinfo=UTC)
_REMOVED, _REAUTHORIZE = "subscriptionRemoved", "reauthorizationRequired"
#: What is told of a mailbox beside these two: something happened, or may have ("missed").
_HAPPENED = ""


class GraphHints:
    """See `Hints`: for all mailboxes of one app, by an endpoint that Graph reaches through the house's proxy.

    Mailboxes are subscribed to one after the other while it is listened already, in one thread.
    """

    prompt = True

    def __init__(
        self, url: str, listen: tuple[str, int], connect: Callable[[str], Connection], app: Callable[[], Connection]
    ) -> None:
        """`url` leads to `listen`; `connect` is for what concerns one mailbox, `app` for all that the app has."""
        #: As they were found last; they may change while it is listened.
        self.addresses: tuple[str, ...] = ()
        self._url, self._listen = url, listen
        self._connect, self._app = connect, app
        self._secret = secrets.token_bytes(32)
        #: Addresses by the number that stands for them in what Graph tells.
        self._numbered: list[str] = []
        #: By address, the ids of the subscriptions that Graph should know, and when there is something to do for one.
        self._subscribed: dict[str, str] = {}
        self._due: dict[str, datetime] = {}
        #: What Graph told: the queue holds each once, however often it is told.
        self._news: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._waiting: set[tuple[str, str]] = set()
        #: Whether a subscription is being made now, and whether Graph came and asked for it.
        self._making = self._reached = False

    @property
    def hears(self) -> frozenset[str]:
        """See `Hints.hears`."""
        return frozenset(self._subscribed)

    def listen(self, addresses: Collection[str]) -> Generator[frozenset[str], None, None]:
        """See `Hints.listen`. Where it is closed, subscriptions are given back; where it fails, they stay for the next.

        Ends after a while, and where there are other mailboxes by now.
        """
        known, until = self.addresses, _now() + LASTING
        with Endpoint(*self._listen, self._hear):
            try:
                left_over = [*self._left_over()]
                while _now() < until and self.addresses == known:
                    working = self._drop(left_over) or self._subscribe_next(addresses)
                    if self._subscribed:
                        yield self._told(0 if working else _SILENCE)
                    elif not working:
                        raise Unavailable("none of its mailboxes can be subscribed to for now", LATER)
            except GeneratorExit:
                self._give_back()
                raise

    def tried(self, address: str) -> None:
        """Have Graph find its way to us once, for this mailbox; nothing is kept.

        Raises InUse, Unavailable, Denied, and Rejected where it does not find it.
        """
        with Endpoint(*self._listen, self._hear):
            self._make(address, _now())
            self._drop([self._subscribed.pop(address)])

    # --- what Graph keeps -----------------------------------------------------------------------------------------

    def _left_over(self) -> Iterator[str]:
        """The ids of the app's subscriptions that lead here, and that nobody knows any more.

        A process that was killed left them, or an answer that got lost; or their mailbox is none of ours any more.
        """
        for address in self._subscribed.keys() - {*self.addresses}:
            del self._subscribed[address]
        ours = {*self._subscribed.values()}
        for page in self._app().pages("/subscriptions"):
            for each in page.get("value") or ():
                if each.get("notificationUrl") == self._url and each.get("id") not in ours:
                    yield str(each["id"])

    def _drop(self, left_over: list[str]) -> bool:
        """Delete one of them; whether there was one. Where Graph does not let us, it ends by itself."""
        if not left_over:
            return False
        with suppress(Denied, Gone, Rejected):
            self._app().ask("DELETE", path("subscriptions", left_over.pop()))
        return True

    def _subscribe_next(self, addresses: Collection[str]) -> bool:
        """Make or renew the subscription of one mailbox, where that is due; whether it was."""
        now = _now()
        address = next((each for each in addresses if self._due.get(each, _NEVER) <= now), None)
        if address is None:
            return False
        # Whatever becomes of it, others have their turn first.
        self._due[address] = now + LATER
        try:
            self._renew(address, now) if address in self._subscribed else self._make(address, now)
        except ConnectorError as error:
            # A mailbox in trouble does not stop the others, but where it is the first one, it may be the app's.
            if isinstance(error, Unavailable) or not self._subscribed:
                raise
        else:
            self._due[address] = now + LIFE / 2
        return True

    def _make(self, address: str, now: datetime) -> None:
        self._reached, self._making = False, True
        asked = {
            "changeType": "created,updated",
            "notificationUrl": self._url,
            "lifecycleNotificationUrl": self._url,
            "resource": f"users/{quote(address, safe='@')}/messages",
            "clientState": self._state(self._number(address)),
            "expirationDateTime": _moment(now + LIFE),
        }
        try:
            self._subscribed[address] = str(self._connect(address).ask("POST", "/subscriptions", asked).body["id"])
        except Rejected as error:
            if self._reached:
                raise
            host, port = self._listen
            raise Rejected(f"{error}: does {self._url} lead from outside to {host}:{port}?") from None
        finally:
            self._making = False
        # What happened before, nobody was told.
        self._notice(address, _HAPPENED)

    def _renew(self, address: str, now: datetime) -> None:
        """Let it last longer, which authorizes it anew too. One that Graph does not know any more is made again."""
        told = {"expirationDateTime": _moment(now + LIFE)}
        try:
            self._connect(address).ask("PATCH", path("subscriptions", self._subscribed[address]), told)
        except (Gone, Missing):
            del self._subscribed[address]
            self._make(address, now)

    def _give_back(self) -> None:
        """Delete the subscriptions, as many as there is time for."""
        until, left = _now() + GIVING_BACK, [*self._subscribed.values()]
        self._subscribed.clear()
        self._due.clear()
        with suppress(ConnectorError):  # The next process finds what is left.
            while left and _now() < until:
                self._drop(left)

    # --- what Graph tells -----------------------------------------------------------------------------------------

    def _told(self, patience: float) -> frozenset[str]:
        """The mailboxes of which something was told; waits so many seconds where there is nothing yet."""
        told = set()
        try:
            # No more than there are now: whoever floods us shall not keep us here.
            for _ in range(max(1, self._news.qsize())):
                address, what = self._news.get(timeout=patience)
                self._waiting.discard((address, what))
                if what == _REMOVED:
                    self._subscribed.pop(address, None)
                if what in (_REMOVED, _REAUTHORIZE):
                    self._due[address] = _NEVER
                told.add(address)
        except queue.Empty:
            pass
        return frozenset(told)

    def _hear(self, query: Mapping[str, str], body: bytes) -> tuple[HTTPStatus, str]:
        """What is answered to whoever comes. Only takes note: Graph wants an answer in three seconds."""
        if (token := query.get("validationToken")) is not None:
            if not self._making or len(token) > _LONGEST_TOKEN:
                raise Forged
            self._reached = True
            return HTTPStatus.OK, html.escape(token)
        told = _notifications(body)
        genuine = [(each, address) for each in told if (address := self._whose(each.get("clientState")))]
        for each, address in genuine:
            self._notice(address, self._what(each, address))
        if len(genuine) < len(told):
            raise Forged
        return HTTPStatus.ACCEPTED, ""

    def _what(self, told: Mapping[str, Any], address: str) -> str:
        event = told.get("lifecycleEvent")
        if event == _REMOVED and told.get("subscriptionId") == self._subscribed.get(address):
            return _REMOVED
        return _REAUTHORIZE if event == _REAUTHORIZE else _HAPPENED

    def _notice(self, address: str, what: str) -> None:
        if (address, what) not in self._waiting:
            self._waiting.add((address, what))
            self._news.put((address, what))

    def _number(self, address: str) -> int:
        if address not in self._numbered:
            self._numbered.append(address)
        return self._numbered.index(address)

    def _state(self, number: int) -> str:
        """The secret between us and Graph of one mailbox's subscription, which nobody else can make."""
        return f"{number}.{hmac.digest(self._secret, str(number).encode(), 'sha256').hex()}"

    def _whose(self, state: object) -> str | None:
        """The mailbox that this secret is for; None where it is none of ours."""
        number = state.partition(".")[0] if isinstance(state, str) else ""
        if not (number.isascii() and number.isdecimal()) or len(number) > len(str(len(self._numbered))):
            return None
        genuine = hmac.compare_digest(self._state(int(number)).encode(), str(state).encode(errors="replace"))
        return self._numbered[int(number)] if genuine else None


def _notifications(body: bytes) -> list[dict[str, Any]]:
    """What a body holds. Raises Forged where Graph would not write that."""
    try:
        told = json.loads(body)["value"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Forged from None
    if not (isinstance(told, list) and all(isinstance(each, dict) for each in told)):
        raise Forged
    return told


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
