"""A whole configuration: joined, checked at once, every problem with its place."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from connector.config.loading import TenantConfig, load, load_usable, reload, schemas
from connector.config.settings import Settings, load_settings
from connector.config.yamlfile import ConfigError, read

EXAMPLES = Path(__file__).parent.parent / "config"

PROCESS = "marker_key: {env: MARKER}\n"
TENANT = """
tenant: acme
sources:
  - type: ews
    url: https://mail.example.org/EWS/Exchange.asmx
    user: connector@example.org
    password: {env: EXCHANGE_PASSWORD}
    mailboxes: [anna@example.org]
store:
  type: webdav
  url: https://files.example.org/dav/
notice: {product: Files, organisation: Example}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration: connector.yaml, and each tenant by the name of its file."""

    def write(process: str = PROCESS, **tenants: str) -> Path:
        (tmp_path / "tenants").mkdir(exist_ok=True)
        (tmp_path / "connector.yaml").write_text(process)
        for name, content in (tenants or {"acme": TENANT}).items():
            (tmp_path / "tenants" / f"{name}.yaml").write_text(content)
        return tmp_path

    return write


def problems(folder: Path) -> list[str]:
    """What is wrong with the configuration, without its folder."""
    with pytest.raises(ConfigError) as raised:
        load(folder)
    return [problem.replace(f"{folder}/", "") for problem in raised.value.problems]


def test_what_is_wrong_with_one_tenant_stops_no_other(write: Write) -> None:
    """Each by the name of its file, with its place; who claims what another has is set aside, and the other is not."""
    beta = TENANT.replace("acme", "beta").replace("anna", "ben")
    folder = write(
        acme=TENANT,
        beta=beta,
        broken="tenant: [\n",
        twice=beta.replace("tenant: beta", "tenant: third"),
        unknown=TENANT.replace("acme", "fourth").replace("anna", "dora").replace("store:", "stores:"),
    )
    (folder / "tenants" / "nobody.tests.yaml").write_text("tests: []\n")
    usable = load_usable(folder)
    assert [each.tenant for each in usable.tenants] == ["acme", "beta"]
    assert usable.files == {"acme": "acme", "beta": "beta"}
    said = {file: error.problems[0].replace(f"{folder}/tenants/", "") for file, error in usable.broken.items()}
    assert {file: told.partition(" ")[0] for file, told in said.items()} == {
        "broken": "broken.yaml:2:1",
        "twice": "twice.yaml:8:17",
        "unknown": "unknown.yaml:2:1",
        "nobody": "nobody.tests.yaml:",
    }
    assert "mailbox ben@example.org is already at" in said["twice"]
    assert len(problems(folder)) >= 4


@pytest.mark.parametrize("process", [PROCESS, "marker_keys: {env: MARKER}\n"], ids=["no tenant", "the process"])
def test_where_nobody_can_be_served_nothing_begins(write: Write, process: str) -> None:
    """One that cannot be used is told like a broken connector.yaml, where there is no other."""
    with pytest.raises(ConfigError, match="is not a field"):
        load_usable(write(process, acme=TENANT.replace("store:", "stores:")))


def test_a_small_configuration_is_enough(write: Write) -> None:
    """What is left out has a default."""
    config = load(write())
    assert config.settings.interval == 60
    assert config.settings.ledger_url == "sqlite:////var/lib/connector/ledger.db"
    assert config.settings.sweep.grace == timedelta(days=30)
    (tenant,) = config.tenants
    assert tenant.path == "{tenant}/{mailbox}/{year}/{month}/{id}"
    assert tenant.policy.defaults.settle == timedelta(hours=24)


def test_the_examples_are_valid(tmp_path: Path) -> None:
    """What we ship as an example can be used as it is."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "connector.yaml").write_text((EXAMPLES / "connector.example.yaml").read_text())
    (tmp_path / "tenants" / "example.yaml").write_text((EXAMPLES / "tenants" / "example.yaml").read_text())
    config = load(tmp_path)
    assert [tenant.tenant for tenant in config.tenants] == ["example"]
    assert config.tenants[0].rules


@pytest.mark.parametrize("example", ["connector.example.yaml", "links.example.yaml", "tenants/example.yaml"])
def test_an_example_names_its_schema(example: str) -> None:
    """An editor that knows the language server finds the schema beside the file."""
    path = EXAMPLES / example
    first = path.read_text().splitlines()[0]
    assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).is_file()


@pytest.mark.parametrize(
    "name",
    ["connector.schema.json", "links.schema.json", "status.schema.json", "tenant.schema.json", "tests.schema.json"],
)
def test_the_schemas_are_up_to_date(name: str) -> None:
    """An editor is told what the models accept today; `python -m tests.test_config` writes the files anew."""
    assert json.loads((EXAMPLES / name).read_text()) == schemas()[name]


@pytest.mark.parametrize(
    ("process", "problem"),
    [
        ("interval: 5\n", "connector.yaml:1:1 marker_key: is missing"),
        (PROCESS + "intervall: 5\n", "connector.yaml:2:1 intervall: is not a field; did you mean interval?"),
        (PROCESS + "log: {levle: info}\n", "connector.yaml:2:7 log.levle: is not a field; did you mean level?"),
        (PROCESS + "log: {x: 1}\n", "connector.yaml:2:7 log.x: is not a field; allowed: format, level"),
        (PROCESS + "interval: soon\n", "connector.yaml:2:11 interval: must be a whole number"),
        (PROCESS + "interval: 0\n", "connector.yaml:2:11 interval: must be at least 1"),
        (PROCESS + "log:\n", "connector.yaml:2:1 log: must hold fields, as in `field: value`"),
        (
            PROCESS + "log: {level: loud}\n",
            "connector.yaml:2:14 log.level: must be one of: 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "marker_key: hunter2-hunter2-hunter2\n",
            "connector.yaml:1:13 marker_key: a secret is never written here: name it with {env: NAME}",
        ),
        (
            PROCESS + "ledger: postgresql://connector:hunter2@db.example.org/connector\n",
            "connector.yaml:2:9 ledger: must hold no password: PostgreSQL's own PGPASSFILE names a file that does",
        ),
        (
            PROCESS + "sweep: {grace: 30}\n",
            "connector.yaml:2:16 sweep.grace: a duration is 0 or a number with its unit, such as 24h or 30d",
        ),
        *(
            (
                PROCESS + f"audit: {{anchor: {{syslog: '{address}'}}}}\n",
                "connector.yaml:2:26 audit.anchor.syslog: that is no address",
            )
            for address in ("tcp://logs.example.org:syslog", "udp://logs.example.org:99999", "tcp://a..b", "tcp://:601")
        ),
    ],
)
def test_a_wrong_setting_is_told_with_place_and_remedy(write: Write, process: str, problem: str) -> None:
    """`file:line:column field: what is wrong, what is allowed`, and never the value."""
    (told,) = problems(write(process))
    assert told.startswith(problem.removesuffix("}"))
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("tenant: acme", "tenant: ACME Ltd", "acme.yaml:2:9 tenant: must match ^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"),
        ("type: ews", "type: imap", "acme.yaml:4:11 sources.0.type: must be one of: 'ews', 'graph'"),
        ("type: ews\n    url", "url", "acme.yaml:4:5 sources.0.type: is missing"),
        ("mailboxes: [", "mailbox: [", "acme.yaml:8:5 sources.0.mailbox: is not a field; did you mean mailboxes?"),
        ("{env: EXCHANGE_PASSWORD}", "hunter2", "acme.yaml:7:15 sources.0.password: a secret is never written here"),
        ("{env: EXCHANGE_PASSWORD}", "{env: }", "acme.yaml:7:15 sources.0.password: give exactly one of env, file"),
        ("product: Files, ", "", "acme.yaml:12:9 notice.product: is missing"),
        (
            "notice: {",
            "defaults: {notice: [de, xx]}\nnotice: {",
            "acme.yaml:12:25 defaults.notice.1: must be one of: 'de'",
        ),
        ("notice: {", "notice: {languages: [de], ", "acme.yaml:12:10 notice.languages: is not a field"),
        ("notice: {", "notice: {templates: /nowhere, ", "acme.yaml:12:9 notice: templates: /nowhere holds none of"),
        ("notice:", "path: '{tenant}/x'\nnotice:", "acme.yaml:12:7 path: the last part"),
        ("    user:", "    since: soon\n    user:", "acme.yaml:6:12 sources.0.since: must be"),
        (
            "    user:",
            "    probe: Anna@example.org\n    user:",
            "acme.yaml:4:5 sources.0: probe must not be one of the",
        ),
        (
            "    user:",
            "    outside: ANNA@example.org\n    user:",
            "acme.yaml:4:5 sources.0: outside must not be one of",
        ),
        ("tenant: acme", "mode: watch\ntenant: acme", "acme.yaml:2:7 mode: must be one of: 'monitor' or 'enforce'"),
        ("url: https://mail", "url: http://mail", "acme.yaml:5:10 sources.0.url: write an https address"),
        ("url: https://mail", "url: https://[::1", "acme.yaml:5:10 sources.0.url: that is no address"),
        (
            "url: https://mail",
            "url: https://mail.",
            "acme.yaml:5:10 sources.0.url: that is no address: between the dots",
        ),
        ("example.org/dav", "example.org:99999/dav", "acme.yaml:11:8 store.url: that is no address: after its host"),
        (
            "notice:",
            "rules: [{name: big, action: redirekt}]\nnotice:",
            "acme.yaml:12:29 rules.0.action: must be one of",
        ),
        (
            "notice:",
            "rules:\n  - {name: big, action: redirect, when: {size_ovr: 10 MB}}\nnotice:",
            "acme.yaml:13:42 rules.0.when.size_ovr: is not a field; did you mean size_over?",
        ),
        ("store:\n  type: webdav\n", "store:\n", "acme.yaml:10:3 store.type: is missing"),
    ],
)
def test_a_wrong_tenant_is_told_with_place_and_remedy(write: Write, old: str, new: str, problem: str) -> None:
    """As far down as the field lies, in the words of the file."""
    told = problems(write(acme=TENANT.replace(old, new)))
    assert any(each.startswith(f"tenants/{problem}") for each in told), told
    assert not any("hunter2" in each for each in told)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("tags: no-ai", "rules.0.tags: on a store of the type webdav, files bear no tags: leave them out, or let the"),
        ("link: {audience: owner}", "rules.0.link.audience: the store has no links for the audience 'owner', only for"),
        ("notice: legal", "rules.0.notice: `notices` has none named 'legal': add it there"),
    ],
)
def test_what_the_store_cannot_do_is_told_where_a_rule_asks_for_it(write: Write, rule: str, problem: str) -> None:
    """Before anything is redirected."""
    (told,) = problems(write(acme=f"{TENANT}rules:\n  - {{name: all, action: redirect, {rule}}}\n"))
    assert re.match(rf"tenants/acme\.yaml:\d+:\d+ {re.escape(problem)}", told), told


def test_pages_that_could_not_read_what_lies_with_its_owners(write: Write) -> None:
    """They have one login; where they only lead on, they need none."""
    store = "  type: nextcloud\n  url: https://cloud.example.org/\n  user: c\n  appapi: {secret: {env: APP}}\n"
    links = "links: {url: https://links.example.org/, database: sqlite://, key: {env: KEY}}\n"
    tenant = TENANT.replace("  type: webdav\n  url: https://files.example.org/dav/\n", store) + links
    rule = "rules:\n  - {name: all, action: redirect, link: {audience: AUDIENCE}}\n"
    (told,) = problems(write(acme=tenant + rule.replace("AUDIENCE", "owner")))
    assert "rules.0.link.audience: the pages of `links` read files by one login, and with `appapi`" in told
    assert load(write(acme=tenant + rule.replace("AUDIENCE", "store"))).tenants


def test_a_destination_lies_where_its_people_can_read_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Nextcloud each mailbox has a folder that is shared; anywhere else nobody could open the links."""
    monkeypatch.setenv("CLOUD_PASSWORD", "hunter2")
    cloud = TENANT.replace("type: webdav", "type: nextcloud\n  user: connector\n  password: {env: CLOUD_PASSWORD}")
    cloud = cloud.replace("dav/", "")
    rule = "rules:\n  - {{name: all, action: redirect, destination: '{}'}}\n"
    (told,) = problems(write(acme=cloud + rule.format("{tenant}/legal/{mailbox}/{id}")))
    assert "rules.0.destination: on Nextcloud, a folder is shared for each mailbox" in told
    (tenant,) = load(write(acme=cloud + rule.format("{tenant}/{mailbox}/legal/{id}"))).tenants
    assert tenant.rules[0].destination == "{tenant}/{mailbox}/legal/{id}"
    assert load(write(acme=TENANT + rule.format("{tenant}/legal/{id}")))
    (told,) = problems(write(acme=TENANT + rule.format("{tenant}/legal")))
    assert "the last part of a store path holds {id}" in told


def test_other_notices_have_what_they_leave_out_from_the_usual_one(write: Write) -> None:
    """And a mistake in one is told where it stands."""
    others = "notices:\n  legal: {languages: [fr], desk: legal@example.org}\n"
    rule = "rules:\n  - {name: all, action: redirect, notice: legal}\n"
    (tenant,) = load(write(acme=TENANT + others + rule)).tenants
    legal = tenant.wordings["legal"]
    assert (legal.product, legal.languages, legal.desk) == ("Files", ("fr",), "legal@example.org")
    (told,) = problems(write(acme=TENANT + others.replace("fr", "xx") + rule))
    assert "notices.legal.languages.0" in told
    assert "notices.legal: " in problems(write(acme=TENANT + "notices: {legal: 3}\n"))[0]
    assert "notices" in problems(write(acme=TENANT + "notices: 3\n"))[0]


def test_a_file_that_nobody_would_read_is_told(write: Write) -> None:
    """By its name, also beside a tenant; what editors and file servers leave there is nobody's."""
    folder = write() / "tenants"
    for left in (".#acme.yaml", "._acme.tests.yaml", ".acme.yml"):
        (folder / left).write_bytes(b"\0")
    assert load(folder.parent) == reload(folder.parent, lambda: None)
    (folder / "other.yml").write_text(TENANT)
    assert problems(folder.parent) == ["tenants/other.yml: is not read; rename it to other.yaml"]
    assert load_usable(folder.parent).broken.keys() == {"other.yml"}


#: What a tenant names, and a text of which all but the line end has come.
NAMED = [
    ("groups: {}/list.csv\n", "list.csv", "mailbox,group\nanna@example.org,IT"),
    (
        "holds: {}/list.csv\nexclude: {{hold: [litigation]}}\n",
        "list.csv",
        "PrimarySmtpAddress,LitigationHoldEnabled,RetentionHoldEnabled,InPlaceHolds\nanna@example.org,True,False,",
    ),
    (
        "links: {{url: 'https://l.example.org/', database: 'sqlite://', key: {{env: KEY}}, readers: {}/list.csv}}\n",
        "list.csv",
        "mailbox,reader\nanna@example.org,user:anna",
    ),
    (
        "notices: {{legal: {{templates: {}}}}}\n",
        "notice.txt.j2",
        "Look: {% for file in files %}{{ file.url }}\n{% endfor %}",
    ),
]


@pytest.mark.parametrize(("more", "name", "cut"), NAMED, ids=["groups", "holds", "readers", "templates"])
def test_half_of_what_a_tenant_names_is_not_taken_over(
    write: Write, tmp_path: Path, more: str, name: str, cut: str
) -> None:
    """Half a list of holds is a list too, and whoever stands in the other half would lose theirs."""
    folder, named = write(acme=TENANT + more.format(tmp_path)), tmp_path / name
    named.write_text(cut + "\n")
    assert reload(folder, lambda: None) == load(folder)
    with pytest.raises(ConfigError, match="somebody is writing there"):
        reload(folder, lambda: named.write_text(cut))
    broken = reload(folder, lambda: None).broken
    if name == "notice.txt.j2":  # A template may end anywhere.
        assert not broken
    else:
        assert broken["acme"].problems == (f"{named}: ends within a line; it may have been cut off",)


def test_the_problems_of_all_files_are_told_at_once(write: Write) -> None:
    """Nobody mends a configuration one run at a time."""
    told = problems(write("interval: x\n", a="- x\n", b=TENANT.replace("acme", "A").replace("url", "ulr", 1)))
    assert [each.split(" ")[0] for each in told] == [
        "connector.yaml:1:1",
        "connector.yaml:1:11",
        "tenants/a.yaml:1:1",
        "tenants/b.yaml:2:9",
        "tenants/b.yaml:5:5",
    ]


def test_two_tenants_of_one_name_and_one_mailbox_in_two_are_problems(write: Write) -> None:
    """A mailbox has one writer, whatever case its address is written in."""
    assert problems(write(a=TENANT, b=TENANT.replace("anna@", "Anna@"))) == [
        "tenants/b.yaml:2:9 tenant: tenant acme is already at tenants/a.yaml:2:9",
        "tenants/b.yaml:8:17 sources.0.mailboxes.0: mailbox anna@example.org is already at tenants/a.yaml:8:17",
    ]


def test_a_probe_is_watched_by_nobody(write: Write) -> None:
    """Another tenant must not redirect what is tried there."""
    probed = TENANT.replace("    user:", "    probe: ben@example.org\n    user:")
    other = TENANT.replace("acme", "other").replace("anna@", "Ben@")
    (told,) = problems(write(a=probed, b=other))
    assert "mailbox ben@example.org is already at tenants/a.yaml" in told


def test_two_that_are_told_at_one_address_are_problems(write: Write) -> None:
    """Also of one tenant: what Graph tells one would be forged to the other, and one could not even listen."""
    app = "{directory: example.org, client: 11111111-2222-3333-4444-555555555555, managed_identity: true}"
    told = 'notifications: {url: "https://told.example.org/", listen: "127.0.0.1:8443"}'
    both = "".join(
        f"  - {{type: graph, app: {app}, mailboxes: [{name}@example.org], {told}}}\n" for name in ("dora", "emil")
    )
    found = problems(write(acme=TENANT.replace("store:", f"{both}store:")))
    line = both.count("\n") + TENANT.splitlines().index("store:")
    place = rf"tenants/acme\.yaml:{line}:\d+ sources\.2\.notifications"
    for said, field, address in zip(
        found, ("listen", "url"), ("127.0.0.1:8443", "https://told.example.org/"), strict=True
    ):
        assert re.fullmatch(rf"{place}\.{field}: the address {address} is already at tenants/acme\.yaml:\d+:\d+", said)


def test_a_folder_without_configuration_says_what_is_missing(tmp_path: Path) -> None:
    """An empty folder is the first thing that a new operator has."""
    assert problems(tmp_path) == [
        "connector.yaml: cannot be read: No such file or directory",
        "tenants: holds no tenant; add a file such as " + f"{tmp_path}/tenants/acme.yaml".replace(f"{tmp_path}/", ""),
    ]


def test_tenants_that_may_not_be_read_are_not_said_to_be_absent(tmp_path: Path) -> None:
    """Nobody may list what is no folder, as with one of another user's."""
    (tmp_path / "tenants").touch(mode=0o600)
    assert problems(tmp_path)[-1] == "tenants: is no folder that may be read; check its owner and mode"


def test_a_variable_wins_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also inside a section, where the rest of the section stays as the file says."""
    monkeypatch.setenv("CONNECTOR_INTERVAL", "7")
    monkeypatch.setenv("CONNECTOR_LOG__LEVEL", "debug")
    settings = load_settings(write(PROCESS + "interval: 9\nlog: {format: json, level: error}\n"))
    assert (settings.interval, settings.log.format, settings.log.level) == (7, "json", "debug")


def test_a_wrong_variable_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of such a mistake is the variable, not the file."""
    monkeypatch.setenv("CONNECTOR_LOG__LEVEL", "loud")
    monkeypatch.setenv("CONNECTOR_SWEEP", "x")
    assert problems(write()) == [
        "environment variable CONNECTOR_LOG__LEVEL: log.level: must be one of: 'debug', 'info', 'warning' or 'error'",
        "environment variable CONNECTOR_SWEEP: sweep: must hold fields, as in `field: value`",
    ]


def test_the_marker_key_may_be_in_a_variable_of_that_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The natural name does not collide with the variables that win over the file."""
    monkeypatch.setenv("CONNECTOR_MARKER_KEY", "k" * 32)
    assert load_settings(write("marker_key: {env: CONNECTOR_MARKER_KEY}\n")).read_marker_key() == b"k" * 32


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "marker_key: environment variable MARKER is not set"),
        ("\udce4" * 32, "marker_key: environment variable MARKER is not UTF-8 text"),
        ("short", "must have at least 32 characters"),
    ],
)
def test_a_marker_key_that_is_absent_or_could_be_guessed_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, value: str | None, problem: str
) -> None:
    """With a guessed key, anyone could make our mark."""
    monkeypatch.delenv("MARKER", raising=False)
    if value:
        monkeypatch.setenv("MARKER", value)
    with pytest.raises(ConfigError, match=problem):
        load_settings(write()).read_marker_key()


def test_a_tenant_may_bring_its_own_templates(write: Write, tmp_path: Path) -> None:
    """A template that lies in the folder takes the place of ours; one that is broken is a problem."""
    folder = tmp_path / "templates"
    folder.mkdir()
    content = TENANT.replace("notice: {", f"notice: {{templates: {folder}, ")
    (folder / "notice.txt.j2").write_text("Look: {% for file in files %}{{ file.url }}\n{% endfor %}")
    assert "Look" in (load(write(acme=content)).tenants[0].notice.text_template or "")
    (folder / "notice.txt.j2").write_text("{% for %}")
    assert len(problems(write(acme=content))) == 1


#: Words that ask for what nothing here tells, and what is said about them.
UNKNOWN = [
    ("pilot: {groups: IT}\n", "acme.yaml:13:17 pilot.groups: asks for groups, and none are known"),
    ("exclude: {mailboxes: 'group:IT'}\n", "acme.yaml:13:22 exclude.mailboxes: asks for groups, and none are known"),
    ("rules: [{name: a, when: {group: IT}, action: copy}]\n", "acme.yaml:13:9 rules.0: asks for groups"),
    ("rules: [{name: a, when: {any: [{group: IT}]}, action: copy}]\n", "acme.yaml:13:9 rules.0: asks for groups"),
    (
        "rules: [{name: a, unless: {recipients: all external}, action: copy}]\n",
        "acme.yaml:13:9 rules.0: asks who is external: name the house's own domains under `domains`",
    ),
    (
        "rules: [{name: a, when: {infected: true}, action: hold}]\n",
        "acme.yaml:13:9 rules.0: asks a virus scanner (`infected`), and none is known",
    ),
    (
        "exclude: {hold: [record, litigation]}\n",
        "acme.yaml:13:17 exclude.hold: which mailboxes are on hold is not known",
    ),
    ("exclude: {identity: unmapped}\n", "acme.yaml:13:21 exclude.identity: nothing says whose mailboxes are"),
    (
        "rules: [{name: a, action: copy}, {name: b, action: keep}]\n",
        "acme.yaml:13:34 rules.1: is never reached: the rule 'a' above matches whatever this one does",
    ),
]


@pytest.mark.parametrize(("more", "problem"), UNKNOWN)
def test_a_policy_that_asks_what_nothing_tells_is_refused(write: Write, more: str, problem: str) -> None:
    """Its conditions would never hold, and nobody would notice."""
    (said,) = problems(write(acme=TENANT + more))
    assert problem in said


def test_what_is_told_may_be_asked_for(write: Write, tmp_path: Path) -> None:
    """Groups and holds come from lists; holds that nothing excludes are a mistake."""
    (tmp_path / "groups.csv").write_text("mailbox,group\nanna@example.org,IT\n")
    (tmp_path / "holds.csv").write_text(
        "PrimarySmtpAddress,LitigationHoldEnabled,RetentionHoldEnabled,InPlaceHolds\nanna@example.org,True,False,\n"
    )
    lists = f"groups: {tmp_path}/groups.csv\nholds: {tmp_path}/holds.csv\ndomains: [example.org]\n"
    asked = "rules: [{name: a, when: {group: it, recipients: any external}, action: copy}]\n"
    (tenant,) = load(write(acme=TENANT + lists + asked + "exclude: {hold: [litigation]}\n")).tenants
    assert tenant.groups == {"anna@example.org": {"it"}}
    assert tenant.holds == {"anna@example.org": {"litigation"}}
    (tenant,) = load(write(acme=TENANT + "retention_holds: [Strauß@example.org]\n")).tenants
    assert tenant.on_hold("strauss@example.org/Files")
    (said,) = problems(write(acme=TENANT + lists + asked))
    assert "holds: nothing excludes these: add `exclude: {hold: [litigation, retention]}`" in said


#: What people write by mistake, and what they are told: the place, what is wrong, what would be right.
MISTAKES = [
    (
        "rules:\n  - {name: a, when: {size_over: 10}, action: copy}\n",
        "14:33 rules.0.when.size_over: a size is a number with",
    ),
    (
        "rules:\n  - {name: a, when: {sender: '@x.org'}, action: copy}\n",
        "14:30 rules.0.when.sender: '@x.org' is neither",
    ),
    ("domains: [a@x.org]\n", "13:11 domains.0: 'a@x.org' is no domain, such as example.org"),
    ("rules:\n\t- {name: a, action: copy}\n", "14:1 a tab indents this line; only spaces may"),
    ("mode: monitor\nmode: enforce\n", "14:1 mode: stands here a second time; keep one"),
    ("domains: &a [x.org]\n", "13:10 domains: anchors and aliases (& and *) are not allowed"),
    ("groups: {Anna@example.org: [IT]}\n", "13:9 groups: name a CSV file"),
    ("holds: {Anna@example.org: [litigation]}\n", "13:8 holds: name a CSV file"),
    ("#" + "x" * 5_000_000 + "\n", "is larger than 1,048,576 bytes, the most that is read"),
    (
        "rules:\n  - {name: a, when: {subject: '(a+)+\\1'}, action: copy}\n",
        "14:31 rules.0.when.subject: is no pattern that RE2 knows",
    ),
    (
        "rules:\n  - {name: a, when: {older_than: 30d, younger_than: 1d}, action: copy}\n",
        "14:5 rules.0: `older_than` and `younger_than` exclude each other",
    ),
    (
        "rules:\n  - {name: a, when: {direction: outgoing external}, action: redirect}\n",
        "14:33 rules.0.when.direction: what is sent to others has left with its attachments",
    ),
]


@pytest.mark.parametrize(("more", "problem"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(write: Write, more: str, problem: str) -> None:
    """In one sentence, and nothing hangs or fills the memory."""
    (said,) = problems(write(acme=TENANT + more))
    assert problem in said


@pytest.mark.parametrize("model", [Settings, TenantConfig])
def test_every_model_refuses_what_it_does_not_know(model: type[BaseModel]) -> None:
    """A misspelt field is never a silent default, however deep."""

    def objects(part: Any) -> list[Mapping[str, Any]]:
        inner = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        here = [part] if isinstance(part, dict) and "properties" in part else []
        return here + [found for each in inner for found in objects(each)]

    assert all(each["additionalProperties"] is False for each in objects(model.model_json_schema()))


def test_places_are_those_of_the_file(write: Write) -> None:
    """The loader keeps YAML's own positions, through the document that it checks."""
    assert read(write() / "tenants" / "acme.yaml").places["sources", 0, "type"].endswith("acme.yaml:4:11")


if __name__ == "__main__":
    for name, schema in schemas().items():
        (EXAMPLES / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
