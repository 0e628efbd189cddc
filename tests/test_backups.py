"""Dated copies of the ledger in a folder, for a timer: enough of them, and nothing else is touched."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.backups import back_up, back_up_into
from connector.ledger import Ledger, LedgerError
from connector.log.events import Event

NOW = datetime(2026, 5, 1, 1, 30, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One with a tenant in it."""
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        ledger.note("acme", "something.happened", NOW)
        yield ledger


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the copies."""
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def test_the_newest_stay(ledger: Ledger, folder: Path) -> None:
    """Each is a ledger; those beyond the number go, oldest first, and what is not ours stays."""
    for name in ("ledger.db", "ledger-20260101T000000Z.db.gz", "notes.txt"):
        (folder / name).write_text("somebody's own")
    made = [back_up_into(folder, 2, ledger, NOW + timedelta(days=day), "root") for day in range(4)]
    assert {each.name for each in folder.iterdir()} == {
        *("ledger.db", "ledger-20260101T000000Z.db.gz", "notes.txt"),
        *("ledger-20260503T013000Z.db", "ledger-20260504T013000Z.db"),
    }
    assert made[-1].name == "ledger-20260504T013000Z.db"
    with closing(Ledger(f"sqlite:///{made[-1]}")) as copy:
        assert copy.id == ledger.id


def test_the_new_one_stays_where_the_clock_was_set_back(ledger: Ledger, folder: Path) -> None:
    """By its name it is the oldest, and it is the one that was wanted."""
    later = back_up_into(folder, 1, ledger, NOW + timedelta(days=400), "root")
    new = back_up_into(folder, 1, ledger, NOW, "root")
    assert (later.exists(), new.exists()) == (False, True)


def test_where_no_copy_can_be_made_the_old_ones_stay(ledger: Ledger, folder: Path) -> None:
    """The disk may be full for weeks: what is there is all there is."""
    old = back_up_into(folder, 1, ledger, NOW, "root")
    with pytest.raises(ValueError, match="is there already"):
        back_up_into(folder, 1, ledger, NOW, "root")
    ledger.close()
    (folder.parent / "ledger.db").write_bytes(b"no ledger at all, but long enough to be read as one" * 30)
    with pytest.raises(LedgerError):
        back_up_into(folder, 1, ledger, NOW + timedelta(days=1), "root")
    assert list(folder.iterdir()) == [old]


def test_what_a_power_cut_left_of_a_copy_goes_a_day_later(ledger: Ledger, folder: Path) -> None:
    """Not sooner: another process may be at it."""
    torn = [folder / f".ledger-2026043{day}T013000Z.db.0123abcd" for day in (0, 1)]
    for each, hours in zip(torn, (25, 1), strict=True):
        each.write_text("torn")
        os.utime(each, (then := (NOW - timedelta(hours=hours)).timestamp(), then))
    back_up_into(folder, 5, ledger, NOW, "root")
    assert [each.exists() for each in torn] == [False, True]


def test_what_cannot_be_deleted_is_told(ledger: Ledger, folder: Path) -> None:
    """A folder that bears the name of a copy, say; the new copy is there."""
    (folder / "ledger-20260101T000000Z.db").mkdir()
    with pytest.raises(ValueError, match=r"ledger-20260101T000000Z.db cannot be read or deleted: "):
        back_up_into(folder, 1, ledger, NOW, "root")
    assert (folder / "ledger-20260501T013000Z.db").exists()


def test_a_copy_is_noted_for_every_tenant(ledger: Ledger, folder: Path) -> None:
    """Who has a copy of the ledger knows whose mail went where."""
    ledger.note("other", "something.happened", NOW)
    assert ledger.last_noted(Event.LEDGER_BACKED_UP) is None
    back_up(ledger, folder / "copy", NOW, "ada")
    for tenant in ("acme", "other"):
        assert [each.detail for each in ledger.events(tenant=tenant)][1:] == [{"by": "ada"}]
    assert ledger.last_noted(Event.LEDGER_BACKED_UP) == NOW


def test_copies_want_a_folder(ledger: Ledger, folder: Path) -> None:
    """A file in its place is a mistake, which is told."""
    (folder / "file").touch()
    with pytest.raises(ValueError, match="is no folder"):
        back_up_into(folder / "file", 1, ledger, NOW, "root")
