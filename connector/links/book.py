"""The book of links: what the daemon shows in messages, what the pages may open, and who came.

It is the one thing that the two processes share, and no more than it takes: no subject, no text, no token that opens
anything. The daemon publishes, ends and collects here; the pages read, count and note.
Every method may be repeated. Raises Unavailable where the database cannot be used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    table,
    update,
)

from connector import sql
from connector.errors import Unavailable
from connector.model import Audience
from connector.sql import AnyText, Time, Trouble, tables

TROUBLE = Trouble("links", Unavailable)
#: Written into the book. A later one is refused.
_FORMAT = 2
#: Any number that nobody else takes in this database.
_LOCK = 0x6C696E6B73
#: Of names in one statement: databases take so many thousands of them, and no more.
_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Offered:
    """One file behind a link."""

    #: Counts from 1 within its publication; a message shows it, so it never becomes another file's.
    number: int
    name: str
    size: int
    #: In the store.
    path: str
    sha256: str
    #: The address at which the store itself opens it; "" where the pages hand it out.
    target: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """The files of one message under equal terms."""

    #: The redirect's id, and what tells its terms from others.
    id: str
    redirect: str
    tenant: str
    #: The collection in the store in which all its files lie.
    folder: str
    audience: Audience
    mailbox: str
    #: Whom it opens for, besides whoever has a token: words of a login, see `connector.links`.
    readers: tuple[str, ...]
    sender: str
    received: datetime | None
    files: tuple[Offered, ...]
    #: Grows when its tokens are to be others.
    generation: int = 1
    expires: datetime | None = None
    #: Since when it opens nothing any more; None while it does.
    ended: datetime | None = None

    def open(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.ended is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class Belonging:
    """To whom publications belong, and whom they open for."""

    audience: Audience
    mailbox: str
    readers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """What opens a publication to whoever has it. Only its hash is known."""

    hash: str
    publication: str
    #: A sealed one (`connector.links.tokens.sealed`); "" where it asks for none.
    password: str = ""
    expires: datetime | None = None
    #: How often each file may be fetched; None: as often as anyone likes.
    downloads: int | None = None
    #: Who gave it to outsiders, on the page; "" where a message shows it.
    released_by: str = ""
    ended: datetime | None = None

    def open(self, now: datetime) -> bool:
        """Whether it opens anything, as long as its publication does."""
        return self.ended is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Somebody came."""

    #: The first time, where it stands for several.
    at: datetime
    #: "" where there is nothing under the name that was said.
    publication: str
    #: Which file; 0: the page.
    number: int
    #: The address, shortened.
    client: str
    #: Whose login it was, or the beginning of the hash of a token.
    who: str
    what: str
    result: str
    #: How often.
    times: int = 1
    #: Counts up; 0 before it was noted.
    seen: int = 0


class Book:
    """One database, for one house. May be used by many threads and processes at the same time."""

    def __init__(self, url: str) -> None:
        """Open it, and make it where it does not exist. `url` is for SQLAlchemy."""
        parts = sql.parsed(url, TROUBLE)
        self._place = sql.place(parts)
        # Both processes write into it; they share a group.
        engine = sql.engine(parts, TROUBLE, mode=0o660)
        self._connections = sql.Connections(engine, TROUBLE, self._place)
        self._reading = self._connections.reading
        with self._writing() as connection:
            self._make(connection)

    def _make(self, connection: Connection) -> None:
        _tables.create_all(connection)
        found = connection.execute(select(_format.c.number)).scalar_one_or_none()
        if found is None:
            connection.execute(insert(_format).values(number=_FORMAT))
        elif found == 1:
            _renew(connection)
        elif found != _FORMAT:
            raise TROUBLE(f"it was written by a newer connector (format {found}): install that one", self._place)

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connections.writing() as connection:
            if connection.dialect.name == "postgresql":
                # One at a time, as in SQLite: two who find nothing would both insert it.
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    # The daemon.

    def publish(self, wanted: Publication) -> Publication:
        """Let it be opened. What stands already keeps its generation, its end, and the numbers of its files.

        Returns it as it stands now, which may be ended.
        """
        with self._writing() as connection:
            standing = _publication(connection, wanted.id)
            if standing is None:
                connection.execute(insert(_publications).values(_values(wanted)))
                standing = wanted
            now_so = replace(
                wanted,
                files=_offer(connection, wanted),
                generation=standing.generation,
                expires=standing.expires,
                ended=standing.ended,
            )
            connection.execute(update(_publications).where(_publications.c.id == wanted.id).values(_values(now_so)))
        return now_so

    def admit(self, token: Token) -> None:
        """Let whoever has this token in. One that is known already stays what it is."""
        with self._writing() as connection:
            if connection.execute(select(_tokens.c.hash).where(_tokens.c.hash == token.hash)).first() is None:
                connection.execute(insert(_tokens).values(_of(token, _tokens)))

    def end(self, tenant: str, folder: str, now: datetime) -> None:
        """Nothing opens files of this collection any more."""
        c = _publications.c
        with self._writing() as connection:
            of = (c.tenant == tenant) & (c.folder == folder) & c.ended.is_(None)
            connection.execute(update(_publications).where(of).values(ended=now))

    def extend(self, publication: str, expires: datetime | None, *, reopen: bool = True) -> None:
        """Let it, and the token that its message shows, end at another time; not `reopen`: unless it was taken back."""
        with self._writing() as connection:
            standing = _publication(connection, publication)
            if standing is None or (standing.ended and not reopen):
                return
            of = _publications.c.id == publication
            connection.execute(update(_publications).where(of).values(expires=expires, ended=None))
            shown = (_tokens.c.publication == publication) & (_tokens.c.released_by == "")
            connection.execute(update(_tokens).where(shown).values(expires=expires))

    def outlast(self, publication: str, until: datetime, now: datetime) -> None:
        """Let what is open end then at the earliest, and the token that its message shows. What is over stays so."""
        with self._writing() as connection:
            # One transaction: what somebody takes back at this moment must not open again.
            standing = _publication(connection, publication)
            if standing and standing.open(now) and standing.expires and standing.expires < until:
                of = _publications.c.id == publication
                connection.execute(update(_publications).where(of).values(expires=until))
                shown = (_tokens.c.publication == publication) & (_tokens.c.released_by == "")
                connection.execute(update(_tokens).where(shown).values(expires=until))

    def renew(self, publication: str, lasts: timedelta | None, now: datetime) -> None:
        """All its tokens open nothing any more; those of the next generation will.

        They end when the old ones would have, or, where that is over, after as long as publications of its kind last.
        """
        with self._writing() as connection:
            of = _publications.c.id == publication
            generation = _publications.c.generation + 1
            connection.execute(update(_publications).where(of).values(generation=generation, ended=None))
            over = _publications.c.expires <= now
            connection.execute(update(_publications).where(of, over).values(expires=now + lasts if lasts else None))
            connection.execute(update(_tokens).where(_tokens.c.publication == publication).values(ended=now))

    def belongings(self, tenant: str) -> tuple[Belonging, ...]:
        """To whom belongs what was ever published for a tenant: few, however much it is."""
        c = _publications.c
        query = select(c.audience, c.mailbox, c.readers).distinct().where(c.tenant == tenant)
        with self._reading() as connection:
            return tuple(
                Belonging(Audience(row.audience), row.mailbox, tuple(row.readers.splitlines()))
                for row in connection.execute(query.order_by(c.mailbox, c.audience))
            )

    def hand_over(self, tenant: str, before: Belonging, now_so: Belonging) -> None:
        """What belongs to some belongs to others. What has ended stays so."""
        c = _publications.c
        was, becomes = _columns(before), _columns(now_so)
        of = (c.tenant == tenant) & and_(*(c[name] == value for name, value in was.items()))
        with self._writing() as connection:
            connection.execute(update(_publications).where(of).values(becomes))

    def of_tenant(self, tenant: str) -> tuple[Publication, ...]:
        """All that was ever published for a tenant, by id."""
        with self._reading() as connection:
            return _read(connection, _publications.c.tenant == tenant)

    def accesses(self, tenant: str, limit: int = 1000) -> tuple[Access, ...]:
        """Who came to files of this tenant, in the order in which they did."""
        query = select(_visits).join(_publications, _publications.c.id == _visits.c.publication)
        return self._visits(query.where(_publications.c.tenant == tenant).limit(limit))

    def guesses(self, limit: int = 1000) -> tuple[Access, ...]:
        """Who said names under which there is nothing, of whatever tenant."""
        return self._visits(select(_visits).where(_visits.c.publication == "").limit(limit))

    def _visits(self, query: Select[Any]) -> tuple[Access, ...]:
        with self._reading() as connection:
            return tuple(Access(**row) for row in connection.execute(query.order_by(_visits.c.seen)).mappings())

    def forget(self, accesses: Sequence[Access]) -> None:
        """They are told elsewhere by now."""
        numbers = [each.seen for each in accesses]
        with self._writing() as connection:
            connection.execute(delete(_visits).where(_visits.c.seen.in_(numbers)))

    def erase(self, tenant: str, redirects: Sequence[str], person: str) -> None:
        """Delete all that was published of these redirects, with who came to it, and this person's name elsewhere.

        Their name is their address, and each login for which what belongs to it opens.
        """
        p, v = _publications.c, _visits.c
        with self._writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            # First: what is deleted may be all that tells them.
            names = [person.lower(), *_logins(connection, tenant, person)]
            for at in range(0, len(redirects), _AT_ONCE):
                _delete(connection, (p.tenant == tenant) & p.redirect.in_(redirects[at : at + _AT_ONCE]))
            ours = select(p.id).where(p.tenant == tenant)
            sent = (p.tenant == tenant) & func.lower(p.sender).in_(names)
            connection.execute(update(_publications).where(sent).values(sender=""))
            came = v.publication.in_(ours) & func.lower(v.who).in_(names)
            connection.execute(update(_visits).where(came).values(who=""))
            gave = _tokens.c.publication.in_(ours) & func.lower(_tokens.c.released_by).in_(names)
            connection.execute(update(_tokens).where(gave).values(released_by="somebody"))

    def of_person(self, tenant: str, person: str) -> tuple[Publication, ...]:
        """What was published of the mailbox of a person, of a message that they sent, or to them by name."""
        they = person.lower()
        return tuple(
            each
            for each in self.of_tenant(tenant)
            if they in {each.mailbox.lower(), each.sender.lower(), *(reader.lower() for reader in each.readers)}
        )

    # The pages.

    def publication(self, publication: str) -> Publication | None:
        """What was published under this id; None where nothing was."""
        with self._reading() as connection:
            return _publication(connection, publication)

    def token(self, token_hash: str) -> Token | None:
        """What is known of a token; None where nothing is."""
        query = select(_tokens).where(_tokens.c.hash == token_hash)
        with self._reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Token(**row)

    def note(self, *accesses: Access) -> None:
        """Write down that somebody came."""
        values = [_of(each, _visits) for each in accesses]
        for each in values:
            del each["seen"]
        with self._writing() as connection:
            connection.execute(insert(_visits), values)

    def released(self, publication: str, now: datetime) -> tuple[Token, ...]:
        """What owners have let outsiders open of it, as long as that opens anything; the next to end comes first."""
        c = _tokens.c
        of = (c.publication == publication) & (c.released_by != "") & c.ended.is_(None)
        query = select(_tokens).where(of, c.expires > now).order_by(c.expires)
        with self._reading() as connection:
            return tuple(Token(**row) for row in connection.execute(query).mappings())

    def take_back(self, publication: str, token_hash: str, now: datetime) -> None:
        """What an owner has released of this publication opens nothing any more."""
        c = _tokens.c
        of = (c.publication == publication) & (c.hash == token_hash) & (c.released_by != "") & c.ended.is_(None)
        with self._writing() as connection:
            connection.execute(update(_tokens).where(of).values(ended=now))

    def fetched(self, token_hash: str) -> Mapping[int, int]:
        """How often each file was fetched with this token, by its number; those that never were are left out."""
        query = select(_fetched.c.number, _fetched.c.times).where(_fetched.c.token == token_hash)
        with self._reading() as connection:
            return {row.number: row.times for row in connection.execute(query)}

    def count(self, token_hash: str, numbers: Sequence[int], most: int) -> bool:
        """Count one fetch of each of these files. False, and nothing counted, where that would be one too many."""
        c = _fetched.c
        of = (c.token == token_hash) & c.number.in_(numbers)
        with self._writing() as connection:
            # Locks the token where readers do not wait for writers: of two at the same moment, one is the last.
            connection.execute(update(_tokens).where(_tokens.c.hash == token_hash).values(hash=token_hash))
            known = {row.number: row.times for row in connection.execute(select(c.number, c.times).where(of))}
            if any(known.get(number, 0) >= most for number in numbers):
                return False
            connection.execute(update(_fetched).where(of).values(times=c.times + 1))
            for number in set(numbers) - known.keys():
                connection.execute(insert(_fetched).values(token=token_hash, number=number, times=1))
        return True

    def proved(self, publication: str) -> frozenset[tuple[int, str]]:
        """The files whose bytes in the store were seen to be right: numbers, and the hashes that they had then."""
        c = _proofs.c
        query = select(c.number, c.sha256).where(c.publication == publication)
        with self._reading() as connection:
            return frozenset((row.number, row.sha256) for row in connection.execute(query))

    def prove(self, publication: str, files: Sequence[Offered], at: datetime) -> None:
        """The store's bytes of these were seen to be right."""
        with self._writing() as connection:
            connection.execute(delete(_proofs).where(_proofs_of(publication, files)))
            for each in files:
                proof = {"publication": publication, "number": each.number, "sha256": each.sha256, "at": at}
                connection.execute(insert(_proofs).values(proof))

    def disprove(self, publication: str, files: Sequence[Offered]) -> None:
        """The store's bytes of these were seen to be wrong."""
        with self._writing() as connection:
            connection.execute(delete(_proofs).where(_proofs_of(publication, files)))

    def standing(self, now: datetime) -> Iterator[Publication]:
        """All publications that open something, each as it is when its turn comes."""
        c = _publications.c
        lasting = c.ended.is_(None) & (c.expires.is_(None) | (c.expires > now))
        with self._reading() as connection:
            names = connection.execute(select(c.id).where(lasting).order_by(c.id)).scalars().all()
        for name in names:
            found = self.publication(name)
            if found and found.open(now):
                yield found


def _renew(connection: Connection) -> None:
    """Make a book of format 1 one of today's. It knew no access to nothing, and did not sum up."""
    kept = [each.name for each in _visits.columns if each.name not in {"seen", "times"}]
    old = (
        select(*(column(name, String) for name in kept), literal(1))
        .select_from(table("accesses"))
        .order_by(column("seen"))
    )
    connection.execute(insert(_visits).from_select([*kept, "times"], old))
    connection.exec_driver_sql("DROP TABLE accesses")
    connection.execute(update(_format).values(number=_FORMAT))


def _logins(connection: Connection, tenant: str, person: str) -> Iterator[str]:
    """The names with which a person logs in, as far as what belongs to them tells."""
    c = _publications.c
    theirs = (c.tenant == tenant) & (func.lower(c.mailbox) == person.lower())
    words = {
        word
        for readers in connection.execute(select(c.readers).distinct().where(theirs)).scalars()
        for word in readers.splitlines()
    }
    return (word.removeprefix("user:").lower() for word in words if word.startswith("user:"))


def _delete(connection: Connection, publications: ColumnElement[bool]) -> None:
    """Publications, with all that is known of them."""
    theirs = select(_publications.c.id).where(publications)
    tokens = select(_tokens.c.hash).where(_tokens.c.publication.in_(theirs))
    connection.execute(delete(_fetched).where(_fetched.c.token.in_(tokens)))
    for each in (_tokens, _files, _proofs, _visits):
        connection.execute(delete(each).where(each.c.publication.in_(theirs)))
    connection.execute(delete(_publications).where(publications))


def _offer(connection: Connection, wanted: Publication) -> tuple[Offered, ...]:
    """These files and no others. Each number is one file's for ever: a message may show it."""
    c = _files.c
    of = c.publication == wanted.id
    numbers = {path: number for number, path in connection.execute(select(c.number, c.path).where(of))}
    for each in wanted.files:
        numbers.setdefault(each.path, len(numbers) + 1)
    files = tuple(replace(each, number=numbers[each.path]) for each in wanted.files)
    connection.execute(delete(_files).where(of, c.number.in_([each.number for each in files])))
    connection.execute(update(_files).where(of).values(offered=False))
    for each in files:
        connection.execute(insert(_files).values(publication=wanted.id, offered=True, **_of(each, _files)))
    return files


def _publication(connection: Connection, publication: str) -> Publication | None:
    return next(iter(_read(connection, _publications.c.id == publication)), None)


def _read(connection: Connection, *conditions: Any) -> tuple[Publication, ...]:
    found = connection.execute(select(_publications).where(*conditions).order_by(_publications.c.id)).mappings().all()
    of = select(_files).join(_publications).where(_files.c.offered, *conditions)
    files: dict[str, list[Offered]] = {}
    for row in connection.execute(of.order_by(_files.c.publication, _files.c.number)).mappings():
        offered = Offered(**{name: row[name] for name in Offered.__slots__})
        files.setdefault(row["publication"], []).append(offered)
    return tuple(_as_published(row, tuple(files.get(row["id"], ()))) for row in found)


def _proofs_of(publication: str, files: Sequence[Offered]) -> Any:
    return (_proofs.c.publication == publication) & _proofs.c.number.in_([each.number for each in files])


def _as_published(row: RowMapping, files: tuple[Offered, ...]) -> Publication:
    told = {"audience": Audience(row["audience"]), "readers": tuple(row["readers"].splitlines()), "files": files}
    return Publication(**{**row, **told})


def _values(of: Publication) -> dict[str, Any]:
    return {**_of(of, _publications), **_columns(of)}


def _columns(of: Publication | Belonging) -> dict[str, str]:
    return {"audience": of.audience.value, "mailbox": of.mailbox, "readers": "\n".join(of.readers)}


def _of(value: object, table: Table) -> dict[str, Any]:
    """What a value has for the columns of a table."""
    return {column.name: getattr(value, column.name) for column in table.columns if hasattr(value, column.name)}


_tables = tables()
_format = Table("format", _tables, Column("number", Integer, primary_key=True))
_publications = Table(
    "publications",
    _tables,
    Column("id", String(80), primary_key=True),
    Column("redirect", String(64), nullable=False),
    Column("tenant", AnyText, nullable=False, index=True),
    Column("folder", AnyText, nullable=False, index=True),
    Column("audience", String(16), nullable=False),
    Column("mailbox", AnyText, nullable=False),
    Column("readers", AnyText, nullable=False),
    Column("sender", AnyText, nullable=False),
    Column("received", Time),
    Column("generation", Integer, nullable=False),
    Column("expires", Time),
    Column("ended", Time),
)
_files = Table(
    "files",
    _tables,
    Column("publication", ForeignKey(_publications.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("target", AnyText, nullable=False),
    Column("offered", Boolean, nullable=False),
)
_tokens = Table(
    "tokens",
    _tables,
    Column("hash", String(64), primary_key=True),
    Column("publication", ForeignKey(_publications.c.id), nullable=False, index=True),
    Column("password", String(256), nullable=False),
    Column("expires", Time),
    Column("downloads", Integer),
    Column("released_by", AnyText, nullable=False),
    Column("ended", Time),
)
_fetched = Table(
    "fetched",
    _tables,
    Column("token", ForeignKey(_tokens.c.hash), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("times", Integer, nullable=False),
)
_proofs = Table(
    "proofs",
    _tables,
    Column("publication", ForeignKey(_publications.c.id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("at", Time, nullable=False),
)
_visits = Table(
    "visits",
    _tables,
    Column("seen", Integer, primary_key=True, autoincrement=True),
    Column("at", Time, nullable=False),
    Column("publication", String(80), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("client", String(64), nullable=False),
    Column("who", AnyText, nullable=False),
    Column("what", String(32), nullable=False),
    Column("result", String(32), nullable=False),
    Column("times", Integer, nullable=False),
)
