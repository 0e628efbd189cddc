"""From a request to the function that answers it: the tables of all routes, the token check, permissions."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from connector.simulator.faults import Dropped
from connector.simulator.graph import attachments, batch, directory, folders, login, messages, subscriptions
from connector.simulator.graph.call import App, Call
from connector.simulator.graph.files import delta, finding, items, transfer
from connector.simulator.graph.message import Refused, Reply, Request
from connector.simulator.graph.routes import Route
from connector.simulator.organisation import Organisation

_log = logging.getLogger(__name__)

GRAPH_PATH = "/v1.0"
_ME = re.compile(r"^/me(?=/|$)", re.IGNORECASE)
#: With a token, below GRAPH_PATH. The first that matches answers.
_ROUTES: tuple[Route, ...] = (
    *batch.ROUTES,
    *directory.ROUTES,
    *folders.ROUTES,
    *messages.ROUTES,
    *attachments.ROUTES,
    *subscriptions.ROUTES,
    *finding.ROUTES,
    *delta.ROUTES,
    *transfer.ROUTES,
    *items.ROUTES,
)
#: Without one: the login, and URLs that are a secret themselves.
_OPEN: tuple[Route, ...] = (*login.ROUTES, *attachments.PREAUTHENTICATED, *transfer.OPEN)


@dataclass(frozen=True)
class Target:
    """Where a request leads to."""

    operation: str
    #: None where nothing is there.
    route: Route | None
    #: The parameters in the path.
    path: dict[str, str]
    #: The address of the mailbox that it is about, "" where it is about none.
    mailbox: str

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self.route in _OPEN

    @property
    def is_throttled(self) -> bool:
        """Whether it counts: of a batch, the requests in it do (facts, A5)."""
        return self.route is not None and not self.open and self.route not in batch.ROUTES

    @classmethod
    def of(cls, organisation: Organisation, request: Request) -> "Target":
        """The target of a request."""
        route, path = _routed(request)
        if path.get("user") == "me":
            path["user"] = login.owner(organisation, request) or "me"
        owner = directory.find_user(organisation, path["user"]) if "user" in path else None
        operation = route.operation if route else request.method
        return cls(operation, route, path, owner.address if owner else "")


def answer(organisation: Organisation, request: Request, target: Target, send: Callable[[Request], Reply]) -> Reply:
    """Do what a request asks, or tell what is wrong with it. `send` answers the requests within a batch.

    Raises Dropped where its client went away before all of it had come.
    """
    try:
        return _perform(organisation, request, target, send)
    except Refused as refused:
        return told(refused, request)
    except Dropped:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the client gets the answer that Graph would give
        _log.exception("a bug of the simulator in %s", target.operation)
        says = "An internal server error occurred. The operation failed."
        return told(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "ErrorInternalServerError", says), request)


def told(refused: Refused, request: Request) -> Reply:
    """The reply that tells an error."""
    inner = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        "request-id": str(uuid.uuid4()),
        "client-request-id": request.header("client-request-id", str(uuid.uuid4())),
    }
    return Reply.of(refused, inner)


def _perform(organisation: Organisation, request: Request, target: Target, send: Callable[[Request], Reply]) -> Reply:
    app = App() if target.open else login.admit(organisation, request)
    route = target.route
    if route is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", "Resource not found for the segment.")
    call = Call(organisation, request, app, send, target.path)
    if route.roles and not call.may(*route.roles):
        mail = any(role.startswith("Mail") for role in route.roles)
        code = "ErrorAccessDenied" if mail else "Authorization_RequestDenied"
        raise Refused(HTTPStatus.FORBIDDEN, code, "Access is denied. Check credentials and try again.")
    return route.answer(call)


def _routed(request: Request) -> tuple[Route | None, dict[str, str]]:
    """The route of a request, and the parameters in its path."""
    below = _ME.sub("/users/me", request.path.removeprefix(GRAPH_PATH))
    for table, path in ((_ROUTES, below if below != request.path else ""), (_OPEN, request.path)):
        for route in table:
            if (found := route.match(request.method, path)) is not None:
                return route, found
    return None, {}
