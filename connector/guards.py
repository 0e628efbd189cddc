"""What must not be touched, whatever the rules say. Pure.

A message is kept whole where taking a file out would break it, or where it is not ordinary mail of somebody who may
have it changed. The classes, headers and names come from [MS-OXOSMIME], [MS-OXORMMS], [MS-XJRNL], RFC 2046, RFC 3156,
RFC 8551 and RFC 9580.
When in doubt a message is kept: leaving an attachment where it is loses nothing.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from connector.filetype import FIELD
from connector.model import Body, File, FileKind, Item, Message, SharedFile
from connector.rewrite.tokens import Kind, Token, attributes, token_at, tokens, unescaped

#: The transport headers that guards read; a source fills `Message.headers` with at least these.
HEADERS = ("content-type", "content-class", "x-ms-journal-report")

_ENCRYPTED = {
    "multipart/encrypted",
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
    "application/pgp-encrypted",
}
#: Of a message that was encrypted before MIME had types for its parts, and of what carries keys.
_PGP = {"application/pgp", "application/pgp-keys", "application/autocrypt-setup"}
_PGP_NAMES = (".asc", ".gpg", ".pgp")
_ARMOR = "-----BEGIN PGP "
#: At the beginning of a line, or of an element: quoted in an answer it says nothing about the message.
_ARMORED_TEXT = re.compile(rf"^[ \t]*+{_ARMOR}", re.MULTILINE)
_ARMORED_HTML = re.compile(rf"(?:^|>)[ \t]*+{_ARMOR}", re.MULTILINE)
#: The elements that everything shown stands in; where they come again, browsers take over what attributes are new.
_WHOLE = re.compile(r"<(?:html|body)[\s/]", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
#: A style with a backslash, which spells letters in another way, wants not to be read.
_HIDDEN = re.compile(
    r"display\s*+:\s*+none|visibility\s*+:\s*+(?:hidden|collapse)|mso-hide\s*+:\s*+all|\\", re.IGNORECASE
)
_TNEF_TYPES = {"application/ms-tnef", "application/vnd.ms-tnef"}
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".webp", ".tif", ".tiff", ".emf", ".wmf", ".heic")


class Kept(NamedTuple):
    """Which guard speaks, and what it says."""

    name: str
    because: str


#: Of attached messages that no rule names.
NESTED = Kept("nested", "the file is a message or another item of Exchange, and no rule names such files")
#: Of winmail.dat that no rule unpacks.
TNEF = Kept("tnef", "the file is winmail.dat, which holds parts of the message, and no rule says that it is unpacked")
_NO_MESSAGE = Kept("nested", "the file is an item of Exchange that is no message")
_SEALED = Kept("nested-sealed", "the file is a message that is signed, encrypted or rights-managed")
_POINTER = Kept("pointer", "the file is only a link already")
#: How soon a file that is in use is looked at again.
_WHILE = timedelta(minutes=15)
#: Anywhere in what is seen of it: a message within the attached one may be the sealed one.
_SEALED_TYPE = re.compile(
    rb"^content-type:\s*+(?:multipart/(?:signed|encrypted)|application/(?:(?:x-)?pkcs7-|pgp|x-microsoft-rpmsg)"
    rb"|message/partial)|^-----BEGIN PGP ",
    re.IGNORECASE | re.MULTILINE,
)


def guard_of_item(item: Item, *, ours: bool, since: datetime | None) -> Kept | None:
    """The first guard that keeps all files of this item, or None. Never raises."""
    return next((kept for kept, holds in guards_of_item(item, ours=ours, since=since) if holds), None)


def guards_of_item(item: Item, *, ours: bool, since: datetime | None) -> Iterator[tuple[Kept, bool]]:
    """Each guard of such an item in its order, and whether it holds. Never raises."""
    noun = "message" if isinstance(item, Message) else "file"
    where = "mailbox" if isinstance(item, Message) else "share"
    yield Kept("ours", f"the {noun} carries our own marker"), ours
    yield Kept("scope", f"the {noun} lies in a folder that is left alone"), not item.in_scope
    old = Kept("first-contact", f"the {noun} is older than the first contact with this {where}")
    yield old, since is not None and not received_after(item, since)
    if isinstance(item, SharedFile):
        yield _POINTER, item.subject.casefold().endswith(".url")
    else:
        for name, holds, because in _OF_MESSAGES:
            yield Kept(name, because), holds(item)


def guard_of_use(item: Item, *, now: datetime, quiet: timedelta) -> tuple[Kept, datetime] | None:
    """The guard that keeps a shared file as long as somebody works on it, and when to look again. Never raises."""
    if not isinstance(item, SharedFile):
        return None
    if item.busy:
        return Kept("in-use", "somebody has the file open or checked out"), now + max(quiet, _WHILE)
    # A clock that is ahead of ours wrote that it changed after now: that is not for ever.
    changed = min(_received(item) or now, now)
    if now - changed < quiet:
        return Kept("in-use", "the file was changed a short time ago"), changed + quiet
    return None


def guard_of_file(file: File) -> Kept | None:
    """The first guard that keeps this file, or None. Never raises."""
    for name, keeps, because in _OF_FILES:
        if keeps(file):
            return Kept(name, because)
    return None


def guard_of_nested(head: bytes) -> Kept | None:
    """The guard that keeps an attached item whose MIME begins so, or None; more is not seen. Never raises."""
    if FIELD.match(head) is None:
        return _NO_MESSAGE
    return _SEALED if _SEALED_TYPE.search(head) else None


def is_tnef(file: File) -> bool:
    """Whether the file is winmail.dat: a rule moves it only to unpack it."""
    return _plain(file.content_type) in _TNEF_TYPES or file.name.casefold() == "winmail.dat"


def _received(item: Item) -> datetime | None:
    """A time without a zone is taken for UTC."""
    received = item.received
    return received.replace(tzinfo=UTC) if received and received.tzinfo is None else received


def received_after(item: Item, since: datetime) -> bool:
    """Whether the server received it then or later. An item whose age nobody knows may be an old one."""
    received = _received(item)
    return received is not None and received >= since


def _class(message: Message) -> list[str]:
    return message.message_class.casefold().split(".")


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().casefold()


def _types(message: Message) -> set[str]:
    """What the message as a whole and each of its files say that they are."""
    return {_plain(message.headers.get("content-type", "")), *(_plain(file.content_type) for file in message.files)}


def _names(message: Message) -> set[str]:
    return {file.name.casefold() for file in message.files}


def _is_report(message: Message) -> bool:
    return _class(message)[0] == "report" or "multipart/report" in _types(message)


def _is_calendar(message: Message) -> bool:
    return _class(message)[:2] in (["ipm", "schedule"], ["ipm", "appointment"]) or "text/calendar" in _types(message)


def _is_rights_managed(message: Message) -> bool:
    return (
        "rpmsg" in _class(message)
        or message.headers.get("content-class", "").strip().casefold() == "rpmsg.message"
        or "application/x-microsoft-rpmsg-message" in _types(message)
        or "message.rpmsg" in _names(message)
    )


def _is_signed(message: Message) -> bool:
    """Whoever signs a MIME entity names his signature so, be it S/MIME, PGP or what is not invented yet."""
    by_type = any(kind == "multipart/signed" or kind.endswith("-signature") for kind in _types(message))
    return by_type or "multipartsigned" in _class(message) or "smime.p7s" in _names(message)


def _is_encrypted(message: Message) -> bool:
    # Other makers' classes end in .SMIME too, and that of old Exchange key management holds Secure.
    return (
        bool({"smime", "secure"} & set(_class(message)))
        or bool(_ENCRYPTED & _types(message))
        or "smime.p7m" in _names(message)
    )


def _is_part_of_a_message(message: Message) -> bool:
    return "message/partial" in _types(message)


def _is_pgp(message: Message) -> bool:
    """Without MIME: the text is armored, and each file is encrypted or signed by itself, which its name tells.

    Listings come without bodies: what only the text tells is seen when the message is read before anything shows.
    """
    named = any(name.endswith(_PGP_NAMES) for name in _names(message))
    return named or bool(_PGP & _types(message)) or _is_armored(message.body)


def _is_armored(body: Body | None) -> bool:
    if body is None or _ARMOR not in body.content:
        return False
    return (_ARMORED_HTML if body.html else _ARMORED_TEXT).search(body.content) is not None


def _is_hidden(message: Message) -> bool:
    """Whether its sender hides all of the text: nobody would see a notice in it. Style sheets are not looked at."""
    if message.body is None or not message.body.html:
        return False
    html = message.body.content
    # To cut a long text into tokens takes a while: only where such a tag hides, if it is none in a comment.
    alone = (token_at(html, found.start()) for found in _WHOLE.finditer(html))
    return any(_hides(html, each) for each in alone) and any(_hides(html, each) for each in tokens(html))


def _hides(html: str, token: Token) -> bool:
    if token.kind is Kind.LOST:  # There may be such a tag in it, or none.
        return _WHOLE.search(html, token.start) is not None
    if token.kind is not Kind.START or token.name not in {"html", "body"}:
        return False
    told = attributes(html, token)
    style = _COMMENT.sub("", unescaped(told.get("style", "")))
    return "hidden" in told or _HIDDEN.search(style) is not None


def _is_inline(file: File) -> bool:
    """Listings come without bodies, so nobody can see which images the body shows by `cid:`.

    Outlook does not flag all that it shows; an image with a Content-ID is taken for one that is shown.
    """
    kind = _plain(file.content_type)
    unsaid = kind in ("", "application/octet-stream")
    image = kind.startswith("image/") or (unsaid and file.name.casefold().endswith(_IMAGES))
    return file.inline or (bool(file.content_id) and image)


#: In this order: the first that holds is the one that a verdict names.
_OF_MESSAGES: tuple[tuple[str, Callable[[Message], bool], str], ...] = (
    ("draft", lambda message: message.draft, "the message is a draft"),
    (
        "sensitivity",
        lambda message: message.sensitivity.casefold() != "normal",
        "the message is marked personal, private or confidential",
    ),
    ("journal", lambda message: "x-ms-journal-report" in message.headers, "the message is a journal report"),
    ("report", _is_report, "the message is a delivery or read report"),
    ("calendar", _is_calendar, "the message belongs to a calendar"),
    ("rights-managed", _is_rights_managed, "the message is rights-managed"),
    ("signed", _is_signed, "the message is signed"),
    ("encrypted", _is_encrypted, "the message is encrypted, or signed in one piece"),
    ("partial", _is_part_of_a_message, "the message is one part of a longer one"),
    ("pgp", _is_pgp, "the message, or a file of it, is encrypted or signed with PGP"),
    ("hidden", _is_hidden, "the text of the message is hidden, and links in it would be, too"),
    (
        "class",
        lambda message: _class(message) != ["ipm", "note"],
        "the class of the message is not that of ordinary mail",
    ),
)
_OF_FILES: tuple[tuple[str, Callable[[File], bool], str], ...] = (
    ("reference", lambda file: file.kind is FileKind.REFERENCE, "the file is only a link already"),
    ("inline", _is_inline, "the file is an image that the body shows"),
)
