"""Teams and chats from a folder, as `Exchange` describes it."""

import re
from collections.abc import Iterator
from pathlib import Path

from connector.simulator.graph.files.workspace import Kind
from connector.simulator.organisation import Organisation

_KIND = re.compile(r"(?P<name>.+) \((?P<kind>private|shared)\)")


def fill(organisation: Organisation, folder: Path) -> None:
    """Make the teams and chats of a folder. The organisation has its mailboxes already."""
    users = [address for address in organisation.mailboxes if address != organisation.impersonator]
    members = {address: "" if at else "owner" for at, address in enumerate(users)}
    for team_folder in _folders(folder / "teams"):
        team = organisation.add_team(team_folder.name, members)
        for channel_folder in _folders(team_folder):
            found = _KIND.fullmatch(channel_folder.name)
            name, kind = (found["name"], found["kind"]) if found else (channel_folder.name, Kind.STANDARD)
            known = (each for each in team.channels.values() if each.name == name)
            channel = next(known, None) or organisation.workspace.add_channel(team, name, kind)
            for path, content in _files(channel_folder):
                channel.drive.upload(f"{name}/{path}", content, users[0])
    for chat in _folders(folder / "chats"):
        others = [address for address in users if address != chat.name.lower()]
        for path, content in _files(chat):
            organisation.workspace.send(chat.name, path, content, *others)


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
