"""What the store itself knows: a manifest for each redirect, and which ledger wrote last.

The ledger can be lost, restored from yesterday, or copied to a second machine. So beside the files, never inside what
is shared, lie a manifest for each redirect and the generations that ledgers have claimed. Both are created only.

Whoever may write to the store could change a manifest, cut it short, or plant one. So each carries a MAC over its name
and all that it says, and one that does not hold is refused: nothing in it is even parsed.
"""

import hashlib
import hmac
import io
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.errors import Corrupt, FileGone
from connector.flow.reactions import in_store
from connector.flow.turn import Turn
from connector.ledger import FOR_EVER, Ledger, Taken
from connector.log import Event, log
from connector.model import (
    ENDING,
    RETURNING,
    Action,
    Audience,
    File,
    FileKind,
    LinkTerms,
    Redirect,
    RedirectedFile,
    State,
    Stored,
)
from connector.pauses import TenantPause
from connector.spool import spooled
from connector.stores import Store

_FOLDER = ".connector"
_REDIRECTS = f"{_FOLDER}/redirects"
#: Where manifests and originals lay before, all of them side by side.
_BEFORE = (f"{_FOLDER}/manifests", f"{_FOLDER}/originals")
_GENERATIONS = f"{_FOLDER}/generations"
_FORMAT = 7
_NAME = re.compile(r"([0-9a-f]+)\.([0-9]{6,})\.json")
_GENERATION = re.compile(r"([0-9]{1,12})\.([0-9a-f]+)")
_SIGNED = re.compile(rb'\{\n "mac": "([0-9a-f]{64})",\n(.*)', re.DOTALL)
#: What tells of thousands of files is shorter; nobody fills our memory with a longer one.
_LONGEST = 1 << 26
#: What a manifest tells of a redirect. Nothing that differs when a step is repeated after a crash: then the same bytes
#: have to come out, since a manifest is created only.
_LASTING = {
    *("id", "source", "item_id", "internet_message_id", "folder", "files", "settle", "created", "ended_by"),
    *("keep_original", "original", "retention", "ends", "outlives"),
}
#: From where steps can begin again with `share`: they look at the message and its links afresh.
_PROVED = frozenset({State.STORED, State.LINKED, State.REWRITTEN, State.DONE})


# --- manifests ----------------------------------------------------------------------------------------------------


def manifest_path(redirect: Redirect) -> str:
    """Where the manifest of this redirect lies. One that was stored anew has another: nothing is overwritten."""
    return f"{_REDIRECTS}/{day(redirect.created)}/{redirect.id}.{redirect.revision:06}.json"


def original_path(redirect: Redirect, sha256: str) -> str:
    """Where the whole message lies. A server that writes it out otherwise when asked again gets another place."""
    return f"{_REDIRECTS}/{day(redirect.created)}/{redirect.id}.{sha256[:16]}.eml"


def day(created: datetime) -> str:
    """Where all of a redirect lies. A ministry's year in one collection is more than a server lists in one answer."""
    return f"{created.astimezone(UTC):%Y-%m-%d}"


def manifest_bytes(redirect: Redirect, mailbox: str, tenant: str, key: bytes) -> bytes:
    """All that is needed to find the files of a redirect again, and the message that they belong to; signed."""
    told = {name: getattr(redirect, name) for name in _LASTING}
    over = redirect.state in ENDING
    content = {"format": _FORMAT, "tenant": tenant, "mailbox": mailbox, "over": over, "redirect": told}
    # On one line: json's encoder in C knows no indents.
    members = json.dumps(content, sort_keys=True, default=_plain).encode().removeprefix(b"{")
    mac = _mac(key, manifest_path(redirect).rpartition("/")[2], b"{\n" + members)
    return f'{{\n "mac": "{mac}",\n'.encode() + members


def write_manifest(redirect: Redirect, turn: Turn) -> None:
    """Let the store know how far the redirect has come. Repeated after a crash, it writes the same again."""
    watch = turn.watch
    content = manifest_bytes(redirect, watch.source.address, watch.tenant, watch.marker_key)
    in_store(put_bytes, watch.store, manifest_path(redirect), content)


def _mac(key: bytes, name: str, said: bytes) -> str:
    """By a key of its own: no marker stands for a manifest. The name is said too: it tells which of two is newer."""
    derived = hmac.new(key, b"connector manifest", hashlib.sha256).digest()
    return hmac.new(derived, name.encode() + b"\0" + said, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one manifest tells: a redirect, and the address of its mailbox.

    It stands at STORED, since the steps look up what came after, or at RESTORED or EXPIRED, which no look can tell.
    """

    tenant: str
    redirect: Redirect
    mailbox: str


def manifests(store: Store, key: bytes) -> Iterator[Manifest | str]:
    """The newest manifest of every redirect that the store has one of; of one that is to be refused, its name.

    An older one never stands in for it: it may say the opposite of what a human decided since.
    """
    newest: dict[str, tuple[int, str]] = {}
    for folder in (_BEFORE[0], *(f"{_REDIRECTS}/{each}" for each in store.names(_REDIRECTS))):
        for found in filter(None, map(_NAME.fullmatch, store.names(folder))):
            newest[found[1]] = max(newest.get(found[1], (-1, "")), (int(found[2]), f"{folder}/{found[0]}"))
    for _, path in newest.values():
        try:
            with store.open(path) as stream:
                content = stream.read(_LONGEST)
        except FileGone:
            continue
        name = path.rpartition("/")[2]
        yield _read(content, name, key) or name


def delete_manifests(store: Store, redirect_id: str, created_on: str) -> None:
    """Remove the manifests of a redirect whose files are swept, and its original as a whole, also from a trash."""
    for folder in (*_BEFORE, f"{_REDIRECTS}/{created_on}"):
        for name in store.names(folder):
            if name.startswith(f"{redirect_id}."):
                store.erase(f"{folder}/{name}")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    assert is_dataclass(value)
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _read(content: bytes, name: str, key: bytes) -> Manifest | None:
    """None where it is not as we wrote it, under another key say, or cut short."""
    signed = _SIGNED.fullmatch(content)
    if signed is None:
        return None
    said = b"{\n" + signed[2]
    if not hmac.compare_digest(signed[1], _mac(key, name, said).encode()):
        return None
    return _manifest(json.loads(said), int(name.split(".")[1]))


def _manifest(content: dict[str, Any], revision: int) -> Manifest:
    told = content["redirect"]
    redirect = Redirect(
        id=told["id"],
        source=told["source"],
        item_id=told["item_id"],
        internet_message_id=told["internet_message_id"],
        folder=told["folder"],
        files=tuple(_file(each) for each in told["files"]),
        settle=timedelta(seconds=told["settle"]),
        created=datetime.fromisoformat(told["created"]),
        keep_original=told["keep_original"],
        original=_stored(told["original"]),
        due=datetime.fromisoformat(told["created"]),
        # Format 5 knew none.
        retention=_span(told.get("retention")),
        ends=_moment(told.get("ends")),
        # Format 6 knew none.
        outlives=_span(told.get("outlives")),
        state=_state(content),
        was_shown=True,
        ended_by=told["ended_by"],
        # What comes later has to come later by its name too, also where the ledger that wrote this was lost.
        revision=revision,
    )
    return Manifest(content["tenant"], redirect, content["mailbox"])


def _state(content: dict[str, Any]) -> State:
    if content.get("over"):
        return State.EXPIRED
    return State.RESTORED if content["redirect"]["ended_by"] else State.STORED


def _span(told: float | None) -> timedelta | None:
    return None if told is None else timedelta(seconds=told)


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


def _file(told: dict[str, Any]) -> RedirectedFile:
    file, terms = told["file"], told["terms"]
    expires = _span(terms["expires"])
    return RedirectedFile(
        file=File(**{**file, "kind": FileKind(file["kind"])}),
        path=told["path"],
        action=Action(told["action"]),
        rule=told["rule"],
        # Format 3 knew the first two alone.
        terms=LinkTerms(**{**terms, "audience": Audience(terms["audience"]), "expires": expires}),
        stored=_stored(told["stored"]),
        gone=told["gone"],
        # Format 2 knew no such files.
        inside=told.get("inside", ""),
        # Format 4 knew none.
        tags=tuple(told.get("tags", ())),
    )


def _stored(told: dict[str, Any] | None) -> Stored | None:
    return None if told is None else Stored(**told)


# --- generations --------------------------------------------------------------------------------------------------


def claim(tenant: str, store: Store, ledger: Ledger, now: datetime) -> int:
    """Say in the store that this ledger is the one, a generation on: which. To be repeated at every start and later.

    0 where another ledger, or a later generation of this one, was there before: a restored backup, a cloned machine
    or a second daemon. Then nothing is shared, shown, pruned or swept until `reconcile`. Raises Corrupt where the store
    does not keep what it is given.
    """
    if ledger.paused(TenantPause.LEDGER.of(tenant), now):
        return _stop(tenant, ledger, now)  # Starts of a clone must not add up until it outdoes the other one.
    mine = ledger.raise_generation()
    claimed = _claimed(store)
    if claimed and (claimed[-1][1] != ledger.id or claimed[-1][0] >= mine):
        return _stop(tenant, ledger, now)
    try:
        # Two clones that claim the same generation write different bytes: only one of them wins.
        put_bytes(store, _generation_path(mine, ledger.id), secrets.token_bytes(16))
    except Corrupt:
        if (mine, ledger.id) not in _claimed(store):
            raise  # Nobody was faster: the store does not keep what it is given.
        return _stop(tenant, ledger, now)
    for number, ledger_id in claimed[:-1]:
        store.delete(_generation_path(number, ledger_id))
    return mine


def look_after_claim(claimed: int, tenant: str, store: Store, ledger: Ledger, now: datetime) -> None:
    """Put the brake on where what this process has `claimed` is not the last claim any more.

    The ledger's generation does not tell: the claims of other tenants raise it, and may have raised it past a clone's.
    """
    if _claimed(store)[-1:] != [(claimed, ledger.id)]:
        _stop(tenant, ledger, now)


def _stop(tenant: str, ledger: Ledger, now: datetime) -> int:
    """Put the brake on; 0, the generation of nobody."""
    if not ledger.paused(TenantPause.LEDGER.of(tenant), now):
        # What came later nobody knows: where a message left its mailbox with our links, nothing else would tell of it.
        ledger.take_for_shown(tenant)
    reason = (
        "the store was written by another ledger, or by a later state of this one; nothing is linked or removed until"
        " you have made sure that no other daemon runs, and then called `connector ledger reconcile`"
    )
    log.error(Event.GENERATION_FOREIGN, tenant=tenant, reason=reason)
    ledger.pause(TenantPause.LEDGER.of(tenant), until=FOR_EVER, reason=reason, error="Foreign", now=now, tenant=tenant)
    return 0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of the manifests of a store."""

    #: Redirects that the ledger did not know, or of which it knew less.
    taken_over: int = 0
    #: Manifests that are not as we wrote them.
    refused: int = 0

    def __add__(self, other: "Reconciled") -> "Reconciled":
        return Reconciled(self.taken_over + other.taken_over, self.refused + other.refused)


def reconcile(tenant: str, store: Store, ledger: Ledger, now: datetime, key: bytes) -> Reconciled:
    """Take over what the store's manifests tell and the ledger does not, then claim the store.

    The steps then find out what is so: they look at each item and its marker afresh. What a refused manifest stands for
    is left as it is: the message keeps what it shows, and the files are not known to any sweep.
    """
    taken = refused = 0
    watched: set[tuple[str, str]] = set()
    for told in manifests(store, key):
        if isinstance(told, str):
            log.error(Event.MANIFEST_REFUSED, tenant=tenant, manifest=told)
            ledger.note(tenant, Event.MANIFEST_REFUSED, now, redirect_id=told.partition(".")[0])
            refused += 1
        elif told.tenant == tenant:
            if (told.redirect.source, told.mailbox) not in watched:
                # Once, and not for each message: that would write, and wait for the disk, as often again.
                ledger.watch(told.redirect.source, tenant=tenant, address=told.mailbox, now=now)
                watched.add((told.redirect.source, told.mailbox))
            taken += _take_over(told.redirect, ledger, now)
    claimed = _claimed(store)
    ledger.adopt_generation(claimed[-1][0] if claimed else 0)
    for number, ledger_id in claimed:
        store.delete(_generation_path(number, ledger_id))
    # Once more: a ledger that was backed up while the brake stood was never told so at its start.
    ledger.take_for_shown(tenant)
    ledger.resume(TenantPause.LEDGER.of(tenant))
    claim(tenant, store, ledger, now)
    return Reconciled(taken, refused)


def _take_over(told: Redirect, ledger: Ledger, now: datetime) -> bool:
    known = ledger.redirect(told.id)
    try:
        if known is None:
            new = replace(told, revision=told.revision + 1, due=now + told.settle)
            return ledger.rebuild(new, Event.REDIRECT_RECONCILED, now)
        newer = _newer(known, told)
        if newer is None and told.revision < known.revision:
            return False
        # Where nothing else is new, it is how far another ledger had come: names of manifests go on from there.
        learned = replace(newer, due=now + told.settle) if newer else known
        ledger.write(learned, Event.REDIRECT_RECONCILED, now, after=told.revision)
    except Taken:
        # The message was planned anew before anybody reconciled. It has its files: that redirect may go on as well.
        return told.state is State.RESTORED and _ended(told, known, ledger, now)
    return True


def _ended(told: Redirect, known: Redirect | None, ledger: Ledger, now: datetime) -> bool:
    """A human had ended the old redirect: so the new one ends too, of which nothing was shown yet."""
    alike = ledger.redirects(source=told.source, internet_message_id=told.internet_message_id)
    anew = [each for each in alike if each.item_id == told.item_id and not (each.was_shown or each.ended_by)]
    for each in anew:
        reason = "its files had been put back into the message before"
        ended = replace(each, state=State.DROPPED, held_in=each.state, reason=reason, ended_by=told.ended_by)
        ledger.write(ended, Event.REDIRECT_RECONCILED, now)
    if known is not None:
        restored = replace(known, state=told.state, ended_by=told.ended_by)
        ledger.write(restored, Event.REDIRECT_RECONCILED, now, after=told.revision)
    return bool(anew or known)


def _newer(known: Redirect, told: Redirect) -> Redirect | None:
    """What the ledger has to learn from a manifest that was written after it; None where it knows better."""
    if told.state is State.EXPIRED:
        expired = replace(known, state=State.EXPIRED, held_in=None, files=told.files, ends=told.ends)
        return None if known.state in ENDING | {State.ERASED} else expired
    if told.state is State.RESTORED:
        restored = replace(known, state=State.RESTORED, files=told.files, ended_by=told.ended_by)
        return None if known.state is State.RESTORED else restored
    # The manifest was written when everything had been copied: to copy again could find the originals gone, and drop
    # what only the store has. Where another ledger had come further, a file may have been another one by then, and the
    # message may show that one.
    copied = replace(known, files=told.files)
    later = told.revision >= known.revision
    if known.state is State.RESTORED and later:
        # Somebody released it since: the message may show links again.
        return replace(copied, state=State.STORED, ended_by="", revoke=False, ends=None)
    others = later and _copies(told) != _copies(known)
    behind = {State.PLANNED, *(_PROVED if others else ())}
    if known.state in behind:
        return replace(copied, state=State.STORED)
    if known.held_in in behind:
        return replace(copied, held_in=State.STORED)
    # Somebody wanted the files back before: to put back what is known would be to put back others, or none.
    recalled = known.state in RETURNING or known.held_in in RETURNING
    return copied if recalled and (others or not all(each.stored for each in known.live)) else None


def _copies(redirect: Redirect) -> list[tuple[str, Stored | None, bool]]:
    return [(each.path, each.stored, each.gone) for each in redirect.files]


def _claimed(store: Store) -> Sequence[tuple[int, str]]:
    """Number and ledger of every generation that was claimed here, the newest last."""
    named = map(_GENERATION.fullmatch, store.names(_GENERATIONS))
    return sorted((int(found[1]), found[2]) for found in named if found)


def _generation_path(number: int, ledger_id: str) -> str:
    return f"{_GENERATIONS}/{number:08}.{ledger_id}"


def put_bytes(store: Store, path: str, content: bytes, tags: Sequence[str] = ()) -> Stored:
    """Put a small file."""
    with spooled(io.BytesIO(content)) as spool:
        return store.put(path, spool, tags)
