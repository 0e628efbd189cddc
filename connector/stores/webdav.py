"""A WebDAV server as a store: Apache, nginx, rclone, WsgiDAV and their like (RFC 4918).

What servers do differently decides how `put` works. Some overwrite in spite of `If-None-Match: *`, and some keep half
an upload and call it created; a MOVE with `Overwrite: F` is the one thing that all of them honour. So bytes go to a
fresh name beside the target, are read back and hashed there, and only then moved to where they belong.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from http import HTTPStatus
from itertools import accumulate
from typing import BinaryIO, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator
from requests.auth import AuthBase, HTTPDigestAuth

from connector.config.addresses import Address, Server
from connector.config.credentials import Secret
from connector.errors import ConnectorError, Corrupt, FileGone, Rejected, Unavailable
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.session import Basic, as_a_stranger
from connector.spool import CHUNK, Spool
from connector.stores.dav import DavClient, Entry, Upload, WrongPassword

_CREATED = (201, 204)  # nginx answers a MOVE to a new name with 204
_TAKEN = 412
#: What nginx, SabreDAV, Apache and rclone answer where they take the target of a MOVE for none of theirs.
_ELSEWHERE = (400, 403, 500, 502)
_THERE = 405  # RFC 4918 section 9.3.1, of MKCOL
#: What Apache (403), rclone (423) and others answer to two clients that make one collection at the same moment.
_PERHAPS_THERE = (301, 403, 409, 423, 500)
#: Each message has a collection of its own; the years and months above them are what is worth remembering.
_REMEMBERED = 1000
_TEMPORARY = re.compile(r"upload-[0-9a-f]{32}\.tmp")


class WebdavStore:
    """The files below one collection, as one account sees them. For one thread."""

    def __init__(self, client: DavClient, link_url: str) -> None:
        """`link_url` is the address of the root collection for people."""
        self._client = client
        self._link_url = link_url.rstrip("/")
        #: Collections that were there a while ago and need no MKCOL. After any trouble none counts as sure any more.
        self._made: set[str] = set()

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """Create only, proved by reading back, see the port.

        A connection or process that dies meanwhile leaves at worst a file `upload-*.tmp` beside the target, which
        `names` does not show, and `share` removes.
        """
        if tags:
            raise Rejected("plain WebDAV has no tags: leave `tags` out of the rule")
        folder, _, _ = path.rpartition("/")
        moved = False
        temporary = f"{folder}/upload-{secrets.token_hex(16)}.tmp".removeprefix("/")
        try:
            self._make_collections(folder)
            self._upload(temporary, content)
            self._prove(temporary, content)
            moved = self._move(temporary, path)
            stored = self._settled(path, content, proved=moved)
        except BaseException as error:
            self._made.clear()
            if not isinstance(error, WrongPassword):
                self._discard(temporary)
            if moved and isinstance(error, Corrupt):
                # Our own MOVE put it there, to a place where nothing was, and it is not what we sent.
                self._discard(path)
            raise
        if not moved:
            self._discard(temporary)
        return stored

    def verify(self, stored: Stored) -> bool:
        """Look at size and ETag, and where there is no ETag to be trusted, at every byte."""
        entry = self._entry(stored.path)
        if entry is None:
            return False
        self._check_size(entry, stored.size)
        if not _unchanged(stored.etag, entry.etag):
            try:
                self._check_bytes(stored.path, stored.size, stored.sha256)
            except FileGone:
                return False
        return True

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Stream the bytes of a stored file. Raises FileGone."""
        return self._client.download(path)

    def original(self, stored: Stored) -> AbstractContextManager[BinaryIO]:
        """What is at its path: WebDAV keeps nothing else. Raises FileGone."""
        return self.open(stored.path)

    def names(self, folder: str) -> tuple[str, ...]:
        """The names directly in this collection; none where it does not exist."""
        entries = self._client.look(f"{folder}/" if folder else "", depth=1)
        return _names_inside(self._client.location(folder), entries)

    def strangers(self, mailbox: str, members: Collection[str] | None = None) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """None: it has to know nobody."""
        return ()

    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()

    def free(self) -> int | None:
        """By RFC 4331, which not every server knows."""
        return self._client.free()

    def admits(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> bool:  # noqa: ARG002 - the port's
        """Always: the server lets in whoever it lets in anyway."""
        return True

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Nothing to do, see `admits`."""

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:  # noqa: ARG002 - the port's
        """The store's own addresses: they open for whoever may log in there, and for nobody else."""
        if terms != LinkTerms():
            raise Rejected("plain WebDAV has no links but its own addresses, which never end and ask for a login")
        for folder in dict.fromkeys(each.path.rpartition("/")[0] for each in stored):
            self._clear(folder)
        return tuple(Link(f"{self._link_url}/{quote(each.path)}") for each in stored)

    def password(self, terms: LinkTerms, origin: Origin) -> str:  # noqa: ARG002 - the port's
        """None of its links asks for one."""
        return ""

    def revoke(self, folder: str) -> None:
        """Nothing to do: an address opens nothing that the server would not open without it."""

    def can_revoke(self, terms: LinkTerms) -> bool:  # noqa: ARG002 - the port's
        """Never, see `revoke`."""
        return False

    def as_a_stranger(self, url: str) -> int | None:
        """Follow a link without any login, see the port."""
        return as_a_stranger(url, self._client.verify)

    def delete(self, path: str) -> None:
        """Remove a file, or a collection that is empty. Absent counts as removed.

        WebDAV deletes collections with all that is in them, so the collection is looked at first.
        """
        entries = self._client.look(path, depth=1)
        if _names_inside(self._client.location(path), entries):
            raise Rejected(f"a collection on {self._client.host} is not empty and stays")
        if entries:
            self._made.clear()
            self._remove(f"{path}/" if any(each.collection for each in entries) else path)

    def erase(self, path: str) -> None:
        """Like `delete`: WebDAV knows of no trash and no versions (RFC 4918), and what a server keeps is its own."""
        self.delete(path)

    def now(self) -> datetime | None:
        """What time the server's last answer said it was."""
        return self._client.now()

    def _make_collections(self, folder: str) -> None:
        wanted = [each for each in accumulate(folder.split("/"), "{}/{}".format) if each]
        for collection in wanted:
            if collection not in self._made:
                self._make_collection(collection + "/")
        if len(self._made) > _REMEMBERED:
            self._made.clear()
        self._made.update(wanted)

    def _make_collection(self, collection: str) -> None:
        answer = self._client.ask("mkdir", collection, success=(*_CREATED, _THERE, *_PERHAPS_THERE))
        if answer.status in (*_CREATED, _THERE) or self._client.look(collection, depth=0):
            return
        self._require_root()
        raise self._client.refused("MKCOL", answer)

    def _require_root(self) -> None:
        """The root is never made: a wrong address, or a disk that is not mounted, must not look like an empty store."""
        if not self._client.look("", depth=0):
            raise Unavailable(f"the collection {self._client.url('')} does not exist: create it on the server")

    def _upload(self, path: str, content: Spool) -> None:
        self._client.ask("upload", path, success=_CREATED, data=Upload(content), headers={"If-None-Match": "*"})

    def _move(self, source: str, target: str) -> bool:
        """True where the file is now at `target`, False where something is already there."""
        headers = {"Destination": self._client.url(target), "Overwrite": "F"}
        answer = self._client.ask("move", source, success=(*_CREATED, _TAKEN, *_ELSEWHERE), headers=headers)
        if answer.status in _ELSEWHERE:
            error = self._client.refused("MOVE", answer)
            raise type(error)(f"{error}; or a proxy before it translates addresses, but not the one in Destination")
        return answer.status != _TAKEN

    def _settled(self, path: str, content: Spool, *, proved: bool) -> Stored:
        """What is at `path` at last, by a fresh look: a server may say Created and have done something else."""
        entry = self._entry(path)
        if entry is None:
            raise Corrupt(f"{self._client.host} took a file, and has nothing in its place")
        self._check_size(entry, content.size)
        if not proved or entry.size is None:
            self._prove(path, content)
        return Stored(path=path, size=content.size, sha256=content.sha256, etag=entry.etag)

    def _prove(self, path: str, content: Spool) -> None:
        try:
            self._check_bytes(path, content.size, content.sha256)
        except FileGone as error:
            # To the caller FileGone would mean that the source has lost the file.
            raise Corrupt(f"{self._client.host} took a file, and does not give it back") from error

    def _check_bytes(self, path: str, size: int, sha256: str) -> None:
        digest = hashlib.sha256()
        count = 0
        with self._client.download(path) as stream:
            while count <= size and (chunk := stream.read(CHUNK)):
                digest.update(chunk)
                count += len(chunk)
        if (count, digest.hexdigest()) != (size, sha256):
            raise Corrupt(f"{self._client.host} gives back {count} bytes that are not the {size} bytes of the original")

    def _check_size(self, entry: Entry, size: int) -> None:
        if entry.collection or entry.size not in (None, size):
            raise Corrupt(f"{self._client.host} has something else in the place of a file of {size} bytes")

    def _entry(self, path: str) -> Entry | None:
        return next(iter(self._client.look(path, depth=0)), None)

    def _clear(self, folder: str) -> None:
        """Remove what uploads that died have left in a collection: people may look into it from now on."""
        for entry in self._client.look(f"{folder}/", depth=1):
            name = entry.path.rpartition("/")[2]
            if _TEMPORARY.fullmatch(name):
                self._remove(f"{folder}/{name}")

    def _remove(self, path: str) -> None:
        answer = self._client.ask("clean", path, success=(200, 204, 207, 404, 410))
        # RFC 4918 section 9.6.1: a 207 names what could not be deleted.
        if answer.status == HTTPStatus.MULTI_STATUS:
            self._client.refuse_failures("DELETE", answer)

    def _discard(self, temporary: str) -> None:
        # The first error is the one to tell. A server may also still be busy creating what we delete; see `put`.
        with suppress(ConnectorError):
            self._remove(temporary)


def _unchanged(known: str, now: str) -> bool:
    """Whether an ETag says that a file is still the one that had the known ETag.

    A weak one says nothing now: the file may be written again before the tag changes. But Apache has only weak ones in
    the second after a write, and the same one strong from then on; so one that was weak once may be known (RFC 9110
    section 8.8.3.2, weak comparison) where it is strong by now.
    What no tag tells is another file of the same size and time of change. Apache's time has microseconds: that takes
    somebody on its disk. nginx's has seconds, and is never weak: that takes somebody who overwrites a file within the
    second of our own write.
    """
    return now.startswith('"') and now == known.removeprefix("W/")


def _names_inside(collection: str, entries: Iterable[Entry]) -> tuple[str, ...]:
    names = (each.path.rpartition("/")[2] for each in entries if each.path != collection)
    return tuple(name for name in names if name and not _TEMPORARY.fullmatch(name))


class WebdavConfig(BaseModel):
    """A collection on a WebDAV server, and the account that writes there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Who may read what is the server's own business.
    opens_folders: ClassVar[bool] = False
    #: For whom it can give links.
    audiences: ClassVar[frozenset[Audience]] = frozenset({Audience.STORE})
    #: Whether one login reads all files.
    one_account: ClassVar[bool] = True
    #: Whether files bear tags there.
    has_tags: ClassVar[bool] = False

    type: Literal["webdav"]
    url: Address = Field(description="address of the collection that holds everything; it must exist")
    auth: Literal["basic", "digest"] = Field(default="basic", description="how the server asks for the password")
    user: str | None = Field(
        default=None, min_length=1, description="account that writes; none where the server asks for none"
    )
    password: Secret | None = Field(default=None, description="where the account's password is found")
    ca: FilePath | None = Field(
        default=None, description="PEM file with the authorities that may vouch for the server's TLS name"
    )
    link_url: Address | None = Field(
        default=None, description="address of the same collection for people, where it differs"
    )
    timeout: float = Field(default=60, gt=0, description="seconds to wait for the server's next bytes")

    @model_validator(mode="after")
    def _user_and_password(self) -> "WebdavConfig":
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together: give both, or neither")
        return self

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to."""
        return (Server(self.url, self.ca),)

    @property
    def making_room(self) -> str:
        """What shows the administrator of the server how full its disks are."""
        return "df --human-readable"

    def connect(self, key: bytes) -> WebdavStore:  # noqa: ARG002 - every store's
        """A client for one thread; nothing is sent yet. Raises LookupError where the password is not to be had."""
        client = DavClient(self.url, auth=self._credentials(), ca=self.ca, timeout=self.timeout)
        return WebdavStore(client, self.link_url or self.url)

    def _credentials(self) -> AuthBase | None:
        if self.user is None or self.password is None:
            return None
        if self.auth == "digest":
            return HTTPDigestAuth(self.user, self.password.read())
        return Basic(self.user, self.password.read())
