"""What a source says to verbs that only messages know: a shared file has no body of its own, and lies on no shelf."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import BinaryIO

from connector.errors import Rejected
from connector.model import Item, Letter, Room


class Shelfless:
    """The part of `Source` that is the same for all shares."""

    def original(self, item_id: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002 - the port's signature
        """See `Source.original`. The file is its own original."""
        raise Rejected("a shared file is kept whole in any case: nothing else of it could be kept")

    def tell(self, letter: Letter) -> None:
        """See `Source.tell`. Nobody reads letters there."""

    def room(self) -> Room | None:
        """See `Source.room`. What is recycled lies in the room of the share itself."""
        return None

    def shelf(self, redirect_id: str) -> tuple[Item, ...]:  # noqa: ARG002 - the port's signature
        """See `Source.shelf`. There is none."""
        return ()

    def stage(self, item_id: str, redirect_id: str) -> str:  # noqa: ARG002 - the port's signature
        """See `Source.stage`."""
        raise Rejected("a shared file is not edited, so no copy of it is")

    def shelve(self, item_id: str, redirect_id: str) -> str:
        """See `Source.shelve`."""
        return self.stage(item_id, redirect_id)

    def unshelve(self, item_id: str, beside: str) -> str:
        """See `Source.unshelve`."""
        return self.stage(item_id, beside)

    def purge(self, item_ids: Collection[str], redirect_id: str) -> None:
        """See `Source.purge`. Nothing lies there."""
