"""A mailbox for trials on Exchange Online, as a `Probe`: what no watched mailbox is ever asked for."""

import base64
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from connector.checks.probe import Letter
from connector.sources import mapi
from connector.sources.graph.connection import BATCH
from connector.sources.graph_mail import words
from connector.sources.graph_mail.mailbox import GraphMailbox
from connector.sources.graph_mail.shelves import delete
from connector.sources.graph_mail.words import JSON

_READ = 1
_RTF = "Binary 0x1009"
#: PSETID_Common [MS-OXPROPS 1.3.2].
_COMMON = "{00062008-0000-0000-C000-000000000046}"

_PROPERTIES = {
    **{f"{kind} 0x{tag}": name for tag, kind, name in mapi.tagged()},
    **{f"{kind} {_COMMON} Id 0x{number}": name for number, kind, name in mapi.common()},
}


class GraphProbe(GraphMailbox):
    """See `Probe`."""

    def make(self, letter: Letter) -> str:
        """See `Probe.make`. One request."""
        made = self._connection.ask("POST", self._at("mailFolders", "inbox", "messages"), _message(letter))
        return str(made.body["id"])

    def made(self, trial: str) -> tuple[str, ...]:
        """See `Probe.made`. One request."""
        where = self._at("messages") + f"?$filter=startswith(internetMessageId,'<{trial}.')&$select=id"
        return tuple(str(each["id"]) for page in self._connection.pages(where) for each in page["value"])

    def properties(self, item_id: str) -> dict[str, str]:
        """See `Probe.properties`. One request; what a server refuses to tell is left out, with those beside it."""
        wanted = list(_PROPERTIES)
        parts = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
        paths = [self._at("messages", item_id) + f"?$select=id&$expand={words.extended(*part)}" for part in parts]
        told: dict[str, str] = {}
        for part, answer in zip(parts, self._connection.batch(paths), strict=True):
            if isinstance(answer, Exception):
                raise answer
            told |= {_PROPERTIES[each]: words.told(answer, each) for each in part if words.told(answer, each)}
        return told

    def delete(self, item_id: str) -> None:
        """See `Probe.delete`. One request."""
        delete(self._connection, self._of(item_id))


def _message(letter: Letter) -> JSON:
    """A message that came in, from MIME: what is given as MIME, Graph makes a draft of."""
    mime = message_from_bytes(letter.mime, policy=policy.default)
    assert isinstance(mime, EmailMessage)
    body = mime.get_body(("html", "plain"))
    assert body is not None
    extended = [{"id": words.FLAGS, "value": str(_READ if letter.read else 0)}]
    if letter.rtf:
        extended.append({"id": _RTF, "value": mapi.uncompressed_rtf(letter.rtf)})
    (sender,) = mime["From"].addresses
    return {
        "subject": str(mime["Subject"]),
        "internetMessageId": str(mime["Message-ID"]),
        "from": _person(sender.display_name, sender.addr_spec),
        "toRecipients": [_person(each.display_name, each.addr_spec) for each in mime["To"].addresses],
        "body": {
            "contentType": "html" if body.get_content_subtype() == "html" else "text",
            "content": body.get_content(),
        },
        "attachments": list(_attachments(mime)),
        "categories": list(letter.categories),
        "flag": {"flagStatus": "flagged" if letter.flagged else "notFlagged"},
        "isRead": letter.read,
        "singleValueExtendedProperties": extended,
    }


def _person(name: str, address: str) -> JSON:
    return {"emailAddress": {"name": name or address, "address": address}}


def _attachments(mime: EmailMessage) -> Iterator[JSON]:
    for part in mime.walk():
        if part.get_filename():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            yield {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": part.get_filename(),
                "contentType": part.get_content_type(),
                "contentId": str(part.get("Content-ID", "")).strip("<>") or None,
                "isInline": part.get_content_disposition() == "inline",
                "contentBytes": base64.b64encode(content).decode("ascii"),
            }
