"""Which function answers which path: tables of `Route`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from connector.simulator.graph.call import Call
    from connector.simulator.graph.message import Reply

Handler = Callable[["Call"], "Reply"]


@dataclass(frozen=True)
class Route:
    """A method and a path whose `{names}` are parameters; `{name...}` goes over slashes. Any one role suffices."""

    method: str
    pattern: str
    answer: Handler
    roles: tuple[str, ...] = ()

    @cached_property
    def operation(self) -> str:
        """What tests call it: `PATCH messages`, `GET messages/delta`, `GET attachments/$value`."""
        parts = [part for part in self.pattern.split("/") if part]
        words = [part for part in parts if "{" not in part]
        pair = len(words) > 1 and (words[-1].startswith("$") or parts[-2:] == words[-2:])
        return f"{self.method} {'/'.join(words[-2:] if pair else words[-1:])}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The parameters in a path; None where it is not this route's."""
        found = self._expression.fullmatch(path) if method == self.method else None
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+(?:\.\.\.)?\})", self.pattern)
        return re.compile("".join(_part(part) for part in parts) + r"(?:\(\))?", re.IGNORECASE)


def _part(part: str) -> str:
    """Paths have no case; functions may be written with parentheses (OData 4.01, URL conventions 4.4)."""
    if not part.startswith("{"):
        return re.escape(part)
    name = part.strip("{.}")
    return f"(?P<{name}>.+?)" if part.endswith("...}") else f"(?P<{name}>[^/]+?)"
