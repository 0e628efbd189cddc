"""What commands stand on: their exit codes, the options that several have, and what they open.

What needs a mailbox or a store is imported where it is opened: a command that asks the ledger alone starts in a third
of the time.
"""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, time
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated

import typer

from connector import log, report
from connector.config.files import tenant_names
from connector.config.settings import Settings, load_settings
from connector.config.yamlfile import ConfigError
from connector.daemon.process import alone, clock
from connector.ledger import Ledger
from connector.model import Redirect
from connector.watching.status import status

if TYPE_CHECKING:
    from connector.config.loading import Config
    from connector.daemon.service import Daemon


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    HELD = 1
    CONFIGURATION = 2
    UNREACHABLE = 3
    REFUSED = 4
    BUG = 70


def moment(said: str) -> datetime:
    """A time that is over, with its zone; in UTC."""
    moment = _time(said)
    if moment.tzinfo is None or moment > clock():
        raise ConfigError(f"{said} is no time that is over, with its zone: give one as `date -Is` tells it")
    return moment


def _time(said: str, otherwise: str = "") -> datetime:
    """In UTC, unless no zone is said."""
    try:
        moment = datetime.fromisoformat(said)
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # The latter where it is in another year in UTC, and that is none of ours.
        raise ConfigError(f"{said} is no time: give one as `date -Is` tells it{otherwise}") from None


_OR_DAY = ", or a day such as 2027-06-30"


def future(said: str) -> datetime:
    """A time to come, in UTC, also where no zone is said."""
    moment = _time(said, _OR_DAY).replace(tzinfo=UTC)
    if moment <= clock():
        raise ConfigError(f"{said} is no time to come")
    return moment


def day(said: str) -> datetime:
    """The beginning of a day, in UTC."""
    return datetime.combine(_time(said, _OR_DAY), time(), UTC)


Json = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of the redirect, as `connector held` shows it.")]
Message = Annotated[
    str,
    typer.Argument(
        metavar="MESSAGE",
        help="Message-ID, id in the mailbox or of a redirect, a link, a path in the store, or an .eml file.",
    ),
]
Only = Annotated[str | None, typer.Option("--mailbox", help="Only messages of this mailbox or share.")]
Wanted = Annotated[
    str | None, typer.Argument(metavar="MESSAGE", help="Message-ID, id of a redirect, or path of an .eml file.")
]
Rule = Annotated[str | None, typer.Option(help="Only messages with files that this rule moved.")]
All = Annotated[bool, typer.Option("--everything", help="All of them.")]
Since = Annotated[
    datetime | None, typer.Option(help="Redirected at or after this time (as `date -Is` prints it).", parser=moment)
]
Until = Annotated[
    datetime | None, typer.Option(help="Redirected at or before this time (as `date -Is` prints it).", parser=moment)
]
Begun = Annotated[
    datetime, typer.Argument(metavar="BEGUN", help="When the backup began, as `date -Is` told then.", parser=moment)
]
Decision = Callable[[Redirect, Ledger, datetime, str], Redirect]


def user() -> str:
    """Who decides, for the events: the person behind sudo, where there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


@contextmanager
def told() -> Iterator[None]:
    """What an argument cannot mean is the user's to put right."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(str(error)) from None


def refuse_beside(context: typer.Context, option: str, *others: str) -> None:
    """Refuse these options beside that one: they would be passed over. All by the names of their parameters."""
    for other in others:
        if _is_said(context, option) and _is_said(context, other):
            raise ConfigError(f"give only one of --{option} and --{other.replace('_', '-')}")


def _is_said(context: typer.Context, parameter: str) -> bool:
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def require(reason: str) -> None:
    """Whoever looks at people, or stops work, says why."""
    if not reason.strip():
        raise ConfigError("say why with --reason: it is written down")


@contextmanager
def configured(context: typer.Context, *, usable: bool = False) -> Iterator[tuple["Config", Ledger]]:
    """The whole configuration, and the ledger. `usable`: what is wrong with one tenant's files stops no other."""
    from connector.config.loading import load, load_usable  # noqa: PLC0415 - all adapters and their libraries

    whole = load_usable(context.obj) if usable else load(context.obj)
    with _opened(whole.settings) as ledger:
        yield whole, ledger


@contextmanager
def working(context: typer.Context, *, usable: bool = False) -> Iterator[tuple["Daemon", Ledger]]:
    """All that works for the tenants, while no other process does. `usable`: see `configured`."""
    from connector.daemon.service import Daemon  # noqa: PLC0415 - see `configured`

    with configured(context, usable=usable) as (whole, ledger), alone(whole.settings.state) as owner:
        yield Daemon(whole, ledger, owner), ledger


@contextmanager
def opened_ledger(context: typer.Context) -> Iterator[Ledger]:
    """The ledger alone: what looks only into it works while every server is down, and every tenant file broken."""
    with _opened(load_settings(context.obj)) as ledger:
        yield ledger


def known_tenants(context: typer.Context, ledger: Ledger) -> tuple[set[str], list[str]]:
    """All that are configured, or known to the ledger; and what is wrong with files that name none."""
    configured, problems = tenant_names(context.obj)
    return {*configured, *ledger.tenants(), *(each.tenant for each in ledger.watched())}, problems


@contextmanager
def _opened(settings: Settings) -> Iterator[Ledger]:
    log.configure(settings.log.format, settings.log.level)
    with (
        closing(Ledger(settings.ledger_url)) as ledger,
        log.disguised(None if settings.log.mailboxes else ledger.pseudonym),
    ):
        yield ledger


def sum_up(context: typer.Context, ledger: Ledger, *, as_json: bool) -> None:
    """Tell how everything is, and end with what waits."""
    told = status(ledger, load_settings(context.obj).state, clock())
    report.tell_status(told, as_json=as_json)
    waiting = Exit.HELD if any(each.held for each in told.mailboxes) else Exit.DONE
    raise typer.Exit(max(code_of(*(each.error for each in told.paused)), waiting))


def code_of(*errors: str) -> Exit:
    """What to end with where these stand in the way, named as the ledger names what pauses come from."""
    return max((_PAUSED.get(each, Exit.REFUSED) for each in errors), default=Exit.DONE)


#: What a finding means, by its severity.
CODES = {
    "fine": Exit.DONE,
    "soon": Exit.HELD,
    "stopped": Exit.HELD,
    "exposed": Exit.HELD,
    "unreachable": Exit.UNREACHABLE,
    "refused": Exit.REFUSED,
}
#: What a pause means, by the error that it came from.
_PAUSED = {
    "Unavailable": Exit.UNREACHABLE,
    "PartUnread": Exit.UNREACHABLE,
    "Foreign": Exit.HELD,
    "Clock": Exit.HELD,
    "Unproved": Exit.HELD,
    "Unread": Exit.HELD,
    "Exhausted": Exit.DONE,
    "Unknown": Exit.DONE,
    "Full": Exit.HELD,
    "Stopped": Exit.HELD,
}
