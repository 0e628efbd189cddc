"""Where in its feeds a mailbox has been read to: that of its folders, and that of each folder."""

import json
from dataclasses import dataclass, field
from typing import Any

from connector.sources.graph_mail.folders import Told

_VERSION = 1


@dataclass(slots=True)
class Cursor:
    """All of it, as one text. Links are Graph's, and opaque."""

    #: Where the feed of folders goes on; "" for its beginning.
    hierarchy: str = ""
    #: What that feed told so far.
    folders: dict[str, Told] = field(default_factory=dict)
    #: By folder, where its feed goes on.
    feeds: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(
            {"graph": _VERSION, "hierarchy": self.hierarchy, "folders": self.folders, "feeds": self.feeds}
        )


def read(cursor: str | None) -> Cursor:
    """Back from its text. One of another adapter, as a mailbox has it that moved to the cloud, counts as none."""
    try:
        told: Any = json.loads(cursor or "{}")
        if told.get("graph") != _VERSION:
            return Cursor()
        folders = {str(each): Told(*map(str, values)) for each, values in told["folders"].items()}
        return Cursor(str(told["hierarchy"]), folders, {str(k): str(v) for k, v in told["feeds"].items()})
    except (ValueError, AttributeError, TypeError, KeyError):
        return Cursor()
