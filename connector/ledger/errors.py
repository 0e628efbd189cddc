"""What can go wrong with a ledger, and the one place where the database's own errors are turned into a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, OperationalError

#: Seconds that a writer waits for another one before it gives up.
PATIENCE = 30


class LedgerError(Exception):
    """The ledger cannot be used. One sentence for the operator: which ledger, what is wrong, what to do."""


class NewerLedger(LedgerError):
    """The ledger was written by a newer version of connector."""


class LeaseLost(Exception):
    """Another process owns the source by now: stop at once. Nothing was written."""


class Stale(Exception):
    """The redirect was written by somebody else since it was read. Nothing was written."""


class Taken(Exception):
    """A file of this item belongs to another redirect already. Nothing was written."""


_FULL = "the disk is full: make room and start again; what was committed is safe"
_READ_ONLY = "it may not be written: check who owns it, its mode, its folder and how the disk is mounted"
_LOCKED = f"another process has kept it locked for {PATIENCE} seconds: end that process and start again"

#: By the beginning of SQLite's error name or of PostgreSQL's SQLSTATE.
_SENTENCES = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_NOTADB": "it is not a ledger: name another file, this one is left as it is",
    "SQLITE_CORRUPT": "it is damaged: keep it, restore the newest backup, then run `connector ledger reconcile`",
    "SQLITE_CANTOPEN": "it cannot be opened: check who owns it, its mode and its folder",
    "SQLITE_IOERR": "the disk reports an error: check the disk, then start again",
    "53100": _FULL,
    "25006": _READ_ONLY,
    "55P03": _LOCKED,
    "42501": "the database user lacks a right: let it own the database",
}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what an operator can mend into LedgerError. Anything else is a bug, and stays what it is."""
    try:
        yield
    except DatabaseError as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise LedgerError(f"ledger {place}: {sentence}") from error


def _sentence(error: DatabaseError) -> str | None:
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""
    for beginning, sentence in _SENTENCES.items():
        if code.startswith(beginning):
            return sentence
    # The rest of such a message quotes rows; its first line says what happened to the server.
    return str(error.orig).partition("\n")[0] if isinstance(error, OperationalError) else None
