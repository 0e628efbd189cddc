"""Every night, some of what is done is looked at again: what differs is told, and nothing is changed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connector.daemon.sample import MOST, differences, places
from connector.ledger import Ledger
from connector.model import State
from connector.sources.memory import Attached
from tests.crash.test_every_effect import policy
from tests.test_service import World as Served
from tests.test_service import world as served
from tests.world import World

__all__ = ["served"]

DAY = date(2026, 3, 1)
LOST = "the store does not have a file any more"
OTHER = "the store has other bytes of a file"
UNSHOWN = "the message does not show its links"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A message whose files are redirected."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(Attached("plan.pdf", b"a plan"), Attached("map.pdf", b"a map"))
    world.run()
    return world


def told(world: World) -> tuple[str, ...]:
    """What differs, of all that is done."""
    with world.process() as (watch, ledger):
        return tuple(each for redirect in ledger.redirects(state=State.DONE) for each in differences(redirect, watch))


def test_what_is_as_it_was_differs_in_nothing(world: World) -> None:
    """Also where the message was moved, or deleted by its owner."""
    assert told(world) == ()
    (item,) = world.mailbox.items()
    moved = world.mailbox.move(item.id, "Archive")
    assert told(world) == ()
    world.mailbox.delete(moved)
    assert told(world) == ()


def _lose(world: World, item_id: str, path: str) -> None:
    del world.store.files[path]


def _spoil(world: World, item_id: str, path: str) -> None:
    world.store.files[path] = b"A plan"[: len(world.store.files[path])].ljust(len(world.store.files[path]))


def _edit(world: World, item_id: str, path: str) -> None:
    world.mailbox.edit_body(item_id, "<html><body><p>Rewritten by hand</p></body></html>")


@pytest.mark.parametrize(("mishap", "said"), [(_lose, LOST), (_spoil, OTHER), (_edit, UNSHOWN)])
def test_tells_what_is_not_as_the_ledger_has_it(
    world: World, mishap: Callable[[World, str, str], None], said: str
) -> None:
    """A file that is lost or spoilt in the store, and a message without its links; nothing is written anywhere."""
    (item,) = world.mailbox.items()
    mishap(world, item.id, next(path for path in world.store.files if path.endswith("plan.pdf")))
    files, items = dict(world.store.files), world.mailbox.items()
    assert told(world) == (said,)
    assert (world.store.files, world.mailbox.items()) == (files, items)


def test_each_day_has_a_sample_of_its_own() -> None:
    """The same on every machine, whatever it did before."""
    assert places("acme", DAY) == places("acme", DAY)
    others = {*places("acme", DAY), *places("acme", DAY + timedelta(days=1)), *places("beta", DAY)}
    assert len(others) == 3 * (MOST - 1) + 1


def test_the_daemon_tells_it_in_the_audit_trail(served: Served) -> None:
    """Once for each thing that differs; a mailbox that is not there any more is left out."""
    served.add("anna")
    gone = served.add("ben")
    daemon = served.daemon()
    daemon.once()
    (desk,) = daemon.desks

    def noted(ledger: Ledger) -> list[str]:
        return [each.detail["difference"] for each in ledger.events(tenant="acme") if each.name == "sample.differs"]

    desk.compare()
    assert noted(served.ledger) == []
    for path in [path for path in served.store.files if path.endswith("plan.pdf")]:
        del served.store.files[path]
    desk.tenant.mailboxes = tuple(each for each in desk.tenant.mailboxes if each.source is not gone)
    desk.compare()
    assert noted(served.ledger) == [LOST]


def test_once_a_night_at_its_hour(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the planning that gives mailboxes their turns, and in a thread of the tenant's own."""
    served.add("anna")
    daemon = served.daemon()
    daemon.once()
    served.store.files = {path: data for path, data in served.store.files.items() if not path.endswith("plan.pdf")}
    (desk,) = daemon.desks
    noted = []
    today = datetime.now().astimezone().replace(minute=0)
    for days, hour in ((1, 2), (1, 3), (1, 3), (1, 4), (2, 3)):
        now = (today + timedelta(days=days)).replace(hour=hour).astimezone(UTC)
        monkeypatch.setattr("connector.daemon.desk.clock", lambda now=now: now)
        desk.plan()
        desk.pool.submit(bool).result()
        noted.append(len([each for each in served.ledger.events(tenant="acme") if each.name == "sample.differs"]))
    desk.pool.shutdown()
    assert noted == [0, 1, 1, 1, 2]
