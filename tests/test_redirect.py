"""Every rule of the design that a first draft gets wrong, each in a test with its name."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest

from connector.errors import Conflict, ConnectorError, Corrupt, Denied, Edited, Gone, PartUnread, Rejected, Unavailable
from connector.flow import discover
from connector.flow.decisions import backed_up, drop, recall, release
from connector.flow.reactions import MOST_ATTEMPTS
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.flow.turn import LEASE
from connector.ledger import LeaseLost, Ledger, Stale, Taken
from connector.marker import sign
from connector.model import Item, Message, Notice, Page, Redirect, State, Stored
from connector.policy import Policy
from connector.sources.memory import Attached, MemorySource
from connector.spool import Spool
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.logged import Lines
from tests.world import KEY, START, TENANT, Killed, Saboteur, World

FILE = Attached("a.bin", b"aaaa")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once."""
    return World(tmp_path / "ledger.db", policy())


def step(world: World, ticks: int = 1, **mutants: Any) -> None:
    """So many ticks, without waiting for anything."""
    with world.process(**mutants) as (watch, ledger):
        for _ in range(ticks):
            tick(watch, ledger, world.clock, "one")
            world.now += timedelta(seconds=1)


def redirects(world: World) -> tuple[Redirect, ...]:
    """All that the ledger has."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    try:
        return ledger.redirects()
    finally:
        ledger.close()


def only(world: World) -> Redirect:
    """The one that the ledger has."""
    (redirect,) = redirects(world)
    return redirect


def events(world: World) -> list[str]:
    """The names of all that happened."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    try:
        return [event.name for event in ledger.events()]
    finally:
        ledger.close()


class Interrupted(MemorySource):
    """A source whose user acts right after (or before) our first call of one verb."""

    verb = ""
    act: Callable[[], None] | None = None
    first = False

    def rewrite(self, item: Item, notice: Notice) -> None:
        self._around("rewrite", lambda: super(Interrupted, self).rewrite(item, notice))

    def prune(self, item: Item, file_ids: Any) -> None:
        self._around("prune", lambda: super(Interrupted, self).prune(item, file_ids))

    def _around(self, verb: str, call: Callable[[], None]) -> None:
        act = type(self).act if verb == self.verb else None
        if act:
            type(self).act = None
        if act and self.first:
            act()
        call()
        if act and not self.first:
            act()


def acting(verb: str, act: Callable[[], object], *, first: bool = False) -> type[MemorySource]:
    """A source class for one test, in which `act` happens once."""
    return type("Acting", (Interrupted,), {"verb": verb, "act": staticmethod(act), "first": first})


def done(world: World) -> None:
    """Nothing is lost, every original has left its message, and every link opens."""
    assert not world.lost()
    assert [each.state for each in redirects(world)] == [State.DONE]


def test_a_rule_says_where_files_go_and_how_the_notice_speaks(tmp_path: Path) -> None:
    """A message has one place and one notice: those of its first file whose rule says so."""
    legal = policy(
        name="legal",
        when={"name": "b.bin"},
        destination="{tenant}/home/legal/{id}",
        notice="legal",
        retain={"file": "1d"},
    )
    world = World(tmp_path / "ledger.db", legal.model_copy(update={"rules": (*legal.rules, *policy().rules)}))
    world.notices = {"legal": world.wording.model_copy(update={"languages": ("fr",)})}
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    world.deliver(FILE)
    world.run()
    first, second = redirects(world)
    assert first.folder == f"acme/home/legal/{first.id}"
    assert second.folder == f"acme/home/2026/{second.id}"
    texts = [entry.message.body.content for entry in world.mailbox.entries() if entry.message.body]
    assert ["sont conservées" in text for text in texts] == [True, False]
    assert not world.lost()


# --- identity -----------------------------------------------------------------------------------------------------


def test_identity_before_effect(world: World) -> None:
    """The random id is committed before anything is touched, and the path in the store carries it."""
    world.deliver(FILE)

    class Watching(MemoryStore):
        def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
            assert any(each.id in path for each in redirects(world))
            return super().put(path, content, tags)

    world.store = Watching()
    world.run()
    done(world)


def test_moved_message_is_found_again_by_its_marker(world: World) -> None:
    """Exchange gives a moved message a new id, and its attachments too: work goes on where it stood."""
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))
    world.run(source=acting("rewrite", lambda: world.mailbox.move(item_id, "Inbox/Project")))
    done(world)
    (message,) = world.mailbox.items()
    assert message.folder == "Inbox/Project"
    assert not message.files
    assert "redirect.adopted" in events(world)


def test_a_copy_is_not_a_move(world: World) -> None:
    """A copy carries the marker too. It keeps its files, and starts nothing."""
    item_id = world.deliver(FILE)

    def copy_and_go_down() -> None:
        world.mailbox.copy(item_id, "Inbox/Copies")
        world.mailbox.busy = timedelta(seconds=30)

    step(world, source=acting("rewrite", copy_and_go_down))
    world.mailbox.busy = None
    world.run()
    done(world)
    assert {message.folder: len(message.files) for message in world.mailbox.items()} == {"Inbox": 0, "Inbox/Copies": 1}


def test_adopted_twin_starts_no_second_redirect(world: World) -> None:
    """Copied, then the first one deleted: one redirect goes on with the copy, and there is no second."""
    item_id = world.deliver(FILE)

    def copy_and_delete() -> None:
        world.mailbox.copy(item_id, "Inbox/Copies")
        world.mailbox.delete(item_id)

    world.run(source=acting("rewrite", copy_and_delete))
    done(world)


@pytest.mark.parametrize(
    "planted",
    [
        "1.0123456789abcdef0123.1.00",
        "nonsense",
        sign(b"x" * 32, redirect_id="r", generation=1, tenant=TENANT, internet_message_id="<forged@example.net>"),
        sign(KEY, redirect_id="r", generation=1, tenant=TENANT, internet_message_id="<another@example.net>"),
        sign(KEY, redirect_id="r", generation=1, tenant="other", internet_message_id="<forged@example.net>"),
        f"1.r.{'9' * 5000}.mac",
        "1.r.1.\ud800",
    ],
)
def test_marker_is_not_forgeable(world: World, planted: str) -> None:
    """A sender who plants a mark, even one taken from another message, does not dodge the policy; and it is told."""
    world.deliver(FILE, marker=planted, internet_message_id="<forged@example.net>")
    world.run()
    done(world)
    assert "marker.forged" in events(world)


def test_notice_quoted_in_a_reply_is_only_text(world: World) -> None:
    """The attribute in the HTML travels with every reply: it neither spares the reply nor makes it ours."""
    world.deliver(FILE)
    world.run()
    (first,) = world.mailbox.items()
    assert first.body
    quoting = replace(
        first.body, content=f"<html><body>Thanks!<blockquote>{first.body.content}</blockquote></body></html>"
    )
    world.deliver(Attached("answer.bin", b"answer"), body=quoting)
    world.run()
    assert not world.lost()
    reply = world.mailbox.items()[-1]
    assert reply.body
    assert not reply.files
    assert quoting.content.removeprefix("<html><body>") in reply.body.content
    assert len(redirects(world)) == 2


def test_rewritten_means_the_links_are_seen(world: World) -> None:
    """A server that says yes and writes nothing never gets to the prune: a human is asked."""

    class Forgetful(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            pass

    world.deliver(FILE)
    world.run(source=Forgetful)
    assert only(world).state is State.HELD
    assert world.mailbox.items()[0].files


def test_marker_without_links_is_rewritten_again(world: World) -> None:
    """A marker is only an index to the notice: where the body does not show it, it is written again."""

    class MarkerOnly(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            if not item.marker:
                self._mailbox.change(item.id, marker=notice.marker)
            else:
                super().rewrite(item, notice)

    world.deliver(FILE)
    world.run(source=MarkerOnly)
    done(world)


def test_links_without_marker_get_their_marker(world: World) -> None:
    """A body that shows the links, but has lost the mark, is marked before anything is pruned."""

    class BodyOnly(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            if "data-redirect" not in str(item.body):
                super().rewrite(item, notice)
                self._mailbox.change(item.id, marker="")
            else:
                super().rewrite(item, notice)

    world.deliver(FILE)
    world.run(source=BodyOnly)
    done(world)
    assert world.mailbox.items()[0].marker


def test_a_renamed_mailbox_keeps_its_redirects(world: World) -> None:
    """Redirects belong to the mailbox, not to its address."""
    world.policy = policy(settle="24h")
    world.deliver(FILE)
    step(world)
    world.mailbox.address = "anna.married@example.org"
    world.run()
    done(world)


# --- before anything is destroyed ---------------------------------------------------------------------------------


def test_prune_sees_that_the_notice_is_out(world: World) -> None:
    """The user removed it between rewrite and prune: it is written again before an original goes."""
    item_id = world.deliver(FILE)
    world.run(source=acting("rewrite", lambda: world.mailbox.edit_body(item_id, "<html><body>mine</body></html>")))
    done(world)
    assert "mine" in str(world.mailbox.items()[0].body)


def test_prune_sees_that_an_attachment_changed(world: World) -> None:
    """The user edited it in Outlook after it was copied: the new bytes are stored beside the old ones first."""
    item_id = world.deliver(FILE)
    world.run(source=acting("rewrite", edited(world, item_id)))
    done(world)
    assert sorted(world.manifest_free().values()) == [b"aaaa", b"edited"]


def test_attachment_that_changes_before_its_link_shows_leaves_nothing_behind(world: World) -> None:
    """Its old copy goes: a link for anyone may open the whole folder. What changed later may have been the only one."""
    world.policy = policy(settle="24h")
    item_id = world.deliver(FILE)
    step(world)
    edited(world, item_id)()
    world.run()
    done(world)
    assert list(world.manifest_free().values()) == [b"edited"]


def test_prune_sees_that_the_share_is_revoked(world: World) -> None:
    """Links that died meanwhile are made anew and shown before an original goes."""
    world.deliver(FILE)
    world.run(source=acting("rewrite", world.store.shares.clear))
    done(world)


def test_prune_sees_that_the_stored_bytes_are_wrong(world: World) -> None:
    """Held, with the notice taken out first: the message has the right bytes and must not show wrong ones."""
    world.deliver(FILE)

    def rot() -> None:
        (path,) = world.manifest_free()
        world.store.files[path] = b"rotten"

    world.run(source=acting("rewrite", rot))
    assert only(world).state is State.HELD
    (message,) = world.mailbox.items()
    assert message.files
    assert message.body == world.bodies[message.internet_message_id]
    assert not message.marker


def test_prune_sees_that_the_stored_file_is_lost(world: World) -> None:
    """It is copied again from the original."""
    world.deliver(FILE)

    def lose() -> None:
        (path,) = world.manifest_free()
        del world.store.files[path]

    world.run(source=acting("rewrite", lose))
    done(world)
    assert list(world.manifest_free().values()) == [b"aaaa"]


def test_file_lost_on_both_sides_is_held(world: World) -> None:
    """Neither in the store nor in the message: nothing can be done but to tell a human, and nothing else is removed."""
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))

    def lose() -> None:
        file = world.mailbox.entry(item_id).message.files[0]
        world.mailbox.detach(item_id, file.id)
        world.store.files = {path: data for path, data in world.store.files.items() if data != b"aaaa"}

    world.run(source=acting("rewrite", lose))
    assert only(world).state is State.HELD
    assert [file.name for file in world.mailbox.items()[0].files] == ["b.bin"]


def test_pruned_is_believed_only_from_a_fresh_listing(world: World) -> None:
    """A server that says yes and removes nothing is not believed."""

    class Lazy(MemorySource):
        def prune(self, item: Item, file_ids: Any) -> None:
            pass

    world.deliver(FILE)
    world.run(source=Lazy)
    assert only(world).state is State.HELD
    assert not world.lost()


def test_renumbered_attachments_are_followed(world: World) -> None:
    """A server that numbers attachments anew after each removal: another file under an old id is never removed."""
    item_id = world.deliver(Attached("keep.eml", b"From: x", inline=True), FILE, Attached("b.bin", b"bbbb"))

    def renumber() -> None:
        entry = world.mailbox.entry(item_id)
        ids = [file.id for file in entry.message.files]
        turned = [replace(file, id=new) for file, new in zip(entry.message.files, ids[1:] + ids[:1], strict=True)]
        entry.contents = {new: entry.contents[old] for old, new in zip(ids, ids[1:] + ids[:1], strict=True)}
        world.mailbox.change(item_id, files=tuple(turned))

    world.run(source=acting("rewrite", renumber))
    done(world)
    assert [file.name for file in world.mailbox.items()[0].files] == ["keep.eml"]


def test_ids_that_are_positions_move_on_before_the_copy(world: World) -> None:
    """What was read by its id was another file by then: its bytes are not taken for those of the one that is meant."""
    files = [Attached(name, name.encode(), inline=name != "b.bin") for name in ("a.eml", "b.bin", "c.eml")]
    item_id = world.deliver(*files)

    def detach_the_first() -> None:
        entry = world.mailbox.entry(item_id)
        ids, left = [file.id for file in entry.message.files], entry.message.files[1:]
        entry.contents = {new: entry.contents[file.id] for new, file in zip(ids, left, strict=False)}
        moved = tuple(replace(file, id=new) for new, file in zip(ids, left, strict=False))
        world.files[entry.message.internet_message_id] = [file.content for file in files[1:]]
        world.mailbox.change(item_id, files=moved)

    world.run(before("open", 1, detach_the_first))
    done(world)
    assert [file.name for file in world.mailbox.items()[0].files] == ["c.eml"]


def test_what_is_still_listed_is_not_removed_again_at_once(world: World) -> None:
    """Where reads are late and ids are positions, it would be another file: first the listing has to catch up."""
    world.deliver(FILE)
    late: list[Message] = []

    class Behind(MemorySource):
        def prune(self, item: Item, file_ids: Any) -> None:
            super().prune(item, file_ids)
            assert isinstance(item, Message)
            late.append(item)

        def fetch(self, item_id: str) -> Message:
            return late[-1] if late and world.now < START + timedelta(seconds=30) else super().fetch(item_id)

    with world.process(source=Behind) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        assert (only(world).state, len(late)) == (State.REWRITTEN, 1)
        world.now = ledger.next_due() or world.now
        tick(watch, ledger, world.clock, "one")
    done(world)
    assert len(late) == 1


def test_settle(world: World) -> None:
    """A copy is made at once; links are shown, and originals removed, only a day after the proof."""
    world.policy = policy(settle="24h")
    world.deliver(FILE)
    step(world)
    assert list(world.manifest_free().values()) == [b"aaaa"]
    assert world.mailbox.items()[0].files
    world.now += timedelta(hours=23)
    step(world)
    assert "href" not in str(world.mailbox.items()[0].body)
    world.now += timedelta(hours=1)
    step(world)
    done(world)
    assert not world.mailbox.items()[0].files


def test_settle_ends_when_the_backup_has_it(world: World) -> None:
    """A backup that began after the proof ends the wait; one that began before says nothing about the file."""
    world.policy = policy(settle="24h")
    world.deliver(FILE)
    step(world)
    proved = only(world).proved
    assert proved
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    assert backed_up(ledger, proved - timedelta(seconds=1), world.clock(), "operator") == 0
    assert backed_up(ledger, proved + timedelta(seconds=1), world.clock(), "operator") == 1
    assert backed_up(ledger, proved + timedelta(seconds=1), world.clock(), "operator") == 0
    ledger.watch("other/x", tenant="other", address="x", now=world.now)
    with pytest.raises(ValueError, match="name one of acme, other behind the time"):
        backed_up(ledger, proved, world.clock(), "operator")
    assert backed_up(ledger, proved, world.clock(), "operator", "other") == 0
    ledger.close()
    step(world)
    done(world)


def test_look_again_at_a_later_time(world: World) -> None:
    """What does not match on arrival is not forgotten: a rule about age is asked again when it would flip."""
    world.policy = policy(when={"older_than": "30d"})
    world.deliver(FILE, received=world.now)
    world.run(ticks=3)
    done(world)
    assert world.now > world.mailbox.items()[0].received + timedelta(days=30)  # type: ignore[operator]


def test_file_taken_out_during_settle_is_never_shown(world: World) -> None:
    """The folder is reduced to what is still in the message before a link leads to it."""
    world.policy = policy(settle="24h")
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))
    step(world)
    file = world.mailbox.entry(item_id).message.files[0]
    world.mailbox.detach(item_id, file.id)
    world.files = {key: [b"bbbb"] for key in world.files}
    world.run()
    done(world)
    assert list(world.manifest_free().values()) == [b"bbbb"]


def test_file_taken_out_before_the_copy(world: World) -> None:
    """FileGone drops that file, and the rest goes on."""
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))

    class Quick(MemorySource):
        def open(self, item: str, file_id: str) -> Any:
            gone = self._mailbox.entry(item_id).message.files[0]
            if gone.name == "a.bin":
                self._mailbox.detach(item_id, gone.id)
            return super().open(item, file_id)

    world.files = {key: [b"bbbb"] for key in world.files}
    world.run(source=Quick)
    done(world)


def test_all_files_taken_out_drops_the_redirect(world: World) -> None:
    """Nothing is left to do, and nothing is deleted but the copy that no link ever led to."""
    world.policy = policy(settle="24h")
    item_id = world.deliver(FILE)
    step(world)
    world.mailbox.detach(item_id, world.mailbox.entry(item_id).message.files[0].id)
    world.run()
    assert only(world).state is State.DROPPED


def test_policy_is_asked_again_before_anything_shows(world: World) -> None:
    """Marked as private during settle: the message stays as it is."""
    world.policy = policy(settle="24h")
    item_id = world.deliver(FILE)
    step(world)
    world.mailbox.change(item_id, sensitivity="private")
    world.run()
    assert only(world).state is State.DROPPED
    assert world.mailbox.items()[0].files


#: Above what moves files: one that has to look into them.
LOOKING = {"name": "programs", "when": {"true_type": "executable"}, "action": "hold"}
MOVING = {"name": "all", "action": "redirect", "settle": "24h"}


def ruled(*rules: dict[str, Any]) -> Policy:
    """A policy of these rules."""
    return Policy.model_validate({"rules": rules})


@pytest.mark.parametrize("looking", [(), (LOOKING,)])
def test_rule_that_is_taken_out_during_settle(world: World, looking: tuple[dict[str, Any], ...]) -> None:
    """Also where another one looks into files: all that decides is read anew."""
    world.policy = ruled(*looking, MOVING)
    world.deliver(FILE)
    step(world)
    world.policy = ruled(*looking, MOVING | {"when": {"size_over": "1 GB"}})
    world.run()
    assert only(world).state is State.DROPPED
    assert world.mailbox.items()[0].files


@pytest.mark.parametrize("hold", [LOOKING | {"name": "new", "when": {}}, MOVING | {"action": "hold"}])
def test_rule_that_holds_by_now(world: World, hold: dict[str, Any]) -> None:
    """What was to move waits for a human too, unless one has let it go on since."""
    world.policy = ruled(MOVING)
    world.deliver(FILE)
    step(world)
    world.policy = ruled(hold)
    for _ in range(2):
        world.run()
        assert (only(world).state, only(world).held_in) == (State.HELD, State.STORED)
        assert "wants a human" in only(world).reason
        assert not world.store.shares
    with world.ledger() as ledger:
        release(only(world), ledger, world.clock(), "operator")
    world.run()
    done(world)


@pytest.mark.parametrize("after", ["fetch", "rewrite"])
def test_file_that_becomes_another_one_is_judged_by_what_it_is_now(world: World, after: str) -> None:
    """Under the same id, before or after its link shows."""
    world.policy = ruled(LOOKING, MOVING | {"settle": 0})
    item_id = world.deliver(FILE)
    turn_to_program = edited(world, item_id, b"MZ\x90\x00" + bytes(60))
    world.run(source=acting("rewrite", turn_to_program)) if after == "rewrite" else world.run(
        before("fetch", 1, turn_to_program)
    )
    assert only(world).state is State.HELD
    assert world.mailbox.items()[0].files
    assert not world.lost()


@pytest.mark.parametrize("fetch", [1, 2])
def test_what_is_moved_to_where_nobody_looks_keeps_what_it_has(world: World, fetch: int) -> None:
    """Where ids last a move it still answers, at either look before its links show; back again, it is planned anew."""
    item_id = world.deliver(FILE)
    step(world, 3, saboteur=before("fetch", fetch, lambda: world.mailbox.change(item_id, folder="Deleted Items")))
    assert only(world).state is State.DROPPED
    (left,) = world.mailbox.items()
    assert [file.name for file in left.files] == ["a.bin"]
    assert not left.marker
    world.mailbox.change(item_id, folder="Inbox")
    world.run()
    done(world)
    assert not world.mailbox.items()[0].files


def test_what_shows_its_links_goes_on_wherever_it_is_moved(world: World) -> None:
    """It must not keep originals and links for ever."""
    item_id = world.deliver(FILE)
    step(world, 3, saboteur=before("prune", 1, lambda: world.mailbox.change(item_id, folder="Deleted Items")))
    done(world)
    assert not world.mailbox.items()[0].files


def test_gone_is_only_suspected_until_a_full_pass(world: World) -> None:
    """A message that does not answer once is not given up at once."""
    world.policy = policy(settle="1h")
    item_id = world.deliver(FILE)
    step(world)
    hidden = world.mailbox._entries.pop(item_id)
    world.now += timedelta(hours=1)
    step(world)
    assert only(world).state is State.STORED
    world.mailbox._entries[item_id] = hidden
    world.run()
    done(world)


def test_deleted_message_drops_its_redirect_and_deletes_nothing(world: World) -> None:
    """Only the sweep deletes."""
    world.policy = policy(settle="1h")
    item_id = world.deliver(FILE)
    step(world)
    world.mailbox.delete(item_id)
    world.run()
    assert only(world).state is State.DROPPED
    assert world.manifest_free()
    assert not world.store.shares


@pytest.mark.parametrize("keep_original", [False, True])
def test_files_bear_the_tags_of_their_rule(world: World, *, keep_original: bool) -> None:
    """And so does the message as a whole, which has them in it; nothing else of ours does."""
    world.policy = policy(tags=["no-ai", "mail"], keep_original=keep_original)
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    world.run()
    done(world)
    assert set(map(frozenset, world.store.tags.values())) == {frozenset({"no-ai", "mail"})}
    assert sum(path.endswith(".bin") for path in world.store.tags) == 2
    assert sum(path.endswith(".eml") for path in world.store.tags) == keep_original
    assert not any(path.endswith(".json") for path in world.store.tags)


def test_what_is_revived_bears_the_tags_of_today(world: World) -> None:
    """It lies in the store already, from before the rule asked for them."""
    world.policy = policy(settle="1h")
    item_id = world.deliver(FILE)
    step(world)
    hidden = world.mailbox._entries.pop(item_id)
    world.run()
    assert (only(world).state, world.store.tags) == (State.DROPPED, {})
    world.policy = policy(tags="no-ai")
    world.mailbox._entries[item_id] = hidden
    world.mailbox._changed(item_id)
    world.run()
    done(world)
    assert list(world.store.tags.values()) == [{"no-ai"}]


def test_dropped_can_be_revived(world: World) -> None:
    """A message that was recovered after it had been given up goes on, with its links made anew."""
    item_id = world.deliver(FILE)
    hidden: list[Any] = []
    world.run(source=acting("rewrite", lambda: hidden.append(world.mailbox._entries.pop(item_id))))
    assert only(world).state is State.DROPPED
    message = replace(hidden[0].message, id="item-recovered")
    world.mailbox._entries["item-recovered"] = replace(hidden[0], message=message)
    world.mailbox._changed("item-recovered")
    world.run()
    done(world)
    assert not world.mailbox.items()[0].files


# --- the ledger can be wrong --------------------------------------------------------------------------------------


def test_nothing_older_than_first_contact_is_touched(world: World) -> None:
    """Not at the beginning, and not when the cursor is lost."""
    with world.process() as (told, ledger):
        watch = replace(told, since=None)
        world.deliver(FILE, received=world.now - timedelta(days=1))
        tick(watch, ledger, world.clock, "one")
        world.deliver(Attached("new.bin", b"new"), received=world.now + timedelta(seconds=1))
        world.now += timedelta(minutes=1)
        world.mailbox.lose_cursors()
        tick(watch, ledger, world.clock, "one")
    assert [len(message.files) for message in world.mailbox.items()] == [1, 0]


def test_what_a_human_dropped_stays_dropped(world: World) -> None:
    """Also when the message is moved and shows up under another id."""
    world.policy = policy(action="hold")
    item_id = world.deliver(FILE)
    step(world)
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    drop(only(world), ledger, world.clock(), "operator")
    ledger.close()
    world.policy = policy()
    world.mailbox.move(item_id, "Inbox/Project")
    world.run()
    assert only(world).state is State.DROPPED
    assert world.mailbox.items()[0].files


def test_hold_waits_for_a_human_and_release_goes_on(world: World) -> None:
    """A rule may ask for a human; what he lets go is redirected."""
    world.policy = policy(action="hold")
    world.deliver(FILE)
    world.run()
    assert only(world).state is State.HELD
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    release(only(world), ledger, world.clock(), "operator")
    with pytest.raises(ValueError, match="not held"):
        release(only(world), ledger, world.clock(), "operator")
    with pytest.raises(ValueError, match="not held"):
        drop(only(world), ledger, world.clock(), "operator")
    ledger.close()
    world.run()
    done(world)


# --- trouble ------------------------------------------------------------------------------------------------------


def test_throttled_source_is_left_alone_for_as_long_as_it_asked(world: World) -> None:
    """The pause is in the ledger, so a restart does not shorten it."""
    world.deliver(FILE)
    world.mailbox.busy = timedelta(minutes=20)
    step(world)
    world.mailbox.busy = None
    world.now += timedelta(minutes=19)
    step(world)
    assert not redirects(world)
    world.now += timedelta(minutes=2)
    world.run()
    done(world)


@pytest.mark.parametrize("error", [Unavailable("busy", timedelta(minutes=7)), Unavailable("down"), Denied("no right")])
@pytest.mark.parametrize("verb", ["put", "share", "verify"])
def test_store_in_trouble_pauses_the_store_and_not_the_source(world: World, error: Exception, verb: str) -> None:
    """Nothing is held for an outage, and work goes on when it has ended."""

    class Troubled(MemoryStore):
        broken = True

    def failing(self: Troubled, *args: Any) -> Any:
        if type(self).broken:
            raise error
        return getattr(MemoryStore, verb)(self, *args)

    setattr(Troubled, verb, failing)
    world.store = Troubled()
    world.deliver(FILE)
    step(world, 3)
    with world.process() as (watch, ledger):
        assert ledger.paused(watch.store_name, world.now)
        assert not ledger.paused(watch.name, world.now)
    assert not world.lost()
    Troubled.broken = False
    world.now += timedelta(hours=1)
    world.run()
    done(world)


def test_source_that_fails_in_a_step_is_paused(world: World) -> None:
    """The redirect waits a little longer than the source, so that one bad message does not keep the others waiting."""
    poisoned = world.deliver(Attached("bad.bin", b"bad"))
    world.deliver(FILE)

    class Poisoned(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            if item_id == poisoned:
                raise Unavailable("the connection was cut")
            return super().open(item_id, file_id)

    world.run(source=Poisoned, ticks=20)
    states = {each.item_id: each.state for each in redirects(world)}
    assert states.pop(poisoned) is State.PLANNED
    assert set(states.values()) == {State.DONE}


class InPart(MemorySource):
    """Its server fails at some of its folders each time."""

    def changes(self, cursor: str | None) -> Iterator[Page]:
        """All that the others hold, then that."""
        yield from super().changes(cursor)
        raise PartUnread("1 of 2 folders")


def test_folders_at_which_a_server_fails_stop_none_of_the_others(world: World, lines: Lines) -> None:
    """They are told once, until they answer; what is missed meanwhile may lie there, and does not count as gone."""
    world.policy = policy(settle="1h")
    item_id = world.deliver(FILE)
    step(world, source=InPart)
    world.mailbox.delete(item_id)
    for source in (InPart, InPart, InPart, MemorySource, MemorySource, MemorySource):
        world.now += timedelta(hours=1)
        step(world, source=source)
        assert (only(world).state is State.DROPPED) <= (source is MemorySource)
        with world.ledger() as ledger:
            standing = [each.name.rpartition("/")[2] for each in ledger.pauses(world.now)]
        assert standing == ["folders"] * (source is InPart)
    assert only(world).state is State.DROPPED
    assert [each["event"] for each in lines()].count("folders.unread") == 1


@pytest.mark.parametrize("error", [Rejected("too large"), Corrupt("read back differs")])
def test_what_can_never_work_is_held_with_its_reason(world: World, error: Exception) -> None:
    """A human finds the reason in plain words; the original is where it was."""

    class Refusing(MemoryStore):
        def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
            raise error

    world.store = Refusing()
    world.deliver(FILE)
    world.run()
    held = only(world)
    assert (held.state, held.held_in, held.reason) == (State.HELD, State.PLANNED, str(error))
    assert world.mailbox.items()[0].files


def test_store_that_lies_about_the_hash_is_held(world: World) -> None:
    """What the store says it has must be what was read from the source."""

    class Lying(MemoryStore):
        def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
            return replace(super().put(path, content, tags), sha256="0" * 64)

    world.store = Lying()
    world.deliver(FILE)
    world.run()
    assert only(world).state is State.HELD


class Editable(MemoryStore):
    """Whoever the files belong to has edited those of these names."""

    edited: ClassVar[set[str]] = set()

    def verify(self, stored: Stored) -> bool:
        """See the port."""
        if stored.path.rpartition("/")[2] in self.edited:
            raise Edited("its owner has edited a file in the store")
        return super().verify(stored)


def test_a_file_that_its_owner_has_edited_stays_in_its_message(world: World) -> None:
    """There is no alarm, and nothing to decide: the message is as it was, and is left alone from then on."""
    world.store = Editable()
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    before = world.mailbox.items()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Editable, "edited", {"b.bin"})
        world.run()
    assert "redirect.held" not in events(world)
    for _ in range(2):
        (message,) = world.mailbox.items()
        assert (message.files, message.body) == (before.files, before.body)
        dropped = only(world)
        assert (dropped.state, dropped.ended_by) == (State.DROPPED, "its owner")
        world.run()


def test_a_file_that_its_owner_has_edited_while_an_original_is_missing(world: World) -> None:
    """The message needs its link: a human reads in plain words why it stands still."""
    world.store = Editable()
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Editable, "edited", {"b.bin"})
        first = world.mailbox.entry(item_id).message.files[0].id
        world.run(before("fetch", 4, lambda: world.mailbox.detach(item_id, first)))
    held = only(world)
    assert (held.state, held.reason) == (State.HELD, "its owner has edited a file in the store")
    assert not world.lost()


def test_terms_that_the_store_cannot_keep_are_held(world: World) -> None:
    """Never a weaker link than was asked for."""
    world.policy = policy(link={"audience": "anyone"})
    world.deliver(FILE)
    world.run()
    assert only(world).state is State.HELD
    assert not world.store.shares
    assert world.mailbox.items()[0].files


def test_a_bug_is_told_tried_again_and_held_in_the_end(world: World) -> None:
    """Never lost, never a hot loop, and the other messages go on."""
    poisoned = world.deliver(Attached("bad.bin", b"bad"))
    world.deliver(FILE)
    tries = []

    class Buggy(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            if item_id == poisoned:
                tries.append(item_id)
                raise ZeroDivisionError
            return super().open(item_id, file_id)

    world.run(source=Buggy)
    states = {each.item_id: each.state for each in redirects(world)}
    assert states.pop(poisoned) is State.HELD
    assert set(states.values()) == {State.DONE}
    assert len(tries) == MOST_ATTEMPTS


@pytest.mark.parametrize("fault", [Rejected("corrupt"), Unavailable("failed"), ZeroDivisionError()])
def test_a_message_that_nobody_can_read_stops_none_of_the_others(world: World, lines: Lines, fault: Exception) -> None:
    """Whether the feed tells so, or it waits for another look: that is told. Once it can be read, it goes too."""
    world.policy = policy(when={"older_than": "1d"})
    waiting = world.deliver(FILE, received=world.now - timedelta(hours=23))
    unread = world.deliver(FILE, received=world.now - timedelta(days=2))

    class Broken(MemorySource):
        def fetch(self, item_id: str) -> Message:
            if item_id in (waiting, unread):
                raise fault
            return super().fetch(item_id)

        def changes(self, cursor: str | None) -> Iterator[Page]:
            for page in super().changes(cursor):
                failed = tuple(each.id for each in page.items if each.id == unread)
                yield Page(tuple(each for each in page.items if each.id != unread), page.cursor, failed)

    step(world, source=Broken)
    world.now += timedelta(hours=2)
    new = world.deliver(FILE, received=world.now - timedelta(days=2))
    for _ in range(4):
        step(world, source=Broken)
        world.now += timedelta(minutes=2)
    assert [(each.item_id, each.state) for each in redirects(world)] == [(new, State.DONE)]
    told = "message.put_off" if isinstance(fault, ConnectorError) else "bug"
    assert told in [each["event"] for each in lines()]
    world.now += timedelta(hours=2)
    step(world, 3)
    assert {each.item_id for each in redirects(world)} == {new, waiting, unread}


def test_a_feed_of_empty_pages_gets_on(world: World) -> None:
    """Where a turn ends among them, the next one goes on there."""
    begun = []

    class Long(MemorySource):
        def changes(self, cursor: str | None) -> Iterator[Page]:
            begun.append(cursor)
            for number in range(int(cursor or 0) + 1, 99):
                world.now += timedelta(seconds=50)
                yield Page((), str(number))

    step(world, 2, source=Long)
    assert begun == [None, "2"]


def test_an_empty_answer_is_not_taken_for_the_file(world: World) -> None:
    """A proxy answers so; the file stays, is read again, and goes once it comes whole."""
    world.deliver(Attached("plan.bin", bytes(20_000)), FILE)
    answers = [b"", b"<html>"]

    class Emptied(MemorySource):
        @contextmanager
        def open(self, item_id: str, file_id: str) -> Iterator[BinaryIO]:
            with super().open(item_id, file_id) as stream:
                big = len(stream.read()) > len(FILE.content)
                stream.seek(0)
                yield BytesIO(answers.pop()) if big and answers else stream

    step(world, source=Emptied)
    assert not world.lost()
    assert "only 0 bytes came of a file that is announced with 20300" in only(world).reason
    world.run(source=Emptied)
    assert only(world).state is State.DONE
    assert not world.lost()


def test_message_that_trips_the_planning_does_not_stop_the_feed(world: World, lines: Lines) -> None:
    """It is looked at again later, and that is told; what comes after it is planned."""
    world.policy = policy(when={"true_type": "executable"})
    poisoned = world.deliver(Attached("bad.bin", b"bad"))
    unreadable = world.deliver(Attached("cut.bin", b"cut"))
    world.deliver(Attached("setup.exe", b"MZ" + bytes(200)))
    vanished = world.deliver(Attached("gone.bin", b"gone"))

    class Buggy(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            if item_id == poisoned:
                raise ZeroDivisionError
            if item_id == unreadable:
                raise Unavailable("cut")
            if item_id == vanished:
                self._mailbox._entries.pop(item_id, None)
            return super().open(item_id, file_id)

    step(world, source=Buggy)
    assert only(world).state is State.DONE
    assert [each["reason"] for each in lines() if each["event"] == "message.put_off"] == ["cut"]


def test_two_processes_do_not_share_a_source(world: World) -> None:
    """The second one finds the lease taken, and does nothing."""
    world.deliver(FILE)
    with world.process() as (watch, ledger):
        lease = ledger.watch(watch.name, tenant=TENANT, address="x", now=world.now)
        assert lease
        assert ledger.lease(watch.name, "other", world.now, timedelta(minutes=5))
        assert not tick(watch, ledger, world.clock, "one")
    assert not redirects(world)


def test_a_lease_is_renewed_before_an_effect(world: World) -> None:
    """A slow store must not use up what the effect on the message still needs: nobody else may get at it meanwhile."""
    world.deliver(FILE)
    saboteur, others = Saboteur(), list[object]()
    with world.process(saboteur) as (watch, ledger):

        def slowly(name: str) -> None:
            if name in {"verify", "prune"}:
                world.now += LEASE * 0.6
            if name == "prune":
                others.append(ledger.lease(watch.name, "another", world.now, LEASE))

        saboteur.entering = slowly
        assert tick(watch, ledger, world.clock, "one")
    assert others == [None]
    assert only(world).state is State.DONE


def test_announced_size_is_not_the_byte_count(world: World) -> None:
    """What is proved is what was read, whatever the server announced."""
    world.deliver(Attached("big.bin", b"x" * 3_000_000))
    world.run()
    done(world)
    stored = only(world).files[0].stored
    assert stored
    assert stored.size == 3_000_000
    assert only(world).files[0].file.size != 3_000_000


def test_files_of_one_name_stay_apart(world: World) -> None:
    """Two attachments of one name end under two names, each with its own link."""
    world.deliver(Attached("scan.tif", b"one"), Attached("SCAN.TIF", b"two"), Attached("scan.tif", b"three"))
    world.run()
    done(world)
    assert len({path.casefold() for path in world.manifest_free()}) == 3


# --- between any two looks ----------------------------------------------------------------------------------------


def before(verb: str, nth: int, act: Callable[[], object]) -> Saboteur:
    """Somebody acts right before the n-th call of this verb.

    A lone message is fetched five times: for share, for rewrite, to read that back, for prune, to read that back.
    """
    saboteur = Saboteur()
    asked = [0]

    def counting(name: str) -> None:
        asked[0] += name == verb
        if name == verb and asked[0] == nth:
            act()

    saboteur.entering = counting
    return saboteur


def edited(world: World, item_id: str, content: bytes = b"edited") -> Callable[[], None]:
    """The user edits the first attachment in Outlook and saves it."""

    def edit() -> None:
        entry = world.mailbox.entry(item_id)
        (file,) = entry.message.files
        entry.contents[file.id] = content
        world.mailbox.change(item_id, files=(replace(file, size=len(content) + 300, version="edited"),))
        world.files[entry.message.internet_message_id] = [content]

    return edit


@pytest.mark.parametrize("fetch", [1, 2, 4])
def test_attachment_edited_before_any_look(world: World, fetch: int) -> None:
    """The new bytes are stored beside the old ones, and they are what the message shows in the end."""
    item_id = world.deliver(FILE)
    world.run(before("fetch", fetch, edited(world, item_id)))
    done(world)
    assert b"edited" in world.shown(world.mailbox.items()[0]).values()


@pytest.mark.parametrize("fetch", [1, 2])
def test_all_attachments_taken_out_before_the_links_show(world: World, fetch: int) -> None:
    """Nothing is left to do, and no link stays open."""
    item_id = world.deliver(FILE)
    file_id = world.mailbox.entry(item_id).message.files[0].id
    world.run(before("fetch", fetch, lambda: world.mailbox.detach(item_id, file_id)))
    assert only(world).state is State.DROPPED
    assert not world.store.shares
    assert "href" not in str(world.mailbox.items()[0].body)


def test_the_only_attachment_taken_out_before_the_copy(world: World) -> None:
    """Nothing was stored, so nothing is revoked."""
    item_id = world.deliver(FILE)
    file_id = world.mailbox.entry(item_id).message.files[0].id
    world.run(before("open", 1, lambda: world.mailbox.detach(item_id, file_id)))
    assert only(world).state is State.DROPPED
    assert not world.manifest_free()


@pytest.mark.parametrize("fetch", [4, 5])
def test_notice_taken_out_around_the_prune(world: World, fetch: int) -> None:
    """It is written again, before or after the originals went."""
    item_id = world.deliver(FILE)
    world.run(before("fetch", fetch, lambda: world.mailbox.edit_body(item_id, "<html><body>mine</body></html>")))
    done(world)


def test_wrong_bytes_while_an_original_is_missing(world: World) -> None:
    """The notice stays: it is the only way to the file that the message does not have any more."""
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))

    def rot() -> None:
        world.mailbox.detach(item_id, world.mailbox.entry(item_id).message.files[0].id)
        world.store.files = {path: b"rotten" if data == b"bbbb" else data for path, data in world.store.files.items()}

    world.run(before("fetch", 4, rot))
    assert only(world).state is State.HELD
    assert not world.lost()


def test_message_with_a_forged_mark_is_not_adopted(world: World) -> None:
    """The message was deleted, and another one names its redirect: without our key that counts for nothing."""
    item_id = world.deliver(FILE)

    def replace_it() -> None:
        world.mailbox.delete(item_id)
        world.deliver(Attached("a.bin", b"mine"), marker=f"1.{only(world).id}.1.00", folder="Deleted Items")

    world.run(before("fetch", 4, replace_it))
    assert only(world).state is State.DROPPED
    assert world.mailbox.items()[0].files


def test_moved_and_one_file_taken_out(world: World) -> None:
    """What is left is followed; the link to the other stays shown, since it was shown already."""
    item_id = world.deliver(FILE, Attached("b.bin", b"bbbb"))

    def move_and_detach() -> None:
        moved = world.mailbox.move(item_id, "Inbox/Project")
        world.mailbox.detach(moved, world.mailbox.entry(moved).message.files[0].id)

    world.run(before("fetch", 4, move_and_detach))
    done(world)


def test_recovered_after_it_was_dropped_half_pruned(world: World) -> None:
    """The store may have the only copy: the redirect goes on from there, and not from the beginning."""
    item_id = world.deliver(FILE)
    hidden: list[Any] = []
    world.run(before("fetch", 5, lambda: hidden.append(world.mailbox._entries.pop(item_id))))
    dropped = only(world)
    assert (dropped.state, dropped.held_in) == (State.DROPPED, State.REWRITTEN)
    message = replace(hidden[0].message, id="item-recovered")
    world.mailbox._entries["item-recovered"] = replace(hidden[0], message=message)
    world.mailbox._changed("item-recovered")
    world.run()
    done(world)


def test_file_that_only_looks_like_a_pruned_one(world: World) -> None:
    """The user attaches another file of the same name and size: the link to the first one stays shown."""
    item_id = world.deliver(FILE)
    saboteur = before("fetch", 5, cut_power)
    with pytest.raises(Killed):
        world.run(saboteur)
    world.mailbox.attach(item_id, Attached("a.bin", b"zzzz"))
    world.run()
    done(world)
    assert list(world.mailbox.entry(item_id).contents.values()) == [b"zzzz"]


def test_file_that_only_looks_like_a_pruned_one_in_a_message_that_moves(world: World) -> None:
    """Followed by its looks, it would be taken for an original that is still to go."""
    item_id = world.deliver(FILE)
    with pytest.raises(Killed):
        world.run(before("fetch", 5, cut_power))
    world.mailbox.attach(item_id, Attached("a.bin", b"zzzz"))
    moved = world.mailbox.move(item_id, "Inbox/Project")
    world.run()
    done(world)
    assert list(world.mailbox.entry(moved).contents.values()) == [b"zzzz"]


def test_policy_that_copies_meanwhile(world: World) -> None:
    """The rule was changed during settle: the file stays in the message, and in the store, also after a sweep."""
    world.policy = policy(settle="1h")
    world.deliver(FILE)
    step(world)
    world.policy = policy(settle="1h", action="copy")
    world.run()
    done(world)
    world.now += timedelta(days=99)
    with world.process() as (watch, ledger):
        assert sweep(watch, ledger, world.clock, "one", grace=timedelta(days=30), at_most=9) == 0
    assert world.mailbox.items()[0].files
    assert not world.store.shares
    assert world.manifest_free()


def test_copy_leaves_the_message_alone(world: World) -> None:
    """It ends when the bytes are in the store."""
    world.policy = policy(action="copy")
    item_id = world.deliver(FILE)
    version = world.mailbox.entry(item_id).message.version
    world.run()
    done(world)
    assert world.mailbox.entry(item_id).message.version == version


# --- time ---------------------------------------------------------------------------------------------------------


def test_backlog_does_not_use_up_the_turn_of_others(world: World) -> None:
    """A tick that has had its time ends between two redirects, and its lease is kept until then."""
    world.deliver(FILE)
    world.deliver(Attached("b.bin", b"bbbb"))

    def dawdle() -> None:
        world.now += timedelta(minutes=10)

    with world.process(before("open", 1, dawdle)) as (watch, ledger):
        assert tick(watch, ledger, world.clock, "one")
    assert sorted(each.state for each in redirects(world)) == [State.DONE, State.PLANNED]


def test_long_listing_ends_between_two_pages(world: World) -> None:
    """The cursor stands behind what was recorded, and the next tick goes on from there."""
    for _ in range(7):
        world.deliver(FILE)

    class Dawdling(MemorySource):
        def changes(self, cursor: str | None) -> Any:
            for page in super().changes(cursor):
                world.now += timedelta(minutes=10)
                yield page

    step(world, source=Dawdling)
    assert len(redirects(world)) == 3
    world.run()
    assert not world.lost()
    assert len(redirects(world)) == 7


def test_process_that_wakes_up_too_late_writes_nothing(world: World) -> None:
    """Another one has the source by now."""
    world.deliver(FILE)

    def sleep() -> None:
        world.now += timedelta(hours=1)
        ledger = Ledger(f"sqlite:///{world.ledger_file}")
        assert ledger.lease(redirects(world)[0].source, "another", world.now, timedelta(hours=1))
        ledger.close()

    with world.process(before("put", 1, sleep)) as (watch, ledger), pytest.raises(LeaseLost):
        tick(watch, ledger, world.clock, "one")
    assert only(world).files[0].stored is None


@pytest.mark.parametrize("gives_it_back", [True, False])
def test_a_source_that_another_process_had_since_it_was_read(world: World, *, gives_it_back: bool) -> None:
    """What was read is old by now: nothing is written, and the next turn reads it afresh."""
    world.deliver(FILE)

    def had() -> None:
        ledger = Ledger(f"sqlite:///{world.ledger_file}")
        (source,) = ledger.watched()
        lease = ledger.lease(source.name, "another", world.now, timedelta(minutes=1))
        assert lease
        if gives_it_back:
            ledger.release(lease)
        ledger.close()

    with world.process(before("lease", 1, had)) as (watch, ledger), pytest.raises(LeaseLost):
        tick(watch, ledger, world.clock, "one")
    assert redirects(world) == ()
    world.now += timedelta(minutes=2)
    world.run()
    assert only(world).state is State.DONE


def test_item_to_look_at_again_is_gone(world: World) -> None:
    """It is forgotten."""
    world.policy = policy(when={"older_than": "30d"})
    item_id = world.deliver(FILE, received=world.now)
    step(world)
    world.mailbox.delete(item_id)
    world.run()
    assert not redirects(world)


def test_source_that_denies_while_planning_is_paused(world: World) -> None:
    """The page is not recorded, so nothing of it is forgotten."""
    world.policy = policy(when={"true_type": "executable"})
    world.deliver(Attached("setup.exe", b"MZ" + bytes(200)))

    class Denying(MemorySource):
        def open(self, item_id: str, file_id: str) -> Any:
            raise Denied("no right to read attachments")

    step(world, source=Denying)
    assert not redirects(world)
    world.now += timedelta(hours=1)
    world.run()
    done(world)


def test_file_that_cannot_be_read_has_no_type(world: World) -> None:
    """A file that vanishes while the policy looks into it is of no type that a rule could name."""
    world.policy = policy(when={"true_type": "executable"})
    item_id = world.deliver(Attached("setup.bin", b"MZ" + bytes(200)))
    file_id = world.mailbox.entry(item_id).message.files[0].id
    world.run(before("open", 1, lambda: world.mailbox.detach(item_id, file_id)))
    assert not redirects(world)


def test_after_a_kill_only_what_is_not_proved_yet_is_copied(world: World) -> None:
    """Each file is journalled when it is proved."""
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    with pytest.raises(Killed):
        world.run(before("open", 2, cut_power))
    again = Saboteur()
    world.run(again)
    done(world)
    assert again.seen.count("open") == 1


def cut_power() -> None:
    """Now."""
    raise Killed


def test_no_step_begins_once_the_process_is_to_end(world: World) -> None:
    """SIGTERM lets the current effect finish; the next start goes on from there."""
    world.deliver(FILE)
    world.deliver(Attached("b.bin", b"bbbb"))
    ending: list[bool] = []
    with world.process(before("put", 1, lambda: ending.append(True))) as (watch, ledger):
        tick(watch, ledger, world.clock, "one", lambda: bool(ending))
    assert sorted(each.state for each in redirects(world)) == [State.PLANNED, State.STORED]
    world.run()
    assert not world.lost()


def test_ending_before_the_feed_was_read(world: World) -> None:
    """Nothing new is looked at either."""
    world.deliver(FILE)
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one", lambda: True)
    assert not redirects(world)


def test_earlier_since_brings_older_messages_in(world: World) -> None:
    """Also long after the first contact: the feed is read from its beginning again."""
    world.deliver(FILE, received=world.now - timedelta(days=1))
    with world.process() as (told, ledger):
        tick(replace(told, since=None), ledger, world.clock, "one")
    assert not redirects(world)
    world.run()
    done(world)


def test_operator_who_decides_in_the_middle_of_a_step(world: World) -> None:
    """What the step wanted to write is not written over the decision; the next tick follows it."""
    world.deliver(FILE)

    def decide() -> None:
        ledger = Ledger(f"sqlite:///{world.ledger_file}")
        recall(only(world), ledger, world.clock(), "operator")
        ledger.close()

    with world.process(before("put", 1, decide)) as (watch, ledger):
        assert tick(watch, ledger, world.clock, "one")
    assert only(world).state is State.RECALLED
    world.run()
    assert only(world).state is State.RESTORED
    assert world.mailbox.items()[0].files
    assert not world.mailbox.items()[0].marker


def test_message_that_a_human_dropped_is_not_taken_up_again(world: World) -> None:
    """Not even when it turns up with our mark, after it had been missed."""
    world.deliver(FILE)
    world.run()
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    ended = replace(
        only(world), state=State.DROPPED, held_in=State.LINKED, missed=1, ended_by="operator", item_id="old"
    )
    ledger.write(ended, "redirect.dropped", world.clock())
    ledger.close()
    world.mailbox.lose_cursors()
    world.run()
    assert (only(world).state, only(world).item_id) == (State.DROPPED, "old")


@pytest.mark.parametrize("fault", [Conflict("failed"), Rejected("corrupt"), Gone("moved"), ZeroDivisionError()])
def test_a_search_that_fails_stops_none_of_the_others(world: World, fault: Exception) -> None:
    """It is for an item that does not answer: a human hears of it in the end."""
    world.policy = policy(settle="1h")
    gone = world.deliver(FILE)
    step(world)
    world.mailbox.delete(gone)
    other = world.deliver(FILE)

    class Broken(MemorySource):
        def find(self, redirect_id: str) -> tuple[Message, ...]:
            if redirect_id == lost.id:
                raise fault
            return super().find(redirect_id)

    (lost,) = (each for each in redirects(world) if each.item_id == gone)
    world.run(ticks=40, source=Broken)
    assert {each.item_id: each.state for each in redirects(world)} == {gone: State.HELD, other: State.DONE}


def test_a_search_that_finds_another_ones_message_finds_nothing(world: World) -> None:
    """It bears a mark of ours, but not the one that was asked for."""
    world.deliver(FILE)
    step(world)
    (other,) = redirects(world)
    world.policy = policy(settle="1h")
    gone = world.deliver(FILE)
    step(world)
    world.mailbox.delete(gone)

    class Confused(MemorySource):
        def find(self, redirect_id: str) -> tuple[Message, ...]:
            return super().find(other.id)

    world.run(source=Confused)
    lost, kept = sorted(redirects(world), key=lambda each: each.id == other.id)
    assert (lost.item_id, lost.state, lost.reason) == (gone, State.DROPPED, "the item is gone")
    assert (kept.item_id, kept.state) == (other.item_id, State.DONE)


def test_items_that_come_up_again_all_at_once_fill_no_turn(world: World) -> None:
    """What a turn does not reach is looked at in the next."""
    world.policy = policy(when={"older_than": "1d"})
    for _ in range(5):
        world.deliver(FILE, received=world.now)
    step(world)
    fetched = []

    class Slow(MemorySource):
        def fetch(self, item_id: str) -> Message:
            fetched.append(item_id)
            world.now += timedelta(seconds=25)
            return super().fetch(item_id)

    world.now += timedelta(days=2)
    step(world, source=Slow)
    assert len(set(fetched)) == 3
    world.run()
    assert {each.state for each in redirects(world)} == {State.DONE}
    assert len(redirects(world)) == 5


@pytest.mark.parametrize("fault", [Stale("written by another"), Taken("another's")])
def test_a_decision_while_an_item_is_recognised_is_no_bug(
    world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """It is looked at again later."""
    world.deliver(FILE)
    world.run()

    def decided(*_: object) -> None:
        raise fault

    monkeypatch.setattr(discover, "genuine", decided)
    world.mailbox.change(only(world).item_id, subject="Changed")
    step(world)
    assert not [each for each in lines() if each["event"] == "bug"]
    with world.ledger() as ledger:
        assert ledger.next_due()
