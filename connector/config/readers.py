"""A list that an administrator keeps: to whom each mailbox belongs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.config.csvfile import lines
from connector.errors import Denied

USER, GROUP = "user", "group"
_COLUMNS = ["mailbox", "reader"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who may open files: an account (`user`) or a `group`, by its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class ReadersList:
    """A CSV file with the columns mailbox and reader, read again when it changes. Nobody is ever guessed."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path
        self._read: tuple[float, Mapping[str, Reader]] = (0.0, {})

    def of(self, mailbox: str) -> Reader | None:
        """Whom the list names for the mailbox. Raises Denied where it is not understood."""
        try:
            changed = self.path.stat().st_mtime
            if changed != self._read[0]:
                self._read = (changed, dict(_lines(self.path)))
        except OSError as error:
            raise Denied(f"{self.path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise Denied(str(error)) from None
        return self._read[1].get(mailbox.lower())


def _lines(path: Path) -> Iterator[tuple[str, Reader]]:
    """Raises ValueError with the number of a line that is not understood: a guess could let the wrong person in."""
    seen: set[str] = set()
    numbered = lines(path)
    if [each.lower() for each in next(numbered)[1]] != _COLUMNS:
        raise ValueError(f"{path}, line 1: give the names of the columns: {','.join(_COLUMNS)}")
    for number, row in numbered:
        mailbox, reader = row if len(row) == len(_COLUMNS) else ("", "")
        kind, _, name = reader.partition(":")
        if not mailbox or kind not in (USER, GROUP) or not name:
            raise ValueError(f"{path}, line {number}: give a mailbox, and user:ID or group:ID")
        if mailbox.lower() in seen:
            raise ValueError(f"{path}, line {number}: {mailbox} is already in a line above")
        seen.add(mailbox.lower())
        yield mailbox.lower(), Reader(kind, name)
