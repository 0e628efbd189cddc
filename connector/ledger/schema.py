"""The tables of the ledger, and how values of `connector.model` lie in their columns.

Times are UTC text of one width, so that they sort alike in every database and read well in its shell.
`migrations/` makes these tables; a test holds the two together.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from connector.model import Action, FileKind, Proof, State
from connector.sql import AnyText, Time, tables

_E = TypeVar("_E", bound=StrEnum)


class Duration(TypeDecorator[timedelta]):
    """A length of time, in microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else value // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> timedelta | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else timedelta(microseconds=value)


class Word(TypeDecorator[_E]):
    """One word of an enumeration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[_E]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: _E | None, dialect: Dialect) -> str | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else value.value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> _E | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else self.words(value)


class Names(TypeDecorator[tuple[str, ...]]):
    """Words of people's, one on each line."""

    impl = AnyText
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else "\n".join(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002, D102 - SQLAlchemy's
        return None if value is None else tuple(value.split("\n")) if value else ()


metadata = tables()

#: One row: who this ledger is.
identity = Table(
    "ledger",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("generation", Integer, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("name", AnyText, primary_key=True),
    Column("tenant", AnyText, nullable=False),
    Column("address", AnyText, nullable=False),
    #: First contact. Nothing older is ever touched on the feed's account.
    Column("since", Time, nullable=False),
    #: Until then it was only monitored: what came before is not touched when its policy is enforced.
    Column("monitored", Time),
    Column("cursor", AnyText),
    Column("passes", Integer, nullable=False),
    Column("owner", AnyText, nullable=False),
    #: Grows with every lease given out: a writer that slept through its lease is told apart by it.
    Column("epoch", Integer, nullable=False),
    Column("lease_until", Time),
)

_MISSED = text("missed IS NOT NULL")

redirects = Table(
    "redirects",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("source", AnyText, ForeignKey("sources.name"), nullable=False),
    Column("item_id", AnyText, nullable=False),
    Column("internet_message_id", AnyText, nullable=False),
    #: sha256 of the Message-ID, which a sender may make longer than an index holds; NULL where there is none.
    Column("message_key", String(64)),
    Column("folder", AnyText, nullable=False),
    Column("settle", Duration, nullable=False),
    Column("keep_original", Boolean, nullable=False),
    Column("original_path", AnyText),
    Column("original_size", BigInteger),
    Column("original_sha256", AnyText),
    Column("original_etag", AnyText),
    Column("retention", Duration),
    Column("ends", Time),
    Column("outlives", Duration),
    Column("gone", Time),
    Column("reminded", Time),
    Column("received", Time),
    Column("created", Time, nullable=False),
    Column("due", Time, nullable=False),
    Column("state", Word(State), nullable=False),
    Column("held_in", Word(State)),
    Column("reason", AnyText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("proved", Time),
    Column("missed", Integer),
    Column("told", Time),
    Column("ended_by", AnyText, nullable=False),
    Column("revoke", Boolean, nullable=False),
    Column("was_shown", Boolean, nullable=False),
    Column("pointer", AnyText, nullable=False),
    Column("copy_id", AnyText),
    Column("copy_version", AnyText),
    Column("copy_original", AnyText),
    Column("copy_finished", AnyText),
    Column("replaced", AnyText),
    Column("revision", Integer, nullable=False),
    #: When this row was last written.
    Column("written", Time, nullable=False),
    #: When the files of a dropped redirect were deleted from the store.
    Column("swept", Time),
    #: When its message was last found to be there, of one whose files outlive that.
    Column("looked_for", Time),
    Index("ix_redirects_source_due", "source", "state", "due"),
    Index("ix_redirects_due", "state", "due", "source"),
    Index("ix_redirects_ends", "source", "ends"),
    Index("ix_redirects_item", "source", "item_id"),
    Index("ix_redirects_message", "message_key", "source"),
    # Few are missed at a time, and whether any is, is asked in every turn.
    Index("ix_redirects_missed", "source", "missed", sqlite_where=_MISSED, postgresql_where=_MISSED),
)

files = Table(
    "files",
    metadata,
    Column("redirect_id", AnyText, ForeignKey("redirects.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("source", AnyText, nullable=False),
    #: NULL, which is unique everywhere, for a file that is gone, since some servers give its id to another one; and for
    #: one that was found inside another.
    Column("item_id", AnyText),
    Column("file_id", AnyText, nullable=False),
    Column("version", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_type", AnyText, nullable=False),
    Column("kind", Word(FileKind), nullable=False),
    Column("inline", Boolean, nullable=False),
    Column("content_id", AnyText, nullable=False),
    Column("content_location", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("action", Word(Action), nullable=False),
    Column("rule", AnyText, nullable=False),
    Column("terms_audience", AnyText, nullable=False),
    Column("terms_expires", Duration),
    Column("terms_password", Boolean, nullable=False),
    Column("terms_downloads", Integer),
    Column("stored_path", AnyText),
    Column("stored_size", BigInteger),
    Column("stored_sha256", AnyText),
    Column("stored_etag", AnyText),
    Column("link_url", AnyText),
    Column("link_expires", Time),
    Column("gone", Boolean, nullable=False),
    Column("inside", AnyText, nullable=False),
    Column("tags", Names, nullable=False),
    Index("ix_files_link_expires", "source", "link_expires"),
    # Our own rewrite comes back through the change feed; this key lets no file be redirected twice.
    UniqueConstraint("source", "item_id", "file_id", "version"),
)

#: To whom belongs what once belonged to a mailbox whose owner left.
successors = Table(
    "successors",
    metadata,
    Column("tenant", AnyText, primary_key=True),
    #: In lower case.
    Column("mailbox", AnyText, primary_key=True),
    Column("successor", AnyText, nullable=False),
)

#: Items that a policy wants to see again at a time.
later = Table(
    "later",
    metadata,
    Column("source", AnyText, ForeignKey("sources.name"), primary_key=True),
    Column("item_id", AnyText, primary_key=True),
    Column("at", Time, nullable=False),
    Index("ix_later_at", "source", "at"),
    Index("ix_later_due", "at"),
)

#: Whose items from before first contact are wanted; see `backlog.Backfill`.
backfills = Table(
    "backfills",
    metadata,
    Column("source", AnyText, ForeignKey("sources.name"), primary_key=True),
    Column("biggest", Boolean, nullable=False),
    Column("since", Time),
    Column("from_hour", Integer, nullable=False),
    Column("to_hour", Integer, nullable=False),
    Column("per_hour", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("cursor", AnyText),
    Column("listed", Boolean, nullable=False),
    Column("done", Integer, nullable=False),
    Column("done_bytes", BigInteger, nullable=False),
    Column("next", Time, nullable=False),
)

#: The items of them that wait.
backlog = Table(
    "backlog",
    metadata,
    Column("source", AnyText, ForeignKey("sources.name"), primary_key=True),
    Column("item_id", AnyText, primary_key=True),
    Column("received", Time),
    Column("size", BigInteger, nullable=False),
    #: Its turn does not come before.
    Column("at", Time, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("name", AnyText, primary_key=True),
    Column("until", Time, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("error", AnyText, nullable=False),
)

#: How each proof went last, on each server.
proofs = Table(
    "proofs",
    metadata,
    Column("tenant", AnyText, primary_key=True),
    Column("server", AnyText, primary_key=True),
    Column("proof", Word(Proof), primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("at", Time, nullable=False),
    Column("by", AnyText, nullable=False),
)

#: How long each tenant's chain of events is, and where it ends.
chains = Table(
    "chains",
    metadata,
    Column("tenant", AnyText, primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    #: The last event that the audit's own retention took from the front, and its hash; 0 and "" where none was.
    Column("cut", Integer, nullable=False),
    Column("cut_hash", String(64), nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("tenant", AnyText, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    Column("source", AnyText, nullable=False),
    Column("redirect_id", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    #: JSON, as it was hashed.
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_events_redirect", "redirect_id"),
)

#: Of whom events speak; see `subjects.Disguise`.
subjects = Table(
    "subjects",
    metadata,
    Column("tenant", AnyText, primary_key=True),
    #: The name of a source, an address or a login, in lower case.
    Column("name", AnyText, primary_key=True),
    Column("pseudonym", String(10), nullable=False),
    UniqueConstraint("tenant", "pseudonym"),
)

#: The sources of people of whom nothing is to be kept; see `connector.flow.erasure`.
erasures = Table(
    "erasures",
    metadata,
    Column("source", AnyText, ForeignKey("sources.name"), primary_key=True),
    Column("at", Time, nullable=False),
)
