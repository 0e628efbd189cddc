"""Delta queries: what has changed since a token. It may tell a thing twice, and never skips one (facts, A1)."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.filters import matches
from connector.simulator.graph.identity import find_folder, item_id, url_safe
from connector.simulator.graph.message import Refused, Reply, invalid
from connector.simulator.graph.shapes import folder_json, message_json
from connector.simulator.mailbox import Folder, Mailbox

#: Things on a page where nothing else is asked for.
_PAGE = 10
#: Links of one chain of pages that are known, where only the last ones are.
_GENERATIONS = 4


@dataclass(frozen=True)
class Change:
    """Something that happened at a moment of the mailbox's clock, and how to tell it."""

    moment: int
    kind: str
    told: Callable[[], dict[str, Any]]


def messages_delta(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: message-delta. Per folder; `$filter` only by the time of receipt, `$orderby` only by it."""
    folder = find_folder(mailbox, call.path["folder"])
    condition = call.options.filter
    if condition and not condition.replace(" ", "").lower().startswith(("receiveddatetimege", "receiveddatetimegt")):
        invalid("The query filter is not supported with change tracking.")
    if call.options.orderby and call.options.orderby.lower() != "receiveddatetime desc":
        invalid("The query order is not supported with change tracking.")

    def changes(after: int) -> Iterable[Change]:
        for item in folder.items.values():
            if matches(condition, item):
                moment = max(item.entered, item.changed, item.read_changed)
                kind = "created" if item.entered > after else "updated"
                yield Change(moment, kind, partial(message_json, call, mailbox, item))
        for identifier, entered, left in folder.removed:
            if entered <= after and _is_told(call, mailbox, identifier):
                yield Change(left, "deleted", _removal(item_id(call, mailbox, identifier)))

    return _page(call, mailbox, folder.id, "Collection(message)", changes)


def folders_delta(call: Call, mailbox: Mailbox) -> Reply:
    """Microsoft: mailfolder-delta: all folders of mail, at any depth."""

    def changes(after: int) -> Iterable[Change]:
        for folder in mail_folders(call, mailbox):
            kind = "created" if folder.entered > after else "updated"
            yield Change(folder.changed, kind, partial(_folder, call, mailbox, folder))
        for identifier, entered, left in mailbox.removed_folders:
            if entered <= after:
                yield Change(left, "deleted", _removal(url_safe(identifier)))

    return _page(call, mailbox, "folders", "Collection(mailFolder)", changes)


def mail_folders(call: Call, mailbox: Mailbox) -> list[Folder]:
    """The folders of mail; hidden ones only where they are asked for."""
    hidden = call.first.get("includeHiddenFolders", "").lower() == "true"
    below = mailbox.below(mailbox.distinguished["msgfolderroot"])
    return [each for each in below if each.folder_class.startswith("IPF.Note") and (hidden or not each.hidden)]


def _page(call: Call, mailbox: Mailbox, scope: str, what: str, changes: Callable[[int], Iterable[Change]]) -> Reply:
    after = _position(call, scope)
    kinds = {each.strip().lower() for each in call.first.get("changeType", "").split(",") if each.strip()}
    due = sorted((each for each in changes(after) if each.moment > after), key=lambda each: each.moment)
    size = call.options.top or call.page_size(_PAGE)
    page, rest = due[:size], due[size:]
    told = [each.told() for each in page if not kinds or each.kind in kinds]
    chain = str(call.state.get("chain") or uuid.uuid4())
    call.tenant.generations[chain] += 1
    token = {
        "scope": scope, "epoch": call.organisation.epoch, "chain": chain, "generation": call.tenant.generations[chain]
    }  # fmt: skip
    if rest:
        link = {"@odata.nextLink": call.link("skiptoken", after=page[-1].moment, **token)}
    else:
        link = {"@odata.deltaLink": call.link("deltatoken", after=mailbox.clock, **token)}
    return Reply(json={"@odata.context": call.context(what), **link, "value": told})


def _position(call: Call, scope: str) -> int:
    """Where the last page ended. Tokens that Exchange has forgotten are Gone."""
    if not call.state:
        return 0
    if call.state.get("scope") != scope:
        invalid("The token is for another collection.")
    age = call.tenant.generations[str(call.state.get("chain"))] - int(call.state.get("generation", 0))
    forgotten = age >= _GENERATIONS and call.deviates(Deviation.FOUR_GENERATIONS)
    if forgotten or call.state.get("epoch") != call.organisation.epoch:
        says = "The sync state generation is not found."
        raise Refused(HTTPStatus.GONE, "syncStateNotFound", says)
    return int(call.state["after"])


def _folder(call: Call, mailbox: Mailbox, folder: Folder) -> dict[str, Any]:
    return folder_json(call, mailbox, folder)


def _removal(identifier: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"id": identifier, "@removed": {"reason": "deleted"}}


def _is_told(call: Call, mailbox: Mailbox, identifier: str) -> bool:
    """Inferred: that a message which only moved is told as removed (facts, A1)."""
    return mailbox.births[identifier] not in mailbox.alive or not call.deviates(Deviation.UNTOLD_MOVES)
