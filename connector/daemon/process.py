"""What the process has from its system: the time, a state folder to itself, and the ear of systemd."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connector.config.yamlfile import ConfigError
from connector.errors import Unavailable

#: Before anything that has happened.
NEVER = datetime.fromtimestamp(0, UTC)


def clock() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


@contextmanager
def alone(state: Path) -> Iterator[str]:
    """Be the only process that works for this state folder; the system frees it whatever becomes of us.

    Yields the name under which leases are taken: the same after every restart, so that what a killed process had under
    lease is taken up at once. Where a machine was cloned, the lease's epoch lets only one of the two write.
    Raises Unavailable where another process is at work, ConfigError where the folder cannot be written.
    """
    try:
        lock = (state / "connector.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{state}: the folder that `state` names cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another connector is at work in {state}; stop it first, or wait for it") from None
        lock.seek(0)
        owner = lock.read()
        if not owner:
            owner = secrets.token_hex(8)
            lock.write(owner)
            lock.flush()
        yield owner


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it did not ask."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
