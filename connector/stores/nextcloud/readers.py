"""To whom a mailbox belongs among the people of the server: by a list, or by the address of the mailbox."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from connector.errors import Denied
from connector.stores.nextcloud.ocs import GROUP, USER, Ocs, Reader

_KINDS = {"user": USER, "group": GROUP}
_COLUMNS = ["mailbox", "reader"]


class Readers:
    """Whom each mailbox belongs to. Nobody is ever guessed."""

    def __init__(self, ocs: Ocs, path: Path | None) -> None:
        """`path` is a list that an administrator keeps, read again when it changes; None: the server is asked."""
        self._ocs = ocs
        self._path = path
        self._read: tuple[float, Mapping[str, Reader]] = (0.0, {})

    def of(self, mailbox: str) -> Reader | None:
        """The account or group, as the server knows it; None where nobody is known, or more than one."""
        if self._path is None:
            return self._ocs.known(USER, mailbox)
        listed = self._listed(self._path).get(mailbox.lower())
        known = self._ocs.known(listed.kind, listed.id) if listed else None
        return known if known == listed else None

    @property
    def where(self) -> str:
        """Where an administrator makes somebody known."""
        return f"add it to {self._path}" if self._path else "give its owner's account that e-mail address"

    def _listed(self, path: Path) -> Mapping[str, Reader]:
        try:
            changed = path.stat().st_mtime
            if changed != self._read[0]:
                self._read = (changed, dict(_lines(path)))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Denied(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return self._read[1]


def _lines(path: Path) -> Iterator[tuple[str, Reader]]:
    """Raises Denied with the number of a line that is not understood: a guess could open files to the wrong person."""
    seen: set[str] = set()
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        if [each.strip().lower() for each in next(rows, [])] != _COLUMNS:
            raise Denied(f"{path}, line 1: give the names of the columns: {','.join(_COLUMNS)}")
        for row in rows:
            if not any(each.strip() for each in row):
                continue
            mailbox, reader = (each.strip() for each in row) if len(row) == len(_COLUMNS) else ("", "")
            kind, _, name = reader.partition(":")
            if not mailbox or kind not in _KINDS or not name:
                raise Denied(f"{path}, line {rows.line_num}: give a mailbox, and user:ID or group:ID")
            if mailbox.lower() in seen:
                raise Denied(f"{path}, line {rows.line_num}: {mailbox} is already in a line above")
            seen.add(mailbox.lower())
            yield mailbox.lower(), Reader(_KINDS[kind], name)
