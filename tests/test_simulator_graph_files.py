"""The simulated drives of Microsoft 365, rule by rule, in plain HTTP; Microsoft's OpenAPI judges every exchange."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from connector.simulator import Deviation, Exchange
from connector.simulator.content import Seeded
from connector.simulator.graph.files import transfer
from connector.simulator.graph.files.drive import Drive
from connector.simulator.graph.files.quickxor import quick_xor
from connector.simulator.graph.files.transfer import PART
from connector.simulator.graph.files.workspace import Kind, Team
from tests.graph import Answer, App, GraphJudge

ANNA, BERT = "anna@example.org", "bert@example.org"
REPORT = b"%PDF-1.7 numbers"


@pytest.fixture
def team(exchange: Exchange) -> Team:
    """Anna's team, with Bert in it."""
    return exchange.add_team("Plans", {ANNA: "owner", BERT: ""})


@pytest.fixture
def drive(team: Team) -> Drive:
    """The drive of its standard channels."""
    return team.drive


@pytest.fixture
def at(drive: Drive) -> str:
    """The URL of the drive."""
    return f"/drives/{drive.id}"


def pages(app: App, path: str, **headers: str) -> Iterator[dict[str, Any]]:
    """The pages of a change feed, up to its delta link."""
    while path:
        page = app.get(path, **headers)
        yield page
        path = page.get("@odata.nextLink", "")


def changes(app: App, path: str) -> tuple[list[dict[str, Any]], str]:
    """All changes, and the link that goes on from there."""
    found = [*pages(app, path)]
    return [item for page in found for item in page["value"]], found[-1]["@odata.deltaLink"]


def download(app: App, path: str, **headers: str) -> Answer:
    """What the URL gives that a download is sent to, without a token."""
    answer = app.ask("GET", path)
    assert answer.status == 302
    return app.send("GET", answer.headers["Location"], b"", {name.replace("_", "-"): v for name, v in headers.items()})


def upload(app: App, url: str, content: bytes, start: int = 0, stop: int | None = None) -> Answer:
    """One part of an upload session."""
    part = content[start:stop]
    span = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(content)}"}
    return app.send("PUT", url, part, span)


# --- finding (facts, B1) ---------------------------------------------------------------------------------------------


def test_a_team_is_a_group(app: App, exchange: Exchange, team: Team) -> None:
    """Which the filter finds; its owners and members are people."""
    exchange.add_group("not a team", ANNA)

    found = app.get("/groups?$filter=resourceProvisioningOptions/Any(x:x eq 'Team')&$select=id,displayName")["value"]

    assert found == [{"id": team.id, "displayName": "Plans"}]
    assert [each["mail"] for each in app.get(f"/groups/{team.id}/owners")["value"]] == [ANNA]
    assert [each["mail"] for each in app.get(f"/groups/{team.id}/members")["value"]] == [ANNA, BERT]
    assert [each["id"] for each in app.get("/teams")["value"]] == [team.id]
    assert app.get(f"/teams/{team.id}")["displayName"] == "Plans"
    assert app.ask("GET", f"/teams/{exchange.tenant}").status == 404


def test_standard_channels_share_a_drive_and_others_do_not(app: App, exchange: Exchange, team: Team) -> None:
    """Private and shared channels have a site each, and members of their own."""
    workspace = exchange.workspace
    workspace.add_channel(team, "Budget")
    for kind in (Kind.PRIVATE, Kind.SHARED):
        workspace.add_channel(team, f"Our {kind}", kind, {BERT: "owner"})

    drives, members = {}, {}
    for channel in app.get(f"/teams/{team.id}/allChannels")["value"]:
        at = f"/teams/{team.id}/channels/{channel['id']}"
        drives[channel["displayName"]] = app.get(f"{at}/filesFolder")["parentReference"]["driveId"]
        members[channel["membershipType"]] = [each["email"] for each in app.get(f"{at}/members")["value"]]
        assert app.get(at)["id"] == channel["id"]

    assert drives["General"] == drives["Budget"] == app.get(f"/groups/{team.id}/drive")["id"]
    assert len(set(drives.values())) == 3
    assert members == {"standard": [ANNA, BERT], "private": [BERT], "shared": [BERT]}


def test_a_channel_without_a_folder(app: App, team: Team) -> None:
    """Nobody opened its Files tab; somebody deleted its folder; its name is one that Graph stumbles over."""
    channel = team.channel("General")
    at = f"/teams/{team.id}/channels/{channel.id}/filesFolder"
    assert app.get(at)["name"] == "General"
    assert app.ask("GET", f"{at}?$select=id").status == 400

    channel.fails = True
    assert app.ask("GET", at).status == 400
    channel.fails = False
    assert channel.folder is not None
    team.drive.delete(channel.folder.id)
    assert app.ask("GET", at).status == 404
    channel.folder = None
    assert app.ask("GET", at).status == 404


@pytest.mark.parametrize(
    ("language", "folder"),
    [
        ("en", "Microsoft Teams Chat Files"),
        ("de", "Microsoft Teams-Chatdateien"),
        ("fr", "Fichiers de conversation Microsoft Teams"),
    ],
)
def test_chat_files_lie_in_a_onedrive(app: App, exchange: Exchange, language: str, folder: str) -> None:
    """In a folder whose name is in the owner's language; the people of the chat may read them."""
    exchange.add_mailbox(ANNA)
    exchange.add_mailbox(BERT)
    assert app.ask("GET", f"/users/{ANNA}/drive").code == "ResourceNotFound"
    exchange.workspace.onedrive(ANNA, language)
    item = exchange.workspace.send(ANNA, "plan.pdf", REPORT, BERT)

    drive = app.get(f"/users/{ANNA}/drive")
    found = app.get(f"/drives/{drive['id']}/items/{item}")
    logins = [
        each["grantedToV2"]["siteUser"]["loginName"]
        for each in app.get(f"/drives/{drive['id']}/items/{item}/permissions")["value"]
    ]

    assert drive["driveType"] == "business"
    assert found["parentReference"]["name"] == folder
    assert [login.rpartition("|")[2] for login in logins] == [BERT, ANNA]


def test_a_site_leads_to_its_drive(app: App, drive: Drive) -> None:
    """And a role is needed for it."""
    site = app.get(f"/sites/{drive.site_guid}")

    assert [each["id"] for each in app.get(f"/sites/{quote(site['id'])}/drives")["value"]] == [drive.id]
    assert app.ask("GET", "/sites/nothing").status == 404


def test_roles_are_needed(app: App, exchange: Exchange, drive: Drive) -> None:
    """Reading files is not writing them, and the folder of a channel is not its members."""
    exchange.order(roles=["Files.Read.All"])

    assert app.ask("GET", f"/drives/{drive.id}").status == 200
    assert app.ask("DELETE", f"/drives/{drive.id}/items/root").status == 403
    assert app.ask("GET", "/teams").status == 403


# --- items -----------------------------------------------------------------------------------------------------------


def test_an_item(app: App, drive: Drive, at: str) -> None:
    """What is told of a file."""
    item = drive.upload("General/Q1 & Q2/né #1.pdf", REPORT, ANNA)

    told = app.get(f"{at}/items/{item}")

    assert told["name"] == "né #1.pdf"
    assert told["size"] == len(REPORT)
    assert told["file"]["hashes"] == {"quickXorHash": quick_xor([REPORT])}
    assert told["createdBy"]["user"]["displayName"] == "Anna"
    assert told["parentReference"]["path"] == f"/drives/{drive.id}/root:/General/Q1%20%26%20Q2"
    assert app.get(f"{at}/items/{item.lower()}")["id"] == item
    assert app.get(f"{at}/root:/General/Q1 & Q2/né %231.pdf")["id"] == item
    assert set(app.get(f"{at}/items/{item}?$select=name")) == {"@odata.context", "@odata.etag", "id", "name"}
    assert app.ask("GET", f"{at}/items/{item}", If_None_Match=told["eTag"]).status == 304
    assert app.ask("GET", f"{at}/items/01NOTHING").code == "itemNotFound"


def test_children(app: App, drive: Drive, at: str) -> None:
    """In pages."""
    for number in range(5):
        drive.upload(f"General/{number}.pdf", REPORT)
    folder = drive.at("General").id

    first = app.get(f"{at}/items/{folder}/children?$top=3&$select=name")
    rest = app.get(first["@odata.nextLink"])

    assert [each["name"] for page in (first, rest) for each in page["value"]] == [f"{n}.pdf" for n in range(5)]
    assert [each["name"] for each in app.get(f"{at}/root/children")["value"]] == ["General"]


def test_etag_and_ctag(app: App, drive: Drive, at: str) -> None:
    """The eTag changes with everything, the cTag with the content only (facts, B4)."""
    item = drive.upload("General/a.pdf", REPORT)
    first = app.get(f"{at}/items/{item}")
    drive.rename(item, "b.pdf")
    renamed = app.get(f"{at}/items/{item}")
    drive.edit(item, b"other")
    edited = app.get(f"{at}/items/{item}")

    assert len({first["eTag"], renamed["eTag"], edited["eTag"]}) == 3
    assert first["cTag"] == renamed["cTag"] != edited["cTag"]


def test_rename_and_move_keep_the_id(app: App, drive: Drive, at: str) -> None:
    """A taken name is refused; so is a folder within itself."""
    item = drive.upload("General/a.pdf", REPORT)
    drive.upload("General/taken.pdf", REPORT)
    folder = app.ask("POST", f"{at}/items/{drive.at('General').id}/children", {"name": "Sub", "folder": {}})

    moved = app.ask("PATCH", f"{at}/items/{item}", {"name": "b.pdf", "parentReference": {"id": folder.json["id"]}})

    assert folder.status == 201
    assert (moved.json["id"], moved.json["parentReference"]["name"]) == (item, "Sub")
    assert app.ask("PATCH", f"{at}/items/{item}", {"name": "c.pdf"}, If_Match='"old"').status == 412
    back = {"name": "TAKEN.pdf", "parentReference": {"id": drive.at("General").id}}
    assert app.ask("PATCH", f"{at}/items/{item}", back).code == "nameAlreadyExists"
    inside = {"parentReference": {"id": folder.json["id"]}}
    assert app.ask("PATCH", f"{at}/items/{drive.at('General').id}", inside).status == 400


@pytest.mark.parametrize(
    "name",
    [*(f"a{letter}b" for letter in '"*:<>?/\\|'), " a", "a ", "a.", "~$a.docx", "a_vti_b", "CON", "x" * 256],
)
def test_names_that_sharepoint_forbids(app: App, drive: Drive, at: str, name: str) -> None:
    """Microsoft: restrictions and limitations in OneDrive and SharePoint."""
    item = drive.upload("General/a.pdf", REPORT)

    assert app.ask("PATCH", f"{at}/items/{item}", {"name": name}).code == "invalidRequest"


def test_a_path_may_have_400_characters(app: App, drive: Drive, at: str) -> None:
    """With its folders."""
    folder = drive.folder("General/" + "x" * 200 + "/" + "y" * 180)

    assert app.ask("PUT", f"{at}/items/{folder.id}:/{'z' * 10}:/content", b"").status == 201
    assert app.ask("PUT", f"{at}/items/{folder.id}:/{'z' * 11}:/content", b"").code == "pathIsTooLong"


def test_deleted_and_restored(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """With If-Match on the eTag or the cTag; only people get things back from the bin, under their ids (facts, B4)."""
    item = drive.upload("General/a.pdf", REPORT)
    told = app.get(f"{at}/items/{item}")
    drive.rename(item, "b.pdf")

    assert app.ask("DELETE", f"{at}/items/{item}", If_Match=told["eTag"]).code == "resourceModified"
    assert app.ask("DELETE", f"{at}/items/{item}", If_Match=told["cTag"]).status == 204
    assert app.ask("GET", f"{at}/items/{item}").status == 404
    assert app.ask("POST", f"{at}/items/{item}/restore", {}).code == "notSupported"
    drive.undelete(item)
    assert app.ask("DELETE", f"{at}/items/{item}").status == 204
    exchange.order(deviate={Deviation.RESTORABLE: True})
    assert app.ask("POST", f"{at}/items/{item}/restore", {}).json["name"] == "b.pdf"
    assert download(app, f"{at}/items/{item}/content").body == REPORT
    assert app.ask("POST", f"{at}/items/{item}/permanentDelete").status == 204
    assert app.ask("POST", f"{at}/items/{item}/restore", {}).status == 404
    assert app.ask("DELETE", f"{at}/items/root").status == 403


@pytest.mark.parametrize("state", [{"locked": True}, {"checked_out_by": ANNA}, {"retained": True, "label": "Records"}])
def test_what_is_held_is_left(app: App, drive: Drive, at: str, state: dict[str, Any]) -> None:
    """Open in a program, checked out by somebody else, under a label: 423 for every change (facts, B4)."""
    item = drive.upload("General/a.pdf", REPORT)
    drive.upload("General/a.pdf", REPORT)
    drive.hold(item, **state)

    held = [
        app.ask("DELETE", f"{at}/items/{item}"),
        app.ask("DELETE", f"{at}/items/{drive.at('General').id}"),
        app.ask("POST", f"{at}/items/{item}/permanentDelete"),
        app.ask("PUT", f"{at}/items/{item}/content", b"other"),
        app.ask("PATCH", f"{at}/items/{item}", {"name": "b.pdf"}),
        app.ask("DELETE", f"{at}/items/{item}/versions/1.0"),
        app.ask("POST", f"{at}/items/{item}/checkout"),
    ]

    assert [(each.status, each.code) for each in held] == [(423, "resourceLocked")] * len(held)
    assert download(app, f"{at}/items/{item}/content").body == REPORT


def test_checked_out_and_in(app: App, drive: Drive, at: str) -> None:
    """By the app itself; that shows, also where somebody else did it."""
    item = drive.upload("General/a.pdf", REPORT)
    assert app.get(f"{at}/items/{item}?$select=publication")["publication"]["level"] == "published"

    assert app.ask("POST", f"{at}/items/{item}/checkout").status == 204
    assert app.get(f"{at}/items/{item}")["publication"]["level"] == "checkout"
    assert app.ask("PUT", f"{at}/items/{item}/content", b"other").status == 200
    assert app.ask("POST", f"{at}/items/{item}/checkin", {"comment": "done"}).status == 204
    drive.hold(item, checked_out_by=ANNA)
    shown = app.get(f"{at}/items/{item}?$select=publication")["publication"]
    assert shown["checkedOutBy"]["user"]["displayName"] == "Anna"


def test_a_label_and_malware_show(app: App, drive: Drive, at: str) -> None:
    """What is infected cannot be downloaded."""
    item = drive.upload("General/a.pdf", REPORT)
    drive.hold(item, malware="EICAR", label="Records", retained=True)

    label = app.get(f"{at}/items/{item}/retentionLabel")

    assert (label["name"], label["retentionSettings"]["isDeleteAllowed"]) == ("Records", False)
    assert app.get(f"{at}/items/{item}?$select=malware")["malware"] == {"description": "EICAR"}
    assert app.ask("GET", f"{at}/items/{item}/content").code == "malwareDetected"


def test_requests_that_make_no_sense(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """Each is refused."""
    item = drive.upload("General/a.pdf", REPORT)
    folder = f"{at}/items/{drive.at('General').id}"
    other = exchange.add_team("Other", {ANNA: "owner"}).drive

    for method, path, body in (
        ("GET", "/drives/b!nothing", None),
        ("GET", f"{folder}/content", None),
        ("PUT", f"{folder}/content", b"x"),
        ("POST", f"{folder}/children", {"name": "a"}),
        ("PATCH", f"{at}/items/{item}", {"parentReference": {"driveId": other.id, "id": other.root.id}}),
        ("POST", f"{at}/items/{item}/createLink", {"type": "embed"}),
        ("POST", f"{at}/items/{item}:/b.pdf:/createUploadSession", {}),
        ("POST", f"{at}/items/{item}/createUploadSession", {"item": {"fileSize": 250 * 1024**3 + 1}}),
        ("GET", f"{at}/items/{item}/retentionLabel", None),
    ):
        assert app.ask(method, path, body).status in (400, 404, 413)
    assert app.send("GET", f"{exchange.graph.removesuffix('/v1.0')}/preauthenticated/download/a", b"", {}).status == 401


# --- the change feed (facts, B2) -------------------------------------------------------------------------------------


def test_the_feed_tells_everything_once_and_then_what_changed(app: App, drive: Drive, at: str) -> None:
    """Folders too; what left has a deleted facet; who never heard of an item does not hear that it left."""
    items = [drive.upload(f"General/Sub/{number}.pdf", REPORT) for number in range(5)]
    drive.delete(items[4])
    found, link = changes(app, f"{at}/root/delta?$top=2")
    assert [each["name"] for each in found] == ["root", "General", "Sub", "0.pdf", "1.pdf", "2.pdf", "3.pdf"]

    drive.rename(items[0], "new.pdf")
    drive.delete(items[1])
    now, link = changes(app, link)
    assert [(each["id"], "deleted" in each) for each in now] == [(items[0], False), (items[1], True)]
    drive.delete(drive.at("General").id)
    gone, link = changes(app, link)
    assert len(gone) == 5
    assert all("deleted" in each for each in gone)
    assert changes(app, link)[0] == []


def test_what_is_deleted_between_two_pages_is_told(app: App, drive: Drive, at: str) -> None:
    """The client may have seen it on the first one."""
    items = [drive.upload(f"General/{number}.pdf", REPORT) for number in range(4)]
    feed = pages(app, f"{at}/root/delta?$top=3")
    assert items[0] in [each["id"] for each in next(feed)["value"]]
    drive.delete(items[0])

    rest = [each for page in feed for each in page["value"]]

    assert [each["id"] for each in rest if "deleted" in each] == [items[0]]
    assert [each["id"] for each in rest if "deleted" not in each] == items[1:]


def test_the_token_carries_the_options(app: App, drive: Drive, at: str) -> None:
    """And `latest` begins now."""
    link = app.get(f"{at}/root/delta?token=latest&$select=name")["@odata.deltaLink"]
    item = drive.upload("General/a.pdf", REPORT)

    assert app.get(link)["value"] == [{"id": item, "name": "a.pdf"}]
    assert app.ask("GET", f"{at}/root/delta?token=nonsense").status == 400


@pytest.mark.parametrize("code", ["resyncChangesApplyDifferences", "resyncChangesUploadDifferences"])
def test_a_token_that_is_lost(app: App, exchange: Exchange, drive: Drive, at: str, code: str) -> None:
    """410, how to go on, and a link that begins anew."""
    drive.upload("General/a.pdf", REPORT)
    _, link = changes(app, f"{at}/root/delta?$select=name")
    exchange.order(forget_drive_tokens=code)

    lost = app.ask("GET", link)

    assert (lost.status, lost.code) == (410, code)
    assert [each["name"] for each in changes(app, lost.headers["Location"])[0]] == ["root", "General", "a.pdf"]


def test_the_feed_deviates(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """Empty pages, repeated items, no paths, feeds of folders: the same files all the same."""
    for number in range(4):
        drive.upload(f"General/{number}.pdf", REPORT)
    folder = f"{at}/items/{drive.at('General').id}/delta"
    plain, _ = changes(app, f"{at}/root/delta?$top=2")
    assert app.ask("GET", folder).code == "notSupported"

    for deviation in (Deviation.EMPTY_DELTA_PAGES, Deviation.REPEATED_DELTA_ITEMS, Deviation.DELTA_WITHOUT_PATHS):
        exchange.order(deviate={deviation: True})
    exchange.order(deviate={Deviation.FOLDER_DELTA: True})
    found = [*pages(app, f"{at}/root/delta?$top=2")]
    told = [item for page in found for item in page["value"]]

    assert [] in [page["value"] for page in found]
    assert len(told) > len(plain)
    assert {each["id"] for each in told} == {each["id"] for each in plain}
    assert not any("path" in each["parentReference"] for each in told)
    assert len(changes(app, folder)[0]) == 5


# --- bytes, down (facts, B3) -----------------------------------------------------------------------------------------


def test_a_download_is_sent_elsewhere(app: App, drive: Drive, at: str) -> None:
    """To a URL that takes ranges, and no token."""
    item = drive.upload("General/a.bin", bytes(range(200)))

    answer = app.ask("GET", f"{at}/items/{item}/content", Range="bytes=5-9")
    assert (answer.status, answer.body) == (302, b"")
    url = answer.headers["Location"]

    assert app.send("GET", url, b"", {}).body == bytes(range(200))
    for asked, told in (
        ("5-9", range(5, 10)),
        ("190-", range(190, 200)),
        ("-3", range(197, 200)),
        ("0-99", range(100)),
    ):
        part = app.send("GET", url, b"", {"Range": f"bytes={asked}"})
        assert (part.status, part.body) == (206, bytes(told))
        assert part.headers["Content-Range"] == f"bytes {told[0]}-{told[-1]}/200"
    assert app.send("GET", url, b"", {"Range": "bytes=200-"}).status == 416
    assert app.send("GET", url, b"", {"Authorization": f"Bearer {app.token}"}).status == 401
    etag = app.get(f"{at}/items/{item}")["eTag"]
    assert app.ask("GET", f"{at}/items/{item}/content", If_None_Match=etag).status == 304


def test_such_a_url_lives_for_minutes(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """One that was changed never did."""
    item = drive.upload("General/a.bin", REPORT)
    url = app.get(f"{at}/items/{item}")["@microsoft.graph.downloadUrl"]
    assert app.send("GET", url, b"", {}).body == REPORT
    assert app.send("GET", url[:-8] + "AAAAAAAA", b"", {}).status == 401

    exchange.order(preauthenticated_life=-1)

    assert download(app, f"{at}/items/{item}/content").code == "unauthenticated"


def test_files_that_are_not_what_they_should_be(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """A page in place of a file; an Office file that SharePoint changed; a hash that comes later."""
    item = drive.upload("General/a.pdf", REPORT)
    drive.hold(item, stub=True)
    page = download(app, f"{at}/items/{item}/content")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")

    exchange.order(deviate={Deviation.PROMOTED_PROPERTIES: True, Deviation.LATE_HASHES: True})
    folder = f"{at}/items/{drive.at('General').id}"
    told = app.ask("PUT", f"{folder}:/b.docx:/content", b"PK").json
    assert told["size"] > 2
    assert "hashes" not in told["file"]
    exchange.order(lag=0)
    assert app.get(f"{at}/items/{told['id']}")["file"]["hashes"]["quickXorHash"] != quick_xor([b"PK"])
    assert app.ask("PUT", f"{folder}:/b.pdf:/content", b"PK").json["size"] == 2


def test_big_files_take_no_memory(app: App, drive: Drive, at: str) -> None:
    """Any part of a file that is made as it is read is the same each time."""
    big = Seeded(10 * 1024**3, seed=7)
    item = drive.upload("General/big.bin", big)

    url = app.ask("GET", f"{at}/items/{item}/content").headers["Location"]
    part = app.send("GET", url, b"", {"Range": "bytes=9999999999-10000999999"})

    assert part.body == b"".join(big.span(9999999999, 10001000000))
    assert part.body[1:100] == b"".join(big.span(10000000000, 10000000099))


# --- bytes, up (facts, B4) -------------------------------------------------------------------------------------------


def test_a_file_is_put_beside_another(app: App, drive: Drive, at: str) -> None:
    """A taken name fails, is replaced, or gets a number; names have no case."""
    folder = f"{at}/items/{drive.at('General').id}"
    first = app.ask("PUT", f"{folder}:/a b.url:/content", b"[InternetShortcut]")
    assert (first.status, first.json["name"]) == (201, "a b.url")

    def again(conflict: str) -> Answer:
        return app.ask("PUT", f"{folder}:/A b.url:/content?@microsoft.graph.conflictBehavior={conflict}", b"other")

    assert again("fail").code == "nameAlreadyExists"
    assert again("rename").json["name"] == "A b 1.url"
    replaced = again("replace")
    assert (replaced.status, replaced.json["id"]) == (200, first.json["id"])
    assert again("nonsense").status == 400
    assert app.ask("PUT", f"{folder}:/a b.url:/content", b"x", If_Match=first.json["eTag"]).status == 412
    assert app.ask("PUT", f"{folder}:/{quote('a?', safe='')}:/content", b"x").status == 400


def test_whoever_goes_away_in_the_middle_has_put_nothing(app: App, drive: Drive, at: str) -> None:
    """A body that is shorter than was told is no file."""
    app.get(at)
    url = urlsplit(f"{app.exchange.graph}{at}/items/{drive.root.id}:/a.bin:/content")
    with closing(http.client.HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.request("PUT", url.path, b"half", {"Authorization": f"Bearer {app.token}", "Content-Length": "9"})
        connection.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
    assert app.ask("GET", f"{at}/root:/a.bin").status == 404


def test_replaced_content_stays_as_a_version(app: App, drive: Drive, at: str) -> None:
    """Until that version is deleted; the present one cannot be."""
    item = drive.upload("General/a.pdf", REPORT)
    etag = app.get(f"{at}/items/{item}")["eTag"]

    assert app.ask("PUT", f"{at}/items/{item}/content", b"stub", If_Match='"old"').status == 412
    assert app.ask("PUT", f"{at}/items/{item}/content", b"stub", If_Match=etag).json["size"] == 4

    versions = app.get(f"{at}/items/{item}/versions")["value"]
    assert [(each["id"], each["size"]) for each in versions] == [("2.0", 4), ("1.0", len(REPORT))]
    assert app.ask("DELETE", f"{at}/items/{item}/versions/2.0").status == 404
    assert app.ask("DELETE", f"{at}/items/{item}/versions/1.0").status == 204
    assert len(app.get(f"{at}/items/{item}/versions")["value"]) == 1


def test_one_request_brings_so_much_at_most(app: App, drive: Drive, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """250 MB; here less."""
    monkeypatch.setattr(transfer, "MOST_AT_ONCE", 10)
    put = f"{at}/items/{drive.root.id}:/big.bin:/content"

    assert app.ask("PUT", put, bytes(11)).code == "fileTooLarge"
    assert app.ask("PUT", put, bytes(10)).status == 201


def test_an_upload_session(app: App, drive: Drive, at: str) -> None:
    """Parts in their order, multiples of 320 KiB; it tells what is missing."""
    content = b"".join(Seeded(2 * PART + 5, 3).chunks())
    folder = f"{at}/items/{drive.at('General').id}"
    url = app.ask("POST", f"{folder}:/big.bin:/createUploadSession", {"item": {"name": "big.bin"}}).json["uploadUrl"]

    first = upload(app, url, content, 0, PART)
    assert (first.status, first.json["nextExpectedRanges"]) == (202, [f"{PART}-{2 * PART + 4}"])
    assert upload(app, url, content, 0, PART).status == 416
    assert upload(app, url, content, 2 * PART).status == 416
    assert upload(app, url, content, PART, PART + 1000).status == 400
    assert app.send("GET", url, b"", {}).json["nextExpectedRanges"] == [f"{PART}-{2 * PART + 4}"]
    assert app.send("PUT", url, b"x", {"Content-Range": "bytes 0-0/1", "Authorization": "Bearer x"}).status == 401
    last = upload(app, url, content, PART)

    assert last.status == 201
    assert last.json["file"]["hashes"]["quickXorHash"] == quick_xor([content])
    assert download(app, f"{at}/items/{last.json['id']}/content").body == content
    assert upload(app, url, content).status == 404


def test_some_clients_encode_the_whole_path(app: App, drive: Drive, at: str) -> None:
    """As Microsoft's own libraries do, to whom `ID:/NAME:` is an id."""
    place = f"{at}/items/{drive.at('General').id}%3A%2Fa.bin%3A"

    assert app.ask("PUT", f"{place}/content", REPORT).status == 201
    assert app.get(f"{place}")["size"] == len(REPORT)
    assert app.ask("POST", f"{place}/createUploadSession", {}).code == "nameAlreadyExists"


def test_an_upload_session_for_what_is_there(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """Its eTag counts when the last part has come, too; sessions end, and can be ended."""
    item = drive.upload("General/a.bin", REPORT)
    etag = app.get(f"{at}/items/{item}")["eTag"]
    create = f"{at}/items/{item}/createUploadSession"
    folder = f"{at}/items/{drive.at('General').id}"
    assert app.ask("POST", create, {}, If_Match='"old"').status == 412
    assert app.ask("POST", f"{folder}:/a.bin:/createUploadSession", {}).code == "nameAlreadyExists"

    first = app.ask("POST", create, {}, If_Match=etag).json["uploadUrl"]
    second = app.ask("POST", create, {}, If_Match=etag).json["uploadUrl"]
    third = app.ask("POST", create, {}).json["uploadUrl"]
    assert upload(app, first, b"other").status == 200
    assert upload(app, second, b"another").status == 412
    assert app.send("DELETE", third, b"", {}).status == 204
    assert app.send("GET", third, b"", {}).status == 404
    assert download(app, f"{at}/items/{item}/content").body == b"other"
    exchange.order(preauthenticated_life=-1)
    assert upload(app, app.ask("POST", create, {}).json["uploadUrl"], b"x").status == 404


# --- permissions -----------------------------------------------------------------------------------------------------


def test_permissions_come_from_above_too(app: App, drive: Drive, at: str) -> None:
    """Those can be left out where people are invited, and not be deleted there."""
    item = drive.upload("General/a.pdf", REPORT)
    above = app.get(f"{at}/items/{item}/permissions")["value"]
    invitation = {"recipients": [{"email": BERT}], "roles": ["read"], "requireSignIn": True, "sendInvitation": False}

    (given,) = app.ask("POST", f"{at}/items/{item}/invite", invitation).json["value"]

    assert all("inheritedFrom" in each for each in above)
    assert [each["id"] for each in app.get(f"{at}/items/{item}/permissions")["value"]][-1] != given["id"]
    assert app.ask("DELETE", f"{at}/items/{item}/permissions/{above[0]['id']}").status == 404
    assert app.ask("DELETE", f"{at}/items/{item}/permissions/{given['id']}").status == 204
    app.ask("POST", f"{at}/items/{item}/invite", {**invitation, "retainInheritedPermissions": False})
    (only,) = app.get(f"{at}/items/{item}/permissions")["value"]
    assert only["roles"] == ["read"]
    link = app.ask("POST", f"{at}/items/{item}/createLink", {"type": "view", "scope": "organization"})
    assert (link.status, link.json["link"]["type"], link.json["link"]["scope"]) == (201, "view", "organization")
    assert "grantedToIdentitiesV2" not in link.json
    assert app.ask("POST", f"{at}/items/{item}/createLink", {"type": "view", "scope": "anonymous"}).status == 403
    assert app.ask("POST", f"{at}/items/{item}/invite", {**invitation, "recipients": [{"objectId": "x"}]}).status == 400


# --- throttling (facts, B7) ------------------------------------------------------------------------------------------


def test_resource_units(app: App, exchange: Exchange, drive: Drive, at: str) -> None:
    """One for a get, two for a list or a write, five for permissions; told from 80 % on; who comes early is noted."""
    item = drive.upload("General/a.pdf", REPORT)
    exchange.order(resource_units={"limit": 1, "minute": 0.1})
    assert app.ask("GET", f"{at}/root/children").status == 429
    time.sleep(0.3)
    assert app.ask("GET", at).status == 200
    assert exchange.early == []
    exchange.order(resource_units={"limit": 20, "minute": 60})

    for path, spent in (
        (f"{at}/items/{item}", 1),
        (f"{at}/root/delta?token=latest", 2),
        (f"{at}/items/{item}/permissions", 7),
        (f"{at}/items/{item}?$expand=permissions", 12),
        (f"{at}/root/delta", 14),
    ):
        answer = app.ask("GET", path)
        assert exchange.workspace.usage.spent == spent
        assert "RateLimit-Remaining" not in answer.headers
    told = app.ask("GET", f"{at}/root/children").headers
    assert (told["RateLimit-Limit"], told["RateLimit-Remaining"]) == ("20", "4")
    assert 0 < int(told["RateLimit-Reset"]) <= 60
    busy = app.ask("GET", f"{at}/items/{item}/permissions")
    assert (busy.status, busy.code) == (429, "activityLimitReached")
    time.sleep(0.3)
    app.ask("GET", at)
    assert exchange.early == [f"GET /v1.0{quote(at)}"]


def test_undecorated_traffic_is_throttled_first(app: App, exchange: Exchange, at: str) -> None:
    """The User-Agent tells who asks."""
    app.get(at)
    exchange.order(resource_units={"limit": 10}, deviate={Deviation.UNDECORATED_FIRST: True})

    plain = [app.ask("GET", at).status for _ in range(6)]

    assert plain == [200] * 5 + [429]
    assert app.ask("GET", at, User_Agent="NONISV|Ministry|connector/1.0").status == 200


# --- filling ---------------------------------------------------------------------------------------------------------


def test_teams_and_chats_from_a_folder(tmp_path: Path, graph_judge: GraphJudge) -> None:
    """Beside the mailboxes; the suffix of a channel's folder tells its kind."""
    for path in (
        "anna@example.org/hello.eml",
        "bert@example.org/hello.eml",
        "teams/Plans/General/Sub/a.pdf",
        "teams/Plans/Board (private)/b.pdf",
        "teams/Plans/Partners (shared)/c.pdf",
        "chats/bert@example.org/d.pdf",
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"Subject: hello\r\n\r\n")

    with Exchange(tmp_path, graph_witness=graph_judge.witness) as exchange:
        app = App(exchange)
        (team,) = app.get("/teams")["value"]
        channels = app.get(f"/teams/{team['id']}/channels")["value"]
        chat = app.get(f"/users/{BERT}/drive")["id"]

        assert {each["displayName"]: each["membershipType"] for each in channels} == {
            "General": "standard",
            "Board": "private",
            "Partners": "shared",
        }
        assert [each["mail"] for each in app.get(f"/groups/{team['id']}/owners")["value"]] == [ANNA]
        names = [each["name"] for each in changes(app, f"/drives/{chat}/root/delta?$select=name")[0]]
        assert names == ["root", "Microsoft Teams Chat Files", "d.pdf"]
        assert app.get(f"/groups/{team['id']}/drive")["quota"]["used"] == 18


def test_a_big_drive(exchange: Exchange, team: Team) -> None:
    """50,000 files are made in seconds, so that tests can have them."""
    began = time.process_time()
    for number in range(50_000):
        team.drive.upload(f"General/{number % 50}/{number % 7}/{number}.bin", b"x")

    assert len(team.drive.items) == 50_000 + 2 + 50 + 350
    assert time.process_time() - began < 15
