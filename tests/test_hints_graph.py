"""Hints of Graph: subscriptions that are made, renewed, healed and given back; and strangers at the endpoint."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connector import endpoint
from connector.endpoint import LARGEST
from connector.errors import Denied, Rejected, Unavailable
from connector.simulator import Exchange
from connector.simulator.graph.subscriptions import Subscription
from connector.sources.graph_mail import hints as module
from connector.sources.graph_mail.hints import GraphHints
from tests.graph_mail import settings
from tests.logged import Lines
from tests.test_simulator import ANNA, eml

BEN = "ben@example.org"
BOTH = (ANNA, BEN)
_PATIENCE = 60


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ear:
    """Somebody who listens, and what he has to be told for."""

    def __init__(self, exchange: Exchange, **more: Any) -> None:
        """For Anna and Ben; nothing is asked yet."""
        self.port = free_port()
        self._exchange = exchange
        self.again(**more)

    def again(self, *, mailboxes: Collection[str] = BOTH, probe: str | None = None, **more: Any) -> None:
        """Another process, with the same configuration."""
        told = {"url": f"http://127.0.0.1:{self.port}/graph", "listen": f"127.0.0.1:{self.port}", **more}
        self.entry = settings(self._exchange, mailboxes=mailboxes, probe=probe, notifications=told)
        self.entry.addresses()
        (self.hints,) = self.entry.hints()
        self.course = self.hints.listen(mailboxes)

    def until(self, happened: Callable[[set[str]], bool]) -> set[str]:
        """Hear until this is so of all that was told."""
        told: set[str] = set()
        end = time.monotonic() + _PATIENCE
        while not happened(told):
            assert time.monotonic() < end, told
            told |= next(self.course)
        return told

    def settle(self) -> None:
        """Hear until both are subscribed to, and nothing more is told."""
        self.until(lambda _: self.hints.hears == {*BOTH})
        while next(self.course):
            pass

    def tell(self, *told: Any, query: str = "", body: bytes | None = None) -> tuple[int, bytes]:
        """What is answered to somebody who tells this."""
        sent = json.dumps({"value": told}).encode() if body is None else body
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)) as connection:
            connection.request("POST", f"/graph{query}", sent)
            response = connection.getresponse()
            return response.status, response.read()


def kept(exchange: Exchange) -> dict[str, Subscription]:
    """What Graph has, by mailbox."""
    subscriptions = [*exchange._organisation.tenant.subscriptions.values()]
    assert len({each.mailbox.address for each in subscriptions}) == len(subscriptions)
    return {each.mailbox.address: each for each in subscriptions}


@pytest.fixture
def ear(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Of Anna and Ben, who have mailboxes."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])
    monkeypatch.setattr(module, "_SILENCE", 0.4)
    for each in BOTH:
        exchange.add_mailbox(each)
    ear = Ear(exchange)
    yield ear
    ear.course.close()


def test_a_message_is_a_hint_and_all_is_given_back(exchange: Exchange, ear: Ear) -> None:
    """Each new subscription is one too: nobody was told what came before."""
    assert ear.until({*BOTH}.issubset) == {*BOTH}
    assert {each.asked["resource"] for each in kept(exchange).values()} == {f"users/{each}/messages" for each in BOTH}
    ear.settle()
    exchange.deliver(ANNA, eml())
    assert ear.until(bool) == {ANNA}
    ear.course.close()
    assert kept(exchange) == {}
    assert not ear.hints.hears


def test_what_a_killed_process_left_is_deleted(exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the address where it leads: those of another machine stay."""
    ear.settle()
    before = {each.id for each in kept(exchange).values()}
    known, anna = exchange._organisation.tenant.subscriptions, kept(exchange)[ANNA]
    elsewhere = {**anna.asked, "notificationUrl": "https://other.example.org/", "resource": "users/carla/messages"}
    with monkeypatch.context() as patch:
        patch.setattr(GraphHints, "_give_back", lambda _: None)
        ear.course.close()
    known["other"] = replace(anna, id="other", asked=elsewhere)
    ear.again()
    ear.settle()
    del known["other"]
    assert before.isdisjoint(each.id for each in kept(exchange).values())


def test_after_a_failure_the_next_connection_has_them_still(exchange: Exchange, ear: Ear) -> None:
    """Nothing is subscribed to twice."""
    ear.settle()
    before = kept(exchange)
    exchange.order(drop={})
    ear.hints._due.clear()
    with pytest.raises(Unavailable):
        ear.until(lambda _: False)
    assert ear.hints.hears == {*BOTH}
    ear.course = ear.hints.listen(BOTH)
    ear.settle()
    assert kept(exchange) == before


def test_one_is_renewed_in_time(exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """When half of its life is over; and before, when Graph wants it authorized again."""
    monkeypatch.setattr(module, "LIFE", timedelta(hours=1))
    ear.settle()
    before = kept(exchange)
    ends = {address: each.expires for address, each in before.items()}
    monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) + timedelta(minutes=29))
    ear.until(lambda _: not next(ear.course))
    assert {address: each.expires for address, each in kept(exchange).items()} == ends
    exchange.order(lifecycle={"mailbox": ANNA, "event": "reauthorizationRequired"})
    ear.until(lambda _: before[ANNA].authorized)
    assert before[ANNA].expires > ends[ANNA]
    assert before[BEN].expires == ends[BEN]


def test_the_second_half_of_a_life(exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then both are renewed; one that Graph forgot without a word is made again."""
    monkeypatch.setattr(module, "LIFE", timedelta(hours=1))
    monkeypatch.setattr(module, "LASTING", timedelta(days=1))
    ear.settle()
    before = kept(exchange)
    ends = {address: each.expires for address, each in before.items()}
    exchange.order(expire_subscriptions=BEN)
    monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) + timedelta(minutes=31))
    assert ear.until(bool) == {BEN}
    after = kept(exchange)
    assert (after[ANNA].id, after[BEN].id != before[BEN].id) == (before[ANNA].id, True)
    assert after[ANNA].expires > ends[ANNA]


def test_one_that_was_removed_is_made_anew(exchange: Exchange, ear: Ear) -> None:
    """And it is looked what came meanwhile, as where something was missed."""
    ear.settle()
    before = kept(exchange)
    exchange.order(lifecycle={"mailbox": ANNA, "event": "subscriptionRemoved"})
    assert ear.until(bool) == {ANNA}
    ear.settle()
    assert kept(exchange)[ANNA].id != before[ANNA].id
    exchange.order(lifecycle={"mailbox": BEN, "event": "missed"})
    assert ear.until(bool) == {BEN}
    assert kept(exchange)[BEN].id == before[BEN].id
    exchange.deliver(ANNA, eml())
    assert ear.until(bool) == {ANNA}


def test_a_stranger_is_not_heard(exchange: Exchange, ear: Ear, lines: Lines) -> None:
    """Whatever he says, he is answered as all are, and the log has no word of it."""
    ear.settle()
    states = {address: each.asked["clientState"] for address, each in kept(exchange).items()}
    forged = states[ANNA][:-1] + ("0" if states[ANNA][-1] != "0" else "1")
    swapped = "1" + states[ANNA][1:] if states[ANNA][0] == "0" else "0" + states[ANNA][1:]
    said: list[Any] = [forged, swapped, "", "0", "7", "9" * 9999, "².x", "\ud800.x", None, 5, [states[ANNA]], {}]
    for state in said:
        assert ear.tell({"clientState": state, "subscriptionId": "hush"}) == (202, b"")
    for body in (b"", b"hush", b"[]", b'{"value": 1}', b'{"value": ["hush"]}', b"[" * 100_000):
        assert ear.tell(body=body) == (202, b"")
    assert ear.tell(query="?validationToken=hush") == (202, b"")
    assert next(ear.course) == frozenset()
    assert {each["event"] for each in lines()} == {"hints.forged"}
    assert "hush" not in str(lines())
    # A true one beside a forged one counts.
    assert ear.tell({"clientState": forged}, {"clientState": states[BEN]})[0] == 202
    assert ear.until(bool) == {BEN}


def test_what_is_told_has_bounds(exchange: Exchange, ear: Ear) -> None:
    """A flood is one hint, and what is too long is not read."""
    ear.settle()
    told = [{"clientState": kept(exchange)[ANNA].asked["clientState"]}] * 50
    for _ in range(20):
        assert ear.tell(*told)[0] == 202
    assert ear.hints._news.qsize() == 1
    assert next(ear.course) == {ANNA}
    assert next(ear.course) == frozenset()
    for size, status in ((str(LARGEST + 1), 413), ("9" * 5000, 413), ("x", 411), ("-1", 411)):
        with closing(http.client.HTTPConnection("127.0.0.1", ear.port, timeout=_PATIENCE)) as connection:
            connection.request("POST", "/graph", None, {"Content-Length": size})
            assert connection.getresponse().status == status


def test_strangers_who_never_end_keep_nobody_out_for_long(
    exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a time for all that he says, however busily he says it, and there are no more of them than that."""
    monkeypatch.setattr(endpoint, "_PATIENCE", timedelta(seconds=1))
    ear.settle()
    before = threading.active_count()
    head = b"POST /graph HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"
    with ExitStack() as opened:
        slow = [
            opened.enter_context(socket.create_connection(("127.0.0.1", ear.port)))
            for _ in range(endpoint._AT_A_TIME + 8)
        ]
        for each in slow:
            with suppress(OSError):
                each.sendall(head)
        assert threading.active_count() - before <= endpoint._AT_A_TIME
        end = time.monotonic() + _PATIENCE
        while threading.active_count() > before:
            assert time.monotonic() < end
            for each in slow:
                with suppress(OSError):
                    each.sendall(b"x")
            time.sleep(0.1)
    assert ear.tell({"clientState": kept(exchange)[ANNA].asked["clientState"]})[0] == 202
    assert ear.until(bool) == {ANNA}


def test_it_may_be_told_over_ipv6(exchange: Exchange, ear: Ear) -> None:
    """As addresses of that kind are written everywhere."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = probe.getsockname()[1]
    ear.again(url=f"http://[::1]:{port}/graph", listen=f"[::1]:{port}")
    ear.settle()
    exchange.deliver(BEN, eml())
    assert ear.until(bool) == {BEN}


def test_a_mailbox_that_is_refused_stops_no_other(exchange: Exchange, ear: Ear) -> None:
    """But where none can be opened, the reason is told, with the mailbox that it is about."""
    exchange.order(scope=[BEN])
    assert next(ear.course) == {BEN}
    assert ear.hints.hears == {BEN}
    exchange.order(scope=[])
    ear.again()
    with pytest.raises(Denied, match=f"in the mailbox {BEN}: grant it Mail"):
        next(ear.course)


def test_where_graph_has_no_time_at_the_start_it_is_asked_once(
    exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have none for the others either. The next attempt begins with another one."""
    monkeypatch.setattr(GraphHints, "_left_over", lambda _: ())
    exchange.order(throttle={"requests": 1, "status": 429, "back_off": 2000})
    with pytest.raises(Unavailable, match=ANNA) as raised:
        next(ear.course)
    assert raised.value.retry_after == timedelta(seconds=2)
    ear.course = ear.hints.listen(BOTH)
    assert next(ear.course) == {BEN}


CLEO, DORA = "cleo@example.org", "dora@example.org"


@pytest.mark.parametrize("trouble", [403, 404, 429, 500])
def test_of_a_batch_each_mailbox_has_its_own_outcome(
    exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    """The others are subscribed to by the same request, and the one that failed is asked for again later."""
    monkeypatch.setattr(module, "LASTING", timedelta(days=1))
    four = (ANNA, CLEO, BEN, DORA)
    for each in four[2:] if trouble == 404 else four[1:]:
        exchange.add_mailbox(each)
    exchange.order(scope=[ANNA, BEN, DORA] if trouble == 403 else None)
    ear.again(mailboxes=four)
    assert next(ear.course) == {ANNA}
    if trouble in (429, 500):
        exchange.order(throttle={"requests": 1, "status": trouble, "back_off": 600_000})
    assert next(ear.course) == {BEN, DORA}
    assert ear.hints.hears == kept(exchange).keys() == {ANNA, BEN, DORA}
    assert next(ear.course) == set()
    exchange.order(scope=None)
    exchange.add_mailbox(CLEO)
    later = timedelta(minutes=11) if trouble == 429 else module.LATER
    monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) + later)
    ear.until({CLEO}.issubset)
    assert ear.hints.hears == kept(exchange).keys() == {*four}


def test_many_mailboxes_take_few_requests(exchange: Exchange, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty by one, whether subscriptions are made, renewed or given back; a lost answer leaves none behind."""
    monkeypatch.setattr(module, "LIFE", timedelta(hours=1))
    monkeypatch.setattr(module, "LASTING", timedelta(days=1))
    crowd = {f"user{number}@example.org" for number in range(44)}
    for each in crowd:
        exchange.add_mailbox(each)
    ear.again(mailboxes=crowd)
    assert len(next(ear.course)) == 1
    exchange.order(drop={"when": "after"})
    with pytest.raises(Unavailable):
        next(ear.course)
    assert len(kept(exchange)) == 21
    ear.course = ear.hints.listen(crowd)
    assert _batches(exchange, lambda: ear.until(lambda _: ear.hints.hears == crowd)) == 1 + 3
    before = {address: each.expires for address, each in kept(exchange).items()}
    assert before.keys() == crowd
    monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) + module.LIFE / 2 + timedelta(minutes=1))
    ears = kept(exchange)
    assert (
        _batches(exchange, lambda: ear.until(lambda _: all(ears[each].expires > before[each] for each in crowd))) == 3
    )
    assert _batches(exchange, ear.course.close) == 3
    assert kept(exchange) == {}


def _batches(exchange: Exchange, happens: Callable[[], object]) -> int:
    """How many requests Graph is sent while this happens."""
    before = exchange.seen.count("POST $batch")
    happens()
    return exchange.seen.count("POST $batch") - before


def test_an_address_that_leads_elsewhere_is_named(exchange: Exchange, ear: Ear) -> None:
    """The proxy is forgotten easily."""
    ear.again(url=f"http://127.0.0.1:{free_port()}/graph")
    with pytest.raises(Rejected, match=r"does http://127.0.0.1:\d+/graph lead from outside to 127.0.0.1:\d+\?"):
        next(ear.course)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ear.again(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unavailable, match="cannot be listened on: Address already in use"):
            next(ear.course)
    assert kept(exchange) == {}


def test_check_has_graph_find_its_way_once(exchange: Exchange, ear: Ear) -> None:
    """It is told so where it does not, and where somebody listens; nothing is left either way."""
    exchange.add_mailbox("probe@example.org")
    assert not settings(exchange, probe="probe@example.org").try_notifications()
    assert not ear.entry.try_notifications()
    ear.again(probe="probe@example.org")
    assert ear.entry.try_notifications()
    assert kept(exchange) == {}
    with endpoint.Endpoint("127.0.0.1", ear.port, ear.hints._hear), pytest.raises(endpoint.InUse):
        ear.entry.try_notifications()
    ear.again(probe="probe@example.org", url=f"http://127.0.0.1:{free_port()}/graph")
    with pytest.raises(Rejected, match="lead from outside to"):
        ear.entry.try_notifications()
    assert kept(exchange) == {}


def test_other_mailboxes_end_it(exchange: Exchange, ear: Ear) -> None:
    """Whoever is none of ours any more is not told of any more either."""
    ear.settle()
    ear.hints.addresses = (ANNA,)
    with pytest.raises(StopIteration):
        ear.until(lambda _: False)
    ear.course = ear.hints.listen((ANNA,))
    ear.until(lambda _: kept(exchange).keys() == {ANNA})
    assert ear.hints.hears == {ANNA}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"url": "http://house.example.org/"}, "write an https address"),
        ({"url": "https://house.example.org/?a=b"}, "and nothing else"),
        ({"listen": "8443"}, "should match pattern"),
        ({"listen": "::1:8443"}, "should match pattern"),
        ({"listen": "127.0.0.1:65536"}, "a port is a number"),
    ],
)
def test_what_makes_no_sense_is_refused(exchange: Exchange, more: dict[str, str], says: str) -> None:
    """Each in a sentence; without the section there are no hints."""
    told = {"url": "https://house.example.org/graph", "listen": "127.0.0.1:8443"}
    assert settings(exchange).hints() == ()
    assert settings(exchange, notifications=told).hints()
    with pytest.raises(ValidationError, match=says):
        settings(exchange, notifications={**told, **more})
