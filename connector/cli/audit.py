"""The audit trail: verified, exported, anchored, asked about a person; and the end of what is kept of one."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector import report
from connector.amounts import counted
from connector.audit import verify as verifier
from connector.audit.anchor import anchor, is_due
from connector.audit.export import cef, export, jsonl
from connector.audit.subject import NOT_KNOWN, Known, look
from connector.cli.ground import Exit, Json, configured, moment, opened_ledger, require, told, user
from connector.config.settings import load_settings
from connector.daemon.process import clock
from connector.flow.erasure import STAYS, left, sources_of, want
from connector.log import Event

if TYPE_CHECKING:
    from connector.config.loading import Config
    from connector.daemon.tenants import Tenant

commands = typer.Typer(rich_markup_mode=None)
audit_app = typer.Typer(help="The audit trail, and what it says of people.", no_args_is_help=True)
commands.add_typer(audit_app, name="audit")


class _Format(StrEnum):
    JSONL = "jsonl"
    CEF = "cef"


_FORMS = {_Format.JSONL: jsonl, _Format.CEF: cef}
_Tenant = Annotated[str | None, typer.Option("--tenant", help="Only this one's.")]
_Person = Annotated[str, typer.Argument(metavar="PERSON", help="The address of a mailbox, or the name of a login.")]
_Reason = Annotated[str, typer.Option(help="Why: it is written down.")]
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
            _write_anew(output, lines)
        except OSError as error:
            raise ValueError(f"{output} cannot be written: {error.strerror}") from None


def _write_anew(path: Path, lines: Iterator[str]) -> None:
    """Into a file that was not there; whatever is refused or fails on the way, none is there afterwards."""
    with path.open("x", encoding="utf-8") as file:
        try:
            path.chmod(0o600)
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
        except BaseException:
            path.unlink()
            raise


@audit_app.command("verify")
def verify_trail(context: typer.Context, *, as_json: Json = False) -> None:
    """Verify every chain of the ledger, and that it holds what was anchored in the file that `audit.anchor` names."""
    file = load_settings(context.obj).audit.anchor.file
    anchored = _anchored(file) if file else []
    with opened_ledger(context) as ledger:
        lines = (f"{line}\n".encode() for line in export(ledger, jsonl, clock(), tenant=None, since=None, until=None))
        found = verifier.verify(lines, anchored or None)
        if file and not anchored and is_due(ledger, clock()):
            found.wrong.append(
                f"{file} holds no anchor, and one was due: somebody may have removed them. Bring the file back from a"
                " backup, and verify again; where none was ever written, `connector audit anchor` begins"
            )
        elif file and not anchored:
            found.verified.append(f"{file} holds no anchor yet: nothing has happened of which one was due")
    rows = [{"verdict": "WRONG", "what": each} for each in found.wrong]
    rows += [{"verdict": "verified", "what": each} for each in found.verified]
    report.tell_rows("Audit trail", rows, as_json=as_json)
    raise typer.Exit(Exit.HELD if found.wrong else Exit.DONE)


def _anchored(path: Path) -> list[str]:
    """The lines of the file; none where it is not there. What is no text in it is no anchor, as it is told then."""
    with told():
        try:
            return path.read_text(encoding="utf-8", errors="replace").splitlines()
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
    report.tell({"anchored": anchored}, f"Written down: where {counted(anchored, 'chain')} ended.", as_json=as_json)


@audit_app.command()
def specification() -> None:
    """What stands in an export, and how to verify it: print it, and give it to whoever does."""
    typer.echo(files("connector.audit").joinpath("SPECIFICATION.md").read_text(encoding="utf-8"), nl=False)


@audit_app.command()
def subject(
    context: typer.Context, person: _Person, tenant: _Tenant = None, *, reason: _Reason, as_json: Json = False
) -> None:
    """All that is known of a person: mailboxes, files, links, events. It is written down who asked."""
    with configured(context) as (whole, ledger), told():
        require(reason)
        found: list[Known] = []
        for each in _tenants(whole, tenant):
            # Before anything is told: who looks and is cut off has looked.
            ledger.note(each.name, Event.PERSON_LOOKED_UP, clock(), who=person, by=user(), reason=reason)
            book = each.book()
            found.append(look(person, each.name, ledger, book.of_person(each.name, person) if book else ()))
    if as_json:
        report.tell([{**asdict(each), "not_known": NOT_KNOWN} for each in found], "", as_json=True)
        return
    for known in found:
        for part in ("mailboxes", "files", "links", "events"):
            report.tell_rows(f"{known.tenant}: {part}", getattr(known, part), as_json=False)
    for sentence in NOT_KNOWN:
        typer.echo(sentence)


@audit_app.command()
def erase(
    context: typer.Context,
    person: _Person,
    tenant: _Tenant = None,
    *,
    reason: _Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would become of what.")] = False,
    as_json: Json = False,
) -> None:
    """Let all end that is kept of a person, and then forget who it was. The daemon does it; repeated, it tells how far.

    Messages get a tombstone first, then links end, then files go, all under the brakes of the sweep.
    """
    with configured(context) as (whole, ledger), told():
        require(reason)
        rows, waiting = [], 0
        meant = _tenants(whole, tenant)
        for each in meant:
            each.look_up()
        for each in meant:
            sources = sources_of(person, ledger, each.name)
            if not dry_run:
                ledger.note(each.name, Event.ERASURE_WANTED, clock(), who=person, by=user(), reason=reason)
                want(sources, ledger, clock())
                if not sources:
                    if publisher := each.publisher():
                        publisher.forget((), person)
                    ledger.forget_name(each.name, person)
            on_hold = [one.name for one in sources if each.config.on_hold(one.address)]
            known = {mailbox.source.address.lower() for mailbox in each.mailboxes}
            configured_ones = [one.name for one in sources if one.address.lower() in known]
            rows += left(sources, ledger, on_hold, configured_ones)
            waiting += len(sources)
    if as_json:
        report.tell({"left": [asdict(each) for each in rows], "stays": STAYS, "sources": waiting}, "", as_json=True)
    else:
        report.tell_rows("Still there", [asdict(each) for each in rows], as_json=False)
        for sentence in STAYS:
            typer.echo(sentence)
    raise typer.Exit(Exit.HELD if any(each.what.startswith("stays") for each in rows) else Exit.DONE)


def _tenants(whole: "Config", wanted: str | None) -> "tuple[Tenant, ...]":
    from connector.daemon.tenants import tenants  # noqa: PLC0415 - all adapters and their libraries

    found = tuple(each for each in tenants(whole) if wanted in (None, each.name))
    if not found:
        raise ValueError(f"there is no tenant {wanted}")
    return found
