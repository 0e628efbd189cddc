"""Care for the database of a ledger: its backups, and its schema's version."""

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, String, column, inspect, select, table

from connector.ledger.errors import LedgerError
from connector.sql import Connections

#: Not Alembic's own name: another program's tables in the same file are thereby told from ours.
VERSION_TABLE = "ledger_version"
_VERSION = select(column("version_num", String)).select_from(table(VERSION_TABLE))
#: The revision that the last migration makes: `versions/m0001_first.py` makes 0001.
_NEWEST = max(path.name for path in (Path(__file__).parent / "migrations" / "versions").glob("m*.py"))[1:5]


def back_up(engine: Engine, place: str, file: Path) -> None:
    """See `Ledger.back_up`."""
    if engine.dialect.name != "sqlite":
        raise ValueError(f"the ledger {place} is backed up by its database: `pg_dump` copies it while the daemon works")
    torn = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(torn, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            _copy(engine, torn)
            # Unlike a rename, a link never replaces what somebody needs.
            file.hardlink_to(torn)
        finally:
            torn.unlink()
        _flush(file.parent)
    except FileExistsError:
        raise ValueError(f"{file} is there already, and stays; name another file") from None
    except OSError as error:
        raise LedgerError(f"backup {file}: it cannot be written: {error.strerror}") from error


def damage(connections: Connections) -> str:
    """What the database finds wrong with itself, page by page; "" where it finds nothing."""
    with connections.reading() as connection:
        if connection.dialect.name != "sqlite":
            return ""  # PostgreSQL tells of damage itself, whenever it comes upon some.
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalars().all()
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if found != ["ok"]:
        return str(found[0]).partition("\n")[0]
    return f"a row of {orphans[0]} names what is not there" if orphans else ""


def _copy(engine: Engine, file: Path) -> None:
    try:
        with closing(engine.raw_connection()) as ledger, closing(sqlite3.connect(file)) as copy:
            cast("sqlite3.Connection", ledger.driver_connection).backup(copy)
            # A generation behind, it is known for an old one as soon as it is put back, be that within the hour.
            copy.execute("UPDATE ledger SET generation = generation - 1")
            copy.commit()
            ((found,),) = copy.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        raise LedgerError(f"backup {file}: it was not made: {error}") from error
    if found != "ok":
        raise LedgerError(f"backup {file}: it was not made: the ledger is damaged; restore the newest backup")
    _flush(file)


def shred(connection: Connection) -> None:
    """What is deleted in this transaction is overwritten, where the database is a file of ours."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def checkpoint(connection: Connection) -> None:
    """Nor does the write-ahead log keep what was there before; readers in between leave that to a later one."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _flush(path: Path) -> None:
    """Onto the disk: a power cut afterwards leaves the copy whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def migrate(connections: Connections, place: str) -> None:
    """Bring the schema to the newest version: all of it or none. Raises NewerLedger, LedgerError."""
    with connections.reading() as connection:
        # A ledger that is up to date is opened without waiting for a writer.
        if _version(connection) == _NEWEST:
            return
    # Only here: to load Alembic and all migrations takes a fifth of the start of a command.
    from connector.ledger.upgrade import upgrade  # noqa: PLC0415

    with connections.writing() as connection:
        upgrade(connection, _version(connection), place)


def _version(connection: Connection) -> str | None:
    known = inspect(connection).has_table(VERSION_TABLE)
    return connection.execute(_VERSION).scalar_one_or_none() if known else None
