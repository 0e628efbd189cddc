"""Items from before first contact."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TIME = sa.String(27)


def upgrade() -> None:
    """Until now, nobody wanted any."""
    op.create_table(
        "backfills",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("biggest", sa.Boolean, nullable=False),
        sa.Column("since", _TIME),
        sa.Column("from_hour", sa.Integer, nullable=False),
        sa.Column("to_hour", sa.Integer, nullable=False),
        sa.Column("per_hour", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("done_bytes", sa.BigInteger, nullable=False),
        sa.Column("next", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_backfills"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name="fk_backfills_source"),
    )
    op.create_table(
        "backlog",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("received", _TIME),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "item_id", name="pk_backlog"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name="fk_backlog_source"),
    )
