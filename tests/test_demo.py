"""`connector demo` as a visitor starts it, and whether its judge can say no."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from email import message_from_binary_file
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path

import pytest
import requests

from connector.demo import judge, observer
from connector.demo.mail import letters
from connector.demo.once import once
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
    began = time.monotonic()
    said = run(tmp_path)
    assert time.monotonic() - began < 60
    said_plainly = " ".join(said.split())
    assert "18 messages with 27 attachments in 2 mailboxes" in said_plainly
    assert re.search(r"[1-9]\d* behind links that their messages show and that give the same bytes, 0 lost", said_plainly)
    assert "16 links opened with the login of the store" in said_plainly
    assert "8 messages were to be left alone, and are untouched" in said_plainly
    assert said.rstrip().endswith("All is right.")
    assert max(map(len, said.splitlines())) <= 80
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
    """With --keep the printed addresses answer, to the printed passwords; SIGTERM ends it with the demo's result."""
    write(tmp_path / "mail" / "plain.eml", "a.pdf")
    (tmp_path / "tmp").mkdir()
    process = start(tmp_path / "tmp", "--keep", "--mail", str(tmp_path / "mail"))
    try:
        assert process.stdout
        said = "".join(iter(process.stdout.readline, "") if not _until_ledger(process) else ())
    finally:
        process.kill()
    assert said
