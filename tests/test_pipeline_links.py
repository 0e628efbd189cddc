"""Mail whose links are our own, through the real commands and the real pages: opened, ended, renewed, and undone."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from markdown_it import MarkdownIt

from connector.audit import verify
from connector.simulator import Exchange
from tests import links
from tests.pipeline import ANNA, Pipeline, letter
from tests.servers import DavServer

REPORT = b"%PDF-1.7 numbers" * 400
_POLICY = """\
links: {{url: {url}, database: "sqlite:///{folder}/links.db", key: {{file: {folder}/links-key}}}}
defaults: {{settle: 0}}
rules: [{{name: all, action: redirect, link: {link}}}]
"""


@dataclass
class LinkedPipeline(Pipeline):
    """A tenant whose store cannot share, and the pages that hand out its files."""

    pages: links.World | None = None

    def publish(self, **terms: object) -> None:
        """Configure links of our own on these terms."""
        if not (self.folder / "links-key").exists():
            self.secret("links-key", "j" * 40)
        link = json.dumps({"audience": "anyone", **terms})
        self.configure(_POLICY.format(url=self.site.url, folder=self.folder, link=link))

    @property
    def site(self) -> links.World:
        """The pages."""
        assert self.pages
        return self.pages

    def shown(self, item: str) -> list[str]:
        """The addresses that a message shows, below that of the pages."""
        return sorted(set(re.findall(rf"{self.site.url}(/[ar]/[A-Za-z0-9_-]+/\d+)", self.see(item).body)))

    def fetched(self, link: str, name: str = "report.pdf", **asked: Any) -> links.Answer:
        """What somebody gets who follows a link and presses the button."""
        self.site.clock.now = datetime.now(UTC)
        return self.site.ask(f"{link}/{name}", **asked)


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Iterator[LinkedPipeline]:
    """A configuration that is right."""
    made = LinkedPipeline(tmp_path, exchange, wsgidav)
    store = {"url": made.url, "user": wsgidav.user, "password": {"file": str(tmp_path / "store-password")}}
    with links.opened(tmp_path, wsgidav, tenants={"acme": {"store": store, "releases": {"longest": "30d"}}}) as pages:
        made.pages = pages
        yield made


def test_a_link_for_anyone_opens_for_anyone(pipeline: LinkedPipeline) -> None:
    """It ends, opens again, and gives way to another; whoever came is in the audit trail; undo brings the file back."""
    pipeline.publish(expires="30d")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    assert pipeline.see(item).files == ()
    assert "report.pdf" in pipeline.site.ask(link).text
    assert pipeline.fetched(link).body == REPORT
    nothing = pipeline.site.ask("/a/nothing/1")

    (listed,) = pipeline.run("links", "list", "--json", code=0).json
    assert listed["url"] == pipeline.site.url + link
    assert pipeline.run("links", "revoke", "--everything", "--json", code=0).json == {"revoked": 1, "passed": {}}
    assert (pipeline.site.ask(link).status, pipeline.site.ask(link).body) == (nothing.status, nothing.body)
    pipeline.run("links", "extend", listed["redirect"], code=0)
    assert pipeline.fetched(link).body == REPORT

    pipeline.run("links", "relink", listed["redirect"], code=0)
    assert pipeline.site.ask(link).status == nothing.status
    pipeline.run("once", code=0)
    (other,) = pipeline.shown(item)
    assert other != link
    assert pipeline.fetched(other).body == REPORT
    assert pipeline.site.ask(link).status == nothing.status

    assert pipeline.site.noted()
    assert "link.guessed" in pipeline.run("once", code=0).told
    assert (pipeline.site.noted(), pipeline.site.book.guesses()) == ((), ())
    pipeline.run("restore", "--everything", "--revoke", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item).contents == before.contents
    assert pipeline.see(item).body == before.body
    assert pipeline.site.ask(other).status == nothing.status


def test_links_of_a_message_that_was_restored_can_be_ended(pipeline: LinkedPipeline) -> None:
    """Copies that went to others show them yet: they are listed, and revoked, until they ended with the message."""
    pipeline.publish(expires="30d")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.shown(item) == []
    assert pipeline.fetched(link).body == REPORT
    assert [each["url"] for each in pipeline.run("links", "list", "--json", code=0).json] == [pipeline.site.url + link]
    told = pipeline.run("links", "relink", "--everything", code=0).answer
    assert (
        told
        == "0 messages will show other links. Passed over: 1 message (restored, so their messages are left alone).\n"
    )
    assert pipeline.run("links", "revoke", "--everything", "--json", code=0).json == {"revoked": 1, "passed": {}}
    assert pipeline.site.ask(link).status == pipeline.site.ask("/a/nothing/1").status


def test_what_is_held_on_its_way_back_gets_no_other_links(pipeline: LinkedPipeline) -> None:
    """Its message would show them again, although somebody wants the files back in it."""
    pipeline.publish(expires="30d")
    pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (stored,) = (path for path in pipeline.stored() if path.name == "report.pdf")
    stored.write_bytes(b"other bytes")
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=1, hours=1)
    (held,) = pipeline.run("held", "--json", code=1).json
    assert pipeline.run("links", "relink", "--everything", "--json", code=0).json["relinked"] == 0
    assert pipeline.run("held", "--json", code=1).json == [held]


def test_a_password_comes_by_a_message_of_its_own(pipeline: LinkedPipeline) -> None:
    """Once, unread, in the Inbox. It is neither in the message nor in a log; the service desk can tell it too."""
    pipeline.publish(password=True)
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    assert pipeline.fetched(link).body != REPORT
    (told,) = pipeline.run("links", "password", _only(pipeline), "--json", code=0).json
    assert told["password"] not in pipeline.see(item).body
    pipeline.hushed.append(told["password"])
    pipeline.run("once", code=0)
    (letter_of_ours,) = [each for each in _inbox(pipeline) if told["password"] in each]
    assert pipeline.site.url not in letter_of_ours
    page = pipeline.site.ask(link, "POST", body=f"password={told['password']}")
    pipeline.site.keep(page)
    assert pipeline.fetched(link).body == REPORT
    pipeline.run("once", code=0)


def test_when_retention_ends_the_message_says_so(pipeline: LinkedPipeline) -> None:
    """Before, it says until when; then neither its link nor the store has anything."""
    pipeline.publish()
    file = pipeline.folder / "tenants" / "acme.yaml"
    file.write_text(file.read_text().replace("settle: 0", "settle: 0, retain: {file: 90d}"))
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    assert pipeline.fetched(link).body == REPORT
    until = datetime.now(UTC) + timedelta(days=90)
    assert f"stays there until {until:%Y-%m-%d} and is then deleted" in pipeline.see(item).body
    assert pipeline.run("sweep", "--json", code=0, hours=90 * 24 - 1).json == {"swept": 0, "left_out": []}
    assert pipeline.run("sweep", "--json", code=0, hours=90 * 24 + 1).json == {"swept": 1, "left_out": []}
    for minutes in (0, 2):
        pipeline.run("once", code=0, hours=90 * 24 + 1 + minutes / 60)
    seen = pipeline.see(item)
    assert pipeline.shown(item) == []
    assert f"until {until:%Y-%m-%d}. It has been deleted." in seen.body
    assert "report.pdf" in seen.body
    assert pipeline.fetched(link).status == pipeline.site.ask("/a/nothing/1").status
    assert [path for path in pipeline.stored() if REPORT in path.read_bytes()] == []


def test_a_person_is_told_what_is_kept_and_then_nothing_is(pipeline: LinkedPipeline) -> None:
    """Files, links, events; then the tombstone, an export that verifies, and nobody who can tell of whom it speaks."""
    pipeline.publish()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    assert pipeline.fetched(link).body == REPORT
    pipeline.run("once", code=0)

    why = ("--reason", f"{ANNA} asked for it")
    (told,) = pipeline.run("audit", "subject", ANNA, *why, "--json", code=0).json
    (file,) = told["files"]
    assert file["path"] in {str(path.relative_to(pipeline.root)) for path in pipeline.stored()}
    assert (file["link"].endswith(link), file["file"], file["audience"]) == (True, "report.pdf", "anyone")
    assert [each["as"] for each in told["links"]] == ["owner, reader"]
    named = {each["event"] for each in told["events"]}
    assert {"redirect.planned", "redirect.done", "link.opened", "person.looked_up"} <= named
    assert ANNA not in json.dumps(told["events"])
    assert pipeline.run("audit", "subject", "nobody@example.org", *why, "--json", code=0).json[0]["files"] == []

    _reported(pipeline)

    dry = pipeline.run("audit", "erase", ANNA, *why, "--dry-run", "--json", code=0).json
    wanted = pipeline.run("audit", "erase", ANNA, *why, "--json", code=0).json
    assert [(each["files"], each["what"][:24]) for each in dry["left"]] == [(1, "ends with the next sweep")]
    assert wanted["left"] == dry["left"]
    assert pipeline.run("sweep", "--json", code=0, hours=1).json == {"swept": 1, "left_out": []}
    for minutes in (0, 2):
        pipeline.run("once", code=0, hours=1 + minutes / 60)
    pipeline.run("sweep", code=0, hours=2)
    assert pipeline.run("audit", "erase", ANNA, *why, "--dry-run", "--json", code=0, hours=2).json["left"] == []
    assert (pipeline.shown(item), "report.pdf" in pipeline.see(item).body) == ([], True)
    assert pipeline.fetched(link).status == pipeline.site.ask("/a/nothing/1").status
    assert pipeline.stored() == []

    export = pipeline.folder / "export.jsonl"
    pipeline.run("audit", "export", "--output", str(export), code=0, hours=3)
    assert pipeline.run("audit", "verify", "--json", code=0, hours=3).json[0]["verdict"] == "verified"
    alone = [sys.executable, "-I", str(Path(verify.__file__)), str(export)]
    assert subprocess.run(alone, check=True, capture_output=True, text=True).stdout.startswith("verified tenant acme")
    assert ANNA not in export.read_text()
    assert pipeline.run("audit", "subject", ANNA, *why, "--json", code=0, hours=3).json[0]["files"] == []
    assert b"report.pdf" not in b"".join(path.read_bytes() for path in pipeline.folder.glob("*.db"))


def _reported(pipeline: LinkedPipeline) -> None:
    """What the data protection officer reads is what is configured, and what happened."""
    started = datetime.now(UTC) - timedelta(minutes=10)
    since = ("--since", started.isoformat())
    reports = {what: pipeline.run("report", what, code=0).answer for what in ("ropa", "dpia")}
    reports |= {what: pipeline.run("report", what, *since, code=0).answer for what in ("exposure", "incident")}
    assert "leave out --since" in pipeline.run("report", "dpia", *since, code=2).told
    assert all("not configured: set `house.dpo`" in each for each in reports.values())
    for each in reports.values():
        tables = MarkdownIt("commonmark").enable("table").render(each).count("<table>")
        assert tables == each.count("\n|---"), "a blank line is missing before a table"
    rule = "| all | redirect | enforce | anyone | for ever | no | for ever |"
    for said in (rule, f"Exchange ({pipeline.exchange.ews})"):
        assert said in reports["ropa"]
        assert said in reports["dpia"]
    assert "So far: 1 done." in reports["dpia"]
    assert "stays in Recoverable Items until Exchange purges it" in reports["dpia"]
    assert "It is anchored nowhere outside the ledger" in reports["dpia"]
    (row,) = (line.split(" | ") for line in reports["exposure"].splitlines() if ANNA in line)
    assert (row[3], row[4], row[5], row[6], row[9]) == ("anyone", "1", "1", "1", "never")
    assert started <= datetime.strptime(row[7], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    assert row[7] == row[8]
    assert "no warning and no error is in the trail" in reports["incident"]
    assert "person.looked_up" in reports["incident"]
    assert "| The audit trail | holds |" in reports["incident"]
    assert "there are reports of" in pipeline.run("report", "other", code=2).told


def test_before_a_link_ends_its_owner_is_told_and_lets_it_last(pipeline: LinkedPipeline) -> None:
    """By a letter with the address of a page, where one form does it; the message says so, and he is told again."""
    pipeline.publish(expires="30d")
    item = pipeline.deliver(letter({"report.pdf": REPORT}, subject="Offer 7"))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    pipeline.run("once", code=0, hours=22 * 24)
    assert not any("Offer 7" in each for each in _inbox(pipeline))
    for day in (24, 25):
        pipeline.run("once", code=0, hours=day * 24)
        (told,) = [each for each in _inbox(pipeline) if "Offer 7" in each]
    found = re.search(rf"{pipeline.site.url}(/r/[A-Za-z0-9-]+)", told)
    assert found
    pipeline.site.clock.now = datetime.now(UTC) + timedelta(days=31)
    assert pipeline.site.ask(f"{link}/report.pdf").status == 404
    page = pipeline.site.ask(found[1], headers=links.ANNA)
    proof = re.search(r'name="proof" value="([^"]+)"', page.text)
    assert proof
    form = urlencode({"proof": proof[1], "days": "20"})
    assert pipeline.site.ask(f"{found[1]}/extend", "POST", links.ANNA, form).status == 303
    pipeline.site.clock.now += timedelta(days=19)
    assert pipeline.site.ask(f"{link}/report.pdf").body == REPORT
    for _ in "collected, shown":
        pipeline.run("once", code=0, hours=31 * 24 + 1)
    assert _told_day(pipeline, item) == f"{pipeline.site.book.of_tenant('acme')[0].expires:%Y-%m-%d}"
    for day, letters in ((43, 1), (45, 2)):
        pipeline.run("once", code=0, hours=day * 24)
        assert len([each for each in _inbox(pipeline) if "Offer 7" in each]) == letters


def test_a_message_says_until_when_a_link_lasts_by_now(pipeline: LinkedPipeline) -> None:
    """The daemon has it say so, in the same notice; what is the same is not written again."""
    pipeline.publish(expires="30d")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    links = pipeline.shown(item)
    until = f"{datetime.now(UTC) + timedelta(days=80):%Y-%m-%d}"
    for _ in "twice":
        pipeline.run("links", "extend", "--everything", "--until", until, code=0)
        pipeline.run("once", code=0)
        assert (_told_day(pipeline, item), pipeline.shown(item)) == (until, links)
    assert pipeline.see(item).body.count("report.pdf") == 1
    pipeline.run("links", "extend", "--everything", code=0)
    pipeline.run("once", code=0)
    assert re.findall("[0-9]{4}-[0-9]{2}-[0-9]{2}", pipeline.see(item).body) == []
    assert pipeline.fetched(*links).body == REPORT
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    assert (pipeline.see(item).contents, pipeline.see(item).body) == (before.contents, before.body)


def test_a_hold_lets_links_last(pipeline: LinkedPipeline) -> None:
    """The page opens after the end that the message told, the message tells another, and no letter comes."""
    pipeline.publish(expires="30d")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    tenant = pipeline.folder / "tenants" / "acme.yaml"
    tenant.write_text(f"{tenant.read_text()}\nretention_holds: [{ANNA}]\n")
    pipeline.run("once", code=0, hours=24 * 24)
    assert _told_day(pipeline, item) == f"{datetime.now(UTC) + timedelta(days=54):%Y-%m-%d}"
    assert len(_inbox(pipeline)) == 1
    pipeline.site.clock.now = datetime.now(UTC) + timedelta(days=31)
    assert pipeline.site.ask(f"{link}/report.pdf").body == REPORT


def test_a_link_for_the_owner_opens_for_the_owner(pipeline: LinkedPipeline) -> None:
    """Whoever the proxy says is logged in; for others there is nothing."""
    pipeline.publish(audience="owner")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    assert pipeline.fetched(link, headers=links.ANNA).body == REPORT
    assert pipeline.fetched(link, headers=links.BERT).body != REPORT


def test_a_link_leads_on_where_the_store_lets_people_in(pipeline: LinkedPipeline) -> None:
    """The message shows our address, and whoever follows it logs in at the store."""
    pipeline.publish(audience="store")
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    (link,) = pipeline.shown(item)
    answer = pipeline.site.ask(link)
    assert answer.status in (302, 303, 307)
    assert pipeline.download(answer.headers["location"]) == REPORT


def test_a_book_that_is_out_of_reach(pipeline: LinkedPipeline) -> None:
    """The attachment stays in its message, and the sentence names the file."""
    pipeline.publish()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    book = pipeline.folder / "links.db"
    kept = book.read_bytes()
    for each in pipeline.folder.glob("links.db*"):
        each.unlink()
    book.write_bytes(b"this is no database" * 100)
    assert str(book) in pipeline.run("check", "--json", code=3).answer
    assert str(book) in pipeline.run("once", "--json", code=3).answer
    assert pipeline.see(item).contents == (REPORT,)
    book.write_bytes(kept)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item).contents == ()


def _told_day(pipeline: LinkedPipeline, item: str) -> str:
    """The one that a message tells of its links."""
    (told,) = set(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", pipeline.see(item).body))
    return str(told)


def _inbox(pipeline: LinkedPipeline) -> list[str]:
    """The texts of all messages in the Inbox."""
    return [pipeline.see(item).body for item in pipeline.owner().find("inbox")]


def _only(pipeline: LinkedPipeline) -> str:
    (listed,) = pipeline.run("links", "list", "--mailbox", ANNA, "--json", code=0).json
    return str(listed["redirect"])


def test_check_says_whether_the_pages_hand_out_what_is_published(pipeline: LinkedPipeline) -> None:
    """From the book and the store that the daemon means; whatever it published is taken back."""
    pipeline.publish()
    pipeline.site.clock.now = datetime.now(UTC)
    for _ in "twice":
        assert "fetched through its page" in pipeline.run("check", "--json", code=0).answer
    assert [each.ended is None for each in pipeline.site.book.of_tenant("acme")] == [False]
    assert not list(pipeline.root.rglob("check.txt"))
    written = (pipeline.folder / "tenants" / "acme.yaml").read_text()
    (pipeline.folder / "tenants" / "acme.yaml").write_text(written.replace("links.db", "other.db"))
    assert "does not hand out what is published" in pipeline.run("check", "--json", code=3).answer
