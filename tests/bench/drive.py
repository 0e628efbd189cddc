"""The adapter of a drive, and nothing else: `python -m tests.bench.drive WORLD`.

It prints what a first pass and then an idle delta took: processor seconds, requests, and the most memory by then.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from connector.sources.teams import TeamsShares
from tests.bench.world import measured


def main(world: dict[str, Any]) -> None:
    """A page is forgotten once it was seen, as the daemon does it."""
    os.environ["GRAPH_SECRET"] = world["client"]["secret"]
    login = {"graph": world["graph"], "login": world["graph"], "directory": world["directory"]}
    login |= {"client": world["client"]["id"], "secret": {"env": "GRAPH_SECRET"}}
    entry = TeamsShares.model_validate({"type": "teams", "app": login, "teams": ["Project"]})
    (address,) = entry.addresses()
    source, cursor = entry.source(address), None
    for _ in ("the first pass", "an idle delta"):
        before = _requests(world)
        with measured() as told:
            told["items"] = 0
            for page in source.changes(cursor):
                told["items"] += len(page.items)
                cursor = page.cursor
            told["requests"] = _requests(world) - before


def _requests(world: dict[str, Any]) -> int:
    with urllib.request.urlopen(world["control"]) as answer:
        return sum(each["operation"] != "token" for each in json.load(answer)["seen"])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
