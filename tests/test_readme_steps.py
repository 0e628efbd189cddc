"""What the README has an administrator type: every file, option, unit and credential in it is there."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from connector.cli import app

ROOT = Path(__file__).parent.parent
_CHAPTER = re.compile(r"^## From nothing to running.*?(?=^## )", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def steps() -> list[list[str]]:
    """Every command of the chapter, as its words."""
    (chapter,) = _CHAPTER.findall((ROOT / "README.md").read_text())
    return [shlex.split(line) for block in _BLOCK.findall(chapter) for line in block.splitlines() if line.strip()]


STEPS = steps()


def test_the_chapter_is_the_whole_way() -> None:
    """From the packages to a daemon that enforces."""
    said = [" ".join(each) for each in STEPS]
    assert said[0].startswith("apt-get install")
    assert len(said) > 25
    assert any(each.startswith("systemctl start connector.service") for each in said)


def test_what_is_copied_is_there() -> None:
    """Paths below the folder of connector."""
    copied = [word for command, *words in STEPS if command in {"cp", "install"} for word in words[:-1]]
    ours = [word for word in copied if word.startswith(("config/", "systemd/"))]
    assert len(ours) >= 7
    for word in ours:
        assert list(ROOT.glob(word)), word
    assert (ROOT / "systemd" / "connector").stat().st_mode & 0o111


def test_what_is_named_below_etc_is_what_the_units_read() -> None:
    """Folders that steps make, credentials that units load, and files that `sed` edits."""
    units = "".join(each.read_text() for each in (ROOT / "systemd").rglob("*") if each.suffix in {".service", ".conf"})
    loaded = set(re.findall(r"^LoadCredential=[a-z-]+:(\S+)", units, re.MULTILINE))
    written = {words[-1] for words in STEPS if ">" in words}
    assert written == loaded
    made = {words[-1] for command, *words in STEPS if command == "install" and "-d" in words}
    assert {str(Path(each).parent) for each in loaded} <= made


def test_what_is_enabled_is_installed_before() -> None:
    """A unit that nobody copied cannot start."""
    copied = {Path(word).name for command, *words in STEPS if command == "cp" for word in words if "systemd/" in word}
    installed = {each.name for pattern in copied for each in (ROOT / "systemd").glob(pattern)}
    wanted = {
        word
        for command, *words in STEPS
        if command == "systemctl"
        for word in words
        if word.endswith((".service", ".timer"))
    }
    assert wanted
    assert wanted <= installed
    for unit in wanted:
        assert "[Install]" in (ROOT / "systemd" / unit).read_text()


@pytest.mark.parametrize("words", [each for each in STEPS if each[0] == "connector"], ids=" ".join)
def test_commands_and_their_options_are_there(words: list[str]) -> None:
    """As typer reads them; nothing is run."""
    name, *rest = words[1:]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.get_command(typer.Context(group), name)
    assert command
    assert command.make_context(name, rest)


def test_modes_that_sed_looks_for_stand_in_the_example() -> None:
    """Of two that follow each other: what the first writes, the second finds."""
    text = (ROOT / "config" / "tenants" / "example.yaml").read_text()
    edits = [words[2].split("/")[1:3] for words in STEPS if words[0] == "sed"]
    assert len(edits) == 2
    for pattern, put in edits:
        assert re.search(pattern, text, re.MULTILINE)
        text = re.sub(pattern, put, text, flags=re.MULTILINE)


def test_the_command_for_administrators_is_one() -> None:
    """A shell reads it; it asks for the unit that there is."""
    script = ROOT / "systemd" / "connector"
    subprocess.run(["sh", "-n", script], check=True)
    assert "systemctl cat connector.service" in script.read_text()
