"""Plain text bodies: a `Form`."""

import re
from collections.abc import Iterator


def wrapped(redirect_id: str, content: str) -> str:
    """`content` between two lines that name the redirect, and an empty line."""
    return f"{_first(redirect_id)}\n{content}\n{_last(redirect_id)}\n\n"


def place(body: str) -> int:  # noqa: ARG001 - only HTML has to look for it
    """At the beginning."""
    return 0


def extent(body: str, redirect_id: str) -> tuple[int, int] | None:
    """From the first line of a notice to the empty line after its last. A quoted one has other lines."""
    first = re.compile(rf"^{re.escape(_first(redirect_id))}\r?$", re.MULTILINE).search(body)
    if first is None:
        return None
    pattern = rf"^{re.escape(_last(redirect_id))}(?:\r?\n|\Z)(?:\r?\n)?"
    last = re.compile(pattern, re.MULTILINE).search(body, first.end())
    return None if last is None else (first.start(), last.end())


def links(body: str) -> Iterator[str]:
    """All words, as nobody can tell what a client makes a link of; without the brackets of RFC 3986, appendix C."""
    return (word.removeprefix("<").removesuffix(">") for word in body.split())


def _first(redirect_id: str) -> str:
    return f"===== {redirect_id} ====="


def _last(redirect_id: str) -> str:
    return f"===== / {redirect_id} ====="
