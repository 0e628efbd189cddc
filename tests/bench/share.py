"""A simulated drive as a process of its own: `python -m tests.bench.share ITEMS SIZE [FOLDER]`.

Its folders are six deep, and some of their names are hostile. Files have SIZE bytes that nothing compresses, made as
they are asked for. With FOLDER it speaks TLS, by the authority there. How fast this one answers does not count.
"""

import json
import sys
from pathlib import Path
from typing import Any

from connector.simulator import Exchange
from connector.simulator.content import Seeded
from connector.simulator.graph.login import issue
from tests.teams import Users
from tests.tunnel import Authority

#: What SharePoint allows, and what breaks who quotes or splits carelessly.
HOSTILE = ("100% sure", "a+b & c=d", "Ärger 文書 🙂", "it's, (1); $2 @3", "x" * 120)
_DEPTH, _IN_A_FOLDER = 6, 250


def main(items: int, size: int, authority: Authority | None) -> None:
    """Tell in one line of JSON how to get at it, and serve until standard input ends."""
    with Exchange(tls=authority.tls if authority else None) as exchange:
        # Nobody is sent away: waiting is not measured here. rclone sends a token where none is wanted.
        exchange.order(resource_units={"limit": 10**9}, deviate={"tolerant-urls": True})
        drive = Users(exchange).drive
        folders = set()
        for number in range(items):
            folder = _folder(number // _IN_A_FOLDER)
            folders.add(folder)
            name = f"{folder}/{number} {HOSTILE[number % len(HOSTILE)]}.bin"
            drive.find(drive.upload(name, Seeded(size, seed=number))).version.hash  # noqa: B018 - made before it is asked for
        told: dict[str, Any] = {"graph": exchange.graph.removesuffix("/v1.0"), "directory": exchange.tenant}
        told |= {"client": exchange.client, "control": exchange.control, "folders": len(folders) * _DEPTH}
        told |= {"drive": drive.id, "token": issue(exchange._organisation.tenant)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def _folder(number: int) -> str:
    below = (f"{number} {HOSTILE[(number + level) % len(HOSTILE)][:20]}" for level in range(1, _DEPTH))
    return "/".join(("General", *below))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Authority.read(Path(sys.argv[3])) if sys.argv[3:] else None)
