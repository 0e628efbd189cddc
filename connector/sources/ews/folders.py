"""The folders of a mailbox: which of them hold mail, which are left alone, and what their ids tell."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.sources.ews.words import COMMIT_TIME, NS, Element, every, identifier, number, text, when

#: Known by id whatever they are called in the user's language. Recoverable Items and search folders are not below the
#: root of messages.
ROOT, SENT = "msgfolderroot", "sentitems"
OUT_OF_SCOPE = ("deleteditems", "drafts", "junkemail", "outbox", "syncissues", "conversationhistory")
WELL_KNOWN = (ROOT, SENT, *OUT_OF_SCOPE)
#: Classes below IPF.Note whose folders hold something else: RSS feeds and social networks.
_NO_MAIL = ("IPF.Note.OutlookHomepage", "IPF.Note.SocialConnector")
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
    folders = {}
    for folder_id, element in elements.items():
        line = _line(folder_id, elements)
        path = "/".join(text(elements[each], "t:DisplayName") for each in line)
        mail = _holds_mail(element)
        skipped = any(path == each or path.startswith(f"{each}/") for each in skip)
        in_scope = mail and not skipped and out.isdisjoint(line)
        folders[folder_id] = Folder(folder_id, path, mail, in_scope, well_known.get(SENT) in line, _mark(element, now))
    return folders


def mailbox_guid(folder_id: str) -> str:
    """The GUID of the mailbox, which every id of Exchange begins with; a hash of the id where it is made otherwise.

    An id is base64. Its first byte says whether runs of bytes are shortened, the second that a mailbox GUID follows;
    then comes the length of the GUID's text and the text [MS-OXWSCDATA, and ids as Exchange writes them].
    """
    try:
        data = base64.b64decode(folder_id, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    text_of_id = (_expanded(data[1:]) if data[:1] == b"\x01" else data[1:])[:39]
    guid = text_of_id[3:].decode("ascii", "replace").lower()
    if text_of_id[:3] == b"\x03\x24\x00" and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", guid):
        return guid
    return hashlib.sha256(folder_id.encode()).hexdigest()


def _expanded(data: bytes) -> bytes:
    """Undo the shortening: after two equal bytes stands how many more of them follow."""
    out = bytearray()
    position = 0
    while position < len(data):
        out.append(data[position])
        position += 1
        if len(out) > 1 and out[-1] == out[-2] and position < len(data):
            out += bytes([out[-1]]) * data[position]
            position += 1
    return bytes(out)


def _line(folder_id: str, elements: Mapping[str, Element]) -> list[str]:
    """The ids from the topmost folder down to this one."""
    line: list[str] = []
    while folder_id in elements and folder_id not in line:
        line.insert(0, folder_id)
        folder_id = identifier(elements[folder_id], "t:ParentFolderId")
    return line


def _holds_mail(element: Element) -> bool:
    """Folders that IMAP clients make have no class."""
    folder_class = text(element, "t:FolderClass")
    is_mail = folder_class in {"", "IPF.Note"} or folder_class.startswith("IPF.Note.")
    return element.tag.endswith("}Folder") and is_mail and not folder_class.startswith(_NO_MAIL)


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
