"""The migrations, carried out by Alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from connector.ledger.errors import LedgerError, NewerLedger


def upgrade(connection: Connection, version: str | None, place: str) -> None:
    """From this version (None: nothing is there) to the newest one. Raises NewerLedger, LedgerError."""
    config = Config()
    config.set_main_option("script_location", "connector.ledger:migrations")
    _refuse_foreign(connection, ScriptDirectory.from_config(config), version, place)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _refuse_foreign(connection: Connection, script: ScriptDirectory, version: str | None, place: str) -> None:
    if version is None and inspect(connection).get_table_names():
        raise LedgerError(f"ledger {place}: it is not a ledger, another program's tables are in it; name another one")
    if version not in {None, *(each.revision for each in script.walk_revisions())}:
        raise NewerLedger(f"ledger {place}: a newer version of connector wrote it; install that version")
