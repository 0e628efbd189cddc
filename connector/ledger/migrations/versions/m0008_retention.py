"""How long the store keeps files."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Until now, for ever."""
    op.add_column("redirects", sa.Column("retention", sa.BigInteger))
    op.add_column("redirects", sa.Column("ends", sa.String(27)))
    op.create_index("ix_redirects_ends", "redirects", ["source", "ends"])
