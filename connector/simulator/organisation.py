"""The simulated organisation: its mailboxes, its accounts and how its server behaves."""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.simulator.deviations import Deviation
from connector.simulator.faults import Streams
from connector.simulator.graph.files.workspace import Team, Workspace
from connector.simulator.graph.tenant import Group, Tenant
from connector.simulator.mailbox import Mailbox

if TYPE_CHECKING:
    from connector.simulator.ews.notifications import Subscription


@dataclass
class Organisation:
    """All that lives longer than a request."""

    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    #: Password by user name, in lower case.
    passwords: dict[str, str] = field(default_factory=dict)
    #: The service account that holds ApplicationImpersonation.
    impersonator: str = "svc-connector@example.org"
    #: The mailboxes that it may impersonate; None: all of them.
    scope: set[str] | None = None
    deviations: set[Deviation] = field(default_factory=set)
    #: How long stale reads and vanishing attachments take, in seconds.
    lag: float = 30.0
    #: How many seconds a minute has for which a stream may last.
    minute: float = 60.0
    subscriptions: dict[str, "Subscription"] = field(default_factory=dict)
    streams: Streams = field(default_factory=Streams)
    #: Sync states of an earlier epoch are no longer known.
    epoch: int = 0
    tenant: Tenant = field(default_factory=Tenant)
    workspace: Workspace = field(default_factory=Workspace)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.add_mailbox(self.impersonator)

    def add_mailbox(self, address: str) -> Mailbox:
        """Make a mailbox, with an account of the same name; one that is there already stays."""
        address = address.lower()
        if address not in self.mailboxes:
            self.passwords[address] = secrets.token_urlsafe(12)
            self.mailboxes[address] = Mailbox(address)
        return self.mailboxes[address]

    def add_team(self, name: str, members: Mapping[str, str]) -> Team:
        """Make a team, which is a group too, and mailboxes for its members: addresses, with `owner` or "" for each."""
        for address in members:
            self.add_mailbox(address)
        team = self.workspace.add_team(name, members)
        owners = [address for address, role in team.members.items() if role]
        self.tenant.groups[team.id] = Group(name, [*team.members], team.id, owners)
        return team

    def user(self, name: str) -> str | None:
        r"""The account that somebody means by `anna@example.org` or `EXAMPLE\anna`; None where there is none."""
        domain, _, short = name.lower().rpartition("\\")
        known = (user for user in self.passwords if user == short or (domain and domain_name(user) == (domain, short)))
        return next(known, None)

    def may(self, name: str, password: str) -> str | None:
        """The account of somebody who has proved to be it; None for all others."""
        user = self.user(name)
        right = user is not None and secrets.compare_digest(self.passwords[user].encode(), password.encode())
        return user if right else None


def domain_name(user: str) -> tuple[str, str]:
    """Domain and name of a user as Windows writes them: `anna@example.org` is `example` and `anna`."""
    name, _, domain = user.partition("@")
    return domain.partition(".")[0], name
