"""The web server: one port for EWS, Graph with its logins, and the control page."""

import ssl
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

from connector.simulator.control import Control
from connector.simulator.ews import http as ews
from connector.simulator.faults import Dropped
from connector.simulator.graph import http as graph
from connector.simulator.wire import Listening, Wire

CONTROL_PATH = "/control"


class Server(Listening):
    """One port for all of it."""

    def __init__(
        self,
        port: int,
        control: Control,
        *,
        witness: ews.Witness | None,
        graph_witness: graph.Witness | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(port, partial(_Connection, control=control, witness=witness, graph_witness=graph_witness), tls)


class _Connection(Wire):
    """One connection of a client; each request goes to whom its path belongs."""

    def __init__(
        self, *arguments: Any, control: Control, witness: ews.Witness | None, graph_witness: graph.Witness | None
    ) -> None:
        self._control = control
        self._ews = ews.Ews(control, witness)
        self._graph = graph.Graph(control, graph_witness)
        super().__init__(*arguments)

    def body(self) -> Iterator[bytes]:
        """All of the request's body. Raises Dropped where its client goes away before: then nothing has been asked."""
        left = int(self.headers.get("Content-Length", 0))
        for piece in super().body():
            left -= len(piece)
            yield piece
        if left > 0:
            raise Dropped

    def do_GET(self) -> None:
        """The control page; Graph; or what Exchange answers to a browser."""
        if self.path == CONTROL_PATH:
            self.reply_json(self._control.report())
        elif graph.serves(self.path):
            self._until_dropped(self._graph.serve)
        else:
            self._ews.greet(self)

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_POST(self) -> None:
        """A request in SOAP, one of Graph, or an order to the control page."""
        if self.path == CONTROL_PATH:
            told = self._control.obey_json(b"".join(self.body()))
            self.reply_json(told, HTTPStatus.BAD_REQUEST if "error" in told else HTTPStatus.OK)
        elif graph.serves(self.path):
            self._until_dropped(self._graph.serve)
        elif self.path.lower() == ews.EWS_PATH.lower():
            self._until_dropped(self._ews.serve)
        else:
            self._nobody()

    def do_PATCH(self) -> None:
        """Only Graph has these."""
        if graph.serves(self.path):
            self._until_dropped(self._graph.serve)
        else:
            self._nobody()

    def do_PUT(self) -> None:
        """Likewise."""
        self.do_PATCH()

    def do_DELETE(self) -> None:
        """Likewise."""
        self.do_PATCH()

    def _nobody(self) -> None:
        for _ in self.body():
            pass
        self.reply(HTTPStatus.NOT_FOUND, "text/plain", b"")

    def _until_dropped(self, serve: Callable[[Wire], None]) -> None:
        try:
            serve(self)
        except Dropped:
            self.drop()
