"""What the commands answer, for scripts as JSON, and for people as tables and sentences."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import MAXYEAR, UTC, datetime
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.decisions import Recalled
from connector.ledger import Ledger
from connector.model import ACTIVE, Redirect, State
from connector.names import plain
from connector.turn import edits, strangers, unproved, unread

Row = Mapping[str, Any]

_GOING_BACK = frozenset({State.RECALLED, State.RETURNED})
#: Columns of a table that goes into a file or a mail.
_WIDE = 200


# --- what is so ---------------------------------------------------------------------------------------------------


def summary(ledger: Ledger, now: datetime) -> Mapping[str, list[Row]]:
    """How far each mailbox is, and what is left alone for now, and why."""
    watched = ledger.watched()
    people = {
        name: f"{each.tenant}/{each.address}"
        for each in watched
        for name in (each.name, unproved(each.name), unread(each.name), edits(each.name), strangers(each.name))
    }
    paused: list[Row] = [
        {"paused": people.get(each.name, each.name), "until": each.until, "error": each.error, "reason": each.reason}
        for each in ledger.pauses(now)
    ]
    return {"mailboxes": _mailboxes(ledger), "paused": paused}


def _mailboxes(ledger: Ledger) -> list[Row]:
    counts = ledger.counts()
    return [
        {
            "tenant": each.tenant,
            "mailbox": each.address,
            "redirected": counts.get((each.name, State.DONE), 0),
            "under_way": sum(counts.get((each.name, state), 0) for state in ACTIVE - _GOING_BACK),
            "held": counts.get((each.name, State.HELD), 0),
            "dropped": counts.get((each.name, State.DROPPED), 0),
            "going_back": sum(counts.get((each.name, state), 0) for state in _GOING_BACK),
            "restored": counts.get((each.name, State.RESTORED), 0),
            "next": ledger.next_due(each.name),
            "since": each.begins(),
        }
        for each in ledger.watched()
    ]


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


def tell_summary(summary: Mapping[str, list[Row]], *, as_json: bool) -> None:
    """What `summary` found, with what to do about it."""
    if as_json:
        tell(summary, "", as_json=True)
        return
    tell_rows("Mailboxes", summary["mailboxes"], as_json=False)
    if summary["paused"]:
        tell_rows("Left alone for now", summary["paused"], as_json=False)
    if any(each["held"] for each in summary["mailboxes"]):
        typer.echo("Some redirects are held, and wait for you: `connector held` lists them with their reasons.")
    if summary["mailboxes"]:
        typer.echo(
            "Messages that were received before the time under `since` stay as they are: it is the first contact with "
            "their mailbox, unless `since` in the tenant's sources says otherwise (a date, or everything)."
        )


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
        return Text(f"{value.astimezone(UTC):%Y-%m-%d %H:%MZ}" if value.year < MAXYEAR else "somebody acts")
    # What comes from mail may hold control characters, and is never read as markup.
    return Text("" if value is None else plain(str(value)))


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
