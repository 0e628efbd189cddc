"""Servers tell what happens, and a tick comes sooner; whatever they tell or leave out changes nothing else."""

import json
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from connector.daemon import listener
from connector.daemon.listener import Listener
from connector.daemon.turns import Turns
from connector.errors import Denied, Unavailable
from tests.logged import Lines
from tests.test_cli import ANNA, World, message, world

__all__ = ["world"]

BEN = "ben@example.org"
#: As long as a test waits for what should happen at once.
PATIENCE = 120

#: What is told, in its order; an exception ends it.
Course = list[set[str] | Exception]


class Mailbox:
    """All that turns and listeners ask of a mailbox."""

    def __init__(self, address: str = ANNA) -> None:
        """Named by its address."""
        self.name = self.address = address
        self.source = self


class Tenant:
    """All that a listener asks of a tenant."""

    name = "acme"

    def __init__(self, *mailboxes: Mailbox) -> None:
        """With these mailboxes."""
        self.mailboxes = mailboxes


class Connection:
    """Hints as a test wants them: each call of `listen` takes the next of these courses."""

    prompt = False

    def __init__(self, *courses: Course) -> None:
        """A course is what is told, in its order; after the last one nothing is told any more."""
        self.addresses = (ANNA, BEN)
        self.hears = self.addresses
        self.asked: queue.Queue[list[str]] = queue.Queue()
        self._courses = [*courses]

    def listen(self, addresses: list[str]) -> Iterator[set[str]]:
        self.asked.put(addresses)
        if not self._courses:
            threading.Event().wait()
        for told in self._courses.pop(0):
            if isinstance(told, Exception):
                raise told
            yield told


# --- turns --------------------------------------------------------------------------------------------------------


class Given:
    """Turns that begin and end when the test says so."""

    def __init__(self, threads: int = 4) -> None:
        """Turns of any mailbox, in so many threads."""
        self.pool = ThreadPoolExecutor(threads)
        self.turns: Any = Turns(self.pool, self._give)  # Mailbox stands in for one of the service
        self.begun: queue.Queue[str] = queue.Queue()
        self.end = threading.Semaphore(0)
        self.most = self._now = 0

    def _give(self, mailbox: Any) -> bool:
        self._now += 1
        self.most = max(self.most, self._now)
        self.begun.put(mailbox.name)
        assert self.end.acquire(timeout=PATIENCE)
        self._now -= 1
        return False

    def over(self) -> int:
        """End all turns; how many more there were."""
        self.end.release(100)
        self.pool.shutdown()
        return self.begun.qsize()


def test_a_hint_during_a_turn_gives_one_more_afterwards() -> None:
    """The turn may have looked already. Many hints make one turn, and never two at a time."""
    given = Given()
    given.turns.ask(Mailbox())
    given.begun.get(timeout=PATIENCE)
    for _ in range(5):
        given.turns.ask_once_more(Mailbox())
    assert given.begun.empty()
    given.end.release()
    given.begun.get(timeout=PATIENCE)
    given.end.release()
    assert given.over() == 0
    assert given.most == 1


def test_polling_during_a_turn_gives_none_afterwards() -> None:
    """It comes again by itself."""
    given = Given()
    given.turns.ask(Mailbox())
    given.begun.get(timeout=PATIENCE)
    given.turns.ask(Mailbox())
    given.end.release()
    assert given.over() == 0


def test_a_hint_before_a_turn_gives_none_afterwards() -> None:
    """What waits for a thread has not looked yet."""
    given = Given(threads=1)
    given.turns.ask(Mailbox(BEN))
    given.begun.get(timeout=PATIENCE)
    given.turns.ask(Mailbox())
    given.turns.ask_once_more(Mailbox())
    given.turns.ask(Mailbox())
    given.end.release(3)
    given.begun.get(timeout=PATIENCE)
    assert given.over() == 0


def test_a_turn_that_fails_gives_way_to_the_next() -> None:
    """A bug in one turn does not keep the mailbox busy for ever, and loses no hint."""
    begun: queue.Queue[str] = queue.Queue()
    go_on = threading.Event()

    def fail(mailbox: Any) -> bool:
        begun.put(mailbox.name)
        go_on.wait(PATIENCE)
        raise ZeroDivisionError

    with ThreadPoolExecutor(1) as pool:
        turns: Any = Turns(pool, fail)
        turns.ask(Mailbox())
        begun.get(timeout=PATIENCE)
        turns.ask_once_more(Mailbox())
        go_on.set()
        begun.get(timeout=PATIENCE)


def test_a_turn_whose_time_was_up_is_followed_by_one_more_behind_all_that_wait() -> None:
    """A mailbox with years of mail does not keep the others waiting."""
    begun = []
    left = {ANNA: 3, BEN: 1}

    def give(mailbox: Any) -> bool:
        begun.append(mailbox.name)
        both.wait(PATIENCE)
        left[mailbox.name] -= 1
        return left[mailbox.name] > 0

    both = threading.Event()
    pool = ThreadPoolExecutor(1)
    turns: Any = Turns(pool, give)
    turns.ask(Mailbox())
    turns.ask(Mailbox(BEN))
    both.set()
    while sum(left.values()):
        time.sleep(0.01)
    pool.shutdown()
    assert begun == [ANNA, BEN, ANNA, ANNA]


# --- listeners ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes milliseconds."""
    monkeypatch.setattr(listener, "SOONEST", timedelta(milliseconds=1))
    monkeypatch.setattr(listener, "LATEST", timedelta(milliseconds=5))
    monkeypatch.setattr(listener, "DENIED_PAUSE", timedelta(milliseconds=5))
    monkeypatch.setattr(listener, "UNAVAILABLE_PAUSE", timedelta(milliseconds=5))


def _listening(hints: Any, hinted: Callable[[Any], None], *left_alone: str) -> Listener:
    tenant: Any = Tenant(Mailbox(ANNA), Mailbox(BEN))
    return Listener(hints, tenant, left_alone=lambda: left_alone, hinted=hinted)


@pytest.mark.usefixtures("quick")
def test_hints_are_passed_on_and_the_connection_made_again() -> None:
    """Whether the server ends it, breaks it, refuses it, or we have a bug: never anything but the log hears of it."""
    heard: queue.Queue[str] = queue.Queue()
    troubles = [Unavailable("down"), Denied("no"), ZeroDivisionError(), Unavailable("busy", timedelta(milliseconds=1))]
    courses: list[Course] = [[{ANNA}, trouble] for trouble in troubles]
    hints = Connection(*courses, [set(), {BEN}])
    listener = _listening(hints, lambda mailbox: heard.put(mailbox.name))
    assert [heard.get(timeout=PATIENCE) for _ in range(5)] == [ANNA] * 4 + [BEN]
    for _ in range(6):
        assert hints.asked.get(timeout=PATIENCE) == [ANNA, BEN]
    listener.stop()


@pytest.mark.usefixtures("quick")
def test_the_log_tells_changes_of_state_and_not_each_attempt(lines: Lines) -> None:
    """A server that is down for a night makes one line."""
    down: Course = [Unavailable("mail.example.org cannot be used: Connection refused")]
    stands: Course = [set(), set()]
    hints = Connection(*[down] * 5, stands, *[down] * 5)
    listener = _listening(hints, lambda _: None)
    for _ in range(12):
        hints.asked.get(timeout=PATIENCE)
    listener.stop()
    logged = lines()
    assert [each["event"] for each in logged] == ["hints.lost", "hints.connected", "hints.lost"]
    assert logged[0]["reason"] == "mail.example.org cannot be used: Connection refused"


def test_a_connection_that_breaks_at_once_is_not_made_in_a_hot_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again after some time, then twice that, then four times."""
    monkeypatch.setattr(listener, "SOONEST", timedelta(milliseconds=100))
    times: list[float] = []

    class Breaking(Connection):
        def listen(self, addresses: list[str]) -> Iterator[set[str]]:
            times.append(time.monotonic())
            return super().listen(addresses)

    breaks: Course = [set()]
    hints = Breaking(*[breaks] * 100)
    listening = _listening(hints, lambda _: None)
    for _ in range(4):
        hints.asked.get(timeout=PATIENCE)
    listening.stop()
    gaps = [later - earlier for earlier, later in pairwise(times[:4])]
    assert [gap > least for gap, least in zip(gaps, (0.09, 0.19, 0.39), strict=True)] == [True] * 3


@pytest.mark.usefixtures("quick")
def test_a_mailbox_that_is_left_alone_is_not_listened_for() -> None:
    """To try what is refused once more could lock the account."""
    hints = Connection()
    listener = _listening(hints, lambda _: None, BEN)
    assert hints.asked.get(timeout=PATIENCE) == [ANNA]
    listener.stop()
    hints = Connection()
    listener = _listening(hints, lambda _: None, ANNA, BEN)
    time.sleep(0.1)
    listener.stop()
    assert hints.asked.empty()


# --- the daemon ---------------------------------------------------------------------------------------------------


class Running:
    """`connector run`, and what it logs."""

    def __init__(self, world: World, interval: int = 3600) -> None:
        """Two mailboxes, which are looked at once in an hour unless there is a reason to do it sooner."""
        self.world = world
        world.exchange.add_mailbox(BEN)
        world.configure(mailbox=f"{ANNA}, {BEN}")
        self.process = world.start("run", CONNECTOR_INTERVAL=str(interval))
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(json.loads(line))

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to this event."""
        while True:
            told = self._lines.get(timeout=PATIENCE)
            if told["event"] == event:
                return told

    def quiet(self, seconds: float = 2) -> None:
        """Wait until Exchange was not asked anything for so long."""
        seen = -1
        while seen != len(self.world.exchange.seen):
            seen = len(self.world.exchange.seen)
            time.sleep(seconds)

    def ticks(self) -> int:
        """How many there were: each begins by looking at the folders."""
        return self.world.exchange.seen.count("FindFolder")

    def until_stored(self, files: int) -> None:
        """Wait until the store has so many files."""
        begun = time.monotonic()
        while len(self.world.stored()) < files:
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.05)

    def redirected(self) -> int:
        """How many messages were redirected, in both mailboxes."""
        return sum(each["redirected"] for each in self.world.json("status")["mailboxes"])

    def stop(self) -> None:
        """SIGTERM ends it, although a stream is open that says nothing for half a minute."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0
        self.until("service.stopped")


@pytest.fixture
def run(world: World) -> Iterator[Callable[..., Running]]:
    """Start the daemon."""
    started: list[Running] = []

    def start(interval: int = 3600) -> Running:
        running = Running(world, interval)
        started.append(running)
        return running

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def test_mail_is_worked_at_long_before_the_next_poll(world: World, run: Callable[..., Running]) -> None:
    """One delivery makes a few ticks: one, and others that see what it wrote. In seconds, not in an hour."""
    daemon = run()
    assert daemon.until("hints.connected")["hears"] == 2
    daemon.quiet()
    before = daemon.ticks()
    world.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until_stored(1)
    daemon.quiet()
    assert daemon.ticks() - before < 20
    assert daemon.redirected() == 1
    daemon.stop()


def test_a_burst_is_few_ticks(world: World, run: Callable[..., Running]) -> None:
    """Twenty messages, which come one after the other, are not looked at one by one."""
    daemon = run()
    daemon.until("hints.connected")
    daemon.quiet()
    before = daemon.ticks()
    for number in range(20):
        world.exchange.deliver(ANNA, message(f"{number}.txt", content=b"short"))
    daemon.quiet()
    assert daemon.ticks() - before < 20


def test_a_restarted_server_is_listened_to_again(world: World, run: Callable[..., Running]) -> None:
    """And what came in between is seen at once."""
    daemon = run()
    daemon.until("hints.connected")
    daemon.quiet()
    with world.exchange.down():
        daemon.until("hints.lost")
        world.exchange.deliver(BEN, message("plan.pdf"))
    daemon.until("hints.connected")
    daemon.until_stored(1)


@pytest.mark.parametrize("mishap", ["suppress", "duplicate", "cut"])
def test_lost_doubled_and_cut_events_change_nothing(world: World, run: Callable[..., Running], mishap: str) -> None:
    """Polling is the truth: each message is redirected, once. Nor does it matter that removals are not told."""
    world.exchange.order(stream={"mishap": mishap}, deviate={"no-removal-events": True})
    daemon = run(interval=2)
    daemon.until("hints.connected")
    for number in range(3):
        world.exchange.deliver(ANNA, message(f"plan{number}.pdf"))
    daemon.until_stored(3)
    time.sleep(3)
    assert len(world.stored()) == 3
    assert daemon.redirected() == 3
