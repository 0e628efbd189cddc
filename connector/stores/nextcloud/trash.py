"""The trash of an account: what is deleted goes there, with its versions, and stays for weeks."""

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from connector.errors import Rejected
from connector.stores.dav import asking, parsed
from connector.stores.nextcloud.dav import NextcloudDav

_LOCATION = "{http://nextcloud.org/ns}trashbin-original-location"
_ASKED = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:" xmlns:nc="http://nextcloud.org/ns"><prop><nc:trashbin-original-location/></prop></propfind>"""
#: The app may be off: then what is deleted is gone.
_ABSENT, _FORBIDDEN = 404, 403


class Trash:
    """That of one account. For one thread."""

    def __init__(self, client: NextcloudDav, folder: str) -> None:
        """The root of the client is the trash; `folder` of the account is what paths are relative to."""
        self._client = client
        self._folder = folder

    def purge(self, path: str) -> None:
        """Nothing is left of what was deleted at `path`, by itself or with a folder above it; none counts as purged."""
        path = f"{self._folder}/{path}".strip("/")
        for name, location in self._listed():
            if location == path:
                self._purge_empty(name)
            elif path.startswith(f"{location}/"):
                self._remove(name + path.removeprefix(location))

    def _purge_empty(self, name: str) -> None:
        """A collection may hold what others want back: only an empty one is ours to purge."""
        if len(self._client.look(name, depth=1)) <= 1:
            self._remove(name)

    def _remove(self, name: str) -> None:
        answer = self._client.ask("clean", name, success=(200, 204, _FORBIDDEN, _ABSENT))
        if answer.status == _FORBIDDEN:
            raise Rejected(
                f"{self._client.host} keeps what is in the trash: let people empty theirs (files.trash.delete in"
                " Nextcloud's config.php)"
            )

    def _listed(self) -> Iterator[tuple[str, str]]:
        """The name in the trash of everything that was deleted, and where it was below the root of the account."""
        answer = self._client.ask("list", "", success=(207, _ABSENT), data=_ASKED, headers=asking(1))
        root = parsed(answer.body) if answer.status != _ABSENT else None
        for each in () if root is None else root.iter("{DAV:}response"):
            if location := each.findtext(f".//{_LOCATION}"):
                href = urlsplit(each.findtext("{DAV:}href", "")).path
                yield unquote(href).rstrip("/").rpartition("/")[2], location.removeprefix("./").strip("/")
