"""Graph over HTTP: throttling, and the faults on the wire."""

import json
import re
import ssl
import uuid
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

from connector.simulator.control import Control
from connector.simulator.faults import Busy, When
from connector.simulator.graph.message import Refused, Reply, Request
from connector.simulator.graph.service import Target, answer, told
from connector.simulator.graph.tenant import CONCURRENT
from connector.simulator.wire import Header, Wire

_OURS = re.compile(r"/(v1\.0|beta|preauthenticated)(/|$)|/[^/]+/(oauth2/)?v2\.0/", re.IGNORECASE)

#: Told each request with its reply.
Witness = Callable[[Request, Reply], None]


def serves(path: str) -> bool:
    """Whether a path is Graph's or its logins'."""
    return _OURS.match(path) is not None


class Graph:
    """Graph on one connection."""

    def __init__(self, control: Control, witness: Witness | None) -> None:
        self._control = control
        self._witness = witness

    def serve(self, wire: Wire) -> None:
        """Answer one request. Raises Dropped where the connection is to end."""
        scheme = "https" if isinstance(wire.connection, ssl.SSLSocket) else "http"
        host = f"{scheme}://{wire.headers.get('Host', '')}"
        request = Request.to(wire.command, wire.path, wire.headers.items(), host, wire.body())
        target = Target.of(self._control.organisation, request)
        faults = self._control.faults
        number = faults.count(target.operation, target.mailbox)
        faults.strike(number, When.BEFORE)
        tenant = self._control.organisation.tenant
        with tenant.one_more(target.mailbox) if target.mailbox else nullcontext(0) as now_open:
            reply = self._answer(request, target, now_open)
            faults.strike(number, When.AFTER)
            if self._witness is not None:
                self._witness(request, reply)
            for _ in request.chunks():
                pass  # what nobody read would be taken for the next request
            _send(wire, request, reply, half=number in faults.truncated)

    def _answer(self, request: Request, target: Target, now_open: int) -> Reply:
        try:
            if target.is_throttled:
                self._refuse_when_busy(target, now_open)
        except Refused as refused:
            return told(refused, request)
        return answer(self._control.organisation, request, target, self._within_batch)

    def _within_batch(self, request: Request) -> Reply:
        """Requests within a batch are throttled and judged one by one (facts, A5)."""
        tenant = self._control.organisation.tenant
        target = Target.of(self._control.organisation, request)
        with tenant.one_more(target.mailbox) if target.mailbox else nullcontext(0) as now_open:
            reply = self._answer(request, target, now_open)
        if self._witness is not None:
            self._witness(request, reply)
        return reply

    def _refuse_when_busy(self, target: Target, now_open: int) -> None:
        tenant = self._control.organisation.tenant
        tenant.notice_early(target.mailbox, target.operation)
        if now_open > CONCURRENT:
            says = "Application is over its MailboxConcurrency limit."
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "ApplicationThrottled", says, ("Retry-After", "1"))
        try:
            self._control.faults.turn_away()
        except Busy as busy:
            seconds, headers = _retry_after(busy)
            tenant.send_away(target.mailbox, seconds)
            unavailable = busy.status == HTTPStatus.SERVICE_UNAVAILABLE
            status = HTTPStatus.SERVICE_UNAVAILABLE if unavailable else HTTPStatus.TOO_MANY_REQUESTS
            code = "serviceNotAvailable" if unavailable else "TooManyRequests"
            raise Refused(status, code, "Please retry again later.", *headers) from None


def _send(wire: Wire, request: Request, reply: Reply, *, half: bool) -> None:
    headers = [*reply.headers, ("request-id", str(uuid.uuid4()))]
    if request.header("client-request-id"):
        headers.append(("client-request-id", request.header("client-request-id")))
    pieces: Iterable[bytes] = reply.pieces or ()
    if reply.json is not None:
        pieces = [json.dumps(reply.json).encode()]
    content_type = reply.content_type if reply.json is not None or reply.pieces is not None else ""
    if half:
        wire.reply_half(reply.status, content_type, b"".join(pieces), *headers)
    elif reply.pieces is None:
        wire.reply(reply.status, content_type, b"".join(pieces), *headers)
    elif reply.length is not None:
        wire.reply_stream(reply.status, content_type, pieces, reply.length, *headers)
    else:
        wire.reply_chunked(reply.status, content_type, pieces, *headers)


def _retry_after(busy: Busy) -> tuple[float, list[Header]]:
    """How long to stay away, in whole seconds, and the header that says so (RFC 9110, 10.2.3)."""
    seconds = -(-busy.back_off // 1000)
    if busy.retry_after == "absent":
        return 0, []
    if busy.retry_after == "date":
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        return (until - datetime.now(UTC)).total_seconds(), [("Retry-After", format_datetime(until, usegmt=True))]
    return seconds, [("Retry-After", str(seconds))]
