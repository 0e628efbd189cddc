"""What else than a kill may befall an effect: of Exchange, of the store, of the network, of our own machine."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.command import JUMP
from tests.crash.wire_proxy import NOBODY, Answer, Plug, Proxy
from tests.crash.wire_world import World

#: What answers a request in place of the server, or does something and lets it pass.
Act = Callable[[], Answer | None]


@dataclass
class Fault(Plug):
    """Something bad at the n-th request of a kind."""

    act: Act = lambda: None
    #: Whether it came to that.
    struck: bool = field(default=False, init=False)

    def pull(self) -> Answer | None:
        """Let it happen."""
        self.struck = True
        return self.act()


@contextmanager
def between(proxy: Proxy, fault: Fault) -> Iterator[None]:
    """The proxy lets this happen."""
    proxy.plug = fault
    try:
        yield
    finally:
        proxy.plug = NOBODY


def cut() -> Answer:
    """The network is gone: no reply."""
    raise ConnectionAbortedError


def slow() -> None:
    """The network is slow: a second for what takes a few milliseconds."""
    time.sleep(1)


def busy() -> Answer:
    """The server turns us away."""
    return 503, [("Retry-After", "1")], b""


def no_room() -> Answer:
    """The disk of the store is full."""
    return 507, [], b""


def garbled() -> Answer:
    """Something between us and the server answers in its place."""
    return 200, [("Content-Type", "text/html")], b"<html>We will be back soon"


def jumps(world: World, seconds: float) -> Act:
    """The clock of our machine is put on or back."""

    def act() -> None:
        (world.folder / JUMP).write_text(str(seconds))

    return act


def jumps_back(world: World) -> None:
    """Somebody has set it right."""
    (world.folder / JUMP).unlink(missing_ok=True)


def expires(world: World) -> Act:
    """All tokens of the app end."""

    def act() -> None:
        world.exchange.order(revoke=True)

    return act


def fills(world: World) -> Act:
    """The disk under the ledger is full."""

    def act() -> None:
        with (world.state / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while filler.write(b"x" * size):
                        pass
                except OSError:
                    continue

    return act


def frees(world: World) -> None:
    """Somebody has made room."""
    (world.state / "filler").unlink(missing_ok=True)


@contextmanager
def disk(at: Path) -> Iterator[bool]:
    """A disk of its own is mounted there, a large one; False where this machine lets nobody mount any."""
    at.mkdir()
    mounted = bool(shutil.which("mount")) and _mount("size=4g", at)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True)


def shrink(at: Path) -> None:
    """From now on it is small, and soon full."""
    assert _mount("remount,size=256m", at)


def _mount(options: str, at: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(at)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
