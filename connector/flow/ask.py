"""Asking the policy about an item: the facts that it goes by, and the content that it wants to look into.

What discovers, what plans and what explains all ask here, so that none of them can say what the others do not.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from connector.content.inspection import inspected
from connector.content.unpack import Found, NotUnpacked, unpacked
from connector.errors import Exhausted, FileGone, Rejected, Unavailable
from connector.filetype import TrueType, true_type
from connector.flow.turn import Watch
from connector.guards import is_tnef
from connector.ledger import Watched
from connector.marker import Marker, valid
from connector.model import Action, Content, File, FileKind, Item, Need, Verdict
from connector.policy import HEAD, Facts, decide
from connector.spool import Spool, spooled


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy says about each file of an item."""

    verdicts: tuple[Verdict, ...]
    #: With all the content that it looked into: another policy that is asked with them reads nothing twice.
    facts: Facts
    #: What it said before it had seen that content, of the files that it wanted to look into.
    looked_into: tuple[Verdict, ...] = ()

    @property
    def wanted(self) -> tuple[Verdict, ...]:
        """What is to become of those files that do not just stay as they are."""
        return tuple(each for each in self.verdicts if each.action is not Action.KEEP)

    @property
    def look_again(self) -> datetime | None:
        """When another answer is to be had first; None where this one stands."""
        return min((each.look_again for each in self.verdicts if each.look_again), default=None)


def facts(watch: Watch, *, now: datetime, since: datetime | None, ours: bool) -> Facts:
    """What the policy has to know beside an item of this source."""
    return Facts(
        now=now,
        since=since,
        ours=ours,
        mailbox=watch.source.address,
        groups=watch.groups,
        holds=watch.holds,
        unmapped=watch.unmapped,
        domains=watch.domains,
        returnable=watch.source.returnable,
        quiet=watch.quiet,
        pointers=watch.pointers,
    )


def begins(watch: Watch, known: Watched | None, now: datetime, *, monitor: bool) -> datetime:
    """What an item of the source must not be older than, as a turn would have it; `known` is what the ledger knows."""
    if known is None:
        return watch.since or now
    return replace(known, since=min(known.since, watch.since or known.since)).begins(monitor=monitor)


def our_marker(item: Item, watch: Watch) -> Marker | None:
    """The marker of an item, if our key made it for this very one."""
    return valid(item.marker, watch.marker_key, tenant=watch.tenant, internet_message_id=item.internet_message_id)


def ask(item: Item, watch: Watch, facts: Facts) -> Answer:
    """What the policy says about each file; content that it asks for, and that is not known yet, is fetched.

    Raises Gone, beside what any source may raise.
    """
    told = decide(watch.policy, item, facts)
    unread = tuple(verdict for verdict in told if verdict.needs)
    if not unread:
        return Answer(told, facts)
    facts = _looked_into(item, unread, facts, watch)
    return Answer(decide(watch.policy, item, facts), facts, unread)


def _looked_into(item: Item, unread: tuple[Verdict, ...], facts: Facts, watch: Watch) -> Facts:
    """The same facts with what these verdicts need: every file is read once for all of it."""
    contents = {verdict.file.id: _content(item, verdict, watch) for verdict in unread if verdict.needs - {Need.BODY}}
    if facts.body is None and any(Need.BODY in verdict.needs for verdict in unread):
        facts = replace(facts, body=watch.source.fetch(item.id).body)
    return replace(facts, contents={**facts.contents, **contents})


def _content(item: Item, verdict: Verdict, watch: Watch) -> Content:
    """What a verdict needs of its file; what nobody can tell is not in it, and the file stays where it is."""
    file = verdict.file
    try:
        with watch.source.open(item.id, file.id) as stream:
            if not verdict.needs & {Need.WHOLE, Need.SCAN}:
                return Content(head=stream.read(HEAD))
            with spooled(stream, file.size) as whole:
                return _seen(whole, file, verdict.needs, watch)
    except (FileGone, Rejected):
        return Content(head=b"")


def _seen(whole: Spool, file: File, needs: frozenset[Need], watch: Watch) -> Content:
    whole.content.seek(0)
    content = Content(head=whole.content.read(HEAD))
    if Need.WHOLE in needs:
        # Exchange names an attached message by its subject.
        told = inspected(whole, f"{file.name}.eml" if file.kind is FileKind.ITEM else file.name)
        content = replace(content, encrypted=told.encrypted, macros=told.macros)
    if Need.SCAN in needs and watch.scanner:
        try:
            content = replace(content, infected=watch.scanner.infected(whole))
        except Unavailable as error:
            # The file waits for it, and nothing else: neither its mailbox nor the store is to be left alone.
            raise Exhausted(str(error)) from None
    if is_tnef(file) and Need.WHOLE in needs:
        content = _with_packed(content, whole, needs, watch)
    return content


def _with_packed(content: Content, whole: Spool, needs: frozenset[Need], watch: Watch) -> Content:
    """What was found in winmail.dat, with the files in it: rules are asked about each of them."""
    try:
        with unpacked(whole) as found:
            return replace(content, packed=tuple(_seen_packed(each, content, needs, watch) for each in found))
    except NotUnpacked as why:
        return replace(content, stays=str(why))


def _seen_packed(found: Found, packed: Content, needs: frozenset[Need], watch: Watch) -> tuple[File, Content]:
    """One file in winmail.dat. Of what is in it, winmail.dat has told: a thousand looks would take hours."""
    file = File(id="", name=found.name, size=found.size)
    with found.spooled() as whole:
        seen = _seen(whole, file, needs - {Need.WHOLE}, watch)
    macros = packed.macros or true_type(seen.head, file.name) is TrueType.MACRO
    return file, replace(seen, encrypted=packed.encrypted, macros=macros)
