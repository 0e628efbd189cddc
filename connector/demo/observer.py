"""What an outsider sees: mailboxes and files by clients that are not ours, links by HTTP. Never the ledger."""

import hashlib
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote, urljoin

import requests
from lxml import etree

from connector.demo import on_premises, online
from connector.demo.seen import Seen, SharedSeen
from connector.demo.world import Place, Store, World

_CHUNK = 1024 * 1024
_URL = re.compile(r"https?://[^\s\"'<>]+")
_BUTTON = re.compile(r'href="([^"]+)" download')
_SECONDS = 30
_HREF = "{DAV:}href"


def look(world: World) -> dict[str, Seen]:
    """Every message, by the name that its delivery gave it."""
    seen = {**on_premises.look(world), **online.look(world)}
    return {each: seen[each] for each in world.letters if each in seen}


def attached(world: World) -> dict[str, str]:
    """The SHA-256 of every file in a message, by the id of the attachment."""
    return {**on_premises.attached(world), **online.attached(world)}


def shared(world: World) -> dict[tuple[Place, str], SharedSeen]:
    """Every file in Teams, by its place and its path there."""
    return online.shared(world)


def inserted(before: str, after: str) -> str | None:
    """The one stretch of `after` without which it would be `before`; None where there is no such stretch."""
    length = len(after) - len(before)
    start = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), len(before))
    return after[start : start + length] if length >= 0 and before[start:] == after[start + length :] else None


def links(notice: str) -> tuple[str, ...]:
    """The addresses that a notice shows, each once."""
    return tuple(dict.fromkeys(unescape(url) for url in _URL.findall(notice)))


def for_anyone(world: World) -> Iterator[str]:
    """The links in messages that open without a login."""
    return (url for seen in look(world).values() for url in links(seen.body) if url.startswith(f"{world.pages}/a/"))


def download(url: str, store: Store) -> str:
    """The SHA-256 of what a link gives to whoever follows it, and logs in at the store. Raises requests' errors."""
    digest = hashlib.sha256()
    where = url if url.startswith(store.url) else _followed(url)
    login = (store.user, store.password) if where.startswith(store.url) else None
    with requests.get(where, auth=login, stream=True, timeout=_SECONDS) as response:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _followed(url: str) -> str:
    """Where the page of a file leads: on to the store, or by its button to the bytes."""
    page = requests.get(url, allow_redirects=False, timeout=_SECONDS)
    page.raise_for_status()
    button = _BUTTON.search(page.text)
    return urljoin(url, page.headers.get("Location") or (unescape(button[1]) if button else url))


def stored(name: str, store: Store) -> Iterator[str]:
    """The addresses of all files of this name in the store, as it lists them itself. Raises requests' errors."""
    depth = {"Depth": "infinity"}
    response = requests.request(
        "PROPFIND", store.url, headers=depth, auth=(store.user, store.password), timeout=_SECONDS
    )
    response.raise_for_status()
    paths = (each.text or "" for each in etree.fromstring(response.content).iter(_HREF))
    return (urljoin(store.url, path) for path in paths if unquote(path).rpartition("/")[2] == name)
