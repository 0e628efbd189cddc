"""A mailbox for trials on Exchange, as a `Probe`: what no watched mailbox is ever asked for."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from connector.checks.probe import Letter
from connector.errors import Gone, Rejected
from connector.sources.ews.mailbox import EwsMailbox
from connector.sources.ews.properties import PROPERTIES, Property, get_properties, told
from connector.sources.ews.words import FLAGS, NS, Element, M, T, create_item, extended_property, identifier
from connector.sources.mapi import uncompressed_rtf

_READ = 1
_RTF = {"PropertyTag": "0x1009", "PropertyType": "Binary"}


class EwsProbe(EwsMailbox):
    """See `Probe`."""

    #: Those of `PROPERTIES` that the server tells.
    _askable: tuple[Property, ...] | None = None

    def make(self, letter: Letter) -> str:
        """See `Probe.make`. One request."""
        (answer,) = self._connection.ask(_create_item(letter, self._owner))
        return identifier(answer.find("m:Items/*", NS), "t:ItemId")

    def made(self, trial: str) -> tuple[str, ...]:
        """See `Probe.made`. Two requests."""
        folders = [folder.id for folder in self._folders() if folder.mail]
        answers = self._connection.ask(_find_items(folders, f"<{trial}."), number=len(folders))
        found = (item for answer in answers for item in answer.iterfind("m:RootFolder/t:Items/*", NS))
        return tuple(identifier(item, "t:ItemId") for item in found)

    def properties(self, item_id: str) -> dict[str, str]:
        """See `Probe.properties`. One request; at first more, where the server refuses to tell some of them."""
        if self._askable is None:
            self._askable = tuple(self._answered(item_id, PROPERTIES))
        (answer,) = self._connection.ask(get_properties(item_id, self._askable))
        return told(answer.find("m:Items/*", NS), self._askable)

    def _answered(self, item_id: str, wanted: tuple[Property, ...]) -> Iterator[Property]:
        """Those that the server tells: where it refuses one, it refuses all that it is asked for with it."""
        try:
            self._connection.ask(get_properties(item_id, wanted))
        except Rejected:
            if len(wanted) > 1:
                middle = len(wanted) // 2
                yield from self._answered(item_id, wanted[:middle])
                yield from self._answered(item_id, wanted[middle:])
        else:
            yield from wanted

    def delete(self, item_id: str) -> None:
        """See `Probe.delete`. One request."""
        with suppress(Gone):
            self._connection.ask(M.DeleteItem(M.ItemIds(T.ItemId(Id=item_id)), DeleteType="HardDelete"))


def _create_item(letter: Letter, owner: str | None) -> Element:
    """A message in the Inbox. Its elements stand in the order of the schema."""
    parts = []
    if letter.categories:
        parts.append(T.Categories(*(T.String(each) for each in letter.categories)))
    parts.append(extended_property(FLAGS, str(_READ if letter.read else 0)))
    if letter.rtf:
        parts.append(extended_property(_RTF, uncompressed_rtf(letter.rtf)))
    if letter.flagged:
        parts.append(T.Flag(T.FlagStatus("Flagged")))
    return create_item(letter.mime, owner, *parts)


def _find_items(folders: Sequence[str], prefix: str) -> Element:
    """FindItem: the items in these folders whose Message-ID begins with this, a server's page of them."""
    begins = T.Contains(
        T.FieldURI(FieldURI="message:InternetMessageId"),
        T.Constant(Value=prefix),
        ContainmentMode="Prefixed",
        ContainmentComparison="Exact",
    )
    return M.FindItem(
        M.ItemShape(T.BaseShape("IdOnly")),
        M.Restriction(begins),
        M.ParentFolderIds(*(T.FolderId(Id=folder) for folder in folders)),
        Traversal="Shallow",
    )
