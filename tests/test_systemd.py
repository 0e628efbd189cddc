"""The units, by systemd's own judgement, and the daemon as systemd meets it: on a socket that tells it what is so."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.absent import absent

UNITS = Path(__file__).parent.parent / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
#: systemd's own measure of what a unit leaves open to whoever takes over the process: 0 is nothing, 10 is all.
EXPOSURE = 1.5


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        absent("systemd-analyze is not installed (Debian: systemd)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """With a program in place of the one that is installed elsewhere."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    units = [each for each in tmp_path.iterdir() if each.suffix in {".service", ".timer"}]
    for unit in units:
        unit.write_text(unit.read_text().replace("/opt/connector/bin/connector", sys.executable))
    checked = analyze("verify", *map(str, units))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert len(units) >= 6


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_whoever_takes_over_a_process_gets_little(unit: Path) -> None:
    """Above this, systemd-analyze ends with 1."""
    checked = analyze("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE * 10:.0f}", str(unit))
    assert checked.returncode == 0, checked.stdout.splitlines()[-1]


def test_every_timer_has_its_service_and_starts_with_the_machine() -> None:
    """A timer of which nobody knows runs nothing."""
    timers = list(UNITS.glob("*.timer"))
    assert len(timers) == 2
    for timer in timers:
        assert timer.with_suffix(".service") in SERVICES
        assert "WantedBy=timers.target" in timer.read_text()


def test_the_unit_loads_every_credential_that_the_examples_name() -> None:
    """Whoever starts from our examples finds the unit ready for them; what policies name beside that, stands there."""
    config, unit = UNITS.parent / "config", (UNITS / "connector.service").read_text()
    beside = (UNITS / "connector.service.d" / "links.conf").read_text()
    policies = [*(config / "policies").glob("*.yaml")]
    examples = [path for path in config.rglob("*.yaml") if path not in policies]
    # What is commented out, and its credential in the unit too, would stop the unit where there is no such file.
    loaded = re.findall(r"^LoadCredential=([a-z-]+):", unit, re.MULTILINE)
    assert _named(examples) == set(loaded)
    assert _named(policies) <= set(re.findall(r"^#?LoadCredential=([a-z-]+):", unit + beside, re.MULTILINE))


def _named(examples: list[Path]) -> set[str]:
    lines = [line for path in examples for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    named = {name for line in lines for name in re.findall(r"\{credential: ([a-z-]+)\}", line)}
    assert named
    return named
