"""Shares (facts, 1.3, 1.7, 1.8 and 3)."""

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from connector.simulator.nextcloud.cloud import (
    ALL,
    CREATE,
    LINK,
    MAIL,
    READ,
    RESHARE,
    USER,
    Cloud,
    Share,
    User,
)
from connector.simulator.nextcloud.message import OcsRefused, Refused, Reply, Request
from connector.simulator.nextcloud.passwords import why_not
from connector.simulator.nextcloud.tree import Node

_LONGEST_LABEL = 255
_WRONG_PATH = "Wrong path, file/folder does not exist"
_BACK_ENDS = {10: "Sharing failed, the back end does not support room shares"}
#: Facts, 3: what update takes.
_CHANGEABLE = frozenset(
    {"permissions", "password", "publicUpload", "expireDate", "note", "label", "hideDownload", "attributes", "token"}
)


class Shares:
    """The API of files_sharing, for one account."""

    def __init__(self, cloud: Cloud, base: Callable[[], str]) -> None:
        """`base` is the address of the server."""
        self._cloud = cloud
        self._base = base

    def answer(self, request: Request, share_id: str, user: User, values: Mapping[str, str]) -> Any:
        """The data, or a reply that has no envelope. Raises OcsRefused."""
        if not self._cloud.settings.api_enabled:
            raise OcsRefused(404, "Share API is disabled")
        match request.method, bool(share_id):
            case "POST", False:
                if not self._cloud.spend_share(user, request.client):
                    return Reply(429, b"", "")
                return self._told(self._create(user, values))
            case "POST", True:
                return self._accept(user, share_id.removeprefix("pending/"))
            case "GET", _:
                return [self._told(self._own(user, share_id))] if share_id else self._list(user, values)
            case "PUT", True:
                return self._told(self._update(user, self._own(user, share_id), values))
            case "DELETE", True:
                self._delete(user, share_id)
                return []
        raise OcsRefused(405, "Method not allowed")

    def _create(self, user: User, values: Mapping[str, str]) -> Share:
        cloud, kind = self._cloud, int(values.get("shareType", "-1"))
        node, may = self._node(user, values.get("path", ""))
        permissions = int(values.get("permissions", ALL if node.folder else ALL & ~CREATE & ~8)) & may
        who = values.get("shareWith", "")
        if node.locked:  # Read in the code.
            raise OcsRefused(404, "Could not create share")
        share = Share(cloud.number(), kind, user.id, node, who, permissions, f"/{node.name}")
        if len(values.get("label", "")) > _LONGEST_LABEL:
            raise OcsRefused(400, f"Maximum label length is {_LONGEST_LABEL}")
        share.label, share.note = values.get("label", ""), values.get("note", "")
        share.attributes = _attributes(values.get("attributes", "[]"))
        share.mail_send = values.get("sendMail", "true").lower() not in ("false", "0")
        share.expires = self._expiry(share, values.get("expireDate"))
        match kind:
            case 0:
                return self._kept(self._with_user(user, share))
            case 1:
                return self._kept(self._with_group(user, share))
            case 3:
                return self._kept(self._by_link(share, values))
            case 4:
                return self._kept(self._by_mail(share, values))
            case 6 | 10:  # Neither a server that can be reached nor Talk is there.
                raise OcsRefused(403, _BACK_ENDS.get(kind, "Failed to create share."))
            case 7:
                raise OcsRefused(500, "Internal Server Error", 996)
        raise OcsRefused(400, "Unknown share type")

    def _kept(self, share: Share) -> Share:
        self._cloud.shares[share.id] = share
        return share

    def _node(self, user: User, path: str) -> tuple[Node, int]:
        if not path:
            raise OcsRefused(404, "Please specify a file or folder path")
        try:
            return self._cloud.find(user, path)
        except Refused:
            raise OcsRefused(404, _WRONG_PATH) from None

    def _again(self, share: Share) -> Share:
        """Facts, 1.8: the same share for the same recipient."""
        same = (
            each
            for each in self._cloud.alive()
            if (each.kind, each.who, each.node, each.owner) == (share.kind, share.who, share.node, share.owner)
        )
        found = next(same, share)
        found.mail_send = share.mail_send and found is share
        return found

    def _with_user(self, user: User, share: Share) -> Share:
        """Facts, 1.7: an address, and an id in the wrong case, make a share that nobody sees."""
        known = {each.lower() for each in self._cloud.users} | {
            each.email.lower() for each in self._cloud.users.values()
        }
        if share.who == user.id:
            raise OcsRefused(403, "Cannot share with yourself")
        if share.who.lower() not in known:
            raise OcsRefused(404, "Please specify a valid account to share with")
        share.pending = self._cloud.settings.accept_first
        return self._again(share)

    def _accept(self, user: User, share_id: str) -> list[str]:
        share = self._cloud.shares.get(share_id)
        if share is None or (share.kind, share.who) != (USER, user.id):
            raise OcsRefused(404, "Wrong share ID, share does not exist")
        share.pending = False
        return []

    def _with_group(self, user: User, share: Share) -> Share:
        if share.who not in self._cloud.groups:
            raise OcsRefused(404, "Please specify a valid group")
        if self._cloud.settings.only_group_members and user.id not in self._cloud.groups[share.who]:
            raise OcsRefused(403, "Failed to create share.")
        return self._again(share)

    def _by_link(self, share: Share, values: Mapping[str, str]) -> Share:
        settings = self._cloud.settings
        if not settings.links_enabled:
            raise OcsRefused(404, "Public link sharing is disabled by the administrator")
        asked = int(values.get("permissions", READ))
        if share.node.folder:
            share.permissions = ALL if asked & CREATE and asked & READ else asked | (RESHARE if asked & READ else 0)
        elif values.get("publicUpload", "").lower() == "true":
            raise OcsRefused(400, "Public upload is only possible for publicly shared folders")
        elif not asked & READ:
            raise OcsRefused(400, "Share must at least have READ or CREATE permissions")
        else:
            share.permissions = READ | RESHARE | (asked & 2)
        share.password = self._password(values.get("password", ""))
        share.token, share.who = secrets.token_urlsafe(12)[:15].replace("-", "a").replace("_", "b"), ""
        return share

    def _by_mail(self, share: Share, values: Mapping[str, str]) -> Share:
        if "@" not in share.who:
            raise OcsRefused(404, "Please specify a valid email address")
        if self._again(share) is not share:
            raise OcsRefused(403, "Failed to create share.")
        share.password = self._password(values.get("password", ""))
        share.token = secrets.token_hex(8)[:15]
        return share

    def _password(self, password: str) -> str:
        if not password:
            if self._cloud.settings.link_password_enforced:
                raise OcsRefused(403, "Passwords are enforced for link and mail shares")
            return ""
        if wrong := why_not(password, self._cloud.settings.password_length):
            raise OcsRefused(400, wrong)
        return password

    def _policy(self, share: Share) -> tuple[int | None, bool]:
        """After how many days it ends, where nothing else is asked for; and whether it must."""
        settings = self._cloud.settings
        if share.kind in (LINK, MAIL):
            return settings.link_expiry_days, settings.link_expiry_enforced
        return settings.internal_expiry_days, settings.internal_expiry_enforced

    def _changed_end(self, share: Share, told: str) -> date | None:
        """Without any, it never ends: no default is taken then [code, validateExpirationDateInternal]."""
        if told or share.expires is None:
            return self._expiry(share, told) if told else None
        days, enforced = self._policy(share)
        if days is not None and enforced:
            raise OcsRefused(400, "Failed to update share.")
        return None

    def _expiry(self, share: Share, told: str | None) -> date | None:
        """Of a new share [code, validateExpirationDateInternal and createShare]."""
        (days, enforced), today = self._policy(share), self._cloud.today()
        if not told:
            unsaid = told is None or (share.kind not in (LINK, MAIL) and not self._cloud.settings.never_ending)
            return self._cloud.expiry(days) if days is not None and (unsaid or enforced) else None
        try:
            until = date.fromisoformat(told[:10])
        except ValueError:
            raise OcsRefused(404, "Invalid date. Format must be YYYY-MM-DD") from None
        if until <= today:
            raise OcsRefused(404, "Expiration date is in the past")
        if enforced and days is not None and until > self._cloud.expiry(days):
            raise OcsRefused(404, f"Cannot set expiration date more than {days} days in the future")
        return until

    def _list(self, user: User, values: Mapping[str, str]) -> list[dict[str, Any]]:
        if values.get("shared_with_me") == "true":
            return [self._told(each) for each in self._cloud.received(user)]
        own = [each for each in self._cloud.alive() if each.owner == user.id]
        if "path" not in values:
            return [self._told(each) for each in own]
        node, _ = self._node(user, values["path"].strip("/") or "/")
        if node.locked:  # Read in the code.
            raise OcsRefused(404, "Could not lock node")
        if values.get("subfiles") == "true":
            return [self._told(each) for each in own if each.node.parent is node]
        return [self._told(each) for each in own if each.node is node]

    def _own(self, user: User, share_id: str) -> Share:
        share = next((each for each in self._cloud.alive() if each.id == share_id), None)
        if share is None or (share.owner != user.id and share not in self._cloud.received(user)):
            raise OcsRefused(404, "Wrong share ID, share does not exist")
        return share

    def _update(self, user: User, share: Share, values: Mapping[str, str]) -> Share:
        if share.owner != user.id:
            raise OcsRefused(403, "You are not allowed to edit incoming shares")
        if not set(values) & _CHANGEABLE:
            raise OcsRefused(400, "Wrong or no update parameter given")
        if "token" in values and not self._cloud.settings.custom_tokens:
            raise OcsRefused(403, "Custom share link tokens have been disabled by the administrator")
        if "password" in values:
            share.password = self._password(values["password"])
        if "expireDate" in values:
            share.expires = self._changed_end(share, values["expireDate"])
        share.permissions = int(values.get("permissions", share.permissions))
        share.note, share.label = values.get("note", share.note), values.get("label", share.label)
        share.hide_download = values.get("hideDownload", str(share.hide_download)).lower() == "true"
        share.attributes = _attributes(values.get("attributes", share.attributes))
        share.token = values.get("token", share.token)
        return share

    def _delete(self, user: User, share_id: str) -> None:
        share = next((each for each in self._cloud.shares.values() if each.id == share_id), None)
        if share is None:
            raise OcsRefused(404, "Wrong share ID, share does not exist")
        # Facts, 3: what a recipient gives up is gone for the owner as well.
        if share.owner != user.id and share not in self._cloud.received(user):
            raise OcsRefused(403, "Could not delete share")
        if share.node.locked:  # Read in the code.
            raise OcsRefused(404, "Could not delete share")
        del self._cloud.shares[share_id]

    def _told(self, share: Share) -> dict[str, Any]:
        node = share.node
        told = {
            "id": share.id,
            "share_type": share.kind,
            "uid_owner": share.owner,
            "uid_file_owner": node.owner,
            "permissions": share.permissions,
            "expiration": f"{share.expires} 00:00:00" if share.expires else None,
            "token": share.token or None,
            "note": share.note,
            "label": share.label,
            "path": f"/{node.path}",
            "item_type": "folder" if node.folder else "file",
            "item_source": node.id,
            "file_source": node.id,
            "file_target": share.target,
            "share_with": share.who,
            "mail_send": int(share.mail_send),
            "hide_download": int(share.hide_download),
            "attributes": share.attributes,
        }
        if share.kind in (LINK, MAIL):
            hashed = f"3|$argon2id$v=19${hash(share.password)}" if share.password else None
            index = "" if self._cloud.settings.pretty_links else "index.php/"
            told |= {"share_with": hashed, "password": hashed, "url": f"{self._base()}/{index}s/{share.token}"}
        return told


def _attributes(told: str) -> str:
    try:
        json.loads(told)
    except ValueError:
        raise OcsRefused(400, "Invalid share attributes") from None
    return told
