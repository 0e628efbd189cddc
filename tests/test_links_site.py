"""What the pages hand out, to whom, and what they write down: over HTTP, before a real WebDAV server."""

import io
import itertools
import re
import socket
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

import pytest

from connector.errors import Unavailable
from connector.links.book import Offered
from connector.links.reader import Reader
from connector.links.sending import Archive
from connector.links.settings import StoreAccess
from connector.links.tokens import hashed
from connector.model import Audience
from tests.links import ANNA, BERT, NOW, PROXY, Answer, World, opened, settings_of
from tests.logged import Lines
from tests.servers import DavServer

BYTES = bytes(range(256)) * 4000
PARTS = {"report.pdf": BYTES, "notes.txt": b"short"}


def proof(page: Answer) -> str:
    """What a form of this page has to send back."""
    found = re.search(r'name="proof" value="([^"]+)"', page.text)
    assert found
    return found[1]


def test_a_page_says_what_there_is_from_whom_and_until_when(world: World) -> None:
    """Names, sizes and kinds, the sender, the end, and whom to ask."""
    _, token = world.publish(PARTS, expires=NOW + timedelta(days=3))
    page = world.ask(f"/a/{token}")
    assert page.status == 200
    for words in ("report.pdf", "PDF", "1.0\u00a0MB", "notes.txt", "Bört Müller", "1 December 2026, 12:30 UTC", "0123"):
        assert words in page.text
    assert f'href="/a/{token}/1/report.pdf"' in page.text


@pytest.mark.parametrize(
    ("wish", "lang"),
    [("de-AT,en;q=0.5", "de"), ("es, nl;q=0.2, fr;q=0.7", "fr"), ("xx", "en"), ("en;q=0, nl", "nl"), ("", "en")],
)
def test_a_page_speaks_the_language_that_the_browser_likes_best(world: World, wish: str, lang: str) -> None:
    """By its quality, not by its place."""
    page = world.ask("/a/nothing", headers={"Accept-Language": wish})
    assert f'<html lang="{lang}">' in page.text


def test_a_file_comes_whole_and_is_proved_on_its_first_way_out(world: World) -> None:
    """As octets to be saved, whatever they are."""
    publication, token = world.publish(PARTS)
    got = world.ask(f"/a/{token}/1/report.pdf")
    assert (got.status, got.body) == (200, BYTES)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith('attachment; filename="report.pdf"')
    assert world.book.proved(publication.id) == {(1, publication.files[0].sha256)}
    assert world.accesses() == [("file", 1, "opened")]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, len(BYTES)), ("bytes=-7", len(BYTES) - 7, len(BYTES))],
)
def test_a_part_of_a_file(world: World, asked: str, start: int, end: int) -> None:
    """Where the download stopped, it goes on; also before anybody has fetched the whole."""
    _, token = world.publish(PARTS)
    got = world.ask(f"/a/{token}/1/report.pdf", headers={"Range": asked})
    assert (got.status, got.body) == (206, BYTES[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"


def test_a_download_goes_on_only_with_the_same_bytes(world: World) -> None:
    """If-Range names what the beginning was of."""
    _, token = world.publish(PARTS)
    path = f"/a/{token}/1/report.pdf"
    tag = world.ask(path, "HEAD").headers["etag"]
    same = world.ask(path, headers={"Range": "bytes=5-", "If-Range": tag})
    other = world.ask(path, headers={"Range": "bytes=5-", "If-Range": '"another"'})
    assert (same.status, same.body) == (206, BYTES[5:])
    assert (other.status, other.body) == (200, BYTES)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (f"bytes={len(BYTES)}-", 416),
        ("bytes=-0", 416),
        (f"bytes={'9' * 5000}-", 416),
        ("bytes=5-2", 200),
        ("bytes=-", 200),
        ("bytes=a-b", 200),
        ("bytes=\u0661-", 200),
        ("lines=1-2", 200),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(900)), 200),
    ],
)
def test_ranges_that_nobody_needs(world: World, asked: str, status: int) -> None:
    """Refused, or answered with the whole; never with more than that."""
    _, token = world.publish(PARTS)
    got = world.ask(f"/a/{token}/1/report.pdf", headers={"Range": asked.encode("latin-1", "replace").decode("latin-1")})
    assert got.status == status
    assert len(got.body) <= len(BYTES)


def test_all_files_as_one_zip_of_a_length_that_is_known_before(world: World) -> None:
    """Two of one name get two names."""
    _, token = world.publish({"a.txt": b"one", "A.TXT": b"two", "empty": b""})
    got = world.ask(f"/a/{token}/all.zip")
    assert int(got.headers["content-length"]) == len(got.body)
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.txt": b"one",
            "A (2).TXT": b"two",
            "empty": b"",
        }


def test_looking_is_no_download(world: World) -> None:
    """HEAD and pages count nothing, and ask nothing of the store."""
    publication, token = world.publish(PARTS, token={"downloads": 1})
    world.store.folder.joinpath(publication.files[0].path).unlink()
    for path in ("/1/report.pdf", "/all.zip", "/1", ""):
        assert world.ask(f"/a/{token}{path}", "HEAD").status == 200
    assert world.ask(f"/a/{token}/1").status == 200
    assert "can be downloaded once more" in world.ask(f"/a/{token}").text
    # Neither is what the store did not hand out.
    assert world.ask(f"/a/{token}/1/report.pdf").status == 502
    assert world.book.fetched(hashed(token)) == {}


def test_a_limit_counts_each_file(world: World) -> None:
    """Parts that go on with a download that was counted are that download; in another browser they are a new one."""
    _, token = world.publish(PARTS, token={"downloads": 1})
    path = f"/a/{token}/1/report.pdf"
    first = world.ask(path)
    assert first.status == 200
    assert world.ask(path, headers={"Range": "bytes=9-"}).status == 403
    world.keep(first)
    assert world.ask(path, headers={"Range": "bytes=9-"}).status == 206
    assert world.ask(path, headers={"Range": "bytes=0-"}).status == 403
    assert world.ask(path).status == 403
    assert world.ask(f"/a/{token}/all.zip").status == 403
    assert "cannot be downloaded any more" in world.ask(f"/a/{token}").text
    assert world.ask(f"/a/{token}/2/notes.txt").status == 200


def test_a_file_that_is_not_what_was_published_never_comes_whole(world: World) -> None:
    """Alone, in parts and in a ZIP; also where only its last byte differs."""
    publication, token = world.publish(PARTS)
    place = world.store.folder / publication.files[0].path
    place.write_bytes(BYTES[:-1] + b"!")
    for path in ("/1/report.pdf", "/all.zip"):
        with pytest.raises(IncompleteRead):
            world.ask(f"/a/{token}{path}")
    assert world.ask(f"/a/{token}/1/report.pdf", headers={"Range": "bytes=5-9"}).status == 502
    assert (1, publication.files[0].sha256) not in world.book.proved(publication.id)
    assert ("file", 1, "corrupt") in world.accesses()
    place.write_bytes(BYTES)
    assert world.ask(f"/a/{token}/1/report.pdf").body == BYTES


def test_a_book_that_cannot_be_written_is_told_once(
    world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gets anything of which nothing is written down; it is a page that says so, and no bug."""
    _, token = world.publish(PARTS)

    def locked(*_: object) -> None:
        raise Unavailable("links: another process has kept it locked")

    monkeypatch.setattr(world.book, "note", locked)
    assert world.ask(f"/a/{token}/1/report.pdf").status == 502
    assert [each["event"] for each in lines()] == ["link.broken_off"]
    monkeypatch.undo()
    assert world.accesses() == [("file", 1, "broken")]


@pytest.mark.parametrize("path", ["1/report.pdf", "all.zip"])
def test_what_is_right_comes_whole_whoever_knows_it(
    world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A proof that cannot be written down is made once more the next time."""
    publication, token = world.publish(PARTS)

    def locked(*_: object) -> None:
        raise Unavailable("links: another process has kept it locked")

    monkeypatch.setattr(world.book, "prove", locked)
    assert BYTES in world.ask(f"/a/{token}/{path}").body
    assert [each["event"] for each in lines()] == ["link.unproved"]
    assert world.book.proved(publication.id) == frozenset()


def test_a_store_that_is_busy_is_told_as_one(world: World) -> None:
    """Also where it says when it will not be."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    publication, _ = world.publish(PARTS)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reader = Reader(StoreAccess(url=f"http://127.0.0.1:{server.server_port}/"), "acme")
        with pytest.raises(Unavailable, match="answers GET with 503"):
            reader.open(publication.files[0])
        server.shutdown()


def test_a_file_of_another_size_does_not_begin(world: World) -> None:
    """A page says that the store does not hand it out."""
    publication, token = world.publish(PARTS)
    (world.store.folder / publication.files[0].path).write_bytes(b"<html>")
    assert world.ask(f"/a/{token}/1/report.pdf").status == 502


def test_a_password_opens_for_one_browser_and_one_link(world: World) -> None:
    """A pass of one link opens no other."""
    _, token = world.publish(PARTS, token={"password": "Löwenzahn 7"})
    _, other = world.publish(PARTS, token={"password": "Löwenzahn 7"})
    asked = world.ask(f"/a/{token}/1")
    assert "Password" in asked.text
    assert "report.pdf" not in asked.text
    assert BYTES[:100] not in world.ask(f"/a/{token}/1/report.pdf").body
    wrong = world.ask(f"/a/{token}/1", "POST", body=urlencode({"password": "loewenzahn 7"}))
    assert wrong.status == 403
    assert not wrong.cookies
    right = world.ask(f"/a/{token}/1", "POST", body=urlencode({"password": "Löwenzahn 7"}))
    assert (right.status, right.headers["location"]) == (303, f"/a/{token}/1")
    assert re.search(rf"Path=/a/{token};.*HttpOnly|HttpOnly;.*Path=/a/{token};", right.cookies[0])
    world.keep(right)
    assert world.ask(f"/a/{token}/1/report.pdf").body == BYTES
    world.cookies = {f"p{hashed(other)[:16]}": value for value in world.cookies.values()}
    assert "Password" in world.ask(f"/a/{other}").text


def test_wrong_passwords_are_few(world: World) -> None:
    """Afterwards the right one does not open either, and no guess is looked at."""
    _, token = world.publish(PARTS, token={"password": "right"})
    for guess in range(5):
        assert world.ask(f"/a/{token}", "POST", body=urlencode({"password": f"guess {guess}"})).status == 403
    late = world.ask(f"/a/{token}", "POST", body=urlencode({"password": "right"}))
    assert (late.status, late.cookies) == (429, [])
    assert sum(each.times for each in world.noted() if each.result == "wrong") == 5


def test_guesses_at_the_same_time_are_few_too(world: World) -> None:
    """No more are looked at than one after another, but for those that are looked at already."""
    _, token = world.publish(PARTS, token={"password": "right"})

    def guess(number: int) -> int:
        return world.ask(f"/a/{token}", "POST", body=urlencode({"password": f"guess {number}"})).status

    with ThreadPoolExecutor(30) as at_once:
        answers = Counter(at_once.map(guess, range(30)))
    assert answers.keys() == {403, 429}
    assert answers[403] < 5 + 4


def test_what_ended_opens_nothing_and_tells_nothing(world: World) -> None:
    """Unknown, expired, revoked, taken back, not for whoever asks: one answer, to the byte."""
    _, expired = world.publish(PARTS, expires=NOW - timedelta(seconds=1))
    revoked, revoked_token = world.publish(PARTS)
    world.book.end("acme", revoked.folder, NOW)
    _, timed = world.publish(PARTS, token={"expires": NOW})
    _, alive = world.publish(PARTS)
    internal, _ = world.publish(PARTS, audience=Audience.OWNER)
    asked = [
        world.ask(path, headers=BERT)
        for path in (
            *(
                f"/a/{token}{below}"
                for token in (expired, revoked_token, timed)
                for below in ("", "/1", "/1/report.pdf")
            ),
            *("/a/unknown", "/a/unknown/all.zip", "/", "/a", "/a/", "/elsewhere", "/look/none.css", "/r/R99-aaaaaaaa"),
            *(f"/a/{alive}/{below}" for below in ("3", "0", "x", "all.zip/x")),
            f"/r/{internal.id}",
        )
    ]
    told = {(each.status, each.body, _without_date(each)) for each in asked}
    assert len(told) == 1
    assert asked[0].status == 404
    assert "0123" in asked[0].text


def _without_date(answer: Answer) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in answer.headers.items() if name != "date"))


def test_replay_after_the_end(world: World) -> None:
    """A pass and a download that went on before open nothing afterwards."""
    publication, token = world.publish(PARTS, token={"password": "right", "downloads": 5})
    world.keep(world.ask(f"/a/{token}", "POST", body=urlencode({"password": "right"})))
    world.keep(world.ask(f"/a/{token}/1/report.pdf"))
    assert world.ask(f"/a/{token}/1/report.pdf", headers={"Range": "bytes=9-"}).status == 206
    world.book.end("acme", publication.folder, NOW)
    for path in ("", "/1", "/1/report.pdf", "/all.zip"):
        assert world.ask(f"/a/{token}{path}", headers={"Range": "bytes=9-"}).status == 404


def test_an_owner_reads_how_an_ended_link_comes_back(world: World) -> None:
    """Only where it ended by its time, and only the owner."""
    publication, token = world.publish(PARTS, expires=NOW - timedelta(days=1))
    for path in (f"/a/{token}", f"/r/{publication.id}"):
        told = world.ask(path, headers=ANNA)
        assert told.status == 410
        assert publication.id in told.text
        assert world.ask(path, headers=BERT).status == 404
    world.book.end("acme", publication.folder, NOW)
    assert world.ask(f"/a/{token}", headers=ANNA).status == 404


@pytest.mark.parametrize(
    ("audience", "readers", "anna", "bert"),
    [
        (Audience.OWNER, ("anna@example.org",), 200, 404),
        (Audience.OWNER, ("user:bert",), 404, 200),
        (Audience.GROUP, ("group:finance",), 200, 404),
        (Audience.STAFF, (), 200, 200),
        (Audience.ANYONE, ("anna@example.org",), 200, 404),
    ],
)
def test_people_of_the_house_open_what_is_theirs(
    world: World, audience: Audience, readers: tuple[str, ...], anna: int, bert: int
) -> None:
    """By any word of their login; nobody without one."""
    publication, _ = world.publish(PARTS, audience=audience, readers=readers)
    path = f"/r/{publication.id}/1/report.pdf"
    assert world.ask(path, headers=ANNA).status == anna
    assert world.ask(path, headers=BERT).status == bert
    unknown, known = world.ask("/r/R99-aaaaaaaa"), world.ask(path)
    assert (unknown.status, unknown.body) == (known.status, known.body) == (403, known.body)
    assert {each.who for each in world.noted() if each.result == "opened"} == {
        name for name, status in (("anna", anna), ("bert", bert)) if status == 200
    }


def test_a_login_counts_only_from_a_proxy_that_is_believed(tmp_path: Path, apache: DavServer) -> None:
    """Anybody can send headers."""
    with opened(tmp_path, apache, proxy={**PROXY, "addresses": ["192.0.2.0/24"]}) as world:
        publication, token = world.publish(PARTS, audience=Audience.STAFF)
        assert world.ask(f"/r/{publication.id}", headers=ANNA).status == 403
        world.ask(f"/a/{token}", headers={"X-Forwarded-For": "192.0.2.1"})
        assert [each.client for each in world.noted()] == ["127.0.0.0"]


def test_two_logins_are_none(world: World) -> None:
    """A proxy that adds its header, and lets the client's through."""
    publication, _ = world.publish(PARTS, audience=Audience.STAFF)
    heads = "X-Remote-User: anna\r\nX-Remote-User: bert\r\n"
    with closing(socket.create_connection(("127.0.0.1", world.port))) as sock:
        sock.sendall(f"GET /r/{publication.id} HTTP/1.1\r\nHost: x\r\n{heads}\r\n".encode())
        assert sock.makefile("rb").readline().split()[1] == b"403"


def test_where_the_store_opens_a_file_itself_its_page_leads_there(world: World) -> None:
    """With the login of the store."""
    publication, _ = world.publish(PARTS, audience=Audience.STORE)
    target = "https://cloud.example.org/f/77"
    led_on = tuple(replace(each, target=target) for each in publication.files)
    world.book.publish(replace(publication, files=led_on))
    for path in ("", "/1", "/2"):
        led = world.ask(f"/r/{publication.id}{path}")
        assert (led.status, led.headers["location"]) == (303, target)


def test_an_owner_lets_somebody_outside_open_files(world: World) -> None:
    """The link and its password are shown once; it ends when the owner says so."""
    publication, _ = world.publish(PARTS, audience=Audience.OWNER)
    page = world.ask(f"/r/{publication.id}", headers=ANNA)
    form = {"proof": proof(page), "days": "3"}
    made = world.ask(f"/r/{publication.id}/release", "POST", headers=ANNA, body=urlencode(form))
    assert made.status == 200
    link, password = re.findall(r"<code>([^<]+)</code>", made.text)
    path = link.removeprefix(world.url)
    assert link.startswith(f"{world.url}/a/")
    world.keep(world.ask(path, "POST", body=urlencode({"password": password})))
    assert world.ask(f"{path}/1/report.pdf").body == BYTES
    page = world.ask(f"/r/{publication.id}", headers=ANNA)
    given = re.search(r'name="hash" value="([^"]+)"', page.text)
    assert given
    assert link.rpartition("/")[2] not in page.text
    form = {"proof": proof(page), "hash": given[1]}
    assert world.ask(f"/r/{publication.id}/end", "POST", headers=ANNA, body=urlencode(form)).status == 303
    assert world.ask(f"{path}/1/report.pdf").status == 404
    assert {("release", 0, "opened"), ("end", 0, "opened")} <= set(world.accesses())


@pytest.mark.parametrize("said", ["\0", "A" * 64, "1" * 63, "", "\ud800"])
def test_an_owner_ends_what_a_form_of_ours_names(world: World, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Nothing else is looked for: PostgreSQL takes no NUL, and would make a bug of it."""
    publication, _ = world.publish(PARTS, audience=Audience.OWNER)
    asked: list[object] = []
    monkeypatch.setattr(world.book, "take_back", lambda *of: asked.append(of))
    form = {"proof": proof(world.ask(f"/r/{publication.id}", headers=ANNA)), "hash": said}
    body = urlencode(form, errors="surrogatepass")
    assert world.ask(f"/r/{publication.id}/end", "POST", headers=ANNA, body=body).status == 303
    assert asked == []


def test_an_owner_lets_a_link_last(world: World) -> None:
    """What a message shows, before its end and after it; never for less time, nor for longer than the house allows."""
    publication, token = world.publish(PARTS, expires=NOW + timedelta(days=2))
    path = f"/r/{publication.id}"

    def extend(days: str, headers: dict[str, str] = ANNA, page: str = path) -> int:
        form = urlencode({"proof": proof(world.ask(page, headers=ANNA)), "days": days})
        return world.ask(f"{path}/extend", "POST", headers, form).status

    for days in ("1", "31", "0", "-3", "x"):
        assert extend(days) == 303
    assert extend("9", BERT) == 404
    kept = world.book.publication(publication.id)
    assert kept
    assert kept.expires == publication.expires
    assert extend("9") == 303
    world.clock.now = NOW + timedelta(days=8)
    assert world.ask(f"/a/{token}/1/report.pdf").body == BYTES
    world.clock.now = NOW + timedelta(days=10)
    assert world.ask(f"/a/{token}/1/report.pdf").status == 404
    assert world.ask(path, headers=ANNA).status == 410
    assert extend("9", page=f"/a/{token}") == 303
    assert world.ask(f"/a/{token}/1/report.pdf").body == BYTES
    assert world.ask(path, headers=ANNA).status == 200
    assert ("extend", 0, "opened") in world.accesses()
    form = urlencode({"proof": proof(world.ask(path, headers=ANNA)), "days": "9"})
    world.book.end("acme", publication.folder, world.clock.now)
    assert world.ask(f"{path}/extend", "POST", ANNA, form).status == 404
    assert world.ask(f"/a/{token}/1/report.pdf").status == 404
    world.clock.now = NOW


def test_what_an_owner_does_is_written_down_before_it_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nothing would tell the message how long its link lasts by now, and nobody who it was."""
    publication, _ = world.publish(PARTS, audience=Audience.OWNER, expires=NOW + timedelta(days=5))
    form = {"proof": proof(world.ask(f"/r/{publication.id}", headers=ANNA)), "days": "20", "hash": "1" * 64}

    def locked(*_: object) -> None:
        raise Unavailable("links: another process has kept it locked")

    monkeypatch.setattr(world.book, "note", locked)
    for what in ("extend", "release", "end"):
        assert world.ask(f"/r/{publication.id}/{what}", "POST", headers=ANNA, body=urlencode(form)).status == 503
    assert world.book.publication(publication.id) == publication
    assert world.book.released(publication.id, NOW) == ()


def test_nobody_else_releases_anything(world: World) -> None:
    """Not another one of the staff, not another site in the owner's browser, not for longer than the house allows."""
    publication, _ = world.publish(PARTS, audience=Audience.STAFF)
    path = f"/r/{publication.id}"
    right = proof(world.ask(path, headers=ANNA))
    assert 'name="proof"' not in world.ask(path, headers=BERT).text

    def release(headers: dict[str, str], said: str, days: str = "3") -> int:
        return world.ask(f"{path}/release", "POST", headers, urlencode({"proof": said, "days": days})).status

    assert release(BERT, right) == 404
    assert release(ANNA, "forged") == 404
    assert release(ANNA, "") == 404
    assert release({**ANNA, "Sec-Fetch-Site": "cross-site"}, right) == 404
    for days in ("31", "0", "-1", "x", "99999999999", "\u0663"):
        assert release(ANNA, right, days) == 303
    assert world.book.released(publication.id, NOW) == ()
    assert release(ANNA, right) == 200


def test_each_access_is_written_down_with_a_shortened_address(world: World) -> None:
    """Of the client, as the proxy tells it; a header that nobody trusts is not read."""
    _, token = world.publish(PARTS)
    world.ask(f"/a/{token}", headers={"X-Forwarded-For": "203.0.113.77"})
    world.ask(f"/a/{token}", headers={"X-Forwarded-For": "2001:db8:1:2::3"})
    world.ask(f"/a/{token}", headers={"X-Forwarded-For": "198.51.100.9, 203.0.113.77"})
    assert [each.client for each in world.noted()] == ["203.0.113.0", "2001:db8:1::", "203.0.113.0"]


NASTY = (
    *("../../etc/passwd", "..", ".", "/etc/passwd", "..\\..\\boot.ini", "C:\\x.txt", "con", "nul.txt", "a\x00b.txt"),
    *("a\r\nSet-Cookie: x=1.txt", 'quote".txt', "semi;colon.txt", "100%.txt", "%2e%2e%2f.txt", "a&b=c?d#e.txt"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>.png', "{{ 7 * 7 }}.txt", "\u202egnp.exe"),
    *("\u200bzero.txt", "ümläut.pdf", "naïve\u2019s.txt", "файл.docx", "文件.xlsx", "😀.zip", "a" * 300 + ".pdf"),
    *(" lead and trail ", "dots...", ".hidden", "\u200b"),
)


def test_thirty_nasty_names(world: World) -> None:
    """Each file comes, under a name that harms nobody; no page and no header has more in it than it should."""
    assert len(NASTY) == 30
    content = {name: name.encode() for name in NASTY}
    _, token = world.publish(content)
    page = world.ask(f"/a/{token}")
    assert "<script" not in page.text
    assert "<img src=x" not in page.text
    assert "\u202e" not in page.text
    assert "{{ 7 * 7 }}" in page.text
    links = re.findall(rf'href="(/a/{token}/[0-9]+/[^"]+)"', page.text)
    assert len(links) == 30
    for link, told in zip(links, content.values(), strict=True):
        got = world.ask(link)
        assert (got.status, got.body) == (200, told)
        assert not got.cookies
        name = unquote(got.headers["content-disposition"].partition("UTF-8''")[2])
        assert not re.search(r'[\x00-\x1f/\\:*?"<>|]', name)
        assert name.strip(". ") == name
        assert name
    with zipfile.ZipFile(io.BytesIO(world.ask(f"/a/{token}/all.zip").body)) as archive:
        names = archive.namelist()
    assert len({name.casefold() for name in names}) == 30
    assert not any("/" in name or "\\" in name or name in {"", ".", ".."} for name in names)


@pytest.mark.parametrize(
    "below",
    [
        *("/../../../etc/passwd", "/1/../../2", "/%2e%2e/%2e%2e/x", "/..%2f..%2fx", "/1/..%5c..%5cx", "/1%00", "//1"),
        *("/1;x", "/01", "/99999999999", "/-1", "/1.5", "/all.zip/..", "/%61ll.zip%00", "/1%2f..%2f2"),
    ],
)
def test_no_address_reaches_a_path_of_the_store(world: World, below: str) -> None:
    """Whatever stands behind a token is a number, or nothing: the neighbour's file is in reach, and does not come."""
    _, token = world.publish({"mine.txt": b"mine"})
    world.publish({"neighbour.txt": b"neighbour"})
    got = world.ask(f"/a/{token}{below}")
    assert b"neighbour" not in got.body
    assert b"root:" not in got.body
    assert got.status in {200, 404}
    assert got.status == 404 or got.body == b"mine" or b"mine.txt" in got.body


def test_a_path_in_the_book_that_leaves_the_collection_is_not_asked_for(world: World) -> None:
    """Whoever may write into the book reads no more of the store than what is published."""
    publication, token = world.publish({"mine.txt": b"mine"})
    bad = replace(publication.files[0], path="../basic/acme/R1/1.bin", number=0)
    known = world.book.publish(replace(publication, files=(bad,))).files[0]
    assert world.ask(f"/a/{token}/{known.number}/mine.txt").status == 502


def test_names_of_headers_come_from_nowhere_else(world: World) -> None:
    """A line end in an address, a token or a cookie ends in nothing."""
    _, token = world.publish(PARTS)
    for path in (f"/a/{token}%0d%0aX-Evil:%201", f"/a/{quote('x' + chr(13) + chr(10) + 'X-Evil: 1')}/1"):
        got = world.ask(path)
        assert got.status == 404
        assert "x-evil" not in {name.lower() for name in got.headers}


def test_every_answer_keeps_browsers_careful(world: World) -> None:
    """Pages, bytes, refusals and redirects: nothing runs, nothing is guessed, kept, framed, indexed or told on."""
    _, token = world.publish(PARTS, token={"password": "right"})
    publication, open_token = world.publish(PARTS)
    style = re.search(r'href="(/look/[^"]+)"', world.ask("/a/unknown").text)
    assert style
    paths = [f"/a/{token}", f"/a/{open_token}", f"/a/{open_token}/1/x", f"/a/{open_token}/all.zip", "/a/unknown"]
    for path in (*paths, f"/r/{publication.id}", "/robots.txt", style[1], "/"):
        for method in ("GET", "HEAD", "POST", "PUT"):
            said = world.ask(path, method).headers
            policy = said["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert said["x-content-type-options"] == "nosniff"
            assert said["referrer-policy"] == "no-referrer"
            assert said["x-frame-options"] == "DENY"
            assert said["x-robots-tag"].startswith("noindex")
            assert said["cache-control"] == "no-store" or path == style[1]
            assert "server" not in said


def test_a_password_on_a_release_is_the_owners_choice_where_the_house_lets_it_be(
    tmp_path: Path, apache: DavServer
) -> None:
    """Ticked or not."""
    values = settings_of(tmp_path, apache)
    values["tenants"]["acme"]["releases"] = {"longest": "5d", "locked": "as they like"}
    with opened(tmp_path, apache, tenants=values["tenants"]) as world:
        publication, _ = world.publish(PARTS, audience=Audience.OWNER)
        path = f"/r/{publication.id}"
        for chosen, count in (({}, 1), ({"with": "password"}, 2)):
            form = {"proof": proof(world.ask(path, headers=ANNA)), "days": "5", **chosen}
            made = world.ask(f"{path}/release", "POST", headers=ANNA, body=urlencode(form))
            assert len(re.findall(r"<code>([^<]+)</code>", made.text)) == count
        link = re.findall(r"<code>([^<]+)</code>", made.text)[0].removeprefix(world.url)
        world.clock.now = NOW + timedelta(days=5)
        assert world.ask(link).status == 404


def test_a_release_does_not_outlast_what_it_opens(world: World) -> None:
    """The owner reads the day on which it really ends."""
    ends = NOW + timedelta(days=2)
    publication, _ = world.publish(PARTS, audience=Audience.OWNER, expires=ends)
    path = f"/r/{publication.id}"
    form = {"proof": proof(world.ask(path, headers=ANNA)), "days": "30"}
    made = world.ask(f"{path}/release", "POST", headers=ANNA, body=urlencode(form))
    assert "30 November 2026" in made.text
    assert [each.expires for each in world.book.released(publication.id, NOW)] == [ends]


def test_where_the_house_lets_nobody_release_nobody_is_asked(tmp_path: Path, apache: DavServer) -> None:
    """No form, and none is taken."""
    values = settings_of(tmp_path, apache)
    del values["tenants"]["acme"]["releases"]
    with opened(tmp_path, apache, tenants=values["tenants"]) as world:
        publication, _ = world.publish(PARTS, audience=Audience.OWNER)
        path = f"/r/{publication.id}"
        assert 'name="proof"' not in world.ask(path, headers=ANNA).text
        form = urlencode({"proof": "x", "days": "5"})
        assert world.ask(f"{path}/release", "POST", headers=ANNA, body=form).status == 404
        ended, _ = world.publish(PARTS, expires=NOW - timedelta(days=1))
        told = world.ask(f"/r/{ended.id}", headers=ANNA).text
        assert ended.id in told
        assert 'name="proof"' not in told
        assert world.ask(f"/r/{ended.id}/extend", "POST", headers=ANNA, body=form).status == 404


def test_a_tenant_has_a_look_of_its_own_and_the_house_answers_for_what_is_nobodys(
    tmp_path: Path, apache: DavServer
) -> None:
    """Name, colour, logo, languages and contact; a picture runs nothing, and is kept by browsers."""
    values = settings_of(tmp_path, apache)
    look = {"name": "Agency", "colour": "#006b3c", "contact": {"nl": "Bel 0800."}, "languages": ["nl", "de"]}
    values["tenants"]["acme"]["look"] = look
    with opened(tmp_path, apache, tenants=values["tenants"]) as world:
        _, token = world.publish(PARTS)
        ours, nobodys = world.ask(f"/a/{token}"), world.ask("/a/unknown")
        assert '<html lang="nl">' in ours.text
        assert "Agency" in ours.text
        assert "Bel 0800." in ours.text
        assert "Ministry of Examples" not in ours.text
        assert "Ministry of Examples" in nobodys.text
        assert "Agency" not in nobodys.text
        style, other = (re.findall(r"/look/[0-9a-f]+\.css", each.text)[0] for each in (ours, nobodys))
        assert "--house: #006b3c" in world.ask(style).text
        assert "--house: #1d4f91" in world.ask(other).text
        assert ".logo" not in ours.text
        logo = world.ask(other.replace(".css", ".logo"))
        assert (logo.status, logo.headers["content-type"]) == (200, "image/svg+xml")
        assert logo.headers["content-security-policy"].endswith("sandbox")
        assert "immutable" in logo.headers["cache-control"]
        assert world.ask(style.replace(".css", ".logo")).status == 404


@pytest.mark.by_hand
def test_a_zip_with_a_file_above_4_gb_is_as_long_as_it_says() -> None:
    """Zip64, where it is needed: in its header, its descriptor and the directory."""
    piece, count = bytes(1 << 20), 4500
    files = (Offered(number=1, name="big", size=count << 20, path="x", sha256=""), *_small(3))

    def read(file: Offered) -> Iterator[bytes]:
        yield from itertools.repeat(piece, count) if file.number == 1 else [b"abc"]

    archive = Archive(files, read)  # type: ignore[arg-type]  # a generator
    last = b""
    came = 0
    for each in archive.pieces():
        came += len(each)
        last = (last + each)[-1000:]
    assert came == archive.size
    assert b"PK\x06\x06" in last


def _small(count: int) -> Iterator[Offered]:
    for number in range(2, 2 + count):
        yield Offered(number=number, name=f"{number}.txt", size=3, path="x", sha256="")
