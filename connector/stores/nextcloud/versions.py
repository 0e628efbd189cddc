"""What files of an account had in them before they were edited: Nextcloud keeps it for a while."""

import hashlib
from contextlib import AbstractContextManager
from typing import BinaryIO

from connector.errors import FileGone
from connector.model import Stored
from connector.spool import CHUNK
from connector.stores.nextcloud.dav import NextcloudDav


class Versions:
    """Those of one account. For one thread."""

    def __init__(self, client: NextcloudDav) -> None:
        """The root of the client is the account's collection of versions."""
        self._client = client

    def of(self, file_id: str, stored: Stored) -> str | None:
        """The version of a file that has the bytes which were proved; None where there is none any more."""
        for each in self._client.look(f"{file_id}/", depth=1):
            version = f"{file_id}/{each.path.rpartition('/')[2]}"
            if not each.collection and each.size == stored.size and self._has(version, stored.sha256):
                return version
        return None

    def open(self, version: str) -> AbstractContextManager[BinaryIO]:
        """Stream a version. Raises FileGone."""
        return self._client.download(version)

    def _has(self, version: str, sha256: str) -> bool:
        digest = hashlib.sha256()
        try:
            with self.open(version) as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except FileGone:  # The present one is listed too, and lies elsewhere.
            return False
        return digest.hexdigest() == sha256
