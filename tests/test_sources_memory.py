"""The memory source keeps the laws, and its world survives a restart."""

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from connector.model import Body
from connector.sources.memory import Attached, MemoryMailbox, MemorySource
from tests.laws.sources import REPORT, SourceLaws, notice, reported


class Mailbox(MemoryMailbox):
    """The user of a mailbox in memory, as the laws know one."""

    def deliver(
        self, *files: Attached, html: str = "<p>Hello</p>", text: str = "", read: bool = False, **message: Any
    ) -> str:
        """A message arrives."""
        body = Body(text, html=False) if text else Body(html, html=True)
        return super().deliver(*files, read=read, categories=("Blue",), **{"body": body, **message})

    def rest(self, item_id: str) -> object:
        """All but the body, the marker and the version."""
        entry = self.entry(item_id)
        message = entry.message
        told = (message.subject, message.recipients, message.received, message.folder, message.files)
        return told, dict(entry.contents), entry.read, entry.categories

    def throttle(self, wait: timedelta | None) -> None:
        """Busy until told otherwise."""
        self.busy = wait


class TestMemorySource(SourceLaws):
    """The laws."""

    @pytest.fixture
    def world(self) -> Mailbox:
        """An empty mailbox."""
        return Mailbox()

    @pytest.fixture
    def source(self, world: Mailbox) -> MemorySource:
        """Two items a page."""
        return MemorySource(world, page_size=2)


def test_a_restart_changes_nothing() -> None:
    """A copied or pickled world goes on where it stood, with cursors and ids that still hold."""
    mailbox = MemoryMailbox()
    delivered = {mailbox.deliver(REPORT) for _ in range(5)}
    cursor = next(MemorySource(mailbox).changes(None)).cursor
    for world in (copy.deepcopy(mailbox), pickle.loads(pickle.dumps(mailbox))):
        source = MemorySource(world)
        assert reported(source.changes(None)) == delivered
        assert len(reported(source.changes(cursor))) == 2
        world.deliver(REPORT)
    assert len(mailbox.items()) == 5


def test_a_move_changes_every_id() -> None:
    """As Exchange does it: the item and its files are the same, and are called otherwise."""
    mailbox = MemoryMailbox()
    item_id = mailbox.deliver(REPORT)
    before = mailbox.entry(item_id).message
    after = mailbox.entry(mailbox.move(item_id, "Projects")).message
    assert {before.id, before.files[0].id}.isdisjoint({after.id, after.files[0].id})
    assert (after.internet_message_id, after.files[0].name) == (before.internet_message_id, before.files[0].name)


def test_our_own_write_comes_back() -> None:
    """A rewrite echoes through the change feed, as it does with every server."""
    mailbox = MemoryMailbox()
    item_id = mailbox.deliver(REPORT)
    source = MemorySource(mailbox)
    *_, last = source.changes(None)
    source.rewrite(source.fetch(item_id), notice())
    assert reported(source.changes(last.cursor)) == {item_id}


def test_the_announced_size_is_not_the_byte_count() -> None:
    """Nobody may rely on it, so here it is always wrong."""
    mailbox = MemoryMailbox()
    delivered = [mailbox.deliver(Attached("a", bytes(size))) for size in (0, 1, 1000)]
    for item_id, size in zip(delivered, (0, 1, 1000), strict=True):
        (file,) = MemorySource(mailbox).fetch(item_id).files
        assert file.size > size
