"""What was proved about servers: how each proof went last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from connector.ledger.schema import identity, proofs
from connector.model import Proof


@dataclass(frozen=True, kw_only=True, slots=True)
class Proved:
    """How a proof went."""

    tenant: str
    #: Its host, and its build where it tells one: a proof holds for no other build.
    server: str
    proof: Proof
    passed: bool
    at: datetime
    #: Who had it tried; of a waiver, who answers for it.
    by: str


def write(connection: Connection, proved: Proved) -> bool:
    """Put it in the place of how the same proof went before. False for a waiver that stands already."""
    # One at a time, or two mailboxes of one server would both record its waiver.
    connection.execute(select(identity.c.id).with_for_update())
    known = read(connection, proved.tenant, proved.server).get(proved.proof)
    if known and known.proof is Proof.WAIVER and known.by == proved.by:
        return False
    c = proofs.c
    same = (c.tenant == proved.tenant) & (c.server == proved.server) & (c.proof == proved.proof)
    connection.execute(delete(proofs).where(same))
    connection.execute(insert(proofs).values(asdict(proved)))
    return True


def read(connection: Connection, tenant: str, server: str) -> Mapping[Proof, Proved]:
    """How each proof went last on this server."""
    query = select(proofs).where(proofs.c.tenant == tenant, proofs.c.server == server)
    return {row["proof"]: Proved(**row) for row in connection.execute(query).mappings()}


def all_of_them(connection: Connection) -> tuple[Proved, ...]:
    """How each proof went last, wherever."""
    query = select(proofs).order_by(proofs.c.tenant, proofs.c.server, proofs.c.proof)
    return tuple(Proved(**row) for row in connection.execute(query).mappings())
