"""What is new in a plan. Pure: our own rewrites echo back through the change feed, and this absorbs them."""

from collections.abc import Sequence
from dataclasses import replace

from connector.model import ACTIVE, Redirect, RedirectedFile, State
from connector.names import distinct


def absorbed(planned: Redirect, known: Sequence[Redirect]) -> Redirect | None:
    """What to write for this plan, given all redirects of its item and those of its message that a human dropped.

    None where nothing is new: a human ended it, it is on its way or held, or every file was redirected before.
    A dropped redirect is revived under its own id, which its message may carry already.
    """
    if any(each.ended_by or each.state is State.HELD or each.state in ACTIVE for each in known):
        return None
    dropped = [each for each in known if each.state is State.DROPPED]
    revived = max(dropped, key=lambda each: each.created, default=None)
    old = {_key(file) for each in known if each is not revived for file in each.files}
    files = {_key(file): file for file in planned.files if _key(file) not in old}
    if not files:
        return None
    new = replace(planned, files=tuple(files.values()))
    return new if revived is None else _revived(revived, new)


def _key(file: RedirectedFile) -> tuple[str, str]:
    return file.file.id, file.file.version


def _revived(dropped: Redirect, planned: Redirect) -> Redirect:
    return replace(
        dropped,
        files=_united(dropped, planned),
        internet_message_id=planned.internet_message_id,
        settle=planned.settle,
        due=planned.due,
        state=planned.state,
        held_in=planned.held_in,
        reason=planned.reason,
        attempts=0,
        missed=None,
    )


def _united(dropped: Redirect, planned: Redirect) -> tuple[RedirectedFile, ...]:
    """The files of both, those of the plan as it sees them now. Whether the others are still there is for the steps.

    One that was gone stays so and comes anew: its copy may have been removed from the store. One that never was there
    comes as it was, or a file that stays in its message would be noted once more with everything that changes there.
    """
    wanted = {_key(file): file for file in planned.files}
    files = [old if old.gone and old.stored else _again(old, wanted.pop(_key(old), None)) for old in dropped.files]
    paths = distinct(_name(file.path) for file in (*files, *wanted.values()))
    # The plan's paths lead into its own folder; one redirect's folder holds the files of no other.
    moved = [
        replace(new, path=f"{dropped.folder}/{name}")
        for new, name in zip(wanted.values(), paths[len(files) :], strict=True)
    ]
    return (*files, *moved)


def _again(old: RedirectedFile, new: RedirectedFile | None) -> RedirectedFile:
    if new is None:
        return old
    # Put once more, it is the same file, and bears the new tags too.
    stored = old.stored if set(new.tags) <= set(old.tags) else None
    return replace(new, path=old.path, stored=stored, link=old.link)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
