"""A drive of Teams keeps the laws over real HTTP, against the simulated Graph.

People act on the simulator's state. Every request and reply is held against Microsoft's description of Graph.
"""

import io
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self
from urllib.parse import unquote

import pytest

from connector.checks.probe import try_put_back_file
from connector.errors import Conflict, Corrupt, Denied, Gone, Rejected, Unavailable
from connector.model import Page, SharedFile
from connector.simulator import Deviation, Exchange
from connector.simulator.graph.files.drive import Permission
from connector.simulator.graph.files.workspace import CHAT_FILES
from connector.simulator.server import Server
from connector.sources.graph import Connection, Reply
from connector.sources.graph.failures import Answered, Grief, translate
from connector.sources.teams import GraphDrive
from tests.laws.shares import REPORT, ShareLaws, content, fetched, shown
from tests.laws.sources import notice, reported
from tests.logged import Lines
from tests.teams import ANNA, Users, channel, settings

BERT = "bert@example.org"
Refuse = Callable[..., None]
#: What a share may do otherwise without any harm.
HARMLESS = (
    Deviation.PLAIN_PATHS,
    Deviation.DELTA_WITHOUT_PATHS,
    Deviation.NO_DOWNLOAD_URLS,
    Deviation.EMPTY_DELTA_PAGES,
    Deviation.REPEATED_DELTA_ITEMS,
    Deviation.FOLDER_DELTA,
    Deviation.LATE_HASHES,
    Deviation.PROMOTED_PROPERTIES,
    Deviation.UNDECORATED_FIRST,
    Deviation.ADDRESSED_IDENTITIES,
)


@pytest.fixture(autouse=True)
def _secret(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds the secret of the app."""
    monkeypatch.setenv("GRAPH_SECRET", exchange.client["secret"])


@pytest.fixture
def world(exchange: Exchange) -> Users:
    """A channel and its people."""
    return Users(exchange)


@pytest.fixture
def source(exchange: Exchange, world: Users) -> GraphDrive:
    """The adapter, with three items a page."""
    assert world.exchange is exchange
    return channel(exchange, page_size=3)


class TestGraphDrive(ShareLaws):
    """The laws."""


class TestGraphDriveOtherwise(ShareLaws):
    """The laws, where everything is so that is only inferred or that may be."""

    @pytest.fixture(autouse=True)
    def _otherwise(self, exchange: Exchange) -> None:
        exchange.order(deviate=dict.fromkeys(HARMLESS, True))


def files(source: GraphDrive, cursor: str | None = None) -> dict[str, SharedFile]:
    """What the feed tells, by name."""
    items = (item for page in source.changes(cursor) for item in page.items)
    return {item.subject: item for item in items if isinstance(item, SharedFile)}


# --- where files are --------------------------------------------------------------------------------------------------


def test_every_kind_of_channel(exchange: Exchange, world: Users) -> None:
    """Standard channels share a drive; a private and a shared one have theirs, and other members."""
    workspace = exchange.workspace
    workspace.add_channel(world.team, "Plans")
    private = workspace.add_channel(world.team, "Board", "private", {ANNA: "owner"})
    shared = workspace.add_channel(world.team, "Partners", "shared", {"carl@example.net": ""})
    world.upload("a.pdf", REPORT)
    world.upload("b.pdf", REPORT, "Plans")
    private.drive.upload("Board/c.pdf", REPORT, ANNA)
    shared.drive.upload("Partners/d.pdf", REPORT, ANNA)
    entry = settings(exchange)
    told = {address: files(entry.source(address)) for address in entry.addresses()}
    assert {address: set(found) for address, found in told.items()} == {
        "Project": {"a.pdf", "b.pdf"},
        "Project/Board": {"c.pdf"},
        "Project/Partners": {"d.pdf"},
    }
    assert told["Project"]["a.pdf"].recipients == (ANNA, BERT)
    assert told["Project/Board"]["c.pdf"].recipients == (ANNA,)
    assert told["Project/Partners"]["d.pdf"].recipients == ("carl@example.net",)


@pytest.mark.parametrize("language", CHAT_FILES)
def test_files_of_chats(exchange: Exchange, world: Users, language: str) -> None:
    """Whatever the folder is called; what else is in a OneDrive is left alone."""
    exchange.workspace.onedrive(ANNA, language)
    exchange.workspace.send(ANNA, "chat.pdf", REPORT, BERT)
    exchange.workspace.onedrive(ANNA).upload("Private/diary.docx", REPORT, ANNA)
    entry = settings(exchange, teams=[], chats=[ANNA, "nobody@example.org"])
    (address,) = entry.addresses()
    assert set(files(entry.source(address))) == {"chat.pdf"}


def test_whoever_may_open_a_chat_file_may_open_its_pointer(exchange: Exchange, world: Users) -> None:
    """Until that is so, the file does not count as shown, and stays."""
    item_id = exchange.workspace.send(ANNA, "chat.pdf", REPORT, BERT)
    drive = exchange.workspace.onedrive(ANNA)
    source = channel(exchange, teams=[], chats=[ANNA])
    item = shown(source, item_id)
    assert item.body is not None
    pointer = drive.find(item.pointer)
    assert {who for each in pointer.permissions for who in each.people} >= {BERT}
    drive.share(item_id, "dora@example.org")
    assert fetched(source, item_id).body is None
    assert shown(source, item_id).body is not None


@pytest.mark.parametrize("before", [False, True])
def test_a_chat_file_with_a_link_for_everybody_stays(exchange: Exchange, world: Users, *, before: bool) -> None:
    """Whoever follows that link is named nowhere, so nobody could let him in to the pointer."""
    item_id = exchange.workspace.send(ANNA, "chat.pdf", REPORT, BERT)
    item = exchange.workspace.onedrive(ANNA).find(item_id)
    source = channel(exchange, teams=[], chats=[ANNA])
    if not before:
        assert shown(source, item_id).body
    item.permissions.append(Permission(roles=("read",), link="view"))
    assert fetched(source, item_id).body is None
    with pytest.raises(Rejected, match="shared with others"):
        source.rewrite(fetched(source, item_id), notice())


@pytest.mark.parametrize("before", [False, True])
def test_a_file_of_a_channel_that_others_may_open_too_stays(
    exchange: Exchange, world: Users, source: GraphDrive, *, before: bool
) -> None:
    """The pointer opens to whoever may open the folder, and to nobody else."""
    item_id = world.upload("a.pdf", REPORT)
    if not before:
        assert shown(source, item_id).body
    world.drive.share(item_id, "carl@example.net")
    assert fetched(source, item_id).body is None
    with pytest.raises(Rejected, match="shared with others"):
        source.rewrite(fetched(source, item_id), notice())


def test_exclusions(exchange: Exchange, world: Users) -> None:
    """A team, a channel and a person that are left alone whatever else is written."""
    exchange.workspace.add_channel(world.team, "Board", "private")
    exchange.add_team("Works council", {ANNA: "owner"})
    exchange.workspace.onedrive(ANNA)
    more: dict[str, Any] = {"teams": "all", "chats": [ANNA], "exclude": ["Project/board", "works COUNCIL", ANNA]}
    assert settings(exchange, **more).addresses() == ("Project",)


def test_a_file_that_is_moved_into_a_channel_that_is_left_alone(exchange: Exchange, world: Users) -> None:
    """It keeps its id there, and whoever has that is told so."""
    exchange.workspace.add_channel(world.team, "Board")
    item_id = world.upload("a.pdf", REPORT)
    source = channel(exchange, exclude=["Project/Board"])
    assert set(files(source)) == {"a.pdf"}
    assert fetched(source, item_id).in_scope
    world.move(item_id, "Board")
    assert not fetched(source, item_id).in_scope


def test_team_that_is_not_there(exchange: Exchange, world: Users) -> None:
    """It may have been deleted: a sentence names it."""
    with pytest.raises(Denied, match="no team Projects"):
        settings(exchange, teams=["Projects"]).addresses()


REFUSALS = [(403, "Forbidden"), (404, "NotFound"), (409, "conflict"), (423, "resourceLocked"), (400, "BadRequest")]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Have Graph answer with an error wherever this stands in a path; "" stands nowhere."""
    refused: dict[str, tuple[int, str]] = {}
    ask = Connection.ask

    def refusing(connection: Connection, method: str, where: str, *more: Any, **options: Any) -> Reply:
        for pattern, (status, code) in refused.items():
            if pattern in unquote(where):
                raise translate(Answered(status, code), connection.party)
        return ask(connection, method, where, *more, **options)

    monkeypatch.setattr(Connection, "ask", refusing)

    def order(pattern: str, status: int = 403, code: str = "") -> None:
        refused.clear()
        if pattern:
            refused[pattern] = (status, code)

    return order


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_team_that_is_refused_stays_as_it_was(
    exchange: Exchange, world: Users, lines: Lines, refuse: Refuse, refusal: tuple[int, str]
) -> None:
    """All its drives, under their names; the others go on, and what is new is found."""
    exchange.workspace.add_channel(world.team, "Board", "private", {ANNA: "owner"})
    entry = settings(exchange, teams="all")
    assert entry.addresses() == ("Project", "Project/Board")
    source = entry.source("Project")
    world.upload("a.pdf", REPORT)
    exchange.add_team("Archive", {ANNA: "owner"})
    refuse(f"/teams/{world.team.id}/", *refusal)
    assert set(entry.addresses()) == {"Archive", "Project", "Project/Board"}
    assert entry.source("Project").key == source.key
    assert files(source)["a.pdf"].recipients == (ANNA, BERT)
    assert [(each["event"], each["source"]) for each in lines()] == [("source.left_out", "Project")]


@pytest.mark.parametrize("kind", ["standard", "private"])
def test_a_channel_that_is_refused_stays_as_it_was(exchange: Exchange, world: Users, refuse: Refuse, kind: str) -> None:
    """With all that lies in its drive: half its folders would be half its people."""
    workspace = exchange.workspace
    channels = {each: workspace.add_channel(world.team, each, each) for each in ("standard", "private")}
    entry = settings(exchange)
    before = entry.addresses()
    roots = {each: set(entry._places[each].roots) for each in before}
    refuse(f"/channels/{channels[kind].id}/filesFolder")
    assert set(entry.addresses()) == set(before)
    assert {each: set(entry._places[each].roots) for each in before} == roots
    first = settings(exchange)
    assert set(first.addresses()) == set(before) - {"Project" if kind == "standard" else "Project/private"}


def test_a_onedrive_that_is_refused_stays_as_it_was(exchange: Exchange, world: Users, refuse: Refuse) -> None:
    """One that somebody locked, say."""
    for person in (ANNA, BERT):
        exchange.workspace.onedrive(person)
        exchange.workspace.send(person, "chat.pdf", REPORT, ANNA)
    entry = settings(exchange, teams=[], chats=[ANNA, BERT])
    refuse(f"/users/{BERT}/drive", 423, "resourceLocked")
    assert entry.addresses() == (f"{ANNA}/chats",)
    refuse("")
    assert set(entry.addresses()) == {f"{ANNA}/chats", f"{BERT}/chats"}
    refuse(f"/users/{BERT}/drive", 423, "resourceLocked")
    assert set(entry.addresses()) == {f"{ANNA}/chats", f"{BERT}/chats"}


def test_nobody_gets_the_name_of_one_that_is_refused(exchange: Exchange, world: Users, refuse: Refuse) -> None:
    """Also where it is not known yet: or the people of another team would get into its folder."""
    exchange.add_team("PROJECT", {"dora@example.org": "owner"})
    refuse(f"/teams/{world.team.id}/")
    assert settings(exchange, teams="all").addresses() == ()


@pytest.mark.parametrize(("status", "code"), [(503, ""), (429, ""), (401, "InvalidAuthenticationToken"), (500, "")])
def test_what_is_no_matter_of_one_team_stops_the_look_up(
    exchange: Exchange, world: Users, refuse: Refuse, status: int, code: str
) -> None:
    """Half a look-up is none: all stays as it was."""
    exchange.add_team("Archive", {ANNA: "owner"})
    entry = settings(exchange, teams="all")
    before = entry.addresses()
    refuse(f"/teams/{world.team.id}/", status, code)
    with pytest.raises((Unavailable, Denied)):
        entry.addresses()
    assert tuple(entry._places) == before


def test_a_look_up_that_nobody_answers_is_none(exchange: Exchange, world: Users, refuse: Refuse) -> None:
    """As where the app lacks a permission."""
    entry = settings(exchange, teams=["Project", "Projects"])
    before = entry.addresses()
    assert before == ("Project",)
    refuse("/allChannels")
    with pytest.raises(Denied):
        entry.addresses()
    assert tuple(entry._places) == before


def test_channel_without_a_folder(exchange: Exchange, world: Users) -> None:
    """Nobody has opened its Files tab yet: there is nothing, and no trouble."""
    late = exchange.workspace.add_channel(world.team, "Late", "private")
    late.folder, folder = None, late.folder
    entry = settings(exchange)
    assert entry.addresses() == ("Project",)
    late.folder = folder
    assert entry.addresses() == ("Project", "Project/Late")


def test_drive_that_was_deleted(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """Not a thousand times Gone, but one sentence."""
    *_, last = source.changes(None)
    del exchange.workspace.drives[source.key]
    for cursor in (None, last.cursor):
        with pytest.raises(Denied, match="the files of Project"):
            list(source.changes(cursor))


# --- the feed ---------------------------------------------------------------------------------------------------------


def test_only_files_of_channels(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """What else lies in the drive of a team is no file of Teams."""
    world.upload("elsewhere.pdf", REPORT, "Site Assets")
    inside = world.upload("a.pdf", REPORT, "General/Plans")
    *_, last = source.changes(None)
    assert reported(source.changes(None)) == {inside}
    world.drive.rename(world.drive.at("General/Plans").id, "Old plans", ANNA)
    world.edit(inside, b"edited")
    assert files(source, last.cursor)["a.pdf"].folder == "General/Old plans"


def test_paths_come_from_the_feed(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """No folder is asked for, also when a page is read again; a new name reaches what is below."""
    for number in range(4):
        world.upload("a.pdf", REPORT, f"General/{number}/b/c")
    inside = world.upload("b.pdf", REPORT, "General/0/b/c")
    pages = list(source.changes(None))
    world.drive.rename(world.drive.at("General/0/b").id, "B", ANNA)
    world.edit(inside, b"edited")
    assert [files(source, pages[-1].cursor)["b.pdf"].folder for _ in "ab"] == ["General/0/B/c"] * 2
    assert [each for each in exchange.seen if "items" in each] == []


def test_folders_that_are_moved_while_they_are_told(world: Users, source: GraphDrive) -> None:
    """Each below the other, for one who hears of them one after the other: it asks how that is now."""
    inside = world.upload("a.pdf", REPORT, "General/a/b")
    *_, last = source.changes(None)
    a, b = world.drive.at("General/a").id, world.drive.at("General/a/b").id
    source._folders[a] = b, "a"
    world.edit(inside, b"edited")
    assert files(source, last.cursor)["a.pdf"].folder == "General/a/b"


def test_a_cursor_of_another_drive_is_none(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """Nor is one that leads to another server."""
    item_id = world.upload("a.pdf", REPORT)
    page: Page
    *_, page = source.changes(None)
    told = json.loads(page.cursor)
    for wrong in ({"drive": "b!other"}, {"link": "https://evil.example.org/delta"}, {"link": 1}):
        assert reported(source.changes(json.dumps({**told, **wrong}))) == {item_id}


def test_pointers_are_told_as_what_they_stand_for(world: Users, source: GraphDrive) -> None:
    """With their marker, so that nobody takes them for files that are to go."""
    item = shown(source, world.upload("a.pdf", REPORT))
    *_, last = source.changes(None)
    world.rename(item.pointer, "see here.url")
    (told,) = (item for page in source.changes(last.cursor) for item in page.items)
    assert isinstance(told, SharedFile)
    assert (told.id, told.pointer, told.marker, told.files) == (item.id, item.pointer, notice().marker, ())


# --- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [1, 2, 5])
def test_a_broken_download_goes_on(exchange: Exchange, world: Users, source: GraphDrive, broken: int) -> None:
    """From where it broke off, as often as that happens."""
    told = bytes(range(256)) * 40_000
    item = source.fetch(world.upload("a.bin", told))
    for each in range(broken):
        exchange.order(truncate={"request": 2 + 2 * each})
    assert content(source, item) == told


def test_a_page_in_place_of_a_file(world: Users, source: GraphDrive) -> None:
    """A login page is no file: a human looks at it. A file that is a page is one."""
    item = source.fetch(world.upload("a.pdf", REPORT))
    world.drive.hold(item.id, stub=True)
    with pytest.raises(Rejected, match="a page came in place"):
        content(source, source.fetch(item.id))
    page = b"<!DOCTYPE html><html></html>"
    assert content(source, source.fetch(world.upload("a.html", page))) == page


def test_bytes_that_are_not_those_of_the_hash(world: Users, source: GraphDrive) -> None:
    """Nothing is taken for proved."""
    item = source.fetch(world.upload("a.pdf", REPORT))
    world.drive.find(item.id).version._hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    with pytest.raises(Corrupt):
        content(source, item)


def test_a_file_that_changes_while_it_is_read(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """Where the connection breaks off, what comes now is of another version: it is read again later, from the start."""
    item = source.fetch(world.upload("a.bin", bytes(range(256)) * 40_000))
    exchange.order(truncate={"request": 2})
    with source.open(item.id, item.id) as stream:
        stream.read(10)
        world.edit(item.id, b"other")
        with pytest.raises(Conflict):
            stream.read()


def test_a_file_is_read_again(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """From its beginning, with a fresh address; its size costs no request."""
    told = bytes(range(256)) * 4_000
    item = source.fetch(world.upload("a.bin", told))
    exchange.order(reset=True)
    with source.open(item.id, item.id) as stream:
        assert (stream.seekable(), stream.seek(0, io.SEEK_END), stream.read()) == (True, len(told), b"")
        assert len(exchange.seen) == 1
        assert (stream.seek(0), stream.read(10), stream.read()) == (0, told[:10], told[10:])
        assert len(exchange.seen) == 2
        assert (stream.seek(0), stream.read(600_000), stream.seek(0), stream.read()) == (0, told[:600_000], 0, told)
        assert len(exchange.seen) == 6
        with pytest.raises(io.UnsupportedOperation):
            stream.seek(10)


def test_a_file_that_changes_before_it_is_read_again(world: Users, source: GraphDrive) -> None:
    """What has begun with one version does not go on with another."""
    item = source.fetch(world.upload("a.pdf", REPORT))
    with source.open(item.id, item.id) as stream:
        assert stream.read() == REPORT
        world.edit(item.id, REPORT)
        with pytest.raises(Conflict):
            stream.seek(0)


# --- what may not be touched ------------------------------------------------------------------------------------------


def test_somebody_works_on_it(world: Users, source: GraphDrive) -> None:
    """Checked out: the feed says so. Open in Office: it stays, until it can go."""
    item = shown(source, world.upload("a.docx", REPORT))
    world.drive.hold(item.id, checked_out_by=ANNA)
    assert fetched(source, item.id).busy
    world.drive.hold(item.id, checked_out_by=None, locked=True)
    with pytest.raises(Conflict, match="locked"):
        source.prune(fetched(source, item.id), [item.id])
    world.drive.hold(item.id, locked=False)
    source.prune(fetched(source, item.id), [item.id])
    with pytest.raises(Gone):
        source.fetch(item.id)


def test_a_file_that_has_to_be_kept(world: Users, source: GraphDrive) -> None:
    """A record stays where it is, and a human is told."""
    item = shown(source, world.upload("a.pdf", REPORT))
    world.drive.hold(item.id, retained=True)
    with pytest.raises(Conflict, match="kept"):
        source.prune(fetched(source, item.id), [item.id])
    assert content(source, fetched(source, item.id)) == REPORT


def test_malware(world: Users, source: GraphDrive) -> None:
    """One bad file stops nothing else."""
    item = source.fetch(world.upload("a.pdf", REPORT))
    world.drive.hold(item.id, malware="EICAR")
    with pytest.raises(Rejected, match="malware"):
        content(source, item)


@pytest.mark.parametrize(
    ("refusal", "unread"),
    [(Rejected("barred for malware"), False), (Conflict("locked"), True), (Grief("it fails"), True)],
)
def test_a_shortcut_that_cannot_be_read_stops_nothing_else(
    world: Users, source: GraphDrive, monkeypatch: pytest.MonkeyPatch, refusal: Exception, *, unread: bool
) -> None:
    """Whether it is a pointer of ours stands in it: but whoever drops a bad one must not stop all the others."""
    bad, other = (
        world.upload("a.url", b"[InternetShortcut]\r\nURL=https://example.org/\r\n"),
        world.upload("b.pdf", REPORT),
    )
    stream = source._connection.stream

    def refusing(where: str, *more: Any) -> Any:
        if bad in where:
            raise refusal
        return stream(where, *more)

    monkeypatch.setattr(source._connection, "stream", refusing)
    pages = list(source.changes(None))
    assert reported(pages) == {other}
    assert [each for page in pages for each in page.unread] == [bad] * unread


@pytest.mark.parametrize("refusal", REFUSALS[:2] + REFUSALS[-1:])
def test_a_file_of_somebody_who_cannot_be_looked_up(
    exchange: Exchange, world: Users, source: GraphDrive, refuse: Refuse, refusal: tuple[int, str]
) -> None:
    """It is told all the same, by nobody."""
    world.upload("a.pdf", REPORT)
    refuse("/users/", *refusal)
    assert files(source)["a.pdf"].sender == ""


def test_a_login_that_fails_does_not_make_files_nobodys(
    exchange: Exchange, world: Users, source: GraphDrive, refuse: Refuse
) -> None:
    """What rules say of senders would be answered wrongly from then on."""
    world.upload("a.pdf", REPORT)
    refuse("/users/", 401, "InvalidAuthenticationToken")
    with pytest.raises(Denied):
        files(source)
    refuse("")
    assert files(source)["a.pdf"].sender == ANNA


@pytest.mark.parametrize(
    "name", ["a#b%c.pdf", "a'b.pdf", "\U0001f600.pdf", "a+b & c.pdf", "x" * 200 + ".pdf", "noextension"]
)
def test_names(world: Users, source: GraphDrive, name: str) -> None:
    """Whatever SharePoint takes for a name comes and goes as it is."""
    item = shown(source, world.upload(name, REPORT))
    assert (item.subject, fetched(source, item.pointer)) == (name, item)


def test_missing_consent(exchange: Exchange, world: Users) -> None:
    """The sentence names what to grant."""
    exchange.order(roles=["User.Read.All"])
    with pytest.raises(Denied, match=r"Files\.ReadWrite\.All"):
        channel(exchange)


def test_requests(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """What an idle drive and one file cost."""
    item_id = world.upload("a.pdf", REPORT)
    *_, last = source.changes(None)
    exchange.order(reset=True)
    assert reported(source.changes(last.cursor)) == set()
    idle = len(exchange.seen)
    item = shown(source, item_id)
    source.prune(item, [item.id])
    assert (idle, len(exchange.seen) - idle) <= (1, 14)


def test_a_download_costs_two_requests(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """One for what is told of the file, with an address that opens it, and one for its bytes."""
    item = source.fetch(world.upload("a.pdf", REPORT))
    exchange.order(reset=True)
    assert content(source, item) == REPORT
    assert len(exchange.seen) == 2


def test_connections_are_kept(world: Users, source: GraphDrive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Graph sends us on for bytes: a new one for each file would cost more than the file."""
    item = shown(source, world.upload("a.pdf", REPORT))
    accept, opened = Server.process_request, 0

    def counted(*told: Any) -> None:
        nonlocal opened
        opened += 1
        accept(*told)

    monkeypatch.setattr(Server, "process_request", counted)
    for _ in range(3):
        assert fetched(source, item.id) == item
        assert content(source, item) == REPORT
    assert opened == 0


def test_throttled_once(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """Unavailable goes through with its time; nobody comes early, since nobody here tries again."""
    item_id = world.upload("a.pdf", REPORT)
    exchange.order(throttle={"requests": 1, "back_off": 2000, "status": 503})
    with pytest.raises(Unavailable) as told:
        source.fetch(item_id)
    assert told.value.retry_after is not None
    assert fetched(source, item_id).subject == "a.pdf"


class Later(datetime):
    """The time when a minute has passed."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(minutes=1)


def test_all_drives_wait_where_one_was_told_to(
    exchange: Exchange, world: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SharePoint counts the requests of an app, whatever drive they are for."""
    world.upload("a.pdf", REPORT)
    exchange.workspace.send(ANNA, "plan.docx", b"PK", BERT)
    entry = settings(exchange, chats=[ANNA])
    drives = [entry.source(address) for address in entry.addresses()]
    exchange.order(throttle={"requests": 1, "back_off": 60_000, "status": 429})
    for drive in drives:
        with pytest.raises(Unavailable) as told:
            files(drive)
        assert told.value.retry_after
    assert exchange.early == []
    monkeypatch.setattr("connector.sources.graph.connection.datetime", Later)
    assert [sorted(files(drive)) for drive in drives] == [["a.pdf"], ["plan.docx"]]


def test_a_first_pass_goes_on_where_it_was_sent_away(exchange: Exchange, world: Users, source: GraphDrive) -> None:
    """SharePoint's limit ends in the middle: every file is told, none twice, and nothing comes too early."""
    wanted = {world.upload(f"{number}.bin", b"x", f"General/{number % 30}") for number in range(120)}
    source._page_size = 20
    exchange.order(resource_units={"limit": 4, "minute": 2.0})
    cursor: str | None = None
    told: list[str] = []
    waits: list[timedelta | None] = []
    while not wanted <= set(told) and len(waits) < 30:
        try:
            for page in source.changes(cursor):
                told += [item.id for item in page.items]
                cursor = page.cursor
        except Unavailable as error:
            waits.append(error.retry_after)
            time.sleep((error.retry_after or timedelta(0)).total_seconds())
    assert sorted(told) == sorted(wanted)
    assert len(waits) > 1
    assert None not in waits
    assert exchange.early == []


def test_put_back_is_proved_on_files_of_our_own(exchange: Exchange, world: Users) -> None:
    """In a channel for trials, where nothing is left; and a server that does not give files back is told."""
    trials = exchange.workspace.add_channel(world.team, "Trials", "private")
    probe = settings(exchange, probe="Project/Trials").probe_source()
    assert probe is not None
    assert try_put_back_file(probe) == ()
    assert [item.name for item in trials.drive.root.below() if not item.is_folder] == []
    assert settings(exchange, probe="Project/Trials").addresses() == ("Project",)


def test_channel_for_trials_that_is_not_there(exchange: Exchange, world: Users) -> None:
    """A sentence names it."""
    with pytest.raises(Denied, match="Project/Trials"):
        settings(exchange, probe="Project/Trials").probe_source()


def test_another_team_of_the_same_name(exchange: Exchange, world: Users, lines: Lines) -> None:
    """Its people get into nobody's folder: whoever had the name keeps it; where nobody had, both are left alone."""
    entry = settings(exchange, teams="all")
    (address,) = entry.addresses()
    source = entry.source(address)
    world.upload("a.pdf", REPORT)
    other = exchange.add_team("PROJECT", {"dora@example.org": "owner"})
    assert entry.addresses() == (address,)
    assert files(source)["a.pdf"].recipients == (ANNA, BERT)
    assert settings(exchange, teams="all").addresses() == ()
    assert {(each["event"], each["source"].lower()) for each in lines()} == {("source.namesake", "project")}
    assert settings(exchange, teams="all", exclude=[other.id]).addresses() == (address,)


def test_a_channel_that_several_teams_share_is_one_source(exchange: Exchange, world: Users, lines: Lines) -> None:
    """Each of them tells of it: its files are not two sources' at once, and it keeps the name that it had."""
    shared = exchange.workspace.add_channel(world.team, "Partners", "shared", {ANNA: "owner"})
    entry = settings(exchange, teams="all")
    assert set(entry.addresses()) == {"Project", "Project/Partners"}
    other = exchange.add_team("Archive", {ANNA: "owner"})
    other.channels[shared.id] = shared
    exchange.workspace.teams = {other.id: other, **exchange.workspace.teams}
    assert set(entry.addresses()) == {"Archive", "Project", "Project/Partners"}
    assert lines() == []


def test_a_person_who_is_named_twice_has_one_onedrive(exchange: Exchange, world: Users) -> None:
    """However it is written."""
    exchange.workspace.send(ANNA, "chat.pdf", REPORT, BERT)
    assert len(settings(exchange, teams=[], chats=[ANNA, ANNA.upper()]).addresses()) == 1


def test_another_team_gets_the_name_of_one(exchange: Exchange, world: Users) -> None:
    """The drive that was found under it keeps its own people."""
    entry = settings(exchange, teams="all")
    (address,) = entry.addresses()
    source = entry.source(address)
    world.upload("a.pdf", REPORT)
    world.team.name = "Archive"
    exchange.add_team(address, {"dora@example.org": "owner"})
    entry.addresses()
    assert files(source)["a.pdf"].recipients == (ANNA, BERT)
