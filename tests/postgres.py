"""A private PostgreSQL from Debian's binaries, and ledgers to test on both databases, as fixtures."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from connector.ledger import Ledger
from tests.absent import absent

_START_SECONDS = 30
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The folder of the socket of a PostgreSQL that only this test run knows."""
    binaries = _binaries()
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    # Not pytest's folder: the server's user could not reach into it.
    folder = Path(tempfile.mkdtemp(prefix="connector-pg-"))
    try:
        shutil.chown(folder, user)
        _initdb(binaries, folder, user)
        with _running(binaries, folder, user):
            yield str(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new ledger may be made, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return fresh_database(request.getfixturevalue("postgres"))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A new ledger, once on each database."""
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


def fresh_database(socket: str) -> str:
    """The URL of a new, empty database."""
    name = f"ledger{next(_numbers)}"
    with psycopg.connect(host=socket, user="postgres", autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return f"postgresql://postgres@/{name}?host={socket}"


def _binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not versions:
        absent("PostgreSQL is not installed (Debian: postgresql)")
    return versions[-1].parent


def _initdb(binaries: Path, folder: Path, user: str) -> None:
    data = ["--pgdata", str(folder / "data"), "--encoding=UTF8", "--locale=C.UTF-8"]
    command = [str(binaries / "initdb"), *data, "--username=postgres", "--auth=trust", "--no-sync"]
    subprocess.run(command, user=user, cwd="/", check=True, capture_output=True)


@contextmanager
def _running(binaries: Path, folder: Path, user: str) -> Iterator[None]:
    # No TCP port, so that nobody else's server can be in the way; no fsync, since nobody needs the data tomorrow.
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "shared_buffers=16MB"]
    command = [
        str(binaries / "postgres"),
        "-D",
        str(folder / "data"),
        *(word for each in settings for word in ("-c", each)),
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log)
    try:
        _wait(folder, server)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # its fast shutdown: open connections are cut
        server.wait()


def _wait(folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        else:
            return
