"""SyncFolderItems and SyncFolderHierarchy.

A sync state says which moments of the mailbox's clock its holder knows all about, as ranges. It needs no memory on the
server, it is never wrong about what its holder has seen, and a page covers exactly what it told.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connector.simulator.deviations import Deviation
from connector.simulator.ews.asked import item_shape
from connector.simulator.ews.call import Call
from connector.simulator.ews.folders import folder_element
from connector.simulator.ews.shapes import Shape, item_element
from connector.simulator.ews.soap import Element, M, Refused, T, children, find, flag, integer, invalid, need
from connector.simulator.mailbox import Folder, Item

#: EWSD: maxchangesreturned.
_MOST_CHANGES = 512


@dataclass(frozen=True)
class State:
    """What a client knows: ranges of moments, both ends included."""

    known: tuple[tuple[int, int], ...] = ()

    def knows(self, moment: int) -> bool:
        """Whether its holder was told what happened then."""
        return any(first <= moment <= last for first, last in self.known)

    def with_range(self, first: int, last: int) -> "State":
        """The state after all from `first` to `last` was told too. Ranges that meet become one."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self.known, (first, last)]):
            if merged and start <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return State(tuple(merged))


@dataclass(frozen=True)
class Change:
    """One thing to tell, and the moment that it stands for."""

    moment: int
    tell: Callable[[], Element]


def sync_folder_items(call: Call) -> Element:
    """Microsoft: syncfolderitems-operation. Newest first, without bodies and attachments."""
    folder = call.folder(children(need(call.request, "m:SyncFolderId"))[0])
    limit = integer(need(call.request, "m:MaxChangesReturned").text, "MaxChangesReturned")
    if not 1 <= limit <= _MOST_CHANGES:
        invalid("MaxChangesReturned is not within 1 and 512")
    ignored = find(call.request, "m:Ignore")
    ignore = {named.get("Id") for named in ignored} if ignored is not None else set()
    shape = item_shape(need(call.request, "m:ItemShape"), listing=True)

    def one(_: Element) -> Sequence[Element]:
        state = _read_state(call, folder.id)
        changes = _item_changes(call, folder, state, shape, ignore)
        return _told(call, folder.id, changes, state=state, limit=limit, last="IncludesLastItemInRange")

    return call.answer("SyncFolderItems", [call.request], one)


def sync_folder_hierarchy(call: Call) -> Element:
    """Microsoft: syncfolderhierarchy-operation."""
    named = find(call.request, "m:SyncFolderId")
    root = call.mailbox.distinguished["msgfolderroot"] if named is None else call.folder(children(named)[0])
    shape = need(call.request, "m:FolderShape")

    def one(_: Element) -> Sequence[Element]:
        state = _read_state(call, f"hierarchy of {root.id}")
        changes = _folder_changes(call, root, state, shape)
        last = "IncludesLastFolderInRange"
        return _told(call, f"hierarchy of {root.id}", changes, state=state, limit=len(changes), last=last)

    return call.answer("SyncFolderHierarchy", [call.request], one)


def _told(call: Call, scope: str, changes: list[Change], *, state: State, limit: int, last: str) -> Sequence[Element]:
    """One page. All that is newer than its oldest change was told by it or before, so the state covers that."""
    changes.sort(key=lambda change: change.moment, reverse=True)
    page, rest = changes[:limit], changes[limit:]
    state = state.with_range(page[-1].moment if rest else 0, call.mailbox.clock)
    return (
        M.SyncState(_write_state(call, scope, state)),
        M(last, flag(not rest)),
        M.Changes(*(change.tell() for change in page)),
    )


def _item_changes(call: Call, folder: Folder, state: State, shape: Shape, ignore: set[str | None]) -> list[Change]:
    changes = [
        change
        for item in folder.items.values()
        if item.id not in ignore and (change := _item_change(call, item, state, shape))
    ]
    for identifier, entered, left in folder.removed:
        if state.knows(entered) and not state.knows(left):
            changes.append(Change(left, lambda identifier=identifier: T.Delete(T.ItemId(Id=identifier))))  # type: ignore[misc]
    return changes


def _item_change(call: Call, item: Item, state: State, shape: Shape) -> Change | None:
    def whole(name: str) -> Callable[[], Element]:
        return lambda: T(name, item_element(call.shown(item), shape))

    def read_flag() -> Element:
        shown = call.shown(item)
        return T.ReadFlagChange(T.ItemId(Id=item.id, ChangeKey=shown.change_key), T.IsRead(flag(shown.message.read)))

    if not state.knows(item.entered):
        return Change(item.entered, whole("Create"))
    if not state.knows(item.changed):
        return Change(item.changed, whole("Update"))
    if not state.knows(item.read_changed):
        told_as_update = call.deviates(Deviation.NO_READ_FLAG_CHANGE)
        return Change(item.read_changed, whole("Update") if told_as_update else read_flag)
    return None


def _folder_changes(call: Call, root: Folder, state: State, shape: Element) -> list[Change]:
    def tell(name: str, folder: Folder) -> Callable[[], Element]:
        return lambda: T(name, folder_element(call, folder, shape))

    changes = []
    for folder in call.mailbox.below(root):
        if not state.knows(folder.entered):
            changes.append(Change(folder.entered, tell("Create", folder)))
        elif not state.knows(folder.changed):
            changes.append(Change(folder.changed, tell("Update", folder)))
    for identifier, entered, left in call.mailbox.removed_folders:
        if state.knows(entered) and not state.knows(left):
            changes.append(Change(left, lambda identifier=identifier: T.Delete(T.FolderId(Id=identifier))))  # type: ignore[misc]
    return changes


def _write_state(call: Call, scope: str, state: State) -> str:
    ranges = ",".join(f"{first}-{last}" for first, last in state.known)
    return base64.b64encode(f"{call.organisation.epoch}|{scope}|{ranges}".encode()).decode("ascii")


def _read_state(call: Call, scope: str) -> State:
    told = find(call.request, "m:SyncState")
    if told is None or not told.text:
        return State()
    try:
        text = base64.b64decode(told.text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    prefix = f"{call.organisation.epoch}|{scope}|"
    ranges = text.removeprefix(prefix)
    if not text.startswith(prefix) or not re.fullmatch(r"\d+-\d+(,\d+-\d+)*", ranges):
        raise Refused("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or otherwise invalid.")
    pairs = (part.split("-") for part in ranges.split(","))
    return State(tuple((int(first), int(last)) for first, last in pairs))
