"""Errors, sorted by what we do next.

ConnectorError
  Unavailable   busy, down, throttled      -> the source (or the tenant's store) pauses; retry_after
    PartUnread  the server fails at a part -> that waits; everything else goes on
    Exhausted   a budget is used up        -> what needs more of it waits; everything else goes on
  Denied        consent or credentials     -> the source stops; tell the operator exactly which permission
  Gone          the item is not there      -> look for it by its marker; after a full pass, drop: delete nothing
  FileGone      one file of it is not      -> drop that file, go on
  Conflict      changed since we read it   -> read again, same step
  Rejected      will never be accepted     -> hold for a human
    Edited      its owner changed a file   -> the item keeps the original; without one there, hold
  Corrupt       read back differs          -> hold, never prune

Adapters translate what their library raises at their edge, in one function.
An exception that is none of these is a bug: it is logged with its traceback, deferred, and held after some attempts.

A message of an error is one plain sentence for an operator.
It names the server, permission or file at fault and never carries a subject, a body, a token or a password.
"""

import re
import ssl
from collections.abc import Mapping
from datetime import timedelta

#: What servers of Microsoft call a request, what we called it, and which of them had it.
_IDS = ("request-id", "RequestId", "client-request-id", "X-FEServer")
_ID = re.compile(r"[\w.{}-]{1,64}", re.ASCII)


class ConnectorError(Exception):
    """What an adapter may raise; each subclass names one reaction."""

    #: How those who run the server find the request that failed; "" where it was not told. Never part of the message:
    #: the same failure has the same words.
    request = ""


def request_in(headers: Mapping[str, str]) -> str:
    """How a server calls the request to which this is its answer: for `ConnectorError.request`."""
    found = ((name, headers.get(name) or "") for name in _IDS)
    return ", ".join(f"{name} {value}" for name, value in found if _ID.fullmatch(value))


def kind(error: Exception) -> str:
    """Its name in the tree above: what adapters derive from that for themselves has the reaction of what it is."""
    ours = (each.__name__ for each in type(error).__mro__ if each.__module__ == __name__)
    return next(ours, type(error).__name__)


def cause(error: BaseException) -> str:
    """The innermost cause of what a library raised, in a few words: what the network said, not what was sent."""
    causes = [error]
    while inner := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(inner)
    # Libraries have time-outs of their own, and asyncio makes one of what it has cancelled itself.
    if any(isinstance(each, TimeoutError) or type(each).__name__.endswith("Timeout") for each in causes):
        return "it does not answer in time"
    # That there was nothing to read yet is no failure: it only came before the one that is.
    innermost = next((each for each in reversed(causes) if not isinstance(each, ssl.SSLWantReadError)), error)
    if isinstance(innermost, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not accepted ({innermost.verify_message})"
    if isinstance(innermost, ssl.SSLError):
        return f"no TLS connection comes about ({innermost.reason})"
    return getattr(innermost, "strerror", None) or type(innermost).__name__


class Unavailable(ConnectorError):
    """Busy, down or throttled: the same call may succeed later."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        """`retry_after` is what the server asked for; None where it did not say."""
        super().__init__(message)
        self.retry_after = retry_after


class PartUnread(Unavailable):
    """The server fails at a part of what was asked for, and told all the rest."""


class Exhausted(Unavailable):
    """The other side allows no more of this for now; whatever else is asked of it, it goes on answering."""


class Denied(ConnectorError):
    """Credentials or a permission are missing; repeating it could lock an account."""


class Gone(ConnectorError):
    """The item is no longer there under this id. It may have been moved."""


class FileGone(ConnectorError):
    """The item is there, but this one file of it is not."""


class Conflict(ConnectorError):
    """The item changed since it was read; nothing was written."""


class Rejected(ConnectorError):
    """The other side will never accept this, however often it is repeated."""


class Edited(Rejected):
    """Whoever a stored file belongs to has changed it, as she may. Nothing is wrong with the store."""


class Corrupt(ConnectorError):
    """What was read back is not what was written, or the place is taken by other bytes."""
