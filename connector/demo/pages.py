"""The pages of links: in earnest a process and a user of their own, here a thread beside the store."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connector.links.book import Book
from connector.links.refusals import Refusals
from connector.links.server import listening, server
from connector.links.settings import LinkSettings
from connector.links.site import Site

_BLINK = 0.01
_HELP = "Example Ltd helps: desk@example.org"


@contextmanager
def pages(book: str, *, store: str, user: str, password: Path) -> Iterator[str]:
    """Their address, on loopback until the block ends. They read the store by the login that is given."""
    settings = LinkSettings.model_validate(
        {
            "url": "http://127.0.0.1",
            "listen": {"port": 0},
            "book": book,
            "house": {"name": "Example Ltd", "contact": {"en": _HELP}},
            "tenants": {"demo": {"store": {"url": store, "user": user, "password": {"file": password}}}},
        }
    )
    with closing(Book(book)) as opened, closing(listening(settings)) as heard, Refusals(opened).written() as refusals:
        url = f"http://127.0.0.1:{heard.getsockname()[1]}"
        settings = settings.model_copy(update={"url": url})
        served = server(settings, Site(settings, opened, refusals, lambda: datetime.now(UTC)))
        thread = threading.Thread(target=served.run, kwargs={"sockets": [heard]}, daemon=True)
        thread.start()
        while not served.started:
            time.sleep(_BLINK)
        try:
            yield url
        finally:
            served.should_exit = True
            thread.join()
