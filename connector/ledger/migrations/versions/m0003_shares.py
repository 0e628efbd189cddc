"""What stands in a share in place of a file that went elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column; messages have nothing in it."""
    op.add_column("redirects", sa.Column("pointer", sa.Text, nullable=False, server_default=""))
