"""What a data protection officer asks for, as Markdown: from the configuration in force and the ledger."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import gethostname
from typing import Any

from connector import __version__
from connector.amounts import said
from connector.audit.anchor import settings_of
from connector.audit.links import ended
from connector.config.loading import ShareConfig, SourceConfig, TenantConfig
from connector.config.settings import Settings
from connector.ledger import Event, Ledger
from connector.log.events import Event as Known
from connector.model import Action, Redirect
from connector.policy import Rule
from connector.templates import templates

Row = Mapping[str, Any]

_TEMPLATES = templates("audit/templates", autoescape=False)
_TEMPLATES.filters["moment"] = lambda at, otherwise="": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else otherwise
#: Conditions for which a message, or a file, is read.
_READS = {
    "subject": "subjects", "body": "bodies", "header": "headers", "true_type": "contents of files",
    "disguised": "contents of files", "encrypted": "contents of files", "macros": "contents of files",
    "infected": "contents of files, by a virus scanner",
}  # fmt: skip
_GRAVE = {"warning", "error"}
#: What somebody did to links or people, and who looks into an incident wants to see beside what is grave.
_TOLD = {
    *(Known.LINK_REVOKED, Known.LINK_RENEWED, Known.LINK_EXTENDED, Known.LINK_TOLD, Known.PERSON_LOOKED_UP),
    *(Known.ERASURE_WANTED, Known.PERSON_ERASED, Known.MESSAGE_EXPLAINED, Known.PLAN_NAMED, Known.AUDIT_TRIMMED),
    *(Known.PROOF_WAIVED, Known.MAILBOX_LEFT),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is made from."""

    tenant: TenantConfig
    settings: Settings
    ledger: Ledger
    now: datetime
    since: datetime | None = None


def ropa(asked: Asked) -> str:
    """The record of processing activities (GDPR, article 30)."""
    return _made("ropa", asked, _processing(asked))


def dpia(asked: Asked) -> str:
    """The facts for a data protection impact assessment (article 35), with what stays with Microsoft."""
    return _made("dpia", asked, _processing(asked))


def exposure(asked: Asked) -> str:
    """Which links open for whom, and who came to them when (articles 33 and 34)."""
    return _made("exposure", asked, {"links": list(_links(asked))})


def incident(asked: Asked) -> str:
    """What happened since a time, with versions, policy and the first grave event (NIS2, article 23)."""
    events = [each for each in asked.ledger.events(tenant=asked.tenant.tenant) if _since(each, asked.since)]
    grave = [each for each in events if _severity(each) in _GRAVE]
    notable = [each for each in events if _severity(each) in _GRAVE or each.name in _TOLD]
    counts: dict[str, int] = {}
    for each in events:
        counts[each.name] = counts.get(each.name, 0) + 1
    return _made(
        "incident",
        asked,
        {
            "first": grave[0] if grave else None,
            "notable": [_told(each) for each in notable],
            "counts": sorted(counts.items()),
            "broken": asked.ledger.broken_link(asked.tenant.tenant),
        },
    )


REPORTS: Mapping[str, Callable[[Asked], str]] = {
    "ropa": ropa,
    "dpia": dpia,
    "exposure": exposure,
    "incident": incident,
}
#: Those that heed since when; what is processed is told as it is now.
OF_A_TIME = frozenset({"exposure", "incident"})


def _made(name: str, asked: Asked, more: Mapping[str, Any]) -> str:
    tenant, chains = asked.tenant, asked.ledger.chains()
    words = {
        "tenant": tenant.tenant,
        "organisation": tenant.notice.organisation or tenant.tenant,
        "house": tenant.house,
        "policy": tenant.policy.fingerprint,
        "mode": tenant.mode,
        "now": asked.now,
        "since": asked.since,
        "version": __version__,
        "host": gethostname(),
        "chain": next((each for each in chains if each.tenant == tenant.tenant), None),
        **more,
    }
    return _TEMPLATES.get_template(f"{name}.md.j2").render(words).strip() + "\n"


def _processing(asked: Asked) -> Mapping[str, Any]:
    tenant, ledger = asked.tenant, asked.ledger
    watched = {each.name for each in ledger.watched() if each.tenant == tenant.tenant}
    states: dict[str, int] = {}
    for (source, state), number in ledger.counts().items():
        if source in watched:
            states[state] = states.get(state, 0) + number
    return {
        # Channels and chats are two sources, and one flow.
        "sources": [*{tuple(row.values()): row for row in map(_source, tenant.sources)}.values()],
        "microsoft": any(each.type in ("graph", "teams") for each in tenant.sources),
        "watched": len(watched),
        "store": {"type": tenant.store.type, "url": tenant.store.url},
        "links": tenant.links.url if tenant.links else None,
        "scanner": tenant.scanner is not None,
        "rules": [_rule(each, tenant) for each in tenant.rules],
        "reads": sorted({_READS[each] for each in tenant.policy.asks if each in _READS}),
        "excluded": [*tenant.exclude.mailboxes],
        "holds": sum(1 for each in tenant.holds.values() if each) + len(tenant.retention_holds),
        "audit": _span(tenant.policy.audit),
        "grace": said(asked.settings.sweep.grace),
        "anchors": settings_of(asked.settings.audit.anchor),
        "states": sorted(states.items()),
        "ledger": "PostgreSQL" if asked.settings.ledger_url.startswith("postgresql") else "a file (SQLite)",
    }


def _source(of: SourceConfig) -> Row:
    online = of.type in ("graph", "teams")
    return {
        "what": "files of Teams" if isinstance(of, ShareConfig) else "mailboxes",
        "where": "Microsoft 365" if online else f"Exchange ({getattr(of, 'url', None) or 'found by autodiscover'})",
        "how": "Microsoft Graph, HTTPS" if online else "Exchange Web Services, HTTPS",
        "identity": "an app registered in Entra"
        if online
        else f"the account {getattr(of, 'user', '') or 'of a ticket'}",
    }


def _rule(rule: Rule, tenant: TenantConfig) -> Row:
    kept = rule.retain.file or tenant.defaults.retain.file
    moves = rule.action is not Action.KEEP
    # What is held shows links too, once it is released.
    links = rule.action in (Action.REDIRECT, Action.HOLD)
    return {
        "name": rule.name,
        "action": rule.action.value,
        "mode": rule.mode.value,
        "audience": rule.link.audience.value if links else "-",
        "link": _span(rule.link.expires) if links else "-",
        "password": "yes" if rule.link.password else "no",
        "file": _kept(kept.span, after=kept.after_message) if kept and moves else "for ever" if moves else "-",
    }


def _kept(span: timedelta | None, *, after: bool) -> str:
    return f"{_span(span)}, from when its message is gone" if after else _span(span)


def _span(of: timedelta | None) -> str:
    return said(of) if of else "for ever"


def _links(asked: Asked) -> Iterator[Row]:
    ledger, told = asked.ledger, dict[str, list[Event]]()
    for event in ledger.events(tenant=asked.tenant.tenant):
        told.setdefault(event.redirect_id, []).append(event)
    for source in ledger.watched():
        if source.tenant == asked.tenant.tenant:
            for redirect in ledger.redirects(source=source.name):
                events = told.get(redirect.id, [])
                if redirect.was_shown and any(_since(each, asked.since) for each in events):
                    yield _link(redirect, source.address, events)


def _link(redirect: Redirect, mailbox: str, events: Sequence[Event]) -> Row:
    came = [each for each in events if each.name == Known.LINK_OPENED]
    fetched = [each for each in came if each.detail["what"] in ("file", "zip") and each.detail["result"] == "opened"]
    shown = [each for each in redirect.files if each.action is Action.REDIRECT]
    ends = [each.link.expires for each in redirect.files if each.link and each.link.expires]
    return {
        "redirect": redirect.id,
        "mailbox": mailbox,
        "shown": _first(each.at for each in events if each.name == Known.REDIRECT_REWRITTEN),
        "audience": ", ".join(sorted({each.terms.audience.value for each in shown})),
        "files": len(redirect.files),
        "came": len(came),
        "fetched": len(fetched),
        "first": _first(_when(each) for each in came),
        "last": _first((_when(each) for each in came), last=True),
        "ends": min(ends, default=None),
        "revoked": ended(events),
    }


def _when(came: Event) -> datetime:
    return datetime.fromisoformat(str(came.detail["at"]))


def _first(times: Iterable[datetime], *, last: bool = False) -> datetime | None:
    found = sorted(times)
    return (found[-1] if last else found[0]) if found else None


def _since(event: Event, since: datetime | None) -> bool:
    return since is None or event.at >= since


def _severity(event: Event) -> str:
    return next((each.severity for each in Known if each == event.name), "audit")


def _told(event: Event) -> Row:
    meaning = next((each.meaning for each in Known if each == event.name), "")
    reason = " ".join(str(event.detail.get("reason", "")).split()).replace("|", "\\|")
    by = event.detail.get("by", "")
    return {"number": event.number, "at": event.at, "name": event.name, "meaning": meaning, "reason": reason, "by": by}
