"""Trying it out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from connector.cli.ground import Exit
from connector.config.yamlfile import ConfigError

commands = typer.Typer(rich_markup_mode=None)

Mail = Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Folder with .eml files of your own.")]
MailBoxes = Annotated[Path, typer.Option("--mail", help="Folder of mailboxes: anna@example.org/[Folder/]*.eml.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")]


@commands.command()
def demo(
    mail: Mail = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up, and say where.")] = False,
) -> None:
    """See it work: simulated mailboxes and Teams, a WebDAV store, sample mail, a crash in the middle."""
    with _extra():
        from connector.demo import demo as show  # noqa: PLC0415 - an extra that a daemon does without
    raise typer.Exit(Exit.DONE if show(mail, keep=keep) else Exit.HELD)


@commands.command()
def simulate(mail: MailBoxes, port: Port = 0) -> None:
    """Exchange and Microsoft 365, simulated on localhost, until SIGTERM. Prints addresses and logins as JSON."""
    with _extra():
        from connector.simulator import simulate as run_exchange  # noqa: PLC0415 - an extra that a daemon does without
    try:
        run_exchange(mail, port)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"the module {error.name} is missing: pip install 'connector[demo]'") from None
