"""Deciding about redirects, and wanting more of them."""

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from connector import report
from connector.amounts import counted
from connector.cli.ground import (
    All,
    Begun,
    Decision,
    Id,
    Json,
    Only,
    Rule,
    Since,
    Until,
    Wanted,
    day,
    known_tenants,
    opened_ledger,
    refuse_beside,
    require,
    told,
    user,
)
from connector.config.yamlfile import ConfigError
from connector.daemon.process import clock
from connector.explain import message_id
from connector.flow import decisions
from connector.flow.backfill import Hours, Wish, leave, progress, want

commands = typer.Typer(rich_markup_mode=None)


def _hours(said: str) -> Hours:
    found = re.fullmatch("([01]?[0-9]|2[0-3])-([01]?[0-9]|2[0-3])", said)
    if found is None:
        raise ConfigError(f"{said} are no hours: give them as 20-06, each from 0 to 23")
    return Hours(int(found[1]), int(found[2]))


Tenant = Annotated[str | None, typer.Argument(metavar="TENANT", help="One tenant; left out: all.")]


@commands.command()
def pause(
    context: typer.Context,
    tenant: Tenant = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit trail, with your name.")],
    as_json: Json = False,
) -> None:
    """Stop all work: no new step begins, the current one finishes, restarts change nothing. Asks no server.

    Also for tenants that were never served yet.
    """
    require(reason)
    with opened_ledger(context) as ledger, told():
        known, unread = known_tenants(context, ledger)
        meant = decisions.tenants_meant(tenant, known)
        decisions.stop(meant, ledger, clock(), user(), reason=reason)
    report.tell({"stopped": meant}, f"Stopped: {', '.join(meant)}.", as_json=as_json)
    if unread and tenant is None:
        raise ConfigError(*unread, "whoever else these files are of is not stopped: mend them, and call this again")


@commands.command()
def resume(context: typer.Context, tenant: Tenant = None, *, as_json: Json = False) -> None:
    """Let work go on that `pause` stopped. Asks no server."""
    with opened_ledger(context) as ledger, told():
        known, _ = known_tenants(context, ledger)
        resumed = decisions.go_on(decisions.tenants_meant(tenant, known), ledger, clock(), user())
    report.tell({"resumed": resumed}, f"These go on: {', '.join(resumed) or 'none was stopped'}.", as_json=as_json)


@commands.command()
def release(context: typer.Context, redirect_id: Id, *, as_json: Json = False) -> None:
    """Let a held redirect go on where it stood. Asks the ledger only."""
    _decide(context, decisions.release, redirect_id, as_json=as_json)


@commands.command()
def drop(context: typer.Context, redirect_id: Id, *, as_json: Json = False) -> None:
    """End a held redirect: its message stays as it is, for ever. Asks the ledger only."""
    _decide(context, decisions.drop, redirect_id, as_json=as_json)


@commands.command()
def restore(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    revoke: Annotated[
        bool, typer.Option(help="The links open nothing afterwards, where the store can do that.")
    ] = False,
    per_hour: Annotated[
        int, typer.Option(min=1, help="Messages an hour and mailbox, once the first 100 of each are back.")
    ] = decisions.Pace().per_hour,
    as_json: Json = False,
) -> None:
    """Ask for attachments to be put back; a message must match every option given. The daemon, or `once`, does it."""
    pace = decisions.Pace(per_hour=per_hour)
    with opened_ledger(context) as ledger, told():
        wanted = decisions.Wanted(message and message_id(message), mailbox, rule, since, until)
        if wanted == decisions.Wanted() and not everything:
            raise ValueError("say what to restore, or --everything")
        recalled = decisions.restore(wanted, ledger, clock(), user(), pace=pace, revoke=revoke)
    report.tell_recalled(recalled, as_json=as_json)


@commands.command()
def backfill(
    context: typer.Context,
    mailbox: Annotated[str | None, typer.Option(help="Only this mailbox or share; else all that are watched.")] = None,
    *,
    biggest: Annotated[bool, typer.Option("--biggest/--newest", help="Which messages go first.")] = False,
    since: Annotated[datetime | None, typer.Option(help="Nothing older: 2020-01-31.", parser=day)] = None,
    hours: Annotated[
        Hours | None, typer.Option(help="Only from one hour to another: 20-06.", parser=_hours, metavar="FROM-TO")
    ] = None,
    per_hour: Annotated[int, typer.Option(min=1, help="Messages an hour and mailbox.")] = Wish().per_hour,
    pause: Annotated[bool, typer.Option("--pause", help="Leave it for now.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with it.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only tell how far it is.")] = False,
    as_json: Json = False,
) -> None:
    """Ask for what is older than first contact to go by the policy too. The daemon does it, or `once`."""
    how = ("biggest", "since", "hours", "per_hour")
    refuse_beside(context, "pause", "resume", "status", *how)
    refuse_beside(context, "resume", "status", *how)
    refuse_beside(context, "status", *how)
    with opened_ledger(context) as ledger, told():
        if pause or resume:
            leave(mailbox, ledger, clock(), user(), paused=pause)
        elif not status:
            wish = Wish(biggest=biggest, since=since, hours=hours or Hours(0, 0), per_hour=per_hour)
            want(wish, mailbox, ledger, clock(), user())
        report.tell_rows("Backfill", [asdict(each) for each in progress(mailbox, ledger, clock())], as_json=as_json)


@commands.command()
def backup_mark(context: typer.Context, begun: Begun, tenant: Tenant = None, *, as_json: Json = False) -> None:
    """Say that a backup of the store has ended well: what was copied before it began need not settle any longer."""
    with opened_ledger(context) as ledger, told():
        if tenant:
            known, _ = known_tenants(context, ledger)
            decisions.tenants_meant(tenant, known)
        settled = decisions.backed_up(ledger, begun, clock(), user(), tenant)
    sentence = f"No longer waiting: {counted(settled, 'redirect')}." if settled else "Nothing waited for this backup."
    report.tell({"settled": settled}, sentence, as_json=as_json)


def _decide(context: typer.Context, decide: Decision, redirect_id: str, *, as_json: bool) -> None:
    with opened_ledger(context) as ledger:
        found = ledger.redirect(redirect_id)
        if found is None:
            raise ConfigError(f"the ledger knows no redirect {redirect_id}")
        with told():
            decided = decide(found, ledger, clock(), user())
    report.tell_rows("Decided", report.redirects([decided]), as_json=as_json)
