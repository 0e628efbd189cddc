"""UpdateItem, and how a field of an item is set."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from connector.simulator import properties
from connector.simulator.content import clean
from connector.simulator.deviations import Deviation
from connector.simulator.ews.asked import field_uri
from connector.simulator.ews.call import Call
from connector.simulator.ews.extended import named_property
from connector.simulator.ews.shapes import element_name
from connector.simulator.ews.soap import Element, M, Refused, T, children, find, invalid, local, need
from connector.simulator.mailbox import Address, Item, Message, Property

#: A change of these is worth a version in Recoverable Items (Exchange: recoverable items folder, copy-on-write).
_KEPT = ("Subject", "Body", "From", "Sender", "ToRecipients", "CcRecipients", "BccRecipients")
_RESOLUTIONS = ("NeverOverwrite", "AutoResolve", "AlwaysOverwrite")


def update_item(call: Call) -> Element:
    """Microsoft: updateitem-operation. All updates of one item are one change, or none where one is refused."""
    resolution = call.request.get("ConflictResolution") or invalid("UpdateItem lacks ConflictResolution")
    if resolution not in _RESOLUTIONS:
        invalid("ConflictResolution is none of its values")

    def one(change: Element) -> Iterator[Element]:
        named = children(change)[0]
        item = call.item(named)
        _refuse_conflict(call, item, named.get("ChangeKey"), resolution)
        updates = [_understood(update) for update in children(need(change, "t:Updates"))]
        for update in updates:
            update.refuse_if_read_only(item.message)
        _apply(call, item, updates)
        yield M.Items(T(element_name(item.message), T.ItemId(Id=item.id, ChangeKey=item.change_key)))
        yield M.ConflictResults(T.Count("0"))

    return call.answer("UpdateItem", children(need(call.request, "m:ItemChanges")), one, M.Items)


def set_new(message: Message, told: Element) -> None:
    """Set a field of a message that is just being made."""
    if local(told) not in _FIELDS:
        raise Refused("ErrorInvalidPropertySet", f"{local(told)} cannot be set.")
    _FIELDS[local(told)].set(message, told)


def decoded(told: Element) -> bytes:
    """The bytes in base64 of an element."""
    try:
        return base64.b64decode("".join((told.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return invalid(f"{local(told)} is no base64")


def owner(call: Call) -> Address:
    """Whose mailbox it is."""
    return Address("", call.mailbox.address)


@dataclass(frozen=True)
class _Update:
    kind: str
    path: Element
    told: Element | None

    @property
    def name(self) -> str:
        """The field, without what it is a field of."""
        return "ExtendedProperty" if local(self.path) == "ExtendedFieldURI" else field_uri(self.path).partition(":")[2]

    def refuse_if_read_only(self, message: Message) -> None:
        """Raise where this field cannot be changed in this way, or not on a message that is no draft."""
        field = _FIELDS.get(self.name)
        if field is None or field.when is _When.NEW:
            raise Refused("ErrorInvalidPropertySet", f"{self.name} cannot be set.")
        if field.when is _When.DRAFTS and not message.draft:
            raise Refused("ErrorInvalidPropertyUpdateSentMessage", "Update is not allowed for this property.")
        if self.kind == "AppendToItemField" and self.name != "Body":
            raise Refused("ErrorInvalidPropertyAppend", f"Nothing can be appended to {self.name}.")

    def apply(self, message: Message) -> None:
        """Change the message."""
        if self.told is None and self.name == "ExtendedProperty":
            message.extended.pop(named_property(self.path), None)
        elif self.told is None:
            _FIELDS[self.name].clear(message)
        elif self.kind == "AppendToItemField":
            message.body += _text(self.told)
        else:
            _FIELDS[self.name].set(message, self.told)


def _understood(update: Element) -> _Update:
    """An update; its one property must be the one that its path names (Microsoft: setitemfield)."""
    path, *told = children(update)
    if local(update) == "DeleteItemField":
        return _Update("DeleteItemField", path, None)
    properties_told = children(told[0]) if told else []
    if len(properties_told) != 1:
        raise Refused("ErrorIncorrectUpdatePropertyCount", "An update sets exactly one property.")
    understood = _Update(local(update), path, properties_told[0])
    if local(properties_told[0]) != understood.name or not _same_property(path, properties_told[0]):
        raise Refused("ErrorUpdatePropertyMismatch", "The property of an update is not the one that its path names.")
    return understood


def _same_property(path: Element, told: Element) -> bool:
    if local(path) != "ExtendedFieldURI":
        return True
    return named_property(path) == named_property(need(told, "t:ExtendedFieldURI"))


def _refuse_conflict(call: Call, item: Item, change_key: str | None, resolution: str) -> None:
    """Microsoft: conflictresolution. AutoResolve lets the update through: nothing here can be merged."""
    if resolution == "AlwaysOverwrite" or call.deviates(Deviation.IGNORE_CONFLICTS):
        return
    if not change_key:
        raise Refused("ErrorChangeKeyRequiredForWriteOperations", "The change key is required for this operation.")
    if resolution == "NeverOverwrite" and change_key != item.change_key:
        raise Refused("ErrorIrresolvableConflict", "The change key does not match the current one of the item.")


def _apply(call: Call, item: Item, updates: list[_Update]) -> None:
    """Make the change; that of the read flag alone is one of its own kind (Microsoft: readflagchange)."""
    if [update.name for update in updates] == ["IsRead"]:
        read = updates[0].told is not None and _truth(updates[0].told)
        keep = call.deviates(Deviation.READ_KEEPS_CHANGE_KEY)
        call.mailbox.set_read(item, read=read, keep_change_key=keep)
        return
    if any(update.name in _KEPT for update in updates):
        call.mailbox.keep_version(item)
    message = call.mailbox.changing(item)
    if call.deviates(Deviation.LOST_PREDECESSORS):
        item.predecessors = {call.mailbox.replica: 1}
    for update in updates:
        update.apply(message)


class _When(IntEnum):
    """On which messages a field can be set."""

    NEW = 1
    DRAFTS = 2
    ALWAYS = 3


@dataclass(frozen=True)
class _Field:
    set: Callable[[Message, Element], None]
    clear: Callable[[Message], object]
    when: _When = _When.ALWAYS


def _text(told: Element) -> str:
    return clean(told.text or "")


def _truth(told: Element) -> bool:
    return _text(told).strip() in ("true", "1")


def _mailbox(told: Element) -> Address:
    name, address = find(told, "t:Name"), find(told, "t:EmailAddress")
    return Address(_text(name) if name is not None else "", _text(address) if address is not None else "")


def _people(told: Element) -> list[Address]:
    return [_mailbox(each) for each in children(told)]


def _person(told: Element) -> Address:
    return _mailbox(need(told, "t:Mailbox"))


def _attribute(name: str, read: Callable[[Element], object], when: _When = _When.ALWAYS) -> _Field:
    """A field that is one attribute; cleared, it is as in a message that was just made."""
    return _Field(
        lambda message, told: setattr(message, name, read(told)),
        lambda message: setattr(message, name, getattr(Message(), name)),
        when,
    )


def _set_body(message: Message, told: Element) -> None:
    kind = told.get("BodyType")
    if kind not in ("HTML", "Text"):
        invalid("BodyType is none of its values")
    message.set_body(_text(told), html=kind == "HTML")


#: What of t:Flag is kept as which property.
_OF_FLAG = {
    "t:StartDate": properties.TASK_START,
    "t:DueDate": properties.TASK_DUE,
    "t:CompleteDate": properties.FLAG_COMPLETED,
}


def _set_flag(message: Message, told: Element) -> None:
    _clear_flag(message)
    status = {"Flagged": "2", "Complete": "1"}.get(need(told, "t:FlagStatus").text or "")
    if status:
        message.extended[properties.FLAG_STATUS] = status
    for name, prop in _OF_FLAG.items():
        if (date := find(told, name)) is not None:
            message.extended[prop] = _text(date)


def _clear_flag(message: Message) -> None:
    for prop in (properties.FLAG_STATUS, *_OF_FLAG.values()):
        message.extended.pop(prop, None)


def _as_property(prop: Property) -> _Field:
    """A field that is the same as an extended property."""
    return _Field(
        lambda message, told: message.extended.__setitem__(prop, _text(told)),
        lambda message: message.extended.pop(prop, None),
    )


def _set_extended(message: Message, told: Element) -> None:
    prop = named_property(need(told, "t:ExtendedFieldURI"))
    several = find(told, "t:Values")
    value = _text(need(told, "t:Value")) if several is None else [_text(each) for each in children(several)]
    try:
        properties.store(message, prop, value)
    except ValueError as error:
        invalid(str(error))


_IGNORED = _Field(lambda *_: None, lambda _: None)
#: Microsoft: responsecode names the receipts as refused on sent mail; the others are exchangelib's, which learned them
#: from Exchange (items/message.py, is_read_only_after_send). A reminder is kept, and reminds of nothing.
_FIELDS = {
    "ItemClass": _attribute("item_class", _text),
    "Subject": _Field(
        lambda message, told: message.set_subject(_text(told)), lambda message: setattr(message, "subject", "")
    ),
    "Sensitivity": _attribute("sensitivity", _text),
    "Importance": _attribute("importance", _text),
    "Body": _Field(_set_body, lambda message: setattr(message, "body", "")),
    "Categories": _attribute("categories", lambda told: [_text(each) for each in children(told)]),
    "Flag": _Field(_set_flag, _clear_flag),
    "ExtendedProperty": _Field(_set_extended, lambda _: None),
    "IsRead": _attribute("read", _truth),
    "InReplyTo": _attribute("in_reply_to", _text),
    "References": _attribute("references", _text),
    "ReminderDueBy": _as_property(properties.REMINDER_DUE),
    "ReminderIsSet": _as_property(properties.REMINDER_SET),
    "ReminderMinutesBeforeStart": _as_property(properties.REMINDER_MINUTES),
    "Culture": _IGNORED,
    "IsResponseRequested": _IGNORED,
    "From": _attribute("author", _person, _When.DRAFTS),
    "Sender": _attribute("sender", _person, _When.DRAFTS),
    "ToRecipients": _attribute("to", _people, _When.DRAFTS),
    "CcRecipients": _attribute("cc", _people, _When.DRAFTS),
    "BccRecipients": _attribute("bcc", _people, _When.DRAFTS),
    "ReplyTo": _attribute("reply_to", _people, _When.DRAFTS),
    "IsReadReceiptRequested": _attribute("read_receipt_requested", _truth, _When.DRAFTS),
    "IsDeliveryReceiptRequested": _attribute("delivery_receipt_requested", _truth, _When.DRAFTS),
    "InternetMessageId": _attribute("internet_message_id", _text, _When.NEW),
}
