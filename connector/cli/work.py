"""The work itself."""

from functools import partial

import typer

from connector import report
from connector.amounts import counted
from connector.cli.ground import Json, code_of, sum_up, working
from connector.config import loading as config
from connector.daemon.process import clock
from connector.watching.status import pauses

commands = typer.Typer(rich_markup_mode=None)

#: Pauses that keep folders from being read, messages from being edited, or shares from being made: a sweep does none.
_NOT_OF_A_SWEEP = {"PartUnread", "Unproved", "Unread", "Unknown", "Exhausted", "Full"}


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
    with working(context) as (daemon, ledger):
        swept = daemon.sweep()
        left = [each for each in pauses(ledger, clock()) if each.error not in _NOT_OF_A_SWEEP]
    sentences = [
        f"Swept: {counted(swept, 'redirect')}.",
        *(f"Left out: {each.paused}: {each.reason}." for each in left),
    ]
    told = {"swept": swept, "left_out": [each.model_dump() for each in left]}
    report.tell(told, "\n".join(sentences), as_json=as_json)
    raise typer.Exit(code_of(*(each.error for each in left)))
