"""A store in memory: for tests, for trial runs, and as the shortest text that shows what a store promises."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from typing import BinaryIO
from urllib.parse import quote, unquote

from connector.errors import Corrupt, FileGone, Rejected
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.spool import Spool

_ADDRESS = "https://store.example.org/"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Share:
    """What makes the links into one collection open, until it is revoked."""

    token: str
    folder: str
    terms: LinkTerms
    expires: datetime | None


@dataclass
class MemoryStore:
    """One place for files, gone with the process. `files` and `shares` may be looked at and tampered with."""

    files: dict[str, bytes] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    #: Of each file that bears some.
    tags: dict[str, set[str]] = field(default_factory=dict)
    #: Replaced by whoever wants it to tell what time it is.
    clock: Callable[[], datetime | None] = lambda: None
    #: To whom each collection is open, by address; None: all are open to everybody.
    admitted: dict[str, frozenset[str]] | None = None
    #: Addresses of which nobody is known.
    unknown: set[str] = field(default_factory=set)
    _shared: int = 0

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """Create only, see the port."""
        content.content.seek(0)
        data = content.content.read()
        if _sha256(data) != content.sha256:
            raise Corrupt("what arrived in memory is not what was read from the source")
        if self.files.setdefault(path, data) != data:
            raise Corrupt("other bytes are already there, and stay")
        if tags:
            self.tags.setdefault(path, set()).update(tags)
        return Stored(path=path, size=content.size, sha256=content.sha256)

    def verify(self, stored: Stored) -> bool:
        """Hash the file again."""
        data = self.files.get(stored.path)
        if data is None:
            return False
        if _sha256(data) != stored.sha256:
            raise Corrupt("the stored bytes are no longer those that were proved")
        return True

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Read a file from its beginning. Raises FileGone."""
        if path not in self.files:
            raise FileGone("the file is not in the store")
        yield BytesIO(self.files[path])

    def original(self, stored: Stored) -> AbstractContextManager[BinaryIO]:
        """What is at its path. Raises FileGone."""
        return self.open(stored.path)

    def names(self, folder: str) -> tuple[str, ...]:
        """Files and collections directly in `folder`; a collection is there as long as a file lies in it."""
        inside = folder + "/" if folder else ""
        names = {path.removeprefix(inside).split("/")[0] for path in self.files if path.startswith(inside)}
        return tuple(sorted(names))

    def strangers(self, mailbox: str, members: Collection[str] | None = None) -> tuple[str, ...]:
        """Those that are."""
        return tuple(sorted(self.unknown & _people(mailbox, members)))

    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()

    def free(self) -> int | None:
        """There is no end."""
        return None

    def admits(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> bool:
        """Whether they were admitted, where that matters."""
        return self.admitted is None or self.admitted.get(folder) == _people(mailbox, members) - self.unknown

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Open a collection to the owner of a mailbox, or to those who share it."""
        if self.admitted is None:
            return
        self.admitted.pop(folder, None)
        known = _people(mailbox, members) - self.unknown
        if not known:
            raise Rejected(f"nobody is known to whom the mailbox {mailbox} belongs")
        self.admitted[folder] = known

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:  # noqa: ARG002 - the port's
        """One share for the collection, found again when asked again with the same terms."""
        if (terms.audience, terms.password, terms.downloads) != (Audience.STORE, False, None):
            raise Rejected(f"this store has no links for the audience {terms.audience}")
        return tuple(self._link(each.path, terms) for each in stored)

    def password(self, terms: LinkTerms, origin: Origin) -> str:  # noqa: ARG002 - the port's
        """None of its links asks for one."""
        return ""

    def revoke(self, folder: str) -> None:
        """Forget every share of the collection."""
        self.shares = [each for each in self.shares if each.folder != folder]

    def can_revoke(self, terms: LinkTerms) -> bool:  # noqa: ARG002 - the port's
        """All of them."""
        return True

    def as_a_stranger(self, url: str) -> int | None:
        """Whoever has the address needs no login."""
        try:
            self.download(url)
        except FileGone:
            return HTTPStatus.NOT_FOUND
        return HTTPStatus.OK

    def download(self, url: str) -> bytes:
        """What a person gets who follows the link. Raises FileGone where it no longer opens anything."""
        token, _, path = unquote(url.removeprefix(_ADDRESS)).partition("/")
        share = next((each for each in self.shares if each.token == token), None)
        if share is None or _folder(path) != share.folder or self._ended(share) or path not in self.files:
            raise FileGone("the link opens nothing")
        if self.admitted is not None and not any(path.startswith(f"{folder}/") for folder in self.admitted):
            raise FileGone("the link opens nothing for them")
        return self.files[path]

    def delete(self, path: str) -> None:
        """Remove a file. A collection goes with its last file; one that still has files is Rejected."""
        if self.names(path):
            raise Rejected("a collection that is not empty is not removed")
        self.files.pop(path, None)

    def erase(self, path: str) -> None:
        """Like `delete`: there is no trash."""
        self.delete(path)

    def now(self) -> datetime | None:
        """What `clock` says."""
        return self.clock()

    def _link(self, path: str, terms: LinkTerms) -> Link:
        share = self._share(_folder(path), terms)
        return Link(f"{_ADDRESS}{share.token}/{quote(path)}", share.expires)

    def _share(self, folder: str, terms: LinkTerms) -> Share:
        for each in self.shares:
            if (each.folder, each.terms) == (folder, terms):
                return each
        self._shared += 1
        expires = self._time() + terms.expires if terms.expires is not None else None
        share = Share(f"s{self._shared}", folder, terms, expires)
        self.shares.append(share)
        return share

    def _ended(self, share: Share) -> bool:
        return share.expires is not None and share.expires <= self._time()

    def _time(self) -> datetime:
        return self.clock() or _utc_now()


def _people(mailbox: str, members: Collection[str] | None) -> frozenset[str]:
    return frozenset((mailbox,) if members is None else members)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
