"""What can go wrong with a ledger."""

from connector.sql import Trouble


class LedgerError(Exception):
    """The ledger cannot be used. One sentence for the operator: which ledger, what is wrong, what to do."""


class NewerLedger(LedgerError):
    """The ledger was written by a newer version of connector."""


class LeaseLost(Exception):
    """Another process owns the source by now: stop at once. Nothing was written."""


class Stale(Exception):
    """The redirect was written by somebody else since it was read. Nothing was written."""


class Taken(Exception):
    """A file of this item belongs to another redirect already. Nothing was written."""


TROUBLE = Trouble("ledger", LedgerError)
