"""Recoverable Items: how full they are, and that nothing is changed in a mailbox where they are nearly full."""

from pathlib import Path

import pytest
from exchangelib import ExtendedProperty, Folder

from connector.flow.decisions import recall
from connector.flow.redirect import tick
from connector.flow.turn import FULL_PAUSE
from connector.simulator import Exchange
from connector.sources.ews import EwsMailbox
from connector.sources.memory import Attached, MemorySource
from connector.watching.status import status
from tests.crash.test_every_effect import policy
from tests.ews import ANNA, eml, settings
from tests.exchange import Owner, new_body, outlook, said
from tests.world import SOURCE_VERBS, Saboteur, World

PLAN = Attached("plan.pdf", b"%PDF" * 25_000)


class _Size(ExtendedProperty):  # type: ignore[misc]  # exchangelib is untyped
    """PidTagMessageSizeExtended, as exchangelib's own manual has it."""

    property_tag = 0x0E08
    property_type = "Long"


@pytest.fixture
def source(exchange: Exchange, anna: Owner, monkeypatch: pytest.MonkeyPatch) -> EwsMailbox:
    """Anna's mailbox, where a million bytes may be recoverable."""
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
    mailboxes = settings(exchange, recoverable_items_quota="1 MB")
    (source,) = mailboxes.sources()
    return source


def _used(source: EwsMailbox) -> int:
    room = source.room()
    assert room
    assert room.quota == 1024**2
    return room.used


def test_what_is_deleted_softly_takes_room_until_it_is_purged(
    exchange: Exchange, anna: Owner, source: EwsMailbox
) -> None:
    """The size of all folders below Recoverable Items, in one request."""
    items = [exchange.deliver(ANNA, eml(PLAN)) for _ in range(3)]
    assert _used(source) == 0
    anna.delete(*items[:2], kind="SoftDelete")
    before = len(exchange.seen)
    assert 200_000 < _used(source) < 220_000
    assert exchange.seen[before:] == ["FindFolder"]
    anna.delete(*anna.find("recoverableitemsdeletions"))
    assert _used(source) == 0


def test_with_single_item_recovery_versions_and_purges_take_room(
    exchange: Exchange, anna: Owner, source: EwsMailbox
) -> None:
    """An edit leaves the message as it was; a purge leaves it out of reach; a read flag leaves nothing."""
    exchange.order(single_item_recovery=ANNA)
    item = exchange.deliver(ANNA, eml(PLAN))
    anna.update(
        item,
        '<t:SetItemField><t:FieldURI FieldURI="message:IsRead"/><t:Message><t:IsRead>true</t:IsRead>'
        "</t:Message></t:SetItemField>",
    )
    assert _used(source) == 0
    anna.update(item, new_body("x"))
    assert 100_000 < _used(source) < 110_000
    anna.attachments(*said(anna.item(item), "t:AttachmentId"), operation="Delete")
    assert 200_000 < _used(source) < 220_000
    (version, _) = anna.find("recoverableitemsversions")
    assert said(anna.item(version), "t:FileAttachment/t:Name") == ["plan.pdf"]
    anna.delete(item)
    assert len(anna.find("recoverableitemspurges")) == 1
    exchange.order(forget_recoverable=ANNA)
    assert _used(source) == 0


def test_exchangelib_reads_the_same_sizes(exchange: Exchange, anna: Owner, source: EwsMailbox) -> None:
    """A client that we did not write."""
    Folder.register("size_of_all", _Size)
    try:
        anna.delete(exchange.deliver(ANNA, eml(PLAN)), kind="SoftDelete")
        root = outlook(exchange, ANNA).recoverable_items_root
        sizes = {folder.name: folder.size_of_all for folder in root.walk()}
        assert sizes == {"Deletions": _used(source), "Versions": 0, "Purges": 0}
    finally:
        Folder.deregister("size_of_all")


def test_a_server_that_does_not_tell_is_not_taken_for_an_empty_one(
    exchange: Exchange, source: EwsMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such folder, or no sizes: there is no answer."""
    monkeypatch.setattr("connector.simulator.properties.folder_value", lambda *_: None)
    assert source.room() is None


# --- what it does to the flow --------------------------------------------------------------------------------------

FILLING = 70


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once, with room for a hundred bytes."""
    world = World(tmp_path / "ledger.db", policy())
    world.mailbox.quota = 100
    return world


def _tick(world: World) -> list[str]:
    """One tick; the verbs of the source that it used."""
    saboteur = Saboteur()
    with world.process(saboteur) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    return [verb for verb in saboteur.seen if verb in SOURCE_VERBS]


def _paused(world: World) -> list[str]:
    with world.process() as (_, ledger):
        return [each.reason for each in status(ledger, world.ledger_file.parent, world.clock()).paused]


def test_a_mailbox_stops_at_70_percent_of_its_recoverable_items(world: World) -> None:
    """Files are copied, nothing else; status says why and what to do; it goes on by itself when there is room."""
    world.mailbox.recoverable = FILLING
    world.deliver(PLAN)
    before = world.mailbox.items()
    assert _tick(world) == ["open", "room"]
    assert world.mailbox.items() == before
    assert world.manifest_free()
    (reason,) = _paused(world)
    assert "Recoverable Items of anna@example.org are at 70 % of" in reason
    assert "raise RecoverableItemsQuota" in reason
    # It is not asked at every tick.
    assert _tick(world) == []
    world.mailbox.recoverable = FILLING - 1
    world.now += FULL_PAUSE
    assert _tick(world)[0] == "room"
    assert _paused(world) == []
    assert not world.lost()
    assert [each.files for each in world.mailbox.items()] == [()]


def test_room_is_asked_for_once_in_a_tick_and_only_where_something_is_changed(world: World) -> None:
    """An idle mailbox is not asked; five messages need one answer."""
    assert "room" not in _tick(world)
    world.mailbox.quota = 10**9
    for _ in range(5):
        world.deliver(PLAN)
    assert _tick(world).count("room") == 1
    assert "room" not in _tick(world)


def test_nothing_is_put_back_into_a_full_mailbox(world: World) -> None:
    """A restore waits too, and both sides stay as they are."""
    world.mailbox.quota = 10**9
    world.deliver(PLAN)
    world.run()
    world.mailbox.recoverable = 10**9
    before = world.mailbox.items()
    with world.process() as (_, ledger):
        (redirect,) = ledger.redirects()
        recall(redirect, ledger, world.clock(), "anna")
    assert _tick(world) == ["room"]
    assert world.mailbox.items() == before
    world.mailbox.recoverable = 0
    world.run()
    assert [len(each.files) for each in world.mailbox.items()] == [1]


def test_a_source_that_does_not_tell_its_room_is_not_stopped(world: World) -> None:
    """No such folder, or another kind of server."""

    class Silent(MemorySource):
        def room(self) -> None:  # type: ignore[override]
            """Nobody knows."""

    world.deliver(PLAN)
    world.run(source=Silent)
    assert [each.files for each in world.mailbox.items()] == [()]


def test_many_that_wait_for_room_do_not_keep_others_from_being_copied(world: World) -> None:
    """The ledger hands out a hundred at a time."""
    world.mailbox.recoverable = FILLING
    for _ in range(105):
        world.deliver(PLAN)
    _tick(world)
    _tick(world)
    assert len(world.manifest_free()) == 105
    world.deliver(PLAN)
    _tick(world)
    assert len(world.manifest_free()) == 106
