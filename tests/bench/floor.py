"""The floor: the calls of a redirect made bare with urllib3, with nothing around them that a daemon needs.

No ledger, no policy, no spool on disk, no check of what is answered but the hash of what the store gives back.
`python -m tests.bench.floor big|small|list MAILBOX WORLD` prints its calls and its processor seconds.
"""

import base64
import hashlib
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pybase64
import urllib3
from lxml import etree

from tests.bench.world import World, measured

#: More costs memory, and gains nothing.
_PIECE = 256 * 1024
_EWS = "http://schemas.microsoft.com/exchange/services/2006"
_MARKER = (
    '<t:ExtendedFieldURI PropertySetId="0f6d0a5e-3d2f-4c6b-9a57-6f0a4e1c7b92" PropertyName="ConnectorMarker"'
    ' PropertyType="String"/>'
)
_FIELDS = "".join(
    f'<t:FieldURI FieldURI="{name}"/>'
    for name in (
        *("item:ParentFolderId", "item:ItemClass", "item:Subject", "item:Sensitivity", "item:DateTimeReceived"),
        *("item:Attachments", "item:IsDraft", "item:InternetMessageHeaders", "message:From", "message:ToRecipients"),
        *("message:CcRecipients", "message:BccRecipients", "message:InternetMessageId"),
    )
)
_PROPFIND = b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getetag/></prop></propfind>'


class Bare:
    """One server over one connection; what was asked of it is counted."""

    def __init__(self, url: str, user: str, password: str) -> None:
        parts = urlsplit(url)
        self.path = parts.path
        self.calls: Counter[str] = Counter()
        self._pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=1)
        self._headers = {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}

    def send(
        self, name: str, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """One call; its answer, unread."""
        self.calls[name] += 1
        said = self._headers | {key.replace("_", "-"): value for key, value in headers.items()}
        return self._pool.urlopen(
            method, path, body=body, headers=said, redirect=False, retries=False, preload_content=False
        )

    def ask(self, name: str, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """One call; its whole answer."""
        response = self.send(name, method, path, body, **headers)
        answer = response.read()
        if not response.status < 400 or b'ResponseClass="Error' in answer:
            raise RuntimeError(f"{name}: {response.status}")
        return answer


class Exchange(Bare):
    """EWS, by requests that are written out."""

    def __init__(self, world: World, mailbox: str) -> None:
        super().__init__(world.ews["url"], world.ews["user"], world.ews["password"])
        self._mailbox = mailbox

    def soap(self, request: str) -> bytes:
        """One request; its whole answer."""
        return self.ask(_name(request), "POST", self.path, self._envelope(request), **_XML)

    def soap_stream(self, request: str) -> urllib3.BaseHTTPResponse:
        """One request; its answer, unread."""
        return self.send(_name(request), "POST", self.path, self._envelope(request), **_XML)

    def _envelope(self, request: str) -> bytes:
        return (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
            f' xmlns:m="{_EWS}/messages" xmlns:t="{_EWS}/types"><s:Header><t:RequestServerVersion'
            ' Version="Exchange2016"/><t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>'
            f"{self._mailbox}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>"
            f"<s:Body>{request}</s:Body></s:Envelope>"
        ).encode()

    def item(self, *ids: str, body: bool = True) -> bytes:
        """GetItem, with all that a redirect reads."""
        fields = _FIELDS + ('<t:FieldURI FieldURI="item:Body"/>' if body else "")
        shape = f"<t:BaseShape>IdOnly</t:BaseShape>{'<t:BodyType>Best</t:BodyType>' if body else ''}"
        named = "".join(f'<t:ItemId Id="{each}"/>' for each in ids)
        return self.soap(
            f"<m:GetItem><m:ItemShape>{shape}<t:AdditionalProperties>{fields}{_MARKER}</t:AdditionalProperties>"
            f"</m:ItemShape><m:ItemIds>{named}</m:ItemIds></m:GetItem>"
        )

    def listed(self) -> list[str]:
        """The ids of all items in the Inbox."""
        shape = '<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/>'
        reply = self.soap(
            f"<m:SyncFolderItems><m:ItemShape>{shape}</t:AdditionalProperties></m:ItemShape><m:SyncFolderId>"
            '<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>'
            "<m:MaxChangesReturned>512</m:MaxChangesReturned></m:SyncFolderItems>"
        )
        return _all(b"ItemId", reply)

    def feed(self) -> Iterator[list[str]]:
        """The ids of all items in the Inbox, page by page, each field of the feed looked at."""
        fields = _FIELDS.replace("item:Attachments", "item:HasAttachments")
        state, last = "", False
        while not last:
            reply = etree.fromstring(
                self.soap(
                    "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
                    f"{fields}{_MARKER}</t:AdditionalProperties></m:ItemShape><m:SyncFolderId>"
                    f'<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{state}'
                    "<m:MaxChangesReturned>512</m:MaxChangesReturned></m:SyncFolderItems>"
                )
            )
            yield _looked_at(reply)
            state = f"<m:SyncState>{reply.findtext(f'.//{{{_EWS}/messages}}SyncState')}</m:SyncState>"
            last = reply.findtext(f".//{{{_EWS}/messages}}IncludesLastItemInRange") == "true"

    def details(self, ids: list[str]) -> None:
        """All that a redirect reads of these items but their bodies, each field looked at."""
        for start in range(0, len(ids), 25):
            _looked_at(etree.fromstring(self.item(*ids[start : start + 25], body=False)))

    def attachments(self, ids: list[str]) -> list[str]:
        """The ids of all attachments of these items."""
        pages = (ids[start : start + 25] for start in range(0, len(ids), 25))
        return [file for page in pages for file in _all(b"AttachmentId", self.item(*page, body=False))]

    def content(self, file: str) -> Iterator[bytes]:
        """The bytes of an attachment: what stands in Content is cut out and decoded as it comes."""
        response = self.soap_stream(
            "<m:GetAttachment><m:AttachmentShape/><m:AttachmentIds>"
            f'<t:AttachmentId Id="{file}"/></m:AttachmentIds></m:GetAttachment>'
        )
        rest, inside = b"", False
        for piece in response.stream(_PIECE):
            data = rest + piece
            if not inside:
                _, found, data = data.partition(b"Content>")
                inside = bool(found)
            end = data.find(b"<") if inside else -1
            whole = end if end >= 0 else len(data) // 4 * 4
            if inside:
                yield pybase64.b64decode(memoryview(data)[:whole], validate=True)
            rest, inside = data[whole:], inside and end < 0
        response.release_conn()

    def rewrite(self, item: str, key: str, body: str, marker: str) -> None:
        """UpdateItem: the body and the marker."""
        self.soap(
            '<m:UpdateItem ConflictResolution="NeverOverwrite" MessageDisposition="SaveOnly"'
            ' SuppressReadReceipts="true"><m:ItemChanges>'
            f'<t:ItemChange><t:ItemId Id="{item}" ChangeKey="{key}"/><t:Updates><t:SetItemField>'
            f'<t:FieldURI FieldURI="item:Body"/><t:Message><t:Body BodyType="HTML">{body}</t:Body></t:Message>'
            f"</t:SetItemField><t:SetItemField>{_MARKER}<t:Message><t:ExtendedProperty>{_MARKER}<t:Value>{marker}"
            "</t:Value></t:ExtendedProperty></t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges>"
            "</m:UpdateItem>"
        )

    def prune(self, file: str) -> None:
        """DeleteAttachment."""
        self.soap(
            f'<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="{file}"/></m:AttachmentIds></m:DeleteAttachment>'
        )


class Dav(Bare):
    """The store."""

    def __init__(self, world: World) -> None:
        super().__init__(world.dav["url"], world.dav["user"], world.dav["password"])

    def put(self, path: str, content: bytes) -> None:
        """Upload beside the place, read back and hash, move, look."""
        temporary = f"{path.rpartition('/')[0]}/upload-{secrets.token_hex(16)}.tmp"
        self.upload(temporary, [content])
        self.prove(temporary, hashlib.sha256(content).hexdigest())
        target = self.path + quote(path)
        self.ask("MOVE", "MOVE", self.path + quote(temporary), Destination=self._host + target, Overwrite="F")
        self.look(path, 0)

    def upload(self, path: str, pieces: list[bytes]) -> None:
        """PUT."""
        length = str(sum(map(len, pieces)))
        self.send("PUT", "PUT", self.path + quote(path), iter(pieces), Content_Length=length).read()

    def prove(self, path: str, sha256: str) -> None:
        """GET, and hash what comes."""
        digest = hashlib.sha256()
        response = self.send("GET", "GET", self.path + quote(path))
        for piece in response.stream(_PIECE):
            digest.update(piece)
        assert digest.hexdigest() == sha256

    def look(self, path: str, depth: int) -> bytes:
        """PROPFIND."""
        return self.ask("PROPFIND", "PROPFIND", self.path + quote(path), _PROPFIND, Depth=str(depth))

    def make(self, path: str) -> None:
        """MKCOL."""
        self.send("MKCOL", "MKCOL", self.path + quote(path)).read()

    @property
    def _host(self) -> str:
        return f"http://{self._pool.host}:{self._pool.port}"


_XML = {"Content_Type": "text/xml; charset=utf-8"}


def _name(request: str) -> str:
    return request[3 : request.index(">")].partition(" ")[0]


def _all(element: bytes, reply: bytes) -> list[str]:
    return [each.decode() for each in re.findall(rb"<t:%b Id=\"([^\"]+)\"" % element, reply)]


def _looked_at(reply: etree._Element) -> list[str]:
    """The ids of the items in a reply, whose every element and attribute is read."""
    seen = [(each.tag, each.text, dict(each.attrib)) for each in reply.iter()]
    return [attributes["Id"] for tag, _, attributes in seen if tag.endswith("}ItemId")]


def big(world: World, mailbox: str) -> None:
    """The bytes of big files: download, base64, sha256, upload, and the proof: read back and hash."""
    exchange, dav = Exchange(world, mailbox), Dav(world)
    files = exchange.attachments(exchange.listed())
    folder = f"floor-{secrets.token_hex(8)}"
    dav.make(folder)
    for server in (exchange, dav):
        server.calls.clear()
    with measured() as told:
        told["bytes"] = 0
        for number, file in enumerate(files):
            digest = hashlib.sha256()
            pieces = []
            for piece in exchange.content(file):
                digest.update(piece)
                pieces.append(piece)
            dav.upload(f"{folder}/{number}", pieces)
            dav.prove(f"{folder}/{number}", digest.hexdigest())
            told["bytes"] += sum(map(len, pieces))
        told["calls"] = exchange.calls + dav.calls


def small(world: World, mailbox: str) -> None:
    """All calls of a redirect, message after message.

    The messages have to be found, which is measured too: connector's time has that in it. `CALLS` are those behind it.
    """
    exchange, dav = Exchange(world, mailbox), Dav(world)
    folder = f"floor-{secrets.token_hex(8)}"
    dav.make(folder)
    with measured() as told:
        ids = exchange.listed()
        files = exchange.attachments(ids)
        for server in (exchange, dav):
            server.calls.clear()
        for item, file in zip(ids, files, strict=True):
            _redirect(exchange, dav, item, file, f"{folder}/{secrets.token_hex(10)}")
        told["messages"] = len(ids)
        told["calls"] = exchange.calls + dav.calls


def listing(world: World, mailbox: str) -> None:
    """A first pass over an Inbox: what is in it, and more of what has attachments."""
    exchange = Exchange(world, mailbox)
    with measured() as told:
        told["messages"] = 0
        for ids in exchange.feed():
            told["messages"] += len(ids)
            if mailbox.startswith("attached"):
                exchange.details(ids)


#: What one message with one file costs in calls, once its source and its store are known.
#: tests/test_requests.py holds connector to it.
CALLS = {
    "ews": ["GetAttachment"] + ["GetItem"] * 2 + ["UpdateItem"] + ["GetItem"] * 3 + ["DeleteAttachment", "GetItem"],
    "dav": ["MKCOL"] + ["PUT", "GET", "MOVE", "PROPFIND"] * 2 + ["PROPFIND"] * 3,
}


def _redirect(exchange: Exchange, dav: Dav, item: str, file: str, folder: str) -> None:
    dav.make(folder)
    content = b"".join(exchange.content(file))
    dav.put(f"{folder}/report.bin", content)
    dav.put(f"{folder}/manifest.json", b"x" * 1500)
    exchange.item(item)
    dav.look(f"{folder}/", 1)
    reply = exchange.item(item).decode()
    (key,) = re.findall(r'ItemId Id="[^"]+" ChangeKey="([^"]+)"', reply)
    (body,) = re.findall(r"(?s)<t:Body [^>]*>(.*)</t:Body>", reply)
    exchange.rewrite(item, key, "x" * 1500 + body, "1." + "0" * 100)
    exchange.item(item)
    exchange.item(item)
    dav.look(f"{folder}/report.bin", 0)
    dav.look(f"{folder}/", 1)
    exchange.item(item, body=False)
    exchange.prune(file)
    exchange.item(item)


if __name__ == "__main__":
    {"big": big, "small": small, "list": listing}[sys.argv[1]](World.read(sys.argv[3]), sys.argv[2])
