"""Ledgers that earlier versions left, with real work in them: each is brought up to date, and the work goes on.

`tests/ledgers/README.md` tells how they were made.
"""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, MetaData, create_engine

from connector.flow.decisions import recall, release
from connector.ledger import Ledger
from connector.model import Body, Direction, File, LinkTerms, Message, State
from connector.policy import Policy
from connector.sources.memory import Entry
from connector.stores.memory import Share
from tests.ledgers.make import POLICY
from tests.postgres import fresh_database
from tests.world import TENANT, World

pytest_plugins = ["tests.postgres"]
_DELIVERED = "<html><body><p>Hello</p></body></html>"
STATES = {
    "restored.pdf": State.RESTORED,
    "dropped.exe": State.DROPPED,
    "held.exe": State.HELD,
    "done.pdf": State.DONE,
    "linked.pdf": State.LINKED,
    "stored.pdf": State.STORED,
    "planned.pdf": State.PLANNED,
}
FILES = sorted(Path(__file__).with_name("ledgers").glob("*.json.gz"))
#: PostgreSQL gets the newest, and the oldest, which every migration has to carry.
CASES = [*((file, "sqlite") for file in FILES), *((file, "postgresql") for file in (FILES[0], FILES[-1]))]


@dataclass
class OldWorld(World):
    """A world whose ledger lies where it was put."""

    url: str = ""
    #: The file of each message, which is its subject too.
    names: list[str] = field(default_factory=list)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """What is there."""
        with closing(Ledger(self.url)) as ledger:
            yield ledger


@pytest.mark.parametrize(("file", "database"), CASES, ids=[f"{database}-{file.name[:4]}" for file, database in CASES])
def test_work_goes_on_from_every_schema(
    file: Path, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing of the trail is lost, and what a version of then began is ended by this one, and taken back."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    if database == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres"))
    told = json.loads(gzip.decompress(file.read_bytes()))
    world = _world(told, tmp_path, url)
    trail = _put(told, url)

    with world.ledger() as ledger:
        assert _trail(ledger)[: len(trail)] == trail
        assert ledger.broken_link(TENANT) is None
        assert _states(ledger) == STATES
    assert world.lost() == []

    world.run()
    assert world.lost() == []
    assert _attached(world) == {"restored.pdf", "dropped.exe", "held.exe"}
    with world.ledger() as ledger:
        for each in ledger.redirects():
            if each.state is State.DONE:
                recall(each, ledger, world.clock(), "operator")
            elif each.state is State.HELD:
                release(each, ledger, world.clock(), "operator")

    world.run()
    assert world.lost() == []
    assert _attached(world) == set(world.names) - {"held.exe"}
    assert _shows_nothing(world) == _attached(world)
    with world.ledger() as ledger:
        assert _states(ledger)["held.exe"] is State.DONE
        assert _trail(ledger)[: len(trail)] == trail
        assert ledger.broken_link(TENANT) is None


# --- how it stood then ----------------------------------------------------------------------------------------------


def _world(told: dict[str, Any], folder: Path, url: str) -> OldWorld:
    """The mailbox and the store as they were, and the clock."""
    policy, now = Policy.model_validate(POLICY), datetime.fromisoformat(told["now"])
    world = OldWorld(folder / "unused", policy, now=now, url=url)
    world.mailbox._serial = told["mailbox"]["serial"]
    for each in told["mailbox"]["entries"]:
        files = (File(**dict(zip(("id", "name", "size", "version"), file, strict=False))) for file in each["files"])
        message = Message(
            **each["message"],
            recipients=(world.mailbox.address,),
            received=datetime.fromisoformat(each["received"]),
            direction=Direction.INCOMING,
            files=tuple(replace(file, content_type="application/octet-stream") for file in files),
            body=Body(each["body"], html=True),
        )
        contents = {file[0]: file[-1].encode() for file in each["files"]}
        world.mailbox._entries[message.id] = Entry(message, contents, each["changed"])
        world.files[message.internet_message_id] = [f"the bytes of {message.subject}".encode()]
        world.names.append(message.subject)
    world.store.files |= {path: text.encode() for path, text in told["store"].items()}
    world.store.shares += [Share(token, of, LinkTerms(), None) for token, of in told["shares"]]
    world.store._shared = len(world.store.shares)
    return world


def _put(told: dict[str, Any], url: str) -> list[tuple[int, str]]:
    """Lay the ledger of then into the database, with the tables of then; its trail."""
    with closing(sqlite3.connect(":memory:" if "sqlite" not in url else url.removeprefix("sqlite:///"))) as old:
        old.executescript(told["ledger"])
        if "sqlite" not in url:
            _carry_over(old, told["schema"], url)
        return old.execute("SELECT number, hash FROM events ORDER BY number").fetchall()


def _carry_over(old: sqlite3.Connection, schema: str, url: str) -> None:
    """PostgreSQL gets its tables from the migrations until then, and what lay in SQLite's."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    config = Config()
    config.set_main_option("script_location", "connector.ledger:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
        tables = MetaData()
        tables.reflect(connection)
        connection.execute(tables.tables["ledger"].delete())
        connection.execute(tables.tables["ledger_version"].delete())
        for table in tables.sorted_tables:
            found = old.execute(f'SELECT * FROM "{table.name}"')
            names = [each[0] for each in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found]
            for row in rows:
                row.update({name: bool(row[name]) for name in names if isinstance(table.c[name].type, Boolean)})
            if rows:
                connection.execute(table.insert(), rows)
    engine.dispose()


# --- how it stands --------------------------------------------------------------------------------------------------


def _states(ledger: Ledger) -> dict[str, State]:
    return {each.files[0].file.name: each.state for each in ledger.redirects()}


def _trail(ledger: Ledger) -> list[tuple[int, str]]:
    return [(each.number, each.hash) for each in ledger.events(tenant=TENANT)]


def _attached(world: OldWorld) -> set[str]:
    return {file.name for message in world.mailbox.items() for file in message.files}


def _shows_nothing(world: OldWorld) -> set[str]:
    """The messages whose body is what was delivered."""
    return {each.subject for each in world.mailbox.items() if each.body and each.body.content == _DELIVERED}
