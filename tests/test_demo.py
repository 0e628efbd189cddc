"""`connector demo` as a visitor starts it, and whether its judge can say no."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email import message_from_binary_file
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path

import pytest
import requests

from connector.demo import judge, observer
from connector.demo.mail import letters
from connector.demo.once import once, proved, restored
from connector.demo.samples import write_samples
from connector.demo.world import World, world
from connector.yamlfile import ConfigError

CONTENT = b"%PDF-1.7 quite a small one"


def start(temporary: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the demo. Its temporary folder is made below `temporary`."""
    return subprocess.Popen(
        [sys.executable, "-m", "connector.cli", "demo", *arguments],
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


def write(path: Path, *names: str) -> None:
    """A message with attachments of these names."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "carla@example.net", "anna@example.org", f"[red]{path.stem}"
    mail.set_content("See the attachment.\n")
    for name in names:
        mail.add_attachment(CONTENT, maintype="application", subtype="octet-stream", filename=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mail.as_bytes())


def test_the_demo_ends_well_after_a_crash_in_the_middle(tmp_path: Path) -> None:
    """On our own mail: killed once, nothing lost, every link right, what is kept untouched; and no trace is left."""
    began = cpu_seconds()
    said = run(tmp_path)
    assert cpu_seconds() - began < 40
    said_plainly = " ".join(said.split())
    assert "18 messages with 27 attachments in 2 mailboxes" in said_plainly
    assert re.search(
        r"[1-9]\d* behind links that their messages show and that give the same bytes, 0 lost", said_plainly
    )
    assert "16 links opened with the login of the store" in said_plainly
    assert "8 messages were to be left alone, and are untouched" in said_plainly
    assert "Every message has its text and its attachments again, byte for byte." in said_plainly
    assert said.rstrip().endswith("All is right.")
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 80
    assert list(tmp_path.iterdir()) == []


def test_the_demo_takes_mail_of_ones_own(tmp_path: Path) -> None:
    """Messages in folders of mailboxes, and messages that just lie there."""
    write(tmp_path / "mail" / "plain.eml", "a.pdf")
    write(tmp_path / "mail" / "zoe@example.org" / "Projects" / "Bridge" / "deep.eml", "b.pdf", "card.vcf")
    (tmp_path / "tmp").mkdir()
    said = " ".join(run(tmp_path / "tmp", "--mail", str(tmp_path / "mail")).split())
    assert "2 messages with 3 attachments in 2 mailboxes" in said
    assert "[red]plain 1 1 redirected" in said
    assert "[red]deep 2 1 redirected; kept: extension vcf" in said
    assert said.endswith("All is right.")


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


def test_everything_stays_up_until_it_is_told_to_end(tmp_path: Path) -> None:
    """With --keep the printed address of the store answers to the printed login; SIGTERM ends it, and all is tidy."""
    write(tmp_path / "mail" / "plain.eml", "a.pdf")
    (tmp_path / "tmp").mkdir()
    process = start(tmp_path / "tmp", "--keep", "--mail", str(tmp_path / "mail"))
    try:
        assert process.stdout
        lines: list[str] = []
        while not lines or not lines[-1].strip().startswith("Ledger"):
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended early"
        said = "".join(lines)
        url, user, password = re.findall(r"Store +(\S+), user (\S+), password (\S+)", said)[0]
        assert requests.get(url, auth=(user, password), timeout=10).ok
        assert requests.get(url, timeout=10).status_code == 401
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
    """One message that is to be redirected, and one that is to be left alone."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write(tmp_path / "mail" / "1.eml", "a.pdf")
    write(tmp_path / "mail" / "2.eml", "card.vcf")
    (tmp_path / "stage").mkdir()
    with world(tmp_path / "stage", letters(tmp_path / "mail")) as stage:
        yield stage


def quiet(_asked: Mapping[str, int]) -> None:
    """Tell nobody."""


def test_what_was_not_redirected_is_told(stage: World) -> None:
    """As long as nothing has happened, all originals are in their messages, and the judge is not content."""
    before = judge.look(stage)
    assert judge.whereabouts(before, stage) == judge.Whereabouts(here=2, linked=0, lost=0)
    (redirected, kept) = judge.outcomes(before, stage)
    assert redirected.problems
    assert kept.problems == ()


def test_a_stored_file_that_is_not_the_original_is_told(stage: World) -> None:
    """Other bytes behind a link: the original is lost, and the judge sees it."""
    before = judge.look(stage)
    assert (proved(stage, quiet), once(stage, quiet)) == (0, 0)
    assert judge.whereabouts(before, stage) == judge.Whereabouts(here=1, linked=1, lost=0)
    assert [outcome.problems for outcome in judge.outcomes(before, stage)] == [(), ()]
    (stored,) = (stage.folder / "store").rglob("a.pdf")
    stored.write_bytes(CONTENT.upper())
    assert judge.whereabouts(before, stage) == judge.Whereabouts(here=1, linked=0, lost=1)
    assert judge.outcomes(before, stage)[0].problems == ("the links do not give the bytes of its attachments",)
    stored.unlink()
    assert "does not open" in judge.outcomes(before, stage)[0].problems[0]


def test_what_was_not_put_back_is_told(stage: World) -> None:
    """As long as anything is elsewhere, and once it is there again but not what it was."""
    before = judge.look(stage)
    assert list(judge.undone(before, stage)) == []
    assert (proved(stage, quiet), once(stage, quiet)) == (0, 0)
    told = ["[red]1: it is not what it was before"]
    assert list(judge.undone(before, stage)) == told
    assert restored(stage, quiet) == 0
    assert list(judge.undone(before, stage)) == []
    changed = {file_id: sha256 + "0" for file_id, sha256 in before.sha256.items()}
    assert list(judge.undone(replace(before, sha256=changed), stage)) == [*told, "[red]2: it is not what it was before"]


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
