"""Pointers say what they were written with, whatever a file is called and whatever Windows adds to it."""

from configparser import ConfigParser
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.rewrite.pointer import LONGEST, Pointer, names, read, written

POINTER = Pointer(
    url="https://files.example.org/f/17?x=%20y", marker="1.RX7Q2.1.00ff", original="01ABC!7", name="Bericht \u00fc=.pdf"
)


@given(name=st.text(min_size=1), original=st.text(min_size=1))
def test_says_what_was_written_or_is_refused(name: str, original: str) -> None:
    """Any name; one that a line cannot hold is refused before it is written."""
    pointer = Pointer(url=POINTER.url, marker=POINTER.marker, original=original, name=name)
    try:
        content = written(pointer)
    except ValueError:
        assert {"\n", "\r"} & {*name, *original} or not f"{name}{original}".isprintable() or len(content_of(name)) == 0
    else:
        assert read(content) == pointer


def content_of(text: str) -> bytes:
    """Its bytes; none where it is not Unicode."""
    return text.encode(errors="ignore")


def test_is_an_internet_shortcut() -> None:
    """As another program reads an INI file."""
    ini = ConfigParser(interpolation=None)
    ini.read_string(written(POINTER).decode())
    assert ini["InternetShortcut"]["URL"] == POINTER.url


def test_windows_adds_lines() -> None:
    """An icon, a hot key, a section of its own; line ends change; the pointer is the same."""
    content = written(POINTER).replace(b"\r\n", b"\nIconIndex=0\n") + b"[{000214A0-0000}]\nProp3=19,2\n"
    assert read(content) == POINTER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7",
        b"[InternetShortcut]\r\nURL=https://example.org/\r\n",
        b"[connector]\r\nMarker=1.R.1.00\r\nOriginal=1\r\nName=a\r\n",
        written(POINTER).replace(b"Original=", b"Other="),
        written(POINTER) + bytes(LONGEST),
    ],
)
def test_what_is_no_pointer_of_ours(content: bytes) -> None:
    """Other files, other shortcuts, what lacks something, and what is too long."""
    assert read(content) is None


def test_refuses_what_is_no_unicode() -> None:
    """Half a character, as some names have."""
    with pytest.raises(ValueError, match="Unicode"):
        written(Pointer(url=POINTER.url, marker="m", original="o", name="\ud83d"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://example.org/a b", "https://example.org/\r\nIconFile=x"])
def test_refuses_what_is_no_link(url: str) -> None:
    """Nothing that a name or a store says adds a line."""
    with pytest.raises(ValueError, match="http"):
        written(Pointer(url=url, marker="m", original="o", name="n"))


def test_names() -> None:
    """The name of the file comes first in all of them."""
    assert list(islice(names("a.pdf"), 3)) == ["a.pdf.url", "a.pdf (2).url", "a.pdf (3).url"]
