"""A clock that jumps, forwards and backwards, by hours and by years: nothing happens by it that is not to be undone."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connector.flow import redirect
from connector.flow.redirect import tick
from connector.flow.turn import Turn
from connector.ledger import Ledger
from connector.log import Event
from connector.model import Redirect, State
from connector.pauses import TenantPause
from connector.sources.memory import Attached
from tests.crash.test_every_effect import policy
from tests.test_redirect import done, only, redirects, step
from tests.world import TENANT, World

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A message was copied; its links are to be shown a day later. The store tells the true time."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"))
    world.store.clock = lambda: world.now
    world.deliver(Attached("a.bin", b"aaaa"))
    step(world)
    assert only(world).state is State.STORED
    return world


def tick_at(world: World, jump: timedelta) -> None:
    """A tick of a machine whose clock is off."""
    with world.process() as (watch, ledger):
        tick(watch, ledger, lambda: world.clock() + jump, "one")


def braked(world: World) -> str:
    """Why nothing is done; "" where something is."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    pause = ledger.paused(TenantPause.CLOCK.of(TENANT), world.now)
    ledger.close()
    return pause.reason if pause else ""


def all_done(world: World) -> None:
    """Every message shows its links, and has nothing else."""
    assert not world.lost()
    assert {each.state for each in redirects(world)} == {State.DONE}
    assert [message.files for message in world.mailbox.items()] == [(), ()]


@pytest.mark.parametrize("jump", [25 * HOUR, YEAR, 10 * YEAR])
def test_clock_ahead_ends_no_settle(world: World, jump: timedelta) -> None:
    """The links are shown, and the original goes, when a day has really passed, and then at once."""
    tick_at(world, jump)
    tick_at(world, jump)
    assert only(world).state is State.STORED
    assert "set them right" in braked(world)
    step(world)
    assert not braked(world)
    world.now += 20 * HOUR
    step(world)
    assert only(world).state is State.STORED
    world.now += 5 * HOUR
    step(world)
    done(world)


def test_clock_ahead_is_seen_before_the_prune(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it jumps after the links were shown."""

    def stay(each: Redirect, turn: Turn) -> Redirect:
        return turn.write(replace(each, due=world.now + HOUR), Event.REDIRECT_DEFERRED)

    monkeypatch.setitem(redirect.STEPS, State.REWRITTEN, stay)
    world.now += 25 * HOUR
    step(world)
    monkeypatch.undo()
    assert only(world).state is State.REWRITTEN
    world.now += HOUR
    tick_at(world, YEAR)
    assert only(world).state is State.REWRITTEN
    assert world.mailbox.items()[0].files
    assert "differ by" in braked(world)
    step(world)
    done(world)


@pytest.mark.parametrize("jump", [-5 * HOUR, -YEAR])
def test_clock_behind_does_nothing(world: World, jump: timedelta) -> None:
    """New mail waits as well: what would be written down now would be wrong."""
    world.now += HOUR
    world.deliver(Attached("b.bin", b"bbbb"))
    tick_at(world, jump)
    assert only(world).state is State.STORED
    assert "set them right" in braked(world)
    world.run()
    all_done(world)


def test_clock_behind_of_a_machine_whose_store_tells_no_time(world: World) -> None:
    """The ledger's last event counts."""
    world.store.clock = lambda: None
    tick_at(world, -YEAR)
    assert "before the ledger's last event" in braked(world)
    step(world)
    assert not braked(world)


def test_what_a_clock_ahead_has_put_off_goes_on_when_it_is_right(world: World) -> None:
    """What came in meanwhile does not wait for a year, nor does a mailbox that was busy just then."""
    world.deliver(Attached("b.bin", b"bbbb"))
    tick_at(world, YEAR)
    assert "differ by" in braked(world)
    began = world.now
    world.run(ticks=30)
    all_done(world)
    assert world.now < began + timedelta(days=3)


def test_mailbox_that_was_busy_while_the_clock_was_ahead(world: World) -> None:
    """It is not left alone until a year has passed."""
    world.mailbox.busy = HOUR
    tick_at(world, YEAR)
    world.mailbox.busy = None
    world.now += 25 * HOUR
    step(world)
    done(world)


def test_clock_ahead_shortens_no_other_wait(world: World) -> None:
    """Files of a message that is gone live on for thirty days, also where that was written by such a clock."""
    ahead = world.now + YEAR
    with world.ledger() as ledger:
        waiting = replace(only(world), state=State.TOLD, due=ahead + timedelta(days=30))
        ledger.write(waiting, Event.REDIRECT_TOLD, ahead)
    step(world)
    assert only(world).due - world.now > timedelta(days=29)
