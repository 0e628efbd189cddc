"""What an administrator writes about mailboxes in Exchange Online, and how it becomes sources."""

from collections.abc import Iterator
from datetime import date
from functools import cached_property, partial
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connector.amounts import Size
from connector.config.addresses import Server, encrypted
from connector.sources.graph import AppLogin, Connection, Edge
from connector.sources.graph_mail.directory import everyone, members
from connector.sources.graph_mail.hints import GraphHints
from connector.sources.graph_mail.mailbox import QUOTA, GraphMailbox
from connector.sources.graph_mail.probe import GraphProbe

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Group = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
#: Roles of RBAC for Applications, without which nothing works.
_ROLES = ("Application Mail.ReadWrite", "Application Mail-Advanced.ReadWrite.All")
_PERMISSION = "Mail.ReadWrite and Mail-Advanced.ReadWrite.All (`connector check` prints how)"


class Notifications(BaseModel):
    """Where Graph tells of changes: an address of the house, whose reverse proxy leads to this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="https address that Microsoft reaches; the proxy passes on what is sent there")
    listen: str = Field(
        description="HOST:PORT on this machine where the proxy passes it on to; [::1]:PORT for IPv6",
        pattern=r"^([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d+$",
    )

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        parts = encrypted(url)
        if parts.query or parts.fragment or parts.username:
            raise ValueError("write a host and a path, and nothing else")
        return url

    @field_validator("listen")
    @classmethod
    def _port(cls, listen: str) -> str:
        if not 0 < int(listen.rpartition(":")[2]) < 65_536:  # noqa: PLR2004 - ports end there
            raise ValueError("a port is a number from 1 to 65535")
        return listen

    @property
    def listens(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class GraphMailboxes(BaseModel):
    """Mailboxes of one Microsoft 365 tenant, which one app may open. Shared mailboxes are mailboxes like others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["graph"]
    app: AppLogin
    mailboxes: tuple[Address, ...] = Field((), description="primary addresses")
    groups: tuple[Group, ...] = Field(
        (), description="object ids of groups whose members' mailboxes belong here too; asked for once a day"
    )
    everyone: bool = Field(False, description="all mailboxes of the tenant instead; asked for once a day")
    exclude: tuple[Address, ...] = Field((), description="mailboxes that are left alone whatever else is written")
    since: date | Literal["everything"] | None = Field(
        None, description="leave older messages alone; by default all from before the first contact"
    )
    skip_folders: tuple[str, ...] = Field((), description="paths with / between names; folders below are skipped too")
    recoverable_items_quota: Size = Field(
        QUOTA,
        description="RecoverableItemsQuota, which Graph does not tell: at 70 % nothing is changed in a mailbox",
        ge=1,
    )
    probe: Address | None = Field(
        None, description="a mailbox for trials alone, where `connector check` and `certify` make and delete messages"
    )
    outside: Address | None = Field(
        None, description="a mailbox that the app must not get into: `connector check` makes sure"
    )
    notifications: Notifications | None = Field(
        None, description="how Graph tells of changes at once; left out: mailboxes are polled"
    )
    waive_certify: str | None = Field(
        None, description="who answers for redirecting on this server without `connector certify`", min_length=1
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.mailboxes or self.groups or self.everyone):
            raise ValueError("give mailboxes, groups or everyone: true")
        if self.everyone and (self.mailboxes or self.groups):
            raise ValueError("everyone leaves nobody for mailboxes and groups to name")
        lower = [address.lower() for address in self.mailboxes]
        if twice := sorted({address for address in lower if lower.count(address) > 1}):
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        lower = {address.lower() for address in self.mailboxes}
        if self.probe and self.probe.lower() in lower:
            raise ValueError("probe must not be one of the mailboxes: messages are made and deleted there")
        if self.outside and self.outside.lower() in {*lower, (self.probe or "").lower()}:
            raise ValueError("outside must not be one of the mailboxes: it is one that must not open")
        if excluded := sorted(lower & {address.lower() for address in self.exclude}):
            raise ValueError(f"both in mailboxes and in exclude: {', '.join(excluded)}")
        return self

    @property
    def asks(self) -> bool:
        """Whether `addresses` asks a server."""
        return self.everyone or bool(self.groups)

    def addresses(self) -> tuple[str, ...]:
        """Whose mailboxes they are by now, without those that are excluded, for trials, or not to be opened.

        Raises Denied, Unavailable.
        """
        never = {each.lower() for each in (*self.exclude, self.probe, self.outside) if each}
        found = {address.lower(): address for address in self._found() if address.lower() not in never}
        if self._told:
            self._told.addresses = tuple(found.values())
        return tuple(found.values())

    def source(self, address: str, _: frozenset[str] = frozenset()) -> GraphMailbox:
        """The mailbox of this address; its feed tells all there is. Nothing is asked of a server yet."""
        return GraphMailbox(
            address,
            partial(self.connect, address),
            self.skip_folders,
            recoverable_items_quota=self.recoverable_items_quota,
        )

    def hints(self) -> tuple[GraphHints, ...]:
        """One, where Graph can reach us. Nothing is asked of a server yet."""
        return (self._told,) if self._told else ()

    def try_notifications(self) -> bool:
        """Have Graph find its way to us once. False where it is not to tell us anything, or no `probe` is there for it.

        Raises InUse, Unavailable, Denied, Rejected.
        """
        if not (self._told and self.probe):
            return False
        self._told.tried(self.probe)
        return True

    def probe_source(self) -> GraphProbe | None:
        """The mailbox for trials, where one is named. Nothing is asked of a server yet."""
        return GraphProbe(self.probe, partial(self.connect, self.probe)) if self.probe else None

    def outside_source(self) -> GraphMailbox | None:
        """The mailbox that must not open, where one is named. Nothing is asked of a server yet."""
        return GraphMailbox(self.outside, partial(self.connect, self.outside)) if self.outside else None

    def connect(self, address: str) -> Connection:
        """How to reach this mailbox. Nothing is asked of a server yet."""
        return self.edge.connection(f"the mailbox {address}", _PERMISSION)

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to."""
        return self.app.servers()

    def letting_in(self, address: str) -> str:
        """What shows an administrator of Exchange Online what the app may do; `grant` has the lines that change it."""
        app = self.app.client or "APP-ID"
        return f"Test-ServicePrincipalAuthorization -Identity {app} -Resource {address}"

    def keeping_out(self, address: str) -> str:  # noqa: ARG002 - every source's
        """What an administrator calls so that the app opens nothing but what it is for."""
        assigned = f"Get-ManagementRoleAssignment -RoleAssignee {self.app.client or 'APP-ID'}"
        return f"{assigned} | Set-ManagementRoleAssignment -CustomResourceScope connector"

    def grant(self) -> tuple[str, ...]:
        """The lines of Exchange Online PowerShell that let the app into these mailboxes, and into no others."""
        app = self.app.client or "APP-ID"
        named = [each for each in (*self.mailboxes, self.probe) if each]
        members = " -or ".join(f"PrimarySmtpAddress -eq '{address}'" for address in named)
        scope = "CustomAttribute1 -eq 'connector'" if self.asks or not members else members
        tried = self.outside or (named[0] if named else "ADDRESS")
        return (
            f'New-ServicePrincipal -AppId {app} -ObjectId OBJECT-ID -DisplayName "connector"',
            f'New-ManagementScope -Name "connector" -RecipientRestrictionFilter "{scope}"',
            *(
                f'New-ManagementRoleAssignment -App {app} -Role "{role}" -CustomResourceScope "connector"'
                for role in _ROLES
            ),
            f"Test-ServicePrincipalAuthorization -Identity {app} -Resource {tried}",
        )

    @cached_property
    def edge(self) -> Edge:
        """What all these mailboxes share."""
        return Edge(self.app)

    @cached_property
    def _told(self) -> GraphHints | None:
        wanted = self.notifications
        if wanted is None:
            return None
        app = partial(self.edge.connection, "the subscriptions of the app", _PERMISSION)
        return GraphHints(wanted.url, wanted.listens, self.connect, app)

    def _found(self) -> Iterator[str]:
        yield from self.mailboxes
        for group in self.groups:
            yield from members(self.edge, group)
        if self.everyone:
            yield from everyone(self.edge)
