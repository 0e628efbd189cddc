"""Copies of the ledger: one in a file that somebody names, or a dated one in a folder that keeps so many."""

import re
from datetime import datetime, timedelta
from pathlib import Path

from connector.ledger import Ledger
from connector.log.events import Event

#: Such a file is a copy that we made in a folder: nothing else there is ever deleted.
_COPY = re.compile(r"ledger-\d{8}T\d{6}Z\.db")
#: What a copy that was not finished leaves behind.
_TORN = re.compile(r"\.ledger-\d{8}T\d{6}Z\.db\.[0-9a-f]{8}")
#: No copy takes so long.
_ABANDONED = timedelta(days=1)


def back_up(ledger: Ledger, file: Path, now: datetime, by: str) -> None:
    """Copy the ledger into a new file, and note it for every tenant. Raises ValueError where something is there."""
    ledger.back_up(file)
    for tenant in ledger.tenants():
        ledger.note(tenant, Event.LEDGER_BACKED_UP, now, by=by)


def back_up_into(folder: Path, keep: int, ledger: Ledger, now: datetime, by: str) -> Path:
    """Copy the ledger into a new file in the folder, of which the newest `keep` stay. Raises ValueError."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: `--keep` wants one, which holds the copies")
    file = folder / f"ledger-{now:%Y%m%dT%H%M%SZ}.db"
    try:
        # Before it is needed: a disk that torn copies have filled would never have room for a whole one.
        _forget_torn(folder, now)
        back_up(ledger, file, now, by)
        # By name: times of files change when they are moved. The new one stays also where the clock was set back.
        older = sorted(each for each in folder.iterdir() if _COPY.fullmatch(each.name) and each != file)
        for each in older[: max(0, len(older) - keep + 1)]:
            each.unlink()
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read or deleted: {error.strerror}; see to it") from None
    return file


def _forget_torn(folder: Path, now: datetime) -> None:
    for each in folder.iterdir():
        if _TORN.fullmatch(each.name) and each.stat().st_mtime < (now - _ABANDONED).timestamp():
            each.unlink()
