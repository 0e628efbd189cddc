"""What the daemon says while it works, and the names of all that can happen.

Logs go to standard error, what a command answers goes to standard output.
A subject, a body, a file name, a token or a password never gets into a log: keys that could carry one are blanked, an
exception that is not one of ours is told by its type and place only, and so is what a library says in its own words.
"""

import logging
import sys
from collections.abc import Mapping
from enum import StrEnum
from traceback import walk_tb
from typing import Literal, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from connector.errors import ConnectorError

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Event(StrEnum):
    """The stable names of what happens: in the log, and in the events of the ledger."""

    #: The policy wants files of this item elsewhere; nothing is touched yet.
    REDIRECT_PLANNED = "redirect.planned"
    #: One file lies in the store and was read back right.
    REDIRECT_COPIED = "redirect.copied"
    #: The whole message lies in the store, as it was before anything in it changed.
    REDIRECT_ORIGINAL_KEPT = "redirect.original_kept"
    #: All files of the redirect lie in the store.
    REDIRECT_STORED = "redirect.stored"
    #: The store's backup has its files: links need not wait any longer.
    REDIRECT_SETTLED = "redirect.settled"
    #: Every file has its link.
    REDIRECT_LINKED = "redirect.linked"
    #: The item shows the links.
    REDIRECT_REWRITTEN = "redirect.rewritten"
    #: The originals have left the item.
    REDIRECT_DONE = "redirect.done"
    #: A step failed and is tried again at a later time.
    REDIRECT_DEFERRED = "redirect.deferred"
    #: A human has to decide; the reason is kept.
    REDIRECT_HELD = "redirect.held"
    #: Nothing is needed any more; nothing was deleted.
    REDIRECT_DROPPED = "redirect.dropped"
    #: A dropped redirect goes on: its item was found again.
    REDIRECT_REVIVED = "redirect.revived"
    #: The item was moved; the redirect follows it to its new id.
    REDIRECT_ADOPTED = "redirect.adopted"
    #: A human let a held redirect go on.
    REDIRECT_RELEASED = "redirect.released"
    #: A manifest in the store told what the ledger did not know.
    REDIRECT_RECONCILED = "redirect.reconciled"
    #: A human wants what is older than first contact with a source, too; or leaves it for now, or goes on with it.
    BACKFILL_WANTED = "backfill.wanted"
    BACKFILL_PAUSED = "backfill.paused"
    BACKFILL_RESUMED = "backfill.resumed"
    #: All items of a source from before first contact are known: so many wait.
    BACKFILL_LISTED = "backfill.listed"
    #: A human wants the files back in the message.
    REDIRECT_RECALLED = "redirect.recalled"
    #: The files are in the message again, byte for byte: `files` of them, behind as many as `behind` that had stayed.
    REDIRECT_FILES_RETURNED = "redirect.files_returned"
    #: The notice has left the message: it is as it was.
    REDIRECT_RESTORED = "redirect.restored"
    #: The retention of its files has ended: the message is to say so, then they are deleted.
    REDIRECT_EXPIRED = "redirect.expired"
    #: Its message, and every copy of it in the mailbox, says that the files are deleted.
    REDIRECT_TOLD = "redirect.told"
    #: Its files, links and manifests are deleted, and what trash and versions had of them.
    REDIRECT_ERASED = "redirect.erased"
    #: Whoever a message belongs to wants it left as it is, by a category or a folder: what a rule wants stays.
    PEOPLE_KEPT = "people.kept"
    #: Whoever a message belongs to asked for its attachments, by a category or a folder: they come back.
    PEOPLE_RECALLED = "people.recalled"
    #: A step went back, because the item or the store is not what it was.
    REDIRECT_RETURNED = "redirect.returned"
    #: What enforcing would do with a message, where its tenant only monitors.
    MESSAGE_MONITORED = "message.monitored"
    #: What rules on trial (`mode: monitor`) would do with files of a message.
    RULE_MONITORED = "rule.monitored"
    #: An operator looked into a message (`connector explain`).
    MESSAGE_EXPLAINED = "message.explained"
    #: An operator looked at what the policy would do to the mail of people by name (`connector plan --named`).
    PLAN_NAMED = "plan.named"
    #: One file was taken out of the message before its link was shown.
    FILE_GONE = "file.gone"
    #: What is inside a file of the message was found, and goes into the store beside it: `files` of them.
    FILE_UNPACKED = "file.unpacked"
    #: What is inside a file of the message could not be told: it stays there as it is, and the reason is kept.
    FILE_KEPT = "file.kept"
    #: A copy of the message lies on a shelf, and is edited in its place (`rewrite: replace`).
    REDIRECT_COPY_MADE = "redirect.copy_made"
    #: The copy is as the message is to be.
    REDIRECT_STAGED = "redirect.staged"
    #: The copy is where the message is; for a moment it is there twice.
    REDIRECT_PLACED = "redirect.placed"
    #: The copy has taken the place of the message, which lies on the shelf.
    REDIRECT_REPLACED = "redirect.replaced"
    #: What lay on the shelf of a redirect that came to nothing was deleted.
    SHELF_CLEARED = "shelf.cleared"
    #: Links of a message open nothing any more; the message still shows them.
    LINK_REVOKED = "link.revoked"
    #: Links of a message open until another time.
    LINK_EXTENDED = "link.extended"
    #: Links of a message open nothing any more, and it will show others.
    LINK_RENEWED = "link.renewed"
    #: Whoever a mailbox belonged to has left, and its files belong to another.
    MAILBOX_LEFT = "mailbox.left"
    #: An operator looked at the links of messages.
    LINKS_LISTED = "links.listed"
    #: An operator asked for the password of a link.
    LINK_TOLD = "link.password_told"
    #: The owner of a message was told, by a message of its own, what its links ask for.
    LETTER_LEFT = "letter.left"
    #: The owner of links was told that they end soon.
    LINK_REMINDED = "link.reminded"
    #: The owner of a message was told that its attachments wait for a decision.
    HELD_TOLD = "held.told"
    #: Somebody let links last longer than the ledger knew.
    LINK_LASTS = "link.lasts"
    #: Somebody came to a link: `what` for, and with which `result`; noted again, it has the same `seen`.
    LINK_OPENED = "link.opened"
    #: A message bears a marker that our key did not make.
    MARKER_FORGED = "marker.forged"

    #: The ledger notes that a mailbox or a store is left alone for a while.
    PAUSED = "paused"
    #: A mailbox is busy or down; it is asked again later.
    SOURCE_PAUSED = "source.paused"
    #: Nothing is linked or removed in a mailbox until something was proved about its server.
    SOURCE_UNPROVED = "source.unproved"
    #: Nothing is linked in a mailbox until the people to whom it belongs can read its files in the store.
    SOURCE_UNREAD = "source.unread"
    #: Of those who share a source, the store does not know some, who cannot open its links.
    MEMBERS_UNKNOWN = "members.unknown"
    #: The store lets nobody else in for now: it allows a number of new shares, and no more.
    SHARES_EXHAUSTED = "shares.exhausted"
    #: How a proof about a server went: `connector check`, or `connector certify`.
    PROOF_RECORDED = "proof.recorded"
    #: Somebody answers, by name, for enforcing on a server without `connector certify`.
    PROOF_WAIVED = "proof.waived"
    #: A mailbox has little room left for what edits leave behind: files are copied, and nothing is changed there.
    SOURCE_FULL = "source.full"
    #: Credentials or a permission are missing for a mailbox; the others go on.
    SOURCE_DENIED = "source.denied"
    #: A store is busy or down; all mailboxes of its tenant wait.
    STORE_PAUSED = "store.paused"
    #: Credentials or a permission are missing for a store; all mailboxes of its tenant wait.
    STORE_DENIED = "store.denied"

    #: A server tells at once what happens in mailboxes.
    HINTS_CONNECTED = "hints.connected"
    #: It does not any more: mailboxes are looked at in their interval, as ever.
    HINTS_LOST = "hints.lost"

    #: A tick took so long that another process has the mailbox by now; nothing was written since.
    LEASE_LOST = "lease.lost"
    #: The ledger cannot be read or written; nothing is done until it can.
    LEDGER_FAILED = "ledger.failed"

    #: Stored files that nothing shows were deleted after their grace time.
    SWEEP_DELETED = "sweep.deleted"
    #: A sweep stopped before it deleted more: the clock is in doubt, or it would be too much at once.
    SWEEP_STOPPED = "sweep.stopped"
    #: The ledger is older than what it has written elsewhere, or is another one's: nothing is pruned or deleted.
    GENERATION_FOREIGN = "generation.foreign"
    #: Our clock and a server's differ, or it stands before what happened: nothing is done until it is set right.
    CLOCK_IN_DOUBT = "clock.in_doubt"
    #: A manifest in the store is not as we wrote it: changed, cut short or planted. It is left alone.
    MANIFEST_REFUSED = "manifest.refused"

    #: The daemon is up.
    SERVICE_STARTED = "service.started"
    #: SIGHUP: from the next turn of each mailbox on, the configuration is another one. `policies` by their tenants.
    CONFIG_LOADED = "config.loaded"
    #: SIGHUP, but the configuration cannot be used: the one that was in force stays.
    CONFIG_REFUSED = "config.refused"
    #: No new steps; the current ones finish.
    SERVICE_STOPPING = "service.stopping"
    #: The daemon is down.
    SERVICE_STOPPED = "service.stopped"
    #: A defect of connector itself: told with its traceback; a redirect is tried again, and held in the end.
    BUG = "bug"
    #: The pages of links are up.
    LINKS_SERVED = "links.served"
    #: A file, or a page of it, was not handed out: the store, or the reader, did not do its part.
    LINK_BROKEN_OFF = "link.broken_off"
    #: The store has other bytes than were published: they were not handed out whole.
    LINK_CORRUPT = "link.corrupt"

    #: A library reported something in its own words, which stay out of our log.
    LIBRARY_SPOKE = "library.spoke"


def configure(form: Format = "auto", level: Level = "info") -> None:
    """Log to standard error from now on: JSON lines, or for eyes where `form` is auto and a terminal is there."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _tell_errors,
            _blank,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _for_eyes() if console else structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


def _for_eyes() -> Processor:
    # repr keeps an escape sequence in hostile mail from reaching the terminal.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), repr_native_str=True)


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
