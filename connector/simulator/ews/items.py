"""The operations on items, but for UpdateItem."""

from collections.abc import Iterator

from connector.simulator.deviations import Deviation
from connector.simulator.ews import updates
from connector.simulator.ews.asked import field_uri, item_shape
from connector.simulator.ews.attachments import told_attachment
from connector.simulator.ews.call import Call
from connector.simulator.ews.extended import named_property
from connector.simulator.ews.search import matches, ordered, page
from connector.simulator.ews.shapes import element_name, field_text, item_element
from connector.simulator.ews.soap import Element, M, Refused, T, children, find, invalid, local, need
from connector.simulator.mailbox import Folder, Item, Message, now
from connector.simulator.mime_import import message_of


def get_item(call: Call) -> Element:
    """Microsoft: getitem-operation."""
    shape = item_shape(need(call.request, "m:ItemShape"))
    return call.answer(
        "GetItem",
        children(need(call.request, "m:ItemIds")),
        lambda named: [M.Items(item_element(call.shown(call.item(named), shape.body_type), shape))],
        M.Items,
    )


def find_item(call: Call) -> Element:
    """Microsoft: finditem-operation. Newest first unless SortOrder says otherwise; one message for each folder."""
    shape = item_shape(need(call.request, "m:ItemShape"), listing=True)
    for unsupported in ("m:QueryString", "m:GroupBy", "m:DistinguishedGroupBy", "m:CalendarView", "m:ContactsView"):
        if find(call.request, unsupported) is not None:
            raise Refused("ErrorInvalidOperation", f"The simulator has no {unsupported}.", fault=True)

    def one(named: Element) -> Iterator[Element]:
        found = _found(call, call.folder(named))
        asked = page(call.request, "Item", len(found), short=call.deviates(Deviation.SHORT_PAGES))
        items = [item_element(call.shown(item), shape) for item in asked.of(found)]
        yield M.RootFolder(T.Items(*items), **asked.attributes(len(found)))

    return call.answer("FindItem", children(need(call.request, "m:ParentFolderIds")), one)


def create_item(call: Call) -> Element:
    """Microsoft: createitem-operation. Only SaveOnly: the simulator sends nothing."""
    if call.request.get("MessageDisposition", "SaveOnly") != "SaveOnly":
        raise Refused("ErrorInvalidOperation", "The simulator saves items and does not send them.", fault=True)
    saved = find(call.request, "m:SavedItemFolderId")

    def one(told: Element) -> Iterator[Element]:
        folder = call.mailbox.distinguished["drafts"] if saved is None else call.folder(children(saved)[0])
        item = call.mailbox.add(_told_message(call, told), folder)
        yield M.Items(_reference(item))

    return call.answer("CreateItem", children(need(call.request, "m:Items")), one, M.Items)


def move_item(call: Call) -> Element:
    """Microsoft: moveitem-operation. The item gets a new id; the old one is not found any more."""
    target = call.folder(children(need(call.request, "m:ToFolderId"))[0])
    return call.answer(
        "MoveItem",
        children(need(call.request, "m:ItemIds")),
        lambda named: [M.Items(_reference(call.mailbox.move(call.item(named), target)))],
        M.Items,
    )


def copy_item(call: Call) -> Element:
    """Microsoft: copyitem-operation."""
    target = call.folder(children(need(call.request, "m:ToFolderId"))[0])
    return call.answer(
        "CopyItem",
        children(need(call.request, "m:ItemIds")),
        lambda named: [M.Items(_reference(call.mailbox.copy(call.item(named), target)))],
        M.Items,
    )


def delete_item(call: Call) -> Element:
    """Microsoft: deleteitem-operation, disposaltype."""
    kind = call.request.get("DeleteType")
    targets = {"MoveToDeletedItems": "deleteditems", "SoftDelete": "recoverableitemsdeletions"}

    def one(named: Element) -> list[Element]:
        item = call.item(named)
        if kind == "HardDelete":
            call.mailbox.purge(item)
        else:
            call.mailbox.move(item, call.mailbox.distinguished[targets[kind or ""]])
        return []

    if kind != "HardDelete" and kind not in targets:
        invalid("DeleteType is none of its values")
    return call.answer("DeleteItem", children(need(call.request, "m:ItemIds")), one)


def values_at(call: Call, item: Item, path: Element) -> list[str]:
    """What stands at a path of a restriction or a sort order."""
    shown = call.shown(item)
    if local(path) == "ExtendedFieldURI":
        value = shown.extended(named_property(path))
    elif local(path) == "IndexedFieldURI":
        name = (path.get("FieldIndex") or "").lower()
        return [text for header, text in shown.message.headers if header.lower() == name]
    else:
        value = field_text(shown, field_uri(path))
    return [] if value is None else [value] if isinstance(value, str) else value


def _found(call: Call, folder: Folder) -> list[Item]:
    if call.request.get("Traversal") != "Shallow":
        return []  # nothing is associated; what is soft-deleted lies in Recoverable Items
    found = sorted(folder.items.values(), key=lambda item: (item.message.received or now(), item.number), reverse=True)
    restriction = find(call.request, "m:Restriction")
    if restriction is not None:
        found = [item for item in found if matches(restriction, lambda path: values_at(call, item, path))]  # noqa: B023
    return ordered(found, find(call.request, "m:SortOrder"), lambda item, path: values_at(call, item, path))


def _told_message(call: Call, told: Element) -> Message:
    """The message in the elements of a CreateItem: from MIME, from properties, or from both."""
    mime = find(told, "t:MimeContent")
    message = Message(received=now(), sent=now()) if mime is None else message_of(updates.decoded(mime))
    if mime is not None and call.deviates(Deviation.BARE_IMPORT):
        message.received, message.internet_message_id = None, ""
    # New items are drafts unless PidTagMessageFlags says otherwise (Microsoft: MS-OXCMSG 2.2.1.6).
    message.draft = message.read = True
    message.author = message.author or updates.owner(call)
    message.sender = message.sender or message.author
    for part in children(told):
        if local(part) == "Attachments":
            message.attachments += [told_attachment(call, each) for each in children(part)]
        elif local(part) != "MimeContent":
            updates.set_new(message, part)
    return message


def _reference(item: Item) -> Element:
    return T(element_name(item.message), T.ItemId(Id=item.id, ChangeKey=item.change_key))
