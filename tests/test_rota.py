"""When each mailbox is looked at: evenly, at the latest after its time, and at once when something is due."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from connector.daemon.rota import Rota
from connector.ledger import Due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INTERVAL, SAFETY = 60 * SECOND, 900 * SECOND


@dataclass
class Day:
    """A rota, and when it asked for whom."""

    addresses: Collection[str]
    rota: Rota = field(default_factory=lambda: Rota(INTERVAL, SAFETY))
    now: datetime = NOW
    #: Those that have a turn already.
    busy: set[str] = field(default_factory=set)

    def plan(self, due: Mapping[str, Due] | None = None, heard: Collection[str] = ()) -> list[str]:
        """Whom one planning asks for."""
        asked: list[str] = []

        def ask(mailbox: Any) -> bool:
            asked.append(mailbox.name)
            return mailbox.name not in self.busy

        mailboxes: Any = [SimpleNamespace(name=each, source=SimpleNamespace(address=each)) for each in self.addresses]
        self.rota.plan(mailboxes, self.now, due=due or {}, heard=heard, ask=ask)
        return asked

    def over(self, seconds: int, due: Mapping[str, Due] | None = None, heard: Collection[str] = ()) -> list[list[str]]:
        """The same, every second for so long."""
        told = []
        for _ in range(seconds):
            self.now += SECOND
            told.append(self.plan(due, heard))
        return told


def test_polling_is_spread_evenly_and_nobody_waits_for_longer_than_the_interval() -> None:
    """After the start, at which all are looked at, there is no second in which many come at once."""
    day = Day([f"{number}@example.org" for number in range(1200)])
    assert len(day.plan()) == 1200
    first = day.over(60)
    assert Counter(name for each in first for name in each) == Counter(day.addresses)
    assert max(map(len, first)) < 2 * 1200 / 60
    assert day.over(60) == first


def test_where_servers_tell_mailboxes_are_looked_at_every_quarter_of_an_hour() -> None:
    """Never later: an event that the server forgot is found by then."""
    day = Day([f"{number}@example.org" for number in range(100)])
    day.plan(heard={*day.addresses})
    told = day.over(900, heard={*day.addresses})
    assert Counter(name for each in told for name in each) == Counter(day.addresses)
    assert max(map(len, told)) < 6


def test_a_connection_that_is_lost_brings_polling_back_within_the_interval() -> None:
    """Nobody has told anything since."""
    day = Day(["anna", "ben"])
    day.plan(heard={"anna", "ben"})
    day.over(100, heard={"anna", "ben"})
    told = [name for each in day.over(60, heard={"ben"}) for name in each]
    assert "anna" in told


def test_a_safety_that_is_shorter_than_the_interval_changes_nothing() -> None:
    """Whoever polls once in an hour does not poll more often because the server tells."""
    day = Day(["anna"], Rota(timedelta(hours=1), SAFETY))
    day.plan(heard={"anna"})
    assert len([each for each in day.over(3600, heard={"anna"}) if each]) == 1


def test_what_is_due_has_its_turn_at_once_and_then_as_often_as_it_polls() -> None:
    """What could not be done in a turn stays due, and is tried in every interval; what is new is tried at once."""
    day = Day(["anna"])
    day.plan(heard={"anna"})
    due = {"anna": Due(NOW, 1)}
    assert day.plan(due, {"anna"}) == ["anna"]
    stuck = [each for each in day.over(60, due, {"anna"}) if each]
    assert len(stuck) == 1
    assert day.plan({"anna": Due(NOW, 2)}, {"anna"}) == ["anna"]


def test_a_backlog_is_gone_on_with_as_long_as_each_turn_does_some_of_it() -> None:
    """A turn takes a hundred redirects: what is left does not wait for the next interval."""
    day = Day(["anna"])
    day.plan()
    for left in range(5000, 0, -100):
        day.busy = {"anna"}
        day.plan({"anna": Due(NOW, left - 1)})
        day.busy = set()
        assert day.plan({"anna": Due(NOW, left)}) == ["anna"]


def test_who_has_a_turn_already_is_asked_for_again() -> None:
    """It may have been at its end."""
    day = Day(["anna"], busy={"anna"})
    assert [day.plan(), day.plan()] == [["anna"], ["anna"]]
    day.busy = set()
    assert [day.plan(), day.plan()] == [["anna"], []]


def test_a_clock_that_is_put_back_stops_nothing() -> None:
    """Otherwise nobody would have a turn until the old time has come again."""
    day = Day(["anna"])
    day.plan()
    day.now -= timedelta(days=1)
    assert day.plan() == ["anna"]
    assert day.plan() == []
