"""AppAPI: the files of a mailbox lie with its owner, in the space and the quota of that account; we act as it.

Whose each folder is stands in a space of our own, before anything is put there; when the mailbox belongs to somebody
else, all of it goes there. So do the numbers of files stand there, which find them wherever their owner takes them.
What belongs to no mailbox, such as manifests, lies in that space too, and what belongs to a group or is shared.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from itertools import accumulate
from typing import BinaryIO

from connector.errors import Conflict, Corrupt, Denied, Edited, FileGone, Rejected
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.spool import Spool, spooled
from connector.stores.dav import WrongPassword
from connector.stores.nextcloud.dav import QuotaUsedUp
from connector.stores.nextcloud.handover import hand_over
from connector.stores.nextcloud.readers import People, Readers
from connector.stores.nextcloud.store import NextcloudStore

_OURS, _OWNERS, _NUMBERS = ".connector", ".connector/owners", ".connector/numbers"
#: How many accounts we act as at a time; each has connections of its own.
_MOST = 50
#: How many files are known to have their number written down.
_REMEMBERED = 10_000
_POWER = (
    "with the secret of its app, connector acts as every account of the server, administrators included: guard it as"
    " you guard their passwords, or leave out `appapi`, and a service account keeps all files"
)


class OwnersStore:
    """The files of all mailboxes, each with its owner. For one thread."""

    def __init__(
        self, own: NextcloudStore, of: Callable[[str], NextcloudStore], readers: Readers, owners: dict[str, str]
    ) -> None:
        """`own` is our space, `of` gives that of an account by its id.

        `owners` are the accounts with whom folders of mailboxes lie, as far as any thread knows: when one of them has a
        folder handed over, the others must not look for it where it was.
        """
        self._own = own
        self._of = of
        self._readers = readers
        self._stores: dict[str, NextcloudStore] = {}
        self._last = own
        self._owners = owners
        #: What was written down about files.
        self._numbered: set[str] = set()

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """Create only, see the port. From the beginning, its owner may take it elsewhere."""
        with self._at(path) as store:
            stored = store.put(path, content, tags)
            if store is not self._own:
                self._number(path, store)
            return stored

    def verify(self, stored: Stored) -> bool:
        """Whether it is as it was proved, there or where its owner has taken it, see the port."""
        return self._verified(stored) or (self._lies_elsewhere(stored.path) and self._verified(stored))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Stream the bytes of a stored file, also where its owner has renamed or moved it. Raises FileGone."""
        with self._at(path) as store, ExitStack() as opened:
            try:
                stream = opened.enter_context(store.open(path))
            except FileGone:
                stream = opened.enter_context(store.open(self._moved(path, store) or path))
            yield stream

    @contextmanager
    def original(self, stored: Stored) -> Iterator[BinaryIO]:
        """Stream the bytes that were proved, wherever their owner has taken them, see the port."""
        with self._at(stored.path) as store, ExitStack() as opened:
            with self._edits_told(stored, store, ", and no version of it is left that is as it was"):
                try:
                    stream = opened.enter_context(store.original(stored))
                except FileGone:
                    place = self._moved(stored.path, store) or stored.path
                    stream = opened.enter_context(store.original(replace(stored, path=place)))
            yield stream

    def names(self, folder: str) -> tuple[str, ...]:
        """The names directly in this collection, see the port."""
        with self._at(folder) as store:
            return store.names(folder)

    def delete(self, path: str) -> None:
        """Remove a file, or a collection that is empty, see the port."""
        with self._at(path) as store:
            store.delete(path)

    def erase(self, path: str) -> None:
        """Like `delete`, and out of its owner's trash, see the port. What she took elsewhere is hers, and stays."""
        handed_over = self._lies_elsewhere(path)
        self._erase(path)
        if handed_over and self._lies_elsewhere(path):  # A handover was killed: it may be with the other one.
            self._erase(path)

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """The addresses of the files, which open for their owner; for anyone, public links that the owner has made."""
        with self._at(stored[0].path) as store:
            if terms.audience is Audience.GROUP and store is not self._own:
                raise Rejected("files that lie with an account open for no group: give the rule the audience owner")
            try:
                return store.share(stored, terms, origin)
            except Conflict:
                # A public link opens a folder: where a file was taken, other things may lie.
                if store is self._own or terms.audience is Audience.ANYONE:
                    raise
                return store.share([self._where(each, store) for each in stored], terms, origin)

    def password(self, terms: LinkTerms, origin: Origin) -> str:
        """That of a public link, whoever has made it, see the port."""
        with self._at(origin.folder) as store:
            return store.password(terms, origin)

    def revoke(self, folder: str) -> None:
        """End the public links, see the port."""
        with self._at(folder) as store:
            store.revoke(folder)

    def can_revoke(self, terms: LinkTerms) -> bool:
        """Public links only, whoever has made them, see the port."""
        return self._own.can_revoke(terms)

    def as_a_stranger(self, url: str) -> int | None:
        """Follow a link without any login, see the port."""
        return self._own.as_a_stranger(url)

    def strangers(self, mailbox: str, members: Collection[str] | None = None) -> tuple[str, ...]:
        """Those of whom not exactly one account or group is known, see the port."""
        return self._readers.of(mailbox, members).strangers

    def remarks(self) -> tuple[str, ...]:
        """What the app may do; and what there is to say about our own space."""
        return (_POWER, *self._own.remarks())

    def free(self) -> int | None:
        """Of our own space; what owners have is theirs to look after."""
        return self._own.free()

    def admits(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> bool:
        """Whether the folder is with whom the mailbox belongs to; or with us, and open to more than one."""
        people = self._readers.of(mailbox, members)
        if people.group:
            return not self._recorded(folder) and self._own.admits(folder, mailbox, members)
        owner = _account(people)
        return owner is not None and self._recorded(folder) == owner

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Have the folder with whom the mailbox belongs to, from now on: what is with another goes there.

        What belongs to a group, or is shared, lies with us, and is open to them.
        """
        self._readers.forget()
        people = self._readers.of(mailbox, members)
        owner = _account(people)
        if not (people.readers or people.group):
            raise Rejected(
                f"no account, or more than one, is known to whom the mailbox {mailbox} belongs: {self._readers.where}"
            )
        record = f"{_OWNERS}/{_digest(folder)}"
        others = [each for each in self._own.names(record) if each != owner]
        self._hand_over(folder, owner, others)
        if owner:
            # Before anything is put there: another process of ours must not look for it elsewhere.
            self._write(f"{record}/{owner}")
            self._owners[folder] = owner
        for each in others:
            self._own.delete(f"{record}/{each}")
        if owner is None:
            self._owners.pop(folder, None)
            self._own.admit(folder, mailbox, members)

    def _hand_over(self, folder: str, owner: str | None, others: Sequence[str]) -> None:
        taker = self._store(owner) if owner else self._own
        givers = [self._store(each) for each in others] + ([self._own] if owner else [])
        for giver in givers:
            try:
                hand_over(folder, giver, taker)
            except (Denied, QuotaUsedUp) as error:
                raise Rejected(
                    f"files of a mailbox are to go from the account {giver.ocs.user} to {taker.ocs.user}: {error}"
                ) from error

    def now(self) -> datetime | None:
        """What time the server's last answer said it was, whoever it was for."""
        return self._last.now()

    def _erase(self, path: str) -> None:
        with self._at(path) as store:
            store.erase(path)

    def _verified(self, stored: Stored) -> bool:
        with self._at(stored.path) as store, self._edits_told(stored, store):
            if store.verify(stored):
                return True
            place = self._moved(stored.path, store)
            return place is not None and store.verify(replace(stored, path=place))

    def _number(self, path: str, store: NextcloudStore) -> None:
        """Write down what finds a file again wherever its owner takes it."""
        numbered = f"{_numbers(path)}/{store.number(path)}"
        if numbered not in self._numbered:
            self._write(numbered)
            self._numbered.add(numbered)
        if len(self._numbered) > _REMEMBERED:
            self._numbered.clear()

    def _where(self, stored: Stored, store: NextcloudStore) -> Stored:
        """The file where its owner has it by now."""
        if store.has_file(stored.path):
            return stored
        return replace(stored, path=self._moved(stored.path, store) or stored.path)

    def _moved(self, path: str, store: NextcloudStore) -> str | None:
        """Where a file is by now that is not in its place; None where it is with its owner no more."""
        numbers = () if store is self._own else self._own.names(_numbers(path))
        return next((place for each in numbers if (place := store.place(each))), None)

    @contextmanager
    def _edits_told(self, stored: Stored, store: NextcloudStore, more: str = "") -> Iterator[None]:
        """What lies with an account is hers to edit: that is no fault of the store."""
        try:
            yield
        except Corrupt:
            if store is self._own:
                raise
            place = self._moved(stored.path, store) or stored.path
            if not store.edited(replace(stored, path=place)):
                raise
            raise Edited(f"its owner has edited a file in the store{more}") from None

    def _write(self, path: str) -> None:
        """A name that says it all."""
        with spooled(BytesIO()) as nothing:
            self._own.put(path, nothing)

    @contextmanager
    def _at(self, path: str) -> Iterator[NextcloudStore]:
        """Where a path lies. The trouble of one account is not that of all others: it is Rejected."""
        owner = self._owners.get(self._folder(path))
        if not owner:
            self._last = self._own
            yield self._own
            return
        self._last = self._store(owner)
        try:
            yield self._last
        except (Denied, QuotaUsedUp) as error:
            self._readers.forget()
            if isinstance(error, WrongPassword):
                self._own.ocs.account()  # Raises it where it is the secret of the app that is wrong by now.
            raise Rejected(f"the account {owner}, with whom the files of a mailbox lie: {error}") from error

    def _store(self, owner: str) -> NextcloudStore:
        if owner not in self._stores:
            if len(self._stores) >= _MOST:
                self._stores.clear()
            self._stores[owner] = self._of(owner)
        return self._stores[owner]

    def _folder(self, path: str) -> str:
        """The folder of a mailbox that a path is in; "" where it is in none."""
        if path.startswith(f"{_OURS}/"):
            return ""
        above = tuple(accumulate(path.split("/"), "{}/{}".format))
        known = next((folder for folder in above if folder in self._owners), "")
        return known or next((folder for folder in above if self._recorded(folder)), "")

    def _lies_elsewhere(self, path: str) -> bool:
        """Whether it is with another than was known: since then, another process may have handed it over."""
        folder = self._folder(path)
        known = self._owners.get(folder)
        if not known:
            return False
        recorded = self._own.names(f"{_OWNERS}/{_digest(folder)}")
        # Where it was killed, two stand there; asked again, it is the other one.
        others = [each for each in recorded if each != known]
        if others:
            self._owners[folder] = others[0]
        elif not recorded:
            self._owners.pop(folder, None)
        return bool(others or not recorded)

    def _recorded(self, folder: str) -> str:
        """With whom the folder of a mailbox is; "" where it is with nobody, or is no such folder."""
        if folder not in self._owners:
            self._last = self._own
            for owner in self._own.names(f"{_OWNERS}/{_digest(folder)}"):
                self._owners[folder] = owner
        return self._owners.get(folder, "")


def _numbers(path: str) -> str:
    """The folder in our space that has the number of a file; another one, too, where it was put again."""
    digest = _digest(path)
    return f"{_NUMBERS}/{digest[:2]}/{digest}"


def _digest(path: str) -> str:
    """A name that no other path has, and that is no part of one."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def _account(people: People) -> str | None:
    """Files lie with one account."""
    return None if people.group else next((reader.id for reader in people.readers), None)
