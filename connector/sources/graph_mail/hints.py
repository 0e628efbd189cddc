"""Change notifications: Graph tells an address of the house at once in which mailboxes something happened.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import hmac
import html
import json
import queue
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from connector.endpoint import Endpoint, Forged
from connector.errors import ConnectorError, Gone, Rejected, Unavailable
from connector.sources.graph.connection import BATCH, JSON, Connection, Step, path
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

    Mailboxes are subscribed to while it is listened already, in one thread, as many by one request as Graph takes.
    Each has an outcome of its own: the others do not wait for one that is refused.
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
        #: Whether subscriptions are being made now, and whether Graph came and asked for one of them.
        self._making = self._reached = False
        #: Why a mailbox could not be subscribed to: the last reason.
        self._failed: Exception = Unavailable("none of its mailboxes can be subscribed to for now", LATER)

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
                        raise self._failed
            except GeneratorExit:
                self._give_back()
                raise

    def tried(self, address: str) -> None:
        """Have Graph find its way to us once, for this mailbox; nothing is kept.

        Raises InUse, Unavailable, Denied, and Rejected where it does not find it.
        """
        with Endpoint(*self._listen, self._hear):
            self._subscribe([address])
            if address not in self._subscribed:
                raise self._failed
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
            for each in page["value"]:
                if each.get("notificationUrl") == self._url and each.get("id") not in ours:
                    yield str(each["id"])

    def _drop(self, left_over: list[str]) -> bool:
        """Delete some of them; whether there were any. Where Graph does not let us, they end by themselves."""
        dropped = [Step("DELETE", path("subscriptions", each)) for each in left_over[:BATCH]]
        del left_over[:BATCH]
        if dropped:
            self._app().batch(dropped)
        return bool(dropped)

    def _subscribe_next(self, addresses: Collection[str]) -> bool:
        """Make or renew the subscriptions that have been due for longest; whether there were any."""
        now = _now()
        due = sorted((each for each in addresses if self._since(each) <= now), key=self._since)
        # The first goes alone: where Graph does not find its way to us, it tries for ten seconds for each.
        due = due[: BATCH if self._subscribed else 1]
        if due:
            self._subscribe(due)
        return bool(due)

    def _since(self, address: str) -> datetime:
        return self._due.get(address, _NEVER)

    def _subscribe(self, addresses: Sequence[str]) -> None:
        """Make or renew the subscriptions of so many mailboxes, by one request.

        Raises what concerns more than a mailbox, as far as it can be told: the answer as a whole, and what Graph has
        against the very first one that is no want of permission.
        """
        now = _now()
        # Where the answer is lost, others have their turn first.
        self._due.update(dict.fromkeys(addresses, now))
        self._reached, self._making = False, True
        try:
            answers = self._app().batch([self._step(each, now) for each in addresses])
        finally:
            self._making = False
        for address, answer in zip(addresses, answers, strict=True):
            self._due[address] = now + self._settled(address, answer)
        if not self._subscribed and isinstance(self._failed, Unavailable | Rejected):
            raise self._failed

    def _step(self, address: str, now: datetime) -> Step:
        """What lets the subscription of a mailbox last longer, which authorizes it anew too; or else makes it."""
        party = self._connect(address).party
        told = {"expirationDateTime": _moment(now + LIFE)}
        if subscription := self._subscribed.get(address):
            return Step("PATCH", path("subscriptions", subscription), told, party)
        asked = {
            **told,
            "changeType": "created,updated",
            "notificationUrl": self._url,
            "lifecycleNotificationUrl": self._url,
            "resource": f"users/{quote(address, safe='@')}/messages",
            "clientState": self._state(self._number(address)),
        }
        return Step("POST", "/subscriptions", asked, party)

    def _settled(self, address: str, answer: JSON | Exception) -> timedelta:
        """Take note of what became of one; how long there is nothing more to do for it."""
        known = address in self._subscribed
        if known and isinstance(answer, Gone | Missing):
            # Graph does not know it any more: it is made again.
            del self._subscribed[address]
            return timedelta(0)
        if isinstance(answer, Exception):
            self._failed = self._explained(answer)
            return (isinstance(answer, Unavailable) and answer.retry_after) or LATER
        if not known:
            self._subscribed[address] = str(answer["id"])
            # What happened before, nobody was told.
            self._notice(address, _HAPPENED)
        return LIFE / 2

    def _explained(self, error: Exception) -> Exception:
        if self._reached or not isinstance(error, Rejected):
            return error
        host, port = self._listen
        return Rejected(f"{error}: does {self._url} lead from outside to {host}:{port}?")

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
