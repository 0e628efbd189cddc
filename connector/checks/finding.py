"""One answer of `connector check`: what was tried, how it went, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

#: soon: it works today, and will not for long. What the others mean for a script, see `cli.ground.CODES`.
Severity = Literal["fine", "soon", "unreachable", "refused", "stopped", "exposed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, how it went, and what to do. Only what is fine needs nobody to do anything."""

    tried: str
    severity: Severity
    says: str
    todo: str = ""
    #: The command that mends it; where it is another's server that is wrong, the one that shows it.
    fix: str = ""

    def __post_init__(self) -> None:
        if self.severity != "fine" and not (self.todo and self.fix):
            raise ValueError(f"{self.tried}: nobody is told what to do about it")
