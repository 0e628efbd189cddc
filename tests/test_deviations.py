"""Redirect, then restore, on servers that deviate from Exchange: each way by itself, and all of them together.

It ends right, or is held or put off with a reason. Nothing is lost, nothing but what was redirected leaves a message,
nothing comes back twice, and no run of the command asks without end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from connector.simulator import Deviation, Exchange
from connector.simulator.deviations import OF_GRAPH
from tests.pipeline import ANNA, Pipeline, Seen, letter
from tests.servers import DavServer

#: Two stay, two go; where ids are positions, each removal gives what stays another id.
FILES = {"keep.txt": b"stays", "report.pdf": b"%PDF-1.7 report", "plan.dwg": b"AC1032 plan", "notes.txt": b"stays too"}
POLICY = """
defaults: {settle: 1min}
rules:
  - {name: texts, when: {extension: txt}, action: keep}
  - {name: all, action: redirect}
"""
#: A redirect ends after eight failures, and a failure of the way back takes two runs.
RUNS = 20
#: Requests to Exchange in one run, for two messages.
REQUESTS = 60
#: In the order of their definition: workers that share the tests have to agree about it.
USABLE = [each for each in Deviation if each not in {Deviation.MALFORMED_UNKNOWN_FOLDER, *OF_GRAPH}]
#: Together they make an old listing name other files than it means.
MISLEADING = [Deviation.POSITIONAL_ATTACHMENT_IDS, Deviation.STALE_READS, Deviation.IGNORE_CONFLICTS]


@dataclass
class World:
    """Two messages on a server that deviates, and an hour between any two runs of the command."""

    pipeline: Pipeline
    deviations: list[Deviation]
    items: tuple[str, ...]
    hour: int = 0

    def run(self) -> Any:
        """Run the command once, then let its hour pass. Nothing may be lost, right after it and in the end."""
        asked = len(self.pipeline.exchange.seen)
        summary = self.pipeline.run("once", "--json", code=None, hours=self.hour).json
        assert len(self.pipeline.exchange.seen) - asked < REQUESTS
        assert [self.lost(seen) for seen in self.messages()] == [[], []]
        self.pipeline.exchange.order(elapse=True)
        assert [self.lost(seen) for seen in self.messages()] == [[], []]
        self.hour += 1
        return summary

    def run_to_the_end(self) -> Any:
        """Run until nothing is left to do."""
        for _ in range(RUNS):
            summary = self.run()
            if not summary["paused"] and all(each["next"] is None for each in summary["mailboxes"]):
                return summary["mailboxes"][0]
        return pytest.fail(f"still under way after {RUNS} runs: {summary}")

    def messages(self) -> list[Seen]:
        """The messages as they are, whatever the server shows of them."""
        self.pipeline.exchange.order(deviate=dict.fromkeys(self.deviations, False))
        seen = [self.pipeline.see(item) for item in self.items]
        self.pipeline.exchange.order(deviate=dict.fromkeys(self.deviations, True))
        return seen

    def lost(self, seen: Seen) -> list[bytes]:
        """The files that are neither in the message nor behind a link that it shows."""
        links = re.findall(rf'{re.escape(self.pipeline.url)}[^"<>\s]*', unescape(seen.body))
        reachable = {*seen.contents, *map(self.pipeline.download, set(links))}
        return [content for content in FILES.values() if content not in reachable]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Without the judge: what is said here is judged elsewhere."""
    with Exchange() as exchange:
        exchange.add_mailbox(ANNA)
        yield exchange


@pytest.fixture
def world(tmp_path: Path, exchange: Exchange, wsgidav: DavServer, deviations: list[Deviation]) -> World:
    """A message in HTML, and one in plain text."""
    pipeline = Pipeline(tmp_path, exchange, wsgidav)
    pipeline.configure(POLICY)
    exchange.order(deviate=dict.fromkeys(deviations, True), lag=3600)
    items = pipeline.deliver(letter(FILES)), pipeline.deliver(letter(FILES, "Hello\r\n", kind="plain"))
    return World(pipeline, deviations, items)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("deviations", [*([each] for each in USABLE), MISLEADING, USABLE], ids="+".join)
def test_redirect_and_restore(world: World, deviations: list[Deviation]) -> None:
    """Each file goes and comes back once; where the server loses it again, its link stays."""
    before = world.messages()
    told = world.run_to_the_end()
    assert told["redirected"] == len(world.items)
    assert [seen.contents for seen in world.messages()] == [(b"stays", b"stays too")] * 2

    world.pipeline.run("restore", "--everything", code=0, hours=world.hour)
    told = world.run_to_the_end()
    if Deviation.VANISHING_ATTACHMENTS in deviations:
        assert told["held"] == len(world.items)
        return
    assert told["restored"] == len(world.items)
    for seen, was in zip(world.messages(), before, strict=True):
        assert sorted(seen.contents) == sorted(was.contents)
        assert seen.body == was.body


@pytest.mark.parametrize("deviations", [[Deviation.MALFORMED_UNKNOWN_FOLDER], list(Deviation)], ids="+".join)
def test_server_that_answers_nonsense_is_left_alone(world: World) -> None:
    """Its mailbox is put off with a reason, and not asked without end; the messages stay as they are."""
    before = world.messages()
    for _ in range(3):
        (paused,) = world.run()["paused"]
        assert (paused["error"], "is not a whole EWS reply" in paused["reason"]) == ("Unavailable", True)
    assert world.messages() == before
