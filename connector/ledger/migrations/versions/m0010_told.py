"""Owners are told what is held."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Until now, nobody was."""
    op.add_column("redirects", sa.Column("told", sa.String(27)))
