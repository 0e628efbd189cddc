"""Which of what a configuration names is read at all."""

import errno
from pathlib import Path


def regular(path: Path) -> Path:
    """The same path, where a regular file is there, or a link to one. Raises OSError.

    Whoever opens a FIFO that nobody writes to waits for ever, and a device need not end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file; put one there", str(path))
    return path
