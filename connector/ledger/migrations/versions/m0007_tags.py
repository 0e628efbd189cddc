"""Files that bear tags in the store."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Until now, none did but by a setting of the store."""
    op.add_column("files", sa.Column("tags", sa.Text, nullable=False, server_default=""))
