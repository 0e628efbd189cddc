"""Files that a configuration names, and that are none: each is told at once, in a sentence, and is not opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.config.credentials import Secret
from connector.config.csvfile import lines
from connector.config.loading import NoticeSettings, reload
from connector.config.regular import regular
from connector.config.yamlfile import read
from connector.sources.graph import login

Reading = Callable[[Path], object]

_READERS: dict[str, Reading] = {
    "yaml": read,
    "list": lambda path: list(lines(path)),
    "secret": lambda path: Secret.model_validate({"file": path}).read(),
    "certificate": login._bytes,
    "template": lambda path: NoticeSettings.model_validate(
        {"product": "P", "organisation": "O", "templates": str(path.parent)}
    ),
    "reload": lambda path: reload(path.parent, still=lambda: None),
}


@pytest.mark.parametrize("reading", _READERS.values(), ids=_READERS)
def test_a_fifo_keeps_nobody_waiting(tmp_path: Path, reading: Reading) -> None:
    """Nobody writes to it: whoever opened it would wait for ever."""
    for name in ("connector.yaml", "notice.html.j2"):
        os.mkfifo(tmp_path / name)
    path = tmp_path / ("notice.html.j2" if reading is _READERS["template"] else "connector.yaml")
    with pytest.raises(Exception, match="cannot be read: it is no regular file; put one there"):
        reading(path)


@pytest.mark.parametrize("path", [Path("/dev/zero"), Path("/dev")])
def test_devices_and_folders_are_not_opened(path: Path) -> None:
    """A device need not end."""
    with pytest.raises(OSError, match="it is no regular file"):
        regular(path)


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    """Secrets and whole configurations often are such; and what is absent is told by whoever opens it."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    assert Secret.model_validate({"file": tmp_path / "link"}).read() == "x"
    assert regular(tmp_path / "absent") == tmp_path / "absent"
