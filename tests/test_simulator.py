"""The rules of Exchange that an adapter has to live with, asked for in plain SOAP."""

import base64
import contextlib
import http.client
import re
from email.message import EmailMessage

import pytest

from connector.simulator import Exchange
from tests.exchange import Judge, Owner, code, new_body, said, setting, test_data

ANNA = "anna@example.org"
_READ = setting("message:IsRead", "<t:IsRead>true</t:IsRead>")
_MARKER = (
    '<t:ExtendedFieldURI PropertySetId="8d3a1f6e-2a51-4f0b-9d7e-6f5c1b0a9e11" PropertyName="connector"'
    ' PropertyType="String"/>'
)
_MARK = (
    f"<t:SetItemField>{_MARKER}<t:Message><t:ExtendedProperty>{_MARKER}<t:Value>m1</t:Value></t:ExtendedProperty>"
    "</t:Message></t:SetItemField>"
)
_MARKED = (
    f'<m:Restriction><t:Contains ContainmentMode="Prefixed" ContainmentComparison="Exact">{_MARKER}'
    '<t:Constant Value="m"/></t:Contains></m:Restriction>'
)


def eml(subject: str = "S", *names: str) -> bytes:
    """A message with HTML and attachments of these names, each holding its own name."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ben@example.org", ANNA, subject
    message["Message-ID"] = f"<{subject}@example.org>"
    message.set_content("<p>Hello</p>", subtype="html")
    for name in names:
        message.add_attachment(name.encode(), maintype="application", subtype="pdf", filename=name)
    return message.as_bytes()


def test_everything_is_judged_by_microsofts_schema(exchange: Exchange, anna: Owner, judge: Judge) -> None:
    """Where the schema is at hand, each request and each reply of these tests passes it."""
    if test_data("ews", "2016") is None:
        pytest.skip("Microsoft's schema is not at hand (CONNECTOR_TEST_DATA)")
    exchange.deliver(ANNA, eml())
    anna.sync()
    assert judge.judged == 1
    anna.ask("<m:FindItem><m:Nonsense/></m:FindItem>")
    assert judge.judged == 2
    assert judge.complaints == []
    judge.witness(
        b"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><bad/></s:Body></s:Envelope>", b"<a/>"
    )
    assert judge.complaints
    judge.complaints.clear()


def test_a_change_gives_a_new_change_key_and_a_stale_one_is_refused(exchange: Exchange, anna: Owner) -> None:
    """NeverOverwrite with the key of an earlier state is ErrorIrresolvableConflict, and writes nothing."""
    item = exchange.deliver(ANNA, eml())
    first = anna.change_key(item)
    assert code(anna.update(item, new_body("one"), key=first)) == "NoError"
    second = anna.change_key(item)
    assert second != first

    refused = anna.update(item, new_body("two"), key=first)

    assert code(refused) == "ErrorIrresolvableConflict"
    assert said(anna.item(item), "t:Body") == ["one"]
    assert anna.change_key(item) == second
    assert code(anna.update(item, new_body("three"), key=first, resolution="AutoResolve")) == "NoError"


def test_carriage_returns_survive(exchange: Exchange, anna: Owner) -> None:
    """CR LF and bare CR in a body come back as they were written, though XML would turn both into LF."""
    item = exchange.deliver(ANNA, eml())

    anna.update(item, new_body("a&#xD;\nb&#xD;c"))

    assert said(anna.item(item), "t:Body") == ["a\r\nb\rc"]


@pytest.mark.parametrize(
    ("uri", "value", "expected"),
    [
        (
            "message:IsReadReceiptRequested",
            "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>",
            "ErrorInvalidPropertyUpdateSentMessage",
        ),
        ("message:ToRecipients", "<t:ToRecipients/>", "ErrorInvalidPropertyUpdateSentMessage"),
        ("item:HasAttachments", "<t:HasAttachments>true</t:HasAttachments>", "ErrorInvalidPropertySet"),
        ("item:Subject", "<t:Importance>Low</t:Importance>", "ErrorUpdatePropertyMismatch"),
        ("item:Subject", "<t:Subject>New</t:Subject>", "NoError"),
        ("item:Categories", "<t:Categories><t:String>Red</t:String></t:Categories>", "NoError"),
        ("item:Importance", "<t:Importance>High</t:Importance>", "NoError"),
        ("item:Flag", "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>", "NoError"),
    ],
)
def test_what_of_a_received_message_can_change(
    exchange: Exchange, anna: Owner, uri: str, value: str, expected: str
) -> None:
    """Some fields can be set on what was received, and keep it; others are refused, and all is as before."""
    item = exchange.deliver(ANNA, eml())
    before = anna.change_key(item)

    assert code(anna.update(item, setting(uri, value))) == expected

    assert (anna.change_key(item) == before) == (expected != "NoError")
    shown = anna.item(item).find(f".//{{*}}{uri.partition(':')[2]}")
    kept = shown is not None and "".join(map(str, shown.itertext())) == re.sub("<[^>]+>", "", value)
    assert kept == (expected == "NoError")


def test_a_named_property_can_be_set_read_found_and_removed(exchange: Exchange, anna: Owner) -> None:
    """The marker: set together with the body in one change, read back, found by a restriction, deleted."""
    item = exchange.deliver(ANNA, eml())
    exchange.deliver(ANNA, eml("other"))
    assert anna.find("inbox", "sentitems", restriction=_MARKED) == []

    assert code(anna.update(item, new_body("x"), _MARK)) == "NoError"

    more = f"<t:AdditionalProperties>{_MARKER}</t:AdditionalProperties>"
    assert said(anna.item(item, "IdOnly", more), "t:Value") == ["m1"]
    assert anna.find("inbox", "sentitems", restriction=_MARKED) == [item]
    anna.update(item, f"<t:DeleteItemField>{_MARKER}</t:DeleteItemField>")
    assert said(anna.item(item, "IdOnly", more), "t:Value") == []


def test_delete_attachment_tells_the_new_change_key(exchange: Exchange, anna: Owner) -> None:
    """The answer to DeleteAttachment carries the parent's id and new change key; other attachments keep their ids."""
    item = exchange.deliver(ANNA, eml("S", "a.pdf", "b.pdf", "c.pdf"))
    first, second, third = said(anna.item(item), "t:AttachmentId")
    before = anna.change_key(item)

    reply = anna.attachments(first, third, operation="Delete")

    told = reply.findall(".//{*}RootItemId")
    assert [each.get("RootItemId") for each in told] == [item, item]
    assert told[-1].get("RootItemChangeKey") == anna.change_key(item) != before
    assert said(anna.item(item), "t:AttachmentId") == [second]
    assert code(anna.attachments(first, operation="Delete")) == "ErrorItemNotFound"


def test_attachments_announce_more_than_their_bytes(exchange: Exchange, anna: Owner) -> None:
    """Size is never the byte count, also of a big file; the bytes themselves are exact."""
    message = EmailMessage()
    message.set_content("x")
    big = bytes(range(251)) * 5000
    for content in (b"", b"x", big):
        message.add_attachment(content, maintype="application", subtype="pdf", filename="a.pdf")
    item = exchange.deliver(ANNA, message.as_bytes())
    listed = anna.item(item)

    got = anna.attachments(*said(listed, "t:AttachmentId"))

    contents = [base64.b64decode(each) for each in said(got, "t:Content")]
    assert contents == [b"", b"x", big]
    sizes = [int(each) for each in said(listed, "t:Attachments/t:FileAttachment/t:Size")]
    assert all(size > len(content) for size, content in zip(sizes, contents, strict=True))
    assert len(said(listed, "t:FileAttachment/t:LastModifiedTime")) == 3


def test_moving_gives_new_ids(exchange: Exchange, anna: Owner) -> None:
    """After a move the old ids of item and attachments are not found, the new ones are, and all else is equal."""
    item = exchange.deliver(ANNA, eml("S", "a.pdf"))
    (attachment,) = said(anna.item(item), "t:AttachmentId")

    moved = anna.move(item, "deleteditems")

    (new,) = said(moved, "t:ItemId")
    assert new != item
    assert code(anna.item(item)) == "ErrorItemNotFound"
    assert code(anna.attachments(attachment, operation="Delete")) == "ErrorItemNotFound"
    assert said(anna.item(new), "t:AttachmentId") not in ([], [attachment])
    assert said(anna.item(new), "t:InternetMessageId") == ["<S@example.org>"]


@pytest.mark.parametrize(
    ("kind", "folder"),
    [("MoveToDeletedItems", "deleteditems"), ("SoftDelete", "recoverableitemsdeletions"), ("HardDelete", "")],
)
def test_kinds_of_deletion(exchange: Exchange, anna: Owner, kind: str, folder: str) -> None:
    """What is deleted goes to Deleted Items, to Recoverable Items, or nowhere."""
    item = exchange.deliver(ANNA, eml())

    anna.delete(item, kind=kind)

    assert code(anna.item(item)) == "ErrorItemNotFound"
    there = {name for name in ("inbox", "deleteditems", "recoverableitemsdeletions") if anna.find(name)}
    assert there == ({folder} if folder else set())


def test_sync_tells_each_kind_of_change_once(exchange: Exchange, anna: Owner) -> None:
    """Create, Update, ReadFlagChange and Delete come as such; with nothing new the answer is empty."""
    kept, read, gone = (exchange.deliver(ANNA, eml(name)) for name in ("kept", "read", "gone"))
    first = anna.sync()
    assert said(first, "t:Create/t:Message/t:ItemId") == [gone, read, kept], "newest first"
    (state,) = said(first, "m:SyncState")
    anna.update(kept, new_body("x"))
    anna.update(read, _READ)
    anna.delete(gone)

    second = anna.sync(state)

    assert said(second, "t:Update/t:Message/t:ItemId") == [kept]
    assert said(second, "t:ReadFlagChange/t:ItemId") == [read]
    assert said(second, "t:Delete/t:ItemId") == [gone]
    third = anna.sync(said(second, "m:SyncState")[0])
    assert said(third, "m:IncludesLastItemInRange") == ["true"]
    assert said(third, "t:ItemId") == []
    assert said(anna.sync(state), "t:ItemId") == said(second, "t:ItemId"), "an old state stays good"


def test_sync_pages_skip_nothing_while_the_folder_changes(exchange: Exchange, anna: Owner) -> None:
    """Items that come, change and go between two pages are told, whatever the page they would have been on."""
    items = [exchange.deliver(ANNA, eml(str(number))) for number in range(5)]
    page = anna.sync(most=2)
    assert said(page, "m:IncludesLastItemInRange") == ["false"]
    seen = said(page, "t:Create/t:Message/t:ItemId")
    assert seen == [items[4], items[3]]
    anna.update(items[0], new_body("not seen yet, changed"))
    anna.update(items[4], new_body("seen, changed"))
    anna.delete(items[3], items[2])
    new = exchange.deliver(ANNA, eml("new"))

    told: dict[str, list[str]] = {"Create": seen, "Update": [], "Delete": []}
    while True:
        page = anna.sync(said(page, "m:SyncState")[0], most=2)
        for kind, path in (("Create", "t:Message/"), ("Update", "t:Message/"), ("Delete", "")):
            told[kind] += said(page, f"t:{kind}/{path}t:ItemId")
        if said(page, "m:IncludesLastItemInRange") == ["true"]:
            break

    assert sorted(told["Create"]) == sorted([items[4], items[3], new, items[1], items[0]])
    assert told["Update"] == [items[4]]
    assert told["Delete"] == [items[3]]


@pytest.mark.parametrize("state", ["nonsense", "MHx4fDAtMQ=="])
def test_an_unknown_sync_state_is_refused(exchange: Exchange, anna: Owner, state: str) -> None:
    """A state that the server did not give, or gave before it forgot all, is ErrorInvalidSyncStateData."""
    good = said(anna.sync(), "m:SyncState")[0]
    assert code(anna.sync(state)) == "ErrorInvalidSyncStateData"
    assert code(anna.sync(good)) == "NoError"
    exchange.order(forget_sync_states=True)
    assert code(anna.sync(good)) == "ErrorInvalidSyncStateData"


def test_one_request_tells_which_folders_changed(exchange: Exchange, anna: Owner) -> None:
    """FindFolder deep gives PidTagLocalCommitTimeMax for each folder, to the second; the switch takes it away."""
    exchange.deliver(ANNA, eml(), "Projects/2026")
    request = (
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="folder:DisplayName"/>'
        '<t:ExtendedFieldURI PropertyTag="0x670a" PropertyType="SystemTime"/>'
        '</t:AdditionalProperties></m:FolderShape><m:ParentFolderIds><t:DistinguishedFolderId Id="msgfolderroot"/>'
        "</m:ParentFolderIds></m:FindFolder>"
    )

    told = anna.ask(request)

    assert {"Inbox", "Projects", "2026"} <= set(said(told, "t:DisplayName"))
    assert len(said(told, "t:Value")) == len(said(told, "t:FolderId"))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each) for each in said(told, "t:Value"))
    root = told.find(".//{*}RootFolder")
    assert root is not None
    assert root.get("IncludesLastItemInRange") == "true"
    exchange.order(deviate={"no-commit-time": True})
    assert said(anna.ask(request), "t:Value") == []


def test_impersonation_is_for_the_service_account_alone(exchange: Exchange, anna: Owner) -> None:
    """It may act for every mailbox that exists; nobody else may, not even for himself."""
    exchange.deliver(ANNA, eml())
    service = Owner(exchange, exchange.impersonator)
    request = (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
    )

    assert said(service.ask(request, impersonate=ANNA), "t:ItemId") == anna.find("inbox") != []
    assert service.find("inbox") == []
    assert code(anna.ask(request, impersonate=ANNA)) == "ErrorImpersonateUserDenied"
    assert code(service.ask(request, impersonate="nobody@example.org")) == "ErrorNonExistentMailbox"


def test_a_mailbox_shows_nothing_of_another(exchange: Exchange, anna: Owner) -> None:
    """An id of Anna's does not open in Ben's mailbox."""
    item = exchange.deliver(ANNA, eml())
    ben = Owner(exchange, exchange.add_mailbox("ben@example.org"))

    assert code(ben.item(item)) == "ErrorItemNotFound"
    assert code(anna.item("bm9uc2Vuc2U=")) == "ErrorInvalidIdMalformed"


@pytest.mark.parametrize("password", ["", "wrong"])
def test_the_first_request_is_answered_401(exchange: Exchange, anna: Owner, password: str) -> None:
    """Without a right login the server says how to log in; kept connections work on, and no request is counted."""
    login = base64.b64encode(f"{ANNA}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"} if password else {}
    with contextlib.closing(http.client.HTTPConnection(exchange.ews.split("/")[2])) as connection:
        for _ in range(2):
            connection.request("POST", "/EWS/Exchange.asmx", "<x/>", headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 401
            assert response.headers.get_all("WWW-Authenticate") == ["NTLM", 'Basic realm="127.0.0.1"']
    assert exchange.seen == []
    assert anna.find("inbox") == []


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("<m:GetItem/>", "ErrorSchemaValidation"),
        ("<m:GetItem><m:ItemShape><t:BaseShape>All</t:BaseShape></m:ItemShape></m:GetItem>", "ErrorSchemaValidation"),
        ('<m:ConvertId DestinationFormat="EwsId"><m:SourceIds/></m:ConvertId>', "ErrorSchemaValidation"),
        ("<m:GetItem>", "ErrorSchemaValidation"),
        ("<m:GetPasswordExpirationDate/>", "ErrorInvalidOperation"),
    ],
)
def test_what_cannot_be_understood_is_refused(anna: Owner, request_: str, expected: str) -> None:
    """What the schema does not allow is ErrorSchemaValidation; operations that are not simulated say so."""
    assert code(anna.ask(request_)) == expected


def test_every_reply_begins_with_the_declaration(anna: Owner) -> None:
    """Replies and faults begin as Exchange's do: DavMail and others look for it."""
    resolve = (
        '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>anna</m:UnresolvedEntry></m:ResolveNames>'
    )
    for request, status in (("<m:GetItem/>", 500), (resolve, 200)):
        got, reply = anna.send(request)
        assert got == status
        assert reply.startswith(b'<?xml version="1.0" encoding="utf-8"?><s:Envelope ')


def test_a_draft_made_from_properties_keeps_its_attachments(anna: Owner) -> None:
    """CreateItem takes attachments along; CreateAttachment tells the parent's new change key."""
    created = anna.ask(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>S</t:Subject>'
        '<t:Body BodyType="Text">T</t:Body><t:Attachments><t:FileAttachment><t:Name>a.txt</t:Name>'
        "<t:Content>YQ==</t:Content></t:FileAttachment></t:Attachments></t:Message></m:Items></m:CreateItem>"
    )
    (item,) = said(created, "t:ItemId")
    assert said(anna.item(item), "t:IsDraft") == ["true"]

    added = anna.ask(
        f'<m:CreateAttachment><m:ParentItemId Id="{item}"/><m:Attachments><t:ItemAttachment><t:Name>M</t:Name>'
        "<t:Message><t:Subject>Inner</t:Subject></t:Message></t:ItemAttachment></m:Attachments></m:CreateAttachment>"
    )

    identifier = added.find(".//{*}AttachmentId")
    assert identifier is not None
    assert identifier.get("RootItemId") == item
    assert identifier.get("RootItemChangeKey") == anna.change_key(item)
    assert said(anna.item(item), "t:Attachments/*/t:Name") == ["a.txt", "M"]
    assert said(anna.attachments(str(identifier.get("Id"))), "t:Message/t:Subject") == ["Inner"]
