"""The EWS source keeps the laws over real HTTP, against the simulated Exchange.

The user is played by exchangelib's own high-level client, logged in as the owner of the mailbox. The source logs in as
the service account and impersonates. Every request and reply is held against Microsoft's schema.
"""

import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from exchangelib import ExtendedProperty
from exchangelib.items import Message as UserMessage
from lxml import etree

from connector.errors import Conflict, Denied, Gone, PartUnread, Rejected, Unavailable
from connector.model import Direction, FileKind, Message, Page
from connector.simulator import Deviation, Exchange
from connector.simulator.deviations import OF_GRAPH
from connector.sources.ews import EwsMailbox, folders
from connector.sources.ews.failures import Grief
from connector.sources.ews.words import M
from connector.sources.memory import Attached
from tests.ews import ANNA, User, eml, faulty, self_signed, settings
from tests.exchange import Judge
from tests.laws.sources import HTML, LOGO, REPORT, SourceLaws, notice, read, reported

EPOCH = datetime.fromtimestamp(0, UTC)
#: Tried apart from the others.
HARMFUL = (Deviation.STALE_READS, Deviation.IGNORE_CONFLICTS, Deviation.MALFORMED_UNKNOWN_FOLDER)


@pytest.fixture(autouse=True)
def _password(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds the password of the service account."""
    monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])


@pytest.fixture
def world(exchange: Exchange) -> User:
    """The mailbox and its owner."""
    return User(exchange)


@pytest.fixture
def source(exchange: Exchange, world: User) -> EwsMailbox:
    """The adapter, with two items a page."""
    assert world.exchange is exchange
    return EwsMailbox(ANNA, partial(settings(exchange).connect, ANNA), page_size=2)


class TestEwsMailbox(SourceLaws):
    """The laws."""


# --- what Exchange adds to the laws ----------------------------------------------------------------------------------


def test_requests_per_message(exchange: Exchange, world: User) -> None:
    """What a message costs, in requests.

    Contact with a mailbox: 2 (well-known folders, folder tree). A pass over a mailbox in which nothing happened: 1.
    A pass over 20 new messages in one folder: 3 (folder tree, changes, the 20 with their attachments).
    Per message: 1 fetch, 1 for the bytes of each file, 1 rewrite; then 1 fetch that reads back, and 2 to prune.
    """
    (source,) = settings(exchange).sources()

    def cost(verb: Callable[[], Any]) -> list[str]:
        before = len(exchange.seen)
        verb()
        return exchange.seen[before:]

    pages: list[Page] = []
    assert cost(lambda: pages.extend(source.changes(None)))[:2] == ["GetFolder", "FindFolder"]
    ids = [world.deliver(REPORT, html=HTML) for _ in range(20)]
    new = cost(lambda: pages.extend(source.changes(pages[-1].cursor)))
    assert (new[0], new.count("SyncFolderItems") >= 1, new.count("GetItem")) == ("FindFolder", True, 1)
    items: list[Message] = []
    assert cost(lambda: items.append(source.fetch(ids[0]))) == ["GetItem"]
    assert cost(lambda: read(source, items[0], "report.pdf")) == ["GetAttachment"]
    assert cost(lambda: source.rewrite(items[0], notice())) == ["UpdateItem"]
    assert cost(lambda: items.append(source.fetch(ids[0]))) == ["GetItem"]
    assert cost(lambda: source.rewrite(items[1], notice())) == []
    assert cost(lambda: source.prune(items[1], [file.id for file in items[1].files])) == ["GetItem", "DeleteAttachment"]


def test_requests_per_replacement(exchange: Exchange, world: User) -> None:
    """What the second way costs more, in requests; the folder of all shelves is made once."""
    (source,) = settings(exchange).sources()
    first, item_id = world.deliver(REPORT), world.deliver(REPORT)
    source.stage(first, "RFIRST")
    ids: list[str] = []
    verbs: tuple[Callable[[], object], ...] = (
        lambda: source.shelf("RX7Q2"),
        lambda: ids.append(source.stage(item_id, "RX7Q2")),
        lambda: source.unshelve(ids[0], item_id),
        lambda: ids.append(source.shelve(item_id, "RX7Q2")),
        lambda: source.purge([ids[1]], "RX7Q2"),
    )
    costs = []
    for verb in verbs:
        before = len(exchange.seen)
        verb()
        costs.append(exchange.seen[before:])
    assert costs == [
        ["FindFolder"],
        ["CreateFolder", "CopyItem"],
        ["GetItem", "MoveItem"],
        ["CreateFolder", "FindFolder", "MoveItem"],
        ["DeleteItem", "FindFolder", "FindItem", "DeleteFolder"],
    ]


def test_no_mail_client_shows_a_shelf(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """It is in the mailbox, and not below the folder that Outlook begins with."""
    source.stage(world.deliver(REPORT), "RX7Q2")
    assert [folder.name for folder in world.account.root.walk() if folder.name == "RX7Q2"] == ["RX7Q2"]
    assert [folder.name for folder in world.account.msg_folder_root.walk() if folder.name == "RX7Q2"] == []


def test_a_mailbox_whose_shelves_somebody_removed(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """They are made again."""
    item_id = world.deliver(REPORT)
    source.stage(item_id, "RX7Q2")
    (home,) = (folder for folder in world.account.root.walk() if folder.name == "Connector")
    home.delete()
    assert source.shelf("RX7Q2") == ()
    source.stage(item_id, "RX7Q2")
    assert len(source.shelf("RX7Q2")) == 1


def test_a_move_whose_answer_is_lost(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """It has happened: the old id is gone, and the item lies on the shelf."""
    item_id = world.deliver(REPORT)
    source.shelf("RX7Q2")
    exchange.order(drop={"request": 3, "when": "after"})
    with pytest.raises(Unavailable):
        source.shelve(item_id, "RX7Q2")
    with pytest.raises(Gone):
        source.shelve(item_id, "RX7Q2")
    assert [len(item.files) for item in source.shelf("RX7Q2")] == [1]


def test_the_key_is_the_guid_of_the_mailbox(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """It is asked for once, and another mailbox has another one."""
    assert uuid.UUID(source.key)
    before = len(exchange.seen)
    (again,) = settings(exchange).sources()
    assert (again.key, again.key) == (source.key, source.key)
    assert exchange.seen[before:] == ["GetFolder"]
    exchange.add_mailbox("bert@example.org")
    (other,) = settings(exchange, mailboxes=["bert@example.org"]).sources()
    assert other.key != source.key


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_authentication(exchange: Exchange, world: User, auth: str) -> None:
    """Both ways to log in carry every verb."""
    (source,) = settings(exchange, auth=auth).sources()
    item_id = world.deliver(REPORT, html=HTML)
    assert reported(source.changes(None)) == {item_id}
    item = source.fetch(item_id)
    assert read(source, item, "report.pdf") == REPORT.content
    source.rewrite(item, notice())
    source.prune(source.fetch(item_id), [item.files[0].id])
    assert source.fetch(item_id).files == ()


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_wrong_password_is_denied(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, auth: str) -> None:
    """With the name of the account."""
    monkeypatch.setenv("EWS_PASSWORD", "wrong")
    (source,) = settings(exchange, auth=auth).sources()
    with pytest.raises(Denied, match=exchange.impersonator["user"]):
        source.fetch("AAA=")


def test_without_the_role_access_is_denied(exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that may not impersonate is told which role it needs."""
    account = exchange.add_mailbox("carl@example.org")
    monkeypatch.setenv("EWS_PASSWORD", account["password"])
    (source,) = settings(exchange, user=account["user"]).sources()
    with pytest.raises(Denied, match="ApplicationImpersonation"):
        next(source.changes(None))


def test_a_missing_mailbox_is_denied(exchange: Exchange) -> None:
    """It is not a thousand items that are gone."""
    (source,) = settings(exchange, mailboxes=["nobody@example.org"]).sources()
    with pytest.raises(Denied, match=r"no mailbox nobody@example\.org"):
        next(source.changes(None))


def test_own_mailbox_without_impersonation(exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account reaches the mailboxes that it may open by itself."""
    (account,) = (account for account in exchange.accounts if account["mailbox"] == ANNA)
    monkeypatch.setenv("EWS_PASSWORD", account["password"])
    (source,) = settings(exchange, user=account["user"], impersonation=False).sources()
    item_id = world.deliver(REPORT)
    assert reported(source.changes(None)) == {item_id}


def test_direction(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """Told by the folder and by what servers stamped on it; a From that anyone can write makes nothing sent."""
    stamped = "from a by b; Mon, 5 Jan 2026 08:00:00 +0000"
    internal = b"X-MS-Exchange-Organization-AuthAs: Internal\r\n"
    spoofed = eml(REPORT, received=stamped).replace(b"bert@example.net", ANNA.encode())
    own = eml(REPORT).replace(b"bert@example.net", ANNA.encode())
    told = {
        exchange.deliver(ANNA, eml(REPORT, received=stamped)): Direction.INCOMING,
        exchange.deliver(ANNA, internal + eml(REPORT, received=stamped)): Direction.INTERNAL,
        exchange.deliver(ANNA, spoofed): Direction.INCOMING,
        exchange.deliver(ANNA, own, "Projects"): Direction.SENT,
        exchange.deliver(ANNA, eml(REPORT), "Sent Items/2025"): Direction.SENT,
    }
    assert {item.id: item.direction for page in source.changes(None) for item in page.items} == told


def test_what_guards_read(exchange: Exchange, source: EwsMailbox, world: User) -> None:
    """Class, sensitivity and transport headers come with the feed."""
    headers = b"Sensitivity: Private\r\nX-MS-Journal-Report: \r\nContent-Class: rpmsg.message\r\n"
    exchange.deliver(ANNA, headers + eml(REPORT))
    (item,) = (item for page in source.changes(None) for item in page.items)
    assert isinstance(item, Message)
    assert (item.message_class, item.sensitivity, item.draft) == ("IPM.Note", "private", False)
    assert item.headers["content-class"] == "rpmsg.message"
    assert "x-ms-journal-report" in item.headers
    assert item.headers["content-type"].startswith("multipart/mixed")
    assert item.recipients == (ANNA, "carl@example.org", "dora@example.org")


class _Labels(ExtendedProperty):  # type: ignore[misc]  # exchangelib is untyped
    distinguished_property_set_id = "InternetHeaders"
    property_name = "msip_labels"
    property_type = "String"


class _PolicyTag(ExtendedProperty):  # type: ignore[misc]  # exchangelib is untyped
    property_tag = 0x3019
    property_type = "Binary"


@pytest.fixture
def _labelled() -> Iterator[None]:
    """The user's client knows the properties, for as long as it needs them."""
    UserMessage.register("msip_labels", _Labels)
    UserMessage.register("policy_tag", _PolicyTag)
    yield
    UserMessage.deregister("msip_labels")
    UserMessage.deregister("policy_tag")


@pytest.mark.usefixtures("_labelled")
def test_what_the_house_says_of_a_message(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """Its sensitivity label, by the header or by the property that sent mail has; its retention tag."""
    other, ours = (f"{digit * 8}-1111-2222-3333-444455556666" for digit in "ab")
    label = f"MSIP_Label_{other}_Enabled=False;MSIP_Label_{ours.upper()}_Enabled=True;MSIP_Label_{ours}_Name=Secret"
    received = exchange.deliver(ANNA, f"msip_labels: {label}\r\n".encode() + eml(REPORT))
    sent = exchange.deliver(ANNA, eml(REPORT), "Sent Items")
    item = world.item(sent)
    item.msip_labels, item.policy_tag = label, uuid.UUID(ours).bytes_le
    item.save(update_fields=["msip_labels", "policy_tag"])
    told = {item.id: item for page in source.changes(None) for item in page.items}
    for found in (told[received], told[sent], source.fetch(sent)):
        assert isinstance(found, Message)
        assert (found.label, found.retention_tag) == (ours, "" if found.id == received else ours)


def test_reading_is_heeded_where_a_rule_asks(exchange: Exchange, world: User) -> None:
    """Then the message comes again, once; otherwise not even a request is made for it."""
    first, other = world.deliver(REPORT), world.deliver(REPORT)
    heeds = settings(exchange).source(ANNA, frozenset({"read"}))
    source = settings(exchange).source(ANNA)
    *_, last = source.changes(None)
    for item_id in (first, other):
        world.mark_read(item_id)
    world.delete(other)
    exchange.order(reset=True)
    assert reported(source.changes(last.cursor)) == set()
    assert "GetItem" not in exchange.seen
    *pages, end = heeds.changes(last.cursor)
    assert [(item.id, item.read) for page in pages for item in page.items if isinstance(item, Message)] == [
        (first, True)
    ]
    assert reported(heeds.changes(end.cursor)) == set()


def test_attached_messages_open_as_mime(exchange: Exchange, source: EwsMailbox, world: User) -> None:
    """An item attachment is told as one, and its bytes are a message."""
    outer = EmailMessage(policy=policy.SMTP)
    outer["From"] = outer["To"] = ANNA
    outer.set_content("see below")
    outer.add_attachment(message_from_bytes(eml(REPORT), policy=policy.SMTP))
    item = source.fetch(exchange.deliver(ANNA, outer.as_bytes()))
    (file,) = item.files
    assert file.kind is FileKind.ITEM
    with source.open(item.id, file.id) as stream:
        inner = message_from_bytes(stream.read(), policy=policy.default)
    assert [part.get_content() for part in inner.iter_attachments()] == [REPORT.content]


def test_skipped_folders(exchange: Exchange, world: User) -> None:
    """Named by path, with all folders below, and with nothing that only begins alike."""
    source = EwsMailbox(ANNA, partial(settings(exchange).connect, ANNA), ["Projects"])
    for folder in ("Projects", "Projects/2026"):
        world.deliver(REPORT, folder=folder)
    kept = world.deliver(REPORT, folder="Projects old")
    assert reported(source.changes(None)) == {kept}


def test_only_changed_folders_are_asked(
    exchange: Exchange, world: User, source: EwsMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once commit times are old enough to be trusted, an idle mailbox costs one request, and a new message three."""
    monkeypatch.setattr(folders, "SETTLED", timedelta(hours=-1))
    world.deliver(REPORT)
    *_, last = source.changes(None)
    before = len(exchange.seen)
    assert reported(source.changes(last.cursor)) == set()
    assert exchange.seen[before:] == ["FindFolder"]
    new = world.deliver(REPORT)
    assert reported(source.changes(last.cursor)) == {new}
    assert exchange.seen[before + 1 :] == ["FindFolder", "SyncFolderItems", "GetItem"]


def test_without_commit_times_every_folder_is_asked(
    exchange: Exchange, world: User, source: EwsMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back, where a server does not tell them."""
    monkeypatch.setattr(folders, "SETTLED", timedelta(hours=-1))
    exchange.order(deviate={Deviation.NO_COMMIT_TIME: True})
    *_, last = source.changes(None)
    before = len(exchange.seen)
    assert reported(source.changes(last.cursor)) == set()
    assert exchange.seen[before:].count("SyncFolderItems") > 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Rejected("corrupt"), (1, 0)),
        (Conflict("Exchange failed"), (0, 1)),
        (RuntimeError("unforeseen"), (0, 1)),
        (Gone("moved"), (0, 1)),
        (Grief("takes too long, every time"), (0, 1)),
    ],
)
def test_an_item_that_cannot_be_read(
    exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: tuple[int, int]
) -> None:
    """It does not stop the feed: it is reported without files, or as unread, also where it seems to be gone."""
    reported, unread = told
    item_id, other = world.deliver(REPORT), world.deliver(REPORT)
    source = faulty(exchange, monkeypatch, item_id, fault)
    pages = list(source.changes(None))
    items = {item.id: item for page in pages for item in page.items}
    assert set(items) == ({item_id, other} if reported else {other})
    assert [len(item.files) for item in items.values() if item.id == item_id] == [0] * reported
    assert len(items[other].files) == 1
    assert [each for page in pages for each in page.unread] == [item_id] * unread


@pytest.mark.parametrize("request_name", ["SyncFolderItems", "GetItem"])
def test_a_folder_at_which_exchange_fails_stops_none_of_the_others(
    exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch, request_name: str
) -> None:
    """What is new in the others is told, and what is in this one once it answers. Where all fail, the mailbox does."""
    connection = settings(exchange).connect(ANNA)
    source = EwsMailbox(ANNA, lambda: connection)
    broken_one, other = world.deliver(REPORT, folder="Inbox/Broken"), world.deliver(REPORT)
    ids = {folder.path.rpartition("/")[2]: folder.id for folder in source._folders()}
    failing = {broken_one, ids["Broken"]}
    answers = connection.answers

    def griefs(request: Any, filling: Any = None, **more: int) -> list[Any]:
        sent = etree.fromstring(request) if isinstance(request, bytes) else request
        asked = {each.get("Id") for each in sent.iter("{*}ItemId", "{*}FolderId")}
        if sent.tag.endswith(request_name) and asked & failing:
            raise Grief("Exchange failed")
        told: list[Any] = answers(request, filling, **more)
        return told

    monkeypatch.setattr(connection, "answers", griefs)
    pages: list[Page] = []
    with pytest.raises(PartUnread, match="1 of "):
        pages.extend(source.changes(None))
    assert reported(pages) == {other}
    failing.clear()
    assert reported(source.changes(pages[-1].cursor)) == {broken_one}
    failing.update(ids.values(), (broken_one, other))
    with pytest.raises(Grief if request_name == "SyncFolderItems" else PartUnread):
        list(source.changes(None))


def test_a_mailbox_without_folders_is_none(exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would be found in it: then files are deleted."""
    connection = settings(exchange).connect(ANNA)
    source = EwsMailbox(ANNA, lambda: connection)
    assert source.find("R1") == ()
    monkeypatch.setattr(connection, "ask", lambda *_, **__: [M.FindFolderResponseMessage(M.RootFolder())])
    with pytest.raises(Unavailable, match="no folders at all"):
        source.find("R1")


def test_lists_without_end(exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that goes round, and folders or items that begin anew with every page: that is told, and nobody hangs."""
    connection = settings(exchange).connect(ANNA)
    answers, asked = connection.answers, Counter[str]()

    def again(request: Any, filling: Any = None, **more: int) -> list[Any]:
        name = request.tag.rpartition("}")[2]
        asked[name] += 1
        assert asked[name] < 9
        for state in request.findall("{*}SyncState"):
            request.remove(state)
        for view in request.iterfind("{*}IndexedPageFolderView"), request.iterfind("{*}IndexedPageItemView"):
            for each in view:
                each.set("Offset", "0")
        told: list[Any] = answers(request, filling, **more)
        for each in told if name == endless else ():
            for state in each.iterfind("{*}SyncState"):
                state.text = "even" if asked[name] % 2 else "odd"
                each.find("{*}IncludesLastItemInRange").text = "false"
                each.find("{*}Changes").clear()
            for root in each.iterfind("{*}RootFolder"):
                root.set("IncludesLastItemInRange", "false")
        return told

    source_item = world.deliver(REPORT)
    monkeypatch.setattr(connection, "answers", again)
    source = EwsMailbox(ANNA, lambda: connection)
    for endless, words in (("SyncFolderItems", "does not get on"), ("FindFolder", "no end"), ("FindItem", "no end")):
        with pytest.raises(Unavailable, match=words):
            list(source.recent(EPOCH) if endless == "FindItem" else source.changes(None))
    asked.clear()
    source.stage(source_item, "RX7Q2")
    endless = "FindItem"
    with pytest.raises(Unavailable, match="no end"):
        source.shelf("RX7Q2")


def test_a_server_that_sends_less_than_it_was_asked_for(exchange: Exchange, world: User) -> None:
    """In every folder, and of every list, what was left out of a page is asked for again: nothing passes for gone."""
    (source,) = settings(exchange).sources()
    for number in range(7):
        world.deliver(REPORT, folder=f"Inbox/Project {number % 2}" if number else "Inbox")
    known = {folder.id for folder in source._folders()}
    whole = sorted(item.id for page in source.recent(EPOCH) for item in page.items)
    exchange.order(deviate={Deviation.SHORT_PAGES: True})
    assert {folder.id for folder in source._folders()} == known
    assert sorted(item.id for page in source.recent(EPOCH) for item in page.items) == whole
    for item_id in whole[:3]:
        source.stage(item_id, "RX7Q2")
    assert len(source.shelf("RX7Q2")) == 3


def test_a_page_that_breaks_off(exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one that is not the last tells nothing: taken for an end, what is there would be deleted."""
    connection = settings(exchange).connect(ANNA)
    world.deliver(REPORT)
    answers = connection.answers

    def broken(request: Any, filling: Any = None, **more: int) -> list[Any]:
        told: list[Any] = answers(request, filling, **more)
        for each in told if request.tag.endswith("FindItem") else ():
            each.find("{*}RootFolder").set("IncludesLastItemInRange", "false")
            each.find("{*}RootFolder/{*}Items").clear()
        return told

    monkeypatch.setattr(connection, "answers", broken)
    source = EwsMailbox(ANNA, lambda: connection)
    with pytest.raises(Unavailable, match="no end"):
        source.find("RX7Q2")
    with pytest.raises(Unavailable, match="no end"):
        list(source.recent(EPOCH))


@pytest.mark.parametrize("fault", [Unavailable("busy"), Denied("no")])
def test_a_server_that_cannot_be_read_stops_the_feed(
    exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """That is not the item's fault: no page is told, so that nothing is skipped."""
    source = faulty(exchange, monkeypatch, world.deliver(REPORT), fault)
    with pytest.raises(type(fault)):
        next(source.changes(None))


@pytest.mark.parametrize(
    ("fault", "told"),
    [(Gone("moved"), Unavailable), (Rejected("corrupt"), Rejected), (Unavailable("busy"), Unavailable)],
)
def test_a_search_never_loses_what_it_found(
    exchange: Exchange, world: User, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: type[Exception]
) -> None:
    """Where nothing is found, files may be deleted; so an item that was found and cannot be read is an error."""
    item_id = world.deliver(REPORT, html=HTML)
    (source,) = settings(exchange).sources()
    source.rewrite(source.fetch(item_id), notice())
    with pytest.raises(told):
        faulty(exchange, monkeypatch, item_id, fault).find(notice().redirect_id)


@pytest.mark.parametrize("order", [{"truncate": {"request": 1}}, {"drop": {"request": 1, "when": "after"}}])
def test_a_broken_answer_is_unavailable(exchange: Exchange, world: User, source: EwsMailbox, order: Any) -> None:
    """Whether it is a message or the bytes of a file; nothing short passes for whole."""
    item = source.fetch(world.deliver(Attached("big.bin", bytes(10**6)), html=HTML))
    for verb in (lambda: source.fetch(item.id), lambda: read(source, item, "big.bin"), lambda: source.find("R")):
        exchange.order(**order)
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            verb()
    assert read(source, item, "big.bin") == bytes(10**6)


def test_a_rewrite_whose_answer_is_lost(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """It has happened: a second try from the old version conflicts, and a fresh look shows the notice."""
    item = source.fetch(world.deliver(REPORT, html=HTML))
    exchange.order(drop={"request": 1, "when": "after"})
    with pytest.raises(Unavailable):
        source.rewrite(item, notice())
    with pytest.raises(Conflict):
        source.rewrite(item, notice())
    assert source.fetch(item.id).marker == notice().marker


def test_its_own_ca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tenant's CA is trusted by this tenant's mailboxes, and by nobody else's."""
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Exchange(tls=context) as exchange:
        monkeypatch.setenv("EWS_PASSWORD", exchange.impersonator["password"])
        exchange.add_mailbox(ANNA)
        exchange.deliver(ANNA, eml(REPORT))
        (trusting,) = settings(exchange, ca=certificate).sources()
        (other,) = settings(exchange).sources()
        assert len(reported(trusting.changes(None))) == 1
        with pytest.raises(Unavailable, match="certificate"):
            next(other.changes(None))
    (missing,) = settings(exchange, ca=tmp_path / "missing.pem").sources()
    with pytest.raises(Denied, match=r"missing\.pem"):
        next(missing.changes(None))


# --- servers that deviate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deviation", [each for each in Deviation if each not in {*HARMFUL, *OF_GRAPH}])
def test_deviating_servers(exchange: Exchange, world: User, source: EwsMailbox, deviation: Deviation) -> None:
    """A server that deviates still gives every item, its bytes, a rewrite and a prune."""
    exchange.order(deviate={deviation: True})
    keep = Attached("keep.txt", b"keep")
    item_id = world.deliver(REPORT, keep, LOGO, html=HTML)
    assert reported(source.changes(None)) == {item_id}
    item = source.fetch(item_id)
    assert read(source, item, "report.pdf") == REPORT.content
    source.rewrite(item, notice())
    shown = source.fetch(item_id)
    assert (shown.marker, [found.id for found in source.find("RX7Q2")]) == (notice().marker, [item_id])
    source.prune(shown, [file.id for file in shown.files if file.name == "report.pdf"])
    assert {file.name for file in source.fetch(item_id).files} == {"keep.txt", "logo.png"}


def test_stale_reads_end_in_a_conflict(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """Where reads lag behind writes, the notice seems to be missing; writing it again does no harm."""
    item_id = world.deliver(REPORT, html=HTML)
    exchange.order(deviate={Deviation.STALE_READS: True}, lag=3600)
    source.rewrite(source.fetch(item_id), notice())
    stale = source.fetch(item_id)
    assert stale.marker == ""
    with pytest.raises(Conflict):
        source.rewrite(stale, notice())
    exchange.order(deviate={Deviation.STALE_READS: False})
    assert source.fetch(item_id).marker == notice().marker


def test_ids_that_moved_on_are_a_conflict(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """Where ids are positions, an id that was read before may name another file by now: nothing is removed."""
    exchange.order(deviate={Deviation.POSITIONAL_ATTACHMENT_IDS: True})
    names = ("a.txt", "b.txt", "c.txt")
    item = source.fetch(world.deliver(*(Attached(name, name.encode()) for name in names)))
    world.detach(item.id, item.files[0].id)
    with pytest.raises(Conflict):
        source.prune(item, [item.files[1].id])
    assert [file.name for file in source.fetch(item.id).files] == ["b.txt", "c.txt"]


def test_several_files_go_at_once_where_ids_are_positions(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """Removing one renumbers the others, and still just the right ones go."""
    exchange.order(deviate={Deviation.POSITIONAL_ATTACHMENT_IDS: True})
    names = ("a.txt", "b.txt", "c.txt", "d.txt")
    item = source.fetch(world.deliver(*(Attached(name, name.encode()) for name in names)))
    source.prune(item, [item.files[0].id, item.files[2].id])
    assert [file.name for file in source.fetch(item.id).files] == ["b.txt", "d.txt"]


def test_a_server_that_answers_nonsense_is_named(exchange: Exchange, judge: Judge, source: EwsMailbox) -> None:
    """One that chokes on a well-known folder cannot be used, and the sentence says which server it is."""
    exchange.order(deviate={Deviation.MALFORMED_UNKNOWN_FOLDER: True})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 .* is not a whole EWS reply"):
        next(source.changes(None))
    judge.complaints.clear()


def test_ignored_conflicts_are_for_the_caller_to_see(exchange: Exchange, world: User, source: EwsMailbox) -> None:
    """A server that takes a stale change key overwrites what the user wrote; the read-back shows what is there."""
    exchange.order(deviate={Deviation.IGNORE_CONFLICTS: True})
    item = source.fetch(world.deliver(REPORT, html=HTML))
    world.attach(item.id, Attached("new.txt", b"new"))
    source.rewrite(item, notice())
    now = source.fetch(item.id)
    assert (now.marker, len(now.files)) == (notice().marker, 2)
