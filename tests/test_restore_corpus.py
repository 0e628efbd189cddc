"""The messages of the sample mail redirected and restored: its owner finds what was delivered, over SOAP and IMAP.

`pytest -n 0 -rP tests/test_restore_corpus.py` shows the result by the quirks of the messages, as INDEX.tsv tags them.
"""

import csv
import imaplib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from lxml import etree

from connector.simulator import Exchange
from tests import test_pipeline_corpus as corpus
from tests.exchange import Element, Login, code, setting
from tests.pipeline import Pipeline

samples, pipeline = corpus.samples, corpus.pipeline

#: What is not as before in a restored message, and why; over the whole sample mail there is no other difference.
REMAINING = {
    "ItemId": "the change key differs after every write",
    "LastModifiedTime": "the message was written",
    "IsUnmodified": "the message was written",
    "Attachment.AttachmentId": "Exchange gives whatever is attached an id of its own",
    "Attachment.LastModifiedTime": "Exchange dates whatever is attached",
    "order of attachments": "what was put back stands behind what had stayed",
}

_ALL = (
    "<t:BodyType>Best</t:BodyType><t:AdditionalProperties>"
    '<t:ExtendedFieldURI PropertySetId="0f6d0a5e-3d2f-4c6b-9a57-6f0a4e1c7b92" PropertyName="ConnectorMarker"'
    ' PropertyType="String"/></t:AdditionalProperties>'
)
_FLAGGED = setting("item:Flag", "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>")


@dataclass(frozen=True)
class Look:
    """A message in plain SOAP: all its properties, our marker too, and those of its attachments with their bytes."""

    properties: Mapping[str, bytes]
    files: tuple[Mapping[str, bytes], ...]


@dataclass(frozen=True)
class Fetched:
    """A message over IMAP."""

    flags: frozenset[bytes]
    mime: bytes


@pytest.fixture
def mail(samples: Path) -> dict[str, str]:
    """Every second sample of which something is redirected, and some of the others, with its mailbox."""
    every = corpus.mailboxes(samples)
    moved = {sample for sample, count in corpus._table().items() if count["redirected"]}
    return {sample: every[sample] for number, sample in enumerate(every) if number % (2 if sample in moved else 8) == 0}


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Without the judge: what is said here is judged elsewhere, and the schema would take much of the time."""
    with Exchange() as exchange:
        yield exchange


def test_the_corpus_comes_back(pipeline: Pipeline, samples: Path, mail: dict[str, str], davmail: Login) -> None:
    """Nothing but what is listed differs, and a restored message is not redirected again."""
    items = {sample: pipeline.deliver((samples / sample).read_bytes(), mail[sample]) for sample in mail}
    _use(pipeline, items, mail)
    delivered, fetched = _looks(pipeline, items, mail), _fetched(pipeline, mail, davmail)
    table = corpus._table()
    expected = {sample: moved for sample in mail if (moved := table[sample]["redirected"])}

    fresh = _versions(pipeline, items, mail)
    pipeline.run("once", code=0)
    redirected = _versions(pipeline, items, mail)
    assert {sample for sample in mail if redirected[sample] != fresh[sample]} == expected.keys()
    shown = _fetched(pipeline, mail, davmail)
    assert {sample for sample in mail if shown[sample] != fetched[sample]} == expected.keys()

    assert pipeline.run("restore", "--everything", "--json", code=0).json["files"] == sum(expected.values())
    pipeline.run("once", code=0)
    summary = pipeline.run("once", "--json", code=0, hours=1).json
    assert sum(mailbox["restored"] for mailbox in summary["mailboxes"]) == len(expected)
    restored = _versions(pipeline, items, mail)
    assert {sample for sample in mail if restored[sample] != redirected[sample]} == expected.keys()

    found = {sample: _differences(delivered[sample], look) for sample, look in _looks(pipeline, items, mail).items()}
    assert set().union(*found.values()) == REMAINING.keys(), found
    assert {sample for sample in mail if found[sample]} == expected.keys()
    back = _fetched(pipeline, mail, davmail)
    kinds = {sample: _kind(fetched[sample], back[sample]) for sample in mail}
    _print_table(_tags(samples, mail), expected, kinds, found)
    assert {sample for sample in mail if kinds[sample] == "different"} == set()
    # Over IMAP, pictures in the text and attachments each have a place of their own.
    reordered = {sample for sample in mail if kinds[sample] == "reordered"}
    assert reordered <= {sample for sample in mail if "order of attachments" in found[sample]}

    assert pipeline.run("once", "--json", code=0, hours=1).json == summary
    assert _versions(pipeline, items, mail) == restored


def _use(pipeline: Pipeline, items: Mapping[str, str], mail: Mapping[str, str]) -> None:
    """Users have read some messages and put them into a category, and flagged others."""
    for sample in list(mail)[::3]:
        corpus._use(pipeline, items[sample], mail[sample])
    for sample in list(mail)[::2]:
        assert code(pipeline.owner(mail[sample]).update(items[sample], _FLAGGED)) == "NoError"


# --- in plain SOAP ------------------------------------------------------------------------------------------------


def _versions(pipeline: Pipeline, items: Mapping[str, str], mail: Mapping[str, str]) -> dict[str, str]:
    """What differs after every write, whatever it wrote."""
    return {sample: pipeline.owner(mail[sample]).change_key(items[sample]) for sample in mail}


def _looks(pipeline: Pipeline, items: Mapping[str, str], mail: Mapping[str, str]) -> dict[str, Look]:
    return {sample: _look(pipeline, items[sample], mail[sample]) for sample in mail}


def _look(pipeline: Pipeline, item: str, mailbox: str) -> Look:
    (found,) = pipeline.owner(mailbox).item(item, more=_ALL).iterfind(".//{*}Items/*")
    properties = _children(found)
    properties.pop("Attachments", None)
    listed = (_children(each) for each in found.iterfind("{*}Attachments/*"))
    contents = pipeline.see(item, mailbox).contents
    files = (file | {"Content": content} for file, content in zip(listed, contents, strict=True))
    return Look(properties, tuple(files))


def _children(element: Element) -> dict[str, bytes]:
    return {
        etree.QName(each).localname: etree.tostring(each, method="c14n", exclusive=True, with_tail=False)
        for each in element
    }


def _differences(before: Look, after: Look) -> set[str]:
    """The kinds of difference, by the names of properties."""
    assert len(after.files) == len(before.files)
    found = _changed(before.properties, after.properties)
    if list(map(_what, before.files)) != list(map(_what, after.files)):
        found.add("order of attachments")
    for old, new in zip(sorted(before.files, key=_what), sorted(after.files, key=_what), strict=True):
        found |= {f"Attachment.{name}" for name in _changed(old, new)}
    return found


def _changed(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _what(file: Mapping[str, bytes]) -> tuple[bytes, ...]:
    """By which a user knows it."""
    return file["Name"], file.get("ContentId", b""), file["Content"]


# --- over IMAP ----------------------------------------------------------------------------------------------------


def _fetched(pipeline: Pipeline, mail: Mapping[str, str], login: Login) -> dict[str, Fetched]:
    """Of every message its flags, and its MIME byte for byte. A mailbox tells them in the order of their arrival."""
    fetched: dict[str, Fetched] = {}
    for account in pipeline.exchange.accounts:
        arrived = [sample for sample, mailbox in mail.items() if mailbox == account["mailbox"]]
        if arrived:
            client = login(account)
            client.select("INBOX", readonly=True)
            _, answers = client.fetch("1:*", "(FLAGS BODY.PEEK[])")
            parts = [Fetched(_flags(each[0]), each[1]) for each in answers if isinstance(each, tuple)]
            fetched |= dict(zip(arrived, parts, strict=True))
    return fetched


def _kind(before: Fetched, after: Fetched) -> str:
    """How a message came back: equal to the byte; equal but for the order of its parts; or different."""
    if before == after:
        return "equal"
    alike = before.flags == after.flags and _parts(before.mime) == _parts(after.mime)
    return "reordered" if alike else "different"


def _flags(told: bytes) -> frozenset[bytes]:
    """Without the one that is about the session (RFC 3501 section 2.3.2)."""
    return frozenset(imaplib.ParseFlags(told)) - {b"\\Recent"}


def _parts(mime: bytes) -> list[bytes]:
    """What the outermost boundary parts, the headers of the message among it."""
    boundary = message_from_bytes(mime).get_boundary()
    return sorted(mime.split(b"--" + boundary.encode())) if boundary else [mime]


# --- by quirks ----------------------------------------------------------------------------------------------------


def _tags(samples: Path, mail: Mapping[str, str]) -> dict[str, list[str]]:
    """The samples that have each tag of INDEX.tsv."""
    with (samples / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        rows = {
            row["file"]: row["tags"].split() for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE)
        }
    tags = sorted({tag for sample in mail for tag in rows[sample]})
    return {tag: [sample for sample in mail if tag in rows[sample]] for tag in tags} | {"all of them": list(mail)}


def _print_table(
    tags: Mapping[str, list[str]],
    redirected: Mapping[str, int],
    kinds: Mapping[str, str],
    found: Mapping[str, set[str]],
) -> None:
    """What came back how: over IMAP for each tag, over SOAP for each cause."""
    columns = ("equal", "reordered", "different")
    lines = [f"{'tag':24}{'messages':>10}{'redirected':>12}" + "".join(f"{column:>12}" for column in columns)]
    for tag, tagged in tags.items():
        there = [sample for sample in tagged if sample in redirected]
        counts = Counter(kinds[sample] for sample in there)
        lines.append(f"{tag:24}{len(tagged):10}{len(there):12}" + "".join(f"{counts[each]:12}" for each in columns))
    for property_, cause in REMAINING.items():
        lines.append(f"{sum(property_ in each for each in found.values()):6} messages differ in {property_}: {cause}")
    print("\n".join(lines))  # noqa: T201 - for whoever asks for it
