"""Undo: files go back byte for byte, the notice goes out, the body is what it was; under crash and users' edits too."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.decisions import Wanted, recall, release, restore
from connector.errors import Rejected, Unavailable
from connector.ledger import Ledger
from connector.model import File, Item, Redirect, State
from connector.redirect import tick
from connector.sources.memory import Attached, MemorySource
from connector.spool import Spool
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy, several_messages
from tests.test_manifest import backed_up, reconciled, restored, start
from tests.test_redirect import before, only, redirects
from tests.world import Killed, Saboteur, World

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
        return restore(Wanted(**said), ledger, world.clock(), "operator")

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
        assert wanted(**said) == (0, 0)
    assert wanted(message=first.internet_message_id, rule="all", mailbox="anna@example.org", until=later) == (1, 4)
    assert wanted(message=first.id) == (0, 0)
    assert wanted() == (1, 6)
    ledger.close()
    world.run()
    as_before(world)


def kill_points(tmp_path: Path, when: str) -> None:
    """Redirect, then kill the restore at every effect."""
    at = 1
    while True:
        folder = tmp_path / f"{when}-{at}"
        folder.mkdir()
        world = several_messages(folder)
        world.run()
        recalled(world)
        try:
            world.run(Saboteur(kill_at=at, when=when))
        except Killed:
            died = True
        else:
            died = False
        assert not world.lost(), f"killed {when} effect {at}"
        world.run()
        as_before(world)
        if not died:
            assert at > 20
            return
        at += 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_restore_survives_a_kill_at_every_effect(tmp_path: Path, when: str) -> None:
    """No file is lost, none comes back twice, and in the end each message is what it was."""
    kill_points(tmp_path, when)


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
    """The redirect is dropped, and the files stay in the store: nobody knows where else they are."""
    recalled(world)
    world.mailbox.delete(world.mailbox.items()[0].id)
    world.run()
    assert only(world).state is State.DROPPED
    assert len(world.manifest_free()) == 2


def test_message_that_is_recovered(world: World) -> None:
    """Deleted while it was to come back, and recovered later under another id: its links have opened all the time."""
    recalled(world)
    entry = world.mailbox._entries.pop(one(world).id)
    world.run()
    assert only(world).state is State.DROPPED
    world.mailbox._entries["item-recovered"] = replace(entry, message=replace(entry.message, id="item-recovered"))
    world.mailbox._changed("item-recovered")
    assert not world.lost()
    world.run()
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


def test_server_that_lists_what_it_took_a_little_later(world: World) -> None:
    """Nothing is attached a second time at once."""
    stale: list[Item] = []

    class Behind(MemorySource):
        def put_back(self, item: Item, file: File, content: Spool) -> None:
            super().put_back(item, file, content)
            stale.append(item)

        def fetch(self, item_id: str) -> Item:
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
    assert only(world).reason == "the mailbox is full"
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


def test_server_that_keeps_the_marker(world: World) -> None:
    """Only a fresh look tells that the notice is out."""

    class Stubborn(MemorySource):
        def retract(self, item: Item, redirect_id: str) -> None:
            pass

    recalled(world)
    world.run(source=Stubborn)
    assert only(world).state is State.HELD
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


def one(world: World) -> Item:
    """The message."""
    return world.mailbox.items()[0]


def remark(world: World) -> None:
    """The user writes something above."""
    body = one(world).body
    assert body
    world.mailbox.edit_body(one(world).id, "A remark. " + body.content)


#: What a user may do between any two looks.
ACTS: dict[str, Callable[[World], object]] = {
    "move": lambda world: world.mailbox.move(one(world).id, "Inbox/Project"),
    "remark": remark,
    "read": lambda world: world.mailbox.mark_read(one(world).id),
    "copy": lambda world: world.mailbox.copy(one(world).id),
}


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("act", ACTS)
def test_users_act_while_it_comes_back(world: World, act: str, nth: int) -> None:
    """Nothing is lost, nothing comes back twice, and what they did stays."""
    recalled(world)
    world.run(before("fetch", nth, lambda: ACTS[act](world)))
    assert not world.lost()
    for entry in world.mailbox.entries():
        assert len(entry.contents) <= 2
    # Moved just when its mark was out, a message cannot be followed; it is not redirected again all the same.
    assert only(world).state is State.RESTORED or (act, nth) == ("move", 7)
    assert only(world).ended_by


def test_file_taken_out_again_at_once(world: World) -> None:
    """Between the two steps: it goes back once more, rather than lose its link."""
    recalled(world)

    def detach() -> None:
        item = world.mailbox.items()[0]
        world.mailbox.detach(item.id, item.files[0].id)

    world.run(before("fetch", 6, detach))
    as_before(world)


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
    if lost:
        world.ledger_file = world.ledger_file.with_name("new.db")
    else:
        restored(world, backup)
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
