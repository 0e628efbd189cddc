"""Reports for a data protection officer: what is in force, and which links open."""

from pathlib import Path
from typing import Any

from connector.audit.reports import REPORTS, Asked
from connector.log import Event
from connector.policy import Policy
from connector.sources.memory import Attached
from tests.test_rollout import LINKS, rule, settings, tenant
from tests.world import World


def lines(report: str, world: World, **of: Any) -> list[list[str]]:
    """The rows of its tables."""
    with world.ledger() as ledger:
        text = REPORTS[report](Asked(tenant(**of), settings(), ledger, world.now))
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_rules_on_trial_and_terms_of_what_is_held_are_told(tmp_path: Path) -> None:
    """The first is not in force; the second shows links once it is released."""
    link = {"audience": "anyone", "expires": "90d", "password": True}
    trial = rule(mode="monitor")
    held = {**rule(action="hold", link=link), "name": "held"}
    rows = lines("ropa", World(tmp_path / "ledger.db", Policy()), rules=[trial, held], links=LINKS)
    assert ["large", "redirect", "monitor", "store", "for ever", "no", "for ever"] in rows
    assert ["held", "hold", "enforce", "anyone", "90 d", "yes", "for ever"] in rows


def test_a_link_is_told_as_revoked_until_its_message_shows_others(tmp_path: Path) -> None:
    """What leaked opens nothing, and what took its place does."""
    world = World(tmp_path / "ledger.db", Policy.model_validate({"rules": [rule(settle=0, when={})]}))
    world.deliver(Attached("a.bin", b"aaaa"))
    world.run()
    told = []
    for event in (Event.LINK_RENEWED, Event.REDIRECT_REWRITTEN, Event.LINK_REVOKED, Event.LINK_EXTENDED):
        with world.ledger() as ledger:
            (redirect,) = ledger.redirects()
            ledger.note("acme", event, world.now, source=redirect.source, redirect_id=redirect.id)
        told.append(lines("exposure", world)[-1][-1])
    assert told == [f"{world.now:%Y-%m-%d %H:%M} UTC", "no"] * 2
