"""The work itself."""

from functools import partial

import typer

from connector import report
from connector.amounts import counted
from connector.cli.ground import Json, sum_up, working
from connector.config import loading as config

commands = typer.Typer(rich_markup_mode=None)


@commands.command()
def once(context: typer.Context, *, as_json: Json = False) -> None:
    """Give every mailbox its turn until nothing is due now, and sum up."""
    with working(context) as (daemon, ledger):
        daemon.once()
        sum_up(context, ledger, as_json=as_json)


@commands.command()
def run(context: typer.Context) -> None:
    """Work until SIGTERM: no new step begins, and the current ones finish. SIGHUP reads the configuration anew."""
    with working(context, usable=True) as (daemon, _):
        daemon.run(partial(config.reload, context.obj))


@commands.command()
def sweep(context: typer.Context, *, as_json: Json = False) -> None:
    """Delete stored copies that no message ever showed, and let end what a retention ends; `run` does it once a day."""
    with working(context) as (daemon, _):
        swept = daemon.sweep()
    report.tell({"swept": swept}, f"Swept: {counted(swept, 'redirect')}.", as_json=as_json)
