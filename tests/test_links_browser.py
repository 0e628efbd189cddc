"""The pages in Debian's Chromium, as people have them: on phones too, in the dark, without a line of JavaScript."""

import io
import os
import re
import socket
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from connector.links.words import WORDS
from connector.model import Audience
from tests.browser import Browser
from tests.links import ANNA, NOW, World, opened, until
from tests.servers import DavServer
from tests.test_links_site import NASTY

BYTES = os.urandom(300_000)
PARTS = {"Bericht 2026.pdf": BYTES, "Anlage.xlsx": b"sheet", "ohne Endung": b""}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, apache: DavServer) -> Iterator[World]:
    """A house in which each client has five lanes."""
    with opened(tmp_path_factory.mktemp("house"), apache, limits={"downloads_of_a_client": 5}) as made:
        yield made


@pytest.fixture
def browser(browser: Browser) -> Browser:
    """As it was at first."""
    browser.forget()
    browser.dress()
    return browser


def heading(browser: Browser) -> str:
    """What the page says it is."""
    return browser.driver.find_element(By.TAG_NAME, "h1").text


def send(browser: Browser, **fields: str) -> None:
    """Fill the form in, and send it."""
    for name, value in fields.items():
        field = browser.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)
    before = browser.driver.find_element(By.TAG_NAME, "html").id
    browser.driver.find_element(By.CSS_SELECTOR, "main form button").click()
    # Between two pages there is none, and the driver may stumble over that.
    another = WebDriverWait(browser.driver, 20, ignored_exceptions=[WebDriverException])
    another.until(lambda driver: driver.find_element(By.TAG_NAME, "html").id != before)


def fetched(browser: Browser, click: Callable[[], None]) -> Path:
    """The file that a click downloads, whole."""
    before = set(browser.downloads.iterdir())

    def new() -> list[Path]:
        found = set(browser.downloads.iterdir()) - before
        # Its name is kept free by an empty file, while the bytes come under another one.
        whole = all(each.suffix != ".crdownload" and not each.name.startswith(".") for each in found)
        return list(found) if whole else []

    for _ in range(4):
        click()
        # Busy as it is with the one before, Chromium loses a click now and then.
        with suppress(AssertionError):
            until(lambda: bool(new()), 10)
            return new()[0]
    pytest.fail("nothing was downloaded")


def test_each_file_and_all_of_them_come_as_they_are(browser: Browser, house: World) -> None:
    """Opened, downloaded one by one and as a ZIP, and compared."""
    _, token = house.publish(PARTS)
    browser.driver.get(f"{house.url}/a/{token}/1")
    assert heading(browser) == "A file for you"
    links = browser.driver.find_elements(By.CSS_SELECTOR, ".files a")
    assert [fetched(browser, link.click).read_bytes() for link in links] == list(PARTS.values())
    all_of_them = browser.driver.find_element(By.CSS_SELECTOR, ".all a")
    with zipfile.ZipFile(io.BytesIO(fetched(browser, all_of_them.click).read_bytes())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == PARTS


def test_a_password_is_asked_for_until_it_is_right(browser: Browser, house: World) -> None:
    """A wrong one is told beside the field; the right one opens the page of the file that was asked for."""
    _, token = house.publish(PARTS, token={"password": "Löwenzahn 7"})
    browser.driver.get(f"{house.url}/a/{token}/2")
    send(browser, password="Löwenzahn")
    field = browser.driver.find_element(By.NAME, "password")
    told = browser.driver.find_element(By.ID, field.get_attribute("aria-describedby") or "")
    assert told.text == WORDS["en"].lock_wrong
    send(browser, password="Löwenzahn 7")
    assert browser.driver.current_url == f"{house.url}/a/{token}/2"
    first = browser.driver.find_element(By.CSS_SELECTOR, ".files a")
    assert fetched(browser, first.click).read_bytes() == PARTS["Anlage.xlsx"]


def test_what_ended_and_what_reached_its_limit(browser: Browser, house: World) -> None:
    """Each says what a person can do."""
    _, expired = house.publish(PARTS, expires=NOW - timedelta(days=1))
    revoked, revoked_token = house.publish(PARTS)
    house.book.end("acme", revoked.folder, NOW)
    for token in (expired, revoked_token, "never-was"):
        browser.driver.get(f"{house.url}/a/{token}/1")
        assert heading(browser) == WORDS["en"].gone_title
        assert "555 0123" in browser.driver.find_element(By.CLASS_NAME, "contact").text
    _, once = house.publish({"a.txt": b"once"}, token={"downloads": 1})
    browser.driver.get(f"{house.url}/a/{once}")
    link = browser.driver.find_element(By.CSS_SELECTOR, ".files a")
    assert fetched(browser, link.click).read_bytes() == b"once"
    browser.driver.get(str(link.get_attribute("href")))
    assert heading(browser) == WORDS["en"].limit_title


def test_30_nasty_names_on_a_phone(browser: Browser, house: World) -> None:
    """Nothing is wider than the screen, each button is large enough for a thumb, and each file is the one it names."""
    content = {name: name.encode() for name in NASTY}
    _, token = house.publish(content)
    browser.dress(width=320)
    browser.driver.get(f"{house.url}/a/{token}")
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 320
    links = browser.driver.find_elements(By.CSS_SELECTOR, ".files a")
    assert len(links) == 30
    assert min(each.size["height"] for each in links) >= 44
    assert [fetched(browser, link.click).read_bytes() for link in links] == list(content.values())
    assert not re.search(r"<script", browser.driver.page_source)


def states(house: World, stack: ExitStack) -> Iterator[tuple[str, str, Mapping[str, str], str]]:
    """Each state of each page: a name, its address, what a proxy says of the visitor, and what is sent to a form."""
    _, many = house.publish(PARTS, token={"downloads": 2}, expires=NOW + timedelta(days=9))
    yield "files", f"/a/{many}", {}, ""
    yield "file", f"/a/{many}/1", {}, ""
    _, locked = house.publish(PARTS, token={"password": "right"})
    yield "password", f"/a/{locked}", {}, ""
    yield "wrong", f"/a/{locked}", {}, "wrong"
    yield "gone", "/a/never-was", {}, ""
    ended, _ = house.publish(PARTS, expires=NOW - timedelta(days=1))
    yield "ended", f"/r/{ended.id}", ANNA, ""
    yield "login", f"/r/{ended.id}", {}, ""
    owned, _ = house.publish(PARTS, audience=Audience.OWNER)
    yield "released", f"/r/{owned.id}", ANNA, "release"
    yield "owner", f"/r/{owned.id}", ANNA, ""
    _, none = house.publish(PARTS, token={"downloads": 0})
    yield "limit", f"/a/{none}/1/x", {}, ""
    yield "used", f"/a/{none}", {}, ""
    lost, broken = house.publish(PARTS)
    (house.store.folder / lost.files[0].path).unlink()
    yield "broken", f"/a/{broken}/1/x", {}, ""
    _, big = house.publish({"big.bin": bytes(20_000_000)})
    for _ in range(5):
        reader = stack.enter_context(socket.create_connection(("127.0.0.1", house.port)))
        reader.sendall(f"GET /a/{big}/1/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert reader.recv(12)[9:] == b"200"
    yield "busy", f"/a/{big}/1/x", {}, ""


@pytest.mark.long
def test_every_state_of_every_page_is_open_to_everybody(scripted_browser: Browser, house: World, axe: str) -> None:
    """Axe finds nothing, in four languages, light and dark."""
    found = {}
    seen = set()
    with ExitStack() as stack:
        for name, path, headers, sent in states(house, stack):
            for lang in WORDS:
                scripted_browser.dress(lang=lang, headers=headers)
                scripted_browser.driver.get(house.url + path)
                if sent == "release":
                    send(scripted_browser)
                elif sent:
                    send(scripted_browser, password=sent)
                assert scripted_browser.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == lang
                seen.add(heading(scripted_browser))
                found[name, lang, "light"] = scripted_browser.violations(axe)
                scripted_browser.dress(lang=lang, dark=True, width=375)
                found[name, lang, "dark"] = scripted_browser.violations(axe)
    assert {state: violations for state, violations in found.items() if violations} == {}
    assert len(found) == 13 * 4 * 2
    assert len(seen) >= 9 * 4


def test_axe_finds_what_is_wrong(scripted_browser: Browser, house: World, axe: str) -> None:
    """The same measure on a page without a language, a title and a label."""
    scripted_browser.driver.get("data:text/html,<body><input><p style='color:%23aaa'>pale")
    found = " ".join(scripted_browser.violations(axe))
    for rule in ("html-has-lang", "document-title", "label", "color-contrast"):
        assert rule in found
