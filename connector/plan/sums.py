"""What a plan comes to: how many messages, files and bytes, and what that means for servers and people. Pure.

Bytes are those that sources announce: what is read is a little less. Memory grows with mailboxes, senders, days and
files for the store, never with messages or their contents.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from connector.errors import ConnectorError
from connector.model import Action, Audience, File, FileKind, Item, Message, Need, Room, Verdict
from connector.plan.look import Looked, Unread
from connector.plan.robots import Habits
from connector.policy import HEAD
from connector.policy.values import fold, is_who

#: How long Exchange keeps what was deleted or edited, where nobody has changed that.
RETENTION = timedelta(days=14)
#: With single item recovery: the message as it was before the links came, and before its files left.
VERSIONS = 2
#: The same of the copy that takes its place, and the message itself.
VERSIONS_OF_COPIES = 3

_NO_EXTENSION = "(none)"
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
#: Files leave the item by these, once it shows links; a hold may be released.
_LEAVING = frozenset({Action.REDIRECT, Action.HOLD})
#: Nothing is copied before a human has decided about what is held.
_TO_STORE = frozenset({Action.REDIRECT, Action.COPY})


class By(StrEnum):
    """What a sum is of."""

    MAILBOX = "mailbox"
    DEPARTMENT = "department"
    RULE = "rule"
    TYPE = "type"
    #: The domain of whoever sent it.
    DOMAIN = "domain"
    SENDER = "sender"


@dataclass(slots=True)
class Amount:
    """So much of something."""

    messages: int = 0
    files: int = 0
    bytes: int = 0

    def add(self, files: Iterable[File]) -> None:
        """One more message with these files; none where it has none."""
        sizes = [file.size for file in files]
        self.messages += bool(sizes)
        self.files += len(sizes)
        self.bytes += sum(sizes)

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.messages + other.messages, self.files + other.files, self.bytes + other.bytes)


@dataclass(slots=True)
class Line:
    """One line of a table."""

    #: All that came in within the time that was looked at.
    amount: Amount = field(default_factory=Amount)
    #: As much of it as the next turn would begin with.
    at_once: Amount = field(default_factory=Amount)
    #: The numbers of the mailboxes that it was found in.
    people: set[int] = field(default_factory=set)


#: Of which group, and what becomes of its files (an `Action`) or what is wrong with their links.
Lines = dict[tuple[str, str], Line]


@dataclass(kw_only=True, slots=True)
class Share:
    """One mailbox, or one share of files, and what the plan means for it."""

    address: str
    #: Where it belongs to: a department, or groups.
    departments: tuple[str, ...] = ()
    #: The database that it is in; "" where nobody said.
    database: str = ""
    #: Why nothing at all would be done in it; "" where nothing stands against it.
    blocked: str = ""
    #: Why it could not be looked at to its end; None where it could.
    failed: ConnectorError | None = None
    #: The pilot leaves it out: rules are only monitored there.
    on_trial: bool = False
    room: Room | None = None
    #: Its people have to be let into the store first, with a new share.
    needs_share: bool = False
    #: How often the server keeps a message while files leave it.
    versions: int = VERSIONS
    #: Bytes of the messages that are edited, by the day on which they came.
    edited: Counter[date] = field(default_factory=Counter)
    unread: int = 0

    @property
    def most_recoverable(self) -> int:
        """The most bytes that the server would keep of them at a time: the worst days of its retention."""
        days, kept, most, oldest = sorted(self.edited), 0, 0, 0
        for day in days:
            kept += self.edited[day]
            while days[oldest] <= day - RETENTION:
                kept -= self.edited[days[oldest]]
                oldest += 1
            most = max(most, kept)
        return self.versions * most

    @property
    def fills(self) -> bool:
        """Whether Recoverable Items would be as full as to stop all edits."""
        room = self.room
        return room is not None and Room(room.used + self.most_recoverable, room.quota).full


@dataclass(kw_only=True, slots=True)
class Plan:
    """All that is told of one tenant."""

    tenant: str
    begin: datetime | None
    end: datetime
    #: The fingerprint of its policy.
    policy: str = ""
    #: The domains of the house: whoever has another one is outside.
    domains: tuple[str, ...] = ()
    #: How many shares the store lets us make in ten minutes; None: as many as we like.
    budget: int | None = None
    #: How often the store's servers keep a file in the end, with trash and backups.
    kept: float = 1
    shares: list[Share] = field(default_factory=list)
    habits: list[Habits] = field(default_factory=list)
    lines: dict[By, Lines] = field(default_factory=lambda: {by: {} for by in By})
    people: set[int] = field(default_factory=set)
    #: What rules look into, and how many bytes of it are read.
    looked_into: Line = field(default_factory=Line)
    #: How many messages are fetched for the sake of their text.
    bodies: int = 0
    #: What would go into the store, each copy counted.
    stored: Amount = field(default_factory=Amount)
    later: Line = field(default_factory=Line)
    #: Messages that go into the store as a whole too.
    originals: Amount = field(default_factory=Amount)
    public_shares: int = 0
    #: For whom the store would have to make shares.
    sharing: set[int] = field(default_factory=set)
    #: What leaves messages that their owners have forwarded.
    forwarded: Line = field(default_factory=Line)
    #: What rules on trial would have done, by rule and action.
    trials: Lines = field(default_factory=dict)
    #: By rule, and what is wrong with links of it.
    problems: Lines = field(default_factory=dict)
    #: By (by, group, what becomes of a file now, and by another policy): where one was given.
    moved: dict[tuple[By, str, str, str], Line] = field(default_factory=dict)
    #: Messages that are edited, by the day on which they came.
    by_day: dict[date, Line] = field(default_factory=dict)
    first: date | None = None
    #: By what makes it one: how often it goes into the store, and its size.
    _copies: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def begin_mailbox(self, share: Share) -> None:
        """One more is looked at: its number is how many there were before."""
        if share.needs_share:
            self.sharing.add(len(self.shares))
        self.shares.append(share)
        self.habits.append(Habits(share.address))

    def add(self, number: int, looked: Looked | Unread) -> None:
        """One more item of the mailbox with this number."""
        share = self.shares[number]
        if isinstance(looked, Unread):
            share.unread += 1
            return
        item, verdicts = looked.item, looked.verdicts
        at_once = frozenset() if share.blocked or share.on_trial else looked.at_once
        self.habits[number].see(item)
        if not verdicts:
            return
        self.people.add(number)
        self._look_into(number, looked)
        if again := [each for each in verdicts if each.look_again]:
            self._add_line(self.later, number, again, frozenset())
        self._add_lines(number, item, verdicts, at_once)
        self._add_to_store(number, item, verdicts)
        self._compare(number, share, item, looked)
        if looked.forwarded:
            leaving = [each for each in verdicts if each.action is Action.REDIRECT]
            self._add_line(self.forwarded, number, leaving, at_once)

    @property
    def repeated(self) -> tuple[int, int, int]:
        """Files that go into the store for several mailboxes: how many different ones, their bytes once, and in all."""
        several = [(count, size) for count, size in self._copies.values() if count > 1]
        return len(several), sum(size for _, size in several), sum(count * size for count, size in several)

    def leaving(self, addresses: Collection[str]) -> Amount:
        """What leaves messages in these mailboxes."""
        lines = (self.lines[By.MAILBOX].get((each, Action.REDIRECT), Line()) for each in addresses)
        return sum((line.amount for line in lines), Amount())

    @property
    def databases(self) -> Lines:
        """Bytes that servers keep of messages as they were before, by the database that they are in."""
        found: Lines = {}
        for number, each in enumerate(self.shares):
            if each.database and each.edited:
                line = found.setdefault((each.database, ""), Line())
                line.amount.bytes += each.versions * each.edited.total()
                line.people.add(number)
        return found

    @property
    def days(self) -> int:
        """How many days were looked at; one at least."""
        first = self.begin.date() if self.begin else self.first or self.end.date()
        return max((self.end.date() - first).days, 1)

    @property
    def recoverable(self) -> int:
        """Bytes that servers keep for a while of all messages that are edited, as they were before."""
        return sum(share.versions * share.edited.total() for share in self.shares)

    @property
    def new_shares(self) -> int:
        """How many shares the store would have to make."""
        return self.public_shares + sum(each.needs_share for each in self.shares)

    @property
    def time_for_shares(self) -> timedelta:
        """How long the store takes to allow them."""
        return timedelta(minutes=10) * (max(self.new_shares - 1, 0) // self.budget) if self.budget else timedelta(0)

    def _add_lines(self, number: int, item: Item, verdicts: tuple[Verdict, ...], at_once: frozenset[str]) -> None:
        share = self.shares[number]
        for by in By:
            grouped: dict[tuple[str, str], list[Verdict]] = {}
            for each in verdicts:
                for group in share.departments if by is By.DEPARTMENT else (self._group(by, share, item, each),):
                    grouped.setdefault((group, each.action), []).append(each)
            for key, told in grouped.items():
                self._add_line(self.lines[by].setdefault(key, Line()), number, told, at_once)
        for would in dict.fromkeys(would for each in verdicts for would in each.would):
            told = [each for each in verdicts if would in each.would]
            self._add_line(self.trials.setdefault(would, Line()), number, told, frozenset())

    def _group(self, by: By, share: Share, item: Item, verdict: Verdict) -> str:
        match by:
            case By.MAILBOX:
                return share.address
            case By.RULE:
                return verdict.rule or "(no rule)"
            case By.TYPE:
                return kind(verdict.file)
            case By.DOMAIN:
                return item.sender.rpartition("@")[2].lower() or "(unknown)"
            case _:
                return item.sender.lower() or "(unknown)"

    def _add_line(self, line: Line, number: int, verdicts: Iterable[Verdict], at_once: frozenset[str]) -> None:
        verdicts = tuple(verdicts)
        line.amount.add(each.file for each in verdicts)
        line.at_once.add(each.file for each in verdicts if each.file.id in at_once)
        line.people.add(number)

    def _look_into(self, number: int, looked: Looked) -> None:
        if not looked.looked_into:
            return
        into = self.looked_into
        into.people.add(number)
        into.amount.messages += 1
        self.bodies += any(Need.BODY in each.needs for each in looked.looked_into)
        for each in looked.looked_into:
            if wanted := each.needs - {Need.BODY}:
                into.amount.files += 1
                into.amount.bytes += min(each.file.size, HEAD) if wanted == {Need.HEAD} else each.file.size

    def _add_to_store(self, number: int, item: Item, verdicts: tuple[Verdict, ...]) -> None:
        self._add_links(number, item, [each for each in verdicts if each.action in _LEAVING])
        going = [each for each in verdicts if each.action in _TO_STORE]
        share = self.shares[number]
        if share.blocked or not going or any(each.action is Action.HOLD for each in verdicts):
            return
        day = item.received.astimezone(UTC).date() if item.received else self.end.date()
        self.first = min(self.first or day, day)
        size = item.size if isinstance(item, Message) else 0
        whole = max(size, sum(file.size for file in item.files))
        self.stored.add(each.file for each in going)
        if any(each.keep_original for each in going):
            self.originals.messages += 1
            self.originals.bytes += whole
        if any(each.action is Action.REDIRECT for each in going):
            share.edited[day] += whole
            line = self.by_day.setdefault(day, Line())
            line.amount.messages += 1
            line.amount.bytes += whole
            line.people.add(number)
        for each in going:
            made_of = (item.internet_message_id or item.id, each.file.name, str(each.file.size))
            one = hashlib.blake2b("\0".join(made_of).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            count, _ = self._copies.get(one, (0, 0))
            self._copies[one] = count + 1, each.file.size

    def _add_links(self, number: int, item: Item, leaving: list[Verdict]) -> None:
        public = {each.terms for each in leaving if each.terms.audience is Audience.ANYONE}
        if self.budget and public and not self.shares[number].blocked:
            self.public_shares += len(public)
            self.sharing.add(number)
        problems: dict[tuple[str, str], list[Verdict]] = {}
        for each in leaving:
            for problem in self._problems(number, item, each):
                problems.setdefault((each.rule, problem), []).append(each)
        for key, told in problems.items():
            self._add_line(self.problems.setdefault(key, Line()), number, told, frozenset())

    def _problems(self, number: int, item: Item, verdict: Verdict) -> Iterable[str]:
        audience = verdict.terms.audience
        if self.shares[number].blocked:
            # Why, is told where people may be named.
            yield "nobody could open the link: whose mailbox it is, is not clear"
        if audience is Audience.ANYONE and not verdict.terms.password:
            yield "whoever comes by the link can open it: it asks for no password"
        if audience is not Audience.ANYONE and isinstance(item, Message) and self._has_outsiders(item):
            yield f"recipients outside of the house cannot open a link for {audience}"

    def _has_outsiders(self, item: Message) -> bool:
        return any(not any(is_who(each, fold(who)) for each in self.domains) for who in item.recipients)

    def _compare(self, number: int, share: Share, item: Item, looked: Looked) -> None:
        """Files with which another policy would do something else."""
        pairs = zip(looked.verdicts, looked.others, strict=False)
        changed = [(now, then) for now, then in pairs if _what(now) != _what(then)]
        for by in (By.RULE, By.MAILBOX):
            files: dict[tuple[By, str, str, str], list[File]] = {}
            for now, then in changed:
                group = self._group(by, share, item, now)
                if by is By.RULE and now.rule != then.rule:
                    group = f"{group} → {self._group(by, share, item, then)}"
                files.setdefault((by, group, _what(now), _what(then)), []).append(now.file)
            for key, these in files.items():
                moved = self.moved.setdefault(key, Line())
                moved.amount.add(these)
                moved.people.add(number)


def kind(file: File) -> str:
    """What people call the type of a file: its extension. What is none goes together: names are written by anyone."""
    if file.kind is FileKind.ITEM:
        return "(message)"
    extension = file.name.rpartition(".")[2].lower() if "." in file.name else ""
    return extension if _EXTENSION.fullmatch(extension) else _NO_EXTENSION


def _what(verdict: Verdict) -> str:
    """What becomes of the file, in a few words; whoever may open its link belongs to it."""
    return f"{verdict.action} for {verdict.terms.audience}" if verdict.action in _LEAVING else verdict.action
