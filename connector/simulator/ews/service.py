"""From an envelope to the operation that it asks for: versions, impersonation, and who may do what."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connector.simulator.deviations import Deviation
from connector.simulator.ews import attachments, directory, folders, items, notifications, sync, updates
from connector.simulator.ews.call import Call
from connector.simulator.ews.soap import Element, Refused, children, envelope, find, local
from connector.simulator.faults import Busy
from connector.simulator.mailbox import Mailbox
from connector.simulator.organisation import Organisation

_OPERATIONS: dict[str, Callable[[Call], Element]] = {
    "GetFolder": folders.get_folder,
    "FindFolder": folders.find_folder,
    "CreateFolder": folders.create_folder,
    "UpdateFolder": folders.update_folder,
    "MoveFolder": folders.move_folder,
    "DeleteFolder": folders.delete_folder,
    "SyncFolderHierarchy": sync.sync_folder_hierarchy,
    "SyncFolderItems": sync.sync_folder_items,
    "GetItem": items.get_item,
    "FindItem": items.find_item,
    "CreateItem": items.create_item,
    "UpdateItem": updates.update_item,
    "MoveItem": items.move_item,
    "CopyItem": items.copy_item,
    "DeleteItem": items.delete_item,
    "GetAttachment": attachments.get_attachment,
    "CreateAttachment": attachments.create_attachment,
    "DeleteAttachment": attachments.delete_attachment,
    "Subscribe": notifications.subscribe,
    "Unsubscribe": notifications.unsubscribe,
    "GetEvents": notifications.get_events,
    "ConvertId": directory.convert_id,
    "ResolveNames": directory.resolve_names,
}
#: EWSD: requestserverversion.
_VERSIONS = re.compile(r"Exchange20(07|09|10|13|15|16)(_SP[12])?|V201[5-9]_\d\d_\d\d")


@dataclass(frozen=True)
class Caller:
    """Who asks, and which server he wants to come to (EWSD: how-to-maintain-affinity...)."""

    user: str
    #: X-AnchorMailbox: the server of this mailbox.
    anchor: str
    #: X-PreferServerAffinity: the server where the group's subscriptions are.
    affinity: bool = False
    #: The cookie X-BackEndOverrideCookie, which names that.
    cookie: str = ""

    @property
    def server(self) -> str:
        """Where the request is sent on to. The anchor does not count where there is a cookie."""
        return (self.cookie if self.affinity else "") or self.anchor.lower()


def perform(organisation: Organisation, caller: Caller, header: Element, request: Element) -> Iterator[bytes]:
    """Do what a request asks. The reply comes in pieces, the effect has happened before the first of them.

    Raises Refused where the whole request is refused.
    """
    version = find(header, "t:RequestServerVersion")
    if version is not None and not _VERSIONS.fullmatch(version.get("Version") or ""):
        raise Refused("ErrorInvalidServerVersion", "The specified server version is invalid.", fault=True)
    mailbox = _mailbox(organisation, caller, header)
    call = Call(organisation=organisation, mailbox=mailbox, request=request, server=caller.server)
    if local(request) == "GetStreamingEvents":
        return notifications.get_streaming_events(call)
    operation = _OPERATIONS.get(local(request))
    if operation is None:
        raise Refused("ErrorInvalidOperation", f"The simulator has no {local(request)}.", fault=True)
    with mailbox.lock:
        return call.blobs.fill(envelope(operation(call)))


def _mailbox(organisation: Organisation, caller: Caller, header: Element) -> Mailbox:
    """Whose mailbox it is (EWSD: impersonation-and-ews-in-exchange, how-to-configure-impersonation)."""
    impersonation = find(header, "t:ExchangeImpersonation/t:ConnectingSID")
    if impersonation is None:
        return _existing(organisation, caller.user)
    if caller.user != organisation.impersonator:
        raise Refused("ErrorImpersonateUserDenied", "The account may not impersonate the requested user.", fault=True)
    named = children(impersonation)
    address = (named[0].text or "").strip().lower() if named else ""
    anchored = caller.anchor.lower() == address or (caller.affinity and caller.anchor.lower() in organisation.mailboxes)
    if Deviation.ANCHOR_REQUIRED in organisation.deviations and not anchored:
        raise Busy
    if organisation.scope is not None and address not in organisation.scope:
        raise Refused("ErrorImpersonateUserDenied", "The account may not impersonate the requested user.", fault=True)
    return _existing(organisation, address)


def _existing(organisation: Organisation, address: str) -> Mailbox:
    mailbox = organisation.mailboxes.get(address)
    if mailbox is None or mailbox.place == "cloud":
        raise Refused("ErrorNonExistentMailbox", "No mailbox with such an address.", fault=True)
    return mailbox
