"""The account of a redirect: one line of the log when it ends, with all that is asked about it afterwards.

What happened on the way stands in the ledger; whoever watches the log has this line for each redirect, and nothing
else of one that went well.
"""

from datetime import datetime
from typing import Any

from connector.ledger import Ledger
from connector.log import Event, tell
from connector.model import Redirect
from connector.watching import counters

#: Nothing happens to it any more, unless somebody wants it.
ENDS = frozenset(
    {
        Event.REDIRECT_DONE,
        Event.REDIRECT_HELD,
        Event.REDIRECT_DROPPED,
        Event.REDIRECT_RESTORED,
        Event.REDIRECT_ERASED,
    }
)
_AGAIN: set[str] = {Event.REDIRECT_DEFERRED, Event.REDIRECT_RETURNED}
#: What is told of the way there: how many seconds after the arrival of the message.
_AFTER: dict[str, str] = {
    Event.REDIRECT_STORED: "stored_after",
    Event.REDIRECT_LINKED: "linked_after",
    Event.REDIRECT_REWRITTEN: "shown_after",
}


def give_account(redirect: Redirect, event: Event, ledger: Ledger, now: datetime, tenant: str, *, named: bool) -> None:
    """Tell the end of a redirect, and count it. `named`: with the names of its files, as its tenant wants."""
    size = sum(each.stored.size if each.stored else each.file.size for each in redirect.live)
    result = event.rpartition(".")[2]
    counters.ENDED.labels(tenant, result).inc()
    if event is Event.REDIRECT_DONE:
        counters.FILES.labels(tenant).inc(len(redirect.live))
        counters.BYTES.labels(tenant).inc(size)
    detail: dict[str, Any] = {
        "tenant": tenant,
        "source": redirect.source,
        "redirect": redirect.id,
        "result": result,
        "rules": sorted({each.rule for each in redirect.files}),
        "files": len(redirect.live),
        "bytes": size,
    }
    if redirect.reason:
        detail["reason"] = redirect.reason
    if named:
        detail["files_by_name"] = [each.file.name for each in redirect.live]
    tell(event, **detail, **_course(redirect, ledger, now))


def _course(redirect: Redirect, ledger: Ledger, now: datetime) -> dict[str, Any]:
    """The policy that wanted it, how often a step had to be taken again, and when it came how far."""
    begun = redirect.received or redirect.created
    told: dict[str, Any] = {"attempts": 1, "counted_from": "arrival" if redirect.received else "plan"}
    for each in ledger.history(redirect.id):
        if "policy" in each.detail:
            told["policy"] = each.detail["policy"]
        if each.name in _AGAIN:
            told["attempts"] += 1
        if each.name in _AFTER:
            told[_AFTER[each.name]] = _seconds(begun, each.at)
    return told | {"ended_after": _seconds(begun, now)}


def _seconds(begun: datetime, at: datetime) -> float:
    return round((at - begun).total_seconds(), 1)
