"""The first tables. A revision that was released is never edited: what it makes is what ledgers out there have."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.String(27)
_WORD = sa.String(32)
_SHA256 = sa.String(64)


def upgrade() -> None:
    """Make a new ledger, with an id of its own."""
    ledger = op.create_table(
        "ledger",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.bulk_insert(ledger, [{"id": secrets.token_hex(16), "generation": 1}])
    _sources()
    _redirects()
    _files()
    _events()


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("passes", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("lease_until", _TIME),
        sa.PrimaryKeyConstraint("name", name="pk_sources"),
    )
    op.create_table(
        "later",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "item_id", name="pk_later"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name="fk_later_source"),
    )
    op.create_index("ix_later_at", "later", ["source", "at"])
    op.create_table(
        "pauses",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pauses"),
    )


def _redirects() -> None:
    op.create_table(
        "redirects",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("internet_message_id", sa.Text, nullable=False),
        sa.Column("message_key", _SHA256),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("settle", sa.BigInteger, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("held_in", _WORD),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("proved", _TIME),
        sa.Column("missed", sa.Integer),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("written", _TIME, nullable=False),
        sa.Column("swept", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_redirects"),
        sa.ForeignKeyConstraint(["source"], ["sources.name"], name="fk_redirects_source"),
    )
    op.create_index("ix_redirects_source_due", "redirects", ["source", "state", "due"])
    op.create_index("ix_redirects_due", "redirects", ["state", "due"])
    op.create_index("ix_redirects_item", "redirects", ["source", "item_id"])
    op.create_index("ix_redirects_message", "redirects", ["message_key", "source"])


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("redirect_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("inline", sa.Boolean, nullable=False),
        sa.Column("content_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("action", _WORD, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("terms_audience", sa.Text, nullable=False),
        sa.Column("terms_expires", sa.BigInteger),
        sa.Column("stored_path", sa.Text),
        sa.Column("stored_size", sa.BigInteger),
        sa.Column("stored_sha256", sa.Text),
        sa.Column("stored_etag", sa.Text),
        sa.Column("link_url", sa.Text),
        sa.Column("link_expires", _TIME),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("redirect_id", "position", name="pk_files"),
        sa.ForeignKeyConstraint(["redirect_id"], ["redirects.id"], name="fk_files_redirect_id"),
        sa.UniqueConstraint("source", "item_id", "file_id", "version", name="uq_files_source"),
    )


def _events() -> None:
    op.create_table(
        "chains",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("head", _SHA256, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_chains"),
    )
    op.create_table(
        "events",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("redirect_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", _SHA256, nullable=False),
        sa.Column("hash", _SHA256, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name="pk_events"),
    )
    op.create_index("ix_events_redirect", "events", ["redirect_id"])
