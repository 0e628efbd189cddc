"""Pages as people see them: in their language, in the look of the house, without a line of JavaScript."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from connector.links.book import Offered, Publication
from connector.links.colours import for_dark
from connector.links.settings import Look, Sentence
from connector.links.words import WORDS, Words, moment
from connector.names import NAMELESS, plain, safe_name
from connector.rewrite.languages import LANGUAGES, Code, human_size
from connector.templates import templates

_TEMPLATES = templates("links/templates")
_KIND = re.compile(r"\.([A-Za-z0-9]{1,5})")
_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")
#: Of Accept-Language; what is longer is read so far.
_LONGEST_WISH = 500


class Text(NamedTuple):
    """A sentence of the house, and its language."""

    text: str
    lang: Code


class Row(NamedTuple):
    """What a page says of one file."""

    name: str
    #: The end of its name; "" where it tells no kind.
    kind: str
    size: str
    #: How often it can still be fetched; "" where that has no limit.
    left: str
    #: "" where it cannot be fetched any more.
    url: str
    first: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to open, and where."""

    publication: Publication
    #: The address of its page: `/a/TOKEN` or `/r/ID`.
    base: str
    #: How often each file can still be fetched, by its number; None where that has no limit.
    left: Mapping[int, int] | None
    expires: datetime | None
    #: The file that was asked for; None: all of them.
    wanted: int | None
    #: What its owner may do here; see the template.
    release: Mapping[str, Any] | None = None


class Pages:
    """All pages in one look."""

    def __init__(self, look: Look) -> None:
        """Reads the logo."""
        self._look = look
        self._logo = look.logo.read_bytes() if look.logo else b""
        #: Asked for by whoever guesses, so it costs nothing.
        self._gone: dict[Code, Response] = {}
        self.id = hashlib.sha256(look.model_dump_json().encode() + self._logo).hexdigest()[:16]

    def language(self, wishes: str) -> Code:
        """The language that a browser likes best (RFC 9110 section 12.5.4), of those that the look has."""
        for wish in _in_order(wishes[:_LONGEST_WISH]):
            for code in self._look.languages:
                if wish == code or wish.startswith(f"{code}-"):
                    return code
        return self._look.languages[0]

    @cached_property
    def style(self) -> Response:
        """The style sheet."""
        sheet = _TEMPLATES.get_template("look.css.j2").render(look=self._look, dark=for_dark(self._look.colour))
        return Response(sheet, media_type="text/css", headers=_LASTING)

    @cached_property
    def logo(self) -> Response | None:
        """The logo. Whatever a picture has in it, nothing of it runs."""
        if not self._logo:
            return None
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        return Response(self._logo, media_type=self._look.picture, headers={**_LASTING, **policy})

    def files(self, shown: Shown, lang: Code) -> Response:
        """The files of a publication; that which was asked for comes first."""
        words = WORDS[lang]
        publication = shown.publication
        wanted = next((each for each in publication.files if each.number == shown.wanted), None)
        others = [each for each in publication.files if each is not wanted]
        count = len(publication.files)
        return self._page(
            "files.html.j2",
            lang,
            words.file_one if wanted or count == 1 else words.file_many.format(count=count),
            sender=plain(publication.sender),
            sent=self._moment(publication.received, words),
            until=self._moment(shown.expires, words),
            wanted=self._row(wanted, shown, lang, first=True) if wanted else None,
            files=[self._row(each, shown, lang, first=count == 1) for each in others],
            archive=self._archive(shown, lang) if count > 1 else None,
            release=self._release(shown.release, words),
        )

    def password(self, lang: Code, *, problem: str = "", status: int = 200) -> Response:
        """The question for a password. `problem`: the name of the words that say why it is asked again."""
        words = WORDS[lang]
        said = getattr(words, problem) if problem else ""
        return self._page("password.html.j2", lang, words.lock_title, status=status, problem=said)

    def released(self, lang: Code, link: str, password: str, until: datetime, back: str) -> Response:
        """The link that an owner has made, once."""
        words = WORDS[lang]
        text = words.released_text.format(date=self._moment(until, words))
        return self._page(
            "released.html.j2", lang, words.released_title, text=text, link=link, password=password, back=back
        )

    def ended(
        self, lang: Code, publication: Publication, ended: datetime, form: Mapping[str, Any] | None = None
    ) -> Response:
        """To its owner: what was published has ended, and how it comes back: by a form, or by asking for it."""
        words = WORDS[lang]
        lines = [words.ended_text.format(date=self._moment(ended, words))]
        if form is None:
            lines.append(words.ended_ask.format(id=publication.id))
        return self._page("ended.html.j2", lang, words.ended_title, status=410, lines=lines, release=form)

    def gone(self, lang: Code) -> Response:
        """What nobody can tell from another: unknown, ended, or not for whoever asks."""
        if lang not in self._gone:
            self._gone[lang] = self._said(lang, "gone", status=404)
        return self._gone[lang]

    def limit(self, lang: Code) -> Response:
        """The download limit is reached."""
        return self._said(lang, "limit", status=403)

    def busy(self, lang: Code, status: int = 429) -> Response:
        """Too much at the same time."""
        answer = self._said(lang, "busy", status=status)
        answer.headers["Retry-After"] = "60"
        return answer

    def broken(self, lang: Code) -> Response:
        """The store does not hand the bytes out."""
        return self._said(lang, "broken", status=502)

    def login(self, lang: Code, again: str = "") -> Response:
        """Nobody is logged in: nobody can be; or it did not work, and may once more for the page at this address."""
        words = WORDS[lang]
        return self._page("login.html.j2", lang, words.login_title, status=403, lines=[words.login_text], again=again)

    def _said(self, lang: Code, what: str, *, status: int) -> Response:
        words = WORDS[lang]
        return self._message(lang, getattr(words, f"{what}_title"), [getattr(words, f"{what}_text")], status=status)

    def _message(self, lang: Code, title: str, lines: list[str], *, status: int) -> Response:
        return self._page("message.html.j2", lang, title, status=status, lines=lines)

    def _page(self, template: str, lang: Code, title: str, *, status: int = 200, **words: Any) -> Response:
        facts = {
            "lang": lang,
            "words": WORDS[lang],
            "look": self._look,
            "look_id": self.id,
            "title": title,
            "contact": _in(lang, self._look.contact),
            "footer": _in(lang, self._look.footer) if self._look.footer else None,
        }
        return HTMLResponse(_TEMPLATES.get_template(template).render(**facts, **words), status)

    def _row(self, file: Offered, shown: Shown, lang: Code, *, first: bool) -> Row:
        name = plain(file.name) or NAMELESS
        left = None if shown.left is None else shown.left[file.number]
        kind = _KIND.fullmatch(PurePosixPath(name).suffix)
        return Row(
            name=name,
            kind=kind[1].upper() if kind else "",
            size=human_size(file.size, LANGUAGES[lang]),
            left="" if left is None else _left(left, WORDS[lang]),
            url="" if left == 0 else f"{shown.base}/{file.number}/{quote(safe_name(name), safe='')}",
            first=first,
        )

    def _archive(self, shown: Shown, lang: Code) -> dict[str, str] | None:
        if shown.left is not None and 0 in shown.left.values():
            return None
        size = human_size(sum(each.size for each in shown.publication.files), LANGUAGES[lang])
        return {"url": f"{shown.base}/all.zip", "text": WORDS[lang].download_all.format(size=size)}

    def _release(self, release: Mapping[str, Any] | None, words: Words) -> Mapping[str, Any] | None:
        if release is None:
            return None
        standing = [
            {"hash": each.hash, "until": words.released_until.format(date=self._moment(each.expires, words))}
            for each in release["standing"]
        ]
        return {**release, "standing": standing}

    def _moment(self, at: datetime | None, words: Words) -> str:
        return moment(at, words, self._look.timezone) if at else ""


_LASTING = {"Cache-Control": "public, max-age=86400, immutable"}


def _left(count: int, words: Words) -> str:
    if count == 0:
        return words.left_none
    return words.left_one if count == 1 else words.left_many.format(count=count)


def _in(lang: Code, sentence: Sentence) -> Text:
    found = lang if lang in sentence else next(iter(sentence))
    return Text(sentence[found], found)


def _in_order(wishes: str) -> list[str]:
    """The languages of an Accept-Language, the dearest first; those that are refused are left out."""
    dear: list[tuple[float, str]] = []
    for wish in wishes.split(","):
        code, _, weight = wish.strip().lower().partition(";")
        said = _QUALITY.fullmatch(weight.strip())
        quality = float(said[1]) if said else 1.0
        if quality:
            dear.append((-quality, code.strip()))
    return [code for _, code in sorted(dear, key=lambda each: each[0])]
