"""The real command between real servers: a simulated Exchange, Apache behind a proxy; and a hand on the plug.

Each run of `connector once` is a process of its own, with its own sockets, over one ledger on disk. SIGKILL reaches it
from outside, at a request that was chosen beforehand: the side that is asked pulls the plug, before or after it acts.
"""

import hashlib
import itertools
import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from connector.simulator import Exchange
from connector.sources.memory import Attached
from tests import command
from tests.crash.wire_proxy import NOBODY, Plug, Proxy, When, proxy
from tests.servers import DavServer

#: The mailbox for trials.
PROBE = "probe@example.org"
MAILBOXES = ("anna@example.org", "ben@example.org", "carla@example.org")

# --- what is delivered --------------------------------------------------------------------------------------------

_LOGO = "logo.png"
_HTML = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p {{margin:0}} --></style></head>\r\n'
    "<body lang=DE>\r\n<p>Gr\u00fc\u00dfe &amp; more, letter {number}<o:p></o:p></p>\r\n{picture}</body></html>\r\n"
)
_PICTURE = f'<img src="cid:{_LOGO}@example.net">'
_TEXT = "Hello,\r\n\r\nletter {number} in plain text, 1 < 2 & \u00fc.\r\n"
#: Whether the body is HTML, and the names of the files.
_SHAPES = (
    (True, ("report.pdf",)),
    (True, ("offer.docx", "figures.xlsx")),
    (False, ("scan.tif", "scan.tif")),
    (True, (_LOGO, "drawing.dwg")),
    (False, ("notes \u00e4\u00f6.txt",)),
)


@dataclass(frozen=True)
class Letter:
    """One message as it was delivered."""

    id: str
    mailbox: str
    body: str
    html: bool
    files: tuple[Attached, ...]

    @property
    def redirectable(self) -> frozenset[bytes]:
        """The files that have to leave the message; each has bytes of its own."""
        return frozenset(file.content for file in self.files if not file.inline)

    @property
    def inline(self) -> frozenset[bytes]:
        """The pictures that have to stay."""
        return frozenset(file.content for file in self.files if file.inline)

    def eml(self) -> bytes:
        """As it arrives from outside."""
        message = EmailMessage(policy=policy.SMTP)
        message["From"], message["To"], message["Message-ID"] = "Bert <bert@example.net>", self.mailbox, self.id
        message["Subject"], message["Date"] = "Gr\u00fc\u00dfe", "Mon, 05 Jan 2026 08:00:00 +0000"
        kind = "html" if self.html else "plain"
        message.set_content(self.body.encode(), "text", kind, cte="base64", params={"charset": "utf-8"})
        for file in self.files:
            if file.inline:
                message.add_related(
                    file.content, "image", "png", filename=file.name, disposition="inline", cid=f"<{file.content_id}>"
                )
            else:
                message.add_attachment(file.content, "application", "octet-stream", filename=file.name)
        return message.as_bytes()


def letter(number: int) -> Letter:
    """The n-th message: all shapes and mailboxes in turn."""
    html, names = _SHAPES[number % len(_SHAPES)]
    body = (_HTML if html else _TEXT).format(number=number, picture=_PICTURE if _LOGO in names else "")
    files = tuple(_file(name, number, place) for place, name in enumerate(names))
    return Letter(f"<letter-{number}@example.net>", MAILBOXES[number % len(MAILBOXES)], body, html, files)


def _file(name: str, number: int, place: int) -> Attached:
    """Some thousand bytes that no other file has."""
    content = hashlib.shake_256(f"{number} {place}".encode()).digest(1000 + 30 * (number % 1000))
    inline = name == _LOGO
    return Attached(name, content, inline=inline, content_id=f"{name}@example.net" if inline else "")


# --- the organisation ---------------------------------------------------------------------------------------------


class Struck(NamedTuple):
    """What was asked when the plug was pulled, and on which side of its effect."""

    operation: str
    when: When


@dataclass(frozen=True)
class World:
    """All that outlives the process."""

    #: Holds the configuration, the ledger, and what the processes said.
    folder: Path
    exchange: Exchange
    apache: DavServer
    proxy: Proxy
    #: Between the daemon and Exchange, where something bad is to happen there too.
    front: Proxy | None = None
    #: What was delivered so far.
    letters: list[Letter] = field(default_factory=list)
    _commands: Iterator[int] = field(default_factory=itertools.count)

    @property
    def collection(self) -> Path:
        """Where the store's files lie."""
        return self.apache.folder / self.folder.name

    @property
    def state(self) -> Path:
        """Where the ledger lies: on a disk of its own, where somebody has mounted one there."""
        disk = self.folder / "disk"
        return disk if disk.is_dir() else self.folder

    def at(self, url: str) -> str:
        """Where the daemon reaches what is at this address of Exchange."""
        return urlsplit(url)._replace(netloc=f"127.0.0.1:{self.front.port}").geturl() if self.front else url

    @property
    def link_url(self) -> str:
        """Where people reach the collection: directly. Only the daemon goes through the proxy."""
        return f"{self.apache.url}{self.folder.name}/"

    @property
    def login(self) -> HTTPBasicAuth:
        """Who may open the links."""
        return HTTPBasicAuth(self.apache.user.encode(), self.apache.password.encode())

    @property
    def said(self) -> str:
        """What all processes so far told their operator."""
        return (self.folder / "said").read_text()

    def deliver(self, letters: Iterable[Letter]) -> bool:
        """Mail comes in, if there is any."""
        before = len(self.letters)
        for letter in letters:
            self.exchange.deliver(letter.mailbox, letter.eml())
            self.letters.append(letter)
        return len(self.letters) > before

    def prove(self) -> None:
        """`connector check`, as an administrator does first: without its proof nothing is redirected."""
        process = self.command("check")
        process.join()
        assert process.exitcode == 0, self.said

    def run(self) -> int | None:
        """`connector once`, undisturbed; its exit code."""
        process = self.command("once")
        process.join()
        return process.exitcode

    def run_killed_by_exchange(self, request: int, when: When) -> Struck | None:
        """`connector once`, killed at the n-th request to Exchange. None where it had ended before that."""
        self.exchange.order(reset=True)
        process = self.command("once")
        self.exchange.order(kill={"pid": process.pid, "request": request, "when": when})
        process.join()
        seen = self.exchange.seen
        # Nobody may be killed who has the same number later.
        self.exchange.order(reset=True)
        return Struck(seen[request - 1], when) if process.exitcode == -signal.SIGKILL else None

    def run_killed_by_store(self, kind: str, request: int, when: When) -> Struck | None:
        """`connector once`, killed at the n-th request of this kind to the store. None where it had ended before."""
        process = self.command("once")
        assert process.pid
        self.proxy.plug = Plug(process.pid, kind, request, when)
        process.join()
        self.proxy.plug = NOBODY
        return Struck(kind, when) if process.exitcode == -signal.SIGKILL else None

    def wait(self, commands: int) -> None:
        """Time goes by, as with so many commands."""
        for _ in range(commands):
            next(self._commands)

    def command(self, *arguments: str) -> ForkServerProcess:
        """Start a command, two minutes later than the one before: what waits a minute is due."""
        later = timedelta(minutes=2 * next(self._commands))
        return command.start(self.folder, *arguments, later=later, answer="said", told="said")


@contextmanager
def world(
    folder: Path,
    exchange: Exchange,
    apache: DavServer,
    *,
    rewrite: str = "in_place",
    protocol: str = "ews",
    fronted: bool = False,
) -> Iterator[World]:
    """Everything is up, and the mailboxes are empty. `fronted`: Exchange is reached through a proxy too."""
    for mailbox in (*MAILBOXES, PROBE):
        exchange.add_mailbox(mailbox)
    with ExitStack() as stack:
        before_store = stack.enter_context(proxy(apache.port))
        front = stack.enter_context(proxy(urlsplit(exchange.ews).port or 0)) if fronted else None
        built = World(folder, exchange, apache, before_store, front)
        _configure(built, rewrite, protocol)
        requests.request("MKCOL", built.link_url, auth=built.login, timeout=20).raise_for_status()
        built.prove()
        yield built


_SETTINGS = """\
state: {state}
marker_key: {{file: {marker_key}}}
log: {{format: json, level: warning}}
"""
_TENANT = """\
tenant: acme
sources:
  - type: {protocol}
    {login}
    mailboxes: {mailboxes}
    probe: {probe}
    waive_certify: Ada Admin
    since: everything
store:
  type: webdav
  url: {store}
  link_url: {link_url}
  user: {store_user}
  password: {{file: {store_password}}}
notice: {{product: Example Files, organisation: Example Ltd}}
rewrite: {rewrite}
defaults: {{settle: 0}}
rules: [{{name: all, action: redirect}}]
"""


_LOGINS = {
    "ews": """url: {ews}
    auth: basic
    user: {ews_user}
    password: {{file: {ews_password}}}""",
    "graph": """app:
      graph: {graph}
      login: {graph}
      directory: {directory}
      client: {client}
      secret: {{file: {client_secret}}}""",
}


def _configure(world: World, rewrite: str, protocol: str) -> None:
    """As an administrator would."""
    account = world.exchange.impersonator
    client = world.exchange.client
    values = {
        "rewrite": rewrite,
        "state": world.state,
        "marker_key": _secret(world.folder, "marker-key", "k" * 32),
        "ews": world.at(world.exchange.ews),
        "ews_user": account["user"],
        "ews_password": _secret(world.folder, "ews-password", account["password"]),
        "graph": world.at(world.exchange.graph.removesuffix("/v1.0")),
        "directory": world.exchange.tenant,
        "client": client["id"],
        "client_secret": _secret(world.folder, "client-secret", client["secret"]),
        "mailboxes": MAILBOXES,
        "probe": PROBE,
        "store": f"http://127.0.0.1:{world.proxy.port}/basic/{world.folder.name}/",
        "link_url": world.link_url,
        "store_user": world.apache.user,
        "store_password": _secret(world.folder, "store-password", world.apache.password),
    }
    # JSON is YAML, and quotes whatever a path or a password holds.
    quoted = {name: json.dumps(value, default=str) for name, value in values.items()}
    (world.folder / "connector.yaml").write_text(_SETTINGS.format_map(quoted))
    (world.folder / "tenants").mkdir()
    parts = {"protocol": protocol, "login": _LOGINS[protocol].format_map(quoted)}
    (world.folder / "tenants" / "acme.yaml").write_text(_TENANT.format_map(quoted | parts))


def _secret(folder: Path, name: str, secret: str) -> Path:
    path = folder / name
    path.write_text(secret)
    return path
