"""What was logged, for tests that read it."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connector.log import configure

#: The JSON lines that were logged since it was last asked.
Lines = Callable[[], list[dict[str, Any]]]


def quieten() -> None:
    """Little is logged: by itself, structlog draws each failure with all that its frames hold, and takes a second."""
    configure("json", "error")


quieten()


@contextmanager
def as_before() -> Iterator[None]:
    """Whatever configures logs inside, after it they are what other tests have."""
    handlers = logging.root.handlers[:]
    try:
        yield
    finally:
        quieten()
        logging.captureWarnings(capture=False)
        logging.root.handlers[:] = handlers


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Everything is logged, as JSON."""
    with as_before():
        configure("json", "debug")
        yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
