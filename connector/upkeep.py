"""What operators do to links that messages show already: look at them, end them, let them last, give out others.

Every look and every change is an event of the redirect. Calls may be repeated, also after half of one.
"""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from connector.daemon.tenants import Tenant
from connector.errors import Denied, Unavailable
from connector.flow.decisions import Wanted, meant
from connector.ledger import Ledger, Stale
from connector.links.book import Publication
from connector.links.publishing import publication_id
from connector.log import Event
from connector.model import ACTIVE, Link, LinkTerms, Origin, Redirect, State

#: No step is about to look at the links that they have. Those that are stored are about to get them anew.
_RESTING = frozenset({State.DONE, State.HELD, State.STORED})
#: Copies of a message that is gone, or has its files again, may be with others, and show its links.
_REVOCABLE = _RESTING | {State.DROPPED, State.RESTORED}
#: What is held in one of these is on its way to show its links.
_SHOWING = frozenset({State.STORED, State.LINKED, State.REWRITTEN})
#: Why links are not extended.
_THE_STORES_OWN = "the store's own: let them last there, or `relink`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a message shows for its files under equal terms."""

    redirect: str
    tenant: str
    mailbox: str
    audience: str
    files: int
    #: What is written in the message, of the first file.
    url: str
    expires: datetime | None
    #: Since when it opens nothing; None while it does, as far as we know.
    ended: datetime | None


@dataclass(slots=True)
class Done:
    """What came of a call, in messages."""

    messages: int = 0
    #: How many were meant and left as they are, by the reason.
    passed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Upkeep:
    """One operator's call. What is named and unknown to the ledger raises ValueError."""

    tenants: Sequence[Tenant]
    ledger: Ledger
    now: datetime
    by: str
    #: Whose store or book is out of reach, and why: their links are left as they are, and keep nobody's from an end.
    missing: dict[str, Unavailable | Denied] = field(default_factory=dict)

    def shown(self, wanted: Wanted) -> Iterator[Shown]:
        """The links of all redirects that are wanted, as the ledger and the book know them."""
        published = {each.name: _published(each) for each in self.tenants}
        for tenant in self.tenants:
            self.ledger.note(tenant.name, Event.LINKS_LISTED, self.now, by=self.by)
        addresses = {each.name: each.address for each in self.ledger.watched()}
        for redirect, tenant in self._meant(wanted):
            yield from _shown(redirect, tenant.name, addresses[redirect.source], published[tenant.name])

    def revoke(self, wanted: Wanted) -> Done:
        """The links of these messages open nothing any more, where whoever gave them can end them.

        The messages go on showing them: `relink` gives others, `restore` brings the files back.
        """
        done = Done()
        for redirect, tenant in self._meant(wanted):
            with self._reaching(tenant):
                # The book says of links of ours that they have ended: a step that finds it holds the redirect.
                if _can_end(redirect, tenant, done) and (tenant.book() or _may(redirect, _REVOCABLE, done)):
                    tenant.links().revoke(redirect.folder)
                    self._note(redirect, tenant, Event.LINK_REVOKED)
                    done.messages += 1
        return done

    def extend(self, wanted: Wanted, until: datetime | None) -> Done:
        """Their links open until then, or for ever, also those that have ended.

        The daemon, or `once`, has the messages say so. Raises ValueError where all are the store's own.
        """
        done = Done()
        for redirect, tenant in self._meant(wanted):
            if not _may(redirect, _RESTING, done):
                continue
            with self._reaching(tenant):
                if (book := tenant.book()) is None:
                    done.passed[_THE_STORES_OWN] += 1
                    continue
                for terms in _terms(redirect):
                    book.extend(publication_id(redirect.id, terms), until)
                self._note(redirect, tenant, Event.LINK_EXTENDED, until=until)
                show_anew(redirect, self.ledger, self.now)
                done.messages += 1
        if not done.messages and not self.missing and set(done.passed) == {_THE_STORES_OWN}:
            raise ValueError(f"the links are {_THE_STORES_OWN}")
        return done

    def relink(self, wanted: Wanted) -> Done:
        """Their links, and what their owners gave to outsiders, open nothing any more; the messages will show others.

        The daemon, or `once`, shows them.
        """
        done = Done()
        for redirect, tenant in self._meant(wanted):
            if not (_may(redirect, _RESTING, done) and _may_show_others(redirect, done)):
                continue
            with self._reaching(tenant):
                if not _can_end(redirect, tenant, done):
                    continue
                # First this: where we are killed in between, the call is repeated, and nobody uses what leaked.
                if (book := tenant.book()) is None:
                    tenant.store().revoke(redirect.folder)
                else:
                    for terms in _terms(redirect):
                        book.renew(publication_id(redirect.id, terms), terms.expires, self.now)
                again = _about_to_share(redirect, self.now)
                with suppress(Stale):  # Somebody else decided about it at this moment; the next call finds it.
                    self.ledger.write(again, Event.LINK_RENEWED, self.now, by=self.by)
                    done.messages += 1
        return done

    def passwords(self, wanted: Wanted) -> Mapping[str, str]:
        """The passwords that their links ask for, by the addresses of these; it is noted who asked.

        Raises ValueError where none does.
        """
        found: dict[str, str] = {}
        for redirect, tenant in self._meant(wanted):
            # Nothing else of where it is from makes a password.
            origin = Origin(redirect=redirect.id, folder=redirect.folder, mailbox="", sender="", received=None)
            for terms in _terms(redirect):
                if told := tenant.links().password(terms, origin):
                    found[_address(redirect, terms, tenant)] = told
                    self._note(redirect, tenant, Event.LINK_TOLD)
        if not found:
            raise ValueError("none of these links asks for a password of ours")
        return found

    def succeed(self, leaver: str, successor: str) -> tuple[str, ...]:
        """Files and links of a mailbox belong to another's people from now on; the addresses stay what they are.

        Returns the mailboxes whose files do. Written down first: a tick that lets the old ones in at this moment looks
        whether it is, and lets the new ones in. Where we are killed in between, the call is repeated. Raises ValueError
        where one of the two is not known.
        """
        addresses = {each.address.lower(): each.address for each in self.ledger.watched()}
        homes = {each.tenant for each in self.ledger.watched() if each.address.lower() == leaver.lower()}
        tenants = [each for each in self.tenants if each.name in homes]
        if not tenants:
            raise ValueError(f"the ledger knows no mailbox {leaver}; `connector status` names them")
        went: list[str] = []
        for tenant in tenants:
            if tenant.store().strangers(successor):
                raise ValueError(f"the store knows nobody, or more than one, to whom {successor} belongs (`readers`)")
            for mailbox in self.ledger.succeed(tenant.name, leaver, successor, self.now, by=self.by):
                address = addresses.get(mailbox, mailbox)
                if home := tenant.config.home(address):
                    tenant.store().admit(home, successor)
                if publisher := tenant.publisher():
                    publisher.inherit(address, successor)
                went.append(address)
        return tuple(went)

    def _meant(self, wanted: Wanted) -> Iterator[tuple[Redirect, Tenant]]:
        """What is wanted, as far as its tenant is configured and it has links.

        Also of a message that was restored, unless they ended with it: copies that went to others may show them.
        """
        by_name = {each.name: each for each in self.tenants}
        sources = {each.name: each.tenant for each in self.ledger.watched()}
        for redirect in meant(wanted, self.ledger):
            tenant = by_name.get(sources[redirect.source])
            if tenant is None or tenant.name in self.missing:
                continue
            if _terms(redirect) and not (redirect.state is State.RESTORED and redirect.revoke):
                yield redirect, tenant

    @contextmanager
    def _reaching(self, tenant: Tenant) -> Iterator[None]:
        try:
            yield
        except (Unavailable, Denied) as error:
            self.missing[tenant.name] = error

    def _note(self, redirect: Redirect, tenant: Tenant, event: Event, **detail: object) -> None:
        self.ledger.note(
            tenant.name, event, self.now, source=redirect.source, redirect_id=redirect.id, by=self.by, **detail
        )


def show_anew(redirect: Redirect, ledger: Ledger, now: datetime) -> None:
    """Its message is to tell how its links end by now. One that a human has to decide about stays as it is."""
    if redirect.state is State.DONE:
        with suppress(Stale):  # Somebody else decided about it at this moment.
            ledger.write(_about_to_share(redirect, now), Event.LINK_LASTS, now)


def _may(redirect: Redirect, states: Container[State], done: Done) -> bool:
    """Whether it is in one of these states; else why not is counted."""
    if redirect.state in states:
        return True
    # It would find a link that is not what it gave.
    working = "a step is about to look at their links: call again when it has"
    done.passed[working if redirect.state in ACTIVE else f"{redirect.state}, so their messages are left alone"] += 1
    return False


def _can_end(redirect: Redirect, tenant: Tenant, done: Done) -> bool:
    """Whether some of its links can be ended; else why not is counted."""
    if any(map(tenant.links().can_revoke, _terms(redirect))):
        return True
    done.passed["they open for whoever may read their files in the store, which has to end that right"] += 1
    return False


def _may_show_others(redirect: Redirect, done: Done) -> bool:
    """Whether its message is to show links at all; not, say, one from which they were to go when it was held."""
    if redirect.state is not State.HELD or (
        redirect.held_in in _SHOWING and not redirect.ended_by and not redirect.copy
    ):
        return True
    done.passed["held, and not on their way to show links: see `connector held`"] += 1
    return False


def _about_to_share(redirect: Redirect, now: datetime) -> Redirect:
    return replace(redirect, state=State.STORED, held_in=None, reason="", attempts=0, due=now)


def _terms(redirect: Redirect) -> tuple[LinkTerms, ...]:
    return tuple(dict.fromkeys(each.terms for each in redirect.shown if each.link))


def _links(redirect: Redirect, terms: LinkTerms) -> list[Link]:
    return [each.link for each in redirect.shown if each.link and each.terms == terms]


def _address(redirect: Redirect, terms: LinkTerms, tenant: Tenant) -> str:
    """Of all files under these terms: a page of ours, or what the store gave for the first of them."""
    book, publisher = tenant.book(), tenant.publisher()
    one = book.publication(publication_id(redirect.id, terms)) if book else None
    return publisher.address(one) if publisher and one else _links(redirect, terms)[0].url


def _shown(redirect: Redirect, tenant: str, mailbox: str, published: Mapping[str, Publication]) -> Iterator[Shown]:
    for terms in _terms(redirect):
        links = _links(redirect, terms)
        one = published.get(publication_id(redirect.id, terms))
        yield Shown(
            redirect=redirect.id,
            tenant=tenant,
            mailbox=mailbox,
            audience=terms.audience.value,
            files=len(links),
            url=links[0].url,
            expires=one.expires if one else links[0].expires,
            ended=one.ended if one else None,
        )


def _published(tenant: Tenant) -> Mapping[str, Publication]:
    book = tenant.book()
    return {each.id: each for each in book.of_tenant(tenant.name)} if book else {}
