"""The port to where messages and shared files are. Adapters are its modules.

A *source* is one mailbox or one file share: a thing with items that carry files.
An *item id* names an item at least as long as it is not moved; a *version* differs after every change.
A *cursor* is opaque to everyone but the adapter that made it.

Every verb may be repeated; doing it again is harmless. There are three before which the caller looks, or a thing is
there twice: `put_back`, `tell` and `stage`.
Adapters never retry and never sleep. What fails is told as one of `connector.errors`:
any verb may raise Unavailable or Denied, beside what its docstring says.
"""

from collections.abc import Collection, Generator, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, Protocol

from connector.model import File, Item, Letter, Notice, Page, Room
from connector.spool import Spool


class Hints(Protocol):
    """Where a server tells at once that something happened in some mailboxes, over one connection.

    Only hints: one may be lost, doubled or wrong. They make a tick come sooner; `Source.changes` stays the truth.
    """

    @property
    def addresses(self) -> tuple[str, ...]:
        """The mailboxes that it may be asked to listen for, as far as they are known by now."""
        ...

    @property
    def prompt(self) -> bool:
        """Whether it yields every second or so, even if nothing happened: who closes `listen` need not wait long."""
        ...

    @property
    def hears(self) -> Collection[str]:
        """Those that it has heard of while it listened last. One that cannot be opened does not stop the others."""
        ...

    def listen(self, addresses: Collection[str]) -> Generator[Collection[str], None, None]:
        """The mailboxes in which something happened, or may have happened unheard; as often as the server speaks.

        The first item, be it empty, says that the connection stands. Waits in between for as long as nothing happens.
        Ends when the server ends it, and may be called again at once. One thread listens at a time.
        Raises Unavailable, Denied.
        """
        ...


class Source(Protocol):
    """One mailbox, or one file share."""

    @property
    def key(self) -> str:
        """The ledger's name for it, together with the tenant. Stays the same when the mailbox is renamed."""
        ...

    @property
    def address(self) -> str:
        """For people: the address of the mailbox."""
        ...

    @property
    def members(self) -> Collection[str] | None:
        """The addresses of those who share it, as its server told last; None where its own address says whose it is.

        Costs no request.
        """
        ...

    @property
    def returnable(self) -> int | None:
        """The largest file, in bytes, that `put_back` can attach; None: any. Costs no request."""
        ...

    @property
    def server(self) -> str:
        """The server and its build, as it named itself last: what was proved on one need not be so on another.

        Costs no request where `key` is known already.
        """
        ...

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """What is new since `cursor`, page by page; everything where it is None.

        Reports every item at least once, may repeat one, never skips one. Items come without bodies.
        One at which the server fails, while it tells of others, is reported as unread; after folders of which it cannot
        tell, it raises PartUnread at its end, and the cursor of the last page tells of them later.
        Pages may be empty: where a server has many of these, whoever asks has to look at the time between two of them.
        The cursor of a page covers just that page and those before it, so work may stop after any of them.
        When the iterator ends, every folder in scope has been looked at. A cursor that the server no longer
        knows is not an error: the feed starts again from the beginning.
        """
        ...

    def recent(self, since: datetime) -> Iterator[Page]:
        """What has files and was received since then, as `changes` reports it, page by page; for who only looks.

        Asks the server for no others where that can be asked so; where it cannot, older ones are among them.
        The cursors of these pages say nothing.
        """
        ...

    def fetch(self, item_id: str) -> Item:
        """Read the item afresh, with its body and all its files, nothing from a cache. Raises Gone."""
        ...

    def open(self, item_id: str, file_id: str) -> AbstractContextManager[BinaryIO]:
        """Stream the exact bytes of one file, never whole in memory. Raises Gone, FileGone, Rejected.

        One that is `seekable` tells its true size, and is read again from its beginning; it raises Conflict where the
        file is another one by then.
        """
        ...

    def original(self, item_id: str) -> AbstractContextManager[BinaryIO]:
        """Stream the whole item as it is now (RFC 5322), files and all. Raises Gone, Rejected.

        A server may write it out otherwise each time it is asked.
        """
        ...

    def rewrite(self, item: Item, notice: Notice) -> None:
        """Make the item show the notice, and set the marker, in one write. The rest of the item stays as it is.

        `item` is fresh from `fetch`. A notice of the same redirect that is already there is replaced.
        Recipients, subject, read state, dates, categories, other files and inline images stay untouched.
        Raises Conflict where the item is no longer at `item.version`, Gone, Rejected.
        """
        ...

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
        """Take the notice and the marker of this redirect out again: the body becomes what it was.

        Nothing to take out counts as done. Raises Conflict, Gone, Rejected.
        """
        ...

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        """Remove these files from the item. A file that is already absent counts as removed.

        The caller reads the item again afterwards: only a fresh listing proves it. Raises Gone, and Conflict where the
        item is not as it was read: its links may just have been taken out.
        """
        ...

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        """Attach these bytes to the item again, with the name, type, content id and inline flag of `file`.

        Repeated, the item would have the file twice: the caller looks first. The file has a new id and a new version
        afterwards. Raises Gone, Conflict, and Rejected where it is too large to attach
        or was a message.
        """
        ...

    def room(self) -> Room | None:
        """How full the place is where the server keeps what is deleted and what items were before an edit.

        None where there is no such place, or where the server does not tell. One request.
        """
        ...

    def find(self, redirect_id: str) -> tuple[Item, ...]:
        """All items, in every folder of the source, whose marker names this redirect. Copies too; without bodies."""
        ...

    def tell(self, letter: Letter) -> None:
        """Put a message of ours into the Inbox, unread, as if it had come in. It is sent to nobody.

        Repeated, it would be there twice: the caller looks with `find` first. A share has no Inbox: nothing.
        """
        ...

    # The second way to edit (`flow.replace`): a copy is edited where nobody sees it, and then takes the place of
    # the item. The *shelf* of a redirect is a folder of ours that bears its id. No mail client shows it, no change
    # feed tells of it, and `find` does not look there. The path of what lies on it is "".

    def shelf(self, redirect_id: str) -> tuple[Item, ...]:
        """All that lies on the shelf of this redirect, read afresh, with bodies."""
        ...

    def stage(self, item_id: str, redirect_id: str) -> str:
        """Copy the item, with all that it has, onto the shelf. Returns the id of the copy. Raises Gone.

        Repeated, it makes one more copy: the caller looks at the shelf first.
        """
        ...

    def shelve(self, item_id: str, redirect_id: str) -> str:
        """Move the item, onto the shelf. Returns its new id. Raises Gone, also where it was moved before."""
        ...

    def unshelve(self, item_id: str, beside: str) -> str:
        """Move the item from its shelf to the folder where the item `beside` is. Returns its new id. Raises Gone."""
        ...

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """Delete these items for good, and the shelf too if nothing is left on it. Absent counts as deleted."""
        ...
