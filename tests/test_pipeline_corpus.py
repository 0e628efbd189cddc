"""Every message of the sample mail through the whole pipeline, seen from outside before and after."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector.model import Action, Message, Verdict
from connector.policy import Facts, Policy, Rule, decide
from connector.simulator import Exchange
from tests.corpus import independent
from tests.ews import settings
from tests.exchange import code, setting
from tests.pipeline import Pipeline, Seen, notice_in
from tests.servers import DavServer

POLICY = Policy(rules=(Rule(name="all", action=Action.REDIRECT),))
FACTS = Facts(now=datetime.now(UTC), since=datetime.fromtimestamp(0, UTC), ours=False)


@pytest.fixture
def samples() -> Path:
    """The folder of the sample mail. Skips only where nobody said where it is and it is not beside the project."""
    folder = independent.folder_of_samples()
    if "CONNECTOR_TEST_DATA" not in os.environ and not folder.is_dir():
        pytest.skip("no sample mail beside the project: set CONNECTOR_TEST_DATA")
    return folder


def mailboxes(samples: Path) -> dict[str, str]:
    """The mailbox of every sample."""
    return {sample: f"{sample.partition('/')[0]}@example.org".lower() for sample in independent.samples(samples)}


@pytest.fixture
def mail(samples: Path) -> dict[str, str]:
    """Every sample, and its mailbox: each collection of samples has one of its own."""
    return mailboxes(samples)


@pytest.fixture
def pipeline(
    tmp_path: Path, exchange: Exchange, wsgidav: DavServer, mail: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Pipeline:
    """All these mailboxes, still empty, and the policy "redirect everything"."""
    for mailbox in set(mail.values()):
        exchange.add_mailbox(mailbox)
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
    pipeline = Pipeline(tmp_path, exchange, wsgidav)
    pipeline.configure(mailboxes=tuple(sorted(set(mail.values()))))
    return pipeline


@pytest.mark.long
def test_every_message_of_the_corpus(pipeline: Pipeline, samples: Path, mail: dict[str, str]) -> None:
    """Guards and rules decide as the table says; links lead to the bytes that left; nothing else is changed."""
    items = {sample: pipeline.deliver((samples / sample).read_bytes(), mail[sample]) for sample in mail}
    for sample in list(mail)[::3]:
        _use(pipeline, items[sample], mail[sample])
    before = {sample: pipeline.see(items[sample], mail[sample]) for sample in mail}
    verdicts = {item.id: decide(POLICY, item, FACTS) for item in _listed(pipeline)}
    counts = {sample: Counter(_column(verdict) for verdict in verdicts[items[sample]]) for sample in mail}
    assert counts == _table()

    summary = pipeline.run("once", "--json", code=0).json
    assert pipeline.run("once", "--json", code=0).json == summary
    assert pipeline.run("held", "--json", code=0).json == []
    assert summary["paused"] == []
    messages = sum(count["redirected"] > 0 for count in counts.values())
    assert _sums(summary) == {"redirected": messages, "under_way": 0, "held": 0, "dropped": 0}

    for sample, mailbox in mail.items():
        after = pipeline.see(items[sample], mailbox)
        _judge(pipeline, sample, before[sample], after, verdicts[items[sample]])
    assert len(mail) == 228


def _use(pipeline: Pipeline, item: str, mailbox: str) -> None:
    """A user has read the message, and put it into a category."""
    read = setting("message:IsRead", "<t:IsRead>true</t:IsRead>")
    category = setting("item:Categories", "<t:Categories><t:String>Blue</t:String></t:Categories>")
    assert code(pipeline.owner(mailbox).update(item, read, category)) == "NoError"


def _listed(pipeline: Pipeline) -> Iterator[Message]:
    """Every message with all its files. The feed leaves out those of messages that have none but inline ones."""
    mailboxes = [account["mailbox"] for account in pipeline.exchange.accounts]
    for source in settings(pipeline.exchange, mailboxes=mailboxes).sources():
        for page in source.changes(None):
            yield from (source.fetch(item.id) for item in page.items)


def _column(verdict: Verdict) -> str:
    """Where the table counts a file with this verdict."""
    return "redirected" if verdict.action is Action.REDIRECT else verdict.rule.removeprefix("guard:")


def _table() -> dict[str, Counter[str]]:
    """What the independent parser says. Over EWS nobody sees that a file is empty: its size counts its properties."""
    lines = (line for line in independent.TABLE.read_text(encoding="utf-8").splitlines() if line[0] not in "#=")
    rows = {row.pop("file"): row for row in csv.DictReader(lines, delimiter="\t")}
    counts = {
        sample: Counter({column: int(row[column]) for column in independent.COLUMNS[2:]})
        for sample, row in rows.items()
    }
    for count in counts.values():
        count["redirected"] += count.pop("empty")
    return counts


def _sums(summary: dict[str, list[dict[str, int]]]) -> dict[str, int]:
    columns = ("redirected", "under_way", "held", "dropped")
    return {column: sum(mailbox[column] for mailbox in summary["mailboxes"]) for column in columns}


def _judge(pipeline: Pipeline, sample: str, before: Seen, after: Seen, verdicts: tuple[Verdict, ...]) -> None:
    """The promise, for one message."""
    left = {verdict.file.id for verdict in verdicts if verdict.action is Action.REDIRECT}
    if not left:
        assert after == before, f"{sample} was touched"
    links = re.findall(rf'{re.escape(pipeline.url)}[^"<>\s]*', notice_in(before, after))
    gone = [file.content for file in before.files if file.id in left]
    assert [pipeline.download(link) for link in links] == gone, sample
    assert after.files == tuple(file for file in before.files if file.id not in left), sample
    assert after.rest == before.rest, sample
