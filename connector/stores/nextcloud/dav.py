"""Nextcloud's WebDAV: its own headers and properties, and what its refusals mean, which their status alone does not."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from connector.errors import Conflict, ConnectorError, Denied, Rejected, Unavailable
from connector.stores.dav import Answer, DavClient, WrongPassword, parsed
from connector.stores.nextcloud.login import Login

#: After eleven wrong logins within 30 minutes the server refuses everybody at our address.
BLOCKED = timedelta(minutes=30)
#: Maintenance takes minutes, and nothing says how many.
MAINTENANCE = timedelta(minutes=5)
_NAMESPACE = "{http://sabredav.org/ns}"
_PROPERTIES = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:" xmlns:oc="http://owncloud.org/ns">
<prop><resourcetype/><getcontentlength/><getetag/><oc:fileid/></prop></propfind>"""


class QuotaUsedUp(Unavailable):
    """That of the account that owns the folder: others are not full."""


_BY_ANOTHER = "the file is locked by another request"
#: By a word of the exception: the reaction, and what to tell. A lock comes as 423 or as 500, for instance, and a
#: disabled account as 503.
_REACTIONS: Mapping[str, tuple[type[ConnectorError], str]] = {
    "FileLocked": (Conflict, _BY_ANOTHER),
    "LockedException": (Conflict, _BY_ANOTHER),
    "DisabledUser": (Denied, "the account is disabled; enable it, or name another one"),
    "InvalidPath": (Rejected, "it does not allow the name of a file, or of a folder above it"),
    "InsufficientStorage": (QuotaUsedUp, "the quota of the account that owns the folder is used up; raise it"),
}
#: Likewise: what to tell, and when to come again.
_UNAVAILABLE: Mapping[str, tuple[str, timedelta]] = {
    "ServerMaintenanceMode": ("it is in maintenance mode", MAINTENANCE),
    "TooManyRequests": (
        "it refuses everybody at our address after wrong logins; allow that address in its brute-force settings",
        BLOCKED,
    ),
}
#: What a status is taken for where no exception comes with it.
_PLAIN = {423: "FileLocked", 429: "TooManyRequests", 507: "InsufficientStorage"}


class NextcloudDav(DavClient):
    """One account's files, or its unfinished uploads."""

    properties = _PROPERTIES

    def __init__(self, url: str, *, login: Login, ca: Path | None, timeout: float) -> None:
        """See `DavClient`."""
        super().__init__(url, auth=login, ca=ca, timeout=timeout)
        self._login = login
        self.requests["hash"] = "PATCH"

    def refused(self, method: str, answer: Answer) -> ConnectorError:
        """Told by the name of the exception, where there is one."""
        told = translated(f"{self.host} answers {method}", answer, self._login)
        return told or super().refused(method, answer)


def translated(said: str, answer: Answer, login: Login) -> ConnectorError | None:
    """A refusal that is Nextcloud's own; None for one that any server may give."""
    told = _told(answer.body) or _PLAIN.get(answer.status, "")
    said = f"{said} with {answer.status}"
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return WrongPassword(f"{said}: {login.refused}")
    for word, (reaction, why) in _REACTIONS.items():
        if word in told:
            return reaction(f"{said}: {why}")
    for word, (why, wait) in _UNAVAILABLE.items():
        if word in told:
            return Unavailable(f"{said}: {why}", wait)
    return None


def _told(body: bytes) -> str:
    """The exception and the message in the body of an error; "" where there is none."""
    root = parsed(body)
    if root is None:
        return ""
    return " ".join(root.findtext(f"{_NAMESPACE}{name}", "") for name in ("exception", "message")).strip()
