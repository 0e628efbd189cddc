"""One tick's grip on one source: what it watches, where it writes, how long it may.

What is done with it stands in `connector.flow.redirect`; here is what holds it back.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from connector.errors import ConnectorError, Denied, Unavailable, kind
from connector.ledger import FOR_EVER, Lease, LeaseLost, Ledger, Pauses
from connector.log import Event, about, blaming, log, tell
from connector.marker import sign
from connector.model import ACTIVE, FULLEST, RETURNING, SWAPPING, Item, Origin, Proof, Redirect, State
from connector.pauses import SourcePause, TenantPause
from connector.policy import Hold, Policy
from connector.rewrite import Wording
from connector.scanners import Scanner
from connector.sources import Source
from connector.stores import Links, Pages, Store
from connector.watching import counters
from connector.watching.account import ENDS, give_account

#: How long a tick may own its source without saying so again; half of it is longer than any time-out of an adapter.
LEASE = timedelta(minutes=15)
#: A backlog does not starve the other sources: what a tick does not reach stays due.
BUDGET = timedelta(minutes=1)
#: No failure is put off longer than this.
LONGEST_BACKOFF = timedelta(hours=1)
#: A refused login is tried again this seldom, so that no restart loop locks an account or an address out.
DENIED_PAUSE = timedelta(minutes=30)
UNAVAILABLE_PAUSE = timedelta(minutes=1)
#: How long a mailbox without room for edits is left as it is, until it is asked again.
FULL_PAUSE = timedelta(minutes=15)
MAKE_ROOM = "wait for the end of their retention, or raise RecoverableItemsQuota and recoverable_items_quota"

Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One source, where its files go, and what its tenant wants."""

    tenant: str
    source: Source
    store: Store
    policy: Policy
    wording: Wording
    #: What gives the links, where it is not the store itself.
    publisher: Pages | None = None
    #: The template of the collection for one redirect's files (`connector.names.folder`).
    path: str
    marker_key: bytes
    #: The collection that holds all files of the source (`connector.names.home`); "" where nobody has to be let in.
    home: str = ""
    #: Another source of the tenant of which the files would lie there too; "" where there is none.
    housemate: str = ""
    #: Other wordings, by the names under which rules ask for them.
    notices: Mapping[str, Wording] = field(default_factory=dict)
    #: A message is not edited in place: a copy is, and takes its place.
    replace: bool = False
    #: Messages received earlier are left alone; None: those before the first contact.
    since: datetime | None = None
    #: How long a shared file must not have changed before it is touched.
    quiet: timedelta = timedelta(0)
    #: Shared files may give way to pointers. False: they are only copied, whatever a rule says.
    pointers: bool = True
    #: What finds malicious content, where the tenant has such a thing.
    scanner: Scanner | None = None
    #: The groups that the mailbox is in, folded.
    groups: frozenset[str] = frozenset()
    #: Why Exchange keeps what is in the mailbox.
    holds: frozenset[Hold] = frozenset()
    #: Nobody knows whose mailbox it is.
    unmapped: bool = False
    #: The house's own domains, folded.
    domains: tuple[str, ...] = ()
    #: The log may name files.
    file_names: bool = False
    #: Only tell what the policy says: nothing is planned, and nothing is written into mailbox or store.
    monitor: bool = False
    #: What has to be proved about the source's server before anything is shown or removed.
    needs: frozenset[Proof] = frozenset()
    #: Somebody has to be able to find everything: no retention ends here.
    on_hold: bool = False
    #: The name under which all mailboxes pause that are reached by the same server and account; "" for none.
    account: str = ""
    #: Other names under which it may be left alone, before it has told its key.
    left_alone_as: tuple[str, ...] = ()
    #: After a pause of the store, the desk tries whether it answers again; until it does, turns take it for paused.
    store_is_tried: bool = False
    #: Who answers for doing without a certificate; "" where nobody does.
    waived_by: str = ""

    @property
    def name(self) -> str:
        """The ledger's key for the source."""
        return f"{self.tenant}/{self.source.key}"

    def wording_of(self, redirect: Redirect) -> Wording:
        """How the notice of a redirect speaks: as its rules, as they are now, want it."""
        return self.notices.get(self.policy.notice({each.rule for each in redirect.shown}), self.wording)

    @property
    def links(self) -> Links:
        """What gives the links."""
        return self.publisher or self.store

    @property
    def store_name(self) -> str:
        """The name under which the tenant's store pauses."""
        return TenantPause.STORE.of(self.tenant)


@dataclass(kw_only=True)
class Turn:
    """What a step may use while its source is ours."""

    watch: Watch
    ledger: Ledger
    clock: Clock
    #: The name under which this process takes leases.
    process: str
    #: How many leases of the source had been given out when it was looked at.
    epoch: int
    #: What is left alone, as it was asked last.
    pauses: Pauses
    started: datetime
    #: Nothing that was received earlier is touched.
    since: datetime
    cursor: str | None
    #: Full passes over all folders so far.
    passes: int
    #: Whether the process is to end: the current effect finishes, no new step begins.
    stopping: Callable[[], bool]
    _lease: Lease | None = None
    _full: bool | None = None

    def write(self, redirect: Redirect, event: Event, **detail: Any) -> Redirect:
        """Journal what is so now, and what happened. An end is told in the log."""
        now = self.clock()
        written = self.ledger.write(redirect, event, now, lease=self.lease, **detail)
        if event in ENDS:
            self.tell_end(written, event)
        if event is self._shows and redirect.received and redirect.received >= self.since:
            # What is older comes through a backfill: nobody has waited for it since it arrived.
            counters.LAG.labels(self.watch.tenant).observe((now - redirect.received).total_seconds())
        return written

    @property
    def _shows(self) -> Event:
        """What says that people see links now."""
        return Event.REDIRECT_REPLACED if self.watch.replace else Event.REDIRECT_REWRITTEN

    def tell_end(self, redirect: Redirect, event: Event) -> None:
        """Tell in the log what came of a redirect."""
        watch = self.watch
        give_account(redirect, event, self.ledger, self.clock(), watch.tenant, named=watch.file_names)

    @property
    def owner(self) -> str:
        """The address of the mailbox to whose people the files belong by now: another one's where they have left."""
        return self.ledger.owner(self.watch.tenant, self.watch.source.address)

    def origin(self, redirect: Redirect, item: Item) -> Origin:
        """Where the files of a redirect come from, for whatever gives their links."""
        return Origin(
            redirect=redirect.id,
            folder=redirect.folder,
            mailbox=self.owner,
            sender=item.sender,
            received=item.received,
        )

    def marker(self, name: str, internet_message_id: str) -> str:
        """Our mark in this message, by whose name it is found again."""
        return sign(
            self.watch.marker_key,
            redirect_id=name,
            generation=self.ledger.generation,
            tenant=self.watch.tenant,
            internet_message_id=internet_message_id,
        )

    @property
    def lease(self) -> Lease:
        """The right to write for the source, which is taken when it is first needed. Raises LeaseLost."""
        if self._lease is None:
            self._lease = self._taken()
        return self._lease

    def _taken(self) -> Lease:
        lease = self.ledger.lease(self.watch.name, self.process, self.clock(), LEASE)
        if lease and lease.epoch == self.epoch + 1:
            return lease
        if lease:
            self.ledger.release(lease)
        # The cursor that we went by may be an old one.
        raise LeaseLost(f"source {self.watch.name} was another process's meanwhile")

    def keep_lease(self) -> None:
        """Before an effect: more time must be left than the effect may take. Raises LeaseLost."""
        if self.lease.until - self.clock() < LEASE / 2:
            self._lease = self.ledger.renew(self.lease, self.clock(), LEASE)

    def give_back(self) -> None:
        """The end of the turn."""
        if self._lease:
            self.ledger.release(self._lease)

    def spent(self) -> bool:
        """Whether the budget is used up, or the process is to end."""
        return self.stopping() or self.clock() - self.started > BUDGET

    def braked(self) -> bool:
        """Whether the ledger is in doubt: then files are copied, but nothing is shared, shown or pruned."""
        return self.ledger.paused(TenantPause.LEDGER.of(self.watch.tenant), self.clock()) is not None

    def allowed(self, *, going_back: bool) -> frozenset[State]:
        """See `may`; as it is now, since somebody may have stopped all since the turn began."""
        self.look()
        return self.may(going_back=going_back)

    def look(self) -> None:
        """Ask once more what is left alone."""
        self.pauses = self.ledger.all_pauses(self.clock())

    def may(self, *, going_back: bool) -> frozenset[State]:
        """The states from which a redirect, one that goes back or another, may take a step: all, unless a brake stands.

        None, where somebody has stopped the tenant.

        Where only a proof is missing, or its readers are, files go on returning to their messages: that proves each of
        them on its own before its link leaves, and what had been taken out must never have to wait.
        """
        tenant, source, standing = self.watch.tenant, self.watch.name, self.pauses.standing.keys()
        if TenantPause.STOP.of(tenant) in standing:
            return frozenset()
        if standing & {TenantPause.LEDGER.of(tenant), SourcePause.EDITS.of(source)}:
            return frozenset({State.PLANNED})
        if standing & {SourcePause.PROOF.of(source), SourcePause.READERS.of(source)}:
            return RETURNING | {State.PLANNED} | (SWAPPING if going_back else frozenset())
        return ACTIVE

    def unhindered(self) -> bool:
        """Whether every step may be taken, as it is now: no brake stands."""
        return self.allowed(going_back=False) == ACTIVE

    def brake(self, what: SourcePause, event: Event, reason: str, error: str) -> None:
        """Let this part of the work wait until it is freed, and tell it once."""
        name = what.of(self.watch.name)
        standing = self.pauses.standing.get(name)
        if standing and standing.reason == reason:
            return
        tell(event, source=self.watch.name, reason=reason)
        now, tenant = self.clock(), self.watch.tenant
        self.ledger.pause(name, until=FOR_EVER, reason=reason, error=error, now=now, tenant=tenant)
        self.look()

    def free(self, what: SourcePause) -> None:
        """Let this part of the work go on, where it waits."""
        name = what.of(self.watch.name)
        if name in self.pauses.standing:
            self.ledger.resume(name)
            self.look()

    def full(self) -> bool:
        """Whether the mailbox has no room for what edits leave behind; asked once, before the first edit of a turn.

        Where users cannot delete anything any more because of us, they call it an outage. Copies go on.
        """
        if self._full is None:
            self._full = self._found_full()
        return self._full

    def _found_full(self) -> bool:
        room, now = self.watch.source.room(), self.clock()
        if room is None or not room.full:
            return False
        reason = (
            f"Recoverable Items of {self.watch.source.address} are at {room}, and from {FULLEST:.0%} on nothing is "
            f"changed there: {MAKE_ROOM}; it then goes on by itself"
        )
        log.warning(Event.SOURCE_FULL, source=self.watch.name, reason=reason)
        name, until, tenant = SourcePause.EDITS.of(self.watch.name), now + FULL_PAUSE, self.watch.tenant
        self.ledger.pause(name, until=until, reason=reason, error="Full", now=now, tenant=tenant)
        self.look()
        return True

    def store_paused(self) -> bool:
        """Whether the tenant's store is known to be busy, down or refusing, or nobody has tried yet if it still is."""
        name = self.watch.store_name
        return name in self.pauses.standing or (self.watch.store_is_tried and name in self.pauses.ended)

    def pause(self, name: str, error: Unavailable | Denied) -> None:
        """Leave the source, or the tenant's store, alone for a while."""
        account = self.watch.account if name == self.watch.name else ""
        leave_alone(name, error, self.ledger, self.clock(), self.watch.tenant, account=account)

    def answered(self) -> None:
        """The server of the source has: whatever waits for it goes on."""
        account = self.watch.account
        if account in {**self.pauses.standing, **self.pauses.ended} and self.ledger.resume(account):
            log.info(Event.ACCOUNT_ANSWERS, paused=self.watch.account)


def leave_alone(
    name: str, error: ConnectorError, ledger: Ledger, now: datetime, tenant: str, *, account: str = ""
) -> None:
    """Pause a source, or the tenant's store; and the source's `account`, where it is that which fails.

    In the ledger: a restart must not knock at a locked door again, or an account gets locked for good.
    """
    of_store = name == TenantPause.STORE.of(tenant)
    if isinstance(error, Unavailable):
        event, wait = (Event.STORE_PAUSED if of_store else Event.SOURCE_PAUSED), outage(error, UNAVAILABLE_PAUSE)
    else:
        event, wait = (Event.STORE_DENIED if of_store else Event.SOURCE_DENIED), DENIED_PAUSE
    until, reason, what = now + wait, str(error), kind(error)
    with blaming(error):
        tell(event, paused=name, reason=reason, until=until.isoformat())
    counters.PAUSES.labels(tenant, what).inc()
    ledger.pause(name, until=until, reason=reason, error=what, now=now, tenant=tenant)
    if account and _is_of_account(account, name, reason, ledger, now):
        log.warning(Event.ACCOUNT_PAUSED, paused=account, reason=reason, until=until.isoformat())
        ledger.pause(account, until=until, reason=reason, error=what, now=now, tenant=tenant)


def _is_of_account(account: str, name: str, reason: str, ledger: Ledger, now: datetime) -> bool:
    """Whether another mailbox fails in the same words, or this one has tried for all and failed.

    Two that do so do not speak of a mailbox, but of what both are reached by: to try that with a thousand more would
    lock the account, or keep all threads waiting for a server that is down.
    """
    pauses = ledger.all_pauses(now)
    if account in pauses.ended:
        return True
    of_tenant = account.partition("/")[0] + "/"
    others = pauses.standing.keys() - {name, account}
    return any(each.startswith(of_tenant) and pauses.standing[each].reason == reason for each in others)


@contextmanager
def take_turn(
    watch: Watch, ledger: Ledger, clock: Clock, owner: str, stopping: Callable[[], bool] = bool
) -> Iterator[Turn | None]:
    """A turn of the source, if nothing and nobody keeps us from it; what was taken is given back at the end.

    Raises Unavailable or Denied where the source does not even tell its key.
    """
    now = clock()
    pauses = ledger.all_pauses(now)
    named = {TenantPause.STOP.of(watch.tenant), *watch.left_alone_as}
    # Its own name last: that may cost a request, and the server of a tenant that was stopped is not even asked.
    if pauses.standing.keys() & named or watch.name in pauses.standing:
        yield None
        return
    watched = ledger.watch(watch.name, tenant=watch.tenant, address=watch.source.address, now=now, since=watch.since)
    if not watched.is_free_for(owner, now):
        yield None
        return
    turn = Turn(
        watch=watch,
        ledger=ledger,
        clock=clock,
        process=owner,
        epoch=watched.epoch,
        pauses=pauses,
        started=now,
        since=watched.begins(monitor=watch.monitor),
        cursor=watched.cursor,
        passes=watched.passes,
        stopping=stopping,
    )
    try:
        with about(tick=token_hex(4), tenant=watch.tenant, source=watch.name):
            yield turn
    finally:
        turn.give_back()


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failures: the first is tried again at once."""
    if attempts <= 1:
        return timedelta(0)
    return min(timedelta(seconds=15 << attempts), LONGEST_BACKOFF)


def outage(error: ConnectorError, otherwise: timedelta) -> timedelta:
    """How long to wait for something that is busy or down: what it asked for, within reason."""
    asked = error.retry_after if isinstance(error, Unavailable) else None
    return min(asked or otherwise, LONGEST_BACKOFF)
