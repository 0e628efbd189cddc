"""Public links: one share of the folder of a message, which opens for whoever has its address.

The same share is found again by its label, whatever became of the request that made it. It is held against what was
asked for, and anyone's attempt to write through it is made, and to open its page without the password: what does more
than it should is ended at once.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import quote

from connector.errors import Conflict, ConnectorError, Rejected
from connector.links import tokens
from connector.model import Link, LinkTerms, Origin, Stored
from connector.stores.nextcloud.dav import NextcloudDav
from connector.stores.nextcloud.ocs import LINK, READ, RESHARE, Ocs, Share

_ONE_DAY = timedelta(days=1)
#: A server adds the right to share on, which means nothing to whoever has no account.
_READING = (READ, READ | RESHARE)
_REFUSED = 403
#: What is answered to whoever says a wrong password.
_CLOSED = (401,)
#: What a page says that asks for one.
_ASKS = range(300, 400)
_GOOD = range(200, 300)
_MADE = (201, 204)
_ABSENT = 404
#: How many shares are known to be proved.
_REMEMBERED = 10_000
_INSTEAD = "or let the links be those of connector's own link service"


class PublicLinks:
    """The public links into the folders of one account. For one thread."""

    def __init__(self, client: NextcloudDav, ocs: Ocs, link_url: str, key: bytes) -> None:
        """`link_url` is the address of the server for people, without a slash at its end; `key` makes passwords."""
        self._client = client
        self._ocs = ocs
        self._link_url = link_url
        self._key = key
        #: Shares through which everybody reads, and nobody writes.
        self._proved: set[str] = set()

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """Links to files that are all there is in one folder, see the port."""
        folder, label = stored[0].path.rpartition("/")[0], _label(terms, origin)
        self._require_alone(stored, folder, label)
        ends = self._end(terms)
        share = self._found(folder, label) or self._made(folder, terms, origin, ends)
        password = self._password_of(share, terms)
        try:
            share = self._honoured(share, stored[0], ends, password)
            self._require_proved(share, folder, password)
        except Rejected:
            self._ocs.unshare(share.id)
            raise
        return tuple(self._link(share, each, password) for each in stored)

    def password(self, terms: LinkTerms, origin: Origin) -> str:
        """What links on these terms ask for, see the port: the same as long as the share is, and kept nowhere."""
        if not terms.password:
            return ""
        label = _label(terms, origin)
        found = (each for each in self._links_of(origin.folder) if each.label == label)
        return next((self._password_of(each, terms) for each in found), "")

    def revoke(self, folder: str) -> None:
        """End all public links of a folder."""
        for share in self._links_of(folder):
            self._remove(f"{folder}/{_probe(share.label)}")
            self._ocs.unshare(share.id)

    def _require_alone(self, stored: Sequence[Stored], folder: str, label: str) -> None:
        """What opens a folder opens all that is in it. Raises Conflict where a file is missing."""
        there = {each.path for each in self._client.look(f"{folder}/", depth=1)}
        wanted = {self._client.location(each.path) for each in stored}
        if not wanted <= there:
            raise Conflict(f"{self._client.host} does not list a file that was stored there")
        probe = f"{folder}/{_probe(label)}"
        if self._client.location(probe) in there:  # Somebody pulled the plug while it was tried who may write.
            self._remove(probe)
        if there - wanted - {self._client.location(each) for each in (folder, probe)}:
            self.revoke(folder)
            raise Rejected(
                f"a public link on {self._client.host} opens all files of a message, and these do not all have the same"
                f" terms: give them one `link` and one action in the policy, {_INSTEAD}"
            )

    def _made(self, folder: str, terms: LinkTerms, origin: Origin, ends: date | None) -> Share:
        """A new share. Its password hangs on its token: what takes its place, after it leaked, has another one."""
        label = _label(terms, origin)
        first = self._derived(label) if terms.password else ""
        self._require_allowed(terms, first)
        made = self._ocs.link(folder, label, _note(origin), ends, first)
        return self._ocs.change(made.id, ends, self._password_of(made, terms)) if first else made

    def _password_of(self, share: Share, terms: LinkTerms) -> str:
        return self._derived(share.token) if terms.password else ""

    def _derived(self, name: str) -> str:
        """As hard to guess as that of our own pages; what stands before it is what rules for passwords ask for."""
        return f"K7-{tokens.password(self._key, name, 0)}"

    def _found(self, folder: str, label: str) -> Share | None:
        """The share that was made before. Should there be more of them, the others end."""
        found = sorted(
            (each for each in self._links_of(folder) if each.label == label), key=lambda each: (len(each.id), each.id)
        )
        for each in found[1:]:
            self._ocs.unshare(each.id)
        return found[0] if found else None

    def _links_of(self, folder: str) -> tuple[Share, ...]:
        return tuple(each for each in self._ocs.shares(folder) if each.kind == LINK)

    def _end(self, terms: LinkTerms) -> date | None:
        """The last day at the beginning of which a link may end: wherever on earth it is that the day begins."""
        if terms.downloads is not None:
            raise Rejected(
                f"public links on {self._client.host} do not count: leave `downloads` out of the rule, {_INSTEAD}"
            )
        if terms.expires is None:
            return None
        if terms.expires < 2 * _ONE_DAY:
            raise Rejected(
                f"public links on {self._client.host} end at midnight: give `expires` two days or more, {_INSTEAD}"
            )
        return (self._now() + terms.expires - _ONE_DAY / 2).date()

    def _now(self) -> datetime:
        return self._client.now() or datetime.now(UTC)

    def _require_allowed(self, terms: LinkTerms, password: str) -> None:
        """What the server would refuse, or change without a word, is told beforehand."""
        policy, host = self._ocs.link_policy(), self._client.host
        where = "in the administration settings of Nextcloud, under Sharing"
        if not policy.allowed:
            raise Rejected(f"{host} allows no public links: allow them {where}, or give the rule another audience")
        if policy.password and not password:
            raise Rejected(
                f"{host} wants a password on each public link: give the rule's `link` a `password`, or do not enforce"
                f" it {where}"
            )
        if password and (why := self._ocs.why_not(password)):
            raise Rejected(
                f"{host} does not take a password of {len(password)} letters, digits and dashes: {why} Change that in"
                f" its administration settings, under Security, {_INSTEAD}"
            )
        if policy.days is not None and (terms.expires is None or terms.expires > timedelta(days=policy.days)):
            raise Rejected(
                f"{host} lets public links live for {policy.days} days: give the rule no longer `expires`, or raise"
                f" that limit {where}"
            )

    def _honoured(self, share: Share, one: Stored, ends: date | None, password: str) -> Share:
        """The share, once it is what was asked for: create passes over some of it, and somebody may have changed it."""
        if not (_keeps(share, ends, password) and self._asks_for(password, share, one)):
            share = self._ocs.change(share.id, ends, password)
            if not (_keeps(share, ends, password) and self._asks_for(password, share, one)):
                raise Rejected(f"{self._client.host} makes public links on other terms than it was asked for")
        return share

    def _asks_for(self, password: str, share: Share, one: Stored) -> bool:
        """Whether its page asks for a password, and a file opens with this one, which the server does not tell."""
        if not password:
            return True
        page, file = self._ocs.page(share.token), self._ocs.tried("HEAD", share.token, _name(one), password)
        if page not in (*_GOOD, *_ASKS):
            raise self._hindered("GET", page)
        if file not in (*_GOOD, *_CLOSED):
            raise self._hindered("HEAD", file)
        return page in _ASKS and file in _GOOD

    def _require_proved(self, share: Share, folder: str, password: str) -> None:
        """Try it: links that said to be for reading have let anybody write and delete. Nothing of ours is at stake."""
        if share.id in self._proved:
            return
        probe = _probe(share.label)
        path = f"{folder}/{probe}"
        try:
            self._require_refused("PUT", share, probe, password)
            self._client.ask("upload", path, success=_MADE, data=b"")
            self._require_opened(share, probe, password)
            self._require_refused("DELETE", share, probe, password)
        except ConnectorError:
            with suppress(ConnectorError):  # The first error is the one to tell.
                self._remove(path)
            raise
        self._remove(path)
        if len(self._proved) >= _REMEMBERED:
            self._proved.clear()
        self._proved.add(share.id)

    def _require_opened(self, share: Share, name: str, password: str) -> None:
        status = self._ocs.tried("GET", share.token, name, password)
        if status not in _GOOD:
            raise self._hindered("GET", status)

    def _require_refused(self, method: str, share: Share, name: str, password: str) -> None:
        status = self._ocs.tried(method, share.token, name, password)
        if status in _GOOD:
            raise Rejected(
                f"{self._client.host} lets anybody write through a public link that is for reading: update it, or keep"
                f" the files outside of Team folders (`folder`)"
            )
        if status != _REFUSED:
            raise self._hindered(method, status)

    def _hindered(self, method: str, status: int) -> Rejected:
        """No link can be tried: what stands before the server lets nobody. Were it busy or down, that was told."""
        return Rejected(
            f"{self._client.host} makes public links, and answers anyone's {method} through one with {status}: let what"
            " stands before it pass on /public.php and /index.php/s, whatever the method"
        )

    def _remove(self, path: str) -> None:
        self._client.ask("clean", path, success=(*_GOOD, _ABSENT))

    def _link(self, share: Share, stored: Stored, password: str) -> Link:
        """The file itself; where it asks for a password, the page that does: a browser would ask for a name too."""
        ends = datetime.combine(share.ends, time(), UTC) if share.ends else None
        if password:
            return Link(f"{self._link_url}/index.php/s/{share.token}", ends)
        return Link(f"{self._link_url}/public.php/dav/files/{share.token}/{quote(_name(stored))}", ends)


def _name(stored: Stored) -> str:
    return stored.path.rpartition("/")[2]


def _keeps(share: Share, ends: date | None, password: str) -> bool:
    """Whether a share opens for reading, to anyone, and at most until then; an earlier end is that of its making."""
    in_time = share.ends is None if ends is None else share.ends is not None and share.ends <= ends
    return in_time and share.permissions in _READING and share.password == bool(password)


def _label(terms: LinkTerms, origin: Origin) -> str:
    """By which a share is found again: it has no other key."""
    told = f"{terms.audience} {terms.expires} {terms.password} {terms.downloads}"
    return f"{origin.redirect}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _probe(label: str) -> str:
    """A name that no file of a message has."""
    return f"{label}.probe"


def _note(origin: Origin) -> str:
    """What the page of a link says of it, in no language: who sent the files, and when."""
    return f"{origin.sender} {origin.received:%Y-%m-%d}" if origin.received else origin.sender
