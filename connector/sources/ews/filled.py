"""A request with a file in it, as it goes out: base64 is made on the way, so that the file is never whole in memory."""

from collections.abc import Iterator

import pybase64

from connector.spool import Spool

#: Stands in a request where the file is to go: as the last text of it, since a file may have this very name.
FILLING = "[the bytes of the file]"
_PLACE = f">{FILLING}<".encode()
#: Divisible by three: only the last part may be padded.
_PART = 3 * 256 * 1024


class Filled:
    """Bytes with their true length. Each pass begins at the start: NTLM needs a second one."""

    def __init__(self, envelope: bytes, content: Spool) -> None:
        """`envelope` holds `FILLING`, alone in its element. The spool must stay open until the request is answered."""
        self._before, _, self._after = envelope.rpartition(_PLACE)
        self._content = content

    def __len__(self) -> int:
        return len(self._before) + len("><") + -(-self._content.size // 3) * 4 + len(self._after)

    def __iter__(self) -> Iterator[bytes]:
        self._content.content.seek(0)
        yield self._before + b">"
        while part := self._content.content.read(_PART):
            yield pybase64.b64encode(part)
        yield b"<" + self._after
