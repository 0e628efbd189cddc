"""`connector explain`: why an attachment is still in its message, and who asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import Conflict, Unavailable
from connector.explain import Found, opened, why
from connector.flow.redirect import tick
from connector.flow.sweep import sweep
from connector.ledger import FOR_EVER
from connector.ledger.backlog import Backfill
from connector.log import Event
from connector.model import Action, Ending, Item, Link, LinkTerms, Notice, State, Verdict
from connector.policy import Policy
from connector.sources.memory import Attached, MemorySource
from connector.stores.memory import MemoryStore
from tests.world import World

REPORT = Attached("report.pdf", b"%PDF-1.7 report")


def policy(**rule: object) -> Policy:
    """Everything goes, at once, unless the rule says otherwise."""
    return Policy.model_validate({"rules": [{"name": "all", "action": "redirect", "settle": 0} | rule]})


def said(world: World) -> str:
    """Why the one redirect is where it is."""
    with world.ledger() as ledger:
        return " | ".join(why(ledger.redirects(), (), ledger, world.now))


def turn(world: World) -> None:
    """One turn."""
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")


def test_what_settles_is_told_with_its_time(tmp_path: Path) -> None:
    """And when its copy was proved."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"))
    world.deliver(REPORT)
    turn(world)
    proved, until = (f"{world.now + timedelta(hours=hours):%Y-%m-%d %H:%M}Z" for hours in (0, 24))
    assert f"its copy was proved at {proved}, and the original stays until {until} (settle)" in said(world)
    world.now += timedelta(hours=25)
    world.run()
    assert "is done: its files have left the message" in said(world)


@pytest.mark.parametrize(
    "name",
    [
        *("acme/store", "acme/shares", "acme/ledger", "acme/clock", "acme/stop"),
        *("SOURCE", "SOURCE/proof", "SOURCE/edits"),
    ],
)
def test_what_stands_between_is_told_with_its_reason(name: str, tmp_path: Path) -> None:
    """A store that pauses, a brake, a proof that is missing; but not what keeps another mailbox."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"))
    world.deliver(REPORT)
    turn(world)
    with world.ledger() as ledger:
        (source,) = (each.name for each in ledger.watched())
        paused = name.replace("SOURCE", source)
        ledger.pause(paused, until=FOR_EVER, reason="this is why", error="Denied", now=world.now, tenant="acme")
        ledger.pause("acme/other", until=FOR_EVER, reason="not this", error="Denied", now=world.now, tenant="acme")
    assert "nothing goes on until somebody acts: this is why" in said(world)
    assert "not this" not in said(world)


def test_what_is_held_dropped_or_copied_says_so(tmp_path: Path) -> None:
    """With what to do about it, or who did it."""
    held = World(tmp_path / "held.db", policy(action="hold"))
    copied = World(tmp_path / "copied.db", policy(action="copy"))
    gone = World(tmp_path / "gone.db", policy(settle="24h"))
    for world in (held, copied):
        world.deliver(REPORT)
        turn(world)
    item = gone.deliver(REPORT)
    turn(gone)
    gone.mailbox.detach(item, gone.mailbox.entry(item).message.files[0].id)
    gone.run()
    assert "is held: rule all: the rule has no conditions; `connector release" in said(held)
    assert "were to be copied only, and stay" in said(copied)
    assert "was dropped: no file of the item is to be redirected any more" in said(gone)


def test_what_fails_is_told_with_its_next_try(tmp_path: Path) -> None:
    """How often it did not go through, and why."""

    class Changing(MemorySource):
        def rewrite(self, item: Item, notice: Notice) -> None:
            raise Conflict("somebody edits it")

    world = World(tmp_path / "ledger.db", policy())
    world.deliver(REPORT)
    with world.process(source=Changing) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        (redirect,) = ledger.redirects()
    assert redirect.attempts > 1
    assert "is linked: somebody edits it" in said(world)
    tried = f"did not go through {redirect.attempts} times, and is tried again at {redirect.due:%Y-%m-%d %H:%M}Z"
    assert tried in said(world)


def test_what_failed_before_and_only_settles_now(tmp_path: Path) -> None:
    """It waits for the end of settle, and for no other try."""
    world = World(tmp_path / "ledger.db", policy(settle="24h"))
    world.deliver(REPORT)
    with world.process() as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
        (redirect,) = ledger.redirects()
        ledger.write(replace(redirect, attempts=1), "test", world.now)
    assert "the original stays until" in said(world)
    assert "did not go through" not in said(world)


def test_what_was_not_begun_is_told(tmp_path: Path) -> None:
    """Where a tenant only monitors; where the next turn begins it; and what is looked at again later."""
    world = World(tmp_path / "ledger.db", policy())
    item = world.mailbox.entry(world.deliver(REPORT)).message
    verdict = Verdict(file=item.files[0], action=Action.REDIRECT, rule="all", because="")
    later = Verdict(
        file=item.files[0], action=Action.KEEP, rule="", because="", look_again=datetime(2026, 3, 1, tzinfo=UTC)
    )
    with world.process() as (watch, ledger):
        assert why((), [Found(watch, item, (verdict,))], ledger, world.now) == (
            "what the policy wants now was not begun yet: the next turn of the mailbox does",
        )
        assert why((), [Found(watch, item, (later,))], ledger, world.now) == (
            "a file stays for now, and is looked at again at 2026-03-01 00:00Z",
        )
        (told,) = why((), [Found(replace(watch, monitor=True), item, (verdict,))], ledger, world.now)
        assert told == f"rules are only monitored in {watch.source.address}: nothing is done to any message there"


def test_what_is_older_than_first_contact_waits_for_a_backfill(tmp_path: Path) -> None:
    """Or for somebody who wants one."""
    world = World(tmp_path / "ledger.db", policy())
    item = world.mailbox.entry(world.deliver(REPORT)).message
    old = Verdict(file=item.files[0], action=Action.KEEP, rule="guard:first-contact", because="")
    wanted: dict[str, Any] = {
        "biggest": False,
        "since": None,
        "from_hour": 0,
        "to_hour": 0,
        "per_hour": 100,
    }
    with world.process() as (watch, ledger):
        found = [Found(watch, item, (old,))]
        assert why((), found, ledger, world.now) == ("mail that old goes only by `connector backfill`",)
        ledger.watch(watch.name, tenant="acme", address=watch.source.address, now=world.now)
        ledger.want_backfill(
            Backfill(source=watch.name, next=world.now, **wanted), "backfill.wanted", world.now, by="ada"
        )
        assert why((), found, ledger, world.now) == ("mail that old goes in its turn, as a backfill is wanted",)


def open_for(world: World, **watched: Any) -> str:
    """Who can open the links of the one redirect, until when, and what ends them."""
    with world.process() as (watch, ledger):
        (told,) = opened(ledger.redirects(), [replace(watch, **watched)], ledger, world.now)
    return told


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({}, "whoever may log in at the store and has a right to the file there, without an end by time; only"),
        ({"link": {"audience": "owner"}}, "those to whom the mailbox belongs, without an end"),
        ({"link": {"audience": "staff"}}, "everybody with a login of the house, without an end"),
        (
            {"link": {"audience": "anyone", "expires": "9d", "password": True, "downloads": 3}},
            "whoever has them, with their password, 3 times each, until ENDS; only `connector links revoke` ends them",
        ),
        ({"retain": {"file": "30d"}}, "; they end with their files on 2026-03-04 09:00Z, or by `connector links"),
        ({"retain": {"file": "message + 30d"}}, "with their files, 30 d after the last copy of the message has left"),
    ],
)
def test_who_can_open_a_link_today_until_when_and_what_ends_it(
    rule: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    """In one sentence for each kind of link that a message shows."""
    world = World(tmp_path / "ledger.db", policy(**rule), publishes=True)
    world.deliver(REPORT)
    world.run()
    with world.ledger() as ledger:
        (file,) = ledger.redirects()[0].files
    ends = f"{file.link.expires:%Y-%m-%d %H:%M}Z" if file.link and file.link.expires else ""
    assert sentence.replace("ENDS", ends) in open_for(world)


def test_a_link_that_has_ended_opens_nothing(tmp_path: Path) -> None:
    """As the book has it, whatever the message shows."""
    world = World(tmp_path / "ledger.db", policy(link={"audience": "anyone"}), publishes=True)
    world.deliver(REPORT)
    world.run()
    with world.process() as (watch, ledger):
        watch.links.revoke(ledger.redirects()[0].folder)
    assert "open nothing any more" in open_for(world)


def test_a_link_whose_time_is_over_opens_nothing(tmp_path: Path) -> None:
    """Of our own pages."""
    world = World(tmp_path / "ledger.db", policy(link={"audience": "anyone", "expires": "9d"}), publishes=True)
    world.deliver(REPORT)
    world.run()
    assert ", until 20" in open_for(world)
    world.now = datetime.now(UTC) + timedelta(days=10)
    assert "open nothing any more" in open_for(world)


def test_a_stores_link_whose_time_is_over_opens_nothing(tmp_path: Path) -> None:
    """Only what was noted tells it."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(REPORT)
    world.run()
    with world.ledger() as ledger:
        (redirect,) = ledger.redirects()
        link = Link("https://store.example.org/s1", world.now)
        files = tuple(replace(each, link=link) for each in redirect.files)
        ledger.write(replace(redirect, files=files), "test", world.now)
    assert "open nothing any more" in open_for(world)


def test_a_stores_link_that_was_taken_back_opens_nothing(tmp_path: Path) -> None:
    """Until its message shows another one."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(REPORT)
    world.run()
    for event, opens in (
        (Event.LINK_REVOKED, False),
        (Event.REDIRECT_REWRITTEN, True),
        (Event.LINK_RENEWED, False),
        (Event.REDIRECT_REWRITTEN, True),
    ):
        with world.process() as (watch, ledger):
            (redirect,) = ledger.redirects()
            ledger.note("acme", event, world.now, source=watch.name, redirect_id=redirect.id)
        assert ("open nothing any more" not in open_for(world)) == opens


@pytest.mark.parametrize(
    ("ends", "opens"),
    [
        ({"state": State.RESTORED, "revoke": True}, False),
        ({"state": State.RESTORED}, True),
        ({"state": State.DROPPED, "was_shown": False}, False),
        ({"state": State.DROPPED}, True),
    ],
)
def test_what_ended_with_its_links_is_told_so(ends: dict[str, Any], opens: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Undone with --revoke, or before anybody saw them."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(REPORT)
    world.run()
    with world.ledger() as ledger:
        (redirect,) = ledger.redirects()
        ledger.write(replace(redirect, **ends), "test", world.now)
    assert ("open nothing any more" not in open_for(world)) == opens


def test_what_nobody_can_take_back_is_not_told_as_if_somebody_could(tmp_path: Path) -> None:
    """An address in a store opens as long as its file is there, and whoever follows it may read there."""

    class Plain(MemoryStore):
        def can_revoke(self, terms: LinkTerms) -> bool:
            return False

    world = World(tmp_path / "ledger.db", policy(retain={"file": "30d"}), store=Plain())
    world.deliver(REPORT)
    world.run()
    assert open_for(world).endswith("; they end with their files on 2026-03-04 09:00Z")
    assert "revoke" not in open_for(world, on_hold=True)
    with world.ledger() as ledger:
        (redirect,) = ledger.redirects()
        ledger.write(replace(redirect, state=State.RESTORED, revoke=True, ends=None), "test", world.now)
    assert open_for(world).endswith("; they end with that right alone")


def test_a_message_that_is_gone_is_told_with_the_end_of_its_files(tmp_path: Path) -> None:
    """And a hold, which stops that end."""
    world = World(tmp_path / "ledger.db", policy(retain={"file": "message + 30d"}))
    item_id = world.deliver(REPORT)
    world.run()
    world.mailbox.delete(item_id)
    with world.process() as (watch, ledger):
        sweep(watch, ledger, world.clock, "one", grace=timedelta(days=30), at_most=9)
        gone = ledger.redirects()[0].gone
    assert gone
    over = gone + timedelta(days=30)
    told = f"gone since {gone:%Y-%m-%d %H:%M}Z, and they end with their files on {over:%Y-%m-%d}"
    assert told in open_for(world)
    assert "; their files stay as long as the mailbox is on hold" in open_for(world, on_hold=True)


def test_a_hold_keeps_links_of_ours_with_their_files(tmp_path: Path) -> None:
    """They last longer before the end that is told."""
    world = World(tmp_path / "ledger.db", policy(link={"audience": "anyone", "expires": "9d"}), publishes=True)
    world.deliver(REPORT)
    world.run()
    assert "; they and their files stay as long as the mailbox is on hold" in open_for(world, on_hold=True)


def test_a_store_that_does_not_answer_leaves_what_was_written_down(tmp_path: Path) -> None:
    """And so does a mailbox that is configured no more."""
    world = World(tmp_path / "ledger.db", policy(link={"audience": "anyone", "expires": "9d"}), publishes=True)
    world.deliver(REPORT)
    world.run()

    class Silent:
        def ending(self, *_: object) -> Ending:
            raise Unavailable("busy")

        def can_revoke(self, _: object) -> bool:
            return True

    answered = open_for(world)
    assert ", until 20" in answered
    assert open_for(world, publisher=Silent()) == answered
    with world.ledger() as ledger:
        assert list(opened(ledger.redirects(), (), ledger, world.now)) == [answered]
