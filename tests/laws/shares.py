"""What every share promises, whatever stands behind it. A test class inherits `ShareLaws`, as one of mail `SourceLaws`.

Both have the change feed in common; but here an id stays when a file is moved, the item is the file, and its links
stand in a pointer beside it.
"""

import io
import random
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import pytest

from connector.errors import Conflict, Gone, Rejected, Unavailable
from connector.model import Item, Notice, SharedFile
from connector.sources import Source
from connector.spool import spooled
from tests.laws.sources import notice, reported

REPORT = b"%PDF-1.7 numbers"


class World(Protocol):
    """What the laws do as the users of the share. Ids are those that the source reports."""

    def upload(self, name: str, content: bytes, folder: str = ...) -> str:
        """A new file, or new content for the one of this name. Returns its id."""
        ...

    def edit(self, item_id: str, content: bytes) -> None:
        """Open, change, save."""
        ...

    def move(self, item_id: str, folder: str) -> None:
        """Under the same id."""
        ...

    def rename(self, item_id: str, name: str) -> None:
        """Under the same id."""
        ...

    def copy(self, item_id: str, folder: str) -> str:
        """Returns the id of the copy."""
        ...

    def delete(self, item_id: str) -> None:
        """Into the recycle bin."""
        ...

    def recycled(self) -> list[bytes]:
        """The content of each file in the recycle bin that is no pointer."""
        ...

    def throttle(self, wait: timedelta | None) -> None:
        """From now on the server tells everyone to come back after `wait`; None ends it."""
        ...

    def lose_cursors(self) -> None:
        """The server forgets every cursor that it gave out."""
        ...


def fetched(source: Source, item_id: str) -> SharedFile:
    """What stands behind an id now: a file with its pointer, or one of them."""
    item = source.fetch(item_id)
    assert isinstance(item, SharedFile)
    return item


def shown(source: Source, item_id: str, told: Notice | None = None) -> SharedFile:
    """Put a pointer beside a file."""
    source.rewrite(source.fetch(item_id), told or notice())
    return fetched(source, item_id)


def content(source: Source, item: Item) -> bytes:
    """The bytes of its one file."""
    (file,) = item.files
    with source.open(item.id, file.id) as stream:
        return stream.read()


def some_files(world: World) -> set[str]:
    """Enough files, in enough folders, to make several pages."""
    folders = ("General", "General/Plans", "General/Plans/2026", "General") * 4
    return {world.upload(f"file {number}.pdf", REPORT, folder) for number, folder in enumerate(folders)}


class ShareLaws:
    """Inherit, supply `world` and `source`, and every law is a test."""

    # --- the change feed ---------------------------------------------------------------------------------------------

    def test_reports_every_file(self, world: World, source: Source) -> None:
        """The feed from its beginning has every file of every folder, and no folder."""
        uploaded = some_files(world)
        assert reported(source.changes(None)) == uploaded

    def test_a_cursor_covers_exactly_its_page(self, world: World, source: Source) -> None:
        """Work that stops after any page, and goes on from its cursor, misses nothing and repeats no earlier page."""
        uploaded = some_files(world)
        pages = list(source.changes(None))
        assert len(pages) > 3
        for done in range(1, len(pages) + 1):
            rest = reported(source.changes(pages[done - 1].cursor))
            assert rest >= uploaded - reported(pages[:done])

    def test_nothing_new(self, world: World, source: Source) -> None:
        """From the last cursor on there is nothing, until something happens."""
        some_files(world)
        *_, last = source.changes(None)
        assert reported(source.changes(last.cursor)) == set()
        new = world.upload("new.pdf", REPORT)
        assert reported(source.changes(last.cursor)) == {new}

    def test_users_act_between_pages(self, world: World, source: Source) -> None:
        """What is uploaded, edited or moved while pages are read is reported, by this pass or by the next one."""
        some_files(world)
        feed = source.changes(None)
        seen = [next(feed)]
        while len(reported(seen)) < 2:  # A page may hold nothing but folders.
            seen.append(next(feed))
        moved, edited = sorted(reported(seen))[:2]
        world.move(moved, "General/Plans")
        world.edit(edited, b"edited")
        new = {moved, edited, world.upload("new.pdf", REPORT)}
        pages = list(feed)
        assert new <= reported(pages) | reported(source.changes(pages[-1].cursor))
        assert new <= reported(source.changes(seen[-1].cursor))

    def test_a_lost_cursor_starts_again(self, world: World, source: Source) -> None:
        """The feed begins anew where the server has forgotten the cursor, or where it is none at all."""
        uploaded = some_files(world)
        *_, last = source.changes(None)
        assert reported(source.changes("no cursor")) == uploaded
        world.lose_cursors()
        assert reported(source.changes(last.cursor)) == uploaded

    def test_deleted_files_are_not_reported(self, world: World, source: Source) -> None:
        """Neither before nor after somebody has seen them."""
        seen, unseen = world.upload("seen.pdf", REPORT), world.upload("unseen.pdf", REPORT)
        *_, last = source.changes(None)
        world.delete(seen)
        world.delete(unseen)
        assert reported(source.changes(last.cursor)) == set()
        assert reported(source.changes(None)) == set()

    def test_the_feed_tells_what_a_policy_asks(self, world: World, source: Source) -> None:
        """A file of the feed is the one that `fetch` gives."""
        item_id = world.upload("Bericht \u00fc.pdf", REPORT, "General/Plans")
        (listed,) = (item for page in source.changes(None) for item in page.items)
        item = fetched(source, item_id)
        assert (listed, item.folder.endswith("General/Plans"), item.subject) == (item, True, "Bericht \u00fc.pdf")
        (file,) = item.files
        assert (file.name, file.size, "@" in item.sender, item.pointer) == (item.subject, len(REPORT), True, "")

    # --- reading -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024 + 1])
    def test_open_yields_the_exact_bytes(self, world: World, source: Source, size: int) -> None:
        """Not a byte more, less or other, and again when it is repeated."""
        told = random.Random(size).randbytes(size)
        item = source.fetch(world.upload("content.bin", told))
        assert content(source, item) == told
        assert content(source, item) == told

    def test_versions(self, world: World, source: Source) -> None:
        """The version differs after every change, that of the file when its bytes do; the id stays."""
        item = fetched(source, world.upload("a.pdf", REPORT))
        world.move(item.id, "General/Plans")
        moved = fetched(source, item.id)
        world.edit(item.id, b"edited")
        edited = fetched(source, item.id)
        assert len({each.version for each in (item, moved, edited)}) == 3
        assert item.files[0].version == moved.files[0].version != edited.files[0].version
        assert content(source, edited) == b"edited"

    def test_vanished_files_are_gone(self, world: World, source: Source) -> None:
        """Every verb says so."""
        item = source.fetch(world.upload("a.pdf", REPORT))
        world.delete(item.id)
        with pytest.raises(Gone):
            source.fetch(item.id)
        with pytest.raises(Gone), source.open(item.id, item.files[0].id):
            pass
        with pytest.raises(Gone):
            source.rewrite(item, notice())

    # --- rewriting ---------------------------------------------------------------------------------------------------

    def test_rewrite_and_retract(self, world: World, source: Source) -> None:
        """A pointer stands beside the file, which stays as it is; both ways twice is once."""
        before = fetched(source, world.upload("a.pdf", REPORT))
        item = shown(source, before.id)
        assert (item.id, item.files, item.marker) == (before.id, before.files, notice().marker)
        assert item.body is not None
        assert notice().urls[0] in item.body.content
        assert fetched(source, item.pointer) == item
        assert shown(source, before.id).pointer == item.pointer
        source.retract(fetched(source, before.id), notice().redirect_id)
        assert fetched(source, before.id) == before
        source.retract(before, notice().redirect_id)
        assert reported(source.changes(None)) == {before.id}

    def test_a_new_notice_takes_the_place_of_the_old_one(self, world: World, source: Source) -> None:
        """Of the same redirect: there are never two pointers."""
        item_id = world.upload("a.pdf", REPORT)
        pointer = shown(source, item_id).pointer
        other = notice(link="https://files.example.org/b/report.pdf")
        item = shown(source, item_id, other)
        assert item.body is not None
        assert (item.pointer, item.body.content.split()) == (pointer, ["a.pdf.url", *other.urls])

    def test_a_tombstone_is_told_by_the_name_of_a_pointer(self, world: World, source: Source) -> None:
        """Where the file is gone; twice is once, and a name that is taken stays another's."""
        item = shown(source, world.upload("a.pdf", REPORT))
        source.prune(item, [item.id])
        world.upload("a.pdf (deleted 2028-01-01).url", b"mine")
        told = replace(notice(), urls=(), ended="deleted 2028-01-01")
        for _ in range(2):
            source.rewrite(source.fetch(item.pointer), told)
            body = fetched(source, item.pointer).body
            assert body
            assert body.content.startswith("a.pdf (deleted 2028-01-01) (2).url\n")

    def test_a_file_of_the_pointers_name(self, world: World, source: Source) -> None:
        """It is somebody else's, and stays as it is."""
        item_id, taken = world.upload("a.pdf", REPORT), world.upload("a.pdf.url", b"[InternetShortcut]\r\nURL=x\r\n")
        before = fetched(source, taken)
        item = shown(source, item_id)
        assert item.pointer not in ("", taken)
        assert fetched(source, item_id) == item
        assert fetched(source, taken) == before

    def test_retract_leaves_other_redirects_alone(self, world: World, source: Source) -> None:
        """A pointer of another redirect is not ours to take away."""
        item = shown(source, world.upload("a.pdf", REPORT))
        source.retract(item, "ANOTHER")
        assert fetched(source, item.id) == item

    def test_a_changed_file_is_a_conflict(self, world: World, source: Source) -> None:
        """Nothing of ours stands beside it."""
        item = source.fetch(world.upload("a.pdf", REPORT))
        world.edit(item.id, b"edited")
        with pytest.raises(Conflict):
            source.rewrite(item, notice())
        assert fetched(source, item.id).pointer == ""

    # --- pruning -----------------------------------------------------------------------------------------------------

    def test_prune_recycles_the_file(self, world: World, source: Source) -> None:
        """What stays is its pointer, wherever it is moved; a second time changes nothing."""
        item = shown(source, world.upload("a.pdf", REPORT))
        for _ in range(2):
            source.prune(item, [item.id])
            assert world.recycled() == [REPORT]
            left = fetched(source, item.pointer)
            assert (left.files, left.marker, left.body) == ((), item.marker, item.body)
        with pytest.raises(Gone):
            source.fetch(item.id)
        world.move(item.pointer, "General/Plans")
        world.rename(item.pointer, "renamed.url")
        assert fetched(source, item.pointer).marker == item.marker

    def test_prune_leaves_what_changed(self, world: World, source: Source) -> None:
        """A newer upload is not lost."""
        item = shown(source, world.upload("a.pdf", REPORT))
        world.edit(item.id, b"edited")
        with pytest.raises(Conflict):
            source.prune(item, [item.id])
        assert content(source, fetched(source, item.id)) == b"edited"

    @pytest.mark.parametrize("size", [0, 3, 5_000_001])
    def test_put_back_after_prune_is_the_file_before(self, world: World, source: Source, size: int) -> None:
        """The same bytes under the same name, beside its pointer, wherever that is by now."""
        told = random.Random(size).randbytes(size)
        item = shown(source, world.upload("a.pdf", told))
        source.prune(item, [item.id])
        world.move(item.pointer, "General/Plans")
        world.rename(item.pointer, "renamed.url")
        with spooled(io.BytesIO(told)) as spool:
            source.put_back(fetched(source, item.pointer), item.files[0], spool)
        back = fetched(source, item.pointer)
        assert (back.pointer, content(source, back), back.files[0].name) == (item.pointer, told, "a.pdf")
        assert back.folder.endswith("General/Plans")
        source.retract(back, notice().redirect_id)
        assert fetched(source, back.id).pointer == ""
        with pytest.raises(Gone):
            source.fetch(item.pointer)

    def test_put_back_where_the_name_is_taken(self, world: World, source: Source) -> None:
        """What is there by now is somebody's."""
        item = shown(source, world.upload("a.pdf", REPORT))
        source.prune(item, [item.id])
        other = world.upload("a.pdf", b"another one")
        with spooled(io.BytesIO(REPORT)) as spool, pytest.raises(Rejected):
            source.put_back(fetched(source, item.pointer), item.files[0], spool)
        assert content(source, fetched(source, other)) == b"another one"

    # --- finding -----------------------------------------------------------------------------------------------------

    def test_find_by_the_marker(self, world: World, source: Source) -> None:
        """In any folder, with or without its file, and copies of the pointer too."""
        some_files(world)
        item = shown(source, world.upload("a.pdf", REPORT))
        other = shown(source, world.upload("b.pdf", REPORT), notice("ANOTHER"))
        assert [found.pointer for found in source.find("RX7Q2")] == [item.pointer]
        source.prune(item, [item.id])
        world.move(item.pointer, "General/Plans")
        copied = world.copy(item.pointer, "General")
        assert {found.pointer for found in source.find("RX7Q2")} == {item.pointer, copied}
        assert [found.pointer for found in source.find("ANOTHER")] == [other.pointer]
        assert source.find("NOBODY") == ()

    # --- trouble -----------------------------------------------------------------------------------------------------

    def test_throttled(self, world: World, source: Source) -> None:
        """Unavailable, with the time that the server asked for, and nothing is done."""
        item = source.fetch(world.upload("a.pdf", REPORT))
        world.throttle(timedelta(seconds=17))
        with pytest.raises(Unavailable) as told:
            source.fetch(item.id)
        assert told.value.retry_after == timedelta(seconds=17)
        for verb in (
            lambda: list(source.changes(None)),
            lambda: source.rewrite(item, notice()),
            lambda: source.find("x"),
        ):
            with pytest.raises(Unavailable):
                verb()
        world.throttle(None)
        assert fetched(source, item.id) == item
