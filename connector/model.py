"""The nouns of the trade, as plain immutable values. No I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal


class FileKind(StrEnum):
    """What an attachment is, by the names that EWS and Graph give it."""

    FILE = "fileAttachment"
    ITEM = "itemAttachment"
    REFERENCE = "referenceAttachment"


class Direction(StrEnum):
    """Where a message came from. Told by what the server stamped on it, never by a From that anyone can write."""

    INCOMING = "incoming external"
    INTERNAL = "internal"
    SENT = "sent"


class State(StrEnum):
    """How far a redirect has come. Past participles: facts, not activities."""

    #: Its id and the paths of its files are committed; nothing is touched.
    PLANNED = "planned"
    #: The bytes are proved in the store; the originals settle.
    STORED = "stored"
    #: Each file has its link.
    LINKED = "linked"
    #: The item shows the links.
    REWRITTEN = "rewritten"
    #: The originals have left, or copies were all that was wanted.
    DONE = "done"
    #: Nothing is needed any more.
    DROPPED = "dropped"
    #: A human decides.
    HELD = "held"
    #: Somebody wants its files back.
    RECALLED = "recalled"
    #: They are back; the notice stays for a minute.
    RETURNED = "returned"
    #: The item is as it was, and stays so.
    RESTORED = "restored"
    #: Its finished copy lies on the shelf.
    STAGED = "staged"
    #: Copy and message stand in one folder.
    PLACED = "placed"
    #: The copy is the message now; what it took the place of lies on the shelf.
    REPLACED = "replaced"
    #: Its time in the store is over.
    EXPIRED = "expired"
    #: The item says so.
    TOLD = "told"
    #: The store has nothing of it any more.
    ERASED = "erased"


#: Nothing but time stands before the next step.
ACTIVE = frozenset(State) - {State.DONE, State.DROPPED, State.HELD, State.RESTORED, State.ERASED}
#: On the way back: a human wants the files in the item again.
RETURNING = frozenset({State.RECALLED, State.RETURNED})
#: A copy takes the place of the item: on the way there, or on the way back.
SWAPPING = frozenset({State.STAGED, State.PLACED, State.REPLACED})
#: Its time in the store is over: the item is to say so, then the bytes go.
ENDING = frozenset({State.EXPIRED, State.TOLD})


class Proof(StrEnum):
    """What has to be known of a server before anything is taken out of messages there."""

    #: What was taken out of a message goes back into it as it was.
    PUT_BACK = "put_back"
    #: A message that we edited is in no other way another one to its clients.
    CERTIFY = "certify"
    #: The same of a message that a copy has replaced.
    CERTIFY_REPLACE = "certify_replace"
    #: Somebody answers, by name, for doing without the certificate.
    WAIVER = "waiver"


#: When this part of the room is taken, nothing is changed in a mailbox any more.
FULLEST = 0.7


@dataclass(frozen=True, slots=True)
class Room:
    """How much of the room is taken that a mailbox has for what was deleted or changed in it, in bytes."""

    used: int
    quota: int

    @property
    def full(self) -> bool:
        """Whether so much is taken that our edits should take no more: users need the rest to delete anything."""
        return self.used >= FULLEST * self.quota

    def __str__(self) -> str:
        gigabyte = 1024**3
        percent = 100 * self.used / self.quota
        return f"{percent:.0f} % of {self.quota / gigabyte:.1f} GB ({self.used / gigabyte:.1f} GB)"


class Action(StrEnum):
    """What a policy wants for one file."""

    REDIRECT = "redirect"
    COPY = "copy"
    KEEP = "keep"
    HOLD = "hold"


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of an item, as a fresh listing of the source shows it."""

    id: str
    name: str
    #: What the source announces, in bytes. It is not the byte count: EWS adds overhead, and some servers guess.
    size: int
    content_type: str = ""
    kind: FileKind = FileKind.FILE
    inline: bool = False
    content_id: str = ""
    #: "" also where the source does not tell it, as Graph.
    content_location: str = ""
    #: Opaque, compared for equality only: it differs when the bytes may (LastModifiedTime, eTag).
    version: str = ""


class Need(StrEnum):
    """What has to be fetched before a policy can tell."""

    #: The first 64 KiB of the file.
    HEAD = "head"
    #: The whole file, looked into.
    WHOLE = "whole"
    #: A virus scanner's word on the file.
    SCAN = "scan"
    #: The body of the message.
    BODY = "body"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What was found in a file. None: nobody looked, or nobody could tell."""

    head: bytes
    #: It opens with a password only, or holds something that does.
    encrypted: bool | None = None
    macros: bool | None = None
    infected: bool | None = None
    #: Of winmail.dat: each file in it, and what was found in that.
    packed: "tuple[tuple[File, Content], ...] | None" = None
    #: Why winmail.dat cannot be unpacked.
    stays: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a message, as the server hands it out: Unicode, line ends kept."""

    content: str
    html: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message in a mailbox. A listing leaves `body` out; `Source.fetch` fills it in."""

    #: EWS changes it when the message is moved.
    id: str
    #: EWS ChangeKey: differs after every change.
    version: str
    internet_message_id: str
    #: The path below the mailbox's root, with `/` between names.
    folder: str
    #: It lies in a folder that the change feed looks at. One that keeps its id when it is moved may have left those.
    in_scope: bool = True
    subject: str
    sender: str
    recipients: tuple[str, ...]
    #: When the server received it, in UTC; None where the server does not say.
    received: datetime | None
    direction: Direction
    #: PidTagMessageClass, such as IPM.Note.
    message_class: str = "IPM.Note"
    #: normal, personal, private or confidential.
    sensitivity: str = "normal"
    draft: bool = False
    #: Its owner has read it; None where the server does not say.
    read: bool | None = None
    categories: tuple[str, ...] = ()
    #: The id of its sensitivity label; "" where it has none.
    label: str = ""
    #: The id of the retention tag that it bears (PolicyTag); "" where it bears none.
    retention_tag: str = ""
    #: In bytes, with all its files; 0 where the server does not say.
    size: int = 0
    #: Transport headers by lower-case name. Only what guards read, and what the policy in force asks for, has to be in
    #: here.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: What stands in our named property; "" where it is absent. Not to be trusted before `marker.valid`.
    marker: str = ""
    files: tuple[File, ...] = ()
    #: What its owner changes without editing it: read flag, categories, follow-up flag. Opaque, compared for equality
    #: only; told with the body.
    touched: str = ""
    #: The last that its owner did with it was to forward it; None where nobody asked, as in a listing.
    forwarded: bool | None = None
    body: Body | None = None
    #: A message shows its links itself.
    pointer: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFile:
    """One file in a share, and the *pointer* to where it went: a small file beside it that opens a link.

    Where a policy asks the same of it as of a message, it has the same word for the answer.
    """

    #: It stays when the file is moved or renamed within its share.
    id: str
    #: Differs after every change of the file or its properties (eTag).
    version: str
    #: The path below the root of the share, with `/` between names.
    folder: str
    #: See `Message.in_scope`.
    in_scope: bool = True
    #: The address of whoever changed it last; "" where the server does not say.
    sender: str
    #: Who may open it where it is: addresses.
    recipients: tuple[str, ...] = ()
    #: When it was last changed, in UTC.
    received: datetime | None
    #: Somebody has it open or checked out.
    busy: bool = False
    #: The file itself. Empty where only its pointer is left.
    files: tuple[File, ...]
    #: The id of its pointer; "" where it has none, and in a listing.
    pointer: str = ""
    #: What the pointer bears; "" where there is none. Not to be trusted before `marker.valid`.
    marker: str = ""
    #: What whoever opens the pointer gets to see. None where there is none, or not everybody may open it who should.
    body: Body | None = None
    #: Shares have none of these.
    internet_message_id: ClassVar[str] = ""
    touched: ClassVar[str] = ""
    forwarded: ClassVar[bool | None] = None
    direction: ClassVar[Direction | None] = None

    @property
    def subject(self) -> str:
        """What people call it."""
        return self.files[0].name if self.files else ""


Item = Message | SharedFile


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the change feed, and the cursor that stands behind just this part."""

    items: tuple[Item, ...]
    cursor: str
    #: Items that belong here too, but at which the server failed: to be read another time, by their ids.
    unread: tuple[str, ...] = ()


class Audience(StrEnum):
    """Who may open a link."""

    #: Whoever may log in at the store and has a right to the file there.
    STORE = "store"
    #: To whom the mailbox belongs.
    OWNER = "owner"
    #: The group to which the mailbox belongs.
    GROUP = "group"
    #: Everybody with a login of the house.
    STAFF = "staff"
    #: Whoever has the link.
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """The conditions under which a link opens."""

    audience: Audience = Audience.STORE
    #: How long after it was made it opens. None: it never ends.
    expires: timedelta | None = None
    #: It asks for a password.
    password: bool = False
    #: How often each file may be fetched. None: as often as anyone likes.
    downloads: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """What is given to people. `expires` is None where it never does."""

    url: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """When links end as things stand (somebody may have extended them), and the page where their owner can do that."""

    #: None where they never do, or were taken back.
    at: datetime | None
    #: The address of the page; "" where there is none.
    page: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the files behind a link came from, for those who open it and for those who look after it."""

    #: The id of the redirect: asked again for the same one, the same link is given.
    redirect: str
    #: The collection in the store that holds its files.
    folder: str
    #: The address of the mailbox, or of the share.
    mailbox: str
    sender: str
    #: When the server received it, in UTC; None where it did not say.
    received: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Bytes proved in place: the store gave back what we read."""

    path: str
    size: int
    sha256: str
    #: As the store quoted it; "" where it has none that can be trusted.
    etag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the policy says about one file, which rule said so, and why."""

    file: File
    action: Action
    rule: str
    because: str
    settle: timedelta = timedelta(0)
    terms: LinkTerms = LinkTerms()
    #: The whole message goes into the store too, before anything in it changes.
    keep_original: bool = False
    #: What the file bears in the store, for other software to heed.
    tags: tuple[str, ...] = ()
    #: The template of the collection that it goes into; "" for that of its tenant.
    destination: str = ""
    #: How long the store keeps it from when its message shows the link, or from when that is gone. Neither: for ever.
    retention: timedelta | None = None
    outlives: timedelta | None = None
    #: A rule matched, and whoever the message belongs to wants it left as it is.
    by_owner: bool = False
    #: Ask again then: what stands now may be another verdict later (age, for instance).
    look_again: datetime | None = None
    #: What decides and is not known yet. Until then the file is kept; the caller fetches all of it, and asks again.
    needs: frozenset[Need] = frozenset()
    #: What rules on trial would have done before this one: their names and actions.
    would: tuple[tuple[str, Action], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RedirectedFile:
    """One file on its way: what was seen in the item, where it goes, and how far it is."""

    file: File
    #: In the store; decided and committed before a byte is written.
    path: str
    action: Action
    rule: str
    terms: LinkTerms = LinkTerms()
    stored: Stored | None = None
    link: Link | None = None
    #: The user took it out of the message before the link was shown, or it stays there.
    gone: bool = False
    #: The path of the file of the item that it was found in (`content.unpack`); "" for what is a file of the item.
    inside: str = ""
    #: What it bears in the store from the first, for other software to heed.
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """What is edited in place of an item, until it takes its place."""

    id: str
    #: The version of the item when it was copied.
    version: str
    #: The likeness of the item then: where it differs by now, somebody changed it. Unlike the version, it lasts a move.
    original: str
    #: The likeness of the copy itself when all its edits were done; "" before.
    finished: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Redirect:
    """One journalled intent about one item. Its random id is committed before anything is touched."""

    id: str
    source: str
    item_id: str
    internet_message_id: str
    #: The collection in the store that holds this redirect's files and nothing else.
    folder: str
    files: tuple[RedirectedFile, ...]
    settle: timedelta
    #: When the server received its item, in UTC; None where it did not say, or only a manifest knew of the redirect.
    received: datetime | None = None
    created: datetime
    #: Nothing is done before this time: settle, a deferral and "now" are all told by it.
    due: datetime
    #: The whole message goes into the store too (`original`), before anything in it changes.
    keep_original: bool = False
    original: Stored | None = None
    #: How long the store keeps its files from when they have links, or were copied. None: see `outlives`.
    retention: timedelta | None = None
    #: When that is over. None before it began.
    ends: datetime | None = None
    #: How long they outlive their message and all copies of it in its source; nothing ends before. None: see
    #: `retention`; where both are None, they stay for ever.
    outlives: timedelta | None = None
    #: Since when the item is known to be gone; None while it is there, or where nothing depends on it.
    gone: datetime | None = None
    #: The end of links of which their owner was told; None while he was told of none.
    reminded: datetime | None = None
    state: State = State.PLANNED
    #: Where a held redirect stood, and goes on when it is released.
    held_in: State | None = None
    #: Why it is held, dropped or deferred; "" otherwise.
    reason: str = ""
    #: Failures since it was planned, released or recalled. A step that goes well does not forget them, or two steps
    #: could send each other in a circle.
    attempts: int = 0
    #: When its bytes were proved; settle counts from here.
    proved: datetime | None = None
    #: The source's count of full passes when its item was first not found; None while nobody misses it.
    missed: int | None = None
    #: When its owner was told that it is held; None while he was not.
    told: datetime | None = None
    #: The human who dropped or recalled it. Such a message is not redirected again.
    ended_by: str = ""
    #: Whoever recalled it wants its links to open nothing afterwards.
    revoke: bool = False
    #: Links were seen in the item at some time, or nobody knows: a copy of it may show them for ever.
    was_shown: bool = False
    #: The id of what shows the link in place of a shared file, once it does; "" for a message, which shows its own.
    pointer: str = ""
    #: While there is one, it is what the steps edit, and the ids of `files` are those in it. None: the item itself.
    copy: Copy | None = None
    #: What the copy took the place of, as long as it lies on the shelf.
    replaced: str | None = None
    #: Grows with every write: two writers cannot both win.
    revision: int = 0

    def without_copies(self) -> "Redirect":
        """The same, once the store has nothing of it any more."""
        bare = tuple(replace(each, stored=None, link=None) for each in self.files)
        return replace(self, files=bare, original=None)

    @property
    def live(self) -> tuple[RedirectedFile, ...]:
        """The files that are still in it."""
        return _with_what_they_are_in([each for each in self.files if not each.gone])

    @property
    def shown(self) -> tuple[RedirectedFile, ...]:
        """The files whose links the message is to show."""
        return _with_what_they_are_in([each for each in self.live if each.action is Action.REDIRECT])

    @property
    def attached(self) -> tuple[RedirectedFile, ...]:
        """Those of them that are files of the item itself."""
        return tuple(each for each in self.live if not each.inside)

    @property
    def leaving(self) -> tuple[RedirectedFile, ...]:
        """The files whose originals leave the item, once it shows their links."""
        return tuple(each for each in self.shown if not each.inside)


def _with_what_they_are_in(files: Sequence[RedirectedFile]) -> tuple[RedirectedFile, ...]:
    """Without those that were found inside a file that is not among them: they share its fate."""
    found_inside = [each for each in files if each.inside]
    if not found_inside:
        return tuple(files)
    paths = {each.path for each in files}
    return tuple(each for each in files if not each.inside or each.inside in paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What is put into a message, ready made for either kind of body."""

    redirect_id: str
    #: Goes into our named property with the same write.
    marker: str
    html: str
    text: str
    #: What must be seen in the body before an original may go.
    urls: tuple[str, ...]
    #: Of a *tombstone*, which shows no link any more: what became of the files, in few words; "" otherwise.
    ended: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A message of ours to the owner of a mailbox."""

    #: Goes into our named property: by what it names, the letter is found again.
    marker: str
    internet_message_id: str
    #: What stands in the place of a sender's name.
    sender: str
    subject: str
    text: str


#: Words of a store path template, and what each stands for.
PathWord = Literal["tenant", "mailbox", "year", "month", "date", "sender", "subject", "id"]
