"""`connector demo` as a visitor starts it, and whether its judge can say no."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_binary_file
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path

import pytest
import requests

from connector.config.yamlfile import ConfigError
from connector.demo import judge, observer
from connector.demo.judge import Before
from connector.demo.mail import letters
from connector.demo.samples import ANNA, write_samples
from connector.demo.world import World, world
from connector.model import Action
from connector.simulator.graph.files.drive import Drive
from tests import command

CONTENT = b"%PDF-1.7 quite a small one"
#: `.ci/run` names the one of the wheel, which is installed by itself.
COMMAND = [os.environ["DEMO_COMMAND"]] if "DEMO_COMMAND" in os.environ else [sys.executable, "-m", "connector.cli"]


def start(temporary: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the demo. Its temporary folder is made below `temporary`."""
    return subprocess.Popen(
        [*COMMAND, "demo", *arguments],
        cwd=temporary,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "http_proxy": "http://192.0.2.1:9/", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(temporary: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run the demo to its end, which must be this exit code; all that it says."""
    process = start(temporary, *arguments, **environment)
    try:
        said, log = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == code, said + log
    return said + log


def cpu_seconds() -> float:
    """What child processes have used so far: how long they take on an idle machine, however busy this one is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start_once() -> float:
    """What it takes to start the program, and no more."""
    began = cpu_seconds()
    subprocess.run([*COMMAND, "--help"], stdout=subprocess.DEVNULL, check=True)
    return cpu_seconds() - began


def write(path: Path, *names: str) -> None:
    """A message with attachments of these names."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "carla@example.net", "anna@example.org", f"[red]{path.stem}"
    mail.set_content("See the attachment.\n")
    for name in names:
        mail.add_attachment(CONTENT, maintype="application", subtype="octet-stream", filename=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mail.as_bytes())


@pytest.mark.long
def test_the_demo_ends_well_after_a_crash_in_the_middle(tmp_path: Path) -> None:
    """On our own mail: killed once, nothing lost, every link right, what is kept untouched; and no trace is left."""
    one_start = start_once()
    began = cpu_seconds()
    said = run(tmp_path)
    used = cpu_seconds() - began
    # It has seven of them, and some work; the dearer one of before and afterwards, as a machine is not always as fast.
    assert used < 35 * max(one_start, start_once())
    said_plainly = " ".join(said.split())
    assert "18 messages with 27 attachments in 2 mailboxes" in said_plainly
    assert re.search(r"[1-9]\d* behind links that stand in their place and give the same bytes, 0 lost", said_plainly)
    assert "16 links opened, as anyone or with a login" in said_plainly
    assert "8 messages were to be left alone, and are untouched" in said_plainly
    assert "3 pointers opened, 1 copy read in the store: SHA-256 as in Teams before." in said_plainly
    assert (
        "Files before 17 10 4 2 link instead 13 3 3 0 copied 0 0 0 1 left alone 4 7 1 1 wrong 0 0 0 0" in said_plainly
    )
    assert "Every message has its text and its attachments again, byte for byte." in said_plainly
    assert "Every file in Teams is in its place again, byte for byte; no pointer is left." in said_plainly
    assert "Files before 17 10 4 2 as before 17 10 4 2" in said_plainly
    assert said.rstrip().endswith("All is right.")
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 80
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_mail_is_a_mistake(tmp_path: Path) -> None:
    """One sentence, exit code 2, and nothing is left behind."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "tmp").mkdir()
    said = run(tmp_path / "tmp", "--mail", str(tmp_path / "mail"), code=2)
    assert said.startswith(f"{tmp_path / 'mail'} holds no .eml file")
    assert len(said.splitlines()) == 1
    assert "does not exist" in run(tmp_path / "tmp", "--mail", str(tmp_path / "absent"), code=2)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_visitor_without_the_extra_is_told_what_to_install(tmp_path: Path) -> None:
    """One sentence, and exit code 2."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['wsgidav'] = None\n")
    said = run(tmp_path, code=2, PYTHONPATH=str(tmp_path))
    assert "pip install 'connector[demo]'" in said
    assert len(said.splitlines()) == 1


@pytest.mark.long
def test_mail_of_ones_own_stays_up_until_it_is_told_to_end(tmp_path: Path) -> None:
    """Messages in folders of mailboxes, and messages that just lie there.

    With --keep the printed address of the store answers to the printed login; SIGTERM ends it, and all is tidy.
    """
    write(tmp_path / "mail" / "plain.eml", "a.pdf")
    write(tmp_path / "mail" / "zoe@example.org" / "Projects" / "Bridge" / "deep.eml", "b.pdf", "card.vcf")
    (tmp_path / "tmp").mkdir()
    process = start(tmp_path / "tmp", "--keep", "--mail", str(tmp_path / "mail"))
    try:
        assert process.stdout
        lines: list[str] = []
        while not lines or not lines[-1].strip().startswith("Ledger"):
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended early"
        said = "".join(lines)
        said_plainly = " ".join(said.split())
        assert "2 messages with 3 attachments in 2 mailboxes" in said_plainly
        assert "[red]plain 1 1 redirected" in said_plainly
        assert "[red]deep 2 1 redirected; kept: extension vcf" in said_plainly
        assert "All is right." in said_plainly
        url, user, password = re.findall(r"Store +(\S+), user (\S+), password (\S+)", said)[0]
        assert requests.get(url, auth=(user, password), timeout=10).ok
        assert requests.get(url, timeout=10).status_code == 401
        page = re.findall(r"A link for anyone +(\S+)", said)[0]
        assert "a.pdf" in requests.get(page, timeout=10).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_sample_mail_is_of_nobody(tmp_path: Path) -> None:
    """All addresses are of the domains that are reserved for examples."""
    write_samples(tmp_path)
    for path in tmp_path.rglob("*.eml"):
        with path.open("rb") as file:
            mail = message_from_binary_file(file)
        for _, address in getaddresses([mail["From"], mail["To"]]):
            assert address.endswith(("@example.org", "@example.net")), path


def test_no_mail_is_no_demo(tmp_path: Path) -> None:
    """A folder that holds only other things is refused as an empty one is."""
    (tmp_path / "notes.txt").write_text("no mail")
    with pytest.raises(ConfigError, match=r"holds no \.eml file"):
        letters(tmp_path)


# --- whether the judge can say no ---------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """On premises and in the cloud, a message that is to be redirected, and one that is to be left alone; and Teams."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(tmp_path / "mail" / "1.eml", "a.pdf")
    write(tmp_path / "mail" / "2.eml", "card.vcf")
    write(tmp_path / "mail" / "zoe@example.org" / "3.eml", "b.pdf")
    write(tmp_path / "mail" / "zoe@example.org" / "4.eml", "card.vcf")
    (tmp_path / "stage").mkdir()
    with world(tmp_path / "stage", letters(tmp_path / "mail")) as stage:
        yield stage


@pytest.fixture
def redirected(stage: World) -> Before:
    """All has gone well; what was there before."""
    before = judge.look(stage)
    redirect(stage)
    assert problems(before, stage) == {}
    return before


def redirect(stage: World) -> None:
    """As the demo does, without a kill."""
    for each in ("certify", "check", "once"):
        do(stage, each)


def do(stage: World, *arguments: str) -> None:
    """A command that ends well."""
    process = command.start(stage.config, *arguments, later=command.NOW)
    process.join()
    assert process.exitcode == 0, (stage.config / "told").read_text()


def problems(before: Before, stage: World) -> dict[str, tuple[str, ...]]:
    """What the judge finds, by the subjects of messages and the names of files."""
    return {each.subject: each.problems for each in judge.outcomes(before, stage) if each.problems}


def not_undone(before: Before, stage: World) -> list[str]:
    """What the judge finds not to be as it was."""
    return [problem for each in judge.undone(before, stage) for problem in each.problems]


def stored(stage: World, name: str) -> Path:
    """The file of this name in the store."""
    (found,) = (stage.folder / "store").rglob(name)
    return found


def shared(stage: World, name: str) -> tuple[Drive, str]:
    """A file in Teams, as its owner has it: the drive and the id of the item."""
    for drive in stage.exchange.workspace.drives.values():
        for item in drive.root.below():
            if item.name == name:
                return drive, item.id
    raise AssertionError(name)


def edit(stage: World, name: str, content: bytes) -> None:
    """Somebody changes a file in Teams."""
    drive, item_id = shared(stage, name)
    drive.edit(item_id, content, ANNA)


def delete(stage: World, name: str) -> None:
    """Somebody deletes a file in Teams."""
    drive, item_id = shared(stage, name)
    drive.delete(item_id, ANNA)


def test_what_was_not_redirected_is_told(stage: World) -> None:
    """As long as nothing has happened, all originals are in their places, and the judge is not content."""
    before = judge.look(stage)
    assert judge.whereabouts(before, stage) == judge.Whereabouts(here=10, linked=0, lost=0)
    assert problems(before, stage).keys() == {
        "[red]1",
        "[red]3",
        "contract.pdf",
        "Maße für Q3.xlsx",
        "north pier.dwg",
        "crack in the pier.jpg",
    }


def test_a_stored_file_that_is_not_the_original_is_told(stage: World, redirected: Before) -> None:
    """Other bytes behind a link: the original is lost, and the judge sees it; on premises and in the cloud."""
    assert judge.whereabouts(redirected, stage) == judge.Whereabouts(here=5, linked=5, lost=0)
    names = {"[red]1": "a.pdf", "[red]3": "b.pdf"}
    for lost, (subject, name) in enumerate(names.items(), 1):
        content = stored(stage, name).read_bytes()
        stored(stage, name).write_bytes(content.upper())
        told = problems(redirected, stage)
        assert told[subject] == ("the links do not give the bytes of its attachments",)
        assert judge.whereabouts(redirected, stage) == judge.Whereabouts(here=5, linked=5 - lost, lost=lost)
        assert len(told) == lost
        stored(stage, name).unlink()
        assert "does not open" in problems(redirected, stage)[subject][0]


def test_a_pointer_that_does_not_give_the_file_is_told(stage: World, redirected: Before) -> None:
    """Other bytes behind it, none at all, an address that nobody serves, and a pointer that is gone."""
    name, told = "contract.pdf", ("its pointer does not give its bytes",)
    stored(stage, name).write_bytes(CONTENT)
    assert judge.whereabouts(redirected, stage) == judge.Whereabouts(here=5, linked=4, lost=1)
    # Our pages hand out nothing that is not what was published.
    assert [each[1:] for each in problems(redirected, stage).values()] == [told]
    stored(stage, name).unlink()
    assert "does not open" in problems(redirected, stage)[name][0]
    edit(stage, f"{name}.url", f"[InternetShortcut]\r\nURL={stage.store.url}nowhere\r\n".encode())
    assert "404" in problems(redirected, stage)[name][0]
    edit(stage, f"{name}.url", b"no shortcut")
    assert problems(redirected, stage) == {name: ("it has no pointer", *told)}
    delete(stage, f"{name}.url")
    assert problems(redirected, stage) == {name: ("it has no pointer", *told)}
    assert judge.whereabouts(redirected, stage) == judge.Whereabouts(here=5, linked=4, lost=1)


def test_a_shared_file_that_was_to_stay_and_did_not_is_told(stage: World, redirected: Before) -> None:
    """Altered or lost, of those that are copied and of those that are left alone; and copies of other bytes."""
    copied, kept, told = "crack in the pier.jpg", "site manager.vcf", "it was to stay, and has changed or vanished"
    edit(stage, copied, CONTENT)
    edit(stage, kept, CONTENT)
    assert problems(redirected, stage) == {copied: (told,), kept: (told,)}
    assert judge.whereabouts(redirected, stage) == judge.Whereabouts(here=3, linked=5, lost=2)
    delete(stage, copied)
    delete(stage, kept)
    stored(stage, copied).write_bytes(CONTENT)
    wrong_copy = "its copy in the store does not have its bytes"
    assert problems(redirected, stage) == {copied: (told, wrong_copy), kept: (told,)}
    stored(stage, copied).unlink()
    assert problems(redirected, stage) == {copied: (told, wrong_copy), kept: (told,)}


def test_what_was_not_put_back_is_told(stage: World) -> None:
    """As long as anything is elsewhere, and once it is there again but not what it was, or not alone."""
    before = judge.look(stage)
    assert not_undone(before, stage) == []
    redirect(stage)
    names = ("[red]1", "[red]3", *(path for (_, path), file in before.shared.items() if file.id in pointed(before)))
    elsewhere = {f"{name}: it is not what it was before" for name in names}
    pointers = {f"{name}.url: it was not there before" for name in names[2:]}
    assert len(pointers) == 3
    assert set(not_undone(before, stage)) == elsewhere | pointers
    do(stage, "restore", "--everything")
    do(stage, "once")
    assert not_undone(before, stage) == []
    changed = {file_id: sha256 + "0" for file_id, sha256 in before.sha256.items()}
    told = [f"[red]{number}: it is not what it was before" for number in (1, 2, 3, 4)]
    assert not_undone(replace(before, sha256=changed), stage) == told
    edit(stage, "contract.pdf", CONTENT)
    drive, _ = shared(stage, "contract.pdf")
    drive.upload("General/left.url", b"", ANNA)
    told = ["contract.pdf: it is not what it was before", "left.url: it was not there before"]
    assert not_undone(before, stage) == told


def pointed(before: Before) -> set[str]:
    """The ids of the shared files that are to give way to pointers."""
    return {each.id for place, each in before.shared.items() if before.verdict(place).action is Action.REDIRECT}


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("<p>text</p>", "<p><div>n</div>text</p>", "<div>n</div>"),
        ("text", "notice text", "notice "),
        ("text", "text", ""),
        ("text", "notice tex", None),
        ("text", "tex", None),
        ("", "notice", "notice"),
    ],
)
def test_only_one_stretch_may_have_been_inserted(before: str, after: str, found: str | None) -> None:
    """Anything else has changed the text of the message."""
    assert observer.inserted(before, after) == found
