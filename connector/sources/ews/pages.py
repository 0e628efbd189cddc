"""Lists that come in pages."""

from collections.abc import Callable, Iterator
from typing import Literal

from connector.errors import Unavailable
from connector.sources.ews.connection import Connection
from connector.sources.ews.words import NS, TRUE, Element, identifier

#: Elements asked for at once. How many come is the server's to say.
FOUND = 1000
_IDS = {"Items": "t:ItemId", "Folders": "t:FolderId"}


def listed(
    kind: Literal["Items", "Folders"], begun: Element, further: Callable[[int], Element], connection: Connection
) -> Iterator[Element]:
    """All elements of a list, given the answer with its beginning and how to ask for what follows on so many.

    Any page may be shorter than was asked for, by a limit or a budget of the server (EWSD: ews-throttling-in-exchange):
    only the one that says so is the last. Raises Unavailable where the list breaks off before, or goes round: what is
    not found there passes for gone.
    """
    answer, count = begun, 0
    begins: set[str] = set()
    while True:
        root = answer.find("m:RootFolder", NS)
        page = root.findall(f"t:{kind}/*", NS)
        begin = identifier(page[0], _IDS[kind]) if page else ""
        is_last = root.get("IncludesLastItemInRange", "true") in TRUE
        if begin in begins or not (page or is_last):
            raise Unavailable(f"a list of the mailbox {connection.party.mailbox} has no end")
        yield from page
        if is_last:
            return
        begins.add(begin)
        count += len(page)
        (answer,) = connection.ask(further(count))
