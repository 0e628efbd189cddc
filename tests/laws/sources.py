"""What every source promises, whatever stands behind it.

A test class inherits `SourceLaws` and supplies two fixtures: `world`, which acts as the user and looks at the mailbox
behind the adapter's back, and `source`, the adapter over just that mailbox, whose pages hold few items.
"""

import io
import random
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from email import message_from_binary_file, policy
from typing import Any, Protocol

import pytest

from connector.errors import Conflict, FileGone, Gone, Unavailable
from connector.model import File, Item, Letter, Message, Notice, Page
from connector.rewrite import markup, text
from connector.sources import Source
from connector.sources.memory import Attached
from connector.spool import spooled

REPORT = Attached("report.pdf", b"%PDF-1.7 numbers", "application/pdf")
LOGO = Attached("logo.png", b"\x89PNG logo", "image/png", inline=True, content_id="logo@example.org")
HTML = (
    "<html>\r\n<head><title>x</title></head>\r\n"
    "<body>\r\n<p>Gr\u00fc\u00dfe &amp; K\u00fcsse\u00a0!</p>\r\n</body>\r\n</html>\r\n"
)
TEXT = "Hello,\r\n\r\n  here it is. \u4f60\u597d\r\n-- \r\nBert\r\n"


class World(Protocol):
    """What the laws do as the user of the mailbox. Item and file ids are those that the source reports."""

    def deliver(self, *files: Attached, html: str = ..., text: str = ..., folder: str = ..., read: bool = ...) -> str:
        """A message with one body, HTML or plain text, arrives in a folder. Returns its id."""
        ...

    def move(self, item_id: str, folder: str) -> str:
        """Returns the id that the item has afterwards."""
        ...

    def copy(self, item_id: str, folder: str) -> str:
        """Returns the id of the copy."""
        ...

    def delete(self, item_id: str) -> None:
        """For good."""
        ...

    def edit_body(self, item_id: str, content: str) -> None:
        """The user rewrites the message and saves it."""
        ...

    def attach(self, item_id: str, file: Attached) -> Any:
        """The user adds a file."""
        ...

    def detach(self, item_id: str, file_id: str) -> None:
        """The user takes a file out."""
        ...

    def mark_read(self, item_id: str) -> None:
        """The user opens the message."""
        ...

    def rest(self, item_id: str) -> object:
        """All that must survive a rewrite: recipients, subject, read flag, dates, categories, files and their bytes."""
        ...

    def throttle(self, wait: timedelta | None) -> None:
        """From now on the server tells everyone to come back after `wait`; None ends it."""
        ...

    def lose_cursors(self) -> None:
        """The server forgets every cursor that it gave out."""
        ...


def without_ids(rest: object) -> str:
    """What must be the same before and after; memory counts its file ids and versions on."""
    return re.sub(r"file-\d+", "file", repr(rest))


def notice(redirect_id: str = "RX7Q2", *, link: str = "https://files.example.org/a/report.pdf") -> Notice:
    """A notice like the ones that the service makes."""
    return Notice(
        redirect_id=redirect_id,
        marker=f"1.{redirect_id}.1.00ff",
        html=markup.wrapped(redirect_id, f'<a href="{link}">report.pdf</a>'),
        text=text.wrapped(redirect_id, f"report.pdf: {link}"),
        urls=(link,),
    )


def reported(pages: Iterable[Page]) -> set[str]:
    """The ids of all items on these pages."""
    return {item.id for page in pages for item in page.items}


def described(file: File) -> tuple[str, str, str, bool]:
    """What a file that is put back has again, beside its name and bytes."""
    return file.content_type, file.content_id, file.content_location, file.inline


def some_messages(world: World) -> set[str]:
    """Enough messages, in enough folders, to make several pages."""
    folders = ("Inbox", "Sent Items", "Inbox", "Projects/2026", "Inbox", "Projects/2026", "Inbox", "Inbox")
    return {world.deliver(REPORT, folder=folder) for folder in folders}


def read(source: Source, item: Item, name: str) -> bytes:
    """The bytes of the file of this name."""
    (file_id,) = (file.id for file in item.files if file.name == name)
    with source.open(item.id, file_id) as stream:
        return stream.read()


class SourceLaws:
    """Inherit, supply `world` and `source`, and every law is a test."""

    # --- the change feed ---------------------------------------------------------------------------------------------

    def test_reports_every_item(self, world: World, source: Source) -> None:
        """The feed from its beginning has every message of every folder in scope."""
        delivered = some_messages(world)
        assert reported(source.changes(None)) == delivered

    def test_a_cursor_covers_exactly_its_page(self, world: World, source: Source) -> None:
        """Work that stops after any page, and goes on from its cursor, misses nothing and repeats no earlier page."""
        delivered = some_messages(world)
        pages = list(source.changes(None))
        assert len(pages) > 3
        for done in range(1, len(pages) + 1):
            rest = reported(source.changes(pages[done - 1].cursor))
            assert rest >= delivered - reported(pages[:done])
            assert rest.isdisjoint(reported(pages[: done - 1]))

    def test_nothing_new(self, world: World, source: Source) -> None:
        """From the last cursor on there is nothing, until something happens."""
        some_messages(world)
        *_, last = source.changes(None)
        assert reported(source.changes(last.cursor)) == set()
        new = world.deliver(REPORT)
        assert reported(source.changes(last.cursor)) == {new}

    def test_users_act_between_pages(self, world: World, source: Source) -> None:
        """What arrives, changes or moves while pages are read is reported, by this pass or by the next one."""
        some_messages(world)
        feed = source.changes(None)
        first = next(feed)
        seen = reported([first])
        moved, edited = sorted(seen)[:2]
        now_known_as = world.move(moved, "Projects/2026")
        world.edit_body(edited, "<html><body>edited</body></html>")
        new = {now_known_as, edited, world.deliver(REPORT, folder="Sent Items"), world.deliver(REPORT)}
        pages = list(feed)
        assert new <= reported(pages) | reported(source.changes(pages[-1].cursor))
        assert new <= reported(source.changes(first.cursor))

    def test_every_change_of_an_item_is_reported(self, world: World, source: Source) -> None:
        """An edited message comes again, under another version."""
        item_id = world.deliver(REPORT)
        *_, page = source.changes(None)
        before = source.fetch(item_id)
        world.edit_body(item_id, "<html><body>edited</body></html>")
        (item,) = (item for page in source.changes(page.cursor) for item in page.items)
        assert (item.id, item.version == before.version) == (item_id, False)

    def test_a_lost_cursor_starts_again(self, world: World, source: Source) -> None:
        """The feed begins anew where the server has forgotten the cursor, or where it is none at all."""
        delivered = some_messages(world)
        *_, last = source.changes(None)
        assert reported(source.changes("no cursor")) == delivered
        world.lose_cursors()
        assert reported(source.changes(last.cursor)) == delivered

    def test_an_empty_mailbox_has_a_cursor(self, world: World, source: Source) -> None:
        """Also a feed without items ends in a page, so that the first contact is remembered."""
        *_, last = source.changes(None)
        assert last.items == ()
        new = world.deliver(REPORT)
        assert reported(source.changes(last.cursor)) == {new}

    @pytest.mark.parametrize("folder", ["Deleted Items", "Drafts", "Junk Email", "Deleted Items/Old"])
    def test_folders_out_of_scope(self, world: World, source: Source, folder: str) -> None:
        """What lies in Junk, Drafts and Deleted Items is not reported; what is moved out of them is.

        Whoever has its id is told so.
        """
        item_id = world.deliver(REPORT, folder=folder)
        *_, last = source.changes(None)
        assert reported([last]) == set()
        assert not source.fetch(item_id).in_scope
        restored = world.move(item_id, "Inbox")
        assert reported(source.changes(last.cursor)) == {restored}
        assert source.fetch(restored).in_scope
        assert not source.fetch(world.move(restored, folder)).in_scope

    def test_the_feed_tells_what_a_policy_asks(self, world: World, source: Source) -> None:
        """An item of the feed is the item that `fetch` gives, without its body."""
        item_id = world.deliver(REPORT, LOGO, html=HTML, folder="Projects/2026")
        (listed,) = (item for page in source.changes(None) for item in page.items)
        fetched = source.fetch(item_id)
        assert listed.body is None
        assert fetched.body is not None
        assert (fetched.folder, fetched.body.html, fetched.body.content) == ("Projects/2026", True, HTML)
        for name in ("id", "version", "folder", "subject", "sender", "recipients", "received", "files", "marker"):
            assert getattr(listed, name) == getattr(fetched, name), name
        report, logo = sorted(fetched.files, key=lambda file: file.inline)
        assert (report.name, report.content_type, report.inline) == ("report.pdf", "application/pdf", False)
        assert (logo.name, logo.inline, logo.content_id) == ("logo.png", True, "logo@example.org")

    @pytest.mark.parametrize("read", [True, False])
    def test_what_its_owner_did_with_it(self, world: World, source: Source, *, read: bool) -> None:
        """The feed tells whether it was read, its categories and its size, and so does `fetch`."""
        item_id = world.deliver(REPORT, read=read)
        (listed,) = (item for page in source.changes(None) for item in page.items)
        for item in (listed, source.fetch(item_id)):
            assert isinstance(item, Message)
            assert item.read is read
            assert item.categories == ("Blue",) or not read
            assert item.size >= len(REPORT.content)

    # --- reading -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"x", id="one byte"),
            pytest.param(bytes(range(256)) * 3 + b"\r\n.\r\n\x00\xff\xfe", id="every byte"),
            pytest.param(b"]]></Content><!-- &amp; -->", id="markup"),
            pytest.param(random.Random(7).randbytes(5 * 1024 * 1024 + 1), id="5 MB"),
        ],
    )
    def test_open_yields_the_exact_bytes(self, world: World, source: Source, content: bytes) -> None:
        """Not a byte more, less or other, and again when it is repeated."""
        item = source.fetch(world.deliver(REPORT, Attached("content.bin", content)))
        assert read(source, item, "content.bin") == content
        assert read(source, item, "content.bin") == content

    def test_two_files_of_one_name(self, world: World, source: Source) -> None:
        """They are told apart by id."""
        item = source.fetch(world.deliver(Attached("a.txt", b"one"), Attached("a.txt", b"two")))
        contents = set()
        for file in item.files:
            with source.open(item.id, file.id) as stream:
                contents.add(stream.read())
        assert contents == {b"one", b"two"}

    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "a\u202efdp.exe", "  ", "\u041e\u0442\u0447\u0451\u0442 <&>.doc", "x" * 300]
    )
    def test_any_name(self, world: World, source: Source, name: str) -> None:
        """A hostile name is data like any other: listed as it is, and its file opens."""
        item = source.fetch(world.deliver(Attached(name, b"content")))
        (file,) = item.files
        assert file.name.strip() == name.strip()
        assert read(source, item, file.name) == b"content"

    def test_vanished_items_are_gone(self, world: World, source: Source) -> None:
        """Every verb says so; also when the message was only moved away, where that gives it another id."""
        ids = [world.deliver(REPORT), world.deliver(REPORT)]
        for item_id in ids:
            source.rewrite(source.fetch(item_id), notice())
        deleted, moved = map(source.fetch, ids)
        world.delete(deleted.id)
        keeps_its_id = world.move(moved.id, "Projects/2026") == moved.id
        for item in (deleted,) if keeps_its_id else (deleted, moved):
            (file,) = item.files
            with pytest.raises(Gone):
                source.fetch(item.id)
            with pytest.raises(Gone), source.open(item.id, file.id):
                pass
            with pytest.raises(Gone):
                source.rewrite(item, notice(link="https://files.example.org/new"))
            with pytest.raises(Gone):
                source.retract(item, notice().redirect_id)
            with pytest.raises(Gone):
                source.prune(item, [file.id])

    def test_the_whole_item_has_every_file(self, world: World, source: Source) -> None:
        """As MIME: each file byte for byte, and the text; one that is not there is gone."""
        item = source.fetch(world.deliver(REPORT, Attached("b.bin", bytes(range(256)) * 300), html=HTML))
        with source.original(item.id) as stream:
            whole = message_from_binary_file(stream, policy=policy.default)
        contents = {part.get_filename(): part.get_payload(decode=True) for part in whole.walk() if part.get_filename()}
        assert contents == {"report.pdf": REPORT.content, "b.bin": bytes(range(256)) * 300}
        text = whole.get_body()
        assert text is not None
        assert "Gr\u00fc\u00dfe &amp; K\u00fcsse" in text.get_content()
        world.delete(item.id)
        with pytest.raises(Gone), source.original(item.id):
            pass

    def test_a_vanished_file_is_gone(self, world: World, source: Source) -> None:
        """The item is there, the file is not."""
        item = source.fetch(world.deliver(REPORT, LOGO))
        detached, _ = item.files
        world.detach(item.id, detached.id)
        with pytest.raises(FileGone), source.open(item.id, detached.id):
            pass

    # --- rewriting ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("body", [{"html": HTML}, {"text": TEXT}], ids=["html", "text"])
    def test_rewrite_and_retract(self, world: World, source: Source, body: dict[str, Any]) -> None:
        """The item shows the links and carries the marker; without them it is byte for byte what it was."""
        before = source.fetch(world.deliver(REPORT, **body))
        source.rewrite(before, notice())
        shown = source.fetch(before.id)
        assert shown.body is not None
        assert all(url in shown.body.content for url in notice().urls)
        assert (shown.marker, shown.version == before.version) == (notice().marker, False)
        source.retract(shown, notice().redirect_id)
        after = source.fetch(before.id)
        assert (after.body, after.marker) == (before.body, "")
        source.retract(after, notice().redirect_id)
        assert source.fetch(before.id).body == before.body

    def test_rewrite_twice_is_once(self, world: World, source: Source) -> None:
        """Repeated, it changes nothing; a new notice of the same redirect takes the place of the old one."""
        item_id = world.deliver(REPORT, html=HTML)
        source.rewrite(source.fetch(item_id), notice())
        once = source.fetch(item_id)
        source.rewrite(once, notice())
        assert source.fetch(item_id).body == once.body
        other = notice(link="https://files.example.org/b/report.pdf")
        source.rewrite(source.fetch(item_id), other)
        body = source.fetch(item_id).body
        assert body is not None
        assert (other.urls[0] in body.content, notice().urls[0] in body.content) == (True, False)

    @pytest.mark.parametrize("was_read", [False, True])
    def test_rewrite_leaves_the_rest_alone(self, world: World, source: Source, *, was_read: bool) -> None:
        """Recipients, subject, read flag, dates, categories, files and inline images stay as they are."""
        item_id = world.deliver(REPORT, LOGO, html=HTML, read=was_read)
        before = world.rest(item_id)
        source.rewrite(source.fetch(item_id), notice())
        assert world.rest(item_id) == before
        source.retract(source.fetch(item_id), notice().redirect_id)
        assert world.rest(item_id) == before

    def test_a_changed_item_is_a_conflict(self, world: World, source: Source) -> None:
        """What the user wrote meanwhile stays, and nothing of ours is in it."""
        item = source.fetch(world.deliver(REPORT, html=HTML))
        world.edit_body(item.id, "<html><body>the user was here</body></html>")
        with pytest.raises(Conflict):
            source.rewrite(item, notice())
        now = source.fetch(item.id)
        assert now.body is not None
        assert ("the user was here" in now.body.content, now.marker) == (True, "")

    def test_retract_on_a_changed_item_is_a_conflict(self, world: World, source: Source) -> None:
        """Taking a notice out is a write like any other."""
        item_id = world.deliver(REPORT, html=HTML)
        source.rewrite(source.fetch(item_id), notice())
        item = source.fetch(item_id)
        world.edit_body(item_id, "<html><body>the user was here</body></html>")
        with pytest.raises(Conflict):
            source.retract(item, notice().redirect_id)
        now = source.fetch(item_id)
        assert now.body is not None
        assert ("the user was here" in now.body.content, now.marker) == (True, notice().marker)

    def test_retract_leaves_other_redirects_alone(self, world: World, source: Source) -> None:
        """A marker of another redirect is not ours to take out."""
        item_id = world.deliver(REPORT, html=HTML)
        source.rewrite(source.fetch(item_id), notice())
        shown = source.fetch(item_id)
        source.retract(shown, "ANOTHER")
        assert (source.fetch(item_id).body, source.fetch(item_id).marker) == (shown.body, shown.marker)

    # --- pruning -----------------------------------------------------------------------------------------------------

    def test_prune_removes_just_these_files(self, world: World, source: Source) -> None:
        """The others keep their bytes; a second time changes nothing; absent counts as removed."""
        item = source.fetch(world.deliver(REPORT, LOGO, Attached("b.txt", b"b"), Attached("c.txt", b"c")))
        source.prune(item, [file.id for file in item.files if file.name in {"report.pdf", "c.txt"}])
        left = source.fetch(item.id)
        assert {file.name for file in left.files} == {"logo.png", "b.txt"}
        assert (read(source, left, "logo.png"), read(source, left, "b.txt")) == (LOGO.content, b"b")
        source.prune(left, [file.id for file in item.files if file.name in {"report.pdf", "c.txt"}])
        assert source.fetch(item.id) == left

    def test_prune_leaves_the_body_alone(self, world: World, source: Source) -> None:
        """It takes files out and nothing else."""
        item_id = world.deliver(REPORT, html=HTML)
        source.rewrite(source.fetch(item_id), notice())
        shown = source.fetch(item_id)
        source.prune(shown, [file.id for file in shown.files])
        after = source.fetch(item_id)
        assert (after.body, after.marker, after.files) == (shown.body, shown.marker, ())

    def test_prune_of_what_has_changed_is_a_conflict(self, world: World, source: Source) -> None:
        """The links that the caller has just seen in it may be what changed: nothing is removed."""
        item = source.fetch(world.deliver(REPORT, html=HTML))
        source.rewrite(item, notice())
        with pytest.raises(Conflict):
            source.prune(item, [file.id for file in item.files])
        assert [file.name for file in source.fetch(item.id).files] == ["report.pdf"]

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 2_000_001])
    def test_put_back_after_prune_is_the_item_before(self, world: World, source: Source, size: int) -> None:
        """The same bytes under the same name, type, content id and inline flag; everything else untouched."""
        content = random.Random(size).randbytes(size)
        picture = Attached(
            "[the bytes of the file]",
            content,
            "image/png",
            inline=True,
            content_id="x@example.org",
            content_location="http://example.org/x.png",
        )
        item = source.fetch(world.deliver(REPORT, picture, html=HTML))
        told = {file.name: described(file) for file in item.files}
        rest = world.rest(item.id)
        source.prune(item, [file.id for file in item.files])
        for file in item.files:
            data = content if file.name == picture.name else REPORT.content
            with spooled(io.BytesIO(data)) as spool:
                source.put_back(source.fetch(item.id), file, spool)
        back = source.fetch(item.id)
        assert {file.name: described(file) for file in back.files} == told
        assert (read(source, back, picture.name), read(source, back, "report.pdf")) == (content, REPORT.content)
        assert (back.body, back.subject, back.marker) == (item.body, item.subject, item.marker)
        assert without_ids(world.rest(item.id)) == without_ids(rest)

    def test_put_back_into_what_is_gone(self, world: World, source: Source) -> None:
        """Gone, and nothing appears elsewhere."""
        item = source.fetch(world.deliver(REPORT))
        world.delete(item.id)
        with spooled(io.BytesIO(REPORT.content)) as spool, pytest.raises(Gone):
            source.put_back(item, item.files[0], spool)

    # --- room for what is deleted and changed ------------------------------------------------------------------------

    def test_room(self, world: World, source: Source) -> None:
        """Neither our edits nor what a user deletes makes any."""
        item = source.fetch(world.deliver(REPORT, html=HTML))
        before = source.room()
        source.rewrite(item, notice())
        source.prune(source.fetch(item.id), [file.id for file in item.files])
        world.delete(item.id)
        after = source.room()
        assert before
        assert after
        assert (after.quota, after.used >= before.used) == (before.quota, True)

    # --- finding our own work again ----------------------------------------------------------------------------------

    def test_find_by_marker(self, world: World, source: Source) -> None:
        """Found wherever it was moved, copies too, also in Deleted Items; nothing else is found."""
        item_id, other = world.deliver(REPORT, html=HTML), world.deliver(REPORT, html=HTML)
        source.rewrite(source.fetch(item_id), notice("RX7Q2"))
        source.rewrite(source.fetch(other), notice("RX7Q25"))
        assert [item.id for item in source.find("RX7Q2")] == [item_id]
        moved = world.move(item_id, "Deleted Items")
        copied = world.copy(moved, "Projects/2026")
        found = source.find("RX7Q2")
        assert {item.id for item in found} == {moved, copied}
        assert {(item.marker, len(item.files), item.body) for item in found} == {(notice("RX7Q2").marker, 1, None)}
        assert source.find("RNONE") == ()

    def test_a_letter_is_found_by_its_marker(self, source: Source) -> None:
        """It lies in the Inbox, with nothing attached, as it was written; and the feed tells of it as of any other."""
        letter = Letter(
            marker="1.R1-secret.3.00",
            internet_message_id="<R1-secret@connector.invalid>",
            sender="Example \u201cFiles\u201d, the store",
            subject="Passwort f\u00fcr \u4f60\u597d",
            text="Gr\u00fc\u00dfe\n\n    abcd-efgh\n",
        )
        source.tell(letter)
        (found,) = source.find("R1-secret")
        assert isinstance(found, Message)
        told = source.fetch(found.id)
        assert isinstance(told, Message)
        assert (told.folder, told.subject, told.files, told.draft) == ("Inbox", letter.subject, (), False)
        assert (told.marker, told.internet_message_id) == (letter.marker, letter.internet_message_id)
        assert told.body
        assert not told.body.html
        assert told.body.content.replace("\r\n", "\n").rstrip() == letter.text.rstrip()
        assert found.id in {item.id for page in source.changes(None) for item in page.items}

    # --- the shelf ---------------------------------------------------------------------------------------------------

    def test_a_copy_on_the_shelf_is_the_item_once_more(self, world: World, source: Source) -> None:
        """Bytes, body, and all that a user sees; the item itself stays as it is."""
        item_id = world.deliver(REPORT, LOGO, html=HTML, read=True)
        item, rest = source.fetch(item_id), world.rest(item_id)
        assert source.shelf("RX7Q2") == ()
        copy_id = source.stage(item_id, "RX7Q2")
        (copy,) = source.shelf("RX7Q2")
        assert (copy.id, copy) == (copy_id, source.fetch(copy_id))
        for name in ("internet_message_id", "subject", "sender", "recipients", "received", "touched", "body", "draft"):
            assert getattr(copy, name) == getattr(item, name), name
        assert (read(source, copy, "report.pdf"), read(source, copy, "logo.png")) == (REPORT.content, LOGO.content)
        assert (source.fetch(item_id), world.rest(item_id)) == (item, rest)

    def test_shelves_are_apart(self, world: World, source: Source) -> None:
        """Each redirect has its own, and a copy made twice is there twice."""
        item_id = world.deliver(REPORT)
        two = {source.stage(item_id, "RX7Q2"), source.stage(item_id, "RX7Q2")}
        other = source.stage(item_id, "RX7Q25")
        assert {item.id for item in source.shelf("RX7Q2")} == two
        assert {item.id for item in source.shelf("RX7Q25")} == {other}

    def test_what_lies_on_a_shelf_is_nobody_elses_business(self, world: World, source: Source) -> None:
        """It has no path, no change feed tells of it, no search finds it, and it can be edited like any item."""
        item_id = world.deliver(REPORT, html=HTML)
        *_, last = source.changes(None)
        copy = source.fetch(source.stage(item_id, "RX7Q2"))
        source.rewrite(copy, notice("RX7Q2"))
        shown = source.fetch(copy.id)
        source.prune(shown, [file.id for file in shown.files])
        edited = source.fetch(copy.id)
        assert (edited.files, edited.marker, edited.folder) == ((), notice("RX7Q2").marker, "")
        assert reported(source.changes(last.cursor)) == set()
        assert reported(source.changes(None)) == {item_id}
        assert source.find("RX7Q2") == ()
        assert read(source, source.fetch(item_id), "report.pdf") == REPORT.content

    def test_the_copy_takes_the_place_of_the_item(self, world: World, source: Source) -> None:
        """It comes into the folder where the item is, and is found there; the item leaves it, whole."""
        item_id = world.deliver(REPORT, LOGO, html=HTML, folder="Projects/2026", read=True)
        item, rest = source.fetch(item_id), world.rest(item_id)
        *_, last = source.changes(None)
        copy = source.fetch(source.stage(item_id, "RX7Q2"))
        source.rewrite(copy, notice("RX7Q2"))
        placed = source.unshelve(copy.id, item_id)
        assert (source.shelf("RX7Q2"), [found.id for found in source.find("RX7Q2")]) == ((), [placed])
        assert (source.fetch(placed).folder, without_ids(world.rest(placed))) == ("Projects/2026", without_ids(rest))
        shelved = source.shelve(item_id, "RX7Q2")
        assert reported(source.changes(last.cursor)) == {placed}
        (held,) = source.shelf("RX7Q2")
        assert (held.id, held.body, held.touched, held.marker) == (shelved, item.body, item.touched, "")
        assert read(source, held, "report.pdf") == REPORT.content
        back = source.unshelve(shelved, placed)
        assert (source.fetch(back).folder, source.fetch(back).body) == ("Projects/2026", item.body)

    def test_purge_deletes_just_these_items(self, world: World, source: Source) -> None:
        """Wherever they are; a second time changes nothing, and the shelf can be used again."""
        item_id = world.deliver(REPORT)
        first, second = source.stage(item_id, "RX7Q2"), source.stage(item_id, "RX7Q2")
        placed = source.unshelve(source.stage(item_id, "RX7Q2"), item_id)
        for _ in range(2):
            source.purge([first, placed], "RX7Q2")
            assert [item.id for item in source.shelf("RX7Q2")] == [second]
            with pytest.raises(Gone):
                source.fetch(placed)
        for _ in range(2):
            source.purge([second], "RX7Q2")
            source.purge([], "RX7Q2")
            assert source.shelf("RX7Q2") == ()
        assert reported(source.changes(None)) == {item_id}
        source.stage(item_id, "RX7Q2")
        assert len(source.shelf("RX7Q2")) == 1

    def test_what_is_gone_cannot_be_put_on_a_shelf(self, world: World, source: Source) -> None:
        """Nor taken from it; and nothing appears anywhere."""
        item_id, other = world.deliver(REPORT), world.deliver(REPORT)
        world.delete(item_id)
        verbs: tuple[Callable[[], object], ...] = (
            lambda: source.stage(item_id, "RX7Q2"),
            lambda: source.shelve(item_id, "RX7Q2"),
            lambda: source.unshelve(item_id, other),
            lambda: source.unshelve(source.stage(other, "RX7Q25"), item_id),
        )
        for verb in verbs:
            with pytest.raises(Gone):
                verb()
        assert source.shelf("RX7Q2") == ()
        assert reported(source.changes(None)) == {other}

    def test_what_users_touch_shows(self, world: World, source: Source) -> None:
        """Reading a message, and reading it again from afar: only the first is a touch."""
        item_id = world.deliver(REPORT)
        before = source.fetch(item_id).touched
        assert source.fetch(item_id).touched == before
        world.mark_read(item_id)
        assert source.fetch(item_id).touched != before

    def test_recent(self, world: World, source: Source) -> None:
        """Only what has files and came in since then, and is in a folder that is looked at; told as the feed does."""
        item_id = world.deliver(REPORT, folder="Inbox/Project")
        world.deliver()
        world.deliver(REPORT, folder="Deleted Items")
        received = source.fetch(item_id).received
        assert received
        told = [each for page in source.recent(received) for each in page.items]
        assert told == [each for page in source.changes(None) for each in page.items if each.id == item_id]
        assert not reported(source.recent(received + timedelta(hours=1)))

    # --- trouble -----------------------------------------------------------------------------------------------------

    def test_throttled(self, world: World, source: Source) -> None:
        """Every verb passes on how long the server asks us to wait, and nothing has happened."""
        item = source.fetch(world.deliver(REPORT, html=HTML))
        world.throttle(timedelta(seconds=17))
        for verb in (
            lambda: list(source.changes(None)),
            lambda: source.fetch(item.id),
            lambda: source.open(item.id, item.files[0].id).__enter__(),
            lambda: source.rewrite(item, notice()),
            lambda: source.prune(item, [item.files[0].id]),
            lambda: source.find("RX7Q2"),
            lambda: source.shelf("RX7Q2"),
            lambda: source.stage(item.id, "RX7Q2"),
            lambda: source.shelve(item.id, "RX7Q2"),
            lambda: source.unshelve(item.id, item.id),
            lambda: source.purge([item.id], "RX7Q2"),
        ):
            with pytest.raises(Unavailable) as told:
                verb()
            assert told.value.retry_after == timedelta(seconds=17)
        world.throttle(None)
        assert source.fetch(item.id) == item
