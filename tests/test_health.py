"""How the daemon says that it is well, or is not: to Prometheus, to whoever restarts it, and to its operator."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as families

from connector.config.settings import MetricsSettings, Settings
from connector.ledger import Ledger, LedgerError
from connector.log import Event
from connector.watching.health import Health
from connector.watching.metrics import FRESH, Standing
from connector.watching.status import SAID, STILL, Status, status
from tests.logged import Lines
from tests.servers import free_port
from tests.test_alerts import NAMES, series
from tests.test_cli import ANNA, World, message, world
from tests.test_ledger import a_redirect, recorded, taken

__all__ = ["world"]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FINE = Standing(
    tenant="acme",
    mailboxes=2,
    claimed=True,
    ticked=(NOW, NOW - timedelta(hours=1)),
    heard=1,
    hinted=2,
    free=5_000_000,
    copied=NOW - timedelta(hours=2),
)


class Clock:
    """Stands still, unless it is told."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


def settings(state: Path, **metrics: Any) -> Settings:
    """Of a process that tells how it is, where an address is given."""
    told = MetricsSettings(**metrics) if metrics else None
    return Settings.model_construct(state=state, ledger=None, metrics=told)


def health(ledger: Ledger, state: Path, *standing: Standing, clock: Clock | None = None, **metrics: Any) -> Health:
    """What a daemon would say of these tenants."""
    return Health(ledger, settings(state, **metrics), lambda: standing, clock or Clock(), since=NOW)


def samples(told: bytes) -> dict[tuple[str, ...], float]:
    """What Prometheus reads: the value of each series, by the values of its labels in the order of their names."""
    found = (sample for family in families(told.decode()) for sample in family.samples)
    return {(each.name, *each.labels.values()): each.value for each in found}


def test_what_stands_is_told(ledger: Ledger, tmp_path: Path) -> None:
    """The backlog by state, how late it is, what is paused, how old the oldest turn is."""
    lease = taken(ledger)
    recorded(ledger, lease, a_redirect(due=NOW - timedelta(minutes=5)))
    for name in (
        "acme/anna",
        "acme/bert",
        "acme/anna/proof",
        "acme/anna/folders",
        "acme/store",
        "acme/account-1",
        "other/store",
    ):
        ledger.pause(name, until=NOW + timedelta(minutes=1), reason="x", error="Denied", now=NOW, tenant="acme")
    told = samples(health(ledger, tmp_path, FINE).answer("/metrics")[2])
    expected = {
        ("connector_ledger_up",): 1,
        ("connector_backlog", "planned", "acme"): 1,
        ("connector_overdue_seconds", "acme"): 300,
        ("connector_paused", "Denied", "acme", "mailbox"): 2,
        ("connector_paused", "Denied", "acme", "proof"): 1,
        ("connector_paused", "Denied", "acme", "folders"): 1,
        ("connector_paused", "Denied", "acme", "store"): 1,
        ("connector_paused", "Denied", "acme", "account"): 1,
        ("connector_tick_age_seconds", "acme"): 3600,
        ("connector_hints_connected", "acme"): 1,
        ("connector_hints_wanted", "acme"): 2,
        ("connector_store_claimed", "acme"): 1,
        ("connector_mailboxes", "acme"): 2,
        ("connector_store_free_bytes", "acme"): 5_000_000,
        ("connector_ledger_backup_age_seconds", "acme"): 7200,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert told["connector_ledger_bytes",] > 4096
    assert not any("anna" in part for name in told for part in name)


def test_the_ledger_is_not_asked_by_every_scrape(ledger: Ledger, tmp_path: Path) -> None:
    """What was told is good for some seconds; and where it cannot be asked, that is told."""
    clock = Clock()
    well = health(ledger, tmp_path, FINE, clock=clock)
    lease = taken(ledger)
    assert ("connector_backlog", "planned", "acme") not in samples(well.answer("/metrics")[2])
    recorded(ledger, lease, a_redirect())
    assert ("connector_backlog", "planned", "acme") not in samples(well.answer("/metrics")[2])
    clock.now += FRESH
    assert samples(well.answer("/metrics")[2])["connector_backlog", "planned", "acme"] == 1
    clock.now += FRESH
    ledger.close()
    (tmp_path / "ledger.db").write_bytes(b"no ledger" * 1000)
    told = samples(well.answer("/metrics")[2])
    assert told["connector_ledger_up",] == 0
    assert told["connector_mailboxes", "acme"] == 2


def test_it_is_alive_while_its_scheduler_turns(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever restarts what hangs must not restart what works."""
    clock = Clock()
    well = health(ledger, tmp_path, FINE, clock=clock)
    well.beat()
    clock.now += STILL / 2
    assert well.answer("/healthz")[0] == 200
    clock.now += STILL
    status, kind, body = well.answer("/healthz")
    assert (status, kind, json.loads(body)["alive"]) == (503, "application/json", False)
    assert well.answer("/") == well.answer("/etc/passwd")
    assert well.answer("/")[0] == 404


def test_it_is_ready_where_ledger_and_stores_are(ledger: Ledger, tmp_path: Path) -> None:
    """Otherwise the reasons are told: the tenants, what stands in their way, and until when."""
    other = replace(FINE, tenant="other", claimed=False)
    assert health(ledger, tmp_path, FINE).answer("/readyz") == (
        200,
        "application/json",
        b'{"ready": true, "reasons": []}\n',
    )
    until = NOW + timedelta(minutes=1)
    ledger.pause("acme/store", until=until, reason="the store is down", error="Unavailable", now=NOW, tenant="acme")
    status, _, body = health(ledger, tmp_path, FINE, other).answer("/readyz")
    down = {"tenant": "acme", "what": "Unavailable", "reason": "the store is down", "until": until.isoformat()}
    new = {"tenant": "other", "what": "store", "reason": "the store was not asked yet"}
    assert (status, json.loads(body)["reasons"]) == (503, [down, new])


class ReadOnly(Ledger):
    """Its disk is full."""

    def require_writable(self) -> None:
        raise LedgerError("the disk is full")


def test_it_is_not_ready_where_nothing_can_be_written_down(tmp_path: Path) -> None:
    """Then nothing may be done in a mailbox either."""
    ledger = ReadOnly(f"sqlite:///{tmp_path / 'ledger.db'}")
    status, _, body = health(ledger, tmp_path, FINE).answer("/readyz")
    (reason,) = json.loads(body)["reasons"]
    assert (status, reason["what"], reason["reason"]) == (503, "ledger", "the disk is full")
    assert reason["to_do"] == Event.LEDGER_FAILED.to_do
    ledger.close()


def test_a_port_that_another_has_costs_no_more_than_the_port(ledger: Ledger, tmp_path: Path, lines: Lines) -> None:
    """It is told, tried again by itself, and nobody but this machine can ask."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        well = health(ledger, tmp_path, FINE, port=port)
        for _ in "twice":
            well.beat()
        (line,) = lines()
        assert (line["event"], line["port"]) == ("health.unheard", port)
        assert "metrics.port" in line["to_do"]
    well.beat()
    assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).json()["alive"]
    well.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10)


def test_so_many_may_ask_at_a_time_and_no_more(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a thread: whoever opens thousands of connections must not fill our memory. Over IPv6, too."""
    well = health(ledger, tmp_path, FINE, host="::1", port=0)
    well.beat()
    assert well._server
    url = f"http://[::1]:{well._server.server_port}/healthz"
    assert requests.get(url, timeout=60).ok
    monkeypatch.setattr("connector.endpoint._AT_A_TIME", 0)
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=60)
    well.close()


def test_who_hangs_up_is_in_no_log(
    ledger: Ledger, tmp_path: Path, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor are lines of no log on standard error; a bug is one event."""
    well = health(ledger, tmp_path, FINE, port=free_port())
    well.beat()
    for error in (ConnectionResetError(), ValueError()):
        try:
            raise error
        except (OSError, ValueError):
            assert well._server
            well._server.handle_error(socket.socket(), ("192.0.2.7", 1))
    assert [each["event"] for each in lines()] == ["health.served", "bug"]
    assert "192.0.2.7" not in capsys.readouterr().err
    well.close()


@contextmanager
def running(world: World) -> Iterator[str]:
    """A daemon; where it can be asked."""
    port = free_port()
    process = world.start("run", CONNECTOR_METRICS__PORT=str(port))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        _, world.log = process.communicate(timeout=60)


def soon(asked: Callable[[], Any]) -> Any:
    """What comes true within a minute."""
    for _ in range(300):
        try:
            if answer := asked():
                return answer
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    raise AssertionError("it does not come true")


def test_whoever_asks_for_the_status_reads_what_the_daemon_said(ledger: Ledger, tmp_path: Path) -> None:
    """Since when it runs, and when it last had turns; one that says nothing any more counts as down."""
    assert status(ledger, tmp_path, NOW).daemon is None
    clock = Clock()
    well = health(ledger, tmp_path, FINE, clock=clock)
    clock.now += timedelta(minutes=5)
    well.beat()
    told = status(ledger, tmp_path, clock.now)
    assert told.running
    assert told.daemon
    assert (told.daemon.since, told.daemon.at) == (NOW, clock.now)
    (acme,) = told.daemon.tenants
    assert (acme.oldest_tick, acme.last_tick, acme.hints_connected) == (NOW - timedelta(hours=1), NOW, 1)
    assert not status(ledger, tmp_path, clock.now + STILL).running
    (tmp_path / SAID).write_text('{"version": "9"}')
    assert status(ledger, tmp_path, NOW).daemon is None
    well.close()
    assert not (tmp_path / SAID).exists()


def test_the_daemon_tells_all_that_dashboards_and_alerts_ask_for(world: World) -> None:
    """Every series that config/ names is there, as Prometheus itself reads it, after one message was redirected."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    with running(world) as url:
        soon(lambda: world.json("status", code=0)["mailboxes"] and world.hashes())
        soon(lambda: "connector_redirects_ended_total{" in requests.get(f"{url}/metrics", timeout=10).text)
        assert soon(lambda: requests.get(f"{url}/readyz", timeout=10).ok)
        told = requests.get(f"{url}/metrics", timeout=10)
        answer = Status.model_validate(world.json("status"))
        assert f"process {answer.daemon and answer.daemon.pid}, since" in world.run("status")
    assert told.headers["Content-Type"].startswith("text/plain")
    assert NAMES - {name for family in families(told.text) for name in series(family)} == set()
    checked = subprocess.run(["promtool", "check", "metrics"], input=told.content, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
    assert ANNA not in told.text
    assert ANNA not in world.log
    assert answer.running
    assert [each.redirected for each in answer.mailboxes if each.mailbox == ANNA] == [1]
    assert {each.proof for each in answer.proofs} == {"put_back", "waiver"}
    assert "no daemon runs here" in world.run("status")
    assert samples(told.content)["connector_redirects_ended_total", "done", "acme"] == 1
