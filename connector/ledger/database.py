"""Opening the database of a ledger: the engine, its promises about durability, and the schema's version."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError

from connector.ledger.errors import PATIENCE, LedgerError, NewerLedger

#: Not Alembic's own name: another program's tables in the same file are thereby told from ours.
VERSION_TABLE = "ledger_version"


def parsed(url: str) -> URL:
    """The address of a ledger. Raises LedgerError where it is none that we speak."""
    try:
        parts = make_url(url)
    except ArgumentError as error:
        raise LedgerError("ledger: its address is not a URL such as sqlite:////var/lib/connector/ledger.db") from error
    match parts.get_backend_name():
        case "sqlite" if parts.database and parts.database != ":memory:":
            return parts
        case "postgresql":
            return parts.set(drivername="postgresql+psycopg")
        case _:
            raise LedgerError("ledger: its address must begin with sqlite:/// and a file, or with postgresql://")


def place(url: URL) -> str:
    """How a sentence names this ledger; never with a password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.database} on {url.host or 'the local PostgreSQL'}"


def engine(url: URL) -> Engine:
    """An engine whose commits survive a power cut. Every thread has a connection of its own from its pool."""
    return _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)


def _sqlite(url: URL) -> Engine:
    _create_private(Path(str(url.database)))
    made = create_engine(url, hide_parameters=True, max_overflow=-1)
    event.listen(made, "connect", _durable)
    return made


def _postgresql(url: URL) -> Engine:
    options = f"{url.query.get('options', '')} -c lock_timeout={PATIENCE}s"
    waiting = {"connect_timeout": 10, "options": options}
    try:
        return create_engine(url, hide_parameters=True, max_overflow=-1, pool_pre_ping=True, connect_args=waiting)
    except ModuleNotFoundError as error:
        raise LedgerError("ledger: PostgreSQL needs one more package: pip install 'connector[postgresql]'") from error


def _create_private(path: Path) -> None:
    # Before SQLite makes it: a ledger holds personal data, and SQLite would leave the mode to the umask.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    except FileNotFoundError as error:
        raise LedgerError(f"ledger {path}: its folder does not exist; create {path.parent} first") from error
    except OSError as error:
        raise LedgerError(f"ledger {path}: it cannot be opened: {error.strerror}") from error


def _durable(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late, and upgrading a read lock fails where waiting would do: `_begin` says it.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for no writer."""
    with engine.connect() as connection:
        _begin(connection, "BEGIN")
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for the other writers before it reads anything, and is committed at its end."""
    with engine.begin() as connection:
        _begin(connection, "BEGIN IMMEDIATE")
        yield connection


def _begin(connection: Connection, words: str) -> None:
    # Not in a listener: for the sake of one, every statement would take a fifth longer.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(words)


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
