"""What the two kinds of body have in common. `markup` and `text` are the two forms, as modules."""

from collections.abc import Collection, Iterator
from typing import Protocol


class Form(Protocol):
    """HTML or plain text, as `insert`, `remove` and `shows` need it. Every function takes linear time."""

    def wrapped(self, redirect_id: str, content: str) -> str:
        """`content` as a notice of this redirect, so that `extent` finds it again."""
        ...

    def place(self, body: str) -> int:
        """Where a notice is the first thing that a reader sees."""
        ...

    def extent(self, body: str, redirect_id: str) -> tuple[int, int] | None:
        """Where the first whole notice of this redirect starts and ends; None where there is none.

        Nobody outside can have written one: the id is random, and stood nowhere before the notice itself.
        """
        ...

    def links(self, body: str) -> Iterator[str]:
        """Every URL that a reader can see and follow, from the top; there may be other words among them."""
        ...


def unseen(urls: Collection[str], body: str, form: Form) -> set[str]:
    """Those of these links that no reader sees."""
    missing = set(urls)
    links = form.links(body)
    # A notice stands at the top: below it may be megabytes.
    while missing and (link := next(links, None)) is not None:
        missing.discard(link)
    return missing
