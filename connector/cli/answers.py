"""What the commands answer that look at mailboxes and stores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import typer

from connector.checks.certify import Certificate
from connector.checks.finding import Finding
from connector.errors import ConnectorError
from connector.explain import Found
from connector.ledger import Ledger
from connector.model import Redirect
from connector.plan.sums import By
from connector.plan.tables import MOST, sentences
from connector.report import Row, redirects, tell, tell_rows

_ANSWERS = {True: "yes", False: "no", None: "unknown"}
_BEFORE_RULES = ("guard:", "exclude:")


def tell_findings(title: str, found: Sequence[Finding], *, as_json: bool) -> None:
    """A line for each; and below, where a command can be copied, what is to be done about those that are not fine."""
    if as_json:
        tell_rows("", [asdict(each) for each in found], as_json=True)
        return
    lines = [{"tried": each.tried, "severity": each.severity, "says": each.says} for each in found]
    tell_rows(title, lines, as_json=False)
    for each in found:
        if each.severity != "fine":
            typer.echo(f"{each.tried}: {each.todo}.\n    {each.fix}")


def _verdicts(found: Iterable[Found]) -> list[Row]:
    return [
        {
            "mailbox": each.watch.source.address,
            "folder": each.message.folder,
            "file": verdict.file.name,
            "size": verdict.file.size,
            "action": verdict.action,
            "rule": verdict.rule,
            "because": verdict.because,
            "look_again": verdict.look_again,
        }
        for each in found
        for verdict in each.verdicts
    ]


def _policies(found: Iterable[Found]) -> list[Row]:
    """The policies that are in force; the history names that which made a redirect."""
    in_force = {each.watch.tenant: each.watch.policy.fingerprint for each in found}
    return [{"tenant": tenant, "policy": fingerprint} for tenant, fingerprint in in_force.items()]


def _guards(found: Iterable[Found]) -> list[Row]:
    return [
        {"mailbox": each.watch.source.address, "guard": kept.name, "asks": kept.because, "holds": _ANSWERS[holds]}
        for each in found
        for kept, holds in each.guards
    ]


def _rules(found: Iterable[Found]) -> list[Row]:
    """What each rule says of each file, from the top; the first that matches decides, unless a guard has spoken."""
    return [
        {
            "file": file.verdict.file.name,
            "rule": rule.rule,
            "mode": rule.mode,
            "action": rule.action,
            "matches": _ANSWERS[rule.matches],
            "decides": rule.decides and not file.verdict.rule.startswith(_BEFORE_RULES),
        }
        for each in found
        for file in each.explained
        for rule in file.rules
    ]


def _conditions(found: Iterable[Found]) -> list[Row]:
    return [
        {
            "file": file.verdict.file.name,
            "rule": rule.rule,
            "where": asked.where,
            "condition": asked.condition,
            "found": asked.found,
            "holds": _ANSWERS[asked.holds],
        }
        for each in found
        for file in each.explained
        for rule in file.rules
        for asked in rule.asked
    ]


def _links(found: Iterable[Redirect]) -> list[Row]:
    """Whom each link opens for, and until when."""
    return [
        {
            "file": file.file.name,
            "path": file.stored.path if file.stored else file.path,
            "link": file.link.url,
            "audience": file.terms.audience,
            "ends": file.link.expires,
        }
        for each in found
        for file in each.shown
        if file.link
    ]


def _history(found: Iterable[Redirect], ledger: Ledger) -> list[Row]:
    return [
        {"at": event.at, "redirect": each.id, "event": event.name, "detail": dict(event.detail)}
        for each in found
        for event in ledger.history(each.id)
    ]


def tell_explanation(
    found: Sequence[Found],
    known: Sequence[Redirect],
    ledger: Ledger,
    sentences: Sequence[str],
    missing: Mapping[str, ConnectorError],
    *,
    as_json: bool,
) -> None:
    """What the policy says now, what its files wait for, who may open what, and what happened so far.

    `missing`: where it could not be looked, and why.
    """
    parts: dict[str, Sequence[Row]] = {
        "policies": _policies(found),
        "verdicts": _verdicts(found),
        "guards": _guards(found),
        "rules": _rules(found),
        "conditions": _conditions(found),
        "redirects": redirects(known),
        "links": _links(known),
        "history": _history(known, ledger),
        "not_looked_at": [{"mailbox": where, "because": str(error)} for where, error in missing.items()],
    }
    if as_json:
        tell({**parts, "why": sentences}, "", as_json=True)
        return
    if not found:
        typer.echo("No mailbox that was looked into has this message.")
    elif not parts["verdicts"]:
        typer.echo("The message has no attachments.")
    for sentence in sentences:
        typer.echo(f"{sentence[:1].upper()}{sentence[1:]}.")
    for title, rows in parts.items():
        if rows:
            tell_rows(title.replace("_", " ").capitalize(), rows, as_json=False)


def tell_plans(told: Sequence[Mapping[str, Any]], by: By, *, as_json: bool) -> None:
    """What policies would do, one tenant after the other."""
    if as_json:
        tell(told, "", as_json=True)
        return
    for of in told:
        begin = f"{of['begin']:%Y-%m-%d}" if of["begin"] else "the beginning"
        files = [*of["total"], *of[by][:MOST]]
        tell_rows(f"{of['tenant']}: mail from {begin} until {of['end']:%Y-%m-%d}, by {by}", files, as_json=False)
        if len(of[by]) > MOST:
            typer.echo(f"{len(of[by]) - MOST} smaller lines are told by --csv and --json only.")
        for sentence in sentences(of):
            typer.echo(sentence)
        parts = {"Rules on trial": of["trials"], "Links": of["links"], "What another policy changes": of["changes"]}
        for title, rows in parts.items():
            if rows:
                tell_rows(title, rows, as_json=False)
        if of["not_looked_at"]:
            tell_rows("Not looked at to their end", of["not_looked_at"], as_json=False)
        if of["messages_not_judged"]:
            typer.echo(f"{of['messages_not_judged']} messages could not be read, and are not in here.")
        if of["exclusions"]:
            typer.echo(
                "Programs seem to read these mailboxes; to leave them as they are, paste into the tenant's file:"
            )
            typer.echo(of["exclusions"])


def tell_certificates(found: Sequence[Certificate], clients: Sequence[str], *, as_json: bool) -> None:
    """How the trials went, each property that differs, and what only people can see."""
    rows = [asdict(each.finding) for each in found]
    differing = [asdict(one) for each in found if each.trial for one in each.trial.differences]
    if as_json:
        tell({"certificates": rows, "differences": differing, "by_hand": list(clients)}, "", as_json=True)
        return
    tell_findings("Certified", [each.finding for each in found], as_json=False)
    if differing:
        tell_rows("Properties that differ from before the redirect", _summed(differing), as_json=False)
    typer.echo(by_hand(clients))


def _summed(differing: Iterable[Row]) -> list[Row]:
    """One row for a property, whatever messages it differs in."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in differing:
        explained = each["expected"] or "NOTHING EXPLAINS THIS"
        rows.setdefault((each["when"], each["property"], explained), []).append(each["message"])
    return [
        {"when": when, "property": name, "why": why, "messages": "; ".join(dict.fromkeys(messages))}
        for (when, name, why), messages in rows.items()
    ]


def by_hand(clients: Sequence[str]) -> str:
    """What only people can see, step by step."""
    steps = (f"  {number}. {step}" for number, step in enumerate(clients, 1))
    told = "Only people can see what clients make of it: `connector certify --with-clients` stops for a look at each."
    return "\n".join((told, *steps))
