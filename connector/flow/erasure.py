"""Nothing of a person is to be kept any more. What was stored ends as by a retention; then, who it was is forgotten.

`want`     the time of all that the store has of their sources is over from now on
the sweep  lets it end, under its brakes, and never while somebody holds his hand on it (`connector.flow.retention`)
`finish`   nothing is left: manifests and what the book of links knows go, then, in one transaction, the redirects and
           the pseudonyms in the ledger. What events say stays, and nobody can tell of whom.

Each may be repeated: a crash in between leaves the rest to the next sweep.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from connector.flow.manifest import day, delete_manifests
from connector.flow.reactions import in_store
from connector.flow.turn import Turn
from connector.ledger import Ledger, Stale, Watched
from connector.log import Event, log
from connector.model import ENDING, Redirect, State

#: Their end has come, or is under way.
_ENDING = ENDING | {State.ERASED}
#: What no erasure of ours reaches.
STAYS = (
    "Backups of store and ledger keep what they have until they are overwritten; after a restore, erase again.",
    "Exchange keeps originals and earlier versions in Recoverable Items until it purges them, longer under a hold.",
    "Messages of others keep what this person sent to them; their files are theirs.",
    "Events stay, by pseudonyms that nobody can resolve any more.",
    "Events from before pseudonyms were kept name the mailbox, and go when the audit trail's own retention has come.",
    "The ledger goes on knowing the address of a mailbox that is watched; what an operator did stays under his name.",
    "Files that somebody downloaded are beyond our reach; `connector report exposure` tells which were fetched.",
)


@dataclass(frozen=True, slots=True)
class Left:
    """What is still there of one source of a person, and what is to become of it."""

    tenant: str
    source: str
    redirects: int
    files: int
    bytes: int
    what: str


def sources_of(person: str, ledger: Ledger, tenant: str | None = None) -> tuple[Watched, ...]:
    """The mailbox of a person, and what else is watched of theirs."""
    return tuple(
        each
        for each in ledger.watched()
        if each.address.lower().partition("/")[0] == person.lower() and tenant in (None, each.tenant)
    )


def want(sources: Iterable[Watched], ledger: Ledger, now: datetime) -> int:
    """Let the time be over of all that the store has of these; of how many redirects. Repeated: of what came since."""
    ended = 0
    for source in sources:
        ledger.want_erasure(source.name, now)
        for each in ledger.redirects(source=source.name):
            if each.state in _ENDING or (each.ends and each.ends <= now and each.outlives is None):
                continue
            with suppress(Stale):  # A step was faster; the next sweep wants it once more.
                over = replace(each, ends=now, outlives=None, gone=None)
                ledger.write(over, Event.REDIRECT_ENDED, now)
                ended += 1
    return ended


def finish(turn: Turn) -> None:
    """Go on with the erasure of this source, where one is wanted; forget who it was once nothing is left.

    Before a sweep, so that what was begun since is ended by it.
    """
    ledger, watch = turn.ledger, turn.watch
    if watch.on_hold or watch.name not in ledger.erasures() or turn.braked():
        return
    want([each for each in ledger.watched() if each.name == watch.name], ledger, turn.clock())
    redirects = ledger.redirects(source=watch.name)
    if any(is_left(each) for each in redirects):
        return
    for each in redirects:
        turn.keep_lease()
        in_store(delete_manifests, watch.store, each.id, day(each.created))
    if watch.publisher:
        in_store(watch.publisher.forget, [each.id for each in redirects], watch.source.address.partition("/")[0])
    ledger.forget(turn.lease, watch.source.address.partition("/")[0], turn.clock())
    log.info(Event.PERSON_ERASED, redirects=len(redirects))


def is_left(redirect: Redirect) -> bool:
    """Whether the store may have something of it, or a step or a human's decision is still to come."""
    if redirect.state is State.DROPPED and not redirect.was_shown:
        return any(each.stored for each in redirect.files)
    return redirect.state is not State.ERASED


def left(sources: Sequence[Watched], ledger: Ledger, on_hold: Iterable[str], configured: Iterable[str]) -> list[Left]:
    """What is still there of these, by what is to become of it; `on_hold` and `configured` are names of sources."""
    held, known = frozenset(on_hold), frozenset(configured)
    sums: dict[tuple[str, str, str], list[Redirect]] = {}
    for source in sources:
        for each in ledger.redirects(source=source.name):
            if is_left(each):
                what = _becomes(each, held=source.name in held, known=source.name in known)
                sums.setdefault((source.tenant, source.name, what), []).append(each)
    return [
        Left(tenant, source, len(those), len(stored), sum(each.size for each in stored), what)
        for (tenant, source, what), those in sums.items()
        for stored in [[each.stored for redirect in those for each in redirect.files if each.stored]]
    ]


def _becomes(redirect: Redirect, *, held: bool, known: bool) -> str:
    if held:
        return "stays: its mailbox is on hold; take it from `holds` or `retention_holds` first"
    if not known:
        return "stays: its mailbox is not configured any more, so its messages cannot be told; configure it once more"
    if redirect.state is State.HELD:
        return "stays until you decide: `connector release` or `drop`"
    if redirect.state is State.DROPPED and not redirect.was_shown:
        return "is deleted by the sweep, after its grace time"
    return "ends with the next sweep: tombstones first, then links, then files"
