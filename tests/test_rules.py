"""Every rule of the design has a test that bears its name; here each of them fails once its rule is taken out.

The rule, its test, and the mutant that goes without it. A mutant that is not caught means that the rule may be lost one
day and nobody notices.

More mutants are in `tests/crash/test_mutants.py`: the order of the steps and of the cursor, verbs that cannot be
repeated, a prune that trusts an old read, an adoption that trusts the HTML.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector import marker, sight
from connector.flow import discover, reactions, redirect, retention, sweep, turn
from connector.ledger import ledger as ledgers
from connector.ledger import sources
from connector.marker import Marker
from connector.model import ACTIVE, State
from connector.policy import verdicts
from connector.sources.memory import MemorySource
from tests import (
    test_admission,
    test_clocks,
    test_manifest,
    test_redirect,
    test_restore,
    test_retention,
    test_shares,
    test_sweep,
)
from tests.world import EVERYTHING

Patch = pytest.MonkeyPatch


def takes(patch: Patch, where: Any, name: str, instead: Any) -> None:
    """One function is another one."""
    patch.setattr(where, name, instead)


@dataclass(frozen=True)
class Rule:
    """A rule of the design in a few words."""

    says: str
    test: Callable[..., None]
    mutant: Callable[[Patch], None]
    #: What the test takes beside its world.
    more: tuple[Any, ...] = ()


def _no_id_in_paths(patch: Patch) -> None:
    real = discover.planned

    def planned(*args: Any) -> Any:
        made = real(*args)
        return replace(made, files=tuple(replace(each, path=f"files/{each.file.name}") for each in made.files))

    takes(patch, discover, "planned", planned)


def _a_copy_is_a_move(patch: Patch) -> None:
    def recognise(item: Any, found: Marker, turn: Any) -> None:
        known = turn.ledger.redirect(found.redirect_id)
        if known and known.item_id != item.id:
            discover.adopt(known, item, turn)

    takes(patch, discover, "_recognise", recognise)


def _any_marker_is_genuine(patch: Patch) -> None:
    def genuine(item: Any, _: Any) -> Marker | None:
        return Marker(marker.names(item.marker) or item.marker, 1) if item.marker else None

    takes(patch, discover, "genuine", genuine)


def _a_listing_is_not_read_again(patch: Patch) -> None:
    real, looks = sight.originals, []

    def originals(*args: Any) -> Any:
        looks.append(args)
        return real(*args) if len(looks) == 1 else ()

    takes(patch, redirect, "originals", originals)


def _no_settle(patch: Patch) -> None:
    real = redirect.STEPS[State.PLANNED]

    def copy(planned: Any, turn: Any) -> Any:
        return real(replace(planned, settle=planned.settle * 0), turn)

    patch.setitem(redirect.STEPS, State.PLANNED, copy)


def _nothing_is_seen_to_be_gone(patch: Patch) -> None:
    real = sight.seen_in
    takes(patch, redirect, "seen_in", lambda item, each, **_: real(item, each, attempted=True))


def _missed_is_gone(patch: Patch) -> None:
    takes(patch, redirect, "missed", lambda each, turn: reactions.drop(each, "gone", turn))


def _drop_deletes(patch: Patch) -> None:
    real = reactions.drop

    def drop(each: Any, reason: str, turn: Any) -> Any:
        for file in each.files:
            turn.watch.store.delete(file.path)
        return real(each, reason, turn)

    takes(patch, reactions, "drop", drop)
    takes(patch, redirect, "drop", drop)


def _humans_are_overruled(patch: Patch) -> None:
    takes(patch, ledgers, "absorbed", lambda new, _: new)


def _no_fence(patch: Patch) -> None:
    takes(patch, sources, "fence", lambda connection, lease: sources.tenant(connection, lease.source))


def _a_server_is_believed(patch: Patch) -> None:
    takes(patch, redirect, "shows", lambda *_: True)
    takes(patch, redirect, "bears_mark", lambda *_: True)


def _no_marker_is_genuine(patch: Patch) -> None:
    takes(patch, discover, "genuine", lambda *_: None)
    takes(patch, reactions, "genuine", lambda *_: None)


def _everything_is_unshown(patch: Patch) -> None:
    real = sweep._sweep_one
    takes(patch, sweep, "_leaves_something", lambda *_: True)
    takes(patch, sweep, "_sweep_one", lambda each, turn: real(replace(each, was_shown=False), turn))


def _everybody_opted_in(patch: Patch) -> None:
    real = verdicts._judged
    takes(patch, verdicts, "_judged", lambda rules, case: real(rules, replace(case, copied=False)))


def _does_nothing(where: Any, name: str, gives: Any = None) -> Callable[[Patch], None]:
    return lambda patch: takes(patch, where, name, lambda *_, **__: gives)


def _deletes_untold(patch: Patch) -> None:
    takes(patch, retention, "_bury", lambda *_: None)
    takes(patch, retention, "_is_told", lambda *_: True)


def _no_hold(patch: Patch) -> None:
    def goes_on(each: Any, turn: Any) -> Any:
        step = retention.tell if each.state is State.EXPIRED else retention.erase
        return step(each, replace(turn, watch=replace(turn.watch, on_hold=False)))

    takes(patch, retention, "_held_back", goes_on)


def _unread(patch: Patch) -> None:
    takes(patch, redirect, "_verified", lambda each, *_: each)


RULES = (
    Rule("identity before effect", test_redirect.test_identity_before_effect, _no_id_in_paths),
    Rule("a copy is not a move", test_redirect.test_a_copy_is_not_a_move, _a_copy_is_a_move),
    Rule(
        "the marker is not forgeable", test_redirect.test_marker_is_not_forgeable, _any_marker_is_genuine, ("1.x.1.0",)
    ),
    Rule(
        "rewritten means: the links are seen",
        test_redirect.test_rewritten_means_the_links_are_seen,
        _a_server_is_believed,
    ),
    Rule(
        "prune sees that the notice is out",
        test_redirect.test_notice_taken_out_around_the_prune,
        _does_nothing(redirect, "_shown_by", gives=True),
        (5,),
    ),
    Rule(
        "prune sees that an attachment changed",
        test_redirect.test_prune_sees_that_an_attachment_changed,
        lambda patch: takes(patch, redirect, "_looked_at", lambda each, _: each),
    ),
    Rule(
        "prune sees that the share is revoked",
        test_redirect.test_prune_sees_that_the_share_is_revoked,
        lambda patch: takes(patch, redirect, "_linked", lambda each, *_: each),
    ),
    Rule("prune sees wrong bytes", test_redirect.test_prune_sees_that_the_stored_bytes_are_wrong, _unread),
    Rule("prune sees a lost file", test_redirect.test_prune_sees_that_the_stored_file_is_lost, _unread),
    Rule(
        "only a fresh listing proves a prune",
        test_redirect.test_pruned_is_believed_only_from_a_fresh_listing,
        _a_listing_is_not_read_again,
    ),
    Rule("settle", test_redirect.test_settle, _no_settle),
    Rule(
        "look again at T",
        test_redirect.test_look_again_at_a_later_time,
        _does_nothing(ledgers.Ledger, "look_again", gives=()),
    ),
    Rule(
        "the folder is reduced before a link leads there",
        test_redirect.test_file_taken_out_during_settle_is_never_shown,
        _nothing_is_seen_to_be_gone,
    ),
    Rule(
        "the policy is asked again before anything shows",
        test_redirect.test_policy_is_asked_again_before_anything_shows,
        lambda patch: takes(patch, redirect, "_without_kept", lambda each, *_, **__: (each, "")),
    ),
    Rule(
        "gone is suspected until a full pass",
        test_redirect.test_gone_is_only_suspected_until_a_full_pass,
        _missed_is_gone,
    ),
    Rule(
        "drop never deletes",
        test_redirect.test_deleted_message_drops_its_redirect_and_deletes_nothing,
        _drop_deletes,
    ),
    Rule("dropped can be revived", test_redirect.test_dropped_can_be_revived, _does_nothing(ledgers, "absorbed")),
    Rule(
        "what a human dropped stays dropped",
        test_redirect.test_what_a_human_dropped_stays_dropped,
        _humans_are_overruled,
    ),
    Rule(
        "a source has one writer",
        test_redirect.test_process_that_wakes_up_too_late_writes_nothing,
        _no_fence,
    ),
    Rule(
        "a failure becomes a time in the ledger",
        test_redirect.test_throttled_source_is_left_alone_for_as_long_as_it_asked,
        _does_nothing(turn, "leave_alone"),
    ),
    Rule(
        "a generation that is not ours brakes",
        test_manifest.test_restored_backup_is_braked,
        _does_nothing(turn.Turn, "allowed", gives=ACTIVE),
    ),
    Rule("sweep has brakes", test_sweep.test_brakes, _does_nothing(sweep, "_doubt", gives="")),
    Rule(
        "sweep asks the markers",
        test_sweep.test_what_a_marker_names_is_not_swept,
        _does_nothing(MemorySource, "find", gives=()),
    ),
    Rule(
        "a clock that jumps ends no settle",
        test_clocks.test_clock_ahead_ends_no_settle,
        _does_nothing(redirect, "compare"),
        (test_clocks.YEAR,),
    ),
    Rule("what was shown is never swept", test_sweep.test_what_was_shown_once_is_not_swept, _everything_is_unshown),
    Rule(
        "a manifest carries a MAC",
        test_manifest.test_manifest_that_was_tampered_with_is_refused,
        lambda patch: takes(patch, hmac, "compare_digest", lambda *_: True),
        (test_manifest.pointed_elsewhere,),
    ),
    Rule(
        "nothing older than the first contact",
        test_redirect.test_nothing_older_than_first_contact_is_touched,
        _does_nothing(sources.Watched, "begins", gives=EVERYTHING),
    ),
    Rule(
        "redirects belong to the mailbox, not to its address",
        test_redirect.test_a_renamed_mailbox_keeps_its_redirects,
        lambda patch: takes(patch, turn.Watch, "name", property(lambda self: f"{self.tenant}/{self.source.address}")),
    ),
    Rule(
        "we find our own work again",
        test_redirect.test_moved_message_is_found_again_by_its_marker,
        _no_marker_is_genuine,
    ),
    Rule(
        "a bug is held in the end",
        test_redirect.test_a_bug_is_told_tried_again_and_held_in_the_end,
        lambda patch: takes(patch, reactions, "MOST_ATTEMPTS", 12),
    ),
    Rule(
        "people are let in before a link is shown",
        test_admission.test_its_people_are_let_in_before_a_link_is_shown,
        _does_nothing(redirect, "require_admission", gives=True),
    ),
    Rule(
        "nothing is linked for those who are not let in yet",
        test_admission.test_where_nobody_else_is_let_in_for_now_files_are_copied,
        _does_nothing(turn.Turn, "allowed", gives=ACTIVE),
    ),
    Rule("a shared file in use waits", test_shares.test_a_file_in_use_waits, _does_nothing(verdicts, "guard_of_use")),
    Rule(
        "a shared file that just changed waits",
        test_shares.test_a_file_that_just_changed_waits,
        _does_nothing(verdicts, "guard_of_use"),
    ),
    Rule("shared files are copied unless a tenant opts in", test_shares.test_copies_only, _everybody_opted_in),
    Rule(
        "retention first changes the notice into a tombstone",
        test_retention.test_retention_and_erasure_first_change_the_notice,
        _deletes_untold,
    ),
    Rule(
        "a stored file lives while any copy of its message does",
        test_retention.test_copies_that_people_made_are_told_too,
        _does_nothing(MemorySource, "find", gives=()),
    ),
    Rule(
        "and thirty days longer",
        test_retention.test_files_outlive_the_last_copy_of_their_message_by_thirty_days,
        lambda patch: takes(patch, reactions, "AFTERLIFE", timedelta(0)),
    ),
    Rule(
        "nothing is deleted before a look that is sure",
        test_retention.test_a_look_later_than_any_stale_read_comes_before_the_files_go,
        lambda patch: takes(patch, retention, "_SURE", timedelta(0)),
    ),
    Rule(
        "a hold stops retention",
        test_retention.test_a_hold_stops_it,
        _no_hold,
    ),
    Rule(
        "a message that cannot get its files back is told",
        test_restore.test_message_that_is_gone,
        lambda patch: takes(patch, reactions, "_lost", lambda each, turn: reactions.drop(each, "gone", turn)),
    ),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)
def test_the_rule_is_held_by_its_test(rule: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule, the test that bears its name fails."""
    world = vars(__import__(rule.test.__module__, fromlist=["world"]))["world"].__wrapped__(tmp_path)
    rule.mutant(monkeypatch)
    with pytest.raises((AssertionError, ValueError, TypeError)):
        rule.test(world, *rule.more)
