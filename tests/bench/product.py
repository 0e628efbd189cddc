"""connector at work.

`python -m tests.bench.product redirect|copy|list|poll MAILBOX WORLD` prints its processor seconds.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.flow.redirect import tick
from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.log import configure
from connector.model import State
from connector.policy import Policy
from connector.rewrite import Wording
from connector.sources.ews import EwsMailboxes, folders
from connector.spool import spooled
from connector.stores.webdav import WebdavConfig
from tests.bench.world import WARM, World, measured

#: `irreversible`: what is bigger than EWS takes back by default would be kept otherwise.
_RULE = {"name": "all", "action": "redirect", "irreversible": True}


def clock() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def watch(world: World, mailbox: str, settle: str = "1s") -> Watch:
    """Everything of a mailbox goes into the store, where it settles for a second instead of a day."""
    os.environ |= {"EWS_PASSWORD": world.ews["password"], "DAV_PASSWORD": world.dav["password"]}
    ews = {"type": "ews", "url": world.ews["url"], "user": world.ews["user"], "password": {"env": "EWS_PASSWORD"}}
    (source,) = EwsMailboxes.model_validate({**ews, "auth": "basic", "mailboxes": [mailbox]}).sources()
    dav = {"type": "webdav", "url": world.dav["url"], "user": world.dav["user"], "password": {"env": "DAV_PASSWORD"}}
    return Watch(
        tenant="acme",
        source=source,
        store=WebdavConfig.model_validate(dav).connect(b""),
        policy=Policy.model_validate({"defaults": {"settle": settle}, "rules": [_RULE]}),
        wording=Wording(product="Example Files", organisation="Example Ltd"),
        path="{tenant}/{mailbox}/{year}/{month}/{id}",
        marker_key=b"k" * 40,
        since=datetime(1970, 1, 1, tzinfo=UTC),
    )


def redirect_all(watched: Watch, ledger: Ledger) -> None:
    """Ticks until nothing is left. While what was copied settles, nobody works."""
    tick(watched, ledger, clock, "bench")
    while due := ledger.next_due():
        time.sleep(max((due - clock()).total_seconds(), 0))
        tick(watched, ledger, clock, "bench")


def redirect(watched: Watch, ledger: Ledger, told: dict[str, Any]) -> None:
    """The whole of it, until every message of a mailbox shows its links."""
    redirect_all(watched, ledger)
    states = {state: number for (source, state), number in ledger.counts().items() if source == watched.name}
    assert states.keys() == {State.DONE}, states
    told["messages"] = states[State.DONE]


def copy(watched: Watch, _ledger: Ledger, told: dict[str, Any]) -> None:
    """Only the bytes: out of Exchange, into the store, proved there."""
    told["bytes"] = 0
    for page in watched.source.changes(None):
        for item in page.items:
            with watched.source.open(item.id, item.files[0].id) as stream, spooled(stream) as content:
                told["bytes"] += watched.store.put(f"copies/{item.internet_message_id}", content).size


def listing(watched: Watch, _ledger: Ledger, told: dict[str, Any]) -> None:
    """A first pass over a mailbox."""
    told["messages"] = sum(len(page.items) for page in watched.source.changes(None))


def poll(watched: Watch, ledger: Ledger, told: dict[str, Any]) -> None:
    """Ticks of a mailbox in which nothing happens."""
    told["ticks"] = 20
    for _ in range(told["ticks"]):
        tick(watched, ledger, clock, "bench")


_WORK: dict[str, Callable[[Watch, Ledger, dict[str, Any]], None]] = {
    "redirect": redirect,
    "copy": copy,
    "list": listing,
    "poll": poll,
}


def main(work: str, world: World, mailbox: str) -> None:
    """As the daemon does it after it has been at work for a while: two messages have gone before.

    Each mailbox that is measured has another one for them: where a process has been before, nothing is left to do.
    """
    configure("json")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        redirect_all(watch(world, f"{WARM}{mailbox}", settle="0s"), ledger)
        watched = watch(world, mailbox)
        if work == "poll":
            # What has just been delivered is old enough.
            folders.SETTLED = timedelta(hours=-1)
            redirect_all(watched, ledger)
        with measured() as told:
            _WORK[work](watched, ledger, told)
        ledger.close()


if __name__ == "__main__":
    main(sys.argv[1], World.read(sys.argv[3]), sys.argv[2])
