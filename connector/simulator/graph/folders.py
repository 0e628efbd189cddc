"""Folders of mail."""

import re
from http import HTTPStatus
from typing import Any

from connector.simulator.graph.call import Call
from connector.simulator.graph.changes import folders_delta
from connector.simulator.graph.identity import find_folder
from connector.simulator.graph.mail import READ, WRITE, opened, refuse_for_good
from connector.simulator.graph.message import NO_CONTENT, Refused, Reply, invalid
from connector.simulator.graph.routes import Route
from connector.simulator.graph.shapes import folder_json
from connector.simulator.mailbox import Folder, Mailbox


def list_folders(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: user-list-mailfolders: those at the top."""
    return _listed(call, mailbox, mailbox.distinguished["msgfolderroot"])


def list_children(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-list-childfolders."""
    return _listed(call, mailbox, find_folder(mailbox, call.path["folder"]))


def get_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-get."""
    return _one(call, mailbox, find_folder(mailbox, call.path["folder"]))


def create_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: user-post-mailfolders, mailfolder-post-childfolders."""
    parent = find_folder(mailbox, call.path.get("folder", "msgfolderroot"))
    told = call.request.json()
    folder = mailbox.create_folder(_free_name(mailbox, told, parent), parent)
    folder.hidden = bool(told.get("isHidden"))
    return _one(call, mailbox, folder, HTTPStatus.CREATED)


def rename_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-update. Only the name can be changed."""
    folder = _own_folder(call, mailbox)
    assert folder.parent
    mailbox.rename_folder(folder, _free_name(mailbox, call.request.json(), folder.parent), folder.parent)
    return _one(call, mailbox, folder)


def move_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-move. It keeps its id."""
    folder = _own_folder(call, mailbox)
    target = find_folder(mailbox, str(call.request.json().get("destinationId") or ""))
    if target is folder or target in mailbox.below(folder):
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorMoveCopyFailed", "A folder cannot be moved into itself.")
    mailbox.rename_folder(folder, _free_name(mailbox, {"displayName": folder.name}, target), target)
    return _one(call, mailbox, folder)


def delete_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-delete. It was seen among Deleted Items then (outlook-assistant: issue 218)."""
    folder = _own_folder(call, mailbox)
    deleted = mailbox.distinguished["deleteditems"]
    if folder in mailbox.below(deleted):
        mailbox.remove_folder(folder)
    else:
        mailbox.rename_folder(folder, folder.name, deleted)
    return NO_CONTENT


def purge_folder(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-permanentdelete: it is removed from the mailbox."""
    refuse_for_good(call)
    mailbox.remove_folder(_own_folder(call, mailbox))
    return NO_CONTENT


def _own_folder(call: Call, mailbox: Mailbox) -> Folder:
    """One that somebody made. Raises Refused."""
    folder = find_folder(mailbox, call.path["folder"])
    if folder.distinguished:
        says = "This folder cannot be deleted, renamed or moved."
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorDeleteDistinguishedFolder", says)
    return folder


def _free_name(mailbox: Mailbox, told: dict[str, Any], parent: Folder) -> str:
    """The name that is asked for, which no other folder there has. Raises Refused."""
    name = str(told.get("displayName") or "")
    if not name:
        raise Refused(HTTPStatus.BAD_REQUEST, "ErrorInvalidRequest", "A folder needs a displayName.")
    if any(each.name.casefold() == name.casefold() for each in mailbox.children(parent)):
        says = "A folder with the specified name already exists."
        raise Refused(HTTPStatus.CONFLICT, "ErrorFolderExists", says)
    return name


def _listed(call: Call, mailbox: Mailbox, parent: Folder) -> Reply:
    hidden = call.first.get("includeHiddenFolders", "").lower() == "true"
    found = [
        each
        for each in mailbox.children(parent)
        if each.folder_class.startswith("IPF.Note") and (hidden or not each.hidden)
    ]
    if call.options.filter:
        named = re.fullmatch(r"displayName eq '(.*)'", call.options.filter) or invalid("The filter is not supported.")
        found = [each for each in found if each.name == named[1].replace("''", "'")]
    return call.listed("mailFolders", found, lambda each: folder_json(call, mailbox, each))


def _one(call: Call, mailbox: Mailbox, folder: Folder, status: int = HTTPStatus.OK) -> Reply:
    told = folder_json(call, mailbox, folder)
    return Reply(status, {"@odata.context": call.context("mailFolders/$entity"), **told})


_FOLDERS = "/users/{user}/mailFolders"
ROUTES = (
    Route("GET", _FOLDERS, opened(list_folders), READ),
    Route("POST", _FOLDERS, opened(create_folder), WRITE),
    Route("GET", f"{_FOLDERS}/delta", opened(folders_delta), READ),
    Route("GET", f"{_FOLDERS}/{{folder}}", opened(get_folder), READ),
    Route("PATCH", f"{_FOLDERS}/{{folder}}", opened(rename_folder), WRITE),
    Route("DELETE", f"{_FOLDERS}/{{folder}}", opened(delete_folder), WRITE),
    Route("POST", f"{_FOLDERS}/{{folder}}/move", opened(move_folder), WRITE),
    Route("GET", f"{_FOLDERS}/{{folder}}/childFolders", opened(list_children), READ),
    Route("POST", f"{_FOLDERS}/{{folder}}/childFolders", opened(create_folder), WRITE),
    Route("POST", f"{_FOLDERS}/{{folder}}/permanentDelete", opened(purge_folder), WRITE),
)
