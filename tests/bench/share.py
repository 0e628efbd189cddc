"""A simulated drive as a process of its own: `python -m tests.bench.share ITEMS`.

Its folders are six deep, and some of their names are hostile. How fast this one answers does not count.
"""

import json
import sys
from typing import Any

from connector.simulator import Exchange
from tests.teams import Users

#: What SharePoint allows, and what breaks who quotes or splits carelessly.
HOSTILE = ("100% sure", "a+b & c=d", "Ärger 文書 🙂", "it's, (1); $2 @3", "x" * 120)
_DEPTH, _IN_A_FOLDER = 6, 250


def main(items: int) -> None:
    """Tell in one line of JSON how to get at it, and serve until standard input ends."""
    with Exchange() as exchange:
        # Nobody is sent away: waiting is not measured here.
        exchange.order(resource_units={"limit": 10**9})
        drive = Users(exchange).drive
        folders = set()
        for number in range(items):
            folder = _folder(number // _IN_A_FOLDER)
            folders.add(folder)
            drive.upload(f"{folder}/{number} {HOSTILE[number % len(HOSTILE)]}.bin", b"%d" % number)
        told: dict[str, Any] = {"graph": exchange.graph.removesuffix("/v1.0"), "directory": exchange.tenant}
        told |= {"client": exchange.client, "control": exchange.control, "folders": len(folders) * _DEPTH}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def _folder(number: int) -> str:
    below = (f"{number} {HOSTILE[(number + level) % len(HOSTILE)][:20]}" for level in range(1, _DEPTH))
    return "/".join(("General", *below))


if __name__ == "__main__":
    main(int(sys.argv[1]))
