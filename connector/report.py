"""What the commands answer, for scripts as JSON, and for people as tables and sentences."""

import errno
import json
import os
import textwrap
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

from connector.amounts import about, counted
from connector.flow.decisions import Recalled
from connector.model import Redirect
from connector.names import plain
from connector.watching.status import Status

Row = Mapping[str, Any]

#: Columns of a table that goes into a file or a mail.
_WIDE = 200
#: What is no longer than this is not broken into lines, and a sentence gets as much at least.
_PHRASE = 24
#: Between two columns, and before the first.
_GAP = 2
#: `since: everything`, as the ledger keeps it.
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


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


class _Terminal(Console):
    """Where tables go."""

    def on_broken_pipe(self) -> None:
        """Nobody reads on (`| head -1`): what the command ends with is for others to say; rich would say 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def tell(value: object, sentence: str, *, as_json: bool) -> None:
    """One line: JSON for a script, or a sentence."""
    typer.echo(json.dumps(value, default=_as_json) if as_json else sentence)


def tell_rows(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """A list of JSON; or a table of the columns in which something stands, or, where it is too narrow, blocks."""
    if as_json or not rows:
        tell(rows, f"{title}: none.", as_json=as_json)
        return
    columns = {_heading(name): [_cell(name, row[name]) for row in rows] for name in rows[0]}
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    terminal = _Terminal()
    console = terminal if terminal.is_terminal else _Terminal(width=_WIDE)
    widths = _widths(columns, console.width)
    if widths:
        _print_table(title, columns, widths, console)
    else:
        _print_blocks(title, columns, console.width)


def _heading(name: str) -> str:
    return name.replace("bytes", "size").replace("_", " ")


def _widths(columns: Mapping[str, Sequence[str]], room: int) -> list[int]:
    """How wide each column is, so that only sentences are broken, and only between words; [] where that cannot be."""
    wished = [max(map(len, (name, *cells))) for name, cells in columns.items()]
    widths = [max(map(_narrowest, (name, *cells))) for name, cells in columns.items()]
    left = room - _GAP * len(columns) - sum(widths)
    if left < 0:
        return []
    wanting = sorted(range(len(widths)), key=lambda each: wished[each] - widths[each])
    for done, column in enumerate(wanting):
        more = min(wished[column] - widths[column], left // (len(wanting) - done))
        widths[column] += more
        left -= more
    return widths


def _narrowest(cell: str) -> int:
    return len(cell) if len(cell) <= _PHRASE else max(_PHRASE, *map(len, cell.split()))


def _print_table(title: str, columns: Mapping[str, Sequence[str]], widths: Sequence[int], console: Console) -> None:
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
    )
    for name, width in zip(columns, widths, strict=True):
        table.add_column(name, width=width)
    for cells in zip(*columns.values(), strict=True):
        # What comes from mail is never read as markup.
        table.add_row(*map(Text, cells))
    console.print(table)
    console.print()


def _print_blocks(title: str, columns: Mapping[str, Sequence[str]], room: int) -> None:
    """A line for each field that has something; what has no blank in it stays whole, so that it can be copied."""
    typer.echo(title)
    names = max(map(len, columns)) + _GAP
    for cells in zip(*columns.values(), strict=True):
        for name, cell in zip(columns, cells, strict=True):
            if cell:
                begin = f"  {name:<{names}}"
                typer.echo(
                    textwrap.fill(
                        cell,
                        max(room, names + _PHRASE),
                        initial_indent=begin,
                        subsequent_indent=" " * len(begin),
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
        typer.echo()


def tell_status(status: Status, *, as_json: bool) -> None:
    """How everything is, with what to do about it."""
    if as_json:
        typer.echo(status.model_dump_json())
        return
    typer.echo(_of_daemon(status))
    typer.echo(_of_all(status))
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


def _of_all(status: Status) -> str:
    redirected, under_way, held = (
        sum(getattr(each, name) for each in status.mailboxes) for name in ("redirected", "under_way", "held")
    )
    sources = counted(len(status.mailboxes), "source")
    return f"{sources}: {redirected} redirected, {under_way} under way, {held} held."


def _rows(told: Sequence[BaseModel]) -> list[Row]:
    return [each.model_dump() for each in told]


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def tell_recalled(recalled: Recalled, *, as_json: bool) -> None:
    """What is to go back into messages, and how long that takes."""
    sentence = (
        f"To go back: {counted(recalled.files, 'file')} ({about(recalled.bytes)}) into "
        f"{counted(recalled.messages, 'message')}; the turn of the last one comes at {_moment(recalled.ready)}. "
        "Links leave a minute after the files are back. `connector status` tells how far it is."
    )
    tell(asdict(recalled), sentence if recalled.messages else "Nothing is to go back.", as_json=as_json)


def _cell(name: str, value: object) -> str:
    """A value in words."""
    match value:
        case None:
            told = ""
        case bool():
            told = "yes" if value else "no"
        case int() if name == "size" or name.endswith("bytes"):
            told = about(value)
        case datetime():
            told = "somebody acts" if value.year == MAXYEAR else "everything" if value == _BEGINNING else _moment(value)
        case Mapping():
            told = "; ".join(f"{_heading(key)}: {_cell(key, each)}" for key, each in value.items())
        case list() | tuple():
            told = ", ".join(_cell(name, each) for each in value)
        case _:
            # What comes from mail may hold control characters.
            told = plain(str(value))
    return told


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
