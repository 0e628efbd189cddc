"""A simulated Exchange with many mailboxes, as a process of its own: `python -m tests.bench.post MAILBOXES FOLDERS`.

It tells in one line of JSON where it listens. Then it takes orders, a line of JSON each, and answers each with one:
`{"deliver": MESSAGES, "seconds": PAUSE}` delivers to one mailbox after the other, and answers when each message shows
its notice, by the clock of this process: how many seconds after its arrival. It looks at what GetItem would show.
`{"asked": true}` has it count what it was asked since its last reset.
`{"fill": MAILBOX, "messages": MESSAGES}` makes a mailbox beside those, with so many messages.
"""

import json
import sys
import threading
import time
from collections import Counter
from datetime import timedelta

from connector.simulator import Exchange
from connector.simulator.control import deliver
from connector.simulator.mailbox import Item, Mailbox
from tests.bench.exchange import eml

#: Bytes of each attachment.
SIZE = 20_000
#: How long a message may take until nobody waits for it any more.
PATIENCE = 1800.0
PROBE = "probe@example.org"


class Post:
    """Delivers, and looks at what becomes of it."""

    def __init__(self, mailboxes: list[Mailbox]) -> None:
        self._mailboxes = mailboxes
        self._number = 0
        self._lock = threading.Lock()
        #: What shows no notice yet, and when it came.
        self._waiting: dict[str, tuple[Item, float]] = {}
        self._took: list[float] = []

    def deliver(self, messages: int, pause: float) -> list[float]:
        """Deliver so many, so far apart; how long each of them took."""
        self._took = []
        watching = threading.Thread(target=self._watch, daemon=True)
        begun = time.monotonic()
        for number in range(messages):
            self._deliver_one()
            if number == 0:
                watching.start()
            # By the clock, not by what is left to do: a late one makes no other late.
            time.sleep(max(begun + (number + 1) * pause - time.monotonic(), 0))
        last = time.monotonic()
        while self._waiting and time.monotonic() - last < PATIENCE:
            time.sleep(0.05)
        with self._lock:
            lost, self._waiting = len(self._waiting), {}
        watching.join()
        if lost:
            raise TimeoutError(f"{lost} messages show no notice after {PATIENCE} seconds")
        return self._took

    def _deliver_one(self) -> None:
        # In an order that is no order, or one thread of the daemon would follow it.
        mailbox = self._mailboxes[self._number * 7919 % len(self._mailboxes)]
        item = deliver(mailbox, eml(mailbox.address, self._number, SIZE), "Inbox")
        self._number += 1
        with self._lock:
            self._waiting[item.id] = item, time.monotonic()

    def _watch(self) -> None:
        while True:
            with self._lock:
                waiting = [*self._waiting.items()]
            if not waiting:
                return
            begun = time.monotonic()
            shown = {id_: begun - came for id_, (item, came) in waiting if "data-redirect" in item.message.body}
            with self._lock:
                self._took += shown.values()
                self._waiting = {id_: each for id_, each in self._waiting.items() if id_ not in shown}
            # To look takes a tenth of the time, however many are waited for.
            time.sleep(max(0.01, 9 * (time.monotonic() - begun)))


def main(mailboxes: int, folders: int) -> None:
    """Serve until standard input ends."""
    with Exchange() as exchange:
        organisation = exchange._organisation
        organisation.add_mailbox(PROBE)
        houses = [organisation.add_mailbox(f"user{number:05}@example.org") for number in range(mailboxes)]
        for each in houses:
            for number in range(folders):
                each.create_folder(f"Folder {number:02}", each.distinguished["msgfolderroot"])
            for folder in each.folders.values():
                # What was changed within a minute is looked into again.
                folder.committed -= timedelta(hours=1)
        _tell(
            {
                "url": exchange.ews,
                "control": exchange.control,
                "mailboxes": [each.address for each in houses],
                **exchange.impersonator,
            }
        )
        post = Post(houses)
        for line in sys.stdin:
            order = json.loads(line)
            if "asked" in order:
                _tell({"asked": Counter(exchange.seen)})
            elif "fill" in order:
                exchange.add_mailbox(order["fill"])
                for number in range(order["messages"]):
                    exchange.deliver(order["fill"], eml(order["fill"], number, SIZE))
                _tell({})
            else:
                _tell({"took": post.deliver(order["deliver"], order["seconds"])})


def _tell(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
