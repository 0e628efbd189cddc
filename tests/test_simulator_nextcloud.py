"""The laws of Nextcloud's WebDAV, row by row as they were observed, each with its section of the facts (webdav.md).

They speak bare HTTP, and hold for the simulated Nextcloud as for a live one: see `tests/nextcloud.py`.
"""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx
import pytest
from lxml import etree

from tests.nextcloud import DAV, NC, OC, SHARES, At, Law, Need, Place, data, exception, hold, message, places

TAGS = "/remote.php/dav/systemtags/"
TRASH, VERSIONS = "/remote.php/dav/trashbin/", "/remote.php/dav/versions/"
LOCATION = "trashbin-original-location"
FRESH = {"If-None-Match": "*"}
KEEP = {"Overwrite": "F"}
SHA256 = {"X-Hash": "sha256"}
RECALCULATE = {"X-Recalculate-Hash": "sha256"}
SHA1 = hashlib.sha1(b"new").hexdigest()


def sha256(content: bytes) -> str:
    """As headers have it."""
    return hashlib.sha256(content).hexdigest()


LAWS: list[Law] = []


def law(section: str, says: str, *needs: Need) -> Callable[[Callable[[At], None]], Callable[[At], None]]:
    """Add a law to the table."""

    def added(check: Callable[[At], None]) -> Callable[[At], None]:
        LAWS.append(Law(section, says, check, frozenset(needs)))
        return check

    return added


@dataclass(frozen=True)
class Row:
    """A request, and what it is answered."""

    section: str
    says: str
    method: str
    name: str
    headers: dict[str, str]
    status: int
    exception: str = ""
    #: What the file then has in it; "absent" where there must be none.
    after: bytes | str | None = None
    body: bytes = b""
    told: dict[str, str] = field(default_factory=dict)
    to: str = ""
    message: str = ""

    def check(self, at: At) -> None:
        """The answer, its exception and headers, and what is there afterwards."""
        to = at.to(self.to) if self.to else {}
        answer = at.dav(self.method, self.name, self.headers, to, content=self.body)
        assert answer.status_code == self.status, answer.text
        if self.exception:
            assert exception(answer) == self.exception
        if self.message:
            assert self.message in message(answer)
        for name, value in self.told.items():
            assert answer.headers[name] == value
        if self.after is not None:
            assert at.holds(self.to or self.name) == (None if self.after == "absent" else self.after)


# --- 2.1 PUT, 2.2 the other verbs ---------------------------------------------------------------------------------

ROWS = [
    Row("2.1", "a new file", "PUT", "new.bin", {}, 201, after=b"new", body=b"new"),
    Row("2.1", "an overwritten file", "PUT", "old.bin", {}, 204, after=b"new", body=b"new"),
    Row("2.1", "If-None-Match on what exists", "PUT", "old.bin", FRESH, 412, "PreconditionFailed", b"old", b"new"),
    Row("2.1", "If-None-Match on a new name", "PUT", "new.bin", FRESH, 201, after=b"new", body=b"new"),
    Row("2.1", "If-Match with a wrong ETag", "PUT", "old.bin", {"If-Match": '"wrong"'}, 412, after=b"old", body=b"new"),
    Row("2.1", "If-Match on nothing", "PUT", "new.bin", {"If-Match": "*"}, 412, after="absent", body=b"new"),
    Row("2.1", "no parent is 404, not 409", "PUT", "no/new.bin", {}, 404, "NotFound", body=b"new"),
    Row("2.1", "no parent, and made on the way", "PUT", "a/b/c.bin", {"X-NC-WebDAV-Auto-Mkcol": "1"}, 201,
        after=b"new", body=b"new"),
    Row("2.1", "on a collection", "PUT", "sub", {}, 409, "Conflict", body=b"new",
        message="PUT is not allowed on non-files."),
    Row("2.1", "below a file", "PUT", "old.bin/new.bin", {}, 404, body=b"new"),
    Row("2.1", "Content-Range", "PUT", "new.bin", {"Content-Range": "bytes 0-2/9"}, 400, "BadRequest", "absent", b"new",
        message="Content-Range on PUT requests are forbidden."),
    Row("2.1", "a date that is no number: 500, and the file is there", "PUT", "new.bin", {"X-OC-MTime": "abc"}, 500,
        after=b"new", body=b"new"),
    Row("2.1", "a date before 1970-01-02: 500, and the file is there", "PUT", "new.bin", {"X-OC-MTime": "-5"}, 500,
        after=b"new", body=b"new"),
    Row("2.1", "X-Hash sha256", "PUT", "new.bin", SHA256, 201, body=b"new", told={"X-Hash-SHA256": sha256(b"new")}),
    Row("2.1", "X-Hash sha256 of nothing", "PUT", "new.bin", SHA256, 201, told={"X-Hash-SHA256": sha256(b"")}),
    Row("2.1", "X-Hash sha1", "PUT", "new.bin", {"X-Hash": "sha1"}, 201, body=b"new", told={"X-Hash-SHA1": SHA1}),
    Row("2.1", "X-Hash md5", "PUT", "new.bin", {"X-Hash": "md5"}, 201, body=b"new",
        told={"X-Hash-MD5": hashlib.md5(b"new").hexdigest()}),
    Row("2.1", "X-Hash all", "PUT", "new.bin", {"X-Hash": "all"}, 201, body=b"new",
        told={"X-Hash-SHA256": sha256(b"new"), "X-Hash-SHA1": SHA1}),
    Row("2.1", "a wrong Content-MD5", "PUT", "new.bin", {"Content-MD5": "AAAA"}, 201, after=b"new", body=b"new"),
    Row("2.1", "a wrong Digest", "PUT", "new.bin", {"Digest": "sha-256=AAAA"}, 201, after=b"new", body=b"new"),
    Row("2.1", "a wrong Content-Digest", "PUT", "new.bin", {"Content-Digest": "sha-256=:AAAA:"}, 201, after=b"new",
        body=b"new"),
    Row("2.1", "OC-Total-Length that is not true", "PUT", "new.bin", {"OC-Total-Length": "99"}, 201, after=b"new",
        body=b"new"),
    Row("2.2", "MKCOL", "MKCOL", "new", {}, 201),
    Row("2.2", "MKCOL with a slash at the end", "MKCOL", "new/", {}, 201),
    Row("2.2", "MKCOL of what is a collection", "MKCOL", "sub", {}, 405, "MethodNotAllowed",
        message="The resource you tried to create already exists"),
    Row("2.2", "MKCOL of what is a file", "MKCOL", "old.bin", {}, 405, "MethodNotAllowed"),
    Row("2.2", "MKCOL without a parent", "MKCOL", "no/new", {}, 409, "Conflict", message="Parent node does not exist"),
    Row("2.2", "MKCOL below a file", "MKCOL", "old.bin/new", {}, 409, "Conflict",
        message="Parent node is not a collection"),
    Row("2.2", "MOVE to a new name", "MOVE", "old.bin", KEEP, 201, after=b"old", to="new.bin"),
    Row("2.2", "MOVE without the new parent", "MOVE", "old.bin", KEEP, 409, "Conflict", "absent", to="no/new.bin",
        message="The destination node is not found"),
    Row("2.2", "MOVE of nothing", "MOVE", "no.bin", KEEP, 404, "NotFound", "absent", to="new.bin"),
    Row("2.2", "MOVE to nowhere", "MOVE", "old.bin", KEEP, 400, after=b"old"),
    Row("2.2", "DELETE", "DELETE", "old.bin", {}, 204, after="absent"),
    Row("2.2", "DELETE of a collection", "DELETE", "sub", {}, 204, after="absent"),
    Row("2.2", "DELETE of nothing", "DELETE", "no.bin", {}, 404, "NotFound"),
    Row("2.2", "GET of a part", "GET", "old.bin", {"Range": "bytes=1-2"}, 206,
        told={"Content-Range": "bytes 1-2/3", "Content-Length": "2"}),
    Row("2.2", "GET beyond the end", "GET", "old.bin", {"Range": "bytes=9-"}, 416),
    Row("2.2", "GET of several parts is whole", "GET", "old.bin", {"Range": "bytes=0-0,2-2"}, 200,
        told={"Content-Length": "3"}),
    Row("2.2", "HEAD of a collection", "HEAD", "sub", {}, 200),
    Row("2.2", "PATCH without a header", "PATCH", "old.bin", {}, 500),
    Row("2.2", "PATCH of a collection", "PATCH", "sub", RECALCULATE, 501),
    Row("2.2", "PATCH tells the hash of what is on the disk", "PATCH", "old.bin", RECALCULATE, 204,
        told={"OC-Checksum": f"SHA256:{sha256(b'old')}"}),
    Row("2.2", "PROPFIND of everything", "PROPFIND", "", {"Depth": "infinity"}, 207),
    Row("8", "PROPFIND of a collection without its slash", "PROPFIND", "sub", {"Depth": "1"}, 207),
    Row("2.2", "PROPFIND without a depth", "PROPFIND", "", {}, 207),
    Row("2", "LOCK is not known", "LOCK", "old.bin", {}, 501),
]  # fmt: skip
LAWS += [Law(row.section, row.says, row.check) for row in ROWS]


@law("2", "OPTIONS names no class 2, and the recalculation of checksums")
def options(at: At) -> None:
    """So nobody can lock."""
    answer = at.dav("OPTIONS", "")
    features = {each.strip() for each in answer.headers["DAV"].split(",")}
    assert {"1", "3", "nextcloud-checksum-update"} <= features
    assert "2" not in features
    assert "LOCK" not in answer.headers["Allow"]


@law("2", "the old address leads to the same files")
def old_address(at: At) -> None:
    """207 and 201."""
    url = f"/remote.php/webdav/{at.folder}"
    assert at.ask("PROPFIND", url, {"Depth": "0"}).status_code == 207
    assert at.ask("PUT", f"{url}/new.bin", content=b"new").status_code == 201
    assert at.holds("new.bin") == b"new"


@law("2", "the id of the account comes from the API")
def own_id(at: At) -> None:
    """It is the one for the URL."""
    told = data(at.ocs("GET", "cloud/user"))
    assert told["id"].lower() == at.one.user.lower()
    assert set(told["quota"]) >= {"free", "used", "total", "quota"}


@law("2", "the well-known addresses")
def well_known(at: At) -> None:
    """404 for WebDAV, 301 for CalDAV."""
    assert at.ask("GET", "/.well-known/webdav").status_code == 404
    assert at.ask("GET", "/.well-known/caldav").status_code == 301


@law("2", "a host that is not trusted", Need.CONTROL)
def untrusted_host(at: At) -> None:
    """400, as HTML."""
    answer = at.dav("PROPFIND", "", {"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (400, "text/html")


@law("2.1", "the headers of a new file")
def headers_of_put(at: At) -> None:
    """Id and instance, two ETags; and the id survives an overwriting PUT."""
    new = at.put("new.bin", b"1")
    assert new.headers["ETag"] == new.headers["OC-ETag"]
    assert new.headers["ETag"].startswith('"')
    assert new.headers["X-Request-Id"]
    file_id = new.headers["OC-FileId"]
    assert file_id[:8].isdecimal()
    assert file_id[8:].startswith("oc")
    again = at.put("new.bin", b"22")
    assert (again.status_code, again.headers["OC-FileId"]) == (204, file_id)
    assert at.properties("new.bin", f"{OC}id", f"{OC}fileid") == {
        f"{OC}id": file_id,
        f"{OC}fileid": str(int(file_id[:8])),
    }


@law("2.1", "an ETag has a resolution of one second", Need.CONTROL)
def etag_within_a_second(at: At) -> None:
    """An overwriting PUT within the second keeps it; a second later it is another one."""
    at.server.cloud.stop_clock()
    first = at.put("new.bin", b"1").headers["ETag"]
    assert at.put("new.bin", b"22").headers["ETag"] == first
    at.server.cloud.ahead += 1
    assert at.put("new.bin", b"3").headers["ETag"] != first


@law("2.1", "a date is taken")
def dates(at: At) -> None:
    """And says so."""
    answer = at.put("new.bin", b"new", {"X-OC-MTime": "1500000000"})
    assert (answer.status_code, answer.headers["X-OC-MTime"]) == (201, "accepted")
    told = at.properties("new.bin", f"{DAV}getlastmodified")[f"{DAV}getlastmodified"]
    assert parsedate_to_datetime(told).timestamp() == 1500000000


@law("1.2, 2.1", "OC-Checksum is believed, whatever it says")
def checksums(at: At) -> None:
    """Also a word that is none; it comes back as the truth, survives a MOVE, and is forgotten by the next PUT."""
    for told in (f"SHA1:{SHA1}", f"SHA1:{'0' * 40}", "garbage"):
        assert at.put(f"{told[-4:]}.bin", b"new", {"OC-Checksum": told}).status_code == 201
        assert at.properties(f"{told[-4:]}.bin", f"{OC}checksums")[f"{OC}checksums"] == told
        assert at.dav("GET", f"{told[-4:]}.bin").headers["OC-Checksum"] == told
    at.dav("MOVE", "bage.bin", at.to("moved.bin"), KEEP)
    assert at.dav("GET", "moved.bin").headers["OC-Checksum"] == "garbage"
    at.put("moved.bin", b"newer")
    assert at.properties("moved.bin", f"{OC}checksums")[f"{OC}checksums"] is None


@law("1.2, 2.2", "the recalculated checksum corrects a wrong one")
def corrected_checksum(at: At) -> None:
    """The bytes on the disk count."""
    at.put("new.bin", b"new", {"OC-Checksum": "SHA256:" + "0" * 64})
    at.dav("PATCH", "new.bin", RECALCULATE)
    assert sha256(b"new") in at.properties("new.bin", f"{OC}checksums")[f"{OC}checksums"]


@law("2.1", "a hash that is asked for is not kept, and sha512 is not known")
def hashes_are_not_kept(at: At) -> None:
    """The header is passed over silently."""
    answer = at.put("new.bin", b"new", {"X-Hash": "sha512"})
    assert answer.status_code == 201
    assert not any(name.lower().startswith("x-hash") for name in answer.headers)
    at.put("new.bin", b"new", SHA256)
    assert at.properties("new.bin", f"{OC}checksums")[f"{OC}checksums"] is None


@law("2.1", "the type comes from the name")
def content_type(at: At) -> None:
    """Not from the header."""
    at.put("new.pdf", b"new", {"Content-Type": "image/png"})
    told = at.properties("new.pdf", f"{DAV}getcontenttype")
    assert told[f"{DAV}getcontenttype"] == "application/pdf"


@law("2.1", "a body in chunks")
def chunked_body(at: At) -> None:
    """Works."""
    assert at.put("new.bin", iter([b"ne", b"w"])).status_code == 201
    assert at.holds("new.bin") == b"new"


@law("2.1", "a body in chunks that does not end is 201 and no byte")
def chunked_body_that_does_not_end(at: At) -> None:
    """Nothing can tell that it is not whole."""
    status, _ = at.torn(at.where("new.bin"), None, b"5\r\nabcde\r\n5\r\nab")
    assert (status or 201, at.holds("new.bin")) == (201, b"")


@law("2.1", "a body that is too short leaves nothing at a new name")
def torn_new(at: At) -> None:
    """400."""
    status, body = at.torn(at.where("new.bin"), 1000, b"a" * 700)
    assert status is None or (status, exception(body)) == (400, "BadRequest")
    assert status is None or b"Expected filesize of 1000 bytes but read" in body
    assert at.holds("new.bin") is None


@law("1.1, 2.1", "a body that is too short is what an old name has in it then")
def torn_overwrite(at: At) -> None:
    """400, and the file is lost: never overwrite."""
    status, body = at.torn(at.where("old.bin"), 1000, b"a" * 700)
    assert status is None or (status, exception(body)) == (400, "BadRequest")
    assert at.holds("old.bin") == b"a" * 700


@law("1.1, 2.1", "a body that the web server finds too large empties an old name", Need.CONTROL)
def too_large(at: At) -> None:
    """413; a new name stays free."""
    at.server.cloud.settings.largest_body = 10
    assert at.put("new.bin", b"a" * 11).status_code == 413
    assert at.holds("new.bin") is None
    assert at.put("old.bin", b"a" * 11).status_code == 413
    assert at.holds("old.bin") == b""


@law("2.2", "MOVE with Overwrite: F onto what exists")
def move_onto_existing(at: At) -> None:
    """412, and both are as they were."""
    at.put("new.bin", b"new")
    assert at.dav("MOVE", "new.bin", at.to("old.bin"), KEEP).status_code == 412
    assert (at.holds("new.bin"), at.holds("old.bin")) == (b"new", b"old")


@law("2.2", "MOVE onto what exists")
def move_overwrites(at: At) -> None:
    """204 without the header; the id of what was moved wins."""
    file_id = at.put("new.bin", b"new").headers["OC-FileId"]
    assert at.dav("MOVE", "new.bin", at.to("old.bin")).status_code == 204
    assert at.holds("old.bin") == b"new"
    assert at.properties("old.bin", f"{OC}id")[f"{OC}id"] == file_id


@law("2.2", "MOVE keeps the id, and tells it")
def move_keeps_the_id(at: At) -> None:
    """With an ETag."""
    file_id = at.properties("old.bin", f"{OC}id")[f"{OC}id"]
    answer = at.dav("MOVE", "old.bin", at.to("sub/new.bin"), KEEP)
    assert answer.headers["OC-FileId"] == file_id == at.properties("sub/new.bin", f"{OC}id")[f"{OC}id"]
    assert answer.headers["ETag"]


@law("2.2", "only the path of a destination counts")
def destinations(at: At) -> None:
    """It may stand alone, or behind a foreign host."""
    assert at.dav("MOVE", "old.bin", {"Destination": at.where("1.bin")}).status_code == 201
    assert at.dav("MOVE", "1.bin", {"Destination": "https://elsewhere.example" + at.where("2.bin")}).status_code == 201
    assert at.holds("2.bin") == b"old"


@law("2.2", "MOVE of a collection takes what is in it along")
def move_collection(at: At) -> None:
    """RFC 4918, 9.9.2; and a COPY leaves it (9.8)."""
    at.put("sub/a.bin", b"a")
    assert at.dav("MOVE", "sub", at.to("new"), KEEP).status_code == 201
    assert (at.holds("new/a.bin"), at.holds("sub/a.bin")) == (b"a", None)
    assert at.dav("COPY", "new", at.to("copy"), KEEP).status_code == 201
    assert (at.holds("new/a.bin"), at.holds("copy/a.bin")) == (b"a", b"a")


@law("2.2", "COPY makes a file of its own")
def copy(at: At) -> None:
    """RFC 4918, 9.8."""
    assert at.dav("COPY", "old.bin", at.to("new.bin"), KEEP).status_code == 201
    assert (at.holds("new.bin"), at.holds("old.bin")) == (b"old", b"old")
    assert at.properties("new.bin", f"{OC}id") != at.properties("old.bin", f"{OC}id")


@law("2.2", "MKCOL tells an id")
def id_of_collection(at: At) -> None:
    """It is the one that PROPFIND has."""
    assert at.dav("MKCOL", "new").headers["OC-FileId"] == at.properties("new", f"{OC}id")[f"{OC}id"]


@law("2.2", "PROPPATCH keeps properties of anybody")
def dead_properties(at: At) -> None:
    """But not the date."""
    name, date = "{urn:lab:attach}msgid", f"{DAV}getlastmodified"

    def patched(inner: str) -> httpx.Response:
        body = f'<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop>{inner}</d:prop></d:set></d:propertyupdate>'
        return at.dav("PROPPATCH", "old.bin", content=body.encode())

    answer = patched('<x:msgid xmlns:x="urn:lab:attach">42</x:msgid>')
    assert (answer.status_code, b"200 OK" in answer.content) == (207, True)
    assert at.properties("old.bin", name)[name] == "42"
    answer = patched(f"<d:{date.removeprefix(DAV)}>Fri, 14 Jul 2017 02:40:00 GMT</d:{date.removeprefix(DAV)}>")
    assert (answer.status_code, b" 403 " in answer.content) == (207, True)


@law("2.2", "several files in one request")
def bulk(at: At) -> None:
    """The only checksum that is held against the bytes; what exists is overwritten."""

    def sent(digest: str) -> httpx.Response:
        head = f"Content-Length: 3\r\nX-File-Path: {at.path('old.bin')}\r\nX-File-MD5: {digest}\r\n\r\n"
        body = b"--b\r\n" + head.encode() + b"new\r\n--b--\r\n"
        kind = {"Content-Type": "multipart/related; boundary=b"}
        return at.ask("POST", "/remote.php/dav/bulk", kind, content=body)

    wrong = sent(hashlib.md5(b"other").hexdigest())
    assert (wrong.status_code, wrong.json(), at.holds("old.bin")) == (400, [], b"old")
    right = sent(hashlib.md5(b"new").hexdigest())
    told = right.json()[at.path("old.bin")]
    assert (right.status_code, told["error"], at.holds("old.bin")) == (200, False, b"new")
    assert {"etag", "fileid", "permissions"} <= set(told)


@law("2.2", "an address that opens a file without a login")
def direct(at: At) -> None:
    """For whoever has it."""
    file_id = at.properties("old.bin", f"{OC}fileid")[f"{OC}fileid"]
    url = data(at.ocs("POST", "apps/dav/api/v1/direct", json={"fileId": int(file_id)}))["url"]
    assert "/remote.php/direct/" in url
    path = url[url.index("/remote.php/") :]
    assert at.ask("GET", path, who=None).content == b"old"


# --- 2.3 PROPFIND -------------------------------------------------------------------------------------------------


@law("2.3", "the properties of a file and of a collection")
def properties(at: At) -> None:
    """What a file may be done with, its size, whose it is."""
    told = at.properties("old.bin", f"{OC}size", f"{OC}permissions", f"{OC}owner-id", f"{DAV}getcontentlength")
    assert told[f"{OC}permissions"] == "RGDNVW"
    assert (told[f"{OC}size"], told[f"{DAV}getcontentlength"]) == ("3", "3")
    assert told[f"{OC}owner-id"].lower() == at.one.user.lower()
    assert at.properties("old.bin", f"{NC}mount-type")[f"{NC}mount-type"] == ""
    told = at.properties("", f"{OC}size", f"{OC}permissions", f"{DAV}quota-used-bytes", f"{DAV}quota-available-bytes")
    assert (told[f"{OC}size"], told[f"{OC}permissions"]) == ("3", "RGDNVCK")
    assert int(told[f"{DAV}quota-used-bytes"]) >= 3
    assert int(told[f"{DAV}quota-available-bytes"]) != 0


@law("2.3", "without a quota, -3 bytes are available", Need.CONTROL)
def unlimited(at: At) -> None:
    """For collections only."""
    name = f"{DAV}quota-available-bytes"
    assert at.properties("", name)[name] == "-3"
    assert at.properties("old.bin", name)[name] is None


@law("2.3", "there is a property for the time of upload, and none for checksums that were never sent")
def absent_properties(at: At) -> None:
    """404 in a second propstat."""
    told = at.properties("old.bin", f"{OC}checksums", f"{NC}upload_time", "{urn:x}none")
    assert int(told.pop(f"{NC}upload_time")) > 1_500_000_000
    assert told == {f"{OC}checksums": None, "{urn:x}none": None}


@law("2.3", "hrefs have lower-case hex, a bare colon, and a slash behind collections")
def hrefs(at: At) -> None:
    """So they are to be decoded before they are compared."""
    for name in ("Prüfung.txt", "a:b.txt"):
        assert at.put(name, b"x").status_code == 201
    told = [each.partition(at.folder)[2] for each in at.listed(at.where())]
    assert sorted(told) == ["/", "/Pr%c3%bcfung.txt", "/a:b.txt", "/old.bin", "/sub/"]


# --- 2.4 chunked upload -------------------------------------------------------------------------------------------


def upload(at: At, *chunks: bytes, to: str = "new.bin", total: int | None = None) -> dict[str, str]:
    """All but the last step; the headers for that."""
    length = {"OC-Total-Length": str(total if total is not None else sum(map(len, chunks)))}
    headers = at.to(to) | length
    assert at.ask("MKCOL", at.upload(), at.to(to)).status_code == 201
    for number, chunk in enumerate(chunks, 1):
        assert at.ask("PUT", at.upload(f"{number:05}"), headers, content=chunk).status_code == 201
    return headers


def exists(at: At) -> bool:
    """Whether the unfinished upload is there."""
    return at.ask("PROPFIND", at.upload(), {"Depth": "0"}).status_code == 207


def ended(check: Callable[[At], None]) -> Callable[[At], None]:
    """Nothing of it stays."""

    def checked(at: At) -> None:
        try:
            check(at)
        finally:
            at.ask("DELETE", at.upload())

    return checked


@law("2.4", "an upload in chunks")
@ended
def chunks(at: At) -> None:
    """201 with the hash of the whole, and the upload is gone."""
    headers = upload(at, b"one", b"two") | KEEP | SHA256 | {"X-OC-MTime": "1500000000"}
    answer = at.ask("MOVE", at.upload(".file"), headers)
    assert (answer.status_code, answer.headers["X-Hash-SHA256"]) == (201, sha256(b"onetwo"))
    assert answer.headers["X-OC-MTime"] == "accepted"
    assert answer.headers["OC-FileId"] == at.properties("new.bin", f"{OC}id")[f"{OC}id"]
    assert answer.headers["ETag"]
    assert (at.holds("new.bin"), exists(at)) == (b"onetwo", False)


@law("2.4", "an upload of a name that is taken")
@ended
def upload_again(at: At) -> None:
    """405."""
    upload(at)
    assert at.ask("MKCOL", at.upload(), at.to("new.bin")).status_code == 405


@law("2.4", "a wrong total length")
@ended
def wrong_total(at: At) -> None:
    """400, and the upload can be finished."""
    headers = upload(at, b"one", total=3)
    answer = at.ask("MOVE", at.upload(".file"), headers | {"OC-Total-Length": "4"} | KEEP)
    assert answer.status_code == 400
    assert "Chunks on server do not sum up to 4 but to 3 bytes" in message(answer)
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 201


@law("2.4", "an upload to a name that is taken meanwhile")
@ended
def upload_to_existing(at: At) -> None:
    """412 with Overwrite: F, and the upload stays."""
    headers = upload(at, b"one", to="old.bin")
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 412
    assert (exists(at), at.holds("old.bin")) == (True, b"old")


@law("2.4", "If-None-Match at the end is always 412")
@ended
def fresh_assembly(at: At) -> None:
    """It is held against `.file`."""
    headers = upload(at, b"one")
    assert at.ask("MOVE", at.upload(".file"), headers | FRESH).status_code == 412
    assert at.holds("new.bin") is None


@law("2.4", "an upload into nowhere")
@ended
def upload_without_parent(at: At) -> None:
    """409, and it can be finished elsewhere."""
    headers = upload(at, b"one", to="no/new.bin")
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 409
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP | at.to("new.bin")).status_code == 201


@law("2.4", "a name that is not allowed is told at the end only")
@ended
def upload_to_bad_name(at: At) -> None:
    """400."""
    headers = upload(at, b"one", to=".htaccess")
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 400


@law("2.4", "what is there of an upload")
@ended
def resumed(at: At) -> None:
    """The chunks with their sizes, and `.file`; a chunk may come again."""
    headers = upload(at, b"one", b"two!")
    told = at.listed(at.upload())
    names = {unquote(href).rstrip("/").rpartition("/")[2]: size for href, size in told.items()}
    assert {"00001": 3, "00002": 4}.items() <= names.items()
    assert ".file" in names
    assert at.ask("PUT", at.upload("00001"), headers, content=b"1").status_code == 204
    uploads = at.listed(f"/remote.php/dav/uploads/{at.one.user}")
    assert any(at.folder in href for href in uploads)


@law("2.4", "a chunk that is too short harms none")
@ended
def torn_chunk(at: At) -> None:
    """400, neither a new one nor the old one has changed."""
    headers = upload(at, b"one")
    for chunk in ("00001", "00002"):
        status, _ = at.torn(at.upload(chunk), 100, b"a" * 50)
        assert status in (400, None)
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 201
    assert at.holds("new.bin") == b"one"


@law("2.4", "an upload that is given up")
@ended
def given_up(at: At) -> None:
    """204."""
    upload(at, b"one")
    assert at.ask("DELETE", at.upload()).status_code == 204
    assert not exists(at)


@law("2.4", "chunks are put together by the natural order of their names", Need.CONTROL)
@ended
def natural_order(at: At) -> None:
    """10 comes after 2. With an object store behind it, names must be numbers from 1."""
    upload(at)
    for name in ("10", "2", "1"):
        at.ask("PUT", at.upload(name), content=name.encode())
    assert at.ask("MOVE", at.upload(".file"), at.to("new.bin")).status_code == 201
    assert at.holds("new.bin") == b"1210"


@law("2.4", "with an object store behind it, the rules are strict", Need.CONTROL)
@ended
def strict_chunks(at: At) -> None:
    """Numbers from 1 to 10,000, and a destination with every request [code]."""
    at.server.cloud.settings.strict_chunks = True
    headers = upload(at, b"one")
    for name, more in (("0", headers), ("10001", headers), ("abc", headers), ("00002", {})):
        assert at.ask("PUT", at.upload(name), more, content=b"x").status_code == 400
    assert at.ask("MOVE", at.upload(".file"), headers | KEEP).status_code == 201


@law("2.4", "COPY puts chunks together too")
@ended
def copied_together(at: At) -> None:
    """201, and the upload stays."""
    headers = upload(at, b"one")
    assert at.ask("COPY", at.upload(".file"), headers | KEEP).status_code == 201
    assert (at.holds("new.bin"), exists(at)) == (b"one", True)


@law("2.1, 2.4", "parents are not made on the way of an upload")
def no_auto_mkcol(at: At) -> None:
    """404."""
    answer = at.ask("PUT", at.upload("1"), {"X-NC-WebDAV-Auto-Mkcol": "1"}, content=b"x")
    assert answer.status_code == 404


@law("2.4", "an unfinished upload is forgotten after a day", Need.CONTROL)
def forgotten_upload(at: At) -> None:
    """24 hours of inactivity [code]."""
    upload(at, b"one")
    at.server.cloud.ahead += 86_400 + 1
    assert not exists(at)


@law("2.4", "a quota is told at once where the whole length is", Need.CONTROL)
@ended
def quota_of_chunks(at: At) -> None:
    """Without it, at the end only: 507."""
    cloud = at.server.cloud
    cloud.users[at.one.user].quota = cloud.homes[at.one.user].size + 4
    assert at.ask("MKCOL", at.upload(), at.to("new.bin")).status_code == 201
    announced = at.to("new.bin") | {"OC-Total-Length": "5"}
    assert at.ask("PUT", at.upload("1"), announced, content=b"12345").status_code == 507
    assert at.ask("PUT", at.upload("1"), at.to("new.bin"), content=b"12345").status_code == 201
    assert at.ask("MOVE", at.upload(".file"), at.to("new.bin"), KEEP).status_code == 507


@law("2.4", "the hints for chunks")
def hints(at: At) -> None:
    """In the capabilities."""
    told = data(at.ocs("GET", "cloud/capabilities"))["capabilities"]
    assert set(told["files"]["chunked_upload"]) >= {"max_size", "max_parallel_count"}
    assert told["dav"]["chunking"] == "1.0"
    assert told["dav"]["public_shares_chunking"] is False


# --- 2.5 names ----------------------------------------------------------------------------------------------------

REFUSED = {
    "a backslash": "a\\b", "a tab": "a\tb", "a line break": "a\nb", "control 1": "a\x01b", "only spaces": "   ",
    ".htaccess": ".htaccess", ".HtAccess": ".HtAccess", "*.part": "a.part", "*.PART": "a.PART",
    "*.filepart": "a.filepart", "251 bytes": "a" * 251, "251 bytes in UTF-8": "ü" * 125 + "a",
}  # fmt: skip
ACCEPTED = {
    "a colon": "a:b", "an asterisk": "a*b", "a question mark": "a?b", "quotation marks": 'a"b"', "angles": "<a>",
    "a bar": "a|b", "a dot at the end": "a.", "a space at the end": "a ", "a space before": " a", "NBSP": "\u00a0",
    "three dots": "...", "CON": "CON", "NUL": "NUL", "LPT1": "LPT1", "hidden": ".hidden", ".htpasswd": ".htpasswd",
    ".user.ini": ".user.ini", "emoji": "👨\u200d👩\u200d👧", "CJK": "文書", "RTL": "a\u202eb", "zero width": "a\u200bb",
    "BOM": "\ufeffa", "DEL": "a\x7fb", "C1": "a\u0085b", "percent": "100%25", "hash": "a#b", "semicolon": "a;b",
    "plus": "a+b", "250 bytes": "a" * 250, "250 bytes in UTF-8": "ü" * 125,
}  # fmt: skip
FOR_WINDOWS = [
    "a<b", "a>b", "a:b", 'a"b', "a|b", "a?b", "a*b", "a.", "a ", "CON", "prn.txt", "AUX", "NUL", "COM0", "lpt9.x",
]  # fmt: skip


def _refused(name: str) -> Callable[[At], None]:
    def check(at: At) -> None:
        answer = at.put(name, b"x")
        assert (answer.status_code, exception(answer)) == (400, "InvalidPath")
        assert b"retry" in answer.content
        assert b"reason" in answer.content
        assert message(answer)

    return check


def _accepted(name: str) -> Callable[[At], None]:
    def check(at: At) -> None:
        assert at.put(name, b"x").status_code == 201
        found = {unquote(each).rstrip("/").rpartition("/")[2] for each in at.listed(at.where())}
        assert name.replace("%25", "%") in found

    return check


LAWS += [Law("2.5", f"refused: {says}", _refused(name)) for says, name in REFUSED.items()]
LAWS += [Law("2.5", f"accepted: {says}", _accepted(name)) for says, name in ACCEPTED.items()]


@law("2.5", "a name with a NUL is not found by the web server")
def nul(at: At) -> None:
    """404, by Apache."""
    assert at.put("a%00b", b"x").status_code == 404


@law("2.5", "a path of more than 4000 characters")
def long_path(at: At) -> None:
    """400."""
    answer = at.put("/".join(["a" * 200] * 20), b"x", {"X-NC-WebDAV-Auto-Mkcol": "1"})
    assert answer.status_code == 400


@law("2.5", "NFD and NFC are one name")
def normal_form(at: At) -> None:
    """PUT of the one overwrites the other."""
    assert at.put("Pr\u00fcfung", b"1").status_code == 201
    assert at.put("Pru\u0308fung", b"2").status_code == 204
    assert at.holds("Pr\u00fcfung") == b"2"


@law("2.5", "a bare byte of Latin-1 becomes its letter")
def latin_1(at: At) -> None:
    """`%E9` is é."""
    assert at.put("caf%E9", b"x").status_code == 201
    assert at.holds("café") == b"x"


@law("2.5", "the case of a letter counts")
def case(at: At) -> None:
    """Two files."""
    assert at.put("OLD.bin", b"x").status_code == 201
    assert at.holds("old.bin") == b"old"


@law("2.5", "names that Windows cannot keep may be forbidden", Need.CONTROL)
def windows(at: At) -> None:
    """An administrator's choice, told in the capabilities."""
    at.server.cloud.settings.windows_names = True
    for name in FOR_WINDOWS:
        assert at.put(name, b"x").status_code == 400, name
    told = data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["files"]
    assert told["windows_compatible_filenames"] is True
    assert set('<>:"|?*') <= set(told["forbidden_filename_characters"])


@law("2.5", "what names are forbidden is told in the capabilities")
def told_names(at: At) -> None:
    """Four lists and a switch."""
    told = data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["files"]
    lists = ("characters", "basenames", "extensions")
    assert {*(f"forbidden_filename_{each}" for each in lists), "forbidden_filenames"} <= set(told)
    assert "\\" in told["forbidden_filename_characters"]
    assert ".htaccess" in told["forbidden_filenames"]
    assert {".part", ".filepart"} <= set(told["forbidden_filename_extensions"])


# --- 2.6 quota, locks, races --------------------------------------------------------------------------------------


@law("2.6", "a full quota", Need.CONTROL)
def quota(at: At) -> None:
    """507 for files and collections, but not for a file without bytes."""
    cloud = at.server.cloud
    cloud.users[at.one.user].quota = cloud.homes[at.one.user].size + 4
    answer = at.put("new.bin", b"12345")
    assert (answer.status_code, exception(answer)) == (507, "InsufficientStorage")
    assert "5 required, 4 available" in message(answer)
    assert at.put("full.bin", b"1234").status_code == 201
    assert at.dav("MKCOL", "new").status_code == 507
    assert at.put("empty.bin", b"").status_code == 201
    name = f"{DAV}quota-available-bytes"
    assert at.properties("", name)[name] == "0"
    assert data(at.ocs("GET", "cloud/user"))["quota"]["free"] == 0


@law("2.1", "a body in chunks goes past the quota", Need.CONTROL)
def quota_and_chunks(at: At) -> None:
    """Afterwards nothing is available."""
    cloud = at.server.cloud
    cloud.users[at.one.user].quota = cloud.homes[at.one.user].size + 4
    assert at.put("new.bin", iter([b"12345"])).status_code == 201
    name = f"{DAV}quota-available-bytes"
    assert at.properties("", name)[name] == "0"


@law("2.6", "a locked file", Need.CONTROL)
def locks(at: At) -> None:
    """423 for PUT, GET and DELETE."""
    at.server.cloud.lock_file(at.one.user, at.path("old.bin"))
    for method in ("PUT", "GET", "DELETE"):
        answer = at.dav(method, "old.bin")
        assert (answer.status_code, exception(answer)) == (423, "FileLocked")
        assert "is locked" in message(answer)


@law("1.9, 2.6", "MOVE of a locked file is 500", Need.CONTROL)
def locked_move(at: At) -> None:
    """Not 423."""
    at.server.cloud.lock_file(at.one.user, at.path("old.bin"))
    answer = at.dav("MOVE", "old.bin", at.to("new.bin"), KEEP)
    assert (answer.status_code, exception(answer)) == (500, "LockedException")
    assert message(answer).endswith("is locked")
    at.server.cloud.lock_file(at.one.user, at.path("old.bin"), locked=False)
    assert at.dav("MOVE", "old.bin", at.to("new.bin"), KEEP).status_code == 201


def _at_once(ask: Callable[[int], httpx.Response]) -> list[int]:
    """The statuses of four requests at the same time."""
    with ThreadPoolExecutor(4) as pool:
        return [answer.status_code for answer in pool.map(ask, range(4))]


@law("2.6", "one name, four at once: one wins at most")
def race(at: At) -> None:
    """The others hear 412, 423 or 403."""
    told = _at_once(lambda number: at.put("new.bin", str(number).encode(), FRESH))
    assert told.count(201) == 1
    assert set(told) <= {201, 412, 423, 403}


@law("2.6", "one target, four moves at once: none or one gets there")
def race_of_moves(at: At) -> None:
    """The others hear 412 or 500, and so may all."""
    for number in range(4):
        at.put(f"{number}.bin", b"x")
    told = _at_once(lambda number: at.dav("MOVE", f"{number}.bin", at.to("new.bin"), KEEP))
    assert told.count(201) <= 1
    assert set(told) <= {201, 412, 500}


@law("2.6", "four files whose parents are made on the way")
def race_of_parents(at: At) -> None:
    """201 or 423."""
    make = {"X-NC-WebDAV-Auto-Mkcol": "1"}
    told = _at_once(lambda number: at.put(f"a/b/{number}.bin", b"x", make))
    assert set(told) <= {201, 423}


@law("2.6", "a second upload while the first one is on its way")
def contested(at: At) -> None:
    """423; the first one is written."""
    with closing(at.line(at.where("new.bin"), "Content-Length: 6")) as line:
        line.sendall(b"fir")
        time.sleep(0.3)
        answer = at.put("new.bin", b"second")
        assert (answer.status_code, exception(answer)) == (423, "FileLocked")
        assert "is locked" in message(answer)
        line.sendall(b"st!")
        assert b" 201 " in line.recv(65536)
    assert at.holds("new.bin") == b"first!"


@law("2.6", "one collection, four at once: none or one is made")
def race_of_collections(at: At) -> None:
    """The others hear 405 or 423, and so may all."""
    told = _at_once(lambda _: at.dav("MKCOL", "new"))
    assert told.count(201) <= 1
    assert set(told) <= {201, 405, 423}


@law("2.6", "eight files in one collection at once")
def no_race(at: At) -> None:
    """All are written."""
    assert set(_at_once(lambda number: at.put(f"{number}.bin", b"x"))) == {201}


@law("2.6", "who loses a race may hear anything", Need.CONTROL)
def lost_race(at: At) -> None:
    """403 for a PUT, 423 for an MKCOL, 500 for a MOVE; the next try is served."""
    for method, name, status, told in (
        ("PUT", "new.bin", 403, "Forbidden"),
        ("MKCOL", "new", 423, "FileLocked"),
        ("MOVE", "old.bin", 500, "LockedException"),
    ):
        at.server.cloud.lose_races(method, status)
        headers = at.to("other.bin") | KEEP
        answer = at.dav(method, name, headers)
        assert (answer.status_code, exception(answer)) == (status, told)
        assert at.dav(method, name, headers).status_code == 201


@law("2.6", "maintenance", Need.CONTROL)
def maintenance(at: At) -> None:
    """503 everywhere, told in three ways; only the status page says so with 200."""
    at.server.cloud.settings.maintenance = True
    dav = at.dav("PROPFIND", "")
    assert (dav.status_code, exception(dav)) == (503, "ServerMaintenanceMode")
    assert not {"retry-after", "x-nextcloud-maintenance-mode"} & set(dav.headers)
    api = at.ocs("GET", "cloud/user")
    assert (api.status_code, api.headers["X-Nextcloud-Maintenance-Mode"]) == (503, "1")
    assert message(api) == "Service unavailable"
    page = at.ask("GET", "/index.php/login")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "120")
    assert page.headers["X-Nextcloud-Maintenance-Mode"] == "1"
    status = at.ask("GET", "/status.php", who=None)
    assert (status.status_code, status.json()["maintenance"]) == (200, True)


@law("2.6", "the status page")
def status_page(at: At) -> None:
    """For everybody."""
    told = at.ask("GET", "/status.php", who=None).json()
    assert {"installed": True, "maintenance": False, "needsDbUpgrade": False}.items() <= told.items()
    assert told["versionstring"]


# --- 2.6 who asks -------------------------------------------------------------------------------------------------


@law("2.6", "nobody")
def nobody(at: At) -> None:
    """401."""
    answer = at.dav("PROPFIND", "", who=None)
    assert (answer.status_code, exception(answer)) == (401, "NotAuthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Nextcloud", charset="UTF-8"'
    assert at.dav("OPTIONS", "", who=None).status_code == 401
    api = at.ocs("GET", "cloud/user", who=None)
    assert (api.status_code, api.json()["ocs"]["meta"]["statuscode"]) == (401, 997)
    assert api.json()["ocs"]["meta"]["status"] == "failure"


# --- the trash and versions, as the documentation and the code have them [I] ------------------------------------------


def trashed(at: At, name: str) -> str | None:
    """The path of what was deleted there, in the trash."""
    body = f'<d:propfind xmlns:d="DAV:"><d:prop><x:{LOCATION} xmlns:x="{NC[1:-1]}"/></d:prop></d:propfind>'.encode()
    answer = at.ask("PROPFIND", f"{TRASH}{at.one.user}/trash", {"Depth": "1"}, content=body)
    assert answer.status_code == 207
    for each in etree.fromstring(answer.content).iter(f"{DAV}response"):
        if each.findtext(f".//{NC}{LOCATION}") == f"{at.folder}/{name}":
            return each.findtext(f"{DAV}href")
    return None


@law("2.2, documentation", "what is deleted goes to the trash")
def trash(at: At) -> None:
    """With where it was, its number and its bytes, until it is deleted there too."""
    file_id = at.properties("old.bin", f"{OC}fileid")
    assert trashed(at, "old.bin") is None
    at.dav("DELETE", "old.bin")
    path = trashed(at, "old.bin")
    assert path
    assert at.properties("", f"{OC}fileid", url=path) == file_id
    assert at.properties("", f"{NC}trashbin-filename", url=path) == {f"{NC}trashbin-filename": "old.bin"}
    assert at.ask("GET", path).content == b"old"
    assert [at.ask("DELETE", path).status_code for _ in "twice"[:2]] == [204, 404]
    assert trashed(at, "old.bin") is None


@law("documentation", "a folder is in the trash with what is in it")
def trashed_folder(at: At) -> None:
    """Which goes piece by piece, or with it."""
    for name in ("sub/a.bin", "sub/b.bin"):
        at.put(name, b"x")
    at.dav("DELETE", "sub")
    path = str(trashed(at, "sub")).rstrip("/")
    location = f"{NC}{LOCATION}"
    assert at.properties("", location, url=f"{path}/a.bin") == {location: f"{at.folder}/sub/a.bin"}
    assert [at.ask("DELETE", f"{path}/a.bin").status_code for _ in "twice"[:2]] == [204, 404]
    assert [unquote(each).rpartition("/")[2] for each in at.listed(path)][1:] == ["b.bin"]
    assert at.ask("DELETE", path).status_code == 204
    assert at.ask("GET", f"{path}/b.bin").status_code == 404


@law("documentation", "what is in the trash comes back")
def restored(at: At) -> None:
    """To where it was."""
    at.dav("DELETE", "old.bin")
    where = {"Destination": f"{at.place.url}{TRASH}{at.one.user}/restore/old.bin"}
    assert at.ask("MOVE", str(trashed(at, "old.bin")), where).status_code == 201
    assert at.holds("old.bin") == b"old"
    assert trashed(at, "old.bin") is None


@law("code", "a trash that may not be emptied, and one that is not there", Need.CONTROL)
def no_trash(at: At) -> None:
    """403, and 404."""
    settings = at.server.cloud.settings
    settings.trash_may_be_emptied = False
    at.dav("DELETE", "old.bin")
    assert at.ask("DELETE", str(trashed(at, "old.bin"))).status_code == 403
    settings.trash = False
    assert at.ask("PROPFIND", f"{TRASH}{at.one.user}/trash").status_code == 404


@law("code", "somebody else's trash and versions", Need.OTHER)
def foreign_trash(at: At) -> None:
    """403, as for everything that cannot be done there."""
    assert at.ask("PROPFIND", f"{TRASH}{at.other.user}/trash").status_code == 403
    assert at.ask("PROPFIND", f"{VERSIONS}{at.other.user}/versions/1").status_code == 403
    for path in (f"{TRASH}{at.one.user}/other", f"{VERSIONS}{at.one.user}/versions/0"):
        assert at.ask("PROPFIND", path).status_code == 404


def versions(at: At, name: str) -> str:
    """Where those of a file are."""
    return f"{VERSIONS}{at.one.user}/versions/{at.properties(name, f'{OC}fileid')[f'{OC}fileid']}"


@law("documentation", "an overwritten file has versions")
def versioned(at: At) -> None:
    """By when they were written; one that is moved to the place for that is what the file has in it again."""
    at.put("new.bin", b"first", {"X-OC-MTime": "1500000000"})
    at.put("new.bin", b"second")
    where = versions(at, "new.bin")
    sizes = {unquote(each).rstrip("/").rpartition("/")[2]: size for each, size in at.listed(where).items()}
    assert sizes["1500000000"] == 5
    assert at.ask("GET", f"{where}/1500000000").content == b"first"
    assert at.ask("GET", f"{where}/4711").status_code == 404
    to = {"Destination": f"{at.place.url}{VERSIONS}{at.one.user}/restore/new.bin"}
    assert at.ask("MOVE", f"{where}/1500000000", to).status_code in (201, 204)
    assert at.holds("new.bin") == b"first"


@law("code", "a version is deleted, and goes with its file")
def version_deleted(at: At) -> None:
    """From the trash too."""
    for moment in ("1500000000", "1600000000", "1700000000"):
        at.put("new.bin", moment.encode(), {"X-OC-MTime": moment})
    where = versions(at, "new.bin")
    assert [at.ask("DELETE", f"{where}/1500000000").status_code for _ in "twice"[:2]] == [204, 404]
    assert at.ask("GET", f"{where}/1600000000").content == b"1600000000"
    at.dav("DELETE", "new.bin")
    assert at.ask("PROPFIND", where).status_code == 404


@law("2.6", "a wrong password", Need.WRONG_LOGIN)
def wrong_password(at: At) -> None:
    """401."""
    wrong = type(at.one)(at.one.user, "wrong")
    answer = at.dav("PROPFIND", "", who=wrong)
    assert (answer.status_code, exception(answer)) == (401, "NotAuthenticated")


@law("2.6", "an app password is bound to the name of the login", Need.CONTROL)
def bound_app_password(at: At) -> None:
    """401 with the e-mail address; the password of the account takes it."""
    user = at.server.cloud.users[at.one.user]
    account = type(at.one)
    assert at.dav("PROPFIND", "", who=account(user.email, at.one.password)).status_code == 401
    assert at.dav("PROPFIND", "", who=account(user.email, user.password)).status_code == 207


@law("2.6", "only the password of the account gets an app password", Need.CONTROL)
def app_password(at: At) -> None:
    """403 for an app password."""
    user = at.server.cloud.users[at.one.user]
    account = type(at.one)(user.id, user.password)
    told = data(at.ocs("GET", "core/getapppassword", who=account))
    assert at.dav("PROPFIND", "", who=type(at.one)(user.id, told["apppassword"])).status_code == 207


@law("2.6", "an app password gets no other")
def no_second_app_password(at: At) -> None:
    """403."""
    assert at.ocs("GET", "core/getapppassword").status_code == 403


@law("2.6", "the API asks for a header")
def csrf(at: At) -> None:
    """412 without it."""
    answer = at.ask("GET", "/ocs/v2.php/cloud/user")
    assert (answer.status_code, answer.json()["message"]) == (412, "CSRF check failed")


@law("1.9, 2.6", "a disabled account is 503", Need.CONTROL)
def disabled(at: At) -> None:
    """Though waiting does not help."""
    at.server.cloud.users[at.one.user].enabled = False
    answer = at.dav("PROPFIND", "")
    assert (answer.status_code, exception(answer)) == (503, "ServiceUnavailable")
    assert "OC\\User\\DisabledUserException: Account disabled" in message(answer)


@law("1.5", "cookies count for more than a password", Need.OTHER)
def cookies(at: At) -> None:
    """With the session of one, another one's login is passed over, and a wrong password too."""
    login = at.ocs("GET", "cloud/user")
    jar = "; ".join(f"{name}={value}" for name, value in login.cookies.items())
    assert len(login.headers.get_list("set-cookie")) >= 4
    for who in (at.other, type(at.one)(at.one.user, "wrong")):
        told = data(at.ask("GET", "/ocs/v2.php/cloud/user", {"OCS-APIRequest": "true", "Accept": "application/json",
                                                             "Cookie": jar}, who=who))  # fmt: skip
        assert told["id"].lower() == at.one.user.lower()


@law("1.4, 2.6", "eleven wrong logins lock an address out", Need.CONTROL)
def brute_force(at: At) -> None:
    """429 for everybody there, with the right password too, for half an hour; elsewhere nobody notices."""
    at.server.cloud.settings.allowed.clear()
    wrong = type(at.one)(at.one.user, "wrong")
    for _ in range(11):
        assert at.dav("PROPFIND", "", who=wrong).status_code == 401
    for who in (wrong, at.one, at.other):
        answer = at.dav("PROPFIND", "", who=who)
        assert (answer.status_code, exception(answer)) == (429, "TooManyRequests")
        assert "retry-after" not in answer.headers
        api = at.ocs("GET", "cloud/user", who=who)
        assert (api.status_code, message(api)) == (429, "Reached maximum delay")
    assert at.dav("PROPFIND", "", {"X-Test-Client": "192.0.2.1"}).status_code == 207
    at.server.cloud.ahead += 1801
    assert at.dav("PROPFIND", "").status_code == 207


@law("2.6, 3", "an address that is allowed is not counted", Need.CONTROL)
def allowed_address(at: At) -> None:
    """And the capabilities say that it is."""
    told = data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["bruteforce"]
    assert told["allow-listed"] is False
    at.server.cloud.settings.allowed = {"127.0.0.1"}
    for _ in range(12):
        assert at.dav("PROPFIND", "", who=type(at.one)(at.one.user, "wrong")).status_code == 401
    assert at.dav("PROPFIND", "").status_code == 207
    assert data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["bruteforce"]["allow-listed"] is True


@law("2.6, 5", "another one's home", Need.OTHER)
def foreign_home(at: At) -> None:
    """403 for writing; to a reader it is an empty collection."""
    url = f"/remote.php/dav/files/{at.other.user}/"
    answer = at.ask("PUT", url + "laws.bin", content=b"x")
    assert (answer.status_code, exception(answer)) == (403, "Forbidden")
    assert message(answer) == "Permission denied to create file"
    assert len(at.listed(url)) == 1
    assert at.ask("GET", url + "laws.bin").status_code == 404


@law("4", "the login flow waits for its user")
def login_flow(at: At) -> None:
    """404 and `[]` until he grants it."""
    told = at.ask("POST", "/index.php/login/v2", who=None).json()
    assert told["poll"]["endpoint"].endswith("/login/v2/poll")
    assert "/login/v2/flow/" in told["login"]
    path = "/index.php/login/v2/poll"
    answer = at.ask("POST", path, who=None, data={"token": told["poll"]["token"]})
    assert (answer.status_code, answer.json()) == (404, [])


# --- 1.6, 5 AppAPI ------------------------------------------------------------------------------------------------


def app(user: str, secret: str = "s3cret", version: str = "1.0.0") -> dict[str, str]:
    """The headers of an app that acts as a user."""
    told = httpx.BasicAuth(user, secret)._auth_header.removeprefix("Basic ")
    return {"EX-APP-ID": "bot", "EX-APP-VERSION": version, "AA-VERSION": "4.0.0", "AUTHORIZATION-APP-API": told}


@law("1.6, 5", "an app acts as anybody", Need.CONTROL)
def app_api(at: At) -> None:
    """With one secret, and without their passwords; a higher version is taken silently."""
    at.server.cloud.apps["bot"] = "s3cret"
    for user in (at.one.user, at.other.user):
        url = f"/remote.php/dav/files/{user}/app.bin"
        assert at.ask("PUT", url, app(user), who=None, content=b"x").status_code == 201
        assert at.ask("GET", url, app(user, version="9.0.0"), who=None).content == b"x"
    headers = app("") | {"OCS-APIRequest": "true", "Accept": "application/json"}
    users = at.ask("GET", "/ocs/v1.php/apps/app_api/api/v1/users", headers, who=None).json()["ocs"]["data"]
    assert set(users) == {at.one.user, at.other.user}


@law("5", "shares of an app count for whom it acts as", Need.CONTROL)
def app_api_shares(at: At) -> None:
    """After 20 for one, another one still has his."""
    at.server.cloud.apps["bot"] = "s3cret"
    at.ask("PUT", f"/remote.php/dav/files/{at.other.user}/a.bin", app(at.other.user), who=None, content=b"x")
    ocs = {"OCS-APIRequest": "true", "Accept": "application/json"}

    def shared(user: str, path: str) -> int:
        headers, values = app(user) | ocs, {"path": path, "shareType": 3}
        return at.ask("POST", f"/ocs/v2.php/{SHARES}", headers, who=None, json=values).status_code

    assert {shared(at.one.user, at.path("old.bin")) for _ in range(20)} == {200}
    assert (shared(at.one.user, at.path("old.bin")), shared(at.other.user, "/a.bin")) == (429, 200)


@law("5", "an app that does not say all, or says it wrong", Need.CONTROL)
def app_api_refused(at: At) -> None:
    """401."""
    at.server.cloud.apps["bot"] = "s3cret"
    without = app(at.one.user)
    del without["EX-APP-VERSION"]
    for headers in (without, app(at.one.user, "wrong"), app("nobody")):
        assert at.dav("PROPFIND", "", headers, who=None).status_code == 401


@law("code", "what is moved out of a share keeps its number", Need.OTHER)
def moved_out_of_a_share(at: At) -> None:
    """And belongs to whom took it; the folder itself stays [I]."""
    at.put("sub/a.bin", b"a")
    number = at.properties("sub/a.bin", f"{OC}fileid")
    shared = data(at.ocs("POST", SHARES, json={"path": at.path("sub"), "shareType": 0, "shareWith": at.other.user,
                                               "permissions": 31}))  # fmt: skip
    theirs = data(at.ocs("GET", f"{SHARES}?shared_with_me=true", who=at.other))
    (target,) = (each["file_target"] for each in theirs if each["id"] == shared["id"])
    home = f"/remote.php/dav/files/{at.other.user}"
    to = {"Destination": f"{at.place.url}{home}/{at.folder}.bin", "Overwrite": "F"}
    assert at.ask("MOVE", f"{home}{target}/a.bin", to, who=at.other).status_code == 201
    assert at.properties("", f"{OC}fileid", who=at.other, url=f"{home}/{at.folder}.bin") == number
    owner = f"{OC}owner-id"
    assert at.properties("", owner, who=at.other, url=f"{home}/{at.folder}.bin") == {owner: at.other.user}
    assert at.holds("sub/a.bin") is None
    assert at.ask("DELETE", f"{home}/{at.folder}.bin", who=at.other).status_code == 204


SEARCH = """<searchrequest xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><basicsearch>
<select><prop><oc:fileid/></prop></select>
<from><scope><href>/files/{user}</href><depth>infinity</depth></scope></from>
<where><eq><prop><oc:fileid/></prop><literal>{number}</literal></eq></where><orderby/>
</basicsearch></searchrequest>"""


@law("code", "a file is found by its number, wherever it was moved")
def search(at: At) -> None:
    """Among all that the account sees; nothing is found for a number that no file has."""
    at.put("a.bin", b"a")
    number = at.properties("a.bin", f"{OC}fileid")[f"{OC}fileid"]
    assert at.dav("MOVE", "a.bin", at.to("sub/b.bin")).status_code == 201

    def found(number: str) -> list[tuple[str, str | None]]:
        asked = SEARCH.format(user=at.one.user, number=number).encode()
        answer = at.ask("SEARCH", "/remote.php/dav/", {"Content-Type": "application/xml"}, content=asked)
        assert answer.status_code == 207
        listed = etree.fromstring(answer.content).iter(f"{DAV}response")
        return [(each.findtext(f"{DAV}href") or "", each.findtext(f".//{OC}fileid")) for each in listed]

    assert found(number) == [(at.where("sub/b.bin"), number)]
    assert found("999999999") == []


# --- system tags, as the code has them [I] ---------------------------------------------------------------------------


@law("code", "tags are listed with their ids, and are made once", Need.CONTROL)
def tags(at: At) -> None:
    """Those that not everybody puts on files are for administrators to make."""
    made = at.ask("POST", TAGS, json={"name": "no-ai"})
    assert made.status_code == 201
    tag = made.headers["Content-Location"].rpartition("/")[2]
    assert at.ask("POST", TAGS, json={"name": "no-ai"}).status_code == 409
    assert at.ask("POST", TAGS, json={"name": "x", "userAssignable": False}).status_code == 400
    root = etree.fromstring(at.ask("PROPFIND", TAGS, {"Depth": "1"}).content)
    assert [each.text for each in root.iter(f"{OC}id", f"{OC}display-name")] == [tag, "no-ai"]


@law("code", "a tag is put on a file by their ids", Need.CONTROL)
def tagged(at: At) -> None:
    """Once; one that does not exist is 412."""
    tag = at.ask("POST", TAGS, json={"name": "no-ai"}).headers["Content-Location"].rpartition("/")[2]
    file_id = at.properties("old.bin", f"{OC}fileid")[f"{OC}fileid"]
    url = f"/remote.php/dav/systemtags-relations/files/{file_id}"
    assert [at.ask("PUT", f"{url}/{each}").status_code for each in (tag, tag, "4711")] == [201, 409, 412]
    assert list(etree.fromstring(at.ask("PROPFIND", url).content).itertext(f"{OC}id")) == [tag]
    assert [at.ask("DELETE", f"{url}/{tag}").status_code for _ in "twice"[:2]] == [204, 404]
    assert at.ask("PUT", f"{url}0/{tag}").status_code == 404


@law("code", "whoever only reads a file does not tag it", Need.CONTROL)
def foreign_tags(at: At) -> None:
    """403; whoever may write does."""
    tag = at.server.cloud.add_tag("no-ai")
    node = at.server.cloud.find(at.server.cloud.users[at.one.user], at.path("sub"))[0]
    url = f"/remote.php/dav/systemtags-relations/files/{node.id}/{tag.id}"
    for permissions, status in ((1, 403), (31, 201)):
        shared = data(at.ocs("POST", SHARES, json={"path": at.path("sub"), "shareType": 0, "shareWith": at.other.user,
                                                   "permissions": permissions}))  # fmt: skip
        assert at.ask("PUT", url, who=at.other).status_code == status
        at.ocs("DELETE", f"{SHARES}/{shared['id']}")
    tag.assignable = False
    node.tags.clear()
    assert at.ask("PUT", url).status_code == 403


@pytest.mark.parametrize("where", places())
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_law(
    law: Law,
    where: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """The table above."""
    hold(law, where, request, record_property)


@pytest.mark.parametrize(("when", "there"), [("before", None), ("after", b"new"), ("half", b"new")])
def test_a_line_that_breaks(new_nextcloud: Place, when: str, there: bytes | None) -> None:
    """Before a request takes effect, after, or while it is answered."""
    with At(new_nextcloud) as at:
        at.server.drops = [(2, when)]
        assert at.put("first.bin", b"first").status_code == 201
        with pytest.raises(httpx.RemoteProtocolError):
            at.put("new.bin", b"new")
        assert at.holds("new.bin") == there


@pytest.mark.parametrize(("lie", "there"), [("flips", b"nev"), ("shortens", b"n")])
def test_a_disk_that_lies(new_nextcloud: Place, lie: str, there: bytes) -> None:
    """The hash of what came is right, that of what is kept tells the truth."""
    with At(new_nextcloud) as at:
        setattr(at.server.cloud, lie, True)
        answer = at.put("new.bin", b"new", SHA256)
        assert (answer.status_code, answer.headers["X-Hash-SHA256"]) == (201, sha256(b"new"))
        assert at.dav("PATCH", "new.bin", RECALCULATE).headers["OC-Checksum"] == f"SHA256:{sha256(there)}"
        assert at.holds("new.bin") == there


def test_an_older_server(new_nextcloud: Place) -> None:
    """It knows nothing of hashes, and says so."""
    with At(new_nextcloud) as at:
        at.server.cloud.settings.x_hash = at.server.cloud.settings.recalculate = False
        assert "X-Hash-SHA256" not in at.put("new.bin", b"new", SHA256).headers
        assert "nextcloud-checksum-update" not in at.dav("OPTIONS", "").headers["DAV"]
        assert at.dav("PATCH", "new.bin", RECALCULATE).status_code == 501


def test_an_account_that_goes(new_nextcloud: Place) -> None:
    """With its files, and with what it shared."""
    with At(new_nextcloud) as at:
        at.ask("PUT", f"/remote.php/dav/files/{at.other.user}/a.bin", who=at.other, content=b"a")
        shared = {"path": "/a.bin", "shareType": 0, "shareWith": at.one.user}
        assert at.ocs("POST", SHARES, json=shared, who=at.other).status_code == 200
        assert at.ask("GET", f"/remote.php/dav/files/{at.one.user}/a.bin").content == b"a"
        at.server.cloud.remove_user(at.other.user)
        assert at.ask("GET", f"/remote.php/dav/files/{at.one.user}/a.bin").status_code == 404
        assert at.ask("PROPFIND", f"/remote.php/dav/files/{at.other.user}/", who=at.other).status_code == 401


def test_no_law_stands_twice() -> None:
    """Their names are what is counted."""
    assert len({str(each) for each in LAWS}) == len(LAWS)
