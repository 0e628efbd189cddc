"""Owners are told before their links end."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Until now, nobody was."""
    op.add_column("redirects", sa.Column("reminded", sa.String(27)))
    op.create_index("ix_files_link_expires", "files", ["source", "link_expires"])
