"""What was deleted, as the documentation has it (client APIs, WebDAV, trashbin); its properties as the code has them.

Nothing of it was seen live [I]. Versions go into the trash with their file, and leave it with it too.
"""

from collections.abc import Iterator

from connector.simulator.nextcloud import properties
from connector.simulator.nextcloud.cloud import READ, Cloud, Trashed, User
from connector.simulator.nextcloud.dav import content
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found
from connector.simulator.nextcloud.properties import Entry
from connector.simulator.nextcloud.tree import Node

_ROOT = "/remote.php/dav/trashbin/"
_NAME, _LOCATION, _TIME = (
    f"{{http://nextcloud.org/ns}}trashbin-{word}" for word in ("filename", "original-location", "deletion-time")
)


class Trash:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path.startswith(_ROOT)

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        self._cloud.lose(request)
        if not self._cloud.settings.trash:
            raise not_found(request.path)
        owner, *names = request.path.removeprefix(_ROOT).strip("/").split("/")
        if owner != user.id:
            raise forbidden()
        if names[:1] != ["trash"]:
            raise not_found("/".join(names))
        del names[0]
        if request.method == "PROPFIND":
            return Reply(207, properties.found(self._cloud, request, [*self._listed(request, user, names)]))
        top, node = self._found(user, names)
        match request.method:
            case "GET" if not node.folder:
                return content(request, node)
            case "DELETE":
                return self._purged(user, top, node)
            case "MOVE" if node is top.node and f"{_ROOT}{user.id}/restore/" in request.header("Destination"):
                return self._restored(user, top)
        raise Refused(501, f"{SABRE}NotImplemented", "")

    def _listed(self, request: Request, user: User, names: list[str]) -> Iterator[Entry]:
        base = "/".join((f"{_ROOT}{user.id}/trash", *names))
        if names:
            top, node = self._found(user, names)
            yield _entry(base, top, node)
            inside = [(each.name, top, each) for each in node.children.values()]
        else:
            yield Entry(base, Node(0, "", user.id, folder=True, parent=None), READ, shared=False)
            inside = [(each.name, each, each.node) for each in self._cloud.trash[user.id]]
        if request.header("Depth") != "0":
            yield from (_entry(f"{base}/{name}", top, node) for name, top, node in inside)

    def _found(self, user: User, names: list[str]) -> tuple[Trashed, Node]:
        """What was deleted, and what of it a path leads to."""
        top = next((each for each in self._cloud.trash[user.id] if names[:1] == [each.name]), None)
        node = top.node if top else None
        for name in names[1:]:
            node = node.children.get(name) if node else None
        if top is None or node is None:
            raise not_found("/".join(names))
        return top, node

    def _purged(self, user: User, top: Trashed, node: Node) -> Reply:
        if not self._cloud.settings.trash_may_be_emptied:
            raise forbidden("Not allowed to delete items from the trash bin")
        if node is top.node:
            self._cloud.trash[user.id].remove(top)
        else:
            self._cloud.remove(node)
        return Reply(204)

    def _restored(self, user: User, top: Trashed) -> Reply:
        """To where it was; to the root, where the folder it was in is gone."""
        folder, _, name = top.location.rpartition("/")
        try:
            parent, _ = self._cloud.find(user, folder)
        except Refused:
            parent = self._cloud.homes[user.id]
        self._cloud.trash[user.id].remove(top)
        self._cloud.trees.adopt(top.node, parent, name)
        return Reply(201)


def _entry(href: str, top: Trashed, node: Node) -> Entry:
    inside = "" if node is top.node else node.path.removeprefix(top.node.path)
    more = {_NAME: node.name, _LOCATION: top.location + inside, _TIME: str(top.when)}
    return Entry(href, node, READ, shared=False, more=more)
