"""The rules of a tenant: what happens to the files that match, and on which terms."""

from collections import Counter
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from connector.amounts import Duration
from connector.model import Action, Audience, LinkTerms
from connector.policy.conditions import Conditions, Kind, Model
from connector.policy.values import Expiry, Name, Some, Tag


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


class Retention(Model):
    """How long things are kept."""

    file: Expiry = Field(
        default=None,
        description="how long the store keeps a file, from when its message shows the link; then the message says that "
        "it is deleted, and it is; or never: for ever",
    )


class Rule(Model):
    """What to do with the files that match, unless an exception holds."""

    name: Name
    when: Conditions = Field(default=Conditions(), description="all of these hold; left out: any file")
    unless: Conditions = Field(default=Conditions(), description="none of these holds")
    action: Action
    settle: Duration | None = Field(default=None, description="how long originals stay after the copy")
    link: Terms = Terms()
    retention: Retention | None = Field(default=None, description="how long the store keeps the files")
    irreversible: bool = Field(default=False, description="also files that cannot be put back into their message later")
    keep_original: bool = Field(default=False, description="the whole message as it was goes into the store too (MIME)")
    tags: Some[Tag] = Field(default=(), description="what files bear in the store from the first, such as no-ai")
    unpack: bool = Field(default=False, description="winmail.dat too: what is in it goes beside it")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.startswith("guard:"):
            raise ValueError("names that begin with `guard:` are taken by the guards that no rule overrides")
        return name

    @model_validator(mode="after")
    def _links_end_first(self) -> Self:
        kept = self.retention.file if self.retention else None
        if kept and self.link.expires and kept < self.link.expires:
            raise ValueError("retention: the file would be deleted before its link ends: keep it at least as long")
        return self

    @model_validator(mode="after")
    def _says_that_messages_do_not_return(self) -> Self:
        if Kind.MESSAGE in self.when.kind and self.action in LEAVING and not self.irreversible:
            raise ValueError(
                "an attached message cannot be attached again as what it was: add `irreversible: true`, or copy it"
            )
        return self


class Defaults(Model):
    """What holds for every rule that does not say otherwise."""

    settle: Duration = timedelta(hours=24)
    retention: Retention = Retention()


def _names_differ(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
    if twice:
        raise ValueError(f"two rules are named {twice[0]!r}; a verdict names its rule, so names must differ")
    return rules


Rules = Annotated[tuple[Rule, ...], AfterValidator(_names_differ)]


class Policy(Model):
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
