"""`connector links serve` and `scrub` as an operator calls them: processes with nothing but links.yaml."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from connector.links import settings as link_settings
from connector.links.book import Book
from connector.links.scrub import Scrubbed, scrub
from connector.model import Audience
from tests.command import NOW, start
from tests.links import NOW as TODAY
from tests.links import publish, settings_of, until, written
from tests.logged import Lines
from tests.servers import DavServer, free_port


@pytest.fixture
def folder(tmp_path: Path, apache: DavServer) -> Path:
    """A folder with links.yaml, and nothing else of connector's."""
    written(tmp_path, settings_of(tmp_path, apache, listen={"port": free_port()}))
    return tmp_path


@pytest.fixture
def book(folder: Path) -> Iterator[Book]:
    """What the daemon publishes into."""
    with closing(Book(link_settings.load(folder).book)) as made:
        yield made


def ended(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """How a command ends, and what it tells."""
    process = start(folder, *arguments, later=NOW)
    process.join(60)
    return process.exitcode, (folder / "told").read_text()


def test_the_pages_are_up_until_they_are_told_to_stop(folder: Path, book: Book, apache: DavServer) -> None:
    """A download that is under way then is finished, and what was refused last is written down."""
    content = os.urandom(3_000_000)
    _, token = publish(book, apache, f"command-{folder.name}/R1", {"a.bin": content})
    process = start(folder, "links", "serve", later=NOW)
    until(lambda: (folder / "told").exists() and "links.served" in (folder / "told").read_text())
    with closing(HTTPConnection("127.0.0.1", link_settings.load(folder).listen.port, timeout=30)) as connection:
        connection.request("GET", f"/a/{token}/1/a.bin")
        answer = connection.getresponse()
        began = answer.read(1000)
        with closing(HTTPConnection("127.0.0.1", link_settings.load(folder).listen.port, timeout=30)) as guesser:
            guesser.request("GET", "/a/guessed")
            assert guesser.getresponse().status == 404
        assert process.pid
        os.kill(process.pid, signal.SIGTERM)
        assert began + answer.read() == content
    process.join(60)
    assert process.exitcode == 0
    assert [(each.result, each.times) for each in book.guesses()] == [("refused", 1)]
    assert token not in (folder / "told").read_text()


def test_what_keeps_the_pages_from_serving_is_one_sentence_each(folder: Path) -> None:
    """A port that is taken, a secret that is not there, settings that are wrong: exit code 2."""
    with closing(socket.create_server(("127.0.0.1", link_settings.load(folder).listen.port))):
        assert ended(folder, "links", "serve")[0] == 2
    assert "listen: cannot listen on 127.0.0.1 port" in (folder / "told").read_text()
    (folder / "password").unlink()
    assert ended(folder, "links", "serve")[0] == 2
    assert "tenants.acme.store.password: secret file" in (folder / "told").read_text()
    (folder / link_settings.FILE).write_text("url: x\n")
    assert ended(folder, "links", "scrub")[0] == 2
    assert "links.yaml:1:6 url: give a whole address, such as" in (folder / "told").read_text()


def test_scrub_counts_what_belongs_to_nobody(folder: Path, book: Book, apache: DavServer, lines: Lines) -> None:
    """A tenant that links.yaml lacks: nobody has read its files, and they are not taken for right."""
    publish(book, apache, f"nobody-{folder.name}/R1", {"a": b"a", "b": b"b"}, tenant="other")
    publish(book, apache, f"nobody-{folder.name}/R2", {"c": b"c"})
    assert scrub(link_settings.load(folder), lambda: TODAY) == Scrubbed(right=1, unread=2)
    assert [(each["event"], each["tenant"]) for each in lines()] == [("link.of_nobody", "other")]


def test_scrub_tells_what_is_not_what_was_published(folder: Path, book: Book, apache: DavServer) -> None:
    """What is right counts as proved from then on, and what is wrong no more; what has ended is left alone."""
    place = f"scrub-{folder.name}"
    files = {"a": b"right", "b": b"wrong", "c": b"gone"}
    made, _ = publish(book, apache, f"{place}/R1", files, audience=Audience.OWNER)
    old, _ = publish(book, apache, f"{place}/R2", {"d": b"old"}, expires=TODAY - timedelta(days=30))
    book.prove(made.id, made.files, TODAY)
    (apache.folder / made.files[1].path).write_bytes(b"WRONG")
    (apache.folder / made.files[2].path).unlink()
    (apache.folder / old.files[0].path).unlink()
    assert ended(folder, "links", "scrub", "--json")[0] == 1
    assert json.loads((folder / "answer").read_text()) == {"right": 1, "corrupt": 1, "unread": 1}
    assert {number for number, _ in book.proved(made.id)} == {1, 3}
    (apache.folder / made.files[1].path).write_bytes(b"wrong")
    assert ended(folder, "links", "scrub")[0] == 3
    assert "Of the files, 2 are right, 0 not what was published, 1 not read." in (folder / "answer").read_text()
    assert {number for number, _ in book.proved(made.id)} == {1, 2, 3}
