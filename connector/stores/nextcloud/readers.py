"""To whom the files of a source belong among the people of the server: by a list, or by e-mail addresses."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.config.readers import GROUP, Reader, ReadersList
from connector.stores.nextcloud.ocs import Ocs

#: How long it is believed to whom files belong, and that a folder is open to them and to nobody else.
SURE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class People:
    """Those to whom the files of a source belong."""

    #: The accounts and groups, as the server knows them.
    readers: frozenset[Reader]
    #: The addresses of which it knows nobody, or more than one.
    strangers: tuple[str, ...]
    #: Who goes by one of these, with others: what opens to them by now stays so, for it may be theirs.
    doubtful: frozenset[Reader]
    #: They are more than the one account that a mailbox has.
    group: bool


class Readers:
    """Whom the files of each source belong to. Nobody is ever guessed."""

    def __init__(self, ocs: Ocs, path: Path | None) -> None:
        """`path` is a list that an administrator keeps; None: the server is asked."""
        self._ocs = ocs
        self._listed = ReadersList(path) if path else None
        #: By their mailbox and its members, as long as somebody is known.
        self._believed: dict[tuple[str, frozenset[str] | None], tuple[People, datetime]] = {}

    def of(self, mailbox: str, members: Collection[str] | None) -> People:
        """Those of a mailbox; or of what its members share, if the list names nobody for it as a whole.

        Where somebody is known, that is believed for a day.
        """
        asked = mailbox, None if members is None else frozenset(members)
        if asked in self._believed and datetime.now(UTC) - self._believed[asked][1] < SURE:
            return self._believed[asked][0]
        as_a_whole = members is None or (self._listed and self._listed.of(mailbox))
        found = {each: self._of(each) for each in ((mailbox,) if as_a_whole else sorted(members or ()))}
        people = People(
            readers=frozenset().union(*(each for each in found.values() if len(each) == 1)),
            strangers=tuple(address for address, each in found.items() if len(each) != 1),
            doubtful=frozenset().union(*(each for each in found.values() if len(each) > 1)),
            group=not as_a_whole or any(reader.kind == GROUP for each in found.values() for reader in each),
        )
        if people.readers:
            self._believed[asked] = people, datetime.now(UTC)
        return people

    def forget(self) -> None:
        """What was believed may not be so any more."""
        self._believed.clear()

    @property
    def where(self) -> str:
        """Where an administrator makes somebody known."""
        return f"add it to {self._listed.path}" if self._listed else "give its owner's account that e-mail address"

    def _of(self, address: str) -> frozenset[Reader]:
        """Whoever goes by this address."""
        if self._listed is None:
            return self._ocs.holders(address)
        listed = self._listed.of(address)
        return frozenset({listed} if listed and self._ocs.has(listed) else ())
