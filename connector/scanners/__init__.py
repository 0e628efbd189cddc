"""The port to what finds malicious content in files. Its clients are its modules: clamd, and icap."""

from typing import Protocol

from connector.spool import Spool


class Scanner(Protocol):
    """A virus scanner, somewhere else. It keeps nothing of us between two calls, and any thread may call it."""

    def infected(self, content: Spool) -> bool | None:
        """Whether it finds anything in these bytes; None where they are more than it looks at.

        Raises Unavailable where it gives no answer: then nobody knows, and the file waits.
        """
        ...
