"""A house with many mailboxes: the daemon as a process of its own, and what it costs while mail comes in, or none."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.post import PROBE
from tests.bench.world import World, apache

_ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = """\
state: {state}
marker_key: {{env: MARKER}}
interval: {interval}
safety: {safety}
log: {{format: json, level: warning}}
"""
_TENANT = """\
tenant: acme
sources:
  - type: ews
    url: {url}
    auth: basic
    user: {user}
    password: {{env: EXCHANGE_PASSWORD}}
    mailboxes: {mailboxes}
    probe: {probe}
    waive_certify: Ada Admin
    since: everything
store:
  type: webdav
  url: {store}
  user: {store_user}
  password: {{env: STORE_PASSWORD}}
notice: {{product: Example Files, organisation: Example Ltd}}
defaults: {{settle: 0}}
rules: [{{name: all, action: redirect}}]
"""


@dataclass
class House:
    """The servers, and what they were told and told."""

    folder: Path
    post: "subprocess.Popen[bytes]"
    told: dict[str, Any]
    dav: dict[str, str]
    _environment: dict[str, str] = field(default_factory=dict)

    def configure(self, mailboxes: list[str], *, interval: int, safety: int) -> None:
        """As an administrator would."""
        (self.folder / "state").mkdir(exist_ok=True)
        (self.folder / "tenants").mkdir(exist_ok=True)
        settings = _SETTINGS.format(state=self.folder / "state", interval=interval, safety=safety)
        (self.folder / "connector.yaml").write_text(settings)
        tenant = _TENANT.format(
            url=self.told["url"],
            user=self.told["user"],
            mailboxes=json.dumps(mailboxes),
            probe=PROBE,
            store=self.dav["url"],
            store_user=json.dumps(self.dav["user"]),
        )
        (self.folder / "tenants" / "acme.yaml").write_text(tenant)
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ},
            "MARKER": "k" * 40,
            "EXCHANGE_PASSWORD": self.told["password"],
            "STORE_PASSWORD": self.dav["password"],
        }

    def run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command; what it logs goes to the file `log`."""
        command = [sys.executable, "-m", "connector.cli", "--config", str(self.folder), *arguments]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=_ROOT)

    def deliver(self, messages: int, seconds: float) -> list[float]:
        """So many messages, so far apart; how long it took until each showed its notice."""
        took: list[float] = self._tell(deliver=messages, seconds=seconds)["took"]
        return took

    def fill(self, mailbox: str, messages: int) -> None:
        """A mailbox with so many messages, of which the daemon does not know."""
        self._tell(fill=mailbox, messages=messages)

    def _tell(self, **order: Any) -> dict[str, Any]:
        assert self.post.stdin
        assert self.post.stdout
        self.post.stdin.write(json.dumps(order).encode() + b"\n")
        self.post.stdin.flush()
        told: dict[str, Any] = json.loads(self.post.stdout.readline())
        return told

    def asked(self) -> Counter[str]:
        """What Exchange was asked since the last reset."""
        return Counter(self._tell(asked=True)["asked"])

    def order(self, **orders: Any) -> None:
        """To the control page."""
        urllib.request.urlopen(self.told["control"], json.dumps(orders).encode()).close()

    def bare(self) -> Path:
        """For `tests.bench.floor`: the same servers."""
        path = self.folder / "world.json"
        World({name: self.told[name] for name in ("url", "user", "password", "control")}, self.dav).write(path)
        return path


@dataclass
class Daemon:
    """`connector run`, as the system sees it."""

    house: House
    pid: int

    def processor(self) -> float:
        """Seconds that it had until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """MB that it has."""
        return int(Path(f"/proc/{self.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024

    def settle(self, mailboxes: int, safety: int) -> None:
        """Until it has looked at every mailbox once, and then for a while found nothing new.

        Where its server begins to tell, each is looked at once more: until it is looked at no more often than always.
        """
        pause, before = 3, Counter[str]()
        while True:
            asked = self.house.asked()
            new = asked - before
            looks = new.pop("FindFolder", 0)
            if asked["FindFolder"] >= mailboxes and not new and looks <= 1 + 2 * mailboxes * pause / safety:
                return
            before = asked
            time.sleep(pause)


@contextmanager
def house(mailboxes: int, folders: int) -> Iterator[House]:
    """Everything is up, and it is proved that attachments can be put back."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="connector-house-")))
        folder.chmod(0o755)
        command = [sys.executable, "-m", "tests.bench.post", str(mailboxes), str(folders)]
        post = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT))
        assert post.stdin
        assert post.stdout
        stack.enter_context(closing(post.stdin))
        told = json.loads(post.stdout.readline())
        built = House(folder, post, told, stack.enter_context(apache(folder)))
        built.configure(told["mailboxes"][:1], interval=60, safety=60)
        assert built.run("check").wait() in (0, 1), (folder / "log").read_text()
        yield built


@contextmanager
def daemon(at: House, mailboxes: int, *, safety: int) -> Iterator[Daemon]:
    """`connector run` for so many of its mailboxes, each looked at so often, in seconds; it has looked once already."""
    at.configure(at.told["mailboxes"][:mailboxes], interval=min(60, safety), safety=safety)
    at.order(reset=True)
    process = at.run("run")
    try:
        running = Daemon(at, process.pid)
        running.settle(mailboxes, safety)
        yield running
        assert process.poll() is None, (at.folder / "log").read_text()[-3000:]
    finally:
        process.terminate()
        process.wait()
