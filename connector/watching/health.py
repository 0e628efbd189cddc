"""Whether the daemon is well: for Prometheus, for whoever restarts it, and for `connector status`.

    /metrics   for Prometheus (`connector.watching.metrics`)
    /healthz   200 while the scheduler turns; 503 where it has stood still
    /readyz    200 while the ledger can be written and every store is ours; 503 with the reasons otherwise

Nothing listens unless connector.yaml says so, and then on this machine alone, unless it says otherwise. Whoever may
ask learns numbers and reasons, never a mailbox, a message or a file. The same is written into a file of the state
folder, which needs no port.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from connector import __version__
from connector.config.settings import MetricsSettings, Settings
from connector.endpoint import Answering, Guarded
from connector.flow.turn import Clock
from connector.ledger import Ledger, LedgerError
from connector.log import Event, flush, log
from connector.log.repeats import WINDOW
from connector.pauses import STOPS
from connector.watching.metrics import Metrics, Standing
from connector.watching.status import SAID, STILL, DaemonAtWork, TenantAtWork

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
Answer = tuple[int, str, bytes]


class Health:
    """What the daemon says of itself. Threads may ask it at a time."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        standing: Callable[[], Sequence[Standing]],
        clock: Clock,
        *,
        since: datetime,
    ) -> None:
        """Nobody can ask before it `beats`."""
        place = None if settings.ledger else settings.state / "ledger.db"
        self._metrics = Metrics(ledger, place, standing, clock)
        self._ledger, self._standing, self._clock = ledger, standing, clock
        self._file = settings.state / SAID
        self._address = settings.metrics
        self._since, self._beaten = since, clock()
        self._server: Guarded | None = None

    def beat(self) -> None:
        """Called by the scheduler: it turns. Also what has to be done once in a while, and what was to be tried again.

        A port that another program has costs no more than what is asked there.
        """
        self._beaten = self._clock()
        flush(WINDOW)
        self._write()
        if self._address and not self._server:
            self._open(self._address)

    def close(self) -> None:
        """Answer nobody any more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        with suppress(OSError):
            self._file.unlink()

    def answer(self, path: str) -> Answer:
        """The status, the type and the body for whoever asks."""
        match path:
            case "/metrics":
                return 200, _TEXT, self._metrics.text()
            case "/healthz":
                alive = timedelta(0) <= self._clock() - self._beaten < STILL
                return _told(alive, {"alive": alive, "beaten": self._beaten})
            case "/readyz":
                reasons = [*self._unready()]
                return _told(not reasons, {"ready": not reasons, "reasons": reasons})
        return 404, "text/plain", b"Ask for /metrics, /healthz or /readyz.\n"

    def _unready(self) -> Iterator[Mapping[str, Any]]:
        """What keeps us from the work, with what to do about it."""
        try:
            self._ledger.require_writable()
            pauses = {each.name: each for each in self._ledger.pauses(self._clock())}
        except LedgerError as error:
            yield {"what": "ledger", "reason": str(error), "to_do": Event.LEDGER_FAILED.to_do}
            return
        for each in self._standing():
            stops = [name.of(each.tenant) for name in STOPS]
            standing = [pauses[name] for name in stops if name in pauses]
            for pause in standing:
                yield {"tenant": each.tenant, "what": pause.error, "reason": pause.reason, "until": pause.until}
            if each.aside:
                yield {"tenant": each.tenant, "what": "configuration", "reason": each.aside}
            elif not (each.claimed or standing):
                yield {"tenant": each.tenant, "what": "store", "reason": "the store was not asked yet"}

    def _open(self, address: MetricsSettings) -> None:
        try:
            self._server = _server(address, self)
        except OSError as error:
            log.error(Event.HEALTH_UNHEARD, host=address.host, port=address.port, reason=error.strerror)
            return
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        log.info(Event.HEALTH_SERVED, host=address.host, port=self._server.server_port)

    def _write(self) -> None:
        """For `connector status`: in one piece, and never in the way of the work."""
        told = DaemonAtWork(
            version=__version__,
            pid=os.getpid(),
            since=self._since,
            at=self._beaten,
            tenants=tuple(
                TenantAtWork(
                    tenant=each.tenant,
                    mailboxes=each.mailboxes,
                    store_claimed=each.claimed,
                    oldest_tick=min(each.ticked, default=None),
                    last_tick=max(each.ticked, default=None),
                    hints_connected=each.heard,
                    hints_wanted=each.hinted,
                    aside=each.aside,
                )
                for each in self._standing()
            ),
        )
        with suppress(OSError):
            new = self._file.with_name(f"{SAID}.new")
            new.write_text(told.model_dump_json(), encoding="utf-8")
            new.replace(self._file)


def _told(well: bool, what: Mapping[str, Any]) -> Answer:  # noqa: FBT001 - what is asked
    return 200 if well else 503, "application/json", json.dumps(what, default=_as_json).encode() + b"\n"


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _server(address: MetricsSettings, health: Health) -> Guarded:
    class Asked(Answering):
        def do_GET(self) -> None:  # noqa: N802 - http.server wants it so
            self.answer(*health.answer(self.path.partition("?")[0]))

    return Guarded(address.host, address.port, Asked)
