"""The audit trail: one hash chain of events for each tenant.

`connector/audit/SPECIFICATION.md` tells what is hashed, and how to verify a chain without this program;
`connector/audit/verify.py` does it. `connector.sql.AnyText` tells how the database holds a backslash, a NUL and a lone
surrogate.

Details never carry subjects, bodies, file names or secrets; whoever appends an event sees to that. People are in events
by pseudonyms, which the table `subjects` explains; events from before version 0013 of the ledger name them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, literal, select, update

from connector.ledger.prepared import Prepared
from connector.ledger.schema import chains, events, identity
from connector.ledger.subjects import Disguise
from connector.sql import AnyText, utc_text

#: What an event is called that tells of a cut.
CUT = "audit.trimmed"


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, before it has its place in a chain."""

    name: str
    source: str = ""
    redirect_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happened, in its place. `number` counts from 1 for each tenant."""

    number: int
    at: datetime
    tenant: str
    source: str
    redirect_id: str
    name: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """Where a tenant's chain begins and ends."""

    tenant: str
    #: The last event that is not there any more, since its time was over, and its hash; 0 and "" where none went.
    cut: int
    cut_hash: str
    #: The last event, and its hash.
    length: int
    head: str


def append(connection: Connection, tenant: str, at: datetime, facts: Sequence[Fact]) -> Mapping[str, str]:
    """Add these facts to the tenant's chain, as the last act of the caller's transaction.

    People are in it by pseudonyms alone, which are returned by what they stand for.
    Chains are locked after redirects by everyone, so that two writers cannot wait for each other.
    """
    if not facts:
        return {}
    length, head = lock(connection, tenant)
    disguise = Disguise(connection, tenant)
    rows = []
    for number, fact in enumerate(facts, length + 1):
        said = _said(number, at, tenant, fact, disguise)
        previous, head = head, _hash(head, said)
        rows.append(said | {"detail": _json(said["detail"]), "previous": previous, "hash": head})
    _INSERT.run(connection, *rows)
    _MOVE_END.run(connection, {"of": tenant, "length": length + len(facts), "head": head})
    return disguise.used


def read(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[Event]:
    """The events that meet these conditions, each chain in its order."""
    query = select(events).where(*conditions).order_by(events.c.tenant, events.c.number)
    for row in connection.execute(query, execution_options={"yield_per": 1000}).mappings():
        yield Event(**{**row, "detail": json.loads(row["detail"])})


def of_redirect(connection: Connection, redirect_id: str) -> tuple[Event, ...]:
    """What happened to a redirect, each chain in its order."""
    found = (dict(zip(_EVENT, row, strict=True)) for row in _OF_REDIRECT.rows(connection, of=redirect_id))
    return tuple(Event(**row | {"detail": json.loads(row["detail"])}) for row in found)


def first_break(connection: Connection, tenant: str) -> int | None:
    """The number of the first event that is changed, missing or in the wrong place; None where the chain is whole."""
    chain = next(iter(ends(connection, tenant)), Chain(tenant=tenant, cut=0, cut_hash="", length=0, head=""))
    number, head, vouched = chain.cut, chain.cut_hash, chain.cut == 0
    try:
        for event in read(connection, events.c.tenant == tenant):
            if (event.number, event.previous, event.hash) != (number + 1, head, digest(event)):
                return number + 1
            vouched = vouched or vouches(event, chain)
            number, head = event.number, event.hash
    except ValueError:  # a time or a detail that `append` cannot have written
        return number + 1
    if number != chain.length:
        return int(min(number, chain.length) + 1)
    if not vouched:
        return chain.cut
    return None if chain.head == head else number


def vouches(event: Event, chain: Chain) -> bool:
    """Whether this event says that the chain was cut where it begins."""
    said = (event.name, event.detail.get("number"), event.detail.get("hash"))
    return said == (CUT, chain.cut, chain.cut_hash)


def ends(connection: Connection, tenant: str | None = None) -> tuple[Chain, ...]:
    """Where the chains begin and end, by tenant."""
    query = select(*(chains.c[name] for name in Chain.__slots__)).order_by(chains.c.tenant)
    found = connection.execute(query if tenant is None else query.where(chains.c.tenant == tenant))
    return tuple(Chain(**row) for row in found.mappings())


def cut(connection: Connection, tenant: str, before: datetime, stays: ColumnElement[bool]) -> tuple[int, int, str]:
    """Take from the front what is older, up to the first event that `stays`.

    How many, and the number and hash of the last one: the caller appends an event that says so.
    """
    length, _ = lock(connection, tenant)
    of = events.c.tenant == tenant
    first = connection.execute(
        select(func.min(events.c.number)).where(of, (events.c.at >= before) | stays)
    ).scalar_one()
    last = length if first is None else first - 1
    known = connection.execute(select(events.c.hash).where(of, events.c.number == last)).scalar_one_or_none()
    if known is None:
        return 0, 0, ""
    gone = connection.execute(delete(events).where(of, events.c.number <= last)).rowcount
    connection.execute(update(chains).where(chains.c.tenant == tenant).values(cut=last, cut_hash=known))
    return gone, last, known


def digest(event: Event) -> str:
    """The hash that this event must carry."""
    said = {name: getattr(event, name) for name in Event.__slots__ if name not in {"hash", "previous"}}
    return _hash(event.previous, said)


def _hash(previous: str, said: Mapping[str, Any]) -> str:
    return hashlib.sha256((previous + _json(said)).encode()).hexdigest()


def _said(number: int, at: datetime, tenant: str, fact: Fact, disguise: Disguise) -> dict[str, Any]:
    """An event, as far as its hash covers it: by the names of the columns."""
    # What the hash covers is what a reader will find: tuples become lists, words become text.
    detail = json.loads(_json(fact.detail))
    return {
        "number": number,
        "at": at,
        "tenant": tenant,
        "source": disguise.of(fact.source),
        "redirect_id": fact.redirect_id,
        "name": fact.name,
        "detail": disguise.detail(detail, fact.source),
    }


def _json(value: Mapping[str, Any]) -> str:
    if not value:
        return "{}"
    # A lone surrogate becomes just the escape that JSON has for it.
    return _ENCODER.encode(value).encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return utc_text(value)
    raise TypeError(f"an event's detail cannot hold {type(value).__name__}")


def lock(connection: Connection, tenant: str) -> tuple[int, str]:
    """Lock the tenant's chain, and with it what stands for its people; where it ends."""
    found = _LOCKED_END.rows(connection, of=tenant)
    if not found:
        _begin(connection, tenant)
        found = _LOCKED_END.rows(connection, of=tenant)
    ((length, head),) = found
    return length, head


def _begin(connection: Connection, tenant: str) -> None:
    # One at a time, or two writers would both insert the first event of a tenant.
    connection.execute(select(identity.c.id).with_for_update())
    absent = select(literal(tenant, AnyText), literal(0), literal(""), literal(0), literal("")).where(
        ~_OF_TENANT.exists()
    )
    connection.execute(
        insert(chains).from_select(["tenant", "length", "head", "cut", "cut_hash"], absent), {"of": tenant}
    )


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
_INSERT = Prepared(insert(events))
_EVENT = tuple(events.c.keys())
_OF_REDIRECT = Prepared(
    select(events).where(events.c.redirect_id == bindparam("of")).order_by(events.c.tenant, events.c.number)
)
_MOVE_END = Prepared(update(chains).where(chains.c.tenant == bindparam("of")), ["length", "head"])
_OF_TENANT = select(chains.c.length, chains.c.head).where(chains.c.tenant == bindparam("of"))
_LOCKED_END = Prepared(_OF_TENANT.with_for_update())
