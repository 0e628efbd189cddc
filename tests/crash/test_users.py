"""Users act while we work: between any two effects they move, copy, delete, edit, detach, answer, and the power goes.

The invariant is one sentence: every original is in its message, or in the store behind a link that the message shows.
What a user takes out himself is his own doing, and no longer expected.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connector.decisions import recall
from connector.ledger import LeaseLost, Ledger, Stale
from connector.model import Body, State
from connector.redirect import tick
from connector.sources.memory import Attached
from tests.crash.test_every_effect import policy
from tests.world import LEDGER_VERBS, SOURCE_VERBS, STORE_VERBS, Killed, Saboteur, World

FOLDERS = ("Inbox", "Inbox/Project", "Sent Items", "Deleted Items")


@dataclass
class Users:
    """What the people of a mailbox do, and what they may therefore still expect in each message."""

    world: World
    #: The contents that each item must still give access to, by item id.
    expected: dict[str, set[bytes]] = field(default_factory=dict)
    serial: int = 0

    def deliver(self, choice: int) -> None:
        """A message arrives with up to three files."""
        files = [Attached(f"file{n}.bin", self._content()) for n in range(choice % 4)]
        self._arrived(self.world.mailbox.deliver(*files, body=self._body(choice)), files)

    def answer(self, choice: int) -> None:
        """A reply quotes the whole body, our notice and all, and brings a file of a name that was seen before."""
        if item_id := self._one(choice):
            body = self.world.mailbox.entry(item_id).message.body
            file = Attached("file0.bin", self._content())
            self._arrived(self.world.mailbox.deliver(file, body=body, folder="Sent Items"), [file])

    def move(self, choice: int) -> None:
        """Into another folder: the id changes."""
        if item_id := self._one(choice):
            moved = self.world.mailbox.move(item_id, FOLDERS[choice % len(FOLDERS)])
            self.expected[moved] = self.expected.pop(item_id)

    def copy(self, choice: int) -> None:
        """The copy must give access to the same as its original did."""
        if item_id := self._one(choice):
            self.expected[self.world.mailbox.copy(item_id, "Inbox")] = set(self.expected[item_id])

    def delete(self, choice: int) -> None:
        """For good."""
        if item_id := self._one(choice):
            self.world.mailbox.delete(item_id)
            del self.expected[item_id]

    def detach(self, choice: int) -> None:
        """One file goes; whether a link to it stands already is none of the user's business."""
        if (item_id := self._one(choice)) and (files := self.world.mailbox.entry(item_id).message.files):
            file = files[choice % len(files)]
            self.expected[item_id].discard(self.world.mailbox.entry(item_id).contents[file.id])
            self.world.mailbox.detach(item_id, file.id)

    def attach(self, choice: int) -> None:
        """A file of a name, and of a size, that may be there already or have been there."""
        if item_id := self._one(choice):
            file = Attached(f"file{choice % 3}.bin", self._content())
            self.world.mailbox.attach(item_id, file)
            self.expected[item_id].add(file.content)

    def recall(self, choice: int) -> None:
        """An operator wants the files of a message back in it."""
        ledger = Ledger(f"sqlite:///{self.world.ledger_file}")
        known = ledger.redirects()
        if known:
            with suppress(ValueError, Stale):
                recall(known[choice % len(known)], ledger, self.world.now, "operator")
        ledger.close()

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
            self.expected[item_id] &= set(self.world.mailbox.entry(item_id).contents.values())

    def read(self, choice: int) -> None:
        """Changes the version, and nothing that matters to us."""
        if item_id := self._one(choice):
            self.world.mailbox.mark_read(item_id)

    def hide_private(self, choice: int) -> None:
        """Marks the message as private."""
        if item_id := self._one(choice):
            self.world.mailbox.change(item_id, sensitivity="private")

    def lose_cursors(self, _: int) -> None:
        """The server forgets the change feed."""
        self.world.mailbox.lose_cursors()

    def throttle(self, choice: int) -> None:
        """The server is busy, or is not any more."""
        self.world.mailbox.busy = timedelta(seconds=30) if choice % 2 else None

    def _one(self, choice: int) -> str | None:
        ids = sorted(self.expected)
        return ids[choice % len(ids)] if ids else None

    def _content(self) -> bytes:
        self.serial += 1
        return f"content {self.serial:06}".encode()  # all of one length, so that size tells nothing

    def _body(self, choice: int) -> Body:
        return Body("Hello\r\n", html=False) if choice % 3 == 0 else Body("<html><body>Hello</body></html>", html=True)

    def _arrived(self, item_id: str, files: list[Attached]) -> None:
        self.expected[item_id] = {file.content for file in files}

    def lost(self) -> list[str]:
        """What somebody may expect and cannot get."""
        found = []
        for item_id, wanted in self.expected.items():
            entry = self.world.mailbox.entry(item_id)
            reachable = {*entry.contents.values(), *self.world.shown(entry.message).values()}
            found += [f"{item_id} lost {content!r}" for content in wanted - reachable]
        return found


ACTS: tuple[Callable[[Users, int], None], ...] = (
    Users.deliver,
    Users.answer,
    Users.move,
    Users.copy,
    Users.delete,
    Users.detach,
    Users.attach,
    Users.recall,
    Users.write_above,
    Users.wipe,
    Users.read,
    Users.hide_private,
    Users.lose_cursors,
    Users.throttle,
)
#: When somebody acts in a tick: before the n-th effect, or right after the first of a kind.
moment = st.integers(1, 40) | st.sampled_from((*SOURCE_VERBS, *STORE_VERBS, *LEDGER_VERBS))
act = st.tuples(st.sampled_from(ACTS), st.integers(0, 1000))


class UsersActWhileWeWork(RuleBasedStateMachine):
    """Ticks with acts of users between any two effects, and power cuts."""

    def __init__(self) -> None:
        """A new world in a folder of its own."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name) / "ledger.db", policy(settle="10min"))
        self.users = Users(self.world)

    @rule(act=act)
    def somebody_acts(self, act: tuple[Callable[[Users, int], None], int]) -> None:
        """While the daemon sleeps."""
        act[0](self.users, act[1])

    @rule(minutes=st.integers(1, 120))
    def time_passes(self, minutes: int) -> None:
        """Settle, pauses and leases end."""
        self.world.now += timedelta(minutes=minutes)

    @rule(acts=st.dictionaries(moment, act, max_size=4), kill=st.integers(0, 60), after=st.booleans())
    def tick(self, acts: dict[int | str, tuple[Callable[[Users, int], None], int]], kill: int, *, after: bool) -> None:
        """One tick; users act before the n-th effect, or after one of a kind; the power goes around another one."""
        saboteur = Saboteur(kill_at=kill, when="after" if after else "before")

        def between() -> None:
            for now in (saboteur.count + 1, saboteur.seen[-1] if saboteur.seen else ""):
                if found := acts.pop(now, None):
                    found[0](self.users, found[1])

        saboteur.between = between
        try:
            with self.world.process(saboteur) as (watch, ledger):
                tick(watch, ledger, self.world.clock, "one")
        except (Killed, LeaseLost):
            pass

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every original is in its message, or behind a link that the message shows."""
        assert not self.users.lost()

    def teardown(self) -> None:
        """When everybody has gone home, all that can be done is done, and nothing is held for no reason."""
        self.world.mailbox.busy = None
        self.world.now += timedelta(hours=2)
        self.world.run(ticks=200)
        assert not self.users.lost()
        ledger = Ledger(f"sqlite:///{self.world.ledger_file}")
        ended = {each.state for each in ledger.redirects()}
        ledger.close()
        self.folder.cleanup()
        assert ended <= {State.DONE, State.DROPPED, State.HELD, State.RESTORED}


TestUsersActWhileWeWork = UsersActWhileWeWork.TestCase
TestUsersActWhileWeWork.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
