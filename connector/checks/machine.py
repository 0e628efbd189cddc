"""What this machine owes the daemon: room on its disks, copies of the ledger, and the units of this version."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from connector.amounts import about
from connector.checks.finding import Finding, Severity
from connector.ledger import Ledger
from connector.log.events import Event

#: Below the first, there is no room for a day's work; below the second, not for one large attachment.
LITTLE, NOTHING = 1024**3, 100 * 1024**2
#: The nightly copy may be late by a day.
OVERDUE = timedelta(days=2)
_UNITS = (
    "connector.service",
    "connector-ledger-backup.timer",
    "connector-links.service",
    "connector-links-scrub.timer",
)
_CREDENTIAL = re.compile(r"^LoadCredential=[^:\s]+:(/\S+)", re.MULTILINE)
_WANTED_BY = re.compile(r"^WantedBy=(\S+)", re.MULTILINE)


def room(state: Path) -> Iterator[Finding]:
    """Whether the ledger, and what attachments pass through, have room. On one disk, it is told once."""
    places = {path.stat().st_dev: path for path in (Path(tempfile.gettempdir()), state)}
    for path in places.values():
        tried, free = f"disk of {path}", shutil.disk_usage(path).free
        says = f"{about(free)} are free"
        if free < LITTLE:
            todo = "make room; until then what is copied may wait, and nothing is lost"
            severity: Severity = "stopped" if free < NOTHING else "soon"
            yield Finding(
                tried, severity, f"{says} only", todo, f"du --one-file-system --human-readable {path} | sort -h"
            )
        else:
            yield Finding(tried, "fine", says)


def copies(ledger: Ledger, now: datetime) -> Finding:
    """Whether somebody copies the ledger. One that knows little yet is not missed."""
    tried, last = "copies of the ledger", ledger.last_noted(Event.LEDGER_BACKED_UP)
    begun = ledger.began() or now
    if last and now - last < OVERDUE:
        return Finding(tried, "fine", f"the last one is of {last:%Y-%m-%d %H:%M} UTC")
    if last is None and now - begun < OVERDUE:
        return Finding(tried, "fine", "there is none yet, and little to be lost")
    says = f"the last one is of {last:%Y-%m-%d}" if last else "nobody ever made one"
    todo = "have one made every night, and bring it into your own backup"
    return Finding(tried, "soon", says, todo, "systemctl enable --now connector-ledger-backup.timer")


def units(root: Path = Path("/")) -> Iterator[Finding]:
    """Whether units that are installed are those of this version, start with the machine, and find their secrets."""
    installed = root / "etc/systemd/system"
    for name in _UNITS:
        unit = installed / name
        if unit.is_file():
            wrong = list(_wrong(unit))
            yield from wrong or [
                Finding(f"unit {name}", "fine", "is that of this version, and starts with the machine")
            ]


def _wrong(unit: Path) -> Iterator[Finding]:
    tried = f"unit {unit.name}"
    for each in dict.fromkeys((unit, unit.with_suffix(".service"))):
        shipped = _shipped(each.name)
        if not each.is_file() or each.read_bytes() != shipped.read_bytes():
            todo = f"install that of this version; what is your own goes into `systemctl edit {each.name}`"
            fix = f"cp {shipped} {each} && systemctl daemon-reload"
            yield Finding(tried, "soon", f"{each.name} is not as this version has it", todo, fix)
    for target in _WANTED_BY.findall(unit.read_text(encoding="utf-8")):
        if not (unit.parent / f"{target}.wants" / unit.name).is_symlink():
            todo, fix = "have it start with the machine", f"systemctl enable --now {unit.name}"
            yield Finding(tried, "soon", "it does not start with the machine", todo, fix)
    for missing in _missing(unit):
        todo = "write the secret into that file, which is root's alone: type it, then Ctrl+D; or take that line out"
        yield Finding(
            tried, "stopped", f"the credential {missing} is not there", todo, f"install -m 600 /dev/stdin {missing}"
        )


def _missing(unit: Path) -> Iterator[Path]:
    """Credentials that it loads and nobody wrote, as far as we may look."""
    for told in (unit, *sorted(unit.with_name(f"{unit.name}.d").glob("*.conf"))):
        for path in map(Path, _CREDENTIAL.findall(told.read_text(encoding="utf-8"))):
            try:
                path.lstat()
            except FileNotFoundError:
                yield path
            except PermissionError:
                pass


def _shipped(name: str) -> Path:
    """A unit as it came with us: in the wheel, or beside the package where that is not installed."""
    package = Path(__file__).parent.parent
    beside = package.parent / "systemd" / name
    return beside if beside.is_file() else package / "units" / name
