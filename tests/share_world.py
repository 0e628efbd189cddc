"""A world whose source is a share: files with pointers, in place of messages with links."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from connector.errors import FileGone
from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.rewrite import pointer as pointers
from connector.sources.memory_share import MemoryShare, MemoryShareSource
from tests.world import (
    EVERYTHING,
    HOME,
    KEY,
    LEDGER_VERBS,
    SOURCE_VERBS,
    STORE_VERBS,
    TENANT,
    Plugged,
    Saboteur,
    World,
)


@dataclass
class ShareWorld(World):
    """All that outlives a process, and what was in the share at the beginning."""

    share: MemoryShare = field(default_factory=MemoryShare)
    #: The contents that were uploaded, and that nobody took away.
    wanted: list[bytes] = field(default_factory=list)
    pointers: bool = True
    quiet: timedelta = timedelta(0)

    def upload(self, name: str, content: bytes, folder: str = "General") -> str:
        """A file is shared, and is remembered."""
        self.wanted.append(content)
        return self.share.upload(name, content, folder)

    def lose_cursors(self) -> None:
        """The server forgets the change feed."""
        self.share.lose_cursors()

    @contextmanager
    def process(self, saboteur: Saboteur | None = None, **mutants: Any) -> Iterator[tuple[Watch, Ledger]]:
        """A process starts: adapters and ledger are built anew over what is there. It may be killed."""
        saboteur = saboteur or Saboteur()
        source = mutants.get("source", MemoryShareSource)(self.share)
        watch = Watch(
            tenant=TENANT,
            source=Plugged(source, saboteur, SOURCE_VERBS),
            store=Plugged(self.store, saboteur, STORE_VERBS),
            policy=self.policy,
            wording=self.wording,
            path="{tenant}/home/{year}/{id}",
            home=HOME,
            marker_key=KEY,
            since=EVERYTHING,
            pointers=self.pointers,
            quiet=self.quiet,
        )
        with self.ledger() as ledger, pytest.MonkeyPatch.context() as patched:
            # However small they are: as large files they come from the share while the store takes them.
            patched.setattr("connector.spool.IN_MEMORY", 0)
            yield watch, Plugged(ledger, saboteur, LEDGER_VERBS)  # type: ignore[misc]

    def seen(self) -> Iterator[tuple[str, str, bytes]]:
        """What a person gets in the share: folder, name, and content; that of a pointer is what its link gives."""
        for entry in self.share.entries.values():
            told = pointers.read(entry.content)
            try:
                yield entry.folder, entry.name, self.store.download(told.url) if told else entry.content
            except FileGone:
                continue

    def lost(self) -> list[str]:
        """Every content that nobody gets any more. Must be empty."""
        reachable = {content for _, _, content in self.seen()}
        return [f"lost {content[:20]!r}" for content in self.wanted if content not in reachable]

    def hidden(self) -> set[str]:
        """Nothing in a share is hidden that is not lost."""
        return set()

    def view(self) -> list[tuple[Any, ...]]:
        """The end world as people see it."""
        return sorted(self.seen())
