"""Before anything of a source is linked: its people, and nobody else, can read what the store has of it.

A mailbox of which the store knows nobody is left alone, and named: to whom it belongs is never guessed. What people
share is open to those of them whom it knows; the others are named.
"""

from collections.abc import Collection

from connector.errors import Conflict, Exhausted, Rejected
from connector.flow.reactions import in_store, sharing
from connector.flow.turn import Turn, Watch
from connector.log import Event
from connector.pauses import SourcePause


def require_admission(turn: Turn) -> bool:
    """Brake the source while its people cannot read its files. False where nobody is known who could.

    Where the store only lets nobody in for now, files go on being copied; its links come later.
    """
    watch = turn.watch
    if watch.home and watch.housemate:
        reason = f"nothing is redirected: {shared_with(watch)}"
        turn.brake(SourcePause.READERS, Event.SOURCE_UNREAD, reason, "Unread")
        return False
    if watch.home and turn.store_paused():
        return True  # Nobody knocks. As this turn sees it, the store is paused to the end: nothing new is linked.
    members = watch.source.members
    try:
        if watch.home:
            _let_in(turn, members)
        _name_strangers(turn, members)
    except Rejected as error:
        turn.brake(SourcePause.READERS, Event.SOURCE_UNREAD, f"nothing is redirected: {error}", "Unread")
        return False
    except (Conflict, Exhausted) as error:
        turn.brake(SourcePause.READERS, Event.SOURCE_UNREAD, f"nothing is linked yet: {error}", "Exhausted")
    else:
        turn.free(SourcePause.READERS)
    return True


def _let_in(turn: Turn, members: Collection[str] | None) -> None:
    """Open the folder to the people of the source, unless that shows them somebody else's files. Raises Rejected."""
    watch, owner = turn.watch, turn.owner
    admitted = in_store(watch.store.admits, watch.home, owner, members)
    inherits = owner != watch.source.address and not turn.passes
    if (inherits or not admitted) and (former := turn.ledger.stores_below(watch.home, besides=watch.name)):
        raise Rejected(
            f"{watch.home} in the store has files of another source, {former}, which had this name before: exclude"
            f" {watch.source.address}, or give it another name, until they have ended; where a mailbox was only made"
            f" anew, `connector leaver {watch.source.address} --successor {watch.source.address}` says so"
        )
    if admitted:
        return
    turn.keep_lease()
    sharing(turn, watch.store.admit, watch.home, owner, members)
    if turn.owner != owner:
        # `connector leaver` was called meanwhile, and this let the old ones in again.
        _let_in(turn, members)


def of_nobody(strangers: Collection[str], address: str, members: Collection[str] | None) -> bool:
    """Whether the store knows none of those to whom the files of a source belong, given whom it does not know."""
    return address in strangers or (members is not None and set(members) <= set(strangers))


def _name_strangers(turn: Turn, members: Collection[str] | None) -> None:
    """Where some of those who share it cannot be let in, an administrator is told who."""
    watch = turn.watch
    unknown = in_store(watch.store.strangers, turn.owner, members) if watch.home and members is not None else ()
    if not unknown:
        turn.free(SourcePause.STRANGERS)
        return
    reason = (
        f"of the {len(members or ())} people who share {watch.source.address}, the store does not know these, who open"
        f" none of its links: {', '.join(unknown)}"
    )
    turn.brake(SourcePause.STRANGERS, Event.MEMBERS_UNKNOWN, reason, "Unknown")


def shared_with(watch: Watch) -> str:
    """Why the files of two sources must not lie in one folder."""
    return (
        f"the files of {watch.source.address} would lie in one folder with those of {watch.housemate}, and be open to"
        " its people: exclude one of them, or give it another name"
    )
