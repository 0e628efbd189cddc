"""What the policy would do to each item of a source, with requests that only read.

It asks as a turn asks (`flow.ask`), and holds the answer against the ledger as `Ledger.record` does. Nothing is
recorded, and no verb of the source is called but those that look: `changes`, `recent`, `fetch`, `open`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connector.errors import Denied, Gone, Unavailable
from connector.flow.ask import Answer, ask, begins, facts, our_marker
from connector.flow.discover import planned
from connector.flow.turn import Watch
from connector.guards import guard_of_item
from connector.ledger import Ledger, LedgerError
from connector.log import Event, log
from connector.model import Action, Item, Need, SharedFile, Verdict
from connector.policy import decide


@dataclass(frozen=True, slots=True)
class Looked:
    """One item, and what would become of each of its files."""

    item: Item
    #: In the order of its files, as if it had come in while the policy was in force.
    verdicts: tuple[Verdict, ...]
    #: The ids of the files with which `enforce` would begin at its next turn: neither too old, nor begun already.
    at_once: frozenset[str] = frozenset()
    #: What the policy said of files before it had looked into them.
    looked_into: tuple[Verdict, ...] = ()
    #: What another policy says of each file, where one was given.
    others: tuple[Verdict, ...] = ()
    #: Some of its files would leave it, and its owner has forwarded it.
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """An item that could not be judged; a turn looks at it again later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How a source is looked at."""

    watch: Watch
    ledger: Ledger
    now: datetime
    #: Items from before then are passed over. None: the whole source is looked at.
    begin: datetime | None
    #: The same source, as another policy would have it.
    other: Watch | None = None

    def items(self) -> Iterator[Looked | Unread]:
        """Everything in the source that came in since `begin`, page by page. Raises what its change feed raises."""
        name = self.watch.name
        known = next((each for each in self.ledger.watched() if each.name == name), None)
        since = begins(self.watch, known, self.now, monitor=False)
        source = self.watch.source
        for page in source.recent(self.begin) if self.begin else source.changes(None):
            yield from (Unread() for _ in page.unread)
            for item in page.items:
                if not _is_older(item, self.begin) and (looked := self._looked(item, since)):
                    yield looked

    def _looked(self, item: Item, since: datetime) -> Looked | Unread | None:
        try:
            return self._judged(item, since)
        except Gone:
            return None
        except Unavailable:
            return Unread()
        except (Denied, LedgerError):
            raise
        except Exception:  # noqa: BLE001 - as for a turn: one message that trips a bug must not hide all the others
            log.exception(Event.BUG, source=self.watch.name)
            return Unread()

    def _judged(self, item: Item, since: datetime) -> Looked:
        known = facts(self.watch, now=self.now, since=self.begin, ours=our_marker(item, self.watch) is not None)
        answer = ask(item, self.watch, known)
        others = self._others(item, answer, ours=known.ours)
        leaves = any(each.action is Action.REDIRECT for told in (answer, others) if told for each in told.wanted)
        fresh = self.watch.source.fetch(item.id) if leaves else item
        verdicts = _as_shown(answer, fresh, self.watch)
        stays = {each.file.id for each in verdicts if each.action is Action.KEEP}
        return Looked(
            item,
            verdicts,
            frozenset() if _is_older(item, since) else self._new(item, answer) - stays,
            answer.looked_into,
            _as_shown(others, fresh, self.other) if others and self.other else (),
            forwarded=bool(fresh.forwarded) and any(each.action is Action.REDIRECT for each in verdicts),
        )

    def _others(self, item: Item, answer: Answer, *, ours: bool) -> Answer | None:
        """What the other policy says; what was read for the first is not read again."""
        if self.other is None:
            return None
        known = facts(self.other, now=self.now, since=self.begin, ours=ours)
        # What was read for less than this policy needs does not answer it.
        seen = {each.file.id: each.needs for each in answer.looked_into}
        wants = {each.file.id: each.needs - {Need.BODY} for each in decide(self.other.policy, item, known)}
        contents = {id_: each for id_, each in answer.facts.contents.items() if wants.get(id_, set()) <= seen[id_]}
        return ask(item, self.other, replace(known, contents=contents, body=answer.facts.body))

    def _new(self, item: Item, answer: Answer) -> frozenset[str]:
        """The files for which a turn would begin a redirect."""
        if not answer.wanted:
            return frozenset()
        if isinstance(item, SharedFile) and self.ledger.comes_back(self.watch.name, item.subject):
            return frozenset()
        new = self.ledger.would_record(planned(item, answer.wanted, self.watch, self.now))
        ids = {each.file.id for each in new.files} if new else set()
        return frozenset(each.file.id for each in answer.wanted if each.file.id in ids)


def _is_older(item: Item, begin: datetime | None) -> bool:
    kept = guard_of_item(item, ours=False, since=begin)
    return kept is not None and kept.name == "first-contact"


def _as_shown(answer: Answer, fresh: Item, watch: Watch) -> tuple[Verdict, ...]:
    """The verdicts as they stand once the item was read with its body: only then a redirect shows anything.

    Where a file is held, all of its item wait for a human before that.
    """
    actions = {each.action for each in answer.wanted}
    if Action.REDIRECT not in actions or Action.HOLD in actions:
        return answer.verdicts
    known = replace(answer.facts, ours=False, quiet=timedelta(0), body=None)
    said = {each.file.id: each for each in ask(fresh, watch, known).verdicts}
    return tuple(_now(each, said.get(each.file.id)) for each in answer.verdicts)


def _now(verdict: Verdict, said: Verdict | None) -> Verdict:
    if said and verdict.action is Action.REDIRECT and said.action is not Action.REDIRECT:
        return said
    return verdict
