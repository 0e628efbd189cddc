"""The daemon's side of our own links: what messages show, and what the pages may open.

The address in a message names the publication, or is a token; where the files are stands in the book. So the same
address survives another store, another folder and another owner.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, Field, FilePath

from connector.config.addresses import Address
from connector.config.credentials import Secret
from connector.config.readers import GROUP, ReadersList
from connector.errors import Rejected, cause
from connector.flow.manifest import put_bytes
from connector.links import tokens
from connector.links.book import Belonging, Book, Offered, Publication, Token
from connector.model import Audience, Ending, Link, LinkTerms, Origin, Stored
from connector.session import as_a_stranger
from connector.stores import Store

#: Shorter ones can be guessed, and with the key anyone could make our links.
SHORTEST_KEY = 32
#: Mailboxes that are handed over in one go: each takes a tenth of a second where 100,000 messages show links.
_AT_ONCE = 20
#: In the store, for what `check` publishes.
_TRIAL = ".connector/check"


class LinksConfig(BaseModel):
    """Our own link service, as far as the daemon has to know it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address = Field(description="address of its pages, as people reach them")
    database: str = Field(description="SQLAlchemy address of its book, the same as in links.yaml")
    key: Secret = Field(description="makes links that cannot be guessed; make one with `openssl rand -hex 32`")
    ca: FilePath | None = Field(
        default=None, description="PEM file with the authorities that may vouch for the pages' TLS name, for `check`"
    )
    readers: FilePath | None = Field(
        default=None,
        description="CSV file with the columns mailbox,reader, as on Nextcloud: who else may open what belongs to a"
        " mailbox, and to which group it belongs",
    )

    def read_key(self) -> bytes:
        """The key itself. Raises LookupError where it is not to be had, or could be guessed."""
        key = self.key.read()
        if len(key) < SHORTEST_KEY:
            raise LookupError(f"links.key: must have at least {SHORTEST_KEY} characters: `openssl rand -hex 32`")
        return key.encode()


class Publisher:
    """Gives the links of a tenant's messages: the port `Links`, before its store. For one thread."""

    def __init__(self, config: LinksConfig, key: bytes, book: Book, tenant: str, store: Store) -> None:
        """`key` is the one that the configuration names; the book may be used by others at the same time."""
        self._url = config.url.rstrip("/")
        self._key = key
        self._book = book
        self._tenant = tenant
        self._store = store
        self._verify = str(config.ca) if config.ca else True
        self._readers = ReadersList(config.readers) if config.readers else None

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """Publish them, see the port. What an operator has ended is Rejected until he says otherwise."""
        published = self._book.publish(
            Publication(
                id=publication_id(origin.redirect, terms),
                redirect=origin.redirect,
                tenant=self._tenant,
                folder=stored[0].path.rpartition("/")[0],
                audience=terms.audience,
                mailbox=origin.mailbox,
                readers=self._opened_to(terms.audience, origin.mailbox),
                sender=origin.sender,
                received=origin.received,
                files=self._offered(stored, terms, origin),
                expires=datetime.now(UTC) + terms.expires if terms.expires else None,
            )
        )
        if not published.open(datetime.now(UTC)):
            raise Rejected(
                f"its links have ended: `connector links extend {origin.redirect}` opens them again, `relink` others"
            )
        if terms.audience is Audience.ANYONE:
            self._admit(published, terms)
        address = self.address(published)
        return tuple(Link(f"{address}/{each.number}", published.expires) for each in published.files)

    def revoke(self, folder: str) -> None:
        """None of our links into this collection opens anything afterwards, and none of the store's."""
        self._book.end(self._tenant, folder, datetime.now(UTC))
        self._store.revoke(folder)

    def can_revoke(self, terms: LinkTerms) -> bool:  # noqa: ARG002 - the port's
        """All of them: they open what the book has."""
        return True

    def as_a_stranger(self, url: str) -> int | None:
        """Follow a link without any login, see the port."""
        return as_a_stranger(url, self._verify)

    def forget(self, redirects: Sequence[str], person: str) -> None:
        """Nothing is known of the links of these redirects any more, nor of this person. Repeated: nothing."""
        self._book.erase(self._tenant, redirects, person)

    def inherit(self, mailbox: str, successor: str) -> None:
        """What was opened to whom one mailbox belongs opens to whom another does, at the same addresses."""
        for each in self._book.belongings(self._tenant):
            # A group keeps its files, whoever leaves it.
            if each.mailbox.lower() == mailbox.lower() and each.audience is not Audience.GROUP:
                readers = self._opened_to(each.audience, successor)
                self._book.hand_over(self._tenant, each, Belonging(each.audience, successor, readers))

    def readmit(self) -> bool:
        """What was published before the list changed opens to whom it names by now. False: some is left to be done.

        Where it names no group any more, the old one keeps what it has: to whom files belong is never guessed.
        """
        changed = [each for each in map(self._as_listed, self._book.belongings(self._tenant)) if each[0] != each[1]]
        for before, now_so in changed[:_AT_ONCE]:
            self._book.hand_over(self._tenant, before, now_so)
        return len(changed) <= _AT_ONCE

    def _as_listed(self, belonging: Belonging) -> tuple[Belonging, Belonging]:
        with suppress(Rejected):  # Whoever shares next is told which mailbox it is.
            return belonging, replace(belonging, readers=self._opened_to(belonging.audience, belonging.mailbox))
        return belonging, belonging

    def tried(self) -> str:
        """Publish a small file, and fetch it as anyone would. Why that does not work; "" where it does."""
        content, terms = b"Published by `connector check`; may be deleted.\n", LinkTerms(Audience.ANYONE)
        origin = Origin(redirect="check", folder=_TRIAL, mailbox="", sender="", received=None)
        self._book.extend(publication_id(origin.redirect, terms), None)
        stored = put_bytes(self._store, f"{_TRIAL}/check.txt", content)
        try:
            (link,) = self.share([stored], terms, origin)
            return self._fetched(f"{link.url}/check.txt", content)
        finally:
            self._book.end(self._tenant, _TRIAL, datetime.now(UTC))
            self._store.delete(stored.path)

    def _fetched(self, url: str, expected: bytes) -> str:
        try:
            response, login = (
                httpx.get(each, verify=self._verify, trust_env=False, timeout=30)
                for each in (url, f"{self._url}/r/check")
            )
        except httpx.HTTPError as error:
            return f"{self._url} does not answer ({cause(error)})"
        if response.content != expected:
            return f"{self._url} does not hand out what is published (it answers with {response.status_code})"
        if login.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return f"{self._url} cannot send people of the house to their login: its log says why"
        return ""

    def address(self, published: Publication) -> str:
        """The page of a publication."""
        if published.audience is Audience.ANYONE:
            return f"{self._url}/a/{tokens.token(self._key, published.id, published.generation)}"
        return f"{self._url}/r/{published.id}"

    def password(self, terms: LinkTerms, origin: Origin) -> str:
        """The password that the present token asks for, see the port."""
        published = self._book.publication(publication_id(origin.redirect, terms)) if terms.password else None
        return self._password_of(published) if published else ""

    def ending(self, terms: LinkTerms, origin: Origin) -> Ending:
        """How a publication ends by now, see the port; its owner's page is that for people of the house."""
        published = self._book.publication(publication_id(origin.redirect, terms))
        if published is None or published.ended:
            return Ending(None)
        return Ending(published.expires, f"{self._url}/r/{published.id}")

    def outlast(self, terms: LinkTerms, origin: Origin, until: datetime) -> Ending:
        """Let a publication that is open end then at the earliest, see the port."""
        self._book.outlast(publication_id(origin.redirect, terms), until, datetime.now(UTC))
        return self.ending(terms, origin)

    def _password_of(self, published: Publication) -> str:
        """The password of what asks for one."""
        return tokens.password(self._key, published.id, published.generation)

    def _opened_to(self, audience: Audience, mailbox: str) -> tuple[str, ...]:
        """The words of a login to which it opens, besides whoever has a token."""
        listed = self._readers.of(mailbox) if self._readers else None
        if audience is Audience.GROUP:
            if listed is None or listed.kind != GROUP:
                where = f"add it to {self._readers.path}" if self._readers else "name a list as links.readers"
                raise Rejected(f"nobody said which group the mailbox {mailbox} belongs to: {where}")
            return (str(listed),)
        return (mailbox.lower(), *([str(listed)] if listed else ()))

    def _offered(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Offered, ...]:
        """The files; where the store itself lets people in, with the address that it gives them."""
        targets = [""] * len(stored)
        if terms.audience is Audience.STORE:
            targets = [link.url for link in self._store.share(stored, terms, origin)]
        return tuple(
            Offered(
                number=0,
                name=each.path.rpartition("/")[2],
                size=each.size,
                path=each.path,
                sha256=each.sha256,
                target=target,
            )
            for each, target in zip(stored, targets, strict=True)
        )

    def _admit(self, published: Publication, terms: LinkTerms) -> None:
        secret = tokens.token(self._key, published.id, published.generation)
        if self._book.token(tokens.hashed(secret)):
            return
        password = self._password_of(published) if terms.password else ""
        self._book.admit(
            Token(
                hash=tokens.hashed(secret),
                publication=published.id,
                password=tokens.sealed(password) if password else "",
                expires=published.expires,
                downloads=terms.downloads,
            )
        )


def publication_id(redirect: str, terms: LinkTerms) -> str:
    """One for the files of a redirect under equal terms: the same however often it is asked for."""
    expires = terms.expires.total_seconds() if terms.expires else None
    said = repr((terms.audience.value, expires, terms.password, terms.downloads))
    return f"{redirect}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
