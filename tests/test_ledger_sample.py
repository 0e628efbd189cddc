"""What is done: a sample, by chance, but the same for the same place among the ids; and what came last."""

from dataclasses import replace
from datetime import timedelta

from connector.ledger import Ledger
from connector.model import State
from tests.test_ledger import NOW, a_file, a_redirect, recorded, taken

pytest_plugins = ["tests.postgres"]


def test_takes_what_is_done_and_follows_the_place(ledger: Ledger) -> None:
    """Round the end where too few follow, none twice; nothing that is under way or another tenant's."""
    lease = taken(ledger)
    plans = [a_redirect(id=f"{n:02}", item_id=f"item-{n}", files=(a_file(n),)) for n in range(1, 6)]
    for each in recorded(ledger, lease, *plans):
        if each.id != "03":
            ledger.write(replace(each, state=State.DONE), "redirect.done", NOW, lease=lease)

    def sample(place: str, most: int) -> list[str]:
        return [each.id for each in ledger.sample("acme", place, most)]

    assert sample("02", 2) == ["02", "04"]
    assert sample("03", 3) == ["04", "05", "01"]
    assert sample("99", 9) == ["01", "02", "04", "05"]
    assert ledger.sample("other", "00", 9) == ()


def test_the_newest_are_those_planned_last(ledger: Ledger) -> None:
    """The last first; nothing that is under way or another tenant's."""
    lease = taken(ledger)
    for n in (2, 1, 3, 4):
        plan = a_redirect(id=f"{n:02}", item_id=f"item-{n}", files=(a_file(n),), created=NOW + timedelta(hours=n))
        (each,) = recorded(ledger, lease, plan)
        if n < 4:
            ledger.write(replace(each, state=State.DONE), "redirect.done", NOW, lease=lease)

    assert [each.id for each in ledger.newest("acme", 2)] == ["03", "02"]
    assert ledger.newest("other", 2) == ()
