"""The notice: what a message says in place of its attachments. Everything that comes from mail is escaped."""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from jinja2 import Environment, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, model_validator

from connector.model import Action, Audience, File, Link, LinkTerms, Notice, Redirect, RedirectedFile, Stored
from connector.names import NAMELESS, plain
from connector.rewrite import markup, text
from connector.rewrite.form import Form, unseen
from connector.rewrite.languages import LANGUAGES, Code, Language, human_size
from connector.rewrite.tokens import Kind, attributes, tokens
from connector.templates import sandbox, templates

#: What may stand in a URL, so that it stays one word in a text and one value in an attribute.
_URL = re.compile(r"https?://[!#-;=?-~]+")
_ID = re.compile(r"[A-Za-z0-9_-]+")
HOUSE = {"product", "organisation", "host", "desk"}
#: What the sample names try to smuggle in, as a tag or as an attribute.
_HOSTILE = "x-hostile"


class House(BaseModel):
    """What notices say of a tenant, and their form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: str = Field(description="what people call the store", min_length=1)
    organisation: str = Field(description="the name of the house, for outsiders", min_length=1)
    host: str = Field(default="", description="host of every genuine link; left out where it is empty")
    desk: str = Field(default="", description="whom to ask for help; left out where it is empty")
    html_template: str | None = Field(default=None, description="text of a template in place of our notice.html.j2")
    text_template: str | None = Field(default=None, description="text of a template in place of our notice.txt.j2")


class Wording(House):
    """How a tenant's notices speak. Templates that fail, or do not show every link, are refused when it is built."""

    languages: tuple[Code, ...] = Field(default=("en",), description="of the notice, in this order", min_length=1)

    @model_validator(mode="after")
    def _templates_work(self) -> Self:
        try_templates(self)
        return self


def try_templates(wording: Wording) -> None:
    """Raises ValueError where a template fails, does not show every link, or lets markup through."""
    for files in _SAMPLES:
        html, _ = _rendered("sample", files, wording)
        tags = [token for token in tokens(html) if token.kind is Kind.START]
        if any(tag.name == _HOSTILE or _HOSTILE in attributes(html, tag) for tag in tags):
            raise ValueError("the template notice.html.j2 lets markup through that stands in the name of a file")


def notice(redirect: Redirect, wording: Wording, *, marker: str) -> Notice:
    """What to put into the message of this redirect, whose shown files are stored and have links.

    Raises ValueError where a link is not http(s), nothing is to be shown, or a tenant's template fails.
    """
    if _ID.fullmatch(redirect.id) is None:
        raise ValueError("the id of a redirect holds letters, digits, '-' and '_' only")
    if not redirect.shown:
        raise ValueError(f"redirect {redirect.id} has no file to show")
    # What outlives its message stays as long as that does, whatever else is said.
    ends = None if redirect.outlives else redirect.ends
    html, plain_text = _rendered(redirect.id, _in_order(redirect.shown), wording, ends=ends)
    urls = tuple(_link(file).url for file in redirect.shown)
    return Notice(redirect_id=redirect.id, marker=marker, html=html, text=plain_text, urls=urls)


def tombstone(redirect: Redirect, wording: Wording, *, marker: str) -> Notice:
    """What to put in the place of the notice where the retention of this redirect has ended: names, but no links.

    It is always of our own template. Of a redirect that has an end.
    """
    assert redirect.ends is not None
    html, plain_text = _rendered(redirect.id, _in_order(redirect.shown), wording, ends=redirect.ends, over=True)
    ended = f"{LANGUAGES[wording.languages[0]].deleted} {day(redirect.ends)}"
    return Notice(redirect_id=redirect.id, marker=marker, html=html, text=plain_text, urls=(), ended=ended)


def _in_order(files: Sequence[RedirectedFile]) -> Sequence[RedirectedFile]:
    """As in the message; but what others were found inside comes last: those are what a reader wants."""
    packed = {each.inside for each in files}
    return sorted(files, key=lambda each: each.path in packed)


class _Kind(NamedTuple):
    """How one kind of body gets its notice."""

    form: Form
    template: str
    ours: Environment
    #: For templates of tenants.
    theirs: SandboxedEnvironment


class _Row(NamedTuple):
    """What a template may say about one file."""

    name: str
    size: str
    #: "" where it was deleted.
    url: str
    #: "" where the link never ends.
    until: str


class _Lines(NamedTuple):
    """What a template may say in one language."""

    lang: str
    owner: list[str]
    #: For colleagues and outsiders, and whom to ask.
    others: list[str]


def _rendered(
    redirect_id: str,
    files: Sequence[RedirectedFile],
    wording: Wording,
    *,
    ends: datetime | None = None,
    over: bool = False,
) -> tuple[str, str]:
    """The notice as HTML and as text; `over`: its tombstone, whose files had time until `ends`."""
    first = LANGUAGES[wording.languages[0]]
    words = {
        "files": [_row(file, first, over=over) for file in files],
        "headers": first,
        "lines": [_lines(code, files, wording, ends, over=over) for code in wording.languages],
        "expiring": not over and _expiring(files),
        **wording.model_dump(include=HOUSE),
    }
    # A template of a tenant's own was tried with links only.
    html = _fragment(_HTML, None if over else wording.html_template, redirect_id, words)
    return html, _fragment(_TEXT, None if over else wording.text_template, redirect_id, words)


def _row(file: RedirectedFile, language: Language, *, over: bool) -> _Row:
    if over:
        return _Row(plain(file.file.name) or NAMELESS, human_size(_size(file), language), "", "")
    link = _link(file)
    until = f"{link.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if link.expires else ""
    return _Row(plain(file.file.name) or NAMELESS, human_size(_size(file), language), link.url, until)


def _link(file: RedirectedFile) -> Link:
    assert file.link is not None
    if _URL.fullmatch(file.link.url) is None:
        raise ValueError("a link that the store gave is no http or https address in printable ASCII")
    return file.link


def _size(file: RedirectedFile) -> int:
    assert file.stored is not None
    return file.stored.size


def _expiring(files: Sequence[RedirectedFile]) -> bool:
    return any(_link(file).expires for file in files)


def day(at: datetime) -> str:
    """A day as all languages write it."""
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def _lines(
    code: Code, files: Sequence[RedirectedFile], wording: Wording, ends: datetime | None, *, over: bool
) -> _Lines:
    language = LANGUAGES[code]
    facts = {
        "count": len(files),
        "size": human_size(sum(map(_size, files)), language),
        "day": day(ends) if ends else "",
        **wording.model_dump(include=HOUSE),
    }
    help_lines = (language.help,) if wording.desk else ()
    owner = _of_tombstone(language, files) if over else _for_owner(language, files, ends)
    others = help_lines if over else (*_for_others(language, files, wording), *help_lines)
    return _Lines(code, [line.format_map(facts) for line in owner], [line.format_map(facts) for line in others])


def _of_tombstone(language: Language, files: Sequence[RedirectedFile]) -> Iterator[str]:
    yield language.ended_one if len(files) == 1 else language.ended_many


def _for_owner(language: Language, files: Sequence[RedirectedFile], ends: datetime | None) -> Iterator[str]:
    one = len(files) == 1
    yield language.kept_one if one else language.kept_many
    if ends:
        yield language.until_one if one else language.until_many
    elif not _expiring(files):
        yield language.stays_one if one else language.stays_many


def _for_others(language: Language, files: Sequence[RedirectedFile], wording: Wording) -> Iterator[str]:
    audiences = frozenset(file.terms.audience for file in files)
    for kinds, lines in _OTHERS:
        if audiences <= kinds:
            yield from lines(language)
    if wording.host and all(_link(file).url.startswith(f"https://{wording.host}/") for file in files):
        yield language.genuine


def _fragment(kind: _Kind, source: str | None, redirect_id: str, words: Mapping[str, Any]) -> str:
    fragment = kind.form.wrapped(redirect_id, _filled(kind, source, words))
    if source is not None:  # Ours is whole, whatever the words are.
        _require_whole(kind, fragment, redirect_id, words)
    return fragment


def _require_whole(kind: _Kind, fragment: str, redirect_id: str, words: Mapping[str, Any]) -> None:
    links = {row.url for row in words["files"] if row.url}
    if unseen(links, fragment, kind.form) or kind.form.extent(fragment, redirect_id) != (0, len(fragment)):
        raise ValueError(
            f"the template {kind.template} does not show every link, holds a <div>, or does not end what it begins"
        )


def _filled(kind: _Kind, source: str | None, words: Mapping[str, Any]) -> str:
    try:
        template = kind.ours.get_template(kind.template) if source is None else kind.theirs.from_string(source)
        return template.render(words).strip()
    except Exception as error:  # a template of a tenant may raise whatever it likes
        raise ValueError(f"the template {kind.template} fails{_line(error)}: {error}") from error


def _line(error: Exception) -> str:
    if isinstance(error, TemplateSyntaxError):
        return f" in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return f" in line {lines[-1]}" if lines else ""


def _sample(name: str, expires: datetime | None) -> RedirectedFile:
    return RedirectedFile(
        file=File(id="1", name=name, size=1),
        path="sample",
        action=Action.REDIRECT,
        rule="sample",
        terms=LinkTerms(),
        stored=Stored(path="sample", size=1, sha256=""),
        link=Link("https://example.org/?a=1&b=2", expires),
    )


#: Who is told what, by the audiences of a notice. To whoever may open a link by having it, there is nothing to say.
_OTHERS: tuple[tuple[frozenset[Audience], Callable[[Language], Sequence[str]]], ...] = (
    (frozenset({Audience.STORE}), lambda language: (language.colleague, language.outsider)),
    (frozenset({Audience.STAFF}), lambda language: (language.staff, language.stranger)),
    (frozenset({Audience.OWNER, Audience.GROUP}), lambda language: (language.closed,)),
)
_FOLDER = "rewrite/templates"
_HTML = _Kind(markup, "notice.html.j2", templates(_FOLDER), sandbox(_FOLDER))
_TEXT = _Kind(text, "notice.txt.j2", templates(_FOLDER, autoescape=False), sandbox(_FOLDER, autoescape=False))
_SAMPLES = (
    (_sample(f"a <{_HOSTILE}> {_HOSTILE}=1 \"{_HOSTILE}=2 '{_HOSTILE}=3 .pdf", None),),
    (_sample("a.pdf", None), _sample("b.pdf", datetime(2026, 1, 1, tzinfo=UTC))),
)
