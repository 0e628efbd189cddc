"""Mailboxes on premises as an outsider sees them: by EWS, through exchangelib."""

import hashlib
from collections.abc import Iterator, Mapping

from exchangelib import BASIC, DELEGATE, UTC, Account, Configuration, Credentials, FileAttachment, ItemId, Version
from exchangelib.attachments import Attachment
from exchangelib.items import Item
from exchangelib.version import EXCHANGE_2016

from connector.demo.seen import Seen
from connector.demo.world import Place, World

# exchangelib compares each attachment of a message with all before it, field by field: half a minute for three hundred
# of them, at each look. Those of a reply are all different.
Attachment.__eq__ = object.__eq__


def look(world: World) -> dict[str, Seen]:
    """Every message, by the name that its delivery gave it."""
    return {item.id: _seen(item) for item in _items(world, "subject", "body", "attachments")}


def attached(world: World) -> dict[str, str]:
    """The SHA-256 of every file in a message, by the id of the attachment."""
    files = (file for item in _items(world, "attachments") for file in item.attachments or ())
    return {
        file.attachment_id.id: hashlib.sha256(file.content).hexdigest()
        for file in files
        if isinstance(file, FileAttachment)
    }


def _items(world: World, *fields: str) -> Iterator[Item]:
    here = {each: letter for each, letter in world.letters.items() if world.place(letter) is Place.ON_PREMISES}
    for login in world.exchange.accounts:
        ids = [ItemId(id=each) for each, letter in here.items() if letter.mailbox == login["mailbox"]]
        found = _account(world.exchange.ews, login).fetch(ids, only_fields=fields) if ids else ()
        # In the place of an item that has vanished stands an error.
        yield from (item for item in found if isinstance(item, Item))


def _account(ews: str, login: Mapping[str, str]) -> Account:
    configuration = Configuration(
        service_endpoint=ews,
        credentials=Credentials(login["user"], login["password"]),
        auth_type=BASIC,
        version=Version(build=EXCHANGE_2016),
    )
    return Account(login["mailbox"], config=configuration, access_type=DELEGATE, default_timezone=UTC)


def _seen(item: Item) -> Seen:
    files = {file.attachment_id.id: file.name or "" for file in item.attachments or ()}
    return Seen(item.id, item.subject or "", item.changekey, item.body or "", files)
