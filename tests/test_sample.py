"""Every night, some of what is done is looked at again: what differs is told, and nothing is changed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connector.daemon.sample import differences, place
from connector.errors import Denied, Rejected
from connector.flow.reactions import StoreFailed
from connector.ledger import Ledger
from connector.model import Audience, LinkTerms, Redirect, State
from connector.session import as_a_stranger
from connector.sources.memory import Attached
from connector.stores.memory import MemoryStore
from tests.crash.test_every_effect import policy
from tests.links import World as Pages
from tests.links import house
from tests.servers import DavServer, free_port
from tests.test_service import World as Served
from tests.test_service import world as served
from tests.world import World

__all__ = ["house", "served"]

DAY = date(2026, 3, 1)
LOST = "the store does not have a file any more"
OTHER = "the store has other bytes of a file"
UNSHOWN = "the message does not show its links"
UNOPENED = "a link does not open (HTTP status 404)"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A message whose files are redirected."""
    world = World(tmp_path / "ledger.db", policy())
    world.deliver(Attached("plan.pdf", b"a plan"), Attached("map.pdf", b"a map"))
    world.run()
    return world


def told(world: World) -> tuple[str, ...]:
    """What differs, of all that is done."""
    with world.process() as (watch, ledger):
        return tuple(
            each for redirect in ledger.redirects(state=State.DONE) for each in differences(redirect, watch, world.now)
        )


def test_what_is_as_it_was_differs_in_nothing(world: World) -> None:
    """Also where the message was moved, or deleted by its owner."""
    assert told(world) == ()
    (item,) = world.mailbox.items()
    moved = world.mailbox.move(item.id, "Archive")
    assert told(world) == ()
    world.mailbox.delete(moved)
    assert told(world) == ()


def _lose(world: World, item_id: str, path: str) -> None:
    del world.store.files[path]


def _spoil(world: World, item_id: str, path: str) -> None:
    world.store.files[path] = b"A plan"[: len(world.store.files[path])].ljust(len(world.store.files[path]))


def _edit(world: World, item_id: str, path: str) -> None:
    world.mailbox.edit_body(item_id, "<html><body><p>Rewritten by hand</p></body></html>")


def _revoke(world: World, item_id: str, path: str) -> None:
    world.store.revoke(path.rpartition("/")[0])


@pytest.mark.parametrize(
    ("mishap", "said"),
    [(_lose, (LOST, UNOPENED)), (_spoil, (OTHER,)), (_revoke, (UNOPENED, UNOPENED)), (_edit, (UNSHOWN,))],
)
def test_tells_what_is_not_as_the_ledger_has_it(
    world: World, mishap: Callable[[World, str, str], None], said: tuple[str, ...]
) -> None:
    """A file that is lost or spoilt in the store, a dead link, a message without; nothing is written anywhere."""
    (item,) = world.mailbox.items()
    mishap(world, item.id, next(path for path in world.store.files if path.endswith("plan.pdf")))
    files, items = dict(world.store.files), world.mailbox.items()
    assert told(world) == said
    assert (world.store.files, world.mailbox.items()) == (files, items)


def test_each_day_has_a_sample_of_its_own() -> None:
    """The same on every machine, whatever it did before."""
    assert place("acme", DAY) == place("acme", DAY)
    assert len({place("acme", DAY), place("acme", DAY + timedelta(days=1)), place("beta", DAY)}) == 3


def test_the_daemon_tells_it_in_the_audit_trail(served: Served) -> None:
    """Once for each thing that differs; a mailbox that is not there any more is left out."""
    served.add("anna")
    gone = served.add("ben")
    daemon = served.daemon()
    daemon.once()
    (desk,) = daemon.desks

    def noted(ledger: Ledger) -> list[str]:
        return [each.detail["difference"] for each in ledger.events(tenant="acme") if each.name == "sample.differs"]

    desk.compare()
    assert noted(served.ledger) == []
    for path in [path for path in served.store.files if path.endswith("plan.pdf")]:
        del served.store.files[path]
    desk.tenant.mailboxes = tuple(each for each in desk.tenant.mailboxes if each.source is not gone)
    desk.compare()
    assert noted(served.ledger) == [LOST, UNOPENED]


def test_one_message_that_trips_a_bug_does_not_end_the_sample(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are looked at."""
    for name in ("anna", "ben"):
        served.add(name)
    daemon = served.daemon()
    daemon.once()
    looked: list[str] = []

    def stumble(redirect: Redirect, *_: object) -> tuple[str, ...]:
        looked.append(redirect.source)
        raise RuntimeError("nobody foresaw that")

    monkeypatch.setattr("connector.daemon.desk.differences", stumble)
    daemon.desks[0].compare()
    assert sorted(looked) == ["acme/anna", "acme/ben"]


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        (Denied("the login was refused"), {"acme/anna": 1, "acme/ben": 1}),
        (StoreFailed(Denied("the login was refused")), {"acme/anna": 1}),
        (Rejected("nobody can read this one"), {"acme/anna": 3, "acme/ben": 1}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_whoever_refuses_is_not_asked_again(
    served: Served, monkeypatch: pytest.MonkeyPatch, trouble: Exception, asked: dict[str, int]
) -> None:
    """Fifty refused logins in a night lock an account out; and what is paused is not asked at all."""
    for name in ("anna", "ben"):
        served.add(name)
    daemon = served.daemon()
    daemon.once()
    looked: Counter[str] = Counter()

    def refuse(redirect: Redirect, *_: object) -> tuple[str, ...]:
        looked[redirect.source] += 1
        raise trouble

    of_anna, of_ben = sorted(served.ledger.redirects(), key=lambda each: each.source)
    monkeypatch.setattr(Ledger, "sample", lambda *_: (of_anna, of_anna, of_anna, of_ben))
    monkeypatch.setattr("connector.daemon.desk.differences", refuse)
    for _ in range(1 if isinstance(trouble, Rejected) else 2):
        daemon.desks[0].compare()
    assert looked == asked


@pytest.mark.parametrize(
    ("status", "audience", "password", "said"),
    [
        (200, Audience.ANYONE, False, ()),
        (401, Audience.STORE, False, ()),
        (403, Audience.OWNER, False, ()),
        (401, Audience.ANYONE, True, ()),
        (401, Audience.ANYONE, False, ("a link does not open (HTTP status 401)",)),
        (429, Audience.ANYONE, False, ()),
        (500, Audience.STORE, False, ("a link does not open (HTTP status 500)",)),
        (None, Audience.STORE, False, ("nobody answers at a link",)),
    ],
)
def test_a_link_opens_or_asks_for_a_login_where_it_may(
    world: World, *, status: int | None, audience: Audience, password: bool, said: tuple[str, ...]
) -> None:
    """What is for anyone must ask for nothing but its password; what has ended is not asked for."""

    class Answering(MemoryStore):
        def as_a_stranger(self, url: str) -> int | None:
            return status

    with world.process() as (watch, ledger):
        (redirect,) = ledger.redirects(state=State.DONE)
        terms = LinkTerms(audience=audience, password=password)
        (file, *_) = redirect.shown
        assert file.link
        one = replace(redirect, files=(replace(file, stored=None, terms=terms),), pointer="a pointer")
        answering = replace(watch, store=Answering())
        assert differences(one, answering, world.now) == said
        ended = replace(one.files[0], link=replace(file.link, expires=world.now))
        assert differences(replace(one, files=(ended,)), answering, world.now) == ()


def test_a_stranger_has_no_login_and_fetches_nothing(tmp_path: Path, apache: DavServer, house: Pages) -> None:
    """A store of WebDAV asks for it; a page that is for anyone opens, which counts as no visit; nobody answers."""
    file = apache.folder / "stranger.txt"
    file.write_text("a plan")
    assert as_a_stranger(f"{apache.url}stranger.txt", verify=True) == 401
    publication, token = house.publish({"plan.pdf": b"a plan"})
    assert as_a_stranger(f"{house.url}/a/{token}/1", verify=True) == 200
    assert as_a_stranger(f"{house.url}/a/none/1", verify=True) == 404
    assert [each for each in house.noted() if each.publication == publication.id] == []
    assert as_a_stranger(f"http://127.0.0.1:{free_port()}/", verify=True) is None


def test_once_a_night_at_its_hour(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the planning that gives mailboxes their turns, and in a thread of the tenant's own."""
    served.add("anna")
    daemon = served.daemon()
    daemon.once()
    served.store.files = {path: data for path, data in served.store.files.items() if not path.endswith("plan.pdf")}
    (desk,) = daemon.desks
    noted = []
    today = datetime.now().astimezone().replace(minute=0)
    for days, hour in ((1, 2), (1, 3), (1, 3), (1, 4), (2, 3)):
        now = (today + timedelta(days=days)).replace(hour=hour).astimezone(UTC)
        monkeypatch.setattr("connector.daemon.desk.clock", lambda now=now: now)
        desk.plan()
        desk.pool.submit(bool).result()
        noted.append(len([each for each in served.ledger.events(tenant="acme") if each.name == "sample.differs"]))
    desk.pool.shutdown()
    assert noted == [0, 2, 2, 2, 4]
