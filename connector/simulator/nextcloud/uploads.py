"""Unfinished uploads, which go chunk by chunk (facts, 2.4)."""

import re

from connector.simulator.nextcloud import properties
from connector.simulator.nextcloud.cloud import Cloud, User
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, not_found
from connector.simulator.nextcloud.paths import ROOT_OF_UPLOADS, owned
from connector.simulator.nextcloud.tree import check_name, split
from connector.simulator.nextcloud.writing import (
    dated,
    destination,
    received_hashes,
    require_free,
    told,
    too_large,
    torn,
)

_ASSEMBLED = ".file"
_MOST_CHUNKS = 10_000


class Uploads:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        owner, _, rest = request.path.removeprefix(ROOT_OF_UPLOADS).partition("/")
        upload, _, chunk = rest.strip("/").partition("/")
        if owner.lower() != user.id.lower():
            raise not_found(rest)
        self._cloud.forget_old_uploads()
        there, key = self._cloud.uploads, (user.id, upload)
        if request.method == "MKCOL" and not chunk:
            return self._begun(request, key)
        if request.method == "PROPFIND" and not upload:
            base = f"{ROOT_OF_UPLOADS}{user.id}/"
            names = [name for owner, name in there if owner == user.id]
            told_of = [properties.upload(base, None), *(properties.upload(f"{base}{each}/", None) for each in names)]
            return Reply(207, properties.multistatus(told_of))
        if key not in there:
            raise not_found(rest)
        self._cloud.touched[key] = self._cloud.now()
        return self._in_one(request, user, key, chunk)

    def _begun(self, request: Request, key: tuple[str, str]) -> Reply:
        if key in self._cloud.uploads:
            raise Refused(405, f"{SABRE}MethodNotAllowed", "The resource you tried to create already exists")
        self._require_strict(request, "1")
        self._cloud.uploads[key] = {}
        self._cloud.touched[key] = self._cloud.now()
        return Reply(201)

    def _in_one(self, request: Request, user: User, key: tuple[str, str], chunk: str) -> Reply:
        match request.method:
            case "PROPFIND":
                return self._listed(request, user, key)
            case "DELETE" if not chunk:
                del self._cloud.uploads[key]
                return Reply(204)
            case "PUT":
                return self._put(request, user, key, chunk)
            case "MOVE" | "COPY" if chunk == _ASSEMBLED:
                return self._assemble(request, user, key)
        raise Refused(501, f"{SABRE}NotImplemented", "")

    def _listed(self, request: Request, user: User, key: tuple[str, str]) -> Reply:
        chunks = self._cloud.uploads[key]
        base = f"{ROOT_OF_UPLOADS}{user.id}/{key[1]}/"
        sizes = {name: len(data) for name, data in chunks.items()} | {_ASSEMBLED: sum(map(len, chunks.values()))}
        inside = [] if request.header("Depth") == "0" else [*sizes.items()]
        told_of = [properties.upload(base, None), *(properties.upload(base + name, size) for name, size in inside)]
        return Reply(207, properties.multistatus(told_of))

    def _put(self, request: Request, user: User, key: tuple[str, str], chunk: str) -> Reply:
        if refused := too_large(self._cloud, request):
            return refused
        if request.torn:
            raise torn(request)
        self._require_strict(request, chunk)
        total = request.header("OC-Total-Length")
        if total.isdecimal():
            self._cloud.require_room(user.id, int(total), chunk)
        new = chunk not in self._cloud.uploads[key]
        self._cloud.uploads[key][chunk] = request.body
        return Reply(201 if new else 204)

    def _require_strict(self, request: Request, chunk: str) -> None:
        """Facts, 2.4: with an object store behind it; read in the code, not seen."""
        if not self._cloud.settings.strict_chunks:
            return
        if not (chunk.isdecimal() and 1 <= int(chunk) <= _MOST_CHUNKS):
            raise Refused(400, f"{SABRE}BadRequest", "Invalid chunk name, must be numeric between 1 and 10000")
        destination(request)

    def _assemble(self, request: Request, user: User, key: tuple[str, str]) -> Reply:
        cloud, chunks = self._cloud, self._cloud.uploads[key]
        if request.header("If-None-Match") == "*":  # It is held against `.file`, which is there.
            raise Refused(412, f"{SABRE}PreconditionFailed", "An If-None-Match header was specified")
        data = b"".join(chunks[name] for name in sorted(chunks, key=_natural))
        total = request.header("OC-Total-Length")
        if total and int(total) != len(data):
            says = f"Chunks on server do not sum up to {total} but to {len(data)} bytes"
            raise Refused(400, f"{SABRE}BadRequest", says)
        _, target = owned(destination(request))
        check_name(split(target)[-1], target, windows=cloud.settings.windows_names)
        missing = Refused(409, f"{SABRE}Conflict", "The destination node is not found")
        parent, may, name = cloud.place(user, target, missing=missing)
        require_free(request, parent.children.get(name))
        node, new = cloud.write(parent, may, name, data)
        if request.method == "MOVE":
            del cloud.uploads[key]
        headers = told(cloud, node) | received_hashes(cloud, request, data) | dated(request, node)
        return Reply(201 if new else 204, headers=headers)


def _natural(name: str) -> list[tuple[int, str]]:
    pieces = re.findall(r"\d+|\D+", name)
    return [(int(each), "") if each.isdecimal() else (0, each) for each in pieces]
