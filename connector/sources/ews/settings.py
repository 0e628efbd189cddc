"""What an administrator writes about mailboxes on Exchange, and how it becomes sources."""

from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from exchangelib import BASIC, CBA, GSSAPI, NTLM, Credentials
from exchangelib.autodiscover import Autodiscovery
from exchangelib.errors import AutoDiscoverError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connector.amounts import Size
from connector.config.addresses import Server, encrypted
from connector.config.credentials import Secret
from connector.errors import Denied
from connector.sources.ews.connection import Connection, Login
from connector.sources.ews.failures import Party, translate
from connector.sources.ews.hints import GROUP, EwsHints
from connector.sources.ews.mailbox import QUOTA, EwsMailbox
from connector.sources.ews.probe import EwsProbe

_AUTH = {"basic": BASIC, "ntlm": NTLM, "kerberos": GSSAPI, "certificate": CBA}
#: More than the request around a file ever has.
_ENVELOPE = 64 * 1024

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


class EwsMailboxes(BaseModel):
    """Mailboxes on one Exchange organisation, which one account may open.

    Not tried against a real server: autodiscover, Kerberos (it needs the extra `connector[kerberos]` and a ticket in
    the credential cache) and client certificates. Autodiscover goes through exchangelib as it is: it trusts only the
    CAs of the system (or of REQUESTS_CA_BUNDLE), never `ca`, and remembers its findings in a file in the temporary
    folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["ews"]
    url: str | None = Field(None, description="address of EWS, such as https://mail.example.org/EWS/Exchange.asmx")
    autodiscover: bool = Field(False, description="find the address of EWS by the address of each mailbox instead")
    auth: Literal["basic", "ntlm", "kerberos", "certificate"] = "ntlm"
    user: str | None = Field(None, description="the service account: user@domain or DOMAIN\\user", min_length=1)
    password: Secret | None = None
    certificate: Path | None = Field(None, description="client certificate (PEM)")
    key: Path | None = Field(None, description="its key (PEM), where it is not in the same file")
    impersonation: bool = Field(True, description="false: the account has FullAccess on each mailbox instead")
    mailboxes: tuple[Address, ...] = Field(description="primary addresses", min_length=1)
    since: date | Literal["everything"] | None = Field(
        None, description="leave older messages alone; by default all from before the first contact"
    )
    skip_folders: tuple[str, ...] = Field((), description="paths with / between names; folders below are skipped too")
    largest_request: Size = Field(
        64 * 1024**2,
        description="what EWS takes in one request (maxAllowedContentLength); larger files could not be put back",
        ge=1024**2,
    )
    recoverable_items_quota: Size = Field(
        QUOTA,
        description="RecoverableItemsQuota, which EWS does not tell: at 70 % nothing is changed in a mailbox any more",
        ge=1,
    )
    streaming: bool = Field(
        True, description="be told of new mail at once (outbound connections, needs impersonation); polling goes on"
    )
    probe: Address | None = Field(
        None, description="a mailbox for trials alone, where `connector check` and `certify` make and delete messages"
    )
    outside: Address | None = Field(
        None, description="a mailbox that the account must not get into: `connector check` makes sure"
    )
    waive_certify: str | None = Field(
        None, description="who answers for redirecting on this server without `connector certify`", min_length=1
    )
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the system's")

    @field_validator("url")
    @classmethod
    def _encrypted(cls, url: str | None) -> str | None:
        if url:
            encrypted(url)
        return url

    @field_validator("mailboxes")
    @classmethod
    def _each_once(cls, mailboxes: tuple[str, ...]) -> tuple[str, ...]:
        lower = [address.lower() for address in mailboxes]
        if twice := sorted({address for address in lower if lower.count(address) > 1}):
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return mailboxes

    @model_validator(mode="after")
    def _apart(self) -> Self:
        lower = {address.lower() for address in self.mailboxes}
        if self.probe and self.probe.lower() in lower:
            raise ValueError("probe must not be one of the mailboxes: messages are made and deleted there")
        if self.outside and self.outside.lower() in {*lower, (self.probe or "").lower()}:
            raise ValueError("outside must not be one of the mailboxes: it is one that must not open")
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.url is None) != self.autodiscover:
            raise ValueError("give either url or autodiscover: true")
        has_password = self.user is not None and self.password is not None
        if not has_password and (self.autodiscover or self.auth in {"basic", "ntlm"}):
            raise ValueError("user and password are needed with auth basic and ntlm, and with autodiscover")
        if (self.auth == "certificate") != (self.certificate is not None):
            raise ValueError("auth: certificate and the field certificate belong together")
        return self

    @property
    def asks(self) -> bool:
        """Whether `addresses` asks a server."""
        return False

    def addresses(self) -> tuple[str, ...]:
        """Whose mailboxes they are."""
        return self.mailboxes

    def source(self, address: str, asked: frozenset[str] = frozenset()) -> EwsMailbox:
        """The mailbox of this address, for rules that ask these conditions. Nothing is asked of a server yet."""
        return EwsMailbox(
            address,
            partial(self.connect, address),
            self.skip_folders,
            # A file travels in base64, inside of an envelope.
            returnable=(self.largest_request - _ENVELOPE) // 4 * 3,
            recoverable_items_quota=self.recoverable_items_quota,
            heeds_reading="read" in asked,
        )

    def sources(self) -> tuple[EwsMailbox, ...]:
        """One for each mailbox. Nothing is asked of a server yet."""
        return tuple(map(self.source, self.mailboxes))

    def hints(self) -> tuple[EwsHints, ...]:
        """One for each connection that tells of new mail. Nothing is asked of a server yet.

        Exchange has no subscriptions to other people's whole mailboxes without impersonation.
        """
        if not (self.streaming and self.impersonation):
            return ()
        ordered = sorted(self.mailboxes, key=str.lower)
        groups = [ordered[start : start + GROUP] for start in range(0, len(ordered), GROUP)]
        return tuple(EwsHints(group, partial(self.connect, group=True)) for group in groups)

    def try_notifications(self) -> bool:
        """False: Exchange tells us over a connection of ours."""
        return False

    def probe_source(self) -> EwsProbe | None:
        """The mailbox for trials, where one is named. Nothing is asked of a server yet."""
        return EwsProbe(self.probe, partial(self.connect, self.probe)) if self.probe else None

    def outside_source(self) -> EwsMailbox | None:
        """The mailbox that must not open, where one is named. Nothing is asked of a server yet."""
        return EwsMailbox(self.outside, partial(self.connect, self.outside)) if self.outside else None

    def grant(self) -> tuple[str, ...]:
        """The lines of PowerShell that let the account in; none, for who has Exchange has granted that by hand."""
        return ()

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to, as far as that is written."""
        return (Server(self.url, self.ca),) if self.url else ()

    def letting_in(self, address: str) -> str:
        """What an administrator calls so that the account opens this mailbox."""
        if not self.impersonation:
            return f"Add-MailboxPermission -Identity {address} -User {self.user} -AccessRights FullAccess"
        role = f"New-ManagementRoleAssignment -Role ApplicationImpersonation -User {self.user}"
        return f"{role} -CustomRecipientWriteScope SCOPE"

    def keeping_out(self, address: str) -> str:
        """What an administrator calls so that the account does not open this mailbox."""
        if not self.impersonation:
            return f"Remove-MailboxPermission -Identity {address} -User {self.user} -AccessRights FullAccess"
        role = f"Get-ManagementRoleAssignment -Role ApplicationImpersonation -RoleAssignee {self.user}"
        return f"{role} | Set-ManagementRoleAssignment -CustomRecipientWriteScope SCOPE"

    def connect(self, address: str, *, group: bool = False) -> Connection:
        """How to reach this mailbox. Raises Denied where the password is not to be had; may ask autodiscover.

        For a group, the server of this mailbox serves all of it: mailboxes elsewhere, as autodiscover may find them,
        cannot be subscribed to, and are only polled.
        """
        credentials = self._credentials()
        url = self.url or self._discovered(address, credentials)
        return Connection(url, self._login(credentials), self._party(address, url), group=group)

    def _party(self, address: str, url: str) -> Party:
        return Party(urlsplit(url).hostname or "", address, self.user or "the service account", self.impersonation)

    def _credentials(self) -> Credentials | None:
        if self.user is None or self.password is None:
            return None
        try:
            return Credentials(self.user, self.password.read())
        except LookupError as error:
            raise Denied(f"the password of {self.user} is not to be had: {error.args[0]}") from None

    def _login(self, credentials: Credentials | None) -> Login:
        for path in (self.ca, self.certificate, self.key):
            if path is not None and not path.is_file():
                raise Denied(f"the file {path} is needed to log in, and is not there")
        certificate = None
        if self.certificate is not None:
            certificate = (str(self.certificate), str(self.key or self.certificate))
        needs_password = self.auth in {"basic", "ntlm"}
        return Login(
            auth_type=_AUTH[self.auth],
            credentials=credentials if needs_password else None,
            ca=self.ca,
            certificate=certificate,
        )

    def _discovered(self, address: str, credentials: Credentials | None) -> str:
        domain = address.rpartition("@")[2]
        try:
            found, _ = Autodiscovery(email=address, credentials=credentials).discover()
        except AutoDiscoverError:
            raise Denied(f"autodiscover finds no EWS for {address}: write its address as url") from None
        except Exception as error:  # noqa: BLE001 - `translate` hands back what it does not know
            raise translate(error, self._party(address, f"https://autodiscover.{domain}")) from None
        return str(found.ews_url)
