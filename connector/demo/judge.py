"""Is all right? Each message before and after, and every link opened: by what an outsider sees, never by the ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import requests

from connector import config
from connector.demo import observer
from connector.demo.observer import Seen
from connector.demo.world import Store, World
from connector.model import Action, Verdict
from connector.names import plain
from connector.policy import Facts, decide
from connector.service import clock, tenants


@dataclass(frozen=True)
class Before:
    """All that was known before anything was redirected."""

    seen: Mapping[str, Seen]
    #: By the id of the attachment.
    sha256: Mapping[str, str]
    #: What the policy says, by the id of the item. Of messages in folders that are left alone there is nothing.
    verdicts: Mapping[str, tuple[Verdict, ...]]

    def wanted(self, item_id: str) -> frozenset[str]:
        """The attachments of a message that are to be redirected, by their ids."""
        verdicts = self.verdicts.get(item_id, ())
        return frozenset(each.file.id for each in verdicts if each.action is Action.REDIRECT)

    @property
    def redirects(self) -> int:
        """How many messages are to be rewritten."""
        return sum(bool(self.wanted(item_id)) for item_id in self.seen)


@dataclass(frozen=True)
class Whereabouts:
    """How many originals are still in their messages, behind a link that the message shows, or nowhere."""

    here: int
    linked: int
    lost: int


@dataclass(frozen=True)
class Outcome:
    """What became of one message."""

    subject: str
    files: int
    redirected: int
    #: Why the other files were kept.
    reasons: tuple[str, ...]
    problems: tuple[str, ...]


def look(world: World) -> Before:
    """Look at everything, and ask the policy about it."""
    return Before(observer.look(world), observer.attached(world), dict(_verdicts(world)))


def whereabouts(before: Before, world: World) -> Whereabouts:
    """Where every original is at this moment."""
    now = observer.look(world)
    here = linked = lost = 0
    for item_id, old in before.seen.items():
        new = now.get(item_id)
        gone = old.files.keys() - new.files.keys() if new else old.files.keys()
        shown = _shown(old, new, world.store).sha256 if new else []
        found = sum(before.sha256.get(file_id) in shown for file_id in gone)
        here, linked, lost = here + len(old.files) - len(gone), linked + found, lost + len(gone) - found
    return Whereabouts(here, linked, lost)


def outcomes(before: Before, world: World) -> tuple[Outcome, ...]:
    """What became of each message, and what is wrong with it."""
    now = observer.look(world)
    return tuple(_outcome(item_id, before, now.get(item_id), world) for item_id in before.seen)


def undone(before: Before, world: World) -> Iterator[str]:
    """What is not as it was before, now that everything was restored."""
    now, sha256 = observer.look(world), observer.attached(world)
    for item_id, old in before.seen.items():
        new = now.get(item_id)
        if new is None or new.body != old.body or _contents(new, sha256) != _contents(old, before.sha256):
            yield f"{plain(old.subject)}: it is not what it was before"


def _contents(seen: Seen, sha256: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Name and bytes of each attachment, in whatever order."""
    return Counter((name, sha256.get(file_id, "")) for file_id, name in seen.files.items())


def _outcome(item_id: str, before: Before, new: Seen | None, world: World) -> Outcome:
    old = before.seen[item_id]
    kept = (each.because for each in before.verdicts.get(item_id, ()) if each.action is not Action.REDIRECT)
    return Outcome(
        subject=old.subject,
        files=len(old.files),
        redirected=len(old.files.keys() - new.files.keys()) if new else 0,
        reasons=tuple(dict.fromkeys(kept)) if item_id in before.verdicts else ("its folder is left alone",),
        problems=tuple(_problems(item_id, before, new, world)),
    )


def _problems(item_id: str, before: Before, new: Seen | None, world: World) -> Iterator[str]:
    old, wanted = before.seen[item_id], before.wanted(item_id)
    if new is None:
        yield "the message has vanished"
    elif not wanted:
        if new != old:
            yield "it was to be left alone, and was changed"
    else:
        if old.files.keys() - new.files.keys() != wanted:
            yield "other attachments have left it than should have"
        yield from _problems_of_links(_shown(old, new, world.store), Counter(before.sha256[each] for each in wanted))
        if not world.letters[item_id].sha256().issuperset(before.sha256[each] for each in wanted):
            yield "its attachments are not those of the .eml file"


def _problems_of_links(shown: "_Shown", wanted: Counter[str]) -> Iterator[str]:
    yield from shown.problems
    if Counter(shown.sha256) != wanted:
        yield "the links do not give the bytes of its attachments"


@dataclass
class _Shown:
    """What the links of a notice give, as SHA-256, and what is wrong with them."""

    sha256: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _shown(old: Seen, new: Seen, store: Store) -> _Shown:
    notice = observer.inserted(old.body, new.body)
    if notice is None:
        return _Shown(problems=["its text has changed outside of the notice"])
    shown = _Shown()
    for url in observer.links(notice):
        try:
            shown.sha256.append(observer.download(url, store))
        except requests.RequestException as error:
            shown.problems.append(f"a link does not open: {error}")
    return shown


def _verdicts(world: World) -> Iterator[tuple[str, tuple[Verdict, ...]]]:
    for tenant in tenants(config.load(world.config)):
        for watch in (mailbox.watch() for mailbox in tenant.mailboxes):
            facts = Facts(now=clock(), since=watch.since, ours=False)
            for page in watch.source.changes(None):
                yield from ((item.id, decide(watch.policy, item, facts)) for item in page.items)
