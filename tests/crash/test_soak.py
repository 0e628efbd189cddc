"""Kills and every other fault, again and again, within effects, while mail comes in: nothing is lost, and all ends.

The short form is what `.ci/run` has. The long one, 10,000 messages, half of them in each protocol:
`.venv/bin/pytest -n 0 -s -m by_hand tests/crash/test_soak.py`, for an hour, or half of it where `-k "long and ews"` and
`-k "long and graph"` run side by side. All have a fixed seed, print how often each fault struck within an effect, and
fail where one did so too seldom.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from connector.audit import verify as verifier
from connector.audit.export import export, jsonl
from connector.flow import decisions
from connector.ledger import Ledger
from connector.model import State
from connector.simulator import Exchange
from tests.crash import test_wire
from tests.crash.wire_faults import (
    Act,
    Fault,
    between,
    busy,
    cut,
    disk,
    expires,
    fills,
    frees,
    garbled,
    jumps,
    jumps_back,
    no_room,
    shrink,
    slow,
)
from tests.crash.wire_observer import Seen, Sight, broken, stored, through_exchangelib, unfinished
from tests.crash.wire_proxy import When
from tests.crash.wire_world import MAILBOXES, Letter, World, letter, world
from tests.servers import DavServer

exchange = test_wire.exchange

#: The requests with which a step reads what it needs, or changes something: those are within effects.
EFFECTS = {
    "ews": ("GetAttachment", "UpdateItem", "DeleteAttachment"),
    "graph": ("GET $value", "PATCH messages", "DELETE attachments"),
}
STORING = ("PUT file", "MOVE file", "GET file", "PUT manifest", "MOVE manifest")
SIDES: tuple[When, ...] = ("before", "after")
#: What can befall each side.
OF_EXCHANGE = ("kill", "cut", "slow", "busy", "garbled", "clock", "disk", "tokens")
OF_STORE = ("kill", "cut", "slow", "busy", "garbled", "clock", "disk", "no room")
#: What nothing befalls comes in so many at a time: few enough for one run.
REST = 200
#: The exit codes of a run that ended in order, whatever it met.
SOUND = {0, 1, 3, 4}
#: So many commands later is later than what waits for half an hour, since a server refused.
LATER = 40


class Trouble(NamedTuple):
    """What befalls whom."""

    kind: str
    side: str


@dataclass
class Siege:
    """A world, and what it had to bear so far."""

    world: World
    protocol: str
    dice: random.Random
    #: How often each fault struck within an effect.
    struck: Counter[Trouble] = field(default_factory=Counter)
    #: How often the run that it struck ended with which exit code.
    ended: Counter[tuple[Trouble, int | None]] = field(default_factory=Counter)
    #: What is not finished, as far as anybody has looked.
    open: list[Letter] = field(default_factory=list)

    def kinds(self) -> list[Trouble]:
        """All that there is. With EWS there are no tokens here."""
        of_exchange = [
            Trouble(each, "exchange") for each in OF_EXCHANGE if each != "tokens" or self.protocol == "graph"
        ]
        return [*of_exchange, *(Trouble(each, "store") for each in OF_STORE)]

    def strike(self, trouble: Trouble, most: int) -> bool:
        """One run, in which this befalls one of the first requests of some effect; whether it came to that."""
        assert self.world.front
        of_exchange = trouble.side == "exchange"
        proxy = self.world.front if of_exchange else self.world.proxy
        effects = EFFECTS[self.protocol] if of_exchange else STORING
        process = self.world.command("once")
        assert process.pid
        request, when = self.dice.randint(1, most), self.dice.choice(SIDES)
        act = self._act(trouble.kind, process.pid)
        fault = Fault(process.pid, self.dice.choice(effects), request, when, act=act)
        with between(proxy, fault):
            process.join()
        jumps_back(self.world)
        frees(self.world)
        # Wherever it ended, it ended in order: a bug is none of the ways.
        ways = {-signal.SIGKILL} if trouble.kind == "kill" and fault.struck else SOUND
        assert process.exitcode in ways, f"{trouble}, {fault}: {process.exitcode}: {self.world.said[-2000:]}"
        if fault.struck:
            self.struck[trouble] += 1
            self.ended[trouble, process.exitcode] += 1
        return fault.struck

    def _act(self, kind: str, pid: int) -> Act:
        def kill() -> None:
            os.kill(pid, signal.SIGKILL)
            raise ConnectionAbortedError

        acts: Mapping[str, Act] = {
            "kill": kill,
            "cut": cut,
            "slow": slow,
            "busy": busy,
            "garbled": garbled,
            "no room": no_room,
            "clock": jumps(self.world, self.dice.choice((-1, 1)) * self.dice.randint(20, 90_000)),
            "disk": fills(self.world),
            "tokens": expires(self.world),
        }
        return acts[kind]

    def deliver(self, letters: Iterator[Letter], number: int) -> bool:
        """Some more mail, if there is any."""
        before = len(self.world.letters)
        delivered = self.world.deliver(islice(letters, number))
        self.open += self.world.letters[before:]
        return delivered

    def look(self) -> None:
        """The promise holds for all that is open; what is finished is looked at again in the end."""
        sight = as_it_is(self.world, {each.id for each in self.open})
        assert broken(self.world, sight, self.open) == [], dict(self.struck)
        self.open = [each for each in self.open if unfinished(self.world, sight, [each])]


def as_it_is(world: World, wanted: set[str]) -> Sight:
    """These messages as they lie in the mailboxes: to ask for all of them each time would take all the time."""
    sight = {}
    for address in MAILBOXES:
        mailbox = world.exchange._organisation.mailboxes[address]
        with mailbox.lock:
            for item in mailbox.distinguished["inbox"].items.values():
                if item.message.internet_message_id in wanted:
                    files = [b"".join(each.content.chunks()) for each in item.message.attachments if each.content]
                    sight[item.message.internet_message_id] = Seen(item.message.body, frozenset(files))
    return sight


@contextmanager
def besieged(folder: Path, exchange: Exchange, apache: DavServer, protocol: str) -> Iterator[Siege]:
    """With a ledger on a small disk."""
    with disk(folder / "disk") as mounted:
        if not mounted:
            pytest.skip("this machine lets nobody mount a disk")
        with world(folder, exchange, apache, protocol=protocol, fronted=True) as built:
            shrink(built.state)
            yield Siege(built, protocol, random.Random(7))


def soak(siege: Siege, messages: int, kills: int, least: int, wave: int) -> None:
    """So many messages come in, there are so many kills, and every other fault strikes at least so often."""
    mail = map(letter, range(messages))
    wanted = {each: kills // 2 if each.kind == "kill" else least for each in siege.kinds()}
    while seldom := [each for each in siege.kinds() if siege.struck[each] < wanted[each]]:
        if len(siege.open) < wave:
            assert siege.deliver(mail, wave), f"no more mail, and too seldom: {seldom}"
        if not siege.strike(siege.dice.choice(seldom), most=max(2, wave // 2)):
            # What is open may wait, for a server that refused or for a human.
            siege.world.wait(LATER)
            release(siege.world)
        siege.look()
    while siege.deliver(mail, REST):
        assert siege.world.run() in SOUND, siege.world.said[-2000:]
    ends(siege, messages)


def ends(siege: Siege, messages: int) -> None:
    """Undisturbed runs, and everything is as it should be."""
    for _ in range(3):
        siege.world.wait(LATER)
        siege.world.run()
        release(siege.world)
    siege.world.wait(LATER)
    assert siege.world.run() == 0, siege.world.said[-2000:]
    assert len(siege.world.letters) == messages
    sight = through_exchangelib(siege.world)
    assert broken(siege.world, sight) == []
    assert unfinished(siege.world, sight) == []
    assert stored(siege.world) == sorted(content for each in siege.world.letters for content in each.redirectable)
    with closing(Ledger(f"sqlite:///{siege.world.state / 'ledger.db'}")) as ledger:
        ledger.require_whole()
        trail = export(ledger, jsonl, datetime.now(UTC), tenant=None, since=None, until=None)
        assert verifier.verify([f"{line}\n".encode() for line in trail]).wrong == []
    tell(siege)


def release(world: World) -> None:
    """As its operator does: the store gave back other bytes once, which is for a human to look at."""
    with closing(Ledger(f"sqlite:///{world.state / 'ledger.db'}")) as ledger:
        for each in ledger.redirects(state=State.HELD):
            assert "gives back" in each.reason, each.reason
            decisions.release(each, ledger, each.due, "operator")


def tell(siege: Siege) -> None:
    """The proof of the run."""
    lines = [f"{len(siege.world.letters)} messages over {siege.protocol}: {siege.struck.total()} faults within effects"]
    for trouble, number in sorted(siege.struck.items()):
        ended = {code: times for (each, code), times in sorted(siege.ended.items(), key=str) if each == trouble}
        lines.append(f"{number:6}  {trouble.kind}, {trouble.side}; exit codes: {ended}")
    print("", *lines, sep="\n")  # noqa: T201 - it is looked at


@pytest.mark.long
@pytest.mark.timeout(300)
def test_everything_goes_wrong(exchange: Exchange, apache: DavServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each fault strikes on each side, once."""
    with besieged(tmp_path_factory.mktemp("soak"), exchange, apache, "graph") as siege:
        soak(siege, messages=80, kills=4, least=1, wave=4)


@pytest.mark.by_hand
@pytest.mark.timeout(0)
@pytest.mark.parametrize("protocol", ["ews", "graph"])
def test_everything_goes_wrong_for_long(
    exchange: Exchange, apache: DavServer, tmp_path_factory: pytest.TempPathFactory, protocol: str
) -> None:
    """5,000 messages and 260 kills in each protocol, and each other fault twenty times on each side."""
    with besieged(tmp_path_factory.mktemp("soak"), exchange, apache, protocol) as siege:
        soak(siege, messages=5000, kills=260, least=20, wave=8)
