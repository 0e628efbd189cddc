"""The Nextcloud store against the simulated Nextcloud: the laws of all stores, and what only Nextcloud asks for."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import SEEK_SET, BytesIO
from pathlib import Path
from typing import Any, Self

import pytest

from connector.config.readers import USER, Reader
from connector.errors import Conflict, ConnectorError, Corrupt, Denied, Exhausted, Rejected, Unavailable
from connector.model import Audience, LinkTerms, Stored
from connector.simulator.nextcloud import Nextcloud
from connector.simulator.nextcloud.message import Refused, Reply
from connector.simulator.nextcloud.shares import Shares
from connector.simulator.nextcloud.uploads import Uploads
from connector.spool import spooled
from connector.stores import Store
from connector.stores.nextcloud import NextcloudConfig
from connector.stores.nextcloud.store import NextcloudStore
from tests.laws.stores import ORIGIN, StoreLaws, World, contents, spool
from tests.lying_store import login_page, lying_store
from tests.test_stores_webdav import Certificate

PIECE = 20_000
PATH = "acme/anna@example.org/2026/R1/report.pdf"
KEY = b"k" * 32
HOME, ANNA = "acme/anna@example.org", "anna@example.org"


class NextcloudWorld:
    """A server with a service account and some people."""

    def __init__(self, server: Nextcloud) -> None:
        self.server = server
        self.cloud = server.cloud
        self.account = self.cloud.add_user("connector")
        self.password = self.account.app_password()
        self.anna = self.cloud.add_user("anna", ANNA)
        self.bert = self.cloud.add_user("bert", "bert@example.org")
        self.cloud.add_group("Front desk", "anna", "bert")

    def connect(self, **changes: Any) -> NextcloudStore:
        """A client of its own."""
        told = {"type": "nextcloud", "url": self.server.url, "user": "connector", "password": {"env": "CLOUD_PASSWORD"}}
        store = NextcloudConfig.model_validate(told | changes).connect(KEY)
        assert isinstance(store, NextcloudStore)
        return store

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file behind the store's back."""
        self.cloud.find(self.account, path)[0].content = data

    def seen(self) -> list[str]:
        """The methods of WebDAV that were asked for since the last time, in their order."""
        methods = [method for method, _, _ in self.cloud.seen]
        self.cloud.seen.clear()
        return methods


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[NextcloudWorld]:
    """A fresh server."""
    with Nextcloud() as server:
        world = NextcloudWorld(server)
        monkeypatch.setenv("CLOUD_PASSWORD", world.password)
        yield world


@pytest.fixture
def store(world: NextcloudWorld) -> NextcloudStore:
    """A client."""
    return world.connect()


class TestNextcloudStore(StoreLaws):
    """The laws."""


class TestInPieces(StoreLaws):
    """The laws, where larger files go in pieces."""

    @pytest.fixture(autouse=True)
    def _small(self, pieces: None) -> None:
        pass


class TestOlderServer(StoreLaws):
    """The laws, where the server tells no hashes: bytes are read back."""

    @pytest.fixture(autouse=True)
    def _older(self, world: NextcloudWorld) -> None:
        world.cloud.settings.x_hash = world.cloud.settings.recalculate = False


class LiveWorld:
    """A folder of its own on the server that the variables name, see `tests.nextcloud`."""

    def __init__(self, readers: Path) -> None:
        self._readers = readers
        self._folder = f"laws-{secrets.token_hex(6)}"
        self._settings = {
            "type": "nextcloud",
            "url": os.environ["CONNECTOR_NEXTCLOUD_URL"],
            "user": os.environ["CONNECTOR_NEXTCLOUD_USER"],
            "password": {"env": "CONNECTOR_NEXTCLOUD_PASSWORD"},
            "ca": os.environ.get("CONNECTOR_NEXTCLOUD_CA"),
        }

    def __enter__(self) -> Self:
        self._root()._make_collection(f"{self._folder}/")
        return self

    def __exit__(self, *_: object) -> None:
        self._root()._remove(f"{self._folder}/")

    def connect(self) -> NextcloudStore:
        """A client of its own."""
        settings = {"folder": self._folder, "readers": self._readers}
        return self._connected(settings)

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file behind the store's back."""
        self.connect()._client.ask("upload", path, success=(201, 204), data=data)

    def _root(self) -> NextcloudStore:
        return self._connected({})

    def _connected(self, settings: dict[str, Any]) -> NextcloudStore:
        store = NextcloudConfig.model_validate(self._settings | settings).connect(KEY)
        assert isinstance(store, NextcloudStore)
        return store


@pytest.mark.skipif("CONNECTOR_NEXTCLOUD_URL" not in os.environ, reason="CONNECTOR_NEXTCLOUD_URL names no live server")
class TestLive(StoreLaws):
    """The laws, on a live server: with `-n 0`, and three shares are made of the 20 that it allows in 10 minutes."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[LiveWorld]:
        """A fresh folder; the mailbox of the laws belongs to the second account."""
        other = os.environ.get("CONNECTOR_NEXTCLOUD_OTHER_USER", "nobody")
        with LiveWorld(readers(tmp_path, f"{ANNA},user:{other}")) as world:
            yield world

    def test_to_admit_twice_is_to_admit_once(self, store: Store, world: World) -> None:
        """Only where there is somebody who can be let in."""
        if "CONNECTOR_NEXTCLOUD_OTHER_USER" not in os.environ:
            pytest.skip("CONNECTOR_NEXTCLOUD_OTHER_USER names no second account")
        super().test_to_admit_twice_is_to_admit_once(store, world)


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are small, and may be as small as four bytes."""
    monkeypatch.setattr("connector.stores.nextcloud.store.PIECE", PIECE)
    monkeypatch.setattr("connector.stores.nextcloud.store.SMALLEST", 4)


def unfinished(world: NextcloudWorld) -> list[dict[str, bytes]]:
    """The uploads that were begun and not ended, with their chunks."""
    return list(world.cloud.uploads.values())


# --- files ----------------------------------------------------------------------------------------------------------


def test_requests(world: NextcloudWorld, store: NextcloudStore) -> None:
    """A new folder, three files and their links: six requests, the one that looks at the share included."""
    link(store)
    asked: list[str] = []
    store.ocs._client.event_hooks["request"].append(lambda request: asked.append(request.method))
    world.seen()
    stored = [store.put(f"{HOME}/R2/{number}.pdf", spool(b"%d" % number)) for number in range(3)]
    store.share(stored, LinkTerms(), ORIGIN)
    assert world.seen() == ["MKCOL", "PUT", "PUT", "PUT", "PROPFIND"]
    assert asked == ["GET"]
    assert all(map(store.verify, stored))
    assert world.seen() == ["PATCH"] * 3


@pytest.mark.parametrize("told", [True, False])
def test_bytes_that_go_wrong_on_the_disk(world: NextcloudWorld, store: NextcloudStore, *, told: bool) -> None:
    """The hash of what was received proves nothing of the disk: before an original goes, the disk is asked."""
    world.cloud.flips = True
    world.cloud.settings.x_hash = told
    if told:
        stored = store.put(PATH, spool(b"bytes"))
        with pytest.raises(Corrupt):
            store.verify(stored)
    else:
        with pytest.raises(Corrupt):
            store.put(PATH, spool(b"bytes"))
        assert store.names(f"{HOME}/2026/R1") == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("size", [5, 10 * PIECE + 1])
@pytest.mark.usefixtures("pieces")
def test_the_line_breaks_at_every_request(world: NextcloudWorld, size: int, when: str) -> None:
    """Of whatever request the outcome is not known: it is put again, lies there whole, and nothing is left over."""
    data = bytes(range(256)) * (size // 256 + 1)
    for number in range(1, 40):
        path = f"{HOME}/{number}/report.bin"
        store = world.connect()
        world.server.drops.append((number, when))
        try:
            store.put(path, spool(data))
        except Unavailable:
            store.put(path, spool(data))
        broken = not world.server.drops
        world.server.drops.clear()
        assert contents(store, path) == data
        assert store.names(f"{HOME}/{number}") == ("report.bin",)
        assert unfinished(world) == [] or when == "after", number
        if not broken:
            return
    pytest.fail("there were more requests than expected")


@pytest.mark.usefixtures("pieces")
def test_an_upload_goes_on_with_the_chunks_that_are_there(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Only what is missing, or is not whole, is sent again."""
    data = bytes(range(251)) * 800
    store.put(PATH, spool(b"warm"))
    world.server.drops.append((6, "before"))
    with pytest.raises(Unavailable):
        store.put(f"{HOME}/2026/R1/large.bin", spool(data))
    (chunks,) = unfinished(world)
    there = len(chunks)
    assert there >= 2
    chunks["00001"] = chunks["00001"][:-1]
    world.seen()
    store.put(f"{HOME}/2026/R1/large.bin", spool(data))
    assert world.seen().count("PUT") == -(-len(data) // PIECE) - there + 1
    assert contents(store, f"{HOME}/2026/R1/large.bin") == data
    assert unfinished(world) == []


@pytest.mark.usefixtures("pieces")
def test_a_large_file_comes_from_its_source_once(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, and also where an upload is gone on with, of which the server has some already, or all."""
    monkeypatch.setattr("connector.spool.IN_MEMORY", 0)
    data, begun = bytes(range(251)) * 800, []

    class Stream(BytesIO):
        def seek(self, place: int, whence: int = SEEK_SET) -> int:
            begun.append(whence == SEEK_SET)
            return super().seek(place, whence)

    def put() -> Stored:
        begun.clear()
        with spooled(Stream(data)) as content:
            return store.put(PATH, content)

    for drop in (6, 7, -(-len(data) // PIECE)):
        world.server.drops.append((drop, "after"))
        with pytest.raises(Unavailable):
            put()
    assert len(unfinished(world)) == 1
    assert put().sha256 == hashlib.sha256(data).hexdigest()
    assert sum(begun) == 1
    assert contents(store, PATH) == data


@pytest.mark.usefixtures("pieces")
def test_chunks_of_other_bytes_are_not_taken_for_ours(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Two write one name, or one died and the file is another one by now: neither gets pieces of the other's."""
    world.server.drops.append((12, "before"))
    with pytest.raises(Unavailable):
        store.put(PATH, spool(b"a" * 10 * PIECE))
    assert len(unfinished(world)) == 1
    assert contents(store, store.put(PATH, spool(b"b" * 10 * PIECE)).path) == b"b" * 10 * PIECE


@pytest.mark.usefixtures("pieces")
def test_chunks_of_which_the_bytes_are_wrong(world: NextcloudWorld, store: NextcloudStore) -> None:
    """The hash of the whole tells; nothing is left at the path, nor of the upload, and it goes well anew."""
    data = bytes(range(251)) * 800
    world.server.drops.append((12, "before"))
    with pytest.raises(Unavailable):
        store.put(PATH, spool(data))
    (chunks,) = unfinished(world)
    chunks["00001"] = bytes(len(chunks["00001"]))
    with pytest.raises(Corrupt):
        store.put(PATH, spool(data))
    assert store.names(f"{HOME}/2026/R1") == ()
    assert unfinished(world) == []
    assert contents(store, store.put(PATH, spool(data)).path) == data


def test_bodies_that_are_too_large_for_a_proxy(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go in pieces, of half the size until they fit."""
    monkeypatch.setattr("connector.stores.nextcloud.store.SMALLEST", 100)
    store._piece = 10_000
    world.cloud.settings.largest_body = 2_000
    data = bytes(range(256)) * 36
    assert contents(store, store.put(PATH, spool(data)).path) == data
    world.seen()
    store.put(f"{PATH}.2", spool(data))
    assert world.seen().count("PUT") == 8
    assert unfinished(world) == []


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("kept", [False, True])
def test_a_whole_that_is_too_large(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """Its pieces are not left for a day; where they cannot be deleted, what is told is why it was refused."""

    def refuses(*_: object) -> Reply:
        if kept:
            world.server.drops.append((1, "before"))
        raise Refused(413, "Sabre\\DAV\\Exception\\EntityTooLarge", "")

    monkeypatch.setattr(Uploads, "_assemble", refuses)
    with pytest.raises(Rejected, match="larger than it"):
        store.put(PATH, spool(bytes(3 * PIECE)))
    assert len(unfinished(world)) == kept


def test_a_limit_below_the_smallest_piece(world: NextcloudWorld, store: NextcloudStore) -> None:
    """One sentence says which limit to raise."""
    world.cloud.settings.largest_body = 1_000_000
    with pytest.raises(Rejected, match="client_max_body_size"):
        store.put(PATH, spool(bytes(1_000_001)))
    assert unfinished(world) == []


# --- what is erased -------------------------------------------------------------------------------------------------


def in_trash(world: NextcloudWorld) -> list[str]:
    """Where it was, of all that is there."""
    return sorted(
        each.location + below.path.removeprefix(each.node.path)
        for each in world.cloud.trash["connector"]
        for below in each.node.below()
    )


@pytest.mark.parametrize("folder", ["", "Attachments/connector"])
def test_what_is_erased_is_not_in_the_trash(world: NextcloudWorld, folder: str) -> None:
    """Nor are its versions; what others deleted stays there."""
    world.cloud.stop_clock()
    root = world.cloud.homes["connector"]
    for name in folder.split("/") if folder else ():
        root = world.cloud.trees.add(root, name, folder=True, now=0)
    store = world.connect(folder=folder)
    for name in ("report.pdf", "report.pdf.2"):
        store.put(f"{HOME}/R1/{name}", spool(b"original"))
    node = world.cloud.find(world.account, f"{folder}/{HOME}/R1/report.pdf")[0]
    world.cloud.ahead += 10
    node.wrote(b"edited", world.cloud.now())
    assert node.versions
    store.delete(f"{HOME}/R1/report.pdf.2")
    store.erase(f"{HOME}/R1/report.pdf")
    assert in_trash(world) == [f"{folder}/{HOME}/R1/report.pdf.2".strip("/")]
    store.erase(f"{HOME}/R1/report.pdf.2")
    assert in_trash(world) == []


def test_what_was_deleted_before_is_erased_too(world: NextcloudWorld) -> None:
    """However often, by whomever, and with the folder above it; the neighbours that went with it stay in the trash."""
    for number in range(3):
        store = world.connect()
        store.put(PATH, spool(b"x"))
        store.put(f"{PATH}.2", spool(b"x"))
        world.cloud.ahead += 10
        world.cloud.throw_away(world.cloud.find(world.account, PATH.rpartition("/")[0] if number else PATH)[0])
    store.erase(PATH)
    assert PATH not in in_trash(world)
    assert in_trash(world).count(f"{PATH}.2") == 2
    store.erase(f"{PATH}.2")
    store.erase(PATH.rpartition("/")[0])
    assert in_trash(world) == []


def test_a_folder_in_the_trash_with_something_in_it(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It is not erased with what is not known to be ours."""
    store.put(PATH, spool(b"x"))
    folder = PATH.rpartition("/")[0]
    world.cloud.throw_away(world.cloud.find(world.account, folder)[0])
    store.erase(folder)
    assert in_trash(world) == [folder, PATH]


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_breaks_while_something_is_erased(world: NextcloudWorld, when: str) -> None:
    """A repeated call finishes it, also where the file is gone and its rest in the trash is not."""
    for number in range(1, 20):
        store, path = world.connect(), f"{HOME}/{number}/report.pdf"
        store.put(path, spool(b"x"))
        world.server.drops.append((number, when))
        try:
            store.erase(path)
        except Unavailable:
            world.connect().erase(path)
        broken = not world.server.drops
        world.server.drops.clear()
        assert store.names(f"{HOME}/{number}") == ()
        assert in_trash(world) == []
        if not broken:
            return
    pytest.fail("there were more requests than expected")


def test_a_server_without_a_trash(world: NextcloudWorld, store: NextcloudStore) -> None:
    """What is deleted is gone."""
    world.cloud.settings.trash = False
    store.put(PATH, spool(b"x"))
    store.erase(PATH)
    assert store.names(PATH.rpartition("/")[0]) == ()


def test_a_trash_that_may_not_be_emptied(world: NextcloudWorld, store: NextcloudStore) -> None:
    """One sentence says who has to allow it."""
    world.cloud.settings.trash_may_be_emptied = False
    store.put(PATH, spool(b"x"))
    with pytest.raises(Rejected, match=r"let people empty theirs \(files\.trash\.delete"):
        store.erase(PATH)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_the_original_is_given_back_from_a_version(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Whoever has overwritten it, also more than once, with as many bytes; `verify` goes on telling of it."""
    stored = store.put(PATH, spool(b"original"))
    world.cloud.stop_clock()
    node = world.cloud.find(world.account, PATH)[0]
    for data in (b"another.", b"a third"):
        world.cloud.ahead += 60
        node.wrote(data, world.cloud.now())
    with pytest.raises(Corrupt):
        store.verify(stored)
    with store.original(stored) as stream:
        assert stream.read() == b"original"
    node.versions.clear()
    with pytest.raises(Corrupt), store.original(stored):
        pass


# --- tags -----------------------------------------------------------------------------------------------------------


def tagged(world: NextcloudWorld, path: str = PATH) -> list[str]:
    """The tags of a file."""
    node = world.cloud.find(world.account, path)[0]
    return sorted(each.name for each in world.cloud.tags if each.id in node.tags)


@pytest.fixture
def tagging(world: NextcloudWorld) -> NextcloudStore:
    """A client that puts two of three tags on files."""
    for name in ("no-ai", "private", "from mail"):
        world.cloud.add_tag(name)
    return world.connect(tags=["no-ai", "from mail"])


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("size", [5, 3 * PIECE])
@pytest.mark.usefixtures("pieces")
def test_files_bear_tags(world: NextcloudWorld, tagging: NextcloudStore, size: int, *, twice: bool) -> None:
    """Two requests more for two tags, whatever a server says to one that is there already."""
    world.cloud.settings.tags_twice = twice
    tagging.put(f"{PATH}.1", spool(b"1"))
    world.seen()
    tagging.put(PATH, spool(bytes(size)))
    tagging.put(PATH, spool(bytes(size)))
    assert tagged(world) == ["from mail", "no-ai"]
    assert size > 5 or world.seen() == ["PUT", "PUT", "PUT", "PUT", "PATCH", "PROPFIND", "PUT", "PUT"]


def test_a_file_bears_tags_of_its_own(world: NextcloudWorld, tagging: NextcloudStore) -> None:
    """Beside those that all bear, and each once; put again, it bears the others too."""
    tagging.put(PATH, spool(b"x"), ("private", "no-ai"))
    assert tagged(world) == ["from mail", "no-ai", "private"]
    tagging.put(f"{PATH}.2", spool(b"x"))
    tagging.put(f"{PATH}.2", spool(b"x"), ("private",))
    assert tagged(world, f"{PATH}.2") == ["from mail", "no-ai", "private"]
    store = world.connect()
    store.put(f"{PATH}.3", spool(b"x"), ("private",))
    store.put(f"{PATH}.4", spool(b"x"))
    assert (tagged(world, f"{PATH}.3"), tagged(world, f"{PATH}.4")) == (["private"], [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_breaks_while_tags_are_put(world: NextcloudWorld, tagging: NextcloudStore, when: str) -> None:
    """No file counts as stored that does not bear them."""
    for number in range(1, 20):
        path = f"{HOME}/{number}/report.bin"
        world.server.drops.append((number, when))
        try:
            tagging.put(path, spool(b"x"))
        except Unavailable:
            tagging.put(path, spool(b"x"))
        broken = not world.server.drops
        world.server.drops.clear()
        assert tagged(world, path) == ["from mail", "no-ai"]
        if not broken:
            return
    pytest.fail("there were more requests than expected")


def test_a_tag_that_is_not_there(world: NextcloudWorld, tagging: NextcloudStore) -> None:
    """One sentence says where it is made; one that goes is looked for again."""
    tagging.put(f"{PATH}.1", spool(b"1"))
    world.cloud.tags[:] = [each for each in world.cloud.tags if each.name != "no-ai"]
    with pytest.raises(Conflict, match="no tag no-ai any more"):
        tagging.put(PATH, spool(b"x"))
    with pytest.raises(Denied, match=r"has no tag no-ai: make it in the administration settings .* change `tags`"):
        tagging.put(PATH, spool(b"x"))
    world.cloud.add_tag("no-ai")
    tagging.put(PATH, spool(b"x"))
    assert tagged(world) == ["from mail", "no-ai"]


@pytest.mark.parametrize(("always", "reaction"), [(["no-ai"], Denied), ([], Rejected)])
def test_a_tag_that_is_not_for_everybody(
    world: NextcloudWorld, always: list[str], reaction: type[ConnectorError]
) -> None:
    """One sentence says who has to be let put it; where only a rule wants it, other files go on."""
    world.cloud.add_tag("no-ai", assignable=False)
    says = "does not let the account put the tag no-ai on files: let its group do that"
    with pytest.raises(reaction, match=says):
        world.connect(tags=always).put(PATH, spool(b"x"), ("no-ai",))


def test_a_tag_of_a_rule_that_is_not_there(world: NextcloudWorld, store: NextcloudStore) -> None:
    """A human is told of the files that were to bear it; all others go on."""
    with pytest.raises(Rejected, match="has no tag no-ai: make it"):
        store.put(PATH, spool(b"x"), ("no-ai",))
    store.put(f"{PATH}.2", spool(b"x"))


# --- who may read ---------------------------------------------------------------------------------------------------


def link(store: NextcloudStore, mailbox: str = ANNA) -> str:
    """That of a file of a mailbox, whose people were let in."""
    stored = store.put(f"acme/{mailbox}/R1/report.pdf", spool(b"report"))
    if not store.admits(f"acme/{mailbox}", mailbox):
        store.admit(f"acme/{mailbox}", mailbox)
    return store.share([stored], LinkTerms(), ORIGIN)[0].url


def readers(tmp_path: Path, *lines: str) -> Path:
    """A list of whom mailboxes belong to."""
    path = tmp_path / "readers.csv"
    path.write_text("\n".join(("mailbox,reader", *lines)) + "\n")
    return path


def opens(world: NextcloudWorld, url: str) -> set[str]:
    """The accounts that get the file."""
    return {uid for uid in ("anna", "bert") if world.server.opens(uid, url) == b"report"}


def test_a_link_opens_for_its_owner_alone(world: NextcloudWorld, store: NextcloudStore) -> None:
    """One share for the folder of the mailbox, for reading, and not a word about it by mail."""
    assert opens(world, link(store)) == {"anna"}
    assert opens(world, link(store)) == {"anna"}
    (share,) = world.cloud.shares.values()
    assert (share.who, share.permissions, share.mail_send) == ("anna", 1, False)
    assert share.node.path == HOME


def test_a_mailbox_of_a_group(world: NextcloudWorld, tmp_path: Path) -> None:
    """Its members read; whoever leaves the group does not any more."""
    store = world.connect(readers=readers(tmp_path, "Info@example.org,group:Front desk"))
    url = link(store, "info@example.org")
    assert opens(world, url) == {"anna", "bert"}
    world.cloud.groups["Front desk"].discard("anna")
    assert opens(world, url) == {"bert"}


@pytest.mark.parametrize("audience", [Audience.OWNER, Audience.GROUP])
def test_links_for_owner_and_group(
    world: NextcloudWorld, store: NextcloudStore, tmp_path: Path, audience: Audience
) -> None:
    """They are those of the mailbox; a single account is no group."""
    desk = world.connect(readers=readers(tmp_path, "Info@example.org,group:Front desk"))
    url, own = link(desk, "info@example.org"), link(store)
    stored = desk.put("acme/info@example.org/R1/report.pdf", spool(b"report"))
    assert desk.share([stored], LinkTerms(audience), ORIGIN)[0].url == url
    stored = store.put(f"{HOME}/R1/report.pdf", spool(b"report"))
    if audience is Audience.OWNER:
        assert store.share([stored], LinkTerms(audience), ORIGIN)[0].url == own
        return
    with pytest.raises(Rejected, match="belongs to one account, not to a group: give the rule the audience owner"):
        store.share([stored], LinkTerms(audience), ORIGIN)


def test_a_change_of_role_takes_old_access_away(world: NextcloudWorld, tmp_path: Path) -> None:
    """Within a day; the address in the message stays the same."""
    path = readers(tmp_path, f"{ANNA},user:anna")
    url = link(world.connect(readers=path))
    readers(tmp_path, f"{ANNA},user:bert")
    store = world.connect(readers=path)
    assert not store.admits(HOME, ANNA)
    store.admit(HOME, ANNA)
    assert store.admits(HOME, ANNA)
    assert opens(world, url) == {"bert"}
    readers(tmp_path)
    store = world.connect(readers=path)
    with pytest.raises(Rejected, match=r"readers\.csv"):
        store.admit(HOME, ANNA)
    assert opens(world, url) == set()


def test_what_somebody_else_shared_is_closed(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Of the folder of a mailbox, by the account itself."""
    url = link(store)
    client = world.connect()
    client.ocs._ask("POST", "apps/files_sharing/api/v1/shares", {"path": HOME, "shareType": 0, "shareWith": "bert"})
    assert opens(world, url) == {"anna", "bert"}
    assert not client.admits(HOME, ANNA)
    client.admit(HOME, ANNA)
    assert opens(world, url) == {"anna"}


def test_shares_of_a_locked_folder_are_not_none(world: NextcloudWorld, store: NextcloudStore) -> None:
    """The API says 404: nobody who is let in by them may be overlooked."""
    link(store)
    store.ocs.share(HOME, Reader(USER, "bert"))
    world.cloud.lock_file("connector", HOME)
    client = world.connect()
    for look in (client.admits, client.admit):
        with pytest.raises(Unavailable, match="does not list the shares of a folder: another request has locked it"):
            look(HOME, ANNA)
    world.cloud.lock_file("connector", HOME, locked=False)
    client.admit(HOME, ANNA)
    assert [each.who for each in world.cloud.shares.values()] == ["anna"]


def test_a_share_api_that_is_switched_off_is_told(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It calls all folders absent."""
    link(store)
    world.cloud.settings.api_enabled = False
    with pytest.raises(Unavailable, match="no app may share by the API"):
        store.revoke(HOME)


@pytest.mark.parametrize("reader", ["user:ANNA", f"user:{ANNA}", "group:front desk", "user:nobody"])
def test_a_reader_whom_the_server_does_not_know_by_this_name(
    world: NextcloudWorld, tmp_path: Path, reader: str
) -> None:
    """It would take it, and make a share that nobody sees: nobody is let in."""
    store = world.connect(readers=readers(tmp_path, f"{ANNA},{reader}"))
    with pytest.raises(Rejected, match="knows nobody"):
        store.admit(HOME, ANNA)
    assert not store.admits(HOME, ANNA)
    assert world.cloud.shares == {}


def test_a_share_that_was_given_up(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Its link is not given out: the message keeps its attachment until somebody was let in again."""
    link(store)
    world.cloud.shares.clear()
    stored = store.put(PATH, spool(b"report"))
    for _ in "twice":
        with pytest.raises(Conflict, match="not shared any more"):
            store.share([stored], LinkTerms(), ORIGIN)
    assert not store.admits(HOME, ANNA)
    store.admit(HOME, ANNA)
    assert store.admits(HOME, ANNA)
    assert opens(world, store.share([stored], LinkTerms(), ORIGIN)[0].url) == {"anna"}


def test_two_accounts_with_one_address(world: NextcloudWorld, store: NextcloudStore) -> None:
    """To whom the mailbox belongs is not guessed: neither of them is let in, and whoever was in already stays."""
    url = link(store)
    world.bert.email = ANNA.title()
    later = world.connect()
    assert not later.admits(HOME, ANNA)
    with pytest.raises(Rejected, match=f"more than one, to whom the mailbox {ANNA} belongs"):
        later.admit(HOME, ANNA)
    assert opens(world, url) == {"anna"}
    assert later.strangers(ANNA) == (ANNA,)


def test_a_member_with_whom_another_has_one_address(world: NextcloudWorld, store: NextcloudStore) -> None:
    """What opens to her by now stays so, and the links of the others go on."""
    url = shared(store)
    world.cloud.add_user("eve", email="bert@example.org")
    later = world.connect()
    assert later.admits(CHANNEL, "Project", MEMBERS)
    assert later.strangers("Project", MEMBERS) == ("bert@example.org",)
    assert shared(later) == url
    assert opens(world, url) == {"anna", "bert"}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("by", ["name", "profile"])
def test_somebody_who_calls_herself_by_the_address_of_another(
    world: NextcloudWorld, store: NextcloudStore, by: str, *, known: bool
) -> None:
    """Nobody is let in for it, and nobody is shut out: what counts is the address that an account has."""
    world.anna.email = ANNA if known else ""
    if by == "name":
        world.bert.name = ANNA.upper()
    else:
        world.bert.added.append(ANNA)
    if known:
        assert opens(world, link(store)) == {"anna"}
    else:
        with pytest.raises(Rejected, match="knows nobody"):
            link(store)
        assert world.cloud.shares == {}


def test_somebody_who_calls_herself_by_the_id_of_another(world: NextcloudWorld, tmp_path: Path) -> None:
    """Whom the list names is let in all the same."""
    world.bert.name = "anna"
    assert opens(world, link(world.connect(readers=readers(tmp_path, f"{ANNA},user:anna")))) == {"anna"}


def test_an_account_whose_id_is_the_address(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Only administrators give ids: it counts where there is no other address."""
    world.anna.email = ""
    account = world.cloud.add_user(ANNA, email="other@example.org")
    assert store.strangers(ANNA) == (ANNA,)
    account.email = ""
    assert store.strangers(ANNA) == ()


def test_more_than_twenty_shares_wait(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Exhausted says for how long; then it goes on, and what was shared before goes on all the while."""
    for number in range(21):
        world.cloud.add_user(f"user{number}")
    for number in range(20):
        store.admit(f"acme/{number}", f"user{number}@example.org")
    with pytest.raises(Exhausted, match="20 shares in 10 minutes") as told:
        store.admit("acme/20", "user20@example.org")
    assert told.value.retry_after == timedelta(minutes=10)
    assert world.connect().admits("acme/3", "user3@example.org")
    world.cloud.ahead += 601
    store.admit("acme/20", "user20@example.org")
    assert world.connect().admits("acme/20", "user20@example.org")


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_breaks_while_somebody_is_let_in(world: NextcloudWorld, when: str) -> None:
    """However it ended, there is one share in the end."""
    for number in range(1, 20):
        store, folder = world.connect(), f"acme/{number}"
        world.server.drops.append((number, when))
        try:
            store.admit(folder, ANNA)
        except Unavailable:
            store.admit(folder, ANNA)
        broken = not world.server.drops
        world.server.drops.clear()
        assert [each.who for each in world.cloud.shares.values() if each.node.path == folder] == ["anna"]
        if not broken:
            return
    pytest.fail("there were more requests than expected")


@pytest.mark.parametrize("wrong", [{"permissions": 31}, {"who": "bert"}], ids=["writes", "another reader"])
def test_a_share_that_lets_do_more_than_was_asked(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """It is taken back at once, and nothing is linked."""
    kept = Shares._kept
    monkeypatch.setattr(Shares, "_kept", lambda ocs, share: kept(ocs, replace(share, **wrong)))
    with pytest.raises(Rejected, match="for more than reading, or with others than it was asked"):
        store.admit(HOME, ANNA)
    assert world.cloud.shares == {}


@pytest.mark.parametrize("never_ending", [True, False])
def test_shares_that_end_by_themselves(world: NextcloudWorld, store: NextcloudStore, *, never_ending: bool) -> None:
    """What opens a link lasts as long as the file: also on older servers, which give it an end whatever is asked."""
    settings = world.cloud.settings
    settings.internal_expiry_days, settings.never_ending = 7, never_ending
    url = link(store)
    assert [each.expires for each in world.cloud.shares.values()] == [None]
    world.cloud.ahead += timedelta(days=8).total_seconds()
    assert opens(world, url) == {"anna"}


def test_a_share_that_is_to_end_is_made_to_last(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It is the same one, so it takes none of the 20; until then nothing is linked."""
    url = link(store)
    (share,) = world.cloud.shares.values()
    share.expires = world.cloud.expiry(7)
    stored = store.put(PATH, spool(b"report"))
    with pytest.raises(Conflict, match="or not for ever"):
        store.share([stored], LinkTerms(), ORIGIN)
    assert not store.admits(HOME, ANNA)
    store.admit(HOME, ANNA)
    assert link(store) == url
    assert list(world.cloud.shares.values()) == [share]
    assert share.expires is None


def test_shares_that_have_to_end(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Nothing is linked, one sentence says what to change, and the share that is there by then is made to last."""
    settings = world.cloud.settings
    settings.internal_expiry_days, settings.internal_expiry_enforced = 7, True
    for _ in "twice":
        with pytest.raises(Rejected, match=r"links end with them, so enforce no expiration date .* under Sharing \("):
            store.admit(HOME, ANNA)
        assert not store.admits(HOME, ANNA)
    assert any("end within 7 days: links end with them" in each for each in store.remarks())
    settings.internal_expiry_enforced = False
    store.admit(HOME, ANNA)
    assert store.admits(HOME, ANNA)
    assert len(world.cloud._shared["connector"]) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"api_enabled": False}, "Share API is disabled"), ({"only_group_members": True}, "Failed to create share")],
)
def test_a_policy_that_forbids_it(world: NextcloudWorld, tmp_path: Path, settings: dict[str, bool], says: str) -> None:
    """What the server says to it is told on."""
    for name, value in settings.items():
        setattr(world.cloud.settings, name, value)
    store = world.connect(readers=readers(tmp_path, f"{ANNA},group:Front desk"))
    with pytest.raises(Rejected, match=says):
        store.admit(HOME, ANNA)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("anna@example.org", "line 2: give a mailbox, and user:ID or group:ID"),
        ("anna@example.org,anna", "line 2: give a mailbox, and user:ID or group:ID"),
        ("anna@example.org,user:", "line 2: give a mailbox"),
        (",user:anna", "line 2: give a mailbox"),
        ("a@example.org,user:anna\nA@example.org,user:bert", "line 3: A@example.org is already in a line above"),
    ],
)
def test_a_list_that_is_not_understood(world: NextcloudWorld, tmp_path: Path, line: str, says: str) -> None:
    """It is refused as a whole: a guess could open files to the wrong person."""
    store = world.connect(readers=readers(tmp_path, line))
    with pytest.raises(Denied, match=says):
        store.admits(HOME, ANNA)


def test_a_list_without_columns(world: NextcloudWorld, tmp_path: Path) -> None:
    """The first line is the names of the columns."""
    path = tmp_path / "readers.csv"
    path.write_text("anna@example.org,user:anna\n")
    with pytest.raises(Denied, match="line 1: give the names of the columns: mailbox,reader"):
        world.connect(readers=path).admits(HOME, ANNA)


# --- what people share ------------------------------------------------------------------------------------------------

CHANNEL, MEMBERS = "acme/Project", frozenset({ANNA, "bert@example.org"})


def shared(store: NextcloudStore, members: frozenset[str] = MEMBERS) -> str:
    """The link of a file of a channel, whose members were let in."""
    stored = store.put(f"{CHANNEL}/R1/report.pdf", spool(b"report"))
    if not store.admits(CHANNEL, "Project", members):
        store.admit(CHANNEL, "Project", members)
    return store.share([stored], LinkTerms(Audience.GROUP), ORIGIN)[0].url


def test_members_are_let_in_and_whoever_leaves_is_not_any_more(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Each by a share of her own, and nobody else; the address stays."""
    url = shared(store)
    assert opens(world, url) == {"anna", "bert"}
    assert store.strangers("Project", MEMBERS) == ()
    assert not store.admits(CHANNEL, "Project", {ANNA})
    assert shared(store, frozenset({ANNA})) == url
    assert opens(world, url) == {"anna"}
    assert world.connect().admits(CHANNEL, "Project", {ANNA})
    assert not world.connect().admits(CHANNEL, "Project", MEMBERS)


def test_members_of_whom_nobody_is_known(world: NextcloudWorld, store: NextcloudStore) -> None:
    """They are named, and never guessed; the others are let in, and they too once they have an account."""
    members = MEMBERS | {"carla@example.org", "guest@example.net"}
    url = shared(store, members)
    assert opens(world, url) == {"anna", "bert"}
    assert store.strangers("Project", members) == ("carla@example.org", "guest@example.net")
    world.cloud.add_user("carla")
    later = world.connect()
    assert not later.admits(CHANNEL, "Project", members)
    later.admit(CHANNEL, "Project", members)
    assert later.strangers("Project", members) == ("guest@example.net",)
    assert world.server.opens("carla", url) == b"report"
    strangers = {"guest@example.net"}
    with pytest.raises(
        Rejected, match=r"none of the people who share Project: give .* name a group for it in the list"
    ):
        world.connect().admit(CHANNEL, "Project", strangers)
    assert opens(world, url) == set()


def test_a_group_that_the_list_names_for_a_channel(world: NextcloudWorld, tmp_path: Path) -> None:
    """It has the last word: one share, whoever the members are."""
    store = world.connect(readers=readers(tmp_path, "Project,group:Front desk"))
    url = shared(store, frozenset({"carla@example.org"}))
    assert opens(world, url) == {"anna", "bert"}
    assert [each.who for each in world.cloud.shares.values()] == ["Front desk"]
    assert store.strangers("Project", {"carla@example.org"}) == ()
    listed = world.connect(readers=readers(tmp_path, f"{ANNA},user:anna"))
    assert listed.strangers("Project", MEMBERS) == ("bert@example.org",)


def test_more_than_twenty_members_are_let_in_one_after_the_other(world: NextcloudWorld, store: NextcloudStore) -> None:
    """As many as the server allows at a time; nobody is asked for twice, and in the end all are in."""
    members = frozenset(f"user{number}@example.org" for number in range(45))
    for each in members:
        world.cloud.add_user(each.partition("@")[0])
    for there in (20, 40):
        with pytest.raises(Exhausted, match="20 shares in 10 minutes"):
            store.admit(CHANNEL, "Project", members)
        assert len(world.cloud.shares) == there
        assert not store.admits(CHANNEL, "Project", members)
        world.cloud.ahead += 601
    store.admit(CHANNEL, "Project", members)
    assert {each.who for each in world.cloud.shares.values()} == {each.partition("@")[0] for each in members}
    assert store.admits(CHANNEL, "Project", members)


def test_a_member_who_gives_up_a_share_has_it_again(world: NextcloudWorld, store: NextcloudStore) -> None:
    """As long as she is a member."""
    url = shared(store)
    (of_bert,) = (each for each in world.cloud.shares.values() if each.who == "bert")
    del world.cloud.shares[of_bert.id]
    with pytest.raises(Conflict, match="not shared any more"):
        shared(store)
    assert shared(store) == url
    assert opens(world, url) == {"anna", "bert"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_breaks_while_members_are_let_in(world: NextcloudWorld, when: str) -> None:
    """However it ended, each has one share in the end."""
    for number in range(1, 20):
        store, folder = world.connect(), f"acme/{number}"
        world.server.drops.append((number, when))
        try:
            store.admit(folder, "Project", MEMBERS)
        except Unavailable:
            store.admit(folder, "Project", MEMBERS)
        broken = not world.server.drops
        world.server.drops.clear()
        assert sorted(each.who for each in world.cloud.shares.values() if each.node.path == folder) == ["anna", "bert"]
        if not broken:
            return
        world.cloud.ahead += 601
    pytest.fail("there were more requests than expected")


def test_remarks(world: NextcloudWorld, store: NextcloudStore) -> None:
    """How few shares there may be, where that is so; and the right id of an account that has several names."""
    assert [each[:40] for each in store.remarks()] == ["an account may make 20 shares in 10 minu"]
    world.cloud.settings.allowed.add("127.0.0.1")
    assert store.remarks() == ()
    (remark,) = world.connect(user="CONNECTOR").remarks()
    assert "write that as `user`" in remark


def test_it_tells_what_its_quota_leaves(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Where there is one; -3, which means that there is none, is no number of bytes."""
    assert store.free() is None
    world.cloud.users["connector"].quota = 5_000
    assert store.free() == 5_000


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_no_cookie_is_kept(world: NextcloudWorld, store: NextcloudStore) -> None:
    """With somebody's session, a request would run as that account whatever password comes with it."""
    link(store)
    assert not store._client.session.cookies
    assert not store.ocs._client.cookies
    assert all(user == "connector" for _, _, user in world.cloud.seen)


@pytest.mark.parametrize("of_shares", [False, True])
def test_a_wrong_password(world: NextcloudWorld, monkeypatch: pytest.MonkeyPatch, *, of_shares: bool) -> None:
    """One request, and no other."""
    monkeypatch.setenv("CLOUD_PASSWORD", "wrong")
    store = world.connect()
    with pytest.raises(Denied, match="does not accept the user name and password"):
        store.admit(HOME, ANNA) if of_shares else store.put(PATH, spool(b"x"))
    assert sum(map(len, world.cloud._wrong.values())) == 1


@pytest.mark.parametrize("of_shares", [False, True])
def test_the_whole_address_is_blocked(world: NextcloudWorld, store: NextcloudStore, *, of_shares: bool) -> None:
    """Whatever the password: for half an hour nothing is asked."""
    world.cloud._wrong["127.0.0.1"] = [world.cloud.now()] * 11
    with pytest.raises(Unavailable, match="brute-force") as told:
        store.admit(HOME, ANNA) if of_shares else store.put(PATH, spool(b"x"))
    assert told.value.retry_after == timedelta(minutes=30)


@pytest.mark.parametrize("of_shares", [False, True])
def test_maintenance(world: NextcloudWorld, store: NextcloudStore, *, of_shares: bool) -> None:
    """It takes minutes."""
    world.cloud.settings.maintenance = True
    with pytest.raises(Unavailable, match="maintenance mode") as told:
        store.admit(HOME, ANNA) if of_shares else store.put(PATH, spool(b"x"))
    assert told.value.retry_after == timedelta(minutes=5)


def test_a_disabled_account(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It comes as 503, and does not go away by itself."""
    world.account.enabled = False
    with pytest.raises(Denied, match="account is disabled"):
        store.put(PATH, spool(b"x"))


def test_a_quota_that_is_used_up(world: NextcloudWorld, store: NextcloudStore) -> None:
    """The message keeps its attachment."""
    world.account.quota = 10
    with pytest.raises(Unavailable, match="quota of the account that owns the folder"):
        store.put(PATH, spool(b"more than ten bytes"))
    assert store.names(f"{HOME}/2026/R1") == ()


def test_a_file_that_is_locked(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It is not for long, and all other files go on."""
    stored = store.put(PATH, spool(b"x"))
    world.cloud.find(world.account, PATH)[0].locked = True
    with pytest.raises(Conflict, match="locked"), store.open(stored.path) as stream:
        stream.read()
    with pytest.raises(Conflict, match="locked"):
        store.take(stored.path, f"{PATH}.2")


def test_a_name_that_the_server_forbids(store: NextcloudStore) -> None:
    """`connector.names` makes none of these; a folder in the configuration might."""
    with pytest.raises(Rejected, match="does not allow the name"):
        store.put(f"{HOME}/a\\b.txt", spool(b"x"))


@pytest.mark.parametrize("of_shares", [False, True])
def test_a_certificate_that_has_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, of_shares: bool) -> None:
    """One sentence says so, and what to do; nothing is sent."""
    certificate = Certificate.made(tmp_path / "cloud.pem", days=-1)
    monkeypatch.setenv("CLOUD_PASSWORD", "secret")
    with Nextcloud(tls=certificate.server()) as server:
        told = {"type": "nextcloud", "url": server.url, "user": "connector", "password": {"env": "CLOUD_PASSWORD"}}
        store = NextcloudConfig.model_validate(told | {"ca": certificate.file}).connect(KEY)
        with pytest.raises(Unavailable, match="certificate has expired; renew the server's certificate"):
            store.admit(HOME, ANNA) if of_shares else store.put(PATH, spool(b"x"))


@pytest.mark.parametrize("of_shares", [False, True])
def test_an_address_that_is_a_web_page(world: NextcloudWorld, *, of_shares: bool) -> None:
    """A login page says 200 to everything, and has nothing of ours."""
    with lying_store(lie=login_page()) as proxy:
        store = world.connect(url=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(Denied, match="that is a login page"):
            store.admit(HOME, ANNA) if of_shares else store.put(PATH, spool(b"x"))


def test_a_file_that_has_gone_is_not_linked(store: NextcloudStore) -> None:
    """It begins anew."""
    stored = store.put(PATH, spool(b"x"))
    store.delete(PATH)
    with pytest.raises(Conflict):
        store.share([stored], LinkTerms(), ORIGIN)


def test_a_folder_that_does_not_exist(world: NextcloudWorld) -> None:
    """The root is never made: another account, or a server that lost its disk, must not look like an empty store."""
    store = world.connect(folder="Attachments/connector")
    with pytest.raises(Unavailable, match="does not exist: create it"):
        store.put(PATH, spool(b"x"))
    above = world.cloud.trees.add(world.cloud.homes["connector"], "Attachments", folder=True, now=0)
    world.cloud.trees.add(above, "connector", folder=True, now=0)
    assert opens(world, link(store)) == {"anna"}


def test_authorities_that_are_none_are_told(world: NextcloudWorld, tmp_path: Path) -> None:
    """As a secret that is not to be had: it sets one tenant aside, and no other."""
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(LookupError, match=r"store\.ca: .*ca\.pem holds no certificates"):
        world.connect(ca=tmp_path / "ca.pem")
