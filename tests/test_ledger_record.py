"""What discovery writes down: a page of changes as a whole, and only what is new in it. On both databases."""

import os
import signal
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from connector import sql
from connector.ledger import Lease, Ledger
from connector.model import Action, File, Link, Redirect, RedirectedFile, State, Stored
from tests.test_ledger import MINUTE, NOW, a_file, a_redirect, recorded, taken

pytest_plugins = ["tests.postgres"]

STORED = Stored(path="store/r1/1.pdf", size=1, sha256="00" * 32)


def moved(ledger: Ledger, redirect: Redirect, state: State, **changes: Any) -> Redirect:
    """The redirect, written in another state."""
    return ledger.write(replace(redirect, state=state, **changes), f"redirect.{state}", NOW)


def paths(redirect: Redirect) -> list[str]:
    """Where its files go."""
    return [each.path for each in redirect.files]


def told(ledger: Ledger) -> list[str]:
    """The names of all events."""
    return [each.name for each in ledger.events()]


# --- a page as a whole --------------------------------------------------------------------------------------------


def test_the_cursor_moves_with_the_plans(ledger: Ledger) -> None:
    """Plans, second looks, cursor and the count of full passes are written together; no cursor leaves it in place."""
    lease = taken(ledger)
    new = ledger.record(lease, [a_redirect()], {"item-9": NOW}, cursor="page 1", complete=False, now=NOW)
    assert new == (a_redirect(),)
    assert [(each.cursor, each.passes) for each in ledger.watched()] == [("page 1", 0)]
    assert ledger.record(lease, (), {}, cursor=None, complete=True, now=NOW) == ()
    assert [(each.cursor, each.passes) for each in ledger.watched()] == [("page 1", 1)]
    assert ledger.look_again("acme/anna", NOW) == ("item-9",)


def test_a_page_is_known_the_second_time(ledger: Ledger) -> None:
    """A page that comes again, as after a crash, or an item that is twice in it, makes no second redirect."""
    lease = taken(ledger)
    assert len(recorded(ledger, lease, a_redirect(), a_redirect(id="twin"))) == 1
    assert recorded(ledger, lease, a_redirect(id="again")) == ()
    assert told(ledger) == ["redirect.planned"]


def test_what_would_be_recorded_is_told_without_a_word_written(ledger: Ledger) -> None:
    """The plan itself as long as it is new; None for what `record` would absorb."""
    lease = taken(ledger)
    assert ledger.would_record(a_redirect()) == a_redirect()
    assert (told(ledger), ledger.redirects()) == ([], ())
    recorded(ledger, lease, a_redirect())
    assert ledger.would_record(a_redirect(id="again")) is None


def test_a_redirect_is_found_by_where_its_files_are(ledger: Ledger) -> None:
    """By the address of a link or a path, or by what one lies below; a name that only begins so is another."""
    (redirect,) = recorded(ledger, taken(ledger), a_redirect())
    file = replace(redirect.files[0], link=Link("https://files.example/a%20b_c/1.pdf"))
    ledger.write(replace(redirect, files=(file, *redirect.files[1:])), "redirect.linked", NOW)
    path = file.path
    for place in (
        path,
        path.rpartition("/")[0],
        "https://files.example/a%20b_c/1.pdf",
        "https://files.example/a%20b_c/",
    ):
        assert [each.id for each in ledger.leading_to(place)] == [redirect.id], place
    for place in (path[:-1], "https://files.example/a%20bXc", "https://files.example/a"):
        assert ledger.leading_to(place) == (), place


def test_an_item_of_another_source_is_another_item(ledger: Ledger) -> None:
    """Ids and Message-IDs count within one source: the same message in two mailboxes is redirected in both."""
    anna, bert = taken(ledger), taken(ledger, "acme/bert")
    (plan,) = recorded(ledger, anna, a_redirect())
    moved(ledger, plan, State.DROPPED, ended_by="operator")
    assert len(recorded(ledger, bert, a_redirect(id="r2", source="acme/bert"))) == 1


def test_what_was_planned_is_told_without_names(ledger: Ledger) -> None:
    """The event of a plan tells how many files and by which rules, and never a file's name."""
    recorded(ledger, taken(ledger), a_redirect(files=(a_file(1, rule="z"), a_file(2, rule="a"), a_file(3, rule="z"))))
    (only,) = ledger.events()
    assert (only.name, only.redirect_id, only.detail) == ("redirect.planned", "r1", {"files": 3, "rules": ["a", "z"]})


def test_a_plan_may_be_held_from_the_start(ledger: Ledger) -> None:
    """Where the policy asks for a human, the redirect is held, is told as held, and is not due."""
    held = a_redirect(state=State.HELD, held_in=State.PLANNED, reason="rule big: a human decides")
    assert recorded(ledger, taken(ledger), held) == (held,)
    assert told(ledger) == ["redirect.held"]
    assert ledger.due("acme/anna", NOW) == ()


def test_an_item_costs_no_more_in_a_full_ledger(tmp_path: Path) -> None:
    """What is recorded already does not slow down the recording of what comes: every look-up has its index."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    lease = taken(ledger)
    steps = []

    def count(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(lambda: steps.append(1), 1)

    ledger.close()
    event.listen(ledger._engine, "checkout", count)

    def cost(*names: str) -> int:
        steps.clear()
        recorded(ledger, lease, *(a_redirect(id=name, item_id=name, internet_message_id=name) for name in names))
        return len(steps)

    empty = cost("first")
    cost(*(f"{number}" for number in range(200)))
    assert cost("last") < 2 * empty
    ledger.close()


# --- second looks -------------------------------------------------------------------------------------------------


def test_an_item_is_looked_at_again_in_time(ledger: Ledger) -> None:
    """An item to be looked at again waits for its time, survives, and is offered until it was looked at."""
    lease = taken(ledger)
    later = {"b": NOW + MINUTE, "a": NOW + 2 * MINUTE, "c": NOW + 3 * MINUTE}
    ledger.record(lease, (), later, cursor="c", complete=False, now=NOW)
    assert ledger.look_again("acme/anna", NOW) == ()
    assert ledger.look_again("acme/anna", NOW + 2 * MINUTE) == ("b", "a")
    assert ledger.look_again("acme/bert", NOW + 2 * MINUTE) == ()
    ledger.record(lease, (), {"a": NOW + 9 * MINUTE}, cursor=None, complete=False, now=NOW, looked=("a", "b"))
    assert ledger.look_again("acme/anna", NOW + 8 * MINUTE) == ("c",)
    assert ledger.look_again("acme/anna", NOW + 9 * MINUTE) == ("c", "a")


def test_a_plan_ends_the_waiting_of_its_item(ledger: Ledger) -> None:
    """Once an item is planned it is not looked at again, unless the same page says so."""
    lease = taken(ledger)
    ledger.record(lease, (), {"item-1": NOW, "item-2": NOW}, cursor="c", complete=False, now=NOW)
    plans = [a_redirect(), a_redirect(id="r2", item_id="item-2")]
    ledger.record(lease, plans, {"item-2": NOW + MINUTE}, cursor="c", complete=False, now=NOW)
    assert ledger.look_again("acme/anna", NOW + MINUTE) == ("item-2",)


# --- the echo of our own work -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.PLANNED, State.STORED, State.LINKED, State.REWRITTEN, State.HELD])
def test_an_item_on_its_way_is_left_to_its_redirect(ledger: Ledger, state: State) -> None:
    """While a redirect of the item is active or held, nothing new is planned for it, not even for a new file."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    on_its_way = moved(ledger, plan, state)
    assert recorded(ledger, lease, a_redirect(id="r2", files=(a_file(1), a_file(2)))) == ()
    assert ledger.redirects() == (on_its_way,)


def test_after_a_redirect_only_new_files_are_planned(ledger: Ledger) -> None:
    """Files that were redirected are known by id and version; a new file, or new bytes, make a new redirect."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    moved(ledger, plan, State.DONE)
    assert recorded(ledger, lease, a_redirect(id="r2")) == ()
    changed = a_file(1, file=replace(a_file(1).file, version="v2"))
    (new,) = recorded(ledger, lease, a_redirect(id="r2", files=(a_file(1), changed, a_file(2), a_file(2))))
    assert new.files == (changed, a_file(2))
    assert [each.id for each in ledger.redirects()] == ["r1", "r2"]


# --- what a human ended -------------------------------------------------------------------------------------------


def test_what_a_human_dropped_stays_so(ledger: Ledger) -> None:
    """A message that a human took out is not planned again, also under another id after it was moved."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    moved(ledger, plan, State.DROPPED, ended_by="operator")
    assert recorded(ledger, lease, a_redirect(id="r2")) == ()
    assert recorded(ledger, lease, a_redirect(id="r2", item_id="moved", files=(a_file(7),))) == ()
    assert len(recorded(ledger, lease, a_redirect(id="r2", item_id="i", internet_message_id="<2@example.org>"))) == 1


def test_messages_without_a_message_id_are_told_apart(ledger: Ledger) -> None:
    """Dropping a message that has no Message-ID says nothing about others that have none."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect(internet_message_id=""))
    moved(ledger, plan, State.DROPPED, ended_by="operator")
    assert recorded(ledger, lease, a_redirect(id="r2", internet_message_id="")) == ()
    assert len(recorded(ledger, lease, a_redirect(id="r2", internet_message_id="", item_id="item-2"))) == 1


# --- revival ------------------------------------------------------------------------------------------------------


def test_a_dropped_redirect_is_revived_under_its_id(ledger: Ledger) -> None:
    """An item that comes back goes on under the id that its message may carry, from the start, with the new terms."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect(files=(a_file(1, stored=STORED),)))
    dropped = moved(ledger, plan, State.DROPPED, held_in=State.LINKED, reason="gone", missed=3, attempts=2)
    seen = a_file(1, rule="other", action=Action.COPY)
    again = a_redirect(id="r2", files=(seen,), due=NOW + MINUTE, settle=timedelta(0), internet_message_id="<new>")
    (revived,) = recorded(ledger, lease, again)
    assert revived == replace(
        again,
        id="r1",
        files=(replace(seen, stored=STORED),),
        revision=dropped.revision + 1,
    )
    assert ledger.redirects() == (revived,)
    assert told(ledger)[-1] == "redirect.revived"


def test_what_was_swept_is_copied_again(ledger: Ledger) -> None:
    """A redirect that is revived after the sweep has nothing in the store, and a later sweep sees it again."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect(files=(a_file(1, stored=STORED),), original=STORED))
    ledger.swept(moved(ledger, plan, State.DROPPED), NOW)
    (revived,) = recorded(ledger, lease, a_redirect(id="r2"))
    assert [each.stored for each in revived.files] == [None]
    assert revived.original is None
    dropped = moved(ledger, revived, State.DROPPED)
    assert ledger.droppable(lease.source, NOW + MINUTE) == (dropped,)


def test_a_revived_redirect_has_the_files_of_both(ledger: Ledger) -> None:
    """New files join the old ones in the old folder, under names of their own; a file that was gone comes anew."""
    lease = taken(ledger)
    old = (a_file(1), a_file(2, gone=True, stored=STORED), a_file(3))
    (plan,) = recorded(ledger, lease, a_redirect(files=old))
    moved(ledger, plan, State.DROPPED)
    other = a_file(4, path="store/r2/1.PDF", file=File(id="file-4", name="1.PDF", size=9))
    back = a_file(2, path="store/r2/2.pdf")
    (revived,) = recorded(ledger, lease, a_redirect(id="r2", folder="store/r2", files=(a_file(3), other, back)))
    assert revived.folder == "store/r1"
    assert paths(revived) == [f"store/r1/{name}" for name in ("1.pdf", "2.pdf", "3.pdf", "1 (2).PDF", "2 (2).pdf")]
    assert [each.gone for each in revived.files] == [False, True, False, False, False]
    assert [each.stored for each in revived.files] == [None, STORED, None, None, None]


def test_a_revived_plan_may_be_held(ledger: Ledger) -> None:
    """Where the policy asks for a human by now, the revived redirect is held."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    moved(ledger, plan, State.DROPPED)
    held = a_redirect(id="r2", state=State.HELD, held_in=State.PLANNED, reason="rule big")
    (revived,) = recorded(ledger, lease, held)
    assert (revived.id, revived.state, revived.held_in, revived.reason) == ("r1", State.HELD, State.PLANNED, "rule big")
    assert told(ledger)[-1] == "redirect.held"


def test_of_two_dropped_redirects_the_newer_is_revived(ledger: Ledger) -> None:
    """No file ever belongs to two redirects: what the older one had stays where it is."""
    lease = taken(ledger)
    (first,) = recorded(ledger, lease, a_redirect())
    first = moved(ledger, first, State.DONE)
    (second,) = recorded(ledger, lease, a_redirect(id="r2", created=NOW + MINUTE, files=(a_file(2),)))
    moved(ledger, first, State.DROPPED)
    moved(ledger, second, State.DROPPED)
    (revived,) = recorded(ledger, lease, a_redirect(id="r3", files=(a_file(1), a_file(2))))
    assert revived.id == "r2"
    assert [each.file.id for each in revived.files] == ["file-2"]


# --- killed in the middle -----------------------------------------------------------------------------------------


def _page(ledger: Ledger, lease: Lease) -> None:
    dropped: tuple[RedirectedFile, ...] = (a_file(1), a_file(2))
    plans = [
        a_redirect(id="r9", files=dropped),
        a_redirect(id="r2", item_id="item-2"),
        a_redirect(id="r3", item_id="3"),
    ]
    ledger.record(lease, plans, {"item-9": NOW}, cursor="after", complete=True, now=NOW, looked=("item-8",))


def _seen(ledger: Ledger) -> tuple[object, ...]:
    looks = ledger.look_again("acme/anna", NOW)
    return ledger.redirects(), ledger.watched(), looks, [each.hash for each in ledger.events()]


def _record_until(url: str, statement: int, lease: Lease) -> None:  # pragma: no cover - runs in the process that dies
    ledger = Ledger(url)
    left = iter(range(statement, -1, -1))

    def kill(*_: object) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    driven = sql.driven

    def killing(connection: Connection, words: str, *values: Mapping[str, Any]) -> Any:
        kill()
        return driven(connection, words, *values)

    # What does not go through the one goes through the other.
    event.listen(ledger._engine, "before_cursor_execute", kill)
    sql.driven = killing
    event.listen(ledger._engine, "commit", kill)
    _page(ledger, lease)


def _killed_at(url: str, statement: int, lease: Lease) -> bool:
    """Record the page in a process that is killed before its n-th statement. False where it has fewer."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the process that dies
        try:
            _record_until(url, statement, lease)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_a_killed_process_leaves_all_or_nothing(ledger: Ledger, ledger_url: str) -> None:
    """Killed before any statement of a page, or before its commit, the process leaves the ledger as it was."""
    lease = taken(ledger)
    (plan,) = recorded(ledger, lease, a_redirect())
    moved(ledger, plan, State.DROPPED)
    ledger.record(lease, (), {"item-8": NOW}, cursor="before", complete=False, now=NOW)
    before = _seen(ledger)
    statement = 0
    while _killed_at(ledger_url, statement, lease):
        assert _seen(ledger) == before
        assert ledger.broken_link("acme") is None
        statement += 1
    assert statement > 15
    after = _seen(ledger)
    assert after != before
    _page(ledger, lease)
    assert _seen(ledger)[0] == after[0]
