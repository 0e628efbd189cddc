"""One verdict for each file: guards and exclusions first, then the rules from the top."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from connector.guards import NESTED, TNEF, Kept, guard_of_file, guard_of_item, guard_of_nested, guard_of_use, is_tnef
from connector.model import Action, Content, File, Item, Need, SharedFile, Verdict
from connector.policy.case import Case, Facts, Matter
from connector.policy.rules import LEAVING, Mode, Policy, Rule
from connector.policy.values import Lifetime

#: Where a file ends up by each action, the strictest first.
_STRICT = (Action.HOLD, Action.KEEP, Action.COPY, Action.REDIRECT)
#: What has to be fetched for rules that ask so about a file in winmail.dat, which nobody knows before.
_OF_PACKED = {"infected": Need.SCAN, "body": Need.BODY}
#: What a need is of, in a sentence.
_NEEDED = {
    Need.HEAD: "the first bytes of the file",
    Need.WHOLE: "all that is in the file",
    Need.SCAN: "what a virus scanner says of the file",
    Need.BODY: "the text of the message",
}


def decide(policy: Policy, item: Item, facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each file of the item, in their order. Never raises, whatever an item says.

    A verdict that needs something keeps the file; asked again with all that it needs in `facts` it is final.
    A verdict with `look_again` becomes another one at that time. Redirected is for ever, so there it is None.
    """
    if kept := guard_of_item(item, ours=facts.ours, since=facts.since):
        return tuple(_kept(file, kept) for file in item.files)
    if used := guard_of_use(item, now=facts.now, quiet=facts.quiet):
        kept, again = used
        return tuple(replace(_kept(file, kept), look_again=again) for file in item.files)
    matter = Matter(item, facts)
    if kept := policy.exclude.keeps(matter):
        return tuple(_kept(file, kept, "exclude") for file in item.files)
    return tuple(_verdict(policy, matter, file) for file in item.files)


def _verdict(policy: Policy, matter: Matter, file: File) -> Verdict:
    if kept := guard_of_file(file):
        return _kept(file, kept)
    if is_tnef(file) and not (policy.unpacks and matter.message):
        return _kept(file, TNEF)  # In a share, one pointer would stand for all that is in it.
    case = case_of(matter, file)
    if case.nested and case.content and (kept := guard_of_nested(case.content.head)):
        return _kept(file, kept)
    verdict = _judged(policy, case)
    again = _look_again(policy, case, verdict)
    return replace(verdict, look_again=again) if again else verdict


def case_of(matter: Matter, file: File) -> Case:
    """One file of the item, at the time of its facts."""
    facts = matter.facts
    return Case(
        matter,
        file,
        facts.now,
        content=facts.contents.get(file.id),
        returns=facts.returnable is None or facts.sizes.get(file.id, file.size) <= facts.returnable,
        copied=isinstance(matter.item, SharedFile) and not facts.pointers,
    )


def _kept(file: File, kept: Kept, by: str = "guard") -> Verdict:
    return Verdict(file=file, action=Action.KEEP, rule=f"{by}:{kept.name}", because=kept.because)


def _judged(policy: Policy, case: Case) -> Verdict:
    """What the rules say; of winmail.dat, together with what they say of the files in it."""
    verdict = _ruled(policy, case)
    goes = verdict.action in (Action.COPY, Action.REDIRECT)
    if not case.packed or not (goes or verdict.needs):
        return verdict
    if case.content is None:
        of_packed = {need for name, need in _OF_PACKED.items() if name in policy.asks}
        return _waits(verdict, verdict.needs | {Need.WHOLE} | of_packed)
    return _with_packed(policy, case, case.content, verdict) if goes else verdict


def _with_packed(policy: Policy, case: Case, content: Content, verdict: Verdict) -> Verdict:
    """winmail.dat goes no further than the strictest word on a file in it, each asked about as one of the message.

    What no rule names goes as winmail.dat does. Files of which a rule wants other links stay, as they cannot have them.
    """
    if content.packed is None:
        because = content.stays or "nobody can tell what is in it"
        return Verdict(file=case.file, action=Action.KEEP, rule=verdict.rule, because=f"{because}, so it stays")
    strictest = verdict
    for file, its_content in content.packed:
        # Undo puts back winmail.dat, which was asked about.
        said = _ruled(policy, replace(case, file=file, content=its_content, returns=True))
        if said.action is verdict.action is Action.REDIRECT and said.terms != verdict.terms:
            said = replace(said, action=Action.KEEP, because=f"{said.because}; but it would get other links")
        if (said.rule or said.needs) and _STRICT.index(said.action) < _STRICT.index(strictest.action):
            strictest = replace(said, file=case.file, because=f"of a file in it: {said.because}", would=verdict.would)
    return strictest


def _ruled(policy: Policy, case: Case) -> Verdict:
    """The first rule that matches decides; what rules on trial would have done is told beside it.

    Where a rule cannot tell yet, those below are asked too: all that may be needed is fetched at once. Where one can
    never tell (an archive too large to look into), the file stays: leaving it where it is loses nothing.
    """
    needs: set[Need] = set()
    would: list[tuple[str, Action]] = []
    verdict = _unmatched(case)
    for rule in policy.candidates(case):
        # Asked for its own sake: most of those that are left end here.
        if rule.first(case) is False or (matches := rule.matches(case)) is False:
            continue
        lacking = frozenset() if matches else rule.needs(case)
        needs |= lacking
        if rule.mode is Mode.ENFORCE and not lacking:
            verdict = _fired(rule, policy, case) if matches else _stays(rule, case)
            break
        if matches:
            would.append((rule.name, rule.action))
    verdict = _waits(verdict, needs) if needs else verdict
    return replace(verdict, would=tuple(would)) if would else verdict


def _stays(rule: Rule, case: Case) -> Verdict:
    because = "nobody can tell whether the rule matches, so the file stays"
    return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because)


def _waits(verdict: Verdict, needs: Iterable[Need]) -> Verdict:
    because = f"what decides is {', '.join(_NEEDED[need] for need in sorted(needs))}"
    return Verdict(file=verdict.file, action=Action.KEEP, rule="", because=because, needs=frozenset(needs))


def _unmatched(case: Case) -> Verdict:
    if case.nested:
        return _kept(case.file, NESTED)
    if case.packed:
        return _kept(case.file, TNEF)
    return Verdict(file=case.file, action=Action.KEEP, rule="", because="no rule matches")


def _fired(rule: Rule, policy: Policy, case: Case) -> Verdict:
    if case.packed and not rule.unpack and rule.action is not Action.HOLD:
        return _kept(case.file, TNEF)
    because = ", ".join(rule.when.reasons(case)) or "the rule has no conditions"
    if rule.action is Action.REDIRECT and not (case.returns or rule.irreversible):
        because = f"{because}; but it is too large to be put back later, and the rule is not `irreversible`"
        return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because)
    action, defaults = rule.action, policy.defaults
    kept = rule.retain.file or defaults.retain.file or Lifetime()
    if action in LEAVING and not rule.overrules_people and (wish := policy.wish(case.matter.item)):
        because = f"{because}; but whoever it belongs to wants it left as it is ({wish})"
        return Verdict(file=case.file, action=Action.KEEP, rule=rule.name, because=because, by_owner=True)
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
        tags=rule.tags,
        destination=rule.destination,
        retention=None if kept.after_message else kept.span,
        outlives=kept.span if kept.after_message else None,
        keep_original=rule.keep_original and case.matter.message is not None,
    )


def _look_again(policy: Policy, case: Case, verdict: Verdict) -> datetime | None:
    """When, as the message ages, this verdict first becomes another one."""
    if verdict.action is Action.REDIRECT or verdict.needs or case.matter.received is None:
        return None
    for moment in _birthdays(policy.ages, case.matter.received):
        if moment > case.now:
            later = _judged(policy, replace(case, now=moment))
            if (later.action, later.rule, later.needs) != (verdict.action, verdict.rule, verdict.needs):
                return moment
    return None


def _birthdays(ages: Iterable[timedelta], received: datetime) -> Iterator[datetime]:
    last = datetime.max.replace(tzinfo=received.tzinfo) - received
    return (received + age for age in sorted(ages) if age <= last)
