"""What should happen to real mail, counted by a parser that shares no code with the connector.

`python -m tests.corpus.independent` writes `expected.tsv` beside this file: for each message of the sample mail how
many files would be redirected, and how many kept by which guard, under the policy "redirect every file that has bytes".
It reads MIME with Python's `email` and imports nothing of the connector: neither its policy, nor a source, nor the
simulator. The definitions that it counts by stand at the top of the table.
"""

import csv
import email
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

TABLE = Path(__file__).with_name("expected.tsv")

OF_MESSAGES = (
    *("sensitivity", "journal", "report", "calendar", "rights-managed"),
    *("signed", "encrypted", "partial", "pgp"),
)
OF_FILES = ("nested", "inline", "tnef")
COLUMNS = ("file", "files", "redirected", "empty", *OF_MESSAGES, *OF_FILES)

DEFINITIONS = """\
What becomes of each message of the sample mail under the policy "redirect every file of more than 0 bytes".
Written by tests/corpus/independent.py; counts and file names of the samples only.

file            the sample, as INDEX.tsv names it; one file is one message, also where it is an mbox of several
files           attachments as Exchange presents the message; always the sum of all columns after it
redirected      files that no guard keeps and that have content
empty           files that no guard keeps and whose decoded content has no byte; EWS announces more than 0 bytes for
                these too (the size of an attachment includes its properties), so over EWS they are redirected
sensitivity     files of a message whose header Sensitivity says Personal, Private or Company-Confidential
journal         files of a message with a header X-MS-Journal-Report
report          files of a multipart/report, of whatever report-type
calendar        files of a message that has a text/calendar part of its own (not one inside an attached message)
rights-managed  files of a message with a part message.rpmsg, or with the content class rpmsg.message
signed          files of a multipart/signed, or of a message with a signature among its files, such as that of PKCS #7
encrypted       files of an application/pkcs7-mime (opaque signatures too) or multipart/encrypted, or of a message with
                such a part or a smime.p7m among its files
partial         files of a message/partial
pgp             files of a message with a line -----BEGIN PGP in its text, with a file named *.asc, *.gpg or *.pgp, or
                of the types application/pgp, application/pgp-keys, application/autocrypt-setup
nested          attached messages (message/rfc822); what they hold is not counted
inline          files that the HTML body refers to by cid:, or that stand in a multipart/related with a Content-ID or
                Content-Location and no disposition of attachment, or images with a Content-ID
tnef            winmail.dat, by its name or type
The guards stand in their order: a file counts once, under the first that fits; those of messages keep all files.

How Exchange presents a message, as far as it matters here:
  application/pkcs7-mime at the top, and multipart/signed with an S/MIME signature, are one file (smime.p7m).
  The body is the first text/plain, text/html or text/enriched without a name and without a disposition of attachment.
  Of a multipart/alternative only the richest of them is left (HTML, then plain text, then enriched; the first of
  equals); its alternatives without any text are files. A text/calendar alternative, or one that is the whole message,
  with a method of a meeting (REQUEST, REPLY, CANCEL, COUNTER) is the meeting, not a file.
  A multipart that has no parts is text, and the body where there is none yet.
  Everything else is a file, the second text of a multipart/mixed too. Text in uuencode stays text; TNEF stays TNEF.
"""

_CALENDAR = "text/calendar"
_MEETING = re.compile(rb"^method:\s*(request|reply|cancel|counter)\b", re.IGNORECASE | re.MULTILINE)
_PKCS7 = {"application/pkcs7-mime", "application/x-pkcs7-mime"}
_SIGNATURES = {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
_PGP = {"application/pgp", "application/pgp-keys", "application/autocrypt-setup"}
_ARMOR = re.compile(rb"^\s*-----BEGIN PGP ", re.MULTILINE)
_RICHEST_FIRST = ("text/html", "text/plain", "text/enriched")
_IMAGE_NAMES = re.compile(r"\.(png|jpe?g|gif|bmp|svg|webp|tiff?|emf|wmf|heic)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """An attachment, as Exchange would list it."""

    part: Message
    related: bool = False

    @property
    def kind(self) -> str:
        """Its media type, in lower case."""
        return self.part.get_content_type()

    @property
    def name(self) -> str:
        """Its name in lower case; "" where it has none."""
        return name_of(self.part).lower()

    @property
    def cid(self) -> str:
        """Its Content-ID without brackets."""
        return str(self.part.get("Content-ID", "")).strip("<> \r\n\t")


def name_of(part: Message) -> str:
    """The name that a part gives itself, its encoded words as they are."""
    try:
        return part.get_filename("")
    except (LookupError, ValueError):
        return ""


def samples(folder: Path) -> Iterator[str]:
    """The names of all samples that are mail."""
    with (folder / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        yield from (
            row["file"] for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE) if row["kind"] == "eml"
        )


def row_of(folder: Path, sample: str) -> list[str]:
    """The line of the table for one sample."""
    counts = judged(email.message_from_bytes((folder / sample).read_bytes()))
    return [sample, str(counts.total()), *(str(counts[column]) for column in COLUMNS[2:])]


def judged(message: Message) -> Counter[str]:
    """How many files of this message end in which column."""
    body, files = presented(message)
    guard = guard_of(message, files)
    return Counter(guard or fate(each, body) for each in files)


def guard_of(message: Message, files: list[Found]) -> str | None:
    """The guard that keeps the whole message, if one does."""
    top = message.get_content_type()
    kinds = {each.kind for each in files}
    names = {each.name for each in files}
    held = {
        "sensitivity": str(message.get("Sensitivity", "")).lower() in {"personal", "private", "company-confidential"},
        "journal": "X-MS-Journal-Report" in message,
        "report": top == "multipart/report",
        "calendar": any(part.get_content_type() == _CALENDAR for part in own_parts(message)) and not sealed(message),
        "rights-managed": "message.rpmsg" in names or message.get("Content-Class") == "rpmsg.message",
        "signed": top == "multipart/signed" or bool(kinds & _SIGNATURES) or "smime.p7s" in names,
        "encrypted": bool(({top} | kinds) & (_PKCS7 | {"multipart/encrypted", "application/pgp-encrypted"}))
        or "smime.p7m" in names,
        "partial": "message/partial" in {top} | kinds,
        "pgp": bool(({top} | kinds) & _PGP)
        or any(name.endswith((".asc", ".gpg", ".pgp")) for name in names)
        or any(_ARMOR.search(content(part)) for part in own_parts(message) if is_text(part)),
    }
    return next((guard for guard in OF_MESSAGES if held[guard]), None)


def fate(file: Found, body: bytes) -> str:
    """Where a file counts that no guard of its message keeps."""
    if file.kind == "message/rfc822":
        return "nested"
    if shown(file, body):
        return "inline"
    if file.kind in {"application/ms-tnef", "application/vnd.ms-tnef"} or file.name == "winmail.dat":
        return "tnef"
    return "redirected" if content(file.part) else "empty"


def shown(file: Found, body: bytes) -> bool:
    """Whether the body shows it, or seems to."""
    located = bool(file.cid or file.part.get("Content-Location"))
    unnamed = file.kind == "application/octet-stream"
    image = file.kind.startswith("image/") or (unnamed and bool(_IMAGE_NAMES.search(file.name)))
    return bool(
        (file.related and located and file.part.get_content_disposition() != "attachment")
        or (file.cid and image)
        or (file.cid and f"cid:{file.cid}".lower().encode("utf-8", "replace") in body.lower())
    )


def sealed(message: Message) -> bool:
    """S/MIME: the parts inside are nobody's business but the reader's."""
    kind = message.get_content_type()
    protocol = str(message.get_param("protocol", "")).lower()
    return kind in _PKCS7 or (kind == "multipart/signed" and "pkcs7-signature" in protocol)


def presented(message: Message) -> tuple[bytes, list[Found]]:
    """The HTML body (empty where the body is text), and the attachments."""
    if sealed(message):
        return b"", [Found(message)]
    leaves = list(unfolded(message, related=False, meeting=True))
    texts = [leaf for leaf in leaves if is_text(leaf.part) or leaf.kind.startswith("multipart/")]
    files = [leaf for leaf in leaves if leaf not in texts[:1]]
    return (content(texts[0].part) if texts and texts[0].kind == "text/html" else b""), files


def unfolded(part: Message, *, related: bool, meeting: bool) -> Iterator[Found]:
    """The leaves of a message that count, without the poorer alternatives and without the meeting itself."""
    inner = children(part)
    if part.get_content_maintype() == "multipart" and inner:
        alternative = part.get_content_type() == "multipart/alternative"
        related |= part.get_content_type() == "multipart/related" and not alternative
        for each in best_of(inner) if alternative else inner:
            yield from unfolded(each, related=related and not alternative, meeting=alternative)
    elif not (meeting and is_meeting(part)):
        yield Found(part, related)


def best_of(alternatives: list[Message]) -> list[Message]:
    """The richest alternative, and all that hold no text."""
    ranks = [rank(each) for each in alternatives]
    best = min(ranks)
    return [each for at, each in enumerate(alternatives) if ranks[at] == len(_RICHEST_FIRST) or at == ranks.index(best)]


def rank(part: Message) -> int:
    """0 for the richest text; one more than the poorest where there is no text at all."""
    inside = [leaf for leaf in own_parts(part) if leaf.get_content_disposition() != "attachment"]
    kinds = {leaf.get_content_type() for leaf in inside}
    return next((at for at, kind in enumerate(_RICHEST_FIRST) if kind in kinds), len(_RICHEST_FIRST))


def own_parts(part: Message) -> Iterator[Message]:
    """All leaves but those of attached messages."""
    inner = children(part)
    if part.get_content_maintype() == "multipart" and inner:
        for each in inner:
            yield from own_parts(each)
    else:
        yield part


def is_text(part: Message) -> bool:
    """Whether a part may be the body."""
    attached = part.get_content_disposition() == "attachment" or name_of(part)
    return part.get_content_type() in _RICHEST_FIRST and not attached


def is_meeting(part: Message) -> bool:
    """Whether a part makes its message a meeting."""
    attached = part.get_content_disposition() == "attachment"
    return part.get_content_type() == _CALENDAR and not attached and bool(_MEETING.search(content(part)))


def children(part: Message) -> list[Message]:
    """The parts of a multipart, or what a message/* part holds."""
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def content(part: Message) -> bytes:
    """The decoded bytes; for parts that hold parts: all of them."""
    if part.is_multipart():
        return b"".join(bytes(each) for each in children(part))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def folder_of_samples() -> Path:
    """Where the sample mail is: CONNECTOR_TEST_DATA, or beside the project."""
    default = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("CONNECTOR_TEST_DATA") or default) / "mail"


def table(folder: Path) -> str:
    """The whole table: the definitions as comments, one line a message, the sums."""
    rows = [row_of(folder, sample) for sample in sorted(samples(folder))]
    sums = [str(sum(int(row[at]) for row in rows)) for at in range(1, len(COLUMNS))]
    text = io.StringIO()
    text.writelines(f"# {line}".rstrip() + "\n" for line in DEFINITIONS.splitlines())
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(
        [COLUMNS, *rows, [f"= {len(rows)} messages", *sums]]
    )
    return text.getvalue()


if __name__ == "__main__":
    TABLE.write_text(table(folder_of_samples()), encoding="utf-8")
