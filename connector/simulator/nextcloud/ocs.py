"""The API for people and shares (facts, 3): accounts, capabilities, shares, sharees, and what passwords must be."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from connector.simulator.nextcloud.capabilities import capabilities, public
from connector.simulator.nextcloud.cloud import GROUP, UNLIMITED, USER, Cloud, User
from connector.simulator.nextcloud.message import OcsRefused, Refused, Reply, Request, ocs
from connector.simulator.nextcloud.passwords import judged, made
from connector.simulator.nextcloud.shares import Shares

_ROOTS = ("/ocs/v1.php/", "/ocs/v2.php/")
_SHARES = "apps/files_sharing/api/v1/shares"
_APP_USERS = "apps/app_api/api/v1/users"
_PASSWORDS = "apps/password_policy/api/v1"
_LIMIT = re.compile(r"apps/files_downloadlimit/api/v1/[^/]+/limit")


class Ocs:
    """The API, for one account."""

    def __init__(self, cloud: Cloud, base: Callable[[], str]) -> None:
        """`base` is the address of the server."""
        self._cloud = cloud
        self._base = base
        self._shares = Shares(cloud, base)

    def serves(self, path: str) -> bool:
        """Whether a path is one of ours."""
        return path.startswith(_ROOTS)

    def answer(self, request: Request, login: Callable[[Request], User | None]) -> Reply:
        """Never raises."""
        version = 1 if request.path.startswith(_ROOTS[0]) else 2
        try:
            return self._good(request, login, version)
        except OcsRefused as refused:
            told = ocs([], version=version, status=refused.status, message=refused.message, code=refused.code)
            business = version == 1 and refused.status not in (401, 429, 503)
            reply = _answered(request, 200 if business else refused.status, told)
            reply.headers |= refused.headers
            return reply

    def _good(self, request: Request, login: Callable[[Request], User | None], version: int) -> Reply:
        path = request.path[len(_ROOTS[0]) :].strip("/")
        self._require_open(request)
        if path == _APP_USERS and self._cloud.app_allowed(request):
            return _answered(request, 200, ocs(list(self._cloud.users), version=version))
        user = login_or_nobody(request, login)
        if path == "cloud/capabilities":
            return self._capabilities(request, user, version)
        if user is None:
            raise OcsRefused(401, "Unauthorised", 997)
        if request.header("OCS-APIRequest").lower() != "true":
            return _json(412, {"message": "CSRF check failed"})
        data = self._perform(request, path, user)
        return data if isinstance(data, Reply) else _answered(request, 200, ocs(data, version=version))

    def _require_open(self, request: Request) -> None:
        if self._cloud.settings.maintenance:
            raise OcsRefused(503, "Service unavailable", X_Nextcloud_Maintenance_Mode="1")
        if self._cloud.blocked(request.client):
            raise OcsRefused(429, "Reached maximum delay")

    def _capabilities(self, request: Request, user: User | None, version: int) -> Reply:
        allowed, failed = request.client in self._cloud.settings.allowed, self._cloud.failed(request.client)
        told = public(allowed=allowed, failed=failed)
        if user:
            told = capabilities(self._cloud.settings, allowed=allowed, failed=failed)
        reply = _answered(request, 200, ocs(told, version=version))
        reply.headers["ETag"] = f'"{hashlib.md5(reply.body, usedforsecurity=False).hexdigest()}"'
        return reply

    def _perform(self, request: Request, path: str, user: User) -> Any:
        values = _values(request)
        if path == _SHARES or path.startswith(f"{_SHARES}/"):
            return self._shares.answer(request, path.removeprefix(_SHARES).strip("/"), user, values)
        if request.method == "PUT" and _LIMIT.fullmatch(path):
            return []
        shortest = self._cloud.settings.password_length
        calls: dict[str, Callable[[], Any]] = {
            "cloud/user": lambda: self._user(user),
            "cloud/users/details": lambda: self._accounts(user, values),
            "core/getapppassword": lambda: self._app_password(request, user),
            "apps/files_sharing/api/v1/sharees": lambda: self._sharees(user, values),
            "apps/dav/api/v1/direct": lambda: self._direct(user, int(values["fileId"])),
            f"{_PASSWORDS}/generate": lambda: {"password": made(shortest)},
            f"{_PASSWORDS}/validate": lambda: judged(values.get("password", ""), shortest),
        }
        if path not in calls:
            raise OcsRefused(404, "Invalid query, please check the syntax.", 998)
        return calls[path]()

    def _accounts(self, user: User, values: Mapping[str, str]) -> dict[str, Any]:
        """Facts, 3: for administrators, by a part of what they are called."""
        if not user.admin:
            raise OcsRefused(403, "Logged in account must be an admin or sub admin")
        wanted = values.get("search", "").lower()
        found = (
            each
            for each in self._cloud.users.values()
            if any(wanted in name.lower() for name in (each.id, each.email, each.name))
        )
        return {"users": {each.id: self._user(each) for each in found}}

    def _user(self, user: User) -> dict[str, Any]:
        used = self._cloud.homes[user.id].size
        free = UNLIMITED if user.quota == UNLIMITED else max(user.quota - used, 0)
        quota = {
            "free": free,
            "used": used,
            "total": UNLIMITED if free == UNLIMITED else user.quota,
            "quota": user.quota,
        }
        return {"id": user.id, "email": user.email, "display-name": user.name, "enabled": user.enabled, "quota": quota}

    def _app_password(self, request: Request, user: User) -> dict[str, str]:
        """Facts, 2.6: only whoever logged in with the account's own password gets one."""
        _, _, told = request.header("Authorization").partition(" ")
        password = base64.b64decode(told).decode().partition(":")[2]
        if password in user.app_passwords:
            raise OcsRefused(403, "app password already exists")
        return {"apppassword": user.app_password()}

    def _direct(self, user: User, file_id: int) -> dict[str, str]:
        """Facts, 2.2: an address that opens a file without a login."""
        node = self._cloud.may_read(user, file_id)
        if node is None or node.folder:
            raise OcsRefused(404, "")
        token = secrets.token_hex(30)
        self._cloud.direct[token] = node
        return {"url": f"{self._base()}/remote.php/direct/{token}"}

    def _sharees(self, asking: User, values: Mapping[str, str]) -> dict[str, Any]:
        """Facts, 3: an address, a display name and an id find an account, in any case.

        Whose address it is says `shareWithDisplayNameUnique`: the account's own, or the id where it has none. The
        address book of the server finds one more, by what people add to their profiles; there, that is the address by
        which it was found [code, UserPlugin and MailPlugin].
        """
        wanted = values.get("search", "").lower()
        found = [each for each in self._cloud.users.values() if _goes_by(each, wanted, asking)]
        users = [
            _sharee(USER, each.id, each.name) | {"shareWithDisplayNameUnique": each.email or each.id, "status": []}
            for each in found
        ]
        in_profiles = (each for each in self._cloud.users.values() if each not in found and each is not asking)
        if added := next((each for each in in_profiles if wanted in map(str.lower, each.added)), None):
            more = {"shareWithDisplayNameUnique": wanted, "uuid": added.id, "name": added.name}
            users.append(_sharee(USER, added.id, f"{added.name} ({wanted})") | more)
        groups = [_sharee(GROUP, name, name) for name in self._cloud.groups if name.lower() == wanted]
        return {"exact": {"users": users, "groups": groups}, "users": [], "groups": []}


def _goes_by(user: User, wanted: str, asking: User) -> bool:
    """Whether an account is found; whoever asks, and whoever is disabled, by their id alone."""
    if user is asking or not user.enabled:
        return user.id.lower() == wanted
    return wanted in (user.id.lower(), user.email.lower(), user.name.lower())


def _sharee(kind: int, name: str, label: str) -> dict[str, Any]:
    return {"label": label, "value": {"shareType": kind, "shareWith": name}}


def login_or_nobody(request: Request, login: Callable[[Request], User | None]) -> User | None:
    """Who asks; None where nobody says so, or says it wrong. Raises OcsRefused for a disabled account."""
    try:
        return login(request)
    except Refused as refused:
        if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise OcsRefused(503, "Account disabled") from None
        raise OcsRefused(401, "Unauthorised", 997) from None


def _values(request: Request) -> dict[str, str]:
    """Of the query and of the body, which may be a form or JSON."""
    values = dict(request.query)
    if "json" in request.header("Content-Type"):
        told = json.loads(request.body or b"{}")
        values |= {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in told.items()}
    elif request.body:
        values |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return values


def _answered(request: Request, status: int, told: Any) -> Reply:
    """Facts, 3: in XML, where nobody asks for JSON."""
    if "json" in request.header("Accept") or request.query.get("format") == "json":
        return _json(status, told)
    body = f'<?xml version="1.0"?>\n{_xml("ocs", told["ocs"])}'
    return Reply(status, body.encode(), "application/xml; charset=utf-8")


def _xml(name: str, told: Any) -> str:
    if isinstance(told, Mapping):
        inner = "".join(_xml(key, value) for key, value in told.items())
    elif isinstance(told, list):
        inner = "".join(_xml("element", each) for each in told)
    else:
        inner = escape("" if told is None else str(int(told) if isinstance(told, bool) else told))
    return f"<{name}>{inner}</{name}>"


def _json(status: int, told: Any) -> Reply:
    return Reply(status, json.dumps(told).encode(), "application/json; charset=utf-8")
