"""WebDAV: the files of an account (facts, 2.1 and 2.2)."""

import re
from collections.abc import Callable, Iterator

from connector.simulator.nextcloud import properties
from connector.simulator.nextcloud.bulk import several
from connector.simulator.nextcloud.cloud import ALL, CREATE, DELETE, READ, UPDATE, Cloud, User, locked
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found
from connector.simulator.nextcloud.paths import ROOT_OF_FILES, ROOT_OF_OLD, ROOT_OF_UPLOADS, owned
from connector.simulator.nextcloud.properties import Entry
from connector.simulator.nextcloud.tree import Node, split
from connector.simulator.nextcloud.uploads import Uploads
from connector.simulator.nextcloud.writing import (
    HASHES,
    dated,
    destination,
    hashed,
    received_hashes,
    require_conditions,
    require_free,
    told,
    too_large,
    torn,
)

_BULK, _WHOLE = "/remote.php/dav/bulk", "/remote.php/dav/"
_DAV = "1, 3, extended-mkcol, access-control, calendarserver-principal-property-search, nc-paginate"
_ALLOW = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT"


class Dav:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._uploads = Uploads(cloud)

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path == _WHOLE or path.startswith((ROOT_OF_FILES, ROOT_OF_UPLOADS, ROOT_OF_OLD, _BULK))

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        self._cloud.lose(request)
        if request.path.startswith(ROOT_OF_UPLOADS):
            return self._uploads.answer(request, user)
        if request.path == _BULK and request.method == "POST":
            return several(self._cloud, request, user)
        if request.path == _WHOLE and request.method == "SEARCH":
            return self._search(request, user)
        owner, path = owned(request.path)
        if owner and owner.lower() != user.id.lower():
            return self._foreign(request, owner, path)
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
            "PROPPATCH": self._proppatch,
            "PATCH": self._patch,
            "MOVE": self._move,
            "COPY": self._copy,
        }
        if method not in verbs:
            says = f'There was no handler found for this "{method}" method'
            raise Refused(501, f"{SABRE}NotImplemented", says)
        return verbs[method]

    def _foreign(self, request: Request, owner: str, path: str) -> Reply:
        """Facts, 2.6: also an administrator finds nothing in another one's home."""
        if request.method == "PUT":
            raise forbidden("Permission denied to create file")
        home = next((node for uid, node in self._cloud.homes.items() if uid.lower() == owner.lower()), None)
        if request.method != "PROPFIND" or path.strip("/") or home is None:
            raise not_found(path)
        return Reply(207, properties.found(self._cloud, request, [_entry(f"{ROOT_OF_FILES}{owner}", home, 0)]))

    # --- reading -------------------------------------------------------------------------------------------------

    def _options(self, _request: Request, _user: User, _path: str) -> Reply:
        feature = ", nextcloud-checksum-update" if self._cloud.settings.recalculate else ""
        return Reply(200, headers={"DAV": _DAV + feature, "Allow": _ALLOW})

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

    def _propfind(self, request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        base = f"{ROOT_OF_FILES}{user.id}/{path.strip('/')}".rstrip("/")
        top = _entry(base, node, may, user)
        entries = [top, *self._inside(top, user, request.header("Depth"))]
        return Reply(207, properties.found(self._cloud, request, entries))

    def _search(self, request: Request, user: User) -> Reply:
        """By the number of a file, among all that an account sees [code, FileSearchBackend]."""
        scope, number = properties.searched(request)
        if scope.strip("/") != f"files/{user.id}":
            raise Refused(400, f"{SABRE}BadRequest", "Invalid scope")
        top = _entry(f"{ROOT_OF_FILES}{user.id}", self._cloud.homes[user.id], ALL, user)
        found = [each for each in self._inside(top, user, "infinity") if str(each.node.id) == number]
        return Reply(207, properties.found(self._cloud, request, found))

    def _inside(self, above: Entry, user: User, depth: str) -> Iterator[Entry]:
        if depth == "0" or not above.node.folder:
            return
        inside = [(name, each, above.may) for name, each in above.node.children.items()]
        if above.node is self._cloud.homes[user.id]:
            inside += [(each.target.strip("/"), each.node, each.permissions) for each in self._cloud.received(user)]
        for name, node, may in inside:
            entry = _entry(f"{above.href}/{name}", node, may, user)
            yield entry
            if depth == "infinity":
                yield from self._inside(entry, user, depth)

    def _proppatch(self, request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        if not may & UPDATE:
            raise forbidden()
        href = f"{ROOT_OF_FILES}{user.id}/{path.strip('/')}"
        return Reply(207, properties.patched(request, _entry(href, node, may, user)))

    def _patch(self, request: Request, user: User, path: str) -> Reply:
        """Facts, 1.2: the hash of what is on the disk, which is kept."""
        if not self._cloud.settings.recalculate:
            raise Refused(501, f"{SABRE}NotImplemented", 'There was no handler found for this "PATCH" method')
        node, _ = self._cloud.find(user, path)
        if node.folder:
            raise Refused(501, f"{SABRE}NotImplemented", "")
        kind = request.header("X-Recalculate-Hash").lower()
        if kind not in HASHES:
            raise Refused(500, "Error", "")
        node.checksum = f"{kind.upper()}:{hashed(kind, node.content)}"
        return Reply(204, headers={"OC-Checksum": node.checksum})

    # --- writing -------------------------------------------------------------------------------------------------

    def _put(self, request: Request, user: User, path: str) -> Reply:
        cloud = self._cloud
        if request.header("Content-Range"):
            raise Refused(400, f"{SABRE}BadRequest", "Content-Range on PUT requests are forbidden.")
        if request.header("X-NC-WebDAV-Auto-Mkcol") == "1":
            self._make_parents(user, path)
        parent, may, name = cloud.place(user, path, missing=not_found(path))
        if not parent.folder:
            raise not_found(path)
        there = parent.children.get(name)
        if request.contested:  # Facts, 2.6.
            raise locked(there or f"{path}.upload.part")
        require_conditions(request, there)
        if there and there.folder:
            raise Refused(409, f"{SABRE}Conflict", "PUT is not allowed on non-files.")
        self._require_whole(request, may, there)
        if refused := too_large(cloud, request):
            if there:  # Facts, 1.1: what was there is emptied.
                there.wrote(b"", cloud.now())
            return refused
        # Facts, 2.1: a quota is held against the length that is announced.
        node, new = cloud.write(parent, may, name, request.body, measured="Content-Length" in request)
        headers = told(cloud, node) | received_hashes(cloud, request, request.body)
        node.checksum = request.header("OC-Checksum")
        return Reply(201 if new else 204, headers=headers | dated(request, node))

    def _make_parents(self, user: User, path: str) -> None:
        names = split(path)
        for depth in range(1, len(names)):
            parent, may = self._cloud.find(user, "/".join(names[: depth - 1]))
            if names[depth - 1] not in parent.children and may & CREATE:
                above = "/".join(names[:depth])
                parent, _, name = self._cloud.place(user, above, missing=not_found(above))
                self._cloud.trees.add(parent, name, folder=True, now=self._cloud.now())

    def _require_whole(self, request: Request, may: int, there: Node | None) -> None:
        """Facts, 2.1: a new name stays free where the body is torn, and an old one has what came."""
        if not request.torn:
            return
        if there and may & UPDATE:
            there.wrote(request.body, self._cloud.now())
        raise torn(request)

    def _mkcol(self, _request: Request, user: User, path: str) -> Reply:
        missing = Refused(409, f"{SABRE}Conflict", "Parent node does not exist")
        parent, may, name = self._cloud.place(user, path, missing=missing)
        if not parent.folder:
            raise Refused(409, f"{SABRE}Conflict", "Parent node is not a collection")
        if name in parent.children:
            raise Refused(405, f"{SABRE}MethodNotAllowed", "The resource you tried to create already exists")
        if not may & CREATE:
            raise forbidden()
        if self._cloud.left(parent.owner) == 0:
            raise Refused(507, f"{SABRE}InsufficientStorage", "")
        node = self._cloud.trees.add(parent, name, folder=True, now=self._cloud.now())
        return Reply(201, headers={"OC-FileId": self._cloud.file_id(node)})

    def _delete(self, _request: Request, user: User, path: str) -> Reply:
        node, may = self._cloud.find(user, path)
        if not may & DELETE or node.parent is None:
            raise forbidden()
        if node.locked:
            raise locked(node)
        self._cloud.throw_away(node)
        return Reply(204)

    def _move(self, request: Request, user: User, path: str) -> Reply:
        source, may = self._cloud.find(user, path)
        parent, name, there = self._target(request, user, source)
        if not may & DELETE or source.parent is None:
            raise forbidden()
        if there is not source:
            if there:
                self._cloud.remove(there)
            self._cloud.trees.move(source, parent, name)
        return Reply(204 if there else 201, headers=told(self._cloud, source))

    def _copy(self, request: Request, user: User, path: str) -> Reply:
        """RFC 4918, 9.8: a file or folder of its own."""
        source, _ = self._cloud.find(user, path)
        parent, name, there = self._target(request, user, source)
        self._cloud.require_room(parent.owner, source.size, name)
        if there:
            self._cloud.remove(there)
        node = self._cloud.trees.copy(source, parent, name, now=self._cloud.now())
        return Reply(204 if there else 201, headers=told(self._cloud, node))

    def _target(self, request: Request, user: User, source: Node) -> tuple[Node, str, Node | None]:
        """The folder and the name that something goes to, and what is there now. Raises Refused."""
        _, target = owned(destination(request))
        if source.locked:  # Facts, 1.9: not 423.
            raise Refused(500, "OCP\\Lock\\LockedException", f'"/{source.path}" is locked')
        missing = Refused(409, f"{SABRE}Conflict", "The destination node is not found")
        parent, may, name = self._cloud.place(user, target, missing=missing)
        there = parent.children.get(name)
        require_free(request, there)
        if not may & CREATE or (there and not may & UPDATE):
            raise forbidden()
        if parent in source.below():
            says = "The destination may not be part of the same subtree as the source path."
            raise Refused(409, f"{SABRE}Conflict", says)
        return parent, name, there


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
    headers["Content-Range"] = f"bytes {start}-{end}/{node.size}"
    return Reply(206, node.content[start : end + 1], kind, headers)


def _entry(href: str, node: Node, may: int = ALL, user: User | None = None) -> Entry:
    return Entry(href, node, may, shared=user is not None and node.owner != user.id)
