"""The rules of mail in the simulated Graph, one by one, over plain HTTP."""

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest

from connector.simulator import Exchange
from tests.exchange import Owner, said
from tests.graph import App

ANNA = "anna@example.org"
MARKER = "String {00020329-0000-0000-C000-000000000046} Name connector-marker"
PDF = b"%PDF-1.7 " + bytes(range(256)) * 40
HTML = '<p onclick="x()" data-x="1">See<script>bad()</script> <img src="cid:i"></p>'
ME = f"/users/{ANNA}"


def letter(*, inline: bool = True) -> bytes:
    """A message with a file, a message in it, and an inline image."""
    message = EmailMessage()
    message["From"] = "Ben <ben@example.org>"
    message["To"] = ANNA
    message["Subject"] = "Plans"
    message["Message-ID"] = "<plans@example.org>"
    message.set_content("See the plans.")
    message.add_alternative(
        '<p onclick="x()" data-x="1">See<script>bad()</script> <img src="cid:i"></p>', subtype="html"
    )
    if inline:
        html = message.get_payload()[1]  # type: ignore[index]
        html.add_related(b"GIF89a", "image", "gif", cid="<i>", filename="i.gif")  # type: ignore[union-attr]
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="plan.pdf")
    forwarded = EmailMessage()
    forwarded["Subject"] = "Forwarded"
    forwarded.set_content("within")
    message.add_attachment(forwarded)
    return message.as_bytes()


@pytest.fixture
def mail(exchange: Exchange, anna: Owner, app: App) -> str:
    """The path of a message that Anna has."""
    exchange.deliver(ANNA, letter())
    (found,) = app.get(f"{ME}/mailFolders/inbox/messages?$select=id")["value"]
    return f"{ME}/messages/{found['id']}"


def follow(app: App, page: Any) -> tuple[list[Any], str]:
    """All that the pages of a delta tell, and the link to go on from."""
    found = list(page["value"])
    while "@odata.nextLink" in page:
        page = app.get(page["@odata.nextLink"])
        found += page["value"]
    return found, page["@odata.deltaLink"]


def test_both_protocols_show_the_same_message(app: App, anna: Owner, exchange: Exchange, mail: str) -> None:
    """What is written through one is read through the other; ids differ only in their alphabet."""
    told = app.get(mail)
    ews_id = told["id"].replace("-", "+").replace("_", "/")

    assert said(anna.item(ews_id), "t:Subject") == [told["subject"]] == ["Plans"]
    assert told["@odata.etag"] == f'W/"{anna.change_key(ews_id)}"' == f'W/"{told["changeKey"]}"'
    app.ask("PATCH", mail, {"subject": "New"})
    assert said(anna.item(ews_id), "t:Subject") == ["New"]


def test_folders_by_name_and_by_id(app: App, exchange: Exchange, anna: Owner) -> None:
    """Well-known names have no case; folders of other kinds are none of mail; children are listed apart."""
    exchange.deliver(ANNA, letter(), "Projects/2026")
    top = app.get(f"{ME}/mailFolders?$top=50")["value"]
    projects = next(each for each in top if each["displayName"] == "Projects")

    assert "Calendar" not in [each["displayName"] for each in top]
    assert [each["displayName"] for each in app.get(f"{ME}/mailFolders/{projects['id']}/childFolders")["value"]] == [
        "2026"
    ]
    assert app.get(f"{ME}/mailFolders/SentItems")["displayName"] == "Sent Items"
    archives = {app.get(f"{ME}/mailFolders/archive")["id"] for _ in range(2)}
    assert len(archives) == 1
    assert app.ask("GET", f"{ME}/mailFolders/nothing").code == "ErrorItemNotFound"
    assert app.ask("GET", f"{ME}/mailFolders/%21%21").code == "ErrorInvalidIdMalformed"


def test_a_hidden_folder_is_listed_where_it_is_asked_for(app: App, anna: Owner) -> None:
    """With `includeHiddenFolders`."""
    assert app.ask("POST", f"{ME}/mailFolders", {"displayName": "secret", "isHidden": True}).status == 201
    assert app.ask("POST", f"{ME}/mailFolders", {"displayName": "Secret"}).code == "ErrorFolderExists"

    for more, seen in (("", False), ("&includeHiddenFolders=true", True)):
        names = [each["displayName"] for each in app.get(f"{ME}/mailFolders?$top=50{more}")["value"]]
        assert ("secret" in names) is seen


def test_a_folder_is_renamed_and_moved(app: App, anna: Owner) -> None:
    """It keeps its id, and the feed of folders tells of it; what Outlook needs stays where it is."""
    one, other = (app.ask("POST", f"{ME}/mailFolders", {"displayName": name}).json["id"] for name in ("one", "other"))
    _, link = follow(app, app.get(f"{ME}/mailFolders/delta"))
    renamed = app.ask("PATCH", f"{ME}/mailFolders/{one}", {"displayName": "first"})
    assert (renamed.status, renamed.json["id"], renamed.json["displayName"]) == (200, one, "first")
    moved = app.ask("POST", f"{ME}/mailFolders/{one}/move", {"destinationId": other})
    assert (moved.status, moved.json["id"], moved.json["parentFolderId"]) == (200, one, other)
    ((told,), _) = follow(app, app.get(link))
    assert (told["id"], told["displayName"], told["parentFolderId"]) == (one, "first", other)
    assert app.ask("PATCH", f"{ME}/mailFolders/{other}", {"displayName": "Inbox"}).code == "ErrorFolderExists"
    assert app.ask("POST", f"{ME}/mailFolders/{other}/move", {"destinationId": one}).code == "ErrorMoveCopyFailed"
    assert app.ask("PATCH", f"{ME}/mailFolders/inbox", {"displayName": "x"}).status == 400


def test_the_delta_of_folders_tells_all_of_them_once(app: App, anna: Owner) -> None:
    """Then what is new, and what is gone."""
    app.headers["Prefer"] = "odata.maxpagesize=3"
    found, link = follow(app, app.get(f"{ME}/mailFolders/delta"))
    assert {"Inbox", "Drafts", "Sent Items"} <= {each["displayName"] for each in found}
    assert app.get(link)["value"] == []
    app.ask("POST", f"{ME}/mailFolders/inbox/childFolders", {"displayName": "below"})
    found, link = follow(app, app.get(link))
    assert [each["displayName"] for each in found] == ["below"]
    (below,) = found
    anna.ask(
        '<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>'
        f'<t:FolderId Id="{below["id"].replace("-", "+").replace("_", "/")}"/></m:FolderIds></m:DeleteFolder>'
    )
    assert app.get(link)["value"] == [{"id": below["id"], "@removed": {"reason": "deleted"}}]


@pytest.mark.parametrize("immutable", [False, True])
def test_the_delta_of_a_folder(app: App, exchange: Exchange, anna: Owner, *, immutable: bool) -> None:
    """Pages, then what changed, moved out, came back; the link carries what the first request selected."""
    if immutable:
        app.headers["Prefer"] = 'IdType="ImmutableId", odata.maxpagesize=2'
    else:
        app.headers["Prefer"] = "odata.maxpagesize=2"
    for _ in range(5):
        exchange.deliver(ANNA, letter())
    url = f"{ME}/mailFolders/inbox/messages/delta?$select=subject"
    found, link = follow(app, app.get(url))
    assert len({each["id"] for each in found}) == 5
    assert {key for each in found for key in each} == {"@odata.etag", "id", "subject"}

    first = found[0]["id"]
    app.ask("PATCH", f"{ME}/messages/{first}", {"isRead": True})
    changed, link = follow(app, app.get(link))
    assert [each["id"] for each in changed] == [first]

    moved = app.ask("POST", f"{ME}/messages/{first}/move", {"DestinationId": "deleteditems"}).json
    assert (moved["id"] == first) is immutable
    gone, link = follow(app, app.get(link))
    assert gone == [{"id": first, "@removed": {"reason": "deleted"}}]
    app.ask("POST", f"{ME}/messages/{moved['id']}/move", {"DestinationId": "inbox"})
    assert len(follow(app, app.get(link))[0]) == 1


def test_a_forgotten_token_is_gone(app: App, exchange: Exchange, mail: str) -> None:
    """410 with syncStateNotFound; a full pass begins anew."""
    _, link = follow(app, app.get(f"{ME}/mailFolders/inbox/messages/delta"))
    exchange.order(forget_sync_states=True)

    answer = app.ask("GET", link)

    assert (answer.status, answer.code) == (410, "syncStateNotFound")
    assert len(follow(app, app.get(f"{ME}/mailFolders/inbox/messages/delta"))[0]) == 1


def test_a_delta_takes_one_filter_only(app: App, mail: str) -> None:
    """By the time of receipt."""
    url = f"{ME}/mailFolders/inbox/messages/delta?$filter="

    assert len(app.get(f"{url}receivedDateTime ge 2000-01-01T00:00:00Z")["value"]) == 1
    assert app.get(f"{url}receivedDateTime gt 2999-01-01T00:00:00Z")["value"] == []
    assert app.ask("GET", f"{url}isRead eq false").status == 400


def test_messages_are_found(app: App, exchange: Exchange, mail: str) -> None:
    """By their Message-ID in every folder, and by a marker; what is selected is all that comes."""
    exchange.deliver(ANNA, letter(), "Other")
    url = f"{ME}/messages?$select=id&$filter="
    assert len(app.get(f"{url}internetMessageId eq '<plans@example.org>'")["value"]) == 2
    assert app.get(f"{url}internetMessageId eq '<none@example.org>'")["value"] == []
    app.ask("PATCH", mail, {"singleValueExtendedProperties": [{"id": MARKER, "value": "it's"}]})
    by_marker = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARKER}' and ep/value eq 'it''s')"
    (found,) = app.get(url + by_marker)["value"]
    assert mail.endswith(found["id"])
    assert app.ask("GET", f"{url}nonsense").code == "ErrorInvalidUrlQueryFilter"
    assert app.ask("GET", f"{ME}/messages?$select=nonsense").status == 400


def test_extended_properties(app: App, anna: Owner, mail: str) -> None:
    """The class by its tag, a marker that EWS sees too, and nothing without a filter by id."""
    app.ask("PATCH", mail, {"singleValueExtendedProperties": [{"id": MARKER, "value": "x"}]})
    wanted = f"id eq '{MARKER}' or id eq 'String 0x001A'"

    told = app.get(f"{mail}?$select=subject&$expand=singleValueExtendedProperties($filter={wanted})")

    assert told["singleValueExtendedProperties"] == [
        {"id": MARKER, "value": "x"},
        {"id": "String 0x001A", "value": "IPM.Note"},
    ]
    assert app.ask("GET", f"{mail}?$expand=singleValueExtendedProperties").status == 400
    field = (
        '<m:AdditionalProperties/><t:AdditionalProperties><t:ExtendedFieldURI PropertyName="connector-marker"'
        ' PropertySetId="00020329-0000-0000-C000-000000000046" PropertyType="String"/></t:AdditionalProperties>'
    ).removeprefix("<m:AdditionalProperties/>")
    assert said(anna.item(told["id"].replace("-", "+").replace("_", "/"), "IdOnly", field), "t:Value") == ["x"]


def test_html_is_sanitised_unless_it_is_asked_for(app: App, mail: str) -> None:
    """And turned into text where that is preferred."""
    seen = app.get(mail)["body"]["content"]
    whole = app.get(mail, Prefer='outlook.allow-unsafe-html="true"')["body"]["content"]

    assert "script" not in seen
    assert "onclick" not in seen
    assert "data-x" not in seen
    assert "cid:i" in seen
    assert "<script>bad()</script>" in whole
    assert app.get(mail, Prefer='outlook.body-content-type="text"')["body"]["contentType"] == "text"


def test_attachments_are_listed_without_their_bytes(app: App, mail: str) -> None:
    """Where `$select` leaves them out."""
    names = "id,name,contentType,size,isInline"
    listed = app.get(f"{mail}/attachments?$select={names}")["value"]

    assert [each["@odata.type"].rpartition(".")[2] for each in listed] == [
        "fileAttachment",
        "fileAttachment",
        "itemAttachment",
    ]
    assert [(each["name"], each["isInline"]) for each in listed[:2]] == [("i.gif", True), ("plan.pdf", False)]
    assert not any("contentBytes" in each for each in listed)
    whole = app.get(f"{mail}/attachments")["value"]
    assert base64.b64decode(whole[1]["contentBytes"]) == PDF
    expanded = app.get(f"{mail}?$expand=attachments($select=id,name)")["attachments"]
    assert [each["id"] for each in expanded] == [each["id"] for each in listed]


def test_names_that_nothing_has(app: App, mail: str) -> None:
    """They are refused; what only files have stands behind their type; and Graph keeps no Content-Location."""
    cast = "microsoft.graph.fileAttachment"
    for asked in (
        f"{mail}/attachments?$select=contentId",
        f"{mail}/attachments?$select=id,contentBytes",
        f"{mail}?$expand=attachments($select=id,contentId)",
        f"{mail}?$select=contentId",
        f"{ME}/mailFolders?$select=id,isRead",
    ):
        assert (app.ask("GET", asked).status, app.ask("GET", asked).code) == (400, "RequestBroker--ParseUri"), asked
    told = {"@odata.type": f"#{cast}", "name": "a.txt", "contentBytes": "aGk=", "contentLocation": "http://x/a"}
    assert app.ask("POST", f"{mail}/attachments", told).json["contentLocation"] is None
    names = f"id,name,{cast}/contentId,{cast}/contentLocation,{cast}/contentBytes"
    inline, *_, added = app.get(f"{mail}/attachments?$select={names}")["value"]
    assert (inline["contentId"], added["contentBytes"], added["contentLocation"]) == ("i", "aGk=", None)


def test_the_bytes_of_attachments(app: App, exchange: Exchange, mail: str) -> None:
    """A file's own, an item's MIME, and none of a reference."""
    item = app.get(mail)["id"].replace("-", "+").replace("_", "/")
    exchange.order(refer={"mailbox": ANNA, "item": item, "name": "cloud", "url": "https://example.org/x"})
    _, pdf, message, reference = app.get(f"{mail}/attachments?$select=id")["value"]

    answer = app.ask("GET", f"{mail}/attachments/{pdf['id']}/$value")
    assert (answer.body, answer.headers["Content-Type"]) == (PDF, "application/pdf")
    assert b"Subject: Forwarded" in app.ask("GET", f"{mail}/attachments/{message['id']}/$value").body
    assert app.ask("GET", f"{mail}/attachments/{reference['id']}/$value").status == 405
    inner = app.get(f"{mail}/attachments/{message['id']}?$expand=microsoft.graph.itemattachment/item")
    assert inner["item"]["subject"] == "Forwarded"


def test_inline_attachments_do_not_count(app: App, exchange: Exchange, anna: Owner, mail: str) -> None:
    """HasAttachments is about the others."""
    for each in app.get(f"{mail}/attachments?$select=id,isInline")["value"]:
        if not each["isInline"]:
            assert app.get(mail)["hasAttachments"] is True
            assert app.ask("DELETE", f"{mail}/attachments/{each['id']}").status == 204
            assert app.ask("DELETE", f"{mail}/attachments/{each['id']}").code == "ErrorItemNotFound"

    assert app.get(mail)["hasAttachments"] is False


def test_a_message_as_mime(app: App, mail: str) -> None:
    """With all that it carries."""
    answer = app.ask("GET", f"{mail}/$value")

    assert answer.headers["Content-Type"] == "text/plain"
    assert b"Subject: Plans" in answer.body
    assert b"plan.pdf" in answer.body


def test_one_patch_for_body_and_marker(app: App, mail: str) -> None:
    """One change; the recipients stay."""
    before = app.get(mail)
    body = {"contentType": "html", "content": "<p>new</p>"}

    answer = app.ask(
        "PATCH",
        mail,
        {"body": body, "singleValueExtendedProperties": [{"id": MARKER, "value": "1"}]},
        If_Match=before["@odata.etag"],
    )

    assert answer.status == 200
    assert answer.json["changeKey"] != before["changeKey"]
    after = app.get(mail)
    assert after["body"] == body
    assert after["toRecipients"] == before["toRecipients"]


def test_a_change_in_between_is_a_conflict(app: App, exchange: Exchange, mail: str) -> None:
    """If-Match is honoured, unless that was only inferred."""
    old = app.get(mail)["@odata.etag"]
    app.ask("PATCH", mail, {"categories": ["x"]})

    answer = app.ask("PATCH", mail, {"subject": "y"}, If_Match=old)
    assert (answer.status, answer.code) == (412, "ErrorIrresolvableConflict")
    exchange.order(deviate={"ignore-if-match": True})
    assert app.ask("PATCH", mail, {"subject": "y"}, If_Match=old).status == 200


def test_conflicts_at_random(app: App, exchange: Exchange, mail: str) -> None:
    """Also where nobody else wrote, and nobody asked for a match (facts, A4)."""
    exchange.order(conflicts={"share": 0.5, "seed": 1})

    codes = [app.ask("PATCH", mail, {"categories": [str(each)]}).status for each in range(20)]

    assert set(codes) == {200, 412}
    exchange.order(reset=True)
    assert app.ask("PATCH", mail, {"categories": []}).status == 200


def test_received_bodies_need_the_advanced_permission(app: App, exchange: Exchange, mail: str) -> None:
    """From 2026-12-31; drafts do not, nor do categories and markers."""
    exchange.order(roles=["Mail.ReadWrite"])
    app.token = ""
    draft = app.ask("POST", f"{ME}/messages", {"subject": "draft"}).json
    for change in ({"subject": "x"}, {"body": {"contentType": "text", "content": "x"}}):
        assert app.ask("PATCH", mail, change).code == "ErrorAccessDenied"
        assert app.ask("PATCH", f"{ME}/messages/{draft['id']}", change).status == 200
    assert app.ask("PATCH", mail, {"categories": ["x"]}).status == 200
    exchange.order(deviate={"ungated-bodies": True})
    assert app.ask("PATCH", mail, {"subject": "x"}).status == 200


def test_a_permission_of_exchange_stands_in_no_token(app: App, exchange: Exchange, mail: str) -> None:
    """RBAC for Applications (facts, A7)."""
    exchange.order(roles=[], granted=["Mail-Advanced.ReadWrite.All"])
    app.token = ""

    assert app.ask("PATCH", mail, {"subject": "x"}).status == 200


def test_attachments_may_be_gated_too(app: App, exchange: Exchange, mail: str) -> None:
    """It is said nowhere (facts, 0)."""
    exchange.order(roles=["Mail.ReadWrite"], deviate={"gated-attachments": True})
    app.token = ""
    attachment = app.get(f"{mail}/attachments?$select=id")["value"][0]["id"]

    assert app.ask("DELETE", f"{mail}/attachments/{attachment}").code == "ErrorAccessDenied"
    exchange.order(deviate={"gated-attachments": False})
    assert app.ask("DELETE", f"{mail}/attachments/{attachment}").status == 204


@pytest.mark.parametrize("keeps", [False, True])
def test_removing_an_attachment_changes_the_message(app: App, exchange: Exchange, mail: str, *, keeps: bool) -> None:
    """Its change key does too, as is inferred."""
    exchange.order(deviate={"attachments-keep-change-key": keeps})
    before = app.get(f"{mail}?$expand=attachments($select=id)")

    app.ask("DELETE", f"{mail}/attachments/{before['attachments'][0]['id']}")

    assert (app.get(mail)["changeKey"] == before["changeKey"]) is keeps


def test_what_nobody_may_change(app: App, mail: str) -> None:
    """Recipients of a message that is no draft, and what the service computes."""
    assert (
        app.ask("PATCH", mail, {"from": {"emailAddress": {"address": "x@example.org"}}}).code
        == "ErrorInvalidPropertySet"
    )
    assert app.ask("PATCH", mail, {"hasAttachments": False}).code == "ErrorInvalidPropertySet"


def test_a_mailbox_out_of_scope(app: App, exchange: Exchange, mail: str) -> None:
    """403, for each request."""
    exchange.order(scope=[])

    assert app.ask("GET", mail).code == "ErrorAccessDenied"
    exchange.order(scope=None)
    assert app.ask("GET", mail).status == 200


def test_a_mailbox_that_moves_to_the_cloud(app: App, exchange: Exchange, anna: Owner, mail: str) -> None:
    """Each protocol reaches it in its place only."""
    exchange.order(place={"mailbox": ANNA, "place": "on premises"})
    assert app.ask("GET", mail).code == "MailboxNotEnabledForRESTAPI"
    assert said(anna.sync(), "t:ItemId")
    exchange.order(place={"mailbox": ANNA, "place": "cloud"})
    assert app.ask("GET", mail).status == 200
    assert b"ErrorNonExistentMailbox" in anna.send(_FIND)[1]


_FIND = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
    '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
)


def test_an_attachment_is_added_in_one_piece(app: App, mail: str) -> None:
    """Up to 3 MB."""
    told = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "a.txt",
        "contentBytes": "aGk=",
        "isInline": False,
    }

    added = app.ask("POST", f"{mail}/attachments", told).json

    assert app.ask("GET", f"{mail}/attachments/{added['id']}/$value").body == b"hi"
    told["contentBytes"] = base64.b64encode(bytes(3 * 1024 * 1024 + 1)).decode()
    assert app.ask("POST", f"{mail}/attachments", told).status == 413


def test_an_attachment_is_added_in_a_session(app: App, mail: str) -> None:
    """Chunk by chunk, without a token, in order; the last one tells where it is."""
    data = hashlib.sha256(b"seed").digest() * 160_000
    told = {"attachmentType": "file", "name": "big.bin", "size": len(data)}
    session = app.ask("POST", f"{mail}/attachments/createUploadSession", {"AttachmentItem": told}).json
    url = session["uploadUrl"]

    def put(start: int, end: int, **headers: str) -> Any:
        content_range = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        return app.send("PUT", url, data[start:end], {**content_range, **headers})

    half = 3 * 1024 * 1024
    assert put(0, half, Authorization="Bearer x").status == 401
    assert put(half, len(data)).status == 416
    assert put(0, len(data)).status == 400, "more than 4 MB"
    assert put(0, half).json["nextExpectedRanges"] == [str(half)]
    last = put(half, len(data))
    assert last.status == 201
    identifier = last.headers["Location"].split("'")[-2]
    assert app.ask("GET", f"{mail}/attachments/{identifier}/$value").body == data
    assert put(half, len(data)).status == 404, "it is over"


def test_a_session_is_for_big_files_and_can_be_cancelled(app: App, mail: str) -> None:
    """Below 3 MB there is none."""
    url = f"{mail}/attachments/createUploadSession"
    small = {"AttachmentItem": {"attachmentType": "file", "name": "x", "size": 10}}
    assert app.ask("POST", url, small).code == "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
    small["AttachmentItem"]["size"] = 4_000_000
    upload = app.ask("POST", url, small).json["uploadUrl"]
    assert app.send("DELETE", upload, b"", {}).status == 204
    assert app.send("DELETE", upload, b"", {}).status == 404


def test_where_one_request_ends_and_a_session_begins(app: App, exchange: Exchange, mail: str) -> None:
    """As measured: with a request of 4 MB in all, and with a file of 2 MB."""
    exchange.order(deviate={"overlapping-uploads": True})
    told = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt"}
    overhead = len(json.dumps({**told, "contentBytes": ""}))
    most = (4 * 1024 * 1024 - overhead) // 4 * 3
    url = f"{mail}/attachments"
    for size, status in ((most, 201), (most + 1, 413)):
        whole = {**told, "contentBytes": base64.b64encode(bytes(size)).decode()}
        assert app.ask("POST", url, whole).status == status
    for size, status in ((2 * 1024 * 1024, 201), (2 * 1024 * 1024 - 1, 400)):
        item = {"AttachmentItem": {"attachmentType": "file", "name": "x", "size": size}}
        assert app.ask("POST", f"{url}/createUploadSession", item).status == status


def test_a_message_is_made(app: App, anna: Owner) -> None:
    """A draft, unless PidTagMessageFlags says otherwise; or from MIME."""
    draft = app.ask("POST", f"{ME}/messages", {"subject": "x"}).json
    flags = [{"id": "Integer 0x0E07", "value": "1"}]
    other = app.ask(
        "POST", f"{ME}/mailFolders/inbox/messages", {"subject": "y", "singleValueExtendedProperties": flags}
    )
    mime = app.ask("POST", f"{ME}/messages", base64.b64encode(letter()), Content_Type="text/plain").json

    assert (draft["isDraft"], other.json["isDraft"], other.json["isRead"]) == (True, False, True)
    assert (mime["subject"], mime["hasAttachments"]) == ("Plans", True)


def test_a_copy_and_a_removal(app: App, anna: Owner, mail: str) -> None:
    """A copy has ids of its own; what is deleted goes to Deleted Items, and then out of sight."""
    copy = app.ask("POST", f"{mail}/copy", {"DestinationId": "drafts"}).json
    assert not mail.endswith(copy["id"])
    app.headers["Prefer"] = 'IdType="ImmutableId"'
    url = f"{ME}/messages/{app.get(mail)['id']}"
    for folder in ("deleteditems", "recoverableitemsdeletions"):
        assert app.ask("DELETE", url).status == 204
        assert app.get(url)["parentFolderId"] == app.get(f"{ME}/mailFolders/{folder}")["id"]
    assert len(app.get(f"{ME}/messages")["value"]) == 1
    assert app.ask("POST", f"{url}/permanentDelete").status == 204
    assert app.ask("GET", url).code == "ErrorItemNotFound"


def test_a_folder_is_removed(app: App, exchange: Exchange, anna: Owner) -> None:
    """To Deleted Items with all that is in it, and from there for good; or for good at once, where the cloud can."""
    made = [app.ask("POST", f"{ME}/mailFolders", {"displayName": name}).json["id"] for name in ("one", "two")]
    message = app.ask("POST", f"{ME}/mailFolders/{made[0]}/messages", {"subject": "x"}).json["id"]
    deleted = app.get(f"{ME}/mailFolders/deleteditems")["id"]

    assert app.ask("DELETE", f"{ME}/mailFolders/{made[0]}").status == 204
    assert app.get(f"{ME}/mailFolders/{made[0]}")["parentFolderId"] == deleted
    assert app.get(f"{ME}/messages/{message}")["parentFolderId"] == made[0]
    assert app.ask("DELETE", f"{ME}/mailFolders/{made[0]}").status == 204
    exchange.order(deviate={"no-permanent-delete": True})
    assert app.ask("POST", f"{ME}/mailFolders/{made[1]}/permanentDelete").status == 400
    exchange.order(deviate={"no-permanent-delete": False})
    assert app.ask("POST", f"{ME}/mailFolders/{made[1]}/permanentDelete").status == 204
    assert [app.ask("GET", f"{ME}/mailFolders/{each}").status for each in made] == [404, 404]
    assert app.ask("POST", f"{ME}/mailFolders/inbox/permanentDelete").status == 400


def test_a_mailbox_that_is_none(app: App, anna: Owner) -> None:
    """404, in the words of Outlook."""
    assert app.ask("GET", "/users/nobody@example.org/messages").code == "ErrorInvalidUser"
    assert app.ask("GET", f"{ME}/messages/AAAA").code == "ErrorInvalidIdMalformed"


def test_a_batch(app: App, mail: str) -> None:
    """Each step has its own answer; bytes come in base64; who depends on what failed gets 424."""
    pdf = app.get(f"{mail}/attachments?$select=id")["value"][1]["id"]
    json_headers = {"Content-Type": "application/json"}
    steps = [
        {"id": "1", "method": "PATCH", "url": mail, "headers": json_headers, "body": {"categories": ["x"]}},
        {"id": "2", "method": "GET", "url": f"{mail}/attachments/{pdf}/$value", "dependsOn": ["1"]},
        {"id": "3", "method": "DELETE", "url": f"{mail}/attachments/none", "dependsOn": ["1"]},
        {"id": "4", "method": "DELETE", "url": f"{mail}/attachments/{pdf}", "dependsOn": ["3"]},
    ]

    told = {each["id"]: each for each in app.ask("POST", "/$batch", {"requests": steps}).json["responses"]}

    assert {name: each["status"] for name, each in told.items()} == {"1": 200, "2": 200, "3": 404, "4": 424}
    assert told["1"]["body"]["categories"] == ["x"]
    assert base64.b64decode(told["2"]["body"]) == PDF


def test_a_batch_has_its_limits(app: App, exchange: Exchange, mail: str) -> None:
    """Twenty steps; throttling is told for each of them; what makes no sense is refused as a whole."""
    step = {"method": "GET", "url": mail}
    many = [{"id": str(each), **step} for each in range(21)]
    assert app.ask("POST", "/$batch", {"requests": many}).status == 400
    exchange.order(throttle={"requests": 2, "status": 429, "back_off": 2000})
    app.ask("GET", "/users")
    (told,) = app.ask("POST", "/$batch", {"requests": many[:1]}).json["responses"]
    assert (told["status"], told["headers"]["Retry-After"]) == (429, "2")
    untyped = {"id": "1", "method": "PATCH", "url": mail, "body": {"isRead": True}}
    for nonsense in ([], [{"id": "1"}], [{"id": "1", **step, "dependsOn": ["2"]}], [untyped]):
        assert app.ask("POST", "/$batch", {"requests": nonsense}).status == 400


def test_four_of_a_batch(app: App, exchange: Exchange, mail: str) -> None:
    """Where the server has no time for more of one mailbox; what is about none counts for itself."""
    exchange.order(deviate={"four-of-a-batch": True})
    steps = [{"id": str(number), "method": "GET", "url": mail} for number in range(5)]
    steps.append({"id": "5", "method": "GET", "url": "/groups"})
    told = app.ask("POST", "/$batch", {"requests": steps}).json["responses"]
    assert [each["status"] for each in told] == [200, 200, 200, 200, 429, 200]
    assert "Retry-After" not in told[4]["headers"]


def test_four_requests_at_once_for_each_mailbox(app: App, exchange: Exchange, mail: str) -> None:
    """Whoever is one too many gets 429 (facts, A5); another mailbox is not concerned."""
    exchange.add_mailbox("ben@example.org")
    app.login()
    mailbox = exchange._organisation.mailboxes[ANNA]
    app.get("/users")
    with ThreadPoolExecutor(6) as pool:
        with mailbox.lock:  # nobody comes to an end before all have come
            waiting = [pool.submit(app.ask, "GET", mail) for _ in range(4)]
            _until(lambda: exchange._organisation.tenant._open[ANNA] == 4)
            refused = app.ask("GET", mail)
            assert app.get("/users/ben@example.org/mailFolders/inbox")["totalItemCount"] == 0

        assert (refused.status, refused.code) == (429, "ApplicationThrottled")
        assert "MailboxConcurrency" in refused.json["error"]["message"]
        assert [each.result().status for each in waiting] == [200] * 4
    assert app.ask("GET", mail).status == 200


def _until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("untold", [False, True])
def test_what_moved_out_is_removed_there(app: App, exchange: Exchange, mail: str, *, untold: bool) -> None:
    """And comes in the other folder's delta, as is inferred; what is deleted is told in any case."""
    exchange.order(deviate={"untold-moves": untold})
    _, inbox = follow(app, app.get(f"{ME}/mailFolders/inbox/messages/delta?$select=id"))
    _, sent = follow(app, app.get(f"{ME}/mailFolders/sentitems/messages/delta?$select=id"))

    moved = app.ask("POST", f"{mail}/move", {"DestinationId": "sentitems"}).json["id"]

    removed, inbox = follow(app, app.get(inbox))
    assert ["@removed" in each for each in removed] == ([] if untold else [True])
    come, sent = follow(app, app.get(sent))
    assert [each["id"] for each in come] == [moved]
    app.ask("POST", f"{ME}/messages/{moved}/permanentDelete")
    assert follow(app, app.get(sent))[0] == [{"id": moved, "@removed": {"reason": "deleted"}}]


def test_a_delta_of_one_kind_of_change(app: App, exchange: Exchange, mail: str) -> None:
    """`changeType` goes with the token."""
    _, link = follow(app, app.get(f"{ME}/mailFolders/inbox/messages/delta?changeType=created&$select=id"))
    app.ask("PATCH", mail, {"isRead": True})
    exchange.deliver(ANNA, letter())

    (found,) = follow(app, app.get(link))[0]

    assert not mail.endswith(found["id"])


@pytest.mark.parametrize(("when", "happened"), [("before", False), ("after", True)])
def test_a_write_is_struck_on_either_side_of_its_effect(
    app: App, exchange: Exchange, mail: str, when: str, *, happened: bool
) -> None:
    """By its number, as in EWS."""
    exchange.order(reset=True, drop={"request": 1, "when": when})

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        app.ask("PATCH", mail, {"categories": ["x"]})

    assert exchange.seen == ["PATCH messages"]
    assert (app.get(mail)["categories"] == ["x"]) is happened


def test_an_owner_may_log_in_with_a_password(app: App, exchange: Exchange, anna: Owner, mail: str) -> None:
    """Only to `/me`, as Thunderbird does; bodies that were received are not for him to change."""
    basic = base64.b64encode(f"{ANNA}:{anna.account['password']}".encode()).decode()

    def ask(method: str, path: str, login: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        return app.send(method, exchange.graph + path, json.dumps(body).encode() if body else b"", headers)

    assert ask("GET", "/me/messages", basic).json["value"][0]["subject"] == "Plans"
    assert ask("GET", f"{ME}/messages", basic).status == 401
    for wrong in ("YTpi", "!", ""):
        assert ask("GET", "/me/messages", wrong).status in (401, 404)
    assert ask("PATCH", mail.replace(ME, "/me"), basic, {"subject": "x"}).code == "ErrorAccessDenied"
