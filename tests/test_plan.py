"""`connector plan`: what the policy would do is what it does, and to tell it changes nothing."""

import getpass
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.demo.samples import write_samples
from connector.ledger import Ledger
from connector.model import State
from connector.simulator import Exchange
from tests.corpus import independent
from tests.pipeline import ANNA, Pipeline, letter
from tests.servers import DavServer

#: A policy that looks at all that plan has to look at: sizes, first bytes, places, ages, and what returns.
POLICY = """
defaults: {settle: 0}
rules:
  - {name: programs, when: {true_type: [executable, archive]}, action: copy}
  - {name: tables, when: {extension: [xls, xlsx, csv]}, action: keep}
  - {name: old, when: {older_than: 3650d, extension: pdf}, action: copy, keep_original: true}
  - {name: letters, when: {kind: message}, action: redirect, irreversible: true}
  - {name: large, when: {size_over: 20 kB}, unless: {folder: Records}, action: redirect}
  - {name: pictures, when: {true_type: image}, action: redirect}
"""
#: And one that looks into whole files and texts, holds, and leaves some alone.
DEEPER = """
exclude: {folders: [Records]}
defaults: {settle: 0}
rules:
  - {name: locked, when: {encrypted: true}, action: hold}
  - {name: macros, when: {macros: true}, action: copy}
  - {name: tried, mode: monitor, when: {message_over: 1 kB}, action: hold}
  - {name: offers, when: {any: [{body: "(?i)attach"}, {subject: test}], size_over: 100 B}, action: redirect}
  - {name: rest, when: {size_over: 1 kB}, unless: {extension: [jpg, png]}, action: copy}
"""
#: Operations that only read: of Exchange, and of a WebDAV store.
READING = {"FindFolder", "GetFolder", "GetItem", "GetAttachment", "SyncFolderItems", "SyncFolderHierarchy", "FindItem"}


@pytest.fixture
def samples() -> Path:
    """The folder of the sample mail. Skips only where nobody said where it is and it is not beside the project."""
    folder = independent.folder_of_samples()
    if "CONNECTOR_TEST_DATA" not in os.environ and not folder.is_dir():
        pytest.skip("no sample mail beside the project: set CONNECTOR_TEST_DATA")
    return folder


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Pipeline:
    """One mailbox, and the policy above."""
    pipeline = Pipeline(tmp_path, exchange, wsgidav)
    pipeline.configure(POLICY)
    return pipeline


def planned(pipeline: Pipeline, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What `plan` tells of the whole of all mailboxes, by name."""
    asked = ("plan", "--whole", "--named", "--reason", "a test", "--json")
    (told,) = pipeline.run(*asked, *arguments, code=code).json
    return dict(told)


def enforced(pipeline: Pipeline) -> dict[tuple[str, str], Counter[str]]:
    """What the ledger says was done or is held, by mailbox and rule: messages, files, bytes as announced."""
    done: dict[tuple[str, str], Counter[str]] = {}
    with closing(Ledger(f"sqlite:///{pipeline.folder / 'ledger.db'}")) as ledger:
        addresses = {each.name: each.address for each in ledger.watched()}
        for redirect in (*ledger.redirects(state=State.DONE), *ledger.redirects(state=State.HELD)):
            for rule in {each.rule for each in redirect.live}:
                files = [each.file.size for each in redirect.live if each.rule == rule]
                counts = done.setdefault((addresses[redirect.source], rule), Counter())
                counts.update(messages=1, files=len(files), bytes=sum(files))
    return done


def at_once(told: dict[str, Any], by: str) -> dict[str, Counter[str]]:
    """What `plan` says that the next turn would begin with, as `enforced` counts it."""
    found: dict[str, Counter[str]] = {}
    for row in told[by]:
        if row["at_once_files"]:
            counts = {name: row[f"at_once_{name}"] for name in ("messages", "files", "bytes")}
            found.setdefault(row["group"], Counter()).update(counts)
    return found


def summed(done: dict[tuple[str, str], Counter[str]], place: int) -> dict[str, Counter[str]]:
    """The same, for each mailbox (0) or rule (1)."""
    sums: dict[str, Counter[str]] = {}
    for key, counts in done.items():
        sums.setdefault(key[place], Counter()).update(counts)
    return sums


def tables(pipeline: Pipeline) -> dict[str, list[str]]:
    """All that the ledger's tables hold, but for events and their chains."""
    with closing(sqlite3.connect(pipeline.folder / "ledger.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: [repr(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    return {name: found for name, found in rows.items() if name not in ("events", "chains")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "rules", "code"),
    [
        (POLICY, {"programs", "old", "letters", "large", "pictures"}, 0),
        (DEEPER, {"locked", "offers", "rest"}, 1),
    ],
)
def test_plan_then_enforce(policy: str, rules: set[str], code: int, pipeline: Pipeline, samples: Path) -> None:
    """Real mail, and the samples of the demo: what each rule and mailbox is told to do is what the commands do."""
    write_samples(pipeline.folder / "samples")
    mail = {samples / name: f"{name.partition('/')[0]}@example.org".lower() for name in independent.samples(samples)}
    own = pipeline.folder / "samples"
    mail |= {path: path.relative_to(own).parts[0] for path in own.rglob("*.eml")}
    mailboxes = tuple(sorted(set(mail.values())))
    for mailbox in set(mailboxes) - {ANNA}:
        pipeline.exchange.add_mailbox(mailbox)
    pipeline.configure(policy, mailboxes=mailboxes)
    for path, mailbox in mail.items():
        pipeline.deliver(path.read_bytes(), mailbox)
    told = planned(pipeline)
    pipeline.run("once", code=code)
    done = enforced(pipeline)
    assert at_once(told, "rule") == summed(done, 1)
    for mailbox, counts in summed(done, 0).items():
        said = at_once(told, "mailbox")[mailbox]  # In which a message counts once, and not once for each of its rules.
        assert (said["files"], said["bytes"]) == (counts["files"], counts["bytes"]), mailbox
    assert {rule for _, rule in done} == rules
    assert at_once(planned(pipeline), "rule") == {}


def test_bytes_are_those_that_exchange_announces(pipeline: Pipeline) -> None:
    """It counts the properties of an attachment too: what lies in the store in the end is a little less."""
    pipeline.deliver(letter({"a.pdf": b"%PDF" * 9_000, "b.pdf": b"%PDF" * 30_000}))
    announced = at_once(planned(pipeline), "rule")["large"]["bytes"]
    pipeline.run("once", code=0)
    stored = sum(path.stat().st_size for path in pipeline.stored() if path.suffix == ".pdf")
    assert stored == 4 * 39_000
    assert stored <= announced < 1.05 * stored


def test_to_plan_changes_nothing(pipeline: Pipeline, exchange: Exchange) -> None:
    """Exchange gets no request that writes, the store none at all, and the ledger one event, for the look by name."""
    for number in range(3):
        pipeline.deliver(letter({"a.pdf": b"%PDF" * 9_000, "b.exe": b"MZ" * 2_000, f"{number}.png": b"\x89PNG" * 9}))
    pipeline.run("once", code=0)
    pipeline.deliver(letter({"new.pdf": b"%PDF" * 9_000}))
    exchange.order(reset=True)
    before, noted, files = tables(pipeline), events(pipeline), pipeline.stored()
    pipeline.configure(POLICY, store="http://127.0.0.1:9/")
    told = planned(pipeline)
    assert at_once(told, "rule")["large"]["files"] == 1
    assert set(exchange.seen) <= READING
    assert (tables(pipeline), pipeline.stored()) == (before, files)
    assert "give only one of" in pipeline.run("plan", "--whole", "--last", "3d", code=2).told
    by_name = {"by": pipeline_user(), "reason": "a test", "mailboxes": 1}
    assert events(pipeline) == [*noted, ("plan.named", by_name)]


def events(pipeline: Pipeline) -> list[tuple[str, dict[str, Any]]]:
    """The audit trail, as far as it tells what happened."""
    with closing(Ledger(f"sqlite:///{pipeline.folder / 'ledger.db'}")) as ledger:
        return [(each.name, dict(each.detail)) for each in ledger.events(tenant="acme")]


def pipeline_user() -> str:
    """Who runs the tests, as the audit trail calls them."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def test_the_command(pipeline: Pipeline, exchange: Exchange) -> None:
    """A table for people, lines as CSV, the mail of some days or of one mailbox; and what another policy changes."""
    mailboxes = tuple(f"person{number}@example.org" for number in range(6))
    for mailbox in mailboxes:
        exchange.add_mailbox(mailbox)
        pipeline.deliver(letter({"a.pdf": b"%PDF" * 9_000, "b.txt": b"text"}), mailbox)
    pipeline.configure(POLICY, mailboxes=mailboxes)
    other = pipeline.folder / "other.yaml"
    other.write_text((pipeline.folder / "tenants" / "acme.yaml").read_text().replace("name: large", "name: huge"))
    out, html = pipeline.folder / "plan.csv", pipeline.folder / "plan.html"
    noted = events(pipeline)
    told = pipeline.run("plan", "--last", "3650d", "--diff", str(other), "--csv", str(out), "--html", str(html), code=0)
    assert "large redirect 6 6 6 " in " ".join(told.answer.split())
    assert "large → huge" not in told.answer
    assert "person" not in told.answer + told.told + out.read_text() + html.read_text()
    assert "acme: what the policy would do" in html.read_text()
    assert events(pipeline) == noted
    assert "acme,rule,large,redirect,6,6,6," in out.read_text()
    (told_named,) = pipeline.run(
        *("plan", "--named", "--reason", "a test", "--whole", "--mailbox", mailboxes[3], "--by", "mailbox", "--json"),
        code=0,
    ).json
    assert {row["group"] for row in told_named["mailbox"]} == {mailboxes[3]}
    other.write_text(other.read_text().replace("huge, when: {size_over: 20 kB}", "huge, when: {size_over: 1 B}"))
    (told_changes,) = pipeline.run("plan", "--whole", "--diff", str(other), "--json", code=0).json
    assert pipeline.run("plan", "--last", "2d", "--json", code=0).json[0]["total"] == []
    assert [(row["group"], row["change"], row["files"]) for row in told_changes["changes"] if row["by"] == "rule"] == [
        ("(no rule) → huge", "keep → redirect for store", 6)
    ]


def test_recoverable_items_fill_as_it_was_told(pipeline: Pipeline, exchange: Exchange) -> None:
    """With single item recovery, Exchange keeps what was told: each message before its links and before its prune."""
    exchange.order(single_item_recovery=ANNA)
    pipeline.configure("defaults: {settle: 0}\nrules: [{name: all, action: redirect}]")
    for number in range(3):
        pipeline.deliver(letter({f"{number}.pdf": b"%PDF" * 25_000}))
    told = planned(pipeline)["recoverable_items"]["bytes"]
    pipeline.run("once", code=0)
    kept = [pipeline.owner().item(each) for each in pipeline.owner().find("recoverableitemsversions")]
    sizes = [int(str(each.findtext(".//{*}Items/*/{*}Size"))) for each in kept]
    assert len(sizes) == 6
    assert told == pytest.approx(sum(sizes), rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--named"], "say why with --reason"),
        ([], "of fewer than five people, nothing is told without --named and --reason"),
        (["--mailbox", "eve@example.org"], "no such mailbox"),
        (["--last", "soon"], "--last soon: a duration is"),
    ],
)
def test_what_the_command_refuses(pipeline: Pipeline, arguments: list[str], sentence: str) -> None:
    """In one sentence, before a mailbox is looked at."""
    told = pipeline.run("plan", *arguments, code=2).told
    assert sentence in " ".join(told.replace("│", " ").split())
    assert pipeline.exchange.seen == []
