"""Work in a process of its own, and what it costs there: no server's CPU is counted, and no other work's memory."""

import multiprocessing
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from connector.log import configure

# Not a fork of this process: it would begin with all the memory that this one has ever had.
_processes = multiprocessing.get_context("forkserver")


class Meter:
    """Adds up the CPU time that passes within `with meter.running()`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """All threads of the process count, in user mode and in the kernel."""
        before = _seconds()
        yield
        self.seconds += _seconds() - before


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took, and what it answered."""

    #: CPU seconds, as far as its meter ran.
    seconds: float
    #: Bytes: the most that the process had at a time.
    memory: int
    answer: Any


Work = Callable[..., Any]


def cost(work: Work, *arguments: Any) -> Cost:
    """Run `work(meter, *arguments)` in a process of its own. Raises RuntimeError with its traceback where it fails."""
    here, there = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_work, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    try:
        told = here.recv()
    except EOFError:
        told = "the process died"
    process.join()
    if not isinstance(told, Cost):
        raise RuntimeError(f"{work.__name__}: {told}")
    return told


def _work(pipe: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    # As in service, but nobody reads what it logs.
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - lives as long as the process does
    configure("json", "info")
    meter = Meter()
    try:
        answer = work(meter, *arguments)
    except Exception:  # noqa: BLE001 - told to whoever waits for it
        pipe.send(traceback.format_exc())
    else:
        pipe.send(Cost(meter.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, answer))


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
