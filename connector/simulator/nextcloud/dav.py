"""WebDAV: files of an account (facts, 2.1 to 2.3) and its unfinished uploads (2.4)."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from connector.simulator.nextcloud.cloud import ALL, CREATE, DELETE, READ, UNLIMITED, UPDATE, Cloud, User, locked
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found
from connector.simulator.nextcloud.tree import Node, check_name, split, touch

FILES, UPLOADS = "/remote.php/dav/files/", "/remote.php/dav/uploads/"
_OLD = "/remote.php/webdav"
_DAV = "1, 3, extended-mkcol, access-control, nc-paginate"
_ALLOW = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT"
_EARLIEST = 86400
_ASSEMBLED = ".file"
_HASHES = ("md5", "sha1", "sha256")
_ASKED = ("{DAV:}resourcetype", "{DAV:}getcontentlength", "{DAV:}getetag", "{DAV:}getlastmodified")


class Dav:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path.startswith((FILES, UPLOADS, _OLD))

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        if self._cloud.settings.maintenance:
            name = "OCA\\DAV\\Exception\\ServerMaintenanceMode"
            raise Refused(503, name, "System is in maintenance mode.")
        if request.path.startswith(UPLOADS):
            return self._in_uploads(request, user, request.path.removeprefix(UPLOADS))
        owner, path = self._owned(request.path)
        if owner.lower() != user.id.lower():
            return self._foreign(request, path)
        return self._verb(request.method)(request, user, path)

    def _verb(self, method: str) -> Callable[[Request, User, str], Reply]:
        verbs = {
            "OPTIONS": self._options,
            "PUT": self._put,
            "MKCOL": self._mkcol,
            "GET": self._get,
            "HEAD": self._get,
            "DELETE": self._delete,
            "PROPFIND": self._propfind,
            "PATCH": self._patch,
            "MOVE": self._move,
            "COPY": self._move,
        }
        if method not in verbs:
            says = f'There was no handler found for this "{method}" method'
            raise Refused(501, f"{SABRE}NotImplemented", says)
        return verbs[method]

    def _owned(self, path: str) -> tuple[str, str]:
        if path.startswith(FILES):
            owner, _, rest = path.removeprefix(FILES).partition("/")
            return owner, rest
        return "", path.removeprefix(_OLD)

    def _foreign(self, request: Request, path: str) -> Reply:
        """Facts, 2.6: also an administrator finds nothing in another one's home."""
        if request.method == "PUT":
            raise forbidden("Permission denied to create file")
        if request.method == "PROPFIND" and not path.strip("/"):
            return Reply(207, _multistatus([]))
        raise not_found(path)

    # --- files ---------------------------------------------------------------------------------------------------

    def _options(self, _request: Request, _user: User, _path: str) -> Reply:
        feature = ", nextcloud-checksum-update" if self._cloud.settings.recalculate else ""
        return Reply(200, headers={"DAV": _DAV + feature, "Allow": _ALLOW})

    def _put(self, request: Request, user: User, path: str) -> Reply:
        cloud = self._cloud
        if request.header("Content-Range"):
            raise Refused(400, f"{SABRE}BadRequest", "Content-Range on PUT requests are forbidden.")
        parent, may, name = self._for_writing(request, user, path)
        there = parent.children.get(name)
        _require_conditions(request, there)
        if there and there.folder:
            raise Refused(409, f"{SABRE}Conflict", "PUT is not allowed on non-files.")
        if _too_large(request, cloud):
            if there:  # Facts, 2.1: what was there is emptied.
                there.content = b""
            return Reply(413, b"<html>Request Entity Too Large</html>", "text/html")
        self._require_whole(request, parent, may, there)
        node, new = cloud.write(parent, may, name, request.body)
        headers = self._told(node)
        node.checksum = request.header("OC-Checksum")
        headers |= self._received_hashes(request, request.body)
        headers |= _dated(request, node)
        touch(parent)
        return Reply(201 if new else 204, headers=headers)

    def _for_writing(self, request: Request, user: User, path: str) -> tuple[Node, int, str]:
        cloud = self._cloud
        names = split(path)
        if request.header("X-NC-WebDAV-Auto-Mkcol") == "1":
            for depth in range(1, len(names)):
                above = "/".join(names[: depth - 1])
                parent, may = cloud.find(user, above)
                if names[depth - 1] not in parent.children and may & CREATE:
                    cloud.trees.add(parent, names[depth - 1], folder=True, now=cloud.now())
        parent, may, name = cloud.place(user, path, missing=not_found(path))
        if not parent.folder:
            raise not_found(path)
        return parent, may, name

    def _require_whole(self, request: Request, parent: Node, may: int, there: Node | None) -> None:
        """Facts, 2.1: a new name stays free where the body is torn, and an old one has what came."""
        if not request.torn:
            return
        if there and may & UPDATE:
            there.content, there.changed = request.body, self._cloud.now()
            touch(parent)
        announced = request.header("Content-Length")
        says = (
            f"Expected filesize of {announced} bytes but read (from Nextcloud client) and wrote (to Nextcloud storage)"
            f" {len(request.body)} bytes. Could either be a network problem on the sending side or a problem writing to"
            " the storage on the server side."
        )
        raise Refused(400, f"{SABRE}BadRequest", says)

    def _told(self, node: Node) -> dict[str, str]:
        return {"OC-FileId": self._file_id(node), "ETag": node.etag, "OC-ETag": node.etag}

    def _file_id(self, node: Node) -> str:
        return f"{node.id:08}{self._cloud.instance}"

    def _received_hashes(self, request: Request, received: bytes) -> dict[str, str]:
        """Facts, 1.2: of what came, by the server itself."""
        if not self._cloud.settings.x_hash:
            return {}
        asked = request.header("X-Hash").lower()
        wanted = _HASHES if asked == "all" else (asked,)
        return {
            f"X-Hash-{kind.upper()}": hashlib.new(kind, received, usedforsecurity=False).hexdigest()
            for kind in wanted
            if kind in _HASHES
        }

    def _mkcol(self, _request: Request, user: User, path: str) -> Reply:
        missing = Refused(409, f"{SABRE}Conflict", "Parent node does not exist")
        parent, may, name = self._cloud.place(user, path, missing=missing)
        if not parent.folder:
            raise Refused(409, f"{SABRE}Conflict", "Parent node is not a collection")
        if name in parent.children:
            says = "The resource you tried to create already exists"
            raise Refused(405, f"{SABRE}MethodNotAllowed", says)
        if not may & CREATE:
            raise forbidden()
        owner = self._cloud.users[parent.owner]
        if owner.quota != UNLIMITED and self._cloud.homes[owner.id].size >= owner.quota:
            raise Refused(507, f"{SABRE}InsufficientStorage", "")
        node = self._cloud.trees.add(parent, name, folder=True, now=self._cloud.now())
        return Reply(201, headers={"OC-FileId": self._file_id(node)})

    def _get(self, request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        if not may & READ:
            raise forbidden()
        if node.folder:
            if request.method == "HEAD":
                return Reply(200)
            raise Refused(501, f"{SABRE}NotImplemented", "GET is only implemented for File objects")
        if node.locked:
            raise locked(node)
        return content(request, node)

    def _delete(self, _request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        if not may & DELETE or node.parent is None:
            raise forbidden()
        if node.locked:
            raise locked(node)
        parent = node.parent
        self._cloud.remove(node)
        touch(parent)
        return Reply(204)

    def _propfind(self, request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        base = f"{FILES}{user.id}/{path.strip('/')}".rstrip("/")
        entries = [(base, node)]
        if node.folder and request.header("Depth") != "0":
            mounted = [] if path.strip("/") else [(each.target, each.node) for each in self._cloud.received(user)]
            entries += [(f"{base}/{name}", each) for name, each in node.children.items()]
            entries += [(f"{base}{target}", each) for target, each in mounted]
        shared = node.owner != user.id
        return Reply(207, _multistatus([self._response(*each, request, may, shared=shared) for each in entries]))

    def _response(self, href: str, node: Node, request: Request, may: int, *, shared: bool) -> str:
        known = self._properties(node, may, shared=shared)
        asked = _asked(request) or list(known)
        there = "".join(known[name] for name in asked if name in known)
        absent = "".join(_element(name, "") for name in asked if name not in known)
        # Facts, 2.3: hrefs with lower-case hex, the colon bare, and a slash at the end of folders.
        path = re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(href, safe="/:")) + "/" * node.folder
        told = _propstat(there, "200 OK") + _propstat(absent, "404 Not Found")
        return f"<d:response><d:href>{path}</d:href>{told}</d:response>"

    def _properties(self, node: Node, may: int, *, shared: bool) -> dict[str, str]:
        changed = format_datetime(datetime.fromtimestamp(int(node.changed), UTC), usegmt=True)
        rights = ("S" if shared else "") + _rights(node, may)
        told = {
            "{DAV:}resourcetype": _element("{DAV:}resourcetype", "<d:collection/>" if node.folder else ""),
            "{DAV:}getetag": _element("{DAV:}getetag", escape(node.etag)),
            "{DAV:}getlastmodified": _element("{DAV:}getlastmodified", changed),
            f"{{{_OC}}}fileid": _element(f"{{{_OC}}}fileid", str(node.id)),
            f"{{{_OC}}}id": _element(f"{{{_OC}}}id", self._file_id(node)),
            f"{{{_OC}}}size": _element(f"{{{_OC}}}size", str(node.size)),
            f"{{{_OC}}}permissions": _element(f"{{{_OC}}}permissions", rights),
            f"{{{_OC}}}owner-id": _element(f"{{{_OC}}}owner-id", escape(node.owner)),
        }
        if not node.folder:
            told["{DAV:}getcontentlength"] = _element("{DAV:}getcontentlength", str(node.size))
        else:
            owner = self._cloud.users[node.owner]
            left = UNLIMITED if owner.quota == UNLIMITED else max(owner.quota - self._cloud.homes[owner.id].size, 0)
            told["{DAV:}quota-available-bytes"] = _element(
                "{DAV:}quota-available-bytes", str(UNLIMITED if shared else left)
            )
            told["{DAV:}quota-used-bytes"] = _element("{DAV:}quota-used-bytes", str(node.size))
        if node.checksum:
            inner = f"<oc:checksum>{escape(node.checksum)}</oc:checksum>"
            told[f"{{{_OC}}}checksums"] = _element(f"{{{_OC}}}checksums", inner)
        return told

    def _patch(self, request: Request, user: User, path: str) -> Reply:
        if not self._cloud.settings.recalculate:
            raise Refused(501, f"{SABRE}NotImplemented", 'There was no handler found for this "PATCH" method')
        node, _ = self._cloud.find(user, path)
        if node.folder:
            raise Refused(501, f"{SABRE}NotImplemented", "")
        kind = request.header("X-Recalculate-Hash").lower()
        if kind not in _HASHES:
            raise Refused(500, "Error", "")
        digest = hashlib.new(kind, node.content, usedforsecurity=False).hexdigest()
        node.checksum = f"{kind.upper()}:{digest}"
        return Reply(204, headers={"OC-Checksum": node.checksum})

    def _move(self, request: Request, user: User, path: str) -> Reply:
        source, may = self._cloud.find(user, path)
        where = _destination(request)
        if not where:
            raise Refused(400, f"{SABRE}BadRequest", "The destination header was not supplied")
        if source.locked:  # Facts, 1.9: not 423.
            raise Refused(500, "OCP\\Lock\\LockedException", f'"/{source.path}" is locked')
        _, target = self._owned(where)
        node, new = self._put_there(request, user, target, source.content, moving=source)
        if request.method == "MOVE":
            if not may & DELETE:
                raise forbidden()
            assert source.parent
            source.parent.children.pop(source.name, None)
            touch(source.parent)
        return Reply(201 if new else 204, headers=self._told(node))

    def _put_there(
        self, request: Request, user: User, path: str, data: bytes, *, moving: Node | None
    ) -> tuple[Node, bool]:
        missing = Refused(409, f"{SABRE}Conflict", "The destination node is not found")
        parent, may, name = self._cloud.place(user, path, missing=missing)
        there = parent.children.get(name)
        if there and request.header("Overwrite").upper() == "F":
            says = "The destination node already exists, and the overwrite header is set to false"
            raise Refused(412, f"{SABRE}PreconditionFailed", says)
        if moving is not None and request.method == "MOVE":
            if not may & CREATE:
                raise forbidden()
            if there:
                self._cloud.remove(there)
            if moving.parent:
                moving.parent.children.pop(moving.name, None)
            moving.name, moving.parent = name, parent
            parent.children[name] = moving
            touch(parent)
            return moving, there is None
        return self._cloud.write(parent, may, name, data)

    # --- uploads -------------------------------------------------------------------------------------------------

    def _in_uploads(self, request: Request, user: User, path: str) -> Reply:
        owner, _, rest = path.partition("/")
        if owner.lower() != user.id.lower():
            raise not_found(path)
        upload, _, chunk = rest.strip("/").partition("/")
        key = (user.id, upload)
        there = self._cloud.uploads
        match request.method:
            case "MKCOL" if not chunk:
                if key in there:
                    raise Refused(405, f"{SABRE}MethodNotAllowed", "The resource you tried to create already exists")
                there[key] = {}
                return Reply(201)
            case "PROPFIND" if not upload:
                names = [name for owner, name in there if owner == user.id]
                return Reply(207, _multistatus([_upload(f"{UPLOADS}{user.id}/{each}/", None) for each in names]))
        if key not in there:
            raise not_found(path)
        return self._in_upload(request, user, key, chunk)

    def _in_upload(self, request: Request, user: User, key: tuple[str, str], chunk: str) -> Reply:
        chunks = self._cloud.uploads[key]
        match request.method:
            case "PROPFIND":
                base = f"{UPLOADS}{user.id}/{key[1]}/"
                listed = [(name, len(data)) for name, data in chunks.items()] + [
                    (_ASSEMBLED, sum(map(len, chunks.values())))
                ]
                return Reply(
                    207, _multistatus([_upload(base, None), *(_upload(base + name, size) for name, size in listed)])
                )
            case "DELETE":
                del self._cloud.uploads[key]
                return Reply(204)
            case "PUT":
                return self._put_chunk(request, user, chunks, chunk)
            case "MOVE" | "COPY" if chunk == _ASSEMBLED:
                return self._assemble(request, user, key)
        raise Refused(501, f"{SABRE}NotImplemented", "")

    def _put_chunk(self, request: Request, user: User, chunks: dict[str, bytes], chunk: str) -> Reply:
        if _too_large(request, self._cloud):
            return Reply(413, b"<html>Request Entity Too Large</html>", "text/html")
        if request.torn:
            raise Refused(400, f"{SABRE}BadRequest", "Expected filesize of more bytes than came")
        total = request.header("OC-Total-Length")
        if total:
            self._cloud.require_room(self._cloud.homes[user.id], int(total), chunk)
        new = chunk not in chunks
        chunks[chunk] = request.body
        return Reply(201 if new else 204)

    def _assemble(self, request: Request, user: User, key: tuple[str, str]) -> Reply:
        chunks = self._cloud.uploads[key]
        if request.header("If-None-Match") == "*":  # Facts, 2.4: it is held against `.file`, which is there.
            raise Refused(412, f"{SABRE}PreconditionFailed", "")
        data = b"".join(chunks[name] for name in sorted(chunks, key=_natural))
        total = request.header("OC-Total-Length")
        if total and int(total) != len(data):
            says = f"Chunks on server do not sum up to {total} but to {len(data)} bytes"
            raise Refused(400, f"{SABRE}BadRequest", says)
        _, target = self._owned(_destination(request))
        check_name(split(target)[-1], target, windows=self._cloud.settings.windows_names)
        node, new = self._put_there(request, user, target, data, moving=None)
        if request.method == "MOVE":
            del self._cloud.uploads[key]
        headers = self._told(node) | self._received_hashes(request, data) | _dated(request, node)
        return Reply(201 if new else 204, headers=headers)


def content(request: Request, node: Node) -> Reply:
    """The bytes of a file; facts, 2.2, for ranges."""
    headers = {"ETag": node.etag, "OC-ETag": node.etag, "Accept-Ranges": "bytes"}
    if node.checksum:
        headers["OC-Checksum"] = node.checksum
    kind = "application/octet-stream"
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("Range"))
    if not found:
        return Reply(200, node.content, kind, headers)
    first, last = found.groups()
    start = int(first) if first else max(node.size - int(last or 0), 0)
    end = min(int(last) if first and last else node.size - 1, node.size - 1)
    if start >= node.size:
        raise Refused(416, f"{SABRE}RequestedRangeNotSatisfiable", "")
    return Reply(
        206, node.content[start : end + 1], kind, headers | {"Content-Range": f"bytes {start}-{end}/{node.size}"}
    )


# --- what the verbs are made of -----------------------------------------------------------------------------------

_OC = "http://owncloud.org/ns"
_PREFIXES = {"DAV:": "d", _OC: "oc", "http://nextcloud.org/ns": "nc"}


def _element(name: str, inner: str) -> str:
    namespace, _, local = name[1:].partition("}")
    prefix = _PREFIXES.get(namespace)
    if prefix is None:
        return f'<x:{local} xmlns:x="{escape(namespace)}">{inner}</x:{local}>'
    return f"<{prefix}:{local}>{inner}</{prefix}:{local}>"


def _propstat(inner: str, status: str) -> str:
    return f"<d:propstat><d:prop>{inner}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>" if inner else ""


def _multistatus(responses: list[str]) -> bytes:
    spaces = 'xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"'
    return f'<?xml version="1.0"?>\n<d:multistatus {spaces}>{"".join(responses)}</d:multistatus>'.encode()


def _upload(href: str, size: int | None) -> str:
    kind = _element("{DAV:}resourcetype", "<d:collection/>" if size is None else "")
    length = "" if size is None else _element("{DAV:}getcontentlength", str(size))
    return f"<d:response><d:href>{quote(href)}</d:href>{_propstat(kind + length, '200 OK')}</d:response>"


def _asked(request: Request) -> list[str]:
    """The properties that are asked for; none where the body says nothing, which means all."""
    if not request.body.strip():
        return list(_ASKED)
    try:
        root = etree.fromstring(request.body)
    except etree.XMLSyntaxError:
        raise Refused(400, f"{SABRE}BadRequest", "The request body is no XML") from None
    prop = root.find("{DAV:}prop")
    return [str(each.tag) for each in prop] if prop is not None else list(_ASKED)


def _rights(node: Node, may: int) -> str:
    full = "RGDNV" if may == ALL else "G" if may == READ else "RGDNV"
    if may == READ:
        return "G"
    return full + ("CK" if node.folder else "W")


def _require_conditions(request: Request, there: Node | None) -> None:
    fresh, match = request.header("If-None-Match"), request.header("If-Match")
    if (fresh == "*" and there) or (match and (there is None or match not in ("*", there.etag))):
        kind = "If-None-Match" if fresh else "If-Match"
        says = f"An {kind} header was specified, but the condition did not hold"
        raise Refused(412, f"{SABRE}PreconditionFailed", says, f"<s:header>{kind}</s:header>")


def _too_large(request: Request, cloud: Cloud) -> bool:
    announced = request.header("Content-Length")
    return announced.isdecimal() and int(announced) > cloud.settings.largest_body


def _dated(request: Request, node: Node) -> dict[str, str]:
    """Facts, 2.1: a date that makes no sense is an error, and the file is there nevertheless."""
    told = request.header("X-OC-MTime")
    if not told:
        return {}
    if not told.isdecimal() or int(told) <= _EARLIEST:
        raise Refused(500, "InvalidArgumentException", "X-OC-MTime header must be a valid positive integer")
    node.changed = float(told)
    return {"X-OC-MTime": "accepted"}


def _destination(request: Request) -> str:
    """Facts, 2.2: only the path counts, whatever host stands before it."""
    return unquote(urlsplit(request.header("Destination")).path)


def _natural(name: str) -> list[tuple[int, str]]:
    pieces = re.findall(r"\d+|\D+", name)
    return [(int(each), "") if each.isdecimal() else (0, each) for each in pieces]
