"""Names for the store: safe everywhere, distinct, and one part each in the folder template."""

import re
import time
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.model import PathWord
from connector.names import LONGEST, NAMELESS, check_template, composed, distinct, folder, plain, safe_name

WORDS: Mapping[PathWord, str] = {
    "tenant": "acme",
    "mailbox": "anna@example.org",
    "year": "2026",
    "month": "02",
    "date": "2026-02-28",
    "sender": "bob@example.org",
    "subject": "Re: offer 1/2",
    "id": "R8F2",
}
#: Text as mail may hold it, broken code points included, and much of what stores dislike.
HOSTILE = st.text(
    st.characters() | st.sampled_from('<>:"/\\|?* .\0\n\u202e\u200b\ud800\uffff\u00a0e\u0301'), max_size=300
)
DEVICES = st.sampled_from(
    ["con", "NUL", "Com1", "lpt9", "COM¹", "conin$", "aux .txt", "a.part", "A.FilePart", "a.tmp", ".htaccess"]
)
NAMES = (
    HOSTILE | DEVICES | st.builds(lambda stem, times: stem * times + ".pdf", st.text(max_size=5), st.integers(0, 90))
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("Ünïcode, 報告.pdf", "Ünïcode, 報告.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\boot.ini", "C__boot.ini"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
        ("line\nbreak\x00.pdf", "line break.pdf"),
        ("\u202egpj.exe", "gpj.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("broken\ud800\uffff", "broken"),
        ("e\u0301.txt", "\u00e9.txt"),
        (" .hidden. ", "hidden"),
        (".htaccess", "htaccess"),
        ("upload.PART", "upload_PART"),
        ("upload.filepart", "upload_filepart"),
        ("part", "part"),
        ("CON", "_CON"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("nul .txt", "_nul .txt"),
        ("LPT².doc", "_LPT².doc"),
        ("console.log", "console.log"),
        ("", NAMELESS),
        ("...", NAMELESS),
        ("\u202e\n", NAMELESS),
    ],
)
def test_safe_name(name: str, safe: str) -> None:
    """What one store or system refuses is replaced; every other name stays as it is."""
    assert safe_name(name) == safe


@given(NAMES)
def test_a_safe_name_is_safe(name: str) -> None:
    """Whatever comes in: one part, short, whole characters, NFC, and safe again."""
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= LONGEST
    assert unicodedata.is_normalized("NFC", safe)
    assert not set(safe) & set('<>:"/\\|?*')
    assert not {unicodedata.category(char) for char in safe} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert safe == safe.strip(" .")
    assert not safe.lower().endswith((".part", ".filepart", ".tmp"))
    assert safe_name(safe) == safe


@pytest.mark.parametrize("stem", ["x", "é", "報", "😀"])
def test_a_long_name_keeps_its_extension(stem: str) -> None:
    """A name is cut between characters and before its extension; something long behind a dot is no extension."""
    cut = safe_name(stem * 300 + ".xlsx")
    assert set(cut.removesuffix(".xlsx")) == {stem}
    assert LONGEST - 4 < len(cut.encode()) <= LONGEST
    assert len(safe_name("a." + stem * 300).encode()) <= LONGEST


def test_a_cut_leaves_no_dot_before_the_extension() -> None:
    """What the cut leaves ends neither in a dot nor in a space."""
    assert safe_name("a" + "." * 300 + "pdf") == "a.pdf"


def test_plain_may_be_empty() -> None:
    """Text for people: one line, nothing invisible, and nothing invented where nothing is left."""
    assert plain(" two\r\n lines\u202e ") == "two lines"
    assert plain("\u200b\x07") == ""


def test_distinct() -> None:
    """Equal names are numbered in their order, also those that differ in case or in how they spell an accent only."""
    assert distinct(["a.pdf", "b.pdf", "A.pdf", "a.pdf", "a (2).pdf"]) == (
        "a.pdf",
        "b.pdf",
        "A (2).pdf",
        "a (3).pdf",
        "a (2) (2).pdf",
    )
    assert distinct(["e\u0301", "É"]) == ("é", "É (2)")
    assert distinct([]) == ()


@given(st.lists(NAMES | st.sampled_from(["a", "A", "a (2)", "x" * 300, "X" * 300 + ".pdf"]), max_size=12))
def test_distinct_names_are_safe_and_distinct(names: list[str]) -> None:
    """One name for each; none is another's for a store that ignores case; all are safe."""
    given_out = distinct(names)
    assert len(given_out) == len(names)
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in given_out}) == len(names)
    assert all(safe_name(name) == name for name in given_out)


#: What combines, in no order; also where it is written as one, or looks like a letter.
MARKS = st.text(st.sampled_from("\u0301\u0316\u0323\u0344\u0345\u0f73\u0653\u093c"), min_size=1, max_size=9)


@settings(deadline=None, max_examples=50)
@given(st.lists(HOSTILE | MARKS.map(lambda marks: marks * 99) | st.sampled_from("eé각ᄀ漢"), max_size=6))
def test_composed_is_what_unicode_says(parts: list[str]) -> None:
    """However much combines with one letter: the same text as the slow way."""
    text = "".join(parts)
    assert composed(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f73"])
def test_no_text_is_slow_to_compose(marks: str) -> None:
    """Python alone would take several times as long as is allowed here, and no other thread would run."""
    began = time.process_time()
    composed("a" + marks * (300_000 // len(marks)))
    assert time.process_time() - began < 5


@pytest.mark.timeout(20)
def test_distinct_of_many_equal_names() -> None:
    """Thousands of files of one name do not cost the square of their number."""
    assert distinct(["a.pdf"] * 20_000)[-1] == "a (20000).pdf"


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{id}", "R8F2"),
        ("{tenant}/{mailbox}/{year}/{month}/{id}", "acme/anna@example.org/2026/02/R8F2"),
        ("mail {year}-{month}/{date} {id}", "mail 2026-02/2026-02-28 R8F2"),
        ("{subject}/{sender}-{id}", "Re_ offer 1_2/bob@example.org-R8F2"),
        ("{{{id}}}", "{R8F2}"),
    ],
)
def test_folder(template: str, path: str) -> None:
    """A template is filled in; a slash in a subject adds no level."""
    assert folder(check_template(template), WORDS) == path


@given(st.fixed_dictionaries(dict.fromkeys(WORDS, NAMES)))
def test_no_word_leaves_its_part(words: Mapping[PathWord, str]) -> None:
    """Whatever stands in the words: as many parts as the template has, each a safe name, and the id in the last."""
    path = folder(check_template("{tenant}/{mailbox}/{subject}/{sender} {subject} {id}"), {**words, "id": "R8F2"})
    parts = path.split("/")
    assert len(parts) == 4
    assert all(safe_name(part) == part for part in parts)
    assert "R8F2" in parts[-1]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "neither starts nor ends with '/'"),
        ("/{id}", "neither starts nor ends with '/'"),
        ("{id}/", "neither starts nor ends with '/'"),
        ("a//{id}", "a name between any two"),
        ("{tenant}", "the last part of a store path holds {id}"),
        ("{id}/{tenant}", "the last part of a store path holds {id}"),
        ("../{id}", "'..' in a store path is no name that every store can keep"),
        ("./{id}", "no name that every store can keep"),
        ("nul/{id}", "no name that every store can keep"),
        ("a\\{id}", "no name that every store can keep"),
        ("{id}.part", "no name that every store can keep"),
        (" {id}", "no name that every store can keep"),
        ("{day}/{id}", "it may hold {tenant}, {mailbox}"),
        ("{}/{id}", "it may hold {tenant}"),
        ("{id.__class__}", "it may hold {tenant}"),
        ("{id[0]}", "it may hold {tenant}"),
        ("{id!r}", "it may hold {tenant}"),
        ("{id:>9}", "it may hold {tenant}"),
        ("{id", "expected '}'"),
        ("{sender}{subject}{tenant}{id}", "is too long: at most 3 words"),
        ("a fixed text of some length {id}", "is too long: at most 3 words and 20 bytes"),
    ],
)
def test_a_bad_template_is_refused(template: str, why: str) -> None:
    """Every mistake in a template is told in a sentence before a byte is written."""
    with pytest.raises(ValueError, match=re.escape(why)):
        check_template(template)
