"""Whoever imports this has all databases in SQLite share what SQLAlchemy compiled for the first.

It compiles statements anew for each engine: that takes longer than all else that most ledgers of tests are there for.
"""

from typing import Any

from sqlalchemy import URL, Engine, create_engine

from connector import sql

_FIRST = create_engine("sqlite://", paramstyle="named")
# Its dialect learns from its first connection what this SQLite can do.
_FIRST.connect().close()


def _create_engine(url: URL, **options: Any) -> Engine:
    made = create_engine(url, **options)
    if made.dialect.name == _FIRST.dialect.name:
        # What is compiled is kept by its dialect.
        made.dialect, made._compiled_cache = _FIRST.dialect, _FIRST._compiled_cache
    return made


sql.create_engine = _create_engine  # type: ignore[assignment, attr-defined]
