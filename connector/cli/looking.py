"""Looking: at servers, at what the policy would do, and at why something is where it is."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector.amounts import duration
from connector.checks.certify import CLIENTS, certificates
from connector.checks.check import findings, grants
from connector.cli import answers
from connector.cli.ground import CODES, Json, Message, code_of, configured, refuse_beside, require, told, user
from connector.config import loading as config
from connector.config.exports import databases
from connector.config.yamlfile import ConfigError
from connector.daemon.process import clock
from connector.daemon.tenants import tenants
from connector.errors import ConnectorError, kind
from connector.explain import Found, find, known, mailboxes_of, message_id, opened, why
from connector.log import Event
from connector.plan.make import Looks, Scope, make, read_departments, with_policy
from connector.plan.page import page
from connector.plan.sums import By
from connector.plan.tables import FEWEST, csv_text
from connector.plan.tables import told as as_told
from connector.rollout import Readers
from connector.rollout import text as rollout_text

if TYPE_CHECKING:
    from connector.daemon.tenants import Tenant
    from connector.flow.turn import Watch
    from connector.ledger import Ledger
    from connector.model import Redirect

commands = typer.Typer(rich_markup_mode=None)


def _span(said: str) -> timedelta:
    try:
        return duration(said)
    except ValueError as error:
        raise ConfigError(f"--last {said}: {error}") from None


@commands.command()
def check(context: typer.Context, *, as_json: Json = False) -> None:
    """Try everything that the daemon needs: configuration, secrets, ledger, stores, mailboxes."""
    with configured(context) as (whole, ledger):
        known = tenants(whole)
        found = list(findings(known, ledger, whole.settings.state, user()))
    answers.tell_findings("Tried", found, as_json=as_json)
    for line in grants(known):
        typer.echo(line, err=as_json)
    raise typer.Exit(max(CODES[each.severity] for each in found))


@commands.command()
def certify(
    context: typer.Context,
    *,
    with_clients: Annotated[
        bool, typer.Option("--with-clients", help="Stop for a look at Outlook and phones, and ask how it went.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Redirect and restore messages in the probe mailbox, compare all their properties, and record how it went."""

    def ask(what: str) -> bool:
        return not with_clients or typer.confirm(f"{what} Is all well?", err=True)

    if with_clients:
        typer.echo(answers.by_hand(CLIENTS), err=True)
    with configured(context) as (whole, ledger):
        found = list(certificates(tenants(whole), ledger, user(), ask))
    answers.tell_certificates(found, CLIENTS, as_json=as_json)
    raise typer.Exit(max((CODES[each.finding.severity] for each in found), default=0))


@commands.command()
def plan(
    context: typer.Context,
    last: Annotated[
        timedelta, typer.Option(help="Mail of so long: 30d.", parser=_span, show_default="30d")
    ] = timedelta(days=30),
    *,
    whole: Annotated[bool, typer.Option("--whole", help="All that is in the mailboxes, however old.")] = False,
    mailbox: Annotated[list[str] | None, typer.Option(help="Only this mailbox; may be given several times.")] = None,
    by: Annotated[By, typer.Option(help="What the table has a line for.")] = By.RULE,
    departments: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A CSV file: mailbox,department.")
    ] = None,
    diff: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Another file of the tenant: what it changes.")
    ] = None,
    to_csv: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write all lines into this file.")
    ] = None,
    to_html: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Write a page with charts into this file.")
    ] = None,
    of_databases: Annotated[
        Path | None,
        typer.Option(
            "--databases",
            exists=True,
            dir_okay=False,
            help="What Get-Mailbox | Select-Object PrimarySmtpAddress,Database | Export-Csv writes.",
        ),
    ] = None,
    kept: Annotated[
        float, typer.Option(min=1, help="How often a stored byte is kept in the end, with trash and backups.")
    ] = 2,
    named: Annotated[bool, typer.Option("--named", help="Tell of single people too; it is written down.")] = False,
    reason: Annotated[str, typer.Option(help="Why people are looked at by name.")] = "",
    as_json: Json = False,
) -> None:
    """What the policy would do to the mail that is there, without a change to any mailbox or store."""
    if named:
        require(reason)
    refuse_beside(context, "whole", "last")
    if by is By.SENDER and not named:
        raise ConfigError("senders are people: --by sender is told with --named and --reason only")
    for written in (to_csv, to_html):
        if written:
            _require_writable(written)
    other = config.load_tenant(diff) if diff else None
    with configured(context) as (whole_config, ledger), told():
        scope = Scope(
            now=clock(),
            begin=None if whole else clock() - last,
            departments=read_departments(departments) if departments else {},
            databases=databases(of_databases) if of_databases else {},
            kept=kept,
            other=with_policy(other) if other else None,
            threads=whole_config.settings.threads,
        )
        known = [each for each in tenants(whole_config) if other is None or each.name == other.tenant]
        if not known:
            raise ValueError(f"{diff} is of a tenant that is not configured")
        looks = _looks(known, mailbox or ())
        if not named and any(len(each.watches) < FEWEST for each in looks):
            raise ValueError("of fewer than five people, nothing is told without --named and --reason")
        for each in looks if named else ():
            ledger.note(each.tenant, Event.PLAN_NAMED, clock(), by=user(), reason=reason, mailboxes=len(each.watches))
        made = [make(each, ledger, scope) for each in looks]
    plans = [as_told(each, named=named) for each in made]
    for path, text in ((to_csv, csv_text), (to_html, page)):
        if path:
            path.write_text(text(plans), encoding="utf-8")
    answers.tell_plans(plans, by, as_json=as_json)
    raise typer.Exit(code_of(*(kind(share.failed) for each in made for share in each.shares if share.failed)))


def _looks(tenants: Iterable["Tenant"], addresses: Collection[str]) -> list[Looks]:
    """Those of all, or of these mailboxes. Raises ValueError where one of them, or any at all, is not configured."""
    found = [looks for each in tenants if (looks := Looks.at(each, addresses)).watches]
    there = {watch.source.address.lower() for each in found for watch in each.watches}
    if unknown := [each for each in addresses if each.lower() not in there]:
        raise ValueError(f"no such mailbox is configured: {', '.join(unknown)}")
    if not found:
        raise ValueError("no mailbox is configured")
    return found


def _require_writable(path: Path) -> None:
    """Told before mailboxes are read for an hour; where nothing was, nothing is left."""
    there = path.exists()
    try:
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


@commands.command()
def explain(
    context: typer.Context,
    message: Message,
    mailbox: Annotated[
        str | None,
        typer.Option(help="Look into this one; else into those of its redirects, or, where it has none, all."),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why somebody's mail is looked into: it is written down.")],
    as_json: Json = False,
) -> None:
    """Why the attachments of a message are where they are: verdict, rule, reason, and what happened so far."""
    with configured(context) as (whole, ledger):
        with told():
            said = message_id(message)
            require(reason)
        redirects = known(said, ledger)
        watches, found, missing = _looked_into(tenants(whole), said, redirects, mailbox, ledger)
        # Before anything is told: who looks and is cut off has looked.
        looked = {(each.watch.tenant, each.watch.name) for each in found} or {(each.tenant, "") for each in watches}
        for tenant_name, source in sorted(looked):
            ledger.note(tenant_name, Event.MESSAGE_EXPLAINED, clock(), source=source, by=user(), reason=reason)
        if not (found or redirects or missing):
            where = f"not in {mailbox}; without --mailbox, all are looked into" if mailbox else "in no mailbox"
            raise ConfigError(
                f"nobody knows the message {said}: it is {where}, nor in the ledger; copy its Message-ID from its "
                "properties, or save it as .eml and name the file"
            )
        sentences = (*why(redirects, found, ledger, clock()), *opened(redirects, watches, ledger, clock()))
        answers.tell_explanation(found, redirects, ledger, sentences, missing, as_json=as_json)
    raise typer.Exit(code_of(*map(kind, missing.values())))


def _looked_into(
    known_tenants: Iterable["Tenant"], said: str, redirects: Sequence["Redirect"], mailbox: str | None, ledger: "Ledger"
) -> tuple[list["Watch"], list[Found], dict[str, ConnectorError]]:
    """Mailboxes that the message has to do with, what was found in those to be looked into, and why not in others.

    Raises ConfigError where the one to be looked into is not configured.
    """
    theirs = {each.lower() for each in mailboxes_of(redirects, ledger)}
    addresses = {mailbox.lower()} if mailbox else theirs
    watches: list[Watch] = []
    found: list[Found] = []
    missing: dict[str, ConnectorError] = {}
    for tenant in known_tenants:
        with _noted(f"the directory of {tenant.name}", missing):
            tenant.look_up()
    mailboxes = [each for tenant in known_tenants for each in tenant.mailboxes]
    if mailbox and not missing and addresses.isdisjoint(each.source.address.lower() for each in mailboxes):
        raise ConfigError(f"no mailbox {mailbox} is configured; without --mailbox, it is looked for in all")
    for each in mailboxes:
        address = each.source.address.lower()
        with _noted(each.source.address, missing):
            if not addresses or address in addresses | theirs:
                watches.append(each.watch())
            if not addresses or address in addresses:
                found += find(said, redirects, watches[-1], ledger, clock())
    return watches, found, missing


@contextmanager
def _noted(where: str, missing: dict[str, ConnectorError]) -> Iterator[None]:
    """What cannot be looked at is told in the end, and keeps nobody from looking at the rest."""
    try:
        yield
    except ConnectorError as error:
        missing[where] = error


@commands.command()
def rollout(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="The name of the tenant.")],
    *,
    language: Annotated[str, typer.Option(help="de, en, fr or nl.")],
    readers: Annotated[Readers, typer.Option("--for", help="Who is to read it.")],
) -> None:
    """A text that tells people what changes, filled in with what is configured; from rollout/ beside connector.yaml."""
    whole = config.load(context.obj)
    found = next((each for each in whole.tenants if each.tenant == tenant), None)
    if found is None:
        known = ", ".join(each.tenant for each in whole.tenants)
        raise ConfigError(f"there is no tenant {tenant!r}, only {known}")
    typer.echo(rollout_text(context.obj, found, whole.settings, readers, language), nl=False)
