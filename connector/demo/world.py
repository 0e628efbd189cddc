"""What the demo plays in: simulated servers of Microsoft's, a WebDAV store, and a configuration, in one folder."""

import json
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

from connector.demo.mail import Letter
from connector.demo.pages import pages
from connector.demo.samples import ANNA, BERND, chat_files, team_files
from connector.simulator import Exchange

#: The mailboxes and the channel for trials. What a visitor is shown are the others.
PROBE, PROBE_ONLINE, TRIALS = "probe@connector.invalid", "probe-online@connector.invalid", "Trials"
TEAM, CHANNEL = "Bridge", "General"
#: Who sends files to a chat.
CHATTER = ANNA
_SETTINGS = """\
state: {state}
marker_key: {{file: {marker_key}}}
log: {{format: json}}
"""
_TENANT = """\
tenant: demo
sources:
  # Exchange on premises.
  - type: ews
    url: {exchange}
    auth: basic
    user: {user}
    password: {{file: {exchange_password}}}
    mailboxes: {on_premises}
    probe: {probe}
    since: everything
{online}  # A channel of Teams: its files give way to pointers.
  - type: teams
    app: {app}
    teams: [{team}]
    redirect: true
    quiet: 0
    probe: {trials}
    since: everything
  # What people send to chats: files are copied, and stay.
  - type: teams
    app: {app}
    chats: [{chatter}]
    quiet: 0
    since: everything
store:
  type: webdav
  url: {store}
  user: {store_user}
  password: {{file: {store_password}}}
links:
  url: {pages}
  database: {book}
  key: {{file: {links_key}}}
notice:
  product: Demo Files
  organisation: Example Ltd
  desk: desk@example.org
defaults:
  # Links are shown at once. In earnest, the store's backup must have the files first: 24h.
  settle: 0
  notice: [en, de]
rules:
  - name: calling-cards
    when: {{extension: vcf}}
    action: keep
  # Whoever has the link opens it on our own page.
  - name: for-anyone
    when: {{extension: pdf}}
    action: redirect
    link: {{audience: anyone, expires: 90d}}
  # Our page leads on to the store, which asks for a login.
  - name: everything-else
    action: redirect
"""
_ONLINE = """\
  # Exchange Online.
  - type: graph
    app: {app}
    mailboxes: {mailboxes_online}
    probe: {probe_online}
    since: everything
"""


class Place(StrEnum):
    """What connector watches here."""

    ON_PREMISES = "Exchange"
    ONLINE = "Exchange Online"
    CHANNEL = "Teams channel"
    CHAT = "Teams chat"


@dataclass(frozen=True)
class Store:
    """A WebDAV server, and who may log in there."""

    url: str
    password: str
    user: str = "connector"


@dataclass(frozen=True)
class World:
    """Everything is up, and nothing has been redirected yet."""

    #: Holds config/, secrets/, state/ and store/.
    folder: Path
    exchange: Exchange
    store: Store
    #: The address of the pages that links open.
    pages: str
    #: The letters, by the ids that EWS gave them when they were delivered.
    letters: Mapping[str, Letter]

    @property
    def mailboxes(self) -> dict[Place, list[str]]:
        """Those that letters are in. Every second one is in the cloud."""
        found = _addresses(self.letters.values())
        return {Place.ON_PREMISES: found[::2], Place.ONLINE: found[1::2]}

    def place(self, letter: Letter) -> Place:
        """Where the mailbox of a letter is."""
        return Place.ONLINE if letter.mailbox in self.mailboxes[Place.ONLINE] else Place.ON_PREMISES

    @property
    def config(self) -> Path:
        """The folder for `connector --config`."""
        return self.folder / "config"


@contextmanager
def world(folder: Path, letters: Sequence[Letter]) -> Iterator[World]:
    """These letters in mailboxes, files in Teams, and an empty store, all on loopback until the block ends.

    Raises ConfigError where a letter cannot be read.
    """
    with Exchange() as exchange, _store(folder / "store") as store, _pages(folder, store) as linked:
        for address in (*_addresses(letters), PROBE, PROBE_ONLINE):
            exchange.add_mailbox(address)
        items = {exchange.deliver(each.mailbox, each.read(), each.folder): each for each in letters}
        built = World(folder, exchange, store, linked, items)
        _settle(built)
        _share(exchange)
        _configure(built)
        yield built


def _addresses(letters: Iterable[Letter]) -> list[str]:
    return list(dict.fromkeys(letter.mailbox for letter in letters))


def _settle(world: World) -> None:
    """Each mailbox answers where it is, and nowhere else."""
    here, online = world.mailboxes[Place.ON_PREMISES], world.mailboxes[Place.ONLINE]
    for mailbox in (*here, PROBE):
        world.exchange.order(place={"mailbox": mailbox, "place": "on premises"})
    for mailbox in (*online, PROBE_ONLINE):
        world.exchange.order(place={"mailbox": mailbox, "place": "cloud"})


def _share(exchange: Exchange) -> None:
    """Files in a channel and in a chat of two people."""
    team = exchange.add_team(TEAM, {ANNA: "owner", BERND: ""})
    exchange.workspace.add_channel(team, TRIALS, "private")
    for path, content in team_files():
        team.drive.folder(f"{CHANNEL}/{path}".rpartition("/")[0], ANNA)
        team.drive.upload(f"{CHANNEL}/{path}", content, ANNA)
    for name, content in chat_files():
        exchange.workspace.send(CHATTER, name, content, BERND)


@contextmanager
def _store(folder: Path) -> Iterator[Store]:
    """WsgiDAV on a free port, with threads of its own."""
    folder.mkdir()
    server = Server(("127.0.0.1", 0), None)
    server.prepare()
    store = Store(f"http://127.0.0.1:{server.bind_addr[1]}/", secrets.token_urlsafe(12))
    server.wsgi_app = _application(folder, store)
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield store
    finally:
        server.stop()


def _pages(folder: Path, store: Store) -> AbstractContextManager[str]:
    (folder / "state").mkdir()
    return pages(_book(folder), store=store.url, user=store.user, password=_store_password(folder, store))


def _book(folder: Path) -> str:
    return f"sqlite:///{folder / 'state' / 'links.db'}"


def _store_password(folder: Path, store: Store) -> Path:
    return _secret(folder, "store-password", store.password)


def _application(folder: Path, store: Store) -> WsgiDAVApp:
    return WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {store.user: {"password": store.password}}}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
        }
    )


def _configure(world: World) -> None:
    """Write the configuration as an administrator would: secrets are in files of their own."""
    account = world.exchange.impersonator
    (world.config / "tenants").mkdir(parents=True)
    values = {
        "state": world.folder / "state",
        "marker_key": _secret(world.folder, "marker-key", secrets.token_hex(32)),
        "pages": world.pages,
        "book": _book(world.folder),
        "links_key": _secret(world.folder, "links-key", secrets.token_hex(32)),
        "exchange": world.exchange.ews,
        "user": account["user"],
        "exchange_password": _secret(world.folder, "exchange-password", account["password"]),
        "on_premises": world.mailboxes[Place.ON_PREMISES],
        "probe": PROBE,
        "app": _app(world),
        "mailboxes_online": world.mailboxes[Place.ONLINE],
        "probe_online": PROBE_ONLINE,
        "team": TEAM,
        "trials": f"{TEAM}/{TRIALS}",
        "chatter": CHATTER,
        "store": world.store.url,
        "store_user": world.store.user,
        "store_password": _store_password(world.folder, world.store),
    }
    # A folder for temporary files may have any name, and JSON is YAML.
    quoted = {name: json.dumps(value, default=str) for name, value in values.items()}
    (world.config / "connector.yaml").write_text(_SETTINGS.format_map(quoted))
    # In a world of one mailbox, none is in the cloud.
    online = _ONLINE.format_map(quoted) if world.mailboxes[Place.ONLINE] else ""
    (world.config / "tenants" / "demo.yaml").write_text(_TENANT.format_map({**quoted, "online": online}))


def _app(world: World) -> dict[str, object]:
    """The app that is registered in Entra."""
    client, host = world.exchange.client, world.exchange.graph.removesuffix("/v1.0")
    secret = {"file": str(_secret(world.folder, "app-secret", client["secret"]))}
    return {"graph": host, "login": host, "directory": world.exchange.tenant, "client": client["id"], "secret": secret}


def _secret(folder: Path, name: str, secret: str) -> Path:
    path = folder / "secrets" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(secret)
    return path
