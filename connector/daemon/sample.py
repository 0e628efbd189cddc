"""Every night: a sample of what is done is held against store, links and mailbox. What differs is told, no more.

The days' samples differ, so that in time all of it is looked at; a day's sample is the same on every machine.
"""

from collections.abc import Iterator
from datetime import date, datetime
from http import HTTPStatus
from random import Random

from connector.errors import Corrupt, Edited, Gone
from connector.flow.reactions import in_store
from connector.flow.turn import Watch
from connector.model import Audience, Item, Origin, Redirect, RedirectedFile
from connector.rewrite import shows

#: What a server says that knows the link and wants to know who asks; and one that has no time.
_ASKS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
#: So many redirects of each tenant.
MOST = 50


def place(tenant: str, day: date) -> str:
    """Where among the ids of redirects, which are random, the sample of this day begins."""
    random = Random(f"{tenant} {day}")  # noqa: S311 - nobody gains by guessing it
    return f"{random.getrandbits(80):020x}"


def differences(redirect: Redirect, watch: Watch, now: datetime) -> tuple[str, ...]:
    """What is not as the ledger has it, each in a few words. Reads only.

    Raises Unavailable and Denied where the source fails, and StoreFailed where the store does.
    """
    return (*_in_store(redirect, watch), *_behind_links(redirect, watch, now), *_in_message(redirect, watch))


def _in_store(redirect: Redirect, watch: Watch) -> Iterator[str]:
    for each in redirect.live:
        if each.stored is None:
            continue
        try:
            if not in_store(watch.store.verify, each.stored):
                yield "the store does not have a file any more"
        except Edited:
            pass  # By whom it belongs to, as she may.
        except Corrupt:
            yield "the store has other bytes of a file"


def _behind_links(redirect: Redirect, watch: Watch, now: datetime) -> Iterator[str]:
    """What a stranger finds who has a link. One that opens for people of the house alone need only ask for their login.

    That the file behind a login exists, `_in_store` has already seen.
    """
    for each in redirect.shown:
        if each.link is None or (each.link.expires and each.link.expires <= now) or _taken_back(redirect, each, watch):
            continue
        status = watch.links.as_a_stranger(each.link.url)
        asks = status in _ASKS and (each.terms.audience is not Audience.ANYONE or each.terms.password)
        if status is None:
            yield "nobody answers at a link"
        elif not (status < HTTPStatus.BAD_REQUEST or asks or status in _BUSY):
            yield f"a link does not open (HTTP status {status})"


def _taken_back(redirect: Redirect, file: RedirectedFile, watch: Watch) -> bool:
    """Whether somebody has ended what our own pages gave."""
    origin = Origin(redirect=redirect.id, folder=redirect.folder, mailbox="", sender="", received=redirect.received)
    return watch.publisher is not None and not in_store(watch.publisher.ending, file.terms, origin).page


def _in_message(redirect: Redirect, watch: Watch) -> Iterator[str]:
    if not redirect.shown or redirect.pointer:
        return
    urls = [each.link.url for each in redirect.shown if each.link]
    found = _items(redirect, watch)
    if found and not any(shows(item.body, urls) for item in found):
        yield "the message does not show its links"


def _items(redirect: Redirect, watch: Watch) -> tuple[Item, ...]:
    """The message, wherever it was moved to; nothing where its owner has deleted it."""
    try:
        return (watch.source.fetch(redirect.item_id),)
    except Gone:
        moved = watch.source.find(redirect.id)
    try:
        return tuple(watch.source.fetch(each.id) for each in moved)
    except Gone:
        return ()
