"""Where servers tell what happens: one connection for hints, which is made anew for ever."""

import threading
from collections.abc import Callable, Collection
from contextlib import closing
from datetime import datetime, timedelta

from connector.daemon.process import clock
from connector.daemon.tenants import Mailbox, Tenant
from connector.errors import ConnectorError, Unavailable
from connector.flow.turn import DENIED_PAUSE, UNAVAILABLE_PAUSE, outage
from connector.ledger import LedgerError
from connector.log import Event, blaming, log
from connector.sources import Hints

#: A connection for hints that broke is made anew after the first, then ever later, up to the last.
SOONEST, LATEST = timedelta(seconds=1), timedelta(minutes=5)
#: A connection that ended sooner than this did not go well, whatever the server says.
STEADY = timedelta(minutes=1)
#: How long the end of the process, or another configuration, waits for connections that are closed.
LETTING_GO = timedelta(seconds=10)


class Listener:
    """A thread that passes the hints of one connection on, and connects again for ever."""

    def __init__(
        self,
        hints: Hints,
        tenant: Tenant,
        *,
        left_alone: Callable[[], Collection[str]],
        hinted: Callable[[Mailbox], None],
    ) -> None:
        """Begins at once. A mailbox whose address is `left_alone` is not subscribed to either."""
        self._hints = hints
        self._tenant = tenant
        self._left_alone = left_alone
        self._hinted = hinted
        self._stopping = threading.Event()
        #: Whether the connection stands; None before it was tried.
        self._stands: bool | None = None
        #: Since when it has stood.
        self._began: datetime | None = None
        #: How often in a row it did not go well.
        self._failures = 0
        # As a daemon, which the end of the process does not wait for: a read blocks until the server speaks.
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more. Returns at once; the thread may wait for the server until the process ends."""
        self._stopping.set()

    def wait(self) -> None:
        """After `stop`: until what the server keeps for us is given back, where that is a matter of seconds."""
        if self._hints.prompt:
            self._thread.join(LETTING_GO.total_seconds())

    @property
    def heard(self) -> Collection[str]:
        """The addresses of the mailboxes of which the server tells now."""
        return self._hints.hears if self._stands else ()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._hints.addresses:
                self._listen()
            else:  # A directory was not asked yet.
                self._stopping.wait(SOONEST.total_seconds())

    def _listen(self) -> None:
        """One connection to its end, and the wait until the next."""
        self._began = None
        reason, wait, failed = "the server ended the connection", timedelta(0), None
        try:
            self._pass_on()
        except ConnectorError as error:
            failed, reason = error, str(error)
            wait = outage(error, timedelta(0)) if isinstance(error, Unavailable) else DENIED_PAUSE
        except LedgerError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs no more than the hints
            if not self._stopping.is_set():
                log.exception(Event.BUG)
            reason = f"a bug in connector: {type(error).__name__}"
        steady = self._began is not None and clock() - self._began > STEADY
        self._failures = 0 if steady else min(self._failures + 1, 10)
        if self._failures:
            wait = max(wait, min(SOONEST * 2 ** (self._failures - 1), LATEST))
        if wait and not self._stopping.is_set():
            with blaming(failed):
                self._lost(reason)
        self._stopping.wait(wait.total_seconds())

    def _pass_on(self) -> None:
        mailboxes, left_alone = self._mailboxes(), self._left_alone()
        wanted = [address for address in mailboxes if address not in left_alone]
        if not wanted:
            raise Unavailable("its mailboxes are left alone for now", UNAVAILABLE_PAUSE)
        with closing(self._hints.listen(wanted)) as connection:
            for told in connection:
                if self._stopping.is_set():
                    return
                self._began = self._began or clock()
                self._connected()
                for address in told:
                    self._hinted(mailboxes[address])

    def _mailboxes(self) -> dict[str, Mailbox]:
        """Those of the tenant's that it may be asked to listen for."""
        known = {mailbox.source.address: mailbox for mailbox in self._tenant.mailboxes}
        return {address: known[address] for address in self._hints.addresses if address in known}

    def _connected(self) -> None:
        if not self._stands:
            hears = len(self._hints.hears)
            log.info(Event.HINTS_CONNECTED, tenant=self._tenant.name, hears=hears, of=len(self._hints.addresses))
        self._stands = True

    def _lost(self, reason: str) -> None:
        if self._stands is not False:
            log.warning(Event.HINTS_LOST, tenant=self._tenant.name, of=len(self._hints.addresses), reason=reason)
        self._stands = False
