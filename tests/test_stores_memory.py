"""The store in memory keeps the laws, and shows links as a person would meet them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from connector.errors import Corrupt, FileGone
from connector.model import LinkTerms
from connector.spool import Spool
from connector.stores import Store
from connector.stores.memory import MemoryStore
from tests.laws.stores import ORIGIN, StoreLaws, contents, spool


@dataclass
class MemoryWorld:
    """One store that everybody uses."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(clock=lambda: datetime.now(UTC)))

    def connect(self) -> Store:
        """The same store: it is where its bytes are."""
        return self.store

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file."""
        self.store.files[path] = data


class TestMemoryStore(StoreLaws):
    """The laws."""

    @pytest.fixture
    def world(self) -> MemoryWorld:
        """An empty store."""
        return MemoryWorld()


def test_a_link_opens_the_file_until_it_is_revoked() -> None:
    """A revoked link opens nothing, and the next share is another link."""
    store = MemoryStore()
    stored = store.put("box/R1/a.txt", spool(b"a"))
    (link,) = store.share([stored], LinkTerms(), ORIGIN)
    assert store.download(link.url) == b"a"
    store.revoke("box/R1")
    with pytest.raises(FileGone):
        store.download(link.url)
    (again,) = store.share([stored], LinkTerms(), ORIGIN)
    assert again != link
    assert store.download(again.url) == b"a"


def test_a_link_opens_only_its_own_collection() -> None:
    """The token of one share opens no other path."""
    store = MemoryStore()
    mine, other = (store.put(path, spool(b"a")) for path in ("box/R1/a.txt", "box/R2/a.txt"))
    (link,) = store.share([mine], LinkTerms(), ORIGIN)
    with pytest.raises(FileGone):
        store.download(link.url.replace(mine.path, other.path))


def test_a_link_ends_when_it_said() -> None:
    """An expired link opens nothing."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    store = MemoryStore(clock=lambda: start)
    stored = store.put("box/R1/a.txt", spool(b"a"))
    (link,) = store.share([stored], LinkTerms(expires=timedelta(days=7)), ORIGIN)
    assert link.expires == start + timedelta(days=7)
    assert store.download(link.url) == b"a"
    store.clock = lambda: start + timedelta(days=7)
    with pytest.raises(FileGone):
        store.download(link.url)


def test_a_link_opens_nothing_after_its_file_is_deleted() -> None:
    """Deleting takes the bytes away from everybody."""
    store = MemoryStore()
    stored = store.put("box/R1/a.txt", spool(b"a"))
    (link,) = store.share([stored], LinkTerms(), ORIGIN)
    store.delete(stored.path)
    with pytest.raises(FileGone):
        store.download(link.url)


def test_bytes_that_are_not_what_the_spool_says_are_refused() -> None:
    """A spool that was damaged on its way leaves nothing at the path."""
    store = MemoryStore()
    good = spool(b"good")
    with pytest.raises(Corrupt):
        store.put("box/R1/a.txt", Spool(BytesIO(b"evil"), good.size, good.hashed))
    assert store.names("box") == ()
    assert contents(store, store.put("box/R1/a.txt", good).path) == b"good"
