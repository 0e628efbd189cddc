"""Is all right? Each message and file before and after, and every link opened: by what an outsider sees alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import requests

from connector.config import loading as config
from connector.daemon.process import clock
from connector.daemon.tenants import tenants
from connector.demo import observer
from connector.demo.seen import Seen, SharedSeen
from connector.demo.world import Place, Store, World
from connector.model import Action, Verdict
from connector.names import plain
from connector.policy import Facts, decide

#: What stands in a share, by its place and its path there.
Shared = Mapping[tuple[Place, str], SharedSeen]
_POINTER = ".url"


@dataclass(frozen=True)
class Before:
    """All that was known before anything was redirected."""

    #: By the names of `World.letters`.
    seen: Mapping[str, Seen]
    #: By the id of the attachment.
    sha256: Mapping[str, str]
    shared: Shared
    #: What the policy says, by the id of the item. Of messages in folders that are left alone there is nothing.
    verdicts: Mapping[str, tuple[Verdict, ...]]

    def told(self, name: str) -> tuple[Verdict, ...]:
        """The verdicts on the attachments of a message."""
        return self.verdicts.get(self.seen[name].id, ())

    def wanted(self, name: str) -> frozenset[str]:
        """The attachments of a message that are to be redirected, by their ids."""
        return frozenset(each.file.id for each in self.told(name) if each.action is Action.REDIRECT)

    def verdict(self, place: tuple[Place, str]) -> Verdict:
        """The verdict on a shared file."""
        return self.verdicts[self.shared[place].id][0]

    @property
    def redirects(self) -> int:
        """How many messages are to be rewritten."""
        return sum(bool(self.wanted(name)) for name in self.seen)


@dataclass(frozen=True)
class Whereabouts:
    """How many originals are still where they were, behind a link that is shown in their place, or nowhere."""

    here: int
    linked: int
    lost: int


@dataclass(frozen=True)
class Outcome:
    """What became of one message, or of one shared file."""

    place: Place
    subject: str
    files: int
    #: How many of them gave way to a link, or were copied; the others were kept.
    redirected: int
    copied: int = 0
    #: Why the other files were kept.
    reasons: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undone:
    """Whether a message with its files, or a shared file, is what it was."""

    place: Place
    files: int
    problems: tuple[str, ...] = ()


def look(world: World) -> Before:
    """Look at everything, and ask the policy about it."""
    return Before(observer.look(world), observer.attached(world), observer.shared(world), dict(_verdicts(world)))


def whereabouts(before: Before, world: World) -> Whereabouts:
    """Where every original is at this moment."""
    now, shared = observer.look(world), observer.shared(world)
    here = linked = lost = 0
    for name, old in before.seen.items():
        new = now.get(name)
        gone = old.files.keys() - new.files.keys() if new else old.files.keys()
        shown = _shown(old, new, world.store).sha256 if new else []
        found = sum(before.sha256.get(file_id) in shown for file_id in gone)
        here, linked, lost = here + len(old.files) - len(gone), linked + found, lost + len(gone) - found
    for place, file in before.shared.items():
        if place in shared and shared[place].sha256 == file.sha256:
            here += 1
        elif file.sha256 in _pointed(shared.get(_pointer(place)), world.store).sha256:
            linked += 1
        else:
            lost += 1
    return Whereabouts(here, linked, lost)


def outcomes(before: Before, world: World) -> tuple[Outcome, ...]:
    """What became of each message and each shared file, and what is wrong with it."""
    now, shared = observer.look(world), observer.shared(world)
    messages = (_outcome(name, before, now.get(name), world) for name in before.seen)
    return (*messages, *(_shared_outcome(place, before, shared, world) for place in before.shared))


def undone(before: Before, world: World) -> tuple[Undone, ...]:
    """What is as it was before, and what is not, now that everything was restored."""
    return tuple(chain(_undone_messages(before, world), _undone_files(before, observer.shared(world))))


# --- messages -----------------------------------------------------------------------------------------------------


def _undone_messages(before: Before, world: World) -> Iterator[Undone]:
    now, sha256 = observer.look(world), observer.attached(world)
    for name, old in before.seen.items():
        new = now.get(name)
        same = new and new.body == old.body and _contents(new, sha256) == _contents(old, before.sha256)
        problems = () if same else (f"{plain(old.subject)}: it is not what it was before",)
        yield Undone(world.place(world.letters[name]), len(old.files), problems)


def _contents(seen: Seen, sha256: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Name and bytes of each attachment, in whatever order."""
    return Counter((name, sha256.get(file_id, "")) for file_id, name in seen.files.items())


def _outcome(name: str, before: Before, new: Seen | None, world: World) -> Outcome:
    old = before.seen[name]
    kept = (each.because for each in before.told(name) if each.action is not Action.REDIRECT)
    return Outcome(
        place=world.place(world.letters[name]),
        subject=old.subject,
        files=len(old.files),
        redirected=len(old.files.keys() - new.files.keys()) if new else 0,
        reasons=tuple(dict.fromkeys(kept)) if old.id in before.verdicts else ("its folder is left alone",),
        problems=tuple(_problems(name, before, new, world)),
    )


def _problems(name: str, before: Before, new: Seen | None, world: World) -> Iterator[str]:
    old, wanted = before.seen[name], before.wanted(name)
    if new is None:
        yield "the message has vanished"
    elif not wanted:
        if new != old:
            yield "it was to be left alone, and was changed"
    else:
        if old.files.keys() - new.files.keys() != wanted:
            yield "other attachments have left it than should have"
        yield from _problems_of_links(_shown(old, new, world.store), Counter(before.sha256[each] for each in wanted))
        if not world.letters[name].sha256().issuperset(before.sha256[each] for each in wanted):
            yield "its attachments are not those of the .eml file"


def _problems_of_links(shown: "_Shown", wanted: Counter[str]) -> Iterator[str]:
    yield from shown.problems
    if Counter(shown.sha256) != wanted:
        yield "the links do not give the bytes of its attachments"


# --- shared files -------------------------------------------------------------------------------------------------


def _undone_files(before: Before, now: Shared) -> Iterator[Undone]:
    for place, old in before.shared.items():
        same = place in now and now[place].sha256 == old.sha256
        yield Undone(place[0], 1, () if same else (f"{place[1]}: it is not what it was before",))
    for place in now.keys() - before.shared.keys():
        yield Undone(place[0], 0, (f"{place[1]}: it was not there before",))


def _shared_outcome(place: tuple[Place, str], before: Before, now: Shared, world: World) -> Outcome:
    verdict = before.verdict(place)
    return Outcome(
        place=place[0],
        subject=place[1].rpartition("/")[2],
        files=1,
        redirected=int(place not in now and _pointer(place) in now),
        copied=int(verdict.action is Action.COPY),
        reasons=(verdict.because,) if verdict.action is Action.KEEP else (),
        problems=tuple(_problems_of_file(place, before, now, world)),
    )


def _problems_of_file(place: tuple[Place, str], before: Before, now: Shared, world: World) -> Iterator[str]:
    old, action = before.shared[place], before.verdict(place).action
    pointer = now.get(_pointer(place))
    if action is Action.REDIRECT:
        if place in now:
            yield "it was to give way to its pointer, and is still there"
        yield from _problems_of_pointer(_pointed(pointer, world.store), old)
        return
    if now.get(place) != old:
        yield "it was to stay, and has changed or vanished"
    if pointer is not None:
        yield "it was to stay, and has a pointer"
    if action is Action.COPY:
        name = place[1].rpartition("/")[2]
        yield from _problems_of_copy(_opened(observer.stored(name, world.store), world.store), old)


def _problems_of_pointer(pointed: "_Shown", old: SharedSeen) -> Iterator[str]:
    yield from pointed.problems
    if pointed.sha256 != [old.sha256]:
        yield "its pointer does not give its bytes"


def _problems_of_copy(copies: "_Shown", old: SharedSeen) -> Iterator[str]:
    yield from copies.problems
    if old.sha256 not in copies.sha256:
        yield "its copy in the store does not have its bytes"


def _pointer(place: tuple[Place, str]) -> tuple[Place, str]:
    """Where a pointer to a file stands: beside it."""
    return place[0], place[1] + _POINTER


def _pointed(pointer: SharedSeen | None, store: Store) -> "_Shown":
    return _opened([pointer.url], store) if pointer and pointer.url else _Shown(problems=["it has no pointer"])


# --- links --------------------------------------------------------------------------------------------------------


@dataclass
class _Shown:
    """What links give, as SHA-256, and what is wrong with them."""

    sha256: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _shown(old: Seen, new: Seen, store: Store) -> _Shown:
    notice = observer.inserted(old.body, new.body)
    if notice is None:
        return _Shown(problems=["its text has changed outside of the notice"])
    return _opened(observer.links(notice), store)


def _opened(urls: Iterable[str], store: Store) -> _Shown:
    shown = _Shown()
    for url in urls:
        try:
            shown.sha256.append(observer.download(url, store))
        except requests.RequestException as error:
            shown.problems.append(f"a link does not open: {error}")
    return shown


def _verdicts(world: World) -> Iterator[tuple[str, tuple[Verdict, ...]]]:
    for tenant in tenants(config.load(world.config)):
        tenant.look_up()
        for watch in (mailbox.watch() for mailbox in tenant.mailboxes):
            facts = Facts(now=clock(), since=watch.since, ours=False, pointers=watch.pointers)
            for page in watch.source.changes(None):
                yield from ((item.id, decide(watch.policy, item, facts)) for item in page.items)
