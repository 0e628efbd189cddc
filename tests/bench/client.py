"""What `connector` does, to be measured: the path of the bytes, whole ticks, the change feed."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.ledger import Ledger
from connector.model import Action, Message
from connector.policy import Defaults, Policy, Rule
from connector.redirect import tick
from connector.rewrite import Wording
from connector.service import clock
from connector.sources.ews import EwsMailbox, EwsMailboxes, folders
from connector.spool import spooled
from connector.stores.webdav import WebdavConfig, WebdavStore
from connector.turn import Watch
from tests.bench.measured import Meter
from tests.bench.recorded import Request, recorded
from tests.bench.world import World, letter

_POLICY = Policy(defaults=Defaults(settle=timedelta(0)), rules=(Rule(name="all", action=Action.REDIRECT),))
_EVER = datetime.fromtimestamp(0, UTC)


def source(world: World, mailbox: str) -> EwsMailbox:
    """The mailbox, through the service account."""
    os.environ["EWS_PASSWORD"] = world.ews_password
    told = {"type": "ews", "url": world.ews, "auth": "basic", "user": world.ews_user, "mailboxes": [mailbox]}
    (found,) = EwsMailboxes.model_validate({**told, "password": {"env": "EWS_PASSWORD"}}).sources()
    return found


def listed(found: EwsMailbox) -> list[Message]:
    """All items of the mailbox."""
    return [item for page in found.changes(None) for item in page.items]


def carry(meter: Meter, world: World, mailbox: str) -> None:
    """Every attachment from the mailbox into the store, proved there: no ledger, nothing else."""
    found, store = source(world, mailbox), _store(world)
    for item in listed(found):
        path = f"{mailbox}/{item.internet_message_id[1:2]}/minutes.pdf"
        with meter.running(), found.open(item.id, item.files[0].id) as stream, spooled(stream) as content:
            store.put(path, content)
        store.delete(path)


def redirect_all(meter: Meter, world: World, mailbox: str) -> None:
    """One tick, from first contact until no message has its attachment any more."""
    with _ticking(world, mailbox) as turn, meter.running():
        turn()
    assert not any(item.files for item in listed(source(world, mailbox)))


def redirect_each(meter: Meter, world: World, mailbox: str, count: int, size: int) -> list[Request]:
    """One tick for each of so many messages that arrive. Answers the requests for one more."""
    with _ticking(world, mailbox) as turn:
        turn()
        for number in range(count):
            world.deliver(mailbox, letter(number, size))
            with meter.running():
                turn()
        world.deliver(mailbox, letter(count, size))
        with recorded() as requests:
            turn()
    assert not any(item.files for item in listed(source(world, mailbox)))
    return requests


def poll(meter: Meter, world: World, mailbox: str, times: int) -> list[Request]:
    """So many ticks over a mailbox in which nothing happens. Answers the requests of one more."""
    with _ticking(world, mailbox) as turn:
        turn()  # The first contact: everything is new.
        turn()  # What the first one wrote comes back as a change.
        with meter.running():
            for _ in range(times):
                turn()
        with recorded() as requests:
            turn()
    return requests


def list_all(meter: Meter, world: World, mailbox: str) -> tuple[int, list[Request]]:
    """The change feed from its beginning. Answers how many items it told, and the requests that it took."""
    found = source(world, mailbox)
    assert found.key  # Contact with the server is not what is measured.
    with meter.running():
        count = len(listed(found))
    with recorded() as requests:
        listed(found)
    return count, requests


def _store(world: World) -> WebdavStore:
    os.environ["STORE_PASSWORD"] = world.store_password
    told = {"type": "webdav", "url": world.store, "user": world.store_user, "password": {"env": "STORE_PASSWORD"}}
    return WebdavConfig.model_validate(told).connect()


@contextmanager
def _ticking(world: World, mailbox: str) -> Iterator[Callable[[], bool]]:
    # All mail here is new; on a real server nearly all folders have rested for longer than this.
    folders.SETTLED = timedelta(hours=-1)
    watch = Watch(
        tenant="acme",
        source=source(world, mailbox),
        store=_store(world),
        policy=_POLICY,
        wording=Wording(product="Example Files", organisation="Example Ltd"),
        path="{tenant}/{mailbox}/{year}/{month}/{id}",
        marker_key=b"k" * 32,
        since=_EVER,
    )
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{Path(folder)}/ledger.db")
        try:
            yield lambda: tick(watch, ledger, clock, "bench")
        finally:
            ledger.close()
