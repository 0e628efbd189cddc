"""A table of what was measured, at the end of the run."""

import pytest

_FIGURES: list[tuple[str, str, str]] = []


def figure(what: str, value: str, remark: str) -> None:
    """One line of the table."""
    _FIGURES.append((what, value, remark))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    for what, value, remark in _FIGURES:
        terminalreporter.write_line(f"{what:<24}{value:>20}   {remark}")
