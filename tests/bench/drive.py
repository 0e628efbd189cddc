"""connector at a drive: `python -m tests.bench.drive pass|copy|tick FOLDER WORLD`; files go to FOLDER in the store.

It prints what that took: processor seconds, requests, and the most memory by then.
"""

import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.model import State
from connector.policy import Policy
from connector.rewrite import Wording
from connector.sources.teams import GraphDrive, TeamsShares
from connector.spool import spooled
from connector.stores.webdav import WebdavConfig, WebdavStore
from tests.bench.product import redirect_all
from tests.bench.world import measured

_POLICY = {"rules": [{"name": "all", "action": "copy"}]}


def passes(world: dict[str, Any], _folder: str) -> None:
    """A first pass, and then an idle delta. A page is forgotten once it was seen, as the daemon does it."""
    source, cursor = drive(world), None
    for _ in ("the first pass", "an idle delta"):
        before = _requests(world)
        with measured() as told:
            told["items"] = 0
            for page in source.changes(cursor):
                told["items"] += len(page.items)
                cursor = page.cursor
            told["requests"] = _requests(world) - before


def copy(world: dict[str, Any], folder: str) -> None:
    """Only the bytes: out of the drive, into the same folders of the store, proved there."""
    source, target = drive(world), store(world)
    with measured() as told:
        told["files"] = told["bytes"] = 0
        for page in source.changes(None):
            for item in page.items:
                with source.open(item.id, item.id) as stream, spooled(stream) as content:
                    told["bytes"] += target.put(f"{folder}/{item.folder}/{item.subject}", content).size
                told["files"] += 1


def copy_all(world: dict[str, Any], folder: str) -> None:
    """The whole of it, with policy, ledger and manifests, until every file is done."""
    with tempfile.TemporaryDirectory() as state:
        ledger = Ledger(f"sqlite:///{state}/ledger.db")
        watch = Watch(
            tenant="acme",
            source=drive(world),
            store=store(world),
            policy=Policy.model_validate(_POLICY),
            wording=Wording(product="Example Files", organisation="Example Ltd"),
            path=f"{folder}/{{year}}/{{month}}/{{id}}",
            marker_key=b"k" * 40,
            since=datetime(1970, 1, 1, tzinfo=UTC),
        )
        with measured() as told:
            redirect_all(watch, ledger)
            states = {state: number for (_, state), number in ledger.counts().items()}
            assert states.keys() == {State.DONE}, states
            told["files"] = states[State.DONE]
        ledger.close()


def drive(world: dict[str, Any]) -> GraphDrive:
    """The adapter; nothing has been asked but where the drive is."""
    os.environ["GRAPH_SECRET"] = world["client"]["secret"]
    login = {"graph": world["graph"], "login": world["graph"], "directory": world["directory"], "ca": world["ca"]}
    login |= {"client": world["client"]["id"], "secret": {"env": "GRAPH_SECRET"}}
    entry = TeamsShares.model_validate({"type": "teams", "app": login, "teams": ["Project"]})
    (address,) = entry.addresses()
    return entry.source(address)


def store(world: dict[str, Any]) -> WebdavStore:
    """Apache."""
    os.environ["DAV_PASSWORD"] = world["dav"]["password"]
    dav = {"type": "webdav", "url": world["dav"]["url"], "user": world["dav"]["user"]}
    return WebdavConfig.model_validate({**dav, "password": {"env": "DAV_PASSWORD"}}).connect(b"")


def _requests(world: dict[str, Any]) -> int:
    with urllib.request.urlopen(world["control"]) as answer:
        return sum(each["operation"] != "token" for each in json.load(answer)["seen"])


_WORK: dict[str, Callable[[dict[str, Any], str], None]] = {"pass": passes, "copy": copy, "tick": copy_all}


if __name__ == "__main__":
    _WORK[sys.argv[1]](json.loads(Path(sys.argv[3]).read_text()), sys.argv[2])
