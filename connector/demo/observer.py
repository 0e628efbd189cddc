"""What an outsider sees: mailboxes through exchangelib, links through HTTP. Never the ledger, never an adapter."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape

import requests
from exchangelib import BASIC, DELEGATE, UTC, Account, Configuration, Credentials, FileAttachment, ItemId, Version
from exchangelib.attachments import Attachment
from exchangelib.items import Item
from exchangelib.version import EXCHANGE_2016

from connector.demo.world import Store, World

_CHUNK = 1024 * 1024
_URL = re.compile(r"https?://[^\s\"'<>]+")
_SECONDS = 30

# exchangelib compares each attachment of a message with all before it, field by field: half a minute for three hundred
# of them, at each look. Those of a reply are all different.
Attachment.__eq__ = object.__eq__


@dataclass(frozen=True)
class Seen:
    """One message, as a client of its owner sees it."""

    subject: str
    #: Differs after every change.
    change_key: str
    body: str
    #: The names of its attachments, by their ids.
    files: Mapping[str, str]


def look(world: World) -> dict[str, Seen]:
    """Every message, by the id of its item."""
    return {item.id: _seen(item) for item in _items(world, "subject", "body", "attachments")}


def attached(world: World) -> dict[str, str]:
    """The SHA-256 of every file in a message, by the id of the attachment."""
    files = (file for item in _items(world, "attachments") for file in item.attachments or ())
    return {
        file.attachment_id.id: hashlib.sha256(file.content).hexdigest()
        for file in files
        if isinstance(file, FileAttachment)
    }


def inserted(before: str, after: str) -> str | None:
    """The one stretch of `after` without which it would be `before`; None where there is no such stretch."""
    length = len(after) - len(before)
    start = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), len(before))
    return after[start : start + length] if length >= 0 and before[start:] == after[start + length :] else None


def links(notice: str) -> tuple[str, ...]:
    """The addresses that a notice shows, each once."""
    return tuple(dict.fromkeys(unescape(url) for url in _URL.findall(notice)))


def download(url: str, store: Store) -> str:
    """The SHA-256 of what a link gives to somebody who logs in. Raises requests' errors."""
    digest = hashlib.sha256()
    with requests.get(url, auth=(store.user, store.password), stream=True, timeout=_SECONDS) as response:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _items(world: World, *fields: str) -> Iterator[Item]:
    for login in world.exchange.accounts:
        ids = [ItemId(id=each) for each, letter in world.letters.items() if letter.mailbox == login["mailbox"]]
        found = _account(world.exchange.ews, login).fetch(ids, only_fields=fields)
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
    return Seen(item.subject or "", item.changekey, item.body or "", files)
