"""What was refused is written by the clock: nothing is lost while the process lives, nothing fills memory."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.errors import Unavailable
from connector.links.book import Access, Book
from connector.links.refusals import Refusals
from tests.links import until

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
GUESS = Access(at=NOW, publication="", number=0, client="192.0.2.0", who="0123", what="page", result="refused")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A new book."""
    with closing(Book(f"sqlite:///{tmp_path}/links.db")) as opened:
        yield opened


def noted(book: Book) -> list[tuple[str, str, int]]:
    """What is in it: from where, with what, how often."""
    return [(each.client, each.who, each.times) for each in book.guesses()]


def test_equal_ones_are_summed_up_until_they_are_written(book: Book) -> None:
    """The first time stands for all of them; after a write they begin anew."""
    refusals = Refusals(book)
    for minutes in (1, 0, 2):
        refusals.add(replace(GUESS, at=NOW + timedelta(minutes=minutes)))
    refusals.add(replace(GUESS, who="4567"))
    assert book.guesses() == ()
    refusals.write()
    refusals.write()
    assert noted(book) == [("192.0.2.0", "0123", 3), ("192.0.2.0", "4567", 1)]
    assert book.guesses()[0].at == NOW
    refusals.add(GUESS)
    refusals.write()
    assert noted(book)[2:] == [("192.0.2.0", "0123", 1)]


def test_more_than_it_keeps_apart_are_counted(book: Book) -> None:
    """Whoever guesses from everywhere fills no memory, and hides no number; what is known already goes on."""
    refusals = Refusals(book, most=3)
    for number in range(1000):
        refusals.add(replace(GUESS, who=str(number), publication=f"R{number}"))
    refusals.add(replace(GUESS, who="1", publication="R1"))
    refusals.add(GUESS)
    refusals.write()
    assert noted(book) == [("", "", 998)]


class Full(Book):
    """A book into which nothing can be written while its disk is full."""

    full = True

    def note(self, *accesses: Access) -> None:
        """Refuse, or note."""
        if self.full:
            raise Unavailable("links: the disk is full")
        super().note(*accesses)


def test_what_cannot_be_written_waits(tmp_path: Path) -> None:
    """With what comes meanwhile."""
    with closing(Full(f"sqlite:///{tmp_path}/links.db")) as book:
        refusals = Refusals(book)
        for _ in range(2):
            refusals.add(GUESS)
            refusals.write()
        book.full = False
        refusals.write()
        assert noted(book) == [("192.0.2.0", "0123", 2)]


def test_the_clock_writes_and_the_end_does(book: Book) -> None:
    """Nobody has to ask for it."""
    with Refusals(book).written(every=0.01) as refusals:
        refusals.add(GUESS)
        until(lambda: bool(book.guesses()))
    with Refusals(book).written(every=3600) as refusals:
        refusals.add(replace(GUESS, who="last"))
    assert noted(book) == [("192.0.2.0", "0123", 1), ("192.0.2.0", "last", 1)]
