"""The catalogue of events and the code say the same."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

import connector
from connector.cli import app
from connector.config.yamlfile import ConfigError
from connector.log.events import Event, Severity

PACKAGE = Path(connector.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "log"}
#: What libraries said is as grave as they say.
AS_IT_COMES = {Event.LIBRARY_SPOKE}


@dataclass(frozen=True)
class Use:
    """A place in the code that names an event, and how gravely it is logged there; "" where it is only handed on."""

    event: str
    level: str
    at: str


@pytest.fixture(scope="module")
def uses() -> list[Use]:
    """All places. Only who runs these tests reads all sources for them."""
    return [*_uses()]


def _uses() -> Iterator[Use]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE)
        if room.parts[0] != "simulator" and room.as_posix() != "log/events.py":
            for node in ast.walk(ast.parse(path.read_text())):
                yield from _named(node, f"{room}:{getattr(node, 'lineno', 0)}", in_ledger=room.parts[0] == "ledger")


def _named(node: ast.AST, at: str, *, in_ledger: bool) -> Iterator[Use]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name("log") | ast.Attribute(attr="log"), attr=level), args=[what, *_]
        ):
            if level == "log" and len(node.args) > 1:
                what = node.args[1]
            if level in LEVELS:
                yield Use(ast.unparse(what), {"exception": "error"}.get(level, level), at)
        case ast.Attribute(value=ast.Name("Event"), attr=name) if name.isupper():
            yield Use(f"Event.{name}", "", at)
        # The ledger has an event of its own by that name, and says ours in words.
        case ast.Constant(value=str(said)) if in_ledger and said in NAMES:
            yield Use(NAMES[said], "", at)


NAMES = {event.value: f"Event.{event.name}" for event in Event}


@pytest.mark.parametrize("event", Event)
def test_an_event_is_in_use_as_gravely_as_the_catalogue_says(event: Event, uses: list[Use]) -> None:
    """One that nothing says is not in the catalogue, and whoever filters by level misses none."""
    here = [use for use in uses if use.event == f"Event.{event.name}"]
    assert here
    levels = {use.level for use in here} - {""}
    assert levels <= ({"log"} if event in AS_IT_COMES else {event.severity})


def test_whatever_is_logged_is_in_the_catalogue(uses: list[Use]) -> None:
    """No line of the log has a name of its own. One place logs what it is given: `tell`."""
    unknown = [use for use in uses if use.event not in NAMES.values()]
    assert [use.event for use in unknown if not use.at.startswith("log/__init__.py")] == []


@pytest.mark.parametrize("event", Event)
def test_an_event_says_what_it_means_and_what_to_do(event: Event) -> None:
    """What is wrong has a remedy; what is not wrong asks for nothing. All in whole sentences."""
    assert event.severity in get_args(Severity)
    assert event.meaning.endswith(".")
    assert bool(event.to_do) == (event.severity in {"warning", "error"})
    assert not event.to_do or event.to_do.endswith(".")


def test_whoever_reads_a_log_asks_what_a_line_means(capsys: pytest.CaptureFixture[str]) -> None:
    """`connector events`, of one event or of some; it needs no configuration."""
    with pytest.raises(SystemExit) as ended:
        app(["events", "redirect.held", "--json"])
    assert not ended.value.code
    (told,) = json.loads(capsys.readouterr().out)
    assert told == {
        "event": "redirect.held",
        "severity": "error",
        "meaning": Event.REDIRECT_HELD.meaning,
        "to_do": Event.REDIRECT_HELD.to_do,
    }
    for name, found in (("link.", "link.corrupt"), ("", "service.started")):
        with pytest.raises(SystemExit):
            app(["events", name])
        assert found in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"no event begins with 'no\.such'"):
        app(["events", "no.such"])
