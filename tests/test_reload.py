"""SIGHUP: another configuration takes over between two turns, or the old one stays and the log says why, once."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from connector.config.loading import load, reload
from connector.config.yamlfile import ConfigError
from tests.test_cli import ANNA, EXPLAIN, World, message, world
from tests.test_hints_service import BEN, PATIENCE, Running, run

__all__ = ["run", "world"]

#: The policy that the daemon starts with keeps small files; this one does not.
OTHER = "rules:\n  - {name: everything, action: redirect, settle: 0}\n"
SMALL = b"short"
Start = Callable[..., Running]


def configure(world: World, policy: str) -> None:
    """Write another policy."""
    world.configure(policy, mailbox=f"{ANNA}, {BEN}")


def reread(daemon: Running, event: str) -> dict[str, Any]:
    """Ask for the configuration to be read anew, and wait for what comes of it."""
    daemon.process.send_signal(signal.SIGHUP)
    return daemon.until(event)


def planned_by(world: World, said: str) -> list[str]:
    """The fingerprints of the policies that planned the redirects of a message."""
    history = world.json(*EXPLAIN, said)["history"]
    return [each["detail"]["policy"] for each in history if each["event"] == "redirect.planned"]


def test_the_next_turn_goes_by_the_new_policy(world: World, run: Start) -> None:
    """And each redirect names the one that made it, which `explain` tells."""
    daemon = run(interval=1)
    daemon.until("service.started")
    old = load(world.folder).tenants[0].policy.fingerprint
    world.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until_stored(1)
    configure(world, OTHER)
    new = load(world.folder).tenants[0].policy.fingerprint
    assert reread(daemon, "config.loaded")["policies"] == {"acme": new}
    world.exchange.deliver(ANNA, message("small.txt", content=SMALL))
    daemon.until_stored(2)
    daemon.stop()
    assert old != new
    assert planned_by(world, "<plan.pdf@example.org>") == [old]
    assert planned_by(world, "<small.txt@example.org>") == [new]


def test_reading_anew_under_load_loses_and_doubles_nothing(world: World, run: Start) -> None:
    """Turns in flight end after the effect that they are at; what is left is due at once."""
    for number in range(25):
        world.exchange.deliver(ANNA, message(f"{number}.pdf"))
    daemon = run(interval=1)
    daemon.until("service.started")
    for _ in range(3):
        assert reread(daemon, "config.loaded")
    begun = time.monotonic()
    while daemon.redirected() < 25:
        assert time.monotonic() - begun < 4 * PATIENCE
        time.sleep(0.2)
    daemon.stop()
    assert len(world.stored()) == 25


def test_what_cannot_be_used_is_refused_and_the_old_policy_stays(world: World, run: Start) -> None:
    """A broken file, a test that fails, one that was cut off, another ledger: one event each, and work goes on."""
    daemon = run(interval=1)
    daemon.until("service.started")
    tenant, process = world.folder / "tenants" / "acme.yaml", world.folder / "connector.yaml"
    tests = world.folder / "tenants" / "acme.tests.yaml"
    whole = tenant.read_text()

    tenant.write_text(whole.replace("rules:", "rulez:"))
    (problem,) = reread(daemon, "config.refused")["problems"]
    assert problem.endswith("rulez: is not a field; did you mean rules?")

    configure(world, OTHER)
    tests.write_text("tests:\n  - {name: small stays, message: {size: 5 B}, verdict: keep}\n")
    (problem,) = reread(daemon, "config.refused")["problems"]
    assert problem == (
        f"{tests}:2:5 tests.0: small stays: expected keep, but the policy says redirect by rule everything"
        " (the rule has no conditions)"
    )
    tests.unlink()

    tenant.write_text(tenant.read_text()[:-2] + "}")
    (problem,) = reread(daemon, "config.refused")["problems"]
    assert problem == f"{tenant}: ends within a line; it may have been cut off"

    configure(world, OTHER)
    settings = process.read_text()
    for name, other in (
        ("ledger", settings + "ledger: sqlite:////tmp/other.db\n"),
        ("log", settings.replace("{format: json}", "{format: json, level: debug}")),
    ):
        process.write_text(other)
        (problem,) = reread(daemon, "config.refused")["problems"]
        assert problem == f"connector.yaml: another `{name}` needs a restart"

    world.exchange.deliver(ANNA, message("small.txt", content=SMALL))
    world.exchange.deliver(ANNA, message("plan.pdf"))
    daemon.until_stored(1)
    time.sleep(2)
    assert len(world.stored()) == 1  # The small one, which came first, stays.
    daemon.stop()


def test_a_configuration_that_is_being_written_is_not_read(world: World) -> None:
    """Whole or not, it is another one a moment later."""
    tenant = world.folder / "tenants" / "acme.yaml"
    whole = tenant.read_text() + "\n"
    tenant.write_text(whole)
    assert reload(world.folder, still=lambda: None) == load(world.folder)
    with pytest.raises(ConfigError, match="somebody is writing there"):
        reload(world.folder, still=lambda: tenant.write_text(whole + "# more\n"))
    tenant.unlink()
    (world.folder / "connector.yaml").unlink()
    with pytest.raises(ConfigError, match=r"connector\.yaml: cannot be read: No such file"):
        reload(world.folder, still=lambda: None)


def test_a_policy_whose_tests_fail_is_not_loaded(world: World) -> None:
    """Exit code 2, with the place of each test that fails; tests of no policy are a mistake too."""
    tests = world.folder / "tenants" / "acme.tests.yaml"
    tests.write_text(
        "tests:\n"
        "  - {name: large goes, message: {size: 20 MB}, verdict: redirect, rule: large}\n"
        "  - {name: archives go, message: {file: a.zip}, verdict: redirect}\n"
        "  - name: small goes\n    message: {size: 1 B}\n    verdict: redirect\n"
    )
    world.run("check", code=2)
    assert world.log.count("but the policy says") == 2
    assert f"{tests}:3:5 tests.1: archives go: expected redirect, but the policy says hold by rule zip" in world.log
    assert f"{tests}:4:5 tests.2: small goes: expected redirect, but the policy says keep by rule small" in world.log
    tests.write_text("tests:\n  - {name: large goes, mesage: {size: 20 MB}, verdict: redirect}\n")
    world.run("once", code=2)
    assert "tests.0.mesage: is not a field; did you mean message?" in world.log
    tests.rename(tests.with_name("acne.tests.yaml"))
    world.run("once", code=2)
    assert "acne.tests.yaml: tests a policy that is not there" in world.log
