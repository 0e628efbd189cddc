"""Items, attachments and folders as XML: which fields there are, in the schema's order, and what stands in them."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from connector.simulator import ids, properties, text
from connector.simulator.content import as_base64
from connector.simulator.deviations import Deviation
from connector.simulator.ews.extended import path_copy
from connector.simulator.ews.soap import Blobs, Element, T, flag
from connector.simulator.mailbox import Address, Attachment, Item, Mailbox, Message, Property
from connector.simulator.mime_export import mime_of, stream


@dataclass(frozen=True, kw_only=True)
class View:
    """Who looks, and how."""

    mailbox: Mailbox
    deviations: frozenset[Deviation]
    blobs: Blobs
    #: What the shape asked for: Best, HTML or Text.
    body_type: str = "Best"

    def date(self, moment: datetime | None) -> str | None:
        """A date as Exchange writes it: `yyyy-MM-ddTHH:mm:ssZ`, 20 characters. exchangelib reads no decimals."""
        decimals = ".000000000" if Deviation.DECIMAL_DATES in self.deviations else ""
        return None if moment is None else f"{moment.replace(tzinfo=None).isoformat()}{decimals}Z"

    def attachment_id(self, item: Item, path: tuple[Attachment, ...], listed: Message | None = None) -> str:
        """The id of the attachment at the end of a path of attachments; `listed` is the message that shows it."""
        if Deviation.POSITIONAL_ATTACHMENT_IDS not in self.deviations:
            return ids.attachment_id(item.id, [each.token for each in path])
        levels = [item.message, *(each.message for each in path[:-1] if each.message)]
        if listed is not None:
            levels[-1] = listed  # A stale listing has the positions of its own time.
        positions = [
            next(
                (at for at, each in enumerate(level.attachments) if each.token == attachment.token),
                len(level.attachments),
            )
            for level, attachment in zip(levels, path, strict=True)
        ]
        return ids.attachment_id(item.id, [at.to_bytes(ids.TOKEN_LENGTH, "big") for at in positions])


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A message that is to be shown: an item, or what an attachment of an item holds (then `path` leads there)."""

    view: View
    message: Message
    item: Item
    change_key: str
    path: tuple[Attachment, ...] = ()

    @property
    def draft(self) -> bool:
        """Whether it says that it is a draft."""
        return self.message.draft and Deviation.NEVER_DRAFT not in self.view.deviations

    def extended(self, prop: Property) -> str | list[str] | None:
        """The value of an extended property; None where it has none."""
        return properties.value(self.message, self.item, prop, self.view.date)


Build = Callable[[Shown], Element | None]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of t:Message that the simulator fills."""

    name: str
    uri: str
    build: Build
    #: Part of the Default shape, and of AllProperties.
    default: bool = False
    common: bool = True
    #: FindItem and SyncFolderItems leave it out (Microsoft: syncfolderitems-operation, finditem-operation).
    detail: bool = False


@dataclass(kw_only=True)
class Shape:
    """What a client asked to see of each item."""

    base: str = "IdOnly"
    fields: set[str] = field(default_factory=set)
    extended: list[tuple[Property, Element]] = field(default_factory=list)
    #: Of item:InternetMessageHeader, by lower-case name.
    headers: set[str] = field(default_factory=set)
    mime: bool = False
    body_type: str = "Best"
    listing: bool = False

    def wants(self, each: Field) -> bool:
        """Whether a field is shown."""
        if self.listing and each.detail:
            return False
        if each.uri == "item:MimeContent":
            return self.mime or each.uri in self.fields
        base = {"IdOnly": each.uri == "item:ItemId", "Default": each.default, "AllProperties": each.common}
        return base[self.base] or each.uri in self.fields


def element_name(message: Message) -> str:
    """The element that an item of this class comes in."""
    if message.item_class.startswith("IPM.Schedule.Meeting.Req"):
        return "MeetingRequest"
    if message.item_class.startswith("IPM.Schedule.Meeting.Resp"):
        return "MeetingResponse"
    return "MeetingCancellation" if message.item_class.startswith("IPM.Schedule.Meeting.Can") else "Message"


def item_element(shown: Shown, shape: Shape) -> Element:
    """The item with the fields that the shape wants."""
    element: Element = T(element_name(shown.message))
    for each in FIELDS:
        if each.name == "ExtendedProperty":
            element.extend(_extended(shown, shape))
        elif shape.wants(each) and (built := each.build(shown)) is not None:
            element.append(built)
        elif each.name == "InternetMessageHeaders" and shape.headers and not shape.listing:
            element.extend(_headers(shown, shape.headers))
    return element


def field_text(shown: Shown, uri: str) -> str | None:
    """What stands in a field, for restrictions and sorting; None where the item has no such field."""
    built = next((each.build(shown) for each in FIELDS if each.uri == uri), None)
    return None if built is None else " ".join(part for part in built.itertext() if isinstance(part, str))


def attachment_element(view: View, item: Item, path: tuple[Attachment, ...], listed: Message | None = None) -> Element:
    """An attachment as it stands in an item: all but its content."""
    attachment = path[-1]
    kind = "FileAttachment" if attachment.message is None else "ItemAttachment"
    if attachment.reference:
        kind = "ReferenceAttachment"
    return T(
        kind,
        T.AttachmentId(Id=view.attachment_id(item, path, listed)),
        T.Name(attachment.name),
        T.ContentType(attachment.content_type) if attachment.content_type else None,
        T.ContentId(attachment.content_id) if attachment.content_id else None,
        T.ContentLocation(attachment.content_location) if attachment.content_location else None,
        T.Size(str(attachment.size)),
        T.LastModifiedTime(view.date(attachment.modified)),
        T.IsInline(flag(attachment.inline)),
        T.IsContactPhoto("false") if kind == "FileAttachment" else None,
    )


def mailbox_element(person: Address) -> Element:
    """Somebody; the schema has no empty address."""
    return T.Mailbox(
        T.Name(person.name or person.address),
        T.EmailAddress(person.address) if person.address else None,
        T.RoutingType("SMTP") if person.address else None,
        T.MailboxType("OneOff"),
    )


def extended_value(path: Element, value: str | list[str]) -> Element:
    """An extended property as it was asked for, with its value."""
    if isinstance(value, str):
        return T.ExtendedProperty(path, T.Value(value))
    return T.ExtendedProperty(path, T.Values(*(T.Value(each) for each in value)))


def effective_rights() -> Element:
    """The rights of a mailbox's owner."""
    rights = ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read", "ViewPrivateItems")
    return T.EffectiveRights(*(T(right, "true") for right in rights))


def _extended(shown: Shown, shape: Shape) -> Iterator[Element]:
    for prop, path in shape.extended:
        value = shown.extended(prop)
        if value is not None:
            yield extended_value(path_copy(path), value)


def _headers(shown: Shown, wanted: set[str] | None = None) -> Iterator[Element]:
    told = [
        T.InternetMessageHeader(value, HeaderName=name)
        for name, value in shown.message.headers
        if wanted is None or name.lower() in wanted
    ]
    if told:
        yield T.InternetMessageHeaders(*told)


def _mime(shown: Shown) -> Element:
    pieces = mime_of(shown.message)
    return T.MimeContent(shown.view.blobs.later(lambda: as_base64(stream(pieces))), CharacterSet="UTF-8")


def _body(name: str, *, body_type: str = "") -> Build:
    def build(shown: Shown) -> Element:
        message = shown.message
        asked = body_type or shown.view.body_type
        if asked == "HTML" and not message.html:
            return T(name, text.markup(message.body), BodyType="HTML")
        if asked == "Text" and message.html:
            return T(name, text.plain(message.body), BodyType="Text")
        return T(name, message.body, BodyType="HTML" if message.html else "Text")

    return build


def _attachments(shown: Shown) -> Element | None:
    told = [
        attachment_element(shown.view, shown.item, (*shown.path, attachment), shown.message)
        for attachment in shown.message.attachments
    ]
    return T.Attachments(*told) if told else None


def _item_id(shown: Shown) -> Element | None:
    if shown.path:
        # An attached item is known by its attachment's id alone (Microsoft: getattachment-operation).
        return T.ItemId(Id=shown.view.attachment_id(shown.item, shown.path))
    return T.ItemId(Id=shown.item.id, ChangeKey=shown.change_key)


def _parent(shown: Shown) -> Element | None:
    folder = shown.item.folder
    return None if shown.path else T.ParentFolderId(Id=folder.id, ChangeKey=folder.change_key)


def _flag(shown: Shown) -> Element:
    status = {"2": "Flagged", "1": "Complete"}
    kept = shown.message.extended
    dates = ((T.StartDate, properties.TASK_START), (T.DueDate, properties.TASK_DUE))
    return T.Flag(
        T.FlagStatus(status.get(str(kept.get(properties.FLAG_STATUS)), "NotFlagged")),
        *(date(kept[prop]) for date, prop in (*dates, (T.CompleteDate, properties.FLAG_COMPLETED)) if prop in kept),
    )


def _kept(prop: Property) -> Callable[[Shown], str | None]:
    def read(shown: Shown) -> str | None:
        value = shown.extended(prop)
        return value if isinstance(value, str) else None

    return read


def _conversation(shown: Shown) -> Element:
    topic = properties.topic(shown.message.subject).lower().encode()
    return T.ConversationId(Id=base64.b64encode(b"CONV" + hashlib.sha256(topic).digest()).decode("ascii"))


def _text(name: str, read: Callable[[Shown], str | None]) -> Build:
    def build(shown: Shown) -> Element | None:
        value = read(shown)
        return T(name, value) if value else None

    return build


def _people(name: str, read: Callable[[Message], list[Address]]) -> Build:
    def build(shown: Shown) -> Element | None:
        people = read(shown.message)
        return T(name, *(mailbox_element(each) for each in people)) if people else None

    return build


def _person(name: str, read: Callable[[Shown], Address | None]) -> Build:
    def build(shown: Shown) -> Element | None:
        person = read(shown)
        return T(name, mailbox_element(person)) if person else None

    return build


def _display(people: list[Address]) -> str:
    return "; ".join(each.name or each.address for each in people)


def _is_mine(shown: Shown) -> bool:
    author = shown.message.author
    return author is not None and author.address.lower() == shown.view.mailbox.address


def _simple(  # one line of the table below
    name: str, read: Callable[[Shown], str | None], *, of: str = "item", default: bool = False, detail: bool = False
) -> Field:
    return Field(name=name, uri=f"{of}:{name}", build=_text(name, read), default=default, detail=detail)


def _bool(name: str, read: Callable[[Shown], bool], *, of: str = "item", default: bool = False) -> Field:
    return _simple(name, lambda shown: flag(read(shown)), of=of, default=default)


def _recipients(name: str, read: Callable[[Message], list[Address]], *, default: bool = False) -> Field:
    return Field(name=name, uri=f"message:{name}", build=_people(name, read), default=default, detail=True)


def _recipient(name: str, read: Callable[[Shown], Address | None], *, default: bool = False) -> Field:
    return Field(name=name, uri=f"message:{name}", build=_person(name, read), default=default)


#: In the order of t:ItemType and t:MessageType.
FIELDS = (
    Field(name="MimeContent", uri="item:MimeContent", build=_mime, common=False, detail=True),
    Field(name="ItemId", uri="item:ItemId", build=_item_id, default=True),
    Field(name="ParentFolderId", uri="item:ParentFolderId", build=_parent),
    _simple("ItemClass", lambda shown: shown.message.item_class),
    _simple("Subject", lambda shown: shown.message.subject, default=True),
    _simple("Sensitivity", lambda shown: shown.message.sensitivity, default=True),
    Field(name="Body", uri="item:Body", build=_body("Body"), default=True, detail=True),
    Field(name="Attachments", uri="item:Attachments", build=_attachments, default=True, detail=True),
    _simple("DateTimeReceived", lambda shown: shown.view.date(shown.message.received)),
    _simple("Size", lambda shown: str(shown.message.size), default=True),
    Field(
        name="Categories",
        uri="item:Categories",
        build=lambda shown: (
            T.Categories(*(T.String(each) for each in shown.message.categories)) if shown.message.categories else None
        ),
    ),
    _simple("Importance", lambda shown: shown.message.importance),
    _simple("InReplyTo", lambda shown: shown.message.in_reply_to),
    _bool("IsSubmitted", lambda _: False),
    _bool("IsDraft", lambda shown: shown.draft),
    _bool("IsFromMe", _is_mine),
    _bool("IsResend", lambda _: False),
    _bool("IsUnmodified", lambda shown: shown.item.before is None),
    Field(
        name="InternetMessageHeaders",
        uri="item:InternetMessageHeaders",
        build=lambda shown: next(_headers(shown), None),
        detail=True,
    ),
    _simple("DateTimeSent", lambda shown: shown.view.date(shown.message.sent)),
    _simple("DateTimeCreated", lambda shown: shown.view.date(shown.item.created)),
    _simple("ReminderDueBy", _kept(properties.REMINDER_DUE)),
    _simple("ReminderIsSet", _kept(properties.REMINDER_SET)),
    _simple("ReminderMinutesBeforeStart", _kept(properties.REMINDER_MINUTES)),
    _simple("DisplayCc", lambda shown: _display(shown.message.cc)),
    _simple("DisplayTo", lambda shown: _display(shown.message.to)),
    _bool("HasAttachments", lambda shown: shown.message.has_attachments, default=True),
    Field(name="ExtendedProperty", uri="", build=lambda _: None),
    _simple("Culture", lambda _: "en-US"),
    Field(name="EffectiveRights", uri="item:EffectiveRights", build=lambda _: effective_rights()),
    _simple("LastModifiedName", lambda shown: shown.view.mailbox.address),
    _simple("LastModifiedTime", lambda shown: shown.view.date(shown.item.modified)),
    _bool("IsAssociated", lambda _: False),
    Field(name="ConversationId", uri="item:ConversationId", build=_conversation),
    Field(name="UniqueBody", uri="item:UniqueBody", build=_body("UniqueBody"), common=False, detail=True),
    Field(name="Flag", uri="item:Flag", build=_flag),
    Field(name="NormalizedBody", uri="item:NormalizedBody", build=_body("NormalizedBody"), common=False, detail=True),
    Field(name="TextBody", uri="item:TextBody", build=_body("TextBody", body_type="Text"), common=False, detail=True),
    _recipient("Sender", lambda shown: shown.message.sender),
    _recipients("ToRecipients", lambda message: message.to, default=True),
    _recipients("CcRecipients", lambda message: message.cc, default=True),
    _recipients("BccRecipients", lambda message: message.bcc, default=True),
    _bool("IsReadReceiptRequested", lambda shown: shown.message.read_receipt_requested, of="message", default=True),
    _bool("IsDeliveryReceiptRequested", lambda shown: shown.message.delivery_receipt_requested, of="message"),
    _simple("ConversationIndex", lambda shown: properties.conversation_index(shown.message), of="message"),
    _simple("ConversationTopic", lambda shown: properties.topic(shown.message.subject), of="message"),
    _recipient("From", lambda shown: shown.message.author, default=True),
    _simple("InternetMessageId", lambda shown: shown.message.internet_message_id, of="message"),
    _bool("IsRead", lambda shown: shown.message.read, of="message", default=True),
    _bool("IsResponseRequested", lambda _: False, of="message", default=True),
    _simple("References", lambda shown: shown.message.references, of="message"),
    _recipients("ReplyTo", lambda message: message.reply_to, default=True),
    _recipient("ReceivedBy", lambda shown: None if shown.message.draft else Address("", shown.view.mailbox.address)),
)
