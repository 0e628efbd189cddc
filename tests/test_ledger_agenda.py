"""What is due of all sources of a tenant, by one query, on both databases."""

from dataclasses import replace
from datetime import UTC, timedelta

from connector.ledger import Backfill, Due, Lease, Ledger
from connector.ledger.backlog import Waiting
from connector.model import State
from tests.test_ledger import NOW, a_file, a_redirect

pytest_plugins = ["tests.postgres"]

HOUR = timedelta(hours=1)


def of(ledger: Ledger, name: str, tenant: str = "acme") -> Lease:
    """The lease of a source with an address of its own."""
    ledger.watch(f"{tenant}/{name}", tenant=tenant, address=f"{name}@example.org", now=NOW)
    lease = ledger.lease(f"{tenant}/{name}", "daemon", NOW, HOUR)
    assert lease
    return lease


def test_tells_what_is_due_of_whom(ledger: Ledger) -> None:
    """Redirects with a step to be taken, and items to be looked at again; not what ended, waits, or is another's."""
    anna, ben, other = of(ledger, "anna"), of(ledger, "ben"), of(ledger, "anna", "other")
    several = [
        a_redirect(id=f"r{n}", item_id=f"item-{n}", files=(a_file(n),), due=NOW + n * HOUR - HOUR) for n in range(1, 5)
    ]
    (*_, ended) = ledger.record(anna, several, {"later": NOW + HOUR}, cursor="c", complete=False, now=NOW)
    ledger.record(ben, [], {"soon": NOW, "later": NOW + 5 * HOUR}, cursor="c", complete=False, now=NOW)
    ledger.record(
        other, [replace(several[0], id="of-another", source="other/anna")], {}, cursor="c", complete=False, now=NOW
    )
    ledger.write(replace(ended, state=State.DONE, due=NOW), "redirect.done", NOW, lease=anna)
    assert ledger.agenda("acme", NOW) == {"anna@example.org": Due(NOW, 1), "ben@example.org": Due(NOW, 1)}
    assert ledger.agenda("acme", NOW + HOUR)["anna@example.org"] == Due(NOW, 3)
    assert ledger.agenda("acme", NOW - HOUR) == {}


def test_tells_of_backfills_that_may_go_on(ledger: Ledger) -> None:
    """At their hours and their pace, as long as they are not paused, and have something left."""
    lease = of(ledger, "anna")
    night = Backfill(
        source=lease.source, biggest=False, since=None, from_hour=20, to_hour=6, per_hour=60, next=NOW - HOUR
    )
    local = NOW.astimezone().replace(minute=0)
    at = {hour: local.replace(hour=hour).astimezone(UTC) + timedelta(days=1) for hour in (3, 12, 21)}

    def told(wanted: Backfill, hour: int) -> bool:
        ledger.want_backfill(wanted, "backfill.wanted", NOW, by="Ada Admin")
        return bool(ledger.agenda("acme", at[hour]))

    assert [told(night, hour) for hour in at] == [True, False, True]
    assert [told(replace(night, from_hour=6, to_hour=20), hour) for hour in at] == [False, True, False]
    assert [told(replace(night, from_hour=0, to_hour=0), hour) for hour in at] == [True, True, True]
    assert not told(replace(night, paused=True), 3)
    assert not told(replace(night, next=at[3] + timedelta(minutes=1)), 3)
    assert not told(replace(night, listed=True), 3)
    ledger.list_backlog(lease, replace(night, listed=True), [Waiting(item_id="old", received=None, size=1)], NOW)
    assert ledger.agenda("acme", at[3]) == {"anna@example.org": Due(NOW - HOUR, 1)}
