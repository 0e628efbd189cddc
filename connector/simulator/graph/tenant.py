"""The tenant as Entra knows it: who may log in, and what Graph has to remember between requests."""

import random
import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector.simulator.graph.subscriptions import Subscription

#: What an administrator consents to for a connector.
_ROLES = (
    "User.Read.All", "GroupMember.Read.All", "Mail.ReadWrite", "Mail-Advanced.ReadWrite.All", "Files.ReadWrite.All",
    "Sites.ReadWrite.All", "Team.ReadBasic.All", "Channel.ReadBasic.All", "ChannelMember.Read.All", "Chat.Read.All",
)  # fmt: skip
#: Facts, A5: what one app may have open at once in one mailbox.
CONCURRENT = 4


@dataclass
class Group:
    """A group of Entra; its members are addresses of mailboxes and ids of groups."""

    name: str
    members: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: Of a group that is a team; None for all others.
    owners: list[str] | None = None


@dataclass
class Tenant:
    """One tenant with one app that is registered in it."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client: dict[str, str] = field(
        default_factory=lambda: {"id": str(uuid.uuid4()), "secret": secrets.token_urlsafe(24)}
    )
    #: The certificate that is registered for the app, as PEM; "" where there is none.
    certificate: str = ""
    #: What was consented to in Entra; it shows in new tokens only (facts, E).
    roles: set[str] = field(default_factory=lambda: set(_ROLES))
    #: What was granted in Exchange alone (RBAC for Applications): no token shows it (facts, A7).
    granted: set[str] = field(default_factory=set)
    #: How long a token lasts, in seconds (facts, E: 60-90 minutes).
    lifetime: float = 3900.0
    #: How often all tokens were revoked; each token tells when it was made.
    revocations: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    #: Signs tokens.
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    #: What preauthenticated URLs lead to, by the secret in them.
    preauthenticated: dict[str, Any] = field(default_factory=dict)
    #: Who wants to be told what happens, by the id of his subscription.
    subscriptions: "dict[str, Subscription]" = field(default_factory=dict)
    #: How many links each chain of pages of a change feed has had.
    generations: Counter[str] = field(default_factory=Counter)
    #: The share of writes that end in 412 although nobody else wrote (facts, A4), and its chance.
    conflicts: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    #: Until when (time.monotonic) somebody was told to stay away, and when he was told.
    _away: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: The requests that came all the same.
    early: list[str] = field(default_factory=list)
    _open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def one_more(self, mailbox: str) -> Iterator[int]:
        """Count a request to a mailbox while it lasts; how many there are with it."""
        with self._lock:
            self._open[mailbox] += 1
            now_open = self._open[mailbox]
        try:
            yield now_open
        finally:
            with self._lock:
                self._open[mailbox] -= 1

    def reset(self) -> None:
        """Nothing goes wrong any more, and nobody came too early."""
        with self._lock:
            self.conflicts = 0.0
            self._away.clear()
            self.early.clear()

    def send_away(self, whom: str, seconds: float) -> None:
        """Remember that somebody was told to stay away."""
        told = time.monotonic()
        with self._lock:
            self._away[whom] = (told, told + seconds)

    def notice_early(self, whom: str, operation: str) -> None:
        """Record a request that came before its time; what was on its way when he was told is forgiven."""
        moment = time.monotonic()
        with self._lock:
            told, until = self._away.get(whom, (0.0, 0.0))
            if told + _ON_ITS_WAY < moment < until - _CLOCKS_DIFFER:
                self.early.append(operation)


_ON_ITS_WAY, _CLOCKS_DIFFER = 0.2, 0.05
