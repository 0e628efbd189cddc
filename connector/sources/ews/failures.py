"""What Exchange, HTTP and the network answer when they do not answer, told as the errors that `connector` knows.

`translate` is the one place where that happens. Its sentences name the server, the mailbox and the right to grant, and
never repeat what a server wrote: that may hold parts of a message.

Response codes: https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode
"""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

import requests
from exchangelib.errors import EWSError
from urllib3.exceptions import HTTPError

from connector.errors import Conflict, ConnectorError, Denied, FileGone, Gone, Rejected, Unavailable, cause


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks whom for what: the words of every sentence."""

    host: str
    mailbox: str
    user: str
    impersonation: bool

    @property
    def permission(self) -> str:
        """The right that opens the mailbox."""
        if self.impersonation:
            return "the management role ApplicationImpersonation, with a scope that holds this mailbox"
        return "the permission FullAccess on this mailbox"


class Answered(Exception):
    """Exchange answered with a response code other than NoError."""

    def __init__(
        self,
        code: str,
        back_off: timedelta | None = None,
        subscriptions: tuple[str, ...] = (),
        *,
        of_item: bool = False,
    ) -> None:
        """`back_off` is what BackOffMilliseconds says; `subscriptions` are those that the error is about.

        `of_item`: it answers for one item, or for one file of it, and all else may be well.
        """
        super().__init__(code)
        self.of_item = of_item
        self.code = code
        self.back_off = back_off
        self.subscriptions = subscriptions


class Status(Exception):
    """The answer was HTTP, but not EWS."""

    def __init__(self, status: int, retry_after: timedelta | None = None, request: str = "") -> None:
        """`retry_after` is the header of that name, in seconds; `request` is what the server calls the request."""
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after
        self.request = request


class Garbled(Exception):
    """The answer is no whole EWS reply: cut off, or not from Exchange at all."""


class NoContent(Exception):
    """The attachment is there, but has no bytes of its own: it refers to a file elsewhere."""


class LostState(Unavailable):
    """The server no longer knows this state of a change feed: it has to start again."""


class Grief(Unavailable):
    """The server came to grief at one item or folder, while it answers: in passing, or at this one every time."""


class Exists(Conflict):
    """A folder of this name is there already."""


_ANSWERS: tuple[tuple[type[ConnectorError], str, frozenset[str]], ...] = (
    (
        Gone,
        "the mailbox {mailbox} has nothing under this id",
        frozenset(
            {
                "ErrorFolderNotFound",
                "ErrorInvalidId",
                "ErrorInvalidIdEmpty",
                "ErrorInvalidIdMalformed",
                "ErrorInvalidIdMalformedEwsLegacyIdFormat",
                "ErrorItemNotFound",
                "ErrorObjectTypeChanged",
                "ErrorSyncFolderNotFound",
            }
        ),
    ),
    (
        FileGone,
        "an item of the mailbox {mailbox} has no such attachment",
        frozenset({"ErrorInvalidAttachmentId", "ErrorInvalidIdNotAnItemAttachmentId"}),
    ),
    (
        Conflict,
        "an item of the mailbox {mailbox} changed since it was read",
        frozenset(
            {
                "ErrorChangeKeyRequired",
                "ErrorChangeKeyRequiredForWriteOperations",
                "ErrorInvalidChangeKey",
                "ErrorIrresolvableConflict",
                "ErrorMoveCopyFailed",
                "ErrorStaleObject",
                "ErrorToFolderNotFound",
            }
        ),
    ),
    (
        Unavailable,
        "{host} has no time or room for the mailbox {mailbox} now",
        frozenset(
            {
                "ErrorADOperation",
                "ErrorADUnavailable",
                "ErrorApiQuarantined",
                "ErrorBatchProcessingStopped",
                "ErrorClientDisconnected",
                "ErrorConnectionFailed",
                "ErrorExceededConnectionCount",
                "ErrorExceededSubscriptionCount",
                "ErrorInsufficientResources",
                "ErrorInternalServerTransientError",
                "ErrorMailboxFailover",
                "ErrorMailboxMoveInProgress",
                "ErrorMailboxStoreUnavailable",
                "ErrorNoRespondingCASInDestinationSite",
                "ErrorNotEnoughMemory",
                "ErrorProxyRequestProcessingFailed",
                "ErrorProxyServiceDiscoveryFailed",
                "ErrorRequestAborted",
                "ErrorServerBusy",
                "ErrorTimeoutExpired",
                "ErrorTooManyObjectsOpened",
            }
        ),
    ),
    (
        Unavailable,
        "the mailbox {mailbox} is full: raise its quota, or have its owner delete something",
        frozenset({"ErrorQuotaExceeded"}),
    ),
    (
        Rejected,
        "{host} refuses this for an item of the mailbox {mailbox}",
        frozenset(
            {
                "ErrorAttachmentSizeLimitExceeded",
                "ErrorCannotOpenFileAttachment",
                "ErrorContentConversionFailed",
                "ErrorCorruptData",
                "ErrorDataSizeLimitExceeded",
                "ErrorInvalidExtendedProperty",
                "ErrorInvalidOperation",
                "ErrorInvalidPropertyRequest",
                "ErrorInvalidPropertySet",
                "ErrorInvalidPropertyUpdateSentMessage",
                "ErrorInvalidRequest",
                "ErrorItemCorrupt",
                "ErrorItemSave",
                "ErrorItemSavePropertyError",
                "ErrorMessageSizeExceeded",
                "ErrorMimeContentConversionFailed",
                "ErrorPropertyUpdate",
                "ErrorRequestStreamTooBig",
                "ErrorSchemaValidation",
                "ErrorVirusDetected",
            }
        ),
    ),
    (Exists, "the mailbox {mailbox} has a folder of this name already", frozenset({"ErrorFolderExists"})),
    (LostState, "the change feed of the mailbox {mailbox} starts again", frozenset({"ErrorInvalidSyncStateData"})),
    (
        Denied,
        "{host} does not let {user} into the mailbox {mailbox}: give it {permission}",
        frozenset(
            {
                "ErrorAccessDenied",
                "ErrorImpersonateUserDenied",
                "ErrorImpersonationDenied",
                "ErrorImpersonationFailed",
                "ErrorMailboxLogonFailed",
                "ErrorSubscriptionAccessDenied",
            }
        ),
    ),
    (
        Denied,
        "{host} has no mailbox {mailbox}: check the address, and whether it was disabled",
        frozenset({"ErrorNonExistentMailbox", "ErrorAccountDisabled"}),
    ),
    (
        Denied,
        "{host} knows {mailbox} by another primary address: write that one",
        frozenset({"ErrorNonPrimarySmtpAddress"}),
    ),
    (
        Denied,
        "{host} takes the password of {user} no longer: set a new one",
        frozenset({"ErrorPasswordExpired", "ErrorPasswordChangeRequired"}),
    ),
    (
        Denied,
        "{host} bars {user} from EWS: allow it in the EWS access policy",
        frozenset({"ErrorUserNotAllowedByPolicy"}),
    ),
)


def translate(error: Exception, party: Party) -> Exception:
    """The error to raise instead. One of an item that nobody foresaw comes back as a plain exception that names it."""
    match error:
        case Answered():
            return _answered(error, party)
        case Status():
            return _status(error, party)
        case Garbled():
            return Unavailable(f"the answer of {party.host} for the mailbox {party.mailbox} is not a whole EWS reply")
        case NoContent():
            return Rejected(f"an attachment in the mailbox {party.mailbox} has no content of its own")
        case EWSError() | requests.RequestException() | HTTPError() | OSError():
            return Unavailable(f"{party.host} cannot be used: {cause(error)}")
        case _:
            return error


#: What Exchange says where it came to grief itself, in passing or at one broken item every time.
_GRIEF = "ErrorInternalServerError"
#: The same, where it gave up.
_SLOW = "ErrorTimeoutExpired"


def _answered(error: Answered, party: Party) -> Exception:
    if error.code == _GRIEF:
        # Of an item it counts: tried again and again, and in the end held. All the mailbox must not wait for one.
        if error.of_item:
            return Conflict(f"{party.host} failed at an item of the mailbox {party.mailbox} ({error.code})")
        return Grief(f"{party.host} failed at the mailbox {party.mailbox} ({error.code})")
    for reaction, sentence, codes in _ANSWERS:
        if error.code in codes:
            told = sentence.format(host=party.host, mailbox=party.mailbox, user=party.user, permission=party.permission)
            told = f"{told} ({error.code})"
            if error.code == _SLOW:
                return Grief(told, error.back_off)
            return Unavailable(told, error.back_off) if reaction is Unavailable else reaction(told)
    told = f"{party.host} answered {error.code} for the mailbox {party.mailbox}, and nobody foresaw that"
    # All the others must not stop with a mailbox whose server has a word of its own for what is wrong with it.
    return RuntimeError(told) if error.of_item else Unavailable(f"{told}: look it up among the response codes of EWS")


def _status(error: Status, party: Party) -> ConnectorError:  # noqa: PLR0911 - one for each answer
    match error.status:
        case HTTPStatus.UNAUTHORIZED:
            return Denied(f"{party.host} refuses the credentials of {party.user}: check user, password and `auth`")
        case HTTPStatus.FORBIDDEN:
            return Denied(f"{party.host} bars {party.user} from EWS: allow EWS for it (Set-CASMailbox -EwsEnabled)")
        case HTTPStatus.NOT_FOUND:
            return Denied(f"{party.host} has no EWS at this address: check `url`")
        case HTTPStatus.OK:
            return Unavailable(f"{party.host} answers with a web page: a login page, or a proxy, stands before EWS")
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return Denied(f"{party.host} sends EWS elsewhere, which is not followed: write that place as `url`")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Rejected(f"{party.host} takes no request of this size: raise maxAllowedContentLength for EWS")
    return Unavailable(f"{party.host} answers with the HTTP status {error.status}", error.retry_after)
