"""What the commands answer, for scripts as JSON, and for people as tables and sentences."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import MAXYEAR, UTC, datetime
from typing import Any

import typer
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.flow.decisions import Recalled
from connector.model import Redirect
from connector.names import plain
from connector.watching.status import Status

Row = Mapping[str, Any]

#: Columns of a table that goes into a file or a mail.
_WIDE = 200


# --- what is so ---------------------------------------------------------------------------------------------------


def redirects(found: Iterable[Redirect]) -> list[Row]:
    """Redirects, as an operator looks at them."""
    return [
        {
            "redirect": each.id,
            "source": each.source,
            "message": each.internet_message_id,
            "state": each.state,
            "files": len(each.files),
            "due": each.due,
            "reason": each.reason,
        }
        for each in found
    ]


# --- how it is told -----------------------------------------------------------------------------------------------


def tell(value: object, sentence: str, *, as_json: bool) -> None:
    """One line: JSON for a script, or a sentence."""
    typer.echo(json.dumps(value, default=_as_json) if as_json else sentence)


def tell_rows(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """A list of JSON, or a table."""
    if as_json or not rows:
        tell(rows, "Nothing.", as_json=as_json)
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=_WIDE)).print(table)


def tell_status(status: Status, *, as_json: bool) -> None:
    """How everything is, with what to do about it."""
    if as_json:
        typer.echo(status.model_dump_json())
        return
    typer.echo(_of_daemon(status))
    if status.daemon and status.running:
        at_work = [each for each in status.daemon.tenants if not each.aside]
        tell_rows("At work", [each.model_dump(exclude={"aside"}) for each in at_work], as_json=False)
        for each in status.daemon.tenants:
            if each.aside:
                typer.echo(f"{each.tenant} is not served: {each.aside}")
    tell_rows("Mailboxes", _rows(status.mailboxes), as_json=False)
    for title, rows in (
        ("Left alone for now", status.paused),
        ("Waiting", status.backlog),
        ("Proved about servers", status.proofs),
    ):
        if rows:
            tell_rows(title, _rows(rows), as_json=False)
    if any(each.held for each in status.mailboxes):
        typer.echo("Some redirects are held, and wait for you: `connector held` lists them with their reasons.")
    if status.mailboxes:
        typer.echo(
            "Messages that were received before the time under `since` stay as they are: it is the first contact with "
            "their mailbox, unless `since` in the tenant's sources says otherwise (a date, or everything)."
        )


def _of_daemon(status: Status) -> str:
    if status.daemon is None:
        return f"connector {status.version}; no daemon runs here."
    told = f"connector {status.daemon.version}, process {status.daemon.pid}, since {_moment(status.daemon.since)}"
    return f"{told}." if status.running else f"{told}: it has said nothing since {_moment(status.daemon.at)}."


def _rows(told: Sequence[BaseModel]) -> list[Row]:
    return [each.model_dump() for each in told]


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def tell_recalled(recalled: Recalled, *, as_json: bool) -> None:
    """What is to go back into messages, and how long that takes."""
    sentence = (
        f"{recalled.files} files ({recalled.bytes / 1e6:.1f} MB) are to go back into {recalled.messages} messages; "
        f"the turn of the last one comes at {recalled.ready.astimezone(UTC):%Y-%m-%d %H:%M}Z. "
        "Links leave a minute after the files are back. `connector status` tells how far it is."
    )
    tell(asdict(recalled), sentence if recalled.messages else "Nothing is to go back.", as_json=as_json)


def _cell(value: object) -> Text:
    if isinstance(value, datetime):
        return Text(_moment(value) if value.year < MAXYEAR else "somebody acts")
    # What comes from mail may hold control characters, and is never read as markup.
    return Text("" if value is None else plain(str(value)))


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
