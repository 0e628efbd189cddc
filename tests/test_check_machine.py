"""What `check` says of this machine: its disks, the copies of the ledger, and the units that are installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.checks import machine
from connector.ledger import Ledger
from connector.log.events import Event

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SHIPPED = Path(__file__).parent.parent / "systemd"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize(("size", "severity"), [("64m", "stopped"), ("512m", "soon")])
def test_a_disk_with_little_room_is_told_before_it_is_full(tmp_path: Path, size: str, severity: str) -> None:
    """That of the ledger here; the other one has room."""
    (tmp_path / "state").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path / "state"], check=True)
    try:
        found = {each.tried: each for each in machine.room(tmp_path / "state")}
    finally:
        subprocess.run(["umount", tmp_path / "state"], check=True)
    told = found.pop(f"disk of {tmp_path / 'state'}")
    assert (told.severity, told.says) == (severity, f"{size.removesuffix('m')}.0 MB are free only")
    assert [each.severity for each in found.values()] == ["fine"]


def test_one_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the folder that everybody knows."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert [each.tried for each in machine.room(tmp_path)] == [f"disk of {tmp_path}"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One that has been at work for a week."""
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        ledger.note("acme", "something.happened", NOW - timedelta(days=7))
        yield ledger


def test_a_ledger_that_nobody_copies_is_told(ledger: Ledger) -> None:
    """Whoever loses it has all messages waiting for `reconcile`."""
    found = machine.copies(ledger, NOW)
    assert (found.severity, found.says) == ("soon", "nobody ever made one")
    assert found.fix == "systemctl enable --now connector-ledger-backup.timer"


def test_copies_that_have_ceased_are_told(ledger: Ledger) -> None:
    """One that is of last night is fine; a timer that stopped is not."""
    ledger.note("acme", Event.LEDGER_BACKED_UP, NOW - timedelta(hours=30), by="root")
    assert machine.copies(ledger, NOW).says == "the last one is of 2026-04-30 06:00 UTC"
    found = machine.copies(ledger, NOW + timedelta(days=1))
    assert (found.severity, found.says) == ("soon", "the last one is of 2026-04-30")


def test_a_ledger_that_has_just_begun_misses_no_copy(ledger: Ledger, tmp_path: Path) -> None:
    """The first night is still to come."""
    with closing(Ledger(f"sqlite:///{tmp_path}/other.db")) as new:
        assert machine.copies(new, NOW).severity == "fine"
    assert machine.copies(ledger, NOW - timedelta(days=6)).severity == "fine"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with our units, as the README has it."""
    units = tmp_path / "etc/systemd/system"
    for target in ("multi-user.target.wants", "timers.target.wants"):
        (units / target).mkdir(parents=True)
    for name in ("connector.service", "connector-ledger-backup.service", "connector-ledger-backup.timer"):
        shutil.copy(SHIPPED / name, units)
    (units / "multi-user.target.wants/connector.service").symlink_to(units / "connector.service")
    (units / "timers.target.wants/connector-ledger-backup.timer").symlink_to(units / "connector-ledger-backup.timer")
    service = units / "connector.service"
    service.write_text(service.read_text().replace("/etc/connector/secrets", "/dev"))
    return tmp_path


def looked_at(root: Path) -> dict[str, list[tuple[str, str]]]:
    """What is found out about each unit."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in machine.units(root):
        found.setdefault(each.tried, []).append((each.severity, each.says))
    return found


def test_where_no_unit_is_installed_nothing_is_said(tmp_path: Path) -> None:
    """Whoever runs it otherwise has reasons."""
    assert looked_at(tmp_path) == {}


def test_units_of_this_version_that_start_are_fine(root: Path) -> None:
    """The daemon's here is not: its credentials lie elsewhere, where nobody wrote them."""
    found = looked_at(root)
    assert found["unit connector-ledger-backup.timer"] == [
        ("fine", "is that of this version, and starts with the machine")
    ]
    assert ("soon", "connector.service is not as this version has it") in found["unit connector.service"]
    assert ("stopped", "the credential /dev/marker-key is not there") in found["unit connector.service"]


def test_the_fix_of_an_old_unit_mends_it(root: Path) -> None:
    """As it is written there."""
    installed = root / "etc/systemd/system/connector-ledger-backup.service"
    installed.write_text("[Service]\nExecStart=/bin/true\n")
    (found,) = (each for each in machine.units(root) if "backup" in each.tried)
    assert found.says == "connector-ledger-backup.service is not as this version has it"
    subprocess.run(found.fix.removesuffix(" && systemctl daemon-reload").split(), check=True)
    assert [each.severity for each in machine.units(root) if "backup" in each.tried] == ["fine"]


def test_a_unit_that_does_not_start_with_the_machine_is_told(root: Path) -> None:
    """Nobody sees that before the next power cut."""
    (root / "etc/systemd/system/timers.target.wants/connector-ledger-backup.timer").unlink()
    (found,) = (each for each in machine.units(root) if "backup" in each.tried)
    assert (found.severity, found.says) == ("soon", "it does not start with the machine")
    assert found.fix == "systemctl enable --now connector-ledger-backup.timer"


def test_credentials_of_what_an_administrator_added_count_too(root: Path) -> None:
    """`systemctl edit` writes beside the unit."""
    beside = root / "etc/systemd/system/connector.service.d"
    beside.mkdir()
    (beside / "override.conf").write_text(f"[Service]\nLoadCredential=links-key:{root}/absent\n")
    assert ("stopped", f"the credential {root}/absent is not there") in looked_at(root)["unit connector.service"]
