"""What a handler is given."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.graph.message import Options, Refused, Reply, Request, invalid
from connector.simulator.graph.tenant import Tenant
from connector.simulator.organisation import Organisation


@dataclass(frozen=True)
class App:
    """The app that asks, as its token tells."""

    id: str = ""
    roles: frozenset[str] = frozenset()


@dataclass
class Call:
    """One request that is let in."""

    organisation: Organisation
    request: Request
    app: App
    #: Asks for something else on behalf of the same app.
    send: Callable[[Request], Reply]
    #: The parameters in the path.
    path: dict[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> Tenant:
        """The tenant."""
        return self.organisation.tenant

    @property
    def base(self) -> str:
        """The URL of Graph, as the client wrote it."""
        return f"{self.request.host}/v1.0"

    @cached_property
    def options(self) -> Options:
        """The query options; those of the first request where this one goes on from it."""
        return Options.of(self.first)

    @cached_property
    def first(self) -> dict[str, str]:
        """The query of the first request of a chain of pages."""
        return self.state.get("query") or self.request.query

    @cached_property
    def state(self) -> dict[str, Any]:
        """What a `$skiptoken` or `$deltatoken` carries; empty where the request has none."""
        for name in ("$skiptoken", "$deltatoken"):
            if name in self.request.query:
                return _unpacked(self.request.query[name])
        return {}

    def may(self, *roles: str) -> bool:
        """Whether the app has one of these permissions, in its token or in Exchange alone (facts, A7)."""
        return not {*roles}.isdisjoint(self.app.roles | self.tenant.granted)

    def deviates(self, deviation: Deviation) -> bool:
        """Whether a deviation is switched on."""
        return deviation in self.organisation.deviations

    def link(self, name: str, **state: Any) -> str:
        """A URL that goes on from here. Its token is opaque and carries the first request's options (facts, A1)."""
        packed = base64.urlsafe_b64encode(json.dumps({"query": self.first, **state}).encode()).decode().rstrip("=")
        return f"{self.request.host}{self.request.path}?${name}={packed}"

    def context(self, what: str) -> str:
        """The value of @odata.context."""
        return f"{self.base}/$metadata#{what}"

    def listed(self, what: str, found: Sequence[Any], entity: Any, *, size: int = 10) -> Reply:
        """A page of a list: `entity` makes JSON of each thing that is found."""
        size = self.options.top or self.page_size(size)
        start = self.state.get("skip", self.options.skip)
        told: dict[str, Any] = {"@odata.context": self.context(what)}
        if self.options.count:
            told["@odata.count"] = len(found)
        if start + size < len(found):
            told["@odata.nextLink"] = self.link("skiptoken", skip=start + size)
        return Reply(json={**told, "value": [entity(each) for each in found[start : start + size]]})

    def page_size(self, usual: int) -> int:
        """How many things a page has: `Prefer: odata.maxpagesize=N` may say so."""
        told = self.request.prefers("odata.maxpagesize")
        return max(1, int(told)) if told and told.isdigit() else usual


def streamed(pieces: Iterable[bytes], content_type: str, length: int | None = None) -> Reply:
    """A reply of bytes."""
    return Reply(HTTPStatus.OK, pieces=pieces, content_type=content_type, length=length)


def not_found(code: str = "ErrorItemNotFound") -> Refused:
    """Nothing is there."""
    return Refused(HTTPStatus.NOT_FOUND, code, "The specified object was not found in the store.")


def _unpacked(token: str) -> dict[str, Any]:
    try:
        state = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        invalid("Badly formed token.")
    return state if isinstance(state, dict) else invalid("Badly formed token.")
