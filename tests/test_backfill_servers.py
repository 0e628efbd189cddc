"""Backfill on Graph mail and in a channel of Teams, with a ledger on PostgreSQL."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from connector.flow.backfill import Hours, Wish, leave, progress, want
from connector.flow.redirect import tick
from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.policy import Policy
from connector.simulator import Exchange
from connector.sources import Source
from connector.sources.graph_mail import GraphMailbox
from connector.sources.memory import Attached
from connector.stores.memory import MemoryStore
from tests.ews import ANNA, eml
from tests.graph_mail import GraphUser
from tests.graph_mail import settings as of_mail
from tests.postgres import fresh_database
from tests.teams import Users, channel
from tests.world import KEY, WORDING

pytest_plugins = ["tests.postgres"]

POLICY = Policy.model_validate({"rules": [{"name": "all", "action": "redirect", "settle": 0}]})


@dataclass
class House:
    """A source on its server, and all that a daemon has for it; its clock runs ahead of the world's."""

    source: Source
    #: A file of this size comes in.
    arrives: Callable[[int], object]
    ledger: Ledger
    store: MemoryStore = field(default_factory=MemoryStore)
    ahead: timedelta = timedelta(0)

    def clock(self) -> datetime:
        """The real time, since servers stamp that, and more."""
        return datetime.now(UTC) + self.ahead

    def turns(self, number: int = 3) -> None:
        """A minute lies between two."""
        watch = Watch(
            tenant="acme",
            source=self.source,
            store=self.store,
            policy=POLICY,
            wording=WORDING,
            path="{tenant}/{id}",
            marker_key=KEY,
        )
        for _ in range(number):
            tick(watch, self.ledger, self.clock, "one")
            self.ahead += timedelta(minutes=1)

    @property
    def moved(self) -> list[int]:
        """The sizes of what was redirected, in the order in which that was planned."""
        planned = sorted(self.ledger.redirects(), key=lambda each: each.created)
        return [each.stored.size for redirect in planned for each in redirect.files if each.stored]

    @property
    def state(self) -> tuple[str, int]:
        """How far it is."""
        (only,) = progress(None, self.ledger, self.clock())
        return only.state, only.left


def mailed(exchange: Exchange, size: int) -> None:
    """A message with a file of this size is received now."""
    now = format_datetime(datetime.now(UTC))
    exchange.deliver(ANNA, eml(Attached(f"{size}.bin", bytes(size)), received=f"from a.example by b.example; {now}"))


@pytest.fixture(params=["mail", "channel"])
def house(request: pytest.FixtureRequest, exchange: Exchange, postgres: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Three files are there before anybody looks."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])
    with closing(Ledger(fresh_database(postgres))) as ledger:
        if request.param == "mail":
            GraphUser(exchange)
            source: Source = GraphMailbox(ANNA, partial(of_mail(exchange).connect, ANNA))
            house = House(source, partial(mailed, exchange), ledger)
        else:
            users = Users(exchange)
            house = House(channel(exchange), lambda size: users.upload(f"{size}.bin", bytes(size)), ledger)
        for size in (2000, 9000, 4000):
            house.arrives(size)
        time.sleep(1.1)  # Servers count whole seconds.
        house.turns()
        yield house


def test_what_is_older_than_first_contact_goes_where_it_is_wanted(house: House) -> None:
    """Not before; then the biggest first, behind what is new; left for now and gone on with, and never twice."""
    assert house.moved == []
    want(Wish(biggest=True), None, house.ledger, house.clock(), "ada")
    leave(None, house.ledger, house.clock(), "ada", paused=True)
    house.turns()
    assert (house.moved, house.state[0]) == ([], "paused")
    time.sleep(1.1)
    house.arrives(1000)
    leave(None, house.ledger, house.clock(), "ada", paused=False)
    house.turns(4)
    assert house.moved == [1000, 9000, 4000, 2000]
    assert house.state == ("done", 0)
    house.turns()
    assert len(house.moved) == 4


def test_only_at_its_hours(house: House) -> None:
    """Outside of them nothing is begun."""
    hour = house.clock().astimezone().hour
    closed = Hours((hour + 3) % 24, (hour + 4) % 24)
    want(Wish(hours=closed), None, house.ledger, house.clock(), "ada")
    house.turns()
    assert house.moved == []
    want(Wish(hours=Hours(hour, (hour + 3) % 24)), None, house.ledger, house.clock(), "ada")
    house.turns()
    assert sorted(house.moved) == [2000, 4000, 9000]
