"""People of whom nothing is to be kept any more."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Until now, nobody wanted that."""
    op.create_table(
        "erasures",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_erasures"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name="fk_erasures_source"),
    )
