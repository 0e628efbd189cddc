"""To whom a mailbox belongs among the people of the server: by a list, or by the address of the mailbox."""

from pathlib import Path

from connector import readers
from connector.stores.nextcloud.ocs import GROUP, USER, Ocs, Reader

_KINDS = {readers.USER: USER, readers.GROUP: GROUP}


class Readers:
    """Whom each mailbox belongs to. Nobody is ever guessed."""

    def __init__(self, ocs: Ocs, path: Path | None) -> None:
        """`path` is a list that an administrator keeps; None: the server is asked."""
        self._ocs = ocs
        self._listed = readers.ReadersList(path) if path else None

    def of(self, mailbox: str) -> Reader | None:
        """The account or group, as the server knows it; None where nobody is known, or more than one."""
        if self._listed is None:
            return self._ocs.known(USER, mailbox)
        listed = self._listed.of(mailbox)
        if listed is None:
            return None
        known = self._ocs.known(_KINDS[listed.kind], listed.id)
        return known if known == Reader(_KINDS[listed.kind], listed.id) else None

    @property
    def where(self) -> str:
        """Where an administrator makes somebody known."""
        return f"add it to {self._listed.path}" if self._listed else "give its owner's account that e-mail address"
