"""What goes into a body, and out again: hostile HTML, plain text, look-alikes, quotes, and the time it takes."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.model import Action, Body, File, Link, Redirect, RedirectedFile, Stored
from connector.rewrite import Wording, insert, notice, remove, shows

NOW = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
WORDING = Wording(product="the store", organisation="Example")


def redirected(name: str = "report.pdf", size: int = 1, **changes: str | Link) -> RedirectedFile:
    """One file whose link can be shown."""
    path = f"acme/{changes.get('id', '1')}"
    link = changes.get("link", Link(f"https://store.example.org/{path}?a=1&copy=2"))
    assert isinstance(link, Link)
    return RedirectedFile(
        file=File(id="1", name=name, size=size + 77),
        path=path,
        action=Action.REDIRECT,
        rule="big",
        stored=Stored(path=path, size=size, sha256=""),
        link=link,
    )


def redirect(*files: RedirectedFile, redirect_id: str = "R8F2") -> Redirect:
    """A redirect whose files are linked; one file where none is given."""
    return Redirect(
        id=redirect_id,
        source="mailbox",
        item_id="1",
        internet_message_id="<1@example.org>",
        folder="acme",
        files=files or (redirected(),),
        settle=timedelta(0),
        created=NOW,
        due=NOW,
    )


NOTICE = notice(redirect(), WORDING, marker="m")
OTHER = notice(redirect(redirected("other.pdf", id="2"), redirect_id="OTHER"), WORDING, marker="m")

#: Documents; the notice is expected at «».
PLACES = [
    "<html><head></head><body>«»Hello</body></html>",
    '<BODY\r\n class="a>b" bgcolor=white >«»Hello',
    "«»Hello",
    "«»",
    "<!DOCTYPE html>\r\n<html><head><title>x</title></head>\r\n«»<p>Hello",
    "<?xml version='1.0'?><html xmlns:v='urn:v'><head/><meta charset=utf-8><body>«»",
    "«»<p>a banner</p><html><body>Hello</body></html>",
    "<html><body>«»one</body></html><html><body>two</body></html>",
    "<!-- <body> --><body>«»",
    "<head><style><!-- <body> --></style><script>'<body>'</script><title><body></title></head><body>«»",
    "<STYLE></styles><body></style ><body>«»",
    "<html><head><meta content='<body>'></head><body>«»",
    "<head>«»<noscript><body></noscript></head><body>",
    "<head>«»<template><body></template></head><body>",
    "«»<textarea><body></textarea>",
    "«»<div style='display:none'><body>",
    "«»<table><tr><td><body>",
    "<html>«»</html><body>",
    "<html><head></head>«»<frameset><frame src=x></frameset>",
    # Outlook's conditions: hidden from browsers, shown to browsers only, and open at the end.
    "<!--[if gte mso 9]><xml><body></xml><![endif]--><body>«»",
    "<![if !vml]><style>p{}</style><![endif]><body>«»<![if !vml]><p>",
    "<!--[if mso]><html class=mso><![endif]--><!--[if !mso]><!--><html><!--<![endif]--><body>«»",
    "<html><!--[if !mso]><!--><body>\n<!--<![endif]-->«»<p>",
    "<html>«»<!--[if !mso]><!--><body><p>Hello</p><!--<![endif]-->",
    "<html>«»<![if !mso]><meta name=a><![if x]><body>Hello",
    # What never ends, or ends elsewhere for another client, hides nothing of ours.
    "<html><head>«»<!-- <body>",
    "<html><head>«»<!--> <body> -->",
    "<html><head>«»<!---> <body> -->",
    "<html><head>«»<!-- --!> <body> -->",
    "<html><head>«»<title><body>",
    "<html><head>«»<title><body></title",
    "<html><head>«»<script><!-- <script></script><body> --></script>",
    "<html><head>«»<plaintext><body>",
    '<html>«»<body class="never closed>',
    "<html>«»<body class='never closed>",
    "<html>«»<body class=never-closed",
    "<html>«»<body",
    "<html>«»<!DOCTYPE",
    "<html></>«»",
    "<html></ head><body>«»",
    "<html><head>\n</head></meta></link>\n<body>«»</>",
    "«»\u00a0<body>",
    "\ufeff<!DOCTYPE html><html><body>«»",
    "«»< body><body>",
    "<body>«»<body>",
    "<body x = y z=a/b \"q='>'\">«»",
    "<body =x=1>«»",
    "<body a=>«»>",
]


@pytest.mark.parametrize("marked", PLACES)
def test_place(marked: str) -> None:
    """The notice is the first thing that a reader sees, in live markup, whatever stands around it."""
    before, behind = marked.split("«»")
    body = Body(before + behind, html=True)
    shown = insert(body, NOTICE)
    assert shown.content.startswith(before + '<div data-redirect="R8F2">')
    assert shown.content.endswith("</div>" + behind)
    assert remove(shown, "R8F2") == body


#: Pieces of documents, so that soup hits what tokenizers stumble over.
SOUP = st.lists(
    st.sampled_from(
        [
            "<", ">", "</", "<!", "<!--", "-->", "--!>", "--", "<!-->", "<![if !vml]>", "<![endif]>",
            "<!--[if mso]>", "<![endif]-->", "<!--[if !mso]><!-->", "<!--<![endif]-->", "<![CDATA[", "]]>",
            "<html>", "<head>", "</head>", "<body>", "<body ", "</body>", "</html>", "<meta>", "<title>", "</title>",
            "<style>", "</style>", "<script>", "</script>", "<textarea>", "<plaintext>", "<noscript>", "</noscript>",
            "<template>", "</template>", "<div>", "</div>", "<table>", "<p", "<a href=", '<a b="', "</a>", "<svg>",
            '"', "'", "=", "/", " ", "\r\n", "\n", "&nbsp;", "x", "\x00", "\ufeff", "é",
            '<div data-redirect="OTHER">', OTHER.html, f"<blockquote>{OTHER.html}</blockquote>", OTHER.text,
            '<div data-redirect="R8F', "data-redirect=R8F2", "===== R8F2", " =====", "R8F2", "\n===== OTHER =====\n",
        ]
    ),
    max_size=25,
).map("".join)  # fmt: skip
BODIES = st.builds(Body, SOUP | st.text(), st.booleans())


@given(BODIES)
def test_in_and_out(body: Body) -> None:
    """Whatever the body is: the links show, twice is once, and taking the notice out gives back every character."""
    once = insert(body, NOTICE)
    assert shows(once, NOTICE.urls)
    assert insert(once, NOTICE) == once
    assert remove(once, "R8F2") == body
    assert remove(body, "R8F2") == body


OURS = st.sampled_from([NOTICE.html, NOTICE.text, '<div data-redirect="R8F2">', "===== R8F2 =====\n"])


@given(st.builds(Body, st.lists(SOUP | OURS, max_size=4).map("".join), st.booleans()))
def test_one_that_is_there_already(body: Body) -> None:
    """Where a whole or a broken notice of this redirect stands somewhere: the links show, and twice is once."""
    once = insert(body, NOTICE)
    assert shows(once, NOTICE.urls)
    assert insert(once, NOTICE) == once


@given(BODIES)
def test_two_notices(body: Body) -> None:
    """Notices of two redirects do not touch each other."""
    both = insert(insert(body, OTHER), NOTICE)
    assert shows(both, (*NOTICE.urls, *OTHER.urls))
    assert remove(both, "R8F2") == insert(body, OTHER)
    assert remove(remove(both, "OTHER"), "R8F2") == remove(body, "OTHER")


@pytest.mark.parametrize("html", [True, False])
def test_a_notice_is_replaced_where_it_stands(html: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A new wording takes the place of the old one; what people wrote above it stays above."""
    old = insert(Body("<body>Hello" if html else "Hello", html), NOTICE)
    moved = Body(f"Look:\r\n{old.content}", html)
    new = notice(redirect(redirected("renamed.pdf")), WORDING, marker="m")
    replaced = insert(moved, new).content
    assert replaced.startswith("Look:")
    assert "renamed.pdf" in replaced
    assert "report.pdf" not in replaced


def test_a_quoted_notice_stays() -> None:
    """The notice of another message, quoted in an answer, is left alone: going in, going out, and as a text."""
    answer = Body(f"<body>Thanks!<blockquote>{OTHER.html}</blockquote>", html=True)
    assert OTHER.html in insert(answer, NOTICE).content
    assert remove(insert(answer, NOTICE), "R8F2") == answer
    quote = Body("Thanks!\n" + "".join(f"> {line}\n" for line in NOTICE.text.splitlines()), html=False)
    assert remove(quote, "R8F2") == quote
    assert insert(quote, NOTICE).content.endswith(quote.content)


@pytest.mark.parametrize(
    "planted",
    [
        '<div data-redirect="">Dear Anna</div>',
        "<div data-redirect>Dear Anna</div>",
        '<div data-redirect="R8F2x">Dear Anna</div>',
        '<div data-redirect="r8f2">Dear Anna</div>',
        '<p data-redirect="R8F2">Dear Anna</p>',
        "<div title=\"<div data-redirect='R8F2'>\">Dear Anna</div>",
        '<div id=1 id="R8F2" x="data-redirect=R8F2">Dear Anna</div>',
        '<!-- <div data-redirect="R8F2"> -->Dear Anna</div>',
        '<div data-redirect="R8F2">Dear <div>Anna</div></div>',
        '<div data-redirect="R8F2">Dear Anna',
        '</div data-redirect="R8F2">Dear Anna</div>',
        '<noscript><div data-redirect="R8F2">Dear Anna</div></noscript>',
    ],
)
def test_a_look_alike_is_not_ours(planted: str) -> None:
    """What only resembles our notice is never replaced and never removed."""
    body = Body(f"<html><body>{planted}</body></html>", html=True)
    assert planted in insert(body, NOTICE).content
    assert remove(body, "R8F2") == body
    assert remove(insert(body, NOTICE), "R8F2") == body


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ("<a href='https://example.org/?a=1&amp;b=2'>x</a>", True),
        ('<A class=b\nHREF = " https://example.org/?a=1&amp;b=2\r\n">x', True),
        ("<a href=https://example.org/?a=1&#38;b=2>", True),
        (f"<a href=https://example.org/?a=1&#{'0' * 5000}38;b=2>", True),
        (f"<a href='&#{'1' * 5000};'>x</a><a href='https://example.org/?a=1&amp;b=2'>x</a>", True),
        ("<a href='https://example.org/?a=1&amp;b=23'>", False),
        ("<a href=x href='https://example.org/?a=1&amp;b=2'>", False),
        ("https://example.org/?a=1&amp;b=2", False),
        ("<!--<a href='https://example.org/?a=1&amp;b=2'>-->", False),
        ("<style><a href='https://example.org/?a=1&amp;b=2'></style>", False),
        ("<script><a href='https://example.org/?a=1&amp;b=2'></script>", False),
        ("<title><a href='https://example.org/?a=1&amp;b=2'></title>", False),
        ("<textarea><a href='https://example.org/?a=1&amp;b=2'></textarea>", False),
        ("<template><noscript></noscript><a href='https://example.org/?a=1&amp;b=2'></template>", False),
        ("<noscript></noscript><a href='https://example.org/?a=1&amp;b=2'>", True),
        ("<b title=\"<a href='https://example.org/?a=1&amp;b=2'>\">", False),
        ("<a href='https://example.org/?a=1&amp;b=2", False),
        ("<plaintext><a href='https://example.org/?a=1&amp;b=2'>", False),
        ("<link href='https://example.org/?a=1&amp;b=2'>", False),
    ],
)
def test_shows_in_html(content: str, *, seen: bool) -> None:
    """A link counts where a reader can follow it, and with its exact address only."""
    assert shows(Body(content, html=True), ["https://example.org/?a=1&b=2"]) is seen


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ("see <https://example.org/a>", True),
        ("https://example.org/a\r\n", True),
        ("https://example.org/ab", False),
        ("xhttps://example.org/a", False),
        ("https://example.org/a.", False),
        ("", False),
    ],
)
def test_shows_in_text(content: str, *, seen: bool) -> None:
    """A link counts where its address stands as a word of its own."""
    assert shows(Body(content, html=False), ["https://example.org/a"]) is seen


def test_shows_all_or_nothing() -> None:
    """One link that is missing is enough; without a body no link shows."""
    body = Body("<a href=https://example.org/a>", html=True)
    assert not shows(body, ["https://example.org/a", "https://example.org/b"])
    assert not shows(None, ["https://example.org/a"])
    assert shows(None, [])


def test_no_body() -> None:
    """Where there is none, the notice is one, in HTML; an empty one keeps its kind. Taken out, nothing is left."""
    made = insert(None, NOTICE)
    assert made.html
    assert shows(made, NOTICE.urls)
    assert remove(made, "R8F2") == Body("", html=True)
    assert remove(insert(Body("", html=False), NOTICE), "R8F2") == Body("", html=False)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("html", [True, False])
def test_line_ends(line_end: str, html: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A notice has the line ends of the body around it."""
    content = insert(Body(f"one{line_end}two", html), NOTICE).content
    assert content.count("\n") == content.count(line_end)
    assert "\n" in content.replace("one", "", 1)


def test_a_server_that_changes_line_ends() -> None:
    """A notice is found again where the server wrote other line ends, or dropped the last ones."""
    crlf = insert(Body("one\r\ntwo", html=False), NOTICE).content
    assert remove(Body(crlf.replace("\r\n", "\n"), html=False), "R8F2").content == "one\ntwo"
    assert remove(Body(insert(Body("", html=False), NOTICE).content.strip(), html=False), "R8F2").content == ""


def test_a_text_notice_without_its_end_is_left() -> None:
    """Half a notice in a text is no notice: nothing that people wrote behind it is taken for it."""
    half = Body(NOTICE.text.partition("\n")[0] + "\nDear Anna", html=False)
    assert remove(half, "R8F2") == half


SLOW = [
    "<!--", "<", "</", "<!", '<a b="', "<a b='", "<a ", "<a b=", "<!-- -->", "<![if x]>", "<title>", "<title></title>",
    "<title></titl", "<script><!--", "<div data-redirect=R8F2>", "<div data-redirect=R8F2></div>", "<template>",
    "&amp;", "<a =", "<a/", "</title ", "<body ", "<head>",
]  # fmt: skip
SLOW_TEXT = ["===== R8F2 =====\n", "\n===== / R8F2 =====", "===== R8F2 =====", " ", "\r\n"]


@pytest.mark.parametrize(
    "body", [*map(Body, SLOW, [True] * len(SLOW)), *map(Body, SLOW_TEXT, [False] * len(SLOW_TEXT))]
)
def test_no_input_is_slow(body: Body) -> None:
    """Anything is done within some passes over it: the time grows with the size, not with its square."""

    def cost(size: int) -> float:
        big = Body(body.content * (size // len(body.content)), body.html)
        started = time.process_time()
        assert shows(insert(big, NOTICE), NOTICE.urls)
        remove(big, "R8F2")
        return time.process_time() - started

    # What else the processor has to do makes one of them dearer, but hardly three.
    assert any(cost(400_000) < max(8 * cost(100_000), 1) for _ in range(3))
