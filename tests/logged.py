"""What was logged, for tests that read it."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from connector.log import configure

#: The JSON lines that were logged since it was last asked.
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Everything is logged, as JSON."""
    handlers = logging.root.handlers[:]
    configure("json", "debug")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()
