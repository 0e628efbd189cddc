"""The .eml files that the demo plays with, and what is in them, read with Python's own e-mail package."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path

from connector.config.yamlfile import ConfigError
from connector.demo.samples import ANNA

_MAILBOX = re.compile(r"[\w.+-]+@[\w.-]+", re.ASCII)
_VERBATIM = policy.compat32.clone(max_line_length=0)


@dataclass(frozen=True)
class Letter:
    """One .eml file, and where it is delivered."""

    path: Path
    mailbox: str
    folder: str

    def read(self) -> bytes:
        """The message. Raises ConfigError where the file cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {error.strerror}") from None

    def sha256(self) -> frozenset[str]:
        """The SHA-256 of every part that could be an attachment."""
        parts = message_from_bytes(self.read(), policy=_VERBATIM).walk()
        return frozenset(hashlib.sha256(_content(part)).hexdigest() for part in parts)


def letters(folder: Path) -> tuple[Letter, ...]:
    """All .eml files of `DIR/mailbox@domain/[Folder/]`; what lies elsewhere in DIR goes to one mailbox.

    Raises ConfigError where there is none.
    """
    found = tuple(_letters(folder))
    if not found:
        raise ConfigError(f"{folder} holds no .eml file: put some into it, or into {folder}/{ANNA}/Inbox")
    return found


def _letters(folder: Path) -> Iterator[Letter]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() != ".eml" or not path.is_file():
            continue
        parts = path.relative_to(folder).parts[:-1]
        mailbox, where = (parts[0], parts[1:]) if parts and _MAILBOX.fullmatch(parts[0]) else (ANNA, parts)
        yield Letter(path, mailbox.lower(), "/".join(where) or "Inbox")


def _content(part: Message) -> bytes:
    if part.is_multipart():
        # Of a delivery status or the like, Python has parsed the lines.
        children = part.get_payload()
        return b"".join(child.as_bytes() for child in children if isinstance(child, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
