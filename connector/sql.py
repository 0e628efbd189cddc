"""What our databases have in common: how they are opened, what their columns hold, and what goes wrong with them.

Two rooms know SQL: the ledger, and the book of links, which another process shares. Both speak to SQLite and to
PostgreSQL in the same statements.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    MetaData,
    String,
    Text,
    TypeDecorator,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

#: Seconds that a writer waits for another one before it gives up.
PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a room tells an operator that its database cannot be used: which one, what is wrong, what to do."""

    #: What its sentences begin with.
    what: str
    error: type[Exception]

    def __call__(self, said: str, place: object = "") -> Exception:
        """The exception with this sentence."""
        return self.error(f"{self.what}{f' {place}' if place else ''}: {said}")

    def tell(self, error: DatabaseError, place: str) -> None:
        """Raise the sentence for what an operator can mend. Returns where it is a bug, which is to stay what it is."""
        sentence = _sentence(error)
        if sentence is not None:
            raise self(sentence.format(what=self.what), place) from error


# --- opening ------------------------------------------------------------------------------------------------------


def parsed(url: str, trouble: Trouble) -> URL:
    """The address of a database. Raises what `trouble` says where it is none that we speak."""
    try:
        parts = make_url(url)
    except ArgumentError as error:
        raise trouble(f"its address is not a URL such as sqlite:////var/lib/connector/{trouble.what}.db") from error
    match parts.get_backend_name():
        case "sqlite" if parts.database and parts.database != ":memory:":
            return parts
        case "postgresql":
            return parts.set(drivername="postgresql+psycopg")
        case _:
            raise trouble("its address must begin with sqlite:/// and a file, or with postgresql://")


def place(url: URL) -> str:
    """How a sentence names this database; never with a password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.database} on {url.host or 'the local PostgreSQL'}"


def engine(url: URL, trouble: Trouble, *, mode: int = 0o600) -> Engine:
    """An engine whose commits survive a power cut; see `Connections`.

    `mode` is for a file that is made now.
    """
    return _sqlite(url, trouble, mode) if url.get_backend_name() == "sqlite" else _postgresql(url, trouble)


def _sqlite(url: URL, trouble: Trouble, mode: int) -> Engine:
    _create_private(Path(str(url.database)), trouble, mode)
    made = create_engine(url, hide_parameters=True, max_overflow=-1, paramstyle="named")
    event.listen(made, "connect", _durable)
    return made


def _postgresql(url: URL, trouble: Trouble) -> Engine:
    options = f"{url.query.get('options', '')} -c lock_timeout={PATIENCE}s"
    waiting = {"connect_timeout": 10, "options": options}
    try:
        return create_engine(url, hide_parameters=True, max_overflow=-1, pool_pre_ping=True, connect_args=waiting)
    except ModuleNotFoundError as error:
        raise trouble("PostgreSQL needs one more package: pip install 'connector[postgresql]'") from error


def _create_private(path: Path, trouble: Trouble, mode: int) -> None:
    # Before SQLite makes it: it holds personal data, and SQLite would leave the mode to the umask.
    # One that exists is never opened here: to close it would take away the locks that this process has on it
    # (fcntl(2)), and others would delete the write-ahead log under its hands.
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, mode)
    except FileExistsError:
        return
    except FileNotFoundError as error:
        raise trouble(f"its folder does not exist; create {path.parent} first", path) from error
    except OSError as error:
        raise trouble(f"it cannot be opened: {error.strerror}", path) from error
    os.fchmod(descriptor, mode)
    os.close(descriptor)


def _durable(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late, and upgrading a read lock fails where waiting would do.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


class Connections:
    """The connections of an engine: every transaction has one of its own. Threads may share them.

    In a transaction, what an operator can mend is raised as `trouble` tells it of the database at `place`.
    """

    def __init__(self, engine: Engine, trouble: Trouble, place: str) -> None:
        self._engine, self._trouble, self._place = engine, trouble, place
        #: Connections to a file, at rest: to take one out of the engine's pool and give it back takes longer than most
        #: transactions. Those to a server stay in the pool, which asks whether they still stand.
        self._idle: list[Connection] = []

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that waits for no writer."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that waits for the other writers before it reads anything, and is committed at its end."""
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, words: str) -> Iterator[Connection]:
        # By the driver, and with nothing around it: SQLAlchemy takes longer for one than most statements in it.
        try:
            connection = self._taken()
            to_file = connection.dialect.name == "sqlite"
            try:
                if to_file:
                    driven(connection, words)
                yield connection
                _commit(connection)
            except BaseException:
                connection.close()
                raise
            if to_file:
                self._idle.append(connection)
            else:
                connection.close()
        except DatabaseError as error:
            self._trouble.tell(error, self._place)
            raise

    def _taken(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def close(self) -> None:
        """Close all that are at rest. Whoever asks for another one opens it anew."""
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()


def driven(connection: Connection, words: str, *values: Mapping[str, Any]) -> Any:
    """A cursor of the driver, which has carried out a statement that SQLAlchemy need not see.

    Errors are told as SQLAlchemy tells them.
    """
    # Not through the pool's hands, which look at each cursor.
    dbapi: Any = connection.connection.dbapi_connection
    cursor = dbapi.cursor()
    try:
        cursor.execute(words, *values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(connection, words, error) from error
    return cursor


def _commit(connection: Connection) -> None:
    # SQLAlchemy knows only of what it began itself.
    dbapi: Any = connection.connection.dbapi_connection
    try:
        dbapi.commit()
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(connection, "COMMIT", error) from error


def _as_sqlalchemy(connection: Connection, words: str, error: Exception) -> Exception:
    # Values are nobody's to read: they may be parts of a message.
    return DBAPIError.instance(words, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True)


# --- what goes wrong ----------------------------------------------------------------------------------------------

_FULL = "the disk is full: make room, and the daemon goes on by itself; what was committed is safe"
_READ_ONLY = "it may not be written: check who owns it, its mode, its folder and how the disk is mounted"
_LOCKED = f"another process has kept it locked for {PATIENCE} seconds: end that process and start again"
DAMAGED = "it is damaged: keep it, restore the newest backup, then run `connector ledger reconcile`"

#: By the beginning of SQLite's error name or of PostgreSQL's SQLSTATE.
_SENTENCES = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_NOTADB": "it is not a {what}: name another file, this one is left as it is",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_CANTOPEN": "it cannot be opened: check who owns it, its mode, its folder and how the disk is mounted",
    # Where the first who opens it has no room for what all of them share.
    "SQLITE_IOERR_SHMSIZE": _FULL,
    "SQLITE_IOERR": "the disk reports an error: check the disk, then start again",
    "53100": _FULL,
    "25006": _READ_ONLY,
    "55P03": _LOCKED,
    "42501": "the database user lacks a right: let it own the database",
}


def _sentence(error: DatabaseError) -> str | None:
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""
    for beginning, sentence in _SENTENCES.items():
        if code.startswith(beginning):
            return sentence
    if not isinstance(error, OperationalError):
        return None
    # The rest of such a message quotes rows; its first line says what happened to the server.
    return str(error.orig).partition("\n")[0].replace("{", "{{").replace("}", "}}")


# --- columns ------------------------------------------------------------------------------------------------------


def utc_text(at: datetime) -> str:
    """The one form of a time: `2026-01-31T12:00:00.000000Z`. Refuses a time without a zone: it could mean anything."""
    if at.utcoffset() is None:
        raise ValueError(f"{at!r} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Time(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond."""

    impl = String(27)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None]:  # noqa: ARG002, D102 - SQLAlchemy's
        return lambda value: None if value is None else utc_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None]:  # noqa: ARG002, D102 - SQLAlchemy's
        return lambda value: None if value is None else datetime.fromisoformat(value)


class AnyText(TypeDecorator[str]):
    r"""Text from anywhere, kept to the character.

    NUL, which PostgreSQL refuses, and lone surrogates, which no database takes, are written as `\u0000`, and a
    backslash as two.
    """

    impl = Text
    cache_ok = True

    # These two, and not the ones that a value more goes through: most values are texts, and stay as they are.

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002, D102 - SQLAlchemy's
        return _written

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:  # noqa: ARG002, D102 - SQLAlchemy's
        return _read


def _written(value: str | None) -> str | None:
    # A search for what is seldom there takes longer than three looks for what is never.
    if value is None or (value.isascii() and "\\" not in value and "\0" not in value):
        return value
    return _UNSAFE.sub(_escaped, value)


def _read(value: str | None) -> str | None:
    return value if value is None or "\\" not in value else _ESCAPE.sub(_unescaped, value)


_UNSAFE = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")


def _escaped(found: re.Match[str]) -> str:
    return "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}"


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else "\\"


def tables() -> MetaData:
    """An empty schema, whose constraints have names that migrations can say."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
