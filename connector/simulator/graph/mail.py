"""A mailbox as an app may open it, and the rules for writing to it."""

from collections.abc import Callable
from http import HTTPStatus

from connector.simulator.deviations import Deviation
from connector.simulator.graph.call import Call
from connector.simulator.graph.directory import find_user
from connector.simulator.graph.message import Refused, Reply
from connector.simulator.graph.routes import Handler
from connector.simulator.mailbox import Item, Mailbox

ADVANCED = "Mail-Advanced.ReadWrite.All"
READ = ("Mail.Read", "Mail.ReadWrite", ADVANCED)
WRITE = ("Mail.ReadWrite", ADVANCED)


def opened(answer: Callable[[Call, Mailbox], Reply]) -> Handler:
    """A handler that is given the mailbox of the user in the path, and has it for itself."""

    def handler(call: Call) -> Reply:
        mailbox = open_mailbox(call)
        with mailbox.lock:
            return answer(call, mailbox)

    return handler


def open_mailbox(call: Call) -> Mailbox:
    """The mailbox of the user in the path. Raises Refused where the app may not open it, or Graph has none."""
    mailbox = find_user(call.organisation, call.path["user"])
    if mailbox is None:
        says = f"The requested user '{call.path['user']}' is invalid."
        raise Refused(HTTPStatus.NOT_FOUND, "ErrorInvalidUser", says)
    scope = call.organisation.scope
    if scope is not None and mailbox.address not in scope:  # facts, A7
        raise access_denied("Access to OData is disabled.")
    if mailbox.place == "on premises":  # facts, A1: app-only Graph never reached mailboxes on premises
        says = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        raise Refused(HTTPStatus.NOT_FOUND, "MailboxNotEnabledForRESTAPI", says)
    return mailbox


def access_denied(says: str = "Access is denied. Check credentials and try again.") -> Refused:
    """The app lacks a permission, or the mailbox is not for it."""
    return Refused(HTTPStatus.FORBIDDEN, "ErrorAccessDenied", says)


def refuse_for_good(call: Call) -> None:
    """Raise where the cloud cannot delete for good."""
    if call.deviates(Deviation.NO_PERMANENT_DELETE):
        says = "Resource not found for the segment 'permanentDelete'."
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", says)


def refuse_sensitive(call: Call, item: Item) -> None:
    """Raise where only the advanced permission may change a message that is no draft (facts, 0: from 2026-12-31)."""
    if not item.message.draft and not call.deviates(Deviation.UNGATED_BODIES) and not call.may(ADVANCED):
        raise access_denied()


def refuse_attachments(call: Call, item: Item) -> None:
    """Whether attachments are as sensitive as bodies is not said anywhere (facts, 0)."""
    if call.deviates(Deviation.GATED_ATTACHMENTS) and not item.message.draft and not call.may(ADVANCED):
        raise access_denied()


def refuse_conflict(call: Call, item: Item) -> None:
    """Raise where the item is not what the caller read, or, at random, where Exchange thinks so (facts, A4)."""
    told = call.request.header("If-Match", "*")
    stale = told not in ("*", etag(item)) and not call.deviates(Deviation.IGNORE_IF_MATCH)
    if stale or call.tenant.chance.random() < call.tenant.conflicts:
        says = (
            "The send or update operation could not be performed because the change key passed in the request "
            "does not match the current change key for the item."
        )
        raise Refused(HTTPStatus.PRECONDITION_FAILED, "ErrorIrresolvableConflict", says)


def etag(item: Item) -> str:
    """A weak ETag that holds the change key (facts, A2)."""
    return f'W/"{item.change_key}"'
