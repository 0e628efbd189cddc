"""What a tenant wants left alone, whatever its rules say."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connector.guards import Kept
from connector.policy.case import Hold, Matter
from connector.policy.conditions import Model
from connector.policy.values import Folder, Name, Some, fold, is_who, owner_of, who

_GROUP = "group:"


def _whose(value: str) -> str:
    group = value.removeprefix(_GROUP)
    if group == value:
        return who(value)
    if not group.strip():
        raise ValueError("name the group, as in group:Works council")
    return _GROUP + fold(group.strip())


Whose = Annotated[Name, AfterValidator(_whose)]


class Exclude(Model):
    """No rule overrides it, as none overrides the guards."""

    mailboxes: Some[Whose] = Field(default=(), description="addresses, domains, or group:NAME")
    hold: Some[Hold] = Field(
        default=(),
        description="mailboxes on a hold, by the file that `holds` names; record: messages that bear a retention tag",
    )
    sensitivity: Some[Literal["private", "personal", "confidential"]] = Field(
        default=(), description="guarded in any case; may stand here so that everybody reads it"
    )
    identity: Literal["unmapped"] | None = Field(default=None, description="mailboxes of which nobody knows whose")
    folders: Some[Folder] = Field(default=(), description="folders anywhere in the mailbox, with what is below them")

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups whose mailboxes are excluded, folded."""
        return tuple(each.removeprefix(_GROUP) for each in self.mailboxes if each.startswith(_GROUP))

    def keeps(self, matter: Matter) -> Kept | None:
        """Why all files of the item stay, or None. Never raises."""
        for name, holds, because in _EXCLUDED:
            if holds(self, matter):
                return Kept(name, because)
        return None


def _mailbox(exclude: Exclude, matter: Matter) -> bool:
    owner = owner_of(matter.facts.mailbox)
    return any(
        each.removeprefix(_GROUP) in matter.facts.groups if each.startswith(_GROUP) else is_who(each, owner)
        for each in exclude.mailboxes
    )


def _held(exclude: Exclude, matter: Matter) -> bool:
    return not matter.facts.holds.isdisjoint(exclude.hold)


def _record(exclude: Exclude, matter: Matter) -> bool:
    return Hold.RECORD in exclude.hold and matter.message is not None and matter.message.retention_tag != ""


_EXCLUDED: tuple[tuple[str, Callable[[Exclude, Matter], bool], str], ...] = (
    ("mailboxes", _mailbox, "the mailbox is excluded"),
    ("hold", _held, "the mailbox is on hold in Exchange"),
    ("hold", _record, "the message bears a retention tag: it is a record"),
    (
        "identity",
        lambda exclude, matter: exclude.identity is not None and matter.facts.unmapped,
        "nobody knows whose mailbox it is",
    ),
    (
        "folders",
        lambda exclude, matter: any(f"/{each}/" in matter.folder for each in exclude.folders),
        "the message is in a folder that is excluded",
    ),
)
