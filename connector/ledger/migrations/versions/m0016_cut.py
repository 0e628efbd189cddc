"""The audit trail has a retention of its own: where a chain begins."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Until now, every chain begins with its first event."""
    op.add_column("chains", sa.Column("cut", sa.Integer, nullable=False, server_default="0"))
    op.add_column("chains", sa.Column("cut_hash", sa.String(64), nullable=False, server_default=""))
