"""Kill it before and after every effect: the promise holds at the kill, and the next run ends in the same world."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.model import Body, FileKind
from connector.policy import Policy
from connector.sources.memory import Attached
from tests.share_world import ShareWorld
from tests.tnef import remember, winmail
from tests.world import Killed, Saboteur, World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def policy(**rule: object) -> Policy:
    """Everything goes, at once, unless the rule says otherwise."""
    told = {"name": "all", "action": "redirect", "settle": 0} | rule
    return Policy.model_validate({"rules": [told]})


def several_messages(folder: Path) -> World:
    """One file, two of one name, an inline image beside a file, a text body, and one with nothing."""
    world = World(folder / "ledger.db", policy())
    world.deliver(Attached("report.pdf", b"%PDF-1.7 report"))
    world.deliver(Attached("scan.tif", b"II*\x00first"), Attached("scan.tif", b"II*\x00second"))
    world.deliver(
        Attached("logo.png", PNG, "image/png", inline=True, content_id="logo@example.org"),
        Attached("offer.docx", b"PK\x03\x04offer"),
        body=Body('<html><body><p>Hi</p><img src="cid:logo@example.org"></body></html>', html=True),
    )
    world.deliver(Attached("notes.txt", b"some notes"), body=Body("Hello\r\n\r\nBye\r\n", html=False))
    world.deliver(Attached("forwarded.eml", b"From: x", "message/rfc822", FileKind.ITEM))
    world.deliver()
    return world


def with_settle(folder: Path) -> World:
    """Links are shown a day after the copy."""
    world = World(folder / "ledger.db", policy(settle="24h"))
    world.deliver(Attached("a.bin", b"aaaa"), Attached("b.bin", b"bbbb"))
    return world


def copied_only(folder: Path) -> World:
    """The originals stay."""
    world = World(folder / "ledger.db", policy(action="copy"))
    world.deliver(Attached("a.bin", b"aaaa"))
    return world


def original_kept(folder: Path) -> World:
    """The whole message goes into the store first."""
    world = World(folder / "ledger.db", policy(keep_original=True))
    world.deliver(Attached("a.bin", b"aaaa"))
    return world


def replaced(folder: Path) -> World:
    """No message is edited in place: a copy is, and takes its place."""
    world = World(folder / "ledger.db", policy(), replace=True)
    logo = Attached("logo.png", PNG, "image/png", inline=True, content_id="logo@example.org")
    body = Body('<html><body><p>Hi</p><img src="cid:logo@example.org"></body></html>', html=True)
    scan, other = Attached("scan.tif", b"II*\x00first"), Attached("scan.tif", b"II*\x00second")
    world.deliver(logo, scan, other, body=body, read=True, folder="Inbox/Project")
    world.deliver()
    return world


def replaced_after_settle(folder: Path) -> World:
    """What was replaced stays on its shelf for a day."""
    return replace(with_settle(folder), replace=True)


def published(folder: Path) -> World:
    """Links are those of our own service: one file is for anyone, the other leads on to the store."""
    anyone = {"audience": "anyone", "expires": "30d", "password": True}
    scans = policy(name="scans", when={"name": "scan.tif"}, link=anyone)
    world = World(
        folder / "ledger.db", scans.model_copy(update={"rules": (*scans.rules, *policy().rules)}), publishes=True
    )
    world.deliver(Attached("scan.tif", b"II*\x00first"), Attached("a.bin", b"a"))
    return world


def shared(folder: Path) -> World:
    """Files in a share give way to pointers."""
    world = ShareWorld(folder / "ledger.db", policy())
    world.upload("report.pdf", b"%PDF-1.7 report")
    world.upload("plan.docx", b"PK\x03\x04plan", "General/Plans")
    world.share.upload("report.pdf.url", b"[InternetShortcut]\r\nURL=https://example.org/\r\n")
    return world


def shared_and_copied(folder: Path) -> World:
    """Files in a share stay, and a later version is copied too."""
    world = ShareWorld(folder / "ledger.db", policy(), pointers=False)
    world.upload("report.pdf", b"%PDF-1.7 report")
    world.upload("plan.docx", b"PK\x03\x04plan", "General/Plans")
    return world


def packed(folder: Path) -> World:
    """What is in winmail.dat goes with it."""
    world = World(folder / "ledger.db", policy(unpack=True))
    world.deliver(Attached("winmail.dat", winmail([("a.txt", b"first"), ("a.txt", b"second")])))
    return world


SCENES = {
    "several": several_messages,
    "settle": with_settle,
    "copied": copied_only,
    "original": original_kept,
    "replaced": replaced,
    "replaced after settle": replaced_after_settle,
    "shared": shared,
    "shared and copied": shared_and_copied,
    "packed": packed,
    "published": published,
}


@pytest.fixture(autouse=True)
def _remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(monkeypatch)


#: Whatever lasts is changed by an effect: before one, all is as it was after the last. The main flow dies on both sides
#: nevertheless; of the others, `.ci/run` has the half.
HALF = pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.by_hand), "after"])


def kills(
    scene: Callable[[Path], World],
    tmp_path: Path,
    when: str,
    act: Callable[[World, Saboteur], None] = World.run,
) -> Iterator[tuple[int, World, bool]]:
    """The world after a kill at the n-th effect of what is done, for every n; the last one ended without."""
    at = 1
    while True:
        folder = tmp_path / f"{when}-{at}"
        folder.mkdir()
        world = scene(folder)
        try:
            act(world, Saboteur(kill_at=at, when=when))
        except Killed:
            yield at, world, True
        else:
            yield at, world, False
            return
        shutil.rmtree(folder)
        at += 1


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_survives_a_kill_at_every_effect(scene: Callable[[Path], World], when: str, tmp_path: Path) -> None:
    """Wherever it dies, nothing is lost, and the next run ends in the same world as one that was never killed."""
    (tmp_path / "calm").mkdir()
    calm = scene(tmp_path / "calm")
    calm.run()
    assert not calm.lost()
    killed = 0
    for at, world, died in kills(scene, tmp_path, when):
        killed += died
        assert not world.lost(), f"killed {when} effect {at}"
        assert not world.hidden(), f"killed {when} effect {at}"
        world.run()
        assert not world.lost(), f"after a kill {when} effect {at}"
        assert world.view() == calm.view(), f"after a kill {when} effect {at}"
        assert len(world.manifest_free()) == len(calm.manifest_free()), f"an orphan after a kill {when} effect {at}"
        assert len(world.store.shares) == len(calm.store.shares), f"a second share after a kill {when} effect {at}"
        assert world.given() == calm.given(), f"other links after a kill {when} effect {at}"
    assert killed >= 10


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_second_run_does_nothing(scene: Callable[[Path], World], tmp_path: Path) -> None:
    """What is done is done: our own writes come back through the change feed and are absorbed."""
    world = scene(tmp_path)
    world.run()
    before, stored = world.view(), dict(world.store.files)
    world.lose_cursors()
    world.run()
    assert world.view() == before
    assert world.store.files == stored
