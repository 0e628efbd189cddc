"""When the item of a redirect was received."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Of those that are known, nobody knows it any more."""
    op.add_column("redirects", sa.Column("received", sa.String(27)))
