"""The store itself: files that the server proves, and folders that open to whom a mailbox belongs."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import BinaryIO

from connector.errors import Conflict, Corrupt, FileGone, Rejected
from connector.model import Audience, Link, LinkTerms, Origin, Stored
from connector.spool import Spool
from connector.stores.dav import Answer, Upload
from connector.stores.nextcloud.chunks import SMALLEST, Chunks, TooLarge
from connector.stores.nextcloud.dav import NextcloudDav
from connector.stores.nextcloud.numbers import Numbers
from connector.stores.nextcloud.ocs import READ, Ocs, Share
from connector.stores.nextcloud.public import PublicLinks
from connector.stores.nextcloud.readers import SURE, People, Readers
from connector.stores.nextcloud.tags import Tags
from connector.stores.nextcloud.trash import Trash
from connector.stores.nextcloud.versions import Versions
from connector.stores.webdav import WebdavStore

#: What is larger goes in pieces of this size. Nextcloud tells its own clients 100 MB; Apache's limit is 1 GiB.
PIECE = 64 * 1024 * 1024
_CREATED, _TAKEN, _TOO_LARGE = (201, 204), 412, 413
#: What a loser may hear where two write one name at once; a look tells.
_RACED = (403, 423)
_ABSENT = (404, 410)
#: Older servers, and what stands before some, do not know the method.
_NO_HASH = (400, 403, 405, 501)
_HASH = {"X-Recalculate-Hash": "sha256"}
_HASH_RECEIVED = {"X-Hash": "sha256"}
_UNENDING = (
    "links end with them, so enforce no expiration date of shares with people, in the administration settings of"
    " Nextcloud under Sharing"
)
_NEVER = datetime.fromtimestamp(0, UTC)


class NextcloudStore(WebdavStore):
    """The files below one collection of a service account. For one thread."""

    _client: NextcloudDav

    def __init__(
        self,
        client: NextcloudDav,
        uploads: NextcloudDav,
        ocs: Ocs,
        readers: Readers,
        link_url: str,
        *,
        trash: Trash,
        versions: Versions,
        tags: Tags,
        numbers: Numbers,
        key: bytes,
    ) -> None:
        """`uploads` is the same account's collection of unfinished uploads.

        `link_url` is the address of the server for people; `key` makes passwords of links.
        """
        super().__init__(client, link_url)
        self._chunks = Chunks(uploads)
        self._piece = PIECE
        self.ocs = ocs
        self._readers = readers
        self._trash = trash
        self._versions = versions
        self._tags = tags
        self._numbers = numbers
        self._public = PublicLinks(client, ocs, self._link_url, key)
        #: Of each folder of a source that is open to whom it should be: to whom, and since when that is known.
        self._admitted: dict[str, tuple[People, datetime]] = {}

    def put(self, path: str, content: Spool, tags: Sequence[str] = ()) -> Stored:
        """Create only, proved by the hash that the server made of what it received, see the port.

        A new name is written whole or not at all, so nothing goes to a temporary one first.
        """
        folder, _, _ = path.rpartition("/")
        try:
            self._make_collections(folder)
            answer = self._sent(path, content)
        except BaseException:
            self._made.clear()
            raise
        ours = answer.status in _CREATED
        if not (ours and answer.headers.get("X-Hash-SHA256", "").lower() == content.sha256):
            self._prove_put(path, content, answer, ours=ours)
        if names := tuple(dict.fromkeys((*self._tags.always, *tags))):
            self._tags.put_on(self._file_id(path, answer), names)
        etag = answer.headers.get("ETag", "") if ours else ""
        return Stored(path=path, size=content.size, sha256=content.sha256, etag=etag)

    def verify(self, stored: Stored) -> bool:
        """Have the server hash what is on its disk: its ETags do not tell two writes within one second apart."""
        answer = self._client.ask("hash", stored.path, success=(204, *_NO_HASH, *_ABSENT), headers=_HASH)
        if answer.status in _ABSENT:
            return False
        kind, _, has = answer.headers.get("OC-Checksum", "").partition(":")
        if answer.status in _NO_HASH or kind.upper() != "SHA256":
            return super().verify(replace(stored, etag=""))
        if has.lower() != stored.sha256:
            raise Corrupt(f"{self._client.host} has other bytes in the place of a file of {stored.size} bytes")
        return True

    def edited(self, stored: Stored) -> bool:
        """Whether other bytes are there because somebody wrote them: what rots on a disk has the same ETag for ever.

        One that was written within the second of our own write has it too.
        """
        entry = self._entry(stored.path)
        return entry is not None and (
            stored.etag not in ("", entry.etag) or self._versions.of(entry.file_id, stored) is not None
        )

    @contextmanager
    def original(self, stored: Stored) -> Iterator[BinaryIO]:
        """Stream the bytes that were proved: those that are there, or those of an older version, see the port."""
        with ExitStack() as opened:
            try:
                if not self.verify(stored):
                    raise FileGone(f"the file is not on {self._client.host}")
                stream = opened.enter_context(self.open(stored.path))
            except Corrupt:
                entry = self._entry(stored.path)
                version = self._versions.of(entry.file_id, stored) if entry else None
                if version is None:
                    raise
                stream = opened.enter_context(self._versions.open(version))
            yield stream

    def share(self, stored: Sequence[Stored], terms: LinkTerms, origin: Origin) -> tuple[Link, ...]:
        """The addresses of the files within the server: they open for whom the folder above is shared with.

        For anyone, those of a public link.
        """
        if terms.audience is Audience.ANYONE:
            return self._public.share(stored, terms, origin)
        if terms != LinkTerms(terms.audience) or terms.audience is Audience.STAFF:
            raise Rejected(
                f"{self._client.host} opens files to whom a mailbox belongs to or to anyone, and only public links end:"
                " give the rule another `link`, or let the links be those of connector's own link service"
            )
        self._require_open(stored, terms)
        return tuple(Link(f"{self._link_url}/index.php/f/{file_id}") for file_id in self.ids(stored))

    def ids(self, stored: Sequence[Stored]) -> tuple[str, ...]:
        """The numbers of files, which stay when they are renamed or moved. Raises Conflict where one is missing."""
        ids: dict[str, str] = {}
        for folder in dict.fromkeys(each.path.rpartition("/")[0] for each in stored):
            ids |= {each.path: each.file_id for each in self._client.look(f"{folder}/", depth=1)}
        found = tuple(ids.get(self._client.location(each.path), "") for each in stored)
        if not all(found):
            raise Conflict(f"{self._client.host} does not list a file that was stored there")
        return found

    def number(self, path: str) -> str:
        """That of a file, which stays when it is renamed or moved. Raises Conflict where there is none."""
        entry = self._entry(path)
        if entry is None or not entry.file_id:
            raise Conflict(f"{self._client.host} does not list a file that was stored there")
        return entry.file_id

    def take(self, source: str, target: str) -> bool:
        """Move something that the account sees to a place of its own; False where that is taken."""
        self._make_collections(target.rpartition("/")[0])
        return self._move(source, target)

    def has_file(self, path: str) -> bool:
        """Whether a file is there, and not a collection, or nothing."""
        entry = self._entry(path)
        return entry is not None and not entry.collection

    def place(self, file_id: str) -> str | None:
        """Where the account has a file by now, whose number this is; None where it has it no more."""
        return self._numbers.place(file_id)

    def password(self, terms: LinkTerms, origin: Origin) -> str:
        """That of a public link, see the port."""
        return self._public.password(terms, origin)

    def revoke(self, folder: str) -> None:
        """End the public links; the others open nothing but what the folder of the mailbox is shared for anyway."""
        self._public.revoke(folder)

    def can_revoke(self, terms: LinkTerms) -> bool:
        """Public links only, see `revoke`."""
        return terms.audience is Audience.ANYONE

    def erase(self, path: str) -> None:
        """Like `delete`, and out of the trash, where its versions went with it, see the port."""
        self.delete(path)
        self._trash.purge(path)

    def strangers(self, mailbox: str, members: Collection[str] | None = None) -> tuple[str, ...]:
        """Those of whom not exactly one account or group is known, see the port."""
        return self._readers.of(mailbox, members).strangers

    def remarks(self) -> tuple[str, ...]:
        """How many shares the server allows, where that is few, and how long; and the right id of the account."""
        told = []
        if not self.ocs.allows_us():
            told.append(
                "an account may make 20 shares in 10 minutes, so links for many mailboxes take a while to begin: allow"
                " our address in the brute-force settings (app bruteforcesettings), and for the rate limit too; then"
                " whoever guesses passwords wrong at that address does not shut us out either"
            )
        if (days := self.ocs.days_to_live()) is not None:
            told.append(f"it has new shares with people end within {days} days: {_UNENDING}")
        if (known := self.ocs.account()) != self.ocs.user:
            told.append(
                f"the id of the account is {known}: write that as `user`, {self.ocs.user} is another name for it"
            )
        return tuple(told)

    def admits(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> bool:
        """Whether the folder is open to whom its files belong to, and to nobody else. Believed for a day."""
        people = self._readers.of(mailbox, members)
        admitted, known = self._admitted.get(folder, (None, _NEVER))
        if admitted == people and datetime.now(UTC) - known < SURE:
            return True
        if not people.readers or not self._is_open(folder, people):
            return False
        self._admitted[folder] = people, datetime.now(UTC)
        return True

    def admit(self, folder: str, mailbox: str, members: Collection[str] | None = None) -> None:
        """Open the folder to whom its files belong to, for reading, and close it to everybody else, see the port."""
        people, there = self._readers.of(mailbox, members), set()
        for share in self.ocs.shares(folder):
            if share.reader in people.readers | people.doubtful and _only_reads(share):
                there.add(share.reader)
            else:
                self.ocs.unshare(share.id)
        if not people.readers:
            raise Rejected(f"{self._client.host} {self._nobody(mailbox, members)}")
        self._make_collections(folder)
        for reader in sorted(people.readers - there, key=str):
            made = self.ocs.share(folder, reader)
            if made.reader != reader or not _only_reads(made):
                self.ocs.unshare(made.id)
                raise Rejected(
                    f"{self._client.host} shares folders for more than reading, or with others than it was asked"
                )
        for share in self.ocs.shares(folder):
            self._require_lasting(share)
        self._admitted[folder] = people, datetime.now(UTC)

    def _require_lasting(self, share: Share) -> None:
        """Servers give shares an end by themselves, and links end with it. To make another one takes one of the 20."""
        if share.ends is None:
            return
        try:
            self.ocs.lasting(share.id)
        except Rejected as error:
            raise Rejected(f"{self._client.host} has shares with people end: {_UNENDING} ({error})") from error

    def _nobody(self, mailbox: str, members: Collection[str] | None) -> str:
        if members is None:
            return f"knows nobody, or more than one, to whom the mailbox {mailbox} belongs: {self._readers.where}"
        return (
            f"knows none of the people who share {mailbox}: give their accounts the e-mail addresses that they have"
            " there, or name a group for it in the list of `readers`"
        )

    def _require_open(self, stored: Sequence[Stored], terms: LinkTerms) -> None:
        """Who was let in may have given up what was shared with him, and another may have been let in."""
        for folder, (people, _) in tuple(self._admitted.items()):
            if not any(each.path.startswith(f"{folder}/") for each in stored):
                continue
            if not self._is_open(folder, people):
                # Tried again at once, it is no more open than now; `admits` looks before it is believed.
                self._admitted[folder] = people, _NEVER
                raise Conflict(
                    f"a folder on {self._client.host} is not shared any more with whom it belongs to alone, or not for"
                    " ever"
                )
            if terms.audience is Audience.GROUP and not people.group:
                raise Rejected(
                    f"on {self._client.host} the mailbox belongs to one account, not to a group: give the rule the"
                    f" audience owner, or the mailbox a group: {self._readers.where}"
                )

    def _is_open(self, folder: str, people: People) -> bool:
        shares = self.ocs.shares(folder)
        there = {share.reader for share in shares}
        return people.readers <= there <= people.readers | people.doubtful and all(map(_reads_for_good, shares))

    def _file_id(self, path: str, answer: Answer) -> str:
        """The number of a file, told when it was written: with zeros before it, and the id of the server behind."""
        if told := re.match(r"0*(\d+)", answer.headers.get("OC-FileId", "")):
            return told[1]
        return self.number(path)

    def _prove_put(self, path: str, content: Spool, answer: Answer, *, ours: bool) -> None:
        """What is at `path`, where the answer to an upload does not prove it: the name was taken, or no hash came."""
        try:
            there = self.verify(Stored(path=path, size=content.size, sha256=content.sha256))
        except Corrupt:
            if ours:
                self._discard(path)
            raise
        if there:
            return
        if ours:
            raise Corrupt(f"{self._client.host} took a file, and has nothing in its place")
        if answer.status in _RACED:
            raise self._client.refused("PUT", answer)
        raise Conflict(f"{self._client.host} calls the name of a file taken, and has nothing in its place")

    def _sent(self, path: str, content: Spool) -> Answer:
        """201 where the file is there now; something else where the name is taken."""
        if content.size <= self._piece:
            headers = {"If-None-Match": "*", **_HASH_RECEIVED}
            success = (*_CREATED, _TAKEN, _TOO_LARGE, *_RACED)
            answer = self._client.ask("upload", path, success=success, data=Upload(content), headers=headers)
            if answer.status != _TOO_LARGE:
                return answer
        while True:
            try:
                return self._chunks.upload(content, self._client.url(path), self._piece)
            except TooLarge:
                self._piece //= 2
                if self._piece < SMALLEST:
                    raise Rejected(
                        f"{self._client.host}, or a proxy before it, takes no body of {SMALLEST} bytes: raise its limit"
                        " (LimitRequestBody, client_max_body_size)"
                    ) from None


def _only_reads(share: Share) -> bool:
    return share.permissions == READ


def _reads_for_good(share: Share) -> bool:
    return _only_reads(share) and share.ends is None
