"""Where files of Teams lie: a drive for each team, one more for each private or shared channel, and people's OneDrives.

https://learn.microsoft.com/graph/api/channel-get-filesfolder
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from connector.errors import Conflict, ConnectorError, Denied, Gone, Rejected
from connector.sources.graph import Edge
from connector.sources.graph.connection import JSON, path
from connector.sources.graph.failures import Barred, Missing
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


#: What is said of one of many. A login or a service that fails is no such thing: half a look-up is none.
_REFUSALS = (Barred, Conflict, Gone, Missing, Rejected)


@dataclass(frozen=True, slots=True)
class Place:
    """A drive, and the folders in it that belong here."""

    drive: str
    #: For people: the team or channel, or whose chats.
    address: str
    #: What it hangs on: the team as it was asked for, and a channel that has its own drive; or a person.
    of: tuple[str, ...]
    roots: tuple[Root, ...] = ()
    #: Files are shared one by one, with the people of a chat.
    chats: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """One that does not answer, while others may: nothing is known of what it has by now."""

    #: For people, as that of a place.
    address: str
    of: tuple[str, ...]
    error: ConnectorError

    def covers(self, place: Place) -> bool:
        """Whether this place hangs on it."""
        return place.of[: len(self.of)] == self.of


def teams(edge: Edge, wanted: Iterable[str], never: Collection[str]) -> Iterator[Place | Refused]:
    """The drives of these teams, by their names or ids; of all teams where none is named. Raises Unavailable, Denied.

    `never`: teams, and channels as TEAM/CHANNEL, in lower case, that are left alone in any case.

    A channel whose folder does not exist yet has no files: it is looked for again the next time.
    """
    known = {each["id"]: str(each.get("displayName") or each["id"]) for each in _listed(edge, path("teams"), "Teams")}
    names = list(wanted)
    for name in names:
        if name not in known and name not in known.values():
            told = f"{edge.cloud.host} has no team {name}: check its name, and whether it was deleted"
            yield Refused(name, (name,), Missing(told))
    for team_id, name in known.items():
        if (not names or {team_id, name} & set(names)) and not {team_id, name.lower()} & set(never):
            yield from _team(edge, team_id, name, team_id if not names or team_id in names else name, never)


def channel_of(edge: Edge, team: str, channel: str) -> Place:
    """The one channel of these names. Raises Denied where it is not there or has no folder yet, Unavailable."""
    known = _listed(edge, path("teams"), "Teams")
    for team_id in (each["id"] for each in known if team in (each["id"], each.get("displayName"))):
        for each in _channels(edge, team_id, team):
            if each.get("displayName") == channel:
                with suppress(Gone):
                    return _place(edge, team_id, team, each, team_id)
    raise Denied(
        f"{edge.cloud.host} has no channel {team}/{channel} with files: check its name, and open its Files tab"
    )


def chats(edge: Edge, users: Iterable[str], folders: Iterable[str]) -> Iterator[Place | Refused]:
    """The OneDrives of these people, with their folder for files of chats. Who has none shared no file in a chat."""
    names = [*folders, *CHAT_FOLDERS]
    for user in users:
        address = f"{user}/chats"
        connection = edge.connection(f"the OneDrive of {user}", _CHAT)
        try:
            drive = connection.ask("GET", path("users", user, "drive") + "?$select=id").body["id"]
            top = [
                each for page in connection.pages(path("drives", drive, "root", "children")) for each in page["value"]
            ]
        except (Gone, Missing):
            continue
        except _REFUSALS as error:
            yield Refused(address, (user,), error)
            continue
        roots = tuple(Root(each["id"]) for each in top if "folder" in each and each.get("name") in names)
        if roots:
            yield Place(drive, address, (user,), roots, chats=True)


def _team(edge: Edge, team: str, name: str, asked: str, never: Collection[str]) -> Iterator[Place | Refused]:
    """A place for each drive of a team; `asked` is how it was asked for."""
    merged: dict[str, Place] = {}
    try:
        channels = list(_channels(edge, team, name))
    except _REFUSALS as error:
        yield Refused(name, (asked,), error)
        return
    for channel in channels:
        if f"{name}/{channel.get('displayName')}".lower() in never:
            continue
        try:
            place = _place(edge, team, name, channel, asked)
        except Gone:
            continue
        except _REFUSALS as error:
            yield Refused(_address(name, channel), _of(asked, channel), error)
            continue
        known = merged.get(place.drive)
        merged[place.drive] = replace(known, roots=known.roots + place.roots) if known else place
    yield from merged.values()


def _channels(edge: Edge, team: str, name: str) -> Iterator[JSON]:
    yield from _listed(edge, path("teams", team, "allChannels"), f"the team {name}")


def _place(edge: Edge, team: str, name: str, channel: JSON, asked: str) -> Place:
    """Where the files of a channel lie. Raises Gone where it has no folder yet."""
    whose = f"the channel {channel.get('displayName')} of the team {name}"
    where = path("teams", team, "channels", channel["id"])
    folder = edge.connection(whose, _TEAM).ask("GET", f"{where}/filesFolder").body
    people = _listed(edge, f"{where}/members", whose)
    members = tuple(sorted({str(each["email"]).lower() for each in people if each.get("email")}))
    roots = (Root(folder["id"], members),)
    return Place(folder["parentReference"]["driveId"], _address(name, channel), _of(asked, channel), roots)


def _own(channel: JSON) -> bool:
    """Whether it has a drive of its own. Standard channels lie in the drive of their team, all of them."""
    return channel.get("membershipType") in ("private", "shared")


def _address(name: str, channel: JSON) -> str:
    return f"{name}/{channel.get('displayName')}" if _own(channel) else name


def _of(asked: str, channel: JSON) -> tuple[str, ...]:
    return (asked, channel["id"] if _own(channel) else "")


def _listed(edge: Edge, where: str, whose: str) -> Iterator[JSON]:
    for page in edge.connection(whose, _TEAM).pages(where):
        yield from page["value"]
