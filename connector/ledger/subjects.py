"""What stands in events for a person: a pseudonym, which this table alone can tell of whom it is.

Who destroys the row has made what was said anonymous, and not touched it: the hash chain still holds.
"""

import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from connector.ledger.prepared import Prepared
from connector.ledger.schema import subjects
from connector.names import ADDRESS

#: No two of them look alike.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH = 10
#: Who acted is evidence, and no pseudonym: an operator answers for what he does.
_EVIDENCE = frozenset({"by"})
#: Whose login it was; of a link that needs none, the beginning of the hash of its token, which is nobody's name.
_LOGIN, _TOKEN = "who", re.compile(r"[0-9a-f]{16}|")


def pseudonym(connection: Connection, tenant: str, name: str) -> str:
    """What stands for this name, made where there is none yet. The caller has the tenant's chain locked."""
    known = find(connection, tenant, name)
    if known is None:
        known = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        connection.execute(insert(subjects).values(tenant=tenant, name=name.lower(), pseudonym=known))
    return known


def find(connection: Connection, tenant: str, name: str) -> str | None:
    """What stands for this name; None where nothing was said under it, or nobody is to know any more."""
    return next((str(found) for (found,) in _FIND.rows(connection, of=tenant, called=name.lower())), None)


def forget(connection: Connection, tenant: str, names: Collection[str]) -> None:
    """Nobody can tell any more what was said of these."""
    c = subjects.c
    connection.execute(delete(subjects).where(c.tenant == tenant, c.name.in_([name.lower() for name in names])))


class Disguise:
    """Puts pseudonyms in the place of people, in what one tenant's events say. The caller has its chain locked."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection, self._tenant = connection, tenant
        #: What was used, by the name that it stands for.
        self.used: dict[str, str] = {}

    def of(self, name: str) -> str:
        """What stands for this name; nothing for nothing."""
        if name and name not in self.used:
            self.used[name] = pseudonym(self._connection, self._tenant, name)
        return self.used.get(name, "")

    def detail(self, detail: Mapping[str, Any], source: str) -> dict[str, Any]:
        """The same without addresses, logins and the name of its source."""
        return {name: self._value(name, value, source) for name, value in detail.items()}

    def _value(self, name: str, value: Any, source: str) -> Any:
        if name in _EVIDENCE:
            return value
        if isinstance(value, list):
            return [self._value(name, each, source) for each in value]
        if isinstance(value, dict):
            return self.detail(value, source)
        if not isinstance(value, str):
            return value
        if name == _LOGIN and not _TOKEN.fullmatch(value):
            return self.of(value)
        if source and source in value:
            value = value.replace(source, self.of(source))
        return ADDRESS.sub(lambda found: self.of(found[0]), value) if "@" in value else value


_FIND = Prepared(
    select(subjects.c.pseudonym).where(subjects.c.tenant == bindparam("of"), subjects.c.name == bindparam("called"))
)
