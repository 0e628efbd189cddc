"""The ledger can be wrong: lost, restored from yesterday, cloned, or somebody else's. Nothing is lost by it."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector import marker
from connector.errors import Corrupt
from connector.flow.decisions import recall, release
from connector.flow.manifest import (
    Manifest,
    Reconciled,
    _mac,
    claim,
    day,
    delete_manifests,
    look_after_claim,
    manifests,
    reconcile,
)
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.ledger import FOR_EVER, Ledger
from connector.model import Redirect, State
from connector.pauses import TenantPause
from connector.policy import Policy
from connector.sources.memory import Attached
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.test_redirect import acting, before, done, events, only, redirects, step
from tests.world import KEY, TENANT, World

FILE = Attached("a.bin", b"aaaa")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A mailbox under a policy that redirects everything at once."""
    return World(tmp_path / "ledger.db", policy())


def with_ledger(world: World, act: Any) -> Any:
    """Do something with the ledger, and close it."""
    ledger = Ledger(f"sqlite:///{world.ledger_file}")
    try:
        return act(ledger)
    finally:
        ledger.close()


def start(world: World) -> bool:
    """What a process does first: claim the store for its ledger."""
    return bool(with_ledger(world, lambda ledger: claim(TENANT, world.store, ledger, world.clock())))


def reconciled(world: World) -> int:
    """What `connector ledger reconcile` does."""
    told: Reconciled = with_ledger(world, lambda ledger: reconcile(TENANT, world.store, ledger, world.clock(), KEY))
    assert told.refused == 0
    return told.taken_over


def backed_up(world: World, name: str = "backup") -> Path:
    """Copy the ledger as it is now."""
    copy = world.ledger_file.with_suffix(f".{name}")
    with closing(sqlite3.connect(world.ledger_file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restored(world: World, backup: Path | None) -> None:
    """Yesterday's ledger is today's; or, without a backup, it is lost, and a new one begins."""
    if backup is None:
        world.ledger_file = world.ledger_file.with_name("new.db")
        return
    for suffix in ("-wal", "-shm"):
        Path(f"{world.ledger_file}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, world.ledger_file)


def test_every_start_claims_a_generation(world: World) -> None:
    """Each start goes one further, and the store keeps the newest two only."""
    assert all(start(world) for _ in range(5))
    assert len(world.store.names(".connector/generations")) == 2


def test_restored_backup_is_braked(world: World) -> None:
    """Yesterday's ledger copies, but shares, shows and prunes nothing, until somebody has looked."""
    start(world)
    backup = backed_up(world)
    start(world)
    restored(world, backup)
    assert not start(world)
    world.deliver(FILE)
    world.run(ticks=3)
    assert only(world).state is State.STORED
    assert not world.store.shares
    assert world.mailbox.items()[0].files


@pytest.mark.parametrize("looked", [True, False], ids=["reconciled", "braked"])
@pytest.mark.parametrize("copied", [True, False], ids=["backed up when it was copied", "backed up when it was planned"])
def test_links_that_an_older_ledger_never_saw_shown(tmp_path: Path, *, copied: bool, looked: bool) -> None:
    """A message was shown its links, and its owner took it to another mailbox: the older ledger must not end them."""
    world = World(tmp_path / "ledger.db", policy(settle="1h"))
    start(world)
    item_id = world.deliver(FILE)
    backups: list[Path] = []
    step(world, saboteur=before("put", 1, lambda: backups.append(backed_up(world, "planned"))))
    backups.append(backed_up(world, "stored"))
    start(world)
    world.run()
    done(world)
    (taken_away,) = world.mailbox.items()
    world.mailbox.delete(item_id)
    restored(world, backups[copied])
    assert not start(world)
    if looked:
        reconciled(world)
    world.now += timedelta(hours=2)
    world.run(ticks=9)
    world.now += timedelta(days=60)
    with world.process() as (watch, ledger):
        sweep(watch, ledger, world.clock, "one", grace=timedelta(days=30), at_most=100)
    assert list(world.shown(taken_away).values()) == [FILE.content]


def test_backup_that_was_made_while_the_brake_stood(tmp_path: Path) -> None:
    """It does not tell that it is an old one when it is put back; whoever reconciles it must not end links either."""
    world = World(tmp_path / "ledger.db", policy(settle="1h"))
    start(world)
    world.deliver(FILE)
    step(world)
    with world.ledger() as ledger:
        ledger.pause(
            TenantPause.LEDGER.of(TENANT), until=FOR_EVER, reason="", error="Foreign", now=world.clock(), tenant=TENANT
        )
    backup = backed_up(world)
    reconciled(world)
    world.run()
    done(world)
    (taken_away,) = world.mailbox.items()
    world.mailbox.delete(taken_away.id)
    restored(world, backup)
    assert not start(world)
    reconciled(world)
    world.now += timedelta(hours=2)
    world.run(ticks=9)
    assert list(world.shown(taken_away).values()) == [FILE.content]


def test_backup_is_braked_also_where_nothing_was_claimed_since(world: World) -> None:
    """It is put back within the hour, and no start came in between."""
    start(world)
    backup = world.ledger_file.with_name("backup.db")
    with_ledger(world, lambda ledger: ledger.back_up(backup))
    restored(world, backup)
    assert not start(world)


def test_foreign_ledger_is_braked(world: World, tmp_path: Path) -> None:
    """A second daemon with a ledger of its own on the same store."""
    start(world)
    other = replace(world, ledger_file=tmp_path / "other.db")
    assert not start(other)
    assert start(world)


def test_clones_cannot_both_claim_one_generation(world: World) -> None:
    """A machine copied while it stood still: whoever comes first works, the other stops."""
    start(world)
    clone = replace(world, ledger_file=backed_up(world))
    assert start(world)
    assert not any(start(clone) for _ in range(5))
    assert start(world)


def test_claim_stands_until_a_clone_makes_another(world: World) -> None:
    """What a daemon asks while it works: claims for other tenants change nothing; a clone's do, and the brake stands.

    Also where those of other tenants have brought this ledger further than the clone by then.
    """

    def stand(claimed: int) -> bool:
        now = world.clock()
        with_ledger(world, lambda ledger: look_after_claim(claimed, TENANT, world.store, ledger, now))
        return with_ledger(world, lambda ledger: ledger.paused(TenantPause.LEDGER.of(TENANT), now)) is None

    claimed = with_ledger(world, lambda ledger: claim(TENANT, world.store, ledger, world.clock()))
    clone = replace(world, ledger_file=backed_up(world))
    for tenant in ("beta", "gamma"):
        assert with_ledger(world, lambda ledger, tenant=tenant: claim(tenant, MemoryStore(), ledger, world.clock()))
    assert stand(claimed)
    assert start(clone)
    assert not stand(claimed)
    assert not start(world)


def test_clones_that_claim_at_the_same_moment(world: World) -> None:
    """Both look before either writes: the store lets one of them create the claim."""
    start(world)
    clone = replace(world, ledger_file=backed_up(world))
    seen = [world.store.names(".connector/generations")]
    assert start(world)

    class Behind:
        """The store, which the clone saw a moment too early."""

        def names(self, folder: str) -> tuple[str, ...]:
            return seen.pop() if seen else world.store.names(folder)

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

    clone.store = Behind()  # type: ignore[assignment]
    assert not start(clone)


def test_store_that_garbles_the_claim_is_not_taken_for_another_ledgers(world: World) -> None:
    """The operator is told what is wrong, and not to look for a second daemon."""

    class Garbling(MemoryStore):
        def put(self, path: str, content: Any, tags: Sequence[str] = ()) -> Any:
            raise Corrupt("read back differs")

    world.store = Garbling()
    with pytest.raises(Corrupt):
        start(world)
    with world.process() as (_, ledger):
        assert not ledger.paused(TenantPause.LEDGER.of(TENANT), world.now)


@pytest.mark.parametrize("verb", ["discover", "copy", "share", "rewrite", "prune"])
def test_ledger_of_yesterday(world: World, verb: str) -> None:
    """Backed up at any moment, restored when all was done: after reconcile nothing is lost, deleted or shown twice."""
    backups: list[Path] = []
    start(world)
    world.deliver(FILE, Attached("b.bin", b"bbbb"))
    if verb == "discover":
        backups.append(backed_up(world))
        world.run()
    elif verb == "copy":
        world.run(before("put", 1, lambda: backups.append(backed_up(world))))
    elif verb == "share":
        world.policy = policy(settle="1h")
        step(world)
        backups.append(backed_up(world))
        world.run()
    else:
        world.run(source=acting(verb, lambda: backups.append(backed_up(world))))
    done(world)
    seen = world.view()
    start(world)
    restored(world, backups[0])
    assert not start(world)
    reconciled(world)
    world.run()
    assert not world.lost()
    assert world.view() == seen
    assert str(world.mailbox.items()[0].body).count("data-redirect") == 1
    assert {each.state for each in redirects(world)} == {State.DONE}


@pytest.mark.parametrize("settled", [True, False])
def test_lost_ledger_is_rebuilt_from_the_manifests(world: World, settled: bool) -> None:  # noqa: FBT001 - a parameter
    """What was done is known again; what was under way goes on."""
    world.policy = policy(settle=0 if settled else "1h")
    start(world)
    world.deliver(FILE)
    step(world, 2)
    world.ledger_file = world.ledger_file.with_name("new.db")
    assert not start(world)
    assert reconciled(world) == 1
    assert reconciled(world) == 0
    world.run()
    done(world)
    assert not world.mailbox.items()[0].files


def done_since_backup(world: World) -> Path:
    """A message is done; the backup knows no more of it than the plan."""
    world.deliver(FILE)
    with world.process() as (watch, ledger):
        ledger.watch(watch.name, tenant=TENANT, address="x", now=world.now, since=watch.since)
    backups: list[Path] = []

    class Backing(type(world.store)):  # type: ignore[misc]
        def put(self, path: str, content: Any, tags: Sequence[str] = ()) -> Any:
            if not backups:
                backups.append(backed_up(world))
            return super().put(path, content, tags)

    world.store = Backing(files=world.store.files)
    world.run()
    done(world)
    return backups[0]


def test_restored_ledger_without_reconcile_holds_what_it_cannot_explain(world: World) -> None:
    """Even where no generation tells: a file that is gone from a message that shows links is not taken for dropped."""
    restored(world, done_since_backup(world))
    world.run()
    assert only(world).state is State.HELD
    assert not world.lost()


@pytest.mark.parametrize("tried", [True, False])
@pytest.mark.parametrize("replaces", [True, False])
def test_recalled_by_a_ledger_of_yesterday(world: World, *, replaces: bool, tried: bool) -> None:
    """It knows of no copy in the store: the links stay until `reconcile` has found it, and then the file goes back."""
    world.replace = replaces
    restored(world, done_since_backup(world))
    with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
    if tried:
        world.run()
        assert (only(world).state, only(world).held_in) == (State.HELD, State.RECALLED)
        assert "connector ledger reconcile" in only(world).reason
        assert not world.lost()
    assert reconciled(world) == 1
    if tried:
        with_ledger(world, lambda ledger: release(only(world), ledger, world.clock(), "operator"))
    world.run()
    assert only(world).state is State.RESTORED
    assert [*world.mailbox.entries()[0].contents.values()] == [FILE.content]
    assert "data-redirect" not in str(world.mailbox.items()[0].body)


@pytest.mark.parametrize("lost", [True, False], ids=["no ledger", "the ledger of when it was restored"])
def test_restored_message_that_was_released_since(world: World, *, lost: bool) -> None:
    """It shows links again: nobody may take it for restored, or nothing would go back into it any more."""
    start(world)
    world.deliver(FILE)
    world.run()
    with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
    world.run()
    backup = backed_up(world)
    with_ledger(world, lambda ledger: release(only(world), ledger, world.clock(), "operator"))
    world.run()
    done(world)
    restored(world, None if lost else backup)
    start(world)
    assert reconciled(world) == 1
    world.run()
    done(world)
    with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
    world.run()
    assert [*world.mailbox.entries()[0].contents.values()] == [FILE.content]


@pytest.mark.parametrize("lost", [True, False])
def test_what_is_said_later_is_later_by_its_name(world: World, *, lost: bool) -> None:
    """Also where another ledger had come further: of two manifests the newer one counts, here what a human decided."""
    world.deliver(*(Attached(f"{number}.bin", b"a") for number in range(9)))
    start(world)
    step(world)
    backup = backed_up(world)
    for back in (False, True):
        if lost:
            world.ledger_file = world.ledger_file.with_name(f"new{back}.db")
        else:
            restored(world, backup)
        start(world)
        reconciled(world)
        if not back:
            with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
        world.run()
        assert only(world).state is State.RESTORED
    assert not world.lost()
    assert not world.mailbox.items()[0].marker


@pytest.mark.parametrize("held", [True, False])
def test_file_that_changed_after_the_backup(world: World, *, held: bool) -> None:
    """The ledger of before knows another file's copy: its link must not take the place of the one that is shown."""
    world.policy = policy(settle="1h")
    start(world)
    item_id = world.deliver(FILE)
    step(world)
    if held:
        with_ledger(world, lambda ledger: ledger.write(_held(only(world)), "redirect.held", world.clock()))
    backup = backed_up(world)
    if held:
        with_ledger(world, lambda ledger: release(only(world), ledger, world.clock(), "operator"))
    (file,) = world.mailbox.items()[0].files
    world.mailbox.detach(item_id, file.id)
    world.mailbox.attach(item_id, Attached(FILE.name, b"bbbb"))
    world.files = {message: [b"bbbb"] for message in world.files}
    world.run()
    done(world)
    restored(world, backup)
    start(world)
    assert (reconciled(world), reconciled(world)) == (1, 0)
    if held:
        with_ledger(world, lambda ledger: release(only(world), ledger, world.clock(), "operator"))
    world.run()
    done(world)


def _held(redirect: Redirect) -> Redirect:
    return replace(redirect, state=State.HELD, held_in=redirect.state)


@pytest.mark.parametrize("looked", [True, False])
def test_withdrawn_by_a_ledger_of_yesterday(world: World, *, looked: bool) -> None:
    """It knows that nothing had to go back; since then all was redirected, so its notice must not leave."""
    world.policy = Policy.model_validate({"rules": [{"name": "ask", "action": "hold", "settle": "1h"}]})
    start(world)
    world.deliver(FILE)
    step(world)
    with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
    step(world)
    assert only(world).state is State.RETURNED
    backup = backed_up(world)
    world.run()
    with_ledger(world, lambda ledger: release(only(world), ledger, world.clock(), "operator"))
    world.run()
    done(world)
    restored(world, backup)
    if looked:
        assert reconciled(world) == 1
    world.run()
    assert only(world).state is (State.RESTORED if looked else State.HELD)
    assert not world.lost()


def test_manifest_that_vanishes_is_passed_over(world: World) -> None:
    """It was listed, and swept before it was read. Files that are no manifests are none of ours."""
    world.deliver(FILE)
    world.run()
    (path,) = (path for path in world.store.files if path.endswith(".json"))
    collection = path.rpartition("/")[0]
    world.store.files[f"{collection}/desktop.ini"] = b"[.ShellClassInfo]"
    names = world.store.names

    def listed(folder: str) -> tuple[str, ...]:
        found = names(folder)
        if folder == collection:
            del world.store.files[path]
        return found

    world.store.names = listed  # type: ignore[method-assign]
    assert list(manifests(world.store, KEY)) == []
    assert path not in world.store.files


def test_what_was_only_copied_is_known_again(tmp_path: Path) -> None:
    """It is done, as it was: nothing of it was dropped."""
    world = World(tmp_path / "ledger.db", policy(action="copy"))
    start(world)
    world.deliver(FILE)
    world.run()
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    assert reconciled(world) == 1
    world.run()
    done(world)
    assert world.mailbox.items()[0].files


def test_no_collection_grows_with_every_message(tmp_path: Path) -> None:
    """A server lists so many names at a time and no more; and each sweep lists one."""
    world = World(tmp_path / "ledger.db", policy(keep_original=True))
    for number in range(9):
        world.deliver(Attached(f"{number}.bin", b"aaaa"))
        world.run()
        world.now += timedelta(days=1)
    beside = Counter(path.rpartition("/")[0] for path in world.store.files)
    assert sum(beside.values()) == 3 * 9
    assert set(beside.values()) == {1, 2}


def test_manifests_of_when_all_lay_side_by_side(tmp_path: Path) -> None:
    """They are known as ever, and go with what is swept."""
    world = World(tmp_path / "ledger.db", policy(keep_original=True))
    start(world)
    world.deliver(FILE)
    world.run()
    for path in [path for path in world.store.files if path.startswith(".connector/redirects/")]:
        kind = "originals" if path.endswith(".eml") else "manifests"
        world.store.files[f".connector/{kind}/{path.rpartition('/')[2]}"] = world.store.files.pop(path)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    assert reconciled(world) == 1
    world.run()
    done(world)
    delete_manifests(world.store, only(world).id, day(only(world).created))
    assert not [path for path in world.store.files if only(world).id in path.rpartition("/")[2]]


def cut_short(content: bytes) -> bytes:
    """A torn copy."""
    return content[:-100]


def pointed_elsewhere(content: bytes) -> bytes:
    """Somebody wants the daemon to put another file into the message."""
    return content.replace(b'"path": "acme/', b'"path": "eve/')


def of_another_mailbox(content: bytes) -> bytes:
    """Somebody wants files of another mailbox into his own."""
    return content.replace(b"anna@example.org", b"evil@example.org")


def of_format_1(content: bytes) -> bytes:
    """As they were before they carried a MAC. No version was released that wrote them."""
    told = json.loads(content)
    del told["mac"]
    return json.dumps(told | {"format": 1}, indent=1, sort_keys=True).encode()


def of_a_stranger(content: bytes) -> bytes:
    """Well made, under another key."""
    said = b"{\n" + content.partition(b"\n")[2].partition(b"\n")[2]
    return b'{\n "mac": "' + _mac(b"another key", "x", said).encode() + b'",\n' + said.removeprefix(b"{\n")


def nested(_: bytes) -> bytes:
    """What makes a parser run out of its stack."""
    return b"[" * 1_000_000


TAMPERED = (cut_short, pointed_elsewhere, of_another_mailbox, of_format_1, of_a_stranger, nested)


@pytest.mark.parametrize("tampered", TAMPERED)
def test_manifest_that_was_tampered_with_is_refused(world: World, tampered: Callable[[bytes], bytes]) -> None:
    """It is told, and never taken over; the others are; message and store are left as they were."""
    start(world)
    world.deliver(FILE)
    world.deliver(Attached("b.bin", b"bbbb"))
    world.run()
    (path, _) = (path for path in world.store.files if path.startswith(".connector/redirects/"))
    changed = tampered(world.store.files[path])
    assert changed != world.store.files[path]
    world.store.files[path] = changed
    before_it, stored = world.view(), dict(world.store.files)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    told = with_ledger(world, lambda ledger: reconcile(TENANT, world.store, ledger, world.clock(), KEY))
    assert told + Reconciled(refused=1) == Reconciled(taken_over=1, refused=2)
    assert events(world).count("manifest.refused") == 1
    world.mailbox.lose_cursors()
    world.run()
    assert only(world).state is State.DONE
    assert world.view() == before_it
    kept = {name: content for name, content in world.store.files.items() if "generations" not in name}
    assert kept.items() <= stored.items()
    assert not world.lost()


def test_older_manifest_under_a_newer_name_is_refused(world: World) -> None:
    """Somebody wants a message redirected again whose files a human had put back."""
    start(world)
    world.deliver(FILE)
    world.run()
    (path,) = (path for path in world.store.files if path.startswith(".connector/redirects/"))
    folder, _, name = path.rpartition("/")
    world.store.files[f"{folder}/{name.partition('.')[0]}.000999.json"] = world.store.files[path]
    assert [isinstance(each, Manifest) for each in manifests(world.store, KEY)] == [False]


def test_reconcile_leaves_other_tenants_and_finished_work_alone(world: World) -> None:
    """One store may serve two tenants; and what this ledger knows better stays as it is."""
    start(world)
    world.deliver(FILE)
    world.run()
    told = with_ledger(world, lambda ledger: reconcile("other", world.store, ledger, world.clock(), KEY))
    assert told == Reconciled()
    assert reconciled(world) == 0
    done(world)


def test_reconcile_of_a_held_redirect_keeps_it_held(world: World) -> None:
    """A human was to decide, and still is; but it goes on from the stored files."""
    start(world)
    world.deliver(FILE)
    world.run()
    finished = only(world)

    def back(ledger: Ledger) -> Redirect:
        held = replace(finished, state=State.HELD, held_in=State.PLANNED, reason="x")
        return ledger.write(held, "redirect.held", world.clock())

    with_ledger(world, back)
    assert reconciled(world) == 1
    assert (only(world).state, only(world).held_in) == (State.HELD, State.STORED)


def test_message_planned_anew_before_anybody_reconciled(world: World) -> None:
    """The ledger was lost, and the daemon went on under its brake: the old redirect gives way to the new one."""
    world.policy = policy(settle="1h")
    start(world)
    world.deliver(FILE)
    step(world)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    step(world)
    anew = only(world)
    assert reconciled(world) == 0
    world.run()
    done(world)
    assert only(world).id == anew.id


def a_look_alike_stays(world: World, item_id: str, next_ledger: str) -> None:
    """The user attaches one to a message that is done; then the ledger is lost, and rebuilt."""
    world.mailbox.attach(item_id, Attached(FILE.name, b"bbbb"))
    world.ledger_file = world.ledger_file.with_name(next_ledger)
    start(world)
    reconciled(world)
    world.run()
    assert not world.lost()
    assert [*world.mailbox.entry(item_id).contents.values()] == [b"bbbb"]


@pytest.mark.parametrize("older_first", [True, False])
def test_two_redirects_of_one_message_after_the_second_loss(
    world: World, monkeypatch: pytest.MonkeyPatch, *, older_first: bool
) -> None:
    """What its user attached since only looks like the file that the links of the one lead to: it is left to him."""
    ids = iter(("1" * 20, "2" * 20) if older_first else ("2" * 20, "1" * 20))
    monkeypatch.setattr("connector.flow.discover._new_id", lambda: next(ids))
    world.policy = policy(settle="1h")
    start(world)
    item_id = world.deliver(FILE)
    step(world)
    world.ledger_file = world.ledger_file.with_name("second.db")
    start(world)
    step(world)
    reconciled(world)
    world.run()
    done(world)
    shown = world.mailbox.entry(item_id).message
    a_look_alike_stays(world, item_id, "third.db")
    message = world.mailbox.entry(item_id).message
    assert (message.body, message.marker) == (shown.body, shown.marker)
    if older_first:
        assert only(world).state is State.DROPPED
        assert reconciled(world) == 1
        world.run()
    assert State.DONE in {each.state for each in redirects(world)}
    assert not world.lost()


@pytest.mark.parametrize("overwritten", [True, False])
def test_notice_whose_marker_is_gone_still_tells_that_it_was_shown(world: World, *, overwritten: bool) -> None:
    """The store may have the only copy: a file that was attached since, and looks like it, does not take its place."""
    start(world)
    item_id = world.deliver(FILE)
    world.run()
    done(world)
    other = marker.sign(
        KEY,
        redirect_id="2" * 20,
        generation=1,
        tenant=TENANT,
        internet_message_id=world.mailbox.entry(item_id).message.internet_message_id,
    )
    world.mailbox.change(item_id, marker=other if overwritten else "")
    a_look_alike_stays(world, item_id, "new.db")


@pytest.mark.parametrize("lost", [True, False])
def test_restored_message_planned_anew_before_anybody_reconciled(world: World, lost: bool) -> None:  # noqa: FBT001 - a parameter
    """The same, but a human had put its files back: it stays as it is."""
    start(world)
    world.deliver(FILE)
    world.run()
    backup = backed_up(world)
    with_ledger(world, lambda ledger: recall(only(world), ledger, world.clock(), "operator"))
    world.run()
    start(world)
    restored(world, None if lost else backup)
    start(world)
    step(world)
    assert State.STORED in {each.state for each in redirects(world)}
    assert reconciled(world) == 1
    world.mailbox.lose_cursors()
    world.run()
    assert {each.state for each in redirects(world)} <= {State.DROPPED, State.RESTORED}
    assert {each.ended_by for each in redirects(world)} == {"operator"}
    assert world.mailbox.items()[0].files
    assert not world.mailbox.items()[0].marker


def test_brake_is_told(world: World) -> None:
    """The reason says what to do."""
    start(world)
    world.ledger_file = world.ledger_file.with_name("new.db")
    start(world)
    pause = with_ledger(
        world, lambda ledger: ledger.paused(TenantPause.LEDGER.of(TENANT), world.now + timedelta(days=3650))
    )
    assert "ledger reconcile" in pause.reason
    with world.process() as (watch, ledger):
        assert tick(watch, ledger, world.clock, "one")
