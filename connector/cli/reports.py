"""What a data protection officer asks for."""

from datetime import datetime
from typing import Annotated

import typer

from connector.audit.reports import OF_A_TIME, REPORTS, Asked
from connector.cli.ground import configured, moment, told
from connector.daemon.process import clock

commands = typer.Typer(rich_markup_mode=None)


@commands.command("report")
def report_facts(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="REPORT", help=f"{', '.join(REPORTS)}.")],
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what happened since: `date -Is`.", parser=moment)] = None,
) -> None:
    """Tell, as Markdown, what is processed, which links opened for whom, or what happened."""
    with configured(context) as (whole, ledger), told():
        if what not in REPORTS:
            raise ValueError(f"there are reports of {', '.join(REPORTS)}, and none of {what!r}")
        if since and what not in OF_A_TIME:
            raise ValueError(f"{what} tells what is processed now: leave out --since")
        found = [each for each in whole.tenants if tenant in (None, each.tenant)]
        if not found:
            raise ValueError(f"there is no tenant {tenant}")
        for each in found:
            typer.echo(REPORTS[what](Asked(each, whole.settings, ledger, clock(), since)))
