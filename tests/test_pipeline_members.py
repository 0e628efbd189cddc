"""Files of a channel into Nextcloud through the real command: its members open them, and nobody else does."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.rewrite import pointer as pointers
from connector.simulator import Exchange
from connector.simulator.nextcloud import Nextcloud
from tests.servers import DavServer
from tests.teams import ANNA
from tests.test_pipeline_teams import TeamsPipeline

REPORT = b"%PDF-1.7 numbers" * 40
BERT, DORA = "bert@example.org", "dora@example.org"


@dataclass
class MembersPipeline(TeamsPipeline):
    """A tenant with a channel, and a Nextcloud where its members have accounts."""

    server: Nextcloud | None = None

    @property
    def cloud(self) -> Nextcloud:
        """The store."""
        assert self.server
        return self.server

    def configure(self, *_: object, **__: object) -> None:
        """Write the configuration."""
        super().configure()
        account = self.cloud.cloud.add_user("connector")
        for uid in ("anna", "bert", "dora"):
            self.cloud.cloud.add_user(uid)
        self.secret("cloud-password", account.app_password())
        path = self.folder / "tenants" / "acme.yaml"
        store = (
            f"store:\n  type: nextcloud\n  url: {self.cloud.url}\n  user: connector\n"
            f"  password: {{file: {self.folder}/cloud-password}}\npath: '{{tenant}}/{{mailbox}}/{{id}}'\nnotice:"
        )
        told = re.sub(r"store:\n.*?\nnotice:", lambda _: store, path.read_text(), flags=re.DOTALL)
        path.write_text(told.replace("    chats: [anna@example.org]\n", ""))

    def opens(self) -> set[str]:
        """Who gets the file to which the one pointer leads."""
        items = (item for item in self.users.drive.root.below() if not item.is_folder)
        (told,) = (pointers.read(b"".join(item.version.content.chunks())) for item in items)
        assert told
        return {uid for uid in ("anna", "bert", "dora") if self.cloud.opens(uid, told.url) == REPORT}

    def noted(self) -> list[str]:
        """What stands in the status, and stops nothing."""
        status = self.run("status", "--json", code=0).json
        return [each["reason"] for each in status["paused"] if each["error"] == "Unknown"]


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Iterator[MembersPipeline]:
    """A channel with a file."""
    with Nextcloud() as cloud:
        pipeline = MembersPipeline(tmp_path, exchange, wsgidav, server=cloud)
        pipeline.users.upload("report.pdf", REPORT, "General/Reports")
        yield pipeline


def test_members_open_what_a_pointer_leads_to(pipeline: MembersPipeline) -> None:
    """Whoever comes or leaves, a day later; who has no account is named."""
    members = pipeline.users.team.members
    pipeline.run("once", code=0)
    assert pipeline.opens() == {"anna", "bert"}
    assert pipeline.noted() == []
    del members[BERT]
    members[DORA] = ""
    pipeline.exchange.add_mailbox("guest@example.net")
    members["guest@example.net"] = ""
    checked = pipeline.run("check", "--json", code=0).json
    assert any("cannot open its links: guest@example.net" in each["says"] for each in checked)
    told = pipeline.run("once", code=0, hours=25)
    assert pipeline.opens() == {"anna", "dora"}
    assert pipeline.noted()[0].endswith("the store does not know these, who open none of its links: guest@example.net")
    events = [json.loads(line) for line in told.told.splitlines()]
    assert [each["event"] for each in events].count("members.unknown") == 1
    del members["guest@example.net"]
    pipeline.run("once", code=0, hours=50)
    assert pipeline.noted() == []


def test_a_channel_of_which_nobody_is_known(pipeline: MembersPipeline) -> None:
    """It is left alone, and one sentence says what to do."""
    for uid in ("anna", "bert"):
        pipeline.cloud.cloud.users[uid].email = f"{uid}@elsewhere.example"
    told = pipeline.run("once", code=1)
    assert "knows none of the people who share Project: give their accounts" in " ".join(told.answer.split())
    assert ANNA in json.dumps(pipeline.run("check", "--json", code=1).json)
    assert pipeline.shared() == {"report.pdf": (False, REPORT)}
