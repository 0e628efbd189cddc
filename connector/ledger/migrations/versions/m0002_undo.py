"""What undo needs (the whole message kept, links that end or were shown, where a file belongs), proofs, and copies."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.String(27)
_WORD = sa.String(32)


def upgrade() -> None:
    """Add columns; what is in the ledger already gets the value that stood for it until now."""
    _add("redirects", sa.Column("keep_original", sa.Boolean, nullable=False, server_default=sa.false()))
    _add("redirects", sa.Column("original_path", sa.Text))
    _add("redirects", sa.Column("original_size", sa.BigInteger))
    _add("redirects", sa.Column("original_sha256", sa.Text))
    _add("redirects", sa.Column("original_etag", sa.Text))
    _add("redirects", sa.Column("revoke", sa.Boolean, nullable=False, server_default=sa.false()))
    # Nobody knows of them any more: taken for shown, their files are never swept.
    _add("redirects", sa.Column("was_shown", sa.Boolean, nullable=False, server_default=sa.true()))
    _add("redirects", sa.Column("copy_id", sa.Text))
    _add("redirects", sa.Column("copy_version", sa.Text))
    _add("redirects", sa.Column("copy_original", sa.Text))
    _add("redirects", sa.Column("copy_finished", sa.Text))
    _add("redirects", sa.Column("replaced", sa.Text))
    _add("files", sa.Column("content_location", sa.Text, nullable=False, server_default=""))
    _add("sources", sa.Column("monitored", _TIME))
    _proofs()


def _proofs() -> None:
    """Nothing is proved yet."""
    op.create_table(
        "proofs",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("proof", _WORD, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "server", "proof", name="pk_proofs"),
    )


def _add(table: str, column: sa.Column[object]) -> None:
    op.add_column(table, column)
