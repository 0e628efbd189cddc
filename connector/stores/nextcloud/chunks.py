"""Chunked upload, version 2, by its strict rules: those that hold with any storage behind the server.

Chunks are named by numbers from 1, at most 10,000, each of 5 MB or more but the last; every request names the target
and the whole length. An upload that died is gone on with: its name is made of where it brings what, so that whatever
chunks the server has of it are ours, and the server's own hash of the whole proves them. Of a file that comes straight
from its source the name says only how much it is: to know what, it would have to come twice.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from connector.errors import Conflict, ConnectorError
from connector.spool import Spool
from connector.stores.dav import Answer, Upload
from connector.stores.nextcloud.dav import NextcloudDav

SMALLEST = 5 * 1024 * 1024
_MOST = 10_000
_CREATED = (201, 204)
_THERE, _TOO_LARGE = 405, 413


class TooLarge(Exception):
    """Something before the server takes no bodies of this size."""


class Chunks:
    """The unfinished uploads of one account."""

    def __init__(self, client: NextcloudDav) -> None:
        """The root of the client is the account's collection of uploads."""
        self._client = client

    def upload(self, content: Spool, target: str, size: int) -> Answer:
        """Bring a file to the address `target`, in pieces of `size`; what the server says in the end: 201, or 412.

        Raises TooLarge, Rejected where the whole is, and Conflict where what it had of an earlier attempt does not fit:
        then nothing is left of it.
        """
        size = max(size, -(-content.size // _MOST))
        name = _name(target, content, size)
        bound = {"Destination": target, "OC-Total-Length": str(content.size)}
        begun = self._client.ask("mkdir", f"{name}/", success=(*_CREATED, _THERE), headers=bound).status == _THERE
        there = self._there(name) if begun else {}
        for chunk, start, end in _pieces(content.size, size):
            if there.get(chunk) != end - start and not self._sent(
                f"{name}/{chunk}", Upload(content, start, end), bound
            ):
                self._forget(name)
                raise TooLarge
        return self._assemble(name, bound)

    def _there(self, name: str) -> dict[str, int | None]:
        """The sizes of the chunks that the server has."""
        return {each.path.rpartition("/")[2]: each.size for each in self._client.look(f"{name}/", depth=1)}

    def _sent(self, path: str, piece: Upload, bound: dict[str, str]) -> bool:
        """False where something before the server does not take a body of this size."""
        return (
            self._client.ask("upload", path, success=(*_CREATED, _TOO_LARGE), data=piece, headers=bound).status
            in _CREATED
        )

    def _assemble(self, name: str, bound: dict[str, str]) -> Answer:
        headers = {**bound, "Overwrite": "F", "X-Hash": "sha256"}
        answer = self._client.ask("move", f"{name}/.file", success=(*_CREATED, 400, 412, _TOO_LARGE), headers=headers)
        if answer.status not in _CREATED:
            self._forget(name)
        if answer.status == _TOO_LARGE:
            raise self._client.refused("MOVE", answer)
        if answer.status == 400:  # noqa: PLR2004
            raise Conflict(f"{self._client.host} does not put the pieces of an upload together; it begins anew")
        return answer

    def _forget(self, name: str) -> None:
        """What is left of it, the server forgets within a day."""
        with suppress(ConnectorError):  # The first error is the one to tell.
            self._client.ask("clean", f"{name}/", success=(*_CREATED, 404))


def _name(target: str, content: Spool, size: int) -> str:
    told = f"{target}\0{content.size}\0{size}\0{'' if content.passing else content.sha256}".encode()
    return f"connector-{hashlib.sha256(told).hexdigest()[:32]}"


def _pieces(whole: int, size: int) -> Iterator[tuple[str, int, int]]:
    """The name of each chunk, and where it begins and ends."""
    for number, start in enumerate(range(0, whole, size), 1):
        yield f"{number:05}", start, min(start + size, whole)
