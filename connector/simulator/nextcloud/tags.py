"""System tags: those that there are, and which files bear them.

No fact tells of them: they are read in the server's code (apps/dav/lib/SystemTag), and nothing of it was seen live [I].
"""

import json
from urllib.parse import quote

from connector.simulator.nextcloud import properties
from connector.simulator.nextcloud.cloud import UPDATE, Cloud, Tag, User
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found
from connector.simulator.nextcloud.tree import Node

_TAGS, _ON_FILES = "/remote.php/dav/systemtags", "/remote.php/dav/systemtags-relations/files/"


class Tags:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path.rstrip("/") == _TAGS or path.startswith(_ON_FILES)

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        if not request.path.startswith(_ON_FILES):
            return self._made(request, user) if request.method == "POST" else self._listed(self._cloud.tags)
        file_id, _, tag_id = request.path.removeprefix(_ON_FILES).strip("/").partition("/")
        node = self._cloud.may_read(user, int(file_id)) if file_id.isdecimal() else None
        if node is None:
            raise not_found(file_id)
        match request.method, bool(tag_id):
            case "PROPFIND", False:
                return self._listed([each for each in self._cloud.tags if each.id in node.tags])
            case "PUT", True:
                return self._put(user, node, tag_id)
            case "DELETE", True if tag_id in node.tags:
                node.tags.discard(tag_id)
                return Reply(204)
        raise not_found(tag_id)

    def _made(self, request: Request, user: User) -> Reply:
        told = json.loads(request.body)
        if any(each.name == told["name"] for each in self._cloud.tags):
            raise Refused(409, f"{SABRE}Conflict", "Tag already exists")
        if not told.get("userAssignable", True) and not user.admin:
            raise Refused(400, f"{SABRE}BadRequest", "Not sufficient permissions")
        tag = self._cloud.add_tag(told["name"], assignable=told.get("userAssignable", True))
        return Reply(201, headers={"Content-Location": f"{_TAGS}/{tag.id}"})

    def _put(self, user: User, node: Node, tag_id: str) -> Reply:
        if tag_id in node.tags:
            if self._cloud.settings.tags_twice:
                return Reply(201)
            raise Refused(409, f"{SABRE}Conflict", "PUT is not allowed on non-files.")
        tag = next((each for each in self._cloud.tags if each.id == tag_id), None)
        if tag is None:
            says = f"Tag with id {tag_id} does not exist, cannot assign"
            raise Refused(412, f"{SABRE}PreconditionFailed", says)
        if not tag.assignable and not user.admin:
            raise forbidden(f"No permission to assign tag {tag_id}")
        if node.owner != user.id and not self._may_write(user, node):
            raise forbidden(f"No permission to assign tag to {node.id}")
        node.tags.add(tag_id)
        return Reply(201)

    def _may_write(self, user: User, node: Node) -> bool:
        shares = (each for each in self._cloud.received(user) if any(node is below for below in each.node.below()))
        return any(each.permissions & UPDATE for each in shares)

    def _listed(self, tags: list[Tag]) -> Reply:
        told = [properties.upload(f"{_TAGS}/", None), *map(_told, tags)]
        return Reply(207, properties.multistatus(told))


def _told(tag: Tag) -> str:
    known = {"id": tag.id, "display-name": tag.name, "user-assignable": str(tag.assignable).lower()}
    return properties.told(quote(f"{_TAGS}/{tag.id}"), known)
