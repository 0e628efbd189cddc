"""The rows of sources: how far each feed was read, and which process may write for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select, update

from connector.ledger.errors import LeaseLost
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to write for one source, until a time. `epoch` grows with every lease given out."""

    source: str
    owner: str
    epoch: int
    until: datetime


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
    earliest = min(known[0].since, since or known[0].since)
    # What was too old until now was passed over: the feed has to begin again for it to be seen.
    cursor = known[0].cursor if earliest == known[0].since else None
    changed = replace(known[0], address=watched.address, since=earliest, cursor=cursor)
    if changed != known[0]:
        values = {"address": changed.address, "since": changed.since, "cursor": cursor}
        connection.execute(update(sources).where(sources.c.name == changed.name).values(values))
    return changed


def read(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Watched, ...]:
    """The sources that meet these conditions."""
    columns = (sources.c[name] for name in Watched.__slots__)
    rows = connection.execute(select(*columns).where(*conditions).order_by(sources.c.name)).mappings()
    return tuple(Watched(**row) for row in rows)


def tenant(connection: Connection, source: str) -> str:
    """Whose source it is."""
    found: str = connection.execute(select(sources.c.tenant).where(sources.c.name == source)).scalar_one()
    return found


def lease(connection: Connection, source: str, owner: str, now: datetime, ttl: timedelta) -> Lease | None:
    """Take the source's lease; None while somebody else's runs."""
    free = or_(sources.c.lease_until.is_(None), sources.c.lease_until <= now, sources.c.owner == owner)
    values = {"owner": owner, "epoch": sources.c.epoch + 1, "lease_until": now + ttl}
    taking = update(sources).where(sources.c.name == source, free).values(values).returning(sources.c.epoch)
    epoch = connection.execute(taking).scalar_one_or_none()
    return None if epoch is None else Lease(source=source, owner=owner, epoch=epoch, until=now + ttl)


def renew(connection: Connection, lease: Lease, now: datetime, ttl: timedelta) -> Lease:
    """Make the lease end later. Raises LeaseLost."""
    if not connection.execute(update(sources).where(_held_by(lease)).values(lease_until=now + ttl)).rowcount:
        raise LeaseLost(f"source {lease.source} is another process's by now")
    return replace(lease, until=now + ttl)


def release(connection: Connection, lease: Lease) -> None:
    """Give the source free, if it still is ours."""
    connection.execute(update(sources).where(_held_by(lease)).values(owner="", lease_until=None))


def fence(connection: Connection, lease: Lease) -> str:
    """Lock the source, and let nobody past whose lease was given to another. Its tenant. Raises LeaseLost."""
    ours = select(sources.c.tenant).where(_held_by(lease)).with_for_update()
    tenant: str | None = connection.execute(ours).scalar_one_or_none()
    if tenant is None:
        raise LeaseLost(f"source {lease.source} is another process's by now")
    return tenant


def _held_by(lease: Lease) -> ColumnElement[bool]:
    return (sources.c.name == lease.source) & (sources.c.owner == lease.owner) & (sources.c.epoch == lease.epoch)


def move(connection: Connection, source: str, cursor: str | None, *, complete: bool) -> None:
    """Move the cursor (None leaves it where it is), and count a full pass."""
    values: dict[str, Any] = {"passes": sources.c.passes + int(complete)}
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
