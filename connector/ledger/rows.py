"""Redirects as rows of two tables, and back, without loss."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import cache
from itertools import groupby, zip_longest
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from connector.ledger.errors import Stale, Taken
from connector.ledger.prepared import Prepared
from connector.ledger.schema import files, redirects, sources
from connector.model import Audience, Copy, File, Link, LinkTerms, Redirect, RedirectedFile, State, Stored

#: So many redirects are let go at a time, which is as many values as a statement may have.
_AT_ONCE = 10_000
_OF_REDIRECT = [each.name for each in fields(Redirect) if each.name not in {"files", "original", "copy"}]
_TOLD = attrgetter(*_OF_REDIRECT)
_OF_COPY = [each.name for each in fields(Copy)]
_OF_FILE = [each.name for each in fields(File) if each.name != "id"]
_OF_STORED = [each.name for each in fields(Stored)]
#: The columns, in their order.
_REDIRECT = [each.name for each in redirects.c]
_FILE = [each.name for each in files.c]
#: No two rows of files are alike in all of these.
_KEY = frozenset({"item_id", "file_id", "version"})


def read(
    connection: Connection,
    *conditions: ColumnElement[bool],
    order: ColumnElement[Any] = redirects.c.created,
    limit: int | None = None,
) -> tuple[Redirect, ...]:
    """The redirects that meet these conditions, with their files, in one statement: nobody writes in between."""
    return _redirects(connection.execute(_query(*conditions, order=order, limit=limit)))


def one(connection: Connection, redirect_id: str) -> Redirect | None:
    """The redirect of this id; None where there is none."""
    return next(iter(_redirects(_ONE.rows(connection, of_redirect=redirect_id))), None)


def concerning(connection: Connection, planned: Redirect) -> tuple[Redirect, ...]:
    """Those of the planned redirect's item; and of its message, where a human dropped it: it may have been moved."""
    key = message_key(planned.internet_message_id)
    source = planned.source
    found = _CONCERNING.rows(
        connection, of_source=source, of_this_source=source, of_item=planned.item_id, of_message=key
    )
    return _redirects(found)


def add(connection: Connection, redirect: Redirect, now: datetime) -> None:
    """Insert a redirect. Raises Taken."""
    _INSERT.run(connection, _values(redirect, now))
    _insert_files(connection, [_file_values(redirect, each) for each in range(len(redirect.files))], redirect.id)


def change(
    connection: Connection, redirect: Redirect, now: datetime, before: Redirect | None = None, *, after: int = 0
) -> Redirect:
    """Write a redirect over the revision that was read, and return the next one. Raises Stale, Taken.

    `before`, where somebody still has it, is how it stands at that revision: it need not be read again.
    """
    if before is None:
        # Where it is missing, or at another revision, the update below finds no row: Stale.
        before = one(connection, redirect.id) or redirect
    written = replace(redirect, revision=max(redirect.revision, after) + 1)
    changed = _changed(before, written) | {"written": now}
    if written.state is not State.DROPPED:
        # Its files may be in the store again, and a later sweep must see them.
        changed["swept"] = None
    as_read = {"as_read_id": redirect.id, "as_read_revision": redirect.revision}
    if not _update(tuple(changed)).run(connection, changed | as_read):
        raise Stale(f"redirect {redirect.id} was written by somebody else")
    _change_files(connection, written, before)
    return written


def _changed(before: Redirect, written: Redirect) -> dict[str, Any]:
    """Only the columns that differ: one that is written, be it with what it holds, costs its indexes."""
    told = zip(_OF_REDIRECT, _TOLD(before), _TOLD(written), strict=True)
    changed = {name: now for name, then, now in told if now != then}
    if written.original != before.original:
        changed |= _stored_values("original", written.original)
    if written.copy != before.copy:
        changed |= _copy_values(written)
    if "internet_message_id" in changed:
        changed["message_key"] = message_key(written.internet_message_id)
    return changed


@cache
def _update(columns: tuple[str, ...]) -> Prepared:
    """What sets these columns of a redirect as it was read."""
    return Prepared(_AS_READ, columns)


@cache
def _update_file(columns: tuple[str, ...]) -> Prepared:
    """What sets these columns of a file."""
    return Prepared(update(files).where(_AT_PLACE), columns)


def take_for_shown(connection: Connection, tenant: str) -> None:
    """Set `was_shown` for all redirects of a tenant. Whoever has read one before cannot write it any more."""
    theirs = select(sources.c.name).where(sources.c.tenant == tenant)
    seen = {"was_shown": True, "revision": redirects.c.revision + 1}
    connection.execute(update(redirects).where(redirects.c.source.in_(theirs)).values(seen))


def let_go(connection: Connection, tenant: str, before: datetime, held: Collection[str]) -> int:
    """Delete the rows of redirects that have ended, and have left nothing; how many."""
    c, f = redirects.c, files.c
    theirs = select(sources.c.name).where(sources.c.tenant == tenant, sources.c.name.not_in(held))
    stored = select(f.redirect_id).where(f.stored_path.is_not(None))
    # What a human ended stays: its message would be redirected again.
    ended = c.state.in_((State.DROPPED, State.ERASED)) & (c.ended_by == "") & c.original_path.is_(None)
    gone = select(c.id).where(c.source.in_(theirs), ended, c.written < before, c.id.not_in(stored))
    # Locked, or somebody might revive one while its files go.
    ids = connection.execute(gone.limit(_AT_ONCE).with_for_update()).scalars().all()
    connection.execute(delete(files).where(f.redirect_id.in_(ids)))
    connection.execute(delete(redirects).where(c.id.in_(ids)))
    return len(ids)


def stored_below(connection: Connection, folder: str, besides: str) -> str:
    """The address of another source of this one's tenant that has files below a folder of the store; "" for none."""
    c, s = redirects.c, sources.c
    others = s.tenant == select(s.tenant).where(s.name == besides).scalar_subquery()
    kept = c.original_path.is_not(None) | files.c.stored_path.is_not(None)
    found = connection.execute(
        select(s.address)
        .join_from(redirects, sources, s.name == c.source)
        .outerjoin(files, files.c.redirect_id == c.id)
        .where(others, s.name != besides, c.folder.startswith(f"{folder}/", autoescape=True), kept)
        .limit(1)
    )
    return str(found.scalars().first() or "")


def message_key(internet_message_id: str) -> str | None:
    """What finds a message by its Message-ID, however long that is; None where it has none."""
    if not internet_message_id:
        return None
    return hashlib.sha256(internet_message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _change_files(connection: Connection, redirect: Redirect, before: Redirect) -> None:
    """Only the rows that differ are written: a message of a thousand files is written once for each of them."""
    gone, new = [], []
    for position in _differing(redirect, before):
        then, now = _file_values(before, position), _file_values(redirect, position)
        changed = {name: value for name, value in now.items() if name not in then or value != then[name]}
        if now and _KEY.isdisjoint(changed):
            # A row of a file that is gone names no item, and stays the same where that was moved.
            if changed:
                _update_file(tuple(changed)).run(connection, changed | _place(redirect, position))
            continue
        gone += [_place(redirect, position)] if then else []
        new += [now] if now else []
    if gone:
        # All of them go first: two files may have changed places, and their key is unique.
        _DELETE_FILE.run(connection, *gone)
    _insert_files(connection, new, redirect.id)


def _differing(redirect: Redirect, before: Redirect) -> Iterator[int]:
    """The positions of files that are not as before."""
    moved = before.item_id != redirect.item_id  # A row names the item too.
    for position, (then, now) in enumerate(zip_longest(before.files, redirect.files)):
        if moved or (then is not now and then != now):
            yield position


def _place(redirect: Redirect, position: int) -> dict[str, Any]:
    return {"of_redirect": redirect.id, "at_position": position}


def _insert_files(connection: Connection, values: list[dict[str, Any]], redirect_id: str) -> None:
    if not values:
        return
    try:
        _INSERT_FILES.run(connection, *values)
    except IntegrityError as error:
        raise Taken(f"a file of redirect {redirect_id} belongs to another redirect already") from error


def _values(redirect: Redirect, now: datetime) -> dict[str, Any]:
    values = dict(zip(_OF_REDIRECT, _TOLD(redirect), strict=True))
    values |= _stored_values("original", redirect.original)
    return values | _copy_values(redirect) | {"message_key": message_key(redirect.internet_message_id), "written": now}


def _copy_values(redirect: Redirect) -> dict[str, Any]:
    return {f"copy_{name}": getattr(redirect.copy, name, None) for name in _OF_COPY}


def _file_values(redirect: Redirect, position: int) -> dict[str, Any]:
    """The row of a file; nothing where there is none."""
    if position >= len(redirect.files):
        return {}
    each = redirect.files[position]
    return {
        "redirect_id": redirect.id,
        "position": position,
        "source": redirect.source,
        "item_id": None if each.gone or each.inside else redirect.item_id,
        "file_id": each.file.id,
        **{name: getattr(each.file, name) for name in _OF_FILE},
        "path": each.path,
        "action": each.action,
        "rule": each.rule,
        "terms_audience": each.terms.audience,
        "terms_expires": each.terms.expires,
        "terms_password": each.terms.password,
        "terms_downloads": each.terms.downloads,
        **_stored_values("stored", each.stored),
        "link_url": each.link and each.link.url,
        "link_expires": each.link and each.link.expires,
        "gone": each.gone,
        "inside": each.inside,
        "tags": each.tags,
    }


def _query(
    *conditions: ColumnElement[bool], order: ColumnElement[Any] = redirects.c.created, limit: int | None = None
) -> Select[Any]:
    wanted = select(redirects.c.id).where(*conditions).order_by(order, redirects.c.id).limit(limit)
    return (
        select(redirects, files)
        .outerjoin(files, files.c.redirect_id == redirects.c.id)
        .where(redirects.c.id.in_(wanted))
        .order_by(order, redirects.c.id, files.c.position)
    )


def _redirects(rows: Iterable[Sequence[Any]]) -> tuple[Redirect, ...]:
    """Rows of `_query`: each has all columns of a redirect, and behind them those of one of its files."""
    return tuple(_redirect(list(group)) for _, group in groupby(rows, key=itemgetter(0)))


def _redirect(rows: Sequence[Sequence[Any]]) -> Redirect:
    of = dict(zip(_REDIRECT, rows[0], strict=False))
    files = (dict(zip(_FILE, row[len(_REDIRECT) :], strict=True)) for row in rows)
    return Redirect(
        files=tuple(_file(each) for each in files if each["position"] is not None),
        original=_stored("original", of),
        copy=None if of["copy_id"] is None else Copy(**{name: of[f"copy_{name}"] for name in _OF_COPY}),
        **{name: of[name] for name in _OF_REDIRECT},
    )


def _file(of: Mapping[str, Any]) -> RedirectedFile:
    return RedirectedFile(
        file=File(id=of["file_id"], **{name: of[name] for name in _OF_FILE}),
        path=of["path"],
        action=of["action"],
        rule=of["rule"],
        terms=LinkTerms(
            Audience(of["terms_audience"]),
            of["terms_expires"],
            password=of["terms_password"],
            downloads=of["terms_downloads"],
        ),
        stored=_stored("stored", of),
        link=None if of["link_url"] is None else Link(of["link_url"], of["link_expires"]),
        gone=of["gone"],
        inside=of["inside"],
        tags=of["tags"],
    )


def _stored_values(prefix: str, stored: Stored | None) -> dict[str, Any]:
    return {f"{prefix}_{name}": getattr(stored, name, None) for name in _OF_STORED}


def _stored(prefix: str, of: Mapping[str, Any]) -> Stored | None:
    if of[f"{prefix}_path"] is None:
        return None
    return Stored(**{name: of[f"{prefix}_{name}"] for name in _OF_STORED})


# Parameters that are no columns are for the conditions.
_INSERT_FILES = Prepared(insert(files))
_AT_PLACE = (files.c.redirect_id == bindparam("of_redirect")) & (files.c.position == bindparam("at_position"))
_DELETE_FILE = Prepared(delete(files).where(_AT_PLACE))
_INSERT = Prepared(insert(redirects), [name for name in _REDIRECT if name not in {"swept", "looked_for"}])
_AS_READ = update(redirects).where(
    redirects.c.id == bindparam("as_read_id"), redirects.c.revision == bindparam("as_read_revision")
)
_ONE = Prepared(_query(redirects.c.id == bindparam("of_redirect")))
_CONCERNING = Prepared(
    _query(
        # The source stands in both, each time as another parameter, or SQLite would read all redirects of the source
        # for each item.
        ((redirects.c.source == bindparam("of_source")) & (redirects.c.item_id == bindparam("of_item")))
        | (
            (redirects.c.source == bindparam("of_this_source"))
            # NULL, where the message has no id, is equal to nothing.
            & (redirects.c.message_key == bindparam("of_message"))
            & (redirects.c.ended_by != "")
        )
    )
)
