"""Alerts and the dashboard: judged by Prometheus' own tool, and written in the words of what the daemon tells.

That each name is really told is in `tests/test_health.py`, which asks a daemon.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from ruamel.yaml import YAML

CONFIG = Path(__file__).parent.parent / "config"
RULES = CONFIG / "prometheus" / "alerts.yaml"
DASHBOARD = json.loads((CONFIG / "grafana" / "connector.json").read_text())
ALERTS: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load(RULES)["groups"] for rule in group["rules"] if "alert" in rule
]
ASKED = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
_SERIES = re.compile(r"\b(?:connector|process)_[a-z_]+")
#: All series that dashboard and alerts name.
NAMES = {name for asked in ASKED for name in _SERIES.findall(asked)}


def series(family: Metric) -> set[str]:
    """The names under which Prometheus keeps a family, also where it has no value yet."""
    more = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {f"{family.name}{end}" for end in more.get(family.type, ("",))}


def promtool(*arguments: str) -> None:
    """Run it; it must be content."""
    ended = subprocess.run(["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_takes_the_rules_and_they_alert_when_they_should() -> None:
    """Each alert is raised by what it is for, and a daemon that is well raises none."""
    promtool("check", "rules", RULES.name)
    promtool("test", "rules", "alerts.test.yaml")
    tested = {case["name"] for case in YAML(typ="safe").load(RULES.with_name("alerts.test.yaml"))["tests"]}
    assert {rule["alert"] for rule in ALERTS} < tested


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """Whoever is woken by it has a sentence about what is so, and one about what to do."""
    assert set(alert["annotations"]) == {"summary", "runbook"}
    assert all(told.endswith(".") for told in alert["annotations"].values())
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}


def test_the_dashboard_has_a_title_and_a_place_for_each_panel() -> None:
    """No two panels lie upon each other, and each says what it shows."""
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places
        assert at["x"] + at["w"] <= 24
        places |= cells
        assert panel["title"]
        assert panel["description"].endswith(".")
    for variable in ("${source}", "$tenant"):
        assert variable in json.dumps(DASHBOARD["panels"])
