"""What gets into the log, and what never does."""

import json
import logging
import os
import re
import warnings
from pathlib import Path

import pytest

from connector.errors import Rejected
from connector.ledger import LedgerError
from connector.log import Event, about, configure, disguised, flush, log, repeats, tell
from tests.logged import Lines


def test_a_line_is_json_with_a_stable_event(lines: Lines) -> None:
    """A line says when, how grave, what by its stable name, and the details."""
    log.info(Event.SERVICE_STARTED, tenants=2)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "service.started", "level": "info", "tenants": 2}


def test_what_is_wrong_says_what_to_do(lines: Lines) -> None:
    """At night, nobody looks it up. Whoever says it may know better."""
    log.error(Event.LEDGER_FAILED)
    log.error(Event.LEDGER_FAILED, to_do="wait")
    log.info(Event.LEDGER_FAILED)
    assert [line.get("to_do") for line in lines()] == [Event.LEDGER_FAILED.to_do, "wait", None]


def test_an_event_is_told_as_gravely_as_the_catalogue_says(lines: Lines) -> None:
    """Where the code does not know which one it is."""
    for event in (Event.SERVICE_STARTED, Event.STORE_PAUSED, Event.BUG):
        tell(event)
    assert [line["level"] for line in lines()] == ["info", "warning", "error"]


def test_a_line_says_what_it_is_about(lines: Lines) -> None:
    """What is said anywhere below has the ids of the tick and of the redirect; what is said after it has not."""
    with about(tick="t1"), about(redirect="r1"):
        logging.getLogger("some.library").warning("hush")
    log.info("x")
    inside, after = lines()
    assert (inside["tick"], inside["redirect"]) == ("t1", "r1")
    assert "tick" not in after


def test_people_have_pseudonyms(lines: Lines) -> None:
    """Sources, and whatever looks like an address; of tenants, stores and servers all is told."""

    def name_of(tenant: str, name: str) -> str:
        return f"<{tenant} {len(name)}>"

    with disguised(name_of), about(source="acme/6f1b"):
        log.info("x", reason="no right on anna@example.org, ben@example.org", deep=[{"to": "anna@example.org"}])
        log.info("x", paused="acme/6f1b/proof")
        log.info("x", source="", paused="acme/anna@example.org/edits")
        log.info("x", source="", paused="acme/store", host="mail.example.org", level_=3)
        log.info("x", source="", paused="acme/account-2")
    log.info("x", source="acme/6f1b", reason="anna@example.org")
    told = lines()
    assert (told[0]["source"], told[0]["reason"]) == ("<acme 9>", "no right on <acme 16>, <acme 15>")
    assert told[0]["deep"] == [{"to": "<acme 16>"}]
    assert [line["paused"] for line in told[1:4]] == ["<acme 9>/proof", "<acme 21>/edits", "acme/store"]
    assert told[4]["paused"] == "acme/account-2"
    assert told[3]["host"] == "mail.example.org"
    assert (told[5]["source"], told[5]["reason"]) == ("acme/6f1b", "anna@example.org")


def test_a_line_of_no_tenant_names_nobody(lines: Lines) -> None:
    """A configuration that is refused: whose address stands there is not known, and `check` tells it on the spot."""
    with disguised(lambda tenant, name: f"{tenant}-{name}"):
        log.error(Event.CONFIG_REFUSED, problems=("b.yaml:8:17 mailbox anna@example.org is already at a.yaml:8:17",))
    (line,) = lines()
    assert line["problems"] == ["b.yaml:8:17 mailbox [left out] is already at a.yaml:8:17"]


def test_a_ledger_that_knows_no_pseudonym_names_nobody(lines: Lines) -> None:
    """What is wrong with it must be told all the same."""

    def name_of(tenant: str, name: str) -> str:
        raise LedgerError(tenant + name)

    with disguised(name_of):
        log.error(Event.SOURCE_PAUSED, paused="acme/6f1b", reason="ask anna@example.org")
        log.error(Event.LEDGER_FAILED, reason="the disk is full")
    told = lines()
    assert (told[0]["paused"], told[0]["reason"]) == ("[left out]", "[left out]")
    assert told[1]["reason"] == "the disk is full"


def _paused(**more: object) -> None:
    log.warning(Event.STORE_PAUSED, paused="acme/store", reason="busy", **more)


def test_what_is_said_again_is_counted(lines: Lines) -> None:
    """A thousand mailboxes meet the same broken store: it is told at once, and how often when all is over."""
    for number in range(1000):
        with about(tick=str(number)):
            _paused(until=number)
    assert len(lines()) == 1
    flush(after=600)
    assert lines() == []
    flush()
    (summed,) = lines()
    assert (summed["event"], summed["repeated"], summed["until"]) == ("store.paused", 999, 999)
    flush()
    assert lines() == []


def test_what_is_another_thing_is_told_at_once(lines: Lines) -> None:
    """Another mailbox, another reason, another traceback; and what is not wrong is never counted."""
    for source, reason in (("a", "busy"), ("a", "down"), ("b", "busy")):
        log.warning(Event.SOURCE_PAUSED, paused=source, reason=reason)
    for error in (KeyError("x"), LookupError("x")):
        log.error(Event.BUG, exc_info=error)
    for _ in range(2):
        log.info(Event.PEOPLE_KEPT, files=1)
    assert len(lines()) == 7


def test_what_was_counted_is_told_when_its_time_is_over(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """With whatever is said next; and if it is said again by then, it is told again."""
    now = 0.0
    monkeypatch.setattr(repeats, "monotonic", lambda: now)
    for _ in range(2):
        _paused()
    now = 599.0
    log.info(Event.PEOPLE_KEPT)
    assert [line["event"] for line in lines()] == ["store.paused", "people.kept"]
    now = 600.0
    _paused()
    summed, again = lines()
    assert (summed["repeated"], "repeated" in again) == (1, False)


def test_nobody_fills_the_memory_with_lines(lines: Lines) -> None:
    """What is said beyond a number of different lines is told each time."""
    for number in (*range(1001), 0, 1000):
        log.warning(Event.LINK_BROKEN_OFF, publication=number)
    assert len(lines()) == 1002


def test_the_journal_is_told_how_grave_a_line_is(lines: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`journalctl -p warning` finds what is wrong: systemd takes the number off."""
    with (tmp_path / "journal").open("w+") as journal:
        there = os.fstat(journal.fileno())
        monkeypatch.setattr("sys.stderr", journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        configure("json", "info")
        log.info(Event.SERVICE_STARTED)
        _paused()
        _paused()
        flush()
        journal.seek(0)
        told = [line.partition("{")[0] for line in journal]
    assert told == ["<6>", "<4>", "<4>"]
    assert lines() == []


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


def test_a_log_that_cannot_be_written_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is full: a line is lost, and whoever says it goes on."""
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stderr", full)
        log.warning(Event.LIBRARY_SPOKE)
        monkeypatch.undo()


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
