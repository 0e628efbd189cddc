"""The folders of a mailbox: which of them hold mail, and which are left alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from connector.sources.exchange import OUT_OF_SCOPE, ROOT, SENT, holds_mail, line


class Told(NamedTuple):
    """A folder as the feed of folders tells of it, and its class."""

    name: str
    parent: str
    folder_class: str


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder below the root of messages."""

    id: str
    #: With `/` between names.
    path: str
    #: Holds messages, and not appointments, contacts or settings.
    mail: bool
    in_scope: bool
    #: In the tree of Sent Items.
    sent: bool


def tree(found: Mapping[str, Told], well_known: Mapping[str, str], skip: Collection[str]) -> dict[str, Folder]:
    """The folders by id. Those that hang below something else than the root of messages are left out."""
    parents = {folder_id: told.parent for folder_id, told in found.items() if folder_id != well_known[ROOT]}
    out = {well_known[name] for name in OUT_OF_SCOPE if name in well_known}
    folders = {}
    for folder_id in parents:
        above = line(folder_id, parents)
        if found[above[0]].parent != well_known[ROOT]:
            continue
        path = "/".join(found[each].name for each in above)
        skipped = any(path == each or path.startswith(f"{each}/") for each in skip)
        mail = holds_mail(found[folder_id].folder_class)
        in_scope = mail and not skipped and out.isdisjoint(above)
        folders[folder_id] = Folder(folder_id, path, mail, in_scope, well_known.get(SENT) in above)
    return folders
