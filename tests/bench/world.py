"""Where everything is that a measurement needs, and how its processor time is taken."""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.servers import start_apache

#: By name: how many mailboxes, messages in each, bytes of each attachment (0: it has none), and folders that the
#: messages are spread over (0: they are in the Inbox).
Mail = Mapping[str, tuple[int, int, int, int]]


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
        exchange = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        )
        assert exchange.stdin
        assert exchange.stdout
        stack.callback(exchange.stdin.close)
        (folder / "files").mkdir()
        apache = start_apache(folder / "files")
        stack.callback(apache.stop)
        dav = {"url": apache.url, "user": apache.user, "password": apache.password}
        World(json.loads(exchange.stdout.readline()), dav).write(folder / "world.json")
        yield folder / "world.json"


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Print, as a line of JSON, the processor seconds that this process used, and what the block told about itself."""
    told: dict[str, Any] = {}
    before = resource.getrusage(resource.RUSAGE_SELF)
    yield told
    after = resource.getrusage(resource.RUSAGE_SELF)
    told["seconds"] = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    # Not ru_maxrss: that one remembers the process that started this one.
    told["memory"] = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    sys.stdout.write(json.dumps(told) + "\n")


def used(script: str, *arguments: str, at: Path) -> dict[str, Any]:
    """What a process that runs one of the scripts beside this one said of itself; `at` is the world."""
    command = [sys.executable, "-m", f"tests.bench.{script}", *arguments, str(at)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parents[2])
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told
