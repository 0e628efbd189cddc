"""The commands. What they do is in the modules; what they answer is in `connector.report` and in `answers`."""

import errno
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from connector import __version__, log
from connector.cli.ground import Exit
from connector.config.yamlfile import ConfigError
from connector.errors import ConnectorError, Unavailable
from connector.ledger import LedgerError, Stale
from connector.log import Event

#: Where commands are, from those that ask the ledger alone to those that need all libraries.
_ROOMS = ("asking", "deciding", "ledger", "audit", "trying", "work", "looking", "links", "reports")

#: What is answered cannot be written: the disk is full, or the quota of whoever asks, or nobody reads on (`| head -1`).
_UNTOLD = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)

_EPILOG = """
Exit codes: 0 done; 1 something wants a human: a held redirect, a finding of `check` or `certify`, a chain, a manifest
or a file that is not right; 2 the configuration or the command is wrong, or names what nobody knows; 3 a server or the
ledger is out of reach; 4 a server refuses a login, a right, or what it is asked for; 70 a bug.
"""


class _Commands(TyperGroup):
    """All commands; for one of them, no more rooms are opened than those up to its own."""

    # What Typer has of Click is under another name in each of its versions.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is the library's
        """All, as the rooms stand."""
        return [name for room in _ROOMS for name in _commands(room)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is the library's
        """The command of this name, or None."""
        return next((_commands(room)[cmd_name] for room in _ROOMS if cmd_name in _commands(room)), None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called. Of one that is not there, it is told which may be meant."""
        if self.get_command(ctx, args[0]) is None:
            # There Typer looks for names that are like it.
            self.commands = {name: command for room in _ROOMS for name, command in _commands(room).items()}
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises Unavailable where its answer cannot be written: Typer would say that one is held."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno not in _UNTOLD:
                raise
            # Python would try once more at its end, and end with a code of its own.
            sys.stdout = StringIO()
            raise Unavailable(f"what was to be told could not be written: {error.strerror}") from None


def _commands(room: str) -> Mapping[str, Any]:
    try:
        module = import_module(f"connector.cli.{room}")
    except FileNotFoundError as error:
        # A library asks for a folder for temporary files as soon as it is there, and all that Python tries are full.
        raise Unavailable(f"{error.strerror}: make room in one of them, or name another one in TMPDIR") from None
    return typer.main.get_group(module.commands).commands


app = typer.Typer(
    add_completion=False,
    cls=_Commands,
    epilog=_EPILOG,
    help="Moves attachments from Exchange mailboxes into a WebDAV store, and leaves links in the messages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run one command, and end the process with one of `Exit`. Whatever fails, the user reads sentences."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by whoever calls (`2>&-`): the next file to be opened, maybe the ledger, would take its place.
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115 - until the process ends
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal may have no letters for what stands in mail, and a name may have halves of letters.
        sys.stdout.reconfigure(errors="backslashreplace")
    log.configure()
    try:
        app()
    except ConfigError as error:
        _fail(Exit.CONFIGURATION, *error.problems)
    except (LedgerError, Stale, Unavailable) as error:
        _fail(Exit.UNREACHABLE, str(error))
    except ConnectorError as error:
        _fail(Exit.REFUSED, str(error))
    except Exception as error:  # noqa: BLE001 - the traceback goes to the log, the user gets a sentence
        _bug(error)


def _bug(error: Exception) -> None:
    log.log.exception(Event.BUG)
    _fail(Exit.BUG, f"connector: this is a bug ({type(error).__name__}); the log above says where. Nothing is lost.")


def _fail(code: Exit, *sentences: str) -> None:
    print(*sentences, sep="\n", file=log.stderr)  # for the user, beside the log
    sys.exit(code)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _settings(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--config", envvar="CONNECTOR_CONFIG", help="Folder of connector.yaml and tenants/.")
    ] = Path("/etc/connector"),
    *,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")] = False,
) -> None:
    context.obj = folder
