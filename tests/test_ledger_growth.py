"""What the ledger keeps, for how long, and how much room that takes."""

import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from connector.ledger import Ledger
from connector.model import State, Stored
from connector.sources.memory import Attached
from tests.crash.test_every_effect import policy
from tests.test_ledger import NOW, a_redirect, recorded, taken
from tests.world import World

pytest_plugins = ["tests.postgres"]

LATER = NOW + timedelta(days=400)


@pytest.mark.parametrize(
    ("state", "ended_by", "goes"),
    [
        (State.ERASED, "", True),
        (State.DROPPED, "", True),
        (State.DROPPED, "Ada", False),
        (State.ERASED, "Ada", False),
        (State.DONE, "", False),
        (State.RESTORED, "Ada", False),
        (State.HELD, "", False),
    ],
)
def test_what_has_ended_and_left_nothing_is_let_go(ledger: Ledger, state: State, ended_by: str, *, goes: bool) -> None:
    """After its time; not what a human decided, nor what may still be wanted back."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect())
    bare = tuple(replace(each, stored=None, link=None) for each in plan.files)
    ended = replace(plan, state=state, ended_by=ended_by, files=bare)
    ledger.write(ended, "redirect.ended", NOW)
    assert ledger.let_go("acme", NOW) == 0
    assert ledger.let_go("another", LATER) == 0
    assert ledger.let_go("acme", LATER, held=[plan.source]) == 0
    assert ledger.let_go("acme", LATER) == goes
    assert (ledger.redirect(plan.id) is None) == goes
    ledger.require_whole()


def test_what_the_store_may_still_have_is_not_let_go(ledger: Ledger) -> None:
    """A message was deleted after its link was shown: it may come back, and its files are there."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect())
    there = tuple(replace(each, stored=Stored(path=each.path, size=1, sha256="0" * 64)) for each in plan.files)
    ledger.write(replace(plan, state=State.DROPPED, files=there), "redirect.dropped", NOW)
    assert ledger.let_go("acme", LATER) == 0


def test_a_redirect_takes_some_kilobytes(tmp_path: Path) -> None:
    """One file each, from the plan to its end, with all its events: what the README reckons with."""
    world = World(tmp_path / "ledger.db", policy())
    world.run()
    before = world.ledger_file.stat().st_size
    for number in range(100):
        world.deliver(Attached(f"Quarterly report {number}.pdf", b"%d" % number))
    world.run()
    with world.process() as (_, ledger):
        assert {each.state for each in ledger.redirects()} == {State.DONE}
    grown = (world.ledger_file.stat().st_size - before) / 100
    print(f"\n{grown:.0f} bytes for each redirect")  # noqa: T201 - a figure of the README
    assert 3_000 < grown < 8_000


def test_a_backup_is_whole_however_busy_the_ledger_is(tmp_path: Path) -> None:
    """Taken while four threads write: each is one moment of it, and every chain holds."""
    stopping, begun = threading.Event(), threading.Barrier(5, timeout=30)

    def work(number: int) -> None:
        source = f"acme/{number}"
        lease = taken(ledger, source)
        (plan,) = recorded(ledger, lease, a_redirect(id=source, source=source))
        begun.wait()
        for turn in count():
            if stopping.is_set():
                return
            plan = ledger.write(replace(plan, reason=f"turn {turn}"), "redirect.deferred", NOW, lease=lease)

    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        begun.wait()
        length = 0
        for number in range(5):
            while ledger.chains()[0].length == length:
                pass  # Until somebody has written since.
            ledger.back_up(tmp_path / f"backup{number}.db")
            with closing(Ledger(f"sqlite:///{tmp_path}/backup{number}.db")) as copy:
                copy.require_whole()
                before, length = length, len(list(copy.events(tenant="acme")))
            assert length > before
        stopping.set()
        for each in threads:
            each.join()
        ledger.require_whole()
