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

from connector.simulator.nextcloud.message import OCA, SABRE, Refused, Request, forbidden, not_found
from connector.simulator.nextcloud.tree import Node, Trees, check_name, split, touch

USER, GROUP, LINK, MAIL = 0, 1, 3, 4
READ, UPDATE, CREATE, DELETE, RESHARE = 1, 2, 4, 8, 16
ALL = READ | UPDATE | CREATE | DELETE | RESHARE
UNLIMITED = -3
#: Facts, 2.6: so many wrong logins from one address within half an hour, and nobody gets in from there.
_WRONG_LOGINS, _HALF_AN_HOUR = 10, 1800.0
_A_DAY = 86400.0
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
    admin: bool = False
    #: Addresses in her profile beside `email`: nobody proves that they are hers.
    added: list[str] = field(default_factory=list)
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
    #: It is nowhere yet: whom it is shared with has not said that he wants it.
    pending: bool = False


@dataclass
class Trashed:
    """What was deleted, with all that was in it."""

    node: Node
    #: Where it was, below the root of its owner.
    location: str
    when: int

    @property
    def name(self) -> str:
        """Which no other one in the trash has, but what goes by the same name within a second [I]."""
        return f"{self.node.name}.d{self.when}"


@dataclass
class Tag:
    """A word that files bear."""

    id: str
    name: str
    #: Whether everybody may put it on files.
    assignable: bool = True


@dataclass
class Settings:
    """What an administrator may set."""

    maintenance: bool = False
    api_enabled: bool = True
    links_enabled: bool = True
    link_password_enforced: bool = False
    link_expiry_days: int | None = None
    link_expiry_enforced: bool = False
    internal_expiry_days: int | None = None
    internal_expiry_enforced: bool = False
    #: Whoever shares with people may say that it is for ever; before version 30, only afterwards [code].
    never_ending: bool = True
    only_group_members: bool = False
    #: People say first whether they want what is shared with them; of groups, nobody here has to [code].
    accept_first: bool = False
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
    #: Chunks of uploads are numbered, and every request tells where to: with Redis and an object store [code].
    strict_chunks: bool = False
    #: Public links are open to other servers; without that, nothing but GET is, unless a page asks [code].
    federation: bool = True
    #: A tag that is on a file already can be put on it again [I].
    tags_twice: bool = False
    #: Read-only links let anybody write and delete: seen in Team folders (facts, operations, 1.11).
    writable_links: bool = False
    #: What is deleted goes into the trash; the app may be off, or keep people from emptying theirs [code].
    trash: bool = True
    trash_may_be_emptied: bool = True
    #: The names that the server goes by, beside 127.0.0.1 and localhost.
    trusted_domains: set[str] = field(default_factory=set)


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
        #: Method, decoded path and account of every request but those of the API, in their order.
        self.seen: list[tuple[str, str, str]] = []
        self.ahead = 0.0
        #: Files behind addresses that need no login.
        self.direct: dict[str, Node] = {}
        #: AppAPI: the secret of each app that is registered.
        self.apps: dict[str, str] = {}
        #: When something last happened to an unfinished upload.
        self.touched: dict[tuple[str, str], float] = {}
        #: Every uploaded body loses its last bit on the disk, after it was hashed.
        self.flips = False
        #: Likewise, half of it is lost.
        self.shortens = False
        #: What was deleted, by the account that it belonged to.
        self.trash: defaultdict[str, list[Trashed]] = defaultdict(list)
        self.tags: list[Tag] = []
        self._wrong: defaultdict[str, list[float]] = defaultdict(list)
        #: When somebody at an address came to the files of a link without its password, or with a wrong one.
        self._guessed: defaultdict[str, list[float]] = defaultdict(list)
        self._shared: defaultdict[str, list[float]] = defaultdict(list)
        self._stopped: float | None = None
        #: The next request by this method loses a race, and hears this status.
        self._losing: dict[str, int] = {}
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

    def add_tag(self, name: str, *, assignable: bool = True) -> Tag:
        """A new system tag."""
        self.tags.append(Tag(self.number(), name, assignable))
        return self.tags[-1]

    def now(self) -> float:
        """Seconds since 1970, by the server's clock."""
        return (time.time() if self._stopped is None else self._stopped) + self.ahead

    def stop_clock(self) -> None:
        """Time passes only by `ahead` from now on."""
        self._stopped = time.time()

    def lock_file(self, uid: str, path: str, *, locked: bool = True) -> None:
        """Somebody else's request is at work on it, or is done."""
        self.find(self.users[uid], path)[0].locked = locked

    def lose_races(self, method: str, status: int) -> None:
        """The next request by this method meets another one at the same name, and is refused with this status."""
        self._losing[method] = status

    def remove_user(self, uid: str) -> None:
        """An account goes, with its files and with the shares that it made."""
        for node in list(self.homes[uid].children.values()):
            self.remove(node)
        del self.users[uid], self.homes[uid]
        for members in self.groups.values():
            members.discard(uid)

    def today(self) -> date:
        """By the server's clock."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    # --- who asks ------------------------------------------------------------------------------------------------

    def login(self, request: Request) -> User | None:
        """Who asks; None where nobody says so. Facts, 1.5: a session counts for more than a password.

        Raises Refused for wrong passwords, and for everybody at an address that had too many of them.
        """
        address = request.client
        if "AUTHORIZATION-APP-API" in request:
            return self._by_app(request)
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

    def app_allowed(self, request: Request) -> bool:
        """AppAPI (facts, 5): whether an app that is registered asks, and says all it has to."""
        secret = self.apps.get(request.header("EX-APP-ID"))
        complete = all(name in request for name in ("EX-APP-VERSION", "AA-VERSION"))
        return complete and secret is not None and _of_app(request)[1] == secret

    def _by_app(self, request: Request) -> User:
        """Facts, 1.6: as whomever it likes."""
        user = self.users.get(_of_app(request)[0])
        if not self.app_allowed(request) or user is None:
            raise Refused(401, f"{SABRE}NotAuthenticated", "not authenticated")
        return user

    def blocked(self, address: str) -> bool:
        """Facts, 1.4: nobody from this address gets in."""
        return self.failed(address) > _WRONG_LOGINS

    def failed(self, address: str) -> int:
        """How many wrong logins came from an address within half an hour."""
        return self._lately(self._wrong[address])

    def guess(self, address: str) -> None:
        """Somebody at an address did not say the password of a link. Versions after 31 count who says none twice."""
        if address not in self.settings.allowed:
            self._guessed[address].append(self.now())

    def shut_out(self, address: str) -> bool:
        """Nobody from this address gets the files of links: that is counted by itself [code, PublicAuth]."""
        return address not in self.settings.allowed and self._lately(self._guessed[address]) > _WRONG_LOGINS

    def _lately(self, times: list[float]) -> int:
        since = self.now() - _HALF_AN_HOUR
        return sum(when > since for when in times)

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

    def lose(self, request: Request) -> None:
        """Raise Refused where this request was told to lose a race. Facts, 2.6."""
        match self._losing.pop(request.method, None):
            case 403:
                raise forbidden()
            case 423:
                raise locked(request.path)
            case 500:
                raise Refused(500, "OCP\\Lock\\LockedException", f'"{request.path}" is locked')

    def forget_old_uploads(self) -> None:
        """Facts, 2.4: after a day in which nothing happened."""
        for key, when in list(self.touched.items()):
            if when < self.now() - _A_DAY:
                self.uploads.pop(key, None)
                del self.touched[key]

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

    def write(self, parent: Node, may: int, name: str, content: bytes, *, measured: bool = True) -> tuple[Node, bool]:
        """The file, and whether it is a new one; its size is held against the quota if it was told. Raises Refused."""
        there = parent.children.get(name)
        if not may & (UPDATE if there else CREATE):
            raise forbidden()
        if there and there.locked:
            raise locked(there)
        if measured:
            self.require_room(parent.owner, len(content) - (there.size if there else 0), name)
        node = there or self.trees.add(parent, name, folder=False, now=self.now())
        node.wrote(self._kept(content), self.now())
        return node, there is None

    def _kept(self, content: bytes) -> bytes:
        """What the disk makes of it."""
        if self.shortens:
            return content[: len(content) // 2]
        return content[:-1] + bytes([content[-1] ^ 1]) if self.flips and content else content

    def left(self, uid: str) -> int:
        """How many bytes of an account's quota are left."""
        quota = self.users[uid].quota
        return UNLIMITED if quota == UNLIMITED else max(quota - self.homes[uid].size, 0)

    def file_id(self, node: Node) -> str:
        """Facts, 2.1: with the id of the server."""
        return f"{node.id:08}{self.instance}"

    def require_room(self, uid: str, more: int, name: str) -> None:
        """Facts, 2.6: it is the owner's quota that counts."""
        left = self.left(uid)
        if more > 0 and left != UNLIMITED and more > left:
            says = f"Insufficient space in /{name}, {more} required, {left} available"
            raise Refused(507, f"{SABRE}InsufficientStorage", says)

    def remove(self, node: Node) -> None:
        """It is gone, and what opened it."""
        assert node.parent
        del node.parent.children[node.name]
        touch(node.parent)
        inside = set(map(id, node.below()))
        self.shares = {key: each for key, each in self.shares.items() if id(each.node) not in inside}

    def throw_away(self, node: Node) -> None:
        """It goes into the trash of whom it belongs to, with its versions."""
        location, when = node.path, int(self.now())
        self.remove(node)
        if self.settings.trash:
            self.trash[node.owner].append(Trashed(node, location, when))

    # --- shares --------------------------------------------------------------------------------------------------

    def number(self) -> str:
        """Of a new share or tag."""
        return str(next(self._numbers))

    def alive(self) -> Iterator[Share]:
        """The shares that have not ended."""
        return (each for each in self.shares.values() if each.expires is None or each.expires > self.today())

    def received(self, user: User) -> Iterator[Share]:
        """What others have shared with an account. Facts, 1.7: only its exact id counts."""
        mine = {name for name, members in self.groups.items() if user.id in members}
        for each in self.alive():
            if (each.kind == USER and each.who == user.id and not each.pending) or (
                each.kind == GROUP and each.who in mine
            ):
                yield each

    def may_read(self, user: User, file_id: int) -> Node | None:
        """A node by its id, where this account may read it."""
        roots = [self.homes[user.id], *(share.node for share in self.received(user) if share.permissions & READ)]
        return next((node for root in roots for node in root.below() if node.id == file_id), None)

    def expiry(self, days: int) -> date:
        """So many days from now."""
        return self.today() + timedelta(days=days)


def _of_app(request: Request) -> tuple[str, str]:
    """As whom an app acts, and its secret."""
    try:
        name, _, secret = base64.b64decode(request.header("AUTHORIZATION-APP-API")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def locked(what: Node | str) -> Refused:
    """Facts, 2.6."""
    path = what if isinstance(what, str) else what.path
    return Refused(423, f"{OCA}FileLocked", f'"/{path.strip("/")}" is locked')
