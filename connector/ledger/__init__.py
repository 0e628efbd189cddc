"""The journal of everything that connector intends, does and did."""

from connector.ledger.agenda import Due
from connector.ledger.backlog import Backfill, Waiting
from connector.ledger.chain import Chain, Event
from connector.ledger.errors import LeaseLost, LedgerError, NewerLedger, Stale, Taken
from connector.ledger.ledger import FOR_EVER, Ledger, Pause, Pauses, Work
from connector.ledger.proofs import Proved
from connector.ledger.sources import Lease, Watched

__all__ = [
    "FOR_EVER",
    "Backfill",
    "Chain",
    "Due",
    "Event",
    "Lease",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "NewerLedger",
    "Pause",
    "Pauses",
    "Proved",
    "Stale",
    "Taken",
    "Waiting",
    "Watched",
    "Work",
]
