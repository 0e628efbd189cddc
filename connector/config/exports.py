"""Lists that an administrator exports: the groups that mailboxes are in, Exchange's holds on them, their databases."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from connector.config.csvfile import lines
from connector.policy import Hold
from connector.policy.values import fold

#: The names that Exchange gives its columns, folded.
_MAILBOX, _LITIGATION, _IN_PLACE, _RETENTION, _DATABASE = (
    "primarysmtpaddress", "litigationholdenabled", "inplaceholds", "retentionholdenabled", "database",
)  # fmt: skip
_TRUTHS = {"true": True, "false": False, "": False}
#: How to write down several holds: left to itself, PowerShell writes the name of a type in their place.
EXPORT = (
    "Get-Mailbox -ResultSize Unlimited | Select-Object PrimarySmtpAddress,LitigationHoldEnabled,RetentionHoldEnabled,"
    "@{n='InPlaceHolds';e={$_.InPlaceHolds -join ' '}} | Export-Csv -NoTypeInformation -Encoding UTF8"
)


def memberships(value: object) -> Mapping[str, frozenset[str]]:
    """The groups of each mailbox, from the file of this name, all folded. Raises ValueError with the line."""
    path = _named(value)
    groups: dict[str, set[str]] = {}
    for number, row in _rows(path, "mailbox", "group"):
        if "@" not in row["mailbox"] or not row["group"]:
            raise ValueError(f"{path}, line {number}: give the address of a mailbox, and the name of a group")
        groups.setdefault(fold(row["mailbox"]), set()).add(fold(row["group"]))
    return {mailbox: frozenset(names) for mailbox, names in groups.items()}


def holds(value: object) -> Mapping[str, frozenset[Hold]]:
    """The holds on each mailbox, from the file of this name that Exchange wrote. Raises ValueError with the line."""
    path = _named(value)
    found: dict[str, frozenset[Hold]] = {}
    for number, row in _rows(path, _MAILBOX, _LITIGATION, _IN_PLACE, _RETENTION):
        try:
            litigation, retention = _TRUTHS[fold(row[_LITIGATION])], _TRUTHS[fold(row[_RETENTION])]
        except KeyError:
            raise ValueError(f"{path}, line {number}: a hold is enabled, True, or not, False") from None
        if row[_IN_PLACE].startswith(("System.", "Microsoft.")):
            raise ValueError(f"{path}, line {number}: InPlaceHolds are not written out; export them by `{EXPORT}`")
        stands = {Hold.LITIGATION: litigation or row[_IN_PLACE] not in ("", "{}"), Hold.RETENTION: retention}
        found[fold(row[_MAILBOX])] = frozenset(hold for hold, enabled in stands.items() if enabled)
    return found


def databases(path: Path) -> Mapping[str, str]:
    """The database of each mailbox, by its address, from what Exchange exports. Raises ValueError with the line."""
    return {fold(row[_MAILBOX]): row[_DATABASE] for _, row in _rows(path, _MAILBOX, _DATABASE)}


def _named(value: object) -> Path:
    if not isinstance(value, str):  # Written out here, addresses would not be folded, and nobody would be found.
        raise ValueError("name a CSV file: the list has no place here itself")
    return Path(value)


def _rows(path: Path, *columns: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each line below the names of the columns, with its number. Raises ValueError where the file is another one."""
    numbered = lines(path, _delimiter(path))
    names = [fold(each) for each in next(numbered)[1]]
    if missing := [each for each in columns if each not in names]:
        raise ValueError(f"{path}, line 1: the columns {', '.join(missing)} are missing")
    for number, line in numbered:
        if len(line) != len(names):
            raise ValueError(f"{path}, line {number}: has {len(line)} columns instead of {len(names)}")
        yield number, dict(zip(names, line, strict=True))


def _delimiter(path: Path) -> str:
    """A German Windows puts semicolons."""
    names = next(lines(path, ";"))[1]
    return ";" if len(names) > 1 else ","


Memberships = Annotated[Mapping[str, frozenset[str]], BeforeValidator(memberships, json_schema_input_type=str)]
Holds = Annotated[Mapping[str, frozenset[Hold]], BeforeValidator(holds, json_schema_input_type=str)]
