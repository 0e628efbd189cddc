"""Under which names something is left alone: a source as a whole under its own, and these for parts of the work.

They stand in the ledger. A restart must not knock at a locked door again, or an account gets locked for good.
"""

from enum import StrEnum


class SourcePause(StrEnum):
    """What waits of a source."""

    #: Something has to be proved first about its server.
    PROOF = "proof"
    #: Its people cannot read its files in the store.
    READERS = "readers"
    #: Nothing may be changed in it; its files are still copied.
    EDITS = "edits"
    #: What is in some of its folders, at which its server fails.
    FOLDERS = "folders"
    #: Nothing waits: the store does not know all who share it.
    STRANGERS = "strangers"

    def of(self, source: str) -> str:
        """Its name, for this source."""
        return f"{source}/{self}"


class TenantPause(StrEnum):
    """What waits of a tenant."""

    #: Everything: somebody wants it so.
    STOP = "stop"
    #: Whatever has to be right: the clock is in doubt.
    CLOCK = "clock"
    #: Whatever is shown or removed: the ledger is in doubt.
    LEDGER = "ledger"
    #: Whatever needs its store.
    STORE = "store"
    #: New shares there.
    SHARES = "shares"
    #: What its directory is asked for.
    DIRECTORY = "directory"
    #: What the book of its links is asked for.
    LINKS = "links"
    #: All mailboxes of one entry in `sources`, by its number: one server, and one account there.
    ACCOUNT = "account"

    def of(self, tenant: str, number: int | None = None) -> str:
        """Its name, for this tenant."""
        return f"{tenant}/{self}" if number is None else f"{tenant}/{self}-{number}"


#: A tenant for which one of them stands is not at work.
STOPS = (TenantPause.STOP, TenantPause.STORE, TenantPause.LEDGER, TenantPause.CLOCK)


def parted(name: str) -> tuple[str, str]:
    """The source in the name of a pause, and which part of it waits; no source in that of a tenant's pause."""
    whole, _, part = name.rpartition("/")
    if "/" not in whole and part.partition("-")[0] in set(TenantPause):
        return "", name
    return (whole, f"/{part}") if "/" in whole and part in set(SourcePause) else (name, "")
