"""A channel for trials, as a `ShareProbe`: what no watched share is ever asked for."""

from contextlib import suppress

from connector.errors import Gone
from connector.sources.teams.drive import GraphDrive


class DriveProbe(GraphDrive):
    """See `ShareProbe`. Trials lie in the first of its roots."""

    def make(self, name: str, content: bytes) -> str:
        """See `ShareProbe.make`. One request."""
        return str(self._put(f"{self._in(self._trials, name)}/content", content)["id"])

    def clear(self, name: str) -> None:
        """See `ShareProbe.clear`. A request for each file there is, and two more."""
        for page in self._connection.pages(f"{self._at(self._trials)}/children?$select=id,name"):
            for each in page["value"]:
                if str(each.get("name", "")).startswith(name):
                    with suppress(Gone):
                        self._connection.ask("DELETE", self._at(each["id"]))

    @property
    def _trials(self) -> str:
        return next(iter(self._find_roots())).id
