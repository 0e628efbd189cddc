"""Files that were found inside others."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Until now, every file was one of its message."""
    op.add_column("files", sa.Column("inside", sa.Text, nullable=False, server_default=""))
