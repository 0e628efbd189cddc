"""The harness itself is tested: a connector that is wrong in one of these ways must be caught by it."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from connector import sight
from connector.errors import Corrupt
from connector.flow import discover, reactions, redirect
from connector.flow.turn import Turn
from connector.log import Event
from connector.marker import Marker
from connector.model import Item, Link, LinkTerms, Message, Notice, Origin, Redirect, SharedFile, State, Stored
from connector.sources.memory import Attached, MemorySource
from connector.sources.memory_share import MemoryShareSource
from connector.spool import Spool
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.share_world import ShareWorld
from tests.test_redirect import acting, before
from tests.world import Killed, Saboteur, World


def two_messages(folder: Path) -> World:
    """Enough for two items on one page, and two files in one item."""
    world = World(folder / "ledger.db", policy())
    world.deliver(Attached("a.bin", b"aaaa"))
    world.deliver(Attached("b.bin", b"bbbb"), Attached("c.bin", b"cccc"))
    return world


def two_files(folder: Path) -> ShareWorld:
    """As many files of a share, each an item of its own."""
    world = ShareWorld(folder / "ledger.db", policy())
    world.upload("a.bin", b"aaaa")
    world.upload("b.bin", b"bbbb")
    return world


Scene = Callable[[Path], World]
SCENES = pytest.mark.parametrize("scene", [two_messages, two_files])


def caught(scene: Scene, tmp_path: Path, store: type[MemoryStore] = MemoryStore, **mutants: Any) -> bool:
    """Whether a kill somewhere, or the calm run, shows that the mutant breaks the promise or ends elsewhere."""
    (tmp_path / "calm").mkdir()
    calm = scene(tmp_path / "calm")
    calm.run()
    for when in ("before", "after"):
        for at in range(1, 200):
            folder = tmp_path / f"{when}-{at}"
            folder.mkdir()
            world = replace(scene(folder), store=store())
            try:
                world.run(Saboteur(kill_at=at, when=when), **mutants)
            except Killed:
                died = True
            else:
                died = False
            if world.lost():
                return True
            world.run(**mutants)
            if world.lost() or world.view() != calm.view() or len(world.store.shares) != len(calm.store.shares):
                return True
            if not died:
                break
    return False


@SCENES
def test_the_real_one_is_not_caught(scene: Scene, tmp_path: Path) -> None:
    """Without a mutant the same judge finds nothing."""
    assert not caught(scene, tmp_path)


@SCENES
def test_prune_before_rewrite(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Originals that go before the links are shown are lost for as long as nothing shows them."""

    def prune_first(planned: Redirect, turn: Turn) -> Redirect:
        item = turn.watch.source.fetch(planned.item_id)
        turn.watch.source.prune(item, sight.originals(item, planned))
        return real(planned, turn)

    real = redirect.STEPS[State.LINKED]
    monkeypatch.setitem(redirect.STEPS, State.LINKED, prune_first)
    assert caught(scene, tmp_path)


@SCENES
def test_cursor_before_plans(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that is written before the plans of its page skips messages after a crash."""

    def cursor_first(turn: Turn, items: tuple[Item, ...], **told: Any) -> None:
        turn.ledger.record(turn.lease, (), {}, cursor=turn.cursor, complete=False, now=turn.clock())
        real(turn, items, **told)

    real = discover._record
    monkeypatch.setattr(discover, "_record", cursor_first)
    assert caught(scene, tmp_path)


@SCENES
def test_put_that_cannot_be_repeated(scene: Scene, tmp_path: Path) -> None:
    """A store that refuses what it already has leaves redirects held after a crash."""

    class Refusing(MemoryStore):
        def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
            if path in self.files:
                raise Corrupt("it is there already")
            return super().put(path, content, tags)

    assert caught(scene, tmp_path, store=Refusing)


@SCENES
def test_share_that_cannot_be_repeated(scene: Scene, tmp_path: Path) -> None:
    """A store that makes a new link each time it is asked is left with links that nobody revokes."""

    class Doubling(MemoryStore):
        def share(self, stored: Any, terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
            kept, self.shares = self.shares, []
            links = super().share(stored, terms, origin)
            self.shares = [*kept, *self.shares]
            return links

    assert caught(scene, tmp_path, store=Doubling)


def test_rewrite_that_cannot_be_repeated(tmp_path: Path) -> None:
    """A source that adds a notice each time it is asked shows the same files twice after a crash."""

    class Adding(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            assert item.body
            added = replace(item.body, content=notice.html + item.body.content)
            self._mailbox.change(item.id, body=added, marker=notice.marker)

    # A share that is made anew makes the notice be written anew.
    class Forgetting(MemoryStore):
        def verify(self, stored: Stored) -> bool:
            self.shares = self.shares if self._shared > 1 else []
            return super().verify(stored)

    world = World(tmp_path / "ledger.db", policy(), store=Forgetting())
    world.deliver(Attached("a.bin", b"aaaa"))
    world.run()
    assert str(world.mailbox.items()[0].body).count("data-redirect") == 1
    world = World(tmp_path / "mutant.db", policy(), store=Forgetting())
    world.deliver(Attached("a.bin", b"aaaa"))
    world.run(source=Adding)
    assert str(world.mailbox.items()[0].body).count("data-redirect") == 2


def test_prune_that_trusts_an_old_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who takes the notice out between rewrite and prune must not lose the file."""

    def blind(written: Redirect, turn: Turn) -> Redirect:
        item = turn.watch.source.fetch(written.item_id)
        turn.watch.source.prune(item, [each.file.id for each in written.shown])
        return turn.write(replace(written, state=State.DONE), Event.REDIRECT_DONE)

    def lost(ledger: str) -> list[str]:
        world = World(tmp_path / ledger, policy())
        item_id = world.deliver(Attached("a.bin", b"aaaa"))

        def edited(linked: Redirect, turn: Turn) -> Redirect:
            after = real(linked, turn)
            if not world.mailbox.entry(item_id).categories:
                world.mailbox.entry(item_id).categories = ("edited",)
                world.mailbox.edit_body(item_id, "<html><body>mine</body></html>")
            return after

        monkeypatch.setitem(redirect.STEPS, State.LINKED, edited)
        world.run()
        return world.lost()

    real = redirect.STEPS[State.LINKED]
    assert not lost("ledger.db")
    monkeypatch.setitem(redirect.STEPS, State.REWRITTEN, blind)
    assert lost("mutant.db")


def test_prune_of_a_shared_file_that_trusts_an_old_read(tmp_path: Path) -> None:
    """Who edits the file between our look and its removal must find that edit, in the share or behind the pointer."""

    class Blind(MemoryShareSource):
        def prune(self, item: Item, file_ids: Collection[str]) -> None:
            for file_id in file_ids:
                self._share.delete(file_id)

    def lost(ledger: str, source: type[MemoryShareSource]) -> list[str]:
        world = ShareWorld(tmp_path / ledger, policy())
        item_id = world.upload("report.pdf", b"first")

        def edit() -> None:
            if item_id in world.share.entries:
                world.share.edit(item_id, b"second")
                world.wanted = [b"second"]

        world.run(before("prune", 1, edit), source=source)
        return world.lost()

    assert not lost("ledger.db", MemoryShareSource)
    assert lost("mutant.db", Blind)


def test_pointer_that_cannot_be_written_again(tmp_path: Path) -> None:
    """A source that makes a new pointer each time it is asked leaves two of them after a crash."""

    class Doubling(MemoryShareSource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            super().rewrite(replace(cast("SharedFile", item), pointer=""), notice)

    # Links that are made anew make the pointer be written anew.
    class Forgetting(MemoryStore):
        def verify(self, stored: Stored) -> bool:
            self.shares = self.shares if self._shared > 1 else []
            return super().verify(stored)

    def pointers(ledger: str, source: type[MemoryShareSource]) -> int:
        world = ShareWorld(tmp_path / ledger, policy(), store=Forgetting())
        world.upload("report.pdf", b"first")
        world.run(source=source)
        return len(world.share.entries)

    assert pointers("ledger.db", MemoryShareSource) == 1
    assert pointers("mutant.db", Doubling) > 1


def test_adoption_that_trusts_the_html(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply quotes our notice, attribute and all: taking it for the message would remove files of the reply."""

    class Searching(MemorySource):
        def find(self, redirect_id: str) -> tuple[Message, ...]:
            return tuple(item for item in self._mailbox.items() if f'data-redirect="{redirect_id}"' in str(item.body))

    def lost(ledger: str, source: type[MemorySource]) -> list[str]:
        world = World(tmp_path / ledger, policy())
        item_id = world.deliver(Attached("a.bin", b"aaaa"))

        def answer_and_delete() -> None:
            body = world.mailbox.entry(item_id).message.body
            # The reply is private, so that no redirect of its own touches it; its file only looks like the other one.
            world.deliver(Attached("a.bin", b"zzzz"), body=body, sensitivity="private")
            world.mailbox.delete(item_id)

        hooked = acting("rewrite", answer_and_delete)
        world.run(source=type("Hooked", (hooked, source), {}))
        return world.lost()

    assert not lost("ledger.db", MemorySource)

    def by_attribute(item: Item, turn: Turn) -> Marker | None:
        found = re.search(r'data-redirect="([^"]+)"', str(item.body))
        return Marker(found[1], 1) if found else None

    def by_looks(followed: Redirect, item: Item) -> Redirect:
        return replace(followed, files=tuple(replace(each, file=item.files[0]) for each in followed.files))

    # Either guard alone keeps the file: that only our marker counts, and that a look-alike is no original.
    monkeypatch.setattr(reactions, "genuine", by_attribute)
    monkeypatch.setattr(discover, "followed", by_looks)
    monkeypatch.setattr(redirect, "bears_mark", lambda item, each: each.id in str(item.body))
    assert lost("mutant.db", Searching)
