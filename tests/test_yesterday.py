"""The ledger of yesterday, through the real command: backed up, put back, lost; and what it may not do then."""

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path

import pytest

from connector.daemon.process import alone
from connector.simulator import Exchange
from tests.pipeline import ANNA, Pipeline, Seen, letter
from tests.servers import DavServer

SUBJECT, BODY = "canary-subject", "canary-body"


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """Anna's mailbox, a store, and a configuration that is right."""
    exchange.add_mailbox(ANNA)
    return Pipeline(tmp_path, exchange, wsgidav, hushed=[SUBJECT, BODY])


def delivered(pipeline: Pipeline, name: str) -> tuple[str, Seen]:
    """A message that is to be redirected, and what its owner sees of it."""
    item = pipeline.deliver(letter({name: name.encode() * 400}, f"<p>{BODY}</p>", subject=SUBJECT))
    return item, pipeline.see(item)


def backed_up(pipeline: Pipeline, name: str = "backup.db") -> Path:
    """What an operator does every night."""
    file = pipeline.folder / name
    pipeline.run("ledger", "backup", str(file), code=0)
    return file


def put_back(pipeline: Pipeline, backup: Path | None) -> None:
    """As the README says; without a backup, the ledger is lost altogether."""
    for path in pipeline.folder.glob("ledger.db*"):
        path.unlink()
    if backup:
        shutil.copy(backup, pipeline.folder / "ledger.db")


def reachable(pipeline: Pipeline, seen: Seen) -> list[bytes]:
    """What the owner of a message gets: its attachments, and what its links give."""
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', seen.body)
    return sorted([*seen.contents, *map(pipeline.download, links)])


def story(pipeline: Pipeline, yesterday: Callable[[], Path | None]) -> tuple[dict[str, Seen], Path | None]:
    """Before the backup and after it, messages reach every state; then the ledger is the old one again.

    Returns what the owner sees of each message, by its item.
    """
    old, _ = delivered(pipeline, "redirected-before.bin")
    back, before = delivered(pipeline, "restored-after.bin")
    pipeline.run("once", code=0)
    backup = yesterday()
    new, _ = delivered(pipeline, "redirected-after.bin")
    pipeline.run("restore", _message_id(pipeline, "restored-after"), code=0)
    pipeline.run("once", code=0, hours=1)
    seen = {item: pipeline.see(item) for item in (old, back, new)}
    assert seen[back].body == before.body
    assert seen[back].contents == before.contents
    assert not seen[new].files
    put_back(pipeline, backup)
    return seen, backup


def _message_id(pipeline: Pipeline, name: str) -> str:
    """The redirect of the message with this file, found by the name in the store."""
    return next(path.parent.name for path in pipeline.stored() if path.name.startswith(name))


@pytest.mark.parametrize("lost", [False, True], ids=["restored from a backup", "lost altogether"])
def test_ledger_of_yesterday(pipeline: Pipeline, lost: bool) -> None:  # noqa: FBT001 - a parameter
    """Nothing is lost, deleted or shown twice: the brake stands until somebody reconciles, and says so."""
    seen, _ = story(pipeline, lambda: None if lost else backed_up(pipeline))
    stored = pipeline.stored()
    late, before = delivered(pipeline, "late.bin")

    ended = pipeline.run("once", code=1, hours=2)
    assert "generation.foreign" in ended.told
    assert pipeline.see(late) == before
    status = pipeline.run("status", "--json", code=1).json
    (brake,) = (each for each in status["paused"] if each["error"] == "Foreign")
    assert "connector ledger reconcile" in brake["reason"]
    assert {item: pipeline.see(item) for item in seen} == seen

    told = pipeline.run("ledger", "reconcile", "--json", code=0, hours=2).json
    assert told["refused"] == 0
    assert told["taken_over"] > 0
    pipeline.run("check", code=0)  # What was proved of the server, a lost ledger does not know either.
    for hours in (3, 4):
        pipeline.run("once", code=0, hours=hours)
        pipeline.run("sweep", code=0, hours=hours)
    for item, as_it_was in seen.items():
        now = pipeline.see(item)
        assert reachable(pipeline, now) == reachable(pipeline, as_it_was)
        assert now.body == as_it_was.body
        assert now.files == as_it_was.files
    assert reachable(pipeline, pipeline.see(late)) == sorted(before.contents)
    assert not pipeline.see(late).files
    assert set(stored) <= set(pipeline.stored())


def test_lost_ledger_beside_manifests_that_are_not_ours(pipeline: Pipeline) -> None:
    """Foreign files, a damaged manifest, one of another tenant: told, left alone, and no hindrance for the others."""
    seen, _ = story(pipeline, lambda: None)
    (folder,) = (pipeline.root / ".connector" / "redirects").iterdir()
    damaged = next(path for path in folder.iterdir() if b"redirected-before" in path.read_bytes())
    damaged.write_bytes(damaged.read_bytes()[:-7])
    (folder / "desktop.ini").write_text("[.ShellClassInfo]")
    (folder / "aaaaaaaaaaaaaaaaaaaa.000001.json").write_text('{"format": 1}')
    pipeline.run("once", code=1, hours=2)
    kept = {path: path.read_bytes() for path in pipeline.root.rglob("*") if path.is_file()}

    ended = pipeline.run("ledger", "reconcile", code=1, hours=2)
    assert "Refused: 2 manifests" in ended.answer
    assert ended.told.count("manifest.refused") == 2
    pipeline.run("check", code=0)
    pipeline.run("once", code=0, hours=3)
    for item, as_it_was in seen.items():
        assert pipeline.see(item).body == as_it_was.body
        assert reachable(pipeline, pipeline.see(item)) == reachable(pipeline, as_it_was)
    now = {path: path.read_bytes() for path in pipeline.root.rglob("*") if path.is_file()}
    assert {path: content for path, content in kept.items() if "generations" not in path.parts}.items() <= now.items()


def test_another_marker_key_refuses_every_manifest(pipeline: Pipeline) -> None:
    """Whoever loses the key is told, and no message is touched."""
    item, _ = delivered(pipeline, "a.bin")
    pipeline.run("once", code=0)
    seen = pipeline.see(item)
    put_back(pipeline, None)
    pipeline.secret("marker-key", "l" * 40)
    ended = pipeline.run("ledger", "reconcile", code=1)
    assert "`marker_key` is another one by now" in ended.answer
    pipeline.run("check", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item) == seen


def test_backup_replaces_nothing(pipeline: Pipeline) -> None:
    """A second backup under the same name is a mistake, and the first one stays."""
    file = backed_up(pipeline)
    content = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    pipeline.run("ledger", "backup", str(file), code=2)
    pipeline.run("ledger", "backup", str(pipeline.folder / "nowhere" / "x"), code=3)
    assert file.read_bytes() == content
    assert json.loads(pipeline.run("status", "--json", code=0).answer)["mailboxes"] == []


# --- two daemons ----------------------------------------------------------------------------------------------------


def test_two_daemons_in_one_state_folder(pipeline: Pipeline) -> None:
    """The second process is refused in a sentence, whatever the first one does."""
    with alone(pipeline.folder):
        ended = pipeline.run("once", code=3)
    assert "another connector is at work" in ended.told
    pipeline.run("once", code=0)


def test_cloned_machine(pipeline: Pipeline, tmp_path: Path) -> None:
    """Whoever starts first goes on working; the other one shows and removes nothing, however often it starts."""
    pipeline.run("once", code=0)
    clone = cloned(pipeline, tmp_path / "clone")
    item, before = delivered(pipeline, "a.bin")
    pipeline.run("once", code=0)
    seen = pipeline.see(item)
    assert not seen.files

    late, _ = delivered(pipeline, "b.bin")
    braked = clone.run("once", code=1)
    assert "generation.foreign" in braked.told
    assert "no other daemon runs" in clone.run("status", "--json", code=1).answer
    clone.run("sweep", code=1, hours=24 * 400)
    assert pipeline.see(item) == seen
    assert pipeline.see(late).files
    pipeline.run("once", code=0, hours=2)
    assert pipeline.see(item) == seen
    assert not pipeline.see(late).files
    assert reachable(pipeline, pipeline.see(item)) == sorted(before.contents)


def test_two_daemons_at_the_same_moment(pipeline: Pipeline, tmp_path: Path) -> None:
    """Two real processes over two ledgers that are equal: every message shows its link once, and nothing is lost."""
    pipeline.run("once", code=0)
    clone = cloned(pipeline, tmp_path / "clone")
    items = [delivered(pipeline, f"{number}.bin") for number in range(4)]
    with ThreadPoolExecutor() as pool:
        ended = [pool.submit(each.run, "once", code=None) for each in (pipeline, clone)]
    assert sorted(each.result().code or 0 for each in ended) == [0, 1]
    for item, before in items:
        now = pipeline.see(item)
        assert not now.files
        assert now.body.count("data-redirect") == 1
        assert reachable(pipeline, now) == sorted(before.contents)


def cloned(pipeline: Pipeline, folder: Path) -> Pipeline:
    """The machine, copied while it stood still: the same configuration, the same ledger, another disk."""
    shutil.copytree(pipeline.folder, folder, ignore=shutil.ignore_patterns("clone"))
    settings = folder / "connector.yaml"
    settings.write_text(settings.read_text().replace(f"state: {pipeline.folder}", f"state: {folder}"))
    clone = copy(pipeline)
    clone.folder = folder
    return clone


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_check_tells_of_a_clock_that_is_wrong(pipeline: Pipeline) -> None:
    """With the command that has it set by a time server."""
    (found,) = (
        each
        for each in pipeline.run("check", "--json", code=1, ahead=48).json
        if each["severity"] == "stopped" and "clock" in each["tried"]
    )
    assert "differ by 2 days" in found["says"]
    assert found["fix"] == "timedatectl set-ntp true"


@pytest.mark.parametrize("ahead", [48, 24 * 365, -24 * 365])
def test_clock_that_jumps(pipeline: Pipeline, ahead: int) -> None:
    """Said in the log, by `status` and by the exit code; it goes on by itself once the clock is right."""
    pipeline.configure("defaults: {settle: 24h}\nrules: [{name: all, action: redirect}]")
    item, before = delivered(pipeline, "a.bin")
    pipeline.run("once", code=0)
    ended = pipeline.run("once", code=1, ahead=ahead)
    assert "clock.in_doubt" in ended.told
    (pause,) = pipeline.run("status", "--json", code=1, ahead=ahead).json["paused"]
    assert "set it right" in pause["reason"].replace("them", "it")
    assert pipeline.see(item) == before
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item) == before
    pipeline.run("once", code=0, hours=25)
    assert not pipeline.see(item).files
    assert reachable(pipeline, pipeline.see(item)) == sorted(before.contents)
