"""What people see without an account: public links, their files, and addresses for one download (facts, 2.2 and 3)."""

import base64
import binascii
import io
import re
import zipfile

from connector.simulator.nextcloud.cloud import CREATE, DELETE, READ, UPDATE, Cloud, Share
from connector.simulator.nextcloud.dav import content
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found
from connector.simulator.nextcloud.tree import Node, split

_PAGE = re.compile(r"(?:/index\.php)?/s/([A-Za-z0-9]+)(/download|/authenticate/showshare)?")
_FILES, _OLD = "/public.php/dav/files/", "/public.php/webdav"
_DIRECT = "/remote.php/direct/"


class Public:
    """Pages and files of public links."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return bool(_PAGE.fullmatch(path)) or path.startswith((_FILES, _OLD, _DIRECT))

    def answer(self, request: Request) -> Reply:
        """Raises Refused."""
        if page := _PAGE.fullmatch(request.path):
            return self._page(page[1], page[2] or "")
        if request.path.startswith(_DIRECT):
            node = self._cloud.direct.get(request.path.removeprefix(_DIRECT))
            if node is None:
                raise not_found("")
            return content(request, node)
        if self._cloud.shut_out(request.client):
            says = "OCP\\Security\\Bruteforce\\MaxDelayReached: Reached maximum delay"
            raise Refused(503, f"{SABRE}ServiceUnavailable", says)
        if request.method != "GET" and not self._cloud.settings.federation and not _asked_by_a_page(request):
            raise Refused(401, f"{SABRE}NotAuthenticated", "")
        if request.path.startswith(_FILES):
            token, _, path = request.path.removeprefix(_FILES).partition("/")
            share = self._share(request, token)
            self._require_password(request, share, ("anonymous", token))
        else:
            token, path = _basic(request)[0], request.path.removeprefix(_OLD)
            share = self._share(request, token)
            self._require_password(request, share, (token,))
        return self._file(request, share, split(path))

    def _page(self, token: str, more: str) -> Reply:
        share = next((each for each in self._cloud.alive() if each.token == token), None)
        if share is None:
            return Reply(404, b"<html>File not found</html>", "text/html")
        if more == "/download":
            return Reply(303, headers={"Location": f"{_FILES}{token}/?accept=zip"})
        if share.password and not more:
            return Reply(303, headers={"Location": f"/index.php/s/{token}/authenticate/showshare"})
        return Reply(200, b"<html>Shared</html>", "text/html")

    def _share(self, request: Request, token: str) -> Share:
        """Facts, 1.9: an unknown one is 503."""
        share = next((each for each in self._cloud.alive() if each.token == token and token), None)
        if share is None:
            self._cloud.guess(request.client)
            raise Refused(503, f"{SABRE}ServiceUnavailable", "")
        return share

    def _require_password(self, request: Request, share: Share, names: tuple[str, ...]) -> None:
        name, password = _basic(request)
        if share.password and (name not in names or password != share.password):
            self._cloud.guess(request.client)
            raise Refused(401, f"{SABRE}NotAuthenticated", "Cannot authenticate over ajax calls")

    def _file(self, request: Request, share: Share, names: list[str]) -> Reply:
        may = share.permissions | (CREATE | UPDATE | DELETE if self._cloud.settings.writable_links else 0)
        if request.method == "PUT":
            return self._put(request, share, names, may)
        node = _below(share.node, names)
        match request.method:
            case "GET" | "HEAD" if may & READ:
                return _zipped(node) if node.folder else content(request, node)
            case "DELETE" if may & DELETE and names:
                self._cloud.remove(node)
                return Reply(204)
        raise forbidden()

    def _put(self, request: Request, share: Share, names: list[str], may: int) -> Reply:
        if share.node.folder:
            parent, name = _below(share.node, names[:-1]), names[-1] if names else ""
        else:
            parent, name = share.node.parent or share.node, share.node.name
        if not name:
            raise forbidden()
        _, new = self._cloud.write(parent, may, name, request.body)
        return Reply(201 if new else 204)


def _asked_by_a_page(request: Request) -> bool:
    return "XMLHttpRequest" in request.header("X-Requested-With").split(",")


def _below(node: Node, names: list[str]) -> Node:
    for name in names:
        if name not in node.children:
            raise not_found("/".join(names))
        node = node.children[name]
    return node


def _zipped(node: Node) -> Reply:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for each in node.below():
            if not each.folder:
                archive.writestr(each.path.removeprefix(node.path).strip("/"), each.content)
    return Reply(200, packed.getvalue(), "application/zip")


def _basic(request: Request) -> tuple[str, str]:
    kind, _, told = request.header("Authorization").partition(" ")
    try:
        name, _, password = base64.b64decode(told if kind.lower() == "basic" else "").decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
