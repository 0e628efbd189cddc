"""The database under the ledger: its schema, its durability, and one plain sentence for whatever is wrong with it."""

import multiprocessing
import os
import random
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, event, update
from sqlalchemy.exc import IntegrityError

from connector import sql
from connector.ledger import Ledger, LedgerError, NewerLedger
from connector.ledger.database import VERSION_TABLE
from connector.ledger.schema import identity, metadata
from connector.model import State
from tests.postgres import fresh_database
from tests.test_ledger import MINUTE, NOW, a_redirect, recorded, taken

if TYPE_CHECKING:
    from queue import Queue

pytest_plugins = ["tests.postgres"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a SQLite ledger may be made."""
    return tmp_path / "ledger.db"


@pytest.fixture
def on_file(file: Path) -> Iterator[Ledger]:
    """A new ledger in that file."""
    opened = Ledger(f"sqlite:///{file}")
    yield opened
    opened.close()


# --- the schema ---------------------------------------------------------------------------------------------------


def test_migrations_make_the_schema(ledger: Ledger) -> None:
    """What the migrations make is what `schema.py` says, to the index."""
    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_each_new_ledger_has_an_id_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    """Two ledgers are never taken for one another, and a ledger stays itself when it is opened again."""
    other = Ledger(f"sqlite:///{tmp_path}/other.db")
    assert other.id != ledger.id
    other.close()


def test_a_newer_ledger_is_left_alone(ledger: Ledger, ledger_url: str) -> None:
    """What a newer version wrote is not touched by an older one, which says so."""
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(NewerLedger, match="a newer version of connector wrote it"):
        Ledger(ledger_url)


def test_the_tables_of_another_program_are_left_alone(file: Path) -> None:
    """A database that is not a ledger stays as it is, also when that program uses Alembic."""
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
    with pytest.raises(LedgerError, match="it is not a ledger"):
        Ledger(f"sqlite:///{file}")
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("alembic_version",)]
    other.close()


def _die_late(_connection: object, _cursor: object, statement: str, *_: object) -> None:  # pragma: no cover
    if "CREATE TABLE events" in statement:
        os._exit(7)


def test_a_migration_is_made_whole_or_not_at_all(ledger_url: str) -> None:
    """A process that dies while it makes the ledger leaves none behind, and the next one makes it."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the process that dies
        try:
            event.listen(Engine, "before_cursor_execute", _die_late)
            Ledger(ledger_url)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    made = Ledger(ledger_url)
    assert made.watched() == ()
    made.close()


# --- SQLite -------------------------------------------------------------------------------------------------------


def test_a_sqlite_ledger_is_durable_and_private(on_file: Ledger, file: Path) -> None:
    """A commit survives a power cut, rows belong together, and nobody but the owner reads personal data."""
    with on_file._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragma == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 30_000}
    for path in file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert {path.name for path in file.parent.iterdir()} == {"ledger.db", "ledger.db-wal", "ledger.db-shm"}


def test_a_reader_waits_for_no_writer(on_file: Ledger, file: Path) -> None:
    """While a writer is in the middle of something, people can look, and a second ledger opens."""
    with on_file._writing():
        assert on_file.watched() == ()
        other = Ledger(f"sqlite:///{file}")
        assert other.id == on_file.id
        other.close()


def test_a_file_is_not_opened_for_each_transaction(on_file: Ledger) -> None:
    """Those that follow each other share a connection, and nothing of one that failed is left to the next."""
    taken_out: list[object] = []
    on_file.close()
    event.listen(on_file._engine, "checkout", lambda connection, *_: taken_out.append(connection))
    on_file.raise_generation()
    assert on_file.generation == 2
    assert len(taken_out) == 1
    with suppress(KeyError), on_file._writing() as connection:
        connection.exec_driver_sql("UPDATE ledger SET generation = 7")
        raise KeyError
    assert on_file.generation == 2


def test_foreign_keys_hold(ledger: Ledger) -> None:
    """A redirect of a source that nobody watches is a bug, and is told as one."""
    lease = taken(ledger)
    with pytest.raises(IntegrityError):
        recorded(ledger, lease, a_redirect(source="acme/nobody"))


# --- sentences ----------------------------------------------------------------------------------------------------


def test_the_folder_must_exist(tmp_path: Path) -> None:
    """No folder is made in a place that may be a typing error."""
    with pytest.raises(LedgerError, match=r"ledger .*/no/ledger\.db: its folder does not exist; create .*/no first"):
        Ledger(f"sqlite:///{tmp_path}/no/ledger.db")


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(f"sqlite:///{tmp_path}/{'long' * 99}")


@pytest.mark.parametrize("url", ["mysql://db/ledger", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    """Only what survives a restart, and speaks our statements, may be a ledger."""
    with pytest.raises(LedgerError, match="must begin with"):
        Ledger(url)


def test_what_is_no_url_is_refused() -> None:
    """A path is not a URL, and the sentence shows one."""
    with pytest.raises(LedgerError, match="sqlite:////var/lib"):
        Ledger("/var/lib/connector/ledger.db")


def test_a_file_of_another_kind_is_refused(file: Path) -> None:
    """A file that is no database is left as it is."""
    file.write_text("Dear Anna, " * 99)
    with pytest.raises(LedgerError, match=r"ledger\.db: it is not a ledger"):
        Ledger(f"sqlite:///{file}")
    assert file.read_text().startswith("Dear Anna")


def test_a_damaged_ledger_is_told(on_file: Ledger, file: Path) -> None:
    """Damage is told as such, with what to do."""
    on_file.close()
    content = bytearray(file.read_bytes())
    page = 4096
    content[page:] = b"\xff" * (len(content) - page)
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=r"it is damaged: .* `connector ledger reconcile`"):
        Ledger(f"sqlite:///{file}").watched()


def test_noise_in_any_page_is_found(on_file: Ledger, file: Path) -> None:
    """Wherever it is: a ledger that opens is not yet whole."""
    recorded(on_file, taken(on_file), a_redirect())
    on_file.require_whole()
    on_file.close()
    whole, page = file.read_bytes(), 4096
    for number in range(len(whole) // page):
        file.write_bytes(whole[: number * page] + random.Random(1).randbytes(page) + whole[(number + 1) * page :])
        with pytest.raises(LedgerError, match=r"it is damaged: .* restore the newest backup|it is not a ledger"):
            Ledger(f"sqlite:///{file}").require_whole()


def test_rows_that_name_what_is_not_there_are_found(on_file: Ledger) -> None:
    """As after a repair that saved what it could."""
    recorded(on_file, taken(on_file), a_redirect())
    with on_file._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("DELETE FROM redirects")
    with pytest.raises(LedgerError, match=r"it is damaged: .* \(a row of files names what is not there\)"):
        on_file.require_whole()


def test_a_changed_event_is_found(ledger: Ledger) -> None:
    """On either database, with its number and its tenant."""
    recorded(ledger, taken(ledger), a_redirect())
    ledger.require_whole()
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET source = 'acme/nobody' WHERE number = 1")
    with pytest.raises(LedgerError, match="event 1 of the tenant acme is missing, or not as it was written"):
        ledger.require_whole()


def test_a_full_disk_is_told_and_loses_nothing(on_file: Ledger) -> None:
    """Where nothing more can be written, nothing of the write is there, and what was there stays."""
    lease = taken(on_file)
    (plan,) = recorded(on_file, lease, a_redirect())
    with on_file._reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="the disk is full"):
        on_file.write(replace(plan, reason="x" * 100_000), "redirect.deferred", NOW)
    assert on_file.redirects() == (plan,)
    assert on_file.broken_link("acme") is None


def test_a_read_only_ledger_is_told(on_file: Ledger) -> None:
    """Where writing is not allowed, the sentence says where to look."""
    on_file.close()
    event.listen(on_file._engine, "checkout", lambda connection, *_: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(LedgerError, match="it may not be written"):
        on_file.raise_generation()


def test_a_locked_ledger_is_told(on_file: Ledger, file: Path) -> None:
    """A process that never ends its write does not make us wait for ever."""
    on_file.close()
    event.listen(on_file._engine, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout = 10"))
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=f"kept it locked for {sql.PATIENCE} seconds"):
            on_file.raise_generation()
    other.close()
    assert on_file.generation == 1


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """The sentence names database and server, tells the driver's reason, and no password."""
    with pytest.raises(LedgerError, match=r"ledger acme on the local PostgreSQL: .*No such file") as caught:
        Ledger(f"postgresql://connector:secret@/acme?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_server_that_ends_our_connections_is_told(postgres: str) -> None:
    """At rest nobody notices; before a commit nothing was written, and the next call works."""
    url = fresh_database(postgres)
    with closing(Ledger(url)) as ledger, psycopg.connect(url, autocommit=True) as other:

        def end_connections() -> None:
            other.execute(
                "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        def broken_off() -> None:
            with ledger._writing() as connection:
                connection.execute(update(identity).values(generation=77))
                end_connections()

        end_connections()
        raised = ledger.raise_generation()
        with pytest.raises(LedgerError, match=r"on the local PostgreSQL: .*connection"):
            broken_off()
        assert ledger.generation == raised


def test_a_read_only_server_is_told(postgres: str) -> None:
    """A standby, or a server that was set read-only, is named as that."""
    url = fresh_database(postgres)
    Ledger(url).close()
    with pytest.raises(LedgerError, match="it may not be written"):
        Ledger(f"{url}&options=-c default_transaction_read_only=on").raise_generation()


def test_postgresql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra package the sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"pip install 'connector\[postgresql\]'"):
        Ledger("postgresql://db.example.org/ledger")


# --- many at once -------------------------------------------------------------------------------------------------


def _grab(url: str, owner: str, start: Barrier, winners: "Queue[str]") -> None:
    ledger = Ledger(url)
    start.wait()
    if ledger.lease("acme/anna", owner, NOW + MINUTE, MINUTE):
        winners.put(owner)
    ledger.close()


def test_of_many_processes_one_gets_the_lease(ledger: Ledger, ledger_url: str) -> None:
    """However many daemons ask at the same moment, one of them owns the source."""
    taken(ledger)
    fork = multiprocessing.get_context("fork")
    for _ in range(3):
        start, winners = fork.Barrier(4, timeout=30), fork.Queue()
        daemons = [fork.Process(target=_grab, args=(ledger_url, f"{each}", start, winners)) for each in range(4)]
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            daemon.join()
        assert [daemon.exitcode for daemon in daemons] == [0] * 4
        assert winners.get(timeout=5)
        assert winners.empty()
        with ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sources SET owner = '', lease_until = NULL")


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    """Many threads write at once: nothing is lost, no chain breaks, and of rivals for one revision one wins."""

    def work(number: int) -> int:
        source = f"acme/{number}"
        lease = taken(ledger, source)
        plan = a_redirect(id=source, source=source)
        (plan,) = recorded(ledger, lease, plan)
        ledger.pause("acme/store", until=NOW, reason="busy", error="Unavailable", now=NOW, tenant="acme")
        for _ in range(5):
            plan = ledger.write(plan, "redirect.deferred", NOW, lease=lease)
        return plan.revision

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [5] * 8
    assert len(list(ledger.events(tenant="acme"))) == 8 * 6 + 1
    assert ledger.broken_link("acme") is None
    assert ledger.counts() == {(f"acme/{number}", State.PLANNED): 1 for number in range(8)}


def test_many_may_do_a_thing_for_the_first_time(ledger: Ledger) -> None:
    """The first contact with a source, a tenant's first event and a store's first pause happen once, whoever tries."""
    threads, rounds = 4, range(10)
    start = threading.Barrier(threads, timeout=30)

    def begin(_: int) -> None:
        for number in rounds:
            start.wait()
            ledger.watch(f"acme/{number}", tenant="acme", address="anna@example.org", now=NOW)
            start.wait()
            ledger.note(f"tenant-{number}", "seen", NOW)
            start.wait()
            ledger.pause(f"acme/{number}", until=NOW + MINUTE, reason="busy", error="Denied", now=NOW, tenant="acme")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(begin, range(threads)))
    assert len(ledger.watched()) == len(ledger.pauses(NOW)) == len(rounds)
    assert len(list(ledger.events(tenant="acme"))) == len(rounds)
    for number in rounds:
        assert [each.number for each in ledger.events(tenant=f"tenant-{number}")] == [1, 2, 3, 4]
        assert ledger.broken_link(f"tenant-{number}") is None


# --- backups --------------------------------------------------------------------------------------------------------


def test_a_backup_is_whole_and_private(tmp_path: Path) -> None:
    """Made while others write: what was committed is in it, nobody else may read it, and nothing torn is left.

    It is a generation behind.
    """
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger, ledger._writing() as writing:
        ledger.back_up(tmp_path / "before")
        writing.exec_driver_sql("UPDATE ledger SET generation = 7")
        ledger.back_up(tmp_path / "during")
    for name in ("before", "during"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        with closing(Ledger(f"sqlite:///{tmp_path}/{name}")) as copy:
            assert (copy.id, copy.generation) == (ledger.id, 0)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_no_backup_of_a_ledger_whose_disk_is_gone(tmp_path: Path) -> None:
    """That is told, and nothing is left of the attempt."""
    (tmp_path / "disk").mkdir()
    with closing(Ledger(f"sqlite:///{tmp_path}/disk/ledger.db")) as ledger:
        (tmp_path / "disk").rename(tmp_path / "elsewhere")
        with pytest.raises(LedgerError, match="it was not made: unable to open"):
            ledger.back_up(tmp_path / "backup.db")
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_a_backup_replaces_nothing(tmp_path: Path) -> None:
    """What lies there may be the only good one."""
    (tmp_path / "yesterday").write_text("precious")
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        with pytest.raises(ValueError, match="is there already"):
            ledger.back_up(tmp_path / "yesterday")
        with pytest.raises(LedgerError, match="cannot be written: No such file"):
            ledger.back_up(tmp_path / "nowhere" / "yesterday")
    assert (tmp_path / "yesterday").read_text() == "precious"
    assert len([path for path in tmp_path.iterdir() if "yesterday" in path.name]) == 1


@pytest.mark.parametrize(("at", "length"), [(0, 100), (4096 * 4, 4096 * 8)])
def test_a_damaged_ledger_makes_no_backup(tmp_path: Path, at: int, length: int) -> None:
    """Nobody throws away a good backup for it."""
    file = tmp_path / "ledger.db"
    with closing(Ledger(f"sqlite:///{file}")) as ledger:
        ledger.close()
        with file.open("r+b") as damaged:
            damaged.seek(at)
            damaged.write(b"\1" * length)
        with pytest.raises(LedgerError, match=r"it was not made|it is not a ledger"):
            ledger.back_up(tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_postgresql_makes_its_own_backups(postgres: str) -> None:
    """The sentence names its tool."""
    with closing(Ledger(fresh_database(postgres))) as ledger, pytest.raises(ValueError, match="pg_dump"):
        ledger.back_up(Path("never-made"))
