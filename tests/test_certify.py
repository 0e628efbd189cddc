"""`connector certify`: a server that keeps what clients know a message by, and servers that do not."""

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connector.checks.certify import _EXPECTED, _differences, lost_changes
from connector.simulator import Exchange
from tests import command
from tests.exchange import outlook
from tests.pipeline import PROBE, Pipeline, letter
from tests.servers import DavServer

SERVER, CLIENT = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """A configuration that nobody answers for: only a certificate lets it work."""
    pipeline = Pipeline(tmp_path, exchange, wsgidav)
    tenant = tmp_path / "tenants" / "acme.yaml"
    tenant.write_text(tenant.read_text().replace("    waive_certify: Ada Admin\n", ""))
    return pipeline


def certify(pipeline: Pipeline, code: int = 0) -> Any:
    """Run it; what it answers to a script."""
    return pipeline.run("certify", "--json", code=code).json


def left(pipeline: Pipeline) -> tuple[list[str], list[Path]]:
    """Whatever is in the probe mailbox, and the files in the store."""
    found = outlook(pipeline.exchange, PROBE).root.glob("**/*").all()
    return [item.message_id for item in found], [path for path in pipeline.root.rglob("*") if path.is_file()]


def test_a_server_that_keeps_what_it_has_to_is_certified(pipeline: Pipeline) -> None:
    """Before that nothing leaves a message; afterwards it does. The trial leaves nothing behind, anywhere."""
    pipeline.deliver(letter({"plan.pdf": b"bytes of a plan"}))
    assert "connector certify" in pipeline.run("once", "--json", code=1).json["paused"][0]["reason"]
    stored = left(pipeline)[1]
    told = certify(pipeline)
    assert [each["severity"] for each in told["certificates"]] == ["fine"]
    assert left(pipeline) == ([], stored)
    assert pipeline.run("once", "--json", code=0).json["mailboxes"][0]["redirected"] == 1
    assert len(pipeline.run("status", "--json", code=0).json["mailboxes"]) == 1


def test_the_report_tells_each_property_that_differs_and_why(pipeline: Pipeline) -> None:
    """What a redirect has to change, it does; once restored, only what counts changes is another one, but for RTF."""
    told = certify(pipeline)["differences"]
    assert all(each["expected"] for each in told)
    after = {each["property"] for each in told if each["when"] == "redirected"}
    assert {"Html", "Body", "HasAttachments", "MessageSize", "ChangeKey", "PredecessorChangeList"} <= after
    again = {each["property"] for each in told if each["when"] == "restored" and "RTF" not in each["message"]}
    assert again <= {"LastModificationTime", "ChangeKey", "PredecessorChangeList"}
    lost = {each["property"] for each in told if each["when"] == "restored" and "RTF" in each["message"]}
    assert {"RtfCompressed", "NativeBody"} <= lost
    said = pipeline.run("certify", code=0).answer
    assert "every change counts" in said
    assert "Outlook mobile" in said


def test_a_server_that_forgets_predecessors_is_not_certified(pipeline: Pipeline) -> None:
    """KB 4093129: Outlook in cached mode would go on showing what is gone. Also where it was certified once."""
    certify(pipeline)
    pipeline.exchange.order(deviate={"lost-predecessors": True})
    (finding,) = certify(pipeline, code=1)["certificates"]
    assert "counters went down in PredecessorChangeList (0x65E3)" in finding["says"]
    assert left(pipeline)[0] == []
    pipeline.exchange.order(reset=True)
    pipeline.deliver(letter({"plan.pdf": b"bytes of a plan"}))
    (paused,) = pipeline.run("once", "--json", code=1).json["paused"]
    assert "was disproved" in paused["reason"]


def replacing(pipeline: Pipeline) -> None:
    """From now on, messages are not edited in place."""
    tenant = pipeline.folder / "tenants" / "acme.yaml"
    tenant.write_text(f"rewrite: replace\n{tenant.read_text()}")


def test_each_way_to_edit_has_a_certificate_of_its_own(pipeline: Pipeline) -> None:
    """On a server that forgets predecessors, messages can still be replaced: that is what the second way is for."""
    pipeline.exchange.order(deviate={"lost-predecessors": True})
    (finding,) = certify(pipeline, code=1)["certificates"]
    assert "rewrite: replace" in finding["todo"]
    replacing(pipeline)
    pipeline.deliver(letter({"plan.pdf": b"bytes of a plan"}))
    assert "is not proved" in pipeline.run("once", "--json", code=1).json["paused"][0]["reason"]
    stored = left(pipeline)[1]
    told = certify(pipeline)
    assert all(each["expected"] for each in told["differences"])
    assert left(pipeline) == ([], stored)
    assert pipeline.run("once", "--json", code=0).json["mailboxes"][0]["redirected"] == 1


@pytest.mark.parametrize(("request_", "when"), [(60, "after"), (100, "before"), (140, "after")])
def test_a_killed_trial_leaves_no_copies_either(pipeline: Pipeline, request_: int, when: str) -> None:
    """They lie where no client looks, and are found by what lies in the store."""
    replacing(pipeline)
    process = command.start(pipeline.folder, "certify", later=command.NOW)
    pipeline.exchange.order(kill={"pid": process.pid, "request": request_, "when": when})
    process.join()
    assert process.exitcode == -signal.SIGKILL
    pipeline.exchange.order(reset=True)
    certify(pipeline)
    assert left(pipeline) == ([], [])
    mailbox = pipeline.exchange._organisation.mailboxes[PROBE]
    assert not mailbox.items
    assert len([each for each in mailbox.folders.values() if each.parent and each.parent.name == "Connector"]) == 0


def test_a_server_that_does_not_put_back_what_was_there_is_not_certified(pipeline: Pipeline) -> None:
    """It drops types and content ids."""
    pipeline.exchange.order(deviate={"plain-attachments": True})
    (finding,) = certify(pipeline, code=1)["certificates"]
    assert "the attachments are not what they were" in finding["says"]


@pytest.mark.parametrize(("request_", "when"), [(3, "after"), (20, "after"), (35, "before"), (60, "after")])
def test_what_a_killed_trial_left_is_removed_by_the_next(pipeline: Pipeline, request_: int, when: str) -> None:
    """Wherever it was killed: its messages and its files are known by their names. Nobody else's are touched."""
    other = letter({"plan.pdf": b"bytes of a plan"})
    pipeline.exchange.deliver(PROBE, other)
    before = left(pipeline)
    process = command.start(pipeline.folder, "certify", later=command.NOW)
    pipeline.exchange.order(kill={"pid": process.pid, "request": request_, "when": when})
    process.join()
    assert process.exitcode == -signal.SIGKILL
    pipeline.exchange.order(reset=True)
    certify(pipeline)
    assert left(pipeline) == before


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        (f"    probe: {PROBE}\n", "", 1, "no `probe` is set"),
        (PROBE, "nobody@example.org", 4, "has no mailbox nobody@example.org"),
    ],
)
def test_without_a_probe_nothing_can_be_certified(pipeline: Pipeline, old: str, new: str, code: int, says: str) -> None:
    """It is said what to do, or what is wrong."""
    tenant = pipeline.folder / "tenants" / "acme.yaml"
    tenant.write_text(tenant.read_text().replace('"', "").replace(old, new))
    (finding,) = certify(pipeline, code=code)["certificates"]
    assert says in finding["says"]
    assert finding["todo"]


@pytest.mark.parametrize(("answers", "code"), [("y\ny\ny\n", 0), ("y\nn\ny\n", 1)])
def test_people_may_look_at_their_clients_in_between(pipeline: Pipeline, answers: str, code: int) -> None:
    """At each stop the mailbox is as it says; who answers no has not certified anything."""
    ended = subprocess.run(
        [sys.executable, "-m", "connector.cli", "--config", pipeline.folder, "certify", "--with-clients", "--json"],
        input=answers,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.count("\n") == 1
    assert "The attachments are back" in ended.stderr
    assert ("somebody saw" in ended.stdout) == bool(code)


# --- what is compared ---------------------------------------------------------------------------------------------


def change(replica: bytes, counter: int) -> bytes:
    """One change, as a server tells it."""
    return replica + counter.to_bytes(6, "big")


def told(key: bytes, *changes: bytes) -> dict[str, str]:
    """What a server tells of the changes of a message."""
    entries = b"".join(bytes([len(each)]) + each for each in changes)
    return {"ChangeKey": base64.b64encode(key).decode(), "PredecessorChangeList": base64.b64encode(entries).decode()}


BEFORE = told(change(SERVER, 7), change(SERVER, 7), change(CLIENT, 5))


@pytest.mark.parametrize(
    ("after", "wrong"),
    [
        (told(change(SERVER, 9), change(SERVER, 9), change(CLIENT, 5)), ""),
        (told(change(b"x" * 16, 1), change(SERVER, 7), change(CLIENT, 5), change(b"x" * 16, 1)), ""),
        (told(change(SERVER, 9), change(SERVER, 9)), "entries have left"),
        (told(change(SERVER, 9), change(SERVER, 9), change(CLIENT, 4)), "counters went down"),
        (told(change(SERVER, 7), change(SERVER, 7), change(CLIENT, 5)), "names no change that is new"),
        (told(change(SERVER, 9), change(SERVER, 8), change(CLIENT, 5)), "names no change that is new"),
        ({}, "does not tell"),
        ({**BEFORE, "PredecessorChangeList": "?"}, "does not tell"),
        ({**BEFORE, "PredecessorChangeList": "AQ=="}, "does not tell"),
    ],
)
def test_changes_may_only_grow(after: dict[str, str], wrong: str) -> None:
    """As a client in cached mode compares them: every replica stays, no counter goes down, the last change is new."""
    found = list(lost_changes(BEFORE, after))
    assert len(found) == bool(wrong)
    assert all(wrong in each for each in found)


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("MessageFlags", "16", "2", True),
        ("MessageFlags", "17", "16", False),
        ("MessageSize", "5000", "900", True),
        ("FlagStatus", "2", "", False),
        ("MessageDeliveryTime", "2026-01-05T08:00:00Z", "2026-01-06T08:00:00Z", False),
        ("Keywords", "Red", "Blue", False),
    ],
)
def test_what_nothing_explains_is_told_as_that(name: str, before: str, after: str, expected: bool) -> None:  # noqa: FBT001 - a case
    """Read state, flags, categories, dates: a redirect has no business there."""
    (found,) = _differences("redirected", "HTML", {name: before}, {name: after}, _EXPECTED)
    assert bool(found.expected) == expected
