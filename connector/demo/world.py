"""What the demo plays in: a simulated Exchange, a WebDAV store, and a configuration, in one temporary folder."""

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

from connector.demo.mail import Letter
from connector.simulator import Exchange

STORE_USER = "connector"

_SETTINGS = """\
# What `connector demo` wrote. Try `connector --config {folder}/config status`, or check, explain, held.
state: {folder}/state
marker_key: {{file: {folder}/secrets/marker-key}}
log: {{format: json}}
"""
_TENANT = """\
tenant: demo
sources:
  - type: ews
    url: {exchange}
    auth: basic
    user: {user}
    password: {{file: {folder}/secrets/exchange-password}}
    mailboxes:
{mailboxes}
    since: everything
store:
  type: webdav
  url: {store}
  user: {store_user}
  password: {{file: {folder}/secrets/store-password}}
notice:
  languages: [en, de]
  product: Demo Files
  organisation: Example Ltd
  desk: desk@example.org
defaults:
  # Links are shown at once. In earnest, the store's backup should have the files first: 24h.
  settle: 0
rules:
  - name: calling-cards
    when: {{extension: vcf}}
    action: keep
  - name: everything-else
    action: redirect
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything is up, and nothing has been redirected yet."""

    #: Holds config/, secrets/, state/, store/ and the logs.
    folder: Path
    exchange: Exchange
    #: The address of the store.
    store: str
    store_password: str
    #: The letters by the ids of the items that they became.
    letters: dict[str, Letter]

    @property
    def config(self) -> Path:
        """The folder for `connector --config`."""
        return self.folder / "config"


@contextmanager
def world(folder: Path, letters: Sequence[Letter]) -> Iterator[World]:
    """Exchange with these letters in its mailboxes, and an empty store, both on loopback until the block ends."""
    password = secrets.token_urlsafe(12)
    with Exchange() as exchange, _store(folder / "store", password) as store:
        for address in dict.fromkeys(letter.mailbox for letter in letters):
            exchange.add_mailbox(address)
        items = {exchange.deliver(each.mailbox, each.path.read_bytes(), each.folder): each for each in letters}
        built = World(folder=folder, exchange=exchange, store=store, store_password=password, letters=items)
        _configure(built)
        yield built


@contextmanager
def _store(folder: Path, password: str) -> Iterator[str]:
    """WsgiDAV on a free port; its address."""
    folder.mkdir()
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {STORE_USER: {"password": password}}}},
            "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
        }
    )
    server = Server(("127.0.0.1", 0), application)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}/"
    finally:
        server.stop()


def _configure(world: World) -> None:
    account = world.exchange.impersonator
    mailboxes = sorted({letter.mailbox for letter in world.letters.values()})
    for name in ("config/tenants", "state", "secrets"):
        (world.folder / name).mkdir(parents=True, mode=0o700)
    _write_secret(world.folder / "secrets" / "marker-key", secrets.token_hex(32))
    _write_secret(world.folder / "secrets" / "exchange-password", account["password"])
    _write_secret(world.folder / "secrets" / "store-password", world.store_password)
    (world.config / "connector.yaml").write_text(_SETTINGS.format(folder=world.folder))
    tenant = _TENANT.format(
        folder=world.folder,
        exchange=world.exchange.ews,
        user=account["user"],
        mailboxes="\n".join(f"      - {address}" for address in mailboxes),
        store=world.store,
        store_user=STORE_USER,
    )
    (world.config / "tenants" / "demo.yaml").write_text(tenant)


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret)
