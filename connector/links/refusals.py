"""What was refused, until the clock has it written into the book.

A write slows down whoever asks at the same moment: made by the request that is refused, it would tell the next one
whether there had been something to refuse. So requests only put it down here, also where there is nothing under the
name that they said, and one thread writes at times that no request chooses.
What somebody gets is written down before he gets it, by the request. A crash loses what nobody got, of a few seconds.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from connector.errors import Unavailable
from connector.links.book import Access, Book
from connector.log import Event, log

#: Seconds between two writes.
EVERY = 5.0
#: More than these that differ are only counted until the next write.
_MOST = 10_000
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


class Refusals:
    """Those that are not in the book yet. For many threads."""

    def __init__(self, book: Book, most: int = _MOST) -> None:
        """`most`: how many that differ are kept apart."""
        self._book = book
        self._most = most
        self._lock = threading.Lock()
        #: Equal but for their times, they are one.
        self._waiting: dict[Access, Access] = {}

    def add(self, refused: Access) -> None:
        """Remember it. The same work for every one."""
        kind = replace(refused, at=_ANY_TIME, times=1)
        with self._lock:
            if kind not in self._waiting and len(self._waiting) >= self._most:
                # Whoever guesses from everywhere fills no memory, and hides no number.
                kind = replace(kind, publication="", number=0, client="", who="")
            known = self._waiting.get(kind)
            times, at = (known.times, known.at) if known else (0, refused.at)
            self._waiting[kind] = replace(kind, at=min(at, refused.at), times=times + refused.times)

    def write(self) -> None:
        """Have all of them in the book; where that cannot be written now, they wait."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            self._book.note(*waiting.values())
        except Unavailable as error:
            log.warning(Event.LINK_BROKEN_OFF, reason=str(error))
            for each in waiting.values():
                self.add(each)

    @contextmanager
    def written(self, every: float = EVERY) -> Iterator["Refusals"]:
        """Write by the clock, and once more at the end. Gives itself."""
        ended = threading.Event()

        def keep_writing() -> None:
            while not ended.wait(every):
                self.write()

        writer = threading.Thread(target=keep_writing, name="refusals")
        writer.start()
        try:
            yield self
        finally:
            ended.set()
            writer.join()
            self.write()
