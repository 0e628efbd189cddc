"""Files of Teams through the real command: copied, or in the place of a pointer, and back; and the plug pulled on it.

What is looked at is what people have: the files of the channel, what pointers lead to, and the files of the store.
"""

import json
import random
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from connector.config.loading import load
from connector.daemon.service import Daemon
from connector.ledger import Ledger
from connector.rewrite import pointer as pointers
from connector.simulator import Exchange
from tests import command
from tests.pipeline import SETTINGS, Ended, Pipeline
from tests.servers import DavServer
from tests.teams import ANNA, Users

#: The larger one is not kept on its way: it comes from Teams while the store takes it.
REPORT, PLAN = b"%PDF-1.7 numbers" * 4000, b"PK\x03\x04" + bytes(range(256)) * 36_000
KILLS = 24
#: More requests than any run makes here.
_MOST = 60
_TENANT = """\
tenant: acme
sources:
  - type: teams
    app:
      graph: {graph}
      login: {graph}
      directory: {directory}
      client: {client}
      secret: {{file: {folder}/graph-secret}}
    teams: [Project]
    chats: [anna@example.org]
    redirect: {redirect}
    quiet: 0
    probe: Project/Trials
    since: everything
store:
  type: webdav
  url: {store}
  link_url: {store}
  user: {user}
  password: {{file: {folder}/store-password}}
notice: {{product: Example Files, organisation: Example Ltd}}
defaults: {{settle: 0}}
rules: [{{name: all, action: redirect}}]
"""


class TeamsPipeline(Pipeline):
    """A tenant with a channel, a chat and a store."""

    redirect = True
    users: Users

    def configure(self, *_: object, **__: object) -> None:
        """Write the configuration."""
        if not hasattr(self, "users"):
            self.users = Users(self.exchange)
            self.exchange.workspace.add_channel(self.users.team, "Trials", "private")
            self.secret("graph-secret", self.exchange.client["secret"])
        told = {
            "graph": self.exchange.graph.removesuffix("/v1.0"),
            "directory": self.exchange.tenant,
            "client": self.exchange.client["id"],
            "folder": self.folder,
            "store": self.url,
            "user": self.store.user,
        }
        quoted = {name: json.dumps(value, default=str).strip('"') for name, value in told.items()}
        (self.folder / "connector.yaml").write_text(SETTINGS.format(folder=self.folder))
        tenant = _TENANT.format_map(quoted | {"redirect": json.dumps(self.redirect)})
        (self.folder / "tenants" / "acme.yaml").write_text(tenant)

    def run(self, *arguments: str, code: int | None, hours: float = 0, ahead: float = 0) -> Ended:
        """Run a command to its end; an address that opens a file by itself is a secret, too."""
        ended = super().run(*arguments, code=code, hours=hours, ahead=ahead)
        ledger = b"".join(path.read_bytes() for path in self.folder.glob("ledger.db*"))
        manifests = b"".join(path.read_bytes() for path in self.root.rglob("*.json"))
        for secret in ("/preauthenticated", "tempauth", "Bearer "):
            assert secret.encode() not in ended.told.encode() + ledger + manifests
        return ended

    def shared(self) -> dict[str, tuple[bool, bytes]]:
        """What people find in the channel and the chat: whether it is a pointer, and what they get in the end."""
        found = {}
        for drive in (self.users.drive, self.exchange.workspace.onedrive(ANNA)):
            with drive.lock:  # Requests of somebody who was killed may still be at work.
                files = {each.name: each.version.content for each in drive.root.below() if not each.is_folder}
            for name, each in files.items():
                content = b"".join(each.chunks())
                told = pointers.read(content)
                found[name] = told is not None, self.download(told.url) if told else content
        return found


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> TeamsPipeline:
    """A channel and a chat, each with a file, and a configuration that is right."""
    pipeline = TeamsPipeline(tmp_path, exchange, wsgidav)
    pipeline.users.upload("report.pdf", REPORT, "General/Reports")
    exchange.workspace.send(ANNA, "plan.docx", PLAN, "bert@example.org")
    return pipeline


def test_pointers_and_back(pipeline: TeamsPipeline) -> None:
    """Files give way to pointers that lead to their bytes; undo brings them back; nothing is done twice."""
    pipeline.run("once", code=0)
    assert pipeline.shared() == {"report.pdf.url": (True, REPORT), "plan.docx.url": (True, PLAN)}
    assert sorted(pipeline.users.recycled()) == [REPORT]
    assert len(pipeline.stored()) == 2
    pipeline.run("once", code=0)
    assert len(pipeline.stored()) == 2
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.shared() == {"report.pdf": (False, REPORT), "plan.docx": (False, PLAN)}
    pipeline.run("once", code=0, hours=2)
    assert pipeline.shared() == {"report.pdf": (False, REPORT), "plan.docx": (False, PLAN)}


def test_copies(pipeline: TeamsPipeline) -> None:
    """By default the files stay, and each version of one is copied."""
    pipeline.redirect = False
    pipeline.configure()
    pipeline.run("check", code=0)
    pipeline.run("once", code=0)
    pipeline.users.upload("report.pdf", b"%PDF-1.7 later", "General/Reports")
    pipeline.run("once", code=0)
    assert pipeline.shared() == {"report.pdf": (False, b"%PDF-1.7 later"), "plan.docx": (False, PLAN)}
    assert sorted(path.read_bytes() for path in pipeline.stored()) == sorted([REPORT, PLAN, b"%PDF-1.7 later"])


def test_expired_secret(pipeline: TeamsPipeline) -> None:
    """A sentence says what to do, and nothing else happens."""
    pipeline.secret("graph-secret", "wrong")
    told = pipeline.run("check", code=None)
    assert told.code
    assert "refuses the secret" in told.answer
    assert pipeline.shared() == {"report.pdf": (False, REPORT), "plan.docx": (False, PLAN)}


def test_a_third_of_all_requests_turned_away(pipeline: TeamsPipeline) -> None:
    """Nothing is lost, nothing is there twice, and none comes before its time."""
    wanted = {f"{number}.pdf": b"%%PDF-1.7 %d" % number for number in range(6)}
    for name, content in wanted.items():
        pipeline.users.upload(name, content)
    with closing(Ledger(f"sqlite:///{pipeline.folder}/ledger.db")) as ledger:
        daemon = Daemon(load(pipeline.folder), ledger, "one")
        for seed in range(12):
            pipeline.exchange.order(throttle={"share": 1 / 3, "back_off": 200, "status": 429, "seed": seed})
            daemon.once()
            assert {content for _, content in pipeline.shared().values()} == {*wanted.values(), REPORT, PLAN}
            time.sleep(0.3)
    # Before the clock of those that follow is put on: for them it is time sooner.
    assert pipeline.exchange.early == []
    pipeline.exchange.order(throttle={"share": 0.0})
    for hours in range(1, 6):
        pipeline.run("once", code=None, hours=hours)
    pointers = {f"{name}.url": (True, content) for name, content in wanted.items()}
    assert pipeline.shared() == {"report.pdf.url": (True, REPORT), "plan.docx.url": (True, PLAN), **pointers}
    assert len(pipeline.stored()) == len(pointers) + 2


@pytest.mark.long
def test_survives_kills_on_the_wire(pipeline: TeamsPipeline) -> None:
    """Killed at any request to Graph, before it took effect or after: nobody misses a file, and all ends well."""
    dice = random.Random(1)
    wanted = {PLAN, REPORT}
    died = 0
    for number in range(KILLS):
        if number % 4 == 0:
            content = bytes([number]) * 3000
            wanted.add(content)
            pipeline.users.upload(f"file {number}.bin", content)
        when = dice.choice(("before", "after"))
        process = command.start(pipeline.folder, "once", later=timedelta(hours=number))
        pipeline.exchange.order(kill={"pid": process.pid, "request": dice.randint(2, _MOST), "when": when})
        process.join()
        died += process.exitcode == -9
        assert {content for _, content in pipeline.shared().values()} == wanted, number
        pipeline.exchange.order(reset=True)
    pipeline.run("once", code=0, hours=KILLS)
    seen = pipeline.shared()
    assert {content for _, content in seen.values()} == wanted
    assert all(is_pointer for is_pointer, _ in seen.values())
    assert len(seen) == len(wanted) == len({path for path in pipeline.stored() if path.suffix != ".tmp"})
    assert died > KILLS / 3
