"""The first policy that an administrator of each kind, the data protection officer and the service desk would sign.

It loads word for word, with nothing but a tenant's servers, lists and name for its house around it, and each of its
lines means what it says.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from connector.config.loading import TenantConfig, load
from connector.model import Action, Audience, Verdict
from connector.policy import Mode, decide
from connector.policy.sketch import Sketch

FIRST = """\
tenant: ministry
mode: monitor                    # two weeks, then enforce for the pilot
defaults: {settle: 24h, notice: [de, en]}
exclude:                         # no rule can override
  mailboxes: [group:Personalvertretung, group:Betriebsarzt, group:DSB, rechnung@min.example, scan@min.example, journal@min.example]
  hold: [litigation, retention, record]
  sensitivity: [private, personal, confidential]
  identity: unmapped
  folders: [Privat, Nicht auslagern]
pilot: {groups: [IT, Servicedesk]}
restore_when: {category: Anhang zurück}
rules:
  - {name: dangerous, when: {any: [{infected: true}, {true_type: executable}]}, action: hold, settle: 0}
  - {name: records, when: {mailbox: poststelle@min.example}, action: copy}
  - {name: all-staff, when: {recipients_over: 50}, action: keep}
  - name: large-mail
    when: {direction: [incoming external, internal], size_over: 10 MB, younger_than: 30d}
    action: redirect
    link: {audience: staff, expires: never}
    retain: {file: message + 30d, audit: 18 months}
  - {name: teams, when: {any: [{team: "*"}, {chat: "*"}]}, action: copy}
  - {name: rest, action: keep}
"""  # noqa: E501 - word for word
AROUND = """
domains: [min.example]
groups: {lists}/groups.csv
holds: {lists}/holds.csv
sources:
  - type: ews
    url: https://mail.min.example/EWS/Exchange.asmx
    user: connector@min.example
    password: {{env: EXCHANGE_PASSWORD}}
    mailboxes: [anna@min.example]
store: {{type: webdav, url: "https://files.min.example/dav/"}}
links:
  url: https://links.min.example
  database: sqlite:///links.db
  key: {{env: LINKS_KEY}}
  readers: {lists}/readers.csv
scanner: {{clamd: /run/clamav/clamd.ctl}}
notice: {{product: Dateiablage, organisation: Ministry of Examples}}
"""
LISTS = Path(__file__).parent.parent / "config" / "policies"
ANNA = "anna@min.example"
DAY = timedelta(days=1)


@pytest.fixture
def tenant(tmp_path: Path) -> TenantConfig:
    """As `connector` loads it."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "connector.yaml").write_text("marker_key: {env: MARKER}\n")
    (tmp_path / "tenants" / "ministry.yaml").write_text(FIRST + AROUND.format(lists=LISTS))
    (tenant,) = load(tmp_path).tenants
    return tenant


def said(tenant: TenantConfig, **sketch: object) -> Verdict:
    """What it says of one file."""
    drawn = Sketch.model_validate({"mailbox": ANNA, "size": "20 MB"} | sketch)
    (verdict,) = decide(tenant.policy, drawn.item, drawn.facts(tenant.domains))
    return verdict


def test_it_only_watches(tenant: TenantConfig) -> None:
    """And is of the tenant that it names."""
    assert (tenant.tenant, tenant.mode) == ("ministry", Mode.MONITOR)


def test_what_holds_for_all_rules(tenant: TenantConfig) -> None:
    """Links come a day after the copy; messages speak German, then English."""
    assert said(tenant).settle == DAY
    assert tenant.wording.languages == ("de", "en")


@pytest.mark.parametrize(
    "sketch",
    [
        *({"groups": group} for group in ("Personalvertretung", "Betriebsarzt", "DSB")),
        *({"mailbox": f"{robot}@min.example"} for robot in ("rechnung", "scan", "journal")),
        {"hold": "litigation"},
        {"hold": "retention"},
        {"retention_tag": "7 years"},
        {"unmapped": True},
        {"folder": "Privat/2026"},
        {"folder": "Inbox/nicht auslagern"},
        *({"sensitivity": word} for word in ("private", "personal", "confidential")),
    ],
)
def test_what_no_rule_overrides(tenant: TenantConfig, sketch: dict[str, object]) -> None:
    """Also where a file is dangerous, which would be held otherwise; and the same message without it goes."""
    verdict = said(tenant, infected=True, **sketch)
    assert verdict.action is Action.KEEP
    assert verdict.rule.partition(":")[0] in ("exclude", "guard")
    assert said(tenant).action is Action.REDIRECT


def test_the_pilot(tenant: TenantConfig) -> None:
    """Once it is enforced: in IT and at the service desk only."""
    pilot = tenant.policy.pilot
    assert pilot
    assert [pilot.covers(lambda: "x", {group}) for group in ("it", "servicedesk", "presse")] == [True, True, False]


def test_a_category_brings_attachments_back(tenant: TenantConfig) -> None:
    """And keeps those of a message that bears it already."""
    verdict = said(tenant, categories="Anhang zurück")
    assert (verdict.action, verdict.by_owner) == (Action.KEEP, True)
    drawn = Sketch.model_validate({"categories": "Anhang zurück"})
    assert tenant.policy.restore_when.of(drawn.item) == "category Anhang zurück"


@pytest.mark.parametrize(
    ("rule", "action", "sketch"),
    [
        ("dangerous", "hold", {"infected": True}),
        ("dangerous", "hold", {"file": "Rechnung.pdf", "true_type": "executable"}),
        ("dangerous", "hold", {"true_type": "executable", "mailbox": "poststelle@min.example"}),
        ("records", "copy", {"mailbox": "poststelle@min.example"}),
        ("records", "copy", {"mailbox": "poststelle@min.example", "recipients": 51}),
        ("all-staff", "keep", {"recipients": 51}),
        ("large-mail", "redirect", {"recipients": 50}),
        ("large-mail", "redirect", {"direction": "internal"}),
        ("rest", "keep", {"direction": "sent"}),
        ("rest", "keep", {"size": "10 MB"}),
        ("rest", "keep", {"age": "30d"}),
        ("large-mail", "redirect", {"age": "29d"}),
        ("teams", "copy", {"team": "Planning"}),
        ("teams", "copy", {"chat": ANNA}),
    ],
)
def test_each_rule(tenant: TenantConfig, rule: str, action: str, sketch: dict[str, object]) -> None:
    """Where it holds, and just where it does not any more; the first that matches decides."""
    verdict = said(tenant, **sketch)
    assert (verdict.rule, verdict.action) == (rule, Action(action))


def test_dangerous_files_need_not_settle(tenant: TenantConfig) -> None:
    """Released, they go at once."""
    assert said(tenant, infected=True).settle == timedelta(0)


def test_links_are_for_staff_and_do_not_end(tenant: TenantConfig) -> None:
    """Neither by time, nor by a count, and they ask for no password of their own."""
    terms = said(tenant).terms
    assert (terms.audience, terms.expires, terms.password, terms.downloads) == (Audience.STAFF, None, False, None)


def test_files_outlive_their_message_by_thirty_days(tenant: TenantConfig) -> None:
    """Those that it redirects; copies that it makes otherwise stay for ever."""
    verdict = said(tenant)
    assert (verdict.outlives, verdict.retention) == (30 * DAY, None)
    copied = said(tenant, mailbox="poststelle@min.example")
    assert (copied.outlives, copied.retention) == (None, None)


def test_the_audit_trail_lasts_eighteen_months(tenant: TenantConfig) -> None:
    """A year has 365 days; no rule but that one says anything of it."""
    assert tenant.policy.audit == 1.5 * timedelta(days=365)
