"""The ledger: what is to be done, how far it is, who may write, and what happened.

The state of a redirect, its files, the event and the hash chain are written in one transaction: by `Ledger.write`, and
by what stands for it where a redirect is discovered, rebuilt or swept. No transaction spans two effects, and none
waits for a network. Two things are noted without an event, since nothing happened: that links may have been shown, and
that a message was looked for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, or_, select, update

from connector import sql
from connector.ledger import agenda, backlog, chain, database, proofs, rows, sources, subjects
from connector.ledger import schema as tables
from connector.ledger.absorb import absorbed
from connector.ledger.agenda import Due
from connector.ledger.backlog import Backfill, Waiting
from connector.ledger.chain import Chain, Event, Fact
from connector.ledger.errors import TROUBLE, LeaseLost, LedgerError
from connector.ledger.prepared import Prepared
from connector.ledger.proofs import Proved
from connector.ledger.schema import chains, erasures, events, files, identity, later, pauses, redirects, successors
from connector.ledger.sources import Lease, Watched
from connector.model import ACTIVE, Proof, Redirect, State

#: A pause that only a human ends, or what it is for; and the longest of those that end by themselves.
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
LONGEST_PAUSE = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """A source, or a tenant's store, that is left alone until a time."""

    name: str
    until: datetime
    #: One sentence for the operator.
    reason: str
    #: The class of the error, such as Denied.
    error: str


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses at one moment, by name."""

    standing: Mapping[str, Pause]
    #: Those whose time is over since a day at most, while nobody knows yet whether what they were for has ended too.
    ended: Mapping[str, Pause]


@dataclass(frozen=True, slots=True)
class Work:
    """Redirects of one tenant in one state."""

    tenant: str
    state: State
    count: int
    #: When the first of them is due, or was.
    due: datetime


class Ledger:
    """One database: a SQLite file or a PostgreSQL database. Threads may share it.

    Every method raises LedgerError where the database cannot be used, and is then as if it had not been called.
    Times have a zone. Events never carry subjects, bodies, file names or secrets: callers see to what `detail` holds.
    """

    #: Random, made with the ledger: a cloned or foreign ledger is told by it.
    id: str

    def __init__(self, url: str) -> None:
        """Open the ledger and bring its tables to the newest version; a new one is made. Raises NewerLedger."""
        parts = sql.parsed(url, TROUBLE)
        self._place = sql.place(parts)
        self._engine = sql.engine(parts, TROUBLE)
        self._connections = sql.Connections(self._engine, TROUBLE, self._place)
        self._reading, self._writing = self._connections.reading, self._connections.writing
        #: By source and id, as they stand: what was handed out as due, or else what was written last. A message of
        #: hundreds of files is written once for each of them; to read all of them each time would cost a square. A
        #: revision is written once, so it stands as long as that does.
        self._known: dict[str, dict[str, Redirect]] = {}
        #: Of tenants and names; only what is committed.
        self._pseudonyms: dict[tuple[str, str], str] = {}
        database.migrate(self._connections, self._place)
        with self._reading() as connection:
            self.id = connection.execute(select(identity.c.id)).scalar_one()

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    @property
    def copies_itself(self) -> bool:
        """Whether `back_up` is for it; PostgreSQL has its own backups."""
        return self._engine.dialect.name == "sqlite"

    def back_up(self, file: Path) -> None:
        """Copy all of it, as it is at one moment, into a new file that only its owner may read.

        Whatever fails, nothing is at `file`. Raises ValueError where something is there, and for PostgreSQL.
        """
        database.back_up(self._engine, self._place, file)

    def require_whole(self) -> None:
        """Read all of it: every page of the database, and every chain. Raises LedgerError, which says what to do."""
        if wrong := database.damage(self._connections):
            raise LedgerError(f"ledger {self._place}: {sql.DAMAGED} ({wrong})")
        for tenant in self.tenants():
            if broken := self.broken_link(tenant):
                raise LedgerError(
                    f"ledger {self._place}: event {broken} of the tenant {tenant} is missing, or not as it was written:"
                    " somebody or something changed it; compare it with your newest backups, and keep both"
                )

    def _append(self, connection: Connection, tenant: str, at: datetime, facts: Sequence[Fact]) -> None:
        for name, pseudonym in chain.append(connection, tenant, at, facts).items():
            if self._pseudonyms.get((tenant, name), pseudonym) != pseudonym:
                # Another process has had them forgotten.
                self._pseudonyms.pop((tenant, name), None)

    # The generation: a restored backup has a lower one than the store and the markers.

    @property
    def generation(self) -> int:
        """How often this ledger was rebuilt or taken back."""
        with self._reading() as connection:
            ((generation,),) = _GENERATION.rows(connection)
        return int(generation)

    def raise_generation(self) -> int:
        """One more; committed when this returns."""
        raising = update(identity).values(generation=identity.c.generation + 1).returning(identity.c.generation)
        with self._writing() as connection:
            return int(connection.execute(raising).scalar_one())

    def adopt_generation(self, at_least: int) -> None:
        """Catch up with a generation that was seen elsewhere; a lower one changes nothing."""
        with self._writing() as connection:
            connection.execute(update(identity).where(identity.c.generation < at_least).values(generation=at_least))

    def take_for_shown(self, tenant: str) -> None:
        """The ledger turned out to be an old one: the links of all that it knows may have been shown since."""
        with self._writing() as connection:
            rows.take_for_shown(connection, tenant)

    # Sources and their leases: one writer for each.

    def watch(self, name: str, *, tenant: str, address: str, now: datetime, since: datetime | None = None) -> Watched:
        """Make a source known, or bring its address up to date.

        `since` (at first contact: or `now`) is kept for ever; only an earlier one replaces it, and forgets the cursor.
        """
        first = Watched(name=name, tenant=tenant, address=address, since=since or now, cursor=None, passes=0)
        with self._reading() as connection:
            known = sources.as_watched(connection, first, since)
        if known:
            return known
        with self._writing() as connection:
            return sources.watch(connection, first, since)

    def watched(self) -> tuple[Watched, ...]:
        """All sources that were ever watched, by name."""
        with self._reading() as connection:
            return sources.read(connection)

    def lease(self, source: str, owner: str, now: datetime, ttl: timedelta) -> Lease | None:
        """The right to write for a watched source; None while somebody else's lease runs.

        The same owner may take it again: what it wrote under the lease before is thereby fenced off.
        """
        with self._writing() as connection:
            return sources.lease(connection, source, owner, now, ttl)

    def renew(self, lease: Lease, now: datetime, ttl: timedelta) -> Lease:
        """The same lease, with its end moved to `now + ttl`. Raises LeaseLost."""
        with self._writing() as connection:
            return sources.renew(connection, lease, now, ttl)

    def release(self, lease: Lease) -> None:
        """Give the source free at once. A lease that was lost already stays lost."""
        with self._writing() as connection:
            sources.release(connection, lease)

    # Discovery.

    def record(
        self,
        lease: Lease,
        planned: Sequence[Redirect],
        later: Mapping[str, datetime],
        *,
        cursor: str | None,
        complete: bool,
        now: datetime,
        looked: Collection[str] = (),
        monitored: bool = False,
        policy: str = "",
    ) -> tuple[Redirect, ...]:
        """Write down what a page of changes brought, together with the cursor behind it: all of it or none.

        Returns what is really new, as it now stands; `absorb.absorbed` says what is not. Recorded again: nothing new.
        `later` names the items to look at again and when; `looked` those of earlier pages that were looked at again.
        `cursor` None leaves the cursor where it is. `complete` counts a full pass. `monitored`: the source was only
        looked at, and what came up to now is never to be touched. `policy` is the fingerprint of the one that wants it.
        Raises LeaseLost, Stale.
        """
        with self._writing() as connection:
            tenant = sources.fence(connection, lease)
            new = [each for plan in planned if (each := _recorded(connection, plan, now, policy)) is not None]
            seen = {*looked, *(plan.item_id for plan in planned)}
            sources.look_later(connection, lease.source, seen, later)
            sources.move(connection, lease.source, cursor, complete=complete, monitored=now if monitored else None)
            self._append(connection, tenant, now, [fact for _, fact in new])
        return tuple(redirect for redirect, _ in new)

    def awaits_pass(self, source: str, passes: int) -> bool:
        """Whether an item was missed of which so many full passes do not say yet that it is gone."""
        with self._reading() as connection:
            return bool(_MISSED.rows(connection, of=source, passes=passes))

    def would_record(self, planned: Redirect) -> Redirect | None:
        """What `record` would write for this plan, or None where nothing is new. Writes nothing."""
        with self._reading() as connection:
            return absorbed(planned, rows.concerning(connection, planned))

    def look_again(self, source: str, now: datetime) -> tuple[str, ...]:
        """The items whose time to be looked at again has come, the longest waiting first."""
        with self._reading() as connection:
            return tuple(item_id for (item_id,) in _LOOK_AGAIN.rows(connection, of=source, now=now))

    def comes_back(self, source: str, name: str) -> bool:
        """Whether a file of this name is on its way back into the share: its new id is not known yet."""
        c = redirects.c
        on_its_way = or_(c.state == State.RECALLED, c.held_in == State.RECALLED)
        of = select(files.c.position).join(redirects, c.id == files.c.redirect_id).where(c.source == source)
        with self._reading() as connection:
            found = of.where(on_its_way, c.pointer != "", files.c.name == name).limit(1)
            return connection.execute(found).first() is not None

    # Work.

    def due(
        self, source: str, now: datetime, limit: int = 100, states: Collection[State] = ACTIVE
    ) -> tuple[Redirect, ...]:
        """The redirects in these states with a step to be taken now, the longest due first."""
        c = redirects.c
        with self._reading() as connection:
            due = rows.read(connection, c.source == source, c.state.in_(states), c.due <= now, order=c.due, limit=limit)
        self._known[source] = {each.id: each for each in due}
        return due

    def written_after(self, at: datetime, tenant: str) -> tuple[tuple[Redirect, datetime], ...]:
        """The tenant's redirects with a step to be taken that were written, as they say, after this time; and when."""
        c = redirects.c
        ours = c.source.in_([each.name for each in self.watched() if each.tenant == tenant])
        wanted = (ours, c.state.in_(ACTIVE), c.written > at)
        with self._reading() as connection:
            written = {row.id: row.written for row in connection.execute(select(c.id, c.written).where(*wanted))}
            return tuple((each, written[each.id]) for each in rows.read(connection, *wanted))

    def agenda(self, tenant: str, now: datetime) -> Mapping[str, Due]:
        """What waits for a tick now, by the addresses of the tenant's sources. One query for all of them."""
        with self._reading() as connection:
            return agenda.read(connection, tenant, now, now.astimezone().hour)

    def next_due(self, source: str | None = None) -> datetime | None:
        """When the next redirect or item is due, of this source or of all; None where nothing waits."""
        work = select(func.min(redirects.c.due)).where(redirects.c.state.in_(ACTIVE))
        looks = select(func.min(later.c.at))
        if source is not None:
            work, looks = work.where(redirects.c.source == source), looks.where(later.c.source == source)
        with self._reading() as connection:
            times = [connection.execute(query).scalar_one() for query in (work, looks)]
        return min((at for at in times if at is not None), default=None)

    def write(
        self,
        redirect: Redirect,
        event: str,
        now: datetime,
        *,
        lease: Lease | None = None,
        after: int = 0,
        **detail: Any,
    ) -> Redirect:
        """Write a redirect as it now stands, with its files, the event and the chain: all of it or none.

        Returns it with its new revision, which is also later than `after`. Raises Stale where somebody else wrote it
        since it was read, LeaseLost where `lease` was given to another, Taken where the item (after it was found
        elsewhere) is another redirect's already.
        """
        with self._writing() as connection:
            tenant = _tenant_of(connection, redirect, lease)
            # Only where the source is ours: the ledger may have been taken back since, to before what is known.
            known = self._known.get(redirect.source, {}).get(redirect.id) if lease else None
            before = known if known and known.revision == redirect.revision else None
            written = rows.change(connection, redirect, now, before, after=after)
            self._append(connection, tenant, now, [_fact(written, event, **detail)])
        if lease:
            if known is None:
                # Not among those handed out as due: it alone is remembered, or this would grow.
                self._known[redirect.source] = {}
            self._known[redirect.source][redirect.id] = written
        return written

    def note(
        self, tenant: str, event: str, now: datetime, *, source: str = "", redirect_id: str = "", **detail: Any
    ) -> None:
        """Append an event that moves no redirect: a forgery that was seen, a sweep."""
        with self._writing() as connection:
            self._append(connection, tenant, now, [Fact(event, source, redirect_id, detail)])

    def rebuild(self, redirect: Redirect, event: str, now: datetime) -> bool:
        """Insert a redirect that was rebuilt from its manifest. False: one with its id is here, and stays as it is.

        Its source must be watched. Raises Taken.
        """
        with self._writing() as connection:
            tenant = sources.tenant(connection, redirect.source)
            if rows.read(connection, redirects.c.id == redirect.id):
                return False
            rows.add(connection, redirect, now)
            self._append(connection, tenant, now, [_fact(redirect, event)])
        return True

    # Sweeping: what was dropped may leave files in the store.

    def droppable(self, source: str, before: datetime) -> tuple[Redirect, ...]:
        """The dropped redirects of a source that nobody wrote since `before` and whose files no sweep has deleted."""
        c = redirects.c
        dropped = (c.source == source, c.state == State.DROPPED, c.swept.is_(None))
        with self._reading() as connection:
            return rows.read(connection, *dropped, c.written < before)

    def unreminded(self, source: str, now: datetime, until: datetime) -> tuple[Redirect, ...]:
        """The redirects of a source that are done and show a link which ends by then, and whose owner was not told."""
        with self._reading() as connection:
            return _of(connection, _ENDING, of=source, now=now, until=until)

    def lapsing(self, source: str, now: datetime, until: datetime) -> tuple[Redirect, ...]:
        """The redirects of a source, in whatever state, with a link which ends by then, whoever knows it."""
        with self._reading() as connection:
            return _of(connection, _LAPSING, of=source, now=now, until=until)

    def untold(self, source: str, before: datetime) -> tuple[Redirect, ...]:
        """The redirects of a source that have been held since before this time, and whose owner does not know it."""
        with self._reading() as connection:
            return _of(connection, _UNTOLD, of=source, before=before)

    def last_told(self, source: str) -> datetime | None:
        """When the owner of a source was last told what is held; None where he never was."""
        with self._reading() as connection:
            query = select(func.max(redirects.c.told)).where(redirects.c.source == source)
            last: datetime | None = connection.execute(query).scalar_one()
        return last

    def over(self, source: str, now: datetime) -> tuple[Redirect, ...]:
        """The redirects of a source whose time in the store has ended, and of which no step is under way."""
        c = redirects.c
        with self._reading() as connection:
            return rows.read(connection, c.source == source, c.ends <= now, c.outlives.is_(None), _RESTING)

    def outliving(self, source: str, before: datetime) -> tuple[Redirect, ...]:
        """Those of them whose files outlive their message: where that is gone, or was not looked for since `before`."""
        c = redirects.c
        wanted = c.gone.is_not(None) | c.looked_for.is_(None) | (c.looked_for < before)
        with self._reading() as connection:
            return rows.read(connection, c.source == source, c.outlives.is_not(None), _RESTING, wanted)

    def looked_for(self, lease: Lease, found: Collection[str], now: datetime) -> None:
        """The messages of these redirects were there now. Nothing happened, so no event tells it. Raises LeaseLost."""
        with self._writing() as connection:
            sources.fence(connection, lease)
            for redirect_id in found:
                connection.execute(update(redirects).where(redirects.c.id == redirect_id).values(looked_for=now))

    def swept(self, redirect: Redirect, now: datetime, *, lease: Lease | None = None) -> Redirect:
        """The files of a dropped redirect are deleted from the store: it is not offered again.

        Raises Stale, LeaseLost.
        """
        with self._writing() as connection:
            tenant = _tenant_of(connection, redirect, lease)
            written = rows.change(connection, redirect.without_copies(), now)
            connection.execute(update(redirects).where(redirects.c.id == redirect.id).values(swept=now))
            self._append(connection, tenant, now, [_fact(written, "sweep.deleted")])
        return written

    def let_go(self, tenant: str, before: datetime, held: Collection[str] = ()) -> int:
        """Forget redirects that ended before a time, and of which nothing is left to be known; how many.

        The store has nothing of them any more, no human decided about them, and they are of none of these sources. A
        message that shows their tombstone goes on bearing their marker, which counts without them.
        """
        with self._writing() as connection:
            return rows.let_go(connection, tenant, before, held)

    # Backfill: items from before first contact, which nobody touches unless it is wanted.

    def backfills(self) -> tuple[Backfill, ...]:
        """All that are wanted, by source."""
        with self._reading() as connection:
            return backlog.read(connection)

    def backfill(self, source: str) -> Backfill | None:
        """What is wanted of this source; None where nothing is."""
        with self._reading() as connection:
            return backlog.of_source(connection, source)

    def want_backfill(self, wanted: Backfill, event: str, now: datetime, *, by: str) -> None:
        """Want it from now on, as it stands here. Its source must be watched."""
        with self._writing() as connection:
            tenant = sources.tenant(connection, wanted.source)
            backlog.write(connection, wanted)
            detail = {"by": by, "since": wanted.since, "per_hour": wanted.per_hour}
            self._append(connection, tenant, now, [Fact(event, wanted.source, detail=detail)])

    def list_backlog(self, lease: Lease, listed: Backfill, found: Collection[Waiting], now: datetime) -> None:
        """Write down what a page of the feed has of it, together with the cursor behind the page. Raises LeaseLost."""
        with self._writing() as connection:
            sources.fence(connection, lease)
            backlog.add(connection, lease.source, found, now)
            moved = {"cursor": listed.cursor, "listed": listed.listed}
            this = tables.backfills.c.source == lease.source
            connection.execute(update(tables.backfills).where(this).values(moved))

    def next_in_backlog(self, of: Backfill, now: datetime) -> Waiting | None:
        """The item whose turn it is."""
        with self._reading() as connection:
            return backlog.waiting(connection, of, now)

    def left_in_backlog(self, source: str) -> tuple[int, int]:
        """How many items wait, and their bytes."""
        with self._reading() as connection:
            return backlog.left(connection, source)

    def record_backfilled(
        self,
        lease: Lease,
        item: Waiting,
        planned: Redirect | None,
        *,
        again: datetime | None,
        next_at: datetime,
        now: datetime,
        policy: str = "",
    ) -> Redirect | None:
        """Write down what is to become of an item from before first contact, and when the turn of the next one comes.

        Returns what is really new, as it now stands. `again`: the policy is to be asked once more then. Raises
        LeaseLost, Stale.
        """
        with self._writing() as connection:
            tenant = sources.fence(connection, lease)
            new = _recorded(connection, planned, now, policy) if planned else None
            backlog.settle(connection, lease.source, item.item_id, again)
            c = tables.backfills.c
            counted = {"done": c.done + 1, "done_bytes": c.done_bytes + item.size} if again is None else {}
            this = c.source == lease.source
            connection.execute(update(tables.backfills).where(this).values(next=next_at, **counted))
            self._append(connection, tenant, now, [new[1]] if new else [])
        return new[0] if new else None

    # Pauses and breakers: they are kept here, so that a restart does not knock at a locked door again.

    def pause(self, name: str, *, until: datetime, reason: str, error: str, now: datetime, tenant: str) -> None:
        """Leave a source or a store alone until a time. An event tells the first of a row of pauses for one error."""
        with self._writing() as connection:
            # One at a time, or two sources that meet the same broken store would both insert it.
            connection.execute(select(identity.c.id).with_for_update())
            before = connection.execute(select(pauses.c.error).where(pauses.c.name == name)).scalar_one_or_none()
            connection.execute(delete(pauses).where(pauses.c.name == name))
            connection.execute(insert(pauses).values(name=name, until=until, reason=reason, error=error))
            if error != before:
                of, detail = sources.of_pause(connection, name), {"paused": name, "error": error, "until": until}
                self._append(connection, tenant, now, [Fact("paused", of, detail=detail)])

    def paused(self, name: str, now: datetime) -> Pause | None:
        """The pause that this source or store is in; None where it may be asked again."""
        return self.all_pauses(now).standing.get(name)

    def pauses(self, now: datetime) -> tuple[Pause, ...]:
        """All pauses that are not over, by name."""
        return tuple(self.all_pauses(now).standing.values())

    def all_pauses(self, now: datetime) -> Pauses:
        """Those that stand, and those that have ended."""
        with self._reading() as connection:
            rows = _ALL_PAUSES.rows(connection, recent=now - LONGEST_PAUSE)
        found = [Pause(name=name, until=until, reason=reason, error=error) for name, until, reason, error in rows]
        return Pauses(
            standing={each.name: each for each in found if _stands(each, now)},
            ended={each.name: each for each in found if each.until <= now},
        )

    def resume(self, name: str) -> bool:
        """It answered again, or a human says so: the pause is over. False where there is none, as mostly."""
        with self._reading() as connection:
            if not _PAUSED.rows(connection, of=name):
                return False
        with self._writing() as connection:
            return bool(connection.execute(delete(pauses).where(pauses.c.name == name)).rowcount)

    # People who leave.

    def owner(self, tenant: str, mailbox: str) -> str:
        """The mailbox of whoever has taken over what belongs to this one; itself where nobody has."""
        with self._reading() as connection:
            return next((to for (to,) in _SUCCESSOR.rows(connection, of=tenant, left=mailbox.lower())), mailbox)

    def succeed(self, tenant: str, mailbox: str, successor: str, now: datetime, *, by: str) -> tuple[str, ...]:
        """Let what belongs to one mailbox belong to another from now on, with what that one had taken over.

        Returns the mailboxes, in lower case, whose files go to the successor. Repeated: the same.
        """
        c, left = successors.c, mailbox.lower()
        with self._writing() as connection:
            # One at a time, or two calls would both insert it.
            connection.execute(select(identity.c.id).with_for_update())
            of = c.tenant == tenant
            handed_on = func.lower(c.successor) == left
            connection.execute(update(successors).where(of, handed_on).values(successor=successor))
            connection.execute(delete(successors).where(of, c.mailbox.in_([left, successor.lower()])))
            connection.execute(insert(successors).values(tenant=tenant, mailbox=left, successor=successor))
            told = {"mailbox": mailbox, "successor": successor, "by": by}
            self._append(connection, tenant, now, [Fact("mailbox.left", detail=told)])
            theirs = func.lower(c.successor) == successor.lower()
            return tuple(connection.execute(select(c.mailbox).where(of, theirs)).scalars())

    # Proofs about servers.

    def prove(self, proved: Proved, event: str) -> None:
        """Keep how a proof went, in the place of how it went before, and the event: both or none.

        A waiver that stands already is not recorded again.
        """
        detail = {"server": proved.server, "proof": proved.proof, "passed": proved.passed, "by": proved.by}
        with self._writing() as connection:
            if proofs.write(connection, proved):
                self._append(connection, proved.tenant, proved.at, [Fact(event, detail=detail)])

    def proofs(self, tenant: str, server: str) -> Mapping[Proof, Proved]:
        """How each proof went last on this server."""
        with self._reading() as connection:
            return proofs.read(connection, tenant, server)

    def proved(self) -> tuple[Proved, ...]:
        """How each proof went last, on every server of every tenant."""
        with self._reading() as connection:
            return proofs.all_of_them(connection)

    # Of whom events speak.

    def pseudonym(self, tenant: str, name: str) -> str:
        """What stands in events for a source (by its name there), an address or a login; made where there is none.

        Not to be asked within a call of the ledger. For a moment after somebody was forgotten, the one from before.
        """
        known = self._pseudonyms.get((tenant, name))
        if known is None:
            known = self._pseudonyms[tenant, name] = self._pseudonym(tenant, name)
        return known

    def _pseudonym(self, tenant: str, name: str) -> str:
        with self._reading() as connection:
            known = subjects.find(connection, tenant, name)
        if known:
            return known
        with self._writing() as connection:
            chain.lock(connection, tenant)
            return subjects.pseudonym(connection, tenant, name)

    def spoken_of(self, tenant: str, names: Collection[str], sources: Collection[str]) -> Iterator[Event]:
        """What happened with these sources, and wherever else events speak of these names, as who acts too."""
        e, said = events.c, {*names, *sources}
        with self._reading() as connection:
            known = {found for each in said if (found := subjects.find(connection, tenant, each))}
            theirs = select(redirects.c.id).where(redirects.c.source.in_(sources))
            about: list[ColumnElement[bool]] = [e.source.in_(said | known), e.redirect_id.in_(theirs)]
            about += [e.detail.contains(each, autoescape=True) for each in (*names, *known)]
            yield from chain.read(connection, e.tenant == tenant, or_(*about))

    def want_erasure(self, source: str, now: datetime) -> None:
        """Nothing of this source is to be kept any more. Repeated: nothing."""
        with self._writing() as connection:
            # One at a time, or two calls would both insert it.
            connection.execute(select(identity.c.id).with_for_update())
            if connection.execute(select(erasures.c.at).where(erasures.c.source == source)).first() is None:
                connection.execute(insert(erasures).values(source=source, at=now))

    def erasures(self) -> Mapping[str, datetime]:
        """The sources of which nothing is to be kept, and since when."""
        with self._reading() as connection:
            return {row.source: row.at for row in connection.execute(select(erasures))}

    def forget(self, lease: Lease, person: str, now: datetime) -> None:
        """Forget all redirects of a source, and of whom events speak that were of it, or of this person. LeaseLost."""
        of, c = lease.source, redirects.c
        with self._writing() as connection:
            tenant = sources.fence(connection, lease)
            database.shred(connection)
            theirs = select(c.id).where(c.source == of)
            connection.execute(delete(files).where(files.c.redirect_id.in_(theirs)))
            gone = connection.execute(delete(redirects).where(c.source == of)).rowcount
            for each in (erasures.c.source, later.c.source, tables.backlog.c.source):
                connection.execute(delete(each.table).where(each == of))
            left = successors.c
            connection.execute(delete(successors).where(left.tenant == tenant, left.mailbox == person.lower()))
            self._append(connection, tenant, now, [Fact("person.erased", detail={"redirects": gone})])
            subjects.forget(connection, tenant, [of, person])
        self._known.pop(of, None)
        for name in (of, person):
            self._pseudonyms.pop((tenant, name), None)
        with self._reading() as connection:
            database.checkpoint(connection)

    def forget_name(self, tenant: str, name: str) -> None:
        """Nobody can tell any more what events say of this name."""
        with self._writing() as connection:
            chain.lock(connection, tenant)
            database.shred(connection)
            subjects.forget(connection, tenant, [name])
        self._pseudonyms.pop((tenant, name), None)

    # For people.

    def redirect(self, redirect_id: str) -> Redirect | None:
        """The redirect of this id; None where there is none."""
        with self._reading() as connection:
            return rows.one(connection, redirect_id)

    def stores_below(self, folder: str, *, besides: str) -> str:
        """The address of another source of its tenant that has files below this folder; "" where none has."""
        with self._reading() as connection:
            return rows.stored_below(connection, folder, besides)

    def redirects(
        self, *, state: State | None = None, source: str | None = None, internet_message_id: str | None = None
    ) -> tuple[Redirect, ...]:
        """All redirects of which this is so, the oldest first."""
        conditions = []
        if state is not None:
            conditions.append(redirects.c.state == state)
        if source is not None:
            conditions.append(redirects.c.source == source)
        if internet_message_id is not None:
            conditions.append(redirects.c.message_key == rows.message_key(internet_message_id))
        with self._reading() as connection:
            return rows.read(connection, *conditions)

    def sample(self, tenant: str, place: str, most: int) -> tuple[Redirect, ...]:
        """Of the tenant's redirects that are done, so many whose ids follow this place; the first follow the last."""
        c, done = redirects.c, _done(tenant)
        with self._reading() as connection:
            after = rows.read(connection, c.id >= place, *done, order=c.id, limit=most)
            return after + rows.read(connection, c.id < place, *done, order=c.id, limit=most - len(after))

    def newest(self, tenant: str, most: int) -> tuple[Redirect, ...]:
        """Of the tenant's redirects that are done, so many that were planned last."""
        with self._reading() as connection:
            return rows.read(connection, *_done(tenant), order=redirects.c.created.desc(), limit=most)

    def leading_to(self, place: str) -> tuple[Redirect, ...]:
        """The redirects of a file at this address or path in the store, or of what lies below it, the oldest first."""
        below = f"{place.rstrip('/')}/"
        at = [
            condition
            for column in (files.c.link_url, files.c.path)
            for condition in (column == place, column.startswith(below, autoescape=True))
        ]
        with self._reading() as connection:
            ids = select(files.c.redirect_id).where(or_(*at))
            return rows.read(connection, redirects.c.id.in_(ids))

    def counts(self) -> Mapping[tuple[str, State], int]:
        """How many redirects each source has in each state; nothing where it has none."""
        c = redirects.c
        query = select(c.source, c.state, func.count()).group_by(c.source, c.state)
        with self._reading() as connection:
            return {(source, state): number for source, state, number in connection.execute(query)}

    def work(self) -> tuple[Work, ...]:
        """How much is under way or held, of each tenant in each state; nothing where there is none."""
        c = redirects.c
        waiting = select(tables.sources.c.tenant, c.state, func.count(), func.min(c.due))
        waiting = waiting.join_from(redirects, tables.sources).where(c.state.in_([*ACTIVE, State.HELD]))
        with self._reading() as connection:
            return tuple(Work(*row) for row in connection.execute(waiting.group_by(tables.sources.c.tenant, c.state)))

    def require_writable(self) -> None:
        """Write what stands there already. Raises LedgerError where nothing can be written."""
        with self._writing() as connection:
            connection.execute(update(identity).values(generation=identity.c.generation))

    def events(
        self,
        *,
        tenant: str | None = None,
        first: int | None = None,
        last: int | None = None,
    ) -> Iterator[Event]:
        """What happened, of a tenant or all of it, each tenant's in its order; from one to another."""
        c = events.c
        wanted: list[ColumnElement[bool]] = []
        if tenant is not None:
            wanted.append(c.tenant == tenant)
        if first is not None:
            wanted.append(c.number >= first)
        if last is not None:
            wanted.append(c.number <= last)
        with self._reading() as connection:
            yield from chain.read(connection, *wanted)

    def history(self, redirect_id: str) -> tuple[Event, ...]:
        """What happened to a redirect, from the first to the last."""
        with self._reading() as connection:
            return chain.of_redirect(connection, redirect_id)

    def chains(self) -> tuple[Chain, ...]:
        """Where each tenant's chain begins and ends."""
        with self._reading() as connection:
            return chain.ends(connection)

    def numbers(self, tenant: str, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        """The first and the last event of a tenant from one time until another; no event lies between 1 and 0."""
        c = events.c
        of = [c.tenant == tenant]
        if since is not None:
            of.append(c.at >= since)
        if until is not None:
            of.append(c.at < until)
        with self._reading() as connection:
            found = connection.execute(select(func.min(c.number), func.max(c.number)).where(*of)).one()
        return (found[0], found[1]) if found[0] is not None else (1, 0)

    def trim_audit(self, tenant: str, before: datetime, now: datetime, held: Collection[str] = ()) -> int:
        """Take events from before a time from the front of the tenant's chain, and say so in its last one; how many.

        The chain then begins with the first event that is younger, or of a source on hold (`held`), or of a redirect
        that has files in the store, a step to come or a decision to wait for.
        """
        f, r = files.c, redirects.c
        resting = r.state.in_((State.DONE, State.DROPPED, State.RESTORED, State.ERASED))
        stored = select(f.redirect_id).where(f.stored_path.is_not(None))
        living = select(r.id).where(~resting | r.original_path.is_not(None) | r.id.in_(stored))
        with self._writing() as connection:
            names = {name for each in held for name in (each, subjects.find(connection, tenant, each)) if name}
            stays = events.c.redirect_id.in_(living) | events.c.source.in_(names)
            gone, last, known = chain.cut(connection, tenant, before, stays)
            if gone:
                detail = {"number": last, "hash": known, "events": gone, "before": before}
                self._append(connection, tenant, now, [Fact(chain.CUT, detail=detail)])
        return gone

    def tenants(self) -> tuple[str, ...]:
        """Whoever has a chain of events."""
        with self._reading() as connection:
            return tuple(connection.execute(select(chains.c.tenant).order_by(chains.c.tenant)).scalars())

    def last_noted(self, event: str) -> datetime | None:
        """When an event of this name was last noted, for whichever tenant; None where none ever was."""
        with self._reading() as connection:
            at: datetime | None = connection.scalar(select(func.max(events.c.at)).where(events.c.name == event))
        return at

    def began(self) -> datetime | None:
        """When its first event happened; None where nothing has."""
        with self._reading() as connection:
            at: datetime | None = connection.scalar(select(func.min(events.c.at)).where(events.c.number == 1))
        return at

    def last_event_at(self, tenant: str) -> datetime | None:
        """The time of the tenant's last event; None before the first. A clock that is behind it cannot be right."""
        query = select(events.c.at).join(
            chains, (chains.c.tenant == events.c.tenant) & (chains.c.length == events.c.number)
        )
        with self._reading() as connection:
            return connection.execute(query.where(chains.c.tenant == tenant)).scalar_one_or_none()

    def broken_link(self, tenant: str) -> int | None:
        """The number of the first event at which the tenant's hash chain does not hold; None where it is whole."""
        with self._reading() as connection:
            return chain.first_break(connection, tenant)


#: No step is under way. What was dropped before it was shown is the sweep's anyway; a held one is a human's.
_RESTING = redirects.c.state.in_((State.DONE, State.RESTORED)) | (
    (redirects.c.state == State.DROPPED) & redirects.c.was_shown
)


def _done(tenant: str) -> tuple[ColumnElement[bool], ...]:
    """Of a redirect: it is one of the tenant's, and is done."""
    ours = select(tables.sources.c.name).where(tables.sources.c.tenant == tenant)
    return redirects.c.state == State.DONE, redirects.c.source.in_(ours)


def _tenant_of(connection: Connection, redirect: Redirect, lease: Lease | None) -> str:
    """The tenant whose redirect it is. Raises LeaseLost, also where the lease is of another source."""
    if lease is None:
        return sources.tenant(connection, redirect.source)
    if lease.source != redirect.source:
        raise LeaseLost(f"the lease of source {lease.source} is none for a redirect of source {redirect.source}")
    return sources.fence(connection, lease)


def _stands(pause: Pause, now: datetime) -> bool:
    """One that ends much later was written by a clock that was wrong: nobody should have to wait for that time."""
    return now < pause.until and (pause.until <= now + LONGEST_PAUSE or pause.until == FOR_EVER)


def _of(connection: Connection, wanted: Prepared, **values: Any) -> tuple[Redirect, ...]:
    """The redirects whose ids a statement finds."""
    ids = [each for (each,) in wanted.rows(connection, **values)]
    return rows.read(connection, redirects.c.id.in_(ids)) if ids else ()


def _recorded(connection: Connection, planned: Redirect, now: datetime, policy: str) -> tuple[Redirect, Fact] | None:
    """Write what is new in this plan; it and what to tell about it, or None."""
    new = absorbed(planned, rows.concerning(connection, planned))
    if new is None:
        return None
    if new.id == planned.id:
        event = "redirect.planned"
        rows.add(connection, new, now)
    else:
        event = "redirect.revived"
        new = rows.change(connection, new, now)
    if new.state is State.HELD:
        event = "redirect.held"
    by = {"policy": policy} if policy else {}
    return new, _fact(new, event, files=len(new.live), rules=sorted({each.rule for each in new.live}), **by)


def _fact(redirect: Redirect, event: str, **detail: Any) -> Fact:
    return Fact(event, redirect.source, redirect.id, detail)


#: Asked in every turn, mostly for nothing.
_LAPSES = (
    select(files.c.redirect_id)
    .distinct()
    .where(files.c.source == bindparam("of"))
    .where(files.c.link_expires > bindparam("now"), files.c.link_expires <= bindparam("until"))
)
_LAPSING = Prepared(_LAPSES)
_ENDING = Prepared(
    _LAPSES.join(redirects)
    .where(redirects.c.state == State.DONE)
    .where(redirects.c.reminded.is_(None) | (redirects.c.reminded < files.c.link_expires))
)
_UNTOLD = Prepared(
    select(redirects.c.id)
    .where(redirects.c.source == bindparam("of"), redirects.c.state == State.HELD)
    .where(redirects.c.told.is_(None), redirects.c.written < bindparam("before"))
)
_MISSED = Prepared(
    select(redirects.c.id)
    .where(redirects.c.source == bindparam("of"), redirects.c.missed >= bindparam("passes"))
    .limit(1)
)
_LATER = (later.c.source == bindparam("of")) & (later.c.at <= bindparam("now"))
_LOOK_AGAIN = Prepared(select(later.c.item_id).where(_LATER).order_by(later.c.at))
_SUCCESSOR = Prepared(
    select(successors.c.successor).where(
        successors.c.tenant == bindparam("of"), successors.c.mailbox == bindparam("left")
    )
)
_GENERATION = Prepared(select(identity.c.generation))
_ALL_PAUSES = Prepared(
    select(pauses.c.name, pauses.c.until, pauses.c.reason, pauses.c.error)
    .where(pauses.c.until > bindparam("recent"))
    .order_by(pauses.c.name)
)
_PAUSED = Prepared(select(pauses.c.name).where(pauses.c.name == bindparam("of")))
