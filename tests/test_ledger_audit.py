"""The audit trail for others: what a verifier finds that knows the specification alone, anchors, CEF, and its end."""

import json
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audit import verify as verifier
from connector.audit.anchor import anchor
from connector.audit.export import cef, export, jsonl
from connector.config.settings import AnchorSettings
from connector.ledger import Ledger
from connector.ledger.chain import digest
from connector.model import State, Stored
from tests.test_ledger import MINUTE, NOW, a_redirect, recorded, taken

pytest_plugins = ["tests.postgres"]

HOUR = timedelta(hours=1)


def trail(ledger: Ledger, events: int = 6) -> None:
    """Two tenants' chains."""
    for number in range(1, events + 1):
        ledger.note(
            "acme", f"event.{number}", NOW + number * HOUR, source="acme/anna", reason="Größe > 10\n\ud800", n=2.5
        )
    ledger.note("other", "event.1", NOW)


def exported(ledger: Ledger, **bounds: object) -> list[bytes]:
    """The lines of an export."""
    wanted = {"tenant": None, "since": None, "until": None} | bounds
    return [f"{line}\n".encode() for line in export(ledger, jsonl, NOW, **wanted)]  # type: ignore[arg-type]  # bounds


def anchors(ledger: Ledger, folder: Path) -> list[str]:
    """What the file of anchors holds, once more was written."""
    file = folder / "anchors.jsonl"
    anchor(ledger, AnchorSettings(file=file), NOW)
    return file.read_text().splitlines()


def wrong(lines: Sequence[bytes], anchored: list[str] | None = None, tenant: str = "") -> list[str]:
    """What the verifier finds."""
    return verifier.verify(lines, anchored, tenant).wrong


# --- what is found ------------------------------------------------------------------------------------------------


def test_an_untouched_export_verifies(ledger: Ledger, tmp_path: Path) -> None:
    """From both databases, with all anchors, the whole and any part; what no anchor says is told."""
    trail(ledger)
    kept = anchors(ledger, tmp_path)
    ledger.note("acme", "event.7", NOW + 7 * HOUR)
    kept = anchors(ledger, tmp_path)
    assert len(kept) == 4
    report = verifier.verify(exported(ledger), kept)
    assert report.wrong == []
    assert "tenant acme: events 1 to 7 form a chain" in report.verified
    assert "anchor 3: tenant acme: event 7 is the one of then" in report.verified
    assert any(
        each.startswith("without anchors nobody can tell") for each in verifier.verify(exported(ledger)).verified
    )
    part = verifier.verify(exported(ledger, since=NOW + 3 * HOUR, until=NOW + 5 * HOUR, tenant="acme"))
    assert part.wrong == []
    assert "tenant acme: events 3 to 4 form a chain" in part.verified
    assert "tenant acme: this is a part; events 1 to 2 are not in the file" in part.verified
    assert wrong(exported(ledger, since=NOW + 90 * HOUR, tenant="acme")) == []
    assert wrong(exported(ledger, until=NOW + 3 * HOUR, tenant="acme")) == []


_Change = Callable[[list[bytes]], list[bytes]]
MUTATIONS: dict[str, tuple[_Change, str]] = {
    "a word is changed": (
        lambda lines: _swap(lines, 3, b"event.3", b"event.9"),
        "line 4: event 3 is not what was written",
    ),
    "a tenant is replaced": (lambda lines: _swap(lines, 3, b'"acme"', b'"evil"'), "line 4: event 3 is of tenant evil"),
    "a space is added": (lambda lines: _swap(lines, 3, b",", b", "), "line 4: it is not in the canonical form"),
    "one is missing": (lambda lines: [*lines[:3], *lines[4:]], "line 4: event 3 is missing"),
    "two change places": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4: event 3 is missing"),
    "one is doubled": (lambda lines: [*lines[:4], *lines[3:]], "line 5: event 3 stands in the wrong place"),
    "the front is cut": (lambda lines: [lines[0], *lines[3:]], "line 2: event 1 is missing"),
    "the head is cut": (lambda lines: lines[1:], "line 1: an event without the head"),
    "the end is cut": (lambda lines: [*lines[:5], *lines[7:]], "tenant acme: its end is cut off: event 5"),
    "a line is torn": (lambda lines: [*lines[:6], lines[6][:40]], "line 7: it is cut off"),
    "a tenant's head is doubled": (lambda lines: [*lines, *lines[7:]], "tenant other: its chain is there twice"),
    "an event of another chain": (lambda lines: [*lines, lines[1]], "line 10: event 1 is of tenant acme"),
    "a number becomes text": (lambda lines: _swap(lines, 3, b'"number":3', b'"number":"3"'), "line 4: it is no event"),
    "no JSON": (lambda lines: [*lines[:3], b"{\n", *lines[4:]], "line 4: it is no JSON object"),
    "not a number": (lambda lines: _swap(lines, 3, b"2.5", b"NaN"), "line 4: it is no JSON object"),
    "another format": (lambda lines: _swap(lines, 0, b'"format":1', b'"format":2'), "line 1: format 2"),
    "the head says otherwise": (
        lambda lines: [_other_end(lines[0]), *lines[1:]],
        "tenant acme: it does not end as its",
    ),
    "the head begins later": (
        lambda lines: _swap(lines, 0, b'"begins":{"hash":"","number":0}', b'"begins":{"hash":"","number":2}'),
        "line 1: its member begins names no event",
    ),
    "all is gone": (lambda lines: [], "the file holds no chain"),
}


def _swap(lines: list[bytes], at: int, old: bytes, new: bytes) -> list[bytes]:
    assert old in lines[at]
    return [*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]]


def _other_end(head: bytes) -> bytes:
    return re.sub(rb'"ends":\{"hash":"[0-9a-f]*"', b'"ends":{"hash":"' + b"a" * 64 + b'"', head)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger."""
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        yield ledger


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_was_done_to_an_export_is_named(sqlite: Ledger, mutation: str) -> None:
    """The first line that is wrong, and the event."""
    trail(sqlite)
    change, found = MUTATIONS[mutation]
    said = wrong(change(exported(sqlite)))
    assert said
    assert said[0].startswith(found)


_LINES: list[bytes] = []


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_byte_can_be_changed(tmp_path_factory: pytest.TempPathFactory, chance: random.Random) -> None:
    """Whatever byte of an event becomes whatever else, that line is named, or one that no longer fits to it."""
    if not _LINES:
        with closing(Ledger(f"sqlite:///{tmp_path_factory.mktemp('one')}/ledger.db")) as ledger:
            trail(ledger)
            _LINES.extend(exported(ledger, tenant="acme"))
    line = chance.randrange(1, len(_LINES))
    place = chance.randrange(len(_LINES[line]))
    other = bytes([chance.choice([each for each in range(256) if each != _LINES[line][place]])])
    changed = _LINES[line][:place] + other + _LINES[line][place + 1 :]
    said = wrong(b"".join([*_LINES[:line], changed, *_LINES[line + 1 :]]).splitlines(keepends=True))
    assert said
    assert said[0].startswith(f"line {line + 1}:")


def test_only_an_anchor_tells_a_chain_that_was_computed_anew(sqlite: Ledger, tmp_path: Path) -> None:
    """Whoever has the ledger can make a chain that holds; a copy of where it ended outside finds it, by its number."""
    trail(sqlite)
    kept = anchors(sqlite, tmp_path)
    computed_anew(sqlite, 3, "nothing.happened")
    assert sqlite.broken_link("acme") is None
    assert wrong(exported(sqlite)) == []
    assert wrong(exported(sqlite), kept) == [
        "anchor 1: tenant acme: event 6 is not the one of then: the chain was computed anew"
    ]


def computed_anew(ledger: Ledger, number: int, name: str) -> None:
    """What an attacker does who has the database: change an event, and all hashes after it."""
    head, length = "", 0
    with ledger._engine.begin() as connection:
        for event in list(ledger.events(tenant="acme")):
            now_so = replace(event, name=name if event.number == number else event.name, previous=head)
            head, length = digest(now_so), event.number
            connection.exec_driver_sql(
                "UPDATE events SET name = ?, previous = ?, hash = ? WHERE tenant = 'acme' AND number = ?",
                (now_so.name, now_so.previous, head, length),
            )
        connection.exec_driver_sql("UPDATE chains SET head = ? WHERE tenant = 'acme'", (head,))


def test_only_an_anchor_tells_a_trail_that_was_emptied(sqlite: Ledger, tmp_path: Path) -> None:
    """Emptied, shortened with its head, or left out: each is named, with what it had."""
    trail(sqlite)
    kept = anchors(sqlite, tmp_path)
    with sqlite._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE tenant = 'acme' AND number > 4")
        connection.exec_driver_sql(
            "UPDATE chains SET length = 4, head = (SELECT hash FROM events WHERE tenant = 'acme' AND number = 4)"
            " WHERE tenant = 'acme'"
        )
        connection.exec_driver_sql("DELETE FROM events WHERE tenant = 'other'")
        connection.exec_driver_sql("DELETE FROM chains WHERE tenant = 'other'")
    assert wrong(exported(sqlite)) == []
    assert wrong(exported(sqlite), kept) == [
        "anchor 1: tenant acme: its chain had 6 events, and has 4: its end was removed",
        "anchor 2: tenant other: its chain had 1 events, and is not in the file",
    ]
    assert wrong(exported(sqlite), kept, tenant="acme") == [
        "anchor 1: tenant acme: its chain had 6 events, and has 4: its end was removed"
    ]
    assert wrong(exported(sqlite), tenant="other") == ["tenant other: its chain is not in the file"]
    assert wrong(exported(sqlite), ["{}"]) == ["anchor 1: it is no anchor"]


def test_the_verifier_is_one_file(sqlite: Ledger, tmp_path: Path) -> None:
    """Copied somewhere else, with no package in reach, it verifies; its exit code says how it went."""
    trail(sqlite)
    anchors(sqlite, tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "verify.py").write_bytes(Path(verifier.__file__).read_bytes())
    (alone / "export.jsonl").write_bytes(b"".join(exported(sqlite)))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "verify.py", *arguments]
        return subprocess.run(command, cwd=alone, text=True, capture_output=True, check=False)

    whole = run("export.jsonl", str(tmp_path / "anchors.jsonl"))
    assert (whole.returncode, "WRONG" in whole.stdout) == (0, False)
    (alone / "export.jsonl").write_bytes(b"".join(exported(sqlite)[1:]))
    assert run("export.jsonl").returncode == 1
    assert run("missing.jsonl").returncode == 2


# --- anchors ------------------------------------------------------------------------------------------------------

_RFC_5424 = re.compile(
    r"<109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} connector \d+ audit\.anchored "
    r'\[anchor@32473 tenant="acme" number="6" hash="[0-9a-f]{64}"\]'
)


@pytest.mark.parametrize("way", ["unix", "udp", "tcp"])
def test_syslog_gets_where_a_chain_ends(sqlite: Ledger, tmp_path: Path, way: str) -> None:
    """By RFC 5424, over each way; the verifier takes the lines of a syslog as they are."""
    trail(sqlite)
    kind = socket.SOCK_STREAM if way == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX if way == "unix" else socket.AF_INET, kind) as receiver:
        receiver.settimeout(30)
        receiver.bind(str(tmp_path / "log") if way == "unix" else ("127.0.0.1", 0))
        got: list[bytes] = []
        if way == "tcp":
            receiver.listen()
            taking = threading.Thread(target=lambda: got.append(_all_of(receiver)))
            taking.start()
        address = str(tmp_path / "log") if way == "unix" else f"{way}://127.0.0.1:{receiver.getsockname()[1]}"
        assert anchor(sqlite, AnchorSettings(syslog=address), NOW) == 2
        if way == "tcp":
            taking.join()
            framed = re.fullmatch(rb"(\d+) (<.*)", got[0], re.DOTALL)
            assert framed
            first = framed[2][: int(framed[1])].decode()
        else:
            first = receiver.recv(2000).decode()
    assert _RFC_5424.fullmatch(first)
    report = verifier.verify(exported(sqlite), [f"Nov 28 18:00:00 host {first}"])
    assert report.wrong == []
    assert "anchor 1: tenant acme: event 6 is the one of then" in report.verified


def _all_of(receiver: socket.socket) -> bytes:
    line, _ = receiver.accept()
    with line, line.makefile("rb") as file:
        return file.read()


def test_an_anchor_that_cannot_be_written_says_so(sqlite: Ledger, tmp_path: Path) -> None:
    """A folder that is not there, a receiver that is gone."""
    trail(sqlite)
    for there in (AnchorSettings(file=tmp_path / "none" / "a"), AnchorSettings(syslog=str(tmp_path / "log"))):
        with pytest.raises(OSError, match="No such file"):
            anchor(sqlite, there, NOW)


# --- CEF ----------------------------------------------------------------------------------------------------------


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """A line of CEF, as ArcSight's description has it read."""
    found = re.fullmatch(r"((?:\\.|[^\\|])*)\|" * 7 + "(.*)", line)
    assert found
    *head, extension = found.groups()
    said = re.findall(r"(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)", extension)
    turned = {
        name: re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), value)
        for name, value in said
    }
    return [re.sub(r"\\(.)", r"\1", each) for each in head], turned


def test_cef_is_read_back(sqlite: Ledger) -> None:
    """Pipes, equal signs, backslashes and ends of lines survive, and each event has a severity."""
    nasty = "a=b|c\\d\ne\rf cs1=x \\="
    sqlite.note("acme", "sweep.stopped", NOW, source="acme/anna", redirect_id="r1", reason=nasty, by="root")
    sqlite.note("acme", "odd|name\\", NOW)
    sqlite.note("acme", "marker.forged", NOW)
    lines = list(export(sqlite, cef, NOW, tenant="acme", since=None, until=None))
    assert not any("\n" in line or "\r" in line for line in lines)
    events = list(sqlite.events())
    (first, said), (second, _), (third, _) = map(parsed, lines)
    assert first[:4] == ["CEF:0", "connector", "connector", first[3]]
    assert (first[4], first[6], second[4], third[6]) == ("sweep.stopped", "8", "odd|name\\", "8")
    assert said["reason"] == nasty
    assert json.loads(said["msg"]) == {"by": "root", "reason": nasty}
    assert (said["cs1"], said["cs2"], said["suser"], said["externalId"]) == ("acme", "r1", "root", "1")
    assert (said["cs3"], said["duser"]) == (events[0].hash, sqlite.pseudonym("acme", "acme/anna"))
    assert int(said["rt"]) == NOW.timestamp() * 1000


# --- its own end --------------------------------------------------------------------------------------------------


def test_the_trail_ends_by_its_own_clock(ledger: Ledger, tmp_path: Path) -> None:
    """What is older goes from the front, the chain says so and verifies, and an anchor of before is no reproach."""
    trail(ledger)
    kept = anchors(ledger, tmp_path)
    assert ledger.trim_audit("acme", NOW, NOW + 9 * HOUR) == 0
    assert ledger.trim_audit("acme", NOW + 3 * HOUR, NOW + 9 * HOUR) == 2
    assert [each.number for each in ledger.events(tenant="acme")] == [3, 4, 5, 6, 7]
    report = verifier.verify(exported(ledger), kept)
    assert report.wrong == []
    assert "tenant acme: events 1 to 2 are gone, as the retention of the audit trail wants it" in report.verified
    assert ledger.broken_link("acme") is None
    assert ledger.trim_audit("acme", NOW + 30 * HOUR, NOW + 31 * HOUR) == 5
    assert [each.name for each in ledger.events(tenant="acme")] == ["audit.trimmed"]
    assert (wrong(exported(ledger), kept), ledger.broken_link("acme")) == ([], None)
    assert ledger.trim_audit("nobody", NOW, NOW) == 0


def test_nobody_else_can_cut_the_front(sqlite: Ledger) -> None:
    """A cut that no event tells of is found, in the export and in the ledger."""
    trail(sqlite)
    with sqlite._engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE chains SET cut = 2, cut_hash = (SELECT hash FROM events WHERE tenant = 'acme' AND number = 2)"
            " WHERE tenant = 'acme'"
        )
        connection.exec_driver_sql("DELETE FROM events WHERE tenant = 'acme' AND number <= 2")
    assert sqlite.broken_link("acme") == 2
    assert wrong(exported(sqlite)) == [
        "tenant acme: its front is cut off: events 1 to 2 are missing, and no event says that they may be"
    ]


def test_what_is_still_alive_stays_in_the_trail(ledger: Ledger) -> None:
    """Events of a redirect whose file the store has, or which is held, and of sources on hold, end the cut."""
    lease = taken(ledger)
    ledger.note("acme", "seen", NOW - HOUR)
    ledger.note("acme", "seen", NOW - HOUR, source="acme/held")
    (plan,) = recorded(ledger, lease, a_redirect())
    late = NOW + 90 * HOUR
    assert ledger.trim_audit("acme", late, late, held=("acme/held", "acme/unknown")) == 1
    assert ledger.trim_audit("acme", late, late) == 1
    stored = Stored(path="store/r1/1.pdf", size=1, sha256="00" * 32)
    done = ledger.write(
        replace(plan, state=State.DONE, files=(replace(plan.files[0], stored=stored),)), "redirect.done", late
    )
    assert ledger.trim_audit("acme", late + MINUTE, late) == 0
    ledger.write(
        replace(done, state=State.ERASED, files=(replace(done.files[0], stored=None),)), "redirect.erased", late
    )
    assert ledger.trim_audit("acme", late + MINUTE, late + MINUTE) > 3
    assert ledger.broken_link("acme") is None
