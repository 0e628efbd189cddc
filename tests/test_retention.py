"""When the retention of files has ended, the message says so first; then their links end, and then the bytes go."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import Conflict, Denied, Gone, Rejected, Unavailable
from connector.flow.decisions import drop, recall, release
from connector.flow.manifest import reconcile
from connector.flow.reactions import StoreFailed
from connector.flow.redirect import tick
from connector.flow.retention import let_last, outlived
from connector.flow.sweep import sweep
from connector.flow.turn import take_turn
from connector.ledger import FOR_EVER
from connector.links.publishing import publication_id
from connector.links.tokens import hashed
from connector.model import Body, Item, Message, Notice, State
from connector.pauses import TenantPause
from connector.policy import Policy
from connector.rewrite import notice
from connector.sources.memory import Attached, Entry, MemorySource
from connector.sources.memory_share import MemoryShareSource
from tests.crash.test_every_effect import HALF, kills, policy
from tests.share_world import ShareWorld
from tests.test_redirect import events, only, redirects, step
from tests.world import KEY, TENANT, Killed, Saboteur, World

YEAR = timedelta(days=365)
GRACE = timedelta(days=30)
FILE = Attached("report.pdf", b"%PDF-1.7 report")


def kept(**rule: object) -> Policy:
    """Everything goes, and the store keeps it for a year."""
    return policy(retain={"file": "365d"}, **rule)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One message shows a link."""
    world = World(tmp_path / "ledger.db", kept())
    world.deliver(FILE, Attached("scan.tif", b"II*\x00scan"))
    world.run()
    assert only(world).state is State.DONE
    return world


def swept(world: World, saboteur: Saboteur | None = None, *, at_most: int = 100, on_hold: bool = False) -> int | None:
    """One sweep."""
    with world.process(saboteur) as (watch, ledger):
        held = replace(watch, on_hold=on_hold)
        return sweep(held, ledger, world.clock, "one", grace=GRACE, at_most=at_most)


def over(world: World, saboteur: Saboteur | None = None, **mutants: Any) -> None:
    """A sweep after the year, and all that follows on it."""
    swept(world, saboteur)
    world.run(saboteur, **mutants)


def missed(world: World) -> None:
    """A full pass over all folders, and a second look."""
    for _ in range(3):
        step(world)
        world.now += timedelta(minutes=2)


def body(world: World, number: int = 0) -> str:
    """What a message says."""
    told = world.mailbox.entries()[number].message.body
    assert told
    return told.content


def tells_the_end(content: str) -> bool:
    """Whether somebody who reads it knows that the files are deleted, and finds no link."""
    return "deleted" in content and "report.pdf" in content and "http" not in content


# --- what is said and done ----------------------------------------------------------------------------------------


def test_a_notice_says_until_when(world: World) -> None:
    """And not that a file stays as long as its message."""
    ends = only(world).ends
    assert ends
    assert f"until {ends:%Y-%m-%d} and are then deleted" in body(world)
    assert "as long as" not in body(world)


def test_nothing_ends_before_its_time(world: World) -> None:
    """It counts from when the message had its links."""
    before = world.view()
    world.now += YEAR - timedelta(hours=1)
    assert swept(world) == 0
    world.run()
    assert (world.view(), only(world).state) == (before, State.DONE)


def test_retention_and_erasure_first_change_the_notice(world: World) -> None:
    """The message says so, then the links end, then the files go, and the manifests last; a second time, nothing."""
    world.now += YEAR
    seen = Saboteur()
    over(world, seen)
    assert tells_the_end(body(world))
    assert not world.store.files
    assert not world.store.shares
    assert only(world).state is State.ERASED
    effects = [each for each in seen.seen if each in {"rewrite", "revoke", "erase"}]
    assert (effects[:2], set(effects[2:])) == (["rewrite", "revoke"], {"erase"})
    assert swept(world) == 0
    assert [each for each in events(world) if each in ("redirect.expired", "redirect.told", "redirect.erased")] == [
        *("redirect.expired", "redirect.told", "redirect.erased")
    ]


def test_a_look_later_than_any_stale_read_comes_before_the_files_go(world: World) -> None:
    """What a server shows for some seconds, and then loses, was never told."""
    world.now += YEAR
    swept(world)
    step(world)
    assert only(world).state is State.TOLD
    assert world.manifest_free()
    world.mailbox.change(only(world).item_id, body=Body(f"<p>Hi</p>{_notice(world)}", html=True))
    world.run()
    assert tells_the_end(body(world))
    assert only(world).state is State.ERASED


def _notice(world: World) -> str:
    """The notice as it was before it became a tombstone."""
    return notice(only(world), world.wording, marker="").html


def test_text_bodies_tell_it_too(tmp_path: Path) -> None:
    """A plain one says what an HTML one does."""
    world = World(tmp_path / "ledger.db", kept())
    world.deliver(FILE, body=Body("Hello\r\n", html=False))
    world.run()
    world.now += YEAR
    over(world)
    assert tells_the_end(body(world))
    assert body(world).endswith("Hello\r\n")


def test_for_ever_is_the_default(tmp_path: Path) -> None:
    """And a file of another rule that is kept for ever keeps those of its message."""
    rules = [*kept(name="scans", when={"name": "*.tif"}).rules, *policy().rules]
    world = World(tmp_path / "ledger.db", Policy(rules=tuple(rules)))
    world.deliver(FILE, Attached("scan.tif", b"II*\x00scan"))
    world.run()
    world.now += 100 * YEAR
    assert swept(world) == 0


def test_copies_that_no_message_shows_go_without_a_word(tmp_path: Path) -> None:
    """Their message has its files."""
    world = World(tmp_path / "ledger.db", kept(action="copy"))
    world.deliver(FILE)
    world.run()
    before = world.view()
    world.now += YEAR
    over(world)
    assert world.view() == before
    assert not world.store.files


def test_the_whole_message_goes_too(tmp_path: Path) -> None:
    """What `keep_original` kept is a copy of the files."""
    world = World(tmp_path / "ledger.db", kept(keep_original=True))
    world.deliver(FILE)
    world.run()
    world.now += YEAR
    over(world)
    assert not world.store.files


def test_links_of_our_own_end(tmp_path: Path) -> None:
    """In the book too."""
    world = World(tmp_path / "ledger.db", kept(link={"audience": "anyone", "expires": "30d"}), publishes=True)
    world.deliver(FILE)
    world.run()
    world.now += YEAR
    over(world)
    assert [each.ended is not None for each in world.book.of_tenant(TENANT)] == [True]
    assert tells_the_end(body(world))


# --- it dies anywhere ---------------------------------------------------------------------------------------------


def ended(folder: Path) -> World:
    """Two messages, whose files have had their time."""
    world = World(folder / "ledger.db", kept(keep_original=True))
    world.deliver(FILE, Attached("scan.tif", b"II*\x00scan"))
    world.deliver(Attached("report.pdf", b"other"), body=Body("Hello\r\n", html=False))
    world.run()
    world.now += YEAR
    return world


@pytest.mark.long
@pytest.mark.no_cover
@HALF
def test_survives_a_kill_at_every_effect_of_the_end(when: str, tmp_path: Path) -> None:
    """At the kill every message has its links, or says that the files are deleted; then all goes on to the end."""
    died_at = 0
    for at, world, died in kills(ended, tmp_path, when, over):
        for number, entry in enumerate(world.mailbox.entries()):
            told = tells_the_end(body(world, number))
            assert told or len(world.shown(entry.message)) == len(world.files[entry.message.internet_message_id]), at
        over(world)
        assert all(tells_the_end(body(world, number)) for number in range(2)), at
        assert not world.store.files, at
        assert not world.store.shares, at
        died_at += died
    assert died_at >= 20


def test_a_ledger_that_was_lost_on_the_way(world: World) -> None:
    """The manifest knows: nothing looks for the files again, no link comes back, and the rest goes."""
    world.now += YEAR
    killed = Saboteur()
    killed.entering = lambda verb: _die(verb == "erase" and killed.seen.count("erase") == 1)
    with pytest.raises(Killed):
        over(world, killed)
    assert len(world.manifest_free()) == 1
    world.ledger_file.unlink()
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        reconcile(TENANT, world.store, ledger, world.now, KEY)
    assert only(world).state is State.EXPIRED
    world.run()
    assert tells_the_end(body(world))
    assert not world.manifest_free()
    assert only(world).state is State.ERASED


def _die(now: bool) -> None:  # noqa: FBT001 - reads well where it is called
    if now:
        raise Killed


def test_the_ledger_of_yesterday_learns_it(world: World) -> None:
    """One that was taken back to before the end goes on with it, also where it has come further itself."""
    yesterday = world.ledger_file.read_bytes()
    world.now += YEAR
    swept(world)
    with world.ledger() as ledger:
        assert reconcile(TENANT, world.store, ledger, world.now, KEY).taken_over == 0
    world.ledger_file.write_bytes(yesterday)
    with world.ledger() as ledger:
        assert reconcile(TENANT, world.store, ledger, world.now, KEY).taken_over == 1
    assert only(world).state is State.EXPIRED


# --- people act ---------------------------------------------------------------------------------------------------


def test_copies_that_people_made_are_told_too(world: World) -> None:
    """A stored file lives while any copy of its message shows it."""
    world.mailbox.copy(only(world).item_id, "Archive")
    world.now += YEAR
    over(world)
    assert len(world.mailbox.entries()) == 2
    assert all(tells_the_end(body(world, number)) for number in range(2))


def test_a_message_that_was_moved_is_found(world: World) -> None:
    """It has a new id."""
    world.mailbox.move(only(world).item_id, "Archive")
    world.now += YEAR
    over(world)
    assert tells_the_end(body(world))
    assert not world.store.files


def test_files_outlive_the_last_copy_of_their_message_by_thirty_days(world: World) -> None:
    """It may be in Deleted Items."""
    world.mailbox.delete(only(world).item_id)
    world.now += YEAR
    swept(world)
    missed(world)
    assert only(world).state is State.TOLD
    assert only(world).due - world.now > timedelta(days=29)
    assert world.manifest_free()
    world.run()
    assert not world.store.files


def test_a_message_that_comes_back_meanwhile_is_told(world: World) -> None:
    """Somebody took it out of the recycle bin: it shows links again, which open until it is told."""
    item_id = only(world).item_id
    entry = world.mailbox.entry(item_id)
    world.mailbox.delete(item_id)
    world.now += YEAR
    swept(world)
    missed(world)
    assert only(world).state is State.TOLD
    world.mailbox.deliver(
        body=entry.message.body, marker=entry.message.marker, internet_message_id=entry.message.internet_message_id
    )
    assert world.shown(world.mailbox.entries()[0].message)
    world.run()
    assert tells_the_end(body(world))
    assert not world.store.files


def test_a_message_that_vanishes_while_it_is_told(world: World) -> None:
    """What the search still shows is gone when it is read."""
    world.mailbox.copy(only(world).item_id, "Archive")
    world.now += YEAR
    swept(world)

    class Vanishing(MemorySource):
        def find(self, redirect_id: str) -> tuple[Message, ...]:
            found = super().find(redirect_id)
            for each in found:
                if each.folder == "Archive":
                    world.mailbox.delete(each.id)
            return found

    world.run(source=Vanishing)
    assert tells_the_end(body(world))
    assert only(world).state is State.ERASED


def test_what_was_restored_is_not_told(world: World) -> None:
    """Its message has its files; those of the store go, and it is not redirected again, also by a new ledger."""
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    before = world.view()
    world.now += YEAR
    over(world)
    assert not world.manifest_free()
    world.lose_cursors()
    world.run()
    assert world.view() == before
    world.ledger_file.unlink()
    with world.process() as (watch, ledger):
        reconcile(TENANT, world.store, ledger, world.now, KEY)
        tick(watch, ledger, world.clock, "one")
    world.run()
    assert world.view() == before


def test_the_whole_message_goes_also_where_it_was_restored(tmp_path: Path) -> None:
    """Only a manifest stays, so that it is not redirected again."""
    world = World(tmp_path / "ledger.db", kept(keep_original=True))
    world.deliver(FILE)
    world.run()
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    world.now += YEAR
    over(world)
    assert only(world).state is State.ERASED
    assert all(path.startswith(".connector/redirects/") and path.endswith(".json") for path in world.store.files)


def test_a_copy_of_what_was_restored_is_told(world: World) -> None:
    """It was made before, and shows the links."""
    world.mailbox.copy(only(world).item_id, "Archive")
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    world.now += YEAR
    over(world)
    restored, copied = world.mailbox.entries()
    assert len(restored.contents) == 2
    assert restored.message.body == world.bodies[restored.message.internet_message_id]
    assert copied.message.body
    assert tells_the_end(copied.message.body.content)


def test_a_message_whose_notice_somebody_cut_out_is_told(world: World) -> None:
    """It bears our mark."""
    world.mailbox.change(only(world).item_id, body=Body("<p>Mine</p>", html=True))
    world.now += YEAR
    over(world)
    assert tells_the_end(body(world))
    assert "<p>Mine</p>" in body(world)


def test_undo_while_nothing_is_deleted(world: World) -> None:
    """Until the message says that its files are deleted, they come back."""
    world.now += YEAR
    swept(world)
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    (entry,) = world.mailbox.entries()
    assert entry.message.body == world.bodies[entry.message.internet_message_id]
    assert not world.lost()


def test_no_undo_afterwards(world: World) -> None:
    """A sentence says why."""
    world.now += YEAR
    over(world)
    with world.ledger() as ledger, pytest.raises(ValueError, match="is erased: there is nothing to put back"):
        recall(only(world), ledger, world.now, "ada")


def test_what_is_redirected_again_has_its_time_anew(world: World) -> None:
    """A human let it."""
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    world.now += YEAR / 2
    with world.ledger() as ledger:
        release(only(world), ledger, world.now, "ada")
    world.run()
    assert only(world).state is State.DONE
    world.now += YEAR - timedelta(days=1)
    assert swept(world) == 0


def test_what_was_dropped_after_it_was_shown_ends(tmp_path: Path) -> None:
    """Its message was deleted on the way; a copy of it may show the links."""
    world = World(tmp_path / "ledger.db", kept())
    item_id = world.deliver(FILE)
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        done = ledger.redirects()[0]
        held = ledger.write(replace(done, state=State.HELD, held_in=State.REWRITTEN), "redirect.held", world.now)
        drop(held, ledger, world.now, "ada")
    world.mailbox.copy(item_id, "Archive")
    world.now += YEAR
    over(world)
    assert [tells_the_end(body(world, number)) for number in range(2)] == [True, True]


# --- files that outlive their message -----------------------------------------------------------------------------


def bound(folder: Path, *files: Attached, retain: str = "message + 30d", **rule: object) -> World:
    """One message, whose files outlive it."""
    world = World(folder / "ledger.db", policy(retain={"file": retain}, **rule))
    world.deliver(*(files or (FILE,)))
    world.run()
    return world


def looked(world: World, days: float = 0, **swept_as: Any) -> int | None:
    """So many days later: a full pass, and a sweep."""
    world.now += timedelta(days=days)
    world.run()
    return swept(world, **swept_as)


def comes_back(world: World, entry: Entry) -> None:
    """Out of Recoverable Items, with a new id."""
    message = entry.message
    world.mailbox.deliver(body=message.body, marker=message.marker, internet_message_id=message.internet_message_id)


def test_files_stay_as_long_as_their_message(tmp_path: Path) -> None:
    """And the notice says no day."""
    world = bound(tmp_path)
    assert "stays there as long as this message does" in body(world)
    before = world.view()
    for _ in range(3):
        assert looked(world, 1000) == 0
    assert (world.view(), only(world).gone) == (before, None)


def test_files_end_thirty_days_after_their_message(tmp_path: Path) -> None:
    """Nothing is left to be told: links end, then files and manifests go, and nothing comes of it a second time."""
    world = bound(tmp_path, keep_original=True)
    world.mailbox.delete(only(world).item_id)
    assert looked(world, 7) == 0
    gone = only(world).gone
    assert gone
    assert looked(world, 29.9) == 0
    assert world.manifest_free()
    assert looked(world, 0.1) == 1
    assert only(world).state is State.TOLD
    seen = Saboteur()
    world.run(seen)
    assert [each for each in seen.seen if each in {"rewrite", "revoke", "erase", "delete"}][:2] == ["revoke", "erase"]
    assert "rewrite" not in seen.seen
    assert only(world).state is State.ERASED
    assert not world.store.files
    assert not world.store.shares
    assert [each for each in events(world) if each.startswith(("redirect.message", "redirect.e"))] == [
        *("redirect.message_gone", "redirect.expired", "redirect.erased")
    ]
    assert looked(world, 100) == 0


def test_gone_is_suspected_until_a_full_pass_has_followed(tmp_path: Path) -> None:
    """A message that was moved at the moment of the look is told by the feed before anything ends."""
    world = bound(tmp_path)
    world.mailbox.delete(only(world).item_id)
    swept(world)
    assert only(world).gone
    world.now += timedelta(days=40)
    assert swept(world) == 0
    assert looked(world) == 1


def test_a_message_that_was_moved_is_followed(tmp_path: Path) -> None:
    """It has a new id."""
    world = bound(tmp_path)
    moved = world.mailbox.move(only(world).item_id, "Archive")
    assert looked(world, 8) == 0
    assert (only(world).item_id, only(world).gone) == (moved, None)


def test_a_copy_keeps_the_files(tmp_path: Path) -> None:
    """As long as one is left in the mailbox, its links open."""
    world = bound(tmp_path)
    world.mailbox.copy(only(world).item_id, "Archive")
    world.mailbox.delete(only(world).item_id)
    for _ in range(3):
        assert looked(world, 100) == 0
    assert not world.lost()
    assert len(world.shown(world.mailbox.entries()[0].message)) == 1


@pytest.mark.parametrize("days", [10, 31])
def test_a_message_that_comes_back_keeps_its_files(days: int, tmp_path: Path) -> None:
    """The feed tells of it, before and after the time is over; and it has all of its time anew."""
    world = bound(tmp_path)
    entry = world.mailbox.entry(only(world).item_id)
    world.mailbox.delete(only(world).item_id)
    assert looked(world, 7) == 0
    world.now += timedelta(days=days)
    comes_back(world, entry)
    assert looked(world) == 0
    assert (only(world).state, only(world).gone, only(world).missed) == (State.DONE, None, None)
    world.mailbox.delete(only(world).item_id)
    assert looked(world, 10) == 0
    assert looked(world, 29) == 0
    assert looked(world, 2) == 1


def test_a_message_that_answers_again_keeps_its_files(tmp_path: Path) -> None:
    """The server was behind, or keeps ids: no feed tells of it."""
    world = bound(tmp_path)

    class Behind(MemorySource):
        def fetch(self, item_id: str) -> Message:
            raise Gone("not yet")

        def find(self, redirect_id: str) -> tuple[Message, ...]:
            return ()

    with world.process(source=Behind) as (watch, ledger):
        sweep(watch, ledger, world.clock, "one", grace=GRACE, at_most=100)
    assert only(world).gone
    assert looked(world, 31) == 0
    assert only(world).gone is None
    assert "redirect.message_back" in events(world)


def test_a_message_that_comes_back_at_the_last_moment_keeps_its_files(tmp_path: Path) -> None:
    """After the end was written down, a fresh look comes before anything ends; also a ledger that is lost knows it."""
    world = bound(tmp_path)
    entry = world.mailbox.entry(only(world).item_id)
    world.mailbox.delete(only(world).item_id)
    looked(world, 7)
    assert looked(world, 31) == 1
    comes_back(world, entry)
    world.run()
    assert only(world).state is State.DONE
    assert len(world.shown(world.mailbox.entries()[0].message)) == 1
    world.ledger_file.unlink()
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        reconcile(TENANT, world.store, ledger, world.now, KEY)
    world.run()
    assert (only(world).state, only(world).outlives) == (State.DONE, timedelta(days=30))
    assert not world.lost()


def test_a_lost_ledger_learns_of_an_end_and_looks_itself(tmp_path: Path) -> None:
    """The manifest says that it is over; the message has come back since, and is not told so."""
    world = bound(tmp_path)
    entry = world.mailbox.entry(only(world).item_id)
    world.mailbox.delete(only(world).item_id)
    looked(world, 7)
    assert looked(world, 31) == 1
    comes_back(world, entry)
    world.ledger_file.unlink()
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        reconcile(TENANT, world.store, ledger, world.now, KEY)
    assert only(world).state is State.EXPIRED
    world.run()
    assert only(world).state is State.DONE
    assert len(world.shown(world.mailbox.entries()[0].message)) == 1


def test_what_was_restored_comes_back_to_rest(tmp_path: Path) -> None:
    """Its message has its files, and a copy of it, made before, shows links: these open as long as it is there."""
    world = bound(tmp_path)
    world.mailbox.copy(only(world).item_id, "Archive")
    with world.ledger() as ledger:
        recall(only(world), ledger, world.now, "ada")
    world.run()
    entries = world.mailbox.entries()
    (copied,) = (each for each in entries if each.message.marker)
    for each in entries:
        world.mailbox.delete(each.message.id)
    looked(world, 7)
    assert looked(world, 31) == 1
    comes_back(world, copied)
    world.run()
    assert (only(world).state, only(world).ended_by) == (State.RESTORED, "ada")


def test_copies_end_with_their_message_too(tmp_path: Path) -> None:
    """They show nothing in it."""
    world = bound(tmp_path, action="copy")
    assert looked(world, 100) == 0
    world.mailbox.delete(only(world).item_id)
    looked(world, 7)
    assert looked(world, 31) == 1
    world.run()
    assert not world.store.files


def test_a_fixed_time_of_another_file_is_waited_for_too(tmp_path: Path) -> None:
    """A message has one end, the last of all: neither before the one, nor before the other."""
    scans = policy(name="scans", when={"name": "*.tif"}, retain={"file": "1y"})
    rules = (*scans.rules, *policy(retain={"file": "message + 30d"}).rules)
    world = World(tmp_path / "ledger.db", Policy(rules=rules))
    world.deliver(FILE, Attached("scan.tif", b"II*\x00scan"))
    world.run()
    assert "They stay there as long as this message does" in body(world)
    assert looked(world, 400) == 0
    world.mailbox.delete(only(world).item_id)
    looked(world, 8)
    assert looked(world, 31) == 1


def test_a_fixed_time_that_lasts_longer_is_waited_for(tmp_path: Path) -> None:
    """The message is gone early."""
    scans = policy(name="scans", when={"name": "*.tif"}, retain={"file": "1y"})
    rules = (*scans.rules, *policy(retain={"file": "message + 30d"}).rules)
    world = World(tmp_path / "ledger.db", Policy(rules=rules))
    world.deliver(FILE, Attached("scan.tif", b"II*\x00scan"))
    world.run()
    world.mailbox.delete(only(world).item_id)
    looked(world, 7)
    assert looked(world, 100) == 0
    assert looked(world, 300) == 1


def test_a_hold_stops_the_clock_of_messages_too(tmp_path: Path) -> None:
    """Nothing is looked for, nothing ends."""
    world = bound(tmp_path)
    world.mailbox.delete(only(world).item_id)
    assert looked(world, 7, on_hold=True) == 0
    assert only(world).gone is None
    looked(world)
    assert looked(world, 31, on_hold=True) == 0
    assert looked(world) == 1


def test_messages_are_looked_for_once_a_week(tmp_path: Path) -> None:
    """And not each day: that would be a request for everything that was ever redirected."""
    world = bound(tmp_path)
    asked = Saboteur()
    for _ in range(14):
        world.now += timedelta(days=1)
        swept(world, asked)
    assert asked.seen.count("fetch") == 2


def test_a_look_that_takes_too_long_goes_on_the_next_day(tmp_path: Path) -> None:
    """Those that waited longest come first, or at least not never."""
    world = bound(tmp_path)
    for _ in range(3):
        world.deliver(FILE)
    world.run()
    with world.process() as (watch, ledger), take_turn(watch, ledger, world.clock, "one") as turn:
        assert turn
        turn.started -= timedelta(hours=1)
        assert outlived(turn) == ()
        turn.started = world.now
        assert outlived(turn) == ()
        assert not ledger.outliving(watch.name, world.now - timedelta(days=1))


@pytest.mark.no_cover
@HALF
def test_survives_a_kill_at_every_effect_of_outliving(when: str, tmp_path: Path) -> None:
    """The message is gone: at each kill the files are there, or nothing leads to them; in the end all are gone."""

    def lonely(folder: Path) -> World:
        world = bound(folder, FILE, Attached("scan.tif", b"II*\x00scan"))
        world.mailbox.delete(only(world).item_id)
        looked(world, 7)
        world.now += timedelta(days=31)
        world.run()
        return world

    died_at = 0
    for at, world, died in kills(lonely, tmp_path, when, over):
        over(world)
        assert not world.store.files, at
        assert not world.store.shares, at
        died_at += died
    assert died_at >= 20


# --- brakes -------------------------------------------------------------------------------------------------------


def test_a_hold_stops_it(world: World) -> None:
    """Before it begins, and at each step; when it is lifted, it goes on."""
    world.now += YEAR
    assert swept(world, on_hold=True) == 0
    assert swept(world) == 1
    for state in (State.EXPIRED, State.TOLD):
        with world.process() as (watch, ledger):
            tick(replace(watch, on_hold=True), ledger, world.clock, "one")
        assert only(world).state is state
        assert "hold" in only(world).reason
        assert world.manifest_free()
        world.now += timedelta(days=1, minutes=2)
        step(world)
        world.now += timedelta(minutes=2)
        if state is State.EXPIRED:
            assert only(world).state is State.TOLD
    assert only(world).state is State.ERASED


# --- a hold keeps links -------------------------------------------------------------------------------------------


def ending(folder: Path, *files: Attached, replace: bool = False) -> World:
    """A message whose link for anyone, of our own service, ends in 60 days; and that of a scan, in 50."""
    scans = policy(name="scans", when={"name": "scan.tif"}, link={"audience": "anyone", "expires": "50d"})
    others = policy(link={"audience": "anyone", "expires": "60d"})
    rules = Policy(rules=(*scans.rules, *others.rules))
    world = World(folder / "ledger.db", rules, publishes=True, replace=replace)
    world.deliver(*(files or (FILE,)), subject="Offer 7")
    world.run()
    assert only(world).state is State.DONE
    return world


def ends(world: World, number: int = 0) -> datetime:
    """When the link of a file ends, as the ledger and the book know it."""
    done = only(world)
    link, terms = done.files[number].link, done.files[number].terms
    assert link
    assert link.expires
    published = world.book.publication(publication_id(done.id, terms))
    assert published
    token = world.book.token(hashed(link.url.split("/")[-2]))
    assert token
    assert (published.expires, token.expires) == (link.expires, link.expires)
    return link.expires


def told_days(world: World) -> set[str]:
    """What the message says."""
    return set(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", body(world)))


def test_a_hold_keeps_links_and_they_end_some_weeks_after_it(tmp_path: Path) -> None:
    """In steps, of which the message tells and nobody is reminded; each is told once."""
    world = ending(tmp_path)
    world.on_hold = True
    first = ends(world)
    world.now = first - timedelta(days=7, hours=1)
    step(world)
    assert (ends(world), events(world).count("link.extended")) == (first, 0)
    for times in (1, 2):
        world.now = ends(world) - timedelta(days=6)
        before = world.now
        step(world, 3)
        assert timedelta(0) <= ends(world) - before - timedelta(days=30) < timedelta(minutes=1)
        assert (told_days(world), only(world).state) == ({f"{ends(world):%Y-%m-%d}"}, State.DONE)
        assert events(world).count("link.extended") == times
    assert len(world.mailbox.entries()) == 1
    world.on_hold, last = False, ends(world)
    world.now = last - timedelta(days=6)
    step(world, 3)
    assert (len(world.mailbox.entries()), ends(world)) == (2, last)


def test_what_its_owner_was_told_before_the_hold_lasts_all_the_same(tmp_path: Path) -> None:
    """The letter was right then."""
    world = ending(tmp_path)
    first = world.now = ends(world)
    world.now -= timedelta(days=6)
    step(world)
    assert only(world).reminded == first
    world.on_hold = True
    step(world, 3)
    assert ends(world) > first


def test_what_was_over_before_the_hold_stays_over(tmp_path: Path) -> None:
    """By its time, or because somebody took it back."""
    world = ending(tmp_path)
    world.on_hold, first = True, ends(world)
    world.now = first + timedelta(hours=1)
    step(world, 2)
    assert ends(world) == first
    world.book.end(TENANT, only(world).folder, world.now)
    world.now = first - timedelta(days=1)
    before = events(world)
    step(world, 2)
    assert (ends(world), events(world)) == (first, before)


def test_a_message_with_a_link_that_has_ended_goes_on_as_it_is(tmp_path: Path) -> None:
    """To share it anew would be refused, and somebody asked to decide."""
    world = ending(tmp_path, FILE, Attached("scan.tif", b"II*\x00scan"))
    first, before = ends(world), body(world)
    world.now = first - timedelta(days=6)
    world.book.extend(publication_id(only(world).id, only(world).files[1].terms), ends(world, 1))
    world.on_hold = True
    step(world, 3)
    assert (ends(world) > first, ends(world, 1) < world.now) == (True, True)
    assert (body(world), only(world).state) == (before, State.DONE)


def test_links_last_wherever_their_message_is(tmp_path: Path) -> None:
    """Moved, it is found; gone, its redirect stays what it is, so that its files end in their time."""
    world = ending(tmp_path)
    world.on_hold = True
    world.now = ends(world) - timedelta(days=6)
    world.mailbox.move(only(world).item_id, "Archive")
    step(world, 3)
    assert told_days(world) == {f"{ends(world):%Y-%m-%d}"}
    world.mailbox.delete(only(world).item_id)
    first = ends(world)
    world.now = first - timedelta(days=6)
    step(world, 3)
    assert (ends(world) > first, only(world).state) == (True, State.DONE)


@pytest.mark.parametrize("why", ["braked", "held", "left", "monitored"])
def test_links_last_where_their_message_cannot_be_written(why: str, tmp_path: Path) -> None:
    """Because somebody has to act, or whoever it belonged to has left, and nobody gets in."""
    world = ending(tmp_path)
    first, before, done = ends(world), body(world), only(world)
    world.on_hold, world.monitor = True, why == "monitored"
    world.now = first - timedelta(days=6)
    with world.ledger() as ledger:
        if why == "braked":
            ledger.pause(
                TenantPause.LEDGER.of(TENANT), until=FOR_EVER, reason="x", error="Foreign", now=world.now, tenant=TENANT
            )
        if why == "held":
            ledger.write(replace(done, state=State.HELD, held_in=State.REWRITTEN), "test", world.now)
    step(world, 2, **({"source": Left} if why == "left" else {}))
    assert ends(world) > first
    assert (body(world), only(world).state) == (before, State.HELD if why == "held" else State.DONE)
    assert events(world).count("link.extended") == 1


class Left(MemorySource):
    """Whose account is disabled."""

    def fetch(self, item_id: str) -> Message:
        """Refused."""
        raise Denied("the account is disabled")


def test_many_links_wait_for_the_next_turn(tmp_path: Path) -> None:
    """Other sources have theirs meanwhile."""
    world = ending(tmp_path)
    world.on_hold, first = True, ends(world)
    world.now = first - timedelta(days=6)
    with world.process() as (watch, ledger), take_turn(watch, ledger, world.clock, "one") as turn:
        assert turn
        turn.started -= timedelta(hours=1)
        let_last(turn)
    assert ends(world) == first
    step(world)
    assert ends(world) > first


@HALF
def test_killed_anywhere_links_last_in_the_end_and_it_is_told_once(when: str, tmp_path: Path) -> None:
    """The book may know it first."""

    def lasting(folder: Path) -> World:
        world = ending(folder)
        world.on_hold = True
        world.now = ends(world) - timedelta(days=6)
        return world

    died_at = 0
    for at, world, died in kills(lasting, tmp_path, when):
        before = world.now
        world.run()
        assert ends(world) > before + timedelta(days=29), at
        assert events(world).count("link.extended") == 1, at
        died_at += died
    assert died_at >= 8


def test_brakes_count_them(world: World) -> None:
    """Too many at once wait for a human, and so does all while the clock is in doubt."""
    world.now += YEAR
    assert swept(world, at_most=0) == 0
    world.store.clock = lambda: world.now + timedelta(days=1)
    assert swept(world) == 0
    assert events(world).count("sweep.stopped") == 2
    world.store.clock = lambda: world.now
    assert swept(world) == 1


def test_a_message_that_cannot_be_told_keeps_its_files(world: World) -> None:
    """A human decides."""
    world.now += YEAR
    swept(world)

    class Refusing(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            raise Rejected("the mailbox takes no edits")

    world.run(source=Refusing)
    held = only(world)
    assert (held.state, held.held_in, held.reason) == (State.HELD, State.EXPIRED, "the mailbox takes no edits")
    assert not world.lost()


def test_a_server_that_does_not_keep_what_is_told(world: World) -> None:
    """It is tried again, and then a human decides."""
    world.now += YEAR
    swept(world)

    class Forgetful(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            """Not at all."""

    world.run(source=Forgetful)
    assert (only(world).state, only(world).held_in) == (State.HELD, State.EXPIRED)
    assert not world.lost()


def test_a_store_that_is_out_of_reach_is_told_as_that(world: World) -> None:
    """By the sweep too."""
    world.now += YEAR

    def put(*_: object) -> None:
        raise Unavailable("the store is busy")

    world.store.put = put  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreFailed, match="busy"):
        swept(world)


# --- shares -------------------------------------------------------------------------------------------------------


@pytest.fixture
def share(tmp_path: Path) -> ShareWorld:
    """Of two files only their pointers are left."""
    world = ShareWorld(tmp_path / "ledger.db", kept())
    world.upload("report.pdf", b"%PDF-1.7 report")
    world.upload("plan.docx", b"PK\x03\x04plan", "General/Plans")
    world.run()
    assert {each.state for each in redirects(world)} == {State.DONE}
    return world


def test_a_pointer_says_it_by_its_name(share: ShareWorld) -> None:
    """Everybody sees it where the file was; one whose name is taken has a number."""
    ends = redirects(share)[0].ends
    assert ends
    share.share.upload(f"report.pdf (deleted {ends:%Y-%m-%d}).url", b"mine")
    share.now += YEAR
    over(share)
    names = sorted(each.name for each in share.share.entries.values())
    day = f"{ends:%Y-%m-%d}"
    assert names == [
        f"plan.docx (deleted {day}).url",
        f"report.pdf (deleted {day}) (2).url",
        f"report.pdf (deleted {day}).url",
    ]
    assert not share.store.files
    assert {each.state for each in redirects(share)} == {State.ERASED}


def test_a_pointer_that_was_not_renamed_is_tried_again(share: ShareWorld) -> None:
    """The next attempt finds its old name."""
    share.now += YEAR
    tries: list[str] = []

    class Hesitating(MemoryShareSource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            tries.append(item.pointer)
            if len(tries) < 3:
                raise Conflict("busy")
            super().rewrite(item, notice)

    over(share, source=Hesitating)
    assert not share.store.files


@pytest.mark.parametrize("fault", [Rejected("corrupt"), Conflict("failed"), ZeroDivisionError()])
def test_a_message_that_nobody_can_read_stops_no_mailbox_on_a_hold(tmp_path: Path, fault: Exception) -> None:
    """Its links last, a human hears of it, and new mail is not kept waiting."""
    world = ending(tmp_path)
    broken = only(world).item_id
    world.on_hold, first = True, ends(world)

    class Broken(MemorySource):
        def fetch(self, item_id: str) -> Message:
            if item_id == broken:
                raise fault
            return super().fetch(item_id)

    world.now = first - timedelta(days=6)
    new = world.deliver(FILE)
    world.run(source=Broken)
    states = {each.item_id: each.state for each in redirects(world)}
    assert states == {broken: State.HELD, new: State.DONE}
    links = [each.files[0].link for each in redirects(world) if each.item_id == broken]
    assert all(link and link.expires and link.expires > first for link in links)
