"""Links that ask for a password, or may be followed so often."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Until now, none did."""
    op.add_column("files", sa.Column("terms_password", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("files", sa.Column("terms_downloads", sa.Integer))
