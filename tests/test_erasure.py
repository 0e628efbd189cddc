"""Nothing of a person is kept: tombstones, then links, then files; then nobody can tell of whom the trail speaks."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.flow.decisions import drop, recall
from connector.flow.erasure import left, sources_of, want
from connector.flow.sweep import sweep
from connector.ledger import Event
from connector.model import State
from connector.sources.memory import Attached
from tests.crash.test_every_effect import kills, policy
from tests.test_redirect import events, redirects
from tests.test_retention import GRACE, body, tells_the_end
from tests.world import TENANT, Saboteur, World

DAY = timedelta(days=1)
FILE = Attached("report.pdf", b"%PDF-1.7 report")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two messages: one shows a link, the files of the other are back."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(FILE)
    world.deliver(Attached("report.pdf", b"%PDF-1.7 other"))
    world.run()
    second = world.mailbox.entries()[1].message.id
    with world.ledger() as ledger:
        recall(next(each for each in redirects(world) if each.item_id == second), ledger, world.now, "ada")
    world.run()
    assert {each.state for each in redirects(world)} == {State.DONE, State.RESTORED}
    return world


def wanted(world: World) -> int:
    """What an operator asks for."""
    with world.ledger() as ledger:
        return want(sources_of(world.mailbox.address.upper(), ledger), ledger, world.now)


def swept(world: World, saboteur: Saboteur | None = None, **changes: Any) -> None:
    """One sweep, a day later."""
    world.now += DAY
    with world.process(saboteur) as (watch, ledger):
        sweep(replace(watch, **changes), ledger, world.clock, "one", grace=GRACE, at_most=100)


def erased(world: World, saboteur: Saboteur | None = None) -> None:
    """All that follows: what was stored ends, and the next sweep forgets."""
    swept(world, saboteur)
    world.run(saboteur)
    swept(world, saboteur)


def gone(world: World) -> None:
    """The message says so, nothing is stored, and the ledger knows neither the redirects nor of whom events speak."""
    said = [body(world, number) for number in range(len(world.mailbox.entries()))]
    assert any(map(tells_the_end, said))
    assert not any("http" in each for each in said)
    assert not world.store.files
    assert not world.store.shares
    assert not redirects(world)
    with world.ledger() as ledger:
        assert ledger.erasures() == {}
        assert ledger.broken_link(TENANT) is None
        (source,) = ledger.watched()
        trail = list(ledger.events(tenant=TENANT))
        assert trail[-1].name == "person.erased"
        named = {each.source for each in trail}
        assert named.isdisjoint({ledger.pseudonym(TENANT, source.name), ledger.pseudonym(TENANT, source.address)})


def test_nothing_of_a_person_is_kept(world: World) -> None:
    """In that order; and once more, nothing happens to what came since."""
    before = [(each.number, each.hash) for each in _trail(world)]
    with world.ledger() as ledger:
        pseudonym = ledger.pseudonym(TENANT, ledger.watched()[0].name)
    assert (wanted(world), wanted(world)) == (2, 0)
    seen = Saboteur()
    erased(world, seen)
    gone(world)
    assert [each for each in seen.seen if each in {"rewrite", "revoke", "erase"}][:2] == ["rewrite", "revoke"]
    assert [(each.number, each.hash) for each in _trail(world)][: len(before)] == before
    # Overwritten, not only given up: neither in the file nor in its log is it any more to whom the pseudonym belonged.
    with closing(sqlite3.connect(world.ledger_file)) as database:
        assert database.execute("SELECT count(*) FROM subjects WHERE pseudonym = ?", (pseudonym,)).fetchone() == (0,)
    assert f"{world.mailbox.address}{pseudonym}".encode() not in world.ledger_file.read_bytes()

    world.deliver(FILE)
    world.run()
    swept(world)
    assert [each.state for each in redirects(world)] == [State.DONE]


@pytest.mark.no_cover
def test_an_erasure_survives_a_death_after_every_effect(tmp_path: Path) -> None:
    """Wherever it dies, the message never shows a link that opens nothing without saying so, and it ends the same."""

    def made(folder: Path) -> World:
        world = World(folder / "ledger.db", policy())
        world.deliver(FILE)
        world.run()
        wanted(world)
        return world

    for _, world, _ in kills(made, tmp_path, "after", erased):
        assert tells_the_end(body(world)) or world.store.files
        erased(world)
        erased(world)
        gone(world)


def test_nothing_ends_while_somebody_holds_his_hand_on_it(world: World) -> None:
    """It stays, and is named; from when nobody does any more, it goes on."""
    wanted(world)
    before = world.view()
    swept(world, on_hold=True)
    world.run()
    assert world.view() == before
    with world.ledger() as ledger:
        sources = sources_of(world.mailbox.address, ledger)
        names = [each.name for each in sources]
        (told,) = left(sources, ledger, names, names)
        assert (told.redirects, told.files, told.what[:14]) == (2, 2, "stays: its mai")
        (told,) = left(sources, ledger, [], [])
        assert "is not configured any more" in told.what
    erased(world)
    gone(world)


def test_what_waits_for_a_human_stays_until_he_decides(world: World) -> None:
    """And what was dropped, until the sweep has it."""
    with world.ledger() as ledger:
        one, other = redirects(world)
        held = ledger.write(replace(one, state=State.HELD, held_in=State.LINKED, was_shown=False), "held", world.now)
        wanted(world)
        sources = sources_of(world.mailbox.address, ledger)
        names = [each.name for each in sources]
        told = {each.what.partition(":")[0] for each in left(sources, ledger, [], names)}
        assert told == {"stays until you decide", "ends with the next sweep"}
        erased(world)
        assert [each.id for each in redirects(world)] == [one.id, other.id]
        drop(ledger.redirect(held.id) or held, ledger, world.now, "ada")
        (told_now,) = left(sources, ledger, [], names)
        assert told_now.what.startswith("is deleted by the sweep")
    assert "person.erased" not in events(world)


class Book:
    """A link service that only remembers what it is to forget."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[int, str]] = []

    def forget(self, redirects: list[str], person: str) -> None:
        self.forgotten.append((len(redirects), person))


def test_the_book_of_links_forgets_too(world: World) -> None:
    """Before the ledger does, so that a crash in between leaves somebody who knows what is left to do."""
    wanted(world)
    swept(world)
    world.run()
    book = Book()
    swept(world, publisher=book)
    assert book.forgotten == [(2, world.mailbox.address)]


def _trail(world: World) -> list[Event]:
    with world.ledger() as ledger:
        return list(ledger.events(tenant=TENANT))
