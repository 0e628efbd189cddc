"""Where each audit trail ends, written down outside of the ledger: one that was computed anew, or emptied, is found.

SPECIFICATION.md tells the form. Nothing here waits for an answer: syslog gives none.
"""

import json
import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from connector.config.settings import AnchorSettings
from connector.ledger import Chain, Ledger
from connector.sql import utc_text

#: How often the daemon does; it looks each hour whether it is time.
ANCHORING = timedelta(days=1)
_DUE = ANCHORING + timedelta(hours=1)
#: Facility 13, log audit; severity 5, notice (RFC 5424).
_PRIORITY = 13 * 8 + 5
_SECONDS = 10


def anchor(ledger: Ledger, settings: AnchorSettings, now: datetime) -> int:
    """Write down where all chains end, in the file and to syslog; how many. Raises OSError where one of both fails."""
    chains = [each for each in ledger.chains() if each.length]
    if settings.file:
        _append(settings.file, chains, now)
    if settings.syslog:
        _send(settings.syslog, [_message(each, now) for each in chains])
    return len(chains)


def is_due(ledger: Ledger, now: datetime) -> bool:
    """Whether there are events, or were, of so long ago that a daemon has anchored their chain since."""
    return any(each.cut or ledger.numbers(each.tenant, None, now - _DUE)[1] for each in ledger.chains())


def _append(path: Path, chains: Sequence[Chain], now: datetime) -> None:
    said = ({"at": utc_text(now), "hash": e.head, "number": e.length, "tenant": e.tenant} for e in chains)
    lines = "".join(json.dumps(each, sort_keys=True, separators=(",", ":")) + "\n" for each in said)
    # Only ever appended to: the file may have that attribute (chattr +a).
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    with open(descriptor, "ab", closefd=True) as file:  # noqa: PTH123 - a descriptor has no path
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())


def _message(chain: Chain, now: datetime) -> bytes:
    host, pid = socket.gethostname() or "-", os.getpid()
    data = f'[anchor@32473 tenant="{chain.tenant}" number="{chain.length}" hash="{chain.head}"]'
    return f"<{_PRIORITY}>1 {utc_text(now)} {host} connector {pid} audit.anchored {data}".encode()


def _send(address: str, messages: Sequence[bytes]) -> None:
    """To a socket of this machine, or over UDP or TCP; a message that is not taken raises OSError."""
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        with socket.create_connection((parts.hostname, parts.port or 601), _SECONDS) as line:
            # RFC 6587: each message is preceded by its length.
            line.sendall(b"".join(b"%d %s" % (len(each), each) for each in messages))
        return
    found = _of_network(parts) if parts.scheme == "udp" else (socket.AF_UNIX, address)
    with socket.socket(found[0], socket.SOCK_DGRAM) as line:
        line.settimeout(_SECONDS)
        line.connect(found[1])
        for each in messages:
            line.send(each)


def _of_network(parts: SplitResult) -> tuple[int, Any]:
    """The family of the address of a host, and what sockets call it."""
    family, _, _, _, place = socket.getaddrinfo(parts.hostname, parts.port or 514, type=socket.SOCK_DGRAM)[0]
    return family, place


def settings_of(settings: AnchorSettings) -> tuple[str, ...]:
    """Where anchors go, in words."""
    named = (settings.file and f"the file {settings.file}", settings.syslog and f"syslog at {settings.syslog}")
    return tuple(each for each in named if each)
