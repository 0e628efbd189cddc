"""Files and folders of one account, and which names they may have (facts, 2.5)."""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from connector.simulator.nextcloud.message import OCA, Refused

_LONGEST_NAME, _LONGEST_PATH = 250, 4000
_CONTROL = re.compile(r"[\x00-\x1f\\]")
_WINDOWS = re.compile(r'[<>:"|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


@dataclass(eq=False)
class Node:
    """A file, or a folder."""

    id: int
    name: str
    owner: str
    folder: bool
    parent: "Node | None"
    content: bytes = b""
    changed: float = 0.0
    #: When it was made and when it was written last, by the server's clock.
    uploaded: float = 0.0
    written: float = 0.0
    #: By how much it grew in writes within one second, see `etag`.
    unseen: int = 0
    checksum: str = ""
    children: "dict[str, Node]" = field(default_factory=dict)
    #: Grows with every change within a folder.
    turns: int = 0
    #: Somebody else's upload or assembly is at work on it.
    locked: bool = False
    properties: dict[str, str] = field(default_factory=dict)
    #: Ids.
    tags: set[str] = field(default_factory=set)
    #: What it had in it before, by when that was written: the last of a second takes the place of others [code].
    versions: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """In bytes; of a folder, of all that is in it."""
        return sum(each.size for each in self.children.values()) if self.folder else len(self.content)

    @property
    def etag(self) -> str:
        """Facts, 2.1: of two writes within a second the second one changes nothing, whatever its size."""
        size = len(self.content) - self.unseen
        told = f"{self.id} {self.turns}" if self.folder else f"{int(self.written)} {self.id} {size}"
        return f'"{hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()}"'

    @property
    def path(self) -> str:
        """Below the root of its owner."""
        above = self.parent.path if self.parent else ""
        return f"{above}/{self.name}".strip("/") if self.parent else ""

    def wrote(self, content: bytes, now: float) -> None:
        """It has other bytes now."""
        self.unseen = self.unseen + len(content) - len(self.content) if int(now) == int(self.written) else 0
        if self.content:
            self.versions[int(self.changed)] = self.content
        self.content, self.checksum = content, ""
        self.changed = self.written = now
        touch(self.parent)

    def below(self) -> Iterator["Node"]:
        """All that is in it, itself first."""
        yield self
        for each in list(self.children.values()):
            yield from each.below()


class Trees:
    """All accounts' files; ids are the server's."""

    def __init__(self) -> None:
        self._ids = itertools.count(101)

    def root(self, owner: str) -> Node:
        """An empty home."""
        return Node(next(self._ids), "", owner, folder=True, parent=None)

    def add(self, parent: Node, name: str, *, folder: bool, now: float) -> Node:
        """A new node; its parent changes."""
        node = Node(next(self._ids), name, parent.owner, folder=folder, parent=parent, changed=now, uploaded=now)
        parent.children[name] = node
        touch(parent)
        return node

    def move(self, node: Node, parent: Node, name: str) -> None:
        """It keeps its id, and belongs to whom the folder belongs."""
        assert node.parent
        del node.parent.children[node.name]
        touch(node.parent)
        self.adopt(node, parent, name)

    def adopt(self, node: Node, parent: Node, name: str) -> None:
        """What is nowhere is here from now on."""
        node.name, node.parent = name, parent
        parent.children[name] = node
        touch(parent)
        for each in node.below():
            each.owner = parent.owner

    def copy(self, source: Node, parent: Node, name: str, *, now: float) -> Node:
        """All of it, with ids of its own."""
        node = self.add(parent, name, folder=source.folder, now=now)
        if not source.folder:
            node.wrote(source.content, now)
            node.checksum = source.checksum
        node.properties = dict(source.properties)
        for each in list(source.children.values()):
            self.copy(each, node, each.name, now=now)
        return node


def touch(node: Node | None) -> None:
    """All folders above have another ETag."""
    while node is not None:
        node.turns += 1
        node = node.parent


def split(path: str) -> list[str]:
    """The names in a path, as the server keeps them: NFC."""
    return [unicodedata.normalize("NFC", part) for part in path.split("/") if part]


def forbidden(*, windows: bool) -> dict[str, list[str]]:
    """What the capabilities say about names."""
    devices = ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))]
    return {
        "forbidden_filename_characters": ["\\", "/", *('<>:"|?*' if windows else "")],
        "forbidden_filename_basenames": devices if windows else [],
        "forbidden_filename_extensions": [".filepart", ".part", *([" ", "."] if windows else [])],
        "forbidden_filenames": [".htaccess"],
    }


def check_name(name: str, path: str, *, windows: bool) -> None:
    """Raise what is answered to a name that is not allowed."""
    if reason := _wrong(name, path, windows=windows):
        more = f'<o:retry xmlns:o="o:">false</o:retry><o:reason xmlns:o="o:">{reason}</o:reason>'
        raise Refused(400, f"{OCA}InvalidPath", reason, more)


def _wrong(name: str, path: str, *, windows: bool) -> str:
    wrong = (
        (len(name.encode()) > _LONGEST_NAME, "Filename is too long"),
        (len(path) > _LONGEST_PATH, "Path is too long"),
        (_CONTROL.search(name), "File name contains at least one invalid character"),
        (not name.strip(" "), "Empty filename is not allowed"),
        (name.lower() == ".htaccess", "File name is a reserved word"),
        (name.lower().endswith((".part", ".filepart")), "File type not allowed"),
        (windows and _unfit_for_windows(name), "File name is not allowed on Windows"),
    )
    return next((says for holds, says in wrong if holds), "")


def _unfit_for_windows(name: str) -> bool:
    return bool(_WINDOWS.search(name) or name[-1] in ". " or _DEVICES.fullmatch(name))
