"""Which mailboxes there are, as Entra tells it: the members of groups, or everyone."""

from collections.abc import Iterator

from connector.sources.graph import Edge
from connector.sources.graph.connection import path

_FIELDS = "?$select=id,mail,userType&$top=100"
_USER = "#microsoft.graph.user"


def members(edge: Edge, group: str) -> Iterator[str]:
    """The addresses of all people in a group, and in the groups within it. Raises Denied, Unavailable."""
    connection = edge.connection(f"the group {group}", "GroupMember.Read.All")
    for page in connection.pages(path("groups", group, "transitiveMembers") + _FIELDS):
        for each in page["value"]:
            if each.get("@odata.type", _USER) == _USER and each.get("mail"):
                yield str(each["mail"])


def everyone(edge: Edge) -> Iterator[str]:
    """The addresses of all users that are no guests: of people, shared mailboxes, rooms. Raises Denied, Unavailable."""
    connection = edge.connection("the directory", "User.Read.All")
    for page in connection.pages(path("users") + _FIELDS):
        for each in page["value"]:
            if each.get("userType") != "Guest" and each.get("mail"):
                yield str(each["mail"])
