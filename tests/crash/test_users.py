"""Users act while we work: between any two effects they move, copy, delete, edit, detach, answer, and the power goes.

The invariant is one sentence: every original is in its message, or in the store behind a link that the message shows.
What a user takes out himself, here or in the store, is his own doing, and no longer expected.

    CONNECTOR_STEPS=200000 CONNECTOR_SEED=7 pytest -m by_hand tests/crash/test_users.py
"""

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from connector.errors import ConnectorError, Corrupt, Denied, Unavailable
from connector.flow import decisions
from connector.flow.manifest import claim, reconcile
from connector.flow.reactions import StoreFailed
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.ledger import LeaseLost, Ledger, Stale
from connector.model import Body, State
from connector.policy import Policy
from connector.sources.memory import Attached, Entry, MemoryMailbox, MemorySource
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.test_manifest import backed_up
from tests.world import KEY, LEDGER_VERBS, SOURCE_VERBS, STORE_VERBS, TENANT, Killed, Saboteur, World

#: Other tests cover every branch; to measure it here would take thrice the time.
pytestmark = pytest.mark.no_cover

FOLDERS = ("Inbox", "Inbox/Project", "Sent Items", "Deleted Items")
#: A ledger in memory is as durable as a killed process needs it, and a thousand times as fast.
MEMORY = next((each for each in ("/dev/shm",) if os.access(each, os.W_OK)), None)
#: So many steps in each machine's life: what takes long to go wrong goes wrong too.
LIFE = 100


class MoodyStore(MemoryStore):
    """A store that is in trouble at times."""

    trouble: ConnectorError | None = None


def _moody(verb: str) -> Callable[..., Any]:
    def asked(self: MoodyStore, *args: Any) -> Any:
        # Other bytes than were written are seen where they are looked at, and nowhere else.
        if self.trouble and (verb in ("put", "verify") or not isinstance(self.trouble, Corrupt)):
            raise self.trouble
        return getattr(MemoryStore, verb)(self, *args)

    return asked


for _verb in STORE_VERBS:
    setattr(MoodyStore, _verb, _moody(_verb))


class OneLedger(World):
    """A world whose ledger stays open: to open it takes longer than a tick."""

    opened: Ledger

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """What the ledger's file holds."""
        yield self.opened

    def take_back(self, ledger_file: Path | None) -> None:
        """The ledger is another one from now on: a backup, or a new one."""
        file = ledger_file or self.ledger_file.with_name("new.db")
        with closing(sqlite3.connect(file)) as old, closing(sqlite3.connect(self.ledger_file)) as now:
            old.backup(now)
            if not ledger_file:
                now.execute("UPDATE ledger SET id = ?", (secrets.token_hex(16),))
            ((self.opened.id,),) = now.execute("SELECT id FROM ledger")
            now.commit()
        # Whoever wrote last goes with it, as a process would: what it knew may be of a time that never was.
        self.opened._known.clear()


@dataclass
class Users:
    """What the people of a mailbox do, and what they may therefore still expect in each message."""

    world: OneLedger
    #: The contents that each message must still give access to. It is what a user takes for one: its id changes when it
    #: is moved, and while a copy takes its place there are two of it.
    expected: dict[int, set[bytes]] = field(default_factory=dict)
    #: Which message each item is, also those on a shelf, by item id.
    messages: dict[str, int] = field(default_factory=dict)
    #: Messages that were taken to somewhere else, by the id that they had.
    away: dict[str, Entry] = field(default_factory=dict)
    serial: int = 0
    #: The ledger as it was once, and how long ago.
    backup: Path | None = None

    # --- in the mailbox ---

    def deliver(self, choice: int) -> None:
        """A message arrives with up to three files."""
        files = [Attached(f"file{n}.bin", self._content()) for n in range(choice % 4)]
        self._arrived(self.world.mailbox.deliver(*files, body=self._body(choice)), files)

    def deliver_the_same_twice(self, choice: int) -> None:
        """Two files that are equal in everything."""
        files = [Attached("file0.bin", self._content())] * 2
        self._arrived(self.world.mailbox.deliver(*files, body=self._body(choice)), files)

    def answer(self, choice: int) -> None:
        """A reply quotes the whole body, our notice and all, and brings a file of a name that was seen before."""
        if item_id := self._one(choice):
            body = self.world.mailbox.entry(item_id).message.body
            file = Attached("file0.bin", self._content())
            self._arrived(self.world.mailbox.deliver(file, body=body, folder="Sent Items"), [file])

    def forward(self, choice: int) -> None:
        """The whole body, and what is attached now, once more."""
        if item_id := self._one(choice):
            entry = self.world.mailbox.entry(item_id)
            files = [Attached(file.name, entry.contents[file.id]) for file in entry.message.files]
            self._arrived(self.world.mailbox.deliver(*files, body=entry.message.body, folder="Sent Items"), files)

    def move(self, choice: int) -> None:
        """Into another folder: the id changes."""
        if item_id := self._one(choice):
            moved = self.world.mailbox.move(item_id, FOLDERS[choice % len(FOLDERS)])
            self.messages[moved] = self.messages.pop(item_id)

    def copy(self, choice: int) -> None:
        """The copy must give access to the same as its original did."""
        if item_id := self._one(choice):
            wanted = self._wanted(item_id) & self._reachable(item_id)
            self._is_new(self.world.mailbox.copy(item_id, "Inbox"), wanted)

    def delete(self, choice: int) -> None:
        """For good."""
        if item_id := self._one(choice):
            self.world.mailbox.delete(item_id)
            message = self.messages.pop(item_id)
            if left := self._seen(message):
                self.expected[message] &= set().union(*map(self._reachable, left))
            else:
                del self.expected[message]

    def archive(self, choice: int) -> None:
        """Out of the mailbox, into one that nobody watches: what it shows goes on to be good."""
        if item_id := self._one(choice):
            self.away[item_id] = self.world.mailbox.entry(item_id)
            self.world.mailbox.delete(item_id)

    def bring_back(self, choice: int) -> None:
        """What was archived comes back, under another id."""
        if self.away:
            old_id = sorted(self.away)[choice % len(self.away)]
            self.world.mailbox._entries[old_id] = self.away.pop(old_id)
            self.messages[self.world.mailbox.move(old_id, "Inbox")] = self.messages.pop(old_id)

    def detach(self, choice: int) -> None:
        """One file goes; whether a link to it stands already is none of the user's business."""
        if (item_id := self._one(choice)) and (files := self.world.mailbox.entry(item_id).message.files):
            file = files[choice % len(files)]
            self._wanted(item_id).discard(self.world.mailbox.entry(item_id).contents[file.id])
            self.world.mailbox.detach(item_id, file.id)

    def attach(self, choice: int) -> None:
        """A file of a name, and of a size, that may be there already or have been there."""
        if item_id := self._one(choice):
            file = Attached(f"file{choice % 3}.bin", self._content())
            self.world.mailbox.attach(item_id, file)
            self._wanted(item_id).add(file.content)

    def write_above(self, choice: int) -> None:
        """A remark at the top of the body, above our notice if it is there."""
        if item_id := self._one(choice):
            body = self.world.mailbox.entry(item_id).message.body
            assert body
            self.world.mailbox.edit_body(item_id, "A remark. " + body.content)

    def wipe(self, choice: int) -> None:
        """The whole body goes, our notice too: only what is attached can be expected from now on."""
        if item_id := self._one(choice):
            self.world.mailbox.edit_body(item_id, "")
            self._wanted(item_id).intersection_update(self.world.mailbox.entry(item_id).contents.values())

    def read(self, choice: int) -> None:
        """Changes the version, and nothing that matters to us."""
        if item_id := self._one(choice):
            self.world.mailbox.mark_read(item_id)

    def categorise(self, choice: int) -> None:
        """Another thing that we leave alone."""
        if item_id := self._one(choice):
            self.world.mailbox.entry(item_id).categories = (f"category {choice}",)
            self.world.mailbox.mark_read(item_id, read=False)

    def hide_private(self, choice: int) -> None:
        """Marks the message as private."""
        if item_id := self._one(choice):
            self.world.mailbox.change(item_id, sensitivity="private")

    # --- in the store ---

    def delete_stored(self, choice: int) -> None:
        """Its owner deletes a file in the store."""
        if paths := sorted(self.world.manifest_free()):
            self._spoilt(self.world.store.files.pop(paths[choice % len(paths)]))

    def edit_stored(self, choice: int) -> None:
        """Its owner edits a file in the store, or puts another one in its place."""
        if paths := sorted(self.world.manifest_free()):
            path = paths[choice % len(paths)]
            old, self.world.store.files[path] = self.world.store.files[path], self._content()
            self._spoilt(old)

    # --- in the server rooms ---

    def lose_cursors(self, _: int) -> None:
        """The server forgets the change feed."""
        self.world.mailbox.lose_cursors()

    def throttle(self, choice: int) -> None:
        """The server is busy, or is not any more."""
        self.world.mailbox.busy = timedelta(seconds=30) if choice % 2 else None

    def trouble_store(self, choice: int) -> None:
        """The store is busy, down, refuses, gives back other bytes; or is well again."""
        assert isinstance(self.world.store, MoodyStore)
        wait = Unavailable("busy", timedelta(minutes=choice % 3)), Unavailable("down"), Denied("no right")
        self.world.store.trouble = (*wait, Corrupt("other bytes"), None, None)[choice % 6]

    def recall(self, choice: int) -> None:
        """An operator wants the files of a message back in it."""
        self._decide(decisions.recall, choice)

    def release(self, choice: int) -> None:
        """An operator lets go on what is held, or begin again what was restored."""
        self._decide(decisions.release, choice)

    def drop(self, choice: int) -> None:
        """An operator ends what is held."""
        self._decide(decisions.drop, choice)

    def back_up(self, _: int) -> None:
        """The ledger, not the store."""
        self.backup = backed_up(self.world)

    def _decide(self, decide: Callable[..., object], choice: int) -> None:
        with self.world.ledger() as ledger:
            # What stands still has to be decided about more often than what is on its way.
            known = ledger.redirects(state=State.HELD if choice % 2 else None)
            if known:
                with suppress(ValueError, Stale):
                    decide(known[choice % len(known)], ledger, self.world.now, "operator")

    def _one(self, choice: int) -> str | None:
        ids = sorted(self._visible())
        return ids[choice % len(ids)] if ids else None

    def _visible(self) -> list[str]:
        """What a user sees in the mailbox, but for our letters: nothing of anybody's is in them."""
        entries = [entry for entry in self.world.mailbox.entries() if not entry.shelf]
        return [e.message.id for e in entries if not e.message.internet_message_id.endswith("@connector.invalid>")]

    def _content(self) -> bytes:
        self.serial += 1
        return f"content {self.serial:06}".encode()  # all of one length, so that size tells nothing

    def _body(self, choice: int) -> Body:
        return Body("Hello\r\n", html=False) if choice % 3 == 0 else Body("<html><body>Hello</body></html>", html=True)

    def _arrived(self, item_id: str, files: list[Attached]) -> None:
        self._is_new(item_id, {file.content for file in files})

    def _is_new(self, item_id: str, wanted: set[bytes]) -> None:
        self.serial += 1
        self.messages[item_id] = self.serial
        self.expected[self.serial] = wanted

    def _wanted(self, item_id: str) -> set[bytes]:
        return self.expected[self.messages[item_id]]

    def _seen(self, message: int) -> list[str]:
        """The items that are this message and that a user sees, here or where he took it."""
        ids = (*self._visible(), *self.away)
        return [item_id for item_id in ids if self.messages[item_id] == message]

    def _spoilt(self, content: bytes) -> None:
        """Whoever has a file attached still has it; nobody else does, unless it lies in the store once more."""
        for message, wanted in self.expected.items():
            if not any(content in self._reachable(item_id) for item_id in self._seen(message)):
                wanted.discard(content)

    def _reachable(self, item_id: str) -> set[bytes]:
        entry = self.away.get(item_id) or self.world.mailbox.entry(item_id)
        return {*entry.contents.values(), *self.world.shown(entry.message).values()}

    def lost(self) -> list[str]:
        """What somebody may expect and cannot get."""
        found = []
        for message, wanted in self.expected.items():
            seen = self._seen(message)
            found += [f"{seen} lost {content!r}" for content in wanted.difference(*map(self._reachable, seen))]
            found += [] if seen else [f"message {message} is nowhere"]
        return found

    def source(self, mailbox: MemoryMailbox) -> MemorySource:
        """What the daemon works with; we see which item becomes which."""
        return _Followed(mailbox, self.messages)


class _Followed(MemorySource):
    """A source that tells what takes the place of what."""

    def __init__(self, mailbox: MemoryMailbox, messages: dict[str, int]) -> None:
        super().__init__(mailbox)
        self._messages = messages

    def stage(self, item_id: str, redirect_id: str) -> str:
        return self._is_now(item_id, super().stage(item_id, redirect_id))

    def shelve(self, item_id: str, redirect_id: str) -> str:
        return self._is_now(item_id, super().shelve(item_id, redirect_id))

    def unshelve(self, item_id: str, beside: str) -> str:
        return self._is_now(item_id, super().unshelve(item_id, beside))

    def _is_now(self, old: str, new: str) -> str:
        self._messages[new] = self._messages[old]
        return new


Act = Callable[[Users, int], None]
ACTS: tuple[Act, ...] = (
    Users.deliver,
    Users.deliver,
    Users.deliver,
    Users.deliver_the_same_twice,
    Users.answer,
    Users.forward,
    Users.move,
    Users.copy,
    Users.delete,
    Users.archive,
    Users.bring_back,
    Users.detach,
    Users.attach,
    Users.write_above,
    Users.wipe,
    Users.read,
    Users.categorise,
    Users.hide_private,
    Users.delete_stored,
    Users.edit_stored,
    Users.lose_cursors,
    Users.throttle,
    Users.trouble_store,
    Users.recall,
    Users.release,
    Users.drop,
    Users.back_up,
)
#: No store can close the window between the last look at a file and the removal of its original.
IN_THE_STORE = (Users.delete_stored, Users.edit_stored)
LAST_LOOK = ("verify", "share")
#: When somebody acts in a tick: before the n-th effect, or right after the first of a kind.
moment = st.integers(1, 40) | st.sampled_from((*SOURCE_VERBS, *STORE_VERBS, *LEDGER_VERBS))
act = st.tuples(st.sampled_from(ACTS), st.integers(0, 1000))


class UsersActWhileWeWork(RuleBasedStateMachine):
    """Ticks with acts of users between any two effects, and power cuts."""

    tenants_policy: ClassVar[Policy] = policy(settle=0)
    replace: ClassVar[bool] = False
    #: All steps of all lives of this machine, which have one ledger after another in the same file.
    taken: ClassVar[int] = 0
    ledger_file: ClassVar[Path]
    opened: ClassVar[Ledger]

    def __init__(self) -> None:
        """A new world, with some mail in it."""
        super().__init__()
        self.store = MoodyStore(clock=lambda: self.world.now)
        self.world = OneLedger(self.ledger_file, self.tenants_policy, store=self.store, replace=self.replace)
        self.world.opened = self.opened
        self.world.take_back(None)
        self.users = Users(self.world)
        self.claims()
        for choice in range(3):
            self.users.deliver(choice + 1)

    def claims(self) -> None:
        """What a daemon does at its start."""
        with self.world.ledger() as ledger, suppress(ConnectorError):
            claim(TENANT, self.world.store, ledger, self.world.now)

    @rule(act=act)
    def somebody_acts(self, act: tuple[Act, int]) -> None:
        """While the daemon sleeps."""
        act[0](self.users, act[1])

    @rule(minutes=st.integers(1, 120))
    def time_passes(self, minutes: int) -> None:
        """Settle, pauses and leases end."""
        self.world.now += timedelta(minutes=minutes)

    @rule(acts=st.dictionaries(moment, act, max_size=4), kill=st.integers(0, 60), after=st.booleans())
    def tick(self, acts: dict[int | str, tuple[Act, int]], kill: int, *, after: bool) -> None:
        """One tick; users act before the n-th effect, or after one of a kind; the power goes around another one."""
        saboteur = Saboteur(kill_at=kill, when="after" if after else "before")

        def between() -> None:
            last = saboteur.seen[-1] if saboteur.seen else ""
            for now in (saboteur.count + 1, last):
                if (found := acts.pop(now, None)) and not (found[0] in IN_THE_STORE and last in LAST_LOOK):
                    found[0](self.users, found[1])

        saboteur.between = between
        try:
            with self.world.process(saboteur, source=self.users.source) as (watch, ledger):
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
        if self.store.trouble or not (lost or self.users.backup):
            return
        self.world.take_back(None if lost else self.users.backup)
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
        """Every original is in its message, or behind a link that the message shows."""
        type(self).taken += 1
        assert not self.users.lost()

    def teardown(self) -> None:
        """When everybody has gone home, all that can be done is done, and nothing is held for no reason."""
        type(self).taken -= 1  # The invariant holds before the first step, too.
        self.world.mailbox.busy = None
        self.store.trouble = None
        self.somebody_reconciles()
        self.world.now += timedelta(hours=2)
        self.world.run(ticks=200, source=self.users.source)
        assert not self.users.lost()
        with self.world.ledger() as ledger:
            ended = {each.state for each in ledger.redirects()}
        assert ended <= {State.DONE, State.DROPPED, State.HELD, State.RESTORED}


class AtOnce(UsersActWhileWeWork):
    """Everything goes, as soon as it is copied."""


class AfterSettle(UsersActWhileWeWork):
    """Links are shown a while after the copy; some files wait for a human, and some are only copied."""

    tenants_policy = Policy.model_validate(
        {
            "rules": [
                {"name": "ask", "when": {"name": "file2.bin"}, "action": "hold", "settle": "10min"},
                {"name": "both", "when": {"name": "file1.bin"}, "action": "copy"},
                {"name": "all", "action": "redirect", "settle": "10min"},
            ]
        }
    )


class Replacing(AfterSettle):
    """The same, where no message is edited in place."""

    replace = True


MACHINES = (AtOnce, AfterSettle, Replacing)


def live(machine: type[UsersActWhileWeWork], steps: int) -> None:
    """So many steps, in lives of some length; told with their seed."""
    machine.taken = 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        machine.ledger_file = Path(folder) / "ledger.db"
        Ledger(f"sqlite:///{folder}/new.db").close()
        with closing(Ledger(f"sqlite:///{machine.ledger_file}")) as machine.opened:
            _live(machine, steps)
    assert machine.taken >= steps * 0.8


def _live(machine: type[UsersActWhileWeWork], steps: int) -> None:
    told = settings(
        max_examples=steps // LIFE,
        stateful_step_count=LIFE,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # to find a shorter way to a failure takes longer than all that is done here
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=told)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", MACHINES)
def test_users_act_while_we_work(machine: type[UsersActWhileWeWork]) -> None:
    """More than twenty thousand steps in all."""
    live(seed(1)(machine), 7_000)


@pytest.mark.by_hand
@pytest.mark.timeout(0)
@pytest.mark.parametrize("machine", MACHINES)
def test_users_act_for_long(machine: type[UsersActWhileWeWork], capsys: pytest.CaptureFixture[str]) -> None:
    """As many steps as `CONNECTOR_STEPS` says, shared by the machines, from the seed `CONNECTOR_SEED`."""
    steps = int(os.environ.get("CONNECTOR_STEPS", "200_000")) // len(MACHINES)
    began = int(os.environ.get("CONNECTOR_SEED", "1"))
    try:
        live(seed(began)(machine), steps)
    finally:
        with capsys.disabled():
            print(f"\n{machine.__name__}: seed {began}, {machine.taken} steps")  # noqa: T201 - the proof of the run
