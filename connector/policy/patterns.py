"""Patterns over the text of messages. RE2 takes time in proportion to the text, whatever a pattern or a sender says."""

import re
from functools import lru_cache

import re2

from connector.model import Body
from connector.names import composed
from connector.rewrite.tokens import Kind, tokens, unescaped

#: Longer ones are lists of words, and those have a place in the list of values.
_LONGEST = 500
#: So much of a text is looked at, in characters; a book in a body is not worth a second of everybody's time.
_LOOKED_AT = 1_000_000
#: What a pattern may take; RE2 refuses one that wants more (repetitions of repetitions).
_MEMORY = 1024 * 1024
#: Between these stands no line end: `top <b>secret</b>` is one line.
_WITHIN_LINES = frozenset({"a", "b", "em", "font", "i", "mark", "s", "span", "strong", "sub", "sup", "u"})
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]++")


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re2._Regexp:
    """The pattern, in any case. Raises ValueError where RE2 does not know it."""
    if not pattern or len(pattern) > _LONGEST:
        raise ValueError(f"a pattern has 1 to {_LONGEST} characters; give several as a list")
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, _MEMORY
    try:
        return re2.compile(as_text(pattern), options)
    except re2.error as error:
        what = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(
            f"is no pattern that RE2 knows ({what}); it has no backreferences and no looking ahead or behind, "
            "since those can hang"
        ) from None


def found(pattern: str, text: bytes) -> bool:
    """Whether it matches anywhere in what `as_text` made."""
    return compiled(pattern).search(text) is not None


def as_text(text: str) -> bytes:
    """What patterns are matched with: accents are composed, and what is no Unicode becomes question marks."""
    return composed(text[:_LOOKED_AT]).encode("utf-8", "replace")


def shown(body: Body) -> bytes:
    """The text that a body shows."""
    return as_text(_without_markup(body.content[:_LOOKED_AT]) if body.html else body.content)


def _without_markup(html: str) -> str:
    parts = [
        html[token.start : token.end] if token.kind is Kind.TEXT else "\n"
        for token in tokens(html)
        if token.kind is Kind.TEXT or token.name not in _WITHIN_LINES
    ]
    return _BLANKS.sub(" ", unescaped("".join(parts)))
