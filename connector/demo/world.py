"""What the demo plays in: a simulated Exchange, a WebDAV store, and a configuration, in one temporary folder."""

import json
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

from connector.demo.mail import Letter
from connector.simulator import Exchange

#: The mailbox for trials. What a visitor is shown are the others.
PROBE = "probe@connector.invalid"
_SETTINGS = """\
state: {state}
marker_key: {{file: {marker_key}}}
log: {{format: json}}
"""
_TENANT = """\
tenant: demo
sources:
  - type: ews
    url: {exchange}
    auth: basic
    user: {user}
    password: {{file: {exchange_password}}}
    mailboxes: {mailboxes}
    probe: {probe}
    since: everything
store:
  type: webdav
  url: {store}
  user: {store_user}
  password: {{file: {store_password}}}
notice:
  languages: [en, de]
  product: Demo Files
  organisation: Example Ltd
  desk: desk@example.org
defaults:
  # Links are shown at once. In earnest, the store's backup must have the files first: 24h.
  settle: 0
rules:
  - name: calling-cards
    when: {{extension: vcf}}
    action: keep
  - name: everything-else
    action: redirect
"""


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
    #: The letters, by the ids of the items that they became.
    letters: Mapping[str, Letter]

    @property
    def mailboxes(self) -> list[str]:
        """Those that letters are in."""
        return list(dict.fromkeys(letter.mailbox for letter in self.letters.values()))

    @property
    def config(self) -> Path:
        """The folder for `connector --config`."""
        return self.folder / "config"


@contextmanager
def world(folder: Path, letters: Sequence[Letter]) -> Iterator[World]:
    """Exchange with these letters in its mailboxes, and an empty store, both on loopback until the block ends.

    Raises ConfigError where a letter cannot be read.
    """
    with Exchange() as exchange, _store(folder / "store") as store:
        for address in dict.fromkeys(letter.mailbox for letter in letters):
            exchange.add_mailbox(address)
        exchange.add_mailbox(PROBE)
        items = {exchange.deliver(each.mailbox, each.read(), each.folder): each for each in letters}
        built = World(folder, exchange, store, items)
        _configure(built)
        yield built


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
    (world.folder / "state").mkdir()
    values = {
        "state": world.folder / "state",
        "marker_key": _secret(world, "marker-key", secrets.token_hex(32)),
        "exchange": world.exchange.ews,
        "user": account["user"],
        "exchange_password": _secret(world, "exchange-password", account["password"]),
        "mailboxes": world.mailboxes,
        "probe": PROBE,
        "store": world.store.url,
        "store_user": world.store.user,
        "store_password": _secret(world, "store-password", world.store.password),
    }
    # A folder for temporary files may have any name, and JSON is YAML.
    quoted = {name: json.dumps(value, default=str) for name, value in values.items()}
    (world.config / "connector.yaml").write_text(_SETTINGS.format_map(quoted))
    (world.config / "tenants" / "demo.yaml").write_text(_TENANT.format_map(quoted))


def _secret(world: World, name: str, secret: str) -> Path:
    path = world.folder / "secrets" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(secret)
    return path
