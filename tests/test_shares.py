"""Files of a share under the steps: copied with every version, or in the place of a pointer; and back again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from connector.errors import Conflict, ConnectorError, Corrupt, Denied, Unavailable
from connector.flow.decisions import recall
from connector.model import Redirect, State
from connector.rewrite import pointer as pointers
from connector.sources.memory_share import MemoryShare, MemoryShareSource
from tests.crash.test_every_effect import HALF, policy
from tests.laws.stores import BreaksOff
from tests.share_world import ShareWorld
from tests.test_manifest import backed_up, reconciled, restored, start
from tests.test_redirect import before, only, redirects, step
from tests.test_sweep import swept
from tests.world import Killed, Saboteur

REPORT = b"%PDF-1.7 report"


@pytest.fixture
def world(tmp_path: Path) -> ShareWorld:
    """A share whose tenant wants pointers."""
    return ShareWorld(tmp_path / "ledger.db", policy())


def files(world: ShareWorld) -> dict[str, bool]:
    """What lies in the share, and whether it is a pointer."""
    return {entry.name: pointers.read(entry.content) is not None for entry in world.share.entries.values()}


def recalled(world: ShareWorld, redirect: Redirect | None = None) -> None:
    """An operator wants a file back in the share."""
    with world.ledger() as ledger:
        recall(redirect or only(world), ledger, world.now, "operator")
    world.run()


def test_a_pointer_takes_the_place_of_a_file(world: ShareWorld) -> None:
    """Its link opens the file, which lies in the recycle bin."""
    item_id = world.upload("report.pdf", REPORT)
    world.run()
    assert files(world) == {"report.pdf.url": True}
    assert world.view() == [("General", "report.pdf.url", REPORT)]
    assert world.share.bin[item_id].content == REPORT
    assert only(world).state is State.DONE


def test_back_again(world: ShareWorld) -> None:
    """The file is there as it was, the pointer is not; and it is not redirected again, unless somebody changes it."""
    world.upload("report.pdf", REPORT)
    world.run()
    recalled(world)
    assert files(world) == {"report.pdf": False}
    assert world.view() == [("General", "report.pdf", REPORT)]
    world.lose_cursors()
    world.run()
    assert (only(world).state, only(world).pointer, files(world)) == (State.RESTORED, "", {"report.pdf": False})


@pytest.mark.parametrize(
    ("error", "state", "paused"),
    [
        (Unavailable("the connection was cut"), State.PLANNED, True),
        (Denied("no right"), State.PLANNED, True),
        (Conflict("it changed"), State.PLANNED, False),
        (Corrupt("it has another hash"), State.HELD, False),
    ],
)
def test_a_share_that_fails_while_the_store_reads(
    world: ShareWorld, error: ConnectorError, state: State, *, paused: bool
) -> None:
    """It is the share's failure: the store goes on with what others have for it, and has nothing of the file."""
    content = BreaksOff(REPORT, error)

    class Failing(MemoryShareSource):
        @contextmanager
        def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:
            yield content

    world.upload("report.pdf", REPORT)
    step(world, source=Failing)
    with world.process() as (watch, ledger):
        assert bool(ledger.paused(watch.name, world.now)) is paused
        assert not ledger.paused(watch.store_name, world.now)
    assert (only(world).state, only(world).reason) == (state, str(error))
    assert not world.store.files


@pytest.mark.no_cover  # it would take three times as long, and nothing is reached here alone
@HALF
def test_survives_a_kill_at_every_effect_of_the_way_back(tmp_path: Path, when: str) -> None:
    """Wherever it dies, nobody misses the file, and it comes back once."""
    at, died = 0, True
    while died:
        at += 1
        world = ShareWorld(tmp_path / f"{at}.db", policy())
        world.upload("report.pdf", REPORT)
        world.run()
        with world.ledger() as ledger:
            recall(only(world), ledger, world.now, "operator")
        try:
            world.run(Saboteur(kill_at=at, when=when))
        except Killed:
            assert not world.lost(), at
            world.run()
        else:
            died = False
        assert (world.lost(), files(world), only(world).state) == ([], {"report.pdf": False}, State.RESTORED), at
    assert at > 8


def test_copies_only(world: ShareWorld) -> None:
    """Where nobody opted in, the file stays whatever a rule says; and each later version is copied as well."""
    world.pointers = False
    item_id = world.upload("report.pdf", REPORT)
    world.run()
    assert files(world) == {"report.pdf": False}
    world.share.edit(item_id, b"%PDF-1.7 second")
    world.run()
    world.share.rename(item_id, "final.pdf")
    world.run()
    assert files(world) == {"final.pdf": False}
    assert sorted(world.manifest_free().values()) == sorted([REPORT, b"%PDF-1.7 second"])
    assert {each.state for each in redirects(world)} == {State.DONE}
    assert not world.store.shares


def test_a_version_that_comes_again(world: ShareWorld) -> None:
    """Somebody restores an old version, which was copied before: nothing is done twice, and nothing is held."""
    world.policy = policy(settle="1h")
    world.pointers = False
    item_id = world.upload("report.pdf", REPORT)
    old = world.share.entry(item_id)
    world.run()
    world.pointers = True
    world.share.edit(item_id, b"%PDF-1.7 second")
    step(world)
    world.share.change(item_id, lambda entry: replace(entry, content=old.content, written=old.written))
    world.run()
    assert (world.lost(), files(world)) == ([], {"report.pdf": False})
    assert {each.state for each in redirects(world)} == {State.DONE, State.DROPPED}


def test_a_file_in_use_waits(world: ShareWorld) -> None:
    """It is looked at again when nobody has it open any more, and when it has been quiet for a while."""
    world.now = world.now.replace(year=2026, month=1, day=5, hour=8, minute=0)
    item_id = world.upload("report.pdf", REPORT)
    world.share.open_in_office(item_id)
    step(world)
    assert redirects(world) == ()
    world.share.open_in_office(item_id, busy=False)
    world.now += timedelta(minutes=16)
    step(world)
    assert only(world).state is State.DONE


def test_a_file_that_just_changed_waits(world: ShareWorld) -> None:
    """For as long as its share is to be quiet."""
    world.upload("report.pdf", REPORT)
    with world.process() as (watch, _):
        changed = watch.source.fetch(next(iter(world.share.entries))).received
    assert changed
    world.quiet = timedelta(minutes=10)
    world.now = changed + timedelta(minutes=9)
    step(world)
    assert redirects(world) == ()
    world.now = changed + timedelta(minutes=11)
    step(world)
    assert only(world).state is State.DONE


ACTS: dict[str, Callable[[MemoryShare, str], object]] = {
    "edits it": lambda share, item_id: share.edit(item_id, b"%PDF-1.7 second"),
    "renames it": lambda share, item_id: share.rename(item_id, "renamed.pdf"),
    "moves it": lambda share, item_id: share.move(item_id, "General/Plans"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize(("verb", "nth"), [*(("fetch", nth) for nth in range(1, 6)), ("rewrite", 1), ("prune", 1)])
def test_somebody_acts_before_each_effect(
    world: ShareWorld, verb: str, nth: int, act: Callable[[MemoryShare, str], object]
) -> None:
    """What is in the share in the end, or behind a link there, is what that person made of it."""
    item_id = world.upload("report.pdf", REPORT)

    def acts() -> None:
        if item_id in world.share.entries:
            act(world.share, item_id)
            world.wanted = [world.share.entries[item_id].content]

    world.run(before(verb, nth, acts))
    assert not world.lost()
    assert {each.state for each in redirects(world)} <= {State.DONE, State.DROPPED}


@pytest.mark.parametrize("nth", range(2, 5))
def test_somebody_takes_the_pointer_away(world: ShareWorld, nth: int) -> None:
    """Before the file has gone, it stays until there is one again; afterwards the pointer was all there was."""
    item_id = world.upload("report.pdf", REPORT)

    def take() -> None:
        for entry in list(world.share.entries.values()):
            if pointers.read(entry.content) and item_id in world.share.entries:
                world.share.delete(entry.id)

    world.run(before("fetch", nth, take))
    assert not world.lost()


def test_a_pointer_that_was_moved_and_renamed_leads_back(world: ShareWorld) -> None:
    """The file comes back where its pointer is now, under its own name."""
    world.upload("report.pdf", REPORT)
    world.run()
    (pointer,) = world.share.entries
    world.share.move(pointer, "General/Plans")
    world.share.rename(pointer, "see here.url")
    recalled(world)
    assert world.view() == [("General/Plans", "report.pdf", REPORT)]


def test_a_name_that_is_taken_is_told(world: ShareWorld) -> None:
    """What somebody uploaded since stays, and so does the pointer."""
    world.upload("report.pdf", REPORT)
    world.run()
    world.upload("report.pdf", b"another one")
    recalled(world, next(each for each in redirects(world) if each.state is State.DONE))
    assert not world.lost()
    assert State.HELD in {each.state for each in redirects(world)}


@pytest.mark.parametrize("lost", [True, False])
def test_ledger_of_yesterday(world: ShareWorld, *, lost: bool) -> None:
    """The pointers and the manifests tell: nothing is lost, and what had its pointer can come back."""
    start(world)
    backup = backed_up(world)
    world.upload("report.pdf", REPORT)
    world.run()
    start(world)
    restored(world, None if lost else backup)
    assert not start(world)
    world.run(ticks=3)
    assert reconciled(world) == 1
    world.now += timedelta(hours=2)
    world.run()
    assert (world.lost(), files(world), only(world).state) == ([], {"report.pdf.url": True}, State.DONE)
    assert swept(world) == 0
    recalled(world)
    assert files(world) == {"report.pdf": False}
