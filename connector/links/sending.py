"""Bytes on their way to whoever opened a link: a piece at a time, never faster than they are taken, never for ever."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from zipstream import ZipStream

from connector.errors import ConnectorError, Corrupt
from connector.links.book import Offered
from connector.links.limits import Full, Lanes
from connector.links.reader import PIECE
from connector.log import Event, log
from connector.names import distinct, plain, safe_name

#: In bytes, without the end.
Span = tuple[int, int]


class Pieces(Protocol):
    """Bytes, piece by piece; none of them is empty."""

    def __next__(self) -> bytes: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None:
        """Give back what they come from."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be sent, from a store that has answered."""

    status: int
    headers: Mapping[str, str]
    pieces: Pieces


class Download(Response):
    """Sends what `prepare` makes ready, in a lane of its own; `prepare` runs in a thread, and may answer otherwise."""

    def __init__(
        self,
        prepare: Callable[[], Ready | Response],
        *,
        lanes: Lanes,
        client: str,
        full: Callable[[], Response],
        threads: CapacityLimiter,
        patience: float,
    ) -> None:
        """`patience`: seconds that a reader may take for one piece."""
        super().__init__()
        self._prepare = prepare
        self._lanes = lanes
        self._client = client
        self._full = full
        self._threads = threads
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            with self._lanes.lane(self._client):
                ready = await to_thread.run_sync(self._prepare, limiter=self._threads)
                if isinstance(ready, Ready):
                    await self._watched(ready, receive, send)
                    return
        except Full:
            ready = await to_thread.run_sync(self._full)
        await ready(scope, receive, send)

    async def _watched(self, ready: Ready, receive: Receive, send: Send) -> None:
        """Send, until all is sent or nobody is there any more: the server would take bytes for those who left too."""
        try:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                await self._sent(ready, send)
                group.cancel_scope.cancel()
        finally:
            ready.pieces.close()

    async def _sent(self, ready: Ready, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in ready.headers.items()]
        await send({"type": "http.response.start", "status": ready.status, "headers": headers})
        try:
            while piece := await to_thread.run_sync(next, ready.pieces, b"", limiter=self._threads):
                # Whoever takes this long for a piece keeps others from theirs.
                with anyio.fail_after(self._patience):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (TimeoutError, ConnectorError) as error:
            # Nothing completes it: the server ends the connection, and nobody takes the part for the whole.
            log.warning(Event.LINK_BROKEN_OFF, reason=str(error) or "the reader is too slow")
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def checked(pieces: Pieces, file: Offered, proved: Callable[[bool], None]) -> Generator[bytes, None, None]:
    """All of a file, proved on its way: the last piece is held back until the hash is right.

    Raises Corrupt before it, where it is not.
    """
    digest = hashlib.sha256()

    def hashed() -> Generator[bytes, None, None]:
        with closing(pieces):
            for piece in pieces:
                digest.update(piece)
                yield piece

    def judge() -> None:
        right = digest.hexdigest() == file.sha256
        proved(right)
        if not right:
            raise Corrupt("a file in the store is not what was published")

    return before_the_end(hashed(), judge)


def before_the_end(pieces: Pieces, judge: Callable[[], None]) -> Generator[bytes, None, None]:
    """The same pieces; `judge` is called when only the last of them is still to come.

    Afterwards would be too late: whoever has all of it is gone by then.
    """
    held = b""
    with closing(pieces):
        for piece in pieces:
            if held:
                yield held
            held = piece
        judge()
        if held:
            yield held


class Archive:
    """All files as one ZIP: not compressed, so that its length is known before it is made, and of any size."""

    def __init__(self, files: tuple[Offered, ...], read: Callable[[Offered], Pieces]) -> None:
        """`read` is called for each file when its turn comes."""
        self._zip = ZipStream(sized=True)
        for file, name in zip(files, distinct(each.name for each in files), strict=True):
            self._zip.add(_late(read, file), name, size=file.size)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._zip)

    def pieces(self) -> Generator[bytes, None, None]:
        """Its bytes, small files and what stands between them gathered: each piece costs a turn of a thread."""
        gathered = bytearray()
        for each in self._zip:
            if not gathered and len(each) >= PIECE:
                yield each
                continue
            gathered += each
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)


def _late(read: Callable[[Offered], Pieces], file: Offered) -> Iterator[bytes]:
    with closing(read(file)) as pieces:
        yield from pieces


def attachment(name: str) -> str:
    """Content-Disposition (RFC 6266): to be saved, under this name and no path (RFC 8187), whatever stands in it."""
    name = safe_name(plain(name))
    plainer = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plainer}\"; filename*=UTF-8''{quote(name, safe='')}"


def span(header: str, size: int) -> Span | None:
    """What one range asks for (RFC 9110 section 14.2). None: all of it, as for several ranges or what is no range.

    Raises ValueError where it lies outside.
    """
    unit, equals, said = header.partition("=")
    first, dash, last = said.strip().partition("-")
    digits = first + last
    if unit.strip().lower() != "bytes" or not equals or not dash or not (digits.isascii() and digits.isdigit()):
        return None
    if len(digits) > 2 * _LONGEST_NUMBER:
        raise ValueError(header)
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise ValueError(header)
    return start, end


#: Of digits; Python refuses to read numbers of thousands of them.
_LONGEST_NUMBER = 20
