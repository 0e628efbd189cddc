"""The requests that a mailbox makes, written out. Their shape is Microsoft's schema for Exchange 2016.

https://learn.microsoft.com/exchange/client-developer/web-service-reference/ews-operations-in-exchange
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from lxml.builder import ElementMaker  # type: ignore[import-not-found]  # missing in the stubs

from connector.model import Body, File
from connector.sources.exchange import MARKER_NAME, MARKER_SET

Element = Any  # lxml ships no types

MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
NS = {"s": "http://schemas.xmlsoap.org/soap/envelope/", "m": MESSAGES, "t": TYPES}
M = ElementMaker(namespace=MESSAGES, nsmap={"m": MESSAGES, "t": TYPES})
T = ElementMaker(namespace=TYPES, nsmap={"m": MESSAGES, "t": TYPES})

#: PidTagMessageFlags: with it an item is made as one that came in, and not as a draft [MS-OXCMSG 2.2.1.6].
FLAGS = {"PropertyTag": "0x0e07", "PropertyType": "Integer"}
#: Our named property.
MARKER = {"PropertySetId": MARKER_SET, "PropertyName": MARKER_NAME, "PropertyType": "String"}
#: PidTagLastVerbExecuted: what draws the arrow of a message that was answered or forwarded [MS-OXOMSG 2.2.1.6].
LAST_VERB = {"PropertyTag": "0x1081", "PropertyType": "Integer"}
#: PidTagPolicyTag: the retention tag of an item [MS-OXPROPS 2.851].
POLICY_TAG = {"PropertyTag": "0x3019", "PropertyType": "Binary"}
#: What becomes of the header `msip_labels`: also in messages that never had headers, being sent from here.
LABELS = {
    "DistinguishedPropertySetId": "InternetHeaders",
    "PropertyName": "msip_labels",
    "PropertyType": "String",
}
#: PidTagMessageSizeExtended: of a folder, the bytes of all that lies in it, without the folders below.
SIZE = {"PropertyTag": "0x0e08", "PropertyType": "Long"}
#: PidTagLocalCommitTimeMax: the last change of a message in the folder [MS-OXPROPS 2.773].
COMMIT_TIME = {"PropertyTag": "0x670a", "PropertyType": "SystemTime"}

#: All that is asked for while the feed is read. What has no attachments is not asked about again.
_FEED = (
    "item:ItemClass",
    "item:Subject",
    "item:Sensitivity",
    "item:DateTimeReceived",
    "item:HasAttachments",
    "item:Categories",
    "message:From",
    "message:InternetMessageId",
)
_LISTING = (
    "item:ParentFolderId",
    "item:ItemClass",
    "item:Subject",
    "item:Sensitivity",
    "item:DateTimeReceived",
    "item:Size",
    "item:Categories",
    "item:Attachments",
    "item:IsDraft",
    "item:InternetMessageHeaders",
    "message:From",
    "message:ToRecipients",
    "message:CcRecipients",
    "message:BccRecipients",
    "message:InternetMessageId",
    "message:IsRead",
)
#: What people change without opening a message.
TOUCHED = (
    "item:Categories",
    "item:Importance",
    "item:ReminderDueBy",
    "item:ReminderIsSet",
    "item:Flag",
    "message:IsRead",
)
#: What makes work for us. Deletions come with the next look; they are never urgent.
_EVENTS = ("NewMailEvent", "CreatedEvent", "ModifiedEvent", "MovedEvent")
_FOLDER = ("folder:DisplayName", "folder:ParentFolderId", "folder:FolderClass", "folder:TotalCount")


#: How XML says that something is so.
TRUE = frozenset({"true", "1"})


def text(element: Element, path: str) -> str:
    """The text at this path below an element; "" where there is none."""
    found = first(element, path)
    return "" if found is None else found.text or ""


def number(element: Element, path: str) -> int:
    """The number at this path; 0 where there is none, or something else."""
    digits = text(element, path)
    return int(digits) if digits.isdecimal() else 0


def flag(element: Element, path: str) -> bool:
    """Whether what stands at this path is true."""
    return text(element, path) in TRUE


def identifier(element: Element, path: str) -> str:
    """The Id of the element at this path; "" where there is none."""
    found = first(element, path)
    return "" if found is None else str(found.get("Id", ""))


def first(element: Element, path: str) -> Element | None:
    """The element at this path. Child by child: lxml's paths take twice as long, and much is asked for."""
    return _first(element, *_tags(path))


def _first(element: Element, tag: str, *below: str) -> Element | None:
    for child in element.iterchildren(tag):
        found = _first(child, *below) if below else child
        if found is not None:
            return found
    return None


@cache
def _tags(path: str) -> tuple[str, ...]:
    # A namespace may hold slashes.
    return tuple(_spelled_out(step) for step in path.split("/"))


def every(element: Element, path: str) -> Iterator[Element]:
    """The elements at this path, one after the other."""
    found: Iterator[Element] = element.iterfind(_spelled_out(path))
    return found


@cache
def _spelled_out(path: str) -> str:
    """The same path with whole namespaces: lxml would sort those that it is given anew for every question."""
    return re.sub(r"(\w+):", lambda prefix: f"{{{NS[prefix[1]]}}}", path)


def when(moment: str) -> datetime | None:
    """The time in UTC that a dateTime names; None where it names none, or does not say in which zone."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else None


def get_distinguished_folders(names: Iterable[str], mailbox: str | None) -> Element:
    """GetFolder: the ids of well-known folders; of another mailbox than one's own where it is named."""
    ids = (_distinguished(name, mailbox) for name in names)
    return M.GetFolder(M.FolderShape(T.BaseShape("IdOnly")), M.FolderIds(*ids))


def find_folders(root: str, offset: int, page: int) -> Element:
    """FindFolder: every folder below `root`, and when something in it changed last."""
    return M.FindFolder(
        M.FolderShape(
            T.BaseShape("IdOnly"), T.AdditionalProperties(*_fields(_FOLDER), T.ExtendedFieldURI(COMMIT_TIME))
        ),
        M.IndexedPageFolderView(_view(offset, page)),
        M.ParentFolderIds(T.FolderId(Id=root)),
        Traversal="Deep",
    )


def find_sizes(root: str, mailbox: str | None, offset: int, page: int) -> Element:
    """FindFolder: how many bytes each folder below a well-known one holds."""
    return M.FindFolder(
        M.FolderShape(T.BaseShape("IdOnly"), T.AdditionalProperties(T.ExtendedFieldURI(SIZE))),
        M.IndexedPageFolderView(_view(offset, page)),
        M.ParentFolderIds(_distinguished(root, mailbox)),
        Traversal="Deep",
    )


def sync_items(folder: str, state: str, page: int) -> Element:
    """SyncFolderItems: what changed in a folder since this state; all of it where there is none."""
    return M.SyncFolderItems(
        M.ItemShape(T.BaseShape("IdOnly"), T.AdditionalProperties(*_fields(_FEED))),
        M.SyncFolderId(T.FolderId(Id=folder)),
        *([M.SyncState(state)] if state else []),
        M.MaxChangesReturned(str(page)),
    )


def get_items(ids: Iterable[str], *, body: bool) -> bytes:
    """GetItem: all that a `Message` holds."""
    return _sent(_WITH_BODY if body else _WITHOUT_BODY, ids=_ids("ItemId", ids))


def marked(prefix: str) -> Element:
    """The restriction to items whose marker begins so."""
    return T.Contains(
        T.ExtendedFieldURI(MARKER), T.Constant(Value=prefix), ContainmentMode="Prefixed", ContainmentComparison="Exact"
    )


def recent(since: datetime) -> Element:
    """The restriction to items with files that were received since then."""
    moment = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return T.And(
        T.IsGreaterThanOrEqualTo(T.FieldURI(FieldURI="item:DateTimeReceived"), _constant(moment)),
        T.IsEqualTo(T.FieldURI(FieldURI="item:HasAttachments"), _constant("true")),
    )


def _constant(value: str) -> Element:
    return T.FieldURIOrConstant(T.Constant(Value=value))


def find_items(folders: Iterable[str], wanted: Element, offset: int, page: int) -> Element:
    """FindItem: the ids of all items in these folders that a restriction lets through."""
    return M.FindItem(
        M.ItemShape(T.BaseShape("IdOnly")),
        M.IndexedPageItemView(_view(offset, page)),
        M.Restriction(wanted),
        M.ParentFolderIds(*(T.FolderId(Id=folder) for folder in folders)),
        Traversal="Shallow",
    )


def find_all_items(folder: str, offset: int, page: int) -> Element:
    """FindItem: the ids of all items in this folder."""
    return M.FindItem(
        M.ItemShape(T.BaseShape("IdOnly")),
        M.IndexedPageItemView(_view(offset, page)),
        M.ParentFolderIds(T.FolderId(Id=folder)),
        Traversal="Shallow",
    )


def get_parent(item_id: str) -> Element:
    """GetItem: the folder where an item is."""
    properties = T.AdditionalProperties(*_fields(["item:ParentFolderId"]))
    return M.GetItem(M.ItemShape(T.BaseShape("IdOnly"), properties), M.ItemIds(T.ItemId(Id=item_id)))


def copy_item(item_id: str, folder: str) -> Element:
    """CopyItem: a second, equal item in this folder."""
    return M.CopyItem(M.ToFolderId(T.FolderId(Id=folder)), M.ItemIds(T.ItemId(Id=item_id)))


def move_item(item_id: str, folder: str) -> Element:
    """MoveItem: into this folder, under a new id."""
    return M.MoveItem(M.ToFolderId(T.FolderId(Id=folder)), M.ItemIds(T.ItemId(Id=item_id)))


def delete_items(ids: Iterable[str]) -> Element:
    """DeleteItem: for good."""
    return M.DeleteItem(M.ItemIds(*(T.ItemId(Id=item_id) for item_id in ids)), DeleteType="HardDelete")


def root(mailbox: str | None) -> Element:
    """The root of the whole mailbox, above what mail clients show; of another mailbox than one's own where named."""
    return _distinguished("root", mailbox)


def folder(folder_id: str) -> Element:
    """A folder as a parent."""
    return T.FolderId(Id=folder_id)


def find_child(parent: Element, name: str) -> Element:
    """FindFolder: the folder of this name directly below `parent`."""
    named = T.IsEqualTo(T.FieldURI(FieldURI="folder:DisplayName"), T.FieldURIOrConstant(T.Constant(Value=name)))
    return M.FindFolder(
        M.FolderShape(T.BaseShape("IdOnly")), M.Restriction(named), M.ParentFolderIds(parent), Traversal="Shallow"
    )


def create_folder(parent: Element, name: str) -> Element:
    """CreateFolder: one for messages, below `parent`."""
    return M.CreateFolder(M.ParentFolderId(parent), M.Folders(T.Folder(T.FolderClass("IPF.Note"), T.DisplayName(name))))


def delete_folder(folder_id: str) -> Element:
    """DeleteFolder: so that what somebody put into it just now can be recovered."""
    return M.DeleteFolder(M.FolderIds(T.FolderId(Id=folder_id)), DeleteType="SoftDelete")


def get_attachment(file_id: str) -> bytes:
    """GetAttachment: the content of a file; of an attached item its MIME."""
    return _sent(_GET_ATTACHMENT, ids=_ids("AttachmentId", [file_id]))


def get_original(item_id: str) -> Element:
    """GetItem: the whole item as MIME."""
    return M.GetItem(M.ItemShape(T.BaseShape("IdOnly"), T.IncludeMimeContent("true")), M.ItemIds(T.ItemId(Id=item_id)))


def update_item(item_id: str, version: str, body: Body | None, marker: str) -> bytes:
    """UpdateItem: body (if any) and marker in one save, refused where the item is no longer at `version`.

    Raises ValueError where something in it is none of XML's characters.
    """
    item = f"<t:ItemId Id={quoteattr(item_id)} ChangeKey={quoteattr(version)}/>"
    updates = _SET_BODY.format(kind="HTML" if body.html else "Text", body=_escaped(body.content)) if body else ""
    updates += _SET_MARKER.format(marker=_escaped(marker)) if marker else _DELETE_MARKER
    return _sent(_UPDATE_ITEM, item=item, updates=updates)


def create_attachment(item_id: str, file: File, content: str) -> Element:
    """CreateAttachment: a file with this name, type, content id, content location and inline flag."""
    return M.CreateAttachment(
        M.ParentItemId(Id=item_id),
        M.Attachments(
            T.FileAttachment(
                T.Name(file.name),
                *([T.ContentType(file.content_type)] if file.content_type else []),
                *([T.ContentId(file.content_id)] if file.content_id else []),
                *([T.ContentLocation(file.content_location)] if file.content_location else []),
                T.IsInline("true" if file.inline else "false"),
                T.Content(content),
            )
        ),
    )


def delete_attachments(file_ids: Iterable[str]) -> bytes:
    """DeleteAttachment: all of them in one request."""
    return _sent(_DELETE_ATTACHMENT, ids=_ids("AttachmentId", file_ids))


def subscribe() -> Element:
    """Subscribe: be told over a stream what happens in any folder of the mailbox."""
    events = T.EventTypes(*(T.EventType(name) for name in _EVENTS))
    return M.Subscribe(M.StreamingSubscriptionRequest(events, SubscribeToAllFolders="true"))


def get_streaming_events(subscriptions: Iterable[str], minutes: int) -> Element:
    """GetStreamingEvents: an answer that tells events of these subscriptions as they happen, and lasts so long."""
    ids = M.SubscriptionIds(*(T.SubscriptionId(each) for each in subscriptions))
    return M.GetStreamingEvents(ids, M.ConnectionTimeout(str(minutes)))


def _shape(fields: Iterable[str], extended: Iterable[Mapping[str, str]], *best: Element) -> Element:
    properties = T.AdditionalProperties(*_fields(fields), *map(T.ExtendedFieldURI, extended))
    return M.ItemShape(T.BaseShape("IdOnly"), *best, properties)


def create_item(mime: bytes, owner: str | None, *parts: Element) -> Element:
    """CreateItem: a message from MIME, in the Inbox, sent to nobody. `parts` stand in the order of the schema."""
    return M.CreateItem(
        M.SavedItemFolderId(_distinguished("inbox", owner)),
        M.Items(T.Message(T.MimeContent(base64.b64encode(mime).decode()), *parts)),
        MessageDisposition="SaveOnly",
    )


def extended_property(field: Mapping[str, str], value: str) -> Element:
    """An extended property, for a message that is made."""
    return T.ExtendedProperty(T.ExtendedFieldURI(dict(field)), T.Value(value))


def _distinguished(name: str, mailbox: str | None) -> Element:
    owner = [] if mailbox is None else [T.Mailbox(T.EmailAddress(mailbox))]
    return T.DistinguishedFolderId(*owner, Id=name)


def _sent(request: str, **places: str) -> bytes:
    """A request that stands written out below, with markup in its places."""
    return request.format(**places).encode()


def _ids(element: str, ids: Iterable[str]) -> str:
    return "".join(f"<t:{element} Id={quoteattr(each)}/>" for each in ids)


def _escaped(text: str) -> str:
    if _UNFIT.search(text):
        raise ValueError("a text holds what XML cannot")
    # Of a bare carriage return, whoever reads it would make a line feed.
    return escape(text, {"\r": "&#13;"})


#: What is none of XML's characters: https://www.w3.org/TR/xml/#charsets
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _fields(names: Iterable[str]) -> list[Element]:
    return [T.FieldURI(FieldURI=name) for name in names]


def _view(offset: int, page: int) -> dict[str, str]:
    return {"MaxEntriesReturned": str(page), "Offset": str(offset), "BasePoint": "Beginning"}


def _written_out(request: Element) -> str:
    return str(etree.tostring(request, encoding="unicode"))


def _get_items(shape: Element) -> str:
    return _written_out(M.GetItem(shape, M.ItemIds("{ids}")))


def _set(field: Element, value: Element) -> str:
    return _written_out(T.SetItemField(field, T.Message(value)))


# The requests that each redirect takes, written out once, with places for what differs.
_WITHOUT_BODY = _get_items(_shape(_LISTING, (MARKER, POLICY_TAG, LABELS)))
_WITH_BODY = _get_items(
    _shape(
        dict.fromkeys((*_LISTING, "item:Body", *TOUCHED)),
        (MARKER, POLICY_TAG, LABELS, LAST_VERB),
        T.BodyType("Best"),
    )
)
_GET_ATTACHMENT = _written_out(
    M.GetAttachment(M.AttachmentShape(T.IncludeMimeContent("true")), M.AttachmentIds("{ids}"))
)
_DELETE_ATTACHMENT = _written_out(M.DeleteAttachment(M.AttachmentIds("{ids}")))
_UPDATE_ITEM = _written_out(
    M.UpdateItem(
        M.ItemChanges(T.ItemChange("{item}", T.Updates("{updates}"))),
        ConflictResolution="NeverOverwrite",
        MessageDisposition="SaveOnly",
        SuppressReadReceipts="true",
    )
)
_SET_BODY = _set(T.FieldURI(FieldURI="item:Body"), T.Body("{body}", BodyType="{kind}"))
_SET_MARKER = _set(T.ExtendedFieldURI(MARKER), extended_property(MARKER, "{marker}"))
_DELETE_MARKER = _written_out(T.DeleteItemField(T.ExtendedFieldURI(MARKER)))
