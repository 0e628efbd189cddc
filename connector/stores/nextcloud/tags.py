"""System tags: words that files bear before they count as stored. Other software heeds them, such as a search or an AI.

They have to exist. Whoever makes them decides who may take them off; we do not.
"""

from collections.abc import Collection, Iterator, Mapping

from connector.errors import Conflict, ConnectorError, Denied, Rejected
from connector.stores.dav import asking, parsed
from connector.stores.nextcloud.dav import NextcloudDav

_OC = "{http://owncloud.org/ns}"
_ASKED = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><prop><oc:id/><oc:display-name/></prop></propfind>"""
_PUT, _ON_IT, _FORBIDDEN, _GONE = (201, 204), 409, 403, 412


class Tags:
    """Those of a server. For one thread."""

    def __init__(self, client: NextcloudDav, always: tuple[str, ...]) -> None:
        """The root of the client is that of the server's WebDAV; every file bears those of `always`."""
        self._client = client
        self.always = always
        self._ids: Mapping[str, str] = {}

    def put_on(self, file_id: str, names: Collection[str]) -> None:
        """Have a file bear all of these. Those that it has already count as put."""
        if not self._ids.keys() >= set(names):
            self._ids = dict(self._known())
        for name in names:
            self._put(self._id(name), name, file_id)

    def _put(self, tag: str, name: str, file_id: str) -> None:
        path = f"systemtags-relations/files/{file_id}/{tag}"
        answer = self._client.ask("upload", path, success=(*_PUT, _ON_IT, _FORBIDDEN, _GONE), data=b"")
        if answer.status == _FORBIDDEN:
            says = f"{self._client.host} does not let the account put the tag {name} on files: let its group do that"
            raise self._refused(name, says)
        if answer.status == _GONE:
            self._ids = {}
            raise Conflict(f"{self._client.host} has no tag {name} any more; it is looked for again")

    def _id(self, name: str) -> str:
        if name not in self._ids:
            where = "make it in the administration settings of Nextcloud, under Basic settings, or change `tags`"
            raise self._refused(name, f"{self._client.host} has no tag {name}: {where}")
        return self._ids[name]

    def _refused(self, name: str, says: str) -> ConnectorError:
        """Where all files are to bear it, that is the store's trouble; otherwise that of the files of a rule."""
        return Denied(says) if name in self.always else Rejected(says)

    def _known(self) -> Iterator[tuple[str, str]]:
        answer = self._client.ask("list", "systemtags/", success=(207,), data=_ASKED, headers=asking(1))
        root = parsed(answer.body)
        for each in () if root is None else root.iter("{DAV:}prop"):
            if name := each.findtext(f"{_OC}display-name"):
                yield name, each.findtext(f"{_OC}id", "")
