"""Work in many threads: which mailbox has its turn now, or is next; and feeds that are read side by side."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from connector.daemon.tenants import Mailbox
from connector.ledger import LedgerError
from connector.log import Event, log

P = ParamSpec("P")
T = TypeVar("T")


class Turns:
    """Which mailboxes have their turn now, or are next: no mailbox has two at a time."""

    def __init__(self, pool: ThreadPoolExecutor, give: Callable[[Mailbox], bool]) -> None:
        """`give` is a mailbox's turn; where it says True, there is one more, after those of all that wait."""
        self._pool = pool
        self._give = give
        self._lock = threading.Lock()
        self._next: set[str] = set()
        self._now: set[str] = set()
        self._again: set[str] = set()

    def ask(self, mailbox: Mailbox) -> bool:
        """Give this mailbox a turn, unless it is next, or has it now: then False."""
        with self._lock:
            if mailbox.name in self._next or mailbox.name in self._now:
                return False
            self._submit(mailbox)
            return True

    def ask_once_more(self, mailbox: Mailbox) -> None:
        """Give this mailbox a turn that begins from now on: the one that it has now may have looked already."""
        with self._lock:
            if mailbox.name in self._now:
                self._again.add(mailbox.name)
            elif mailbox.name not in self._next:
                self._submit(mailbox)

    def _submit(self, mailbox: Mailbox) -> None:
        # The pool takes nothing any more when the process is to end.
        with suppress(RuntimeError):
            self._pool.submit(guarded, self._turn, mailbox)
            self._next.add(mailbox.name)

    def _turn(self, mailbox: Mailbox) -> None:
        with self._lock:
            self._next.discard(mailbox.name)
            self._now.add(mailbox.name)
        more = False
        try:
            more = self._give(mailbox)
        finally:
            with self._lock:
                self._now.discard(mailbox.name)
                if more or mailbox.name in self._again:
                    self._again.discard(mailbox.name)
                    self._submit(mailbox)


def guarded(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Whatever happens in one turn, the others go on, and the next one comes."""
    try:
        work(*args, **kwargs)
    except LedgerError as error:
        log.error(Event.LEDGER_FAILED, reason=str(error))
    except Exception:  # noqa: BLE001 - a bug in one turn must not stop the daemon
        log.exception(Event.BUG)


def side_by_side(feeds: Sequence[Iterable[T]], take: Callable[[int, T], None], threads: int) -> None:
    """Hand on what each of these tells, with its number, as it comes from so many threads; `take` has one at a time.

    Raises the first error, and looks no further.
    """
    one_at_a_time, ended = threading.Lock(), threading.Event()

    def exhaust(number: int) -> None:
        for each in feeds[number]:
            if ended.is_set():
                return
            with one_at_a_time:
                take(number, each)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for _ in pool.map(exhaust, range(len(feeds))):
                pass
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
