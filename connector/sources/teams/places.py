"""Where files of Teams lie: a drive for each team, one more for each private or shared channel, and people's OneDrives.

https://learn.microsoft.com/graph/api/channel-get-filesfolder
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from connector.errors import Denied, Gone
from connector.sources.graph import Edge
from connector.sources.graph.connection import JSON, path
from connector.sources.graph.failures import Missing
from connector.sources.teams.drive import Root

#: What Teams calls the folder for files of chats, by the language of whoever used it first. Others can be configured.
CHAT_FOLDERS = (
    "Microsoft Teams Chat Files",
    "Microsoft Teams-Chatdateien",
    "Fichiers de conversation Microsoft Teams",
    "Archivos de chat de Microsoft Teams",
    "File di chat di Microsoft Teams",
    "Microsoft Teams-chatbestanden",
)
_TEAM = "Files.ReadWrite.All, Team.ReadBasic.All, Channel.ReadBasic.All and ChannelMember.Read.All"
_CHAT = "Files.ReadWrite.All"


@dataclass(frozen=True, slots=True)
class Place:
    """A drive, and the folders in it that belong here."""

    drive: str
    #: For people: the team or channel, or whose chats.
    address: str
    roots: tuple[Root, ...] = ()
    #: Files are shared one by one, with the people of a chat.
    chats: bool = field(default=False)


def teams(edge: Edge, wanted: Iterable[str], never: Collection[str]) -> Iterator[Place]:
    """The drives of these teams, by their names or ids; of all teams where none is named. Raises Unavailable, Denied.

    `never`: teams, and channels as TEAM/CHANNEL, in lower case, that are left alone in any case.

    A channel whose folder does not exist yet has no files: it is looked for again the next time.
    """
    known = {each["id"]: str(each.get("displayName") or each["id"]) for each in _listed(edge, path("teams"), "Teams")}
    names = list(wanted)
    for name in names:
        if name not in known and name not in known.values():
            raise Denied(f"{edge.cloud.host} has no team {name}: check its name, and whether it was deleted")
    for team_id, name in known.items():
        if (not names or {team_id, name} & set(names)) and not {team_id, name.lower()} & set(never):
            yield from _merged(_channels(edge, team_id, name, never))


def channel_of(edge: Edge, team: str, channel: str) -> Place:
    """The one channel of these names. Raises Denied where it is not there or has no folder yet, Unavailable."""
    known = _listed(edge, path("teams"), "Teams")
    for team_id in (each["id"] for each in known if team in (each["id"], each.get("displayName"))):
        for place in _channels(edge, team_id, team, (), only=channel):
            return place
    raise Denied(
        f"{edge.cloud.host} has no channel {team}/{channel} with files: check its name, and open its Files tab"
    )


def chats(edge: Edge, users: Iterable[str], folders: Iterable[str]) -> Iterator[Place]:
    """The OneDrives of these people, with their folder for files of chats. Who has none shared no file in a chat."""
    names = [*folders, *CHAT_FOLDERS]
    for user in users:
        connection = edge.connection(f"the OneDrive of {user}", _CHAT)
        with suppress(Gone, Missing):
            drive = connection.ask("GET", path("users", user, "drive") + "?$select=id").body["id"]
            top = [
                each for page in connection.pages(path("drives", drive, "root", "children")) for each in page["value"]
            ]
            roots = tuple(Root(each["id"]) for each in top if "folder" in each and each.get("name") in names)
            if roots:
                yield Place(drive, f"{user}/chats", roots, chats=True)


def _channels(edge: Edge, team: str, name: str, never: Collection[str], only: str = "") -> Iterator[Place]:
    """A place for each channel that has a folder; or for the one of this name."""
    for channel in _listed(edge, path("teams", team, "allChannels"), f"the team {name}"):
        if f"{name}/{channel.get('displayName')}".lower() in never or only not in ("", channel.get("displayName")):
            continue
        whose = f"the channel {channel.get('displayName')} of the team {name}"
        connection = edge.connection(whose, _TEAM)
        with suppress(Gone):
            folder = connection.ask("GET", path("teams", team, "channels", channel["id"], "filesFolder")).body
            people = _listed(edge, path("teams", team, "channels", channel["id"], "members"), whose)
            members = tuple(sorted({str(each["email"]).lower() for each in people if each.get("email")}))
            # Standard channels lie in the drive of their team, all of them.
            own = channel.get("membershipType") in ("private", "shared")
            address = f"{name}/{channel.get('displayName')}" if own else name
            yield Place(folder["parentReference"]["driveId"], address, (Root(folder["id"], members),))


def _merged(places: Iterable[Place]) -> Iterator[Place]:
    """One place for each drive."""
    merged: dict[str, Place] = {}
    for place in places:
        known = merged.get(place.drive)
        merged[place.drive] = replace(known, roots=known.roots + place.roots) if known else place
    yield from merged.values()


def _listed(edge: Edge, where: str, whose: str) -> Iterator[JSON]:
    for page in edge.connection(whose, _TEAM).pages(where):
        yield from page["value"]
