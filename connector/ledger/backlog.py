"""The rows of items from before first contact: what somebody wants of them, and those that wait."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from connector.ledger.prepared import Prepared
from connector.ledger.schema import backfills, backlog


@dataclass(frozen=True, kw_only=True, slots=True)
class Backfill:
    """That somebody wants the items of a source which are older than first contact, how, and how far it is."""

    source: str
    #: The biggest first; otherwise the newest.
    biggest: bool
    #: Nothing that was received earlier. None: everything.
    since: datetime | None
    #: Only from this hour to that one, by the clock of the machine; the same twice: at any.
    from_hour: int
    to_hour: int
    per_hour: int
    paused: bool = False
    #: How far the feed was listed, which is another time than for what is new.
    cursor: str | None = None
    #: All of it was.
    listed: bool = False
    #: Items that the policy was asked about, and their bytes.
    done: int = 0
    done_bytes: int = 0
    #: The turn of no item comes before.
    next: datetime

    def is_open(self, hour: int) -> bool:
        """Whether it may go on at this hour of the day."""
        if self.from_hour <= self.to_hour:
            return self.from_hour == self.to_hour or self.from_hour <= hour < self.to_hour
        return hour >= self.from_hour or hour < self.to_hour

    @property
    def hours(self) -> int:
        """How many hours of a day it may work."""
        return (self.to_hour - self.from_hour) % 24 or 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """An item from before first contact about which the policy was not asked yet, or has to be asked again."""

    item_id: str
    received: datetime | None
    size: int


def read(connection: Connection) -> tuple[Backfill, ...]:
    """All, by source."""
    return tuple(Backfill(**row) for row in connection.execute(_ALL.order_by(backfills.c.source)).mappings())


def of_source(connection: Connection, source: str) -> Backfill | None:
    """What is wanted of a source. Asked in every turn, mostly for nothing."""
    found = _ONE.rows(connection, of=source)
    return Backfill(**dict(zip(Backfill.__slots__, found[0], strict=True))) if found else None


def write(connection: Connection, backfill: Backfill) -> None:
    """Insert it, or all of it anew."""
    values = {name: getattr(backfill, name) for name in Backfill.__slots__}
    if not connection.execute(update(backfills).where(backfills.c.source == backfill.source).values(values)).rowcount:
        connection.execute(insert(backfills).values(values))


def add(connection: Connection, source: str, found: Collection[Waiting], at: datetime) -> None:
    """Let these items wait; one that does already stays as it is listed now."""
    if not found:
        return
    this = (backlog.c.source == source) & (backlog.c.item_id == bindparam("there"))
    connection.execute(delete(backlog).where(this), [{"there": each.item_id} for each in found])
    unique = {each.item_id: each for each in found}.values()
    rows = [{"source": source, "item_id": e.item_id, "received": e.received, "size": e.size, "at": at} for e in unique]
    connection.execute(insert(backlog), rows)


def waiting(connection: Connection, of: Backfill, now: datetime) -> Waiting | None:
    """The first whose time has come."""
    b = backlog.c
    order = (b.size.desc(), b.item_id) if of.biggest else (b.received.desc().nulls_last(), b.item_id)
    first = select(b.item_id, b.received, b.size).where(b.source == of.source, b.at <= now).order_by(*order).limit(1)
    row = connection.execute(first).mappings().first()
    return None if row is None else Waiting(**row)


def settle(connection: Connection, source: str, item_id: str, again: datetime | None) -> None:
    """It waits no longer; or until `again`."""
    this = (backlog.c.source == source) & (backlog.c.item_id == item_id)
    connection.execute(delete(backlog).where(this) if again is None else update(backlog).where(this).values(at=again))


def left(connection: Connection, source: str) -> tuple[int, int]:
    """How many wait, and their bytes."""
    counted = select(func.count(), func.coalesce(func.sum(backlog.c.size), 0)).where(backlog.c.source == source)
    items, size = connection.execute(counted).one()
    return int(items), int(size)


_ALL = select(*(backfills.c[name] for name in Backfill.__slots__))
_ONE = Prepared(_ALL.where(backfills.c.source == bindparam("of")))
