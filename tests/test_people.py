"""What people decide about their messages themselves, by a category or a folder: only so that more stays in them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.model import Page, State
from connector.policy import Policy, Wish
from connector.sources.memory import Attached, MemoryMailbox, MemorySource
from tests.crash.test_every_effect import policy
from tests.logged import Lines
from tests.test_redirect import events, only, redirects, step
from tests.world import World

FILE = Attached("report.pdf", b"%PDF-1.7 report")
PEOPLE = {
    "keep_when": {"category": "Keep attachments", "folder": "Keep"},
    "restore_when": {"category": "Give back", "folder": "Give back"},
}


def heeding(**rule: object) -> Policy:
    """Everything goes, unless people say otherwise."""
    return policy(**rule).model_copy(update={name: Wish.model_validate(wish) for name, wish in PEOPLE.items()})


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox whose owner has a say."""
    return World(tmp_path / "ledger.db", heeding())


@pytest.mark.parametrize("category", ["KEEP attachments", "give back"])
def test_a_category_keeps_a_message(world: World, category: str) -> None:
    """In any case of letters; also one that asks for what was never taken."""
    world.deliver(FILE, categories=("Red", category))
    world.run()
    assert redirects(world) == ()


@pytest.mark.parametrize("folder", ["Keep", "Inbox/keep/2026", "Give back"])
def test_a_folder_keeps_a_message(world: World, folder: str) -> None:
    """With what is below it."""
    world.deliver(FILE, folder=folder)
    world.run()
    assert redirects(world) == ()


def test_others_are_redirected(world: World) -> None:
    """A category or folder of another name says nothing."""
    world.deliver(FILE, categories=("Keep",), folder="Inbox/Keeper")
    world.run()
    assert only(world).state is State.DONE


@pytest.mark.parametrize("looking", [{}, {"when": {"true_type": "pdf"}}])
def test_a_category_during_settle_keeps_a_message(tmp_path: Path, looking: dict[str, Any]) -> None:
    """The policy is asked once more before anything shows; also one that looks into files."""
    world = World(tmp_path / "ledger.db", heeding(settle="24h", **looking))
    item_id = world.deliver(FILE)
    step(world)
    world.mailbox.categorise(item_id, "Keep attachments")
    world.run()
    assert only(world).state is State.DROPPED
    assert not world.lost()


@pytest.mark.parametrize("replaces", [False, True])
def test_a_category_gives_attachments_back(tmp_path: Path, *, replaces: bool) -> None:
    """Without a ticket; and the message is not redirected again, also when the category is gone."""
    world = World(tmp_path / "ledger.db", heeding(), replace=replaces)
    world.deliver(FILE)
    before = world.view()
    world.run()
    assert world.view() != before
    world.mailbox.categorise(only(world).item_id, "Give back")
    world.run()
    assert world.view() == before
    assert only(world).state is State.RESTORED
    assert only(world).ended_by == "its owner"
    assert "redirect.recalled" in events(world)
    world.mailbox.categorise(world.mailbox.entries()[0].message.id)
    world.lose_cursors()
    world.run()
    assert world.view() == before


def test_a_feed_that_leaves_out_the_marker_of_what_has_no_attachments(world: World) -> None:
    """As that of Exchange does: whoever asks is looked at once more."""

    class Unmarked(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            for page in super().changes(cursor):
                yield replace(page, items=tuple(replace(item, marker="") for item in page.items))

    item_id = world.deliver(FILE)
    before = world.view()
    world.run(source=Unmarked)
    world.mailbox.categorise(item_id, "Give back")
    world.run(source=Unmarked)
    assert world.view() == before


def test_a_folder_gives_attachments_back(world: World) -> None:
    """The message has another id there."""
    item_id = world.deliver(FILE)
    world.run()
    world.mailbox.move(item_id, "Give back")
    world.run()
    (entry,) = world.mailbox.entries()
    assert list(entry.contents.values()) == [b"%PDF-1.7 report"]
    assert entry.message.folder == "Give back"


def test_a_copy_asks_for_nothing(world: World) -> None:
    """As long as the message itself is where it was."""
    item_id = world.deliver(FILE)
    world.run()
    world.mailbox.copy(item_id, "Give back")
    world.run()
    assert only(world).state is State.DONE


def elsewhere(world: World, folder: str) -> World:
    """Another mailbox of the house, into which the message was copied as it is now."""
    mailbox = MemoryMailbox(address="boss@example.org", key="another mailbox")
    other = World(world.ledger_file, world.policy, mailbox, world.store)
    (entry,) = world.mailbox.entries()
    mailbox._entries["item-boss"] = replace(entry, message=replace(entry.message, id="item-boss", folder=folder))
    mailbox._changed("item-boss")
    return other


def test_a_copy_in_another_mailbox_asks_for_nothing(world: World, lines: Lines) -> None:
    """There the message never answers under its id, and is not gone for that."""
    item_id = world.deliver(FILE)
    world.run()
    other = elsewhere(world, "Give back")
    other.run()
    assert (only(world).state, only(world).item_id) == (State.DONE, item_id)
    assert [each["event"] for each in lines() if each["event"].startswith("people.")] == ["people.elsewhere"]
    world.mailbox.categorise(item_id, "Give back")
    world.run()
    assert world.mailbox.items()[0].files


def test_a_copy_in_another_mailbox_takes_over_nothing(world: World) -> None:
    """While the message itself is missed, since it was moved between two effects."""
    item_id = world.deliver(FILE)
    world.run()
    with world.ledger() as ledger:
        (done,) = ledger.redirects()
        ledger.write(replace(done, state=State.REWRITTEN, missed=0), "redirect.deferred", world.now)
    step(elsewhere(world, "Inbox"))
    assert only(world).item_id == item_id


def test_asked_for_while_its_copy_settles(tmp_path: Path) -> None:
    """The feed tells it once, long before all is done."""
    world = World(tmp_path / "ledger.db", heeding(settle="24h"), replace=True)
    world.deliver(FILE)
    before = world.view()
    step(world)
    world.now += timedelta(days=1)
    step(world)
    assert only(world).state is State.REPLACED
    world.mailbox.categorise(only(world).item_id, "Give back")
    world.run()
    assert (only(world).state, world.view()) == (State.RESTORED, before)


def test_asked_for_while_it_is_held(world: World) -> None:
    """Its message shows links: whoever it belongs to need not wait for whoever decides."""
    item_id = world.deliver(FILE)
    before = world.view()
    world.run()
    with world.ledger() as ledger:
        held = replace(only(world), state=State.HELD, held_in=State.REWRITTEN)
        ledger.write(held, "redirect.held", world.now)
    world.mailbox.categorise(item_id, "Give back")
    world.run()
    assert (only(world).state, world.view()) == (State.RESTORED, before)


def test_a_rule_may_overrule_people(tmp_path: Path) -> None:
    """For both."""
    world = World(tmp_path / "ledger.db", heeding(overrules_people=True))
    item_id = world.deliver(FILE, categories=("Keep attachments",))
    world.run()
    assert only(world).state is State.DONE
    world.mailbox.categorise(item_id, "Give back")
    world.run()
    assert only(world).state is State.DONE


def test_copies_go_on(tmp_path: Path) -> None:
    """They leave a message as it is."""
    world = World(tmp_path / "ledger.db", heeding(action="copy"))
    world.deliver(FILE, categories=("Keep attachments",))
    world.run()
    assert len(world.manifest_free()) == 1


def test_a_mark_that_is_forged_gives_nothing_back(world: World) -> None:
    """Whoever plants one has no say about another message."""
    world.deliver(FILE)
    world.run()
    world.deliver(marker=f"1.{only(world).id}.1.00", categories=("Give back",))
    world.run()
    assert only(world).state is State.DONE


def test_what_is_on_its_way_is_not_recalled_twice(world: World) -> None:
    """Each change of the message comes by again."""
    item_id = world.deliver(FILE)
    world.run()
    world.mailbox.categorise(item_id, "Give back")
    step(world, 4)
    assert events(world).count("redirect.recalled") == 1
