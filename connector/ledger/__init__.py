"""The journal of everything that connector intends, does and did.

ledger.py     all that may be asked of it         <- read this first
rows.py       redirects as rows                   absorb.py     what is new in a plan
sources.py    feeds and leases                    agenda.py     what is due, of all sources
backlog.py    backfills                           proofs.py     what is known of servers
chain.py      the audit trail                     subjects.py   its pseudonyms
schema.py, migrations/                            the tables, and those of earlier versions
prepared.py, database.py                          statements that were compiled once; each database's own
"""

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
