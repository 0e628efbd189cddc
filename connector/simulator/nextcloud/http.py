"""The web server of a simulated Nextcloud: one port, one thread for each connection."""

import contextlib
import json
import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

from connector.simulator.nextcloud.cloud import Cloud, User
from connector.simulator.nextcloud.dav import Dav
from connector.simulator.nextcloud.message import SABRE, Refused, Reply, Request
from connector.simulator.nextcloud.ocs import Ocs
from connector.simulator.nextcloud.public import Public
from connector.simulator.nextcloud.tags import Tags
from connector.simulator.nextcloud.trash import Trash
from connector.simulator.nextcloud.tree import Node
from connector.simulator.nextcloud.versions import Versions
from connector.simulator.wire import Listening, Wire

_FILE = ("/f/", "/index.php/f/")


class Part(Protocol):
    """A part of the server's WebDAV."""

    def serves(self, path: str) -> bool:
        """Whether a path is one of its own."""
        ...

    def answer(self, request: Request, user: User) -> Reply:
        """Raises Refused."""
        ...


class Nextcloud:
    """A Nextcloud on loopback, as long as its `with` block lasts. `cloud` is its state: a test acts on it."""

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """`port` 0 takes a free one."""
        self.cloud = Cloud()
        #: The n-th request from now is broken off: before it takes effect, after, or ("half") while it is answered.
        self.drops: list[tuple[int, str]] = []
        #: What happens then, too: a test may kill the client.
        self.struck = _nothing
        self._arriving: Counter[str] = Counter()
        self._server = Listening(port, partial(_Connection, nextcloud=self), tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self.dav = Dav(self.cloud)
        self.public = Public(self.cloud)
        #: What speaks WebDAV to whoever has logged in.
        self.parts: tuple[Part, ...] = (self.dav, Tags(self.cloud), Trash(self.cloud), Versions(self.cloud))
        self.ocs = Ocs(self.cloud, lambda: self.url)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def opens(self, uid: str, url: str) -> bytes | None:
        """What an account gets that follows the address of a file; None where nothing opens for it."""
        node = self.linked(self.cloud.users[uid], url.removeprefix(self.url))
        return node.content if node and not node.folder else None

    def linked(self, user: User, path: str) -> Node | None:
        """The node behind the address of a file, where this account may read it."""
        file_id = path.rpartition("/")[2]
        return self.cloud.may_read(user, int(file_id)) if path.startswith(_FILE) and file_id.isdecimal() else None

    @contextlib.contextmanager
    def writing(self, method: str, target: str) -> Iterator[bool]:
        """While a body comes: whether another one is on its way to the same name. Facts, 2.6."""
        if method != "PUT":
            yield False
            return
        with self.cloud.lock:
            contested = target in self._arriving
            self._arriving[target] += 1
        try:
            yield contested
        finally:
            with self.cloud.lock:
                self._arriving[target] -= 1
                self._arriving += Counter()

    def answer(self, request: Request) -> Reply:
        """One request to its end."""
        with self.cloud.lock:
            if early := self._by_the_web_server(request):
                return early
            if self.ocs.serves(request.path):
                return self._of_api(request)
            try:
                return self._open(request) or self._private(request)
            except Refused as refused:
                return refused.reply()

    def _by_the_web_server(self, request: Request) -> Reply | None:
        if not self._is_trusted(request):
            return Reply(400, b"<html>Access through untrusted domain</html>", "text/html")
        if "\0" in request.path:
            return Reply(404, b"<html>Not Found</html>", "text/html")
        if request.path == "/status.php":
            told = {"installed": True, "maintenance": self.cloud.settings.maintenance, "needsDbUpgrade": False}
            return _json(200, told | {"versionstring": "32.0.1"})
        return None

    def _open(self, request: Request) -> Reply | None:
        """What needs no login. Raises Refused."""
        if not self._is_open(request):
            return _closed()
        if self.public.serves(request.path):
            return self.public.answer(request)
        return self._page(request)

    def _private(self, request: Request) -> Reply:
        user = _known(self.cloud.login(request))
        self.cloud.seen.append((request.method, request.path, user.id))
        return self._with_session(request, user, self._logged_in(request, user))

    def _is_trusted(self, request: Request) -> bool:
        host = request.header("Host").rpartition(":")[0] or request.header("Host")
        return host in {"127.0.0.1", "localhost"} | self.cloud.settings.trusted_domains

    def _is_open(self, request: Request) -> bool:
        """Facts, 2.6: WebDAV tells of maintenance by an exception, web pages by headers."""
        if not self.cloud.settings.maintenance:
            return True
        if any(part.serves(request.path) for part in self.parts):
            raise Refused(503, "OCA\\DAV\\Exception\\ServerMaintenanceMode", "System is in maintenance mode.")
        return False

    def _of_api(self, request: Request) -> Reply:
        who: list[User | None] = []

        def login(request: Request) -> User | None:
            who.append(self.cloud.login(request))
            return who[0]

        reply = self.ocs.answer(request, login)
        return self._with_session(request, who[0], reply) if who and who[0] else reply

    def _page(self, request: Request) -> Reply | None:
        """What needs no login."""
        match request.path:
            case "/.well-known/webdav":
                return Reply(404)
            case "/.well-known/caldav":
                return Reply(301, headers={"Location": f"{self.url}/remote.php/dav/"})
            case "/index.php/login/v2":  # Facts, 4: nobody ever grants it here.
                token, flow = secrets.token_hex(32), secrets.token_hex(32)
                poll = {"token": token, "endpoint": f"{self.url}/index.php/login/v2/poll"}
                return _json(200, {"poll": poll, "login": f"{self.url}/index.php/login/v2/flow/{flow}"})
            case "/index.php/login/v2/poll":
                return _json(404, [])
        return None

    def _logged_in(self, request: Request, user: User) -> Reply:
        if part := next((part for part in self.parts if part.serves(request.path)), None):
            return part.answer(request, user)
        if request.path.startswith(_FILE):
            node = self.linked(user, request.path)
            if node is None:
                return Reply(404, b"<html>File not found</html>", "text/html")
            folder = node.parent.path if node.parent else ""
            where = f"/apps/files/files/{node.id}?dir={quote('/' + folder)}&openfile=true"
            return Reply(303, headers={"Location": self.url + where})
        return Reply(404, b"<html>Page not found</html>", "text/html")

    def _with_session(self, request: Request, user: User, reply: Reply) -> Reply:
        """Facts, 1.5: whoever sends these back is taken for this account."""
        if not request.header("Cookie"):
            session = secrets.token_hex(13)
            self.cloud.sessions[session] = user.id
            reply.cookies = (
                f"{self.cloud.instance}={session}; path=/; HttpOnly",
                "oc_sessionPassphrase=x; path=/",
                "nc_sameSiteCookielax=true; path=/",
                "nc_sameSiteCookiestrict=true; path=/",
            )
        return reply


def _json(status: int, told: Any) -> Reply:
    return Reply(status, json.dumps(told).encode(), "application/json; charset=utf-8")


def _closed() -> Reply:
    headers = {"X-Nextcloud-Maintenance-Mode": "1", "Retry-After": "120"}
    return Reply(503, b"<html>Maintenance</html>", "text/html", headers)


def _nothing() -> None:
    """Only the connection breaks."""


def _known(user: User | None) -> User:
    if user is None:
        raise Refused(401, f"{SABRE}NotAuthenticated", "No public access to this resource.")
    return user


class _Connection(Wire):
    server_version = "Apache"

    def __init__(self, *arguments: Any, nextcloud: Nextcloud) -> None:
        self._nextcloud = nextcloud
        super().__init__(*arguments)

    def _serve(self) -> None:
        when = self._strike()
        if when == "before":
            self._strike_down()
            return
        announced = self.headers.get("Content-Length", "")
        with self._nextcloud.writing(self.command, self.path) as contested:
            body = self._received()
        torn = announced.isdecimal() and len(body) < int(announced)
        client = self.headers.get("X-Test-Client", self.client_address[0])
        request = Request.of(
            self.command, self.path, self.headers.items(), body, torn=torn, client=client, contested=contested
        )
        reply = self._nextcloud.answer(request)
        if when == "after":
            self._strike_down()
            return
        more = [("X-Request-Id", secrets.token_hex(10)), *(("Set-Cookie", each) for each in reply.cookies)]
        self.close_connection |= torn
        if when == "half":
            self.reply_half(reply.status, reply.content_type, reply.body, *reply.headers.items(), *more)
            return
        self.reply(reply.status, reply.content_type if reply.body else "", reply.body, *reply.headers.items(), *more)

    def _received(self) -> bytes:
        """Facts, 2.1: of a body in chunks that does not end, nothing."""
        try:
            return b"".join(self.body())
        except ValueError:
            self.close_connection = True
            return b""

    def _strike(self) -> str:
        """When this request is broken off; "" where it is not."""
        drops = self._nextcloud.drops
        with self._nextcloud.cloud.lock:
            hit = next((when for number, when in drops if number == 1), "")
            drops[:] = [(number - 1, when) for number, when in drops if number > 1]
        return hit

    def _strike_down(self) -> None:
        self._nextcloud.struck()
        self.drop()

    def __getattr__(self, name: str) -> Any:
        """Every method that a client may think of comes to the same place."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)
