"""Messages: read, found, made, changed, moved and removed."""

import base64
import binascii
from http import HTTPStatus
from typing import Any

from connector.simulator.content import clean
from connector.simulator.graph import extended
from connector.simulator.graph.attachments import told_attachment
from connector.simulator.graph.call import Call, streamed
from connector.simulator.graph.changes import messages_delta
from connector.simulator.graph.filters import matches, ordered
from connector.simulator.graph.identity import find_folder, find_item
from connector.simulator.graph.mail import READ, WRITE, opened, refuse_conflict, refuse_for_good, refuse_sensitive
from connector.simulator.graph.message import NO_CONTENT, Refused, Reply, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.graph.shapes import message_json
from connector.simulator.mailbox import Address, Folder, Item, Mailbox, Message, now
from connector.simulator.mime_export import mime_of, stream
from connector.simulator.mime_import import message_of
from connector.simulator.properties import FLAG_STATUS

#: Microsoft: message-update. What drafts alone may have changed; of these, the service changed body and subject of
#: all messages until the end of 2026 (facts, A4).
_SENSITIVE = {
    "body", "subject", "internetMessageId", "replyTo", "toRecipients", "ccRecipients", "bccRecipients", "from",
    "sender", "isReadReceiptRequested", "isDeliveryReceiptRequested",
}  # fmt: skip
_PEOPLE = {
    "toRecipients": "to", "ccRecipients": "cc", "bccRecipients": "bcc", "replyTo": "reply_to",
}  # fmt: skip
_PERSON = {"from": "author", "sender": "sender"}
_ALWAYS = {"categories", "flag", "importance", "isRead", "inferenceClassification", "singleValueExtendedProperties"}
#: Of non-drafts, nobody changes these (facts, A4: `from` on a non-draft).
_OF_DRAFTS = _SENSITIVE - {"body", "subject"}


def list_messages(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: user-list-messages, mailfolder-list-messages: of all folders of mail, or of one."""
    found = (
        list(find_folder(mailbox, call.path["folder"]).items.values())
        if "folder" in call.path
        else [each for each in mailbox.items.values() if _is_seen(mailbox, each.folder)]
    )
    found = [each for each in found if matches(call.options.filter, each)]
    return call.listed("messages", ordered(found, call.options.orderby), lambda each: message_json(call, mailbox, each))


def get_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-get."""
    return _one(call, mailbox, find_item(mailbox, call.path["message"]))


def get_mime(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-get, $value: made from what the store keeps, so not the bytes that came (facts, A2)."""
    item = find_item(mailbox, call.path["message"])
    return streamed(stream(mime_of(item.message)), "text/plain")


def create_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: user-post-messages: a draft, of JSON or of MIME in base64."""
    folder = find_folder(mailbox, call.path.get("folder", "drafts"))
    owner = Address("", mailbox.address)
    if call.request.header("Content-Type").lower().startswith("text/plain"):
        message = message_of(_decoded(call.request.body()))
        message.draft = True
    else:
        message = _told_message(call.request.json(), owner)
    return _one(call, mailbox, mailbox.add(message, folder), HTTPStatus.CREATED)


def update_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-update. All changes of a request are one change, or none where one is refused."""
    item = find_item(mailbox, call.path["message"])
    told = {key: value for key, value in call.request.json().items() if "@" not in key}
    if unknown := told.keys() - _ALWAYS - _SENSITIVE:
        says = f"The property '{min(unknown)}' cannot be set."
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidPropertySet", says)
    if not item.message.draft and told.keys() & _OF_DRAFTS:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidPropertySet", "Message is not draft.")
    if told.keys() & _SENSITIVE:
        refuse_sensitive(call, item)
    refuse_conflict(call, item)
    _set_all(Message(), told)  # a request that makes no sense changes nothing
    if told.keys() == {"isRead"}:
        mailbox.set_read(item, read=bool(told["isRead"]))
    else:
        if told.keys() & _SENSITIVE:
            mailbox.keep_version(item)
        _set_all(mailbox.changing(item), told)
    return _one(call, mailbox, item)


def delete_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-delete: to Deleted Items, and from there out of sight."""
    item = find_item(mailbox, call.path["message"])
    refuse_conflict(call, item)
    deleted = mailbox.distinguished["deleteditems"]
    lies_there = item.folder is deleted
    mailbox.move(item, mailbox.distinguished["recoverableitemsdeletions"] if lies_there else deleted)
    return NO_CONTENT


def purge_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-permanentdelete."""
    refuse_for_good(call)
    item = find_item(mailbox, call.path["message"])
    refuse_conflict(call, item)
    mailbox.purge(item)
    return NO_CONTENT


def move_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-move."""
    item = find_item(mailbox, call.path["message"])
    return _one(call, mailbox, mailbox.move(item, _destination(call, mailbox)), HTTPStatus.CREATED)


def copy_message(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-copy."""
    item = find_item(mailbox, call.path["message"])
    return _one(call, mailbox, mailbox.copy(item, _destination(call, mailbox)), HTTPStatus.CREATED)


def _one(call: Call, mailbox: Mailbox, item: Item, status: int = HTTPStatus.OK) -> Reply:
    told = message_json(call, mailbox, item)
    return Reply(status, {"@odata.context": call.context("messages/$entity"), **told})


def _is_seen(mailbox: Mailbox, folder: Folder) -> bool:
    """Whether a folder lies below the root that people see, and not among Recoverable Items."""
    root = mailbox.distinguished["msgfolderroot"]
    place: Folder | None = folder
    while place is not None and place is not root:
        place = place.parent
    return place is root


def _destination(call: Call, mailbox: Mailbox) -> Folder:
    told = {key.lower(): value for key, value in call.request.json().items()}
    return find_folder(mailbox, str(told.get("destinationid") or invalid("destinationId is missing.")))


def _told_message(told: dict[str, Any], owner: Address) -> Message:
    """New messages are drafts unless PidTagMessageFlags says otherwise (facts, A4)."""
    message = Message(received=now(), sent=now(), draft=True, read=True, author=owner, sender=owner)
    known = {key: value for key, value in told.items() if "@" not in key}
    attachments = known.pop("attachments", [])
    headers = known.pop("internetMessageHeaders", [])
    if unknown := known.keys() - _ALWAYS - _SENSITIVE:
        invalid(f"The property '{min(unknown)}' cannot be set.")
    _set_all(message, known)
    message.headers += [(str(each["name"]), str(each["value"])) for each in headers]
    message.attachments += [told_attachment(each) for each in attachments]
    return message


def _set_all(message: Message, told: dict[str, Any]) -> None:
    try:
        for name, value in told.items():
            _set(message, name, value)
    except (AttributeError, KeyError, TypeError):
        invalid("The request payload has a value of the wrong kind.")


def _set(message: Message, name: str, value: Any) -> None:
    if name == "body":
        message.set_body(clean(value["content"]), html=value.get("contentType", "text").lower() == "html")
    elif name == "subject":
        message.set_subject(clean(value or ""))
    elif name in _PEOPLE:
        setattr(message, _PEOPLE[name], [_person(each) for each in value])
    elif name in _PERSON:
        setattr(message, _PERSON[name], _person(value))
    elif name == "flag":
        message.extended.pop(FLAG_STATUS, None)
        if status := {"complete": "1", "flagged": "2"}.get(value["flagStatus"]):
            message.extended[FLAG_STATUS] = status
    elif name == "singleValueExtendedProperties":
        extended.store(message, value)
    elif name in _PLAIN:
        setattr(message, _PLAIN[name], value.title() if name == "importance" else value)


def _person(told: dict[str, Any]) -> Address:
    address = told["emailAddress"]
    return Address(clean(address.get("name") or ""), clean(address.get("address") or ""))


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorMimeContentInvalidBase64String", "MIME is no base64.") from None


_PLAIN = {
    "categories": "categories",
    "importance": "importance",
    "isRead": "read",
    "internetMessageId": "internet_message_id",
    "isReadReceiptRequested": "read_receipt_requested",
    "isDeliveryReceiptRequested": "delivery_receipt_requested",
}
_USER = "/users/{user}"
_FOLDER = f"{_USER}/mailFolders/{{folder}}/messages"
_MESSAGE = f"{_USER}/messages/{{message}}"
ROUTES = (
    Route("GET", f"{_FOLDER}/delta", opened(messages_delta), READ),
    Route("GET", _FOLDER, opened(list_messages), READ),
    Route("POST", _FOLDER, opened(create_message), WRITE),
    Route("GET", f"{_USER}/messages", opened(list_messages), READ),
    Route("POST", f"{_USER}/messages", opened(create_message), WRITE),
    Route("GET", _MESSAGE, opened(get_message), READ),
    Route("PATCH", _MESSAGE, opened(update_message), WRITE),
    Route("DELETE", _MESSAGE, opened(delete_message), WRITE),
    Route("GET", f"{_MESSAGE}/$value", opened(get_mime), READ),
    Route("POST", f"{_MESSAGE}/move", opened(move_message), WRITE),
    Route("POST", f"{_MESSAGE}/copy", opened(copy_message), WRITE),
    Route("POST", f"{_MESSAGE}/permanentDelete", opened(purge_message), WRITE),
)
