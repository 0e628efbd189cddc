"""What is older than first contact: touched only where it is wanted, by the same policy, and behind new mail."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import PartUnread, Rejected, Unavailable
from connector.flow import backfill as filling
from connector.flow.backfill import Hours, Progress, Wish, leave, progress, want
from connector.flow.redirect import tick
from connector.ledger import Backfill, Ledger
from connector.model import Page, Room, State
from connector.policy import Policy
from connector.sources.memory import Attached, MemorySource
from tests.crash.test_every_effect import HALF
from tests.logged import Lines
from tests.world import START, Killed, Saboteur, World

RULE = {"name": "all", "action": "redirect", "settle": 0}
MINUTE = timedelta(minutes=1)


def policy(*rules: dict[str, Any]) -> Policy:
    """These rules, or everything goes at once."""
    return Policy.model_validate({"rules": rules or [RULE]})


def old(folder: Path, *sizes: int) -> World:
    """A mailbox that connector sees for the first time, with a message for each size; the first is the oldest."""
    world = World(folder / "ledger.db", policy(), since=None)
    for size in sizes:
        world.deliver(Attached(f"{size}.bin", bytes([size % 256]) * size))
    return world


def run(
    world: World, saboteur: Saboteur | None = None, *, ticks: int = 6, step: timedelta = MINUTE, **more: Any
) -> None:
    """So many turns, one a minute: a daemon."""
    with world.process(saboteur, **more) as (watch, ledger):
        for _ in range(ticks):
            tick(watch, ledger, world.clock, "one")
            world.now += step


@contextmanager
def operator(world: World) -> Iterator[Ledger]:
    """Somebody at the command line."""
    with world.ledger() as ledger:
        yield ledger


def wanted(world: World, **wish: Any) -> None:
    """Want all that is older."""
    with operator(world) as ledger:
        want(Wish(**wish), None, ledger, world.now, "ada")


def told(world: World) -> Progress:
    """How far it is."""
    with operator(world) as ledger:
        (only,) = progress(None, ledger, world.now)
    return only


def moved(world: World) -> list[int]:
    """The sizes of the files that were redirected, in the order in which that was planned."""
    with operator(world) as ledger:
        planned = sorted(ledger.redirects(), key=lambda each: each.created)
    return [each.stored.size for redirect in planned for each in redirect.files if each.stored]


def test_folders_at_which_a_server_fails_stop_no_backfill(tmp_path: Path) -> None:
    """All that the others hold is listed, and redirected."""

    class InPart(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            yield from super().changes(cursor)
            raise PartUnread("1 of 2 folders")

    world = old(tmp_path, 100, 200)
    run(world, source=InPart)
    wanted(world)
    run(world, source=InPart)
    assert sorted(moved(world)) == [100, 200]


@pytest.mark.parametrize("asked", [False, True])
def test_a_folder_at_which_a_server_failed_is_listed_again(tmp_path: Path, *, asked: bool) -> None:
    """Once all the others are done, an hour later; or at once, where it is wanted again."""
    failures = []

    class Failing(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            for page in super().changes(cursor):
                if any(item.folder == "Broken" for item in page.items):
                    failures.append("Broken")
                    raise PartUnread("1 of 2 folders")
                yield page

    world = old(tmp_path, 100, 200, 300)
    world.deliver(Attached("400.bin", bytes(400)), folder="Broken")
    run(world, ticks=1, source=Failing)
    wanted(world)
    run(world, source=Failing)
    assert (sorted(moved(world)), told(world).state) == ([100, 200, 300], "under way")
    assert len(failures) == 7 + 1  # In each turn, for what is new; and once for the backfill.
    if asked:
        wanted(world)
        run(world)
        assert 400 in moved(world)
    run(world, step=timedelta(hours=1))
    assert (sorted(moved(world)), told(world).state) == ([100, 200, 300, 400], "done")


def test_nothing_older_is_touched_unless_it_is_wanted(tmp_path: Path) -> None:
    """Then all of it is, as new mail would be; and never again."""
    world = old(tmp_path, 100, 200)
    run(world)
    assert moved(world) == []
    world.deliver(Attached("new.bin", b"n" * 300), received=world.now)
    run(world)
    assert moved(world) == [300]
    wanted(world)
    run(world)
    assert sorted(moved(world)) == [100, 200, 300]
    assert not world.lost()
    assert all(not entry.contents for entry in world.mailbox.entries())
    assert (told(world).state, told(world).done, told(world).left) == ("done", 2, 0)
    before = world.view()
    wanted(world)
    world.lose_cursors()
    run(world)
    assert world.view() == before


@pytest.mark.parametrize(("biggest", "expected"), [(False, [200, 500, 100, 300]), (True, [500, 300, 200, 100])])
def test_the_order(tmp_path: Path, expected: list[int], *, biggest: bool) -> None:
    """The newest first, or the biggest."""
    world = old(tmp_path, 300, 100, 500, 200)
    run(world, ticks=1)
    wanted(world, biggest=biggest)
    run(world)
    assert moved(world) == expected


def test_the_pace(tmp_path: Path) -> None:
    """So many an hour: also after a night in which nothing could be done, only a few come at once."""
    world = old(tmp_path, *range(100, 120))
    run(world, ticks=1)
    wanted(world, per_hour=12)
    run(world, ticks=60)
    assert 12 <= len(moved(world)) <= 14
    assert told(world).left == 20 - len(moved(world))
    world.now += timedelta(hours=5)
    before = len(moved(world))
    run(world, ticks=1)
    assert before < len(moved(world)) <= before + 2


def test_a_lower_bound(tmp_path: Path) -> None:
    """What is older than that stays; wanted further back later, it goes too."""
    world = old(tmp_path, 100)
    bound = START - timedelta(days=1)
    world.deliver(Attached("b.bin", b"b" * 200), received=bound)
    run(world, ticks=1)
    wanted(world, since=bound)
    run(world)
    assert moved(world) == [200]
    wanted(world, since=START)
    run(world)
    assert moved(world) == [200]
    wanted(world)
    run(world)
    assert moved(world) == [200, 100]


def test_a_bound_that_comes_nearer(tmp_path: Path) -> None:
    """What was listed already, and is older than what is wanted now, is not touched any more."""
    world = old(tmp_path, 100, 200)
    run(world, ticks=1)
    wanted(world, per_hour=1)
    run(world, ticks=1)
    assert moved(world) == [200]
    wanted(world, since=START)
    run(world, ticks=3)
    assert moved(world) == [200]


def test_the_hours(tmp_path: Path) -> None:
    """Only then is the mailbox listed, and only then does anything move."""
    world = old(tmp_path, 100)
    run(world, ticks=1)
    hour = world.now.astimezone().hour
    wanted(world, hours=Hours((hour + 2) % 24, (hour + 4) % 24))
    run(world)
    assert (moved(world), told(world).state) == ([], "being listed")
    world.now += timedelta(hours=2)
    run(world)
    assert moved(world) == [100]


@pytest.mark.parametrize(
    ("hours", "is_open"),
    [((0, 0), {*range(24)}), ((7, 7), {*range(24)}), ((9, 17), {*range(9, 17)}), ((22, 2), {22, 23, 0, 1})],
)
def test_which_hours_those_are(hours: tuple[int, int], is_open: set[int]) -> None:
    """Over midnight too."""
    of = Backfill(source="", biggest=False, since=None, from_hour=hours[0], to_hour=hours[1], per_hour=1, next=START)
    assert {hour for hour in range(24) if of.is_open(hour)} == is_open
    assert of.hours == len(is_open)


def test_paused_and_resumed(tmp_path: Path) -> None:
    """It goes on where it stood."""
    world = old(tmp_path, 100, 200, 300)
    run(world, ticks=1)
    wanted(world, per_hour=1)
    run(world, ticks=1)
    assert moved(world) == [300]
    assert told(world).ready == pytest.approx(world.now + timedelta(hours=2), abs=timedelta(minutes=1))
    with operator(world) as ledger:
        leave(None, ledger, world.now, "ada", paused=True)
    run(world, step=timedelta(hours=1))
    assert (moved(world), told(world).state, told(world).ready) == ([300], "paused", None)
    with operator(world) as ledger:
        leave("ANNA@example.org", ledger, world.now, "ada", paused=False)
    run(world, step=timedelta(hours=1))
    assert moved(world) == [300, 200, 100]
    with operator(world) as ledger:
        events = [each.name for each in ledger.events() if each.name.startswith("backfill")]
    assert events == ["backfill.wanted", "backfill.paused", "backfill.resumed"]


def test_mailboxes_that_nobody_knows(tmp_path: Path) -> None:
    """They are refused, and so is to pause what nobody wants."""
    world = old(tmp_path, 100)
    run(world, ticks=1)
    with operator(world) as ledger:
        with pytest.raises(ValueError, match="no such source"):
            want(Wish(), "nobody@example.org", ledger, world.now, "ada")
        with pytest.raises(ValueError, match="no backfill is wanted"):
            leave(None, ledger, world.now, "ada", paused=True)
        assert list(progress(None, ledger, world.now)) == []


def test_new_mail_goes_first(tmp_path: Path) -> None:
    """However much waits, what comes in now is done in the next turn."""
    world = old(tmp_path, *range(100, 130))
    run(world, ticks=1)
    wanted(world, per_hour=100_000)
    run(world, ticks=1)
    assert len(moved(world)) == filling.AT_ONCE
    world.deliver(Attached("new.bin", b"n" * 999), received=world.now)
    seen: list[str] = []

    class Watching(MemorySource):
        def fetch(self, item_id: str) -> Any:
            seen.append(item_id)
            return super().fetch(item_id)

    new = world.mailbox.items()[-1].id
    run(world, ticks=1, source=Watching)
    assert seen[0] == new
    assert 999 in moved(world)


class _Full(MemorySource):
    """Nothing may be edited in it."""

    def room(self) -> Room:
        return Room(100, 100)


def test_nothing_is_planned_while_something_is_due(tmp_path: Path) -> None:
    """As long as a step of other mail is not through, backfill adds nothing; it would only wait there too."""
    world = old(tmp_path, 100)
    run(world, ticks=1)
    wanted(world)
    world.deliver(Attached("new.bin", b"n" * 999), received=world.now)
    run(world, ticks=3, source=_Full)
    assert told(world).done == 0
    run(world, ticks=10, step=timedelta(minutes=10))
    assert moved(world) == [999, 100]


def test_a_message_that_is_moved_before_its_turn(tmp_path: Path) -> None:
    """It is found under its new id; one that is deleted is forgotten."""
    world = old(tmp_path, 100, 200, 300)
    first, second, _ = (item.id for item in world.mailbox.items())
    run(world, ticks=1)
    wanted(world, per_hour=1)
    run(world, ticks=1)
    world.mailbox.move(first, "Projects")
    world.mailbox.delete(second)
    run(world, ticks=8, step=timedelta(hours=1))
    assert moved(world) == [300, 100]
    assert told(world).state == "done"


def test_a_file_that_cannot_be_read_now_waits(tmp_path: Path) -> None:
    """It keeps none of the others, and is not forgotten."""
    world = old(tmp_path, 100, 200)
    world.policy = policy({"name": "programs", "when": {"true_type": "executable"}, "action": "keep"}, RULE)
    cut = world.mailbox.items()[1].id

    class Cut(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            if item_id == cut:
                raise Unavailable("cut")
            return super().open(item_id, file_id)

    run(world, ticks=1)
    wanted(world)
    run(world, source=Cut)
    assert (moved(world), told(world).left) == ([100], 1)
    run(world, step=timedelta(minutes=30))
    assert (moved(world), told(world).state) == ([100, 200], "done")


@pytest.mark.parametrize("fault", [Rejected("corrupt"), Unavailable("failed"), ZeroDivisionError()])
def test_a_message_that_nobody_can_read_waits(tmp_path: Path, fault: Exception) -> None:
    """It keeps none of the others, whether its source lists it or not, and is not forgotten."""
    world = old(tmp_path, 100, 200, 300)
    broken = world.mailbox.items()[1:]

    class Broken(MemorySource):
        def fetch(self, item_id: str) -> Any:
            if item_id in {each.id for each in broken}:
                raise fault
            return super().fetch(item_id)

        def changes(self, cursor: str | None) -> Iterator[Page]:
            for page in super().changes(cursor):
                failed = tuple(each.id for each in page.items if each.id == broken[0].id)
                yield Page(tuple(each for each in page.items if each.id not in failed), page.cursor, failed)

    run(world, ticks=1)
    wanted(world)
    run(world, source=Broken)
    assert (moved(world), told(world).left) == ([100], 2)
    run(world, step=timedelta(minutes=30))
    assert (sorted(moved(world)), told(world).state) == ([100, 200, 300], "done")


def test_a_verdict_that_changes_later(tmp_path: Path) -> None:
    """A message that a rule wants only when it is older waits for that."""
    world = old(tmp_path, 100)
    received = world.mailbox.items()[0].received
    assert received
    world.policy = policy(RULE | {"when": {"older_than": "60d"}})
    run(world, ticks=1)
    wanted(world)
    run(world)
    assert (moved(world), told(world).left) == ([], 1)
    world.now = received + timedelta(days=60)
    run(world)
    assert moved(world) == [100]


def test_the_policy_is_asked_again_before_links_are_shown(tmp_path: Path) -> None:
    """Days later the message is still older than first contact, and still wanted; a private one is not."""
    world = old(tmp_path, 100, 200)
    world.policy = policy(RULE | {"settle": "2d"})
    run(world, ticks=1)
    wanted(world)
    run(world)
    world.mailbox.change(world.mailbox.items()[0].id, sensitivity="private")
    world.now += timedelta(days=3)
    run(world)
    with operator(world) as ledger:
        assert sorted(each.state for each in ledger.redirects()) == [State.DONE, State.DROPPED]
    assert not world.lost()


def test_a_tenant_that_only_monitors(tmp_path: Path) -> None:
    """Nothing is planned, and nothing is listed."""
    world = old(tmp_path, 100)
    run(world, ticks=1)
    wanted(world)
    with world.process() as (watch, ledger):
        tick(replace(watch, monitor=True), ledger, world.clock, "one")
    assert (moved(world), told(world).state) == ([], "being listed")


def test_a_feed_that_is_longer_than_a_turn(tmp_path: Path) -> None:
    """It is listed on in the next one, from where it was."""
    world = old(tmp_path, *range(100, 110))

    class Slow(MemorySource):
        def changes(self, cursor: str | None) -> Any:
            for page in super().changes(cursor):
                world.now += timedelta(minutes=4)
                yield page

    run(world, ticks=8)
    wanted(world)
    run(world, ticks=1, source=Slow)
    assert (told(world).state, moved(world)) == ("being listed", [])
    assert 0 < told(world).left < 10
    run(world)
    assert len(moved(world)) == 10


@pytest.mark.long
@pytest.mark.no_cover
@HALF
def test_killed_at_every_effect(tmp_path: Path, when: str) -> None:
    """Wherever it dies, nothing is lost, and it ends in the same world as if it had not."""

    def scene(name: str) -> World:
        folder = tmp_path / f"{when}-{name}"
        folder.mkdir()
        world = old(folder, 100, 200)
        run(world, ticks=1)
        wanted(world)
        return world

    calm = scene("calm")
    run(calm)
    assert len(moved(calm)) == 2
    at, died = 0, True
    while died:
        at += 1
        world = scene(str(at))
        try:
            run(world, Saboteur(kill_at=at, when=when))
            died = False
        except Killed:
            assert not world.lost(), f"killed {when} effect {at}"
            run(world)
        assert not world.lost(), f"after a kill {when} effect {at}"
        assert world.view() == calm.view(), f"after a kill {when} effect {at}"
        assert len(world.manifest_free()) == 2, f"an orphan after a kill {when} effect {at}"
        assert (told(world).state, told(world).left) == ("done", 0), f"after a kill {when} effect {at}"
    assert at > 30


def test_what_a_rule_holds_is_told_in_the_log(tmp_path: Path, lines: Lines) -> None:
    """As it is of new mail."""
    world = old(tmp_path, 100)
    world.policy = policy({"name": "all", "action": "hold"})
    run(world, ticks=1)
    wanted(world)
    run(world)
    (told_of,) = (each for each in lines() if each["event"] == "redirect.held")
    assert told_of["result"] == "held"
