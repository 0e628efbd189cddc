"""The simulated Exchange, ready to run."""

import json
import signal
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connector.simulator.control import Control, deliver
from connector.simulator.ews.http import EWS_PATH, Witness
from connector.simulator.graph.files.filling import fill
from connector.simulator.graph.files.workspace import Team, Workspace
from connector.simulator.graph.http import Witness as GraphWitness
from connector.simulator.graph.service import GRAPH_PATH
from connector.simulator.graph.tenant import Group
from connector.simulator.organisation import Organisation
from connector.simulator.server import CONTROL_PATH, Server

#: The biggest message, in bytes. Exchange Online's limit; on premises it is a setting, by default a quarter of that.
_MOST = 150_000_000


class Exchange:
    """An Exchange organisation on loopback, as long as its `with` block lasts.

    `mail` is a folder with a folder for each mailbox, `DIR/anna@example.org/[Folder/[Folder/]]*.eml`; what lies
    directly in that goes to the Inbox. Sent Items, Drafts, Deleted Items, Junk Email and Outbox are the folders of
    those names. Beside the mailboxes, `DIR/teams/TEAM/CHANNEL/...` holds the files of channels, where a CHANNEL whose
    name ends in ` (private)` or ` (shared)` is one of that kind, and `DIR/chats/USER/...` what a user sent to chats.
    Members of these are all users; the first one owns the teams. `port` 0 takes a free one. `witness` and
    `graph_witness` are told every request and reply. With `tls` it speaks https.
    Raises ValueError where `mail` holds no mailbox or a message is too big, OSError where the port is taken.
    """

    def __init__(
        self,
        mail: Path | None = None,
        port: int = 0,
        *,
        witness: Witness | None = None,
        graph_witness: GraphWitness | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._organisation = Organisation()
        self._control = Control(self._organisation)
        if mail is not None:
            self._load(mail)
        self._listen = partial(Server, control=self._control, witness=witness, graph_witness=graph_witness, tls=tls)
        self._server = self._listen(port)
        self._url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def ews(self) -> str:
        """The URL of EWS."""
        return self._url + EWS_PATH

    @property
    def graph(self) -> str:
        """The URL of Graph."""
        return self._url + GRAPH_PATH

    @property
    def token(self) -> str:
        """The URL where the app gets its tokens."""
        return f"{self._url}/{self.tenant}/oauth2/v2.0/token"

    @property
    def tenant(self) -> str:
        """The id of the tenant."""
        return self._organisation.tenant.id

    @property
    def client(self) -> dict[str, str]:
        """Id and secret of the app."""
        return dict(self._organisation.tenant.client)

    @property
    def early(self) -> list[str]:
        """The requests that came before the time that a Retry-After had told."""
        return list(self._organisation.tenant.early)

    @property
    def control(self) -> str:
        """The URL of the control page."""
        return self._url + CONTROL_PATH

    @property
    def accounts(self) -> list[dict[str, str]]:
        """Mailbox, user and password of each mailbox."""
        organisation = self._organisation
        return [
            {"mailbox": address, "user": address, "password": organisation.passwords[address]}
            for address in organisation.mailboxes
            if address != organisation.impersonator
        ]

    @property
    def impersonator(self) -> dict[str, str]:
        """User and password of the service account that may impersonate everybody."""
        user = self._organisation.impersonator
        return {"user": user, "password": self._organisation.passwords[user]}

    @property
    def seen(self) -> list[str]:
        """The operations that were asked for since the last reset, in their order."""
        return [each["operation"] for each in self._control.faults.seen]

    def add_mailbox(self, address: str) -> dict[str, str]:
        """Make a mailbox; its account."""
        self._organisation.add_mailbox(address)
        return next(account for account in self.accounts if account["mailbox"] == address.lower())

    def add_group(self, name: str, *members: str) -> str:
        """Make a group of mailboxes, by their addresses, and of groups, by their ids. Answers its id."""
        group = Group(name, [each.lower() for each in members])
        self._organisation.tenant.groups[group.id] = group
        return group.id

    @property
    def workspace(self) -> Workspace:
        """Its teams, channels and drives: a test acts on them as their users."""
        return self._organisation.workspace

    def add_team(self, name: str, members: Mapping[str, str]) -> Team:
        """Make a team with its channel General. Members are addresses, with `owner` or "" for each."""
        return self._organisation.add_team(name, members)

    def deliver(self, mailbox: str, eml: bytes, folder: str = "Inbox") -> str:
        """Put a message into a folder of a mailbox, as transport does. Answers the item's id."""
        return deliver(self._organisation.mailboxes[mailbox.lower()], eml, folder).id

    def order(self, **orders: Any) -> dict[str, Any]:
        """What a POST to the control page does."""
        return self._control.obey(**orders)

    @contextmanager
    def down(self) -> Iterator[None]:
        """The server is restarted: nobody listens within the `with` block, and it has no subscriptions afterwards."""
        self._end()
        self.order(cut_streams=True, expire_subscriptions="")
        yield
        self._server = self._listen(self._server.server_address[1])
        self._begin()

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._organisation.stopping.set()
        self._end()

    def _begin(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _end(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _load(self, mail: Path) -> None:
        inside = sorted(mail.iterdir()) if mail.is_dir() else []
        mailboxes = [each for each in inside if each.is_dir() and "@" in each.name]
        if not mailboxes:
            raise ValueError(f"{mail} holds no mailbox: name folders in it like addresses, anna@example.org for one")
        for folder in mailboxes:
            mailbox = self._organisation.add_mailbox(folder.name)
            for eml in sorted(folder.rglob("*.eml")):
                if eml.stat().st_size > _MOST:
                    raise ValueError(f"{eml} is too big: a message may have {_MOST // 1_000_000} MB")
                where = eml.parent.relative_to(folder).as_posix()
                deliver(mailbox, eml.read_bytes(), "Inbox" if where == "." else where)
        fill(self._organisation, mail)


def simulate(mail: Path, port: int = 0) -> None:
    """Run until SIGTERM or SIGINT. Prints its addresses, accounts, tenant and app as one line of JSON.

    For the main thread: it sets signal handlers. Raises as Exchange does.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Exchange(mail, port) as exchange:
        names = ("ews", "accounts", "impersonator", "graph", "token", "tenant", "client", "control")
        print(json.dumps({name: getattr(exchange, name) for name in names}), flush=True)  # noqa: T201 - its output
        stop.wait()
