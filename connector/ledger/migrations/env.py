"""What Alembic runs; `connector.ledger.database` hands in the connection, inside the transaction that migrates."""

from alembic import context

from connector.ledger.database import VERSION_TABLE
from connector.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
