"""The commands as processes, against a simulated Exchange and a real WebDAV server."""

import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from connector.cli import main
from connector.errors import Unavailable
from connector.ledger import Ledger
from connector.simulator import Exchange
from tests.exchange import outlook
from tests.logged import as_before
from tests.lying_store import Ask, Reply, Request, honest, lying_store
from tests.servers import DavServer, free_port

ANNA = "anna@example.org"
PROBE = "probe@example.org"
EXPLAIN = ("explain", "--reason", "a test")
BIG = bytes(range(256)) * 8
#: An answer of Exchange to UpdateItem, with a code.
EWS_ERROR = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    '<m:UpdateItemResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><m:ResponseMessages>'
    '<m:UpdateItemResponseMessage ResponseClass="Error"><m:MessageText>Save failed.</m:MessageText>'
    "<m:ResponseCode>CODE</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:UpdateItemResponseMessage>"
    "</m:ResponseMessages></m:UpdateItemResponse></s:Body></s:Envelope>"
)
POLICY = """
defaults: {settle: 0}
rules:
  - {name: zip, when: {extension: zip}, action: hold}
  - {name: small, when: {size_under: 1 kB}, action: keep}
  - {name: large, action: redirect}
"""


def message(*names: str, content: bytes = BIG) -> bytes:
    """A message with attachments of these names."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ben@example.org", ANNA, "hush"
    mail["Message-ID"] = f"<{'-'.join(names)}@example.org>"
    mail.set_content("See the attachment.\n")
    for name in names:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


@dataclass
class World:
    """A configuration, with the servers that it names."""

    folder: Path
    exchange: Exchange
    store: DavServer
    #: The collection in the store that is this test's own.
    root: str
    environment: dict[str, str] = field(default_factory=dict)
    log: str = ""

    def configure(self, policy: str = POLICY, exchange: str = "", store: str = "", mailbox: str = ANNA) -> None:
        """Write the configuration; other addresses than those of the servers, where they are given."""
        (self.folder / "tenants").mkdir(exist_ok=True)
        (self.folder / "connector.yaml").write_text(
            f"state: {self.folder}\nmarker_key: {{env: MARKER}}\ninterval: 1\nlog: {{format: json}}\n"
        )
        (self.folder / "tenants" / "acme.yaml").write_text(f"""
tenant: acme
sources:
  - type: ews
    url: {exchange or self.exchange.ews}
    auth: basic
    user: {self.exchange.impersonator["user"]}
    password: {{env: EXCHANGE_PASSWORD}}
    mailboxes: [{mailbox}]
    probe: {PROBE}
    waive_certify: Ada Admin
    since: everything
store:
  type: webdav
  url: {store or self.store.url + self.root}
  user: {self.store.user}
  password: {{env: STORE_PASSWORD}}
notice: {{product: Files, organisation: Example}}
{policy}""")
        self.environment = {
            "MARKER": "k" * 40,
            "STORE_PASSWORD": self.store.password,
            "EXCHANGE_PASSWORD": self.exchange.impersonator["password"],
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "connector.cli", "--config", str(self.folder), *arguments],
            env={"PATH": os.environ["PATH"], **self.environment, **options},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end, which must be this exit code; what it answers. `log` is what it logs."""
        answer, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(answer), redirect_stderr(errors):
            patch.setattr(sys, "argv", ["connector", "--config", str(self.folder), *arguments])
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        self.log = errors.getvalue()
        assert ended.value.code == code, answer.getvalue() + self.log
        assert "Traceback" not in self.log
        return answer.getvalue()

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json; what it answers."""
        return json.loads(self.run(*arguments, "--json", code=code))

    def stored(self) -> list[Path]:
        """The files of tenants in the store."""
        return sorted(path for path in (self.store.folder / self.root).rglob("acme/**/*") if path.is_file())

    def hashes(self) -> list[str]:
        """What they hold."""
        return [sha256(path.read_bytes()).hexdigest() for path in self.stored()]


@pytest.fixture
def world(tmp_path: Path, wsgidav: DavServer) -> Iterator[World]:
    """One mailbox and one store, with a configuration that is right."""
    with as_before(), Exchange() as exchange:
        exchange.add_mailbox(ANNA)
        exchange.add_mailbox(PROBE)
        world = World(tmp_path, exchange, wsgidav, tmp_path.name)
        (wsgidav.folder / world.root).mkdir()
        world.configure()
        world.run("check")
        yield world


def test_once_redirects_what_is_due_and_sums_up(world: World) -> None:
    """A large attachment ends in the store with the same bytes, a small one stays; done again, nothing is to do."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.exchange.deliver(ANNA, message("note.txt", content=b"short"))
    summary = world.json("once")
    (mailbox,) = summary["mailboxes"]
    assert (mailbox["mailbox"], mailbox["redirected"], mailbox["held"], mailbox["next"]) == (ANNA, 1, 0, None)
    assert world.hashes() == [sha256(BIG).hexdigest()]
    assert world.json("once") == summary
    assert "hush" not in world.log


def test_once_says_why_old_messages_stay(world: World) -> None:
    """An operator who sees nothing happen reads about the first contact, and how to change it."""
    assert "`since` in the tenant's sources" in world.run("once")


def test_held_redirects_wait_for_a_human(world: World) -> None:
    """They are listed with their reason, and end with 1; released they go on, dropped they stay as they are."""
    world.exchange.deliver(ANNA, message("a.zip"))
    world.exchange.deliver(ANNA, message("b.zip"))
    world.json("once", code=1)
    first, second = world.json("held", code=1)
    assert "rule zip" in first["reason"]
    assert world.json("release", first["redirect"])[0]["state"] == "planned"
    assert world.json("drop", second["redirect"])[0]["state"] == "dropped"
    (account,) = (json.loads(line) for line in world.log.splitlines() if '"redirect.dropped"' in line)
    assert (account["redirect"], account["reason"]) == (second["redirect"], "dropped by an operator")
    assert world.json("held") == []
    (mailbox,) = world.json("once")["mailboxes"]
    assert (mailbox["redirected"], mailbox["dropped"]) == (1, 1)


def test_restore_puts_everything_back(world: World) -> None:
    """The way out: afterwards an outside observer finds what he found before, and nothing is redirected again."""
    world.exchange.deliver(ANNA, message("plan.pdf", "plan.pdf"))

    def seen() -> list[Any]:
        account = outlook(world.exchange, ANNA)
        return [
            (item.subject, item.body, [(each.name, each.content_type, each.content) for each in item.attachments])
            for item in account.inbox.all()
        ]

    before = seen()
    world.run("once")
    assert seen() != before
    recalled = world.json("restore", "--mailbox", ANNA)
    assert (recalled["messages"], recalled["files"], recalled["bytes"]) == (1, 2, 2 * len(BIG))
    assert world.json("once")["mailboxes"][0]["restored"] == 1
    assert seen() == before
    assert world.json("once")["mailboxes"][0]["redirected"] == 0
    assert seen() == before


@pytest.mark.parametrize(
    "arguments",
    [
        *((), ("--since", "yesterday"), ("--since", "2026-01-01"), ("<nobody@example.net>",), ("absent.eml",)),
        *(("--mailbox", "nobody@example.org"), ("--everything", "--per-hour", "0")),
    ],
)
def test_restore_has_to_be_told_what(world: World, arguments: tuple[str, ...]) -> None:
    """Nobody restores everything by leaving something out, nor takes a wrong name for nothing to do."""
    world.run("restore", *arguments, code=2)


def test_commands_on_the_ledger_need_no_server(world: World) -> None:
    """While everything else is down or broken, a human can look and decide."""
    world.exchange.deliver(ANNA, message("a.zip"))
    world.json("once", code=1)
    (world.folder / "tenants" / "acme.yaml").write_text("broken: [")
    (redirect,) = world.json("held", code=1)
    world.run("status", code=1)
    world.run("drop", redirect["redirect"])
    world.run("status")


def test_a_decision_about_what_is_not_held_is_a_mistake(world: World) -> None:
    """An unknown id, or one that is done, is told in a sentence."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once")
    world.run("release", "nonsense", code=2)
    assert "knows no redirect nonsense" in world.log
    (known,) = world.json(*EXPLAIN, "<plan.pdf@example.org>")["redirects"]
    world.run("drop", known["redirect"], code=2)
    assert "is done, not held" in world.log


def test_explain_tells_the_verdict_and_the_history(world: World, tmp_path: Path) -> None:
    """By Message-ID, by item id, by the id of the redirect, or by the message itself as a file."""
    eml = tmp_path / "mail.eml"
    eml.write_bytes(message("plan.pdf", "note.txt"))
    item = world.exchange.deliver(ANNA, eml.read_bytes())
    for said in ("<plan.pdf-note.txt@example.org>", item, str(eml)):
        found = world.json(*EXPLAIN, said)
        assert [(each["file"], each["action"], each["rule"]) for each in found["verdicts"]] == [
            ("plan.pdf", "redirect", "large"),
            ("note.txt", "redirect", "large"),
        ], said
    assert [(each["rule"], each["matches"], each["decides"]) for each in found["rules"][:3]] == [
        ("zip", "no", False),
        ("small", "no", False),
        ("large", "yes", True),
    ]
    assert [(each["condition"], each["found"], each["holds"]) for each in found["conditions"][:2]] == [
        ("extension zip", "plan.pdf", "no"),
        ("size under 1 kB", found["conditions"][1]["found"], "no"),
    ]
    world.run("once")
    found = world.json(*EXPLAIN, str(eml))
    assert {each["rule"] for each in found["verdicts"]} <= {"guard:ours"}
    (planned,) = (each["detail"] for each in found["history"] if each["event"] == "redirect.planned")
    assert [(each["tenant"], each["policy"]) for each in found["policies"]] == [("acme", planned["policy"])]
    assert [each["guard"] for each in found["guards"] if each["holds"] == "yes"] == ["ours"]
    assert {"signed", "encrypted", "calendar", "first-contact"} <= {each["guard"] for each in found["guards"]}
    assert [each["event"] for each in found["history"]][-1] == "redirect.done"
    assert world.json(*EXPLAIN, found["redirects"][0]["redirect"])["history"] == found["history"]
    world.run(*EXPLAIN, "<absent@example.org>", "--mailbox", ANNA, code=2)
    assert f"nobody knows the message <absent@example.org>: it is not in {ANNA}" in world.log
    world.run(*EXPLAIN, item, "--mailbox", "ben@example.org", code=2)
    (link,) = {each["link"] for each in found["links"] if each["file"] == "plan.pdf"}
    (path,) = {each["path"] for each in found["links"] if each["file"] == "plan.pdf"}
    for said in (link, path, f"/{path}", path.rpartition("/")[0]):
        assert world.json(*EXPLAIN, said)["history"] == found["history"], said
    world.run(*EXPLAIN, path[:-1], "--json", code=2)
    assert "in no mailbox, nor in the ledger" in world.log
    world.run("explain", str(eml), code=2)
    world.run("explain", str(eml), "--reason", " ", code=2)
    assert "say why with --reason" in world.log
    with closing(Ledger(f"sqlite:///{world.folder / 'ledger.db'}")) as ledger:
        looks = [each for each in ledger.events(tenant="acme") if each.name == "message.explained"]
    # Also the two that found nothing: the second looked into no mailbox.
    assert len(looks) == 11
    assert {each.detail["reason"] for each in looks} == {"a test"}
    assert all(each.detail["by"] for each in looks)
    eml.write_text("Subject: none\n\n")
    world.run(*EXPLAIN, str(eml), code=2)
    assert "has no Message-ID" in world.log


def test_check_finds_everything_in_order(world: World) -> None:
    """Ledger, store and mailbox are tried by doing, and nothing is left behind."""
    found = world.json("check")
    assert {each["severity"] for each in found} == {"fine"}
    assert any(ANNA in each["tried"] for each in found)
    assert [path for path in (world.store.folder / world.root).rglob("*") if path.is_file()] == []


def test_check_proves_that_attachments_can_be_put_back(world: World) -> None:
    """In the probe mailbox, which is empty again afterwards; nobody else's mailbox is touched."""
    world.exchange.order(reset=True)
    found = world.json("check")
    (proof,) = (each for each in found if each["tried"] == f"acme: putting attachments back, in {PROBE}")
    assert "byte for byte, on 127.0.0.1 15.1.2507.6" in proof["says"]
    (waived,) = (each for each in found if "clients" in each["tried"])
    assert "Ada Admin answers" in waived["says"]
    assert list(outlook(world.exchange, PROBE).root.glob("**/*").all()) == []
    assert {"CreateItem", "DeleteAttachment", "CreateAttachment", "DeleteItem"} <= set(world.exchange.seen)


def test_a_server_that_does_not_put_back_what_was_there_is_found_out(world: World) -> None:
    """It drops types and content ids: then nothing is taken out of any message, and everybody is told why."""
    world.exchange.order(deviate={"plain-attachments": True})
    found = world.json("check", code=1)
    (proof,) = (each for each in found if each["severity"] == "stopped")
    assert "content_type" in proof["says"]
    world.exchange.deliver(ANNA, message("plan.pdf"))
    told = world.json("once", code=1)
    assert told["mailboxes"][0]["redirected"] == 0
    assert [(each["paused"], each["error"]) for each in told["paused"]] == [(f"acme/{ANNA}", "Unproved")]
    assert "connector check" in told["paused"][0]["reason"]
    assert len(world.stored()) == 1
    world.exchange.order(reset=True)
    world.run("check")
    assert world.json("once")["mailboxes"][0]["redirected"] == 1


def refuses_to_save(request: Request, ask: Ask) -> Reply:
    """Exchange as it answers on a bad day."""
    if b"UpdateItem>" not in request.body:
        return ask(request)
    header, _, rest = EWS_ERROR.partition("CODE")
    return Reply(200, {"Content-Type": "text/xml; charset=utf-8"}, f"{header}ErrorItemSave{rest}".encode())


def test_a_refusal_in_passing_takes_back_no_proof(world: World) -> None:
    """Whoever asks is told; what went well once on this server stands until the contrary is proved."""
    _, _, port, path = re.split("[:/]+", world.exchange.ews, maxsplit=3)
    with lying_store(int(port)) as before_exchange:
        world.configure(exchange=before_exchange.url(f"/{path}"))
        world.run("check")
        before_exchange.lie = refuses_to_save
        (proof,) = (each for each in world.json("check", code=4) if each["severity"] == "refused")
        assert "ErrorItemSave" in proof["says"]
        assert proof["todo"].startswith("try again")
        before_exchange.lie = honest
        world.exchange.deliver(ANNA, message("plan.pdf"))
        assert world.json("once")["mailboxes"][0]["redirected"] == 1


@pytest.mark.parametrize(("said", "meant"), [("statu", "status"), ("verfy", "verify")])
def test_a_command_that_is_not_there_is_told_with_one_that_is(world: World, said: str, meant: str) -> None:
    """Also below a group."""
    world.run(*(("audit", said) if said == "verfy" else (said,)), code=2)
    assert f"Did you mean '{meant}'?" in world.log


def test_check_says_what_is_wrong_and_which_command_is_for_it(world: World) -> None:
    """A line to copy, below the table and in JSON; the mailboxes are tried all the same."""
    world.configure(store="http://127.0.0.1:1/dav/")
    found = {each["tried"]: each for each in world.json("check", code=3)}
    assert found["acme: store"]["fix"] == "curl --verbose --request PROPFIND http://127.0.0.1:1/dav/"
    assert found[f"acme: mailbox {ANNA}"]["severity"] == "fine"
    table = world.run("check", code=3)
    assert "acme: store: check the address, the network and the server; then try again.\n    curl --verbose" in table


def test_check_goes_on_where_the_ledger_is_damaged(world: World) -> None:
    """Whoever asks what is wrong is told all of it."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once")
    with closing(sqlite3.connect(world.folder / "ledger.db")) as ledger:
        ledger.execute("UPDATE events SET name = 'other' WHERE number = 1")
        ledger.commit()
    found = {each["tried"]: each for each in world.json("check", code=1)}
    assert (found["ledger"]["severity"], found["ledger"]["fix"]) == ("stopped", "connector ledger check")
    assert found[f"acme: mailbox {ANNA}"]["severity"] == "fine"


def test_what_a_killed_check_left_in_the_probe_is_removed(world: World) -> None:
    """Its messages are known by their Message-ID. What else lies there stays."""
    left = message("left.bin").replace(
        b"<left.bin@example.org>", b"<connector-check.0123456789abcdef@connector.invalid>"
    )
    world.exchange.deliver(PROBE, left, "Somewhere/Else")
    world.exchange.deliver(PROBE, message("other.bin"))
    world.run("check")
    assert [item.message_id for item in outlook(world.exchange, PROBE).root.glob("**/*").all()] == [
        "<other.bin@example.org>"
    ]


@pytest.mark.parametrize(
    ("entry", "severity", "says"),
    [
        ("", "stopped", "no `probe` is set"),
        ("probe: nobody@example.org", "refused", "has no mailbox nobody@example.org"),
        (f"probe: {PROBE}\n    outside: ben@example.org", "exposed", "THE ACCOUNT OPENS ben@example.org"),
        (f"probe: {PROBE}\n    outside: carl@example.org", "fine", "kept out of carl@example.org, as it must be"),
    ],
)
def test_check_says_what_is_wrong_with_probe_and_scope(world: World, entry: str, severity: str, says: str) -> None:
    """A probe that is missing, or does not exist; an account that opens more than it must."""
    for other in ("ben@example.org", "carl@example.org"):
        world.exchange.add_mailbox(other)
    world.exchange.order(scope=[ANNA, PROBE, "ben@example.org", "nobody@example.org"])
    path = world.folder / "tenants" / "acme.yaml"
    path.write_text(path.read_text().replace(f"probe: {PROBE}", entry or "# none"))
    code = {"stopped": 1, "exposed": 1, "refused": 4, "fine": 0}[severity]
    assert any(each["severity"] == severity and says in each["says"] for each in world.json("check", code=code))


def test_without_a_certificate_or_a_name_nothing_is_linked(world: World) -> None:
    """`check` says so beforehand, and `once` does not do it."""
    path = world.folder / "tenants" / "acme.yaml"
    path.write_text(path.read_text().replace("waive_certify: Ada Admin", "# nobody"))
    assert any("certify" in each["todo"] for each in world.json("check", code=1))
    world.exchange.deliver(ANNA, message("plan.pdf"))
    assert "connector certify" in world.json("once", code=1)["paused"][0]["reason"]
    assert world.json("status", code=1)["mailboxes"][0]["redirected"] == 0


def test_monitoring_asks_nothing_of_the_store(world: World) -> None:
    """What the rules would do is in the log; neither mailbox nor store hears of it."""
    world.configure("mode: monitor\n" + POLICY, store=f"http://127.0.0.1:{free_port()}/")
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.exchange.order(reset=True)
    assert world.json("once")["mailboxes"][0]["under_way"] == 0
    assert '"event": "message.monitored"' in world.log
    assert '"redirect": 1' in world.log
    assert "plan.pdf" not in world.log
    assert not {"UpdateItem", "CreateItem", "CreateAttachment", "DeleteAttachment"} & set(world.exchange.seen)


def test_a_wrong_password_is_refused_and_ends_with_4(world: World) -> None:
    """The sentence names the server; the password itself is nowhere."""
    world.environment["EXCHANGE_PASSWORD"] = "hunter2-wrong"
    (finding,) = (each for each in world.json("check", code=4) if each["severity"] == "refused")
    assert ANNA in finding["tried"]
    world.run("once", code=4)
    assert "hunter2" not in world.log
    assert "source." in world.log


def test_a_wrong_password_of_the_store_is_refused_and_ends_with_4(world: World) -> None:
    """Nothing is read from any mailbox while the store refuses."""
    world.environment["STORE_PASSWORD"] = "hunter2-wrong"
    world.run("check", code=4)
    world.run("once", code=4)
    world.exchange.order(reset=True)
    world.run("once", code=4)
    assert world.exchange.seen == []


def test_an_exchange_that_is_down_ends_with_3(world: World) -> None:
    """Out of reach now; the same command may succeed later."""
    world.configure(exchange=f"http://127.0.0.1:{free_port()}/EWS")
    world.run("check", code=3)
    (paused,) = world.json("once", code=3)["paused"]
    assert paused["paused"] == f"acme/{ANNA}"


def test_a_store_that_is_down_ends_with_3(world: World) -> None:
    """All mailboxes of the tenant wait for it."""
    world.configure(store=f"http://127.0.0.1:{free_port()}/")
    world.run("check", code=3)
    (paused,) = world.json("once", code=3)["paused"]
    assert paused["paused"] == "acme/store"


def test_a_lost_ledger_is_noticed_and_reconciled(world: World) -> None:
    """A ledger that is not the store's own touches nothing until a human has said that it is the one."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once")
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    assert "connector ledger reconcile" in world.run("once", code=1)
    assert "stopped" in {each["severity"] for each in world.json("check", code=1)}
    assert world.json("ledger", "reconcile") == {"taken_over": 1, "refused": 0, "left_out": []}
    world.run("once")
    assert world.hashes() == [sha256(BIG).hexdigest()]


def test_a_mailbox_that_does_not_exist_is_named(world: World) -> None:
    """The others of the tenant would go on; the sentence says which address is wrong."""
    world.configure(mailbox=f"nobody@example.org, {ANNA}")
    world.exchange.deliver(ANNA, message("plan.pdf"))
    found = {each["tried"]: each for each in world.json("check", code=4)}
    assert "nobody@example.org" in found["acme: mailbox nobody@example.org"]["says"]
    assert found[f"acme: mailbox {ANNA}"]["severity"] == "fine"
    summary = world.json("once", code=4)
    assert [each["redirected"] for each in summary["mailboxes"] if each["mailbox"] == ANNA] == [1]


def test_a_mailbox_whose_recoverable_items_are_full_is_told(world: World) -> None:
    """`check` in figures, `once` and `status` with what to do, all with the code of what waits for a human."""
    tenant = world.folder / "tenants" / "acme.yaml"
    tenant.write_text(tenant.read_text().replace("    since:", "    recoverable_items_quota: 1 MB\n    since:"))
    tried = f"acme: Recoverable Items of {ANNA}"
    assert {each["tried"]: each["says"] for each in world.json("check")}[tried] == "0 % of 0.0 GB (0.0 GB)"
    world.exchange.deliver(ANNA, message("old.pdf", content=bytes(800_000)))
    outlook(world.exchange, ANNA).inbox.all()[0].soft_delete()
    world.exchange.deliver(ANNA, message("plan.pdf"))
    (finding,) = (each for each in world.json("check", code=1) if each["severity"] == "stopped")
    assert (finding["tried"], finding["says"][:4]) == (tried, "76 %")
    assert "raise RecoverableItemsQuota" in finding["todo"]
    world.json("once", code=1)
    told = world.json("status", code=1)
    assert [(each["under_way"], each["redirected"]) for each in told["mailboxes"]] == [(1, 0)]
    assert [(each["paused"], each["error"]) for each in told["paused"]] == [(f"acme/{ANNA}", "Full")]
    assert "raise RecoverableItemsQuota" in told["paused"][0]["reason"]
    world.exchange.order(forget_recoverable=ANNA)
    assert "stopped" not in {each["severity"] for each in world.json("check")}


def test_one_mailbox_out_of_reach_keeps_no_other_from_being_swept_or_explained(world: World) -> None:
    """It is named with its reason, and the exit code says that something was left out, and why."""
    world.configure(mailbox=f"nobody@example.org, {ANNA}")
    swept = world.json("sweep", code=4)
    assert [(each["paused"], each["error"]) for each in swept["left_out"]] == [("acme/nobody@example.org", "Denied")]
    assert swept["left_out"][0]["reason"] in world.run("sweep", code=4)
    world.exchange.deliver(ANNA, message("plan.pdf"))
    told = world.json(*EXPLAIN, "<plan.pdf@example.org>", code=4)
    assert [each["mailbox"] for each in told["verdicts"]] == [ANNA]
    assert [each["mailbox"] for each in told["not_looked_at"]] == ["nobody@example.org"]
    (planned,) = world.json("plan", "--whole", "--named", "--reason", "a test", code=4)
    assert [each["mailbox"] for each in planned["not_looked_at"]] == ["nobody@example.org"]
    told = world.json(*EXPLAIN, "<absent@example.org>", code=4)
    assert (told["verdicts"], len(told["not_looked_at"])) == ([], 1)
    assert "No mailbox that was looked into" in world.run(*EXPLAIN, "<absent@example.org>", code=4)
    world.run(*EXPLAIN, "<plan.pdf@example.org>", "--mailbox", ANNA)
    world.run(*EXPLAIN, "<plan.pdf@example.org>", "--mailbox", "ben@example.org", code=2)
    assert "no mailbox ben@example.org is configured" in world.log


def test_what_the_ledger_knows_is_explained_while_its_mailbox_is_out_of_reach(world: World) -> None:
    """The history, and who can open the links, are answered; that the mailbox was not looked into is told."""
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once")
    world.configure(exchange=f"http://127.0.0.1:{free_port()}/EWS")
    told = world.json(*EXPLAIN, "<plan.pdf@example.org>", code=3)
    assert told["history"][-1]["event"] == "redirect.done"
    assert [each["mailbox"] for each in told["not_looked_at"]] == [ANNA]


def test_a_store_out_of_reach_keeps_no_other_tenant_from_being_swept_and_reconciled(world: World) -> None:
    """Each is told with its reason; what it is about goes on when the store answers."""
    down = f"http://127.0.0.1:{free_port()}/"
    acme = world.folder / "tenants" / "acme.yaml"
    other = acme.read_text().replace("tenant: acme", "tenant: aaa").replace(f"[{ANNA}]", "[ben@example.org]")
    other = other.replace(world.store.url + world.root, down).replace(f"probe: {PROBE}", "# no probe")
    (world.folder / "tenants" / "aaa.yaml").write_text(other)
    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once", code=3)
    assert [each["paused"] for each in world.json("sweep", code=3)["left_out"]] == ["aaa/store"]
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    told = world.json("ledger", "reconcile", code=3)
    assert (told["taken_over"], [each["tenant"] for each in told["left_out"]]) == (1, ["aaa"])


def test_links_that_cannot_be_ended_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After what was done for all others; a script reads that the server is out of reach."""

    def refuse(*_: object) -> None:
        raise Unavailable("the store is down")

    world.exchange.deliver(ANNA, message("plan.pdf"))
    world.run("once")
    told = world.run("links", "revoke", "--everything")
    assert told.startswith(
        "The links of 0 messages open nothing any more. Passed over: 1 message (they open for whoever"
    )
    monkeypatch.setattr("connector.stores.webdav.WebdavStore.can_revoke", lambda *_: True)
    monkeypatch.setattr("connector.stores.webdav.WebdavStore.revoke", refuse)
    assert world.json("links", "revoke", "--everything", code=3) == {"revoked": 0, "passed": {}}
    assert "call this again, since links are left as they are, of acme: the store is down" in world.log


def test_pause_holds_what_was_never_served(world: World) -> None:
    """Before the first run; it is told of files that nobody can read, and what can be stopped is."""
    assert world.json("backup-mark", "2026-01-01T00:00:00Z") == {"settled": 0}
    assert world.json("backup-mark", "2026-01-01T00:00:00Z", "acme") == {"settled": 0}
    assert world.run("backup-mark", "2026-01-01T00:00:00Z") == "Nothing waited for this backup.\n"
    world.run("backup-mark", "2026-01-01T00:00:00Z", "nobody", code=2)
    assert "there is no tenant nobody; there are: acme" in world.log
    assert world.json("pause", "acme", "--reason", "not yet") == {"stopped": ["acme"]}
    world.exchange.deliver(ANNA, message("plan.pdf"))
    assert [each["paused"] for each in world.json("once", code=1)["paused"]] == ["acme/stop"]
    assert world.stored() == []
    assert [each["error"] for each in world.json("sweep", code=1)["left_out"]] == ["Stopped"]
    assert world.json("resume") == {"resumed": ["acme"]}
    (world.folder / "tenants" / "beta.yaml").write_text("tenant: [")
    assert world.run("pause", "--reason", "not yet", code=2) == "Stopped: acme.\n"
    assert "beta.yaml:1:10" in world.log
    assert "whoever else these files are of is not stopped" in world.log
    (world.folder / "tenants" / "beta.yaml").unlink()
    world.run("resume")
    world.run("once")
    assert world.hashes() == [sha256(BIG).hexdigest()]


def test_a_file_of_anchors_that_is_not_there_is_told(world: World) -> None:
    """Whoever rewrites the trail removes it first; before one was due, nobody can have written it."""
    anchors = world.folder / "anchors.jsonl"
    world.environment["CONNECTOR_AUDIT__ANCHOR__FILE"] = str(anchors)
    with closing(Ledger(f"sqlite:///{world.folder / 'ledger.db'}")) as ledger:
        ledger.note("acme", "event.1", datetime.now(UTC) - timedelta(hours=24))
        assert f"{anchors} holds no anchor yet" in world.run("audit", "verify")
        ledger.note("beta", "event.1", datetime.now(UTC) - timedelta(hours=26))
    for content in (None, b""):
        if content is not None:
            anchors.write_bytes(content)
        assert "audit anchor` begins" in world.json("audit", "verify", code=1)[0]["what"]
    world.run("audit", "anchor")
    assert "no anchor" not in world.run("audit", "verify")
    anchors.write_bytes(b"\xff\n")
    assert "anchor 1: it is no anchor" in world.json("audit", "verify", code=1)[0]["what"]


def test_what_is_refused_writes_no_file_and_destroys_none(world: World) -> None:
    """Neither an export of a tenant that is not known, nor a plan of a mailbox that is not."""
    out = world.folder / "out"
    refused: tuple[tuple[str, ...], ...] = (
        ("audit", "export", "--tenant", "nobody", "--output", str(out)),
        ("plan", "--mailbox", "nobody@example.org", "--csv", str(out)),
        ("plan", "--mailbox", ANNA, "--mailbox", "nobody@example.org", "--html", str(out)),
        ("plan", "--by", "sender", "--csv", str(out)),
    )
    for command in refused:
        world.run(*command, code=2)
        assert not out.exists(), command
    out.write_text("needed")
    for command in (*refused, ("audit", "export", "--output", str(out))):
        world.run(*command, code=2)
        assert out.read_text() == "needed", command


@pytest.mark.parametrize("command", ["once", "run", "check", "status", "held", "sweep"])
def test_a_configuration_that_cannot_be_used_ends_with_2(world: World, command: str) -> None:
    """Its problems, one a line, and nothing else."""
    (world.folder / "connector.yaml").write_text("marker_key: hunter2\n")
    assert world.run(command, code=2) == ""
    (problem,) = world.log.splitlines()
    assert problem.startswith(f"{world.folder}/connector.yaml:1:13 marker_key: a secret is never written here")


def test_a_secret_that_is_not_to_be_had_ends_with_2(world: World) -> None:
    """The sentence names what is missing."""
    del world.environment["STORE_PASSWORD"]
    world.run("once", code=2)
    assert "environment variable STORE_PASSWORD is not set" in world.log


@pytest.mark.parametrize("arguments", [["bogus"], ["once", "--bogus"], ["release"], []])
def test_a_wrong_command_ends_with_2(world: World, arguments: list[str]) -> None:
    """Usage errors are told by the usual words."""
    world.run(*arguments, code=2)


def test_a_ledger_that_cannot_be_opened_ends_with_3(world: World) -> None:
    """A sentence for the operator, not the database's."""
    (world.folder / "ledger.db").write_bytes(b"no ledger at all, but long enough to be read as one" * 30)
    world.run("status", code=3)
    assert "it is not a ledger" in world.log


def test_a_bug_ends_with_70_and_its_traceback_is_in_the_log_only(world: World) -> None:
    """The user reads one sentence; the text of the exception, which may quote mail, is told nowhere."""
    (world.folder / "sitecustomize.py").write_text(
        "import connector.ledger\ndef bug(*_, **__): raise ValueError('hush')\nconnector.ledger.Ledger.watched = bug\n"
    )
    process = world.start("status", PYTHONPATH=str(world.folder))
    _, told = process.communicate(timeout=60)
    assert process.returncode == 70, told
    line, sentence = told.splitlines()
    assert json.loads(line)["event"] == "bug"
    assert "this is a bug (ValueError)" in sentence
    assert "hush" not in told


def test_help_documents_the_exit_codes(world: World) -> None:
    """A script's author finds them where they look first, and in the README the same."""
    codes = re.compile(r"Exit codes: 0 done; .*; 70 a bug\.")
    told = codes.findall(" ".join(world.run("--help").split()))
    assert told == codes.findall(" ".join((Path(__file__).parent.parent / "README.md").read_text().split()))
    assert len(told) == 1


def test_the_daemon_works_tells_systemd_and_drains(world: World) -> None:
    """READY when it is up, WATCHDOG while it lives, STOPPING at SIGTERM; then it ends by itself with 0.

    When it starts and when it ends, it writes down outside of the ledger where the audit trail ends.
    """
    anchors = world.folder / "anchors.jsonl"
    world.environment["CONNECTOR_AUDIT__ANCHOR__FILE"] = str(anchors)
    world.exchange.deliver(ANNA, message("plan.pdf"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(world.folder / "notify"))
        systemd.settimeout(60)
        process = world.start("run", NOTIFY_SOCKET=str(world.folder / "notify"), WATCHDOG_USEC="400000")
        try:
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            wait_for(lambda: world.stored() != [])
            wait_for(lambda: world.json("status")["mailboxes"][0]["redirected"] == 1)
            process.send_signal(signal.SIGTERM)
            assert b"STOPPING=1" in iter(lambda: systemd.recv(100), b"")
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, told
    events = [json.loads(line)["event"] for line in told.splitlines()]
    assert (events[0], events[-1]) == ("service.started", "service.stopped")
    assert [json.loads(line)["tenant"] for line in anchors.read_text().splitlines()] == ["acme", "acme"]
    assert {each["verdict"] for each in world.json("audit", "verify")} == {"verified"}


#: Put before the daemon: its scheduler stands still as soon as there is such a file.
_HANGING = """
import pathlib, threading
from apscheduler.schedulers.base import BaseScheduler
work = BaseScheduler._process_jobs
def hang(self):
    return threading.Event().wait() if pathlib.Path({file!r}).exists() else work(self)
BaseScheduler._process_jobs = hang
"""


def test_the_watchdog_heeds_a_scheduler_that_hangs_and_no_store(world: World) -> None:
    """A store that never answers is its tenant's trouble; where nothing is planned any more, systemd starts it anew."""
    hang = world.folder / "hang"
    (world.folder / "sitecustomize.py").write_text(_HANGING.format(file=str(hang)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, socket.create_server(("127.0.0.1", 0)) as silent:
        systemd.bind(str(world.folder / "notify"))
        systemd.settimeout(60)
        silent.settimeout(60)
        world.configure(store=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        told = {"NOTIFY_SOCKET": str(world.folder / "notify"), "PYTHONPATH": str(world.folder)}
        process = world.start("run", WATCHDOG_USEC="200000", **told)
        try:
            asked, _ = silent.accept()
            assert asked.recv(4)
            # More than its share of a second: whoever waits for the store does not keep the others from theirs.
            assert [systemd.recv(100) for _ in range(20)][-15:] == [b"WATCHDOG=1"] * 15
            hang.touch()
            systemd.settimeout(3)
            with pytest.raises(TimeoutError):
                deque(iter(lambda: systemd.recv(100), b""), maxlen=0)
            assert process.poll() is None
        finally:
            process.kill()
            process.communicate()


def test_simulate_prints_one_line_and_ends_with_sigterm(world: World, tmp_path: Path) -> None:
    """A script reads where Exchange is, and who may log in."""
    mail = tmp_path / "mail" / ANNA
    mail.mkdir(parents=True)
    (mail / "1.eml").write_bytes(message("plan.pdf"))
    process = world.start("simulate", "--mail", str(mail.parent))
    assert process.stdout
    told = json.loads(process.stdout.readline())
    assert set(told) == {"ews", "accounts", "impersonator", "graph", "token", "tenant", "client", "control"}
    assert told["accounts"][0]["mailbox"] == ANNA
    process.terminate()
    assert process.wait(30) == 0


def test_simulate_without_mailboxes_is_a_mistake(world: World, tmp_path: Path) -> None:
    """A folder that does not exist, or holds no mailbox, is told in a sentence."""
    world.run("simulate", "--mail", str(tmp_path / "absent"), code=2)
    assert "holds no mailbox" in world.log


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


# --- backfill -----------------------------------------------------------------------------------------------------


def test_backfill(world: World) -> None:
    """What was there before first contact stays, until somebody wants it too; `once` does it then."""
    tenant = world.folder / "tenants" / "acme.yaml"
    tenant.write_text(tenant.read_text().replace("    since: everything\n", ""))
    world.exchange.deliver(ANNA, message("old.bin"))
    world.run("once")
    assert (world.json("backfill", "--status"), world.stored()) == ([], [])
    world.run("backfill", "--mailbox", "nobody@example.org", code=2)
    world.run("backfill", "--hours", "20-25", code=2)
    for beside in (("--pause", "--resume"), ("--status", "--per-hour", "5"), ("--resume", "--since", "2020-01-31")):
        world.run("backfill", *beside, code=2)
        assert f"give only one of {beside[0]} and {beside[1]}" in world.log
    (wanted,) = world.json("backfill", "--mailbox", ANNA, "--biggest", "--since", "2020-01-31", "--per-hour", "100")
    assert (wanted["source"], wanted["state"], wanted["done"]) == (ANNA, "being listed", 0)
    (paused,) = world.json("backfill", "--pause")
    world.run("once")
    assert (paused["state"], world.stored()) == ("paused", [])
    world.run("backfill", "--resume")
    world.run("once")
    (done,) = world.json("backfill", "--status")
    assert (done["state"], done["done"], done["left"]) == ("done", 1, 0)
    assert world.hashes() == [sha256(BIG).hexdigest()]
    assert "under" not in world.run("backfill", "--status")
    assert [each["source"] for each in world.json("backfill", "--status", "--mailbox", ANNA.upper())] == [ANNA]
    world.run("backfill", "--status", "--mailbox", "nobody@example.org", code=2)
