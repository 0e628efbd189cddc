"""The rules of a tenant: what happens to the files that match, and on which terms."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from connector.amounts import Duration
from connector.model import Action, Audience, Item, LinkTerms, Need
from connector.names import check_template
from connector.policy.case import Case
from connector.policy.conditions import NAMES, Answer, Asking, Conditions, Kind, Model
from connector.policy.exclude import Exclude
from connector.policy.people import People, Wish
from connector.policy.sense import contradiction, covers, excepts_no_more, never_matches
from connector.policy.values import Audited, Expiry, Folded, KeptFor, Name, Some, Tag
from connector.rewrite.languages import Code


class Terms(Model):
    """Under which conditions a link opens."""

    audience: Audience = Field(
        default=Audience.STORE,
        description="who may open it: whom the store lets in, the mailbox's owner or group, all staff, or anyone",
    )
    expires: Expiry = Field(default=None, description="a duration, or never; for anyone")
    password: bool = Field(default=False, description="it asks for a password; for anyone")
    downloads: int | None = Field(default=None, ge=1, description="how often each file may be fetched; for anyone")

    @model_validator(mode="after")
    def _only_strangers_meet_an_end(self) -> Self:
        if self.audience is not Audience.ANYONE and self.as_terms != LinkTerms(self.audience):
            raise ValueError(
                "only links for anyone end, ask for a password or count: the others open for whom the file belongs to"
            )
        return self

    @property
    def as_terms(self) -> LinkTerms:
        """The same, for the flow."""
        return LinkTerms(self.audience, self.expires, password=self.password, downloads=self.downloads)


#: After these, files leave their message; a hold may be released.
LEAVING = {Action.REDIRECT, Action.HOLD}


class Retain(Model):
    """How long things are kept; what is left out, by `defaults`, and for ever where these say nothing either."""

    file: KeptFor | None = Field(
        default=None,
        description="how long the store keeps a file: `message + 30d`, so long after its message is gone, with all"
        " copies in its mailbox; or a time such as 2y, from when its message shows the link: then the message says that"
        " it is deleted, and it is; or `for ever`",
    )
    audit: Audited | None = Field(
        default=None,
        description="how long the audit trail keeps what happened; a tenant has one, so the longest that is said"
        " anywhere holds for all of it",
    )


#: As `path` of a tenant; "" for that.
Destination = Annotated[str, AfterValidator(lambda value: value and check_template(value))]


class Mode(StrEnum):
    """What comes of it when a rule matches."""

    #: It is only told, and the rules below are asked as if this one were not there.
    MONITOR = "monitor"
    ENFORCE = "enforce"


class Rule(Model):
    """What to do with the files that match, unless an exception holds."""

    name: Name
    mode: Mode = Field(
        default=Mode.ENFORCE, description="monitor: only log where it would match; the rules below decide, without it"
    )
    when: Conditions = Field(default=Conditions(), description="all of these hold; left out: any file")
    unless: Conditions = Field(default=Conditions(), description="none of these holds")
    action: Action
    settle: Duration | None = Field(default=None, description="how long originals stay after the copy")
    link: Terms = Terms()
    retain: Retain = Retain()
    irreversible: bool = Field(default=False, description="also files that cannot be put back into their message later")
    keep_original: bool = Field(default=False, description="the whole message as it was goes into the store too (MIME)")
    tags: Some[Tag] = Field(default=(), description="what files bear in the store from the first, such as no-ai")
    destination: Destination = Field(
        default="", description="collection in the store, in place of `path`; a message has that of its first such file"
    )
    notice: str = Field(default="", description="which of `notices` the message shows; left out: `notice`")
    unpack: bool = Field(
        default=False,
        description="winmail.dat too: what is in it goes beside it, unless a rule wants less for a file of these",
    )
    overrules_people: bool = Field(
        default=False, description="what people ask for by category or folder (`people`) does not count"
    )

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.startswith(("guard:", "exclude:")):
            raise ValueError("names that begin with `guard:` or `exclude:` are taken by what no rule overrides")
        return name

    @model_validator(mode="after")
    def _links_end_first(self) -> Self:
        kept = self.retain.file
        fixed = kept.span if kept and not kept.after_message else None
        if fixed and self.link.expires and fixed < self.link.expires:
            raise ValueError("retain: the file would be deleted before its link ends: keep it at least as long")
        return self

    @model_validator(mode="after")
    def _says_that_messages_do_not_return(self) -> Self:
        if self.reaches_messages and self.action in LEAVING and not self.irreversible:
            raise ValueError(
                "an attached message cannot be attached again as what it was: add `irreversible: true`, or copy it"
            )
        return self

    @model_validator(mode="after")
    def _may_match(self) -> Self:
        groups = [*self.when.everywhere(), *self.unless.inner()]
        if never := next(filter(None, map(contradiction, groups)), None):
            raise ValueError(never)
        if name := never_matches(self.when, self.unless):
            raise ValueError(f"the rule never matches: its exception `{name}` holds wherever `when` does")
        return self

    @model_validator(mode="after")
    def _links_are_shown(self) -> Self:
        if self.action not in LEAVING and self.link != Terms():
            raise ValueError(f"`{self.action}` shows no link, so nobody could open one: leave out `link`")
        return self

    @cached_property
    def reaches_messages(self) -> bool:
        """Whether it is meant for attached messages too."""
        return any(Kind.MESSAGE in group.kind for group in self.when.everywhere())

    @cached_property
    def first(self) -> Asking:
        """The one of its questions that costs least: where the answer is no, nothing else of the rule matters."""
        return self.when.asking[0] if self.when.asking else self.when.every

    def matches(self, case: Case) -> Answer:
        """Whether it decides about the file; None where nobody knows, or not yet."""
        if case.nested and not self.reaches_messages:
            return False
        holds = self.when.every(case)
        if holds is False:
            return False
        excepted = self.unless.some(case)
        if excepted:
            return False
        return None if excepted is None else holds

    def needs(self, case: Case) -> frozenset[Need]:
        """What to fetch so that it can be said whether it matches."""
        return frozenset((*self.when.needs(case), *self.unless.needs(case)))

    def hides(self, other: "Rule") -> bool:
        """Whether another one, further down, is never reached because of it."""
        return (
            self.mode is Mode.ENFORCE
            and (self.reaches_messages or not other.reaches_messages)
            and covers(self.when, other.when)
            and excepts_no_more(self.unless, other.unless)
        )


def _open(value: object) -> object:
    if value != "open":
        raise ValueError(
            "mail has been delivered when connector sees it, so nothing can be stopped: where a step fails, the"
            " original stays in its message; leave it out, or say open"
        )
    return value


class Defaults(Model):
    """What holds for every rule that does not say otherwise."""

    settle: Duration = timedelta(hours=24)
    retain: Retain = Retain()
    notice: tuple[Code, ...] = Field(
        default=("en",), description="the languages of what messages say, in this order", min_length=1
    )
    fail: Annotated[Literal["open"], BeforeValidator(_open)] = Field(
        default="open", description="where a step fails, the original stays in its message"
    )


class Pilot(Model):
    """The mailboxes in which rules are enforced; in all others they are only monitored."""

    groups: Some[Folded] = Field(default=(), description="mailboxes in one of these groups, by `groups`")
    percent: float = Field(
        default=0, ge=0, le=100, description="and so many of all others; a mailbox that is in stays in when it grows"
    )

    def covers(self, key: Callable[[], str], groups: Collection[str]) -> bool:
        """Whether a mailbox takes part. Its key, which outlasts a change of name, is asked for only where it counts."""
        if not set(self.groups).isdisjoint(groups):
            return True
        return self.percent > 0 and _place(key()) < self.percent / 100


def _place(key: str) -> float:
    """A number from 0 to 1 that is always the same for the same key."""
    return int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:6], "big") / 2**48


def _names_differ(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise ValueError(f"two rules are named {twice[0]!r}; a verdict names its rule, so names must differ")
    return rules


def all_reached(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The same rules. Raises a problem for each that is never reached."""
    hidden = [
        (number, above.name)
        for number, rule in enumerate(rules)
        if (above := next((each for each in rules[:number] if each.hides(rule)), None))
    ]
    if hidden:
        raise ValidationError.from_exception_data("rules", [_unreached(number, above) for number, above in hidden])
    return rules


def _unreached(number: int, above: str) -> InitErrorDetails:
    error = ValueError(
        f"is never reached: the rule {above!r} above matches whatever this one does; put this one first, or drop it"
    )
    return InitErrorDetails(type="value_error", loc=(number,), input=None, ctx={"error": error})


Rules = Annotated[tuple[Rule, ...], AfterValidator(_names_differ)]


class Policy(Model):
    """The rules of a tenant, in their order, and what none of them overrides."""

    exclude: Exclude = Exclude()
    keep_when: Wish = Wish()
    restore_when: Wish = Wish()
    people: People = People()
    pilot: Pilot | None = None
    defaults: Defaults = Defaults()
    rules: Rules = ()

    @cached_property
    def fingerprint(self) -> str:
        """Another one for every other policy: redirects name it, so that it can be told which one made them."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @cached_property
    def unpacks(self) -> bool:
        """Whether some rule reaches winmail.dat."""
        return any(rule.unpack for rule in self.rules)

    @cached_property
    def groups(self) -> tuple[Conditions, ...]:
        """All groups of conditions that stand in it."""
        tops = (group for rule in self.rules for group in (rule.when, rule.unless))
        return tuple(group for top in tops for group in top.everywhere())

    @cached_property
    def ages(self) -> frozenset[timedelta]:
        """Every age that some rule asks for."""
        return frozenset(age for each in self.groups for age in (each.younger_than, each.older_than) if age is not None)

    @cached_property
    def headers(self) -> frozenset[str]:
        """The names of all headers, in lower case, that a source has to tell for some rule."""
        return frozenset(header.name for each in self.groups for header in each.header)

    def candidates(self, case: Case) -> Sequence[Rule]:
        """The rules that may match, in their order: of hundreds, most ask for a name that the case does not have."""
        unnamed, by_name = self._by_name
        numbers = set(unnamed)
        for condition, wanted in by_name.items():
            for name in wanted.keys() & NAMES[condition](case):
                numbers.update(wanted[name])
        return [self.rules[number] for number in sorted(numbers)]

    @cached_property
    def _by_name(self) -> tuple[frozenset[int], Mapping[str, Mapping[str, list[int]]]]:
        """The numbers of the rules that ask for no name; and, by condition and name, of those that do."""
        unnamed: set[int] = set()
        by_name: dict[str, dict[str, list[int]]] = {}
        for number, rule in enumerate(self.rules):
            condition, names = rule.when.named or ("", ())
            for name in names:
                by_name.setdefault(condition, {}).setdefault(name, []).append(number)
            if not names:
                unnamed.add(number)
        return frozenset(unnamed), by_name

    def notice(self, rules: Collection[str]) -> str:
        """The name of the notice for a message whose files go by these rules; "" for that of the tenant."""
        return next((rule.notice for rule in self.rules if rule.notice and rule.name in rules), "")

    def wish(self, item: Item) -> str:
        """By what whoever the item belongs to wants it left as it is; "" where that is not so."""
        return self.keep_when.of(item) or self.restore_when.of(item)

    @cached_property
    def audit(self) -> timedelta | None:
        """How long the audit trail is kept: the longest time that a rule or the defaults name. None: for ever.

        A trail is one chain, and only its oldest end can go. A rule that names no time does not make it last.
        """
        named = (self.defaults.retain.audit, *(rule.retain.audit for rule in self.rules))
        return max(filter(None, named), default=None)

    def lets_go_back(self, rules: Collection[str]) -> bool:
        """Whether people may have files back that these rules, by their names, took out of their messages."""
        return not any(rule.overrules_people for rule in self.rules if rule.name in rules)

    @cached_property
    def asks(self) -> frozenset[str]:
        """The names of all conditions that some rule asks for."""
        return frozenset(name for each in self.groups for name, _ in each.asked)
