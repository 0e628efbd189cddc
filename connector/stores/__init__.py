"""The port to where files go. Adapters are its modules.

A *path* is relative to the root that the tenant's configuration names, has `/` between its parts and no leading one.
Its parts are safe names (`connector.names`); an adapter need not clean them.

Every verb may be repeated; doing it again is harmless.
Adapters never retry and never sleep. What fails is told as one of `connector.errors`:
any verb may raise Unavailable or Denied, Rejected where the store will never accept it, and Conflict where something
came between, such as a lock on one file, and it has to begin anew.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, Protocol

from connector.model import Ending, Link, LinkTerms, Origin, Stored
from connector.spool import Spool


class Links(Protocol):
    """What gives links to stored files: the store itself, or our own link service before it (`connector.links`)."""

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """A link for each of these files, in their order; all lie in one collection. Shared again: the same links.

        Terms are honoured or Rejected, never weakened.
        """
        ...

    def password(self, terms: LinkTerms, origin: Origin) -> str:
        """What links that were shared on these terms ask for; "" where they ask for nothing."""
        ...

    def revoke(self, folder: str) -> None:
        """No link into this collection opens anything afterwards, as far as we had made it open."""
        ...

    def can_revoke(self, terms: LinkTerms) -> bool:
        """Whether `revoke` ends links that were shared on these terms. Asks nobody."""
        ...

    def as_a_stranger(self, url: str) -> int | None:
        """Follow a link without any login: the HTTP status in the end; None where nobody answers. Fetches nothing."""
        ...


class Pages(Links, Protocol):
    """Our own link service: its links may last longer than a message says."""

    def ending(self, terms: LinkTerms, origin: Origin) -> Ending:
        """How links that were shared on these terms end by now."""
        ...

    def outlast(self, terms: LinkTerms, origin: Origin, until: datetime) -> Ending:
        """Links that were shared on these terms, and open yet, end then at the earliest; how they end by now."""
        ...

    def forget(self, redirects: Sequence[str], person: str) -> None:
        """Nothing is known of the links of these redirects any more, nor of this person. Repeated: nothing."""
        ...


class Store(Links, Protocol):
    """One place for files, as one account sees it."""

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """Create only, proved by what the store gives back; parents are made as needed; it bears these tags.

        The same bytes at the same path: success. Other bytes there: Corrupt, and the old ones stay.
        Whatever fails, nothing torn is ever left at `path`. Reads `content` from its beginning, also when repeated;
        bytes may come straight from a source, and what that raises meanwhile goes through as it is.
        Raises Corrupt where what is read back differs, and Rejected where the store has no tags.
        """
        ...

    def verify(self, stored: Stored) -> bool:
        """Look afresh: True where the file still is what was proved, False where it is not there any more.

        Raises Corrupt where other bytes are there, and Edited where whoever the file belongs to has changed it.
        """
        ...

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Stream the bytes of a stored file. Raises FileGone."""
        ...

    def original(self, stored: Stored) -> AbstractContextManager[BinaryIO]:
        """Stream the bytes that were proved, also where the file was moved or edited since, and the store has them yet.

        They are to be hashed all the same. Raises FileGone, and Corrupt or Edited as `verify` does.
        """
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """The names directly in this collection; none where it does not exist."""
        ...

    def strangers(self, mailbox: str, members: Collection[str] | None = None) -> tuple[str, ...]:
        """The addresses of which the store knows nobody, of those to whom the files of a source belong.

        That is the mailbox; or its members, where it is shared (`Source.members`). None where it does not have to.
        """
        ...

    def remarks(self) -> tuple[str, ...]:
        """What an administrator should know about the server, in sentences; nothing of it keeps anyone from work."""
        ...

    def free(self) -> int | None:
        """How many bytes it takes yet; None where it does not tell, or there is no end."""
        ...

    def admits(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> bool:
        """Whether the people to whom the mailbox belongs, and nobody else, may read what is below this collection.

        Members whom the store does not know (`strangers`) do not count. `share` gives links that open for
        them. True where the store lets in whoever it lets in anyway.
        """
        ...

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Make it so that `admits`. Old access ends first, also where nobody new can be let in.

        Only where more than one goes by an address, those of them who could read go on.

        Raises Rejected where the store knows nobody at all, or lets nobody in on these terms, and Exhausted where it
        lets no more people in for now: called again later, it goes on.
        """
        ...

    def delete(self, path: str) -> None:
        """Remove a file, or a collection that is empty. Absent counts as removed."""
        ...

    def erase(self, path: str) -> None:
        """Like `delete`, and nothing of it is left in a trash or as a version. Absent counts as erased.

        Repeated, it finishes what one that was killed began, and what an earlier `delete` left in the trash.
        Raises Rejected where the store does not let go of what is in its trash.
        """
        ...

    def now(self) -> datetime | None:
        """What time the store's last answer said it was; None where it has not said. Costs no request."""
        ...
