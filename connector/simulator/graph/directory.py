"""Users and groups."""

import re
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from connector.simulator.graph.call import Call
from connector.simulator.graph.message import Refused, Reply, split
from connector.simulator.graph.routes import Route
from connector.simulator.graph.tenant import Group
from connector.simulator.mailbox import Mailbox
from connector.simulator.organisation import Organisation

_PAGE = 100


def user_id(mailbox: Mailbox) -> str:
    """The id of a mailbox's owner in Entra, which is not that of the mailbox."""
    return str(uuid.uuid5(uuid.UUID(mailbox.guid), "user"))


def find_user(organisation: Organisation, named: str) -> Mailbox | None:
    """The mailbox of a user, by id or by principal name."""
    if (mailbox := organisation.mailboxes.get(named.lower())) is not None:
        return mailbox
    return next((each for each in organisation.mailboxes.values() if user_id(each) == named.lower()), None)


def list_users(call: Call) -> Reply:
    """Microsoft: user-list."""
    people = [each for each in call.organisation.mailboxes.values() if _meant(call.options.filter, _user(each))]
    return call.listed("users", people, lambda each: call.options.selected(_user(each)), size=_PAGE)


def get_user(call: Call) -> Reply:
    """Microsoft: user-get."""
    found = find_user(call.organisation, call.path["user"])
    if found is None:
        raise _no_resource(call.path["user"])
    return Reply(json={"@odata.context": call.context("users/$entity"), **call.options.selected(_user(found))})


def list_groups(call: Call) -> Reply:
    """Microsoft: group-list."""
    groups = [each for each in call.tenant.groups.values() if _meant(call.options.filter, _group(each))]
    return call.listed("groups", groups, lambda each: call.options.selected(_group(each)), size=_PAGE)


def get_group(call: Call) -> Reply:
    """Microsoft: group-get."""
    found = _find_group(call)
    return Reply(json={"@odata.context": call.context("groups/$entity"), **call.options.selected(_group(found))})


def list_members(call: Call) -> Reply:
    """Microsoft: group-list-members: the direct ones."""
    return _listed_members(call, [*_members(call, _find_group(call))])


def list_owners(call: Call) -> Reply:
    """Microsoft: group-list-owners."""
    owners = _find_group(call).owners or ()
    return _listed_members(call, [call.organisation.mailboxes[each] for each in owners])


def list_transitive_members(call: Call) -> Reply:
    """Microsoft: group-list-transitivemembers: with those of groups in it, each once."""
    found: dict[str, Mailbox | Group] = {}

    def walk(group: Group) -> None:
        for member in _members(call, group):
            key = member.id if isinstance(member, Group) else user_id(member)
            if key not in found:
                found[key] = member
                if isinstance(member, Group):
                    walk(member)

    walk(_find_group(call))
    return _listed_members(call, [*found.values()])


def _listed_members(call: Call, members: list[Mailbox | Group]) -> Reply:
    kind = call.path.get("kind", "")
    if kind:
        members = [each for each in members if kind.lower() == f"microsoft.graph.{_kind(each)}"]

    def entity(member: Mailbox | Group) -> dict[str, Any]:
        told = _group(member) if isinstance(member, Group) else _user(member)
        return {"@odata.type": f"#microsoft.graph.{_kind(member)}", **call.options.selected(told)}

    return call.listed("directoryObjects", members, entity, size=_PAGE)


def _members(call: Call, group: Group) -> Iterator[Mailbox | Group]:
    for member in group.members:
        yield call.tenant.groups.get(member) or call.organisation.mailboxes[member]


def _kind(member: Mailbox | Group) -> str:
    return "group" if isinstance(member, Group) else "user"


def _find_group(call: Call) -> Group:
    found = call.tenant.groups.get(call.path["group"].lower())
    if found is None:
        raise _no_resource(call.path["group"])
    return found


def _no_resource(named: str) -> Refused:
    says = f"Resource '{named}' does not exist or one of its queried reference-property objects are not present."
    return Refused(HTTPStatus.NOT_FOUND, "Request_ResourceNotFound", says)


def _user(mailbox: Mailbox) -> dict[str, Any]:
    name = mailbox.address.partition("@")[0]
    return {
        "id": user_id(mailbox),
        "displayName": name.title(),
        "mail": mailbox.address,
        "userPrincipalName": mailbox.address,
    }


def _group(group: Group) -> dict[str, Any]:
    told = {"id": group.id, "displayName": group.name, "mail": None}
    if group.owners is None:
        return {**told, "mailEnabled": False, "securityEnabled": True}
    team = {"groupTypes": ["Unified"], "resourceProvisioningOptions": ["Team"]}
    return {**told, "mailEnabled": True, "securityEnabled": False, **team}


def _meant(condition: str, entity: dict[str, Any]) -> bool:
    """A filter of `NAME eq 'VALUE'` or `NAMES/any(x:x eq 'VALUE')`, also several with `and`."""
    for each in split(condition, " and ") if condition else ():
        if (listed := _ANY.fullmatch(each)) is not None:
            if listed["value"] not in entity.get(listed["name"], ()):
                return False
            continue
        name, verb, value = (*each.split(" ", 2), "", "")[:3]
        if verb != "eq" or name not in entity:
            raise Refused(HTTPStatus.BAD_REQUEST, "Request_UnsupportedQuery", "Unsupported or invalid query filter.")
        if str(entity[name]).lower() != value.strip("'").replace("''", "'").lower():
            return False
    return True


_ANY = re.compile(r"(?P<name>\w+)/any\((?P<x>\w+):\s*(?P=x) eq '(?P<value>[^']*)'\)", re.IGNORECASE)
_USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "User.ReadBasic.All")
_GROUPS = ("GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All")
ROUTES = (
    Route("GET", "/users", list_users, _USERS),
    Route("GET", "/users/{user}", get_user, _USERS),
    Route("GET", "/groups", list_groups, _GROUPS),
    Route("GET", "/groups/{group}", get_group, _GROUPS),
    Route("GET", "/groups/{group}/members", list_members, _GROUPS),
    Route("GET", "/groups/{group}/owners", list_owners, _GROUPS),
    Route("GET", "/groups/{group}/transitiveMembers", list_transitive_members, _GROUPS),
    Route("GET", "/groups/{group}/transitiveMembers/{kind}", list_transitive_members, _GROUPS),
)
