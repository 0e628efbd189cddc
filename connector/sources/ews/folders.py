"""The folders of a mailbox: which of them hold mail, and which are left alone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.sources.ews.words import COMMIT_TIME, NS, Element, every, identifier, number, text, when
from connector.sources.exchange import OUT_OF_SCOPE, SENT, holds_mail, line

#: A change may follow another within the second that a commit time names, and clocks of a cluster differ a little.
SETTLED = timedelta(seconds=60)


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
    #: Says, if it has not changed, that nothing in the folder has; "" where that cannot be told.
    mark: str


def tree(
    found: Iterable[Element], well_known: Mapping[str, str], skip: Collection[str], now: datetime | None
) -> dict[str, Folder]:
    """The folders by id, from FindFolder. `now` is the server's time, and None where it does not say."""
    elements = {identifier(element, "t:FolderId"): element for element in found}
    out = {well_known[name] for name in OUT_OF_SCOPE if name in well_known}
    parents = {folder_id: identifier(element, "t:ParentFolderId") for folder_id, element in elements.items()}
    folders = {}
    for folder_id, element in elements.items():
        above = line(folder_id, parents)
        path = "/".join(text(elements[each], "t:DisplayName") for each in above)
        mail = _holds_mail(element)
        skipped = any(path == each or path.startswith(f"{each}/") for each in skip)
        in_scope = mail and not skipped and out.isdisjoint(above)
        folders[folder_id] = Folder(folder_id, path, mail, in_scope, well_known.get(SENT) in above, _mark(element, now))
    return folders


def _holds_mail(element: Element) -> bool:
    return element.tag.endswith("}Folder") and holds_mail(text(element, "t:FolderClass"))


def _mark(element: Element, now: datetime | None) -> str:
    changed = _commit_time(element)
    if changed is None or now is None or changed > now - SETTLED:
        return ""
    return f"{changed.isoformat()} {number(element, 't:TotalCount')}"


def _commit_time(element: Element) -> datetime | None:
    for extended in every(element, "t:ExtendedProperty"):
        tag = extended.find("t:ExtendedFieldURI", NS).get("PropertyTag", "")
        if tag.lower() == COMMIT_TIME["PropertyTag"]:
            return when(text(extended, "t:Value"))
    return None
