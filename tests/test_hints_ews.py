"""Exchange tells what happens: subscriptions, groups and streams, over the simulated server."""

import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from lxml import etree

from connector.errors import Denied, Unavailable
from connector.simulator import Deviation, Exchange
from connector.simulator.ews.auth import Login
from connector.sources.ews.failures import Garbled
from connector.sources.ews.hints import LONGEST, EwsHints, envelopes
from tests.ews import eml, self_signed, settings
from tests.exchange import Judge, Owner

ANNA, BEN, CARLA = ADDRESSES = ("anna@example.org", "ben@example.org", "carla@example.org")
#: As long as a test waits for what should happen at once.
PATIENCE = 20


class Ear:
    """Somebody who listens in a thread. `next` is what he is told next, and how it ended is an exception, or None."""

    def __init__(self, hints: EwsHints, *addresses: str) -> None:
        self.hints = hints
        self._told: queue.Queue[frozenset[str]] = queue.Queue()
        self.ended: Exception | None = None
        self._thread = threading.Thread(target=self._listen, args=(addresses or hints.addresses,), daemon=True)
        self._thread.start()

    def _listen(self, addresses: tuple[str, ...]) -> None:
        try:
            for told in self.hints.listen(addresses):
                self._told.put(told)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.ended = error

    def next(self, seconds: float = PATIENCE) -> frozenset[str]:
        """Raises queue.Empty where nothing is told."""
        return self._told.get(timeout=seconds)

    def end(self) -> Exception | None:
        """Wait until it ends."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.ended


Listen = Callable[..., Ear]


@pytest.fixture
def listen(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Listen:
    """Listen for three mailboxes, or for these; with the same hints again, where they are given."""
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
    for address in ADDRESSES:
        exchange.add_mailbox(address)

    def ear(*addresses: str, hints: EwsHints | None = None, mailboxes: tuple[str, ...] = ADDRESSES) -> Ear:
        if hints is None:
            (hints,) = settings(exchange, mailboxes=mailboxes).hints()
        return Ear(hints, *addresses)

    return ear


def test_an_event_names_its_mailbox_at_once(exchange: Exchange, listen: Listen) -> None:
    """First everything may have happened unheard; then only what happens is told. The schema's judge looks on."""
    ear = listen()
    assert ear.next() == {*ADDRESSES}
    assert ear.hints.hears == {*ADDRESSES}
    exchange.deliver(BEN, eml())
    assert ear.next() == {BEN}
    exchange.deliver(CARLA, eml(), "Projects/2026")
    assert ear.next() == {CARLA}
    assert exchange.seen == ["Subscribe"] * 3 + ["GetStreamingEvents"]


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_over_tls_by_either_login(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: str) -> None:
    """NTLM proves a connection, and the one that streams is not the one that asks after it broke."""
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Exchange(witness=judge.witness, tls=context) as exchange:
        monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
        for address in ADDRESSES:
            exchange.add_mailbox(address)
        (hints,) = settings(exchange, mailboxes=ADDRESSES, auth=auth, ca=certificate).hints()
        ear = Ear(hints)
        assert ear.next() == {*ADDRESSES}
        exchange.deliver(BEN, eml())
        assert ear.next() == {BEN}
        exchange.order(cut_streams=True)
        assert isinstance(ear.end(), Unavailable)
        assert Ear(hints).next() == {*ADDRESSES}


def test_four_kinds_of_events_matter(exchange: Exchange, listen: Listen) -> None:
    """New, changed and moved items are told, deleted ones are not."""
    ear = listen()
    ear.next()
    anna = Owner(exchange, next(each for each in exchange.accounts if each["mailbox"] == ANNA))
    item = exchange.deliver(ANNA, eml())
    assert ear.next() == {ANNA}
    anna.move(item, "deleteditems")
    assert ear.next() == {ANNA}
    anna.delete(*anna.find("deleteditems"))
    with pytest.raises(queue.Empty):
        ear.next(0.5)


def test_streams_take_none_of_a_mailboxes_own_sessions(exchange: Exchange, listen: Listen) -> None:
    """While the stream is open, the mailbox answers as ever."""
    ear = listen()
    ear.next()
    (source, *_) = settings(exchange, mailboxes=ADDRESSES).sources()
    assert len([source.key for _ in range(8)]) == 8
    assert [*source.changes(None)]


def test_450_mailboxes_are_three_connections(exchange: Exchange, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 200 subscriptions on each, which is the most that the server allows; every mailbox is heard."""
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
    addresses = [f"user{number:03}@example.org" for number in range(450)]
    for address in addresses:
        exchange.add_mailbox(address)
    groups = settings(exchange, mailboxes=addresses).hints()
    ears = [Ear(group) for group in groups]
    assert [len(group.addresses) for group in groups] == [200, 200, 50]
    assert [len(ear.next(120)) for ear in ears] == [200, 200, 50]
    for address in addresses:
        exchange.deliver(address, eml())
    for ear in ears:
        heard: set[str] = set()
        while heard != {*ear.hints.addresses}:
            heard |= ear.next()
    assert exchange.seen.count("GetStreamingEvents") == 3


def test_a_group_keeps_to_the_server_that_has_its_subscriptions(exchange: Exchange, listen: Listen) -> None:
    """Exchange has many servers; a cookie leads back to the one where the first mailbox of the group is."""
    exchange.order(deviate={Deviation.MANY_SERVERS: True, Deviation.ANCHOR_REQUIRED: True})
    ear = listen()
    assert ear.next() == {*ADDRESSES}
    exchange.deliver(CARLA, eml())
    assert ear.next() == {CARLA}


def test_a_mailbox_that_is_not_there_does_not_take_the_group_down(exchange: Exchange, listen: Listen) -> None:
    """The others are heard."""
    missing = ("nobody@example.org", "no-one@example.org")
    ear = listen(mailboxes=(*ADDRESSES, *missing))
    assert ear.next() == {*ADDRESSES}
    assert ear.hints.hears == {*ADDRESSES}
    exchange.deliver(CARLA, eml())
    assert ear.next() == {CARLA}


def test_where_no_mailbox_opens_the_right_to_grant_is_named(exchange: Exchange, listen: Listen) -> None:
    """Nothing can be heard then."""
    ear = listen(mailboxes=("nobody@example.org",))
    assert isinstance(ear.end(), Denied)
    assert "nobody@example.org" in str(ear.ended)


def test_a_wrong_password_is_tried_twice_and_no_more(
    exchange: Exchange, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second refusal in the same words speaks of the account, and more would lock it."""
    monkeypatch.setenv("EWS_PASSWORD", "wrong")
    tried = _logins(monkeypatch)
    assert isinstance(listen().end(), Denied)
    assert len(tried) == 2


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(exchange: Exchange, listen: Listen) -> None:
    """Nobody else is subscribed to meanwhile."""
    exchange.order(throttle={"requests": 1, "back_off": 90_000})
    ended = listen().end()
    assert isinstance(ended, Unavailable)
    assert ended.retry_after == timedelta(seconds=90)
    assert exchange.seen == ["Subscribe"]


def test_a_server_that_is_down_is_asked_twice(exchange: Exchange, listen: Listen) -> None:
    """Not once for each of two hundred mailboxes."""
    exchange.order(throttle={"requests": 10, "status": 503})
    assert isinstance(listen().end(), Unavailable)
    assert exchange.seen == ["Subscribe"] * 2


def test_a_server_without_room_for_the_stream_is_told_as_that(exchange: Exchange, listen: Listen) -> None:
    """Streams are counted by the mailbox that they are charged to."""
    ears = [listen() for _ in range(10)]
    for ear in ears:
        ear.next()
    ended = listen().end()
    assert isinstance(ended, Unavailable)
    assert "ErrorExceededConnectionCount" in str(ended)


def test_a_lost_subscription_is_made_anew_and_only_that(exchange: Exchange, listen: Listen) -> None:
    """The stream ends; when it is asked for again, one mailbox is subscribed to, and may have been missed."""
    ear = listen()
    ear.next()
    exchange.order(expire_subscriptions=BEN)
    assert ear.end() is None
    assert ear.hints.hears == {ANNA, CARLA}
    exchange.deliver(CARLA, eml())

    ear = listen(hints=ear.hints)

    assert ear.next() == {BEN}
    assert ear.next() == {CARLA}
    assert exchange.seen == ["Subscribe"] * 3 + ["GetStreamingEvents", "Subscribe", "GetStreamingEvents"]


def test_a_restarted_server_has_no_subscriptions(exchange: Exchange, listen: Listen) -> None:
    """All are made anew, after the server has said so once."""
    ear = listen()
    ear.next()
    with exchange.down():
        assert isinstance(ear.end(), Unavailable)
    assert listen(hints=ear.hints).end() is None
    assert listen(hints=ear.hints).next() == {*ADDRESSES}


@pytest.mark.parametrize("cut", ["at the event", "between events"])
def test_after_a_broken_connection_everything_may_have_been_missed(
    exchange: Exchange, listen: Listen, cut: str
) -> None:
    """What a server told over a dead connection is never told again. The subscriptions are still good."""
    ear = listen()
    ear.next()
    if cut == "at the event":
        exchange.order(stream={"mishap": "cut", "event": 1})
        exchange.deliver(ANNA, eml())
    else:
        exchange.order(cut_streams=True)
    assert isinstance(ear.end(), Unavailable)
    assert listen(hints=ear.hints).next() == {*ADDRESSES}
    assert exchange.seen.count("Subscribe") == 3


def test_suppressed_and_doubled_events_are_only_hints(exchange: Exchange, listen: Listen) -> None:
    """One is not told; another is told twice, and names its mailbox once."""
    ear = listen()
    ear.next()
    exchange.order(stream={"mishap": "suppress"})
    exchange.deliver(ANNA, eml())
    with pytest.raises(queue.Empty):
        ear.next(0.5)
    exchange.order(stream={"mishap": "duplicate"})
    exchange.deliver(ANNA, eml())
    assert ear.next() == {ANNA}


def test_mailboxes_that_are_left_alone_are_not_subscribed_to(exchange: Exchange, listen: Listen) -> None:
    """Neither is the first one, whose server stood for the group until now."""
    ear = listen()
    ear.next()
    exchange.order(cut_streams=True)
    ear.end()
    ear = listen(BEN, CARLA, hints=ear.hints)
    assert ear.next() == {BEN, CARLA}


def test_without_impersonation_there_are_no_hints(exchange: Exchange, listen: Listen) -> None:
    """Nor where they are not wanted."""
    assert settings(exchange, impersonation=False).hints() == ()
    assert settings(exchange, streaming=False).hints() == ()


def _logins(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The logins that the server checks from now on."""
    tried: list[str | None] = []
    check = Login.check

    def counted(login: Login, authorization: str | None) -> tuple[str | None, list[str]]:
        tried.append(authorization)
        return check(login, authorization)

    monkeypatch.setattr(Login, "check", counted)
    return tried


_TOLD = [f'<Envelope xmlns="x"><Body>{n}</Body></Envelope>'.encode() for n in range(3)]


@pytest.mark.parametrize("size", [1, 2, 7, 45, 1000])
def test_envelopes_are_cut_apart_wherever_they_are_split(size: int) -> None:
    """Chunks are no borders; nor do prefixes and white space matter."""
    told = [*_TOLD, b'<s:Envelope xmlns:s="x"><s:Body/></s:Envelope >']
    whole = b" \r\n".join(told)
    assert [*envelopes(whole[at : at + size] for at in range(0, len(whole), size))] == told
    for envelope in told:
        etree.fromstring(envelope)


def test_an_envelope_is_there_as_soon_as_its_end_is() -> None:
    """It does not wait for the next one."""
    reply = iter([_TOLD[0], _TOLD[1][:9], _TOLD[1][9:]])
    assert next(envelopes(reply)) == _TOLD[0]
    assert next(reply) == _TOLD[1][:9]


@pytest.mark.parametrize(
    "reply", [[_TOLD[0], _TOLD[1][:-1]], [b"<html>no such thing</html>"], iter(partial(bytes, LONGEST // 4), None)]
)
def test_what_never_ends_is_garbled(reply: Iterator[bytes]) -> None:
    """A reply that was cut off, one that is something else, one that goes on for ever."""
    with pytest.raises(Garbled):
        for _ in envelopes(reply):
            pass
