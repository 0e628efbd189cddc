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


def download(url: str, store: Store) -> str:
    """The SHA-256 of what a link gives to somebody who logs in. Raises requests' errors."""
    digest = hashlib.sha256()
    with requests.get(url, auth=(store.user, store.password), stream=True, timeout=_SECONDS) as response:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stored(name: str, store: Store) -> Iterator[str]:
    """The addresses of all files of this name in the store, as it lists them itself. Raises requests' errors."""
    depth = {"Depth": "infinity"}
    response = requests.request(
        "PROPFIND", store.url, headers=depth, auth=(store.user, store.password), timeout=_SECONDS
    )
    response.raise_for_status()
    paths = (each.text or "" for each in etree.fromstring(response.content).iter(_HREF))
    return (urljoin(store.url, path) for path in paths if unquote(path).rpartition("/")[2] == name)
