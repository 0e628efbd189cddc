"""The disk under the ledger is full, read-only or damaged: a real file system, a real daemon, and mail meanwhile.

The disk is a tmpfs in a mount namespace of its own; one sleeping process keeps it, and commands enter that.
"""

import json
import os
import queue
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.exchange import outlook
from tests.test_cli import ANNA, World, world

__all__ = ["world"]

PATIENCE = 60


@dataclass(frozen=True)
class Disk:
    """A file system of 2 MB, mounted for those who enter its namespace."""

    keeper: int
    mounted: Path

    @property
    def seen(self) -> Path:
        """Where whoever does not enter finds it."""
        return Path(f"/proc/{self.keeper}/root{self.mounted}")

    def enter(self, *command: str) -> list[str]:
        """The command, within."""
        return ["nsenter", f"--mount=/proc/{self.keeper}/ns/mnt", "--", *command]

    def fill(self) -> None:
        """Until not one more byte has room."""
        with (self.seen / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while filler.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """An operator makes room."""
        (self.seen / "filler").unlink()

    def remount(self, how: str) -> None:
        """As `ro` or `rw`."""
        subprocess.run(self.enter("mount", "-o", f"remount,{how}", str(self.mounted)), check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mounted where the state of the daemon lies."""
    mounted = tmp_path / "state"
    mounted.mkdir()
    words = f"mount -t tmpfs -o size=2m none '{mounted}' && echo mounted && exec sleep 600"
    keeper = subprocess.Popen(["unshare", "--mount", "sh", "-c", words], stdout=subprocess.PIPE, text=True)
    with keeper:
        assert keeper.stdout
        try:
            if keeper.stdout.readline() != "mounted\n":
                pytest.skip("this machine lets nobody mount anything")
            yield Disk(keeper.pid, mounted)
        finally:
            keeper.kill()


@dataclass(frozen=True)
class Home:
    """A mailbox and a store, and a configuration whose state is on the disk."""

    world: World
    disk: Disk

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command, within the disk's namespace."""
        return subprocess.Popen(
            self.disk.enter(sys.executable, "-m", "connector.cli", "--config", str(self.world.folder), *arguments),
            env={"PATH": os.environ["PATH"], **self.world.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end: its exit code, and the last line that it says."""
        process = self.start(*arguments)
        answer, told = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in told
        return process.returncode, (told + answer).strip().splitlines()[-1]

    def deliver(self, *numbers: int) -> None:
        """Messages arrive, each with one file."""
        for number in numbers:
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Message-ID"] = "ben@example.net", ANNA, f"<{number}@example.net>"
            mail.set_content("See the attachment.\n")
            mail.add_attachment(b"%d " % number * 999, maintype="application", subtype="pdf", filename=f"{number}.pdf")
            self.world.exchange.deliver(ANNA, mail.as_bytes())

    def changed(self) -> set[str]:
        """The messages that show something else than what was delivered, or have lost a file."""
        items = outlook(self.world.exchange, ANNA).inbox.all().only("message_id", "text_body", "attachments")
        return {
            item.message_id.strip("<>").partition("@")[0]
            for item in items
            if "Files" in (item.text_body or "") or not item.attachments
        }

    def ledger(self) -> sqlite3.Connection:
        """To look into, as it is now: a copy, since its path leads elsewhere here."""
        copy = self.world.folder / "copy"
        shutil.copytree(self.disk.seen, copy, ignore=shutil.ignore_patterns("filler", "*-shm"), dirs_exist_ok=True)
        return sqlite3.connect(copy / "ledger.db")

    def allowed(self) -> set[str]:
        """The messages of which the ledger says that they may show links by now."""
        with closing(self.ledger()) as ledger:
            query = "SELECT internet_message_id FROM redirects WHERE state IN ('linked', 'rewritten', 'done')"
            return {name.strip("<>").partition("@")[0] for (name,) in ledger.execute(query)}


@pytest.fixture
def home(world: World, disk: Disk) -> Home:
    """A first message went well, and what is known of it lies on the disk."""
    home = Home(world, disk)
    home.deliver(1)
    world.run("once")
    for name in ("ledger.db", "connector.lock"):
        shutil.copy(world.folder / name, disk.seen)
    settings = world.folder / "connector.yaml"
    settings.write_text(re.sub("(?m)^state: .*$", f"state: {disk.mounted}", settings.read_text()))
    assert home.changed() == {"1"}
    return home


@dataclass
class Daemon:
    """`connector run`, and what it logs."""

    process: "subprocess.Popen[str]"

    def __post_init__(self) -> None:
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(json.loads(line))

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to this event."""
        while (told := self._lines.get(timeout=PATIENCE))["event"] != event:
            pass
        return told


@pytest.fixture
def daemon(home: Home) -> Iterator[Callable[[], Daemon]]:
    """Start it."""
    started: list[Daemon] = []

    def start() -> Daemon:
        started.append(Daemon(home.start("run")))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def wait_until(what: Callable[[], bool]) -> None:
    """Within reason."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.2)


def test_a_full_disk_stops_the_work_and_not_the_daemon(home: Home, daemon: Callable[[], Daemon]) -> None:
    """It says what to do, no message shows what the ledger does not know, and with room it goes on by itself."""
    running = daemon()
    running.until("service.started")
    home.disk.fill()
    home.deliver(*range(2, 8))
    told = running.until("ledger.failed")
    assert told["reason"].endswith(
        "the disk is full: make room, and the daemon goes on by itself; what was committed is safe"
    )
    time.sleep(3)
    assert home.changed() <= home.allowed()
    assert len(home.changed()) < 7
    assert running.process.poll() is None
    home.disk.free()
    wait_until(lambda: home.changed() == {f"{number}" for number in range(1, 8)})
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE) == 0


def test_a_command_on_a_full_disk_says_so(home: Home) -> None:
    """And does nothing to any message."""
    home.disk.fill()
    home.deliver(2)
    code, said = home.ended("once")
    assert code == 3
    assert re.search(r"ledger \S+/ledger\.db: the disk is full: make room", said)
    assert home.changed() == {"1"}
    home.disk.free()
    assert home.ended("once")[0] == 0
    assert home.changed() == {"1", "2"}


def test_a_read_only_disk_changes_nothing(home: Home) -> None:
    """Neither a turn nor a look at the probe reaches a mailbox; mounted for writing again, work goes on."""
    home.deliver(2)
    home.disk.remount("ro")
    code, said = home.ended("once")
    assert code == 3
    assert re.search(r"ledger \S+/ledger\.db: it cannot be opened: check .* how the disk is mounted", said)
    assert home.changed() == {"1"}
    home.disk.remount("rw")
    assert home.ended("once")[0] == 0
    assert home.changed() == {"1", "2"}


@pytest.mark.long
def test_a_damaged_ledger_is_found_and_replaced_as_the_readme_says(home: Home) -> None:
    """Noise in one page is found and told before it does harm; the backup of before takes over, and loses nothing."""
    ledger = home.disk.seen / "ledger.db"
    assert home.ended("ledger", "backup", str(home.disk.mounted / "backup.db"))[0] == 0
    home.deliver(2)
    assert home.ended("once")[0] == 0
    with closing(home.ledger()) as known, ledger.open("r+b") as file:
        ((page,),) = known.execute("SELECT rootpage FROM sqlite_master WHERE name = 'redirects'")
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    home.deliver(3)
    for command in (("ledger", "check"), ("once",)):
        code, said = home.ended(*command)
        assert code == 3
        assert re.search(r"ledger \S+/ledger\.db: it is damaged: keep it, restore the newest backup, then run", said)
    assert home.changed() == {"1", "2"}

    for each in home.disk.seen.glob("ledger.db*"):
        each.unlink()
    shutil.copy(home.disk.seen / "backup.db", ledger)
    assert home.ended("ledger", "reconcile")[0] == 0
    assert home.ended("once")[0] == 0
    assert home.changed() == {"1", "2", "3"}
    assert home.ended("ledger", "check") == (0, "The ledger is whole.")
