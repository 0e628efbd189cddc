"""What gets into the log, and what never does."""

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from connector.errors import Rejected
from connector.log import Event, configure, log

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The JSON lines that were logged."""
    handlers = logging.root.handlers[:]
    configure("json", "debug")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()


def test_a_line_is_json_with_a_stable_event(lines: Lines) -> None:
    """A line says when, how grave, what by its stable name, and the details."""
    log.warning(Event.SOURCE_PAUSED, source="acme/1", reason="busy")
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "source.paused", "level": "warning", "source": "acme/1", "reason": "busy"}


@pytest.mark.parametrize("key", ["subject", "body", "password", "api_token", "Authorization", "name", "marker_key"])
def test_private_keys_are_blanked(lines: Lines, key: str) -> None:
    """Whatever is logged under such a key stays out, however deep it lies."""
    log.info("x", **{key: "hush"}, nested=[{key: "hush"}])
    (line,) = lines()
    assert "hush" not in json.dumps(line)
    assert key in line


def test_a_foreign_exception_is_told_by_type_and_place_only(lines: Lines) -> None:
    """The text of an exception may quote mail, and so may the text of what caused it."""
    try:
        int("hush")
    except ValueError as cause:
        error = LookupError("hush")
        error.__cause__ = cause
        log.error(Event.BUG, error=error, exc_info=error)
    (line,) = lines()
    assert "hush" not in json.dumps(line)
    assert line["error"] == "LookupError"
    assert "builtins.ValueError" in line["exception"]
    assert f"{__file__}:" in line["exception"]


def test_our_own_error_says_its_sentence(lines: Lines) -> None:
    """Messages of our own errors are written for the operator."""
    log.warning("x", error=Rejected("the store takes no file above 2 GB"))
    assert lines()[0]["error"] == "the store takes no file above 2 GB"


def test_a_library_does_not_speak_in_its_own_words(lines: Lines) -> None:
    """Of what a library warns of, only who and where is told; what it merely notes is not told at all."""
    logging.getLogger("some.library").warning("cannot parse %s", "hush")
    logging.getLogger("some.library").info("hush")
    warnings.warn("hush", UserWarning, stacklevel=1)
    told = lines()
    assert [(line["event"], line["logger"]) for line in told] == [
        ("library.spoke", "some.library"),
        ("library.spoke", "py.warnings"),
    ]
    assert "hush" not in json.dumps(told)


def test_the_level_is_kept(lines: Lines) -> None:
    """What is less grave than the level is not logged."""
    configure("json", "warning")
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_an_escape_sequence_never_reaches_a_terminal(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """The console form shows a control character, it does not send it."""
    configure("console", "info")
    log.info("x", item="AAA\x1b[2J\nforged line")
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.count("\n") == 1
    assert lines() == []


def test_names_of_events_are_of_one_form() -> None:
    """Scripts may rely on lower-case words with dots between them, each name once."""
    names = [event.value for event in Event]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", name) for name in names)
