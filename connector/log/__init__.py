"""What the daemon says while it works. The names of all that can happen stand in `connector.log.events`.

Logs go to standard error, what a command answers goes to standard output.
A subject, a body, a file name, a token or a password never gets into a log: keys that could carry one are blanked, an
exception that is not one of ours is told by its type and place only, and so is what a library says in its own words.
A line that is said again is counted instead, and told with its count after a while (`connector.log.repeats`).
"""

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from io import StringIO
from traceback import walk_tb
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from connector.errors import ConnectorError
from connector.log.events import Event
from connector.log.repeats import Repeats
from connector.names import ADDRESS
from connector.pauses import parted
from connector.watching.counters import ALARMS

__all__ = [
    "Event",
    "Format",
    "Level",
    "about",
    "configure",
    "disguised",
    "flush",
    "log",
    "stderr",
    "tell",
    "told_error",
]

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]
#: What stands for a source or an address of a tenant.
NameOf = Callable[[str, str], str]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Stderr:
    """Standard error. No work stops for it: where its disk is full, or nobody reads it any more, lines are lost."""

    def write(self, line: str) -> None:
        """If it can be."""
        with suppress(OSError):
            sys.stderr.write(line)

    def flush(self) -> None:
        """If it can be. What did not get out stays in a small buffer, and is tried again with the next line."""
        with suppress(OSError):
            sys.stderr.flush()


stderr = cast("TextIO", _Stderr())


class _Disguise:
    """Puts pseudonyms in the place of people; in lines that do not say of which tenant they are, nothing."""

    name_of: NameOf | None = None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        owner = event.get("tenant") or next((str(event[name]) for name in _SOURCES if event.get(name)), "")
        tenant = str(owner).partition("/")[0]
        if self.name_of is None:
            return event
        of = partial(self.name_of, tenant) if tenant else lambda _: _BLANK
        return cast("EventDict", self._hidden(event, tenant, of))

    def _hidden(self, value: object, tenant: str, of: Callable[[str], str], name: str = "") -> object:
        if isinstance(value, Mapping):
            return {key: self._hidden(each, tenant, of, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._hidden(each, tenant, of) for each in value]
        if not isinstance(value, str) or isinstance(value, Event):
            return value
        try:
            if name in _SOURCES and value.startswith(f"{tenant}/"):
                source, about = parted(value)
                value = f"{of(source)}{about}" if source else value
            return ADDRESS.sub(lambda found: of(found[0]), value) if "@" in value else value
        except Exception:  # noqa: BLE001 - whoever it is about: a ledger that fails has to be told, by this very log
            return _BLANK


#: Keys that hold the name of a source, or of what is left alone.
_SOURCES = ("source", "paused")

_disguise = _Disguise()
#: For the whole process: what is said by any thread is counted in one place.
_repeats = Repeats()


def configure(form: Format = "auto", level: Level = "info") -> None:
    """Log to standard error from now on: JSON lines, or for eyes where `form` is auto and a terminal is there."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    render = _for_eyes() if console else structlog.processors.JSONRenderer(default=str)
    _repeats.begin(_for_the_journal(render) if _in_the_journal() else render)
    structlog.configure(
        processors=[
            _tell_errors,
            _repeats.recognise,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _advise,
            _disguise,
            _blank,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _repeats,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(stderr),
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


def tell(event: Event, **detail: Any) -> None:
    """Log an event that is not known before, as gravely as the catalogue says."""
    log.log(logging.getLevelNamesMapping()[event.severity.upper()], event, **detail)


@contextmanager
def disguised(name_of: NameOf | None) -> Iterator[None]:
    """Inside, every line has a pseudonym in the place of a mailbox and of an address; with None, they are named."""
    _disguise.name_of = name_of
    try:
        yield
    finally:
        _disguise.name_of = None


def about(**what: Any) -> AbstractContextManager[None]:
    """Every line that this thread logs inside says what it is about: the id of a tick, of a redirect."""
    return structlog.contextvars.bound_contextvars(**what)


def blaming(error: ConnectorError | None) -> AbstractContextManager[None]:
    """Every line that this thread logs inside names the request that failed, as those who run the server find it."""
    return about(request=error.request) if error and error.request else nullcontext()


def flush(after: float = 0) -> None:
    """Tell what was said again and only counted, for so many seconds or more."""
    if lines := _repeats.flush(after):
        structlog.PrintLogger(stderr).msg("\n".join(lines))


@atexit.register
def _end() -> None:
    flush()
    try:
        sys.stderr.flush()
    except OSError:
        # Python would try once more, and end with a code of its own.
        sys.stderr = StringIO()


def _for_eyes() -> Processor:
    # repr keeps an escape sequence in hostile mail from reaching the terminal.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), repr_native_str=True)


def _in_the_journal() -> bool:
    """Whether standard error is the journal of systemd, which says so (systemd.exec(5))."""
    try:
        there = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _for_the_journal(render: Processor) -> Processor:
    """Lines with their priority (sd-daemon(3)), which the journal takes off: `journalctl -p warning` finds them."""

    def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = _PRIORITIES.get(str(event.get("level")), 6)
        return f"<{priority}>{render(logger, method, event)!s}"

    return rendered


_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def _advise(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """What is wrong is counted, and says what to do about it: at night, nobody looks it up."""
    told = event["event"]
    if method in _GRAVE and isinstance(told, Event):
        ALARMS.labels(told, event["level"]).inc()
        if told.to_do:
            event.setdefault("to_do", told.to_do)
    return event


_GRAVE = {"warning", "error", "exception", "critical"}
#: Keys whose values could be what mail says.
_CONTENT = frozenset(
    {"body", "content", "file_name", "filename", "html", "name", "names", "recipients", "sender", "subject", "text"}
)
#: Keys that hold one of these words hold a secret.
_SECRETS = ("authorization", "cookie", "credential", "_key", "password", "secret", "token")
_BLANK = "[left out]"


def _blank(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return cast("EventDict", _blanked(event))


def _blanked(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _BLANK if _private(str(key)) else _blanked(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_blanked(each) for each in value]
    return value


def _private(key: str) -> bool:
    key = key.lower().replace("-", "_")
    return key in _CONTENT or any(word in key for word in _SECRETS)


def _tell_errors(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    told = {key: told_error(value) if isinstance(value, BaseException) else value for key, value in event.items()}
    raised = event.get("exc_info")
    raised = sys.exc_info()[1] if raised is True else raised
    told.pop("exc_info", None)
    if isinstance(raised, BaseException):
        told["exception"] = _place(raised)
    return told


def told_error(error: BaseException) -> str:
    """One of our own errors says its sentence; of any other only the type is told, for its text may quote mail."""
    return str(error) if isinstance(error, ConnectorError) else type(error).__name__


def _place(error: BaseException) -> str:
    """A traceback without source lines, local variables and foreign texts; what caused it stands below."""
    lines = [f"{type(error).__module__}.{type(error).__qualname__}"]
    for frame, line in walk_tb(error.__traceback__):
        lines.append(f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}")
    cause = error.__cause__ or error.__context__
    return "\n".join([*lines, _place(cause)] if cause else lines)


class _Libraries(logging.Handler):
    """Warnings of libraries: who spoke and where. What they say in their own words may quote mail."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(record.levelno, logging.ERROR)
        error = record.exc_info[1] if record.exc_info else None
        log.log(level, Event.LIBRARY_SPOKE, logger=record.name, at=f"{record.pathname}:{record.lineno}", exc_info=error)
