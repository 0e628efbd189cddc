"""What an operator may set in `connector.yaml`, for all tenants. No adapter has to be known for it."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from connector.amounts import Duration
from connector.config.addresses import parts_of
from connector.config.credentials import Secret
from connector.config.problems import told
from connector.config.yamlfile import ConfigError, Document, read
from connector.log import Format, Level

#: Shorter ones can be guessed, and with the key anyone could make our marker.
SHORTEST_KEY = 32
ENVIRONMENT = "CONNECTOR_"
#: So many turns at a time of all tenants together.
MOST_THREADS = 256


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSettings(_Section):
    """How the daemon logs, to standard error."""

    format: Format = Field(default="auto", description="auto: console on a terminal, JSON lines otherwise")
    level: Level = "info"
    mailboxes: bool = Field(default=False, description="the log names mailboxes and addresses; else by pseudonyms")


class MetricsSettings(_Section):
    """Where the daemon tells Prometheus how it is (/metrics), and whoever restarts it (/healthz, /readyz)."""

    port: int = Field(default=9464, ge=0, le=65_535, description="0: any that is free; the log says which")
    host: str = Field(default="127.0.0.1", description="address to listen on: by default, only this machine can ask")


class SweepSettings(_Section):
    """When stored files that no message shows are deleted."""

    grace: Duration = Field(
        default=timedelta(days=30), description="how long a file is kept after nothing needs it any more"
    )
    at_most: int = Field(default=1000, ge=1, description="more deletions than these in one run wait for a human")


class AnchorSettings(_Section):
    """Where the daemon writes down, outside of the ledger, how far audit trails are: at start, stop, and every day."""

    file: Path | None = Field(default=None, description="file to which a line for each tenant is appended")
    syslog: Annotated[str, Field(pattern=r"^(/.+|(udp|tcp)://[^/]+)$")] | None = Field(
        default=None, description="/dev/log, or udp://HOST:PORT, or tcp://HOST:PORT (RFC 5424)"
    )

    @field_validator("syslog")
    @classmethod
    def _somewhere(cls, value: str | None) -> str | None:
        if value and not value.startswith("/") and not parts_of(value).hostname:
            raise ValueError("that is no address: name a host, as in tcp://logs.example.org:601")
        return value


class AuditSettings(_Section):
    """What becomes of the audit trail outside of the ledger."""

    anchor: AnchorSettings = AnchorSettings()


class _Environment(EnvSettingsSource):
    """What variables set: everything but `marker_key`, since one of that name may well hold the key itself."""

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__call__().items() if name != "marker_key"}


class Settings(BaseSettings):
    """The process. An environment variable wins over the file: CONNECTOR_INTERVAL, CONNECTOR_LOG__LEVEL and so on."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT,
        env_nested_delimiter="__",
        enable_decoding=False,
        title="connector.yaml",
    )

    state: Path = Field(default=Path("/var/lib/connector"), description="folder of the ledger")
    ledger: str | None = Field(
        default=None, description="SQLAlchemy address of the ledger; left out: SQLite in `state`"
    )
    marker_key: Secret = Field(description="signs our mark in messages; make one with `openssl rand -hex 32`")
    log: LogSettings = LogSettings()
    interval: int = Field(default=60, ge=1, le=86_400, description="seconds between two looks at a mailbox")
    safety: int = Field(
        default=900, ge=1, le=900, description="the same, where a server tells of new mail by itself, if that is longer"
    )
    threads: int = Field(
        default=8,
        ge=1,
        le=MOST_THREADS,
        description=f"mailboxes of one tenant that have a turn at a time; of all, {MOST_THREADS} in equal parts",
    )
    sweep: SweepSettings = SweepSettings()
    audit: AuditSettings = AuditSettings()
    metrics: MetricsSettings | None = Field(
        default=None, description="where metrics and health are told; left out: nowhere"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file; nothing else."""
        return _Environment(settings_cls), init_settings

    @field_validator("ledger")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value and urlsplit(value).password is not None:
            raise ValueError("must hold no password: PostgreSQL's own PGPASSFILE names a file that does")
        return value

    def threads_of_each(self, tenants: int) -> int:
        """How many turns each of so many tenants has at a time: its own, which it never lends, and one at least.

        Where they lent them, a store that never answers would in the end have those of all others too.
        """
        return max(1, min(self.threads, MOST_THREADS // max(tenants, 1)))

    @property
    def ledger_url(self) -> str:
        """Where the ledger is, for SQLAlchemy."""
        return self.ledger or f"sqlite:///{self.state / 'ledger.db'}"

    def read_marker_key(self) -> bytes:
        """The key that signs markers. Raises ConfigError where it cannot be read or could be guessed."""
        try:
            key = self.marker_key.read()
        except LookupError as error:
            raise ConfigError(f"marker_key: {error.args[0]}") from None
        if len(key) < SHORTEST_KEY:
            raise ConfigError(
                f"marker_key: must have at least {SHORTEST_KEY} characters; make one with `openssl rand -hex 32`"
            )
        return key.encode()


def load_settings(folder: Path) -> Settings:
    """Read and check `connector.yaml` alone: what a command needs that looks only into the ledger."""
    document = read(folder / "connector.yaml")
    try:
        return Settings(**document.values)
    except ValidationError as error:
        raise ConfigError(*told(error, _with_environment(document), Settings)) from None


def _with_environment(document: Document) -> Document:
    """The same document, with the names of variables as the places of what they set."""
    places = dict(document.places)
    for name in sorted(os.environ):
        if name.upper().startswith(ENVIRONMENT):
            section, *fields = name[len(ENVIRONMENT) :].lower().split("__")
            place = f"environment variable {name}:"
            places.setdefault((section,), place)
            places[section, *fields] = place
    return replace(document, places=places)
