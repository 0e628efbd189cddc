"""winmail.dat in the whole flow: it stays, or goes with the files in it beside it; undo puts back just what it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.content import unpack
from connector.flow import ask as asking
from connector.flow import redirect
from connector.flow.ask import ask, facts
from connector.flow.decisions import Wanted, release, restore
from connector.flow.sweep import sweep
from connector.model import Content, File, Message, Need, State, Verdict
from connector.policy import Facts, Policy, decide
from connector.sources.memory import Attached, MemoryMailbox
from connector.spool import Spool
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.share_world import ShareWorld
from tests.test_manifest import reconciled
from tests.test_redirect import before, cut_power, events, only, step
from tests.test_restore import as_before, recalled
from tests.tnef import remember, winmail
from tests.world import START, Killed, World

#: The second is named like a file beside winmail.dat, and is as large as that is announced.
INSIDE = [("Angebot.pdf", b"%PDF-1.7 offer"), ("notes.txt", b"n" * 305), ("Angebot.pdf", b"%PDF-1.7 other")]
CONTENT = winmail(INSIDE)
WINMAIL = Attached("winmail.dat", CONTENT, "application/ms-tnef")
NOTES = Attached("notes.txt", b"notes")
DAMAGED = Attached("winmail.dat", CONTENT[:-1], "application/ms-tnef")


@pytest.fixture(autouse=True)
def _remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A policy under which winmail.dat goes, and so does all else."""
    return World(tmp_path / "ledger.db", policy(unpack=True))


def linked(world: World) -> list[bytes]:
    """What the links of the only message give, from the top."""
    (message,) = world.mailbox.items()
    return list(world.shown(message).values())


def message(world: World) -> Message:
    """The only one."""
    (found,) = world.mailbox.items()
    return found


# --- what the policy says -----------------------------------------------------------------------------------------

RECEIVED = START - timedelta(days=1)
PROGRAM = (File(id="", name="setup.exe", size=9), Content(head=b"MZ\0", encrypted=False, macros=False, infected=False))
LETTER = (File(id="", name="a.pdf", size=5), Content(head=b"%PDF-", encrypted=False, macros=False, infected=False))


def said(content: Content | None, *rules: dict[str, Any], file: Attached = WINMAIL) -> Verdict:
    """What a policy of these rules says of winmail.dat, of which this is known."""
    mailbox = MemoryMailbox()
    item = replace(mailbox.entry(mailbox.deliver(file, received=RECEIVED)).message, body=None)
    contents = {item.files[0].id: content} if content else {}
    facts = Facts(now=START, since=None, ours=False, contents=contents, returnable=100_000)
    named = [{"name": f"rule {number}", "action": "redirect", **rule} for number, rule in enumerate(rules)]
    (verdict,) = decide(Policy.model_validate({"rules": named}), item, facts)
    return verdict


def packed(*inside: tuple[File, Content]) -> Content:
    """Known of winmail.dat: it holds these, and does no harm itself."""
    return Content(head=CONTENT, encrypted=False, macros=False, infected=False, packed=inside)


def test_it_stays_unless_the_rule_that_decides_unpacks() -> None:
    """The first rule that matches decides; one that does not unpack keeps it, be it by its name or by its type."""

    def rules(*told: dict[str, Any]) -> tuple[str, str]:
        known = WINMAIL, replace(WINMAIL, content_type=""), replace(WINMAIL, name="ATT1.dat")
        verdicts = [said(packed(), *told, file=each) for each in known]
        ((action, rule),) = {(each.action, each.rule) for each in verdicts}
        return action, rule

    assert rules({}) == ("keep", "guard:tnef")
    assert rules({"unpack": True}) == ("redirect", "rule 0")
    assert rules({"when": {"size_over": "1 MB"}, "unpack": True}) == ("keep", "guard:tnef")
    assert rules({}, {"unpack": True}) == ("keep", "guard:tnef")
    assert rules({"action": "keep"}, {"unpack": True}) == ("keep", "guard:tnef")
    assert rules({"when": {"name": "*.pdf"}}, {"unpack": True, "action": "copy"}) == ("copy", "rule 1")
    assert rules({"action": "hold"}, {"unpack": True}) == ("hold", "rule 0")


UNPACKS = {"when": {"name": "winmail.dat"}, "unpack": True}
PROGRAMS = {"when": {"true_type": "executable"}}


@pytest.mark.parametrize(
    ("rules", "action"),
    [
        ([UNPACKS], "redirect"),
        ([UNPACKS, {"action": "redirect"}], "redirect"),
        ([{**PROGRAMS, "action": "hold"}, UNPACKS], "hold"),
        ([UNPACKS, {**PROGRAMS, "action": "hold"}], "hold"),
        ([UNPACKS, {"when": {"extension": "exe"}, "action": "keep"}], "keep"),
        ([UNPACKS, {"when": {"extension": "pdf"}, "action": "copy"}], "copy"),
        ([{**UNPACKS, "action": "copy"}, {**PROGRAMS, "action": "hold"}], "hold"),
        ([{**UNPACKS, "action": "copy"}, {"when": {"size_over": 0}}], "copy"),
        ([UNPACKS, {"when": {"extension": "exe"}, "action": "copy"}, {"action": "keep"}], "keep"),
        ([UNPACKS, {**PROGRAMS, "link": {"audience": "owner"}}], "keep"),
        ([UNPACKS, {**PROGRAMS, "action": "hold", "mode": "monitor"}], "redirect"),
        ([UNPACKS, {"when": {"infected": True}, "action": "hold"}], "redirect"),
    ],
)
def test_it_goes_no_further_than_any_file_in_it(rules: list[dict[str, Any]], action: str) -> None:
    """Wherever the rule for one stands; what no rule names goes as winmail.dat does."""
    verdict = said(packed(LETTER, PROGRAM), *rules)
    assert (verdict.action, verdict.file.name) == (action, "winmail.dat")
    its_own = next(rule for rule in rules if rule.get("unpack")).get("action", "redirect")
    assert verdict.because.startswith("of a file in it: ") == (action != its_own)


def test_what_nobody_can_tell_of_a_file_in_it_keeps_it() -> None:
    """No scanner answers for one of them."""
    unknown = (PROGRAM[0], replace(PROGRAM[1], infected=None))
    rules = UNPACKS, {"when": {"infected": True}, "action": "hold"}
    assert said(packed(LETTER, unknown), *rules).action == "keep"
    assert said(packed(LETTER, (PROGRAM[0], replace(PROGRAM[1], infected=True))), *rules).action == "hold"


def test_a_file_in_it_may_be_too_large_to_be_put_back() -> None:
    """Undo puts back winmail.dat, and that is not."""
    large = (replace(LETTER[0], size=200_000), LETTER[1])
    assert said(packed(large), UNPACKS, {"when": {"extension": "pdf"}}).action == "redirect"


def test_before_it_goes_all_is_fetched_that_decides_about_the_files_in_it() -> None:
    """At once, and also what only a rule further down asks for; what a rule decides without is not looked into."""
    whole, body, scan = frozenset({Need.WHOLE}), frozenset({Need.BODY}), frozenset({Need.SCAN})
    asks = {"when": {"infected": True, "body": "secret"}, "action": "hold"}
    assert said(None, UNPACKS).needs == whole
    assert said(None, UNPACKS, asks).needs == whole | scan | body
    assert said(None, {"when": {"true_type": "tnef"}, "unpack": True}).needs == whole | {Need.HEAD}
    assert said(None, {"action": "keep"}, {**UNPACKS, "action": "copy"}).needs == frozenset()
    assert said(packed(), {"when": {"body": "secret"}, "unpack": True}).needs == body


def test_as_it_ages_it_is_asked_about_all_that_is_in_it() -> None:
    """It goes when the last of them may."""
    rules = UNPACKS, {"when": {"extension": "exe", "younger_than": "30d"}, "action": "keep"}
    verdict = said(packed(LETTER, PROGRAM), *rules)
    assert verdict.action == "keep"
    assert verdict.look_again == RECEIVED + timedelta(days=30)


def test_a_program_in_it_waits_for_a_human(world: World) -> None:
    """Who may let it go; no byte is in the store before."""
    rules = [{"name": "programs", **PROGRAMS, "action": "hold"}, {"name": "packed", **UNPACKS, "action": "redirect"}]
    world.policy = Policy.model_validate({"rules": rules, "defaults": {"settle": 0}})
    content = winmail([("Rechnung.pdf", b"MZ" + bytes(99))])
    world.deliver(replace(WINMAIL, content=content))
    world.run()
    assert (only(world).state, only(world).reason) == (
        State.HELD,
        "rule programs: of a file in it: true type executable",
    )
    as_before(world)
    assert not world.manifest_free()
    with world.ledger() as ledger:
        release(only(world), ledger, world.clock(), "operator")
    world.run()
    assert linked(world) == [b"MZ" + bytes(99), content]


def test_in_a_share_it_stays(tmp_path: Path) -> None:
    """One pointer would stand for all that is in it."""
    world = ShareWorld(tmp_path / "ledger.db", policy(unpack=True))
    world.upload("winmail.dat", CONTENT)
    world.run()
    assert not world.manifest_free()
    assert not world.lost()


# --- there and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replaces", [False, True])
def test_it_goes_with_what_is_in_it(world: World, replaces: bool) -> None:  # noqa: FBT001 - a parameter
    """A reader finds the files first, and winmail.dat last; the store has all of them, to the byte."""
    world.replace = replaces
    world.deliver(WINMAIL, NOTES, categories=("Blue",))
    world.run()
    assert not message(world).files
    assert linked(world) == [NOTES.content, *(content for _, content in INSIDE), CONTENT]
    names = sorted(path.rpartition("/")[2] for path in world.manifest_free())
    assert names == ["Angebot (2).pdf", "Angebot.pdf", "notes (2).txt", "notes.txt", "winmail.dat"]
    assert events(world).count("file.unpacked") == 1

    recalled(world)
    world.run()
    as_before(world)
    assert len(world.manifest_free()) == 5


def test_all_that_goes_back_is_winmail(world: World) -> None:
    """What is told beforehand are the files of the message; afterwards the links open nothing, if that was wanted."""
    world.deliver(WINMAIL)
    world.run()
    with world.ledger() as ledger:
        told = restore(Wanted(), ledger, world.clock(), "operator", revoke=True)
    assert (told.messages, told.files, told.bytes) == (1, 1, len(CONTENT))
    world.run()
    as_before(world)
    assert not world.store.shares


def test_nothing_is_written_before_every_path_is_known(world: World) -> None:
    """The journal has the paths of all of them before a byte of one is in the store."""
    world.deliver(WINMAIL)

    class Watching(MemoryStore):
        def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Any:
            if not path.startswith(".connector/"):
                assert len(only(world).files) == 4
                assert path in {each.path for each in only(world).files}
            return super().put(path, content, tags)

    world.store = Watching()
    world.run()
    assert len(linked(world)) == 4


def test_copied_only(world: World) -> None:
    """The message stays as it is."""
    world.policy = policy(unpack=True, action="copy")
    world.deliver(WINMAIL)
    world.run()
    as_before(world)
    assert only(world).state is State.DONE
    assert sorted(world.manifest_free().values()) == sorted([CONTENT, *(content for _, content in INSIDE)])


# --- what cannot be told ------------------------------------------------------------------------------------------


def test_it_stays_where_it_cannot_be_unpacked(world: World) -> None:
    """As it is; the others go, and the policy says why."""
    world.deliver(DAMAGED, NOTES)
    with world.process() as (watch, _):
        known = facts(watch, now=START, since=None, ours=False)
        because, _ = (verdict.because for verdict in ask(message(world), watch, known).verdicts)
    assert because == "winmail.dat is cut off, damaged, or something else, so it stays"
    world.run()
    assert [file.name for file in message(world).files] == ["winmail.dat"]
    assert linked(world) == [NOTES.content]
    assert list(world.manifest_free().values()) == [NOTES.content]


@contextmanager
def in_order(_: Spool) -> Iterator[tuple[unpack.Found, ...]]:
    """When the policy looked, nothing was wrong with it."""
    yield ()


def test_it_stays_where_it_can_be_unpacked_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is; the others go, and the trail says why."""
    monkeypatch.setattr(asking, "unpacked", in_order)
    world.deliver(DAMAGED, NOTES)
    world.run()
    assert [file.name for file in message(world).files] == ["winmail.dat"]
    assert linked(world) == [NOTES.content]
    assert list(world.manifest_free().values()) == [NOTES.content]
    with world.ledger() as ledger:
        (told,) = (event for event in ledger.events() if event.name == "file.kept")
    assert told.detail == {"rule": "all", "reason": "winmail.dat is cut off, damaged, or something else"}


def test_alone_it_ends_the_redirect_and_is_noted_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something else changes in the message."""
    monkeypatch.setattr(asking, "unpacked", in_order)
    item_id = world.deliver(DAMAGED)
    for _ in range(3):
        world.run()
        as_before(world)
        assert only(world).state is State.DROPPED
        assert len(only(world).files) == 1
        world.mailbox.mark_read(item_id)
    assert not world.manifest_free()


def test_another_version_of_connector_finds_other_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was killed and replaced when one of them was stored: what only the old one found is not shown, nor left."""
    world.deliver(WINMAIL)

    @contextmanager
    def older(content: Spool) -> Iterator[tuple[unpack.Found, ...]]:
        with unpack.unpacked(content) as found:
            yield tuple(replace(each, name=f"old {each.name}") for each in found)

    monkeypatch.setattr(redirect, "unpacked", older)
    with pytest.raises(Killed):
        world.run(before("put", 3, cut_power))
    monkeypatch.setattr(redirect, "unpacked", unpack.unpacked)
    assert [path.rpartition("/")[2] for path in world.manifest_free()] == ["winmail.dat", "old Angebot.pdf"]
    world.run()
    assert linked(world) == [*(content for _, content in INSIDE), CONTENT]
    assert len(world.manifest_free()) == 4


# --- users and servers --------------------------------------------------------------------------------------------


def test_taken_out_while_it_settles(world: World) -> None:
    """Nothing of it is shown, and nothing of it is left where a link leads."""
    world.policy = policy(unpack=True, settle="1h")
    item_id = world.deliver(WINMAIL, NOTES)
    step(world)
    assert len(world.manifest_free()) == 5
    world.mailbox.detach(item_id, message(world).files[0].id)
    world.files.clear()
    world.run()
    assert linked(world) == [NOTES.content]
    assert list(world.manifest_free().values()) == [NOTES.content]


def test_edited_while_it_settles(world: World) -> None:
    """What is in it by now is shown, and nothing is left of what was."""
    world.policy = policy(unpack=True, settle="1h")
    item_id = world.deliver(WINMAIL)
    step(world)
    inside = [(name, content.swapcase()) for name, content in INSIDE]
    now = winmail(inside)
    (old,) = message(world).files
    world.mailbox.detach(item_id, old.id)
    world.mailbox.attach(item_id, replace(WINMAIL, content=now))
    world.files.clear()
    world.run()
    assert not message(world).files
    assert linked(world) == [*(content for _, content in inside), now]
    assert not {content for _, content in INSIDE} & {*world.manifest_free().values()}


def test_the_policy_has_changed_while_it_settled(world: World) -> None:
    """To copy: nothing of it is shown. Or it unpacks no more: nothing of it is left in the store."""
    world.policy = policy(unpack=True, settle="1h")
    world.deliver(WINMAIL, NOTES)
    step(world)
    world.policy = policy(settle="1h")
    world.run()
    assert [file.name for file in message(world).files] == ["winmail.dat"]
    assert list(world.manifest_free().values()) == [NOTES.content]


@pytest.mark.parametrize("replaces", [False, True])
def test_moved_message(world: World, replaces: bool) -> None:  # noqa: FBT001 - a parameter
    """A file of the message that looks like one in winmail.dat is never taken for it, whatever ids they have by now."""
    world.replace = replaces
    twin = Attached("notes.txt", b"m" * 5)  # Announced as 305 bytes.
    world.policy = policy(unpack=True, when={"name": "winmail.dat"}, settle="1h")
    item_id = world.deliver(WINMAIL, twin)
    step(world)
    world.mailbox.move(item_id, "Inbox/Project")
    world.run()
    assert [file.name for file in message(world).files] == ["notes.txt"]
    assert linked(world) == [*(content for _, content in INSIDE), CONTENT]
    recalled(world)
    world.run()
    as_before(world)


@pytest.mark.parametrize("name", ["Angebot.pdf", "winmail.dat"])
def test_store_that_loses_a_file_before_the_original_goes(world: World, name: str) -> None:
    """It is made anew from winmail.dat, which the message still has."""
    world.deliver(WINMAIL)

    def lose() -> None:
        world.store.files.pop(next(path for path in world.manifest_free() if path.endswith(f"/{name}")))

    world.run(before("verify", 1, lose))
    assert linked(world) == [*(content for _, content in INSIDE), CONTENT]
    assert not message(world).files
    assert not world.lost()


def test_store_that_garbles_a_file_before_the_original_goes(world: World) -> None:
    """The notice goes; the original stays."""
    world.deliver(WINMAIL)

    def garble() -> None:
        world.store.files[next(path for path in world.manifest_free() if path.endswith("/notes.txt"))] = b"x"

    world.run(before("verify", 1, garble))
    assert only(world).state is State.HELD
    assert message(world).body == world.bodies[message(world).internet_message_id]
    assert [file.name for file in message(world).files] == ["winmail.dat"]


def test_a_lost_ledger_knows_what_was_inside(world: World) -> None:
    """From the manifest; so undo puts back winmail.dat and nothing else."""
    world.deliver(WINMAIL)
    world.run()
    for path in world.ledger_file.parent.glob("ledger.db*"):
        path.unlink()
    assert reconciled(world) == 1
    assert [bool(each.inside) for each in only(world).files] == [False, True, True, True]
    world.run()
    assert only(world).state is State.DONE
    recalled(world)
    world.run()
    as_before(world)


def test_sweep_takes_what_was_inside_too(world: World) -> None:
    """The message was deleted before anything was shown."""
    world.policy = policy(unpack=True, settle="1h")
    item_id = world.deliver(WINMAIL)
    step(world)
    world.mailbox.delete(item_id)
    world.run()
    world.store.clock = lambda: world.now
    world.now += timedelta(days=30)
    with world.process() as (watch, ledger):
        assert sweep(watch, ledger, world.clock, "one", grace=timedelta(days=30), at_most=100) == 1
    assert not world.store.files
