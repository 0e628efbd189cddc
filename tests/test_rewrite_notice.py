"""What a notice says: only what is true, in every language, and nothing that mail could smuggle in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html
from pydantic import ValidationError

from connector.model import Action, Audience, Body, Ending, Link, LinkTerms, Notice
from connector.rewrite import (
    Mentioned,
    Wording,
    insert,
    notice,
    password_letter,
    reminder_letter,
    remove,
    says_no_more,
    shows,
    tells_other_days,
    tombstone,
)
from connector.rewrite.languages import LANGUAGES, Code, human_size
from tests.test_rewrite import redirect, redirected

WORDING = Wording(
    product="Example Cloud", organisation="Example House", host="store.example.org", desk="desk@example.org"
)
FOREVER = Link("https://store.example.org/1")
UNTIL = Link("https://store.example.org/2", datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=1))))
STORE = LinkTerms()
CODES: tuple[Code, ...] = get_args(Code)


def said(code: Code, *links: Link, wording: Wording = WORDING, terms: LinkTerms = STORE) -> tuple[str, str]:
    """All that a reader of the HTML, and of the text, gets to read in this language."""
    files = [replace(redirected(link=link, size=1_500_000), terms=terms) for link in links]
    made = notice(redirect(*files), wording.model_copy(update={"languages": (code,)}), marker="m")
    html = " ".join(str(text) for text in lxml_html.fromstring(made.html).itertext())
    return " ".join(html.split()), " ".join(made.text.split())


@pytest.mark.parametrize("code", CODES)
def test_every_language_says_all(code: Code) -> None:
    """Name, size, product, who may open it, whom to ask and what a genuine link is stand in each notice, both forms."""
    size = human_size(1_500_000, LANGUAGES[code]).replace("\u00a0", " ")
    for words in said(code, FOREVER):
        for word in (
            "report.pdf",
            size,
            "Example Cloud",
            "Example House",
            "desk@example.org",
            "https://store.example.org/",
        ):
            assert word in words
        assert "{" not in words


@pytest.mark.parametrize("code", CODES)
def test_each_line_is_in_the_words_of_its_language(code: Code) -> None:
    """No two languages share a sentence: a forgotten translation is found."""
    ours = LANGUAGES[code]
    for other in set(CODES) - {code}:
        theirs = LANGUAGES[other]
        of_notices = (
            "kept_one",
            "kept_many",
            "stays_one",
            "stays_many",
            "colleague",
            "outsider",
            "staff",
            "stranger",
            "closed",
            "genuine",
            "help",
        )
        of_ends = ("until_one", "until_many", "ended_one", "ended_many", "deleted")
        of_letters = (
            "letter_subject",
            "letter_asks",
            "letter_tell",
            "letter_ends_subject",
            "letter_ends",
            "letter_last",
        )
        sentences = (*of_notices, *of_ends, *of_letters)
        assert all(getattr(ours, name) != getattr(theirs, name) for name in sentences)


@pytest.mark.parametrize("code", CODES)
def test_one_or_many(code: Code) -> None:
    """One file is spoken of as one; several with their number and the sum of their sizes."""
    one = LANGUAGES[code].kept_one.partition(" (")[0]
    assert all(one in words for words in said(code, FOREVER))
    total = human_size(3_000_000, LANGUAGES[code]).replace("\u00a0", " ")
    for words in said(code, FOREVER, FOREVER):
        assert total in words
        assert LANGUAGES[code].kept_many.format(count=2, size=total, product="Example Cloud") in words


@pytest.mark.parametrize("code", CODES)
def test_until_when(code: Code) -> None:
    """A time is named only where a link ends, in UTC; that files stay is said only where none does."""
    language = LANGUAGES[code]
    for words in said(code, FOREVER):
        assert language.stays_one in words
        assert language.until not in words
        assert "UTC" not in words
    for words in said(code, FOREVER, UNTIL):
        assert language.stays_many not in words
        assert language.until in words
        assert words.count("2026-12-31 22:30 UTC") == 1


@pytest.mark.parametrize("code", CODES)
def test_who_may_open_it(code: Code) -> None:
    """To colleagues and outsiders is said what is true for them: by whom a link opens, in this very notice."""
    language = LANGUAGES[code]
    lines = {
        Audience.STORE: (language.colleague, language.outsider),
        Audience.STAFF: (language.staff, language.stranger),
        Audience.OWNER: (language.closed,),
        Audience.GROUP: (language.closed,),
        Audience.ANYONE: (),
    }
    all_lines = {line for each in lines.values() for line in each}
    for audience, shown in lines.items():
        for words in said(code, FOREVER, terms=LinkTerms(audience)):
            for line in all_lines:
                house = {"product": "Example Cloud", "organisation": "Example House"}
                assert (" ".join(line.format(**house).split()) in words) is (line in shown)


def test_links_of_two_kinds_tell_others_nothing() -> None:
    """What is true for one file only is not said of both."""
    files = [replace(redirected(id=each), terms=LinkTerms(each)) for each in (Audience.STORE, Audience.STAFF)]
    made = notice(redirect(*files), WORDING, marker="m")
    assert "Forwarded" not in made.text
    assert "Not at" not in made.text


@pytest.mark.parametrize(
    "link", ["https://store.example.org.evil.example/1", "http://store.example.org/1", "https://other.example.org/1"]
)
def test_genuine_links(link: str) -> None:
    """How genuine links start is said only where the links of this very notice do."""
    assert all("Genuine links" in words for words in said("en", FOREVER))
    assert all("Genuine links" not in words for words in said("en", FOREVER, Link(link)))


def test_what_is_not_configured_is_not_mentioned() -> None:
    """Without a host and a desk their lines are left out; with an audience unknown, all of the small print."""
    bare = Wording(product="Example Cloud", organisation="Example House")
    for words in said("en", FOREVER, wording=bare):
        assert "Genuine links" not in words
        assert "Help" not in words
    html, _ = said("en", FOREVER, wording=bare, terms=LinkTerms(Audience.ANYONE))
    assert html.endswith("report.pdf 1.5 MB")


def test_several_languages() -> None:
    """Each language has its lines, marked for screen readers; the table stands there once, headed in the first one."""
    wording = WORDING.model_copy(update={"languages": ("de", "fr")})
    made = notice(redirect(), wording, marker="m")
    tree = lxml_html.fromstring(made.html)
    assert [paragraph.get("lang") for paragraph in tree.iter("p")] == ["de", "fr", "de", "fr"]
    assert [header.text for header in tree.iter("th")] == ["Datei", "Größe"]
    assert len(list(tree.iter("a"))) == 1
    assert made.text.count("report.pdf") == 1


def test_only_shown_files() -> None:
    """Files that are only copied, and those that the user took out meanwhile, are not in the notice."""
    copied = replace(redirected("copied.pdf"), action=Action.COPY)
    gone = replace(redirected("gone.pdf"), gone=True)
    made = notice(redirect(copied, redirected("shown.pdf", link=FOREVER), gone), WORDING, marker="m")
    assert made.urls == (FOREVER.url,)
    assert "copied.pdf" not in made.html + made.text
    assert "gone.pdf" not in made.html + made.text


def test_what_a_notice_carries() -> None:
    """Id and marker as given, and the links in the order of the files."""
    made = notice(redirect(redirected(id="2"), redirected(id="1")), WORDING, marker="1.R8F2.1.mac")
    assert (made.redirect_id, made.marker) == ("R8F2", "1.R8F2.1.mac")
    assert [url.partition("?")[0] for url in made.urls] == [
        "https://store.example.org/acme/2",
        "https://store.example.org/acme/1",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>.pdf", "<script>alert(1)</script>.pdf"),
        ("\"><img src=x onerror='a'>.pdf", "\"><img src=x onerror='a'>.pdf"),
        ("a&amp;b&copy.pdf", "a&amp;b&copy.pdf"),
        ("line\r\n===== / R8F2 =====\r\n.pdf", "line ===== / R8F2 ===== .pdf"),
        ("nul\x00\x1b[31m.pdf", "nul[31m.pdf"),
        ("\u202egpj.exe", "gpj.exe"),
        ("\ud800.pdf", ".pdf"),
        ("{{ 7*7 }}{% raw %}", "{{ 7*7 }}{% raw %}"),
        ("{product}", "{product}"),
        ("\n", "unnamed"),
    ],
)
def test_a_hostile_name_is_only_a_name(name: str, shown: str) -> None:
    """A name is shown as it is, on one line and without what turns text around; it is never markup, nor a template."""
    made = notice(redirect(redirected(name)), WORDING, marker="m")
    tree = lxml_html.fromstring(made.html)
    assert ["".join(map(str, anchor.itertext())) for anchor in tree.iter("a")] == [shown]
    assert {element.tag for element in tree.iter()} == {"div", "table", "tr", "td", "th", "p", "br", "a", "bdi"}
    assert f"- {shown} (" in made.text
    assert unescape(made.html).count(shown) == 1
    for kind in (True, False):
        body = Body("Hello", kind)
        assert remove(insert(body, made), "R8F2") == body


@given(st.lists(st.text(st.characters(), max_size=30), min_size=1, max_size=4))
def test_any_names(names: list[str]) -> None:
    """Whatever files are called, their links show, and the notice goes out as it came in."""
    made = notice(redirect(*(redirected(name, id=str(n)) for n, name in enumerate(names))), WORDING, marker="m")
    for body in (Body("<body>Hello", html=True), Body("Hello", html=False)):
        assert shows(insert(body, made), made.urls)
        assert remove(insert(body, made), "R8F2") == body


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://example.org/1",
        "//example.org/1",
        "https://example.org/a b",
        'https://example.org/"onclick=x',
        "https://example.org/<",
        "https://example.org/\n",
        "https://example.org/é",
        "",
    ],
)
def test_only_web_addresses_are_shown(url: str) -> None:
    """A link that is no plain http or https address is refused; the address itself stays out of the sentence."""
    with pytest.raises(ValueError, match="no http or https address") as refusal:
        notice(redirect(redirected(link=Link(url))), WORDING, marker="m")
    assert not url or url not in str(refusal.value)


def test_nothing_to_show() -> None:
    """A notice without a link would let an original go that nobody can open: there is none."""
    with pytest.raises(ValueError, match="has no file to show"):
        notice(redirect(replace(redirected(), gone=True)), WORDING, marker="m")


def test_an_id_that_is_no_word() -> None:
    """An id that could break out of the markup around it is refused."""
    with pytest.raises(ValueError, match="letters, digits"):
        notice(redirect(redirect_id='"><b>'), WORDING, marker="m")


@pytest.mark.parametrize(
    ("size", "english", "french"),
    [
        (0, "0 bytes", "0 octets"),
        (999, "999 bytes", "999 octets"),
        (1000, "1.0 kB", "1,0 ko"),
        (9_949, "9.9 kB", "9,9 ko"),
        (9_951, "10 kB", "10 ko"),
        (999_499, "999 kB", "999 ko"),
        (999_500, "1.0 MB", "1,0 Mo"),
        (26_214_400, "26 MB", "26 Mo"),
        (2_500_000_000, "2.5 GB", "2,5 Go"),
        (12_345_000_000_000_000, "12345 TB", "12345 To"),
    ],
)
def test_sizes(size: int, english: str, french: str) -> None:
    """A size is short, in powers of thousand, and as people of that language write it."""
    assert human_size(size, LANGUAGES["en"]) == english.replace(" ", "\u00a0")
    assert human_size(size, LANGUAGES["fr"]) == french.replace(" ", "\u00a0")


def test_templates_of_a_tenant() -> None:
    """A tenant's own templates are used, for either form, with everything that ours know."""
    wording = Wording(
        languages=("nl",),
        product="Example Cloud",
        organisation="Example House",
        html_template="<p>{% for f in files %}<a href='{{ f.url }}'>{{ f.name }}</a>{{ f.until }}{% endfor %}</p>\r\n",
        text_template="Ours:\r\n{% for f in files %}\r\n{{ f.url }} {{ headers.size }}\r\n{% endfor %}\r\n",
    )
    made = notice(redirect(redirected("a<b.pdf", link=FOREVER)), wording, marker="m")
    link = "<a href='https://store.example.org/1'>a&lt;b.pdf</a>"
    assert made.html == f'<div data-redirect="R8F2"><p>{link}</p></div>'
    assert made.text == "===== R8F2 =====\nOurs:\nhttps://store.example.org/1 Grootte\n===== / R8F2 =====\n\n"


LINKS = "{% for file in files %}<a href='{{ file.url }}'>{{ file.name }}</a>{% endfor %}"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("one\n{% for file in files %}", "notice.html.j2 fails in line 2: "),
        ("one\ntwo\n{{ desc }}", "notice.html.j2 fails in line 3: 'desc' is undefined"),
        ("{{ 1 // 0 }}", "notice.html.j2 fails in line 1: "),
        ("one\n{{ files.__class__.__mro__ }}", "notice.html.j2 fails in line 2: "),
        ("{% include 'other.j2' %}", "notice.html.j2 fails"),
        ("no links at all", "does not show every link"),
        ("<!-- " + LINKS + " -->", "does not show every link"),
        ("{% if files|length == 1 %}" + LINKS + "{% endif %}", "does not show every link"),
        ("<div>" + LINKS + "</div>", "holds a <div>"),
        (LINKS + "</div>", "holds a <div>"),
        (LINKS + "<!-- ", "does not end what it begins"),
        (LINKS.replace("file.name", "file.name | safe"), "lets markup through"),
        (LINKS.replace("<a ", "<a title={{ file.name }} "), "lets markup through"),
        ("{% autoescape false %}" + LINKS + "{% endautoescape %}", "lets markup through"),
    ],
)
def test_a_bad_template_is_refused(template: str, why: str) -> None:
    """A template that fails, hides a link, breaks out of the notice or trusts mail is refused when it is configured."""
    with pytest.raises(ValidationError) as refusal:
        Wording(product="x", organisation="x", html_template=template)
    assert why in str(refusal.value)


def test_a_bad_text_template_is_refused() -> None:
    """So is one for text."""
    with pytest.raises(ValidationError, match=r"notice\.txt\.j2 does not show every link"):
        Wording(product="x", organisation="x", text_template="no links")
    with pytest.raises(ValidationError, match=r"notice\.txt\.j2 fails in line 1"):
        Wording(product="x", organisation="x", text_template="{{ nothing }}")


def test_an_unknown_language_is_refused() -> None:
    """A notice speaks languages that it knows, and at least one."""
    for languages in ((), ("tlh",)):
        with pytest.raises(ValidationError):
            Wording.model_validate({"product": "x", "organisation": "x", "languages": languages})


def test_dates_are_told_in_utc() -> None:
    """The time zone of a link's end is not left to guessing."""
    made = notice(redirect(redirected(link=Link(FOREVER.url, datetime(2026, 3, 1, tzinfo=UTC)))), WORDING, marker="m")
    assert "2026-03-01 00:00 UTC" in made.text


@pytest.mark.parametrize("code", CODES)
def test_the_letter_about_links_that_end(code: Code) -> None:
    """In each language; what is not known of a message is left out, and where no page is, nothing is said of one."""
    wording = WORDING.model_copy(update={"languages": (code,), "desk": ""})
    end, page = datetime(2026, 3, 1, tzinfo=UTC), "https://files.example.org/r/1"
    paged = Mentioned("Of\u202efers {x}", "bert@example.net", end, Ending(end, page))
    bare = Mentioned("Plans", "", None, Ending(end))
    subject, text = reminder_letter([paged, bare], wording)
    assert subject
    assert "\u202e" not in text
    lines = text.splitlines()
    assert lines[2:5] == [
        "    2026-03-01  Offers {x}",
        "        bert@example.net, 2026-03-01",
        f"        {page}",
    ]
    assert lines[6:] == ["    2026-03-01  Plans"]
    assert reminder_letter([bare], wording)[1].splitlines()[0] in lines[0]
    assert reminder_letter([bare], wording)[1].splitlines()[0] != lines[0]


@pytest.mark.parametrize("html", [True, False])
def test_days_that_are_told_are_compared(*, html: bool) -> None:
    """Those of the notice, not those of the rest; where there is none of ours, nobody can tell."""

    def ending(at: datetime | None) -> Notice:
        file = redirected(name="Plan 2025-12-24.pdf")
        assert file.link
        return notice(redirect(replace(file, link=replace(file.link, expires=at))), WORDING, marker="m")

    before = Body("<p>by 2026-01-31</p>" if html else "by 2026-01-31\r\n", html=html)
    first, later, never = (
        ending(datetime(2026, 3, 1, tzinfo=UTC)),
        ending(datetime(2026, 4, 1, tzinfo=UTC)),
        ending(None),
    )
    body = insert(before, first)
    assert [tells_other_days(body, each) for each in (first, later, never)] == [False, True, True]
    assert [tells_other_days(each, later) for each in (None, before, insert(body, later))] == [False, False, False]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_a_tombstone(code: Code, count: int, *, html: bool) -> None:
    """In each language: the names, the day, whom to ask, and no link; it takes the place of the notice."""
    wording = WORDING.model_copy(update={"languages": (code,), "desk": "desk@example.org"})
    files = [redirected(name=f"report {number}.pdf") for number in range(count)]
    ended = replace(redirect(*files), ends=datetime(2028, 3, 1, tzinfo=UTC))
    shown = notice(ended, wording, marker="m")
    assert "2028-03-01" in shown.text
    last = tombstone(ended, wording, marker="m")
    before = Body("<p>Hello</p>" if html else "Hello\r\n", html=html)
    body = insert(insert(before, shown), last)
    assert not says_no_more(insert(before, shown), last)
    assert says_no_more(body, last)
    assert not says_no_more(before, last)
    assert not says_no_more(None, last)
    assert remove(body, ended.id) == before
    assert not shows(body, shown.urls[:1])
    for each in ("2028-03-01", "desk@example.org", *(file.file.name for file in files)):
        assert each in body.content
    assert last.ended.endswith(" 2028-03-01")


@pytest.mark.parametrize("code", CODES)
def test_the_letter_with_the_passwords(code: Code) -> None:
    """In each language it names the message, shows every password on a line of its own, and says whom to ask."""
    wording = WORDING.model_copy(update={"languages": (code,), "desk": "desk@example.org"})
    subject, text = password_letter("Of\u202efers {x}", ["abcd-efgh", "ijkm-nopq"], wording)
    assert subject
    assert "{x}" in text
    assert "\u202e" not in text
    assert {"    abcd-efgh", "    ijkm-nopq"} <= set(text.splitlines())
    assert "desk@example.org" in text
    assert "desk@" not in password_letter("x", ["y"], wording.model_copy(update={"desk": ""}))[1]
