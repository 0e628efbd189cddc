"""One tenant in trouble, and the others: the daemon against servers that are slow, silent or gone."""

import json
import queue
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import lying_store as lies
from tests.lying_store import Ask, LyingStore, Reply, Request, lying_store
from tests.test_cli import ANNA, PROBE, World, message, world

__all__ = ["world"]

#: As long as a test waits for what should happen at once.
PATIENCE = 120


class Slow:
    """A store that is asked to wait before each answer, as long as it is wanted."""

    def __init__(self) -> None:
        """In time, until `hang` is called."""
        self._go_on = threading.Event()
        self._go_on.set()
        self.waiting = 0

    def __call__(self, request: Request, ask: Ask) -> Reply:
        """The lie that `LyingStore` tells."""
        self.waiting += 1
        self._go_on.wait()
        self.waiting -= 1
        return lies.honest(request, ask)

    def hang(self) -> None:
        """Answer nobody from now on."""
        self._go_on.clear()

    def go_on(self) -> None:
        """Answer all, and in time."""
        self._go_on.set()


@dataclass
class Two:
    """Two tenants: `acme`, whose store is behind a proxy, and `beta`."""

    world: World
    proxy: LyingStore
    slow: Slow
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    logged: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def configure(self, many: int = 1) -> None:
        """With so many mailboxes in acme, and one in beta."""
        addresses = [f"{number}@example.org" for number in range(many)]
        for address in addresses:
            self.world.exchange.add_mailbox(address)
        store = self.proxy.url("/" + self.world.root)
        self.world.configure(mailbox=", ".join(addresses), store=store)
        acme = self.world.folder / "tenants" / "acme.yaml"
        beta = acme.read_text().replace("tenant: acme", "tenant: beta").replace(f"[{', '.join(addresses)}]", "[ANNA]")
        self.world.exchange.add_mailbox("other-probe@example.org")
        beta = beta.replace("[ANNA]", f"[{ANNA}]").replace(PROBE, "other-probe@example.org")
        own = self.world.store.folder / self.world.root / "own"
        own.mkdir(exist_ok=True)
        acme.write_text(acme.read_text() + "\n")
        self.tenant("beta").write_text(beta.replace(store, f"{self.world.store.url}{self.world.root}/own") + "\n")
        self.world.run("check")

    def tenant(self, name: str) -> Path:
        """The file of a tenant."""
        return self.world.folder / "tenants" / f"{name}.yaml"

    def start(self, **options: str) -> subprocess.Popen[str]:
        """`connector run`."""
        process = self.world.start("run", **options)
        self.processes.append(process)
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr
        for line in process.stderr:
            self.logged.put(json.loads(line))

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to this event."""
        while True:
            told = self.logged.get(timeout=PATIENCE)
            self.lines.append(told)
            if told["event"] == event:
                return told

    def stored(self, tenant: str) -> int:
        """How many files the store has of a tenant."""
        return len(list(self.world.store.folder.glob(f"{self.world.root}/**/{tenant}/**/*.pdf")))


def wait_for(condition: Callable[[], bool]) -> float:
    """Until it is so; how many seconds that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.05)
    return time.monotonic() - begun


@pytest.fixture
def two(world: World) -> Iterator[Two]:
    """Servers, and no daemon yet."""
    slow = Slow()
    with lying_store(world.store.port, slow) as proxy:
        made = Two(world, proxy, slow)
        yield made
        slow.go_on()
        for each in made.processes:
            each.kill()
            each.wait()


def test_a_store_that_never_answers_keeps_no_other_tenant_waiting(two: Two) -> None:
    """Five mailboxes wait for it, with two threads; the other tenant's mail goes on meanwhile, and then theirs."""
    two.configure(many=5)
    two.start(CONNECTOR_THREADS="2")
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    wait_for(lambda: two.stored("acme") == 1)
    two.slow.hang()
    for number in range(5):
        two.world.exchange.deliver(f"{number}@example.org", message(f"{number}.pdf"))
    wait_for(lambda: two.slow.waiting == 2)
    for number in range(3):
        two.world.exchange.deliver(ANNA, message(f"urgent{number}.pdf"))
        wait_for(lambda number=number: two.stored("beta") == number + 1)  # type: ignore[misc]
    assert two.slow.waiting == 2
    assert two.stored("acme") == 1
    two.slow.go_on()
    wait_for(lambda: two.stored("acme") == 6)


class Late:
    """A store that takes so many seconds for each answer, until it is `well`."""

    def __init__(self, seconds: float) -> None:
        """From now on."""
        self._seconds = seconds
        self.well = threading.Event()

    def __call__(self, request: Request, ask: Ask) -> Reply:
        """The lie that `LyingStore` tells."""
        self.well.wait(self._seconds)
        return lies.honest(request, ask)


@pytest.mark.parametrize("seconds", [0.1, 10])
def test_a_store_that_is_slow_keeps_nobody_waiting_but_its_own_tenant(two: Two, seconds: float) -> None:
    """At a tenth of a second its own mail goes on too; at ten seconds it does as soon as the store is well again."""
    two.configure()
    two.proxy.lie = late = Late(seconds)
    two.start()
    two.world.exchange.deliver("0@example.org", message("slow.pdf"))
    two.world.exchange.deliver(ANNA, message("urgent.pdf"))
    wait_for(lambda: two.stored("beta") == 1)
    if seconds > 1:
        assert two.stored("acme") == 0
        late.well.set()
    wait_for(lambda: two.stored("acme") == 1)


class Busy:
    """A server that has no time for anybody, and says until when; it notes who asks, and when."""

    def __init__(self, seconds: int) -> None:
        """So many seconds."""
        self._reply = Reply(503, {"Retry-After": str(seconds)})
        self.asked: list[float] = []

    def __call__(self, request: Request, ask: Ask) -> Reply:
        """The lie that `LyingStore` tells."""
        self.asked.append(time.monotonic())
        return self._reply

    def one_by_one(self) -> None:
        """After those who were at it anyway, nobody asks before the time is over, and then one alone."""
        wait_for(lambda: bool(self.asked) and time.monotonic() - self.asked[-1] > 1)
        begun = len(self.asked)
        wait_for(lambda: len(self.asked) >= begun + 3)
        times = self.asked[begun : begun + 3]
        assert all(later - earlier > 1 for earlier, later in pairwise(times)), times


def test_when_a_store_is_back_one_request_finds_out_for_all(two: Two) -> None:
    """While it is busy, it is asked once each time that it names, and not by each mailbox; then all go on."""
    two.configure(many=4)
    two.start(CONNECTOR_THREADS="4")
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    wait_for(lambda: two.stored("acme") == 1)
    two.proxy.lie = busy = Busy(2)
    for number in range(4):
        two.world.exchange.deliver(f"{number}@example.org", message(f"{number}.pdf"))
    two.until("store.paused")
    busy.one_by_one()
    two.proxy.lie = lies.honest
    two.until("store.answers")
    wait_for(lambda: two.stored("acme") == 5)


def test_when_exchange_is_back_one_mailbox_finds_out_for_all(two: Two) -> None:
    """The same for the server of mailboxes; those of another tenant have another account, and find out themselves."""
    with lying_store(int(two.world.exchange.ews.split(":")[2].split("/")[0])) as before_exchange:
        two.configure(many=4)
        acme = two.tenant("acme")
        path = two.world.exchange.ews.split("/", 3)[3]
        acme.write_text(acme.read_text().replace(two.world.exchange.ews, before_exchange.url(f"/{path}")))
        two.start(CONNECTOR_THREADS="4")
        two.world.exchange.deliver("0@example.org", message("first.pdf"))
        wait_for(lambda: two.stored("acme") == 1)
        before_exchange.lie = busy = Busy(2)
        two.until("account.paused")
        busy.one_by_one()
        two.world.exchange.deliver(ANNA, message("urgent.pdf"))
        wait_for(lambda: two.stored("beta") == 1)
        before_exchange.lie = lies.honest
        two.until("account.answers")
        for number in range(4):
            two.world.exchange.deliver(f"{number}@example.org", message(f"{number}.pdf"))
        wait_for(lambda: two.stored("acme") == 5)


# --- bad input ----------------------------------------------------------------------------------------------------


def test_a_mailbox_that_is_removed_stops_no_other_and_is_served_when_it_is_back(two: Two) -> None:
    """It is said once; half an hour later it is tried again, and what came meanwhile is redirected."""
    two.configure(many=2)
    two.start()
    for number in range(2):
        two.world.exchange.deliver(f"{number}@example.org", message(f"{number}.pdf"))
    wait_for(lambda: two.stored("acme") == 2)
    mailboxes = two.world.exchange._organisation.mailboxes
    removed = mailboxes.pop("0@example.org")
    assert "ErrorNonExistentMailbox" in two.until("source.denied")["reason"]
    two.world.exchange.deliver("1@example.org", message("goes.pdf"))
    wait_for(lambda: two.stored("acme") == 3)
    mailboxes["0@example.org"] = removed
    two.world.exchange.deliver("0@example.org", message("waits.pdf"))
    with closing(sqlite3.connect(two.world.folder / "ledger.db", timeout=PATIENCE)) as ledger:
        ledger.execute("UPDATE pauses SET until = '2020-01-01 00:00:00.000000'")
        ledger.commit()
    wait_for(lambda: two.stored("acme") == 4)
    assert [each["event"] for each in two.lines].count("source.denied") == 1


def test_a_port_of_metrics_that_is_taken_costs_nothing_else(two: Two) -> None:
    """It is said, with what to do about it, and mail goes on."""
    two.configure()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        two.start(CONNECTOR_METRICS__PORT=str(taken.getsockname()[1]))
        assert "metrics.port" in two.until("health.unheard")["to_do"]
        two.world.exchange.deliver(ANNA, message("goes.pdf"))
        wait_for(lambda: two.stored("beta") == 1)


def test_a_ledger_of_a_newer_version_is_left_as_it_is(two: Two) -> None:
    """The daemon ends with a sentence and an exit code after which systemd starts it again, and touches no mailbox."""
    two.configure()
    ledger = two.world.folder / "ledger.db"
    with closing(sqlite3.connect(ledger)) as newer:
        newer.execute("UPDATE ledger_version SET version_num = '9999'")
        newer.commit()
    two.world.exchange.deliver(ANNA, message("waits.pdf"))
    asked = len(two.world.exchange.seen)
    process = two.world.start("run")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "a newer version of connector wrote it; install that version" in said
    assert len(two.world.exchange.seen) == asked


def test_a_tenant_whose_secret_cannot_be_read_is_served_as_soon_as_it_can(two: Two) -> None:
    """The other one works from the start; the log says what is missing, once. Commands refuse meanwhile."""
    two.configure()
    secret = two.world.folder / "secret"
    beta = two.tenant("beta")
    beta.write_text(beta.read_text().replace("{env: STORE_PASSWORD}", f"{{file: {secret}}}"))
    two.world.run("once", code=2)
    missing = f"tenant beta: secret file {secret} cannot be read: No such file or directory"
    assert missing in two.world.log
    two.start()
    assert two.until("tenant.aside")["problems"] == [missing]
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    two.world.exchange.deliver(ANNA, message("waits.pdf"))
    wait_for(lambda: two.stored("acme") == 1)
    time.sleep(2)
    secret.write_text(two.world.store.password)
    two.until("tenant.served")
    wait_for(lambda: two.stored("beta") == 1)
    assert [each["event"] for each in two.lines].count("tenant.aside") == 1


def test_a_tenant_whose_file_is_broken_is_served_as_soon_as_it_is_mended(two: Two) -> None:
    """The other one is served from the start; the log, the status and the metrics say what is wrong, with its place.

    Also at SIGHUP. What else is changed on disk meanwhile waits for that.
    """
    two.configure()
    beta, acme = two.tenant("beta"), two.tenant("acme")
    whole = beta.read_text()
    beta.write_text(whole.replace("rules:", "rulez:"))
    process = two.start(CONNECTOR_METRICS__PORT="0")
    (problem,) = two.until("tenant.aside")["problems"]
    assert re.fullmatch(rf"{re.escape(str(beta))}:\d+:1 rulez: is not a field; did you mean rules\?", problem)
    asked = f"http://127.0.0.1:{two.until('health.served')['port']}"
    assert 'connector_served{tenant="beta"} 0.0' in httpx.get(f"{asked}/metrics").text
    assert problem in httpx.get(f"{asked}/readyz").text
    (told,) = [each for each in two.world.json("status")["daemon"]["tenants"] if each["aside"]]
    assert told["aside"] == problem
    two.world.run("check", code=2)
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    two.world.exchange.deliver(ANNA, message("waits.pdf"))
    wait_for(lambda: two.stored("acme") == 1)
    process.send_signal(signal.SIGHUP)
    two.until("config.loaded")
    served = acme.read_text()
    acme.write_text(served.replace("rules:", "rulez:"))
    beta.write_text(whole)
    two.until("tenant.served")
    wait_for(lambda: two.stored("beta") == 1)
    two.world.exchange.deliver("0@example.org", message("second.pdf"))
    wait_for(lambda: two.stored("acme") == 2)
    process.send_signal(signal.SIGHUP)
    (problem,) = two.until("config.refused")["problems"]
    assert problem.startswith(f"{acme}:")
    assert [each["event"] for each in two.lines].count("tenant.aside") == 1


def test_a_secret_that_is_gone_at_sighup_keeps_the_old_one_in_force(two: Two) -> None:
    """Who is served has it in memory."""
    two.configure()
    secret = two.world.folder / "secret"
    secret.write_text(two.world.store.password)
    beta = two.tenant("beta")
    beta.write_text(beta.read_text().replace("{env: STORE_PASSWORD}", f"{{file: {secret}}}"))
    process = two.start()
    two.until("service.started")
    two.world.exchange.deliver(ANNA, message("first.pdf"))
    wait_for(lambda: two.stored("beta") == 1)
    secret.unlink()
    process.send_signal(signal.SIGHUP)
    (problem,) = two.until("config.refused")["problems"]
    assert "cannot be read" in problem
    two.world.exchange.deliver(ANNA, message("second.pdf"))
    wait_for(lambda: two.stored("beta") == 2)


def test_a_tenant_whose_file_is_deleted_stays_as_it_is(two: Two) -> None:
    """Nothing changes until SIGHUP; then its mailboxes are left alone, which the log says, and the other goes on."""
    two.configure()
    process = two.start()
    two.until("service.started")
    whole = two.tenant("beta").read_text()
    two.tenant("beta").unlink()
    two.world.exchange.deliver(ANNA, message("first.pdf"))
    wait_for(lambda: two.stored("beta") == 1)
    process.send_signal(signal.SIGHUP)
    assert two.until("tenant.removed")["tenant"] == "beta"
    two.world.exchange.deliver(ANNA, message("waits.pdf"))
    two.world.exchange.deliver("0@example.org", message("goes.pdf"))
    wait_for(lambda: two.stored("acme") == 1)
    assert two.stored("beta") == 1
    two.tenant("beta").write_text(whole)
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: two.stored("beta") == 2)


def test_sigterm_waits_for_the_effect_that_a_slow_store_is_at(two: Two) -> None:
    """And begins no other one: the next start goes on from there, and nothing is there twice."""
    two.configure()
    process = two.start()
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    wait_for(lambda: _redirected(two).get("acme") == 1)
    two.slow.hang()
    two.world.exchange.deliver("0@example.org", message("second.pdf"))
    wait_for(lambda: two.slow.waiting > 0)
    process.send_signal(signal.SIGTERM)
    two.until("service.stopping")
    time.sleep(1)
    assert process.poll() is None
    two.slow.go_on()
    assert process.wait(PATIENCE) == 0
    two.until("service.stopped")
    assert _redirected(two)["acme"] == 1
    two.start()
    wait_for(lambda: _redirected(two)["acme"] == 2)
    assert two.stored("acme") == 2


# --- a stop -------------------------------------------------------------------------------------------------------


def test_pause_stops_one_tenant_or_all_until_resume(two: Two) -> None:
    """By the real commands: the effect that runs finishes, nothing begins, also after a restart; others go on."""
    two.configure()
    process = two.start()
    two.world.exchange.deliver("0@example.org", message("first.pdf"))
    wait_for(lambda: _redirected(two).get("acme") == 1)
    two.slow.hang()
    two.world.exchange.deliver("0@example.org", message("second.pdf"))
    wait_for(lambda: two.slow.waiting > 0)
    assert two.world.json("pause", "acme", "--reason", "the store moves") == {"stopped": ["acme"]}
    assert two.until("tenant.stopped")["reason"].endswith(": the store moves")
    two.slow.go_on()
    two.world.exchange.deliver(ANNA, message("urgent.pdf"))
    wait_for(lambda: _redirected(two) == {"acme": 1, "beta": 1})
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    two.start()
    two.until("tenant.stopped")
    two.world.run("pause", "nobody", "--reason", "a test", code=2)
    assert two.world.json("pause", "--reason", "all of it") == {"stopped": ["acme", "beta"]}
    assert two.world.json("resume") == {"resumed": ["acme", "beta"]}
    wait_for(lambda: _redirected(two) == {"acme": 2, "beta": 1})


def _redirected(two: Two) -> dict[str, int]:
    answer = two.world.start("status", "--json").communicate()[0]
    summary = json.loads(answer)
    return {each["tenant"]: each["redirected"] for each in summary["mailboxes"]}
