"""A plan as rows and sentences, without what would tell of few people. Pure.

A line of fewer than five people is folded into one line with the others of its kind. Where these are still fewer than
five, the smallest of the other lines go with them: otherwise the sum of all would tell what was left out.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from connector.amounts import about
from connector.model import FULLEST, Action
from connector.names import plain
from connector.plan.robots import Habits
from connector.plan.sums import By, Line, Lines, Plan

Row = Mapping[str, Any]

#: Of fewer people nothing is told without their names being asked for.
FEWEST = 5
FEW = "fewer than five people"
#: So many lines of a table are for people to read; a CSV has all.
MOST = 40
_FORMULA = tuple("=+-@\t\r")
_AMOUNTS = ("messages", "files", "bytes")
_COLUMNS = ("tenant", "by", "group", "action", "people", *_AMOUNTS, *(f"at_once_{each}" for each in _AMOUNTS))


def told(plan: Plan, *, named: bool) -> dict[str, Any]:
    """All of it, for a script, and for whatever shows it to people."""
    few = len(plan.people) < FEWEST and not named
    return {
        "tenant": plan.tenant,
        "begin": plan.begin,
        "end": plan.end,
        "policy": plan.policy,
        "named": named,
        "mailboxes_looked_at": len(plan.shares),
        "mailboxes_with_files": len(plan.people),
        "mailboxes_not_looked_at": sum(each.failed is not None for each in plan.shares),
        "not_looked_at": [
            {"mailbox": each.address, "because": str(each.failed)} for each in plan.shares if named and each.failed
        ],
        "messages_not_judged": sum(each.unread for each in plan.shares),
        "total": rows(plan, None, named=named),
        **{by.value: rows(plan, by, named=named) for by in By},
        **({} if few else _servers(plan, named=named)),
        "trials": list(_folded(plan.trials, "rule", "would", named=named)),
        "links": list(_folded(plan.problems, "rule", "problem", named=named)),
        "days": [
            {"day": day, "messages": line.amount.messages, "bytes": line.amount.bytes}
            for day, line in sorted(plan.by_day.items())
            if named or len(line.people) >= FEWEST
        ],
        "exclusions": exclusions(plan, named=named),
        "changes": list(_changes(plan, named=named)),
    }


def rows(plan: Plan, by: By | None, *, named: bool) -> list[Row]:
    """What becomes of how much, for each group; of all together where `by` is None."""
    if by is None:
        return list(_folded(_all(plan), "group", "action", named=named))
    if by is By.SENDER and not named:
        return []
    return list(_folded(plan.lines[by], "group", "action", named=named))


def exclusions(plan: Plan, *, named: bool) -> str:
    """Mailboxes that look as if a program read them, as YAML to paste; "" where none does."""
    found = _robots(plan, named=named)
    if not found:
        return ""
    # JSON is YAML, and quotes whatever an address holds.
    lines = (f"    - {json.dumps(each.address)}  # {'; '.join(each.signs)}" for each in found)
    return "\n".join(("exclude:", "  mailboxes:", *lines, ""))


def _robots(plan: Plan, *, named: bool) -> list[Habits]:
    return [each for each in plan.habits if each.signs and (named or each.is_named_so)]


def sentences(of: Mapping[str, Any]) -> Iterator[str]:
    """What people read beside the tables, from what `told` tells."""
    if of["mailboxes_not_looked_at"] and not of["named"]:
        yield (
            f"{of['mailboxes_not_looked_at']} mailboxes could not be looked at to their end; --named with --reason"
            " tells which, and why."
        )
    if "store" not in of:
        yield f"Of {FEW} nothing more is told; --named with --reason tells it, and is written down."
        return
    store, room, shares = of["store"], of["recoverable_items"], of["shares"]
    if store is None:
        yield f"By how much the store would grow is not told: it would tell of {FEW}."
    else:
        yield _growth(store)
        yield (
            f"With its trash and backups that comes to {about(store['bytes_kept'])}, each byte being kept"
            f" {store['kept']:g} times (--kept says otherwise)."
        )
    full = "Fewer than five" if room["mailboxes_that_fill"] is None else room["mailboxes_that_fill"]
    yield (
        f"Recoverable Items would grow by {about(room['bytes_per_night'])} on an average night, and transaction logs by"
        f" as much at least: where single item recovery is on, the server keeps each message as it was before an edit,"
        f" {room['days_kept']} days by default. {full} mailboxes would come to {FULLEST:.0%} of"
        " their room, where connector stops editing them."
    )
    for each in room["databases"]:
        where = f"in the database {plain(each['database'])}"
        yield f"Of that, {about(each['bytes_per_night'])} a night {where}, and as much in its logs."
    if of["forwarded"] and of["forwarded"]["messages"]:
        forwarded = of["forwarded"]
        yield (
            f"{forwarded['messages']} of the messages that would lose files ({about(forwarded['bytes'])}) were"
            " forwarded by their owners: whoever got them has the files, and gets the links when they are forwarded"
            " again."
        )
    if of["robots"] and of["robots"]["messages"]:
        yield (
            f"{of['robots']['messages']} of them ({about(of['robots']['bytes'])}) are in mailboxes that programs seem"
            " to read."
        )
    if shares["budget"] and shares["needed"] is not None:
        yield (
            f"{shares['needed']} shares would be made; at {shares['budget']} in ten minutes, which is what the store"
            f" allows by default, that takes {said_time(shares['minutes'])}."
        )
    if (looks := of["looked_into"]) and looks["messages"]:
        text = f"; and into the text of {looks['bodies']} messages" if looks["bodies"] else ""
        yield f"Rules look into {looks['files']} files, and read {about(looks['bytes'])} of them for that{text}."
    if (later := of["later"]) and later["files"]:
        yield f"{later['files']} files ({about(later['bytes'])}) stay for now, and are looked at again later."


def _growth(store: Mapping[str, int]) -> str:
    told = f"The store would grow by {about(store['bytes'] + store['originals_bytes'])}"
    if not store["repeated_files"]:
        return f"{told}."
    return (
        f"{told}, of which {about(store['repeated_bytes'])} are {store['repeated_files']} files that went to several"
        f" mailboxes ({about(store['repeated_bytes_once'])}, were each stored once)."
    )


def csv_text(told: Iterable[Mapping[str, Any]]) -> str:
    """All lines of all groups, as CSV."""
    text = io.StringIO(newline="")
    written = csv.DictWriter(text, _COLUMNS)
    written.writeheader()
    for of in told:
        for by in ("total", *(each.value for each in By)):
            for row in of[by]:
                written.writerow({"tenant": of["tenant"], "by": by} | {name: _cell(row[name]) for name in row})
    return text.getvalue()


def _cell(value: object) -> object:
    """A spreadsheet takes text that begins so for a formula, and anybody may have named a file or a domain."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value


def said_time(minutes: int) -> str:
    """Minutes as people read them."""
    return f"{minutes / 60:.0f} hours" if minutes >= 120 else f"{minutes} minutes"  # noqa: PLR2004 - as people say it


def _all(plan: Plan) -> Lines:
    lines: Lines = {}
    for (_, action), line in plan.lines[By.MAILBOX].items():
        total = lines.setdefault(("all", action), Line())
        _add(total, line)
    return lines


def _servers(plan: Plan, *, named: bool) -> dict[str, Any]:
    few_shared = _few(len(plan.sharing), named=named)
    looks, robots = _amount(plan.looked_into, named=named), _robots(plan, named=named)
    different, once, in_all = plan.repeated
    # What is redirected and what is copied make the sum: one that is shown would tell the other, of few people.
    stored = [line for (_, action), line in _all(plan).items() if action in (Action.REDIRECT, Action.COPY)]
    # The sum of lines less that of mailboxes in which nothing would be done tells these.
    nobody = {number for number, each in enumerate(plan.shares) if each.blocked}
    few = not named and any(
        len(line.people - nobody) < FEWEST or _few(len(line.people & nobody), named=False) for line in stored
    )
    filling = [each for each in plan.shares if each.fills]
    blocked = [each for each in plan.shares if each.blocked]
    return {
        "store": None
        if few
        else {
            **asdict(plan.stored),
            "originals": plan.originals.messages,
            "originals_bytes": plan.originals.bytes,
            "repeated_files": different,
            "repeated_bytes": in_all,
            "repeated_bytes_once": once,
            "kept": plan.kept,
            "bytes_kept": round(plan.kept * (plan.stored.bytes + plan.originals.bytes)),
        },
        "recoverable_items": {
            "bytes": plan.recoverable,
            "bytes_per_night": plan.recoverable // plan.days,
            "logs_per_night": plan.recoverable // plan.days,
            "days_kept": 14,
            "databases": [
                {"database": name, "bytes_per_night": line.amount.bytes // plan.days}
                for (name, _), line in sorted((plan.databases if named else _without_few(plan.databases)).items())
                if named or len(line.people) >= FEWEST
            ],
            "mailboxes_that_fill": None if _few(len(filling), named=named) else len(filling),
            "which": [
                {
                    "mailbox": each.address,
                    "now": str(each.room) if each.room else None,
                    "grows_by": each.most_recoverable,
                    "fills": each.fills,
                }
                for each in sorted(plan.shares, key=lambda each: -each.most_recoverable)
                if named and each.most_recoverable
            ],
        },
        "shares": {
            "needed": None if few_shared else plan.new_shares,
            "budget": plan.budget,
            "minutes": None if few_shared else int(plan.time_for_shares.total_seconds() // 60),
            "mailboxes_of_nobody": None if _few(len(blocked), named=named) else len(blocked),
            "which": [{"mailbox": each.address, "because": each.blocked} for each in blocked if named],
        },
        "looked_into": looks and {**looks, "bodies": plan.bodies},
        "later": _amount(plan.later, named=named),
        "forwarded": _amount(plan.forwarded, named=named),
        "robots": None if _few(len(robots), named=named) else asdict(plan.leaving([each.address for each in robots])),
    }


def _few(people: int, *, named: bool) -> bool:
    """Whether what is behind them would tell of somebody."""
    return 0 < people < FEWEST and not named


def _amount(line: Line, *, named: bool) -> Row | None:
    """None where it would tell of few people."""
    return None if _few(len(line.people), named=named) else asdict(line.amount)


def _changes(plan: Plan, *, named: bool) -> Iterator[Row]:
    for by in (By.RULE, By.MAILBOX) if named else (By.RULE,):
        lines = {(group, f"{now} → {then}"): line for (of, group, now, then), line in plan.moved.items() if of is by}
        for row in _folded(lines, "group", "change", named=named):
            yield {"by": by.value, **row}


def _folded(lines: Lines, of: str, what: str, *, named: bool) -> Iterator[Row]:
    """The lines as rows, the largest first."""
    shown = dict(lines) if named else _without_few(lines)
    for (group, kind), line in sorted(shown.items(), key=lambda each: (-each[1].amount.bytes, each[0])):
        few = len(line.people) < FEWEST and not named
        yield {
            of: group,
            what: str(kind),
            "people": FEW if few else len(line.people),
            **{name: None if few else value for name, value in asdict(line.amount).items()},
            **({} if what != "action" else _at_once(line, few=few)),
        }


def _at_once(line: Line, *, few: bool) -> Row:
    return {f"at_once_{name}": None if few else value for name, value in asdict(line.at_once).items()}


def _without_few(lines: Lines) -> Lines:
    shown: Lines = {}
    for kind in dict.fromkeys(kind for _, kind in lines):
        fewest_first = sorted(
            ((key, line) for key, line in lines.items() if key[1] == kind), key=lambda each: len(each[1].people)
        )
        few = Line()
        for key, line in fewest_first:
            if len(line.people) < FEWEST or 0 < len(few.people) < FEWEST:
                _add(few, line)
            else:
                shown[key] = line
        if few.people:
            shown[FEW, kind] = few
    return shown


def _add(total: Line, line: Line) -> None:
    total.amount = total.amount + line.amount
    total.at_once = total.at_once + line.at_once
    total.people = total.people | line.people
