"""Who and what there is: accounts, groups, shares, and what an administrator has set."""

import base64
import binascii
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from connector.simulator.nextcloud.message import SABRE, Refused, Request, forbidden, not_found
from connector.simulator.nextcloud.tree import Node, Trees, check_name, split

USER, GROUP, LINK, MAIL = 0, 1, 3, 4
READ, UPDATE, CREATE, DELETE, RESHARE = 1, 2, 4, 8, 16
ALL = READ | UPDATE | CREATE | DELETE | RESHARE
UNLIMITED = -3
#: Facts, 2.6: so many wrong logins from one address within half an hour, and nobody gets in from there.
_WRONG_LOGINS, _HALF_AN_HOUR = 10, 1800.0
#: Facts, 1.3.
SHARES_AT_ONCE, SHARES_WINDOW = 20, 600.0


@dataclass
class User:
    """An account."""

    id: str
    email: str
    name: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    app_passwords: list[str] = field(default_factory=list)
    enabled: bool = True
    #: In bytes.
    quota: int = UNLIMITED

    def app_password(self) -> str:
        """A new one."""
        self.app_passwords.append(secrets.token_urlsafe(24))
        return self.app_passwords[-1]


@dataclass
class Share:
    """What opens a node to somebody."""

    id: str
    kind: int
    owner: str
    node: Node
    who: str
    permissions: int
    #: As the recipient sees it in his root.
    target: str
    token: str = ""
    password: str = ""
    expires: date | None = None
    note: str = ""
    label: str = ""
    hide_download: bool = False
    attributes: str = "[]"
    mail_send: bool = True


@dataclass
class Settings:
    """What an administrator may set."""

    maintenance: bool = False
    api_enabled: bool = True
    links_enabled: bool = True
    link_password_enforced: bool = False
    link_expiry_days: int | None = None
    link_expiry_enforced: bool = False
    only_group_members: bool = False
    custom_tokens: bool = False
    windows_names: bool = False
    password_length: int = 10
    pretty_links: bool = False
    #: Addresses whose wrong logins do not count, and with `rate_limit_too` whose shares do not either.
    allowed: set[str] = field(default_factory=set)
    rate_limit_too: bool = False
    rate_limits: bool = True
    #: The largest body that the web server takes, in bytes.
    largest_body: int = 1 << 30
    #: Older servers have neither.
    x_hash: bool = True
    recalculate: bool = True
    chunk_hint: int = 104_857_600


class Cloud:
    """One server; whoever changes something holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.instance = "oc8zs8dwm43e"
        self.settings = Settings()
        self.users: dict[str, User] = {}
        self.groups: dict[str, set[str]] = {}
        self.trees = Trees()
        self.homes: dict[str, Node] = {}
        #: Unfinished uploads, by account and name.
        self.uploads: dict[tuple[str, str], dict[str, bytes]] = {}
        self.shares: dict[str, Share] = {}
        self.sessions: dict[str, str] = {}
        #: Method, decoded path and account of every request, in their order.
        self.seen: list[tuple[str, str, str]] = []
        self.ahead = 0.0
        #: Every uploaded body loses its last bit on the disk, after it was hashed.
        self.flips = False
        self._wrong: defaultdict[str, list[float]] = defaultdict(list)
        self._shared: defaultdict[str, list[float]] = defaultdict(list)
        self._numbers = iter(range(1, 10**9))

    # --- what a test does ----------------------------------------------------------------------------------------

    def add_user(self, uid: str, email: str = "", name: str = "") -> User:
        """A new account with an empty home."""
        self.users[uid] = User(uid, email or f"{uid}@example.org", name or uid.title())
        self.homes[uid] = self.trees.root(uid)
        return self.users[uid]

    def add_group(self, name: str, *members: str) -> None:
        """A new group."""
        self.groups[name] = set(members)

    def now(self) -> float:
        """Seconds since 1970, by the server's clock."""
        return time.time() + self.ahead

    def today(self) -> date:
        """By the server's clock."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    # --- who asks ------------------------------------------------------------------------------------------------

    def login(self, request: Request) -> User | None:
        """Who asks; None where nobody says so. Facts, 1.5: a session counts for more than a password.

        Raises Refused for wrong passwords, and for everybody at an address that had too many of them.
        """
        address = request.client
        if self.blocked(address):
            raise Refused(429, "OCA\\DAV\\Connector\\Sabre\\Exception\\TooManyRequests", "")
        cookies = dict(each.strip().partition("=")[::2] for each in request.header("Cookie").split(";") if each.strip())
        if user := self.users.get(self.sessions.get(cookies.get(self.instance, ""), "")):
            return user
        kind, _, told = request.header("Authorization").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(told).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name, password = "", ""
        user = self._known(name, password)
        if user is None:
            if address not in self.settings.allowed:
                self._wrong[address].append(self.now())
            raise Refused(
                401,
                f"{SABRE}NotAuthenticated",
                "No public access to this resource., Username or password was incorrect",
            )
        if not user.enabled:
            raise Refused(503, f"{SABRE}ServiceUnavailable", "OC\\User\\DisabledUserException: Account disabled")
        return user

    def blocked(self, address: str) -> bool:
        """Facts, 1.4: nobody from this address gets in."""
        since = self.now() - _HALF_AN_HOUR
        return sum(when > since for when in self._wrong[address]) > _WRONG_LOGINS

    def _known(self, name: str, password: str) -> User | None:
        """Facts, 2.6: an app password is bound to the name that it was made for."""
        for user in self.users.values():
            if name.lower() == user.id.lower() and (password == user.password or password in user.app_passwords):
                return user
            if name.lower() == user.email.lower() and password == user.password:
                return user
        return None

    def spend_share(self, user: User, address: str) -> bool:
        """Count an attempt to share; whether it may be made. Facts, 1.3."""
        spared = address in self.settings.allowed and self.settings.rate_limit_too
        if spared or not self.settings.rate_limits:
            return True
        since = self.now() - SHARES_WINDOW
        recent = [when for when in self._shared[user.id] if when > since]
        if len(recent) >= SHARES_AT_ONCE:
            self._shared[user.id] = recent
            return False
        self._shared[user.id] = [*recent, self.now()]
        return True

    # --- files ---------------------------------------------------------------------------------------------------

    def find(self, user: User, path: str) -> tuple[Node, int]:
        """What a path of an account leads to, and what it may do there. Raises Refused."""
        names = split(path)
        node, may = self.homes[user.id], ALL
        for depth, name in enumerate(names):
            inside = node.children.get(name)
            if inside is None and depth == 0:
                share = next((each for each in self.received(user) if each.target == f"/{name}"), None)
                inside, may = (share.node, share.permissions) if share else (None, may)
            if inside is None:
                raise not_found(path)
            node = inside
        return node, may

    def place(self, user: User, path: str, *, missing: Refused) -> tuple[Node, int, str]:
        """The folder that a new file is to be in, what may be done there, and its name. Raises Refused."""
        names = split(path)
        for name in names:
            check_name(name, path, windows=self.settings.windows_names)
        try:
            parent, may = self.find(user, "/".join(names[:-1]))
        except Refused:
            raise missing from None
        return parent, may, names[-1]

    def write(self, parent: Node, may: int, name: str, content: bytes) -> tuple[Node, bool]:
        """The file, and whether it is a new one. Raises Refused."""
        there = parent.children.get(name)
        if not may & (UPDATE if there else CREATE):
            raise forbidden()
        if there and there.locked:
            raise locked(there)
        self.require_room(parent, len(content) - (there.size if there else 0), name)
        node = there or self.trees.add(parent, name, folder=False, now=self.now())
        node.content = bytes([*content[:-1], content[-1] ^ 1]) if self.flips and content else content
        node.changed, node.checksum = self.now(), ""
        return node, there is None

    def require_room(self, parent: Node, more: int, name: str) -> None:
        """Facts, 2.6: it is the owner's quota that counts."""
        quota = self.users[parent.owner].quota
        if quota == UNLIMITED or more <= 0:
            return
        left = max(quota - self.homes[parent.owner].size, 0)
        if more > left:
            says = f"Insufficient space in /{name}, {more} required, {left} available"
            raise Refused(507, f"{SABRE}InsufficientStorage", says)

    def remove(self, node: Node) -> None:
        """It is gone, and what opened it."""
        assert node.parent
        del node.parent.children[node.name]
        inside = set(map(id, node.below()))
        self.shares = {key: each for key, each in self.shares.items() if id(each.node) not in inside}

    # --- shares --------------------------------------------------------------------------------------------------

    def number(self) -> str:
        """Of a new share."""
        return str(next(self._numbers))

    def alive(self) -> Iterator[Share]:
        """The shares that have not ended."""
        return (each for each in self.shares.values() if each.expires is None or each.expires > self.today())

    def received(self, user: User) -> Iterator[Share]:
        """What others have shared with an account. Facts, 1.7: only its exact id counts."""
        mine = {name for name, members in self.groups.items() if user.id in members}
        for each in self.alive():
            if (each.kind == USER and each.who == user.id) or (each.kind == GROUP and each.who in mine):
                yield each

    def may_read(self, user: User, file_id: int) -> Node | None:
        """A node by its id, where this account may read it."""
        roots = [self.homes[user.id], *(share.node for share in self.received(user) if share.permissions & READ)]
        return next((node for root in roots for node in root.below() if node.id == file_id), None)

    def expiry(self, days: int) -> date:
        """So many days from now."""
        return self.today() + timedelta(days=days)


def locked(node: Node) -> Refused:
    """Facts, 2.6."""
    return Refused(423, "OCA\\DAV\\Connector\\Sabre\\Exception\\FileLocked", f'"/{node.path}" is locked')
