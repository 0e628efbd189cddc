"""What whoever a message belongs to is told: before its links end, and where its attachments wait for a decision."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.errors import Conflict, Rejected
from connector.flow.decisions import drop, release
from connector.flow.redirect import tick
from connector.ledger import FOR_EVER
from connector.links.publishing import publication_id
from connector.model import Audience, Letter, Message, State
from connector.pauses import TenantPause
from connector.policy import People
from connector.sources.memory import Attached, MemorySource
from connector.upkeep import show_anew
from tests.crash.test_every_effect import HALF, kills, policy
from tests.share_world import ShareWorld
from tests.test_redirect import events, only, redirects, step
from tests.world import TENANT, Killed, Saboteur, World

FILE = Attached("report.pdf", b"%PDF-1.7 report")
DAY = timedelta(days=1)


def ending(
    folder: Path, *, publishes: bool = True, replace: bool = False, expires: str = "60d", **message: object
) -> World:
    """A message whose link for anyone ends."""
    link = {"audience": "anyone", "expires": expires}
    world = World(folder / "ledger.db", policy(link=link), publishes=publishes, replace=replace)
    world.deliver(FILE, **{"subject": "Offer 7", "sender": "bert@example.net"} | message)
    world.run()
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Of our own service, for 60 days."""
    return ending(tmp_path)


def letters(world: World) -> list[str]:
    """The texts of all that was left in the mailbox."""
    found = [each.message for each in world.mailbox.entries()]
    return [each.body.content for each in found if each.body and each.internet_message_id.endswith("invalid>")]


def after(world: World, days: float, ticks: int = 3) -> Sequence[str]:
    """What was left until so many days after its link was made, which the book tells by a clock of its own."""
    link = redirects(world)[0].files[0].link
    assert link
    assert link.expires
    made = link.expires - (redirects(world)[0].files[0].terms.expires or DAY)
    world.now = max(world.now, made + timedelta(days=days))
    step(world, ticks)
    return letters(world)


def page(world: World) -> str:
    """Where its owner lets the link last."""
    (file,) = only(world).files
    return f"https://files.example.org/r/{publication_id(only(world).id, file.terms)}"


def test_an_owner_is_told_a_week_before_and_once(world: World) -> None:
    """Which message, until when, and the address of the page."""
    assert after(world, 52.9) == []
    (text,) = after(world, 53.1)
    ends = only(world).files[0].link
    assert ends
    assert ends.expires
    assert f"{ends.expires:%Y-%m-%d}  Offer 7" in text
    assert "bert@example.net" in text
    assert page(world) in text.split()
    assert len(after(world, 59.9)) == 1
    assert events(world).count("link.reminded") == 1


def test_links_of_one_message_that_end_at_different_times(tmp_path: Path) -> None:
    """Each is told before its own end."""
    scans = policy(name="scans", when={"name": "scan.tif"}, link={"audience": "anyone", "expires": "90d"})
    others = policy(link={"audience": "anyone", "expires": "60d"})
    both = scans.model_copy(update={"rules": (*scans.rules, *others.rules)})
    world = World(tmp_path / "ledger.db", both, publishes=True)
    world.deliver(Attached("report.pdf", b"%PDF-1.7 report"), Attached("scan.tif", b"II*\x00scan"), subject="Offer 7")
    world.run()
    assert len(after(world, 53.1)) == 1
    assert len(after(world, 60)) == 1
    assert len(after(world, 83.1)) == 2


def test_one_letter_for_all_that_ends_within_two_weeks(world: World) -> None:
    """Nobody gets one every day."""
    world.now += 5 * DAY
    world.deliver(FILE, subject="Offer 8")
    step(world)
    (text,) = after(world, 53.1)
    assert text.index("Offer 7") < text.index("Offer 8")
    assert len(after(world, 64)) == 1


def test_what_lasts_is_told_before_its_new_end(world: World) -> None:
    """Somebody let it last, on the page or by command."""
    (file,) = only(world).files
    assert file.link
    assert file.link.expires
    world.book.extend(publication_id(only(world).id, file.terms), file.link.expires + 30 * DAY)
    assert after(world, 53.1) == []
    assert "link.lasts" in events(world)
    assert after(world, 52.9) == []
    assert len(after(world, 53.1)) == 1


@pytest.mark.parametrize("edits", ["in place", "in a copy"])
def test_a_message_tells_how_long_its_links_last_by_now(tmp_path: Path, edits: str) -> None:
    """Wherever it dies; nobody is without the file meanwhile, and there is one notice in the end."""
    until = datetime(2031, 5, 1, 12, tzinfo=UTC)

    def lasting(folder: Path) -> World:
        world = ending(folder, replace=edits == "in a copy")
        redirect = only(world)
        assert (redirect.state, redirect.files[0].terms.audience) == (State.DONE, Audience.ANYONE)
        world.book.extend(publication_id(redirect.id, redirect.files[0].terms), until)
        with world.ledger() as ledger:
            show_anew(redirect, ledger, world.now)
        return world

    died_at = 0
    for at, world, died in kills(lasting, tmp_path, "after"):
        assert not world.lost(), at
        world.run()
        assert not world.lost(), at
        (entry,) = world.mailbox.entries()
        assert entry.message.body
        days = re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", entry.message.body.content)
        assert (days, only(world).state) == (["2031-05-01"], State.DONE), at
        died_at += died
    assert died_at >= 4


def test_what_is_held_is_left_to_whoever_decides(world: World) -> None:
    """That its links last longer decides nothing."""
    with world.ledger() as ledger:
        held = ledger.write(replace(only(world), state=State.HELD, held_in=State.REWRITTEN), "test", world.now)
        show_anew(held, ledger, world.now)
    assert only(world) == held


def test_what_was_taken_back_is_not_told(world: World) -> None:
    """There is nothing to let last."""
    world.book.end(TENANT, only(world).folder, world.now)
    assert after(world, 53.1) == []
    assert only(world).reminded


def test_a_message_that_is_gone_is_not_told(world: World) -> None:
    """Nobody shows the link any more, and it is not looked for at every turn."""
    world.mailbox.delete(only(world).item_id)
    assert after(world, 53.1) == []
    saboteur = Saboteur()
    with world.process(saboteur) as (watch, ledger):
        tick(watch, ledger, world.clock, "one")
    assert "find" not in saboteur.seen


def test_a_message_that_was_moved_is_told(world: World) -> None:
    """By its mark."""
    world.mailbox.move(only(world).item_id, "Archive")
    (text,) = after(world, 53.1)
    assert "Offer 7" in text


def test_a_mark_that_somebody_forged_is_not_believed(world: World) -> None:
    """The letter would tell of a message that is none of ours."""
    world.mailbox.delete(only(world).item_id)
    world.deliver(marker=f"1.{only(world).id}.1.00", subject="Forged")
    assert after(world, 53.1) == []


def told_to_end(world: World) -> None:
    """The store said so of the link."""
    done = only(world)
    (file,) = done.files
    assert file.link
    link = replace(file.link, expires=world.now + 60 * DAY)
    with world.ledger() as ledger:
        ledger.write(replace(done, files=(replace(file, link=link),)), "redirect.linked", world.now)


def test_links_of_a_store_have_no_page(tmp_path: Path) -> None:
    """Whom to ask is said."""
    world = World(tmp_path / "ledger.db", policy())
    world.wording = world.wording.model_copy(update={"desk": "desk@example.org"})
    world.deliver(FILE, subject="Offer 7")
    world.run()
    told_to_end(world)
    world.now += 59 * DAY
    step(world)
    (text,) = letters(world)
    assert "http" not in text
    assert "Help: desk@example.org" in text


def test_on_a_hold_nobody_is_told_of_links_that_will_not_end(tmp_path: Path) -> None:
    """Not even where another one, which was taken back, comes to its end."""
    scans = policy(name="scans", when={"name": "scan.tif"}, link={"audience": "anyone", "expires": "66d"})
    others = policy(link={"audience": "anyone", "expires": "60d"})
    both = scans.model_copy(update={"rules": (*scans.rules, *others.rules)})
    world = World(tmp_path / "ledger.db", both, publishes=True, on_hold=True)
    for file in (FILE, Attached("scan.tif", b"II*\x00scan")):
        world.deliver(file)
        world.run()
    world.book.end(TENANT, redirects(world)[0].folder, world.now)
    assert after(world, 53.1) == []


def test_links_of_a_store_end_on_a_hold_too(tmp_path: Path) -> None:
    """So their owner is told."""
    world = World(tmp_path / "ledger.db", policy(), on_hold=True)
    world.deliver(FILE, subject="Offer 7")
    world.run()
    told_to_end(world)
    world.now += 59 * DAY
    step(world)
    assert len(letters(world)) == 1


def test_short_links_are_told_shortly_before(tmp_path: Path) -> None:
    """In the last quarter of their time."""
    world = ending(tmp_path, expires="4d", sender="")
    assert after(world, 2.9) == []
    assert len(after(world, 3.1)) == 1


def test_nothing_is_left_while_a_brake_stands(world: World) -> None:
    """A ledger in doubt may have told it already."""
    with world.ledger() as ledger:
        ledger.pause(
            TenantPause.LEDGER.of(TENANT), until=FOR_EVER, reason="x", error="Foreign", now=world.now, tenant=TENANT
        )
    assert after(world, 53.1) == []
    with world.ledger() as ledger:
        ledger.resume(TenantPause.LEDGER.of(TENANT))
    assert len(after(world, 53.2)) == 1


@HALF
def test_killed_anywhere_it_is_told_once(tmp_path: Path, when: str) -> None:
    """A letter that is there is found by its mark."""
    at, died = 0, True
    while died:
        at += 1
        (tmp_path / f"{at}").mkdir()
        world = ending(tmp_path / f"{at}")
        assert after(world, 53.1, ticks=0) == []
        try:
            with world.process(Saboteur(kill_at=at, when=when)) as (watch, ledger):
                tick(watch, ledger, world.clock, "one")
            died = False
        except Killed:
            step(world, 3)
        assert len(letters(world)) == 1
    assert at > 5


def test_a_share_has_nobody_to_be_told(tmp_path: Path) -> None:
    """Whoever opens the link reads its end on the page."""
    world = ShareWorld(tmp_path / "ledger.db", policy())
    world.upload("report.pdf", b"%PDF-1.7 report")
    world.run()
    told_to_end(world)
    world.now += 59 * DAY
    step(world)
    assert only(world).reminded
    assert events(world)[-1] == "link.reminded"


@pytest.mark.parametrize(("wanted", "count"), [(True, 1), (False, 0)])
def test_passwords_come_by_a_letter_where_the_house_wants_it(tmp_path: Path, wanted: bool, count: int) -> None:  # noqa: FBT001
    """Else the service desk tells them; the links ask for them in either case."""
    rules = policy(link={"audience": "anyone", "password": True})
    people = People.model_validate({"passwords": wanted})
    world = World(tmp_path / "ledger.db", rules.model_copy(update={"people": people}), publishes=True)
    world.deliver(FILE)
    world.run()
    assert only(world).state is State.DONE
    assert len(letters(world)) == count


# --- what is held -------------------------------------------------------------------------------------------------


def held(folder: Path, **people: object) -> World:
    """Two messages wait for a decision."""
    rules = policy(action="hold")
    world = World(folder / "ledger.db", rules.model_copy(update={"people": People.model_validate(people)}))
    for number in (7, 8):
        world.deliver(FILE, subject=f"Offer {number}", sender="bert@example.net")
    step(world)
    return world


def test_what_is_held_is_told_once_where_nobody_decides(tmp_path: Path) -> None:
    """Half a day later, in one letter; of another one not before the next day."""
    world = held(tmp_path)
    world.now += timedelta(hours=11)
    step(world)
    assert letters(world) == []
    world.now += timedelta(hours=2)
    step(world, 3)
    (text,) = letters(world)
    assert "Offer 7" in text
    assert "Offer 8" in text
    assert "bert@example.net" in text
    world.deliver(FILE, subject="Offer 9")
    step(world)
    world.now += timedelta(hours=13)
    step(world, 2)
    assert len(letters(world)) == 1
    world.now += timedelta(hours=12)
    step(world, 3)
    (other,) = set(letters(world)) - {text}
    assert "Offer 9" in other
    assert "Offer 7" not in other


def test_what_is_held_once_more_is_told_once_more(tmp_path: Path) -> None:
    """Somebody let it go on, and it came to a halt again."""
    world = held(tmp_path)
    world.now += timedelta(hours=13)
    step(world)
    world.store.files = Refusing()
    with world.ledger() as ledger:
        for each in ledger.redirects():
            release(each, ledger, world.now, "ada")
    step(world)
    assert {each.state for each in redirects(world)} == {State.HELD}
    world.now += 2 * DAY
    step(world)
    assert len(letters(world)) == 2


class Refusing(dict[str, bytes]):
    """What a store has that keeps other bytes than it is given."""

    def setdefault(self, key: str, default: bytes = b"") -> bytes:
        super().setdefault(key, default)
        return b""


def test_held_messages_that_are_gone_are_not_told(tmp_path: Path) -> None:
    """Nor looked for every day."""
    world = held(tmp_path)
    for each in redirects(world):
        world.mailbox.delete(each.item_id)
    world.now += timedelta(hours=13)
    step(world)
    assert letters(world) == []
    assert all(each.told for each in redirects(world))


def test_a_house_may_want_no_digest(tmp_path: Path) -> None:
    """Then the service desk tells it."""
    world = held(tmp_path, digest=False)
    world.now += 2 * DAY
    step(world)
    assert letters(world) == []


@pytest.mark.parametrize("fault", [Rejected("corrupt"), Conflict("failed"), ZeroDivisionError()])
def test_a_held_message_that_nobody_can_read(tmp_path: Path, fault: Exception) -> None:
    """Its owner is told of the others, and the mailbox does not stand still for it."""
    world = held(tmp_path)
    broken = redirects(world)[0].item_id

    class Broken(MemorySource):
        def fetch(self, item_id: str) -> Message:
            if item_id == broken:
                raise fault
            return super().fetch(item_id)

    world.now += timedelta(hours=13)
    step(world, source=Broken)
    (text,) = letters(world)
    assert ("Offer 7" in text, "Offer 8" in text) == (False, True)
    assert all(each.told for each in redirects(world))


def test_links_of_files_that_went_end_without_a_word(tmp_path: Path) -> None:
    """Nobody sees them any more; and what else ends is told all the same."""
    world = ending(tmp_path)
    world.deliver(FILE, subject="Offer 8")
    world.run()
    with world.ledger() as ledger:
        first = ledger.redirects()[0]
        went = replace(first, files=tuple(replace(each, gone=True) for each in first.files))
        ledger.write(went, "file.gone", world.now)
    (text,) = after(world, 54)
    assert ("Offer 7" in text, "Offer 8" in text) == (False, True)


def test_an_operator_decides_while_people_are_told(tmp_path: Path) -> None:
    """The others are written down as told, or each of them would be told again."""
    world = held(tmp_path)
    one, other = redirects(world)

    class Deciding(MemorySource):
        def tell(self, letter: Letter) -> None:
            super().tell(letter)
            with world.ledger() as ledger:
                drop(one, ledger, world.now, "ada")

    world.now += timedelta(hours=13)
    step(world, source=Deciding)
    assert {each.id: bool(each.told) for each in redirects(world)} == {one.id: False, other.id: True}
