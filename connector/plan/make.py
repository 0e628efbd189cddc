"""A plan for one tenant: each of its sources is looked at, and all is summed up."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from connector.config.csvfile import lines
from connector.config.loading import TenantConfig
from connector.daemon.tenants import Tenant
from connector.daemon.turns import side_by_side
from connector.errors import ConnectorError
from connector.flow.admission import of_nobody, shared_with
from connector.flow.turn import Watch
from connector.ledger import Ledger
from connector.plan.look import Look, Looked, Unread
from connector.plan.sums import VERSIONS, VERSIONS_OF_COPIES, Plan, Share
from connector.policy.values import fold, owner_of

#: How many shares Nextcloud lets an account make in ten minutes, where nobody has changed that.
BUDGET = 20
_COLUMNS = ["mailbox", "department"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What a plan is to be of."""

    now: datetime
    #: Items from before then are passed over. None: everything is looked at.
    begin: datetime | None
    #: Where each mailbox belongs to, by its address in lower case. Empty: to the groups that its tenant knows.
    departments: Mapping[str, str] = field(default_factory=dict)
    #: In which database each mailbox is, by its address, folded.
    databases: Mapping[str, str] = field(default_factory=dict)
    #: How often a stored file is kept in the end, with trash and backups.
    kept: float = 1
    #: The same source as another policy would have it, to compare with.
    other: Callable[[Watch], Watch] | None = None
    #: How many sources are looked at at the same time.
    threads: int = 1


def with_policy(config: TenantConfig) -> Callable[[Watch], Watch]:
    """The source as another file of its tenant would have it: by its rules, and by its groups, holds and domains."""

    def other(watch: Watch) -> Watch:
        owner = owner_of(watch.source.address)
        groups, holds = config.groups.get(owner, frozenset()), config.holds.get(owner, frozenset())
        return replace(watch, policy=config.policy, groups=groups, holds=holds, domains=config.domains)

    return other


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """The sources of one tenant that are looked at."""

    tenant: str
    watches: tuple[Watch, ...]
    #: Its own domains: whoever has another one is outside.
    house: tuple[str, ...]
    #: The addresses of those that its pilot leaves out: rules are only monitored there.
    outside: frozenset[str] = frozenset()

    @classmethod
    def at(cls, tenant: Tenant, addresses: Collection[str]) -> "Looks":
        """Those with these addresses; all of them where none is given. Raises what its directory raises."""
        tenant.look_up()
        wanted = {each.lower() for each in addresses}
        found = [each for each in tenant.mailboxes if not wanted or each.source.address.lower() in wanted]
        watches = tuple(each.watch() for each in found)
        return cls(
            tenant=tenant.name,
            watches=watches,
            house=tenant.config.domains or tuple({_domain(each.source.address) for each in tenant.mailboxes}),
            outside=frozenset(each.source.address for each in watches if not tenant.pilots(each)),
        )


def _domain(address: str) -> str:
    return owner_of(address).rpartition("@")[2]


def make(looks: Looks, ledger: Ledger, scope: Scope) -> Plan:
    """Look at these sources, so many at a time.

    Writes nothing, neither to a source or a store nor into the ledger. Raises what the store raises.
    """
    budget = BUDGET if any(watch.home for watch in looks.watches) else None
    policy = looks.watches[0].policy.fingerprint
    plan = Plan(
        tenant=looks.tenant,
        begin=scope.begin,
        end=scope.now,
        policy=policy,
        domains=looks.house,
        budget=budget,
        kept=scope.kept,
    )
    feeds = []
    for watch in looks.watches:
        share = _share(watch, ledger, scope)
        share.on_trial = watch.source.address in looks.outside
        plan.begin_mailbox(share)
        other = scope.other(watch) if scope.other else None
        look = Look(watch=watch, ledger=ledger, now=scope.now, begin=scope.begin, other=other)
        feeds.append(_feed(look, share))
    side_by_side(feeds, plan.add, scope.threads)
    return plan


def _feed(look: Look, share: Share) -> Iterator[Looked | Unread]:
    try:
        share.room = look.watch.source.room()
        yield from look.items()
    except ConnectorError as error:
        share.failed = error


def read_departments(path: Path) -> Mapping[str, str]:
    """A CSV file with the columns mailbox and department. Raises ValueError where it is not understood."""
    numbered = lines(path)
    if [each.lower() for each in next(numbered)[1]] != _COLUMNS:
        raise ValueError(f"{path}, line 1: give the names of the columns: {','.join(_COLUMNS)}")
    found: dict[str, str] = {}
    for number, row in numbered:
        if len(row) != len(_COLUMNS) or not all(row):
            raise ValueError(f"{path}, line {number}: give a mailbox and its department")
        found[row[0].lower()] = row[1]
    return found


def _departments(watch: Watch, scope: Scope) -> tuple[str, ...]:
    if not scope.departments:
        return tuple(sorted(watch.groups))
    return (scope.departments.get(watch.source.address.lower(), "(no department)"),)


def _share(watch: Watch, ledger: Ledger, scope: Scope) -> Share:
    address = watch.source.address
    owner, members = ledger.owner(watch.tenant, address), watch.source.members
    blocked = ""
    if watch.home and watch.housemate:
        blocked = shared_with(watch)
    elif watch.home and of_nobody(watch.store.strangers(owner, members), owner, members):
        blocked = "the store knows nobody, or more than one, to whom the mailbox belongs"
    return Share(
        address=address,
        departments=_departments(watch, scope),
        database=scope.databases.get(fold(address), ""),
        blocked=blocked,
        needs_share=bool(watch.home) and not blocked and not watch.store.admits(watch.home, owner, members),
        versions=VERSIONS_OF_COPIES if watch.replace else VERSIONS,
    )
