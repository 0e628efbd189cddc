"""What our letters to owners say, in all languages of a tenant, one below the other."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from connector.model import Ending
from connector.names import plain
from connector.rewrite.languages import LANGUAGES, Language
from connector.rewrite.wording import HOUSE, Wording, day


class Mentioned(NamedTuple):
    """A message that a letter speaks of."""

    subject: str
    sender: str
    received: datetime | None
    #: How its links end; None where that is not what the letter is about.
    ending: Ending | None = None


def password_letter(subject: str, passwords: Collection[str], wording: Wording) -> tuple[str, str]:
    """Subject and text of the letter that tells an owner what the links in the message of this subject ask for."""
    shown = "\n".join(f"    {each}" for each in passwords)
    told = {"subject": plain(subject), **wording.model_dump(include=HOUSE)}
    parts = (
        "\n\n".join((each.letter_asks.format_map(told), shown, each.letter_tell, *_help(each, wording)))
        for each in _languages(wording)
    )
    return _languages(wording)[0].letter_subject, "\n\n\n".join(parts) + "\n"


def reminder_letter(mentioned: Sequence[Mentioned], wording: Wording) -> tuple[str, str]:
    """Subject and text of the letter that tells an owner which links end soon, and where he lets them last."""
    paged = any(each.ending and each.ending.page for each in mentioned)

    def said(language: Language) -> str:
        return f"{language.letter_ends} {language.letter_last}" if paged else language.letter_ends

    return _languages(wording)[0].letter_ends_subject, _about(mentioned, said, wording)


def held_letter(mentioned: Sequence[Mentioned], wording: Wording) -> tuple[str, str]:
    """Subject and text of the letter that tells an owner of which messages the attachments wait for a decision."""
    told = wording.model_dump(include=HOUSE)

    def said(language: Language) -> str:
        return language.letter_held.format_map(told)

    return _languages(wording)[0].letter_held_subject, _about(mentioned, said, wording)


def _languages(wording: Wording) -> tuple[Language, ...]:
    return tuple(LANGUAGES[code] for code in wording.languages)


def _help(language: Language, wording: Wording) -> Iterable[str]:
    return (language.help.format_map(wording.model_dump(include=HOUSE)),) if wording.desk else ()


def _about(mentioned: Sequence[Mentioned], said: Callable[[Language], str], wording: Wording) -> str:
    languages = _languages(wording)
    helped = (line for each in languages for line in _help(each, wording))
    return "\n\n".join((*map(said, languages), *map(_listed, mentioned), *helped)) + "\n"


def _listed(each: Mentioned) -> str:
    ends = f"{day(each.ending.at)}  " if each.ending and each.ending.at else ""
    known = (plain(each.sender), day(each.received) if each.received else "")
    lines = (", ".join(filter(None, known)), each.ending.page if each.ending else "")
    return "\n".join((f"    {ends}{plain(each.subject)}", *(f"        {line}" for line in lines if line)))
