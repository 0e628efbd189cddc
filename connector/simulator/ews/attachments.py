"""The operations on attachments."""

import time
from collections.abc import Iterator

from connector.simulator.content import Content, as_base64, clean
from connector.simulator.deviations import Deviation
from connector.simulator.ews import updates
from connector.simulator.ews.asked import attachment_shape
from connector.simulator.ews.call import Call
from connector.simulator.ews.shapes import Shape, Shown, View, attachment_element, item_element
from connector.simulator.ews.soap import Element, M, Refused, T, children, find, invalid, is_true, local, need
from connector.simulator.mailbox import Attachment, Item, Message
from connector.simulator.mime_import import message_of


def get_attachment(call: Call) -> Element:
    """Microsoft: getattachment-operation."""
    shape = attachment_shape(find(call.request, "m:AttachmentShape"))

    def one(named: Element) -> Iterator[Element]:
        item, path = call.attachment(named)
        yield M.Attachments(_with_content(call.view(shape.body_type), item, path, shape))

    return call.answer("GetAttachment", children(need(call.request, "m:AttachmentIds")), one, M.Attachments)


def create_attachment(call: Call) -> Element:
    """Microsoft: createattachment-operation. The AttachmentId carries the item's id and its new change key."""
    item = call.item(need(call.request, "m:ParentItemId"))
    call.mailbox.keep_version(item)

    def one(told: Element) -> Iterator[Element]:
        attachment = told_attachment(call, told)
        call.mailbox.changing(item).attachments.append(attachment)
        identifier = T.AttachmentId(
            Id=call.view().attachment_id(item, (attachment,)), RootItemId=item.id, RootItemChangeKey=item.change_key
        )
        yield M.Attachments(T(local(told), identifier))

    return call.answer("CreateAttachment", children(need(call.request, "m:Attachments")), one, M.Attachments)


def delete_attachment(call: Call) -> Element:
    """Microsoft: deleteattachment-operation, rootitemid. The answer carries the item's new change key.

    All ids of one request mean what they meant before it, also on a server that renumbers attachments.
    """
    named = children(need(call.request, "m:AttachmentIds"))
    meant = {each.get("Id"): _meant(call, each) for each in named}
    for item in {id(found[0]): found[0] for found in meant.values() if not isinstance(found, Refused)}.values():
        call.mailbox.keep_version(item)

    def one(each: Element) -> Iterator[Element]:
        found = meant[each.get("Id")]
        if isinstance(found, Refused):
            raise found
        item, path = found
        meant[each.get("Id")] = Refused("ErrorItemNotFound", "The specified object was not found in the store.")
        message = call.mailbox.changing(item)
        for outer in path[:-1]:
            message = outer.message or message
        message.attachments[:] = [other for other in message.attachments if other is not path[-1]]
        yield M.RootItemId(RootItemId=item.id, RootItemChangeKey=item.change_key)

    return call.answer("DeleteAttachment", named, one)


def _meant(call: Call, named: Element) -> tuple[Item, tuple[Attachment, ...]] | Refused:
    try:
        return call.attachment(named)
    except Refused as refused:
        return refused


def told_attachment(call: Call, told: Element) -> Attachment:
    """The attachment in an element of CreateAttachment or CreateItem."""
    if local(told) not in ("FileAttachment", "ItemAttachment"):
        raise Refused("ErrorInvalidOperation", f"The simulator has no {local(told)}.")
    attachment = Attachment(
        name=_text(told, "Name"),
        content_type=_text(told, "ContentType"),
        content_id=_text(told, "ContentId").strip("<>"),
        content_location=_text(told, "ContentLocation"),
        inline=is_true(told, "t:IsInline"),
    )
    if local(told) == "FileAttachment":
        attachment.content = Content(updates.decoded(need(told, "t:Content")))
    else:
        attachment.message = _told_message(call, told)
        attachment.content_type = "message/rfc822"
    if call.deviates(Deviation.PLAIN_ATTACHMENTS):
        attachment.content_type, attachment.content_id, attachment.inline = "", "", False
    if call.deviates(Deviation.VANISHING_ATTACHMENTS):
        attachment.vanishes = time.monotonic() + call.organisation.lag
    return attachment


def _told_message(call: Call, told: Element) -> Message:
    """The message in an ItemAttachment: its last element, be it Message or Item."""
    inner = children(told)[-1] if len(told) else invalid("ItemAttachment lacks its item")
    mime = find(inner, "t:MimeContent")
    message = Message(author=updates.owner(call)) if mime is None else message_of(updates.decoded(mime))
    for part in children(inner):
        if local(part) == "Attachments":
            message.attachments += [told_attachment(call, each) for each in children(part)]
        elif local(part) != "MimeContent":
            updates.set_new(message, part)
    return message


def _with_content(view: View, item: Item, path: tuple[Attachment, ...], shape: Shape) -> Element:
    element = attachment_element(view, item, path)
    attachment = path[-1]
    content = attachment.content
    if attachment.message is not None:
        shown = Shown(view=view, message=attachment.message, item=item, change_key="", path=path)
        element.append(item_element(shown, shape))
    elif content is not None:
        element.append(T.Content(view.blobs.later(lambda: as_base64(content.chunks()))))
    return element


def _text(told: Element, name: str) -> str:
    found = find(told, f"t:{name}")
    return clean((found.text if found is not None else None) or "")
