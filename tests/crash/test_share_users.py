"""People act on a share while we work: between any two effects they upload, edit, rename, move, copy, delete.

The invariant is one sentence: what is shared is in the share, or in the store behind a pointer in the share. What
somebody takes away himself, here or in the store, is his own doing, and no longer expected.

    CONNECTOR_STEPS=200000 CONNECTOR_SEED=7 pytest -m by_hand tests/crash/test_share_users.py
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connector.errors import ConnectorError, Corrupt, Denied, Unavailable
from connector.flow import decisions
from connector.flow.manifest import claim, reconcile
from connector.flow.reactions import StoreFailed
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.ledger import LeaseLost, Ledger, Stale
from connector.model import State
from connector.policy import Policy
from connector.rewrite import pointer as pointers
from tests.crash.test_every_effect import policy
from tests.crash.test_users import IN_THE_STORE, LAST_LOOK, MoodyStore, OneLedger, live
from tests.share_world import ShareWorld
from tests.test_manifest import backed_up
from tests.world import KEY, LEDGER_VERBS, SOURCE_VERBS, STORE_VERBS, TENANT, Killed, Saboteur

pytestmark = pytest.mark.no_cover

FOLDERS = ("General", "General/Plans")


class OneShare(OneLedger, ShareWorld):
    """A share whose ledger stays open."""


@dataclass
class People:
    """What the people of a share do, and what they may therefore still expect there."""

    world: OneShare
    serial: int = 0
    #: The ledger as it was once, and how long ago.
    backup: Path | None = None
    #: A pointer has just been seen, and the file may be on its way to the recycle bin.
    seen: bool = False

    def upload(self, choice: int) -> None:
        """A file, under one of few names: it may be there already, and then it is another version of it."""
        name, folder = f"file{choice % 4}.bin", FOLDERS[choice % 2]
        there = self.world.share.named(name, folder)
        if there is None or pointers.read(there.content) is None:
            self._overwritten(there.content if there else b"")
            content = self._content()
            self.world.share.upload(name, content, folder)
            self.world.wanted.append(content)
            self._spoilt()

    def edit(self, choice: int) -> None:
        """Also a pointer, which is none afterwards."""
        if item_id := self._one(choice):
            self._overwritten(self.world.share.entries[item_id].content)
            content = self._content()
            self.world.share.edit(item_id, content)
            self.world.wanted.append(content)
            self._spoilt()

    def rename(self, choice: int) -> None:
        """Under the same id."""
        if item_id := self._one(choice):
            self.serial += 1
            self.world.share.rename(item_id, f"renamed {self.serial}{Path(self._name(item_id)).suffix}")

    def move(self, choice: int) -> None:
        """Where no file has its name."""
        item_id, folder = self._one(choice), FOLDERS[choice % 2]
        if item_id and not self.world.share.named(self._name(item_id), folder):
            self.world.share.move(item_id, folder)

    def copy(self, choice: int) -> None:
        """Where no file has its name."""
        item_id, folder = self._one(choice), FOLDERS[choice % 2]
        if item_id and not self.world.share.named(self._name(item_id), folder):
            self.world.share.copy(item_id, folder)

    def delete(self, choice: int) -> None:
        """A file, or a pointer."""
        if item_id := self._one(choice):
            self.world.share.delete(item_id)
            self._spoilt()

    def bring_back(self, choice: int) -> None:
        """Out of the recycle bin, under the old id."""
        if self.world.share.bin:
            item_id = sorted(self.world.share.bin)[choice % len(self.world.share.bin)]
            entry = self.world.share.bin[item_id]
            if not self.world.share.named(entry.name, entry.folder):
                del self.world.share.bin[item_id]
                self.world.share.entries[item_id] = entry
                self.world.share.open_in_office(item_id, busy=False)

    def open_in_office(self, choice: int) -> None:
        """Or close it."""
        if item_id := self._one(choice):
            self.world.share.open_in_office(item_id, busy=bool(choice % 2))

    def delete_stored(self, choice: int) -> None:
        """Its owner deletes a file in the store."""
        if paths := sorted(self.world.manifest_free()):
            del self.world.store.files[paths[choice % len(paths)]]
            self._spoilt()

    def edit_stored(self, choice: int) -> None:
        """Its owner edits a file in the store."""
        if paths := sorted(self.world.manifest_free()):
            self.world.store.files[paths[choice % len(paths)]] = self._content()
            self._spoilt()

    def lose_cursors(self, _: int) -> None:
        """The server forgets the change feed."""
        self.world.share.lose_cursors()

    def throttle(self, choice: int) -> None:
        """The server is busy, or is not any more."""
        self.world.share.busy = timedelta(seconds=30) if choice % 2 else None

    def trouble_store(self, choice: int) -> None:
        """The store is busy, down, refuses, gives back other bytes; or is well again."""
        assert isinstance(self.world.store, MoodyStore)
        wait = Unavailable("busy", timedelta(minutes=choice % 3)), Unavailable("down"), Denied("no right")
        self.world.store.trouble = (*wait, Corrupt("other bytes"), None, None)[choice % 6]

    def recall(self, choice: int) -> None:
        """An operator wants a file back in the share."""
        self._decide(decisions.recall, choice)

    def release(self, choice: int) -> None:
        """An operator lets go on what is held."""
        self._decide(decisions.release, choice)

    def drop(self, choice: int) -> None:
        """An operator ends what is held."""
        self._decide(decisions.drop, choice)

    def back_up(self, _: int) -> None:
        """The ledger, not the store."""
        self.backup = backed_up(self.world)

    def _decide(self, decide: Callable[..., object], choice: int) -> None:
        with self.world.ledger() as ledger:
            known = ledger.redirects(state=State.HELD if choice % 2 else None)
            if known:
                with suppress(ValueError, Stale):
                    decide(known[choice % len(known)], ledger, self.world.now, "operator")

    def _one(self, choice: int) -> str | None:
        entries = self.world.share.entries.items()
        ids = sorted(id_ for id_, entry in entries if not (self.seen and pointers.read(entry.content)))
        return ids[choice % len(ids)] if ids else None

    def _name(self, item_id: str) -> str:
        return self.world.share.entries[item_id].name

    def _content(self) -> bytes:
        self.serial += 1
        return f"content {self.serial:06}".encode()

    def _overwritten(self, old: bytes) -> None:
        """Nobody expects it any more, also where a pointer still leads to it, unless another file has it too."""
        if sum(entry.content == old for entry in self.world.share.entries.values()) == 1:
            self.world.wanted = [content for content in self.world.wanted if content != old]

    def _spoilt(self) -> None:
        """What nobody gets any more, through somebody's own doing, is not expected any more."""
        reachable = {content for _, _, content in self.world.seen()}
        self.world.wanted = [content for content in self.world.wanted if content in reachable]


Act = Callable[[People, int], None]
ACTS: tuple[Act, ...] = (
    *(People.upload, People.upload, People.upload, People.edit, People.rename, People.move, People.copy),
    *(People.delete, People.bring_back, People.open_in_office, People.delete_stored, People.edit_stored),
    *(People.lose_cursors, People.throttle, People.trouble_store),
    *(People.recall, People.release, People.drop, People.back_up),
)
#: Neither a store nor a drive can close the window between the last look at a file or at a pointer, and the removal of
#: the original.
STORED = {act.__name__ for act in IN_THE_STORE}
moment = st.integers(1, 40) | st.sampled_from((*SOURCE_VERBS, *STORE_VERBS, *LEDGER_VERBS))
act = st.tuples(st.sampled_from(ACTS), st.integers(0, 1000))


class PeopleActOnAShare(RuleBasedStateMachine):
    """Ticks with acts of people between any two effects, and power cuts."""

    tenants_policy: ClassVar[Policy] = policy(settle=0)
    pointers: ClassVar[bool] = True
    taken: ClassVar[int] = 0
    ledger_file: ClassVar[Path]
    opened: ClassVar[Ledger]

    def __init__(self) -> None:
        """A new world, with some files in it."""
        super().__init__()
        self.store = MoodyStore(clock=lambda: self.world.now)
        self.world = OneShare(self.ledger_file, self.tenants_policy, store=self.store, pointers=self.pointers)
        self.world.opened = self.opened
        self.world.take_back(None)
        self.people = People(self.world)
        self.claims()
        for choice in range(3):
            self.people.upload(choice)

    def claims(self) -> None:
        """What a daemon does at its start."""
        with self.world.ledger() as ledger, suppress(ConnectorError):
            claim(TENANT, self.world.store, ledger, self.world.now)

    @rule(act=act)
    def somebody_acts(self, act: tuple[Act, int]) -> None:
        """While the daemon sleeps."""
        act[0](self.people, act[1])

    @rule(minutes=st.integers(1, 120))
    def time_passes(self, minutes: int) -> None:
        """Settle, pauses and leases end."""
        self.world.now += timedelta(minutes=minutes)

    @rule(acts=st.dictionaries(moment, act, max_size=4), kill=st.integers(0, 60), after=st.booleans())
    def tick(self, acts: dict[int | str, tuple[Act, int]], kill: int, *, after: bool) -> None:
        """One tick; people act before the n-th effect, or after one of a kind; the power goes around another one."""
        saboteur = Saboteur(kill_at=kill, when="after" if after else "before")

        def between() -> None:
            last = saboteur.seen[-1] if saboteur.seen else ""
            for now in (saboteur.count + 1, last):
                if (found := acts.pop(now, None)) and not (found[0].__name__ in STORED and last in LAST_LOOK):
                    self.people.seen = last in ("fetch", *LAST_LOOK)
                    found[0](self.people, found[1])
                    self.people.seen = False

        saboteur.between = between
        try:
            with self.world.process(saboteur) as (watch, ledger):
                tick(watch, ledger, self.world.clock, "one")
        except (Killed, LeaseLost):
            pass

    @rule(kill=st.integers(0, 30))
    def sweep(self, kill: int) -> None:
        """What nothing shows goes soon here; the power may go, too."""
        try:
            with self.world.process(Saboteur(kill_at=kill)) as (watch, ledger):
                sweep(watch, ledger, self.world.clock, "one", grace=timedelta(hours=1), at_most=100)
        except (Killed, LeaseLost, StoreFailed, ConnectorError):
            pass

    @rule(lost=st.booleans(), looked=st.booleans())
    def ledger_of_yesterday(self, *, lost: bool, looked: bool) -> None:
        """The ledger is what it was at the last backup, or is a new one; somebody reconciles it, now or later."""
        if self.store.trouble or not (lost or self.people.backup):
            return
        self.world.take_back(None if lost else self.people.backup)
        self.claims()
        if looked:
            self.somebody_reconciles()

    @rule()
    def somebody_reconciles(self) -> None:
        """As the brake says."""
        with self.world.ledger() as ledger, suppress(ConnectorError):
            assert not reconcile(TENANT, self.world.store, ledger, self.world.now, KEY).refused

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is shared is in the share, or behind a pointer there."""
        type(self).taken += 1
        assert not self.world.lost()

    def teardown(self) -> None:
        """When everybody has gone home, all that can be done is done."""
        type(self).taken -= 1  # The invariant holds before the first step, too.
        self.world.share.busy = None
        self.store.trouble = None
        self.somebody_reconciles()
        self.world.now += timedelta(hours=2)
        self.world.run(ticks=200)
        assert not self.world.lost()
        with self.world.ledger() as ledger:
            ended = {each.state for each in ledger.redirects()}
        assert ended <= {State.DONE, State.DROPPED, State.HELD, State.RESTORED}


class Pointers(PeopleActOnAShare):
    """Files give way to pointers after a while."""

    tenants_policy = policy(settle="10min")


class Copies(PeopleActOnAShare):
    """Files stay where they are."""

    pointers = False


MACHINES = (Pointers, Copies)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", MACHINES)
def test_people_act_on_a_share(machine: type[PeopleActOnAShare]) -> None:
    """Some thousand steps of each machine."""
    live(seed(1)(machine), 1_000)  # type: ignore[arg-type]


@pytest.mark.by_hand
@pytest.mark.timeout(0)
@pytest.mark.parametrize("machine", MACHINES)
def test_people_act_for_long(machine: type[PeopleActOnAShare], capsys: pytest.CaptureFixture[str]) -> None:
    """As many steps as `CONNECTOR_STEPS` says, shared by the machines, from the seed `CONNECTOR_SEED`."""
    steps = int(os.environ.get("CONNECTOR_STEPS", "200_000")) // len(MACHINES)
    began = int(os.environ.get("CONNECTOR_SEED", "1"))
    try:
        live(seed(began)(machine), steps)  # type: ignore[arg-type]
    finally:
        with capsys.disabled():
            print(f"\n{machine.__name__}: seed {began}, {machine.taken} steps")  # noqa: T201 - the proof of the run
