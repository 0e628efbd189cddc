"""Nextcloud's own API (OCS, version 2) as far as shares and people need it.

No cookies are kept: with those of one account, a request runs as that account whatever its password says.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from connector.config.readers import GROUP, USER, Reader
from connector.errors import Conflict, ConnectorError, Denied, Exhausted, Rejected, Unavailable
from connector.stores.dav import Answer, distrust, refusal
from connector.stores.nextcloud.dav import MAINTENANCE, translated
from connector.stores.nextcloud.login import Login

JSON = Any

LINK = 3
_KINDS = {USER: 0, GROUP: 1}
READ, RESHARE, ALL = 1, 16, 31
_SHARES = "apps/files_sharing/api/v1/shares"
_VALIDATION = "apps/password_policy/api/v1/validate"
#: By which name whoever has a link and its password logs in.
_ANYONE = "anonymous"
_SHAREES = "apps/files_sharing/api/v1/sharees"
#: In which the 20 shares count.
WINDOW = timedelta(minutes=10)
_NO_MORE = (
    "an account may make 20 shares in 10 minutes; the others follow by themselves, and sooner where our address is"
    " allowed in its brute-force settings, rate limit included"
)
_SHUT = "should that be for wrong passwords of links that came from our address, allow it in the brute-force settings"
_AS_A_PAGE = {"X-Requested-With": "XMLHttpRequest"}
_OF_THE_LOGIN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
#: How many characters of what a server says are told on.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Share:
    """What opens a folder to somebody."""

    id: str
    kind: int
    #: "" where it is whoever has the address.
    who: str
    permissions: int
    label: str
    #: The secret part of the address; "" where there is none.
    token: str
    password: bool
    #: At the beginning of this day it ends; None: it never does.
    ends: date | None
    #: What is shared, as the account that asks sees it; and where it was put for whom it is shared with.
    path: str
    target: str

    @property
    def reader(self) -> Reader | None:
        """Whom it lets in; None where that is neither an account nor a group."""
        return next((Reader(word, self.who) for word, number in _KINDS.items() if number == self.kind), None)


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """What public links have to be, by the settings of the server."""

    allowed: bool
    password: bool
    #: They must end within so many days; None: they need not end.
    days: int | None


class Ocs:
    """One account. For one thread."""

    def __init__(
        self, url: str, user: str, *, login: Login, folder: str, trust: ssl.SSLContext, timeout: float
    ) -> None:
        """`url` is that of the server, with a slash at its end. Nothing is sent yet.

        `folder` of the account is what paths are relative to.
        """
        self.host = urlsplit(url).netloc
        self._folder = folder
        self._public = f"{url}public.php/dav/files/"
        self._pages = f"{url}index.php/s/"
        self._files = f"{url}remote.php/dav/files/{quote(user)}"
        self.user = user
        self._login = login
        self._client = httpx.Client(
            base_url=f"{url}ocs/v2.php/",
            auth=login,
            headers={"OCS-APIRequest": "true", "Accept": "application/json", "User-Agent": "connector"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            verify=trust,
            timeout=timeout,
        )

    def shares(self, path: str) -> tuple[Share, ...]:
        """Those of this very folder, whoever made them. None where the folder does not exist."""
        told = self._ask("GET", _SHARES, {"path": self._path(path), "reshares": "true"}, absent=None)
        if told is None and self._has(path):
            raise Unavailable(
                f"{self.host} does not list the shares of a folder: another request has locked it, or no app may share"
                " by the API, in its administration settings under Sharing"
            )
        return tuple(map(_share, told or ()))

    def links_below(self, path: str) -> bool:
        """Whether there are public links to this folder, or to anything in it."""
        inside = f"{self._path(path)}/"
        return any(share.kind == LINK and f"{share.path}/".startswith(inside) for share in self._all())

    def received(self, share_id: str) -> str | None:
        """Where the account sees what somebody shares with it; None where it does not."""
        told = map(_share, self._ask("GET", _SHARES, {"shared_with_me": "true"}))
        return next((share.target.strip("/") for share in told if share.id == share_id), None)

    def accept(self, share_id: str) -> None:
        """Take what somebody shares with the account, where the server asks people first. Repeated, nothing changes."""
        self._ask("POST", f"{_SHARES}/pending/{share_id}")

    def _all(self) -> Iterator[Share]:
        """Those of whatever the account has, whoever made them."""
        return map(_share, self._ask("GET", _SHARES, {"reshares": "true"}))

    def share(self, path: str, reader: Reader, permissions: int = READ) -> Share:
        """Let somebody read below a folder, or do more there. Made again: the same share.

        It may end all the same, where servers enforce that or are older than version 30, see `lasting`. No mail is sent
        about it. Raises Exhausted where no more may be made for now: 20 in 10 minutes by one account.
        """
        wanted = {
            "path": self._path(path),
            "shareType": _KINDS[reader.kind],
            "shareWith": reader.id,
            "permissions": permissions,
            "expireDate": _day(None),
        }
        return _share(self._ask("POST", _SHARES, {**wanted, "sendMail": "false"}))

    def lasting(self, share_id: str) -> Share:
        """Have a share with people never end. Raises Rejected where the server has them all end."""
        return _share(self._ask("PUT", f"{_SHARES}/{share_id}", {"expireDate": _day(None)}))

    def link(self, path: str, label: str, note: str, ends: date | None, password: str) -> Share:
        """Let anyone read below a folder who has the address, and the password if there is one.

        Made again: another address. Raises Exhausted as `share` does.
        """
        wanted = {"path": self._path(path), "shareType": LINK, "permissions": READ, "label": label, "note": note}
        return _share(self._ask("POST", _SHARES, {**wanted, "expireDate": _day(ends), "password": password}))

    def change(self, share_id: str, ends: date | None, password: str) -> Share:
        """Have a public link let read and nothing else, ask for this password or none, and end on this day."""
        wanted = {"permissions": READ, "password": password, "expireDate": _day(ends)}
        return _share(self._ask("PUT", f"{_SHARES}/{share_id}", wanted))

    def why_not(self, password: str) -> str:
        """What the server's rules for passwords say against one; "" where nothing, or where it has no rules."""
        told = self._ask("POST", _VALIDATION, {"password": password}, absent={"passed": True})
        return "" if told.get("passed") else _on_one_line(told.get("reason") or "it breaks its rules for passwords")

    def unshare(self, share_id: str) -> None:
        """End a share. Absent counts as ended; it is looked for, for the API calls what is locked absent too.

        Raises Conflict where it is.
        """
        told = self._ask("DELETE", f"{_SHARES}/{share_id}", absent=None)
        if told is None and any(share.id == share_id for share in self._all()):
            raise Conflict(f"{self.host} does not end a share: another request has locked what is shared")

    def has(self, reader: Reader) -> bool:
        """Whether there is an account or a group of exactly this id.

        To share with a name that the server only nearly knows makes a share that nobody sees.
        """
        return reader.id in self._found(reader.kind, reader.id)

    def holders(self, address: str) -> frozenset[Reader]:
        """The accounts whose e-mail address this is, or whose id, where they have no address.

        Whoever takes it for a display name, or adds it to a profile, is found by it too: each is asked for by its id
        again. What stands beside that is the address which the account itself has (Nextcloud's UserPlugin.php).
        """
        ids = [each for each in self._found(USER, address) if self._email(each).lower() == address.lower()]
        return frozenset(Reader(USER, each) for each in ids)

    def account(self) -> str:
        """The id of the account."""
        return str(self._ask("GET", "cloud/user")["id"])

    def allows_us(self) -> bool:
        """Whether our address is spared from the limits that attackers meet."""
        return bool(self._capability("bruteforce").get("allow-listed"))

    def link_policy(self) -> LinkPolicy:
        """What public links have to be."""
        told = self._capability("files_sharing")
        public = told.get("public") or {}
        expiry = public.get("expire_date") or {}
        return LinkPolicy(
            allowed=bool(told.get("api_enabled") and public.get("enabled")),
            password=bool((public.get("password") or {}).get("enforced")),
            days=int(expiry["days"]) if expiry.get("enforced") else None,
        )

    def days_to_live(self) -> int | None:
        """Within how many days shares with people must end; None: they need not, or the server does not say.

        It does not where it allows no public links (Nextcloud's Capabilities.php).
        """
        expiry = (self._capability("files_sharing").get("public") or {}).get("expire_date_internal") or {}
        return int(expiry["days"]) if expiry.get("enforced") else None

    def tried(self, method: str, token: str, name: str, password: str) -> int:
        """What anyone is told who tries this with a file behind a public link: the status. Without a password: "".

        Raises Exhausted where nobody is told anything: whatever else the account does goes on.
        """
        url = f"{self._public}{token}/{quote(name)}"
        auth = httpx.BasicAuth(_ANYONE, password) if password else None
        # Where links are not open to other servers, whoever says nothing of this kind hears 401, whatever he may do.
        return self._by_anyone(method, url, auth=auth, content=b"", headers=_AS_A_PAGE)

    def page(self, token: str) -> int:
        """What anyone is told who opens the page of a public link, and says no password: the status.

        To come to a file without one counts as a guess, and eleven of them shut out our address; this does not
        (Nextcloud's PublicAuth.php and PublicShareMiddleware.php). Raises Exhausted as `tried` does.
        """
        return self._by_anyone("GET", f"{self._pages}{token}", auth=None)

    def _by_anyone(self, method: str, url: str, **more: Any) -> int:
        status = self._send(method, url, **more).status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Exhausted(
                f"{self.host} answers anyone's {method} through a public link with {status}: {_SHUT}", WINDOW
            )
        return status

    def _has(self, path: str) -> bool:
        """Whether something is there: WebDAV tells it from what is locked, and from an API that is switched off."""
        response = self._send("PROPFIND", f"{self._files}{quote(self._path(path))}", headers={"Depth": "0"})
        if response.status_code not in (HTTPStatus.MULTI_STATUS, HTTPStatus.NOT_FOUND):
            raise self._refused("PROPFIND", response)
        return response.status_code == HTTPStatus.MULTI_STATUS

    def _path(self, path: str) -> str:
        """A path as the API has it: below the root of the account."""
        return f"/{self._folder}/{path}".replace("//", "/")

    def _email(self, account: str) -> str:
        """Its e-mail address; its id, where it has none."""
        return self._found(USER, account).get(account, "")

    def _found(self, kind: str, name: str) -> Mapping[str, str]:
        """The ids of whoever goes by exactly this name, in any case, and what the server tells them apart by."""
        asked = {"search": name, "itemType": "folder", "lookup": "false"}
        found = self._ask("GET", _SHAREES, asked).get("exact", {}).get("groups" if kind == GROUP else "users", ())
        return {str(each["value"]["shareWith"]): str(each.get("shareWithDisplayNameUnique", "")) for each in found}

    def _capability(self, of: str) -> Mapping[str, JSON]:
        told: Mapping[str, JSON] = self._ask("GET", "cloud/capabilities")["capabilities"].get(of, {})
        return told

    def _send(self, method: str, url: str, **more: Any) -> httpx.Response:
        try:
            return self._client.request(method, url, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = distrust(self.host, error)
            raise told or Unavailable(
                f"{self.host} cannot be reached, or broke off ({type(error).__name__})"
            ) from error

    def _ask(self, method: str, path: str, values: Mapping[str, object] | None = None, **absent: JSON) -> JSON:
        """The data of an answer; `absent`, where given, for what does not exist."""
        if method == "GET":
            response = self._send(method, path, params={key: str(value) for key, value in (values or {}).items()})
        else:
            response = self._send(method, path, json=values)
        if response.status_code == HTTPStatus.NOT_FOUND and absent:
            return absent["absent"]
        if response.status_code != HTTPStatus.OK:
            raise self._refused(method, response)
        try:
            return response.json()["ocs"]["data"]
        except (ValueError, KeyError, TypeError):
            raise Denied(
                f"{self.host} answers {method} with something that is not Nextcloud's API: that is a login page, or"
                " another server"
            ) from None

    def _refused(self, method: str, response: httpx.Response) -> ConnectorError:
        said = f"{self.host} answers {method} of its API"
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS and method == "POST" and not response.content:
            return Exhausted(f"{said} with {status}: {_NO_MORE}", WINDOW)
        if status == HTTPStatus.SERVICE_UNAVAILABLE and response.headers.get("X-Nextcloud-Maintenance-Mode"):
            return Unavailable(f"{said} with {status}: it is in maintenance mode", MAINTENANCE)
        answer = Answer(status, response.headers, b"")
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _OF_THE_LOGIN:
            return Rejected(f"{said} with {status}: {_message(response) or 'it will not take that'}")
        return translated(said, answer, self._login) or refusal(self.host, f"{method} of its API", answer)


def _share(told: JSON) -> Share:
    kind, ends = int(told["share_type"]), told.get("expiration")
    return Share(
        id=str(told["id"]),
        kind=kind,
        # Of a public link, it is the hash of its password.
        who="" if kind == LINK else str(told["share_with"]),
        permissions=int(told["permissions"]),
        label=str(told.get("label") or ""),
        token=str(told.get("token") or ""),
        password=bool(told.get("password")),
        ends=date.fromisoformat(str(ends)[:10]) if ends else None,
        path=str(told.get("path") or ""),
        target=str(told.get("file_target") or ""),
    )


def _day(ends: date | None) -> str:
    """With nothing, a share never ends; where nothing is said at all, it does as the server likes."""
    return ends.isoformat() if ends else ""


def _message(response: httpx.Response) -> str:
    """What the server says to people, on one line."""
    try:
        told = response.json()["ocs"]["meta"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return _on_one_line(told or "")


def _on_one_line(told: object) -> str:
    return " ".join(str(told).split())[:_LONGEST]
