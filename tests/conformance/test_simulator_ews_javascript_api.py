"""ews-javascript-api, Microsoft's client library in JavaScript, takes the simulated Exchange for a real one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from connector.simulator import Exchange
from tests.exchange import Owner
from tests.test_simulator import ANNA, eml

_PACKAGE = "ews-javascript-api@0.15.3"
_SCRIPT = Path(__file__).with_name("ews_javascript_api.mjs")


@pytest.mark.by_hand
def test_ews_javascript_api(exchange: Exchange, anna: Owner, tmp_path: Path) -> None:
    """It reads, loads, updates, synchronises and listens. By hand: npm fetches the package and what it needs."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    install = ["npm", "install", "--prefix", str(tmp_path), _PACKAGE]
    if subprocess.run(install, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"npm could not install {_PACKAGE}")
    exchange.deliver(ANNA, eml("one", "a.pdf"))
    script = shutil.copy(_SCRIPT, tmp_path)
    command = ["node", script, exchange.ews, anna.account["user"], anna.account["password"]]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "found": [1, False],
        "read": ["one", "<p>Hello</p>", "a.pdf", "YS5wZGY="],
        "changed": "changed",
        "changes": [1, False],
        "heard": "Moved",
    }
