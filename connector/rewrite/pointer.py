"""Pointers: small files that stand in a share where a file was, and open a link. Pure; bytes in, bytes out.

An Internet shortcut is an INI file of Windows; Explorer, Finder and SharePoint open the URL in it, and leave alone what
stands in other sections. Ours says there whose pointer it is. It may be anyone's by now: what is read is not to be
trusted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

EXTENSION = ".url"
#: In bytes. What is longer is no pointer.
LONGEST = 16 * 1024

_URL = re.compile(r"https?://[!-~]+")
_OURS = ("Marker", "Original", "Name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointer:
    """What a pointer says."""

    url: str
    marker: str
    #: The id of the file whose place it takes.
    original: str
    #: The name of that file.
    name: str


def written(pointer: Pointer) -> bytes:
    """The content of a pointer's file. Raises ValueError where it would not say the same when it is read."""
    ours = zip(_OURS, (pointer.marker, pointer.original, pointer.name), strict=True)
    lines = ("[InternetShortcut]", f"URL={pointer.url}", "[connector]", *(f"{key}={value}" for key, value in ours))
    try:
        content = "".join(f"{line}\r\n" for line in lines).encode()
    except UnicodeEncodeError:
        raise ValueError("a pointer holds Unicode text only") from None
    if _URL.fullmatch(pointer.url) is None or read(content) != pointer:
        raise ValueError("a pointer holds an http(s) address and texts of one line")
    return content


def read(content: bytes) -> Pointer | None:
    """What a file says if it is one of our pointers, also where Windows has added lines to it. Never raises."""
    if len(content) > LONGEST:
        return None
    sections = _sections(content.decode(errors="replace"))
    url, ours = sections.get("InternetShortcut", {}).get("URL"), sections.get("connector", {})
    if url is None or not all(ours.get(key) for key in _OURS):
        return None
    return Pointer(url=url, marker=ours["Marker"], original=ours["Original"], name=ours["Name"])


def names(name: str, ended: str = "") -> Iterator[str]:
    """What the pointer of a file of this name may be called, best first; the next where another file has the name.

    `ended`: it says by its name what became of the file.
    """
    said = f"{name} ({ended})" if ended else name
    yield f"{said}{EXTENSION}"
    number = 2
    while True:
        yield f"{said} ({number}){EXTENSION}"
        number += 1


def _sections(text: str) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in re.split(r"\r?\n", text):
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = sections.setdefault(line.strip()[1:-1], {})
        else:
            key, equals, value = line.partition("=")
            if equals:
                section.setdefault(key, value)
    return sections
