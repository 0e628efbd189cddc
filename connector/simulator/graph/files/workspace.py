"""Where people share files: teams with their channels, and everybody's OneDrive."""

import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from connector.simulator.content import Content
from connector.simulator.graph.files.drive import Drive, DriveItem, Permission
from connector.simulator.mailbox import now

#: The folder of a OneDrive that holds what its owner sent to chats, in the language of the OneDrive (facts, B1).
CHAT_FILES = {
    "en": "Microsoft Teams Chat Files",
    "de": "Microsoft Teams-Chatdateien",
    "fr": "Fichiers de conversation Microsoft Teams",
}
#: Where the sites of this tenant are.
HOST = "example.sharepoint.com"
MY_HOST = "example-my.sharepoint.com"


class Kind(StrEnum):
    """Whom a channel is for."""

    STANDARD = "standard"
    PRIVATE = "private"
    SHARED = "shared"


@dataclass(kw_only=True, eq=False)
class Channel:
    """A channel. The standard ones of a team share its drive; each other one has a site of its own (facts, B1)."""

    name: str
    kind: Kind
    drive: Drive
    #: Where its files are. None until somebody opens its Files tab (facts, B1).
    folder: DriveItem | None
    #: Of a private or shared channel; a standard one has those of its team.
    members: dict[str, str] = field(default_factory=dict)
    #: Its name has characters that Graph stumbles over (facts, B1).
    fails: bool = False
    id: str = field(default_factory=lambda: f"19:{uuid.uuid4().hex}@thread.tacv2")
    created: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Team:
    """A team, which is a group with channels. Members are addresses, with `owner` or "" for each."""

    name: str
    drive: Drive
    members: dict[str, str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    channels: dict[str, Channel] = field(default_factory=dict)
    created: datetime = field(default_factory=now)

    def channel(self, name: str) -> Channel:
        """The channel of this name."""
        return next(each for each in self.channels.values() if each.name == name)

    def members_of(self, channel: Channel) -> dict[str, str]:
        """Who is in a channel."""
        return self.members if channel.kind is Kind.STANDARD else channel.members


@dataclass(kw_only=True, eq=False)
class UploadSession:
    """A file on its way in, part by part."""

    drive: Drive
    #: What it goes to: an item, or a name in a folder.
    item: DriveItem | None
    folder: DriveItem
    name: str
    conflict: str
    expires: datetime
    #: The eTag that the item must still have; "" where any will do.
    if_match: str = ""
    total: int = 0
    received: int = 0
    parts: list[Content] = field(default_factory=list)


@dataclass
class Usage:
    """The resource units that the app has spent within the present minute (facts, B7)."""

    #: Per app and tenant and minute, for up to 1,000 licences.
    limit: int = 1250
    minute: float = 60.0
    spent: int = 0
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, units: int) -> tuple[int, float]:
        """Charge a request; what is spent with it, and the seconds until the next minute."""
        with self._lock:
            passed = time.monotonic() - self._began
            if passed >= self.minute:
                self.spent, self._began, passed = 0, time.monotonic(), 0.0
            self.spent += units
            return self.spent, self.minute - passed


@dataclass
class Workspace:
    """All of it in one tenant."""

    teams: dict[str, Team] = field(default_factory=dict)
    #: By id.
    drives: dict[str, Drive] = field(default_factory=dict)
    #: By the owner's address.
    onedrives: dict[str, Drive] = field(default_factory=dict)
    #: By the secret in their URLs.
    uploads: dict[str, UploadSession] = field(default_factory=dict)
    #: How long preauthenticated URLs and upload sessions live, in seconds.
    download_life: float = 300.0
    upload_life: float = 900.0
    #: Change tokens of an earlier epoch are no longer known; how the client is told to begin anew (facts, B2).
    epoch: int = 0
    resync: str = "resyncChangesApplyDifferences"
    usage: Usage = field(default_factory=Usage)

    def add_team(self, name: str, members: Mapping[str, str]) -> Team:
        """Make a team with its channel General. Members are addresses, with `owner` or "" for each."""
        people = {who.lower(): role for who, role in members.items()}
        team = Team(name=name, drive=self._site(name), members=people)
        self.teams[team.id] = team
        self.add_channel(team, "General")
        return team

    def add_channel(
        self, team: Team, name: str, kind: Kind | str = Kind.STANDARD, members: Mapping[str, str] | None = None
    ) -> Channel:
        """Make a channel; private and shared ones have a site of their own. Its Files tab is open at once."""
        kind = Kind(kind)
        drive = team.drive if kind is Kind.STANDARD else self._site(f"{team.name}-{name}")
        people = {who.lower(): role for who, role in (team.members if members is None else members).items()}
        channel = Channel(name=name, kind=kind, drive=drive, folder=drive.folder(name), members=people)
        team.channels[channel.id] = channel
        return channel

    def onedrive(self, owner: str, language: str = "en") -> Drive:
        """Somebody's OneDrive, with its folder for chat files; it is made where it does not exist."""
        owner = owner.lower()
        if owner not in self.onedrives:
            name = owner.replace("@", "_").replace(".", "_")
            url = f"https://{MY_HOST}/personal/{name}/Documents"
            drive = Drive("OneDrive", kind="business", owner=owner, url=url)
            drive.root.permissions = [Permission(roles=("owner",), people=(owner,))]
            drive.folder(CHAT_FILES[language], owner)
            self.onedrives[owner] = self.drives[drive.id] = drive
        return self.onedrives[owner]

    def send(self, sender: str, name: str, content: bytes | Content, *recipients: str) -> str:
        """Somebody sends a file to a chat: it goes to his OneDrive, and the others may open it. Answers its id."""
        drive = self.onedrive(sender)
        folder = next(each.name for each in drive.root.below() if each.name in CHAT_FILES.values())
        identifier = drive.upload(f"{folder}/{name}", content, sender.lower())
        if recipients:
            drive.share(identifier, *recipients)
        return identifier

    def channels(self) -> Iterator[tuple[Team, Channel]]:
        """All channels, with their teams."""
        for team in self.teams.values():
            for channel in team.channels.values():
                yield team, channel

    def _site(self, name: str) -> Drive:
        path = "".join(letter for letter in name if letter.isalnum() or letter == "-") or uuid.uuid4().hex
        drive = Drive("Documents", url=f"https://{HOST}/sites/{path}/Shared%20Documents")
        drive.root.permissions = [
            Permission(roles=("owner",), group=f"{name} Owners"),
            Permission(roles=("write",), group=f"{name} Members"),
        ]
        self.drives[drive.id] = drive
        return drive


def until(seconds: float) -> datetime:
    """So many seconds from now."""
    return now() + timedelta(seconds=seconds)
