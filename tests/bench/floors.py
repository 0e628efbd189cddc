"""The least that the work can cost: the same calls, made bare with urllib3, and nothing around them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from secrets import token_hex
from urllib.parse import urlsplit

import pybase64
from lxml import etree
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, make_headers

from tests.bench.client import listed, source
from tests.bench.measured import Meter
from tests.bench.recorded import Request, recorded
from tests.bench.world import World, letter

_CHUNK = 1024 * 1024

#: How often each call was made.
Calls = Counter[str]


def decode_all(meter: Meter, world: World, mailbox: str) -> Calls:
    """Every attachment from the wire to its bytes, which are thrown away."""
    bare = _Bare()
    for request in _attachments(world, mailbox):
        with meter.running():
            for _ in _content(bare.opened(request)):
                pass
    return bare.calls


def hash_all(meter: Meter, count: int, size: int) -> Calls:
    """So many bytes, already in memory."""
    content = bytes(_CHUNK)
    with meter.running():
        for _ in range(count):
            digest = hashlib.sha256()
            for start in range(0, size, _CHUNK):
                digest.update(content[: size - start])
    return Calls({"sha256": count})


def put_all(meter: Meter, world: World, count: int, size: int) -> Calls:
    """So many files of this size, already in memory."""
    bare = _Bare()
    content = bytes(_CHUNK)
    for _ in range(count):
        parts = (content[: size - start] for start in range(0, size, _CHUNK))
        with meter.running():
            bare.send(_to_store(world, "PUT"), parts, size)
        bare.send(_to_store(world, "DELETE"))
    return bare.calls


def carry_all(meter: Meter, world: World, mailbox: str, size: int) -> Calls:
    """Every attachment into the store, and read back there: chunk by chunk, since its size is known beforehand."""
    bare = _Bare()
    for request in _attachments(world, mailbox):
        with meter.running():
            sent, kept = hashlib.sha256(), hashlib.sha256()
            bare.send(_to_store(world, "PUT"), _hashed(_content(bare.opened(request)), sent), size)
            stored = bare.opened(_to_store(world, "GET"))
            while chunk := stored.read(_CHUNK):
                kept.update(chunk)
            assert sent.digest() == kept.digest()
        bare.send(_to_store(world, "DELETE"))
    return bare.calls


def parse_all(meter: Meter, requests: list[Request]) -> Calls:
    """These requests once more; their replies are parsed, and no more."""
    bare = _Bare()
    with meter.running():
        for request in requests:
            etree.fromstring(bare.send(request))
    return bare.calls


def repeat_each(meter: Meter, world: World, mailbox: str, requests: list[Request], count: int, size: int) -> Calls:
    """What was asked for one message, asked for so many others that arrive."""
    bare = _Bare()
    (sync,) = (each for each in requests if each.operation == "SyncFolderItems")
    known, state = _names(requests), _state(bare.send(sync))
    for number in range(count):
        item = source(world, mailbox).fetch(world.deliver(mailbox, letter(number, size)))
        names = (item.id, item.version, item.files[0].id, token_hex(len(known[3]) // 2), state)
        again = [each.about(dict(zip(known, names, strict=True))) for each in requests]
        with meter.running():
            replies = [bare.send(each) for each in again]
        assert not any(b'ResponseClass="Error"' in reply for reply in replies)
        state = _state(replies[requests.index(sync)])
    return bare.calls


class _Bare:
    """One connection to each server."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._pools: dict[str, HTTPConnectionPool] = {}

    def opened(self, request: Request, body: Iterable[bytes] | bytes = b"", size: int = 0) -> BaseHTTPResponse:
        """The reply, still unread."""
        self.calls[request.operation] += 1
        at = urlsplit(request.url)
        pool = self._pools.setdefault(at.netloc, HTTPConnectionPool(at.hostname or "", at.port))
        length = {"Content-Length": str(size)} if size else {}
        response = pool.urlopen(
            request.method,
            at.path,
            body or request.body,
            request.headers | length,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        assert response.status == request.status, (request, response.data)
        return response

    def send(self, request: Request, body: Iterable[bytes] = b"", size: int = 0) -> bytes:
        """The reply, read to its end."""
        return self.opened(request, body, size).data


def _attachments(world: World, mailbox: str) -> list[Request]:
    """What asks for the attachment of each message."""
    found = source(world, mailbox)
    first, *others = listed(found)
    with recorded() as requests, found.open(first.id, first.files[0].id):
        pass
    return requests + [requests[0].about({first.files[0].id: other.files[0].id}) for other in others]


def _content(reply: BaseHTTPResponse) -> Iterator[bytes]:
    """The bytes of the attachment. Trusts the server in everything."""
    chunks = reply.stream(_CHUNK)
    text, end = b"", b""
    while b"<t:Content>" not in text:
        text += next(chunks)
    text = text.partition(b"<t:Content>")[2]
    while not end:
        text, end, _ = text.partition(b"<")
        whole = len(text) // 4 * 4
        yield pybase64.b64decode(text[:whole], validate=True)
        text = text[whole:] + (b"" if end else next(chunks))
    for _ in chunks:
        pass


def _hashed(chunks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _to_store(world: World, method: str) -> Request:
    login = f"{world.store_user}:{world.store_password}"
    headers = make_headers(basic_auth=login, basic_auth_encoding="utf-8")
    return Request(method, method, f"{world.store}bare", headers, b"", {"PUT": 201, "GET": 200, "DELETE": 204}[method])


def _names(requests: list[Request]) -> tuple[str, ...]:
    """Item, change key, attachment, redirect and sync state, as these requests name them."""
    sent = {each.operation: each.body.decode("latin-1") for each in requests}
    item = re.search(r'<t:ItemId Id="([^"]+)" ChangeKey="([^"]+)"', sent["UpdateItem"])
    file = re.search(r'<t:AttachmentId Id="([^"]+)"', sent["GetAttachment"])
    (made,) = (each.path.rstrip("/").rpartition("/")[2] for each in requests if each.operation == "MKCOL")
    assert item
    assert file
    return item[1], item[2], file[1], made, _state(sent["SyncFolderItems"].encode())


def _state(told: bytes) -> str:
    found = re.search(rb"SyncState>([^<]+)<", told)
    assert found
    return found[1].decode()
