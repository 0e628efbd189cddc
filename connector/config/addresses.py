"""Addresses of servers, as an administrator writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Server:
    """Whom an adapter speaks to, and which authorities may vouch for it."""

    url: str
    #: None: those that our libraries bring along, or those of the `system`.
    ca: Path | None = None
    system: bool = False

    @property
    def host(self) -> str:
        """Its name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Where it listens."""
        parts = urlsplit(self.url)
        return parts.port or (443 if self.encrypted else 80)

    @property
    def encrypted(self) -> bool:
        """Whether it is spoken to in TLS."""
        return self.url.startswith("https:")


def parts_of(value: str) -> SplitResult:
    """The parts of an address: its host can be looked up, and its port is one. Raises ValueError."""
    try:
        parts = urlsplit(value)
        (parts.hostname or "").encode("idna")  # As whoever looks it up does.
        if parts.port != 0:  # What is no port is told only where it is asked for.
            return parts
    except UnicodeError:
        raise ValueError("that is no address: between the dots of its host stand 1 to 63 characters") from None
    except ValueError:
        pass
    raise ValueError("that is no address: after its host may stand a port from 1 to 65535, and brackets belong to IPv6")


def _address(value: str) -> str:
    parts = parts_of(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give a whole address, such as https://dav.example.org/attachments/")
    if parts.username is not None or parts.password is not None:
        raise ValueError("user and password have fields of their own, and no place in the address")
    if parts.query or parts.fragment:
        raise ValueError("such an address has no ? and no #")
    from requests.utils import requote_uri  # noqa: PLC0415 - who reads connector.yaml alone does not wait for it

    return requote_uri(value)


def encrypted(value: str) -> SplitResult:
    """The parts of an address that is only ever spoken to in TLS, except on this very machine. Raises ValueError."""
    parts = parts_of(value)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)):
        raise ValueError("write an https address; http is for this very machine only")
    return parts


Address = Annotated[str, AfterValidator(_address)]
