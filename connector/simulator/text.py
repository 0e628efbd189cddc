"""HTML and plain text, turned into each other as roughly as it is enough for a simulator."""

import html
import re

_UNSEEN = re.compile(r"<!--.*?-->|<(style|script|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^>]*>|</(?:p|div|tr|li|h[1-6])\s*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def plain(markup: str) -> str:
    """What a reader would see of some HTML."""
    seen = _TAG.sub("", _BREAK.sub("\r\n", _UNSEEN.sub("", re.sub(r"\s+", " ", markup))))
    return "\r\n".join(line.strip() for line in html.unescape(seen).splitlines()).strip()


def markup(text: str) -> str:
    """HTML that shows some text."""
    lines = "<br>\r\n".join(html.escape(line) for line in text.splitlines())
    return f"<html><body><div>{lines}</div></body></html>"
