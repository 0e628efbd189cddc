"""Statements of every step, compiled once.

SQLAlchemy takes several times as long over a statement as the database takes to carry it out: for each execution it
looks up the words, and finds out anew how every value lies in its column. Both are asked of it once here; then the
driver gets words and values as they are. What is rare, or put together by conditions, is left to SQLAlchemy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.types import TypeEngine

from connector import sql

_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Words:
    """A statement for one kind of database."""

    text: str
    #: What never changes, as it lies in the database.
    fixed: Mapping[str, Any]
    #: What converts parameters, by their names; and results, by their columns.
    going: Sequence[tuple[str, _Convert]]
    coming: Sequence[_Convert]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """As the driver takes them."""
        return {**self.fixed, **{name: convert(given[name]) for name, convert in self.going}}


class Prepared:
    """One statement, whose values have the names of its parameters. Raises DBAPIError, as SQLAlchemy does."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete, sets: Iterable[str] = ()) -> None:
        """`sets` names the columns that an update sets to values; an insert without it has all of the table."""
        self._statement = statement
        self._sets = list(sets) or None
        self._words: dict[str, _Words] = {}

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """All that it finds."""
        words = self._for(connection.dialect)
        found = sql.driven(connection, words.text, words.values(values)).fetchall()
        return [tuple([convert(value) for convert, value in zip(words.coming, row, strict=True)]) for row in found]

    def run(self, connection: Connection, *each: Mapping[str, Any]) -> int:
        """Carry it out with each of these; how many rows the last one changed."""
        words, changed = self._for(connection.dialect), 0
        for values in each:
            changed = sql.driven(connection, words.text, words.values(values)).rowcount
        return changed

    def _for(self, dialect: Dialect) -> _Words:
        if dialect.name not in self._words:
            self._words[dialect.name] = self._put(dialect)
        return self._words[dialect.name]

    def _put(self, dialect: Dialect) -> _Words:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._sets)
        converts = {name: _going(bind.type, dialect) for name, bind in compiled.binds.items()}
        return _Words(
            text=compiled.string,
            fixed={name: converts[name](bind.value) for name, bind in compiled.binds.items() if not bind.required},
            going=[(name, converts[name]) for name, bind in compiled.binds.items() if bind.required],
            coming=[_coming(each.type, dialect) for each in self._statement.exported_columns],
        )


def _going(of: TypeEngine[Any], dialect: Dialect) -> _Convert:
    return of.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _coming(of: TypeEngine[Any], dialect: Dialect) -> _Convert:
    return of.dialect_impl(dialect).result_processor(dialect, None) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
