"""Whether an item was missed is found without a look at all that went well."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Few are missed at a time."""
    missed = sa.text("missed IS NOT NULL")
    columns = ["source", "missed"]
    op.create_index("ix_redirects_missed", "redirects", columns, sqlite_where=missed, postgresql_where=missed)
