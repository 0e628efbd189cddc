"""Links that messages show, and the pages that they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from connector import log, report
from connector.amounts import counted
from connector.cli.ground import All, Exit, Json, Only, Rule, Wanted, configured, future, told, user
from connector.daemon.process import clock
from connector.daemon.tenants import tenants
from connector.explain import message_id
from connector.flow import decisions
from connector.links import settings as link_settings
from connector.links.scrub import scrub
from connector.upkeep import Done, Upkeep

commands = typer.Typer(rich_markup_mode=None)

links_app = typer.Typer(help="Links that messages show.", no_args_is_help=True)
commands.add_typer(links_app, name="links")


@links_app.command("serve")
def serve_links(context: typer.Context) -> None:
    """The pages that links open, until SIGTERM: by links.yaml alone, as a user of their own."""
    from connector.links.server import serve  # noqa: PLC0415 - no other command needs a web server

    settings = _link_settings(context)
    serve(settings)


@links_app.command("scrub")
def scrub_links(context: typer.Context, *, as_json: Json = False) -> None:
    """Read all files that links open, and tell which are not what was published: for every night."""
    told = scrub(_link_settings(context), clock)
    sentence = f"Of the files, {told.right} are right, {told.corrupt} not what was published, {told.unread} not read."
    report.tell(asdict(told), sentence, as_json=as_json)
    raise typer.Exit(Exit.HELD if told.corrupt else Exit.UNREACHABLE if told.unread else Exit.DONE)


def _link_settings(context: typer.Context) -> link_settings.LinkSettings:
    settings = link_settings.load(context.obj)
    log.configure(settings.log.format, settings.log.level)
    return settings


@links_app.command(name="list")
def list_links(
    context: typer.Context, message: Wanted = None, mailbox: Only = None, *, rule: Rule = None, as_json: Json = False
) -> None:
    """What messages show, whom it opens for, and until when."""
    with _links(context, message, mailbox, rule, everything=True) as (wanted, links):
        found = [asdict(each) for each in links.shown(wanted)]
    report.tell_rows("Links", found, as_json=as_json)


@links_app.command()
def revoke(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """End links: they open nothing any more. Messages still show them, until `links relink` or `restore` is called."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.revoke(wanted)
    _tell({"revoked": done.messages}, "The links of {} open nothing any more.", done, as_json=as_json)
    _require_all(links)


@links_app.command()
def extend(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    until: Annotated[
        datetime | None, typer.Option(parser=future, help="When they end: 2027-06-30. Left out: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let links of our own service open longer, also those that have ended; messages will say so."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.extend(wanted, until)
    end = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "for ever"
    _tell({"extended": done.messages, "until": until}, f"The links of {{}} open {end}.", done, as_json=as_json)
    _require_all(links)


@links_app.command()
def relink(
    context: typer.Context,
    message: Wanted = None,
    mailbox: Only = None,
    *,
    rule: Rule = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """End links, and show others in their messages: after one has leaked. The daemon, or `once`, shows them."""
    with _links(context, message, mailbox, rule, everything=everything) as (wanted, links):
        done = links.relink(wanted)
    _tell({"relinked": done.messages}, "{} will show other links.", done, as_json=as_json)
    _require_all(links)


@links_app.command()
def password(context: typer.Context, message: Wanted, *, as_json: Json = False) -> None:
    """Tell the password of a link, for whoever asks the service desk. It is noted who asked."""
    with _links(context, message, None, None, everything=False) as (wanted, links):
        found = links.passwords(wanted)
    rows = [{"link": link, "password": told} for link, told in found.items()]
    report.tell_rows("Tell it on another way than the link", rows, as_json=as_json)


def _require_all(links: Upkeep) -> None:
    """Raises what kept us from the links of some tenants, after it was told what became of all others."""
    for error in links.missing.values():
        whose = "; ".join(f"{tenant}: {why}" for tenant, why in links.missing.items())
        raise type(error)(f"call this again, since links are left as they are, of {whose}")


def _tell(value: dict[str, object], sentence: str, done: Done, *, as_json: bool) -> None:
    passed = [f"Passed over: {counted(number, 'message')} ({why})." for why, number in done.passed.items()]
    told = " ".join([sentence.format(counted(done.messages, "message")), *passed])
    report.tell({**value, "passed": done.passed}, told, as_json=as_json)


@contextmanager
def _links(
    context: typer.Context, message: str | None, mailbox: str | None, rule: str | None, *, everything: bool
) -> Iterator[tuple[decisions.Wanted, Upkeep]]:
    with configured(context) as (whole, ledger), told():
        wanted = decisions.Wanted(message and message_id(message), mailbox, rule)
        if wanted == decisions.Wanted() and not everything:
            raise ValueError("say which messages, or --everything")
        yield wanted, Upkeep(tenants(whole), ledger, clock(), user())


@commands.command()
def leaver(
    context: typer.Context,
    mailbox: Annotated[str, typer.Argument(metavar="MAILBOX", help="The mailbox of whoever leaves.")],
    *,
    successor: Annotated[str, typer.Option(help="The mailbox of whoever takes over.")],
    as_json: Json = False,
) -> None:
    """Let the files and links of a mailbox belong to another's people; no address changes."""
    with configured(context) as (whole, ledger), told():
        went = Upkeep(tenants(whole), ledger, clock(), user()).succeed(mailbox, successor)
    sentence = f"What belonged to {', '.join(went)} belongs to {successor}, at the same addresses."
    report.tell({"mailboxes": went, "successor": successor}, sentence, as_json=as_json)
