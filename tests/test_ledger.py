"""What the ledger promises to those who write redirects and to those who look at them, on both databases."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from connector.ledger import Lease, LeaseLost, Ledger, Stale, Taken, Work
from connector.model import Action, Audience, File, FileKind, Link, LinkTerms, Redirect, RedirectedFile, State, Stored

pytest_plugins = ["tests.postgres"]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def taken(ledger: Ledger, source: str = "acme/anna") -> Lease:
    """The lease of a source that is watched."""
    ledger.watch(source, tenant="acme", address="anna@example.org", now=NOW)
    lease = ledger.lease(source, "daemon", NOW, MINUTE)
    assert lease
    return lease


def a_file(number: int = 1, **changes: Any) -> RedirectedFile:
    """A file that the policy wants in the store."""
    of: dict[str, Any] = {
        "file": File(id=f"file-{number}", name=f"{number}.pdf", size=number, version="v1"),
        "path": f"store/r1/{number}.pdf",
        "action": Action.REDIRECT,
        "rule": "big",
    }
    return RedirectedFile(**of | changes)


def a_redirect(**changes: Any) -> Redirect:
    """A plan for one item with one file."""
    of: dict[str, Any] = {
        "id": "r1",
        "source": "acme/anna",
        "item_id": "item-1",
        "internet_message_id": "<1@example.org>",
        "folder": "store/r1",
        "files": (a_file(),),
        "settle": timedelta(hours=24),
        "created": NOW,
        "due": NOW,
    }
    return Redirect(**of | changes)


def recorded(ledger: Ledger, lease: Lease, *planned: Redirect) -> tuple[Redirect, ...]:
    """Record these plans as one page; what was new."""
    return ledger.record(lease, planned, {}, cursor="c", complete=False, now=NOW)


# --- what is kept -------------------------------------------------------------------------------------------------


def test_keeps_every_field(ledger: Ledger) -> None:
    """A redirect comes back as it was written: every field, every time to the microsecond, its files in their order."""
    full = a_file(
        2,
        file=File(
            id="file-2",
            name="2.pdf",
            size=2**40,
            content_type="application/pdf",
            kind=FileKind.ITEM,
            inline=True,
            content_id="a@b",
            version="v2",
        ),
        action=Action.COPY,
        terms=LinkTerms(Audience.ANYONE, timedelta(days=30, microseconds=1), password=True, downloads=3),
        stored=Stored(path="store/r1/two.pdf", size=2**40, sha256="ab" * 32, etag='"e"'),
        link=Link("https://store.example.org/2", NOW + timedelta(microseconds=7)),
        gone=True,
        tags=("no-ai", "a, b & \\ c"),
    )
    never_ends = a_file(1, link=Link("https://store.example.org/1"), inside="store/r1/two.pdf")
    plan = a_redirect(
        files=(full, never_ends, a_file(0)),
        settle=timedelta(days=99999, microseconds=1),
        state=State.HELD,
        held_in=State.LINKED,
        reason="it's 100 % odd\n\\u0000",
        attempts=3,
        proved=NOW + timedelta(microseconds=999_999),
        missed=4,
    )
    assert recorded(ledger, taken(ledger), plan) == (plan,)
    assert ledger.redirect("r1") == plan


@pytest.mark.parametrize("text", ["\0", "a\ud800b", "\\", "\\u0000", "\\\\u0000", "\u202e\U0001f4ce", "'; --", "%s :x"])
def test_keeps_any_text(ledger: Ledger, text: str) -> None:
    """Hostile names and ids are kept to the character, also what a database has no room for, and are found again."""
    file = a_file(1, file=File(id=text, name=text, size=1, content_type=text, content_id=text, version=text))
    plan = a_redirect(item_id=text, internet_message_id=text, files=(file,))
    lease = taken(ledger)
    assert recorded(ledger, lease, plan) == (plan,)
    assert ledger.redirects(internet_message_id=text) == (plan,)
    assert recorded(ledger, lease, replace(plan, id="r2")) == ()


def test_keeps_a_message_id_of_any_length(ledger: Ledger) -> None:
    """A sender cannot stop the feed with a Message-ID that is longer than an index entry may be."""
    noise = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(20_000))
    plan = a_redirect(internet_message_id=noise)
    assert recorded(ledger, taken(ledger), plan) == (plan,)
    assert ledger.redirects(internet_message_id=noise) == (plan,)


def test_times_of_any_zone_sort_as_one(ledger: Ledger) -> None:
    """A time is the same moment in whatever zone it was given, and sorts as that moment."""
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    recorded(ledger, taken(ledger), a_redirect(due=tokyo))
    assert ledger.next_due() == NOW
    assert len(ledger.due("acme/anna", NOW)) == 1
    assert ledger.due("acme/anna", NOW - timedelta(microseconds=1)) == ()


def test_refuses_a_time_without_a_zone(ledger: Ledger) -> None:
    """A time that could mean any moment is not written."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="has no time zone"):
        recorded(ledger, taken(ledger), a_redirect(due=naive))


# --- work ---------------------------------------------------------------------------------------------------------


def test_due_are_active_ones_the_oldest_first(ledger: Ledger) -> None:
    """Due is what a step works on and whose time has come: of this source, the longest waiting first, up to a limit."""
    lease, other = taken(ledger), taken(ledger, "acme/bert")
    for number, state in enumerate(State):
        plan = a_redirect(id=state, item_id=state, due=NOW - number * MINUTE)
        (new,) = recorded(ledger, lease, plan)
        ledger.write(replace(new, state=state), "redirect.moved", NOW)
    recorded(ledger, lease, a_redirect(id="tomorrow", item_id="t", due=NOW + timedelta(days=1)))
    recorded(ledger, other, a_redirect(id="b", item_id="b", source="acme/bert"))
    active = ["told", "expired", "replaced", "placed", "staged", "returned", "recalled"]
    active += ["rewritten", "linked", "stored", "planned"]
    assert [each.id for each in ledger.due("acme/anna", NOW)] == active
    assert [each.id for each in ledger.due("acme/anna", NOW, limit=2)] == active[:2]


def test_what_owners_have_to_be_told(ledger: Ledger) -> None:
    """Links of what is done that end by then, but for an end of which they were told; what is held, until it was."""
    lease, day = taken(ledger), timedelta(days=1)
    (plan,) = recorded(ledger, lease, a_redirect())
    (file,) = plan.files
    linked = replace(file, link=Link("https://files.example.org/1", NOW + 5 * day))
    done = ledger.write(replace(plan, state=State.DONE, files=(linked,)), "redirect.done", NOW)
    assert ledger.unreminded("acme/anna", NOW, NOW + 4 * day) == ()
    assert ledger.unreminded("acme/bert", NOW, NOW + 7 * day) == ()
    assert ledger.unreminded("acme/anna", NOW + 5 * day, NOW + 7 * day) == ()
    assert ledger.unreminded("acme/anna", NOW, NOW + 5 * day) == (done,)
    told = ledger.write(replace(done, reminded=NOW + 5 * day), "link.reminded", NOW)
    assert ledger.unreminded("acme/anna", NOW, NOW + 5 * day) == ()
    assert ledger.untold("acme/anna", NOW + day) == ()
    held = ledger.write(replace(told, state=State.HELD, held_in=State.LINKED), "redirect.held", NOW)
    assert ledger.untold("acme/anna", NOW) == ()
    assert ledger.untold("acme/anna", NOW + day) == (held,)
    assert ledger.last_told("acme/anna") is None
    ledger.write(replace(held, told=NOW + day), "held.told", NOW)
    assert ledger.untold("acme/anna", NOW + day) == ()
    assert ledger.last_told("acme/anna") == NOW + day


def test_next_due_counts_work_and_second_looks(ledger: Ledger) -> None:
    """The scheduler learns when the first redirect or item is due, of one source or of all."""
    lease, other = taken(ledger), taken(ledger, "acme/bert")
    assert ledger.next_due() is None
    ledger.record(lease, (), {"i": NOW + 3 * MINUTE}, cursor=None, complete=False, now=NOW)
    assert ledger.next_due() == NOW + 3 * MINUTE
    recorded(ledger, other, a_redirect(source="acme/bert", due=NOW + MINUTE))
    assert ledger.next_due() == NOW + MINUTE
    assert ledger.next_due("acme/anna") == NOW + 3 * MINUTE
    assert ledger.next_due("acme/bert") == NOW + MINUTE


def test_write_moves_state_files_and_event_together(ledger: Ledger) -> None:
    """One write changes the redirect, its files and the audit trail, and gives the next revision."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    stored = Stored(path="store/r1/1.pdf", size=1, sha256="00" * 32)
    done = replace(plan, state=State.STORED, files=(replace(plan.files[0], stored=stored), a_file(2)))
    written = ledger.write(done, "redirect.stored", NOW + MINUTE, lease=lease, size=1)
    assert written == replace(done, revision=1)
    assert ledger.redirect("r1") == written
    last = ledger.history("r1")[-1]
    assert (last.name, last.at, last.source, last.detail) == (
        "redirect.stored",
        NOW + MINUTE,
        ledger.pseudonym("acme", "acme/anna"),
        {"size": 1},
    )


def test_two_writers_cannot_both_win(ledger: Ledger) -> None:
    """Who writes over a revision that somebody else replaced gets Stale, and nothing of it is written."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect())
    first = ledger.write(replace(plan, reason="first"), "redirect.deferred", NOW)
    with pytest.raises(Stale):
        ledger.write(replace(plan, reason="second", files=()), "redirect.deferred", NOW)
    assert ledger.redirect("r1") == first
    assert len(list(ledger.events())) == 2
    with pytest.raises(Stale):
        ledger.write(replace(plan, id="unknown"), "redirect.deferred", NOW)


def test_a_redirect_may_lose_all_its_files(ledger: Ledger) -> None:
    """A redirect without a file is kept like any other."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect())
    bare = ledger.write(replace(plan, files=()), "redirect.dropped", NOW)
    assert ledger.redirect("r1") == bare


def test_adoption_follows_the_item_but_never_into_another_redirect(ledger: Ledger) -> None:
    """A moved item keeps its redirect; where the new item is another redirect's already, nothing is written."""
    lease = taken(ledger)
    plan, other = recorded(ledger, lease, a_redirect(), a_redirect(id="r2", item_id="item-2"))
    moved = ledger.write(replace(plan, item_id="item-3"), "redirect.adopted", NOW, lease=lease)
    assert recorded(ledger, lease, replace(plan, id="r4", item_id="item-3")) == ()
    with pytest.raises(Taken):
        ledger.write(replace(moved, item_id="item-2"), "redirect.adopted", NOW, lease=lease)
    assert ledger.redirects() == (moved, other)


def test_the_id_of_a_file_that_is_gone_may_be_given_again(ledger: Ledger) -> None:
    """Some servers number attachments anew when one is removed: that is no second redirect of one file."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect(files=(a_file(1), a_file(2))))
    first, second = plan.files
    renumbered = replace(plan, files=(replace(first, gone=True), replace(second, file=first.file)))
    assert ledger.write(renumbered, "file.gone", NOW).files == renumbered.files


def test_a_file_that_is_gone_stays_behind_where_its_item_moves(ledger: Ledger) -> None:
    """Its row names no item, and the others follow theirs."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect(files=(a_file(1), a_file(2, gone=True))))
    moved = ledger.write(replace(plan, item_id="item-3"), "redirect.adopted", NOW)
    assert ledger.redirect("r1") == moved


def test_what_was_known_before_the_ledger_was_taken_back_counts_no_more(tmp_path: Path) -> None:
    """A revision that somebody else wrote meanwhile is read, and not taken for our own of the same number."""
    file, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    ledger = Ledger(f"sqlite:///{file}")
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    ledger.back_up(copy)
    ledger.write(replace(plan, reason="ours"), "redirect.deferred", NOW, lease=lease)
    with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(file)) as now:
        old.backup(now)
    other = Ledger(f"sqlite:///{file}")
    theirs = other.write(replace(plan, attempts=5), "redirect.deferred", NOW)
    written = ledger.write(replace(theirs, reason="ours"), "redirect.reconciled", NOW)
    assert other.redirect("r1") == written
    for each in (ledger, other):
        each.close()


# --- sources, leases ----------------------------------------------------------------------------------------------


def test_first_contact_is_kept_for_ever(ledger: Ledger) -> None:
    """What is older than the first contact stays untouched: only an earlier `since` that a human sets replaces it."""
    source: dict[str, Any] = {"tenant": "acme", "address": "anna@example.org"}
    first = ledger.watch("acme/anna", **source, now=NOW)
    assert (first.since, first.cursor, first.passes) == (NOW, None, 0)
    assert ledger.watch("acme/anna", **source, now=NOW + MINUTE).since == NOW
    assert ledger.watch("acme/anna", **source, now=NOW, since=NOW + MINUTE).since == NOW
    earlier = ledger.watch("acme/anna", tenant="acme", address="a.new@example.org", now=NOW, since=NOW - MINUTE)
    assert (earlier.since, earlier.address) == (NOW - MINUTE, "a.new@example.org")
    chosen = ledger.watch("acme/bert", **source, now=NOW, since=NOW - timedelta(days=9))
    assert chosen.since == NOW - timedelta(days=9)
    assert ledger.watched() == (earlier, chosen)


def test_one_owner_at_a_time(ledger: Ledger) -> None:
    """While a lease runs nobody else gets one; when it ended, or was released, the next may."""
    first = taken(ledger)
    assert first.until == NOW + MINUTE
    assert ledger.lease("acme/anna", "other", NOW + MINUTE / 2, MINUTE) is None
    second = ledger.lease("acme/anna", "other", NOW + MINUTE, MINUTE)
    assert second
    assert second.epoch == first.epoch + 1
    ledger.release(first)
    assert ledger.lease("acme/anna", "daemon", NOW + MINUTE, MINUTE) is None
    ledger.release(second)
    assert ledger.lease("acme/anna", "daemon", NOW + MINUTE, MINUTE)
    assert ledger.lease("acme/nobody", "daemon", NOW, MINUTE) is None


def test_a_lease_is_renewed_only_while_it_is_ours(ledger: Ledger) -> None:
    """Renewing moves the end of a lease, late too, but never takes one back that was given away."""
    first = taken(ledger)
    longer = ledger.renew(first, NOW + 5 * MINUTE, MINUTE)
    assert (longer.epoch, longer.until) == (first.epoch, NOW + 6 * MINUTE)
    assert ledger.lease("acme/anna", "other", NOW + 5 * MINUTE, MINUTE) is None
    assert ledger.lease("acme/anna", "other", NOW + 6 * MINUTE, MINUTE)
    with pytest.raises(LeaseLost):
        ledger.renew(longer, NOW + 6 * MINUTE, MINUTE)


def test_a_writer_that_slept_through_its_lease_writes_nothing(ledger: Ledger) -> None:
    """After somebody else got the source, every write under the old lease is refused, whole; after a release too."""
    old = taken(ledger)
    (plan,) = recorded(ledger, old, a_redirect())
    dropped = ledger.write(replace(plan, state=State.DROPPED), "redirect.dropped", NOW, lease=old)
    new = ledger.lease("acme/anna", "other", NOW + MINUTE, MINUTE)
    assert new
    before = ledger.redirects(), list(ledger.events()), ledger.watched()
    with pytest.raises(LeaseLost):
        ledger.write(replace(dropped, reason="late"), "redirect.deferred", NOW, lease=old)
    with pytest.raises(LeaseLost):
        ledger.swept(dropped, NOW, lease=old)
    with pytest.raises(LeaseLost):
        ledger.record(old, [a_redirect(id="r2")], {"i": NOW}, cursor="late", complete=True, now=NOW)
    assert (ledger.redirects(), list(ledger.events()), ledger.watched()) == before
    assert ledger.look_again("acme/anna", NOW) == ()
    ledger.release(new)
    with pytest.raises(LeaseLost):
        ledger.write(dropped, "redirect.deferred", NOW, lease=new)


def test_a_lease_is_for_the_redirects_of_its_source(ledger: Ledger) -> None:
    """Whoever has another source writes nothing into them."""
    (plan,) = recorded(ledger, taken(ledger), a_redirect())
    ledger.watch("acme/boss", tenant="acme", address="boss@example.org", now=NOW)
    other = ledger.lease("acme/boss", "daemon", NOW, MINUTE)
    with pytest.raises(LeaseLost, match="acme/boss"):
        ledger.write(plan, "redirect.deferred", NOW, lease=other)
    assert ledger.redirects() == (plan,)


def test_the_same_owner_fences_itself_off(ledger: Ledger) -> None:
    """A daemon that takes its source again cannot be disturbed by a thread of its own that hung."""
    old = taken(ledger)
    (plan,) = recorded(ledger, old, a_redirect())
    assert ledger.lease("acme/anna", "daemon", NOW, MINUTE)
    with pytest.raises(LeaseLost):
        ledger.write(plan, "redirect.deferred", NOW, lease=old)


# --- generation, pauses, sweeping ---------------------------------------------------------------------------------


def test_generation_only_grows(ledger: Ledger, ledger_url: str) -> None:
    """A ledger keeps its id, and its generation grows by one, or to one that was seen elsewhere, never down."""
    assert ledger.generation == 1
    assert ledger.raise_generation() == 2
    ledger.adopt_generation(7)
    ledger.adopt_generation(3)
    again = Ledger(ledger_url)
    assert (again.generation, again.id) == (7, ledger.id)
    assert len(again.id) == 32
    again.close()


def test_a_pause_survives_until_its_time_or_a_resume(ledger: Ledger) -> None:
    """A pause is kept with its reason; it ends by time or by hand, and names only what is paused."""
    why: dict[str, Any] = {"reason": "the server is busy", "error": "Unavailable", "now": NOW, "tenant": "acme"}
    ledger.pause("acme/anna", until=NOW + MINUTE, **why)
    ledger.pause("acme/store", until=NOW + 2 * MINUTE, **why)
    pause = ledger.paused("acme/anna", NOW)
    assert pause
    assert (pause.name, pause.until, pause.reason, pause.error) == (
        "acme/anna",
        NOW + MINUTE,
        "the server is busy",
        "Unavailable",
    )
    assert ledger.paused("acme/anna", NOW + MINUTE) is None
    assert [each.name for each in ledger.pauses(NOW)] == ["acme/anna", "acme/store"]
    ledger.resume("acme/store")
    assert ledger.pauses(NOW) == (pause,)
    assert ledger.paused("acme/store", NOW) is None


def test_an_outage_is_told_once(ledger: Ledger) -> None:
    """Pausing again for the same error lengthens the pause but adds no event; another error, or a relapse, does."""
    for minutes, error in enumerate(["Unavailable", "Unavailable", "Denied"]):
        until = NOW + minutes * MINUTE
        ledger.pause("acme/anna", until=until, reason="no", error=error, now=NOW, tenant="acme")
    pause = ledger.paused("acme/anna", NOW)
    assert pause
    assert pause.until == NOW + 2 * MINUTE
    ledger.resume("acme/anna")
    ledger.pause("acme/anna", until=NOW, reason="no", error="Denied", now=NOW, tenant="acme")
    assert [each.detail["error"] for each in ledger.events()] == ["Unavailable", "Denied", "Denied"]


def test_the_sweep_is_offered_each_dropped_redirect_once(ledger: Ledger) -> None:
    """After its grace time a dropped redirect is offered until it was swept, and again if it came back meanwhile."""
    lease = taken(ledger)
    stored = Stored(path="store/r1/1.pdf", size=1, sha256="00" * 32)
    (plan,) = recorded(ledger, lease, a_redirect(files=(a_file(stored=stored, link=Link("https://example.org/")),)))
    later = NOW + timedelta(days=30)
    assert ledger.droppable(lease.source, later) == ()
    dropped = ledger.write(replace(plan, state=State.DROPPED), "redirect.dropped", NOW)
    assert ledger.droppable(lease.source, NOW) == ()
    assert ledger.droppable(lease.source, later) == (dropped,)
    swept = ledger.swept(dropped, NOW, lease=lease)
    assert ledger.droppable(lease.source, later) == ()
    assert ledger.redirect("r1") == swept
    assert [(each.stored, each.link) for each in swept.files] == [(None, None)]
    noted = ledger.write(replace(swept, reason="still gone"), "redirect.dropped", NOW)
    assert ledger.droppable(lease.source, later) == ()
    revived = ledger.write(replace(noted, state=State.PLANNED), "redirect.revived", NOW)
    again = ledger.write(replace(revived, state=State.DROPPED), "redirect.dropped", NOW)
    assert ledger.droppable(lease.source, later) == (again,)


# --- for people ---------------------------------------------------------------------------------------------------


def test_finds_redirects_for_people(ledger: Ledger) -> None:
    """Redirects are found by id, state, source and Message-ID, and counted by source and state."""
    lease, other = taken(ledger), taken(ledger, "acme/bert")
    assert ledger.counts() == {}
    assert ledger.redirect("r1") is None
    (one,) = recorded(ledger, lease, a_redirect(created=NOW + MINUTE))
    (two,) = recorded(ledger, other, a_redirect(id="r2", source="acme/bert", internet_message_id=""))
    two = ledger.write(replace(two, state=State.DONE), "redirect.done", NOW)
    assert ledger.redirects() == (two, one)
    assert ledger.redirects(state=State.DONE) == (two,)
    assert ledger.redirects(source="acme/anna") == (one,)
    assert ledger.redirects(internet_message_id="<1@example.org>") == (one,)
    assert ledger.redirects(source="acme/bert", state=State.PLANNED) == ()
    assert ledger.counts() == {("acme/anna", State.PLANNED): 1, ("acme/bert", State.DONE): 1}


def test_a_redirect_is_restored_once(ledger: Ledger) -> None:
    """A redirect that a manifest tells of is taken over once, and never over what the ledger knows itself."""
    taken(ledger)
    told = a_redirect(state=State.STORED)
    assert ledger.rebuild(told, "redirect.reconciled", NOW)
    assert not ledger.rebuild(replace(told, state=State.DONE), "redirect.reconciled", NOW)
    assert ledger.redirects() == (told,)
    assert [(each.name, each.detail) for each in ledger.events()] == [("redirect.reconciled", {})]
    with pytest.raises(Taken):
        ledger.rebuild(replace(told, id="r2"), "redirect.reconciled", NOW)


def test_what_belonged_to_one_belongs_to_another(ledger: Ledger) -> None:
    """Also what that one had taken over; each tenant for itself, and however often it is said."""
    assert ledger.owner("acme", "Anna@example.org") == "Anna@example.org"
    for _ in "twice":
        assert ledger.succeed("acme", "Anna@example.org", "bert@example.org", NOW, by="ada") == ("anna@example.org",)
    assert ledger.owner("acme", "anna@example.org") == "bert@example.org"
    assert ledger.owner("other", "anna@example.org") == "anna@example.org"
    went = ledger.succeed("acme", "bert@example.org", "carla@example.org", NOW, by="ada")
    assert sorted(went) == ["anna@example.org", "bert@example.org"]
    assert ledger.owner("acme", "anna@example.org") == "carla@example.org"
    assert ledger.succeed("acme", "carla@example.org", "bert@example.org", NOW, by="ada")
    assert ledger.owner("acme", "bert@example.org") == "bert@example.org"
    went = ledger.succeed("acme", "BERT@example.org", "Dora@Example.org", NOW, by="ada")
    assert sorted(went) == ["anna@example.org", "bert@example.org", "carla@example.org"]
    ledger.succeed("acme", "dora@example.org", "emil@example.org", NOW, by="ada")
    assert ledger.owner("acme", "anna@example.org") == "emil@example.org"
    assert ledger.broken_link("acme") is None


def test_what_waits_is_counted_for_whoever_watches(ledger: Ledger) -> None:
    """By tenant and state, with the first that is due; what is done is not counted: it grows for ever."""
    lease, _ = taken(ledger), ledger.watch("other/x", tenant="other", address="x@example.com", now=NOW)
    assert ledger.work() == ()
    one, two, three = recorded(
        ledger,
        lease,
        a_redirect(due=NOW + MINUTE),
        a_redirect(id="r2", item_id="2", internet_message_id="", due=NOW),
        a_redirect(id="r3", item_id="3", internet_message_id=""),
    )
    assert ledger.work() == (Work("acme", State.PLANNED, 3, NOW),)
    ledger.write(replace(three, state=State.DONE), "redirect.done", NOW)
    ledger.write(replace(two, state=State.HELD, held_in=State.PLANNED), "redirect.held", NOW)
    assert {each.state: (each.count, each.due) for each in ledger.work()} == {
        State.PLANNED: (1, NOW + MINUTE),
        State.HELD: (1, NOW),
    }
    assert ledger.proved() == ()
    ledger.require_writable()
    assert ledger.redirect(one.id) == one
