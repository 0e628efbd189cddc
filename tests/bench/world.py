"""Where everything is that a measurement needs, and how its processor time is taken."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.servers import start_apache
from tests.tunnel import Authority

#: By name: how many mailboxes, messages in each, bytes of each attachment (0: it has none), and folders that the
#: messages are spread over (0: they are in the Inbox).
Mail = Mapping[str, tuple[int, int, int, int]]
#: Before the address of a mailbox: another one with two messages, for a process to find its feet.
WARM = "warm-"
_ROOT = Path(__file__).parents[2]
_ONE_ORDER = {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class World:
    """Two servers in processes of their own, the simulated Exchange and Apache: address, user, password of each."""

    ews: dict[str, str]
    dav: dict[str, str]

    @classmethod
    def read(cls, path: str) -> Self:
        """As `write` left it."""
        return cls(**json.loads(Path(path).read_text()))

    def write(self, path: Path) -> None:
        """For the processes that are measured."""
        path.write_text(json.dumps(asdict(self)))


@contextmanager
def world(mail: Mail) -> Iterator[Path]:
    """Start the servers; the file to `read`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="connector-bench-")))
        folder.chmod(0o755)
        command = [sys.executable, "-m", "tests.bench.exchange", json.dumps(mail)]
        exchange, dav = stack.enter_context(serving(command)), stack.enter_context(apache(folder))
        World(exchange, dav).write(folder / "world.json")
        yield folder / "world.json"


@contextmanager
def drive_world(items: int, size: int = 0, *, tls: bool = False) -> Iterator[Path]:
    """A simulated drive with so many files of this size, and Apache, each a process of its own; what they told."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="connector-bench-")))
        folder.chmod(0o755)
        authority = Authority.of(folder) if tls else None
        command = [sys.executable, "-m", "tests.bench.share", str(items), str(size), *([str(folder)] if tls else [])]
        told = stack.enter_context(serving(command))
        told |= {"dav": stack.enter_context(apache(folder)), "ca": str(authority.certificate) if authority else None}
        (folder / "world.json").write_text(json.dumps(told))
        yield folder / "world.json"


@contextmanager
def serving(command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a simulator told when it listened. It ends with its standard input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as server:
        assert server.stdin
        assert server.stdout
        with closing(server.stdin):
            yield json.loads(server.stdout.readline())


@contextmanager
def apache(folder: Path) -> Iterator[dict[str, str]]:
    """Address, user and password."""
    (folder / "files").mkdir()
    started = start_apache(folder / "files")
    try:
        yield {"url": started.url, "user": started.user, "password": started.password}
    finally:
        started.stop()


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Print, as a line of JSON, the processor seconds that this process used, and what the block told about itself.

    `took` is by the clock.
    """
    told: dict[str, Any] = {}
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    yield told
    told["took"] = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    told["seconds"] = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    # Not ru_maxrss: that one remembers the process that started this one.
    told["memory"] = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    sys.stdout.write(json.dumps(told) + "\n")


def instructions(script: str, *arguments: str, at: Path) -> int:
    """How many instructions a process that runs one of the scripts beside this one carries out, from its start on.

    Outside the kernel, as valgrind counts them: the same number on each machine, whatever else it is doing.
    """
    counting = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    command = [*counting, sys.executable, "-m", f"tests.bench.{script}", *arguments, str(at)]
    # The order in which sets are gone through would make a difference.
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT, env=os.environ | _ONE_ORDER)
    (number,) = re.findall(r"I +refs: +([\d,]+)", ran.stderr)
    return int(number.replace(",", ""))


def used(script: str, *arguments: str, at: Path) -> dict[str, Any]:
    """What a process that runs one of the scripts beside this one said of itself at last; `at` is the world."""
    return told_by(script, *arguments, at=at)[-1]


def told_by(script: str, *arguments: str, at: Path) -> list[dict[str, Any]]:
    """All that it said."""
    command = [sys.executable, "-m", f"tests.bench.{script}", *arguments, str(at)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=_ROOT)
    # webdavclient3 prints what it does.
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith(b"{")]
