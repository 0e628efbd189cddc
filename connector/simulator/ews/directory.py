"""The operations on names and ids."""

from collections.abc import Iterator

from connector.simulator import ids
from connector.simulator.ews.call import Call
from connector.simulator.ews.shapes import mailbox_element
from connector.simulator.ews.soap import Element, M, Refused, T, children, invalid, need
from connector.simulator.mailbox import Address


def resolve_names(call: Call) -> Element:
    """Microsoft: resolvenames-operation. Addresses of the organisation that begin with what was asked."""
    wanted = (need(call.request, "m:UnresolvedEntry").text or "").strip().lower().removeprefix("smtp:")

    def one(_: Element) -> Iterator[Element]:
        found = [address for address in call.organisation.mailboxes if address.startswith(wanted)]
        if not found:
            raise Refused("ErrorNameResolutionNoResults", "No results were found.")
        people = (Address(address.partition("@")[0], address) for address in found)
        resolutions = [T.Resolution(mailbox_element(each)) for each in people]
        yield M.ResolutionSet(*resolutions, TotalItemsInView=str(len(found)), IncludesLastItemInRange="true")

    return call.answer("ResolveNames", [call.request], one)


def convert_id(call: Call) -> Element:
    """Microsoft: convertid-operation. Ids have one form here; DavMail asks it to learn whose mailbox it is."""
    wanted = call.request.get("DestinationFormat") or "EwsId"

    def one(told: Element) -> Iterator[Element]:
        identifier = told.get("Id") or invalid("AlternateId lacks Id")
        try:
            ids.mailbox_of(identifier)
        except ValueError:
            raise Refused("ErrorInvalidIdMalformed", "Id is malformed.") from None
        converted = M.AlternateId(Format=wanted, Id=identifier, Mailbox=call.mailbox.address)
        converted.set("{http://www.w3.org/2001/XMLSchema-instance}type", "t:AlternateIdType")
        yield converted

    return call.answer("ConvertId", children(need(call.request, "m:SourceIds")), one)
