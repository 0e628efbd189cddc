"""One line of the log for each redirect that ends, and never a word of anybody's mail."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.errors import Rejected
from connector.flow.decisions import recall
from connector.flow.redirect import tick
from connector.log import Format, configure, flush
from connector.model import Body, Item, Message, Notice
from connector.sources.memory import Attached, MemorySource
from tests.crash.test_every_effect import policy
from tests.logged import Lines
from tests.test_redirect import only, step
from tests.test_retention import YEAR, kept, missed, over
from tests.world import World

FILES = (Attached("report.pdf", b"%PDF-1.7 report"), Attached("scan.tif", b"II*\x00scan"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox with one message, under a policy that redirects everything and keeps it for a year."""
    world = World(tmp_path / "ledger.db", kept())
    world.deliver(*FILES)
    return world


def ends(lines: Lines) -> list[dict[str, Any]]:
    """The lines about redirects."""
    return [line for line in lines() if line["event"].startswith("redirect.")]


def test_a_redirect_that_is_done_gives_one_account(world: World, lines: Lines) -> None:
    """Who, by which rule and policy, how much, how often, and how long after the message came."""
    world.run()
    (line,) = ends(lines)
    redirect = only(world)
    assert redirect.received
    assert len(line.pop("tick")) == 8
    line.pop("timestamp")
    times = [line.pop(name) for name in ("stored_after", "linked_after", "shown_after", "ended_after")]
    assert times == sorted(times)
    assert times[0] >= (redirect.created - redirect.received).total_seconds() - 0.1
    assert line == {
        "event": "redirect.done",
        "level": "info",
        "tenant": "acme",
        "source": redirect.source,
        "redirect": redirect.id,
        "result": "done",
        "rules": ["all"],
        "policy": world.policy.fingerprint,
        "files": 2,
        "bytes": sum(len(each.content) for each in FILES),
        "attempts": 1,
        "counted_from": "arrival",
    }


def test_every_end_gives_its_account(world: World, lines: Lines) -> None:
    """Held, restored and erased ones as well; what is held says why, and what to do."""
    world.run()
    world.now += YEAR
    over(world)
    world.deliver(*FILES)
    world.run(source=Unwilling)
    world.deliver(*FILES)
    world.run()
    with world.ledger() as ledger:
        recall(ledger.redirects()[-1], ledger, world.clock(), "operator")
    world.run()
    told = ends(lines)
    assert [line["result"] for line in told] == ["done", "erased", "held", "done", "restored"]
    assert told[2]["reason"] == "no"
    assert "connector held" in told[2]["to_do"]
    assert {line["files"] for line in told} == {2}


class Unwilling(MemorySource):
    """Its messages cannot be edited."""

    def rewrite(self, item: Item, notice: Notice) -> None:
        raise Rejected("no")


def test_what_a_rule_holds_gives_its_account_at_once(tmp_path: Path, lines: Lines) -> None:
    """Without what the rule has found: that may quote the message."""
    world = World(tmp_path / "ledger.db", policy(action="hold", when={"name": "report*"}))
    world.deliver(*FILES)
    world.run()
    (line,) = ends(lines)
    assert (line["result"], line["reason"]) == ("held", "a rule wants a human to decide")
    assert "report" not in json.dumps(line)


def test_what_is_dropped_says_why_and_how_often_it_was_tried(world: World, lines: Lines) -> None:
    """Each time that a step had to be taken again counts."""
    world.policy = kept(settle="24h")
    step(world)
    world.mailbox.delete(world.mailbox.entries()[0].message.id)
    world.now += timedelta(days=1)
    missed(world)
    (line,) = ends(lines)
    assert (line["result"], line["reason"]) == ("dropped", "the item is gone")
    assert line["attempts"] > 1


def test_files_are_named_where_the_tenant_wants_it(world: World, lines: Lines) -> None:
    """And nowhere else."""
    with world.process() as (watch, ledger):
        for _ in range(2):
            tick(replace(watch, file_names=True), ledger, world.clock, "one")
            world.now += timedelta(minutes=2)
    (line,) = ends(lines)
    assert line["files_by_name"] == ["report.pdf", "scan.tif"]


class Clumsy(MemorySource):
    """A library below it quotes mail whenever it fails, in every way that it can."""

    def rewrite(self, item: Item, notice: Notice) -> None:
        assert isinstance(item, Message)
        for each in (item.subject, *(file.name for file in item.files)):
            logging.getLogger("library").error("cannot edit %s", each)
        try:
            item.headers[item.subject]
        except KeyError as error:
            raise ValueError(item.sender, item.body, item) from error


_SECRET = "Zqx"
#: What people and attackers write: with line ends, control characters, formats, markup, JSON.
_WORDS = st.text(max_size=20) | st.sampled_from(["%s", "{event}", '", "level": "x', "\x1b[2J", "\n<3>", "${jndi:x}"])
_HOSTILE = st.builds("{}Zqx{}".format, _WORDS, _WORDS)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=_HOSTILE, subject=_HOSTILE, sender=_HOSTILE, text=_HOSTILE, form=st.sampled_from(["json", "console"]))
def test_no_word_of_anybodys_mail_is_logged(
    capsys: pytest.CaptureFixture[str], lines: Lines, *, name: str, subject: str, sender: str, text: str, form: Format
) -> None:
    """Whatever is in a name, a subject, an address or a text, and whatever goes wrong with it."""
    configure(form, "debug")
    with TemporaryDirectory() as folder:
        world = World(Path(folder) / "ledger.db", policy())
        told = {"subject": subject, "sender": sender, "body": Body(text, html=False)}
        world.deliver(Attached(name, text.encode("utf-8", "replace"), content_type=name), **told)
        step(world, 2, source=Clumsy)
        world.run()
    flush()
    logged = capsys.readouterr().err
    assert "redirect.done" in logged
    assert "bug" in logged
    assert _SECRET not in logged
    assert lines() == []
