"""`rewrite: replace`: no message is edited in place, and whatever happens on the way, it is there, whole, and once."""

from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import Unavailable
from connector.flow.decisions import recall, release
from connector.flow.redirect import tick
from connector.ledger import Ledger
from connector.model import File, Item, Message, Notice, State
from connector.sources.memory import Attached, MemorySource
from connector.spool import Spool
from tests.crash.test_every_effect import HALF, PNG, kills, policy
from tests.crash.test_every_effect import replaced as replaced_scene
from tests.test_manifest import reconciled, start
from tests.test_redirect import before, cut_power, done, events, only, redirects, step
from tests.test_restore import as_before, coming_back, recalled
from tests.test_sweep import GRACE, swept
from tests.world import Killed, Saboteur, World

FILE = Attached("a.bin", b"aaaa")
LOGO = Attached("logo.png", PNG, "image/png", inline=True, content_id="logo@example.org")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox whose messages are not edited in place."""
    return World(tmp_path / "ledger.db", policy(), replace=True)


def visible(world: World) -> list[Item]:
    """What the user sees."""
    return [entry.message for entry in world.mailbox.entries() if not entry.shelf]


def one(world: World) -> Item:
    """The only message that the user sees."""
    (message,) = visible(world)
    return message


def on_shelves(world: World) -> list[Item]:
    """What nobody sees."""
    return [entry.message for entry in world.mailbox.entries() if entry.shelf]


def ended(world: World) -> None:
    """As with any redirect; and nothing is left of the way."""
    done(world)
    assert one(world).marker
    assert not one(world).files
    assert not on_shelves(world)


# --- never in place -----------------------------------------------------------------------------------------------


class OnShelvesOnly(MemorySource):
    """A source that refuses to edit what a client may have seen."""

    def rewrite(self, item: Item, notice: Notice) -> None:
        self._must_be_hidden(item)
        super().rewrite(item, notice)

    def prune(self, item: Item, file_ids: Collection[str]) -> None:
        self._must_be_hidden(item)
        super().prune(item, file_ids)

    def put_back(self, item: Item, file: File, content: Spool) -> None:
        self._must_be_hidden(item)
        super().put_back(item, file, content)

    def retract(self, item: Item, redirect_id: str, *, keep_marker: bool = False) -> None:
        super().retract(item, redirect_id, keep_marker=keep_marker)
        # The marker, which no client shows, is the last to go.
        if self.fetch(item.id).body != item.body:
            self._must_be_hidden(item)

    def _must_be_hidden(self, item: Item) -> None:
        assert self._mailbox.entry(item.id).shelf, "edited in place"


def test_no_message_is_edited_in_place(world: World) -> None:
    """Neither when its attachments go nor when they come back; and in the end it is what it was."""
    world.deliver(LOGO, FILE, Attached("b.bin", b"bbbb"), read=True, categories=("Blue",), folder="Inbox/Project")
    first = one(world)
    world.run(source=OnShelvesOnly)
    done(world)
    (entry,) = world.mailbox.entries()
    assert (entry.message.id == first.id, entry.message.folder) == (False, "Inbox/Project")
    assert (entry.read, entry.categories, [file.name for file in entry.message.files]) == (
        True,
        ("Blue",),
        ["logo.png"],
    )
    recalled(world)
    world.run(source=OnShelvesOnly)
    as_before(world)
    (entry,) = world.mailbox.entries()
    assert (entry.read, entry.categories, entry.message.folder) == (True, ("Blue",), "Inbox/Project")
    assert [each.state for each in redirects(world)] == [State.RESTORED]


def test_other_tenants_messages_stay_what_they_are(world: World) -> None:
    """`in_place` needs no shelf."""
    world.replace = False
    item_id = world.deliver(FILE)
    saboteur = Saboteur()
    world.run(saboteur)
    done(world)
    assert one(world).id == item_id
    assert {"shelf", "stage", "shelve", "unshelve", "purge"}.isdisjoint(saboteur.seen)


def test_message_is_shown_twice_never_not_at_all(world: World) -> None:
    """At every moment somebody who looks finds it, with all that was in it."""
    world.deliver(FILE, LOGO)
    seen: set[int] = set()

    def look() -> None:
        seen.add(len(visible(world)))
        assert not world.hidden()
        assert not world.lost()

    world.run(Saboteur(between=look))
    assert seen == {1, 2}
    ended_with_logo = one(world)
    assert [file.name for file in ended_with_logo.files] == ["logo.png"]


def test_original_is_whole_until_settle_has_passed(world: World) -> None:
    """It lies on the shelf as it was; then it goes, on a fresh look at the message and at the store."""
    world.policy = policy(settle="24h")
    world.deliver(FILE)
    body = one(world).body
    step(world)
    world.now += timedelta(hours=24)
    step(world)
    assert only(world).state is State.REPLACED
    (original,) = on_shelves(world)
    assert (original.body, [file.name for file in original.files]) == (body, ["a.bin"])
    world.now += timedelta(hours=23)
    step(world)
    assert on_shelves(world) == [original]
    world.now += timedelta(hours=2)
    saboteur = Saboteur()
    with world.process(saboteur) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    ended(world)
    at = saboteur.seen.index("purge")
    assert {"fetch", "verify", "share"} <= set(saboteur.seen[:at])


# --- identity -----------------------------------------------------------------------------------------------------


def test_copy_that_a_killed_process_placed_is_known(world: World) -> None:
    """It was told in the mailbox and not in the ledger."""
    world.deliver(FILE)
    with pytest.raises(Killed):
        world.run(after("unshelve", cut_power))
    assert not world.hidden()
    world.run()
    ended(world)


def test_copy_of_a_killed_process_is_found_again(world: World) -> None:
    """It has no marker yet: it is known by the shelf on which it lies, and makes room for another one."""
    world.deliver(FILE)
    with pytest.raises(Killed):
        world.run(after("stage", cut_power))
    assert len(on_shelves(world)) == 1
    world.run()
    ended(world)


def test_of_two_copies_one_is_removed(world: World) -> None:
    """Answers got lost twice, and copies were made twice."""
    item_id = world.deliver(FILE)
    step(world, source=Unreachable)
    source = MemorySource(world.mailbox)
    for _ in range(2):
        source.stage(item_id, only(world).id)
    world.now += timedelta(hours=1)
    world.run()
    ended(world)


class Unreachable(MemorySource):
    """No shelf answers."""

    def shelf(self, redirect_id: str) -> tuple[Message, ...]:
        raise Unavailable("not now")


def test_copy_that_is_not_like_the_message_never_takes_its_place(world: World) -> None:
    """A server that loses something while it copies: a human is asked, and the message stays as it is."""

    class Forgetful(MemorySource):
        def stage(self, item_id: str, redirect_id: str) -> str:
            copy_id = super().stage(item_id, redirect_id)
            self._mailbox.entry(copy_id).categories = ()
            return copy_id

    item_id = world.deliver(FILE, categories=("Blue",))
    world.run(source=Forgetful)
    assert only(world).state is State.HELD
    assert one(world).id == item_id
    assert not on_shelves(world)


def test_staged_copy_is_not_taken_for_the_message_that_was_moved(world: World) -> None:
    """It bears our marker, but no search looks on a shelf; the message is planned anew, with all its files."""
    item_id = world.deliver(FILE)
    world.run(before("unshelve", 1, lambda: world.mailbox.move(item_id, "Inbox/Project")))
    assert not world.lost()
    first, second = sorted(redirects(world), key=lambda each: each.created)
    assert (first.state, second.state) == (State.DROPPED, State.DONE)
    assert one(world).folder == "Inbox/Project"
    assert not one(world).files
    assert not on_shelves(world)


def test_message_that_is_moved_during_settle_is_followed(world: World) -> None:
    """By its marker, as ever; and its original leaves the shelf."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    world.mailbox.move(one(world).id, "Deleted Items")
    world.run()
    ended(world)
    assert "redirect.adopted" in events(world)


# --- users act ----------------------------------------------------------------------------------------------------


def after(verb: str, act: Callable[[], object]) -> Saboteur:
    """Somebody acts right after the first call of this verb: before anything else happens."""
    saboteur = Saboteur()
    acted: list[bool] = []

    def between() -> None:
        if not acted and saboteur.seen[-1:] == [verb]:
            acted.append(True)
            act()

    saboteur.between = between
    return saboteur


def remark(world: World, item_id: str) -> None:
    """The user writes something above."""
    body = world.mailbox.entry(item_id).message.body
    assert body
    world.mailbox.edit_body(item_id, "A remark. " + body.content)


#: What a user does to the message, and what shows it.
TOUCHES: dict[str, tuple[Callable[[World, str], object], Callable[[World, Any], bool]]] = {
    "read": (
        lambda world, item_id: world.mailbox.mark_read(item_id),
        lambda world, item: world.mailbox.entry(item.id).read,
    ),
    "remark": (remark, lambda _, item: "A remark." in str(item.body)),
    "attach": (
        lambda world, item_id: world.mailbox.attach(item_id, Attached("new.bin", b"new")),
        lambda world, item: b"new" in {*world.mailbox.entry(item.id).contents.values(), *world.shown(item).values()},
    ),
}


@pytest.mark.parametrize("verb", ["stage", "rewrite", "prune", "unshelve"])
@pytest.mark.parametrize("touch", TOUCHES)
def test_what_a_user_does_to_the_message_meanwhile_stays(world: World, touch: str, verb: str) -> None:
    """The copy is thrown away, and the steps begin again with the message as it is now."""
    act, shows = TOUCHES[touch]
    item_id = world.deliver(FILE)
    world.run(after(verb, lambda: act(world, item_id)))
    assert not world.lost()
    assert shows(world, one(world))
    assert not on_shelves(world)
    assert one(world).marker
    assert all(file.name != "a.bin" for file in one(world).files)


@pytest.mark.parametrize("touch", TOUCHES)
def test_touched_in_the_moment_when_it_moves(world: World, touch: str) -> None:
    """Between the last look and the move: seen on the shelf, and taken back."""
    act, shows = TOUCHES[touch]
    item_id = world.deliver(FILE)
    world.run(before("shelve", 1, lambda: act(world, item_id)))
    assert not world.lost()
    assert shows(world, one(world))
    assert not on_shelves(world)
    assert one(world).marker


@pytest.mark.parametrize("touch", TOUCHES)
def test_copy_that_is_touched_as_soon_as_it_is_visible(world: World, touch: str) -> None:
    """It is the message by now."""
    act, shows = TOUCHES[touch]
    world.deliver(FILE)
    world.run(after("unshelve", lambda: act(world, visible(world)[-1].id)))
    assert not world.lost()
    assert shows(world, one(world))
    assert not on_shelves(world)


@pytest.mark.parametrize("late", [False, True])
def test_both_touched_while_both_are_visible(world: World, late: bool) -> None:  # noqa: FBT001 - a parameter
    """Each stays, as a message of its own: nothing that a user has touched is thrown away; not at the last moment."""
    item_id = world.deliver(FILE)
    saboteur = after("unshelve", lambda: world.mailbox.mark_read(item_id))

    def touch_copy(verb: str) -> None:
        bare = [each.id for each in visible(world) if each.id != item_id and "A remark." not in str(each.body)]
        if verb == ("shelve" if late else "fetch") and world.mailbox.entry(item_id).read and bare:
            remark(world, bare[0])

    saboteur.entering = touch_copy
    world.run(saboteur)
    assert not world.lost()
    entries = [world.mailbox.entry(item.id) for item in visible(world)]
    touched = sorted((entry.read, "A remark." in str(entry.message.body)) for entry in entries)
    assert touched == [(False, True), (True, False)]
    assert not on_shelves(world)


def test_copy_that_is_deleted_as_soon_as_it_is_visible(world: World) -> None:
    """The message is still there: it is copied again."""
    world.deliver(FILE)
    world.run(after("unshelve", lambda: world.mailbox.delete(visible(world)[-1].id)))
    ended(world)


def test_copy_that_is_moved_as_soon_as_it_is_visible(world: World) -> None:
    """It is found by its marker, and it is the message."""
    world.deliver(FILE)
    world.run(after("unshelve", lambda: world.mailbox.move(visible(world)[-1].id, "Inbox/Project")))
    ended(world)
    assert one(world).folder == "Inbox/Project"


@pytest.mark.parametrize("act", ["move", "delete"])
def test_message_that_leaves_while_its_copy_is_visible(world: World, act: str) -> None:
    """The copy stays; what was moved is planned anew. Nothing that somebody may want is deleted."""
    item_id = world.deliver(FILE)

    def leave() -> None:
        if act == "move":
            world.mailbox.move(item_id, "Inbox/Project")
        else:
            world.mailbox.delete(item_id)

    world.run(before("shelve", 1, leave))
    assert not world.lost()
    assert {item.folder for item in visible(world)} == ({"Inbox", "Inbox/Project"} if act == "move" else {"Inbox"})
    assert not on_shelves(world)


@pytest.mark.parametrize("verb", ["rewrite", "prune", "unshelve"])
def test_message_that_is_deleted_meanwhile(world: World, verb: str) -> None:
    """Its copy goes too; nothing of it comes back."""
    item_id = world.deliver(FILE)
    world.run(before(verb, 1, lambda: world.mailbox.delete(item_id)))
    assert not world.mailbox.items()
    assert only(world).state is State.DROPPED


def test_message_that_is_deleted_during_settle_leaves_its_shelf_in_the_end(tmp_path: Path) -> None:
    """Not before the grace time, nor while a message bears our mark; the stored files stay for whoever recovers it."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"), replace=True)
    world.deliver(FILE)
    world.store.clock = world.clock
    while not on_shelves(world) or only(world).state is not State.REPLACED:
        step(world)
        world.now += timedelta(hours=1)
    elsewhere = world.mailbox.copy(one(world).id, "Deleted Items")
    for each in visible(world):
        if each.id != elsewhere:
            world.mailbox.delete(each.id)
    world.mailbox.change(elsewhere, marker="")
    world.run()
    assert (only(world).state, len(on_shelves(world))) == (State.DROPPED, 1)
    assert swept(world) == 0
    world.now += GRACE
    marked = world.deliver(marker=f"1.{only(world).id}.1.00")
    assert swept(world) == 0
    world.mailbox.delete(marked)
    assert swept(world) == 1
    assert not on_shelves(world)
    assert "shelf.cleared" in events(world)
    assert world.manifest_free()
    assert swept(world) == 0


@pytest.mark.parametrize("verb", ["rewrite", "prune", "unshelve"])
def test_shelf_that_somebody_cleared(world: World, verb: str) -> None:
    """The copy was only a copy."""
    world.deliver(FILE)
    world.run(before(verb, 1, lambda: MemorySource(world.mailbox).purge([each.id for each in on_shelves(world)], "")))
    ended(world)


def test_files_that_look_alike_are_told_apart_by_their_bytes(world: World) -> None:
    """The user attaches one of the same name and size: just the one leaves the copy that is behind the link."""
    item_id = world.deliver(FILE)
    world.run(before("shelf", 1, lambda: world.mailbox.attach(item_id, Attached("a.bin", b"zzzz"))))
    done(world)
    (entry,) = world.mailbox.entries()
    assert list(entry.contents.values()) == [b"zzzz"]


@pytest.mark.parametrize("wiped", [True, False])
def test_file_that_looks_like_one_that_went_stays(world: World, *, wiped: bool) -> None:
    """Attached while the original lies on the shelf, and then moved, or copied for a notice that somebody wiped."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    world.mailbox.attach(one(world).id, Attached("a.bin", b"zzzz"))
    if wiped:
        world.mailbox.edit_body(one(world).id, "<html><body>mine</body></html>")
    else:
        world.mailbox.move(one(world).id, "Inbox/Project")
    world.run()
    done(world)
    (entry,) = world.mailbox.entries()
    assert list(entry.contents.values()) == [b"zzzz"]


# --- before anything is destroyed ---------------------------------------------------------------------------------


def in_state(world: World, state: State) -> None:
    """So far, and no further."""
    with world.process() as (watch, ledger):
        for _ in range(20):
            tick(watch, ledger, world.clock, "one")
            if only(world).state is state:
                return
            world.now += timedelta(minutes=10)
    raise AssertionError(only(world))


def power_cut_in(world: World, state: State) -> None:
    """So far as well; here in the middle of a tick, before the first effect of the step that would follow."""

    def strike(verb: str) -> None:
        if verb != "write" and redirects(world) and only(world).state is state:
            raise Killed

    with pytest.raises(Killed):
        world.run(Saboteur(entering=strike))


def test_purge_sees_that_the_notice_is_out(world: World) -> None:
    """The user wiped it while the original lay on the shelf: the links are shown again before anything goes."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    world.mailbox.edit_body(one(world).id, "<html><body>mine</body></html>")
    world.run(source=OnShelvesOnly)
    ended(world)
    assert "mine" in str(one(world).body)


@pytest.mark.parametrize("damage", ["deleted", "replaced"])
def test_purge_sees_that_the_stored_bytes_are_wrong(world: World, damage: str) -> None:
    """Held; and what the message took the place of is still in the mailbox."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    (path,) = world.manifest_free()
    if damage == "deleted":
        del world.store.files[path]
    else:
        world.store.files[path] = b"rotten"
    world.run()
    assert (only(world).state, only(world).held_in) == (State.HELD, State.REPLACED)
    (original,) = on_shelves(world)
    assert list(world.mailbox.entry(original.id).contents.values()) == [b"aaaa"]


def test_stored_bytes_are_wrong_before_the_swap(world: World) -> None:
    """Held; the message was never touched."""
    item_id = world.deliver(FILE)

    def rot() -> None:
        (path,) = world.manifest_free()
        world.store.files[path] = b"rotten"

    world.run(before("verify", 1, rot))
    assert only(world).state is State.HELD
    assert (one(world).id, len(one(world).files)) == (item_id, 1)


def test_stored_file_is_lost_before_the_swap(world: World) -> None:
    """It is copied again from the message."""
    world.deliver(FILE)

    def lose() -> None:
        (path,) = world.manifest_free()
        del world.store.files[path]

    world.run(before("verify", 1, lose))
    ended(world)


@pytest.mark.parametrize("verb", ["prune", "unshelve"])
def test_stored_file_is_lost_during_the_swap(world: World, verb: str) -> None:
    """A process may die between a finished copy and the swap, and much may happen until the next one starts."""
    world.deliver(FILE)

    def lose() -> None:
        (path,) = world.manifest_free()
        del world.store.files[path]

    world.run(after(verb, lose))
    ended(world)
    assert not world.lost()


@pytest.mark.parametrize("verb", ["prune", "unshelve"])
def test_stored_bytes_are_wrong_during_the_swap(world: World, verb: str) -> None:
    """A human decides; the message is as it was, and there once."""
    world.deliver(FILE)

    def rot() -> None:
        (path,) = world.manifest_free()
        world.store.files[path] = b"rot"

    world.run(after(verb, rot))
    assert only(world).state is State.HELD
    assert len(one(world).files) == 1
    assert not world.lost()


def test_server_that_says_yes_and_deletes_nothing(world: World) -> None:
    """Only an empty shelf is believed."""

    class Lazy(MemorySource):
        def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
            pass

    world.deliver(FILE)
    world.run(source=Lazy)
    assert only(world).state is State.HELD
    assert not world.lost()


def test_message_that_somebody_else_put_on_the_shelf(world: World) -> None:
    """It is not ours, and stays."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    other = world.mailbox.deliver(Attached("other.bin", b"other"), sensitivity="private")
    in_state(world, State.REPLACED)
    MemorySource(world.mailbox).shelve(other, only(world).id)
    world.run()
    done(world)
    assert [each.subject for each in on_shelves(world)] == ["Message 4"]


# --- the ledger can be wrong --------------------------------------------------------------------------------------


def test_lost_ledger_finds_what_lies_on_the_shelf(world: World) -> None:
    """It waits for settle once more, and goes on the same proofs."""
    world.policy = policy(settle="24h")
    world.deliver(FILE)
    start(world)
    in_state(world, State.STORED)
    world.now += timedelta(hours=25)
    in_state(world, State.REPLACED)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    assert reconciled(world) == 1
    assert on_shelves(world)
    world.run()
    ended(world)


def test_what_no_ledger_knows_is_not_deleted_with_a_file_that_is_nowhere_else(world: World) -> None:
    """Then a human looks first."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    source = MemorySource(world.mailbox)
    twin = world.mailbox.copy(one(world).id)
    world.mailbox.attach(twin, Attached("only here.bin", b"only here"))
    source.shelve(twin, only(world).id)
    world.run()
    assert (only(world).state, only(world).held_in) == (State.HELD, State.REPLACED)
    assert len(on_shelves(world)) == 2


@pytest.mark.parametrize("state", [State.LINKED, State.REWRITTEN, State.STAGED, State.PLACED, State.REPLACED])
def test_power_cut_in_every_state(world: World, state: State) -> None:
    """A restart finds both halves."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    power_cut_in(world, state)
    assert not world.hidden()
    assert not world.lost()
    world.run()
    ended(world)


def test_tenant_that_changes_its_mind(world: World) -> None:
    """What was begun in one way ends well in the other."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    in_state(world, State.REPLACED)
    world.replace = False
    world.run()
    ended(world)
    world.deliver(Attached("b.bin", b"bbbb"))
    with pytest.raises(Killed):
        world.run(before("prune", 1, cut_power))
    world.replace = True
    world.run(source=OnShelvesOnly)
    assert not world.lost()
    assert {each.state for each in redirects(world)} == {State.DONE}
    assert not on_shelves(world)


# --- undo ---------------------------------------------------------------------------------------------------------


STATES = [State.PLANNED, State.STORED, State.LINKED, State.REWRITTEN, State.STAGED, State.PLACED, State.REPLACED]


@pytest.mark.parametrize("state", STATES)
def test_recalled_on_the_way(world: World, state: State) -> None:
    """However far it has come, the message ends as it was, and is there once."""
    world.policy = policy(settle="1h")
    world.deliver(FILE, LOGO)
    power_cut_in(world, state)
    recalled(world)
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    with pytest.raises(ValueError, match="nothing to put back"):
        recall(only(world), ledger, world.clock(), "operator")
    ledger.close()
    world.run(source=OnShelvesOnly)
    as_before(world)
    assert only(world).state is State.RESTORED
    assert len(world.mailbox.entries()) == 1


def test_held_while_it_goes_back_is_still_going_back_when_it_is_released(world: World) -> None:
    """Whoever lets it go on has not changed his mind about the message."""
    world.deliver(FILE)
    world.run()
    recalled(world)
    (path,) = world.manifest_free()
    stored = world.store.files.pop(path)
    world.run()
    assert (only(world).state, only(world).held_in) == (State.HELD, State.RECALLED)
    world.store.files[path] = stored
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    release(only(world), ledger, world.clock(), "operator")
    ledger.close()
    world.run()
    world.mailbox.lose_cursors()
    world.run()
    as_before(world)
    assert only(world).state is State.RESTORED


@pytest.mark.parametrize("nth", range(1, 16))
@pytest.mark.parametrize("touch", TOUCHES)
def test_users_act_while_it_comes_back(world: World, touch: str, nth: int) -> None:
    """What they did stays, wherever between two looks it happens."""
    act, shows = TOUCHES[touch]
    world.deliver(FILE)
    world.run()
    recalled(world)
    world.run(before("fetch", nth, lambda: act(world, visible(world)[-1].id)))
    assert not world.lost()
    assert any(shows(world, item) for item in visible(world))
    assert only(world).state is State.RESTORED
    assert not on_shelves(world)


@pytest.mark.no_cover  # it would take three times as long, and nothing is reached here alone
@HALF
def test_restore_survives_a_kill_at_every_effect(tmp_path: Path, when: str) -> None:
    """Nothing is lost or out of sight, nothing comes back twice, and in the end each message is what it was."""
    died = 0
    for at, world, killed in kills(coming_back(replaced_scene), tmp_path, when):
        died += killed
        assert not world.lost(), f"killed {when} effect {at}"
        assert not world.hidden(), f"killed {when} effect {at}"
        world.run()
        as_before(world)
        assert len(world.mailbox.entries()) == 2, f"killed {when} effect {at}"
    assert died >= 30
