"""What users and machines do to a message that is to be restored, through the real command: told, both sides kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import test_bad_input
from tests.pipeline import Pipeline, Seen, letter, notice_in
from tests.test_bad_input import PLAN, SUBJECT, delivered

pipeline = test_bad_input.pipeline


def redirected(pipeline: Pipeline) -> tuple[str, Seen]:
    """A message whose attachment was redirected, and what its owner saw of it before."""
    item, before = delivered(pipeline)
    pipeline.run("once", code=0)
    return item, before


def held(pipeline: Pipeline) -> str:
    """Why the only redirect is held; both commands say that something is."""
    pipeline.run("once", code=1, hours=1)
    (row,) = pipeline.run("held", "--json", code=1).json
    return str(row["reason"])


def deleted(file: Path) -> None:
    """By its owner."""
    file.unlink()


def replaced(file: Path) -> None:
    """By its owner, with another one of the same size."""
    file.write_bytes(bytes(len(PLAN)))


def edited(file: Path) -> None:
    """By its owner."""
    file.write_bytes(PLAN + b"more")


@pytest.mark.parametrize(
    ("spoil", "words"), [(deleted, "does not have a file"), (replaced, "other bytes"), (edited, "other bytes")]
)
def test_stored_file_that_its_owner_changed(pipeline: Pipeline, spoil: Callable[[Path], None], words: str) -> None:
    """Held: what lies there now is neither put into the message nor removed, and the message is not touched."""
    item, _ = redirected(pipeline)
    seen = pipeline.see(item)
    (file,) = pipeline.stored()
    spoil(file)
    left = [path.read_bytes() for path in pipeline.stored()]
    pipeline.run("restore", "--everything", code=0)
    assert words in held(pipeline)
    assert pipeline.see(item).version == seen.version
    assert [path.read_bytes() for path in pipeline.stored()] == left


@pytest.mark.parametrize("kind", ["HardDelete", "SoftDelete"])
def test_message_that_is_gone(pipeline: Pipeline, kind: str) -> None:
    """Deleted, or archived away, or taken along by a mailbox that moved: held, and it is told where the file is."""
    item, _ = redirected(pipeline)
    pipeline.run("restore", "--everything", code=0)
    pipeline.owner().delete(item, kind=kind)
    pipeline.run("once", code=None)
    reason = held(pipeline)
    (file,) = pipeline.stored()
    assert f"named after the redirect {file.parent.name}" in reason
    assert file.read_bytes() == PLAN


def test_message_that_was_answered_and_forwarded(pipeline: Pipeline) -> None:
    """It comes back as it was; what quotes its notice stays as it was written, and its links go on working."""
    item, before = redirected(pipeline)
    notice = notice_in(before, pipeline.see(item))
    quoting = pipeline.deliver(letter({}, f"<p>See below</p>{notice}", subject=SUBJECT))
    quoted = pipeline.see(quoting)
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    after = pipeline.see(item)
    assert (after.body, after.contents) == (before.body, before.contents)
    assert pipeline.see(quoting) == quoted
    (file,) = pipeline.stored()
    assert pipeline.download(f"{pipeline.url}{file.relative_to(pipeline.root)}") == PLAN


def test_message_in_the_archive_folder(pipeline: Pipeline) -> None:
    """Moved within its mailbox, it is found there by its marker."""
    item, before = redirected(pipeline)
    pipeline.run("restore", "--everything", code=0)
    pipeline.owner().move(item, "deleteditems")
    (moved,) = pipeline.owner().find("deleteditems")
    pipeline.run("once", code=0, hours=1)
    pipeline.run("once", code=0, hours=2)
    assert pipeline.see(moved).contents == before.contents


def test_mailbox_that_may_not_be_opened_any_more(pipeline: Pipeline) -> None:
    """Gone to the cloud, or out of the scope of impersonation: refused, told, and nothing is given up for it."""
    item, before = redirected(pipeline)
    seen = pipeline.see(item)
    pipeline.run("restore", "--everything", code=0)
    pipeline.exchange.order(scope=["nobody@example.org"])
    ended = pipeline.run("once", code=4, hours=1)
    assert "source.denied" in ended.told
    assert pipeline.see(item) == seen
    assert [path.read_bytes() for path in pipeline.stored()] == [PLAN]
    pipeline.exchange.order(scope=None)
    pipeline.run("once", code=0, hours=2)
    assert pipeline.see(item).contents == before.contents
