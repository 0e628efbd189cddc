"""What files had in them before: as the documentation has it (client APIs, WebDAV, versions), and the code [I].

Nothing of it was seen live. A version goes by the time when it was written; the present one is listed too, and cannot
be fetched here.
"""

from connector.simulator.nextcloud import properties
from connector.simulator.nextcloud.cloud import Cloud, User
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request, forbidden, not_found

_ROOT = "/remote.php/dav/versions/"


class Versions:
    """The verbs, for one account."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path.startswith(_ROOT)

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        owner, _, rest = request.path.removeprefix(_ROOT).strip("/").partition("/versions/")
        file_id, _, version = rest.partition("/")
        if owner != user.id:
            raise forbidden()
        node = self._cloud.may_read(user, int(file_id)) if file_id.isdecimal() else None
        if node is None or node.folder:
            raise not_found(rest)
        if request.method == "PROPFIND" and not version:
            base = f"{_ROOT}{user.id}/versions/{file_id}"
            sizes = {when: len(content) for when, content in node.versions.items()} | {int(node.changed): node.size}
            told = [properties.upload(f"{base}/{when}", size) for when, size in sizes.items()]
            return Reply(207, properties.multistatus([properties.upload(f"{base}/", None), *told]))
        if not version.isdecimal() or int(version) not in node.versions:
            raise not_found(rest)
        kept = node.versions[int(version)]
        match request.method:
            case "GET":
                return Reply(200, kept, "application/octet-stream")
            case "DELETE":
                del node.versions[int(version)]
                return Reply(204)
            case "MOVE" if f"{_ROOT}{user.id}/restore/" in request.header("Destination"):
                node.wrote(kept, self._cloud.now())
                return Reply(201)
        raise Refused(501, f"{SABRE}NotImplemented", "")
