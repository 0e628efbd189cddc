"""ClamAV's daemon (clamd(8), command INSTREAM), over a socket of this machine or TCP.

What is longer than its StreamMaxLength it refuses, and that is told. What is longer than its MaxFileSize or MaxScanSize
it calls clean, unless it is set to tell: with `AlertExceedsMax yes` that counts as found, which is what one wants here.
"""

import socket
import struct
from contextlib import suppress

from connector.errors import Unavailable
from connector.scanners.wire import MOST, connection
from connector.spool import CHUNK, Spool

_TOO_LONG = b"INSTREAM size limit exceeded. ERROR"


class Clamd:
    """Asks clamd."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        """Nothing is sent yet."""
        self._address = address
        self._where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"

    def infected(self, content: Spool) -> bool | None:
        """Whether it finds anything in these bytes; None where they are more than its StreamMaxLength."""
        with connection(self._where, self._address) as clamd:
            # Where it has seen enough, it answers and hangs up before it has all.
            with suppress(BrokenPipeError, ConnectionResetError):
                _send(clamd, content)
            said = _answer(clamd)
        if said.endswith(b": OK"):
            return False
        if said.endswith(b" FOUND"):
            return True
        if said.endswith(_TOO_LONG):
            return None
        told = said.decode("ascii", "replace") or "nothing"
        raise Unavailable(f"the scanner {self._where} could not scan a file, and says: {told}")


def _send(clamd: socket.socket, content: Spool) -> None:
    clamd.sendall(b"zINSTREAM\0")
    content.content.seek(0)
    while chunk := content.content.read(CHUNK):
        clamd.sendall(struct.pack("!I", len(chunk)) + chunk)
    clamd.sendall(bytes(4))


def _answer(clamd: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"\0") and len(said) < MOST and (chunk := clamd.recv(MOST)):
        said += chunk
    return said.rstrip(b"\0\n")
