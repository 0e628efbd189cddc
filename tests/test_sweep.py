"""Only the sweep deletes, after a grace time, what was never shown; and it has brakes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connector.errors import Rejected, Unavailable
from connector.flow.decisions import drop
from connector.flow.reactions import StoreFailed
from connector.flow.sweep import sweep, trim
from connector.ledger import FOR_EVER, Ledger, Stale
from connector.model import Message, State
from connector.pauses import TenantPause
from connector.sources.memory import Attached, MemorySource
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.test_redirect import acting, events, only, step
from tests.world import TENANT, World

GRACE = timedelta(days=30)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A message was copied, and deleted by its owner before anything was shown: its redirect is dropped."""
    world = World(tmp_path / "ledger.db", policy(settle="1h"))
    item_id = world.deliver(Attached("a.bin", b"aaaa"), Attached("b.bin", b"bbbb"))
    step(world)
    world.mailbox.delete(item_id)
    world.run()
    world.store.clock = lambda: world.now
    assert only(world).state is State.DROPPED
    return world


def swept(world: World, *, at_most: int = 100) -> int | None:
    """One sweep."""
    with world.process() as (watch, ledger):
        return sweep(watch, ledger, world.clock, "one", grace=GRACE, at_most=at_most)


def test_nothing_goes_before_the_grace_time(world: World) -> None:
    """A message that comes back meanwhile finds its files."""
    world.now += GRACE - timedelta(hours=1)
    assert swept(world) == 0
    assert len(world.manifest_free()) == 2


def test_files_manifests_and_links_go_after_the_grace_time(world: World) -> None:
    """And they go once: a second sweep finds nothing."""
    world.store.files[".connector/manifests/another.000001.json"] = b"{}"
    world.now += GRACE
    assert swept(world) == 1
    assert list(world.store.files) == [".connector/manifests/another.000001.json"]
    assert swept(world) == 0


def test_of_what_a_human_dropped_no_manifest_stays_either(tmp_path: Path) -> None:
    """A ledger that knows nothing else would take it for something to do."""
    world = World(tmp_path / "ledger.db", policy(settle="1h"))
    world.deliver(Attached("a.bin", b"aaaa"))
    step(world)
    with world.ledger() as ledger:
        stored = only(world)
        held = ledger.write(replace(stored, state=State.HELD, held_in=State.STORED), "redirect.held", world.now)
        drop(held, ledger, world.now, "ada")
    world.now += GRACE + timedelta(days=1)
    assert swept(world) == 1
    assert not world.store.files


def test_what_a_marker_names_is_not_swept(world: World) -> None:
    """A message that came back with our mark keeps its files, whatever the ledger says."""
    world.deliver(marker=f"1.{only(world).id}.1.00")
    world.now += GRACE
    assert swept(world) == 0
    assert world.manifest_free()


def test_what_was_shown_is_not_swept(tmp_path: Path) -> None:
    """A recovered copy of the message may show the links: its files live on."""
    world = World(tmp_path / "ledger.db", policy())
    item_id = world.deliver(Attached("a.bin", b"aaaa"))

    def delete_when_rewritten() -> None:
        world.mailbox.delete(item_id)

    world.run(source=acting("prune", delete_when_rewritten, first=True))
    dropped = only(world)
    assert (dropped.state, dropped.held_in) == (State.DROPPED, State.REWRITTEN)
    world.now += GRACE
    assert swept(world) == 0
    assert world.manifest_free()


def test_what_was_shown_once_is_not_swept(world: World) -> None:
    """Also where its notice was taken out again before the message was deleted: a copy elsewhere may show it."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    ledger.write(replace(only(world), was_shown=True), "redirect.dropped", world.clock())
    ledger.close()
    world.now += GRACE + timedelta(days=1)
    assert swept(world) == 0
    assert len(world.manifest_free()) == 2


def test_brakes(world: World) -> None:
    """Too much at once, a ledger in doubt, a clock in doubt: nothing is deleted, and it is told why."""
    world.now += GRACE
    assert swept(world, at_most=0) == 0
    world.store.clock = lambda: world.now + timedelta(days=1)
    assert swept(world) == 0
    world.store.clock = lambda: None
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    ledger.pause(
        TenantPause.LEDGER.of(TENANT), until=FOR_EVER, reason="x", error="Foreign", now=world.now, tenant=TENANT
    )
    assert swept(world) == 0
    ledger.resume(TenantPause.LEDGER.of(TENANT))
    ledger.note(TENANT, "anything", world.now + timedelta(days=2))
    ledger.close()
    assert swept(world) == 0
    assert events(world).count("sweep.stopped") == 4
    assert len(world.manifest_free()) == 2


def test_nothing_is_swept_while_the_source_is_paused(world: World) -> None:
    """Without the source nobody can say that no message shows a file."""
    world.now += GRACE
    with world.process() as (watch, ledger):
        ledger.pause(
            watch.name, until=world.now + timedelta(hours=1), reason="x", error="Denied", now=world.now, tenant=TENANT
        )
    assert swept(world) is None
    assert len(world.manifest_free()) == 2


def test_nothing_is_swept_where_it_is_only_monitored(world: World) -> None:
    """Outside of a pilot say: no tick would go on with what has ended."""
    world.now += GRACE
    world.monitor = True
    assert swept(world) == 0
    assert len(world.manifest_free()) == 2
    world.monitor = False
    assert swept(world) == 1


class Down(MemoryStore):
    """A store that does not tell what it has."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Not now."""
        raise Unavailable("the store is down")


def test_a_store_that_fails_while_sweeping_is_not_the_sources_trouble(world: World) -> None:
    """It is told apart; and while the store pauses, it is not even asked."""
    world.now += GRACE
    up, world.store = world.store, Down(world.store.files)
    with pytest.raises(StoreFailed, match="down"):
        swept(world)
    with world.process() as (watch, ledger):
        until = world.now + timedelta(minutes=1)
        ledger.pause(watch.store_name, until=until, reason="x", error="Unavailable", now=world.now, tenant=TENANT)
    assert swept(world) is None
    world.now = until
    world.store = up
    assert swept(world) == 1


def test_source_that_fails_while_sweeping(world: World) -> None:
    """What it was asked about stays."""
    world.now += GRACE
    world.mailbox.busy = timedelta(minutes=1)
    with pytest.raises(Unavailable):
        swept(world)
    assert len(world.manifest_free()) == 2
    assert replace(only(world)).state is State.DROPPED


@pytest.mark.parametrize("trouble", [Rejected("the message cannot be read"), Stale("an operator was faster")])
def test_one_that_cannot_be_looked_at_stops_no_other(world: World, trouble: Exception) -> None:
    """It is told, keeps its files, and comes with the next sweep."""
    first = only(world).id
    other = world.deliver(Attached("c.bin", b"cccc"))
    step(world)
    world.mailbox.delete(other)
    world.run()

    class Troubled(MemorySource):
        def find(self, redirect_id: str) -> tuple[Message, ...]:
            if redirect_id == first:
                raise trouble
            return super().find(redirect_id)

    world.now += GRACE + timedelta(days=1)
    with world.process(source=Troubled) as (watch, ledger):
        assert sweep(watch, ledger, world.clock, "one", grace=GRACE, at_most=100) == 1
    assert sorted(world.manifest_free().values()) == [b"aaaa", b"bbbb"]
    assert swept(world) == 1
    assert not world.store.files


def test_the_audit_trail_is_trimmed_while_the_clock_is_right(world: World) -> None:
    """What is older than its time goes; a clock in doubt lets nothing go, since it would be too early."""
    with world.process() as (_, ledger):
        ledger.note("other", "anything", world.now)
        kept, late = timedelta(days=30), world.now + timedelta(days=31)
        assert trim("other", world.store, ledger, late, kept=kept, held=()) == 0
        world.store.clock = lambda: late
        assert trim("other", world.store, ledger, late, kept=kept, held=()) == 1
        assert [each.name for each in ledger.events(tenant="other")] == ["audit.trimmed"]


def test_what_left_nothing_is_forgotten_with_the_audit_trail(world: World) -> None:
    """The row of a redirect goes when its time in the audit trail is over, and not before its files have gone."""
    kept = timedelta(days=400)
    world.now += GRACE
    with world.process() as (watch, ledger):
        late = world.now + 2 * kept
        world.store.clock = lambda: late
        trim(TENANT, watch.store, ledger, late, kept=kept, held=())
        assert len(ledger.redirects()) == 1
    world.store.clock = lambda: world.now
    assert swept(world) == 1
    with world.process() as (watch, ledger):
        world.store.clock = lambda: late
        trim(TENANT, watch.store, ledger, world.now + kept / 2, kept=kept, held=())
        assert len(ledger.redirects()) == 1
        trim(TENANT, watch.store, ledger, late, kept=kept, held=())
        assert ledger.redirects() == ()
        assert ledger.broken_link(TENANT) is None
