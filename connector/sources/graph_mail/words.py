"""What a mailbox is asked for, in Graph's words.

https://learn.microsoft.com/graph/api/resources/message, .../extended-properties-overview
"""

from datetime import UTC, datetime
from typing import Any

from connector.model import Body, File, Letter
from connector.sources.exchange import MARKER_NAME, MARKER_SET

JSON = dict[str, Any]

#: Bodies as they are. What Graph cleans before it shows it would be written back cleaned.
UNSAFE_HTML = "outlook.allow-unsafe-html"

#: Extended properties, as Graph is asked for them. It may answer in another spelling: see `same`.
#: PidTagMessageFlags: with it an item is made as one that came in, and not as a draft [MS-OXCMSG 2.2.1.6].
FLAGS = "Integer 0x0E07"
MARKER = f"String {{{MARKER_SET}}} Name {MARKER_NAME}"
MESSAGE_CLASS = "String 0x001A"
SENSITIVITY = "Integer 0x0036"
LAST_VERB = "Integer 0x1081"
#: PidTagPolicyTag: the retention tag of an item [MS-OXPROPS 2.851].
POLICY_TAG = "Binary 0x3019"
#: What becomes of the header `msip_labels`: also in messages that never had headers, being sent from here.
LABELS = "String {00020386-0000-0000-c000-000000000046} Name msip_labels"
#: PidTagMessageSize: Graph has no word for it.
MESSAGE_SIZE = "Integer 0x0E08"
FOLDER_CLASS = "String 0x3613"
#: Of a folder, the bytes of all that lies in it, without the folders below.
SIZE = "Long 0x0E08"

_SELECT = (
    "changeKey,parentFolderId,subject,from,toRecipients,ccRecipients,bccRecipients,receivedDateTime,isDraft,"
    "internetMessageId,internetMessageHeaders,isRead,categories"
)
_TOUCHED = "flag,importance"
#: Without the bytes, which stand in an attachment that is asked for as a whole.
_ATTACHMENTS = (
    "attachments($select=id,name,contentType,size,isInline,lastModifiedDateTime,"
    "microsoft.graph.fileAttachment/contentId)"
)


def item(*, body: bool) -> str:
    """The query of a message: all that a `Message` holds."""
    select = f"{_SELECT},{_TOUCHED},body" if body else _SELECT
    wanted = [MARKER, MESSAGE_CLASS, SENSITIVITY, POLICY_TAG, LABELS, MESSAGE_SIZE, *([LAST_VERB] if body else [])]
    return f"?$select={select}&$expand={_ATTACHMENTS},{extended(*wanted)}"


def extended(*wanted: str) -> str:
    """The part of an $expand that asks for these extended properties."""
    named = " or ".join(f"id eq '{each}'" for each in wanted)
    return f"singleValueExtendedProperties($filter={named})"


def marked(redirect_id: str) -> str:
    """The query for messages whose marker names this redirect, and maybe others."""
    begins = f"ep/id eq '{MARKER}' and startswith(ep/value,'1.{redirect_id}.')"
    return f"?$filter=singleValueExtendedProperties/Any(ep: {begins})&$select=id,parentFolderId"


def recent(since: datetime) -> str:
    """The query for messages with files that were received since then."""
    moment = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"?$filter=receivedDateTime ge {moment} and hasAttachments eq true&$select=id,parentFolderId&$top=1000"


def named(name: str) -> str:
    """The query for a folder of this name."""
    return f"?$filter=displayName eq '{name}'&$select=id,displayName&includeHiddenFolders=true"


def folder() -> str:
    """The query of a folder."""
    return f"?$select=id,displayName,parentFolderId&$expand={extended(FOLDER_CLASS)}"


def attachment(file: File) -> JSON:
    """What a file is called that is put into a message."""
    return {
        "name": file.name,
        "contentType": file.content_type or None,
        "contentId": file.content_id or None,
        "isInline": file.inline,
    }


def letter(of: Letter, address: str) -> JSON:
    """A message of ours, as one that came in: from the mailbox to itself."""
    extended = ((FLAGS, "0"), (MARKER, of.marker))
    return {
        "subject": of.subject,
        "internetMessageId": of.internet_message_id,
        "from": {"emailAddress": {"name": of.sender, "address": address}},
        "toRecipients": [{"emailAddress": {"name": address, "address": address}}],
        "body": {"contentType": "text", "content": of.text},
        "isRead": False,
        "singleValueExtendedProperties": [{"id": name, "value": value} for name, value in extended],
    }


def change(body: Body | None, marker: str) -> JSON:
    """The one write of body and marker. An empty marker is none: nothing can be taken out of a message."""
    changed: JSON = {"singleValueExtendedProperties": [{"id": MARKER, "value": marker}]}
    if body is not None:
        changed["body"] = {"contentType": "html" if body.html else "text", "content": body.content}
    return changed


def told(element: JSON, wanted: str) -> str:
    """What an item or folder says of an extended property; "" where it says nothing."""
    for each in element.get("singleValueExtendedProperties") or ():
        if same(str(each.get("id")), wanted):
            return str(each.get("value") or "")
    return ""


def same(one: str, other: str) -> bool:
    """Whether two spellings name one property: Graph writes tags without leading zeros."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    kind, _, rest = name.lower().partition(" ")
    return f"{kind} {int(rest, 16):x}" if rest.startswith("0x") else f"{kind} {rest}"
