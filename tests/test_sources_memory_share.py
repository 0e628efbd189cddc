"""The share in memory keeps the laws."""

from datetime import timedelta

import pytest

from connector.rewrite import pointer
from connector.sources.memory_share import MemoryShare, MemoryShareSource
from tests.laws.shares import ShareLaws


class Users(MemoryShare):
    """The share and its users."""

    def recycled(self) -> list[bytes]:
        """What was deleted, but for pointers."""
        return [entry.content for entry in self.bin.values() if pointer.read(entry.content) is None]

    def throttle(self, wait: timedelta | None) -> None:
        """Everyone is to come back later."""
        self.busy = wait


@pytest.fixture
def world() -> Users:
    """An empty share."""
    return Users()


@pytest.fixture
def source(world: Users) -> MemoryShareSource:
    """The adapter."""
    return MemoryShareSource(world)


class TestMemoryShare(ShareLaws):
    """The laws."""
