"""Which scanner a tenant has."""

from pathlib import PurePosixPath
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connector.scanners import Scanner
from connector.scanners.clamd import Clamd
from connector.scanners.icap import Icap

_CLAMD_PORT = 3310


class ScannerConfig(BaseModel):
    """A virus scanner, for rules that ask whether files are infected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clamd: str | None = Field(default=None, description="ClamAV: path of clamd's socket, or tcp://HOST:3310")
    icap: str | None = Field(default=None, description="any scanner that speaks ICAP: icap://HOST:1344/SERVICE")

    @field_validator("clamd")
    @classmethod
    def _where_clamd_is(cls, value: str | None) -> str | None:
        if value is not None and not PurePosixPath(value).is_absolute() and not _host(value, "tcp"):
            raise ValueError("give the path of clamd's socket, such as /run/clamav/clamd.ctl, or tcp://HOST:3310")
        return value

    @field_validator("icap")
    @classmethod
    def _where_icap_is(cls, value: str | None) -> str | None:
        if value is not None and not _host(value, "icap"):
            raise ValueError("give the address of the service, such as icap://av.example.org:1344/avscan")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.clamd is None) == (self.icap is None):
            raise ValueError("give exactly one of clamd and icap")
        return self

    def connect(self) -> Scanner:
        """Its client. Nothing is sent."""
        if self.icap is not None:
            url = urlsplit(self.icap)
            return Icap(url.hostname or "", url.port, url._replace(scheme="", netloc="").geturl().lstrip("/"))
        assert self.clamd is not None
        if self.clamd.startswith("/"):
            return Clamd(self.clamd)
        url = urlsplit(self.clamd)
        return Clamd((url.hostname or "", url.port or _CLAMD_PORT))


def _host(address: str, scheme: str) -> bool:
    """Whether it is an address with a host and, if any, a port that can be."""
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        return False
    return url.scheme == scheme and bool(url.hostname) and not url.username
