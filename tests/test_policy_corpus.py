"""The table of what should happen to real mail: current, complete, and made without the connector."""

import ast
import csv
import os
from pathlib import Path

import pytest

from tests.corpus import independent


@pytest.fixture
def samples() -> Path:
    """The folder of the sample mail. Skips only where nobody said where it is and it is not beside the project."""
    folder = independent.folder_of_samples()
    if "CONNECTOR_TEST_DATA" not in os.environ and not folder.is_dir():
        pytest.skip("no sample mail beside the project: set CONNECTOR_TEST_DATA")
    return folder


def test_the_table_is_what_the_independent_parser_says(samples: Path) -> None:
    """Nobody edited it by hand, and it covers every message of the sample mail."""
    written = independent.TABLE.read_text(encoding="utf-8")
    assert written == independent.table(samples)
    assert written.splitlines()[-1].startswith("= 228 messages")


def test_each_file_counts_once() -> None:
    """The columns after `files` add up to it, in every line and in the sums."""
    lines = (line for line in independent.TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    for row in csv.DictReader(lines, delimiter="\t"):
        name, files, *counts = row.values()
        assert int(files) == sum(map(int, counts)), name


def test_the_independent_parser_is_independent() -> None:
    """It imports the standard library only: what it shared with the connector would be wrong in both."""
    tree = ast.parse(Path(independent.__file__).read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert not [name for name in imported if name and name.split(".")[0] in {"connector", "tests"}]
