"""Files that outlive their message by a time."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Until now, no end depended on a message."""
    op.add_column("redirects", sa.Column("outlives", sa.BigInteger))
    op.add_column("redirects", sa.Column("gone", sa.String(27)))
    op.add_column("redirects", sa.Column("looked_for", sa.String(27)))
