"""What is left alone because it failed: a mailbox, all that are reached as it is, or a store; and when it goes on."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connector.errors import ConnectorError, Denied, Unavailable
from connector.flow.decisions import go_on, stop, tenants_meant
from connector.flow.redirect import tick
from connector.flow.turn import leave_alone
from connector.ledger import Ledger
from connector.model import State
from connector.pauses import TenantPause
from connector.sources.memory import Attached
from connector.watching.status import status
from tests.crash.test_every_effect import policy
from tests.test_ledger import MINUTE, NOW
from tests.world import TENANT, World

pytest_plugins = ["tests.postgres"]

ACCOUNT = TenantPause.ACCOUNT.of("acme", 1)
DOWN = Unavailable("mail.example.org cannot be used: connection refused")
REFUSED = Denied("mail.example.org does not accept the user name and password")


def fail(ledger: Ledger, mailbox: str, error: ConnectorError, after: timedelta = timedelta(0)) -> bool:
    """A mailbox fails; whether all that are reached as it is are left alone then."""
    now = NOW + after
    leave_alone(f"acme/{mailbox}", error, ledger, now, "acme", account=ACCOUNT)
    return ledger.paused(ACCOUNT, now) is not None


@pytest.mark.parametrize("error", [DOWN, REFUSED], ids=["down", "refused"])
def test_two_mailboxes_that_fail_in_the_same_words_speak_for_all(ledger: Ledger, error: ConnectorError) -> None:
    """One does not, however often it fails; nor do others that fail otherwise, long ago, or elsewhere."""
    leave_alone("beta/anna", error, ledger, NOW, "beta", account=TenantPause.ACCOUNT.of("beta", 1))
    assert not fail(ledger, "anna", error)
    assert not fail(ledger, "anna", error)
    assert not fail(ledger, "ben", Unavailable("the mailbox of ben is being moved"))
    assert not fail(ledger, "carla", error, after=timedelta(hours=1))
    assert fail(ledger, "dora", error, after=timedelta(hours=1))


def test_one_that_fails_as_it_tries_for_all_closes_the_door_again(ledger: Ledger) -> None:
    """At the end of the pause nobody knows yet whether what it was for has ended; one failure is enough then."""
    fail(ledger, "anna", DOWN)
    assert fail(ledger, "ben", DOWN)
    assert ledger.all_pauses(NOW).ended == {}
    later = 2 * MINUTE
    assert not ledger.paused(ACCOUNT, NOW + later)
    assert ACCOUNT in ledger.all_pauses(NOW + later).ended
    assert fail(ledger, "carla", Unavailable("mail.example.org answers with the HTTP status 503"), after=later)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox with one message, under a policy that redirects everything at once."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(Attached("plan.pdf", b"a plan"))
    return world


def test_a_server_that_answers_lets_all_its_mailboxes_go_on(world: World) -> None:
    """Whoever was answered, whether he tried for all or was at it already."""
    with world.process() as (watch, ledger):
        for account in (ACCOUNT, "acme/account-2"):
            until = world.now + MINUTE
            ledger.pause(account, until=until, reason="down", error="Unavailable", now=world.now, tenant=TENANT)
        for _ in range(2):
            tick(replace(watch, account=ACCOUNT), ledger, world.clock, "one")
            assert {each.name for each in ledger.pauses(world.now)} == {"acme/account-2"}


def test_a_mailbox_that_is_down_names_its_account(world: World) -> None:
    """The pause is that of the mailbox; only another one's failure would make it more."""
    with world.process() as (watch, ledger):
        world.mailbox.busy = MINUTE
        for mailbox in ("anna", "ben"):
            watched = replace(watch, account=ACCOUNT)
            leave_alone(f"{TENANT}/{mailbox}", Unavailable(f"the mailbox {mailbox}"), ledger, world.now, TENANT)
            tick(watched, ledger, world.clock, "one")
        assert ledger.paused(watch.name, world.now)
        assert not ledger.paused(ACCOUNT, world.now)


def test_what_somebody_stopped_begins_no_step_until_he_lets_it_go_on(world: World) -> None:
    """Also after a restart, and where it was never served; the trail and the status say who, and why."""
    for name in (TENANT, None):
        with pytest.raises(ValueError, match="no tenant is configured, and none was ever served"):
            tenants_meant(name, ())
    with pytest.raises(ValueError, match="there is no tenant nobody; there are: acme, beta"):
        tenants_meant("nobody", {"beta", TENANT})
    assert tenants_meant(None, {"beta", TENANT}) == (TENANT, "beta")
    meant = tenants_meant(TENANT, {"beta", TENANT})
    assert meant == (TENANT,)
    with world.process() as (watch, ledger):
        stop(meant, ledger, world.now, "Ada Admin", reason="the store moves")
    with world.process() as (watch, ledger):
        assert not tick(watch, ledger, world.clock, "one")
        assert not ledger.counts()
        (told,) = status(ledger, world.ledger_file.parent, world.now).paused
        assert (told.paused, told.reason) == (f"{TENANT}/stop", "Ada Admin: the store moves")
        assert go_on(meant, ledger, world.now, "Ada Admin") == meant
        assert go_on(meant, ledger, world.now, "Ada Admin") == ()
        tick(watch, ledger, world.clock, "one")
        assert {state for _, state in ledger.counts()} == {State.DONE}
        names = [each.name for each in ledger.events(tenant=TENANT)]
        assert names.count("tenant.stopped") == names.count("tenant.resumed") == 1


@pytest.mark.parametrize("number", range(4))
def test_a_turn_that_is_stopped_on_its_way_finishes_its_step_and_begins_no_other(world: World, number: int) -> None:
    """Whatever step it is at: what is there then is what a crash after that step would leave."""
    state = [State.PLANNED, State.STORED, State.LINKED, State.REWRITTEN][number]
    with world.process() as (watch, ledger):
        clock = world.clock

        def stops_at_the_step() -> datetime:
            if {state} == {each for _, each in ledger.counts()}:
                stop((TENANT,), ledger, world.now, "Ada Admin", reason="a test")
            return clock()

        tick(watch, ledger, stops_at_the_step, "one")
        assert {each for _, each in ledger.counts()} == {state}
        assert world.lost() == []
        go_on((TENANT,), ledger, world.now, "Ada Admin")
        tick(watch, ledger, clock, "one")
        assert {each for _, each in ledger.counts()} == {State.DONE}


def test_who_has_somebody_else_try_the_store_waits_for_him(world: World) -> None:
    """Also when the time that the store asked for is over: a thousand mailboxes would ask it at once."""
    with world.process() as (watch, ledger):
        store, until = TenantPause.STORE.of(TENANT), world.now + MINUTE
        ledger.pause(store, until=until, reason="busy", error="Unavailable", now=world.now, tenant=TENANT)
        patient = replace(watch, store_is_tried=True)
        world.now += 2 * MINUTE
        tick(patient, ledger, world.clock, "one")
        assert {state for _, state in ledger.counts()} == {State.PLANNED}
        assert ledger.resume(store)
        assert not ledger.resume(store)
        tick(patient, ledger, world.clock, "one")
        assert {state for _, state in ledger.counts()} == {State.DONE}
