"""What an outsider sees, and whether the promise holds: mailboxes through exchangelib or IMAP, the store, its links.

The ledger is never asked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from itertools import takewhile

import requests

from tests.crash.wire_world import MAILBOXES, Letter, World
from tests.exchange import Login, outlook

_URL = re.compile(r"https?://[^\s\"'<>]+")


@dataclass(frozen=True)
class Seen:
    """One message as a client shows it."""

    body: str
    #: The bytes of its attachments, and of the pictures within the text.
    attached: frozenset[bytes]


#: By Message-ID.
Sight = Mapping[str, Seen]


def through_exchangelib(world: World) -> Sight:
    """All messages, as their owners see them in Outlook."""
    fields = ("message_id", "body", "attachments")
    items = (item for mailbox in MAILBOXES for item in outlook(world.exchange, mailbox).inbox.all().only(*fields))
    return {item.message_id: Seen(item.body, frozenset(each.content for each in item.attachments)) for item in items}


def through_imap(world: World, login: Login) -> Sight:
    """All messages, as an IMAP client gets them."""
    sight = {}
    for account in world.exchange.accounts:
        client = login(account)
        client.select("INBOX", readonly=True)
        _, parts = client.fetch("1:*", "(BODY.PEEK[])")
        for part in parts:
            if isinstance(part, tuple):
                message = message_from_bytes(part[1], policy=policy.default)
                sight[message["Message-ID"]] = _seen(message)
    return sight


def _seen(message: EmailMessage) -> Seen:
    body = message.get_body(("html", "plain"))
    assert body is not None
    contents = (part.get_payload(decode=True) for part in message.walk() if part.get_filename())
    return Seen(body.get_content(), frozenset(content for content in contents if isinstance(content, bytes)))


def broken(world: World, sight: Sight, letters: Sequence[Letter] | None = None) -> list[str]:
    """Where the promise does not hold, for these letters or for all. Has to be empty at any moment."""
    with requests.Session() as visitor:
        visitor.auth = world.login
        return [
            f"{letter.id}: {complaint}"
            for letter in (world.letters if letters is None else letters)
            for complaint in _broken(letter, sight[letter.id], visitor, world)
        ]


def unfinished(world: World, sight: Sight, letters: Sequence[Letter] | None = None) -> list[str]:
    """What is left to be done, or was done too often, of these letters or of all. Has to be empty in the end."""
    return [
        f"{letter.id}: {complaint}"
        for letter in (world.letters if letters is None else letters)
        for complaint in _unfinished(letter, sight[letter.id], world)
    ]


def stored(world: World) -> list[bytes]:
    """What lies in the store for people, be it a file that they want or an upload that died."""
    files = (path for path in world.collection.rglob("*") if path.is_file() and ".connector" not in path.parts)
    return sorted(path.read_bytes() for path in files)


def _broken(letter: Letter, seen: Seen, visitor: requests.Session, world: World) -> Iterator[str]:
    urls = _urls(seen, world)
    linked = frozenset(_download(url, visitor) for url in urls)
    if lost := (letter.redirectable | letter.inline) - seen.attached - linked:
        yield f"{len(lost)} files are neither in it nor behind its links"
    if not linked <= letter.redirectable:
        yield "a link gives something else than a file of it"
    if len(urls) > len(letter.redirectable):
        yield "it shows two notices"
    if not _only_inserted(letter.body, seen.body):
        yield "its text has changed outside of the notice"


def _unfinished(letter: Letter, seen: Seen, world: World) -> Iterator[str]:
    if seen.attached != letter.inline:
        yield f"it has {len(seen.attached)} attachments, and should have {len(letter.inline)}"
    if len(_urls(seen, world)) != len(letter.redirectable):
        yield "it does not show all links"


def _urls(seen: Seen, world: World) -> list[str]:
    return [url for url in map(unescape, _URL.findall(seen.body)) if url.startswith(world.link_url)]


def _download(url: str, visitor: requests.Session) -> bytes:
    answer = visitor.get(url, timeout=20)
    return answer.content if answer.ok else b"nothing"


def _only_inserted(before: str, after: str) -> bool:
    """Whether one stretch was put in somewhere, and nothing else changed."""
    kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    return after[kept:].endswith(before[kept:])
