"""Items of drives: read, renamed, moved, deleted; their versions and permissions."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.directory import find_user
from connector.simulator.graph.files.charges import FIVE, ONE, TWO, charged
from connector.simulator.graph.files.drive import Drive, DriveItem, Permission, refuse
from connector.simulator.graph.files.shapes import (
    drive_shape,
    item_shape,
    label_shape,
    permission_shape,
    permissions_of,
    version_shape,
)
from connector.simulator.graph.message import NO_CONTENT, Reply, invalid
from connector.simulator.graph.routes import Route

_PAGE = 200
#: What `@microsoft.graph.conflictBehavior` may say.
CONFLICTS = ("fail", "replace", "rename")


def drive_of(call: Call) -> Drive:
    """The drive in the path."""
    drive = call.organisation.workspace.drives.get(call.path["drive"])
    if drive is None:
        refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "The resource could not be found.")
    return drive


def located(call: Call) -> tuple[str, str]:
    """The id in the path, and the path below that; "" where there is none. Some clients encode `ID:/PATH:` whole."""
    item, _, below = call.path.get("item", "root").partition(":/")
    return item, call.path.get("below", below.removesuffix(":"))


def item_of(call: Call) -> tuple[Drive, DriveItem]:
    """The item in the path. The caller holds the drive's lock."""
    drive = drive_of(call)
    item, below = located(call)
    return drive, _below(drive, drive.find(item), below)


def parent_of(call: Call, drive: Drive) -> tuple[DriveItem, str]:
    """The folder and the name of a path that is about to be written; folders on the way are made."""
    item, below = located(call)
    *folders, name = below.split("/")
    folder = drive.find(item)
    for each in folders:
        found = (folder.children or {}).get(each.casefold())
        folder = found or drive.make_folder(folder, each, "")
    return folder, name


def check_match(call: Call, item: DriveItem) -> None:
    """Facts, B4: 412 where the item is not any more what the client read."""
    told = call.request.header("If-Match")
    if told and told not in ("*", item.etag, item.ctag):
        refuse(HTTPStatus.PRECONDITION_FAILED, "resourceModified", "ETag does not match current item's value")


def conflict_of(told: Any, usual: str) -> str:
    """What shall happen where the name is taken."""
    return str(told) if told in CONFLICTS else usual if told is None else invalid("The conflictBehavior is unknown.")


def get_drive(call: Call) -> Reply:
    """Microsoft: drive-get."""
    drive = drive_of(call)
    with drive.lock:
        told = call.options.selected(drive_shape(call, drive))
    return Reply(json={"@odata.context": call.context("drives/$entity"), **told})


def get_item(call: Call) -> Reply:
    """Microsoft: driveitem-get."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        if call.request.header("If-None-Match") in (item.etag, item.ctag):
            return Reply(HTTPStatus.NOT_MODIFIED)
        return _told(call, drive, item)


def list_children(call: Call) -> Reply:
    """Microsoft: driveitem-list-children."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        children = sorted((item.children or {}).values(), key=lambda each: each.name.casefold())
        return call.listed("driveItems", children, lambda each: item_shape(call, drive, each), size=_PAGE)


def make_folder(call: Call) -> Reply:
    """Microsoft: driveitem-post-children."""
    told = call.request.json()
    if "folder" not in told:
        invalid("Only folders can be made so.")
    conflict = conflict_of(told.get("@microsoft.graph.conflictBehavior"), "fail")
    with drive_of(call).lock:
        drive, item = item_of(call)
        made = drive.make_folder(item, str(told.get("name", "")), "", conflict=conflict)
        return _told(call, drive, made, HTTPStatus.CREATED)


def update_item(call: Call) -> Reply:
    """Microsoft: driveitem-update, driveitem-move: a new name, another folder."""
    told = call.request.json()
    with drive_of(call).lock:
        drive, item = item_of(call)
        check_match(call, item)
        reference = told.get("parentReference") or {}
        if reference.get("driveId", drive.id) != drive.id:
            refuse(HTTPStatus.BAD_REQUEST, "notSupported", "Items cannot be moved to another drive.")
        folder = drive.find(reference["id"]) if "id" in reference else item.parent
        conflict = conflict_of(told.get("@microsoft.graph.conflictBehavior"), "fail")
        drive.place(item, folder or drive.root, str(told.get("name", item.name)), "", conflict=conflict)
        return _told(call, drive, item)


def delete_item(call: Call) -> Reply:
    """Microsoft: driveitem-delete: into the recycle bin."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        check_match(call, item)
        drive.recycle(item)
    return NO_CONTENT


def delete_for_good(call: Call) -> Reply:
    """Microsoft: driveitem-permanentdelete: past the recycle bin."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        check_match(call, item)
        drive.purge(item)
    return NO_CONTENT


def restore_item(call: Call) -> Reply:
    """Microsoft: driveitem-restore: out of the recycle bin, by the id that the item had; not in drives as these are."""
    if not call.deviates(Deviation.RESTORABLE):
        refuse(HTTPStatus.BAD_REQUEST, "notSupported", "This is supported in OneDrive Personal only.")
    told = call.request.json() if call.request.body() else {}
    drive = drive_of(call)
    with drive.lock:
        item = drive.recycled.get(call.path["item"].upper())
        if item is None:
            refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "The resource could not be found.")
        reference = told.get("parentReference") or {}
        folder = drive.find(reference["id"]) if "id" in reference else None
        drive.restore(item, folder, str(told.get("name") or ""))
        return _told(call, drive, item)


def check_out(call: Call) -> Reply:
    """Microsoft: driveitem-checkout."""

    def act(drive: Drive, item: DriveItem) -> None:
        drive.guard(item, "")
        item.checked_out_by = ""
        drive.touch(item, "")

    return _done(call, act)


def check_in(call: Call) -> Reply:
    """Microsoft: driveitem-checkin."""

    def act(drive: Drive, item: DriveItem) -> None:
        drive.guard(item, "")
        item.checked_out_by = None
        drive.touch(item, "")

    return _done(call, act)


def get_label(call: Call) -> Reply:
    """Microsoft: driveitem-getretentionlabel."""
    with drive_of(call).lock:
        _, item = item_of(call)
        if not item.label:
            refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "The item has no retention label.")
        return Reply(json={"@odata.context": call.context("retentionLabel"), **label_shape(item)})


def list_versions(call: Call) -> Reply:
    """Microsoft: driveitem-list-versions: the newest first."""
    with drive_of(call).lock:
        _, item = item_of(call)
        return call.listed("versions", item.versions[::-1], lambda each: version_shape(call, each), size=_PAGE)


def delete_version(call: Call) -> Reply:
    """Microsoft: driveitemversion-delete. Never the present one; none while a label holds the file (facts, B4)."""

    def act(drive: Drive, item: DriveItem) -> None:
        drive.guard(item, "")
        old = [each for each in item.versions[:-1] if each.label == call.path["version"]]
        if not old:
            code, says = "itemNotFound", "There is no such version that can be deleted."
            refuse(HTTPStatus.NOT_FOUND, code, says)
        item.versions.remove(old[0])

    return _done(call, act)


def list_permissions(call: Call) -> Reply:
    """Microsoft: driveitem-list-permissions: also those that come from folders above."""
    with drive_of(call).lock:
        drive, item = item_of(call)
        found = [*permissions_of(item)]
        return call.listed("permissions", found, lambda each: permission_shape(call, drive, *each), size=_PAGE)


def invite(call: Call) -> Reply:
    """Microsoft: driveitem-invite: a permission for each of the recipients."""
    told = call.request.json()
    people = [_address(call, each) for each in told.get("recipients") or invalid("There are no recipients.")]
    roles = tuple(told.get("roles") or invalid("There are no roles."))
    with drive_of(call).lock:
        drive, item = item_of(call)
        drive.guard(item, "")
        given = [Permission(roles=roles, people=(each,)) for each in people]
        if told.get("retainInheritedPermissions") is False:
            item.permissions, item.inherits = [], False
        item.permissions += given
        drive.touch(item, "")
        value = [permission_shape(call, drive, each, None) for each in given]
    return Reply(json={"@odata.context": call.context("Collection(permission)"), "value": value})


def create_link(call: Call) -> Reply:
    """Microsoft: driveitem-createlink: for everybody in the organisation."""
    told = call.request.json()
    kind = told.get("type")
    if kind not in ("view", "edit"):
        invalid("The type is unknown.")
    if told.get("scope") not in (None, "organization"):
        refuse(HTTPStatus.FORBIDDEN, "accessDenied", "Links for everybody are switched off.")
    with drive_of(call).lock:
        drive, item = item_of(call)
        permission = Permission(roles=("read" if kind == "view" else "write",), link=kind)
        item.permissions.append(permission)
        drive.touch(item, "")
        return Reply(HTTPStatus.CREATED, json=permission_shape(call, drive, permission, None))


def delete_permission(call: Call) -> Reply:
    """Microsoft: permission-delete. What comes from a folder above can only be taken away there."""

    def act(drive: Drive, item: DriveItem) -> None:
        own = [each for each in item.permissions if each.id == call.path["permission"]]
        if not own:
            refuse(HTTPStatus.NOT_FOUND, "itemNotFound", "There is no such permission of this item.")
        item.permissions.remove(own[0])
        drive.touch(item, "")

    return _done(call, act)


def _done(call: Call, act: Callable[[Drive, DriveItem], None]) -> Reply:
    with drive_of(call).lock:
        act(*item_of(call))
    return NO_CONTENT


def _told(call: Call, drive: Drive, item: DriveItem, status: int = HTTPStatus.OK) -> Reply:
    told = item_shape(call, drive, item)
    return Reply(status, json={"@odata.context": call.context("driveItem"), "@odata.etag": item.etag, **told})


def _below(drive: Drive, item: DriveItem, path: str) -> DriveItem:
    for name in filter(None, path.split("/")):
        found = (item.children or {}).get(name.casefold())
        item = found or drive.find("")
    return item


def _address(call: Call, recipient: dict[str, Any]) -> str:
    named = str(recipient.get("email") or recipient.get("objectId") or "")
    mailbox = find_user(call.organisation, named)
    if mailbox is None and "@" not in named:
        refuse(HTTPStatus.BAD_REQUEST, "invalidRequest", "One or more users could not be resolved.")
    return mailbox.address if mailbox else named.lower()


def _expanding(usual: int) -> Callable[[Call], int]:
    return lambda call: FIVE if "permissions" in call.options.expand else usual


READ = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All")
WRITE = ("Files.ReadWrite.All", "Sites.ReadWrite.All")
_ITEM = "/drives/{drive}/items/{item}"
ROUTES = (
    Route("GET", "/drives/{drive}", charged(ONE, get_drive), READ),
    Route("GET", "/drives/{drive}/root", charged(_expanding(ONE), get_item), READ),
    Route("GET", "/drives/{drive}/root/children", charged(_expanding(TWO), list_children), READ),
    Route("GET", "/drives/{drive}/root:/{below...}:/children", charged(_expanding(TWO), list_children), READ),
    Route("GET", "/drives/{drive}/root:/{below...}", charged(_expanding(ONE), get_item), READ),
    Route("GET", _ITEM, charged(_expanding(ONE), get_item), READ),
    Route("GET", _ITEM + ":/{below...}:/children", charged(_expanding(TWO), list_children), READ),
    Route("GET", _ITEM + ":/{below...}:", charged(_expanding(ONE), get_item), READ),
    Route("GET", _ITEM + ":/{below...}", charged(_expanding(ONE), get_item), READ),
    Route("PATCH", _ITEM, charged(TWO, update_item), WRITE),
    Route("DELETE", _ITEM, charged(TWO, delete_item), WRITE),
    Route("GET", _ITEM + "/children", charged(_expanding(TWO), list_children), READ),
    Route("POST", _ITEM + "/children", charged(TWO, make_folder), WRITE),
    Route("POST", _ITEM + "/permanentDelete", charged(TWO, delete_for_good), WRITE),
    Route("POST", _ITEM + "/restore", charged(TWO, restore_item), WRITE),
    Route("POST", _ITEM + "/checkout", charged(TWO, check_out), WRITE),
    Route("POST", _ITEM + "/checkin", charged(TWO, check_in), WRITE),
    Route("GET", _ITEM + "/retentionLabel", charged(ONE, get_label), READ),
    Route("GET", _ITEM + "/versions", charged(TWO, list_versions), READ),
    Route("DELETE", _ITEM + "/versions/{version}", charged(TWO, delete_version), WRITE),
    Route("GET", _ITEM + "/permissions", charged(FIVE, list_permissions), READ),
    Route("DELETE", _ITEM + "/permissions/{permission}", charged(FIVE, delete_permission), WRITE),
    Route("POST", _ITEM + "/invite", charged(FIVE, invite), WRITE),
    Route("POST", _ITEM + "/createLink", charged(FIVE, create_link), WRITE),
)
