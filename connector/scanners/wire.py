"""One connection for one question to a scanner."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from connector.errors import Unavailable

#: Until somebody answers the call.
_CONNECT = 10
#: Until it has looked at what it got: no scanner takes as long, and no lease is as short.
_ANSWER = 300
#: No answer to a question is longer.
MOST = 64 * 1024


@contextmanager
def connection(where: str, address: str | tuple[str, int]) -> Iterator[socket.socket]:
    """Ask a scanner: a path is a socket of this machine. Raises Unavailable for all that goes wrong on the way."""
    try:
        with _connected(address) as connected:
            connected.settimeout(_ANSWER)
            yield connected
    except OSError as error:
        raise Unavailable(f"the scanner {where} gives no answer: {error.strerror or error}") from None


def _connected(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout=_CONNECT)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(_CONNECT)
    try:
        local.connect(address)
    except OSError:
        local.close()
        raise
    return local
