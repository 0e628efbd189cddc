"""How drives are found: teams, channels and their members, sites, OneDrives (facts, B1)."""

from http import HTTPStatus

from connector.simulator.graph.call import Call
from connector.simulator.graph.directory import find_user
from connector.simulator.graph.files.charges import ONE, TWO, charged
from connector.simulator.graph.files.drive import Drive, refuse
from connector.simulator.graph.files.items import READ
from connector.simulator.graph.files.shapes import (
    channel_shape,
    drive_shape,
    item_shape,
    member_shape,
    site_id,
    site_shape,
    team_shape,
)
from connector.simulator.graph.files.workspace import Channel, Team
from connector.simulator.graph.message import Options, Reply, invalid
from connector.simulator.graph.routes import Route

_PAGE = 100


def list_teams(call: Call) -> Reply:
    """Microsoft: teams-list."""
    teams = [*call.organisation.workspace.teams.values()]
    return call.listed("teams", teams, lambda each: call.options.selected(team_shape(call, each)), size=_PAGE)


def get_team(call: Call) -> Reply:
    """Microsoft: team-get."""
    told = call.options.selected(team_shape(call, _team(call)))
    return Reply(json={"@odata.context": call.context("teams/$entity"), **told})


def list_channels(call: Call) -> Reply:
    """Microsoft: channel-list, team-list-allchannels."""
    channels = [*_team(call).channels.values()]
    return call.listed("channels", channels, lambda each: call.options.selected(channel_shape(call, each)), size=_PAGE)


def get_channel(call: Call) -> Reply:
    """Microsoft: channel-get."""
    told = call.options.selected(channel_shape(call, _channel(call)[1]))
    return Reply(json={"@odata.context": call.context("channels/$entity"), **told})


def get_files_folder(call: Call) -> Reply:
    """Microsoft: channel-get-filesfolder. It takes no query options, and is not always there (facts, B1)."""
    if call.request.query:
        invalid("Query options are not supported.")
    _, channel = _channel(call)
    if channel.fails:
        refuse(HTTPStatus.BAD_REQUEST, "BadRequest", "The name of the channel has characters that are not supported.")
    if channel.folder is None or channel.folder.id not in channel.drive.items:
        refuse(
            HTTPStatus.NOT_FOUND, "NotFound", "Folder location for channel is not ready yet, please try again later."
        )
    with channel.drive.lock:
        told = item_shape(call, channel.drive, channel.folder, Options())
    return Reply(json={"@odata.context": call.context("driveItem"), **told})


def list_channel_members(call: Call) -> Reply:
    """Microsoft: channel-list-members."""
    team, channel = _channel(call)
    members = [*team.members_of(channel).items()]
    return call.listed("members", members, lambda each: member_shape(call, *each), size=_PAGE)


def get_users_drive(call: Call) -> Reply:
    """Microsoft: drive-get: somebody's OneDrive. Many people have none (facts, B1)."""
    mailbox = find_user(call.organisation, call.path["user"])
    drive = call.organisation.workspace.onedrives.get(mailbox.address) if mailbox else None
    if drive is None:
        refuse(HTTPStatus.NOT_FOUND, "ResourceNotFound", "User's mysite not found.")
    return _drive(call, drive)


def get_group_drive(call: Call) -> Reply:
    """Microsoft: drive-get: the drive of the standard channels."""
    return _drive(call, _team(call).drive)


def get_site(call: Call) -> Reply:
    """Microsoft: site-get."""
    told = call.options.selected(site_shape(_site(call)))
    return Reply(json={"@odata.context": call.context("sites/$entity"), **told})


def list_site_drives(call: Call) -> Reply:
    """Microsoft: drive-list."""
    return call.listed("drives", [_site(call)], lambda each: call.options.selected(drive_shape(call, each)))


def _team(call: Call) -> Team:
    team = call.organisation.workspace.teams.get(call.path["team"].lower())
    if team is None:
        refuse(HTTPStatus.NOT_FOUND, "NotFound", "No team found with this group id.")
    return team


def _channel(call: Call) -> tuple[Team, Channel]:
    team = _team(call)
    channel = team.channels.get(call.path["channel"])
    if channel is None:
        refuse(HTTPStatus.NOT_FOUND, "NotFound", "Could not find the channel.")
    return team, channel


def _site(call: Call) -> Drive:
    drives = call.organisation.workspace.drives.values()
    known = (each for each in drives if call.path["site"].lower() in (site_id(each), each.site_guid))
    found = next(known, None)
    if found is None:
        refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "Requested site could not be found")
    return found


def _drive(call: Call, drive: Drive) -> Reply:
    with drive.lock:
        told = call.options.selected(drive_shape(call, drive))
    return Reply(json={"@odata.context": call.context("drives/$entity"), **told})


_TEAMS = ("Team.ReadBasic.All", "TeamSettings.Read.All", "TeamSettings.ReadWrite.All", "Group.Read.All")
_CHANNELS = ("Channel.ReadBasic.All", "ChannelSettings.Read.All", "Group.Read.All")
_MEMBERS = ("ChannelMember.Read.All", "ChannelMember.ReadWrite.All")
_CHANNEL = "/teams/{team}/channels/{channel}"
ROUTES = (
    Route("GET", "/teams", list_teams, _TEAMS),
    Route("GET", "/teams/{team}", get_team, _TEAMS),
    Route("GET", "/teams/{team}/channels", list_channels, _CHANNELS),
    Route("GET", "/teams/{team}/allChannels", list_channels, _CHANNELS),
    Route("GET", _CHANNEL, get_channel, _CHANNELS),
    Route("GET", _CHANNEL + "/filesFolder", charged(ONE, get_files_folder), READ),
    Route("GET", _CHANNEL + "/members", list_channel_members, _MEMBERS),
    Route("GET", "/users/{user}/drive", charged(ONE, get_users_drive), READ),
    Route("GET", "/groups/{team}/drive", charged(ONE, get_group_drive), READ),
    Route("GET", "/sites/{site}", charged(ONE, get_site), READ),
    Route("GET", "/sites/{site}/drives", charged(TWO, list_site_drives), READ),
)
