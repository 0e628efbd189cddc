"""The process of the pages: what stands around their answers, and how it serves them."""

import asyncio
import ipaddress
import logging
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from connector.config.yamlfile import ConfigError
from connector.links import people
from connector.links.book import Book
from connector.links.refusals import Refusals
from connector.links.settings import LinkSettings
from connector.links.site import Site
from connector.log import Event, log

#: Seconds that a connection may be open without asking for anything, or after its last answer.
_IDLE = 30
#: Connections at the same time, for each download that may be under way.
_CONNECTIONS = 8
_LONGEST_HEAD = 32 * 1024
_ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet",
}
_TLS_FOR_A_YEAR = {"Strict-Transport-Security": "max-age=31536000"}


def application(settings: LinkSettings, site: Site) -> ASGIApp:
    """The pages as one ASGI application."""
    asked = ["GET", "HEAD"]
    routes = [
        Route("/a/{name}{below:path}", site.by_token, methods=[*asked, "POST"]),
        Route("/r/{name}{below:path}", site.by_id, methods=[*asked, "POST"]),
        Route("/login/back", site.back, methods=["GET"]),
        Route("/look/{look}.css", site.style, methods=asked),
        Route("/look/{look}.logo", site.logo, methods=asked),
        Route("/robots.txt", site.robots, methods=asked),
        Route("/{below:path}", site.nothing, methods=[*asked, "POST"]),
    ]
    secure = settings.url.startswith("https://")
    session = Middleware(
        SessionMiddleware,
        secret_key=site.session_key,
        session_cookie="session",
        max_age=people.SESSION,
        same_site="lax",
        https_only=secure,
    )
    inner: ASGIApp = Starlette(
        routes=routes, middleware=[session] if settings.oidc else [], exception_handlers={Exception: site.bug}
    )
    proxies = settings.proxy.addresses if settings.proxy else ()
    if proxies:
        inner = ProxyHeadersMiddleware(inner, trusted_hosts=list(proxies))  # type: ignore[arg-type,assignment]  # its types are narrower than what it takes
    return _Front(inner, proxies, {**_ALWAYS, **(_TLS_FOR_A_YEAR if secure else {})})


class _Front:
    """Tells a proxy that is believed from everybody else, and puts on every answer what keeps browsers careful."""

    def __init__(self, inner: ASGIApp, proxies: tuple[str, ...], headers: Mapping[str, str]) -> None:
        self._inner = inner
        self._proxies = [ipaddress.ip_network(each) for each in proxies]
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            scope["connector.trusted"] = self._trusted(scope)
            await self._inner(scope, receive, self._careful(send))
        else:
            await self._inner(scope, receive, send)

    def _trusted(self, scope: Scope) -> bool:
        try:
            peer = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(peer in each for each in self._proxies)

    def _careful(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                more = [each for each in self._headers if each[0] not in said]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return sent


class _Impatient(H11Protocol):
    """uvicorn's, for a world in which some connections ask for nothing, and some take nothing of what they asked for.

    uvicorn waits for both as long as they like.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to watch."""
        super().connection_made(transport)
        self.loop.call_later(_IDLE, self._look, None)

    def _look(self, seen: object) -> None:
        if self.transport.get_extra_info("socket") is None or self not in self.connections:
            return
        working = self.cycle is not None and not self.cycle.response_complete
        # Ended by us, or without a request since the last look: who still holds it gets no more of our memory.
        if self.transport.is_closing() or (not working and seen is self.cycle):
            self.transport.abort()
            return
        self.loop.call_later(_IDLE, self._look, None if working else self.cycle)


def serve(settings: LinkSettings) -> None:
    """Serve the pages until SIGTERM. Raises ConfigError where it cannot listen there, and what the book raises."""
    with ExitStack() as stack:
        book = stack.enter_context(closing(Book(settings.book)))
        socket_ = stack.enter_context(closing(listening(settings)))
        refusals = stack.enter_context(Refusals(book).written())
        pages = server(settings, Site(settings, book, refusals, lambda: datetime.now(UTC)))
        for each in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises it once more when it has ended well.
            signal.signal(each, lambda *_: None)
        log.info(Event.LINKS_SERVED, port=socket_.getsockname()[1])
        pages.run(sockets=[socket_])


def server(settings: LinkSettings, site: Site) -> uvicorn.Server:
    """What serves the pages, to be run with what it listens on."""
    config = uvicorn.Config(
        application(settings, site),
        http=_Impatient,
        loop="asyncio",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        limit_concurrency=_CONNECTIONS * settings.limits.downloads,
        timeout_graceful_shutdown=_IDLE,
    )
    made = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").addFilter(_unforeseen)
    return made


def _unforeseen(record: logging.LogRecord) -> bool:
    """Not that an answer was left incomplete: that is how a download ends that must not be taken for whole."""
    return "without completing response" not in record.getMessage()


def listening(settings: LinkSettings) -> socket.socket:
    """Where the pages are asked. Raises ConfigError."""
    where = (settings.listen.address, settings.listen.port)
    family = socket.AF_INET6 if ":" in settings.listen.address else socket.AF_INET
    try:
        return socket.create_server(where, family=family, backlog=1024)
    except OSError as error:
        raise ConfigError(f"listen: cannot listen on {where[0]} port {where[1]}: {error.strerror}") from None
