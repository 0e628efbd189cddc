"""What a mailbox's turn knows of it: its groups, its holds, whether it is anybody's, and whether it takes part."""

from pathlib import Path

import pytest

from connector.config.loading import load
from connector.daemon.process import clock
from connector.daemon.tenants import Mailbox, Tenant, tenants
from connector.flow.ask import facts
from connector.policy import Hold
from connector.sources.memory import MemoryMailbox, MemorySource

TENANT = """
tenant: acme
mode: enforce
domains: [example.org]
groups: {folder}/groups.csv
holds: {folder}/holds.csv
sources:
  - type: ews
    url: https://mail.example.org/EWS/Exchange.asmx
    user: connector@example.org
    password: {{env: SECRET}}
    mailboxes: [anna@example.org]
store:
  type: webdav
  url: https://files.example.org/dav/
links:
  url: https://links.example.org
  database: sqlite:///{folder}/links.db
  key: {{env: SECRET}}
  readers: {folder}/readers.csv
notice: {{product: Files, organisation: Example}}
exclude: {{identity: unmapped, hold: litigation}}
pilot: {{groups: IT, percent: 0}}
rules: [{{name: all, when: {{group: it}}, action: copy}}]
"""


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A tenant with all lists."""
    monkeypatch.setenv("SECRET", "k" * 40)
    (tmp_path / "tenants").mkdir()
    (tmp_path / "connector.yaml").write_text("marker_key: {env: SECRET}\n")
    (tmp_path / "tenants" / "acme.yaml").write_text(TENANT.format(folder=tmp_path))
    (tmp_path / "groups.csv").write_text("mailbox,group\nAnna@example.org,IT\nben@example.org,Planning\n")
    (tmp_path / "readers.csv").write_text("mailbox,reader\nanna@example.org,user:anna\n")
    (tmp_path / "holds.csv").write_text(
        "PrimarySmtpAddress,LitigationHoldEnabled,RetentionHoldEnabled,InPlaceHolds\nben@example.org,True,False,\n"
    )
    return tenants(load(tmp_path))[0]


def mailbox(tenant: Tenant, address: str) -> Mailbox:
    """A mailbox in memory, under the tenant's first entry."""
    source = MemorySource(MemoryMailbox(address=address, key=address))
    return Mailbox(tenant, source, tenant.config.sources[0])


def test_a_turn_knows_what_lists_say(tenant: Tenant) -> None:
    """In any case of the address; of chats, by the person whose they are."""
    anna = facts(mailbox(tenant, "ANNA@example.org").watch(), now=clock(), since=None, ours=False)
    assert (anna.groups, anna.holds, anna.unmapped, anna.domains) == (
        frozenset({"it"}),
        frozenset(),
        False,
        ("example.org",),
    )
    ben = facts(mailbox(tenant, "ben@example.org").watch(), now=clock(), since=None, ours=False)
    assert (ben.groups, ben.holds, ben.unmapped) == (frozenset({"planning"}), frozenset({Hold.LITIGATION}), True)
    assert (anna.mailbox, ben.mailbox) == ("ANNA@example.org", "ben@example.org")
    chats = mailbox(tenant, "anna@example.org/chats").watch()
    assert (chats.groups, chats.unmapped) == (frozenset({"it"}), False)


def test_who_is_not_in_the_pilot_is_monitored(tenant: Tenant) -> None:
    """Although the tenant enforces."""
    assert not mailbox(tenant, "anna@example.org").watch().monitor
    assert mailbox(tenant, "ben@example.org").watch().monitor
