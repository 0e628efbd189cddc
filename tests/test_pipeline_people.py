"""What people ask for, and what they are told, through the real commands and a simulated Exchange."""

from pathlib import Path

import pytest

from connector.simulator import Exchange
from tests.exchange import code, setting
from tests.pipeline import ANNA, Pipeline, letter
from tests.servers import DavServer

REPORT = b"%PDF-1.7 numbers" * 400
_POLICY = """\
keep_when: {category: Behalten}
restore_when: {category: Zurück}
defaults: {settle: 0}
rules:
  - {name: programs, when: {extension: exe}, action: hold}
  - {name: all, action: redirect}
"""


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """Anna's mailbox, and people who have a say."""
    exchange.add_mailbox(ANNA)
    made = Pipeline(tmp_path, exchange, wsgidav)
    made.configure(_POLICY)
    return made


def categorise(pipeline: Pipeline, item: str, category: str) -> None:
    """Anna does it in her Outlook."""
    told = setting("item:Categories", f"<t:Categories><t:String>{category}</t:String></t:Categories>")
    assert code(pipeline.owner().update(item, told)) == "NoError"


def test_a_category_brings_attachments_back(pipeline: Pipeline) -> None:
    """Without a ticket, byte for byte; and one that is kept was never touched."""
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    kept = pipeline.deliver(letter({"plan.pdf": REPORT}))
    categorise(pipeline, kept, "Behalten")
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    assert pipeline.see(item).contents == ()
    assert len(pipeline.see(kept).contents) == 1
    categorise(pipeline, item, "Zurück")
    pipeline.run("once", code=0)
    pipeline.run("once", code=0, hours=0.1)
    after = pipeline.see(item)
    assert (after.contents, after.body) == (before.contents, before.body)
    told = pipeline.run("explain", item, "--reason", "a test", code=0)
    assert ANNA in told.answer


def test_what_is_held_is_told_to_whom_it_belongs(pipeline: Pipeline) -> None:
    """By one letter, half a day later."""
    pipeline.deliver(letter({"setup.exe": b"MZ" + bytes(500)}, subject="Your invoice"))
    pipeline.run("once", code=1)
    pipeline.run("once", code=1, hours=13)
    pipeline.run("once", code=1, hours=14)
    texts = [pipeline.see(item).body for item in pipeline.owner().find("inbox")]
    (told,) = [each for each in texts if "Your invoice" in each]
    assert "waiting for a decision" in told
