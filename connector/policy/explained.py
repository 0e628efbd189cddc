"""Every condition of every rule about one file: what was asked, what was found, and the answer.

The answers are those of the same questions that `decide` asks, so that both say the same. What a message says is not
told: only whether a pattern matches it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from connector.amounts import said
from connector.model import Action, Item, Verdict
from connector.policy.case import Case, Facts, Matter
from connector.policy.conditions import Answer, Conditions
from connector.policy.rules import Mode, Policy
from connector.policy.verdicts import case_of, decide


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition of a rule."""

    #: `when` or `unless`, and the group in it.
    where: str
    #: As the policy says it.
    condition: str
    #: What the file or its message has; "" where that is not told.
    found: str
    #: None: nobody knows.
    holds: Answer


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule."""

    rule: str
    action: Action
    mode: Mode
    #: Whether it matches; None: nobody knows.
    matches: Answer
    #: It is the one that decides, unless a guard or an exclusion keeps the file before any rule is asked, or, of
    #: winmail.dat, what is said of a file in it.
    decides: bool
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """One file: what becomes of it, and what each rule says, from the top."""

    verdict: Verdict
    rules: tuple[Considered, ...]


def explained(policy: Policy, item: Item, facts: Facts) -> tuple[Explained, ...]:
    """For each file of the item, in their order. Never raises, whatever an item says."""
    matter = Matter(item, facts)
    return tuple(
        Explained(verdict, tuple(_considered(policy, verdict, case_of(matter, verdict.file))))
        for verdict in decide(policy, item, facts)
    )


def _considered(policy: Policy, verdict: Verdict, case: Case) -> Iterator[Considered]:
    # As long as something has to be fetched, no rule decides.
    open_ = not verdict.needs
    for rule in policy.rules:
        matches = rule.matches(case)
        decides = open_ and rule.mode is Mode.ENFORCE and matches is not False
        open_ = open_ and not decides
        asked = (*_asked("when", rule.when, case), *_asked("unless", rule.unless, case))
        yield Considered(rule.name, rule.action, rule.mode, matches, decides, asked)


def _asked(where: str, conditions: Conditions, case: Case) -> Iterator[Asked]:
    for question in conditions.questions:
        groups = [each for each in question.values if isinstance(each, Conditions)]
        tells = _FOUND.get(question.name)
        yield Asked(where, str(question), tells(case) if tells else "", question.holds(case))
        for number, group in enumerate(groups, 1):
            yield from _asked(f"{where} {question.name} {number}", group, case)


def _type(case: Case) -> str:
    return case.true_type.value if case.true_type else "unknown"


def _content(what: str) -> Callable[[Case], str]:
    def told(case: Case) -> str:
        found = getattr(case.content, what) if case.content else None
        return "unknown" if found is None else str(found).lower()

    return told


def _age(case: Case) -> str:
    return "unknown" if case.age is None else f"{case.age.total_seconds() / 86400:.1f} d"


def _message_size(case: Case) -> str:
    size = case.matter.message.size if case.matter.message else 0
    return said(size) if size else "unknown"


#: What is told beside a condition. Of texts and headers nothing is.
_FOUND: Mapping[str, Callable[[Case], str]] = {
    "size_over": lambda case: said(case.file.size),
    "size_under": lambda case: said(case.file.size),
    "name": lambda case: case.file.name,
    "extension": lambda case: case.file.name,
    "true_type": _type,
    "disguised": _type,
    "encrypted": _content("encrypted"),
    "macros": _content("macros"),
    "infected": _content("infected"),
    "kind": lambda case: "message" if case.nested else "file",
    "mailbox": lambda case: case.matter.facts.mailbox,
    "group": lambda case: ", ".join(sorted(case.matter.facts.groups)) or "none",
    "sender": lambda case: case.matter.item.sender,
    "recipient": lambda case: ", ".join(case.matter.item.recipients),
    "recipients": lambda case: f"{case.matter.external} of {len(case.matter.item.recipients)} external",
    "recipients_over": lambda case: str(len(case.matter.item.recipients)),
    "direction": lambda case: str(case.matter.item.direction or "none"),
    "message_over": _message_size,
    "message_under": _message_size,
    "label": lambda case: (case.matter.message.label if case.matter.message else "") or "none",
    "folder": lambda case: case.matter.item.folder,
    "younger_than": _age,
    "older_than": _age,
    "read": lambda case: str(case.matter.message.read if case.matter.message else None).lower(),
    "category": lambda case: ", ".join(case.matter.message.categories if case.matter.message else ()) or "none",
    "team": lambda case: case.matter.place[0] or "none",
    "channel": lambda case: case.matter.place[1] or "none",
    "chat": lambda case: case.matter.place[2] or "none",
}
