"""What an operator may set for the pages: `links.yaml`, checked as a whole. It names no mailbox and no ledger."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, field_validator, model_validator

from connector.amounts import Duration
from connector.config.addresses import Address as AnyAddress
from connector.config.credentials import Secret
from connector.config.problems import checked
from connector.config.yamlfile import ConfigError, read
from connector.links.colours import READABLE, WHITE, contrast
from connector.log import Format, Level
from connector.rewrite.languages import Code

FILE = "links.yaml"
_LARGEST_LOGO = 256 * 1024
_PICTURES = {".svg": "image/svg+xml", ".png": "image/png"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("must be an IP address or a network, as in 10.0.0.0/8") from None


#: Without a slash at its end: every path of ours begins with one.
Address = Annotated[AnyAddress, AfterValidator(lambda value: value.rstrip("/"))]
Network = Annotated[str, AfterValidator(_network)]
#: A sentence in each language; the first one stands in for those that are missing.
Sentence = Annotated[dict[Code, str], Field(min_length=1)]


class Listen(_Section):
    """Where the pages are. TLS is the business of the proxy before them."""

    address: str = "127.0.0.1"
    port: int = Field(default=8085, ge=0, le=65535)


class Look(_Section):
    """What pages look like, and whom they name."""

    name: str = Field(description="the name of the house", min_length=1)
    colour: str = Field(default="#1d4f91", pattern=r"^#[0-9a-fA-F]{6}$", description="of buttons and links")
    logo: FilePath | None = Field(default=None, description="an SVG or PNG file, 48 pixels high on the page")
    footer: Sentence | None = Field(default=None, description="what stands at the end of each page, by language")
    privacy: Address | None = Field(default=None, description="address of the privacy notice")
    imprint: Address | None = Field(default=None, description="address of the imprint")
    contact: Sentence = Field(description="whom to ask, as a sentence in each language")
    languages: tuple[Code, ...] = Field(
        default=("en", "de", "fr", "nl"), min_length=1, description="the first is for browsers that ask for no other"
    )
    timezone: str = Field(default="UTC", description="in which times are told, as in Europe/Berlin")

    @field_validator("colour")
    @classmethod
    def _dark_enough(cls, value: str) -> str:
        if contrast(value, WHITE) < READABLE:
            raise ValueError("white letters on it cannot be read; choose a darker one")
        return value.lower()

    @field_validator("logo")
    @classmethod
    def _a_picture(cls, value: Path | None) -> Path | None:
        if value and (value.suffix.lower() not in _PICTURES or value.stat().st_size > _LARGEST_LOGO):
            raise ValueError(f"must be an SVG or PNG file of at most {_LARGEST_LOGO // 1024} kB")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone that the machine knows, as in Europe/Berlin") from None
        return value

    @property
    def picture(self) -> str:
        """The media type of the logo."""
        assert self.logo is not None
        return _PICTURES[self.logo.suffix.lower()]


class StoreAccess(_Section):
    """How the bytes of a tenant are read: with a login that can do nothing else."""

    url: Address = Field(description="WebDAV address of the same collection as in the tenant's `store`")
    user: str | None = Field(default=None, description="of a login by HTTP Basic; left out: without a login")
    password: Secret | None = None
    ca: FilePath | None = Field(default=None, description="certificates to trust; left out: those of the system")
    timeout: int = Field(default=60, ge=1, le=600, description="seconds for each answer")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("give both user and password, or neither")
        return self


class Releases(_Section):
    """What owners may let outsiders open."""

    longest: Duration = Field(default=timedelta(days=30), description="for how long at the most")
    locked: Literal["always", "as they like"] = Field(default="always", description="whether by a password")


class Tenant(_Section):
    """One tenant: where its bytes are, and how its pages look."""

    store: StoreAccess
    look: Look | None = Field(default=None, description="left out: that of the house")
    releases: Releases | None = Field(default=None, description="left out: owners release nothing")


class Proxy(_Section):
    """A server before the pages that is believed: where requests come from, and who it has logged in."""

    addresses: tuple[Network, ...] = Field(min_length=1, description="from where it connects")
    user: str | None = Field(default=None, description="the header that names the user, as in X-Remote-User")
    email: str | None = None
    groups: str | None = Field(default=None, description="the header that lists groups, with commas between them")


class Oidc(_Section):
    """A login at the house's own issuer (OpenID Connect, authorization code with PKCE)."""

    issuer: Address
    client_id: str
    client_secret: Secret
    user_claim: str = "preferred_username"
    groups_claim: str = "groups"
    ca: FilePath | None = None


class Limits(_Section):
    """What one client, one link and all of them together may take."""

    requests_of_a_client: int = Field(default=300, ge=1, description="in a minute")
    requests_of_a_link: int = Field(default=600, ge=1, description="in a minute")
    passwords: int = Field(default=5, ge=1, description="wrong ones in a quarter of an hour, per link and client")
    downloads_of_a_client: int = Field(default=40, ge=1, description="at the same time")
    downloads: int = Field(default=250, ge=1, description="at the same time, in all")
    write_timeout: int = Field(default=30, ge=1, description="seconds that a reader may take for 128 kB")


class LogSettings(_Section):
    """How the pages log, to standard error."""

    format: Format = "auto"
    level: Level = "info"


class LinkSettings(_Section):
    """The process of the pages."""

    model_config = ConfigDict(title=FILE)

    url: Address = Field(description="the address of the pages for people, as in https://files.example.org")
    listen: Listen = Listen()
    book: str = Field(description="SQLAlchemy address of the book: the same as the daemon's")
    house: Look = Field(description="for pages that belong to no tenant; and for tenants without a look of their own")
    tenants: dict[str, Tenant] = Field(min_length=1)
    proxy: Proxy | None = None
    oidc: Oidc | None = None
    limits: Limits = Limits()
    log: LogSettings = LogSettings()

    def look(self, tenant: str) -> Look:
        """How pages of this tenant look."""
        return self.tenants[tenant].look or self.house


def load(folder: Path) -> LinkSettings:
    """Read and check `links.yaml`. Raises ConfigError with all of its problems."""
    return checked(read(folder / FILE), LinkSettings)


def secret(of: Secret, place: str) -> str:
    """A secret of the settings. Raises ConfigError where it is not to be had."""
    try:
        return of.read()
    except LookupError as error:
        raise ConfigError(f"{place}: {error.args[0]}") from None
