"""Every night: whether the store still has what was published."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from connector.errors import ConnectorError
from connector.links.book import Book, Offered, Publication
from connector.links.reader import Reader
from connector.links.settings import LinkSettings
from connector.log import Event, log


@dataclass(slots=True)
class Scrubbed:
    """What was found, in files."""

    right: int = 0
    corrupt: int = 0
    #: The store did not hand them out, or nobody knows it: links.yaml lacks their tenant.
    unread: int = 0


def scrub(settings: LinkSettings, clock: Callable[[], datetime]) -> Scrubbed:
    """Read all files of open links. One that is wrong is told, and checked before it goes out again."""
    told = Scrubbed()
    readers = {name: Reader(each.store, name) for name, each in settings.tenants.items()}
    with closing(Book(settings.book)) as book:
        for publication in book.standing(clock()):
            if publication.tenant not in readers:
                log.error(Event.LINK_OF_NOBODY, tenant=publication.tenant, publication=publication.id)
            for file in publication.files:
                if not file.target:
                    reader = readers.get(publication.tenant)
                    right = _right(reader, publication, file) if reader else None
                    _tell(told, right)
                    if right:
                        book.prove(publication.id, [file], clock())
                    elif right is not None:
                        book.disprove(publication.id, [file])
    return told


def _right(reader: Reader, publication: Publication, file: Offered) -> bool | None:
    """None: it could not be read."""
    try:
        right = reader.prove(file)
    except ConnectorError as error:
        log.warning(Event.LINK_BROKEN_OFF, publication=publication.id, number=file.number, reason=str(error))
        return None
    if not right:
        log.error(Event.LINK_CORRUPT, publication=publication.id, number=file.number)
    return right


def _tell(told: Scrubbed, right: bool | None) -> None:  # noqa: FBT001 - what `_right` has found
    if right is None:
        told.unread += 1
    elif right:
        told.right += 1
    else:
        told.corrupt += 1
