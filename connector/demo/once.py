"""Commands as a visitor would type them, each in a process of its own; one of them is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from connector.demo.world import World

#: Told what the simulated servers were asked for so far.
Tell = Callable[[Mapping[str, int]], None]

_BLINK = 0.01
#: After a rewrite: the message is read twice, its originals are removed, it is read again. The third is in the middle.
_REQUESTS_LATER = 3


def proved(world: World, tell: Tell) -> int:
    """Let it prove, in the mailbox for trials, what has to be sure before anything is redirected; its exit code."""
    return _ended(world, tell, "certify") or _ended(world, tell, "check")


def once(world: World, tell: Tell) -> int:
    """Run it to its end; its exit code."""
    return _ended(world, tell, "once")


def restored(world: World, tell: Tell) -> int:
    """Want everything back, and run it to its end; its exit code."""
    return _ended(world, tell, "restore", "--everything") or once(world, tell)


def _ended(world: World, tell: Tell, *command: str) -> int:
    with _started(world, *command) as process:
        while process.poll() is None:
            tell(_asked(world))
            time.sleep(_BLINK)
    return process.returncode


def once_killed(world: World, rewrites: int, tell: Tell) -> bool:
    """Run it, and kill it in the middle of the work on its n-th message. False where it had ended before that."""
    world.exchange.order(reset=True)
    with _started(world, "once") as process:
        while process.poll() is None and _rewritten(world) < rewrites:
            tell(_asked(world))
            time.sleep(_BLINK)
        # The server kills: so the effect of the request has happened, and the daemon never hears of it.
        world.exchange.order(kill={"pid": process.pid, "request": _REQUESTS_LATER, "when": "after"})
        process.wait()
        # Where it ended by itself, nobody else's process is to be killed.
        world.exchange.order(reset=True)
    return process.returncode == -signal.SIGKILL


def _rewritten(world: World) -> int:
    """How many messages it has rewritten so far, by EWS or by Graph."""
    asked = _asked(world)
    return asked["UpdateItem"] + asked["PATCH messages"]


def log(world: World) -> Path:
    """Where the runs say what they do."""
    return world.folder / "connector.log"


@contextmanager
def _started(world: World, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "connector.cli", "--config", str(world.config), *arguments]
    # What a visitor has set for a real daemon is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    with log(world).open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _asked(world: World) -> Counter[str]:
    return Counter(world.exchange.seen)
