"""Real mail of many origins becomes items that pass Microsoft's schema, and comes out of them byte for byte."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.simulator import Exchange
from connector.simulator.mailbox import Message
from connector.simulator.mime_export import mime_of, stream
from connector.simulator.mime_import import message_of
from tests.exchange import Judge, Owner, code, said, test_data
from tests.test_kinds import KEPT, ODD

_WHOLE = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"


def _corpus() -> list[Path]:
    index = test_data("mail", "INDEX.tsv")
    if index is None:
        return []
    with index.open(encoding="utf-8") as lines:
        return [index.parent / row["file"] for row in csv.DictReader(lines, delimiter="\t") if row["kind"] == "eml"]


def test_every_real_message_can_be_fetched(exchange: Exchange, anna: Owner, judge: Judge) -> None:
    """Each message of the corpus is an item with all its properties, its files and its MIME."""
    corpus = _corpus()
    if not corpus:
        pytest.skip("the mail corpus is not at hand (CONNECTOR_TEST_DATA)")
    for eml in corpus:
        item = anna.item(exchange.deliver("anna@example.org", eml.read_bytes()), more=_WHOLE)
        assert code(item) == "NoError", eml
        files = said(item, "t:AttachmentId")
        if files:
            got = anna.attachments(*files)
            assert {each.text for each in got.iter("{*}ResponseCode")} == {"NoError"}, eml
    assert len(corpus) > 200
    assert judge.judged > len(corpus)


def test_real_mail_comes_out_as_it_went_in() -> None:
    """Imported from the MIME that it gave, each message has the same body, and the same bytes in the same files."""
    corpus = _corpus()
    if not corpus:
        pytest.skip("the mail corpus is not at hand (CONNECTOR_TEST_DATA)")
    for eml in corpus:
        first = message_of(eml.read_bytes())
        second = message_of(b"".join(stream(mime_of(first))))
        assert second.subject == first.subject, eml
        assert sorted(_files(second)) == sorted(_files(first)), eml
        if "SMIME" not in first.item_class:  # of signed mail the signed bytes count, whose lines end in CR LF
            assert second.body == first.body, eml


@pytest.mark.parametrize("name", [*KEPT, *ODD])
def test_odd_mail_comes_out_as_it_went_in(name: str) -> None:
    """The same for what no sample has: unknown charsets, broken encodings, no body, sealed and partial messages."""
    first = message_of((KEPT | ODD)[name][0])
    second = message_of(b"".join(stream(mime_of(first))))
    assert (second.subject, sorted(_files(second))) == (first.subject, sorted(_files(first)))
    if "SMIME" not in first.item_class:
        assert second.body == first.body


def _files(message: Message) -> Iterator[tuple[str, bytes]]:
    for attachment in message.attachments:
        yield attachment.name, b"".join(attachment.content.chunks()) if attachment.content else b""
