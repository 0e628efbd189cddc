"""The book of links on both databases: what stands keeps standing, whoever asks how often."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event

from connector.errors import Unavailable
from connector.links.book import Access, Book, Offered, Publication, Token
from connector.links.tokens import hashed, opens, password, sealed, token
from connector.model import Audience
from tests.postgres import fresh_database

pytest_plugins = ["tests.postgres"]

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY = b"k" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/links.db"
    return fresh_database(request.getfixturevalue("postgres"))


@pytest.fixture
def book(url: str) -> Iterator[Book]:
    """A new book."""
    opened = Book(url)
    yield opened
    opened.close()


def offered(name: str, number: int = 0) -> Offered:
    """A file that a publication offers."""
    return Offered(number=number, name=name, size=3, path=f"acme/R1/{name}", sha256="0" * 64)


def published(*names: str, of: str = "R1-aaaaaaaa", folder: str = "acme/R1") -> Publication:
    """What a daemon would publish."""
    return Publication(
        id=of,
        redirect=of.partition("-")[0],
        tenant="acme",
        folder=folder,
        audience=Audience.ANYONE,
        mailbox="anna@example.org",
        readers=("anna@example.org", "group:finance"),
        sender="Bört <b@example.com>",
        received=NOW,
        files=tuple(map(offered, names)),
        expires=NOW + timedelta(days=30),
    )


def test_published_again_it_is_the_same(book: Book) -> None:
    """A crash between the book and the ledger leaves no second link, and no later end."""
    first = book.publish(published("a.pdf", "b.pdf"))
    again = book.publish(replace(published("a.pdf", "b.pdf"), expires=NOW + timedelta(days=90)))
    assert again == first == book.publication(first.id)
    assert [(each.number, each.name) for each in first.files] == [(1, "a.pdf"), (2, "b.pdf")]
    assert book.of_tenant("acme") == (first,)
    assert book.of_tenant("other") == ()
    assert book.publication("R2-aaaaaaaa") is None


def test_a_number_is_one_files_for_ever(book: Book) -> None:
    """A message may show it: a file that is not offered any more leaves its number to no other."""
    book.publish(published("a.pdf", "b.pdf", "c.pdf"))
    book.publish(published("b.pdf"))
    assert [(each.number, each.name) for each in book.publish(published("d.pdf", "b.pdf")).files] == [
        (4, "d.pdf"),
        (2, "b.pdf"),
    ]
    found = book.publication("R1-aaaaaaaa")
    assert found
    assert [(each.number, each.name) for each in found.files] == [(2, "b.pdf"), (4, "d.pdf")]
    assert {each.number: each.name for each in book.publish(published("c.pdf", "a.pdf")).files} == {
        3: "c.pdf",
        1: "a.pdf",
    }


def test_whoever_publishes_at_once_publishes_one(url: str) -> None:
    """The daemon's threads, and two daemons."""
    books = [Book(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        published_at_once = set(pool.map(lambda each: each.publish(published("a.pdf", "b.pdf")), books))
    assert published_at_once == {books[0].publication("R1-aaaaaaaa")}
    for each in books:
        each.close()


def test_what_is_ended_stays_ended(book: Book) -> None:
    """Publishing again, as every fresh look does, revives nothing; only somebody who says so does."""
    standing = book.publish(published("a.pdf"))
    other = book.publish(published("a.pdf", of="R2-aaaaaaaa", folder="acme/R2"))
    assert standing.open(NOW)
    for moment in (NOW, NOW + timedelta(hours=1)):
        book.end("acme", "acme/R1", moment)
        book.end("other", "acme/R2", moment)
    ended = book.publish(published("a.pdf"))
    assert ended.ended == NOW
    assert not ended.open(NOW)
    assert book.publication(other.id) == other
    book.extend(ended.id, NOW + timedelta(days=60))
    extended = book.publication(ended.id)
    assert extended
    assert extended.open(NOW + timedelta(days=59))
    assert not extended.open(NOW + timedelta(days=60))


def test_a_token_is_known_by_its_hash_alone(book: Book, url: str) -> None:
    """Whoever reads the book opens nothing with it."""
    standing = book.publish(published("a.pdf"))
    secret = token(KEY, standing.id, standing.generation)
    admitted = Token(hash=hashed(secret), publication=standing.id, password=sealed("x"), downloads=3)
    book.admit(admitted)
    book.admit(replace(admitted, downloads=9, password=""))
    assert book.token(hashed(secret)) == admitted
    assert book.token(secret) is None
    with create_engine(url.replace("postgresql://", "postgresql+psycopg://")).connect() as connection:
        rows = [connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in ("publications", "tokens")]
    assert secret not in str(rows)


def test_renewed_its_tokens_open_nothing(book: Book) -> None:
    """A link that leaked is dead at once, and the next generation has another."""
    standing = book.publish(published("a.pdf"))
    old = Token(hash=hashed(token(KEY, standing.id, 1)), publication=standing.id)
    released = Token(hash=hashed("by hand"), publication=standing.id, released_by="anna@example.org")
    for each in (old, released):
        book.admit(each)
    book.renew(standing.id, None, NOW)
    renewed = book.publish(published("a.pdf"))
    assert renewed.generation == 2
    assert token(KEY, renewed.id, 2) != token(KEY, standing.id, 1)
    assert {book.token(each.hash) for each in (old, released)} == {
        replace(old, ended=NOW),
        replace(released, ended=NOW),
    }


def test_an_extension_is_for_what_the_message_shows(book: Book) -> None:
    """What its owner gave to outsiders ends when he said."""
    standing = book.publish(published("a.pdf"))
    shown = Token(hash="1" * 64, publication=standing.id, expires=standing.expires)
    released = Token(hash="2" * 64, publication=standing.id, expires=NOW, released_by="anna@example.org")
    for each in (shown, released):
        book.admit(each)
    book.extend(standing.id, None)
    assert book.token(shown.hash) == replace(shown, expires=None)
    assert book.token(released.hash) == released


def test_what_is_open_lasts_longer_and_nothing_else(book: Book) -> None:
    """What was taken back, has ended, never ends or ends later stays as it is; and what its owner gave to outsiders."""
    until = NOW + timedelta(days=60)
    standing = book.publish(published("a.pdf"))
    shown = Token(hash="1" * 64, publication=standing.id, expires=standing.expires)
    released = Token(hash="2" * 64, publication=standing.id, expires=NOW, released_by="anna@example.org")
    for each in (shown, released):
        book.admit(each)
    others = [
        book.publish(replace(published("b.pdf", of=f"R2-{end}", folder="acme/R2"), expires=end))
        for end in (None, NOW, until + timedelta(days=1))
    ]
    book.publish(published("c.pdf", of="R3-aaaaaaaa", folder="acme/R3"))
    book.end("acme", "acme/R3", NOW)
    taken_back = book.publication("R3-aaaaaaaa")
    for of in (standing.id, *(each.id for each in others), "R3-aaaaaaaa", "R4-aaaaaaaa"):
        book.outlast(of, until, NOW)
    assert book.publication(standing.id) == replace(standing, expires=until)
    assert book.token(shown.hash) == replace(shown, expires=until)
    assert book.token(released.hash) == released
    assert [book.publication(each.id) for each in others] == others
    assert book.publication("R3-aaaaaaaa") == taken_back


def test_accesses_are_collected_once(book: Book) -> None:
    """In their order, each tenant's for itself; what came meanwhile stays for the next time."""
    standing = book.publish(published("a.pdf"))
    access = Access(
        at=NOW, publication=standing.id, number=1, client="192.0.2.0", who="", what="download", result="whole"
    )
    for number in range(3):
        book.note(replace(access, number=number))
    first = book.accesses("acme", limit=2)
    book.note(replace(access, number=9))
    book.forget(first)
    book.forget(first)
    assert [each.number for each in first] == [0, 1]
    assert [each.number for each in book.accesses("acme")] == [2, 9]
    assert book.accesses("other") == ()


def test_what_was_guessed_is_no_tenants(book: Book) -> None:
    """It is told apart from what somebody came to."""
    standing = book.publish(published("a.pdf"))
    guess = Access(at=NOW, publication="", number=0, client="", who="", what="page", result="refused", times=3)
    book.note(guess, replace(guess, publication=standing.id))
    assert [each.publication for each in book.accesses("acme")] == [standing.id]
    (found,) = book.guesses()
    assert replace(found, seen=0) == guess
    book.forget([found])
    assert book.guesses() == ()


def test_a_book_of_format_1_is_gone_on_with(book: Book, url: str) -> None:
    """Who came before is collected, in the order in which they did."""
    standing = book.publish(published("a.pdf"))
    with create_engine(url.replace("postgresql://", "postgresql+psycopg://")).begin() as connection:
        connection.exec_driver_sql("DROP TABLE visits")
        connection.exec_driver_sql(
            "CREATE TABLE accesses (seen INTEGER PRIMARY KEY, at VARCHAR(27), publication VARCHAR(80), number INTEGER,"
            " client VARCHAR(64), who TEXT, what VARCHAR(32), result VARCHAR(32))"
        )
        for seen in (7, 9):
            row = (seen, "2026-11-28T12:00:00.000000Z", standing.id, seen, "192.0.2.0", "anna", "file", "opened")
            connection.exec_driver_sql(f"INSERT INTO accesses VALUES {row}")
        connection.exec_driver_sql("UPDATE format SET number = 1")
    with closing(Book(url)) as today:
        assert [(each.number, each.at, each.who, each.times) for each in today.accesses("acme")] == [
            (7, NOW, "anna", 1),
            (9, NOW, "anna", 1),
        ]
        today.note(replace(today.accesses("acme")[0], number=1))
    with closing(Book(url)) as again:
        assert [each.number for each in again.accesses("acme")] == [7, 9, 1]


def test_a_book_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """The sentence names the file, and what to do."""
    no_book = tmp_path / "no.db"
    no_book.write_text("this is no database, and it is long enough to be read as one by SQLite itself" * 10)
    with pytest.raises(Unavailable, match=f"links {no_book}: it is not a links"):
        Book(f"sqlite:///{no_book}")
    with pytest.raises(Unavailable, match="its folder does not exist"):
        Book(f"sqlite:///{tmp_path}/nowhere/links.db")
    with pytest.raises(Unavailable, match="must begin with sqlite:///"):
        Book("mysql://x")


def test_a_newer_book_is_left_alone(book: Book, url: str) -> None:
    """What a newer connector wrote is not touched by an older one."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE format SET number = 99")
    with pytest.raises(Unavailable, match="written by a newer connector"):
        Book(url)
    assert book.of_tenant("acme") == ()


def test_both_processes_may_write_it_and_nobody_else(tmp_path: Path) -> None:
    """They are two users of one group."""
    Book(f"sqlite:///{tmp_path}/links.db").close()
    assert stat.S_IMODE((tmp_path / "links.db").stat().st_mode) == 0o660


def test_opened_twice_by_one_process_it_stays_whole(tmp_path: Path) -> None:
    """Another process that comes and goes does not take the log away that both of them write into."""
    url = f"sqlite:///{tmp_path}/links.db"
    here, again = Book(url), Book(url)
    again.publish(published("a.pdf"))
    there = f"from connector.links.book import Book\nbook = Book({url!r})"
    there += "\nprint(len(book.of_tenant('acme')))\nbook.close()"
    told = []
    for number in range(2):
        ended = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, check=True)
        told.append(ended.stdout)
        again.publish(published("b.pdf", of=f"R{number + 2}-aaaaaaaa"))
    assert told == ["1\n", "2\n"]
    for each in (here, again):
        each.close()


def test_tokens_tell_nothing_of_each_other() -> None:
    """Another key, publication, generation or purpose makes another secret."""
    tokens = {token(KEY, "R1-a", 1), token(b"j" * 32, "R1-a", 1), token(KEY, "R1-b", 1), token(KEY, "R1-a", 2)}
    tokens |= {password(KEY, "R1-a", 1), password(KEY, "R1-a", 2), token(KEY, "R1-a.1", 1)}
    assert len(tokens) == 7
    assert token(KEY, "R1-a", 1) == token(KEY, "R1-a", 1)
    assert len(token(KEY, "R1-a", 1)) == 43
    assert [len(group) for group in password(KEY, "R1-a", 1).split("-")] == [4] * 4


def test_a_seal_opens_for_its_password_alone() -> None:
    """Two seals of one password differ."""
    assert opens(sealed("päss"), "päss")
    assert not opens(sealed("päss"), "pass")
    assert sealed("x") != sealed("x")


def test_the_last_fetch_is_given_to_one_of_many(book: Book) -> None:
    """Twenty ask for one file at the same moment, which may be fetched three times; the other file stays whole."""
    book.publish(published("a.pdf", "b.pdf"))
    book.admit(Token(hash=hashed("t"), publication="R1-aaaaaaaa", downloads=3))
    with ThreadPoolExecutor(20) as pool:
        given = list(pool.map(lambda _: book.count(hashed("t"), [1], 3), range(20)))
    assert given.count(True) == 3
    assert book.fetched(hashed("t")) == {1: 3}
    assert not book.count(hashed("t"), [1, 2], 3)
    assert book.count(hashed("t"), [2], 3)
    assert book.fetched(hashed("t")) == {1: 3, 2: 1}
    assert not book.count(hashed("t"), [4], 0)


def test_a_proof_is_of_bytes(book: Book) -> None:
    """Published again with others, a file has another hash; one that was seen to be wrong has no proof."""
    first, second = book.publish(published("a.pdf", "b.pdf")).files
    assert book.proved("R1-aaaaaaaa") == frozenset()
    book.prove("R1-aaaaaaaa", [first, second], NOW)
    book.prove("R1-aaaaaaaa", [replace(first, sha256="1" * 64)], NOW)
    assert book.proved("R1-aaaaaaaa") == {(1, "1" * 64), (2, "0" * 64)}
    book.disprove("R1-aaaaaaaa", [second])
    assert book.proved("R1-aaaaaaaa") == {(1, "1" * 64)}


def test_a_release_is_taken_back_through_its_publication_alone(book: Book) -> None:
    """Nobody takes back what is another's, or what a message shows."""
    book.publish(published("a.pdf"))
    shown = Token(hash=hashed("shown"), publication="R1-aaaaaaaa")
    given = Token(hash=hashed("given"), publication="R1-aaaaaaaa", released_by="anna", expires=NOW + timedelta(days=1))
    book.admit(shown)
    book.admit(given)
    book.take_back("R2-aaaaaaaa", given.hash, NOW)
    book.take_back("R1-aaaaaaaa", shown.hash, NOW)
    assert book.released("R1-aaaaaaaa", NOW) == (given,)
    assert book.released("R1-aaaaaaaa", NOW + timedelta(days=2)) == ()
    book.take_back("R1-aaaaaaaa", given.hash, NOW)
    assert book.released("R1-aaaaaaaa", NOW) == ()
    assert book.token(shown.hash) == shown


def test_what_stands_is_what_opens_something(book: Book) -> None:
    """Neither what has ended nor what ends now."""
    book.publish(published("a.pdf"))
    book.publish(replace(published("b.pdf", of="R2-aaaaaaaa", folder="acme/R2"), expires=None))
    assert [each.redirect for each in book.standing(NOW)] == ["R1", "R2"]
    assert [each.redirect for each in book.standing(NOW + timedelta(days=30))] == ["R2"]
    book.end("acme", "acme/R2", NOW)
    assert [each.redirect for each in book.standing(NOW)] == ["R1"]


def test_what_was_taken_back_meanwhile_does_not_open_again(book: Book) -> None:
    """An owner lets a link last on a page that was opened before."""
    standing = book.publish(published("a.pdf"))
    book.end("acme", "acme/R1", NOW)
    book.extend(standing.id, NOW + timedelta(days=60), reopen=False)
    found = book.publication(standing.id)
    assert found
    assert found.ended == NOW


def test_whoever_is_erased_is_named_nowhere(book: Book) -> None:
    """By no address and no login; who else is named in what belongs to others stays."""
    hers = replace(published("a.pdf"), readers=("anna@example.org", "user:Anna.M", "group:finance"))
    book.publish(hers)
    other = book.publish(replace(published("b.pdf", of="R2-aaaaaaaa"), mailbox="bert@example.org"))
    for number, name in enumerate(("anna.m", "ANNA@example.org", "bert", "finance")):
        book.note(Access(at=NOW, publication=other.id, number=0, client="", who=name, what="page", result="opened"))
        book.admit(Token(hash=f"{number}" * 64, publication=other.id, released_by=name))
    book.erase("acme", [hers.redirect], "anna@example.org")
    assert book.of_tenant("acme") == (other,)
    assert [each.who for each in book.accesses("acme")] == ["", "", "bert", "finance"]
    tokens = [book.token(f"{number}" * 64) for number in range(4)]
    assert [each and each.released_by for each in tokens] == ["somebody", "somebody", "bert", "finance"]


def test_however_much_there_is_of_a_person_it_goes(tmp_path: Path) -> None:
    """Databases take so many names in one statement, and refuse one with more."""

    def listen(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1500)

    event.listen(Engine, "connect", listen)
    try:
        with closing(Book(f"sqlite:///{tmp_path}/links.db")) as book:
            mine = book.publish(published("a.pdf"))
            book.erase("acme", [*(f"R{number}" for number in range(2, 2500)), mine.redirect], "anna@example.org")
            assert book.of_tenant("acme") == ()
    finally:
        event.remove(Engine, "connect", listen)
