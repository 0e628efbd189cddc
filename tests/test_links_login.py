"""The login for links of the house, at a real issuer on loopback that can be told to lie."""

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from connector.config.yamlfile import ConfigError
from connector.links import people
from connector.links.settings import Oidc
from connector.links.tokens import hashed
from connector.model import Audience
from tests import issuer as issuers
from tests.issuer import CLIENT, SECRET, Issuer
from tests.links import World, opened
from tests.logged import Lines
from tests.servers import DavServer

ANNA = {
    "preferred_username": "anna",
    "email": "Anna@Example.org",
    "email_verified": True,
    "groups": ["staff", "finance"],
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """The house's issuer."""
    with issuers.started() as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, apache: DavServer, issuer: Issuer) -> Iterator[World]:
    """Pages that believe no proxy, and ask the issuer."""
    folder = tmp_path_factory.mktemp("login")
    (folder / "secret").write_text(SECRET)
    oidc = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": {"file": str(folder / "secret")}}
    with opened(folder, apache, oidc=oidc, proxy=None) as made:
        yield made


@pytest.fixture(autouse=True)
def _honest(issuer: Issuer) -> None:
    issuer.claims, issuer.lies = dict(ANNA), {}


@pytest.fixture
def browser(pages: World) -> Iterator[httpx.Client]:
    """Follows where it is led, and keeps cookies."""
    with httpx.Client(base_url=pages.url, follow_redirects=True, trust_env=False) as made:
        yield made


@pytest.mark.parametrize(
    ("readers", "status"), [(("anna@example.org",), 200), (("user:anna",), 200), (("group:finance",), 200), ((), 404)]
)
def test_a_link_of_the_house_leads_through_the_login_to_its_page(
    pages: World, browser: httpx.Client, readers: tuple[str, ...], status: int
) -> None:
    """By address, user or group; a second link asks the issuer no more."""
    publication, _ = pages.publish({"a.txt": b"mine"}, audience=Audience.OWNER, readers=readers)
    came = browser.get(f"/r/{publication.id}/1")
    assert came.status_code == status
    assert came.url.path == f"/r/{publication.id}/1"
    assert not came.url.query
    # To the issuer, back from it, and on.
    assert len(came.history) == 3
    again = browser.get(f"/r/{publication.id}/1/a.txt")
    assert (again.status_code, again.history) == (status, [])
    assert status != 200 or again.content == b"mine"


def test_a_login_is_asked_for_whatever_the_link(browser: httpx.Client) -> None:
    """Whoever is nobody learns nothing of what there is."""
    led = browser.get("/r/R999-aaaaaaaa", follow_redirects=False)
    assert led.is_redirect
    query = parse_qs(urlsplit(led.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["nonce"]
    assert led.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"key": RSAKey.generate_key(2048, {"kid": "1"})},
        {"preferred_username": "", "email": ""},
        {"preferred_username": "", "email": "anna@example.org", "email_verified": False},
    ],
    ids=["nonce", "audience", "issuer", "late", "key", "nobody", "unverified"],
)
def test_a_login_that_does_not_count(
    pages: World, browser: httpx.Client, issuer: Issuer, lie: dict[str, object]
) -> None:
    """A token for another login, for another client, of another issuer, too old, forged, or of nobody."""
    publication, _ = pages.publish({"a.txt": b"mine"}, audience=Audience.STAFF)
    issuer.lies = lie
    assert browser.get(f"/r/{publication.id}/1/a.txt").status_code == 403
    assert browser.get(f"/r/{publication.id}", follow_redirects=False).is_redirect


def test_nobody_is_logged_in_by_another_ones_way_back(pages: World, browser: httpx.Client) -> None:
    """Neither in a browser that never asked, nor a second time in the one that did."""
    publication, _ = pages.publish({"a.txt": b"mine"}, audience=Audience.STAFF)
    asked = browser.get(f"/r/{publication.id}", follow_redirects=False)
    came_back = httpx.get(asked.headers["location"], trust_env=False).headers["location"]
    with httpx.Client(base_url=pages.url, trust_env=False) as other:
        assert other.get(came_back).status_code == 403
        assert other.get(f"/r/{publication.id}").is_redirect
    assert browser.get(came_back).status_code in {200, 403}
    browser.cookies.clear()
    assert browser.get(came_back).status_code == 403


def test_two_tabs_ask_at_the_same_time(pages: World, browser: httpx.Client) -> None:
    """A browser remembers one login that is under way: the page of the other tab leads to where that wanted to go."""
    paths = [f"/r/{pages.publish({'a.txt': b'mine'}, audience=Audience.STAFF)[0].id}" for _ in "ab"]
    asked = [browser.get(f"{path}/1", follow_redirects=False).headers["location"] for path in paths]
    first, second = (httpx.get(each, trust_env=False).headers["location"] for each in asked)
    failed = browser.get(first)
    assert failed.status_code == 403
    assert re.findall(r'<a href="(/r/[^"]+)">Sign in and open the link</a>', failed.text) == [paths[0]]
    assert browser.get(second).url.path in {f"{paths[1]}/1", "/login/back"}
    assert browser.get(paths[0]).status_code == 200


@pytest.mark.parametrize("state", ["", "x", "//evil.example.org", "WyJ4IiwiLy9ldmlsLmV4YW1wbGUub3JnIl0.aSk.x"])
def test_a_way_back_that_is_not_ours_leads_nowhere(browser: httpx.Client, state: str) -> None:
    """Whoever makes one up leads nobody away from the pages."""
    came = browser.get("/login/back", params={"state": state, "code": "x"})
    assert came.status_code == 403
    assert "Sign in and open" not in came.text
    assert "evil" not in came.text


def test_cookies_are_for_this_site_over_tls_and_for_no_script(
    tmp_path: Path, apache: DavServer, issuer: Issuer
) -> None:
    """That of a login, and that of a password that was right."""
    (tmp_path / "secret").write_text(SECRET)
    oidc = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": {"file": str(tmp_path / "secret")}}
    with opened(tmp_path, apache, url="https://files.example.org", oidc=oidc, proxy=None) as world:
        publication, token = world.publish({"a.txt": b"mine"}, token={"password": "right"})
        login = world.ask(f"/r/{publication.id}")
        unlocked = world.ask(f"/a/{token}", "POST", body="password=right")
    for answer, name, path in ((login, "session", "/"), (unlocked, f"p{hashed(token)[:16]}", f"/a/{token}")):
        (cookie,) = SimpleCookie(answer.cookies[0]).items()
        assert cookie[0] == name
        assert {word: cookie[1][word] for word in ("secure", "httponly", "samesite", "path")} == {
            "secure": True,
            "httponly": True,
            "samesite": "lax",
            "path": path,
        }


def test_a_session_is_a_number_that_nobody_can_make_up(pages: World, browser: httpx.Client) -> None:
    """The cookie is for this site, for no script, and holds neither name nor group; a changed one is none."""
    publication, _ = pages.publish({"a.txt": b"mine"}, audience=Audience.STAFF)
    browser.get(f"/r/{publication.id}")
    value = browser.cookies["session"]
    assert "anna" not in value
    browser.cookies.clear()
    browser.cookies.set("session", value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))
    assert browser.get(f"/r/{publication.id}", follow_redirects=False).is_redirect


@pytest.mark.parametrize(
    ("address", "discovery", "says"),
    [
        ("http://127.0.0.1:9", None, ""),
        ("https://127.0.0.1:{port}", None, "no TLS connection comes about (WRONG_VERSION_NUMBER)"),
        ("http://127.0.0.1:{port}", {}, "what answers there is no issuer of OpenID Connect"),
        ("http://127.0.0.1:{port}", [], "what answers there is no issuer of OpenID Connect"),
    ],
)
def test_an_issuer_that_does_not_answer_is_told(  # noqa: PLR0917 - the cases, and what they need
    tmp_path: Path, apache: DavServer, issuer: Issuer, lines: Lines, address: str, discovery: object, says: str
) -> None:
    """To the visitor, who is not at fault, as a page; to the house in its log, without a traceback."""
    (tmp_path / "secret").write_text(SECRET)
    if discovery is not None:
        issuer.lies["discovery"] = discovery
    at = address.format(port=urlsplit(issuer.url).port)
    oidc = {"issuer": at, "client_id": CLIENT, "client_secret": {"file": str(tmp_path / "secret")}}
    with opened(tmp_path, apache, oidc=oidc, proxy=None) as world:
        assert world.ask("/r/R1-aaaaaaaa").status == 503
    (line,) = (each for each in lines() if each["event"] == "link.no_login")
    assert line["reason"].startswith(f"nobody can log in at {at}: {says}")
    assert "LoginWanted" not in line["reason"]


def test_an_issuer_that_breaks_off_on_the_way_back_is_told(
    pages: World, issuer: Issuer, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the login of the visitor that does not count."""
    publication, _ = pages.publish({"a.txt": b"mine"}, audience=Audience.STAFF)

    def broken(*_: object) -> str:
        raise OSError

    monkeypatch.setattr(issuer, "token", broken)
    assert browser.get(f"/r/{publication.id}").status_code == 503


def test_authorities_of_the_issuer_that_are_none_are_told(tmp_path: Path) -> None:
    """By the file, before the pages are up."""
    for name in ("secret", "ca.pem"):
        (tmp_path / name).write_text("x")
    told = {"issuer": "https://login.example.org", "client_id": CLIENT, "ca": str(tmp_path / "ca.pem")}
    settings = Oidc.model_validate({**told, "client_secret": {"file": str(tmp_path / "secret")}})
    with pytest.raises(ConfigError, match=r"ca\.pem holds no certificates"):
        people.Issuer(settings, "https://files.example.org")
