"""Notices, and how they get into a body and out again without changing one character of the rest.

A body is Unicode: EWS and Graph hand it out decoded, whatever charset the message has. Bodies are hostile input: they
are cut into tokens, never parsed and written again, and nothing here is slower than linear.
"""

import re
from collections.abc import Collection

from connector.model import Body, Notice
from connector.rewrite import markup, text
from connector.rewrite.form import Form, unseen
from connector.rewrite.letter import Mentioned, held_letter, password_letter, reminder_letter
from connector.rewrite.wording import House, Wording, notice, tombstone, try_templates

__all__ = [
    "House",
    "Mentioned",
    "Wording",
    "held_letter",
    "insert",
    "notice",
    "password_letter",
    "reminder_letter",
    "remove",
    "says_no_more",
    "shows",
    "tells_other_days",
    "tombstone",
    "try_templates",
]

#: As notices write a day, in all languages.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def insert(body: Body | None, notice: Notice) -> Body:
    """Put the notice where a reader sees it first; one of the same redirect is replaced where it stands.

    Doing it twice is doing it once. Afterwards `shows(body, notice.urls)` holds, whatever the body is.
    Where there is no body, the notice is the body, in HTML.
    """
    body = body or Body("", html=True)
    form = _form(body)
    fragment = _said(notice, body).replace("\n", _line_end(body.content))
    at = form.place(body.content)
    start, end = form.extent(body.content, notice.redirect_id) or (at, at)
    return Body(body.content[:start] + fragment + body.content[end:], body.html)


def remove(body: Body, redirect_id: str) -> Body:
    """Take out what `insert` put in, to the character; notices of other redirects and quoted ones stay."""
    start, end = _form(body).extent(body.content, redirect_id) or (0, 0)
    return Body(body.content[:start] + body.content[end:], body.html)


def shows(body: Body | None, urls: Collection[str]) -> bool:
    """Whether a reader sees every one of these links: in HTML as live `<a href>`, in text as a word of its own."""
    return not (unseen(urls, body.content, _form(body)) if body else urls)


def standing(body: Body | None, redirect_id: str) -> Body | None:
    """The notice of this redirect as it stands in the body; None where it does not."""
    extent = _form(body).extent(body.content, redirect_id) if body else None
    return Body(body.content[slice(*extent)], body.html) if body and extent else None


def tells_other_days(body: Body | None, notice: Notice) -> bool:
    """Whether the notice of this redirect stands in the body, and tells other days than it should: an older end, say.

    Where somebody's client has dissolved it in the rest of the text, nobody can tell.
    """
    ours = standing(body, notice.redirect_id)
    return ours is not None and set(_DAY.findall(ours.content)) != set(_DAY.findall(_said(notice, ours)))


def says_no_more(body: Body | None, tombstone: Notice) -> bool:
    """Whether the notice of this redirect stands in the body, and shows no link that its tombstone does not show."""
    ours = standing(body, tombstone.redirect_id)
    if ours is None:
        return False
    links = _form(ours).links
    return set(links(_said(tombstone, ours))).issuperset(links(ours.content))


def _said(notice: Notice, body: Body) -> str:
    return notice.html if body.html else notice.text


def _form(body: Body) -> Form:
    return markup if body.html else text


def _line_end(content: str) -> str:
    return "\n" if "\n" in content and "\r\n" not in content else "\r\n"
