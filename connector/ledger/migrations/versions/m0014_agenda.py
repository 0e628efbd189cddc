"""What is due, and what is to be looked at again, is found by its time, whatever its source."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Also of what is due, the index alone tells whose it is."""
    op.drop_index("ix_redirects_due", "redirects")
    op.create_index("ix_redirects_due", "redirects", ["state", "due", "source"])
    op.create_index("ix_later_due", "later", ["at"])
