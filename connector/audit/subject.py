"""What is known of a person: for whoever asks for it by right (GDPR, article 15)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.flow.erasure import sources_of
from connector.ledger import Ledger, Watched
from connector.links.book import Publication

Row = Mapping[str, Any]

#: What a person may have been, and no record here tells.
NOT_KNOWN = (
    "Who sent a message is known to the link service alone, where it published the files; to whom, is not known.",
    "Exchange tells both (message trace, eDiscovery).",
    "Who uploaded a file to Teams is not kept: SharePoint tells it.",
    "Files in the store bear names that people gave them, which may name others; they are not searched.",
    "Events from before pseudonyms were kept name mailboxes; they are among the events here.",
)


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a person in one tenant."""

    tenant: str
    mailboxes: tuple[Row, ...]
    files: tuple[Row, ...]
    links: tuple[Row, ...]
    events: tuple[Row, ...]


def look(person: str, tenant: str, ledger: Ledger, published: Iterable[Publication]) -> Known:
    """What the ledger and the book of links know."""
    sources = sources_of(person, ledger, tenant)
    names = [person, *(each.address for each in sources)]
    return Known(
        tenant=tenant,
        mailboxes=tuple({"mailbox": each.address, "since": each.since} for each in sources),
        files=tuple(_files(sources, ledger)),
        links=tuple(_links(person, published)),
        events=tuple(_events(tenant, sorted({*names}), sources, ledger)),
    )


def _files(sources: Sequence[Watched], ledger: Ledger) -> Iterator[Row]:
    for source in sources:
        for redirect in ledger.redirects(source=source.name):
            for each in redirect.files:
                yield {
                    "mailbox": source.address,
                    "redirect": redirect.id,
                    "state": redirect.state,
                    "at": redirect.created,
                    "message": redirect.internet_message_id,
                    "file": each.file.name,
                    "size": each.file.size,
                    "rule": each.rule,
                    "path": each.stored.path if each.stored else None,
                    "link": each.link.url if each.link else None,
                    "audience": each.terms.audience,
                    "link_ends": each.link.expires if each.link else None,
                    "file_ends": redirect.ends,
                }


def _links(person: str, published: Iterable[Publication]) -> Iterator[Row]:
    they = person.lower()
    for each in published:
        roles = {"owner": each.mailbox.lower() == they, "sender": each.sender.lower() == they}
        roles["reader"] = they in {reader.lower() for reader in each.readers}
        yield {
            "redirect": each.redirect,
            "as": ", ".join(name for name, so in roles.items() if so),
            "received": each.received,
            "audience": each.audience,
            "files": len(each.files),
            "expires": each.expires,
            "ended": each.ended,
        }


def _events(tenant: str, names: Sequence[str], sources: Sequence[Watched], ledger: Ledger) -> Iterator[Row]:
    for each in ledger.spoken_of(tenant, names, [source.name for source in sources]):
        detail = dict(each.detail)
        yield {
            "number": each.number,
            "at": each.at,
            "event": each.name,
            "redirect": each.redirect_id,
            "as": "operator" if detail.get("by") in names else "subject",
            "detail": detail,
        }
