"""Redirects as rows of two tables, and back, without loss."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from connector.ledger.errors import Stale, Taken
from connector.ledger.schema import files, redirects
from connector.model import File, Link, LinkTerms, Redirect, RedirectedFile, State, Stored

_OF_REDIRECT = [each.name for each in fields(Redirect) if each.name not in {"files", "original"}]
_OF_FILE = [each.name for each in fields(File) if each.name != "id"]
_OF_STORED = [each.name for each in fields(Stored)]


def read(
    connection: Connection,
    *conditions: ColumnElement[bool],
    order: Column[Any] = redirects.c.created,
    limit: int | None = None,
) -> tuple[Redirect, ...]:
    """The redirects that meet these conditions, with their files, in one statement: nobody writes in between."""
    wanted = select(redirects.c.id).where(*conditions).order_by(order, redirects.c.id).limit(limit)
    query = (
        select(redirects, files)
        .outerjoin(files, files.c.redirect_id == redirects.c.id)
        .where(redirects.c.id.in_(wanted))
        .order_by(order, redirects.c.id, files.c.position)
    )
    rows = connection.execute(query).mappings()
    return tuple(_redirect(list(group)) for _, group in groupby(rows, key=lambda row: row[redirects.c.id]))


def add(connection: Connection, redirect: Redirect, now: datetime) -> None:
    """Insert a redirect. Raises Taken."""
    connection.execute(insert(redirects).values(_values(redirect, now)))
    _add_files(connection, redirect)


def change(connection: Connection, redirect: Redirect, now: datetime) -> Redirect:
    """Write a redirect over the revision that was read, and return the next one. Raises Stale, Taken."""
    written = replace(redirect, revision=redirect.revision + 1)
    as_read = (redirects.c.id == redirect.id) & (redirects.c.revision == redirect.revision)
    if not connection.execute(update(redirects).where(as_read).values(_values(written, now))).rowcount:
        raise Stale(f"redirect {redirect.id} was written by somebody else")
    _change_files(connection, written)
    return written


def concerns(planned: Redirect) -> ColumnElement[bool]:
    """Of the planned redirect's item; or of its message, where a human dropped that one: it may have been moved."""
    c = redirects.c
    # The source stands in both, or SQLite would read all redirects of the source for each item.
    same_item = (c.source == planned.source) & (c.item_id == planned.item_id)
    key = message_key(planned.internet_message_id)
    if key is None:
        return same_item
    return same_item | ((c.source == planned.source) & (c.message_key == key) & (c.ended_by != ""))


def message_key(internet_message_id: str) -> str | None:
    """What finds a message by its Message-ID, however long that is; None where it has none."""
    if not internet_message_id:
        return None
    return hashlib.sha256(internet_message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _change_files(connection: Connection, redirect: Redirect) -> None:
    """Only the rows that differ are written: a message of a thousand files is written once for each of them."""
    ours = files.c.redirect_id == redirect.id
    known = {row["position"]: dict(row) for row in connection.execute(select(files).where(ours)).mappings()}
    wanted = {values["position"]: values for values in _file_values(redirect)}
    stale = [position for position, values in known.items() if wanted.get(position) != values]
    if stale:
        # All of them go first: two files may have changed places, and their key is unique.
        row = ours & (files.c.position == bindparam("stale"))
        connection.execute(delete(files).where(row), [{"stale": position} for position in stale])
    _insert_files(connection, redirect, [values for key, values in wanted.items() if known.get(key) != values])


def _add_files(connection: Connection, redirect: Redirect) -> None:
    _insert_files(connection, redirect, list(_file_values(redirect)))


def _insert_files(connection: Connection, redirect: Redirect, values: list[dict[str, Any]]) -> None:
    if not values:
        return
    try:
        connection.execute(insert(files), values)
    except IntegrityError as error:
        raise Taken(f"a file of redirect {redirect.id} belongs to another redirect already") from error


def _values(redirect: Redirect, now: datetime) -> dict[str, Any]:
    values = {name: getattr(redirect, name) for name in _OF_REDIRECT}
    values |= _stored_values("original", redirect.original)
    values |= {"message_key": message_key(redirect.internet_message_id), "written": now}
    # Alive again: its files may be in the store again, and a later sweep must see them.
    return values if redirect.state is State.DROPPED else values | {"swept": None}


def _file_values(redirect: Redirect) -> Iterator[dict[str, Any]]:
    for position, each in enumerate(redirect.files):
        yield {
            "redirect_id": redirect.id,
            "position": position,
            "source": redirect.source,
            "item_id": None if each.gone else redirect.item_id,
            "file_id": each.file.id,
            **{name: getattr(each.file, name) for name in _OF_FILE},
            "path": each.path,
            "action": each.action,
            "rule": each.rule,
            "terms_audience": each.terms.audience,
            "terms_expires": each.terms.expires,
            **_stored_values("stored", each.stored),
            "link_url": each.link and each.link.url,
            "link_expires": each.link and each.link.expires,
            "gone": each.gone,
        }


def _redirect(rows: list[Mapping[Any, Any]]) -> Redirect:
    of = {column.name: rows[0][column] for column in redirects.c}
    return Redirect(
        files=tuple(_file(row) for row in rows if row[files.c.position] is not None),
        original=_stored("original", of),
        **{name: of[name] for name in _OF_REDIRECT},
    )


def _file(row: Mapping[Any, Any]) -> RedirectedFile:
    of = {column.name: row[column] for column in files.c}
    return RedirectedFile(
        file=File(id=of["file_id"], **{name: of[name] for name in _OF_FILE}),
        path=of["path"],
        action=of["action"],
        rule=of["rule"],
        terms=LinkTerms(of["terms_audience"], of["terms_expires"]),
        stored=_stored("stored", of),
        link=None if of["link_url"] is None else Link(of["link_url"], of["link_expires"]),
        gone=of["gone"],
    )


def _stored_values(prefix: str, stored: Stored | None) -> dict[str, Any]:
    return {f"{prefix}_{name}": getattr(stored, name, None) for name in _OF_STORED}


def _stored(prefix: str, of: Mapping[str, Any]) -> Stored | None:
    if of[f"{prefix}_path"] is None:
        return None
    return Stored(**{name: of[f"{prefix}_{name}"] for name in _OF_STORED})
