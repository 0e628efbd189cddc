"""What there is to see of a message or a shared file, by whatever protocol."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """One message, as a client of its owner sees it."""

    id: str
    subject: str
    #: Differs after every change.
    change_key: str
    body: str
    #: The names of its attachments, by their ids.
    files: Mapping[str, str]


@dataclass(frozen=True)
class SharedSeen:
    """One file in Teams, as somebody sees it who may open it."""

    id: str
    sha256: str
    #: What it opens, where it is an Internet shortcut.
    url: str = ""
