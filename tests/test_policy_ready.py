"""The policies that we ship: a ministry could start with each, and each says what its tests say."""

from pathlib import Path

import pytest

from connector.config.loading import load
from connector.config.problems import checked
from connector.config.yamlfile import read
from connector.policy.sketch import PolicyTests

POLICIES = Path(__file__).parent.parent / "config" / "policies"
READY = sorted(path for path in POLICIES.glob("*.yaml") if not path.name.endswith(".tests.yaml"))


@pytest.mark.parametrize("path", READY, ids=[path.stem for path in READY])
def test_a_policy_to_start_with_loads_and_means_what_its_tests_say(path: Path, tmp_path: Path) -> None:
    """As it is, with the lists beside it: loading runs the tests, and each of its rules has one."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "connector.yaml").write_text("marker_key: {env: MARKER}\n")
    (tmp_path / "tenants" / path.name).write_text(path.read_text().replace("/etc/connector/", f"{POLICIES}/"))
    tests = path.with_suffix(".tests.yaml")
    (tmp_path / "tenants" / tests.name).write_text(tests.read_text())
    (tenant,) = load(tmp_path).tenants
    tested = {test.rule for test in checked(read(tests), PolicyTests).tests}
    assert {rule.name for rule in tenant.rules if rule.mode == "enforce"} <= tested
    assert {"exclude:mailboxes", "exclude:hold", "exclude:identity", "guard:sensitivity"} <= tested


def test_there_are_five() -> None:
    """One for watching, one for a pilot, one for full mailboxes, one for security, one for records."""
    assert [path.stem for path in READY] == ["first-weeks", "full-mailboxes", "pilot", "records", "security"]
