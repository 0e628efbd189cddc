"""Pseudonyms: what stands in events for a person."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """What was said before names people, and stays: it was hashed so."""
    op.create_table(
        "subjects",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("pseudonym", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_subjects"),
        sa.UniqueConstraint("tenant", "pseudonym", name="uq_subjects_tenant"),
    )
