"""The real command as a process of its own, with its own sockets, at an hour that the test chooses."""

import json
import multiprocessing
import os
import resource
import sys
from datetime import datetime, timedelta, tzinfo
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Self

from connector import cli
from connector.daemon import process
from connector.stores.webdav import WebdavStore

NOW = timedelta(0)
JUMP = "jump"

# Starting Python takes longer than what is tried here: one server has all modules, and every process is its fork.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    ["connector.cli.looking", "connector.cli.links", "connector.daemon.service", "tests.command", "tests.warm"]
)


def start(
    folder: Path, *arguments: str, later: timedelta, ahead: timedelta = NOW, answer: str = "answer", told: str = "told"
) -> ForkServerProcess:
    """Start a command on the configuration in `folder`, so much later than it is.

    Our clock may be `ahead` of everybody else's. What it answers and tells is appended to the files of these names in
    the folder, and may go to the same one; where it ends by itself, `used` says what it took.
    """
    process = _processes.Process(target=_run, args=(folder, arguments, (later, ahead), answer, told))
    process.start()
    return process


def used(folder: Path) -> tuple[int, float]:
    """What the last command that ended by itself took: the most bytes at a time, and seconds of a processor."""
    memory, processor = json.loads((folder / "used").read_text())
    return memory, processor


def _jumped(folder: Path) -> timedelta:
    """By how much somebody has put the clock on, or back, while commands work: seconds, in the file of that name."""
    try:
        return timedelta(seconds=float((folder / JUMP).read_text()))
    except FileNotFoundError:
        return NOW


def _run(folder: Path, arguments: tuple[str, ...], clocks: tuple[timedelta, timedelta], answer: str, told: str) -> None:
    """What the process does. Its descriptors go to files, so that whatever a library prints is seen too."""
    later, ahead = clocks
    for descriptor, name in ((1, answer), (2, told)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + later + ahead + _jumped(folder)

    process.datetime = Shifted  # type: ignore[attr-defined]  # whoever asks for the time, asks there
    date = WebdavStore.now
    WebdavStore.now = lambda self: (at := date(self)) and at + later  # type: ignore[method-assign]
    sys.argv = ["connector", "--config", str(folder), *arguments]
    try:
        cli.main()
    finally:
        sys.stdout.flush()
        own = resource.getrusage(resource.RUSAGE_SELF)
        (folder / "used").write_text(json.dumps([own.ru_maxrss * 1024, own.ru_utime + own.ru_stime]))
