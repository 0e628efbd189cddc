"""What every store promises, whatever stands behind it."""

import hashlib
import time
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from typing import Protocol, cast

import pytest

from connector.errors import Conflict, ConnectorError, Corrupt, FileGone, Rejected, Unavailable
from connector.model import Audience, LinkTerms, Origin, Stored
from connector.spool import Spool, spooled
from connector.stores import Store

#: Safe for every system by `connector.names`, and still hard on quoting, encodings and length limits.
NASTY_NAMES = (
    "Prüfung der Übergröße.pdf",
    "two  spaces.txt",
    "50% #1.txt",
    "%2F%2e%2e.txt",
    "& why+how=1,2.txt",
    "it's (a) [b] {c} ~d !e @f $g ^h `i.txt",
    "عقد الإيجار.pdf",
    "חוזה.docx",
    "договор №5.doc",
    "報告書.xlsx",
    "🧾👩‍💻.png",
    "e\u0301 decomposed.txt",
    "no.hidden.name",
    "…dots...in..name",
    "x" * 196 + ".txt",
    "ü" * 98 + ".txt",
)


#: What files are said to come from where it does not matter.
ORIGIN = Origin(redirect="R1", folder="box/R1", mailbox="anna@example.org", sender="sender@example.org", received=None)


class World(Protocol):
    """A store and the hand of somebody else beside it."""

    def connect(self) -> Store:
        """A client of its own for the same store."""
        ...

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file behind the store's back."""
        ...


def spool(data: bytes) -> Spool:
    """Bytes as they come from a source."""
    return Spool(BytesIO(data), len(data), hashlib.sha256(data).hexdigest)


class BreaksOff(BytesIO):
    """A file of which a source has more to tell than bytes, once it is asked for the last of them."""

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(data)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to there."""
        if self.tell() == len(self.getvalue()):
            raise self._error
        return super().read(size)


def composed(name: str) -> str:
    """The same name to a reader."""
    return unicodedata.normalize("NFC", name)


def _as_soon_as_unlocked(store: Store, path: str, data: bytes) -> Stored:
    """Put it. A server holds its lock (423) until it has seen that whoever wrote there before has gone."""
    for _ in range(100):
        with suppress(Conflict, Unavailable), spooled(BytesIO(data)) as content:
            return store.put(path, content)
        time.sleep(0.05)
    pytest.fail(f"{path} stays locked")


def contents(store: Store, path: str) -> bytes:
    """All bytes of a stored file."""
    with store.open(path) as stream:
        return stream.read()


def raced(world: World, path: str, candidates: Sequence[bytes]) -> list[Stored | None]:
    """Put all at one path at once, each by a client of its own. None for a put that ended in Corrupt.

    A server that is busy with the other one, or has locked the name for it, may say so; who is told that comes again.
    """

    def put(data: bytes) -> Stored | ConnectorError | None:
        try:
            return world.connect().put(path, spool(data))
        except Corrupt:
            return None
        except (Conflict, Unavailable) as busy:
            return busy

    with ThreadPoolExecutor(len(candidates)) as pool:
        first = list(pool.map(put, candidates))
    again = [
        put(data) if isinstance(told, ConnectorError) else told for data, told in zip(candidates, first, strict=True)
    ]
    assert not [told for told in again if isinstance(told, ConnectorError)]
    return cast("list[Stored | None]", again)


class StoreLaws:
    """Inherited by the tests of each store, which give the fixture `world`."""

    @pytest.fixture
    def store(self, world: World) -> Store:
        """One client."""
        return world.connect()

    def test_put_gives_back_what_was_proved(self, store: Store) -> None:
        """Path, true size and hash come back, and the bytes are there."""
        stored = store.put("mailbox/2026/R1/report.pdf", spool(b"quarterly figures"))
        assert stored.path == "mailbox/2026/R1/report.pdf"
        assert stored.size == 17
        assert stored.sha256 == hashlib.sha256(b"quarterly figures").hexdigest()
        assert contents(store, stored.path) == b"quarterly figures"

    def test_put_at_the_root(self, store: Store) -> None:
        """A file needs no collection around it."""
        assert store.verify(store.put("ledger.json", spool(b"{}")))
        assert store.names("") == ("ledger.json",)

    def test_put_twice_is_put_once(self, store: Store, world: World) -> None:
        """The same bytes at the same path succeed, also from another client, and leave one file."""
        first = store.put("box/R1/a.txt", spool(b"same"))
        assert store.put("box/R1/a.txt", spool(b"same")).sha256 == first.sha256
        assert world.connect().put("box/R1/a.txt", spool(b"same")).sha256 == first.sha256
        assert store.names("box/R1") == ("a.txt",)

    def test_a_spool_is_read_from_its_beginning(self, store: Store) -> None:
        """A spool that was read before, by an attempt that failed, is sent whole."""
        content = spool(b"read before")
        content.content.read()
        assert contents(store, store.put("box/R1/a.txt", content).path) == b"read before"

    def test_a_source_that_breaks_off(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it tells comes out as it is; nothing is at the path, and the next attempt succeeds."""
        monkeypatch.setattr("connector.spool.IN_MEMORY", 0)
        data, told = bytes(range(256)) * 4_000, Unavailable("the connection to the source was cut")
        with pytest.raises(Unavailable) as raised, spooled(BreaksOff(data, told)) as content:
            store.put("box/R1/a.bin", content)
        assert raised.value is told
        assert store.names("box/R1") == ()
        stored = _as_soon_as_unlocked(store, "box/R1/a.bin", data)
        assert (stored.sha256, contents(store, stored.path)) == (hashlib.sha256(data).hexdigest(), data)

    @pytest.mark.parametrize("other", [b"other bytes", b"SAME LENGTH", b""])
    def test_other_bytes_are_corrupt_and_the_old_ones_stay(self, store: Store, other: bytes) -> None:
        """Create only: what lies at a path is never overwritten."""
        stored = store.put("box/R1/a.txt", spool(b"same length"))
        with pytest.raises(Corrupt):
            store.put("box/R1/a.txt", spool(other))
        assert contents(store, "box/R1/a.txt") == b"same length"
        assert store.verify(stored)
        assert store.names("box/R1") == ("a.txt",)

    def test_an_empty_file(self, store: Store) -> None:
        """Zero bytes are a file like any other."""
        stored = store.put("box/R1/empty", spool(b""))
        assert stored.size == 0
        assert store.verify(stored)
        assert contents(store, "box/R1/empty") == b""

    @pytest.mark.parametrize("name", NASTY_NAMES)
    def test_nasty_names_survive(self, store: Store, name: str) -> None:
        """A name comes back as it was given, as a file and as a collection."""
        stored = store.put(f"box/{name}/{name}", spool(name.encode()))
        assert store.verify(stored)
        assert contents(store, stored.path) == name.encode()
        # What is decomposed may come back composed: `connector.names` gives only the latter.
        assert [composed(each) for each in store.names("box")] == [composed(name)]
        assert [composed(each) for each in store.names(f"box/{name}")] == [composed(name)]
        store.delete(stored.path)
        assert not store.verify(stored)

    def test_verify_tells_there_gone_and_corrupt(self, store: Store, world: World) -> None:
        """True while the file is what was proved, Corrupt when somebody changed it, False when nothing is there."""
        stored = store.put("box/R1/a.txt", spool(b"original"))
        assert store.verify(stored)
        for tampered in (b"0riginal", b"longer than before", b""):
            world.overwrite(stored.path, tampered)
            with pytest.raises(Corrupt):
                store.verify(stored)
        store.delete(stored.path)
        assert not store.verify(stored)

    def test_verify_where_there_never_was_anything(self, store: Store) -> None:
        """A missing collection is a missing file."""
        stored = Stored(path="no/such/file", size=1, sha256="0" * 64)
        assert not store.verify(stored)

    def test_a_file_that_was_restored_is_what_was_proved(self, store: Store, world: World) -> None:
        """The same bytes written again, by a restored backup say, are no corruption."""
        stored = store.put("box/R1/a.txt", spool(b"original"))
        world.overwrite(stored.path, b"changed!")
        world.overwrite(stored.path, b"original")
        assert store.verify(stored)

    def test_open_of_nothing_is_file_gone(self, store: Store) -> None:
        """Reading what is not there has its own error."""
        with pytest.raises(FileGone), store.open("box/R1/a.txt"):
            pass

    def test_the_original_is_what_was_proved(self, store: Store, world: World) -> None:
        """Also for another client; where there never was any, it is FileGone."""
        stored = store.put("box/R1/a.txt", spool(b"original"))
        with world.connect().original(stored) as stream:
            assert stream.read() == b"original"
        store.delete(stored.path)
        with pytest.raises(FileGone), store.original(stored):
            pass

    def test_names_are_those_directly_inside(self, store: Store) -> None:
        """Files and collections by name, nothing deeper, not the collection itself."""
        for path in ("box/a.txt", "box/R1/b.txt", "box/R1/c.txt", "boxes/d.txt"):
            store.put(path, spool(b"x"))
        assert sorted(store.names("box")) == ["R1", "a.txt"]
        assert sorted(store.names("box/R1")) == ["b.txt", "c.txt"]
        assert sorted(store.names("")) == ["box", "boxes"]
        assert store.names("nowhere") == ()

    def test_delete_twice_is_delete_once(self, store: Store) -> None:
        """Absent counts as removed, and the neighbour stays."""
        store.put("box/R1/a.txt", spool(b"a"))
        kept = store.put("box/R1/b.txt", spool(b"b"))
        store.delete("box/R1/a.txt")
        store.delete("box/R1/a.txt")
        store.delete("never/was/here")
        assert store.names("box/R1") == ("b.txt",)
        assert store.verify(kept)

    def test_to_erase_twice_is_to_erase_once(self, store: Store, world: World) -> None:
        """Absent counts as erased, the neighbour stays, and what is put there again is whole."""
        store.put("box/R1/a.txt", spool(b"a"))
        kept = store.put("box/R1/b.txt", spool(b"b"))
        store.erase("box/R1/a.txt")
        world.connect().erase("box/R1/a.txt")
        store.erase("never/was/here")
        assert store.names("box/R1") == ("b.txt",)
        assert store.verify(kept)
        assert store.verify(store.put("box/R1/a.txt", spool(b"a")))
        store.delete("box/R1/a.txt")
        store.erase("box/R1/a.txt")
        store.erase("box/R1/b.txt")
        store.erase("box/R1")
        assert store.names("box") == ()

    def test_only_an_empty_collection_is_deleted(self, store: Store) -> None:
        """A collection with something in it is Rejected whole; once empty it goes, and can be made again."""
        stored = store.put("box/R1/a.txt", spool(b"a"))
        for collection in ("box", "box/R1"):
            with pytest.raises(Rejected):
                store.delete(collection)
            with pytest.raises(Rejected):
                store.erase(collection)
        assert store.verify(stored)
        store.delete("box/R1/a.txt")
        store.delete("box/R1")
        assert store.names("box") == ()
        assert store.verify(store.put("box/R1/a.txt", spool(b"a")))

    def test_to_admit_twice_is_to_admit_once(self, store: Store, world: World) -> None:
        """Whoever a mailbox belongs to may read below its folder from then on, as another client sees too."""
        stored = store.put("acme/box/R1/a.txt", spool(b"a"))
        for _ in "twice":
            store.admit("acme/box", "anna@example.org")
            assert store.admits("acme/box", "anna@example.org")
        assert world.connect().admits("acme/box", "anna@example.org")
        assert store.verify(stored)

    def test_share_twice_gives_the_same_links(self, store: Store, world: World) -> None:
        """Links come in the order of the files, and come again, also from another client."""
        files = [store.put(f"box/R1/{name}", spool(name.encode())) for name in ("b.txt", "a.txt", "50% ü.txt")]
        links = store.share(files, LinkTerms(), ORIGIN)
        assert len({link.url for link in links}) == 3
        assert store.share(files, LinkTerms(), ORIGIN) == links
        assert world.connect().share(files, LinkTerms(), ORIGIN) == links
        assert store.share(files[::-1], LinkTerms(), ORIGIN) == links[::-1]

    @pytest.mark.parametrize(
        "terms",
        [
            LinkTerms(Audience.ANYONE),
            LinkTerms(Audience.ANYONE, timedelta(days=7)),
            LinkTerms(Audience.ANYONE, password=True),
        ],
    )
    def test_terms_are_kept_or_refused(self, store: Store, world: World, terms: LinkTerms) -> None:
        """A link for people whom the store does not know is Rejected, or the same one again, with its end."""
        stored = store.put("box/R1/a.txt", spool(b"a"))
        try:
            (link,) = store.share([stored], terms, ORIGIN)
        except Rejected:
            return
        assert (link.expires is None) == (terms.expires is None)
        assert bool(store.password(terms, ORIGIN)) == terms.password
        assert world.connect().share([stored], terms, ORIGIN) == (link,)
        assert world.connect().password(terms, ORIGIN) == store.password(terms, ORIGIN)

    def test_what_takes_the_place_of_a_link_has_another_password(self, store: Store) -> None:
        """Whoever knows the old one, and hears of the new address, opens nothing."""
        stored, terms = store.put("box/R1/a.txt", spool(b"a")), LinkTerms(Audience.ANYONE, password=True)
        try:
            links = store.share([stored], terms, ORIGIN)
        except Rejected:
            return
        told = store.password(terms, ORIGIN)
        store.revoke("box/R1")
        assert store.share([stored], terms, ORIGIN) != links
        assert store.password(terms, ORIGIN) not in ("", told)

    def test_an_end_is_kept_or_refused(self, store: Store) -> None:
        """A link that is to end says when it does, or is not made."""
        stored = store.put("box/R1/a.txt", spool(b"a"))
        try:
            (link,) = store.share([stored], LinkTerms(expires=timedelta(days=7)), ORIGIN)
        except Rejected:
            return
        assert link.expires is not None

    def test_whether_links_can_be_revoked_is_told_truly(self, store: Store) -> None:
        """What takes the place of one that has ended is another one; of what opens on, it is the same."""
        stored = store.put("box/R1/a.txt", spool(b"a"))
        for audience in Audience:
            terms = LinkTerms(audience)
            try:
                links = store.share([stored], terms, ORIGIN)
            except Rejected:
                continue
            store.revoke("box/R1")
            assert (store.share([stored], terms, ORIGIN) != links) == store.can_revoke(terms)

    def test_revoke_twice_is_revoke_once(self, store: Store) -> None:
        """Revoking may be repeated, needs no link, and removes no file."""
        stored = store.put("box/R1/a.txt", spool(b"a"))
        store.share([stored], LinkTerms(), ORIGIN)
        store.revoke("box/R1")
        store.revoke("box/R1")
        store.revoke("nowhere")
        assert store.verify(stored)

    def test_two_clients_put_one_path_at_once(self, world: World) -> None:
        """One content wins whole. The loser is told Corrupt, by put, or by verify where the server looked away."""
        candidates = (b"a" * 300_000, b"b" * 300_000)
        outcomes = raced(world, "box/R1/raced.bin", candidates)
        store = world.connect()
        won = contents(store, "box/R1/raced.bin")
        assert won in candidates
        assert store.names("box/R1") == ("raced.bin",)
        for data, stored in zip(candidates, outcomes, strict=True):
            if data == won:
                assert stored is not None
                assert store.verify(stored)
            elif stored is not None:
                with pytest.raises(Corrupt):
                    store.verify(stored)

    def test_two_clients_put_the_same_bytes_at_once(self, world: World) -> None:
        """Both succeed."""
        data = b"same" * 50_000
        outcomes = raced(world, "box/R1/same.bin", (data, data))
        store = world.connect()
        assert contents(store, "box/R1/same.bin") == data
        assert store.names("box/R1") == ("same.bin",)
        assert [stored is not None and store.verify(stored) for stored in outcomes] == [True, True]

    def test_now_is_what_the_store_says(self, store: Store) -> None:
        """After an answer the store's time is known, with its zone."""
        store.names("")
        now = store.now()
        assert now is not None
        assert now.tzinfo is not None
