"""Names for the store: one path part each, right on Windows, macOS and WebDAV at once. No I/O, no clock.

What is refused where: Nextcloud with Windows-compatible names (facts of its capabilities), Microsoft's "Naming Files,
Paths, and Namespaces", and XML 1.0, in which WebDAV lists names and which has no place for control characters.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import count, groupby
from string import Formatter
from typing import cast, get_args
from unicodedata import category, combining, normalize

from connector.model import PathWord

#: Bytes of UTF-8 in one path part. Stores take 250 or more; the rest is left to their own temporary names.
LONGEST = 200
#: The name of something that has none.
NAMELESS = "unnamed"
#: What looks like the address of somebody, in a text.
ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=/]+@[\w.-]*\w")

#: Bytes for a word that shares its part with others, and for a subject or a sender anywhere.
_SHORT = 60
#: Bytes of fixed text beside the words of a part, so that three short words fit and the id is never cut off.
_FIXED = 20
_EXTENSION = 20
#: WsgiDAV cuts the destination of a MOVE at a semicolon, quoted or not.
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"/\\|?*;', "_"))
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {device + digit for device in ("com", "lpt") for digit in "0123456789¹²³"}
)
#: A store or its sync client takes these for an upload under way; so do we with the last one, and remove it where it
#: was left behind (`.htaccess` loses its dot like every leading one).
_TEMPORARY = frozenset({"part", "filepart", "tmp"})
_PATH_WORDS: tuple[str, ...] = get_args(PathWord)
_MOST_WORDS = 3
#: The first code point that combines with others is the first of these.
_MARKS = re.compile("[\u0300-\U0010ffff][\u0300-\U0010ffff]{200,}")


def composed(text: str) -> str:
    """The NFC of any text.

    Python's own sorts what combines by insertion, and lets no other thread run: 100,000 accents on one letter would
    stop the daemon for seconds. In long stretches without a letter of ours they are sorted before it.
    """
    return text if text.isascii() else normalize("NFC", _MARKS.sub(_sorted, text))


def _sorted(stretch: re.Match[str]) -> str:
    decomposed = [part for char in stretch[0] for part in normalize("NFD", char)]
    runs = groupby(decomposed, key=lambda char: combining(char) > 0)
    return "".join(char for _, run in runs for char in sorted(run, key=combining))


def plain(text: str) -> str:
    """`text` on one line and in reading order: no control, bidi, zero-width or broken character, NFC. May be empty."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # As nearly all are: one look for each character takes much longer.
    kept = (" " if char.isspace() else char for char in text if char.isspace() or _has_a_place(char))
    return composed(" ".join("".join(kept).split()))


def safe_name(name: str) -> str:
    """`name` as one path part for any store: never empty, at most `LONGEST` bytes of UTF-8, its extension kept.

    A safe name stays what it is.
    """
    safe = plain(name).translate(_FORBIDDEN).strip(" .")
    if safe.partition(".")[0].rstrip().lower() in _DEVICES:
        safe = f"_{safe}"
    safe = _cut(safe, LONGEST)
    stem, dot, extension = safe.rpartition(".")
    if dot and extension.lower() in _TEMPORARY:
        return f"{stem}_{extension}"
    return safe or NAMELESS


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """A safe name for each, in their order; no two are one to a store that ignores case: `a.pdf`, `A (2).pdf`."""
    taken: set[str] = set()
    numbers: dict[str, count[int]] = {}
    return tuple(_unused(safe_name(name), taken, numbers) for name in names)


def check_template(template: str) -> str:
    """Give back a template of store folders, such as `{tenant}/{year}/{id}`, that `folder` can render.

    Raises ValueError with a sentence for the operator.
    """
    parts = template.split("/")
    if "" in parts:
        raise ValueError("a store path neither starts nor ends with '/', and has a name between any two of them")
    for part in parts:
        _check_part(part)
    if "id" not in _words(parts[-1]):
        raise ValueError("the last part of a store path holds {id}, so that each redirect has a folder of its own")
    return template


def home(template: str, words: Mapping[PathWord, str]) -> str:
    """The collection below which a template puts all files of one mailbox, and no other's; "" where there is none."""
    parts = template.split("/")
    last = next((number for number, part in enumerate(parts) if "mailbox" in _words(part)), None)
    above = parts[: last + 1] if last is not None else []
    if any(not set(_words(part)) <= words.keys() for part in above):
        return ""
    return "/".join(_part(part, words) for part in above)


def folder(template: str, words: Mapping[PathWord, str]) -> str:
    """Render a template that `check_template` let through. No word adds a level, whatever stands in it."""
    return "/".join(_part(part, words) for part in template.split("/"))


def _has_a_place(char: str) -> bool:
    # The last two code points of every plane are no characters, and XML refuses them.
    return category(char) not in {"Cc", "Cf", "Cs"} and ord(char) & 0xFFFE != 0xFFFE  # noqa: PLR2004


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem and len(extension.encode()) <= _EXTENSION else (name, "")


def _cut(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, suffix = _split(name)
    return stem.encode()[: limit - len(suffix.encode())].decode(errors="ignore").rstrip(" .") + suffix


def _unused(name: str, taken: set[str], numbers: dict[str, "count[int]"]) -> str:
    # Each name remembers its next number: a message with thousands of files of one name is not to cost a square.
    numbering = numbers.setdefault(_key(name), count(2))
    unused = name
    while _key(unused) in taken:
        unused = _numbered(name, next(numbering))
    taken.add(_key(unused))
    return unused


def _key(name: str) -> str:
    return composed(name.casefold())


def _numbered(name: str, number: int) -> str:
    tag = f" ({number})"
    stem, suffix = _split(_cut(name, LONGEST - len(tag)))
    return stem.rstrip(" .") + tag + suffix


def _check_part(part: str) -> None:
    words = _words(part)
    if len(words) > _MOST_WORDS or (words and len(_joined(part, lambda _: "").encode()) > _FIXED):
        raise ValueError(
            f"{part!r} in a store path is too long: at most {_MOST_WORDS} words and {_FIXED} bytes beside them"
        )
    sample = _joined(part, lambda _: "x")
    if safe_name(sample) != sample:
        raise ValueError(f"{part!r} in a store path is no name that every store can keep")


def _part(part: str, words: Mapping[PathWord, str]) -> str:
    alone = len(_words(part)) == 1

    def filled(word: PathWord) -> str:
        limit = LONGEST - _FIXED if alone and word not in {"subject", "sender"} else _SHORT
        return _cut(safe_name(words[word]), limit)

    return safe_name(_joined(part, filled))


def _joined(part: str, fill: Callable[[PathWord], str]) -> str:
    return "".join(fixed + (fill(word) if word else "") for fixed, word in _pieces(part))


def _words(part: str) -> list[PathWord]:
    return [word for _, word in _pieces(part) if word]


@cache
def _pieces(part: str) -> Sequence[tuple[str, PathWord | None]]:
    """Fixed text and the word after it, pair by pair. Only parsed: a template never reaches into an object."""
    try:
        return [(fixed, _path_word(*field)) for fixed, *field in Formatter().parse(part)]
    except ValueError as error:
        raise ValueError(f"{part!r} in a store path: {error}") from None


def _path_word(word: str | None, spec: str | None, conversion: str | None) -> PathWord | None:
    if word is not None and (word not in _PATH_WORDS or spec or conversion):
        raise ValueError(f"it may hold {{{'}, {'.join(_PATH_WORDS)}}}, each just so, and nothing else in braces")
    return cast("PathWord | None", word)
