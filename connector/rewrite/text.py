"""Plain text bodies: a `Form`."""

import re
from collections.abc import Iterator

#: The first line of a notice or, with a slash, its last one.
_LINE = re.compile(r"^===== (?P<last>/ )?+(?P<id>\S++) =====(?:\r?\n|\Z)(?:\r?\n)?", re.MULTILINE)


def wrapped(redirect_id: str, content: str) -> str:
    """`content` between two lines that name the redirect, and an empty line."""
    return f"{_first(redirect_id)}\n{content}\n{_last(redirect_id)}\n\n"


def place(body: str) -> int:  # noqa: ARG001 - only HTML has to look for it
    """At the beginning."""
    return 0


def extent(body: str, redirect_id: str) -> tuple[int, int] | None:
    """From the first line of a notice to the empty line after its last. A quoted one has other lines."""
    start = None
    for line in _LINE.finditer(body):
        if line["id"] != redirect_id:
            continue
        if line["last"] and start is not None:
            return start, line.end()
        if not line["last"] and start is None:
            start = line.start()
    return None


def links(body: str) -> Iterator[str]:
    """All words, as nobody can tell what a client makes a link of; without the brackets of RFC 3986, appendix C."""
    return (word.removeprefix("<").removesuffix(">") for word in body.split())


def _first(redirect_id: str) -> str:
    return f"===== {redirect_id} ====="


def _last(redirect_id: str) -> str:
    return f"===== / {redirect_id} ====="
