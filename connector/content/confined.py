"""A process of its own for a parser of hostile bytes.

No descriptor, variable or folder of ours is in its reach but the bytes and an empty file to write into, and it ends in
time, whatever is in the bytes. `run` is our side of it; the process itself begins with `confine`.
"""

import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from signal import SIGKILL
from typing import BinaryIO

from connector.errors import Unavailable
from connector.spool import Spool

#: To find a codec, Python opens files; three are open from the start.
_MOST_OPEN = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much one file may be, and cost."""

    #: Bytes of the file.
    size: int
    #: Of a processor, and by the clock.
    seconds: int = 20
    timeout: int = 60
    #: Several times the size where the parser copies what it reads.
    memory: int = 512 * 1024 * 1024


def confine(seconds: int, memory: int, output: int) -> None:
    """Give up for good what a parser does not need."""
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: output,
        resource.RLIMIT_NOFILE: _MOST_OPEN,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        # Not `setrlimit`: our unit for systemd allows no call of that name.
        resource.prlimit(0, limit, (most, most))


def run(command: tuple[str, ...], content: Spool, output: BinaryIO | int, limits: Limits, *, most: int) -> int:
    """Its exit code, once it ended or was ended; it writes `most` bytes at the most.

    Raises Unavailable where it is this machine's fault that there is none.
    """
    arguments = map(str, (limits.seconds, limits.memory, most))
    try:
        # A file of its own: not every spool is one, and where the process stops reading is not where we go on.
        with tempfile.TemporaryFile() as given:
            content.content.seek(0)
            shutil.copyfileobj(content.content, given)
            given.seek(0)
            ended = subprocess.run(  # noqa: S603 - nothing in it is from outside
                [*command, *arguments],
                stdin=given,
                stdout=output,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                timeout=limits.timeout,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return -SIGKILL
    except OSError as error:
        raise Unavailable(f"a file cannot be looked into on this machine for now: {error.strerror}") from None
    return ended.returncode
