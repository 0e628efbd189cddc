"""EWS over HTTP: the login, SOAP in and out, and the faults on the wire."""

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.cookies import SimpleCookie

from connector.simulator.control import Control
from connector.simulator.ews.auth import Login
from connector.simulator.ews.call import Malformed
from connector.simulator.ews.service import Caller, perform
from connector.simulator.ews.soap import CONTENT_TYPE, Element, Refused, as_message, fault, local, read
from connector.simulator.faults import Busy, When
from connector.simulator.wire import Header, Wire

_log = logging.getLogger(__name__)

EWS_PATH = "/EWS/Exchange.asmx"
_AFFINITY = "X-BackEndOverrideCookie"

#: Told the raw request and the raw reply; of a stream of events, each envelope.
Witness = Callable[[bytes, bytes], None]


class Ews:
    """EWS on one connection: NTLM proves a connection, not a request."""

    def __init__(self, control: Control, witness: Witness | None) -> None:
        self._control = control
        self._witness = witness
        self._login = Login(control.organisation)

    def greet(self, wire: Wire) -> None:
        """What Exchange answers to a browser (405 would be fatal to DavMail)."""
        if self._user(wire) is not None:
            wire.reply(HTTPStatus.OK, "text/html", b"<html><body>Service</body></html>")

    def serve(self, wire: Wire) -> None:
        """A request in SOAP. Raises Dropped where the connection is to end."""
        body = b"".join(wire.body())
        if (user := self._user(wire)) is None:
            return
        try:
            header, request = read(body)
        except Refused as refused:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            _send(wire, status, self._witnessed(body, [fault(refused)], status))
            return
        self._serve(wire, _caller(wire, user), body, header, request)

    def _serve(self, wire: Wire, caller: Caller, body: bytes, header: Element, request: Element) -> None:
        faults = self._control.faults
        number = faults.count(local(request), caller.anchor)
        faults.strike(number, When.BEFORE)
        status, reply = self._answer(caller, header, request)
        faults.strike(number, When.AFTER)
        cookies = _cookies(caller)
        if local(request) == "GetStreamingEvents" and status is HTTPStatus.OK:
            _send(wire, status, self._witnessed_each(body, reply), *cookies)
        elif number in faults.truncated:
            wire.reply_half(status, CONTENT_TYPE, b"".join(reply), *cookies)
        else:
            _send(wire, status, self._witnessed(body, reply, status), *cookies)

    def _answer(self, caller: Caller, header: Element, request: Element) -> tuple[HTTPStatus, Iterable[bytes]]:
        """Do what is asked; status and reply."""
        try:
            self._control.faults.turn_away()
            return HTTPStatus.OK, perform(self._control.organisation, caller, header, request)
        except Refused as refused:
            if refused.fault:
                return HTTPStatus.INTERNAL_SERVER_ERROR, [fault(refused)]
            return HTTPStatus.OK, [as_message(local(request), refused)]
        except Busy as busy:
            return _turned_away(busy, local(request))
        except Malformed:
            return HTTPStatus.OK, [b"<?xml version="]
        except Exception:  # noqa: BLE001 - whatever it is, the client gets the answer that Exchange would give
            _log.exception("a bug of the simulator in %s", local(request))
            return HTTPStatus.INTERNAL_SERVER_ERROR, [fault(Refused("ErrorInternalServerError", fault=True))]

    def _user(self, wire: Wire) -> str | None:
        """Who asks; where that is nobody, 401 has been answered."""
        user, offers = self._login.check(wire.headers.get("Authorization"))
        if user is None:
            wire.reply(HTTPStatus.UNAUTHORIZED, "text/plain", b"", *(("WWW-Authenticate", each) for each in offers))
        return user

    def _witnessed(self, request: bytes, reply: Iterable[bytes], status: HTTPStatus) -> Iterable[bytes]:
        if self._witness is None or status is HTTPStatus.SERVICE_UNAVAILABLE:
            return reply
        whole = b"".join(reply)
        self._witness(request, whole)
        return [whole]

    def _witnessed_each(self, request: bytes, stream: Iterable[bytes]) -> Iterator[bytes]:
        for envelope in stream:
            if self._witness is not None:
                self._witness(request, envelope)
            yield envelope
            yield b""  # each envelope leaves at once


def _caller(wire: Wire, user: str) -> Caller:
    cookie = SimpleCookie(wire.headers.get("Cookie", "")).get(_AFFINITY)
    return Caller(
        user=user,
        anchor=wire.headers.get("X-AnchorMailbox", ""),
        affinity=wire.headers.get("X-PreferServerAffinity", "").lower() == "true",
        cookie=cookie.value if cookie else "",
    )


def _cookies(caller: Caller) -> list[Header]:
    if not caller.affinity or caller.cookie:
        return []
    return [("Set-Cookie", f"{_AFFINITY}={caller.server}; path=/; HttpOnly")]


def _send(wire: Wire, status: HTTPStatus, reply: Iterable[bytes], *headers: Header) -> None:
    wire.reply_chunked(status, CONTENT_TYPE, reply, *headers, *_names(wire))


def _names(wire: Wire) -> Iterator[Header]:
    """How a request is found in the logs of the server: its own name, the client's if wanted, and who had it."""
    yield "request-id", str(uuid.uuid4())
    yield "X-FEServer", "SIMULATOR"
    if wire.headers.get("return-client-request-id", "").lower() == "true":
        yield "client-request-id", wire.headers.get("client-request-id", "")


def _turned_away(busy: Busy, operation: str) -> tuple[HTTPStatus, Iterable[bytes]]:
    """EWSD: ews-throttling-in-exchange: as a fault (500) or as a result (200); 503 is the queue of IIS."""
    status = HTTPStatus(busy.status)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return status, [b""]
    says = "The server cannot service this request right now. Try again later."
    refused = Refused("ErrorServerBusy", says, fault=status is not HTTPStatus.OK, back_off=busy.back_off)
    return status, [fault(refused) if refused.fault else as_message(operation, refused)]
