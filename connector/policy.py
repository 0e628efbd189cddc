"""What a tenant wants: one verdict for each file of a message. Pure: the same input gives the same verdict.

  guards    first, and no rule overrides them (`connector.guards`): signed, encrypted, private, already ours, ...
  rules     from the top; the first that matches a file decides about it
  neither   the file is kept

Within one condition any value of its list will do. In `when` all conditions must hold. In `unless` any one that holds
skips the rule, as the exceptions of an Exchange mail flow rule do.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import translate
from functools import cached_property, lru_cache
from itertools import chain
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from connector.amounts import Duration, Size, duration, said
from connector.filetype import TrueType, true_type
from connector.guards import NESTED, TNEF, Kept, guard_of_file, guard_of_item, guard_of_nested, guard_of_use, is_tnef
from connector.model import Action, Audience, Direction, File, FileKind, Item, LinkTerms, Message, SharedFile, Verdict

#: How many first bytes of a file `Facts.heads` should carry.
HEAD = 64 * 1024

T = TypeVar("T")

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_DOMAIN = re.compile(r"[^@\s.*]+(\.[^@\s.*]+)+")


def _fold(text: str) -> str:
    """Equal for names that people take for equal: any case, accents composed or not."""
    return unicodedata.normalize("NFC", text).casefold()


def _expiry(value: object) -> timedelta | None:
    if value == "never" or value is None:
        return None
    life = duration(value)
    if not life:
        raise ValueError("a link that ends at once opens nothing: give a duration such as 30d, or never")
    return life


def _listed(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _who(value: str) -> str:
    if not (_ADDRESS.fullmatch(value) or _DOMAIN.fullmatch(value)):
        raise ValueError(
            f"{value!r} is neither an address, such as anna@example.org, nor a domain, such as example.org "
            "(which covers its subdomains; without @ or * before it)"
        )
    return _fold(value)


def _extension(value: str) -> str:
    extension = _fold(value.removeprefix("*").removeprefix("."))
    if not extension or set(extension) & set("*?/\\ "):
        raise ValueError(f"{value!r} is not an extension, such as pdf; use the condition `name` for patterns")
    return extension


def _folder(value: str) -> str:
    parts = [part for part in _fold(value).split("/") if part.strip()]
    if not parts:
        raise ValueError("name a folder, such as Inbox/Projects")
    return "/".join(parts)


class _OneOrMany:
    """Lets an editor accept one value without the brackets of a list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


Expiry = Annotated[timedelta | None, BeforeValidator(_expiry, json_schema_input_type=str)]
Name = Annotated[str, Field(min_length=1)]
Glob = Annotated[Name, AfterValidator(_fold)]
Extension = Annotated[str, AfterValidator(_extension)]
Who = Annotated[str, AfterValidator(_who)]
Folder = Annotated[str, AfterValidator(_folder)]
#: One value, or a list of which any will do.
Some = Annotated[tuple[T, ...], BeforeValidator(_listed), _OneOrMany()]


class Kind(StrEnum):
    """What a file may be. A rule reaches attached messages only where its `when` names them."""

    FILE = "file"
    MESSAGE = "message"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Conditions(_Model):
    """What may be asked about a file and its message. A condition that is left out asks nothing.

    Sizes are those that the source announces, which are not the byte counts. A time of a message counts from when the
    server received it; where the server does not say when that was, no condition on age holds.
    """

    size_over: Size | None = Field(default=None, description="the file is larger, as its source announces it")
    size_under: Size | None = Field(default=None, description="the file is smaller, as its source announces it")
    name: Some[Glob] = Field(default=(), description="pattern of the file name, such as scan_????.*; any case")
    extension: Some[Extension] = Field(default=(), description="end of the file name, such as pdf or tar.gz")
    true_type: Some[TrueType] = Field(default=(), description="what the content of the file says that it is")
    kind: Some[Kind] = Field(default=(), description="file, or message: only a rule that says so reaches attached ones")
    sender: Some[Who] = Field(default=(), description="an address, or a domain with its subdomains")
    recipient: Some[Who] = Field(default=(), description="the same, for any one of the recipients")
    direction: Some[Direction] = Field(default=(), description="where the message came from")
    folder: Some[Folder] = Field(default=(), description="a folder anywhere in the mailbox, with what is below it")
    younger_than: Duration | None = Field(default=None, description="age of the message")
    older_than: Duration | None = Field(default=None, description="age of the message")

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        # `sender:` with nothing behind it would otherwise ask nothing, and the rule would match every file.
        if value is None or value in ([], ()):
            raise ValueError("says nothing: give a value, or leave the condition out")
        return value

    @cached_property
    def asked(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Each condition that asks something, with its values."""
        values = {name: _listed(getattr(self, name)) for name in type(self).model_fields}
        return tuple((name, each) for name, each in values.items() if each not in ((), (None,)))


class Terms(_Model):
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
_LEAVING = {Action.REDIRECT, Action.HOLD}


class Rule(_Model):
    """What to do with the files that match, unless an exception holds."""

    name: Name
    when: Conditions = Field(default=Conditions(), description="all of these hold; left out: any file")
    unless: Conditions = Field(default=Conditions(), description="none of these holds")
    action: Action
    settle: Duration | None = Field(default=None, description="how long originals stay after the copy")
    link: Terms = Terms()
    irreversible: bool = Field(default=False, description="also files that cannot be put back into their message later")
    keep_original: bool = Field(default=False, description="the whole message as it was goes into the store too (MIME)")
    unpack: bool = Field(default=False, description="winmail.dat too: what is in it goes beside it")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.startswith("guard:"):
            raise ValueError("names that begin with `guard:` are taken by the guards that no rule overrides")
        return name

    @model_validator(mode="after")
    def _says_that_messages_do_not_return(self) -> Self:
        if Kind.MESSAGE in self.when.kind and self.action in _LEAVING and not self.irreversible:
            raise ValueError(
                "an attached message cannot be attached again as what it was: add `irreversible: true`, or copy it"
            )
        return self


class Defaults(_Model):
    """What holds for every rule that does not say otherwise."""

    settle: Duration = timedelta(hours=24)


def _names_differ(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise ValueError(f"two rules are named {twice[0]!r}; a verdict names its rule, so names must differ")
    return rules


Rules = Annotated[tuple[Rule, ...], AfterValidator(_names_differ)]


class Policy(_Model):
    """The rules of a tenant, in their order."""

    defaults: Defaults = Defaults()
    rules: Rules = ()

    @cached_property
    def unpacks(self) -> bool:
        """Whether some rule reaches winmail.dat."""
        return any(rule.unpack for rule in self.rules)

    @cached_property
    def ages(self) -> frozenset[timedelta]:
        """Every age that some rule asks for."""
        groups = (group for rule in self.rules for group in (rule.when, rule.unless))
        return frozenset(age for each in groups for age in (each.younger_than, each.older_than) if age is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a policy has to know beside the message."""

    now: datetime
    #: First contact with the source: older messages stay as they are, whatever the policy says. None: no limit.
    since: datetime | None
    #: A genuine marker was found in the message.
    ours: bool
    #: The largest file, in bytes, that can be put back into the message later; None: any.
    returnable: int | None = None
    #: The first bytes (`HEAD` of them) by file id, once fetched, for every file whose verdict needs content.
    heads: Mapping[str, bytes] | None = None
    #: The true sizes by file id, once known: what a source announces is not the byte count.
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: How long a shared file must not have changed before it is touched.
    quiet: timedelta = timedelta(0)
    #: Shared files may give way to pointers. False: they are only copied, whatever a rule says.
    pointers: bool = True


def decide(policy: Policy, item: Item, facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each file of the item, in their order. Never raises, whatever an item says.

    A verdict that needs content keeps the file; asked again with `facts.heads` it is final.
    A verdict with `look_again` becomes another one at that time. Redirected is for ever, so there it is None.
    """
    if kept := guard_of_item(item, ours=facts.ours, since=facts.since):
        return tuple(_kept(file, kept) for file in item.files)
    if used := guard_of_use(item, now=facts.now, quiet=facts.quiet):
        kept, again = used
        return tuple(replace(_kept(file, kept), look_again=again) for file in item.files)
    return tuple(_verdict(policy, item, file, facts) for file in item.files)


def _verdict(policy: Policy, item: Item, file: File, facts: Facts) -> Verdict:
    if kept := guard_of_file(file):
        return _kept(file, kept)
    if is_tnef(file) and not (policy.unpacks and isinstance(item, Message)):
        return _kept(file, TNEF)  # In a share, one pointer would stand for all that is in it.
    case = _Case(
        item,
        file,
        facts.now,
        head=(facts.heads or {}).get(file.id),
        returns=facts.returnable is None or facts.sizes.get(file.id, file.size) <= facts.returnable,
        copied=isinstance(item, SharedFile) and not facts.pointers,
    )
    if case.nested and case.head is not None and (kept := guard_of_nested(case.head)):
        return _kept(file, kept)
    verdict = _judged(policy, case)
    return replace(verdict, look_again=_look_again(policy, case, verdict))


def _kept(file: File, kept: Kept) -> Verdict:
    return Verdict(file=file, action=Action.KEEP, rule=f"guard:{kept.name}", because=kept.because)


@dataclass(frozen=True)
class _Case:
    """What conditions look at: one file, at one time."""

    item: Item
    file: File
    now: datetime
    head: bytes | None
    #: It can be put back into the message later.
    returns: bool
    #: It stays where it is, whatever a rule says.
    copied: bool

    @property
    def nested(self) -> bool:
        return self.file.kind is FileKind.ITEM

    @property
    def packed(self) -> bool:
        return is_tnef(self.file)

    @cached_property
    def true_type(self) -> TrueType | None:
        return None if self.head is None else true_type(self.head, self.file.name)

    @cached_property
    def received(self) -> datetime | None:
        received = self.item.received
        return received.replace(tzinfo=UTC) if received and received.tzinfo is None else received

    @property
    def age(self) -> timedelta | None:
        return self.now - self.received if self.received else None


def _judged(policy: Policy, case: _Case) -> Verdict:
    """The first rule that matches decides; one that cannot tell without the content of the file asks for it."""
    for rule in policy.rules:
        if case.nested and Kind.MESSAGE not in rule.when.kind:
            continue
        matches = _all(chain(_answers(rule.when, case), map(_not, _answers(rule.unless, case))))
        if matches is None:
            because = "only the first bytes of the file tell what it is"
            return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because, needs_content=True)
        if matches:
            return _fired(rule, policy.defaults, case)
    if case.nested:
        return _kept(case.file, NESTED)
    if case.packed:
        return _kept(case.file, TNEF)
    return Verdict(file=case.file, action=Action.KEEP, rule="", because="no rule matches")


def _fired(rule: Rule, defaults: Defaults, case: _Case) -> Verdict:
    if case.packed and not rule.unpack:
        return _kept(case.file, TNEF)
    because = ", ".join(_reasons(rule.when, case)) or "the rule has no conditions"
    if rule.action is Action.REDIRECT and not (case.returns or rule.irreversible):
        because = f"{because}; but it is too large to be put back later, and the rule is not `irreversible`"
        return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because)
    action = rule.action
    if case.copied and action in _LEAVING:
        action, because = Action.COPY, f"{because}; but nobody wants shared files to give way to pointers here"
    return Verdict(
        file=case.file,
        action=action,
        rule=rule.name,
        because=because,
        settle=defaults.settle if rule.settle is None else rule.settle,
        terms=rule.link.as_terms,
        # A shared file is its own original.
        keep_original=rule.keep_original and isinstance(case.item, Message),
    )


def _look_again(policy: Policy, case: _Case, verdict: Verdict) -> datetime | None:
    """When, as the message ages, this verdict first becomes another one."""
    if verdict.action is Action.REDIRECT or verdict.needs_content or case.received is None:
        return None
    for moment in _birthdays(policy.ages, case.received):
        if moment > case.now:
            later = _judged(policy, replace(case, now=moment))
            if (later.action, later.rule) != (verdict.action, verdict.rule):
                return moment
    return None


def _birthdays(ages: Iterable[timedelta], received: datetime) -> Iterator[datetime]:
    last = datetime.max.replace(tzinfo=received.tzinfo) - received
    return (received + age for age in sorted(ages) if age <= last)


def _answers(conditions: Conditions, case: _Case) -> Iterator[bool | None]:
    """For each condition whether it holds; None where the content is needed to tell."""
    for name, values in conditions.asked:
        if case.head is None and (name == "true_type" or (name == "kind" and case.nested)):
            yield None
        else:
            yield any(_HOLDS[name](value, case) for value in values)


def _all(answers: Iterable[bool | None]) -> bool | None:
    """No, as soon as one says no; otherwise unknown, if one does not know."""
    said: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        said = said and answer
    return said


def _not(answer: bool | None) -> bool | None:  # noqa: FBT001 - the third truth value is the point
    return None if answer is None else not answer


def _reasons(conditions: Conditions, case: _Case) -> Iterator[str]:
    """For each condition the first value that holds, in the words of the policy."""
    for name, values in conditions.asked:
        value = next(each for each in values if _HOLDS[name](each, case))
        yield f"{name.replace('_', ' ')} {_told(value)}"


def _told(value: object) -> str:
    return said(value) if isinstance(value, int | timedelta) else str(value)


def _is(who: str, address: str) -> bool:
    """Whether it is this address, or an address in this domain or one below it."""
    folded = _fold(address)
    domain = folded.rpartition("@")[2]
    return folded == who if "@" in who else domain == who or domain.endswith(f".{who}")


def _in_folder(wanted: str, folder: str) -> bool:
    return f"/{wanted}/" in f"/{_fold(folder)}/"


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # The expression that fnmatch makes never goes back over a star, so no name makes it slow.
    return re.compile(translate(glob))


#: Whether one value of a condition holds. A new condition is a field above and a line here.
_HOLDS: Mapping[str, Callable[[Any, _Case], bool]] = {
    "size_over": lambda size, case: case.file.size > size,
    "size_under": lambda size, case: case.file.size < size,
    "name": lambda glob, case: _pattern(glob).match(_fold(case.file.name)) is not None,
    "extension": lambda extension, case: _fold(case.file.name).rstrip(". ").endswith(f".{extension}"),
    "true_type": lambda kind, case: case.true_type is kind,
    "kind": lambda kind, case: case.nested is (kind is Kind.MESSAGE),
    "sender": lambda who, case: _is(who, case.item.sender),
    "recipient": lambda who, case: any(_is(who, each) for each in case.item.recipients),
    "direction": lambda direction, case: case.item.direction is direction,
    "folder": lambda folder, case: _in_folder(folder, case.item.folder),
    "younger_than": lambda age, case: case.age is not None and case.age < age,
    "older_than": lambda age, case: case.age is not None and case.age >= age,
}
