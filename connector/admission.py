"""Before anything of a source is linked: its people, and nobody else, can read what the store has of it.

A mailbox of which the store knows nobody is left alone, and named: to whom it belongs is never guessed.
"""

from connector.errors import Exhausted, Rejected
from connector.log import Event
from connector.reactions import in_store, sharing
from connector.turn import Turn, Watch, unread


def require_admission(turn: Turn) -> bool:
    """Brake the source while its people cannot read its files. False where nobody is known who could.

    Where the store only lets nobody in for now, files go on being copied; its links come later.
    """
    watch = turn.watch
    if watch.home and watch.housemate:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is redirected: {shared_with(watch)}", "Unread")
        return False
    try:
        if watch.home and not in_store(watch.store.admits, watch.home, turn.owner):
            sharing(turn, watch.store.admit, watch.home, turn.owner)
    except Rejected as error:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is redirected: {error}", "Unread")
        return False
    except Exhausted as error:
        turn.brake(unread(watch.name), Event.SOURCE_UNREAD, f"nothing is linked yet: {error}", "Exhausted")
    else:
        turn.free(unread(watch.name))
    return True


def shared_with(watch: Watch) -> str:
    """Why the files of two sources must not lie in one folder."""
    return (
        f"the files of {watch.source.address} would lie in one folder with those of {watch.housemate}, and be open to"
        " its people: exclude one of them, or give it another name"
    )
