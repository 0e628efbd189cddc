"""Mailboxes in Exchange Online and files of Teams as an outsider sees them: by Graph, in plain HTTP."""

import configparser
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import requests

from connector.demo.seen import Seen, SharedSeen
from connector.demo.world import CHANNEL, CHATTER, TEAM, Place, World

_SECONDS = 30
#: The folder of a OneDrive that holds what its owner sent to chats.
_CHAT_FILES = "Microsoft Teams Chat Files"
_SHORTCUT = ".url"


def look(world: World) -> dict[str, Seen]:
    """Every message in the cloud, by the name that its delivery gave it."""
    graph = _Graph(world)
    return dict(graph.messages())


def attached(world: World) -> dict[str, str]:
    """The SHA-256 of every file in these messages, by the id of the attachment."""
    graph = _Graph(world)
    return {
        file["id"]: graph.sha256(f"{address}/attachments/{_quoted(file['id'])}/$value")
        for address in graph.addresses().values()
        for file in graph.files(address)
        if file["@odata.type"] == "#microsoft.graph.fileAttachment"
    }


def shared(world: World) -> dict[tuple[Place, str], SharedSeen]:
    """Every file in the channel and the chat, by its path there."""
    graph = _Graph(world)
    team = next(each["id"] for each in graph.listed("/teams") if each["displayName"] == TEAM)
    channels = graph.listed(f"/teams/{team}/channels")
    channel = next(each["id"] for each in channels if each["displayName"] == CHANNEL)
    folder = graph.json(f"/teams/{team}/channels/{_quoted(channel)}/filesFolder")
    drive = graph.json(f"/users/{CHATTER}/drive")["id"]
    chat = graph.json(f"/drives/{drive}/root:/{_quoted(_CHAT_FILES)}")
    found = {
        Place.CHANNEL: graph.below(folder["parentReference"]["driveId"], folder["id"]),
        Place.CHAT: graph.below(drive, chat["id"]),
    }
    return {(place, path): seen for place, files in found.items() for path, seen in files}


class _Graph:
    """The app of the tenant, with a token of its own."""

    def __init__(self, world: World) -> None:
        exchange = world.exchange
        self._world = world
        self._session = requests.Session()
        host = exchange.graph.removesuffix("/v1.0")
        form = {
            "grant_type": "client_credentials",
            "client_id": exchange.client["id"],
            "client_secret": exchange.client["secret"],
            "scope": f"{host}/.default",
        }
        told = self._session.post(exchange.token, data=form, timeout=_SECONDS)
        told.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {told.json()['access_token']}"
        self._session.headers["Prefer"] = 'IdType="ImmutableId", outlook.allow-unsafe-html'

    def addresses(self) -> dict[str, str]:
        """Where each letter is, by the name that its delivery gave it: the id of EWS, written for a URL."""
        return {
            each: f"/users/{letter.mailbox}/messages/{each.replace('+', '-').replace('/', '_')}"
            for each, letter in self._world.letters.items()
            if self._world.place(letter) is Place.ONLINE
        }

    def messages(self) -> Iterator[tuple[str, Seen]]:
        """What is still there of them."""
        for each, address in self.addresses().items():
            response = self._ask(f"{address}?$select=subject,changeKey,body")
            if response.status_code == requests.codes.not_found:
                continue
            response.raise_for_status()
            told = response.json()
            files = {file["id"]: file["name"] or "" for file in self.files(address)}
            yield each, Seen(told["id"], told["subject"] or "", told["changeKey"], told["body"]["content"], files)

    def files(self, address: str) -> Iterator[Any]:
        """The attachments of a message."""
        return self.listed(f"{address}/attachments?$select=id,name")

    def below(self, drive: str, folder: str, path: str = "") -> Iterator[tuple[str, SharedSeen]]:
        """All files below a folder, by their paths."""
        for item in self.listed(f"/drives/{drive}/items/{folder}/children"):
            where = f"{path}{item['name']}"
            if "folder" in item:
                yield from self.below(drive, item["id"], f"{where}/")
                continue
            # An address that opens the file by itself; it must not be sent the token.
            response = requests.get(item["@microsoft.graph.downloadUrl"], timeout=_SECONDS)
            response.raise_for_status()
            content = response.content
            url = _opened(content) if where.endswith(_SHORTCUT) else ""
            yield where, SharedSeen(item["id"], hashlib.sha256(content).hexdigest(), url)

    def sha256(self, path: str) -> str:
        """The SHA-256 of what stands there."""
        response = self._ask(path)
        response.raise_for_status()
        return hashlib.sha256(response.content).hexdigest()

    def listed(self, path: str) -> Iterator[Any]:
        """All of a list, page by page."""
        while path:
            page = self.json(path)
            yield from page["value"]
            path = page.get("@odata.nextLink", "").removeprefix(self._world.exchange.graph)

    def json(self, path: str) -> Any:
        """What is told of one thing."""
        response = self._ask(path)
        response.raise_for_status()
        return response.json()

    def _ask(self, path: str) -> requests.Response:
        return self._session.get(self._world.exchange.graph + path, timeout=_SECONDS)


def _opened(shortcut: bytes) -> str:
    """The address in an Internet shortcut, read as any program reads INI files; "" where there is none."""
    parser = configparser.RawConfigParser(strict=False, delimiters="=")
    try:
        parser.read_string(shortcut.decode())
    except (UnicodeDecodeError, configparser.Error):
        return ""
    return parser.get("InternetShortcut", "URL", fallback="")


def _quoted(text: str) -> str:
    return quote(text, safe="")
