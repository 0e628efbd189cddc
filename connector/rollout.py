"""Texts for the people of a house, from `rollout/` beside `connector.yaml`, filled in with what is configured there.

The texts are the house's own, to be changed as it likes. What they claim of a tenant stands behind conditions, so that
each is told only where it is so.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from connector.amounts import duration, said
from connector.config.loading import ShareConfig, TenantConfig
from connector.config.settings import Settings
from connector.config.yamlfile import ConfigError
from connector.model import Action
from connector.plan.tables import FEWEST
from connector.policy import Mode, Rule
from connector.rewrite.languages import LANGUAGES, Code
from connector.rewrite.wording import HOUSE

FOLDER = "rollout"
#: Conditions that search what people wrote.
_TEXT = {"subject", "body", "header"}
#: Conditions for which files are looked into.
_INSIDE = {"true_type", "disguised", "encrypted", "macros", "infected"}
#: Of days and hours there are always several: a day is 24 hours, and an hour 60 minutes.
_MONTH = duration("1 months")
_UNITS = (duration("1y"), _MONTH, timedelta(days=1), timedelta(hours=1))
_UNIT_WORDS: dict[Code, tuple[str, ...]] = {
    "de": ("Jahre", "Monate", "Tage", "Stunden"),
    "en": ("years", "months", "days", "hours"),
    "fr": ("ans", "mois", "jours", "heures"),
    "nl": ("jaar", "maanden", "dagen", "uur"),
}
_ONE_MONTH: dict[Code, str] = {"de": "Monat", "en": "month", "fr": "mois", "nl": "maand"}
_MINUTE = timedelta(minutes=1)
_SIZES = ("B", "kB", "MB", "GB")


class Readers(StrEnum):
    """Whom a text is for."""

    STAFF = "staff"
    WORKS_COUNCIL = "works-council"


def text(folder: Path, tenant: TenantConfig, settings: Settings, readers: Readers, language: str) -> str:
    """The text for these readers. Raises ConfigError where there is none, or it asks for what nothing here says."""
    code = next((each for each in get_args(Code) if each == language), None)
    if code is None:
        raise ConfigError(f"there are texts in {', '.join(get_args(Code))}, and none in {language!r}")
    path = folder / FOLDER / f"{readers}.{code}.md"
    try:
        template = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; connector's own texts are in config/{FOLDER}, copy them there"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: it is not UTF-8: save it as that") from None
    try:
        return _TEMPLATES.from_string(template).render(words(tenant, settings, code)).strip() + "\n"
    except TemplateSyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: {error.message}") from None
    except Exception as error:  # a text of a house may raise whatever it likes
        raise ConfigError(f"{path}: {error}") from error


def words(tenant: TenantConfig, settings: Settings, code: Code) -> Mapping[str, Any]:
    """All that a text may say or ask of a tenant."""
    policy, people = tenant.policy, tenant.people
    # Of what is only on trial, people would notice nothing.
    rules = [rule for rule in tenant.rules if rule.mode is Mode.ENFORCE]
    moving = [rule for rule in rules if rule.action is Action.REDIRECT]
    terms = [rule.link for rule in moving]
    audiences = {each.audience.value for each in terms}
    kept = [each for rule in rules if (each := rule.retain.file or tenant.defaults.retain.file)]
    fixed, bound = ([each.span for each in kept if each.span and each.after_message is told] for told in (False, True))
    shares = [each for each in tenant.sources if isinstance(each, ShareConfig)]
    return {
        **tenant.notice.model_dump(include=HOUSE),
        "keep_when": policy.keep_when,
        "restore_when": policy.restore_when,
        "digest": people.digest and any(rule.action is Action.HOLD for rule in rules),
        "overruled": any(rule.overrules_people for rule in rules),
        "over": _size(moving, code),
        "settle": _longest_settle(moving, tenant, code),
        "audiences": audiences,
        "password": any(each.password for each in terms),
        "expires": any(each.expires for each in terms),
        "releases": tenant.links is not None and bool(audiences & {"owner", "group", "staff"}),
        # Where the store itself lets people in, our pages only lead on to it, and note nothing.
        "pages": tenant.links is not None and bool(audiences - {"store"}),
        "irreversible": any(rule.irreversible for rule in moving),
        "keeps_original": any(rule.keep_original for rule in rules),
        "retention": _spoken(min(fixed), code) if fixed else "",
        "outlives": _spoken(min(bound), code) if bound else "",
        "audit": _spoken(policy.audit, code) if policy.audit else "",
        "grace": _spoken(settings.sweep.grace, code),
        "fewest": FEWEST,
        "rules": [f"{rule.name} ({rule.action}){' *' if rule.overrules_people else ''}" for rule in rules],
        "reads_text": not policy.asks.isdisjoint(_TEXT),
        "inspects": not policy.asks.isdisjoint(_INSIDE),
        "asks_read": "read" in policy.asks,
        "names_subject": "{subject}" in tenant.path,
        "excluded": list(_excluded(tenant)),
        "since": any(each.since is not None for each in tenant.sources),
        "teams": bool(shares),
        "pointers": tenant.pointers,
    }


def _excluded(tenant: TenantConfig) -> Iterator[str]:
    yield from (each.removeprefix("group:") for each in tenant.exclude.mailboxes)
    for source in tenant.sources:
        yield from getattr(source, "exclude", ())


def _size(moving: list[Rule], code: Code) -> str:
    """Above which size attachments move; "" where some move whatever their size."""
    sizes = [rule.when.size_over for rule in moving]
    least = min((each for each in sizes if each), default=None)
    if least is None or None in sizes:
        return ""
    number, unit = said(least).split()
    return f"{number}\u00a0{LANGUAGES[code].units[_SIZES.index(unit)]}"


def _longest_settle(moving: list[Rule], tenant: TenantConfig, code: Code) -> str:
    settles = [tenant.defaults.settle if rule.settle is None else rule.settle for rule in moving]
    longest = max(settles, default=timedelta(0))
    return _spoken(longest, code) if longest else ""


def _spoken(span: timedelta, code: Code) -> str:
    """As people say it: 24 hours, 30 days, 1 month, 18 months."""
    if span == _MONTH:
        return f"1\u00a0{_ONE_MONTH[code]}"
    units = zip(_UNITS, _UNIT_WORDS[code], strict=True)
    fitting = ((unit, word) for unit, word in units if span > unit and not span % unit)
    unit, word = next(fitting, (_MINUTE, "min"))
    return f"{max(1, round(span / unit))}\u00a0{word}"


_TEMPLATES = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
