"""The rows of sources: how far each feed was read, and which process may write for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select, update

from connector.ledger.errors import LeaseLost
from connector.ledger.prepared import Prepared
from connector.ledger.schema import identity, later, sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A source, as the ledger knows it."""

    name: str
    tenant: str
    address: str
    #: First contact: what is older comes only through backfill, also when the cursor is lost.
    since: datetime
    cursor: str | None
    #: Full passes over all its folders so far.
    passes: int
    #: Until then it was only monitored; None where it never was.
    monitored: datetime | None = None
    #: Who may write for it until when; `epoch` grows with every lease given out.
    owner: str = ""
    epoch: int = 0
    lease_until: datetime | None = None

    def is_free_for(self, owner: str, now: datetime) -> bool:
        """Whether this process could take its lease now."""
        return self.owner == owner or self.lease_until is None or self.lease_until <= now

    def begins(self, *, monitor: bool = False) -> datetime:
        """What was received earlier is none of our business: since first contact, or since monitoring ended."""
        return self.since if monitor or self.monitored is None else max(self.since, self.monitored)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to write for one source, until a time. `epoch` grows with every lease given out."""

    source: str
    owner: str
    epoch: int
    until: datetime


def as_watched(connection: Connection, watched: Watched, since: datetime | None) -> Watched | None:
    """The source, where there is nothing to be written about it; this is asked in every turn."""
    known = [
        Watched(**dict(zip(Watched.__slots__, row, strict=True))) for row in _BY_NAME.rows(connection, of=watched.name)
    ]
    return known[0] if known and known[0] == _changed(known[0], watched, since) else None


def watch(connection: Connection, watched: Watched, since: datetime | None) -> Watched:
    """Insert the source, or bring what may change of it up to date."""
    # One at a time, or two daemons that start together would both insert it.
    connection.execute(select(identity.c.id).with_for_update())
    known = read(connection, sources.c.name == watched.name)
    if not known:
        new = {"passes": 0, "owner": "", "epoch": 0}
        values = {"name": watched.name, "tenant": watched.tenant, "address": watched.address, "since": watched.since}
        connection.execute(insert(sources).values(values | new))
        return watched
    changed = _changed(known[0], watched, since)
    if changed != known[0]:
        values = {"address": changed.address, "since": changed.since, "cursor": changed.cursor}
        connection.execute(update(sources).where(sources.c.name == changed.name).values(values))
    return changed


def _changed(known: Watched, watched: Watched, since: datetime | None) -> Watched:
    earliest = min(known.since, since or known.since)
    # What was too old until now was passed over: the feed has to begin again for it to be seen.
    cursor = known.cursor if earliest == known.since else None
    return replace(known, address=watched.address, since=earliest, cursor=cursor)


def read(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Watched, ...]:
    """The sources that meet these conditions."""
    rows = connection.execute(_ALL.where(*conditions).order_by(sources.c.name)).mappings()
    return tuple(Watched(**row) for row in rows)


def tenant(connection: Connection, source: str) -> str:
    """Whose source it is."""
    found: str = connection.execute(select(sources.c.tenant).where(sources.c.name == source)).scalar_one()
    return found


def of_pause(connection: Connection, name: str) -> str:
    """The source that this pause is of, or of one side of it; "" where it is of a tenant."""
    of = sources.c.name.in_([name, name.rpartition("/")[0]])
    return str(connection.execute(select(sources.c.name).where(of)).scalars().first() or "")


def lease(connection: Connection, source: str, owner: str, now: datetime, ttl: timedelta) -> Lease | None:
    """Take the source's lease; None while somebody else's runs."""
    taken = _TAKE.rows(connection, of=source, now=now, by=owner, until=now + ttl)
    return next((Lease(source=source, owner=owner, epoch=epoch, until=now + ttl) for (epoch,) in taken), None)


def renew(connection: Connection, lease: Lease, now: datetime, ttl: timedelta) -> Lease:
    """Make the lease end later. Raises LeaseLost."""
    if not _RENEW.run(connection, _held(lease) | {"until": now + ttl}):
        raise LeaseLost(f"source {lease.source} is another process's by now")
    return replace(lease, until=now + ttl)


def release(connection: Connection, lease: Lease) -> None:
    """Give the source free, if it still is ours."""
    _RELEASE.run(connection, _held(lease))


def fence(connection: Connection, lease: Lease) -> str:
    """Lock the source, and let nobody past whose lease was given to another. Its tenant. Raises LeaseLost."""
    for (tenant,) in _TENANT_OF_HELD.rows(connection, **_held(lease)):
        return str(tenant)
    raise LeaseLost(f"source {lease.source} is another process's by now")


def _held(lease: Lease) -> dict[str, Any]:
    return {"of": lease.source, "held_by": lease.owner, "held_in": lease.epoch}


def move(
    connection: Connection, source: str, cursor: str | None, *, complete: bool, monitored: datetime | None
) -> None:
    """Move the cursor (None leaves it where it is), count a full pass, and note until when it was only monitored."""
    values: dict[str, Any] = {"passes": sources.c.passes + int(complete)}
    if monitored is not None:
        values["monitored"] = monitored
    if cursor is not None:
        values["cursor"] = cursor
    connection.execute(update(sources).where(sources.c.name == source).values(values))


def look_later(connection: Connection, source: str, looked: Collection[str], again: Mapping[str, datetime]) -> None:
    """Forget the items that were looked at, and remember those to be looked at again."""
    done = [{"done": item_id} for item_id in {*looked, *again}]
    if done:
        this = (later.c.source == source) & (later.c.item_id == bindparam("done"))
        connection.execute(delete(later).where(this), done)
    if again:
        rows = [{"source": source, "item_id": item_id, "at": at} for item_id, at in again.items()]
        connection.execute(insert(later), rows)


_ALL = select(*(sources.c[name] for name in Watched.__slots__))
_BY_NAME = Prepared(_ALL.where(sources.c.name == bindparam("of")))
_TAKE = Prepared(
    update(sources)
    .where(
        sources.c.name == bindparam("of"),
        or_(
            sources.c.lease_until.is_(None),
            sources.c.lease_until <= bindparam("now"),
            sources.c.owner == bindparam("by"),
        ),
    )
    .values(owner=bindparam("by"), epoch=sources.c.epoch + 1, lease_until=bindparam("until"))
    .returning(sources.c.epoch)
)
_HELD = (
    (sources.c.name == bindparam("of"))
    & (sources.c.owner == bindparam("held_by"))
    & (sources.c.epoch == bindparam("held_in"))
)
_RENEW = Prepared(update(sources).where(_HELD).values(lease_until=bindparam("until")))
_RELEASE = Prepared(update(sources).where(_HELD).values(owner="", lease_until=None))
_TENANT_OF_HELD = Prepared(select(sources.c.tenant).where(_HELD).with_for_update())
