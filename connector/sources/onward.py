"""Feeds and lists that come in pages, of which each tells where the next one is."""

from connector.errors import Unavailable


class Onward:
    """The places that were passed: one that comes again would have us go round for ever.

    Also through pages that hold nothing, between which nobody would look at the time.
    """

    def __init__(self, begin: str, endless: str) -> None:
        """`endless` is what is told of a feed that does not get on."""
        self._passed = {begin}
        self._endless = endless

    def to(self, place: object, *, last: bool = False) -> str:
        """The same, where it leads on. The last is for another time, and may be where it began. Raises Unavailable."""
        if not (isinstance(place, str) and place) or (place in self._passed and not last):
            raise Unavailable(self._endless)
        self._passed.add(place)
        return place
