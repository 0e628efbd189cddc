"""One request: whose mailbox it is about, and what its ids and names stand for."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Never

from connector.simulator import ids
from connector.simulator.deviations import Deviation
from connector.simulator.ews.shapes import Shown, View
from connector.simulator.ews.soap import Blobs, Element, Refused, children, failure, invalid, local, response, success
from connector.simulator.mailbox import Attachment, Folder, Item, Mailbox, Message
from connector.simulator.organisation import Organisation


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, by somebody who has the right to this mailbox."""

    organisation: Organisation
    mailbox: Mailbox
    request: Element
    blobs: Blobs = field(default_factory=Blobs)
    #: Which of the servers of the organisation the request came to.
    server: str = ""

    def deviates(self, deviation: Deviation) -> bool:
        """Whether the server deviates in this way."""
        return deviation in self.organisation.deviations

    def view(self, body_type: str = "Best") -> View:
        """What the caller sees."""
        return View(
            mailbox=self.mailbox,
            deviations=frozenset(self.organisation.deviations),
            blobs=self.blobs,
            body_type=body_type,
        )

    def folder(self, named: Element) -> Folder:
        """The folder that a t:FolderId or t:DistinguishedFolderId names."""
        identifier = named.get("Id") or invalid(f"{local(named)} lacks Id")
        if local(named) == "DistinguishedFolderId":
            self._only_own(named)
            return self._distinguished(identifier)
        return self.mailbox.folders.get(identifier) or self._nowhere(identifier, "ErrorFolderNotFound")

    def item(self, named: Element) -> Item:
        """The item that a t:ItemId names."""
        identifier = named.get("Id") or invalid(f"{local(named)} lacks Id")
        item = self.mailbox.items.get(identifier) or self._nowhere(identifier, "ErrorItemNotFound")
        self._let_vanish(item.message)
        return item

    def shown(self, item: Item, body_type: str = "Best") -> Shown:
        """An item as a read shows it."""
        message, change_key = item.message, item.change_key
        if self.deviates(Deviation.STALE_READS) and item.before:
            before, key, moment = item.before
            if time.monotonic() - moment < self.organisation.lag:
                message, change_key = before, key
        return Shown(view=self.view(body_type), message=message, item=item, change_key=change_key)

    def attachment(self, named: Element) -> tuple[Item, tuple[Attachment, ...]]:
        """The item and the path to the attachment that a t:AttachmentId names."""
        identifier = named.get("Id") or invalid("AttachmentId lacks Id")
        if set(named.attrib) - {"Id"}:
            invalid("AttachmentId takes nothing but Id")  # Microsoft: getattachment-operation
        try:
            item_id, tokens = ids.item_of(identifier)
        except ValueError:
            raise Refused("ErrorInvalidIdMalformed", "Id is malformed.") from None
        item = self.mailbox.items.get(item_id) or self._nowhere(item_id, "ErrorItemNotFound")
        self._let_vanish(item.message)
        path: tuple[Attachment, ...] = ()
        message: Message | None = item.message
        for token in tokens:
            path = (*path, self._step(message, token))
            message = path[-1].message
        return item, path

    def answer(
        self,
        name: str,
        asked: Iterable[Element],
        act: Callable[[Element], Iterable[Element]],
        *empty: Callable[[], Element],
    ) -> Element:
        """A reply with one message for each thing that was asked; `empty` makes what errors must contain too."""
        asked = list(asked) or invalid(f"{name} asks for nothing")

        def one(element: Element) -> Element:
            try:
                return success(name, *act(element))
            except Refused as refused:
                if refused.fault:
                    raise
                return failure(name, refused, *(make() for make in empty))

        return response(name, [one(element) for element in asked])

    def _distinguished(self, name: str) -> Folder:
        if name in self.mailbox.distinguished:
            return self.mailbox.distinguished[name]
        if self.deviates(Deviation.MALFORMED_UNKNOWN_FOLDER):
            raise Malformed
        if name in _ELSEWHERE.split():
            raise Refused("ErrorFolderNotFound", "The specified folder could not be found in the store.")
        return invalid("the Id of DistinguishedFolderId is none of its values")

    def _only_own(self, named: Element) -> None:
        """A distinguished folder may name its mailbox, which has to be the caller's: delegation is not simulated."""
        for mailbox in children(named):
            address = "".join(child.text or "" for child in mailbox if local(child) == "EmailAddress").strip()
            if address.lower() != self.mailbox.address:
                raise Refused("ErrorAccessDenied", "Access is denied. Check credentials and try again.")

    def _step(self, message: Message | None, token: bytes) -> Attachment:
        attachments = message.attachments if message else []
        if self.deviates(Deviation.POSITIONAL_ATTACHMENT_IDS):
            found = attachments[int.from_bytes(token, "big") :][:1]
        else:
            found = [each for each in attachments if each.token == token]
        if not found:
            raise Refused("ErrorItemNotFound", "The specified object was not found in the store.")
        return found[0]

    def _nowhere(self, identifier: str, code: str) -> Never:
        try:
            ids.mailbox_of(identifier)
        except ValueError:
            raise Refused("ErrorInvalidIdMalformed", "Id is malformed.") from None
        raise Refused(code, "The specified object was not found in the store.")

    def _let_vanish(self, message: Message) -> None:
        moment = time.monotonic()
        message.attachments[:] = [
            each for each in message.attachments if each.vanishes is None or each.vanishes > moment
        ]


class Malformed(Exception):
    """The reply shall be something that is no XML."""


#: Of Microsoft's distinguishedfolderid, those that mailboxes here do not have; and `archive`, which is on no page:
#: Thunderbird and exchangelib ask for it, and go on where it is not found (facts, section 3).
_ELSEWHERE = """
archive publicfoldersroot voicemail recoverableitemsdiscoveryholds archiveroot archivemsgfolderroot archivedeleteditems
archiveinbox archiverecoverableitemsroot archiverecoverableitemsdeletions archiverecoverableitemsversions
archiverecoverableitemspurges archiverecoverableitemsdiscoveryholds syncissues conflicts localfailures serverfailures
recipientcache quickcontacts conversationhistory adminauditlogs todosearch mycontacts directory imcontactlist
peopleconnect favorites mecontact personmetadata teamspaceactivity teamspacemessaging teamspaceworkitems scheduled
orionnotes tagitems alltaggeditems externalcontacts teamchat yammerroot yammerinbound yammeroutbound yammerfeeds
onedriveroot onedriverecylebin onedrivesystem onedrivevolume
"""
