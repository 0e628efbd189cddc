"""What commands answer to people: tables that nothing in them breaks, and one sentence where something is wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import typer

from connector import cli
from connector.cli.ground import Exit
from connector.report import tell_rows

URL = "http://files.example.org/r/9e81a2fa285910b3b2cf-5e787c54/1"
SENTENCE = "A human has to decide; the reason is kept, and the item stays as it is until somebody has decided."
ROW = {"id": "9e81a2fa285910b3b2cf", "url": URL, "passed": True, "bytes": 3 * 1024**2, "ended": None, "why": SENTENCE}


def told(
    rows: list[Mapping[str, object]], columns: int, at: pytest.MonkeyPatch, out: pytest.CaptureFixture[str]
) -> str:
    """What stands on a terminal of so many columns."""
    at.setenv("FORCE_COLOR", "1")
    at.setenv("NO_COLOR", "1")
    at.setenv("TERM", "xterm")
    at.setenv("COLUMNS", str(columns))
    tell_rows("Links", rows, as_json=False)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.readouterr().out)


@pytest.mark.parametrize("columns", [40, 80, 120, 132, 200])
def test_nothing_that_is_copied_is_broken(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses and ids stand whole on any terminal; what is empty in all rows is not there; amounts are in words."""
    table = told([ROW], columns, monkeypatch, capsys)
    assert URL in table
    assert "9e81a2fa285910b3b2cf" in table
    assert "3.0 MB" in table
    assert "yes" in table
    assert "ended" not in table
    assert " ".join(SENTENCE.split()[:2]) in table
    too_long = [line for line in table.splitlines() if len(line.rstrip()) > columns and URL not in line]
    assert too_long == []


def test_what_an_event_says_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No notation of a programming language; scripts get the very values."""
    row = {
        "at": datetime(1970, 1, 1, tzinfo=UTC),
        "detail": {"by": "root", "rules": ["a", "b"], "control": "x\x1b[31m"},
    }
    table = told([row], 120, monkeypatch, capsys)
    assert "by: root; rules: a, b; control: x" in table
    assert "\x1b" not in table
    assert "everything" in table
    tell_rows("Links", [row], as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["detail"]["rules"] == ["a", "b"]


def test_where_nothing_is_it_is_told_of_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three bare words in a row tell nobody what is missing."""
    assert told([], 80, monkeypatch, capsys) == "Links: none.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["restore", "--since", "yesterday"], "yesterday is no time: give one as `date -Is` tells it\n"),
        (["restore", "--since", "0001-01-01T00:00:00+01:00"], "0001-01-01T00:00:00+01:00 is no time: give one"),
        (["backup-mark", "0001-01-01T00:00:00+01:00"], "0001-01-01T00:00:00+01:00 is no time: give one"),
        (["links", "extend", "--until", "9999-12-31T23:59:59-01:00"], "as `date -Is` tells it, or a day such as"),
        (["restore", "--since", "2999-01-01T00:00:00Z"], "is no time that is over"),
        (["links", "extend", "--until", "2020-01-01"], "2020-01-01 is no time to come"),
        (["backfill", "--hours", "20"], "20 are no hours: give them as 20-06"),
        (["pause", "--reason", " "], "say why with --reason"),
        (["plan", "--csv", "/no/such/folder.csv"], "/no/such/folder.csv cannot be written: No such file or directory"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of whoever made it, before anything is opened; nothing on standard output."""
    monkeypatch.setattr("sys.argv", ["connector", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_an_answer_that_the_disk_has_no_room_for_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`connector audit export > FILE` on a full disk."""
    monkeypatch.setattr("sys.argv", ["connector", "audit", "specification"])
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        monkeypatch.undo()
        assert ended.value.code == Exit.UNREACHABLE
        assert capsys.readouterr().err == "what was to be told could not be written: No space left on device\n"


def test_letters_that_a_terminal_does_not_have_are_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a file, in Cyrillic, and with half of a letter: the answer is told to its end."""
    written = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(written, encoding="latin-1"))
    monkeypatch.setattr(cli, "app", partial(typer.echo, "\u0416 \ud83d.pdf"))
    cli.main()
    assert written.getvalue() == b"\\u0416 \\ud83d.pdf\n"


def test_nobody_takes_what_is_told(tmp_path: Path) -> None:
    """`| head -1`, `2>/dev/full`, `2>&-`: the exit code is still one of ours, and says what it always says."""
    command = [sys.executable, "-m", "connector.cli", "--config", str(tmp_path)]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*command, "events"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    sentence = "what was to be told could not be written: Broken pipe\n"
    assert (ended.returncode, ended.stderr) == (Exit.UNREACHABLE, sentence)
    for where, told, code in (
        ("2>/dev/full", "status", Exit.CONFIGURATION),
        ("2>&-", "status", Exit.CONFIGURATION),
        ("2>&-", "events", Exit.DONE),
    ):
        closed = subprocess.run(["sh", "-c", f'"$@" {where}', "-", *command, told], capture_output=True, check=False)
        assert closed.returncode == code, where
