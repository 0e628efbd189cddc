"""The audit trail: verified, exported, anchored."""

import sys
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from connector import report
from connector.audit import verify as verifier
from connector.audit.anchor import anchor
from connector.audit.export import cef, export, jsonl
from connector.cli.ground import Exit, Json, moment, opened_ledger, told
from connector.process import clock
from connector.settings import load_settings

commands = typer.Typer(rich_markup_mode=None)
audit_app = typer.Typer(help="The audit trail, and what it says of people.", no_args_is_help=True)
commands.add_typer(audit_app, name="audit")


class _Format(StrEnum):
    JSONL = "jsonl"
    CEF = "cef"


_FORMS = {_Format.JSONL: jsonl, _Format.CEF: cef}
_Tenant = Annotated[str | None, typer.Option("--tenant", help="Only this one's.")]
_When = Annotated[datetime | None, typer.Option(help="Only from, and until, a time: `date -Is`.", parser=moment)]


@audit_app.command("export")
def export_trail(
    context: typer.Context,
    tenant: _Tenant = None,
    *,
    since: _When = None,
    until: _When = None,
    as_format: Annotated[_Format, typer.Option("--format", help="jsonl can be verified; cef is for a SIEM.")] = (
        _Format.JSONL
    ),
    output: Annotated[Path | None, typer.Option(help="A file that is not there yet; else standard output.")] = None,
) -> None:
    """Write the audit trail as lines. `connector audit specification` tells what stands in them."""
    with opened_ledger(context) as ledger, told():
        lines = export(ledger, _FORMS[as_format], clock(), tenant=tenant, since=since, until=until)
        if output is None:
            for line in lines:
                sys.stdout.buffer.write(f"{line}\n".encode())
            return
        try:
            with output.open("x", encoding="utf-8") as file:
                output.chmod(0o600)
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise ValueError(f"{output} cannot be written: {error.strerror}") from None


@audit_app.command("verify")
def verify_trail(context: typer.Context, *, as_json: Json = False) -> None:
    """Verify every chain of the ledger, and that it holds what was anchored in the file that `audit.anchor` names."""
    settings = load_settings(context.obj).audit.anchor
    with opened_ledger(context) as ledger:
        lines = (f"{line}\n".encode() for line in export(ledger, jsonl, clock(), tenant=None, since=None, until=None))
        found = verifier.verify(lines, _anchored(settings.file) if settings.file else None)
    rows = [{"verdict": "WRONG", "what": each} for each in found.wrong]
    rows += [{"verdict": "verified", "what": each} for each in found.verified]
    report.tell_rows("Audit trail", rows, as_json=as_json)
    raise typer.Exit(Exit.HELD if found.wrong else Exit.DONE)


def _anchored(path: Path) -> list[str]:
    with told():
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None


@audit_app.command("anchor")
def anchor_trail(context: typer.Context, *, as_json: Json = False) -> None:
    """Write down now where each chain ends, in the file and to the syslog that `audit.anchor` names."""
    settings = load_settings(context.obj).audit.anchor
    with opened_ledger(context) as ledger, told():
        if settings.file is None and settings.syslog is None:
            raise ValueError("name a file or a syslog under audit.anchor in connector.yaml")
        try:
            anchored = anchor(ledger, settings, clock())
        except OSError as error:
            raise ValueError(f"audit.anchor cannot be written: {error}") from None
    report.tell({"anchored": anchored}, f"The ends of {anchored} chains are written down.", as_json=as_json)


@audit_app.command()
def specification() -> None:
    """What stands in an export, and how to verify it: print it, and give it to whoever does."""
    typer.echo(files("connector.audit").joinpath("SPECIFICATION.md").read_text(encoding="utf-8"), nl=False)
