"""The operations on folders."""

from collections.abc import Iterator

from connector.simulator import properties
from connector.simulator.deviations import Deviation
from connector.simulator.ews.asked import field_uri, paths
from connector.simulator.ews.call import Call
from connector.simulator.ews.extended import named_property, path_copy
from connector.simulator.ews.search import matches, page
from connector.simulator.ews.shapes import effective_rights, extended_value
from connector.simulator.ews.soap import Element, M, Refused, T, children, find, invalid, local, need
from connector.simulator.mailbox import Folder, Mailbox, Property

#: Folders of these classes have an element of their own (Microsoft: folders).
_ELEMENTS = {"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder", "IPF.Task": "TasksFolder"}
_COUNTED = ("Folder", "TasksFolder")


def get_folder(call: Call) -> Element:
    """Microsoft: getfolder-operation."""
    shape = need(call.request, "m:FolderShape")
    return call.answer(
        "GetFolder",
        children(need(call.request, "m:FolderIds")),
        lambda named: [M.Folders(folder_element(call, call.folder(named), shape))],
    )


def find_folder(call: Call) -> Element:
    """Microsoft: findfolder-operation. One message for each parent."""
    shape = need(call.request, "m:FolderShape")
    restriction = find(call.request, "m:Restriction")

    def one(named: Element) -> Iterator[Element]:
        parent = call.folder(named)
        deep = call.request.get("Traversal") == "Deep"
        found = list(call.mailbox.below(parent) if deep else call.mailbox.children(parent))
        if restriction is not None:
            found = [each for each in found if matches(restriction, lambda path: _values(call, each, path))]  # noqa: B023
        asked = page(call.request, "Folder", len(found), short=call.deviates(Deviation.SHORT_PAGES))
        folders = [folder_element(call, each, shape) for each in asked.of(found)]
        yield M.RootFolder(T.Folders(*folders), **asked.attributes(len(found)))

    return call.answer("FindFolder", children(need(call.request, "m:ParentFolderIds")), one)


def create_folder(call: Call) -> Element:
    """Microsoft: createfolder-operation. Names are unique among the folders of one parent, whatever their case."""
    parent = call.folder(children(need(call.request, "m:ParentFolderId"))[0])

    def one(told: Element) -> Iterator[Element]:
        name = _display_name(told)
        _refuse_double(call.mailbox, parent, name)
        folder_class = find(told, "t:FolderClass")
        kind = (folder_class.text if folder_class is not None else None) or "IPF.Note"
        folder = call.mailbox.create_folder(name, parent, folder_class=kind)
        yield M.Folders(_reference(folder))

    return call.answer("CreateFolder", children(need(call.request, "m:Folders")), one)


def update_folder(call: Call) -> Element:
    """Microsoft: updatefolder-operation. Only the name can be changed."""

    def one(change: Element) -> Iterator[Element]:
        folder = call.folder(children(change)[0])
        _refuse_distinguished(folder)
        for update in children(need(change, "t:Updates")):
            path, *told = children(update)
            if local(update) != "SetFolderField" or field_uri(path) != "folder:DisplayName" or not told:
                raise Refused("ErrorInvalidPropertySet", "The simulator renames folders and nothing else.")
            name = _display_name(told[0])
            _refuse_double(call.mailbox, folder.parent, name)
            call.mailbox.rename_folder(folder, name, folder.parent)
        yield M.Folders(_reference(folder))

    return call.answer("UpdateFolder", children(need(call.request, "m:FolderChanges")), one)


def move_folder(call: Call) -> Element:
    """Microsoft: movefolder-operation. The folder keeps its id."""
    target = call.folder(children(need(call.request, "m:ToFolderId"))[0])

    def one(named: Element) -> Iterator[Element]:
        folder = call.folder(named)
        _refuse_distinguished(folder)
        if target is folder or target in call.mailbox.below(folder):
            raise Refused("ErrorMoveCopyFailed", "A folder cannot be moved into itself.")
        _refuse_double(call.mailbox, target, folder.name)
        call.mailbox.rename_folder(folder, folder.name, target)
        yield M.Folders(_reference(folder))

    return call.answer("MoveFolder", children(need(call.request, "m:FolderIds")), one)


def delete_folder(call: Call) -> Element:
    """Microsoft: deletefolder-operation."""

    def one(named: Element) -> list[Element]:
        folder = call.folder(named)
        _refuse_distinguished(folder)
        if call.request.get("DeleteType") == "MoveToDeletedItems":
            call.mailbox.rename_folder(folder, folder.name, call.mailbox.distinguished["deleteditems"])
        else:
            call.mailbox.remove_folder(folder)
        return []

    return call.answer("DeleteFolder", children(need(call.request, "m:FolderIds")), one)


def folder_element(call: Call, folder: Folder, shape: Element) -> Element:
    """A folder with what an m:FolderShape wants."""
    base = need(shape, "t:BaseShape").text
    wanted = {field_uri(path) for path in paths(shape) if local(path) != "ExtendedFieldURI"}
    name = _ELEMENTS.get(folder.folder_class, "Folder")
    element: Element = T(name, T.FolderId(Id=folder.id, ChangeKey=folder.change_key))
    for field, (default, build) in _FIELDS.items():
        full = base == "AllProperties" or (base == "Default" and default) or f"folder:{field}" in wanted
        if full and (built := build(call.mailbox, folder, field)) is not None:
            element.append(built)
        if field == "ChildFolderCount":
            element.extend(_extended(call, folder, shape))
    if name in _COUNTED and (base != "IdOnly" or "folder:UnreadCount" in wanted):
        element.append(T.UnreadCount(str(sum(not item.message.read for item in folder.items.values()))))
    return element


def _reference(folder: Folder) -> Element:
    return T(_ELEMENTS.get(folder.folder_class, "Folder"), T.FolderId(Id=folder.id, ChangeKey=folder.change_key))


def _extended(call: Call, folder: Folder, shape: Element) -> Iterator[Element]:
    for path in paths(shape):
        if local(path) == "ExtendedFieldURI":
            value = _extended_value(call, folder, named_property(path))
            if value is not None:
                yield extended_value(path_copy(path), value)


def _extended_value(call: Call, folder: Folder, prop: Property) -> str | None:
    if prop == properties.COMMIT_TIME and call.deviates(Deviation.NO_COMMIT_TIME):
        return None
    return properties.folder_value(folder, prop, call.view().date)


def _values(call: Call, folder: Folder, path: Element) -> list[str]:
    if local(path) == "ExtendedFieldURI":
        value = _extended_value(call, folder, named_property(path))
    else:
        _, build = _FIELDS.get(field_uri(path).partition(":")[2], (False, lambda *_: None))
        built = build(call.mailbox, folder, field_uri(path).partition(":")[2])
        value = None if built is None else built.text
    return [] if value is None else [value]


def _display_name(told: Element) -> str:
    name = find(told, "t:DisplayName")
    return (name.text if name is not None else None) or invalid(f"{local(told)} lacks DisplayName")


def _refuse_double(mailbox: Mailbox, parent: Folder | None, name: str) -> None:
    if parent and any(each.name.casefold() == name.casefold() for each in mailbox.children(parent)):
        raise Refused("ErrorFolderExists", "A folder with the specified name already exists.")


def _refuse_distinguished(folder: Folder) -> None:
    if folder.distinguished:
        raise Refused("ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be changed or deleted.")


def _parent(_: Mailbox, folder: Folder, name: str) -> Element | None:
    return T(name, Id=folder.parent.id, ChangeKey=folder.parent.change_key) if folder.parent else None


def _distinguished(_: Mailbox, folder: Folder, name: str) -> Element | None:
    return T(name, folder.distinguished) if folder.distinguished else None


#: In the order of t:BaseFolderType: whether it is in the Default shape, and how it is made.
_FIELDS = {
    "ParentFolderId": (False, _parent),
    "FolderClass": (False, lambda _, folder, name: T(name, folder.folder_class) if folder.folder_class else None),
    "DisplayName": (True, lambda _, folder, name: T(name, folder.name)),
    "TotalCount": (True, lambda _, folder, name: T(name, str(len(folder.items)))),
    "ChildFolderCount": (True, lambda mailbox, folder, name: T(name, str(len(mailbox.children(folder))))),
    "EffectiveRights": (False, lambda *_: effective_rights()),
    "DistinguishedFolderId": (False, _distinguished),
}
