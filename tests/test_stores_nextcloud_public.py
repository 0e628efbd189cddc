"""Public links on the simulated Nextcloud: for anyone, and for no more than was asked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from connector.config.readers import USER, Reader
from connector.errors import Conflict, ConnectorError, Exhausted, Rejected, Unavailable
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.simulator.nextcloud import public
from connector.simulator.nextcloud.cloud import Share
from connector.simulator.nextcloud.message import Refused, Reply, Request, forbidden
from connector.simulator.nextcloud.public import Public
from connector.simulator.nextcloud.shares import Shares
from connector.stores.nextcloud.store import NextcloudStore
from tests import test_stores_nextcloud
from tests.laws.stores import spool
from tests.test_stores_nextcloud import ANNA, HOME, NextcloudWorld

store, world = test_stores_nextcloud.store, test_stores_nextcloud.world

SENT = datetime(2026, 1, 5, 8, tzinfo=UTC)
FOLDER = f"{HOME}/2026/4f2a"
ORIGIN = Origin(redirect="4f2a", folder=FOLDER, mailbox=ANNA, sender="bert@example.net", received=SENT)
ANYBODY = httpx.Client(trust_env=False, verify=False)
ANYONE, A_WEEK = LinkTerms(Audience.ANYONE), LinkTerms(Audience.ANYONE, timedelta(days=7))
PASSWORD = LinkTerms(Audience.ANYONE, timedelta(days=7), password=True)


def put(store: NextcloudStore, folder: str = FOLDER, *names: str) -> list[Stored]:
    """The files of a message; each holds its own name."""
    return [store.put(f"{folder}/{name}", spool(name.encode())) for name in names or ("a.txt", "50% ü.txt")]


def opened(link: Link) -> bytes | None:
    """What anybody gets; None where nothing opens."""
    answer = ANYBODY.get(link.url)
    return answer.content if answer.status_code == 200 else None


def opened_with(world: NextcloudWorld, link: Link, password: str, name: str = "a.txt") -> bytes | None:
    """What anybody gets who says this password on the page of the link."""
    token = link.url.rpartition("/")[2]
    url = f"{world.server.url}/public.php/dav/files/{token}/{name}"
    answer = ANYBODY.get(url, auth=httpx.BasicAuth("anonymous", password) if password else None)
    return answer.content if answer.status_code == 200 else None


def days(ahead: int) -> date:
    """So many days from today."""
    return (datetime.now(UTC) + timedelta(days=ahead)).date()


def lies_as(world: NextcloudWorld) -> list[str]:
    """What lies in the folder of the message."""
    return sorted(world.cloud.find(world.account, FOLDER)[0].children)


def test_links_for_anyone(world: NextcloudWorld, store: NextcloudStore) -> None:
    """One share for all files, for reading; it says where they came from, and is found again by anybody of ours."""
    stored = put(store)
    links = store.share(stored, ANYONE, ORIGIN)
    assert [opened(link) for link in links] == [b"a.txt", "50% ü.txt".encode()]
    assert {link.expires for link in links} == {None}
    (share,) = world.cloud.shares.values()
    assert share.label.startswith("4f2a-")
    assert share.note == "bert@example.net 2026-01-05"
    assert (share.permissions, share.expires, share.mail_send) == (17, None, True)
    assert store.share(stored[::-1], ANYONE, ORIGIN) == links[::-1]
    assert world.connect(folder="").share(stored, ANYONE, ORIGIN) == links
    assert lies_as(world) == ["50% ü.txt", "a.txt"]


def test_links_below_a_folder_of_the_account(world: NextcloudWorld) -> None:
    """Paths of the API begin at the root of the account, not at that of the store."""
    world.cloud.trees.add(world.cloud.homes["connector"], "Attachments", folder=True, now=0)
    store = world.connect(folder="Attachments", link_url="https://cloud.example.org/nc/")
    (link,) = store.share(put(store, FOLDER, "a.txt"), ANYONE, ORIGIN)
    (share,) = world.cloud.shares.values()
    assert share.node.path == f"Attachments/{FOLDER}"
    assert link.url == f"https://cloud.example.org/nc/public.php/dav/files/{share.token}/a.txt"


def test_requests(world: NextcloudWorld, store: NextcloudStore) -> None:
    """A new folder and three files take four; their links four, and five prove that all read, and nobody writes.

    Who that is says nobody.
    """
    put(store, f"{HOME}/2026/0000")
    asked: list[str] = []
    secret: set[str] = set()

    def noted(request: httpx.Request) -> None:
        asked.append(request.method)
        if "Authorization" in request.headers:
            secret.add(request.url.path.split("/")[1])

    store.ocs._client.event_hooks["request"].append(noted)
    world.seen()
    stored = put(store, FOLDER, "a.txt", "b.txt", "c.txt")
    store.share(stored, ANYONE, ORIGIN)
    assert world.seen() == ["MKCOL", "PUT", "PUT", "PUT", "PROPFIND", "PUT", "DELETE"]
    assert asked == ["GET", "GET", "POST", "PUT", "GET", "DELETE"]
    assert secret == {"ocs"}
    asked.clear()
    store.share(stored, ANYONE, ORIGIN)
    assert (world.seen(), asked) == (["PROPFIND"], ["GET"])


def test_a_link_ends_in_time(world: NextcloudWorld, store: NextcloudStore) -> None:
    """At a midnight, and wherever it is midnight there: never later than was asked, and not much sooner."""
    stored = put(store)
    link = store.share(stored, A_WEEK, ORIGIN)[0]
    assert link.expires
    ahead = link.expires - datetime.now(UTC)
    assert timedelta(days=5, hours=12) <= ahead <= timedelta(days=6, hours=12)
    (share,) = world.cloud.shares.values()
    assert share.expires == link.expires.date()
    world.cloud.ahead += timedelta(days=2).total_seconds()
    assert store.share(stored, A_WEEK, ORIGIN)[0] == link
    world.cloud.ahead += timedelta(days=5).total_seconds()
    assert opened(link) is None


def test_a_link_with_a_password(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It leads to the page that asks for it: the same whoever of ours is asked, and another for another message."""
    stored = put(store)
    links = store.share(stored, PASSWORD, ORIGIN)
    told = store.password(PASSWORD, ORIGIN)
    (share,) = world.cloud.shares.values()
    assert {link.url for link in links} == {f"{world.server.url}/index.php/s/{share.token}"}
    assert opened_with(world, links[0], told) == b"a.txt"
    assert opened_with(world, links[0], "") is None
    other = world.connect()
    assert (other.share(stored, PASSWORD, ORIGIN), other.password(PASSWORD, ORIGIN)) == (links, told)
    assert store.password(ANYONE, ORIGIN) == ""
    assert store.password(PASSWORD, replace(ORIGIN, redirect="4f2b")) == ""
    assert all(any(map(kind, told)) for kind in (str.isupper, str.islower, str.isdigit))
    assert lies_as(world) == ["50% ü.txt", "a.txt"]


def test_requests_with_a_password(world: NextcloudWorld, store: NextcloudStore) -> None:
    """One asks what the server says to it, one sets it, two ask whether it opens; a later look takes three."""
    stored = put(store)
    asked: list[str] = []
    store.ocs._client.event_hooks["request"].append(lambda request: asked.append(request.method))
    store.share(stored, PASSWORD, ORIGIN)
    assert asked == ["GET", "GET", "POST", "POST", "PUT", "GET", "HEAD", "PUT", "GET", "DELETE"]
    asked.clear()
    store.share(stored, PASSWORD, ORIGIN)
    assert asked == ["GET", "GET", "HEAD"]


def test_our_own_looks_are_no_guesses(world: NextcloudWorld, store: NextcloudStore) -> None:
    """After ten of them within half an hour, no file of any link would open for our address."""
    for number in range(12):
        origin = replace(ORIGIN, redirect=f"r{number}", folder=f"{HOME}/2026/{number}")
        stored = put(store, origin.folder, "a.txt")
        assert store.share(stored, PASSWORD, origin) == store.share(stored, PASSWORD, origin)
    assert sum(map(len, world.cloud._guessed.values())) == 0


@pytest.mark.parametrize("terms", [ANYONE, PASSWORD])
def test_an_address_that_is_shut_out_from_links(world: NextcloudWorld, store: NextcloudStore, terms: LinkTerms) -> None:
    """Others at it guessed wrong: links wait, and are the same later; all else goes on."""
    stored = put(store)
    world.cloud._guessed["127.0.0.1"] = [world.cloud.now()] * 11
    with pytest.raises(Exhausted, match=r"with 503: .* brute-force settings") as told:
        store.share(stored, terms, ORIGIN)
    assert told.value.retry_after == timedelta(minutes=10)
    assert put(store, f"{HOME}/2026/other")
    assert lies_as(world) == ["50% ü.txt", "a.txt"]
    world.cloud.ahead += 1801
    assert store.share(stored, terms, ORIGIN)
    assert len(world.cloud.shares) == 1


def test_passwords_that_the_server_wants(world: NextcloudWorld, store: NextcloudStore) -> None:
    """A rule that asks for one gives it, as long as it may be and longer."""
    world.cloud.settings.link_password_enforced, world.cloud.settings.password_length = True, 22
    (link, _) = store.share(put(store), PASSWORD, ORIGIN)
    assert opened_with(world, link, store.password(PASSWORD, ORIGIN)) == b"a.txt"


@pytest.mark.parametrize("changed", ["", "of somebody else"])
def test_a_password_that_somebody_changed(world: NextcloudWorld, store: NextcloudStore, changed: str) -> None:
    """Or took away: it is ours again, at the same address."""
    stored = put(store)
    links = store.share(stored, PASSWORD, ORIGIN)
    (share,) = world.cloud.shares.values()
    share.password = changed
    assert store.share(stored, PASSWORD, ORIGIN) == links
    assert share.password == store.password(PASSWORD, ORIGIN)


def test_a_server_that_asks_for_no_password(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it says of the share: it is tried, and the share ends."""
    stored = put(store)
    monkeypatch.setattr(Public, "_page", lambda *_: Reply(200))
    with pytest.raises(Rejected, match="on other terms than it was asked for"):
        store.share(stored, PASSWORD, ORIGIN)
    assert world.cloud.shares == {}


def test_a_server_that_does_not_say_whether_it_opens(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is not given out before it has."""
    stored = put(store)
    with monkeypatch.context() as patch:
        patch.setattr(Public, "_file", _is_busy)
        with pytest.raises(Exhausted, match="answers anyone's HEAD through a public link with 503"):
            store.share(stored, PASSWORD, ORIGIN)
        patch.setattr(Public, "_page", lambda *_: Reply(404))
        patch.setattr(Public, "_file", lambda *_: Reply(200))
        with pytest.raises(Rejected, match="GET through one with 404"):
            store.share(stored, PASSWORD, ORIGIN)
    assert store.share(stored, PASSWORD, ORIGIN)
    assert len(world.cloud.shares) == 1


def test_other_terms_have_another_share(world: NextcloudWorld, store: NextcloudStore) -> None:
    """As the label says."""
    stored = put(store)
    first, second = store.share(stored, ANYONE, ORIGIN)[0], store.share(stored, A_WEEK, ORIGIN)[0]
    assert first.url != second.url
    assert len(world.cloud.shares) == 2


def test_revoked(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Nothing opens any more, and what is shared with people stays."""
    link = store.share(put(store), ANYONE, ORIGIN)[0]
    store.admit(HOME, ANNA)
    store.ocs.share(FOLDER, Reader(USER, "bert"))
    for _ in "twice":
        store.revoke(FOLDER)
    assert opened(link) is None
    assert [each.who for each in world.cloud.shares.values()] == ["anna", "bert"]


def test_a_link_that_does_not_end(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock came after the look at the folder: that nothing was ended is told, and the next time it ends."""
    link = store.share(put(store), ANYONE, ORIGIN)[0]
    with monkeypatch.context() as patch:
        patch.setattr(store._public, "_remove", lambda _path: world.cloud.lock_file("connector", FOLDER))
        with pytest.raises(Conflict, match="does not end a share: another request has locked"):
            store.revoke(FOLDER)
    assert opened(link) == b"a.txt"
    world.cloud.lock_file("connector", FOLDER, locked=False)
    store.revoke(FOLDER)
    assert opened(link) is None


def test_a_link_that_somebody_else_ends(world: NextcloudWorld, store: NextcloudStore) -> None:
    """That is no failure."""
    link = store.share(put(store), ANYONE, ORIGIN)[0]
    (share,) = world.cloud.shares
    for _ in "twice":
        store.ocs.unshare(share)
    assert opened(link) is None


# --- what may not be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "settings", "says"),
    [
        (ANYONE, {"links_enabled": False}, r"allows no public links: allow them in the administration settings"),
        (ANYONE, {"link_password_enforced": True}, r"wants a password on each public link: give the rule's `link` a"),
        (
            PASSWORD,
            {"password_length": 23},
            r"password of 22 letters, .*: Password needs .* 23 .* under Security, or let",
        ),
        (ANYONE, {"link_expiry_days": 7, "link_expiry_enforced": True}, r"live for 7 days: give the rule no longer"),
        (A_WEEK, {"link_expiry_days": 6, "link_expiry_enforced": True}, r"live for 6 days: .*, or raise that limit in"),
        (LinkTerms(Audience.ANYONE, timedelta(hours=47)), {}, r"end at midnight: give `expires` two days or more"),
        (LinkTerms(Audience.ANYONE, downloads=3), {}, r"do not count: leave `downloads` out of the rule, or let"),
        (LinkTerms(Audience.STAFF), {}, r"to whom a mailbox belongs to or to anyone, .* connector's own link service"),
        (LinkTerms(Audience.OWNER, timedelta(days=3)), {}, r"only public links end"),
    ],
)
def test_terms_that_are_not_to_be_had(
    world: NextcloudWorld, store: NextcloudStore, terms: LinkTerms, settings: dict[str, Any], says: str
) -> None:
    """One sentence says what to change, and where; no share is left, and none was tried."""
    for name, value in settings.items():
        setattr(world.cloud.settings, name, value)
    with pytest.raises(Rejected, match=says):
        store.share(put(store), terms, ORIGIN)
    assert world.cloud.shares == {}
    assert not world.cloud._shared


@pytest.mark.parametrize(
    ("enforced", "days_allowed", "terms"), [(True, 7, A_WEEK), (False, 3, A_WEEK), (False, 3, ANYONE)]
)
def test_terms_that_the_server_has_others_for(
    world: NextcloudWorld, store: NextcloudStore, terms: LinkTerms, days_allowed: int, *, enforced: bool
) -> None:
    """A default of the server's is not ours; the longest that it allows is."""
    world.cloud.settings.link_expiry_days, world.cloud.settings.link_expiry_enforced = days_allowed, enforced
    link = store.share(put(store), terms, ORIGIN)[0]
    assert (link.expires is None) == (terms.expires is None)
    assert opened(link) == b"a.txt"


@pytest.mark.parametrize("shared_before", [False, True])
def test_a_folder_with_other_files_is_not_opened(
    world: NextcloudWorld, store: NextcloudStore, *, shared_before: bool
) -> None:
    """A public link opens them all: what was opened is closed, and nothing is left that opens."""
    stored = put(store)
    if shared_before:
        store.share(stored, ANYONE, ORIGIN)
    put(store, FOLDER, "secret.txt")
    with pytest.raises(Rejected, match="do not all have the same terms: give them one `link`"):
        store.share(stored, ANYONE, ORIGIN)
    assert world.cloud.shares == {}


def test_a_file_that_has_gone_is_not_linked(world: NextcloudWorld, store: NextcloudStore) -> None:
    """It begins anew."""
    stored = put(store)
    store.delete(stored[0].path)
    with pytest.raises(Conflict):
        store.share(stored, ANYONE, ORIGIN)
    assert world.cloud.shares == {}


@pytest.mark.parametrize("federation", [True, False])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_link_through_which_anybody_writes(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch, method: str, *, federation: bool
) -> None:
    """Read-only is what it says; it is tried, on nothing of ours, and the share ends."""
    stored = put(store)
    world.cloud.settings.writable_links, world.cloud.settings.federation = True, federation
    if method == "DELETE":
        monkeypatch.setattr(Public, "_put", _refuses)
    with pytest.raises(Rejected, match=r"lets anybody write .* outside of Team folders"):
        store.share(stored, ANYONE, ORIGIN)
    assert world.cloud.shares == {}
    assert all(map(store.verify, stored))
    assert lies_as(world) == ["50% ü.txt", "a.txt"]


def _refuses(*_: object) -> Reply:
    raise forbidden()


def test_what_was_left_over_does_not_hide_that_anybody_writes(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link through which only new files may be written, and a file of ours that was there to try it."""
    stored = put(store)
    store.share(stored, ANYONE, ORIGIN)
    (share,) = world.cloud.shares.values()
    store.put(f"{FOLDER}/{share.label}.probe", spool(b""))
    monkeypatch.setattr(Public, "_put", _takes_new_ones)
    with pytest.raises(Rejected, match="lets anybody write"):
        world.connect().share(stored, ANYONE, ORIGIN)


def _takes_new_ones(public: Public, request: Request, share: Share, names: list[str], may: int) -> Reply:
    if names[-1] in share.node.children:
        raise forbidden()
    return Reply(201)


def test_a_link_that_opens_for_nobody(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something before the server keeps people from it: the message keeps its attachment."""
    monkeypatch.setattr(Public, "_file", _refuses)
    with pytest.raises(Rejected, match=r"answers anyone's GET through one with 403: .* pass on /public\.php"):
        store.share(put(store), ANYONE, ORIGIN)
    assert world.cloud.shares == {}


@pytest.mark.parametrize(("part", "method"), [("_put", "PUT"), ("content", "GET")])
def test_a_server_that_does_not_say_who_may_write(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    """Nothing is given out before it has."""
    stored = put(store)
    with monkeypatch.context() as patch:
        patch.setattr(public if part == "content" else Public, part, _is_busy)
        with pytest.raises(Exhausted, match=f"answers anyone's {method} through a public link with 503"):
            store.share(stored, ANYONE, ORIGIN)
    assert opened(store.share(stored, ANYONE, ORIGIN)[0]) == b"a.txt"
    assert len(world.cloud.shares) == 1


def _is_busy(*_: object) -> Reply:
    raise Refused(503, "Busy")


@pytest.mark.parametrize(("status", "reaction"), [(404, Rejected), (405, Rejected), (429, Exhausted)])
@pytest.mark.parametrize(("part", "method"), [("_put", "PUT"), ("_file", "HEAD")])
def test_a_proxy_that_takes_no_such_method(
    store: NextcloudStore, part: str, method: str, status: int, reaction: type[ConnectorError]
) -> None:
    """It will not tomorrow either: that is no outage, for which all mailboxes would wait."""

    def refuses(*_: object) -> Reply:
        raise Refused(status, "Refused")

    stored, terms = put(store), PASSWORD if method == "HEAD" else ANYONE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Public, part, refuses)
        with pytest.raises(reaction, match=f"answers anyone's {method} through .* with {status}"):
            store.share(stored, terms, ORIGIN)


def test_what_was_proved_is_not_remembered_for_ever(store: NextcloudStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread lives for months."""
    monkeypatch.setattr("connector.stores.nextcloud.public._REMEMBERED", 2)
    for number in range(5):
        folder = f"{HOME}/2026/{number}"
        store.share(put(store, folder), ANYONE, replace(ORIGIN, redirect=str(number), folder=folder))
        assert 0 < len(store._public._proved) <= 2


# --- what comes back otherwise --------------------------------------------------------------------------------------


def _passes_over(name: str, value: Any) -> Callable[..., Any]:
    """A server that makes links with this instead, whatever is asked for."""
    makes = Shares._by_link

    def by_link(shares: Shares, share: Any, values: Any) -> Any:
        setattr(makes(shares, share, values), name, value)
        return share

    return by_link


@pytest.mark.parametrize(
    ("name", "value"),
    [("expires", None), ("permissions", 31), ("expires", days(90)), ("password", ""), ("password", "of nobody")],
)
def test_what_create_passes_over_is_set_afterwards(
    world: NextcloudWorld, store: NextcloudStore, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    """What the share is in the end is what was asked for."""
    monkeypatch.setattr(Shares, "_by_link", _passes_over(name, value))
    assert store.share(put(store), PASSWORD, ORIGIN)[0].expires
    (share,) = world.cloud.shares.values()
    assert share.password == store.password(PASSWORD, ORIGIN)
    assert share.expires
    assert share.expires <= days(7)
    assert share.permissions in (1, 17)


@pytest.mark.parametrize(
    ("terms", "made"),
    [
        (A_WEEK, ("expires", None)),
        (A_WEEK, ("permissions", 31)),
        (A_WEEK, ("password", "of nobody")),
        (PASSWORD, ("password", "of nobody")),
        (PASSWORD, ("password", "")),
    ],
)
def test_what_update_passes_over_too_is_refused(
    world: NextcloudWorld,
    store: NextcloudStore,
    monkeypatch: pytest.MonkeyPatch,
    terms: LinkTerms,
    made: tuple[str, Any],
) -> None:
    """A link is not weaker than was asked for: the share ends at once."""
    monkeypatch.setattr(Shares, "_by_link", _passes_over(*made))
    monkeypatch.setattr(Shares, "_update", lambda shares, user, share, values: share)
    with pytest.raises(Rejected, match="on other terms than it was asked for"):
        store.share(put(store), terms, ORIGIN)
    assert world.cloud.shares == {}


@pytest.mark.parametrize(("name", "value"), [("expires", None), ("permissions", 31), ("password", "of nobody")])
def test_what_somebody_changed_is_set_again(
    world: NextcloudWorld, store: NextcloudStore, name: str, value: Any
) -> None:
    """Before an original goes, the share is looked at afresh; its address stays."""
    stored = put(store)
    link = store.share(stored, A_WEEK, ORIGIN)[0]
    (share,) = world.cloud.shares.values()
    setattr(share, name, value)
    again = store.share(stored, A_WEEK, ORIGIN)[0]
    assert again.url == link.url
    assert share.expires
    assert share.permissions in (1, 17)
    assert opened(again) == b"a.txt"


@pytest.mark.parametrize("terms", [A_WEEK, PASSWORD], ids=["open", "password"])
@pytest.mark.parametrize("when", ["before", "after", "half"])
def test_the_line_breaks_at_every_request(world: NextcloudWorld, when: str, terms: LinkTerms) -> None:
    """Of whatever request the outcome is not known: there is one share in the end, one address, and nothing else."""
    world.cloud.settings.rate_limits = False
    for number in range(1, 30):
        store = world.connect()
        folder = f"{HOME}/2026/{number}"
        origin = Origin(redirect=f"r{number}", folder=folder, mailbox=ANNA, sender="", received=None)
        stored = put(store, folder, "a.txt")
        world.server.drops.append((number, when))
        try:
            links = store.share(stored, terms, origin)
        except Unavailable:
            links = store.share(stored, terms, origin)
        broken = not world.server.drops
        world.server.drops.clear()
        assert world.connect().share(stored, terms, origin) == links
        told = store.password(terms, origin)
        assert (opened_with(world, links[0], told) if told else opened(links[0])) == b"a.txt"
        assert len([each for each in world.cloud.shares.values() if each.node.path == folder]) == 1, number
        assert store.names(folder) == ("a.txt",)
        if not broken:
            return
    pytest.fail("there were more requests than expected")


def test_of_two_shares_with_one_label_one_stays(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Two of us were at work: the older one is everybody's."""
    stored = put(store)
    links = store.share(stored, ANYONE, ORIGIN)
    (first,) = world.cloud.shares.values()
    store.ocs.link(FOLDER, first.label, "", None, "")
    assert len(world.cloud.shares) == 2
    assert store.share(stored, ANYONE, ORIGIN) == links
    assert list(world.cloud.shares.values()) == [first]


def test_what_was_left_over_goes_with_the_share(world: NextcloudWorld, store: NextcloudStore) -> None:
    """The plug was pulled while it was tried who may write: the sweep finds an empty folder."""
    stored = put(store, FOLDER, "a.txt")
    store.share(stored, ANYONE, ORIGIN)
    (share,) = world.cloud.shares.values()
    store.put(f"{FOLDER}/{share.label}.probe", spool(b""))
    store.revoke(FOLDER)
    store.delete(stored[0].path)
    store.delete(FOLDER)
    assert store.names(f"{HOME}/2026") == ()


def test_more_than_twenty_wait(world: NextcloudWorld, store: NextcloudStore) -> None:
    """Exhausted says for how long; what was shared before is found all the while."""
    stored = [put(store, f"{HOME}/2026/{number}", "a.txt") for number in range(21)]
    origins = [replace(ORIGIN, redirect=f"r{number}") for number in range(21)]
    links = [store.share(each, ANYONE, origin) for each, origin in zip(stored[:20], origins, strict=False)]
    with pytest.raises(Exhausted, match="20 shares in 10 minutes") as told:
        store.share(stored[20], ANYONE, origins[20])
    assert told.value.retry_after == timedelta(minutes=10)
    assert store.share(stored[3], ANYONE, origins[3]) == links[3]
    world.cloud.ahead += 601
    assert opened(store.share(stored[20], ANYONE, origins[20])[0]) == b"a.txt"
