"""Care for the database of a ledger: its backups, and its schema's version."""

import os
import secrets
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from connector.ledger.errors import LedgerError, NewerLedger
from connector.sql import reading, writing

#: Not Alembic's own name: another program's tables in the same file are thereby told from ours.
VERSION_TABLE = "ledger_version"


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


def _flush(path: Path) -> None:
    """Onto the disk: a power cut afterwards leaves the copy whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def migrate(engine: Engine, place: str) -> None:
    """Bring the schema to the newest version: all of it or none. Raises NewerLedger, LedgerError."""
    script = _migrations()
    with reading(engine) as connection:
        # A ledger that is up to date is opened without waiting for a writer.
        if _version(connection) == script.get_current_head():
            return
    with writing(engine) as connection:
        _refuse_foreign(connection, script, place)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "connector.ledger:migrations")
    return config


@cache
def _migrations() -> ScriptDirectory:
    # To load their files takes longer than all else that a ledger needs which is up to date.
    return ScriptDirectory.from_config(_config())


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _refuse_foreign(connection: Connection, script: ScriptDirectory, place: str) -> None:
    version = _version(connection)
    if version is None and inspect(connection).get_table_names():
        raise LedgerError(f"ledger {place}: it is not a ledger, another program's tables are in it; name another one")
    if version not in {None, *(each.revision for each in script.walk_revisions())}:
        raise NewerLedger(f"ledger {place}: a newer version of connector wrote it; install that version")
