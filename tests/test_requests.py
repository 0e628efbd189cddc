"""What a redirect costs in requests, on both sides: written down in `tests.bench.floor`, and held here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.ledger import Ledger
from connector.simulator import Exchange
from connector.sources.memory import Attached
from tests.bench.floor import CALLS
from tests.bench.product import redirect_all, watch
from tests.bench.world import World
from tests.ews import ANNA, eml
from tests.lying_store import LyingStore, lying_store
from tests.servers import DavServer


@pytest.fixture
def store(apache: DavServer) -> Iterator[LyingStore]:
    """An honest proxy before Apache, which remembers what it was asked."""
    with lying_store(apache.port) as proxy:
        yield proxy


def test_requests_of_a_redirect(exchange: Exchange, apache: DavServer, store: LyingStore, tmp_path: Path) -> None:
    """Of each message, once source and store are known; and what each further file of it adds.

    To find it costs one GetItem for up to 25 new messages, and what the feed costs whether there is news or not: see
    tests/test_sources_ews.py::test_requests_per_message.
    """
    exchange.add_mailbox(ANNA)
    dav = {"url": apache.url.replace(f":{apache.port}/", f":{store.port}/"), "user": apache.user}
    world = World({"url": exchange.ews, **exchange.impersonator}, dav | {"password": apache.password})
    watched, ledger = watch(world, ANNA), Ledger(f"sqlite:///{tmp_path}/ledger.db")

    def cost(files: int) -> tuple[Counter[str], Counter[str]]:
        exchange.deliver(ANNA, eml(*(Attached(f"{number}.bin", b"bytes") for number in range(files))))
        redirect_all(watched, ledger)
        ews = Counter(each for each in exchange.seen if each not in {"FindFolder", "SyncFolderItems"})
        asked = ews, Counter(each.method for each in store.requests)
        exchange.order(reset=True)
        store.requests.clear()
        return asked

    cost(1)
    one, two = cost(1), cost(2)
    assert one == (Counter([*CALLS["ews"], "GetItem"]), Counter(CALLS["dav"]))
    assert two[0] - one[0] == Counter(GetAttachment=1)
    assert two[1] - one[1] == Counter(PUT=1, GET=1, MOVE=1, PROPFIND=2)
    ledger.close()
