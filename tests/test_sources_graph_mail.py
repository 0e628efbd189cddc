"""The Graph source keeps the laws over real HTTP, against the simulated Microsoft 365.

The user acts in plain HTTP, and where it matters EWS looks at the same mailbox. Every request and reply is held against
Microsoft's description of Graph.
"""

import base64
import io
import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from connector.checks.probe import try_put_back
from connector.config.loading import load
from connector.daemon.service import Daemon
from connector.errors import Conflict, Denied, PartUnread, Rejected, Unavailable
from connector.ledger import Ledger
from connector.model import File, FileKind, Message, Page
from connector.simulator import Deviation, Exchange
from connector.simulator.deviations import OF_GRAPH
from connector.simulator.graph.message import Reply, Request
from connector.sources.ews import EwsMailbox
from connector.sources.graph.connection import Reply as GraphReply
from connector.sources.graph.failures import Grief
from connector.sources.graph_mail import GraphMailbox
from connector.sources.memory import Attached
from connector.spool import spooled
from tests import ews
from tests.crash.wire_observer import broken, stored, through_exchangelib, unfinished
from tests.crash.wire_world import letter
from tests.crash.wire_world import world as wire_world
from tests.ews import ANNA, eml
from tests.graph import GraphJudge
from tests.graph_mail import GraphUser, settings
from tests.laws.sources import HTML, LOGO, REPORT, SourceLaws, notice, read, reported
from tests.servers import DavServer


@pytest.fixture(autouse=True)
def _secrets(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds the secret of the app, and the password of the account for EWS."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])


@pytest.fixture
def world(exchange: Exchange) -> GraphUser:
    """The mailbox and its owner."""
    return GraphUser(exchange)


@pytest.fixture
def source(exchange: Exchange, world: GraphUser) -> GraphMailbox:
    """The adapter, with two items a page."""
    return mailbox(exchange)


def mailbox(exchange: Exchange, **more: Any) -> GraphMailbox:
    """The adapter, by what an administrator wrote."""
    return GraphMailbox(ANNA, partial(settings(exchange, **more).connect, ANNA), page_size=2)


class TestGraphMailbox(SourceLaws):
    """The laws."""


#: Under the one that is left out, no message can be read at all.
USABLE = sorted(OF_GRAPH - {Deviation.TOO_COMPLEX})


# --- what is only inferred -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", [*([each] for each in USABLE), USABLE], ids=str)
def test_what_is_inferred_may_be_otherwise(
    exchange: Exchange, world: GraphUser, source: GraphMailbox, switches: list[Deviation]
) -> None:
    """A whole redirect and its undo, and what the user did meanwhile is never overwritten."""
    exchange.order(deviate=dict.fromkeys(switches, True))
    item_id = world.deliver(REPORT, LOGO, html=HTML)
    rest = world.rest(item_id)
    *_, last = source.changes(None)
    stale = source.fetch(item_id)
    world.edit_body(item_id, HTML.replace("sse", "SSE"))
    with pytest.raises(Conflict):
        source.rewrite(stale, notice())
    assert reported(source.changes(last.cursor)) == {item_id}
    item = source.fetch(item_id)
    source.rewrite(item, notice())
    shown = source.fetch(item_id)
    (report,) = (file for file in shown.files if not file.inline)
    source.prune(shown, [report.id])
    pruned = source.fetch(item_id)
    assert [file.name for file in pruned.files] == [LOGO.name]
    assert [each.id for each in source.find("RX7Q2")] == [world.move(item_id, "Projects/2026")]
    with spooled(io.BytesIO(REPORT.content)) as spool:
        source.put_back(source.fetch(item_id), report, spool)
    source.retract(source.fetch(item_id), "RX7Q2")
    after = source.fetch(item_id)
    assert (after.body, after.marker, after.folder) == (item.body, "", "Projects/2026")
    assert sorted(repr(each) for each in rest_of(world.rest(item_id))) == sorted(repr(each) for each in rest_of(rest))


def rest_of(rest: Any) -> list[Any]:
    """In any order: a file that comes back stands at the end."""
    told, files = rest
    return [*told, *files]


def test_conflicts_without_a_cause(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Exchange Online tells of a conflict at random: each is one, and the next attempt is as good as the first."""
    exchange.order(conflicts={"share": 0.5, "seed": 3})
    for _ in range(5):
        item_id = world.deliver(REPORT, html=HTML)
        attempts = 0
        while source.fetch(item_id).files:
            attempts += 1
            assert attempts < 50
            try:
                source.rewrite(source.fetch(item_id), notice())
                shown = source.fetch(item_id)
                source.prune(shown, [file.id for file in shown.files])
            except Conflict:
                continue
        assert source.fetch(item_id).marker == notice().marker


# --- what Graph adds to the laws -------------------------------------------------------------------------------------


def test_requests_per_message(exchange: Exchange, world: GraphUser) -> None:
    """What a message costs, in requests.

    A pass over a mailbox in which nothing happened: one for the folders, and one for each 20 of them. One more for each
    20 new messages. Per message: one fetch, one for the bytes of each file, two to rewrite; then one that reads back,
    and two to prune.
    """
    source = settings(exchange).source(ANNA)

    def cost(verb: Callable[[], Any]) -> list[str]:
        before = len(exchange.seen)
        verb()
        return exchange.seen[before:]

    pages = list(source.changes(None))
    idle = cost(lambda: pages.extend(source.changes(pages[-1].cursor)))
    assert idle == ["GET mailFolders/delta", "POST $batch"]
    ids = [world.deliver(REPORT, html=HTML) for _ in range(20)]
    new = cost(lambda: pages.extend(source.changes(pages[-1].cursor)))
    assert new == [*idle, "POST $batch"]
    items = []
    assert cost(lambda: items.append(source.fetch(ids[0]))) == ["GET messages"]
    assert cost(lambda: read(source, items[0], "report.pdf")) == ["GET attachments/$value"]
    assert cost(lambda: source.rewrite(items[0], notice())) == ["GET messages", "PATCH messages"]
    assert cost(lambda: items.append(source.fetch(ids[0]))) == ["GET messages"]
    assert cost(lambda: source.rewrite(items[1], notice())) == []
    pruned = cost(lambda: source.prune(items[1], [file.id for file in items[1].files]))
    assert pruned == ["GET messages", "DELETE attachments"]


def test_a_mailbox_that_moves_keeps_its_redirects(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """On premises and in the cloud it has one key, one marker and one shelf; only the feed begins anew."""
    before = EwsMailbox(ANNA, partial(ews.settings(exchange).connect, ANNA))
    assert uuid.UUID(source.key)
    assert source.key == before.key
    exchange.deliver(ANNA, eml(REPORT, html=HTML))
    *_, last = before.changes(None)
    (seen,) = (item for page in before.changes(None) for item in page.items)
    before.rewrite(before.fetch(seen.id), notice())
    before.stage(seen.id, "RX7Q2")
    assert reported(source.changes(last.cursor)) == world.ids()
    (found,) = source.find("RX7Q2")
    item = source.fetch(found.id)
    assert (item.marker, item.body) == (notice().marker, before.fetch(seen.id).body)
    assert [file.name for shelved in source.shelf("RX7Q2") for file in shelved.files] == ["report.pdf"]
    for name in ("internet_message_id", "subject", "sender", "recipients", "received", "direction", "headers"):
        assert getattr(item, name) == getattr(before.fetch(seen.id), name), name
    source.retract(item, "RX7Q2")
    assert (before.fetch(seen.id).marker, before.find("RX7Q2")) == ("", ())


def test_what_the_house_says_of_a_message(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Its sensitivity label, by the header or by the property that sent mail has; its retention tag."""
    other, ours = (f"{digit * 8}-1111-2222-3333-444455556666" for digit in "ab")
    label = f"MSIP_Label_{other}_Enabled=False;MSIP_Label_{ours.upper()}_Enabled=True;MSIP_Label_{ours}_Name=Secret"
    exchange.deliver(ANNA, f"msip_labels: {label}\r\n".encode() + eml(REPORT))
    (received,) = world.ids()
    sent = world.deliver(REPORT, folder="Sent Items")
    tag = base64.b64encode(uuid.UUID(ours).bytes_le).decode()
    kept = [
        {"id": "String {00020386-0000-0000-C000-000000000046} Name msip_labels", "value": label},
        {"id": "Binary 0x3019", "value": tag},
    ]
    world.ask("PATCH", f"/messages/{quote(sent, safe='')}", {"singleValueExtendedProperties": kept})
    told = {item.id: item for page in source.changes(None) for item in page.items}
    for found in (told[received], told[sent], source.fetch(sent)):
        assert isinstance(found, Message)
        assert (found.label, found.retention_tag) == (ours, "" if found.id == received else ours)


def test_bodies_are_read_and_written_as_they_are(world: GraphUser, source: GraphMailbox) -> None:
    """What Graph would clean away before it shows a body is not cleaned away by us."""
    html = (
        '<html><head><!--[if gte mso 9]><xml></xml><![endif]--></head><body onload="x()" data-x="1">\r\n'
        "<script>y()</script><p>Hi</p></body></html>\r\n"
    )
    item = source.fetch(world.deliver(REPORT, html=html))
    assert item.body
    assert item.body.content == html
    source.rewrite(item, notice())
    source.retract(source.fetch(item.id), "RX7Q2")
    assert source.fetch(item.id).body == item.body


def test_a_big_file_comes_back(world: GraphUser, source: GraphMailbox, graph_judge: GraphJudge) -> None:
    """In parts, to an address that opens by itself: it never gets our token."""
    content = random.Random(5).randbytes(9_000_001)
    item = source.fetch(world.deliver(Attached("big.bin", content, content_id="x@example.org"), html=HTML))
    (file,) = item.files
    source.prune(item, [file.id])
    with spooled(io.BytesIO(content)) as spool:
        source.put_back(source.fetch(item.id), file, spool)
    back = source.fetch(item.id)
    assert [(each.name, each.content_type, each.content_id) for each in back.files] == [
        (file.name, file.content_type, file.content_id)
    ]
    assert read(source, back, "big.bin") == content


@pytest.mark.parametrize("switches", [{}, {Deviation.OVERLAPPING_UPLOADS: True}])
def test_a_file_of_any_size_comes_back(
    exchange: Exchange, world: GraphUser, source: GraphMailbox, switches: dict[str, bool]
) -> None:
    """Wherever the server lets one request end and an upload session begin."""
    exchange.order(deviate=switches)
    sizes = (3_000_000, 3_000_001, 3_145_611, 3_145_612, 3 * 2**20 - 1, 3 * 2**20)
    item = source.fetch(world.deliver(html=HTML))
    for size in sizes:
        with spooled(io.BytesIO(bytes(size))) as spool:
            source.put_back(item, File(id="", name=f"{size}.bin", size=size), spool)
    back = source.fetch(item.id)
    assert [len(read(source, back, f"{size}.bin")) for size in sizes] == list(sizes)


def test_what_is_too_big_for_one_request_goes_in_parts(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where it is too small for that too, the server has the last word, and nobody asks without end."""
    monkeypatch.setattr("connector.simulator.graph.attachments._AT_ONCE", 10_000)
    item = source.fetch(world.deliver(html=HTML))
    with spooled(io.BytesIO(bytes(10_001))) as spool:
        source.put_back(item, File(id="", name="x.bin", size=0), spool)
        assert read(source, source.fetch(item.id), "x.bin") == bytes(10_001)
        monkeypatch.setattr("connector.simulator.graph.attachments._SESSION", 20_000)
        monkeypatch.setattr("connector.simulator.graph.attachments._REQUEST", 10_000)
        world.exchange.order(deviate={Deviation.OVERLAPPING_UPLOADS: True})
        with pytest.raises(Rejected, match="nothing of this size"):
            source.put_back(item, File(id="", name="y.bin", size=0), spool)
    assert [file.name for file in source.fetch(item.id).files] == ["x.bin"]


def test_four_of_each_batch(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """The others are asked for in smaller lots, without one that comes twice; the mailbox moves on."""
    ids = {world.deliver(REPORT, folder=f"Projects/{number % 7}") for number in range(9)}
    exchange.order(deviate={Deviation.FOUR_OF_A_BATCH: True})
    pages = list(source.changes(None))
    assert reported(pages) == ids
    assert [each for page in pages for each in page.unread] == []
    before = len(exchange.seen)
    assert reported(source.changes(pages[-1].cursor)) == set()
    assert len(exchange.seen) - before < 8


def test_a_batch_in_which_some_have_to_wait(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks before it is time; then for fewer at once, until all of a page come."""
    ids = {world.deliver(REPORT, folder=f"Projects/{number % 7}") for number in range(9)}
    connection = source._connection
    answered = connection._lot
    waits = False

    def four(steps: Sequence[Any], prefer: Any) -> list[Any]:
        nonlocal waits
        assert not waits
        waits = len(steps) > 4
        return [*answered(steps, prefer)[:4], *(Unavailable("later", timedelta(seconds=1)) for _ in steps[4:])]

    monkeypatch.setattr(connection, "_lot", four)
    found: set[str] = set()
    turns = 0
    while not found:
        turns, waits = turns + 1, False
        with suppress(Unavailable):
            found = reported(source.changes(None))
    assert (found, turns) == (ids, 4)
    monkeypatch.setattr(connection, "_lot", answered)
    for _ in range(20):
        assert connection.together < 21
        list(source.changes(None))
    assert connection.together == 20


def test_a_cursor_of_long_ago(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Such as one out of a backup: where Graph no longer knows it, the feed starts again, and skips nothing."""
    exchange.order(deviate={Deviation.FOUR_GENERATIONS: True})
    ids = {world.deliver(REPORT)}
    *_, first = source.changes(None)
    last = first
    for _ in range(5):
        ids.add(world.deliver(REPORT))
        *_, last = source.changes(last.cursor)
    assert reported(source.changes(last.cursor)) == set()
    assert reported(source.changes(first.cursor)) == ids


def test_a_message_that_graph_refuses_to_show(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Passed over, it would stay as it is without a word: it is told, and looked at again, as one at which it fails."""
    item_id = world.deliver(REPORT)
    exchange.order(deviate={Deviation.TOO_COMPLEX: True})
    pages = [*source.changes(None), *source.recent(datetime(2000, 1, 1, tzinfo=UTC))]
    assert reported(pages) == set()
    assert [each for page in pages for each in page.unread] == [item_id, item_id]
    with pytest.raises(Unavailable, match="ErrorRestrictionTooComplex"):
        source.fetch(item_id)
    exchange.order(deviate={Deviation.TOO_COMPLEX: False})
    assert source.fetch(item_id).files


def test_nobody_sees_a_shelf_that_was_cleared(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Where the cloud can delete for good; elsewhere its folder lies among Deleted Items, and nothing is in it."""
    where = "/mailFolders/deleteditems/childFolders?includeHiddenFolders=true"
    for switches, left in ({}, []), ({Deviation.NO_PERMANENT_DELETE: True}, [("RX7Q2", 0)]):
        exchange.order(deviate=switches)
        source.purge([source.stage(world.deliver(REPORT), "RX7Q2")], "RX7Q2")
        assert source.shelf("RX7Q2") == ()
        told = world.ask("GET", where)["value"]
        assert [(each["displayName"], each["totalItemCount"]) for each in told] == left


def test_attached_messages_and_references(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """Of an attached message the MIME is handed out, and it cannot be put back; a reference has no bytes."""
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], inner["Message-ID"] = "Inner", "<inner@example.net>"
    inner.set_content("Hello")
    outer["From"], outer["Message-ID"] = "bert@example.net", "<outer@example.net>"
    outer.set_content("See below")
    outer.add_attachment(inner)
    before = world.ids()
    delivered = exchange.deliver(ANNA, outer.as_bytes())
    exchange.order(refer={"mailbox": ANNA, "item": delivered, "name": "plan.docx", "url": "https://example.org/plan"})
    (item_id,) = world.ids() - before
    item = source.fetch(item_id)
    attached, reference = item.files
    assert (attached.kind, reference.kind) == (FileKind.ITEM, FileKind.REFERENCE)
    with pytest.raises(Rejected, match="no content of its own"), source.open(item.id, reference.id):
        pass
    with source.open(item.id, attached.id) as stream:
        content = stream.read()
    assert b"<inner@example.net>" in content
    with spooled(io.BytesIO(content)) as spool, pytest.raises(Rejected, match="cannot be attached again"):
        source.put_back(item, attached, spool)


def test_inline_files_are_seen_although_graph_says_there_are_none(world: GraphUser, source: GraphMailbox) -> None:
    """`hasAttachments` is false where all of them are inline."""
    item_id = world.deliver(LOGO, html=HTML)
    (item,) = (item for page in source.changes(None) for item in page.items)
    assert (item.id, [file.name for file in item.files]) == (item_id, [LOGO.name])


def test_more_folders_than_a_batch_holds(world: GraphUser, source: GraphMailbox) -> None:
    """And messages in each of them."""
    ids = {world.deliver(REPORT, folder=f"Projects/{number}") for number in range(23)}
    pages = list(source.changes(None))
    assert reported(pages) == ids
    assert reported(source.changes(pages[-1].cursor)) == set()


def test_a_message_at_which_graph_fails_stops_none_of_the_others(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported as unread, also where it seems to be gone; where Graph has no time, nothing is."""
    broken_one, other = world.deliver(REPORT), world.deliver(REPORT)
    connection = source._connection
    batch = connection.batch
    status, headers = 0, dict[str, str]()

    def failing(paths: Sequence[str], **more: Any) -> list[Any]:
        failure = connection._part({"status": status, "body": {}, "headers": headers}, connection.party)
        answers = zip(paths, batch(paths, **more), strict=True)
        return [failure if quote(broken_one) in path else answer for path, answer in answers]

    monkeypatch.setattr(connection, "batch", failing)
    for each_of_them in (500, 404, 502, 503, 504):
        status = each_of_them
        pages = list(source.changes(None))
        assert reported(pages) == {other}
        assert [each for page in pages for each in page.unread] == [broken_one]
    status, headers = 503, {"Retry-After": "60"}
    with pytest.raises(Unavailable):
        list(source.changes(None))


class Failing:
    """Some steps of batches fail, whose paths hold one of these words."""

    def __init__(self, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.status, self.at = 500, set[str]()
        self._connection, self._batch = source._connection, source._connection.batch
        monkeypatch.setattr(source._connection, "batch", self)

    def __call__(self, paths: Sequence[str], **more: Any) -> list[Any]:
        """See `Connection.batch`."""
        failure = self._connection._part({"status": self.status, "body": {}}, self._connection.party)
        answers = zip(paths, self._batch(paths, **more), strict=True)
        return [failure if any(each in path for each in self.at) else answer for path, answer in answers]


@pytest.fixture
def failing(source: GraphMailbox, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Nothing fails yet."""
    return Failing(source, monkeypatch)


def told_in_part(source: GraphMailbox, cursor: str | None) -> tuple[set[str], str]:
    """What the feed reports before it ends with a part that is unread, and its cursor."""
    pages: list[Page] = []
    with pytest.raises(PartUnread, match="1 of "):
        pages.extend(source.changes(cursor))
    return reported(pages), pages[-1].cursor


def test_a_folder_at_which_graph_fails_stops_none_of_the_others(
    world: GraphUser, source: GraphMailbox, failing: Failing
) -> None:
    """All that is new in the others is told, and once it answers, what came there meanwhile; nothing twice."""
    broken_one = world.deliver(REPORT, folder="Broken")
    failing.at = {quote(world.folder("Broken")) + "/messages/delta"}
    other = world.deliver(REPORT)
    found, cursor = told_in_part(source, None)
    assert found == {other}
    failing.at = set()
    *pages, last = source.changes(cursor)
    assert reported(pages) == {broken_one}
    late, more = world.deliver(REPORT, folder="Broken"), world.deliver(REPORT)
    failing.at = {quote(world.folder("Broken")) + "/messages/delta"}
    found, cursor = told_in_part(source, last.cursor)
    assert found == {more}
    failing.at = set()
    assert reported(source.changes(cursor)) == {late}


def test_a_folder_whose_items_cannot_be_asked_for_is_told_again(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place in the feed moves on when they are read, and not before."""
    item_id, other = world.deliver(REPORT, folder="Broken"), world.deliver(REPORT)
    read = source._read

    def failing(ids: Iterable[str], **more: Any) -> Any:
        ids = list(ids)
        if item_id in ids:
            raise Grief("the server has trouble")
        return read(ids, **more)

    monkeypatch.setattr(source, "_read", failing)
    found, cursor = told_in_part(source, None)
    assert found == {other}
    monkeypatch.setattr(source, "_read", read)
    assert reported(source.changes(cursor)) == {item_id}


def test_a_message_at_which_graph_fails_stops_no_plan(world: GraphUser, source: GraphMailbox, failing: Failing) -> None:
    """It is counted as unread; where Graph refuses the app, nothing is."""
    broken_one, other = world.deliver(REPORT), world.deliver(REPORT)
    failing.at = {f"/messages/{quote(broken_one)}"}
    (page,) = source.recent(datetime(2000, 1, 1, tzinfo=UTC))
    assert ([item.id for item in page.items], page.unread) == ([other], (broken_one,))
    failing.status = 403
    with pytest.raises(Denied):
        list(source.recent(datetime(2000, 1, 1, tzinfo=UTC)))


def test_a_mailbox_whose_folders_all_fail_is_down(world: GraphUser, source: GraphMailbox, failing: Failing) -> None:
    """Nothing is read, and no more is said than that."""
    world.deliver(REPORT)
    failing.at = {"/messages/delta"}
    with pytest.raises(Grief):
        list(source.changes(None))


@pytest.mark.parametrize("status", [400, 500])
def test_a_folder_that_is_refused_stays_in_sight(
    world: GraphUser, source: GraphMailbox, failing: Failing, status: int
) -> None:
    """Under its name and in its place; or its mail would never be looked at, or mail that is to be left alone would."""
    source._skip = ["Private"]
    first = world.deliver(REPORT, folder="Plans")
    *_, last = source.changes(None)
    plans, new = world.folder("Plans"), world.folder("New")
    world.ask("PATCH", f"/mailFolders/{quote(plans)}", {"displayName": "Plans of 2026"})
    failing.status = status
    failing.at = {f"{quote(each)}?$select=id,displayName" for each in (plans, new)}
    second, third = world.deliver(REPORT, folder="Plans of 2026"), world.deliver(REPORT, folder="New")
    items = {item.id: item.folder for page in source.changes(last.cursor) for item in page.items}
    assert items == {second: "Plans of 2026", third: "New"}
    world.ask("POST", f"/mailFolders/{quote(plans)}/move", {"destinationId": world.folder("Private")})
    world.deliver(REPORT, folder="Private/Plans of 2026")
    assert first not in reported(source.changes(None))


@pytest.mark.parametrize("lack", ["id", "parentFolderId"])
def test_a_message_that_lacks_what_makes_it_one_stops_none_of_the_others(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    """It is reported as unread."""
    broken_one, other = world.deliver(REPORT), world.deliver(REPORT)
    batch = source._connection.batch

    def lacking(paths: Sequence[str], **more: Any) -> list[Any]:
        answers = batch(paths, **more)
        for path, answer in zip(paths, answers, strict=True):
            if f"/messages/{quote(broken_one)}" in path:
                assert isinstance(answer, dict)
                del (answer if lack == "parentFolderId" else answer["attachments"][0])[lack]
        return answers

    monkeypatch.setattr(source._connection, "batch", lacking)
    pages = list(source.changes(None))
    assert reported(pages) == {other}
    assert [each for page in pages for each in page.unread] == [broken_one]


def test_what_is_no_message_or_no_mailbox_is_not_taken_for_one(
    world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lacks all that makes it one must not pass for a message without files, or for a mailbox without mail."""
    item_id = world.deliver(REPORT)
    source.fetch(item_id)
    monkeypatch.setattr(source._connection, "ask", lambda *_, **__: GraphReply({"value": []}, {}))
    with pytest.raises(Unavailable, match="does not tell its folder"):
        source.fetch(item_id)
    for verb in (source.changes, source.find):
        with pytest.raises(Unavailable, match="no folders at all"):
            tuple(verb(""))


def test_a_feed_that_leads_round(world: GraphUser, source: GraphMailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through pages that hold nothing: that is told, and nobody hangs."""
    connection = source._connection
    batch, asked = connection.batch, []

    def round_about(paths: Sequence[str], **more: Any) -> list[Any]:
        if "/messages/delta" not in paths[0]:
            return batch(paths, **more)
        asked.append(paths)
        assert len(asked) < 99
        return [{"value": [], "@odata.nextLink": f"{connection.base}/x/messages/delta?{len(asked) % 2}"} for _ in paths]

    monkeypatch.setattr(connection, "batch", round_about)
    pages = source.changes(None)
    assert next(pages).items == ()
    with pytest.raises(Unavailable, match="does not get on"):
        list(pages)


def test_no_more_than_one_request_at_once(exchange: Exchange, world: GraphUser, source: GraphMailbox) -> None:
    """While bytes stream, nothing else of the mailbox is open; a connection that was given up is given back."""
    big = random.Random(5).randbytes(3_000_000)
    item = source.fetch(world.deliver(Attached("big.bin", big)))
    for _ in range(40):
        with source.open(item.id, item.files[0].id) as stream:
            assert stream.read(10) == big[:10]
    assert source.fetch(item.id) == item


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ({"directory": "00000000-0000-0000-0000-000000000000"}, "has no directory 00000000"),
        ({"client": "00000000-0000-0000-0000-000000000000"}, "has no app 00000000"),
        ({"secret": {"env": "WRONG"}}, "give its value, not its id"),
    ],
)
def test_logins_that_are_wrong(
    exchange: Exchange, world: GraphUser, monkeypatch: pytest.MonkeyPatch, app: dict[str, Any], says: str
) -> None:
    """The sentence says what to correct, and holds no secret."""
    monkeypatch.setenv("WRONG", "another secret")
    with pytest.raises(Denied, match=says) as denied:
        _ = mailbox(exchange, app=app).key
    assert "another secret" not in str(denied.value)


def test_a_token_for_another_cloud(exchange: Exchange, world: GraphUser) -> None:
    """It is worth nothing here, and that is what is told."""
    source = mailbox(exchange, app={"cloud": None})
    source._connection._edge.tokens.token()
    exchange._organisation.tenant.key = b"of another cloud"
    with pytest.raises(Denied, match="another cloud"):
        _ = source.key


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"roles": ["User.Read.All"]}, r"grant it Mail\.ReadWrite and Mail-Advanced\.ReadWrite\.All"),
        ({"scope": ["ben@example.org"]}, r"does not let the app .* grant it"),
        ({"place": {"mailbox": ANNA, "place": "on premises"}}, "does not have the mailbox anna"),
    ],
)
def test_mailboxes_that_do_not_open(exchange: Exchange, world: GraphUser, order: dict[str, Any], says: str) -> None:
    """Denied, once, and not a thousand times Gone."""
    exchange.order(**order)
    with pytest.raises(Denied, match=says):
        list(mailbox(exchange).changes(None))


def test_nobody(exchange: Exchange, world: GraphUser) -> None:
    """A mailbox that is not there."""
    with pytest.raises(Denied, match=r"does not have the mailbox nobody@example\.org"):
        _ = settings(exchange).source("nobody@example.org").key


def test_bodies_need_the_advanced_permission(exchange: Exchange, world: GraphUser) -> None:
    """Without it a message can be read and not changed; the permission is named."""
    exchange.order(roles=["Mail.ReadWrite"])
    source = mailbox(exchange)
    item = source.fetch(world.deliver(REPORT, html=HTML))
    with pytest.raises(Denied, match=r"Mail-Advanced\.ReadWrite\.All"):
        source.rewrite(item, notice())
    assert source.fetch(item.id) == item
    exchange.order(granted=["Mail-Advanced.ReadWrite.All"])
    source.rewrite(item, notice())


def test_the_probe_finds_out(exchange: Exchange) -> None:
    """A message of our own is changed, emptied, filled and deleted; without the permission the sentence names it."""
    exchange.add_mailbox(ANNA)
    probe = settings(exchange, mailboxes=["ben@example.org"], probe=ANNA).probe_source()
    assert probe
    assert try_put_back(probe) == ()
    assert probe.made("connector-check") == ()
    exchange.order(roles=["Mail.ReadWrite"])
    probe = settings(exchange, mailboxes=["ben@example.org"], probe=ANNA).probe_source()
    assert probe
    with pytest.raises(Denied, match=r"Mail-Advanced\.ReadWrite\.All"):
        try_put_back(probe)
    assert probe.made("connector-check") == ()


@pytest.mark.parametrize("request_number", range(1, 7))
def test_answers_that_break_off(exchange: Exchange, world: GraphUser, request_number: int) -> None:
    """They are no shorter feed, and no shorter file."""
    content = random.Random(1).randbytes(300_000)
    item_id = world.deliver(Attached("big.bin", content))
    source = mailbox(exchange)
    exchange.order(truncate={"request": request_number})
    try:
        assert reported(source.changes(None)) == {item_id}
        assert read(source, source.fetch(item_id), "big.bin") == content
    except Unavailable:
        assert reported(source.changes(None)) == {item_id}
        assert read(source, source.fetch(item_id), "big.bin") == content


# --- the whole daemon ------------------------------------------------------------------------------------------------


def test_a_third_of_all_requests_turned_away(apache: DavServer, tmp_path: Path) -> None:
    """Nothing is lost, nothing is there twice, and none comes before its time."""
    with Exchange() as exchange, wire_world(tmp_path, exchange, apache, protocol="graph") as built:
        built.deliver(map(letter, range(3)))
        ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
        daemon = Daemon(load(tmp_path), ledger, "one")
        for seed in range(12):
            exchange.order(throttle={"share": 1 / 3, "back_off": 200, "status": 429, "seed": seed})
            daemon.once()
            time.sleep(0.3)
        # Before the clock of those that follow is put on: for them it is time sooner.
        assert exchange.early == []
        exchange.order(throttle={"share": 0.0})
        ledger.close()
        assert broken(built, through_exchangelib(built)) == []
        for _ in range(8):  # Each two minutes later than the one before: what waits is due.
            built.run()
        sight = through_exchangelib(built)
        assert (broken(built, sight), unfinished(built, sight)) == ([], [])
        assert stored(built) == sorted(content for each in built.letters for content in each.redirectable)


def test_no_secret_is_written_anywhere(
    apache: DavServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in logs, ledger, manifests or errors: neither the secret, nor tokens, nor addresses that open a file."""
    found: set[str] = set()

    def witness(request: Request, reply: Reply) -> None:
        found.add(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if isinstance(reply.json, dict):
            found.update(str(reply.json.get(name, "")) for name in ("access_token", "uploadUrl"))

    caplog.set_level(logging.DEBUG)
    with (
        Exchange(graph_witness=witness) as exchange,
        wire_world(tmp_path, exchange, apache, protocol="graph") as built,
    ):
        monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])
        built.deliver(map(letter, range(3)))
        exchange.order(throttle={"share": 0.2, "back_off": 1, "status": 503, "seed": 7})
        built.run()
        exchange.order(throttle={"share": 0.0})
        built.run()
        source = settings(exchange, mailboxes=["anna@example.org"]).source("anna@example.org")
        (item, *_) = (item for page in source.changes(None) for item in page.items)
        errors = []
        exchange.order(drop={"request": 2})
        with spooled(io.BytesIO(bytes(4_000_000))) as spool:
            try:
                source.put_back(item, File(id="", name="big.bin", size=0), spool)
            except Unavailable as error:
                errors.append(repr(error))
        secrets = {each for each in found | {exchange.client["secret"]} if each}
        assert len(secrets) > 2
        told = [caplog.text, built.said, *errors]
        told += [path.read_bytes().decode("latin-1") for path in ledger_and_manifests(tmp_path, built.collection)]
        assert [each for each in secrets if any(each in text for text in told)] == []
        assert errors


def ledger_and_manifests(folder: Path, collection: Path) -> list[Path]:
    """All files that the daemon wrote, but for the secrets that the test itself put there."""
    ours = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("secret", "password"))]
    return ours + [path for path in collection.rglob("*") if path.is_file()]
