"""AppAPI: files that lie with the owners of mailboxes, on the simulated Nextcloud."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connector.errors import Conflict, Corrupt, Denied, Edited, FileGone, Rejected, Unavailable
from connector.model import Audience, LinkTerms, Stored
from connector.simulator.nextcloud import Nextcloud, User
from connector.simulator.nextcloud.tree import Node, Trees
from connector.stores import Store
from connector.stores.nextcloud import NextcloudConfig
from connector.stores.nextcloud.ocs import Ocs
from connector.stores.nextcloud.owners import _OWNERS, OwnersStore, _digest
from tests.laws.stores import ORIGIN, StoreLaws, World, contents, spool
from tests.test_stores_nextcloud import ANNA, HOME, KEY, PATH, PIECE, readers

BERT = "bert@example.org"
HIS = f"acme/{BERT}/2026/R1/report.pdf"


class AppWorld:
    """A server where an app is registered, a service account without a password of ours, and some people."""

    def __init__(self, server: Nextcloud) -> None:
        self.server = server
        self.cloud = server.cloud
        self.account = self.cloud.add_user("connector")
        self.anna = self.cloud.add_user("anna", ANNA)
        self.bert = self.cloud.add_user("bert", BERT)
        self.cloud.add_group("Front desk", "anna", "bert")
        self.cloud.apps["connector"] = "app-secret"

    def connect(self, **changes: Any) -> OwnersStore:
        """A client of its own."""
        told = {"type": "nextcloud", "url": self.server.url, "user": "connector"}
        store = NextcloudConfig.model_validate(told | {"appapi": {"secret": {"env": "APP_SECRET"}}} | changes).connect(
            KEY
        )
        assert isinstance(store, OwnersStore)
        return store

    def overwrite(self, path: str, data: bytes) -> None:
        """Change a stored file behind the store's back, on the disk: Nextcloud does not notice."""
        node = self.cloud.find(self.anna, path)[0]
        node.unseen += len(data) - len(node.content)
        node.content = data

    def edit(self, path: str, data: bytes) -> None:
        """Its owner changes it, some time later."""
        self.cloud.stop_clock()
        self.cloud.ahead += 60
        self.cloud.find(self.anna, path)[0].wrote(data, self.cloud.now())

    def has(self, user: User) -> set[str]:
        """The files that an account has."""
        return {each.path for each in self.cloud.homes[user.id].below() if not each.folder}

    def opens(self, url: str) -> set[str]:
        """The accounts that get the file."""
        return {uid for uid in ("connector", "anna", "bert") if self.server.opens(uid, url) is not None}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[AppWorld]:
    """A fresh server."""
    monkeypatch.setenv("APP_SECRET", "app-secret")
    with Nextcloud() as server:
        yield AppWorld(server)


@pytest.fixture
def store(world: AppWorld) -> OwnersStore:
    """A client; the files of two mailboxes are with their owners."""
    store = world.connect()
    for mailbox in (ANNA, BERT):
        assert not store.admits(f"acme/{mailbox}", mailbox)
        store.admit(f"acme/{mailbox}", mailbox)
    return store


class TestOwnersStore(StoreLaws):
    """The laws, for files that are not ours; smaller ones than these go in pieces."""

    @pytest.fixture(autouse=True)
    def _of_anna(self, world: AppWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("connector.stores.nextcloud.store.PIECE", PIECE)
        monkeypatch.setattr("connector.stores.nextcloud.store.SMALLEST", 4)
        world.connect().admit("box", ANNA)

    def test_put_at_the_root(self, store: Store) -> None:
        """That is ours."""
        assert store.verify(store.put("ledger.json", spool(b"{}")))
        assert "ledger.json" in store.names("")

    def test_to_admit_twice_is_to_admit_once(self, store: Store, world: World) -> None:
        """Before anything of the mailbox is there."""
        for _ in range(2):
            store.admit("acme/box", ANNA)
            assert store.admits("acme/box", ANNA)
        stored = store.put("acme/box/R1/a.txt", spool(b"a"))
        assert world.connect().admits("acme/box", ANNA)
        assert world.connect().verify(stored)

    def test_names_are_those_directly_inside(self, store: Store) -> None:
        """Of a folder that lies with its owner."""
        for path in ("box/a.txt", "box/R1/b.txt", "box/R1/c.txt", "boxes/d.txt"):
            store.put(path, spool(b"x"))
        assert sorted(store.names("box")) == ["R1", "a.txt"]
        assert sorted(store.names("box/R1")) == ["b.txt", "c.txt"]
        assert store.names("boxes") == ("d.txt",)
        assert store.names("nowhere") == ()


def test_files_lie_with_their_owners(world: AppWorld, store: OwnersStore) -> None:
    """And what belongs to nobody with us; nobody has anything of another, and there is no share."""
    store.put(PATH, spool(b"hers"))
    store.put(HIS, spool(b"his"))
    store.put(".connector/manifests/1.json", spool(b"{}"))
    assert world.has(world.anna) == {PATH}
    assert world.has(world.bert) == {HIS}
    numbers = {str(world.cloud.find(user, path)[0].id) for user, path in ((world.anna, PATH), (world.bert, HIS))}
    assert {path.rpartition("/")[2] for path in world.has(world.account)} == {"1.json", "anna", "bert", *numbers}
    assert world.cloud.shares == {}
    assert {user for method, path, user in world.cloud.seen if path.endswith(PATH)} == {"anna"}


def test_another_client_knows_whose_they_are(world: AppWorld, store: OwnersStore) -> None:
    """It is written down before anything is put there; two requests tell it, once."""
    stored = store.put(PATH, spool(b"hers"))
    other = world.connect()
    world.cloud.seen.clear()
    assert other.verify(stored)
    assert [method for method, _, _ in world.cloud.seen] == ["PROPFIND", "PROPFIND", "PATCH"]
    assert contents(other, PATH) == b"hers"
    assert other.names(HOME) == ("2026",)
    assert other.admits(HOME, ANNA)
    world.cloud.seen.clear()
    assert other.verify(stored)
    assert [method for method, _, _ in world.cloud.seen] == ["PATCH"]


@pytest.mark.parametrize("name", ["anna", "bert", "x@bert.owner", "owners"])
def test_whatever_a_mailbox_is_called(world: AppWorld, name: str) -> None:
    """Whose it is stands where no name of another leads."""
    world.connect().admit(f"acme/{name}", ANNA)
    store = world.connect()
    store.put(f"acme/{name}/a.txt", spool(b"hers"))
    store.put("acme/a.txt", spool(b"ours"))
    store.put("acme/other/a.txt", spool(b"ours"))
    assert world.has(world.anna) == {f"acme/{name}/a.txt"}
    assert not world.has(world.bert)


def test_links(world: AppWorld, store: OwnersStore) -> None:
    """They open for the owner alone; for a group there are none."""
    stored = store.put(PATH, spool(b"hers"))
    for audience in (Audience.STORE, Audience.OWNER):
        assert world.opens(store.share([stored], LinkTerms(audience), ORIGIN)[0].url) == {"anna"}
    with pytest.raises(Rejected, match="give the rule the audience owner"):
        store.share([stored], LinkTerms(Audience.GROUP), ORIGIN)
    store.share([stored], LinkTerms(Audience.ANYONE), ORIGIN)
    (share,) = world.cloud.shares.values()
    assert share.owner == "anna"
    store.revoke(f"{HOME}/2026/R1")
    assert world.cloud.shares == {}


def test_what_its_owner_moves_is_found(world: AppWorld, store: OwnersStore) -> None:
    """It is hers: the link names the file, not its place, and so does what we wrote down when she was told of it."""
    stored = store.put(PATH, spool(b"hers"))
    url = store.share([stored], LinkTerms(), ORIGIN)[0].url
    node = world.cloud.find(world.anna, PATH)[0]
    world.cloud.trees.move(node, world.cloud.homes["anna"], "my report.pdf")
    assert world.server.opens("anna", url) == b"hers"
    assert contents(world.connect(), PATH) == b"hers"
    store.delete(PATH)
    assert world.has(world.anna) == {"my report.pdf"}
    world.cloud.remove(node)
    with pytest.raises(FileGone):
        contents(store, PATH)


def test_what_its_owner_moves_before_she_is_told_of_it(world: AppWorld, store: OwnersStore) -> None:
    """The link is for the file, wherever she has it; a public one opens a folder, and that is not to be another."""
    moved, stays = (store.put(f"{HOME}/2026/R1/{name}", spool(b"hers")) for name in ("a.pdf", "b.pdf"))
    urls = [link.url for link in store.share([moved, stays], LinkTerms(), ORIGIN)]
    node = world.cloud.find(world.anna, moved.path)[0]
    world.cloud.trees.move(node, world.cloud.homes["anna"], "my report.pdf")
    for each in (store, world.connect()):
        assert [link.url for link in each.share([moved, stays], LinkTerms(), ORIGIN)] == urls
        with pytest.raises(Conflict, match="does not list a file"):
            each.share([moved, stays], LinkTerms(Audience.ANYONE), ORIGIN)
    world.cloud.remove(node)
    with pytest.raises(Conflict, match="does not list a file"):
        store.share([moved, stays], LinkTerms(), ORIGIN)


def test_what_is_erased_is_not_in_its_owners_trash(world: AppWorld, store: OwnersStore) -> None:
    """What she took elsewhere is hers, there and in the trash."""
    store.put(PATH, spool(b"once"))
    store.delete(PATH)
    store.put(PATH, spool(b"twice"))
    world.cloud.trees.move(world.cloud.find(world.anna, PATH)[0], world.cloud.homes["anna"], "my report.pdf")
    store.put(PATH, spool(b"again"))
    store.erase(PATH)
    assert world.has(world.anna) == {"my report.pdf"}
    assert world.cloud.trash["anna"] == []


def test_a_file_that_was_put_again_is_the_one_that_is_found(world: AppWorld, store: OwnersStore) -> None:
    """What its owner threw away is not; what came for it is."""
    for content in (b"once", b"twice"):
        stored = store.put(PATH, spool(content))
        store.share([stored], LinkTerms(), ORIGIN)
        node = world.cloud.find(world.anna, PATH)[0]
        world.cloud.remove(node)
    world.cloud.homes["anna"].children["kept.pdf"] = node
    assert contents(store, PATH) == b"twice"


def test_requests(world: AppWorld, store: OwnersStore) -> None:
    """A file and its link: two requests more than where a service account keeps it, for the number of the file."""
    other = store.put(f"{HOME}/2026/R0/a.txt", spool(b"x"))
    store.share([other], LinkTerms(), ORIGIN)
    world.cloud.seen.clear()
    stored = store.put(PATH, spool(b"hers"))
    store.share([stored], LinkTerms(), ORIGIN)
    methods = [method for method, _, _ in world.cloud.seen if method != "MKCOL"]
    assert methods == ["PUT", "PROPFIND", "PUT", "PROPFIND"]
    world.cloud.seen.clear()
    store.share([stored], LinkTerms(), ORIGIN)
    assert [method for method, _, _ in world.cloud.seen] == ["PROPFIND"]


def test_the_line_breaks_while_it_is_written_down(world: AppWorld) -> None:
    """However it ended, a folder has one owner."""
    for number in range(1, 12):
        for when in ("before", "after"):
            folder = f"acme/{number}{when}"
            world.server.drops.append((number, when))
            try:
                world.connect().admit(folder, ANNA)
            except Unavailable:
                world.connect().admit(folder, ANNA)
            world.server.drops.clear()
            assert world.connect().admits(folder, ANNA)
            world.connect().put(f"{folder}/a.txt", spool(b"x"))
            assert f"{folder}/a.txt" in world.has(world.anna)


OTHER = f"{HOME}/2026/R2/other.pdf"


def handed(world: AppWorld, tmp_path: Path, reader: str, *, first: str = "user:anna") -> tuple[Path, list[str]]:
    """Two files of a mailbox whose owner is another one from now on: the list, and the links."""
    path = readers(tmp_path, f"{ANNA},{first}")
    store = world.connect(readers=path)
    store.admit(HOME, ANNA)
    links = [store.share([store.put(each, spool(b"hers"))], LinkTerms(), ORIGIN)[0].url for each in (PATH, OTHER)]
    readers(tmp_path, f"{ANNA},{reader}")
    return path, links


def test_a_mailbox_that_becomes_somebody_elses(world: AppWorld, tmp_path: Path) -> None:
    """All of its files go there, and their addresses stay; who had them before has them no more."""
    path, links = handed(world, tmp_path, "user:bert")
    store = world.connect(readers=path)
    assert not store.admits(HOME, ANNA)
    for _ in "twice":
        store.admit(HOME, ANNA)
        assert store.admits(HOME, ANNA)
    assert (world.has(world.anna), world.has(world.bert)) == (set(), {PATH, OTHER})
    assert [world.opens(link) for link in links] == [{"bert"}, {"bert"}]
    thrown_away = (below for each in world.cloud.trash.values() for one in each for below in one.node.below())
    assert (world.cloud.shares, [each for each in thrown_away if each.content]) == ({}, [])
    other = world.connect(readers=path)
    assert other.admits(HOME, ANNA)
    assert contents(other, PATH) == b"hers"
    assert other.share([other.put(PATH, spool(b"hers"))], LinkTerms(), ORIGIN)[0].url == links[0]


def test_a_share_that_the_server_does_not_show_yet(
    world: AppWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is behind, or waits until she accepts it: other mailboxes go on, and so does this one in the end."""
    path, _ = handed(world, tmp_path, "user:bert")
    store = world.connect(readers=path)
    with monkeypatch.context() as patch:
        patch.setattr(Ocs, "received", lambda *_: None)
        with pytest.raises(Rejected, match="does not show bert yet what anna shares"):
            store.admit(HOME, ANNA)
    assert world.has(world.anna) == {PATH, OTHER}
    store.admit(HOME, ANNA)
    assert (world.has(world.anna), world.has(world.bert)) == (set(), {PATH, OTHER})


def test_a_server_that_asks_people_what_they_want(world: AppWorld, tmp_path: Path) -> None:
    """What goes to another account is accepted as that account."""
    path, _ = handed(world, tmp_path, "user:bert")
    world.cloud.settings.accept_first = True
    world.connect(readers=path).admit(HOME, ANNA)
    assert (world.has(world.anna), world.has(world.bert)) == (set(), {PATH, OTHER})


def test_another_thread_knows_of_it(world: AppWorld, tmp_path: Path) -> None:
    """It believes for a day to whom the mailbox belongs, and must not put anything where it was."""
    path = readers(tmp_path, f"{ANNA},user:anna")
    told = {"type": "nextcloud", "url": world.server.url, "user": "connector", "readers": path}
    config = NextcloudConfig.model_validate(told | {"appapi": {"secret": {"env": "APP_SECRET"}}})
    one, two = config.connect(KEY), config.connect(KEY)
    one.admit(HOME, ANNA)
    assert two.admits(HOME, ANNA)
    path, _ = handed(world, tmp_path, "user:bert")
    one.admit(HOME, ANNA)
    assert not two.admits(HOME, ANNA)
    two.admit(HOME, ANNA)
    two.put(f"{HOME}/2026/R3/a.txt", spool(b"new"))
    assert (world.has(world.anna), len(world.has(world.bert))) == (set(), 3)


@pytest.mark.parametrize(("reader", "has"), [("user:bert", "bert"), ("group:Front desk", "connector")])
def test_another_process_knows_of_it(world: AppWorld, tmp_path: Path, reader: str, has: str) -> None:
    """It is not taken for lost, and what is erased is gone from whoever has it by now."""
    path = readers(tmp_path, f"{ANNA},user:anna")
    daemon = world.connect(readers=path)
    daemon.admit(HOME, ANNA)
    stored, other = (daemon.put(each, spool(b"hers")) for each in (PATH, OTHER))
    readers(tmp_path, f"{ANNA},{reader}")
    world.connect(readers=path).admit(HOME, ANNA)
    world.cloud.remove_user("anna")
    daemon.erase(PATH)
    assert world.has(world.cloud.users[has]) >= {OTHER}
    assert PATH not in world.has(world.cloud.users[has])
    assert daemon.verify(other)
    assert not daemon.verify(stored)


@pytest.mark.parametrize("first", ["anna", "bert"])
def test_what_is_erased_after_a_handover_that_was_killed(
    world: AppWorld, store: OwnersStore, tmp_path: Path, first: str
) -> None:
    """Whose it was before stands there yet: whichever of the two is asked first, nothing is left."""
    store.put(PATH, spool(b"hers"))
    world.connect(readers=readers(tmp_path, f"{ANNA},user:bert")).admit(HOME, ANNA)
    store._write(f"{_OWNERS}/{_digest(HOME)}/anna")
    assert PATH in world.has(world.bert)
    store._owners[HOME] = first
    store.erase(PATH)
    assert PATH not in world.has(world.bert)


def test_another_process_knows_of_it_when_it_is_looked_for(world: AppWorld, tmp_path: Path) -> None:
    """As above, where nothing was erased before."""
    path = readers(tmp_path, f"{ANNA},user:anna")
    daemon = world.connect(readers=path)
    daemon.admit(HOME, ANNA)
    stored = daemon.put(PATH, spool(b"hers"))
    readers(tmp_path, f"{ANNA},user:bert")
    world.connect(readers=path).admit(HOME, ANNA)
    assert daemon.verify(stored)
    assert daemon.verify(stored)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_line_breaks_while_files_go_to_another_account(world: AppWorld, tmp_path: Path, when: str) -> None:
    """However it ended, all of them are there in the end, at the same addresses, and nothing is left over."""
    world.cloud.settings.rate_limits = False
    path, links = handed(world, tmp_path, "user:bert")
    for number in range(1, 60):
        reader, taker = ("bert", world.bert) if number % 2 else ("anna", world.anna)
        readers(tmp_path, f"{ANNA},user:{reader}")
        world.server.drops.append((number, when))
        try:
            world.connect(readers=path).admit(HOME, ANNA)
        except (Unavailable, Rejected):
            world.connect(readers=path).admit(HOME, ANNA)
        broken = not world.server.drops
        world.server.drops.clear()
        assert {user.id: world.has(user) for user in (world.anna, world.bert) if world.has(user)} == {
            taker.id: {PATH, OTHER}
        }
        assert [world.opens(link) for link in links] == [{reader}, {reader}]
        assert world.cloud.shares == {}
        assert world.connect(readers=path).admits(HOME, ANNA)
        if not broken:
            return
    pytest.fail("there were more requests than expected")


def test_a_mailbox_that_becomes_a_groups(world: AppWorld, tmp_path: Path) -> None:
    """Its files come to us, and are open to the group; and they go to one account again."""
    path, links = handed(world, tmp_path, "group:Front desk")
    store = world.connect(readers=path)
    assert not store.admits(HOME, ANNA)
    store.admit(HOME, ANNA)
    assert store.admits(HOME, ANNA)
    assert (world.has(world.anna), {PATH, OTHER} <= world.has(world.account)) == (set(), True)
    assert [world.opens(link) for link in links] == [{"connector", "anna", "bert"}] * 2
    readers(tmp_path, f"{ANNA},user:bert")
    store = world.connect(readers=path)
    assert not store.admits(HOME, ANNA)
    store.admit(HOME, ANNA)
    assert [world.opens(link) for link in links] == [{"bert"}] * 2
    assert world.cloud.shares == {}


def test_files_with_public_links_stay(world: AppWorld, tmp_path: Path) -> None:
    """They would end without a word: one sentence says what to do."""
    path, links = handed(world, tmp_path, "user:bert")
    readers(tmp_path, f"{ANNA},user:anna")
    store = world.connect(readers=path)
    store.share([store.put(PATH, spool(b"hers"))], LinkTerms(Audience.ANYONE), ORIGIN)
    readers(tmp_path, f"{ANNA},user:bert")
    store = world.connect(readers=path)
    with pytest.raises(Rejected, match=r"public links on .* lead into files that lie with anna, .*: revoke them first"):
        store.admit(HOME, ANNA)
    assert world.has(world.anna) == {PATH, OTHER}
    store.revoke(PATH.rpartition("/")[0])
    store.admit(HOME, ANNA)
    assert [world.opens(link) for link in links] == [{"bert"}] * 2


def test_a_server_where_files_get_other_numbers(
    world: AppWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is tried first, on a file of nobody's: links that change are worse than files that stay."""
    path, links = handed(world, tmp_path, "user:bert")
    moves = Trees.move

    def moves_anew(trees: Trees, node: Node, parent: Node, name: str) -> None:
        moves(trees, node, parent, name)
        node.id += 1000

    monkeypatch.setattr(Trees, "move", moves_anew)
    with pytest.raises(Rejected, match="other numbers when they go to another account: their links change"):
        world.connect(readers=path).admit(HOME, ANNA)
    assert [world.opens(link) for link in links] == [{"anna"}] * 2
    assert (world.cloud.shares, world.has(world.bert)) == ({}, set())


def test_a_file_that_is_with_both(world: AppWorld, tmp_path: Path) -> None:
    """Neither of them goes over the other."""
    path, _ = handed(world, tmp_path, "user:bert")
    for folder in ("acme", HOME, f"{HOME}/2026", f"{HOME}/2026/R1"):
        above, _, name = folder.rpartition("/")
        world.cloud.trees.add(world.cloud.find(world.bert, above)[0], name, folder=True, now=0)
    node = world.cloud.trees.add(world.cloud.find(world.bert, f"{HOME}/2026/R1")[0], "report.pdf", folder=False, now=0)
    with pytest.raises(Rejected, match=r"a file of one name is with anna and with bert on .*: take one of them away"):
        world.connect(readers=path).admit(HOME, ANNA)
    world.cloud.remove(node)
    world.connect(readers=path).admit(HOME, ANNA)
    assert world.has(world.bert) == {PATH, OTHER}


def test_an_account_that_is_gone_gives_nothing(world: AppWorld, tmp_path: Path) -> None:
    """Whoever removes accounts has to hand over first: it is told, and nothing new is put anywhere."""
    path, _ = handed(world, tmp_path, "user:bert")
    world.cloud.remove_user("anna")
    with pytest.raises(
        Rejected, match=r"files of a mailbox are to go from the account anna to bert: .* no such account"
    ):
        world.connect(readers=path).admit(HOME, ANNA)


def test_what_belongs_to_a_group_or_is_shared_lies_with_us(world: AppWorld, tmp_path: Path) -> None:
    """It is nobody's own: one share opens it to the group, or one for each member."""
    info, members = "info@example.org", {ANNA, BERT}
    path = readers(tmp_path, f"{info},group:Front desk", f"{ANNA},user:anna", f"{BERT},user:bert")
    store = world.connect(readers=path)
    for address, sharing in ((info, None), ("Project", members)):
        folder = f"acme/{address}"
        assert not store.admits(folder, address, sharing)
        store.admit(folder, address, sharing)
        assert world.connect(readers=path).admits(folder, address, sharing)
        stored = store.put(f"{folder}/R1/report.pdf", spool(b"x"))
        (link,) = store.share([stored], LinkTerms(Audience.GROUP), ORIGIN)
        assert world.opens(link.url) == {"connector", "anna", "bert"}
        assert store.verify(stored)
    assert not world.has(world.anna)
    assert sorted(each.who for each in world.cloud.shares.values()) == ["Front desk", "anna", "bert"]
    assert not store.admits("acme/Project", "Project", {ANNA})
    store.admit("acme/Project", "Project", {ANNA})
    assert world.opens(link.url) == {"connector", "anna"}


@pytest.mark.parametrize("line", ["", f"{ANNA},user:nobody", f"{ANNA},group:Nobodies"])
def test_a_mailbox_of_no_account(world: AppWorld, tmp_path: Path, line: str) -> None:
    """It is left alone, and named."""
    store = world.connect(readers=readers(tmp_path, line))
    assert store.strangers(ANNA) == (ANNA,)
    assert not store.admits(HOME, ANNA)
    with pytest.raises(Rejected, match=rf"no account, .* {ANNA} belongs: add it to .*readers\.csv"):
        store.admit(HOME, ANNA)


def test_files_that_lie_with_us_already(world: AppWorld) -> None:
    """They go to their owner, with their addresses: a service account kept them until the app was registered."""
    store = world.connect()
    (link,) = store.share([store.put(PATH, spool(b"before"))], LinkTerms(), ORIGIN)
    assert world.opens(link.url) == {"connector"}
    store.admit(HOME, ANNA)
    assert world.opens(link.url) == {"anna"}
    assert contents(world.connect(), PATH) == b"before"


@pytest.mark.parametrize("gone", [False, True])
def test_the_trouble_of_one_account_stops_nobody_else(world: AppWorld, store: OwnersStore, *, gone: bool) -> None:
    """Whoever is full or gone has messages held; the store is fine."""
    world.anna.quota = 3
    if gone:
        world.cloud.remove_user("anna")
    says = (
        "that the app acts as anna: there is no such account"
        if gone
        else "quota of the account that owns the folder is used up; raise it"
    )
    with pytest.raises(Rejected, match=f"the account anna, with whom the files of a mailbox lie: .*{says}"):
        store.put(PATH, spool(b"hers"))
    assert store.verify(store.put(HIS, spool(b"his")))
    assert store.admits(HOME, ANNA) != gone


def given_back(store: OwnersStore, stored: Stored) -> bytes:
    """What goes into the message again."""
    with store.original(stored) as stream:
        return stream.read()


@pytest.mark.parametrize("data", [b"rots", b"rotten"])
def test_bytes_that_rot(world: AppWorld, store: OwnersStore, data: bytes) -> None:
    """Before an original goes, that is seen."""
    stored = store.put(PATH, spool(b"hers"))
    world.overwrite(PATH, data)
    with pytest.raises(Corrupt):
        store.verify(stored)
    with pytest.raises(Corrupt):
        given_back(store, stored)


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_its_owner_edits(world: AppWorld, store: OwnersStore, *, moved: bool) -> None:
    """It is hers to edit: nothing is wrong with the store, which has the original as a version, for a while."""
    stored = store.put(PATH, spool(b"hers"))
    store.share([stored], LinkTerms(), ORIGIN)
    node = world.cloud.find(world.anna, PATH)[0]
    world.edit(PATH, b"what she made of it")
    if moved:
        world.cloud.trees.move(node, world.cloud.homes["anna"], "my report.pdf")
    for known in (stored, replace(stored, etag="")):  # From before we kept it.
        with pytest.raises(Edited, match="its owner has edited a file in the store"):
            world.connect().verify(known)
        assert given_back(world.connect(), known) == b"hers"
    node.versions.clear()
    with pytest.raises(Edited, match="no version of it is left that is as it was"):
        given_back(store, stored)


def test_a_file_that_its_owner_moves_is_as_it_was(world: AppWorld, store: OwnersStore) -> None:
    """Where she has taken it; and what she has thrown away is nowhere."""
    stored = store.put(PATH, spool(b"hers"))
    store.share([stored], LinkTerms(), ORIGIN)
    node = world.cloud.find(world.anna, PATH)[0]
    world.cloud.trees.move(node, world.cloud.homes["anna"], "my report.pdf")
    world.cloud.seen.clear()
    assert store.verify(stored)
    # She may have a million files: they are not listed for the sake of one.
    assert [method for method, path, _ in world.cloud.seen if path.startswith("/remote.php/dav/files/anna")] == [
        "PATCH",
        "PATCH",
    ]
    assert given_back(store, stored) == b"hers"
    world.cloud.remove(node)
    assert not store.verify(stored)
    with pytest.raises(FileGone):
        given_back(store, stored)


def test_what_lies_with_us_is_nobodys_to_edit(world: AppWorld, store: OwnersStore) -> None:
    """Whoever writes there has our login."""
    stored = store.put(".connector/manifests/1.json", spool(b"{}"))
    world.cloud.ahead += 60
    world.cloud.find(world.account, stored.path)[0].wrote(b"[]", world.cloud.now())
    with pytest.raises(Corrupt):
        store.verify(stored)


def test_a_wrong_secret(world: AppWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is, and to nobody's harm."""
    monkeypatch.setenv("APP_SECRET", "wrong")
    store = world.connect()
    for act in (lambda: store.put(PATH, spool(b"x")), lambda: store.admits(HOME, ANNA)):
        with pytest.raises(Denied, match=r"that the app acts as connector: .* `appapi` has a wrong id or secret"):
            act()


def test_a_secret_that_is_another_one_by_now(world: AppWorld, store: OwnersStore) -> None:
    """That is no trouble of one account: nothing is held for it."""
    stored = store.put(PATH, spool(b"hers"))
    world.cloud.apps["connector"] = "rotated"
    for act in (lambda: store.put(PATH, spool(b"hers")), lambda: store.verify(stored)):
        with pytest.raises(Denied, match=r"that the app acts as connector: .* `appapi` has a wrong id or secret"):
            act()


def test_how_much_power_that_is(store: OwnersStore) -> None:
    """An administrator is told."""
    assert store.remarks()[0].startswith("with the secret of its app, connector acts as every account of the server")


@pytest.mark.parametrize(
    "changes",
    [
        {"password": {"env": "CLOUD_PASSWORD"}},
        {"appapi": None},
        {"folder": "Attachments"},
    ],
)
def test_settings_that_contradict_each_other(world: AppWorld, changes: dict[str, Any]) -> None:
    """One way in, and one place."""
    with pytest.raises(ValidationError, match="appapi"):
        world.connect(**changes)
