"""What Graph, the login and the network answer when they do not answer, told as the errors that `connector` knows.

`translate` is the one place where that happens. Its sentences name the host and the permission to grant, and never
repeat what a server wrote, nor any address that opens a file without a login.

https://learn.microsoft.com/graph/errors, https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus

import httpx
from msal.exceptions import MsalError
from urllib3.exceptions import EmptyPoolError, HTTPError

from connector.errors import Conflict, ConnectorError, Denied, Gone, Rejected, Unavailable, cause


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks whom for what: the words of every sentence."""

    host: str
    #: The mailbox or drive, such as "the mailbox anna@example.org".
    whose: str
    app: str
    #: What the app needs there.
    permission: str


class Answered(Exception):
    """Graph answered with an error."""

    def __init__(
        self,
        status: int,
        code: str = "",
        retry_after: timedelta | None = None,
        location: str = "",
        request: str = "",
    ) -> None:
        """`code` is Graph's own word for it; `location` where a change feed goes on that starts again.

        `request` is what it calls the request.
        """
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.location = location
        self.request = request


class Garbled(Exception):
    """The answer is no whole reply of Graph: cut off, or not from Graph at all."""


class Endless(Exception):
    """The answer is longer than any reply of Graph."""


class Strayed(Exception):
    """A reply points to a host where we do not go."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


@dataclass
class NoToken(Exception):
    """The login gives no token: the numbers of what is wrong (AADSTS), and OAuth's word for it."""

    host: str
    directory: str
    error: str
    codes: tuple[int, ...] = field(default=())


class LostState(Unavailable):
    """The server no longer knows this place in a change feed: it has to start again, where it says so at `location`."""

    def __init__(self, message: str, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class Grief(Unavailable):
    """The server failed at what it was asked for: in passing, or at this one thing every time."""


class Missing(Denied):
    """The mailbox, user, drive or team is not there at all: never told as a thousand times Gone."""


class Barred(Denied):
    """The app may not do this there; its login is good, and may do for others."""


class Exists(Conflict):
    """A folder or file of this name is there already."""


class TooBig(Rejected):
    """It is more than the server takes in one request."""


class TooSmall(Rejected):
    """It is less than an upload session is for."""


#: By Graph's word for it, in lower case, or else by the HTTP status.
_ANSWERS: tuple[tuple[type[ConnectorError], str, frozenset[str | int]], ...] = (
    (
        LostState,
        "the change feed of {whose} starts again",
        frozenset(
            {
                "resyncchangesapplydifferences",
                "resyncchangesuploaddifferences",
                "resyncrequired",
                "syncstateinvalid",
                "syncstatenotfound",
                HTTPStatus.GONE,
            }
        ),
    ),
    (
        Missing,
        "{host} does not have {whose}: check its name, and whether it was deleted or has no licence",
        frozenset(
            {
                "errorinvaliduser",
                "errornonexistentmailbox",
                "mailboxnotenabledforrestapi",
                "mailboxnotsupportedforrestapi",
                "request_resourcenotfound",
                "resourcenotfound",
            }
        ),
    ),
    (
        Unavailable,
        "{host} has no time or room for {whose} now",
        frozenset(
            {
                "applicationthrottled",
                "errormailboxstoreunavailable",
                "errorquotaexceeded",
                "errorserverbusy",
                "mailboxconcurrency",
                HTTPStatus.REQUEST_TIMEOUT,
                HTTPStatus.FAILED_DEPENDENCY,
                HTTPStatus.TOO_MANY_REQUESTS,
            }
        ),
    ),
    (
        Gone,
        "nothing of {whose} is under this id",
        frozenset(
            {
                "errorinvalidid",
                "errorinvalididempty",
                "errorinvalididmalformed",
                "erroritemnotfound",
                HTTPStatus.NOT_FOUND,
            }
        ),
    ),
    (
        Conflict,
        "something of {whose} changed since it was read",
        frozenset(
            {"errorchangekeyrequired", "errorirresolvableconflict", "errorstaleobject", HTTPStatus.PRECONDITION_FAILED}
        ),
    ),
    (
        Conflict,
        "a file of {whose} is locked: somebody has it open, or it has to be kept",
        frozenset({"resourcelocked"}),
    ),
    (Rejected, "a file of {whose} is barred for malware", frozenset({"malwaredetected"})),
    (
        Denied,
        "{host} refuses the token of the app {app}: it may be one for another cloud or directory",
        frozenset({HTTPStatus.UNAUTHORIZED}),
    ),
    (
        Barred,
        "{host} does not let the app {app} do this in {whose}: grant it {permission}",
        # The second is what an edit of a message that is no draft is refused with.
        frozenset({HTTPStatus.FORBIDDEN, "errorinvalidpropertyset"}),
    ),
    (Rejected, "something of {whose} has no content of its own", frozenset({HTTPStatus.METHOD_NOT_ALLOWED})),
    (Exists, "{whose} has something of this name already", frozenset({HTTPStatus.CONFLICT})),
    (TooBig, "{host} takes nothing of this size into {whose}", frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE})),
    (
        TooSmall,
        "{host} takes nothing this small into {whose} in parts",
        frozenset({"errorattachmentsizeshouldnotbelessthanminimumsize"}),
    ),
    (Rejected, "something of {whose} is locked, or has to be kept", frozenset({HTTPStatus.LOCKED})),
)

#: Numbers that Entra gives to what is wrong with a login.
_LOGIN: tuple[tuple[frozenset[int], str], ...] = (
    (frozenset({7000222}), "the secret of the app {app} has expired: make a new one in Entra, and give us its value"),
    (frozenset({7000215, 7000218}), "{host} refuses the secret of the app {app}: give its value, not its id"),
    (frozenset({700016}), "the directory {directory} has no app {app}: check `directory` and `client`"),
    (frozenset({90002, 900023, 900021}), "{host} has no directory {directory}: check `directory` and `cloud`"),
    (
        frozenset({700027, 700024, 700021, 700030}),
        "{host} refuses the certificate of the app {app}: upload it in Entra, and look at the clock of this machine",
    ),
    (
        frozenset({70021, 700211, 700212, 700213, 700223}),
        "{host} does not trust the assertion for the app {app}: correct its federated credential in Entra",
    ),
    (
        frozenset({500011, 1002012}),
        "{host} knows nothing of {graph}: check `cloud`, for a token is good in one cloud only",
    ),
    (
        frozenset({53003, 530003, 530035, 7000112, 50097}),
        "{host} bars the app {app}: it is disabled, or a Conditional Access policy stands against it",
    ),
)
_LOGIN_LATER = frozenset({50196, 90033, 90025, 90055})


def translate(error: Exception, party: Party) -> Exception:
    """The error to raise instead. One that nobody foresaw comes back as it is: a bug."""
    if isinstance(error, Answered):
        told = _answered(error, party)
        told.request = error.request
        return told
    if isinstance(error, NoToken):
        return _no_token(error, party)
    if isinstance(error, Strayed):
        return Denied(f"{party.host} points to {error.host}, where we do not go: check `cloud`, or write to us")
    if isinstance(error, httpx.PoolTimeout | EmptyPoolError):
        return Unavailable(f"all requests to {party.host} that may run at once are taken: raise `at_once`")
    if isinstance(error, MsalError | httpx.HTTPError | HTTPError | OSError):
        return Unavailable(f"{party.host} or its login cannot be used: {cause(error)}")
    if isinstance(error, Endless):
        # As with a gateway that gives up: it may be one thing, every time, and no other has to wait for it.
        error = Grief(f"the answer of {party.host} for {party.whose} does not end")
    if isinstance(error, Garbled | ValueError):
        # A ValueError is what broken JSON raises.
        error = Unavailable(f"the answer of {party.host} for {party.whose} is not a whole reply of Graph")
    return error


def _answered(error: Answered, party: Party) -> ConnectorError:
    told = f" ({error.code})" if error.code else f" (HTTP status {error.status})"
    words = {"host": party.host, "whose": party.whose, "app": party.app, "permission": party.permission}
    for key in (error.code.lower(), error.status):
        for reaction, sentence, keys in _ANSWERS:
            if key in keys:
                said = sentence.format(**words) + told
                if reaction is LostState:
                    return LostState(said, error.location)
                return Unavailable(said, error.retry_after) if reaction is Unavailable else reaction(said)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # Who knows a time to wait is busy. A gateway that gives up may do so at one thing, every time.
        reaction = Unavailable if error.retry_after else Grief
        return reaction(f"{party.host} has trouble with {party.whose}{told}", error.retry_after)
    return Rejected(f"{party.host} refuses this for {party.whose}{told}")


def _no_token(error: NoToken, party: Party) -> ConnectorError:
    told = f" (AADSTS{error.codes[0]})" if error.codes else f" ({error.error})"
    for codes, sentence in _LOGIN:
        if codes & set(error.codes):
            words = {"host": error.host, "app": party.app, "directory": error.directory, "graph": party.host}
            return Denied(sentence.format(**words) + told)
    if _LOGIN_LATER & set(error.codes) or error.error in {"temporarily_unavailable", "server_error"}:
        return Unavailable(f"{error.host} has no token for the app {party.app} now{told}")
    return Denied(f"{error.host} gives the app {party.app} no token: look the number up in Entra's list{told}")
