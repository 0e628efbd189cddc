"""What a redirect and its undo leave behind in a message, property by property: tried on a probe, with our own steps.

Outlook in cached mode may never show an edit that was made through EWS, where its server lets the change key or the
predecessor change list go down (Microsoft: KB 4093129). So each build of a server is looked at before it is trusted.
"""

import base64
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connector.checks.check import failed, record, without_probe
from connector.checks.finding import Finding
from connector.checks.probe import Letter, Probe, Seen, mime, seen, sender, trying
from connector.config.loading import ShareConfig
from connector.daemon.process import clock
from connector.daemon.tenants import Tenant
from connector.errors import ConnectorError, Denied, Unavailable
from connector.flow.decisions import recall
from connector.flow.manifest import day, delete_manifests
from connector.flow.redirect import tick
from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.model import Item, State
from connector.policy import Defaults, Policy, Rule
from connector.stores import Store

#: A stop for a look at the clients: whether what is asked is so.
Ask = Callable[[str], bool]

_TRIAL = "connector-certify"
#: Turns until a redirect counts as stuck; the first failure is tried again at once.
_TURNS = 10
_GUID = 16

CLIENTS = (
    "Outlook classic in cached mode, open all the time: apart from the notice all look the same, also the one in RTF.",
    "In it: no attachment is shown that does not open, no new message is announced, and `Sync Issues` is empty.",
    "Outlook classic in cached mode, closed before and opened ten minutes later, offline and then online: the same.",
    "A message that stays open in a window of its own and is flagged there meanwhile: it can be saved.",
    "New Outlook, and Outlook on the web: the notice is there, no attachment is, unread stays unread, order is kept.",
    "Outlook mobile, and the Mail of iOS: the same; tapping a link opens the login of the store, or the file.",
)
_STOPS = {
    "made": "The messages are in the probe mailbox, unchanged. Let all clients synchronise it, then close one Outlook.",
    "redirected": "The attachments have left, and links stand in the messages. Look at every client.",
    "restored": "The attachments are back, and the notices have left. Look at every client again.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A property that is another one than it was before the redirect."""

    #: `redirected` or `restored`.
    when: str
    message: str
    property: str
    before: str
    after: str
    #: Why it has to be so, or may; "" where nothing explains it.
    expected: str


@dataclass(kw_only=True, slots=True)
class Trial:
    """How a certification went."""

    differences: list[Difference] = field(default_factory=list)
    #: What went wrong, beside properties that nothing explains.
    problems: list[str] = field(default_factory=list)
    #: The properties that the server told.
    compared: set[str] = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """Whether all is as it has to be."""
        return not self.problems and all(each.expected for each in self.differences)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What came of one probe; without a trial where none was possible."""

    finding: Finding
    trial: Trial | None = None


def certificates(tenants: Iterable[Tenant], ledger: Ledger, by: str, ask: Ask) -> Iterator[Certificate]:
    """Try it on every probe, and record how it went for the build of its server, in the name of `by`."""
    failing: set[tuple[str, str]] = set()
    for tenant in tenants:
        for entry in tenant.config.sources:
            if isinstance(entry, ShareConfig):
                continue  # No message is edited there.
            probe = entry.probe_source()
            if probe is None:
                yield Certificate(without_probe(tenant))
                continue
            tried = f"{tenant.name}: redirect and undo, in {probe.address}"
            try:
                trial = certify(tenant, probe, ask)
            except ConnectorError as error:
                yield Certificate(failed(tried, error, "connector check"))
                continue
            if not trial.passed:
                failing.add((tenant.name, probe.server))
            # Of two probes on one server, one that fails counts.
            passed = (tenant.name, probe.server) not in failing
            record(ledger, tenant, probe, tenant.certificate, passed=passed, by=by)
            yield Certificate(_finding(tried, probe.server, trial, tenant), trial)


def _finding(tried: str, server: str, trial: Trial, tenant: Tenant) -> Finding:
    if trial.passed:
        told = f"{len(trial.compared)} properties, all bodies and all attachments are as they have to be, on {server}"
        return Finding(tried, "fine", told)
    unexplained = sorted({each.property for each in trial.differences if not each.expected})
    wrong = [*dict.fromkeys(trial.problems), *(f"{name} is another one" for name in unexplained)]
    otherwise = "write `rewrite: replace`, with which nothing is edited in place, and call `connector certify` again"
    todo = f"do not enforce on {server}; ask its administrator, and us" if tenant.replaces else otherwise
    return Finding(tried, "stopped", "; ".join(wrong), todo, "connector certify --with-clients")


def certify(tenant: Tenant, probe: Probe, ask: Ask) -> Trial:
    """Redirect and restore messages of our own in the probe mailbox, and compare all that the server tells of them.

    Nothing of it stays in mailbox, store or ledger, and what an earlier trial left that was killed goes too.
    Raises what any source and any store raises.
    """
    trial = Trial()
    with trying(probe, _TRIAL) as make, _flow(tenant, probe) as flow:
        ids = {name: make(letter) for name, letter in _letters(probe.address).items()}
        before = {name: _state(probe, item_id) for name, item_id in ids.items()}
        _stop("made", ask, trial)
        for when, end in (("redirected", State.DONE), ("restored", State.RESTORED)):
            trial.problems += flow.reach(end, len(ids))
            for name, old in before.items():
                new = _state(probe, flow.item_id(old.item))
                trial.compared |= old.properties.keys() | new.properties.keys()
                explained = _EXPECTED if old.item.id == new.item.id else _EXPECTED | _EXPECTED_OF_COPIES
                trial.differences += _differences(when, name, old.properties, new.properties, explained)
                trial.problems += [f"{when}: {wrong}" for wrong in _wrong(end, old, new)]
            _stop(when, ask, trial)
    return trial


def _stop(when: str, ask: Ask, trial: Trial) -> None:
    if not ask(_STOPS[when]):
        trial.problems.append(f"somebody saw at a client that the messages were not well when they were {when}")


def _letters(address: str) -> dict[str, Letter]:
    """A message of each kind. Those with text in RTF lie in HTML as well: a server that knows no RTF shows that."""
    text = "A trial of connector."
    html, plain = (mime(_TRIAL, address, text, html=html) for html in (True, False))
    return {
        "HTML, unread": Letter(mime=html),
        "HTML, flagged, in a category": Letter(
            mime=mime(_TRIAL, address, text, html=True), read=True, flagged=True, categories=("Red",)
        ),
        "plain text, read": Letter(mime=plain, read=True),
        "RTF, unread": Letter(mime=mime(_TRIAL, address, text, html=False), rtf=text),
    }


# --- our own steps ------------------------------------------------------------------------------------------------


class _Flow:
    """Redirect and undo as the daemon does them, on the probe, with a ledger that is thrown away."""

    def __init__(self, watch: Watch, ledger: Ledger) -> None:
        self.watch = watch
        self.ledger = ledger

    def item_id(self, item: Item) -> str:
        """Under which id it is by now."""
        known = self.ledger.redirects(internet_message_id=item.internet_message_id)
        return known[0].item_id if known else item.id

    def reach(self, end: State, count: int) -> list[str]:
        """Take so many redirects to this end; a sentence for each that does not get there."""
        if end is State.RESTORED:
            for redirect in self.ledger.redirects(state=State.DONE):
                recall(redirect, self.ledger, clock(), _TRIAL)
        for _ in range(_TURNS):
            tick(self.watch, self.ledger, clock, _TRIAL)
            for pause in self.ledger.pauses(clock()):
                raise (Denied if pause.error == "Denied" else Unavailable)(pause.reason)
            stuck = [each for each in self.ledger.redirects() if each.state is not end]
            if not stuck and len(self.ledger.redirects()) == count:
                return []
        missed = count - len(self.ledger.redirects())
        told = [f"a redirect does not get to {end}: it is {each.state} ({each.reason})" for each in stuck]
        return told + [f"{missed} messages are not found in the change feed"] * bool(missed)


@contextmanager
def _flow(tenant: Tenant, probe: Probe) -> Iterator[_Flow]:
    store, folder = tenant.store(), f"{tenant.name}/{_TRIAL}"
    watch = Watch(
        tenant=tenant.name,
        source=probe,
        store=store,
        policy=Policy(defaults=Defaults(settle=timedelta(0)), rules=(_rule(),)),
        wording=tenant.config.wording,
        # What a trial that was killed has left is found by its folders: no ledger knows of it.
        path=f"{{tenant}}/{_TRIAL}/{day(clock())}/{{id}}",
        marker_key=tenant.marker_key,
        replace=tenant.replaces,
        since=datetime.fromtimestamp(0, UTC),
    )
    _clean(probe, store, folder)
    with tempfile.TemporaryDirectory() as state, closing(Ledger(f"sqlite:///{state}/ledger.db")) as ledger:
        try:
            yield _Flow(watch, ledger)
        finally:
            _clean(probe, store, folder)


def _rule() -> Rule:
    """Nothing but our own messages, whatever else lies in the probe mailbox."""
    return Rule.model_validate({"name": _TRIAL, "action": "redirect", "when": {"sender": sender(_TRIAL)}})


def _clean(probe: Probe, store: Store, folder: str) -> None:
    """Remove what trials put onto shelves and into the store; its files last, since all is found by their folders."""
    for begun in store.names(folder):
        for redirect_id in store.names(f"{folder}/{begun}"):
            probe.purge([item.id for item in probe.shelf(redirect_id)], redirect_id)
            delete_manifests(store, redirect_id, begun)
            inner = f"{folder}/{begun}/{redirect_id}"
            store.revoke(inner)
            for name in store.names(inner):
                store.delete(f"{inner}/{name}")
            store.delete(inner)
        store.delete(f"{folder}/{begun}")
    store.delete(folder)


# --- what is compared ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    """A message, as it is at one time."""

    item: Item
    properties: Mapping[str, str]
    files: tuple[Seen, ...]


def _state(probe: Probe, item_id: str) -> _State:
    item = probe.fetch(item_id)
    return _State(item, probe.properties(item_id), seen(probe, item))


_BODY = "the notice goes into the body, which is HTML or plain text afterwards"
_FILES = "attachments leave"
_CHANGED = "every change counts"
#: What may differ from before, and why.
_EXPECTED = {
    **dict.fromkeys(("Body", "Html", "RtfCompressed", "NativeBody", "RtfInSync", "InternetCodepage"), _BODY),
    **dict.fromkeys(("HasAttachments", "MessageSize", "SmartNoAttach"), _FILES),
    **dict.fromkeys(("LastModificationTime", "LastModifierName", "LastModifierEntryId"), _CHANGED),
    **dict.fromkeys(("ChangeKey", "PredecessorChangeList", "InternetArticleNumber"), _CHANGED),
}
#: Of a message that a copy has replaced, also these.
_EXPECTED_OF_COPIES = dict.fromkeys(
    ("SourceKey", "CreationTime", "CreatorName", "CreatorEntryId"), "a copy took its place"
)
#: Of MessageFlags: whether it was modified since it came, and whether it has attachments [MS-OXCMSG 2.2.1.6].
_FREE_FLAGS = 0x02 | 0x10


def _differences(
    when: str, message: str, before: Mapping[str, str], after: Mapping[str, str], explained: Mapping[str, str]
) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield Difference(
                when=when,
                message=message,
                property=name,
                before=old,
                after=new,
                expected=_why(name, old, new, explained),
            )


def _why(name: str, old: str, new: str, explained: Mapping[str, str]) -> str:
    if name == "MessageFlags" and old.isdecimal() and new.isdecimal():
        return _FILES if not (int(old) ^ int(new)) & ~_FREE_FLAGS else ""
    return explained.get(name, "")


def _wrong(end: State, before: _State, after: _State) -> Iterator[str]:
    """What no single property tells. A message that was replaced has changes of its own."""
    if before.item.id == after.item.id:
        yield from lost_changes(before.properties, after.properties)
    if end is State.DONE and [each for each in after.files if not each.inline]:
        yield "attachments have stayed"
    if end is State.DONE and before.item.body == after.item.body:
        yield "there is no notice"
    if end is State.RESTORED and before.files != after.files:
        yield "the attachments are not what they were"
    if end is State.RESTORED and before.item.body != after.item.body:
        yield "the body is not what it was"


def lost_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Whether clients that know the message by its changes will see that it changed [MS-OXCFXICS 3.1.5.6.2].

    No replica may be missing from the predecessor change list that was in it, and no counter may be lower than it was.
    """
    try:
        old, new = (_changes(told["PredecessorChangeList"]) for told in (before, after))
        replica, counter = _change(base64.b64decode(after["ChangeKey"]))
    except (KeyError, ValueError):
        yield "the server does not tell ChangeKey (0x65E2) and PredecessorChangeList (0x65E3), so nothing is certain"
        return
    if not old.keys() <= new.keys():
        yield "entries have left PredecessorChangeList (0x65E3): Outlook in cached mode may not show the change"
    if any(new.get(each, number) < number for each, number in old.items()):
        yield "counters went down in PredecessorChangeList (0x65E3): Outlook in cached mode may not show the change"
    if new.get(replica, -1) < counter or counter <= old.get(replica, -1):
        yield "ChangeKey (0x65E2) names no change that is new: Outlook in cached mode may not show it"


def _changes(told: str) -> dict[bytes, int]:
    """The counter of each replica: entries are a byte with their length, a GUID, and a counter, high byte first."""
    changes: dict[bytes, int] = {}
    data = base64.b64decode(told, validate=True)
    while data:
        entry, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        replica, counter = _change(entry)
        changes[replica] = max(counter, changes.get(replica, 0))
    return changes


def _change(entry: bytes) -> tuple[bytes, int]:
    if len(entry) <= _GUID:
        raise ValueError("too short for a change")
    return entry[:_GUID], int.from_bytes(entry[_GUID:], "big")
