"""The audit trail as lines: JSON that can be verified (SPECIFICATION.md), or ArcSight's CEF for a SIEM."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from connector import __version__
from connector.ledger import Chain, Event, Ledger
from connector.log.events import Event as Known
from connector.sql import utc_text

#: ArcSight counts from 0 to 10.
_SEVERITIES = {"audit": 2, "info": 3, "warning": 6, "error": 8}
#: What somebody has to see at once: a link that another one opened, or a person was looked into, is not it.
_ALARMS = {Known.MARKER_FORGED: 8, Known.GENERATION_FOREIGN: 9, Known.MANIFEST_REFUSED: 9, Known.LINK_CORRUPT: 9}
_UNSAFE = re.compile(r"[\\|]")
_UNSAFE_VALUE = re.compile(r"[\\=]")

Form = Callable[[Ledger, Chain, int, int, datetime], Iterator[str]]


def export(
    ledger: Ledger, form: Form, now: datetime, *, tenant: str | None, since: datetime | None, until: datetime | None
) -> Iterator[str]:
    """The lines of all chains, or of one, as they are now; from one time until another, where somebody says so.

    Raises ValueError where the ledger has no chain of this tenant.
    """
    chains = [each for each in ledger.chains() if tenant in (None, each.tenant)]
    if tenant and not chains:
        raise ValueError(f"the ledger knows no tenant {tenant}")
    for chain in chains:
        first, last = chain.cut + 1, chain.length
        if since or until:
            first, last = ledger.numbers(chain.tenant, since, until)
        yield from form(ledger, chain, first, min(last, chain.length), now)


def jsonl(ledger: Ledger, chain: Chain, first: int, last: int, now: datetime) -> Iterator[str]:
    """What SPECIFICATION.md says: the head of the chain, and its events."""
    events = ledger.events(tenant=chain.tenant, first=first, last=last)
    begin = next(events, None)
    if begin is None:
        # Nothing happened then: the part is empty, and stands at its end.
        first, last = chain.length + 1, chain.length
    yield _line(
        {
            "begins": _place(first - 1, begin.previous if begin else chain.head),
            "cut": _place(chain.cut, chain.cut_hash),
            "ends": _place(last, _hash_of(ledger, chain, last)),
            "exported": utc_text(now),
            "format": 1,
            "software": f"connector {__version__}",
            "tenant": chain.tenant,
        }
    )
    for event in (begin, *events) if begin else ():
        yield _line({name: getattr(event, name) for name in Event.__slots__} | {"at": utc_text(event.at)})


def cef(ledger: Ledger, chain: Chain, first: int, last: int, _now: datetime) -> Iterator[str]:
    """One line of CEF for each event, without a syslog header."""
    for event in ledger.events(tenant=chain.tenant, first=first, last=last):
        yield _cef(event)


def _place(number: int, digest: str) -> dict[str, Any]:
    return {"number": number, "hash": digest if number else ""}


def _hash_of(ledger: Ledger, chain: Chain, number: int) -> str:
    if number == chain.length:
        return chain.head
    return next((each.hash for each in ledger.events(tenant=chain.tenant, first=number, last=number)), chain.cut_hash)


def _line(said: dict[str, Any]) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _cef(event: Event) -> str:
    known = next((each for each in Known if each == event.name), None)
    meaning = known.meaning if known else event.name
    severity = (_ALARMS.get(known) or _SEVERITIES[known.severity]) if known else _SEVERITIES["info"]
    detail = _line(dict(event.detail))
    said = {
        "rt": str(int(event.at.timestamp() * 1000)),
        "externalId": str(event.number),
        "dvchost": socket.gethostname(),
        "suser": str(event.detail.get("by", "")),
        "duser": event.source,
        "reason": str(event.detail.get("reason", "")),
        "msg": detail,
        "cs1Label": "tenant",
        "cs1": event.tenant,
        "cs2Label": "redirect",
        "cs2": event.redirect_id,
        "cs3Label": "hash",
        "cs3": event.hash,
        "cs4Label": "previous",
        "cs4": event.previous,
    }
    head = "|".join(map(_in_head, ("connector", "connector", __version__, event.name, meaning, str(severity))))
    return f"CEF:0|{head}|" + " ".join(f"{name}={_in_value(value)}" for name, value in said.items() if value)


def _in_head(said: str) -> str:
    # A header is one line, and knows no escape for its end.
    return _UNSAFE.sub(r"\\\g<0>", " ".join(said.split()))


def _in_value(said: str) -> str:
    return _UNSAFE_VALUE.sub(r"\\\g<0>", said).replace("\r", r"\r").replace("\n", r"\n")
