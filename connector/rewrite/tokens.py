"""HTML cut into tokens, by the rules of the WHATWG standard ("Tokenization") as far as they tell what is markup.

A tokenizer and no parser: a parser that writes its tree again changes line ends, &nbsp; and Outlook's conditional
comments. Every token is found in one step from the left, with patterns that never step back, so that no input is slow.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from html import unescape
from typing import NamedTuple

SPACE = " \t\n\f\r"


class Kind(Enum):
    """What a stretch of a document is."""

    TEXT = auto()
    #: A comment, a doctype, or what browsers read as a comment, such as `<![if !vml]>`.
    COMMENT = auto()
    START = auto()
    END = auto()
    #: An element whose content is no markup, from its start tag to its end tag.
    RAW = auto()
    #: The rest of the document, from something on that never ends or that two clients could read in two ways.
    LOST = auto()


class Token(NamedTuple):
    """A stretch of a document. The tokens of a document follow each other without a gap."""

    kind: Kind
    start: int
    end: int
    #: Of a tag or a raw element, in lower case.
    name: str = ""


_OPENING = re.compile(r"<[a-zA-Z/!?]")
_NAME = r"[^ \t\n\f\r/>]++"
#: An attribute, and what stands before it. A quote that is never closed takes the rest, and then no tag ends.
_ATTRIBUTE = r"""
    [ \t\n\f\r/]*+
    ([^ \t\n\f\r/>] [^ \t\n\f\r/>=]*+)
    ( [ \t\n\f\r]*+ = [ \t\n\f\r]*+ ("[^"]*+"?+ | '[^']*+'?+ | [^ \t\n\f\r>]*+) )?+
"""
#: From its name to its end. Most attributes are nobody's to know, and groups for them would take time.
_TAG = re.compile(rf"({_NAME}) (?:{_ATTRIBUTE.replace('(', '(?:')})*+ [ \t\n\f\r/]*+ >", re.VERBOSE)
_NAMED = re.compile(_NAME)
_SAID = re.compile(_ATTRIBUTE, re.VERBOSE)
#: A reference that is longer than that of any character; leading zeros say nothing.
_LONG_REFERENCE = re.compile(r"&#(?=[0-9]{8})0*([0-9]+)")
_MOST_DIGITS = 7
_RAW = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})


def tokens(html: str) -> Iterator[Token]:
    """All tokens of a document, from left to right. After a lost one comes none."""
    at = 0
    while opening := _OPENING.search(html, at):
        if opening.start() > at:
            yield Token(Kind.TEXT, at, opening.start())
        token = token_at(html, opening.start())
        yield token
        at = token.end
    if at < len(html):
        yield Token(Kind.TEXT, at, len(html))


def attributes(html: str, tag: Token) -> Mapping[str, str]:
    """Of a start tag: as in the document, entities and all; of those that are there twice, the first."""
    told: dict[str, str] = {}
    found = _NAMED.match(html, tag.start + 1)
    while found and (found := _SAID.match(html, found.end(), tag.end - 1)):
        value = found[3] or ""
        told.setdefault(found[1].lower(), value[1:-1] if value[:1] in {"'", '"'} else value)
    return told


def unescaped(html: str) -> str:
    """Text, or the value of an attribute, with its references decoded. Python's own refuses numbers of 4301 digits."""
    return unescape(_LONG_REFERENCE.sub(_short_reference, html))


def _short_reference(found: re.Match[str]) -> str:
    # The standard has this character for a number that is none of a character.
    return f"&#{found[1]}" if len(found[1]) <= _MOST_DIGITS else "&#xFFFD"


def token_at(html: str, start: int) -> Token:
    """The markup that begins with this `<`, were it none within a comment or a script."""
    if html[start + 1] in "!?":
        return _comment(html, start)
    if html[start + 1] != "/":
        return _element(html, start)
    if html[start + 2 : start + 3].isascii() and html[start + 2 : start + 3].isalpha():
        return _tag(html, Kind.END, start, start + 2)
    return _until(html, start, ">", start + 2)


def _comment(html: str, start: int) -> Token:
    if not html.startswith("<!--", start):
        return _until(html, start, ">", start + 2)
    token = _until(html, start, "-->", start + 4)
    # Browsers end these comments here, older engines only at the next "-->".
    early = html.startswith((">", "->"), start + 4) or html.find("--!>", start + 4, token.end) >= 0
    return _lost(html, start) if early else token


def _element(html: str, start: int) -> Token:
    tag = _tag(html, Kind.START, start, start + 1)
    if tag.name == "plaintext":
        return _lost(html, start)
    return _raw(html, tag) if tag.name in _RAW else tag


def _raw(html: str, tag: Token) -> Token:
    close = re.compile(rf"</{tag.name}[ \t\n\f\r/>]", re.IGNORECASE | re.ASCII).search(html, tag.end)
    if close is None:
        return _lost(html, tag.start)
    if tag.name == "script" and html.find("<!--", tag.end, close.start()) >= 0:
        # Inside of it the standard has scripts within scripts, and what looks like the end may be none.
        return _lost(html, tag.start)
    end = _tag(html, Kind.END, close.start(), close.start() + 2)
    return end if end.kind is Kind.LOST else Token(Kind.RAW, tag.start, end.end, tag.name)


def _tag(html: str, kind: Kind, start: int, name_at: int) -> Token:
    tag = _TAG.match(html, name_at)
    return Token(kind, start, tag.end(), tag[1].lower()) if tag else _lost(html, start)


def _until(html: str, start: int, end: str, search_from: int) -> Token:
    found = html.find(end, search_from)
    return _lost(html, start) if found < 0 else Token(Kind.COMMENT, start, found + len(end))


def _lost(html: str, start: int) -> Token:
    return Token(Kind.LOST, start, len(html))
