"""What would keep the daemon from its work, found out by doing it: one finding for each thing that was tried."""

import hashlib
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from connector.errors import ConnectorError, Denied, Unavailable
from connector.ledger import Ledger
from connector.manifest import brake
from connector.service import Tenant, clock
from connector.spool import Spool
from connector.stores import Store

Severity = Literal["fine", "unreachable", "refused", "stopped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, how it went, and what to do."""

    tried: str
    severity: Severity
    says: str
    todo: str = ""


def findings(tenants: tuple[Tenant, ...], ledger: Ledger) -> Iterator[Finding]:
    """Try the ledger, every store and every mailbox. The configuration itself was checked when it was loaded."""
    ledger.adopt_generation(0)
    yield Finding("ledger", "fine", "can be written")
    for tenant in tenants:
        yield _generation(tenant, ledger)
        yield _store(tenant)
        yield from _mailboxes(tenant)


def _generation(tenant: Tenant, ledger: Ledger) -> Finding:
    tried = f"{tenant.name}: ledger and store"
    if stopped := ledger.paused(brake(tenant.name), clock()):
        return Finding(tried, "stopped", stopped.reason)
    return Finding(tried, "fine", "belong together, as far as is known")


def _store(tenant: Tenant) -> Finding:
    tried = f"{tenant.name}: store"
    try:
        _write_and_delete(tenant.store())
    except ConnectorError as error:
        return _failed(tried, error)
    return Finding(tried, "fine", "a small file was written, read back and deleted")


def _write_and_delete(store: Store) -> None:
    content = b"Written by `connector check`; may be deleted.\n"
    spool = Spool(io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())
    # In a collection of ours, so that a root that is missing is told as that.
    path = f".connector/check-{secrets.token_hex(8)}.txt"
    stored = store.put(path, spool)
    store.verify(stored)
    store.delete(path)


def _mailboxes(tenant: Tenant) -> Iterator[Finding]:
    refused = ""
    for mailbox in tenant.mailboxes:
        tried = f"{tenant.name}: mailbox {mailbox.source.address}"
        try:
            _ = mailbox.source.key
        except ConnectorError as error:
            yield _failed(tried, error)
            # The same words twice do not speak of a mailbox: more wrong passwords could lock the account.
            if str(error) == refused:
                return
            refused = str(error) if isinstance(error, Denied) else ""
        else:
            yield Finding(tried, "fine", "can be opened")


def _failed(tried: str, error: ConnectorError) -> Finding:
    if isinstance(error, Unavailable):
        return Finding(
            tried, "unreachable", str(error), "check the address, the network and the server; then try again"
        )
    return Finding(tried, "refused", str(error), "grant what is named here, or correct the login; then try again")
