"""When what opens doors comes to its end: certificates of the servers of a tenant, and its own credentials."""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from pydantic import BaseModel

from connector.config.addresses import Server

#: Seconds. Nobody waits for it but the end of the process.
_PATIENCE = 5.0


def ends_of_hosts(servers: Iterable[Server], stopping: Callable[[], bool] = bool) -> Mapping[str, datetime]:
    """By host; without those that do not answer now. Whether they are to be trusted is not asked here."""
    found = {}
    for each in servers:
        if each.encrypted and not stopping() and (end := _end_of_host(each.host, each.port)):
            found[f"{each.host}:{each.port}"] = end
    return found


def ends_of_credentials(config: BaseModel) -> Mapping[str, datetime]:
    """Of client certificates, by their file, and of client secrets whose end is configured, by their client."""
    found = {}
    for section in _sections(config):
        if (file := section.get("certificate")) and (end := _end_of_file(Path(file))):
            found[str(file)] = end
        if day := section.get("secret_ends"):
            found[f"secret of {section['client']}"] = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return found


def _sections(value: object) -> Iterator[Mapping[str, Any]]:
    """All of a configuration that has fields, wherever it stands."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _sections(each)


def _end_of_host(host: str, port: int) -> datetime | None:
    try:
        return _end(ssl.get_server_certificate((host, port), timeout=_PATIENCE).encode())
    except (OSError, ValueError):
        return None


def _end_of_file(file: Path) -> datetime | None:
    """None where it cannot be read, which is told where it is used; and for PFX, which a passphrase may close."""
    try:
        return _end(file.read_bytes())
    except (OSError, ValueError):
        return None


def _end(pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc
