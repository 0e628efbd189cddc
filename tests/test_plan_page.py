"""The page of a plan: whole by itself, safe whatever mail says, and open to everybody in a real browser."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from connector.plan.page import page
from connector.plan.tables import told
from connector.policy import Policy
from connector.sources.memory import Attached, MemoryMailbox
from tests.browser import Browser
from tests.test_plan_looks import ALL, REPORT, people, plan_of
from tests.world import START

HOSTILE = "'\"><script>document.title='owned'</script><img src=//evil.example/x>\u202egpj.exe"


class Read(HTMLParser):
    """All tags of a page, with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def html(tmp_path: Path) -> str:
    """A month of eight people's mail, by name, with hostile senders, files and rules; and another policy."""
    mailboxes = [*people(7), MemoryMailbox("rechnung@example.org", "robot")]
    for number, each in enumerate(mailboxes):
        for day in range(number, 28, 3):
            files = (REPORT, Attached(f"{HOSTILE}.pdf", b"%PDF" * 900), Attached("a.exe", b"MZ" * 3_000))
            each.deliver(*files, sender=f"eve@{HOSTILE}", received=START - timedelta(days=day))
    rules = [
        {"name": HOSTILE, "when": {"true_type": "executable"}, "action": "hold"},
        {"name": "small", "when": {"size_under": "5 kB"}, "action": "copy"},
        {"name": "all", "action": "redirect"},
    ]
    policy = Policy.model_validate({"rules": rules})
    departments = {each.address: HOSTILE for each in mailboxes}
    plan = plan_of(
        tmp_path, *mailboxes, policy=policy, other=lambda watch: replace(watch, policy=ALL), departments=departments
    )
    return page([told(plan, named=True)])


def test_what_mail_says_is_only_text(html: str) -> None:
    """No tag, attribute or change of direction of a sender, a file or a rule gets through; all of it is shown."""
    read = Read(html)
    allowed = {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "header",
            "footer",
            "section",
            "h1",
            "h2",
            "p",
            "ul",
        ),
        *("li", "b", "code", "pre", "div", "span", "figure", "figcaption", "svg", "rect", "line", "table", "thead"),
        *("tbody", "tr", "th", "td"),
    }
    assert {tag for tag, _ in read.tags} <= allowed
    assert not any(name.startswith("on") or name in ("src", "href") for _, found in read.tags for name in found)
    assert "<script>document.title='owned'</script>" in read.text
    assert "\u202e" not in html


def test_nothing_of_it_comes_from_elsewhere(html: str) -> None:
    """No address stands in it where a browser would fetch it, and its own policy forbids it besides."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    assert not re.search(r"url\(|@import|&", style[1])
    policies = [
        found["content"] for tag, found in Read(html).tags if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_bars_are_as_long_as_what_they_stand_for(tmp_path: Path) -> None:
    """The longest of a table fills its place; a day without mail has no column."""
    one, two = people(2)
    one.deliver(Attached("big.bin", bytes(100_000)), received=START - timedelta(days=9))
    two.deliver(Attached("half.txt", bytes(50_000)), received=START - timedelta(days=2))
    read = Read(page([told(plan_of(tmp_path, one, two), named=True)]))
    bars = [found for tag, found in read.tags if tag == "rect"]
    columns = [(float(each["x"] or 0), float(each["height"] or 0)) for each in bars if "x" in each]
    assert [round(x) for x, _ in columns] == [0, 630]
    assert [round(height, 1) for _, height in columns] == [140, pytest.approx(70.2, abs=0.2)]
    assert {each["width"] for each in bars if "x" not in each} >= {"100.0", "50.1"}


def test_people_can_read_it(html: str, scripted_browser: Browser, axe: str, tmp_path: Path) -> None:
    """On a screen and on a phone, light and dark: nothing is wider than the page, and axe finds nothing."""
    file = tmp_path / "plan.html"
    file.write_text(html, encoding="utf-8")
    try:
        for width in (1200, 390):
            for dark in (False, True):
                scripted_browser.dress(width=width, dark=dark)
                scripted_browser.driver.get(file.as_uri())
                wide = scripted_browser.driver.execute_script("return document.documentElement.scrollWidth")
                assert (wide, scripted_browser.violations(axe)) == (width, [])
                assert scripted_browser.driver.title == "Plan: acme"
    finally:
        scripted_browser.dress()


def test_of_few_people_it_says_that(tmp_path: Path) -> None:
    """And no number."""
    mailboxes = people(6)
    mailboxes[0].deliver(REPORT)
    text = Read(page([told(plan_of(tmp_path, *mailboxes), named=False)])).text
    assert "Of fewer than five people nothing more is told" in text
    assert "15.0 kB" not in text
