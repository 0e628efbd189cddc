"""A warning that is said again and again is told at once, then counted, and told with its count after a while."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: How long a line that was told is only counted when it is said again, in seconds.
WINDOW = 600.0
#: So many different lines are known at a time: whoever makes us say ever others must not fill our memory.
MOST = 1000
_KEY = "_said"
#: Differs each time that the same thing is said.
_VOLATILE = {"until"}
_COUNTED = {"warning", "error", "exception", "critical"}


@dataclass
class _Said:
    #: As it was said last.
    line: dict[str, Any]
    since: float
    again: int = 0


class Repeats:
    """Two processors of structlog: `recognise` before anything is added to what is said, and itself as the last one.

    Nothing is lost: what was counted is told when its time is over and anything is said, and by `flush`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._render: Processor = structlog.processors.JSONRenderer(default=str)
        self._known: dict[str, _Said] = {}

    def begin(self, render: Processor) -> None:
        """Write lines like this from now on; nothing was said yet."""
        with self._lock:
            self._render, self._known = render, {}

    def recognise(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """What makes two lines the same: all that was said, but not when, and during which tick."""
        if method in _COUNTED:
            said = {name: value for name, value in event.items() if name not in _VOLATILE}
            event[_KEY] = json.dumps(said, default=str, sort_keys=True)
        return event

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """The lines to be written now; drops the event where there is none."""
        with self._lock:
            lines = [*self._over(WINDOW)]
            if not self._counted(event):
                lines.append(dict(event))
            if not lines:
                raise structlog.DropEvent
            return "\n".join(str(self._render(logger, method, each)) for each in lines)

    def flush(self, after: float = 0) -> list[str]:
        """The lines that tell what was counted, and was told first so many seconds ago; it counts anew."""
        with self._lock:
            return [str(self._render(None, "", each)) for each in self._over(after)]

    def _counted(self, event: EventDict) -> bool:
        """Whether it was said before. Otherwise it is known from now on."""
        key = event.pop(_KEY, None)
        if key is None:
            return False
        if said := self._known.get(key):
            said.again, said.line = said.again + 1, dict(event)
        elif len(self._known) < MOST:
            self._known[key] = _Said(dict(event), monotonic())
        return said is not None

    def _over(self, age: float) -> Iterator[dict[str, Any]]:
        """What was counted of the lines that are so old, which are then forgotten."""
        now = monotonic()
        for key in [key for key, said in self._known.items() if now - said.since >= age]:
            said = self._known.pop(key)
            if said.again:
                yield said.line | {"repeated": said.again}
