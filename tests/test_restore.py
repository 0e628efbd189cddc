"""Undo: files go back byte for byte, the notice goes out, the body is what it was; under crash and users' edits too."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email import policy as mail_policy
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from connector.errors import Edited, FileGone, Rejected, Unavailable
from connector.flow.decisions import Pace, Wanted, drop, recall, release, restore
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.ledger import Ledger
from connector.model import File, FileKind, Item, Message, Page, Redirect, State, Stored
from connector.policy import Policy
from connector.sources.memory import Attached, Entry, MemoryMailbox, MemorySource
from connector.spool import Spool
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import HALF, kills, packed, policy, several_messages
from tests.test_manifest import backed_up, reconciled, restored, start
from tests.test_redirect import before, cut_power, only, redirects
from tests.tnef import remember
from tests.world import Killed, World

FILE = Attached("a.bin", b"aaaa", "application/x-thing", content_id="a@example.org")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One message, redirected to the end."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    world.run()
    assert only(world).state is State.DONE
    return world


def recalled(world: World) -> None:
    """What `connector restore` does: it asks the ledger only."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    try:
        for each in ledger.redirects():
            if each.state not in (State.DROPPED, State.RESTORED):
                recall(each, ledger, world.clock(), "operator")
    finally:
        ledger.close()


def as_before(world: World) -> None:
    """Every message is what it was when it was delivered."""
    for entry in world.mailbox.entries():
        key = entry.message.internet_message_id
        assert sorted(entry.contents.values()) == sorted(world.files[key])
        assert entry.message.body == world.bodies[key]
        assert not entry.message.marker


def test_everything_comes_back(world: World) -> None:
    """Name, type, content id and inline flag of each file, its bytes, and the body to the character."""
    recalled(world)
    world.run()
    as_before(world)
    assert only(world).state is State.RESTORED
    (message,) = world.mailbox.items()
    kept = [(file.name, file.content_type, file.content_id, file.inline) for file in message.files]
    assert kept == [
        ("a.bin", "application/x-thing", "a@example.org", False),
        ("b.bin", "application/octet-stream", "", False),
    ]


def test_order_is_told(tmp_path: Path) -> None:
    """What comes back stands behind what had stayed, in its own old order; the event says behind how many."""
    world = World(tmp_path / "ledger.db", policy(unless={"extension": "txt"}))
    names = ["a.bin", "stays.txt", "b.bin", "stays too.txt"]
    world.deliver(*(Attached(name, name.encode()) for name in names))
    world.run()
    recalled(world)
    world.run()
    assert [file.name for file in one(world).files] == ["stays.txt", "stays too.txt", "a.bin", "b.bin"]
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    (told,) = (event for event in ledger.events() if event.name == "redirect.files_returned")
    ledger.close()
    assert told.detail == {"files": 2, "behind": 2}


def test_restored_message_is_not_redirected_again(world: World) -> None:
    """Not when it echoes, not when it is moved; only when a human releases it."""
    recalled(world)
    world.run()
    world.mailbox.lose_cursors()
    world.run()
    as_before(world)
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    release(only(world), ledger, world.clock(), "operator")
    ledger.close()
    world.run()
    assert only(world).state is State.DONE
    assert not world.mailbox.items()[0].files
    assert not world.lost()


@pytest.mark.parametrize("state", [State.PLANNED, State.STORED, State.LINKED, State.REWRITTEN, State.HELD])
def test_recalled_on_the_way(tmp_path: Path, state: State) -> None:
    """However far it has come, the message ends as it was."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(FILE)

    class Stopping(MemorySource):
        def prune(self, item: Item, file_ids: Any) -> None:
            raise Unavailable("not yet") if state is State.REWRITTEN else Rejected("never")

        def rewrite(self, item: Item, notice: Any) -> None:
            if state is State.LINKED:
                raise Unavailable("not yet")
            super().rewrite(item, notice)

        def open(self, item_id: str, file_id: str) -> Any:
            if state is State.PLANNED:
                raise Unavailable("not yet")
            return super().open(item_id, file_id)

    if state is State.STORED:
        world.policy = policy(settle="24h")
    with world.process(source=Stopping) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    assert only(world).state is state
    recalled(world)
    world.now += timedelta(hours=1)
    world.run()
    as_before(world)
    assert only(world).state is State.RESTORED


def test_restored_message_that_is_moved_is_not_redirected_again(world: World) -> None:
    """It is known by its Message-ID too."""
    recalled(world)
    world.run()
    world.mailbox.move(world.mailbox.items()[0].id, "Inbox/Project")
    world.run()
    as_before(world)


def test_same_file_twice(tmp_path: Path) -> None:
    """Two attachments that are equal in everything come back as two."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(FILE, FILE, FILE)
    world.run()
    recalled(world)
    world.run()
    as_before(world)


def test_what_is_wanted_back(tmp_path: Path) -> None:
    """By message, mailbox, rule and time; all that is said has to hold, and nothing is asked for twice."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(FILE)
    world.deliver(Attached("b.bin", b"bbbbbb"))
    world.run()
    (first, _) = redirects(world)
    ledger = Ledger(f"sqlite:///{world.ledger_file}")

    def wanted(**said: Any) -> tuple[int, int]:
        recalled = restore(Wanted(**said), ledger, world.clock(), "operator")
        return recalled.files, recalled.bytes

    later = first.created + timedelta(days=1)
    nothing: list[dict[str, Any]] = [
        {"message": "<nobody@example.org>"},
        {"mailbox": "ben@example.org"},
        {"rule": "another"},
        {"since": later},
        {"until": first.created - timedelta(days=1)},
        {"message": first.id, "rule": "another"},
    ]
    for said in nothing:
        with pytest.raises(ValueError, match="knows no redirect"):
            wanted(**said)
    assert wanted(message=first.internet_message_id, rule="all", mailbox="anna@example.org", until=later) == (1, 4)
    assert wanted(message=first.id) == (0, 0)
    assert wanted() == (1, 6)
    assert wanted() == (0, 0)
    ledger.close()
    world.run()
    as_before(world)


def coming_back(scene: Callable[[Path], World]) -> Callable[[Path], World]:
    """The same scene, with everything in it redirected and recalled."""

    def scene_coming_back(folder: Path) -> World:
        world = scene(folder)
        world.run()
        recalled(world)
        return world

    return scene_coming_back


@pytest.mark.long
@pytest.mark.no_cover  # it would take three times as long, and nothing is reached here alone
@pytest.mark.parametrize("scene", [several_messages, packed])
@HALF
def test_restore_survives_a_kill_at_every_effect(
    scene: Callable[[Path], World], tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is lost, none comes back twice, and in the end each message is what it was."""
    remember(monkeypatch)
    died = 0
    for at, world, killed in kills(coming_back(scene), tmp_path, when):
        died += killed
        assert not world.lost(), f"killed {when} effect {at}"
        world.run()
        as_before(world)
    assert died >= 10


@pytest.mark.parametrize("damage", ["deleted", "replaced"])
def test_store_that_has_not_the_bytes_any_more(world: World, damage: str) -> None:
    """A file deleted or edited in the store: held, and both sides are left as they were."""
    before_it = world.view()
    (path, *_) = world.manifest_free()
    if damage == "deleted":
        del world.store.files[path]
    else:
        world.store.files[path] = b"edited"
    recalled(world)
    world.run()
    held = only(world)
    assert (held.state, held.held_in) == (State.HELD, State.RECALLED)
    (message,) = world.mailbox.items()
    assert "data-redirect" in str(message.body)
    assert len(message.files) <= 1
    assert before_it[0][0] == message.internet_message_id


def test_message_that_is_gone(world: World) -> None:
    """Somebody asked for it, and is told where the files are; they stay there, also when he gives it up."""
    recalled(world)
    world.mailbox.delete(world.mailbox.items()[0].id)
    world.run()
    held = only(world)
    assert (held.state, held.held_in) == (State.HELD, State.RECALLED)
    assert f"named after the redirect {held.id}" in held.reason
    assert held.folder.endswith(held.id)
    decided(world, release)
    world.run()
    assert only(world).state is State.HELD
    decided(world, drop)
    world.run()
    assert only(world).state is State.DROPPED
    assert len(world.manifest_free()) == 2


def decided(world: World, decide: Callable[..., Redirect]) -> None:
    """An operator decides about the only redirect."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    decide(only(world), ledger, world.clock(), "operator")
    ledger.close()


def test_released_on_its_way_back(world: World) -> None:
    """It was wanted back, was held and is let go: it comes back, and is not redirected again."""
    (path, *_) = world.manifest_free()
    content = world.store.files.pop(path)
    recalled(world)
    world.run()
    assert only(world).state is State.HELD
    world.store.files[path] = content
    decided(world, release)
    world.run()
    world.mailbox.lose_cursors()
    world.run()
    as_before(world)
    assert only(world).state is State.RESTORED


@pytest.mark.parametrize("given_up", [False, True])
def test_message_that_is_recovered(world: World, given_up: bool) -> None:  # noqa: FBT001 - a parameter
    """Deleted while it was to come back, and recovered later under another id: its links have opened all the time.

    Its files come back, unless somebody has given them up meanwhile.
    """
    recalled(world)
    entry = world.mailbox._entries.pop(one(world).id)
    world.run()
    assert only(world).state is State.HELD
    if given_up:
        decided(world, drop)
    world.mailbox._entries["item-recovered"] = replace(entry, message=replace(entry.message, id="item-recovered"))
    world.mailbox._changed("item-recovered")
    assert not world.lost()
    world.run()
    assert not world.lost()
    if given_up:
        assert only(world).state is State.DROPPED
        return
    as_before(world)
    assert only(world).state is State.RESTORED


def test_server_that_drops_the_content_id(world: World) -> None:
    """The file that came back is known by its bytes, and comes back once."""

    class Plain(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            super().put_back(item, replace(file, content_id="", content_type=""), content)

    recalled(world)
    world.run(source=Plain)
    as_before(world)


def test_killed_where_the_server_drops_the_content_id(world: World) -> None:
    """What the killed process had attached is known by its name and bytes, and does not come back twice."""
    attached: list[str] = []

    class Plain(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            super().put_back(item, replace(file, content_id="", content_type=""), content)
            attached.append(file.name)
            if len(attached) == 1:
                raise Killed

    recalled(world)
    with pytest.raises(Killed):
        world.run(source=Plain)
    world.run(source=Plain)
    as_before(world)
    assert attached == ["a.bin", "b.bin"]


def test_server_that_loses_what_it_took(tmp_path: Path) -> None:
    """It shows a file for half a minute, and reads half a minute late: the notice stays, and a human decides."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"))
    world.deliver(FILE)
    world.run()
    taken: dict[str, datetime] = {}

    class Forgetful(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            super().put_back(item, file, content)
            taken[super().fetch(item.id).files[-1].id] = world.now

        def fetch(self, item_id: str) -> Message:
            for file_id, moment in taken.items():
                if world.now - moment >= timedelta(minutes=1):
                    world.mailbox.detach(item_id, file_id)
            return super().fetch(item_id)

    recalled(world)
    with world.process(source=Forgetful) as (watch, ledger):
        while due := ledger.next_due():
            world.now = max(world.now, due)
            tick(watch, ledger, world.clock, "one")
    assert only(world).state is State.HELD
    assert not one(world).files
    assert not world.lost()


def test_server_that_keeps_the_marker(world: World) -> None:
    """A message is not called restored while it still bears our mark: a human decides, and its files are back."""

    class Keeping(MemorySource):
        def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
            super().retract(item, redirect_id, keep_marker=True)

    recalled(world)
    world.run(source=Keeping)
    assert only(world).state is State.HELD
    assert "still bears the marker" in only(world).reason
    assert sorted(file.name for file in one(world).files) == ["a.bin", "b.bin"]


def test_server_that_lists_what_it_took_a_little_later(world: World) -> None:
    """Nothing is attached a second time at once."""
    stale: list[Message] = []

    class Behind(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            super().put_back(item, file, content)
            assert isinstance(item, Message)
            stale.append(item)

        def fetch(self, item_id: str) -> Message:
            return stale.pop() if stale else super().fetch(item_id)

    recalled(world)
    world.run(source=Behind)
    as_before(world)


def test_mailbox_that_is_full(world: World) -> None:
    """Held with the server's reason; the links go on working."""

    class Full(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            raise Rejected("the mailbox is full")

    recalled(world)
    world.run(source=Full)
    assert only(world).state is State.HELD
    assert only(world).reason == "the mailbox is full; 0 of 2 files are back, and the links go on working"
    assert not world.lost()


def test_a_file_that_cannot_go_back_does_not_keep_the_others_away(world: World) -> None:
    """Held with the reason, also when it is tried again; what is back is not put back twice."""

    class Particular(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            if file.name == "a.bin":
                raise Rejected("this one cannot be attached again")
            super().put_back(item, file, content)

    recalled(world)
    for _ in range(2):
        world.run(source=Particular)
        (entry,) = world.mailbox.entries()
        assert list(entry.contents.values()) == [b"bbbb"]
        assert len(world.shown(entry.message)) == 2
        assert only(world).reason.startswith("this one cannot be attached again; 1 of 2 files are back")
        with world.process() as (_, ledger):
            release(only(world), ledger, world.clock(), "operator")
    world.run()
    as_before(world)


def test_an_attached_message_stays_in_the_store(tmp_path: Path) -> None:
    """It is there as `.eml`; its message does not take it back, and its link goes on working."""
    rules = ({"name": "messages", "when": {"kind": "message"}, "action": "redirect", "irreversible": True},)
    world = World(tmp_path / "ledger.db", Policy.model_validate({"defaults": {"settle": 0}, "rules": rules}))
    mime = b"Subject: inner\r\n\r\nHello"
    world.deliver(Attached("Re: inner/outer", mime, "message/rfc822", FileKind.ITEM), Attached("b.bin", b"bbbb"))
    world.run()
    assert {path.rpartition("/")[2]: data for path, data in world.manifest_free().items()} == {
        "Re_ inner_outer.eml": mime
    }
    recalled(world)
    world.run()
    assert only(world).state is State.HELD
    assert "cannot be attached again as what it was; 0 of 1 files are back" in only(world).reason
    assert not world.lost()


def test_server_that_says_yes_and_attaches_nothing(world: World) -> None:
    """Only a file that is found again by its bytes counts as returned."""

    class Lazy(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            pass

    recalled(world)
    world.run(source=Lazy)
    assert only(world).state is State.HELD
    assert not world.lost()


def test_server_that_keeps_the_notice(world: World) -> None:
    """Only a fresh look tells that the notice is out."""

    class Stubborn(MemorySource):
        def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
            pass

    recalled(world)
    world.run(source=Stubborn)
    assert only(world).state is State.HELD
    assert not world.lost()


def test_a_file_that_its_owner_has_edited(world: World) -> None:
    """One sentence says so, and which files are back; the link goes on leading to what she has made of it."""

    class Editable(MemoryStore):
        def original(self, stored: Stored) -> Any:
            raise Edited("its owner has edited a file in the store, and no version of it is left that is as it was")

    world.store = Editable(files=world.store.files, shares=world.store.shares)
    recalled(world)
    world.run()
    held = only(world)
    assert held.state is State.HELD
    assert held.reason.startswith("its owner has edited a file in the store, and no version of it is left")
    assert held.reason.endswith("0 of 2 files are back, and the links go on working")
    assert not world.lost()


def test_store_out_of_reach(world: World) -> None:
    """It waits, and goes on when the store answers again."""

    class Down(MemoryStore):
        broken = True

        def open(self, path: str) -> Any:
            if Down.broken:
                raise Unavailable("the store is down")
            return super().open(path)

    world.store = Down(files=world.store.files, shares=world.store.shares)
    recalled(world)
    world.run(ticks=2)
    assert only(world).state is State.RECALLED
    Down.broken = False
    world.run()
    as_before(world)


def test_a_store_that_streams_without_end(world: World) -> None:
    """It is read for as many bytes as were taken out, and not until the disk is full."""
    given = 0

    class Endless(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            nonlocal given
            given += 1000
            assert given < 100_000
            return bytes(1000)

    class Flooding(MemoryStore):
        def original(self, stored: Stored) -> Any:
            return Endless()

    world.store = Flooding(files=world.store.files, shares=world.store.shares)
    recalled(world)
    world.run()
    assert (only(world).state, given) == (State.HELD, 1000)
    assert "the store has other bytes" in only(world).reason
    assert not world.lost()


def one(world: World) -> Item:
    """The message."""
    return world.mailbox.items()[0]


def remark(world: World) -> None:
    """The user writes something above."""
    world.mailbox.edit_body(one(world).id, "A remark. " + content(one(world)))


def content(item: Item) -> str:
    """The text of its body."""
    assert item.body
    return item.body.content


@dataclass(frozen=True)
class Act:
    """What a user may do between any two looks, and how it is seen that it stayed."""

    does: Callable[[World], object]
    #: In one message of the mailbox, or more.
    stayed: Callable[[tuple[Entry, ...]], bool]


ACTS = {
    "move": Act(
        lambda world: world.mailbox.move(one(world).id, "Inbox/Project"),
        lambda entries: [each.message.folder for each in entries] == ["Inbox/Project"],
    ),
    "remark": Act(remark, lambda entries: ["A remark. " in content(each.message) for each in entries] == [True]),
    "read": Act(
        lambda world: world.mailbox.mark_read(one(world).id), lambda entries: [each.read for each in entries] == [True]
    ),
    "copy": Act(lambda world: world.mailbox.copy(one(world).id), lambda entries: len(entries) == 2),
}


@pytest.mark.parametrize("nth", range(1, 6))
@pytest.mark.parametrize("act", ACTS)
def test_users_act_while_it_comes_back(world: World, act: str, nth: int) -> None:
    """Nothing is lost, nothing comes back twice, and what they did stays."""
    recalled(world)
    world.run(before("fetch", nth, lambda: ACTS[act].does(world)))
    assert ACTS[act].stayed(world.mailbox.entries())
    assert not world.lost()
    for entry in world.mailbox.entries():
        assert len(entry.contents) <= 2
    # Moved just when its mark was out, a message cannot be followed; it is not redirected again all the same.
    assert only(world).state is State.RESTORED or (act, nth) == ("move", 5)
    assert only(world).ended_by


def test_file_taken_out_again_at_once(world: World) -> None:
    """Between the two steps: it goes back once more, rather than lose its link."""
    recalled(world)

    def detach() -> None:
        item = world.mailbox.items()[0]
        world.mailbox.detach(item.id, item.files[0].id)

    saboteur = before("fetch", 4, detach)
    world.run(saboteur)
    as_before(world)
    assert saboteur.seen.count("put_back") == 3


def test_file_that_vanishes_while_it_is_compared(world: World) -> None:
    """It is not the one that was looked for."""
    item_id = world.mailbox.items()[0].id
    extra = world.mailbox.attach(item_id, Attached("a.bin", b"zzzz", content_id="a@example.org"))
    recalled(world)
    world.run(before("open", 1, lambda: world.mailbox.detach(item_id, extra)))
    as_before(world)


def test_what_is_restored_or_dropped_cannot_be_recalled(world: World) -> None:
    """There is nothing to put back."""
    recalled(world)
    world.run()
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    with pytest.raises(ValueError, match="nothing to put back"):
        recall(only(world), ledger, world.clock(), "operator")
    ledger.close()


@pytest.mark.parametrize("lost", [True, False])
def test_ledger_of_yesterday_learns_that_a_message_was_restored(world: World, lost: bool) -> None:  # noqa: FBT001 - a parameter
    """Restored from a backup or lost altogether: the message is not redirected again."""
    start(world)
    backup = backed_up(world)
    recalled(world)
    start(world)
    world.run()
    restored(world, None if lost else backup)
    start(world)
    assert reconciled(world) == 1
    assert reconciled(world) == 0
    world.mailbox.lose_cursors()
    world.run()
    as_before(world)
    assert [each.state for each in redirects(world)] == [State.RESTORED]


def test_inline_flag_comes_back(tmp_path: Path) -> None:
    """As the message had it, also where a policy took an inline file along."""
    world = World(tmp_path / "ledger.db", policy())
    item_id = world.deliver(FILE)
    world.run()
    done: Redirect = only(world)
    (each,) = done.files
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    inline = replace(done, files=(replace(each, file=replace(each.file, inline=True)),))
    ledger.write(inline, "redirect.done", world.clock())
    ledger.close()
    recalled(world)
    world.run()
    assert world.mailbox.entry(item_id).message.files[0].inline


# --- what a rule may ask for ----------------------------------------------------------------------------------------


def original(world: World) -> bytes:
    """The one whole message that was kept in the store."""
    (path,) = (path for path in world.store.files if path.endswith(".eml") and path.startswith(".connector/"))
    return world.store.files[path]


def test_original_is_kept_as_a_whole_before_anything_changes(tmp_path: Path) -> None:
    """The MIME has the file and the body without our notice; it is beside what is shared, and the ledger knows it."""
    world = World(tmp_path / "ledger.db", policy(keep_original=True))
    world.deliver(FILE)
    world.run()
    kept = message_from_bytes(original(world), policy=mail_policy.default)
    assert [part.get_payload(decode=True) for part in kept.walk() if part.get_filename()] == [b"aaaa"]
    assert b"data-redirect" not in original(world)
    stored = only(world).original
    assert stored
    assert hashlib.sha256(original(world)).hexdigest() == stored.sha256
    assert not stored.path.startswith(only(world).folder)


def test_original_that_is_written_out_otherwise_each_time(tmp_path: Path) -> None:
    """A power cut after it was kept, and a server that draws new boundaries when it is asked again."""
    world = World(tmp_path / "ledger.db", policy(keep_original=True))
    world.deliver(FILE)
    asked = 0

    class Drawing(MemorySource):
        @contextmanager
        def original(self, item_id: str) -> Iterator[BinaryIO]:
            nonlocal asked
            asked += 1
            with super().original(item_id) as stream:
                yield io.BytesIO(stream.read() + b"%d" % asked)

    with pytest.raises(Killed):
        world.run(before("write", 1, cut_power), source=Drawing)
    world.run(source=Drawing)
    assert (asked, only(world).state) == (2, State.DONE)
    stored = only(world).original
    assert stored
    assert world.store.files[stored.path].endswith(b"2")


def test_original_of_a_dropped_redirect_is_swept(tmp_path: Path) -> None:
    """With its files and its manifest."""
    world = World(tmp_path / "ledger.db", policy(keep_original=True, settle="24h"))
    item_id = world.deliver(FILE)
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    assert original(world)
    world.mailbox.delete(item_id)
    world.now += timedelta(hours=30)
    world.run()
    assert only(world).state is State.DROPPED
    world.now += timedelta(days=40)
    world.store.clock = world.clock
    with world.process() as (watch, ledger):
        assert sweep(watch, ledger, world.clock, "one", grace=timedelta(days=30), at_most=10) == 1
    assert not [path for path in world.store.files if "generations" not in path]


def test_what_turns_out_too_large_to_be_put_back_stays(tmp_path: Path) -> None:
    """The announced size let it pass; its true size is known once it was copied, before anything is shown."""
    world = World(tmp_path / "ledger.db", policy(), MemoryMailbox(returnable=4))
    world.deliver(FILE, Attached("large.bin", b"large"))

    class Modest(MemorySource):
        """Announces fewer bytes than a file has."""

        def fetch(self, item_id: str) -> Message:
            found: Message = modest(super().fetch(item_id))
            return found

        def changes(self, cursor: str | None) -> Iterator[Page]:
            for page in super().changes(cursor):
                yield replace(page, items=tuple(map(modest, page.items)))

    def modest(item: Any) -> Any:
        return replace(item, files=tuple(replace(file, size=1) for file in item.files))

    world.run(source=Modest)
    (entry,) = world.mailbox.entries()
    assert list(entry.contents.values()) == [b"large"]
    assert [each.gone for each in only(world).files] == [False, True]
    assert not world.lost()
    recalled(world)
    world.run(source=Modest)
    as_before(world)


def test_links_are_revoked_by_choice(world: World) -> None:
    """Not while a file is still out of the message; never where nobody asked for it."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    links = [each.link.url for each in only(world).files if each.link]
    restore(Wanted(), ledger, world.clock(), "operator", revoke=True)
    ledger.close()
    world.run()
    as_before(world)
    assert len(links) == 2
    assert not world.store.shares
    for url in links:
        with pytest.raises(FileGone):
            world.store.download(url)


def test_restored_without_asking_the_links_go_on(world: World) -> None:
    """Copies that were forwarded show them."""
    links = [each.link.url for each in only(world).files if each.link]
    recalled(world)
    world.run()
    assert [world.store.download(url) for url in links] == [b"aaaa", b"bbbb"]


def test_mass_restore_is_spread_over_time(tmp_path: Path) -> None:
    """A burst at once, then so many an hour; what it takes is estimated, and mail that arrives meanwhile goes first."""
    world = World(tmp_path / "ledger.db", policy())
    for number in range(8):
        world.deliver(Attached("a.bin", b"%d" % number))
    world.run()
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    pace = Pace(at_once=3, per_hour=60)
    wanted = restore(Wanted(), ledger, world.clock(), "operator", pace=pace)
    assert (wanted.messages, wanted.files, wanted.bytes) == (8, 8, 8)
    assert wanted.ready - world.now == pytest.approx(timedelta(minutes=5), abs=timedelta(seconds=1))
    assert restore(Wanted(), ledger, world.clock(), "operator", pace=pace).messages == 0
    ledger.close()
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    assert sorted(each.state for each in redirects(world)) == [State.RECALLED] * 5 + [State.RESTORED] * 3
    world.run()
    as_before(world)
