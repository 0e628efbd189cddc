"""ews-javascript-api, Microsoft's client library in JavaScript, takes the simulated Exchange for a real one."""

import json
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from connector.simulator import Exchange
from tests.absent import absent
from tests.exchange import Owner
from tests.test_simulator import ANNA, eml

_PACKAGE = "ews-javascript-api@0.15.3"
_SCRIPT = Path(__file__).with_name("ews_javascript_api.mjs")
_FOLDERS = ("Calendar", "Contacts", "Deleted Items", "Drafts", "Inbox", "Journal", "Junk Email", "Notes", "Outbox")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The client's script, beside the library that it needs."""
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), _PACKAGE]
    if shutil.which("npm") is None:
        absent("npm is not installed (Debian: npm)")
    if subprocess.run(install, capture_output=True, check=False).returncode != 0:
        absent(f"npm could not install {_PACKAGE}")
    return Path(shutil.copy(_SCRIPT, tmp_path))


@pytest.mark.timeout(600)
def test_ews_javascript_api(exchange: Exchange, anna: Owner, script: Path) -> None:
    """It walks, reads, loads, updates and synchronises; a stream tells it of mail, also when it is opened again."""
    exchange.deliver(ANNA, eml("one", "a.pdf"))
    exchange.order(minute=3)
    given = {
        "url": exchange.ews,
        "user": ANNA,
        "password": anna.account["password"],
        "control": exchange.control,
        "eml": b64encode(eml("two")).decode(),
    }

    done = subprocess.run(
        ["node", script, json.dumps(given)], cwd=script.parent, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "folders": [*_FOLDERS, "Sent Items", "Tasks"],
        "found": [1, False],
        "read": ["one", "<p>Hello</p>", "a.pdf", "YS5wZGY="],
        "changed": "changed",
        "changes": [1, False],
        "heard": [["NewMail", "two", True, False, None]] * 2,
    }
