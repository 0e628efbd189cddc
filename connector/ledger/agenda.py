"""What has its time now, of all sources of a tenant: one query, however many they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, and_, exists, func, or_, select, union_all

from connector.ledger.schema import backfills, backlog, later, redirects, sources
from connector.model import ACTIVE


@dataclass(frozen=True, slots=True)
class Due:
    """What a source has that waits for a tick. The same twice: the tick in between could do nothing."""

    #: Since when the first of it does.
    since: datetime
    #: Redirects with a step to be taken, items to be looked at again, and a turn of its backfill.
    count: int


def read(connection: Connection, tenant: str, now: datetime, hour: int) -> Mapping[str, Due]:
    """By the addresses of the sources; those that have nothing are left out. `hour` is of the machine's day."""
    parts = union_all(_redirects(now), _looks(now), _backfills(now, hour)).subquery()
    whole = (
        select(sources.c.address, func.min(parts.c.since), func.sum(parts.c.count))
        .join_from(parts, sources, sources.c.name == parts.c.source)
        .where(sources.c.tenant == tenant)
        .group_by(sources.c.address)
    )
    return {address: Due(since, int(count)) for address, since, count in connection.execute(whole)}


def _redirects(now: datetime) -> Select[tuple[str, datetime, int]]:
    c = redirects.c
    counted = select(c.source, func.min(c.due).label("since"), func.count().label("count"))
    return counted.where(c.state.in_(ACTIVE), c.due <= now).group_by(c.source)


def _looks(now: datetime) -> Select[tuple[str, datetime, int]]:
    counted = select(later.c.source, func.min(later.c.at).label("since"), func.count().label("count"))
    return counted.where(later.c.at <= now).group_by(later.c.source)


def _backfills(now: datetime, hour: int) -> Select[tuple[str, datetime, int]]:
    c = backfills.c
    same_day, over_night = c.from_hour < c.to_hour, c.from_hour > c.to_hour
    is_open = or_(
        c.from_hour == c.to_hour,
        and_(same_day, c.from_hour <= hour, hour < c.to_hour),
        and_(over_night, or_(hour >= c.from_hour, hour < c.to_hour)),
    )
    left = exists().where(backlog.c.source == c.source, backlog.c.at <= now)
    counted = select(c.source, c.next.label("since"), func.count().label("count"))
    return counted.where(~c.paused, c.next <= now, is_open, or_(~c.listed, left)).group_by(c.source, c.next)
