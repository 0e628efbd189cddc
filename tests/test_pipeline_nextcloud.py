"""Mail into Nextcloud through the real command: who may open a link, who may not, and the plug pulled on it."""

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from connector.simulator import Exchange
from connector.simulator.nextcloud import Nextcloud
from tests import command
from tests.lying_store import login_page, lying_store
from tests.pipeline import ANNA, PROBE, SETTINGS, Pipeline, letter
from tests.servers import DavServer

ANYBODY, OK = httpx.Client(trust_env=False, verify=False), 200
REPORT = b"%PDF-1.7 numbers" * 400
_TENANT = """\
tenant: acme
sources:
  - type: ews
    url: {ews}
    auth: basic
    user: {user}
    password: {{file: {folder}/ews-password}}
    mailboxes: {mailboxes}
    probe: {probe}
    waive_certify: Ada Admin
    since: everything
store:
  type: nextcloud
  url: {cloud}
  user: connector
  {login}
  readers: {folder}/readers.csv
path: "{path}"
notice: {{product: Example Files, organisation: Example Ltd}}
defaults: {{settle: 0}}
rules: [{{name: all, action: redirect, link: {link}, tags: {tags}}}]
"""
#: The n-th run is killed at its n-th request to the store.
KILLS = 20


@dataclass
class CloudPipeline(Pipeline):
    """A tenant with a mailbox, and a Nextcloud where Anna and Bert have accounts."""

    cloud: Nextcloud | None = None
    mailboxes: tuple[str, ...] = (ANNA,)
    path: str = "{tenant}/{mailbox}/{year}/{id}"
    link: str = "{audience: store}"
    tags: tuple[str, ...] = ()
    #: The name of the secret with which an app acts as everybody; "" where a service account has a password.
    app: str = ""
    #: Where the configuration says that the store is; "" where it is there.
    at: str = ""

    def configure(self, *_: object, **__: object) -> None:
        """Write the configuration."""
        told = {
            "ews": self.exchange.ews,
            "user": self.exchange.impersonator["user"],
            "folder": self.folder,
            "mailboxes": self.mailboxes,
            "probe": PROBE,
            "cloud": self.at or self.server.url,
        }
        quoted = {name: json.dumps(value, default=str).strip('"') for name, value in told.items()}
        (self.folder / "connector.yaml").write_text(SETTINGS.format(folder=self.folder))
        secret = f"{{file: {self.folder}/{self.app or 'cloud-password'}}}"
        login = f"appapi: {{secret: {secret}}}" if self.app else f"password: {secret}"
        rule = {"path": self.path, "link": self.link, "tags": [*self.tags]}
        tenant = _TENANT.format_map(quoted | rule | {"login": login})
        (self.folder / "tenants" / "acme.yaml").write_text(tenant)
        if not self.server.cloud.users:
            account = self.server.cloud.add_user("connector")
            self.secret("cloud-password", account.app_password())
            for uid in ("anna", "bert"):
                self.server.cloud.add_user(uid)
            self.readers(f"{ANNA},user:anna")

    @property
    def server(self) -> Nextcloud:
        """The store."""
        assert self.cloud
        return self.cloud

    def readers(self, *lines: str) -> None:
        """Whom mailboxes belong to."""
        (self.folder / "readers.csv").write_text("\n".join(("mailbox,reader", *lines)))

    def links(self, item: str) -> list[str]:
        """Those that a message shows."""
        return sorted(set(re.findall(rf"{self.server.url}/index.php/f/\d+", self.see(item).body)))

    def public(self, item: str) -> list[str]:
        """The links for anyone that a message shows."""
        return sorted(set(re.findall(rf"{self.server.url}/public\.php/dav/files/[\w/.%-]+", self.see(item).body)))

    def reached(self, item: str, uid: str = "anna") -> set[bytes]:
        """What an account gets in the end: from the message, and from the links in it."""
        opened = {self.server.opens(uid, url) for url in self.links(item)}
        opened |= {answer.content for url in self.public(item) if (answer := ANYBODY.get(url)).status_code == OK}
        return {*self.see(item).contents, *(each for each in opened if each is not None)}


@pytest.fixture
def pipeline(tmp_path: Path, exchange: Exchange, wsgidav: DavServer) -> Iterator[CloudPipeline]:
    """A configuration that is right."""
    with Nextcloud() as cloud:
        yield CloudPipeline(tmp_path, exchange, wsgidav, cloud=cloud)


def test_a_link_opens_for_the_owner_and_nobody_else(pipeline: CloudPipeline) -> None:
    """And undo brings the file back."""
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    (link,) = pipeline.links(item)
    assert pipeline.see(item).files == ()
    assert pipeline.server.opens("anna", link) == REPORT
    assert pipeline.server.opens("bert", link) is None
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item).contents == before.contents
    assert pipeline.see(item).body == before.body


def test_when_retention_ends_nothing_is_left_in_the_trash(pipeline: CloudPipeline) -> None:
    """Nor as a version; the message says that its file is deleted, and its link leads nowhere."""
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    tenant = pipeline.folder / "tenants" / "acme.yaml"
    tenant.write_text(tenant.read_text().replace("settle: 0", "settle: 0, retain: {file: 90d}"))
    pipeline.run("once", code=0)
    (link,), redirect = pipeline.links(item), _only(pipeline)
    node = pipeline.server.opens("anna", link)
    later = 90 * 24 + 1
    assert pipeline.run("sweep", "--json", code=0, hours=later).json == {"swept": 1, "left_out": []}
    for minutes in (0, 2):
        pipeline.run("once", code=0, hours=later + minutes / 60)
    assert (node, pipeline.server.opens("anna", link)) == (REPORT, None)
    assert pipeline.links(item) == []
    assert "deleted" in pipeline.see(item).body
    left = [str(each.location) for each in pipeline.server.cloud.trash["connector"]]
    assert [each for each in left if redirect in each] == []


def test_a_quota_that_is_nearly_used_up_is_told_before_it_is(pipeline: CloudPipeline) -> None:
    """By the server's own word, with the command that raises it."""
    pipeline.server.cloud.users["connector"].quota = 500 * 1024**2
    assert "occ user:setting connector files quota SIZE" in pipeline.run("check", code=1).answer
    pipeline.server.cloud.users["connector"].quota = 5 * 1024**3
    pipeline.run("check", code=0)


def test_a_wrong_password_is_said_once(pipeline: CloudPipeline) -> None:
    """However many mailboxes there are: after eleven wrong ones the server would refuse everybody at our address."""
    other = "bert@example.org"
    pipeline.exchange.add_mailbox(other)
    pipeline.mailboxes = (ANNA, other)
    pipeline.configure()
    pipeline.secret("cloud-password", "wrong")
    told = pipeline.run("check", code=4).answer
    assert "does not accept the user name and password" in " ".join(told.split())
    assert "people of" not in told
    assert pipeline.server.cloud.failed("127.0.0.1") == 1


def test_a_mailbox_of_nobody(pipeline: CloudPipeline) -> None:
    """It is left alone, `once` says what to do, and all goes on when it was done."""
    pipeline.readers()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    assert f"people of {ANNA}" in pipeline.run("check", code=1).answer
    told = pipeline.run("once", code=1)
    assert "readers.csv" in told.answer
    assert ANNA in told.answer
    assert pipeline.see(item).contents == (REPORT,)
    assert pipeline.links(item) == []
    pipeline.readers(f"{ANNA},user:bert")
    pipeline.run("once", code=0)
    assert pipeline.see(item).contents == ()
    assert pipeline.reached(item, "bert") == {REPORT}
    assert pipeline.reached(item) == set()


def test_to_plan_asks_whom_mailboxes_belong_to_and_writes_nothing(pipeline: CloudPipeline) -> None:
    """A share for Anna's mailbox is wanted, nobody knows whose the other one is, and once it is open none is wanted."""
    nobodys = "nobody@example.org"
    pipeline.exchange.add_mailbox(nobodys)
    pipeline.mailboxes = (ANNA, nobodys)
    pipeline.configure()
    for mailbox in pipeline.mailboxes:
        pipeline.deliver(letter({"report.pdf": REPORT}), mailbox)
    ask = ("plan", "--whole", "--named", "--reason", "a test", "--json")
    before = len(pipeline.server.cloud.seen)
    (told,) = pipeline.run(*ask, code=0).json
    assert {method for method, _, _ in pipeline.server.cloud.seen[before:]} <= {"GET", "PROPFIND"}
    assert (told["shares"]["needed"], told["shares"]["budget"]) == (1, 20)
    assert [each["mailbox"] for each in told["shares"]["which"]] == [nobodys]
    assert {row["group"]: row["at_once_files"] for row in told["mailbox"]} == {ANNA: 1, nobodys: 0}
    pipeline.run("once", code=1)
    (told,) = pipeline.run(*ask, code=0).json
    assert told["shares"]["needed"] == 0
    assert sum(row["at_once_files"] for row in told["mailbox"]) == 0


def test_names_that_are_one_to_the_store(pipeline: CloudPipeline) -> None:
    """Two mailboxes in one folder would read each other's files: both are left alone, and named."""
    twin = "an*na@example.org"
    pipeline.exchange.add_mailbox(twin)
    pipeline.exchange.add_mailbox("an_na@example.org")
    pipeline.mailboxes = (ANNA, twin, "an_na@example.org")
    pipeline.configure()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    told = pipeline.run("once", code=1)
    assert f"the files of {twin} would lie in one folder with those of an_na@example.org" in told.answer
    assert pipeline.reached(item) == {REPORT}
    assert pipeline.see(item).contents == ()


def test_a_path_that_mixes_mailboxes(pipeline: CloudPipeline) -> None:
    """One sentence names the field."""
    pipeline.path = "{tenant}/{year}/{mailbox}/{id}"
    pipeline.configure()
    told = pipeline.run("check", code=2)
    assert "put {mailbox} before all words but {tenant}" in told.told


def test_a_link_for_anyone(pipeline: CloudPipeline) -> None:
    """It opens without a login, ends when it is told to, and opens nothing when the files are back."""
    pipeline.link = "{audience: anyone, expires: 30d}"
    pipeline.configure()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    (link,) = pipeline.public(item)
    assert pipeline.see(item).files == ()
    assert pipeline.reached(item) == {REPORT}
    pipeline.run("restore", "--everything", "--revoke", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item).contents == before.contents
    assert ANYBODY.get(link).status_code != OK


def test_tags_of_a_rule(pipeline: CloudPipeline) -> None:
    """One that nobody has made is told beforehand, and the attachment stays; then the file bears it."""
    pipeline.tags = ("no-ai",)
    pipeline.configure()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    assert "has no tag no-ai: make it" in " ".join(pipeline.run("check", code=4).answer.split())
    assert [each.name for each in pipeline.server.cloud.homes["connector"].below() if not each.folder] == []
    pipeline.run("once", code=1)
    (held,) = pipeline.run("held", "--json", code=1).json
    assert "has no tag no-ai: make it" in held["reason"]
    assert pipeline.see(item).contents == (REPORT,)
    tag = pipeline.server.cloud.add_tag("no-ai")
    pipeline.run("release", held["redirect"], code=0)
    pipeline.run("once", code=0)
    assert pipeline.see(item).files == ()
    bearing = [each for each in pipeline.server.cloud.homes["connector"].below() if tag.id in each.tags]
    assert [each.content for each in bearing] == [REPORT]


def test_a_link_with_a_password(pipeline: CloudPipeline) -> None:
    """Its owner gets it by a message of its own, before the original leaves; the service desk can tell it too."""
    pipeline.link = "{audience: anyone, expires: 30d, password: true}"
    pipeline.configure()
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    assert pipeline.see(item).files == ()
    (told,) = pipeline.run("links", "password", _only(pipeline), "--json", code=0).json
    password, token = told["password"], told["link"].rpartition("/")[2]
    pipeline.hushed.append(password)
    assert told["link"] in pipeline.see(item).body
    assert password not in pipeline.see(item).body
    letters = [text for each in pipeline.owner().find("inbox") if password in (text := pipeline.see(each).body)]
    assert len(letters) == 1
    url = f"{pipeline.server.url}/public.php/dav/files/{token}/report.pdf"
    answers = [ANYBODY.get(url, auth=auth) for auth in (None, httpx.BasicAuth("anonymous", password))]
    assert ([each.status_code for each in answers], answers[1].content) == ([401, 200], REPORT)
    pipeline.run("links", "relink", _only(pipeline), code=0)
    pipeline.run("once", code=0)
    (other,) = pipeline.run("links", "password", _only(pipeline), "--json", code=0).json
    pipeline.hushed.append(other["password"])
    assert (other["password"] != password, other["link"] != told["link"]) == (True, True)
    assert other["link"] in pipeline.see(item).body
    assert ANYBODY.get(url, auth=httpx.BasicAuth("anonymous", password)).status_code != OK


def _only(pipeline: CloudPipeline) -> str:
    (listed,) = pipeline.run("links", "list", "--mailbox", ANNA, "--json", code=0).json
    return str(listed["redirect"])


def _act_as_owners(pipeline: CloudPipeline) -> None:
    pipeline.server.cloud.apps["connector"] = "secret-of-the-app"
    pipeline.secret("app-secret", "secret-of-the-app")
    pipeline.app = "app-secret"
    pipeline.configure()


def test_files_that_lie_with_their_owner(pipeline: CloudPipeline) -> None:
    """An app acts as her: they are hers, the link opens for her alone, and undo brings back what she has taken away.

    Also what she has edited since, as it was: Nextcloud still has it.
    """
    _act_as_owners(pipeline)
    assert "acts as every account of the server" in pipeline.run("check", code=0).answer
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    before = pipeline.see(item)
    pipeline.run("once", code=0)
    (link,) = pipeline.links(item)
    assert pipeline.see(item).files == ()
    assert [pipeline.server.opens(uid, link) for uid in ("anna", "bert", "connector")] == [REPORT, None, None]
    assert pipeline.server.cloud.shares == {}
    home = pipeline.server.cloud.homes["anna"]
    (node,) = (each for each in home.below() if each.content == REPORT)
    pipeline.server.cloud.trees.move(node, home, "my report.pdf")
    node.wrote(b"what she made of it", pipeline.server.cloud.now() + 60)
    pipeline.run("restore", "--everything", code=0)
    pipeline.run("once", code=0, hours=1)
    assert pipeline.see(item).contents == before.contents


def test_whatever_is_wrong_is_said_and_the_attachment_stays(pipeline: CloudPipeline) -> None:
    """One sentence says what to change, and where."""
    pipeline.link = "{audience: anyone, expires: 30d}"
    pipeline.configure()
    settings, account = pipeline.server.cloud.settings, pipeline.server.cloud.users["connector"]
    with lying_store(lie=login_page()) as proxy:
        wrong = (
            (settings, "links_enabled", False, "allow them in the administration settings of Nextcloud"),
            (settings, "link_password_enforced", True, "give the rule's `link` a `password`, or do not enforce"),
            (account, "quota", 10, "quota of the account that owns the folder is used up; raise it"),
            (settings, "maintenance", True, "it is in maintenance mode"),
            (account, "enabled", False, "the account is disabled; enable it, or name another one"),
            (pipeline, "at", f"http://127.0.0.1:{proxy.port}", "that is a login page"),
        )
        for number, (where, name, value, says) in enumerate(wrong):
            item = pipeline.deliver(letter({"report.pdf": REPORT + b"%d" % number}))
            good = getattr(where, name)
            setattr(where, name, value)
            pipeline.configure()
            told = pipeline.run("once", code=None, hours=number)
            assert told.code, says
            assert says in told.answer + told.told
            setattr(where, name, good)
            assert pipeline.see(item).contents == (REPORT + b"%d" % number,)
            assert pipeline.public(item) == []


@pytest.mark.parametrize(("anyone", "kills"), [(False, range(1, KILLS)), (True, range(9, 27, 2))])
def test_survives_kills_at_the_store(pipeline: CloudPipeline, kills: range, *, anyone: bool) -> None:
    """Killed at any request, before it took effect or after: nobody misses a file, and nothing is left half done."""
    pipeline.link = "{audience: anyone, expires: 30d}" if anyone else pipeline.link
    pipeline.configure()
    pipeline.server.cloud.settings.rate_limits = False
    cloud, items, died = pipeline.server.cloud, {}, 0
    for number in kills:
        content = REPORT + b"%d" % number
        items[pipeline.deliver(letter({"report.pdf": content}))] = content
        process = command.start(pipeline.folder, "once", later=timedelta(hours=number))
        pid = process.pid
        assert pid
        pipeline.server.struck = lambda pid=pid: os.kill(pid, signal.SIGKILL)  # type: ignore[misc]
        pipeline.server.drops.append((number, ("before", "after")[number // kills.step % 2]))
        process.join()
        pipeline.server.drops.clear()
        died += process.exitcode == -signal.SIGKILL
        assert [pipeline.reached(item) for item in items] == [{each} for each in items.values()], number
    pipeline.run("once", code=0, hours=kills.stop)
    assert [pipeline.reached(item) for item in items] == [{each} for each in items.values()]
    assert not any(pipeline.see(item).contents for item in items)
    assert died >= len(kills) - 3
    assert [each.who for each in cloud.shares.values() if each.who] == ["anna"]
    public = [each.node for each in cloud.shares.values() if not each.who]
    assert len(public) == len(set(map(id, public))) == len(items) * anyone
    assert {tuple(each.children) for each in public} <= {("report.pdf",)}
    assert cloud.uploads == {}


@pytest.mark.parametrize("app", [False, True])
def test_whoever_leaves_has_a_successor(pipeline: CloudPipeline, *, app: bool) -> None:
    """The files open for the successor, at the same addresses, and for nobody who left; new ones too.

    Where files lie with their owners, they go to hers.
    """
    if app:
        _act_as_owners(pipeline)
    item = pipeline.deliver(letter({"report.pdf": REPORT}))
    pipeline.run("once", code=0)
    links = pipeline.links(item)
    pipeline.exchange.add_mailbox("bert@example.org")
    assert "knows nobody" in pipeline.run("leaver", ANNA, "--successor", "bert@example.org", code=2).told
    assert pipeline.reached(item) == {REPORT}
    pipeline.readers(f"{ANNA},user:anna", "bert@example.org,user:bert")
    for _ in "twice":
        pipeline.run("leaver", ANNA, "--successor", "bert@example.org", code=0)
    assert pipeline.links(item) == links
    assert (pipeline.reached(item), pipeline.reached(item, "bert")) == (set(), {REPORT})
    later = pipeline.deliver(letter({"report.pdf": REPORT + b"2"}))
    pipeline.run("once", code=0, hours=48)
    assert (pipeline.reached(later), pipeline.reached(later, "bert")) == (set(), {REPORT + b"2"})
    if app:
        owners = {each.owner for home in pipeline.server.cloud.homes.values() for each in home.below() if each.content}
        assert owners == {"bert", "connector"}
    assert (
        "the ledger knows no mailbox x@example.org"
        in pipeline.run("leaver", "x@example.org", "--successor", ANNA, code=2).told
    )
