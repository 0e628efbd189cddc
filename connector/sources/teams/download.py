"""The bytes of a file in a drive, as they come in: gone on with where a connection broke off, and proved at the end."""

import io
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from connector.errors import Conflict, Corrupt, Rejected, Unavailable
from connector.sources.graph.connection import JSON, Connection, Incoming
from connector.sources.teams.quickxor import QuickXor

#: How often in one file a broken connection is gone on with, each time after some bytes at least.
_RESUMED = 20
_PARTIAL = 206
#: Opens the file by itself, for some minutes. It saves the request that would be answered with it.
_URL = "@microsoft.graph.downloadUrl"


class Download(io.RawIOBase):
    """Reads like a file, once, from its beginning.

    What is read is the version that the caller has seen: where the file changes meanwhile it raises Conflict. Where
    something else comes in its place, such as a page that asks to log in, it raises Rejected; where the bytes are not
    those of which Graph tells the size and the hash, Corrupt.
    """

    def __init__(self, connection: Connection, where: str, told: JSON) -> None:
        """`told` is all that Graph says of the file at `where`."""
        self._connection = connection
        self._where = where
        self._told = told
        self._size = int(told.get("size", 0))
        self._hash = ((told.get("file") or {}).get("hashes") or {}).get("quickXorHash")
        self._summed = QuickXor()
        self._at = 0
        self._left = b""
        self._chunks = self._whole()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        given = self._left[: len(buffer)]
        buffer[: len(given)] = given
        self._left = self._left[len(given) :]
        return len(given)

    def _whole(self) -> Iterator[bytes]:
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
        now = self._connection.ask("GET", self._where).body
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
