"""Microsoft 365 tells the daemon what happens, through an endpoint; whatever it tells, polling stays the truth."""

import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.test_cli import ANNA, PROBE, World, message, world
from tests.test_hints_graph import free_port, kept
from tests.test_hints_service import BEN, PATIENCE

__all__ = ["world"]

_SOURCE = """\
sources:
  - type: graph
    app:
      graph: {graph}
      login: {graph}
      directory: {directory}
      client: {client}
      secret: {{env: GRAPH_SECRET}}
    groups: [{group}]
    probe: {probe}
    waive_certify: Ada Admin
    since: everything
    notifications: {{url: "http://127.0.0.1:{port}/graph", listen: "127.0.0.1:{port}"}}
store:
"""


class Running:
    """`connector run` for two mailboxes that a directory tells of."""

    def __init__(self, world: World, **options: str) -> None:
        """They are looked at once in an hour unless there is a reason to do it sooner."""
        self.exchange, self.world, self.port = world.exchange, world, free_port()
        self.exchange.add_mailbox(BEN)
        file = world.folder / "tenants" / "acme.yaml"
        before, after = file.read_text().split("sources:")
        source = _SOURCE.format(
            graph=self.exchange.graph.removesuffix("/v1.0"),
            directory=self.exchange.tenant,
            client=self.exchange.client["id"],
            group=self.exchange.add_group("Staff", ANNA, BEN),
            probe=PROBE,
            port=self.port,
        )
        file.write_text(before + source + after.split("store:\n")[1])
        world.environment["GRAPH_SECRET"] = self.exchange.client["secret"]
        found = {each["tried"]: each["says"] for each in world.json("check")}
        assert found["acme: notifications"].startswith("Graph found its way to us")
        self.process = world.start("run", **{"CONNECTOR_INTERVAL": "3600", **options})

    def until(self, happened: Callable[[], bool]) -> float:
        """Wait for this; how many seconds it took."""
        begun = time.monotonic()
        while not happened():
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.05)
        return time.monotonic() - begun

    def quiet(self) -> None:
        """Wait until Graph was not asked anything for longer than a hint waits for others."""
        seen = -1
        while seen != len(self.exchange.seen):
            seen = len(self.exchange.seen)
            time.sleep(2)

    def subscribed(self) -> bool:
        """Whether Graph knows whom to tell of both."""
        return kept(self.exchange).keys() == {ANNA, BEN}

    def stored(self, files: int) -> Callable[[], bool]:
        """Whether the store has so many files."""
        return lambda: len(self.world.stored()) == files

    def stop(self) -> None:
        """It ends in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@pytest.fixture
def run(world: World) -> Iterator[Callable[..., Running]]:
    """Start the daemon."""
    started: list[Running] = []

    def start(**options: str) -> Running:
        started.append(Running(world, **options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def test_mail_is_worked_at_long_before_the_next_poll(run: Callable[..., Running]) -> None:
    """And a stranger's word is no reason; a subscription that was removed heals; at the end none is left."""
    daemon = run()
    daemon.until(daemon.subscribed)
    daemon.quiet()
    daemon.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until(daemon.stored(1))
    daemon.quiet()

    asked = len(daemon.exchange.seen)
    with closing(http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)) as connection:
        told = {"value": [{"clientState": "0." + "0" * 64, "subscriptionId": "1", "resource": f"users/{ANNA}"}]}
        connection.request("POST", "/graph", json.dumps(told))
        assert connection.getresponse().status == 202
    daemon.quiet()
    assert len(daemon.exchange.seen) == asked

    before = kept(daemon.exchange)[BEN].id
    daemon.exchange.order(lifecycle={"mailbox": BEN, "event": "subscriptionRemoved"})
    daemon.until(lambda: daemon.subscribed() and kept(daemon.exchange)[BEN].id != before)
    daemon.quiet()
    daemon.exchange.deliver(BEN, message("map.pdf"))
    daemon.until(daemon.stored(2))
    daemon.stop()
    assert kept(daemon.exchange) == {}
    assert daemon.process.stderr
    events = [json.loads(line)["event"] for line in daemon.process.stderr]
    assert "hints.connected" in events
    assert "hints.forged" in events
    assert "hints.lost" not in events


def test_what_nobody_tells_is_found_by_the_safety_poll(run: Callable[..., Running]) -> None:
    """All notifications are lost; a mailbox that is heard is polled all the same."""
    daemon = run(CONNECTOR_INTERVAL="1", CONNECTOR_SAFETY="3")
    daemon.until(daemon.subscribed)
    daemon.exchange.order(stream={"mishap": "suppress"})
    daemon.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until(daemon.stored(1))
    assert daemon.subscribed()


def test_at_sighup_the_endpoint_is_opened_anew(run: Callable[..., Running]) -> None:
    """The next one finds the address free, and mailboxes are subscribed to once more: none twice."""
    daemon = run()
    daemon.until(daemon.subscribed)
    before = {each.id for each in kept(daemon.exchange).values()}
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: daemon.subscribed() and before.isdisjoint(each.id for each in kept(daemon.exchange).values()))
    daemon.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until(daemon.stored(1))
    daemon.stop()
    assert kept(daemon.exchange) == {}
    assert daemon.process.stderr
    assert "hints.lost" not in [json.loads(line)["event"] for line in daemon.process.stderr]
