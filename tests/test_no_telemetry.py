"""The daemon speaks to whom the configuration names, and to nobody else: no telemetry, no look for updates."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.test_cli import ANNA, World, message, wait_for, world

__all__ = ["world"]

#: Put before every process of ours: it writes down whom Python asks for a name, a connection or a datagram.
_WATCH = """
import json, os, sys
told = os.open({file!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
asked = {{"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}}
def watch(event, arguments):
    if event in asked:
        address = arguments[asked[event]]
        host, port = address[:2] if isinstance(address, tuple) else (address, arguments[1])
        os.write(told, (json.dumps([event, str(host), str(port)]) + "\\n").encode())
sys.addaudithook(watch)
"""


def test_nobody_is_spoken_to_but_the_servers_that_are_configured(world: World) -> None:
    """While it redirects a message: Exchange and the store, by the addresses that they have."""
    file = world.folder / "told"
    (world.folder / "sitecustomize.py").write_text(_WATCH.format(file=str(file)))
    world.exchange.deliver(ANNA, message("plan.pdf"))
    process = world.start("run", PYTHONPATH=str(world.folder))
    try:
        wait_for(lambda: world.stored() != [])
        wait_for(lambda: world.json("status")["mailboxes"][0]["redirected"] == 1)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    ours = {urlsplit(each).netloc for each in (world.exchange.ews, world.store.url)}
    connected = {f"{host}:{port}" for event, host, port in spoken_to(file) if event == "socket.connect"}
    assert connected == ours
    assert {host for _, host, _ in spoken_to(file)} == {"127.0.0.1"}


def spoken_to(file: Path) -> list[Any]:
    """What was written down."""
    return [json.loads(line) for line in file.read_text().splitlines()]
