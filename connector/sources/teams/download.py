"""The bytes of a file in a drive, as they come in: gone on with where a connection broke off, and proved at the end."""

import io
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack

from connector.errors import Conflict, Corrupt, Rejected, Unavailable
from connector.sources.graph.connection import JSON, Connection, Incoming
from connector.sources.teams.quickxor import QuickXor

#: How often in one file a broken connection is gone on with, each time after some bytes at least.
_RESUMED = 20
_PARTIAL = 206
#: Opens the file by itself, for some minutes. It saves the request that would be answered with it.
_URL = "@microsoft.graph.downloadUrl"


class Download(io.BufferedIOBase):
    """Reads like a file, from its beginning as often as it takes.

    What is read is the version that the caller has seen: where the file changes meanwhile it raises Conflict. Where
    something else comes in its place, such as a page that asks to log in, it raises Rejected; where the bytes are not
    those of which Graph tells the size and the hash, Corrupt.
    """

    def __init__(self, connection: Connection, where: str, told: JSON) -> None:
        """`told` is all that Graph says of the file at `where`."""
        self._connection = connection
        self._where = where
        self._told = told
        self._size = int(told.get("size") or 0)
        self._hash = ((told.get("file") or {}).get("hashes") or {}).get("quickXorHash")
        self._begin()

    def seekable(self) -> bool:
        """It can be read again."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To its beginning, where it is opened anew; or to its end, which tells its size and asks for nothing."""
        if offset or whence == io.SEEK_CUR:
            raise io.UnsupportedOperation("it is read from its beginning to its end")
        self._chunks.close()
        if whence == io.SEEK_END:
            self._left = b""
            return self._size
        if self._at:
            self._same_version()
        self._begin()
        return 0

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BufferedIOBase.read`."""
        left = sys.maxsize if size is None or size < 0 else size
        pieces = []
        while left and (piece := self._piece(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """End the connection, where there still is one."""
        self._chunks.close()
        super().close()

    def _begin(self) -> None:
        self._summed = QuickXor()
        self._at = 0
        self._left = b""
        self._chunks: Generator[bytes] = self._whole()

    def _piece(self, most: int) -> bytes:
        """What has come in, as it is; the rest is for the next time where it is more than so much."""
        came = self._left or next(self._chunks, b"")
        self._left = came[most:]
        return came[:most]

    def _whole(self) -> Generator[bytes]:
        resumed, before = 0, -1
        while True:
            try:
                yield from self._from_here()
                break
            except Unavailable:
                # Without a byte more it is no broken connection but a server that is down.
                if resumed >= _RESUMED or self._at == before or not 0 < self._at < self._size:
                    raise
            resumed, before = resumed + 1, self._at
            self._same_version()
        self._prove()

    def _from_here(self) -> Iterator[bytes]:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        with ExitStack() as opened:
            url = self._told.get(_URL) or f"{self._where}/content"
            incoming = opened.enter_context(self._connection.stream(str(url), headers))
            skipped = self._skipped(incoming)
            chunks = iter(incoming.chunks)
            while True:
                with self._connection.told():
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                if skipped:
                    chunk, skipped = chunk[skipped:], max(skipped - len(chunk), 0)
                if chunk:
                    self._at += len(chunk)
                    self._summed.update(chunk)
                    yield chunk

    def _skipped(self, incoming: Incoming) -> int:
        """How many of the bytes that come were here before: a server may answer a Range with the whole."""
        if not self._at and _is_page(incoming) and not _may_be_page(self._told):
            raise Rejected(f"a page came in place of a file of {self._connection.party.whose}: is it still there?")
        return 0 if not self._at or incoming.status == _PARTIAL else self._at

    def _same_version(self) -> None:
        """Look at it once more: it must not have changed, and has a fresh address."""
        now = self._connection.one(self._where)
        if now.get("cTag") != self._told.get("cTag"):
            raise Conflict(f"a file of {self._connection.party.whose} changed while it was read")
        self._told = now

    def _prove(self) -> None:
        wrong = self._at != self._size or (self._hash and self._hash != self._summed.base64())
        if wrong:
            self._same_version()
            raise Corrupt(f"a file of {self._connection.party.whose} has other bytes than its size and hash tell")


def _is_page(incoming: Incoming) -> bool:
    return incoming.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/html"


def _may_be_page(told: JSON) -> bool:
    name, kind = str(told.get("name", "")).lower(), str((told.get("file") or {}).get("mimeType") or "").lower()
    return kind == "text/html" or name.endswith((".htm", ".html", ".aspx"))
