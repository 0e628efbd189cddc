"""The ledger itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from connector import report
from connector.amounts import counted
from connector.backups import back_up, back_up_into
from connector.cli.ground import Exit, Json, code_of, opened_ledger, told, user, working
from connector.daemon.process import clock
from connector.errors import kind

commands = typer.Typer(rich_markup_mode=None)

ledger_app = typer.Typer(help="The ledger itself.", no_args_is_help=True)
commands.add_typer(ledger_app, name="ledger")


@ledger_app.command()
def reconcile(context: typer.Context, *, as_json: Json = False) -> None:
    """Take over what the store knows and the ledger does not: after a restored backup. Stop every daemon first."""
    with working(context) as (daemon, _):
        taken, missing = daemon.reconcile()
    sentence = f"Taken over: {counted(taken.taken_over, 'redirect')}."
    if taken.refused:
        sentence += (
            f" Refused: {counted(taken.refused, 'manifest')}, not as connector wrote them; the log names them. Bring"
            " them back from the store's backup and call this again; until then their messages and files stay as they"
            " are. Whoever may write to the store may have changed them, or `marker_key` is another one by now."
        )
    for tenant, error in missing.items():
        sentence += f"\nLeft out: {tenant}: {error}. It stays as it is until this is called again."
    left_out = [{"tenant": tenant, "because": str(error)} for tenant, error in missing.items()]
    report.tell({**asdict(taken), "left_out": left_out}, sentence, as_json=as_json)
    raise typer.Exit(max(code_of(*map(kind, missing.values())), Exit.HELD if taken.refused else Exit.DONE))


@ledger_app.command()
def check(context: typer.Context) -> None:
    """Read all of the ledger, every page and every chain of events; the daemon may be at work."""
    with opened_ledger(context) as ledger:
        ledger.require_whole()
    typer.echo("The ledger is whole.")


@ledger_app.command()
def backup(
    context: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file that is not there yet; with --keep, the folder of all copies."),
    ],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Make a dated copy in a folder, and delete all but so many of them.")
    ] = None,
) -> None:
    """Copy the ledger as it is now into a file; the daemon may be at work. README, "Back up", tells the way back."""
    with opened_ledger(context) as ledger, told():
        if keep is None:
            back_up(ledger, place, clock(), user())
        else:
            place = back_up_into(place, keep, ledger, clock(), user())
    typer.echo(f"The ledger was copied into {place}.")
