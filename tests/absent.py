"""What a test needs and this machine has not."""

import os
from typing import NoReturn

import pytest

#: Set by `.ci/run`. Not `CI`: with that, pytest tells each difference in megabytes, and what failed is hard to find.
_IN_CI = "CONNECTOR_CI"


def absent(what: str) -> NoReturn:
    """Skip the test and say why; in CI, where nothing may be absent, fail it."""
    (pytest.fail if in_ci() else pytest.skip)(what)


def in_ci() -> bool:
    """Whether nothing may be absent."""
    return bool(os.environ.get(_IN_CI))
