"""Who takes over from people who leave."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Until now, nobody left."""
    op.create_table(
        "successors",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("mailbox", sa.Text, nullable=False),
        sa.Column("successor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "mailbox", name="pk_successors"),
    )
