"""What all tests share: the servers that they start, and where test data from outside the project is found."""

import gc
import os
from collections.abc import Generator
from itertools import islice

import pytest

import connector.ledger.upgrade  # noqa: F401 - imported late, maybe by a test that is not traced: its lines would be missed
import tests.compiled  # noqa: F401 - for what it does

pytest_plugins = [
    "tests.servers",
    "tests.graph",
    "tests.exchange",
    "tests.nextcloud",
    "tests.links",
    "tests.browser",
    "tests.logged",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All that is collected stays: each look whether some of it has gone takes a worker most of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with some of those that take long, or one would be at them when all others have ended."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [each for each in items if each.get_closest_marker("long")]
    others = iter([each for each in items if not each.get_closest_marker("long")])
    # xdist hands out equal parts, as they stand.
    size = len(items) // workers
    begun = [long[worker::workers] for worker in range(workers)]
    items[:] = [each for first in begun for each in (*first, *islice(others, size - len(first)))] + [*others]
