"""Is all right? Each message before and after, and every link opened: by what an outsider sees, never by the ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import requests

from connector import config
from connector.demo import observer
from connector.demo.observer import Seen
from connector.demo.world import World
from connector.model import Action, Verdict
from connector.policy import Facts, decide
from connector.service import clock, tenants


@dataclass(frozen=True)
class Before:
    """All that was known before anything was redirected."""

    seen: Mapping[str, Seen]
    #: By the id of the attachment.
    sha256: Mapping[str, str]
    #: What the policy says, by the id of the item. Of messages in folders that are left alone there is nothing.
    verdicts: Mapping[str, tuple[Verdict, ...]]

    def wanted(self, item_id: str) -> frozenset[str]:
        """The attachments of a message that are to be redirected, by their ids."""
        verdicts = self.verdicts.get(item_id, ())
        return frozenset(each.file.id for each in verdicts if each.action is Action.REDIRECT)

    @property
    def redirects(self) -> int:
        """How many messages are to be rewritten."""
        return sum(bool(self.wanted(item_id)) for item_id in self.seen)


@dataclass(frozen=True)
class Outcome:
    """What became of one message."""

    subject: str
    files: int
    redirected: int
    #: Why the others were kept.
    reasons: tuple[str, ...]
    #: The links that were opened, and gave the right bytes.
    links: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Whereabouts:
    """Where the originals are at one moment."""

    here: int = 0
    linked: int = 0
    lost: int = 0


def before(world: World) -> Before:
    """Look at everything, and ask the policy about it."""
    return Before(observer.look(world), observer.attached(world), dict(_verdicts(world)))


def whereabouts(before: Before, world: World) -> Whereabouts:
    """Where each attachment is now: still in its message, or behind a link that the message shows, or lost."""
    now = observer.look(world)
    ...


def outcomes(before: Before, world: World) -> tuple[Outcome, ...]:
    ...


def _verdicts(world: World) -> Iterator[tuple[str, tuple[Verdict, ...]]]:
    for tenant in tenants(config.load(world.config)):
        for watch in (mailbox.watch() for mailbox in tenant.mailboxes):
            facts = Facts(now=clock(), since=watch.since, ours=False)
            for page in watch.source.changes(None):
                yield from ((item.id, decide(watch.policy, item, facts)) for item in page.items)
