"""Questions to the ledger alone: they are answered while every server is down."""

from typing import Annotated

import typer

from connector import report
from connector.cli.ground import Exit, Json, opened_ledger, sum_up
from connector.config.yamlfile import ConfigError
from connector.log.events import Event
from connector.model import State

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """How the daemon and each mailbox are, and what waits for what. Asks the ledger only."""
    with opened_ledger(context) as ledger:
        sum_up(context, ledger, as_json=as_json)


@commands.command()
def held(context: typer.Context, *, as_json: Json = False) -> None:
    """The redirects that wait for a human, with their reasons. Asks the ledger only."""
    with opened_ledger(context) as ledger:
        found = report.redirects(ledger.redirects(state=State.HELD))
    report.tell_rows("Held", found, as_json=as_json)
    if found and not as_json:
        typer.echo("`connector release ID` lets one go on, `connector drop ID` ends it.")
    raise typer.Exit(Exit.HELD if found else Exit.DONE)


@commands.command()
def events(
    name: Annotated[str, typer.Argument(help="One of them, or the beginning of some: redirect.held, link.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """All that can happen, as the log and the audit trail name it: what it means, and what to do."""
    found = [each for each in Event if each.startswith(name)]
    if not found:
        raise ConfigError(f"no event begins with {name!r}: `connector events` tells them all")
    rows = [
        {"event": each.value, "severity": each.severity, "meaning": each.meaning, "to_do": each.to_do} for each in found
    ]
    report.tell_rows("Events", rows, as_json=as_json)
