"""One verdict for each file: the guards first, then the rules from the top."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from connector.guards import NESTED, TNEF, Kept, guard_of_file, guard_of_item, guard_of_nested, guard_of_use, is_tnef
from connector.model import Action, File, Item, Message, Need, SharedFile, Verdict
from connector.policy.case import Case, Facts
from connector.policy.conditions import Kind, answers, reasons
from connector.policy.rules import LEAVING, Defaults, Policy, Rule

_HEAD = frozenset({Need.HEAD})


def decide(policy: Policy, item: Item, facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each file of the item, in their order. Never raises, whatever an item says.

    A verdict that needs content keeps the file; asked again with what it needs in `facts` it is final.
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
    case = Case(
        item,
        file,
        facts.now,
        content=facts.contents.get(file.id),
        returns=facts.returnable is None or facts.sizes.get(file.id, file.size) <= facts.returnable,
        copied=isinstance(item, SharedFile) and not facts.pointers,
    )
    if case.nested and case.content and (kept := guard_of_nested(case.content.head)):
        return _kept(file, kept)
    verdict = _judged(policy, case)
    return replace(verdict, look_again=_look_again(policy, case, verdict))


def _kept(file: File, kept: Kept) -> Verdict:
    return Verdict(file=file, action=Action.KEEP, rule=f"guard:{kept.name}", because=kept.because)


def _judged(policy: Policy, case: Case) -> Verdict:
    """The first rule that matches decides; one that cannot tell without the content of the file asks for it."""
    for rule in policy.rules:
        if case.nested and Kind.MESSAGE not in rule.when.kind:
            continue
        matches = _all(chain(answers(rule.when, case), map(_not, answers(rule.unless, case))))
        if matches is None:
            because = "only the first bytes of the file tell what it is"
            return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because, needs=_HEAD)
        if matches:
            return _fired(rule, policy.defaults, case)
    if case.nested:
        return _kept(case.file, NESTED)
    if case.packed:
        return _kept(case.file, TNEF)
    return Verdict(file=case.file, action=Action.KEEP, rule="", because="no rule matches")


def _fired(rule: Rule, defaults: Defaults, case: Case) -> Verdict:
    if case.packed and not rule.unpack:
        return _kept(case.file, TNEF)
    because = ", ".join(reasons(rule.when, case)) or "the rule has no conditions"
    if rule.action is Action.REDIRECT and not (case.returns or rule.irreversible):
        because = f"{because}; but it is too large to be put back later, and the rule is not `irreversible`"
        return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because)
    action = rule.action
    if case.copied and action in LEAVING:
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
        tags=rule.tags,
        retention=(rule.retention or defaults.retention).file,
    )


def _look_again(policy: Policy, case: Case, verdict: Verdict) -> datetime | None:
    """When, as the message ages, this verdict first becomes another one."""
    if verdict.action is Action.REDIRECT or verdict.needs or case.received is None:
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
