"""How everything is, as `connector status` answers it. Scripts may rely on these fields: config/status.schema.json."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connector import __version__
from connector.flow.turn import edits, folders, strangers, unproved, unread
from connector.ledger import Ledger
from connector.model import ACTIVE, State

_GOING_BACK = frozenset({State.RECALLED, State.RETURNED})
#: In the state folder: what the daemon said of itself last.
SAID = "daemon.json"
#: How often it says so. One that has said nothing for four times as long is down, or stands still.
BEAT = timedelta(seconds=15)
STILL = 4 * BEAT


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TenantAtWork(_Told):
    """What the daemon says of one tenant."""

    tenant: str
    mailboxes: int = Field(description="mailboxes that it looks after")
    store_claimed: bool = Field(description="the store answers, and is known to be this ledger's")
    oldest_tick: datetime | None = Field(description="the last turn that went well of whichever waits the longest")
    last_tick: datetime | None = Field(description="the last turn that went well of any")
    hints_connected: int = Field(description="mailboxes of which a server tells by itself")
    hints_wanted: int = Field(description="mailboxes of which a server could")
    aside: str = Field(
        default="", description="why nothing is done for it: what is wrong with its file, or its secrets"
    )


class DaemonAtWork(_Told):
    """What the daemon said of itself last."""

    version: str
    pid: int
    since: datetime = Field(description="when it began")
    at: datetime = Field(description="when it said so")
    tenants: tuple[TenantAtWork, ...]


class MailboxStatus(_Told):
    """How far a mailbox is, in redirects."""

    tenant: str
    mailbox: str
    redirected: int
    under_way: int
    held: int = Field(description="wait for a human: `connector held`")
    dropped: int
    going_back: int
    restored: int
    next: datetime | None = Field(description="when the next step, or the next second look, is due")
    since: datetime = Field(description="messages that were received before stay as they are")


class PauseStatus(_Told):
    """What is left alone, and why."""

    paused: str = Field(description="a mailbox, or what of a tenant: TENANT/store, /shares, /clock and so on")
    until: datetime = Field(description="in the year 9999: until somebody acts")
    error: str
    reason: str


class BacklogStatus(_Told):
    """What waits, of one tenant in one state."""

    tenant: str
    state: State
    redirects: int
    due: datetime = Field(description="when the first of them is due, or was")


class ProofStatus(_Told):
    """How a proof about a server went last."""

    tenant: str
    server: str
    proof: str
    passed: bool
    at: datetime
    by: str


class Status(_Told):
    """The answer of `connector status --json`, and of `connector once --json`."""

    version: str = Field(description="of the command that answers")
    running: bool = Field(description="a daemon has said within a minute how it is")
    daemon: DaemonAtWork | None
    mailboxes: tuple[MailboxStatus, ...]
    paused: tuple[PauseStatus, ...]
    backlog: tuple[BacklogStatus, ...]
    proofs: tuple[ProofStatus, ...]


def status(ledger: Ledger, state: Path, now: datetime) -> Status:
    """Asks the ledger only, and reads what the daemon has said."""
    daemon = _said(state)
    return Status(
        version=__version__,
        running=daemon is not None and timedelta(0) <= now - daemon.at < STILL,
        daemon=daemon,
        mailboxes=tuple(_mailboxes(ledger)),
        paused=tuple(_paused(ledger, now)),
        backlog=tuple(
            BacklogStatus(tenant=each.tenant, state=each.state, redirects=each.count, due=each.due)
            for each in ledger.work()
        ),
        proofs=tuple(
            ProofStatus(
                tenant=each.tenant,
                server=each.server,
                proof=each.proof,
                passed=each.passed,
                at=each.at,
                by=each.by,
            )
            for each in ledger.proved()
        ),
    )


def _said(state: Path) -> DaemonAtWork | None:
    """None where no daemon runs, or another version's, which says it in other words."""
    try:
        return DaemonAtWork.model_validate(json.loads((state / SAID).read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None


def _paused(ledger: Ledger, now: datetime) -> list[PauseStatus]:
    people = {
        name: f"{each.tenant}/{each.address}"
        for each in ledger.watched()
        for name in (each.name, *(part(each.name) for part in (unproved, unread, edits, strangers, folders)))
    }
    return [
        PauseStatus(paused=people.get(each.name, each.name), until=each.until, error=each.error, reason=each.reason)
        for each in ledger.pauses(now)
    ]


def _mailboxes(ledger: Ledger) -> list[MailboxStatus]:
    counts = ledger.counts()
    return [
        MailboxStatus(
            tenant=each.tenant,
            mailbox=each.address,
            redirected=counts.get((each.name, State.DONE), 0),
            under_way=sum(counts.get((each.name, state), 0) for state in ACTIVE - _GOING_BACK),
            held=counts.get((each.name, State.HELD), 0),
            dropped=counts.get((each.name, State.DROPPED), 0),
            going_back=sum(counts.get((each.name, state), 0) for state in _GOING_BACK),
            restored=counts.get((each.name, State.RESTORED), 0),
            next=ledger.next_due(each.name),
            since=each.begins(),
        )
        for each in ledger.watched()
    ]
