"""JSON of drives, items, permissions, teams and channels."""

import mimetypes
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.directory import user_id
from connector.simulator.graph.files import tickets
from connector.simulator.graph.files.drive import Drive, DriveItem, Permission, Version
from connector.simulator.graph.files.workspace import HOST, MY_HOST, Channel, Team
from connector.simulator.graph.message import Options

_DOWNLOAD = "@microsoft.graph.downloadUrl"


def drive_shape(call: Call, drive: Drive) -> dict[str, Any]:
    """A drive."""
    used = drive.root.size
    owner = identities(call, drive.owner) if drive.owner else {"group": {"displayName": drive.name}}
    return {
        "id": drive.id,
        "name": drive.name,
        "driveType": drive.kind,
        "webUrl": drive.url,
        "createdDateTime": moment(drive.created),
        "owner": owner,
        "quota": {"total": 1 << 40, "used": used, "remaining": (1 << 40) - used, "deleted": 0, "state": "normal"},
    }


def site_shape(drive: Drive) -> dict[str, Any]:
    """The site that a drive belongs to."""
    name = drive.url.split("/")[4]
    return {
        "id": site_id(drive),
        "name": name,
        "displayName": name,
        "webUrl": drive.url.rpartition("/")[0],
        "createdDateTime": moment(drive.created),
    }


def site_id(drive: Drive) -> str:
    """The id of the site that a drive belongs to."""
    return f"{MY_HOST if drive.owner else HOST},{drive.site_guid},{drive.web_guid}"


def item_shape(call: Call, drive: Drive, item: DriveItem, options: Options | None = None) -> dict[str, Any]:
    """An item, or what `$select` leaves of it."""
    options = options or call.options
    told: dict[str, Any] = {
        "id": item.id,
        "name": item.name,
        "eTag": item.etag,
        "cTag": item.ctag,
        "size": item.size,
        "createdDateTime": moment(item.created),
        "lastModifiedDateTime": moment(item.modified),
        "createdBy": identities(call, item.created_by),
        "lastModifiedBy": identities(call, item.modified_by),
        "webUrl": f"{drive.url}/{quote(item.path)}".rstrip("/"),
        "parentReference": _parent(call, drive, item),
        "fileSystemInfo": {
            "createdDateTime": moment(item.created),
            "lastModifiedDateTime": moment(item.modified),
        },
    }
    if item.children is not None:
        told["folder"] = {"childCount": len(item.children)}
    else:
        told["file"] = _file(call, item)
        wanted = {each.lower() for each in options.select or ()}
        asked = options.select is None or wanted & {_DOWNLOAD.lower(), "content.downloadurl"}
        if asked and not call.deviates(Deviation.NO_DOWNLOAD_URLS):
            told[_DOWNLOAD] = tickets.download_url(call, drive, item)
        if item.checked_out_by is not None or "publication" in wanted:
            told["publication"] = _publication(call, item)
    if item.parent is None:
        told["root"] = {}
    if item.permissions and item.parent is not None:
        told["shared"] = {"scope": "users"}
    if item.malware:
        told["malware"] = {"description": item.malware}
    if "permissions" in options.expand:
        told["permissions"] = [permission_shape(call, drive, *each) for each in permissions_of(item)]
    return options.selected(told)


def deleted_shape(drive: Drive, item: DriveItem) -> dict[str, Any]:
    """What a change feed tells of an item that left: its id, and that it did (facts, B2)."""
    told: dict[str, Any] = {"id": item.id, "deleted": {"state": "deleted"}, "size": 0}
    told["parentReference"] = {"driveId": drive.id, "driveType": drive.kind}
    if item.parent is not None:
        told["parentReference"]["id"] = item.parent.id
    return {**told, "folder" if item.is_folder else "file": {}}


def version_shape(call: Call, version: Version) -> dict[str, Any]:
    """A version of a file."""
    return {
        "id": version.label,
        "lastModifiedDateTime": moment(version.modified),
        "lastModifiedBy": identities(call, version.by),
        "size": version.content.size,
    }


def permissions_of(item: DriveItem) -> Iterator[tuple[Permission, DriveItem | None]]:
    """The permissions of an item, each with the folder that it comes from; its own come from None."""
    source: DriveItem | None = item
    while source is not None:
        for permission in source.permissions:
            yield permission, None if source is item else source
        source = source.parent if source.inherits else None


def permission_shape(call: Call, drive: Drive, permission: Permission, source: DriveItem | None) -> dict[str, Any]:
    """A permission, as it counts for an item."""
    told: dict[str, Any] = {"id": permission.id, "roles": list(permission.roles)}
    if source is not None:
        told["inheritedFrom"] = {"driveId": drive.id, "id": source.id}
    if permission.link:
        url = f"{drive.url.rpartition('/')[0]}/:u:/s/{permission.id}"
        scope = "users" if permission.people else "organization"
        told["link"] = {"type": permission.link, "scope": scope, "webUrl": url}
        if permission.people:  # What everybody in the organisation may follow names nobody.
            told["grantedToIdentitiesV2"] = [_granted(call, each) for each in permission.people]
    elif permission.group:
        told["grantedToV2"] = {"siteGroup": {"id": "5", "displayName": permission.group, "loginName": permission.group}}
    else:
        told["grantedToV2"] = _granted(call, permission.people[0])
    return told


def team_shape(call: Call, team: Team) -> dict[str, Any]:
    """A team."""
    return {
        "id": team.id,
        "displayName": team.name,
        "description": None,
        "createdDateTime": moment(team.created),
        "isArchived": False,
        "tenantId": call.tenant.id,
        "visibility": "private",
        "webUrl": f"https://teams.microsoft.com/l/team/{quote(team.id)}",
    }


def channel_shape(call: Call, channel: Channel) -> dict[str, Any]:
    """A channel."""
    return {
        "id": channel.id,
        "displayName": channel.name,
        "description": None,
        "createdDateTime": moment(channel.created),
        "membershipType": channel.kind.value,
        "tenantId": call.tenant.id,
        "webUrl": f"https://teams.microsoft.com/l/channel/{quote(channel.id, safe='')}/{quote(channel.name)}",
    }


def member_shape(call: Call, address: str, role: str) -> dict[str, Any]:
    """A member of a team or a channel."""
    user = person(call, address)
    return {
        "@odata.type": "#microsoft.graph.aadUserConversationMember",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, address)),
        "roles": [role] if role else [],
        "displayName": user["displayName"],
        "userId": user["id"],
        "email": address,
        "tenantId": call.tenant.id,
        "visibleHistoryStartDateTime": "0001-01-01T00:00:00Z",
    }


def person(call: Call, address: str) -> dict[str, Any]:
    """How an identity names somebody."""
    mailbox = call.organisation.mailboxes.get(address)
    identifier = user_id(mailbox) if mailbox else str(uuid.uuid5(uuid.NAMESPACE_URL, address))
    return {"id": identifier, "displayName": address.partition("@")[0].title()}


def identities(call: Call, address: str) -> dict[str, Any]:
    """Who did something: a person, or the app."""
    if not address:
        return {"application": {"id": call.tenant.client["id"], "displayName": "connector"}}
    told = person(call, address)
    return {"user": {**told, "email": address} if call.deviates(Deviation.ADDRESSED_IDENTITIES) else told}


def moment(when: datetime) -> str:
    """A moment, as Graph writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _granted(call: Call, address: str) -> dict[str, Any]:
    login = f"i:0#.f|membership|{address}"
    name = person(call, address)["displayName"]
    return {**identities(call, address), "siteUser": {"id": "7", "displayName": name, "loginName": login}}


def _parent(call: Call, drive: Drive, item: DriveItem) -> dict[str, Any]:
    told: dict[str, Any] = {"driveType": drive.kind, "driveId": drive.id}
    if item.parent is not None:
        told |= {"id": item.parent.id, "name": item.parent.name, "siteId": drive.site_guid}
        path = item.parent.path
        path = path if call.deviates(Deviation.PLAIN_PATHS) else quote(path)
        told["path"] = f"/drives/{drive.id}/root:{'/' + path if path else ''}"
    return told


def _file(call: Call, item: DriveItem) -> dict[str, Any]:
    kind = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
    young = time.monotonic() - item.version.written < call.organisation.lag
    if young and call.deviates(Deviation.LATE_HASHES):
        return {"mimeType": kind}
    return {"mimeType": kind, "hashes": {"quickXorHash": item.version.hash}}


def _publication(call: Call, item: DriveItem) -> dict[str, Any]:
    told = {"level": "published" if item.checked_out_by is None else "checkout", "versionId": item.version.label}
    return told if item.checked_out_by is None else {**told, "checkedOutBy": identities(call, item.checked_out_by)}


def label_shape(item: DriveItem) -> dict[str, Any]:
    """The retention label of an item."""
    allowed = not item.retained
    settings = {"isDeleteAllowed": allowed, "isContentUpdateAllowed": allowed, "isRecordLocked": item.retained}
    return {"name": item.label, "isLabelAppliedExplicitly": True, "retentionSettings": settings}
